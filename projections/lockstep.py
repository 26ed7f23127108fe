"""Pages of the log, each read and decoded once and folded by several generations, each with a commit of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard
from weakref import ref

from redis.exceptions import NoScriptError

from events import (
    DecodedEvent,
    InvalidEvent,
    Log,
    LogDamaged,
    LogForked,
    RecordedEvent,
    StorageUnavailable,
    conversation,
    decode,
    storage,
)
from events.catalog import EventRetracted, EventSuperseded

from . import pages, past
from .checkpoint import Checkpoint
from .projection import WAITING, Projection, correction_key

if TYPE_CHECKING:
    from .store import Generation

PAGE = 500  # events folded and committed at once
FOLDING = 2.0
"""Seconds that one generation folds for a page: each event of a line of 10,000 corrections changes all of it, and each of 10,000
reports of one number looks at all of them, while a job of five generations has half a minute."""
LINKS = 1_000  # of a chain of corrections that are read ahead: two round trips each, for all chains of a page
REASON = 500  # characters of why an event was parked

Outcome = int | Exception
"""How many events a generation took, or why it took none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log with its decoded event, or the error if it cannot be decoded. Folds share it, so it must not be changed."""

    recorded: RecordedEvent
    event: DecodedEvent | Exception


class Lookup:
    """Events by source and id, as the log holds them: each is read and decoded once, however many need it.

    The targets of all corrections among `events` are read together.
    """

    def __init__(self, log: Log, events: Sequence[DecodedEvent | Exception]) -> None:
        # The client only weakly: a lookup is kept with what was read over a client, for as long as anybody else has that.
        self._client, self._ledger = ref(log.client), log.ledger
        self.targets: list[tuple[str, str]] = []
        """The source and id of the target of each correction."""
        self.positions: dict[tuple[str, str], int] = {}
        """The positions of the events that the corrections name (targets and replacements), as far as the log holds them."""
        self._recorded: dict[tuple[str, str], RecordedEvent | None] = {}
        self._decoded: dict[tuple[str, str], DecodedEvent] = {}
        end = max((event.position for event in events if isinstance(event, DecodedEvent)), default=0)
        # The fold follows a chain of corrections to its end, or to what is not there yet, and so does this, all chains of a page
        # together: when the fold read each link of 50 chains alone, a page took longer than it may, and the next began anew.
        for _ in range(LINKS):
            if not events:
                break
            events = [event for event in self._look_up(events) if event.position < end]

    @property
    def _log(self) -> Log:
        client = self._client()
        assert client is not None
        return Log(client, self._ledger)

    def _look_up(self, events: Iterable[DecodedEvent | Exception]) -> Sequence[DecodedEvent]:
        """Reads and returns the targets of the corrections among `events`: some of these may be corrections themselves."""
        named = [[*named_by(event)] for event in events if isinstance(event, DecodedEvent)]
        targets = [target for target, *_ in filter(None, named) if target not in self._recorded]
        self.targets += targets
        # Read one by one, the targets of the corrections, 3 % of the events, took a fifth of the time of a replay.
        unknown = (each for of in named for each in of if each not in self.positions)
        log = self._log
        self.positions |= log.positions_of(unknown)
        there = [target for target in dict.fromkeys(targets) if target in self.positions]
        found = log.at_each([self.positions[target] for target in there])
        self._recorded.update(zip(there, found, strict=True))
        return [event for target in there if isinstance(event := self.hint(*target), DecodedEvent)]

    def find(self, source: str, id: str, *, upto: int) -> DecodedEvent | None:
        """The event with that source and id, or None if the log does not hold it at position `upto` or before. Raises LogDamaged if
        the index names another event."""
        wanted = source, id
        if wanted not in self._recorded:
            log = self._log
            position = log.position_of(source, id)
            self._recorded[wanted] = None if position is None else log.at(position)
        recorded = self._recorded[wanted]
        if recorded is None or recorded.position > upto:
            return None
        if wanted not in self._decoded:
            event = decode(recorded)
            if (event.source, event.id) != wanted:
                raise LogDamaged(
                    f"ledger {self._ledger}: the index of ids names position {recorded.position} for {id!r} of {source!r}, and "
                    "another event is there: something else wrote to it. Restore a backup."
                )
            self._decoded[wanted] = event
        return self._decoded[wanted]

    def hint(self, source: str, id: str) -> DecodedEvent | Exception | None:
        """The same for an event that was read already, at any position; or the error if it cannot be read."""
        if (recorded := self._recorded.get((source, id))) is None:
            return None
        try:
            return self.find(source, id, upto=recorded.position)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # the fold will say so
            return error


@dataclass(slots=True)
class _Part:
    """One generation's part of a page: how many events it took, why the next one cannot be applied, and the call that commits."""

    generation: Generation
    entries: Sequence[Entry]
    lookup: Lookup
    taken: int = 0
    error: Exception | None = None
    call: Sequence[Any] = ()

    @property
    def last(self) -> RecordedEvent:
        return self.entries[self.taken - 1].recorded


