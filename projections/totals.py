"""The fold of totals: what is counted, the approvals by day, and every report of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from events import DateRange, DecodedEvent, name_key
from events.catalog import ApprovalGranted, ApprovalRevoked, TermsEquated, TotalReported

from . import approvals, by_day, pages, terms
from .projection import Documents

name = "totals"
version = 13
handles = frozenset({m.TYPE for m in (ApprovalGranted, ApprovalRevoked, TotalReported, TermsEquated)})

WAYS = ("number", "item")  # in which a revocation may say what is revoked


def needs(event: DecodedEvent) -> list[str]:
    match event.data:
        case ApprovalGranted() as grant:
            counted = terms.key_for(grant)
            return [
                *approvals.needs(counted, grant),
                terms.needs(counted),
                *by_day.needs(f"{counted}\tgranted", grant.approved_on),
            ]
        case TotalReported() as report:
            return [terms.needs(terms.key_for(report)), *lists(event)]
        case ApprovalRevoked() as revocation:
            place, way, what = _what(revocation)
            days = by_day.needs(f"{place}\t{way}", revocation.revoked_on)
            return [f"{place}\t{way}\t{what}", *days, *lists(event)]
        case _:
            return lists(event)


def lists(event: DecodedEvent) -> list[str]:
    match event.data:
        case TotalReported() as report:
            return [f"reports\t{terms.key_for(report)}"]
        case ApprovalRevoked() as revocation:
            place, *_ = _what(revocation)
            return [f"revocations\t{place}"]
        case TermsEquated():
            return ["equations"]
        case _:
            return []


def evolve(documents: Documents, event: DecodedEvent, stands: bool) -> None:
    match event.data:
        case ApprovalGranted() as grant:
            counted = terms.seen(documents, grant, stands)
            for sign, approval in approvals.record(documents, counted, grant, event.position, stands=stands):
                by_day.count(documents, f"{counted}\tgranted", approval.on, approval.position, sign)
        case ApprovalRevoked() as revocation:
            _revoke(documents, revocation, event.position, stands)
        case TotalReported() as report:
            counted = terms.seen(documents, report, stands)
            pages.keep(documents, f"reports\t{counted}", event.position, _report(report), stands)
        case TermsEquated() as equation:
            a = terms.key_of(equation.authority, equation.a.instrument, equation.a.unit)
            b = terms.key_of(equation.authority, equation.b.instrument, equation.b.unit)
            pages.keep(documents, "equations", event.position, [a, b], stands)


def fetch(documents: Documents, counted: Sequence[str]) -> None:
    """Reads ahead what is known in these terms, in three round trips."""
    places = [f"{terms}\tgranted" for terms in counted]
    places += [f"{_revoked_in(terms)}\t{way}" for terms in counted for way in WAYS]
    by_day.fetch(documents, places)
    pages.fetch(documents, ["equations", *(f"reports\t{terms}" for terms in counted)])


def equations(documents: Documents) -> list[tuple[int, str, str]]:
    """Which terms are one: position, and the two keys."""
    return [(position, a, b) for position, (a, b) in pages.read(documents, "equations")]


def reports(documents: Documents, counted: str) -> list[tuple[int, dict[str, Any]]]:
    """The reported figures of these terms, by position."""
    return list(pages.read(documents, f"reports\t{counted}"))


def granted(documents: Documents, counted: str) -> list[tuple[DateRange, int, list[int]]]:
    """Distinct approvals by the days they may be of: the range, how many, some positions."""
    return by_day.read(documents, f"{counted}\tgranted")


def _report(report: TotalReported) -> dict[str, Any]:
    return report.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        include={"count", "as_of", "from_", "to", "basis", "source"},
    )


def _what(revocation: ApprovalRevoked) -> tuple[str, str, str]:
    """Where revocations of its instrument are, in which of the two ways it says what is revoked, and what (as a key)."""
    # A revocation does not say its unit, so it is kept for all units of its instrument.
    place = _revoked(name_key(revocation.authority), name_key(revocation.instrument))
    if revocation.registry_number is not None:
        return place, "number", name_key(revocation.registry_number)
    # The item alone: two names of the company may be one, and one revocation must not count twice.
    assert revocation.item is not None
    return place, "item", name_key(revocation.item.name)


def _revoke(documents: Documents, revocation: ApprovalRevoked, position: int, stands: bool) -> None:
    place, way, what = _what(revocation)
    reports = f"{place}\t{way}\t{what}"
    before: list[Any] = documents.get(reports) or []
    entry = [position, revocation.revoked_on]
    after = sorted([*before, entry]) if stands else [held for held in before if held != entry]
    documents.put(reports, after or None)
    for sign, held in ((-1, before), (1, after)):
        if held:
            on = approvals.span([day for _, day in held])
            by_day.count(documents, f"{place}\t{way}", on, held[0][0], sign)
    pages.keep(documents, f"revocations\t{place}", position, revocation.revoked_on, stands)


def revoked_days(documents: Documents, counted: str) -> list[list[tuple[DateRange, int, list[int]]]]:
    """Distinct revocations of the instrument of these terms, as `granted` gives approvals: those reported by registry number, and
    those reported by item, which may be the same approvals."""
    return [by_day.read(documents, f"{_revoked_in(counted)}\t{way}") for way in WAYS]


def revocations(documents: Documents, counted: str) -> list[tuple[int, str]]:
    """Every revocation of the instrument of these terms: its position, and the day."""
    return list(pages.read(documents, f"revocations\t{_revoked_in(counted)}"))


def _revoked(authority: str, instrument: str) -> str:
    return f"revoked\t{authority}\t{instrument}"


def _revoked_in(counted: str) -> str:
    authority, instrument, _ = counted.split("\t")
    return _revoked(authority, instrument)
