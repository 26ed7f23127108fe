"""Cost as work grows: four costs, each against what might make it grow; `charts.py` draws them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from events import Event, Log, connect
from events.catalog import CompanyIdentified, CompanyName, Source
from projections import PROJECTIONS, Store, advance_together, past, queries
from workers import run_here

from .append import append_all
from .figures import Figure
from .generate import PRODUCER, Facts, build, company_name, facts
from .measure import Bench, batched, seconds, settle
from .yardsticks import CALL

PART = "growth"
SAMPLES = 5
LIVE = 20  # events that are taken one by one
ASKED = 15  # times for one company
APPROVALS = 5  # of the company that is asked for
GROWS = "events in the log"
BACK = past.EVERY * 3 // 2  # an answer about the past is asked for so many events before the head: halfway
LENGTHS = (1_000, 3_000, 10_000, 30_000, 100_000, 200_000, 500_000, 1_000_000, 3_000_000, 10_000_000)
PROJECTED = (4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_000_000)
COMPANIES = (10, 1_000, 10_000)


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
    """Each curve goes up to a size of its own, because appending is fast and projecting is not."""
    return [
        _append(bench, _upto(LENGTHS, length)),
        _company(bench, _upto(COMPANIES, companies)),
        *_projected(bench, _upto(PROJECTED, projected)),
    ]


def _upto(sizes: tuple[int, ...], largest: int) -> list[int]:
    """The sizes that are not larger, but at least two, so that there is something to compare."""
    return [size for size in sizes if size <= largest or size <= sizes[1]]


def _append(bench: Bench, lengths: list[int]) -> Curve:
    """The median of the last calls before each length."""
    log, took, points = bench.log("long"), [], []
    for number, batch in enumerate(batched(facts(lengths[-1]), CALL), start=1):
        if (number + SAMPLES - 1) * CALL in lengths:
            settle(bench.client)
        took.append(seconds(lambda batch=batch: log.append([build(fact) for fact in batch])))  # type: ignore[misc]
        if number * CALL in lengths:
            points.append((number * CALL, statistics.median(took[-SAMPLES:]) / CALL * 1e6))
    bench.client.unlink("{long}:log", "{long}:ids")
    base = next((size for size, _ in points if size >= 10_000), points[0][0])
    return Curve("append", "append, of 1,000 a call", GROWS, "µs an event", points, base)


def _company(bench: Bench, sizes: list[int]) -> Curve:
    """Reading one company's history of a few approvals from logs that are equally long, the rest of which is about other companies."""
    points = []
    for size in sizes:
        log = bench.log(f"companies-{size}")
        append_all(log, _with_one_company(size, 2 * sizes[-1]))
        for some in batched(range(size), CALL):
            log.append([_second_name(number) for number in some])
        run_here(bench.client, log.ledger)
        settle(bench.client)
        name = f"Company {size - 1}"
        took = [_asked_anew(bench, log, partial(queries.companies, name=name)) for _ in range(ASKED)]
        points.append((size, statistics.median(took) * 1e3))
    return Curve("company", "reading one company's history", "companies", "ms", points, sizes[0])


def _asked_anew(bench: Bench, log: Log, ask: Callable[[Log], object]) -> float:
    """The seconds that a question takes with a new client, with which nothing was read before."""
    with connect(bench.url, timeout=120) as client:
        client.ping()
        return seconds(lambda: ask(Log(client, log.ledger)))


def _with_one_company(size: int, count: int) -> Iterator[Facts]:
    """`count` facts about `size` companies, the last of which has APPROVALS of them, and the others all the rest."""
    its = {number * count // APPROVALS for number in range(APPROVALS)}
    for fact in facts(count, size - 1):
        company = size - 1 if fact.number in its else fact.company
        yield replace(
            fact, company=company, retracts=None if {fact.number, fact.retracts} & its else fact.retracts
        )


def _second_name(number: int) -> Event:
    """An event that gives a company an English name beside its own, so that names have to be looked up."""
    names = [CompanyName(text=company_name(number)), CompanyName(text=f"Company {number}")]
    data = CompanyIdentified(company=f"company-{number}", names=names, source=Source(publisher="registry"))
    return Event(id=f"name-{number}", source=PRODUCER, data=data)


def _projected(bench: Bench, lengths: list[int]) -> list[Curve]:
    """The time for a live event in five projections, and for an answer about the past, as one log grows."""
    log, known = bench.log("growing"), facts(lengths[-1])
    live, before = [], []
    for length in lengths:
        took = _live_events(log, known, length)
        settle(log.client)
        then = partial(queries.totals, known_at=log.head() - BACK)
        asked = [_asked_anew(bench, log, then) for _ in range(SAMPLES)]
        live.append((length, statistics.median(took) * 1e3))
        before.append((length, statistics.median(asked) * 1e3))
    back = f"totals as known {BACK:,} events ago"
    return [
        Curve("live", "one live event in five projections", GROWS, "ms", live, lengths[0]),
        Curve("past", back, GROWS, "ms", before, lengths[0]),
    ]


def _live_events(log: Log, known: Iterator[Facts], upto: int) -> list[float]:
    """Grows the log to a length, and returns the seconds for the last events, taken one by one as by processes that are at the head and
    still have what they read lately."""
    append_all(log, islice(known, upto - LIVE - log.head()))
    run_here(log.client, log.ledger)
    generations = [Store(log, projection).open_live() for projection in PROJECTIONS.values()]
    advance_together(generations)  # they read their states once
    settle(log.client)
    took = []
    for fact in islice(known, LIVE):
        log.append([build(fact)])
        took.append(seconds(lambda: advance_together(generations)))
    return took
