"""How things are measured: by the clock of this process, or in a separate process that also reports its peak of memory."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import redis

from events import Log, keys

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a run measures, and how much: `collector` is the first threshold of Python's cyclic garbage collector."""

    url: str
    client: redis.Redis
    count: int
    seconds: float
    collector: int

    def log(self, name: str) -> Log:
        return Log(self.client, name)


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def apart(bench: Bench, work: Callable[..., R], *arguments: object) -> R:
    """What `work(url, *arguments)` returns from a fresh process, under the run's collector settings."""
    (result,) = at_once(1, bench, work, *arguments)
    return result


def at_once(processes: int, bench: Bench, work: Callable[..., R], *arguments: object) -> list[R]:
    """The same from each of several processes that do it at once."""
    context, collector = multiprocessing.get_context("spawn"), (bench.collector,)
    with ProcessPoolExecutor(processes, context, initializer=gc.set_threshold, initargs=collector) as pool:
        started = [pool.submit(work, bench.url, *arguments) for _ in range(processes)]
        return [each.result() for each in started]


def peak_memory() -> float:
    """The most memory that this process ever held, in MiB. (`ru_maxrss` would be its parent's, on Linux.)"""
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    (peak,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(peak.split()[1]) / 1024


def settle(client: redis.Redis) -> None:
    """Waits until the server is neither rewriting its append-only file nor freeing what was removed, because that would be measured
    as well."""
    while _is_tidying_up(client):
        time.sleep(0.05)


def _is_tidying_up(client: redis.Redis) -> bool:
    told = client.info("everything")
    return any(
        told[what]
        for what in ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "lazyfree_pending_objects")
    )


def forget(log: Log) -> None:
    """Removes a ledger."""
    for key in list(log.client.scan_iter(f"{{{log.ledger}}}:*", count=1_000)):
        log.client.unlink(key)


def forget_projections(log: Log) -> None:
    """Removes the projections of a ledger, so that the next figure begins at zero again."""
    for key in list(log.client.scan_iter(f"{keys.projection(log.ledger, '')}*", count=1_000)):
        log.client.unlink(key)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
