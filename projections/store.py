"""Where a projection's documents live: one generation under its own keys, moved on by one fenced function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from math import inf
from typing import Any, NamedTuple, TypeVar, cast

from redis.client import Pipeline
from redis.commands.core import Script

from events import (
    BadQuestion,
    Log,
    LogDamaged,
    LogForked,
    RecordedEvent,
    StorageUnavailable,
    Unreadable,
    keys,
    load_function,
    storage,
)

from . import past
from .checkpoint import Checkpoint
from .digest import MARK, digests_of_documents, digests_of_set
from .lockstep import PAGE, Entry, Lookup, Outcome, advance_together, fetch_documents, reason_of
from .projection import Projection, advance
from .stored import DocumentDamaged, StoredDocuments, parted

CHANGED = 20_000  # documents that end a page early: one call takes a million arguments at most, and holds up all others
SCANNED = 1_000  # documents that a digest reads at once, about
DIGEST_TRIES = 3  # to read all documents while no writer moves on
FIRST = 1  # the number of the first generation

Fields = Iterable[tuple[bytes, bytes]]
"""Fields of a hash, and what is stored in them."""

Progress = Callable[[int], None]
"""Called by long-running work with the position that it has reached. An exception from it breaks the work off."""

_Taken = TypeVar("_Taken")


def unheard(_: int) -> None:
    """Progress that nobody listens to."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests of all documents of a generation at a position, and of its snapshots up to there (None if some of these are lost)."""

    position: int
    documents: str
    past: str | None


class Fenced(Exception):
    """Another writer has moved the checkpoint since it was read, so what was folded is thrown away."""


class Behind(BadQuestion):
    """A generation cannot become live: `live`, the position of the one that is, lies beyond its own."""

    def __init__(self, projection: str, number: int, position: int, live: int) -> None:
        self.live = live
        super().__init__(
            f"{projection}: generation {number} is at position {position}, behind the live one at {live}: "
            "readers would go back in time"
        )


class DocumentsLost(Unreadable):
    """There are more or fewer documents than the last commit left: something else deleted or added some."""


class Store:
    """The stored state of one projection of one ledger. Holds no state itself; safe to share between threads."""

    def __init__(self, log: Log, projection: Projection) -> None:
        self.log = log
        self.projection = projection
        self.client = log.client
        self.pointer = keys.projection(log.ledger, projection.name)

    # Made only when needed: a reader needs none of them, and makes a store for each question.

    @cached_property
    def commit(self) -> Script:
        return self.client.register_script(load_function("commit", "projections.functions"))

    @cached_property
    def switch_function(self) -> Script:
        return self.client.register_script(load_function("switch", "projections.functions"))

    @cached_property
    def drop_function(self) -> Script:
        return self.client.register_script(load_function("drop", "projections.functions", frees=True))

    def live(self) -> int:
        """The number of the generation that readers see; 0 if nothing was ever projected."""
        return self._pointer("live")[0]

    def previous(self) -> int:
        """The number of the generation that was live before; 0 if there is none."""
        return self._pointer("previous")[0]

    def generation(self, number: int) -> Generation:
        """A handle on one generation, with a cache of its own."""
        return Generation(self, number)

    def open_live(self) -> Generation:
        """The live generation; the first one is made where there is none."""
        if not (live := self.live()):
            with storage(writing=True):
                # In this order: if the process died in between with only `live` written, the next generation would get the same number.
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
        with storage(writing=True):
            reply = cast(
                list[bytes | None],
                self.drop_function(keys=[self.pointer, *_keys_of(self, number)], args=[number]),
            )
        live, previous = map(whole_number, reply)
        if number in (live, previous):
            which = "live" if number == live else "the way back"
            raise BadQuestion(
                f"{self.projection.name}: generation {number} is {which}, and cannot be removed"
            )

    def drop_old(self) -> None:
        """Removes every generation but the live one and the way back."""
        live, previous, newest, oldest = self._pointer("live", "previous", "newest", "oldest")
        kept = {live, previous} - {0}
        for number in range(oldest or FIRST, newest + 1):
            if number not in kept:
                try:
                    self.drop(number)
                except BadQuestion:
                    kept.add(number)  # it became live since
        # Without this note, each switch after 5,000 rebuilds sent 25,000 commands. It is written last: if this is interrupted, the
        # next switch does the rest, and if two write it, either is right, because no number is used twice.
        if kept and min(kept) != oldest:
            with storage(writing=True):
                self.client.hset(self.pointer, "oldest", str(min(kept)))

    def _pointer(self, *fields: str) -> list[int]:
        """Fields of the hash of generations, as they are at one moment."""
        with storage():
            return [whole_number(value) for value in cast(list[Any], self.client.hmget(self.pointer, fields))]


