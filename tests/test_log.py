"""The log on every server: appended whole or not at all, in one order, without a gap, and never written to by another."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum
from itertools import chain, islice
from typing import Any, cast

import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st
from redis.client import Pipeline

from events import (
    BadQuestion,
    IdConflict,
    InvalidEvent,
    Log,
    LogDamaged,
    LogForked,
    OutcomeUnknown,
    Receipt,
    RecordedEvent,
    StaleExpectation,
    StorageUnavailable,
    connect,
    decode,
    encode,
    keys,
    load_function,
    parse,
    storage,
)
from events.append_call import BATCH_LIMIT, Subject
from events.codec import check
from events.log import PAGE

from .command import ROOT
from .conftest import new_ledger
from .given import as_bytes, event_at, there, url_of
from .long import only_long
from .servers import Server, execute
from .strategies import report
from .waiting import until

LONG = 2 * PAGE + 100  # a log of three pages


@pytest.fixture
def log(every_server: Server) -> Log:
    """An empty ledger, on each server in turn."""
    return Log(every_server.client(), new_ledger())


@pytest.fixture(scope="module")
def long_log(every_server: Server) -> Log:
    """A ledger of three pages; every third event is of the subject `third`. Nothing may be written to it."""
    log = Log(every_server.client(), new_ledger())
    log.append([report(f"e{n}", n, subject="third" if n % 3 == 0 else None) for n in range(1, LONG + 1)])
    return log


def positions(events: Iterable[RecordedEvent | None]) -> list[int]:
    return [there(event).position for event in events]


def receipts(found: list[Receipt]) -> list[tuple[int, bool]]:
    return [(receipt.position, receipt.duplicate) for receipt in found]


# Appending


def test_an_empty_ledger_has_no_events_and_its_head_is_zero(log: Log) -> None:
    assert (log.head(), log.end()) == (0, (0, 0))
    assert list(log.read()) == list(log.read_backwards()) == list(log.read_subject("s")) == []
    assert log.at(1) is None
    assert log.position_of("urn:desk", "e1") is None


def test_positions_count_from_one_without_a_gap(log: Log) -> None:
    assert receipts(log.append([report("e1")])) == [(1, False)]
    assert receipts(log.append([report("e2"), report("e3")])) == [(2, False), (3, False)]
    assert receipts(log.append([report("e4")])) == [(4, False)]
    assert log.head() == 4
    assert positions(log.read()) == [1, 2, 3, 4]


def test_the_end_of_a_log_is_its_last_position_and_when_that_was_recorded(log: Log) -> None:
    log.append([report("e1"), report("e2")])
    last = event_at(log, 2)
    assert log.end() == (2, last.recorded_ms)


def test_a_receipt_names_its_event(log: Log) -> None:
    (receipt,) = log.append([report("e1", source="urn:other")])
    assert receipt == Receipt(position=1, duplicate=False, source="urn:other", id="e1")


def test_what_is_stored_is_what_was_encoded(log: Log) -> None:
    batch = [report("e1", 1, subject="零一万物"), report("e2", 2, time="2024-01-29T08:00:00+08:00")]
    log.append(batch)
    assert [event.payload for event in log.read()] == [encode(event) for event in batch]
    assert [parse(event.payload) for event in log.read()] == batch
    assert [decode(event).data for event in log.read()] == [event.data for event in batch]


def test_the_same_event_again_has_its_old_position_and_stores_nothing(log: Log) -> None:
    log.append([report("e1"), report("e2", subject="s")])
    assert receipts(log.append([report("e2", subject="s")])) == [(2, True)]
    assert log.head() == 2
    assert positions(log.read_subject("s")) == [2]


class Desk(str, Enum):  # noqa: UP042  # a StrEnum has its text in an f-string
    """As a producer may keep what it writes more than once."""

    SOURCE = "urn:desk"
    ID = "r1"
    SUBJECT = "acme"


class Scraped(str):
    """As a parser may give texts."""

    __slots__ = ()


@pytest.mark.parametrize("kind", [Desk, Scraped])
def test_given_texts_that_are_more_than_plain_when_an_event_is_appended_then_it_is_that_of_the_plain_texts(
    log: Log, kind: type[str]
) -> None:
    plain = replace(report("r1", 40), source="urn:desk", subject="acme")
    other = replace(report("r1", 40), source=kind("urn:desk"), id=kind("r1"), subject=kind("acme"), time=None)
    assert encode(plain) == check(other)
    with pytest.raises(InvalidEvent, match="of the same batch"):
        log.append([plain, other])
    (stored,), (again,) = log.append([other]), log.append([plain])
    assert (stored.position, again.position, again.duplicate) == (1, 1, True)
    assert log.position_of("urn:desk", "r1") == log.position_of(kind("urn:desk"), kind("r1")) == 1
    log.append([replace(plain, id="r2"), replace(other, id="r3"), replace(plain, id="r4")])
    assert [event.position for event in log.read_subject("acme")] == [1, 2, 3, 4]


def test_given_a_name_that_is_of_an_enum_when_a_ledger_is_opened_then_it_is_that_of_its_text(
    log: Log,
) -> None:
    ours = cast(Any, Enum)("Ledgers", {"OURS": log.ledger}, type=str).OURS
    Log(log.client, ours).append([report("r1", 40)])
    assert log.head() == 1


def test_a_batch_may_mix_old_events_with_new_ones(log: Log) -> None:
    log.append([report("e1"), report("e2")])
    mixed = log.append([report("e3"), report("e2"), report("e4"), report("e1")])
    assert receipts(mixed) == [(3, False), (2, True), (4, False), (1, True)]
    assert log.head() == 4


def test_a_conflict_anywhere_in_a_batch_stores_none_of_it(log: Log) -> None:
    log.append([report("e1")])
    for index in range(3):
        batch = [report("n1", subject="s"), report("n2")]
        batch.insert(index, report("e1", 99))
        with pytest.raises(IdConflict) as refused:
            log.append(batch)
        assert (refused.value.index, refused.value.position) == (index, 1)
    assert log.head() == 1
    assert list(log.read_subject("s")) == []
    assert log.position_of("urn:desk", "n1") is None


def test_a_subject_or_a_time_that_differs_makes_other_bytes_and_so_a_conflict(log: Log) -> None:
    log.append([report("e1")])
    for other in (report("e1", subject="s"), report("e1", time="2024-01-29T08:00:00Z")):
        with pytest.raises(IdConflict):
            log.append([other])


@only_long
def test_the_largest_batch_is_appended_whole(server: Server) -> None:
    log = Log(server.client(), new_ledger())
    found = log.append([report(f"e{n}", subject=f"s{n % 700}") for n in range(BATCH_LIMIT)])
    assert receipts(found) == [(n + 1, False) for n in range(BATCH_LIMIT)]
    assert log.head() == BATCH_LIMIT
    assert positions(log.read_subject("s699")) == list(range(700, BATCH_LIMIT + 1, 700))


@only_long
def test_each_of_the_most_events_may_have_a_subject_of_its_own_or_one_with_all(log: Log) -> None:
    """More values than one command of the function takes, in each of its commands."""
    alone = [report(f"e{n}", subject=f"s{n}") for n in range(BATCH_LIMIT)]
    together = [report(f"f{n}", subject="s") for n in range(BATCH_LIMIT)]
    log.append(alone)
    log.append(together, expected_subject=("s9999", BATCH_LIMIT))
    for n in (0, 1, 3_999, 4_000, 7_999, 8_000, 9_999):
        assert positions(log.read_subject(f"s{n}")) == [n + 1]
        log.append([report(f"n{n}")], expected_subject=(f"s{n}", n + 1))
    assert positions(log.read_subject("s")) == list(range(BATCH_LIMIT + 1, 2 * BATCH_LIMIT + 1))


def test_a_large_batch_is_recognised_event_by_event_when_it_is_sent_again(log: Log) -> None:
    batch = [report(f"e{n}") for n in range(BATCH_LIMIT)]
    kept = [event for n, event in enumerate(batch) if n % 3]
    log.append(kept)
    with pytest.raises(IdConflict) as refused:
        log.append([*batch[:-2], report("e9998", 99), batch[-1]])
    assert (refused.value.index, refused.value.position) == (9_998, len(kept))
    expected = {event.id: (position, True) for position, event in enumerate(kept, start=1)}
    missing = [event.id for n, event in enumerate(batch) if not n % 3]
    expected |= {name: (len(kept) + place, False) for place, name in enumerate(missing, start=1)}
    assert receipts(log.append(batch)) == [expected[event.id] for event in batch]
    assert log.head() == BATCH_LIMIT


def test_the_script_is_loaded_again_where_the_server_lost_it(log: Log, every_server: Server) -> None:
    log.append([report("e1")])
    every_server.client().script_flush()
    assert receipts(log.append([report("e2")])) == [(2, False)]


def test_given_a_server_that_loses_each_script_at_once_when_something_is_appended_then_nothing_is_stored(
    log: Log, every_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([report("e1")])
    every_server.client().script_flush()
    sha = log._append.sha
    monkeypatch.setattr(log.client, "script_load", lambda _: sha)
    with pytest.raises(StorageUnavailable, match=r"NOSCRIPT|No matching script"):
        log.append([report("e2")])
    assert log.head() == 1


def test_two_ledgers_on_one_server_know_nothing_of_each_other(log: Log, every_server: Server) -> None:
    other = Log(every_server.client(), new_ledger())
    log.append([report("e1", 1, subject="s")])
    assert receipts(other.append([report("e1", 2, subject="s")])) == [(1, False)]
    assert (log.head(), other.head()) == (1, 1)
    assert decode(event_at(log, 1)).data != decode(event_at(other, 1)).data


def test_two_handles_on_one_ledger_see_the_same(log: Log, every_server: Server) -> None:
    other = Log(every_server.client(), log.ledger)
    log.append([report("e1")])
    assert receipts(other.append([report("e1"), report("e2")])) == [(1, True), (2, False)]
    assert log.head() == 2


# Expectations


def test_given_a_client_that_decodes_answers_when_a_log_is_made_of_it_then_it_is_refused_before_anything_is_asked(
    server: Server,
) -> None:
    client = redis.Redis.from_url(server.url, decode_responses=True)
    with pytest.raises(
        BadQuestion, match=r"decodes the server's answers to text \(decode_responses\).* with `connect`"
    ):
        Log(client, "cac")
    client.close()


@pytest.mark.parametrize("make", [lambda client: client.pipeline(), lambda _: redis.asyncio.Redis(), str])
def test_given_what_gives_no_answers_when_a_log_is_made_of_it_then_it_is_refused(
    make: Callable[[redis.Redis], Any], log: Log
) -> None:
    with pytest.raises(BadQuestion, match=r"pass a `redis\.Redis`, such as `connect` makes"):
        Log(make(log.client), "cac")


def test_the_expected_position_must_be_the_head(log: Log) -> None:
    log.append([report("e1")], expected_position=0)
    log.append([report("e2"), report("e3")], expected_position=1)
    for stale in (0, 1, 2, 4):
        with pytest.raises(
            StaleExpectation, match=f"at position 3, and position {stale} was expected"
        ) as refused:
            log.append([report("e4")], expected_position=stale)
        assert refused.value.current == 3
    assert log.head() == 3


@pytest.mark.parametrize(
    ("history", "expected", "current"),
    [
        ([], "none", None),
        ([], 0, None),
        ([], "exists", 0),
        ([], 1, 0),
        (["s"], "exists", None),
        (["s"], 1, None),
        (["s"], "none", 1),
        (["s"], 0, 1),
        (["other"], "none", None),
        (["other"], 1, 0),
        (["s", "other"], 1, None),
        (["s", "other"], 2, 1),
        (["other", "s"], 2, None),
        (["s", "s"], 2, None),
        (["s", "s"], 1, 2),
    ],
)
def test_what_is_expected_of_a_subject_is_about_its_last_event(
    log: Log, history: list[str], expected: Subject, current: int | None
) -> None:
    """`current` is None where the expectation holds, and else the position that the refusal names."""
    has = {0: "has no event yet", 1: "is at position 1", 2: "is at position 2"}
    if history:
        log.append([report(f"e{n}", subject=subject) for n, subject in enumerate(history)])
    if current is None:
        log.append([report("new")], expected_subject=("s", expected))
        assert log.head() == len(history) + 1
    else:
        with pytest.raises(StaleExpectation, match=f"subject 's' {has[current]}, and ") as refused:
            log.append([report("new")], expected_subject=("s", expected))
        assert refused.value.current == current
        assert log.head() == len(history)


@pytest.mark.parametrize("expected", ["none", ("s",), ("s", "none", 1), (1, "none"), (None, 0), ["s"]])
def test_what_is_no_expectation_of_a_subject_is_refused_in_words(log: Log, expected: Any) -> None:
    with pytest.raises(BadQuestion, match=r"^an expectation on a subject is a name and a state, such as "):
        log.append([report("new")], expected_subject=expected)
    assert log.head() == 0


def test_both_expectations_must_hold(log: Log) -> None:
    log.append([report("e1", subject="s")])
    with pytest.raises(StaleExpectation, match=r"^ledger"):
        log.append([report("e2")], expected_position=0, expected_subject=("s", 1))
    with pytest.raises(StaleExpectation, match=r"^subject"):
        log.append([report("e2")], expected_position=1, expected_subject=("s", "none"))
    log.append([report("e2")], expected_position=1, expected_subject=("s", 1))
    assert log.head() == 2


def test_a_conditional_append_made_again_is_a_duplicate_and_not_stale(log: Log) -> None:
    """A caller whose reply was lost makes the same call again: that its own events moved the head is no news."""
    batch = [report("e1", subject="s"), report("e2")]
    first = log.append(batch, expected_position=0, expected_subject=("s", "none"))
    again = log.append(batch, expected_position=0, expected_subject=("s", "none"))
    assert receipts(first) == [(1, False), (2, False)]
    assert receipts(again) == [(1, True), (2, True)]
    with pytest.raises(StaleExpectation):
        log.append([*batch, report("e3")], expected_position=0)
    assert log.head() == 2


def test_of_many_who_expect_the_same_position_one_wins(log: Log) -> None:
    def attempt(number: int) -> int:
        try:
            log.append([report(f"e{number}")], expected_position=0)
        except StaleExpectation:
            return 0
        return 1

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(attempt, range(16))) == 1
    assert log.head() == 1


# Many at once


def test_fifty_threads_with_the_same_event_append_it_once(log: Log) -> None:
    barrier = threading.Barrier(50)

    def send(_: int) -> Receipt:
        barrier.wait()
        return log.append([report("e1", subject="s")])[0]

    with ThreadPoolExecutor(50) as threads:
        found = list(threads.map(send, range(50)))
    assert {receipt.position for receipt in found} == {1}
    assert sum(not receipt.duplicate for receipt in found) == 1
    assert log.head() == 1
    assert positions(log.read_subject("s")) == [1]


def test_batches_of_many_threads_are_never_mixed(log: Log) -> None:
    def send(writer: int) -> list[int]:
        found = log.append([report(f"{writer}-{n}") for n in range(20)])
        return [receipt.position for receipt in found]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(send, range(24)))
    for batch in found:
        assert batch == list(range(batch[0], batch[0] + 20))
    assert sorted(chain(*found)) == list(range(1, 24 * 20 + 1)) == positions(log.read())


def test_the_recorded_time_never_goes_back(log: Log, every_server: Server) -> None:
    client = every_server.client()
    before = client.time()
    for n in range(30):
        log.append([report(f"e{n}-{m}") for m in range(3)])
    after = client.time()
    times = [event.recorded_ms for event in log.read()]
    assert times == sorted(times)
    assert before[0] * 1000 <= times[0] <= times[-1] <= (after[0] + 1) * 1000


def test_the_recorded_time_waits_for_a_clock_that_was_set_back(log: Log, every_server: Server) -> None:
    """As if the last event had been recorded before the clock was set back by a day."""
    client = every_server.client()
    tomorrow = (client.time()[0] + 86_400) * 1000
    event = report("e1")
    client.xadd(keys.log(log.ledger), {"e": encode(event)}, id=f"1-{tomorrow}")
    client.hset(keys.ids(log.ledger), keys.identity(event.source, event.id), 1)
    log.append([report("e2")])
    assert [event.recorded_ms for event in log.read()] == [tomorrow, tomorrow]


# Reading


@pytest.mark.parametrize("after", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, LONG - 1, LONG, LONG + 1])
@pytest.mark.parametrize("limit", [None, 0, 1, PAGE - 1, PAGE, PAGE + 1, LONG, 10 * LONG])
def test_reading_from_any_position_gives_what_a_slice_gives(
    long_log: Log, after: int, limit: int | None
) -> None:
    everything = list(range(1, LONG + 1))
    assert positions(long_log.read(after, limit)) == everything[after:][:limit]
    before = after + 1
    backwards = everything[: before - 1][::-1]
    assert positions(long_log.read_backwards(before, limit)) == backwards[:limit]


def test_reading_backwards_begins_at_the_head(long_log: Log) -> None:
    assert positions(long_log.read_backwards()) == list(range(LONG, 0, -1))
    assert positions(long_log.read_backwards(limit=2)) == [LONG, LONG - 1]
    assert positions(long_log.read_backwards(10 * LONG, limit=2)) == [LONG, LONG - 1]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("left", [PAGE // 2, LONG])
def test_given_another_log_takes_its_place_between_two_pages_when_reading_goes_on_then_that_is_told(
    log: Log, backwards: bool, left: int
) -> None:
    log.append([report(f"e{n}") for n in range(LONG)])
    reading = log.read_backwards() if backwards else log.read()
    next(reading)
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
    log.append([report(f"other {n}") for n in range(left)])
    with pytest.raises(LogForked, match="rolled back or replaced"):
        list(reading)


@pytest.mark.parametrize("after", [0, 1, 2, 3, PAGE, LONG, LONG + 1])
@pytest.mark.parametrize("limit", [None, 0, 1, 7, LONG])
def test_reading_a_subject_gives_its_events_only(long_log: Log, after: int, limit: int | None) -> None:
    of_subject = [n for n in range(1, LONG + 1) if n % 3 == 0 and n > after]
    assert positions(long_log.read_subject("third", after, limit)) == of_subject[:limit]
    backwards = long_log.read_subject("third", after, limit, backwards=True)
    assert positions(backwards) == of_subject[::-1][:limit]
    assert positions(long_log.read_subject("THIRD", after)) == []


@pytest.mark.parametrize("before", [0, 1, 3, 4, PAGE, LONG, LONG + 1, 10 * LONG])
@pytest.mark.parametrize("limit", [None, 0, 1, 7, LONG])
def test_reading_a_subject_before_a_position_gives_what_a_slice_gives(
    long_log: Log, before: int, limit: int | None
) -> None:
    of_subject = [n for n in range(1, LONG + 1) if n % 3 == 0 and n < before]
    assert positions(long_log.read_subject("third", 0, limit, before=before)) == of_subject[:limit]
    backwards = long_log.read_subject("third", 3, limit, before=before, backwards=True)
    assert positions(backwards) == [n for n in of_subject if n > 3][::-1][:limit]


def test_a_subject_of_more_than_a_page_is_read_whole(log: Log) -> None:
    log.append([report(f"e{n}", subject="s" if n else None) for n in range(PAGE + 2)])
    assert positions(log.read_subject("s")) == list(range(2, PAGE + 3))


@pytest.fixture(scope="module")
def long_subject(server: Server) -> Log:
    """A ledger in which every second event is of the subject `s`, which has three pages of them and a bit."""
    log = Log(server.client(), new_ledger())
    log.append([report(f"e{n}", subject="st"[n % 2]) for n in range(2 * LONG)])
    return log


@given(
    after=st.integers(0, 2 * LONG + 3),
    before=st.none() | st.integers(0, 2 * LONG + 3),
    limit=st.none() | st.integers(-1, LONG + 3),
    backwards=st.booleans(),
)
def test_reading_a_subject_of_several_pages_gives_what_a_slice_gives(
    long_subject: Log, after: int, before: int | None, limit: int | None, backwards: bool
) -> None:
    wanted = [p for p in range(1, 2 * LONG, 2) if p > after and (before is None or p < before)]
    found = long_subject.read_subject("s", after, limit, before=before, backwards=backwards)
    assert positions(found) == wanted[:: -1 if backwards else 1][: None if limit is None else max(0, limit)]


@pytest.mark.parametrize("asked", [{"backwards": True}, {"after": 2 * LONG - 2}, {"before": 3}])
def test_given_a_subject_of_several_pages_when_one_event_is_asked_for_then_its_list_is_not_read_whole(
    long_subject: Log, monkeypatch: pytest.MonkeyPatch, asked: Any
) -> None:
    named: list[bytes] = []
    ask = long_subject.client.lrange

    def lrange(*about: Any) -> list[bytes]:
        found = cast("list[bytes]", ask(*about))
        named.extend(found)
        return found

    monkeypatch.setattr(long_subject.client, "lrange", lrange)
    assert len(list(long_subject.read_subject("s", limit=1, **asked))) == 1
    assert len(named) < PAGE + 20


def test_given_a_follower_of_a_subject_when_events_come_while_it_reads_backwards_then_it_sees_each_once(
    log: Log,
) -> None:
    log.append([report(f"e{n}", subject="s") for n in range(LONG)])
    reading = log.read_subject("s", backwards=True)
    found = list(islice(reading, PAGE // 2))
    log.append([report(f"more{n}", subject="s") for n in range(10)])
    assert positions([*found, *reading]) == list(range(LONG, 0, -1))


def test_a_list_of_a_subject_that_names_what_is_not_of_it_is_damage(log: Log) -> None:
    log.append([report("e1", subject="s"), report("e2", subject="t"), report("e3")])
    for foreign in (2, 3, 4):
        key = keys.subject(log.ledger, "s")
        log.client.rpush(key, foreign)
        with pytest.raises(LogDamaged, match=rf"position {foreign} is "):
            list(log.read_subject("s"))
        log.client.rpop(key)
    assert positions(log.read_subject("s")) == [1]


def test_each_event_is_found_at_its_position_and_by_its_id(long_log: Log) -> None:
    for position in (1, 2, PAGE, PAGE + 1, LONG):
        event = event_at(long_log, position)
        assert event.position == position
        assert decode(event).id == f"e{position}"
        assert long_log.position_of("urn:desk", f"e{position}") == position
    assert long_log.at(LONG + 1) is None
    assert long_log.position_of("urn:desk", "e0") is None
    assert long_log.position_of("urn:other", "e1") is None


def test_a_page_is_read_in_one_round_trip(long_log: Log) -> None:
    assert positions(long_log.page(PAGE - 1, 3)) == [PAGE, PAGE + 1, PAGE + 2]
    assert long_log.page(LONG, 3) == []


def test_a_reader_may_go_on_where_it_stopped_while_others_write(log: Log) -> None:
    log.append([report("e1"), report("e2")])
    reader = log.read()
    assert next(reader).position == 1
    log.append([report("e3")])
    assert positions(reader) == [2, 3]


# Following


def test_a_follower_sees_what_was_there_and_then_what_comes(log: Log) -> None:
    log.append([report("e1"), report("e2")])
    follower = log.follow(1, wait=0.01)
    assert there(next(follower)).position == 2
    assert next(follower) is None
    log.append([report("e3"), report("e4")])
    assert positions(islice(follower, 2)) == [3, 4]
    assert next(follower) is None


def test_a_follower_that_waits_is_woken_by_an_append(log: Log, every_server: Server) -> None:
    follower = Log(every_server.client(), log.ledger).follow(0, wait=4)
    with ThreadPoolExecutor(1) as threads:
        woken = threads.submit(next, follower)
        log.append([report("e1")])
        assert there(woken.result()).position == 1


def test_a_follower_of_a_long_log_sees_every_event_in_order(long_log: Log) -> None:
    follower = long_log.follow(0, wait=0.01)
    assert positions(islice(follower, LONG)) == list(range(1, LONG + 1))
    assert next(follower) is None


@pytest.mark.parametrize("wait", [0, 0.0001, 60])
def test_no_wait_is_for_ever_nor_longer_than_the_client_waits_for_a_reply(
    log: Log, every_server: Server, wait: float
) -> None:
    impatient = Log(every_server.client(timeout=1.0), log.ledger)
    assert next(impatient.follow(0, wait=wait)) is None


def replaced(client: redis.Redis, log: Log, length: int) -> None:
    """Another log of this length is where the log was."""
    client.delete(*client.keys(f"{{{log.ledger}}}:*"))
    if length:
        log.append([report(f"other{n}") for n in range(1, length + 1)])


AFTERWARDS = {0: "the log ends before it", 2: "the log ends before it", 3: "another", 5: "another"}


@pytest.mark.parametrize(("length", "what"), AFTERWARDS.items())
@pytest.mark.parametrize("after", [0, 2, 3])
def test_a_follower_whose_log_was_replaced_is_told_so_and_gets_no_event_of_the_other(
    log: Log, every_server: Server, after: int, length: int, what: str
) -> None:
    log.append([report(f"e{n}") for n in (1, 2, 3)])
    follower = log.follow(after, wait=0.01)
    assert positions(islice(follower, 3 - after)) == list(range(after + 1, 4))
    assert after < 3 or next(follower) is None
    replaced(every_server.client(), log, length)
    with pytest.raises(LogForked, match=f"read up to position 3, and {what}.*begin with its first event"):
        next(follower)


def test_a_follower_that_waits_while_its_log_is_replaced_is_told_so(
    start_server: Callable[..., Server], every_server: Server
) -> None:
    server = start_server(every_server.kind)
    log = Log(server.client(), "a")
    log.append([report("e1")])
    follower = Log(server.client(timeout=60), "a").follow(1, wait=30)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(next, follower)
        until(lambda: server.client().info("clients")["blocked_clients"])
        replaced(server.client(), log, 2)
        assert isinstance(waiting.exception(), LogForked)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_follower_that_was_told_what_the_caller_has_read_notices_another_log_at_once(
    log: Log, every_server: Server, length: int
) -> None:
    log.append([report("e1"), report("e2")])
    seen = event_at(log, 2)
    again = log.follow(2, wait=0.01, entry=seen.digest)
    assert next(again) is None
    replaced(every_server.client(), log, length)
    with pytest.raises(LogForked, match="read up to position 2"):
        next(log.follow(2, wait=0.01, entry=seen.digest))


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_page_is_refused_where_another_event_is_before_it_than_the_caller_has_read(
    log: Log, every_server: Server, length: int
) -> None:
    log.append([report("e1"), report("e2"), report("e3")])
    seen = event_at(log, 2)
    assert positions(log.page(2, 5, entry=seen.digest)) == [3]
    replaced(every_server.client(), log, length)
    with pytest.raises(LogForked, match="read up to position 2"):
        log.page(2, 5, entry=seen.digest)


def test_a_follower_from_beyond_the_end_waits_for_its_position(log: Log) -> None:
    log.append([report("e1")])
    follower = log.follow(2, wait=0.01)
    assert next(follower) is None
    log.append([report("e2"), report("e3")])
    assert positions(islice(follower, 1)) == [3]
    assert next(follower) is None


def test_a_follower_whose_last_event_was_deleted_is_told_of_the_damage(
    log: Log, every_server: Server
) -> None:
    client = every_server.client()
    log.append([report("e1"), report("e2"), report("e3")])
    follower = log.follow(2, wait=0.01)
    assert there(next(follower)).position == 3
    client.xdel(keys.log(log.ledger), entry_id(client, log, 3))
    with pytest.raises(LogDamaged) as damaged:
        next(follower)
    assert not isinstance(damaged.value, LogForked)


# Damage


def shortened(client: redis.Redis, log: Log) -> None:
    client.xtrim(keys.log(log.ledger), maxlen=3, approximate=False)


def entry_id(client: redis.Redis, log: Log, position: int) -> bytes:
    entries = client.xrange(keys.log(log.ledger), str(position), str(position))
    assert entries
    return as_bytes(entries[0][0])


def contents(client: redis.Redis, log: Log) -> list[bytes | None]:
    ledger = log.ledger
    names = [keys.log(ledger), keys.ids(ledger), keys.subjects(ledger), keys.subject(ledger, "s")]
    return [client.dump(name) for name in names]


DAMAGES: dict[str, Callable[[redis.Redis, Log], object]] = {
    "XDEL of the first": lambda c, log: c.xdel(keys.log(log.ledger), entry_id(c, log, 1)),
    "XDEL in the middle": lambda c, log: c.xdel(keys.log(log.ledger), entry_id(c, log, 3)),
    "XDEL of the last": lambda c, log: c.xdel(keys.log(log.ledger), entry_id(c, log, 5)),
    "XDEL of all": lambda c, log: c.xdel(keys.log(log.ledger), *(entry_id(c, log, n) for n in range(1, 6))),
    "XTRIM": shortened,
    "XTRIM to nothing": lambda c, log: c.xtrim(keys.log(log.ledger), maxlen=0, approximate=False),
    "DEL of the log": lambda c, log: c.delete(keys.log(log.ledger)),
    "DEL of the ids": lambda c, log: c.delete(keys.ids(log.ledger)),
    "HDEL of an id": lambda c, log: c.hdel(keys.ids(log.ledger), keys.identity("urn:desk", "e2")),
    "HSET of an id": lambda c, log: c.hset(keys.ids(log.ledger), "x", "9"),
    "XADD with the server's own id": lambda c, log: c.xadd(keys.log(log.ledger), {"e": "x"}),
    "XADD at the next position": lambda c, log: c.xadd(keys.log(log.ledger), {"e": "{}"}, id=f"6-{2**60}"),
    "XADD at a later position": lambda c, log: c.xadd(keys.log(log.ledger), {"e": "x"}, id="8-1"),
    "XADD within a position": lambda c, log: c.xadd(keys.log(log.ledger), {"e": "x"}, id=f"5-{2**60}"),
    "XADD with MAXLEN": lambda c, log: c.xadd(keys.log(log.ledger), {"e": "x"}, maxlen=1, approximate=False),
    "XSETID ahead": lambda c, log: execute(c, "XSETID", keys.log(log.ledger), "9-1"),
    "XSETID of a later time": lambda c, log: execute(c, "XSETID", keys.log(log.ledger), f"5-{2**60}"),
    "XSETID of the count": lambda c, log: execute(
        c, "XSETID", keys.log(log.ledger), entry_id(c, log, 5), "ENTRIESADDED", "9", "MAXDELETEDID", "0-0"
    ),
    "a string for the log": lambda c, log: c.set(keys.log(log.ledger), "x"),
    "a list for the ids": lambda c, log: (c.delete(keys.ids(log.ledger)), c.rpush(keys.ids(log.ledger), "x")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_log_that_something_else_wrote_to_is_damaged_and_takes_nothing_more(
    log: Log, every_server: Server, damage: Callable[[redis.Redis, Log], object]
) -> None:
    client = every_server.client()
    log.append([report(f"e{n}", subject="s") for n in range(1, 6)])
    damage(client, log)
    before = contents(client, log)
    with pytest.raises(LogDamaged, match=r"[Rr]estore a backup") as refused:
        log.head()
    assert refused.value.code == "log-damaged"
    for batch in ([report("new", subject="s")], [report("e2", subject="s")], [report("e2", 99)]):
        with pytest.raises(LogDamaged, match=r"[Rr]estore a backup"):
            log.append(batch)
    with pytest.raises(LogDamaged):
        list(log.read_backwards())
    assert contents(client, log) == before


@pytest.mark.parametrize("lost", [1, 2, PAGE, PAGE + 1, PAGE + 2])
def test_every_reader_stops_at_a_position_that_is_missing(log: Log, every_server: Server, lost: int) -> None:
    client = every_server.client()
    length = PAGE + 2
    log.append([report(f"e{n}", subject="s") for n in range(1, length + 1)])
    client.xdel(keys.log(log.ledger), entry_id(client, log, lost))
    readers = [
        log.read(),
        log.read_backwards(length + 1),
        log.read_subject("s"),
        log.read_subject("s", backwards=True),
    ]
    for reader in readers:
        seen: list[int] = []
        with pytest.raises(LogDamaged, match=r"[Rr]estore a backup"):
            seen.extend(event.position for event in reader)
        assert lost not in seen
    with pytest.raises(LogDamaged):
        log.at(lost)
    if lost < length:
        with pytest.raises(LogDamaged, match=f"position {lost} is missing; the next is {lost + 1}"):
            next(log.follow(lost - 1, wait=0.01))


def test_given_an_entry_with_a_time_that_no_date_has_when_it_is_read_then_that_is_said(
    log: Log, every_server: Server
) -> None:
    place = keys.log(log.ledger)
    every_server.client().xadd(place, {"e": encode(report("e1"))}, id="1-253402300799999")
    assert next(log.read()).recorded_at.year == 9999
    every_server.client().xadd(place, {"e": encode(report("e2"))}, id="2-253402300800000")
    with pytest.raises(LogDamaged, match="entry 2-253402300800000 of the log was recorded after the year"):
        log.at(2)


def test_an_entry_without_an_event_is_named(log: Log, every_server: Server) -> None:
    client = every_server.client()
    client.xadd(keys.log(log.ledger), {"x": "y"}, id="1-5")
    with pytest.raises(LogDamaged, match="entry 1-5 of the log has no event in it"):
        list(log.read())
    with pytest.raises(LogDamaged, match="entry 1-5 of the log has no event in it"):
        log.at(1)


@pytest.mark.parametrize("key", [keys.subjects, lambda ledger: keys.subject(ledger, "s")])
def test_a_key_of_another_type_stops_an_append_before_its_first_write(
    log: Log, every_server: Server, key: Callable[[str], str]
) -> None:
    """A script does not roll back: an append that failed half-way would have stored an event and said that it had not."""
    every_server.client().set(key(log.ledger), "x")
    with pytest.raises(LogDamaged, match="has the wrong type"):
        log.append([report("e1"), report("e2", subject="s")])
    assert log.head() == 0
    assert log.position_of("urn:desk", "e1") is None


def test_without_the_ids_the_log_counts_as_damaged(log: Log, every_server: Server) -> None:
    log.append([report("e1")])
    every_server.client().delete(keys.ids(log.ledger))
    for question in (log.head, lambda: list(log.read()), lambda: log.append([report("e1")])):
        with pytest.raises(LogDamaged, match="1 were ever added, 0 ids are known"):
            question()


def test_nothing_notices_the_loss_of_what_is_known_of_subjects(log: Log, every_server: Server) -> None:
    """As docs/storage.md says: it is a key beside the log, and one that is not there is that of a ledger without subjects."""
    log.append([report("e1", subject="s")])
    every_server.client().delete(keys.subjects(log.ledger), keys.subject(log.ledger, "s"))
    assert positions(log.read_subject("s")) == []
    assert receipts(log.append([report("e2", subject="s")], expected_subject=("s", "none"))) == [(2, False)]
    assert positions(log.read_subject("s")) == [2]
    assert positions(log.read()) == [1, 2]


def test_given_an_index_that_something_else_wrote_to_when_it_is_read_then_the_log_counts_as_damaged(
    log: Log, every_server: Server
) -> None:
    log.append([report("e1", subject="s")])
    every_server.client().hset(keys.ids(log.ledger), cast(str, keys.identity("urn:desk", "e1")), "first")
    every_server.client().rpush(keys.subject(log.ledger, "s"), "-1")
    for question in (
        lambda: log.position_of("urn:desk", "e1"),
        lambda: log.positions_of([("urn:desk", "e1")]),
        lambda: list(log.read_subject("s")),
    ):
        with pytest.raises(
            LogDamaged, match=r"names b'(first|-1)' as a position: something else wrote to it"
        ):
            question()


def test_every_reader_names_a_key_of_another_type(log: Log, every_server: Server) -> None:
    client = every_server.client()
    log.append([report("e1", subject="s")])
    client.set(keys.log(log.ledger), "x")
    client.set(keys.ids(log.ledger), "x")
    for question in (
        lambda: list(log.read()),
        lambda: list(log.read_backwards()),
        lambda: list(log.read_subject("s")),
        lambda: log.at(1),
        lambda: log.page(0, 1),
        lambda: next(log.follow(0)),
        lambda: log.position_of("urn:desk", "e1"),
    ):
        with pytest.raises(LogDamaged, match="has the wrong type"):
            question()


def test_readers_among_writers_never_see_damage(log: Log, every_server: Server) -> None:
    """Reading is several questions, and appends come between them: a false alarm would stop the ledger."""

    def write(writer: int) -> None:
        handle = Log(every_server.client(), log.ledger)
        for number in range(40):
            handle.append([report(f"{writer}-{number}-{n}", subject="s") for n in range(2)])

    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, writer) for writer in range(3)]
        while not all(writer.done() for writer in writers):
            head = log.head()
            start = max(0, head - 5)
            assert positions(log.read(start))[: head - start] == list(range(start + 1, head + 1))
            assert positions(log.read_backwards(limit=1)) >= [head] * min(head, 1)
            log.at(head + 1)
            list(log.read_subject("s", max(0, head - 3)))
    for writer in writers:
        writer.result()
    assert log.head() == 240


def test_a_first_append_while_the_head_is_read_is_no_damage(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head of an empty ledger is two questions; were they asked one by one, an append could come between."""
    asked = log.client.pipeline

    def pipeline_and_then_an_append(**options: Any) -> Pipeline:
        pipeline = asked(**options)
        execute = pipeline.execute

        def execute_between(**how: Any) -> list[Any]:
            found = execute(**how)
            monkeypatch.undo()
            log.append([report("e1")])
            return found

        monkeypatch.setattr(pipeline, "execute", execute_between)
        return pipeline

    monkeypatch.setattr(log.client, "pipeline", pipeline_and_then_an_append)
    assert log.head() == 0
    assert log.head() == 1


