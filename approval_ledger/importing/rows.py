"""What each row of a table is, according to the mappings. Every row is of exactly one kind, so that the counts add up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Literal

from events.catalog import CELLS_LIMIT

from .mapping import FieldName, Mapping
from .tables import BadTable, Row, Table
from .titles import emptiness, is_nothing, title, title_key

Kind = Literal["header", "empty", "note", "data", "bad"]

_FOOTNOTE = re.compile(
    r"[（(【\[]?\s*(?:注(?=\s*\d{0,2}\s*[:：)）\]】.、]|\s*[\d①-⑳一二三四五六七八九十]{0,2}\s*$|释)|备注|附注|说明|备案说明|来源|数据来源|资料来源|截至|以上|合计|总计|共计|小计|附件|续表|notes?\b|source\b|total\b|[*＊※①])",
    re.IGNORECASE,
)
_TOTAL = re.compile(r"(?:合计|总计|共计|小计|(?:sub|grand )?total)\s*[:：]?", re.IGNORECASE)
_COUNT = re.compile(r"(?:共\s*)?\d[\d,，]*\s*[个家款项件条]?")
_LIKE_A_HEADER = "looks like a header, but lacks a column that the list must have"
_BELOW_ONE = "is below a row that looks like a header but lacks a column that the list must have"
_ROUNDED = re.compile(r"\d(?:\.\d{1,20})?[Ee]\+?\d{1,3}", re.ASCII)
_FOOTNOTE_WORDS = 2  # different texts that a footnote row has at most: the word for a note, and the note


@dataclass(frozen=True, slots=True)
class Header:
    """How the columns below a header row were understood. `titles` has one for each column that is kept."""

    row: int
    mapping: Mapping
    titles: dict[int, str]
    fields: dict[FieldName, int]
    untitled: frozenset[int] = frozenset()

    def title_of(self, field: str) -> str:
        """The title of a field's column, as the table has it."""
        index = self.fields.get(field)  # type: ignore[call-overload]  # any text may be asked for
        return "" if index is None else self.titles.get(index, f"column {index + 1}")


@dataclass(frozen=True, slots=True)
class Line:
    """One row, as it was understood; `reason` and `column` say what is bad in a bad one."""

    row: Row
    kind: Kind
    header: Header | None = None
    reason: str = ""
    column: str = ""

    def cell(self, field: FieldName) -> str:
        """The text of a field; empty if there is none."""
        index = None if self.header is None else self.header.fields.get(field)
        return "" if index is None or index >= len(self.row.cells) else self.row.cells[index]

    def published(self) -> dict[str, str]:
        """Every cell as it stands, by the title of its column."""
        assert self.header is not None
        cells, untitled = self.row.cells, self.header.untitled
        listed = ((t, cells[i] if i < len(cells) else "", i) for i, t in self.header.titles.items())
        return {title: cell for title, cell, index in listed if cell or index not in untitled}


def understand(table: Table, mappings: Sequence[Mapping]) -> list[Line]:
    """Every row of a table, in order. Raises BadTable if none of them is a header, or one is a header for two mappings."""
    known = frozenset(key for mapping in mappings for _, key in mapping.columns.each())
    keys = [_keys(row, known) for row in table.rows]
    headers = [
        _header(row, found, mappings, table.merges) for row, found in zip(table.rows, keys, strict=True)
    ]
    if not any(headers):
        if not any(row.filled for row in table.rows):
            return [Line(row, "empty") for row in table.rows]
        if not any(keys) and all(len(row.filled) <= 1 and not row.faults for row in table.rows):
            return [
                Line(row, "note" if row.filled else "empty") for row in table.rows
            ]  # a sheet of explanations
        raise BadTable(_no_header(table, keys, mappings))
    above = _above_a_header(table.rows, headers)
    lines: list[Line] = []
    header: Header | None = None
    lost = False  # below a header that was not understood, after which columns no longer mean the same
    for row, found, stands_above, titles in zip(table.rows, headers, above, keys, strict=True):
        header = found or header
        line = Line(row, "header", found) if found else _line(row, header, stands_above, len(titles))
        lost = not found and (lost or line.reason == _LIKE_A_HEADER)
        lines.append(Line(row, "bad", header, _BELOW_ONE) if lost and line.kind == "data" else line)
    return lines


def _keys(row: Row, known: frozenset[str]) -> dict[int, str]:
    """The known titles in a row, by column."""
    return {i: key for i, cell in enumerate(row.cells) if cell and (key := title_key(cell)) in known}


