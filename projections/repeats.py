"""Which reported grants are one approval though the folds, which know them as they are written, count several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from typing import Any

from events import DateRange, date_range, name_key

from . import approvals, batches, by_day, companies
from .identities import Group, Identities, Marks, each_once
from .projection import Documents

Changed = list[tuple[DateRange, int, list[int]]]
"""Like what is counted by days: the days, how many more or fewer, some positions."""

Changes = dict[frozenset[str], list[tuple[str, int]]]
"""For the names of one company: on which days there are more approvals, or fewer, than are counted."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """What changes where the names of a company are `surely` one, and where they are `perhaps`. `names` are those under which
    something may count that counts under another one, too; `members` has, by batch, how many of its members may.

    Beside those, an approval that reports give no number, and that may have one of some numbers: `numbered` has these by the
    batches that it is a member of for its own, and `placed` where it is for its own one of those that are in any batch.

    `beside` are the days of approvals that there may be beside those that are counted, and `members_beside` how many of these
    may be members of a batch.
    """

    surely: Changes = field(default_factory=dict)
    perhaps: Changes = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    members: dict[str, int] = field(default_factory=dict)
    numbered: dict[str, list[set[str]]] = field(default_factory=dict)
    placed: list[set[str]] = field(default_factory=list)
    beside: Changed = field(default_factory=list)
    members_beside: dict[str, int] = field(default_factory=dict)


def repeats_in(documents: Documents, counted: str, given_twice: Mapping[str, Set[str]]) -> Repeats:
    """Folds count an approval without a number by its item and its company as it is written. Where events say that several
    names are one company, what they have of one item is one approval, or one of those that have a number; but not what
    they had when they were two. `given_twice` are the registry numbers that reports give to several names (see `companies.shared`)."""
    found = Repeats()
    claimed = Identities(documents).claimed(companies.unnumbered(documents, counted))
    marks = Marks(documents, sorted({*claimed, *(of for of, _ in companies.mixed(documents, counted))}))
    groups = each_once(marks.groups)
    companies.fetch_granted(documents, {name for of in groups for name in of.names | of.disputed})
    mark = marks.may_be_one()
    others = {number for number, of in given_twice.items() if len({mark.get(name, name) for name in of}) > 1}
    for group in groups:
        names = sorted(group.names | group.disputed)
        granted = {name: companies.granted(documents, name, counted) for name in names}
        for of_item in _by(granted, _item_of).values():
            _note_beside(found, of_item, marks.claimants, others)
            days = _days_that_span(of_item)
            for one in _parts(of_item, marks.are_one(days)):
                numbers = set[str]().union(*map(_numbers, one.values()))
                if not numbers or numbers - others:  # else another may have what is theirs
                    found.surely.setdefault(frozenset(one), []).extend(_where_one(one))
            # A name that several companies claim may be of whichever has the item.
            disputed = group.disputed & of_item.keys()
            for one in [of_item] if disputed else _parts(of_item, marks.may_be_one(days)):
                if changes := _where_one(one):
                    found.perhaps.setdefault(frozenset(one), []).extend(changes)
                    found.names.update(one)
                for key, of_batch in _by(one, _batch_of).items():
                    repeated = -sum(n for _, n in _where_one(of_batch))
                    found.members[key] = found.members.get(key, 0) + repeated
                _note_numbers(found, one)
    return found


def _note_beside(found: Repeats, of_item: Entries, claimants: Mapping[str, int], others: Set[str]) -> None:
    """Of the reports of one item: under a name that several companies claim each of them may have an approval of it that has no
    number, and so may a company that has one of which others may be the holders. One of these is counted, or none."""
    for name, entries in of_item.items():
        bare = [entry for entry in entries if "registry_number" not in entry["item"]]
        if n := _beside(entries, claimants.get(name, 1), others):
            found.beside.append((_days_that_span({name: bare}), n, []))
        for key, of_batch in _by({name: entries}, _batch_of).items():
            if n := _beside(of_batch[name], claimants.get(name, 1), others):
                found.members_beside[key] = found.members_beside.get(key, 0) + n


def _beside(entries: list[Entry], claimants: int, others: Set[str]) -> int:
    """How many approvals there may be beside those that are counted of these reports of one item under one name."""
    numbers = _numbers(entries)
    bare = sum("registry_number" not in entry["item"] for entry in entries)
    without = claimants - 1 if numbers - others else claimants  # companies whose approval may have no number
    return max(0, min(bare, without) - (0 if numbers else 1))


def _note_numbers(found: Repeats, one: Entries) -> None:
    """Of the reports of one item by the names of one company: where it counts for its own though it has a number elsewhere."""
    numbers = set[str]().union(*map(_numbers, one.values()))
    if not numbers:
        return
    for key, of_batch in _by(one, _batch_of).items():
        if not any(map(_numbers, of_batch.values())):
            found.numbered.setdefault(key, []).append(numbers)
    for entries in one.values():
        in_batch = [entry for entry in entries if "batch" in entry]
        if in_batch and not _numbers(in_batch) and _numbers(entries):
            found.placed.append(numbers)


def _numbers(entries: Iterable[Entry]) -> set[str]:
    """The registry numbers (as keys) that reports give."""
    return {name_key(number) for entry in entries if (number := entry["item"].get("registry_number"))}


_AT_LAST = DateRange(date.max, date.max)  # when all mergers have been


def _days_that_span(granted: Entries) -> DateRange:
    ranges = [date_range(entry["approved_on"]) for entries in granted.values() for entry in entries]
    return DateRange(min(r.first for r in ranges), max(r.last for r in ranges))


def _parts(granted: Entries, marks: Mapping[str, str]) -> list[Entries]:
    """The entries, those apart that are of names with different marks."""
    found: dict[str, Entries] = {}
    for name, entries in granted.items():
        found.setdefault(marks.get(name, name), {})[name] = entries
    return list(found.values())


Entry = dict[str, Any]  # what a report says of a grant
Entries = dict[str, list[Entry]]  # such, by the name (as a key) of the company


def _by(granted: Entries, part: Callable[[Entry], str | None]) -> dict[str, Entries]:
    """The entries by a part of them, without those that lack it."""
    found: dict[str, Entries] = {}
    for name, entries in granted.items():
        for entry in entries:
            if (key := part(entry)) is not None:
                found.setdefault(key, {}).setdefault(name, []).append(entry)
    return found


def _item_of(entry: Entry) -> str:
    return name_key(entry["item"]["name"])


def _batch_of(entry: Entry) -> str | None:
    return batches.batch_key(entry["batch"]) if "batch" in entry else None


def _where_one(granted: Entries) -> list[tuple[str, int]]:
    """How the counts by days change where all these names are one company: what they have of an item without a number is
    one approval, or one of those that have a number."""
    changes: list[tuple[str, int]] = []
    for of_item in _by(granted, _item_of).values():
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
    """The same whoever they are of."""
    return [(by_day.day_range(on), n, []) for of in changes.values() for on, n in of]


@dataclass(slots=True)
class _Listed:
    """What one of several terms counts as one approval: its number, else its item and the names that it has; the days that its
    reports say, and those that it may be of where others are believed, too."""

    terms: str
    days: DateRange
    perhaps: DateRange

    def may_be_of(self, others: Iterable[_Listed]) -> None:
        """Widens the days by those of others."""
        every = [self.perhaps, *(other.days for other in others)]
        self.perhaps = DateRange(min(d.first for d in every), max(d.last for d in every))

    def excludes(self, other: _Listed) -> bool:
        """Whether no day may be that of both."""
        return self.days.last < other.days.first or other.days.last < self.days.first


def dated_otherwise(documents: Documents, counted: Sequence[str]) -> dict[str, Changed]:
    """What changes in the days of terms that are one where several of them list one approval, or what can only be one, on days
    that exclude each other. Counted on the days of each it would be two, one after the other: it is of some day between."""
    if len(counted) < 2:
        return {}
    of_number, bare = _listed(documents, counted)
    numbered: dict[str, list[_Listed]] = {}
    for (_, number), each in of_number.items():
        numbered.setdefault(number, []).append(each)
    for same in numbered.values():
        if any(one.excludes(other) for one, other in combinations(same, 2)):
            for one in same:
                one.may_be_of(same)
    for one, related in bare:
        # One without a number may be any of those of its item and company, as long as the days allow it.
        if any(
            all(one.excludes(other) for other in related if other.terms == terms)
            for terms in {other.terms for other in related}
        ):
            for each in (one, *related):
                each.may_be_of([one, *related])
    found: dict[str, Changed] = {}
    for each in (*of_number.values(), *(one for one, _ in bare)):
        if each.perhaps != each.days:
            found.setdefault(each.terms, []).extend([(each.days, -1, []), (each.perhaps, 1, [])])
    return found


def _listed(
    documents: Documents, counted: Sequence[str]
) -> tuple[dict[tuple[str, str], _Listed], list[tuple[_Listed, list[_Listed]]]]:
    """What each of the terms counts: by terms and number; and what has none, each with all of other terms that it may be."""
    names = companies.all_names(documents)
    companies.fetch_granted(documents, names)
    marks = Marks(documents, names)
    dates: dict[tuple[str, str], list[str]] = {}
    by_item: dict[str, dict[str, Entries]] = {}
    for terms in counted:
        granted = {name: companies.granted(documents, name, terms) for name in names}
        for item, of_item in _by(granted, _item_of).items():
            by_item.setdefault(item, {})[terms] = of_item
        for entry in (entry for entries in granted.values() for entry in entries):
            for number in _numbers([entry]):
                dates.setdefault((terms, number), []).append(entry["approved_on"])
    of_number = {(terms, number): _as_listed(terms, on) for (terms, number), on in dates.items()}
    bare: list[tuple[_Listed, list[_Listed]]] = []
    for of_terms in by_item.values():
        for group in each_once({name: marks.groups[name] for of in of_terms.values() for name in of}):
            bare += _bare(of_terms, group, marks, of_number)
    return of_number, bare


def _bare(
    of_terms: Mapping[str, Entries], group: Group, marks: Marks, of_number: Mapping[tuple[str, str], _Listed]
) -> list[tuple[_Listed, list[_Listed]]]:
    """Those of one item and company that have no number, each with what it may be in other terms."""
    every = {
        terms: {name: entries for name, entries in of_item.items() if name in group.names | group.disputed}
        for terms, of_item in of_terms.items()
    }
    together = [(f"{name}\t{terms}", entries) for terms, of in every.items() for name, entries in of.items()]
    if len({place.partition("\t")[2] for place, _ in together}) < 2:
        return []
    disputed = any(group.disputed & of.keys() for of in every.values())
    ever = marks.may_be_one(_days_that_span(dict(together)))
    found: list[tuple[str, str, _Listed, bool]] = []
    for terms, of_item in every.items():
        days = _days_that_span(of_item) if of_item else _AT_LAST
        for one in [of_item] if disputed else _parts(of_item, marks.may_be_one(days)):
            mark = "" if disputed else ever[next(iter(one))]
            numbers = set[str]().union(*map(_numbers, one.values()))
            found += [(terms, mark, of_number[terms, number], False) for number in numbers]
            if one and not numbers:
                listed = _as_listed(terms, [e["approved_on"] for entries in one.values() for e in entries])
                found.append((terms, mark, listed, True))
    return [
        (one, [other for at, same, other, _ in found if at != terms and same == mark])
        for terms, mark, one, without in found
        if without
    ]


def _as_listed(terms: str, dates: list[str]) -> _Listed:
    days = by_day.day_range(approvals.span(dates))
    return _Listed(terms, days, days)


@dataclass(frozen=True, slots=True)
class Doubles:
    """How many approvals are counted twice, at most: as members of a batch (by its key), and of those that are `placed`."""

    members: dict[str, int]
    placed: int


def doubles_in(documents: Documents, counted: str, repeats: Repeats) -> Doubles:
    """The fold of batches knows the reports that name one. Whose number is given elsewhere is the approval of that number,
    which may be in the batch already; where it is not, it is one of its members, and so are all that may have the same."""
    every = set[str]().union(*repeats.placed, *(of for listed in repeats.numbered.values() for of in listed))
    in_batches = batches.of_numbers(documents, counted, sorted(every))
    members = dict(repeats.members)
    for key, listed in repeats.numbered.items():
        others = [of for of in listed if not any(key in in_batches[number] for number in of)]
        members[key] = members.get(key, 0) + len(listed) - _apart(others)
    others = [of for of in repeats.placed if not any(in_batches[number] for number in of)]
    return Doubles(members, len(repeats.placed) - _apart(others))


def _apart(sets: Iterable[set[str]]) -> int:
    """Into how many groups these fall such that none shares a number with another."""
    found: list[set[str]] = []
    for numbers in sets:
        shared = [other for other in found if not numbers.isdisjoint(other)]
        found = [other for other in found if numbers.isdisjoint(other)] + [numbers.union(*shared)]
    return len(found)
