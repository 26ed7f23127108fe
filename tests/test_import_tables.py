"""Files to tables: every format gives the rows that were written, and nothing harmful is opened."""

from __future__ import annotations

import io
import os
import re
import struct
import zipfile
from collections.abc import Callable
from copy import deepcopy
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.xml.functions import iterparse

from approval_ledger.importing import archive, mapping, tables, workbook
from approval_ledger.importing.mapping import BadMapping
from approval_ledger.importing.tables import (
    CELL_LIMIT,
    COLUMNS_LIMIT,
    FILE_LIMIT,
    ROWS_LIMIT,
    BadTable,
    Table,
)

from .lists import ERNIE, FILED, GLM, WRITERS, as_csv, as_docx, as_xlsx, repacked
from .long import only_long

LIST = (FILED, ERNIE, GLM)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Table]]:
    def read(content: bytes, name: str = "list") -> list[Table]:
        path = tmp_path / name
        path.write_bytes(content)
        return tables.read(path)

    return read


def cells(table: Table) -> list[tuple[str, ...]]:
    return [row.cells for row in table.rows]


# Every format


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"), exclude_characters="\ufeff"),
    max_size=12,
)
GRIDS = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(TEXTS, min_size=width, max_size=width), min_size=1, max_size=6).map(
        lambda rows: [[f"title {n}" for n in range(width)], *rows]
    )
)


