"""Events that a receiver was offered several times and did not take: kept until they are sent again, or dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from redis.client import Pipeline

from events import BadQuestion, Log, canonical, keys, storage, stored_json

from .sending import Answer


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The event at `position`, whose entry has the digest `entry`: `tries` have failed, the last one at `failed_ms`, with `status` (0: no answer) and what was said."""

    position: int
    entry: str
    tries: int
    status: int
    says: str
    failed_ms: int

    def after(self, answer: Answer, now_ms: int) -> DeadLetter:
        """The same after one more try."""
        return DeadLetter(self.position, self.entry, self.tries + 1, answer.status, answer.says, now_ms)

    def to_bytes(self) -> bytes:
        """What is stored under its position."""
        return canonical(
            {
                "entry": self.entry,
                "tries": self.tries,
                "status": self.status,
                "says": self.says,
                "failed_ms": self.failed_ms,
            }
        )


def all_of(log: Log, id: str) -> list[DeadLetter]:
    """Those of the subscription `id`, in the order of the log."""
    with storage():
        found = cast(dict[bytes, bytes], log.client.hgetall(keys.dead_letters(log.ledger, id)))
    return [_read(int(position), found[position]) for position in sorted(found, key=int)]


def count(log: Log, ids: list[str]) -> dict[str, int]:
    """How many each of these subscriptions has."""
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        for each in ids:
            pipeline.hlen(keys.dead_letters(log.ledger, each))
        return dict(zip(ids, pipeline.execute(), strict=True))


def get(log: Log, id: str, position: int) -> DeadLetter:
    """Raises BadQuestion where there is none."""
    with storage():
        stored = cast(bytes | None, log.client.hget(keys.dead_letters(log.ledger, id), str(position)))
    if stored is not None:
        return _read(position, stored)
    raise BadQuestion(
        f"subscription {id} has no dead letter at position {position}: `approvals webhook failures {id}` lists them"
    )


def settle(log: Log, id: str, seen: DeadLetter, letter: DeadLetter) -> None:
    """Writes `letter` in the place of the one that was `seen`; nothing, where that was dropped or changed meanwhile."""
    place, position = keys.dead_letters(log.ledger, id), str(seen.position)

    def write(pipeline: Pipeline) -> None:
        stored = cast(bytes | None, pipeline.hget(place, position))
        pipeline.multi()
        if stored == seen.to_bytes():
            pipeline.hset(place, position, cast(str, letter.to_bytes()))

    with storage(writing=True):
        log.client.transaction(write, place)


def drop(log: Log, id: str, position: int) -> bool:
    """Forgets it: the event stays in the log, and is not sent. False where there is none."""
    with storage(writing=True):
        return bool(log.client.hdel(keys.dead_letters(log.ledger, id), str(position)))


def _read(position: int, stored: bytes) -> DeadLetter:
    document = stored_json(stored)
    return DeadLetter(
        position,
        document["entry"],
        document["tries"],
        document["status"],
        document["says"],
        document["failed_ms"],
    )
