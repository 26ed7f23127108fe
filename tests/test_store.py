"""Folding into the store: each event counts once, whoever else writes, whatever fails, and only on the log that was read."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from events import (
    DecodedEvent,
    Log,
    LogDamaged,
    LogForked,
    OutcomeUnknown,
    RecordedEvent,
    StorageUnavailable,
    Unreadable,
    canonical,
    connect,
    decode,
    keys,
)
from projections import PROJECTIONS, Documents, Fenced, Generation, Store, digest, fold, queries
from projections import stored as stored_documents
from projections.checkpoint import Checkpoint
from projections.replay import adopt, rebuild
from projections.together import read_at, read_together

from .conftest import new_ledger
from .given import (
    HISTORY,
    Once,
    Tally,
    append,
    append_newer,
    append_raw,
    called,
    documents,
    drain,
    event_at,
    folded,
    granted,
    retract,
    stored,
)
from .proxy import Proxy
from .servers import Server, execute
from .strategies import report


class Careless(Generation):
    """Commits whoever was there since: a worker without compare-and-set."""

    def commit_call(self, checkpoint: Any, parked: dict[int, str]) -> list[Any]:
        self.reached = self.checkpoint()
        return super().commit_call(checkpoint, parked)


# Folding


def test_a_page_is_folded_and_committed_with_its_checkpoint(every_server: Server) -> None:
    log = Log(every_server.client(), new_ledger())
    append(log, 40, 40, 41, 42, 42, 42, 42)
    live = Store(log, Tally()).open_live()
    assert live.checkpoint() == Checkpoint()

    assert live.advance(limit=3) == 3
    assert live.checkpoint() == Checkpoint.at(event_at(log, 3))
    assert documents(live) == {"all": 3, "figure 40": 2, "figure 41": 1}
    assert live.digest() == folded(log, Tally(), 3)

    assert [live.advance(limit=3) for _ in range(3)] == [3, 1, 0]
    assert live.checkpoint() == Checkpoint.at(event_at(log, 7))
    assert live.digest() == folded(log, Tally())


@pytest.mark.parametrize("name", PROJECTIONS)
def test_at_every_checkpoint_the_stored_documents_are_those_of_a_plain_fold(log: Log, name: str) -> None:
    log.append(HISTORY)
    log.append([retract("S01-2023-05-30-CN", "x1"), retract("P01-2023-08-31-batch-1", "x2")])
    live = Store(log, PROJECTIONS[name]).open_live()
    limits = [1, 2, 3, 5, 8, 13, 21, 34, 1, 2, 3, 5, 8]
    for limit in limits:
        taken = live.advance(limit)
        assert live.digest() == folded(log, PROJECTIONS[name], live.checkpoint().position)
    assert taken == log.head() - sum(limits[:-1]) > 0


def test_a_handle_that_forgets_what_it_has_cached_counts_the_same(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_documents, "CACHED", 2)
    append(log, *range(20, 40), *range(20, 40))
    live = Store(log, Tally()).open_live()
    drain(live, limit=7)
    assert live.digest() == folded(log, Tally())


def test_nothing_is_folded_beyond_the_position_that_is_asked_for(log: Log) -> None:
    append(log, *range(20, 30))
    live = Store(log, Tally()).open_live()
    assert [live.advance(upto=4), live.advance(upto=4), live.advance(upto=2)] == [4, 0, 0]
    assert live.checkpoint().position == 4


def test_the_checkpoint_never_passes_the_head(log: Log) -> None:
    live = Store(log, Tally()).open_live()
    assert live.advance() == live.checkpoint().position == log.head() == 0
    append(log, 40, 41)
    assert live.advance(limit=1_000, upto=1_000) == 2
    assert live.checkpoint().position == log.head() == 2


def test_a_document_that_a_fold_removes_is_gone(log: Log) -> None:
    append(log, 40)
    live = Store(log, Tally()).open_live()
    live.advance()
    log.append([retract("r1", "x1")])
    live.advance()
    # What is left is that the correction is in force.
    assert [name.partition("\t")[0] for name in documents(live)] == ["correction"]
    assert live.digest() == folded(log, Tally())


def test_a_commit_is_bounded_by_the_documents_that_it_writes_and_not_by_events_alone(log: Log) -> None:
    """A thousand companies in each of many announcements would make one call of over a million arguments."""

    class Wide(Tally):
        def evolve(self, documents: Documents, event: DecodedEvent, stands: bool) -> None:
            assert stands
            for number in range(4_000):
                documents.put(f"{event.position} {number}", 1)

    append(log, *range(20, 32))
    live = Store(log, Wide()).open_live()
    assert 1 <= live.advance() < 12
    drain(live)
    assert live.digest() == folded(log, Wide())


def test_a_checkpoint_that_was_lost_is_made_again_with_its_documents(log: Log) -> None:
    """Who deletes the state of a generation makes it start again; what it held is not counted a second time."""
    append(log, 40, 41, 42)
    live = Store(log, Tally()).open_live()
    live.advance()
    log.client.hset(live.documents_key, "of another time", b"1000 1")
    log.client.delete(live.state_key)
    assert live.digest() == folded(log, Tally(), 0)
    drain(Store(log, Tally()).open_live())
    assert live.digest() == folded(log, Tally())


@pytest.mark.parametrize("lost", ["one", "all", "one too many"])
def test_documents_that_are_not_all_there_are_noticed_before_anything_is_added_to_them(
    log: Log, lost: str
) -> None:
    append(log, 40, 41)
    live = Store(log, Tally()).open_live()
    drain(live)
    if lost == "one":
        log.client.hdel(live.documents_key, "figure 40")
    elif lost == "all":
        log.client.delete(live.documents_key)
    else:
        log.client.hset(live.documents_key, "figure 1", b"1000 1")
    left = live.digest()
    append(log, 42)
    for writer in (live, Store(log, Tally()).open_live()):  # with the documents in its cache, and without
        with pytest.raises(
            Unreadable, match=r"was left with 3 documents and has [024] now.*approvals replay"
        ):
            writer.advance()
    assert live.digest() == left
    adopt(live.store, rebuild(live.store))
    assert Store(log, Tally()).open_live().digest() == folded(log, Tally())


@pytest.mark.parametrize("field", ["position", "version", "documents"])
@pytest.mark.parametrize("value", [b"", b"12e4", b"\xff"])
def test_a_state_that_something_else_wrote_is_named_as_such(log: Log, field: str, value: bytes) -> None:
    append(log, 40)
    live = Store(log, Tally()).open_live()
    drain(live)
    log.client.hset(live.state_key, field, value)
    with pytest.raises(Unreadable, match=r"something else wrote to it\. Run `approvals replay tally`"):
        live.checkpoint()


@pytest.mark.parametrize("name", ["all", "figure 40"])
@pytest.mark.parametrize("value", [b"garbage", b"1000 {", b"1000 \xff"])
def test_given_a_document_that_something_else_wrote_when_it_is_read_then_no_event_is_parked_and_a_replay_makes_it_anew(
    log: Log, name: str, value: bytes
) -> None:
    append(log, 40)
    drain(live := Store(log, Tally()).open_live())
    log.client.hset(live.documents_key, name, value)
    append(log, 40)
    said = pytest.raises(Unreadable, match=r"something else wrote it\. .*`approvals replay`")
    with said:
        Store(log, Tally()).open_live().advance()
    assert (live.checkpoint().position, live.parked()) == (1, {})
    for at_least in (0, 2):
        with said:
            read_together(log, [Tally()], lambda views: views["tally"].get(name), at_least=at_least)
    rebuilt = rebuild(live.store)
    assert rebuilt.differs
    adopt(live.store, rebuilt)
    assert Store(log, Tally()).open_live().digest() == folded(log, Tally())


def test_given_a_parked_event_that_something_else_noted_when_it_is_read_then_that_is_said(log: Log) -> None:
    append(log, 40)
    drain(live := Store(log, Tally()).open_live())
    log.client.hset(live.parked_key, "seventh", "by hand")
    read: list[Callable[[], object]] = [
        live.parked,
        lambda: read_together(log, [Tally()], lambda views: views.position),
        lambda: read_at(log, [Tally()], 1, lambda views: views.position),
    ]
    for each in read:
        with pytest.raises(
            Unreadable, match=r"b'seventh': something else wrote to it\. .*`approvals replay`"
        ):
            each()
    adopt(live.store, rebuild(live.store))
    assert Store(log, Tally()).open_live().parked() == {}


@pytest.mark.parametrize("right", ["hset", "hdel", "unlink"])
@pytest.mark.parametrize("committed", [0, 1])
def test_a_user_who_may_not_make_every_write_of_a_commit_makes_none(
    start_server: Callable[..., Server], right: str, committed: int
) -> None:
    server = start_server()
    log = Log(server.client(), "ledger")
    append(log, 40)
    store = Store(log, Tally())
    if committed:
        drain(store.open_live())
    else:
        store.open_live()
    append(log, 41)
    before = store.open_live().digest(), store.open_live().checkpoint()
    execute(server.client(), "ACL", "SETUSER", "clerk", "on", ">secret", "~*", "+@all", f"-{right}")
    clerk = Store(Log(server.client(user="clerk", password="secret"), "ledger"), Tally())
    with pytest.raises(StorageUnavailable, match=f"refuses: this user may not run {right.upper()}"):
        clerk.generation(1).advance()
    assert (store.open_live().digest(), store.open_live().checkpoint()) == before


def test_a_key_of_another_type_stops_a_commit_before_its_first_write(log: Log) -> None:
    append(log, 40)
    live = Store(log, Tally()).open_live()
    drain(live)
    before = live.digest()
    append(log, 13)  # which is parked
    log.client.set(live.parked_key, "something else's")
    with pytest.raises(LogDamaged, match="has the wrong type"):
        live.advance()
    assert live.digest() == before


# The first generation, and new ones


def test_the_first_generation_is_made_once_however_many_open_it(log: Log) -> None:
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda _: Store(log, Tally()).open_live().number, range(32)))
    assert set(opened) == {1}


@pytest.mark.parametrize("lost", [0, 1])
def test_a_new_generation_is_never_the_live_one_though_the_making_of_the_first_broke_off(
    server: Server, lost: int
) -> None:
    """Whoever opens the first generation may die between any two commands."""
    with Proxy(server) as proxy, connect(proxy.url) as client:
        store = Store(Log(client, new_ledger()), Tally())
        proxy.lose_replies_to(b"HSETNX", lost)
        if lost:
            with pytest.raises(OutcomeUnknown):
                store.open_live()
        live = store.open_live()
        assert (live.number, store.open_new().number) == (1, 2)
        assert proxy.lost == lost


def test_a_new_generation_starts_from_nothing_though_keys_of_its_number_are_there(log: Log) -> None:
    """Somebody deleted the hash that says which numbers were used."""
    append(log, 40, 41, 42)
    store = Store(log, Tally())
    drain(store.open_new())
    log.client.delete(store.pointer)
    new = store.open_new()
    assert new.checkpoint().position == 0
    drain(new, limit=2)
    assert new.digest() == folded(log, Tally())


# Two writers


def test_of_two_writers_the_late_one_is_fenced_and_nothing_is_counted_twice(every_server: Server) -> None:
    log = Log(every_server.client(), new_ledger())
    append(log, 40, 41, 42)
    other = Store(log, Tally()).open_live()
    other.advance(limit=1)
    late = Store(log, Tally(before_reading=lambda _: other.advance())).open_live()
    with pytest.raises(Fenced):
        late.advance()
    assert documents(late)["all"] == 3
    assert late.advance() == 0


def test_control_a_writer_without_compare_and_set_counts_twice(log: Log) -> None:
    append(log, 40, 41, 42)
    other = Store(log, Tally()).open_live()
    other.advance(limit=1)
    store = Store(log, Tally(before_reading=lambda _: other.advance()))
    Careless(store, store.open_live().number).advance()
    assert documents(other)["all"] == 5


def test_a_writer_that_wakes_up_late_is_fenced_and_then_goes_on(log: Log) -> None:
    append(log, *range(20, 30))
    asleep, other = Store(log, Tally()).open_live(), Store(log, Tally()).open_live()
    asleep.advance(limit=3)
    drain(other, limit=2)
    with pytest.raises(Fenced):
        asleep.advance()
    assert other.digest() == folded(log, Tally())
    append(log, 40, 41)
    assert asleep.advance() == 2
    assert other.digest() == folded(log, Tally())


def test_a_writer_that_is_paused_in_the_middle_of_a_page_is_fenced_when_it_wakes_up(log: Log) -> None:
    append(log, *range(20, 30))
    paused, awake = threading.Event(), threading.Event()

    def pause(event: DecodedEvent) -> None:
        if event.position == 5:
            paused.set()
            assert awake.wait(60)

    sleeper = Store(log, Tally(before_counting=pause)).open_live()
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(sleeper.advance)
        assert paused.wait(60)
        other = Store(log, Tally()).open_live()
        drain(other, limit=4)
        awake.set()
        with pytest.raises(Fenced):
            late.result()
    assert other.digest() == folded(log, Tally())


def test_a_writer_whose_commit_was_answered_late_does_not_build_on_what_it_remembers(server: Server) -> None:
    log = Log(server.client(), new_ledger())
    append(log, *range(20, 26))
    other = Store(log, Tally()).open_live()
    with Proxy(server) as proxy, connect(proxy.url, timeout=60) as client, ThreadPoolExecutor(1) as threads:
        late = Store(Log(client, log.ledger), Tally()).open_live()
        late.advance(limit=1)
        proxy.stall_replies_to(b"EVALSHA", 1)
        commit = threads.submit(late.advance, 1)
        while other.checkpoint().position < 2:
            assert not commit.done()
        other.advance(limit=3)
        proxy.released.set()
        assert commit.result() == 1
        with pytest.raises(Fenced):
            late.advance()
        drain(late)
    assert other.digest() == folded(log, Tally())


def test_many_writers_at_once_count_every_event_once(every_server: Server) -> None:
    log = Log(every_server.client(), new_ledger())
    append(log, *range(20, 120))

    def work(limit: int) -> None:
        generation = Store(log, Tally()).open_live()
        while True:
            try:
                if not generation.advance(limit):
                    return
            except Fenced:
                continue

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, [1, 2, 3, 5]))
    assert Store(log, Tally()).open_live().digest() == folded(log, Tally())


def test_who_reads_half_of_what_another_writer_committed_is_fenced_and_parks_nothing(log: Log) -> None:
    """What it folds then makes no sense, and may fail at any event: that is no event's fault."""
    append(log, 40, 41, 42, 43)
    other = Store(log, Once()).open_live()
    other.advance(limit=1)
    late = Store(
        log, Once(before_counting=lambda event: other.advance() if event.position == 3 else None)
    ).open_live()
    with pytest.raises(Fenced):
        late.advance()
    assert other.parked() == {}
    assert other.digest() == folded(log, Once())


