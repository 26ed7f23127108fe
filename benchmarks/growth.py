"""Cost as work grows: four costs, each against what might make it grow; `charts.py` draws them."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from events import Log
from projections import PROJECTIONS, Store, advance_together, queries
from workers import run_here

from .append import append_all
from .figures import Figure
from .generate import build, company_name, facts
from .measure import Bench, batched, seconds
from .yardsticks import CALL

PART = "growth"
SAMPLES = 5
EVENTS_A_COMPANY = 5
BACK = 1_000  # an answer about the past is asked for so many events before the head
LENGTHS = (1_000, 3_000, 10_000, 30_000, 100_000, 200_000, 500_000, 1_000_000, 3_000_000, 10_000_000)
PROJECTED = (2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000)  # snapshots are made at every 2,000th
COMPANIES = (10, 100, 300, 1_000, 3_000, 10_000)


@dataclass(frozen=True, slots=True)
class Curve:
    """One chart: `points` of what grows and what it costs. `target`: the last cost, as a ratio to the one at `base`."""

    name: str
    title: str
    grows: str
    cost: str
    points: list[tuple[int, float]]
    base: int
    target: float = 1.2

    def figure(self) -> Figure:
        (first,) = [cost for size, cost in self.points if size == self.base]
        size, last = self.points[-1]
        what = f"{self.title}, at {size:,} {self.grows}"
        return Figure(
            PART, what, last, self.cost, last / first, f"at {self.base:,}", self.target, at_most=True
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(bench: Bench, length: int, projected: int, companies: int) -> list[Curve]:
    """Each curve up to a size of its own: appending is fast, projecting is not."""
    live, past = _projected(bench, _upto(PROJECTED, projected))
    return [
        _append(bench, _upto(LENGTHS, length)),
        _company(bench, _upto(COMPANIES, companies)),
        live,
        past,
    ]


def _upto(sizes: tuple[int, ...], largest: int) -> list[int]:
    """Those that are not larger; always two, so that there is something to compare."""
    return [size for size in sizes if size <= largest or size <= sizes[1]]


def _append(bench: Bench, lengths: list[int]) -> Curve:
    """The median of the last calls before each length."""
    log, took, points = bench.log("long"), [], []
    for number, batch in enumerate(batched(facts(lengths[-1]), CALL), start=1):
        took.append(seconds(lambda batch=batch: log.append([build(fact) for fact in batch])))  # type: ignore[misc]
        if number * CALL in lengths:
            points.append((number * CALL, statistics.median(took[-SAMPLES:]) / CALL * 1e6))
    bench.client.unlink("{long}:log", "{long}:ids")
    base = next((size for size, _ in points if size >= 10_000), points[0][0])
    return Curve("append", "append, of 1,000 a call", "events in the log", "µs an event", points, base)


def _company(bench: Bench, sizes: list[int]) -> Curve:
    """Reading one company's history, where each company has as many approvals as in the other ledgers."""
    points = []
    for size in sizes:
        log = bench.log(f"companies-{size}")
        append_all(log, facts(size * EVENTS_A_COMPANY, size))
        run_here(bench.client, log.ledger)
        name = company_name(next(iter(facts(size * EVENTS_A_COMPANY, size))).company)
        took = [seconds(lambda log=log, name=name: queries.companies(log, name)) for _ in range(SAMPLES)]  # type: ignore[misc]
        points.append((size, statistics.median(took) * 1e3))
    return Curve("company", "reading one company's history", "companies", "ms", points, sizes[0])


def _projected(bench: Bench, lengths: list[int]) -> tuple[Curve, Curve]:
    """A live event's cost in five projections, and an answer about the past, as one log grows."""
    log, known = bench.log("growing"), facts(lengths[-1] + SAMPLES * len(lengths))
    live: list[tuple[int, float]] = []
    past: list[tuple[int, float]] = []
    for length in lengths:
        append_all(log, (next(known) for _ in range(length - log.head())))
        run_here(bench.client, log.ledger)
        took = [seconds(lambda log=log: queries.totals(log, known_at=log.head() - BACK)) for _ in range(3)]  # type: ignore[misc]
        past.append((length, statistics.median(took) * 1e3))
        live.append((length, _one_more(log, known) * 1e3))
    cost = "ms"
    return (
        Curve("live", "one live event in five projections", "events in the log", cost, live, lengths[0]),
        # The first length has no snapshot yet: all is folded, and nothing is read.
        Curve("past", "totals as known 1,000 events ago", "events in the log", cost, past, lengths[1]),
    )


def _one_more(log: Log, known: Any) -> float:
    """The median cost of one further event, where a process is at the head and has what it read lately."""
    generations = [Store(log, projection).open_live() for projection in PROJECTIONS.values()]
    took = []
    for _ in range(SAMPLES):
        log.append([build(next(known))])
        took.append(seconds(lambda: advance_together(generations)))
    return statistics.median(took)
