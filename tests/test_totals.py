"""Totals: what all standing reports allow at every date, who is known by name, and which reports force each bound."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import EventData, date_range
from events.catalog import ApprovalGranted

from .given import (
    MODELS,
    SERVICES,
    Line,
    ask,
    at_least,
    batch,
    batch_of,
    between,
    called,
    company_of,
    equated,
    events_in_conflict,
    exactly,
    granted,
    identified,
    log,
    merged,
    retracted,
    revoked,
    superseded,
    total,
    total_of,
    total_on,
)
from .long import examples

# What a count says.


@pytest.mark.parametrize(
    ("figure", "allowed"),
    [
        ("=40", exactly(40)),
        (">=40", at_least(40)),
        (">40", at_least(41)),
        ("<=40", between(0, 40)),
        ("<40", between(0, 39)),
        ("~40±5", between(35, 45)),
        ("~3±5", between(0, 8)),
        ("~40", at_least(0)),
    ],
)
def test_a_count_allows_what_its_relation_says_and_a_bare_about_constrains_nothing(
    figure: str, allowed: dict[str, int | None]
) -> None:
    answer = total_of(log(total(figure, "2024-01-28")))
    assert answer["total"] == allowed
    assert answer["contradictions"] == []


def test_a_bare_about_beside_a_figure_changes_nothing_and_contradicts_nothing() -> None:
    answer = total_of(log(total("=40", "2024-01-28"), total("~9000", "2024-01-28")))
    assert answer["total"] == exactly(40)
    assert answer["contradictions"] == []


def test_a_total_never_falls_so_a_figure_bounds_the_days_after_it_from_below_and_those_before_from_above() -> (
    None
):
    reports = log(total("=8", "2023-08-31"), total("~1", "2023-10-31"), total("<=40", "2024-01-28"))
    assert total_on(reports, "2023-10-31")["total"] == between(8, 40)
    assert total_on(reports, "2023-10-31")["evidence"] == {"low": [1], "high": [3], "more": 0}
    assert total_of(reports)["total"] == between(8, 40)


def test_the_total_is_as_of_the_last_day_that_anything_is_said_of() -> None:
    answer = total_of(log(total("=40", "2024-01-28"), granted("Baidu", "Ernie", "2023-08-31")))
    assert answer["as_of"] == "2024-01-28"


# Partial dates.


def test_a_figure_of_a_month_holds_at_its_end_from_below_and_at_its_beginning_from_above() -> None:
    reports = log(total("=8", "2023-08"))
    assert total_on(reports, "2023-08-01")["total"] == between(0, 8)
    assert total_on(reports, "2023-08-31")["total"] == at_least(8)


def test_a_figure_of_a_year_agrees_with_all_that_is_known_inside_it() -> None:
    reports = log(total("=8", "2023-08-31"), total("=61", "2023-12-31"), total("=36", "2023"))
    assert total_of(reports)["contradictions"] == []
    assert total_of(reports)["total"] == exactly(61)


def test_an_approval_of_a_month_is_counted_from_the_end_of_the_month_on() -> None:
    reports = log(granted("Baidu", "Ernie", "2023-08"), total("~1", "2023-08-15"))
    assert total_on(reports, "2023-08-15")["named"] == 0
    assert total_on(reports, "2023-08-31")["named"] == 1
    assert total_on(reports, "2023-08-31")["total"] == at_least(1)


def test_approvals_of_a_month_and_of_its_year_lie_between_the_figures_around_them() -> None:
    reports = log(
        total("=5", "2022-12-31"),
        granted("Baidu", "Ernie", "2023"),
        granted("Zhipu", "GLM", "2023-11"),
        granted("Xiaomi", "MiLM", "2023-11-20"),
        total("~1", "2023-12-31"),
    )
    assert total_on(reports, "2023-12-31")["total"] == at_least(8)
    assert total_on(reports, "2023-11-30")["total"] == at_least(7)


# Periods.


def test_the_count_of_a_period_is_the_difference_of_two_totals() -> None:
    reports = log(total("=8", "2023-08-31"), total("=53", period=("2023-09-01", "2023-12-31")))
    assert total_of(reports)["total"] == exactly(61)
    assert total_of(reports)["evidence"] == {"low": [1, 2], "high": [1, 2], "more": 0}


def test_a_later_total_less_a_period_gives_the_earlier_total() -> None:
    reports = log(total("=61", "2023-12-31"), total(">=53", period=("2023-09-01", "2023-12-31")))
    assert total_on(reports, "2023-08-31")["total"] == between(0, 8)


def test_a_period_between_months_is_at_its_widest_for_what_it_gives_and_at_its_narrowest_for_what_it_allows() -> (
    None
):
    reports = log(total("=8", "2023-08-31"), total("=53", period=("2023-09", "2023-12")))
    assert total_on(reports, "2023-12-31")["total"] == at_least(61)
    # From 30 September to 1 December there were 53 at most, but nobody says how many by 29 September.
    assert total_on(reports, "2023-12-01")["total"] == at_least(8)
    bounded = log(
        total("=8", "2023-08-31"), total("=53", period=("2023-09", "2023-12")), total("=9", "2023-09-29")
    )
    assert total_on(bounded, "2023-12-01")["total"] == between(9, 62)


def test_more_than_forty_in_six_months_is_a_period() -> None:
    answer = total_of(log(total(">40", period=("2023-08-01", "2024-01-28"))))
    assert answer["total"] == at_least(41)


# Batches and their ordinals.


def test_a_batch_is_part_of_the_total_from_the_day_it_was_announced() -> None:
    reports = log(batch(1, "=8", "2023-08-31"), total("~1", "2023-08-30"))
    assert total_on(reports, "2023-08-30")["total"] == at_least(0)
    assert total_on(reports, "2023-08-31")["total"] == at_least(8)


def test_the_fourth_batch_says_that_three_came_before_with_one_approval_each_at_least() -> None:
    answer = total_of(log(batch(4, "=14", "2024-01-26")))
    assert answer["total"] == at_least(17)
    assert answer["evidence"]["low"] == [1]


def test_batches_add_up_with_one_approval_at_least_for_every_ordinal_that_nobody_reported() -> None:
    answer = total_of(log(batch(4, "=14", "2024-01-26"), batch(1, ">=8", "2023-08-31")))
    assert answer["total"] == at_least(14 + 1 + 1 + 8)
    assert answer["evidence"]["low"] == [1, 2]


def test_an_approval_may_lie_outside_every_batch_so_the_total_is_no_less_than_its_batches_and_maybe_more() -> (
    None
):
    reports = log(batch(1, "=8", "2023-08-31"), batch(2, "=9", "2023-11-30"), total("=20", "2023-12-31"))
    assert total_of(reports)["contradictions"] == []
    assert total_on(reports, "2023-11-30")["total"] == between(17, 20)


def test_a_batch_of_a_month_is_part_of_the_total_by_the_end_of_the_month_and_before_any_later_ordinal() -> (
    None
):
    reports = log(batch(1, "=8", "2023-11"), batch(2, "=9", "2023-11-12"))
    assert total_on(reports, "2023-11-12")["total"] == at_least(17)


def test_two_reports_of_one_ordinal_are_of_one_batch_and_so_are_two_of_one_label() -> None:
    ordinals = log(batch(1, "=8", "2023-08-31"), batch(1, ">=3", "2023-08", source="VON"))
    labels = log(
        batch(None, "=8", "2023-08-31", label="First batch"),
        batch(None, ">=3", "2023-09-01", label="ＦＩＲＳＴ batch"),
    )
    assert total_of(ordinals)["total"] == at_least(8)
    assert total_of(labels)["total"] == at_least(8)


def test_a_label_that_a_report_gives_an_ordinal_is_the_batch_of_that_ordinal() -> None:
    reports = log(
        batch(None, "=14", "2024-01-26", label="第四批"),
        batch(4, ">=1", "2024-01-26", source="VON"),
        batch(4, ">=2", "2024-01", label="第四批", source="Xinhua"),
    )
    assert total_of(reports)["total"] == at_least(17)


def test_reports_of_one_day_without_ordinal_or_label_are_of_one_batch() -> None:
    reports = log(batch(None, "=19", "2024-05-16"), batch(None, ">=3", "2024-05-16", source="VON"))
    assert total_of(reports)["total"] == at_least(19)


def test_batches_of_different_days_are_different_batches() -> None:
    reports = log(batch(None, "=8", "2023-08-31"), batch(None, "=9", "2023-11-30"))
    assert total_of(reports)["total"] == at_least(17)


def test_two_batches_of_one_month_may_be_one_or_two_and_are_neither_added_nor_in_conflict() -> None:
    answer = total_of(log(batch(None, "=8", "2023-08"), batch(None, "=9", "2023-08", source="VON")))
    assert answer["total"] == at_least(9)
    assert answer["contradictions"] == []


def test_of_batches_of_one_month_it_makes_no_difference_which_the_log_has_first() -> None:
    lines = [
        batch(None, ">=3", "2023-08", named=["Baidu", "Zhipu"]),
        batch(None, ">=3", "2023-08"),
        batch(None, "~2", "2023-08", named=["Xiaomi"]),
        batch(None, "=1", "2023-09-10", named=["Baidu"]),
        total("<=6", "2023-12-31"),
    ]
    for order in permutations(lines):
        reports = log(*order)
        assert (total_of(reports)["total"], total_of(reports)["named"]) == (between(4, 6), 4)
        sizes = {len(answer["names"]): answer["size"] for answer in ask(reports, "batches")[:3]}
        assert sizes == {2: between(3, 6), 0: between(3, 6), 1: between(1, 5)}


def test_a_batch_known_by_its_month_alone_may_be_one_that_has_an_ordinal() -> None:
    """The larger of the two counts, and no other."""
    reports = log(batch(1, "=8", "2023-08-31"), batch(None, ">=9", "2023-08"), batch(2, "=2", "2023-11-01"))
    assert total_of(reports)["total"] == at_least(11)
    assert total_of(reports)["contradictions"] == []


def test_a_batch_that_may_be_one_of_two_leaves_those_two_as_different_as_they_were() -> None:
    reports = log(
        batch(None, "=5", "2023-08-10"), batch(None, "=8", "2023-08-20"), batch(None, ">=1", "2023-08")
    )
    assert total_of(reports)["total"] == at_least(13)


def test_a_batch_without_an_ordinal_may_be_one_of_those_that_a_later_ordinal_says_came_before() -> None:
    answer = total_of(log(batch(None, "=5", "2023-09-01"), batch(3, "=1", "2023-12-01")))
    assert answer["total"] == at_least(5 + 1 + 1)


def test_a_batch_of_which_nobody_says_how_large_it_is_takes_nothing_from_what_the_third_says() -> None:
    answer = total_of(log(batch(None, "~5", "2023-09-01"), batch(3, "=1", "2023-12-01")))
    assert answer["total"] == at_least(3)
    assert answer["evidence"]["low"] == [2]


def test_a_batch_announced_after_the_third_is_none_of_the_two_before_it() -> None:
    answer = total_of(log(batch(3, "=1", "2023-12-01"), batch(None, "=5", "2024-02-01")))
    assert answer["total"] == at_least(2 + 1 + 5)


def test_given_a_batch_announced_before_one_of_a_lower_ordinal_then_a_report_of_its_day_alone_may_be_of_it() -> (
    None
):
    late, second = batch(1, "=2", "2023-09-30"), batch(2, "=2", "2023-09-21", named=["Xiaomi", "Zhipu"])
    of_the_day = batch(None, "<=3", "2023-09-21", named=["Zhipu"])
    for reports in (log(late, second), log(late, second, of_the_day)):
        assert total_of(reports, valid_at=date_range("2023-09-21"))["total"] == at_least(4)
        assert total_of(reports)["total"] == at_least(4)


# Who is known by name.


def test_named_approvals_are_distinct_by_registry_number_or_else_by_item_and_company() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        granted("百度", "文心一言", "2023-08-31", number="ＣＮ-1", source="Xinhua"),
        granted("Baidu", "Ernie", "2023-08-31", source="Reuters"),
        granted("Baidu", "Ernie", "2023-08-31", number="CN-2"),
        granted("Baidu", "Yiyan", "2023-08-31"),
        granted("ＢＡＩＤＵ", "yiyan", "2023-08-31", source="Reuters"),
        granted("Zhipu", "Yiyan", "2023-08-31"),
    )
    answer = total_of(reports)
    assert answer["named"] == 4  # CN-1, CN-2, Baidu's Yiyan, Zhipu's Yiyan
    assert answer["total"] == at_least(4)


def test_reports_of_one_approval_that_give_it_different_days_leave_it_the_days_between() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        granted("Baidu", "Ernie", "2023-09-05", number="CN-1", source="Reuters"),
    )
    assert total_on(reports, "2023-09-05")["named"] == 1
    assert total_on(reports, "2023-08-30")["named"] == 0
    assert "2023-08-31" not in {step["on"] for step in total_of(reports, steps=True)["steps"]}


@pytest.mark.parametrize(
    ("with_number", "without", "zero"),
    [("2023-11-03", "2023-08-31", "2023-08-30"), ("2023-08-31", "2023-11-03", "2023-08-30")],
)
def test_a_report_without_a_number_that_gives_the_approval_another_day_leaves_it_the_days_between(
    with_number: str, without: str, zero: str
) -> None:
    either = [
        granted("Baidu", "Ernie", with_number, number="CN-1"),
        granted("Baidu", "Ernie", without, source="Reuters"),
    ]
    for reports in (either, either[::-1]):
        recorded = log(*reports, total("=1", "2023-12-31"))
        assert total_of(recorded)["contradictions"] == []
        assert total_of(recorded, valid_at=date_range(zero))["total"] == exactly(0)
        either_way = total_of(recorded, valid_at=date_range("2023-09-30"))
        assert (either_way["total"], either_way["named"]) == (between(0, 1), 0)
        assert total_of(recorded, valid_at=date_range("2023-11-03"))["total"] == exactly(1)
        by_then = ask(recorded, "companies", "Baidu", valid_at=date_range("2023-09-30"))
        assert all(of["approvals"]["low"] == 0 for company in by_then for of in company["approvals"])


def test_a_report_without_a_number_is_of_the_number_whose_days_it_agrees_with() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        granted("Baidu", "Ernie", "2023-11-03", number="CN-2"),
        granted("Baidu", "Ernie", "2023-08", source="Reuters"),
    )
    assert total_of(reports, valid_at=date_range("2023-09-30"))["total"] == at_least(1)
    none = log(
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        granted("Baidu", "Ernie", "2023-11-03", number="CN-2"),
        granted("Baidu", "Ernie", "2023-12", source="Reuters"),
    )
    assert total_of(none, valid_at=date_range("2023-11-03"))["total"] == at_least(0)
    assert total_of(none, valid_at=date_range("2023-12-31"))["total"] == at_least(2)


def test_a_report_without_a_number_says_the_day_of_the_only_approval_that_it_can_be_of() -> None:
    list_of_the_month = [
        granted("Baidu", "Ernie", "2023-08", number="CN-1"),
        granted("Baidu", "Ernie", "2023-08-10", source="Reuters"),
    ]
    for reports in (list_of_the_month, list_of_the_month[::-1]):
        on_the_day = total_of(log(*reports), valid_at=date_range("2023-08-10"))
        assert on_the_day["total"] == at_least(1)
        assert reports[on_the_day["evidence"]["low"][0] - 1].source.publisher == "Reuters"
    perhaps_another = log(*list_of_the_month, granted("Baidu", "Ernie", "2023-08", number="CN-2"))
    assert total_of(perhaps_another, valid_at=date_range("2023-08-10"))["total"] == at_least(0)


@settings(max_examples=examples(450))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["2023", "2023-08", "2023-08-10", "2023-08-31", "2023-11", "2023-11-03"]),
            st.sampled_from([None, "CN-1"]),
            st.sampled_from(["Baidu", "百度"]),
            st.sampled_from([MODELS, SERVICES]),
            st.sampled_from([None, None, 1, "first"]),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_one_approval_may_be_of_any_day_that_its_most_exact_reports_give_it(
    told: list[tuple[str, str | None, str, tuple[str, str, str], int | str | None]],
) -> None:
    reports = [
        granted(name, "Ernie", on, number=number, terms=terms, batch=of, source=f"paper {n}")
        for n, (on, number, name, terms, of) in enumerate(told)
    ]
    recorded = log(*reports, equated(), identified("baidu", "Baidu", "百度"), total("=1", "2023-12-31"))
    answer = total_of(recorded)
    assert (answer["total"], answer["contradictions"]) == (exactly(1), [])
    ranges = {date_range(on) for on, *_ in told}
    most_exact = [
        one
        for one in ranges
        if not any(other != one and one.first <= other.first and other.last <= one.last for other in ranges)
    ]
    for asked in ("2023-07-31", "2023-08-20", "2023-09-30", "2023-12-31"):
        day = date.fromisoformat(asked)
        at_day = total_of(recorded, valid_at=date_range(asked))["total"]
        (company,) = ask(recorded, "companies", "Baidu", valid_at=date_range(asked))
        of_company = [of["approvals"] for of in company["approvals"]]
        for days in most_exact:
            for granted_on in (days.first, days.last):
                for figure in (at_day, *of_company):
                    assert figure["low"] <= (granted_on <= day) <= figure["high"], (
                        told,
                        asked,
                        granted_on,
                        figure,
                    )


def test_a_company_that_an_announcement_names_counts_where_no_approval_of_it_is_listed() -> None:
    reports = log(
        batch(1, ">=3", "2023-08-31", named=["Baidu", "Zhipu", "Baichuan"]),
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Kunlun", "Tiangong", "2023-11-01"),
    )
    assert total_on(reports, "2023-08-31")["named"] == 3
    assert total_of(reports)["named"] == 4
    assert total_of(reports)["total"] == at_least(4)


def test_a_company_that_two_batches_name_has_an_approval_in_each() -> None:
    reports = log(
        batch(1, ">=1", "2023-08-31", named=["Baidu"]),
        batch(2, ">=1", "2023-11-03", named=["Baidu"]),
        granted("Baidu", "Ernie", "2023-08-31"),
        total("=2", "2023-11-03"),
    )
    assert total_of(reports)["named"] == 2
    assert total_of(reports)["undisclosed"] == exactly(0)


def test_two_names_are_one_company_only_where_an_event_says_so() -> None:
    told = log(
        batch(1, ">=1", "2023-08-31", named=["Baidu"]),
        granted("百度", "文心一言", "2023-08-31"),
        identified("baidu", "Baidu", "百度"),
    )
    untold, parted = told[:2], log(*_lines_of_alias(), retracted("e3"))
    assert total_of(told)["named"] == 1
    assert total_of(untold)["named"] == 2
    assert total_of(parted)["named"] == 2


def _lines_of_alias() -> list[Line]:
    return [
        batch(1, ">=1", "2023-08-31", named=["Baidu"]),
        granted("百度", "文心一言", "2023-08-31"),
        identified("baidu", "Baidu", "百度"),
    ]


def test_a_slug_is_not_a_name_so_a_company_that_is_called_like_one_is_another() -> None:
    reports = log(
        batch(1, ">=1", "2023-08-31", named=["Xiaomi"]),
        granted("小米", "MiLM", "2023-08-31"),
        identified("xiaomi", "小米"),
    )
    assert total_of(reports)["named"] == 2


def test_a_name_that_two_companies_claim_may_be_either_so_it_adds_to_neither() -> None:
    """Yi is 01.AI or Lingyi: whoever it is, the approval that the batch names may be the one that is listed."""
    reports = log(
        identified("01-ai", "01.AI", "Yi"),
        identified("lingyi", "Lingyi", "Yi"),
        batch(4, ">=1", "2024-01-26", named=["Yi"]),
        granted("01.AI", "Yi-34B", "2024-01-26"),
    )
    assert total_of(reports)["named"] == 1
    assert total_of(reports[:3])["named"] == 1


def test_an_approval_that_is_listed_under_a_disputed_name_may_be_the_one_that_a_batch_names() -> None:
    reports = log(
        identified("01-ai", "01.AI", "Yi"),
        identified("lingyi", "Lingyi", "Yi"),
        batch(4, ">=1", "2024-01-26", named=["01.AI"]),
        granted("Yi", "Yi-34B", "2024-01-26"),
    )
    assert total_of(reports)["named"] == 1
    assert total_of(reports)["contradictions"] == []


def test_a_name_that_two_companies_claim_may_stand_for_both_in_one_announcement() -> None:
    reports = log(
        identified("01-ai", "01.AI", "Yi"),
        identified("lingyi", "Lingyi", "Yi"),
        batch(1, "=4", "2023-08-31", named=["Yi", ("Yi", "Yi-34B")]),
    )
    # "Yi" may be the one company, and "Yi" of Yi-34B the other.
    assert total_of(reports)["undisclosed"] == at_least(0)
    assert batch_of(reports, 1)["undisclosed"] == between(0, 3)


def test_the_undisclosed_are_the_total_less_those_that_anybody_names() -> None:
    reports = log(
        total("=10", "2024-01-28"),
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Zhipu", "GLM", "2023-08-31"),
        batch(4, ">=3", "2024-01-26", named=["Xiaomi", "4Paradigm", "01.AI"]),
    )
    assert total_of(reports)["named"] == 5
    assert total_of(reports)["undisclosed"] == exactly(5)
    assert total_of(reports[1:])["undisclosed"] == between(
        1, None
    )  # the three batches before the fourth: 5 + 1


def test_what_nobody_names_in_a_batch_is_undisclosed_whomever_the_announcements_of_later_batches_name() -> (
    None
):
    reports = log(
        batch(1, ">=3", "2023-08", named=["Baidu", "Alibaba", "ByteDance"]),
        batch(2, ">=1", "2023-11"),
        batch(3, ">=1", "2023-12"),
        batch(4, "=14", "2024-01-26", named=["Xiaomi", "4Paradigm", "01.AI"]),
    )
    by_day = {
        day: total_of(reports, valid_at=date_range(day))["undisclosed"]["low"]
        for day in ("2023-08-31", "2023-11-30", "2023-12-31", "2024-01-26")
    }
    assert by_day == {"2023-08-31": 0, "2023-11-30": 1, "2023-12-31": 2, "2024-01-26": 13}


def test_if_those_named_in_a_batch_were_granted_by_a_day_so_were_the_undisclosed_of_the_batches_before_it() -> (
    None
):
    lines: list[Line] = [
        total("=10", "2023-11-30"),
        batch(2, "=3", "2023-12-31"),
        batch(3, "=14", "2024-01-26", named=[f"company {n}" for n in range(14)]),
    ]
    # None of the ten is named, or six are, and the others are the three of the second batch and one of the first.
    assert total_on(log(*lines), "2023-11-30")["undisclosed"] == between(4, 10)
    # Those that are listed without a batch may be of the first two.
    lines += [granted(name, "model", "2023-11-02") for name in ("Baidu", "Zhipu")]
    assert total_on(log(*lines), "2023-11-30")["undisclosed"] == between(2, 8)


def test_what_nobody_names_in_a_batch_that_may_be_another_or_is_in_conflict_may_be_named_elsewhere() -> None:
    lines: list[Line] = [
        batch(1, "=3", "2023-08-31", source="AP"),
        batch(2, "=5", "2024-01-26", named=[f"company {n}" for n in range(5)]),
    ]
    assert total_on(log(*lines), "2023-08-31")["undisclosed"] == at_least(3)
    paper = batch(None, "=3", "2023-08", named=["Baidu", "Alibaba"], label="first batch")
    assert total_on(log(*lines, paper), "2023-08-31")["undisclosed"] == at_least(1)
    contradicted = log(*lines, total("=0", "2023-08-31", source="Reuters"))
    assert events_in_conflict(total_of(contradicted)) == [[1, 3]]
    assert total_on(contradicted, "2023-08-31")["undisclosed"] == at_least(0)


def test_an_approval_of_a_month_may_or_may_not_be_among_the_named_of_a_day_in_it() -> None:
    reports = log(total("=3", "2023-08-15"), granted("Baidu", "Ernie", "2023-08"))
    assert total_on(reports, "2023-08-15")["undisclosed"] == between(2, 3)


def test_a_company_named_in_a_batch_and_one_of_its_later_approvals_may_be_two_named_approvals() -> None:
    """Baidu's of August is not the one listed in May: two are known by name, though the list has one."""
    reports = log(
        batch(1, ">=1", "2023-08-31", named=["Baidu"]),
        granted("Baidu", "Ernie 4", "2024-05-16"),
        total("=10", "2024-05-31"),
    )
    answer = total_of(reports)
    assert answer["named"] == 1
    assert answer["undisclosed"] == between(8, 9)


