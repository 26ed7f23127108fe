"""The reconciler: compares the log's head with every checkpoint, and rings where nobody moves a projection on.

With RQ's defaults a killed worker's job ran again after 810 seconds; this makes it seconds.
"""

from __future__ import annotations

from redis import Redis

from events import Log
from projections import PROJECTIONS, Store

from .doorbell import ring

PERIOD = 2.0  # seconds


def progress(log: Log) -> tuple[int, dict[str, int]]:
    """The log's head, and the position of every projection. Raises what the log and the stores raise."""
    positions = {
        name: Store(log, projection).open_live().checkpoint().position
        for name, projection in PROJECTIONS.items()
    }
    # The head is read last: read first, it could be behind a checkpoint that a worker has just moved.
    return log.head(), positions


def behind(log: Log) -> list[str]:
    """The projections that have not taken the whole log yet."""
    head, positions = progress(log)
    return [name for name, position in positions.items() if position < head]


class Reconciler:
    """Looks now and then. Holds what it saw last: a projection that moved since is in good hands."""

    def __init__(self, client: Redis, ledger: str) -> None:
        self._client = client
        self._log = Log(client, ledger)
        self._seen: dict[str, int] = {}

    def look(self) -> list[str]:
        """Rings for every projection that is behind and has not moved since the last look; returns those it rang for."""
        head, positions = progress(self._log)
        stuck = [
            name
            for name, position in positions.items()
            if position < head and self._seen.get(name) == position
        ]
        self._seen = positions
        return ring(self._client, self._log.ledger, stuck)
