"""From evidence to figures: the constraints that reports and approvals put on totals and batches, and what they allow."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise

from events import DateRange, Interval

from .bounds import NAMED, ORIGIN, REVOKED, Bound, Constraint, Node, resolve
from .evidence import Batch, Days, Evidence, TotalReport
from .identities import Marks

DAY = timedelta(days=1)

TOGETHER = timedelta(days=7)
"""A total of a day this soon after a batch was announced, and before the next, is read as having it as its latest batch.

News of a batch gives the running total a few days later: "14 last week, over 40 in all".
"""


@dataclass(frozen=True, slots=True)
class Placed:
    """A batch in the order in which batches were granted.

    It was granted `by` a day, which the reports `placed_by` say. `surely_after` is how many of those placed before it were
    surely granted before it; `missing` how many between it and the one before it nobody reported, at least. `sure` is
    False where it may be a batch that is placed as well.
    """

    batch: Batch
    by: date
    placed_by: frozenset[int]
    surely_after: int
    missing: int
    sure: bool

    @property
    def on(self) -> DateRange | None:
        """The days on which it may have been announced: not after one of a higher ordinal."""
        on = self.batch.on
        return None if on is None else DateRange(min(on.first, self.by), min(on.last, self.by))

    def surely_before(self, other: Batch) -> bool:
        """Whether it was surely granted before `other`: batches are granted in the order of their ordinals, and announced
        in the order in which they are granted."""
        if self.batch.ordinal is not None and other.ordinal is not None:
            return self.batch.ordinal < other.ordinal
        return other.on is not None and self.by < other.on.first


@dataclass(frozen=True, slots=True)
class _Ended:
    """So many approvals had ended by a day, at least."""

    by: date
    count: int
    because: frozenset[int]


class Figures:
    """What the evidence of one class of terms allows. Pure: the same evidence gives the same figures."""

    def __init__(self, evidence: Evidence, asked: Iterable[date] = (), *, every_day: bool = True) -> None:
        """`asked` are days on which a figure is wanted, beside those that the evidence speaks of. Without `every_day` those
        on which approvals were only listed are left out, but for the last: what is bounded on the others stays the same.
        """
        self.evidence = evidence
        self.order = _order(evidence.batches())
        listed = {day for granted in evidence.granted.values() for day in granted.exact_days()}
        spoken_of = _days(evidence)
        left = listed if every_day else sorted({*spoken_of, *listed})[-1:]
        self.days = sorted({*spoken_of, *left, *asked})
        self._orders: dict[frozenset[int], list[Placed]] = {}
        together = {}
        if any(days.any() for days in evidence.granted.values()):
            together[NAMED] = "the approvals by name"
        if any(days.any() for days in evidence.revoked):
            together[REVOKED] = "the revocations"
        self.resolution = resolve(self._constraints, evidence.origins | together)

    @classmethod
    def in_brief(cls, evidence: Evidence, asked: Iterable[date] = ()) -> Figures:
        """Figures that say the same of the days `asked` and of the last, as intervals: evidence may be another that forces
        as much. They take as long as there are reports and batches, not days (1,000 days: 19 ms, now 4)."""
        figures = cls(evidence, asked, every_day=False)
        # Which of several contradictions is found first, and so what is set apart, may depend on the days.
        return cls(evidence, asked) if figures.resolution.conflicts else figures

    @property
    def last_day(self) -> DateRange:
        """The last of `days`."""
        return DateRange(self.days[-1], self.days[-1])

    def total(self, day: date) -> Bound:
        """The total at the end of `day`, one of `days`."""
        return self.resolution.bound(_at(day))

    def speaks_of_force(self) -> bool:
        """Whether anything is known of approvals that ended."""
        return any(days.any() for days in self.evidence.revoked) or any(
            report.in_force for report in self.evidence.totals
        )

    def in_force(self, day: date) -> Bound:
        """The approvals in force at the end of `day`, one of `days`: the total less the revoked."""
        return self.resolution.bound(("in force", day))

    def named(self, day: date) -> int:
        """How many different approvals are known by name and surely granted by `day`."""
        return max(
            (
                days.surely_by(day)
                + _unlisted(self.order, self.evidence.marks, self.evidence.granted_to[terms], day)[0]
                for terms, days in self.evidence.granted.items()
            ),
            default=0,
        )

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
        total, ended = self.total(days.last), self._revoked_by(days.first)
        high = None if total.interval.high is None else max(0, total.interval.high - ended)
        because = total.high | ({REVOKED} if ended and high is not None else set())
        return Bound(Interval(0, high), frozenset(), because)

    def undisclosed(self, days: DateRange) -> Interval:
        """How many approvals by one of these days nobody names: from the bounds of the total and the named.

        Whoever an announcement names may have been granted long before it, and beside all that is listed; equated terms
        may list different approvals.
        """
        total = self.total_in(days).interval
        perhaps = sum(listed.perhaps_by(days.last) for listed in self.evidence.perhaps.values())
        perhaps += self._perhaps_beside
        high = None if total.high is None else max(0, total.high - self.named(days.first))
        return Interval(max(0, total.low - perhaps), high)

    @cached_property
    def _perhaps_beside(self) -> int:
        return sum(self._perhaps_beside_of(placed.batch) for placed in self.order)

    def _perhaps_beside_of(self, batch: Batch) -> int:
        return batch.perhaps_beside(self.evidence.marks.are_one(batch.on), self.evidence.claimants)

    def named_of(self, batch: Batch) -> int:
        """How many approvals of the batch are known by name, at least."""
        return batch.named(self.evidence.marks.may_be_one(batch.on))

    def size(self, batch: Batch) -> Bound:
        """How many approvals the batch has, from every report of it and what the totals leave room for."""
        size = self.resolution.bound(("size", batch.key))
        before, after = (
            self.resolution.bound(("before", batch.key)),
            self.resolution.bound(("after", batch.key)),
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
        perhaps = batch.members_at_most + self._perhaps_beside_of(batch)
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
        bound = self.resolution.bound(("before", batch.key))
        low, because = bound.interval.low, bound.low
        for day in self._days_of_the_batch(batch):
            total, later, known_by = self.total(day), *self._perhaps_later(batch, day)
            if later is None:
                continue
            reached = total.interval.low - later
            # A total that is higher than the reports of the batch allow had more than the batch come after it.
            if reached > low and (bound.interval.high is None or reached <= bound.interval.high):
                low, because = reached, total.low | known_by
        return Bound(Interval(low, bound.interval.high), because, bound.high)

    def _days_of_the_batch(self, batch: Batch) -> list[date]:
        on = batch.on
        return [day for day in self.days if on is not None and on.last <= day <= on.first + TOGETHER]

    def _perhaps_later(self, batch: Batch, day: date) -> tuple[int | None, frozenset[int]]:
        """How many approvals by `day` are of the batch or known to have come after it, at most, and which events say so."""
        assert batch.on is not None
        sizes = [
            self.size(placed.batch)
            for placed in self.order
            if placed.batch is batch
            or (
                placed.batch.on is not None
                and placed.batch.on.first <= day
                and not placed.surely_before(batch)
            )
        ]
        later = sum(
            self.evidence.perhaps[terms].perhaps_by(day) - granted.surely_by(batch.on.first - DAY)
            for terms, granted in self.evidence.granted.items()
        )
        known_by = frozenset[int]().union(*(size.high for size in sizes), {NAMED} if later else ())
        for size in sizes:
            if size.interval.high is None:
                return None, known_by
            later += size.interval.high
        return later, known_by

    # The constraints that hold where only the events `counted` count.

    def _constraints(self, counted: frozenset[int]) -> list[Constraint]:
        days = self.days
        constraints = [Constraint(_at(b), _at(a), 0) for a, b in pairwise(days)]
        if NAMED in counted:
            for granted in self.evidence.granted.values():
                constraints += _of_granted(granted, days)
        order = self._order_of(counted)
        constraints += self._of_unlisted(order, named=NAMED in counted)
        for report in self.evidence.totals:
            if report.position in counted and report.count is not None:
                constraints += self._of_total(report, report.count, revoked=REVOKED in counted)
        constraints += self._of_revoked(REVOKED in counted, self._ended(counted))
        for index in range(len(order)):
            constraints += _of_batch(order, index, self.evidence.marks)
        return constraints

    def _order_of(self, counted: frozenset[int]) -> list[Placed]:
        of_batches = counted & {NAMED, *(report.position for report in self.evidence.announced)}
        if of_batches not in self._orders:
            self._orders[of_batches] = _order(self.evidence.batches(of_batches))
        return self._orders[of_batches]

    def _of_total(self, report: TotalReport, count: Interval, *, revoked: bool) -> Iterator[Constraint]:
        because = frozenset({report.position})
        if report.as_of is not None:
            first, last = report.as_of.first, report.as_of.last
            yield Constraint(_at(last), ORIGIN, count.low, because)
            if report.in_force:
                # The revoked were approved too, whatever day of the range it was.
                if revoked and (ended := self._revoked_by(first)):
                    yield Constraint(_at(last), ORIGIN, count.low + ended, because | {REVOKED})
                if first == last:
                    yield Constraint(("in force", last), ORIGIN, count.low, because)
                    if count.high is not None:
                        yield Constraint(ORIGIN, ("in force", last), -count.high, because)
            elif count.high is not None:
                yield Constraint(ORIGIN, _at(first), -count.high, because)
        elif report.since is not None and report.to is not None:
            yield Constraint(_at(report.to.last), _at(report.since.first - DAY), count.low, because)
            # Those of a period that are in force are not all that were granted in it.
            if count.high is not None and not report.in_force:
                yield Constraint(_at(report.since.last - DAY), _at(report.to.first), -count.high, because)

    def _revoked_by(self, day: date) -> int:
        return max((days.surely_by(day) for days in self.evidence.revoked), default=0)

    def _of_revoked(self, revoked: bool, ended: list[_Ended]) -> Iterator[Constraint]:
        if not self.speaks_of_force():
            return
        for day in self.days:
            yield Constraint(_at(day), ("in force", day), 0)
            if revoked and (count := self._revoked_by(day)):
                yield Constraint(_at(day), ("in force", day), count, frozenset({REVOKED}))
            # What has ended does not begin again.
            for end in ended:
                if end.by <= day:
                    yield Constraint(_at(day), ("in force", day), end.count, end.because)

    def _ended(self, counted: frozenset[int]) -> list[_Ended]:
        """What reports of one day say together: of at least so many approvals at most so many were in force."""
        reports = [
            r
            for r in self.evidence.totals
            if r.position in counted and r.count is not None and r.as_of is not None
        ]
        found = []
        for of_force in reports:
            if not of_force.in_force or of_force.count is None or of_force.count.high is None:
                continue
            assert of_force.as_of is not None
            for ever in reports:
                assert ever.as_of is not None
                assert ever.count is not None
                ended = ever.count.low - of_force.count.high
                if not ever.in_force and ended > 0 and ever.as_of.last <= of_force.as_of.first:
                    because = frozenset({of_force.position, ever.position})
                    found.append(_Ended(of_force.as_of.last, ended, because))
        return found

    def _of_unlisted(self, order: list[Placed], *, named: bool) -> Iterator[Constraint]:
        """Companies that announcements name, whose approvals nobody lists, stand beside those that are listed."""
        announced = {p.by for p in order if p.batch.on is not None}
        for terms, granted in self.evidence.granted.items():
            granted_to = self.evidence.granted_to[terms] if named else {}
            # Approvals of a month are listed from its last day on: on that day they stand beside those announced in it.
            for day in sorted(announced | {partial.last for partial, _ in granted.partial}):
                unlisted, because = _unlisted(order, self.evidence.marks, granted_to, day)
                if unlisted:
                    listed = granted.surely_by(day) if named else 0
                    reasons = because | {NAMED} if listed else because
                    yield Constraint(_at(day), ORIGIN, listed + unlisted, reasons)


def _at(day: date) -> Node:
    return ("total", day)


def _days(evidence: Evidence) -> set[date]:
    """The days that a constraint is about, beside those on which approvals are listed."""
    days: set[date] = set()
    for report in evidence.totals:
        if report.as_of is not None:
            days |= {report.as_of.first, report.as_of.last}
        if report.since is not None and report.to is not None:
            days |= {report.since.first - DAY, report.since.last - DAY, report.to.first, report.to.last}
    days |= {report.on.last for report in evidence.announced}
    for revoked in evidence.revoked:
        days |= set(revoked.exact_days())
    for dated in (*evidence.granted.values(), *evidence.revoked):
        for partial, _ in dated.partial:
            days |= {partial.first - DAY, partial.last}
    return days


def _of_granted(granted: Days, days: list[date]) -> Iterator[Constraint]:
    named = frozenset({NAMED})
    for day in days:
        if count := granted.surely_by(day):
            yield Constraint(_at(day), ORIGIN, count, named)
    for a, b in pairwise(days):
        if count := granted.within(a, b):
            yield Constraint(_at(b), _at(a), count, named)
    # A month's or a year's approvals lie somewhere inside it: days without a year (2024), and months in it, nest.
    for partial, _ in granted.partial:
        first = partial.first - DAY
        yield Constraint(_at(partial.last), _at(first), granted.within(first, partial.last), named)


def _of_batch(order: list[Placed], index: int, marks: Marks) -> Iterator[Constraint]:
    placed = order[index]
    batch = placed.batch
    before, after, size = ("before", batch.key), ("after", batch.key), ("size", batch.key)
    so_far, with_missing, with_this = (
        ("batches", index),
        ("batches and missing", index),
        ("batches", index + 1),
    )
    numbered, dated = _numbered_by(batch), _numbered_by(batch) | batch.dated_by
    if batch.ordinal is not None:
        # First: of two ways to one bound, the evidence is the one that is found first, and this takes one event.
        yield Constraint(before, ORIGIN, batch.ordinal - 1, numbered)
    yield Constraint(with_missing, so_far, 0)
    yield Constraint(with_this, with_missing, 0)
    yield Constraint(after, before, 0)
    yield Constraint(before, ("batches", placed.surely_after), 0, dated)
    for earlier, between in _just_before(order, index):
        yield Constraint(before, ("after", earlier.key), between, _ordered_by(earlier, batch))
    if placed.sure:
        yield Constraint(with_missing, so_far, placed.missing, numbered)
        if placed.surely_after == index:
            yield Constraint(before, with_missing, 0, dated)
    at_least = []
    if named := batch.named(marks.may_be_one(batch.on)):
        naming = frozenset[int]().union(*(batch.because(r) for r in batch.reports if r.named))
        at_least.append((named, naming | {NAMED} if batch.members else naming))
    for report in batch.reports:
        because = batch.because(report)
        yield Constraint(_at(report.on.last), after, 0, because)
        if placed.sure:
            yield Constraint(_at(report.on.last), with_this, 0, because)
        # A batch that is announced has one approval at least, whatever else is said of its size.
        at_least.append((max(1, report.size.low if report.size is not None else 0), because))
        if report.size is not None and report.size.high is not None:
            yield Constraint(ORIGIN, size, -report.size.high, because)
            yield Constraint(before, after, -report.size.high, because)
    for least, reason in at_least:
        yield Constraint(size, ORIGIN, least, reason)
        yield Constraint(after, before, least, reason)
        if placed.sure:
            yield Constraint(with_this, with_missing, least, reason | placed.placed_by)


def _just_before(order: list[Placed], index: int) -> Iterator[tuple[Batch, int]]:
    """The last batches that were surely granted before one, and how many were granted in between, at least."""
    placed = order[index]
    if placed.surely_after:
        yield order[placed.surely_after - 1].batch, 0
    if placed.batch.ordinal is not None:
        for other in reversed(order[:index]):
            if other.batch.ordinal is not None:
                yield other.batch, placed.batch.ordinal - other.batch.ordinal - 1
                return


def _ordered_by(earlier: Batch, later: Batch) -> frozenset[int]:
    """The events that say which of two batches was granted first."""
    if earlier.ordinal is not None and later.ordinal is not None:
        return _numbered_by(earlier) | _numbered_by(later)
    return earlier.dated_by | later.dated_by


def _numbered_by(batch: Batch) -> frozenset[int]:
    """An event that gives the batch its ordinal, if it has one."""
    if batch.ordinal is None:
        return frozenset()
    numbering = [report.position for report in batch.reports if report.ordinal is not None]
    return frozenset({min(numbering)} if numbering else {NAMED})


def _unlisted(
    order: list[Placed], marks: Marks, granted_to: Mapping[str, int], day: date
) -> tuple[int, frozenset[int]]:
    """How many approvals, announced by `day` with a company's name, are beyond those granted to it; and who says so."""
    mentioned: dict[str, int] = {}
    because: set[int] = set()
    whenever = marks.may_be_one()
    for placed in order:
        batch = placed.batch
        if not placed.sure or batch.on is None or placed.by > day:
            continue
        naming = replace(batch, reports=tuple(r for r in batch.reports if r.named))
        because = because.union(*(naming.because(report) for report in naming.reports))
        if naming.reports:
            because |= placed.placed_by
        for mark, n in naming.mentioned(marks.may_be_one(batch.on)).items():
            mentioned[whenever[mark]] = mentioned.get(whenever[mark], 0) + n
    return sum(max(0, n - granted_to.get(mark, 0)) for mark, n in mentioned.items()), frozenset(because)


