"""Reading several projections as they were at one position, though workers move each of them on by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from redis import Redis

from events import (
    DecodedEvent,
    Lagging,
    Log,
    LogDamaged,
    RecordedEvent,
    StorageUnavailable,
    storage,
)

from . import pages, past
from .checkpoint import Checkpoint
from .derived import DerivableViews
from .lockstep import PAGE, Lookup, asked_for, decoded, entries_of_targets
from .past import PastDocuments, SnapshotLost
from .projection import WAITING, Documents, MemoryDocuments, Projection, advance, correction_key
from .readings import Events, Held, PastReading, Reading, Readings
from .store import FIRST, Generation, Store, has_moved, live_generations, live_of, whole_number
from .stored import DocumentDamaged, value_of

T = TypeVar("T")

TRIES = 3
"""How often reading what is live is tried while it keeps moving. With a worker taking 1,000 events a second and 0.4 s for each try,
one of 20 reads took 30 tries."""

SENSELESS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""The errors that Python raises for a document that is JSON of another shape, which something else must have written."""

_READINGS: WeakKeyDictionary[Redis, Readings] = WeakKeyDictionary()
"""What was read last over each client, kept as long as the client is in use."""


def read_together(
    log: Log,
    projections: Sequence[Projection],
    build: Callable[[DerivableViews], T],
    *,
    at_least: int = 0,
) -> tuple[int, T]:
    """What `build` makes of the documents of `projections`, all at one position, which comes with it.

    The position is `at_least` that one: what the workers have not taken yet is folded in memory, so that a reader sees its
    own writes at once. Raises Lagging where the log itself is not that long.

    `build` may run more than once. The documents that it asks for are read as it asks; then the checkpoints are read again,
    and, where a worker has moved one on meanwhile, the documents as well, for another run. A projection that is behind the
    others is folded on in memory to where they are. Where they move on at every try, it is answered as a question about the
    past is, of the position where they are then: of that nothing moves.

    What was read is kept for the next question over the same client. Before that is built, the checkpoints are read: where they
    are what they were, so are the documents; else those that were asked for last are read with them.
    """
    readings = _readings(log)
    names = [projection.name for projection in projections]
    wanted: dict[str, set[str]] = {name: set() for name in names}
    last = before = readings.last(log.ledger, names)
    for _ in range(TRIES):
        if (read := _fetch(log, projections, wanted, last, before)) is None:
            # What the last question asked for, this one is likely to ask for as well.
            wanted, last = before.names() if before else wanted, None
            continue
        position = _position(log, at_least, (view.checkpoint for view in read.values()))
        try:
            for view in read.values():
                view.fold_to(position)
            parked = {name: view.parked for name, view in read.items()}
            value = build(_views(log, read, parked, position))
        except Exception as error:
            # Documents of two positions may make no sense together: it counts only if all of them are of one.
            if _at_one_position(read):
                if isinstance(error, SENSELESS):
                    raise _senseless(names, error) from error
                raise
        else:
            if _at_one_position(read):
                readings.keep(log.ledger, _reading(read))
                return position, value
        wanted, last, before = {name: view.asked for name, view in read.items()}, None, _reading(read)
    reached = [generation.verified_checkpoint() for generation in live_generations(log, projections)]
    position = _position(log, at_least, reached)
    return position, read_at(log, projections, position, build)


def _senseless(names: Sequence[str], error: Exception) -> DocumentDamaged:
    return DocumentDamaged(
        f"a document of {', '.join(names)} is not what this software writes ({error!r:.200}): something else wrote it. All of them "
        f"follow from the log: run `approvals replay {' '.join(names)}`. If that does not help, report it"
    )


def read_at(
    log: Log, projections: Sequence[Projection], position: int, build: Callable[[DerivableViews], T]
) -> T:
    """What `build` makes of the documents as they were when the log ended at `position`."""
    try:
        return build(known_at(log, projections, position))
    except (SnapshotLost, *SENSELESS):  # deleted, or written by something else: the log has everything
        return build(fold_all(log, projections, position))


def _position(log: Log, at_least: int, reached: Iterable[Checkpoint]) -> int:
    """The position to answer from: that of the projection furthest ahead, or `at_least` if none has come that far. Raises Lagging if
    the log has not come that far either."""
    position = max(checkpoint.position for checkpoint in reached)
    if at_least > position and at_least > (head := log.head()):
        raise Lagging(f"ledger {log.ledger} ends at position {head}: it has no position {at_least} yet")
    return max(at_least, position)