def test_a_complete_list_with_its_days_closes_the_past() -> None:
    reports = log(
        total("=3", "2024-03-28"),
        granted("Baidu", "Ernie", "2023-08-31", number="1"),
        granted("Zhipu", "GLM", "2023-11-03", number="2"),
        granted("Xiaomi", "MiLM", "2024-01-17", number="3"),
        total(">0", "2023-12-31"),
    )
    steps = {step["on"]: step for step in total_of(reports, steps=True)["steps"]}
    assert {day: step["total"] for day, step in steps.items()} == {
        "2023-08-31": exactly(1),
        "2023-11-03": exactly(2),
        "2023-12-31": exactly(2),
        "2024-01-17": exactly(3),
        "2024-03-28": exactly(3),
    }
    assert all(step["undisclosed"] == exactly(0) for step in steps.values())


# Terms.


def test_figures_of_different_instruments_or_units_are_never_mixed() -> None:
    reports = log(
        total(">40", "2024-01-28"),
        total("=117", "2024-03-28", terms=SERVICES),
        total("=3", "2024-03-28", terms=("CAC", "filing", "model")),
        total("=9", "2024-03-28", terms=("Beijing CAC", "filing", "service")),
    )
    found = {(a["authority"], a["instrument"], a["unit"]): a["total"] for a in ask(reports, "totals")}
    assert found == {
        MODELS: at_least(41),
        SERVICES: exactly(117),
        ("CAC", "filing", "model"): exactly(3),
        ("Beijing CAC", "filing", "service"): exactly(9),
    }


