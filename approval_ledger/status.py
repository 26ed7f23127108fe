"""How a ledger is: its server and durability, its head, and each projection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from events import LedgerError, Log, durability, storage
from projections import PROJECTIONS, Generation, Projection, Store
from workers import queue_length, workers_alive
from workers.webhooks import subscriptions

T = TypeVar("T")


def status_of(log: Log, where: str | None = None) -> dict[str, Any]:
    """What `approvals status --json` prints. `says` is what is wrong, and empty where nothing is. `where` is
    the server's address, which is left out where it is not given."""
    says: list[str] = []
    head = _or_say(log.head, says)
    findings = [str(finding) for finding in durability.check(log.client)]
    says += findings
    with storage():
        server = log.client.info("server")
    projections = [_projection_status(log, projection, head, says) for projection in PROJECTIONS.values()]
    return {
        "ledger": log.ledger,
        "server": {
            **({} if where is None else {"where": where}),
            "software": server.get("server_name", "redis"),
            "version": server.get("valkey_version") or server.get("redis_version"),
            "durable": not findings,
            "settings": durability.settings(log.client),
        },
        "head": head,
        "projections": projections,
        "webhooks": _or_say(lambda: _webhooks(log, says), says),
        "workers": workers_alive(log.client, log.ledger),
        "queue": queue_length(log.client, log.ledger),
        "says": says,
    }


def _webhooks(log: Log, says: list[str]) -> dict[str, int]:
    # What the receiver answered is not repeated: whoever reads this need not know it.
    says += [
        f"webhook {each.id} was disabled: `approvals webhook list` says why, and `enable` goes on where it was"
        for each in subscriptions.all_of(log)
        if not each.enabled and each.says
    ]
    return subscriptions.counts(log)


def _projection_status(log: Log, projection: Projection, head: int | None, says: list[str]) -> dict[str, Any]:
    store = Store(log, projection)
    generation = live_generation(store)
    checkpoint = _or_say(generation.verified_checkpoint, says)
    position, digest = generation.digest()
    previous = store.previous()
    return {
        "projection": projection.name,
        "version": projection.version,
        "position": position,
        # A checkpoint beyond the head is of another log: it is not ahead of this one.
        "lag": None if head is None or head < position else head - position,
        "generation": generation.number,
        "previous": previous or None,
        "beside": _beside(store, generation.number, previous),
        "digest": digest,
        "parked": len(generation.parked()),
        "readable": checkpoint is not None,
    }


def _beside(store: Store, live: int, previous: int) -> dict[str, int] | None:
    """The generation that a rebuild is building beside the live one, and how far it is; None where there is none."""
    newest = store.newest()
    if newest in (live, previous):
        return None
    position = store.generation(newest).checkpoint().position if newest else 0
    return {"generation": newest, "position": position} if position else None


def live_generation(store: Store) -> Generation:
    """The generation that readers see, or will see first. Looking writes nothing: the server may have no room for it."""
    return store.generation(store.live() or 1)


def _or_say(ask: Callable[[], T], says: list[str]) -> T | None:
    try:
        return ask()
    except LedgerError as error:
        says.append(f"{error.code}: {error}")
        return None