def known_at(log: Log, projections: Sequence[Projection], position: int) -> DerivableViews:
    """The documents as they were when the log ended at `position`: those of the last snapshot before it, folded on.

    What was known is kept for the next questions over the same client: of that position, or, folded on, of a later one.
    Whoever folds on what is returned changes nothing of that. Reading may raise SnapshotLost.
    """
    readings = _readings(log)
    known = readings.past(log.ledger, [each.name for each in projections], position)
    live, parked, entries = _live(log, projections, known, position)
    if known is None or not _goes_on(known, entries, live, parked, position):
        snapshots = {name: past.last_before(generation, position) for name, generation in live.items()}
        known = PastReading(
            Checkpoint(), {}, snapshots, {name: {} for name in live}, {name: {} for name in live}
        )
        # After the snapshots: what these leave out, the generations had parked by then.
        parked = _parked(log, live.values())
    changed = {name: dict(of) for name, of in known.changed.items()}
    views = {
        name: PastDocuments(generation, known.snapshots[name], known.read[name], changed[name])
        for name, generation in live.items()
    }
    if position > known.last.position:
        # Read before anything is folded: read later, it might be of a log that has taken the place of the one that is folded.
        if (last := entries[position]) is None:
            raise log.is_shorter_than(position)
        began = {name: max(known.last.position, snapshot) for name, snapshot in known.snapshots.items()}
        folds = [_Fold(each, views[each.name], parked[each.name]) for each in projections]
        for page, lookup in _pages(log, folds, after=min(began.values()), upto=position):
            for fold in folds:
                later = [event for event in page if event.position > began[fold.projection.name]]
                fold.take_all(later, lookup)
        left_out = {name: (live[name].number, _until(position, of)) for name, of in parked.items()}
        folded = {name: dict(of) for name, of in changed.items()}
        reading = PastReading(Checkpoint.at(last), left_out, known.snapshots, known.read, folded)
        readings.keep_past(log.ledger, reading)
    return _views(log, views, parked, position)


def _goes_on(
    known: PastReading,
    entries: Mapping[int, RecordedEvent | None],
    live: Mapping[str, Generation],
    parked: Mapping[str, Collection[int]],
    position: int,
) -> bool:
    """Whether what is kept of the past is so still, as the log has these `entries`, and no snapshot is nearer to `position`."""
    at = known.last.position
    if at < position - position % past.EVERY:
        return False
    if known.left_out != {name: (live[name].number, _until(at, of)) for name, of in parked.items()}:
        return False
    entry = entries.get(at)
    return entry is not None and entry.digest == known.last.entry


def _until(position: int, parked: Collection[int]) -> frozenset[int]:
    return frozenset(at for at in parked if at <= position)


def fold_all(
    log: Log,
    projections: Sequence[Projection],
    position: int,
    counts: Callable[[DecodedEvent], bool] = lambda _: True,
) -> DerivableViews:
    """The documents as they were when the log ended at `position`, folded from its first event, from the events for which `counts`
    is true."""
    views = {projection.name: MemoryDocuments() for projection in projections}
    parked = _parked(log, live_generations(log, projections))
    # The workers met it: who asks before they do is not told of what does not count either.
    unknown = _uncounted(log, {at for of in parked.values() for at in of if at <= position}, counts)
    parked = {name: of - unknown for name, of in parked.items()}
    folds = [_Fold(each, views[each.name], parked[each.name], counts) for each in projections]
    for page, lookup in _pages(log, folds, after=0, upto=position):
        known = list(filter(counts, page))
        for fold in folds:
            fold.take_all(known, lookup)
    return _views(log, views, parked, position)


def _uncounted(log: Log, parked: Iterable[int], counts: Callable[[DecodedEvent], bool]) -> set[int]:
    """Those of the events that were `parked` that do not count. Of what is no event nobody can tell."""
    found = [decoded(recorded) for recorded in log.at_each(sorted(parked))]
    return {event.position for event in found if not isinstance(event, Exception) and not counts(event)}


