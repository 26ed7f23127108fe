"""A list of entries by position, kept in pages, so that adding to a long list writes one short document."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from .projection import Documents, key

PAGE = 32  # entries
AHEAD = 16  # pages that are read at once


def keep(documents: Documents, name: str, position: int, entry: Any, stands: bool) -> None:
    """Adds `entry` at `position`, or, where it stands no longer, takes it out."""
    if stands:
        insert(documents, name, position, entry)
    else:
        remove(documents, name, position)


def insert(documents: Documents, name: str, position: int, entry: Any) -> None:
    """Adds `entry` at `position`, which holds none yet."""
    firsts: list[int] = documents.get(name) or []
    page = max(bisect_right(firsts, position) - 1, 0)
    entries: list[Any] = (documents.get(_page(name, page)) or []) if firsts else []
    if not firsts or (page == len(firsts) - 1 and len(entries) >= PAGE and entries[-1][0] < position):
        documents.put(name, [*firsts, position])
        documents.put(_page(name, len(firsts)), [[position, entry]])
        return
    at = bisect_left(entries, position, key=lambda held: held[0])
    documents.put(_page(name, page), [*entries[:at], [position, entry], *entries[at:]])
    if position < firsts[page]:
        documents.put(name, [*firsts[:page], position, *firsts[page + 1 :]])


def remove(documents: Documents, name: str, position: int) -> None:
    """Takes out the entry at `position`, which must be there."""
    firsts: list[int] = documents.get(name) or []
    page = max(bisect_right(firsts, position) - 1, 0)
    entries = [held for held in documents.get(_page(name, page)) or [] if held[0] != position]
    documents.put(_page(name, page), entries)
    kept = len(firsts)
    while kept and not documents.get(
        _page(name, kept - 1)
    ):  # a page before the last may have been emptied first
        kept -= 1
        documents.put(_page(name, kept), None)
    if kept < len(firsts):
        documents.put(name, firsts[:kept] or None)


def read(documents: Documents, name: str, after: int = 0) -> Iterator[tuple[int, Any]]:
    """Every later position with its entry, in order. Pages are read as far as they are asked for, some at a time."""
    firsts: list[int] = documents.get(name) or []
    pages = [_page(name, page) for page in range(max(bisect_right(firsts, after) - 1, 0), len(firsts))]
    for index, page in enumerate(pages):
        if index % AHEAD == 0:
            documents.fetch(pages[index : index + AHEAD])
        yield from ((position, entry) for position, entry in documents.get(page) or [] if position > after)


def fetch(documents: Documents, names: Iterable[str]) -> None:
    """Reads many lists ahead, in two round trips."""
    listed = list(names)
    documents.fetch(listed)
    documents.fetch(_page(name, page) for name in listed for page in range(len(documents.get(name) or [])))


def first(documents: Documents, name: str) -> int | None:
    """The position of the first entry, or None."""
    for page in range(len(documents.get(name) or [])):
        for position, _ in documents.get(_page(name, page)) or []:
            return int(position)
    return None


def _page(name: str, page: int) -> str:
    return key("page", str(page), name)
