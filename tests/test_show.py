"""Tables for people: whatever the width, every cell is there, whole, and in its place."""

from __future__ import annotations

import re
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from approval_ledger.cli import show

from .long import examples

# What a name may hold: wide characters, such that take no room, and such that look like markup or like a number.
WORDS = st.text("ab1,.≥–-（）中电信한é\u0301\u200b🇨👩[]/:", min_size=1, max_size=12)
CELLS = st.lists(WORDS, max_size=5)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A table of which no two words are the same."""
    numbers = count(1)

    def cell() -> str:
        return " ".join(f"{next(numbers)}{word}" for word in draw(CELLS))

    columns = draw(st.integers(1, 6))
    return [cell() for _ in range(columns)], [
        [cell() for _ in range(columns)] for _ in range(draw(st.integers(1, 4)))
    ]


def lines(columns: list[str], rows: list[list[str]], room: int | None) -> list[str]:
    return [line.plain for line in show.tabulated(columns, rows, room)]


@given(tables(), st.integers(1, 120))
@settings(max_examples=examples(300))
def test_every_cell_is_shown_whole_and_in_its_order_at_any_width(
    table: tuple[list[str], list[list[str]]], width: int
) -> None:
    columns, rows = table
    shown = lines(columns, rows, width)
    words = " ".join(shown).split()
    for cell in (cell for row in rows for cell in row):
        at = [words.index(word) for word in cell.split()]
        assert at == sorted(at)
    for title in columns:
        assert title == "" or all(word in words or f"{word}:" in words for word in title.split())
    least = [max(map(narrowest, cells)) for cells in zip(columns, *rows, strict=True)]
    needed = sum(least) + show.GAP * (len(columns) - 1)
    most = width if needed <= width else max(width, widest_word(" ".join(words)) + show.GAP)
    assert max(map(cell_len, shown), default=0) <= most


def narrowest(cell: str) -> int:
    """How narrow a cell may become: a figure is not folded."""
    return widest_word(cell) if any(map(str.isalpha, cell)) else cell_len(cell)


def widest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


@given(tables())
def test_where_there_is_no_terminal_each_row_is_one_line(table: tuple[list[str], list[list[str]]]) -> None:
    columns, rows = table
    shown = lines(columns, rows, None)
    assert len(shown) == 1 + len(rows)
    for line, row in zip(shown, [columns, *rows], strict=True):
        assert line.split() == " ".join(row).split()
        assert line == line.rstrip()


def test_where_it_fits_a_table_has_a_line_for_each_row_with_figures_at_the_right() -> None:
    columns, rows = ["company", "named"], [["百度", "5"], ["Baidu", "1,328"]]
    assert lines(columns, rows, 80) == ["company  named", "百度         5", "Baidu    1,328"]


def test_where_it_does_not_fit_the_widest_column_is_folded_between_words() -> None:
    columns, rows = ["batch", "evidence"], [["approval 4", "10, 11, 12, 13"]]
    assert lines(columns, rows, 22) == ["batch       evidence", "approval 4  10, 11,", "            12, 13"]


def test_where_a_column_would_be_narrower_than_a_word_each_row_is_a_block() -> None:
    columns, rows = (
        ["company", "named", ""],
        [
            ["中电信人工智能科技（北京）有限公司", "1,328", "equal"],
            ["Baidu", "1", ""],
        ],
    )
    assert lines(columns, rows, 40) == [
        "company:",
        "  中电信人工智能科技（北京）有限公司",
        "named: 1,328",
        "equal",
        "",
        "company: Baidu",
        "named: 1",
        "",
    ]


def test_a_figure_of_two_words_is_not_folded() -> None:
    columns, rows = ["as of", "total"], [["2024-01-31", "≥ 1,328"], ["", "321 – 329"]]
    assert lines(columns, rows, 21) == [
        "     as of      total",
        "2024-01-31    ≥ 1,328",
        "            321 – 329",
    ]
    assert lines(columns, rows, 20)[:2] == ["as of: 2024-01-31", "total: ≥ 1,328"]


@pytest.mark.parametrize("width", [1, 10, 20, 40, 80])
def test_a_chart_shows_its_figures_whole_at_any_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(show, "_room", lambda: width)
    show.chart(
        {"on": f"2024-{month:02}-28", "total": {"low": 100 * month, "high": None}} for month in range(1, 13)
    )
    shown = capsys.readouterr().out.splitlines()
    assert [re.sub("[^0-9-]*(≥ )", r" \1", line) for line in shown] == [
        f"2024-{month:02}-28 ≥ {100 * month:,}" for month in range(1, 13)
    ]
    assert max(map(cell_len, shown)) <= max(width, len("2024-12-28    ≥ 1,200"))
