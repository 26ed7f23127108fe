"""Events and bytes: what goes in comes out, in one form only, and the form never changes."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from events import (
    CATALOG,
    Event,
    InvalidEvent,
    RecordedEvent,
    Share,
    TooLarge,
    as_json_line,
    canonical,
    decode,
    encode,
    loads,
    parse,
)
from events.catalog import EventRetracted, MarketEstimated, Source, TotalReported
from events.codec import EVENT_LIMIT

from .given import data_of
from .strategies import IDS, event_data, events, report

GOLDEN = [
    line for line in (Path(__file__).parent / "golden" / "events.ndjson").read_bytes().split(b"\n") if line
]


def recorded(payload: bytes, position: int = 1, milliseconds: int = 1_706_515_200_123) -> RecordedEvent:
    return RecordedEvent(position, milliseconds, payload)


# The storage format


@pytest.mark.parametrize("line", GOLDEN, ids=lambda line: json.loads(line)["id"])
def test_the_stored_bytes_of_each_type_are_what_they_always_were(line: bytes) -> None:
    """A failure here means that the format changed: events sent again would conflict with themselves."""
    assert encode(parse(line)) == line


def test_the_golden_file_has_every_type_and_every_field_of_each() -> None:
    documents = [json.loads(line) for line in GOLDEN]
    missing = [
        f"{type_}: {path}"
        for type_, model in CATALOG.items()
        for path in _paths(model)
        if not any(_has(document["data"], path) for document in documents if document["type"] == type_)
    ]
    missing += [
        f"event: {field.name}"
        for field in fields(Event)
        if field.name not in ("older", "checked")
        and not any(field.name in document for document in documents)
    ]
    assert missing == []


def _paths(model: type[BaseModel]) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        here = field.serialization_alias or name
        found += [here] if inner is None else [f"{here}.{path}" for path in _paths(inner)]
    return found


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


def _has(data: Any, path: str) -> bool:
    first, _, rest = path.partition(".")
    places = data if isinstance(data, list) else [data]
    return any(first in place and (not rest or _has(place[first], rest)) for place in places)


# Round trips


@given(events())
def test_what_was_encoded_parses_to_the_same_event(event: Event) -> None:
    assert parse(encode(event)) == event


@given(events())
def test_there_is_one_form_only(event: Event) -> None:
    payload = encode(event)
    assert encode(parse(payload)) == payload
    assert canonical(json.loads(payload)) == payload
    assert b"\n" not in payload


@given(events())
def test_what_is_read_back_from_the_log_is_the_data_that_was_given(event: Event) -> None:
    read = decode(recorded(encode(event), position=7, milliseconds=5))
    assert (read.position, read.recorded_ms) == (7, 5)
    assert (read.source, read.id, read.type, read.subject) == (
        event.source,
        event.id,
        event.type,
        event.subject,
    )
    assert read.data == event.data


@given(st.floats(0, 100), st.floats(0, 100, exclude_min=True, allow_subnormal=False))
def test_a_share_of_any_precision_survives_both_parsers(percent: float, rounding: float) -> None:
    """The door parses with the standard library, a replay with pydantic's parser: they must agree to the last bit."""
    share = Share(percent=percent, rounding=rounding)
    data = MarketEstimated(
        estimator="CLSA",
        region="CN",
        unit="model",
        share=share,
        as_of="2024",
        source=Source(publisher="CLSA"),
    )
    payload = encode(Event(id="1", source="urn:desk", data=data))
    assert data_of(parse(payload), MarketEstimated).share == share
    assert data_of(decode(recorded(payload)), MarketEstimated).share == share


@given(events(), st.randoms(use_true_random=False))
def test_the_order_of_keys_and_white_space_make_no_other_event(event: Event, random: Random) -> None:
    def shuffled(value: object) -> object:
        if isinstance(value, dict):
            items = list(value.items())
            random.shuffle(items)
            return {key: shuffled(inner) for key, inner in items}
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    text = json.dumps(shuffled(json.loads(encode(event))), indent=random.choice([None, 2]))
    assert encode(parse(text)) == encode(event)
    assert encode(parse(text.encode())) == encode(event)