@pytest.mark.parametrize("started", [0, 2])
def test_a_writer_that_still_holds_a_dropped_generation_does_not_bring_it_back(
    log: Log, started: int
) -> None:
    append(log, *range(20, 30))
    store = Store(log, Tally())
    store.open_live().advance()
    number = store.open_new().number

    def drop(event: DecodedEvent) -> None:
        if event.position > started:
            store.drop(number)

    slow = Store(log, Tally(before_counting=drop)).generation(number)
    if started:
        slow.advance(limit=started)
    with pytest.raises(Fenced):
        slow.advance()
    assert slow.advance() == 0
    assert not [key for key in stored(log) if f":tally:{number}:" in key]


# Replies that are lost, and storage that is not there


def test_a_commit_whose_reply_is_lost_is_not_applied_twice(server: Server) -> None:
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        append(log, *range(20, 30))
        live = Store(log, Tally()).open_live()
        live.advance(limit=2)
        proxy.lose_replies_to(b"EVALSHA", 1)
        with pytest.raises(OutcomeUnknown):
            live.advance(limit=3)
        assert proxy.lost == 1
        assert live.checkpoint().position == 5
        drain(live, limit=3)
        assert live.digest() == folded(log, Tally())


@pytest.mark.parametrize(
    "request_",
    [b"HGETALL", b"XRANGE", b"HMGET", b"}:ids\r\n", b"EVALSHA"],
    ids=["checkpoint", "page", "documents", "target", "commit"],
)
def test_storage_that_fails_parks_nothing_and_the_next_call_goes_on(server: Server, request_: bytes) -> None:
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        append(log, 40, 41, 42)
        log.append([retract("r2", "x1"), report("r5", 43)])
        Store(log, Tally()).open_live().advance(limit=1)
        live = Store(log, Tally()).open_live()
        proxy.lose_requests_with(request_, 1)
        with pytest.raises(StorageUnavailable):
            live.advance()
        assert live.checkpoint().position == 1
        drain(live)
        assert live.parked() == {}
        assert live.digest() == folded(log, Tally())


