"""Tables to rows, dates, remarks and events: what each row is understood as, and that every row is counted once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approval_ledger.importing import dates, lists, mapping, remarks, titles
from approval_ledger.importing.lists import Options, Understood
from approval_ledger.importing.mapping import BadMapping, Mapping
from events.catalog import ApprovalAmended, ApprovalGranted, ApprovalRevoked

from .lists import ALGORITHMS, ERNIE, FILED, GLM, WRITERS, YI, Rows, algorithm, as_csv, as_docx, as_xlsx
from .long import examples, only_long

Understand = Callable[..., list[Understood]]


@pytest.fixture
def understand(tmp_path: Path) -> Understand:
    """The tables of a file with these rows, understood."""

    def understand(content: bytes | Rows, *known: Mapping, **options: str) -> list[Understood]:
        path = tmp_path / "list"
        path.write_bytes(content if isinstance(content, bytes) else as_csv(content))
        found, refusals = lists.read(path, known or mapping.shipped(), Options(**options))
        assert not refusals
        for table in found:
            counted = table.header + table.empty + len(table.notes) + table.data + table.refused
            assert counted == len(table.table.rows)
        return found

    return understand


def one(tables: list[Understood]) -> Understood:
    (table,) = tables
    return table


def grants(table: Understood) -> list[ApprovalGranted]:
    return [fact.event.data for fact in table.facts if isinstance(fact.event.data, ApprovalGranted)]


def names(table: Understood) -> list[str]:
    return [grant.item.name for grant in grants(table)]


# Headers


@pytest.mark.parametrize(
    "header",
    [
        FILED,
        ("序号", "属地", "大模型名称", "备案单位", "备案编号", "备案时间"),
        (" 序 号", "属\n地", "模型名称（中文）", "备案单位*", "备案号：", "备案日期"),
        ("序号", "省份", "服务名称", "单位名称", "ＢＥＩ", "通过时间"),
        ("序号", "属地省份", "服务名称", "单位名称", "备案号", "通过时间"),
        ("序号", "所属省份", "服务名称", "单位名称", "备案号", "通过时间"),
        ("序号", "地区", "服务名称", "单位名称", "备案号", "通过时间"),
    ],
)
def test_given_titles_of_any_edition_when_a_list_is_read_then_its_columns_are_found(
    understand: Understand, header: tuple[str, ...]
) -> None:
    header = tuple("备案证号" if title == "ＢＥＩ" else title for title in header)
    table = one(understand([header, ERNIE, GLM]))
    assert names(table) == ["文心一言", "智谱清言（ChatGLM）"]
    (grant, _) = grants(table)
    assert (grant.authority, grant.instrument, grant.unit) == ("CAC", "filing", "service")
    assert grant.item.registry_number == ERNIE[4]
    assert grant.company.name == ERNIE[3]
    assert (grant.approved_on, grant.region) == ("2023-08-31", "北京市")


def test_given_columns_in_another_order_when_a_list_is_read_then_they_are_found_by_title(
    understand: Understand,
) -> None:
    backwards = [tuple(reversed(row)) for row in (FILED, ERNIE)]
    assert grants(one(understand(backwards)))[0].company.name == ERNIE[3]


def test_given_a_preamble_repeated_headers_empty_rows_and_footnotes_when_a_list_is_read_then_each_is_counted(
    understand: Understand,
) -> None:
    rows = [
        ("附件1",),
        ("生成式人工智能服务已备案信息", "（2024年3月28日）"),
        FILED,
        ERNIE,
        (),
        ("第二页",),
        FILED,
        GLM,
        ("注：以上信息由各地网信办提供。",),
        ("备注", "*为补登"),
    ]
    table = one(understand(rows))
    assert (table.header, table.empty, len(table.notes), table.data, table.refused) == (2, 1, 5, 2, 0)
    assert [row for row, _ in table.notes] == [1, 2, 6, 9, 10]


def test_given_two_header_rows_with_merged_titles_when_a_list_is_read_then_the_lower_one_counts(
    understand: Understand,
) -> None:
    upper = ("序号", "属地", "模型名称", "备案单位", "备案信息", "")
    lower = ("", "", "", "", "备案号", "备案时间")
    merged = ["A1:A2", "B1:B2", "C1:C2", "D1:D2", "E1:F1"]
    table = one(understand(as_xlsx([upper, lower, ERNIE], merged=merged)))
    assert (table.header, table.data, table.refused) == (2, 1, 0)


def test_given_two_tables_in_one_sheet_when_they_are_read_then_each_has_its_own_columns(
    understand: Understand,
) -> None:
    registered = ("序号", "属地", "应用名称", "登记单位", "上线编号", "登记时间")
    row = (
        "1",
        "上海市",
        "给力问答",
        "上海优司服信息科技有限公司",
        "Shanghai-GeiLiWenDa-20240729S0019",
        "2024/7/29",
    )
    for between in ([], [()], [(), ("二、已登记信息",)]):
        table = one(understand(as_xlsx([FILED, ERNIE, *between, registered, row])))
        assert [(grant.instrument, grant.unit) for grant in grants(table)] == [
            ("filing", "service"),
            ("registration", "application"),
        ]
        assert table.refused == 0


def test_given_several_tables_in_a_document_and_numbers_that_word_makes_when_it_is_read_then_all_rows_are_there(
    understand: Understand,
) -> None:
    unnumbered = [("", *row[1:]) for row in (ERNIE, GLM)]
    first, second = understand(as_docx([FILED, *unnumbered], [FILED, YI]))
    assert (first.data, second.data) == (2, 1)


def test_given_a_province_that_is_merged_over_its_rows_when_a_list_is_read_then_each_row_has_it(
    understand: Understand,
) -> None:
    rows = [FILED, ERNIE, (GLM[0], "", *GLM[2:])]
    assert [g.region for g in grants(one(understand(as_xlsx(rows, merged=["B2:B3"]))))] == [
        "北京市",
        "北京市",
    ]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([ERNIE, GLM], "has no row that is a header"),
        ([("company", "model"), ("Baidu", "Ernie")], "'company', 'model'.*docs/importing.md"),
        ([FILED[:5], ERNIE[:5]], "has no row that is a header"),
        ([(*FILED, "大模型名称"), ERNIE], "2 columns for item: '模型名称' and '大模型名称'"),
        ([(*FILED[:5], "备案号", FILED[5]), ERNIE], "2 columns for number: '备案号' and '备案号'"),
        ([(*FILED, *(f"t{n}" for n in range(40))), ERNIE], "46 columns"),
    ],
)
def test_given_a_table_without_a_header_or_with_two_columns_for_one_field_when_it_is_read_then_the_titles_are_named(
    understand: Understand, rows: Rows, says: str
) -> None:
    table = one(understand(rows))
    assert table.refused == len(rows)
    (refusal,) = table.refusals
    assert re.search(says, refusal.reason)


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        (("3", "北京市", "", "公司", "X-1", "2023/8/31"), "模型名称", "is empty"),
        (
            ("3", "北京市", "--", "公司", "X-1", "2023/8/31"),
            "模型名称",
            "is empty: '--' means that there is nothing",
        ),
        (
            ("3", "北京市", "万知", "公司", "——", "2023/8/31"),
            "备案号",
            "is empty: '——' means that there is nothing",
        ),
        (
            ("3", "北京市", "万知", "公司", "X-1", "/"),
            "备案时间",
            "is empty: '/' means that there is nothing",
        ),
        (("3", "北京市", "万知", "公司", "", "2023/8/31"), "备案号", "is empty"),
        (("3", "北京市", "万知", "公司", "待定", "2023/8/31"), "备案号", "has no digit|no registry number"),
        (
            ("3", "北京市", "万知", "公司", "3.20115E+20", "2023/8/31"),
            "备案号",
            "has rounded",
        ),
        (("3", "北京市", "万知", "公司", "3.20115e20", "2023/8/31"), "备案号", "has rounded"),
        (("", "", "注意力大模型", "某公司", "", ""), "备案号", "is empty"),
        (("", "", "注：模型", "某公司", "", ""), "备案号", "is empty"),
        (("", "", "注意力大模型"), "模型名称|备案单位", "is empty"),
        (("3", "北京市", "万知", "公司", "X-1", "2023.1"), "备案时间", "October"),
        (("3", "北京市", "万知", "公司", "X-1", "2023-02-30"), "备案时间", "no such day"),
        (("3", "北京市", "万知", "公司", "X-1", "8/31/2023"), "备案时间", "which is the day"),
        (("3", "北京市", "万知", "公司", "X-1", "9999/1/1"), "备案时间", "future"),
        (("3", "北京市", "万知", "公司", "X-1", "2024/1/22、2024/1/23"), "备案时间", "several dates"),
        (("3", "北京市", "万知", "公司", "X-1", "2024年1月至3月"), "备案时间", "several dates"),
        (
            ("3", "北京市", "万知", "公司", "X-1", "2024/1/22 变更"),
            "备案时间",
            "words next to the date: write them in brackets",
        ),
        (("3", "北京市", "万\u202e知", "公司", "X-1", "2023/8/31"), "模型名称", "U\\+202E"),
        (("3", "北京市", "知" * 201, "公司", "X-1", "2023/8/31"), "模型名称", "200 characters.*move"),
        (("3", "北京市", "万知", "公司", "X-1", "2023/8/31", "更多"), "column 7", "beyond the last title"),
        (("3",), "", ""),
        (("北京市",) * 2, "", ""),
        (("3", "北" * 2_001, "万知", "公司", "X-1", "2023/8/31"), "属地", "characters"),
    ],
)
def test_given_a_bad_row_when_a_list_is_read_then_it_is_refused_with_its_row_and_column(
    understand: Understand, row: tuple[str, ...], column: str, says: str
) -> None:
    table = one(understand([FILED, ERNIE, row, GLM]))
    (refusal,) = table.refusals
    assert (refusal.table, refusal.row) == (1, 3)
    assert not column or refusal.column in column.split("|")
    assert re.search(says, refusal.reason)
    assert names(table) == ["文心一言", "智谱清言（ChatGLM）"]


def test_given_a_table_that_stands_apart_from_the_margin_when_it_is_read_then_its_footnotes_are_notes(
    understand: Understand,
) -> None:
    rows = [("", "", *row) for row in (FILED, ERNIE, ("各地网信办提供",))]
    table = one(understand(as_xlsx([(), (), *rows])))
    assert (table.empty, table.header, table.data, len(table.notes)) == (2, 1, 1, 1)
    assert list(grants(table)[0].published or {}) == list(FILED)


def test_given_rows_above_the_header_that_look_like_data_when_a_list_is_read_then_they_are_not_dropped(
    understand: Understand,
) -> None:
    table = one(understand([ERNIE, FILED, GLM]))
    assert (table.data, table.refused) == (1, 1)
    assert "above the header" in table.refusals[0].reason


def test_given_an_unknown_header_inside_a_list_without_dates_when_it_is_read_then_it_is_no_filing(
    understand: Understand,
) -> None:
    header = ("序号", "名目", "角色", "甲方", "应用产品", "主要用途", "证号", "附言")
    table = one(understand([ALGORITHMS, algorithm(), header, algorithm("230021")], published_on="2024"))
    assert (table.data, table.refused) == (2, 1)


def test_given_a_second_header_that_lacks_a_column_when_a_list_is_read_then_its_rows_are_not_read_by_the_first(
    understand: Understand,
) -> None:
    second = ("序号", "模型名称", "属地", "备案单位", "备案号", "日子")
    table = one(understand([FILED, ERNIE, second, GLM, FILED, YI]))
    assert [refusal.row for refusal in table.refusals] == [3, 4]
    assert names(table) == ["文心一言", "万知"]


def test_given_a_list_of_two_columns_when_a_name_begins_like_a_footnote_then_it_is_a_row(
    understand: Understand,
) -> None:
    text = MAPPING.replace('required = ["item", "company", "date"]', 'required = ["item", "company"]')
    known = mapping.load(text.replace('date = ["Day"]\n', "").encode(), "x")
    rows = [("Model", "Firm"), ("说明书助手", "A"), ("来源：B", ""), ("*", "x")]
    table = one(understand(rows, known, published_on="2024"))
    assert names(table) == ["说明书助手"]
    assert (len(table.notes), table.refused) == (1, 1)


@pytest.mark.parametrize("row", [("合计", "", "2个"), ("总计：", "", "", "2 家"), ("Total", "", "", "", "2")])
def test_given_a_last_row_that_counts_the_others_when_a_list_is_read_then_it_is_a_note(
    understand: Understand, row: tuple[str, ...]
) -> None:
    table = one(understand([FILED, ERNIE, GLM, row]))
    assert (table.data, len(table.notes), table.refused) == (2, 1, 0)


@pytest.mark.parametrize("row", [("合计", "", "文心一言"), ("来源", "", "2个"), ("3", "合计", "2个")])
def test_given_a_row_with_a_name_or_without_the_word_for_a_total_when_a_list_is_read_then_it_is_no_note(
    understand: Understand, row: tuple[str, ...]
) -> None:
    table = one(understand([FILED, ERNIE, GLM, row]))
    assert (table.data, len(table.notes), table.refused) == (2, 0, 1)


def test_given_an_empty_sheet_beside_a_list_when_a_workbook_is_read_then_nothing_is_said_of_it(
    understand: Understand,
) -> None:
    first, second = understand(as_xlsx([FILED, ERNIE], []))
    assert (first.data, len(second.table.rows), second.refused) == (1, 0, 0)


def test_given_a_sheet_of_explanations_when_a_workbook_is_read_then_it_is_notes(
    understand: Understand,
) -> None:
    _, second = understand(as_xlsx([FILED, ERNIE], [("填表说明",), (), ("一、本表由各地网信办填写。",)]))
    assert (len(second.notes), second.empty, second.refused) == (2, 1, 0)


@only_long
@pytest.mark.parametrize(
    "rows",
    [
        [(f"说明{n}",) for n in range(20_000)] + [FILED],
        [FILED] * 5_000,
        [FILED, *[(*ERNIE[:2], "*" * 30_000 + "x", *ERNIE[3:])] * 100],
        [(*FILED, "备注"), *[(*ERNIE, "主体" * 15_000)] * 100],
        [(*FILED, "备注"), *[(*ERNIE, "主体" * 1_000)] * 30],
        [FILED, *[(*ERNIE[:5], "(" * 30_000)] * 100],
        [(*("x" * 50,) * 199, "y")] * 1_000,
    ],
    ids=["headings", "headers", "marks", "long remarks", "remarks", "brackets", "titles"],
)
def test_given_rows_made_to_be_slow_when_they_are_read_then_they_are_not(
    understand: Understand, rows: Rows
) -> None:
    """Each of these would take minutes were a row's work not bounded; no clock judges it but the reader's patience."""
    assert understand(rows)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "|".join(FILED).encode() + b"\n" + "|".join(ERNIE).encode(),
            "divided by commas, semicolons or tabs",
        ),
        (
            "，".join(FILED).encode() + b"\n" + "，".join(ERNIE).encode(),
            "divided by commas, semicolons or tabs",
        ),
        ("这里没有表格。\n".encode() * 3, "It begins with '这里没有表格。'"),
        (b"[]", "no row with a text"),
        (as_xlsx([]), "no row with a text"),
        (as_xlsx([("填表说明",)], [("第二页",)]), "no row that is a header. It begins with '填表说明'"),
        (b",,\n,,\n", "no row with a text"),
    ],
)
def test_given_a_file_without_any_table_when_it_is_read_then_it_is_refused_and_no_success(
    tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "list").write_bytes(content)
    _, (refusal,) = lists.read(tmp_path / "list", mapping.shipped(), Options())
    assert says in refusal.reason


# Cells


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("文心\n一言", "文心一言"),
        (" Ernie\n Bot ", "Ernie Bot"),
        ("文心一言①", "文心一言"),
        ("文心一言*", "文心一言"),
        ("文心一言¹", "文心一言"),
        ("文心一言[1]", "文心一言"),
        ("文心一言（注1）", "文心一言"),
        ("文心一言（注：原名文心）", "文心一言"),
        ("Ernie (note 1)", "Ernie"),
        ("ＧＬＭ－４", "ＧＬＭ－４"),
        ("智谱清言（ChatGLM）", "智谱清言（ChatGLM）"),
        ("X（2024）", "X（2024）"),
        ("C#", "C#"),
        ("Q*", "Q*"),
        ("日记（Note）", "日记（Note）"),
        ("文心一言（注）", "文心一言"),
    ],
)
def test_given_a_name_with_line_breaks_and_notes_when_it_is_read_then_the_name_is_clean_and_the_cell_is_kept(
    understand: Understand, cell: str, name: str
) -> None:
    table = one(understand([FILED, ("1", "北京市", cell, *ERNIE[3:])]))
    assert names(table) == [name]
    published = grants(table)[0].published
    assert published is not None
    assert published["模型名称"] == cell
    assert list(published) == list(FILED)


@pytest.mark.parametrize(
    ("text", "on", "notes"),
    [
        ("2023/8/31", "2023-08-31", ()),
        ("2023-8-31", "2023-08-31", ()),
        ("2023.08.31", "2023-08-31", ()),
        ("2023年8月31日", "2023-08-31", ()),
        ("2023 年 8 月 31 日", "2023-08-31", ()),
        ("２０２３／８／３１", "2023-08-31", ()),
        ("20230831", "2023-08-31", ()),
        ("2023-08-31 00:00:00", "2023-08-31", ()),
        ("2023-08-31T09:30:00", "2023-08-31", ()),
        ("2023/8/3 10:00", "2023-08-03", ()),
        ("2023/8/31 0:00", "2023-08-31", ()),
        ("2024/1\n/2", "2024-01-02", ()),
        ("2023年8月", "2023-08", ()),
        ("2023-08", "2023-08", ()),
        ("2023年", "2023", ()),
        ("2024/1/2（补登）", "2024-01-02", ("补登",)),
        ("2024/1/2 补登", "2024-01-02", ("补登",)),
        ("2024/1/2\n(变更)", "2024-01-02", ("变更",)),
        ("2024年1月  (变更)  2 日", "2024-01-02", ("变更",)),
    ],
)
def test_given_a_date_in_any_of_its_forms_when_it_is_read_then_it_is_as_exact_as_the_cell(
    text: str, on: str, notes: tuple[str, ...]
) -> None:
    assert dates.read(text) == dates.Dated(on, notes)


@pytest.mark.parametrize(
    "text",
    ["2023-02-30", "2023/13/1", "8/31/2023", "31.8.2023", "3/4/23", "23/8/31", "45169", "202308", "八月", "2024/1/2、2024/1/3", "1024/1/1", "2023/8-31", "2024/1/2.5", "2023/8/3 1", "2023/8/3\n1", "2023/8/3  1", "2023/8/3(x)1", "2023/1(x)1", "2023/1 补登 1", "2023(x)(y)1231", "2023/8/1①", "2023/8/1²", "2023年8月①"],
)  # fmt: skip
def test_given_a_date_that_is_none_or_could_be_two_when_it_is_read_then_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such|write|before|format"):
        dates.read(text)


@pytest.mark.parametrize(
    "text", ["2024. 3. 28.", "2024-03-28T00:00:00+09:00", "2024-03-28, 10:00", "2023/8-31"]
)
def test_given_what_is_no_date_though_its_year_is_first_when_it_is_read_then_it_is_not_told_to_write_that_first(
    text: str,
) -> None:
    with pytest.raises(ValueError, match="is not a date: write it as"):
        dates.read(text)


# Remarks


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("", []),
        ("已注销", [("revoked", None, None, None)]),
        ("已于2024年8月5日注销", [("revoked", None, None, "2024-08-05")]),
        ("2024年8月，已注销备案", [("revoked", None, None, "2024-08")]),
        ("2024 年 8 月 5 日 已注销", [("revoked", None, None, "2024-08-05")]),
        ("补登", []),
        ("已注销（２０２４年８月）", [("revoked", None, None, "2024-08")]),
        ("原主体名称“甲（北京）公司”变更为“乙,公司”", [("holder", "甲（北京）公司", "乙,公司", None)]),
        ("2024年8月，变更内容：主体名称由甲公司变更为乙公司，新增产品卓瞻(网站)",
         [("holder", "甲公司", "乙公司", "2024-08"), ("product", None, None, "2024-08")]),
        ("主体变更：由甲公司变更为乙公司", [("holder", "甲公司", "乙公司", None)]),
        ("2022年9月更新备案主体名称", [("holder", None, None, "2022-09")]),
        ("变更内容：算法名称原“甲”变更为“乙”，关联产品“丙(APP)”变更为“丁(APP)”",
         [("item", "甲", "乙", None), ("product", "丙(APP)", "丁(APP)", None)]),
        ("2023年4月、12月新增算法使用产品", [("product", None, None, "2023")]),
        ("变更内容：产品变更", [("product", None, None, None)]),
        ("已注销；原主体名称“甲”变更为“乙”", [("holder", "甲", "乙", None), ("revoked", None, None, None)]),
        ("已注销，2024年8月5日", [("revoked", None, None, "2024-08-05")]),
        ("已注销\n2024年8月5日", [("revoked", None, None, "2024-08-05")]),
        ("2024年8月5日\n已注销", [("revoked", None, None, "2024-08-05")]),
        ("已注销\u200b", [("revoked", None, None, None)]),
        ("已注销，2024年8月5日\u200b", [("revoked", None, None, "2024-08-05")]),
        ("\ufeff2024年8月5日已注销", [("revoked", None, None, "2024-08-05")]),
        ("原主体名称“甲\u2060公司”变更为“乙\u00ad公司”", [("holder", "甲公司", "乙公司", None)]),
        ("2024年7月1日更新产品，已注销", [("product", None, None, "2024-07-01"), ("revoked", None, None, None)]),
        ("2024年7月1日更新产品，2024年8月5日，已注销",
         [("product", None, None, "2024-07-01"), ("revoked", None, None, "2024-08-05")]),
    ],
)  # fmt: skip
def test_given_a_remark_when_it_is_read_then_it_is_what_became_of_the_approval(
    text: str, changes: list[tuple[str | None, ...]]
) -> None:
    remark = remarks.read(text)
    assert [(change.kind, change.old, change.new, change.on) for change in remark.changes] == changes
    assert remark.left == ""


@pytest.mark.parametrize(
    "text",
    [
        "拟注销",
        "2023年8月已注销，2024年8月恢复备案",
        "主体已注销",
        "未注销",
        "2023年12月更新算法机制机理",
        "另见附件二",
    ],
)
def test_given_a_remark_of_something_else_when_it_is_read_then_it_is_not_understood(text: str) -> None:
    assert remarks.read(text).changes == ()
    assert remarks.read(text).left


@settings(max_examples=examples(100))
@given(st.text("原主体名称变更为注销已“”，；。（）(APP)新增产品由甲乙2023年8月、\n", max_size=60))
def test_given_any_remark_when_it_is_read_then_names_are_parts_of_it(text: str) -> None:
    try:
        remark = remarks.read(text)
    except ValueError:
        return  # a day that is none
    shown = remarks.laid_out(text)
    for change in remark.changes:
        assert (change.old or "") in shown
        assert (change.new or "") in shown


@pytest.mark.parametrize("run", [" ", "\u3000", "“", '"', "原", "变更", "：", "、1月", "新增", "1"])
@pytest.mark.parametrize("start", ["主体", "算法名称", "产品", "主体名称“甲”", "2024年8月", "已注销"])
def test_given_a_remark_of_one_thing_2000_times_when_it_is_read_then_it_ends(start: str, run: str) -> None:
    """Each of these would take minutes were a pattern to try every division of a run; a reader's patience judges."""
    text = (start + run * 2_000)[:1_999] + "x"
    assert all(change.said in text for change in remarks.read(text).changes)


