"""What of a ledger an import compares a list with: what stands by the rule of the projections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from approval_ledger.importing import compare
from events import Event, EventData, Log
from events.catalog import ApprovalGranted

from .conftest import new_ledger
from .given import (
    DESK,
    amended,
    ask,
    called,
    granted,
    retracted,
    revoked,
    superseded,
)
from .servers import Server

GRANT = granted("A", "x", "2024-01-01", number="N1")


def append(log: Log, **events: EventData) -> None:
    """Events by the ids that they have, in this order."""
    log.append([called(name, data) for name, data in events.items()])


def held(log: Log) -> dict[str, compare.Held]:
    """What an import has of the events of the desk, by their ids."""
    return {name: one for (_, name), one in compare.holding(log, {DESK}).events.items()}


def standing(log: Log) -> set[int]:
    """The positions of the approvals that a projection counts."""
    claims = ask(list(log.read()), "sources")
    return {
        report["position"]
        for claim in claims
        for report in claim["reports"]
        if claim["type"] == ApprovalGranted.TYPE
    }


# One rule


def test_given_a_retraction_that_was_taken_back_before_it_came_when_a_ledger_is_read_then_its_target_stands(
    log: Log,
) -> None:
    append(log, grant=GRANT, undo=retracted("wrong"), wrong=retracted("grant"))
    assert standing(log) == {1}
    assert not held(log)["grant"].retracted


def test_given_a_retraction_before_its_target_when_a_ledger_is_read_then_the_target_does_not_stand(
    log: Log,
) -> None:
    append(log, early=retracted("grant"), grant=GRANT)
    assert standing(log) == set()
    assert held(log)["grant"].retracted


def test_given_a_replacement_that_is_not_there_when_a_ledger_is_read_then_nothing_stands_in_its_place(
    log: Log,
) -> None:
    append(log, grant=GRANT, change=superseded("grant", "better"))
    assert held(log)["grant"].retracted
    append(log, better=granted("B", "x", "2024-01-01", number="N1"))
    assert (held(log)["grant"].by, held(log)["grant"].retracted) == ((DESK, "better"), False)


def test_given_amendments_and_ends_that_were_taken_back_when_a_ledger_is_read_then_they_do_not_count(
    log: Log,
) -> None:
    append(log, renamed=amended("N1", company="B"), ended=revoked("N1", on="2024-02-01"))
    found = compare.holding(log, set())
    assert (len(found.amended), len(found.revoked)) == (1, 1)
    append(log, x1=retracted("renamed"), x2=retracted("ended"))
    found = compare.holding(log, set())
    assert (found.amended, found.revoked) == ({}, set())


@st.composite
def corrected_logs(draw: st.DrawFn) -> list[Event]:
    """Grants, retractions and supersessions of each other, and of what is not there, in any order: rings, too."""
    names = [f"e{n}" for n in range(draw(st.integers(3, 10)))]
    made = []
    for name in names[:-1]:
        target = draw(st.sampled_from([other for other in names if other != name]))
        replacement = draw(st.sampled_from([other for other in names if other != target]))
        grant = granted("A", f"item {name}", "2024-01-01", number=f"N-{name}")
        data = draw(st.sampled_from([grant, retracted(target), superseded(target, replacement)]))
        made.append(called(name, data))
    return made


@given(events=corrected_logs())
def test_given_any_corrections_in_any_order_when_a_ledger_is_read_then_what_stands_is_what_a_projection_counts(
    server: Server, events: list[Event]
) -> None:
    log = Log(server.client(), new_ledger())
    log.append(events)
    grants = {event.id for event in events if isinstance(event.data, ApprovalGranted)}
    counted = {events[position - 1].id for position in standing(log)}
    found = held(log)
    by_itself = {name for name in grants if found[name].by == (DESK, name) and not found[name].retracted}
    assert by_itself == counted
    for name in grants:
        if (by := found[name].by[1]) in grants:
            assert found[name].retracted == (by not in counted)
