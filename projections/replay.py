"""Rebuilding a projection from the first event, beside the live one, and the switch between the two."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from events import (
    BadQuestion,
    LedgerError,
    LogForked,
    ParkedEvents,
    StorageUnavailable,
    Unreadable,
)

from .lockstep import CONCERNS_ALL, Lockstep
from .store import Behind, DocumentsLost, Fenced, Generation, Progress, Store, unheard
from .stored import DocumentDamaged


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A generation that was built from the first event, and how it compares with the live one at the same position.

    `live_digest` is None where the live generation was built by another version of the projection, from another log, or by
    nothing yet.
    """

    projection: str
    generation: int
    position: int
    digest: str
    live_generation: int
    live_digest: str | None
    snapshots_differ: bool = False

    @property
    def differs(self) -> bool:
        """Whether the live documents, or the snapshots of what they were, are not what the log gives."""
        return self.snapshots_differ or (self.live_digest is not None and self.live_digest != self.digest)


def rebuild(store: Store, progress: Progress = unheard) -> Rebuilt:
    """Builds a new generation up to the log's head, compares it with the live one, and leaves it beside that one.

    `progress` is called with each position that is reached, and repeatedly while the two are compared; an exception from it ends
    the rebuild. Raises ParkedEvents, with every event that cannot be applied, or BadQuestion if another rebuild was adopted
    meanwhile; in both cases the new generation is removed. Readers notice nothing until it is adopted: see `adopt`.
    """
    (rebuilt,) = rebuild_together([store], progress)
    if isinstance(rebuilt, Exception):
        raise rebuilt
    return rebuilt


def rebuild_together(stores: Sequence[Store], progress: Progress = unheard) -> list[Rebuilt | Exception]:
    """The same for several projections of one ledger, in one pass over the log; or, of each that cannot be rebuilt, why.

    `progress` is called with each position that all have reached. Raises what keeps all from being rebuilt, such as
    StorageUnavailable; the new generations are removed then. Any that the server cannot remove (it may be unreachable) stay beside
    the live ones, where no reader looks, until the next `adopt` of their projection.
    """
    made: dict[Store, Generation] = {}
    outcomes: dict[Store, Rebuilt | Exception] = {}
    lives: dict[Store, Generation] = {}
    try:
        for store in stores:
            try:
                lives[store], made[store] = store.open_live(), store.open_new()
            except CONCERNS_ALL:
                raise
            except Exception as why:  # noqa: BLE001  # whatever keeps this one from being rebuilt, the others are
                outcomes[store] = why
        errors = _catch_up_together(list(made.values()), progress)
        for store, new in made.items():
            outcomes[store] = _finished(new, lives[store], errors.get(new), progress)
    except BaseException:
        for new in made.values():
            _remove(new)
        raise
    return [outcomes[store] for store in stores]


def _finished(
    new: Generation, live: Generation, error: Exception | None, progress: Progress
) -> Rebuilt | Exception:
    if error is None:
        try:
            _require_whole(new)
            return _compared(new, live, progress)
        except CONCERNS_ALL:
            raise
        except Exception as why:  # noqa: BLE001  # as above
            error = why
    _remove(new)
    return error


def _remove(new: Generation) -> None:
    """Removes a generation if that is possible. If not, the error that ended the rebuild matters more, and the next switch removes it."""
    with suppress(LedgerError):
        new.store.drop(new.number)


def adopt(store: Store, rebuilt: Rebuilt, progress: Progress = unheard) -> None:
    """Makes a rebuilt generation the live one; the one before it stays as the way back.

    The live one may have moved on meanwhile, so the new one catches up until the switch finds it level. `progress` is called with
    the position where that begins, and with each position that is reached. If no answer comes (StorageUnavailable), call this again.
    Raises BadQuestion if another switch came first, and what `progress` raises; in both cases the rebuilt generation is removed.
    """
    if store.live() != rebuilt.generation:
        try:
            progress(rebuilt.position)
            _switch(store, rebuilt, progress)
        except StorageUnavailable:
            raise
        except BaseException:
            # Not where it is live: the answer may not have been read.
            _remove(store.generation(rebuilt.generation))
            raise
    store.drop_old()


