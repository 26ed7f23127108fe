"""The documents of a generation as the server has them, with the changes that are not committed yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast

from redis import Redis

from events import Unreadable, canonical, storage, stored_json

CACHED = 1_000  # documents kept between two pages; more are forgotten and read again. With 5,000 a replay holds 20 MB more, and is no faster


class DocumentDamaged(Unreadable):
    """A document is not one that this software writes: something else wrote it, or the server's disk changed it."""


class StoredDocuments:
    """Documents that are read when they are asked for. `empty`: whatever is under the key is left over, and the first commit
    removes it."""

    def __init__(self, client: Redis, key: str, *, empty: bool) -> None:
        self.key = key
        self._client = client
        self._empty = empty
        self._values: dict[str, Any] = {}
        self._changed: dict[str, None] = {}  # in the order of the folds

    def get(self, name: str) -> Any:
        if name not in self._values:
            self.fetch([name])
        return self._values[name]

    def put(self, name: str, value: Any) -> None:
        self._values[name] = value
        self._changed[name] = None

    def fetch(self, names: Iterable[str]) -> None:
        if missing := self.missing(names):
            with storage():
                found = cast(list[bytes | None], self._client.hmget(self.key, missing))
            self.read(missing, found)

    def each(self, names: Collection[str]) -> list[Any]:
        self.fetch(names)
        return [*map(self.get, names)]

    def missing(self, names: Iterable[str]) -> list[str]:
        """The ones among `names` that still have to be read from the server."""
        missing = list(dict.fromkeys(name for name in names if name not in self._values))
        if self._empty:
            self._values.update(dict.fromkeys(missing))
            return []
        return missing

    def read(self, names: list[str], found: list[bytes | None]) -> None:
        """Takes what the server has under `names`."""
        self._values.update(zip(names, map(value_of, found), strict=True))

    @property
    def changed(self) -> int:
        """How many documents the next commit writes."""
        return len(self._changed)

    def changes(self, snapshot: int) -> dict[str, bytes]:
        """The changed documents in their stored form (see `parted`), if `snapshot` will be the first to hold them; empty bytes for one
        that was removed."""
        values, since = self._values, b"%d " % snapshot
        return {
            name: b"" if values[name] is None else since + canonical(values[name]) for name in self._changed
        }

    def sent(self) -> None:
        """What was changed is on its way to the server: the next commit begins. Until `committed`, nothing is forgotten."""
        self._changed.clear()

    def committed(self) -> None:
        """What was sent is stored now."""
        self._empty = False
        if len(self._values) > CACHED:
            self._values = {name: self._values[name] for name in self._changed}


def value_of(stored: bytes | None) -> Any:
    """A document from its stored bytes, or None if there are none. Raises DocumentDamaged."""
    try:
        return None if stored is None else stored_json(parted(stored)[1])
    except ValueError:
        raise DocumentDamaged(
            f"a document of a projection is not what this software writes, {stored!r:.80}: something else wrote it. "
            "All of them follow from the log: run `approvals replay`"
        ) from None


def parted(stored: bytes) -> tuple[bytes, bytes]:
    """The position of the first snapshot that holds a document as it is stored, and its JSON."""
    since, _, json = stored.partition(b" ")
    return since, json
