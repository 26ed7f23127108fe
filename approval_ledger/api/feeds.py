"""Atom feeds (RFC 4287): approvals as they are reported, those of one company, and contradictions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Annotated
from urllib.parse import quote, urlencode, urlsplit, urlunsplit
from xml.etree import ElementTree as ET

from fastapi import APIRouter, Query, Request, Response

from events import DecodedEvent, EventData, InvalidEvent, Log, RecordedEvent, canonical, catalog, decode
from projections import PROJECTIONS, Answer, queries

from . import documents, parameters
from .access import READING
from .answering import NEAR, Standing, sent, standing
from .ledgers import LogOf

router = APIRouter(prefix="/ledgers/{ledger}/feeds", tags=["feeds"], dependencies=[READING])

ATOM = "application/atom+xml"
ENTRIES = 50
LOOKED_AT = 100_000  # events before the head, in which approvals are looked for: of others so many take 0.4 s
_APPROVALS = ("approval.granted.v1", "approval.amended.v1", "approval.revoked.v1", "batch.announced.v1")
_APPROVALS_WRITTEN = tuple(kind.encode() for kind in _APPROVALS)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_IRI = re.compile(r"""[][<>"{}|\\^`#]|%(?![0-9A-Fa-f]{2})""")  # in any of its parts


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. Its id is made of what it tells, so that another telling is another entry. Its link is without scheme and host:
    a proxy that does TLS has others."""

    id: str
    title: str
    updated: str
    link: str
    summary: str
    author: str
    source: str | None = None


@router.get("/approvals", responses=documents.feed())
def approvals(request: Request, log: LogOf, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001
    """The newest reports of approvals, of their changes and ends, and of batches."""
    now = Standing.of(log, ())

    def build() -> tuple[bytes, bool]:
        newest = log.read_backwards(before=now.head + 1, limit=LOOKED_AT)
        read = _read(event for event in newest if _may_be_of_an_approval(event))
        found = (_of_event(log, *each) for each in read if each[1].is_of(_APPROVALS))
        title = f"Approvals in ledger {log.ledger}"
        return _feed(request, log, now, "approvals", title, islice(found, ENTRIES)), True

    return sent(request, now, [], build, media_type=ATOM, headers={})


def _may_be_of_an_approval(event: RecordedEvent) -> bool:
    # So that few are decoded.
    return any(kind in event.payload for kind in _APPROVALS_WRITTEN)


def _read(events: Iterable[RecordedEvent]) -> Iterator[tuple[RecordedEvent, DecodedEvent]]:
    """Those that can be read: the others are told where they are parked."""
    for event in events:
        with suppress(InvalidEvent):
            yield event, decode(event)


@router.get("/company", responses=documents.feed())
def company(request: Request, log: LogOf, query: Annotated[parameters.CompanyFeed, Query()]) -> Response:
    """The newest reports of one company, under all its names."""
    asked = parameters.AsOf().asked()
    now = standing(request, log, queries.COUNTING, asked)

    def build() -> tuple[bytes, bool]:
        answer = queries.companies(log, query.name, at_least=now.head if now.behind <= NEAR else 0)
        entries_of = [entry for found in answer["answers"] for entry in found["history"]]
        positions = {each["position"] for entry in entries_of for each in (entry, *entry.get("later", []))}
        newest = sorted(positions, reverse=True)[:ENTRIES]
        entries = (_of_event(log, *each) for each in _read(log.at_each(newest)))
        of = f"company:{sha256(query.name.encode()).hexdigest()[:32]}"  # one may be called as the other feeds are
        title = f"{query.name} in ledger {log.ledger}"
        return _feed(request, log, now, of, title, entries), answer["position"] == now.head

    return sent(request, now, [query.name], build, media_type=ATOM, headers={})


@router.get("/contradictions", responses=documents.feed())
def contradictions(request: Request, log: LogOf, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001
    """The reports that cannot all be true, the newest first."""
    now = standing(request, log, [*queries.COUNTING, PROJECTIONS["shares"]], parameters.AsOf().asked())

    def build() -> tuple[bytes, bool]:
        at_least = now.head if now.behind <= NEAR else 0
        answers = [
            ask(log, at_least=at_least)
            for ask in (queries.totals, queries.batches, queries.companies, queries.shares)
        ]
        found = sorted(_contradictions(answers), key=lambda each: (-max(each[0]), each))[:ENTRIES]
        newest = log.at_each([max(events) for events, _ in found])
        entries = (_of_contradiction(log, *each, last) for each, last in zip(found, newest, strict=True))
        title = f"Contradictions in ledger {log.ledger}"
        settled = all(answer["position"] == now.head for answer in answers)
        return _feed(request, log, now, "contradictions", title, entries), settled

    return sent(request, now, [], build, media_type=ATOM, headers={})


def _contradictions(answers: Iterable[Answer]) -> set[tuple[tuple[int, ...], str]]:
    return {
        (tuple(contradiction["events"]), contradiction["says"])
        for answer in answers
        for found in answer["answers"]
        for contradiction in found["contradictions"]
    }


def _of_contradiction(log: Log, events: Sequence[int], says: str, newest: RecordedEvent) -> Entry:
    told = sha256(canonical([list(events), says])).hexdigest()[:32]
    positions = ", ".join(map(str, events))
    return Entry(
        id=f"urn:approval-ledger:{log.ledger}:contradiction:{told}",
        title=f"Positions {positions} contradict each other",
        updated=_instant(newest),
        link=f"/ledgers/{log.ledger}/events/{newest.position}",
        summary=says,
        author="approval-ledger",
    )


def _of_event(log: Log, recorded: RecordedEvent, event: DecodedEvent) -> Entry:
    source = getattr(event.data, "source", None)
    return Entry(
        id=f"urn:approval-ledger:{log.ledger}:event:{recorded.position}",
        title=_title(event),
        updated=_instant(recorded),
        link=f"/ledgers/{log.ledger}/events/{recorded.position}",
        summary=source.title if source and source.title else _title(event),
        author=source.publisher if source else event.source,
        source=source.url if source else None,
    )


def _title(event: DecodedEvent) -> str:
    return f"{event.position}: {_says(event.data) if event.data else event.type}"


def _says(data: EventData) -> str:
    match data:
        case catalog.ApprovalGranted():
            return f"{data.company.name}: {data.item.name}, {data.instrument} by {data.authority} on {data.approved_on}"
        case catalog.ApprovalAmended():
            changes = [part.name for part in (data.changes.company, data.changes.item) if part]
            return f"{data.instrument} {data.registry_number} by {data.authority} changed to {', '.join(changes)}"
        case catalog.ApprovalRevoked():
            of = data.registry_number or ": ".join(part.name for part in (data.company, data.item) if part)
            return f"{data.instrument} of {of} by {data.authority} ended on {data.revoked_on}"
        case catalog.BatchAnnounced():
            named = ", ".join(named.company for named in data.named[:10])
            among = f", among them {named}" if named else ""
            return f"{data.authority}: a batch of {data.size}, announced on {data.announced_on}{among}"
        case catalog.UsageReported():
            return f"{data.company}: {data.item} has {data.users} users on {data.as_of}"
    return data.TYPE


def _instant(event: RecordedEvent) -> str:
    return event.recorded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _feed(request: Request, log: Log, now: Standing, of: str, title: str, entries: Iterable[Entry]) -> bytes:
    own = request.url.path
    own += f"?{urlencode(request.query_params.multi_items())}" if request.query_params else ""
    head = log.at(now.head) if now.head else None
    root = ET.Element("feed", xmlns="http://www.w3.org/2005/Atom")
    _add(root, "id", f"urn:approval-ledger:{log.ledger}:feed:{of}")
    _add(root, "title", title)
    _add(root, "updated", _instant(head) if head else "1970-01-01T00:00:00Z")
    _add(root, "generator", "approval-ledger")
    ET.SubElement(root, "link", rel="self", type=ATOM, href=own)
    for entry in entries:
        root.append(_element(entry))
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _element(entry: Entry) -> ET.Element:
    element = ET.Element("entry")
    for name in ("id", "title", "updated", "summary"):
        _add(element, name, getattr(entry, name))
    _add(ET.SubElement(element, "author"), "name", entry.author)
    ET.SubElement(element, "link", rel="alternate", type="application/cloudevents+json", href=entry.link)
    if entry.source is not None and (iri := _iri(entry.source)) is not None:
        ET.SubElement(element, "link", rel="via", href=iri)
    return element


def _iri(url: str) -> str | None:
    """The address of a source as RFC 3987 has it, which browsers and events are less strict about; None if its host or its port is
    none."""
    parts = urlsplit(_NOT_IN_XML.sub("", url))
    try:
        parts.port  # noqa: B018  # raises where it is none
    except ValueError:
        return None
    if _NOT_IN_IRI.search(parts.netloc.replace("[", "").replace("]", "")):
        return None
    path, query, fragment = (
        _NOT_IN_IRI.sub(lambda found: quote(found.group(), safe=""), part)
        for part in (parts.path, parts.query, parts.fragment)
    )
    return urlunsplit((parts.scheme, parts.netloc, path, query, fragment))


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = _NOT_IN_XML.sub("\ufffd", text)