@dataclass(slots=True)
class _Page:
    """A page as several generations take it. `whole`: it is as long as was asked for, so there may be more after it."""

    outcomes: dict[Generation, Outcome]
    parts: list[_Part] = field(default_factory=list)
    whole: bool = False

    def fold(self, part: _Part) -> None:
        with _alone(part.generation, self.outcomes):
            part.taken, part.error = part.generation.fold(part.entries, part.lookup, FOLDING)
            if part.error is None:
                part.call = part.generation.commit_call(part.last, {})

    def park(self) -> None:
        """Parks what could not be applied. This reads documents anew, so nothing may be in flight."""
        for part in self.parts:
            if part.error is not None:
                with _alone(part.generation, self.outcomes):
                    part.taken, parked = part.generation.park(
                        part.entries, part.taken, part.error, part.lookup
                    )
                    part.call = part.generation.commit_call(part.last, parked)
        self.parts = [part for part in self.parts if part.generation.documents is not None]

    def leave_out(self, generation: Generation) -> None:
        self.parts = [part for part in self.parts if part.generation is not generation]
        self.outcomes[generation] = 0


class Lockstep:
    """Moves generations on page by page, as `advance_together` does, and folds the next page while the server writes one.

    What was folded ahead is committed by the next call if that asks for the same; otherwise it is thrown away, and so it is
    if the commit that it builds on fails. Between two calls nothing is in flight.
    """

    def __init__(self) -> None:
        self._asked: tuple[Any, ...] = ()
        self._ahead: _Page | None = None

    def advance(
        self, generations: Sequence[Generation], limit: int = PAGE, *, upto: int | None = None
    ) -> list[Outcome]:
        """One page: see `advance_together`."""
        asked = (*generations, limit, upto)
        page, self._ahead = self._ahead if asked == self._asked else None, None
        outcomes, ahead = _turn(generations, limit, upto, page, looking_ahead=True)
        self._asked = asked
        # A page of which nothing is left is not kept: the next call is to see what the log has by then.
        if ahead is not None and (ahead.parts or any(ahead.outcomes.values())):
            self._ahead = ahead
        return outcomes


def advance_together(
    generations: Sequence[Generation], limit: int = PAGE, *, upto: int | None = None
) -> list[Outcome]:
    """Moves generations of one ledger on by one page, of at most `limit` events, none after position `upto`.

    Returns for each how many events it took, or the error that kept it, and it alone, from going on; nothing of its page was
    written then. The page begins where the generation furthest behind is. One that is ahead takes what it has not taken yet,
    or nothing if it is ahead of the whole page. Once each took nothing, all are at the head. One that was removed takes nothing.

    An event that cannot be applied is parked, with the reason, and the rest goes on. The errors of one generation are Fenced
    (another writer moved it meanwhile), LogForked (the log is not the one that was read before), what
    `Generation.read_state` raises, and what storage refuses. Raises what keeps all of them from going on: StorageUnavailable
    (the checkpoints say what was committed: call it again), LogDamaged.
    """
    outcomes, _ = _turn(generations, limit, upto, None, looking_ahead=False)
    return outcomes


def _turn(
    generations: Sequence[Generation],
    limit: int,
    upto: int | None,
    page: _Page | None,
    *,
    looking_ahead: bool,
) -> tuple[list[Outcome], _Page | None]:
    """Commits `page`, or else the next one there is; and the page after it, folded meanwhile, where there may be one."""
    ahead = None
    try:
        if page is None:
            page = _read_a_page(generations, limit, upto)
            for part in page.parts:
                page.fold(part)
        page.park()
        for part in page.parts:
            part.generation.hand_over(Checkpoint.at(part.last))
        if page.parts:
            if looking_ahead and page.whole:
                # Before the commits are sent: the server answers nobody while it runs them.
                ahead = _read_a_page(generations, limit, upto)
            _commit_each(page, ahead)
    except BaseException:
        for generation in generations:
            generation.forget()
        raise
    return [page.outcomes[generation] for generation in generations], ahead


CONCERNS_ALL = (StorageUnavailable, MemoryError)
"""The errors that stop all projections; any other stops only the one that raises it."""