def follow(
    log: Log,
    projections: Sequence[Projection],
    views: DerivableViews,
    stops: Sequence[int],
) -> Iterator[tuple[list[DecodedEvent], Mapping[tuple[str, str], int]]]:
    """Folds the events after the position at which `views` stand into these, up to one of the `stops` after the other; yields
    those that led to each, and where what the corrections among them name is."""
    noting = {projection.name: _Noting(views[projection.name]) for projection in projections}
    folds = [_Fold(each, noting[each.name], views.parked[each.name]) for each in projections]
    after, taken, named = views.position, list[DecodedEvent](), dict[tuple[str, str], int]()

    def stop(position: int) -> tuple[list[DecodedEvent], Mapping[tuple[str, str], int]]:
        nonlocal taken
        views.moved_on(position, {name: documents.put_since() for name, documents in noting.items()})
        led, taken = taken, []
        return led, named

    left = list(stops)
    # One page at a time, however many stops there are in it: each would take as many round trips as a page.
    for page, lookup in _kept_pages(log, folds, after=after, upto=max(stops, default=after)):
        named.update(lookup.positions)
        for fold in folds:
            fold.read_ahead(page, lookup)
        for event in page:
            while event.position > left[0]:
                yield stop(left.pop(0))
            for fold in folds:
                fold.take(event, lookup)
            # No page has what all had parked before.
            if not all(event.position in fold.parked for fold in folds):
                taken.append(event)
    for position in left:
        yield stop(position)


def _live(
    log: Log, projections: Sequence[Projection], known: PastReading | None, position: int
) -> tuple[dict[str, Generation], dict[str, set[int]], dict[int, RecordedEvent | None]]:
    """The live generations, what each could not apply, by the name of its projection, and the events where what is `known` of
    the past ends and at `position`: in one round trip, where those are live that were when that was read."""
    numbers = {} if known is None else {name: number for name, (number, _) in known.left_out.items()}
    generations = [Store(log, each).generation(numbers.get(each.name, FIRST)) for each in projections]
    wanted = {position, 0 if known is None else known.last.position} - {0}
    while True:
        with storage():
            pipeline = log.client.pipeline(transaction=False)
            for generation in generations:
                pipeline.hget(generation.store.pointer, "live")
                pipeline.hkeys(generation.parked_key)
            for each in wanted:
                log.ask_at(pipeline, each)
            replies = iter(pipeline.execute())
        told = [(live_of(next(replies)), set(map(whole_number, next(replies)))) for _ in generations]
        if all(
            number == generation.number for generation, (number, _) in zip(generations, told, strict=True)
        ):
            live = {generation.name: generation for generation in generations}
            parked = {name: positions for name, (_, positions) in zip(live, told, strict=True)}
            return live, parked, {each: log.read_at(each, next(replies)) for each in wanted}
        generations = live_generations(log, projections)


def _parked(log: Log, generations: Iterable[Generation]) -> dict[str, set[int]]:
    """What each of the generations could not apply, by the name of its projection."""
    listed = list(generations)
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        for generation in listed:
            pipeline.hkeys(generation.parked_key)
        replies = pipeline.execute()
    return {
        generation.name: set(map(whole_number, found))
        for generation, found in zip(listed, replies, strict=True)
    }


def _views(
    log: Log, documents: Mapping[str, Documents], parked: Mapping[str, set[int]], position: int
) -> DerivableViews:
    return DerivableViews(documents, _readings(log).derived(log.ledger), parked, position)


def _readings(log: Log) -> Readings:
    return _READINGS.setdefault(log.client, Readings())


class _Noting:
    """Documents that note which of them are written."""

    def __init__(self, documents: Documents) -> None:
        self.get, self.fetch, self.each = documents.get, documents.fetch, documents.each
        self._put, self._names = documents.put, set[str]()

    def put(self, name: str, value: Any) -> None:
        self._names.add(name)
        self._put(name, value)

    def put_since(self) -> set[str]:
        """The names of those that were put since this was asked last."""
        names, self._names = self._names, set()
        return names


