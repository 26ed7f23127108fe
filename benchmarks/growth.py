"""Cost as work grows: four costs, each against what might make it grow; `charts.py` draws them."""

from __future__ import annotations

import gc
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
from .measure import Bench, batched, forget, seconds, settle
from .yardsticks import CALL

PART = "growth"
SAMPLES = 9
CALLS = 27  # of nine, the median at 10,000,000 events was 1.02 to 1.24 times that at 10,000; of 27, 1.12
LIVE = 20  # events that are taken one by one
ASKED = 15  # times for one company
APPROVALS = 5  # of the company that is asked for
GROWS = "events in the log"
BACK = past.EVERY * 3 // 2  # an answer about the past is asked for so many events before the head: halfway
LENGTHS = (10_000, 30_000, 100_000, 200_000, 1_000_000, 10_000_000)
PROJECTED = (4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_000_000)
COMPANIES = (10, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Curve:
    """One chart: `points` of what grows and what it costs. `target`: the last cost, as a ratio to the first."""

    name: str
    title: str
    grows: str
    cost: str
    points: list[tuple[int, float]]
    target: float = 1.2

    def figure(self) -> Figure:
        (base, first), *_, (size, last) = self.points
        what = f"{self.title}, at {size:,} {self.grows}"
        return Figure(PART, what, last, self.cost, last / first, f"at {base:,}", self.target, at_most=True)

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


def _alternated(
    bench: Bench, sizes: list[int], rounds: int, sample: Callable[[int], float]
) -> list[tuple[int, float]]:
    """Each size with the median of its samples, which are taken in turn: one size after the other, a machine that became slower
    meanwhile made a cost grow to 1.9 times what it was."""
    took: dict[int, list[float]] = {size: [] for size in sizes}
    gc.collect()
    gc.freeze()  # a collection that looks at all that the benchmark holds takes up to a quarter of a question about the past
    for _ in range(rounds):
        for size in sizes:
            settle(bench.client)
            took[size].append(sample(size))
    return [(size, statistics.median(samples)) for size, samples in took.items()]


def _append(bench: Bench, lengths: list[int]) -> Curve:
    """One more call, for logs of each length."""
    logs = {length: bench.log(f"long-{length}") for length in lengths}
    more = {length: facts(length + CALLS * CALL) for length in lengths}
    for length, log in logs.items():
        append_all(log, islice(more[length], length))

    def call(length: int) -> float:
        some = list(islice(more[length], CALL))
        return seconds(lambda: logs[length].append(list(map(build, some)))) / CALL * 1e6

    points = _alternated(bench, lengths, CALLS, call)
    for log in logs.values():
        forget(log)
    return Curve("append", "append, of 1,000 a call", GROWS, "µs an event", points)


def _company(bench: Bench, sizes: list[int]) -> Curve:
    """Reading one company's history of a few approvals from logs that are equally long, the rest of which is about other companies."""
    logs = {size: bench.log(f"companies-{size}") for size in sizes}
    for size, log in logs.items():
        append_all(log, _with_one_company(size, 2 * sizes[-1]))
        for some in batched(range(size), CALL):
            log.append([_second_name(number) for number in some])
        run_here(bench.client, log.ledger)

    def ask(size: int) -> float:
        return _asked_anew(bench, logs[size], partial(queries.companies, name=f"Company {size - 1}"))

    points = _alternated(bench, sizes, ASKED, ask)
    return Curve("company", "reading one company's history", "companies", "ms", points)


def _asked_anew(bench: Bench, log: Log, ask: Callable[[Log], object]) -> float:
    """The milliseconds that a question takes with a new client, with which nothing was read before."""
    with connect(bench.url, timeout=120) as client:
        client.ping()
        return seconds(lambda: ask(Log(client, log.ledger))) * 1e3


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
    """The time for a live event in five projections, and for an answer about the past, for logs of each length."""
    logs = {length: bench.log(f"projected-{length}") for length in lengths}
    more = {length: facts(length + LIVE) for length in lengths}
    generations = {}
    for length, log in logs.items():
        append_all(log, islice(more[length], length))
        run_here(log.client, log.ledger)
        generations[length] = [Store(log, projection).open_live() for projection in PROJECTIONS.values()]
        advance_together(generations[length])  # they read their states once

    def live(length: int) -> float:
        """One event, taken as by processes that are at the head and still have what they read lately."""
        logs[length].append([build(next(more[length]))])
        return seconds(lambda: advance_together(generations[length])) * 1e3

    def before(length: int) -> float:
        return _asked_anew(bench, logs[length], partial(queries.totals, known_at=length - BACK))

    back = f"totals as known {BACK:,} events ago"
    return [
        Curve(
            "live", "one live event in five projections", GROWS, "ms", _alternated(bench, lengths, LIVE, live)
        ),
        Curve("past", back, GROWS, "ms", _alternated(bench, lengths, SAMPLES, before)),
    ]
