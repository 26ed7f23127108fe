"""Event and bytes, both ways: the only place that parses or writes event JSON."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from math import isfinite
from typing import Any, NoReturn, TypeVar, cast, get_args, get_origin, get_type_hints

import jiter
import msgspec
from pydantic import BaseModel, ValidationError

from .catalog import CATALOG, EventData, is_plain
from .envelope import CONTENT_TYPE, SPECVERSION, Envelope, Event, OlderShape, RecordedEvent
from .errors import Fault, InvalidEvent, TooLarge
from .quantities import EARLIEST_YEAR, PartialDate, Strict
from .upcast import upcast

EVENT_LIMIT = 64 * 1024  # bytes of one event
NESTING_LIMIT = 16
CLOCK_TOLERANCE = timedelta(minutes=5)
# A date has begun somewhere on Earth 14 hours before it begins in UTC (Kiribati, UTC+14).
_AHEAD = CLOCK_TOLERANCE + timedelta(hours=14)
SEQUENCE_DIGITS = 16  # zero-padded, so that sequences sort as strings: up to 2**53 - 1

M = TypeVar("M", bound=BaseModel)

_SCHEMA = re.compile(r"urn:approval-ledger:(?P<type>[a-z.]+\.v\d+):(?P<revision>[1-9]\d{0,5})", re.ASCII)
# Neither zones of 60 minutes, which the standard library of Python 3.11 takes, nor an hour of 24, which later ones take.
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt](?!24)\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:[Zz]|[+-]\d{2}:[0-5]\d)", re.ASCII
)
_CODES = {"extra_forbidden": "unknown-field", "missing": "missing-field"}
_OWN_CODES = frozenset(
    {"control-character", "empty-name", "too-long", "url", "date", "out-of-range", "validation"}
)


class UnknownVersion(InvalidEvent):
    """A known type in a version that this software does not know: written by a newer one."""


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """A recorded event, decoded. `recorded_ms` is in milliseconds since 1970 (UTC).

    `data` is None if this software does not know the event's type, or only other versions of it; in the latter case `newer`
    says which version it is. `written` is the data as JSON, in its current shape and without absent fields; it must not be
    changed.
    """

    position: int
    recorded_ms: int
    source: str
    id: str
    type: str
    subject: str | None
    data: EventData | None
    written: Mapping[str, Any]
    newer: UnknownVersion | None = None

    def is_of(self, types: Iterable[str]) -> bool:
        """Whether it is of one of these types, in whatever version."""
        return any(_stem(self.type) == _stem(known) for known in types)


@cache
def dataschema(model: type[EventData], revision: int | None = None) -> str:
    """The address of a type's shape (the current one by default), such as `urn:approval-ledger:batch.announced.v1:2`."""
    return f"urn:approval-ledger:{model.TYPE}:{revision or model.REVISION}"


def loads(text: bytes | str) -> Any:
    """JSON strictly as in RFC 8259: no duplicate keys, no NaN, no lone surrogates, nested at most 16 deep.

    Raises InvalidEvent (`invalid-json`, `duplicate-key`, `too-deep`).
    """
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    # With no more brackets than levels allowed, it cannot be too deep.
    if content.count(b"[") + content.count(b"{") <= NESTING_LIMIT:
        try:
            value = jiter.from_json(
                content, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys"
            )
            if _has_only_small_numbers([value]):
                return value
        except ValueError:
            pass  # found again below, where the message is made
    return _looked_through(text)


def _has_only_small_numbers(values: Iterable[Any]) -> bool:
    """Whether `values` hold no number that `_looked_through` may refuse, that is, one of over 20 characters, or infinity."""
    for value in values:
        kind = type(value)
        if kind is str:
            continue
        if kind is int:
            small = -(10**19) < value < 10**20
        elif kind is float:
            small = isfinite(value)
        else:
            small = (kind is not dict and kind is not list) or _has_only_small_numbers(
                value.values() if kind is dict else value
            )
        if not small:
            return False
    return True


