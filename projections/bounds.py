"""Bounds by propagation: what a set of constraints allows, which events force each bound, and which events cannot all be true.

Every constraint is a difference, `value(upper) - value(lower) >= least`: a total that grows, a figure reported for a day or a
period, a batch between two totals; every value is a count, so none is below 0. The lowest value that a system of differences
allows is the longest path from the origin, and a system is contradictory exactly where a cycle has a positive length (Cormen et
al., Introduction to Algorithms, "Difference constraints and shortest paths"). So the bounds are exact, and the path is their
evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from itertools import chain, combinations
from typing import Generic, NamedTuple, TypeVar

from events import Interval

Node = Hashable
ORIGIN: Node = "nothing approved yet"  # the node whose value is 0


def at(day: date) -> Node:
    """The total at the end of a day."""
    return ("total", day)


# No event has these positions: in `because` they stand for events that are counted together.
NAMED = 0  # the named approvals
REVOKED = -1  # the revocations
# These only say which of the named approvals force a bound: where NAMED counts, so do they.
BY_DAY = -2  # those that are surely of a day, or of some days
"""Below it, by `Batch.membership`: those that are of one batch."""
LISTED = frozenset({NAMED, BY_DAY})


class Constraint(NamedTuple):
    """`value(upper) - value(lower) >= least`, because of these events (positions); of none where it holds by nature."""

    upper: Node
    lower: Node
    least: int
    because: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Bound:
    """What a node's value may be, and the events that force its lowest and its highest value."""

    interval: Interval
    low: frozenset[int] = frozenset()
    high: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Events that cannot all be true: a minimal such set, which stops being one without any of its events. (Of hundreds of events,
    some may be superfluous: see WORK.)"""

    events: frozenset[int]


class Solution:
    """The bounds of every node of a system without contradiction."""

    def __init__(self, numbers: Mapping[Node, int], low: _Paths, high: _Paths) -> None:
        self._numbers, self._low, self._high = numbers, low, high

    def beside(self, constraints: Sequence[Constraint]) -> Solution:
        """This solution extended by further nodes. Each of the further nodes must be in one of `constraints`, each constraint must
        involve one of them, and the constraints must not tighten the bound of any node that is already here."""
        numbers, edges = _numbered(constraints, self._numbers)
        low, high = self._low.beside(len(numbers)), self._high.beside(len(numbers))
        known = len(self._numbers)
        contradictions = [low.rise(known, edges), high.extend(_back(known, len(numbers), edges))]
        assert contradictions == [None, None]
        assert low.length[:known] == self._low.length
        assert high.length[:known] == self._high.length
        return Solution(numbers, low, high)

    def bound(self, node: Node) -> Bound:
        """The bound of `node`. One that no constraint names is 0 or more."""
        if (number := self._numbers.get(node)) is None:
            return Bound(Interval(0))
        low, high = self._low.length[number], self._high.length[number]
        assert low is not None
        return Bound(
            Interval(low, None if high is None else -high),
            self._low.because(number),
            self._high.because(number),
        )


def solve(constraints: Sequence[Constraint]) -> Solution | frozenset[int]:
    """The solution; or the events around one contradiction, not yet a smallest set of them."""
    numbers, edges = _numbered(constraints)
    low, high = _Paths(len(numbers)), _Paths(len(numbers))
    cycle = low.rise(1, edges)
    if cycle is None:
        cycle = high.extend(_back(1, len(numbers), edges))
    return Solution(numbers, low, high) if cycle is None else cycle


def contradict(constraints: Sequence[Constraint]) -> bool:
    """Whether they have no solution. The lowest values alone show every cycle, because each node is reached from the origin."""
    numbers, edges = _numbered(constraints)
    return _Paths(len(numbers)).rise(1, edges) is not None


class Step(NamedTuple):
    """From one node to another, because of these events."""

    lower: Node
    upper: Node
    because: frozenset[int]


def around(constraints: Sequence[Constraint]) -> list[Step]:
    """The steps around one contradiction, if there is any."""
    numbers, edges = _numbered(constraints)
    paths, nodes = _Paths(len(numbers)), [*numbers]
    paths.rise(1, edges)
    return [Step(nodes[start], nodes[end], because) for start, end, because in paths.cycle]


_AT_FIRST: Mapping[Node, int] = {ORIGIN: 0}


def _numbered(
    constraints: Sequence[Constraint], known: Mapping[Node, int] = _AT_FIRST
) -> tuple[dict[Node, int], list[Edge]]:
    """A number for each node, those that are `known` keeping theirs, and the edges between the numbers, which take a third less time
    to follow than edges between nodes."""
    numbers = dict(known)
    edges: list[Edge] = [
        (
            numbers.setdefault(lower, len(numbers)),
            numbers.setdefault(upper, len(numbers)),
            least,
            because,
        )
        for upper, lower, least, because in constraints
    ]
    return numbers, edges


def _back(known: int, nodes: int, edges: Sequence[Edge]) -> list[Edge]:
    """The edges reversed, with those that say that the value of each node after the first `known` ones is 0 or more. Totals come in
    the order of days; in reverse, an upper bound on the last reaches the first in a single round."""
    back = [(end, start, least, because) for start, end, least, because in reversed(edges)]
    return back + [(number, 0, 0, _NOTHING) for number in reversed(range(known, nodes))]


_NOTHING = frozenset[int]()

Edge = tuple[int, int, int, frozenset[int]]
"""From one node to another that is `least` above it, because of these events."""


STEPS = 100
"""Paths share most of their length, so the events along a path are kept once for every so many steps and not walked again (with
1,000 days this took 5 s, and now takes 0.1 s). Kept at each step, they took 450 MB with 3,000 batches."""


class _Paths:
    """Longest paths from the origin, node 0."""

    def __init__(self, nodes: int) -> None:
        self.length: list[int | None] = [0, *[None] * (nodes - 1)]
        self._last: dict[int, tuple[int, frozenset[int]]] = {}
        self._because: dict[int, frozenset[int]] = {}
        self.cycle: list[tuple[int, int, frozenset[int]]] = []
        """The steps of a cycle of positive length, if `extend` found one."""

    def beside(self, nodes: int) -> _Paths:
        """A copy of the same paths with room for further nodes, `nodes` in all."""
        paths = _Paths(nodes)
        paths.length[: len(self.length)] = self.length
        paths._last, paths._because = dict(self._last), dict(self._because)
        return paths

    def rise(self, known: int, edges: Sequence[Edge]) -> frozenset[int] | None:
        """Like `extend`, but nodes after the first `known` ones begin at 0, the lowest value there is. As edges, these lower bounds
        were half of all edges."""
        for node in range(known, len(self.length)):
            self.length[node] = 0
            self._last[node] = (0, _NOTHING)
        return self.extend(edges)

    def extend(self, edges: Sequence[Edge]) -> frozenset[int] | None:
        """Follows `edges` until nothing changes (Bellman-Ford). Returns the events of a cycle of positive length, or None if there is
        none."""
        length, last = self.length, self._last
        changed = True
        while changed:
            changed = False
            for start, end, least, because in edges:
                if (so_far := length[start]) is None:
                    continue
                if (reached := length[end]) is None or so_far + least > reached:
                    length[end] = so_far + least
                    last[end] = (start, because)
                    changed = True
            if changed and (cycle := self._cycle()):
                self.cycle = cycle
                return frozenset(event for _, _, because in cycle for event in because if event > BY_DAY)
        return None

    def because(self, node: int) -> frozenset[int]:
        """The events along the longest path to `node`."""
        path = [node]
        while path[-1] in self._last and path[-1] not in self._because:
            path.append(self._last[path[-1]][0])
        events = set(self._because.get(path.pop(), _NOTHING))
        for steps, step in enumerate(reversed(path), start=1):
            events |= self._last[step][1]
            if steps % STEPS == 0:
                self._because[step] = frozenset(events)
        return frozenset(events)

    def _cycle(self) -> list[tuple[int, int, frozenset[int]]]:
        last = self._last
        seen: dict[int, int] = {}  # by node, where the walk that reached it began
        for first in last:
            node = first
            while node in last and node not in seen:
                seen[node] = first
                node = last[node][0]
            if seen.get(node) == first:
                steps, end = [(last[node][0], node, last[node][1])], node
                while (at := steps[-1][0]) != end:
                    steps.append((last[at][0], at, last[at][1]))
                return steps
        return []


EVERY_CHOICE = 8
"""With up to this many events in conflict, every subset of them is checked for what it contradicts; with more, each event is
checked together with the others that may be true with it."""

TRIES = 32
"""At most this many systems are solved for that if there are more events than EVERY_CHOICE: with 200 reports of one day, each of
which contradicts all others, each try finds just one more contradicting pair."""

ENOUGH = 10_000
"""And none once the systems solved for that, and for making conflicts minimal, have counted this many events in all: with one
wrong total and 200 batches, a single try takes as many."""

WORK = 50_000
"""Once this many were counted, only a FEW more systems are solved to make a conflict smaller, which may leave superfluous events
in it: to know that none of 1,000 is superfluous takes a thousand systems of a thousand events."""

FEW = 16
"""Enough to remove most of the superfluous events, and all of them from a dozen."""

Build = Callable[[frozenset[int]], Sequence[Constraint]]
"""The constraints that remain where only these events are counted."""


S = TypeVar("S")
"""What a system of events without contradiction allows."""

Solve = Callable[[frozenset[int]], S | frozenset[int]]
"""What these events allow, or those around one contradiction, not yet a smallest set of them."""


class _Search(Generic[S]):
    """Finds conflicts, and counts the `work` so far: the number of events in all systems that were solved. Wherever the order could
    affect the result, events are taken in `order`."""

    def __init__(
        self, solved: Solve[S], contradicted: Callable[[frozenset[int]], bool], events: Iterable[int]
    ) -> None:
        self.solved, self._contradicted = solved, contradicted
        self.order = {event: place for place, event in enumerate(events)}
        self.work = 0

    def in_order(self, events: Iterable[int]) -> list[int]:
        """The events as they stand in the order."""
        return sorted(events, key=self.order.__getitem__)

    def contradict(self, events: frozenset[int]) -> bool:
        """Whether these events cannot all be true."""
        self.work += len(events)
        return self._contradicted(events)

    def solve(self, events: frozenset[int]) -> S | frozenset[int]:
        """What these events allow, or those around a contradiction."""
        self.work += len(events)
        return self.solved(events)

    def smallest(self, around: frozenset[int], counted: frozenset[int]) -> Conflict:
        """The conflict among the events `around` a contradiction, or if these alone do not contradict each other, among all that
        `counted`.

        Superfluous events are removed, the last first; each time some could be removed, twice as many are tried at once.
        """
        needed = around if self.contradict(around) else counted
        untried = self.in_order(needed)
        at_once, most = 1, max(WORK, self.work + FEW * len(needed))
        while untried and self.work < most:
            some = frozenset(untried[-at_once:])
            if self.contradict(needed - some):
                needed -= some
                del untried[-at_once:]
                at_once = min(2 * at_once, max(1, len(untried)))
            elif at_once > 1:
                at_once //= 2
            else:
                untried.pop()
        return Conflict(needed)


@dataclass(frozen=True, slots=True)
class Alone(Generic[S]):
    """What follows if one origin's reports in conflict (`events`) are believed, together with everything that nothing contradicts."""

    origin: str
    events: frozenset[int]
    solution: S


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a set of reports allows, contradictions and all.

    `alone` has one solution where there is no contradiction, else one for each independent origin in conflict. A bound is
    then the hull of theirs, so it holds whichever of them is right. `rest` are the events that are in no conflict.
    """

    conflicts: tuple[Conflict, ...]
    alone: tuple[Alone[Solution], ...]
    rest: frozenset[int]

    def under(self, build: Build) -> Resolution:
        """What the same events allow under further constraints of theirs, which must neither add a contradiction nor remove one."""
        return self._with(lambda alone: _solution(build(self.rest | alone.events)))

    def beside(self, build: Build) -> Resolution:
        """What the same events allow for further nodes as well: see `Solution.beside`."""
        return self._with(lambda alone: alone.solution.beside(build(self.rest | alone.events)))

    def _with(self, solved: Callable[[Alone[Solution]], Solution]) -> Resolution:
        alone = tuple(Alone(each.origin, each.events, solved(each)) for each in self.alone)
        return Resolution(self.conflicts, alone, self.rest)

    def bound(self, node: Node) -> Bound:
        """What the value of `node` may be, and the events that force the lowest and the highest."""
        return hull([alone.solution.bound(node) for alone in self.alone])


def hull(bounds: Sequence[Bound]) -> Bound:
    """The narrowest bound that allows whatever any of `bounds` allows."""
    lowest = min(bounds, key=lambda bound: bound.interval.low)
    highest = max(bounds, key=lambda bound: _infinite(bound.interval.high))
    return Bound(Interval(lowest.interval.low, highest.interval.high), lowest.low, highest.high)


def resolve(build: Build, origins: Mapping[int, str]) -> Resolution:
    """Solves the constraints of all events in `origins`: see `set_apart`."""
    return Resolution(
        *set_apart(lambda events: solve(build(events)), lambda events: contradict(build(events)), origins)
    )


def set_apart(
    solved: Solve[S], contradicted: Callable[[frozenset[int]], bool], origins: Mapping[int, str]
) -> tuple[tuple[Conflict, ...], tuple[Alone[S], ...], frozenset[int]]:
    """The conflicts among all events in `origins` (by position, the independent origin of the report), what follows on the word of
    each origin alone, and the events that are in no conflict. The order of the events decides which of several ways to set them
    apart is found.

    Events in conflict are set apart, one minimal conflicting set (see `WORK`) at a time, until the rest agree; then each origin is
    believed in turn. If an origin contradicts itself, each of its events counts as an origin of its own.
    """
    search = _Search(solved, contradicted, origins)
    conflicts: list[Conflict] = []
    apart: set[int] = set()
    agreed: _Agreed[S] = {}
    while True:
        rest = frozenset(origins) - apart
        believed, further = _believed(search, origins, rest, apart, agreed)
        further = further or _together(search, apart, conflicts, rest)
        if further is not None:
            if not further.events:
                raise AssertionError("constraints that hold by nature contradict each other")
            conflicts.append(further)
            apart |= further.events
            continue
        alone = [*_alone(search, rest, believed, agreed)]
        if len(alone) < len(believed):
            # What is apart now left some of the rest more room, and without it they do not agree: each is asked again.
            agreed.clear()
            continue
        listed = sorted(conflicts, key=lambda conflict: sorted(conflict.events))
        return tuple(listed), tuple(alone[1:] or alone), rest


_Believed = tuple[str, frozenset[int]]
"""An origin, and its events that are believed together with the rest; no events for believing nobody."""

_Agreed = dict[frozenset[int], tuple[frozenset[int], S]]
"""By events that agree with the rest: the rest as it was when that was found, and what followed. The rest only ever shrinks, so
that they still agree: with 200 totals and one that contradicts half of them, those that agree were solved again 100 times."""


def _believed(
    search: _Search[S], origins: Mapping[int, str], rest: frozenset[int], apart: set[int], agreed: _Agreed[S]
) -> tuple[list[_Believed], Conflict | None]:
    """Nobody, and then each origin that can be believed together with the rest; or, instead, the conflict of one of them with an
    event that is not set apart yet."""
    groups: dict[str, set[int]] = {}
    for event in search.in_order(apart):
        groups.setdefault(origins[event], set()).add(event)
    queue = [("", frozenset[int]()), *((origin, frozenset(events)) for origin, events in groups.items())]
    believed: list[_Believed] = []
    while queue:
        origin, events = queue.pop(0)
        if events not in agreed:
            solution = search.solved(rest | events)
            if not isinstance(solution, frozenset):
                agreed[events] = rest, solution
            else:
                conflict = search.smallest(solution, rest | events)
                if not events or conflict.events - apart:
                    return [], conflict
                if len(events) > 1:
                    queue += [
                        (f"{origin}, position {event}" if event else origin, frozenset({event}))
                        for event in search.in_order(events)
                    ]
                continue
        believed.append((origin, events))
    return believed, None


def _alone(
    search: _Search[S], rest: frozenset[int], believed: Iterable[_Believed], agreed: _Agreed[S]
) -> Iterator[Alone[S]]:
    """What follows if each is believed, without those that no longer agree with the rest."""
    for origin, events in believed:
        of, solution = agreed[events]
        solved = solution if of == rest else search.solved(rest | events)
        if not isinstance(solved, frozenset):
            yield Alone(origin, events, solved)


def _together(
    search: _Search[S], apart: Collection[int], conflicts: Sequence[Conflict], rest: frozenset[int]
) -> Conflict | None:
    """A conflict between one of the `rest` and several events `apart` that agree with each other. No origin alone contradicts that
    event, but it is wrong if these are right. None if there is no such conflict."""
    never: dict[int, list[frozenset[int]]] = {event: [] for event in apart}
    for conflict in conflicts:
        _note(never, conflict.events)
    tried: list[frozenset[int]] = []
    every = len(apart) <= EVERY_CHOICE
    choices = chain.from_iterable(
        combinations(search.in_order(apart), size) for size in range(1, len(apart) + 1 if every else 2)
    )
    tries = 0
    for some in map(frozenset, choices):
        while (
            (every or (tries < TRIES and search.work < ENOUGH))
            and _may_be_true(some, never)
            and not any(some <= others for others in tried)
        ):
            tries += 1
            together = _with_all(some, search.in_order(apart), never, frozenset[int]().union(*tried))
            solution = search.solve(rest | together)
            if not isinstance(solution, frozenset):
                tried.append(together)
                continue
            conflict = search.smallest(solution, rest | together)
            if not conflict.events.issubset(apart):
                return conflict
            _note(never, conflict.events)
    return None


def _note(never: Mapping[int, list[frozenset[int]]], events: frozenset[int]) -> None:
    for event in events:
        never[event].append(events)


def _may_be_true(events: frozenset[int], never: Mapping[int, list[frozenset[int]]]) -> bool:
    return not any(some <= events for event in events for some in never[event])


def _with_all(
    some: frozenset[int], apart: Sequence[int], never: Mapping[int, list[frozenset[int]]], tried: Set[int]
) -> frozenset[int]:
    """`some` events and all others of `apart` that may be true with them, as far as is known, beginning with those not `tried` yet: of
    papers that contradict each other day by day, everything that one of them says."""
    for event in sorted(apart, key=lambda event: event in tried):
        more = some | {event}
        if not any(events <= more for events in never[event]):
            some = more
    return some


def _solution(constraints: Sequence[Constraint]) -> Solution:
    solution = solve(constraints)
    assert isinstance(solution, Solution), "constraints of events in no conflict contradict each other"
    return solution


def _infinite(value: int | None) -> float:
    return float("inf") if value is None else value