def discard(store: Store, rebuilt: Rebuilt) -> None:
    """Removes a rebuilt generation that is not wanted. Raises BadQuestion if it was adopted."""
    store.drop(rebuilt.generation)


def go_back(store: Store) -> int:
    """Makes the generation before the live one live again, at once, and returns its number. Raises BadQuestion.

    It is at the position where it was left, and possibly of an older version of the projection: then workers of that version bring it up to date.
    """
    live, previous = store.live(), store.previous()
    if not previous:
        raise BadQuestion(f"{store.projection.name}: there is no earlier generation to go back to")
    store.switch(previous, live, even_if_behind=True)
    return previous


def _switch(store: Store, rebuilt: Rebuilt, progress: Progress) -> None:
    new = store.generation(rebuilt.generation)
    while True:
        _catch_up(new, progress)
        try:
            store.switch(rebuilt.generation, rebuilt.live_generation)
        except Behind as behind:
            if behind.live > store.log.head():
                # It has read what the log does not hold: it is of another log, and nothing can catch up with it.
                store.switch(rebuilt.generation, rebuilt.live_generation, even_if_behind=True)
                return
        else:
            return


def _require_whole(generation: Generation) -> None:
    if parked := generation.parked():
        raise ParkedEvents(generation.store.projection.name, list(parked.items()))


def _compared(new: Generation, live: Generation, progress: Progress) -> Rebuilt:
    """Compares digests at one position: first the live generation catches up if it is behind, then the new one does.

    Nobody else advances the new one, so they meet however fast the live one moves.
    """
    name = new.store.projection.name
    try:
        if live.verified_checkpoint().position == 0:
            return Rebuilt(name, new.number, *new.digest(progress), live.number, None)
        _follow(live, new.checkpoint().position, progress)
    except (DocumentsLost, DocumentDamaged):
        # At whatever positions: documents that are not whole equal nothing.
        return Rebuilt(name, new.number, *new.digest(progress), live.number, live.digest(progress)[1])
    except (Unreadable, LogForked):
        return Rebuilt(name, new.number, *new.digest(progress), live.number, None)
    held = live.digests(progress)
    _catch_up(new, progress, upto=held.position)
    _require_whole(new)
    given = new.digests(progress)
    if given.position != held.position or given.past is None:
        raise _overtaken(new)
    return Rebuilt(
        name,
        new.number,
        given.position,
        given.documents,
        live.number,
        held.documents,
        snapshots_differ=held.past is not None and held.past != given.past,  # nobody misses what is gone
    )


def _follow(generation: Generation, upto: int, progress: Progress) -> None:
    lockstep = Lockstep()
    while True:
        (outcome,) = lockstep.advance([generation], upto=upto)
        if outcome == 0:
            return
        if isinstance(outcome, Exception) and not isinstance(outcome, Fenced):
            raise outcome  # if fenced, a worker is advancing it, so much the better
        progress(upto)


def _catch_up(generation: Generation, progress: Progress, upto: int | None = None) -> None:
    for error in _catch_up_together([generation], progress, upto).values():
        raise error


def _catch_up_together(
    generations: Sequence[Generation], progress: Progress, upto: int | None = None
) -> dict[Generation, Exception]:
    """Advances all to the log's head. Returns the errors of those that could not get there."""
    errors: dict[Generation, Exception] = {}
    lockstep = Lockstep()
    while going := [generation for generation in generations if generation not in errors]:
        outcomes = dict(zip(going, lockstep.advance(going, upto=upto), strict=True))
        for generation, outcome in outcomes.items():
            if isinstance(outcome, Fenced):
                errors[generation] = _overtaken(generation)
            elif isinstance(outcome, Exception):
                errors[generation] = outcome
        if not any(outcomes.values()):
            break
        reached = [generation.reached.position for generation in going if generation not in errors]
        if reached:
            progress(min(reached))
    return errors


def _overtaken(generation: Generation) -> BadQuestion:
    return BadQuestion(
        f"{generation.store.projection.name}: another replay was adopted meanwhile, and removed generation "
        f"{generation.number} or the one it was compared with: replay again"
    )