def test_terms_are_the_same_in_every_spelling_and_shown_as_most_of_their_reports_wrote_them() -> None:
    reports = log(
        total(">40", "2024-01-28", terms=("ＣＡＣ", "Approval", "model")),
        total("<=50", "2024-01-28"),
        total("<=60", "2024-01-28"),
    )
    (answer,) = ask(reports, "totals")
    assert answer["total"] == between(41, 50)
    assert (answer["authority"], answer["instrument"], answer["unit"]) == MODELS


def test_terms_that_an_event_equates_share_one_total_and_part_again_when_it_is_retracted() -> None:
    lines = [
        total(">40", "2024-01-28"),
        total("=117", "2024-03-28", terms=SERVICES),
        equated(),
        retracted("e3"),
    ]
    one, parted = log(*lines[:3]), log(*lines)
    assert total_of(one)["total"] == total_of(one, SERVICES)["total"] == exactly(117)
    assert total_on(one, "2024-01-28")["total"] == between(41, 117)
    assert total_of(one)["equated"] == [{"terms": "CAC/filing/service", "evidence": [3]}]
    assert total_of(parted)["total"] == at_least(41)
    assert "equated" not in total_of(parted)


def test_terms_are_equated_through_others_each_with_the_events_that_lead_to_it() -> None:
    third = ("CAC", "registration", "application")
    reports = log(
        equated(), equated(SERVICES, third), total("=5", "2024-01-28", terms=third), total(">1", "2024")
    )
    assert total_on(reports, "2024-01-28")["total"] == exactly(5)
    assert total_of(reports)["equated"] == [{"terms": "CAC/registration/application", "evidence": [1, 2]}]


def test_equated_terms_may_list_different_approvals_so_neither_list_is_all_that_is_named() -> None:
    """One each: perhaps the same approval under another name, perhaps two."""
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Zhipu", "GLM", "2023-08-31", terms=SERVICES),
        equated(),
        total("=5", "2023-08-31"),
    )
    answer = total_of(reports)
    assert answer["named"] == 1
    assert answer["undisclosed"] == between(3, 4)


# Ended approvals.


def test_a_total_is_of_all_grants_ever_and_what_is_in_force_is_that_less_the_revoked() -> None:
    reports = log(
        total("=10", "2024-03-28"),
        revoked("CN-1", on="2024-02-01"),
        revoked("CN-2", on="2024-03-01"),
        revoked("CN-3", on="2024-04-01"),
        total("~1", "2024-02-15"),
        total("=12", "2024-04-01"),
    )
    assert total_of(reports)["total"] == exactly(12)
    assert total_of(reports)["in_force"] == between(0, 9) | {
        "evidence": {"low": [], "high": [2, 3, 4, 6], "more": 0}
    }
    assert total_on(reports, "2024-02-15")["in_force"]["high"] == 9  # of 10 at most, less one


def test_a_figure_in_force_is_one_less_the_revoked_so_the_total_ever_is_higher() -> None:
    reports = log(revoked("CN-1", on="2024-02-01"), total("=8", "2024-03-28", in_force=True))
    assert total_of(reports)["in_force"]["low"] == total_of(reports)["in_force"]["high"] == 8
    assert total_of(reports)["total"] == at_least(9)
    assert total_of(reports)["evidence"]["low"] == [1, 2]


def test_a_figure_in_force_of_a_month_bounds_the_total_ever_by_its_end() -> None:
    reports = log(revoked("CN-1", on="2024-02-01"), total("=8", "2024-03", in_force=True))
    assert total_on(reports, "2024-03-31")["total"] == at_least(9)


def test_what_is_in_force_may_fall_while_the_total_does_not() -> None:
    reports = log(total("=8", "2024-03-28", in_force=True), total("=5", "2024-06-30", in_force=True))
    assert total_of(reports)["contradictions"] == []
    assert total_of(reports)["total"] == at_least(8)


def test_how_many_of_a_period_are_still_in_force_does_not_say_how_many_were_granted_in_it() -> None:
    reports = log(
        total("=5", period=("2024-01-01", "2024-03-31"), in_force=True),
        total("=0", "2023-12-31"),
        total("=9", "2024-03-31"),
    )
    assert total_of(reports)["contradictions"] == []
    assert total_of(reports[:2])["total"] == at_least(5)


