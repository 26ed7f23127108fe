"""Everything that bounds the totals of one class of equated terms: reports, batches, and approvals by name."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from hashlib import sha256
from operator import itemgetter
from typing import Any, NamedTuple

from events import DateRange, Interval, name_key

from . import batches, by_day, companies, terms
from .bounds import BY_DAY, NAMED
from .identities import Marks, joined
from .projection import Documents
from .redated import Moved, Redated
from .repeats import apart

Views = Mapping[str, Documents]
"""The documents of each projection that a question needs, by its name, all at one position."""


@dataclass(frozen=True, slots=True)
class TotalReport:
    """A reported figure: for everything up to `as_of`, or for the period from `since` to `to`. `count` is None if it bounds nothing."""

    position: int
    count: Interval | None
    as_of: DateRange | None
    since: DateRange | None
    to: DateRange | None
    in_force: bool
    source: dict[str, Any]
    says: str


@dataclass(frozen=True, slots=True)
class BatchReport:
    """An announcement of a batch. `named` has the items of each company (by the key of its name), none for a company named alone."""

    position: int
    terms: str
    ordinal: int | None
    label: str | None
    on: DateRange
    announced_on: str
    size: Interval | None
    named: dict[str, frozenset[str]]
    names: list[dict[str, str]]
    source: dict[str, Any]
    says: str


Numbers = Mapping[str, Mapping[str, Set[str]]]
"""By the name of a company, and by item (all as keys), those of its registry numbers that other items of the company have too."""

Holders = tuple[str, ...]
"""The names (as keys) to which reports give one registry number, beginning with the one that it counts under."""


@dataclass(frozen=True, slots=True)
class Granted:
    """How many approvals companies (by their marks) have: `own` those that are certainly theirs, and `either`, by set of companies, how
    many belong to one or another of these."""

    own: Mapping[str, int]
    either: Sequence[tuple[Set[str], int]] = ()

    @classmethod
    def among(cls, marks: Mapping[str, str], counts: Mapping[str, int], shared: Iterable[Holders]) -> Granted:
        """The approvals in `counts` (by mark), where those with `shared` registry numbers may belong to another company than the one that
        they count under."""
        own, pairs, in_doubt = dict(counts), list[tuple[str, str]](), list[str]()
        for holders in shared:
            first, *others = (marks.get(name, name) for name in holders)
            if any(other != first for other in others):
                own[first] = own.get(first, 0) - 1
                in_doubt.append(first)
                pairs += [(first, other) for other in others]
        # No two sets have a company in common, so what one company lacks is taken from only one of them.
        set_of = joined({mark: mark for pair in pairs for mark in pair}, pairs)
        sets: dict[str, set[str]] = {}
        for mark, of in set_of.items():
            sets.setdefault(of, set()).add(mark)
        counted = Counter(set_of[first] for first in in_doubt)
        return cls({m: n for m, n in own.items() if n > 0}, [(sets[of], n) for of, n in counted.items()])

    def beyond(self, mark: str, wanted: int) -> int:
        """How many more than its own a company must have if it has as many as are `wanted`."""
        return max(0, wanted - self.own.get(mark, 0))

    def of_either(self, wanted: Mapping[str, int]) -> int:
        """How many of the approvals in `either` may, at most, be among those that are `wanted` for each company."""
        return sum(
            min(n, sum(self.beyond(mark, wanted[mark]) for mark in marks if mark in wanted))
            for marks, n in self.either
        )


class Dated(NamedTuple):
    """A number of `members` of a batch that may be from any of some `days`; they count as granted from `named_from` on at the latest."""

    terms: str
    days: DateRange
    named_from: date
    members: int


@dataclass(frozen=True)  # without slots, so that its properties can be cached
class Batch:
    """One batch: every announcement of it, and its members, that is, the approvals that say that they belong to it.

    `members` is how many there are at least, `members_of` how many each company has (by the key of its name), `members_at_most`
    how many are counted, and `members_beside` how many more there may be; they are `known_under` some keys of batches. `shared`
    has the holders of the registry numbers that reports give to several companies. `sample` has the positions of some members.
    `days` says, for each of its terms, how many members are from which days, going by the reports that name the batch, and how many
    of these may be counted twice; `moved` has those to which other reports give other days. If other reports say which batch a label
    means, `links` has their positions, by the position of the announcement with the label, and `linked` has them for the members.
    `numbers` has the registry numbers that reports give to several items of one company that the batch names.
    """

    key: str
    terms: frozenset[str]
    ordinal: int | None
    label: str | None
    reports: tuple[BatchReport, ...]
    links: dict[int, frozenset[int]]
    linked: frozenset[int]
    known_under: frozenset[str]
    members: int
    members_at_most: int
    members_beside: int
    members_of: dict[str, int]
    shared: tuple[Holders, ...]
    sample: list[int]
    days: tuple[tuple[str, list[dict[str, Any]], int], ...]
    moved: tuple[Moved, ...]
    numbers: Numbers

    @cached_property
    def on(self) -> DateRange | None:
        """The days on which it may have been announced: those that all announcements allow, or else those of the earliest; None if only
        its members are known."""
        if not self.reports:
            return None
        first, last = max(r.on.first for r in self.reports), min(r.on.last for r in self.reports)
        return DateRange(first if first <= last else min(r.on.first for r in self.reports), last)

    @cached_property
    def named_on(self) -> DateRange | None:
        """The days on which companies had the names that announcements give them. If the announcements disagree, these are all days from
        the earliest to the latest: that another report is earlier does not change when a report used a name."""
        if not self.reports or self.on is None or all(r.on.first <= self.on.last for r in self.reports):
            return self.on
        return DateRange(self.on.first, max(r.on.last for r in self.reports))

    def named_by(self, report: BatchReport) -> DateRange:
        """The days on which companies had the names that one of its reports gives them: those of the report that agree with `on`, or if
        none do, all those of the report."""
        assert self.on is not None
        first, last = max(self.on.first, report.on.first), min(self.on.last, report.on.last)
        return DateRange(first, last) if first <= last else report.on

    @cached_property
    def dated_by(self) -> frozenset[int]:
        """The positions of the reports that `on` rests on; or what stands for its members, if only these are known."""
        on = self.on
        if on is None:
            return self.membership
        sides = (
            [r for r in self.reports if r.on.last == on.last],
            [r for r in self.reports if r.on.first == on.first],
        )
        return frozenset(side[0].position for side in sides)

    @cached_property
    def granted_by(self) -> date | None:
        """The day by which it was certainly granted: the last on which it may have been announced, or if nobody announced it, the last
        from which one of its members may be."""
        return self.on.last if self.on is not None else self.latest

    @cached_property
    def latest(self) -> date | None:
        """The last day from which one of its members may be; None if it has no members."""
        return max(self._lasts, default=None)

    @cached_property
    def begun_by(self) -> date | None:
        """The day by which the first of its members was certainly granted; None if it has no members."""
        return min(self._lasts, default=None)

    @cached_property
    def _lasts(self) -> set[date]:
        """The last of the days from which each of its members may be."""
        if self.moved:
            left: Counter[tuple[str, DateRange]] = Counter()
            for terms, days, _, n in self.dated:
                left[terms, days] += n
            return {days.last for (_, days), n in left.items() if n > 0}
        return {*map(by_day.last_day, {on for _, months, _ in self.days for held in months for on in held})}

    @cached_property
    def first_members(self) -> int:
        """How many members were certainly granted by the day by which the first was, at least: that one alone, if other reports give
        other days to some."""
        if self.moved or self.begun_by is None:
            return min(self.members, 1)
        first: Iterable[int] = (
            sum(n for held in months for on, (n, _) in held.items() if by_day.last_day(on) == self.begun_by)
            - twice
            for _, months, twice in self.days
        )
        return max(1, *first)

    @cached_property
    def sample_of_first(self) -> list[int]:
        """The positions of some of the `first_members`."""
        on_first = (
            positions
            for _, months, _ in self.days
            for held in months
            for on, (_, positions) in held.items()
            if by_day.last_day(on) == self.begun_by
        )
        return sorted({position for positions in on_first for position in positions})

    @cached_property
    def dated(self) -> list[Dated]:
        """How many members may be from which days, for each of its terms."""
        told = [
            (terms, by_day.day_range(on), n)
            for terms, months, _ in self.days
            for held in months
            for on, (n, _) in held.items()
        ]
        told += [(of.terms, of.told, -1) for of in self.moved if of.told is not None]
        return [
            *(Dated(terms, days, days.first, n) for terms, days, n in told),
            *(Dated(of.terms, of.days, of.named_from, 1) for of in self.moved if of.told is not None),
        ]

    @cached_property
    def listed(self) -> list[Dated]:
        """The same for all listed approvals that may be its members, whether they are counted as such or not."""
        return [
            *self.dated,
            *(Dated(of.terms, of.days, of.named_from, 1) for of in self.moved if of.told is None),
        ]

    @cached_property
    def membership(self) -> frozenset[int]:
        """The pseudo-positions that stand for its members among the events that force a bound."""
        return frozenset({NAMED, _standing_for(self.key)})

    @cached_property
    def first_membership(self) -> frozenset[int]:
        """The same for its first members; or for all of them, if all are of one day, or other reports give other days to some."""
        if self.moved or self.begun_by == self.latest:
            return self.membership
        return frozenset({NAMED, _standing_for(f"{self.key}\tfirst")})

    def because(self, report: BatchReport) -> frozenset[int]:
        """The report, together with whatever else says that it is about this batch."""
        return frozenset({report.position}) | self.links.get(report.position, frozenset())

    def mentioned(self, marks: Mapping[str, str]) -> dict[str, int]:
        """How many approvals each company (by its mark) has in it, at least, according to the announcements."""
        names_of: dict[str, list[str]] = {}
        for name in self.numbers:
            if name in marks:
                names_of.setdefault(marks[name], []).append(name)
        return {
            mark: max(1, self.different(items, names_of.get(mark, ())))
            for mark, items in self._items(marks).items()
        }

    def different(self, items: Set[str], names: Iterable[str]) -> int:
        """How many approvals these items are, at least, for a company with these names: two items with the same registry number may be
        one."""
        numbers: dict[str, set[str]] = {}
        for name in names:
            for item, of in self.numbers.get(name, {}).items():
                if item in items:
                    numbers.setdefault(item, set()).update(of)
        return len(items) - len(numbers) + apart(numbers.values())

    def named(self, marks: Mapping[str, str]) -> int:
        """How many of its approvals are known by name, at least: its members, and those that the announcements name in addition."""
        of, mentioned = self._members_of(marks), self.mentioned(marks)
        beside = sum(of.beyond(mark, n) for mark, n in mentioned.items())
        return self.members + beside - of.of_either(mentioned)

    def perhaps_beside(self, companies: Mapping[str, str], claimants: Mapping[str, int]) -> int:
        """How many of its approvals the announcements name in addition to its members, at most: an item may differ from all of theirs,
        while a company named alone stands for those of its approvals that are known. A name that several companies claim may mean
        each of them."""
        of, most = self._members_of(companies).own, 0
        disputed = {companies[name]: count for name, count in claimants.items() if name in companies}
        for mark, items in self._items(companies).items():
            if mark in disputed:
                most += disputed[mark] * (len(items) + 1)
            else:
                most += len(items) or (mark not in of)
        return most

    def _items(self, marks: Mapping[str, str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for report in self.reports:
            for name, items in report.named.items():
                if name in marks:
                    found.setdefault(marks[name], set()).update(items)
        return found

    def _members_of(self, marks: Mapping[str, str]) -> Granted:
        of: dict[str, int] = {}
        for name, n in self.members_of.items():
            if name in marks:
                of[marks[name]] = of.get(marks[name], 0) + n
        return Granted.among(marks, of, self.shared)


def _standing_for(members: str) -> int:
    """The pseudo-position of some members of a batch."""
    return BY_DAY - 1 - int.from_bytes(sha256(members.encode()).digest()[:6])


class Days:
    """Distinct approvals (or revocations) by the days from which they may be."""

    def __init__(self, days: Iterable[tuple[DateRange, int, list[int]]]) -> None:
        self._all = sorted(days, key=lambda entry: (entry[0].last, entry[0].first))
        exact = [(r.last, n) for r, n, _ in self._all if r.first == r.last]
        self._exact_days = [day for day, _ in exact]
        self._exact_sums = [0]
        for _, n in exact:
            self._exact_sums.append(self._exact_sums[-1] + n)
        self.partial = [(r, n) for r, n, _ in self._all if r.first != r.last]

    def any(self) -> bool:
        """Whether there are any at all."""
        return bool(self._all)

    def surely_by(self, day: date) -> int:
        """How many are from that day or earlier, whatever the partial dates mean."""
        return self._exact_upto(day) + sum(n for r, n in self.partial if r.last <= day)

    def perhaps_by(self, day: date) -> int:
        """How many may be from that day or earlier."""
        return self._exact_upto(day) + sum(n for r, n in self.partial if r.first <= day)

    def within(self, after: date, upto: date) -> int:
        """How many are certainly later than `after` and not later than `upto`."""
        inside = sum(n for r, n in self.partial if r.first > after and r.last <= upto)
        return self._exact_upto(upto) - self._exact_upto(after) + inside

    def sample(self, after: date, upto: date, most: int) -> list[int]:
        """Positions, at most `most`, of those that are certainly later than `after` and not later than `upto`."""
        found: list[int] = []
        for days, _, positions in self._all:
            if len(found) >= most or days.last > upto:
                break
            if days.first > after:
                found += positions
        return sorted(found)[:most]

    def exact_days(self) -> list[date]:
        """Every day from which some certainly are."""
        return self._exact_days

    def _exact_upto(self, day: date) -> int:
        return self._exact_sums[bisect_right(self._exact_days, day)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What bounds the totals of one class of equated terms. `terms` maps each of them to the events that equate it with the first.

    `granted` counts, by terms, the approvals that are certainly distinct, by the days from which they may be; `perhaps` counts all
    that there may be. `redated` has the days of approvals about which reports disagree. Approvals without a registry number under
    several names of one company may be one: `repeated` has, by terms, the names under which some may be counted too often.

    `numbers` has, by the mark of a group of names, the registry numbers that reports give to several items of a company that is
    announced with several. `marks` says which names are one company, `claimants` how many companies claim a name, if there are
    several. `shared` has each registry number (as a key) that reports give to several companies, with those reports; `granted_to`,
    by terms, how many approvals each company may have. Each of `revoked` counts some ended approvals; two of them may count the
    same ones. `unplaced` is, by terms, how many listed approvals no report puts in a batch, at most. By position, `origins` has
    the independent origin of a report, `says` its words, and `terms_of` its terms.
    """

    terms: Mapping[str, frozenset[int]]
    totals: tuple[TotalReport, ...]
    announced: tuple[BatchReport, ...]
    members: dict[str, dict[str, dict[str, Any]]]
    marks: Marks
    numbers: Mapping[str, Numbers]
    claimants: dict[str, int]
    granted: dict[str, Days]
    perhaps: dict[str, Days]
    redated: Redated
    repeated: dict[str, Set[str]]
    shared: Mapping[str, companies.ByTerms]
    granted_to: dict[str, Granted]
    revoked: tuple[Days, ...]
    unplaced: dict[str, int]
    origins: dict[int, str]
    says: dict[int, str]
    terms_of: dict[int, str]

    def batches(self, counted: frozenset[int] | None = None) -> list[Batch]:
        """The batches as they are if only the events `counted` count; without it, all events."""
        if counted is None:
            return self._batches(self.announced, self.members)
        reports = [report for report in self.announced if report.position in counted]
        return self._batches(reports, self.members if NAMED in counted else {})

    def _batches(
        self, reports: Iterable[BatchReport], members: Mapping[str, Mapping[str, dict[str, Any]]]
    ) -> list[Batch]:
        found = _batches(reports, members)
        return [self._with_numbers(batch) for batch in found] if self.numbers else found

    def _with_numbers(self, batch: Batch) -> Batch:
        groups = {self.marks.groups[name].mark for report in batch.reports for name in report.named}
        numbers = {name: of for mark in groups for name, of in self.numbers.get(mark, {}).items()}
        return replace(batch, numbers=numbers) if numbers else batch


