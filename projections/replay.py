"""Rebuilding a projection from the first event, beside the live one, and the switch between the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from events import BadQuestion, ParkedEvents

from .store import Fenced, Generation, Store


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A generation that was built from the first event, and how it compares with the live one at the same position.

    `live_digest` is None where the live generation was built by another version of the projection, or by nothing yet.
    """

    projection: str
    generation: int
    position: int
    digest: str
    live_generation: int
    live_digest: str | None

    @property
    def differs(self) -> bool:
        """Whether the live documents are not what the log gives."""
        return self.live_digest is not None and self.live_digest != self.digest


def rebuild(store: Store, progress: Callable[[int], None] | None = None) -> Rebuilt:
    """Builds a new generation up to the log's head, compares it with the live one, and leaves it beside that one.

    `progress` hears of each position that is reached. Raises ParkedEvents, with every event that cannot be applied: the new
    generation is gone then. Readers notice nothing: see `adopt`.
    """
    live = store.open_live()
    new = store.open_new()
    try:
        _catch_up(new, progress)
        _require_whole(new)
        return _compared(store, new, live)
    except BaseException:
        store.drop(new.number)
        raise


def adopt(store: Store, rebuilt: Rebuilt) -> None:
    """Makes a rebuilt generation the live one; the one before it stays as the way back. Raises BadQuestion.

    The live one may have moved on meanwhile: the new one follows until the switch finds it level.
    """
    new = store.generation(rebuilt.generation)
    while True:
        _catch_up(new)
        try:
            store.switch(rebuilt.generation, rebuilt.live_generation)
        except BadQuestion:
            if (
                store.live() != rebuilt.live_generation or not new.advance()
            ):  # another switch, or nothing to follow
                raise
            continue
        store.drop_old()
        return


def discard(store: Store, rebuilt: Rebuilt) -> None:
    """Removes a rebuilt generation that is not wanted."""
    store.drop(rebuilt.generation)


def go_back(store: Store) -> int:
    """Makes the generation before the live one live again, at once, and returns its number. Raises BadQuestion.

    It stands where it was left, maybe at an older version of the projection: workers of that version bring it up to date.
    """
    live, previous = store.live(), store.previous()
    if not previous:
        raise BadQuestion(f"{store.projection.name}: there is no earlier generation to go back to")
    store.switch(previous, live, even_if_behind=True)
    return previous


def _require_whole(generation: Generation) -> None:
    if parked := generation.parked():
        raise ParkedEvents(generation.store.projection.name, list(parked.items()))


def _compared(store: Store, new: Generation, live: Generation) -> Rebuilt:
    """Compares digests at one position: whichever of the two is behind follows."""
    while True:
        try:
            live.checkpoint()
        except BadQuestion:
            position, digest = new.digest()
            return Rebuilt(store.projection.name, new.number, position, digest, live.number, None)
        position, digest = new.digest()
        try:
            live.advance(upto=position)
        except Fenced:
            continue
        live_position, live_digest = live.digest()
        if live_position == position:
            return Rebuilt(store.projection.name, new.number, position, digest, live.number, live_digest)
        _catch_up(new)


def _catch_up(generation: Generation, progress: Callable[[int], None] | None = None) -> None:
    position = generation.checkpoint().position
    while taken := generation.advance():
        position += taken
        if progress is not None:
            progress(position)