class Pointers(NamedTuple):
    """Which generations of a projection are live, were live before, and were opened last: 0 where there is none."""

    live: int
    previous: int
    newest: int


def pointers_of(log: Log, projections: Iterable[Projection]) -> dict[str, Pointers]:
    """The pointers of some projections of a ledger, in one round trip. Raises Unreadable."""
    names = [projection.name for projection in projections]
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        for name in names:
            pipeline.hmget(keys.projection(log.ledger, name), Pointers._fields)
        replies = pipeline.execute()
    return {name: Pointers(*map(whole_number, found)) for name, found in zip(names, replies, strict=True)}


def live_generations(log: Log, projections: Iterable[Projection]) -> list[Generation]:
    """The generations that readers see, or will see first, for some projections of a ledger, in one round trip.

    This writes nothing, not even the first generation: the caller may not be allowed to write, or the server have no room.
    """
    listed = list(projections)
    pointers = pointers_of(log, listed)
    return [Store(log, each).generation(pointers[each.name].live or FIRST) for each in listed]


class Generation:
    """One generation of a projection's documents, and the only way to advance it. For one thread only: it remembers documents between pages."""

    def __init__(self, store: Store, number: int) -> None:
        self.store = store
        self.name = store.projection.name
        self.number = number
        self.state_key, self.documents_key, self.parked_key, self.past_key = _keys_of(store, number)
        # What is remembered between two pages: documents, and where they are. None: both are to be read first.
        self.documents: StoredDocuments | None = None
        self.reached = Checkpoint()
        self.left_out: set[int] = set()  # the events before that which are parked

    def checkpoint(self) -> Checkpoint:
        """How far this generation is. Raises Unreadable if it cannot be used (see `read_state`)."""
        return self.read_state(*self._state())

    def verified_checkpoint(self) -> Checkpoint:
        """The same, after checking that the log holds that entry. Raises LogForked if it holds another one there, or none."""
        return self.verified(self.checkpoint())

    def verified(self, checkpoint: Checkpoint) -> Checkpoint:
        """`checkpoint`, after checking that the log holds its entry. Raises LogForked if it holds another one there, or none."""
        if checkpoint.position:
            self.require_same_log(checkpoint, self.store.log.at(checkpoint.position))
        return checkpoint

    def _state(self) -> tuple[dict[bytes, bytes], int]:
        while True:
            with storage():
                pipeline = self.store.client.pipeline(transaction=False)
                self.ask_state(pipeline)
                self.ask_position(pipeline)
                state, held, position = cast(tuple[dict[bytes, bytes], int, bytes | None], pipeline.execute())
            if not has_moved(state, position):
                return state, held

    # What belongs together is not read in a transaction, because a full server refuses even MULTI (Redis 7.0), and reading should
    # go on then. Each commit moves the position: if that is the same after everything else was read, all of it is of one commit.

    def ask_state(self, pipeline: Pipeline) -> None:
        """Adds to a pipeline the two commands whose replies `read_state` takes: the state, and the number of documents."""
        pipeline.hgetall(self.state_key)
        pipeline.hlen(self.documents_key)

    def ask_position(self, pipeline: Pipeline) -> None:
        """Adds to a pipeline, after everything else, the command whose reply `has_moved` takes."""
        pipeline.hget(self.state_key, "position")

    def read_state(self, state: dict[bytes, bytes], held: int) -> Checkpoint:
        """The checkpoint in a state hash. Raises Unreadable if another version of the projection wrote it, or something else did;
        DocumentsLost if the number of documents `held` is not the one that the last commit left. A replay repairs either."""
        if not state:
            return Checkpoint()
        name, number = self.store.projection.name, self.number
        try:
            version, position = int(state[b"version"]), int(state[b"position"])
            entry, left = state[b"entry"].decode(), int(state.get(b"documents", b"0"))
        except (KeyError, ValueError):
            raise Unreadable(
                f"projection {name}: the state of generation {number} is not what this software writes: something else "
                f"wrote to it. Run `approvals replay {name}`"
            ) from None
        if version != (mine := self.store.projection.version):
            replay = f"run `approvals replay {name}`"
            # Where the old runs beside the new, a replay by the old one would take the documents from the new.
            way = replay if version < mine else f"upgrade this software (or, to go back to it, {replay})"
            raise Unreadable(
                f"projection {name} was built by version {version} of it, and this software has version {mine}: {way}"
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
        """Whether all the snapshots that it ever made are still there."""
        while True:
            with storage():
                pipeline = self.store.client.pipeline(transaction=False)
                self.ask_past(pipeline)
                left, documents, kept, position = pipeline.execute()
            if left[0] == position:
                return past.all_there(left, documents, kept)

    def ask_past(self, pipeline: Pipeline) -> None:
        """Adds to a pipeline the commands for what `past.all_there` takes, between two for the position: if the two replies differ,
        everything has to be read again."""
        pipeline.hmget(self.state_key, ["position", "documents", "past"])
        pipeline.hlen(self.documents_key)
        pipeline.hlen(self.past_key)
        self.ask_position(pipeline)

    def advance(self, limit: int = PAGE, *, upto: int | None = None) -> int:
        """Folds at most `limit` further events, none after position `upto`, commits them, and returns how many.

        This is `advance_together` for one generation. If its outcome is an error (Fenced, LogForked and the rest), raises it; nothing is written then.
        """
        (outcome,) = advance_together([self], limit, upto=upto)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def parked(self) -> dict[int, str]:
        """The events that could not be applied: position and reason, in order. Raises Unreadable."""
        with storage():
            found = cast(dict[bytes, bytes], self.store.client.hgetall(self.parked_key))
        reasons = {whole_number(at): why.decode("utf-8", "replace") for at, why in found.items()}
        return dict(sorted(reasons.items()))

    def digest(self, progress: Progress = unheard) -> tuple[int, str]:
        """The position, and the digest of all documents at it. `progress` is called repeatedly while these are read."""
        position, (digest, _) = self._read_whole([self.documents_key], _digests_of_documents, progress)
        return position, digest

    def digests(self, progress: Progress = unheard) -> Digests:
        """The same, and a digest of all snapshots up to that position, at which both are read."""

        def digests(documents: Fields, kept: Fields) -> tuple[str, str]:
            plain, marked = _digests_of_documents(documents)
            each = ((sha256(field + b"\n" + stored).digest(), b"") for field, stored in kept)
            return plain, marked + digests_of_set(each)[0]

        position, (plain, past) = self._read_whole([self.documents_key, self.past_key], digests, progress)
        return Digests(position, plain, past if self.keeps_past() else None)

    def _read_whole(
        self, places: list[str], take: Callable[..., _Taken], progress: Progress
    ) -> tuple[int, _Taken]:
        """The position, and what `take` makes of all fields of some hashes as they are at it.

        They are read a part at a time, so that they need not all fit into memory; or all at once, if a writer advances at every try.
        """
        for _ in range(DIGEST_TRIES):
            with storage():
                pipeline = self.store.client.pipeline(transaction=False)
                self.ask_position(pipeline)
                for place in places:
                    pipeline.hscan(place, 0, count=SCANNED)
                self.ask_position(pipeline)
                at, *begun, after = pipeline.execute()
            if at != after:
                continue
            position = whole_number(at)
            with suppress(Fenced):
                scans = zip(places, begun, strict=True)
                fields = (self._fields_at(position, place, progress, *scan) for place, scan in scans)
                return position, take(*fields)
        with storage():
            pipeline = self.store.client.pipeline(transaction=True)
            pipeline.hget(self.state_key, "position")
            for place in places:
                pipeline.hgetall(place)
            at, *whole = pipeline.execute()
        return whole_number(at), take(*(fields.items() for fields in whole))

    def _fields_at(
        self, position: int, place: str, progress: Progress, cursor: int, found: dict[bytes, bytes]
    ) -> Fields:
        """The fields of a hash in the server's order, maybe some of them twice: those that were `found`, and those from `cursor`
        on. Raises Fenced where these are of a `position` no longer. At position 0 there are none: whatever is there is of
        another time."""
        while position:
            yield from found.items()
            if not cursor:
                return
            with storage():
                pipeline = self.store.client.pipeline(transaction=False)
                pipeline.hscan(place, cursor, count=SCANNED)
                self.ask_position(pipeline)
                (cursor, found), at = cast(
                    tuple[tuple[int, dict[bytes, bytes]], bytes | None], tuple(pipeline.execute())
                )
            if whole_number(at) != position:
                raise Fenced
            progress(position)

    def open(self, state: dict[bytes, bytes], held: int, parked: Iterable[bytes], live: bytes | None) -> None:
        """Takes its position from what was read (see `read_state`). A generation that was removed stays closed, and takes nothing."""
        if state or self.number == live_of(live):
            self.reached = self.read_state(state, held)
            empty = self.reached.position == 0
            self.left_out = set() if empty else set(map(whole_number, parked))
            self.documents = StoredDocuments(self.store.client, self.documents_key, empty=empty)

    def forget(self) -> None:
        """Drops what is remembered, which may be half of an event, or out of date: the next page reads it again."""
        self.documents = None

    def require_same_log(self, remembered: Checkpoint, found: RecordedEvent | None) -> None:
        """Raises LogForked if `found` is not the entry that `remembered` stands on."""
        if found is not None and found.digest == remembered.entry:
            return
        what = "the log ends before it" if found is None else "another event is there now"
        raise LogForked(
            f"ledger {self.store.log.ledger}: projection {self.store.projection.name} has read up to position "
            f"{remembered.position}, and {what}. The log was rolled back or replaced (an old backup, a promoted replica). "
            # Not of this one alone: the others have read that log as well, and each would say so in turn.
            "Nothing was changed. Restore the log; or, if this log is the right one, run `approvals replay`."
        )

    def fold(
        self, entries: Sequence[Entry], lookup: Lookup, seconds: float = inf
    ) -> tuple[int, Exception | None]:
        """Applies `entries` to the documents. Returns how many were applied, and why the next one cannot be (see `park`), or None.

        Without an error it applies fewer, but at least one, if they change as many documents as one commit may, or take longer
        than `seconds`.
        """
        projection, documents, until = self.store.projection, self.documents, time.monotonic() + seconds
        assert documents is not None
        for index, entry in enumerate(entries):
            if index and (documents.changed >= CHANGED or time.monotonic() > until):
                return index, None
            event = entry.event
            if isinstance(event, Exception):
                return index, event
            try:
                find = partial(lookup.find, upto=event.position)
                advance(projection, documents, event, find, self.left_out)
            except (StorageUnavailable, LogDamaged, DocumentDamaged, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001  # whatever an event does to a fold, the rest must go on
                return index, error
        return len(entries), None

    def park(
        self, entries: Sequence[Entry], taken: int, error: Exception, lookup: Lookup
    ) -> tuple[int, dict[int, str]]:
        """Leaves out the event after those that were `taken`. Returns how many of `entries` are dealt with now, and what is parked, by
        position, with the reason.

        Nothing of this generation may be in flight, because the documents are read again.
        """
        # A pure fold fails at the same event every time. If this one does not, the event is not at fault: the job ran out of
        # time in the middle of it, or another writer changed the documents.
        again, same = self._fold_anew(entries[: taken + 1], lookup)
        # The failed event may have changed some documents: once more without it.
        if again != taken or same is None or self._fold_anew(entries[:taken], lookup) != (taken, None):
            raise Fenced if self.checkpoint() != self.reached else error
        position = entries[taken].recorded.position
        self.left_out.add(position)
        return taken + 1, {position: reason_of(error)}

    def _fold_anew(self, entries: Sequence[Entry], lookup: Lookup) -> tuple[int, Exception | None]:
        empty = self.reached.position == 0
        self.documents = StoredDocuments(self.store.client, self.documents_key, empty=empty)
        outcomes: dict[Generation, Outcome] = {}
        fetch_documents([(self, entries)], lookup, outcomes)
        for error in outcomes.values():
            if isinstance(error, Exception):
                raise error
        return self.fold(entries, lookup)

    def commit_call(self, last: RecordedEvent, parked: dict[int, str]) -> list[str | bytes | int]:
        """The arguments of EVALSHA that make `commit.lua` write what was folded up to the `last` event: the number of keys, the keys, ARGV."""
        assert self.documents is not None
        checkpoint = Checkpoint.at(last)
        snapshot = past.next_from(checkpoint.position)
        changes = self.documents.changes(snapshot)
        places = [*_keys_of(self.store, self.number), self.store.pointer]
        call: list[str | bytes | int] = [
            len(places),
            *places,
            self.reached.position,
            self.reached.entry,
            checkpoint.position,
            checkpoint.entry,
            self.store.projection.version,
            self.number,
            snapshot,
            past.volume_of(snapshot),
            keys.log(self.store.log.ledger),
            f"{last.position}-{last.recorded_ms}",
            len(changes),
        ]
        for name, value in changes.items():
            call += [name, value]
        for position, reason in parked.items():
            call += [position, reason]
        return call

    def hand_over(self, checkpoint: Checkpoint) -> None:
        """Notes that what was folded up to `checkpoint` is about to be sent: what is folded from now on is for the next commit."""
        assert self.documents is not None
        self.documents.sent()
        self.reached = checkpoint

    def read_commit(self, reply: list[bytes]) -> None:
        """Takes the answer to what was handed over. Raises Fenced or DocumentsLost where nothing was written."""
        if reply[0] == b"LOST":
            raise self._lost(int(reply[1] or 0), int(reply[2]))
        if reply[0] != b"OK":
            raise Fenced
        if self.documents is not None:  # None: what was folded on top of it has failed meanwhile
            self.documents.committed()


def _keys_of(store: Store, number: int) -> tuple[str, str, str, str]:
    ledger, name = store.log.ledger, store.projection.name
    return (
        keys.state(ledger, name, number),
        keys.documents(ledger, name, number),
        keys.parked(ledger, name, number),
        keys.past(ledger, name, number),
    )


def _digests_of_documents(documents: Fields) -> tuple[str, str]:
    """The digest of the documents; and a second one that also covers which snapshot is the first to hold each as it is."""
    parts = ((name, *parted(stored)) for name, stored in documents)
    # What something else wrote there may not be a position, and longer than one: cut short, it still differs from every position.
    return digests_of_documents((name.decode(), json, since[:MARK]) for name, since, json in parts)


def has_moved(state: dict[bytes, bytes], position: bytes | None) -> bool:
    """Whether a generation moved between the reading of its state and the later reading of its position."""
    return state.get(b"position") != position


def live_of(stored: bytes | None) -> int:
    """The number of the generation that a projection's pointer names as live, or of the first if it names none. Raises Unreadable."""
    return whole_number(stored) or FIRST


def whole_number(stored: bytes | None) -> int:
    """A number from a projection's state, or from what names its generations; 0 if there is none. Raises Unreadable."""
    try:
        return int(stored or 0)
    except ValueError:
        raise Unreadable(
            f"a number in the state of a projection is not what this software writes, {stored!r:.80}: something else wrote to "
            "it. All of this follows from the log: delete the keys {LEDGER}:projection:PROJECTION and "
            "{LEDGER}:projection:PROJECTION:*, and run `approvals replay`"
        ) from None
