"""The one loop that advances projections, in lockstep, whether live, catching up or after a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from events import Log, LogForked, Unreadable, storage
from projections import CONCERNS_ALL, PROJECTIONS, Fenced, Generation, Lockstep, Store, live_of


class Drain:
    """Advances the live generations of some projections of one ledger, page by page.

    Any number of processes may do so: each page is committed once, by whoever comes first. `failed` is called with each
    projection that cannot go on, and the error; it is left out from then on, and what was committed stays.
    """

    def __init__(self, log: Log, failed: Callable[[str, Exception], None]) -> None:
        self.log = log
        self._failed = failed
        self._live: dict[str, Generation] = {}
        self._lockstep = Lockstep()

    @property
    def names(self) -> list[str]:
        """The projections that it advances."""
        return list(self._live)

    @property
    def reached(self) -> int:
        """The position that all of them have reached."""
        return min((generation.reached.position for generation in self._live.values()), default=0)

    def take(self, names: Iterable[str]) -> None:
        """Advances these as well from now on. Raises KeyError for an unknown projection."""
        for name in names:
            store = Store(self.log, PROJECTIONS[name])
            try:
                self._live[name] = store.open_live()
            except CONCERNS_ALL:
                raise
            except Exception as error:  # noqa: BLE001  # whatever is stored there, the others must go on
                self._give_up(name, error)

    def keep(self, names: Iterable[str]) -> None:
        """Advances only these, which it must advance already, from now on."""
        self._live = {name: self._live[name] for name in names}

    def page(self) -> bool:
        """Takes one page, and returns whether there may be more; False if all are at the log's head.

        Raises what keeps all of them from going on (see `advance_together`).
        """
        outcomes = dict(zip(self.names, self._lockstep.advance(list(self._live.values())), strict=True))
        for name, outcome in outcomes.items():
            if isinstance(outcome, Exception) and not isinstance(
                outcome, Fenced
            ):  # fenced: somebody came first
                self._give_up(name, outcome)
        return any(outcomes.values()) or self.follow_switches()

    def follow_switches(self) -> bool:
        """Goes on with generations that have become live, and returns whether there were any: a rebuild may have been adopted."""
        if not self._live:
            return False
        with storage():
            pipeline = self.log.client.pipeline(transaction=False)
            for generation in self._live.values():
                pipeline.hget(generation.store.pointer, "live")
            lives = dict(zip(self.names, pipeline.execute(raise_on_error=False), strict=True))
        switched = [name for name, live in lives.items() if not _is_live(self._live[name], live)]
        self.take(switched)
        return bool(switched)

    def _give_up(self, name: str, error: Exception) -> None:
        self._live.pop(name, None)
        self._failed(name, error)

    def wait(self, seconds: float) -> None:
        """Waits, for `seconds` at most, until there is an event that not all have taken yet."""
        last = min((generation.reached for generation in self._live.values()), key=lambda at: at.position)
        with suppress(LogForked):  # the next page finds out which projections this concerns
            next(self.log.follow(last.position, wait=seconds, entry=last.entry))


def _is_live(generation: Generation, stored: bytes | Exception | None) -> bool:
    """Whether `stored`, which names the live generation, names this one. False if it cannot be read: opening the generation then
    raises the error."""
    try:
        return not isinstance(stored, Exception) and live_of(stored) == generation.number
    except Unreadable:
        return False
