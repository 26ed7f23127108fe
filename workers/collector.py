"""Python's cyclic garbage collector, in a process that folds or answers."""

from __future__ import annotations

import gc

THRESHOLD = 100_000
"""How many new containers there may be before the collector looks at the youngest ones, instead of 700. What a fold makes has no
cycles and is freed with its page; looking for cycles in it took 15 to 20 % of the time of a replay, and of answers over HTTP."""


def collect_rarely() -> None:
    """Makes the collector run rarely for the rest of this process."""
    gc.set_threshold(THRESHOLD)
