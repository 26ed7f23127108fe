"""From evidence to figures: the constraints that reports and approvals put on totals and batches, and what they allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from events import Interval

from .bounds import NAMED, ORIGIN, Bound, Constraint, Node, resolve
from .evidence import Batch, Days, Evidence, TotalReport

DAY = timedelta(days=1)

TOGETHER = timedelta(days=7)
"""A total of a day this soon after a batch was announced, and before the next, is read as having it as its latest batch.

News of a batch gives the running total a few days later: "14 last week, over 40 in all".
"""


@dataclass(frozen=True, slots=True)
class Placed:
    """A batch in the order in which batches were granted.

    `surely_after` is how many of those placed before it were surely granted before it; `missing` how many ordinals between
    it and the one before it nobody reported. `sure` is False where it may be a batch that is placed already.
    """

    batch: Batch
    surely_after: int
    missing: int
    sure: bool


class Figures:
    """What the evidence of one class of terms allows. Pure: the same evidence gives the same figures."""

    def __init__(self, evidence: Evidence, asked: Iterable[date] = ()) -> None:
        """`asked` are days on which a figure is wanted, beside those that the evidence speaks of."""
        self.evidence = evidence
        self.order = _order(evidence.batches)
        self.days = sorted({*_days(evidence), *asked})
        named = (
            {NAMED: "the approvals by name"} if any(days.any() for days in evidence.granted.values()) else {}
        )
        self.resolution = resolve(self._constraints, evidence.origins | named)

    def total(self, day: date) -> Bound:
        """The total at the end of `day`, one of `days`."""
        return self.resolution.bound(_at(day))

    def speaks_of_force(self) -> bool:
        """Whether anything is known of approvals that ended."""
        return self.evidence.revoked.any() or any(report.in_force for report in self.evidence.totals)

    def in_force(self, day: date) -> Bound:
        """The approvals in force at the end of `day`, one of `days`: the total less the revoked."""
        return self.resolution.bound(("in force", day))

    def named(self, day: date) -> int:
        """How many different approvals are known by name and surely granted by `day`."""
        return max(
            (
                days.surely_by(day) + self._unlisted(terms, day, None)[0]
                for terms, days in self.evidence.granted.items()
            ),
            default=0,
        )

    def undisclosed(self, day: date) -> Interval:
        """How many approvals by `day` nobody names: from the bounds of the total and the named."""
        total = self.total(day).interval
        perhaps = max(
            (d.perhaps_by(day) + self._unlisted(t, day, None)[0] for t, d in self.evidence.granted.items()),
            default=0,
        )
        named = self.named(day)
        return Interval(
            max(0, total.low - perhaps), None if total.high is None else max(0, total.high - named)
        )

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

    def before(self, batch: Batch) -> Bound:
        """The total just before the batch.

        Beside what propagation gives: of a total that has the batch as its latest, what is not of the batch and is not
        known by name and date to have come after the announcement came before it.
        """
        bound = self.resolution.bound(("before", batch.key))
        size = self.size(batch)
        first, last = batch.first, batch.last
        if first is None or last is None or size.interval.high is None:
            return bound
        low, because = bound.interval.low, bound.low
        for day in self._days_of_the_batch(last):
            after = max(
                (d.perhaps_by(day) - d.surely_by(first - DAY) for d in self.evidence.granted.values()),
                default=0,
            )
            total = self.total(day)
            if (reached := total.interval.low - size.interval.high - after) > low:
                low, because = reached, total.low | size.high
        return Bound(Interval(low, bound.interval.high), because, bound.high)

    def _days_of_the_batch(self, last: date) -> Iterator[date]:
        later = [p.batch.first for p in self.order if p.batch.first is not None and p.batch.first > last]
        upto = min([last + TOGETHER, *(first - DAY for first in later)])
        return (day for day in self.days if last <= day <= max(upto, last))

    # The constraints that hold where only the events `counted` count.

    def _constraints(self, counted: frozenset[int]) -> list[Constraint]:
        days = self.days
        constraints = [Constraint(_at(b), _at(a), 0) for a, b in pairwise(days)]
        if days:
            constraints.append(Constraint(_at(days[0]), ORIGIN, 0))
        if NAMED in counted:
            for granted in self.evidence.granted.values():
                constraints += _of_granted(granted, days)
        constraints += self._of_unlisted(counted)
        for report in self.evidence.totals:
            if report.position in counted and report.count is not None:
                constraints += self._of_total(report, report.count)
        constraints += self._of_revoked()
        constraints += self._of_batches(counted)
        return constraints

    def _of_total(self, report: TotalReport, count: Interval) -> Iterator[Constraint]:
        because = frozenset({report.position})
        if report.as_of is not None:
            first, last = report.as_of.first, report.as_of.last
            if report.in_force:
                # Of those in force at an unknown total, the revoked were approved too.
                revoked = self.evidence.revoked.surely_by(first)
                yield Constraint(_at(last), ORIGIN, count.low + revoked, because)
                if first == last:
                    yield Constraint(("in force", last), ORIGIN, count.low, because)
                    if count.high is not None:
                        yield Constraint(ORIGIN, ("in force", last), -count.high, because)
                return
            yield Constraint(_at(last), ORIGIN, count.low, because)
            if count.high is not None:
                yield Constraint(ORIGIN, _at(first), -count.high, because)
        elif report.since is not None and report.to is not None:
            yield Constraint(_at(report.to.last), _at(report.since.first - DAY), count.low, because)
            if count.high is not None:
                yield Constraint(_at(report.since.last - DAY), _at(report.to.first), -count.high, because)

    def _of_revoked(self) -> Iterator[Constraint]:
        if not self.speaks_of_force():
            return
        for day in self.days:
            yield Constraint(_at(day), ("in force", day), self.evidence.revoked.surely_by(day))
            yield Constraint(("in force", day), ORIGIN, 0)

    def _of_batches(self, counted: frozenset[int]) -> Iterator[Constraint]:
        for index, placed in enumerate(self.order):
            batch = placed.batch
            before, after, size = ("before", batch.key), ("after", batch.key), ("size", batch.key)
            so_far, with_missing, with_this = (
                ("batches", index),
                ("batches and missing", index),
                ("batches", index + 1),
            )
            yield Constraint(with_missing, so_far, 0)
            yield Constraint(with_this, with_missing, 0)
            yield Constraint(before, ("batches", placed.surely_after), 0)
            yield Constraint(size, ORIGIN, 0)
            yield Constraint(after, before, 0)
            if placed.surely_after == index and placed.sure:
                yield Constraint(before, with_missing, 0)
            named = batch.named(counted.__contains__, members=NAMED in counted)
            naming = {r.position for r in batch.reports if r.named} & counted
            because = frozenset(naming | ({NAMED} if batch.members and NAMED in counted else set()))
            at_least = [(named, because)] if named else []
            for report in batch.reports:
                if report.position not in counted:
                    continue
                because = frozenset({report.position})
                yield Constraint(_at(report.on.last), after, 0, because)
                if placed.sure:
                    yield Constraint(_at(report.on.last), with_this, 0, because)
                    yield Constraint(with_missing, so_far, placed.missing, because)
                if report.size is not None:
                    at_least.append((report.size.low, because))
                    if report.size.high is not None:
                        yield Constraint(ORIGIN, size, -report.size.high, because)
                        yield Constraint(before, after, -report.size.high, because)
            for least, reason in at_least:
                yield Constraint(size, ORIGIN, least, reason)
                yield Constraint(after, before, least, reason)
                if placed.sure:
                    yield Constraint(with_this, with_missing, least, reason)

    def _of_unlisted(self, counted: frozenset[int]) -> Iterator[Constraint]:
        """Companies that announcements name, whose approvals nobody lists, stand beside those that are listed."""
        announced = sorted({p.batch.last for p in self.order if p.batch.last is not None})
        for terms, granted in self.evidence.granted.items():
            for day in announced:
                unlisted, because = self._unlisted(terms, day, counted)
                if unlisted:
                    listed = granted.surely_by(day) if NAMED in counted else 0
                    reasons = because | {NAMED} if listed else because
                    yield Constraint(_at(day), ORIGIN, listed + unlisted, frozenset(reasons))

    def _unlisted(self, terms: str, day: date, counted: frozenset[int] | None) -> tuple[int, set[int]]:
        """How many approvals, announced by `day` with a company's name, are beyond those granted to it; and who says so."""
        mentioned: dict[str, int] = {}
        because: set[int] = set()
        for placed in self.order:
            if not placed.sure:
                continue
            reports = [
                r
                for r in placed.batch.reports
                if r.on.last <= day and (counted is None or r.position in counted)
            ]
            known = {r.position for r in reports if r.named}
            because |= known
            for mark, n in placed.batch.mentioned(known.__contains__).items():
                mentioned[mark] = mentioned.get(mark, 0) + n
        granted = self.evidence.granted_to[terms] if counted is None or NAMED in counted else {}
        return sum(max(0, n - granted.get(mark, 0)) for mark, n in mentioned.items()), because