def test_reports_of_one_revocation_count_once_even_where_one_gives_the_number_and_one_the_item() -> None:
    reports = log(
        total("=10", "2024-03-28"),
        revoked("CN-1", on="2024-02-01"),
        revoked("ＣＮ-1", on="2024-02-01", source="Reuters"),
        revoked(item="Ernie", company="Baidu", on="2024-02-01"),
        revoked(item="Ernie", company="百度", on="2024-02-01", source="Xinhua"),
    )
    assert total_of(reports)["in_force"]["high"] == 9


def test_reports_that_give_a_revocation_different_days_leave_it_the_days_between() -> None:
    reports = log(
        total("=10", "2024-03-28"),
        revoked("CN-1", on="2024-02-01"),
        revoked("CN-1", on="2024-02-20", source="Reuters"),
        total("~1", "2024-02-10"),
    )
    assert total_on(reports, "2024-02-10")["in_force"]["high"] == 10
    assert total_on(reports, "2024-02-20")["in_force"]["high"] == 9


def test_a_revocation_does_not_say_its_unit_so_it_lowers_none_where_an_instrument_has_two() -> None:
    reports = log(
        total("=10", "2024-03-28", terms=("CAC", "filing", "model")),
        total("=20", "2024-03-28", terms=SERVICES),
        revoked("CN-1", on="2024-02-01", terms=SERVICES),
    )
    assert total_of(reports, SERVICES).get("in_force", {"high": 20})["high"] == 20
    assert total_of(reports, ("CAC", "filing", "model")).get("in_force", {"high": 10})["high"] == 10


def test_an_approval_that_two_equated_terms_list_on_different_days_is_one() -> None:
    for number in ("N1", None):
        for company in ("Baidu", "百度"):
            reports = log(
                granted("Baidu", "Ernie", "2023-08-30", number=number),
                granted(company, "Ernie", "2023-08-31", number=number, terms=SERVICES),
                identified("baidu", "Baidu", "百度"),
                equated(),
                total("=1", "2023-12-31"),
            )
            answer = total_of(reports)
            assert (answer["total"], answer["named"], answer["contradictions"]) == (exactly(1), 1, [])
            assert total_on(reports, "2023-08-30")["total"] == {"low": 0, "high": 1}
    two = log(
        granted("Baidu", "Ernie", "2023-08-30", number="N1"),
        granted("Baidu", "Ernie", "2023-08-31", number="N2", terms=SERVICES),
        equated(),
    )
    assert total_of(two)["total"] == at_least(2)


TWO = (equated(), identified("a", "Baidu"), identified("b", "Zhipu"), merged("a", "b", "2024-06-01"))


@pytest.mark.parametrize("number", [None, "CN-1"])
def test_of_companies_that_were_merged_later_each_has_its_approval_on_whichever_day(
    number: str | None,
) -> None:
    reports = log(
        *TWO,
        granted("Baidu", "m", "2024-01-01"),
        granted("Zhipu", "m", "2024-02-10", number=number),
        granted("Zhipu", "m", "2024-02-10", number=number, terms=SERVICES),
        granted("Baidu", "m", "2024-03-01", terms=SERVICES),
        total("=2", "2024-04-01"),
    )
    answer = total_of(reports)
    assert (answer["total"], answer["contradictions"]) == (exactly(2), [])


def test_days_that_do_not_exclude_each_other_are_those_of_their_reports() -> None:
    several = log(
        equated(),
        granted("Xiaomi", "m", "2024-01-01", number="CN-1"),
        granted("Xiaomi", "m", "2024-03-01", number="CN-2"),
        granted("Xiaomi", "m", "2024-03-01", terms=SERVICES),
    )
    assert total_on(several, "2024-01-01")["total"] == at_least(1)
    two = log(*TWO, granted("Baidu", "m", "2024-01-01"), granted("Zhipu", "m", "2024-03-01", terms=SERVICES))
    assert (total_on(two, "2024-01-01")["total"], total_of(two)["total"]) == (at_least(1), at_least(2))


def test_all_the_evidence_has_every_report_of_a_revocation_that_is_listed() -> None:
    reports = log(
        total("=1", "2023-12-28", in_force=True),
        revoked("n", on="2023-12"),
        revoked("n", on="2023-12-28"),
    )
    day = date_range("2023-12-28")
    assert total_of(reports, valid_at=day)["evidence"]["low"] == [1, 2]
    assert total_of(reports, valid_at=day, whole_evidence=True)["evidence"]["low"] == [1, 2, 3]


def test_a_revocation_in_either_of_equated_terms_counts_for_both() -> None:
    reports = log(
        total("=10", "2024-03-28"),
        total("~1", "2024-03-28", terms=SERVICES),
        revoked("CN-1", on="2024-02-01", terms=SERVICES),
        equated(),
    )
    assert total_of(reports)["in_force"]["high"] == total_of(reports, SERVICES)["in_force"]["high"] == 9


# Batches, and lists of their members.


@pytest.mark.parametrize("on", ["2024-01-20", "2024-01-26", "2024-01-29", "2024-02", "2024"])
@pytest.mark.parametrize("of", [1, "first"])
def test_a_member_of_a_batch_counts_once_whatever_day_a_list_gives_it(on: str, of: int | str) -> None:
    known_as = (of, None) if isinstance(of, int) else (None, of)
    reports = [
        batch(known_as[0], "=2", "2024-01-26", label=known_as[1]),
        granted("Baidu", "Ernie", on, batch=of),
        granted("Zhipu", "GLM", on, batch=of),
    ]
    assert total_of(log(*reports))["total"] == at_least(2)
    answer = total_of(log(*reports, total("=2", "2024-12-31")))
    assert (answer["total"], answer["undisclosed"], answer["contradictions"]) == (exactly(2), exactly(0), [])


def test_a_member_of_a_batch_counts_once_where_a_list_that_names_no_batch_dates_it_more_exactly() -> None:
    reports = log(
        batch(1, "=1", "2024-01-26"),
        granted("Baidu", "Ernie", "2024", number="N1", batch=1),
        granted("Baidu", "Ernie", "2024-01-29", number="N1"),
    )
    assert total_of(reports)["total"] == at_least(1)


def test_a_member_of_a_batch_that_was_granted_before_a_later_one_was_announced_counts_by_then() -> None:
    reports = log(batch(2, "=2", "2024-01-26"), granted("Baidu", "Ernie", "2024-01-29", batch=1))
    assert total_of(reports)["total"] == at_least(3)


def test_who_is_listed_after_a_batch_and_is_of_none_or_of_another_counts_beside_it() -> None:
    first = batch(1, "=2", "2024-01-26")
    for of in (None, 2):
        reports = log(first, granted("Baidu", "Ernie", "2024-01-29", batch=of))
        assert total_of(reports)["total"] == at_least(3)


def test_an_approval_of_the_fourth_batch_says_that_three_came_before() -> None:
    grant = granted("Baidu", "Ernie", "2024-01-26", batch=4)
    assert total_on(log(grant), "2024-01-26")["total"] == at_least(4)
    assert total_of(log(grant))["evidence"]["low"] == [1]
    assert events_in_conflict(total_of(log(grant, total("<=3", "2024-12-31")))) == [[1, 2]]
    assert events_in_conflict(total_of(log(grant, total("<=3", "2024-01-25")))) == []


def test_what_more_of_a_batch_is_listed_later_takes_nothing_from_the_day_of_its_first() -> None:
    first = granted("Baidu", "Ernie", "2023-12-10", batch=2)
    later = granted("Zhipu", "GLM", "2024-01-20", batch=2)
    for lines in ([first], [first, later], [later, first]):
        step = total_on(log(*lines), "2023-12-10")
        assert step["total"] == at_least(2)
        assert step["evidence"] == {"low": [1 + lines.index(first)], "high": [], "more": 0}
    both = [first, later, granted("Xiaomi", "MiLM", "2023-12-10", batch=2)]
    assert total_on(log(*both), "2023-12-10")["total"] == at_least(3)
    whole = total_of(log(*both), valid_at=date_range("2023-12-10"), whole_evidence=True)
    assert whole["evidence"]["low"] == [1, 3]
    assert total_of(log(*both))["total"] == at_least(4)


def test_the_report_that_says_which_batch_the_label_of_its_first_member_means_is_evidence_of_those_before() -> (
    None
):
    reports = log(
        batch(2, ">=2", "2024-02-10", label="winter"),
        granted("Zhipu", "GLM", "2024-02-10", batch=2),
        granted("Baidu", "Ernie", "2024-01-10", batch="winter"),
    )
    step = total_on(reports, "2024-01-10")
    assert (step["total"], step["evidence"]["low"]) == (at_least(2), [1, 3])


def test_a_batch_that_was_announced_later_counts_by_the_day_of_the_first_of_the_next() -> None:
    lines = [
        batch(1, "=5", "2024-01-26"),
        granted("Baidu", "Ernie", "2023-12-10", batch=2),
        granted("Zhipu", "GLM", "2024-02-20", batch=2),
    ]
    for reports in (log(*lines), log(*lines, batch(2, "=2", "2024-02-26"))):
        assert total_on(reports, "2023-12-10")["total"] == at_least(6)
        assert total_on(reports, "2023-12-10")["evidence"]["low"] == [1, 2]


def test_members_count_once_where_those_of_a_lower_batch_are_listed_between_the_first_and_the_last_of_another() -> (
    None
):
    reports = [
        granted("Baidu", "Ernie", "2023-12-10", batch=2),
        granted("Xiaomi", "MiLM", "2024-01-20", batch=1),
        granted("Zhipu", "GLM", "2024-02-10", batch=2),
    ]
    assert total_of(log(*reports))["total"] == at_least(3)
    assert total_of(log(*reports, total("=3", "2024-12-31")))["contradictions"] == []


def test_members_count_once_where_they_are_listed_after_the_first_of_a_batch_that_theirs_came_before() -> (
    None
):
    """The winter batch was announced before the first, which came before the second."""
    reports = [
        batch(None, "=1", "2023-12-20", label="winter"),
        granted("Baidu", "Ernie", "2023-12-15", batch="winter"),
        batch(1, "=1", "2024-01-10"),
        granted("Zhipu", "GLM", "2023-12-10", batch=2),
        granted("Xiaomi", "MiLM", "2024-02-10", batch=2),
    ]
    assert total_on(log(*reports), "2023-12-10")["total"] == at_least(3)
    assert total_of(log(*reports))["total"] == at_least(4)
    assert total_of(log(*reports, total("=4", "2024-12-31")))["contradictions"] == []


