"""How many approvals of one class of terms a company has, under all the names that are its own or may be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from datetime import date
from fractions import Fraction
from functools import cache, cached_property
from itertools import islice
from typing import Any, NamedTuple

from events import DateRange, Interval, date_range, name_key

from .. import approvals, by_day
from .. import companies as fold
from ..asof import perhaps, surely
from ..bounds import NAMED
from ..derived import derivable
from ..evidence import Batch, Evidence, Views
from ..figures import Figures
from ..identities import WHENEVER, Company, Marks
from ..placing import Placed
from ..projection import Documents
from ..ranges import spanning
from ..redated import Redated
from ..stocks import Percentage
from .shown import SHOWN, Shown

GRANTS = 2 * SHOWN
"""How many reports of grants under a name are read where the fold has counted them already, and only evidence is looked for."""

Records = Mapping[str, Mapping[str, Any]]
"""What is counted under a name (as a key), for the names under which anything is counted."""


class Counting:
    """Counts the approvals of companies, on any day or by one of the days `valid_at`, in terms that are `one` and are shown as
    `written`. The terms that list the most of a company's approvals count; if several list as many, the first of them."""

    def __init__(
        self, written: str, one: Iterable[str], figures: Figures, views: Views, valid_at: DateRange | None
    ) -> None:
        self._written = written
        self._figures = figures
        self._views = derivable(views)
        self._valid_at = valid_at
        self._then = _Then(views["companies"])
        self._named_in, self._named_later = _named_in(figures, self._then, valid_at)
        self._batches = {placed.batch.key: placed.batch for placed in figures.order}
        self._different = {placed.batch.key for placed in figures.order if placed.sure}
        self._repeated = {counted: figures.evidence.repeated[counted] for counted in one}
        self._redated = figures.evidence.redated
        self._shared: dict[str, list[_Shared]] = {}  # by each name that it is given to
        for shared in _shared(views["companies"], self._then, figures.evidence, valid_at):
            for name in {shared.first, *shared.companies}:
                self._shared.setdefault(name, []).append(shared)
        self._days = days = valid_at or figures.last_day
        self._total, self._named = figures.total_in(days).interval, figures.named(days.first)
        # What a company has never falls: on several days it has no more than on the last of them.
        self._on_last = self
        if days.first < days.last and self._total.high is not None:
            last = DateRange(days.last, days.last)
            self._on_last = Counting(written, one, figures, self._views, last)

    def approvals(self, company: Company, may_be: Set[str], records: Records) -> dict[str, Any] | None:
        """The company's approvals in these terms: those known by name, and bounds, because an undisclosed one may be anyone's, and
        those under the names that it `may_be` known by may be its own. `records` has all these names. None if it may have none."""
        names = [*company.names, *may_be]
        if not any(self._concerns(name, records) for name in names):
            return None
        known = self._known(company, may_be, records)
        by_last = known if self._on_last is self else self._on_last._known(company, may_be, records)
        named, high = known.named, self._on_last._most(by_last)
        high = None if high is None else max(named, high)
        others = max(0, self._named - named - known.disputed)
        if not named and not known.disputed and not (high != 0 and self._perhaps_has(names, records)):
            return None
        return {
            "terms": self._written,
            "named": named,
            "approvals": Interval(named, high).to_json(),
            "share": _share(named, high, others, self._total),
            "evidence": self._evidence(known, high, by_last.perhaps),
        }

    def _known(self, company: Company, may_be: Set[str], records: Records) -> _Known:
        named, reported = self._known_of(_undisputed(company), records)
        others = [self._known_of([name], records) for name in sorted({*company.disputed, *may_be})]
        shared = [Reported(1, each.positions) for each in self._shared_by(company, may_be)]
        later = {each for name in (*company.names, *may_be) for each in self._named_later.get(name, ())}
        others += [(len(shared), shared), (sum(each.approvals for each in later), [*later])]
        perhaps = [each for _, of in others for each in of]
        return _Known(named, reported, sum(count for count, _ in others), perhaps)

    def _most(self, known: _Known) -> int | None:
        """How many the company has at most: beside those that are known, whatever nobody names."""
        high = self._total.high
        if high is None:
            return None
        unnamed = max(0, high - self._named)
        return max(known.named, min(known.named + known.disputed + unnamed, high))  # no more than there are

    @cached_property
    def _most_because(self) -> tuple[list[int], int]:
        """The positions that force the highest total, and how many others there are."""
        return Shown(self._figures).high(self._figures.total_in(self._days), self._days)

    def _evidence(self, known: _Known, high: int | None, perhaps: list[Reported]) -> dict[str, Any]:
        """The lowest count rests on what is reported under the company's names; the highest on what is reported under names that may be
        its own, and on what bounds the total. `more` counts approvals for the former, and events for the latter."""
        low = sorted({position for each in known.reported for position in each.positions})[:SHOWN]
        told = sum(each.approvals for each in known.reported if not each.positions.isdisjoint(low))
        most, more = ([], 0) if high is None else self._on_last._most_because
        highest = set(most).union(*(each.positions for each in perhaps if high is not None))
        return {
            "low": low,
            "high": sorted(highest)[:SHOWN],
            "more": max(0, known.named - told) + max(0, len(highest) - SHOWN) + more,
        }

    def contradictions(self, company: Company, may_be: Set[str]) -> Iterator[dict[str, Any]]:
        """Registry numbers that reports give to this company and to others, or to names that may be of others."""
        for each in self._shared_by(company, may_be):
            if self._are_one(each.companies, self._valid_at) or self._are_one(each.companies, each.on):
                continue  # all are names of one company: of another, with which this one may have merged, or since it was granted
            one = self._then.may_be_one(frozenset(each.companies), self._valid_at)
            whose = (
                "several companies"
                if len({one[name] for name in each.companies}) > 1
                else "names that may be of several companies"
            )
            names = ", ".join(map(repr, sorted(each.companies)))
            says = f"registry number {each.number!r} is given to {whose}: {names}"
            yield {"events": sorted(each.positions), "says": says}

    def _are_one(self, names: Set[str], on: DateRange | None) -> bool:
        """Whether these names were certainly of one company on each of these days (None: after all mergers)."""
        one = self._then.are_one(frozenset(names), on)
        return len({one[name] for name in names}) == 1

    def _shared_by(self, company: Company, may_be: Set[str]) -> list[_Shared]:
        """The registry numbers given to several names, some of which are or may be its own, and not all of which certainly are."""
        own, surely_own = {*company.names, *may_be}, {*_undisputed(company)}
        given = {each.number: each for name in own for each in self._shared.get(name, ())}
        return [
            each
            for _, each in sorted(given.items())
            if len(each.companies) > 1
            and not each.companies.isdisjoint(own)
            and not each.companies <= surely_own
        ]

    def _concerns(self, name: str, records: Records) -> bool:
        """Whether anything is counted here under a name. For most companies nothing is."""
        if name in self._named_in or name in self._named_later or name in self._shared:
            return True
        if name in self._perhaps_announced:
            return True
        return name in records and not self._repeated.keys().isdisjoint(records[name]["granted"])

    def _known_of(self, names: list[str], records: Records) -> tuple[int, list[Reported]]:
        """How many approvals these names of a company have at least, and the reports of them: those granted to it, or if they are more,
        those with which announcements of batches name it."""
        granted, mentioned = self._granted_to(names, records), self._mentioned(names)
        return max(
            granted, (sum(each.approvals for each in mentioned), mentioned), key=lambda known: known[0]
        )

    def _perhaps_has(self, names: list[str], records: Records) -> bool:
        """Whether an approval that is announced or listed under these names may be of one of the days asked about."""
        days = self._valid_at
        if days is None:
            return False
        if not self._perhaps_announced.isdisjoint(names):
            return True
        counted_here = [
            counted
            for counted in self._repeated
            if any(counted in records[name]["granted"] for name in names if name in records)
        ]
        return any(
            perhaps(on, days)
            for counted in counted_here
            for on, _ in _distinct(
                self._views.kept((tuple(names), counted, None), _listed), counted, self._redated, set(), set()
            )
        )

    @cached_property
    def _perhaps_announced(self) -> set[str]:
        """The names (as keys) given by announcements that are, or may be, of the days asked about or of earlier ones."""
        days = self._valid_at
        return {
            name
            for batch in self._batches.values()
            if days is not None and batch.on is not None and perhaps(batch.on, days)
            for report in batch.reports
            for name in report.named
        }

    def _mentioned(self, names: list[str]) -> list[Reported]:
        by_batch: dict[str, dict[str, _Naming]] = {}
        for name in names:
            for batch, naming in self._named_in.get(name, {}).items():
                by_batch.setdefault(batch, {})[name] = naming
        named = {batch: list(self._mentions(batch, of)) for batch, of in by_batch.items()}
        if named.keys() <= self._different:  # mostly
            return [each for mentions in named.values() for each in mentions]
        most = {batch: sum(each.approvals for each in mentions) for batch, mentions in named.items()}
        # Of two batches that may be one, their days and counts decide which is taken, not the order in the log.
        orders = (
            sorted(most, key=lambda of: (-most[of], *self._by_days(of))),
            sorted(most, key=lambda of: (*self._by_days(of), -most[of])),
            # So that there are no fewer than the total counts as named.
            sorted(most, key=lambda of: (of not in self._different, -most[of], *self._by_days(of))),
        )
        chosen = max(map(self._surely_different, orders), key=lambda of: sum(most[batch] for batch in of))
        return [each for batch in chosen for each in named[batch]]

    def _by_days(self, batch: str) -> tuple[date, date, bool, bool]:
        days = self._batches[batch].on or WHENEVER
        of = self._batches[batch]
        return days.last, days.first, of.ordinal is None, of.label is None

    def _surely_different(self, batches: Iterable[str]) -> list[str]:
        """The batches that are certainly different from each of those chosen before them."""
        chosen: list[str] = []
        for batch in batches:
            if all(_are_two(self._batches[batch], self._batches[other]) for other in chosen):
                chosen.append(batch)
        return chosen

    def _mentions(self, batch: str, named: Mapping[str, _Naming]) -> Iterator[Reported]:
        """What a batch names for one company. Names that were two companies when it was announced count as two."""
        of = self._batches[batch]
        one = self._then.may_be_one(frozenset({*named, *of.numbers}), of.named_on)
        of_company: dict[str, _Naming] = {}
        for name, naming in named.items():
            of_company.setdefault(one[name], _Naming(set(), set())).add(*naming)
        for mark, each in of_company.items():
            names = [name for name in of.numbers if one[name] == mark]
            yield Reported(max(1, of.different(each.items, names)), each.positions)

    def _granted_to(self, names: list[str], records: Records) -> tuple[int, list[Reported]]:
        held = [records[name]["granted"] for name in names if name in records]
        known: list[tuple[int, list[Reported]]] = [(0, [])]
        for counted, repeated in self._repeated.items():
            shared = {
                each.number: each
                for name in names
                for each in self._shared.get(name, ())
                if each.counted == counted
            }.values()
            if not shared and not any(counted in of for of in held):
                continue
            # If no name shares an approval with another one, the fold's count is right, and no history is read to its end.
            by_fold = self._valid_at is None and repeated.isdisjoint(names)
            # `others` are counted under these names, but may be another company's; `own` are counted under another name, but are these'.
            others = [each for each in shared if each.first in names and not each.companies <= set(names)]
            own = [each for each in shared if each.first not in names and each.companies <= set(names)]
            own = [each for each in own if surely(each.on, self._valid_at)]
            apart = frozenset[int]().union(*(each.positions for each in others))
            reported = [
                Reported(1, positions)
                for on, positions in _distinct(
                    self._views.kept((tuple(names), counted, GRANTS if by_fold else None), _listed),
                    counted,
                    self._redated,
                    {each.number for each in own},
                    {each.number for each in others},
                )
                if surely(on, self._valid_at) and not positions <= apart
            ]
            count = len(reported)
            if by_fold:
                count = sum(of.get(counted, 0) for of in held) - len(others)
            reported += [Reported(1, each.positions) for each in own]
            known.append((count + len(own), reported))
        return max(known, key=lambda each: each[0])


