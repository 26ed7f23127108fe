"""THE LOG: what was reported, kept for ever. Imports no sibling package; reads no environment, prints nothing.

A producer needs this package alone: `connect`, `Log`, `parse` or `Event` with the models of the catalog.
"""

from . import catalog, durability, keys
from .catalog import CATALOG, EventData
from .codec import (
    DecodedEvent,
    UnknownVersion,
    as_json_line,
    canonical,
    decode,
    encode,
    from_json,
    loads,
    parse,
    stored_json,
)
from .connection import alongside, connect, conversation, masked, storage
from .envelope import Event, Receipt, RecordedEvent
from .errors import (
    AddressRefused,
    BadQuestion,
    Fault,
    IdConflict,
    InvalidEvent,
    Lagging,
    LedgerError,
    LogDamaged,
    LogForked,
    NotDurable,
    NotPermitted,
    OutcomeUnknown,
    ParkedEvents,
    Refused,
    StaleExpectation,
    StorageUnavailable,
    TermsDiffer,
    TooLarge,
    UnknownCompany,
    Unreadable,
)
from .feed import Submission, read_events, valid_events
from .functions import load as load_function
from .log import Log
from .names import name_key
from .quantities import Count, DateRange, Interval, Share, date_range

__all__ = [
    "CATALOG",
    "AddressRefused",
    "BadQuestion",
    "Count",
    "DateRange",
    "DecodedEvent",
    "Event",
    "EventData",
    "Fault",
    "IdConflict",
    "Interval",
    "InvalidEvent",
    "Lagging",
    "LedgerError",
    "Log",
    "LogDamaged",
    "LogForked",
    "NotDurable",
    "NotPermitted",
    "OutcomeUnknown",
    "ParkedEvents",
    "Receipt",
    "RecordedEvent",
    "Refused",
    "Share",
    "StaleExpectation",
    "StorageUnavailable",
    "Submission",
    "TermsDiffer",
    "TooLarge",
    "UnknownCompany",
    "UnknownVersion",
    "Unreadable",
    "alongside",
    "as_json_line",
    "canonical",
    "catalog",
    "connect",
    "conversation",
    "date_range",
    "decode",
    "durability",
    "encode",
    "from_json",
    "keys",
    "load_function",
    "loads",
    "masked",
    "name_key",
    "parse",
    "read_events",
    "storage",
    "stored_json",
    "valid_events",
]