def test_companies_stay_named_when_another_paper_gives_their_batch_a_number() -> None:
    named = batch(None, "=3", "2023-08-31", named=[("Baidu", "Ernie"), ("Zhipu", "GLM")])
    numbered = batch(1, "=3", "2023-08-31", source="Xinhua")
    both = batch(1, "=3", "2023-08-31", named=["Baidu", "Tencent"], source="Xinhua")
    assert total_of(log(named))["named"] == total_of(log(named, numbered))["named"] == 2
    assert total_of(log(named, both))["named"] == 3
    assert total_of(log(named, numbered))["total"] == at_least(3)


def test_every_batch_that_adds_to_the_named_is_evidence_of_them() -> None:
    reports = log(
        batch(1, "=2", "2023-08-31", named=[("Baidu", "one"), ("Baidu", "two")]),
        batch(None, "<=3", "2023-08-31", named=[("Baidu", "one"), ("Baidu", "two"), ("Zhipu", "GLM")]),
        batch(2, "=2", "2023-09-30", named=[("Baidu", "three"), ("Baidu", "four")]),
    )
    answer = total_of(reports)
    assert (answer["named"], answer["total"]) == (5, at_least(5))
    assert answer["evidence"]["low"] == [1, 2, 3]


# Contradictions.


def test_reports_that_cannot_all_be_true_are_named_and_the_figure_spans_what_each_origin_would_give() -> None:
    reports = log(
        total("=8", "2023-08-31"),
        total("=11", "2023-08-31", source="Jiemian"),
        total("<=60", "2023-12-31", source="Xinhua"),
    )
    answer = total_on(reports, "2023-08-31")
    assert answer["total"] == between(8, 11)
    (contradiction,) = total_of(reports)["contradictions"]
    assert contradiction["events"] == [1, 2]
    assert contradiction["says"] == (
        "these cannot all be true: 8 by 2023-08-31 (Reuters); 11 by 2023-08-31 (Jiemian)"
    )
    # The words are about the total of the last day, which is the answer's.
    assert contradiction["alone"] == [
        {"origin": "reuters", "total": between(8, 60)},
        {"origin": "jiemian", "total": between(11, 60)},
    ]


def test_copies_of_one_origin_are_one_voice() -> None:
    reports = log(
        total("=8", "2023-08-31", source=("VON", "Reuters")),
        total("=8", "2023-08-31", source=("OODAloop", "Reuters")),
        total("=11", "2023-08-31", source="Jiemian"),
    )
    answer = total_of(reports)
    assert [alone["origin"] for alone in answer["contradictions"][0]["alone"]] == ["reuters", "jiemian"]
    assert answer["total"] == between(8, 11)


def test_a_later_total_that_is_lower_contradicts_the_earlier_and_others_stay_out_of_it() -> None:
    reports = log(
        total(">40", "2024-01-28"),
        total("=8", "2023-08-31"),
        total("=30", "2024-02-15", source="Xinhua"),
    )
    assert events_in_conflict(total_of(reports)) == [[1, 3]]
    assert total_of(reports)["total"] == at_least(30)


def test_a_contradiction_has_no_event_that_it_does_not_need() -> None:
    """The fourth batch alone says that there were 17, whatever the three before it had."""
    reports = log(
        batch(1, ">=3", "2023-08-31"),
        batch(2, ">=1", "2023-11-30"),
        batch(3, ">=1", "2023-12-31"),
        batch(4, "=14", "2024-01-26"),
        total("=16", "2024-01-28", source="Xinhua"),
    )
    assert events_in_conflict(total_of(reports)) == [[4, 5]]


def test_three_reports_contradict_each_other_of_which_any_two_agree() -> None:
    reports = log(
        total("=8", "2023-08-31"),
        total("=20", period=("2023-09-01", "2023-12-31"), source="Xinhua"),
        total("=27", "2023-12-31", source="Jiemian"),
    )
    assert events_in_conflict(total_of(reports)) == [[1, 2, 3]]


def test_a_contradiction_names_each_of_its_reports_however_many_there_are() -> None:
    months = [
        total(">=9", period=(f"2023-{month:02}-01", f"2023-{month:02}-28"), source=f"Paper {month}")
        for month in range(1, 13)
    ]
    (contradiction,) = total_of(log(*months, total("=100", "2023-12-31")))["contradictions"]
    assert contradiction["events"] == [*range(1, 14)]


def test_more_approvals_known_by_name_than_a_report_allows_contradict_it() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Zhipu", "GLM", "2023-08-31"),
        granted("Baichuan", "Baichuan", "2023-09-30"),
        total("=1", "2023-08-31"),
    )
    answer = total_of(reports)
    assert answer["named"] == 3
    (contradiction,) = answer["contradictions"]
    assert set(contradiction["events"]) >= {1, 2, 4}
    assert contradiction["says"].endswith("1 by 2023-08-31 (Reuters); the approvals known by name")
    assert answer["total"]["low"] == 1


@pytest.mark.parametrize(
    ("figure", "forcing"),
    [
        (total("=0", "2023-09-15"), [2, 3]),
        (total("=0", period=("2023-09-01", "2023-09-30")), [3]),
        (batch(1, "=1", "2023-08-10"), [4, 5]),
    ],
)
def test_of_the_approvals_known_by_name_a_contradiction_lists_those_that_force_it(
    figure: EventData, forcing: list[int]
) -> None:
    reports = log(
        figure,
        granted("Baidu", "Ernie", "2023-08-10"),
        granted("Zhipu", "GLM", "2023-09-10"),
        granted("Xiaomi", "MiLM", "2023-12-01", batch=1),
        granted("Kunlun", "Tiangong", "2023-12-01", batch=1),
    )
    assert events_in_conflict(total_of(reports)) == [[1, *forcing]]


def test_more_revocations_than_the_reports_leave_room_for_are_part_of_the_contradiction() -> None:
    reports = log(
        total("=10", "2024-03-28"),
        total("=10", "2024-03-28", in_force=True, source="Xinhua"),
        revoked("CN-1", on="2024-02-01"),
    )
    (contradiction,) = total_of(reports)["contradictions"]
    assert contradiction["events"] == [1, 2, 3]
    assert "the revocations" in contradiction["says"]


def test_a_contradiction_across_equated_terms_names_what_equates_them() -> None:
    reports = log(
        total("=40", "2024-01-28"),
        total("=50", "2024-01-28", terms=SERVICES, source="CAC"),
        equated(),
    )
    (contradiction,) = total_of(reports)["contradictions"]
    assert contradiction["events"] == [1, 2, 3]
    assert total_of(reports[:2])["contradictions"] == []


# Evidence.


def test_evidence_is_positions_bounded_in_number_with_a_count_of_the_rest() -> None:
    reports = log(
        *(granted("Baidu", f"Ernie {n}", f"2023-{8 + n // 15:02d}-{1 + n % 15:02d}") for n in range(40))
    )
    evidence = total_of(reports)["evidence"]
    assert evidence["high"] == []
    assert len(evidence["low"]) == 12
    assert evidence["low"] == sorted(set(evidence["low"]))
    assert len(evidence["low"]) + evidence["more"] == 40


def test_given_a_period_of_at_most_some_when_an_earlier_day_is_asked_about_then_only_the_total_after_it_is_evidence() -> (
    None
):
    """That none were taken away in the period bounds nothing that the total alone does not."""
    reports = log(total("<=3", period=("2024-01-10", "2024-01-10")), total("=2", "2024-01-10"))
    answer = total_of(reports, valid_at=date_range("2023-12"))
    assert (answer["total"], answer["evidence"]["high"]) == (between(0, 2), [2])


def test_the_day_that_puts_a_batch_before_another_is_evidence_too() -> None:
    """That the batch of 14 was there by November rests on the report of its day, not on that of its size."""
    reports = log(
        batch(None, ">=1", "2023-10-01", label="autumn"),
        batch(None, "=14", "2023", label="autumn", source="Xinhua"),
        batch(None, "=3", "2023-11-15", source="VON"),
    )
    step = total_on(reports, "2023-11-15")
    assert step["total"] == at_least(17)
    assert step["evidence"]["low"] == [1, 2, 3]


def test_what_came_later_forces_a_total_where_a_figure_of_a_period_leaves_no_room_for_it() -> None:
    """Two had been granted when they were revoked, and one at most was granted since August: one was there before."""
    period = total("=1", period=("2023-08", "2023-12-01"))
    revocations = log(revoked("CN-1", on="2023-11"), revoked("CN-2", on="2023-11-01"), period)
    grants = log(
        granted("Baidu", "Ernie", "2023"),
        granted("Zhipu", "GLM", "2023"),
        total("=1", period=("2023-08", "2023-12-31")),
    )
    for reports in (revocations, grants):
        for whole_evidence in (False, True):
            answer = total_of(reports, valid_at=date_range("2023-10"), whole_evidence=whole_evidence)
            assert answer["total"]["low"] == 1
            assert answer["evidence"] == {"low": [1, 2, 3], "high": [], "more": 0}


def test_a_total_is_held_down_by_what_was_granted_after_its_day_and_not_by_what_was_before() -> None:
    reports = log(
        *(granted("Baidu", f"Ernie {day}", f"2023-08-{day:02d}") for day in range(1, 21)),
        granted("Zhipu", "GLM", "2023-12-01"),
        total("<=40", "2024-01-28"),
        granted("Zhipu", "GLM-4", "2024-02-01"),
    )
    for whole_evidence in (False, True):
        answer = total_of(reports, valid_at=date_range("2023-10"), whole_evidence=whole_evidence)
        assert answer["total"]["high"] == 39
        assert answer["evidence"]["high"] == [21, 22]


# Corrections.


def test_a_retracted_report_counts_no_longer_and_counts_again_when_its_retraction_is_retracted() -> None:
    lines: list[Line] = [
        total(">40", "2024-01-28"),
        total(">90", "2024-01-28"),
        called("mistake", retracted("e2")),
        retracted("mistake"),
    ]
    lows = [total_of(log(*lines[:n]))["total"]["low"] for n in (1, 2, 3, 4)]
    assert lows == [41, 91, 41, 91]


