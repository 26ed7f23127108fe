"""Where a projection's documents live: one generation under its own keys, moved on by one fenced function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, cast

from redis.client import Pipeline

from events import (
    BadQuestion,
    DecodedEvent,
    InvalidEvent,
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
    stored_json,
)
from events.catalog import EventRetracted, EventSuperseded

from . import past
from .checkpoint import Checkpoint, entry_digest
from .digest import digest_of_stored
from .projection import WAITING, Projection, advance, correction_key

PAGE = 500  # events folded and committed at once
CACHED = 20_000  # documents kept between two pages; more are forgotten and read again
CHANGED = 20_000  # documents that end a page early: one call takes a million arguments at most, and holds up all others
REASON = 500  # characters of why an event was parked
FIRST = 1  # the number of the first generation


class Fenced(Exception):
    """Another writer moved the checkpoint since it was read: what was folded is thrown away."""


class Behind(BadQuestion):
    """A generation cannot become live: `live`, the position of the one that is, lies beyond its own."""

    def __init__(self, projection: str, number: int, position: int, live: int) -> None:
        self.live = live
        super().__init__(
            f"{projection}: generation {number} is at position {position}, behind the live one at {live}: "
            "readers would go back in time"
        )


class DocumentsLost(BadQuestion):
    """There are more or fewer documents than the last commit left: something else deleted or added some."""


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
        return self._pointer("live")[0]

    def previous(self) -> int:
        """The generation that was live before; 0 where there is none."""
        return self._pointer("previous")[0]

    def newest(self) -> int:
        """The generation that was opened last: the live one, one that is being built beside it, or one that is gone."""
        return self._pointer("newest")[0]

    def generation(self, number: int) -> Generation:
        """A handle on one generation, with a cache of its own."""
        return Generation(self, number)

    def open_live(self) -> Generation:
        """The live generation; the first one is made where there is none."""
        if not (live := self.live()):
            with storage(writing=True):
                # In this order: if the process died between the two, a live one alone would lend its number to the next.
                self.client.hsetnx(self.pointer, "newest", str(FIRST))
                self.client.hsetnx(self.pointer, "live", str(FIRST))
            live = self.live()
        return self.generation(live)

    def open_new(self) -> Generation:
        """A generation with a number that was never used, beside the live one."""
        self.open_live()
        with storage(writing=True):
            new = self.generation(int(self.client.hincrby(self.pointer, "newest", 1)))
            state = {"position": 0, "entry": "", "version": self.projection.version}
            self.client.hset(new.state_key, mapping=cast(Any, state))
        return new

    def switch(self, new: int, seen_live: int, *, even_if_behind: bool = False) -> None:
        """Makes generation `new` the live one. Raises Behind, or BadQuestion where another switch came first or `new` is gone."""
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
        if reply[0] == b"GONE":
            raise BadQuestion(f"{self.projection.name}: generation {new} was removed: replay again")
        if reply[0] == b"BEHIND":
            raise Behind(self.projection.name, new, int(reply[1]), int(reply[2]))

    def drop(self, number: int) -> None:
        """Removes a generation; a writer that still holds it is fenced.

        Raises BadQuestion, and removes nothing, where it is the live one or the way back.
        """

        # No script, which a server without memory would refuse: this is what makes room.
        def unlink(pipeline: Pipeline) -> None:
            live, previous = map(_whole, cast(list[Any], pipeline.hmget(self.pointer, ["live", "previous"])))
            if number in (live, previous):
                which = "live" if number == live else "the way back"
                raise BadQuestion(
                    f"{self.projection.name}: generation {number} is {which}, and is not removed"
                )
            pipeline.multi()
            pipeline.unlink(*_keys_of(self, number))

        with storage(writing=True):
            self.client.transaction(unlink, self.pointer)

    def drop_old(self) -> None:
        """Removes every generation but the live one and the way back."""
        live, previous, newest = self._pointer("live", "previous", "newest")
        for number in range(FIRST, newest + 1):
            if number not in (live, previous):
                with suppress(BadQuestion):  # it became live since
                    self.drop(number)

    def find(
        self,
        source: str,
        id: str,
        *,
        upto: int,
        known: Mapping[tuple[str, str], RecordedEvent] = MappingProxyType({}),
    ) -> DecodedEvent | None:
        """The event of that source and id, where the log holds it, no later than `upto`; from `known`, where it is there."""
        if (source, id) in known:
            recorded: RecordedEvent | None = known[source, id]
        else:
            position = self.log.position_of(source, id)
            recorded = self.log.at(position) if position is not None and position <= upto else None
        return decode(recorded) if recorded is not None and recorded.position <= upto else None

    def _pointer(self, *fields: str) -> list[int]:
        """Fields of the hash of generations, as they are at one moment."""
        with storage():
            return [_whole(value) for value in cast(list[Any], self.client.hmget(self.pointer, fields))]


class Generation:
    """One generation of a projection's documents, and the one way to move it on."""

    def __init__(self, store: Store, number: int) -> None:
        self.store = store
        self.number = number
        self.state_key, self.documents_key, self.parked_key, self.past_key, self.changed_key = _keys_of(
            store, number
        )
        self._documents: StoredDocuments | None = None
        self._checkpoint = Checkpoint()

    def checkpoint(self) -> Checkpoint:
        """How far this generation is. Raises BadQuestion where it cannot be read on (see `read_state`)."""
        return self.read_state(*self._state())

    def verified_checkpoint(self) -> Checkpoint:
        """The same, once the log is found to hold the entry there. Raises LogForked where it holds another, or none."""
        return self.verified(self.checkpoint())

    def verified(self, checkpoint: Checkpoint) -> Checkpoint:
        """`checkpoint`, once the log is found to hold the entry there. Raises LogForked where it holds another, or none."""
        if checkpoint.position:
            self._require_same_log(checkpoint, self.store.log.at(checkpoint.position))
        return checkpoint

    def _state(self) -> tuple[dict[bytes, bytes], int]:
        with storage():
            pipeline = self.store.client.pipeline(transaction=True)
            self.ask_state(pipeline)
            return cast(tuple[dict[bytes, bytes], int], tuple(pipeline.execute()))

    def ask_state(self, pipeline: Pipeline) -> None:
        """Asks for the two things that `read_state` takes: the state, and how many documents there are."""
        pipeline.hgetall(self.state_key)
        pipeline.hlen(self.documents_key)

    def read_state(self, state: dict[bytes, bytes], held: int) -> Checkpoint:
        """The checkpoint in a state hash. Raises BadQuestion where another version of the projection wrote it, or something
        else; DocumentsLost where not all the documents are `held` that were left. A replay makes them anew."""
        if not state:
            return Checkpoint()
        name, number = self.store.projection.name, self.number
        try:
            version, position = int(state[b"version"]), int(state[b"position"])
            entry, left = state[b"entry"].decode(), int(state.get(b"documents", b"0"))
        except (KeyError, ValueError):
            raise BadQuestion(
                f"projection {name}: the state of generation {number} is not what this software writes: something else "
                f"wrote to it. Run `approvals replay {name}`"
            ) from None
        if version != self.store.projection.version:
            raise BadQuestion(
                f"projection {name} was built by version {version} of it, and this software has version "
                f"{self.store.projection.version}: run `approvals replay {name}`"
            )
        if position and left != held:
            raise self._lost(left, held)
        return Checkpoint(position, entry)

    def _lost(self, left: int, held: int) -> DocumentsLost:
        name = self.store.projection.name
        return DocumentsLost(
            f"projection {name}: generation {self.number} was left with {left} documents and has {held} now: something "
            f"else deleted or added some. Run `approvals replay {name}`"
        )

    def keeps_past(self) -> bool:
        """Whether every snapshot that it ever made is there."""
        with storage():
            pipeline = self.store.client.pipeline(transaction=True)
            self.ask_past(pipeline)
            left, held = cast(tuple[bytes | None, int], tuple(pipeline.execute()))
        return left == str(held).encode()

    def ask_past(self, pipeline: Pipeline) -> None:
        """Asks how many fields its snapshots were left with, and how many there are: equal where all are there."""
        pipeline.hget(self.state_key, "past")
        pipeline.hlen(self.past_key)

    def advance(self, limit: int = PAGE, *, upto: int | None = None) -> int:
        """Folds at most `limit` further events, none after position `upto`, commits them, and returns how many.

        An event that cannot be applied is parked, with the reason, and the rest goes on. A generation that was removed
        takes nothing. Raises Fenced where another writer moved on meanwhile; LogForked where the log is not the one that
        was read before: nothing is written.
        """
        if self._documents is None:
            state, held = self._state()
            if not state and self.number != (self.store.live() or FIRST):
                return 0
            self._checkpoint = self.read_state(state, held)
            self._documents = StoredDocuments(self, self._checkpoint)
        # A page ends where a snapshot is due.
        events = self._next(min(limit, past.EVERY - self._checkpoint.position % past.EVERY))
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
        if not (at := _whole(position)):
            documents = {}  # what is there is of another time
        return at, digest_of_stored({name.decode(): value for name, value in documents.items()})

    def _next(self, limit: int) -> list[RecordedEvent]:
        here = self._checkpoint
        if here.position == 0:
            return self.store.log.page(0, limit)
        # The entry at the checkpoint comes with the page, so that a fork is seen at no further cost.
        events = self.store.log.page(here.position - 1, limit + 1)
        self._require_same_log(here, events[0] if events else None)
        return events[1:]

    def _require_same_log(self, remembered: Checkpoint, found: RecordedEvent | None) -> None:
        if found is not None and entry_digest(found) == remembered.entry:
            return
        what = "the log ends before it" if found is None else "another event is there now"
        raise LogForked(
            f"ledger {self.store.log.ledger}: projection {self.store.projection.name} has read up to position "
            f"{remembered.position}, and {what}. The log was rolled back or replaced (an old backup, a promoted replica). "
            "Nothing was changed. Restore the log; or, if this log is the right one, "
            f"run `approvals replay {self.store.projection.name}`."
        )

    def _fold(self, events: Sequence[RecordedEvent]) -> tuple[int, dict[int, str]]:
        """How many of `events` are in the documents now, and which of them is parked: the last one, or none."""
        taken, error = self._apply(events)
        if error is None:
            return taken, {}
        # A pure fold fails at the same event every time. If this one does not, the event is not at fault: the job ran out
        # of time in the middle of it, or another writer has changed the documents.
        again, same = self._apply_anew(events[: taken + 1])
        # The failed event may have changed some documents: once more without it.
        if again != taken or same is None or self._apply_anew(events[:taken]) != (taken, None):
            raise Fenced if self.checkpoint() != self._checkpoint else error
        return taken + 1, {events[taken].position: reason_of(error)}

    def _apply_anew(self, events: Sequence[RecordedEvent]) -> tuple[int, Exception | None]:
        self._documents = StoredDocuments(self, self._checkpoint)
        return self._apply(events)

    def _apply(self, events: Sequence[RecordedEvent]) -> tuple[int, Exception | None]:
        """Applies `events` to the cached documents; how many, and why the next one cannot be applied.

        They are fewer, without an error, where they changed as many documents as one commit takes.
        """
        projection, documents = self.store.projection, self._documents
        assert documents is not None
        decoded: list[DecodedEvent | Exception] = [_decoded(event) for event in events]
        targets = [target for event in decoded if (target := _target(event)) is not None]
        documents.fetch(name for event in decoded for name in needed(projection, event))
        documents.fetch(correction_key(*target) for target in targets)
        if documents.get(WAITING):
            documents.fetch(correction_key(e.source, e.id) for e in decoded if not isinstance(e, Exception))
        # One by one, what 3 % of corrections are against took a fifth of the time of a replay.
        known = self.store.log.find_each(targets)
        for index, event in enumerate(decoded):
            if documents.changed >= CHANGED:
                return index, None
            if isinstance(event, Exception):
                return index, event
            try:
                advance(
                    projection, documents, event, partial(self.store.find, upto=event.position, known=known)
                )
            except (StorageUnavailable, LogDamaged, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001  # whatever an event does to a fold, the rest must go on
                return index, error
        return len(decoded), None

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
            self.number,
            "1" if checkpoint.position % past.EVERY == 0 else "",
            len(changes),
        ]
        for name, value in changes.items():
            arguments += [name, value]
        for position, reason in parked.items():
            arguments += [position, reason]
        with storage(writing=True):
            reply = cast(
                list[bytes],
                self.store.commit(
                    keys=[*_keys_of(self.store, self.number), self.store.pointer],
                    args=arguments,
                ),
            )
        if reply[0] == b"LOST":
            raise self._lost(int(reply[1] or 0), int(reply[2]))
        if reply[0] != b"OK":
            raise Fenced
        self._checkpoint = checkpoint
        documents.committed()


