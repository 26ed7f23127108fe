"""Where the examples are: inside the package if it is installed, next to it in a checkout."""

from __future__ import annotations

from pathlib import Path


def example(name: str) -> Path:
    """The path of an example, such as `history.ndjson`."""
    package = Path(__file__).parent
    packaged = package / "examples" / name
    return packaged if packaged.is_file() else package.parent / "examples" / name