def test_given_a_cancellation_of_which_no_date_is_the_own_when_a_list_is_read_then_that_is_listed(
    understand: Understand,
) -> None:
    row = algorithm(remark="2024年7月1日更新产品，已注销")
    table = one(understand([ALGORITHMS, row], published_on="2024-09", title="算法备案清单（2022年10月）"))
    end = table.facts[-1].event.data
    assert isinstance(end, ApprovalRevoked)
    assert end.revoked_on == "2024-09"
    assert [words for _, words in table.not_understood] == [
        "已注销 (no date is beside it: --published-on is taken)"
    ]


def test_given_a_cancellation_before_its_approval_when_a_list_is_read_then_it_is_kept_and_listed(
    understand: Understand,
) -> None:
    table = one(understand([(*FILED, "备注"), (*ERNIE, "2022年8月5日已注销")]))
    assert len(table.facts) == 2
    assert [words for _, words in table.not_understood] == [
        "2022年8月5日已注销 (doubtful: it ended on 2022-08-05, before the approval on 2023-08-31)"
    ]


def test_given_a_renamed_holder_when_a_list_is_read_then_the_grant_is_to_the_first_and_the_amendment_to_the_last(
    understand: Understand,
) -> None:
    remark = "原主体名称“甲公司”变更为“乙公司”；2024年8月，原主体名称“乙公司”变更为“丙公司”"
    table = one(understand([ALGORITHMS, algorithm(remark=remark, company="丙公司")], published_on="2024-09"))
    grant, first, second = (fact.event.data for fact in table.facts)
    assert isinstance(grant, ApprovalGranted)
    assert isinstance(first, ApprovalAmended)
    assert isinstance(second, ApprovalAmended)
    assert grant.company.name == "甲公司"
    assert [(a.changes.company and a.changes.company.name, a.amended_on) for a in (first, second)] == [
        ("乙公司", None),
        ("丙公司", "2024-08"),
    ]
    assert grant.published == first.published
    assert not table.not_understood


