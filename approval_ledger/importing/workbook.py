"""XLSX, read with openpyxl: each sheet is a table, even if it is hidden. Formulas have the values with which they were saved."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import date, datetime, time
from typing import Any

from openpyxl.chartsheet import Chartsheet
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils import get_column_letter

# The streaming worksheet loses what this parser knows (merged ranges, which cells are formulas), and the other kind of worksheet
# builds every cell of a merged range, which for A1:XFD1048576 is 17 billion.
from openpyxl.worksheet._reader import (
    FORMULA_TAG,
    MERGE_TAG,
    ROW_TAG,
    VALUE_TAG,
    MergeCells,
    WorkSheetParser,
    iterparse,
)

from .tables import COLUMNS_LIMIT, ROWS_LIMIT, BadTable, Budget, Row, Table, shortly

MERGED_LIMIT = 2_000_000  # cells that merged ranges may fill
ELEMENTS_LIMIT = 200_000  # in one row, or in all merged ranges; a row of 16,384 cells has a sixth of that
EXACT_DIGITS = 15  # digits of a number that a spreadsheet keeps
# Numbers of formats that Excel has built in for Chinese, Japanese and Korean, all of days or times (31 is yyyy年m月d日). A file does not
# describe them, and openpyxl takes them for formats of numbers.
_EAST_ASIAN_DATES = frozenset({*range(27, 37), *range(50, 59)})
_ESCAPED = re.compile(r"(?:_x[0-9A-Fa-f]{4}_)+")

Faults = dict[int, str]


class _Parser(WorkSheetParser):  # type: ignore[misc]  # openpyxl has no types
    """openpyxl's parser, extended to note formulas that were never calculated."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.uncalculated: set[tuple[int, int]] = set()
        self.formulas = 0

    def parse(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Its rows, and nothing else but the merged ranges. openpyxl's own builds a row of any number of cells."""
        held, inside, above = 0, False, []
        for event, element in iterparse(self.source, events=("start", "end")):
            if event == "start":
                inside = inside or element.tag in (ROW_TAG, MERGE_TAG)
                above.append(element)
                continue
            above.pop()
            held += inside
            if held > ELEMENTS_LIMIT:
                raise BadTable(
                    f"has a row of over {ELEMENTS_LIMIT:,} elements, or as many merged cells. Nothing was stored."
                )
            if element.tag == ROW_TAG:
                yield self.parse_row(element)
                held, inside = 0, False
            elif element.tag == MERGE_TAG:
                self.merged_cells = MergeCells.from_tree(element)
                held, inside = 0, False
            if above and not inside:
                above[-1].clear()  # of what was read, and of what is not: it would add up

    def parse_cell(self, element: Any) -> dict[str, Any]:
        cell: dict[str, Any] = super().parse_cell(element)
        if element.find(FORMULA_TAG) is not None:
            self.formulas += 1
            # Where the value is an empty text, as of `=IF(A2="","",A2)`, programs save that it is a text, and nothing of it.
            empty = element.get("t") == "str" and element.find(VALUE_TAG) is not None
            if cell["value"] is None and not empty:
                self.uncalculated.add((cell["row"], cell["column"]))
        return cell


class _Reader(ExcelReader):  # type: ignore[misc]  # as above
    """openpyxl's reader, which reads no charts: it fails at a sheet for a chart that has none."""

    def read_chartsheet(self, _sheet: Any, _rel: Any) -> None:
        """The sheet only keeps its place, by which names tell those after it."""
        self.wb._sheets.append(Chartsheet(parent=self.wb))


def read(content: bytes) -> list[Table]:
    """The sheets of a workbook. Raises BadTable."""
    budget = Budget()
    try:
        # openpyxl prints what it finds wrong with a style, which would be in the midst of what a command answers.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of styles and extensions, which say nothing of the cells
            reader = _Reader(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
            reader.read()
            found = [
                _table(number, sheet, budget) for number, sheet in enumerate(reader.wb.worksheets, start=1)
            ]
    except BadTable:
        raise
    except Exception as error:  # noqa: BLE001  # a broken file makes openpyxl raise nearly anything
        raise BadTable(
            f"is not a readable XLSX ({type(error).__name__}: {shortly(error)}). Nothing was stored: open and save it anew."
        ) from None
    if not found:
        raise BadTable("has no sheet with cells in it. Nothing was stored.")
    return found


def _table(number: int, sheet: Any, budget: Budget) -> Table:
    with sheet._get_source() as stream:  # see the import above
        parser = _Parser(
            stream,
            sheet._shared_strings,
            data_only=True,
            epoch=sheet.parent.epoch,
            date_formats=_date_formats(sheet.parent),
            timedelta_formats=sheet.parent._timedelta_formats,
        )
        rows = dict(_cells(parser, sheet.title))
    _fill_merged(rows, parser)
    about = "XLSX" + (f", {parser.formulas} formulas by their saved values" if parser.formulas else "")
    hidden = "" if sheet.sheet_state == "visible" else ", hidden"
    listed = tuple(_row(at, rows.get(at, ({}, {})), budget) for at in range(1, max(rows, default=0) + 1))
    return Table(number, listed, sheet.title, (sheet.title,), about + hidden, merges=True)


Cells = dict[int, str]


def _date_formats(book: Any) -> set[int]:
    """The styles whose cells are dates."""
    styles = enumerate(book._cell_styles)
    return {*book._date_formats, *(at for at, style in styles if style.numFmtId in _EAST_ASIAN_DATES)}


def _cells(parser: _Parser, title: str) -> Iterator[tuple[int, tuple[Cells, Faults]]]:
    last = 0
    for at, row in parser.parse():
        if at <= last:
            raise BadTable(f"sheet {title!r}: row {at} comes after row {last}. Nothing was stored.")
        if at > ROWS_LIMIT:
            if all(cell["value"] is None for cell in row):
                continue
            raise BadTable(f"sheet {title!r} has over {ROWS_LIMIT:,} rows. Nothing was stored.")
        last = at
        texts: Cells = {}
        faults: Faults = {}
        for cell in row:
            column = cell["column"]
            text, fault = _text(cell, (at, column) in parser.uncalculated)
            if (text or fault) and column > COLUMNS_LIMIT:
                raise BadTable(f"sheet {title!r} has over {COLUMNS_LIMIT} columns. Nothing was stored.")
            if text:
                texts[column] = text
            if fault:
                faults[column] = f"cell {get_column_letter(column)}{at} {fault}"
        yield at, (texts, faults)


def _text(cell: dict[str, Any], uncalculated: bool) -> tuple[str, str]:
    value = cell["value"]
    if uncalculated:
        return "", "is a formula without a saved value: open the file in a spreadsheet program, and save it"
    if cell["data_type"] == "e":
        return str(value), f"holds the error {value}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**EXACT_DIGITS:
        return str(
            value
        ), f"is a number of over {EXACT_DIGITS} digits, which a spreadsheet rounds: store it as text"
    return _written(value), ""


def _written(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return _ESCAPED.sub(_unescaped, value)
        case bool():
            return "TRUE" if value else "FALSE"
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime():
            return value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _unescaped(found: re.Match[str]) -> str:
    """What escapes stand for (`_x000D_` is a carriage return); half of a pair stands for nothing."""
    units = b"".join(bytes.fromhex(unit)[::-1] for unit in re.findall(r"_x(.{4})_", found[0]))
    try:
        return units.decode("utf-16-le")
    except UnicodeDecodeError:
        return found[0]


def _fill_merged(rows: dict[int, tuple[Cells, Faults]], parser: _Parser) -> None:
    ranges = parser.merged_cells.mergeCell if parser.merged_cells is not None else []
    left = MERGED_LIMIT
    last = max(rows, default=0)
    for merged in ranges:
        if merged.min_col > COLUMNS_LIMIT:
            continue
        bottom, right = min(merged.max_row, last), min(merged.max_col, COLUMNS_LIMIT)
        left -= max(0, bottom - merged.min_row + 1) * (right - merged.min_col + 1) + 1
        if left < 0:
            raise BadTable(f"merges over {MERGED_LIMIT:,} cells. Nothing was stored.")
        first, doubted = rows.get(merged.min_row, ({}, {}))
        text, fault = first.get(merged.min_col), doubted.get(merged.min_col)
        if text is None and fault is None:
            continue
        for at in range(merged.min_row, bottom + 1):
            cells, faults = rows.setdefault(at, ({}, {}))
            for column in range(merged.min_col, right + 1):
                if text is not None:
                    cells.setdefault(column, text)
                if fault is not None:
                    faults.setdefault(column, fault)


def _row(at: int, held: tuple[Cells, Faults], budget: Budget) -> Row:
    cells, faults = held
    width = max([*cells, *faults], default=0)
    texts = [cells.get(column, "") for column in range(1, width + 1)]
    return budget.row(at, texts, tuple((column - 1, fault) for column, fault in sorted(faults.items())))
