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
    """An approval that reports in some terms give no registry number, and others one of these `numbers` (as keys), under which the
    same terms count it once more: as another company's, or as another item. It is counted as a member of these `batches` (by
    their keys)."""

    numbers: Set[str]
    batches: Set[str]


class Moved(NamedTuple):
    """What the fold of batches counts as a member on the days `told` by the reports that name the batch, though where all its
    reports are looked at it may be of other `days`. Where nothing is told the fold counts none, but what these `terms` list on these
    days may be a member. It is counted as granted from a day not later than `named_from` on."""

    terms: str
    told: DateRange | None
    days: DateRange
    named_from: date


@dataclass(frozen=True, slots=True)
class Redated:
    """What changes, by terms, where approvals are counted by their days; and which days those are of: with a registry number
    by terms and number (as a key), without one by terms, item, and name of the company (as keys). Those with a number are so
    dated by reports `without` it, too (their positions). By terms, item and name, those that are perhaps counted `twice`; `once`
    is what changes where they are not. By terms, and batch (as a key), its members that are `moved`."""

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
    """What is `counted` on some days as one approval: its number, else its item and the names that it has. The `days` are those
    that it may be of where all its reports are looked at, those `without` its number too, of which some (`positions`) say just
    these; it is in doubt where they disagree. Some reports put it in `batches` (keys)."""

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
    """What has no number: its terms, item and each name (as keys), and all of other terms that it may be, with the numbers of these
    that are not of this item and company in its own terms."""

    places: list[tuple[str, str, str]]
    listed: _Listed
    related: list[_Listed]
    numbers: set[str]


def redated(documents: Documents, counted: Sequence[str], repeats: Mapping[str, Repeats]) -> Redated:
    """A report without a registry number says the day of the approval that has one, too. And where one approval, or what can only
    be one, is listed on days that exclude each other, it is of some day between: counted on the days of each it would be two,
    one after the other.

    `repeats` have, by terms, the reports without a number. Each of several terms that are one may list an approval, and one of
    them twice, once without the number that another gives it.
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
    """What has none of its numbers is counted beside the number, or where its terms do not have that, beside others that may have
    the same: all of these are one, of the days that all allow."""
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
    """The numbers that what has none may have; where it surely has this one, its reports say its days as well."""
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
    """Of several numbers a report without one has one whose days it agrees with; where there is none, it may have any of them."""
    for terms, of_terms in mixed.items():
        for each in of_terms:
            if _its_number(each) is None:
                related = [of_number[terms, number] for number in each.numbers]
                yield from ((_listed(terms, [on]), related) for _, on in each.reports)


def _of_other_terms(of_number: _ByNumber, bare: Sequence[_Bare]) -> Iterator[_Compared]:
    """What has no number may be any of those of its item and company, under whichever item and company other terms count these."""
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
    """A number is one approval in all of the terms. What has none is one that it agrees with; whatever is in doubt agrees with no
    other, and so may leave none for what has been compared with it."""
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
    """What several terms count that has no number; the numbers that they count, but for those that are known already, are put
    into `of_number`."""
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


_AT_LAST = DateRange(date.max, date.max)  # when all mergers have been


def _of_item(
    item: str, of_terms: Mapping[str, Entries], group: Group, marks: Marks, of_number: _ByNumber
) -> list[_Bare]:
    """What has no number, of one item and company."""
    every = {
        terms: {name: entries for name, entries in of_item.items() if name in group.names | group.disputed}
        for terms, of_item in of_terms.items()
    }
    together = [(f"{name}\t{terms}", entries) for terms, of in every.items() for name, entries in of.items()]
    if len({place.partition("\t")[2] for place, _ in together}) < 2:
        return []
    disputed = any(group.disputed & of.keys() for of in every.values())
    ever = marks.may_be_one(days_that_span(dict(together)))
    found: list[tuple[str, _Listed, str, Entries]] = []  # with its mark, and its number or else its reports
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
    """The members of batches (by their keys) that reports which do not name these give other days. `unnumbered` are the reports of
    an item by names that may be one company, where some without a number name a batch."""
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
    """Of several terms that are one, some put an approval in a batch that others list as well, and do not say so. These count it as
    named by itself, those as a member."""
    pairs = [pair for same in _by_number(of_number).values() for pair in permutations(same, 2)]
    for of in bare:
        for other in [other for other in of.related if other.agrees(of.listed)] or of.related:
            pairs += [(of.listed, other), (other, of.listed)]
    listed = {(key, id(other)): (one, other) for one, other in pairs for key in one.batches - other.batches}
    for (key, _), (one, other) in listed.items():
        yield one.terms, key, Moved(other.terms, None, other.days, date.min)


_Member = tuple[str, DateRange | None, DateRange, date]
"""Of which batch, on which days by the reports that name that (None where it is not counted as a member), and by all; and from when
on it is counted at the latest."""


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
    """Of an item by names that may be one company: where it has numbers, it is one of these."""
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
                # The batch has a number of this item: it counts no other, though this may be one.
                yield key, None, *_of_one(told, others)


def _of_one(told: _Listed, related: Collection[_Listed]) -> tuple[DateRange, date]:
    """The days of what is one of these, with all of which it agrees or with none; and the last of the days from which on these may
    be counted."""
    among = [one.days for one in related]
    first, last = min(days.first for days in among), max(days.last for days in among)
    both, either = (max, min) if all(one.agrees(told) for one in related) else (min, max)
    days = DateRange(both(first, told.days.first), either(last, told.days.last))
    return days, max(days.first for days in among)


def _told_by_batch(reports: Iterable[approvals.Told]) -> Iterator[tuple[str, DateRange]]:
    """The days that those give which name a batch, by its key."""
    dates: dict[str, list[str]] = {}
    for report in reports:
        if report.batch is not None:
            dates.setdefault(report.batch, []).append(report.on)
    return ((key, by_day.day_range(approvals.span(of))) for key, of in dates.items())


def _listed(terms: str, dates: Sequence[str], without: Sequence[tuple[int, str]] = ()) -> _Listed:
    """From the dates of its reports, and the positions and dates of those `without` its number."""
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
