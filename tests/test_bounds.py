"""The solver of bounds against brute force: every world of whole numbers that a small system of constraints allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import Interval
from projections import bounds
from projections.bounds import (
    ORIGIN,
    STEPS,
    Bound,
    Conflict,
    Constraint,
    Node,
    Resolution,
    Solution,
    resolve,
    solve,
)

from .long import examples

World = Mapping[Node, int]


def atleast(node: Node, least: int, *because: int) -> Constraint:
    """`node >= least`."""
    return Constraint(node, ORIGIN, least, frozenset(because))


def atmost(node: Node, most: int, *because: int) -> Constraint:
    """`node <= most`."""
    return Constraint(ORIGIN, node, -most, frozenset(because))


def further(upper: Node, lower: Node, least: int, *because: int) -> Constraint:
    """`upper - lower >= least`."""
    return Constraint(upper, lower, least, frozenset(because))


def worlds(nodes: Sequence[Node], constraints: Sequence[Constraint], most: int) -> list[World]:
    """Every assignment of 0 to `most` that the constraints allow."""
    found: list[World] = [{ORIGIN: 0}]
    for node in nodes:
        known = {node, *found[0]} if found else set()
        ready = [c for c in constraints if node in (c.upper, c.lower) and {c.upper, c.lower} <= known]
        wider = ({**world, node: value} for world in found for value in range(most + 1))
        found = [world for world in wider if all(world[c.upper] - world[c.lower] >= c.least for c in ready)]
    return found


def brute_force(node: Node, allowed: Sequence[World], unbounded_from: int) -> Interval:
    values = [world[node] for world in allowed]
    return Interval(min(values), None if max(values) >= unbounded_from else max(values))


def bounds_of(solution: Solution, nodes: Iterable[Node]) -> dict[Node, Interval]:
    return {node: solution.bound(node).interval for node in nodes}


# Every system of up to three constraints over two figures: a finite bound is a path of at most two constraints (or a
# cycle, which is none), so it is 4 at most, and a figure without a bound reaches 10 less the 2 that another is above it.
SMALL = [
    Constraint(upper, lower, least)
    for upper, lower in product((ORIGIN, "a", "b"), repeat=2)
    if upper != lower
    for least in (-2, -1, 0, 1, 2)
]


def small_systems() -> Iterator[tuple[Constraint, ...]]:
    for size in (1, 2, 3):
        yield from combinations(SMALL, size)


def test_the_bounds_of_every_small_system_are_those_of_brute_force_and_it_has_none_iff_no_world_is_allowed() -> (
    None
):
    nodes, tried, refused = ("a", "b"), 0, 0
    for system in small_systems():
        allowed = worlds(nodes, system, 10)
        solution = solve(system)
        tried += 1
        if not allowed:
            refused += 1
            assert isinstance(solution, frozenset), system
        else:
            assert isinstance(solution, Solution), system
            expected = {node: brute_force(node, allowed, unbounded_from=8) for node in nodes}
            assert bounds_of(solution, nodes) == expected, system
    assert (tried, refused) == (4525, sum(not worlds(nodes, s, 10) for s in small_systems()))
    assert 500 < refused < tried - 500  # the sample says something of both


NODES = ("a", "b", "c")


@st.composite
def systems(draw: st.DrawFn) -> list[Constraint]:
    """Up to seven constraints over three figures, each because of one event, of two, or by nature."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from((ORIGIN, *NODES)),
                st.sampled_from((ORIGIN, *NODES)),
                st.integers(-3, 3),
                st.frozensets(st.integers(1, 5), min_size=1, max_size=2) | st.just(frozenset[int]()),
            ).filter(lambda c: c[0] != c[1] and (c[3] or (c[2] <= 0 and c[0] != ORIGIN))),
            max_size=7,
        )
    )
    return [Constraint(*constraint) for constraint in drawn]


# A simple path over three figures has three constraints, so 9 at most; one without a bound reaches 16 less 6.
MOST, UNBOUNDED = 16, 10