# What the server refuses


@pytest.fixture
def user(every_server: Server) -> Iterator[Callable[..., redis.Redis]]:
    """Makes a user with these rules on the server, and gives a client that logs in as that user."""
    admin = every_server.client()

    def make(*rules: str) -> redis.Redis:
        execute(admin, "ACL", "SETUSER", "tester", "reset", "on", ">secret", "~*", "&*", *rules)
        return every_server.client(user="tester", password="secret")

    yield make
    every_server.client(user="tester", password="secret").connection_pool.disconnect()
    execute(admin, "ACL", "DELUSER", "tester")


@pytest.mark.parametrize("command", ["rpush", "hset", "xadd"])
def test_a_user_who_may_do_only_a_part_of_an_append_does_none_of_it(
    log: Log, user: Callable[..., redis.Redis], command: str
) -> None:
    """A script does not roll back: this was seen to store the event and to answer that nothing was stored."""
    partial = Log(user("+@all", f"-{command}"), log.ledger)
    with pytest.raises(
        StorageUnavailable, match=f"may not run {command.upper()}.* Nothing was stored"
    ) as refused:
        partial.append([report("e1", subject="s")])
    assert not isinstance(refused.value, OutcomeUnknown)
    assert log.head() == 0
    assert log.position_of("urn:desk", "e1") is None


