"""Charts: what they draw and say, that they look as they should on any paper, and that nothing in them is more than text."""

from __future__ import annotations

import json
import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from defusedxml import ElementTree

from approval_ledger.charts import (
    CHARTS,
    NARROWEST,
    WIDEST,
    Language,
    Look,
    Specification,
    Theme,
    can_draw,
    chart,
    javascript,
    question,
    to_png,
    to_svg,
)
from approval_ledger.charts.reports import in_conflict
from approval_ledger.charts.theme import COLOURS, clipped, wrapped
from approval_ledger.charts.totals import totals as chart_of_totals
from approval_ledger.charts.words import EN, ZH
from events import BadQuestion, EventData, Log
from events.quantities import Count
from projections import queries

from .command import Ledger, Ran
from .given import (
    HISTORY,
    SERVICES,
    amended,
    batch,
    called,
    counted_round_trips,
    equated,
    estimate,
    granted,
    identified,
    merged,
    revoked,
    total,
    used,
)
from .long import only_long, some
from .servers import Server

Row = dict[str, Any]

LABELS = 110  # pixels that the last label of an axis or of a row may reach out


def drawn(
    log: Log, of: str, look: Look | None = None, axes: Row | None = None, **asked: str
) -> Specification:
    """The chart of what is known at the head of a log."""
    answer = question(of, asked)(log, **{"known_at": log.head(), **(axes or {})})
    return chart(log, answer, look or Look.of())


def rows(specification: Any, *fields: str) -> list[tuple[Any, ...]]:
    """The data of every mark that has all these fields, once each."""
    found = [
        tuple(row[field] for field in fields)
        for values in _data(specification)
        for row in values
        if all(field in row for field in fields)
    ]
    return list(dict.fromkeys(found))