def _batches(
    reports: Iterable[BatchReport], members: Mapping[str, Mapping[str, dict[str, Any]]]
) -> list[Batch]:
    """The batches: announcements with the same ordinal are of one batch, or with the same label, or else on the same day."""
    given: dict[str, dict[int, int]] = {}
    for report in reports:
        if report.label and report.ordinal is not None:
            given.setdefault(name_key(report.label), {}).setdefault(report.ordinal, report.position)
    labels = {label: _Label(tuple(of), frozenset([*of.values()][:2])) for label, of in given.items()}
    by_key: dict[str, list[BatchReport]] = {}
    for report in reports:
        by_key.setdefault(_key(report, labels), []).append(report)
    of_batch: dict[str, list[_Members]] = {}
    for counted, by_batch in members.items():
        for key, held in by_batch.items():
            label = labels.get(_label(key), _Label())
            of = batches.batch_key(label.ordinals[0]) if len(label.ordinals) == 1 else key
            of_batch.setdefault(of, []).append(_Members(counted, key, held, label.because))
    return [
        _batch(key, tuple(by_key.get(key, [])), of_batch.get(key, []), labels)
        for key in dict.fromkeys([*by_key, *of_batch])
    ]


class _Label(NamedTuple):
    """The ordinals that reports give to a label, and the positions of one report that does, or of two that give different ordinals. A
    label with several ordinals is ignored."""

    ordinals: tuple[int, ...] = ()
    because: frozenset[int] = frozenset()


