"""Events that a receiver was offered several times and did not take: kept until they are sent again, or dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from redis.client import Pipeline

from events import BadQuestion, Log, LogDamaged, Unreadable, canonical, keys, storage, stored_json

from .sending import Answer


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was not taken: its `position`, the digest of its `entry`, how many `tries` failed, and of the last one when it was
    (`failed_ms`, in milliseconds since 1970), its `status` (0: no answer) and what the receiver `says`."""

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


@contextmanager
def kept(log: Log, id: str, *, writing: bool = False) -> Iterator[None]:
    """For access to the dead letters of the subscription `id`: raises as `storage` does, but Unreadable if their key is not a hash."""
    try:
        with storage(writing=writing):
            yield
    except LogDamaged:
        place = keys.dead_letters(log.ledger, id)
        raise Unreadable(
            f"the dead letters of webhook {id} are not a hash: something else wrote to {place}. Delete that key (they are lost, but the "
            f"log has the events), and run `approvals webhook enable {id}`"
        ) from None


def all_of(log: Log, id: str) -> list[DeadLetter]:
    """The dead letters of the subscription `id`, in the order of the log. Raises Unreadable if something else wrote to one of them."""
    with kept(log, id):
        found = cast(dict[bytes, bytes], log.client.hgetall(keys.dead_letters(log.ledger, id)))
    letters = [_read(id, position, stored) for position, stored in found.items()]
    return sorted(letters, key=lambda letter: letter.position)


def count(log: Log, ids: list[str]) -> dict[str, int]:
    """How many each of these subscriptions has. Raises Unreadable as `kept` does."""
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        for each in ids:
            pipeline.hlen(keys.dead_letters(log.ledger, each))
        found = dict(zip(ids, pipeline.execute(raise_on_error=False), strict=True))
    for each, number in found.items():
        with kept(log, each):
            if isinstance(number, Exception):
                raise number
    return found


def get(log: Log, id: str, position: int) -> DeadLetter:
    """The one at `position`. Raises BadQuestion where there is none, and Unreadable as `all_of` does."""
    with kept(log, id):
        stored = cast(bytes | None, log.client.hget(keys.dead_letters(log.ledger, id), str(position)))
    if stored is None:
        raise _missing(id, position)
    return _read(id, str(position).encode(), stored)


def require(log: Log, id: str, position: int) -> None:
    """Raises BadQuestion if there is no dead letter at `position`. It need not be readable."""
    with kept(log, id):
        stored = log.client.hget(keys.dead_letters(log.ledger, id), str(position))
    if stored is None:
        raise _missing(id, position)


def _missing(id: str, position: int) -> BadQuestion:
    return BadQuestion(
        f"subscription {id} has no dead letter at position {position}: `approvals webhook failures {id}` lists them"
    )


def settle(log: Log, id: str, seen: DeadLetter, letter: DeadLetter) -> None:
    """Replaces the dead letter that was `seen` by `letter`, unless it was dropped or changed meanwhile."""
    place, position = keys.dead_letters(log.ledger, id), str(seen.position)

    def write(pipeline: Pipeline) -> None:
        stored = cast(bytes | None, pipeline.hget(place, position))
        pipeline.multi()
        if stored == seen.to_bytes():
            pipeline.hset(place, position, cast(str, letter.to_bytes()))

    with kept(log, id, writing=True):
        log.client.transaction(write, place)


def drop(log: Log, id: str, position: int) -> bool:
    """Forgets a dead letter: the event stays in the log, and is not sent. False if there is none at `position`."""
    with kept(log, id, writing=True):
        return bool(log.client.hdel(keys.dead_letters(log.ledger, id), str(position)))


def _read(id: str, position: bytes, stored: bytes) -> DeadLetter:
    what = f"the dead letter at position {position.decode('utf-8', 'replace')[:80]} of webhook {id}"
    way_out = f"Run `approvals webhook remove {id}` and add it again"
    try:
        at = int(position)
        way_out = f"Run `approvals webhook drop {id} {at}`"
        document = stored_json(stored)
        return DeadLetter(
            at,
            document["entry"],
            int(document["tries"]),
            int(document["status"]),
            document["says"],
            int(document["failed_ms"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(
            f"{what} is not what this software writes ({error!r}): something else wrote to it. {way_out}"
        ) from None