def test_given_a_remark_that_names_another_holder_than_the_row_when_a_list_is_read_then_it_is_listed(
    understand: Understand,
) -> None:
    remark = "原主体名称“甲公司”变更为“乙公司”"
    table = one(understand([ALGORITHMS, algorithm(remark=remark, company="丁公司")], published_on="2024-09"))
    assert [grant.company.name for grant in grants(table)] == ["丁公司"]
    assert [words for _, words in table.not_understood] == [f"{remark} (the row names another)"]


def test_given_a_cancelled_row_without_a_date_when_a_list_is_read_then_it_says_to_give_one(
    understand: Understand,
) -> None:
    content = as_docx(
        [ALGORITHMS, algorithm(remark="已注销")], captions=["附件2", "境内算法备案清单（2022年10月）"]
    )
    table = one(understand(content))
    assert "--published-on" in table.refusals[0].reason
    assert table.refusals[0].column == "备注"
    table = one(understand(content, published_on="2024-09"))
    grant, end = table.facts
    assert isinstance(grant.event.data, ApprovalGranted)
    assert isinstance(end.event.data, ApprovalRevoked)
    assert (grant.event.data.approved_on, end.event.data.revoked_on) == ("2022-10", "2024-09")
    assert (grant.assumed, end.assumed) == (
        frozenset({"region", "batch", "reason"}),
        frozenset({"revoked_on"}),
    )
    assert grant.event.data.source.title == "境内算法备案清单（2022年10月）"
    assert grant.event.subject == end.event.subject


