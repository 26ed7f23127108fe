"""Deliveries to webhooks as jobs, in a process of their own, so that a slow receiver holds up no projection.

Whoever appends rings for projections only. Here a thread follows the log and checks the cursors, as the reconciler does, and
rings for each subscription that is behind and due: at once when an event comes, and every few seconds for attempts whose time
has come and for bells that were lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

import structlog
from redis import Redis

from events import LedgerError, Log, StorageUnavailable, Unreadable, keys

from . import doorbell, lease, webhooks
from .queues import DELIVER, JOB_TIMEOUT, DoorbellQueue
from .watching import watching
from .webhooks import Attempt, subscriptions
from .worker import BellWorker

logger = structlog.get_logger("workers")

CONNECTION_NAME = "approvals-courier"
PERIOD = 2.0  # seconds between two looks, where nothing is appended
SLICE = 5.0  # seconds after which a job begins no further attempt or page and rings for the rest, so that others have their turn
LEASE = (
    JOB_TIMEOUT + 5.0
)  # seconds for which a worker has a subscription to itself: the time of a job, and some more


class Courier(BellWorker):
    """Runs the jobs that deliver."""

    rung_for = DELIVER

    def run(self, ledger: str, first: str, queue: DoorbellQueue) -> None:  # noqa: ARG002
        """Delivers what is due to the webhook `first`."""
        if deliver(self.connection, ledger, first, stopping=lambda: self._stop_requested):
            ring(self.connection, ledger, [first])


def deliver(client: Redis, ledger: str, id: str, *, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Delivers what is due to one webhook, and returns True if it left before everything was done.

    Only one worker at a time does this for a webhook; others leave it alone. A worker that dies keeps the others out until its
    lease expires. Raises what `webhooks.deliveries` raises.
    """
    held = lease.take(client, keys.webhook_lease(ledger, id), keys.webhook_bell(ledger, id), LEASE)
    if held is None:
        return False
    until, is_left = time.monotonic() + SLICE, False
    try:
        for attempt in webhooks.deliveries(Log(client, ledger), id):
            if attempt is not None:
                _tell(attempt)
            if is_left := stopping() or time.monotonic() >= until:
                break
    except LedgerError:
        lease.release(held)
        raise
    # Whatever else ends a job (a time-out, a bug of ours) leaves the lease to expire, so that it is not tried again at once.
    lease.release(held)
    return is_left


def deliver_here(client: Redis, ledger: str) -> None:
    """Delivers, in this process, what is due now. An error of one webhook is raised after the others were served."""
    log, errors = Log(client, ledger), list[Exception]()
    for each in due(log, log.head(), errors):
        try:
            while deliver(client, ledger, each):
                pass
        except StorageUnavailable:
            raise
        except LedgerError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def due(log: Log, head: int, errors: list[Exception]) -> list[str]:
    """The webhooks to which something is to be sent, in a log that ends at `head`. Adds to `errors` what is unreadable."""
    found = []
    for each in subscriptions.each_of(log):
        if isinstance(each, Unreadable):
            errors.append(each)
        elif webhooks.is_due(each, head, time.time()):
            found.append(each.id)
    return found


def ring(client: Redis, ledger: str, ids: list[str]) -> None:
    """Asks for deliveries to these webhooks, unless they were asked for already."""
    doorbell.ring(client, ledger, ids, bell=keys.webhook_bell, function=DELIVER)


def watch(log: Log) -> NoReturn:
    """Rings for what is due, for ever."""

    def look() -> list[Exception]:
        head, errors = log.head(), list[Exception]()
        names = due(log, head, errors)
        doorbell.free(log.client, log.ledger, names, bell=keys.webhook_bell)
        ring(log.client, log.ledger, names)
        next(log.follow(head, wait=PERIOD))
        return errors

    watching("webhooks", look, PERIOD)


def _tell(attempt: Attempt) -> None:
    about = {
        "webhook": attempt.subscription.id,
        "host": attempt.subscription.host,
        "position": attempt.position,
        "says": attempt.answer.says,
    }
    if attempt.then == "again":
        logger.warning("webhook_failed", **about, again_in=round(attempt.seconds))
    elif attempt.then == "set-aside":
        logger.error("webhook_set_aside", **about)
    elif attempt.then == "disable":
        logger.error("webhook_disabled", **about)
