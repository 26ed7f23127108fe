"""The one loop that moves a projection on: live, catching up, and after a crash."""

from __future__ import annotations

import time

from events import Log
from projections import Fenced, Projection, Store


def drain(log: Log, projection: Projection, *, seconds: float = float("inf")) -> bool:
    """Moves the live generation to the log's head, and returns True; or False where `seconds` were not enough.

    Any number of processes may drain one projection: each page is committed once, by whoever comes first. Raises what
    `Generation.advance` raises; what was committed stays.
    """
    store = Store(log, projection)
    generation = store.open_live()
    until = time.monotonic() + seconds
    while True:
        try:
            taken = generation.advance()
        except Fenced:
            taken = 1  # at least, by whoever came first
        if not taken:
            if (live := store.live()) == generation.number:
                return True
            generation = store.generation(live)  # a rebuild switched meanwhile
        elif time.monotonic() >= until:
            return False
