"""The figures of small instances against every world there may be: none lies outside the bounds, and some world reaches each.

A world is a number of approvals outside of batches on each of three days, and, for each batch up to the highest ordinal that is
reported, how many of it were granted on each day. Batches are granted in the order of their ordinals, and by the day on which
they are announced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import Interval
from events.catalog import BatchAnnounced, Named, TotalReported

from .given import ask, batch, by, log, total, total_on
from .long import examples

DAYS = (
    "2023-08-31",
    "2023-11-30",
    "2024-01-31",
)  # far enough apart for no total to be of the week of a batch
MOST = 3  # of a figure that is reported
OUTSIDE = 5  # approvals outside of batches on one day, at most: enough to tell a bound from none


@dataclass(frozen=True)
class World:
    """The totals at the end of each day; and of each batch its size, and the last day on which any of it was granted."""

    totals: tuple[int, ...]
    sizes: tuple[int, ...]
    granted_by: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """A line of the log, and whether it is true of a world."""

    line: TotalReported | BatchAnnounced
    true: Callable[[World], bool]


@cache
def worlds(batches: int) -> tuple[World, ...]:
    """Every world of so many batches, worlds that no report can tell apart once."""
    some = [of for of in product(range(MOST + 2), repeat=len(DAYS)) if 1 <= sum(of) <= MOST + 1]
    found = set()
    for granted in product(some, repeat=batches):
        if all(last(a) <= first(b) for a, b in pairwise(granted)):
            in_batches = [sum(of[day] for of in granted) for day in range(len(DAYS))]
            sizes, by = tuple(map(sum, granted)), tuple(map(last, granted))
            for outside in product(range(OUTSIDE + 1), repeat=len(DAYS)):
                on_each = [a + b for a, b in zip(in_batches, outside, strict=True)]
                found.add(World(tuple(accumulate(on_each)), sizes, by))
    return tuple(found)


def first(of_batch: Sequence[int]) -> int:
    return min(day for day, count in enumerate(of_batch) if count)


def last(of_batch: Sequence[int]) -> int:
    return max(day for day, count in enumerate(of_batch) if count)


@st.composite
def figures(draw: st.DrawFn) -> tuple[str, Interval]:
    value = draw(st.integers(0, MOST))
    text = draw(st.sampled_from([f"={value}", f">={value}", f"<={value}", f"~{value}±1"]))
    intervals = {
        "=": Interval(value, value),
        ">": Interval(value),
        "<": Interval(0, value),
        "~": Interval(max(0, value - 1), value + 1),
    }
    return text, intervals[text[0]]


def holds(interval: Interval, value: int) -> bool:
    return interval.low <= value and (interval.high is None or value <= interval.high)


@st.composite
def totals(draw: st.DrawFn) -> Report:
    (text, interval), day = draw(figures()), draw(st.integers(0, 2))
    return Report(total(text, DAYS[day]), lambda world: holds(interval, world.totals[day]))


@st.composite
def periods(draw: st.DrawFn) -> Report:
    """What was granted after one day, and until another."""
    (text, interval), (since, until) = draw(figures()), draw(st.sampled_from([(0, 1), (0, 2), (1, 2)]))
    after = {0: "2023-09-01", 1: "2023-12-01"}[since]
    return Report(
        total(text, period=(after, DAYS[until])),
        lambda world: holds(interval, world.totals[until] - world.totals[since]),
    )


@st.composite
def announcements(draw: st.DrawFn) -> Report:
    (text, interval), ordinal, day = draw(figures()), draw(st.integers(1, 2)), draw(st.integers(0, 2))

    def true(world: World) -> bool:
        return holds(interval, world.sizes[ordinal - 1]) and world.granted_by[ordinal - 1] <= day

    return Report(batch(ordinal, text, DAYS[day]), true)


def batches_of(reports: Sequence[Report]) -> int:
    return max((getattr(report.line, "ordinal", 0) for report in reports), default=0)


@settings(max_examples=examples(400))
@given(st.lists(totals() | totals() | periods() | announcements(), min_size=1, max_size=4))
def test_the_figures_are_the_least_and_the_most_of_all_worlds_in_which_the_reports_are_true(
    reports: list[Report],
) -> None:
    allowed = [w for w in worlds(batches_of(reports)) if all(report.true(w) for report in reports)]
    recorded = log(*(report.line for report in reports))
    (answer,) = ask(recorded, "totals", steps=True)
    assert bool(answer["contradictions"]) == (not allowed)
    if not allowed:
        for contradiction in answer["contradictions"]:
            of = [reports[position - 1] for position in contradiction["events"]]
            assert not any(all(report.true(w) for report in of) for w in worlds(batches_of(of)))
            for left_out in of:
                rest = [report for report in of if report is not left_out]
                assert any(all(report.true(w) for report in rest) for w in worlds(batches_of(rest)))
        return
    for step in answer["steps"]:
        if step["on"] in DAYS:
            day = DAYS.index(step["on"])
            assert_reached(step["total"], [world.totals[day] for world in allowed], OUTSIDE)
    for found in ask(recorded, "batches"):
        sizes = [world.sizes[found["ordinal"] - 1] for world in allowed]
        assert_reached(found["size"], sizes, MOST + 1)


@settings(max_examples=examples(400))
@given(st.lists(totals() | periods() | announcements(), min_size=2, max_size=5))
def test_figures_hold_whichever_origins_in_conflict_are_right_where_nothing_else_is_wrong(
    reports: list[Report],
) -> None:
    by_origin = [
        replace(report, line=report.line.model_copy(update={"source": by(f"paper {n}")}))
        for n, report in enumerate(reports)
    ]
    recorded = log(*(report.line for report in by_origin))
    (answer,) = ask(recorded, "totals", steps=True)
    apart = {position for listed in answer["contradictions"] for position in listed["events"]}
    in_none = [report for position, report in enumerate(reports, start=1) if position not in apart]
    batches = ask(recorded, "batches")
    for world in worlds(batches_of(reports)):
        right = [position for position in apart if reports[position - 1].true(world)]
        if (apart and not right) or not all(report.true(world) for report in in_none):
            continue
        for step in answer["steps"]:
            if step["on"] in DAYS:
                assert within(step["total"], world.totals[DAYS.index(step["on"])])
        for found in batches:
            assert within(found["size"], world.sizes[found["ordinal"] - 1])


@dataclass(frozen=True)
class Granted(World):
    """A world that also tells how many of each batch were granted by the end of each day."""

    by_day: tuple[tuple[int, ...], ...]

    def undisclosed(self, day: int, named: Sequence[int]) -> int:
        """How many there were by the end of a day that are not among the `named` of each batch, at least: these may be the first."""
        of_batches = [of[day] for of in self.by_day]
        beside = [max(0, of - names) for of, names in zip(of_batches, named, strict=True)]
        return self.totals[day] - sum(of_batches) + sum(beside)


@cache
def worlds_by_day(batches: int) -> tuple[Granted, ...]:
    """The worlds of so many batches with as many approvals as a report may say, told apart by the days on which these were granted."""
    some = [of for of in product(range(MOST + 1), repeat=len(DAYS)) if 1 <= sum(of) <= MOST]
    found = []
    for granted in product(some, repeat=batches):
        if all(last(a) <= first(b) for a, b in pairwise(granted)):
            sizes, by = tuple(map(sum, granted)), tuple(map(last, granted))
            by_day = tuple(tuple(accumulate(of)) for of in granted)
            for outside in product(range(MOST + 1), repeat=len(DAYS)):
                on_each = [sum(on) for on in zip(outside, *granted, strict=True)]
                found.append(Granted(tuple(accumulate(on_each)), sizes, by, by_day))
    return tuple(found)


@st.composite
def announcements_with_names(draw: st.DrawFn) -> Report:
    """An announcement that names some of the same companies as others of its batch."""
    report = draw(announcements())
    assert isinstance(report.line, BatchAnnounced)
    ordinal = report.line.ordinal
    assert ordinal is not None
    named = [Named(company=f"company {ordinal} {n}") for n in range(draw(st.integers(0, MOST)))]
    line = report.line.model_copy(update={"named": named})
    return Report(line, lambda world: report.true(world) and len(named) <= world.sizes[ordinal - 1])


@settings(max_examples=examples(400))
@given(st.lists(totals() | periods() | announcements_with_names(), min_size=1, max_size=4))
def test_the_undisclosed_are_the_least_of_all_worlds_in_which_the_reports_are_true(
    reports: list[Report],
) -> None:
    batches = batches_of(reports)
    allowed = [world for world in worlds_by_day(batches) if all(report.true(world) for report in reports)]
    (answer,) = ask(log(*(report.line for report in reports)), "totals", steps=True)
    if not allowed:
        return
    announced = [report.line for report in reports if isinstance(report.line, BatchAnnounced)]
    named = [
        max((len(line.named) for line in announced if line.ordinal == ordinal), default=0)
        for ordinal in range(1, batches + 1)
    ]
    for step in answer["steps"]:
        if step["on"] in DAYS:
            day = DAYS.index(step["on"])
            assert step["undisclosed"]["low"] == min(world.undisclosed(day, named) for world in allowed)


def within(interval: dict[str, int | None], value: int) -> bool:
    low, high = interval["low"], interval["high"]
    return (low is None or low <= value) and (high is None or value <= high)


def assert_reached(interval: dict[str, int | None], values: list[int], most: int) -> None:
    """The lowest value is that of some world, and so is the highest; one that is above `most`, the most that any world here can
    have, is reached by those that have as many."""
    assert interval["low"] == min(values)
    high = interval["high"]
    if high is None or high > most:
        assert max(values) >= most
    else:
        assert high == max(values)


@pytest.mark.parametrize("day", DAYS)
def test_control_a_figure_that_is_one_too_high_would_be_found(day: str) -> None:
    recorded = log(total(">=3", day))
    figure = total_on(recorded, day)["total"]
    with pytest.raises(AssertionError):
        assert_reached(figure | {"low": figure["low"] + 1}, [3, 9], OUTSIDE)