class _Members(NamedTuple):
    """What is counted in some terms of the members of a batch, the key that they are counted under, and the reports that say that this
    key means the batch."""

    terms: str
    key: str
    held: dict[str, Any]
    linked: frozenset[int]


def _key(report: BatchReport, labels: Mapping[str, _Label]) -> str:
    if report.ordinal is not None:
        return batches.batch_key(report.ordinal)
    if report.label is not None:
        ordinals = labels.get(name_key(report.label), _Label()).ordinals
        if len(ordinals) < 2:
            return batches.batch_key(ordinals[0] if ordinals else report.label)
    # Two announcements dated only by month may be of two batches.
    which = report.announced_on if report.on.first == report.on.last else str(report.position)
    return f"on\t{which}"


def _label(key: str) -> str:
    return key.partition("label\t")[2]


def _label_listed(key: str, members: Iterable[_Members]) -> str | None:
    """The label of a batch in the spelling that lists use most often, if the batch is known by its label."""
    if not _label(key):
        return None
    spelled: Counter[str] = Counter()
    for of in members:
        spelled.update(of.held["spelled"])
    return terms.usual_spelling(spelled) if spelled else _label(key)


def _batch(
    key: str,
    reports: tuple[BatchReport, ...],
    members: list[_Members],
    labels: Mapping[str, _Label],
) -> Batch:
    # Equated terms may both report an approval, so the largest count of members is certain, but their sum is not.
    none: dict[str, Any] = {"count": 0, "companies": {}, "shared": []}
    # Of equal counts the one whose terms come first by name, so that a batch is the same whichever of the terms is asked about.
    _, _, most, _ = max(
        sorted(members, key=itemgetter(0)),
        key=lambda of: int(of.held["count"]),
        default=_Members("", "", none, frozenset()),
    )
    links = {
        report.position: labels[name_key(report.label)].because
        for report in reports
        if report.ordinal is None and report.label and name_key(report.label) in labels
    }
    return Batch(
        key,
        frozenset([*(r.terms for r in reports), *(of.terms for of in members)]),
        int(key[1:]) if key.startswith("#") else None,
        next((r.label for r in reports if r.label is not None), _label_listed(key, members)),
        reports,
        links,
        frozenset[int]().union(*(of.linked for of in members)),
        frozenset(of.key for of in members),
        most["count"],
        sum(of.held["at_most"] for of in members),
        sum(of.held["beside"] for of in members),
        most["companies"],
        tuple(most["shared"]),
        sorted({position for of in members for position in of.held["sample"]}),
        tuple((of.terms, of.held["days"], of.held["at_most"] - of.held["count"]) for of in members),
        tuple(moved for of in members for moved in of.held["moved"]),
        {},
    )
