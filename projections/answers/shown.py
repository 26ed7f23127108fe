"""What answers have in common: evidence as a limited number of positions, and contradictions in words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from events import DateRange, date_range, name_key

from .. import approvals, batches, by_day, companies, terms, totals
from ..bounds import BY_DAY, NAMED, REVOKED, Bound, Conflict, Node, around
from ..evidence import Batch, Days, Evidence, Views
from ..figures import Figures
from ..premises import Timeline
from ..ranges import DAY
from ..redated import Redated

SHOWN = 12  # positions of evidence that an answer lists; the rest is a count

TOGETHER = {NAMED: "the approvals known by name", REVOKED: "the revocations"}


class Shown:
    """How the evidence for figures is listed: SHOWN positions on each side and a count of the rest, or if `views` are given, all of
    it."""

    def __init__(self, figures: Figures, views: Views | None = None) -> None:
        self._figures = figures
        self._views = views
        self._days = dict(_days_of_reports(figures.evidence))
        self._members: dict[str, Days] = {}
        self._forcing: dict[Conflict, list[int]] = {}  # asked for again by each batch in a conflict

    def evidence(self, bound: Bound, days: DateRange | None) -> dict[str, Any]:
        """The positions on each side of the bound of a figure at one of `days`; `more` counts the others, on both sides
        together."""
        if days is None:
            low, high = self.positions(bound.low), self.positions(bound.high)
        else:
            low, high = self.low(bound, days), self.high(bound, days)
        return {"low": low[0], "high": high[0], "more": low[1] + high[1]}

    def low(self, bound: Bound, days: DateRange) -> tuple[list[int], int]:
        """The positions that force the lowest value of a figure at one of `days`, and how many others there are: the reports, and what
        happened by the first of these days, or by a later day whose total one of the reports bounds."""
        last = max([days.first, *self._ends(bound.low)])
        return self.positions(bound.low, upto=last, revoked_upto=last)

    def high(self, bound: Bound, days: DateRange) -> tuple[list[int], int]:
        """The same for the highest value: the reports, what happened between the last of these days and the day of a report, and what
        was revoked by the first of them."""
        ends = [days.last, *self._ends(bound.high)]
        return self.positions(bound.high, after=min(ends), upto=max(ends), revoked_upto=days.first)

    def _ends(self, because: frozenset[int]) -> list[date]:
        return [day for event in because for day in self._days.get(event, ())]

    def contradiction(self, conflict: Conflict, name: str, first: Node, last: Node) -> dict[str, Any]:
        """The events in conflict, the same in words, and what a figure (called `name` in the answer) would be on each origin's word
        alone: from the lowest value of its `first` node, for the first day, to the highest of its `last`. Every report is listed,
        because without any one of them there is no contradiction; of what counts together, SHOWN of those that force it."""
        known = self._figures.evidence
        together = conflict.events & set(TOGETHER)
        reports = sorted(conflict.events - together)
        says = [known.says[event] for event in reports]
        says += [words for event, words in TOGETHER.items() if event in together]
        return {
            "events": sorted({*reports, *self._forced_by(conflict)}),
            "says": f"these cannot all be true: {'; '.join(says)}",
            "alone": [
                {
                    "origin": alone.origin,
                    name: {
                        "low": alone.solution.bound(first).interval.low,
                        "high": alone.solution.bound(last).interval.high,
                    },
                }
                for alone in sorted(
                    self._figures.resolution.alone, key=lambda alone: min(alone.events, default=0)
                )
                if alone.events & conflict.events
            ],
        }

    def _forced_by(self, conflict: Conflict) -> list[int]:
        """The positions among what counts together that force a contradiction."""
        if conflict not in self._forcing:
            self._forcing[conflict] = self._found_forcing(conflict)
        return self._forcing[conflict]

    def _found_forcing(self, conflict: Conflict) -> list[int]:
        if conflict.events.isdisjoint(TOGETHER):
            return []
        positions = set[int]()
        for step in around(self._timeline.constraints(conflict.events)):
            together = frozenset(event for event in step.because if event <= NAMED)
            after, upto = _day_of(step.lower, date.min), _day_of(step.upper, date.max)
            positions.update(self.positions(together, after=after, upto=upto, revoked_upto=upto)[0])
        return sorted(positions)[: SHOWN if self._views is None else None]

    @cached_property
    def _timeline(self) -> Timeline:
        return self._figures.premises.on(self._figures.premises.days)

    def with_equations(
        self, told: dict[str, Any], conflict: Conflict, one: Mapping[str, frozenset[int]]
    ) -> dict[str, Any]:
        """A contradiction as it is `told`, with the equations added that make the terms of its reports `one`. If several equations lead
        from one of these terms to another, it depends on the terms that are asked about which ones are added."""
        terms_of = self._figures.evidence.terms_of
        counted = [terms_of[event] for event in sorted(conflict.events) if event in terms_of]
        return told | {"events": sorted({*told["events"], *terms.equating(one, counted)})}

    def positions(
        self,
        because: frozenset[int],
        *,
        after: date = date.min,
        upto: date = date.max,
        revoked_upto: date = date.max,
    ) -> tuple[list[int], int]:
        """The positions of these events, and how many others there are. Of the approvals that count together only those `after` a day
        and up to another are listed, of the revocations those up to a day."""
        found = frozenset(event for event in because if event > NAMED)
        members = frozenset(event for event in because if event < BY_DAY)
        known = [self._by_membership[event] for event in members if event in self._by_membership]
        # The first members of a batch are among all of them.
        of_batches = {of.batch.key: of for of in sorted(known, key=lambda of: of.upto)}.values()
        by_day = BY_DAY in because or (NAMED in because and not of_batches)
        if self._views is not None:
            listed = set(found)
            if by_day:
                listed.update(self._every_grant.between(after, upto))
            listed.update(position for of in of_batches for position in self._every_grant.of(*of))
            if REVOKED in because:
                days, positions = self._every_revocation
                listed.update(positions[: bisect_right(days, revoked_upto)])
            return sorted(listed), 0
        # Reports come first: thousands of approvals may count together, and it matters little which of them are listed.
        granted = self._granted if by_day else ()
        sample = {position for days in granted for position in days.sample(after, upto, SHOWN)}
        sample = sample.union(*(of.sample for of in of_batches))
        together = sum(days.within(after, upto) for days in granted)
        for batch, last in of_batches:
            # Members that are of these days are counted already; documents say which days members are of.
            counted = self._members_of(batch).within(after, min(upto, last)) if by_day else 0
            every = batch.members_at_most if last == date.max else self._members_of(batch).surely_by(last)
            together += every - counted
        # An approval may be reported under several names of one company and be counted for each, so reports may outnumber approvals.
        together = max(together, len(sample))
        if REVOKED in because:
            revoked = self._most_revoked(revoked_upto)
            sample = sample.union(revoked.sample(date.min, revoked_upto, SHOWN))
            together += revoked.within(date.min, revoked_upto)
        shown = [*sorted(found), *sorted(sample - found)][:SHOWN]
        return sorted(shown), len(found) + together - len(shown)

    @property
    def _granted(self) -> Collection[Days]:
        return self._figures.evidence.granted.values()

    def _most_revoked(self, upto: date) -> Days:
        """The larger group of revocations, as the same ones may be reported by number and by item."""
        return max(self._figures.evidence.revoked, key=lambda days: days.surely_by(upto))

    @cached_property
    def _by_membership(self) -> dict[int, _Members]:
        found: dict[int, _Members] = {}
        for batch in (placed.batch for placed in self._figures.order):
            for membership, last in (
                (batch.first_membership, batch.begun_by or date.max),
                (batch.membership, date.max),
            ):
                found.update({event: _Members(batch, last) for event in membership if event < BY_DAY})
        return found

    def _members_of(self, batch: Batch) -> Days:
        """The members of a batch, by the days that they may be of."""
        if batch.key not in self._members:
            self._members[batch.key] = Days((of.days, of.members, []) for of in batch.dated)
        return self._members[batch.key]

    @cached_property
    def _every_grant(self) -> _Grants:
        # Made only once: otherwise each of the 80 lists for 40 batches goes through 30,000 approvals again.
        assert self._views is not None
        evidence = self._figures.evidence
        return _Grants(self._views, evidence.granted, evidence.redated)

    @cached_property
    def _every_revocation(self) -> tuple[list[date], list[int]]:
        """The first days that all revocations may be of, in order, and their positions. If several reports date a revocation, the fold
        takes the days that all of them allow."""
        assert self._views is not None
        found = sorted(
            (date_range(on).first, position)
            for counted in self._figures.evidence.granted
            for position, on in totals.revocations(self._views["totals"], counted)
        )
        return [day for day, _ in found], [position for _, position in found]


class _Members(NamedTuple):
    """The members of a batch that were certainly granted by a day."""

    batch: Batch
    upto: date

    @property
    def sample(self) -> list[int]:
        """The positions of some of them."""
        return self.batch.sample if self.upto == date.max else self.batch.sample_of_first


def _day_of(node: Node, other: date) -> date:
    """The day of a total, or of what was in force; `other` for any other node."""
    match node:
        case (str(), date() as day):
            return day
        case _:
            return other


class _Grants:
    """The positions of every report of an approval in some terms: by the days that the approval may be of, and by the batch in which
    a report puts it."""

    def __init__(self, views: Views, counted: Iterable[str], other_days: Redated) -> None:
        self._dated: list[tuple[DateRange, list[int]]] = []
        self._by_batch: dict[str, list[tuple[date, set[int]]]] = {}
        told = {one: [*_reports_of_grants(views, one)] for one in counted}
        # Of equated terms, either may date an approval.
        every: dict[tuple[str, ...], list[tuple[DateRange, list[int]]]] = {}
        for one, reports in told.items():
            for approval, of in _by_approval(reports).items():
                dated = [*_days_and_positions(one, approval, of, other_days)]
                self._dated += dated
                every.setdefault(approval, []).extend(dated)
        for reports in told.values():
            for batch, of_batch in _by_batch(reports).items():
                for approval, of in _by_approval(of_batch).items():
                    # Those that name no batch, or another one, may say of which days it is.
                    known = every.get(approval, [])
                    positions = {at for _, dated in known for at in dated}
                    positions.update(report.position for report in of)
                    first = min((days.last for days, _ in known), default=date.min)
                    self._by_batch.setdefault(batch, []).append((first, positions))
        self._dated.sort(key=lambda each: each[0].last)
        self._lasts = [days.last for days, _ in self._dated]

    def between(self, after: date, upto: date) -> Iterator[int]:
        """The positions for approvals that are certainly `after` one day and not after another."""
        inside = self._dated[bisect_right(self._lasts, after) : bisect_right(self._lasts, upto)]
        return (position for days, positions in inside if after < days.first for position in positions)

    def of(self, batch: Batch, upto: date) -> Iterator[int]:
        """The positions of every report of the approvals that any report puts in a batch, by its ordinal or by one of its labels,
        without those that are certainly of a day later than `upto`."""
        of_batch = (each for key in batch.known_under for each in self._by_batch.get(key, ()))
        return (position for first, positions in of_batch if first <= upto for position in positions)


def _days_of_reports(evidence: Evidence) -> Iterator[tuple[int, tuple[date, ...]]]:
    """The days whose totals each report bounds: a bound on another day rests on what happened between that day and these. A figure
    for a period bounds the total before it by the one at its end, and the other way round."""
    for batch in evidence.announced:
        yield batch.position, (batch.on.last,)
    for report in evidence.totals:
        if report.as_of is not None:
            yield report.position, (report.as_of.first,)
        elif report.since is not None and report.to is not None:
            yield report.position, (report.since.last - DAY, report.to.first)


class _Report(NamedTuple):
    """What is said about an approval, and under which name of its company (as a key)."""

    name: str
    position: int
    entry: dict[str, Any]


def _reports_of_grants(views: Views, counted: str) -> Iterator[_Report]:
    """Every report of an approval in these terms."""
    names = companies.all_names(views["companies"])
    companies.fetch_granted(views["companies"], names)
    for name in names:
        for position, entry in companies.granted_at(views["companies"], name, counted):
            yield _Report(name, position, entry)


def _by_approval(reports: Iterable[_Report]) -> dict[tuple[str, ...], list[_Report]]:
    """The reports by approval: by its number, or without one by its item and the name of its company. If any reports of an item and
    company have a number, those without one are about no other approval, and are left out (see `approvals.record`)."""
    found: dict[tuple[str, ...], list[_Report]] = {}
    numbered = set[tuple[str, ...]]()
    for report in reports:
        item = (name_key(report.entry["item"]["name"]), report.name)
        number = report.entry["item"].get("registry_number")
        if number:
            numbered.add(item)
        found.setdefault((name_key(number),) if number else item, []).append(report)
    return {approval: of for approval, of in found.items() if approval not in numbered}


def _by_batch(reports: Iterable[_Report]) -> dict[str, list[_Report]]:
    """The reports that name a batch, by its key. Whether a report that names the batch gives a number is a different question from
    whether any report does: see `approvals.record_of`."""
    found: dict[str, list[_Report]] = {}
    for report in reports:
        if "batch" in report.entry:
            found.setdefault(batches.batch_key(report.entry["batch"]), []).append(report)
    return found


def _days_and_positions(
    counted: str, approval: tuple[str, ...], reports: list[_Report], other_days: Redated
) -> Iterator[tuple[DateRange, list[int]]]:
    """The days that the reports of an approval give, and if others date it differently, the days on which it counts: each with the
    positions of its reports, and the latter also with those of reports without its number that date it. (Some evidence rests on the
    former days.)"""
    positions = [report.position for report in reports]
    yield by_day.day_range(approvals.span([report.entry["approved_on"] for report in reports])), positions
    without: list[int] = []
    match approval:
        case (number,):
            days = other_days.numbered.get((counted, number))
            without = other_days.without.get((counted, number), [])
        case (item, name):
            days = other_days.bare.get((counted, item, name))
    if days is not None:
        yield days, [*positions, *without]
