"""What requests and responses contain, for /openapi.json: these models only describe, and never convert. Meanings: docs/format.md."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from events import CATALOG, EventData, canonical
from events.catalog import NAME_LIMIT, REFERENCE_LIMIT

from .answering import MEDIA_TYPES
from .bodies import Subscribe
from .parameters import DAY, Nothing
from .problems import MEDIA_TYPE as PROBLEM

router = APIRouter(include_in_schema=False)

Responses = dict[int | str, dict[str, Any]]
JSON = "application/json"


class Exact(BaseModel):
    """An object with these members and no others."""

    model_config = ConfigDict(extra="forbid")


class Fault(Exact):
    """One thing that is wrong: with an event (`index`, `pointer`), or with a parameter (`in`, `parameter`)."""

    code: str
    detail: str
    index: int = 0
    pointer: str = ""
    in_: str = Field("", alias="in")
    parameter: str = ""


class Problem(BaseModel):
    """RFC 9457. `code` is stable; docs/http.md says which members go with it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(pattern="^urn:approval-ledger:error:[a-z-]+$")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str = Field(pattern="^[a-z-]+$")
    request_id: str
    faults: list[Fault] = []


class Bounds(Exact):
    """A count; null is no bound."""

    low: int
    high: int | None


class Percents(Exact):
    """A share, in percent."""

    low: float
    high: float


class Evidence(Exact):
    """Positions of events that force a bound, and how many are not listed."""

    low: list[int]
    high: list[int]
    more: int


class Contradiction(Exact):
    """Events that cannot all be true; `alone` is the figure on the word of each origin."""

    events: list[int]
    says: str
    alone: list[dict[str, Any]] = []


class BoundsWithEvidence(Bounds):
    evidence: Evidence


class Figure(Exact):
    total: Bounds
    named: int
    undisclosed: Bounds
    evidence: Evidence
    in_force: BoundsWithEvidence | None = None


class Step(Figure):
    """The figure at the end of a day."""

    on: str


class Equated(Exact):
    terms: str
    evidence: list[int]


class Total(Figure):
    authority: str
    instrument: str
    unit: str
    as_of: str
    contradictions: list[Contradiction]
    equated: list[Equated] = []
    steps: list[Step] = []


class BatchEvidence(Exact):
    size: Evidence
    before: Evidence


class Batch(Exact):
    authority: str
    instrument: str
    unit: str
    ordinal: int | None
    label: str | None
    announced_on: list[str]
    perhaps: bool = False
    size: Bounds
    named: int
    names: list[dict[str, Any]]
    undisclosed: Bounds
    before: Bounds
    evidence: BatchEvidence
    sources: list[dict[str, Any]]
    contradictions: list[Contradiction]


class OfTerms(Exact):
    terms: str
    named: int
    approvals: Bounds
    share: Percents
    evidence: Evidence


class Company(Exact):
    company: str
    names: list[str]
    approvals: list[OfTerms]
    evidence: list[int]
    merges: list[dict[str, Any]]
    contradictions: list[Contradiction]
    perhaps: list[str] = []
    history: list[dict[str, Any]] = []


class RegionEvidence(Exact):
    count: list[int]
    share: list[int]
    more: int


class Region(Exact):
    region: str
    count: Bounds
    share: Percents
    rounding: list[float]
    evidence: RegionEvidence


class Market(Exact):
    """What an estimator says about a day, region by region."""

    estimator: str
    unit: str
    as_of: str
    regions: list[Region]
    sources: list[dict[str, Any]]
    contradictions: list[Contradiction]
    perhaps: bool = False


class StockEvidence(Exact):
    total: Evidence
    stock: list[int]
    more: int


class ShareOfStock(Exact):
    """What share the total, as of one day, is of an estimated stock, as of the day of the estimate."""

    terms: str
    total: Bounds
    total_as_of: str
    estimator: str
    region: str
    as_of: str
    stock: Bounds
    share: Percents
    equated_by: list[int]
    evidence: StockEvidence
    contradictions: list[Contradiction]
    perhaps: bool = False


class Claim(Exact):
    type: str
    says: dict[str, Any]
    reports: list[dict[str, Any]]
    origins: int
    independent: list[str]
    evidence: list[int]
    perhaps: bool = False


class Answer(Exact):
    """An answer, at a position of the log."""

    ledger: str
    projection: str
    version: int
    position: int
    valid_at: str | None = None
    known_at: int | str | None = None
    known_as: str | None = None
    parked: list[int] = []
    digest: str = Field(pattern="^[0-9a-f]{64}$")


