"""Where a projection's documents live: one generation under its own keys, moved on by one fenced function."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from events import (
    BadQuestion,
    DecodedEvent,
    Log,
    LogDamaged,
    LogForked,
    RecordedEvent,
    StorageUnavailable,
    canonical,
    decode,
    keys,
    load_function,
    storage,
)

from .checkpoint import Checkpoint, entry_digest
from .digest import digest_of_stored
from .projection import WAITING, Projection, advance, correction_key

PAGE = 500  # events folded and committed at once
CACHED = 20_000  # documents kept between two pages; more are forgotten and read again


class Fenced(Exception):
    """Another writer moved the checkpoint since it was read: what was folded is thrown away."""


class Store:
    """The stored state of one projection of one ledger. Holds no state itself; safe to share between threads."""

    def __init__(self, log: Log, projection: Projection) -> None:
        self.log = log
        self.projection = projection
        self.client = log.client
        self.commit = log.client.register_script(load_function("commit", "projections.functions"))
        self.switch_function = log.client.register_script(load_function("switch", "projections.functions"))
        self.pointer = keys.projection(log.ledger, projection.name)

    def live(self) -> int:
        """The generation that readers see; 0 where nothing was ever projected."""
        return self._pointer("live")

    def previous(self) -> int:
        """The generation that was live before; 0 where there is none."""
        return self._pointer("previous")

    def generation(self, number: int) -> Generation:
        """A handle on one generation, with a cache of its own."""
        return Generation(self, number)

    def open_live(self) -> Generation:
        """The live generation; the first one is made where there is none."""
        with storage(writing=True):
            if self.client.hsetnx(self.pointer, "live", "1"):
                self.client.hsetnx(self.pointer, "newest", "1")
        return self.generation(self.live())

    def open_new(self) -> Generation:
        """A generation with a number that was never used, beside the live one."""
        self.open_live()
        with storage(writing=True):
            return self.generation(int(self.client.hincrby(self.pointer, "newest", 1)))

    def switch(self, new: int, seen_live: int, *, even_if_behind: bool = False) -> None:
        """Makes generation `new` the live one. Raises BadQuestion where another switch came first, or `new` is behind."""
        places = [
            self.pointer,
            keys.state(self.log.ledger, self.projection.name, new),
            keys.state(self.log.ledger, self.projection.name, seen_live),
        ]
        with storage(writing=True):
            reply = cast(
                list[bytes],
                self.switch_function(keys=places, args=[new, seen_live, "1" if even_if_behind else ""]),
            )
        if reply[0] == b"MOVED":
            raise BadQuestion(
                f"{self.projection.name}: generation {int(reply[1])} became live meanwhile, not {seen_live}: replay again"
            )
        if reply[0] == b"BEHIND":
            raise BadQuestion(
                f"{self.projection.name}: generation {new} is at position {int(reply[1])}, behind the live one at "
                f"{int(reply[2])}: readers would go back in time"
            )

    def drop(self, number: int) -> None:
        """Removes the documents of a generation; a writer that still holds it is fenced."""
        with storage(writing=True):
            self.client.unlink(*_keys_of(self, number))

    def drop_old(self) -> None:
        """Removes every generation but the live one and the way back."""
        kept = {self.live(), self.previous()}
        for number in range(1, self._pointer("newest") + 1):
            if number not in kept:
                self.drop(number)

    def find(self, source: str, id: str) -> DecodedEvent | None:
        """The event of that source and id, where the log holds it."""
        position = self.log.position_of(source, id)
        recorded = None if position is None else self.log.at(position)
        return None if recorded is None else decode(recorded)

    def _pointer(self, field: str) -> int:
        with storage():
            return int(cast(bytes | None, self.client.hget(self.pointer, field)) or 0)


class Generation:
    """One generation of a projection's documents, and the one way to move it on."""

    def __init__(self, store: Store, number: int) -> None:
        self.store = store
        self.number = number
        self.state_key, self.documents_key, self.parked_key = _keys_of(store, number)
        self._documents: StoredDocuments | None = None
        self._checkpoint = Checkpoint()

    def checkpoint(self) -> Checkpoint:
        """How far this generation is. Raises BadQuestion where another version of the projection wrote it."""
        with storage():
            state = cast(dict[bytes, bytes], self.store.client.hgetall(self.state_key))
        return self.read_state(state)

    def read_state(self, state: dict[bytes, bytes]) -> Checkpoint:
        """The checkpoint in a state hash. Raises BadQuestion where another version of the projection wrote it."""
        if not state:
            return Checkpoint()
        if (version := int(state[b"version"])) != self.store.projection.version:
            raise BadQuestion(
                f"projection {self.store.projection.name} was built by version {version} of it, and this software has "
                f"version {self.store.projection.version}: run `approvals replay {self.store.projection.name}`"
            )
        return Checkpoint(int(state[b"position"]), state[b"entry"].decode())

    def advance(self, limit: int = PAGE, *, upto: int | None = None) -> int:
        """Folds at most `limit` further events, none after position `upto`, commits them, and returns how many.

        An event that cannot be applied is parked, with the reason, and the rest goes on. Raises Fenced where another
        writer moved on meanwhile; LogForked where the log is not the one that was read before: nothing is written.
        """
        if self._documents is None:
            self._checkpoint = self.checkpoint()
            self._documents = StoredDocuments(self)
        events = self._next(limit)
        if upto is not None:
            events = [event for event in events if event.position <= upto]
        if not events:
            return 0
        try:
            taken, parked = self._fold(events)
            self._commit(events[taken - 1], parked)
        except BaseException:
            self._documents = None  # what it holds may be half of an event: the next call reads it anew
            raise
        return taken

    def parked(self) -> dict[int, str]:
        """The events that could not be applied: position and reason, in order."""
        with storage():
            found = cast(dict[bytes, bytes], self.store.client.hgetall(self.parked_key))
        return {int(at): found[at].decode() for at in sorted(found, key=int)}

    def digest(self) -> tuple[int, str]:
        """The position, and the digest of all documents at it, read together."""
        with storage():
            pipeline = self.store.client.pipeline(transaction=True)
            pipeline.hget(self.state_key, "position")
            pipeline.hgetall(self.documents_key)
            position, documents = cast(tuple[bytes | None, dict[bytes, bytes]], pipeline.execute())
        return int(position or 0), digest_of_stored(
            {name.decode(): value for name, value in documents.items()}
        )

    def _next(self, limit: int) -> list[RecordedEvent]:
        here = self._checkpoint
        if here.position == 0:
            return self.store.log.page(0, limit)
        # The entry at the checkpoint comes with the page, so that a fork is seen at no further cost.
        events = self.store.log.page(here.position - 1, limit + 1)
        if not events or entry_digest(events[0]) != here.entry:
            found = "another event is there now" if events else "the log ends before it"
            raise LogForked(
                f"ledger {self.store.log.ledger}: projection {self.store.projection.name} has read up to position "
                f"{here.position}, and {found}. The log was rolled back or replaced (an old backup, a promoted replica). "
                "Nothing was changed. Restore the log; or, if this log is the right one, "
                f"run `approvals replay {self.store.projection.name}`."
            )
        return events[1:]

    def _fold(self, events: Sequence[RecordedEvent]) -> tuple[int, dict[int, str]]:
        """How many of `events` are in the documents now, and which of them is parked: the last one, or none."""
        failed = self._apply(events)
        if failed is None:
            return len(events), {}
        index, reason = failed
        # The failed event may have changed some documents: fold what came before it again, from what is stored.
        self._documents = StoredDocuments(self)
        if (again := self._apply(events[:index])) is not None:
            raise LogDamaged(f"position {events[again[0]].position} failed only the second time: {again[1]}")
        return index + 1, {events[index].position: reason}

    def _apply(self, events: Sequence[RecordedEvent]) -> tuple[int, str] | None:
        """Applies `events` to the cached documents; the index of the first that cannot be applied, and why."""
        projection, documents = self.store.projection, self._documents
        assert documents is not None
        decoded: list[DecodedEvent | Exception] = [_decoded(event) for event in events]
        documents.fetch(
            needed
            for event in decoded
            if not isinstance(event, Exception)
            and event.type in projection.handles
            and event.data is not None
            for needed in projection.needs(event)
        )
        if documents.get(WAITING):
            documents.fetch(correction_key(e.source, e.id) for e in decoded if not isinstance(e, Exception))
        for index, event in enumerate(decoded):
            if isinstance(event, Exception):
                return index, f"{type(event).__name__}: {event}"
            try:
                advance(projection, documents, event, self.store.find)
            except (StorageUnavailable, LogDamaged):
                raise
            except Exception as error:  # noqa: BLE001  # whatever an event does to a fold, the rest must go on
                return index, f"{type(error).__name__}: {error}"
        return None

    def _commit(self, last: RecordedEvent, parked: dict[int, str]) -> None:
        documents = self._documents
        assert documents is not None
        checkpoint = Checkpoint.at(last)
        changes = documents.changes()
        arguments: list[str | bytes | int] = [
            self._checkpoint.position,
            checkpoint.position,
            checkpoint.entry,
            self.store.projection.version,
            len(changes),
        ]
        for name, value in changes.items():
            arguments += [name, value]
        for position, reason in parked.items():
            arguments += [position, reason]
        with storage(writing=True):
            reply = cast(
                list[bytes],
                self.store.commit(keys=[self.state_key, self.documents_key, self.parked_key], args=arguments),
            )
        if reply[0] != b"OK":
            raise Fenced
        self._checkpoint = checkpoint
        documents.committed()


