"""An event as submitted, and as recorded (two types, so that no position is ever optional), and the receipt that links them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal, NamedTuple

from pydantic import Field

from .catalog import EventData, Name, Reference, Text
from .quantities import Strict

SPECVERSION = "1.0"
CONTENT_TYPE = "application/json"


class Envelope(Strict):
    """The CloudEvents 1.0 attributes that a producer gives, as text; `data` is validated apart, by type.

    The ledger adds `sequence` and `recordedtime` on append, so a submitted event must not carry them.
    """

    specversion: Literal["1.0"]
    id: Reference
    source: Reference
    type: Name
    subject: Name | None = None
    time: str | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Text | None = None
    traceparent: Name | None = None
    correlationid: Reference | None = None
    causationid: Reference | None = None
    data: object = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OlderShape:
    """What a producer wrote in an older revision of a type: stored as it is, and upcast whenever it is read.

    Were it stored in the current revision, the same event sent again after an upgrade would differ from itself.
    """

    revision: int
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class Event:
    """A valid event that is not recorded yet.

    `source` and `id` together are its identity: sending them again with the same content appends nothing. `data` is in
    the current revision of its type. `parse` sets `older` if the event came in an older revision, and `checked`, the bytes
    that the log will keep, if nothing in the event can change.
    """

    id: str
    source: str
    data: EventData
    subject: str | None = None
    time: str | None = None
    traceparent: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    older: OlderShape | None = None
    checked: bytes | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def type(self) -> str:
        return self.data.TYPE


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as the log holds it: `position` counts from 1 without a gap, `recorded_ms` is in milliseconds since 1970 (UTC),
    and `payload` is the stored bytes."""

    position: int
    recorded_ms: int
    payload: bytes

    @property
    def recorded_at(self) -> datetime:
        """The server's clock at the append, UTC; never earlier than that of the position before."""
        return datetime.fromtimestamp(self.recorded_ms / 1000, UTC)

    @property
    def digest(self) -> str:
        """SHA-256 over the entry's id and its bytes, in hex: whoever remembers it notices if the log is replaced."""
        return sha256(f"{self.position}-{self.recorded_ms}\n".encode() + self.payload).hexdigest()


class Receipt(NamedTuple):
    """Where an event is. `duplicate`: the same bytes were there already, and nothing was written."""

    position: int
    duplicate: bool
    source: str
    id: str