def _looked_through(text: bytes | str) -> Any:
    """What `loads` gives, or the reason why it cannot: by the standard library, checking each object and number, which takes ten
    times as long."""
    if isinstance(text, bytes):
        text = decode_utf8(text)
    if text.startswith("\ufeff"):
        _fail("invalid-json", "starts with a byte order mark: save it as UTF-8 without one")
    check_depth(text, NESTING_LIMIT)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except json.JSONDecodeError as error:
        message = f"{error.msg} (column {error.colno})"
        raise InvalidEvent([Fault("invalid-json", message, line=error.lineno)]) from None
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        _fail(
            "invalid-json",
            "holds half of a surrogate pair (\\ud800 to \\udfff alone), which is not a character",
        )
    return value


def parse(text: bytes | str) -> Event:
    """One submitted event. Raises InvalidEvent or TooLarge."""
    size = len(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    if size > EVENT_LIMIT:
        raise TooLarge(
            f"the event has {size:,} bytes; at most {EVENT_LIMIT:,} are taken. Nothing was stored."
        )
    return from_json(loads(text))


def from_json(value: object) -> Event:
    """A submitted event from its parsed JSON. Raises InvalidEvent with every fault found."""
    if not isinstance(value, dict):
        _fail("validation", f"an event is a JSON object, not {_kind(value)}")
    for added in ("sequence", "recordedtime"):
        if added in value:
            _fail("unknown-field", "is added by the ledger: remove it", added)
    attributes = value if _has_only_plain_attributes(value) else dict(_validate(Envelope, value, ""))
    given = attributes.get("data", {})
    model = _model(attributes["type"])
    if model is None:
        known = ", ".join(CATALOG)
        _fail("unknown-type", f"{attributes['type']!r} is not an event type; the types are {known}", "type")
    revision = _revision(model, attributes.get("dataschema"))
    if not isinstance(given, dict):
        _fail("validation", f"the data of an event is a JSON object, not {_kind(given)}", "data")
    data = _validate(model, upcast(model.TYPE, revision, model.REVISION, given), "data")
    event = Event(
        id=attributes["id"],
        source=attributes["source"],
        data=data,
        subject=attributes.get("subject"),
        time=attributes.get("time"),
        traceparent=attributes.get("traceparent"),
        correlationid=attributes.get("correlationid"),
        causationid=attributes.get("causationid"),
        older=None if revision in (data.revision, model.REVISION) else OlderShape(revision, given),
    )
    written = _written(event.data)
    _check_sense(event, written, None)
    if event.older is None and not _can_change(model, written) and _is_json(given):
        # The event is frozen, so not by an assignment.
        object.__setattr__(event, "checked", _encoded(event, _given(event), written))
    return event


def _has_only_plain_attributes(value: Mapping[Any, Any]) -> bool:
    """Whether the attributes need no validation by the model of the envelope, which takes 2 us of the 15 for a whole event."""
    texts = {**value}
    texts.pop("data", None)
    return (
        _REQUIRED <= texts.keys() <= _ATTRIBUTES
        and texts["specversion"] == SPECVERSION
        and texts.get("datacontenttype", CONTENT_TYPE) == CONTENT_TYPE
        and all(map(is_plain, texts.values()))
    )


_ATTRIBUTES = Envelope.model_fields.keys()
_REQUIRED = frozenset(name for name, field in Envelope.model_fields.items() if field.is_required())


def _is_json(value: object) -> bool:
    """Whether it holds no model: pydantic accepts one without validating again, though it may have changed since it was made."""
    try:
        _UNSORTED.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True


_UNSORTED = msgspec.json.Encoder()


def _can_change(model: type[EventData], written: Mapping[str, Any]) -> bool:
    """Whether it holds a list or a mapping, which can change even in a frozen model."""
    return not _containers(model).isdisjoint(written)


@cache
def _containers(model: type[BaseModel]) -> frozenset[str]:
    """The fields that hold a list or a mapping if they are given, by their names in JSON."""
    hints = get_type_hints(model)
    return frozenset(
        field.serialization_alias or name
        for name, field in model.model_fields.items()
        if _holds_container(hints[name])
    )


def _holds_container(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return bool(_containers(hint))
    return get_origin(hint) in (list, dict) or any(map(_holds_container, get_args(hint)))


def check(event: Event, now: datetime | None = None) -> bytes:
    """The bytes that the log keeps of an event, once all is found true that must be, however it was made.

    `now` (default: this machine's clock) bounds its times. Raises InvalidEvent.
    """
    if not isinstance(event, Event):
        _fail("validation", f"is no Event but a {type(event).__name__}: `parse` makes one of JSON text")
    if event.checked is not None:
        return event.checked
    model = type(event.data)
    if CATALOG.get(getattr(model, "TYPE", "")) is not model:
        _fail(
            "unknown-type",
            f"is a {model.__name__}, which is no type of the catalog: build it with one of its models",
            "data",
        )
    given, data = _given(event), _written(event.data)
    # What is plain is good for each attribute: to ask that first takes 0.4 us, to validate the envelope 2.5.
    if not all(map(is_plain, given.values())):
        attributes = {"specversion": SPECVERSION, "type": event.type} | given
        _validate(Envelope, {name: value for name, value in attributes.items() if value is not None}, "")
        # A parser's own kind of text is no JSON.
        given = {name: str.__str__(cast("str", value)) for name, value in given.items()}
    # The log is permanent: data that may differ from what its model validated is validated as it will be stored.
    if Strict.unchecked or _can_change(model, data):
        _validate(model, data, "data")
    _check_older(event)
    _check_sense(event, data, now)
    return _encoded(event, given, data)


def _check_sense(event: Event, data: Mapping[str, Any], now: datetime | None) -> None:
    if event.time is not None:
        _check_time(event.time, now or datetime.now(UTC))
    if "target" in data and data["target"] == {"source": event.source, "id": event.id}:
        _fail("validation", "an event cannot correct itself", "data.target")
    latest = _latest_day(int(time.time() if now is None else now.timestamp()))
    for path in _date_paths(type(event.data)):
        value: Any = data
        for name in path:
            if (value := value.get(name)) is None:
                break
        # Compared as text: a month or a year sorts before each of its days, and has begun once any of its days has.
        if value is not None and value > latest:
            _fail("timestamp-in-future", f"{value!r} lies in the future", ".".join(("data", *path)))


@lru_cache(1)  # thousands of events are checked in a second
def _latest_day(now: int) -> str:
    """The last day that has begun anywhere, `now` seconds after 1970 began."""
    return (datetime.fromtimestamp(now, UTC) + _AHEAD).date().isoformat()


def _check_older(event: Event) -> None:
    if event.older is None:
        return
    current = type(event.data)
    if not 1 <= event.older.revision < current.REVISION:
        _fail(
            "unknown-version", f"{event.older.revision} is not an older revision of {current.TYPE}", "older"
        )
    data = upcast(current.TYPE, event.older.revision, current.REVISION, event.older.data)
    if _validate(current, data, "older") != event.data:
        _fail("validation", "differs from `data`: leave it out if `data` was changed", "older")


def encode(event: Event) -> bytes:
    """The bytes that the log keeps: UTF-8 JSON, keys sorted, no white space, absent fields left out."""
    return _encoded(event, _given(event), _written(event.data))


def _written(data: EventData) -> dict[str, Any]:
    try:
        return data.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
    except ValueError as error:  # only of what was changed past its model
        _fail("validation", f"cannot be written as JSON: {str(error)[:200]}", "data")


def _encoded(event: Event, given: dict[str, object], data: dict[str, Any]) -> bytes:
    revision = event.data.revision
    if event.older is not None:
        revision, data = event.older.revision, event.older.data
    return canonical(
        {
            "specversion": SPECVERSION,
            "type": event.type,
            "datacontenttype": CONTENT_TYPE,
            "dataschema": dataschema(type(event.data), revision),
            "data": data,
            **given,
        }
    )


def _given(event: Event) -> dict[str, object]:
    """The attributes that the producer chose."""
    # These two must be there, so that None stays to be refused.
    given: dict[str, object] = {"id": event.id, "source": event.source}
    for name in ("subject", "time", "traceparent", "correlationid", "causationid"):
        if (value := getattr(event, name)) is not None:
            given[name] = value
    return given


def canonical(value: object) -> bytes:
    """JSON in one form only: sorted keys, no white space, UTF-8. Equal values give equal bytes."""
    return _CANONICAL.encode(value)


_CANONICAL = msgspec.json.Encoder(
    order="sorted"
)  # 0.3 us for a small document, the standard library's 2.8 us


def stored_json(text: bytes) -> Any:
    """The value of canonical JSON that this software wrote: the checks of `loads` are not repeated."""
    return _STORED.decode(text)


_STORED = msgspec.json.Decoder()


def decode(recorded: RecordedEvent) -> DecodedEvent:
    """A recorded event with its data in the current shape.

    Raises InvalidEvent where the bytes are no event.
    """
    try:
        document = stored_json(recorded.payload)
        data, newer = None, None
        written: Mapping[str, Any] = {}
        try:
            data, written = _data(document, nulls=b"null" in recorded.payload)
        except UnknownVersion as error:
            newer = error
        return DecodedEvent(
            recorded.position,
            recorded.recorded_ms,
            _text(document["source"]),
            _text(document["id"]),
            _text(document["type"]),
            document.get("subject"),
            data,
            written,
            newer,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _fail("invalid-json", f"position {recorded.position} holds no event ({error!r}): restore a backup")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is no text")
    return value


def _data(document: dict[str, Any], *, nulls: bool) -> tuple[EventData | None, Mapping[str, Any]]:
    """The data as a model, and as JSON. If it was stored in the model's own revision, the stored JSON is what `_written` would give,
    unless it may contain `nulls`, which some producers leave in. (Writing it again in two folds took 10 us an event.)"""
    model = _model(document["type"])
    if model is None:
        return None, {}
    revision = _revision(model, document["dataschema"])
    data = _validate(model, upcast(model.TYPE, revision, model.REVISION, document["data"]), "data")
    return data, document["data"] if revision == data.revision and not nulls else _written(data)


def as_json_line(recorded: RecordedEvent) -> bytes:
    """The stored bytes with `sequence` and `recordedtime` inserted at the front, and nothing else changed."""
    time = recorded.recorded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f'{{"sequence":"{recorded.position:0{SEQUENCE_DIGITS}d}","recordedtime":"{time}",'
    return head.encode() + recorded.payload[1:]


def _model(type_: str) -> type[EventData] | None:
    model = CATALOG.get(type_)
    if model is None and any(_stem(known) == _stem(type_) for known in CATALOG):
        raise UnknownVersion(
            [Fault("unknown-version", f"{type_!r} is a version this software does not know", "type")]
        )
    return model


def _stem(type_: str) -> str:
    return type_.rpartition(".")[0]


def _revision(model: type[EventData], schema: str | None) -> int:
    if schema is None:
        return model.REVISION
    match = _SCHEMA.fullmatch(schema)
    if match is None or match["type"] != model.TYPE:
        _fail(
            "unknown-version",
            f"is not the schema of {model.TYPE}: leave it out, or write {dataschema(model)}",
            "dataschema",
        )
    revision = int(match["revision"])
    if revision > model.REVISION:
        message = f"revision {revision} of {model.TYPE} is newer than this software knows ({model.REVISION})"
        raise UnknownVersion([Fault("unknown-version", message, "dataschema")])
    return revision


def _validate(model: type[M], value: object, path: str) -> M:
    try:
        return model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidEvent(
            [_fault(detail, path, value) for detail in error.errors(include_url=False)]
        ) from None


def _fault(detail: Any, path: str, value: Any) -> Fault:
    kind = detail["type"]
    code = kind if kind in _OWN_CODES else _CODES.get(kind, "validation")
    parts = [path] if path else []
    for part in detail["loc"]:
        if not _holds(value, part) and kind != "missing":
            break  # the rest is pydantic's names for members of a union, not fields
        # The name of an unknown field is the sender's: it must not reach a log or a terminal as it is.
        parts.append(str(part) if str(part).isprintable() else ascii(part))
        value = value[part] if _holds(value, part) else None
    return Fault(code, _said(kind, detail["msg"], path)[:300], ".".join(parts)[:200])


def _said(kind: str, says: str, path: str) -> str:
    if kind != "extra_forbidden":
        return says
    if path:
        return "is not a member here"
    return f"is not an event attribute ({', '.join(Envelope.model_fields)}): extensions are refused"


def _holds(value: object, part: object) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


@cache
def _date_paths(model: type[BaseModel]) -> tuple[tuple[str, ...], ...]:
    """Where the dates of a model are, in its JSON."""
    # By type and not by name: `from` is a day in one event and a company in another.
    hints = get_type_hints(model, include_extras=True)
    found: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        written = field.serialization_alias or name
        for hint in (hints[name], *get_args(hints[name])):
            if hint is PartialDate:
                found.append((written,))
            elif isinstance(hint, type) and issubclass(hint, BaseModel):
                found += [(written, *path) for path in _date_paths(hint)]
    return tuple(found)


def _check_time(text: str, now: datetime) -> None:
    try:
        moment = datetime.fromisoformat(text.upper()) if _TIME.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        _fail(
            "date",
            f"{text[:40]!r} is not a time: write RFC 3339 with a zone, such as 2024-01-29T08:00:00Z",
            "time",
        )
    if moment.year < EARLIEST_YEAR:
        _fail("date", f"{text!r} is before {EARLIEST_YEAR}", "time")
    if moment > now + CLOCK_TOLERANCE:
        _fail("timestamp-in-future", f"{text!r} lies more than 5 minutes in the future", "time")


def decode_utf8(text: bytes) -> str:
    """`text`, decoded. Raises InvalidEvent, which names the first byte that is not UTF-8."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        _fail("invalid-json", f"not UTF-8: byte {error.start} is {text[error.start]:#04x}")


def check_depth(text: str, limit: int) -> None:
    """Raises InvalidEvent (`too-deep`) where the brackets of a JSON text nest deeper than `limit`."""
    # Counted before parsing: the standard library's parser recurses, and 100,000 brackets would end in RecursionError.
    depth = 0
    for match in _BRACKETS.finditer(text):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
            if depth > limit:
                _fail("too-deep", f"nests deeper than {NESTING_LIMIT} levels")
        elif bracket in "]}":
            depth -= 1


# A string that is never closed matches to the end of the text: were each quote in it to start a scan of its own, 64 KiB
# of them would take seconds.
_BRACKETS = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add returns None
        _fail("duplicate-key", f"the key {twice[:80]!r} occurs twice in one object")
    return document


def _no_constant(text: str) -> NoReturn:
    _fail("invalid-json", f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        _fail("out-of-range", f"the number {text[:40]} is too large")
    return value


def _bounded(text: str) -> int:
    if len(text) > 20:
        _fail("out-of-range", f"the number {text[:40]} has too many digits")
    return int(text)


def _kind(value: object) -> str:
    names: dict[type, str] = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _fail(code: str, message: str, field: str = "") -> NoReturn:
    raise InvalidEvent([Fault(code, message, field)])
