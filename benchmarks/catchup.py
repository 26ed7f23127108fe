"""Catch-up: events are published while RQ workers run, until every projection is at the head, compared with a bare fold."""

from __future__ import annotations

import time

from events import Log
from projections import PROJECTIONS
from workers import ring

from .figures import Figure, beside
from .generate import build, facts
from .measure import Bench, apart, batched
from .rebuilds import fold_all
from .workers_running import positions, workers
from .yardsticks import CALL

PART = "catch-up"
WORKERS = 2
LOOK = 0.01  # seconds between two looks at the checkpoints


def measure(bench: Bench) -> list[Figure]:
    """From the first append to the last commit."""
    log = bench.log("catchup")
    with workers(bench, log, WORKERS):
        took = publish_and_wait(log, bench.count)
    fold = Figure(PART, "fold of all five in memory", apart(bench, fold_all, log.ledger), "s")
    through = Figure(PART, f"published, and projected by {WORKERS} RQ workers", took, "s")
    return [fold, beside(fold, through, target=1.5, at_most=True)]


def publish_and_wait(log: Log, count: int) -> float:
    """Seconds until the five projections have taken everything that is published meanwhile."""
    known = list(facts(count))
    started = time.perf_counter()
    for batch in batched(known, CALL):
        log.append([build(fact) for fact in batch])
        ring(log.client, log.ledger, PROJECTIONS)
    while min(positions(log)) < count:
        time.sleep(LOOK)
    return time.perf_counter() - started