def _undisputed(company: Company) -> list[str]:
    return [name for name in company.names if name not in company.disputed]


class Reported(NamedTuple):
    """An approval, or those that announcements of one batch name: how many, and the positions of the reports."""

    approvals: int
    positions: Set[int]


class _Known(NamedTuple):
    """What is known of a company: how many approvals under its own names, with the reports of them, and how many `disputed` ones that
    are `perhaps` its own, under names or with numbers that another company may have."""

    named: int
    reported: list[Reported]
    disputed: int
    perhaps: list[Reported]


class _Shared(NamedTuple):
    """A registry number that reports give to several names (as keys). It may belong to any of the `companies`, and is counted under
    the `first`. `on` are the days that it may be of."""

    counted: str
    number: str
    first: str
    companies: Set[str]
    positions: Set[int]
    on: DateRange


def _shared(
    documents: Documents, then: _Then, evidence: Evidence, valid_at: DateRange | None
) -> Iterator[_Shared]:
    amended_to = fold.amended_to(documents, evidence.terms, evidence.shared)
    for number, told in evidence.shared.items():
        reports = [report for of in told.values() for report in of]
        on = by_day.day_range(approvals.span([report.on for report in reports]))
        if perhaps(on, valid_at):
            companies = _granted_first(then, {report.company for report in reports}, amended_to[number], on)
            positions = {report.position for report in reports}
            for of, in_terms in told.items():
                yield _Shared(of, number, in_terms[0].company, companies, positions, on)


