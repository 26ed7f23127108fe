"""From files to what they say: every table is read and understood, every row counted once, and every bad row has its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import dates, facts, rows, tables
from .facts import BadRow, Edition, Fact, Place
from .mapping import Mapping
from .rows import Header, Line
from .tables import BadTable, Row, Table
from .titles import title

CAPTIONS = 20  # lines above a header that may be its heading


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not imported, or if `row` is missing, a whole table or file; and why."""

    file: str
    reason: str
    table: int | None = None
    row: int | None = None
    column: str = ""
    name: str = ""  # of the table: of a sheet, or of a list in JSON

    def __str__(self) -> str:
        place = [self.file]
        if self.table is not None:
            place.append(f"table {self.table}" + (f" {self.name!r}" if self.name else ""))
        if self.row is not None:
            place.append(f"row {self.row}")
        return f"{', '.join(place)}: {f'{self.column}: ' if self.column else ''}{self.reason}"

    def to_json(self) -> dict[str, Any]:
        """The refusal, without members that do not apply."""
        parts = {
            "file": self.file,
            "table": self.table,
            "name": self.name or None,
            "row": self.row,
            "column": self.column or None,
        }
        return {key: value for key, value in parts.items() if value is not None} | {"reason": self.reason}


@dataclass(slots=True)
class Understood:
    """One table: what each of its rows is, and the events of the rows that are data."""

    file: str
    table: Table
    header: int = 0
    empty: int = 0
    headers: list[Header] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    not_understood: list[tuple[int, str]] = field(default_factory=list)
    doubtful: bool = False  # whether one of the notes may be what is left of a row

    @property
    def data(self) -> int:
        """How many rows gave events."""
        return len(self.table.rows) - self.header - self.empty - len(self.notes) - self.refused


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller says about every file, which overrides what a mapping says."""

    publisher: str | None = None
    url: str | None = None
    title: str | None = None
    published_on: str | None = None


def read(
    path: Path, mappings: Sequence[Mapping], options: Options, seen: Callable[[int], None] = lambda _: None
) -> tuple[list[Understood], list[Refusal]]:
    """The tables of a file, and what is wrong with the file as a whole. `seen` is called with the number of rows done in a table."""
    try:
        found = tables.read(path)
    except BadTable as error:
        return [], [Refusal(_written(path), _short(error))]
    understood = [_understood(_written(path), table, mappings, options, seen) for table in found]
    if not any(table.headers or table.refusals for table in understood):
        return understood, [Refusal(_written(path), _no_table(found, mappings))]
    return understood, []


def _no_table(found: Sequence[Table], mappings: Sequence[Mapping]) -> str:
    """Why no row of a file was a header: a file that contains only notes was not meant to be a list."""
    first = next((text for table in found for row in table.rows for text in _different(row)), None)
    if first is None:
        return "has no row with a text in it"
    divided = ": a CSV is divided by commas, semicolons or tabs" if found[0].about.startswith("CSV") else ""
    return (
        f"has no row that is a header{divided}. It begins with {title(first)[:60]!r}. "
        f"A header must have a title for each of: {rows.wanted(mappings)}"
    )


def _understood(
    file: str, table: Table, mappings: Sequence[Mapping], options: Options, seen: Callable[[int], None]
) -> Understood:
    result = Understood(file, table)
    try:
        lines = rows.understand(table, mappings)
    except BadTable as error:
        return _none_of_it(result, error)
    edition = Edition()
    above: list[str] = []  # the lines between the last row and here, the nearest last
    for number, line in enumerate(lines, start=1):
        seen(number)
        if line.kind == "header" and line.header is not None:
            try:
                edition = _edition_below(result, line.header, edition, above, options)
            except BadTable as error:
                return _none_of_it(Understood(file, table), error)
        _take(result, line, edition)
        if line.kind in ("note", "empty"):
            above += line.row.filled
        else:
            above = []
    return result


def _none_of_it(result: Understood, error: BadTable) -> Understood:
    result.refused = sum(bool(row.filled or row.faults) for row in result.table.rows)
    result.empty = len(result.table.rows) - result.refused
    result.refusals.append(Refusal(result.file, _short(error), result.table.number, name=result.table.name))
    return result


def _edition_below(
    result: Understood, header: Header, before: Edition, above: Sequence[str], options: Options
) -> Edition:
    """What is true of the rows below a header: a header that only repeats another changes nothing."""
    near = _heading(above[-CAPTIONS:], header, options)
    repeated = bool(result.headers) and result.headers[-1].mapping == header.mapping
    if repeated and near is None:
        return before
    heading = near or _heading(result.table.captions[-CAPTIONS:], header, options)
    text, on = heading or (None, None)
    said = dates.in_caption(options.title or "")
    return Edition(options.publisher, options.url, options.title, options.published_on, said or on, text)


def _take(result: Understood, line: Line, edition: Edition) -> None:
    match line.kind:
        case "header":
            result.header += 1
            if line.header is not None:
                result.headers.append(line.header)
        case "empty":
            result.empty += 1
        case "note":
            result.notes.append((line.row.number, " ".join(title(cell) for cell in _different(line.row))))
            result.doubtful |= line.header is not None and rows.may_be_damaged(line.row, line.header)
        case "bad":
            _refuse(result, line.row, line.reason, line.column)
        case "data":
            _data(result, line, edition)


def _data(result: Understood, line: Line, edition: Edition) -> None:
    assert line.header is not None
    place = Place(result.file, result.table.number, line.row.number)
    try:
        reading = facts.read(line, place, edition)
    except BadRow as error:
        _refuse(result, line.row, error.reason, error.column)
        return
    result.facts += reading.facts
    result.not_understood += [(line.row.number, words) for words in reading.not_understood]


def _refuse(result: Understood, row: Row, reason: str, column: str) -> None:
    result.refused += 1
    table = result.table
    result.refusals.append(Refusal(result.file, reason, table.number, row.number, column, table.name))


def _heading(lines: Sequence[str], header: Header, options: Options) -> tuple[str, str] | None:
    """The nearest line that is a heading of the list, and the date in it. Raises BadTable if two headings give different months and
    nothing else gives the date."""
    found = [
        (text, on)
        for text in map(title, reversed(lines))
        if any(word in text for word in header.mapping.captions) and dates.is_heading(text)
        if (on := dates.in_caption(text)) is not None
    ]
    decided = "date" in header.fields or dates.in_caption(options.title or "") is not None
    if len({on[:7] for _, on in found}) > 1 and not decided:
        shown = " and ".join(repr(text[:60]) for text, _ in found)
        raise BadTable(
            f"has headings of several months: {shown}. Give the right one, with its month, as --title."
        )
    return found[0] if found else None


def _written(path: Path) -> str:
    """The path as text that can be shown and stored: a file name may be any bytes."""
    return os.fsencode(path).decode("utf-8", "replace")


def _different(row: Row) -> list[str]:
    return list(dict.fromkeys(cell for cell in row.cells if cell.strip()))


def _short(error: BadTable) -> str:
    return str(error).removesuffix(" Nothing was stored.")
