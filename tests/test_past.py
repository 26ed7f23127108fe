"""Snapshots: an answer about the past folds few events, is what a fold of the whole log gives, and needs no snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import Log, RecordedEvent, Unreadable, connect
from projections import (
    PROJECTIONS,
    Generation,
    MemoryDocuments,
    Store,
    differences,
    digest,
    fold,
    past,
    queries,
)
from projections.past import PastDocuments, SnapshotLost, last_before
from projections.replay import adopt, rebuild
from projections.store import Digests
from projections.together import known_at

from .conftest import new_ledger
from .given import (
    ASK,
    HISTORY,
    QUESTIONS,
    Tally,
    append,
    append_newer,
    append_raw,
    as_bytes,
    ask,
    called,
    counted_round_trips,
    drain,
    granted,
    retract,
    url_of,
    views,
)
from .long import LONG, examples, only_long, some
from .servers import Server

EVERY = 7
VOLUME = 2

ALL = list(PROJECTIONS.values())


@pytest.fixture(autouse=True)
def _snapshots_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "EVERY", EVERY)
    monkeypatch.setattr(past, "VOLUME", VOLUME)


@pytest.fixture(scope="module")
def history(server: Server) -> Log:
    log = Log(server.client(), new_ledger())
    log.append(HISTORY)
    return log


def project(log: Log, *pages: int) -> None:
    """Moves every projection to the head, in pages of these sizes by turns."""
    for projection in ALL:
        generation = Store(log, projection).open_live()
        while generation.advance(pages[generation.checkpoint().position % len(pages)]):
            pass


def at_snapshot(generation: Generation, snapshot: int) -> PastDocuments:
    """The documents of a snapshot, none of which was read yet."""
    return PastDocuments(generation, snapshot, {}, {})


class Reads:
    """What is read of the log from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.positions: list[int] = []
        original = Log.read

        def read(log: Log, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
            for event in original(log, after, limit):
                self.positions.append(event.position)
                yield event

        monkeypatch.setattr(Log, "read", read)


@only_long
def test_an_answer_at_any_position_is_that_of_the_log_up_to_there_and_folds_less_than_an_interval(
    server: Server, history: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(history, 500)
    every = list(history.read())
    for position in range(0, len(every) + 1, 1 if LONG else 3):
        reads, documents = Reads(monkeypatch), views(every[:position])
        for name, question in QUESTIONS.items():
            reads.positions.clear()
            with connect(server.url) as new:  # over which nothing was read yet
                answer = question(Log(new, history.ledger), known_at=position)
            assert reads.positions == list(range(position - position % EVERY + 1, position + 1))
            assert answer["answers"] == ASK[name](documents), (name, position)
        monkeypatch.undo()
        monkeypatch.setattr(past, "EVERY", EVERY)
        monkeypatch.setattr(past, "VOLUME", VOLUME)


@settings(max_examples=examples(30))
@given(
    figures=st.lists(st.integers(20, 24), min_size=1, max_size=40),
    withdrawn=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6, unique=True),
    pages=st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_a_snapshot_holds_every_document_as_it_was_whatever_the_pages_that_were_committed(
    server: Server, figures: list[int], withdrawn: list[tuple[int, int]], pages: list[int]
) -> None:
    log = Log(server.client(), new_ledger())
    for n, figure in enumerate(figures):
        append(log, figure)
        log.append([retract(f"r{of + 1}", f"c{n}-{of}") for of, at in withdrawn if at == n] or HISTORY[:1])
    project(log, *pages)
    every = list(log.read())
    for projection in ALL:
        generation = Store(log, projection).open_live()
        for position in range(len(every) + 1):
            snapshot = last_before(generation, position)
            assert snapshot == position - position % EVERY
        for snapshot in range(EVERY, len(every) + 1, EVERY):
            then, now = fold(projection, every[:snapshot]), fold(projection, every)
            held = at_snapshot(generation, snapshot)
            assert {name: held.get(name) for name in now} == {name: then.get(name) for name in now}
            assert digest(MemoryDocuments({name: held.get(name) for name in then})) == digest(then)


def test_an_event_that_is_parked_just_before_a_snapshot_is_read_is_told(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, *range(20, 30), 13, *range(30, 40))
    live = Store(log, Tally()).open_live()
    live.advance(5)

    def and_then(generation: Generation, position: int) -> int:
        drain(live)
        return last_before(generation, position)

    monkeypatch.setattr(past, "last_before", and_then)
    views = known_at(log, [Tally()], 15)
    assert (views["tally"].get("all"), views.left_out) == (14, frozenset({11}))


def test_a_projection_that_is_behind_is_folded_from_its_last_snapshot(log: Log) -> None:
    append(log, *range(20, 50))
    live = Store(log, Tally()).open_live()
    live.advance(5)
    live.advance(5)
    assert live.checkpoint().position == 7  # where a snapshot was due
    assert [last_before(live, position) for position in (0, 6, 7, 13, 14, 30)] == [0, 0, 7, 7, 0, 0]
    for position in (6, 7, 13, 14, 30):
        held = known_at(log, [Tally()], position)["tally"]
        assert held.get("all") == position


# What is gone, and what was changed


def lose_all(live: Generation) -> None:
    live.store.client.delete(live.past_key)


def lose_one(live: Generation) -> None:
    live.store.client.hdel(live.past_key, "@7\tall")


LOSSES: dict[str, Callable[[Generation], None]] = {
    "all": lose_all,
    "one document": lose_one,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_snapshots_can_be_deleted_at_any_time_and_a_replay_brings_them_back(log: Log, loss: str) -> None:
    append(log, *range(20, 30))
    live = Store(log, Tally()).open_live()
    drain(live)
    LOSSES[loss](live)
    append(log, *range(30, 40))
    drain(live)
    for position in range(21):
        assert known_at(log, [Tally()], position)["tally"].get("all") == (position or None)
    assert not live.keeps_past()
    assert log.client.exists(live.past_key) == 0
    rebuilt = rebuild(live.store)
    assert not rebuilt.differs
    adopt(live.store, rebuilt)
    assert last_before(live.store.open_live(), 20) == 14


def change_a_value(live: Generation) -> None:
    (stored,) = live.store.client.hmget(live.past_key, ["@7\tall"])
    live.store.client.hset(live.past_key, "@7\tall", as_bytes(stored)[:-1] + b"9")


def put_it_under_another_name(live: Generation) -> None:
    (stored,) = live.store.client.hmget(live.past_key, ["@14\tall"])
    live.store.client.hset(live.past_key, "@7\tall", stored)


def swap_one_for_a_stranger(live: Generation) -> None:
    live.store.client.hdel(live.past_key, "@7\tall")
    live.store.client.hset(live.past_key, "@7\tstranger", b"")


def list_another_snapshot(live: Generation) -> None:
    (stored,) = live.store.client.hmget(live.past_key, ["#1\tall"])
    live.store.client.hset(live.past_key, "#1\tall", as_bytes(stored).replace(b"7-14", b"7-8"))


def list_no_volume(live: Generation) -> None:
    (stored,) = live.store.client.hmget(live.past_key, ["=all"])
    live.store.client.hset(live.past_key, "=all", as_bytes(stored).replace(b" ", b""))


def list_garbage(live: Generation) -> None:
    live.store.client.hset(live.past_key, "=all", b"garbage")


CHANGES: dict[str, Callable[[Generation], None]] = {
    "a value": change_a_value,
    "which snapshots hold a value": list_another_snapshot,
    "which volumes there are": list_no_volume,
    "garbage for which volumes there are": list_garbage,
    "the value of another": put_it_under_another_name,
    "a stranger": swap_one_for_a_stranger,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_snapshot_is_never_read_and_a_replay_says_that_it_differs(log: Log, change: str) -> None:
    append(log, *range(20, 40))
    live = Store(log, Tally()).open_live()
    drain(live)
    assert at_snapshot(live, 7).get("all") == 7
    CHANGES[change](live)
    assert live.keeps_past()
    with pytest.raises(SnapshotLost):
        at_snapshot(live, 7).get("all")
    for position in range(21):
        with contextlib.suppress(SnapshotLost):
            assert known_at(log, [Tally()], position)["tally"].get("all") == (position or None)
    assert rebuild(live.store).differs


def test_snapshots_that_vanish_while_they_are_read_are_noticed(log: Log) -> None:
    append(log, *range(20, 40))
    live = Store(log, Tally()).open_live()
    drain(live)
    documents = at_snapshot(live, last_before(live, 10))
    live.store.client.delete(live.past_key)
    for name in ("all", "a document that there never was"):
        with pytest.raises(SnapshotLost):
            documents.get(name)


def test_documents_of_a_generation_that_has_begun_anew_are_not_taken_for_those_of_a_snapshot(
    log: Log,
) -> None:
    append(log, *range(20, 40))
    live = Store(log, Tally()).open_live()
    drain(live)
    documents = at_snapshot(live, 14)
    log.client.delete(live.state_key)
    Store(log, Tally()).open_live().advance(7)
    with pytest.raises(SnapshotLost):
        documents.get("all")


def test_a_document_that_does_not_say_which_snapshot_holds_it_is_not_read(log: Log) -> None:
    append(log, *range(20, 40))
    live = Store(log, Tally()).open_live()
    drain(live)
    log.client.hset(live.documents_key, "figure 20", b"[]")
    with pytest.raises(SnapshotLost):
        at_snapshot(live, 14).get("figure 20")


@pytest.mark.parametrize(
    ("name", "value"), some(product(QUESTIONS, [b'1 {"a":1}', b"1 [[1]]", b"1 7"]), every=4)
)
def test_given_documents_of_another_shape_when_they_are_asked_for_then_that_is_told_and_the_past_is_what_the_log_says(
    log: Log, name: str, value: bytes
) -> None:
    log.append(HISTORY)
    project(log, 500)
    for projection in ALL:
        generation = Store(log, projection).open_live()
        documents = log.client.hkeys(generation.documents_key)
        log.client.hset(generation.documents_key, mapping=dict.fromkeys(documents, value))
    with pytest.raises(Unreadable, match=rf"something else wrote it\. .*`approvals replay [a-z ]*{name}"):
        QUESTIONS[name](log)
    assert QUESTIONS[name](log, known_at=10)["answers"] == ask(list(log.read(limit=10)), name)
    assert differences.diff(log, name, since=10, upto=12)["to"] == 12


def test_given_corrections_of_entries_on_earlier_pages_of_lists_when_the_past_is_asked_for_then_each_costs_no_question_of_its_own(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "EVERY", 100)
    companies = [f"Company {n}" for n in range(10)]
    log.append([called(f"e{n}", granted(companies[n % 10], f"item {n}", "2024-01-31")) for n in range(300)])
    project(log, 500)
    sent = []
    for corrected in (1, 10):
        log.append([retract(f"e{n}", f"c{corrected}-{n}") for n in range(10 * corrected, 11 * corrected)])
        project(log, 500)
        with connect(url_of(log)) as new, counted_round_trips() as trips:
            queries.totals(Log(new, log.ledger), known_at=log.head())
        sent.append(len(trips))
        append(log, *[20] * (100 - corrected))  # up to the next snapshot
    assert sent[1] <= sent[0] + 1


def test_what_is_written_again_with_each_change_of_a_document_does_not_grow_with_the_log(log: Log) -> None:
    append(log, *[20] * 100)
    live = Store(log, Tally()).open_live()
    drain(live)
    noted: Any = log.client.hgetall(live.past_key)
    spans = [len(value.split()) for field, value in noted.items() if field.startswith(b"#")]
    assert len(spans) > 10
    assert max(spans) <= VOLUME


def test_a_question_that_meets_a_changed_snapshot_is_answered_from_the_log(log: Log) -> None:
    log.append(HISTORY[:20])
    project(log, 500)
    for projection in ALL:
        live = Store(log, projection).open_live()
        for field in log.client.hkeys(live.past_key):
            if as_bytes(field).startswith(b"@"):
                log.client.hset(live.past_key, field, b"0123456789abcdef[]")
    for name, question in QUESTIONS.items():
        assert question(log, known_at=10)["answers"] == ask(list(log.read(limit=10)), name)


def test_a_generation_that_is_removed_takes_its_snapshots_along(log: Log) -> None:
    append(log, *range(20, 40))
    store = Store(log, Tally())
    first = store.open_live()
    drain(first)
    for _ in range(2):
        adopt(store, rebuild(store))
    assert log.client.exists(first.past_key) == 0
    assert store.open_live().digests() == store.generation(store.previous()).digests()


@only_long
def test_snapshots_are_equal_for_equal_logs_whatever_the_pages(log: Log) -> None:
    log.append(HISTORY)
    for projection in PROJECTIONS.values():
        store = Store(log, projection)
        digests = set[Digests]()
        for limit in (1, 3, 500):
            generation = store.open_new()
            drain(generation, limit)
            digests.add(generation.digests())
        assert len(digests) == 1


def test_what_was_written_once_is_stored_once(log: Log) -> None:
    append(log, *range(20, 40))
    live = Store(log, Tally()).open_live()
    drain(live)
    kept = {field for field in log.client.hkeys(live.past_key) if as_bytes(field).startswith(b"@")}
    assert kept == {b"@7\tall", b"@14\tall"}


def test_a_replay_says_that_it_differs_where_a_document_was_said_to_be_of_another_snapshot(log: Log) -> None:
    append(log, *range(20, 40))
    live = Store(log, Tally()).open_live()
    drain(live)
    (stored,) = log.client.hmget(live.documents_key, ["figure 20"])
    assert stored == b"7 1"
    log.client.hset(live.documents_key, "figure 20", b"14 1")
    rebuilt = rebuild(live.store)
    assert rebuilt.differs
    assert rebuilt.live_digest == rebuilt.digest


def test_what_is_made_again_after_it_was_removed_is_there_when_it_was(log: Log) -> None:
    append(log, 40, *range(20, 30))  # a snapshot at 7
    log.append([retract("r1", "c1")])  # figure 40 is gone at 14
    append(log, *range(50, 60), 40)  # and there again at 28
    live = Store(log, Tally()).open_live()
    drain(live, 1)
    append(log, *range(60, 70))
    drain(live, 1)
    held = {at: at_snapshot(live, at).get("figure 40") for at in (7, 14, 21, 28)}
    assert held == {7: 1, 14: None, 21: None, 28: 1}


# What was parked


def test_what_workers_parked_is_left_out_of_every_answer_and_each_says_so(log: Log) -> None:
    log.append(HISTORY[:10])
    append_newer(log, id="n1", figure=42)
    append_raw(log, b"no event", id="n2")
    log.append(HISTORY[10:20])
    project(log, 500)
    counted = [event for event in log.read() if event.position not in (11, 12)]
    for name, question in QUESTIONS.items():
        # A newer total concerns whatever is made of totals, and bytes that are no event concern all.
        left_out = [12] if name == "shares" else [11, 12]
        for asked in ({}, {"known_at": 22}, {"known_at": 15}, {"known_at": "2999", "known_as": "published"}):
            answer = question(log, **asked)
            assert answer["parked"] == left_out, (name, asked)
        assert question(log, known_at=22)["answers"] == question(log)["answers"]
        kept = [event for event in counted if event.position <= 15]
        assert question(log, known_at=15)["answers"] == ask(kept, name)
        assert "parked" not in question(log, known_at=10)