def test_given_two_headings_in_one_sheet_when_it_is_read_then_each_part_has_the_month_of_its_own(
    understand: Understand,
) -> None:
    rows = [
        ("算法备案清单（2022年8月）",), ALGORITHMS, algorithm("1"), ALGORITHMS, algorithm("2"),
        ("算法备案清单（2022年10月）",), ALGORITHMS, algorithm("3"),
    ]  # fmt: skip
    assert [grant.approved_on for grant in grants(one(understand(rows)))] == ["2022-08", "2022-08", "2022-10"]


def test_given_no_date_anywhere_when_a_list_is_read_then_it_is_refused_unless_the_publication_is_known(
    understand: Understand,
) -> None:
    rows = [ALGORITHMS, algorithm()]
    assert "has no date" in one(understand(rows)).refusals[0].reason
    assert grants(one(understand(rows, published_on="2024-09")))[0].approved_on == "2024-09"
    assert grants(one(understand(rows, title="算法备案清单（2022年8月）")))[0].approved_on == "2022-08"


@pytest.mark.parametrize(
    ("captions", "on"),
    [
        (["根据2022年3月施行的规定，现公布备案清单", "算法备案清单（2022年10月）"], "2022-10"),
        (["算法备案清单（2022年10月）", "根据2022年3月施行的规定，现公布备案清单"], "2022-10"),
        (["根据2022年3月施行的规定，现公布备案清单（2022年10月）"], "2022-10"),
        (["算法备案清单 2022年10月"], "2022-10"),
        (["根据2022年3月施行的规定，现公布备案清单"], None),
        (["算法备案清单（2022年10月）", "算法备案清单（2022年8月）"], None),
        (["算法备案清单（2022年10月、11月）"], None),
        (["算法备案清单（2022年10月至12月）"], None),
        (["算法备案清单（2022年10月1日－15日）"], None),
        (["2022年10月和11月算法备案清单"], None),
    ],
)
def test_given_a_sentence_that_names_a_month_when_a_list_is_read_then_only_a_heading_dates_it(
    understand: Understand, captions: list[str], on: str | None
) -> None:
    content = as_docx([ALGORITHMS, algorithm()], captions=captions)
    table = one(understand(content))
    assert [grant.approved_on for grant in grants(table)] == ([on] if on else [])
    assert on or re.search("--title|--published-on", table.refusals[0].reason)
    title = "算法备案清单（2022年9月）"
    assert [grant.approved_on for grant in grants(one(understand(content, title=title)))] == ["2022-09"]


