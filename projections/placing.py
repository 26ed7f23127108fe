"""The order in which batches were granted, as far as it is known, and which of them may be one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from operator import itemgetter

from events import DateRange

from .evidence import Batch


@dataclass(frozen=True, slots=True)
class Placed:
    """A batch in the order in which batches were granted.

    It was granted `by` a day, which the reports `placed_by` say, and `announced_by` a day, if at all. `surely_after` is how
    many of those placed before it were surely granted before it; `missing` how many between it and the one before it nobody
    reported, at least. `sure` is False where it may be a batch that is placed as well.
    """

    batch: Batch
    by: date
    placed_by: frozenset[int]
    announced_by: date
    surely_after: int
    missing: int
    sure: bool

    @property
    def on(self) -> DateRange | None:
        """The days on which it may have been announced: not after one of a higher ordinal."""
        on = self.batch.on
        if on is None:
            return None
        return DateRange(min(on.first, self.announced_by), min(on.last, self.announced_by))

    def surely_before(self, other: Placed) -> bool:
        """Whether it was surely granted before `other`: batches are granted in the order of their ordinals, and announced
        in the order in which they are granted."""
        if self.batch.ordinal is not None and other.batch.ordinal is not None:
            return self.batch.ordinal < other.batch.ordinal
        return other.on is not None and self.announced_by < other.on.first


def in_order_granted(batches: list[Batch]) -> list[Placed]:
    """The batches in the order in which they were granted, as far as it is known."""
    granted = _in_turn(batches, lambda batch: batch.granted_by)
    announced = {key: by for key, (by, _) in _in_turn(batches, _announced).items()}
    distinct = _distinct(batches)
    in_order = sorted(batches, key=lambda b: (granted[b.key][0], b.ordinal or 0, _told_by(b)))
    missing = _missing_before(in_order, announced, distinct)
    sure = {batch.key for batch in distinct}
    return [
        Placed(
            batch,
            *granted[batch.key],
            announced[batch.key],
            surely_after,
            missing.get(batch.key, 0),
            batch.key in sure,
        )
        for batch, surely_after in zip(in_order, _surely_after(in_order, announced), strict=True)
    ]


def _in_turn(
    batches: list[Batch], on: Callable[[Batch], date | None]
) -> dict[str, tuple[date, frozenset[int]]]:
    """The day by which each batch was granted, or announced, `on` its own account or because one of a higher ordinal was: the
    first comes first. And the reports that say so."""
    by = {batch.key: (on(batch) or date.max, batch.dated_by) for batch in batches if batch.ordinal is None}
    latest: tuple[date, frozenset[int]] = (date.max, frozenset())
    for _, batch in reversed(_numbered(batches)):
        own = on(batch) or date.max, batch.dated_by
        by[batch.key] = latest = min(latest, own, key=itemgetter(0))
    return by


def _announced(batch: Batch) -> date | None:
    return batch.on.last if batch.on is not None else None


def _numbered(batches: Iterable[Batch]) -> list[tuple[int, Batch]]:
    """Those with an ordinal, in the order of these."""
    numbered = [(batch.ordinal, batch) for batch in batches if batch.ordinal is not None]
    return sorted(numbered, key=itemgetter(0))


def _missing_before(
    in_order: list[Batch], announced: Mapping[str, date], distinct: list[Batch]
) -> dict[str, int]:
    """How many batches just before each of those with an ordinal nobody reported, at least.

    One that is known without an ordinal, and not announced later, may be one of them.
    """
    perhaps = sorted(perhaps_announced(batch).first for batch in distinct if batch.ordinal is None)
    missing: dict[str, int] = {}
    so_far = 0
    for known, (ordinal, batch) in enumerate(_numbered(in_order), start=1):
        unknown = ordinal - known
        missing[batch.key] = max(0, unknown - bisect_right(perhaps, announced[batch.key]) - so_far)
        so_far += missing[batch.key]
    return missing


def _surely_after(in_order: list[Batch], announced: Mapping[str, date]) -> Iterator[int]:
    """Of each batch the place of the first before it that was not `Placed.surely_before` it. It is looked for by halving, in the
    latest days by which those until each place were announced: among those without an ordinal where the batch has one, for
    of these all before it have lower ones."""
    latest: list[date] = []
    unnumbered: list[tuple[date, int]] = []
    for place, batch in enumerate(in_order):
        by = announced[batch.key]
        first = min(perhaps_announced(batch).first, by)
        if batch.ordinal is None:
            yield bisect_left(latest, first)
            unnumbered.append((max(by, unnumbered[-1][0]) if unnumbered else by, place))
        else:
            later = bisect_left(unnumbered, (first, 0))
            yield unnumbered[later][1] if later < len(unnumbered) else place
        latest.append(max(by, latest[-1]) if latest else by)


def perhaps_announced(batch: Batch) -> DateRange:
    """The days on which a batch may have been announced."""
    return DateRange(date.min, date.max) if batch.on is None else batch.on


def _distinct(batches: list[Batch]) -> list[Batch]:
    """Batches of which no two are one, so that their sizes may be added.

    Two ordinals are two batches, so are two labels, and announcements of different days. A label and an ordinal, or a day
    alone, may be one batch that two papers know by different names: those are left out that make fewer approvals.
    """
    numbered = [batch for batch in batches if batch.ordinal is not None]
    announced = [batch for batch in numbered if batch.on is not None]
    by_members = [batch for batch in numbered if batch.on is None]
    others = sorted(
        (batch for batch in batches if batch.ordinal is None),
        key=lambda b: (b.on is None, b.on and (b.on.last - b.on.first, b.on.last), _told_by(b)),
    )
    orders = [[*announced, *by_members, *others], [*announced, *others, *by_members], [*others, *numbered]]
    return max(map(_surely_different, orders), key=lambda chosen: sum(map(_least, chosen)))


def _surely_different(batches: Iterable[Batch]) -> list[Batch]:
    """Those that are surely none of those before them which are."""
    chosen: list[Batch] = []
    known_by = {what: _Announcements() for what in ("ordinal", "label", "on")}
    for batch in batches:
        days, what = perhaps_announced(batch), known_by_what(batch)
        if not any(
            others.may_be_of(days) for other, others in known_by.items() if other != what or what == "on"
        ):
            known_by[what].add(days)
            chosen.append(batch)
    return chosen


def _least(batch: Batch) -> int:
    """How many approvals a batch has, at least, by each of its reports and by its members."""
    return max(batch.members, 1, *(report.size.low for report in batch.reports if report.size is not None))


def _told_by(batch: Batch) -> tuple[str, int, int, str, str]:
    """What tells batches of the same days apart, whichever the log has first. Of one month those come first that make most
    approvals, and name most: their keys say where they stand in the log."""
    what = known_by_what(batch)
    if what != "on" or batch.on is None or batch.on.first == batch.on.last:
        return batch.key, 0, 0, "", ""
    (report,) = batch.reports
    return what, -_least(batch), -len(report.named), report.says, str(report.names)


def known_by_what(batch: Batch) -> str:
    """Two ordinals are two batches, and so are two labels."""
    return batch.key.partition("\t")[0] if batch.ordinal is None else "ordinal"


class ByDays:
    """Batches by the days on which they may have been announced: to look at all for each took 2 s of 1,600."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        every = [*batches]
        self._whenever = [batch for batch in every if batch.on is None]
        dated = [(batch.on, batch) for batch in every if batch.on is not None]
        self._in_order = sorted(dated, key=lambda each: each[0].first)
        self._firsts = [on.first for on, _ in self._in_order]
        self._latest = [*accumulate((on.last for on, _ in self._in_order), max)]

    def of(self, days: DateRange) -> Iterator[Batch]:
        """Those that may have been announced on one of these days."""
        yield from self._whenever
        for place in reversed(range(bisect_right(self._firsts, days.last))):
            if self._latest[place] < days.first:
                return
            on, batch = self._in_order[place]
            if on.last >= days.first:
                yield batch


class _Announcements:
    """The days on which some batches may have been announced."""

    def __init__(self) -> None:
        self._firsts: list[date] = []
        self._lasts: list[date] = []

    def add(self, days: DateRange) -> None:
        """With one more batch."""
        insort(self._firsts, days.first)
        insort(self._lasts, days.last)

    def may_be_of(self, days: DateRange) -> bool:
        """Whether one may have been announced on one of these days: not all that begin by the last end before the first."""
        return bisect_right(self._firsts, days.last) > bisect_left(self._lasts, days.first)