@pytest.mark.parametrize("format", WRITERS)
@settings(max_examples=20)
@given(rows=GRIDS)
def test_given_any_table_when_it_is_read_from_any_format_then_its_rows_are_those_written(
    tmp_path_factory: pytest.TempPathFactory, format: str, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("tables") / f"list.{format}"
    path.write_bytes(WRITERS[format](rows))
    (table,) = tables.read(path)
    # A sheet ends with its last filled row, and a row with its last filled cell.
    expected = [tuple(row) for row in rows]
    found = [row.cells + ("",) * (len(rows[0]) - len(row.cells)) for row in table.rows]
    assert found + [("",) * len(rows[0])] * (len(expected) - len(found)) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_given_a_csv_in_any_encoding_and_delimiter_when_it_is_read_then_it_is_found(
    read: Callable[..., list[Table]], encoding: str, delimiter: str
) -> None:
    odd = ("3", "北京市", "a,b;c\td", "“甲”\n公司", "X-1", "2023/8/31")
    (table,) = read(as_csv((*LIST, odd), encoding, delimiter))
    assert cells(table) == [*LIST, odd]


@pytest.mark.parametrize("title", ["PK", "PK\x03", "[序号]", "[2024] list", "{序号}", "{", "["])
def test_given_a_csv_that_begins_almost_like_another_format_when_it_is_read_then_it_is_a_csv(
    read: Callable[..., list[Table]], title: str
) -> None:
    rows = [(title, "模型名称"), ("1", "文心一言")]
    (table,) = read(as_csv(rows))
    assert cells(table) == rows


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (as_csv(LIST).replace("文".encode(), b"\xff"), "it is damaged"),
        (as_csv(LIST, "utf-16-le"), "NUL"),
        (as_csv(LIST) + b"\x00", "NUL"),
        (b"a,b\n\xff\xff,1\n", "neither UTF-8 nor GB18030"),
        (b'a,b\n"1,2\n', "row 2 .* is not CSV"),
        (b'a,b\n"1"2,3\n', "row 2 .* is not CSV"),
        (b"a," + b"x" * (CELL_LIMIT + 1), "32,768 characters"),
        (b"a," + b"x" * 200_000, "row 1 .* has a cell of over 131,072 characters; at most 32,767 are taken"),
        (b'{"a": 1}\n{"a": 2}\n', "NDJSON.*write an array"),
        (
            b'[{"a": 1}, {"a": "x", "b": ' + b"1" * 5_000 + b"}]",
            "row 2, 'b': the number 1+ has too many digits",
        ),
        (b"a," * (COLUMNS_LIMIT + 1) + b"b", "over 200 columns"),
        (b"a,b\n" * (ROWS_LIMIT + 1), "over 200,000 rows"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "save it as XLSX or DOCX"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<html><table>", "web page"),
        (b"{\\rtf1", "RTF"),
        (b"[1]", "row 1 is not an object"),
        (b"{}", "holds 0 lists"),
        (b'{"a": [], "b": []}', "holds 2 lists"),
        (b'[{"a": 1, "a": 2}]', "twice"),
        (b"[" * 100_000, "deeper"),
        (b'[{"a": NaN}]', "NaN"),
        (b"PK\x03\x04" + bytes(100), "broken"),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else value,
)
def test_given_a_file_that_is_no_table_when_it_is_read_then_it_is_refused_with_the_reason(
    read: Callable[..., list[Table]], content: bytes, says: str
) -> None:
    with pytest.raises(BadTable, match=says):
        read(content)


def test_given_a_file_that_is_away_or_endless_or_too_large_when_it_is_read_then_it_is_refused(
    tmp_path: Path,
) -> None:
    for path, says in [
        (tmp_path, "directory"),
        (tmp_path / "none", "No such file"),
        (Path("/dev/zero"), "not a regular file"),
    ]:
        with pytest.raises(BadTable, match=says):
            tables.read(path)
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", FILE_LIMIT + 1)
    with pytest.raises(BadTable, match="32 MiB"):
        tables.read(tmp_path / "large")


def test_given_a_pipe_that_nobody_writes_to_when_it_is_read_then_it_is_refused_and_not_waited_for(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadTable, match="not a regular file"):
        tables.read(tmp_path / "pipe")
    with pytest.raises(BadMapping, match="not a regular file"):
        mapping.named([str(tmp_path / "pipe")])


def test_given_json_when_it_is_read_then_its_keys_are_the_titles_and_its_numbers_stay_as_written(
    read: Callable[..., list[Table]],
) -> None:
    (table,) = read(
        b'\xef\xbb\xbf{"rows": [{"a": 1.10, "b": null}, {"c": true, "a": "x"}, {"a": ["y"]}], "total": 3}'
    )
    assert cells(table) == [("a", "b", "c"), ("1.10",), ("x", "", "true"), ("",)]
    assert table.rows[3].faults == ((0, "holds an object or a list, not text"),)
    assert table.name == "rows"


# XLSX


def test_given_dates_and_numbers_in_a_workbook_when_it_is_read_then_each_has_its_text(
    read: Callable[..., list[Table]],
) -> None:
    def style(book: Any) -> None:
        book.active["A2"].number_format = "yyyy/m/d"

    row = (date(2023, 8, 31), datetime(2023, 8, 31), datetime(2023, 8, 31, 9, 30), 3, 2.0, 1.5, True)
    (table,) = read(as_xlsx([row, (45169,)], change=style))
    assert cells(table) == [
        ("2023-08-31", "2023-08-31", "2023-08-31 09:30:00", "3", "2", "1.5", "TRUE"),
        ("2023-08-31",),
    ]


@pytest.mark.parametrize("format", [27, 31, 36, 50, 57])
def test_given_a_date_in_a_format_that_east_asian_excel_has_built_in_when_a_workbook_is_read_then_it_is_a_date(
    read: Callable[..., list[Table]], format: int
) -> None:
    def style(book: Any) -> None:
        book.active["A2"].number_format = "0.00"

    def numbered(styles: bytes) -> bytes:
        return styles.replace(b'numFmtId="2"', b'numFmtId="%d"' % format)

    content = as_xlsx([("a", "b"), (45169, 45169)], change=style)
    (table,) = read(repacked(content, {"xl/styles.xml": numbered}))
    assert cells(table) == [("a", "b"), ("2023-08-31", "45169")]


def test_given_formulas_when_a_workbook_is_read_then_saved_values_are_taken_and_others_are_faults(
    read: Callable[..., list[Table]],
) -> None:
    def formulas(book: Any) -> None:
        book.active["B2"] = "=1+1"
        book.active["C2"] = 1234567890123456789012

    def saved(sheet: bytes) -> bytes:
        return re.sub(rb"<f>1\+1</f><v ?/?>(?:</v>)?", b"<f>1+1</f><v>2</v>", sheet)

    content = as_xlsx([("a", "b"), ("x",)], change=formulas)
    (table,) = read(content)
    assert [fault for _, fault in table.rows[1].faults] == [
        "cell B2 is a formula without a saved value: open the file in a spreadsheet program, and save it",
        "cell C2 is a number of over 15 digits, which a spreadsheet rounds: store it as text",
    ]
    (table,) = read(repacked(content, {"xl/worksheets/sheet1.xml": saved}))
    assert table.rows[1].cells[:2] == ("x", "2")
    assert table.about == "XLSX, 1 formulas by their saved values"


def test_given_a_formula_that_gave_an_empty_text_when_a_workbook_is_read_then_its_cell_is_empty(
    read: Callable[..., list[Table]],
) -> None:
    def formula(book: Any) -> None:
        book.active["B2"] = '=IF(A2="","",A2)'

    def saved(sheet: bytes) -> bytes:
        return re.sub(
            rb'<c r="B2"><f>(.*?)</f><v ?/?>(?:</v>)?', rb'<c r="B2" t="str"><f>\1</f><v></v>', sheet
        )

    content = as_xlsx([("a", "b", "c"), ("x", "", "y")], change=formula)
    (table,) = read(repacked(content, {"xl/worksheets/sheet1.xml": saved}))
    assert (table.rows[1].cells, table.rows[1].faults) == (("x", "", "y"), ())


def test_given_a_merged_cell_that_cannot_be_trusted_when_a_workbook_is_read_then_none_of_its_rows_can(
    read: Callable[..., list[Table]],
) -> None:
    def spoil(book: Any) -> None:
        book.active["A2"].data_type = "e"
        book.active["B2"] = "=1+1"

    (table,) = read(as_xlsx([("a", "b"), ("#REF!",), ("", "")], merged=["A2:A3", "B2:B3"], change=spoil))
    error = "cell A2 holds the error #REF!"
    formula = (
        "cell B2 is a formula without a saved value: open the file in a spreadsheet program, and save it"
    )
    assert [row.faults for row in table.rows[1:]] == [((0, error), (1, formula))] * 2


def test_given_merged_and_hidden_cells_when_a_workbook_is_read_then_each_cell_has_the_value_and_hidden_ones_count(
    read: Callable[..., list[Table]],
) -> None:
    def hide(book: Any) -> None:
        book.worksheets[0].row_dimensions[3].hidden = True
        book.worksheets[1].sheet_state = "hidden"

    first, second = read(
        as_xlsx(
            [("t",), ("北京市", "a"), ("", "b"), ("", "c")], [("x",)], merged=["A1:B1", "A2:A4"], change=hide
        )
    )
    assert cells(first) == [("t", "t"), ("北京市", "a"), ("北京市", "b"), ("北京市", "c")]
    assert cells(second) == [("x",)]
    assert second.about == "XLSX, hidden"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("</sheetData>", '</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>', None),
        (
            "</sheetData>",
            '<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>',
            "over 200,000 rows",
        ),
        ("</row>", '<c r="XFD1"><v>1</v></c></row>', "over 200 columns"),
        ("</row>", '<c r="XFD1"/></row>', None),
        ("</sheetData>", '<row r="1048576"/></sheetData>', None),
    ],
)
def test_given_a_sheet_that_is_nearly_empty_and_huge_when_it_is_read_then_that_costs_nothing(
    read: Callable[..., list[Table]], old: str, new: str, says: str | None
) -> None:
    content = repacked(
        as_xlsx([("a", "b"), ("1", "2")]),
        {"xl/worksheets/sheet1.xml": lambda sheet: sheet.replace(old.encode(), new.encode(), 1)},
    )
    if says is None:
        (table,) = read(content)
        assert len(table.rows) == 2
    else:
        with pytest.raises(BadTable, match=says):
            read(content)


