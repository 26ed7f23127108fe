"""The fold of companies: what is reported under each name, and how many approvals it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from events import DecodedEvent, name_key
from events.catalog import (
    ApprovalAmended,
    ApprovalGranted,
    ApprovalRevoked,
    BatchAnnounced,
    CompanyIdentified,
    CompanyMerged,
    Source,
    UsageReported,
)

from . import approvals, batches, buckets, identities, pages, terms
from .projection import Documents

name = "companies"
version = 15
handles = frozenset(
    model.TYPE
    for model in (
        ApprovalAmended,
        ApprovalGranted,
        ApprovalRevoked,
        BatchAnnounced,
        CompanyIdentified,
        CompanyMerged,
        UsageReported,
    )
)


def needs(event: DecodedEvent) -> list[str]:
    match event.data:
        case ApprovalGranted() as grant:
            company = name_key(grant.company.name)
            return [*approvals.needs(terms.key_for(grant), grant), _record(company), f"history\t{company}"]
        case CompanyIdentified() | CompanyMerged() as data:
            return identities.needs(data)
        case _:
            return [*lists(event), *map(_record, _noted_for(event))]


def lists(event: DecodedEvent) -> list[str]:
    histories = [f"history\t{name}" for name in _noted_for(event)]
    match event.data:
        case ApprovalAmended() as data:
            return [*histories, _amended(data)]
        case ApprovalRevoked() as data:
            return [*histories, _revoked(data)]
        case CompanyIdentified() | CompanyMerged() as data:
            return identities.lists(data)
        case _:
            return histories


def _noted_for(event: DecodedEvent) -> list[str]:
    """The names (as keys) of the companies whose histories tell of it."""
    match event.data:
        case ApprovalGranted() as data:
            texts = [data.company.name]
        case BatchAnnounced() as data:
            texts = [named.company for named in data.named]
        case UsageReported() as data:
            texts = [data.company]
        case ApprovalAmended() as data:
            texts = [data.changes.company.name] if data.changes.company is not None else []
        case ApprovalRevoked() as data:
            texts = [data.company.name] if data.company is not None else []
        case _:
            texts = []
    return list(dict.fromkeys(map(name_key, texts)))


def evolve(documents: Documents, event: DecodedEvent, stands: bool) -> None:
    match event.data:
        case ApprovalGranted() as data:
            _grant(documents, data, event, stands)
        case BatchAnnounced() as data:
            _mention(documents, data, event.position, stands)
        case UsageReported() as data:
            users = {"kind": "used", "item": data.item, "users": data.users.model_dump(exclude_none=True)}
            dated = users | {"as_of": data.as_of} | _by(data.source)
            _note(documents, data.company, event.position, dated, stands, [])
        case ApprovalAmended() as data:
            _amend(documents, data, event.position, stands)
        case ApprovalRevoked() as data:
            entry = {"kind": "revoked", "on": data.revoked_on} | (
                {"reason": data.reason} if data.reason else {}
            )
            if data.company is not None:
                # What nobody lists is known of the company all the same.
                what = data.model_dump(
                    mode="json",
                    exclude_none=True,
                    include={"authority", "instrument", "registry_number", "item"},
                )
                whole = entry | what | _by(data.source)
                _note(documents, data.company.name, event.position, whole, stands, [])
            pages.keep(documents, _revoked(data), event.position, entry | _by(data.source), stands)
        case CompanyIdentified() as data:
            identities.identify(documents, data, event.position, stands)
        case CompanyMerged() as data:
            identities.merge(documents, data, event.position, stands)
        case _:
            pass


def record(documents: Documents, company: str) -> dict[str, Any] | None:
    """What is counted under one name (as a key): how often each `spelled` form is written, and, by terms, the `granted`
    approvals, and those of them that are `unnumbered`."""
    found: dict[str, Any] | None = documents.get(_record(company))
    return found


def records(documents: Documents, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Those of many names that have a record, fetched at once."""
    listed = list(names)
    documents.fetch(map(_record, listed))
    return {name: held for name in listed if (held := record(documents, name)) is not None}


def all_names(documents: Documents) -> list[str]:
    """Every name (as a key) under which something is counted."""
    names = list(buckets.read(documents, "names"))
    documents.fetch(map(_record, names))
    return names


