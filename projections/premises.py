"""What evidence says as constraints: those that a reported figure, a batch, and the approvals by name put on each other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, cached_property, lru_cache
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any, NamedTuple

from events import DateRange, Interval

from . import terms, totals
from .bounds import BY_DAY, NAMED, ORIGIN, REVOKED, Constraint, Node, Resolution, resolve
from .derived import derivable
from .evidence import Batch, Dated, Days, Evidence, Granted, TotalReport, Views, fetch, gather
from .identities import Marks

DAY = timedelta(days=1)
MOST = 128  # sets of events of which is remembered what holds where they count alone, at most
BATCHES = 6_000  # in all of these sets together: what is remembered of one of 1,000 takes 20 MB
PLACES = 20_000  # of batches, whose constraints are remembered
QUESTIONS = 8  # of which is remembered what was made for them
LISTED = frozenset({NAMED, BY_DAY})


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

    def surely_before(self, other: Batch) -> bool:
        """Whether it was surely granted before `other`: batches are granted in the order of their ordinals, and announced
        in the order in which they are granted."""
        if self.batch.ordinal is not None and other.ordinal is not None:
            return self.batch.ordinal < other.ordinal
        return other.on is not None and self.announced_by < other.on.first


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


def premises_of(views: Views, counted: Collection[str]) -> dict[str, Premises]:
    """What the evidence says for each of these terms, and for all that are equated with them: the same premises for all that are
    one, so that they have the same evidence, and that of 80 it is not made 80 times (10 s)."""
    kept = derivable(views)
    first = terms.first_of_each(counted, totals.equations(views["totals"]))
    found: dict[str, Premises | None] = {one: kept.find(one) for one in dict.fromkeys(first.values())}
    fetch(views, [one for one in counted if found[first[one]] is None])
    made = {
        one: premises or kept.make(one, _premises_after(kept.derived.last(one)))
        for one, premises in found.items()
    }
    return {one: made[first[one]] for one in counted}


def _premises_after(last: Premises | None) -> Callable[[Views, str], Premises]:
    return lambda views, counted: Premises(gather(views, counted), last)


class Premises:
    """The constraints that the evidence of one class of terms puts on totals and batches, whichever events count and
    whichever days are asked about. Pure, and each part is made once: questions about several days may share it."""

    def __init__(self, evidence: Evidence, last: Premises | None = None) -> None:
        """`last` are premises of other evidence: an event changes few batches, and what those know of the others still holds if the
        same names are one company (0079)."""
        self.evidence = evidence
        same = last is not None and last.evidence.marks.same_as(evidence.marks)
        self._placed: _Placed = last._placed if last is not None and same else _Placed(evidence.marks)
        self.order = _order(self._placed.known(evidence.batches()))
        # Those that decide what the constraints allow of all others, and those of which approvals are listed.
        listed = {day for of in evidence.granted.values() for day in of.exact_days()}
        # Approvals that are listed in one of several terms add up to no more on further days. But what is listed in one on one
        # day, and in another on the next, are different approvals: only with these days do they stand one after the other.
        self.listed_in = {of: _listed_in(of, days, self.order) for of, days in evidence.granted.items()}
        late = {day for of in self.listed_in.values() for days in of.late for day in _around(days)}
        self.days = sorted(_days(evidence) | late | (listed if len(evidence.granted) > 1 else set()))
        self.listed = sorted(listed)
        self.speaks_of_force = any(of.any() for of in evidence.revoked) or any(
            report.in_force for report in evidence.totals
        )
        self.origins = {
            counted: origin
            for counted, origin, dated in (
                (REVOKED, "the revocations", evidence.revoked),
                (NAMED, "the approvals by name", evidence.granted.values()),
            )
            if any(days.any() for days in dated)
        } | evidence.origins
        announced = frozenset(report.position for report in evidence.announced)
        self._of_batches = announced | {NAMED}
        self._all_batches = self._of_batches if any(evidence.members.values()) else announced
        self._totals: dict[tuple[int, bool], list[Constraint]] = {}
        sets = max(1, min(MOST, BATCHES // (len(self.order) + 1)))
        self._of_order = lru_cache(sets)(self._made_of_order)
        self.resolved = cache(self._resolve)
        self.kept = lru_cache(QUESTIONS)(self._make)

    def _make(self, make: Callable[..., Any], *question: Any, **further: Any) -> Any:
        """What `make` makes of these premises alone for a question: it is kept for those who ask the same next."""
        return make(self, *question, **further)

    @cached_property
    def mentions(self) -> list[Mention]:
        """Whom the announcements of all batches name."""
        return self._placed.mentions(self.order)

    def named(self, batch: Batch) -> int:
        """How many approvals of a batch are known by name, at least."""
        return self._placed.named(batch)

    def may_be_the_same(self, batch: Batch) -> list[Batch]:
        """The other batches that may be this one, which two papers know by different names."""
        days, kind = _days_of(batch), _known_by_what(batch)
        return [
            other
            for other_kind, others in self._by_what_is_known.items()
            if other_kind != kind or kind == "on"
            for other in others.of(days)
            if other is not batch
        ]

    @cached_property
    def _by_what_is_known(self) -> dict[str, _ByDays]:
        found: dict[str, list[Batch]] = {}
        for placed in self.order:
            found.setdefault(_known_by_what(placed.batch), []).append(placed.batch)
        return {kind: _ByDays(batches) for kind, batches in found.items()}

    def on(self, days: Sequence[date]) -> Timeline:
        """What holds on these days, which are in their order."""
        return Timeline(self, days, list(pairwise(days)))

    def beside(self, days: tuple[date, ...], asked: Collection[date]) -> Resolution:
        """What follows for some days, and for those that are `asked` about beside them."""
        known = self.resolved(days)
        if not (further := {*asked} - {*days}):
            return known
        # Nothing is known of them but what is granted by each, and what the days around them bound.
        pairs = [(a, b) for a, b in pairwise(sorted({*days, *further})) if a in further or b in further]
        return known.beside(Timeline(self, sorted(further), pairs).of_days)

    def _resolve(self, days: tuple[date, ...]) -> Resolution:
        # Mostly no other days are asked about: what was solved to tell what contradicts what is the same system.
        return self._apart if [*days] == self.days else self._apart.under(self.on(days).constraints)

    @cached_property
    def _apart(self) -> Resolution:
        """What contradicts what. For that it makes no difference which days are asked about, as what is known of a day that no
        report is about follows from the days around it."""
        return resolve(self.on(self.days).constraints, self.origins)

    # The constraints that hold where only the events `counted` count.

    def unlisted(self, counted: frozenset[int]) -> list[Constraint]:
        """Of the companies that announcements name, and whose approvals nobody lists."""
        return self._of_order(counted & self._of_batches)[0]

    def batches(self, counted: frozenset[int]) -> list[Constraint]:
        """Of every batch."""
        return self._of_order(counted & self._of_batches)[1]

    def totals(self, counted: frozenset[int]) -> Iterator[Constraint]:
        """Of every reported figure."""
        for report in self.evidence.totals:
            if report.position in counted and report.count is not None:
                which = report.position, REVOKED in counted
                if which not in self._totals:
                    self._totals[which] = list(self._of_total(report, report.count, revoked=which[1]))
                yield from self._totals[which]

    def ended(self, counted: frozenset[int]) -> Ended:
        """What reports of a total and reports of what is in force say together."""
        return Ended(report for report in self.evidence.totals if report.position in counted)

    def revoked_by(self, day: date) -> int:
        """How many approvals had surely been revoked by the end of a day, at least."""
        return max((days.surely_by(day) for days in self.evidence.revoked), default=0)

    def _made_of_order(self, counted: frozenset[int]) -> tuple[list[Constraint], list[Constraint]]:
        order = self.order
        if not counted >= self._all_batches:
            order = _order(self._placed.known(self.evidence.batches(counted)))
        of_batches = [
            constraint
            for placed, before in zip(order, _before_each(order), strict=True)
            for constraint in self._placed.constraints(placed, before)
        ]
        return list(self._of_unlisted(order, named=NAMED in counted)), of_batches

    def _of_total(self, report: TotalReport, count: Interval, *, revoked: bool) -> Iterator[Constraint]:
        because = frozenset({report.position})
        if report.as_of is not None:
            first, last = report.as_of.first, report.as_of.last
            yield Constraint(at(last), ORIGIN, count.low, because)
            if report.in_force:
                # The revoked were approved too, whatever day of the range it was.
                if revoked and (ended := self.revoked_by(first)):
                    yield Constraint(at(last), ORIGIN, count.low + ended, because | {REVOKED})
                if first == last:
                    yield Constraint(("in force", last), ORIGIN, count.low, because)
                    if count.high is not None:
                        yield Constraint(ORIGIN, ("in force", last), -count.high, because)
            elif count.high is not None:
                yield Constraint(ORIGIN, at(first), -count.high, because)
        elif report.since is not None and report.to is not None:
            yield Constraint(at(report.to.last), at(report.since.first - DAY), count.low, because)
            # Those of a period that are in force are not all that were granted in it.
            if count.high is not None and not report.in_force:
                yield Constraint(at(report.since.last - DAY), at(report.to.first), -count.high, because)

    def _of_unlisted(self, order: list[Placed], *, named: bool) -> Iterator[Constraint]:
        """Companies that announcements name, whose approvals nobody lists, stand beside those that are listed."""
        announced = {p.by for p in order if p.batch.on is not None}
        mentions = self._placed.mentions(order)
        for counted, granted in self.evidence.granted.items():
            granted_to = self.evidence.granted_to[counted] if named else Granted({})
            # Approvals of a month are listed from its last day on: on that day they stand beside those announced in it. So do
            # members of a batch that are listed after they were announced.
            late = {days.last for days in self.listed_in[counted].late}
            days = sorted(announced | {partial.last for partial, _ in granted.partial} | late)
            for day, unlisted, because in unlisted_by_each(mentions, granted_to, days):
                if unlisted:
                    listed = granted.surely_by(day) if named else 0
                    reasons = because | LISTED if listed else because
                    yield Constraint(at(day), ORIGIN, listed + unlisted, reasons)


class Timeline:
    """The constraints on some days, and on pairs of an earlier and a later one."""

    def __init__(self, premises: Premises, days: Sequence[date], pairs: Sequence[tuple[date, date]]) -> None:
        self._premises = premises
        self._days, self._pairs = days, pairs
        self._growing = [Constraint(at(b), at(a), 0) for a, b in pairs]

    def constraints(self, counted: frozenset[int]) -> list[Constraint]:
        """All that hold where only the events `counted` count, of whatever days.

        Of several ways to one bound the evidence is the one that is found first: what one report says comes before what it takes
        several to say, so that 2 by September do not rest on what was in force in November.
        """
        premises = self._premises
        return [
            *premises.totals(counted),
            *self._growing,
            *(self._granted if NAMED in counted else ()),
            *(self._partly_granted if NAMED in counted else ()),
            *premises.unlisted(counted),
            *(self._of_force(counted) if premises.speaks_of_force else ()),
            *premises.batches(counted),
        ]

    def of_days(self, counted: frozenset[int]) -> list[Constraint]:
        """Those that are of these days alone."""
        return [
            *self._growing,
            *(self._granted if NAMED in counted else ()),
            *(self._of_force(counted) if self._premises.speaks_of_force else ()),
        ]

    @cached_property
    def _granted(self) -> list[Constraint]:
        of_terms = self._premises.listed_in.values()
        return [constraint for of in of_terms for constraint in _of_granted(of, self._days, self._pairs)]

    @cached_property
    def _partly_granted(self) -> list[Constraint]:
        return [
            constraint for of in self._premises.listed_in.values() for constraint in _of_partly_granted(of)
        ]

    def _of_force(self, counted: frozenset[int]) -> Iterator[Constraint]:
        yield from self._in_force
        if REVOKED in counted:
            yield from self._revoked
        ended = self._premises.ended(counted)
        for day in self._days[bisect_left(self._days, ended.since) :]:
            for count, because in ended.by(day):
                yield Constraint(at(day), ("in force", day), count, because)

    @cached_property
    def _in_force(self) -> list[Constraint]:
        return [Constraint(at(day), ("in force", day), 0) for day in self._days]

    @cached_property
    def _revoked(self) -> list[Constraint]:
        counts = [(day, self._premises.revoked_by(day)) for day in self._days]
        because = frozenset({REVOKED})
        return [Constraint(at(day), ("in force", day), count, because) for day, count in counts if count]


def at(day: date) -> Node:
    """The total at the end of a day."""
    return ("total", day)


def _days(evidence: Evidence) -> set[date]:
    """The days that a constraint is about, whichever events count, beside those on which approvals are listed."""
    days: set[date] = set()
    for report in evidence.totals:
        if report.as_of is not None:
            days |= {report.as_of.first, report.as_of.last}
        if report.since is not None and report.to is not None:
            days |= {report.since.first - DAY, report.since.last - DAY, report.to.first, report.to.last}
    days |= {report.on.last for report in evidence.announced}
    # Where its announcements do not count, a batch is known by its members.
    days |= {batch.latest for batch in evidence.batches(frozenset({NAMED})) if batch.latest is not None}
    for revoked in evidence.revoked:
        days |= set(revoked.exact_days())
    for dated in (*evidence.granted.values(), *evidence.revoked):
        for partial, _ in dated.partial:
            days |= {partial.first - DAY, partial.last}
    return days


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


def _listed_in(terms: str, granted: Days, order: Iterable[Placed]) -> Listed:
    late = []
    for placed in order:
        since = min([placed.by, *(report.on.first for report in placed.batch.reports)])
        batch = placed.batch
        if batch.latest is None or (batch.latest <= since and not batch.moved):  # mostly
            continue
        late += [(since, of) for of in batch.listed if of.terms == terms and of.days.last > since]
    return Listed(granted, late)


def _of_granted(
    listed: Listed, days: Iterable[date], pairs: Iterable[tuple[date, date]]
) -> Iterator[Constraint]:
    for day in days:
        if count := listed.granted.surely_by(day):
            yield Constraint(at(day), ORIGIN, count, LISTED)
    for a, b in pairs:
        if count := listed.within(a, b):
            yield Constraint(at(b), at(a), count, LISTED)


def _of_partly_granted(listed: Listed) -> Iterator[Constraint]:
    """A month's or a year's approvals lie somewhere inside it: days without a year (2024), and months in it, nest. So do members
    of a batch that a list dates later than its announcement."""
    for days in [*(partial for partial, _ in listed.granted.partial), *sorted(listed.late, key=_around)]:
        before, last = _around(days)
        yield Constraint(at(last), at(before), listed.within(before, last), LISTED)


def _around(days: DateRange) -> tuple[date, date]:
    """The days at the end of which there was nothing yet, and all, of what was granted on some of these."""
    return days.first - DAY, days.last


class Before(NamedTuple):
    """The batches before one: the last, the last that was surely granted before it, and the last of a lower ordinal; and
    whether `all` that are sure were granted before it surely."""

    last: Batch | None
    surely: Batch | None
    numbered: Batch | None
    all: bool


def _before_each(order: list[Placed]) -> Iterator[Before]:
    numbered: Batch | None = None
    latest, latest_unnumbered = date.min, date.min  # by which those before that are sure were announced
    for index, placed in enumerate(order):
        batch = placed.batch
        others = latest_unnumbered if batch.ordinal is not None else latest
        yield Before(
            order[index - 1].batch if index else None,
            order[placed.surely_after - 1].batch if placed.surely_after else None,
            None if batch.ordinal is None else numbered,
            others == date.min or others < _days_of(batch).first,
        )
        if placed.sure:
            latest = max(latest, placed.announced_by)
            if batch.ordinal is None:
                latest_unnumbered = max(latest_unnumbered, placed.announced_by)
        if batch.ordinal is not None:
            numbered = batch


class _Placed:
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
            self._mentions[which] = made = (placed.batch, _mention(placed, self._marks))
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
    yield Constraint(with_missing, so_far, 0)
    yield Constraint(with_this, with_missing, 0)
    yield Constraint(after, before, 0)
    yield Constraint(before, _batches_until(others.surely), 0, dated)
    if others.surely is not None:
        yield Constraint(before, ("after", others.surely.key), 0, _ordered_by(others.surely, batch))
    if (earlier := others.numbered) is not None:
        yield Constraint(
            before, ("after", earlier.key), _between(earlier, batch), _ordered_by(earlier, batch)
        )
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
    return frozenset(numbering[:1]) if numbering else batch.membership | batch.linked


class Mention(NamedTuple):
    """What the announcements of a batch that was granted `by` a day name: how many approvals of each company, by the mark of
    those that ever may be one. It is `sure` that it is none of the others that are."""

    sure: bool
    by: date
    because: frozenset[int]
    companies: Mapping[str, int]


def _mention(placed: Placed, marks: Marks) -> Mention | None:
    batch = placed.batch
    if batch.on is None:
        return None
    naming = replace(batch, reports=tuple(r for r in batch.reports if r.named))
    if not naming.reports:
        return None
    because = placed.placed_by.union(*(naming.because(report) for report in naming.reports))
    whenever, companies = marks.may_be_one(), dict[str, int]()
    for mark, n in naming.mentioned(marks.may_be_one(batch.named_on)).items():
        companies[whenever[mark]] = companies.get(whenever[mark], 0) + n
    return Mention(placed.sure, placed.by, because, companies)


def unlisted_by_each(
    mentions: Iterable[Mention], granted_to: Granted, days: Iterable[date]
) -> Iterator[tuple[date, int, frozenset[int]]]:
    """For each of these days how many approvals, announced by then with a company's name, are beyond those granted to it; and who
    says so. The days are in their order, as the mentions are: each is counted once for all of them."""
    mentioned: dict[str, _Mentioned] = {}
    in_doubt = [mark for marks, _ in granted_to.either for mark in marks]
    unlisted, because = 0, set[int]()
    later = deque(mentions)
    for day in days:
        while later and later[0].by <= day:
            mention = later.popleft()
            for mark, n in mention.companies.items():
                before = mentioned.get(mark, _Mentioned(0, 0))
                after = mentioned[mark] = before.with_those_of(mention, n)
                unlisted += granted_to.beyond(mark, after.least) - granted_to.beyond(mark, before.least)
                # What adds to a sum is needed, whatever was more until then.
                if mention.sure or after.least > before.least:
                    because |= mention.because
        wanted = {mark: mentioned[mark].least for mark in in_doubt if mark in mentioned}
        yield day, unlisted - granted_to.of_either(wanted), frozenset(because)


class _Mentioned(NamedTuple):
    """How many approvals of a company the announcements name: those of batches that are surely different together, and the most of
    one that may be one of these."""

    different: int
    alone: int

    @property
    def least(self) -> int:
        return max(self)

    def with_those_of(self, mention: Mention, n: int) -> _Mentioned:
        if mention.sure:
            return _Mentioned(self.different + n, self.alone)
        return _Mentioned(self.different, max(self.alone, n))


def _order(batches: list[Batch]) -> list[Placed]:
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
    perhaps = sorted(_days_of(batch).first for batch in distinct if batch.ordinal is None)
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
        first, by = _days_of(batch).first, announced[batch.key]
        if batch.ordinal is None:
            yield bisect_left(latest, first)
            unnumbered.append((max(by, unnumbered[-1][0]) if unnumbered else by, place))
        else:
            later = bisect_left(unnumbered, (first, 0))
            yield unnumbered[later][1] if later < len(unnumbered) else place
        latest.append(max(by, latest[-1]) if latest else by)


def _days_of(batch: Batch) -> DateRange:
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
        days, what = _days_of(batch), _known_by_what(batch)
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
    what = _known_by_what(batch)
    if what != "on" or batch.on is None or batch.on.first == batch.on.last:
        return batch.key, 0, 0, "", ""
    (report,) = batch.reports
    return what, -_least(batch), -len(report.named), report.says, str(report.names)


def _known_by_what(batch: Batch) -> str:
    """Two ordinals are two batches, and so are two labels."""
    return batch.key.partition("\t")[0] if batch.ordinal is None else "ordinal"


class _ByDays:
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
