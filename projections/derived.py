"""What was made of some documents, kept: it counts wherever these documents are the same, whatever became of all others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from .projection import Documents

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

KEYS = 64
VARIANTS = 8  # of each key, made of different documents: who moves through the past comes by them again


@dataclass(frozen=True, slots=True)
class _Made:
    """A value, and the documents of each projection that it was made of."""

    value: Any
    of: Mapping[str, Mapping[str, Any]]

    def is_of(self, views: Mapping[str, Documents]) -> bool:
        """Whether the same would be made of these: for as long as what is read is the same, so is what is asked for next."""
        for projection, documents in self.of.items():
            views[projection].fetch(documents)
            get = views[projection].get
            for name, then in documents.items():
                now = get(name)
                if now is not then and now != then:  # mostly, it is: that takes half as long
                    return False
        return True


class Derived:
    """The values that were made last for some keys. Safe to share between threads, as the values must be."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, tuple[_Made, ...]] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Hashable, views: Mapping[str, Documents]) -> Any:
        """What was made for this key of documents as they are in `views`; None where nothing is kept that was."""
        with self._lock:
            kept = self._made.get(key, ())
        found = next((made for made in kept if made.is_of(views)), None)
        if found is None:
            return None
        self._keep(key, found)
        return found.value

    def make(
        self, key: K, views: Mapping[str, Documents], make: Callable[[Mapping[str, Documents], K], T]
    ) -> T:
        """What `make` makes of some documents in `views` for the key: of these alone, and it changes none of them."""
        heard = {projection: _Heard(documents) for projection, documents in views.items()}
        value = make(heard, key)
        self._keep(key, _Made(value, {projection: of.asked for projection, of in heard.items() if of.asked}))
        return value

    def _keep(self, key: Hashable, made: _Made) -> None:
        with self._lock:
            others = (each for each in self._made.get(key, ()) if each is not made)
            self._made[key] = (made, *others)[:VARIANTS]
            self._made.move_to_end(key)
            if len(self._made) > KEYS:
                self._made.popitem(last=False)


class _Heard:
    """Documents that remember which of them were asked for, and what they were."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.asked: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        value = self.asked[name] = self._documents.get(name)
        return value

    def put(self, name: str, _value: Any) -> None:
        raise TypeError(f"{name}: nothing that is derived from documents changes any")

    def fetch(self, names: Iterable[str]) -> None:
        self._documents.fetch(names)


class DerivableViews(dict[str, Documents]):
    """The documents of some projections at one position, with what was `derived` from such before; `left_out` are the positions
    of the events until there that one of the projections could not apply."""

    def __init__(
        self, documents: Mapping[str, Documents], derived: Derived, left_out: frozenset[int]
    ) -> None:
        super().__init__(documents)
        self.derived = derived
        self.left_out = left_out