class Totals(Answer):
    answers: list[Total]


class Batches(Answer):
    answers: list[Batch]


class Companies(Answer):
    answers: list[Company]


class Shares(Answer):
    """Stocks and shares, or the one share that was asked for."""

    answers: list[Market] | list[ShareOfStock]


class Sources(Answer):
    answers: list[Claim]


class Change(Exact):
    """A figure that changed, and what changed it."""

    of: str
    figure: str
    from_: Any = Field(alias="from")
    to: Any
    because: list[dict[str, Any]]


class Difference(Exact):
    """Every figure that changed."""

    ledger: str
    projection: str
    version: int
    from_: int = Field(alias="from")
    to: int
    valid_at: str | None = None
    changes: list[Change]
    digest: str


class Publication(Exact):
    """The first and the last day on which anything in the ledger was published."""

    ledger: str
    position: int
    first: str | None
    last: str | None


class Placed(Exact):
    status: Literal["appended", "already"]
    position: int
    source: str
    id: str


class Published(Exact):
    """Where each event of a request is in the log; `position` is that of the last one."""

    ledger: str
    position: int
    appended: int
    already: int
    events: list[Placed]


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


class EventsPage(Exact):
    """Events as they are stored, and the address of the next page."""

    ledger: str
    events: list[StoredEvent]
    next: str | None


class Alive(Exact):
    """The process is running and answers."""

    status: Literal["alive"]


class Readiness(Exact):
    """Whether the server is ready, and if it is not, what is wrong."""

    status: Literal["ready", "not ready"]
    ledger: str
    says: list[str]


class Webhook(Exact):
    """A subscription, how far it has come, and what is wrong. `position` is the last event that it is done with."""

    id: str = Field(pattern="^[0-9a-f]{12}$")
    url: str
    types: list[str]
    private: bool
    enabled: bool
    position: int
    lag: int
    tries: int
    next_try: str | None
    says: str | None
    dead_letters: int


class NewWebhook(Webhook):
    """A new subscription with its secret, which is not shown again."""

    secret: str = Field(pattern="^whsec_")


class Webhooks(Exact):
    ledger: str
    webhooks: list[Webhook]


class DeadLetter(Exact):
    """An event that a receiver did not take; `status` is null if there was no answer."""

    webhook: str
    position: int
    tries: int
    status: int | None
    says: str
    failed_at: str


class DeadLetters(Exact):
    ledger: str
    dead_letters: list[DeadLetter]


class Retried(Exact):
    """The outcome of sending a dead letter again."""

    webhook: str
    position: int
    delivered: bool
    status: int | None
    says: str


class StatusOfServer(Exact):
    software: str | None
    version: str | None
    durable: bool | None
    settings: dict[str, str] | None


class Beside(Exact):
    generation: int
    position: int


class Rebuild(Exact):
    """A rebuild that was asked for, with its outcome once it is done. `equal` is null if there was nothing to compare with."""

    state: Literal["waiting", "running", "done", "failed"]
    asked_at: str
    began_at: str | None
    ended_at: str | None
    generation: int | None
    position: int | None
    digest: str | None
    live_digest: str | None
    equal: bool | None
    says: str | None


class RebuildOfProjection(Exact):
    """The last rebuild that was asked for; null if there was none."""

    ledger: str
    projection: str
    rebuild: Rebuild | None


class StatusOfProjection(Exact):
    projection: str
    version: int
    position: int
    lag: int | None
    generation: int
    previous: int | None
    beside: Beside | None
    rebuild: Rebuild | None
    digest: str | None
    parked: int
    readable: bool


class CountsOfWebhooks(Exact):
    enabled: int
    failing: int
    disabled: int
    dead_letters: int


class Status(Exact):
    """What `approvals status --json` prints, without the server's address. What the server's user may not see is null, and told in
    `unseen`."""

    ledger: str
    server: StatusOfServer
    head: int | None
    projections: list[StatusOfProjection]
    webhooks: CountsOfWebhooks | None
    workers: int | None
    queue: int | None
    says: list[str]
    unseen: list[str]


_ANSWERS: dict[str, type[Answer]] = {
    "totals": Totals,
    "batches": Batches,
    "companies": Companies,
    "shares": Shares,
    "sources": Sources,
}


class Chart(BaseModel):
    """A Vega-Lite specification that includes its data; `description` is the chart in words."""

    model_config = ConfigDict(extra="allow")

    description: str
    config: dict[str, Any]


