"""Reading several projections as they were at one position, though workers move each of them on by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from redis import Redis

from events import (
    DecodedEvent,
    Lagging,
    LedgerError,
    Log,
    LogDamaged,
    ParkedEvents,
    RecordedEvent,
    StorageUnavailable,
    decode,
    storage,
)

from . import past
from .checkpoint import Checkpoint
from .lockstep import PAGE, Lookup, asked_for, reason_of
from .past import PastDocuments, SnapshotLost
from .projection import WAITING, Documents, MemoryDocuments, Projection, advance, correction_key
from .readings import Reading, Readings, Settled
from .store import FIRST, Generation, Store
from .stored import value_of

T = TypeVar("T")

TRIES = 50

_READINGS: WeakKeyDictionary[Redis, Readings] = WeakKeyDictionary()
"""What was read last over each client, and no longer than that is used."""


class Busy(LedgerError):
    """The projections moved on at every try to read them together."""

    code = "busy"


def read_together(
    log: Log,
    projections: Sequence[Projection],
    build: Callable[[Mapping[str, Documents]], T],
    *,
    at_least: int = 0,
) -> tuple[int, T]:
    """What `build` makes of the documents of `projections`, all at one position, which comes with it.

    The position is `at_least` that one: what the workers have not taken yet is folded in memory, so that a reader sees its
    own writes at once. Raises Lagging where the log itself is not that long.

    `build` may run more than once. The documents that it asks for are read as it asks; then one transaction reads the
    checkpoints again, and, where a worker has moved one on meanwhile, the documents as well, for another run. A projection
    that is behind the others is folded on in memory to where they are.

    What was read is kept for the next question over the same client. Before that is built, a transaction reads the checkpoints:
    where they are what they were, so are the documents; else those that were asked for last are read with them.
    """
    if at_least > (head := log.head()):
        raise Lagging(f"ledger {log.ledger} ends at position {head}: it has no position {at_least} yet")
    stores = {projection.name: Store(log, projection) for projection in projections}
    wanted: dict[str, set[str]] = {name: set() for name in stores}
    readings = _READINGS.setdefault(log.client, Readings())
    last = readings.last(log.ledger, stores)
    for _ in range(TRIES):
        if (read := _fetch(stores, wanted, last)) is None:
            # What the last question asked for, this one is likely to ask for as well.
            wanted, last = last.names() if last else wanted, None
            continue
        position = max(at_least, *(view.checkpoint.position for view in read.values()))
        views = Settled(read, last.derived_at(position) if last else {})
        try:
            for view in read.values():
                view.fold_to(position)
            value = build(views)
        except Exception:
            # Documents of two positions may make no sense together: it counts only if all of them are of one.
            if _at_one_position(read):
                raise
        else:
            if _at_one_position(read):
                readings.keep(log.ledger, _reading(read, views, position))
                return position, value
        wanted, last = {name: view.asked for name, view in read.items()}, None
    raise Busy("the projections moved on at every try to read them together: ask again")


def known_at(log: Log, projections: Sequence[Projection], position: int) -> dict[str, Documents]:
    """The documents as they were when the log ended at `position`: those of the last snapshot before it, folded on."""
    began: dict[str, int] = {}
    views: dict[str, Documents] = {}
    for projection in projections:
        live = _live(Store(log, projection))
        began[projection.name] = snapshot = past.last_before(live, position)
        views[projection.name] = PastDocuments(live, snapshot) if snapshot else MemoryDocuments()
    folds = [_Fold(Store(log, projection), views[projection.name]) for projection in projections]
    for page in _pages(log, folds, after=min(began.values()), upto=position):
        for fold in folds:
            fold.take_all(event for event in page if event.position > began[fold.projection.name])
    return views


def fold_all(
    log: Log,
    projections: Sequence[Projection],
    position: int,
    counts: Callable[[DecodedEvent], bool] = lambda _: True,
) -> dict[str, Documents]:
    """The documents as they were when the log ended at `position`, folded from its first event; of some events alone, where
    not all `counts`."""
    views: dict[str, Documents] = {projection.name: MemoryDocuments() for projection in projections}
    folds = [_Fold(Store(log, projection), views[projection.name], counts) for projection in projections]
    for page in _pages(log, folds, after=0, upto=position):
        for fold in folds:
            fold.take_all(filter(counts, page))
    return views


def follow(
    log: Log, projections: Sequence[Projection], views: Mapping[str, Documents], after: int, upto: int
) -> Iterator[DecodedEvent]:
    """Folds the events between two positions into `views`, which stand at the first, and yields each."""
    folds = [_Fold(Store(log, projection), views[projection.name]) for projection in projections]
    for page in _pages(log, folds, after=after, upto=upto):
        for fold in folds:
            fold.take_all(page)
        yield from page


def parked(log: Log, projections: Sequence[Projection], upto: int) -> list[int]:
    """The events up to a position that one of the projections could not apply, and that no figure of it counts."""
    stores = [Store(log, projection) for projection in projections]
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        for store in stores:
            pipeline.hget(store.pointer, "live")
        numbers = pipeline.execute()
        for store, number in zip(stores, numbers, strict=True):
            pipeline.hkeys(store.generation(int(number or FIRST)).parked_key)
        found = {int(position) for positions in pipeline.execute() for position in positions}
    return sorted(position for position in found if position <= upto)


class _Fold:
    """Folds into documents in memory, as the workers did into theirs: what they parked is left out here too."""

    def __init__(
        self,
        store: Store,
        documents: Documents,
        counts: Callable[[DecodedEvent], bool] = lambda _: True,
    ) -> None:
        self.projection = store.projection
        self.parked = _live(store).parked().keys()
        self._store, self._documents, self._counts = store, documents, counts

    def take_all(self, events: Iterable[DecodedEvent]) -> None:
        """Takes events. Raises ParkedEvents where one cannot be applied, and no worker has met it yet."""
        wanted = [event for event in events if event.position not in self.parked]
        lookup = Lookup(self._store.log, wanted)
        # At once: asked for one by one, the documents of a snapshot took longer than a fold of the whole log.
        self._documents.fetch(asked_for(self.projection, wanted, lookup))
        if self._documents.get(WAITING):
            self._documents.fetch(correction_key(event.source, event.id) for event in wanted)
        for event in wanted:
            with _applying(self.projection, event.position):
                find = partial(_find, lookup, self._counts, upto=event.position)
                advance(self.projection, self._documents, event, find)


def _live(store: Store) -> Generation:
    # A reader writes nothing, not even the first generation: it may have no right to, or the server no room.
    return store.generation(store.live() or FIRST)


def _pages(log: Log, folds: Sequence[_Fold], *, after: int, upto: int) -> Iterator[list[DecodedEvent]]:
    events = log.read(after=after, limit=upto - after)
    while page := list(islice(events, PAGE)):
        # What all have parked may be no event at all.
        some = [event for event in page if not all(event.position in fold.parked for fold in folds)]
        yield [_decoded(folds[0].projection, event) for event in some]


def _decoded(projection: Projection, recorded: RecordedEvent) -> DecodedEvent:
    with _applying(projection, recorded.position):
        return decode(recorded)
    raise AssertionError("either it is decoded, or that raises")


def _find(
    lookup: Lookup, counts: Callable[[DecodedEvent], bool], source: str, id: str, *, upto: int
) -> DecodedEvent | None:
    event = lookup.find(source, id, upto=upto)
    return event if event is not None and counts(event) else None


@contextmanager
def _applying(projection: Projection, position: int) -> Iterator[None]:
    try:
        yield
    except (StorageUnavailable, LogDamaged, SnapshotLost, MemoryError):
        raise
    except Exception as error:  # whatever the fold makes of it: a worker parks this event
        raise ParkedEvents(projection.name, [(position, reason_of(error))]) from error


class _View:
    """One generation's documents at its checkpoint, folded on in memory: those that are `known`, and those that are read, with
    it or, as they are asked for, later."""

    def __init__(
        self,
        generation: Generation,
        checkpoint: Checkpoint,
        known: Mapping[str, Any],
        read: dict[str, Any],
    ) -> None:
        self.generation = generation
        self.checkpoint = checkpoint
        self.known, self.read = known, read
        self.late = False
        self._folded: dict[str, Any] = {}

    @property
    def asked(self) -> set[str]:
        """The names of all that it has of the documents."""
        return {*self.known, *self.read}

    def get(self, name: str) -> Any:
        if name in self._folded:
            return self._folded[name]
        if name in self.known:
            return self.known[name]
        if name not in self.read:
            self.fetch([name])
        return self.read[name]

    def put(self, name: str, value: Any) -> None:
        self._folded[name] = value

    def fetch(self, names: Iterable[str]) -> None:
        known, read = self.known, self.read
        missing = list(dict.fromkeys(name for name in names if name not in known and name not in read))
        if self.checkpoint.position == 0:
            read.update(dict.fromkeys(missing))  # whatever is there is of another time
        elif missing:
            self.late = True
            with storage():
                found = self.generation.store.client.hmget(self.generation.documents_key, missing)
            read.update(zip(missing, map(value_of, cast(list[bytes | None], found)), strict=True))

    def fold_to(self, position: int) -> None:
        """Takes the events between the checkpoint and `position`."""
        if position == self.checkpoint.position:
            return
        fold = _Fold(self.generation.store, self)
        for page in _pages(self.generation.store.log, [fold], after=self.checkpoint.position, upto=position):
            fold.take_all(page)


def _fetch(
    stores: Mapping[str, Store], wanted: Mapping[str, set[str]], last: Reading | None
) -> dict[str, _View] | None:
    """The live generations as one transaction reads them, with the documents of the `last` reading, or else those `wanted`; None
    where another became live just before it, or any has moved on since the last reading."""
    generations = {
        name: store.generation(last.generations[name]) if last else _live(store)
        for name, store in stores.items()
    }
    names = {name: [] if last else sorted(of) for name, of in wanted.items()}
    client = next(iter(stores.values())).client
    with storage():
        pipeline = client.pipeline(transaction=True)
        for name, generation in generations.items():
            pipeline.hget(generation.store.pointer, "live")
            generation.ask_state(pipeline)
            if names[name]:
                pipeline.hmget(generation.documents_key, names[name])
        replies = iter(pipeline.execute())
    views = {}
    for name, generation in generations.items():
        if int(next(replies) or FIRST) != generation.number:
            return None
        checkpoint = generation.read_state(next(replies), next(replies))
        values = map(value_of, next(replies)) if names[name] else ()
        read = dict(zip(names[name], values, strict=True))
        if last and last.checkpoints[name] != checkpoint:
            return None
        known = last.documents[name] if last else {}
        views[name] = _View(generation, checkpoint, known, read if checkpoint.position else {})
    _require_same_log(views.values())
    return views


def _require_same_log(views: Iterable[_View]) -> None:
    """Raises LogForked where the log does not hold the entry that one of the checkpoints is at."""
    found: dict[int, RecordedEvent | None] = {}
    for view in views:
        if position := view.checkpoint.position:
            if position not in found:  # mostly, all are at one
                found[position] = view.generation.store.log.at(position)
            view.generation.require_same_log(view.checkpoint, found[position])


def _reading(read: Mapping[str, _View], views: Settled, position: int) -> Reading:
    """What is kept of views that are of one position."""
    return Reading(
        {name: view.generation.number for name, view in read.items()},
        {name: view.checkpoint for name, view in read.items()},
        {name: {**view.known, **view.read} if view.read else view.known for name, view in read.items()},
        position,
        views.derived,
    )


def _at_one_position(views: Mapping[str, _View]) -> bool:
    """Whether all that was read belongs together: by one transaction, or no checkpoint has moved since."""
    if not any(view.late for view in views.values()):
        return True
    client = next(iter(views.values())).generation.store.client
    with storage():
        pipeline = client.pipeline(transaction=True)
        for view in views.values():
            view.generation.ask_state(pipeline)
            pipeline.hget(view.generation.store.pointer, "live")
        replies = iter(pipeline.execute())
    states = [(view, next(replies), next(replies), next(replies)) for view in views.values()]
    return all(
        view.generation.read_state(state, held) == view.checkpoint
        and int(live or FIRST) == view.generation.number
        for view, state, held, live in states
    )