@pytest.mark.parametrize("missing", ["-evalsha", "-config", "-info"])
def test_a_user_without_a_permission_is_told_which(
    log: Log, user: Callable[..., redis.Redis], missing: str
) -> None:
    with pytest.raises(
        StorageUnavailable, match=r"no permissions.*Nothing was stored\. Grant the user"
    ) as refused:
        Log(user("+@all", missing), log.ledger).append([report("e1")])
    assert missing[1:] in str(refused.value)
    assert not isinstance(refused.value, OutcomeUnknown)
    assert log.head() == 0


@pytest.mark.parametrize("checked_before", [False, True])
def test_a_wrong_password_is_no_lost_reply(log: Log, every_server: Server, checked_before: bool) -> None:
    stranger = Log(every_server.client(user="nobody", password="wrong"), log.ledger)
    if checked_before:
        stranger._durable_until = float("inf")
    for question in (stranger.head, lambda: stranger.append([report("e1")]), lambda: list(stranger.read())):
        with pytest.raises(StorageUnavailable, match="Check the user and its password") as refused:
            question()
        assert not isinstance(refused.value, OutcomeUnknown)
        assert "wrong" not in str(refused.value).replace("wrong number", "")
    assert log.head() == 0


def test_given_a_database_that_the_server_has_not_when_it_is_asked_then_the_setting_is_named(
    every_server: Server,
) -> None:
    log = Log(connect(f"{every_server.url}?db=4000"), "a")
    for question in (log.head, lambda: log.append([report("e1")])):
        with pytest.raises(StorageUnavailable, match=r"DB index is out of range.* its setting `databases`"):
            question()


