"""Errors, as they come out of another process."""

from __future__ import annotations

import multiprocessing
import pickle

import pytest

from events import (
    BadQuestion,
    Fault,
    IdConflict,
    InvalidEvent,
    Lagging,
    LedgerError,
    Log,
    NotDurable,
    OutcomeUnknown,
    ParkedEvents,
    StaleExpectation,
    UnknownVersion,
    connect,
)
from projections.store import Behind

from .given import url_of
from .long import only_long
from .strategies import report


def every_kind_of(error: type[LedgerError]) -> list[type[LedgerError]]:
    return [error, *(kind for each in error.__subclasses__() for kind in every_kind_of(each))]


@pytest.mark.parametrize(
    "error",
    [
        InvalidEvent([Fault("date", "is no date", "data.as_of", index=3)]),
        UnknownVersion([Fault("unknown-version", "is newer")]),
        IdConflict("urn:desk", "e1", 7, 0),
        StaleExpectation("ledger cac", 3, 7),
        NotDurable(["appendonly is no"]),
        BadQuestion("there is no such thing", "known_at"),
        Behind("totals", 2, 5, 7),
        OutcomeUnknown("the answer was lost"),
        ParkedEvents("totals", [(3, "is newer")]),
        Lagging("not yet"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_given_an_error_when_it_is_pickled_then_it_says_and_holds_what_it_did(error: LedgerError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.code, vars(again)) == (str(error), error.code, vars(error))


def test_every_kind_of_error_with_a_beginning_of_its_own_is_pickled_the_same_way() -> None:
    for kind in every_kind_of(LedgerError):
        assert kind.__reduce__ is LedgerError.__reduce__, kind


def append_expecting(url: str, ledger: str, position: int) -> None:
    Log(connect(url), ledger).append([report("e2")], expected_position=position)


@only_long
def test_given_producers_in_a_pool_of_processes_when_one_is_refused_then_whoever_waits_for_it_hears_why(
    log: Log,
) -> None:
    log.append([report("e1")])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        asked = pool.apply_async(append_expecting, (url_of(log), log.ledger, 0))
        with pytest.raises(
            StaleExpectation, match="is at position 1, and position 0 was expected"
        ) as refused:
            asked.get(timeout=60)
    assert refused.value.current == 1
