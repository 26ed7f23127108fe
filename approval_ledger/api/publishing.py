"""POST of events: CloudEvents 1.0 in binary, structured and batched mode, all of a request or nothing of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from events import (
    Event,
    Fault,
    InvalidEvent,
    LedgerError,
    Log,
    Receipt,
    TooLarge,
    canonical,
    from_json,
    loads,
    parse,
    read_events,
)
from projections import PROJECTIONS
from workers import ring

from . import documents, parameters
from .access import APPENDING
from .bodies import sent_as
from .body import BATCH_LIMIT, EVENT_LIMIT, body_of
from .ledgers import LogOf
from .problems import RequestRefused, wrong_in
from .tracing import Tracing

router = APIRouter(prefix="/ledgers/{ledger}", tags=["log"], dependencies=[APPENDING])

BATCH_EVENTS = 1_000  # over HTTP; an import of more goes through the command
LONG = 1024 * 1024  # bytes
STRUCTURED, BATCHED, BINARY = (
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/json",
)

Mode = Literal["structured", "batched", "binary"]


@router.post(
    "/events", responses=documents.published(), openapi_extra=documents.publishing(), status_code=201
)
async def publish(
    request: Request,
    log: LogOf,
    query: Annotated[parameters.Nothing, Query()],  # noqa: ARG001  # it refuses every parameter
) -> Response:
    """Publishes one event, or a batch. What is answered 201 or 200 is on the server's disk; sending it again stores nothing twice.

    `If-Match: "17"` appends only where the ledger's last position is 17; `Expect-Subject: none`, `exists` or `17` only where
    the events' subject has no event, has some, or has its last one at position 17.
    """
    mode = _mode(request)
    content = await body_of(request, BATCH_LIMIT if mode == "batched" else EVENT_LIMIT)
    return await run_in_threadpool(_publish, request, log, mode, content)


def _publish(request: Request, log: Log, mode: Mode, content: bytes) -> Response:
    events = _events(request, mode, content)
    expected_position, expected_subject = _expected_position(request), _expected_subject(request, events)
    tracing: Tracing = request.app.state.tracing
    with tracing.appending(log, events) as span:
        receipts = log.append(events, expected_position=expected_position, expected_subject=expected_subject)
        appended = [receipt for receipt in receipts if not receipt.duplicate]
        if appended:
            tracing.appended(span, log, appended[-1].position)
    if appended:
        with suppress(LedgerError):  # a lost bell costs time and nothing else, and the events are stored
            ring(log.client, log.ledger, PROJECTIONS)
    request.scope["appended"] = [receipt.position for receipt in appended]
    first = (appended or receipts)[0]
    return Response(
        canonical(_document(log, receipts)) + b"\n",
        201 if appended else 200,
        media_type="application/json",
        headers={
            "Location": f"events/{first.position}",
            "Cache-Control": "no-store",
        },
    )


def _document(log: Log, receipts: Sequence[Receipt]) -> dict[str, Any]:
    already = sum(receipt.duplicate for receipt in receipts)
    return {
        "ledger": log.ledger,
        "position": max(receipt.position for receipt in receipts),
        "appended": len(receipts) - already,
        "already": already,
        "events": [
            {
                "status": "already" if receipt.duplicate else "appended",
                "position": receipt.position,
                "source": receipt.source,
                "id": receipt.id,
            }
            for receipt in receipts
        ],
    }


# What is sent


def _mode(request: Request) -> Mode:
    modes: dict[str, Mode] = {STRUCTURED: "structured", BATCHED: "batched", BINARY: "binary"}
    says = f"send {STRUCTURED}, {BATCHED}, or {BINARY} with the attributes in ce- headers; in UTF-8"
    # An event need not name the type of its data.
    unsaid = BINARY if any(name.startswith("ce-") for name in request.headers) else ""
    return modes[sent_as(request, list(modes), says, unsaid)]


def _events(request: Request, mode: Mode, content: bytes) -> list[Event]:
    if mode == "structured":
        return [parse(content)]
    if mode == "binary":
        return [from_json(_attributes(request) | {"data": loads(content)})]
    return _batch(content)


def _batch(content: bytes) -> list[Event]:
    if not content.lstrip(b" \t\r\n").startswith(b"["):
        loads(content)
        raise InvalidEvent([Fault("validation", "a batch is a JSON array of events")])
    if (count := _elements(content)) > BATCH_EVENTS:
        raise TooLarge(
            f"a batch over HTTP holds at most {BATCH_EVENTS:,} events, not {count:,}. Nothing was stored."
        )
    submissions = list(read_events(content))
    faults = [
        Fault(fault.code, fault.message, fault.field, index)
        for index, submission in enumerate(submissions)
        for fault in submission.faults
    ]
    if too_large := next((fault for fault in faults if fault.code == TooLarge.code), None):
        raise TooLarge(f"event {too_large.index}: {too_large.message}. Nothing was stored.")
    if faults:
        raise InvalidEvent(faults)
    return [submission.event for submission in submissions if submission.event is not None]


def _elements(content: bytes) -> int:
    """How many elements a JSON array has, found in milliseconds, so that millions are refused before any is read; 0 where it
    is none. Raises InvalidEvent where a long text is none: whoever reads a short one says better what is wrong."""
    try:
        return len(msgspec.json.decode(content, type=list[msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if len(content) > LONG:
            # msgspec gives up at the depth that the interpreter has, which is over ours.
            code = "too-deep" if isinstance(error, RecursionError) else "invalid-json"
            raise InvalidEvent([Fault(code, str(error))]) from None
        return 0


def _attributes(request: Request) -> dict[str, object]:
    """The attributes of an event whose data is the body. The media type of the data is that of the request."""
    found: dict[str, object] = {}
    for name, value in request.headers.items():
        if name.startswith("ce-"):
            attribute = name.removeprefix("ce-")
            if attribute in found:
                raise InvalidEvent(
                    [Fault("duplicate-key", f"the header {name[:80]} is sent twice", attribute)]
                )
            if attribute in ("data", "datacontenttype"):
                raise InvalidEvent([Fault("validation", "is no attribute that a header may give", attribute)])
            found[attribute] = _unescaped(attribute, value)
    if not found:
        raise RequestRefused(
            415,
            "unsupported-media-type",
            f"{BINARY} is the data of an event, and its attributes are headers such as ce-id: none is there. A whole event is "
            f"{STRUCTURED}",
            {"Accept-Post": f"{STRUCTURED}, {BATCHED}, {BINARY}"},
        )
    return found


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def _unescaped(attribute: str, value: str) -> str:
    """As the HTTP binding has it (3.1.3.2): a quoted string is opened, then percent-encoding, once."""
    quoted = _QUOTED.fullmatch(value)
    if quoted:
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    raw = value.encode("latin-1")  # as Starlette decoded it
    if re.search(rb"%(?![0-9A-Fa-f]{2})", raw):
        raise InvalidEvent(
            [Fault("validation", "has a % that encodes nothing: write %25 for one", attribute)]
        )
    try:
        return re.sub(rb"%(..)", lambda found: bytes([int(found[1], 16)]), raw).decode()
    except UnicodeDecodeError:
        raise InvalidEvent([Fault("validation", "is not percent-encoded UTF-8", attribute)]) from None


# What is expected

_POSITION = (
    "0|[1-9][0-9]{0,15}"  # as it is written, and no other way: what is compared is the text of an entity tag
)


def _expected_position(request: Request) -> int | None:
    given = _once(request, "If-Match")
    if given is None:
        return None
    match = re.fullmatch(f'"({_POSITION})"', given)
    if match is None or int(match[1]) >= 2**53:
        raise _wrong(
            "If-Match",
            'If-Match is the ledger\'s last position in quotes, as "17"; "0" where it must be empty',
        )
    return int(match[1])


def _expected_subject(
    request: Request, events: Sequence[Event]
) -> tuple[str, Literal["none", "exists"] | int] | None:
    given = _once(request, "Expect-Subject")
    if given is None:
        return None
    subjects = {event.subject for event in events}
    subject = subjects.pop() if len(subjects) == 1 else None
    if subject is None:
        raise _wrong(
            "Expect-Subject", "Expect-Subject goes with events of one subject, which each of them names"
        )
    states: Mapping[str, Literal["none", "exists"]] = {"none": "none", "exists": "exists"}
    if given in states:
        return subject, states[given]
    if re.fullmatch(_POSITION, given) is None or int(given) >= 2**53:
        raise _wrong(
            "Expect-Subject", "Expect-Subject is none, exists, or the position of the subject's last event"
        )
    return subject, int(given)


def _once(request: Request, header: str) -> str | None:
    given = request.headers.getlist(header)
    if len(given) > 1:
        raise _wrong(header, f"the header {header} is sent {len(given)} times: send it once")
    return given[0].strip() if given else None


def _wrong(header: str, says: str) -> RequestRefused:
    return wrong_in("header", header, "bad-question", says)
