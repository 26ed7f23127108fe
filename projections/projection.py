"""The protocol of a projection, and the one fold: events in order of position, each counted once, corrections honoured."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable
from functools import lru_cache
from typing import Any, Protocol

from events import DecodedEvent, RecordedEvent, decode, keys
from events.catalog import EventRetracted, EventSuperseded

Find = Callable[[str, str], DecodedEvent | None]
"""Looks an event up in the log by its source and id; None where the log does not hold it."""


class Documents(Protocol):
    """The state of a projection: JSON values by key. `get` returns the value itself, which must not be changed: `put` replaces it.

    The names in a key are separated by tabs, because no name contains one. A projection begins its keys with a name of its own, such as
    `company`, and neither with `waiting` nor with `correction`: those documents are the fold's (see `advance`).
    """

    def get(self, key: str) -> Any:
        """The document, or None."""

    def put(self, key: str, value: Any) -> None:
        """Keeps `value`, which must be JSON; None removes the document."""

    def fetch(self, keys: Iterable[str]) -> None:
        """A hint that these will be asked for next, so that they are read together."""

    def each(self, keys: Collection[str]) -> list[Any]:
        """These documents, as `get` gives each, read together."""


class Projection(Protocol):
    """A pure fold over the log. Its modules know no clock, no randomness, no I/O: the same log gives the same bytes."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int:
        """Raised whenever the meaning or the shape of the documents changes: documents of another version are never read."""

    @property
    def handles(self) -> frozenset[str]:
        """The event types that it counts."""

    def needs(self, event: DecodedEvent, /) -> list[str]:
        """The keys of documents that counting this event will ask for, so that many are fetched at once. Only a hint."""

    def lists(self, event: DecodedEvent, /) -> list[str]:
        """The lists (see `pages`) that hold an entry for this event, which a correction will remove. A hint, like `needs`."""

    def evolve(self, documents: Documents, event: DecodedEvent, stands: bool, /) -> None:
        """Counts `event` in, or if it no longer `stands`, out again, which must be the exact inverse."""


class MemoryDocuments(dict[str, Any]):
    """Documents in memory alone."""

    def put(self, key: str, value: Any) -> None:
        if value is None:
            self.pop(key, None)
        else:
            self[key] = value

    def fetch(self, keys: Iterable[str]) -> None:
        pass

    def each(self, keys: Collection[str]) -> list[Any]:
        return [*map(self.get, keys)]


def fold(projection: Projection, log: Iterable[RecordedEvent]) -> MemoryDocuments:
    """The documents after all of `log`, by a plain fold in memory. Raises what the projection raises."""
    documents = MemoryDocuments()
    seen: dict[tuple[str, str], DecodedEvent] = {}
    for recorded in log:
        event = decode(recorded)
        seen[event.source, event.id] = event
        advance(projection, documents, event, lambda *identity: seen.get(identity))
    return documents


def advance(
    projection: Projection,
    documents: Documents,
    event: DecodedEvent,
    find: Find,
    parked: Container[int] = frozenset(),
) -> None:
    """Takes the next event of the log.

    The target of a correction is looked up with `find`, so that folds need not remember events. If the target is not there yet,
    the correction waits: the document for the target's identity says so.

    Events that were `parked` (positions) are in no document until a replay, even if this version of the software could apply
    them: so no correction takes them out, or in again.
    """
    stands = True
    if (waiting := documents.get(WAITING) or 0) and documents.get(correction_key(event.source, event.id)):
        stands = False
        documents.put(WAITING, waiting - 1 or None)
    if stands:
        _count(projection, documents, event, stands=True)
        if isinstance(event.data, EventRetracted | EventSuperseded):
            _correct(projection, documents, event, find, parked)


class _Nothing:
    """A projection of corrections alone."""

    name, version, handles = "nothing", 1, frozenset[str]()

    def needs(self, _: DecodedEvent, /) -> list[str]:
        return []

    def lists(self, _: DecodedEvent, /) -> list[str]:
        return []

    def evolve(self, documents: Documents, event: DecodedEvent, stands: bool, /) -> None:
        pass


def in_force(events: Iterable[DecodedEvent]) -> frozenset[int]:
    """The positions of the events that no correction among them takes back. `events` are in the order of the log."""
    documents, seen = MemoryDocuments(), dict[tuple[str, str], DecodedEvent]()
    for event in events:
        seen[event.source, event.id] = event
        advance(_Nothing(), documents, event, lambda *identity: seen.get(identity))
    return frozenset(
        event.position for identity, event in seen.items() if not documents.get(correction_key(*identity))
    )


WAITING = "waiting"  # how many corrections have a target that the log does not hold yet


@lru_cache(4_096)  # each link of a chain of corrections asks for those of all before it again
def correction_key(source: str, id: str) -> str:
    """The document that lists the positions of the corrections in force against one event."""
    return f"correction\t{keys.identity(source, id).hex()}"


_CORRECTIONS = (EventRetracted.TYPE, EventSuperseded.TYPE)  # they concern every projection


def _count(projection: Projection, documents: Documents, event: DecodedEvent, *, stands: bool) -> None:
    if event.newer is not None and event.is_of({*projection.handles, *_CORRECTIONS}):
        if stands:
            raise event.newer
        return  # it was never counted in
    if event.type in projection.handles and event.data is not None:
        projection.evolve(documents, event, stands)


def _correct(
    projection: Projection,
    documents: Documents,
    correction: DecodedEvent,
    find: Find,
    parked: Container[int],
) -> None:
    """Puts a correction in force, and follows what that does to its target, which may itself be a correction and is then no longer
    in force, or in force again.

    Every correction has one target, so the chain is a line, or ends in a ring of corrections that correct each other;
    following a ring stops where it closes; no figure depends on where that is.
    """
    upto, in_force, passed = correction.position, True, set[int]()
    while isinstance(correction.data, EventRetracted | EventSuperseded):
        target = correction.data.target
        against = documents.get(place := correction_key(target.source, target.id)) or []
        now = sorted({*against, correction.position} if in_force else {*against} - {correction.position})
        documents.put(place, now or None)
        if bool(against) == bool(now):
            return
        event = find(target.source, target.id)
        if event is None or event.position > upto:
            documents.put(WAITING, (documents.get(WAITING) or 0) + (1 if now else -1) or None)
            return
        if event.position in passed:
            return
        if event.position not in parked:
            _count(projection, documents, event, stands=not now)
        passed.add(correction.position)
        correction, in_force = event, not now
