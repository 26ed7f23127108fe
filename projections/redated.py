"""The days of approvals about which reports disagree. The folds count such an approval on the days that some of its reports give, both
by itself and as a member of batches; this corrects that. It also finds approvals that are counted twice if several terms are one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations, permutations
from typing import NamedTuple

from events import DateRange, date_range

from . import approvals, by_day, companies
from .identities import Group, Marks, each_once, joined
from .projection import Documents
from .ranges import agreeing, spanning
from .repeats import (
    Changed,
    Entries,
    Entry,
    Mixed,
    Repeats,
    batch_of,
    by_part,
    days_that_span,
    item_of,
    numbers_of,
    parts_by_mark,
)


class Twice(NamedTuple):
    """An approval to which reports in some terms give no registry number, and reports in other terms one of these `numbers` (as
    keys). The same terms may count it once more: under such a number, as another company's or another item, or as something else
    without a number that may have the same one. It is counted as a member of these `batches` (by their keys)."""

    numbers: Set[str]
    batches: Set[str]


class Moved(NamedTuple):
    """A member of a batch that the fold of batches counts on the days `told` by the reports that name the batch, although considering
    all its reports it may be of other `days`. If `told` is None, the fold counts no such member, but what `terms` list on these days
    may be one. It is counted as granted from a day not later than `named_from` on."""

    terms: str
    told: DateRange | None
    days: DateRange
    named_from: date


@dataclass(frozen=True, slots=True)
class Redated:
    """The `changes` to what is counted by days, by terms; and the days of the approvals concerned: with a registry number
    (`numbered`) by terms and number (as a key), without one (`bare`) by terms, item and name of the company (as keys). The former
    are also dated by reports `without` the number (their positions). By terms, item and name, the approvals that may be counted
    `twice`; `once` is what changes if they are not. By terms and batch (as a key), its members that are `moved`."""

    changes: dict[str, Changed] = field(default_factory=dict)
    numbered: dict[tuple[str, str], DateRange] = field(default_factory=dict)
    bare: dict[tuple[str, str, str], DateRange] = field(default_factory=dict)
    without: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    twice: dict[str, dict[tuple[str, str], Twice]] = field(default_factory=dict)
    once: dict[str, Changed] = field(default_factory=dict)
    moved: dict[str, dict[str, list[Moved]]] = field(default_factory=dict)

    def twice_in(self, terms: str) -> list[Twice]:
        """The approvals that may be counted twice in these terms, each once, however many names it has."""
        return list({id(each): each for each in self.twice.get(terms, {}).values()}.values())


@dataclass(slots=True)
class _Listed:
    """What is `counted` on some days as one approval: a number, or without one an item under some names. The `days` are those that
    it may be of considering all its reports, including those `without` its number, some of which (`positions`) say just these
    days. It is in doubt if reports disagree. Some reports put it in `batches` (keys)."""

    terms: str
    counted: DateRange
    days: DateRange
    in_doubt: bool
    positions: list[int] = field(default_factory=list)
    without: list[int] = field(default_factory=list)
    batches: set[str] = field(default_factory=set)

    def agrees(self, other: _Listed) -> bool:
        """Whether the two may be the same approval, going by what is reported of each."""
        exclude = self.days.last < other.days.first or other.days.last < self.days.first
        return not (exclude or self.in_doubt or other.in_doubt)


_ByNumber = dict[tuple[str, str], _Listed]  # by terms and number (as a key)


class _Bare(NamedTuple):
    """An approval without a number: the `places` where it is listed (terms, item and name, as keys), everything `related` that it may
    be in other terms, and the `numbers` of these that its own terms do not give to this item and company."""

    places: list[tuple[str, str, str]]
    listed: _Listed
    related: list[_Listed]
    numbers: set[str]


def redated(documents: Documents, counted: Sequence[str], repeats: Mapping[str, Repeats]) -> Redated:
    """What changes in the terms `counted`, which are one, if all reports of an approval date it. A report without a registry number
    also dates the approval that has one. And if one approval, or what can only be one, is listed on days that exclude each other,
    it is of some day from the first to the last of them: counted on the days of each report it would be two, one after the other.

    `repeats` has, by terms, the reports without a number. Each of the terms may list the same approval, and one of them may list
    it twice, once without the number that another gives it.
    """
    of_number: _ByNumber = {}
    mixed = {terms: repeats[terms].mixed for terms in counted}
    for terms, of_terms in mixed.items():
        of_number |= _of_mixed(documents, terms, of_terms)
    bare = _read_all(documents, counted, of_number) if len(counted) > 1 else []
    _believe(of_number, [*_of_several(of_number, mixed), *_of_other_terms(of_number, bare)])
    found = Redated(
        numbered={place: one.days for place, one in of_number.items() if one.days != one.counted},
        bare={
            place: of.listed.days for of in bare for place in of.places if of.listed.days != of.listed.counted
        },
        without={place: one.without for place, one in of_number.items() if one.days != one.counted},
    )
    _note_twice(found, bare, of_number)
    for each in (*of_number.values(), *(of.listed for of in bare)):
        if each.days != each.counted:
            changes = [(each.counted, -1, []), (each.days, 1, each.positions)]
            found.changes.setdefault(each.terms, []).extend(changes)
    for terms in counted:
        for key, moved in _moved(documents, terms, repeats[terms].unnumbered, found, of_number):
            found.moved.setdefault(terms, {}).setdefault(key, []).append(moved)
    for terms, key, moved in _listed_in_others(of_number, bare):
        found.moved.setdefault(terms, {}).setdefault(key, []).append(moved)
    return found


def _note_twice(found: Redated, bare: Sequence[_Bare], of_number: _ByNumber) -> None:
    """Notes what may be counted twice: an approval without a number, if its terms also list one of its numbers; or if they do not,
    several without a number that may have the same one. The latter are one approval, of the days that all of them allow."""
    of_terms: dict[str, list[_Bare]] = {}
    for of in bare:
        terms = of.listed.terms
        if any((terms, number) in of_number for number in of.numbers):
            found.once.setdefault(terms, []).append((of.listed.days, -1, []))
            _note(found, of)
        elif of.numbers:
            of_terms.setdefault(terms, []).append(of)
    for terms, several in of_terms.items():
        marks = joined(
            {number: number for of in several for number in of.numbers},
            [(min(of.numbers), number) for of in several for number in of.numbers],
        )
        by_mark: dict[str, list[_Bare]] = {}
        for of in several:
            by_mark.setdefault(marks[min(of.numbers)], []).append(of)
        for together in by_mark.values():
            if len(together) > 1:
                days = agreeing([of.listed.days for of in together])
                found.once.setdefault(terms, []).append((days, 1, []))
                for of in together:
                    found.once[terms].append((of.listed.days, -1, []))
                    found.bare.update(dict.fromkeys(of.places, days))
                    _note(found, of)


def _note(found: Redated, of: _Bare) -> None:
    twice = Twice(of.numbers, of.listed.batches)
    for terms, item, name in of.places:
        found.twice.setdefault(terms, {})[item, name] = twice


def _of_mixed(documents: Documents, terms: str, mixed: Sequence[Mixed]) -> _ByNumber:
    """What is listed under the numbers that approvals without one may have. If such an approval certainly has a number, its reports
    also date what is listed under that."""
    numbers = sorted({number for each in mixed for number in each.numbers})
    without: dict[str, list[tuple[int, str]]] = {number: [] for number in numbers}
    in_batches: dict[str, set[str]] = {number: set() for number in numbers}
    for each in mixed:
        if (number := _its_number(each)) is not None:
            without[number] += each.reports
        for number in each.numbers:
            in_batches[number] |= each.batches
    found: _ByNumber = {}
    for number, reports in zip(numbers, approvals.reports_of(documents, terms, numbers), strict=True):
        listed = _listed(terms, [report.on for report in reports], without[number])
        listed.batches |= in_batches[number] | {
            report.batch for report in reports if report.batch is not None
        }
        found[terms, number] = listed
    return found


def _its_number(mixed: Mixed) -> str | None:
    """The registry number that certainly belongs to an approval that some reports give none; None if it may be another one."""
    return next(iter(mixed.numbers)) if mixed.surely and len(mixed.numbers) == 1 else None


_Compared = tuple[_Listed, list[_Listed]]
"""An approval without a registry number, and everything that it may be the same as."""


def _of_several(of_number: _ByNumber, mixed: Mapping[str, Sequence[Mixed]]) -> Iterator[_Compared]:
    """Reports without a number that may have one of several, with what has these: it is one with which it agrees, or if there is none,
    any of them."""
    for terms, of_terms in mixed.items():
        for each in of_terms:
            if _its_number(each) is None:
                related = [of_number[terms, number] for number in each.numbers]
                yield from ((_listed(terms, [on]), related) for _, on in each.reports)


def _of_other_terms(of_number: _ByNumber, bare: Sequence[_Bare]) -> Iterator[_Compared]:
    """Approvals without a number, with everything that they may be: what other terms list for the item and company, and everything
    with one of the numbers of these, under whichever item and company it is counted."""
    numbered = _by_number(of_number)
    for of in bare:
        others = [other for number in sorted(of.numbers) for other in numbered[number]]
        yield of.listed, [*of.related, *others]


def _by_number(of_number: _ByNumber) -> dict[str, list[_Listed]]:
    numbered: dict[str, list[_Listed]] = {}
    for (_, number), each in of_number.items():
        numbered.setdefault(number, []).append(each)
    return numbered


def _believe(of_number: _ByNumber, compared: Sequence[_Compared]) -> None:
    """Widens days until nothing changes. A number is one approval in all of the terms. An approval without one is one of those it is
    `compared` with that it agrees with. What is in doubt agrees with nothing, which may leave nothing to agree with for others."""
    numbered = _by_number(of_number)
    changed = True
    while changed:
        changed = False
        for same in numbered.values():
            if not all(one.agrees(other) for one, other in combinations(same, 2)):
                changed |= _believe_all(same)
        for one, related in compared:
            if any(
                not any(one.agrees(other) for other in related if other.terms == terms)
                for terms in {other.terms for other in related}
            ):
                changed |= _believe_all([one, *related])


def _believe_all(together: Sequence[_Listed]) -> bool:
    """Gives each of them all the days from which any of them may be. Returns whether that changed anything."""
    every = spanning([one.days for one in together])
    changed = [one for one in together if one.days != every or not one.in_doubt]
    for one in changed:
        one.days, one.in_doubt, one.positions = every, True, []
    return bool(changed)


def _read_all(documents: Documents, counted: Sequence[str], of_number: _ByNumber) -> list[_Bare]:
    """What is counted in several terms without a number. Puts the numbers that are counted into `of_number`, unless they are there
    already."""
    names = companies.all_names(documents)
    companies.fetch_granted(documents, names)
    marks = Marks(documents, names)
    given: dict[tuple[str, str], list[Entry]] = {}
    by_item: dict[str, dict[str, Entries]] = {}
    for terms in counted:
        granted = {name: companies.granted(documents, name, terms) for name in names}
        for item, of_item in by_part(granted, item_of).items():
            by_item.setdefault(item, {})[terms] = of_item
        for entry in (entry for entries in granted.values() for entry in entries):
            for number in numbers_of([entry]):
                given.setdefault((terms, number), []).append(entry)
    for (terms, number), of in given.items():
        if (terms, number) not in of_number:
            of_number[terms, number] = listed = _listed(terms, [entry["approved_on"] for entry in of])
            listed.batches.update(key for entry in of if (key := batch_of(entry)) is not None)
    bare: list[_Bare] = []
    for item, of_terms in by_item.items():
        for group in each_once({name: marks.groups[name] for of in of_terms.values() for name in of}):
            bare += _of_item(item, of_terms, group, marks, of_number)
    return bare


_AT_LAST = DateRange(date.max, date.max)  # a day after all mergers


def _of_item(
    item: str, of_terms: Mapping[str, Entries], group: Group, marks: Marks, of_number: _ByNumber
) -> list[_Bare]:
    """What is counted without a number for one item and one company."""
    every = {
        terms: {name: entries for name, entries in of_item.items() if name in group.names | group.disputed}
        for terms, of_item in of_terms.items()
    }
    together = [(f"{name}\t{terms}", entries) for terms, of in every.items() for name, entries in of.items()]
    if len({place.partition("\t")[2] for place, _ in together}) < 2:
        return []
    disputed = any(group.disputed & of.keys() for of in every.values())
    ever = marks.may_be_one(days_that_span(dict(together)))
    found: list[tuple[str, _Listed, str, Entries]] = []  # with its mark, and its number or its reports
    for terms, of_item in every.items():
        days = days_that_span(of_item) if of_item else _AT_LAST
        for one in [of_item] if disputed else parts_by_mark(of_item, marks.may_be_one(days)):
            mark = "" if disputed else ever[next(iter(one))]
            numbers = set[str]().union(*map(numbers_of, one.values()))
            found += [(mark, of_number[terms, number], number, {}) for number in numbers]
            if one and not numbers:
                listed = _listed(terms, [e["approved_on"] for entries in one.values() for e in entries])
                listed.batches.update(by_part(one, batch_of))
                found.append((mark, listed, "", one))
    bare: list[_Bare] = []
    for mark, listed, _, reports in found:
        if reports:
            here = set[str]().union(*map(numbers_of, every[listed.terms].values()))
            others = [(o, number) for same, o, number, _ in found if o.terms != listed.terms and same == mark]
            bare.append(
                _Bare(
                    [(listed.terms, item, name) for name in reports],
                    listed,
                    [other for other, _ in others],
                    {number for _, number in others if number} - here,
                )
            )
    return bare


def _moved(
    documents: Documents, terms: str, unnumbered: Sequence[Entries], found: Redated, of_number: _ByNumber
) -> Iterator[tuple[str, Moved]]:
    """The members of batches (with the batch's key) to which reports that do not name the batch give other days. `unnumbered` has the
    reports of an item by names that may be one company, if some of these name a batch and give no number."""
    of_several = {(item_of(entries[0]), name) for of in unnumbered for name, entries in of.items()}
    numbers, items = companies.redated(documents, terms)
    numbers = sorted({*numbers, *(number for of, number in found.numbered if of == terms)})
    items = sorted({*items, *((item, name) for of, item, name in found.bare if of == terms)} - of_several)
    members = [
        *_of_numbers(documents, terms, numbers, of_number),
        *_of_items(documents, terms, items, found),
        *(member for of_item in unnumbered for member in _of_names(terms, of_item, found, of_number)),
    ]
    for key, told, days, named_from in members:
        if told is None:
            yield key, Moved(terms, None, days, named_from)
        elif told != days:
            yield key, Moved(terms, told, days, max(told.first, named_from))


def _listed_in_others(of_number: _ByNumber, bare: Sequence[_Bare]) -> Iterator[tuple[str, str, Moved]]:
    """Approvals that some of several terms that are one put in a batch, and that others list without saying so. The latter count such
    an approval as named by itself, the former as a member."""
    pairs = [pair for same in _by_number(of_number).values() for pair in permutations(same, 2)]
    for of in bare:
        for other in [other for other in of.related if other.agrees(of.listed)] or of.related:
            pairs += [(of.listed, other), (other, of.listed)]
    listed = {(key, id(other)): (one, other) for one, other in pairs for key in one.batches - other.batches}
    for (key, _), (one, other) in listed.items():
        yield one.terms, key, Moved(other.terms, None, other.days, date.min)


_Member = tuple[str, DateRange | None, DateRange, date]
"""The batch (its key), the days by the reports that name the batch (None if it is not counted as a member), the days by all reports,
and the latest day from which on it is counted."""


def _of_numbers(
    documents: Documents, terms: str, numbers: Sequence[str], of_number: _ByNumber
) -> Iterator[_Member]:
    for number, reports in zip(numbers, approvals.reports_of(documents, terms, numbers), strict=True):
        listed = of_number.get((terms, number)) or _listed(terms, [report.on for report in reports])
        for key, told in _told_by_batch(reports):
            yield key, told, listed.days, listed.days.first


def _of_items(
    documents: Documents, terms: str, items: Sequence[tuple[str, str]], found: Redated
) -> Iterator[_Member]:
    for of, reports in zip(items, approvals.reports_without(documents, terms, items), strict=True):
        for key, told in _told_by_batch(reports):
            days = found.bare.get((terms, *of)) or _listed(terms, [report.on for report in reports]).days
            yield key, told, days, days.first


def _of_names(terms: str, of_item: Entries, found: Redated, of_number: _ByNumber) -> Iterator[_Member]:
    """The members among the approvals of an item by names that may be one company. If the item has numbers, an approval without one
    is one of those that have one."""
    numbers = sorted(set[str]().union(*map(numbers_of, of_item.values())))
    every = _listed(terms, [entry["approved_on"] for entries in of_item.values() for entry in entries]).days
    for key, of_batch in by_part(of_item, batch_of).items():
        here = set[str]().union(*map(numbers_of, of_batch.values()))
        for name, entries in of_batch.items():
            without = [entry for entry in entries if not numbers_of([entry])]
            if not without:
                continue
            told = _listed(terms, [entry["approved_on"] for entry in without])
            if not numbers:
                days = found.bare.get((terms, item_of(without[0]), name), every)
                yield key, told.days, days, days.first
                continue
            related = {number: of_number[terms, number] for number in numbers}
            perhaps = {number: one for number, one in related.items() if one.agrees(told)} or related
            if len(without) == len(entries):
                yield key, told.days, *_of_one(told, perhaps.values())
            elif others := [one for number, one in perhaps.items() if number not in here]:
                # The batch has a number of this item, so it does not count this approval, which may be another one.
                yield key, None, *_of_one(told, others)


def _of_one(told: _Listed, related: Collection[_Listed]) -> tuple[DateRange, date]:
    """The days of what is one of the `related`, with all of which it agrees, or with none; and the last of the days from which on these
    may be counted."""
    among = [one.days for one in related]
    first, last = min(days.first for days in among), max(days.last for days in among)
    both, either = (max, min) if all(one.agrees(told) for one in related) else (min, max)
    days = DateRange(both(first, told.days.first), either(last, told.days.last))
    return days, max(days.first for days in among)


def _told_by_batch(reports: Iterable[approvals.Told]) -> Iterator[tuple[str, DateRange]]:
    """For each batch (its key), the days that the reports naming it give."""
    dates: dict[str, list[str]] = {}
    for report in reports:
        if report.batch is not None:
            dates.setdefault(report.batch, []).append(report.on)
    return ((key, by_day.day_range(approvals.span(of))) for key, of in dates.items())


def _listed(terms: str, dates: Sequence[str], without: Sequence[tuple[int, str]] = ()) -> _Listed:
    """What is listed by reports with these `dates`, and by reports `without` its number (their positions and dates)."""
    every = [*dates, *(on for _, on in without)]
    on, ranges = approvals.span(every), [*map(date_range, every)]
    in_doubt = max(r.first for r in ranges) > min(r.last for r in ranges)
    positions = sorted(at for at, told in without if told == on)[: by_day.SAMPLE]
    return _Listed(
        terms,
        by_day.day_range(approvals.span([*dates])),
        by_day.day_range(on),
        in_doubt,
        positions,
        [at for at, _ in without],
    )