def _order(batches: list[Batch]) -> list[Placed]:
    """The batches in the order in which they were granted, as far as it is known.

    A batch was granted by the day it was announced, and before any of a higher ordinal.
    """
    by: dict[str, tuple[date, frozenset[int]]] = {}
    latest = (date.max, frozenset[int]())
    numbered = [batch for batch in batches if batch.ordinal is not None]
    for batch in sorted(numbered, key=lambda b: b.ordinal or 0, reverse=True):
        by[batch.key] = latest = min(latest, _announced(batch), key=lambda placing: placing[0])
    by |= {batch.key: _announced(batch) for batch in batches if batch.ordinal is None}
    distinct = _distinct(batches)
    placed: list[Placed] = []
    last_ordinal, unknown, missing_so_far = 0, 0, 0
    for batch in sorted(batches, key=lambda b: (by[b.key][0], b.ordinal or 0, b.key)):
        missing = 0
        if batch.ordinal is not None:
            unknown, last_ordinal = unknown + batch.ordinal - last_ordinal - 1, batch.ordinal
            # One that is known without an ordinal, and not announced later, may be one of those that nobody reported.
            perhaps = [
                other
                for other in distinct
                if other.ordinal is None and (other.on is None or other.on.first <= by[batch.key][0])
            ]
            missing = max(0, unknown - len(perhaps) - missing_so_far)
            missing_so_far += missing
        sure = any(batch is other for other in distinct)
        placing = Placed(batch, *by[batch.key], 0, missing, sure)
        surely_after = next(
            (n for n, other in enumerate(placed) if not other.surely_before(batch)), len(placed)
        )
        placed.append(replace(placing, surely_after=surely_after))
    return placed


def _announced(batch: Batch) -> tuple[date, frozenset[int]]:
    return (batch.on.last if batch.on is not None else date.max), batch.dated_by


def _distinct(batches: list[Batch]) -> list[Batch]:
    """Batches of which no two are one, so that their sizes may be added.

    Two ordinals are two batches, so are two labels, and announcements of different days. A label and an ordinal, or a day
    alone, may be one batch that two papers know by different names.
    """
    chosen = [batch for batch in batches if batch.ordinal is not None]
    others = [batch for batch in batches if batch.ordinal is None]
    for batch in sorted(
        others, key=lambda b: (b.on is None, b.on and (b.on.last - b.on.first, b.on.last), b.key)
    ):
        if all(_differ(batch, other) for other in chosen):
            chosen.append(batch)
    return chosen


def _differ(a: Batch, b: Batch) -> bool:
    if a.label is not None and b.label is not None and a.ordinal is b.ordinal is None:
        return True
    return a.on is not None and b.on is not None and (a.on.last < b.on.first or b.on.last < a.on.first)