def test_a_server_that_is_killed_in_the_middle_of_a_page_parks_nothing(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    log = Log(server.client(), "ledger")
    append(log, 40, 41, 42)

    def kill_at_the_second(event: DecodedEvent) -> None:
        if event.position == 2:
            server.kill()

    live = Store(log, Tally(before_counting=kill_at_the_second)).open_live()
    with pytest.raises(StorageUnavailable):
        live.advance()
    server.start()
    live = Store(log, Tally()).open_live()
    assert live.digest() == folded(log, Tally(), 0)
    drain(live)
    assert live.digest() == folded(log, Tally())
    assert live.parked() == {}


def test_a_server_that_is_full_takes_no_commit_and_goes_on_when_it_has_room(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    log = Log(server.client(), "ledger")
    append(log, 40, 41, 42)
    live = Store(log, Tally()).open_live()
    live.advance(limit=1)
    before = stored(log)
    server.client().config_set("maxmemory", 1)
    with pytest.raises(StorageUnavailable, match="Raise maxmemory"):
        live.advance()
    assert stored(log) == before
    server.client().config_set("maxmemory", 0)
    drain(live)
    assert live.digest() == folded(log, Tally())
    assert live.parked() == {}


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ResponseError as error:
        return not str(error).startswith("BUSY")


def test_a_server_that_is_busy_with_a_script_refuses_and_nothing_hangs(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(busy_reply_threshold="10")
    log = Log(server.client(), "ledger")
    append(log, 40, 41, 42)
    live = Store(log, Tally()).open_live()
    live.advance(limit=1)
    with ThreadPoolExecutor(1) as threads:
        endless = threads.submit(server.client(timeout=60).eval, "while true do end", 0)
        patient = server.client(timeout=60)
        try:
            while answers(patient):
                pass
            with pytest.raises(StorageUnavailable, match="Retry later"):
                live.advance()
        finally:
            patient.script_kill()
        with pytest.raises(redis.ResponseError):
            endless.result()
    drain(live)
    assert live.digest() == folded(log, Tally())
    assert live.parked() == {}


def test_a_key_that_something_else_wrote_parks_nothing(log: Log) -> None:
    append(log, 40)
    log.append([retract("r1", "x1")])
    ids = log.client.hgetall(keys.ids(log.ledger))
    log.client.set(keys.ids(log.ledger), "not a hash")
    live = Store(log, Tally()).open_live()
    with pytest.raises(LogDamaged):
        live.advance()
    assert (live.checkpoint().position, live.parked()) == (0, {})
    log.client.delete(keys.ids(log.ledger))
    log.client.hset(keys.ids(log.ledger), mapping=dict(ids.items()))
    drain(live)
    assert live.digest() == folded(log, Tally())


def test_an_index_that_names_another_event_takes_nothing_back(log: Log) -> None:
    """It was seen to take back the other event, without a word, in every replay too."""
    append(log, 40, 41)
    first, second = (decode(event) for event in log.read())
    log.append([retract(first.id, "taken back", first.source)])
    log.client.hset(
        keys.ids(log.ledger),
        mapping={keys.identity(first.source, first.id): second.position},
    )
    live = Store(log, Tally()).open_live()
    with pytest.raises(LogDamaged, match=rf"position {second.position} .* '{first.id}'.* Restore a backup"):
        live.advance()
    assert (live.checkpoint().position, live.parked()) == (0, {})
    with pytest.raises(LogDamaged):
        queries.totals(log, at_least=3)


# Events that cannot be applied


@pytest.mark.parametrize(
    "figures",
    [[13], [13, 40, 41], [40, 13, 41], [40, 41, 13], [13, 13, 40, 13, 13, 41, 13]],
    ids=lambda figures: "-".join(map(str, figures)),
)
def test_an_event_that_cannot_be_applied_is_parked_and_leaves_no_trace(log: Log, figures: list[int]) -> None:
    append(log, *figures)
    live = Store(log, Tally()).open_live()
    drain(live)
    assert live.parked() == {
        position: "ValueError: thirteen is not counted here"
        for position, figure in enumerate(figures, start=1)
        if figure == 13
    }
    rest = [recorded for recorded, figure in zip(log.read(), figures, strict=True) if figure != 13]
    assert live.digest() == (len(figures), digest(fold(Tally(), rest)))
    assert live.checkpoint() == Checkpoint.at(event_at(log, len(figures)))


def test_control_of_a_parked_event_there_would_be_a_trace(log: Log) -> None:
    class Forgetful(Generation):
        """Keeps what the failed event has changed."""

        def fold(self, entries: Any, lookup: Any, seconds: float = 1.0) -> tuple[int, Exception | None]:
            super().fold(entries, lookup, seconds)
            return len(entries), None

    append(log, 40, 13)
    store = Store(log, Tally())
    careless = Forgetful(store, store.open_live().number)
    careless.advance()
    assert documents(careless)["all"] == 2


@pytest.mark.parametrize("name", ["tally", *PROJECTIONS])
def test_an_unknown_version_of_a_known_type_is_parked_and_the_rest_goes_on(log: Log, name: str) -> None:
    projection = {"tally": Tally(), **PROJECTIONS}[name]
    append(log, 40)
    newer = append_newer(log, id="n1", figure=42)
    schema = "urn:approval-ledger:total.reported.v1:99"
    payload = canonical(
        {"id": "n2", "source": "urn:desk", "type": "total.reported.v1", "dataschema": schema, "data": {}}
    )
    revised = append_raw(log, payload, id="n2")
    append(log, 41)
    live = Store(log, projection).open_live()
    drain(live)
    parked = live.parked()
    if name in ("tally", "totals", "sources"):
        assert list(parked) == [newer, revised] == [2, 3]
        assert "total.reported.v9" in parked[newer]
        assert parked[revised].endswith("newer than this software knows (1)")
    else:  # it takes no totals, of whatever version
        assert parked == {}
    assert live.digest() == (4, digest(fold(projection, [event_at(log, 1), event_at(log, 4)])))


@pytest.mark.parametrize("name", PROJECTIONS)
def test_an_unknown_version_of_a_correction_is_parked_by_every_projection(log: Log, name: str) -> None:
    append(log, 40)
    append_newer(log, id="n1", type="event.retracted.v9", target={"source": "urn:desk", "id": "e1"})
    live = Store(log, PROJECTIONS[name]).open_live()
    drain(live)
    assert list(live.parked()) == [2]


def test_a_parked_event_that_is_retracted_is_not_taken_out_of_what_it_was_never_in(log: Log) -> None:
    append(log, 40)
    append_newer(log, id="n1", figure=42)
    log.append([retract("n1", "x1")])
    live = Store(log, PROJECTIONS["totals"]).open_live()
    drain(live)
    assert list(live.parked()) == [2]
    assert queries.totals(log)["answers"][0]["total"] == {"low": 41, "high": None}


class Earlier(Generation):
    """That of software before this one, which does not know what position 2 holds."""

    def fold(self, entries: Any, lookup: Any, seconds: float = 1.0) -> tuple[int, Exception | None]:
        for index, entry in enumerate(entries):
            if entry.recorded.position == 2:
                taken, error = super().fold(entries[:index], lookup, seconds) if index else (0, None)
                return taken, error or ValueError("of a newer software")
        return super().fold(entries, lookup, seconds)


@pytest.mark.parametrize("corrections", [1, 2, 3])
@pytest.mark.parametrize("name", PROJECTIONS)
def test_given_an_event_that_an_earlier_software_parked_when_it_is_corrected_then_what_it_was_never_in_stays_as_it_is(
    log: Log, name: str, corrections: int
) -> None:
    log.append(
        [
            called("g1", granted("Acme", "Chat", "2024-01-05")),
            called("g2", granted("Acme", "Draw", "2024-01-05")),
        ]
    )
    store = Store(log, PROJECTIONS[name])
    drain(Earlier(store, store.open_live().number))
    before = documents(live := store.open_live())
    assert list(live.parked()) == [2]
    log.append([retract("g2" if n == 1 else f"c{n - 1}", f"c{n}") for n in range(1, corrections + 1)])
    drain(live)
    assert list(live.parked()) == [2]
    kept = documents(live)
    assert {key: kept[key] for key in before.keys() - {"claims"}} == {
        key: before[key] for key in before.keys() - {"claims"}
    }


def test_given_a_state_that_was_lost_when_what_had_been_parked_is_counted_and_corrected_then_it_counts_no_longer(
    log: Log,
) -> None:
    log.append([called(f"g{n}", granted("Acme", f"Item {n}", "2024-01-05")) for n in (1, 2)])
    live = Store(log, PROJECTIONS["totals"]).open_live()
    drain(Earlier(live.store, live.number))
    log.client.delete(live.state_key)
    log.append([retract("g2", "c1")])
    drain(live)
    assert live.parked() == {}
    assert live.digest() == folded(log, PROJECTIONS["totals"])


def test_given_an_event_that_an_earlier_software_parked_when_it_is_retracted_then_the_total_of_the_others_is_as_before(
    log: Log,
) -> None:
    log.append(
        [
            called("g1", granted("Acme", "Chat", "2024-01-05")),
            called("g2", granted("Acme", "Draw", "2024-01-05")),
        ]
    )
    store = Store(log, PROJECTIONS["totals"])
    drain(Earlier(store, store.open_live().number))
    log.append([retract("g2", "c1")])
    for answer in (
        queries.totals(log, known_at=3),
        queries.totals(log, at_least=3),
        queries.totals(log, known_at=3),
    ):
        assert answer["answers"][0]["total"] == {"low": 1, "high": None}
        assert answer["parked"] == [2]


@pytest.mark.parametrize("name", ["tally", *PROJECTIONS])
def test_given_a_correction_of_what_is_parked_when_it_is_taken_back_then_no_other_event_is_parked(
    log: Log, name: str
) -> None:
    projection = {"tally": Tally(), **PROJECTIONS}[name]
    append(log, 40, 13)
    append_newer(log, id="n1", figure=42)
    log.append([retract("r2", "x1"), retract("x1", "x2"), retract("x2", "x3")])
    log.append([retract("n1", "y1"), retract("y1", "y2"), retract("y2", "y3"), retract("y3", "y4")])
    live = Store(log, projection).open_live()
    drain(live)
    assert list(live.parked()) == {"tally": [2, 3], "totals": [3], "sources": [3]}.get(name, [])
    if name == "tally":
        assert (documents(live)["all"], documents(live)["figure 40"]) == (1, 1)


@pytest.mark.parametrize(
    "payload", [b"", b"not JSON", b"[]", b"null", b'{"type":7}', b"\xff\xfe", b"[" * 9_000]
)
def test_bytes_that_are_no_event_are_parked_and_the_rest_goes_on(log: Log, payload: bytes) -> None:
    append(log, 40)
    append_raw(log, payload, id="n1")
    append(log, 41)
    live = Store(log, Tally()).open_live()
    drain(live)
    assert list(live.parked()) == [2]
    assert documents(live)["all"] == 2


@pytest.mark.parametrize(("source", "id"), [(7, "n3"), ("urn:desk", None), ("urn:desk", ["n3"])])
def test_given_a_correction_that_waits_when_an_entry_without_an_identity_comes_then_it_is_parked_and_the_rest_goes_on(
    log: Log, source: object, id: object
) -> None:
    append(log, 40)
    log.append([retract("later", "x1")])
    live = Store(log, Tally()).open_live()
    drain(live)
    append_raw(log, canonical({"type": "model.retired.v1", "source": source, "id": id}), id="raw")
    append(log, 41)
    drain(live)
    assert list(live.parked()) == [3]
    assert documents(live)["all"] == 2


def test_a_type_that_nobody_knows_is_ignored(log: Log) -> None:
    append(log, 40)
    append_newer(log, id="n1", type="weather.observed.v1", sky="blue")
    append(log, 41)
    live = Store(log, Tally()).open_live()
    drain(live)
    assert live.parked() == {}
    assert live.digest() == (3, digest(fold(Tally(), [event_at(log, 1), event_at(log, 3)])))


def test_what_was_retracted_before_it_came_counts_for_nothing_so_that_nobody_need_understand_it(
    log: Log,
) -> None:
    """A worker that is quick and one that is late must find the same: each reads no further than where it is."""
    log.append([retract("n2", "x1")])
    quick = Store(log, Tally()).open_live()
    quick.advance()
    append_newer(log, id="n2", figure=42)
    quick.advance()
    late = Store(log, Tally()).open_new()
    drain(late)
    assert quick.parked() == late.parked() == {}
    assert quick.digest() == late.digest()
    log.append([retract("x1", "x2")])  # now it counts
    for generation in (quick, late):
        drain(generation)
        assert list(generation.parked()) == [3]


def test_a_hint_that_fails_parks_the_event_that_it_was_for_at_most(log: Log) -> None:
    def fail(event: DecodedEvent) -> None:
        if event.position == 2:
            raise KeyError("a hint")

    append(log, 40, 13, 41)
    live = Store(log, Tally(before_reading=fail)).open_live()
    drain(live)
    assert list(live.parked()) == [2]
    assert live.digest() == (3, digest(fold(Tally(), [event_at(log, 1), event_at(log, 3)])))


def test_what_interrupts_a_fold_is_no_fault_of_the_event(log: Log) -> None:
    """A job's time-out is raised wherever its worker is: in the middle of an event, as likely as not."""
    append(log, 40, 41, 42)
    times = iter([TimeoutError("the job took too long")])

    def interrupt(event: DecodedEvent) -> None:
        if event.position == 2:
            for error in times:
                raise error

    live = Store(log, Tally(before_counting=interrupt)).open_live()
    with pytest.raises(TimeoutError):
        live.advance()
    assert (live.checkpoint().position, live.parked()) == (0, {})
    drain(live)
    assert live.digest() == folded(log, Tally())


def test_a_machine_without_memory_parks_nothing(log: Log) -> None:
    def exhausted(_: DecodedEvent) -> None:
        raise MemoryError

    append(log, 40)
    live = Store(log, Tally(before_counting=exhausted)).open_live()
    with pytest.raises(MemoryError):
        live.advance()
    assert (live.checkpoint().position, live.parked()) == (0, {})


def test_an_event_is_parked_whatever_the_reason_has_in_it(log: Log) -> None:
    def fail(event: DecodedEvent) -> None:
        if event.position == 1:
            raise ValueError("half a pair: \ud800, and much more: " + 100_000 * "?")

    append(log, 40, 41)
    live = Store(log, Tally(before_counting=fail)).open_live()
    drain(live)
    assert live.parked()[1].startswith("ValueError: half a pair: \\ud800")
    assert len(live.parked()[1]) < 1_000
    assert documents(live)["all"] == 1


# Another log than the one that was read


@pytest.mark.parametrize("other", [(7, 1_000, b"{}"), (8, 1_001, b"{}"), (8, 1_000, b"{} ")])
def test_a_checkpoint_tells_entries_apart_by_position_time_and_bytes(other: tuple[int, int, bytes]) -> None:
    assert Checkpoint.at(RecordedEvent(*other)).entry != Checkpoint.at(RecordedEvent(8, 1_000, b"{}")).entry


def test_a_server_that_was_emptied_and_filled_with_other_events_is_noticed(
    start_server: Callable[..., Server],
) -> None:
    log = Log(start_server().client(), "ledger")
    append(log, 40, 41, 42)
    worker = Store(log, Tally()).open_live()
    worker.advance()
    log.client.flushall()
    with pytest.raises(LogForked, match="the log ends before it"):
        worker.advance()
    append(log, 50, 51, 52, 53)
    before = stored(log)
    with pytest.raises(LogForked, match="another event is there now"):
        worker.advance()
    assert stored(log) == before


def test_given_a_writer_that_is_paused_when_another_is_at_its_position_in_another_log_then_it_is_fenced_when_it_wakes_up(
    start_server: Callable[..., Server],
) -> None:
    log = Log(start_server().client(), "ledger")
    append(log, 40, 41)
    Store(log, Tally()).open_live().advance()
    append(log, 42)

    def meanwhile(_: DecodedEvent) -> None:
        log.client.flushall()
        append(log, 50, 51)
        Store(log, Tally()).open_live().advance()

    with pytest.raises(Fenced):
        Store(log, Tally(before_counting=meanwhile)).open_live().advance()
    assert Store(log, Tally()).open_live().verified_checkpoint() == Checkpoint.at(event_at(log, 2))
    assert Store(log, Tally()).open_live().digest() == folded(log, Tally())


def test_given_a_log_that_loses_its_end_while_a_page_is_folded_then_nothing_of_that_is_written_and_it_goes_on(
    log: Log,
) -> None:
    """As after the failover to a replica that was behind."""
    append(log, 40, 41, 42)
    Store(log, Tally()).open_live().advance()
    replica = {name: log.client.dump(name) for name in (keys.log(log.ledger), keys.ids(log.ledger))}
    append(log, 43, 44)

    def fail_over(_: DecodedEvent) -> None:
        for name, value in replica.items():
            log.client.restore(name, 0, cast(Any, value), replace=True)

    with pytest.raises(Fenced):
        Store(log, Tally(before_counting=fail_over)).open_live().advance()
    append(log, 50, 51)
    live = Store(log, Tally()).open_live()
    assert live.advance() == 2
    assert live.digest() == folded(log, Tally())


def test_a_log_that_was_deleted_or_written_anew_under_the_checkpoint_is_noticed_and_nothing_changes(
    log: Log,
) -> None:
    append(log, 40, 41, 42)
    live = Store(log, Tally()).open_live()
    live.advance()
    was = live.checkpoint(), documents(live)

    log.client.delete(keys.log(log.ledger))
    with pytest.raises(LogForked, match="the log ends before it"):
        Store(log, Tally()).open_live().advance()
    log.client.delete(keys.ids(log.ledger))
    append(log, 50, 51)
    with pytest.raises(LogForked, match="the log ends before it"):
        Store(log, Tally()).open_live().advance()
    append(log, 52, 53)
    with pytest.raises(LogForked, match=r"another event is there now.*`approvals replay`"):
        Store(log, Tally()).open_live().advance()
    with pytest.raises(LogForked):
        live.verified_checkpoint()
    assert (live.checkpoint(), documents(live)) == was


def test_an_older_copy_of_the_servers_files_is_noticed_by_who_read_further(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    log = Log(server.client(), "ledger")
    append(log, 40, 41, 42)
    worker = Store(log, Tally()).open_live()
    worker.advance()
    files, copy = server.directory / "appendonlydir", tmp_path / "backup"
    shutil.copytree(files, copy)
    append(log, 43, 44)
    worker.advance()

    server.kill()
    shutil.rmtree(files)
    shutil.copytree(copy, files)
    server.start()
    with pytest.raises(LogForked, match="the log ends before it"):
        worker.advance()
    append(log, 50, 51, 52)
    with pytest.raises(LogForked, match="another event is there now"):
        worker.advance()
    # What was stored is of the time of the copy, and goes on from there.
    live = Store(log, Tally()).open_live()
    assert live.checkpoint() == Checkpoint.at(event_at(log, 3))
    drain(live)
    assert live.digest() == folded(log, Tally())


def test_the_promotion_of_a_replica_that_lacked_events_is_noticed_by_who_read_them(
    start_server: Callable[..., Server],
) -> None:
    port = unused_port()
    primary = start_server(port=str(port), repl_diskless_sync_delay="0")
    replica = start_server(replicaof=f"127.0.0.1 {port}", replica_read_only="yes")
    # What clients connect to: a name that moves from one server to the other.
    name = primary.directory / "name"
    name.symlink_to(primary.socket)
    with connect(f"unix://{name}") as client:
        log = Log(client, "ledger")
        append(log, 40, 41, 42)
        worker = Store(log, Tally()).open_live()
        worker.advance()
        marker = primary.client(timeout=60)
        marker.set("mark", "all that came before it")
        assert marker.wait(1, 30_000) == 1
        replica.client().replicaof("NO", "ONE")
        append(log, 43, 44)
        worker.advance()

        client.connection_pool.disconnect()
        name.unlink()
        name.symlink_to(replica.socket)
        with pytest.raises(LogForked, match="the log ends before it"):
            worker.advance()
        append(log, 50, 51)
        with pytest.raises(LogForked, match="another event is there now"):
            worker.advance()
        live = Store(log, Tally()).open_live()
        assert live.checkpoint().position == 3
        drain(live)
        assert live.digest() == folded(log, Tally())


@pytest.mark.parametrize("position", [3, 4])
def test_an_entry_that_was_deleted_from_the_log_stops_the_fold_and_nothing_changes(
    log: Log, position: int
) -> None:
    append(log, *range(20, 26))
    live = Store(log, Tally()).open_live()
    live.advance(limit=3)
    recorded = log.at(position)
    assert recorded is not None
    log.client.xdel(keys.log(log.ledger), f"{position}-{recorded.recorded_ms}")
    before = stored(log)
    for handle in (live, Store(log, Tally()).open_live()):
        with pytest.raises(LogDamaged, match=f"position {position} is missing"):
            handle.advance()
    assert stored(log) == before


def test_a_log_that_was_trimmed_stops_the_fold_and_nothing_changes(log: Log) -> None:
    append(log, *range(20, 26))
    live = Store(log, Tally()).open_live()
    live.advance(limit=3)
    log.client.xtrim(keys.log(log.ledger), maxlen=0, approximate=False)
    before = stored(log)
    with pytest.raises(LogDamaged):
        live.advance()
    assert stored(log) == before


def test_documents_of_another_version_of_the_projection_are_refused_with_what_to_do(log: Log) -> None:
    append(log, 40, 41)
    Store(log, Tally()).open_live().advance(limit=1)
    before = stored(log)
    newer = Store(log, Tally(version=2)).open_live()
    for ask in (newer.checkpoint, newer.verified_checkpoint, newer.advance):
        with pytest.raises(
            Unreadable, match=r"built by version 1.*has version 2: run `approvals replay tally`"
        ):
            ask()
    assert stored(log) == before
    assert Store(log, Tally()).open_live().advance() == 1


def test_given_documents_of_a_newer_version_when_older_software_reads_them_then_it_is_told_to_be_upgraded_first(
    log: Log,
) -> None:
    append(log, 40)
    Store(log, Tally(version=2)).open_live().advance()
    with pytest.raises(
        Unreadable,
        match=r"built by version 2.*has version 1: upgrade this software \(or, to go back to it, run `approvals replay tally`\)",
    ):
        Store(log, Tally()).open_live().checkpoint()


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