def fetch_unnumbered(documents: Documents, counted: Sequence[str]) -> None:
    """Reads `unnumbered`, `mixed`, `shared` and `redated` ahead, in several terms."""
    pages.fetch(documents, [place(terms) for terms in counted for place in (_mixed, _shared, _redated)])
    buckets.fetch(documents, [f"unnumbered\t{terms}" for terms in counted])


def unnumbered(documents: Documents, counted: str) -> list[str]:
    """Every name (as a key) that has an approval without a registry number in these terms."""
    return list(buckets.read(documents, f"unnumbered\t{counted}"))


def mixed(documents: Documents, counted: str) -> list[tuple[str, str]]:
    """Every company and item (as keys) of an approval that some reports give a registry number, and others do not."""
    return [(company, item) for _, (company, item) in pages.read(documents, _mixed(counted))]


def redated(documents: Documents, counted: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The approvals for which the reports that name a batch allow other days than all reports: by registry number (as a key), or
    without one by item and company (as keys)."""
    entries = [entry for _, entry in pages.read(documents, _redated(counted))]
    return [of[0] for of in entries if len(of) == 1], [(of[0], of[1]) for of in entries if len(of) == 2]


ByTerms = Mapping[str, list[approvals.Told]]
"""By terms, what is reported of one registry number."""


def shared(documents: Documents, counted: Sequence[str]) -> dict[str, ByTerms]:
    """Every registry number (as a key) that reports in these terms, which are one, give to several companies: by terms, what is
    reported of it."""
    numbers = {number for of in counted for _, number in pages.read(documents, _shared(of))}
    if len(counted) > 1:
        numbers |= _shared_between(documents, counted)
    listed = sorted(numbers)
    told = {of: approvals.reports_of(documents, of, listed) for of in counted}
    return {
        number: {of: reports[index] for of, reports in told.items() if reports[index]}
        for index, number in enumerate(listed)
    }


def _shared_between(documents: Documents, counted: Sequence[str]) -> set[str]:
    """Those that are given to several companies where all of these terms are looked at."""
    names = all_names(documents)
    fetch_granted(documents, names)
    given: dict[str, set[str]] = {}
    for of, name in product(counted, names):
        for entry in granted(documents, name, of):
            if (number := entry["item"].get("registry_number")) is not None:
                given.setdefault(name_key(number), set()).add(name)
    return {number for number, of in given.items() if len(of) > 1}


def amended_to(documents: Documents, counted: Iterable[str], numbers: Iterable[str]) -> dict[str, set[str]]:
    """By registry number (as a key), the names (as keys) of the companies that amendments give it to."""
    instruments = sorted(
        {(authority, instrument) for authority, instrument, _ in (of.split("\t") for of in counted)}
    )
    places = {
        number: [_of_number(authority, instrument, number) for authority, instrument in instruments]
        for number in numbers
    }
    pages.fetch(documents, [place for of in places.values() for place in of])
    return {
        number: {
            name_key(change["changes"]["company"]["name"])
            for place in of
            for _, change in pages.read(documents, place)
            if "company" in change.get("changes", {})
        }
        for number, of in places.items()
    }


def granted(documents: Documents, company: str, counted: str) -> list[dict[str, Any]]:
    """What reports say of the approvals under one name in these terms, in the order of the log."""
    entries = pages.read(documents, f"history\t{company}")
    return [entry for _, entry in entries if _is_granted(entry, counted)]


def fetch_granted(documents: Documents, names: Iterable[str]) -> None:
    """Reads ahead what `granted` will ask for, of many names (as keys)."""
    pages.fetch(documents, [f"history\t{name}" for name in names])


def granted_at(documents: Documents, company: str, counted: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same with the position of each report. The history is read as far as they are asked for."""
    entries = pages.read(documents, f"history\t{company}")
    return ((position, entry) for position, entry in entries if _is_granted(entry, counted))


def _is_granted(entry: dict[str, Any], counted: str) -> bool:
    return (
        entry["kind"] == "granted"
        and terms.key_of(entry["authority"], entry["instrument"], entry["unit"]) == counted
    )


def numbers_of(
    documents: Documents, counted: str, items: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], set[str]]:
    """The registry numbers (as keys) that reports in these terms give to each item and company (as keys) that has any. Of a history
    no more is read than these reports."""
    places = approvals.numbered_at(documents, counted, items)
    entries = [(f"history\t{company}", at) for (_, company), of in places.items() for at in of]
    pages.fetch_places(documents, entries)
    found: dict[tuple[str, str], set[str]] = {}
    for (item, company), of in places.items():
        for at in of:
            _, entry = next(pages.read(documents, f"history\t{company}", after=at - 1))
            found.setdefault((item, company), set()).add(name_key(entry["item"]["registry_number"]))
    return found


