"""The jobs: what a worker does when the bell rings."""

from __future__ import annotations

from collections.abc import Callable

from redis import Redis

from events import Log
from projections import PROJECTIONS

from .doorbell import answer, ring
from .drain import drain
from .queues import ADVANCE

SLICE = 10.0  # seconds that one job drains, before it rings for the rest: other projections have their turn


def advance(client: Redis, ledger: str, projection: str) -> None:
    """Moves one projection of one ledger to the log's head, or rings again where that takes long.

    Raises KeyError for a projection that there is not, and what `drain` raises.
    """
    folded = PROJECTIONS[projection]
    answer(client, ledger, projection)
    if not drain(Log(client, ledger), folded, seconds=SLICE):
        ring(client, ledger, [projection])


JOBS: dict[str, Callable[[Redis, str, str], None]] = {ADVANCE: advance}
"""What each function that a job may name does."""
