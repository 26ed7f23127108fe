"""The days on which what a ledger holds was published: between them lies all that `known_as=published` can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Query, Request, Response
from redis import Redis

from events import InvalidEvent, Log, RecordedEvent, canonical, decode
from projections import published_on

from . import documents, parameters
from .access import READING
from .answering import MEDIA_TYPES, Standing, form_of, sent
from .ledgers import LogOf

router = APIRouter(prefix="/ledgers/{ledger}", tags=["log"], dependencies=[READING])


@router.get("/publication", responses=documents.publication())
def publication(request: Request, log: LogOf, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001  # it refuses every parameter
    """The first and the last day on which anything that the ledger holds was published; null where it holds nothing."""
    form_of(request, None, {"json": MEDIA_TYPES["json"]})
    now = Standing.of(log, ())

    def build() -> tuple[bytes, bool]:
        span = _span(log, now.head)
        document = {
            "ledger": log.ledger,
            "position": span.position,
            "first": None if span.first is None else str(span.first),
            "last": None if span.last is None else str(span.last),
        }
        return canonical(document) + b"\n", span.position == now.head

    return sent(request, now, [], build, media_type=MEDIA_TYPES["json"], headers={})


@dataclass(frozen=True, slots=True)
class _Span:
    """The days of the events up to a position, the last of which has this digest."""

    position: int = 0
    digest: str = ""
    first: date | None = None
    last: date | None = None

    def widened(self, event: RecordedEvent) -> _Span:
        try:
            on = published_on(decode(event))
        except InvalidEvent:  # no event, which every answer leaves out and lists as parked
            on = event.recorded_at.date()
        return _Span(event.position, event.digest, min(self.first or on, on), max(self.last or on, on))


_READ: WeakKeyDictionary[Redis, dict[str, _Span]] = WeakKeyDictionary()
"""What was read over each client, by ledger: a log is read once, and then its new events."""


def _span(log: Log, upto: int) -> _Span:
    read = _READ.setdefault(log.client, {})
    span = read.get(log.ledger, _Span())
    if span.position and ((last := log.at(span.position)) is None or last.digest != span.digest):
        span = _Span()  # it is another log now
    for event in log.read(after=span.position, limit=max(0, upto - span.position)):
        span = span.widened(event)
    if span.position:  # whoever asks for ever new names fills no memory
        read[log.ledger] = span
    return span
