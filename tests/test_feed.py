"""A file of events: one object, an array, or one object a line; and where in it a fault is."""

from __future__ import annotations

import json
from operator import index
from typing import SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import Event, InvalidEvent, encode, read_events, valid_events
from events.codec import EVENT_LIMIT

from .strategies import events, report

ONE, TWO, THREE = (encode(report(f"e{number}", number)) for number in (1, 2, 3))
PRETTY = json.dumps(json.loads(ONE), indent=2).encode()


def ids(content: bytes) -> list[str]:
    return [event.id for event in valid_events(content)]


def faults(content: bytes) -> list[tuple[int | None, str]]:
    return [(fault.line, fault.code) for each in read_events(content) for fault in each.faults]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (ONE, ["e1"]),
        (ONE + b"\n", ["e1"]),
        (PRETTY, ["e1"]),
        (PRETTY.replace(b"\n", b"\r\n"), ["e1"]),
        (b"\n\n" + PRETTY + b"\n", ["e1"]),
        (b" \t" + ONE, ["e1"]),
        (b"\n".join([ONE, TWO, THREE]), ["e1", "e2", "e3"]),
        (b"\n".join([ONE, TWO, THREE]) + b"\n", ["e1", "e2", "e3"]),
        (b"\r\n".join([ONE, TWO, b""]), ["e1", "e2"]),
        (b"\n\n" + ONE + b"\n\n  \n" + TWO + b"\n\n", ["e1", "e2"]),
        (b"  " + ONE + b"  \n\t" + TWO, ["e1", "e2"]),
        (b"[" + ONE + b"]", ["e1"]),
        (b"[" + ONE + b"," + TWO + b"]\n", ["e1", "e2"]),
        (b"\n [\r\n" + PRETTY + b" ,\r\n" + TWO + b"\r\n]\r\n", ["e1", "e2"]),
        (b"[]", []),
        (b" [ \n ] ", []),
    ],
    ids=lambda value: value[:24].decode() if isinstance(value, bytes) else None,
)
def test_an_object_an_array_and_a_line_each_are_read_in_order(content: bytes, expected: list[str]) -> None:
    assert ids(content) == expected


@given(st.lists(events(), max_size=5), st.sampled_from(["lines", "array", "pretty array"]))
def test_any_events_come_back_from_any_form(batch: list[Event], form: str) -> None:
    texts = [encode(event) for event in batch]
    if form == "lines" and texts:
        content = b"\n".join(texts)
    elif form == "pretty array":
        content = json.dumps([json.loads(text) for text in texts], indent=1, ensure_ascii=False).encode()
    else:
        content = b"[" + b",".join(texts) + b"]"
    assert valid_events(content) == batch


def test_each_submission_has_the_line_that_its_event_begins_on() -> None:
    lines = b"\n" + ONE + b"\n\r\n" + TWO + b"\n{\n" + THREE
    assert [each.line for each in read_events(lines)] == [2, 4, 5, 6]
    array = b"[\n" + PRETTY + b",\n\n" + TWO + b", " + THREE + b"]"
    second = 2 + PRETTY.count(b"\n") + 2
    assert [each.line for each in read_events(array)] == [2, second, second]
    assert [each.line for each in read_events(b"\n\n" + PRETTY)] == [3]


def test_a_bad_line_leaves_the_others_readable() -> None:
    content = b"\n".join([ONE, TWO[:-10], b"{}", b"not json", THREE])
    submissions = list(read_events(content))
    assert [each.event.id if each.event else None for each in submissions] == ["e1", None, None, None, "e3"]
    assert [each.faults[0].code for each in submissions if each.faults] == [
        "invalid-json",
        "missing-field",
        "invalid-json",
    ]


