"""Bounds by propagation: what a set of constraints allows, which events force each bound, and which cannot all be true.

Every constraint is a difference, `value(upper) - value(lower) >= least`: a total that grows, a figure reported for a day or a
period, a batch between two totals; every value is a count, so none is below 0. The lowest value that a system of differences
allows is the longest path from the origin, and a system is contradictory exactly where a cycle has a positive length (Cormen et
al., Introduction to Algorithms, "Difference constraints and shortest paths"). So the bounds are exact, and the path is their
evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Generic, NamedTuple, TypeVar

from events import Interval

Node = Hashable
ORIGIN: Node = "nothing approved yet"  # the node whose value is 0

# No event has these positions: in `because` they stand for events that are counted together.
NAMED = 0  # the named approvals
REVOKED = -1  # the revocations
# These only say which of the named approvals force a bound: where NAMED counts, so do they.
BY_DAY = -2  # those that are surely of a day, or of some days
"""Below it, by `Batch.membership`: those that are of one batch."""


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
    """Events that cannot all be true: a smallest such set, of which no event can be missed; of hundreds of events some may be."""

    events: frozenset[int]


class Solution:
    """The bounds of every node of a system without contradiction."""

    def __init__(self, numbers: Mapping[Node, int], low: _Paths, high: _Paths) -> None:
        self._numbers, self._low, self._high = numbers, low, high

    def beside(self, constraints: Sequence[Constraint]) -> Solution:
        """With the bounds of further nodes, on each of which one of `constraints` is, and each of these on one of them: of the
        nodes that are here they say nothing that is not known."""
        numbers, edges = _numbered(constraints, self._numbers)
        low, high = self._low.beside(len(numbers)), self._high.beside(len(numbers))
        known = len(self._numbers)
        contradictions = [low.rise(known, edges), high.extend(_back(known, len(numbers), edges))]
        assert contradictions == [None, None]
        assert low.length[:known] == self._low.length
        assert high.length[:known] == self._high.length
        return Solution(numbers, low, high)

    def bound(self, node: Node) -> Bound:
        """A node that no constraint names is free: 0 or more."""
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
    """Whether they have no solution: of every cycle the lowest values tell, as each node is reached from the origin."""
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
    """The nodes, each with a number, those that are `known` first, which take a third less time to go through; and the edges."""
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
    """The edges the other way, with those that say that the value of each node after the `known` ones is 0 or more. Totals come in
    the order of days: what bounds the last of them from above goes back to the first in one round."""
    back = [(end, start, least, because) for start, end, least, because in reversed(edges)]
    return back + [(number, 0, 0, _NOTHING) for number in reversed(range(known, nodes))]


_NOTHING = frozenset[int]()

Edge = tuple[int, int, int, frozenset[int]]
"""From one node to another that is `least` above it, because of these events."""


STEPS = 100
"""Paths share most of their length: after so many steps it is kept which events are along them, so that these are not walked again
(of 1,000 days: 5 s, now 0.1 s). After each step, these took 450 MB of 3,000 batches."""


class _Paths:
    """Longest paths from the origin, node 0."""

    def __init__(self, nodes: int) -> None:
        self.length: list[int | None] = [0, *[None] * (nodes - 1)]
        self._last: dict[int, tuple[int, frozenset[int]]] = {}
        self._because: dict[int, frozenset[int]] = {}
        self.cycle: list[tuple[int, int, frozenset[int]]] = []
        """The steps of one that would never end."""

    def beside(self, nodes: int) -> _Paths:
        """The same paths, with room for further nodes up to so many."""
        paths = _Paths(nodes)
        paths.length[: len(self.length)] = self.length
        paths._last, paths._because = dict(self._last), dict(self._because)
        return paths

    def rise(self, known: int, edges: Sequence[Edge]) -> frozenset[int] | None:
        """Follows `edges`, where the nodes after the `known` ones begin at 0, below which no value is: as edges of their own, these were
        half of what was gone through."""
        for node in range(known, len(self.length)):
            self.length[node] = 0
            self._last[node] = (0, _NOTHING)
        return self.extend(edges)

    def extend(self, edges: Sequence[Edge]) -> frozenset[int] | None:
        """Follows `edges` until nothing changes (Bellman-Ford); the events of a cycle that would never end, or None."""
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
        seen: dict[int, int] = {}  # each node, and from where the walk began that came to it
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
"""Of so many events in conflict every choice of some is asked for what it contradicts; of more, each with what may be true beside
it."""

TRIES = 32
"""So many systems are solved for that, of more events than those, at most: of 200 reports of one day each of which contradicts all
others, each try finds one more pair that does."""

ENOUGH = 10_000
"""And none once so many events were counted in all systems that were solved for that and to make conflicts smallest: of one wrong
total and 200 batches one try takes as many."""

WORK = 50_000
"""Once so many were, a conflict is made smaller with a FEW more systems alone, and may be left with events that can be missed: to know
that none of 1,000 can be takes a thousand systems of a thousand."""

FEW = 16
"""As many as leave out most of what can be missed, and all of a dozen events."""

Build = Callable[[frozenset[int]], Sequence[Constraint]]
"""The constraints that remain where only these events are counted."""


S = TypeVar("S")
"""What a system of events without contradiction allows."""

Solve = Callable[[frozenset[int]], S | frozenset[int]]
"""What these events allow, or those around one contradiction, not yet a smallest set of them."""


class _Search(Generic[S]):
    """How conflicts are found, and what it took so far: the number of events in all systems that were solved for it. Whatever makes a
    difference is asked in the `order` of the events."""

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
        """The conflict among the events `around` a contradiction, or, where it takes others beside, among all that `counted`.

        What can be missed is left out, the last first, and after some could be, twice as many are tried at once.
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
    """What follows where one origin's reports in conflict (`events`) are believed, beside all that nobody contradicts."""

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
        """What the same events allow under further constraints of theirs, that bring no contradiction and end none."""
        return self._with(lambda alone: _solution(build(self.rest | alone.events)))

    def beside(self, build: Build) -> Resolution:
        """What the same events allow of further nodes: see `Solution.beside`."""
        return self._with(lambda alone: alone.solution.beside(build(self.rest | alone.events)))

    def _with(self, solved: Callable[[Alone[Solution]], Solution]) -> Resolution:
        alone = tuple(Alone(each.origin, each.events, solved(each)) for each in self.alone)
        return Resolution(self.conflicts, alone, self.rest)

    def bound(self, node: Node) -> Bound:
        """What the value of `node` may be, and the events that force the lowest and the highest."""
        return hull([alone.solution.bound(node) for alone in self.alone])


