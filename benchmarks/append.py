"""Append: validated, deduplicated and synced, beside a bare XADD of the same events."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from events import Log, encode

from . import yardsticks
from .figures import Figure, beside
from .generate import Facts, build, facts
from .measure import Bench, batched, forget, seconds
from .yardsticks import CALL, synced

PART = "append"
SINGLY = 50  # of so many events, one is used where each is a call of its own
ROUNDS = 3  # of a short run, in alternation: the machine is shared
SHORT = 20_000  # events


def measure(bench: Bench) -> list[Figure]:
    """The log of the ledger `bench`, which is appended to in every round, is what the other parts read after the last."""
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
        "append, 1,000 a call, AOF always": partial(append, append_all),
        "append, 1,000 a call, the next made ready meanwhile, AOF always": partial(append, append_each),
    }
    everysec, encoded_everysec, always, encoded_always, in_turn, meanwhile = _alternated(bench.count, works)
    return [
        everysec,
        encoded_everysec,
        always,
        encoded_always,
        beside(everysec, meanwhile, target=0.9),
        beside(always, meanwhile, target=1.0),
        beside(everysec, meanwhile, target=1.7),
        beside(encoded_always, meanwhile),
        beside(everysec, in_turn),
        beside(always, in_turn),
        *_single(bench, known[: max(10, bench.count // SINGLY)]),
    ]


def _alternated(count: int, works: Mapping[str, Callable[[], float]]) -> list[Figure]:
    """Events a second of each, by the median of its seconds."""
    rounds = [{what: work() for what, work in works.items()} for _ in range(ROUNDS if count <= SHORT else 1)]
    taken = {what: statistics.median(each[what] for each in rounds) for what in works}
    return [Figure(PART, what, count / each, "events/s") for what, each in taken.items()]


def _single(bench: Bench, known: list[Facts]) -> list[Figure]:
    bare = _rate(
        "bare XADD, one a call, AOF always",
        known,
        lambda: yardsticks.xadd_singly(bench.client, known, "bare"),
    )
    single = _rate("append, one a call, AOF always", known, lambda: append_all(bench.log("single"), known, 1))
    return [bare, beside(bare, single, target=0.6)]


def append_all(log: Log, known: Iterable[Facts], size: int = CALL) -> None:
    """From plain values to the acknowledgement, one call after the other."""
    for call in batched(known, size):
        log.append(map(build, call))


def append_each(log: Log, known: Iterable[Facts]) -> None:
    """The same, where the next call is built, checked and encoded while the server writes one."""
    for _ in log.append_each(map(build, call) for call in batched(known, CALL)):
        pass


def _rate(what: str, known: list[Facts], work: Callable[[], object]) -> Figure:
    return Figure(PART, what, len(known) / seconds(work), "events/s")
