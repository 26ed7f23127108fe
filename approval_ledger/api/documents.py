"""What the responses hold, for /openapi.json: models that describe and never convert. docs/format.md has the meanings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .answering import MEDIA_TYPES
from .problems import MEDIA_TYPE as PROBLEM

Responses = dict[int | str, dict[str, Any]]


class Problem(BaseModel):
    """RFC 9457. `code` is stable and documented; further members depend on it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(pattern="^urn:approval-ledger:error:[a-z-]+$")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str
    request_id: str


class Answer(BaseModel):
    """An answer, at a position of the log."""

    model_config = ConfigDict(extra="forbid")

    ledger: str
    projection: str
    version: int
    position: int
    valid_at: str | None = None
    known_at: int | str | None = None
    known_as: str | None = None
    asked: dict[str, Any] | None = None
    answers: list[dict[str, Any]]
    parked: list[int] | None = None
    digest: str = Field(pattern="^[0-9a-f]{64}$")


class Difference(BaseModel):
    """Every figure that changed."""

    model_config = ConfigDict(extra="forbid")

    ledger: str
    projection: str
    version: int
    from_: int = Field(alias="from")
    to: int
    valid_at: str | None = None
    changes: list[dict[str, Any]]
    digest: str


def problems(*statuses: int) -> Responses:
    """What any request may get, and what this one may: each a problem document."""
    return {
        status: {"model": Problem, "content": {PROBLEM: {}}, "description": _DESCRIPTIONS[status]}
        for status in sorted({400, 401, 403, 404, 405, 422, 429, 500, 503, *statuses})
    }


_DESCRIPTIONS = {
    304: "The client has it already.",
    400: "The request is not one, or is sent to another host, or carries a token in its address.",
    401: "A token is needed, or the one that was sent is not known.",
    403: "The token does not allow it, or another site's page asks.",
    404: "There is no such thing.",
    405: "Not with this method.",
    406: "It cannot be had in that form.",
    408: "The body did not come in time.",
    409: "The ledger holds something else.",
    412: "The ledger, or the subject, is not where it was expected.",
    413: "Over a documented limit.",
    415: "No CloudEvents in JSON.",
    422: "Something in it is wrong; `faults` says what, and where.",
    429: "Too many requests.",
    500: "The log is damaged, an event cannot be applied, or this software failed.",
    503: "The store is away, not durable, or not there yet.",
    504: "The store's answer was lost: send the same again.",
}


def answers(projection: str) -> Responses:
    """Those of a question that may be had as a table."""
    content: dict[str, Any] = {media_type.partition(";")[0]: {} for media_type in MEDIA_TYPES.values()}
    own: Responses = {
        200: {"model": Answer, "content": content, "description": f"The {projection}."},
        304: {"description": _DESCRIPTIONS[304]},
    }
    return own | problems(406, 409)


def diff() -> Responses:
    """Those of a comparison."""
    own: Responses = {
        200: {"model": Difference, "description": "What changed."},
        304: {"description": _DESCRIPTIONS[304]},
    }
    return own | problems(406, 409)


class Published(BaseModel):
    """Where each event of a request is."""

    model_config = ConfigDict(extra="forbid")

    class Placed(BaseModel):
        model_config = ConfigDict(extra="forbid")

        status: Literal["appended", "already"]
        position: int
        source: str
        id: str

    ledger: str
    position: int
    appended: int
    already: int
    events: list[Placed]


def published() -> Responses:
    """Those of a POST of events."""
    location = {"Location": {"description": "Its first event.", "schema": {"type": "string"}}}
    own: Responses = {
        200: {"model": Published, "description": "All of it was there already.", "headers": location},
        201: {"model": Published, "description": "It is on the server's disk.", "headers": location},
    }
    return own | problems(408, 409, 412, 413, 415, 504)


def publishing() -> dict[str, Any]:
    """The request of a POST of events."""
    return {"requestBody": {"required": True, "content": {}}}


class EventsPage(BaseModel):
    """Events as they are stored, and the address of the next page."""

    model_config = ConfigDict(extra="forbid")

    ledger: str
    events: list[StoredEvent]
    next: str | None


class StoredEvent(BaseModel):
    """A CloudEvent with its position (`sequence`) and when the ledger recorded it."""

    model_config = ConfigDict(extra="allow")

    sequence: str = Field(pattern=r"^\d{16}$")
    recordedtime: str
    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    data: dict[str, Any]


def page() -> Responses:
    """Those of a page of events."""
    own: Responses = {
        200: {"model": EventsPage, "content": {"application/x-ndjson": {}}, "description": "Events."},
        304: {"description": _DESCRIPTIONS[304]},
    }
    return own | problems(406)


def event() -> Responses:
    """Those of one event."""
    own: Responses = {
        200: {
            "content": {"application/cloudevents+json": {"schema": StoredEvent.model_json_schema()}},
            "description": "The event.",
        },
        304: {"description": _DESCRIPTIONS[304]},
    }
    return own | problems()


def stream() -> Responses:
    """Those of a stream."""
    own: Responses = {
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "Events as they come.",
        }
    }
    return own | problems(409)


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["alive"]


class Readiness(BaseModel):
    """Whether the server is ready, and what is wrong where it is not."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ready", "not ready"]
    ledger: str
    head: int | None
    lag: dict[str, int]
    says: list[str]


class Status(BaseModel):
    """What `approvals status --json` prints."""

    model_config = ConfigDict(extra="forbid")

    class Server(BaseModel):
        model_config = ConfigDict(extra="forbid")

        where: str
        software: str
        version: str
        durable: bool
        settings: dict[str, str]

    class Projection(BaseModel):
        model_config = ConfigDict(extra="forbid")

        projection: str
        version: int
        position: int
        lag: int | None
        generation: int
        previous: int | None
        digest: str
        parked: int
        readable: bool

    ledger: str
    server: Server
    head: int | None
    projections: list[Projection]
    workers: int
    queue: int
    says: list[str]


def health() -> Responses:
    """Those of a sign of life."""
    own: Responses = {200: {"model": Alive, "description": "It lives."}}
    return own | problems()


def ready() -> Responses:
    """Those of a question for readiness; where it is not ready the document says why."""
    ready: Responses = {200: {"model": Readiness, "description": "It is ready."}}
    not_ready: Responses = {503: {"model": Readiness, "description": "It is not ready."}}
    return ready | problems() | not_ready


def status() -> Responses:
    """Those of a ledger's status."""
    own: Responses = {200: {"model": Status, "description": "How it is."}}
    return own | problems()


def feed() -> Responses:
    """Those of an Atom feed."""
    own: Responses = {
        200: {
            "content": {"application/atom+xml": {"schema": {"type": "string"}}},
            "description": "An Atom feed.",
        },
        304: {"description": _DESCRIPTIONS[304]},
    }
    return own | problems()


def metrics() -> Responses:
    """Those of the metrics."""
    text = {"schema": {"type": "string"}}
    own: Responses = {
        200: {
            "content": {"text/plain": text, "application/openmetrics-text": text},
            "description": "Metrics for Prometheus.",
        }
    }
    return own | problems()
