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
    """The state of a projection: JSON values by key. `get` gives the value itself, which only `put` may change.

    A tab parts the names in a key, for no name holds one.
    """

    def get(self, key: str) -> Any:
        """The document, or None."""

    def put(self, key: str, value: Any) -> None:
        """Keeps `value`, which must be JSON; None removes the document."""

    def fetch(self, keys: Iterable[str]) -> None:
        """A hint: these are asked for next."""

    def each(self, keys: Collection[str]) -> list[Any]:
        """These documents, as `get` gives each, read together."""


class Projection(Protocol):
    """A pure fold over the log. Its modules know no clock, no randomness, no I/O: the same log gives the same bytes."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int:
        """Changes with the meaning or the shape of the documents: documents of another version are never read."""

    @property
    def handles(self) -> frozenset[str]:
        """The event types that it counts."""

    def needs(self, event: DecodedEvent, /) -> list[str]:
        """The documents that counting this event will ask for, so that many are fetched at once."""

    def lists(self, event: DecodedEvent, /) -> list[str]:
        """The lists (see `pages`) that hold an entry of this event, from which a correction will take it: a hint, as `needs`."""

    def evolve(self, documents: Documents, event: DecodedEvent, stands: bool, /) -> None:
        """Counts `event` in, or, where it stands no longer, out again: the exact inverse."""


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

    A correction is handed on with its target, which `find` looks up, so that folds need not remember events. Where the
    target is not there yet the correction waits: the document of the target's identity says so.

    What was `parked` is in no document until a replay, also where this software could apply it (the one before could not): no
    correction takes it out, or in.
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
    """The positions of those of these events, in the order of the log, that no correction among them takes back."""
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
    """Puts a correction in force, and follows what that does to its target: a correction in its turn, maybe, which is in force no
    longer then, or is again.

    Every correction has one target, so the chain is a line, or ends in a ring of corrections that correct each other;
    a ring is left where it closes, which no figure depends on.
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