def test_given_as_many_clients_as_may_be_when_another_appends_then_it_is_no_lost_reply(
    start_server: Callable[..., Server], every_server: Server
) -> None:
    server = start_server(every_server.kind, maxclients="1")
    first = Log(server.client(), "a")
    assert first.head() == 0
    with pytest.raises(StorageUnavailable, match=r"Nothing was stored\..*maxclients") as refused:
        Log(connect(server.url), "a").append([report("e1")])
    assert not isinstance(refused.value, OutcomeUnknown)
    assert first.head() == 0


def test_a_server_that_wants_replicas_refuses_and_nothing_is_stored(
    start_server: Callable[..., Server], every_server: Server
) -> None:
    server = start_server(every_server.kind, min_replicas_to_write="1")
    log = Log(server.client(), "a")
    with pytest.raises(StorageUnavailable, match=r"NOREPLICAS.*Nothing was stored") as refused:
        log.append([report("e1")])
    assert not isinstance(refused.value, OutcomeUnknown)
    assert log.head() == 0


def test_a_server_that_runs_a_long_script_refuses_and_goes_on_after_it(
    start_server: Callable[..., Server], every_server: Server
) -> None:
    server = start_server(every_server.kind, busy_reply_threshold="1")
    log = Log(server.client(), "a")
    log.append([report("e1")])
    with ThreadPoolExecutor(1) as threads:
        endless = threads.submit(server.client().eval, "while true do end", 0)
        for question, says in (
            (log.head, "NOSAVE"),
            (lambda: log.append([report("e2")]), r"NOSAVE\. Nothing was stored"),
        ):
            with pytest.raises(StorageUnavailable, match=rf"BUSY.*{says}\. Retry later"):
                _until_refused(question)
        server.client().script_kill()
        assert isinstance(endless.exception(), redis.exceptions.ResponseError)
    assert log.head() == 1
    assert receipts(log.append([report("e2")])) == [(2, False)]


