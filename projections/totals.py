"""The fold of totals: what is counted, the approvals by day, and every report of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from events import DateRange, DecodedEvent, date_range, name_key
from events.catalog import ApprovalGranted, ApprovalRevoked, TermsEquated, TotalReported

from . import approvals, pages, terms
from .projection import Documents

name = "totals"
version = 3
handles = frozenset({m.TYPE for m in (ApprovalGranted, ApprovalRevoked, TotalReported, TermsEquated)})

WAYS = ("number", "item")  # in which a revocation may say what is revoked
SAMPLE = 4  # positions kept for each day, as evidence: the rest is a count


def needs(event: DecodedEvent) -> list[str]:
    match event.data:
        case ApprovalGranted() as grant:
            counted = terms.key_for(grant)
            return [
                *approvals.needs(counted, grant),
                terms.needs(counted),
                _days(counted, "granted", _month(grant.approved_on)),
                _months(counted, "granted"),
            ]
        case _:
            return []


def lists(event: DecodedEvent) -> list[str]:
    match event.data:
        case TotalReported() as report:
            return [f"reports\t{terms.key_for(report)}"]
        case _:
            return []


def evolve(documents: Documents, event: DecodedEvent, stands: bool) -> None:
    match event.data:
        case ApprovalGranted() as grant:
            counted = terms.seen(documents, grant, stands)
            for sign, approval in approvals.record(documents, counted, grant, event.position, stands=stands):
                _count(documents, counted, "granted", approval.on, approval.position, sign)
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
    kinds = [(terms, "granted") for terms in counted]
    kinds += [(_revoked(*terms.split("\t")[:2]), way) for terms in counted for way in WAYS]
    documents.fetch(_months(*kind) for kind in kinds)
    documents.fetch(_days(*kind, month) for kind in kinds for month in documents.get(_months(*kind)) or [])
    pages.fetch(documents, ["equations", *(f"reports\t{terms}" for terms in counted)])


def equations(documents: Documents) -> list[tuple[int, str, str]]:
    """Which terms are one: position, and the two keys."""
    return [(position, a, b) for position, (a, b) in pages.read(documents, "equations")]


def reports(documents: Documents, counted: str) -> list[tuple[int, dict[str, Any]]]:
    """The reported figures of these terms, by position."""
    return list(pages.read(documents, f"reports\t{counted}"))


def days(documents: Documents, counted: str, kind: str) -> list[tuple[DateRange, int, list[int]]]:
    """Distinct approvals, of one `kind`, by the days they may be of: the range, how many, some positions."""
    months: list[str] = documents.get(_months(counted, kind)) or []
    documents.fetch([_days(counted, kind, month) for month in months])
    return [
        (day_range(on), count, sample)
        for month in months
        for on, (count, sample) in sorted(documents.get(_days(counted, kind, month)).items())
    ]


def day_range(on: str) -> DateRange:
    """The days of a partial date, or of `first/last`."""
    first, _, last = on.partition("/")
    return DateRange(date_range(first).first, date_range(last or first).last)


def _report(report: TotalReported) -> dict[str, Any]:
    return report.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        include={"count", "as_of", "from_", "to", "basis", "source"},
    )


def _revoke(documents: Documents, revocation: ApprovalRevoked, position: int, stands: bool) -> None:
    # A revocation does not say its unit, so it is kept for all units of its instrument.
    place = _revoked(name_key(revocation.authority), name_key(revocation.instrument))
    if revocation.registry_number is not None:
        way, what = "number", name_key(revocation.registry_number)
    else:
        # The item alone: two names of the company may be one, and one revocation must not count twice.
        assert revocation.item is not None
        way, what = "item", name_key(revocation.item.name)
    reports = f"{place}\t{way}\t{what}"
    before: list[Any] = documents.get(reports) or []
    entry = [position, revocation.revoked_on]
    after = sorted([*before, entry]) if stands else [held for held in before if held != entry]
    documents.put(reports, after or None)
    for sign, held in ((-1, before), (1, after)):
        if held:
            on = approvals.span([day for _, day in held])
            _count(documents, place, way, on, held[0][0], sign)
    pages.keep(documents, f"revocations\t{place}", position, revocation.revoked_on, stands)


def revoked_days(documents: Documents, counted: str) -> list[list[tuple[DateRange, int, list[int]]]]:
    """Distinct revocations of the instrument of these terms, as `days` gives them: those reported by registry number, and
    those reported by item, which may be the same approvals."""
    authority, instrument, _ = counted.split("\t")
    return [days(documents, _revoked(authority, instrument), way) for way in WAYS]


def revocations(documents: Documents, counted: str) -> list[tuple[int, str]]:
    """Every revocation of the instrument of these terms: its position, and the day."""
    authority, instrument, _ = counted.split("\t")
    return list(pages.read(documents, f"revocations\t{_revoked(authority, instrument)}"))


def _count(documents: Documents, counted: str, kind: str, on: str, position: int, sign: int) -> None:
    month = _month(on)
    held: dict[str, Any] = documents.get(_days(counted, kind, month)) or {}
    if not held:
        months = documents.get(_months(counted, kind)) or []
        documents.put(_months(counted, kind), sorted({*months, month}))
    count, sample = held.get(on) or (0, [])
    changed = {**held, on: [count + sign, approvals.sampled(sample, position, sign, SAMPLE)]}
    if not count + sign:
        del changed[on]
    documents.put(_days(counted, kind, month), changed or None)
    if not changed:
        left = [other for other in documents.get(_months(counted, kind)) if other != month]
        documents.put(_months(counted, kind), left or None)


def _revoked(authority: str, instrument: str) -> str:
    return f"revoked\t{authority}\t{instrument}"


def _month(on: str) -> str:
    return on[:7]


def _months(counted: str, kind: str) -> str:
    return f"months\t{counted}\t{kind}"


def _days(counted: str, kind: str, month: str) -> str:
    return f"days\t{counted}\t{kind}\t{month}"
