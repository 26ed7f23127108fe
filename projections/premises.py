"""What evidence says as constraints: those that a reported figure, a batch, and the approvals by name put on each other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from typing import Any

from events import Interval

from . import terms, totals
from .bounds import LISTED, NAMED, ORIGIN, REVOKED, Constraint, Resolution, at, resolve
from .derived import derivable
from .ended import Ended
from .evidence import Batch, Evidence, Granted, TotalReport, Views
from .gathering import fetch, gather
from .listed import around, listed_in, of_granted, of_partly_granted
from .mentions import Mention, unlisted_by_each
from .of_batches import OfBatches, before_each
from .placing import ByDays, Placed, in_order_granted, known_by_what, perhaps_announced
from .ranges import DAY

MOST = 128  # sets of events of which is remembered what holds where they count alone, at most
BATCHES = 6_000  # in all of these sets together: what is remembered of one of 1,000 takes 20 MB
QUESTIONS = 8  # of which is remembered what was made for them


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
        self._placed: OfBatches = last._placed if last is not None and same else OfBatches(evidence.marks)
        self.order = in_order_granted(self._placed.known(evidence.batches()))
        # Those that decide what the constraints allow of all others, and those of which approvals are listed.
        listed = {day for of in evidence.granted.values() for day in of.exact_days()}
        # Approvals that are listed in one of several terms add up to no more on further days. But what is listed in one on one
        # day, and in another on the next, are different approvals: only with these days do they stand one after the other.
        self.listed_in = {of: listed_in(of, days, self.order) for of, days in evidence.granted.items()}
        late = {day for of in self.listed_in.values() for days in of.late for day in around(days)}
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
        days, kind = perhaps_announced(batch), known_by_what(batch)
        return [
            other
            for other_kind, others in self._by_what_is_known.items()
            if other_kind != kind or kind == "on"
            for other in others.of(days)
            if other is not batch
        ]

    @cached_property
    def _by_what_is_known(self) -> dict[str, ByDays]:
        found: dict[str, list[Batch]] = {}
        for placed in self.order:
            found.setdefault(known_by_what(placed.batch), []).append(placed.batch)
        return {kind: ByDays(batches) for kind, batches in found.items()}

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
            order = in_order_granted(self._placed.known(self.evidence.batches(counted)))
        of_batches = [
            constraint
            for placed, before in zip(order, before_each(order), strict=True)
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
            if count.low:  # that a total never falls is no news
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
        return [constraint for of in of_terms for constraint in of_granted(of, self._days, self._pairs)]

    @cached_property
    def _partly_granted(self) -> list[Constraint]:
        return [
            constraint for of in self._premises.listed_in.values() for constraint in of_partly_granted(of)
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


def _days(evidence: Evidence) -> set[date]:
    """The days that a constraint is about, whichever events count, beside those on which approvals are listed."""
    days: set[date] = set()
    for report in evidence.totals:
        if report.as_of is not None:
            days |= {report.as_of.first, report.as_of.last}
        if report.since is not None and report.to is not None:
            days |= {report.since.first - DAY, report.since.last - DAY, report.to.first, report.to.last}
    days |= {report.on.last for report in evidence.announced}
    for batch in evidence.batches(frozenset({NAMED})):
        # Where its announcements do not count, a batch is known by its members.
        days |= {day for day in (batch.begun_by, batch.latest) if day is not None}
    for revoked in evidence.revoked:
        days |= set(revoked.exact_days())
    for dated in (*evidence.granted.values(), *evidence.revoked):
        for partial, _ in dated.partial:
            days |= {partial.first - DAY, partial.last}
    return days
