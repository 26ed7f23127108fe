"""Which reported grants are one approval, although the folds, which see names only as they are written, count several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from events import DateRange, date_range, name_key

from . import approvals, batches, by_day, companies
from .identities import Identities, Marks, each_once, joined
from .projection import Documents
from .ranges import spanning

Changed = list[tuple[DateRange, int, list[int]]]
"""Changes to what is counted by days: the days, how many more or fewer, and some positions."""

Changes = dict[frozenset[str], list[tuple[str, int]]]
"""By the names of one company: on which days there are more or fewer approvals than the folds count."""


class Mixed(NamedTuple):
    """Registry numbers (as keys), and the reports without a number (their positions and dates) of an approval that has one of these
    numbers: `surely`, or unless it is another company's. The reports put it in these `batches` (by their keys)."""

    numbers: Set[str]
    reports: Sequence[tuple[int, str]]
    surely: bool
    batches: Set[str]


@dataclass(frozen=True, slots=True)
class Repeats:
    """What changes if names that are `surely` one company, or `perhaps`, are taken as one. `names` are those under which something
    may be counted that is counted under another one as well; `members` has, by batch, how many of its members may be.

    The numbers of which an approval may have one to which some reports give none: `numbered` has them by the batches in which it is
    counted as a member of its own, `placed` if it is counted on its own among what is in any batch, and `mixed` with the reports.

    `unnumbered` has the reports of an item by names that may be one company, if any of these reports names a batch and gives no
    number.

    `beside` has the days of approvals that there may be in addition to those that are counted, and `members_beside`, by batch, how
    many of these may be members.
    """

    surely: Changes = field(default_factory=dict)
    perhaps: Changes = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    members: dict[str, int] = field(default_factory=dict)
    numbered: dict[str, list[set[str]]] = field(default_factory=dict)
    placed: list[set[str]] = field(default_factory=list)
    mixed: list[Mixed] = field(default_factory=list)
    unnumbered: list[Entries] = field(default_factory=list)
    beside: Changed = field(default_factory=list)
    members_beside: dict[str, int] = field(default_factory=dict)


def repeats_in(
    documents: Documents, counted: str, given_twice: Mapping[str, tuple[Set[str], DateRange]]
) -> Repeats:
    """Folds count an approval without a number by its item and by its company's name as it is written. If events say that several
    names are one company, what they have of one item is one approval, or one of those that have a number; but not what they had
    while they were two. `given_twice` has the registry numbers that reports give to several names, with these names and the days
    (see `companies.shared`)."""
    found = Repeats()
    claimed = Identities(documents).claimed(companies.unnumbered(documents, counted))
    marks = Marks(documents, sorted({*claimed, *(of for of, _ in companies.mixed(documents, counted))}))
    groups = each_once(marks.groups)
    companies.fetch_granted(documents, {name for of in groups for name in of.names | of.disputed})
    are_one = cache(marks.are_one)
    others = {
        number
        for number, (of, on) in given_twice.items()
        if len({are_one(on).get(name, name) for name in of}) > 1
    }
    for group in groups:
        names = sorted(group.names | group.disputed)
        granted = {
            name: [entry | {"position": at} for at, entry in companies.granted_at(documents, name, counted)]
            for name in names
        }
        for of_item in by_part(granted, item_of).values():
            _note_beside(found, of_item, marks.claimants, others)
            days = days_that_span(of_item)
            surely = parts_by_mark(of_item, marks.are_one(days))
            for one in surely:
                numbers = set[str]().union(*map(numbers_of, one.values()))
                if not numbers or numbers - others:  # otherwise all their numbers may be another company's
                    found.surely.setdefault(frozenset(one), []).extend(_where_one(one))
            # A name that several companies claim may stand for any of them that has the item.
            disputed = group.disputed & of_item.keys()
            for one in [of_item] if disputed else parts_by_mark(of_item, marks.may_be_one(days)):
                if changes := _where_one(one):
                    found.perhaps.setdefault(frozenset(one), []).extend(changes)
                    found.names.update(one)
                for key, of_batch in by_part(one, batch_of).items():
                    repeated = -sum(n for _, n in _where_one(of_batch))
                    found.members[key] = found.members.get(key, 0) + repeated
                _note_numbers(found, one, others, surely=not disputed and one in surely)
                if any(map(_of_batch_without_number, one.values())):
                    found.unnumbered.append(one)
    return found


def _note_beside(found: Repeats, of_item: Entries, claimants: Mapping[str, int], others: Set[str]) -> None:
    """Notes approvals of one item that may not be counted: under a name that several companies claim, each of them may have one
    without a number, and so may a company whose only numbers may be another's. One of these is counted, or none."""
    for name, entries in of_item.items():
        bare = [entry for entry in entries if "registry_number" not in entry["item"]]
        if n := _beside(entries, claimants.get(name, 1), others):
            found.beside.append((days_that_span({name: bare}), n, []))
        for key, of_batch in by_part({name: entries}, batch_of).items():
            if n := _beside(of_batch[name], claimants.get(name, 1), others):
                found.members_beside[key] = found.members_beside.get(key, 0) + n


def _beside(entries: list[Entry], claimants: int, others: Set[str]) -> int:
    """How many approvals there may be in addition to those counted, by these reports of one item under one name."""
    numbers = numbers_of(entries)
    bare = sum("registry_number" not in entry["item"] for entry in entries)
    without = claimants - 1 if numbers - others else claimants  # companies whose approval may have no number
    return max(0, min(bare, without) - (0 if numbers else 1))


