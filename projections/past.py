"""Snapshots: the documents as they were at every EVERY-th position, so that an answer about the past folds few events.

`commit.lua` keeps them (its header says in what form). They are derived, like all documents: each value carries a digest, and
where any of them is gone, whoever asks folds the log from its first event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha1, sha256
from typing import TYPE_CHECKING, Any, cast

from events import BadQuestion, storage, stored_json

from .digest import digest_of_set

if TYPE_CHECKING:
    from .store import Generation

EVERY = 2_000
"""Events between two snapshots. Measured on 20,000 approvals: with 1,000 the past of the companies takes 3.8 times their
documents, with 2,000 2.7 times, with 5,000 1.9 times; and the fewer there are, the longer the commit that ends in one holds the
server up."""

_SUM = 16  # characters of the digest before a value


class SnapshotLost(Exception):
    """A part of a snapshot is gone, or is not what was kept."""


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
        self._key = generation.past_key
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
        held = {name: self._held_by(f"={name}", listed) for name, listed in self._indexed(missing)}
        self._values.update({name: None for name, at in held.items() if at is None})
        fields = [f"@{at}\t{name}" for name, at in held.items() if at is not None]
        for field, stored in self._read(fields):
            value = _checked(field, stored)
            self._values[field.partition("\t")[2]] = stored_json(value) if value else None

    def _indexed(self, names: list[str]) -> Iterator[tuple[str, bytes | None]]:
        # What no snapshot holds has no field, and neither has what somebody deleted: whether all is there is asked with it.
        with storage():
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hmget(self._key, [f"={name}" for name in names])
            self._generation.ask_past(pipeline)
            found, left, held = pipeline.execute()
        if left != str(held).encode():
            raise SnapshotLost(self._key)
        return zip(names, cast(list[bytes | None], found), strict=True)

    def _read(self, fields: list[str]) -> Iterator[tuple[str, bytes | None]]:
        if not fields:
            return iter(())
        with storage():
            found = self._client.hmget(self._key, fields)
        return zip(fields, cast(list[bytes | None], found), strict=True)

    def _held_by(self, field: str, listed: bytes | None) -> int | None:
        """The last snapshot, not after ours, that holds a document."""
        if listed is None:
            return None
        positions = map(int, _checked(field, listed).split())
        return max((at for at in positions if at <= self._snapshot), default=None)


def _checked(field: str, stored: bytes | None) -> bytes:
    if stored is None:
        raise SnapshotLost(field)
    sum_, value = stored[:_SUM], stored[_SUM:]
    # Not for safety from an attacker, who could write both: commit.lua has this one at hand.
    if sha1(field.encode() + b"\n" + value, usedforsecurity=False).hexdigest()[:_SUM].encode() != sum_:
        raise SnapshotLost(field)
    return value


def digest_of_past(generation: Generation, upto: int) -> str | None:
    """A digest of all snapshots not after `upto`, whatever the order in which the server gives them; None where they are lost."""
    if not generation.keeps_past():
        return None
    with storage():
        fields = generation.store.client.hscan_iter(generation.past_key, count=1_000)
        return digest_of_set(
            sha256(field + b"\n" + known).digest()
            for field, stored in fields
            if (known := _not_after(upto, field, stored)) is not None
        )


def _not_after(upto: int, field: bytes, stored: bytes) -> bytes | None:
    """What a field says of the snapshots up to a position, or None; as it is stored, where it is not what was kept."""
    try:
        if field.startswith(b"@"):
            return stored if int(field[1:].partition(b"\t")[0]) <= upto else None
        positions = _checked(field.decode(), stored).split()
        return b" ".join(at for at in positions if int(at) <= upto) or None
    except (SnapshotLost, ValueError):
        return stored
