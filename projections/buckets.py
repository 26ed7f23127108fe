"""A set of names, kept in up to 256 documents, so that adding one to a large set writes a small document; one more lists these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from .projection import Documents


def needs(set_name: str, name: str) -> list[str]:
    """The documents that adding or discarding `name` will ask for."""
    return [_place(set_name, _bucket_of(name)), _list(set_name)]


def add(documents: Documents, set_name: str, name: str) -> None:
    """Adds `name`; it may be there already."""
    bucket = _bucket_of(name)
    held: list[str] = documents.get(_place(set_name, bucket)) or []
    if name in held:
        return
    documents.put(_place(set_name, bucket), sorted([*held, name]))
    if not held:
        documents.put(_list(set_name), sorted([*_buckets(documents, set_name), bucket]))


def discard(documents: Documents, set_name: str, name: str) -> None:
    """Takes `name` out, where it is there."""
    bucket = _bucket_of(name)
    held: list[str] = documents.get(_place(set_name, bucket)) or []
    if name not in held:
        return
    left = [other for other in held if other != name]
    documents.put(_place(set_name, bucket), left or None)
    if not left:
        others = [other for other in _buckets(documents, set_name) if other != bucket]
        documents.put(_list(set_name), others or None)


def read(documents: Documents, set_name: str) -> Iterator[str]:
    """Every name, in one order that does not depend on the order of adding."""
    fetch(documents, [set_name])
    for bucket in _buckets(documents, set_name):
        yield from documents.get(_place(set_name, bucket))


def fetch(documents: Documents, set_names: Iterable[str]) -> None:
    """Reads several sets ahead, in two round trips."""
    listed = list(set_names)
    documents.fetch(map(_list, listed))
    documents.fetch(_place(name, bucket) for name in listed for bucket in _buckets(documents, name))


def _buckets(documents: Documents, set_name: str) -> list[str]:
    """Those that have a name in them, in order."""
    return documents.get(_list(set_name)) or []


def _list(set_name: str) -> str:
    return f"buckets\t{set_name}"


def _place(set_name: str, bucket: str) -> str:
    return f"bucket\t{set_name}\t{bucket}"


def _bucket_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:2]