def test_absent_and_null_are_the_same_and_neither_is_stored() -> None:
    document = json.loads(encode(report("e1")))
    with_nulls = document | {"subject": None, "time": None}
    with_nulls["data"] = document["data"] | {"from": None, "to": None}
    assert encode(parse(json.dumps(with_nulls))) == encode(report("e1"))
    assert b"null" not in encode(report("e1"))


def test_a_whole_percentage_is_stored_the_same_however_it_was_written() -> None:
    document = json.loads(next(line for line in GOLDEN if b"market.estimated" in line))
    stored = set()
    for percent in ("40", "40.0", "4e1", "40.00"):
        text = json.dumps(document).replace('"percent": 40.0', f'"percent": {percent}')
        assert f'"percent": {percent}' in text
        stored.add(encode(parse(text)))
    assert len(stored) == 1


def test_a_share_of_minus_zero_is_stored_as_zero() -> None:
    line = next(line for line in GOLDEN if b"market.estimated" in line)
    stored = encode(parse(line.replace(b'"percent":40.0', b'"percent":-0.0')))
    assert b'"percent":0.0' in stored
    assert b":-0" not in stored


def test_a_name_is_stored_as_its_source_wrote_it() -> None:
    data = report("e1").data.model_copy(update={"authority": "Ｃ\u0301 ﬁ"})
    stored = encode(replace(report("e1"), data=data))
    assert "Ｃ\u0301 ﬁ".encode() in stored
    assert data_of(parse(stored), TotalReported).authority == "Ｃ\u0301 ﬁ"


# The line of an export


@given(events(), st.integers(1, 2**53 - 1), st.integers(0, 253_402_300_799_999))
def test_a_line_begins_with_what_the_ledger_added_and_ends_with_the_stored_bytes(
    event: Event, position: int, milliseconds: int
) -> None:
    payload = encode(event)
    line = as_json_line(recorded(payload, position, milliseconds))
    added, rest = line[: -len(payload) + 1], line[-len(payload) + 1 :]
    assert rest == payload[1:]
    assert list(json.loads(line))[:2] == ["sequence", "recordedtime"]
    assert added.startswith(f'{{"sequence":"{position:016d}","recordedtime":"'.encode())
    assert json.loads(line) == json.loads(payload) | json.loads(added.rstrip(b",") + b"}")


def test_the_recorded_time_has_milliseconds_and_is_in_utc() -> None:
    line = json.loads(as_json_line(recorded(encode(report("e1")), 42, 1_706_515_200_123)))
    assert line["sequence"] == "0000000000000042"
    assert line["recordedtime"] == "2024-01-29T08:00:00.123Z"


def test_sequences_sort_as_strings_as_their_positions_do_as_numbers() -> None:
    positions = [1, 9, 10, 99, 100, 2**53 - 1]
    lines = [as_json_line(recorded(encode(report("e1")), position)) for position in positions]
    assert sorted(lines) == lines


def test_what_the_ledger_adds_must_not_be_sent_to_it() -> None:
    line = as_json_line(recorded(encode(report("e1"))))
    with pytest.raises(InvalidEvent, match="sequence: is added by the ledger: remove it") as refused:
        parse(line)
    assert refused.value.code == "unknown-field"


# What the log may hold beside what this version knows


