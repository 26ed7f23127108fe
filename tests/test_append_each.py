"""Batch after batch, the next made ready while the server writes: in order, each whole or not at all, and none left behind."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from itertools import count

import pytest

from events import (
    BadQuestion,
    Event,
    IdConflict,
    InvalidEvent,
    LedgerError,
    Log,
    OutcomeUnknown,
    Receipt,
    TooLarge,
    connect,
    keys,
)

from .conftest import new_ledger
from .given import there
from .proxy import Proxy
from .servers import Server
from .strategies import report


@pytest.fixture
def log(every_server: Server) -> Log:
    """An empty ledger, on each server in turn."""
    return Log(every_server.client(), new_ledger())


def batches_of(ids: str) -> Iterator[Iterator[Event]]:
    """A batch for each word of `ids`, an event for each letter; both as they are asked for."""
    return (map(report, word) for word in ids.split())


def placed(found: list[Receipt]) -> list[tuple[str, int, bool]]:
    return [(receipt.id, receipt.position, receipt.duplicate) for receipt in found]


def test_every_batch_is_stored_in_order_and_has_its_receipts(log: Log) -> None:
    assert [placed(found) for found in log.append_each(batches_of("ab c def"))] == [
        [("a", 1, False), ("b", 2, False)],
        [("c", 3, False)],
        [("d", 4, False), ("e", 5, False), ("f", 6, False)],
    ]
    assert log.head() == 6


def test_of_no_batch_nothing_comes(log: Log) -> None:
    assert list(log.append_each([])) == []


def test_batches_sent_again_are_duplicates(log: Log) -> None:
    assert list(log.append_each(batches_of("ab c")))
    again = [placed(found) for found in log.append_each(batches_of("ab dc"))]
    assert again == [[("a", 1, True), ("b", 2, True)], [("d", 4, False), ("c", 3, True)]]


def test_a_batch_is_on_its_way_while_the_next_is_built(log: Log, every_server: Server) -> None:
    """Whoever follows the log has one batch before the next exists. (The first may be what the server lacks the script for.)"""
    log.append([report("z")])
    follower = Log(every_server.client(), log.ledger).follow(1, wait=4)
    seen = []

    def batches() -> Iterator[list[Event]]:
        yield [report("a")]
        seen.append(there(next(follower)).position)
        yield [report("b")]

    assert [placed(found) for found in log.append_each(batches())] == [[("a", 2, False)], [("b", 3, False)]]
    assert seen == [2]


def conflicting(log: Log) -> Event:
    log.append([report("known")])
    return report("known", 99)


WRONG: dict[str, tuple[Callable[[Log], Event], type[LedgerError]]] = {
    "an event that is none": (lambda _: report(""), InvalidEvent),
    "an id that is taken": (conflicting, IdConflict),
}


@pytest.mark.parametrize(("make", "error"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_wrong_with_a_batch_ends_it_after_the_receipts_of_those_before(
    log: Log, make: Callable[[Log], Event], error: type[LedgerError], place: int
) -> None:
    wrong = make(log)
    before = log.head()
    batches = [[report(f"e{n}"), report(f"f{n}")] for n in range(3)]
    batches[place].append(wrong)
    stored: list[list[Receipt]] = []
    with pytest.raises(error):
        stored.extend(log.append_each(batches))
    assert len(stored) == place
    assert log.head() == before + 2 * place
    assert log.position_of("urn:desk", f"e{place}") is None


def test_an_empty_batch_and_one_of_too_many_end_it_likewise(log: Log) -> None:
    too_many = (report(f"e{number}") for number in count())
    for wrong, error in (([], InvalidEvent), (too_many, TooLarge)):
        stored: list[list[Receipt]] = []
        with pytest.raises(error):
            stored.extend(log.append_each([[report("a")], wrong]))
        assert [receipt.position for (receipt,) in stored] == [1]
    assert log.head() == 1


def test_an_error_of_the_producer_ends_it_after_the_receipts_of_what_was_sent(log: Log) -> None:
    def batches() -> Iterator[list[Event]]:
        yield [report("a")]
        raise BadQuestion("no such file")

    stored: list[list[Receipt]] = []
    with pytest.raises(BadQuestion, match="no such file"):
        stored.extend(log.append_each(batches()))
    assert [placed(found) for found in stored] == [[("a", 1, False)]]


def test_whoever_stops_asking_leaves_no_batch_on_its_way(log: Log) -> None:
    answers = log.append_each(batches_of("a b c"))
    assert placed(next(answers)) == [("a", 1, False)]
    assert isinstance(answers, Generator)
    answers.close()
    assert log.head() == 1
    assert log.position_of("urn:desk", "b") is None


def test_an_interruption_between_sending_and_the_answer_gives_the_answer_to_no_other_question(
    log: Log,
) -> None:
    def batches() -> Iterator[list[Event]]:
        yield [report("a")]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(log.append_each(batches()))
    assert placed(log.append([report("a"), report("b")])) in (
        [("a", 1, True), ("b", 2, False)],
        [("a", 1, False), ("b", 2, False)],  # the connection was closed before the server had read it all
    )
    assert log.head() == 2


def test_the_producer_may_ask_the_same_log_meanwhile(log: Log) -> None:
    heads = []

    def batches() -> Iterator[list[Event]]:
        for name in "abc":
            heads.append(log.head())
            yield [report(name)]

    assert len(list(log.append_each(batches()))) == 3
    assert heads[0] == 0
    assert heads == sorted(heads)


def test_the_script_is_loaded_again_where_the_server_lost_it(log: Log, every_server: Server) -> None:
    def batches() -> Iterator[list[Event]]:
        for name in "abc":
            every_server.client().script_flush()
            yield [report(name)]

    assert [placed(found) for found in log.append_each(batches())] == [
        [("a", 1, False)],
        [("b", 2, False)],
        [("c", 3, False)],
    ]


def test_a_refusal_of_the_server_leaves_the_connection_usable(log: Log, every_server: Server) -> None:
    every_server.client().set(keys.subjects(log.ledger), "x")
    with pytest.raises(LedgerError, match="has the wrong type"):
        list(log.append_each(batches_of("a b")))
    every_server.client().delete(keys.subjects(log.ledger))
    assert [placed(found) for found in log.append_each(batches_of("a b"))] == [
        [("a", 1, False)],
        [("b", 2, False)],
    ]


def test_a_reply_that_is_lost_ends_it_and_the_same_batches_settle_it(server: Server) -> None:
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        answers = log.append_each(batches_of("a b c d"))
        assert placed(next(answers)) == [("a", 1, False)]
        proxy.lose_replies_to(b"EVALSHA", 1)
        with pytest.raises(OutcomeUnknown):
            next(answers)
        assert proxy.lost == 1
        assert log.head() == 2
        assert [placed(found) for found in log.append_each(batches_of("a b c d"))] == [
            [("a", 1, True)],
            [("b", 2, True)],
            [("c", 3, False)],
            [("d", 4, False)],
        ]