def fetch_histories(documents: Documents, names: Iterable[str], *, most: int | None = None) -> None:
    """Reads ahead what is known under many names (as keys), with the registry numbers in it; or `most` grants of each, which it
    begins with."""
    histories = [f"history\t{name}" for name in names]
    (pages.fetch if most is None else pages.fetch_starts)(documents, histories)
    granted = [
        entry
        for of in histories
        for entry in islice((e for _, e in pages.read(documents, of) if e["kind"] == "granted"), most)
    ]
    documents.fetch(
        approvals.place_of(
            terms.key_of(e["authority"], e["instrument"], e["unit"]), name_key(e["item"]["registry_number"])
        )
        for e in granted
        if "registry_number" in e["item"]
    )


def fetch_starts(documents: Documents, names: Iterable[str]) -> None:
    """Reads ahead the records of many names (as keys), and what `positions` gives of each at first."""
    listed = list(names)
    documents.fetch(map(_record, listed))
    pages.fetch_starts(documents, [f"history\t{name}" for name in listed])


def positions(documents: Documents, company: str) -> Iterator[int]:
    """The positions of what is known under one name (as a key), in order."""
    return (position for position, _ in pages.read(documents, f"history\t{company}"))


def history(documents: Documents, company: str, names: Sequence[str]) -> list[tuple[int, dict[str, Any]]]:
    """What is known under one name, in the order of the log; what became of an approval, under any of the `names` that its
    company has, stands with it, and whatever else became of one that an amendment gave to the company with that."""
    entries = list(pages.read(documents, f"history\t{company}"))
    pages.fetch(documents, [place for _, entry in entries for place in _later(entry, names)])
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}  # many reports may be of one approval

    def later(position: int, places: tuple[str, ...]) -> list[dict[str, Any]]:
        if places not in found:
            found[places] = _changes(documents, places)
        return [change for change in found[places] if change["position"] != position]

    return [
        (position, entry | {"later": later(position, tuple(places))} if places else entry)
        for position, entry in entries
        for places in [_later(entry, names)]
    ]


def _changes(documents: Documents, places: Iterable[str]) -> list[dict[str, Any]]:
    changes = {at: change for place in places for at, change in pages.read(documents, place)}
    return [{"position": at} | change for at, change in sorted(changes.items())]


def _grant(documents: Documents, grant: ApprovalGranted, event: DecodedEvent, stands: bool) -> None:
    counted = terms.key_for(grant)
    before = [listed_at(documents, counted, grant) for _, listed_at, _ in _LISTS]
    batch = None if grant.batch is None else batches.batch_key(grant.batch)
    changes = approvals.record(documents, counted, grant, event.position, stands=stands, batch=batch)
    for (place, listed_at, entry), was in zip(_LISTS, before, strict=True):
        if (now := listed_at(documents, counted, grant)) != was:
            if was is not None:
                pages.remove(documents, place(counted), was)
            if now is not None:
                pages.insert(documents, place(counted), now, entry(grant))
    counts = [(approval, counted, sign) for sign, approval in changes]
    told = {part: value for part, value in event.written.items() if part not in ("company", "published")}
    _note(documents, grant.company.name, event.position, {"kind": "granted"} | told, stands, counts)


def _mention(documents: Documents, batch: BatchAnnounced, position: int, stands: bool) -> None:
    known_as = {"ordinal": batch.ordinal, "label": batch.label, "announced_on": batch.announced_on}
    batch_entry = {
        "kind": "named",
        "authority": batch.authority,
        "instrument": batch.instrument,
        "unit": batch.unit,
        "batch": {name: value for name, value in known_as.items() if value is not None},
    }
    # A company may be named more than once in a batch, for several items, or under two spellings of one name.
    items: dict[str, list[str]] = {}
    written: dict[str, str] = {}
    for named in batch.named:
        company = name_key(named.company)
        written.setdefault(company, named.company)
        items.setdefault(company, []).extend([named.item] if named.item else [])
    for company, of_company in items.items():
        entry = batch_entry | {"items": of_company} | _by(batch.source)
        _note(documents, written[company], position, entry, stands, [])


