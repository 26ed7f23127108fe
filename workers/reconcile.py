"""The reconciler: compares the log's head with every checkpoint, and rings for projections that nobody advances.

With RQ's defaults the job of a killed worker ran again after 810 seconds; with this, within seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from redis import Redis

from events import Log, StorageUnavailable
from projections import PROJECTIONS, Checkpoint, Generation, live_generations

from .doorbell import free, ring

PERIOD = 2.0  # seconds


def progress(log: Log) -> tuple[int, dict[str, int]]:
    """The log's head, and the position of every projection that can be read on. Raises what the log raises."""
    positions = _positions(log, {}, Generation.checkpoint)
    # The head is read last: read first, it could be behind a checkpoint that a worker has just moved.
    return log.head(), positions


def behind(log: Log, errors: dict[str, Exception]) -> dict[str, int]:
    """The projections that have not taken the whole log yet, and their positions.

    Adds to `errors` those that cannot go on, with the reason; those already in it are skipped. Raises what the log raises.
    """
    positions = _positions(log, errors, Generation.verified_checkpoint)
    head = log.head()
    return {name: position for name, position in positions.items() if position < head}


def _positions(
    log: Log, errors: dict[str, Exception], read: Callable[[Generation], Checkpoint]
) -> dict[str, int]:
    positions = {}
    for name, projection in PROJECTIONS.items():
        if name in errors:
            continue
        try:
            (generation,) = live_generations(log, [projection])
            positions[name] = read(generation).position
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # whatever is stored there
            errors[name] = error
    return positions


class Reconciler:
    """Looks from time to time, and remembers what it saw last: a projection that has moved since needs no bell."""

    def __init__(self, client: Redis, ledger: str) -> None:
        self._client = client
        self._log = Log(client, ledger)
        self._seen: dict[str, int] = {}

    def look(self) -> tuple[list[str], dict[str, Exception]]:
        """Rings for every projection that was behind at the last look and has not moved since.

        Returns those it rang for, and those that cannot go on, with the reason. Raises what the log raises.
        """
        errors: dict[str, Exception] = {}
        waiting = behind(self._log, errors)
        stuck = [name for name, position in waiting.items() if self._seen.get(name) == position]
        self._seen = waiting
        free(self._client, self._log.ledger, stuck)
        return ring(self._client, self._log.ledger, stuck), errors
