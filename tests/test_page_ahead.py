"""The next page folded while the server writes one: what is stored is what page after page gives, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import DecodedEvent, Log, OutcomeUnknown, connect, keys
from projections import (
    PROJECTIONS,
    Fenced,
    Generation,
    Lockstep,
    Store,
    advance_together,
    lockstep,
    store,
    stored,
)

from .conftest import new_ledger
from .given import HISTORY, Tally, append, counted_round_trips, folded, reads_of_the_log, retract
from .long import examples
from .proxy import Proxy
from .servers import Server

PAGE = 3
FIRST_AHEAD = PAGE + 1  # the first position that is folded while a commit is in flight


@pytest.fixture
def long_log(log: Log) -> Log:
    """Three pages and a piece."""
    append(log, *range(20, 30))
    return log


def tally(log: Log, name: str = "tally", **hooks: Any) -> Generation:
    return Store(log, Tally(name=name, **hooks)).open_live()


def at(position: int, what: Callable[[], object]) -> Callable[[DecodedEvent], object]:
    """Does `what` at that event, once."""
    left = [what]
    return lambda event: event.position == position and left and left.pop()()


def pages(generations: list[Generation], lockstep: Lockstep | None = None) -> Iterator[list[Any]]:
    """What each page brings, until all are at the head."""
    lockstep = lockstep or Lockstep()
    while any(outcomes := lockstep.advance(generations, PAGE)):
        yield outcomes


def is_folded(log: Log, generation: Generation) -> bool:
    return generation.digest() == folded(log, generation.store.projection)


def test_while_the_server_writes_a_page_the_next_is_folded(server: Server) -> None:
    """The answer is held back until the fold comes to the next page."""
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        append(log, *range(20, 30))
        generation = tally(log, before_counting=at(FIRST_AHEAD, proxy.released.set))
        store_ = generation.store
        client.script_load(store_.commit.script)
        proxy.stall_replies_to(b"EVALSHA", 1)
        assert list(pages([generation])) == [[3], [3], [3], [1]]
        assert proxy.lost == 1
        assert is_folded(log, generation)


def test_at_the_head_the_log_is_read_once_and_nothing_is_folded_ahead(log: Log) -> None:
    generations, lockstep = [tally(log, "first"), tally(log, "second")], Lockstep()
    assert lockstep.advance(generations, PAGE) == [0, 0]
    append(log, 40, 41)
    with counted_round_trips() as sent:
        assert lockstep.advance(generations, PAGE) == [2, 2]
    assert reads_of_the_log(sent) == 1


def test_between_two_pages_nothing_is_in_flight(long_log: Log) -> None:
    generation, lockstep = tally(long_log), Lockstep()
    for position in (3, 6, 9, 10, 10):
        lockstep.advance([generation], PAGE)
        assert generation.reached == generation.checkpoint()
        assert generation.reached.position == position


def test_what_comes_after_the_last_page_is_seen_by_the_next_look(log: Log) -> None:
    append(log, 40, 41, 42)
    generation, lockstep = tally(log), Lockstep()
    assert lockstep.advance([generation], PAGE) == [3]
    append(log, 43)
    assert lockstep.advance([generation], PAGE) == [1]
    assert is_folded(log, generation)


# Whatever is asked for, and whoever else is there


@settings(max_examples=examples(30))
@given(data=st.data())
def test_what_is_stored_is_what_page_after_page_gives(server: Server, data: st.DataObject) -> None:
    log = Log(server.client(), new_ledger())
    for figure in data.draw(st.lists(st.sampled_from([13, 20, 21, 22, None]), min_size=4, max_size=20)):
        head = log.head()
        if figure is None:
            others = st.integers(1, head + 3).filter((head + 1).__ne__)
            log.append([retract(f"r{data.draw(others)}", f"r{head + 1}")])
        else:
            append(log, figure)
    plain = [tally(log, name) for name in ("a", "b")]
    ahead = [tally(log, name) for name in ("x", "y")]
    moving = Lockstep()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "CACHED", data.draw(st.sampled_from([0, 3, 20_000])))
        patch.setattr(store, "CHANGED", data.draw(st.sampled_from([2, 20_000])))
        patch.setattr(lockstep, "FOLDING", data.draw(st.sampled_from([0.0, 1e-4, 1e9])))
        for _ in range(data.draw(st.integers(0, 8))):
            some = data.draw(st.sampled_from([ahead, ahead, ahead, ahead[:1], ahead[1:], ahead[::-1]]))
            limit, upto = data.draw(st.integers(1, 4)), data.draw(st.none() | st.integers(0, 20))
            moving.advance(some, limit, upto=upto)
            if data.draw(st.booleans()):
                tally(log, "x").advance(limit=1)  # somebody else
        while any(moving.advance(ahead, 3)):
            pass
        while any(advance_together(plain, 3)):
            pass
    for one in ahead:
        assert one.checkpoint() == plain[0].checkpoint()
        assert one.digest() == plain[0].digest()
        assert one.parked() == plain[0].parked()


def test_the_five_projections_folded_ahead_are_what_each_is_alone(log: Log) -> None:
    log.append(HISTORY)
    generations = [Store(log, projection).open_live() for projection in PROJECTIONS.values()]
    for _ in pages(generations):
        pass
    assert all(is_folded(log, each) for each in generations)


# What fails while a commit is in flight


def test_what_was_folded_on_top_of_a_commit_that_is_fenced_is_thrown_away(long_log: Log) -> None:
    """Another writer comes between the fold of the first page and its commit."""
    other = tally(long_log)
    generation = tally(long_log, before_reading=at(FIRST_AHEAD, lambda: other.advance(1)))
    (fenced,), *rest = pages([generation])
    assert isinstance(fenced, Fenced)
    assert rest == [[3], [3], [3]]
    assert is_folded(long_log, generation)


def test_one_that_is_fenced_does_not_hold_up_the_others(long_log: Log) -> None:
    other = tally(long_log, "first")
    first = tally(long_log, "first", before_reading=at(FIRST_AHEAD, lambda: other.advance(1)))
    second = tally(long_log, "second")
    (fenced, taken), *rest = pages([first, second])
    assert isinstance(fenced, Fenced)
    assert (taken, rest[0]) == (3, [0, 3])
    assert is_folded(long_log, first)
    assert is_folded(long_log, second)


def test_what_was_folded_on_top_of_a_commit_that_finds_documents_lost_is_thrown_away(long_log: Log) -> None:
    generation = tally(long_log)
    generation.advance(PAGE)
    late = tally(
        long_log,
        before_reading=at(2 * PAGE + 1, lambda: long_log.client.delete(generation.documents_key)),
    )
    lockstep = Lockstep()
    (lost,) = lockstep.advance([late], PAGE)
    assert "was left with 4 documents and has 0 now" in str(lost)
    (still_lost,) = lockstep.advance([late], PAGE)
    assert str(still_lost) == str(lost)


def test_a_fork_of_the_log_that_is_seen_ahead_is_told_and_nothing_of_the_page_before_is_written(
    long_log: Log,
) -> None:
    def fork() -> None:
        long_log.client.delete(keys.log(long_log.ledger), keys.ids(long_log.ledger))
        append(long_log, *range(40, 50))

    generation = tally(long_log, before_reading=at(1, fork))
    lockstep = Lockstep()
    (fenced,) = lockstep.advance([generation], PAGE)
    assert isinstance(fenced, Fenced)
    assert generation.checkpoint().position == 0


def test_an_event_that_cannot_be_applied_is_parked_once_the_page_before_is_written(log: Log) -> None:
    append(log, 20, 21, 22, 23, 13, 24)
    generation = tally(log)
    assert list(pages([generation])) == [[3], [2], [1]]
    assert list(generation.parked()) == [5]
    assert generation.checkpoint().position == 6


@pytest.mark.parametrize("lost", ["lose_replies_to", "lose_requests_with"])
def test_where_no_answer_comes_the_checkpoints_tell_and_nothing_counts_twice(
    server: Server, lost: str
) -> None:
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        append(log, *range(20, 30))
        generations, lockstep = [tally(log, "first"), tally(log, "second")], Lockstep()
        lockstep.advance(generations, PAGE)
        getattr(proxy, lost)(b"EVALSHA", 1)
        with pytest.raises(OutcomeUnknown):
            lockstep.advance(generations, PAGE)
        for _ in pages(generations, lockstep):
            pass
        assert all(is_folded(log, each) for each in generations)


@pytest.mark.parametrize("written", [0, PAGE])
def test_a_ctrl_c_while_a_commit_is_in_flight_gives_its_answer_to_no_other_question(
    server: Server, written: int
) -> None:
    """The answer is held back: it comes after the interruption, if anybody still listens."""
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        append(log, *range(20, 30))

        def interrupt() -> None:
            raise KeyboardInterrupt

        generation, lockstep = tally(log, before_counting=at(written + PAGE + 2, interrupt)), Lockstep()
        client.script_load(generation.store.commit.script)
        if written:
            lockstep.advance([generation], PAGE)
        proxy.stall_replies_to(b"EVALSHA", 1)
        with pytest.raises(KeyboardInterrupt):
            lockstep.advance([generation], PAGE)
        proxy.released.set()
        assert log.head() == 10
        for _ in pages([generation], lockstep):
            pass
        assert is_folded(log, generation)
