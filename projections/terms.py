"""What is counted: an authority's instrument of a unit. Figures of different terms are never added or compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from heapq import heappop, heappush
from typing import Protocol

from events import TermsDiffer, name_key

from .projection import Documents


class Counts(Protocol):
    """The data of an event that counts something."""

    @property
    def authority(self) -> str: ...
    @property
    def instrument(self) -> str: ...
    @property
    def unit(self) -> str: ...


@lru_cache(maxsize=1_024)
def key_of(authority: str, instrument: str, unit: str) -> str:
    """The key of the terms, equal for every spelling of their names."""
    return f"{name_key(authority)}\t{name_key(instrument)}\t{name_key(unit)}"


def key_for(data: Counts) -> str:
    """The key of the terms in which an event counts."""
    return key_of(data.authority, data.instrument, data.unit)


def needs(terms: str) -> str:
    """The document that `seen` will ask for."""
    return _counted(terms)


def seen(documents: Documents, data: Counts, stands: bool) -> str:
    """Notes that one more standing event, or one fewer, counts in these terms, and returns their key."""
    terms = key_for(data)
    held = documents.get(_counted(terms))
    if held is None:
        documents.put("terms", sorted([*(documents.get("terms") or []), terms]))
    spelled = with_times(held or {}, f"{data.authority}\t{data.instrument}\t{data.unit}", 1 if stands else -1)
    documents.put(_counted(terms), spelled or None)
    if not spelled:
        documents.put("terms", [other for other in documents.get("terms") if other != terms] or None)
    return terms


def keys_seen(documents: Documents) -> list[str]:
    """The keys of the terms that any standing event counts in."""
    listed: list[str] = documents.get("terms") or []
    return listed


def all_seen(documents: Documents) -> dict[str, dict[str, str]]:
    """The terms that any standing event counts in, by key, each as most of those events write it."""
    listed = keys_seen(documents)
    documents.fetch([_counted(terms) for terms in listed])
    parts = ("authority", "instrument", "unit")
    return {
        terms: dict(zip(parts, usual_spelling(documents.get(_counted(terms))).split("\t"), strict=True))
        for terms in listed
    }


def with_times(times: Mapping[str, int], what: str, more: int) -> dict[str, int]:
    """The counts in `times` with that of `what` changed by `more`, which may be negative; without `what` if that makes it 0."""
    changed = {
        **times,
        what: times.get(what, 0) + more,
    }  # a copy at once: a loop over 300 companies takes 10 us
    if not changed[what]:
        del changed[what]
    return changed


def usual_spelling(spelled: Mapping[str, int]) -> str:
    """The spelling that is used most often; of several equally frequent ones, the first by code points."""
    return min(spelled, key=lambda text: (-spelled[text], text))


class Equal(Mapping[str, frozenset[int]]):
    """The terms that are one with some, these first, each with the equations (positions) that lead to it. Which these are is told
    where it is asked: kept for each of 4,000 in a row they took 570 MB."""

    def __init__(self, terms: str) -> None:
        self._through: dict[str, tuple[str, int] | None] = {terms: None}

    def lead(self, known: str, new: str, position: int) -> None:
        """Says that an equation makes `new` terms one with some that are `known`."""
        self._through[new] = known, position

    def __getitem__(self, terms: str) -> frozenset[int]:
        equations = set[int]()
        through = self._through[terms]
        while through is not None:
            known, position = through
            equations.add(position)
            through = self._through[known]
        return frozenset(equations)

    def __contains__(self, terms: object) -> bool:
        return terms in self._through

    def __iter__(self) -> Iterator[str]:
        return iter(self._through)

    def __len__(self) -> int:
        return len(self._through)


def equating(one: Mapping[str, frozenset[int]], counted: Iterable[str]) -> frozenset[int]:
    """The equations that make these terms one with each other, of all that are `one`."""
    first, *others = [one[terms] for terms in counted] or [frozenset[int]()]
    return frozenset[int]().union(*(first ^ other for other in others))


def equal_to(terms: str, equations: Iterable[tuple[int, str, str]]) -> Equal:
    """The terms that are one with `terms`, itself included, each with the equations (positions) that make it so.

    Of several ways to some terms it is the one that is found first by who goes through all equations, in their order, again and
    again. Here only those are looked at that are of terms already found, each when its turn would come.
    """
    pairs = list(equations)
    about: dict[str, list[int]] = {}
    for index, (_, a, b) in enumerate(pairs):
        about.setdefault(a, []).append(index)
        about.setdefault(b, []).append(index)
    one = Equal(terms)
    turns = [(0, index) for index in about.get(terms, ())]
    while turns:
        time, index = heappop(turns)
        position, a, b = pairs[index]
        known, new = (a, b) if a in one else (b, a)
        if new not in one:
            one.lead(known, new, position)
            for other in about[new]:
                heappush(turns, (time if other > index else time + 1, other))
    return one


def first_of_each(counted: Iterable[str], equations: Iterable[tuple[int, str, str]]) -> dict[str, str]:
    """For each of some terms the first, by their keys, of all that are one with it: the same for all of these."""
    above: dict[str, str] = {}

    def first(terms: str) -> str:
        way = []
        while terms in above:
            way.append(terms)
            terms = above[terms]
        above.update(dict.fromkeys(way, terms))  # so that the next who comes this way is there at once
        return terms

    for _, a, b in equations:
        one, other = sorted((first(a), first(b)))
        if one != other:
            above[other] = one
    return {terms: first(terms) for terms in counted}


def written(counts: Mapping[str, str]) -> str:
    """The terms as a reader sees them: `CAC/approval/model`. A slash within a name is written as a full-width one, which is the same
    name: so no two terms are written alike."""
    return "/".join(counts[part].replace("/", "／") for part in ("authority", "instrument", "unit"))


def must_be_one(
    a: Mapping[str, str], b: Mapping[str, str], equations: Iterable[tuple[int, str, str]]
) -> frozenset[int]:
    """The positions of the equations that make `a` and `b` one. Raises TermsDiffer if nothing does."""
    one = equal_to(key_of(**a), equations)
    if (other := key_of(**b)) not in one:
        raise TermsDiffer(
            f"{written(a)} and {written(b)} count different things: they are never added, compared or divided. "
            "If they are the same, record why: publish a terms.equated.v1 event that says so."
        )
    return one[other]


def _counted(terms: str) -> str:
    return f"counted\t{terms}"
