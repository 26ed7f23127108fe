"""Snapshots: the documents as they were at every EVERY-th position, so that an answer about the past folds few events.

A document says which snapshot is the first that holds it as it is. `commit.lua` keeps what a snapshot holds and the documents do
not any more (its header says in what form): what was written once is nowhere twice. All of it is derived, like all documents:
each value that is kept carries a digest, and where any is gone, whoever asks folds the log from its first event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha1
from typing import TYPE_CHECKING, Any, cast

from events import BadQuestion, storage, stored_json

from .stored import parted

if TYPE_CHECKING:
    from .store import Generation

EVERY = 1_000
"""Events between two snapshots. Measured on 20,000 events: with 1,000 the past of all five takes 0.69 times their documents, with
500 1.06 times, with 2,000 0.43 times; an answer about the past folds half of them in the mean, 0.2 ms each for the totals."""

_SUM = 16  # characters of the digest before a value


class SnapshotLost(Exception):
    """A part of a snapshot is gone, or is not what was kept."""


def next_from(position: int) -> int:
    """The position of the first snapshot, not before `position`."""
    return -(-position // EVERY) * EVERY


def last_before(generation: Generation, position: int) -> int:
    """The last position, not after `position`, of which the generation keeps a snapshot; 0 where it keeps none."""
    snapshot = position - position % EVERY
    if snapshot == 0:
        return 0
    try:
        reached = generation.verified_checkpoint().position
    except BadQuestion:
        return 0  # of another version, or damaged: the log has everything
    return snapshot if snapshot <= reached and generation.keeps_past() else 0


class PastDocuments:
    """The documents of a snapshot, read when asked for; what is folded on top of them stays in memory.

    Reading raises SnapshotLost.
    """

    def __init__(self, generation: Generation, snapshot: int) -> None:
        self._generation = generation
        self._client = generation.store.client
        self._snapshot = snapshot
        self._values: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        if name not in self._values:
            self.fetch([name])
        return self._values[name]

    def put(self, name: str, value: Any) -> None:
        self._values[name] = value

    def fetch(self, names: Iterable[str]) -> None:
        missing = list(dict.fromkeys(name for name in names if name not in self._values))
        if not missing:
            return
        kept: dict[str, str] = {}
        for name, now, noted in self._asked(missing):
            since = _held_since(f"={name}", noted, self._snapshot)
            if since is not None:
                kept[f"@{since}\t{name}"] = name
            else:
                self._values[name] = self._as_it_is(now)
        if not kept:
            return
        with storage():
            found = cast(list[bytes | None], self._client.hmget(self._generation.past_key, list(kept)))
        for (field, name), stored in zip(kept.items(), found, strict=True):
            self._values[name] = stored_json(_checked(field, stored))

    def _asked(self, names: list[str]) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        """Of each name the document, and the note of what was kept of it, both as they are now."""
        # What was never kept has no note, and neither has what somebody deleted: whether all is there is asked with it.
        with storage():
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hmget(self._generation.documents_key, names)
            pipeline.hmget(self._generation.past_key, [f"={name}" for name in names])
            self._generation.ask_past(pipeline)
            documents, notes, *counts = pipeline.execute()
        if not all_there(*counts):
            raise SnapshotLost(self._generation.past_key)
        return zip(names, cast(list[bytes | None], documents), cast(list[bytes | None], notes), strict=True)

    def _as_it_is(self, stored: bytes | None) -> Any:
        """A document that changed since is kept; another was so at the snapshot already, or was not there yet."""
        if stored is None:
            return None
        since, json = parted(stored)
        return stored_json(json) if int(since) <= self._snapshot else None


def all_there(left: list[bytes | None], documents: int, past: int) -> bool:
    """Whether there are as many documents, and as many fields of the past, as the last commit left: see `Generation.ask_past`."""
    return left == [str(documents).encode(), str(past).encode()]


def _held_since(field: str, noted: bytes | None, snapshot: int) -> str | None:
    """The snapshot from which on a document was as that one holds it, where it was changed since and is kept."""
    if noted is None:
        return None
    for span in _checked(field, noted).decode().split():
        since, until = span.split("-")
        if int(since) <= snapshot < int(until):
            return since
    return None


def _checked(field: str, stored: bytes | None) -> bytes:
    if stored is None:
        raise SnapshotLost(field)
    sum_, value = stored[:_SUM], stored[_SUM:]
    # Not for safety from an attacker, who could write both: commit.lua has this one at hand.
    if sha1(field.encode() + b"\n" + value, usedforsecurity=False).hexdigest()[:_SUM].encode() != sum_:
        raise SnapshotLost(field)
    return value
