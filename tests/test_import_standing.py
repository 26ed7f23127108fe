"""What of a ledger an import compares a list with: what stands by the rule of the projections, and what it understands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approval_ledger.importing import compare
from events import Event, EventData, Log, UnknownVersion, canonical
from events.catalog import ApprovalGranted, ApprovalRevoked
from events.codec import dataschema

from .command import Ledger
from .conftest import new_ledger
from .given import (
    DESK,
    amended,
    append_raw,
    ask,
    batch,
    called,
    granted,
    retracted,
    revoked,
    superseded,
    used,
)
from .lists import ERNIE, FILED, GLM, WRITERS
from .servers import Server

GRANT = granted("A", "x", "2024-01-01", number="N1")


@pytest.fixture
def ledger(server: Server) -> Ledger:
    return Ledger(server)


@pytest.fixture
def ernie(tmp_path: Path) -> Path:
    return listed(tmp_path / "ernie.csv", ERNIE)


def listed(path: Path, *rows: tuple[str, ...]) -> Path:
    path.write_bytes(WRITERS["csv"]([FILED, *rows]))
    return path


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


# What is not understood


def append_of_revision(log: Log, revision: int, event: Event, changes: Mapping[str, Any] = {}) -> int:
    """Appends an event as software of another revision of its type wrote it, with `changes` of its data."""
    document = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "dataschema": dataschema(type(event.data), revision),
        "data": event.data.model_dump(mode="json", by_alias=True, exclude_none=True) | {**changes},
    }
    return append_raw(log, canonical(document), id=event.id, source=event.source)


def newer(log: Log, data: EventData, *, id: str = "n1", source: str = "urn:newer") -> int:
    return append_of_revision(log, 99, Event(id=id, source=source, data=data))


def test_given_what_newer_software_wrote_or_nobody_when_a_list_is_imported_then_it_is_left_out_and_said(
    ledger: Ledger, ernie: Path
) -> None:
    at = [newer(ledger.log, amended("N1", company="B")), append_raw(ledger.log, b"{}", id="no event")]
    newer(ledger.log, used("A", "x", "=1", "2024-01-01"), id="n2")  # of which an import takes nothing
    ran = ledger.run("import", ernie)
    for position in at:
        words = f"left out of the ledger, because newer software wrote it or it is not an event: position {position}\n"
        assert words in ran.out
    assert ran.out.splitlines()[-1].startswith("1 appended")
    assert ledger.run("import", ernie, "--json").document["left_out"] == at


def test_given_events_that_are_left_out_when_a_whole_list_is_imported_then_nothing_has_disappeared(
    ledger: Ledger, ernie: Path, tmp_path: Path
) -> None:
    ledger.run("import", listed(tmp_path / "both.csv", ERNIE, GLM))
    gone = ("import", ernie, "--cumulative", "--json")
    assert len(ledger.run(*gone).document["disappeared"]) == 1
    newer(ledger.log, revoked("N1", on="2024-02-01"))
    assert ledger.run(*gone).document["disappeared"] == []


def test_given_an_approval_of_the_list_that_newer_software_wrote_when_it_is_imported_then_that_is_refused(
    ledger: Ledger, ernie: Path
) -> None:
    source = "urn:regulator:cac:genai-filings"
    newer(ledger.log, GRANT, source=source)
    ran = ledger.run("import", ernie, code=1)
    assert ran.err == (
        f"unknown-version: position 1 has 'n1' of {source}, a list that is imported, as newer software wrote it (dataschema: "
        "revision 99 of approval.granted.v1 is newer than this software knows (2)): rows cannot be compared with it. Update "
        "this software. Nothing was stored.\n"
    )
    assert ledger.log.head() == 1


@pytest.mark.parametrize("data", [GRANT, revoked("N1", on="2024-02-01")])
def test_given_a_newer_approval_of_a_list_when_another_list_is_compared_then_it_is_no_reason_to_refuse(
    log: Log, data: ApprovalGranted | ApprovalRevoked
) -> None:
    newer(log, data)
    assert compare.holding(log, {DESK}).left_out == [1]
    with pytest.raises(UnknownVersion):
        compare.holding(log, {"urn:newer"})


def test_given_an_event_of_an_older_shape_when_a_ledger_is_read_then_it_is_compared_in_the_current_one(
    log: Log,
) -> None:
    names = {"named": ["Xiaomi"]}
    append_of_revision(log, 1, called("old", batch(1, "=8", "2023-08-31")), names)
    assert held(log)["old"].data["named"] == [{"company": "Xiaomi"}]


def test_given_other_reports_of_a_lists_source_when_rows_are_compared_with_the_ledger_then_they_are_no_approvals(
    ledger: Ledger, ernie: Path
) -> None:
    source = "urn:regulator:cac:genai-filings"
    ledger.log.append([Event(id="users", source=source, data=used("A", "x", "=1", "2024-01-01"))])
    assert ledger.run("import", ernie, "--json").document["appended"] == 1