def test_a_replacement_counts_instead_of_what_it_supersedes() -> None:
    lines = [total("=400", "2024-01-28"), total("=40", "2024-01-28"), superseded("e1", "e2")]
    assert events_in_conflict(total_of(log(*lines[:2]))) == [[1, 2]]
    assert total_of(log(*lines))["total"] == exactly(40)
    assert total_of(log(*lines))["contradictions"] == []


def test_what_was_known_at_a_position_is_what_the_log_gives_up_to_there() -> None:
    reports = log(total("=8", "2023-08-31"), total(">40", "2024-01-28"))
    assert total_of(reports[:1])["total"] == exactly(8)
    assert total_of(reports)["total"] == at_least(41)
    assert ask(reports[:0], "totals") == []


# Approvals that lists without numbers have under several names of one company.


def test_an_approval_that_is_listed_without_a_number_under_two_names_of_its_company_is_one() -> None:
    lines: list[Line] = [
        granted("Baidu", "Ernie Bot", "2023-08-31", batch=1, source="Reuters"),
        granted("百度", "Ernie Bot", "2023-08", batch=1, source="Xinhua"),
        batch(1, ">=1", "2023-08-31", named=["Baidu"]),
        total("=1", "2023-08-31"),
        called("names", identified("baidu", "Baidu", "百度")),
        retracted("names"),
    ]
    assert [total_of(log(*lines[:n]))["named"] for n in (4, 5, 6)] == [2, 1, 2]
    one = log(*lines[:5])
    assert total_of(one)["total"] == exactly(1)
    assert total_of(one)["undisclosed"] == exactly(0)
    assert total_of(one)["contradictions"] == []
    assert batch_of(one, 1)["named"] == 1
    assert company_of(one, "Baidu")["approvals"][0]["approvals"] == exactly(1)


def test_an_approval_that_has_a_number_under_another_name_of_its_company_is_that_one() -> None:
    lines = [
        identified("baidu", "Baidu", "百度"),
        granted("Baidu", "Ernie Bot", "2023-08", source="Reuters"),
        granted("百度", "Ernie Bot", "2023-09-01", number="CN-1"),
        granted("百度", "Ernie Bot", "2024-01-17", number="CN-2"),
        granted("Zhipu", "Ernie Bot", "2023-08-31"),
        granted("Baidu", "Yiyan", "2023-08-31"),
    ]
    assert total_of(log(*lines))["named"] == 4  # CN-1, CN-2, Zhipu's, and Yiyan
    assert total_on(log(*lines), "2023-08-31")["named"] == 2
    assert total_of(log(*lines[1:]))["named"] == 5


def test_of_a_name_that_is_disputed_nobody_knows_whether_an_approval_is_one_or_two() -> None:
    reports = log(
        identified("baidu", "Baidu", "Yi"),
        identified("zhipu", "Zhipu", "Yi"),
        granted("Baidu", "GLM", "2023-08-31"),
        granted("Yi", "GLM", "2023-08-31"),
        total("=3", "2023-08-31"),
    )
    assert total_of(reports)["named"] == 1
    assert total_of(reports)["undisclosed"] == between(1, 2)


def test_an_item_that_is_granted_under_a_disputed_name_may_be_of_each_company_that_claims_it() -> None:
    one = granted("Yi", "GLM", "2023-08-31")
    lines = [
        identified("baidu", "Baidu", "Yi"),
        identified("zhipu", "Zhipu", "Yi"),
        total("=3", "2023-08-31"),
        one,
    ]
    assert total_of(log(*lines))["undisclosed"] == exactly(2)
    for again in (one, granted("Yi", "GLM", "2023-08-31", number="CN-1")):
        assert total_of(log(*lines, again))["undisclosed"] == between(1, 2)
    # Two companies claim the name, so there is no third.
    assert total_of(log(*lines, *[one] * 2))["undisclosed"] == between(1, 2)


# Registry numbers that reports give to several companies.

TO_ZHIPU = granted("Zhipu", "GLM", "2023-08-31", number="CN-1")
THIRD = ("CAC", "notice", "app")
TO_BAIDU = granted("Baidu", "GLM", "2023-08-31", number="CN-1")


@pytest.mark.parametrize("of", [None, 1])
def test_a_batch_that_names_one_of_two_companies_with_one_number_may_mean_the_approval_of_that_number(
    of: int | None,
) -> None:
    listed = [grant.model_copy(update={"batch": of}) for grant in (TO_ZHIPU, TO_BAIDU)]
    for lines in (listed, listed[::-1]):
        reports = log(*lines, batch(1, "=1", "2023-08-31", named=["Baidu"]), total("=1", "2023-12-31"))
        answer = total_of(reports)
        assert (answer["total"], answer["named"], answer["contradictions"]) == (exactly(1), 1, [])
        assert (batch_of(reports, 1)["named"], batch_of(reports, 1)["contradictions"]) == (1, [])


def test_an_approval_of_one_number_is_not_that_of_both_companies_that_a_batch_names() -> None:
    reports = log(TO_ZHIPU, TO_BAIDU, batch(1, ">=1", "2023-08-31", named=["Baidu", "Zhipu"]))
    assert (total_of(reports)["named"], total_of(reports)["total"]) == (2, at_least(2))


def test_a_number_that_equated_terms_give_to_two_companies_is_one_approval() -> None:
    reports = log(
        TO_ZHIPU,
        TO_BAIDU.model_copy(update={"instrument": "filing", "unit": "service"}),
        equated(),
        batch(1, "=1", "2023-08-31", named=["Baidu"]),
    )
    assert total_of(reports)["total"] == total_of(reports, SERVICES)["total"] == at_least(1)


@pytest.mark.parametrize("other", [TO_ZHIPU, granted("Baidu", "Ernie", "2023-08-31", number="CN-1")])
def test_an_approval_without_a_number_may_be_the_one_that_its_terms_give_to_another_company_or_item(
    other: ApprovalGranted,
) -> None:
    in_services = {"instrument": "filing", "unit": "service", "batch": 1}
    lines = [
        TO_BAIDU,
        other.model_copy(update=in_services),
        granted("Baidu", "GLM", "2023-08", terms=SERVICES, batch=1),
    ]
    beside = [equated(), batch(1, "=1", "2023-08-31"), total("=1", "2023-12-31")]
    for order in permutations(lines):
        reports = log(*order, *beside)
        answer = total_of(reports)
        assert (answer["total"], answer["named"], answer["contradictions"]) == (exactly(1), 1, [])
        told = [(of["named"], of["contradictions"]) for of in ask(reports, "batches")]
        assert told == [(1, [])] * 2
    of_another = granted("Xiaomi", "GLM", "2023-08-31", terms=SERVICES)
    assert total_of(log(*lines, of_another, equated()))["total"] == at_least(2)


def test_two_items_without_a_number_to_which_an_equated_term_gives_one_are_one_approval() -> None:
    lines = [
        granted("Baidu", "GLM", "2023-08-31", number="CN-1"),
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        granted("Baidu", "GLM", "2023-08", terms=SERVICES, batch=1),
        granted("Baidu", "Ernie", "2023-08-10", terms=SERVICES, batch=1),
    ]
    for order in permutations(lines):
        reports = log(*order, equated(), batch(1, "=1", "2023-08-31"), total("=1", "2023-12-31"))
        answer = total_of(reports)
        assert (answer["total"], answer["named"], answer["contradictions"]) == (exactly(1), 1, [])
        assert [(of["named"], of["contradictions"]) for of in ask(reports, "batches")] == [(1, [])] * 2
        assert [of["named"] for of in company_of(reports, "Baidu")["approvals"]] == [1, 1]


def test_a_report_without_a_number_is_of_no_other_day_than_the_number_is_under_another_item() -> None:
    reports = log(
        granted("Baidu", "GLM", "2023-08", number="CN-1"),
        granted("Baidu", "Ernie", "2023-08-20", number="CN-1", terms=SERVICES),
        granted("Baidu", "GLM", "2023-08-10", terms=THIRD),
        equated(),
        equated(SERVICES, THIRD),
        total("=1", "2023-12-31"),
    )
    assert (total_of(reports)["total"], total_of(reports)["contradictions"]) == (exactly(1), [])


def test_a_number_under_two_names_of_one_company_is_one_approval_of_it() -> None:
    reports = log(
        identified("baidu", "Baidu", "百度"),
        TO_BAIDU,
        granted("百度", "GLM", "2023-08-31", number="CN-1"),
        batch(1, ">=1", "2023-08-31", named=[("Baidu", "GLM"), ("百度", "Ernie")]),
    )
    assert total_of(reports)["total"] == at_least(2)


def test_an_approval_without_a_number_may_be_none_that_is_numbered_where_another_has_the_number() -> None:
    reports = log(TO_ZHIPU, TO_BAIDU, granted("Baidu", "GLM", "2023-08-31"), total("=3", "2023-12-31"))
    assert total_of(reports)["undisclosed"] == between(1, 2)


def test_a_number_of_two_companies_that_merged_later_leaves_each_the_approval_that_has_none() -> None:
    merger = [identified("a", "Zhipu"), identified("b", "Baidu"), merged("a", "b", "2024-01-05")]
    bare = granted("Baidu", "GLM", "2023-08-31")
    reports = log(*merger, TO_ZHIPU, TO_BAIDU, bare, total("=3", "2023-12-31"))
    assert total_of(reports)["undisclosed"] == between(1, 2)


# All the evidence


def test_every_event_behind_a_bound_can_be_listed_and_no_other_is() -> None:
    grants = [granted("Baidu", f"Ernie {n}", f"2023-08-{n:02d}", number=f"CN-{n}") for n in range(1, 21)]
    grants += [granted("Baidu", "Ernie 1", "2023-08-03", number="CN-1")]  # two days for one approval
    grants += [granted("Zhipu", "GLM", "2023-08-15"), granted("Zhipu", "GLM", "2023-08-15", terms=SERVICES)]
    withdrawn = [granted("Zhipu", "GLM-2", "2023-08-15"), retracted("e24")]
    reports = log(*grants, *withdrawn)
    some = total_of(reports)["evidence"]
    assert len(some["low"]) == 12
    assert len(some["low"]) + some["more"] == 21
    every = total_of(reports, whole_evidence=True)["evidence"]
    assert every == {"low": list(range(1, 23)), "high": [], "more": 0}