def _until_refused(question: Callable[[], object]) -> None:
    # The script may have reached the server after the question did.
    for _ in range(10_000):
        question()


def test_an_error_in_the_middle_of_a_function_is_not_taken_for_a_refusal(every_server: Server) -> None:
    broken = every_server.client().register_script("#!lua\nredis.call('SET', KEYS[1], '1'); return nil + 1")
    with pytest.raises(OutcomeUnknown, match="in the middle of a function"), storage(writing=True):
        broken(keys=["{a}:x"])


def test_a_batch_that_is_refused_before_it_is_sent_needs_no_server(log: Log) -> None:
    log.client.connection_pool.disconnect()
    with pytest.raises(InvalidEvent):
        log.append([report("")])


def test_events_are_found_by_source_and_id_many_at_once(long_log: Log) -> None:
    wanted = [("urn:desk", f"e{n}") for n in (LONG, 1, 7, 1)]
    places = long_log.positions_of([*wanted, ("urn:desk", "nobody's"), ("urn:other", "e1"), ("\ud800", "e1")])
    assert places == {each: long_log.position_of(*each) for each in wanted}
    found = long_log.at_each(list(places.values()))
    assert [decode(event).id for event in found] == [name for _, name in places]
    assert (long_log.positions_of([]), long_log.at_each([])) == ({}, [])


