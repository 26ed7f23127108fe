"""A file that a command writes, and FILE.meta.json that describes it: how both are written, and what is said where they cannot be."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import typer

from .. import exporting
from . import show


def save(file: Path, content: bytes, about: dict[str, Any], *, force: bool, **more: Any) -> dict[str, Any]:
    """Writes `content` into `file`, with a description beside it: `about`, and what it says of the file itself, which is returned
    (its name, its size in bytes, its SHA-256 in hex, and `more`). Exits with 1 where the disk does not take them."""
    written = {"name": file.name, "bytes": len(content), "sha256": sha256(content).hexdigest(), **more}
    try:
        exporting.save(file, content, as_json({"file": written} | about), force=force)
    except OSError as error:  # its own text may name a `.part` file, which is gone
        show.complain(f"error: cannot write {file}: {error.strerror}")
        raise typer.Exit(1) from None
    return written


def as_json(document: dict[str, Any]) -> bytes:
    """JSON for people to read too: indented, in UTF-8."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
