"""How many requests a client may make: a bucket of tokens for each, in this process alone.

In Redis the buckets would outlast a restart and count for several servers; they would also cost each request a write to
the store that the limit is there to protect.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from .problems import RequestRefused

BURST = 5.0  # seconds' worth of requests that may come at once
CLIENTS = 10_000  # that are remembered; a forgotten one has a full bucket again


class Limits:
    """The buckets of all clients."""

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` requests a second for each client; None is no limit."""
        self._rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when
        self._lock = Lock()

    def take(self, client: str) -> None:
        """Counts a request. Raises RequestRefused (429) where the client has made too many."""
        if self._rate is None:
            return
        full, now = max(1.0, self._rate * BURST), self._clock()
        with self._lock:
            left, then = self._buckets.pop(client, (full, now))
            left = min(full, left + (now - then) * self._rate)
            enough = left >= 1
            self._buckets[client] = (left - 1 if enough else left, now)
            while len(self._buckets) > CLIENTS:
                self._buckets.popitem(last=False)
        if not enough:
            seconds = math.ceil((1 - left) / self._rate)
            raise RequestRefused(
                429,
                "rate-limited",
                f"more than {self._rate:g} requests a second: wait. Nothing was stored.",
                {"Retry-After": str(seconds)},
            )
