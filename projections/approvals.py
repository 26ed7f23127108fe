"""Which reports of a grant are one approval: those of one registry number, or, without a number, of one item and company."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from events import DateRange, date_range, name_key
from events.catalog import ApprovalGranted, ApprovalRevoked

from .projection import Documents, key
from .terms import key_for


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval, as its earliest standing report has it; `on` are the days that all its reports allow (see `span`)."""

    position: int
    on: str
    company: str
    item: str
    numbered: bool


Change = tuple[int, Approval]
"""+1 and an approval that is there now, or -1 and one that is there no longer."""


def needs(grant: ApprovalGranted, among: str = "") -> list[str]:
    """The documents that `record` will ask for."""
    return [_unnumbered(grant, among), *([_numbered(grant, among)] if grant.item.registry_number else [])]


def record(
    documents: Documents, grant: ApprovalGranted, position: int, *, stands: bool, among: str = ""
) -> list[Change]:
    """Counts a report in, or out again, and returns how the set of distinct approvals changed.

    A report without a number is the same approval as one with a number and the same item and company. `among` names the
    set: two reports of one approval may put it in different batches, and neither may be counted in the other's.
    """
    report = [position, grant.approved_on, name_key(grant.company.name), name_key(grant.item.name)]
    bare = _unnumbered(grant, among)
    before: dict[str, list[Any]] = documents.get(bare) or {"reports": [], "numbered": []}
    changes: list[Change] = []
    if grant.item.registry_number is None:
        after = before | {"reports": _with(before["reports"], report, stands)}
    else:
        after = before | {"numbered": _with(before["numbered"], position, stands)}
        numbered = _numbered(grant, among)
        known: list[Any] = documents.get(numbered) or []
        now = _with(known, report, stands)
        documents.put(numbered, now or None)
        changes += _changes(_approval(known, numbered=True), _approval(now, numbered=True))
    documents.put(bare, after if after["reports"] or after["numbered"] else None)
    return changes + _changes(_alone(before), _alone(after))


def of_number(documents: Documents, counted: str, number: str) -> Approval | None:
    """The approval of a registry number (as a key), among all; it is its who is named by the earliest report that stands."""
    return _approval(documents.get(key("number", counted, "", number)) or [], numbered=True)


def revoked_key(revocation: ApprovalRevoked) -> str:
    """What is revoked: equal for two reports of one revocation, where both name it the same way."""
    if revocation.registry_number is not None:
        return key("number", name_key(revocation.registry_number))
    assert revocation.item is not None
    assert revocation.company is not None
    return key("item", name_key(revocation.item.name), name_key(revocation.company.name))


def _with(reports: list[Any], report: Any, stands: bool) -> list[Any]:
    return sorted([*reports, report]) if stands else [held for held in reports if held != report]


def _approval(reports: list[Any], *, numbered: bool) -> Approval | None:
    if not reports:
        return None
    position, _, company, item = reports[0]
    return Approval(position, span([on for _, on, _, _ in reports]), company, item, numbered)


def _alone(document: dict[str, list[Any]]) -> Approval | None:
    return None if document["numbered"] else _approval(document["reports"], numbered=False)


def _changes(before: Approval | None, after: Approval | None) -> list[Change]:
    if before == after:
        return []
    return [*([(-1, before)] if before else []), *([(1, after)] if after else [])]


def span(dates: list[str]) -> str:
    """The days that all these dates of one thing allow; where no day is in all of them, from the earliest to the latest. As
    one of the dates, where it says just that, else as a day or as `first/last`."""
    if len(set(dates)) == 1:
        return dates[0]
    ranges = [date_range(date) for date in dates]
    days = DateRange(max(r.first for r in ranges), min(r.last for r in ranges))
    if days.first > days.last:
        days = DateRange(min(r.first for r in ranges), max(r.last for r in ranges))
    if days in ranges:
        return dates[ranges.index(days)]
    return str(days.first) if days.first == days.last else f"{days.first}/{days.last}"


def _unnumbered(grant: ApprovalGranted, among: str) -> str:
    return key("item", key_for(grant), among, name_key(grant.item.name), name_key(grant.company.name))


def _numbered(grant: ApprovalGranted, among: str) -> str:
    assert grant.item.registry_number is not None
    return key("number", key_for(grant), among, name_key(grant.item.registry_number))
