"""What was read, kept for the next questions: about the present as long as the projections do not move, about the past as long as the log is the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from events import DecodedEvent

from .checkpoint import Checkpoint
from .derived import Derived

if TYPE_CHECKING:
    from .lockstep import Lookup

KEPT = 8  # readings of each kind, each of some projections of one ledger
DOCUMENTS = 5_000  # of one reading; one of more is not kept

Held = tuple[bytes | None, Any]
"""A document as it is stored, and its value."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Documents found to belong together: for each projection its generation, its checkpoint, and some of its documents there.
    It is never changed."""

    generations: Mapping[str, int]
    checkpoints: Mapping[str, Checkpoint]
    documents: Mapping[str, Mapping[str, Held]]

    def names(self) -> dict[str, set[str]]:
        """The documents that were asked for."""
        return {name: set(of) for name, of in self.documents.items()}


@dataclass(frozen=True, slots=True)
class PastReading:
    """What was known when the log ended at `last`: by projection, its snapshot, the documents of the snapshot that were `read` so
    far, and those that later events `changed`. Only `read` is ever added to. `left_out` has, by projection, the number of its
    generation and the events up to `last` that this had parked."""

    last: Checkpoint
    left_out: Mapping[str, tuple[int, frozenset[int]]]
    snapshots: Mapping[str, int]
    read: Mapping[str, dict[str, Any]]
    changed: Mapping[str, dict[str, Any]]

    def size(self) -> int:
        """How many documents it has."""
        return sum(map(len, self.read.values())) + sum(map(len, self.changed.values()))


@dataclass(frozen=True, slots=True)
class Events:
    """Some events of the log, page by page, each with what the corrections in it are against; where the `last` of them is."""

    last: Checkpoint
    pages: Sequence[tuple[Sequence[DecodedEvent], Lookup]]


class Readings:
    """The last readings of the ledgers that were asked about last, and what was derived from them. Safe to share between
    threads."""

    def __init__(self) -> None:
        self._now: OrderedDict[tuple[str, ...], Reading] = OrderedDict()
        self._past: OrderedDict[tuple[int, str, tuple[str, ...]], PastReading] = OrderedDict()
        self._events: OrderedDict[tuple[str, int, int], Events] = OrderedDict()
        self._derived: OrderedDict[str, Derived] = OrderedDict()
        self._lock = Lock()

    def last(self, ledger: str, projections: Iterable[str]) -> Reading | None:
        """The last one of these projections, where it is kept."""
        with self._lock:
            return self._now.get((ledger, *projections))

    def keep(self, ledger: str, reading: Reading) -> None:
        """Keeps a reading in place of the one before, unless it is too large."""
        if sum(map(len, reading.documents.values())) <= DOCUMENTS:
            with self._lock:
                _put(self._now, (ledger, *reading.documents), reading)

    def past(self, ledger: str, projections: Iterable[str], position: int) -> PastReading | None:
        """The last reading of the past of these projections that is kept, of `position` or before it."""
        which = (ledger, tuple(projections))
        with self._lock:
            for key in [key for key, each in self._past.items() if each.size() > DOCUMENTS]:
                del self._past[key]  # questions have read more of it since
            found = [each for (at, *of), each in self._past.items() if at <= position and tuple(of) == which]
            return max(found, key=lambda each: each.last.position, default=None)

    def keep_past(self, ledger: str, reading: PastReading) -> None:
        """Keeps a reading of the past, unless it is too large."""
        if reading.size() <= DOCUMENTS:
            with self._lock:
                _put(self._past, (reading.last.position, ledger, tuple(reading.snapshots)), reading)

    def events(self, ledger: str, after: int, upto: int) -> Events | None:
        """The events after a position, up to another, where they are kept."""
        with self._lock:
            return self._events.get((ledger, after, upto))

    def keep_events(self, ledger: str, after: int, upto: int, events: Events) -> None:
        """Keeps them."""
        with self._lock:
            _put(self._events, (ledger, after, upto), events)

    def derived(self, ledger: str) -> Derived:
        """What was derived from documents of a ledger."""
        with self._lock:
            derived = self._derived.get(ledger) or Derived()
            _put(self._derived, ledger, derived)
            return derived


def _put(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    """Keeps a value as the last one, and no more than KEPT of them."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > KEPT:
        kept.popitem(last=False)