def hull(bounds: Sequence[Bound]) -> Bound:
    """What allows all that one of `bounds` allows."""
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
    """What contradicts what of all events in `origins` (position: who is the report's independent origin), what each origin alone
    gives, and the events that are in no conflict. The order of the events decides which of several ways to set them apart is found.

    Events in conflict are set apart, a smallest conflicting set (see `WORK`) at a time, until the rest agrees; then each origin is
    believed in turn. Where an origin contradicts itself, each of its events is an origin of its own.
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
"""An origin, and its events that are believed beside the rest: none, where nobody is."""

_Agreed = dict[frozenset[int], tuple[frozenset[int], S]]
"""By events that agree with the rest, what that was when they were asked, and what followed. It is fewer events each time, so that
they agree still: of 200 totals and one that contradicts half of them, those who agree were asked again 100 times."""


def _believed(
    search: _Search[S], origins: Mapping[int, str], rest: frozenset[int], apart: set[int], agreed: _Agreed[S]
) -> tuple[list[_Believed], Conflict | None]:
    """Nobody, and then each origin that can be believed beside the rest; or the conflict of one of them with an event that is not
    apart yet."""
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
    """What follows where each is believed, of those that do agree with the rest."""
    for origin, events in believed:
        of, solution = agreed[events]
        solved = solution if of == rest else search.solved(rest | events)
        if not isinstance(solved, frozenset):
            yield Alone(origin, events, solved)


def _together(
    search: _Search[S], apart: Collection[int], conflicts: Sequence[Conflict], rest: frozenset[int]
) -> Conflict | None:
    """The conflict of events `apart` that agree with each other with one of the `rest`, which no origin alone contradicts: it is
    wrong where they are right."""
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
    """Some events, and what may be true with them as far as is known, first what was not `tried` with any: of papers that
    contradict each other day by day, all that one of them says."""
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