def _granted_first(then: _Then, companies: set[str], given_on: set[str], on: DateRange) -> set[str]:
    """The `companies` to which amendments did not give the number, whichever report came first; all of them if that leaves none, or
    if it is not known which these are."""
    if not given_on:  # mostly
        return companies
    names = frozenset(companies | given_on)
    later, perhaps_later = (
        {name for name in companies if one[name] in {one[given] for given in given_on}}
        for one in (then.are_one(names, on), then.may_be_one(names, on))
    )
    return companies - later or companies if later == perhaps_later else companies


class _Naming(NamedTuple):
    """The items that announcements of a batch name for a company, and the positions of these and of what dates the batch."""

    items: set[str]
    positions: set[int]

    def add(self, items: Set[str], positions: Set[int]) -> None:
        self.items.update(items)
        self.positions.update(positions)


def _named_in(
    figures: Figures, then: _Then, valid_at: DateRange | None
) -> tuple[dict[str, dict[str, _Naming]], dict[str, set[Reported]]]:
    """By name (as a key), the batches that were certainly granted by then and whose announcements give that name (two of them may be
    one batch); and what announcements of a later day name, for names of several companies that may have merged meanwhile."""
    found: dict[str, dict[str, _Naming]] = {}
    later: dict[str, set[Reported]] = {}
    shown = Shown(figures)
    for placed in figures.order:
        if valid_at is None or placed.by <= valid_at.first:
            for report in placed.batch.reports:
                dated_by = set() if valid_at is None or not report.named else _dated_by(placed, shown)
                positions = {report.position} | dated_by
                for name, items in report.named.items():
                    if valid_at is not None and placed.batch.named_by(report).last > valid_at.first:
                        names = figures.evidence.marks.groups[name].names
                        if several := _merged_since(
                            then, name, names, valid_at, placed.batch.named_by(report)
                        ):
                            each = Reported(max(1, len(items)), frozenset(positions))
                            for other in several:
                                later.setdefault(other, set()).add(each)
                            continue
                    naming = found.setdefault(name, {}).setdefault(placed.batch.key, _Naming(set(), set()))
                    naming.add(items, positions)
    return found, later


