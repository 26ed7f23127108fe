"""The job that every peer does, and how it is timed: append, a durable projection, a rebuild, and latency.

The projection counts the approvals of each company and of each batch, and the retractions. It advances page by page: the
counts that changed and the position are made durable together. A peer provides a `Peer`, and needs only this file and
what is installed in its own environment.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

CALL = 1_000  # events an append
PAGE = 500  # events a commit of the projection
RATE = 100  # events a second, for the latency
WARM_UP = 20
PATIENCE = 60.0  # seconds, after the last event

Stored = tuple[int, bytes]
Counts = dict[str, int]


class Peer(Protocol):
    """One store of events with one projection. Every call that writes returns once the write is durable."""

    durable: str

    def append(self, events: Sequence[tuple[str, bytes]]) -> object:
        """Appends ids with payloads, in one call."""

    def read(self, after: int, limit: int) -> Sequence[Stored]:
        """Positions, in ascending order, and payloads."""

    def load(self) -> tuple[int, Counts]:
        """Where the projection is, and its counts."""

    def commit(self, position: int, changed: Counts) -> object:
        """Both at once."""

    def rebuild(self) -> Counts:
        """The counts, computed anew from all events in the fastest way; nothing is stored."""

    def wait(self, after: int) -> object:
        """Returns when there may be events after a position, the way this software wakes a reader, or after a while."""


def add(changed: Counts, counts: Counts, payload: bytes) -> None:
    """Adds one event to the counts."""
    event = json.loads(payload)
    data = event["data"]
    names = (
        [f"company {data['company']['name']}", f"batch {data['batch']}"]
        if "company" in data
        else ["retractions"]
    )
    for name in names:
        counts[name] = changed[name] = counts.get(name, 0) + 1


def folded(peer: Peer) -> Counts:
    """The counts, computed anew, for a peer that has no faster way than reading everything."""
    counts: Counts = {}
    changed: Counts = {}
    after = 0
    while page := peer.read(after, CALL):
        for _, payload in page:
            add(changed, counts, payload)
        after = page[-1][0]
    return counts


class Steps(Protocol):
    """Advances a projection."""

    position: int

    def step(self) -> int:
        """Takes a page of events, durably, and returns how many there were."""


class Projector:
    """Advances a peer's projection; keeps its counts in memory, as a single process can."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.position, self.counts = peer.load()

    def step(self) -> int:
        """Takes a page of events, and returns how many there were."""
        page = self.peer.read(self.position, PAGE)
        changed: Counts = {}
        for _, payload in page:
            add(changed, self.counts, payload)
        if page:
            self.position = page[-1][0]
            self.peer.commit(self.position, changed)
        return len(page)


def main(open_: Callable[[str], Peer], steps: Callable[[Any], Steps] = Projector) -> None:
    """`FILE PLACE SECONDS`: prints what was measured, as JSON. `PLACE` is a directory, or the address of a server."""
    file, place, duration = sys.argv[1:]
    events = [parted(line) for line in Path(file).read_bytes().splitlines()]
    latest = WARM_UP + int(RATE * float(duration))
    print(json.dumps(measure(open_, steps, place, events[:-latest], events[-latest:])))


def parted(line: bytes) -> tuple[str, bytes]:
    """The id and the payload of a line."""
    id_, _, payload = line.partition(b" ")
    return id_.decode(), payload


def measure(
    open_: Callable[[str], Peer],
    steps: Callable[[Any], Steps],
    place: str,
    events: list[tuple[str, bytes]],
    live: list[tuple[str, bytes]],
) -> dict[str, object]:
    """Events a second, and milliseconds."""
    peer, count = open_(place), len(events)
    append = _seconds(lambda: [peer.append(events[at : at + CALL]) for at in range(0, count, CALL)])
    projection = _seconds(lambda: _drain(steps(peer)))
    started = time.perf_counter()
    counts = peer.rebuild()
    rebuild = time.perf_counter() - started
    if not counts or counts != peer.load()[1]:
        raise SystemExit("the projection and the rebuild differ")
    latencies = sorted(_latencies(open_, steps, place, peer, live))
    return {
        "append": count / append,
        "projection": count / projection,
        "rebuild": count / rebuild,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[int(0.99 * len(latencies))],
        "durable": peer.durable,
    }


def _drain(projector: Steps) -> None:
    while projector.step():
        pass


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _latencies(
    open_: Callable[[str], Peer],
    steps: Callable[[Any], Steps],
    place: str,
    peer: Peer,
    live: list[tuple[str, bytes]],
) -> Iterable[float]:
    """From the return of each append until a commit in another process has it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_follow, args=(open_, steps, place, len(live), theirs))
    process.start()
    ours.recv()
    returned = []
    started = time.monotonic()
    for number, event in enumerate(live):
        time.sleep(max(0.0, started + number / RATE - time.monotonic()))
        peer.append([event])
        returned.append(time.monotonic())
    if not ours.poll(PATIENCE):
        process.kill()
        raise SystemExit("its reader did not take what was appended")
    seen: list[float] = ours.recv()
    process.kill()  # a subscription may have threads that keep it alive
    process.join()
    return [(a - b) * 1000 for a, b in zip(seen[WARM_UP:], returned[WARM_UP:], strict=True)]


def _follow(
    open_: Callable[[str], Peer],
    steps: Callable[[Any], Steps],
    place: str,
    expected: int,
    out: Connection,
) -> None:
    peer = open_(place)
    projector = steps(peer)
    seen: list[float] = []
    out.send("ready")
    while len(seen) < expected:
        if taken := projector.step():
            seen += [time.monotonic()] * taken
        else:
            peer.wait(projector.position)
    out.send(seen)
