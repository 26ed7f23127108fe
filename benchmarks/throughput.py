"""Append, projection and replay of generated approvals, beside a bare pipelined XADD and a bare XRANGE of the same bytes.

Machines differ and are shared, so what counts is the ratio to the yardstick of the same run. Prints a table, and writes
`benchmarks/results/throughput.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import redis
from generate import approvals

from approval_ledger import embedded
from events import Event, Log, connect, encode
from projections import PROJECTIONS, Store, replay
from workers import run_here

BATCH = 500  # events an append
PAGE = 500  # entries an XRANGE
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Runs it all once."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--events", type=int, default=100_000)
    count = arguments.parse_args().events
    with tempfile.TemporaryDirectory() as directory, embedded.start(Path(directory) / "data") as server:
        client = connect(server.url, timeout=60)
        figures = measure(client, count)
        about = client.info("server")
    software = f"{about.get('server_name', 'redis')} {about.get('valkey_version', about['redis_version'])}"
    report = {
        "events": count,
        "server": f"{software}, AOF always, unix socket",
        "python": platform.python_version(),
        "redis-py": version("redis"),
        "rq": version("rq"),
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "throughput.json").write_text(json.dumps(report, indent=1) + "\n")
    show(report)


def measure(client: redis.Redis, count: int) -> list[dict[str, Any]]:
    """Each figure: what, events a second, the yardstick's name, and the ratio to it."""
    log = Log(client, "benchmark")
    events = list(approvals(count))
    payloads = [encode(event) for event in events]

    xadd = rate(count, lambda: bare_xadd(client, payloads))
    append = rate(count, lambda: append_all(log, events))
    xrange = rate(count, lambda: bare_xrange(client))
    project = rate(count, lambda: run_here(client, log.ledger))
    rebuilds = {name: rate(count, partial(rebuild, log, name)) for name in PROJECTIONS}
    all_five = count / sum(count / each for each in rebuilds.values())
    return [
        figure("XADD, pipelined, 500 a call (yardstick)", xadd, xadd),
        figure("append: checked, deduplicated, 500 a call", append, xadd),
        figure("XRANGE, 500 a page, nothing else (yardstick)", xrange, xrange),
        figure("projection: five projections through RQ jobs", project, xrange),
        figure("replay: five projections, one after the other", all_five, xrange),
        *(figure(f"replay of {name}", each, xrange) for name, each in rebuilds.items()),
    ]


def rate(count: int, work: Callable[[], object]) -> float:
    """Events a second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def figure(what: str, per_second: float, yardstick: float) -> dict[str, Any]:
    """One line of the report."""
    return {"what": what, "events_per_second": round(per_second), "ratio": round(per_second / yardstick, 3)}


def bare_xadd(client: redis.Redis, payloads: list[bytes]) -> None:
    """What appending costs where nothing is checked."""
    for batch in batched(payloads):
        with client.pipeline(transaction=False) as pipeline:
            for payload in batch:
                pipeline.xadd("bare", {"e": payload})
            pipeline.execute()


def append_all(log: Log, events: list[Event]) -> None:
    """The ledger's append, from model to acknowledgement."""
    for batch in batched(events):
        log.append(batch)


def bare_xrange(client: redis.Redis) -> None:
    """What reading the log costs where nothing is done with it."""
    last = "-"
    while page := client.xrange("bare", min=last, count=PAGE):
        last = f"({page[-1][0].decode()}"


def rebuild(log: Log, name: str) -> None:
    """One projection from zero, compared with the live one, and thrown away."""
    store = Store(log, PROJECTIONS[name])
    rebuilt = replay.rebuild(store)
    if rebuilt.differs:
        raise SystemExit(f"{name}: the replay differs from the live projection")
    replay.discard(store, rebuilt)


T = TypeVar("T")


def batched(items: list[T]) -> Iterator[list[T]]:
    """BATCH at a time."""
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def show(report: dict[str, Any]) -> None:
    """The table."""
    print(f"{report['events']:,} events; {report['server']}; Python {report['python']}")
    for line in report["figures"]:
        print(f"{line['what']:<50} {line['events_per_second']:>9,}/s  {line['ratio']:>6.3f} x")


if __name__ == "__main__":
    main()