class StoredDocuments:
    """The documents of a generation at `checkpoint`, read when asked for, with the changes that are not committed yet."""

    def __init__(self, generation: Generation, checkpoint: Checkpoint) -> None:
        self._client = generation.store.client
        self._key = generation.documents_key
        # Before the first commit, whatever is under the key is of another time; that commit removes it.
        self._empty = checkpoint.position == 0
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
        if self._empty:
            self._values.update(dict.fromkeys(missing))
        elif missing:
            with storage():
                found = cast(list[bytes | None], self._client.hmget(self._key, missing))
            self._values.update(zip(missing, map(value_of, found), strict=True))

    @property
    def changed(self) -> int:
        """How many documents the next commit writes."""
        return len(self._changed)

    def changes(self) -> dict[str, bytes]:
        """The changed documents as canonical JSON; empty where one was removed."""
        values = self._values
        return {
            name: b"" if values[name] is None else canonical(values[name]) for name in sorted(self._changed)
        }

    def committed(self) -> None:
        """What was changed is stored now."""
        self._changed.clear()
        self._empty = False
        if len(self._values) > CACHED:
            self._values.clear()


def _keys_of(store: Store, number: int) -> tuple[str, str, str, str, str]:
    ledger, name = store.log.ledger, store.projection.name
    return (
        keys.state(ledger, name, number),
        keys.documents(ledger, name, number),
        keys.parked(ledger, name, number),
        keys.past(ledger, name, number),
        keys.changed(ledger, name, number),
    )


