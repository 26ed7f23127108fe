"""The fold of batches: every report of a batch, and the approvals that say which batch they are of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from events import DecodedEvent, name_key
from events.catalog import ApprovalGranted, BatchAnnounced

from . import approvals, by_day, pages, terms
from .projection import Documents

name = "batches"
version = 15
handles = frozenset({BatchAnnounced.TYPE, ApprovalGranted.TYPE})


SAMPLE = 12  # positions kept of the members of a batch, as evidence: the rest is a count


def needs(event: DecodedEvent) -> list[str]:
    match event.data:
        case ApprovalGranted(batch=batch) as grant if batch is not None:
            counted = terms.key_for(grant)
            return [
                *approvals.needs(counted, grant),
                _placed(counted),
                terms.needs(counted),
                _members(counted, batch_key(batch)),
                *by_day.needs(_members(counted, batch_key(batch)), grant.approved_on),
                *([_spelled(counted, batch_key(batch))] if isinstance(batch, str) else []),
                _placed_of(counted, name_key(grant.company.name)),
                _batches(counted),
            ]
        case BatchAnnounced() as batch:
            return [terms.needs(terms.key_for(batch)), *lists(event)]
        case _:
            return []


def lists(event: DecodedEvent) -> list[str]:
    match event.data:
        case BatchAnnounced() as batch:
            return [f"reports\t{terms.key_for(batch)}"]
        case _:
            return []


def evolve(documents: Documents, event: DecodedEvent, stands: bool) -> None:
    match event.data:
        case BatchAnnounced() as batch:
            counted = terms.seen(documents, batch, stands)
            pages.keep(documents, f"reports\t{counted}", event.position, _report(batch), stands)
        case ApprovalGranted(batch=batch) as grant if batch is not None:
            counted = terms.seen(documents, grant, stands)
            of = batch_key(batch)
            if isinstance(batch, str):
                spelled = terms.with_times(
                    documents.get(_spelled(counted, of)) or {}, batch, 1 if stands else -1
                )
                documents.put(_spelled(counted, of), spelled or None)
            in_batch, in_any = approvals.record_of(
                documents, counted, grant, event.position, of, stands=stands
            )
            for sign, approval in in_batch:
                _count(documents, counted, of, approval.position, sign)
                by_day.count(documents, _members(counted, of), approval.on, approval.position, sign)
                _count_of(documents, counted, of, approval.company, sign)
            if in_any:
                more = sum(sign for sign, _ in in_any)
                documents.put(_placed(counted), (documents.get(_placed(counted)) or 0) + more or None)
        case _:
            pass


def batch_key(batch: int | str) -> str:
    """The key of a batch that is known by its ordinal or by its label."""
    return f"#{batch}" if isinstance(batch, int) else f"label\t{name_key(batch)}"


def fetch(documents: Documents, counted: Sequence[str]) -> None:
    """Reads ahead what is known in these terms, in five round trips."""
    documents.fetch(place for terms in counted for place in (_batches(terms), _placed(terms)))
    known = [(terms, of) for terms in counted for of in documents.get(_batches(terms)) or []]
    places = [_members(terms, of) for terms, of in known]
    documents.fetch([*places, *(_spelled(terms, of) for terms, of in known if not of.startswith("#"))])
    by_day.fetch(documents, places)
    pages.fetch(documents, [f"reports\t{terms}" for terms in counted])


def reports(documents: Documents, counted: str) -> list[tuple[int, dict[str, Any]]]:
    """The announcements in these terms, by position."""
    return list(pages.read(documents, f"reports\t{counted}"))


def members(documents: Documents, counted: str) -> dict[str, tuple[int, list[int]]]:
    """By batch, how many distinct approvals name it, and some positions of these."""
    batches: list[str] = documents.get(_batches(counted)) or []
    documents.fetch([_members(counted, batch) for batch in batches])
    return {batch: documents.get(_members(counted, batch)) for batch in batches}


def spelled(documents: Documents, counted: str, batch: str) -> dict[str, int]:
    """How often the reports of a batch's members use each spelling of its label."""
    return {} if batch.startswith("#") else documents.get(_spelled(counted, batch)) or {}


def members_by_day(documents: Documents, counted: str, batch: str) -> list[dict[str, Any]]:
    """The distinct approvals that name a batch, by the days they may be of: see `by_day.as_told`."""
    return by_day.as_told(documents, _members(counted, batch))


def members_of(documents: Documents, counted: str, companies: Iterable[str]) -> dict[str, dict[str, int]]:
    """By batch, how many of its distinct approvals are under each of these company names (as keys), without those that have none."""
    listed = list(companies)
    documents.fetch([_placed_of(counted, company) for company in listed])
    found: dict[str, dict[str, int]] = {}
    for company in listed:
        for batch, count in (documents.get(_placed_of(counted, company)) or {}).items():
            found.setdefault(batch, {})[company] = count
    return found


def placed(documents: Documents, counted: str) -> int:
    """How many distinct approvals are put in some batch, going only by the reports that name a batch."""
    return int(documents.get(_placed(counted)) or 0)


def of_numbers(documents: Documents, counted: str, numbers: Iterable[str]) -> dict[str, set[str]]:
    """The batches that reports with these registry numbers (as keys) put each of them in."""
    places = {number: approvals.place_of(counted, number) for number in numbers}
    documents.fetch(places.values())
    return {number: {report[-1] for report in documents.get(place) or []} for number, place in places.items()}


def holders(documents: Documents, counted: str, numbers: Iterable[str]) -> dict[str, dict[str, str]]:
    """For each of these registry numbers (as keys), and each batch that reports put it in, the company name (as a key) under which it
    counts there."""
    places = {number: approvals.place_of(counted, number) for number in numbers}
    documents.fetch(places.values())
    found: dict[str, dict[str, str]] = {}
    for number, place in places.items():
        for _, _, company, _, batch in documents.get(place) or []:
            found.setdefault(number, {}).setdefault(batch, company)
    return found


def _report(batch: BatchAnnounced) -> dict[str, Any]:
    return batch.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        include={"ordinal", "label", "announced_on", "size", "named", "source"},
    )


def _count(documents: Documents, counted: str, batch: str, position: int, sign: int) -> None:
    place, listed = _members(counted, batch), _batches(counted)
    before, sample = documents.get(place) or (0, [])
    changed = [before + sign, approvals.sampled(sample, position, sign, SAMPLE)]
    documents.put(place, changed if before + sign else None)
    if not before:
        documents.put(listed, sorted([*(documents.get(listed) or []), batch]))
    elif not before + sign:
        documents.put(listed, [other for other in documents.get(listed) if other != batch] or None)


def _count_of(documents: Documents, counted: str, batch: str, company: str, sign: int) -> None:
    place = _placed_of(counted, company)
    documents.put(place, terms.with_times(documents.get(place) or {}, batch, sign) or None)


def _placed(counted: str) -> str:
    return f"placed\t{counted}"


def _batches(counted: str) -> str:
    return f"batches\t{counted}"


def _placed_of(counted: str, company: str) -> str:
    return f"placed\t{counted}\t{company}"


def _spelled(counted: str, batch: str) -> str:
    return f"spelled\t{counted}\t{batch}"


def _members(counted: str, batch: str) -> str:
    return f"members\t{counted}\t{batch}"
