"""Writing a file and its description, each whole or not at all: even if the process dies, no half-written file has their names.

Both are written and synced under temporary names in the same directory, then renamed. The description is put in place last, and an
older one is removed first, so that if a description exists, it belongs to the file beside it.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from events import BadQuestion

BESIDE = ".meta.json"
NAME_LIMIT = 255  # bytes, in a directory of any usual file system


def saved_beside(file: Path) -> Path:
    """The path of a file's description."""
    return file.with_name(file.name + BESIDE)


def require_free(file: Path, force: bool) -> None:
    """Raises BadQuestion if something is there already, or with `force`, if that is a link or not a file; and if a file and its
    description cannot have that name."""
    if file.name in ("", ".."):
        raise BadQuestion(f"{file} is a directory: give the name of a file")
    _require_name(file.name)
    for path in (file, saved_beside(file)):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise BadQuestion(f"{path} is a link, a directory or a device: give the name of a file")
        if path.exists() and not force:
            raise BadQuestion(f"{path} exists already: give another name, or --force to replace it")


def _require_name(name: str) -> None:
    try:
        size = len((name + BESIDE).encode())
    except UnicodeEncodeError:
        raise BadQuestion(f"{name!r} is not UTF-8, and its description has the name: give another") from None
    if size > NAME_LIMIT:
        raise BadQuestion(
            f"{name[:40]!r}... is too long: with {BESIDE} it has {size} bytes, and a name has at most {NAME_LIMIT}"
        )


def save(file: Path, content: bytes, beside: bytes, *, force: bool = False) -> None:
    """Writes both. Raises BadQuestion if something is there already, and OSError; if that happens while they are being written,
    nothing was replaced. In either case nothing half-written is left."""
    require_free(file, force)
    # Both are named before they exist, so that both are removed whatever happens while either is written.
    parts = [_part_of(file), _part_of(saved_beside(file))]
    try:
        _write(parts[0], content)
        _write(parts[1], beside)
        with suppress(FileNotFoundError):
            saved_beside(file).unlink()
        _sync_directory(file.parent)
        parts[0].replace(file)
        _sync_directory(file.parent)
        parts[1].replace(saved_beside(file))
        _sync_directory(file.parent)
    finally:
        for part in parts:
            with suppress(OSError):  # it was renamed, or never existed; else the first error is reported
                part.unlink()


def _part_of(path: Path) -> Path:
    ending = f".{secrets.token_hex(4)}.part"
    readable = path.name.encode()[: NAME_LIMIT - len(ending) - 1].decode(errors="ignore")
    return path.with_name(f".{readable}{ending}")


def _write(part: Path, content: bytes) -> None:
    with part.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    """Syncs a directory, so that renames in it are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
