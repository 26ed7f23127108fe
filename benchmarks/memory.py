"""Memory: the server's bytes for each event, of the log with its index and of the projections, compared with the payload."""

from __future__ import annotations

from events import Log, encode, keys

from .figures import Figure, beside
from .generate import approvals
from .measure import Bench

PART = "memory"


def measure(bench: Bench) -> list[Figure]:
    """For the ledger `bench`, after its projections were built."""
    log, count = bench.log("bench"), bench.count
    payload = _figure(
        "the event's bytes (payload)", sum(len(encode(event)) for event in approvals(count)), count
    )
    stream = _figure("log", held(log, keys.log(log.ledger)), count)
    ids = _figure("index of ids", held(log, keys.ids(log.ledger)), count)
    both = _figure("log and index together", (stream.value + ids.value) * count, count)
    views = [_figure(f"{kind} of the five projections", of_projections(log, kind), count) for kind in KINDS]
    return [
        payload,
        beside(payload, stream),
        beside(payload, ids),
        beside(payload, both, target=1.35, at_most=True),
        *(beside(payload, view) for view in views),
    ]


KINDS = ("documents", "past")


def held(log: Log, *names: str) -> int:
    """The server's bytes for some keys, counting each of their entries."""
    return sum(int(log.client.memory_usage(name, samples=0) or 0) for name in names)


def of_projections(log: Log, kind: str) -> int:
    """The server's bytes for one kind of key of every projection and generation."""
    found = log.client.scan_iter(f"{keys.projection(log.ledger, '')}*:{kind}", count=1_000)
    return held(log, *(name.decode() for name in found))


def _figure(what: str, size: float, count: int) -> Figure:
    return Figure(PART, what, size / count, "bytes an event")
