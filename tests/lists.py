"""Lists as regulators publish them, written in every format that is read."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import docx
import openpyxl

Rows = Sequence[Sequence[object]]

FILED = ("序号", "属地", "模型名称", "备案单位", "备案号", "备案时间")
ERNIE = ("1", "北京市", "文心一言", "北京百度网讯科技有限公司", "Beijing-WenXinYiYan-20230821", "2023/8/31")
GLM = (
    "2",
    "北京市",
    "智谱清言（ChatGLM）",
    "北京智谱华章科技有限公司",
    "Beijing-ChatGLM-20230821",
    "2023/8/31",
)
YI = ("3", "北京市", "万知", "北京零一万物科技有限公司", "Beijing-WanZhi-20240104", "2024/1/17")
ALGORITHMS = ("序号", "算法名称", "角色", "主体名称", "应用产品", "主要用途", "备案编号", "备注")


def algorithm(
    number: str = "230013", remark: str = "", *, item: str = "甲算法", company: str = "甲公司"
) -> tuple[str, ...]:
    """A row of the algorithm registry."""
    return (
        "1",
        item,
        "服务提供者",
        company,
        "甲（APP）",
        "应用于甲场景",
        f"网信算备110101128387701{number}号",
        remark,
    )


def as_csv(rows: Rows, encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode(encoding)


def as_json(rows: Rows) -> bytes:
    titles, *others = rows
    return json.dumps([dict(zip(titles, row, strict=False)) for row in others], ensure_ascii=False).encode()


def as_xlsx(
    *sheets: Rows, merged: Sequence[str] = (), change: Callable[[Any], None] = lambda _: None
) -> bytes:
    """A workbook; `merged` are merged ranges of the first sheet, and `change` may do anything to the book."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sheet{number}")
        for at, row in enumerate(rows, start=1):
            for column, value in enumerate(row, start=1):
                if value != "":
                    cell = sheet.cell(at, column, value)
                    if isinstance(value, str):
                        cell.data_type = "s"  # a text that starts with = is a text
    for cells in merged:
        book.worksheets[0].merge_cells(cells)
    change(book)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def as_docx(
    *tables: Rows, captions: Sequence[str] = (), change: Callable[[Any], None] = lambda _: None
) -> bytes:
    """A document; `captions` are above the first table, and `change` may do anything to the document."""
    document = docx.Document()
    for caption in captions:
        document.add_paragraph(caption)
    for rows in tables:
        table = document.add_table(len(rows), max(map(len, rows)))
        for row, cells in zip(table.rows, rows, strict=True):
            for cell, value in zip(row.cells, cells, strict=False):
                cell.text = str(value)
        document.add_paragraph()
    change(document)
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def repacked(
    content: bytes, changes: Mapping[str, bytes | Callable[[bytes], bytes] | None], **how: Any
) -> bytes:
    """An archive with members changed, added, or with None left out."""
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in [*old.namelist(), *(name for name in changes if name not in old.namelist())]:
            change = changes.get(name, _unchanged)
            data = old.read(name) if name in old.namelist() else b""
            if change is not None:
                new.writestr(name, change if isinstance(change, bytes) else change(data))
    return result.getvalue()


def _unchanged(content: bytes) -> bytes:
    return content


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    "csv": as_csv,
    "xlsx": as_xlsx,
    "docx": as_docx,
    "json": as_json,
}
