"""How many approvals had ended by a day, as reports of a total and reports of what is in force say together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date
from itertools import accumulate
from typing import NamedTuple

from .evidence import TotalReport


class Said(NamedTuple):
    """A value that is said of a day, and of all later ones, and by which report (its place among all)."""

    day: date
    value: int
    place: int


class Highest:
    """The highest of some values by each day."""

    def __init__(self, said: Iterable[Said]) -> None:
        in_order = sorted(said)
        self._days = [each.day for each in in_order]
        self._first = [*accumulate(((each.value, -each.place) for each in in_order), max)]
        self._last = [*accumulate(((each.value, each.place) for each in in_order), max)]

    def by(self, day: date) -> tuple[int, int, int] | None:
        """The highest by a day, and of the reports that say as much the first and the last; None where none says anything."""
        until = bisect_right(self._days, day)
        if not until:
            return None
        (value, first), (_, last) = self._first[until - 1], self._last[until - 1]
        return value, -first, last


class Ended:
    """How many approvals had ended by a day, at least, as two reports say together: of at least so many at most so many were in
    force, on the same day or later. What has ended does not begin again.

    Of what all pairs of reports say the most counts, which leaves nothing out. Of several pairs that say as much it is the first
    and the last: of two ways to one bound the evidence is the one that is found first, and what bounds from above is sought from
    the last on. (A constraint of each pair for each day took 9 s and 580 MB of 200 days with two figures each.)
    """

    def __init__(self, reports: Iterable[TotalReport]) -> None:
        every = [*reports]
        self._positions = [report.position for report in every]
        dated = [
            (place, r, r.as_of, r.count)
            for place, r in enumerate(every)
            if r.as_of is not None and r.count is not None
        ]
        ever = Highest(Said(on.last, count.low, place) for place, r, on, count in dated if not r.in_force)
        self._beside: dict[int, tuple[int, int]] = {}
        ended = []
        for place, report, on, count in dated:
            if report.in_force and count.high is not None and (most := ever.by(on.first)) is not None:
                granted, first, last = most
                self._beside[place] = first, last
                ended.append(Said(on.last, granted - count.high, place))
        self.since = min((each.day for each in ended if each.value > 0), default=date.max)
        """The first day by which any had."""
        self._most = Highest(each for each in ended if each.value > 0)

    def by(self, day: date) -> list[tuple[int, frozenset[int]]]:
        """How many by the end of a day, and the two reports that say so: of one pair at most, or of two that say as much."""
        if (most := self._most.by(day)) is None:
            return []
        count, first, last = most
        pairs = {first, self._beside[first][0]}, {last, self._beside[last][1]}
        positions = (frozenset(self._positions[place] for place in pair) for pair in pairs)
        return [(count, because) for because in dict.fromkeys(positions)]
