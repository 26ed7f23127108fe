"""What batches say as constraints: on their sizes, on each other, and on the totals around them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from datetime import date
from typing import NamedTuple

from .bounds import ORIGIN, Constraint, Node, at
from .evidence import Batch
from .identities import Marks
from .mentions import Mention, mention_of
from .placing import Placed, perhaps_announced

PLACES = 20_000  # of batches, whose constraints are remembered


class Before(NamedTuple):
    """The batches before one: the last, the last that was surely granted before it, and the last of a lower ordinal; and
    whether `all` that are sure were granted before it surely."""

    last: Batch | None
    surely: Batch | None
    numbered: Batch | None
    all: bool


def before_each(order: list[Placed]) -> Iterator[Before]:
    """Which batches each stands behind."""
    numbered: Batch | None = None
    latest, latest_unnumbered = date.min, date.min  # by which those before that are sure were announced
    for index, placed in enumerate(order):
        batch = placed.batch
        others = latest_unnumbered if batch.ordinal is not None else latest
        yield Before(
            order[index - 1].batch if index else None,
            order[placed.surely_after - 1].batch if placed.surely_after else None,
            None if batch.ordinal is None else numbered,
            others == date.min or others < min(perhaps_announced(batch).first, placed.announced_by),
        )
        if placed.sure:
            latest = max(latest, placed.announced_by)
            if batch.ordinal is None:
                latest_unnumbered = max(latest_unnumbered, placed.announced_by)
        if batch.ordinal is not None:
            numbered = batch


class OfBatches:
    """What batches say where they are placed, made once for all choices of events that leave a batch, and those before it, as
    they are: to leave out one event of a thousand changes few of them.

    A batch is told by its `id`, so what is remembered of batches has them with it.
    """

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._batches: dict[Hashable, list[Batch]] = {}
        self._constraints: dict[Hashable, tuple[Batch, Before, list[Constraint]]] = {}
        self._mentions: dict[Hashable, tuple[Batch, Mention | None]] = {}
        self._named: dict[Hashable, tuple[Batch, int]] = {}

    def known(self, batches: Iterable[Batch]) -> list[Batch]:
        """The same batches, each as the object that is known as this."""
        if len(self._constraints) > PLACES:
            for made in (self._batches, self._constraints, self._mentions, self._named):
                made.clear()
        return [self._known(batch) for batch in batches]

    def _known(self, batch: Batch) -> Batch:
        which = batch.key, tuple(report.position for report in batch.reports)
        same = self._batches.setdefault(which, [])
        for known in same:
            if known == batch:
                return known
        same.append(batch)
        return batch

    def constraints(self, placed: Placed, before: Before) -> list[Constraint]:
        """Those of a batch."""
        batch = placed.batch
        where = (*map(id, (batch, *before[:3])), before.all, placed.placed_by, placed.missing, placed.sure)
        if (made := self._constraints.get(where)) is None:
            constraints = list(_of_batch(placed, before, self._marks))
            self._constraints[where] = made = (batch, before, constraints)
        return made[-1]

    def named(self, batch: Batch) -> int:
        """How many approvals of a batch are known by name, at least."""
        if (made := self._named.get(id(batch))) is None:
            named = batch.named(self._marks.may_be_one(batch.named_on))
            self._named[id(batch)] = made = (batch, named)
        return made[-1]

    def mentions(self, order: Iterable[Placed]) -> list[Mention]:
        """Whom the announcements name, in the order of the days by which the batches were granted."""
        mentions = map(self._mention, order)
        return [mention for mention in mentions if mention is not None]

    def _mention(self, placed: Placed) -> Mention | None:
        which = id(placed.batch), placed.by, placed.placed_by, placed.sure
        if (made := self._mentions.get(which)) is None:
            self._mentions[which] = made = (placed.batch, mention_of(placed, self._marks))
        return made[-1]


def _of_batch(placed: Placed, others: Before, marks: Marks) -> Iterator[Constraint]:
    batch = placed.batch
    before, after, size = ("before", batch.key), ("after", batch.key), ("size", batch.key)
    so_far, with_missing, with_this = (
        _batches_until(others.last),
        ("batches and missing", batch.key),
        _batches_until(batch),
    )
    numbered, dated = _numbered_by(batch), _numbered_by(batch) | batch.dated_by
    if batch.ordinal is not None:
        # First: of two ways to one bound, the evidence is the one that is found first, and this takes one event.
        yield Constraint(before, ORIGIN, batch.ordinal - 1, numbered)
        if batch.begun_by is not None:
            yield from _of_its_first(batch, batch.ordinal, batch.begun_by, others.numbered)
    yield Constraint(with_missing, so_far, 0)
    yield Constraint(with_this, with_missing, 0)
    yield Constraint(after, before, 0)
    if others.surely is not None:
        yield Constraint(before, ("after", others.surely.key), 0, _ordered_by(others.surely, batch))
    if (earlier := others.numbered) is not None:
        yield Constraint(
            before, ("after", earlier.key), _between(earlier, batch), _ordered_by(earlier, batch)
        )
    yield Constraint(before, _batches_until(others.surely), 0, dated)
    if placed.sure:
        yield Constraint(with_missing, so_far, placed.missing, numbered)
        if others.all:
            yield Constraint(before, with_missing, 0, dated)
    yield from _of_its_days(placed, before, after, with_this)
    for report in batch.reports:
        if report.size is not None and report.size.high is not None:
            yield Constraint(ORIGIN, size, -report.size.high, batch.because(report))
            yield Constraint(before, after, -report.size.high, batch.because(report))
    for least, reason in _sizes_at_least(batch, marks):
        yield Constraint(size, ORIGIN, least, reason)
        yield Constraint(after, before, least, reason)
        if placed.sure:
            yield Constraint(with_this, with_missing, least, reason | placed.placed_by)


def _of_its_first(batch: Batch, ordinal: int, day: date, earlier: Batch | None) -> Iterator[Constraint]:
    """What was granted by the day by which the first of its members was, at least: those, and the batches of lower ordinals,
    however long more of it was granted after that day."""
    because = batch.first_membership | batch.linked
    yield Constraint(at(day), ORIGIN, ordinal - 1 + batch.first_members, because)
    if earlier is not None:
        least = _between(earlier, batch) + batch.first_members
        yield Constraint(at(day), ("after", earlier.key), least, because | _numbered_by(earlier))


def _of_its_days(placed: Placed, before: Node, after: Node, with_this: Node) -> Iterator[Constraint]:
    """What was granted by the days that a batch is known by, at least."""
    batch = placed.batch
    for day, because in _known_by(batch):
        if batch.reports:
            yield Constraint(at(day), after, 0, because)
        else:  # nobody says that its members are all: more may be granted in it later
            yield Constraint(at(day), before, batch.members, because)
        if placed.sure:
            yield Constraint(at(day), with_this, 0, because)


def _sizes_at_least(batch: Batch, marks: Marks) -> Iterator[tuple[int, frozenset[int]]]:
    """How many approvals a batch has at least, by those who are named in it and by each report, and who says so."""
    if named := batch.named(marks.may_be_one(batch.named_on)):
        naming = frozenset[int]().union(*(batch.because(r) for r in batch.reports if r.named))
        yield named, naming | batch.membership | batch.linked if batch.members else naming
    for report in batch.reports:
        # A batch that is announced has one approval at least, whatever else is said of its size.
        yield max(1, report.size.low if report.size is not None else 0), batch.because(report)


def _known_by(batch: Batch) -> list[tuple[date, frozenset[int]]]:
    """Days by which a batch was granted, and who says so: each announcement, or, where there is none, its members."""
    announced = [(report.on.last, batch.because(report)) for report in batch.reports]
    return announced or ([(batch.granted_by, batch.membership)] if batch.granted_by else [])


def _batches_until(batch: Batch | None) -> Node:
    """The approvals in all batches until one."""
    return ("batches", None if batch is None else batch.key)


def _between(earlier: Batch, later: Batch) -> int:
    """How many approvals there are between two batches, at least: one in each batch."""
    assert earlier.ordinal is not None
    assert later.ordinal is not None
    return later.ordinal - earlier.ordinal - 1


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
    return frozenset(numbering[:1]) if numbering else batch.first_membership | batch.linked