def _merged_since(
    then: _Then, name: str, names: frozenset[str], valid_at: DateRange, on: DateRange
) -> set[str]:
    """The `names` that may be one company with `name` on the days `on`, if they are not certainly one already at `valid_at`; otherwise
    none."""
    if len(names) == 1:  # mostly
        return set()
    may_be, were = then.may_be_one(names, on), then.are_one(names, valid_at)
    found = {other for other in names if may_be[other] == may_be[name]}
    return found if len({were[other] for other in found}) > 1 else set()


def _dated_by(placed: Placed, shown: Shown) -> set[int]:
    """The positions of what dates a batch. If it is dated by members of a later batch that nobody announced, one of them is enough."""
    positions, _ = shown.positions(placed.placed_by)
    return {*(positions[:1] if NAMED in placed.placed_by else positions)}


def _are_two(one: Batch, other: Batch) -> bool:
    """Whether two batches that are known by different ordinals, labels or days cannot be one."""
    if one.ordinal is not None and other.ordinal is not None:
        return True
    if one.ordinal is other.ordinal is None and one.label is not None and other.label is not None:
        return True
    a, b = one.on or WHENEVER, other.on or WHENEVER
    return a.last < b.first or b.last < a.first


Told = tuple[str, int, dict[str, Any]]
"""A report of a grant: the company's name in it (as a key), its position, and what it says."""


class _Listed(NamedTuple):
    """The approvals of one company, each as its days and the positions of its reports under the company's names: those with a
    registry number (by that, as a key), and those of an item without one, each with the item and one of the names (as keys).
    `without_number` has the positions of reports that give no number, and can only be about the approval with this one."""

    numbered: dict[str, tuple[DateRange, frozenset[int]]]
    without_number: dict[str, frozenset[int]]
    bare: list[tuple[str, str, DateRange, frozenset[int]]]