_DESCRIBED: list[type[BaseModel]] = [
    Problem,
    Difference,
    Published,
    StoredEvent,
    EventsPage,
    Alive,
    Readiness,
    Status,
    RebuildOfProjection,
    Subscribe,
    NewWebhook,
    Webhooks,
    DeadLetters,
    Retried,
    Chart,
    Publication,
    *_ANSWERS.values(),
]
_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_BYTES: dict[str, Any] = {"schema": {"type": "string", "contentEncoding": "binary"}}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}


# Responses


_SAYS = {
    304: "The client has it already.",
    400: "The request is malformed, is sent to another host, or carries a token in its address.",
    401: "A token is needed, or the one that was sent is not known.",
    403: "The token does not allow it, or another site's page asks.",
    404: "There is no such thing.",
    405: "Not with this method; `Allow` lists the methods that are possible.",
    406: "It is not available in that form.",
    408: "The body did not arrive in time.",
    409: "The ledger has something else, or has no such position yet.",
    412: "The ledger, or the subject, is not where it was expected.",
    413: "It exceeds a documented limit.",
    415: "The body is of a kind that is not accepted here.",
    422: "Something in it is wrong; `faults` says what, and where.",
    429: "Too many requests.",
    500: "The log is damaged, or this software failed.",
    503: "The store is unreachable, not durable, or not there yet; or too many requests came at once.",
    504: "The store's answer was lost: check whether it was done before you try again.",
}


def problems(*statuses: int) -> Responses:
    """The problems that any request may get, and those with these `statuses`; each is a problem document."""
    return {
        status: {"description": _SAYS[status], "content": {PROBLEM: _schema(Problem)}}
        for status in sorted({400, 401, 403, 404, 405, 422, 429, 500, 503, *statuses})
    }


def _found(content: dict[str, Any], says: str, *others: int, tagged: bool = False) -> Responses:
    own: Responses = {200: {"description": says, "content": content}}
    unchanged: Responses = {304: {"description": _SAYS[304]}} if tagged else {}
    return own | unchanged | problems(*others)


def answers(projection: str) -> Responses:
    """The responses to a question whose answer is also available as a table."""
    csv, parquet = (MEDIA_TYPES[form].partition(";")[0] for form in ("csv", "parquet"))
    content = {JSON: _schema(_ANSWERS[projection]), csv: _TEXT, parquet: _BYTES}
    return _found(content, f"The {projection}.", 406, 409, tagged=True)


def chart() -> Responses:
    """The responses to a request for a chart."""
    return _found({JSON: _schema(Chart)}, "The chart.", 409, tagged=True)


def diff() -> Responses:
    """The responses to a request for a comparison."""
    return _found({JSON: _schema(Difference)}, "What changed.", 406, 409, tagged=True)


def publication() -> Responses:
    """The responses to a request for the days of publication."""
    return _found({JSON: _schema(Publication)}, "The days.", 406, tagged=True)


def page() -> Responses:
    """The responses to a request for a page of events."""
    return _found({JSON: _schema(EventsPage), "application/x-ndjson": _TEXT}, "Events.", 406, tagged=True)


def event() -> Responses:
    """The responses to a request for one event."""
    return _found({"application/cloudevents+json": _schema(StoredEvent)}, "The event.", tagged=True)


def stream() -> Responses:
    """The responses to a request for the stream of events."""
    return _found({"text/event-stream": _TEXT}, "Events as they come.", 409)


def feed() -> Responses:
    """The responses to a request for an Atom feed."""
    return _found({"application/atom+xml": _TEXT}, "An Atom feed.", tagged=True)


def metrics() -> Responses:
    """The responses to a request for the metrics."""
    return _found({"text/plain": _TEXT, "application/openmetrics-text": _TEXT}, "Metrics for Prometheus.")


def health() -> Responses:
    """The responses to a liveness check."""
    return _found({JSON: _schema(Alive)}, "It is running.")


def ready() -> Responses:
    """The responses to a readiness check; if it is not ready, the document says why."""
    own = _found({JSON: _schema(Readiness)}, "It is ready.")
    return own | {503: {"description": "It is not ready.", "content": {JSON: _schema(Readiness)}}}


def status() -> Responses:
    """The responses to a request for a ledger's status."""
    return _found({JSON: _schema(Status)}, "The status.")


def rebuild() -> Responses:
    """The responses to a question about the last rebuild."""
    return _found({JSON: _schema(RebuildOfProjection)}, "The last rebuild.")


def rebuilding() -> Responses:
    """The responses to a request that starts a rebuild."""
    content = {JSON: _schema(RebuildOfProjection)}
    where = {"Location": {"description": "Where to look for it.", "schema": {"type": "string"}}}
    own: Responses = {
        200: {"description": "A rebuild is waiting or running already.", "content": content},
        202: {"description": "The rebuild will be made.", "headers": where, "content": content},
    }
    return own | problems(504)