def _header(row: Row, keys: dict[int, str], mappings: Sequence[Mapping], merges: bool) -> Header | None:
    if not keys:
        return None
    found = [header for mapping in mappings if (header := _as_header(row, mapping, merges)) is not None]
    if not found:
        return None
    most = max(map(_understood, found))
    best = [header for header in found if _understood(header) == most]
    if len(best) > 1:
        names = " and ".join(header.mapping.name for header in best)
        raise BadTable(
            f"row {row.number} is a header for {names}: say which with --mapping. Nothing was stored."
        )
    return best[0]


def _understood(header: Header) -> tuple[int, int]:
    """How many columns are understood, first without those that say which approvals of a list ended, because these would be the dates
    of a list of ends."""
    return len(set(header.fields) - {"ended", "status"}), len(header.fields)


def _as_header(row: Row, mapping: Mapping, merges: bool) -> Header | None:
    """How a mapping understands a row as a header; None if it does not. Raises BadTable for two columns of one field."""
    keys = [title_key(cell) for cell in row.cells]
    if any(title_key(title) in keys for title in mapping.unless):
        return None
    found: dict[FieldName, list[int]] = {}
    for index, key in enumerate(keys):
        if (field := mapping.meanings.get(key)) is not None:
            found.setdefault(field, []).append(index)
    if not set(mapping.required) <= set(found):
        return None
    for field, columns in found.items():
        _refuse_two(row, field, columns, merges)
    untitled = frozenset(index for index, cell in enumerate(row.cells) if not cell.strip())
    return Header(row.number, mapping, _titles(row), {field: found[field][0] for field in found}, untitled)


def _refuse_two(row: Row, field: str, columns: Sequence[int], merges: bool) -> None:
    if any(not (merges and _merged(row, columns[0], column)) for column in columns[1:]):
        titles = " and ".join(repr(title(row.cells[column])) for column in columns)
        raise BadTable(
            f"row {row.number} has {len(columns)} columns for {field}: {titles}. Write a mapping that names the right "
            "one (docs/importing.md), and give it with --mapping. Nothing was stored."
        )


def _merged(row: Row, first: int, second: int) -> bool:
    """Whether two columns of a row are one cell, with a title that was merged over both."""
    return len({row.cells[index] for index in range(first, second + 1)}) == 1


def _titles(row: Row) -> dict[int, str]:
    """A title for each column, no two the same, as the keys of the published cells."""
    if len(row.cells) > CELLS_LIMIT:
        raise BadTable(
            f"row {row.number} is a header of {len(row.cells)} columns; an event keeps at most {CELLS_LIMIT}. "
            "Nothing was stored."
        )
    titles: dict[int, str] = {}
    taken: set[str] = set()
    for index, cell in enumerate(row.cells):
        plain = "".join(character for character in title(cell) if character.isprintable())
        wanted = plain[:190] or f"column {index + 1}"
        numbered = chain([wanted], (f"{wanted} ({times})" for times in count(2)))
        titles[index] = next(written for written in numbered if written not in taken)
        taken.add(titles[index])
    return titles


def _above_a_header(rows: Sequence[Row], headers: Sequence[Header | None]) -> list[bool]:
    """For each row, whether there are only rows with one text or none between it and the next header."""
    above: list[bool] = []
    near = False
    for row, header in zip(reversed(rows), reversed(headers), strict=True):
        near = header is not None or (near and len(row.filled) <= 1)
        above.append(near)
    return above[::-1]


def _line(row: Row, header: Header | None, stands_above: bool, titles: int) -> Line:
    filled = row.filled
    if not filled and not row.faults:
        return Line(row, "empty")
    if header is None:
        return _preamble(row, titles)
    if _is_note(row, header, stands_above):
        return Line(row, "note", header)
    reason, column = _wrong(row, header, titles)
    return Line(row, "bad" if reason else "data", header, reason, column)


def _preamble(row: Row, titles: int) -> Line:
    if titles >= 2:  # the upper of two header rows, with titles that span several columns
        return Line(row, "header")
    if len(row.filled) <= _FOOTNOTE_WORDS:
        return Line(row, "note")
    return Line(row, "bad", None, "is above the header, but is not a heading: is a header missing above it?")


