"""Rebuilding beside the live projection: equal digests, one switch, a way back, and nothing left of what failed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from events import (
    BadQuestion,
    DecodedEvent,
    Log,
    LogDamaged,
    LogForked,
    OutcomeUnknown,
    ParkedEvents,
    StorageUnavailable,
    Unreadable,
    connect,
    keys,
)
from projections import PROJECTIONS, Fenced, Generation, Store, lockstep
from projections import store as store_module
from projections.replay import Rebuilt, adopt, discard, go_back, rebuild, rebuild_together
from projections.store import Digests, Progress
from projections.together import read_together

from .conftest import new_ledger
from .given import (
    HISTORY,
    Tally,
    append,
    append_newer,
    counted_round_trips,
    documents,
    drain,
    folded,
    reads_of_the_log,
    stored,
)
from .long import some
from .proxy import Proxy
from .servers import KINDS, Server

MANY = range(20, 1_120)  # figures of so many reports that a rebuild takes three pages


@pytest.fixture
def store(log: Log) -> Store:
    """Of a ledger with three reports, all of them projected."""
    append(log, 40, 41, 42)
    store = Store(log, Tally())
    drain(store.open_live())
    return store


def generations(store: Store) -> set[int]:
    """The generations that have any key."""
    pattern = re.escape(store.pointer) + r":(\d+):"
    return {int(match[1]) for name in stored(store.log) if (match := re.match(pattern, name))}


def but_for_the_number(held: dict[str, Any], store: Store) -> dict[str, Any]:
    """What is stored, but for the number that the next generation takes: no number is used twice."""
    pointer = {field: value for field, value in held[store.pointer].items() if field != b"newest"}
    return held | {store.pointer: pointer}


def read(log: Log, at_least: int = 0) -> tuple[int, int]:
    """What a reader sees: a position, and how many reports are counted."""
    return read_together(log, [Tally()], lambda views: views["tally"].get("all") or 0, at_least=at_least)


def broken_off_at(
    page: int, how: type[BaseException], heard: list[int] | None = None
) -> Callable[[int], None]:
    """Progress that raises where it hears of a position for the `page`th time; `heard` are all."""
    heard = [] if heard is None else heard

    def progress(position: int) -> None:
        heard.append(position)
        if len(heard) == page:
            raise how

    return progress


# Equal, or not


@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_rebuild_gives_the_documents_that_the_live_projection_has(log: Log, name: str) -> None:
    log.append(HISTORY)
    store = Store(log, PROJECTIONS[name])
    drain(store.open_live(), limit=7)

    rebuilt = rebuild(store)
    assert (rebuilt.position, rebuilt.digest) == folded(log, PROJECTIONS[name])
    assert rebuilt.live_digest == rebuilt.digest
    assert not rebuilt.differs
    assert store.live() == rebuilt.live_generation == 1

    adopt(store, rebuilt)
    assert (store.live(), store.previous()) == (rebuilt.generation, 1)
    assert store.open_live().digest() == folded(log, PROJECTIONS[name])


def test_a_rebuild_beside_the_live_one_works_on_every_server(every_server: Server) -> None:
    log = Log(every_server.client(), new_ledger())
    append(log, 40, 41, 42)
    store = Store(log, Tally())
    drain(store.open_live(), limit=1)
    for _ in range(2):
        adopt(store, rebuild(store))
    assert go_back(store) == 2
    assert generations(store) == {2, 3}
    assert store.open_live().digest() == folded(log, Tally())


def test_progress_is_told_of_each_page(log: Log) -> None:
    append(log, *MANY)
    heard: list[int] = []
    rebuild(Store(log, Tally()), heard.append)
    assert list(dict.fromkeys(heard)) == [500, 1_000, 1_100]


def test_progress_goes_on_while_the_live_one_follows_and_while_documents_are_read(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockstep, "FOLDING", float("inf"))  # no page ends because the machine is slow
    append(log, *MANY)
    store = Store(log, Tally())
    store.open_live().advance()
    heard: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(store_module, "SCANNED", 10_000)  # all documents at once
        rebuild(store, heard.append)
    assert heard == [500, 1_000, *[1_100] * 3]  # of which the last two are pages of the live one
    heard.clear()
    rebuild(store, heard.append)
    assert heard[:3] == [500, 1_000, 1_100]
    assert heard.count(1_100) >= 3  # once more at least for each of the two whose documents are read


def test_where_nothing_was_projected_there_is_nothing_to_compare_with_and_nothing_is_built_twice(
    log: Log,
) -> None:
    append(log, 40, 41)
    store = Store(log, Tally())
    rebuilt = rebuild(store)
    assert (rebuilt.position, rebuilt.digest) == folded(log, Tally())
    assert rebuilt.live_digest is None
    assert not rebuilt.differs
    assert store.open_live().checkpoint().position == 0
    adopt(store, rebuilt)
    assert store.open_live().digest() == folded(log, Tally())


def test_an_empty_log_can_be_replayed(log: Log) -> None:
    store = Store(log, Tally())
    adopt(store, rebuild(store))
    assert store.open_live().digest() == folded(log, Tally())


CORRUPTIONS: dict[str, Callable[[Any, str], object]] = {
    "changed": lambda client, key: client.hset(key, "all", b"1000 1000"),
    "removed": lambda client, key: client.hdel(key, "figure 41"),
    "added": lambda client, key: client.hset(key, "figure 1", b"1000 1"),
    "all gone": lambda client, key: client.delete(key),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_documents_that_somebody_changed_by_hand_differ_and_adopting_the_rebuild_repairs_them(
    store: Store, corruption: str
) -> None:
    live = store.open_live()
    CORRUPTIONS[corruption](store.client, live.documents_key)
    corrupted = live.digest()
    rebuilt = rebuild(store)
    assert rebuilt.differs
    assert (rebuilt.position, rebuilt.digest) == folded(store.log, Tally())
    assert (rebuilt.position, rebuilt.live_digest) == corrupted == live.digest()
    adopt(store, rebuilt)
    assert store.open_live().digest() == folded(store.log, Tally())
    assert read(store.log) == (3, 3)


def test_a_live_projection_that_is_behind_is_compared_where_both_are(store: Store) -> None:
    append(store.log, *MANY)
    rebuilt = rebuild(store)
    assert rebuilt.position == 1_103
    assert rebuilt.live_digest == rebuilt.digest
    assert store.open_live().checkpoint().position == 1_103


def test_comparing_looks_at_the_documents_once_however_far_the_live_one_is_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store.log, *MANY)
    looked = []
    original = Generation.digests

    def look(self: Generation, progress: Progress) -> Digests:
        looked.append(self.number)
        return original(self, progress)

    monkeypatch.setattr(Generation, "digests", look)
    rebuild(store)
    assert sorted(looked) == [1, 2]


def test_comparing_ends_though_the_live_one_moves_on_at_every_look(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a steady load the two are never at one position by chance."""
    worker = store.open_live()
    figures = iter(range(20, 40))
    original = Generation.digests

    def look(self: Generation, progress: Progress) -> Digests:
        if self.number == worker.number and (figure := next(figures, None)):
            append(store.log, figure, figure)
            worker.advance(limit=1)
        return original(self, progress)

    monkeypatch.setattr(Generation, "digests", look)
    rebuilt = rebuild(store)
    assert next(figures, None) is not None
    assert rebuilt.live_digest == rebuilt.digest
    monkeypatch.undo()
    adopt(store, rebuilt)
    assert store.open_live().digest() == folded(store.log, Tally())


