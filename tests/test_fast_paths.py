"""Each short way of the codec beside the plain one: the same bytes, and the same refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter, ValidationError

from events import (
    CATALOG,
    Event,
    EventData,
    InvalidEvent,
    RecordedEvent,
    canonical,
    date_range,
    decode,
    encode,
    from_json,
    name_key,
    parse,
)
from events.catalog import (
    ApprovalGranted,
    BatchAnnounced,
    Name,
    Named,
    Reference,
    Source,
    Text,
    TotalReported,
    is_plain,
)
from events.codec import CLOCK_TOLERANCE, _looked_through, check, loads
from events.envelope import Envelope, OlderShape
from events.quantities import Count, Strict

from .given import batch, data_of, granted
from .strategies import event_data, events, partial_dates, report

NOW = datetime(2026, 3, 31, 23, tzinfo=UTC)
ATTRIBUTES = ("id", "source", "subject", "traceparent", "correlationid", "causationid")
TEXTS = st.one_of(
    st.text(max_size=4),
    st.text(" \x00\t\u00a0\u200b\u3000\u3164\ufe0f¨e\u0301", max_size=3),
    st.sampled_from(["", " ", "a" * 200, "a" * 201, "a" * 256, "a" * 257, "零" * 85, "零" * 86, "\ud800"]),
)
VALUES = st.one_of(TEXTS, st.none(), st.integers(), st.floats(), st.booleans(), st.just(b"a"))


def plainly_checked(event: Event) -> bytes:
    """What `check` is for: the envelope and the data validated as wholes, with nothing left out."""
    given = {name: getattr(event, name) for name in (*ATTRIBUTES, "time")}
    attributes = {"specversion": "1.0", "type": event.type, "datacontenttype": "application/json"} | {
        name: value for name, value in given.items() if value is not None
    }
    Envelope.model_validate(attributes)
    model = CATALOG[event.type]
    data = event.data.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
    model.model_validate(data, by_alias=True, by_name=False)
    schema = f"urn:approval-ledger:{event.type}:{event.data.revision}"
    return canonical(attributes | {"dataschema": schema, "data": data})


@given(events())
def test_an_event_that_was_read_has_the_bytes_that_the_plain_way_gives(event: Event) -> None:
    line = plainly_checked(event)
    read = from_json(json.loads(line))
    assert check(read) == check(parse(line)) == line
    assert read == event


@given(
    st.sampled_from((*Envelope.model_fields, "sequence", "Id", "")),
    st.one_of(
        VALUES, st.just({}), st.sampled_from(["1.0", "1.1", "application/json", "2024-01-29T08:00:00Z"])
    ),
    st.booleans(),
)
@example("specversion", None, True)
@example("datacontenttype", None, False)
@example("source", None, True)
def test_the_attributes_of_a_submitted_event_are_judged_as_their_model_does(
    name: str, value: object, absent: bool
) -> None:
    document = {**json.loads(encode(report("e1"))), name: value}
    if absent:
        del document[name]

    def outcome() -> object:
        try:
            return from_json(document)
        except InvalidEvent as error:
            return error.faults

    quickly = outcome()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("events.codec._has_only_plain_attributes", lambda _: False)
        assert repr(quickly) == repr(outcome())


def test_a_model_in_the_values_of_an_event_is_checked_as_any_other() -> None:
    """Pydantic takes it as it is, and it may have been changed since it was made."""
    document = json.loads(encode(report("e1")))
    document["data"]["source"] = Source(publisher="Reuters").model_copy(update={"publisher": "\x00"})
    with pytest.raises(InvalidEvent, match=r"data\.source\.publisher"):
        check(from_json(document))
    document["data"]["source"] = Source(publisher="Reuters")
    assert check(from_json(document)) == plainly_checked(from_json(document))


def test_what_was_read_is_checked_once() -> None:
    line = encode(report("e1"))
    read = parse(line)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("events.codec._validate", None)
        assert check(read) == line


@pytest.mark.parametrize(
    "changed",
    [
        lambda event: replace(event, data=event.data.model_copy(update={"count": None})),
        lambda event: replace(event, source=""),
        lambda event: replace(event, time="yesterday"),
    ],
)
def test_what_is_made_of_an_event_that_was_read_is_checked_as_any_other(
    changed: Callable[[Event], Event],
) -> None:
    with pytest.raises(InvalidEvent):
        check(changed(parse(encode(report("e1")))))


def built(**changes: Any) -> TotalReported:
    """A total as a producer builds it."""
    known: dict[str, Any] = {
        "authority": "CAC",
        "instrument": "filing",
        "unit": "model",
        "as_of": "2024-01-28",
    }
    source = Source(publisher="Reuters")
    return TotalReported(**known | {"count": Count(relation="=", value=40), "source": source} | changes)


@given(events(), st.booleans())
def test_an_event_that_was_built_has_the_bytes_that_the_plain_way_gives(
    event: Event, something_was_made_past_its_checks: bool
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Strict, "unchecked", something_was_made_past_its_checks)
        assert check(event, datetime.now(UTC)) == plainly_checked(event)


def test_what_was_built_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event("e1", "urn:desk", built())
    monkeypatch.setattr(Strict, "unchecked", False)
    monkeypatch.setattr("events.codec._validate", None)
    assert check(event) == encode(event)


class Said(str):
    pass


class Member(StrEnum):
    NAME = "CAC"
    DAY = "2024-01-28"
    RELATION = "="
    BASIS = "ever"


@pytest.mark.parametrize(
    "values",
    [
        {"authority": Said("CAC")},
        {"authority": Member.NAME},
        {"as_of": Member.DAY},
        {"basis": Member.BASIS},
        {"count": lambda: Count(relation=Member.RELATION, value=40)},  # type: ignore[arg-type]  # no type checker looks at it
        {"count": lambda: Count(relation="=", value=IntEnum("Size", {"FORTY": 40}).FORTY)},  # type: ignore[attr-defined]
    ],
    ids=["a text", "a name", "a date", "a basis", "a relation", "a number"],
)
def test_values_of_ones_own_types_that_a_model_takes_are_stored_as_the_plain_way_stores_them(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = built(**{name: value() if callable(value) else value for name, value in values.items()})
    monkeypatch.setattr(Strict, "unchecked", False)
    event = Event("e1", "urn:desk", data)
    line = check(event)
    assert line == plainly_checked(event)
    assert decode(RecordedEvent(1, 0, line)).data == data


def _pickled_by_another_process(data: TotalReported) -> TotalReported:
    state = data.__getstate__()
    other = TotalReported.__new__(TotalReported)
    other.__setstate__({**state, "__dict__": {**state["__dict__"], "authority": "\x00"}})
    return other


@pytest.mark.parametrize(
    "changed",
    [
        lambda data: data.model_copy(update={"authority": "\x00"}),
        lambda data: data.__replace__(authority="\x00"),
        pytest.param(
            lambda data: data.copy(update={"authority": "\x00"}),
            marks=pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20"),
        ),
        lambda data: TotalReported.model_construct(**{**dict(data), "authority": "\x00"}),
        _pickled_by_another_process,
        lambda _: built(source=Source.model_construct(publisher="\x00")),
        lambda _: built(source=Source(publisher="Reuters").model_copy(update={"publisher": "\x00"})),
    ],
)
def test_what_is_made_past_the_checks_of_its_model_is_checked_as_it_will_be_stored(
    changed: Callable[[TotalReported], TotalReported], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = built()
    monkeypatch.setattr(Strict, "unchecked", False)
    with pytest.raises(
        InvalidEvent, match=r"data\.(authority|source\.publisher): holds the control character"
    ):
        check(Event("e1", "urn:desk", changed(data)))


def test_what_is_of_a_model_of_ones_own_is_taken_over_as_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changeable(Source):
        model_config = ConfigDict(frozen=False)

    source = Changeable(publisher="Reuters")
    event = Event("e1", "urn:desk", built(source=source))
    monkeypatch.setattr(Strict, "unchecked", False)
    source.publisher = "\x00"
    assert check(event) == plainly_checked(event)
    assert b"Reuters" in check(event)


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda data: data.named.append(Named(company="Zhipu")), None),
        (lambda data: data.named.append("Zhipu"), r"data\.named"),
        (lambda data: data.named.__init__([Named(company="Zhipu")] * 1_001), r"data\.named"),
    ],
)
def test_a_list_in_an_event_that_was_read_is_stored_as_it_is_then(
    change: Callable[[BatchAnnounced], object], refused: str | None
) -> None:
    read = from_json(
        json.loads(encode(Event("e1", "urn:desk", batch(2, "=14", "2024-01-28", named=["Baidu"]))))
    )
    change(data_of(read, BatchAnnounced))
    if refused:
        with pytest.raises(InvalidEvent, match=refused):
            check(read)
    else:
        assert check(read) == plainly_checked(read)
        assert b"Zhipu" in check(read)


def test_the_cells_of_a_row_that_was_read_are_stored_as_they_are_then() -> None:
    grant = granted("Baidu", "Ernie", "2024-01-01").model_copy(update={"published": {"备注": "已注销"}})
    read = parse(encode(Event("e1", "urn:desk", grant)))
    cells = data_of(read, ApprovalGranted).published
    assert cells is not None
    cells["备注"] = "\x00"
    with pytest.raises(InvalidEvent, match=r"data\.published"):
        check(read)


@given(events())
def test_an_event_that_is_read_has_its_data_as_the_model_writes_it(event: Event) -> None:
    read = decode(RecordedEvent(1, 0, check(event, datetime.now(UTC))))
    assert read.data == event.data
    assert read.written == read.data.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize(
    "left",
    [
        lambda grant, raw: Event("e1", "urn:other", grant, older=OlderShape(1, raw | {"batch": None})),
        lambda grant, _: Event(
            "e1", "urn:other", grant.model_copy(update={"item": {"name": "i", "registry_number": None}})
        ),
    ],
    ids=["in an older shape", "in place of a model"],
)
def test_nulls_that_a_producer_of_ours_leaves_are_read_as_absent(
    left: Callable[[ApprovalGranted, dict[str, object]], Event],
) -> None:
    grant = granted("Baidu", "i", "2024-01-01")
    raw = grant.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert decode(RecordedEvent(1, 0, check(left(grant, raw), NOW))).written == raw


@given(st.sampled_from(ATTRIBUTES), VALUES)
@example("id", "a" * 200)
@example("id", None)
@example("source", None)
@example("subject", "a" * 201)
def test_an_attribute_is_refused_where_the_whole_envelope_refuses_it(name: str, value: Any) -> None:
    event = replace(report("e1"), **{name: value})
    try:
        expected = plainly_checked(event)
    except ValidationError:
        with pytest.raises(InvalidEvent, match=name):
            check(event, NOW)
    else:
        assert check(event, NOW) == expected


@given(event_data(), st.data())
def test_data_that_was_changed_past_its_model_is_refused_where_the_whole_model_refuses_it(
    data: EventData, draw: st.DataObject
) -> None:
    name = draw.draw(st.sampled_from(sorted(type(data).model_fields)))
    event = Event(id="e1", source="urn:other", data=data.model_copy(update={name: draw.draw(VALUES)}))
    try:
        expected = plainly_checked(event)
    except ValidationError:
        with pytest.raises(InvalidEvent, match=r"\bdata"):
            check(event, NOW)
    else:
        try:
            assert check(event, NOW) == expected
        except InvalidEvent as refused:
            assert refused.code == "timestamp-in-future"  # noqa: PT017  # the one rule that is no model's


@given(st.one_of(VALUES, st.text(st.characters(codec="ascii"), max_size=210)))
def test_what_is_plain_can_be_any_name_text_or_reference(value: object) -> None:
    if is_plain(value):
        for kind in (Name, Text, Reference):
            assert TypeAdapter(kind).validate_python(value, strict=True) == value


PIECES = st.sampled_from(
    [
        *'{}[]:,"\\ 1-.e+x\n\t\x00\x7f\ufeff\u4e2d\ud800',
        *(
            '{"a":',
            '"a":1',
            '"\\u0061":2',
            "[[[[[[[[",
            "]]]]]]]]",
            "true",
            "null",
            "NaN",
            "-Infinity",
            "01",
            "1e999",
            "1.5E3",
        ),
        *(
            "9" * 20,
            "9" * 21,
            "-" + "9" * 19,
            "-" + "9" * 20,
            "1" * 310 + ".0",
            "-0",
            "-0.0",
            "0.1" * 9,
            '"\\ud83d\\ude00"',
        ),
        *('"\\ud800"', '"\\x"', '"\\u12"', "/**/", "'a'"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join), st.booleans(), st.data())
def test_json_is_read_and_refused_as_where_each_object_and_number_is_looked_at(
    text: str, as_bytes: bool, data: st.DataObject
) -> None:
    content = text.encode("utf-8", "surrogatepass")
    if as_bytes and content:  # and where it is no UTF-8
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + content[at + data.draw(st.integers(0, 1)) :]
    given = content if as_bytes else text
    assert _read(loads, given) == _read(_looked_through, given)


@given(event_data(), st.booleans())
def test_an_event_is_read_in_the_short_way(data: EventData, compact: bool) -> None:
    text = json.dumps(data.model_dump(mode="json", by_alias=True), separators=(",", ":") if compact else None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("events.codec._looked_through", None)
        assert loads(text) == json.loads(text)


def _read(how: Callable[[bytes | str], object], text: bytes | str) -> object:
    try:
        return repr(how(text))  # 1, 1.0 and True are not the same
    except InvalidEvent as refused:
        return refused.faults


NAME = TypeAdapter(Name)


def is_name(text: str) -> bool:
    try:
        return NAME.validate_python(text) == text
    except ValidationError:
        return False


def test_a_character_is_a_name_where_it_has_a_key() -> None:
    """What the short way takes for visible has a key, be it any of the 140,000 that can be printed."""
    printable = [
        character for number in range(sys.maxunicode + 1) if (character := chr(number)).isprintable()
    ]
    assert len(printable) > 140_000
    assert [
        hex(ord(character)) for character in printable if is_name(character) != bool(name_key(character))
    ] == []


@given(st.text(min_size=1, max_size=5).filter(str.isprintable))
def test_a_name_is_a_text_that_has_a_key(text: str) -> None:
    assert is_name(text) == bool(name_key(text))


@given(
    partial_dates() | st.dates(min_value=NOW.date(), max_value=NOW.date() + timedelta(days=800)).map(str),
    st.data(),
)
@example("2026-04-01", None)
@example("2026-04-02", None)
@example("2026-04", None)
@example("2026-05", None)
@example("2027", None)
def test_a_date_lies_in_the_future_where_its_first_day_does(text: str, data: st.DataObject | None) -> None:
    if data is not None:
        text = text[: data.draw(st.sampled_from([4, 7, 10]))]
    latest = (NOW + CLOCK_TOLERANCE + timedelta(hours=14)).date()
    event = replace(report("e1"), data=report("e1").data.model_copy(update={"as_of": text}))
    if date_range(text).first > latest:
        with pytest.raises(InvalidEvent, match="lies in the future"):
            check(event, NOW)
    else:
        assert check(event, NOW)
