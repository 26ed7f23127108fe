"""The fold of sources: every claim once, with everybody who made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice
from typing import Any

from events import CATALOG, DecodedEvent, canonical, name_key

from . import pages
from .projection import Documents

name = "sources"
version = 5
handles = frozenset(CATALOG)


def needs(event: DecodedEvent) -> list[str]:
    claim, _, _ = _claim(event)
    return [_reports(claim), "claims"]


def lists(event: DecodedEvent) -> list[str]:
    return needs(event)


def evolve(documents: Documents, event: DecodedEvent, stands: bool) -> None:
    claim, says, source = _claim(event)
    reports = _reports(claim)
    before = pages.first(documents, reports)
    pages.keep(documents, reports, event.position, source, stands, about={"type": event.type, "says": says})
    after = pages.first(documents, reports)
    if before == after:
        return
    # A claim is listed where it was first made.
    if before is not None:
        pages.remove(documents, "claims", before)
    if after is not None:
        pages.insert(documents, "claims", after, claim)


def claims(
    documents: Documents, after: int = 0
) -> Iterator[tuple[dict[str, Any], list[tuple[int, dict[str, Any]]]]]:
    """The claims (type, and what is said) that were first made after a position, in that order, with the reports that make
    them (position and source)."""
    listed = (claim for _, claim in pages.read(documents, "claims", after))
    while some := list(islice(listed, FETCHED)):
        documents.fetch(map(_reports, some))
        yield from (
            (pages.about(documents, _reports(c)), list(pages.read(documents, _reports(c)))) for c in some
        )


FETCHED = 200  # claims that are fetched at once


def origin(source: dict[str, Any]) -> str:
    """Whose word a report is, as a key: the publisher that it derives from, or else its own publisher."""
    return name_key(source.get("derived_from", source)["publisher"])


def independent(sources: list[dict[str, Any]]) -> list[str]:
    """The independent origins of the reports of one claim, as keys: if A repeats B and B repeats C, only C counts. If some repeat each
    other and nobody else, the one with the first key counts."""
    repeats: dict[str, set[str]] = {}
    repeated_by: dict[str, set[str]] = {}
    for source in sources:
        publisher, of = name_key(source["publisher"]), origin(source)
        if publisher != of:
            repeats.setdefault(publisher, set()).add(of)
            repeated_by.setdefault(of, set()).add(publisher)
    # Those who repeat each other, by two walks (Kosaraju), which take as long as there are reports: to follow each report to its
    # end took 78 s for a chain of 2,000.
    origins = dict.fromkeys(map(origin, sources))
    passed = set[str]()
    order = [name for start in origins for name in _led_to(start, repeated_by, passed)]
    passed.clear()
    rings = (frozenset(_led_to(start, repeats, passed)) for start in reversed(order))
    return sorted(
        min(ring) for ring in rings if ring and all(repeats.get(name, ring) <= ring for name in ring)
    )


def _led_to(start: str, leads: Mapping[str, set[str]], passed: set[str]) -> Iterator[str]:
    """Those that `start` leads to, itself included, that were not passed before: each after all that it leads to."""
    way = [] if start in passed else [(start, iter(leads.get(start, ())))]
    passed.add(start)
    while way:
        name, further = way[-1]
        if (following := next((each for each in further if each not in passed), None)) is None:
            yield name
            way.pop()
        else:
            passed.add(following)
            way.append((following, iter(leads.get(following, ()))))


def _claim(event: DecodedEvent) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The key of what an event claims, what it says, and who says so: a correction has an actor for its source."""
    # How a list puts it does not count: two lists claim the same, whatever their columns are called.
    says = {part: value for part, value in event.written.items() if part not in ("published", "source")}
    source = event.written.get("source") or {"publisher": says["actor"]}
    return sha256(canonical([event.type, says])).hexdigest()[:32], says, source


def _reports(claim: str) -> str:
    return f"claim\t{claim}"
