"""Values derived from documents, kept: a value is used again wherever those documents are the same, whatever else has changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Set
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from .projection import Documents

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

KEYS = 64
VARIANTS = 8  # of each key, from different documents: a reader who moves through the past returns to them


@dataclass(frozen=True, slots=True)
class Made:
    """A value, and by projection and key the documents that it was made from."""

    value: Any
    of: Mapping[str, Mapping[str, Any]]

    def is_of(self, views: Mapping[str, Documents]) -> bool:
        """Whether it would come out the same from these documents: as long as what is read is the same, so is what is read next."""
        return all(views[name].each(of) == [*of.values()] for name, of in self.of.items())

    def is_of_any(self, documents: Mapping[str, Set[str]]) -> bool:
        """Whether it was made of any of these, given by projection and name."""
        return any(
            not names.isdisjoint(self.of.get(projection, ())) for projection, names in documents.items()
        )


class Derived:
    """The values that were made last for some keys. Safe to share between threads, as the values must be."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, tuple[Made, ...]] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Hashable, views: Mapping[str, Documents]) -> Made | None:
        """What was made for this key from documents as they are in `views`, or None if no such value is kept."""
        with self._lock:
            kept = self._made.get(key, ())
        found = next((made for made in kept if made.is_of(views)), None)
        if found is not None:
            self._keep(key, found)
        return found

    def make(
        self, key: K, views: Mapping[str, Documents], make: Callable[[Mapping[str, Documents], K], Any]
    ) -> Made:
        """What `make` makes for the key from documents in `views`. It must depend on nothing else, and change none of them."""
        made = _made(key, views, make)
        self._keep(key, made)
        return made

    def last(self, key: Hashable) -> Any:
        """What was made or found for this key last, of whatever documents; None where nothing is kept."""
        with self._lock:
            kept = self._made.get(key, ())
        return kept[0].value if kept else None

    def _keep(self, key: Hashable, made: Made) -> None:
        with self._lock:
            others = (each for each in self._made.get(key, ()) if each is not made)
            self._made[key] = (made, *others)[:VARIANTS]
            self._made.move_to_end(key)
            if len(self._made) > KEYS:
                self._made.popitem(last=False)


def _made(key: K, views: Mapping[str, Documents], make: Callable[[Mapping[str, Documents], K], Any]) -> Made:
    heard = {projection: _Heard(documents) for projection, documents in views.items()}
    value = make(heard, key)
    return Made(value, {projection: of.asked for projection, of in heard.items() if of.asked})


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

    def each(self, names: Collection[str]) -> list[Any]:
        values = self._documents.each(names)
        self.asked.update(zip(names, values, strict=True))
        return values


class DerivableViews(dict[str, Documents]):
    """The documents of some projections at one `position`, and what is derived from them, which is looked up in `derived` first.
    `parked` has, by projection, the positions of the events that it could not apply."""

    def __init__(
        self,
        documents: Mapping[str, Documents],
        derived: Derived,
        parked: Mapping[str, set[int]],
        position: int,
    ) -> None:
        super().__init__(documents)
        self.derived, self.parked, self.position = derived, parked, position
        self._made: dict[Hashable, Made] = {}

    @property
    def left_out(self) -> frozenset[int]:
        """The positions of the events that one of the projections could not apply."""
        return frozenset(at for of in self.parked.values() for at in of if at <= self.position)

    def find(self, key: Hashable) -> Any:
        """What was made for this key from documents as they are here, or None if no such value is kept."""
        if key not in self._made:
            found = self.derived.find(key, self)
            if found is None:
                return None
            self._made[key] = found
        return self._made[key].value

    def make(self, key: K, make: Callable[[Mapping[str, Documents], K], T]) -> T:
        """What `make` makes: see `Derived.make`."""
        made = self._made[key] = self.derived.make(key, self, make)
        value: T = made.value
        return value

    def kept(self, key: K, make: Callable[[Mapping[str, Documents], K], T]) -> T:
        """What `make` makes, which is kept for these views alone, until one of the documents changes that it was made from: for
        values of which there are more than the others that are kept could stand."""
        if key not in self._made:
            self._made[key] = _made(key, self, make)
        value: T = self._made[key].value
        return value

    def moved_on(self, position: int, changed: Mapping[str, Set[str]]) -> None:
        """Says that they are at another position now, and which of them `changed` on the way, by projection and name."""
        self.position = position
        self._made = {key: made for key, made in self._made.items() if not made.is_of_any(changed)}


def derivable(views: Mapping[str, Documents]) -> DerivableViews:
    """These views; or plain documents with room for what is derived from them."""
    return views if isinstance(views, DerivableViews) else DerivableViews(views, Derived(), {}, 0)