def test_a_type_that_nobody_knows_is_read_without_its_data() -> None:
    read = decode(recorded(b'{"type":"model.renamed.v1","source":"urn:desk","id":"1","data":{"x":1}}'))
    assert (read.type, read.source, read.id, read.data) == ("model.renamed.v1", "urn:desk", "1", None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff",
        b"{}",
        b'{"type":5}',
        b'{"type":null}',
        b'{"type":[]}',
        b'{"type":"x.y.v1"}',
        b'{"type":"total.reported.v1","source":"u","id":"1"}',
        b'{"type":"total.reported.v1","source":"u","id":"1","dataschema":7,"data":{}}',
        b'{"type":"batch.announced.v1","dataschema":"urn:approval-ledger:batch.announced.v1:1","data":[]}',
        b'{"type":"market.estimated.v1","data":{"share":NaN}}',
    ],
)
def test_bytes_that_are_no_event_are_named_by_their_position(payload: bytes) -> None:
    with pytest.raises(InvalidEvent, match=r"position 31 holds no event .*restore a backup"):
        decode(recorded(payload, position=31))


def test_a_version_of_a_known_type_from_the_future_is_not_taken_for_an_unknown_type() -> None:
    event = decode(recorded(b'{"type":"total.reported.v2","source":"u","id":"1","data":{}}'))
    assert event.data is None
    assert "'total.reported.v2' is a version this software does not know" in str(event.newer)
    assert event.is_of({"total.reported.v1"})
    assert not event.is_of({"batch.announced.v1", "total.v1"})
    unknown = decode(recorded(b'{"type":"model.retired.v2","source":"u","id":"1","data":{}}'))
    assert (unknown.data, unknown.newer) == (None, None)


# JSON and nothing beside


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**18), 10**18)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=12,
    )
)
def test_any_json_value_is_read_as_the_standard_library_reads_it(value: object) -> None:
    text = json.dumps(value)
    if "\\ud" in text and not _is_utf8(json.loads(text)):
        assert _refusal_of(text) == "invalid-json"
    elif _depth(value) > 16:
        assert _refusal_of(text) == "too-deep"
    else:
        assert loads(text) == value


def _is_utf8(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _refusal_of(text: str) -> str | None:
    try:
        loads(text)
    except InvalidEvent as refused:
        return refused.code
    return None


@given(st.text(alphabet='[]{}"\\,:ab1 \n', max_size=40))
def test_the_guard_against_depth_refuses_no_text_that_is_json(text: str) -> None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        assert _refusal_of(text) in ("invalid-json", "too-deep")
    else:
        expected = {None, "duplicate-key"} if _depth(value) <= 16 else {"too-deep"}
        assert _refusal_of(text) in expected


def test_brackets_inside_a_string_are_no_depth() -> None:
    text = json.dumps({"a": "[{" * 20_000 + '\\"]'})
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_sixteen_levels_are_read_and_the_seventeenth_is_too_deep(brackets: tuple[str, str]) -> None:
    opening, closing = brackets
    assert loads(opening * 16 + "1" + closing * 16)
    for depth in (17, 100_000):
        with pytest.raises(InvalidEvent, match="nests deeper than 16 levels") as refused:
            loads(opening * depth + "1" + closing * depth)
        assert refused.value.code == "too-deep"


# Limits are on bytes, and exact


def padded(size: int) -> bytes:
    text = encode(report("e1"))
    return text + b" " * (size - len(text))


def test_an_event_of_the_largest_size_is_taken_and_one_byte_more_is_not() -> None:
    assert parse(padded(EVENT_LIMIT)) == report("e1")
    with pytest.raises(TooLarge, match="the event has 65,537 bytes; at most 65,536 are taken"):
        parse(padded(EVENT_LIMIT + 1))
    with pytest.raises(TooLarge):
        parse(padded(EVENT_LIMIT + 1).decode())


@given(event_data(EventRetracted), st.sampled_from(IDS))
def test_an_event_cannot_correct_itself(data: EventRetracted, id: str) -> None:
    itself = Event(id=data.target.id, source=data.target.source, data=data)
    with pytest.raises(InvalidEvent, match=r"data\.target: an event cannot correct itself"):
        parse(encode(itself))
    other = replace(itself, source=f"{itself.source}/{id}")
    assert parse(encode(other)) == other