# The function and its caller


def header(name: str) -> dict[str, list[str]]:
    """The numbered places of KEYS and ARGV in the header of a function, each with its words."""
    sections: dict[str, str] = {}
    label = ""
    for line in load_function(name).splitlines():
        if found := re.fullmatch(r"-- ?([A-Z]{4,} )?\s*(.*)", line):
            label = (found[1] or label).strip()
            sections[label] = f"{sections.get(label, '')} {found[2]}"
        elif sections:
            break
    return {kind: re.split(r"\s+\d+(?:\.\.)? ", sections[kind])[1:] for kind in ("KEYS", "ARGV")}


def test_the_header_of_append_says_what_its_caller_passes(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: dict[str, list[Any]] = {}
    function = log._append

    def spy(*, keys: list[str], args: list[str | int | bytes]) -> object:
        passed.update(KEYS=keys, ARGV=args)
        return function(keys=keys, args=args)

    monkeypatch.setattr(log, "_append", spy)
    batch = [report("e1", subject="s"), report("e2"), report("e3", subject="t"), report("e4", subject="s")]
    log.append(batch, expected_position=0, expected_subject=("s", "none"))

    head = header("append")
    assert [re.split(r" \(|,| of | a ", words)[0] for words in head["KEYS"]] == [
        "log",
        "ids",
        "subjects",
        "one list",
    ]
    ledger = log.ledger
    assert passed["KEYS"] == [
        keys.log(ledger),
        keys.ids(ledger),
        keys.subjects(ledger),
        keys.subject(ledger, "s"),
        keys.subject(ledger, "t"),
    ]
    types = [words[words.index("(") + 1 : words.index(")")] for words in head["KEYS"][:3]]
    assert [as_bytes(log.client.type(key)).decode() for key in passed["KEYS"]] == [*types, "list", "list"]

    assert [re.split(r" \(|,| of ", words)[0] for words in head["ARGV"]] == [
        "expected position",
        "subject",
        "what is expected",
        "identities",
        "one an event: payload",
        "one a list: subject",
        "two an event that has a subject: number",
    ]
    identities, *rest = passed["ARGV"][3:]
    assert passed["ARGV"][:3] == ["0", "s", "none"]
    assert identities == b"".join(keys.identity(event.source, event.id) for event in batch)
    assert rest == [*map(encode, batch), "s", "t", b"1", b"4", b"3", b"5", b"4", b"4"]


@only_long
def test_given_a_large_batch_when_it_is_broken_off_while_it_is_packed_then_the_process_lives_on(
    server: Server,
) -> None:
    log = Log(server.client(), new_ledger())
    # In a process of its own, for what it once did is to crash.
    code = f"""
import signal

from events import Log, connect
from events.append_call import append_call
from tests.strategies import report


class BrokenOff(Exception):
    pass


def break_off(*_):
    raise BrokenOff


log = Log(connect({url_of(log)!r}), {log.ledger!r})
events = [report(f"e{{n}}", subject=f"s{{n % 7}}") for n in range(10_000)]
log.append(events)
signal.signal(signal.SIGALRM, break_off)
pack = log.client.connection_pool.get_connection().pack_command
arguments = ("EVALSHA", *append_call(log.ledger, events).arguments)
for moment in range(1, 101):
    try:
        signal.setitimer(signal.ITIMER_REAL, moment / 2000)
        while True:
            pack(*arguments)
    except BrokenOff:
        pass
assert len(log.append(events)) == 10_000
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_legend_of_the_keys_has_every_key_that_an_append_makes(log: Log, every_server: Server) -> None:
    log.append([report("e1", subject="s"), report("e2")])
    made = {
        (
            re.sub(r"[0-9a-f]{32}$", "<sha256/16>", key.decode()).replace(log.ledger, "name"),
            as_bytes(client_type).decode(),
        )
        for key in every_server.client().scan_iter(f"{{{log.ledger}}}:*", count=10_000)
        for client_type in [every_server.client().type(key)]
    }
    legend = {
        tuple(line.split()[:2])
        for line in (keys.__doc__ or "").splitlines()
        if line.split()[2:3] == ["append.lua"]
    }
    assert made == legend
