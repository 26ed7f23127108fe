"""`make bench-peers`: runs the job on each peer, prints a table that includes ours, and writes results/peers.json."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from approval_ledger import embedded, telemetry
from benchmarks.generate import approvals
from benchmarks.latency import measure as measure_latency
from benchmarks.measure import Bench, apart
from benchmarks.readme import COLUMNS
from benchmarks.rebuilds import fold_all
from events import connect, encode, parse
from workers import run_here_in

from . import job
from .postgresql import NotInstalled, postgresql

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LOCKS = ROOT / "requirements" / "peers"
ENVIRONMENTS = ROOT / ".venv-peers"
PEERS = {
    "a bare Redis stream": ("redis_stream", "redis"),
    "a plain SQLite table": ("plain_sqlite", "directory"),
    "a plain PostgreSQL table": ("plain_postgresql", "postgresql"),
    "eventsourcing, SQLite": ("eventsourcing_sqlite", "directory"),
    "eventsourcing, PostgreSQL": ("eventsourcing_postgresql", "postgresql"),
    "eventsource-py, SQLite": ("eventsource_py", "directory"),
}
"""Each peer with its module, and what it needs."""

PATIENCE = 300.0  # seconds for one peer


class Missing(Exception):
    """Why a peer could not be measured."""


def main(words: list[str] | None = None) -> None:
    """Runs all of them, one after another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10, help="of latency, at 100 events a second")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "events"
        write_events(file, options.events + job.WARM_UP + int(job.RATE * options.seconds))
        measured, missing = measure(file, options.seconds)
    report = {"events": options.events, "peers": measured, "missing": missing}
    options.results.mkdir(exist_ok=True)
    (options.results / "peers.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def write_events(file: Path, count: int) -> None:
    """A line for each event: its id and its bytes."""
    file.write_bytes(b"".join(b"%s %s\n" % (e.id.encode(), encode(e)) for e in approvals(count)))


def measure(file: Path, seconds: float) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What was measured, and what is missing."""
    measured: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    print(f"{'':<40}" + "".join(f"{heading:>31}" for heading in COLUMNS.values()), flush=True)
    with ExitStack() as servers:
        counting = run(sys.executable, "ours", _place("redis", servers), file, seconds)
        measured.append(_shown("approval-ledger, the same counts", counting))
        measured.append(
            _shown("approval-ledger, five projections, RQ", five_projections(file, seconds, counting))
        )
    for name, (module, needs) in PEERS.items():
        try:
            with ExitStack() as servers:
                place = _place(needs, servers)
                measured.append(_shown(name, run(environment(module), module, place, file, seconds)))
        except (Missing, NotInstalled) as reason:
            print(f"{name:<40} missing: {reason}", flush=True)
            missing[name] = str(reason)
    return measured, missing


def _place(needs: str, servers: ExitStack) -> str:
    """A fresh server's address, or an empty directory."""
    if needs == "postgresql":
        return servers.enter_context(postgresql())
    directory = servers.enter_context(tempfile.TemporaryDirectory())
    if needs == "directory":
        return directory
    return servers.enter_context(embedded.start(Path(directory) / "data")).url


def environment(module: str) -> str:
    """The Python of a peer's own environment, which is made if it is missing. Raises Missing."""
    lock, home = LOCKS / f"{module}.txt", ENVIRONMENTS / module
    python, ready = home / "bin" / "python", home / "ready"
    if not ready.exists() or (lock.exists() and ready.stat().st_mtime < lock.stat().st_mtime):
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        if lock.exists():  # none for SQLite, which comes with Python
            words = ["--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
            done = subprocess.run([python, "-m", "pip", "install", *words], check=False, capture_output=True)
            if done.returncode:
                raise Missing("its packages could not be installed")
        ready.touch()
    return str(python)


def run(python: str, module: str, place: str, file: Path, seconds: float) -> dict[str, Any]:
    """What one peer measured, run in its own process. Raises Missing."""
    try:
        done = subprocess.run(
            [python, "-m", f"benchmarks.peers.{module}", file, place, str(seconds)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"it did not end within {PATIENCE:g} s") from None
    if done.returncode:
        raise Missing(f"it failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    return dict(json.loads(done.stdout))


def five_projections(file: Path, seconds: float, counting: dict[str, Any]) -> dict[str, Any]:
    """All five projections, by RQ workers: far more than the job asks for. The append is the same."""
    events = [job.parted(line)[1] for line in file.read_bytes().splitlines()]
    with ExitStack() as servers:
        url = _place("redis", servers)
        client = connect(url, timeout=60)
        bench = Bench(url, client, len(events), seconds, 700)
        log = bench.log("five")
        for at in range(0, len(events), job.CALL):
            log.append([parse(payload) for payload in events[at : at + job.CALL]])
        started = time.perf_counter()
        run_here_in(1, url, log.ledger, telemetry.configure)
        projected = time.perf_counter() - started
        rebuilt = apart(bench, fold_all, log.ledger)
        *_, p50, p99 = measure_latency(bench)
    return counting | {
        "projection": len(events) / projected,
        "rebuild": len(events) / rebuilt,
        "p50": p50.value,
        "p99": p99.value,
    }


def _shown(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    print(f"{name:<40}" + "".join(f"{figures[column]:>31,.1f}" for column in COLUMNS), flush=True)
    return {"name": name} | figures


if __name__ == "__main__":
    main()
