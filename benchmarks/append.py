"""Append: validated, deduplicated and synced, beside a bare XADD of the same events."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from events import Log, encode

from . import yardsticks
from .figures import Figure, beside
from .generate import Facts, build, facts
from .measure import Bench, batched, seconds
from .yardsticks import CALL, synced

PART = "append"
SINGLY = 50  # of so many events, one is used where each is a call of its own
IN_FLIGHT = 500  # events a call, where two calls are in flight


def measure(bench: Bench) -> list[Figure]:
    """The log of the ledger `bench` is what the other parts read."""
    known = list(facts(bench.count))
    everysec, encoded_everysec = _bare(bench, known, "everysec")
    always, encoded_always = _bare(bench, known, "always")
    append = _rate("append, 1,000 a call, AOF always", known, lambda: append_all(bench.log("bench"), known))
    two = _rate(
        "append, 500 a call, two calls in flight, AOF always",
        known,
        lambda: append_in_two_threads(bench.log("two"), known),
    )
    bench.client.unlink("bare")
    return [
        everysec,
        encoded_everysec,
        always,
        encoded_always,
        beside(everysec, append, target=0.9),
        beside(always, append, target=1.0),
        beside(encoded_always, append),
        beside(everysec, two, target=1.7),
        *_single(bench, known[: max(10, bench.count // SINGLY)]),
    ]


def _bare(bench: Bench, known: list[Facts], fsync: str) -> tuple[Figure, Figure]:
    payloads = [encode(build(fact)) for fact in known]
    with synced(bench.client, fsync):
        built = _rate(
            f"bare XADD, 1,000 a pipeline, events built by the models, AOF {fsync}",
            known,
            lambda: yardsticks.xadd_built(bench.client, known, "bare"),
        )
        bench.client.unlink("bare")
        encoded = _rate(
            f"bare XADD, 1,000 a pipeline, bytes encoded before, AOF {fsync}",
            known,
            lambda: yardsticks.xadd(bench.client, payloads, "bare"),
        )
        bench.client.unlink("bare")
    return built, encoded


def _single(bench: Bench, known: list[Facts]) -> list[Figure]:
    bare = _rate(
        "bare XADD, one a call, AOF always",
        known,
        lambda: yardsticks.xadd_singly(bench.client, known, "bare"),
    )
    single = _rate("append, one a call, AOF always", known, lambda: append_all(bench.log("single"), known, 1))
    return [bare, beside(bare, single, target=0.6)]


def append_all(log: Log, known: Iterable[Facts], size: int = CALL) -> None:
    """From plain values to the acknowledgement."""
    for batch in batched(known, size):
        log.append([build(fact) for fact in batch])


def append_in_two_threads(log: Log, known: list[Facts]) -> None:
    """The same, where one call is built while another waits for the disk."""
    with ThreadPoolExecutor(2) as pool:
        calls = batched(known, IN_FLIGHT)
        for _ in pool.map(lambda batch: log.append([build(fact) for fact in batch]), calls):
            pass


def _rate(what: str, known: list[Facts], work: object) -> Figure:
    assert callable(work)
    return Figure(PART, what, len(known) / seconds(work), "events/s")