def _note_numbers(found: Repeats, one: Entries, others: Set[str], *, surely: bool) -> None:
    """Notes the reports of one item by names that are, `surely` or perhaps, one company, and where it is counted on its own although
    reports elsewhere give it a number, which may be one of `others`."""
    numbers = set[str]().union(*map(numbers_of, one.values()))
    if not numbers:
        return
    if bare := [entry for entries in one.values() for entry in entries if not numbers_of([entry])]:
        reports = [(entry["position"], entry["approved_on"]) for entry in bare]
        in_batches = {key for entry in bare if (key := batch_of(entry)) is not None}
        found.mixed.append(Mixed(numbers, reports, surely and numbers.isdisjoint(others), in_batches))
    for key, of_batch in by_part(one, batch_of).items():
        if not any(map(numbers_of, of_batch.values())):
            found.numbered.setdefault(key, []).append(numbers)
    for entries in one.values():
        in_batch = [entry for entry in entries if "batch" in entry]
        if in_batch and not numbers_of(in_batch) and numbers_of(entries):
            found.placed.append(numbers)


def _of_batch_without_number(entries: Iterable[Entry]) -> bool:
    return any("batch" in entry and not numbers_of([entry]) for entry in entries)


def numbers_of(entries: Iterable[Entry]) -> set[str]:
    """The registry numbers (as keys) in these reports."""
    return {name_key(number) for entry in entries if (number := entry["item"].get("registry_number"))}


def days_that_span(granted: Entries) -> DateRange:
    """From the first day that any of these reports gives to the last."""
    return spanning([date_range(entry["approved_on"]) for entries in granted.values() for entry in entries])


def parts_by_mark(granted: Entries, marks: Mapping[str, str]) -> list[Entries]:
    """The entries, divided by the marks of their names."""
    found: dict[str, Entries] = {}
    for name, entries in granted.items():
        found.setdefault(marks.get(name, name), {})[name] = entries
    return list(found.values())


Entry = dict[str, Any]  # what a report says about a grant
Entries = dict[str, list[Entry]]  # by the name (as a key) of the company


def by_part(granted: Entries, part: Callable[[Entry], str | None]) -> dict[str, Entries]:
    """The entries grouped by a part of them, without those that lack it."""
    found: dict[str, Entries] = {}
    for name, entries in granted.items():
        for entry in entries:
            if (key := part(entry)) is not None:
                found.setdefault(key, {}).setdefault(name, []).append(entry)
    return found


def item_of(entry: Entry) -> str:
    return name_key(entry["item"]["name"])


def batch_of(entry: Entry) -> str | None:
    return batches.batch_key(entry["batch"]) if "batch" in entry else None


def _where_one(granted: Entries) -> list[tuple[str, int]]:
    """How the counts by days change if all these names are one company: what they have of one item without a registry number is one
    approval, or one of those with a number."""
    changes: list[tuple[str, int]] = []
    for of_item in by_part(granted, item_of).values():
        alone = [
            [entry["approved_on"] for entry in entries]
            for entries in of_item.values()
            if not any("registry_number" in entry["item"] for entry in entries)
        ]
        numbered = len(alone) < len(of_item)
        if numbered or len(alone) > 1:
            changes += [(approvals.span(days), -1) for days in alone]
            changes += [] if numbered else [(approvals.span([day for days in alone for day in days]), 1)]
    return changes


def days_of(changes: Changes) -> Changed:
    """The changes of all companies together."""
    return [(by_day.day_range(on), n, []) for of in changes.values() for on, n in of]


@dataclass(frozen=True, slots=True)
class Doubles:
    """How many approvals are counted twice, at most: as members of each batch (by its key), and among those `placed` in any batch."""

    members: dict[str, int]
    placed: int


def doubles_in(
    documents: Documents, counted: str, repeats: Repeats, twice: Iterable[tuple[Set[str], Set[str]]]
) -> Doubles:
    """The fold of batches knows only the reports that name a batch. A member whose number is given elsewhere is the approval with
    that number, which may be in the batch already. If it is not, it is one member together with all that may have the same number.

    `twice` has the numbers that other terms give to what has none here, with the batches (by their keys) in which it is.
    """
    numbered = {key: [*listed] for key, listed in repeats.numbered.items()}
    for numbers, keys in twice:
        for key in keys:
            numbered.setdefault(key, []).append({*numbers})
    every = set[str]().union(*repeats.placed, *(of for listed in numbered.values() for of in listed))
    in_batches = batches.of_numbers(documents, counted, sorted(every))
    members = dict(repeats.members)
    for key, listed in numbered.items():
        others = [of for of in listed if not any(key in in_batches[number] for number in of)]
        members[key] = members.get(key, 0) + len(listed) - apart(others)
    others = [of for of in repeats.placed if not any(in_batches[number] for number in of)]
    return Doubles(members, len(repeats.placed) - apart(others))


def apart(sets: Iterable[set[str]]) -> int:
    """The number of groups into which these sets of registry numbers fall if sets that share a number are in one group."""
    some = [(min(of), of) for of in sets]
    groups = joined(
        {number: number for _, of in some for number in of}, [(a, b) for a, of in some for b in of]
    )
    return len({groups[first] for first, _ in some})
