"""Which reports of a grant are one approval: those of one registry number, or, without a number, of one item and company."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from events import date_range, name_key
from events.catalog import ApprovalGranted, ApprovalRevoked

from .projection import Documents
from .ranges import agreeing


class Approval(NamedTuple):
    """One approval, as its earliest standing report describes it. `on` is the days that all its reports allow (see `span`);
    `position` is that of the first report that gives just these days, or else of the earliest report. `company` and `item` are
    keys of names."""

    position: int
    on: str
    company: str
    item: str
    numbered: bool


class Told(NamedTuple):
    """What a report says about an approval: the position of the report, the date, the company (the key of its name), and the batch
    (a key) that it names, if any."""

    position: int
    on: str
    company: str
    batch: str | None


Change = tuple[int, Approval]
"""+1 and an approval that was added, or -1 and one that was removed."""


def needs(counted: str, grant: ApprovalGranted) -> list[str]:
    """The documents that `record` will ask for."""
    return [_unnumbered(counted, grant), *([_numbered(counted, grant)] if grant.item.registry_number else [])]


def record(
    documents: Documents,
    counted: str,
    grant: ApprovalGranted,
    position: int,
    *,
    stands: bool,
    batch: str | None = None,
) -> list[Change]:
    """Counts a report in, or if it no longer `stands` out again, and returns how the set of distinct approvals in the terms
    `counted` changed. The `batch` (a key) that it names is kept, if it is given.

    A report without a registry number is of the same approval as one with a number and the same item and company.
    """
    of = [] if batch is None else [batch]
    if (first := _first(documents, counted, grant, position, of, stands)) is not None:
        return [(1, first)]
    was, now = _record(documents, counted, grant, position, of, stands)
    return _changes(was.approvals(), now.approvals())


def record_of(
    documents: Documents, counted: str, grant: ApprovalGranted, position: int, batch: str, *, stands: bool
) -> tuple[list[Change], list[Change]]:
    """The same for a report that puts the approval in a `batch` (a key): how the approvals of that batch changed, and how
    those of all batches together did. Two reports may put one approval in different batches; it is then counted in both."""
    if (first := _first(documents, counted, grant, position, [batch], stands)) is not None:
        return [(1, first)], [(1, first)]
    was, now = _record(documents, counted, grant, position, [batch], stands)
    return (
        _changes(was.of(batch).approvals(), now.of(batch).approvals()),
        _changes(was.approvals(), now.approvals()),
    )


def mixed_since(documents: Documents, counted: str, grant: ApprovalGranted) -> int | None:
    """The position since which there have been both reports with and reports without a registry number for this item and company;
    None if there are not both."""
    held = documents.get(_unnumbered(counted, grant))
    if held is None or not held["reports"] or not held["numbered"]:
        return None
    return max(int(held["reports"][0][0]), int(held["numbered"][0][0]))


def shared_since(documents: Documents, counted: str, grant: ApprovalGranted) -> int | None:
    """The position since which reports have given the registry number of this grant to several companies, told apart by the keys of
    their names; None if they do not."""
    if grant.item.registry_number is None:
        return None
    held = documents.get(_numbered(counted, grant)) or []
    return next((report[0] for report in held if report[2] != held[0][2]), None)


def redated_from(documents: Documents, counted: str, grant: ApprovalGranted) -> int | None:
    """The position of the first report of this approval (of its number, or of its item and company without one), if the reports that
    name some batch allow other days than all reports together; otherwise None."""
    if grant.item.registry_number is not None:
        reports = documents.get(_numbered(counted, grant)) or []
    else:
        reports = (documents.get(_unnumbered(counted, grant)) or {"reports": []})["reports"]
    dates = [report[1] for report in reports]
    if len({*dates}) < 2:  # mostly
        return None
    told: dict[str, list[str]] = {}
    for report in reports:
        if len(report) > 4:
            told.setdefault(report[4], []).append(report[1])
    days = span(dates) if told else ""
    return int(reports[0][0]) if any(span(of) != days for of in told.values()) else None


def reports_of(documents: Documents, counted: str, numbers: Iterable[str]) -> list[list[Told]]:
    """What is reported of each registry number (as a key), in the order of the log."""
    places = [place_of(counted, number) for number in numbers]
    documents.fetch(places)
    return [_told(documents.get(place) or []) for place in places]


def reports_without(documents: Documents, counted: str, items: Iterable[tuple[str, str]]) -> list[list[Told]]:
    """The same for each item and company (as keys) to which no report gives a number; an empty list for the others."""
    places = [_item_place(counted, *of) for of in items]
    documents.fetch(places)
    held = [documents.get(place) or {"reports": [], "numbered": []} for place in places]
    return [[] if of["numbered"] else _told(of["reports"]) for of in held]


def _told(reports: Iterable[list[Any]]) -> list[Told]:
    return [
        Told(position, on, company, batch[0] if batch else None)
        for position, on, company, _, *batch in reports
    ]


def numbered_at(
    documents: Documents, counted: str, items: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], list[int]]:
    """The positions of the reports with a registry number of each item and company (as keys) that has any."""
    places = {of: _item_place(counted, *of) for of in items}
    documents.fetch(places.values())
    held = {of: documents.get(place) for of, place in places.items()}
    return {
        of: [at for at, *_ in marks["numbered"]] for of, marks in held.items() if marks and marks["numbered"]
    }


def of_numbers(documents: Documents, counted: str, numbers: Iterable[str]) -> list[Approval | None]:
    """The approval with each registry number (as a key), or None. Its company is the one that the earliest standing report names."""
    places = [place_of(counted, number) for number in numbers]
    documents.fetch(places)
    return [_approval(documents.get(place) or [], numbered=True) for place in places]


def place_of(counted: str, number: str) -> str:
    """The key of the document with the reports of a registry number (as a key)."""
    return f"number\t{counted}\t{number}"


def revoked_key(revocation: ApprovalRevoked) -> str:
    """A key for what is revoked: the same for two reports of one revocation that name the approval in the same way."""
    if revocation.registry_number is not None:
        return f"number\t{name_key(revocation.registry_number)}"
    assert revocation.item is not None
    assert revocation.company is not None
    return f"item\t{name_key(revocation.item.name)}\t{name_key(revocation.company.name)}"


class _Reports(NamedTuple):
    """The reports that bear on one grant: those of its registry number; and of its item and company, the reports without a number,
    and the marks (positions) of those with one. Where batches count, each ends with its batch."""

    of_number: list[list[Any]]
    without: list[list[Any]]
    marks: list[list[Any]]

    def of(self, batch: str) -> _Reports:
        """Those of them that are of one batch."""
        return _Reports(
            *(
                [held for held in kept if held[-1] == batch]
                for kept in (self.of_number, self.without, self.marks)
            )
        )

    def approvals(self) -> list[Approval | None]:
        """The approval with the number and the approval without one, each None if there is none."""
        return [
            _approval(self.of_number, numbered=True),
            None if self.marks else _approval(self.without, numbered=False),
        ]


def _first(
    documents: Documents, counted: str, grant: ApprovalGranted, position: int, batch: list[str], stands: bool
) -> Approval | None:
    """The approval that this report adds if no other report bears on it, as is mostly so: with `_record` alone these took a fifth of
    the time of all folds. None, with nothing counted, if another report does."""
    number = grant.item.registry_number
    numbered = None if number is None else _numbered(counted, grant)
    bare = _unnumbered(counted, grant)
    if not stands or documents.get(bare) or (numbered is not None and documents.get(numbered)):
        return None
    company, item = name_key(grant.company.name), name_key(grant.item.name)
    report = [position, grant.approved_on, company, item, *batch]
    if numbered is None:
        documents.put(bare, {"reports": [report], "numbered": []})
    else:
        documents.put(numbered, [report])
        documents.put(bare, {"reports": [], "numbered": [[position, *batch]]})
    return Approval(position, grant.approved_on, company, item, numbered is not None)


def _record(
    documents: Documents, counted: str, grant: ApprovalGranted, position: int, batch: list[str], stands: bool
) -> tuple[_Reports, _Reports]:
    report = [position, grant.approved_on, name_key(grant.company.name), name_key(grant.item.name), *batch]
    bare = _unnumbered(counted, grant)
    held: dict[str, Any] = documents.get(bare) or {"reports": [], "numbered": []}
    without, marks = held["reports"], held["numbered"]
    if grant.item.registry_number is None:
        was = _Reports([], without, marks)
        now = _Reports([], _with(without, report, stands), marks)
    else:
        numbered = _numbered(counted, grant)
        known: list[Any] = documents.get(numbered) or []
        was = _Reports(known, without, marks)
        now = _Reports(_with(known, report, stands), without, _with(marks, [position, *batch], stands))
        documents.put(numbered, now.of_number or None)
    left = now.without or now.marks
    documents.put(bare, {"reports": now.without, "numbered": now.marks} if left else None)
    return was, now


def _with(reports: list[Any], report: Any, stands: bool) -> list[Any]:
    if not stands:
        return [held for held in reports if held != report]
    at = bisect_left(reports, report)
    return [*reports[:at], report, *reports[at:]]


def _approval(reports: list[list[Any]], *, numbered: bool) -> Approval | None:
    if not reports:
        return None
    earliest, _, company, item, *_ = reports[0]
    on = span([held[1] for held in reports])
    position = next((held[0] for held in reports if held[1] == on), earliest)
    return Approval(position, on, company, item, numbered)


def _changes(was: list[Approval | None], now: list[Approval | None]) -> list[Change]:
    return [
        (sign, approval)
        for before, after in zip(was, now, strict=True)
        if before != after
        for sign, approval in ((-1, before), (1, after))
        if approval is not None
    ]


def sampled(sample: list[int], position: int, sign: int, most: int) -> list[int]:
    """A sample of the positions of counted approvals, at most `most`, with `position` counted in (+1) or out (-1)."""
    if sign > 0:
        return sorted([*sample, position])[:most]
    return [other for other in sample if other != position]


def span(dates: list[str]) -> str:
    """The days that all these dates of one thing allow, or if they share none, those that they span. Written as one of the dates if
    that says just this, else as a day or as `first/last`."""
    # When there are thousands of reports of one thing, most repeat a date.
    dates = [*dict.fromkeys(dates)]
    if len(dates) == 1:
        return dates[0]
    ranges = [date_range(date) for date in dates]
    days = agreeing(ranges)
    if days in ranges:
        return dates[ranges.index(days)]
    return str(days.first) if days.first == days.last else f"{days.first}/{days.last}"


def _unnumbered(counted: str, grant: ApprovalGranted) -> str:
    return _item(counted, grant.item.name, grant.company.name)


@lru_cache(maxsize=2_048)  # each is asked for before the fold and in it, by three projections
def _item(counted: str, item: str, company: str) -> str:
    return _item_place(counted, name_key(item), name_key(company))


def _item_place(counted: str, item: str, company: str) -> str:
    return f"item\t{counted}\t{item}\t{company}"


def _numbered(counted: str, grant: ApprovalGranted) -> str:
    assert grant.item.registry_number is not None
    return place_of(counted, name_key(grant.item.registry_number))