@contextmanager
def _alone(
    generation: Generation,
    outcomes: dict[Generation, Outcome],
    but_for: tuple[type[Exception], ...] = CONCERNS_ALL,
) -> Iterator[None]:
    """Errors in this block become the outcome of one generation, and the others go on."""
    try:
        yield
    except but_for:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is: whoever called hears of it
        generation.forget()
        outcomes[generation] = error


def _open(generations: Iterable[Generation], outcomes: dict[Generation, Outcome]) -> None:
    """Reads the checkpoints of those that do not know where they are, or have folded what nobody asked for, in one round trip."""
    closed = [each for each in generations if each.documents is None or each.documents.changed]
    if not closed:
        return
    with storage():
        pipeline = closed[0].store.client.pipeline(transaction=True)
        for generation in closed:
            generation.ask_state(pipeline)
            pipeline.hkeys(generation.parked_key)
            pipeline.hget(generation.store.pointer, "live")
        replies = iter(pipeline.execute(raise_on_error=False))
    for generation in closed:
        asked = [next(replies) for _ in range(4)]
        with _alone(generation, outcomes):
            generation.open(*map(_answer, asked))


def _read_a_page(generations: Sequence[Generation], limit: int, upto: int | None) -> _Page:
    """The next page that the generations have not folded yet, with the documents that they will ask for."""
    outcomes: dict[Generation, Outcome] = dict.fromkeys(generations, 0)
    _open(generations, outcomes)
    ready = [generation for generation in outcomes if generation.documents is not None]
    page = _Page(outcomes)
    if ready:
        _deal_a_page(page, ready, limit, upto)
    return page


def _deal_a_page(page: _Page, ready: Sequence[Generation], limit: int, upto: int | None) -> None:
    log, outcomes = ready[0].store.log, page.outcomes
    start = min(generation.reached.position for generation in ready)
    count = min(limit, past.EVERY - start % past.EVERY)  # a page ends where a snapshot is due
    if upto is not None:
        count = max(0, min(count, upto - start))
    # The entry at the checkpoint comes with the page, so that a fork is seen at no further cost.
    first = max(start, 1)
    wanted = start + count - first + 1
    recorded = log.page(first - 1, wanted)
    page.whole = len(recorded) == wanted
    # Of what lies beyond a whole page nothing is known, and nothing is said.
    reach = start + count if page.whole else float("inf")
    going: list[Generation] = []
    for generation in ready:
        at = generation.reached.position
        if at > reach:
            continue
        try:
            if at:
                found = recorded[at - first] if at - first < len(recorded) else None
                generation.require_same_log(generation.reached, found)
        except LogForked as error:
            outcomes[generation] = (
                error  # it does not forget what it has read: the server may have, with the log
            )
        else:
            going.append(generation)
    if not going:
        return
    start = min(generation.reached.position for generation in going)
    entries = [Entry(each, decoded(each)) for each in recorded if each.position > start]
    lookup = Lookup(log, [entry.event for entry in entries])
    parts = [
        _Part(generation, some, lookup)
        for generation in going
        if (some := entries[generation.reached.position - start :])
    ]
    fetch_documents([(part.generation, part.entries) for part in parts], lookup, outcomes)
    page.parts = [part for part in parts if part.generation.documents is not None]


def fetch_documents(
    wanted: Sequence[tuple[Generation, Sequence[Entry]]], lookup: Lookup, outcomes: dict[Generation, Outcome]
) -> None:
    """Reads what the folds will ask for, of all generations in one round trip; in a few more, where there are corrections."""
    _fetch(
        [
            (generation, asked_for(generation.store.projection, [entry.event for entry in entries], lookup))
            for generation, entries in wanted
        ],
        outcomes,
    )
    for generation, _ in wanted:
        if generation.documents is not None and lookup.targets:
            with _alone(generation, outcomes):
                pages.fetch_places(
                    generation.documents, entries_of_targets(generation.store.projection, lookup)
                )
    waited_for = [
        (
            generation,
            [
                correction_key(e.event.source, e.event.id)
                for e in entries
                if isinstance(e.event, DecodedEvent)
            ],
        )
        for generation, entries in wanted
        if generation.documents is not None and generation.documents.get(WAITING)
    ]
    _fetch(waited_for, outcomes)


def asked_for(
    projection: Projection, events: Sequence[DecodedEvent | Exception], lookup: Lookup
) -> list[str]:
    """The keys of the documents that folding these events will ask for, as far as can be told in advance."""
    names = [name for event in events for name in _needed(projection, event)]
    for target in lookup.targets:
        names.append(correction_key(*target))
        names += _needed(projection, lookup.hint(*target))  # it is counted out, or in again
    return [*names, WAITING]