def test_what_is_counted_by_its_day_and_as_a_member_of_a_batch_is_counted_once() -> None:
    """There are 10 of the first batch, the 12 members of the second, and one of February: all by name are 13, by their days.
    That another came before the second rests on its members."""
    reports = log(
        batch(1, ">=10", "2024-01-10"),
        batch(2, ">=2", "2024-01-20"),
        *(granted("Baidu", f"Ernie {n}", "2024-01-12", batch=2) for n in range(12)),
        granted("Zhipu", "GLM", "2024-02-01"),
    )
    assert total_of(reports)["total"] == at_least(23)
    some = total_of(reports)["evidence"]
    assert (len(some["low"]), some["more"]) == (12, 2)
    every = total_of(reports, whole_evidence=True)["evidence"]
    assert every == {"low": [1, *range(3, 16)], "high": [], "more": 0}


@pytest.mark.parametrize(("count", "on"), [("=3", "2024-02-17"), ("=1", "2024-02-01"), ("=1", "2024-01-17")])
def test_where_a_batch_is_contradicted_the_day_that_a_list_gives_its_member_decides(
    count: str, on: str
) -> None:
    """Set apart, the announcement dates the batch no longer."""
    reports = log(
        total(count, "2024-03-01"), granted("Baidu", "Ernie", on, batch=4), batch(4, "=1", "2024-01-26")
    )
    assert events_in_conflict(total_of(reports)) == [[1, 2], [1, 3]]
    for day in ("2024-01-20", "2024-01-26", "2024-02-10", "2024-02"):
        assert events_in_conflict(total_of(reports, valid_at=date_range(day))) == [[1, 2], [1, 3]]


def test_of_the_reports_of_one_approval_the_one_that_dates_it_is_evidence() -> None:
    reports = log(
        granted("Zhipu", "GLM", "2024"),
        granted("Zhipu", "GLM", "2024-02-13"),
        total("=2", "2024-03-16", source="AP"),
        total("=2", "2023-12-20", source="Xinhua"),
    )
    assert events_in_conflict(total_of(reports)) == [[2, 3, 4]]
    answer = total_of(reports[:2], valid_at=date_range("2024-02-13"))
    assert (answer["total"], answer["evidence"]["low"]) == (at_least(1), [2])


@pytest.mark.parametrize("member", [granted("Baidu", "Ernie", "2024-01-12", batch=of) for of in (1, 2, "x")])
def test_a_member_of_a_batch_that_nobody_announced_makes_no_two_others_one(member: ApprovalGranted) -> None:
    lines = [batch(None, "=4", "2024-02-20"), batch(None, "=5", "2024-02-05")]
    assert total_of(log(*lines, member))["total"] == at_least(9)
    conflict = total_of(log(*lines, total("=6", "2024-12-31"), member))
    assert events_in_conflict(conflict) == [[1, 2, 3]]


def test_of_two_batches_that_may_be_one_the_larger_counts_whichever_has_an_ordinal() -> None:
    lines = [batch(None, ">=5", "2024-01-10", label="x"), batch(None, "<=3", "2024-02-20")]
    assert total_of(log(*lines))["total"] == at_least(6)
    assert total_of(log(*lines, batch(2, "=1", "2024-01-10")))["total"] == at_least(6)


@pytest.mark.parametrize("in_force", ["=0", "=1"])
def test_given_a_total_when_it_alone_forces_a_later_one_then_what_is_in_force_by_then_is_no_evidence(
    in_force: str,
) -> None:
    answer = total_of(log(total("=2", "2023-09-12"), total(in_force, "2023-11-04", in_force=True)))
    assert answer["total"] == at_least(2)
    assert answer["evidence"]["low"] == [1]


def test_every_revocation_behind_a_bound_can_be_listed() -> None:
    lines = [
        total("=10", "2024-01-31", in_force=True),
        *(revoked(f"CN-{day}", on=f"2024-01-{day:02d}") for day in range(1, 20)),
        retracted("e2"),
    ]
    answer = total_of(log(*lines), whole_evidence=True)
    assert answer["total"] == at_least(28)
    assert answer["evidence"] == {"low": [1, *range(3, 21)], "high": [], "more": 0}


def test_a_report_without_a_number_is_no_evidence_where_others_give_its_approval_one() -> None:
    """GLM is of February, whatever the paper says that gives no number; listed alone it would contradict the total."""
    reports = log(
        total("<=1", "2024-02-15"),
        granted("Baidu", "Ernie", "2024-01-10"),
        granted("Zhipu", "GLM", "2024-02-28", number="CN-2"),
        granted("Zhipu", "GLM", "2024-01"),
    )
    answer = total_of(reports, valid_at=date_range("2023-12-31"), whole_evidence=True)
    assert (answer["total"], answer["evidence"]["high"]) == (exactly(0), [1, 2])


def test_all_the_evidence_has_the_report_without_a_number_that_says_the_day_of_an_approval_that_has_one() -> (
    None
):
    reports = log(granted("Zhipu", "GLM", "2023-11", number="CN-1"), granted("Zhipu", "GLM", "2023-11-01"))
    for whole_evidence, listed in ((False, [2]), (True, [1, 2])):
        answer = total_of(reports, valid_at=date_range("2023-11-15"), whole_evidence=whole_evidence)
        assert (answer["total"], answer["evidence"]["low"]) == (at_least(1), listed)


@pytest.mark.parametrize("other", [{}, {"batch": "the second list"}])
def test_all_the_evidence_has_the_report_that_dates_a_member_of_a_batch_without_naming_that(
    other: dict[str, Any],
) -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023", batch=2, number="N"),
        granted("Baidu", "Ernie", "2023-08-26", number="N", **other),
    )
    answer = total_of(reports, valid_at=date_range("2023-10-05"), whole_evidence=True)
    assert answer["total"] == at_least(2)
    assert {1, 2} <= {*answer["evidence"]["low"]}


# What a tester's ledgers showed


def test_a_vaguer_report_of_an_approval_takes_nothing_from_what_another_says_of_its_day() -> None:
    reports = log(
        granted("Alpha", "x", "2024-01-10", number="1"),
        granted("Alpha", "x", "2024", number="1", source="VON"),
    )
    assert total_of(reports, valid_at=date_range("2024-06-30"))["total"] == at_least(1)
    apart = log(
        granted("Alpha", "x", "2024-01-10", number="1"),
        granted("Alpha", "x", "2024-02", number="1", source="VON"),
    )
    assert total_of(apart, valid_at=date_range("2024-02-10"))["total"] == at_least(0)
    assert total_of(apart, valid_at=date_range("2024-02-29"))["total"] == at_least(1)


def test_approvals_of_a_month_stand_beside_those_announced_in_it() -> None:
    reports = [batch(1, "=1", "2024-01-20", named=["A"]), granted("C", "z", "2024-01")]
    assert total_of(log(*reports), valid_at=date_range("2024-01-31"))["total"] == at_least(2)
    contradicted = total_of(log(*reports, total("=1", "2024-01-31")), valid_at=date_range("2024-01-31"))
    assert [position for position in contradicted["contradictions"][0]["events"] if position != 2] == [1, 3]


def test_what_is_in_force_in_a_month_is_whatever_may_be_on_a_day_of_it() -> None:
    reports = log(
        total("=5", "2024-01-01", in_force=True),
        total("=100", "2024-01-31"),
        total("=5", "2024-01-31", in_force=True),
    )

    def in_force(day: str) -> dict[str, int | None]:
        answer = total_of(reports, valid_at=date_range(day))["in_force"]
        return {side: answer[side] for side in ("low", "high")}

    assert in_force("2024-01-31") == exactly(5)
    assert in_force("2024-01-15") == between(0, 100)
    assert in_force("2024-01") == between(0, 100)


def test_what_had_ended_does_not_begin_again() -> None:
    reports = [
        total("=10", "2024-01-01"),
        total("=4", "2024-01-01", in_force=True),
        total("=10", "2024-12-31"),
    ]
    answer = total_of(log(*reports))["in_force"]
    assert (answer["low"], answer["high"]) == (0, 4)
    risen = total_of(log(*reports, total("=9", "2024-12-31", in_force=True)))
    assert events_in_conflict(risen) == [[1, 2, 3, 4]]


def test_a_batch_was_announced_by_the_day_of_a_later_one() -> None:
    reports = log(
        batch(1, "=3", "2024-01", named=["A", "B"]), batch(2, "=2", "2024-01-20"), total("=5", "2024-01-20")
    )
    answer = total_of(reports, valid_at=date_range("2024-01-20"))
    assert (answer["named"], answer["undisclosed"]) == (2, exactly(3))
    batches = ask(reports, "batches", valid_at=date_range("2024-01-20"))
    assert [b.get("perhaps", False) for b in batches] == [False, False]


def test_more_reports_than_approvals_are_no_negative_number_of_others() -> None:
    reports = log(
        identified("lingyi", "01.AI", "零一万物"),
        granted("01.AI", "Yi", "2024-01"),
        granted("零一万物", "Yi", "2024-01"),
    )
    assert total_of(reports)["evidence"] == {"low": [2, 3], "high": [], "more": 0}


# Figures that a comparison with every possible history showed to be wrong


def test_a_member_that_a_list_dates_later_may_be_named_from_the_announcement_of_its_batch_on() -> None:
    reports = log(batch(1, "=1", "2024-01-10"), granted("Baidu", "Ernie", "2024-03-01", batch=1))
    assert total_of(reports, valid_at=date_range("2024-01-10"))["undisclosed"] == at_least(0)
    assert total_of(reports, valid_at=date_range("2024-03-01"))["undisclosed"] == at_least(0)


