"""From evidence to figures: what totals and batches can be, given the constraints that reports and approvals put on them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache, cached_property
from itertools import accumulate
from operator import add

from events import DateRange, Interval

from .bounds import LISTED, REVOKED, Bound, at
from .evidence import Batch
from .mentions import unlisted_by_each
from .placing import Placed
from .premises import Premises
from .ranges import DAY

TOGETHER = timedelta(days=7)
"""A total for a day this soon after a batch was announced, and before the next one, is read as including that batch as its latest.

News of a batch gives the running total a few days later: "14 last week, over 40 in all".
"""


class Figures:
    """What the evidence of one class of terms allows. Pure: the same evidence gives the same figures."""

    def __init__(self, premises: Premises, asked: Sequence[date] = (), *, every_day: bool = True) -> None:
        """`asked` has the days for which a figure is wanted, in addition to those that the evidence mentions. Without `every_day`, days
        on which approvals were only listed are left out, except for the last; the bounds on all other days are the same.
        """
        evidence = premises.evidence
        self.premises, self.evidence, self.order = premises, evidence, premises.order
        self.spoken_of, listed = premises.days, premises.listed
        left = listed if every_day else sorted({*self.spoken_of, *listed})[-1:]
        days = sorted({*self.spoken_of, *left})
        self.days = sorted({*days, *asked})
        self.resolution = premises.beside(tuple(days), asked)
        self._bound = cache(
            self.resolution.bound
        )  # each batch asks for those of days and of other batches again
        self._sizes: dict[str, Bound] = {}

    @classmethod
    def of(cls, premises: Premises, asked: Sequence[date] = ()) -> Figures:
        """The figures for the days `asked`, kept with the premises."""
        figures: Figures = premises.kept(_figures, tuple(asked), every_day=True)
        return figures

    @classmethod
    def in_brief(cls, premises: Premises, asked: Sequence[date] = ()) -> Figures:
        """Figures with the same intervals for the days `asked` and for the last day; their evidence may be different, but forces the same
        bounds. The time they take grows with the reports and batches of the class of terms, not with the days (with 1,000 days
        4 ms instead of 19)."""
        figures: Figures = premises.kept(_figures, tuple(asked), every_day=False)
        return figures

    @property
    def last_day(self) -> DateRange:
        """The last of `days`."""
        return DateRange(self.days[-1], self.days[-1])

    def total(self, day: date) -> Bound:
        """The total at the end of `day`, one of `days`."""
        return self._bound(at(day))

    def speaks_of_force(self) -> bool:
        """Whether anything is known about approvals that ended."""
        return self.premises.speaks_of_force

    def in_force(self, day: date) -> Bound:
        """The approvals in force at the end of `day`, one of `days`: the total less the revoked."""
        return self._bound(("in force", day))

    def named(self, day: date) -> int:
        """How many distinct approvals are known by name and were certainly granted by `day`, which is one of `days`."""
        return max(
            (
                days.surely_by(day) + self._unlisted[terms][day]
                for terms, days in self.evidence.granted.items()
            ),
            default=0,
        )

    @cached_property
    def _unlisted(self) -> dict[str, dict[date, int]]:
        """By terms, and by each of `days`, how many the announcements name beside those that are listed: to count them for each day
        alone took 5 s of 1,600 batches."""
        mentions = self.premises.mentions
        return {
            terms: {day: unlisted for day, unlisted, _ in unlisted_by_each(mentions, granted_to, self.days)}
            for terms, granted_to in self.evidence.granted_to.items()
        }

    def total_in(self, days: DateRange) -> Bound:
        """The total at the end of any of these days: it never falls. The first and the last of them must be in `days`."""
        first, last = self.total(days.first), self.total(days.last)
        return Bound(Interval(first.interval.low, last.interval.high), first.low, last.high)

    def in_force_in(self, days: DateRange) -> Bound:
        """The approvals in force at the end of any of these days. The first and the last of them must be in `days`.

        Their number may rise and fall from day to day, so for a range of days it is bounded only by the total, less what had ended
        before it.
        """
        if days.first == days.last:
            return self.in_force(days.first)
        total, ended = self.total(days.last), self.premises.revoked_by(days.first)
        high = None if total.interval.high is None else max(0, total.interval.high - ended)
        because = total.high | ({REVOKED} if ended and high is not None else set())
        return Bound(Interval(0, high), frozenset(), because)

    def undisclosed(self, days: DateRange) -> Interval:
        """How many approvals nobody names by any of these days. Their number never falls: it is bounded on every earlier day from below,
        and on every later day from above. The first and the last of the days must be in `days`."""
        first = self._undisclosed_by(days.first)
        last = first if days.first == days.last else self._undisclosed_by(days.last)
        return Interval(first.low, last.high)

    def _undisclosed_by(self, day: date) -> Interval:
        least, most = self._undisclosed_before, self._undisclosed_from
        low = max(self._least_undisclosed(day), least[bisect_left(self.spoken_of, day)])
        high = _lower(self._most_undisclosed(day), most[bisect_left(self.spoken_of, day)])
        return Interval(low if high is None else min(low, high), high)

    @cached_property
    def _undisclosed_before(self) -> list[int]:
        """For each day that is spoken of, and at the end for all days, the largest lower bound of the undisclosed on any before it."""
        return [*accumulate(map(self._least_undisclosed, self.spoken_of), max, initial=0)]

    @cached_property
    def _undisclosed_from(self) -> list[int | None]:
        """For each day that is spoken of, the smallest upper bound of the undisclosed on it or on any after it; None if there is none."""
        backwards = map(self._most_undisclosed, reversed(self.spoken_of))
        return [*accumulate((None, *backwards), _lower)][::-1]

    def _least_undisclosed(self, day: date) -> int:
        """From the bounds of the total of the day and the number named by then, and from what nobody names in the batches granted by then.

        An approval that an announcement names may have been granted long before it, in addition to everything that is listed; a
        member of a batch may have been granted before the day that a list gives it; equated terms may list different approvals.
        But where one that an announcement names was granted by then, so were all batches that were surely granted before its own.
        """
        total, unplaced = self.total(day).interval.low - self._perhaps_listed(day), self._unplaced_by(day)
        granted, named = bisect_right(self.order, day, key=_granted_by), self._perhaps_beside

        def of_total(batches: int) -> int:
            return total - named[batches]

        def of_batches(batches: int) -> int:
            return max(self._unnamed_until[granted], self._unnamed_before[batches]) - unplaced

        # The more batches have named approvals by then, the less the total leaves, and the more the batches before them have: it is
        # least where these meet.
        batches = range(granted, len(named))
        meet = bisect_left(batches, True, key=lambda n: of_total(n) <= of_batches(n))
        return min(max(of_total(n), of_batches(n)) for n in batches[max(0, meet - 1) : meet + 1])

    def _most_undisclosed(self, day: date) -> int | None:
        high = self.total(day).interval.high
        return None if high is None else max(0, high - self.named(day))

    def _perhaps_listed(self, day: date) -> int:
        """How many approvals by a day are listed by name, at most."""
        listed = sum(each.perhaps_by(day) for each in self.evidence.perhaps.values())
        return listed + sum(each.perhaps_before(day) for each in self.premises.listed_in.values())

    def _unplaced_by(self, day: date) -> int:
        """How many of those, at most, no report puts in a batch."""
        perhaps = self.evidence.perhaps
        return sum(min(n, perhaps[terms].perhaps_by(day)) for terms, n in self.evidence.unplaced.items())

    @cached_property
    def _perhaps_beside(self) -> list[int]:
        """How many approvals are named in the announcements of the first batches in the order, of none to all of them, at most."""
        return [*accumulate(self._perhaps_beside_of.values(), initial=0)]

    @cached_property
    def _unnamed_until(self) -> list[int]:
        """How many approvals nobody names in the first batches in the order, of none to all of them, at least; any that is listed without
        a batch may be one of them. Where reports contradict each other, the batches may be others, and nothing is concluded."""
        sure = not self.resolution.conflicts
        unnamed = (self._unnamed_of(placed.batch) if sure and placed.sure else 0 for placed in self.order)
        return [*accumulate(map(add, self._unreported, unnamed), initial=0)]

    @cached_property
    def _unnamed_before(self) -> list[int]:
        """The same of what was surely granted before any approval of a batch that has so many, or more, before it in the order, itself
        included."""
        before = [
            self._unnamed_until[placed.surely_after] + unreported
            for placed, unreported in zip(self.order, self._unreported, strict=True)
        ]
        return [0, *[*accumulate(reversed(before), min)][::-1]]

    @cached_property
    def _unreported(self) -> list[int]:
        """How many batches, of one approval at least, nobody reports just before each in the order. If one of these may be another of
        them, it may be one of those that are missing, too."""
        sure = not self.resolution.conflicts and all(placed.sure for placed in self.order)
        return [placed.missing if sure else 0 for placed in self.order]

    def _unnamed_of(self, batch: Batch) -> int:
        """How many approvals of the batch nobody names, at least; any that is listed without a batch may be one of them."""
        unnamed = self._bound(("size", batch.key)).interval.low - self._perhaps_named_in(batch)
        if unnamed > 0:  # mostly not, and then the others need not be looked at
            unnamed -= sum(map(self._perhaps_named_in, self.premises.may_be_the_same(batch)))
        return max(0, unnamed)

    def _perhaps_named_in(self, batch: Batch) -> int:
        """How many approvals reports name in the batch, at most."""
        return batch.members_at_most + batch.members_beside + self._perhaps_beside_of[batch.key]

    @cached_property
    def _perhaps_beside_of(self) -> dict[str, int]:
        """How many approvals the announcements of each batch (by its key) name in addition to its members, at most."""
        marks, claimants = self.evidence.marks, self.evidence.claimants
        batches = (placed.batch for placed in self.order)
        return {each.key: each.perhaps_beside(marks.are_one(each.named_on), claimants) for each in batches}

    def named_of(self, batch: Batch) -> int:
        """How many approvals of the batch are known by name, at least."""
        return self.premises.named(batch)

    def size(self, batch: Batch) -> Bound:
        """How many approvals the batch has, from every report of it and from the room that the totals leave."""
        if batch.key not in self._sizes:  # each batch asks for those around it again
            self._sizes[batch.key] = self._size(batch)
        return self._sizes[batch.key]

    def _size(self, batch: Batch) -> Bound:
        size = self._bound(("size", batch.key))
        before, after = (
            self._bound(("before", batch.key)),
            self._bound(("after", batch.key)),
        )
        high = after.interval.high
        if high is not None and (
            size.interval.high is None or high - before.interval.low < size.interval.high
        ):
            return Bound(
                Interval(size.interval.low, high - before.interval.low), size.low, after.high | before.low
            )
        return size

    def undisclosed_of(self, batch: Batch) -> Interval:
        """How many approvals of the batch nobody names. One that is listed without a batch may belong to it; and once it was announced,
        it cannot have more undisclosed approvals than there are in all."""
        size, last = self.size(batch).interval, batch.on.last if batch.on is not None else date.max
        high = None if size.high is None else max(0, size.high - self.named_of(batch))
        high = _lower(high, self._undisclosed_from[bisect_left(self.spoken_of, last)])
        low = max(0, self._unnamed_of(batch) - self._unplaced_by(last))
        return Interval(low if high is None else min(low, high), high)

    def before(self, batch: Batch) -> Bound:
        """The total just before the batch.

        In addition to what propagation gives: in a total that includes the batch as its latest, whatever is neither in the batch nor
        known to have come after its announcement came before the batch.
        """
        bound = self._bound(("before", batch.key))
        low, because = bound.interval.low, bound.low
        placed = self._placed[batch.key]
        days = self._days_of_the_batch(placed)
        within_the_week = self._within_the_week(placed) if days else []
        for day in days:
            total, later, known_by = self.total(day), *self._perhaps_later(placed, within_the_week, day)
            if later is None:
                continue
            reached = total.interval.low - later
            # A total that is higher than the reports of the batch allow had more than the batch come after it.
            if reached > low and (bound.interval.high is None or reached <= bound.interval.high):
                low, because = reached, total.low | known_by | batch.dated_by
                if placed.on != batch.on:
                    because |= placed.placed_by
        return Bound(Interval(low, bound.interval.high), because, bound.high)

    def _days_of_the_batch(self, placed: Placed) -> list[date]:
        on = placed.on  # where one of a higher ordinal was announced before it, it was granted by then
        if on is None:
            return []
        return self.days[bisect_left(self.days, on.last) : bisect_right(self.days, _a_week_from(on.first))]

    def _within_the_week(self, placed: Placed) -> list[tuple[date, Placed]]:
        """The other batches that may have come after this one and been announced in the same week, each with the first day on which
        it may have been announced."""
        assert placed.on is not None
        last = _a_week_from(placed.on.first)
        return [
            (on.first, other)
            for other in self._perhaps_of(placed.batch, last)
            if other is not placed
            and (on := other.on) is not None
            and on.first <= last
            and not other.surely_before(placed)
        ]

    def _perhaps_later(
        self, placed: Placed, within_the_week: Sequence[tuple[date, Placed]], day: date
    ) -> tuple[int | None, frozenset[int]]:
        """How many approvals by `day` may, at most, be in the batch or known to have come after it (None: no limit), and the events that
        say so."""
        assert placed.on is not None
        counted = [other for first, other in within_the_week if first <= day]
        sizes = [self.size(each.batch) for each in (placed, *counted)]
        later = sum(
            self.evidence.perhaps[terms].perhaps_by(day) - granted.surely_by(placed.on.first - DAY)
            for terms, granted in self.evidence.granted.items()
        )
        known_by = frozenset[int]().union(*(size.high for size in sizes), LISTED if later else ())
        # A batch that nobody reports and that may lie between these may have come by that day, and be of any size.
        others = [other for _, other in within_the_week]
        ordinals = [p.batch.ordinal for p in (placed, *others) if p.batch.ordinal is not None]
        if ordinals and max(ordinals) - min(ordinals) >= len(ordinals):
            return None, known_by
        if any(other.missing for other in others):
            return None, known_by
        for size in sizes:
            if size.interval.high is None:
                return None, known_by
            later += size.interval.high
        return later, known_by

    def _perhaps_of(self, batch: Batch, day: date) -> Iterator[Placed]:
        """The batches, without most of those that were certainly granted before `batch` or certainly announced after `day`: going through
        all for each of 1,200 batches took 30 s."""
        before = self._placed[batch.key].surely_after
        for placed, earliest in zip(self.order[before:], self._earliest_from[before:], strict=True):
            if earliest > day and placed.batch is not batch:
                return
            yield placed

    @cached_property
    def _placed(self) -> dict[str, Placed]:
        return {placed.batch.key: placed for placed in self.order}

    @cached_property
    def _earliest_from(self) -> list[date]:
        """For each batch in the order, the first day on which it, or any batch after it, may have been announced."""
        firsts = [date.max if placed.batch.on is None else placed.batch.on.first for placed in self.order]
        return [*accumulate(reversed(firsts), min)][::-1]


def _lower(a: int | None, b: int | None) -> int | None:
    """The lower of two upper bounds, either of which may be none."""
    return b if a is None else a if b is None else min(a, b)


def _granted_by(placed: Placed) -> date:
    return placed.by


def _a_week_from(day: date) -> date:
    return day + min(TOGETHER, date.max - day)


def _figures(premises: Premises, asked: tuple[date, ...], *, every_day: bool) -> Figures:
    return Figures(premises, asked, every_day=every_day)
