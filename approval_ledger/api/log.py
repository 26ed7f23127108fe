"""The log as it is stored: pages, NDJSON, and one event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import chain, islice
from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from events import LedgerError, Log, RecordedEvent, as_json_line, canonical

from ..listing import listed
from . import documents, parameters
from .access import READING
from .answering import cache_scope, form_of
from .conditional import has, has_any
from .ledgers import LogOf
from .problems import RequestRefused

router = APIRouter(prefix="/ledgers/{ledger}", tags=["log"], dependencies=[READING])
logger = structlog.get_logger("http")

EVENT = "application/cloudevents+json"
FORMS = {"json": "application/json", "ndjson": "application/x-ndjson"}


@router.get("/events", responses=documents.page())
def events(request: Request, log: LogOf, query: Annotated[parameters.Page, Query()]) -> Response:
    """A page of events, as they are stored; `next` is the address of the one after it. As NDJSON, one event a line, without
    a `limit` all of them."""
    form = form_of(request, query.format, FORMS)
    headers = {"Cache-Control": f"{cache_scope(request)}, no-cache", "Vary": "Accept"}
    if form == "ndjson":
        limit = query.limit if "limit" in query.model_fields_set else None
        found = _listed(log, query, limit)
        first = list(islice(found, 1))  # so that what is wrong with the log is a status, and no broken body
        if has_any(request):
            return Response(status_code=304, headers=headers)
        return Lines(request, log, chain(first, found), headers)
    found = _listed(log, query, query.limit + 1)
    shown = list(islice(found, query.limit))
    document = b'{"ledger":%b,"events":[%b],"next":%b}\n' % (
        canonical(log.ledger),
        b",".join(as_json_line(event) for event in shown),
        canonical(_address(query, shown[-1].position) if next(found, None) else None),
    )
    tag = f'"{sha256(document).hexdigest()[:32]}"'
    if has(request, tag) or has_any(request):
        return Response(status_code=304, headers=headers | {"ETag": tag})
    return Response(document, media_type=FORMS["json"], headers=headers | {"ETag": tag})


class Lines(StreamingResponse):
    """Events, one a line, sent as they are read. Where no more can be read it does not end, but is broken off: whoever reads it
    sees that something is missing."""

    media_type = FORMS["ndjson"]

    def __init__(
        self, request: Request, log: Log, found: Iterable[RecordedEvent], headers: Mapping[str, str]
    ) -> None:
        super().__init__((as_json_line(event) + b"\n" for event in found), headers=headers)
        self._about = {"request_id": request.scope["request_id"], "ledger": log.ledger}

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except LedgerError as error:
            logger.warning("answer_broken_off", **self._about, code=error.code, says=str(error))


def _listed(log: Log, query: parameters.Page, limit: int | None) -> Iterator[RecordedEvent]:
    backwards = query.backwards == "true"
    return listed(log, after=query.after, limit=limit, subject=query.subject, backwards=backwards)


def _address(query: parameters.Page, last: int) -> str:
    given = query.model_dump(exclude_unset=True, exclude_none=True) | {"after": last}
    return f"events?{urlencode(given)}"


@router.get("/events/{position}", responses=documents.event())
def event(
    request: Request,
    log: LogOf,
    position: Annotated[parameters.Place, Path()],
    query: Annotated[parameters.Nothing, Query()],  # noqa: ARG001  # it refuses every parameter
) -> Response:
    """One event, as it is stored. It never changes, unless an older copy of the log is restored: then another may come to be there."""
    found = log.at(position)
    if found is None:
        raise RequestRefused(404, "not-found", f"ledger {log.ledger} has no position {position} yet")
    content = as_json_line(found)
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    # To be asked for again, by its tag: what was kept would hide from a client that comes back that the log is another one.
    headers = {"ETag": tag, "Cache-Control": f"{cache_scope(request)}, no-cache"}
    if has(request, tag) or has_any(request):
        return Response(status_code=304, headers=headers)
    return Response(content + b"\n", media_type=EVENT, headers=headers)