class StoredDocuments:
    """The documents of a generation, read when asked for, with the changes that are not committed yet."""

    def __init__(self, generation: Generation) -> None:
        self._client = generation.store.client
        self._key = generation.documents_key
        self._values: dict[str, Any] = {}
        self._changed: set[str] = set()

    def get(self, name: str) -> Any:
        if name not in self._values:
            self.fetch([name])
        return self._values[name]

    def put(self, name: str, value: Any) -> None:
        self._values[name] = value
        self._changed.add(name)

    def fetch(self, names: Iterable[str]) -> None:
        missing = list(dict.fromkeys(name for name in names if name not in self._values))
        if missing:
            with storage():
                found = cast(list[bytes | None], self._client.hmget(self._key, missing))
            self._values.update(zip(missing, map(value_of, found), strict=True))

    def changes(self) -> dict[str, bytes]:
        """The changed documents as canonical JSON; empty where one was removed."""
        values = self._values
        return {
            name: b"" if values[name] is None else canonical(values[name]) for name in sorted(self._changed)
        }

    def committed(self) -> None:
        """What was changed is stored now."""
        self._changed.clear()
        if len(self._values) > CACHED:
            self._values.clear()


def _keys_of(store: Store, number: int) -> tuple[str, str, str]:
    ledger, name = store.log.ledger, store.projection.name
    return (
        keys.state(ledger, name, number),
        keys.documents(ledger, name, number),
        keys.parked(ledger, name, number),
    )


def _decoded(event: RecordedEvent) -> DecodedEvent | Exception:
    try:
        return decode(event)
    except Exception as error:  # noqa: BLE001  # whatever the bytes are, the rest must go on: it is parked in its turn
        return error


def value_of(stored: bytes | None) -> Any:
    """A document from its stored bytes; None where there is none."""
    return None if stored is None else json.loads(stored)
