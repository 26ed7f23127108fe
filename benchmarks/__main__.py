"""`make bench`: runs each part, prints every ratio beside its target, and writes benchmarks/results/*.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from approval_ledger import embedded
from events import connect
from workers.collector import THRESHOLD

from . import append, catchup, growth, latency, memory, rebuilds, served
from .figures import Figure, row
from .measure import Bench

RESULTS = Path(__file__).parent / "results"
PARTS = {part.PART: part.measure for part in (append, catchup, rebuilds, memory, latency, served)}
"""The parts, in this order, because those in REST use what `append` left."""
REST = {rebuilds.PART, memory.PART}


def main(words: list[str] | None = None) -> None:
    """Runs everything once."""
    parser = _options()
    options = parser.parse_args(words)
    if append.PART not in options.parts and (rest := REST & {*options.parts}):
        parser.error(f"name append as well, for what it leaves is looked at by: {', '.join(sorted(rest))}")
    with tempfile.TemporaryDirectory() as directory, embedded.start(Path(directory) / "data") as server:
        client = connect(server.url, timeout=120)
        bench = Bench(server.url, client, options.events, options.seconds, options.collector)
        about = _about(bench)
        _show_heading(about)
        figures, curves = _measure(bench, options)
    about["load at the end"] = _load()
    options.results.mkdir(exist_ok=True)
    _write(
        options.results / "bench.json", {"about": about, "figures": [figure.as_json() for figure in figures]}
    )
    if curves:
        _write(options.results / "growth.json", [curve.as_json() for curve in curves])
    _show_end(figures)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="the targets speak of 1,000,000")
    every = [*PARTS, growth.PART]
    parser.add_argument("--parts", nargs="+", choices=every, default=every, help="all of them")
    parser.add_argument("--seconds", type=float, default=10, help="of latency, at 100 events a second")
    parser.add_argument("--length", type=int, default=200_000, help="of the log that appends grow")
    parser.add_argument("--projected", type=int, default=16_000, help="length of the log that is projected")
    parser.add_argument("--companies", type=int, default=10_000, help="the most companies of a ledger")
    parser.add_argument("--collector", type=int, default=THRESHOLD, help="threshold, of both sides")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


def _about(bench: Bench) -> dict[str, Any]:
    server = bench.client.info("server")
    kind = server.get("server_name", "redis")
    return {
        "events": bench.count,
        "server": f"{kind} {server.get('valkey_version', server['redis_version'])}, unix socket",
        "python": platform.python_version(),
        **{name: version(name) for name in ("redis", "hiredis", "rq", "pydantic")},
        "cores": os.cpu_count(),
        "collector": bench.collector,
        "load at the start": _load(),
    }


def _load() -> float:
    """How many processes ran or waited to run, as a mean over a minute: above the number of cores, others disturbed the measurement."""
    return round(os.getloadavg()[0], 1)


def _measure(bench: Bench, options: argparse.Namespace) -> tuple[list[Figure], list[growth.Curve]]:
    figures: list[Figure] = []
    for name, measure in PARTS.items():
        if name not in options.parts:
            continue
        started = time.monotonic()
        figures += (found := measure(bench))
        _show(name, found, time.monotonic() - started)
    if growth.PART not in options.parts:
        return figures, []
    started = time.monotonic()
    curves = growth.measure(bench, options.length, options.projected, options.companies)
    grown = [curve.figure() for curve in curves]
    _show(growth.PART, grown, time.monotonic() - started)
    return figures + grown, curves


def _show_heading(about: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in about.items()))


def _show(part: str, figures: Iterable[Figure], took: float) -> None:
    print(f"\n{part} (measured in {took:.0f} s)", flush=True)
    for figure in figures:
        what, value, ratio, yardstick, target, verdict = row(figure)
        of = f"{ratio} {yardstick}" if ratio else ""
        print(f"  {what:<62} {value:>22}  {of:<72} {target:>9} {verdict}".rstrip(), flush=True)


def _show_end(figures: list[Figure]) -> None:
    missed = [figure for figure in figures if figure.met is False]
    judged = sum(figure.met is not None for figure in figures)
    print(f"\n{judged - len(missed)} of {judged} targets are met. Missed:" + (" none" if not missed else ""))
    for figure in missed:
        what, value, ratio, yardstick, target, _ = row(figure)
        print(f"  {what}: {ratio or value}{f' {yardstick}' if ratio else ''}, the target is {target}")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