def test_a_live_projection_that_disappears_while_it_is_looked_at_is_not_said_to_differ(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = store.open_live()
    original = Generation.digests

    def look(self: Generation, progress: Progress) -> Digests:
        if self.number == live.number:
            store.client.delete(live.state_key, live.documents_key)
        return original(self, progress)

    monkeypatch.setattr(Generation, "digests", look)
    with pytest.raises(BadQuestion, match="replay again"):
        rebuild(store)
    assert generations(store) == set()


# Events that cannot be applied


def test_a_rebuild_that_meets_events_it_cannot_apply_lists_all_and_touches_nothing(store: Store) -> None:
    append(store.log, 13, 43)
    newer = append_newer(store.log, id="n1")
    append(store.log, 44, 13)
    drain(store.open_live())
    before = stored(store.log)
    with pytest.raises(ParkedEvents, match="3 events cannot be applied") as refusal:
        rebuild(store)
    assert [position for position, _ in refusal.value.faults] == [4, newer, 8]
    assert "thirteen is not counted here" in refusal.value.faults[0][1]
    assert but_for_the_number(stored(store.log), store) == but_for_the_number(before, store)
    assert generations(store) == {1}


def test_an_event_that_cannot_be_applied_stops_a_rebuild_that_has_nothing_to_compare_with(log: Log) -> None:
    append(log, 40, 13)
    store = Store(log, Tally())
    with pytest.raises(ParkedEvents, match="position 2"):
        rebuild(store)
    assert generations(store) == set()


def test_an_event_that_cannot_be_applied_and_comes_while_the_two_are_compared_stops_the_rebuild_too(
    store: Store,
) -> None:
    append(store.log, 43)
    worker = store.open_live()
    counted: list[int] = []

    def before_counting(event: Any) -> None:
        counted.append(event.position)
        if counted == [1, 2, 3, 4, 4]:  # the live one follows
            append(store.log, 13)
            drain(worker)

    with pytest.raises(ParkedEvents) as refusal:
        rebuild(Store(store.log, Tally(before_counting=before_counting)))
    assert [position for position, _ in refusal.value.faults] == [5]
    assert generations(store) == {1}


# Several in one pass


def test_several_are_rebuilt_in_one_pass_over_the_log(start_server: Callable[..., Server]) -> None:
    log = Log(start_server().client(), "cac")
    log.append(HISTORY)
    append(log, *MANY)
    stores = [Store(log, projection) for projection in PROJECTIONS.values()]
    with counted_round_trips() as together:
        several = rebuild_together(stores)
    with counted_round_trips() as alone:
        rebuild(stores[0])
    assert reads_of_the_log(together) == reads_of_the_log(alone)
    for store, rebuilt in zip(stores, several, strict=True):
        assert isinstance(rebuilt, Rebuilt)
        adopt(store, rebuilt)
        assert store.open_live().digest() == folded(log, store.projection)


def test_one_that_cannot_be_rebuilt_leaves_nothing_and_does_not_keep_it_from_the_others(store: Store) -> None:
    append(store.log, 13, 43)  # which is none for `tally`
    totals = Store(store.log, PROJECTIONS["totals"])
    heard: list[int] = []
    refused, rebuilt = rebuild_together([store, totals], heard.append)
    assert isinstance(refused, ParkedEvents)
    assert isinstance(rebuilt, Rebuilt)
    assert (rebuilt.position, rebuilt.digest) == folded(store.log, totals.projection)
    assert generations(store) == {1}
    assert generations(totals) == {2}
    assert heard == [4, 5]  # `tally` ends its page at what it parks


def test_one_whose_generations_something_else_wrote_does_not_keep_it_from_the_others(store: Store) -> None:
    shares, totals = (Store(store.log, PROJECTIONS[name]) for name in ("shares", "totals"))
    store.client.set(shares.pointer, "something else's")
    first, refused, last = rebuild_together([store, shares, totals])
    assert isinstance(refused, LogDamaged)
    assert [type(each) for each in (first, last)] == [Rebuilt, Rebuilt]


def test_a_pass_that_is_broken_off_leaves_nothing_of_any(store: Store) -> None:
    totals = Store(store.log, PROJECTIONS["totals"])
    with pytest.raises(KeyboardInterrupt):
        rebuild_together([totals, store], broken_off_at(1, KeyboardInterrupt))
    assert (generations(store), generations(totals)) == ({1}, set())


class Stuck(Store):
    """A store that takes nothing away."""

    def drop(self, number: int) -> None:
        raise StorageUnavailable(f"generation {number} stays")


def test_where_one_cannot_be_removed_the_others_are_and_it_goes_with_the_next_switch(store: Store) -> None:
    stuck, totals = Stuck(store.log, Tally()), Store(store.log, PROJECTIONS["totals"])
    with pytest.raises(KeyboardInterrupt):
        rebuild_together([stuck, totals], broken_off_at(1, KeyboardInterrupt))
    assert (generations(store), generations(totals)) == ({1, 2}, set())
    adopt(store, rebuild(store))
    assert generations(store) == {1, 3}


def test_given_many_rebuilds_when_another_is_adopted_then_it_takes_no_more_commands(
    start_server: Callable[..., Server],
) -> None:
    log = Log(start_server().client(), "ledger")
    append(log, 40, 41)
    store, taken = Store(log, Tally()), []
    for _ in range(8):
        rebuilt, before = rebuild(store), commands_run(log)
        adopt(store, rebuilt)
        taken.append(commands_run(log) - before)
    assert len(set(taken[2:])) == 1, taken
    assert generations(store) == {8, 9}


def commands_run(log: Log) -> int:
    """How many commands the server has run so far."""
    about: Any = log.client.info("stats")
    return int(about["total_commands_processed"])


class BreaksOff(Store):
    """A store that is broken off where it would take a generation away."""

    def drop(self, number: int) -> None:
        raise KeyboardInterrupt(number)


def test_given_a_switch_that_broke_off_while_it_removed_old_ones_when_another_is_made_then_they_go(
    store: Store,
) -> None:
    for _ in range(2):
        adopt(store, rebuild(store))
    with pytest.raises(KeyboardInterrupt):
        adopt(BreaksOff(store.log, Tally()), rebuild(store))
    assert generations(store) == {2, 3, 4}
    adopt(store, rebuild(store))
    assert generations(store) == {4, 5}


def test_given_a_ledger_that_does_not_say_which_are_gone_when_a_rebuild_is_adopted_then_no_old_one_is_left(
    store: Store,
) -> None:
    for _ in range(3):
        adopt(store, rebuild(store))
    store.client.hdel(store.pointer, "oldest")  # as an older version left it
    store.client.hset(store.generation(1).documents_key, "all", "0 1")
    adopt(store, rebuild(store))
    assert generations(store) == {4, 5}


def test_given_a_way_back_that_was_taken_when_rebuilds_are_adopted_then_no_old_one_is_left(
    store: Store,
) -> None:
    for _ in range(2):
        adopt(store, rebuild(store))
    assert go_back(store) == 2
    for _ in range(2):
        adopt(store, rebuild(store))
    assert generations(store) == {4, 5}


def test_one_that_cannot_be_rebuilt_and_not_be_removed_does_not_keep_it_from_the_others(store: Store) -> None:
    append(store.log, 13)
    refused, rebuilt = rebuild_together([Stuck(store.log, Tally()), Store(store.log, PROJECTIONS["totals"])])
    assert isinstance(refused, ParkedEvents)
    assert isinstance(rebuilt, Rebuilt)


def test_what_a_rebuild_left_on_a_server_that_went_away_goes_with_the_next_switch(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    log = Log(server.client(), "ledger")
    append(log, *MANY)
    stores = [Store(log, Tally()), Store(log, PROJECTIONS["totals"])]
    with pytest.raises(StorageUnavailable):
        rebuild_together(stores, lambda _: server.kill())
    server.start()
    assert [generations(each) for each in stores] == [{2}, {2}]
    for each in stores:
        adopt(each, rebuild(each))
    assert [generations(each) for each in stores] == [{3}, {3}]


# Broken off


@pytest.mark.parametrize(
    ("page", "how"),
    some(
        [
            (1, RuntimeError),
            (3, RuntimeError),
            (2, KeyboardInterrupt),
            (4, RuntimeError),  # of the live one's documents
            (5, KeyboardInterrupt),  # of its own
        ],
        every=2,
    ),
)
def test_a_rebuild_that_is_broken_off_leaves_nothing(log: Log, page: int, how: type[BaseException]) -> None:
    append(log, *MANY)
    store = Store(log, Tally())
    drain(store.open_live())
    before = stored(log)
    with pytest.raises(how):
        rebuild(store, broken_off_at(page, how))
    assert but_for_the_number(stored(log), store) == but_for_the_number(before, store)


def test_a_rebuild_that_is_broken_off_while_the_server_writes_a_page_leaves_nothing(log: Log) -> None:
    append(log, *MANY)
    store = Store(log, Tally())
    drain(store.open_live())
    before = stored(log)

    def interrupt(event: DecodedEvent) -> None:
        if event.position == 502:  # the first page is on its way to the server
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(Store(log, Tally(before_counting=interrupt)))
    assert but_for_the_number(stored(log), store) == but_for_the_number(before, store)


@pytest.mark.parametrize(("page", "how"), [(1, RuntimeError), (2, KeyboardInterrupt)])
def test_a_switch_that_is_broken_off_while_the_new_one_follows_leaves_nothing(
    store: Store, page: int, how: type[BaseException]
) -> None:
    rebuilt = rebuild(store)
    append(store.log, 43)
    drain(store.open_live())
    heard: list[int] = []
    with pytest.raises(how):
        adopt(store, rebuilt, broken_off_at(page, how, heard))
    assert heard == [3, 4][:page]
    assert (store.live(), generations(store)) == (1, {1})


def test_what_a_killed_rebuild_left_behind_goes_with_the_next_one(store: Store) -> None:
    killed = store.open_new()
    killed.advance(limit=2)
    assert generations(store) == {1, 2}
    adopt(store, rebuild(store))
    assert generations(store) == {1, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rebuild_for_which_the_server_has_no_room_leaves_nothing(
    start_server: Callable[..., Server], kind: str
) -> None:
    server = start_server(kind)
    log = Log(server.client(), "ledger")
    append(log, *MANY)
    store = Store(log, Tally())
    drain(store.open_live())
    before = stored(log)

    def leave_no_memory(_: int) -> None:
        server.client().config_set("maxmemory", 1)

    with pytest.raises(StorageUnavailable, match="maxmemory"):
        rebuild(store, leave_no_memory)
    assert but_for_the_number(stored(log), store) == but_for_the_number(before, store)
    server.client().config_set("maxmemory", 0)
    adopt(store, rebuild(store))
    assert store.open_live().digest() == folded(log, Tally())


# While appends, workers and readers go on


def test_readers_see_the_whole_live_state_while_another_is_built(log: Log) -> None:
    append(log, *MANY)
    store = Store(log, Tally())
    drain(store.open_live())
    seen = []
    adopt(store, rebuild(store, lambda _: seen.append(read(log))))
    assert set(seen) == {(1_100, 1_100)} == {read(log)}
    assert len(seen) >= 3


def test_control_readers_see_a_half_built_state_where_the_live_one_is_built_again_in_place(log: Log) -> None:
    append(log, 40, 41, 42)
    live = Store(log, Tally()).open_live()
    drain(live)
    log.client.delete(live.state_key, live.documents_key)
    again = Store(log, Tally()).open_live()
    again.advance(limit=1)
    assert read(log) == (1, 1)


def test_a_rebuild_under_load_ends_with_the_digest_of_a_plain_fold_and_no_reader_goes_back_in_time(
    server: Server,
) -> None:
    log = Log(server.client(), new_ledger())
    append(log, *range(20, 620))
    store = Store(log, Tally())
    drain(store.open_live())
    done = threading.Event()

    def write() -> None:
        for figure in range(1_000_000):
            append(log, 20 + figure % 50)
            if done.is_set():
                return

    def work() -> None:
        while not done.is_set():
            live = store.open_live()
            try:
                live.advance(limit=2)
            except Fenced:
                continue

    def look() -> list[tuple[int, int]]:
        seen = []
        while not done.is_set():
            seen.append(read(log))
        return seen

    with ThreadPoolExecutor(5) as threads:
        jobs = [threads.submit(write), threads.submit(work), threads.submit(work)]
        looks = [threads.submit(look), threads.submit(look)]
        try:
            rebuilt = [rebuild(store)]
            adopt(store, rebuilt[0])
            rebuilt.append(rebuild(store))
            adopt(store, rebuilt[1])
        finally:
            done.set()
        for job in jobs:
            job.result()
        for seen in (job.result() for job in looks):
            assert seen == sorted(seen)
            assert all(position == counted for position, counted in seen)
    assert [each.differs for each in rebuilt] == [False, False]
    live = store.open_live()
    drain(live)
    assert live.number == rebuilt[1].generation
    assert live.digest() == folded(log, Tally())


# Switching, and the way back


def test_what_is_appended_between_the_rebuild_and_the_switch_is_in_the_new_one(store: Store) -> None:
    rebuilt = rebuild(store)
    append(store.log, 43, 44)
    drain(store.open_live())
    adopt(store, rebuilt)
    assert store.open_live().digest() == folded(store.log, Tally())


def test_the_switch_waits_until_the_new_one_is_level_with_the_live_one(store: Store) -> None:
    """The live one moves on between the last look and the switch."""
    worker = store.open_live()
    rebuilt = rebuild(store)
    figures = iter([43, 44, 45])

    class Busy(Store):
        def switch(self, *arguments: Any, **options: Any) -> None:
            for figure in figures:
                append(self.log, figure)
                drain(worker)
                break
            super().switch(*arguments, **options)

    adopt(Busy(store.log, Tally()), rebuilt)
    assert next(figures, None) is None
    assert read(store.log) == (6, 6)
    assert store.live() == rebuilt.generation


def test_the_way_back_is_there_at_once_and_stands_where_it_was_left(store: Store) -> None:
    store.client.hset(store.open_live().documents_key, "all", b"1000 1000")
    adopt(store, rebuild(store))
    append(store.log, 43)
    drain(store.open_live())
    assert go_back(store) == 1
    assert (store.live(), store.previous()) == (1, 2)
    assert read(store.log) == (3, 1000)
    drain(store.open_live())
    assert read(store.log) == (4, 1001)
    assert go_back(store) == 2
    assert read(store.log) == (4, 4)


def test_there_is_no_way_back_from_the_first_generation(store: Store) -> None:
    with pytest.raises(BadQuestion, match="no earlier generation"):
        go_back(store)
    assert read(store.log) == (3, 3)


def test_old_generations_are_dropped_and_the_way_back_is_kept(store: Store) -> None:
    for number in (2, 3, 4):
        adopt(store, rebuild(store))
        assert generations(store) == {number - 1, number}
        assert (store.live(), store.previous()) == (number, number - 1)


def test_a_rebuild_that_is_not_wanted_is_removed(store: Store) -> None:
    before = stored(store.log)
    discard(store, rebuild(store))
    assert but_for_the_number(stored(store.log), store) == but_for_the_number(before, store)


def test_what_readers_see_and_the_way_back_cannot_be_removed(store: Store) -> None:
    rebuilt = rebuild(store)
    adopt(store, rebuilt)
    before = stored(store.log)
    with pytest.raises(BadQuestion, match="live"):
        discard(store, rebuilt)
    with pytest.raises(BadQuestion, match="way back"):
        store.drop(1)
    assert stored(store.log) == before


def test_a_rebuild_that_was_removed_cannot_be_adopted(store: Store) -> None:
    rebuilt = rebuild(store)
    discard(store, rebuilt)
    with pytest.raises(BadQuestion, match="replay again"):
        adopt(store, rebuilt)
    assert store.live() == 1
    assert generations(store) == {1}


def test_adopting_twice_is_adopting_once(store: Store) -> None:
    rebuilt = rebuild(store)
    adopt(store, rebuilt)
    append(store.log, 43)
    drain(store.open_live())
    before = stored(store.log)
    adopt(store, rebuilt)
    assert stored(store.log) == before


@pytest.mark.parametrize("fault", ["lose_replies_to", "lose_requests_with"])
def test_a_switch_whose_answer_is_lost_is_made_again_by_the_same_call(server: Server, fault: str) -> None:
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        append(log, 40, 41, 42)
        store = Store(log, Tally())
        drain(store.open_live())
        rebuilt = rebuild(store)
        getattr(proxy, fault)(b"EVALSHA", 1)
        with pytest.raises(OutcomeUnknown):
            adopt(store, rebuilt)
        adopt(store, rebuilt)
        assert (store.live(), store.previous()) == (2, 1)
        assert generations(store) == {1, 2}
        assert store.open_live().digest() == folded(log, Tally())


# Several at once


def test_of_two_rebuilds_one_after_the_other_is_adopted_and_the_other_leaves_nothing(store: Store) -> None:
    one, other = rebuild(store), rebuild(store)
    adopt(store, one)
    with pytest.raises(BadQuestion, match="generation 2 became live meanwhile, not 1: replay again"):
        adopt(store, other)
    assert store.live() == one.generation
    assert generations(store) == {1, 2}


@pytest.mark.parametrize("page", some([1, 2, 3], every=2))
def test_a_rebuild_that_is_overtaken_by_another_says_so_and_leaves_nothing(log: Log, page: int) -> None:
    append(log, *MANY)
    store = Store(log, Tally())
    drain(store.open_live())
    heard: list[int] = []

    def progress(position: int) -> None:
        heard.append(position)
        if len(heard) == page:
            adopt(store, rebuild(store))

    with pytest.raises(BadQuestion, match="replay again"):
        adopt(store, rebuild(store, progress))
    assert (store.live(), store.previous()) == (3, 1)
    assert generations(store) == {1, 3}
    assert store.open_live().digest() == folded(log, Tally())


def test_a_rebuild_beside_a_live_one_that_is_dropped_meanwhile_says_so_and_leaves_nothing(
    store: Store,
) -> None:
    append(store.log, 43)

    def overtake(_: int) -> None:
        for _ in range(2):
            adopt(store, rebuild(store))

    with pytest.raises(BadQuestion, match="replay again"):
        adopt(store, rebuild(store, overtake))
    assert (store.live(), store.previous()) == (4, 3)
    assert generations(store) == {3, 4}


def test_given_a_rebuild_that_is_removed_once_it_was_read_when_it_is_compared_then_it_is_not_said_to_differ(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Generation.keeps_past

    def keeps_past(generation: Generation) -> bool:
        if generation.number != store.live():
            generation.store.drop(generation.number)
        return original(generation)

    monkeypatch.setattr(Generation, "keeps_past", keeps_past)
    with pytest.raises(BadQuestion, match="another replay was adopted meanwhile"):
        rebuild(store)


def test_old_ones_are_dropped_but_not_one_that_becomes_live_while_they_are(store: Store) -> None:
    """Another rebuild begins after our switch, and is adopted while we remove what is old."""
    late: list[Rebuilt] = []

    class Slow(Store):
        def switch(self, *arguments: Any, **options: Any) -> None:
            super().switch(*arguments, **options)
            late.append(rebuild(store))

        def drop(self, number: int) -> None:
            if number == late[0].generation:
                adopt(store, late[0])
            super().drop(number)

    adopt(Slow(store.log, Tally()), rebuild(store))
    assert store.live() == late[0].generation
    assert generations(store) == {store.live(), store.previous()}
    assert read(store.log) == (3, 3)


def test_many_rebuilds_at_once_leave_one_live_generation_and_one_way_back(store: Store) -> None:
    append(store.log, *range(20, 60))

    def replay(_: int) -> bool:
        try:
            adopt(store, rebuild(store))
        except BadQuestion:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        adopted = list(threads.map(replay, range(12)))
    assert any(adopted)
    assert generations(store) == {store.live(), store.previous()}
    assert store.open_live().digest() == folded(store.log, Tally())


# Another version, another log


@pytest.mark.parametrize("position", ["somewhere", ""])
def test_a_state_that_something_else_wrote_gives_way_to_a_rebuilt_one(store: Store, position: str) -> None:
    drain(live := store.open_live())
    held = documents(live)
    store.client.hset(live.state_key, "position", position)
    adopt(store, rebuild(store))
    assert documents(store.open_live()) == held


def test_generations_that_something_else_numbered_are_named_as_such(store: Store) -> None:
    store.client.hset(store.pointer, "live", "the last one")
    with pytest.raises(Unreadable, match=r"b'the last one': something else wrote to it"):
        store.live()


def test_a_new_version_is_built_beside_the_old_one_and_the_way_back_leads_to_the_old_one(
    store: Store,
) -> None:
    @dataclass(frozen=True)
    class Squares(Tally):
        version: int = 2

        def evolve(self, documents: Any, event: Any, stands: bool) -> None:
            super().evolve(documents, event, stands)
            documents.put("all", 2 * event.position)

    newer = Store(store.log, Squares())
    rebuilt = rebuild(newer)
    assert rebuilt.live_digest is None
    assert not rebuilt.differs
    assert read(store.log) == (3, 3)
    adopt(newer, rebuilt)
    assert documents(newer.open_live())["all"] == 6
    with pytest.raises(Unreadable, match="built by version 2"):
        read(store.log)
    go_back(newer)
    assert read(store.log) == (3, 3)
    with pytest.raises(Unreadable, match="built by version 1"):
        newer.open_live().advance()


@pytest.mark.parametrize(
    "figures", [[50], [50, 51, 52], [50, 51, 52, 53, 54]], ids=["shorter", "equal", "longer"]
)
def test_replaying_is_the_way_out_where_the_log_is_another_one(store: Store, figures: list[int]) -> None:
    """As the refusal says. Whoever answers for the ledger has found that this log is the right one."""
    log = store.log
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
    append(log, *figures)
    with pytest.raises(LogForked, match="run `approvals replay`"):
        store.open_live().advance()
    rebuilt = rebuild(store)
    assert rebuilt.live_digest is None
    adopt(store, rebuilt)
    live = store.open_live()
    assert live.digest() == folded(log, Tally())
    append(log, 60)
    drain(live)
    assert live.digest() == folded(log, Tally())
    assert generations(store) == {1, 2}


def test_a_log_that_lost_its_last_events_is_not_taken_for_another_one(store: Store) -> None:
    """Documents of events that are lost are worth more than the rest of the log: they stay live."""
    recorded = store.log.at(3)
    assert recorded is not None
    store.client.xdel(keys.log(store.log.ledger), f"3-{recorded.recorded_ms}")
    with pytest.raises(LogDamaged, match="restore a backup"):
        adopt(store, rebuild(store))
    assert store.live() == 1
    assert documents(store.open_live())["all"] == 3


@pytest.fixture(autouse=True)
def every_thread_ends() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before
