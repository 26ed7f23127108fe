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
    """One approval, as its earliest standing report has it; `on` are the days that all its reports allow (see `span`), and
    `position` that of the first report that says so by itself, or else of the earliest."""

    position: int
    on: str
    company: str
    item: str
    numbered: bool


class Told(NamedTuple):
    """What a report says of an approval: its position, the date, the company (the key of its name), and the batch (a key) that it
    names, if it names one."""

    position: int
    on: str
    company: str
    batch: str | None


Change = tuple[int, Approval]
"""+1 and an approval that is there now, or -1 and one that is there no longer."""


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
    """Counts a report in, or out again, and returns how the set of distinct approvals of the terms `counted` changed. Which `batch`
    (a key) it names is kept where it is given.

    A report without a number is the same approval as one with a number and the same item and company.
    """
    of = [] if batch is None else [batch]
    if (first := _first(documents, counted, grant, position, of, stands)) is not None:
        return [(1, first)]
    was, now = _record(documents, counted, grant, position, of, stands)
    return _changes(was.approvals(), now.approvals())


def record_of(
    documents: Documents, counted: str, grant: ApprovalGranted, position: int, batch: str, *, stands: bool
) -> tuple[list[Change], list[Change]]:
    """The same, of a report that puts the approval in a `batch` (a key): how the approvals of that batch changed, and how
    those of any batch did. Two reports may put one approval in different batches, and it is counted in both."""
    if (first := _first(documents, counted, grant, position, [batch], stands)) is not None:
        return [(1, first)], [(1, first)]
    was, now = _record(documents, counted, grant, position, [batch], stands)
    return (
        _changes(was.of(batch).approvals(), now.of(batch).approvals()),
        _changes(was.approvals(), now.approvals()),
    )


def mixed_since(documents: Documents, counted: str, grant: ApprovalGranted) -> int | None:
    """The position since which there are reports of this item and company with a registry number and reports without one; None
    where there are not."""
    held = documents.get(_unnumbered(counted, grant))
    if held is None or not held["reports"] or not held["numbered"]:
        return None
    return max(int(held["reports"][0][0]), int(held["numbered"][0][0]))


def shared_since(documents: Documents, counted: str, grant: ApprovalGranted) -> int | None:
    """The position since which reports give the registry number of this grant to several companies (by their names as they are
    written); None where they do not."""
    if grant.item.registry_number is None:
        return None
    held = documents.get(_numbered(counted, grant)) or []
    return next((report[0] for report in held if report[2] != held[0][2]), None)


def redated_from(documents: Documents, counted: str, grant: ApprovalGranted) -> int | None:
    """The position of the first report of this approval (of its number, or of its item and company without one) where those that
    name a batch leave it other days than all of them; None where they do not."""
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
    """The same of each item and company (as keys) of which no report gives a number; nothing of others."""
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
    """The approval of each registry number (as a key), among all; it is its who is named by the earliest report that stands."""
    places = [place_of(counted, number) for number in numbers]
    documents.fetch(places)
    return [_approval(documents.get(place) or [], numbered=True) for place in places]


def place_of(counted: str, number: str) -> str:
    """The document that has what is reported of a registry number (as a key)."""
    return f"number\t{counted}\t{number}"


def revoked_key(revocation: ApprovalRevoked) -> str:
    """What is revoked: equal for two reports of one revocation, where both name it the same way."""
    if revocation.registry_number is not None:
        return f"number\t{name_key(revocation.registry_number)}"
    assert revocation.item is not None
    assert revocation.company is not None
    return f"item\t{name_key(revocation.item.name)}\t{name_key(revocation.company.name)}"


class _Reports(NamedTuple):
    """The reports that tell on one grant: those of its registry number, and what is known of its item and company, that is,
    the reports without a number, and the marks of those with one. Each says its batch at the end, where batches count."""

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
        """The approval with the number, and the one without, where there are these."""
        return [
            _approval(self.of_number, numbered=True),
            None if self.marks else _approval(self.without, numbered=False),
        ]


def _first(
    documents: Documents, counted: str, grant: ApprovalGranted, position: int, batch: list[str], stands: bool
) -> Approval | None:
    """The approval that is there now, where this is the only report that tells on it: most are, and what `_record` makes of
    them took a fifth of the time of all folds. None, and nothing is counted, where it is not."""
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
    """Some positions of approvals that are counted, with one that is counted in, or without one that is counted out."""
    if sign > 0:
        return sorted([*sample, position])[:most]
    return [other for other in sample if other != position]


def span(dates: list[str]) -> str:
    """The days that all these dates of one thing allow; where no day is in all of them, from the earliest to the latest. As
    one of the dates, where it says just that, else as a day or as `first/last`."""
    # Of thousands of reports of one thing most repeat a date.
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