def test_of_announcements_that_disagree_about_the_day_of_a_batch_each_says_by_when_it_was_granted() -> None:
    lines = [
        batch(1, "=5", "2024-01-10"),
        batch(1, "=5", "2024-02-10", source="VON"),
        total("=9", "2024-03-01"),
    ]
    reports = log(*lines)
    assert total_of(reports, valid_at=date_range("2024-01-20"))["total"] == between(5, 9)
    contradicted = total_of(log(*lines, total("=3", "2024-01-20", source="Xinhua")))
    assert [each["events"] for each in contradicted["contradictions"]] == [[1, 4]]
    agreed = log(batch(1, "=5", "2024-01"), batch(1, "=5", "2024-01-20", source="VON"))
    assert total_of(agreed, valid_at=date_range("2024-01-20"))["total"] == at_least(5)


def test_companies_that_merged_between_the_days_of_a_batch_may_be_one_in_it() -> None:
    companies = [identified("a", "Baidu"), identified("b", "Zhipu"), merged("a", "b", "2024-01-31")]
    named = ["Baidu", "Zhipu"]
    disagree = [batch(1, ">=1", "2024-01-10", named=named), batch(1, ">=1", "2024-02-10", named=named)]
    assert total_of(log(*companies, *disagree))["total"] == at_least(1)
    assert total_of(log(*companies, disagree[0]))["total"] == at_least(2)


@pytest.mark.parametrize("first", [1, 2])
def test_a_label_that_reports_give_two_ordinals_tells_no_batch_from_another(first: int) -> None:
    numbered = [batch(1, ">=3", "2024-01-10", label="models"), batch(2, ">=4", "2024-02-10", label="models")]
    labelled = batch(None, "=9", "2024-02-10", label="models", source="VON")
    reports = log(*(numbered if first == 1 else numbered[::-1]), labelled)
    assert (batch_of(reports, 1)["size"], batch_of(reports, 2)["size"]) == (at_least(3), at_least(4))
    assert total_of(reports)["total"] == at_least(3 + 9)  # it is the second, or another of its day
    assert total_of(reports)["evidence"]["low"] == [1, 2, 3]
    assert total_of(reports)["contradictions"] == []


def test_of_two_labels_of_one_batch_each_report_has_the_event_that_links_its_own() -> None:
    reports = log(
        batch(1, ">=1", "2024-01-10", label="first"),
        batch(1, ">=1", "2024-01-10", label="spring"),
        batch(None, "=9", "2024-01-10", label="first"),
    )
    assert batch_of(reports, 1)["evidence"]["size"]["low"] == [1, 3]


def test_members_that_a_list_dates_later_stand_beside_whom_announcements_name() -> None:
    """Three are listed by March, beside the one that the announcement names."""
    reports = log(
        batch(3, ">=1", "2024-01-10", named=["Baidu"]),
        granted("01.AI", "Yi", "2024-01-05"),
        granted("Zhipu", "GLM", "2024-03-01", batch=2),
        granted("Xiaomi", "MiLM", "2024-03-01", batch=1),
    )
    assert total_of(reports)["total"] == at_least(4)


def test_a_figure_between_takes_nothing_from_the_member_of_a_batch_that_a_list_dates_later() -> None:
    lines = [
        granted("Zhipu", "GLM", "2023-12-31", batch=2),
        batch(None, ">=1", "2024-01", label="new year"),
        granted("Baidu", "Ernie", "2024-01-10", batch="new year"),
    ]
    for between_them in ([], [total("~9", "2024-01-01")]):
        reports = log(*lines, *between_them)
        assert total_of(reports, valid_at=date_range("2024-01-10"))["total"] == at_least(3)


@pytest.mark.parametrize(
    ("member", "other"),
    [
        (
            granted("Baidu", "Ernie", "2023-08-05", number="CN-1", batch=1),
            granted("Baidu", "Ernie", "2024", number="CN-1"),
        ),
        (granted("Baidu", "Ernie", "2023-08-05", batch=1), granted("Baidu", "Ernie", "2024")),
        (granted("Baidu", "Ernie", "2023-08-05", batch=1), granted("Baidu", "Ernie", "2024", batch="x")),
        (granted("百度", "Ernie", "2023-08-05", batch=1), granted("Baidu", "Ernie", "2024")),
        (granted("Baidu", "Ernie", "2023-08-05", batch=1), granted("Baidu", "Ernie", "2024", number="CN-1")),
        (granted("Baidu", "Ernie", "2023-08-05", number="CN-1", batch=1), granted("百度", "Ernie", "2024")),
        (granted("Baidu", "Ernie", "2023-08-05", batch=1), granted("百度", "Ernie", "2024", terms=SERVICES)),
    ],
)
def test_a_member_of_a_batch_may_be_of_the_days_that_reports_give_it_which_do_not_name_the_batch(
    member: ApprovalGranted, other: ApprovalGranted
) -> None:
    """Its batch is no reason to believe one day rather than the other."""
    one = [identified("baidu", "Baidu", "百度"), equated()]
    none_yet = total("<=0", "2023-11-20", source="Xinhua")
    for reports in ([member, other], [other, member]):
        assert total_of(log(*reports, *one), valid_at=date_range("2023-11-20"))["total"] == at_least(0)
        answer = total_of(log(*reports, *one, none_yet))
        assert (answer["total"], answer["contradictions"]) == (at_least(1), [])


def test_a_member_that_others_date_after_the_announcement_of_its_batch_may_be_named_from_then_on() -> None:
    reports = log(
        batch(1, "=1", "2024-01-10"),
        granted("Baidu", "Ernie", "2024", number="CN-1", batch=1),
        granted("Baidu", "Ernie", "2024-01-29", number="CN-1"),
        total("=1", "2024-01-15"),
    )
    assert total_of(reports, valid_at=date_range("2024-01-15"))["undisclosed"] == between(0, 1)


@pytest.mark.parametrize(
    ("reports", "day"),
    [
        (
            [
                granted("Baidu", "Ernie", "2024-01", number="CN-1"),
                granted("Baidu", "Ernie", "2024-01"),
                granted("Baidu", "Ernie", "2023", number="CN-2"),
                granted("Baidu", "Ernie", "2023", number="CN-1", terms=SERVICES),
            ],
            "2023-12-31",
        ),
        (
            [
                granted("Baidu", "Ernie", "2023-08-20", number="CN-1"),
                granted("Baidu", "Ernie", "2024"),
                granted("Baidu", "Ernie", "2024-01", number="CN-2"),
                granted("Baidu", "Ernie", "2023-11-03", number="CN-2", terms=SERVICES),
            ],
            "2023-08-31",
        ),
    ],
)
def test_a_report_without_a_number_may_be_of_another_where_equated_terms_put_the_one_that_it_agrees_with_in_doubt(
    reports: list[ApprovalGranted], day: str
) -> None:
    """That may be of a day which is not the report's: the report is of the other number then, and that of the report's days."""
    for order in permutations(reports):
        assert total_of(log(*order, equated()), valid_at=date_range(day))["total"] == at_least(0)


@pytest.mark.parametrize("of_member", ["CN-1", None])
@pytest.mark.parametrize("of_listed", ["CN-1", None])
def test_a_member_of_a_batch_counts_once_where_an_equated_term_lists_it_after_the_announcement(
    of_member: str | None, of_listed: str | None
) -> None:
    """The press has it in a batch, the regulator's list has the day."""
    lines = [
        batch(1, "=1", "2023-08-10"),
        granted("Baidu", "Ernie", "2023-11", number=of_member, batch=1),
        granted("Baidu", "Ernie", "2023-11-03", number=of_listed, terms=SERVICES),
        equated(),
    ]
    for reports in permutations(lines):
        assert total_of(log(*reports))["total"] == at_least(1)
        answer = total_of(log(*reports, total("=1", "2024-01-31")))
        assert (answer["total"], answer["contradictions"]) == (exactly(1), [])
    beside = granted("Zhipu", "GLM", "2023-11-03", terms=SERVICES)
    assert total_of(log(*lines, beside))["total"] == at_least(2)


def test_a_report_without_a_number_may_put_another_in_a_batch_than_the_number_of_its_item_that_is_in_it() -> (
    None
):
    """Both are of the batch then, and listed in November is one of them."""
    lines = [
        batch(1, "=2", "2023-10-01"),
        granted("Baidu", "Ernie", "2023-08", number="CN-2", batch=1),
        granted("Baidu", "Ernie", "2023-11-03", batch=1),
        granted("Baidu", "Ernie", "2023-11", number="CN-1"),
    ]
    for reports in permutations(lines):
        recorded = log(*reports, total("=2", "2024-01-31"))
        assert (total_of(recorded)["total"], total_of(recorded)["contradictions"]) == (exactly(2), [])
        assert batch_of(recorded, 1)["undisclosed"]["low"] == 0


@settings(max_examples=examples(300))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["2023-08-31", "2023-11-30", "2023-11", "2024-01-31"]),
            st.sampled_from(["=", "<=", ">="]),
            st.integers(0, 4),
            st.sampled_from(["total", "period", 1, 2, "models", None]),
            st.sampled_from([None, "Xinhua"]),
        ),
        min_size=2,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_the_figures_and_what_contradicts_what_do_not_depend_on_the_order_in_which_reports_arrive(
    told: list[tuple[str, str, int, int | str | None, str | None]], random: Random
) -> None:
    def report(
        n: int, on: str, relation: str, value: int, what: int | str | None, by: str | None
    ) -> EventData:
        count, source = f"{relation}{value}", by or f"paper {n}"
        if what == "total":
            return total(count, on, source=source)
        if what == "period":
            return total(count, period=("2023-09-01", "2024-01-31"), source=source)
        ordinal, label = (what, None) if isinstance(what, int) else (None, what)
        return batch(ordinal, count, on, label=label, source=source)

    reports = [report(n, *each) for n, each in enumerate(told)]
    unlike = [reports[n] for n in range(len(reports)) if reports[n] not in reports[:n]]
    shuffled = random.sample(unlike, len(unlike))

    def found(lines: list[EventData]) -> tuple[object, ...]:
        recorded = log(*lines)
        answer = total_of(recorded, steps=True)
        steps = [{what: of for what, of in step.items() if what != "evidence"} for step in answer["steps"]]
        conflicts = [
            {str(lines[position - 1]) for position in events} for events in events_in_conflict(answer)
        ]
        sizes = sorted(f"{b['ordinal']} {b['size']} {b['before']}" for b in ask(recorded, "batches"))
        return steps, sizes, sorted(map(sorted, conflicts))

    assert found(unlike) == found(shuffled)
