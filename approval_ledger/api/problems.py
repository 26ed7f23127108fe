"""Problem documents (RFC 9457): what an error is over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from redis.exceptions import AuthenticationError, AuthorizationError, BusyLoadingError
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer
from starlette.exceptions import HTTPException

from events import (
    AddressRefused,
    BadQuestion,
    Fault,
    IdConflict,
    InvalidEvent,
    Lagging,
    LedgerError,
    NotDurable,
    OutcomeUnknown,
    Refused,
    StaleExpectation,
    StorageUnavailable,
    TermsDiffer,
    TooLarge,
    UnknownCompany,
    Unreadable,
    canonical,
)

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:approval-ledger:error:"
FAULTS_SHOWN = 100  # of a batch of 1,000 events each may be at fault in several ways

_NOT_JSON = frozenset({"invalid-json", "duplicate-key", "too-deep"})
_STATUS: tuple[tuple[type[LedgerError], int], ...] = (
    (TooLarge, 413),
    (IdConflict, 409),
    (StaleExpectation, 412),
    (NotDurable, 503),
    (TermsDiffer, 422),
    (AddressRefused, 422),
    (UnknownCompany, 404),
    (BadQuestion, 422),
    (Unreadable, 503),
    (OutcomeUnknown, 504),
    (StorageUnavailable, 503),
    (Lagging, 409),
)
_BY_CODE = {"busy": 503}
_ANSWERED = (AuthenticationError, AuthorizationError, BusyLoadingError)
_RETRY_AFTER = {
    "busy": 1,
    "lagging": 1,
    "outcome-unknown": 1,
    "storage-unavailable": 5,
    "unreadable": 10,
    "not-durable": 10,
    "not-permitted": 10,
}  # seconds


class RequestRefused(Refused):
    """The request itself is refused, regardless of what the ledger holds."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        self.status, self.code, self.headers, self.members = status, code, dict(headers or {}), members
        super().__init__(detail)


def wrong_in(place: Literal["query", "header"], name: str, code: str, detail: str) -> RequestRefused:
    """The refusal of one parameter, or header."""
    return RequestRefused(422, code, detail, faults=[fault_in(place, name, code, detail)])


class Behind(Lagging):
    """The projections did not get far enough in time; a later request may find them there."""

    status = 503


def problem(request: Request, error: LedgerError) -> Response:
    """The answer to a request that ended with this error."""
    members = _members(error)
    if isinstance(error, BadQuestion) and error.parameter and error.parameter in request.query_params:
        members["faults"] = [fault_in("query", error.parameter, error.code, str(error))]
    return written(request, _status(error), error.code, told(error), _headers(error), **members)


def told(error: LedgerError) -> str:
    """What it says, without where the server of the store is: that is nobody's business who comes over HTTP."""
    cause = error.__cause__
    # To redis-py a refusal to let it in is a lost connection, too; yet the server answered, and its words name no address.
    if isinstance(cause, NoConnection | NoAnswer) and not isinstance(cause, _ANSWERED):
        return str(error).replace(str(cause).rstrip("."), "it does not answer")
    return str(error)


def written(
    request: Request,
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """A problem document. `code` is stable, and so is `type`, which is made of it."""
    document = {
        "type": TYPE + code,
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request.scope.get("request_id", ""),
        **members,
    }
    return Response(
        canonical(document) + b"\n",
        status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def of_validation(request: Request, error: Exception) -> Response:
    """What FastAPI found wrong with the parameters."""
    assert isinstance(error, RequestValidationError)
    # Each once: FastAPI looks at the ledger's name for every part of a request that needs it.
    found = {
        (str(each["loc"][0]), str(each["loc"][-1]), *_said_of(request, each)): None for each in error.errors()
    }
    faults = [fault_in(*each) for each in found]
    says = "; ".join(f"{fault['parameter']}: {fault['detail']}" for fault in faults[:10])
    return written(request, 422, faults[0]["code"], says, faults=faults)


def _said_of(request: Request, found: Mapping[str, Any]) -> tuple[str, str]:
    if found["type"] != "extra_forbidden":
        return "validation", str(found["msg"]).removeprefix("Value error, ")
    known = _query_parameters(request)
    there_are = f"there are {', '.join(known)}" if known else "there are none"
    return "unknown-parameter", f"is not a parameter here; {there_are}"


def _query_parameters(request: Request) -> list[str]:
    path = request.app.openapi()["paths"].get(request.scope["route"].path_format, {})
    parameters = path.get(request.method.lower(), {}).get("parameters", ())
    return [parameter["name"] for parameter in parameters if parameter["in"] == "query"]


def of_http(request: Request, error: Exception) -> Response:
    """What the router found: no such path, or not with this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = ", ".join(sorted(_methods(request)))
        detail = f"{request.method} is not possible here; {allowed} is"
        return written(request, 405, "method-not-allowed", detail, {"Allow": allowed})
    if error.status_code == 404:
        return written(request, 404, "not-found", "there is nothing here: /openapi.json lists what there is")
    return written(request, error.status_code, "bad-request", str(error.detail))


def _methods(request: Request) -> set[str]:
    # Starlette names those of the first route of this path alone, and one path has two.
    path = request.scope["path"]
    routes = [route for route in request.app.state.routes if route.path_regex.match(path)]
    found = {method for route in routes for method in route.methods}
    return found | ({"HEAD"} if "GET" in found else set())


def _status(error: LedgerError) -> int:
    if isinstance(error, RequestRefused | Behind):
        return error.status
    if isinstance(error, InvalidEvent):
        return 400 if error.code in _NOT_JSON else 422
    found = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    return found or _BY_CODE.get(error.code, 500)


def _headers(error: LedgerError) -> dict[str, str]:
    if isinstance(error, RequestRefused):
        return error.headers
    seconds = _RETRY_AFTER.get(error.code)
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _members(error: LedgerError) -> dict[str, Any]:
    match error:
        case RequestRefused():
            return error.members
        case InvalidEvent():
            more = len(error.faults) - FAULTS_SHOWN
            shown = [_fault(fault) for fault in error.faults[:FAULTS_SHOWN]]
            return {"faults": shown} | ({"more": more} if more > 0 else {})
        case IdConflict():
            return {"position": error.position, "index": error.index}
        case StaleExpectation():
            return {"current": error.current}
        case NotDurable():
            return {"findings": [str(finding) for finding in error.findings]}
    return {}


def fault_in(place: str, name: str, code: str, detail: str) -> dict[str, Any]:
    return {"code": code, "in": place, "parameter": name[:80], "detail": detail}


def _fault(fault: Fault) -> dict[str, Any]:
    pointer = "".join(
        f"/{part.replace('~', '~0').replace('/', '~1')}" for part in fault.field.split(".") if part
    )
    return {"code": fault.code, "index": fault.index or 0, "pointer": pointer, "detail": fault.message}
