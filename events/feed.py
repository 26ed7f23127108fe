"""A file of events as its lines: one JSON object, an array of them, or one object a line (NDJSON)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .codec import EVENT_LIMIT, NESTING_LIMIT, check_depth, decode_utf8, parse
from .envelope import Event
from .errors import Fault, InvalidEvent, TooLarge


@dataclass(frozen=True, slots=True)
class Submission:
    """One event of a file: the `line` where it starts, its place in an array (`element`, from 1), and either the event or the
    `faults` that keep it from being one."""

    line: int
    event: Event | None
    faults: tuple[Fault, ...] = ()
    element: int | None = None

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"line {self.line}" if self.element is None else f"line {self.line}, element {self.element}"


def read_events(content: bytes) -> Iterator[Submission]:
    """Every event of a file, good or bad, in order. A fault says on which line it is.

    In NDJSON a bad line leaves the others readable. An array or a single object is one JSON text: if that is
    broken, the whole file is one bad submission.
    """
    if content.lstrip().startswith(b"["):
        yield from _array(content)
    elif _is_ndjson(content):
        for line, text in enumerate(content.split(b"\n"), start=1):
            if text.strip():
                yield _submission(line, text)
    else:
        text = content.strip()
        yield _submission(content.count(b"\n", 0, content.find(text[:1])) + 1, text)


def valid_events(content: bytes) -> list[Event]:
    """The events of a file that must all be good. Raises InvalidEvent with every fault, each with its line."""
    submissions = list(read_events(content))
    faults = [fault for submission in submissions for fault in submission.faults]
    if faults:
        raise InvalidEvent(faults)
    return [submission.event for submission in submissions if submission.event is not None]


def _submission(line: int, text: bytes | str) -> Submission:
    try:
        return Submission(line, parse(text))
    except InvalidEvent as error:
        # A syntax fault knows its line within `text`.
        faults = (replace(fault, line=line + (fault.line or 1) - 1) for fault in error.faults)
        return Submission(line, None, tuple(faults))
    except TooLarge:
        message = f"the event has over {EVENT_LIMIT:,} bytes"
        return Submission(line, None, (Fault(TooLarge.code, message, line=line),))


def _is_ndjson(content: bytes) -> bool:
    # A pretty-printed object has one brace at the margin and ends the first line open.
    first = content.lstrip().split(b"\n", 1)[0].rstrip()
    return first.endswith(b"}") or len(re.findall(rb"^\{", content, re.MULTILINE)) > 1


def _array(content: bytes) -> Iterator[Submission]:
    try:
        pieces = list(_elements(content))
    except InvalidEvent as error:
        yield Submission(1, None, tuple(replace(fault, line=fault.line or 1) for fault in error.faults))
        return
    for element, (line, text) in enumerate(pieces, start=1):
        yield replace(_submission(line, text), element=element)


def _elements(content: bytes) -> Iterator[tuple[int, str]]:
    text = decode_utf8(content)
    check_depth(text, NESTING_LIMIT + 1)
    # Finds where each element ends; `parse` reads it with every check. A number is not converted: one of over 4,300
    # digits would raise.
    scan = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
    at = _blank(text, text.index("[") + 1)
    line, counted = 1, 0
    closed = text.startswith("]", at)
    while not closed:
        try:
            _, end = scan(text, at)
        except json.JSONDecodeError as error:
            raise _broken(text, error.pos, error.msg) from None
        line, counted = line + text.count("\n", counted, at), at
        yield line, text[at:end]
        at = _blank(text, end)
        closed = text.startswith("]", at)
        if not closed:
            if not text.startswith(",", at):
                raise _broken(text, at, "expected a comma or the end of the array")
            at = _blank(text, at + 1)
    if (rest := _blank(text, at + 1)) < len(text):
        raise _broken(text, rest, "text after the end of the array")


def _blank(text: str, at: int) -> int:
    match = _WHITE.match(text, at)
    return match.end() if match else at


_WHITE = re.compile(r"[ \t\r\n]*")


def _broken(text: str, at: int, message: str) -> InvalidEvent:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return InvalidEvent([Fault("invalid-json", f"{message} (column {column})", line=line)])
