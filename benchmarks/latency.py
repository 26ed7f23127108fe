"""Publish-to-visible latency: from the return of an append until a projection's checkpoint has the event.

The checkpoint is not polled. The server is told to announce each write of a hash (keyspace notifications), and a thread
that waits for the announcement of a checkpoint then asks for its position, and looks at the clock after the answer: so
the figure is too long by one round trip, never too short.
"""

from __future__ import annotations

import threading
import time
from itertools import islice

from events import Log, connect, keys
from projections import PROJECTIONS
from workers import ring
from workers.sharing import costliest_first

from .figures import Figure
from .generate import approvals
from .measure import Bench, percentile
from .workers_running import positions, workers

PART = "latency"
RATE = 100  # events a second
WARM_UP = 20  # events before it counts
FIRST = costliest_first(PROJECTIONS)[0]  # the one that is rung for first


def measure(bench: Bench) -> list[Figure]:
    """With one worker, which advances the five projections together."""
    log = bench.log("latency")
    with workers(bench, log, 1):
        returned, seen = publish(bench, log, WARM_UP + int(RATE * bench.seconds))
    first = [_visible(seen, [FIRST], at) - moment for at, moment in returned.items() if at > WARM_UP]
    last = [_visible(seen, list(PROJECTIONS), at) - moment for at, moment in returned.items() if at > WARM_UP]
    return [
        Figure(
            PART,
            f"an event at {RATE} a second, until {FIRST} has it, p50",
            percentile(first, 0.5) * 1000,
            "ms",
        ),
        Figure(
            PART,
            f"an event at {RATE} a second, until {FIRST} has it, p99",
            percentile(first, 0.99) * 1000,
            "ms",
        ),
        Figure(
            PART,
            f"an event at {RATE} a second, until all five have it, p50",
            percentile(last, 0.5) * 1000,
            "ms",
            None,
            "",
            3,
            True,
        ),
        Figure(
            PART,
            f"an event at {RATE} a second, until all five have it, p99",
            percentile(last, 0.99) * 1000,
            "ms",
            None,
            "",
            15,
            True,
        ),
    ]


Seen = dict[str, list[tuple[int, float]]]


def publish(bench: Bench, log: Log, count: int) -> tuple[dict[int, float], Seen]:
    """When each append returned, by position, and when each checkpoint was seen at which position."""
    returned: dict[int, float] = {}
    watcher = Watcher(bench, log)
    for number, event in enumerate(islice(approvals(count), count)):
        _wait_until(watcher.started + number / RATE)
        (receipt,) = log.append([event])
        returned[receipt.position] = time.monotonic()
        ring(log.client, log.ledger, PROJECTIONS)
    while min(positions(log)) < count:
        time.sleep(0.05)
    return returned, watcher.stop()


def _wait_until(moment: float) -> None:
    if (left := moment - time.monotonic()) > 0:
        time.sleep(left)


def _visible(seen: Seen, names: list[str], position: int) -> float:
    """When all of `names` had taken `position`."""
    return max(next(moment for at, moment in seen[name] if at >= position) for name in names)


class Watcher:
    """Notes when each checkpoint moves, on separate connections."""

    def __init__(self, bench: Bench, log: Log) -> None:
        self.seen: Seen = {name: [] for name in PROJECTIONS}
        self._client, self._ask = connect(bench.url, timeout=60), connect(bench.url, timeout=60)
        self._client.config_set("notify-keyspace-events", "Kh")
        self._places = {f"__keyspace@0__:{keys.state(log.ledger, n, 1)}".encode(): n for n in PROJECTIONS}
        self._listener = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py has none here
        self._listener.subscribe(*self._places)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        self.started = time.monotonic()

    def _watch(self) -> None:
        while not self._stop.is_set():
            if (message := self._listener.get_message(timeout=0.2)) is not None:
                self._note(message["channel"])

    def _note(self, channel: bytes) -> None:
        position = self._ask.hget(channel.partition(b":")[2].decode(), "position")
        self.seen[self._places[channel]].append((int(position or 0), time.monotonic()))

    def stop(self) -> Seen:
        time.sleep(0.3)  # for the last announcement
        self._stop.set()
        self._thread.join()
        self._client.config_set("notify-keyspace-events", "")
        self._listener.close()
        return self.seen
