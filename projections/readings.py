"""What was read together, kept for the next questions: it counts for as long as the projections stay where they were."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from .checkpoint import Checkpoint
from .projection import Documents

KEPT = 8  # readings, each of some projections of one ledger
DOCUMENTS = 5_000  # of one reading; one of more is not kept


class Settled(dict[str, Documents]):
    """The documents of some projections, all at one position, that nobody folds on: so what is `derived` from them stays true."""

    def __init__(self, documents: Mapping[str, Documents], derived: Mapping[Hashable, Any]) -> None:
        super().__init__(documents)
        self.derived = dict(derived)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found to belong together: the generation of each projection, its checkpoint, and some of its documents there;
    and what was derived from all, once the log was folded on to `position`. Nothing in it is changed."""

    generations: Mapping[str, int]
    checkpoints: Mapping[str, Checkpoint]
    documents: Mapping[str, Mapping[str, Any]]
    position: int
    derived: Mapping[Hashable, Any]

    def derived_at(self, position: int) -> Mapping[Hashable, Any]:
        """What was derived at that position."""
        return self.derived if position == self.position else {}

    def names(self) -> dict[str, set[str]]:
        """The documents that were asked for."""
        return {name: set(of) for name, of in self.documents.items()}


class Readings:
    """The last reading of each choice of projections, of the ledgers that were asked about last. Safe to share between threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], Reading] = OrderedDict()
        self._lock = Lock()

    def last(self, ledger: str, projections: Iterable[str]) -> Reading | None:
        """The last one of these projections, where it is kept."""
        with self._lock:
            return self._kept.get((ledger, *projections))

    def keep(self, ledger: str, reading: Reading) -> None:
        """Keeps a reading in place of the one before, unless it is too large."""
        if sum(map(len, reading.documents.values())) > DOCUMENTS:
            return
        which = (ledger, *reading.documents)
        with self._lock:
            self._kept[which] = reading
            self._kept.move_to_end(which)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