def entries_of_targets(projection: Projection, lookup: Lookup) -> Iterator[tuple[str, int]]:
    """The lists that hold an entry for a target of the corrections, each with the position of that entry."""
    for target in lookup.targets:
        event = lookup.hint(*target)
        if _is_counted(event, projection):
            for name in _hinted(projection.lists, event):
                yield name, event.position


def _fetch(wanted: Sequence[tuple[Generation, Sequence[str]]], outcomes: dict[Generation, Outcome]) -> None:
    asked = [
        (generation, missing)
        for generation, names in wanted
        if generation.documents is not None and (missing := generation.documents.missing(names))
    ]
    if not asked:
        return
    with storage():
        pipeline = asked[0][0].store.client.pipeline(transaction=False)
        for generation, missing in asked:
            pipeline.hmget(generation.documents_key, missing)
        replies = pipeline.execute(raise_on_error=False)
    for (generation, missing), reply in zip(asked, replies, strict=True):
        with _alone(generation, outcomes):
            assert generation.documents is not None
            generation.documents.read(missing, _answer(reply))


def _commit_each(page: _Page, ahead: _Page | None) -> None:
    """Each by a call of its own, which succeeds or fails alone. The page ahead is folded while the server runs them."""
    store = page.parts[0].generation.store
    calls = [("EVALSHA", store.commit.sha, *part.call) for part in page.parts]
    with conversation(store.client) as server:
        # As one transaction the server takes all in before it runs the first, and syncs its disk once: one after the other, the
        # next was waited for while it ran the one before.
        server.send(("MULTI",), *calls, ("EXEC",))
        if ahead is not None:
            for part in ahead.parts:
                ahead.fold(part)
        *_, replies = server.answers()
        if isinstance(replies, Exception):
            # One was refused as it came in, so that none was run: now each is, and the one is refused alone.
            server.send(*calls)
            replies = server.answers()
        if unknown := [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]:
            server.send(("SCRIPT", "LOAD", store.commit.script), *(calls[index] for index in unknown))
            loaded, *again = server.answers()
            _answer(loaded, writing=True)
            for index, reply in zip(unknown, again, strict=True):
                replies[index] = reply
    for part, reply in zip(page.parts, replies, strict=True):
        with _alone(part.generation, page.outcomes, but_for=(MemoryError,)):
            part.generation.read_commit(_answer(reply, writing=True))
            page.outcomes[part.generation] = part.taken
        if ahead is not None and page.outcomes[part.generation] != part.taken:
            ahead.leave_out(part.generation)  # it rests on what was not written


def _answer(reply: Any, *, writing: bool = False) -> Any:
    """A reply from a pipeline. If the server refused the command, raises what `storage` makes of that."""
    with storage(writing=writing):
        if isinstance(reply, Exception):
            raise reply
    return reply


def decoded(event: RecordedEvent) -> DecodedEvent | Exception:
    """The event in an entry of the log, or the error if it cannot be decoded."""
    try:
        return decode(event)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever the bytes are, the rest must go on: it is parked in its turn
        return error


def named_by(event: DecodedEvent) -> Iterator[tuple[str, str]]:
    """The source and id of a correction's target, and then of its replacement if it has one; nothing for any other event."""
    if isinstance(event.data, EventRetracted | EventSuperseded):
        yield event.data.target.source, event.data.target.id
    if isinstance(event.data, EventSuperseded):
        yield event.data.replacement.source, event.data.replacement.id


def _needed(projection: Projection, event: DecodedEvent | Exception | None) -> list[str]:
    return _hinted(projection.needs, event) if _is_counted(event, projection) else []


def _is_counted(event: DecodedEvent | Exception | None, projection: Projection) -> TypeGuard[DecodedEvent]:
    return isinstance(event, DecodedEvent) and event.type in projection.handles and event.data is not None


def _hinted(hint: Callable[[DecodedEvent], list[str]], event: DecodedEvent) -> list[str]:
    try:
        return hint(event)
    except Exception:  # noqa: BLE001  # if something is wrong with the event, `evolve` will say what
        return []


def reason_of(error: Exception) -> str:
    """Why an event is parked."""
    # The words of a refusal say that nothing was stored; this event is.
    says = "; ".join(map(str, error.faults)) if isinstance(error, InvalidEvent) else str(error)
    text = f"{type(error).__name__}: {says}"
    return text[:REASON].encode("utf-8", "backslashreplace").decode()
