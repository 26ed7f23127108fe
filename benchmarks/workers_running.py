"""Workers as `approvals work` runs them, for the time of a block."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

from approval_ledger import telemetry
from events import Log, keys
from projections import PROJECTIONS
from workers import supervise, workers_alive

from .measure import Bench

PATIENCE = 120.0  # seconds, for a slow machine


@contextmanager
def workers(bench: Bench, log: Log, number: int) -> Iterator[None]:
    """`number` of them, all connected when the block begins."""
    context = multiprocessing.get_context("spawn")
    arguments = (bench.url, log.ledger, number)
    supervisor = context.Process(target=supervise, args=arguments, kwargs={"configure": telemetry.configure})
    supervisor.start()
    try:
        until = time.monotonic() + PATIENCE
        while workers_alive(bench.client, log.ledger) < number:
            _require(supervisor.is_alive() and time.monotonic() < until, "the workers did not come up")
            time.sleep(0.05)
        yield
    finally:
        supervisor.terminate()
        supervisor.join()


def positions(log: Log) -> list[int]:
    """How far each projection's first generation is: one round trip that asks for a field each, and wakes nobody."""
    pipeline = log.client.pipeline(transaction=False)
    for name in PROJECTIONS:
        pipeline.hget(keys.state(log.ledger, name, 1), "position")
    return [int(value or 0) for value in pipeline.execute()]


def _require(fine: bool, otherwise: str) -> None:
    if not fine:
        raise SystemExit(otherwise)
