"""All that bounds the totals of one class of terms, gathered from the documents of several projections."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from events import Count, DateRange, Interval, date_range, name_key

from . import batches, companies, identities, sources, terms, totals
from .projection import Documents

Views = Mapping[str, Documents]
"""The documents of each projection that a question needs, by its name, all at one position."""


NAMED_IN_WORDS = 12  # companies that the words for an announcement name


@dataclass(frozen=True, slots=True)
class TotalReport:
    """A reported figure: of all up to `as_of`, or of the period from `since` to `to`."""

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
    """An announcement. `named` has the items of each company (as its mark), and None for a company named alone."""

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


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: every announcement of it, and the approvals that say that they are of it."""

    key: str
    terms: frozenset[str]
    reports: tuple[BatchReport, ...]
    members: int
    members_of: dict[str, int]
    sample: tuple[int, ...]

    @property
    def ordinal(self) -> int | None:
        return next((r.ordinal for r in self.reports if r.ordinal is not None), None)

    @property
    def label(self) -> str | None:
        return next((r.label for r in self.reports if r.label is not None), None)

    @property
    def first(self) -> date | None:
        """The earliest day on which it may have been announced; None where nothing but its members is known."""
        return min((r.on.first for r in self.reports), default=None)

    @property
    def last(self) -> date | None:
        """The day by which it was announced, by the earliest report."""
        return min((r.on.last for r in self.reports), default=None)

    def mentioned(self, counted: Callable[[int], bool]) -> dict[str, int]:
        """How many approvals each company has in it at least, by the announcements that are `counted`."""
        items: dict[str, set[str]] = {}
        for report in self.reports:
            if counted(report.position):
                for mark, named in report.named.items():
                    items.setdefault(mark, set()).update(named)
        return {mark: max(1, len(named)) for mark, named in items.items()}

    def named(self, counted: Callable[[int], bool], *, members: bool) -> int:
        """How many of it are known by name: its members, and whom the announcements name beside them."""
        if not members:
            return sum(self.mentioned(counted).values())
        beside = (max(0, n - self.members_of.get(mark, 0)) for mark, n in self.mentioned(counted).items())
        return self.members + sum(beside)


