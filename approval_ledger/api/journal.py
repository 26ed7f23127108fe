"""One line of the log for each request, an id for it, and a problem where nobody expected one."""

from __future__ import annotations

import asyncio
import re
import time
from uuid import uuid4

import structlog
from fastapi import Request, Response
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .problems import written

logger = structlog.get_logger("http")

_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class Journal:
    """Whatever a request ends with is written down once, with its id, which the answer carries too."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = request_id = _given_id(scope) or uuid4().hex
        started = time.perf_counter()
        status, size = 0, 0
        # A query may hold anything, a token too: FastAPI has put it into the span.
        trace.get_current_span().set_attribute("url.query", "")

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], *_ALWAYS, (b"x-request-id", request_id.encode())]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-cache"))
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            logger.exception(
                "request_failed", request_id=request_id, method=scope["method"], path=_path(scope)
            )
            if not status:
                says = f"this software failed; its log has the reason under the request id {request_id}"
                await written(Request(scope), 500, "internal", says)(scope, receive, sending)
        except asyncio.CancelledError:
            # Told to stop, the server has waited for as long as it does. What was begun may have been done.
            if status:  # without its end, its connection is broken off
                says = "the server was told to stop, and this was still being sent"
                logger.warning("answer_broken_off", request_id=request_id, says=says)
            else:
                await _ended(Request(scope))(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.count(scope, status, seconds)
            logger.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                path=_path(scope),
                status=status,
                bytes=size,
                ms=round(1000 * seconds, 1),
                client=(scope.get("client") or ("",))[0],
                **({"token": scope["token"]} if "token" in scope else {}),
                **({"appended": _span(scope["appended"])} if scope.get("appended") else {}),
            )


def _ended(request: Request) -> Response:
    headers = {"Connection": "close", "Retry-After": "1"}
    if request.method in ("GET", "HEAD"):
        return written(request, 503, "busy", "the server was told to stop: ask again", headers)
    says = "the server was told to stop before this was answered: it may have been done. Send the same again"
    return written(request, 504, "outcome-unknown", says, headers)


def _given_id(scope: Scope) -> str | None:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    text = given[0].decode("latin-1") if len(given) == 1 else ""
    return text if _REQUEST_ID.fullmatch(text) else None


def _path(scope: Scope) -> str:
    """As it was sent, still percent-encoded, so that nothing in it ends a line; without the query, which may hold anything."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("ascii", "backslashreplace")[:500]


def _span(positions: list[int]) -> str:
    first, last = positions[0], positions[-1]
    return str(first) if first == last else f"{first} to {last}"