class _Attempt:
    """Documents with the changes of one event, which are dropped if the event cannot be applied."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._changed: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        return self._changed[name] if name in self._changed else self._documents.get(name)

    def put(self, name: str, value: Any) -> None:
        self._changed[name] = value

    def fetch(self, names: Iterable[str]) -> None:
        self._documents.fetch(names)

    def each(self, names: Collection[str]) -> list[Any]:
        self.fetch(names)
        return [*map(self.get, names)]

    def keep(self) -> None:
        for name, value in self._changed.items():
            self._documents.put(name, value)


class _Fold:
    """Folds into documents in memory, as the workers do into theirs: what they `parked` is left out here too, and what cannot be
    applied, and no worker has met yet, is added to it."""

    def __init__(
        self,
        projection: Projection,
        documents: Documents,
        parked: set[int],
        counts: Callable[[DecodedEvent], bool] = lambda _: True,
    ) -> None:
        self.projection, self.parked = projection, parked
        self._documents, self._counts = documents, counts

    def take_all(self, events: Sequence[DecodedEvent], lookup: Lookup) -> None:
        """Takes events."""
        self.read_ahead(events, lookup)
        for event in events:
            self.take(event, lookup)

    def read_ahead(self, events: Sequence[DecodedEvent], lookup: Lookup) -> None:
        """Reads what taking these events asks for. One by one, the documents of a snapshot took longer than a fold of the whole
        log."""
        wanted = [event for event in events if event.position not in self.parked]
        self._documents.fetch(asked_for(self.projection, wanted, lookup))
        pages.fetch_places(self._documents, entries_of_targets(self.projection, lookup))
        if self._documents.get(WAITING):
            self._documents.fetch(correction_key(event.source, event.id) for event in wanted)

    def take(self, event: DecodedEvent, lookup: Lookup) -> None:
        """Takes one event, as `take_all` does."""
        if event.position in self.parked:
            return
        attempt, find = _Attempt(self._documents), partial(_find, lookup, self._counts, upto=event.position)
        try:
            advance(self.projection, attempt, event, find, self.parked)
        except (StorageUnavailable, LogDamaged, DocumentDamaged, SnapshotLost, MemoryError):
            raise
        except Exception:  # noqa: BLE001  # whatever the fold makes of it: a worker parks this event, and says why
            self.parked.add(event.position)
        else:
            attempt.keep()


def _pages(
    log: Log, folds: Sequence[_Fold], *, after: int, upto: int
) -> Iterator[tuple[list[DecodedEvent], Lookup]]:
    """Pages of events, each with a look at what the corrections among them are against. What is no event is parked for all.
    Raises LogForked where the log ends before `upto`, which it had."""
    events, reached = log.read(after=after, limit=upto - after), after
    while page := list(islice(events, PAGE)):
        some = [event for event in page if not all(event.position in fold.parked for fold in folds)]
        found = [(recorded.position, decoded(recorded)) for recorded in some]
        for fold in folds:
            fold.parked.update(position for position, event in found if isinstance(event, Exception))
        events_of_page = [event for _, event in found if not isinstance(event, Exception)]
        yield events_of_page, Lookup(log, events_of_page)
        reached = page[-1].position
    if reached < upto:
        raise log.is_shorter_than(upto)


FEW = 100  # events that are kept as they were read


def _kept_pages(
    log: Log, folds: Sequence[_Fold], *, after: int, upto: int
) -> Iterable[tuple[Sequence[DecodedEvent], Lookup]]:
    """The same, kept for the next question about these events, where they are few: they are what they were as long as the last of
    them is."""
    few = 0 < upto - after <= FEW and not any(fold.parked for fold in folds)
    last = log.at(upto) if few else None
    if last is None:
        return _pages(log, folds, after=after, upto=upto)
    readings, end = _readings(log), Checkpoint.at(last)
    kept = readings.events(log.ledger, after, upto)
    if kept is None or kept.last != end:
        kept = Events(end, list(_pages(log, folds, after=after, upto=upto)))
        if not any(fold.parked for fold in folds):
            readings.keep_events(log.ledger, after, upto, kept)
    return kept.pages


def _find(
    lookup: Lookup, counts: Callable[[DecodedEvent], bool], source: str, id: str, *, upto: int
) -> DecodedEvent | None:
    event = lookup.find(source, id, upto=upto)
    return event if event is not None and counts(event) else None


class _View:
    """One generation's documents at its checkpoint, folded on in memory: those that are `known`, and those that are read, with
    it or, as they are asked for, later. What was read `before`, of whatever time, spares reading the same bytes again."""

    def __init__(
        self,
        generation: Generation,
        checkpoint: Checkpoint,
        parked: set[int],
        known: Mapping[str, Held],
        before: Mapping[str, Held],
    ) -> None:
        self.generation = generation
        self.checkpoint, self.parked = checkpoint, parked
        self.known, self._before = known, before
        self.read: dict[str, Held] = {}
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
            return self.known[name][1]
        if name not in self.read:
            self.fetch([name])
        return self.read[name][1]

    def put(self, name: str, value: Any) -> None:
        self._folded[name] = value

    def each(self, names: Collection[str]) -> list[Any]:
        self.fetch(names)
        return [*map(self.get, names)]

    def fetch(self, names: Iterable[str]) -> None:
        known, read = self.known, self.read
        missing = list(dict.fromkeys([name for name in names if name not in known and name not in read]))
        if self.checkpoint.position == 0:
            self.take(missing, [])
        elif missing:
            self.late = True
            with storage():
                found = self.generation.store.client.hmget(self.generation.documents_key, missing)
            self.take(missing, cast(list[bytes | None], found))

    def take(self, names: Sequence[str], found: Sequence[bytes | None]) -> None:
        """Takes what the server has under `names`."""
        if self.checkpoint.position == 0:
            found = [None] * len(names)  # whatever is there is of another time
        for name, stored in zip(names, found, strict=True):
            held = self._before.get(name)
            self.read[name] = held if held and held[0] == stored else (stored, value_of(stored))

    def fold_to(self, position: int) -> None:
        """Takes the events between the checkpoint and `position`."""
        if position == self.checkpoint.position:
            return
        log, projection = self.generation.store.log, self.generation.store.projection
        fold = _Fold(projection, self, self.parked)
        for page, lookup in _pages(log, [fold], after=self.checkpoint.position, upto=position):
            fold.take_all(page, lookup)


def _fetch(
    log: Log,
    projections: Sequence[Projection],
    wanted: Mapping[str, set[str]],
    last: Reading | None,
    before: Reading | None,
) -> dict[str, _View] | None:
    """The live generations as they are at one moment, with the documents of the `last` reading, or else those `wanted`; None
    where another became live just before it, or any has moved on since the last reading, or meanwhile."""
    generations = (
        [Store(log, projection).generation(last.generations[projection.name]) for projection in projections]
        if last
        else live_generations(log, projections)
    )
    names = {name: [] if last else sorted(of) for name, of in wanted.items()}
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        remembered = {at.position for at in last.checkpoints.values()} - {0} if last else set[int]()
        for position in sorted(remembered):
            log.ask_at(pipeline, position)
        for generation in generations:
            pipeline.hget(generation.store.pointer, "live")
            generation.ask_state(pipeline)
            pipeline.hkeys(generation.parked_key)
            if names[generation.name]:
                pipeline.hmget(generation.documents_key, names[generation.name])
        for generation in generations:
            generation.ask_position(pipeline)
        answers = pipeline.execute()
    replies, positions = iter(answers), answers[-len(generations) :]
    entries = {position: log.read_at(position, next(replies)) for position in sorted(remembered)}
    views = {}
    for generation, position in zip(generations, positions, strict=True):
        name = generation.name
        if live_of(next(replies)) != generation.number:
            return None
        state, held = next(replies), next(replies)
        if has_moved(state, position):
            return None
        checkpoint = generation.read_state(state, held)
        if last and last.checkpoints[name] != checkpoint:
            return None
        view = _View(
            generation,
            checkpoint,
            set(map(whole_number, next(replies))),
            last.documents[name] if last else {},
            before.documents[name] if before else {},
        )
        if names[name]:
            view.take(names[name], next(replies))
        views[name] = view
    _require_same_log(log, views, entries)
    return views


def _require_same_log(log: Log, views: Mapping[str, _View], entries: dict[int, RecordedEvent | None]) -> None:
    """Raises LogForked where the log does not hold the entry at which one of them is. Some `entries` are at hand."""
    for view in views.values():
        if position := view.checkpoint.position:
            if position not in entries:  # mostly, all are at one
                entries[position] = log.at(position)
            view.generation.require_same_log(view.checkpoint, entries[position])


def _reading(read: Mapping[str, _View]) -> Reading:
    """What is kept of views."""
    return Reading(
        {name: view.generation.number for name, view in read.items()},
        {name: view.checkpoint for name, view in read.items()},
        {name: {**view.known, **view.read} if view.read else view.known for name, view in read.items()},
    )


def _at_one_position(views: Mapping[str, _View]) -> bool:
    """Whether all that was read belongs together: it was read at one moment, or no checkpoint has moved since."""
    if not any(view.late for view in views.values()):
        return True
    client = next(iter(views.values())).generation.store.client
    with storage():
        pipeline = client.pipeline(transaction=False)
        for view in views.values():
            view.generation.ask_state(pipeline)
            pipeline.hget(view.generation.store.pointer, "live")
            view.generation.ask_position(pipeline)
        replies = iter(pipeline.execute())
    states = [(view, *(next(replies) for _ in range(4))) for view in views.values()]
    return all(
        live_of(live) == view.generation.number
        and not has_moved(state, position)
        and view.generation.read_state(state, held) == view.checkpoint
        for view, state, held, live, position in states
    )
