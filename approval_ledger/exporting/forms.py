"""A table as CSV, an answer as JSON: the same table or answer always gives the same bytes."""

from __future__ import annotations

import csv
import io
from typing import Any

from events import canonical, name_key
from projections import Answer

from .tables import Kind, Table


def to_json(answer: Answer) -> bytes:
    """What `--json` prints."""
    return canonical(answer) + b"\n"


def to_csv(table: Table) -> bytes:
    """RFC 4180 in UTF-8, with a byte order mark because without one Excel reads Chinese in the wrong encoding."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # its default dialect is RFC 4180: commas, quotes doubled, CRLF
    writer.writerow(column.name for column in table.columns)
    for row in table.rows:
        writer.writerow(_cell(column.kind, row[column.name]) for column in table.columns)
    return text.getvalue().encode("utf-8-sig")


def _cell(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    if kind.startswith("list"):
        return canonical(value).decode()  # begins with a bracket, so it is never a formula
    if kind == "number":
        return repr(float(value))
    if kind == "boolean":
        return "true" if value else "false"
    return neutralised(value) if kind == "text" else str(value)


_QUOTES = "'\"`´‘’“”«»„‚ "


def neutralised(text: str) -> str:
    """`text`, with an apostrophe before it if a spreadsheet might take it for a formula.

    Text that begins with an apostrophe gets another one, so that `restored` never removes an original one.
    """
    # The key of a name has no leading white space or invisible characters, and plain signs instead of full-width ones.
    first = name_key(text).lstrip(_QUOTES)[:1]
    risky = first in ("=", "+", "-", "@") or text[:1] in ("\t", "\r", "\n", "'")
    return f"'{text}" if risky else text


def restored(cell: str) -> str:
    """The text that a cell of a text column held before it was `neutralised`."""
    return cell.removeprefix("'")