class Days:
    """Distinct approvals (or revocations) by the days they may be of."""

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
        """How many are of that day or earlier, whatever the partial dates mean."""
        return self._exact_upto(day) + sum(n for r, n in self.partial if r.last <= day)

    def perhaps_by(self, day: date) -> int:
        """How many may be of that day or earlier."""
        return self._exact_upto(day) + sum(n for r, n in self.partial if r.first <= day)

    def within(self, after: date, upto: date) -> int:
        """How many are surely later than `after` and not later than `upto`."""
        inside = sum(n for r, n in self.partial if r.first > after and r.last <= upto)
        return self._exact_upto(upto) - self._exact_upto(after) + inside

    def sample(self, upto: date, most: int) -> list[int]:
        """Some positions of those that are surely of `upto` or earlier."""
        found: list[int] = []
        for days, _, positions in self._all:
            if len(found) >= most or days.last > upto:
                break
            found += positions
        return sorted(found)[:most]

    def exact_days(self) -> list[date]:
        """Every day that some are surely of."""
        return self._exact_days

    def _exact_upto(self, day: date) -> int:
        return self._exact_sums[bisect_right(self._exact_days, day)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What bounds the totals of one class of terms: `terms` maps each to the events that make it one with the first."""

    terms: dict[str, frozenset[int]]
    totals: tuple[TotalReport, ...]
    batches: tuple[Batch, ...]
    granted: dict[str, Days]
    granted_to: dict[str, dict[str, int]]
    revoked: Days
    origins: dict[int, str] = field(default_factory=dict)
    says: dict[int, str] = field(default_factory=dict)


def gather(views: Views, counted: str) -> Evidence:
    """The evidence for one key of terms and for all that are equated with it."""
    one = terms.equal_to(counted, totals.equations(views["totals"]))
    known = identities.Identities(views["companies"])
    figures = [_total(at, r) for t in one for at, r in totals.reports(views["totals"], t)]
    announced = [(at, t, r) for t in one for at, r in batches.reports(views["batches"], t)]
    members = {t: batches.members(views["batches"], t) for t in one}
    names = {name_key(n["company"]) for _, _, r in announced for n in r["named"]}
    names |= {name for t in one for batch in members[t].values() for name in batch["companies"]}
    marks = known.group_of(sorted(names))
    reports = sorted((_batch_report(at, t, r, marks) for at, t, r in announced), key=lambda r: r.position)
    both: list[TotalReport | BatchReport] = [*figures, *reports]
    return Evidence(
        terms=one,
        totals=tuple(sorted(figures, key=lambda r: r.position)),
        batches=tuple(_batches(reports, members, marks)),
        granted={t: Days(totals.days(views["totals"], t, "granted")) for t in one},
        granted_to={t: _granted_to(views["companies"], known, marks, t) for t in one},
        revoked=Days(totals.revoked_days(views["totals"], counted)),
        origins={r.position: sources.origin(r.source) for r in both},
        says={r.position: r.says for r in both},
    )


def _total(position: int, report: dict[str, Any]) -> TotalReport:
    count = Count(**report["count"])
    when = f"by {report['as_of']}" if "as_of" in report else f"from {report['from']} to {report['to']}"
    basis = " in force" if report["basis"] == "in_force" else ""
    return TotalReport(
        position,
        count.interval(),
        _range(report, "as_of"),
        _range(report, "from"),
        _range(report, "to"),
        report["basis"] == "in_force",
        report["source"],
        f"{count}{basis} {when} ({report['source']['publisher']})",
    )


def _range(report: dict[str, Any], field_name: str) -> DateRange | None:
    return date_range(report[field_name]) if field_name in report else None


def _batch_report(position: int, counted: str, report: dict[str, Any], marks: dict[str, str]) -> BatchReport:
    size = Count(**report["size"])
    named: dict[str, set[str]] = {}
    for entry in report["named"]:
        items = named.setdefault(marks[name_key(entry["company"])], set())
        if "item" in entry:
            items.add(name_key(entry["item"]))
    which = f"batch {report['ordinal']}" if "ordinal" in report else report.get("label", "a batch")
    companies_named = list(dict.fromkeys(entry["company"] for entry in report["named"]))
    more = " and others" if len(companies_named) > NAMED_IN_WORDS else ""
    names = f", naming {', '.join(companies_named[:NAMED_IN_WORDS])}{more}" if companies_named else ""
    return BatchReport(
        position,
        counted,
        report.get("ordinal"),
        report.get("label"),
        date_range(report["announced_on"]),
        report["announced_on"],
        size.interval(),
        {mark: frozenset(items) for mark, items in named.items()},
        report["named"],
        report["source"],
        f"{size} in {which} of {report['announced_on']}{names} ({report['source']['publisher']})",
    )


def _batches(
    reports: list[BatchReport], members: dict[str, dict[str, Any]], marks: dict[str, str]
) -> list[Batch]:
    """The batches: announcements of one ordinal are of one batch, so are those of one label, else those of one day."""
    ordinals = {name_key(r.label): r.ordinal for r in reports if r.label and r.ordinal is not None}
    by_key: dict[str, list[BatchReport]] = {}
    for report in reports:
        label = name_key(report.label) if report.label else ""
        ordinal = report.ordinal if report.ordinal is not None else ordinals.get(label)
        if ordinal is not None:
            key = batches.batch_key(ordinal)
        else:
            key = batches.batch_key(report.label) if report.label else f"on\t{report.announced_on}"
        by_key.setdefault(key, []).append(report)
    of_batch: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for counted, by_batch in members.items():
        for key, held in by_batch.items():
            label = key.partition("label\t")[2]
            ordinal = ordinals.get(label)
            of_batch.setdefault(batches.batch_key(ordinal) if ordinal else key, []).append((counted, held))
    return [
        _batch(key, tuple(by_key.get(key, [])), of_batch.get(key, []), marks)
        for key in dict.fromkeys([*by_key, *of_batch])
    ]


def _batch(
    key: str,
    reports: tuple[BatchReport, ...],
    members: list[tuple[str, dict[str, Any]]],
    marks: dict[str, str],
) -> Batch:
    # Equated terms may both report an approval: the larger count of members is sure, their sum is not.
    none: dict[str, Any] = {"count": 0, "companies": {}, "sample": []}
    most = max((held for _, held in members), key=lambda held: int(held["count"]), default=none)
    of: dict[str, int] = {}
    for name, n in most["companies"].items():
        of[marks[name]] = of.get(marks[name], 0) + n
    counted = frozenset([*(r.terms for r in reports), *(terms for terms, _ in members)])
    return Batch(key, counted, reports, most["count"], of, tuple(most["sample"]))


def _granted_to(
    documents: Documents, known: identities.Identities, marks: dict[str, str], counted: str
) -> dict[str, int]:
    """How many approvals were granted to each company that an announcement names, under all its names."""
    granted: dict[str, int] = {}
    for name, mark in marks.items():
        if mark not in granted:
            names = next((c.names for c in known.find(name) if mark != name), (name,))
            held = [companies.record(documents, other) for other in names]
            granted[mark] = sum(record["granted"].get(counted, 0) for record in held if record)
    return granted
