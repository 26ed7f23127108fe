"""What the approvals that are listed by name say as constraints on totals."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from events import DateRange

from .bounds import LISTED, ORIGIN, Constraint, at
from .evidence import Dated, Days
from .placing import Placed
from .ranges import DAY


class Listed:
    """The approvals that are listed in one of the terms, without those that a total counts before the day they are listed on:
    the members of a batch that was granted earlier, of whatever day a list says that they are. `late` has the day by which that
    was, and how many are of which days."""

    def __init__(self, granted: Days, late: Iterable[tuple[date, Dated]]) -> None:
        self.granted = granted
        self._late = in_order = sorted(late, key=lambda each: each[1].days.last)
        self._exact = [each for each in in_order if each[1].days.first == each[1].days.last]
        self._exact_days = [of.days.last for _, of in self._exact]
        self._partial = [each for each in in_order if each[1].days.first != each[1].days.last]

    def within(self, after: date, upto: date) -> int:
        """How many there are, at least, of which a total of the day `after` counts none, and one of `upto` all."""
        if not (listed := self.granted.within(after, upto)):
            return 0
        between = slice(bisect_right(self._exact_days, after), bisect_right(self._exact_days, upto))
        late = sum(of.members for since, of in self._exact[between] if since <= after)
        late += sum(
            of.members
            for since, of in self._partial
            if since <= after < of.days.last and of.days.first <= upto
        )
        return max(0, listed - late)

    @property
    def late(self) -> set[DateRange]:
        """The days from the one by which some of these were granted to the last that they are listed on."""
        return {DateRange(since, of.days.last) for since, of in self._late}

    def perhaps_before(self, day: date) -> int:
        """How many may have been granted by the end of a day, of those that are listed later."""
        return sum(of.members for since, of in self._late if since <= day < of.named_from)


def listed_in(terms: str, granted: Days, order: Sequence[Placed]) -> Listed:
    """Those that are `granted` in some terms, of which the batches in their order may have some earlier than they are listed."""
    late = []
    for placed, begun in zip(order, _begun_after_each(order), strict=True):
        since = min([placed.by, *(report.on.first for report in placed.batch.reports)])
        batch = placed.batch
        if batch.latest is None or (batch.latest <= min(since, begun) and not batch.moved):  # mostly
            continue
        for of in batch.listed:
            # What may be of `begun` or earlier needs nothing: its days and the order agree.
            earlier = min(since, begun) if of.days.first > begun else since
            if of.terms == terms and of.days.last > earlier:
                late.append((earlier, of))
    return Listed(granted, late)


def _begun_after_each(order: Sequence[Placed]) -> list[date]:
    """For each batch the day by which it was granted because the first member of one with a higher ordinal was, date.max if none is
    known. Batches without an ordinal were granted before the next that has one, if they were surely announced before it."""
    found: list[date] = []
    begun, first = date.max, date.max  # of those with higher ordinals than `following`; of these and itself
    following: Placed | None = None
    for placed in reversed(order):
        if placed.batch.ordinal is not None:
            begun, following = first, placed
            first = min(first, placed.batch.begun_by or date.max)
            found.append(begun)
        else:
            surely = following is not None and placed.surely_before(following)
            found.append(begun if surely else date.max)
    return found[::-1]


def of_granted(
    listed: Listed, days: Iterable[date], pairs: Iterable[tuple[date, date]]
) -> Iterator[Constraint]:
    """How many there are by each of these days, and between the two of each pair, at least."""
    for day in days:
        if count := listed.granted.surely_by(day):
            yield Constraint(at(day), ORIGIN, count, LISTED)
    for a, b in pairs:
        if count := listed.within(a, b):
            yield Constraint(at(b), at(a), count, LISTED)


def of_partly_granted(listed: Listed) -> Iterator[Constraint]:
    """A month's or a year's approvals lie somewhere inside it: days without a year (2024), and months in it, nest. So do members
    of a batch that a list dates later than its announcement."""
    for days in [*(partial for partial, _ in listed.granted.partial), *sorted(listed.late, key=around)]:
        before, last = around(days)
        yield Constraint(at(last), at(before), listed.within(before, last), LISTED)


def around(days: DateRange) -> tuple[date, date]:
    """The days at the end of which there was nothing yet, and all, of what was granted on some of these."""
    return days.first - DAY, days.last
