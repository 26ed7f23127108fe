"""A set of names, kept in 256 documents, so that adding one to a large set writes a small document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256

from .projection import Documents


def add(documents: Documents, set_name: str, name: str) -> None:
    """Adds `name`; it may be there already."""
    held: list[str] = documents.get(_bucket(set_name, name)) or []
    if name not in held:
        documents.put(_bucket(set_name, name), sorted([*held, name]))


def discard(documents: Documents, set_name: str, name: str) -> None:
    """Takes `name` out, where it is there."""
    held: list[str] = documents.get(_bucket(set_name, name)) or []
    documents.put(_bucket(set_name, name), [other for other in held if other != name] or None)


def read(documents: Documents, set_name: str) -> Iterator[str]:
    """Every name, in one order that does not depend on the order of adding."""
    buckets = _all(set_name)
    documents.fetch(buckets)
    for bucket in buckets:
        yield from documents.get(bucket) or []


def fetch(documents: Documents, set_names: Iterable[str]) -> None:
    """Reads several sets ahead, at once."""
    documents.fetch(bucket for set_name in set_names for bucket in _all(set_name))


@lru_cache(64)  # a question reads whole sets, the same as the one before it
def _all(set_name: str) -> tuple[str, ...]:
    return tuple(f"bucket\t{set_name}\t{number:02x}" for number in range(256))


def _bucket(set_name: str, name: str) -> str:
    return f"bucket\t{set_name}\t{sha256(name.encode()).hexdigest()[:2]}"