# Columns that say that an approval ended


@pytest.mark.parametrize(
    ("status", "day", "remark", "ends", "listed"),
    [
        ("", "2024/8/5", "", ["2024-08-05"], 0),
        ("已注销", "", "", ["2025"], 0),
        ("已注销", "2024/8/5", "2024年8月5日已注销", ["2024-08-05"], 0),
        ("已注销", "2024/8/5", "2024年8月6日已注销", ["2024-08-05"], 1),
        ("正常", "", "", [], 0),
        ("已备案", "-", "", [], 0),
        ("暂停", "", "", [], 1),
    ],
)
def test_given_columns_of_states_and_ends_when_a_list_is_read_then_they_act_like_one_remark(
    understand: Understand, status: str, day: str, remark: str, ends: list[str], listed: int
) -> None:
    rows = [(*FILED, "备案状态", "注销日期", "备注"), (*ERNIE, status, day, remark)]
    table = one(understand(rows, published_on="2025"))
    found = [fact.event.data for fact in table.facts]
    assert [data.revoked_on for data in found if isinstance(data, ApprovalRevoked)] == ends
    assert len(table.not_understood) == listed
    assert table.data == 1


def test_given_an_end_that_no_date_is_when_a_list_is_read_then_its_column_is_named(
    understand: Understand,
) -> None:
    (refusal,) = one(understand([(*FILED, "注销日期"), (*ERNIE, "去年")])).refusals
    assert refusal.column == "注销日期"
    (refusal,) = one(understand([(*FILED, "注销日期"), (*ERNIE, "9999/1/1")])).refusals
    assert refusal.column == "注销日期"
    (refusal,) = one(understand([(*FILED, "备注"), (*ERNIE, "9999年1月1日已注销")])).refusals
    assert (refusal.column, "future" in refusal.reason) == ("备注", True)


