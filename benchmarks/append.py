"""Append: validated, deduplicated and synced, compared with a bare XADD of the same events."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from events import Log, encode, from_json

from . import yardsticks
from .figures import Figure, beside
from .generate import Facts, build, facts, values
from .measure import Bench, batched, forget, seconds
from .yardsticks import CALL, synced

PART = "append"
SINGLY = 50  # of so many events, one is used where each is a call of its own
ROUNDS = 3  # of a short run, in alternation: the machine is shared
SHORT = 20_000  # events


def measure(bench: Bench) -> list[Figure]:
    """Each round appends to the ledger `bench`, whose log the other parts read after the last round."""
    known = list(facts(bench.count))
    payloads = [encode(build(fact)) for fact in known]

    def bare(fsync: str, write: Callable[..., None], what: Iterable[object]) -> float:
        with synced(bench.client, fsync):
            taken = seconds(lambda: write(bench.client, what, "bare"))
        bench.client.unlink("bare")
        return taken

    def append(write: Callable[[Log, list[Facts]], None]) -> float:
        forget(bench.log("bench"))
        return seconds(lambda: write(bench.log("bench"), known))

    works = {
        f"bare XADD, 1,000 a pipeline, {what}, AOF {fsync}": partial(bare, fsync, write, given)
        for fsync in ("everysec", "always")
        for what, write, given in (
            ("events built by the models", yardsticks.xadd_built, known),
            ("bytes encoded before", yardsticks.xadd, payloads),
        )
    } | {
        "append of events built by the models, 1,000 a call, AOF always": partial(append, append_all),
        "append of events built by the models, 1,000 a call, the next made ready meanwhile, AOF always": partial(
            append, append_each
        ),
        "append of plain values, 1,000 a call, the next made ready meanwhile, AOF always": partial(
            append, append_each_of_values
        ),
    }
    everysec, encoded_everysec, always, encoded_always, in_turn, *meanwhile = _alternated(bench.count, works)
    return [
        everysec,
        encoded_everysec,
        always,
        encoded_always,
        *(
            beside(yardstick, each, target=target, aim=aim)
            for each in meanwhile
            for yardstick, target, aim in ((everysec, 0.9, 1.7), (always, 1.0, None))
        ),
        beside(encoded_always, meanwhile[0]),
        beside(everysec, in_turn),
        beside(always, in_turn),
        *_single(bench, known[: max(10, bench.count // SINGLY)]),
    ]


def _alternated(count: int, works: Mapping[str, Callable[[], float]]) -> list[Figure]:
    """Events a second for each, from the median of its seconds."""
    rounds = [{what: work() for what, work in works.items()} for _ in range(ROUNDS if count <= SHORT else 1)]
    taken = {what: statistics.median(each[what] for each in rounds) for what in works}
    return [Figure(PART, what, count / each, "events/s") for what, each in taken.items()]


def _single(bench: Bench, known: list[Facts]) -> list[Figure]:
    def bare() -> float:
        taken = seconds(lambda: yardsticks.xadd_singly(bench.client, known, "bare"))
        bench.client.unlink("bare")
        return taken

    def append() -> float:
        forget(bench.log("single"))
        return seconds(lambda: append_all(bench.log("single"), known, 1))

    yardstick, single = _alternated(
        len(known),
        {"bare XADD, one a call, AOF always": bare, "append, one a call, AOF always": append},
    )
    return [yardstick, beside(yardstick, single, target=0.6)]


def append_all(log: Log, known: Iterable[Facts], size: int = CALL) -> None:
    """From plain values to the acknowledgement, one call after another."""
    for call in batched(known, size):
        log.append(map(build, call))


def append_each(log: Log, known: Iterable[Facts]) -> None:
    """The same, but the next call is built, checked and encoded while the server writes one."""
    for _ in log.append_each(map(build, call) for call in batched(known, CALL)):
        pass


def append_each_of_values(log: Log, known: Iterable[Facts]) -> None:
    """The same, but the producer has no models: plain values are checked once, when they are read."""
    for _ in log.append_each((from_json(values(fact)) for fact in call) for call in batched(known, CALL)):
        pass