def _at(day: date) -> Node:
    return ("total", day)


def _days(evidence: Evidence) -> set[date]:
    """The days that a constraint is about."""
    days: set[date] = set()
    for report in evidence.totals:
        if report.as_of is not None:
            days |= {report.as_of.first, report.as_of.last}
        if report.since is not None and report.to is not None:
            days |= {report.since.first - DAY, report.since.last - DAY, report.to.first, report.to.last}
    for batch in evidence.batches:
        days |= {report.on.last for report in batch.reports}
    for granted in evidence.granted.values():
        days |= set(granted.exact_days())
        for partial, _ in granted.partial:
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


def _order(batches: Iterable[Batch]) -> list[Placed]:
    """The batches in the order in which they were granted, as far as it is known.

    A batch was granted by the day it was announced, and before any of a higher ordinal.
    """
    numbered = sorted((b for b in batches if b.ordinal is not None), key=lambda b: b.ordinal or 0)
    by: dict[str, date] = {}
    latest = date.max
    for batch in reversed(numbered):
        latest = min(latest, batch.last or date.max)
        by[batch.key] = latest
    others = [batch for batch in batches if batch.ordinal is None]
    by |= {batch.key: batch.last or date.max for batch in others}
    ordered = sorted([*numbered, *others], key=lambda b: (by[b.key], b.ordinal or 0, b.key))
    placed: list[Placed] = []
    last_ordinal = 0
    for batch in ordered:
        missing = 0
        if batch.ordinal is not None:
            missing, last_ordinal = batch.ordinal - last_ordinal - 1, batch.ordinal
        placed.append(Placed(batch, _surely_before(batch, ordered, by), missing, _sure(batch, ordered)))
    return placed


def _surely_before(batch: Batch, ordered: list[Batch], by: dict[str, date]) -> int:
    """How many batches at the head of the order were surely granted before this one."""
    count = 0
    for other in ordered:
        earlier = batch.ordinal is not None and other.ordinal is not None and other.ordinal < batch.ordinal
        if other is batch or not (earlier or (batch.first is not None and by[other.key] < batch.first)):
            break
        count += 1
    return count


def _sure(batch: Batch, others: list[Batch]) -> bool:
    """Whether it is surely none of the others, so that their sizes may be added.

    Two ordinals are two batches, so are two labels, and announcements of different days. A label and an ordinal, or a day
    alone, may be one batch that two papers know by different names.
    """
    if batch.ordinal is not None:
        return True
    return all(
        other is batch
        or (batch.label is not None and other.label is not None and other.ordinal is None)
        or _apart(batch, other)
        for other in others
    )


def _apart(a: Batch, b: Batch) -> bool:
    return all(
        x.on.last < y.on.first or y.on.last < x.on.first for x in a.reports for y in b.reports
    ) and bool(a.reports and b.reports)