def test_given_a_list_of_ends_when_it_is_read_then_its_column_of_ends_is_its_date(
    understand: Understand,
) -> None:
    rows: Rows = [
        ("序号", "算法名称", "主体名称", "备案编号", "注销日期"),
        ("1", "甲", "甲公司", "网信算备1号", "2024/8/5"),
    ]
    (fact,) = one(understand(rows)).facts
    assert isinstance(fact.event.data, ApprovalRevoked)
    rows = [
        ("序号", "算法名称", "主体名称", "备案编号", "备案时间", "注销日期"),
        ("1", "甲", "甲公司", "网信算备1号", "2023/8/5", ""),
    ]
    (fact,) = one(understand(rows)).facts
    assert isinstance(fact.event.data, ApprovalGranted)


# Batches


@pytest.mark.parametrize(
    ("cell", "batch"),
    [
        ("4", 4),
        ("０４", 4),
        ("4①", 4),
        ("4²", 4),
        ("4（注1）", 4),
        ("第四批", "第四批"),
        ("Batch 4", "Batch 4"),
        ("0", "0"),
        ("2024", "2024"),
        ("20240126", "20240126"),
        ("", None),
    ],
)
def test_given_a_column_of_batches_when_a_list_is_read_then_a_number_is_the_ordinal_and_a_year_is_none(
    understand: Understand, cell: str, batch: int | str | None
) -> None:
    known = mapping.load(f'{MAPPING}batch = ["Batch"]'.encode(), "x")
    table = one(understand([("Model", "Firm", "Day", "Batch"), ("A", "B", "2024-01-20", cell)], known))
    assert [grant.batch for grant in grants(table)] == [batch]