@settings(max_examples=examples(60))
@given(systems())
def test_the_bounds_of_a_system_are_those_of_brute_force(system: list[Constraint]) -> None:
    allowed = worlds(NODES, system, MOST)
    solution = solve(system)
    assert isinstance(solution, Solution) == bool(allowed)
    if isinstance(solution, Solution):
        assert bounds_of(solution, NODES) == {
            node: brute_force(node, allowed, unbounded_from=UNBOUNDED) for node in NODES
        }


def believing(system: Sequence[Constraint], events: Iterable[int]) -> list[Constraint]:
    """The constraints that need no other events than these."""
    return [c for c in system if c.because <= set(events)]


@settings(max_examples=examples(200))
@given(systems())
def test_the_events_that_force_a_bound_force_it_alone(system: list[Constraint]) -> None:
    solution = solve(system)
    if isinstance(solution, frozenset):
        return
    for node in NODES:
        bound = solution.bound(node)
        by_low, by_high = (solve(believing(system, events)) for events in (bound.low, bound.high))
        assert isinstance(by_low, Solution)
        assert isinstance(by_high, Solution)
        assert by_low.bound(node).interval.low >= bound.interval.low
        high = by_high.bound(node).interval.high
        assert bound.interval.high is None or (high is not None and high <= bound.interval.high)


def origin_of(event: int) -> str:
    return f"paper {event % 3}"


def resolution_of(system: Sequence[Constraint]) -> Resolution:
    """The system resolved; events 1 and 4 are of one origin, so are 2 and 5."""
    return resolve(
        lambda events: believing(system, events), {event: origin_of(event) for event in range(1, 6)}
    )


@settings(max_examples=examples(300))
@given(systems())
def test_there_is_a_conflict_iff_not_all_can_be_true_and_no_event_of_it_can_be_missed(
    system: list[Constraint],
) -> None:
    conflicts = resolution_of(system).conflicts
    assert bool(conflicts) == isinstance(solve(system), frozenset)
    for conflict in conflicts:
        assert isinstance(solve(believing(system, conflict.events)), frozenset)
        for event in conflict.events:
            assert isinstance(solve(believing(system, conflict.events - {event})), Solution)


@settings(max_examples=examples(100))
@given(systems())
def test_a_figure_in_conflict_spans_what_each_origin_alone_would_give(system: list[Constraint]) -> None:
    resolution = resolution_of(system)
    apart = frozenset[int]().union(*(conflict.events for conflict in resolution.conflicts))
    rest = set(range(1, 6)) - apart
    for node in NODES:
        bound = resolution.bound(node).interval
        alone = []
        for believed in resolution.alone:
            assert believed.events <= apart
            allowed = worlds(NODES, believing(system, rest | believed.events), MOST)
            alone.append(brute_force(node, allowed, unbounded_from=UNBOUNDED))
            assert believed.solution.bound(node).interval == alone[-1]
        highs = [interval.high for interval in alone]
        assert bound.low == min(interval.low for interval in alone)
        assert bound.high == (None if None in highs else max(high for high in highs if high is not None))


@settings(max_examples=examples(100))
@given(systems())
def test_every_origin_in_conflict_is_believed_in_turn_unless_it_contradicts_itself(
    system: list[Constraint],
) -> None:
    resolution = resolution_of(system)
    apart = frozenset[int]().union(*(conflict.events for conflict in resolution.conflicts))
    believed = frozenset[int]().union(*(alone.events for alone in resolution.alone))
    rest = set(range(1, 6)) - apart
    for event in apart - believed:
        assert isinstance(solve(believing(system, rest | {event})), frozenset)