@only_long
def test_given_a_row_of_endless_empty_cells_when_a_workbook_is_read_then_they_are_not_built(
    read: Callable[..., list[Table]], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = as_xlsx([("a", "b"), ("1", "2")])
    cells_ = b"".join(b'<c r="%d"/>' % number for number in range(300_000)).replace(b'r="', b'r="A')
    wide = lambda sheet: sheet.replace(b"</row>", cells_ + b"</row>", 1)  # noqa: E731  # it is one more change
    monkeypatch.setattr(archive, "RATIO_LIMIT", 10**9)
    built = 0

    def counted(parser: Any, element: Any) -> dict[str, Any]:
        nonlocal built
        built += 1
        return {"row": 1, "column": 1, "value": None, "data_type": "n"}

    monkeypatch.setattr(workbook._Parser, "parse_cell", counted)
    with pytest.raises(BadTable, match="a row of over 200,000 elements"):
        read(repacked(content, {"xl/worksheets/sheet1.xml": wide}))
    assert built == 0


def test_given_elements_that_are_no_rows_when_a_workbook_is_read_then_they_are_not_kept(
    read: Callable[..., list[Table]], monkeypatch: pytest.MonkeyPatch
) -> None:
    roots: list[Any] = []
    other = b"<x/>" * 1_000 + b'<mergeCells><mergeCell ref="A1:B1"/></mergeCells>'
    after = lambda sheet: sheet.replace(b"</sheetData>", b"</sheetData>" + other)  # noqa: E731  # it is one more change

    def remembered(*arguments: Any, **more: Any) -> Any:
        for event, element in iterparse(*arguments, **more):
            roots.append(element)
            yield event, element

    monkeypatch.setattr(workbook, "iterparse", remembered)
    (table,) = read(repacked(as_xlsx([("a",), ("1", "2")]), {"xl/worksheets/sheet1.xml": after}))
    assert cells(table) == [("a", "a"), ("1", "2")]
    assert (roots[0].tag.rpartition("}")[2], len(roots[0])) == ("worksheet", 0)


def test_given_more_tags_than_any_list_has_when_an_archive_is_read_then_it_is_refused_before_it_is_parsed(
    read: Callable[..., list[Table]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "TAGS_LIMIT", 100)
    with pytest.raises(BadTable, match=r"over 100 tags.*divide it"):
        read(as_xlsx(LIST))


def test_given_characters_that_xml_cannot_hold_when_a_workbook_is_read_then_their_escapes_are_undone(
    read: Callable[..., list[Table]],
) -> None:
    (table,) = read(as_xlsx([("文心_x000D_\n一言", "_x005F_x000D_", "_xD83D__xDE00_", "_xD83D_", "a_x_b")]))
    assert cells(table) == [("文心\r\n一言", "_x000D_", "\U0001f600", "_xD83D_", "a_x_b")]


def test_given_rows_out_of_order_when_a_workbook_is_read_then_it_is_refused(
    read: Callable[..., list[Table]],
) -> None:
    content = as_xlsx([("a",), ("b",)])
    with pytest.raises(BadTable, match="row 1 comes after row 1"):
        read(
            repacked(
                content,
                {"xl/worksheets/sheet1.xml": lambda sheet: sheet.replace(b'<row r="2"', b'<row r="1"')},
            )
        )


# DOCX


def test_given_merged_cells_in_a_document_when_it_is_read_then_each_has_the_value(
    read: Callable[..., list[Table]],
) -> None:
    def merge(document: Any) -> None:
        table = document.tables[0]
        table.cell(0, 0).merge(table.cell(0, 2))
        table.cell(1, 0).merge(table.cell(3, 0))

    rows = [("t", "", ""), ("北京市", "a", "1"), ("", "b", "2"), ("", "c", "3")]
    (table,) = read(as_docx(rows, change=merge))
    assert [tuple(cell.strip() for cell in row) for row in cells(table)] == [
        ("t", "t", "t"),
        ("北京市", "a", "1"),
        ("北京市", "b", "2"),
        ("北京市", "c", "3"),
    ]


def test_given_a_workbook_without_the_style_that_another_names_when_it_is_refused_then_nothing_is_printed(
    read: Callable[..., list[Table]], capfd: pytest.CaptureFixture[str]
) -> None:
    def without(styles: bytes) -> bytes:
        return re.sub(rb"<cellStyleXfs.*</cellStyleXfs>", b"", styles)

    with pytest.raises(BadTable, match="IndexError"):
        read(repacked(as_xlsx(LIST), {"xl/styles.xml": without}))
    assert capfd.readouterr() == ("", "")


def test_given_a_column_merged_over_2000_rows_when_it_is_read_then_every_row_has_it(
    read: Callable[..., list[Table]],
) -> None:
    first = "<w:tc><w:tcPr><w:vMerge{}/></w:tcPr><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    other = "<w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc>"
    lines = [first.format(' w:val="restart"', "京") + other] + [first.format("", "") + other] * 1_999
    xml = f"<w:tbl {nsdecls('w')}>{''.join(f'<w:tr>{line}</w:tr>' for line in lines)}</w:tbl>"
    (table,) = read(as_docx(change=lambda document: document.element.body.insert(0, parse_xml(xml))))
    assert {row.cells for row in table.rows} == {("京", "x")}
    assert len(table.rows) == 2_000


def test_given_tracked_changes_when_a_document_is_read_then_it_reads_as_if_they_were_accepted(
    read: Callable[..., list[Table]],
) -> None:
    def track(document: Any) -> None:
        table = document.tables[0]
        run = table.cell(1, 0).paragraphs[0].runs[0]._r
        inserted = OxmlElement("w:ins")
        run.addnext(inserted)
        new = deepcopy(run)
        new.find(qn("w:t")).text = "new"
        inserted.append(new)
        deleted = OxmlElement("w:del")
        run.addprevious(deleted)
        deleted.append(run)
        run.find(qn("w:t")).tag = qn("w:delText")
        gone = table.rows[2]._tr.get_or_add_trPr()
        gone.append(OxmlElement("w:del"))

    (table,) = read(as_docx([("a", "b"), ("old", "1"), ("gone", "2"), ("kept", "3")], change=track))
    assert cells(table) == [("a", "b"), ("new", "1"), ("kept", "3")]


def test_given_content_controls_and_raised_notes_when_a_document_is_read_then_nothing_is_lost(
    read: Callable[..., list[Table]],
) -> None:
    def wrap(document: Any) -> None:
        table = document.tables[0]
        table.cell(1, 0).paragraphs[0].add_run("1").font.superscript = True
        row = table.rows[1]._tr
        control, content = OxmlElement("w:sdt"), OxmlElement("w:sdtContent")
        row.addprevious(control)
        control.append(content)
        content.append(row)

    first, second = read(
        as_docx(
            [("a", "b"), ("文心一言", "1")], [("c",)], captions=["附件", "清单（2022年10月）"], change=wrap
        )
    )
    assert cells(first) == [("a", "b"), ("文心一言¹", "1")]
    assert (first.captions, second.captions) == (("附件", "清单（2022年10月）"), ())
    assert (first.number, second.number) == (1, 2)


def test_given_characters_with_their_reading_above_them_when_a_document_is_read_then_they_are_not_lost(
    read: Callable[..., list[Table]],
) -> None:
    def annotate(document: Any) -> None:
        ruby = (
            f"<w:r {nsdecls('w')}><w:ruby><w:rubyPr/><w:rt><w:r><w:t>wén</w:t></w:r></w:rt>"
            "<w:rubyBase><w:r><w:t>文</w:t></w:r></w:rubyBase></w:ruby><w:t>心一言</w:t></w:r>"
        )
        document.tables[0].cell(0, 0).paragraphs[0]._p.append(parse_xml(ruby))

    (table,) = read(as_docx([("", "b")], change=annotate))
    assert cells(table) == [("文心一言", "b")]


def test_given_a_table_in_a_cell_or_no_table_when_a_document_is_read_then_it_is_refused(
    read: Callable[..., list[Table]],
) -> None:
    with pytest.raises(BadTable, match="table 2, row 1 has a table inside a cell"):
        read(
            as_docx([("a",)], [("b",)], change=lambda document: document.tables[1].cell(0, 0).add_table(1, 1))
        )
    with pytest.raises(BadTable, match="no table"):
        read(as_docx())
    span = f'<w:tbl {nsdecls("w")}><w:tr><w:tc><w:tcPr><w:gridSpan w:val="99999"/></w:tcPr><w:p/></w:tc></w:tr></w:tbl>'
    with pytest.raises(BadTable, match="over 200 columns"):
        read(as_docx(change=lambda document: document.element.body.insert(0, parse_xml(span))))


def test_given_macros_when_a_file_is_read_then_its_tables_are_and_nothing_else(
    read: Callable[..., list[Table]],
) -> None:
    types = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    with_macros = types.replace(
        "openxmlformats-officedocument.wordprocessingml.document", "ms-word.document.macroEnabled"
    )
    macros: dict[str, Any] = {
        "word/vbaProject.bin": b"\xd0\xcf\x11\xe0",
        "[Content_Types].xml": lambda xml: xml.replace(types.encode(), with_macros.encode()),
    }
    (table,) = read(repacked(as_docx(LIST), macros))
    assert cells(table) == list(LIST)
    (table,) = read(repacked(as_xlsx(LIST), {"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0"}))
    assert cells(table) == list(LIST)


def test_given_a_document_that_a_browser_saved_when_it_is_read_then_its_main_part_is_found(
    read: Callable[..., list[Table]],
) -> None:
    content = as_docx(LIST)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        main = file.read("word/document.xml")
        rels = file.read("word/_rels/document.xml.rels")
    renamed: dict[str, Any] = {
        "word/document.xml": None,
        "word/_rels/document.xml.rels": None,
        "word/document2.xml": main,
        "word/_rels/document2.xml.rels": rels,
        "_rels/.rels": lambda xml: xml.replace(b"word/document.xml", b"word/document2.xml"),
        "[Content_Types].xml": lambda xml: xml.replace(b"/word/document.xml", b"/word/document2.xml"),
    }
    (table,) = read(repacked(content, renamed))
    assert cells(table) == list(LIST)


# Archives that are not what they seem

MAIN = {"xlsx": "xl/worksheets/sheet1.xml", "docx": "word/document.xml"}
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "laughter"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("format", MAIN)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("entities", [LAUGHS, OUTSIDE])
def test_given_entities_in_any_encoding_when_a_file_is_read_then_it_is_refused_before_it_is_parsed(
    read: Callable[..., list[Table]], format: str, encoding: str, entities: bytes
) -> None:
    def declared(xml: bytes) -> bytes:
        text = xml.decode().partition("?>")[2].replace("文心一言", "&a;") or "<x/>"
        return f'<?xml version="1.0" encoding="{encoding}"?>{entities.decode()}{text}'.encode(encoding)

    with pytest.raises(BadTable, match="declares a document type or entities"):
        read(repacked(WRITERS[format](LIST), {MAIN[format]: declared}))


@pytest.mark.parametrize("name", ["xl/sharedStrings.bin", "xl/worksheets/sheet9.XML", "word/part"])
def test_given_entities_in_a_part_of_any_name_when_a_file_is_read_then_it_is_refused(
    read: Callable[..., list[Table]], name: str
) -> None:
    with pytest.raises(BadTable, match="declares a document type or entities"):
        read(repacked(as_xlsx(LIST), {name: b'<?xml version="1.0"?>' + LAUGHS + b"<x/>"}))


@pytest.mark.parametrize("format", MAIN)
def test_given_the_strict_form_of_a_format_when_it_is_read_then_it_says_to_save_the_ordinary_one(
    read: Callable[..., list[Table]], format: str
) -> None:
    strict = lambda xml: xml.replace(  # noqa: E731  # it is one more change
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument",
        b"http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument",
    )
    with pytest.raises(BadTable, match=r"Strict .*save it as an ordinary XLSX or DOCX"):
        read(repacked(WRITERS[format](LIST), {"_rels/.rels": strict}))


def test_given_a_sheet_for_a_chart_when_a_workbook_is_read_then_the_sheets_of_cells_are_as_without_it(
    read: Callable[..., list[Table]],
) -> None:
    """A spreadsheet program keeps the sheet where its chart was removed; openpyxl failed at it (AttributeError)."""

    def chart(book: Any) -> None:
        book.create_chartsheet("Chart", index=0)
        book.worksheets[-1].print_title_rows = "1:1"  # told by the number of the sheet

    plain = read(as_xlsx([("a",), ("1",)], [("b",)]))
    assert [table.rows for table in read(as_xlsx([("a",), ("1",)], [("b",)], change=chart))] == [
        table.rows for table in plain
    ]


def test_given_a_workbook_without_a_sheet_of_cells_when_it_is_read_then_it_is_refused(
    read: Callable[..., list[Table]],
) -> None:
    none = lambda book: re.sub(rb"<sheet [^>]*/>", b"", book)  # noqa: E731  # it is one more change
    with pytest.raises(BadTable, match="no sheet"):
        read(repacked(as_xlsx(LIST), {"xl/workbook.xml": none}))


@pytest.mark.parametrize("entities", [LAUGHS, OUTSIDE])
@pytest.mark.parametrize("format", MAIN)
def test_given_entities_that_got_past_the_first_look_when_the_readers_meet_them_then_they_resolve_none(
    monkeypatch: pytest.MonkeyPatch, read: Callable[..., list[Table]], format: str, entities: bytes
) -> None:
    """The second line of defence: defusedxml under openpyxl, and a parser of lxml that resolves none under python-docx."""
    monkeypatch.setattr(archive, "_DECLARES", ())

    def declared(xml: bytes) -> bytes:
        text = xml.rpartition(b"?>")[2]
        return entities + (text.replace("文心一言".encode(), b"&a;") if format == "docx" else text)

    try:
        found = read(repacked(WRITERS[format](LIST), {MAIN[format]: declared}))
    except BadTable as error:
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__context__) is not None:
            causes.append(cause)
        assert "EntitiesForbidden" in {type(cause).__name__ for cause in causes}
    else:
        assert not any(word in str(found) for word in ("laughter", "root:"))


@pytest.mark.parametrize("format", MAIN)
def test_given_a_bomb_when_it_is_read_then_it_is_refused_before_it_expands(
    read: Callable[..., list[Table]], format: str
) -> None:
    blown_up = lambda xml: xml + b" " * (4 * 1024 * 1024)  # noqa: E731  # it is one more change
    with pytest.raises(BadTable, match="it is a bomb"):
        read(repacked(WRITERS[format](LIST), {MAIN[format]: blown_up}))


def test_given_a_directory_that_lies_about_sizes_when_it_is_read_then_what_comes_out_counts(
    read: Callable[..., list[Table]], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = as_xlsx(LIST)
    monkeypatch.setattr(archive, "EXPANDED_LIMIT", 4_000)
    with pytest.raises(BadTable, match="expand"):
        read(content)
    monkeypatch.setattr(archive, "_check_directory", lambda *_: None)
    with pytest.raises(BadTable, match="expands to over"):
        read(content)


def test_given_archives_that_no_office_program_writes_when_they_are_read_then_they_are_refused(
    read: Callable[..., list[Table]],
) -> None:
    def packed(names: list[str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", method) as file:
            for name in names:
                file.writestr(name, b"x")
        return content.getvalue()

    encrypted = bytearray(as_xlsx(LIST))
    at = encrypted.rindex(b"PK\x01\x02")
    encrypted[at + 8 : at + 10] = struct.pack("<H", 1)
    damaged = bytearray(as_docx(LIST))
    damaged[100:140] = bytes(40)
    for content, says in [
        (packed(["a.txt"]), "neither XLSX nor DOCX"),
        (packed(["content.xml"]), "OpenDocument"),
        (packed(["xl/workbook.bin"]), "XLSB"),
        (packed([f"{n}" for n in range(2_001)]), "2,001 members"),
        (packed(["a"], zipfile.ZIP_LZMA), "compressed in a way"),
        (encrypted, "encrypted"),
        (as_xlsx(LIST)[:-200], "broken"),
        (damaged, "broken"),
        (
            repacked(as_docx(LIST), {"word/document.xml": lambda xml: xml.replace(b"w:body", b"w:corpse")}),
            "no text",
        ),
        (packed(["word/document.xml"]), "not a readable DOCX"),
        (packed(["xl/workbook.xml"]), "not a readable XLSX"),
    ]:
        with pytest.raises(BadTable, match=says):
            read(content)