def _amend(documents: Documents, amendment: ApprovalAmended, position: int, stands: bool) -> None:
    change = amendment.model_dump(mode="json", exclude_none=True, exclude={"source", "published"})
    entry = {"kind": "amended"} | change | _by(amendment.source)
    pages.keep(documents, _amended(amendment), position, entry, stands)
    if amendment.changes.company is not None:
        _note(documents, amendment.changes.company.name, position, entry, stands, [])


Counts = list[tuple[approvals.Approval, str, int]]  # an approval, its terms, and one more or one fewer


def _note(
    documents: Documents, company: str, position: int, entry: dict[str, Any], stands: bool, counts: Counts
) -> None:
    of = name_key(company)
    pages.keep(documents, f"history\t{of}", position, entry, stands)
    held = documents.get(_record(of)) or {"spelled": {}, "granted": {}, "unnumbered": {}}
    spelled = terms.with_times(held["spelled"], company, 1 if stands else -1)
    documents.put(_record(of), held | {"spelled": spelled})
    for approval, counted, sign in counts:
        _count(documents, approval, counted, sign)
    if not held["spelled"]:
        buckets.add(documents, "names", of)
    elif not spelled:
        documents.put(_record(of), None)
        buckets.discard(documents, "names", of)


def _count(documents: Documents, approval: approvals.Approval, counted: str, sign: int) -> None:
    held = documents.get(_record(approval.company))
    changed = held | {"granted": terms.with_times(held["granted"], counted, sign)}
    if not approval.numbered:
        changed["unnumbered"] = terms.with_times(held["unnumbered"], counted, sign)
        change = buckets.add if counted in changed["unnumbered"] else buckets.discard
        if (counted in changed["unnumbered"]) != (counted in held["unnumbered"]):
            change(documents, f"unnumbered\t{counted}", approval.company)
    documents.put(_record(approval.company), changed)


def _later(entry: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Where amendments and revocations of a granted approval are: under its number, and under its item and each name of its
    company; of one that an amendment gave to the company, under its number."""
    if entry["kind"] == "amended":
        parts = (name_key(entry[part]) for part in ("authority", "instrument", "registry_number"))
        return [_of_number(*parts)]
    if entry["kind"] != "granted":
        return []
    item, number = name_key(entry["item"]["name"]), entry["item"].get("registry_number")
    place = "\t".join(("later", name_key(entry["authority"]), name_key(entry["instrument"])))
    return [
        *([f"{place}\tnumber\t{name_key(number)}"] if number else []),
        *(f"{place}\titem\t{item}\t{name}" for name in names),
    ]


def _by(source: Source) -> dict[str, Any]:
    return {"source": source.model_dump(mode="json", exclude_none=True)}


def _mixed(counted: str) -> str:
    return f"mixed\t{counted}"


def _shared(counted: str) -> str:
    return f"shared\t{counted}"


def _redated(counted: str) -> str:
    return f"redated\t{counted}"


def _company_and_item(grant: ApprovalGranted) -> list[str]:
    return [name_key(grant.company.name), name_key(grant.item.name)]


def _number(grant: ApprovalGranted) -> str:
    assert grant.item.registry_number is not None
    return name_key(grant.item.registry_number)


def _number_or_item(grant: ApprovalGranted) -> list[str]:
    return [_number(grant)] if grant.item.registry_number is not None else _company_and_item(grant)[::-1]


_LISTS: tuple[
    tuple[
        Callable[[str], str],
        Callable[[Documents, str, ApprovalGranted], int | None],
        Callable[[ApprovalGranted], Any],
    ],
    ...,
] = (
    (_mixed, approvals.mixed_since, _company_and_item),
    (_shared, approvals.shared_since, _number),
    (_redated, approvals.redated_from, _number_or_item),
)
"""What is listed of some approvals: where, at which position (if it is), and what is kept of each."""


def _revoked(revocation: ApprovalRevoked) -> str:
    """Where it is kept for the approval that it names."""
    authority, instrument = name_key(revocation.authority), name_key(revocation.instrument)
    return f"later\t{authority}\t{instrument}\t{approvals.revoked_key(revocation)}"


def _amended(amendment: ApprovalAmended) -> str:
    """Where it is kept for the approval that it names."""
    return _of_number(
        name_key(amendment.authority), name_key(amendment.instrument), name_key(amendment.registry_number)
    )


def _of_number(authority: str, instrument: str, number: str) -> str:
    """Where amendments and revocations of a registry number are (all as keys)."""
    return f"later\t{authority}\t{instrument}\tnumber\t{number}"


def _record(company: str) -> str:
    return f"record\t{company}"