@settings(max_examples=examples(1_000))
@given(systems())
def test_events_in_conflict_that_agree_with_each_other_agree_with_all_that_is_in_none(
    system: list[Constraint],
) -> None:
    resolution = resolution_of(system)
    apart = frozenset[int]().union(*(conflict.events for conflict in resolution.conflicts))
    for size in range(2, len(apart) + 1):
        for together in combinations(apart, size):
            if isinstance(solve(believing(system, together)), Solution):
                assert isinstance(solve(believing(system, {*resolution.rest, *together})), Solution)


@settings(max_examples=examples(200))
@given(systems())
def test_where_nothing_more_may_be_done_what_is_in_conflict_cannot_all_be_true_and_each_origin_is_believed_in_turn(
    system: list[Constraint],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for limit in ("ENOUGH", "WORK", "FEW"):
            patch.setattr(bounds, limit, 0)
        resolution = resolution_of(system)
    assert bool(resolution.conflicts) == isinstance(solve(system), frozenset)
    for conflict in resolution.conflicts:
        assert isinstance(solve(believing(system, conflict.events)), frozenset)
    believed = frozenset[int]().union(*(alone.events for alone in resolution.alone))
    for event in {*range(1, 6)} - resolution.rest - believed:
        assert isinstance(solve(believing(system, resolution.rest | {event})), frozenset)


def test_of_many_events_around_a_contradiction_some_are_left_out_at_once() -> None:
    """A thousand lead from what 3 says to what 1 contradicts; but 3 says nearly as much there itself."""
    chain = [further(n, n - 1, 0, n) for n in range(4, 1_004)]
    system = [atleast(3, 7, 3), *chain, atleast(1_003, 5, 3), atmost(1_003, 4, 1)]
    asked = 0

    def build(events: frozenset[int]) -> list[Constraint]:
        nonlocal asked
        asked += 1
        return believing(system, events)

    resolution = resolve(build, {event: f"paper {event}" for event in range(1, 1_004)})
    assert resolution.conflicts == (Conflict(frozenset({1, 3})),)
    assert asked < 40


def test_of_many_that_one_contradicts_those_who_agree_with_each_other_are_not_asked_again_for_each() -> None:
    """Of 60 papers each says a figure of a day of its own; 99 says a higher one of the first."""
    days = range(1, 61)
    system = [constraint for day in days for constraint in (atleast(day, day, day), atmost(day, day, day))]
    system += [*(further(day, day - 1, 0) for day in days[1:]), atleast(1, 90, 99)]
    systems: list[frozenset[int]] = []

    def build(events: frozenset[int]) -> list[Constraint]:
        systems.append(events)
        return believing(system, events)

    resolution = resolve(build, {event: f"paper {event}" for event in (*days, 99)})
    assert {conflict.events for conflict in resolution.conflicts} == {frozenset({99, day}) for day in days}
    assert len([events for events in systems if len(events) > 2]) < 3 * len(days)


def test_given_what_is_set_apart_left_others_more_room_then_they_are_asked_again_without_it() -> None:
    """Where 2 or 3 counts, 4 says less: it agrees with 5 then, and contradicts 5 once both are in conflict."""

    def build(events: frozenset[int]) -> list[Constraint]:
        four = [further("c", "b", 0, 4)] if events & {2, 3} else [atleast("b", 9, 4)]
        return [
            *believing([atleast("a", 5, 3), atleast("a", 6, 1), atmost("a", 4, 2)], events),
            *believing([*four, atmost("b", 8, 5)], events),
        ]

    resolution = resolve(build, {event: f"paper {event}" for event in range(1, 6)})
    assert {conflict.events for conflict in resolution.conflicts} == {
        frozenset({1, 2}),
        frozenset({2, 3}),
        frozenset({4, 5}),
    }
    assert resolution.rest == frozenset()


def test_figures_count_so_none_is_below_zero_even_where_nothing_else_is_said() -> None:
    solution = solve([further("after", "before", 14, 1)])
    assert isinstance(solution, Solution)
    assert solution.bound("before") == Bound(Interval(0))
    assert solution.bound("after") == Bound(Interval(14), low=frozenset({1}))
    assert solution.bound("never spoken of") == Bound(Interval(0))
    assert solve([atmost("a", -1, 1)]) == frozenset({1})


def test_a_bound_names_the_events_along_its_path_and_no_other() -> None:
    system = [
        atleast("a", 3, 1),
        further("b", "a", 4, 2),
        further("c", "b", 0),
        atmost("c", 9, 3),
        atleast("b", 2, 4),
    ]
    solution = solve(system)
    assert isinstance(solution, Solution)
    assert solution.bound("b") == Bound(Interval(7, 9), low=frozenset({1, 2}), high=frozenset({3}))
    assert solution.bound("a") == Bound(Interval(3, 5), low=frozenset({1}), high=frozenset({2, 3}))


def test_a_bound_at_the_end_of_a_long_path_names_each_event_along_it() -> None:
    days = range(1, 3 * STEPS)
    solution = solve([atleast(0, 0), *(further(day, day - 1, 1, day) for day in days)])
    assert isinstance(solution, Solution)
    for day in reversed(days):
        assert solution.bound(day) == Bound(Interval(day), low=frozenset(range(1, day + 1)))


def test_two_conflicts_are_two_sets_and_an_event_of_neither_stays_believed() -> None:
    system = [
        *(atleast("a", 5, 1), atmost("a", 4, 2)),
        *(atleast("b", 9, 3), atmost("b", 8, 4)),
        atleast("c", 7, 5),
    ]
    resolution = resolution_of(system)
    assert set(resolution.conflicts) == {Conflict(frozenset({1, 2})), Conflict(frozenset({3, 4}))}
    assert resolution.bound("c") == Bound(Interval(7), low=frozenset({5}))


def test_an_origin_that_contradicts_itself_is_believed_event_by_event() -> None:
    system = [atleast("a", 5, 1), atmost("a", 5, 1), atleast("a", 7, 4), atmost("a", 7, 4)]
    resolution = resolution_of(system)
    assert resolution.conflicts == (Conflict(frozenset({1, 4})),)
    assert [alone.origin for alone in resolution.alone] == ["paper 1, position 1", "paper 1, position 4"]
    assert resolution.bound("a").interval == Interval(5, 7)


def test_an_event_that_cannot_be_true_by_itself_is_a_conflict_of_one_and_bounds_nothing() -> None:
    resolution = resolution_of([atleast("a", 5, 1), atmost("a", 4, 1), atleast("a", 2, 2)])
    assert resolution.conflicts == (Conflict(frozenset({1})),)
    assert resolution.bound("a") == Bound(Interval(2), low=frozenset({2}))


def test_an_origin_that_conflicts_with_what_nobody_else_doubts_widens_the_conflict() -> None:
    """Of 1 and 2 one is wrong; whichever is right, 1 contradicts 3 as well: neither may be dropped for it."""
    system = [
        *(atleast("a", 5, 1), atmost("a", 4, 2)),
        *(atleast("b", 5, 1), atmost("b", 4, 3)),
    ]
    resolution = resolution_of(system)
    assert set(resolution.conflicts) == {Conflict(frozenset({1, 2})), Conflict(frozenset({1, 3}))}
    assert resolution.bound("b").interval == Interval(0)


def test_a_report_that_only_several_others_together_contradict_is_in_conflict_too() -> None:
    """Of 2, 3 and 4 one is wrong, and nobody alone contradicts 1: but if it is 3, then 1 is wrong as well."""
    resolution = resolution_of([atleast("a", 5, 2, 4), atmost("a", 4, 3), atmost("a", 4, 1)])
    assert {conflict.events for conflict in resolution.conflicts} == {
        frozenset({1, 2, 4}),
        frozenset({2, 3, 4}),
    }
    assert resolution.bound("a").interval == Interval(0)


def test_constraints_that_hold_by_nature_never_contradict_each_other() -> None:
    with pytest.raises(AssertionError, match="by nature"):
        resolution_of([further("a", "b", 1), further("b", "a", 0)])
