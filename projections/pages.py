"""A list of entries by position, kept in pages, so that adding to a long list writes one short document."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from .projection import Documents, key

PAGE = 16  # entries; with 32, the companies of 10,000 approvals take 10 % longer to rebuild
AHEAD = 16  # pages that are read at once


def keep(documents: Documents, name: str, position: int, entry: Any, stands: bool) -> None:
    """Adds `entry` at `position`, or, where it stands no longer, takes it out."""
    if stands:
        insert(documents, name, position, entry)
    else:
        remove(documents, name, position)


def insert(documents: Documents, name: str, position: int, entry: Any) -> None:
    """Adds `entry` at `position`, which holds none yet."""
    firsts = _firsts(documents, name) or [position]
    page = max(bisect_right(firsts, position) - 1, 0)
    entries = _entries(documents, name, page)
    if page == len(firsts) - 1 and len(entries) >= PAGE and entries[-1][0] < position:
        _put(documents, name, [*firsts, position], len(firsts), [[position, entry]])
        return
    at = bisect_left(entries, position, key=lambda held: held[0])
    entries = [*entries[:at], [position, entry], *entries[at:]]
    _put(documents, name, [min(position, firsts[0]), *firsts[1:]], page, entries)


def remove(documents: Documents, name: str, position: int) -> None:
    """Takes out the entry at `position`, which must be there."""
    firsts = _firsts(documents, name)
    page = max(bisect_right(firsts, position) - 1, 0)
    entries = [held for held in _entries(documents, name, page) if held[0] != position]
    _put(documents, name, firsts, page, entries)
    kept = len(firsts)
    while kept and not _entries(
        documents, name, kept - 1
    ):  # a page before the last may have been emptied first
        kept -= 1
        if kept:
            documents.put(_page(name, kept), None)
    if kept < len(firsts):
        documents.put(name, [firsts[:kept], _entries(documents, name, 0)] if kept else None)


def read(documents: Documents, name: str, after: int = 0) -> Iterator[tuple[int, Any]]:
    """Every later position with its entry, in order. Pages are read as far as they are asked for, some at a time."""
    held = documents.get(name)
    if held is None:
        return
    firsts, first_page = held
    pages = range(max(bisect_right(firsts, after) - 1, 0), len(firsts))
    for index, page in enumerate(pages):
        if index % AHEAD == 0 and len(firsts) > 1:
            documents.fetch(_page(name, ahead) for ahead in pages[index : index + AHEAD] if ahead)
        for position, entry in _entries(documents, name, page) if page else first_page:
            if position > after:
                yield position, entry


def fetch(documents: Documents, names: Iterable[str]) -> None:
    """Reads many lists ahead, in two round trips."""
    listed = list(names)
    documents.fetch(listed)
    documents.fetch(_page(name, page) for name in listed for page in range(1, len(_firsts(documents, name))))


def first(documents: Documents, name: str) -> int | None:
    """The position of the first entry, or None."""
    for page in range(len(_firsts(documents, name))):
        for position, _ in _entries(documents, name, page):
            return int(position)
    return None


# The document `name` has the first position of each page, and the first page itself: most lists have no other.


def _firsts(documents: Documents, name: str) -> list[int]:
    held = documents.get(name)
    return held[0] if held else []


def _entries(documents: Documents, name: str, page: int) -> list[Any]:
    if page:
        return documents.get(_page(name, page)) or []
    held = documents.get(name)
    return held[1] if held else []


def _put(documents: Documents, name: str, firsts: list[int], page: int, entries: list[Any]) -> None:
    if page == 0:
        documents.put(name, [firsts, entries])
        return
    documents.put(_page(name, page), entries)
    if firsts != _firsts(documents, name):
        documents.put(name, [firsts, _entries(documents, name, 0)])


def _page(name: str, page: int) -> str:
    return key("page", str(page), name)
