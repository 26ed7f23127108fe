"""Webhooks over HTTP: who is subscribed, and what was not taken. For who administers the ledger alone: URLs are passwords to many.

Whether a subscription may reach private addresses is decided on the machine, by `approvals webhook add --allow-private`: over HTTP it
would let a token look into the network that the workers are in.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import WithJsonSchema
from starlette.concurrency import run_in_threadpool

from events import BadQuestion, Log, canonical
from workers import webhooks
from workers.webhooks import Subscription, dead_letters, subscriptions

from .. import subscribed
from . import documents, parameters
from .access import ADMINISTERING
from .bodies import Subscribe, read
from .body import EVENT_LIMIT, body_of
from .ledgers import LogOf
from .problems import RequestRefused

router = APIRouter(prefix="/ledgers/{ledger}/webhooks", tags=["webhooks"], dependencies=[ADMINISTERING])

Id = Annotated[
    str,
    Path(description="Of a subscription."),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{12}$"}),
]
Nothing = Annotated[parameters.Nothing, Query()]


@router.get("", responses=documents.webhooks(), summary="List")
def list_(log: LogOf, query: Nothing) -> Response:  # noqa: ARG001  # it refuses every parameter
    """The subscriptions: where each is, and what is wrong."""
    return _json({"ledger": log.ledger, "webhooks": subscribed.reports(log, subscriptions.all_of(log))})


@router.post("", responses=documents.subscribed(), openapi_extra=documents.subscribing(), status_code=201)
async def add(request: Request, log: LogOf, query: Nothing) -> Response:  # noqa: ARG001
    """Subscribes a URL, to all events or to some types, from now on or from a position. The answer has the secret, this once."""
    asked = read(request, Subscribe, await body_of(request, EVENT_LIMIT))
    return await run_in_threadpool(_add, log, asked)


def _add(log: Log, asked: Subscribe) -> Response:
    added = subscriptions.add(log, asked.url, asked.types, after=asked.after)
    return _json(_report(log, added) | {"secret": added.secret}, 201, {"Location": f"webhooks/{added.id}"})


@router.get("/{webhook}", responses=documents.webhook())
def one(log: LogOf, webhook: Id, query: Nothing) -> Response:  # noqa: ARG001
    """One subscription."""
    return _json(_report(log, _existing(log, webhook)))


@router.delete("/{webhook}", responses=documents.gone(), status_code=204)
def remove(log: LogOf, webhook: Id, query: Nothing) -> Response:  # noqa: ARG001
    """Ends a subscription, and forgets its dead letters."""
    if webhook not in subscriptions.ids(log):  # it need not be readable
        raise _missing(f"ledger {log.ledger} has no such subscription")
    subscriptions.remove(log, webhook)
    return _gone()


@router.post("/{webhook}/enable", responses=documents.changed_webhook())
def enable(log: LogOf, webhook: Id, query: Annotated[parameters.Enabling, Query()]) -> Response:
    """Goes on at once, where it was or after a position: after it was disabled, or without waiting for the next try."""
    _existing(log, webhook)
    return _json(_report(log, subscriptions.enable(log, webhook, after=query.after)))


@router.post("/{webhook}/disable", responses=documents.changed_webhook())
def disable(log: LogOf, webhook: Id, query: Nothing) -> Response:  # noqa: ARG001
    """Sends nothing until it is enabled again; it keeps its place."""
    _existing(log, webhook)
    return _json(_report(log, subscriptions.disable(log, webhook)))


@router.get("/{webhook}/dead-letters", responses=documents.dead_letters())
def failures(log: LogOf, webhook: Id, query: Nothing) -> Response:  # noqa: ARG001
    """The events that its receiver did not take, however often it was asked."""
    found = subscribed.letters(log, [_existing(log, webhook)])
    return _json({"ledger": log.ledger, "dead_letters": found})


@router.post("/{webhook}/dead-letters/{position}/retry", responses=documents.retried())
def retry(log: LogOf, webhook: Id, position: parameters.Place, query: Nothing) -> Response:  # noqa: ARG001
    """Sends one once more, now; where it is taken, it is none any more. Answered when the receiver has answered, or did not."""
    _require_letter(log, webhook, position)
    answer = webhooks.send_again(log, webhook, position)
    return _json({"webhook": webhook} | subscribed.retried(position, answer))


@router.delete("/{webhook}/dead-letters/{position}", responses=documents.gone(), status_code=204)
def drop(log: LogOf, webhook: Id, position: parameters.Place, query: Nothing) -> Response:  # noqa: ARG001
    """Forgets one: the event stays in the log, and is not sent."""
    _require_letter(log, webhook, position)
    dead_letters.drop(log, webhook, position)
    return _gone()


def _report(log: Log, one: Subscription) -> dict[str, Any]:
    (report,) = subscribed.reports(log, [one])
    return report


def _existing(log: Log, id: str) -> Subscription:
    if (found := subscriptions.find(log, id)) is None:
        raise _missing(f"ledger {log.ledger} has no such subscription")
    return found


def _require_letter(log: Log, id: str, position: int) -> None:
    _existing(log, id)
    try:
        dead_letters.require(log, id, position)
    except BadQuestion:
        raise _missing(f"subscription {id} has no dead letter at position {position}") from None


def _missing(says: str) -> RequestRefused:
    return RequestRefused(404, "not-found", says)


def _gone() -> Response:
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        canonical(document) + b"\n",
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
