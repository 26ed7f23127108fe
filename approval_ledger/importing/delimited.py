"""CSV: finds the encoding and the delimiter, then reads one table with the standard library's reader."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from typing import Any

from .tables import CELL_LIMIT, BadTable, Budget, Table

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_SAMPLE = 50  # rows from which the delimiter is found
_BOMS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with BOM"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)


def decoded(content: bytes) -> tuple[str, str]:
    """The text, and the name of its encoding. Raises BadTable if it is in none of the accepted encodings."""
    for bom, encoding, name in _BOMS:
        if content.startswith(bom):
            return _without_nul(_strictly(content[len(bom) :], encoding, name)), name
    _without_nul(content.decode("latin-1"))
    try:
        return content.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError as error:
        _refuse_broken_utf8(content, error)
    return _strictly(content, "gb18030", "GB18030"), "GB18030"


def _strictly(content: bytes, encoding: str, name: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadTable(
            f"is neither UTF-8 nor {name}: byte {error.start} is {content[error.start]:#04x}. Nothing was stored."
        ) from None


def _refuse_broken_utf8(content: bytes, error: UnicodeDecodeError) -> None:
    # Nearly every pair of bytes is a character in GB18030: a UTF-8 file with one broken byte would be read as a different text.
    read = content.decode("utf-8", "replace")
    wrong = read.count("\ufffd")
    right = sum(character > "\x7f" for character in read) - wrong
    if wrong < right:
        raise BadTable(
            f"is UTF-8 except for {wrong} places, the first at byte {error.start} ({content[error.start]:#04x}): "
            "it is damaged. Nothing was stored."
        )


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise BadTable(
            "holds NUL characters: it is not text, or UTF-16 without a byte order mark. Nothing was stored."
        )
    return text


def read(text: str, encoding: str) -> list[Table]:
    """The one table of a CSV text. Raises BadTable."""
    delimiter = _delimiter(text)
    budget = Budget()
    rows = []
    reader = _reader(text, delimiter)
    try:
        for number, cells in enumerate(reader, start=1):
            rows.append(budget.row(number, cells))  # the rows so far are needed if the next one fails
    except csv.Error as error:
        where = f"row {len(rows) + 1} (line {reader.line_num})"
        if "field larger" in str(error):
            raise BadTable(
                f"{where} has a cell of over {csv.field_size_limit():,} characters; at most {CELL_LIMIT:,} are "
                "taken. Is a quotation mark not closed? Nothing was stored."
            ) from None
        raise BadTable(f"{where} is not CSV: {error}. Nothing was stored.") from None
    return [Table(1, tuple(rows), about=f"CSV, {encoding}, {DELIMITERS[delimiter]}")]


def _reader(text: str, delimiter: str) -> Any:  # the reader's type has no public name before Python 3.12
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _delimiter(text: str) -> str:
    return max(DELIMITERS, key=lambda delimiter: _agreement(text, delimiter))


def _agreement(text: str, delimiter: str) -> tuple[bool, int, int]:
    """How well the first rows agree on the number of columns. (csv.Sniffer was tried, but takes letters for delimiters.)"""
    widths: Counter[int] = Counter()
    try:
        for _, cells in zip(range(_SAMPLE), _reader(text, delimiter), strict=False):
            widths[len(cells)] += len(cells) > 1
    except csv.Error:
        pass  # in a later row than those that were counted
    (width, times) = max(widths.items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
    return times > 0, times, width
