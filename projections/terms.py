"""What is counted: an authority's instrument of a unit. Figures of different terms are never added or compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from events import TermsDiffer, name_key

from .projection import Documents, key


class Counts(Protocol):
    """The data of an event that counts something."""

    @property
    def authority(self) -> str: ...
    @property
    def instrument(self) -> str: ...
    @property
    def unit(self) -> str: ...


def key_of(authority: str, instrument: str, unit: str) -> str:
    """The key of the terms, equal for every spelling of their names."""
    return key(name_key(authority), name_key(instrument), name_key(unit))


def key_for(data: Counts) -> str:
    """The key of the terms in which an event counts."""
    return key_of(data.authority, data.instrument, data.unit)


def needs(data: Counts) -> list[str]:
    """The document that `seen` will ask for."""
    return [_counted(key_for(data))]


def seen(documents: Documents, data: Counts, stands: bool) -> str:
    """Notes that one more standing event, or one fewer, counts in these terms, and returns their key."""
    terms = key_for(data)
    held = documents.get(_counted(terms))
    if held is None:
        written = {"authority": data.authority, "instrument": data.instrument, "unit": data.unit}
        held = {"as_written": written, "events": 0}
        documents.put("terms", sorted([*(documents.get("terms") or []), terms]))
    events = held["events"] + (1 if stands else -1)
    documents.put(_counted(terms), held | {"events": events} if events else None)
    if not events:
        documents.put("terms", [other for other in documents.get("terms") if other != terms] or None)
    return terms


def all_seen(documents: Documents) -> dict[str, dict[str, str]]:
    """The terms that any standing event counts in, by key, each as it was first written."""
    listed: list[str] = documents.get("terms") or []
    documents.fetch([_counted(terms) for terms in listed])
    return {terms: documents.get(_counted(terms))["as_written"] for terms in listed}


def equal_to(terms: str, equations: Iterable[tuple[int, str, str]]) -> dict[str, frozenset[int]]:
    """The terms that are one with `terms`, itself included, each with the equations (positions) that make it so."""
    one = {terms: frozenset[int]()}
    pairs = list(equations)
    grown = True
    while grown:
        grown = False
        for position, a, b in pairs:
            for known, new in ((a, b), (b, a)):
                if known in one and new not in one:
                    one[new] = one[known] | {position}
                    grown = True
    return one


def written(counts: Mapping[str, str]) -> str:
    """The terms as a reader sees them: `CAC/approval/model`."""
    return f"{counts['authority']}/{counts['instrument']}/{counts['unit']}"


def must_be_one(
    a: Mapping[str, str], b: Mapping[str, str], equations: Iterable[tuple[int, str, str]]
) -> frozenset[int]:
    """The equations that make `a` and `b` one. Raises TermsDiffer where nothing does."""
    one = equal_to(key_of(**a), equations)
    if (other := key_of(**b)) not in one:
        raise TermsDiffer(
            f"{written(a)} and {written(b)} count different things: they are never added, compared or divided. "
            "If they are the same, record why: publish a terms.equated.v1 event that says so."
        )
    return one[other]


def _counted(terms: str) -> str:
    return key("counted", terms)