def _is_note(row: Row, header: Header, stands_above: bool) -> bool:
    if not 0 < len(row.filled) <= _FOOTNOTE_WORDS or row.faults:
        return False
    if len(row.filled) > 1 and (not _lacking(row, header) or _names_something(row, header)):
        return (
            False  # a list of two columns has rows of two texts, and a damaged row may begin like a footnote
        )
    first = next(cell.strip() for cell in row.cells if cell.strip())
    if _FOOTNOTE.match(first):
        return True
    if len(row.filled) > 1:
        return False
    filled = [index for index, cell in enumerate(row.cells) if cell.strip()]
    if stands_above or len(filled) >= max(3, len(header.titles) - 1):
        return True  # a heading inside the table, or one cell merged over the whole row
    margin = min(index for index in header.titles if index not in header.untitled)
    meant = next((field for field, index in header.fields.items() if index == margin), "ordinal")
    return filled == [margin] and meant == "ordinal" and not re.fullmatch(r"[\d.\s]*", first)


def _names_something(row: Row, header: Header) -> bool:
    """Whether a row has a text of its own in the column of items, companies or numbers, as a damaged row does. The count in the last
    row of a list is no such text."""
    first = next(cell for cell in row.cells if cell.strip())
    others = [
        cell for index in _naming(header) if (cell := _at(row, index).strip()) and cell != first.strip()
    ]
    if _TOTAL.fullmatch(first.strip()):
        others = [cell for cell in others if not _COUNT.fullmatch(cell)]
    return may_be_damaged(row, header) or bool(others)


def _at(row: Row, index: int) -> str:
    return row.cells[index] if index < len(row.cells) else ""


def may_be_damaged(row: Row, header: Header) -> bool:
    """Whether a row that was taken for a note begins in a column in which the list has a name or a number."""
    return next(index for index, cell in enumerate(row.cells) if cell.strip()) in _naming(header)


def _naming(header: Header) -> set[int]:
    """The columns of items, companies and numbers, except the first column, which may also contain notes."""
    margin = min(index for index in header.titles if index not in header.untitled)
    return {header.fields[f] for f in ("item", "company", "number") if f in header.fields} - {margin}


def _wrong(row: Row, header: Header, titles: int) -> tuple[str, str]:
    """Why a row below a header is not a valid row of the list, and in which column."""
    for index, fault in row.faults:
        if index == header.fields.get("ordinal"):
            continue  # a row number says nothing
        return fault, header.titles.get(index, f"column {index + 1}")
    extra = [index for index, cell in enumerate(row.cells) if cell.strip() and index not in header.titles]
    if extra:
        return "has a cell beyond the last title", f"column {extra[0] + 1}"
    if titles >= 3 and titles * 2 >= len(row.filled):  # three titles in a row are no accident
        return _LIKE_A_HEADER, ""
    if lacking := _lacking(row, header):
        index = header.fields[lacking]
        return emptiness(_at(row, index)), header.title_of(lacking)
    number = header.fields.get("number")
    if number is not None and number < len(row.cells):
        text = row.cells[number]
        if not is_nothing(text) and not any(character.isdigit() for character in text):
            return "is not a registry number: it has no digit", header.title_of("number")
        if _ROUNDED.fullmatch(text.strip()):
            return (
                f"{text.strip()!r} is a number that a spreadsheet has rounded: copy it from the list again, as text"
            ), header.title_of("number")
    return "", ""


def _lacking(row: Row, header: Header) -> FieldName | None:
    """The first required field that is empty in this row."""
    for field in header.mapping.required:
        index = header.fields[field]
        if index >= len(row.cells) or is_nothing(row.cells[index]):
            return field
    return None


def _no_header(table: Table, keys: Sequence[dict[int, str]], mappings: Sequence[Mapping]) -> str:
    best = max(range(len(keys)), key=lambda at: (len(keys[at]), len(table.rows[at].filled) > 1, -at))
    row = table.rows[best]
    found = ", ".join(repr(title(cell)[:40]) for cell in row.cells[:20] if cell.strip())
    return (
        f"has no row that is a header. The nearest is row {row.number}: {found}. A header must have a title for each of: {wanted(mappings)}. "
        "For another kind of table, write a mapping (docs/importing.md says how) and give it with --mapping. "
        "Nothing was stored."
    )


def wanted(mappings: Sequence[Mapping]) -> str:
    """The titles that a header must have, by mapping."""
    return "; ".join(
        f"{mapping.name}: {', '.join(getattr(mapping.columns, field)[0] for field in mapping.required)}"
        for mapping in mappings
    )
