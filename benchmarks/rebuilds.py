"""Replay: the five projections from zero, on one core and on two, beside a bare XRANGE and a fold in memory."""

from __future__ import annotations

import time

from approval_ledger import telemetry
from events import Log, connect
from projections import PROJECTIONS, Store, fold, replay
from workers import run_here_in

from . import yardsticks
from .append import append_all
from .figures import Figure, beside
from .generate import facts
from .measure import Bench, apart, at_once, forget_projections, peak_memory, seconds

PART = "replay"


def measure(bench: Bench) -> list[Figure]:
    """Of the log that `append` left in the ledger `bench`."""
    log, count = bench.log("bench"), bench.count
    key = f"{{{log.ledger}}}:log"
    xrange = Figure(
        PART, "bare XRANGE, 1,000 a page", count / apart(bench, yardsticks.xrange, key), "events/s"
    )
    folded = Figure(
        PART, "fold of all five in memory", count / apart(bench, fold_all, log.ledger), "events/s"
    )
    both = Figure(
        PART,
        "fold of all five in memory, by two processes at once",
        2 * count / max(at_once(2, bench, fold_all, log.ledger)),
        "events/s",
    )
    one, two = (_in_processes(bench, log, number) for number in (1, 2))
    (together, took), peak = apart(bench, rebuild_all, log.ledger)
    five = Figure(PART, "replay of all five, one core", count / together, "events/s")
    return [
        xrange,
        beside(xrange, folded),
        beside(folded, both),
        beside(xrange, five, target=0.5, aim=0.8),
        beside(folded, five, target=0.4),
        *(beside(xrange, Figure(PART, f"replay of {n}", count / s, "events/s")) for n, s in took.items()),
        one,
        beside(one, two, target=1.5),
        *_memory(bench, peak),
    ]


def _in_processes(bench: Bench, log: Log, number: int) -> Figure:
    forget_projections(log)
    took = seconds(lambda: run_here_in(number, bench.url, log.ledger, telemetry.configure))
    what = f"catch-up from zero by RQ jobs, {number} {'process' if number == 1 else 'processes'}"
    return Figure(PART, what, bench.count / took, "events/s")


def _memory(bench: Bench, whole: float) -> list[Figure]:
    append_all(bench.log("tenth"), facts(max(1, bench.count // 10)))
    _, tenth = apart(bench, rebuild_all, "tenth")
    small = Figure(PART, "peak memory of a replay of a tenth of the log", tenth, "MiB")
    return [
        small,
        beside(
            small,
            Figure(PART, "peak memory of a replay of the whole log", whole, "MiB"),
            target=1.1,
            at_most=True,
        ),
    ]


def rebuild_all(url: str, ledger: str) -> tuple[tuple[float, dict[str, float]], float]:
    """Seconds for all in one pass, and for each alone, compared with the live ones and thrown away; and the peak of memory."""
    log = Log(connect(url, timeout=60), ledger)
    together = seconds(lambda: _rebuild(log, list(PROJECTIONS)))
    took = {name: seconds(lambda name=name: _rebuild(log, [name])) for name in PROJECTIONS}  # type: ignore[misc]
    return (together, took), peak_memory()


def _rebuild(log: Log, names: list[str]) -> None:
    stores = [Store(log, PROJECTIONS[name]) for name in names]
    for store, rebuilt in zip(stores, replay.rebuild_together(stores), strict=True):
        if isinstance(rebuilt, Exception) or rebuilt.differs:
            raise SystemExit(
                f"{store.projection.name}: the replay differs from the live projection: {rebuilt}"
            )
        replay.discard(store, rebuilt)


def fold_all(url: str, ledger: str) -> float:
    """Seconds to fold the log into each projection's documents, in memory alone."""
    log = Log(connect(url, timeout=60), ledger)
    started = time.perf_counter()
    for projection in PROJECTIONS.values():
        fold(projection, log.read())
    return time.perf_counter() - started