# Identity


def test_given_dashes_and_invisible_characters_when_rows_are_read_then_they_are_one_identity(
    understand: Understand,
) -> None:
    numbers = ("Beijing-X-1", "Beijing–X–1", "Beijing\u2011X\u20111", "Beijing-\u200bX-1")
    table = one(understand([FILED, *((*ERNIE[:4], number, ERNIE[5]) for number in numbers)]))
    assert {fact.event.id for fact in table.facts} == {"beijing-x-1"}
    assert {grant.item.registry_number for grant in grants(table)} == {"Beijing-X-1"}
    assert [(grant.published or {})["备案号"] for grant in grants(table)] == list(numbers)


def test_given_one_number_written_in_several_ways_when_it_is_read_then_it_is_one_identity(
    understand: Understand,
) -> None:
    numbers = ("ZheJiang-X-20240116", "Zhejiang-X-20240116", "Ｚｈｅｊｉａｎｇ－X-\n20240116")
    rows = [(*ERNIE[:4], number, ERNIE[5]) for number in numbers]
    table = one(understand([FILED, *rows]))
    assert {fact.event.id for fact in table.facts} == {"zhejiang-x-20240116"}
    assert {fact.event.source for fact in table.facts} == {"urn:regulator:cac:genai-filings"}
    assert {fact.event.subject for fact in table.facts} == {"CAC/filing/service/zhejiang-x-20240116"}
    assert {fact.event.time for fact in table.facts} == {None}


def test_given_long_names_and_no_number_when_a_row_is_read_then_its_id_is_short_and_its_own(
    understand: Understand,
) -> None:
    known = mapping.load(MAPPING.replace('number = ["No"]', "").encode(), "x")
    rows = [("Model", "Firm", "Day"), ("模" * 200, "A", "2024-01-01"), ("模" * 200, "B", "2024-01-01")]
    first, second = one(understand(rows, known)).facts
    assert first.event.id != second.event.id
    assert first.event.id.startswith("sha256:")


def test_given_terms_so_long_that_no_subject_holds_them_when_rows_are_read_then_each_has_a_subject_of_its_own(
    understand: Understand,
) -> None:
    known = mapping.load(MAPPING.replace('"ICO"\ninstrument', f'"{"A" * 200}"\ninstrument').encode(), "x")
    rows = [("Model", "Firm", "Day", "No"), *(("M", "A", "2024-01-01", f"N-{n}") for n in (1, 2))]
    first, second = (fact.event.subject for fact in one(understand(rows, known)).facts)
    assert first != second


# Mappings

