"""DOCX, read with python-docx: the tables of the text as it is with every tracked change accepted."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from docx.package import Package

from .tables import COLUMNS_LIMIT, BadTable, Budget, Row, Table, shortly

# python-docx leaves out what was inserted under change tracking and what stands in content controls, and takes a
# recursion for each row of a merged column (1,000 rows end it). So its tree is walked here, and only the tree is its.
TABLE, ROW, CELL, PARAGRAPH, RUN = (qn(f"w:{name}") for name in ("tbl", "tr", "tc", "p", "r"))
_GONE = {
    qn("w:del"),
    qn("w:moveFrom"),
    qn("w:instrText"),
    qn("w:delText"),
    qn("w:pPr"),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}
_AS_TEXT = {
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
}
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")  # a note's number is told from the name before it


def read(content: bytes) -> list[Table]:
    """The tables of a document. Raises BadTable."""
    try:
        body = _body(Package.open(io.BytesIO(content)).main_document_part)
    except Exception as error:  # noqa: BLE001  # a broken file makes python-docx raise nearly anything
        raise BadTable(
            f"is not a readable DOCX ({type(error).__name__}: {shortly(error)}). Nothing was stored: open and save it anew."
        ) from None
    if body is None:
        raise BadTable("is a DOCX with no text in it. Nothing was stored.")
    budget = Budget()
    tables = [
        _table(number, element, tuple(captions), budget)
        for number, (element, captions) in enumerate(_tables(body), start=1)
    ]
    if not tables:
        raise BadTable("has no table in it. Nothing was stored.")
    return tables


def _body(part: Any) -> Any:
    """The text of a document. A document with macros has another type, for which python-docx has no class."""
    element = part.element if hasattr(part, "element") else parse_xml(part.blob)
    return element.find(qn("w:body"))


def _tables(body: Any) -> Iterator[tuple[Any, list[str]]]:
    captions: list[str] = []
    for element in _children(body, {TABLE, PARAGRAPH}):
        if element.tag == TABLE:
            yield element, captions
            captions = []
        elif text := _paragraph(element).strip():
            captions.append(text)


def _children(element: Any, wanted: set[str]) -> Iterator[Any]:
    """The nearest elements below that are wanted, also inside content controls, but without what was deleted."""
    for child in element:
        if child.tag in wanted:
            yield child
        elif child.tag not in _GONE:
            yield from _children(child, wanted)


def _table(number: int, element: Any, captions: tuple[str, ...], budget: Budget) -> Table:
    above: dict[int, str] = {}
    rows: list[Row] = []
    for row in _children(element, {ROW}):
        if row.find(f"{qn('w:trPr')}/{qn('w:del')}") is not None:
            continue
        above = _cells(row, f"table {number}, row {len(rows) + 1}", above)
        width = max(above, default=-1) + 1
        rows.append(budget.row(len(rows) + 1, [above.get(index, "") for index in range(width)]))
    return Table(number, tuple(rows), captions=captions, about="DOCX", merges=True)


def _cells(row: Any, where: str, above: dict[int, str]) -> dict[int, str]:
    cells: dict[int, str] = {}
    column = _number(row.find(f"{qn('w:trPr')}/{qn('w:gridBefore')}"), 0)
    for cell in _children(row, {CELL}):
        properties = cell.find(qn("w:tcPr"))
        if properties is not None and properties.find(qn("w:cellDel")) is not None:
            continue
        span = max(1, _number(_in(properties, "w:gridSpan"), 1))
        if column + span > COLUMNS_LIMIT:
            raise BadTable(f"{where} has over {COLUMNS_LIMIT} columns. Nothing was stored.")
        text = above.get(column, "") if _continues(properties) else _text(cell, where)
        cells.update(dict.fromkeys(range(column, column + span), text))
        column += span
    return cells


def _in(properties: Any, name: str) -> Any:
    return None if properties is None else properties.find(qn(name))


def _continues(properties: Any) -> bool:
    merged = _in(properties, "w:vMerge")
    return merged is not None and merged.get(qn("w:val"), "continue") == "continue"


def _number(element: Any, otherwise: int) -> int:
    text = "" if element is None else element.get(qn("w:val"), "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else otherwise


def _text(cell: Any, where: str) -> str:
    paragraphs = []
    for element in _children(cell, {TABLE, PARAGRAPH}):
        if element.tag == TABLE:
            raise BadTable(f"{where} has a table inside a cell: take it out. Nothing was stored.")
        paragraphs.append(_paragraph(element))
    return "\n".join(paragraphs)


def _paragraph(paragraph: Any) -> str:
    return "".join(_run(run) for run in _children(paragraph, {RUN}))


def _run(run: Any) -> str:
    raised = run.find(f"{qn('w:rPr')}/{qn('w:vertAlign')}")
    text = "".join(_pieces(run))
    return (
        text.translate(_RAISED) if raised is not None and raised.get(qn("w:val")) == "superscript" else text
    )


def _pieces(run: Any) -> Iterator[str]:
    for element in run:
        if element.tag == qn("w:t"):
            yield element.text or ""
        elif element.tag in _AS_TEXT:
            yield _AS_TEXT[element.tag]
        elif element.tag == qn("w:ruby"):  # characters with their reading above them, which is left out
            yield from map(_paragraph, element.findall(qn("w:rubyBase")))
