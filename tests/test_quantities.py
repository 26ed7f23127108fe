"""What a count, a share or a partial date says, as an interval."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events import Count, DateRange, Interval, Share, date_range
from events.quantities import MAX_COUNT

from .strategies import counts, partial_dates, shares


@pytest.mark.parametrize(
    ("relation", "value", "within", "allowed"),
    [
        ("=", 14, None, Interval(14, 14)),
        ("=", 0, None, Interval(0, 0)),
        (">=", 40, None, Interval(40)),
        (">", 40, None, Interval(41)),
        ("<=", 40, None, Interval(0, 40)),
        ("<", 40, None, Interval(0, 39)),
        ("<", 1, None, Interval(0, 0)),
        ("~", 130, None, None),
        ("~", 130, 10, Interval(120, 140)),
        ("~", 130, 0, Interval(130, 130)),
        ("~", 3, 10, Interval(0, 13)),
        ("=", MAX_COUNT, None, Interval(MAX_COUNT, MAX_COUNT)),
    ],
)
def test_each_relation_allows_the_counts_that_its_words_allow(
    relation: Literal["=", ">=", ">", "<=", "<", "~"],
    value: int,
    within: int | None,
    allowed: Interval | None,
) -> None:
    assert Count(relation=relation, value=value, within=within).interval() == allowed


@given(counts(), st.integers(0, 200))
def test_a_number_is_in_the_interval_when_the_relation_holds_for_it(count: Count, number: int) -> None:
    holds = {
        "=": number == count.value,
        ">=": number >= count.value,
        ">": number > count.value,
        "<=": number <= count.value,
        "<": number < count.value,
        "~": count.within is None or abs(number - count.value) <= count.within,
    }[count.relation]
    interval = count.interval()
    inside = interval is None or (
        interval.low <= number and (interval.high is None or number <= interval.high)
    )
    assert inside == holds


@given(counts())
def test_no_count_allows_a_number_below_zero_or_nothing_at_all(count: Count) -> None:
    interval = count.interval()
    assert interval is None or (interval.low >= 0 and not interval.empty)


@pytest.mark.parametrize(
    "wrong",
    [
        {"relation": "<", "value": 0},
        {"relation": "=", "value": -1},
        {"relation": "=", "value": MAX_COUNT + 1},
        {"relation": "=", "value": 2**63},
        {"relation": "=", "value": True},
        {"relation": "=", "value": 1.0},
        {"relation": "=", "value": "1"},
        {"relation": "=", "value": None},
        {"relation": "=", "value": float("nan")},
        {"relation": "==", "value": 1},
        {"relation": "~", "value": 1, "within": -1},
        {"relation": "~", "value": 1, "within": True},
        {"relation": "=", "value": 1, "within": 1},
        {"relation": "=", "value": 1, "unit": "model"},
        {"value": 1},
    ],
)
def test_a_count_that_no_source_can_mean_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Count(**wrong)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (Count(relation=">", value=40), "more than 40"),
        (Count(relation="=", value=100_000_000), "100,000,000"),
        (Count(relation="~", value=130, within=10), "about 130 (within 10)"),
    ],
)
def test_a_count_reads_as_its_source_put_it(count: Count, words: str) -> None:
    assert str(count) == words


@pytest.mark.parametrize(
    ("interval", "words", "empty"),
    [
        (Interval(41), "41 or more", False),
        (Interval(86, 86), "86", False),
        (Interval(1_000, 2_000), "1,000 to 2,000", False),
        (Interval(5, 4), "5 to 4", True),
    ],
)
def test_an_interval_says_its_bounds_and_whether_anything_is_in_it(
    interval: Interval, words: str, empty: bool
) -> None:
    assert (str(interval), interval.empty) == (words, empty)
    assert interval.to_json() == {"low": interval.low, "high": interval.high}


@pytest.mark.parametrize(
    ("percent", "rounding", "low", "high"),
    [
        (40, 1, "0.395", "0.405"),
        (40, 5, "0.375", "0.425"),
        (0, 1, "0", "0.005"),
        (-0.0, 1, "0", "0.005"),
        (100, 1, "0.995", "1"),
        (0.1, 0.1, "0.0005", "0.0015"),
        (50, 100, "0", "1"),
        (0.3, 1e-05, "0.00299995", "0.00300005"),
    ],
)
def test_a_share_is_every_share_that_rounds_to_it_as_exact_fractions(
    percent: float, rounding: float, low: str, high: str
) -> None:
    assert Share(percent=percent, rounding=rounding).bounds() == (Fraction(low), Fraction(high))


@given(shares())
def test_the_bounds_of_a_share_hold_it_and_are_no_wider_than_its_rounding(share: Share) -> None:
    low, high = share.bounds()
    assert 0 <= low <= Fraction(str(share.percent)) / 100 <= high <= 1
    assert high - low <= Fraction(str(share.rounding)) / 100


def test_minus_zero_percent_is_zero() -> None:
    assert str(Share(percent=-0.0, rounding=1).percent) == "0.0"


@pytest.mark.parametrize(
    "wrong",
    [
        {"percent": 100.1, "rounding": 1},
        {"percent": -0.1, "rounding": 1},
        {"percent": 40},
        {"percent": 40, "rounding": 0},
        {"percent": 40, "rounding": -1},
        {"percent": 40, "rounding": 100.5},
        {"percent": float("nan"), "rounding": 1},
        {"percent": float("inf"), "rounding": 1},
        {"percent": 40, "rounding": float("nan")},
        {"percent": True, "rounding": 1},
        {"percent": "40", "rounding": 1},
    ],
)
def test_a_share_over_a_hundred_or_without_its_rounding_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Share(**wrong)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("2023-11", date(2023, 11, 1), date(2023, 11, 30)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2023-02", date(2023, 2, 1), date(2023, 2, 28)),
        ("2023-11-03", date(2023, 11, 3), date(2023, 11, 3)),
        ("2024-02-29", date(2024, 2, 29), date(2024, 2, 29)),
        ("1900", date(1900, 1, 1), date(1900, 12, 31)),
        ("9999-12-31", date(9999, 12, 31), date(9999, 12, 31)),
    ],
)
def test_a_partial_date_is_every_day_that_it_may_mean(text: str, first: date, last: date) -> None:
    assert date_range(text) == DateRange(first, last)


@given(partial_dates())
def test_a_partial_date_begins_with_the_days_of_its_range(text: str) -> None:
    days = date_range(text)
    assert days.first <= days.last
    assert days.first.isoformat().startswith(text)
    assert days.last.isoformat().startswith(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2024-13", "no such month"),
        ("2024-00", "no such month"),
        ("2023-02-29", "the last is 2023-02-28"),
        ("2023-01-32", "the last is 2023-01-31"),
        ("2024-01-00", "no such day"),
        ("1899-12-31", "before 1900"),
        ("0000", "before 1900"),
        ("10000", "is not a date"),
        ("24-01-01", "is not a date"),
        ("2024-1-1", "is not a date"),
        ("2024-01-31T00:00", "is not a date"),
        (" 2024", "is not a date"),
        ("2024\n", "is not a date"),
        ("２０２４", "is not a date"),
        ("-2024", "is not a date"),
        ("", "is not a date"),
    ],
)
def test_a_text_that_is_no_date_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        date_range(text)


def test_the_refusal_of_a_date_does_not_repeat_a_megabyte_of_it() -> None:
    with pytest.raises(ValueError, match="is not a date") as refused:
        date_range("1" * 1_000_000)
    assert len(str(refused.value)) < 200
