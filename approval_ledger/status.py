"""How a ledger is: its server and durability, its head, and each projection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from events import LedgerError, Log, durability, storage
from projections import PROJECTIONS, Generation, Projection, Store
from workers import workers_alive
from workers.webhooks import subscriptions

if TYPE_CHECKING:
    from workers import Rebuild

T = TypeVar("T")

DIGESTED = 50_000
"""Documents of a projection of which a status tells the digest, which takes 0.2 s: of more, `approvals replay --verify` does."""


def status_of(log: Log, where: str | None = None) -> dict[str, Any]:
    """What `approvals status --json` prints. `says` is what is wrong, and empty where nothing is. `where` is
    the server's address, which is left out where it is not given."""
    from workers import queue_length

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
    from workers import last_rebuild

    store = Store(log, projection)
    generation = live_generation(store)
    checkpoint = _or_say(generation.verified_checkpoint, says)
    digested = generation.size() <= DIGESTED
    position, digest = generation.digest() if digested else (generation.position(), None)
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
        "rebuild": told_rebuild(_or_say(lambda: last_rebuild(log, projection.name), says)),
        "digest": digest,
        "parked": len(generation.parked()),
        "readable": checkpoint is not None,
    }


def told_rebuild(rebuild: Rebuild | None) -> dict[str, Any] | None:
    """What is told of the rebuild that was asked for last."""
    if rebuild is None:
        return None
    done = rebuild.state == "done"
    return {
        "state": rebuild.state,
        "asked_at": as_time(rebuild.asked_ms),
        "began_at": as_time(rebuild.began_ms) if rebuild.began_ms else None,
        "ended_at": as_time(rebuild.ended_ms) if rebuild.ended_ms else None,
        "generation": rebuild.generation if done else None,
        "position": rebuild.position if done else None,
        "digest": rebuild.digest if done else None,
        "live_digest": rebuild.live_digest or None,
        "equal": not rebuild.differs if done and rebuild.live_digest else None,
        "says": rebuild.says or None,
    }


def as_time(ms: int) -> str:
    """An instant to the second, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


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