def webhooks() -> Responses:
    """The responses to a request for the list of subscriptions."""
    return _found({JSON: _schema(Webhooks)}, "All subscriptions.")


def webhook() -> Responses:
    """The responses to a request for one subscription."""
    return _found({JSON: _schema(Webhook)}, "The subscription.")


def changed_webhook() -> Responses:
    """The responses to a request that changes a subscription."""
    return _found({JSON: _schema(Webhook)}, "The subscription as it is now.", 504)


def subscribed() -> Responses:
    """The responses to a request for a new subscription."""
    where = {"Location": {"description": "Where to look for it.", "schema": {"type": "string"}}}
    content = {JSON: _schema(NewWebhook)}
    own: Responses = {201: {"description": "The new subscription.", "headers": where, "content": content}}
    return own | problems(408, 413, 415, 504)


def subscribing() -> dict[str, Any]:
    """The request for a subscription."""
    return {"requestBody": {"required": True, "content": {JSON: _schema(Subscribe)}}}


def dead_letters() -> Responses:
    """The responses to a request for the list of dead letters."""
    return _found({JSON: _schema(DeadLetters)}, "All dead letters.")


def retried() -> Responses:
    """The responses to a request that sends something again."""
    return _found({JSON: _schema(Retried)}, "What the receiver answered.", 504)


def gone() -> Responses:
    """The responses to a request that removes something."""
    return {204: {"description": "It was removed."}, **problems(504)}


def published() -> Responses:
    """The responses to a POST of events."""
    location = {"Location": {"description": "The first event.", "schema": {"type": "string"}}}
    content = {JSON: _schema(Published)}
    own: Responses = {
        200: {"description": "All events were there already.", "headers": location, "content": content},
        201: {"description": "The events are on the server's disk.", "headers": location, "content": content},
    }
    lost = "The store's answer was lost: send the same events again, with the same ids."
    return (
        own
        | problems(408, 409, 412, 413, 415)
        | {504: {"description": lost, "content": {PROBLEM: _schema(Problem)}}}
    )


# The request of a POST of events


_POSITION = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
_NAME = {"type": "string", "minLength": 1, "maxLength": NAME_LIMIT}
_REFERENCE = {
    "type": "string",
    "minLength": 1,
    "maxLength": REFERENCE_LIMIT,
    "description": f"At most {REFERENCE_LIMIT} bytes, as UTF-8.",
}


def publishing() -> dict[str, Any]:
    """The request of a POST of events, in its three modes."""
    headers: dict[str, tuple[dict[str, Any], str]] = {
        "If-Match": (
            {"type": "string", "pattern": '^"(0|[1-9][0-9]{0,15})"$', "examples": ['"17"']},
            "The ledger's last position.",
        ),
        "Expect-Subject": (
            {"anyOf": [{"enum": ["none", "exists"]}, _POSITION]},
            "What is expected of the events' subject: no event, at least one, or its last one at a position.",
        ),
    }
    # These may be any text: if the body is a whole event, they are ignored, as the HTTP binding requires.
    attributes = (
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "dataschema",
        "traceparent",
        "correlationid",
        "causationid",
    )
    headers |= {
        f"ce-{name}": ({"type": "string"}, "Binary mode: an attribute of the event.") for name in attributes
    }
    event = {"$ref": "#/components/schemas/Event"}
    return {
        "parameters": [
            {"name": name, "in": "header", "required": False, "schema": schema, "description": says}
            for name, (schema, says) in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/cloudevents+json": {"schema": event},
                "application/cloudevents-batch+json": {
                    "schema": {"type": "array", "items": event, "minItems": 1, "maxItems": 1_000}
                },
                JSON: {
                    "schema": {
                        "anyOf": [{"$ref": f"#/components/schemas/{m.__name__}"} for m in CATALOG.values()]
                    }
                },
            },
        },
    }


def _events(schemas: dict[str, Any]) -> dict[str, Any]:
    """Any event: one shape for each type, and one for each older revision, which is accepted if the event names it."""
    older = {model: _older(schemas[model.__name__]) for model in CATALOG.values() if model.REVISION > 1}
    current = [
        _event(model, {"$ref": f"#/components/schemas/{model.__name__}"}) for model in CATALOG.values()
    ]
    return {"anyOf": [*current, *(_event(model, data, revision=1) for model, data in older.items())]}