def _data(part: Any) -> Iterator[list[Row]]:
    if isinstance(part, dict):
        if "values" in part.get("data", {}):
            yield part["data"]["values"]
        for inner in part.values():
            yield from _data(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _data(inner)


def texts(svg: bytes) -> list[str]:
    root = ElementTree.fromstring(svg)
    found = (element.itertext() for element in root.iter("{http://www.w3.org/2000/svg}text"))
    return [line for lines in found for line in lines]


def report(log: Log, *data: EventData) -> None:
    """Appends them as e1, e2, ..."""
    head = log.head()
    log.append([called(f"e{head + n}", of) for n, of in enumerate(data, start=1)])


# What they draw


def test_between_two_days_on_which_a_total_is_certain_it_may_be_either_or_anything_between(log: Log) -> None:
    report(log, total("=117", "2024-03-28"), total("=188", "2024-07-25"))
    found = drawn(log, "totals")
    between = ("2024-03-28", "2024-07-25", 117, 188, False, "28 Mar 2024 to 25 Jul 2024: 117 to 188")
    assert rows(found, "from", "to", "low", "high", "open", "says")[0] == between
    assert rows(found, "on", "total") == [("2024-03-28", 117), ("2024-07-25", 188)]


def test_given_more_days_than_the_words_tell_then_they_tell_each_change_once_and_call_no_day_undrawn(
    log: Log,
) -> None:
    days = [date(2023, 9, 1) + timedelta(days=n) for n in range(40)]
    report(log, *(total(f"={n}", str(day)) for n, day in enumerate(days, start=1)))
    found = drawn(log, "totals")
    assert len(rows(found, "on", "total")) == 40
    assert "and 16 more days, which the chart shows" in found["description"]
    assert "not drawn" not in found["description"]


@pytest.mark.parametrize("certain", [True, False])
def test_given_more_days_than_half_pixels_then_so_many_are_drawn_and_each_figure_is_where_it_was(
    certain: bool,
) -> None:
    look, days, first = Look.of(), 6_000, date(2000, 1, 1)
    figures = [0 if n < 3_001 else 5_000 if n < 3_003 else 5_000 + n // 2 for n in range(days)]
    answer = _answer_of([(str(first + timedelta(days=n)), low) for n, low in enumerate(figures)], certain)
    panel = chart_of_totals(answer, look, {})["vconcat"][0]
    (line,) = (each["data"]["values"] for each in panel["layer"] if each["mark"]["type"] == "line")
    half_pixel = days / (2 * panel["width"])
    assert len(line) <= 2 * (2 * panel["width"]) + 2
    at = [date.fromisoformat(row["from"]) for row in line]
    for n, low in enumerate(figures):
        day = first + timedelta(days=n)
        before, after = bisect_right(at, day) - 1, min(bisect_right(at, day), len(at) - 1)
        assert line[before]["low"] <= low <= line[after]["low"]
        assert line[before]["low"] == low or (at[after] - at[before]).days <= half_pixel
    dots = rows(panel, "on", "total")
    assert 0 < len(dots) <= 4 * (panel["width"] + panel["height"]) if certain else dots == []
    assert str(first + timedelta(days=3_001)) in [on for on, _ in dots] or not certain


def _answer_of(lows: list[tuple[str, int]], certain: bool) -> Row:
    """An answer with steps of these days and figures."""
    nothing = {"low": [], "high": [], "more": 0}
    steps = [
        {"on": on, "total": {"low": low, "high": low if certain else None}, "named": 0, "evidence": nothing}
        for on, low in lows
    ]
    last = steps[-1]
    found = last | {"authority": "CAC", "instrument": "approval", "unit": "model", "as_of": last["on"]}
    found |= {"steps": steps, "contradictions": []}
    return {"ledger": "big", "projection": "totals", "position": len(steps), "answers": [found]}


def test_given_days_of_one_figure_then_the_words_tell_it_once(log: Log) -> None:
    report(log, *(total("=8", f"2023-08-{day}") for day in (28, 29, 30, 31)), total("=20", "2023-10-31"))
    told = drawn(log, "totals")["description"]
    assert told.endswith("Day by day: 28 Aug 2023: 8; 31 Oct 2023: 20.")


def test_given_a_contradiction_of_what_counts_together_then_chinese_words_have_no_english(log: Log) -> None:
    report(
        log,
        batch(1, "=1", "2023-08-31"),
        *(granted(f"公司{n}", "模型", "2023-08-31", batch=1) for n in range(3)),
    )
    look = Look.of("zh")
    assert "the approvals by name" in str(drawn(log, "batches"))
    assert "the approvals by name" not in str(drawn(log, "batches", look))


def test_a_day_alone_has_a_bar_of_its_own_where_its_figure_is_not_certain(log: Log) -> None:
    report(log, total("=215", "2026-02-10"))
    found = drawn(log, "totals", axes={"valid_at": "2024-03-01"})
    assert rows(found, "on", "low", "high") == [("2024-03-01", 0, 215)]
    assert "1 Mar 2024: 0 to 215" in found["description"]
    (bar,) = (layer for layer in found["vconcat"][0]["layer"] if layer["mark"]["type"] == "bar")
    assert bar["encoding"]["color"]["datum"] == "possible"  # so that the legend explains it
    assert "xOffset" not in bar["mark"]
    assert rows(drawn(log, "totals"), "on", "low", "high") == []


@pytest.mark.parametrize("name", CHARTS)
def test_the_last_of_all_days_can_be_drawn(log: Log, name: str) -> None:
    report(log, total("=215", "2026-02-10"), batch(1, "=2", "2026-02-10"))
    assert drawn(log, name, axes={"valid_at": "9999-12-31"})["description"]


def test_the_last_figure_is_drawn_though_the_axis_ends_on_its_day(log: Log) -> None:
    report(log, total("=598", "2026-06-30"), total(">=731", "2026-08-31"))
    found = drawn(log, "totals")
    (bar,) = rows(found, "on", "low", "high")
    assert bar[:2] == ("2026-08-31", 731)
    assert bar[2] > 731
    assert ("2026-08-31", 731, 0) in rows(found, "from", "low", "named")
    (mark,) = (layer["mark"] for layer in found["vconcat"][0]["layer"] if layer["mark"]["type"] == "bar")
    assert mark["xOffset"] == -mark["width"] / 2  # it does not stand out of the boxes before it


def test_where_reports_name_more_than_there_surely_are_bars_end_at_what_is_sure_and_words_say_why(
    log: Log,
) -> None:
    named = [f"Company {n}" for n in range(1, 11)]
    report(
        log,
        batch(1, "=10", "2023-08-31", named=named),
        batch(1, "=3", "2023-08-31", source="Xinhua"),
    )
    for of in ("batches", "totals"):
        found = drawn(log, of)
        assert all(named <= low for named, low in rows(found, "named", "low"))
        assert (
            "10 known by name, more than there are for certain, because reports contradict"
            in found["description"]
        )


@pytest.mark.parametrize("of", ["batches", "totals"])
def test_a_contradiction_is_told_in_the_language_of_the_chart(log: Log, of: str) -> None:
    report(log, batch(1, "=8", "2023-08-31"), batch(1, "=11", "2023-08-31", source="Xinhua"))
    found = drawn(log, of, Look.of("zh"))
    assert "位置 1，2 的报道相互矛盾。" in found["description"]
    assert "cannot all be true" not in json.dumps(found, ensure_ascii=False)


def test_what_is_known_by_name_stands_beside_what_is_undisclosed(log: Log) -> None:
    report(
        log, granted("Baidu", "Ernie", "2023-08-31"), total(">=8", "2023-12-31"), total("=41", "2024-01-28")
    )
    spans = rows(drawn(log, "totals"), "from", "named", "low", "high")
    assert spans[:2] == [("2023-08-31", 1, 1, 41), ("2023-12-31", 1, 8, 41)]


def test_where_nothing_bounds_a_total_its_shading_is_open_and_ends_above_every_figure(log: Log) -> None:
    report(log, total(">=8", "2023-08-31"), total(">=40", "2024-01-28"))
    found = rows(drawn(log, "totals"), "from", "to", "low", "high", "open")
    assert [span[:3] for span in found] == [("2023-08-31", "2024-01-28", 8), ("2024-01-28", "2024-01-28", 40)]
    assert all(high > 40 and unbounded for *_, high, unbounded in found)


def test_each_report_in_a_contradiction_is_marked_at_its_figure_and_leads_to_all_of_them(log: Log) -> None:
    report(log, total("=8", "2023-08-31"), total("=11", "2023-08-31", source="Xinhua"))
    found = drawn(log, "totals")
    marked = rows(found, "on", "total", "says")
    assert [mark[:2] for mark in marked] == [("2023-08-31", 8), ("2023-08-31", 11)]
    assert "Contradiction between positions 1, 2: these cannot all be true: 8 by 2023-08-31" in marked[0][2]
    assert marked[0][2] in found["description"]
    leads = [row["evidence"] for values in _data(found) for row in values if row.get("says") == marked[0][2]]
    assert leads == [[1, 2], [1, 2]]


def test_a_report_in_a_contradiction_of_a_later_day_is_told_and_does_not_stretch_the_axis(log: Log) -> None:
    report(log, total("=800", "2023-08-31"), total("=1100", "2023-08-31", source="Xinhua"))
    found = drawn(log, "totals", axes={"valid_at": "1950-01-01"})
    assert "Contradiction between positions 1, 2" in found["description"]
    (panel,) = found["vconcat"]
    days = [row["on"] if "on" in row else row["end"] for values in _data(panel) for row in values]
    assert max(days) == "1950-01-02"  # the end of the axis, a little after its only day


def test_the_reports_of_all_contradictions_are_read_in_one_round_trip(log: Log) -> None:
    report(log, *(total(f"={n}", "2023-08-31", source=f"paper {n}") for n in range(5)))
    answer = queries.totals(log, at_least=log.head())
    with counted_round_trips() as sent:
        assert [*in_conflict(log, answer)] == [1, 2, 3, 4, 5]
    assert len(sent) == 1


def test_terms_that_are_one_have_one_panel(log: Log) -> None:
    report(log, total("=8", "2023-08-31"), total("=9", "2023-09-30", terms=SERVICES), equated())
    panels = drawn(log, "totals")["vconcat"]
    assert [panel["title"]["text"] for panel in panels] == [
        ["CAC, approval (model), the same as CAC/filing/service: 9 by 30 Sep 2023"]
    ]


def test_terms_whose_names_have_slashes_are_one_only_with_what_they_are_equated_to(log: Log) -> None:
    one, other = ("CAC/MIIT", "filing", "app"), ("CAC", "MIIT/filing", "app")
    equation = equated(SERVICES, other)
    counts = [total("=9", "2023-09-30", terms=terms) for terms in (SERVICES, one, other)]
    report(log, *counts, equation)
    assert len(drawn(log, "totals")["vconcat"]) == 2


def test_a_batch_is_a_row_with_the_sizes_that_its_reports_allow(log: Log) -> None:
    report(
        log,
        batch(2, ">=3", "2023-11"),
        batch(1, "=8", "2023-08-31", named=["Baidu"]),
        batch(1, "=11", "2023-08-31", source="Xinhua"),
    )
    found = drawn(log, "batches")
    assert rows(found, "row", "name", "below", "figure") == [
        (0, "batch 1, 31 Aug 2023", "CAC, approval (model)", "8–11"),
        (1, "batch 2, Nov 2023", "CAC, approval (model)", "≥ 3"),
    ]
    assert rows(found, "row", "size") == [(0, 8), (0, 11)]


def test_the_figure_of_a_batch_stands_by_its_bar_or_after_the_marks_that_are_in_its_way(
    log: Log, history: Log
) -> None:
    assert ("≥ 3", 3) in rows(drawn(history, "batches"), "figure", "end")
    report(log, batch(1, ">=3", "2023-08-31"), batch(2, "=90", "2023-09-30"))
    report(log, *(batch(1, f"={n}", "2023-08-31", source=f"source {n}") for n in (8, 11)))
    assert rows(drawn(log, "batches"), "figure", "end") == [("8–11", 11), ("90", 90)]


@pytest.mark.parametrize(("language", "called"), [("en", "batch without a number"), ("zh", "未编号批次")])
def test_a_batch_that_is_known_by_its_day_alone_is_called_so(
    log: Log, language: Language, called: str
) -> None:
    report(log, batch(None, "=5", "2023-08-31", named=["Baidu"]))
    look = Look.of(language)
    assert called in drawn(log, "batches", look)["description"]
    assert called in drawn(log, "companies", look, name="Baidu")["description"]


def test_companies_stand_by_their_approvals_and_one_of_them_by_its_days_under_all_its_names(log: Log) -> None:
    report(
        log,
        identified("baidu", "Baidu", "百度"),
        granted("百度", "Ernie", "2023-08-31", number="N1"),
        granted("Baidu", "Wenxin", "2024-01"),
        granted("Xiaomi", "MiLM", "2024-01-26"),
        revoked("N1", on="2024-05-02"),
        used("Baidu", "Ernie Bot", ">100000000", "2023-12-28"),
        amended("N1", item="Ernie 4", on="2024-04-01"),
        merged("baidu", "baidu-group"),
    )
    assert rows(drawn(log, "companies"), "company", "named") == [("Baidu", 2), ("Xiaomi", 1)]
    one = drawn(log, "companies", name="百度")
    assert rows(one, "from", "to", "exact", "what") == [
        ("2023-08-31", "2023-08-31", True, "Ernie"),
        ("2023-12-28", "2023-12-28", True, "Ernie Bot: more than 100,000,000"),
        ("2024-01-01", "2024-01-31", False, "Wenxin"),
        ("2024-02-01", "2024-02-01", True, "baidu merged into baidu-group"),
        ("2024-04-01", "2024-04-01", True, "Ernie"),
        ("2024-05-02", "2024-05-02", True, "Ernie"),
    ]
    assert "2 May 2024: revoked, Ernie, CAC" in one["description"]


def test_shares_are_ranges_and_where_any_is_possible_that_is_said(log: Log) -> None:
    report(log, estimate("CN", "=130", share=40), estimate("US", "=61", estimator="Stanford"))
    figures = rows(drawn(log, "shares"), "name", "below", "figure", "share")
    assert ("CLSA", "CN, model, 22 Sep 2023", "130", "39.51–40.5 %") in figures
    assert ("Stanford", "US, model, 22 Sep 2023", "61", "any share") in figures


@only_long
@pytest.mark.parametrize("narrow", [1e-6, 1e-320])
def test_given_a_share_of_nearly_nothing_then_a_world_of_very_many_digits_is_drawn(
    log: Log, narrow: float
) -> None:
    report(log, estimate("CN", "=9007199254740991", share=narrow, rounding=narrow))
    assert to_svg(drawn(log, "shares")).startswith(b"<svg")


def test_given_a_revocation_of_what_nobody_lists_then_it_stands_by_its_day_as_does_that_of_what_was_amended(
    log: Log,
) -> None:
    report(
        log,
        revoked(item="Ernie", company="Baidu", on="2024-05-02"),
        amended("N1", company="Baidu", on="2024-04-01"),
        revoked("N1", on="2024-06-01"),
    )
    assert rows(drawn(log, "companies", name="Baidu"), "from", "what", "below") == [
        ("2024-04-01", "N1", "amended, CAC"),
        ("2024-05-02", "Ernie", "revoked, CAC"),
        ("2024-06-01", "N1", "revoked, CAC"),
    ]


def test_sources_stand_with_whom_they_repeat(log: Log) -> None:
    report(
        log,
        total(">40", "2024-01-28", source=("OODAloop", "Reuters")),
        total("=8", "2023-08-31", source=("Voice of Nigeria", "Reuters")),
        total("=14", "2024-01-26", source="Securities Times"),
    )
    assert rows(drawn(log, "sources"), "origin", "name") == [
        ("Reuters", "OODAloop (1)"),
        ("Reuters", "Voice of Nigeria (1)"),
        ("Securities Times", "itself (1)"),
    ]


def test_given_who_repeats_a_repeater_then_it_stands_with_the_origin_of_both(log: Log) -> None:
    report(
        log,
        total("=8", "2023-08-31", source=("Blog", "OODAloop")),
        total("=8", "2023-08-31", source=("OODAloop", "Reuters")),
        total("=8", "2023-08-31", source="Reuters"),
        total("=9", "2023-09-30", source=("Blog", "OODAloop")),
    )
    found = drawn(log, "sources")
    assert rows(found, "origin", "name") == [
        ("Reuters", "itself (1)"),
        ("Reuters", "Blog (1)"),
        ("Reuters", "OODAloop (1)"),
        ("OODAloop", "Blog (1)"),  # of another claim
    ]
    assert "Blog repeats Reuters (1)" in found["description"]


def test_given_publishers_that_repeat_each_other_then_one_of_them_stands_as_the_origin(log: Log) -> None:
    report(
        log,
        total("=8", "2023-08-31", source=("B", "A")),
        total("=8", "2023-08-31", source=("A", "B")),
    )
    assert rows(drawn(log, "sources"), "origin", "name") == [("A", "itself (1)"), ("A", "B (1)")]


def test_given_one_publisher_spelled_in_two_ways_then_it_stands_as_one_voice_as_it_was_first_written(
    log: Log,
) -> None:
    report(
        log,
        total("=8", "2023-08-31", source="Reuters"),
        total("=8", "2023-08-31", source=("OODAloop", "ＲＥＵＴＥＲＳ")),
        total("=14", "2024-01-26", source=("reuters", "Reuters")),
    )
    found = drawn(log, "sources")
    assert rows(found, "origin", "name") == [("Reuters", "itself (2)"), ("Reuters", "OODAloop (1)")]
    assert found["description"] == "Reuters reports 2 of its own. OODAloop repeats Reuters (1)."


def test_what_may_have_been_later_than_the_day_asked_about_is_marked(log: Log) -> None:
    report(log, batch(1, "=8", "2023"), estimate("CN", "=130", on="2023"), granted("Baidu", "Ernie", "2023"))
    for name in ("batches", "shares"):
        assert "possibly later" in drawn(log, name, axes={"valid_at": "2023-06-30"})["description"]
    one = drawn(log, "companies", axes={"valid_at": "2023-06-30"}, name="Baidu")
    assert "possibly later" in one["description"]
    assert "possibly later" not in drawn(log, "batches")["description"]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_of_nothing_says_so(log: Log, name: str) -> None:
    found = drawn(log, name)
    assert found["description"].startswith("The ledger has nothing on this yet")
    assert "The ledger has nothing on this yet" in texts(to_svg(found))


def test_a_chart_of_more_than_it_has_room_for_says_how_many_it_leaves_out(log: Log) -> None:
    report(log, *(batch(n, "=1", "2024-01-01") for n in range(1, 46)))
    found = drawn(log, "batches")
    assert len(rows(found, "row", "figure")) == 40
    assert "and 5 earlier ones that are not drawn" in found["description"]
    assert "and 5 earlier ones that are not drawn" in " ".join(found["title"]["subtitle"])


@pytest.mark.parametrize("of", ["batches", "shares", "companies"])
def test_given_more_days_than_a_chart_has_room_for_then_the_latest_are_drawn_and_the_words_say_so(
    log: Log, of: str
) -> None:
    days = [str(date(2023, 9, 1) + timedelta(days=n)) for n in range(65)]
    report(log, *(estimate("CN", f"={n}", on=day) for n, day in enumerate(days, start=1)))
    report(log, *(batch(n, "=1", day, named=["Baidu"]) for n, day in enumerate(days, start=1)))
    found = drawn(log, of, name="Baidu") if of == "companies" else drawn(log, of)
    told = found["description"]
    assert "4 Nov 2023" in told
    assert not re.search(r"\b1 Sep 2023", told)
    left = {"batches": 25, "shares": 2 * 65 - 40, "companies": 5}[of]  # of each day a country and the world
    assert told.endswith(f"and {left} earlier ones that are not drawn.")
    assert f"and {left} earlier ones that are not drawn" in " ".join(found["title"]["subtitle"])


def test_a_chart_takes_what_it_can_be_asked_and_nothing_else() -> None:
    with pytest.raises(BadQuestion, match="the chart of batches takes no name"):
        question("batches", {"name": "Baidu"})


# The real history, on every paper


@pytest.fixture(scope="module")
def history(server: Server) -> Log:
    ledger = Ledger(server)
    ledger.log.append(HISTORY)
    return ledger.log


@pytest.mark.parametrize(
    ("name", "theme", "language"), some(product(CHARTS, get_args(Theme), get_args(Language)), every=3)
)
def test_every_chart_is_drawn_with_a_title_its_provenance_and_its_figures_in_words(
    history: Log, name: str, theme: Theme, language: Language
) -> None:
    look = Look.of(language, theme)
    found = drawn(history, name, look, {"valid_at": "2026-08-31"})
    svg = to_svg(found)
    root = ElementTree.fromstring(svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", found["description"])
    shown = texts(svg)
    assert found["title"]["text"][0] in shown
    assert history.ledger in " ".join(shown)
    assert found["background"] == COLOURS[theme].paper
    for (figure,) in rows(found, "figure"):
        assert figure in shown
    for (says,) in rows(found, "says"):
        assert says
    if language == "zh":
        assert not re.search(r"at least|known by|possible", " ".join(shown))


@pytest.mark.parametrize(("name", "language"), [*product([*CHARTS, "timeline"], get_args(Language))])
def test_given_any_chart_when_it_is_drawn_then_no_text_in_it_is_how_a_program_writes_that_there_is_none(
    history: Log, name: str, language: Language
) -> None:
    asked = {"name": "Baidu"} if name == "timeline" else {}
    found = drawn(history, "companies" if name == "timeline" else name, Look.of(language), None, **asked)
    svg = to_svg(found)
    labels = [value for element in ElementTree.fromstring(svg).iter() for value in element.attrib.values()]
    for text in [*labels, *texts(svg), *_strings(found)]:
        assert not re.search(r"\b(undefined|null|NaN|None)\b", text)


def _strings(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _strings(inner)


@pytest.mark.parametrize(
    ("name", "width", "language"),
    some(product(CHARTS, [NARROWEST, 343, 400, 500, 760, WIDEST], get_args(Language)), every=11),
)
def test_a_chart_is_no_wider_than_was_asked_but_for_a_label(
    history: Log, name: str, width: int, language: Language
) -> None:
    png = to_png(drawn(history, name, Look.of(language, width=width)), 1)
    (wide,) = struct.unpack(">I", png[16:20])
    assert wide <= width + LABELS


@pytest.mark.parametrize("name", CHARTS)
def test_given_names_as_long_as_they_may_be_when_a_chart_is_drawn_then_it_is_no_wider(
    log: Log, name: str
) -> None:
    long = "National Administration of the Approval of Models " * 4
    terms = (long, long, long)
    report(
        log,
        granted(long, long, "2023-08-31", terms=terms, source=long),
        batch(None, "=8", "2023-08-31", label=long, named=[(long, long)], terms=terms, source=(long, "it")),
        total("=8", "2023-12-31", terms=terms, source=long),
        estimate("CN", "=130", estimator=long, unit=long, source=long),
    )
    (wide,) = struct.unpack(">I", to_png(drawn(log, name), 1)[16:20])
    assert wide <= 760 + LABELS


def test_chinese_names_below_an_english_title_make_a_chart_no_wider(history: Log) -> None:
    png = to_png(drawn(history, "companies", name="小米"), 1)
    (wide,) = struct.unpack(">I", png[16:20])
    assert wide <= 760 + LABELS


@pytest.mark.parametrize("width", [NARROWEST, 760])
def test_given_long_chinese_names_beside_an_english_chart_when_it_is_drawn_then_it_is_no_wider(
    log: Log, width: int
) -> None:
    report(log, granted("上海人工智能创新中心（上海人工智能实验室）", "书生", "2023-08-31"))
    (wide,) = struct.unpack(">I", to_png(drawn(log, "companies", Look.of(width=width)), 1)[16:20])
    assert wide <= width + LABELS


@pytest.mark.parametrize(
    ("last", "width", "language"),
    some(
        product(
            ["2023-09-02", "2023-09-20", "2023-11-29", "2023-12-20", "2024-06-30", "2026-08-31"],
            [NARROWEST, 760, 1_240, WIDEST],
            get_args(Language),
        ),
        every=7,
    ),
)
def test_each_day_or_month_stands_once_on_the_axis_however_long_it_is(
    log: Log, last: str, width: int, language: Language
) -> None:
    report(log, total("=8", "2023-08-31"), total("=41", last))
    look = Look.of(language, width=width)
    shown = texts(to_svg(drawn(log, "totals", look)))
    written = r"\d{4}年\d+月(\d+日)?" if language == "zh" else r"(\d+ )?[A-Z][a-z]{2} \d{4}"
    ticks = [text for text in shown if re.fullmatch(written, text)]
    assert len(ticks) >= (1 if width == NARROWEST else 2)
    assert len(set(ticks)) == len(ticks)


@pytest.mark.parametrize("width", [NARROWEST, 760, WIDEST])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("of", ["totals", "batches", "companies", "shares"])
def test_given_few_of_what_is_counted_then_each_number_stands_once_on_the_axis(
    log: Log, of: str, number: int, width: int
) -> None:
    figure = f"={number}"
    report(
        log,
        *(granted("Baidu", f"Ernie {n}", "2024-01-26", batch=1) for n in range(number)),
        batch(1, figure, "2024-01-26"),
        total(figure, "2024-01-26"),
        estimate("world", figure),
    )
    drawing = drawn(log, of, Look.of(width=width))
    svg = ElementTree.fromstring(to_svg(drawing))
    axes = [each for each in svg.iter() if each.get("class", "").endswith("role-axis-label")]
    ticks = [[text for label in each for text in label.itertext()] for each in axes]
    counted = [labels for labels in ticks if labels and labels[-1] not in ("100", "26 Jan 2024")]
    assert any("1" in labels or number > 1 for labels in counted)
    assert all(len(set(labels)) == len(labels) for labels in counted)


def test_the_same_question_and_look_give_the_same_specification(history: Log) -> None:
    for name in CHARTS:
        first, second = (json.dumps(drawn(history, name)) for _ in range(2))
        assert first == second


def test_given_names_from_right_to_left_when_they_are_drawn_then_each_is_kept_apart_from_the_figures_beside_it(
    log: Log,
) -> None:
    """Otherwise a picture has `: 8` on the other side of the name. The words stay as they were reported."""
    name, label = "شركة النماذج 2", "דגם"
    report(
        log,
        granted(name, "Guide", "2023-08-31", terms=("هيئة", "filing", "service")),
        batch(None, "=8", "2023-08-31", label=label, source=name),
    )
    sources, batches = drawn(log, "sources"), drawn(log, "batches")
    timeline = drawn(log, "companies", name=name)
    assert (f"\u2068{name}\u2069",) in rows(sources, "name")
    assert ("batch “\u2068דגם\u2069”, 31 Aug 2023",) in rows(batches, "name")
    assert timeline["title"]["text"] == [f"Reports about \u2068{name}\u2069"]
    assert all("\u2068" not in each["description"] for each in (sources, batches, timeline))


def test_given_changes_without_a_day_when_a_timeline_is_drawn_then_it_says_how_many_there_are(
    log: Log,
) -> None:
    """Lists name a new holder without saying since when. The chart of that company had said that the ledger has nothing on it."""
    report(log, granted("A", "Bot", "2023-08-31", number="7"), amended("7", company="B"))
    said = "reports without a day, which are not drawn: 1"
    of_holder, of_next = drawn(log, "companies", name="A"), drawn(log, "companies", name="B")
    assert of_next["description"] == f"{said}."
    assert (said,) in rows(of_next, "says")
    for chart_of_one in (of_holder, of_next):
        assert said in " ".join(chart_of_one["title"]["subtitle"])


# What comes from a source is text

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' + alert(1) + '",
    "{{7*7}} ${7*7} %(x)s {n} {}",
    "datum.open",
    "=HYPERLINK(1)",
    "javascript:alert(1)",
]


@pytest.mark.parametrize(("text", "name"), some(product(HOSTILE, [*CHARTS, "timeline"]), every=5))
def test_what_a_source_wrote_is_drawn_as_text_and_never_evaluated(log: Log, name: str, text: str) -> None:
    terms = (text, text, text)
    report(
        log,
        identified("it", text, "It"),
        granted(text, text, "2023-08-31", terms=terms, source=text),
        batch(None, "=8", "2023-08-31", label=text, named=[(text, text)], terms=terms, source=text),
        batch(None, "=9", "2023-08-31", label=text, terms=terms, source=(text, "other")),
        total("=8", "2023-12-31", terms=terms, source=text),
        total("=3", "2024-01-01", terms=terms, source=text),
        estimate("CN", "=130", estimator=text, unit=text, source=text),
    )
    asked = {"name": "It"} if name == "timeline" else {}
    found = drawn(log, "companies" if name == "timeline" else name, Look.of(width=WIDEST), None, **asked)
    root = ElementTree.fromstring(to_svg(found))
    assert {element.tag.partition("}")[2] for element in root.iter()} <= {
        "svg",
        "g",
        "path",
        "text",
        "tspan",
        "rect",
        "line",
        "defs",
        "linearGradient",
        "stop",
        "clipPath",
    }
    everything = [element.text or "" for element in root.iter() if element.text] + [
        root.get("aria-label", "")
    ]
    assert any(text in one for one in everything), everything


def test_nothing_from_a_source_is_part_of_an_expression(history: Log) -> None:
    allowed = {
        "datum.open",
        "!datum.open",
        "datum.told",
        "datum.any",
        "!datum.unknown",
    }

    def expressions(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            assert not {"signal", "expr", "url", "href", "calculate", "labelExpr"} & part.keys()
            if "filter" in part:
                yield part["filter"]
            for name, inner in part.items():
                if name != "values":
                    yield from expressions(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from expressions(inner)

    found = {
        expression
        for name, asked in [*((name, {}) for name in CHARTS), ("companies", {"name": "Baidu"})]
        for expression in expressions(drawn(history, name, None, None, **asked))
    }
    assert found <= allowed


# Words and measures


@pytest.mark.parametrize(
    ("written", "english", "chinese"),
    [
        ("2024-01-26", "26 Jan 2024", "2024年1月26日"),
        ("2024-01", "Jan 2024", "2024年1月"),
        ("2024", "2024", "2024年"),
        ("2024-01-01/2024-01-31", "1 Jan 2024 to 31 Jan 2024", "2024年1月1日 至 2024年1月31日"),
    ],
)
def test_a_day_a_month_and_a_year_are_written_as_the_language_does(
    written: str, english: str, chinese: str
) -> None:
    assert (EN.day(written), ZH.day(written)) == (english, chinese)


@pytest.mark.parametrize(
    ("asked", "english", "chinese"),
    [
        (
            {"known_at": "2024-02-01", "known_as": "published"},
            "as published by 1 Feb 2024",
            "截至2024年2月1日已发布",
        ),
        ({"known_at": "2030-01"}, "as known at Jan 2030", "截至2030年1月已知"),
        (
            {"known_at": "2030-01-31T08:00:00Z"},
            "as known at 2030-01-31T08:00:00Z",
            "截至2030-01-31T08:00:00Z已知",
        ),
        (
            {"known_at": 1, "valid_at": "2024-02"},
            "valid at Feb 2024, as known at position 1",
            "截至2024年2月，截至位置 1 已知",
        ),
    ],
)
def test_as_of_when_a_chart_is_is_written_as_the_language_does(
    log: Log, asked: Any, english: str, chinese: str
) -> None:
    log.append([called("t1", total("=8", "2023-08-31"))])
    answer = queries.totals(log, steps=True, **asked)
    for look, expected in ((Look.of("en"), english), (Look.of("zh"), chinese)):
        assert expected in " ".join(chart(log, answer, look)["title"]["subtitle"])


@pytest.mark.parametrize("relation", ["=", ">=", ">", "<=", "<", "~"])
def test_a_count_is_written_as_its_source_put_it(relation: Any) -> None:
    count = Count(relation=relation, value=40_000)
    assert EN.count(count.model_dump()) == str(count)
    assert "40,000" in ZH.count(count.model_dump())


def test_both_languages_have_a_word_for_everything() -> None:
    assert EN.kinds.keys() == ZH.kinds.keys()
    assert EN.relations.keys() == ZH.relations.keys()
    for field in EN.__dataclass_fields__:
        english, chinese = getattr(EN, field), getattr(ZH, field)
        if isinstance(english, str):
            assert chinese
            assert re.findall(r"{\w+}", english).sort() == re.findall(r"{\w+}", chinese).sort()


def test_lines_break_between_words_and_between_chinese_characters_and_keep_every_one() -> None:
    for text in ("Every figure that the reports allow", "报道所允许的全部取值。圆点表示当日数字确定"):
        lines = wrapped(text, 120, 13)
        assert len(lines) > 1
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert clipped("北京百度网讯科技有限公司", 80, 13) == "北京百度网…"
    assert clipped("Baidu", 80, 13) == "Baidu"


@pytest.mark.parametrize("theme", get_args(Theme))
def test_colours_have_the_contrast_that_readers_need(theme: Theme) -> None:
    colours = COLOURS[theme]
    for text in (colours.ink, colours.muted, colours.contradiction):
        assert contrast(text, colours.paper) >= 4.5
    for mark in (colours.named, colours.undisclosed):
        assert contrast(mark, colours.paper) >= 2.8
    assert contrast(colours.named, colours.undisclosed) >= 1.8
    assert contrast(colours.undisclosed, colours.possible) >= 1.8


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_characters_that_no_font_has_are_noticed() -> None:
    assert can_draw("ab")
    assert not can_draw("\U0010f123\U0010f124")  # of private use; symbol fonts have those of the basic plane


@only_long
def test_the_javascript_of_the_library_is_a_module_that_names_no_other_host() -> None:
    module = javascript().decode()
    assert re.search(r"export\s*{\s*[\w$]+ as embed\s*};?\s*$", module)
    assert not re.search(r"(?:from|import)\s*\(?[\"']https?:", module)
    assert javascript() is javascript()


# The command


@pytest.fixture(scope="module")
def ledger(history: Log, server: Server) -> Ledger:
    return Ledger(server, name=history.ledger)


def test_a_picture_is_written_described_beside_it_and_told_in_words(ledger: Ledger, tmp_path: Path) -> None:
    svg, png, specification = (tmp_path / f"t.{form}" for form in ("svg", "png", "json"))
    ran, _, _ = ledger.together(
        ("chart", "totals", "--instrument", "filing", "-o", svg),
        ("chart", "totals", "--instrument", "filing", "--scale", "1", "--language", "zh", "-o", png),
        ("chart", "totals", "--instrument", "filing", "-o", specification),
    )
    description = json.loads(specification.read_text("utf-8"))["description"]
    assert ran.out == f"{svg}, as of position 104; {svg}.meta.json describes it\n{description}\n"
    assert "CAC, filing (service): 988 by 30 Jun 2026" in description
    assert png.read_bytes().startswith(b"\x89PNG")
    about = json.loads((tmp_path / "t.svg.meta.json").read_text("utf-8"))
    assert about["format"] == "svg"
    assert about["question"] == {"instrument": "filing", "steps": True}
    assert about["description"] == description
    assert any(source["publisher"] == "CAC" for source in about["sources"])


def test_a_chart_follows_both_axes(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    axes = ("--valid-at", "2023-09-30", "--known-at", "13")
    ran = ledger.run("chart", "batches", *axes, "-o", file, "--json")
    assert (ran.document["valid_at"], ran.document["known_at"], ran.document["position"]) == (
        "2023-09-30",
        13,
        13,
    )
    found = json.loads(file.read_text("utf-8"))
    assert "valid at 30 Sep 2023, as known at position 13" in " ".join(found["title"]["subtitle"])
    assert len(rows(found, "row", "figure")) == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("totals", "-o", "t.pdf"), "-o takes a name that ends with .png, .svg or .json, not 't.pdf'"),
        (("totals", "-o", "t"), "-o takes a name that ends with"),
        (("batches", "Baidu", "-o", "t.json"), "the chart of batches takes no name"),
        (("companies", "--unit", "model", "-o", "t.json"), "the chart of companies takes no unit"),
        (("totals",), "Missing option '-o' / '--out'"),
        (("totals", "-o", "t.json", "--width", "10"), "320"),
    ],
)
def test_wrong_usage_is_refused(words: tuple[str, ...], complaint: str, ledger: Ledger) -> None:
    assert complaint in ledger.run("chart", *words, code=2).complaint


def test_a_file_that_is_there_is_replaced_only_by_force(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_bytes(b"mine")
    assert "exists already" in ledger.run("chart", "shares", "-o", file, code=1).err
    assert file.read_bytes() == b"mine"
    ledger.run("chart", "shares", "-o", file, "--force")
    assert json.loads(file.read_bytes())["title"]["text"] == ["Models and shares, as ranges"]
    missing = ledger.run("chart", "shares", "-o", tmp_path / "none" / "t.json", code=1)
    assert missing.err == f"error: cannot write {tmp_path}/none/t.json: No such file or directory\n"


@only_long
def test_where_the_library_for_pictures_is_missing_the_words_say_what_to_install(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "vl_convert.py").write_text("raise ImportError\n", "utf-8")

    def run(form: str, code: int) -> Ran:
        file = tmp_path / f"t.{form}"
        return ledger.run("chart", "shares", "-o", file, code=code, PYTHONPATH=str(tmp_path))

    words = "bad-question: pictures need a library that is not installed here: install approval-ledger[charts], or ask for .json\n"
    assert run("png", 1).err == words
    assert run("svg", 1).err == words
    run("json", 0)


def test_an_unknown_company_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    ran = ledger.run("chart", "companies", "Nobody", "-o", tmp_path / "t.json", code=1)
    assert ran.err.startswith("unknown-company: no company is named 'Nobody' here")