MAPPING = """
name = "ico-list"
source = "urn:regulator:ico:list"
authority = "ICO"
instrument = "approval"
unit = "model"
required = ["item", "company", "date"]
[publisher]
name = "ICO"
[columns]
item = ["Model"]
company = ["Firm"]
date = ["Day"]
number = ["No"]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('unit = "model"', "", "unit: Field required"),
        ('unit = "model"', "unit = 3", "unit: Input should be a valid string"),
        ('unit = "model"', 'unit = "model"\nunits = "x"', "units: Extra inputs"),
        ('item = ["Model"]', 'item = ["Model"]\nitems = ["x"]', "columns.items: Extra inputs"),
        ('item = ["Model"]', 'item = ["Day"]', "'day' stands for both item and date"),
        ('item = ["Model"]', "", "item has no titles"),
        # Each stood for whatever column has no title, or one that is as long.
        ('item = ["Model"]', f'item = ["{"Name of the model, " * 6}"]', "columns.item: 'Name of the model"),
        ('item = ["Model"]', 'item = ["Model", " "]', "columns.item: ' '"),
        ('unit = "model"', 'unit = "model"\nunless = ["\u3000"]', "unless: '\\u3000'"),
        ('["item", "company", "date"]', '["item", "date"]', "tells two rows apart"),
        ('["item", "company", "date"]', '["number"]', "has an item and a company"),
        ('["item", "company", "date"]', '["when"]', "required.0"),
        ('name = "ico-list"', 'name = "A list"', "name: String should match"),
        # No event can hold these: each row would be refused for it.
        ('authority = "ICO"', 'authority = " "', "authority: must have at least one visible character"),
        ('unit = "model"', 'unit = "a\u202eb"', "unit: holds the control character U+202E"),
        ('name = "ICO"', 'name = "\u200b"', "publisher.name: must have at least one visible"),
        (
            'name = "ICO"',
            'name = "ICO"\nurl = "ico.org.uk"',
            "publisher.url: must be an http or https address",
        ),
        ('name = "ico-list"', "name = ", "is not TOML"),
        ('name = "ico-list"', "\udcff", "is not UTF-8"),
    ],
)
def test_given_a_mapping_with_a_mistake_when_it_is_loaded_then_the_key_is_named(
    old: str, new: str, says: str
) -> None:
    content = MAPPING.replace(old, new, 1).encode("utf-8", "surrogateescape")
    with pytest.raises(BadMapping) as refused:
        mapping.load(content, "mine.toml")
    assert says in str(refused.value)
    assert str(refused.value).startswith("mine.toml: ")


def test_given_a_mapping_that_is_named_twice_when_it_is_loaded_then_it_is_one() -> None:
    assert [known.name for known in mapping.named(["cac-genai-filings"] * 2)] == ["cac-genai-filings"]


def test_given_the_mappings_that_come_along_when_they_are_loaded_then_no_two_have_one_source() -> None:
    known = mapping.shipped()
    assert len({m.source for m in known}) == len({m.name for m in known}) == len(known) == 4


def test_given_a_title_with_characters_that_no_name_holds_when_a_list_is_read_then_its_rows_are_imported(
    understand: Understand,
) -> None:
    table = one(understand([(*FILED, "备\u202e注\u200b二"), (*ERNIE, "x")]))
    published = grants(table)[0].published
    assert published is not None
    assert published["备注二"] == "x"


def test_given_the_keys_of_a_mapping_when_the_documentation_is_read_then_each_is_there() -> None:
    page = (Path(__file__).parents[1] / "docs" / "importing.md").read_text("utf-8")
    keys = {name for name in Mapping.model_fields if name not in ("publisher", "columns")}
    keys |= {f"publisher.{name}" for name in mapping.Publisher.model_fields} | {
        f".{name}" for name in mapping.FIELDS[1:]
    }
    keys |= {known.name for known in mapping.shipped()} | {
        "header",
        "empty",
        "notes",
        "refused",
        "new",
        "already",
        "repeats",
        "differs",
    }
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_given_titles_when_they_are_compared_then_layout_and_notes_do_not_count() -> None:
    assert (
        len({titles.title_key(text) for text in ("备案号", " 备案 号", "备案号（注1）", "备案号*", "備案號")})
        == 2
    )
    assert titles.title_key("（备案号）") == "(备案号)"
    assert titles.title_key("x" * 500) == ""


# For any table

CELLS = st.sampled_from(
    [
        "",
        " ",
        "1",
        "北京市",
        "文心一言",
        "公司",
        "X-1",
        "X-2",
        "2023/8/31",
        "2023-02-30",
        "注：x",
        "已注销",
        *FILED,
        "备注",
    ]
)


@settings(max_examples=examples(100))
@given(
    rows=st.lists(
        st.one_of(
            st.lists(CELLS, max_size=8),
            st.sampled_from(
                [list(FILED), [*FILED, "备注"], list(ERNIE), list(GLM), list(YI), [*ERNIE, "已注销"]]
            ),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_given_any_table_when_it_is_read_then_its_rows_are_each_counted_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "list.csv"
    path.write_bytes(as_csv(rows) or b"\n")
    found, refusals = lists.read(path, mapping.shipped(), Options(published_on="2024"))
    for table in found:
        assert table.header + table.empty + len(table.notes) + table.data + table.refused == len(rows)
        assert min(table.header, table.empty, table.data, table.refused) >= 0
        assert sum(fact.of_the_row for fact in table.facts) == table.data
        by_row = Counter(refusal.row for refusal in table.refusals)
        assert by_row == Counter({None: 1} if None in by_row else dict.fromkeys(by_row, 1))
    assert found or refusals


@pytest.mark.parametrize("format", WRITERS)
@settings(max_examples=examples(15))
@given(order=st.permutations([ERNIE, GLM, YI, (*ERNIE[:2], "文心二言", *ERNIE[3:])]))
def test_given_rows_in_any_order_and_format_when_they_are_read_then_they_are_the_same_events(
    tmp_path_factory: pytest.TempPathFactory, format: str, order: Sequence[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.mktemp("orders") / f"list.{format}"
    path.write_bytes(WRITERS[format]([FILED, *order]))
    (table,), _ = lists.read(path, mapping.shipped(), Options())
    found = {(fact.event.id, fact.event.data.model_dump_json()) for fact in table.facts}
    other = path.with_name("other.csv")
    other.write_bytes(as_csv([FILED, *sorted(order)]))
    (table,), _ = lists.read(other, mapping.shipped(), Options())
    assert found == {(fact.event.id, fact.event.data.model_dump_json()) for fact in table.facts}
