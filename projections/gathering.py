"""Gathers the evidence of one class of equated terms from the documents of several projections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import product
from typing import Any

from events import Count, DateRange, canonical, date_range, name_key

from . import batches, companies, sources, terms, totals
from .evidence import BatchReport, Days, Evidence, Granted, Holders, Numbers, TotalReport, Views
from .identities import WHENEVER, Identities, Marks, each_once
from .projection import Documents
from .ranges import spanning
from .redated import Moved, redated
from .repeats import Doubles, days_of, doubles_in, repeats_in

NAMED_IN_WORDS = 12  # companies that the words for an announcement name


def fetch(views: Views, counted: Sequence[str]) -> None:
    """Reads ahead what `gather` will ask for first, for several keys of terms at once."""
    if counted:
        totals.fetch(views["totals"], counted)
        batches.fetch(views["batches"], counted)
        companies.fetch_unnumbered(views["companies"], counted)


def gather(views: Views, counted: str) -> Evidence:
    """The evidence for the terms with this key and all terms that are equated with them."""
    one = terms.equal_to(counted, totals.equations(views["totals"]))
    figures = [(t, _total(at, r)) for t in one for at, r in totals.reports(views["totals"], t)]
    announced = [_batch_report(at, t, r) for t in one for at, r in batches.reports(views["batches"], t)]
    listed = {t: totals.granted(views["totals"], t) for t in one}
    listing = [t for t in one if listed[t]]
    shared = companies.shared(views["companies"], listing)
    given_twice = {number: _holders(told) for number, told in shared.items()}
    twice_on = {number: (given_twice[number], _days_told(told)) for number, told in shared.items()}
    repeats = {t: repeats_in(views["companies"], t, twice_on) for t in one}
    dated = redated(views["companies"], listing, repeats)
    twice = {t: dated.twice_in(t) for t in one}
    marks = Marks(views["companies"], _named(views, announced))
    doubles = {
        t: doubles_in(views["batches"], t, repeats[t], [(of.numbers, of.batches) for of in twice[t]])
        for t in one
    }
    members = {
        t: _members(
            views["batches"],
            t,
            marks,
            doubles[t],
            given_twice,
            repeats[t].members_beside,
            dated.moved.get(t, {}),
        )
        for t in one
    }
    figures.sort(key=lambda of: _told_by(*of))
    announced.sort(key=lambda report: _told_by(report.terms, report))
    told: list[tuple[str, TotalReport | BatchReport]] = [*figures, *((r.terms, r) for r in announced)]
    reports = [report for _, report in sorted(told, key=lambda of: _told_by(*of))]
    return Evidence(
        terms=one,
        totals=tuple(report for _, report in figures),
        announced=tuple(announced),
        members=members,
        marks=marks,
        numbers=_numbers(views["companies"], marks, announced, listing),
        claimants=marks.claimants,
        granted={
            t: Days(
                [
                    *listed[t],
                    *days_of(repeats[t].perhaps),
                    *dated.changes.get(t, []),
                    *dated.once.get(t, []),
                ]
            )
            for t in one
        },
        perhaps={
            t: Days(
                [
                    *listed[t],
                    *days_of(repeats[t].surely),
                    *repeats[t].beside,
                    *dated.changes.get(t, []),
                ]
            )
            for t in one
        },
        redated=dated,
        repeated={t: {*repeats[t].names, *(name for _, name in dated.twice.get(t, ()))} for t in one},
        shared=shared,
        granted_to={t: _granted_to(views["companies"], marks, t, shared) for t in one},
        revoked=_revoked(views, one),
        unplaced={
            t: sum(count for _, count, _ in listed[t])
            - batches.placed(views["batches"], t)
            + doubles[t].placed
            + sum(n for _, n, _ in repeats[t].beside)
            for t in one
        },
        origins={r.position: sources.origin(r.source) for r in reports},
        says={r.position: r.says for r in reports},
        terms_of={report.position: t for t, report in told},
    )


def _told_by(terms_of: str, report: TotalReport | BatchReport) -> tuple[Any, ...]:
    """A sort key for reports that does not depend on the order of the log: the day they are about, when they were published, how many
    they report and name, in which words, and who says so. Reports in which all of this is the same stay as they were recorded."""
    if isinstance(report, BatchReport):
        last, count, names, label = report.on.last, report.size, report.names, report.label
    else:
        (last,) = (on.last for on in (report.as_of, report.to) if on is not None)
        count, names, label = report.count, [], None
    low = 0 if count is None else count.low
    words = f"{report.says}\n{names}\n{label}\n{terms_of}"
    published = report.source.get("published_on", "")
    return last, published, low, -len(names), words, canonical(report.source), report.position


def _named(views: Views, announced: Iterable[BatchReport]) -> list[str]:
    """The names (as keys) that decide which companies the announcements name: those in them, and those that several companies
    claim, one of them a company that is named.

    Nothing depends on the other members of the batches, of which there may be as many as there are companies.
    """
    names = {name for report in announced for name in report.named}
    known = Identities(views["companies"], WHENEVER)
    while True:
        groups = known.groups(sorted(names))
        disputed = {name for group in each_once(groups) for name in group.disputed} - names
        if not disputed:
            return sorted(names)
        names |= disputed


def _numbers(
    documents: Documents, marks: Marks, announced: Iterable[BatchReport], counted: Iterable[str]
) -> Mapping[str, Numbers]:
    """See `Evidence.numbers`: only for companies that are announced with several items, because it matters only for these."""
    items: dict[str, set[str]] = {}
    for report in announced:
        for name, of in report.named.items():
            items.setdefault(marks.groups[name].mark, set()).update(of)
    groups = [group for group in each_once(marks.groups) if len(items.get(group.mark, ())) > 1]
    asked = [of for group in groups for of in product(sorted(items[group.mark]), sorted(group.names))]
    given: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for terms_of in counted if asked else ():
        for (item, name), numbers in companies.numbers_of(documents, terms_of, asked).items():
            for number in numbers:
                given.setdefault((marks.groups[name].mark, number), set()).add((name, item))
    found: dict[str, dict[str, dict[str, set[str]]]] = {}
    for (mark, number), of_number in given.items():
        if len({item for _, item in of_number}) > 1:
            for name, item in of_number:
                found.setdefault(mark, {}).setdefault(name, {}).setdefault(item, set()).add(number)
    return found


def _members(
    documents: Documents,
    counted: str,
    marks: Marks,
    doubles: Doubles,
    given_twice: Mapping[str, Set[str]],
    members_beside: Mapping[str, int],
    moved: Mapping[str, Sequence[Moved]],
) -> dict[str, dict[str, Any]]:
    of_companies = batches.members_of(documents, counted, marks.groups)
    shared: dict[str, list[Holders]] = {}
    for number, of_batches in batches.holders(documents, counted, given_twice).items():
        for key, first in of_batches.items():
            shared.setdefault(key, []).append((first, *sorted(given_twice[number] - {first})))
    return {
        key: {
            "count": count - doubles.members.get(key, 0),
            "at_most": count,
            "beside": members_beside.get(key, 0)
            + sum(of.told is None and of.terms == counted for of in moved.get(key, ())),
            "sample": sample,
            "spelled": batches.spelled(documents, counted, key),
            "days": batches.members_by_day(documents, counted, key),
            "moved": moved.get(key, ()),
            "companies": of_companies.get(key, {}),
            "shared": shared.get(key, []),
        }
        for key, (count, sample) in batches.members(documents, counted).items()
    }


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


def _batch_report(position: int, counted: str, report: dict[str, Any]) -> BatchReport:
    size = Count(**report["size"])
    named: dict[str, set[str]] = {}
    for entry in report["named"]:
        items = named.setdefault(name_key(entry["company"]), set())
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
        {name: frozenset(items) for name, items in named.items()},
        report["named"],
        report["source"],
        f"{size} in {which} of {report['announced_on']}{names} ({report['source']['publisher']})",
    )


def _granted_to(
    documents: Documents, marks: Marks, counted: str, shared: Mapping[str, companies.ByTerms]
) -> Granted:
    """How many approvals were granted to each company that an announcement names, under all names that it may have."""
    names_of = {group.mark: group.names | group.disputed for group in each_once(marks.groups)}
    held = companies.records(documents, sorted(frozenset[str]().union(*names_of.values())))
    counts = {
        mark: sum(held[name]["granted"].get(counted, 0) for name in names if name in held)
        for mark, names in names_of.items()
    }
    holders = [
        (first := told[counted][0].company, *sorted(_holders(told) - {first}))
        for told in shared.values()
        if counted in told
    ]
    return Granted.among(marks.may_be_one(), counts, holders)


def _holders(told: companies.ByTerms) -> frozenset[str]:
    return frozenset(report.company for of in told.values() for report in of)


def _days_told(told: companies.ByTerms) -> DateRange:
    return spanning([date_range(report.on) for of in told.values() for report in of])


def _revoked(views: Views, one: Mapping[str, frozenset[int]]) -> tuple[Days, ...]:
    """The revocations that certainly concern these terms. A revocation does not give a unit: so if an instrument is counted in a unit
    that is not equated with these as well, its revocations may concern that one, and are left out."""
    ended = {
        t.rpartition("\t")[0]: [days for days in totals.revoked_days(views["totals"], t) if days] for t in one
    }
    if not any(ended.values()):  # mostly: to look at all terms there are for each of 1,600 took 2 s
        return ()
    counted = [*terms.keys_seen(views["totals"]), *terms.keys_seen(views["batches"])]
    mixed = {t.rpartition("\t")[0] for t in counted if t not in one}
    return tuple(Days(days) for instrument, of in ended.items() if instrument not in mixed for days in of)
