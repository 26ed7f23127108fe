"""An event of an older shape: kept as it was written, read as it is written now."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from pydantic import ValidationError

from events import (
    CATALOG,
    Event,
    IdConflict,
    InvalidEvent,
    Log,
    RecordedEvent,
    UnknownVersion,
    decode,
    encode,
    parse,
)
from events.catalog import ApprovalGranted, BatchAnnounced, FromARow, Named
from events.envelope import OlderShape
from events.upcast import UPCASTS

from .given import data_of, event_at

OLD = "urn:approval-ledger:batch.announced.v1:1"
OLD_DATA: dict[str, object] = {
    "authority": "CAC",
    "instrument": "approval",
    "unit": "model",
    "announced_on": "2024-01",
    "size": {"relation": "=", "value": 14},
    "named": ["Xiaomi", "零一万物"],
    "source": {"publisher": "Reuters"},
}


def submitted(schema: str | None = OLD, **changes: object) -> bytes:
    document = {
        "specversion": "1.0",
        "id": "batch-4",
        "source": "urn:desk",
        "type": "batch.announced.v1",
        "dataschema": schema,
        "data": OLD_DATA | changes,
    }
    return json.dumps(document, ensure_ascii=False).encode()


def test_an_event_of_revision_1_is_stored_as_it_was_written_and_read_as_revision_2(log: Log) -> None:
    log.append([parse(submitted())])
    stored = event_at(log, 1)
    document = json.loads(stored.payload)
    assert document["data"] == OLD_DATA
    assert document["dataschema"] == OLD
    read = decode(stored)
    assert data_of(read, BatchAnnounced).named == [Named(company="Xiaomi"), Named(company="零一万物")]
    assert read.written == OLD_DATA | {"named": [{"company": "Xiaomi"}, {"company": "零一万物"}]}
    assert event_at(log, 1).payload == stored.payload


def test_the_same_old_event_sent_again_after_the_upgrade_is_a_duplicate(log: Log) -> None:
    event = parse(submitted())
    log.append([event])
    again = log.append([parse(submitted())])
    assert [(receipt.position, receipt.duplicate) for receipt in again] == [(1, True)]
    assert log.head() == 1


def test_a_payload_stored_before_the_upgrade_is_what_is_stored_after_it() -> None:
    """What the version with one revision wrote: it had no upcast, and wrote its data as it was."""
    before = json.dumps(
        json.loads(submitted()) | {"datacontenttype": "application/json"},
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    ).encode()
    assert encode(parse(before)) == before


def test_the_same_facts_in_the_new_shape_under_the_same_id_are_a_conflict(log: Log) -> None:
    log.append([parse(submitted())])
    new = submitted(None, named=[{"company": "Xiaomi"}, {"company": "零一万物"}])
    with pytest.raises(IdConflict, match="already at position 1"):
        log.append([parse(new)])
    assert log.head() == 1


def test_without_a_schema_an_event_is_of_the_current_revision() -> None:
    with pytest.raises(InvalidEvent, match=r"data\.named\.0"):
        parse(submitted(None))
    current = parse(submitted(None, named=[{"company": "Xiaomi"}]))
    assert current.older is None
    assert json.loads(encode(current))["dataschema"].endswith(":2")


def test_an_old_event_is_checked_as_strictly_as_a_new_one(log: Log) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"named": [7]}, "data.named.0"),
        ({"named": ["a\nb"]}, "data.named.0.company"),
        ({"named": "Xiaomi"}, "data.named"),
        ({"announced_on": "2024-13"}, "data.announced_on"),
        ({"admin": True}, "data.admin"),
    ]
    for changes, field in wrong:
        with pytest.raises(InvalidEvent) as refused:
            parse(submitted(OLD, **changes))
        assert refused.value.faults[0].field == field
    assert log.head() == 0


@pytest.mark.parametrize("revision", [3, 999_999])
def test_a_newer_revision_is_refused_at_the_door_and_unknown_when_read(revision: int) -> None:
    newer = submitted(OLD[:-1] + str(revision))
    words = rf"revision {revision} of batch\.announced\.v1 is newer than this software knows \(2\)"
    with pytest.raises(UnknownVersion, match=words) as refused:
        parse(newer)
    assert refused.value.code == "unknown-version"
    read = decode(RecordedEvent(1, 0, newer))
    assert read.data is None
    assert re.search(words, str(read.newer))


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "urn:approval-ledger:batch.announced.v1:0",
        "urn:approval-ledger:batch.announced.v1:01",
        "urn:approval-ledger:batch.announced.v1:-1",
        "urn:approval-ledger:batch.announced.v1:1 ",
        "urn:approval-ledger:batch.announced.v1:٣",
        "urn:approval-ledger:batch.announced.v1:" + "9" * 4_000,
        "urn:approval-ledger:total.reported.v1:1",
        "https://example.com/schema",
        "x" * 3_000,
    ],
)
def test_a_schema_of_something_else_is_refused_in_few_words(schema: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        parse(submitted(schema))
    assert refused.value.faults[0].field == "dataschema"
    assert len(str(refused.value)) < 400


def test_every_revision_but_the_current_one_has_a_step_to_the_next() -> None:
    steps = {(type_, n) for type_, model in CATALOG.items() for n in range(1, model.REVISION)}
    assert set(UPCASTS) == steps


def test_an_old_shape_that_no_longer_says_what_the_event_says_is_refused(log: Log) -> None:
    """An event that was parsed and then changed in Python: storing the old shape would lose the change."""
    event = parse(submitted())
    assert isinstance(event.data, BatchAnnounced)
    changed = replace(event, data=event.data.model_copy(update={"ordinal": 4}))
    with pytest.raises(InvalidEvent, match=r"event 0: older: differs from `data`"):
        log.append([changed])
    assert log.head() == 0
    log.append([replace(changed, older=None)])
    assert data_of(decode(event_at(log, 1)), BatchAnnounced).ordinal == 4


@pytest.mark.parametrize("revision", [0, 2, 3, -1])
def test_an_old_shape_of_no_older_revision_is_refused(log: Log, revision: int) -> None:
    event: Event = replace(parse(submitted()), older=OlderShape(revision, OLD_DATA))
    with pytest.raises(InvalidEvent, match="is not an older revision"):
        log.append([event])
    assert log.head() == 0


# The approvals: revision 2 only adds a field, so what does not use it is still written in revision 1.

GRANT: dict[str, object] = {
    "authority": "CAC",
    "instrument": "filing",
    "unit": "service",
    "item": {"name": "文心一言", "registry_number": "Beijing-WenXinYiYan-20230821"},
    "company": {"name": "百度"},
    "approved_on": "2023-08-31",
    "source": {"publisher": "CAC"},
}
AMENDMENT: dict[str, object] = {
    "authority": "CAC",
    "instrument": "filing",
    "registry_number": "Beijing-WenXinYiYan-20230821",
    "changes": {"company": {"name": "Baidu"}},
    "source": {"publisher": "CAC"},
}
REVOCATION: dict[str, object] = {
    "authority": "CAC",
    "instrument": "filing",
    "registry_number": "Beijing-WenXinYiYan-20230821",
    "revoked_on": "2024",
    "source": {"publisher": "CAC"},
}
WITHOUT_CELLS: dict[str, dict[str, object]] = {
    "approval.granted.v1": GRANT,
    "approval.amended.v1": AMENDMENT,
    "approval.revoked.v1": REVOCATION,
}
CELLS = {"模型名称": "文心\n一言", "备注": "", "备案时间": "2023/8/31\t（补登）"}


def of_a_row(type: str, data: dict[str, object], revision: int | None = None) -> bytes:
    document = {"specversion": "1.0", "id": "r1", "source": "urn:desk", "type": type, "data": data}
    if revision is not None:
        document["dataschema"] = f"urn:approval-ledger:{type}:{revision}"
    return json.dumps(document, ensure_ascii=False).encode()


@pytest.mark.parametrize("type", WITHOUT_CELLS)
def test_an_approval_without_cells_has_the_same_bytes_however_its_revision_is_named(
    log: Log, type: str
) -> None:
    data = WITHOUT_CELLS[type]
    receipts = [log.append([parse(of_a_row(type, data, revision))])[0] for revision in (1, 2, None)]
    assert [(r.position, r.duplicate) for r in receipts] == [(1, False), (1, True), (1, True)]
    stored = json.loads(event_at(log, 1).payload)
    assert stored["dataschema"] == f"urn:approval-ledger:{type}:1"
    assert stored["data"] == data
    assert parse(event_at(log, 1).payload).older is None
    assert data_of(decode(event_at(log, 1)), FromARow).published is None


@pytest.mark.parametrize("type", WITHOUT_CELLS)
def test_the_cells_of_a_row_are_kept_as_they_were_in_revision_2(log: Log, type: str) -> None:
    data = WITHOUT_CELLS[type] | {"published": CELLS}
    log.append([parse(of_a_row(type, data))])
    assert log.append([parse(of_a_row(type, data, 2))])[0].duplicate
    stored = json.loads(event_at(log, 1).payload)
    assert stored["dataschema"] == f"urn:approval-ledger:{type}:2"
    assert stored["data"]["published"] == CELLS
    assert data_of(decode(event_at(log, 1)), FromARow).published == CELLS


@pytest.mark.parametrize("type", WITHOUT_CELLS)
def test_an_approval_of_revision_1_cannot_have_cells(type: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        parse(of_a_row(type, WITHOUT_CELLS[type] | {"published": CELLS}, 1))
    assert refused.value.code == "unknown-field"


@pytest.mark.parametrize(
    "cells",
    [
        {"a": "\x00"},
        {"a": "\x1b[31m"},
        {"a": "\x85"},
        {"": "a"},
        {"a\nb": ""},
        {"a": "x" * 2_001},
        {"x" * 201: ""},
        {"a": 1},
        {str(number): "" for number in range(41)},
        [],
    ],
    ids=repr,
)
def test_what_no_row_could_hold_is_refused_as_its_cells(cells: object) -> None:
    with pytest.raises(InvalidEvent) as refused:
        parse(of_a_row("approval.granted.v1", GRANT | {"published": cells}))
    assert refused.value.faults[0].field.startswith("data.published")


def test_half_a_surrogate_pair_is_refused_in_a_cell_that_python_made() -> None:
    with pytest.raises(ValidationError):
        ApprovalGranted.model_validate(GRANT | {"published": {"a": "\ud800"}})