def test_a_file_with_one_bad_line_gives_no_events_and_every_fault_with_its_line() -> None:
    bad = TWO.replace(b'"value":2', b'"value":2.5')
    with pytest.raises(InvalidEvent) as refused:
        valid_events(b"\n".join([ONE, bad, b"", THREE[:-1], ONE.replace(b'"id":"e1",', b"")]))
    assert str(refused.value) == (
        "line 2: data.count.value: Input should be a valid integer; "
        f"line 4: Expecting ',' delimiter (column {len(THREE)}); "
        "line 5: id: Field required. Nothing was stored."
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", [(1, "invalid-json")]),
        (b"\n", [(1, "invalid-json")]),
        (b" \r\n \n", [(1, "invalid-json")]),
        (b"null", [(1, "validation")]),
        (b"\n\n42", [(3, "validation")]),
        (b'"x"', [(1, "validation")]),
        (ONE[:-1], [(1, "invalid-json")]),
        (ONE + b"x", [(1, "invalid-json")]),
        (PRETTY[:-1], [(PRETTY.count(b"\n"), "invalid-json")]),
        (b"\n" + PRETTY + b"]", [(2 + PRETTY.count(b"\n"), "invalid-json")]),
        (ONE + b"\n" + TWO[:40], [(2, "invalid-json")]),
        (ONE[:40] + b"\n" + TWO, [(1, "invalid-json")]),
        (ONE + b"\n" + TWO[:-1] + b",}", [(2, "invalid-json")]),
        (ONE + b"\n[" + TWO + b"]", [(2, "validation")]),
        (ONE + b"\n\xff", [(2, "invalid-json")]),
        (ONE + b"\n" + ONE[:-1] + b',"id":"e2"}', [(2, "duplicate-key")]),
        (ONE + b"\n" + b"[" * 100_000, [(2, "too-large")]),
        (ONE + b"\n" + b"[" * 1_000, [(2, "too-deep")]),
        (b"[", [(1, "invalid-json")]),
        (b"[,]", [(1, "invalid-json")]),
        (b"[" + ONE, [(1, "invalid-json")]),
        (b"[" + ONE + b",\n]", [(2, "invalid-json")]),
        (b"[" + ONE + b"\n" + TWO + b"]", [(2, "invalid-json")]),
        (b"[" + ONE + b",\n\n" + TWO[:-9], [(3, "invalid-json")]),
        (b"[" + ONE + b"]\n]", [(2, "invalid-json")]),
        (b"[" + ONE + b"]\n" + TWO, [(2, "invalid-json")]),
        (b"[\n1,\nnull]", [(2, "validation"), (3, "validation")]),
        (b"[\n" + ONE[:-1] + b',"id":"e2"},\n' + TWO + b"]", [(2, "duplicate-key")]),
        (b"[" * 100_000, [(1, "too-deep")]),
        (b"[" + b'{"a":' * 17 + b"1" + b"}" * 17 + b"]", [(1, "too-deep")]),
        (b'[{"a":\xed\xa0\x80}]', [(1, "invalid-json")]),
        (b'[{"a":"\\ud800"}]', [(1, "invalid-json")]),
        (b"[" + b"9" * 5_000 + b"]", [(1, "out-of-range")]),
        (b"[" + b"9" * 5_000 + b".5]", [(1, "out-of-range")]),
        (b"[1e400]", [(1, "out-of-range")]),
        (b"[NaN]", [(1, "invalid-json")]),
    ],
    ids=lambda value: value[:24].decode("utf-8", "replace") if isinstance(value, bytes) else None,
)
def test_a_broken_file_is_refused_with_the_line_of_the_fault(
    content: bytes, expected: list[tuple[int, str]]
) -> None:
    assert faults(content) == expected


@pytest.mark.parametrize(
    "content", [ONE, ONE + b"\n" + TWO, PRETTY, b"[" + ONE + b"]", b"[\n" + ONE + b"\n]"]
)
def test_a_byte_order_mark_is_named_and_nothing_is_read(content: bytes) -> None:
    with pytest.raises(
        InvalidEvent, match="line 1: starts with a byte order mark: save it as UTF-8 without one"
    ):
        valid_events(b"\xef\xbb\xbf" + content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("content", [ONE, PRETTY, b"[" + ONE + b"]", ONE + b"\n" + TWO])
def test_a_file_in_another_encoding_is_refused_and_read_by_nobody(content: bytes, encoding: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        valid_events(content.decode().encode(encoding))
    assert refused.value.code == "invalid-json"
    assert len(str(refused.value)) < 1_500


@pytest.mark.parametrize("form", [b"%b", b"[%b]", b"%b\n%b"])
def test_an_event_that_is_too_large_says_so_and_is_not_repeated(form: bytes) -> None:
    large = ONE[:-1] + b" " * EVENT_LIMIT + b"}"
    found = [fault for each in read_events(form.replace(b"%b", large)) for fault in each.faults]
    assert {fault.code for fault in found} == {"too-large"}
    assert all(len(str(fault)) < 100 for fault in found)


def test_a_syntax_fault_in_an_event_of_many_lines_is_on_its_own_line() -> None:
    broken = PRETTY.replace(b'"unit"', b"'unit'")
    line = 1 + broken[: broken.index(b"'unit'")].count(b"\n")
    assert faults(broken) == [(line, "invalid-json")]
    assert faults(b"\n\n" + broken) == [(line + 2, "invalid-json")]


def test_the_work_for_an_array_grows_with_its_length_and_not_with_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted, not timed: every character of the file may be looked at a few times, not once for every event."""
    looked_at = 0

    class Text(str):
        __slots__ = ()

        def count(
            self, part: str, start: SupportsIndex | None = None, end: SupportsIndex | None = None
        ) -> int:
            nonlocal looked_at
            looked_at += (len(self) if end is None else index(end)) - (0 if start is None else index(start))
            return str.count(self, part, start, end)

    monkeypatch.setattr("events.feed.decode_utf8", lambda content: Text(content.decode()))
    content = b"[" + b",\n".join([ONE] * 200) + b"]"
    assert [each.line for each in read_events(content)] == list(range(1, 201))
    assert 0 < looked_at <= 2 * len(content)
