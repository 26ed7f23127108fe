"""From a file to tables of cell texts: which reader it needs, what a table is, and the limits for every file."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from events import Refused

FILE_LIMIT = 32 * 1024 * 1024  # bytes
ROWS_LIMIT = 200_000  # in a file
COLUMNS_LIMIT = 200
CELL_LIMIT = 32_767  # characters, the most that a cell of a spreadsheet can hold


class BadTable(Refused):
    """A file is not a table, or a table cannot be understood. Nothing was stored."""

    code = "bad-table"


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is in the file. `faults` says, by index, why the text of a cell cannot be trusted."""

    number: int
    cells: tuple[str, ...]
    faults: tuple[tuple[int, str], ...] = ()

    @property
    def filled(self) -> set[str]:
        """The different texts in the row. A merged cell counts once."""
        return {text for cell in self.cells if (text := cell.strip())}


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `number` counts the tables of a file from 1; `captions` are the lines above it, the nearest last. If it `merges`, two
    cells side by side with the same text may be one cell."""

    number: int
    rows: tuple[Row, ...]
    name: str = ""
    captions: tuple[str, ...] = ()
    about: str = ""
    merges: bool = False


@dataclass(slots=True)
class Budget:
    """How much more a file may contain."""

    rows: int = field(default=ROWS_LIMIT)

    def row(self, number: int, cells: Iterable[str], faults: tuple[tuple[int, str], ...] = ()) -> Row:
        """A row, without the empty cells at its end. Raises BadTable if it exceeds the limits."""
        self.rows -= 1
        if self.rows < 0:
            raise BadTable(f"has over {ROWS_LIMIT:,} rows. Nothing was stored: divide it into several files.")
        kept = list(cells)
        while kept and not kept[-1] and not any(index == len(kept) - 1 for index, _ in faults):
            kept.pop()
        if len(kept) > COLUMNS_LIMIT:
            raise BadTable(f"row {number} has over {COLUMNS_LIMIT} columns. Nothing was stored.")
        for index, cell in enumerate(kept):
            if len(cell) > CELL_LIMIT:
                raise BadTable(
                    f"row {number}, column {index + 1}: a cell of {len(cell):,} characters; "
                    f"at most {CELL_LIMIT:,} are taken. Nothing was stored."
                )
        return Row(number, tuple(kept), faults)


def shortly(error: Exception) -> str:
    """What a library says about a file, on one line."""
    return " ".join(str(error).split())[:200]


def content_of(path: Path) -> bytes:
    """The bytes of a file. Raises BadTable if it cannot be read or is too large."""
    try:
        if not stat.S_ISREG(
            path.stat().st_mode
        ):  # before it is opened: opening a pipe would wait for a writer
            raise BadTable("is a directory, a pipe or a device, not a regular file: save it as one")
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT + 1)  # no more, whatever the file is: a device never ends
    except OSError as error:
        raise BadTable(f"cannot be read: {error.strerror}") from None
    if len(content) > FILE_LIMIT:
        raise BadTable(f"is larger than {FILE_LIMIT // 1024 // 1024} MiB. Nothing was stored: divide it.")
    return content


def read(path: Path) -> list[Table]:
    """The tables of a file, whose format is recognised by its content, not by its name. Raises BadTable."""
    from . import archive, delimited, objects  # the readers import from this module

    content = content_of(path)
    _refuse_strangers(content)
    if content.startswith(_ZIPS):
        return archive.read(content)
    text, encoding = delimited.decoded(content)
    if path.suffix.lower() == ".json" or _JSON.match(text):
        return objects.read(text, encoding)
    return delimited.read(text, encoding)


# More than the first letters of each: a CSV may begin with `PK` or `[2024]`.
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_JSON = re.compile(r'\s*(?:\{\s*["}]|\[\s*(?:[][{"]|-?[\d.]+\s*(?:,|\]\s*\Z)))')
_STRANGERS = {
    b"\xd0\xcf\x11\xe0": "is an old .xls or .doc file, or an encrypted one: save it as XLSX or DOCX, without a password",
    b"%PDF": "is a PDF, which has marks on a page instead of tables: look for the DOCX or XLSX, or copy its tables into one",
    b"{\\rtf": "is an RTF file: save it as DOCX",
    b"<": "is a web page or other XML, whatever its name says: save its tables as XLSX, DOCX or CSV",
    b"\x1f\x8b": "is compressed with gzip: unpack it",
    b"Rar!": "is a RAR archive: unpack it",
    b"7z\xbc\xaf": "is a 7z archive: unpack it",
}


def _refuse_strangers(content: bytes) -> None:
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start and not content.removeprefix(b"\xef\xbb\xbf").strip():
        raise BadTable("is empty")
    for magic, message in _STRANGERS.items():
        if start.startswith(magic):
            raise BadTable(f"{message}. Nothing was stored.")
