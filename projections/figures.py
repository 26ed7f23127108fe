"""From evidence to figures: what the constraints that reports and approvals put on totals and batches allow."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache, cached_property
from itertools import accumulate

from events import DateRange, Interval

from .bounds import REVOKED, Bound
from .evidence import Batch
from .premises import DAY, LISTED, Placed, Premises, at, unlisted_by_each

TOGETHER = timedelta(days=7)
"""A total of a day this soon after a batch was announced, and before the next, is read as having it as its latest batch.

News of a batch gives the running total a few days later: "14 last week, over 40 in all".
"""


class Figures:
    """What the evidence of one class of terms allows. Pure: the same evidence gives the same figures."""

    def __init__(self, premises: Premises, asked: Sequence[date] = (), *, every_day: bool = True) -> None:
        """`asked` are days on which a figure is wanted, beside those that the evidence speaks of. Without `every_day` those
        on which approvals were only listed are left out, but for the last: what is bounded on the others stays the same.
        """
        evidence = premises.evidence
        self.premises, self.evidence, self.order = premises, evidence, premises.order
        spoken_of, listed = premises.days, premises.listed
        left = listed if every_day else sorted({*spoken_of, *listed})[-1:]
        days = sorted({*spoken_of, *left})
        self.days = sorted({*days, *asked})
        self.resolution = premises.beside(tuple(days), asked)
        self._bound = cache(
            self.resolution.bound
        )  # each batch asks for those of days and of other batches again
        self._sizes: dict[str, Bound] = {}

    @classmethod
    def of(cls, premises: Premises, asked: Sequence[date] = ()) -> Figures:
        """Those for the days `asked`, kept with the premises."""
        figures: Figures = premises.kept(_figures, tuple(asked), every_day=True)
        return figures

    @classmethod
    def in_brief(cls, premises: Premises, asked: Sequence[date] = ()) -> Figures:
        """Figures that say the same of the days `asked` and of the last, as intervals: evidence may be another that forces
        as much. Of one class of terms they take as long as there are reports and batches, not days (1,000 days: 19 ms, now 4)."""
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
        """Whether anything is known of approvals that ended."""
        return self.premises.speaks_of_force

    def in_force(self, day: date) -> Bound:
        """The approvals in force at the end of `day`, one of `days`: the total less the revoked."""
        return self._bound(("in force", day))

    def named(self, day: date) -> int:
        """How many different approvals are known by name and surely granted by `day`, one of `days`."""
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
        """The total at the end of one of these days, of which the first and the last are of `days`: it never falls."""
        first, last = self.total(days.first), self.total(days.last)
        return Bound(Interval(first.interval.low, last.interval.high), first.low, last.high)

    def in_force_in(self, days: DateRange) -> Bound:
        """The approvals in force at the end of one of these days, of which the first and the last are of `days`.

        They may rise and fall from one day to the next: of a range only the total bounds them, less what had ended before it.
        """
        if days.first == days.last:
            return self.in_force(days.first)
        total, ended = self.total(days.last), self.premises.revoked_by(days.first)
        high = None if total.interval.high is None else max(0, total.interval.high - ended)
        because = total.high | ({REVOKED} if ended and high is not None else set())
        return Bound(Interval(0, high), frozenset(), because)

    def undisclosed(self, days: DateRange) -> Interval:
        """How many approvals by one of these days nobody names: from the bounds of the total and the named.

        Whoever an announcement names may have been granted long before it, and beside all that is listed; a member of a batch
        before the day that a list gives it; equated terms may list different approvals.
        """
        total = self.total_in(days).interval
        perhaps = sum(listed.perhaps_by(days.last) for listed in self.evidence.perhaps.values())
        perhaps += sum(listed.perhaps_before(days.last) for listed in self.premises.listed_in.values())
        perhaps += self._perhaps_beside
        high = None if total.high is None else max(0, total.high - self.named(days.first))
        return Interval(max(0, total.low - perhaps), high)

    @cached_property
    def _perhaps_beside(self) -> int:
        return sum(self._perhaps_beside_of(placed.batch) for placed in self.order)

    def _perhaps_beside_of(self, batch: Batch) -> int:
        return batch.perhaps_beside(self.evidence.marks.are_one(batch.named_on), self.evidence.claimants)

    def named_of(self, batch: Batch) -> int:
        """How many approvals of the batch are known by name, at least."""
        return self.premises.named(batch)

    def size(self, batch: Batch) -> Bound:
        """How many approvals the batch has, from every report of it and what the totals leave room for."""
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
        """How many approvals of the batch nobody names. One that is listed without its batch may be of this one; and there are
        no more of this one than there are of all, once it was announced."""
        size, last = self.size(batch).interval, batch.on.last if batch.on is not None else date.max
        evidence = self.evidence
        high = None if size.high is None else max(0, size.high - self.named_of(batch))
        of_all = self._fewest_undisclosed(last)
        if high is None or (of_all is not None and of_all < high):
            high = of_all
        perhaps = sum(
            each.members_at_most + each.members_beside + self._perhaps_beside_of(each)
            for each in (batch, *self.premises.may_be_the_same(batch))
        )
        perhaps += sum(
            min(unplaced, evidence.perhaps[terms].perhaps_by(last))
            for terms, unplaced in evidence.unplaced.items()
        )
        low = max(0, size.low - perhaps)
        return Interval(low if high is None else min(low, high), high)

    def _fewest_undisclosed(self, since: date) -> int | None:
        """The lowest of the highest that `undisclosed` can be on a day that is not before `since`."""
        index = bisect_left(self.days, since)
        return self._fewest_undisclosed_from[index] if index < len(self.days) else None

    @cached_property
    def _fewest_undisclosed_from(self) -> list[int | None]:
        found: list[int | None] = []
        fewest: int | None = None
        for day in reversed(self.days):
            high = self.undisclosed(DateRange(day, day)).high
            fewest = high if fewest is None else min(fewest, high if high is not None else fewest)
            found.append(fewest)
        return found[::-1]

    def before(self, batch: Batch) -> Bound:
        """The total just before the batch.

        Beside what propagation gives: of a total that has the batch as its latest, what is not of the batch and is not
        known to have come after the announcement came before it.
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
        """The other batches that may have come after one, and been announced with it, each with the first day of that."""
        assert placed.on is not None
        last = _a_week_from(placed.on.first)
        return [
            (on.first, other)
            for other in self._perhaps_of(placed.batch, last)
            if other is not placed
            and (on := other.on) is not None
            and on.first <= last
            and not other.surely_before(placed.batch)
        ]

    def _perhaps_later(
        self, placed: Placed, within_the_week: Sequence[tuple[date, Placed]], day: date
    ) -> tuple[int | None, frozenset[int]]:
        """How many approvals by `day` are of the batch or known to have come after it, at most, and which events say so."""
        assert placed.on is not None
        counted = [other for first, other in within_the_week if first <= day]
        sizes = [self.size(each.batch) for each in (placed, *counted)]
        later = sum(
            self.evidence.perhaps[terms].perhaps_by(day) - granted.surely_by(placed.on.first - DAY)
            for terms, granted in self.evidence.granted.items()
        )
        known_by = frozenset[int]().union(*(size.high for size in sizes), LISTED if later else ())
        # One that nobody tells of, and that may lie between them, may have come by that day, and have any size.
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
        """The batches, without many of those that were surely granted before one or surely announced after a day: all for each
        took 30 s of 1,200 batches."""
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
        """Of each batch in the order, the first day on which it, or one after it, may have been announced."""
        firsts = [date.max if placed.batch.on is None else placed.batch.on.first for placed in self.order]
        return [*accumulate(reversed(firsts), min)][::-1]


def _a_week_from(day: date) -> date:
    return day + min(TOGETHER, date.max - day)


def _figures(premises: Premises, asked: tuple[date, ...], *, every_day: bool) -> Figures:
    return Figures(premises, asked, every_day=every_day)