def _listed(views: Views, of: tuple[Collection[str], str, int | None]) -> _Listed:
    """The approvals of a company that has these names (as keys) in some terms. Reports of one number are one approval, and so are
    reports of one item without a number, unless another report of the item has one. What several of its names had while they were
    two companies is two. All reports of each name are read, or so many at first."""
    names, counted, most = of
    documents = views["companies"]
    by_number: dict[str, list[Told]] = {}
    by_item: dict[str, list[Told]] = {}
    for name in names:
        for position, entry in islice(fold.granted_at(documents, name, counted), most):
            told = (name, position, entry)
            if number := entry["item"].get("registry_number"):
                by_number.setdefault(name_key(number), []).append(told)
            by_item.setdefault(name_key(entry["item"]["name"]), []).append(told)
    numbers = sorted(by_number)
    numbered = {
        number: (by_day.day_range(approval.on), frozenset(position for _, position, _ in by_number[number]))
        for number, approval in zip(numbers, approvals.of_numbers(documents, counted, numbers), strict=True)
        if approval is not None and approval.company in names
    }
    bare, without_number, then = [], dict[str, frozenset[int]](), _Then(documents)
    for item, of_item in by_item.items():
        for part in _by_company(then, of_item):
            if given := {name_key(n) for _, _, entry in part if (n := entry["item"].get("registry_number"))}:
                told_without = (at for _, at, entry in part if "registry_number" not in entry["item"])
                if len(given) == 1:
                    (number,) = given
                    without_number[number] = without_number.get(number, frozenset()).union(told_without)
            else:
                (name, *_), dates = zip(
                    *((name, entry["approved_on"]) for name, _, entry in part), strict=True
                )
                days = by_day.day_range(approvals.span([*dates]))
                bare.append((item, name, days, frozenset(position for _, position, _ in part)))
    return _Listed(numbered, without_number, bare)


def _distinct(
    listed: _Listed, counted: str, redated: Redated, beside: Set[str], in_doubt: Set[str]
) -> Iterator[tuple[DateRange, frozenset[int]]]:
    """Each approval of one company, as its days and the positions of its reports.

    An approval without a number that may have one of those counted, here or by the caller (`beside`), is not counted again. This
    does not hold for numbers `in_doubt`, which may be another company's.
    """
    twice, numbered = redated.twice.get(counted, {}), {*beside}
    for number, (days, positions) in listed.numbered.items():
        others = redated.numbered.get((counted, number))
        # Reports without the number tell its days as well. One in doubt may not be what they are about.
        told = listed.without_number.get(number) if others and number not in in_doubt else None
        yield others or days, positions | (told or frozenset())
        if number not in in_doubt:
            numbered.add(number)
    for item, name, days, positions in listed.bare:
        if (item, name) in twice:
            if not numbered.isdisjoint(twice[item, name].numbers):
                continue
            numbered |= twice[item, name].numbers
        yield redated.bare.get((counted, item, name)) or days, positions


def _by_company(then: _Then, of_item: list[Told]) -> Iterable[list[Told]]:
    """The reports of one item, in parts if their names were certainly several companies then."""
    names = frozenset(name for name, _, _ in of_item)
    if len(names) == 1:  # mostly
        return [of_item]
    days = spanning([date_range(entry["approved_on"]) for _, _, entry in of_item])
    one = then.may_be_one(names, days)
    parts: dict[str, list[Told]] = {}
    for told in of_item:
        parts.setdefault(one[told[0]], []).append(told)
    return parts.values()


class _Then:
    """Which names may have been one company on some days. Results are kept, because the same names occur together again and again,
    such as those of a company in two languages."""

    def __init__(self, documents: Documents) -> None:
        self._marks = cache(lambda names: Marks(documents, sorted(names)))

    def are_one(self, names: frozenset[str], on: DateRange | None) -> Mapping[str, str]:
        """A mark for each of the names, the same for those that were certainly one company on each of these days, or if `on` is None,
        always."""
        return self._marks(names).are_one(on)

    def may_be_one(self, names: frozenset[str], on: DateRange | None) -> Mapping[str, str]:
        """A mark for each of the names, the same for those that may have been one company on one of these days, or if `on` is None,
        ever."""
        return self._marks(names).may_be_one(on) if len(names) > 1 else {name: name for name in names}


def _share(named: int, high: int | None, others: int, total: Interval) -> dict[str, float]:
    """The company's share of the total, in percent, rounded outwards to 2 decimals.

    It is lowest if the total is highest and none of the undisclosed approvals are the company's, and highest if all of them are:
    named / total, and 1 - others / total. On several days, others may have more by the last than by the first, but on none of them
    is the share more than the company's highest count of the lowest total.
    """
    if total.high is None or high is None:
        return Percentage(Fraction(0), Fraction(1), open=False).to_json()
    most = max(total.high, named + others, 1)  # the approvals known by name may contradict the total
    highest = 1 - Fraction(others, most)
    if total.low:
        highest = min(highest, Fraction(high, total.low))
    return Percentage(Fraction(named, most), highest, open=False).to_json()
