"""Snapshots: the documents as they were at every EVERY-th position, so that an answer about the past folds few events.

Each document says which snapshot is the first to hold it as it is. `commit.lua` keeps what a snapshot holds and the documents no
longer do (its header describes the format), so that nothing is stored twice. All of it is derived, like all documents: each
value that is kept carries a digest, and if any is missing, a reader folds the log from its first event instead.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha1
from typing import TYPE_CHECKING, Any, cast

from events import Unreadable, storage, stored_json

from .stored import DocumentDamaged, parted, value_of

if TYPE_CHECKING:
    from .store import Generation

EVERY = 1_000
"""Events between two snapshots. Measured on 20,000 events, the past of all five projections takes 0.46 times the room of their
documents with 1,000, 0.74 times with 500, and 0.27 times with 2,000. An answer about the past folds half of EVERY events on
average, at 0.2 ms each for the totals."""

VOLUME = 50
"""How many snapshots share one field that notes what a document was: with more, each change rewrites more; with fewer, the list of
such fields gets longer."""

_SUM = 16  # characters of the digest before a value


class SnapshotLost(Exception):
    """A part of a snapshot is gone, or is not what was kept."""


def next_from(position: int) -> int:
    """The position of the first snapshot, not before `position`."""
    return -(-position // EVERY) * EVERY


def volume_of(snapshot: int) -> int:
    """The number of the volume that tells what ended with a snapshot."""
    return snapshot // (EVERY * VOLUME)


def last_before(generation: Generation, position: int) -> int:
    """The last position, not after `position`, at which the generation has a snapshot; 0 if there is none."""
    snapshot = position - position % EVERY
    if snapshot == 0:
        return 0
    try:
        reached = generation.verified_checkpoint().position
    except Unreadable:
        return 0  # of another version, or damaged: the log has everything
    return snapshot if snapshot <= reached and generation.keeps_past() else 0


class PastDocuments:
    """The documents of a snapshot, `read` when asked for; what is folded on top of them stays in memory, in `changed`.

    Before the first snapshot, at 0, there are none. Reading raises SnapshotLost.
    """

    def __init__(
        self, generation: Generation, snapshot: int, read: dict[str, Any], changed: dict[str, Any]
    ) -> None:
        self._generation = generation
        self._client = generation.store.client
        self._snapshot = snapshot
        self._read, self._changed = read, changed

    def get(self, name: str) -> Any:
        if name in self._changed:
            return self._changed[name]
        if self._snapshot and name not in self._read:
            self.fetch([name])
        return self._read.get(name)

    def put(self, name: str, value: Any) -> None:
        self._changed[name] = value

    def each(self, names: Collection[str]) -> list[Any]:
        self.fetch(names)
        return [*map(self._changed.get, names, map(self._read.get, names))]

    def fetch(self, names: Iterable[str]) -> None:
        if not self._snapshot:
            return
        read, changed = self._read, self._changed
        missing = list(dict.fromkeys([name for name in names if name not in read and name not in changed]))
        if not missing:
            return
        listed: dict[str, bytes] = {}
        found: dict[str, Any] = dict.fromkeys(missing)  # None: it was not there yet
        for name, now, volumes in self._asked(missing):
            if now is not None and _since(now) <= self._snapshot:
                found[name] = _value_of(now)  # it has not changed since
            elif volumes is not None:
                listed[name] = volumes
        kept = {name: f"@{since}\t{name}" for name, since in self._held_since(listed)}
        for (name, field), stored in zip(kept.items(), self._stored(kept.values()), strict=True):
            found[name] = stored_json(_checked(field, stored))
        read.update(found)  # not before: others share it

    def _asked(self, names: list[str]) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        """Of each name the document, and the list of volumes that tell what it was, both as they are now."""
        # What was never kept has no list, and neither has what somebody deleted: whether all is there is asked with it.
        while True:
            with storage():
                pipeline = self._client.pipeline(transaction=False)
                # In this order: a commit in between lists one volume more, and leaves what was so at the snapshot as it was.
                pipeline.hmget(self._generation.documents_key, names)
                pipeline.hmget(self._generation.past_key, [f"={name}" for name in names])
                self._generation.ask_past(pipeline)
                documents, lists, left, *held, position = pipeline.execute()
            if left[0] == position:
                break
        if not all_there(left, *held) or int(left[0]) < self._snapshot:  # it has begun anew
            raise SnapshotLost(self._generation.past_key)
        return zip(names, cast(list[bytes | None], documents), cast(list[bytes | None], lists), strict=True)

    def _held_since(self, listed: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
        """Those of these documents that the snapshot holds, and from which snapshot on each was so, given its list of volumes."""
        # What was so at the snapshot ended with a later one: the volume of the next snapshot tells, or else the one after it.
        following = volume_of(self._snapshot + EVERY)
        asked = [
            (name, f"#{volume}\t{name}")
            for name, volumes in listed.items()
            for volume in [v for v in map(int, _checked(f"={name}", volumes).split()) if v >= following][:2]
        ]
        found: dict[str, list[str]] = {}
        for (name, field), stored in zip(asked, self._stored(field for _, field in asked), strict=True):
            found.setdefault(name, []).extend(_checked(field, stored).decode().split())
        for name, spans in found.items():
            first_later = bisect_right(spans, self._snapshot, key=lambda span: int(span.partition("-")[2]))
            if first_later < len(spans):
                since = spans[first_later].partition("-")[0]
                if int(since) <= self._snapshot:
                    yield name, since

    def _stored(self, fields: Iterable[str]) -> list[bytes | None]:
        if not (listed := list(fields)):
            return []
        with storage():
            return cast(list[bytes | None], self._client.hmget(self._generation.past_key, listed))


def all_there(left: list[bytes | None], documents: int, past: int) -> bool:
    """Whether there are as many documents, and as many fields of the past, as the last commit left: see `Generation.ask_past`."""
    return left[1:] == [str(documents).encode(), str(past).encode()]


def _since(stored: bytes) -> int:
    try:
        return int(parted(stored)[0])
    except ValueError:  # something else wrote it
        raise SnapshotLost(stored[:_SUM]) from None


def _value_of(stored: bytes) -> Any:
    try:
        return value_of(stored)
    except DocumentDamaged:
        raise SnapshotLost(stored[:_SUM]) from None


def _checked(field: str, stored: bytes | None) -> bytes:
    if stored is None:
        raise SnapshotLost(field)
    sum_, value = stored[:_SUM], stored[_SUM:]
    # Not for safety from an attacker, who could write both: commit.lua has this one at hand.
    if sha1(field.encode() + b"\n" + value, usedforsecurity=False).hexdigest()[:_SUM].encode() != sum_:
        raise SnapshotLost(field)
    return value