def _decoded(event: RecordedEvent) -> DecodedEvent | Exception:
    try:
        return decode(event)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever the bytes are, the rest must go on: it is parked in its turn
        return error


def _target(event: DecodedEvent | Exception) -> tuple[str, str] | None:
    """The source and id of what a correction is against."""
    if isinstance(event, Exception) or not isinstance(event.data, EventRetracted | EventSuperseded):
        return None
    return event.data.target.source, event.data.target.id


def needed(projection: Projection, event: DecodedEvent | Exception) -> list[str]:
    """The documents that counting an event will ask for, as far as can be told."""
    if isinstance(event, Exception) or event.type not in projection.handles or event.data is None:
        return []
    try:
        return projection.needs(event)
    except Exception:  # noqa: BLE001  # a hint; if something is wrong with the event, `evolve` will say what
        return []


def reason_of(error: Exception) -> str:
    # The words of a refusal say that nothing was stored; this event is.
    says = "; ".join(map(str, error.faults)) if isinstance(error, InvalidEvent) else str(error)
    text = f"{type(error).__name__}: {says}"
    return text[:REASON].encode("utf-8", "backslashreplace").decode()


def _whole(stored: bytes | None) -> int:
    return int(stored or 0)


def value_of(stored: bytes | None) -> Any:
    """A document from its stored bytes; None where there is none."""
    return None if stored is None else stored_json(stored)
