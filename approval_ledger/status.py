"""How a ledger is: its server and durability, its head, and each projection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from events import LedgerError, Log, durability, storage
from projections import PROJECTIONS, Generation, Store
from projections.checkpoint import Checkpoint
from projections.store import FIRST, Pointers, pointers_of
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
        "projections": _projections(log, head, says),
        "webhooks": _or_say(lambda: _webhooks(log, says), says),
        "workers": workers_alive(log.client, log.ledger),
        "queue": queue_length(log.client, log.ledger),
        "says": says,
    }


def _webhooks(log: Log, says: list[str]) -> dict[str, int]:
    there = subscriptions.all_of(log)
    # What the receiver answered is not repeated: whoever reads this need not know it.
    says += [
        f"webhook {each.id} was disabled: `approvals webhook list` says why, and `enable` goes on where it was"
        for each in there
        if not each.enabled and each.says
    ]
    return subscriptions.counts(log, there)


def _projections(log: Log, head: int | None, says: list[str]) -> list[dict[str, Any]]:
    """How each is, of what was asked of all of them at once: a round trip for each thing of each took most of the time."""
    from workers import last_rebuilds

    pointers = pointers_of(log, PROJECTIONS.values())
    live = [Store(log, each).generation(pointers[each.name].live or FIRST) for each in PROJECTIONS.values()]
    with storage():
        pipeline = log.client.pipeline(transaction=True)
        for generation in live:
            generation.ask_state(pipeline)
            pipeline.hlen(generation.parked_key)
        replies = iter(pipeline.execute())
    rebuilds = last_rebuilds(log, PROJECTIONS)
    entry_at = cache(log.at)  # mostly, all are at one position

    def verified(generation: Generation, state: dict[bytes, bytes], held: int) -> Checkpoint:
        checkpoint = generation.read_state(state, held)
        if checkpoint.position:
            generation.require_same_log(checkpoint, entry_at(checkpoint.position))
        return checkpoint

    found = []
    for generation in live:
        state, held, parked = next(replies), next(replies), next(replies)
        checkpoint = _or_say(partial(verified, generation, state, held), says)
        position, digest = generation.digest() if held <= DIGESTED else (generation.position(), None)
        found.append(
            {
                "projection": generation.name,
                "version": generation.store.projection.version,
                "position": position,
                # A checkpoint beyond the head is of another log: it is not ahead of this one.
                "lag": None if head is None or head < position else head - position,
                "generation": generation.number,
                "previous": pointers[generation.name].previous or None,
                "beside": _beside(generation.store, pointers[generation.name]),
                "rebuild": told_rebuild(_or_say(rebuilds[generation.name], says)),
                "digest": digest,
                "parked": parked,
                "readable": checkpoint is not None,
            }
        )
    return found


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


def _beside(store: Store, pointers: Pointers) -> dict[str, int] | None:
    """The generation that a rebuild is building beside the live one, and how far it is; None where there is none."""
    newest = pointers.newest
    if newest in (pointers.live or FIRST, pointers.previous):
        return None
    position = store.generation(newest).checkpoint().position if newest else 0
    return {"generation": newest, "position": position} if position else None


def _or_say(ask: Callable[[], T], says: list[str]) -> T | None:
    try:
        return ask()
    except LedgerError as error:
        says.append(f"{error.code}: {error}")
        return None
