"""Who may read and append. docs/http.md has the rules; tokens are checked anew for each request.

The limit of requests counts by token where one is known, else by address, so that wrong tokens count, too. What asks the
store counts, and so does whatever is refused; what is the same for everybody does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from events import Log

from .. import tokens
from ..tokens import Scope
from .ledgers import Ledgers, LogOf
from .limits import Limits
from .problems import RequestRefused, problem
from .settings import Settings

_CHALLENGE = 'Bearer realm="approval-ledger"'


async def may_read(request: Request, log: LogOf) -> None:
    """Raises RequestRefused where the request may not read this ledger."""
    if "authorization" in request.headers:
        await run_in_threadpool(_require, request, log, "read")
    else:
        _require(request, log, "read")  # without a token it asks nobody, and need not wait for a thread


def may_append(request: Request, log: LogOf) -> None:
    """Raises RequestRefused where the request may not append to this ledger."""
    _require(request, log, "append")


def may_administer(request: Request, log: LogOf) -> None:
    """Raises RequestRefused where the request may not run this ledger: rebuild it, send it elsewhere."""
    _require(request, log, "admin")


def may_watch(request: Request) -> None:
    """Raises RequestRefused if the request may not read what belongs to no particular ledger, which takes the right to read the first."""
    ledgers: Ledgers = request.app.state.ledgers
    settings: Settings = request.app.state.settings
    _require(request, ledgers.log(settings.ledger), "read")


def counted(request: Request) -> None:
    """Raises RequestRefused if the address makes too many requests."""
    _count(request, f"address {_address(request)}")


def counting(answer: Callable[[Request, Any], Response]) -> Callable[[Request, Exception], Response]:
    """The answer to a refused request, which is counted as a request if it was not yet."""

    def counted_answer(request: Request, error: Exception) -> Response:
        try:
            if not request.scope.get("counted"):
                counted(request)
        except RequestRefused as too_many:
            return problem(request, too_many)
        return answer(request, error)

    return counted_answer


def may_still_read(request: Request, log: Log) -> bool:
    """Whether what let a stream begin still holds: its token may have been revoked since. It counts no request."""
    given = request.headers.getlist("authorization")
    if not given:
        return True  # it began without one, and what the server lets everybody read does not change while it runs
    token = tokens.known(log, _bearer(given))
    return token is not None and (token.may("read") or reads_are_public(request))


READING = Depends(may_read)
APPENDING = Depends(may_append)
ADMINISTERING = Depends(may_administer)
WATCHING = Depends(may_watch)
COUNTED = Depends(counted)


def _require(request: Request, log: Log, scope: Scope) -> None:
    settings: Settings = request.app.state.settings
    given = request.headers.getlist("authorization")
    public = scope == "read" and reads_are_public(request)
    token = tokens.known(log, _bearer(given)) if given else None
    _count(request, f"token {token.id}" if token else f"address {_address(request)}")
    if token is not None:
        request.scope["token"] = token.id
    elif given or not (public or _is_open(request, log, scope, settings)):
        raise _unknown(bool(given))
    if token is not None and not public and not token.may(scope):
        raise RequestRefused(
            403,
            "insufficient-scope",
            f"this token is not for {scope}: it is for {', '.join(token.scopes)}. Nothing was stored.",
            {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
        )


def _count(request: Request, client: str) -> None:
    limits: Limits = request.app.state.limits
    request.scope["counted"] = True
    limits.take(client)


def reads_are_public(request: Request) -> bool:
    """Whether this request needs no token to read."""
    settings: Settings = request.app.state.settings
    return settings.reads_are_public and (settings.public_reads is True or not _is_passed_on(request))


def _is_open(request: Request, log: Log, scope: Scope, settings: Settings) -> bool:
    """Whether this scope, other than `read`, needs no token: only on this machine, and until the ledger has its first token."""
    return scope != "read" and settings.loopback and not _is_passed_on(request) and not tokens.any_of(log)


def _is_passed_on(request: Request) -> bool:
    """Whether the request says that it was forwarded: then it does not count as this machine's, wherever it comes from."""
    return any(header in request.headers for header in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))


def _bearer(given: list[str]) -> str:
    scheme, _, text = given[0].partition(" ")
    return text.strip(" ") if len(given) == 1 and scheme.lower() == "bearer" else ""


def _unknown(given: bool) -> RequestRefused:
    # The same words whatever is wrong with it: they tell nobody which ids there are.
    return RequestRefused(
        401,
        "unauthenticated",
        "send a token of this ledger as `Authorization: Bearer ...`; `approvals token create` makes one. Nothing was stored.",
        {"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"' if given else _CHALLENGE},
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