def _event(model: type[EventData], data: dict[str, Any], *, revision: int | None = None) -> dict[str, Any]:
    schema = f"urn:approval-ledger:{model.TYPE}:{revision or model.REVISION}"
    named = [] if revision is None else ["dataschema"]
    return {
        "type": "object",
        "title": model.TYPE if revision is None else f"{model.TYPE}, revision {revision}",
        "required": ["specversion", "id", "source", "type", "data", *named],
        "additionalProperties": False,
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _REFERENCE,
            "source": _REFERENCE,
            "type": {"const": model.TYPE},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": JSON},
            "dataschema": {"const": schema},
            "subject": _NAME,
            "traceparent": _NAME,
            "correlationid": _REFERENCE,
            "causationid": _REFERENCE,
            "data": data,
        },
    }


def _older(schema: dict[str, Any]) -> dict[str, Any]:
    """The data of the first revision, of a type that has two (events/upcast.py)."""
    members = {name: member for name, member in schema["properties"].items() if name != "published"}
    if "named" in members:
        items = {"anyOf": [_NAME, members["named"]["items"]]}
        members["named"] = {**members["named"], "items": items}
    return {**schema, "properties": members}


_DATES = frozenset(
    {"approved_on", "announced_on", "amended_on", "revoked_on", "published_on", "as_of", "from", "to", "on"}
)


def _said_better(schemas: dict[str, Any]) -> dict[str, Any]:
    """Adds patterns for dates and addresses, which the catalog's models check in Python, so that their own schemas do not say it."""
    for name in {model.__name__ for model in CATALOG.values()} | {"Source", "Origin"}:
        for member, schema in schemas[name]["properties"].items():
            for text in (schema, *schema.get("anyOf", ())):
                if text.get("type") == "string" and "pattern" not in text:
                    text.update({"pattern": f"^{DAY}$"} if member in _DATES else {})
                    text.update({"pattern": "^https?://[^ ]+$", "format": "uri"} if member == "url" else {})
    for schema in schemas["EventReference"]["properties"].values():
        schema.update(_REFERENCE)
    return schemas


def _never_null(document: dict[str, Any]) -> None:
    """Removes null from the types of parameters: one that may be left out is None in Python, but an address cannot contain null."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                schema = parameter["schema"]
                choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
                if len(choices) == 1:
                    del schema["anyOf"]
                    schema.update(choices[0])


def _never_json(document: dict[str, Any]) -> None:
    """Removes the empty JSON schema that FastAPI adds to every response, even if that is not JSON."""
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                if content.get(JSON) == {"schema": {}}:
                    del content[JSON]


_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "If-None-Match": (
        {"type": "string", "examples": ['"0123456789abcdef0123456789abcdef"']},
        "Tags of what the client has: 304 if nothing changed; `*`: only if it does not exist.",
    ),
    "Last-Event-ID": (
        _POSITION,
        "The position of the last event that was received, as a browser sends it when it reconnects; takes precedence over `after`.",
    ),
}


def _with_headers(document: dict[str, Any]) -> None:
    """Adds the request headers that matter, for responses that may be unchanged, and for a stream."""
    for path in document["paths"].values():
        for operation in path.values():
            statuses = operation["responses"]
            streams = "text/event-stream" in statuses.get("200", {}).get("content", {})
            counting = [
                *(["If-None-Match"] if "304" in statuses else []),
                *(["Last-Event-ID"] if streams else []),
            ]
            for name in counting:
                schema, says = _HEADERS[name]
                header = {
                    "name": name,
                    "in": "header",
                    "required": False,
                    "schema": schema,
                    "description": says,
                }
                operation.setdefault("parameters", []).append(header)


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 description of the application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            license_info=app.license_info,
            routes=app.routes,
        )
        models: list[type[BaseModel]] = [*_DESCRIBED, *CATALOG.values()]
        _, schemas = models_json_schema(
            [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
        )
        for mend in (_never_null, _never_json, _with_headers):
            mend(document)
        better = _said_better(schemas["$defs"])
        document["components"] = {
            "schemas": {**better, "Event": _events(better)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        }
        # Whether a token is needed depends on where the server listens, and on whether the ledger has one.
        document["security"] = [{}, {"token": []}]
        app.openapi_schema = document
    return app.openapi_schema


@router.get("/openapi.json")
def openapi(request: Request, query: Annotated[Nothing, Query()]) -> Response:  # noqa: ARG001  # it refuses every parameter
    """The OpenAPI description, for everyone."""
    content = canonical(request.app.openapi()) + b"\n"
    return Response(content, media_type=JSON, headers={"Cache-Control": "no-store"})
