"""Where the examples are: in the package where it is installed, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path


def example(name: str) -> Path:
    """The file of an example, such as `history.ndjson`."""
    package = Path(__file__).parent
    packaged = package / "examples" / name
    return packaged if packaged.is_file() else package.parent / "examples" / name
