"""Which names are one company, going only by what events say, never by how alike names look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from events import DateRange, date_range, name_key
from events.catalog import CompanyIdentified, CompanyMerged

from . import buckets, pages
from .asof import perhaps, surely
from .projection import Documents


def lists(data: CompanyIdentified | CompanyMerged) -> list[str]:
    """The lists that hold an entry for such a report."""
    if isinstance(data, CompanyMerged):
        return [_merges(data.from_), _merges(data.into)]
    return [_slug(data.company), *map(_alias, _aliases(data))]


def needs(data: CompanyIdentified | CompanyMerged) -> list[str]:
    """The documents that counting such a report will ask for."""
    return [*lists(data), *([] if isinstance(data, CompanyMerged) else buckets.needs("slugs", data.company))]


def _aliases(data: CompanyIdentified) -> list[str]:
    return list(dict.fromkeys(name_key(named.text) for named in data.names))


def identify(documents: Documents, data: CompanyIdentified, position: int, stands: bool) -> None:
    """Counts in, or out again, that these names are one company."""
    texts = [named.text for named in data.names]
    pages.keep(documents, _slug(data.company), position, texts, stands)
    for alias in _aliases(data):
        pages.keep(documents, _alias(alias), position, data.company, stands)
    if documents.get(_slug(data.company)):
        buckets.add(documents, "slugs", data.company)
    else:
        buckets.discard(documents, "slugs", data.company)


def merge(documents: Documents, data: CompanyMerged, position: int, stands: bool) -> None:
    """Counts in, or out again, that two slugs are one company."""
    # Under each of the two, so that a reader finds those of one company without reading all.
    for slug in (data.from_, data.into):
        pages.keep(documents, _merges(slug), position, [data.from_, data.into, data.on], stands)


Merge = tuple[int, str, str, str]
"""The position of a merger, the slug that was merged, the one that it was merged into, and the day."""


@dataclass(frozen=True, slots=True)
class Company:
    """One company under all its names.

    `slug` is the one that the others were merged into; empty if no event identifies the company, which then has one name.
    `names` are keys, `texts` the names as they were written, `because` the positions of the events that say all this. `disputed`
    has the names that another company claims as well, with the positions of all claims; `rings` has the merges (positions) that
    lead back to where they began. `perhaps` has the slugs of companies that it may have been merged with.
    """

    slug: str
    slugs: tuple[str, ...]
    names: tuple[str, ...]
    texts: tuple[str, ...]
    because: tuple[int, ...]
    merges: tuple[Merge, ...]
    disputed: dict[str, tuple[int, ...]]
    rings: tuple[tuple[int, ...], ...]
    perhaps: tuple[str, ...] = ()


@dataclass(frozen=True)  # without slots, for its mark is asked for once for each of its names
class Group:
    """Names (as keys) that are or may be one company. `disputed` are further names that it may have, `slugs` the slugs of all of them.
    `companies` maps each name to a mark that is the same for names that are certainly one company."""

    names: frozenset[str]
    slugs: frozenset[str]
    disputed: Set[str]
    companies: dict[str, str]

    @cached_property
    def mark(self) -> str:
        """The same for all names of the group, and for no other."""
        return min(self.names)


def each_once(groups: Mapping[str, Group]) -> list[Group]:
    """The groups of some names, each group once, however many of the names are in it."""
    return list({group.mark: group for group in groups.values()}.values())


class Identities:
    """Finds companies by any of their names. Reads only what is asked for, not every company. The documents must not change while
    it is in use."""

    def __init__(self, documents: Documents, valid_at: DateRange | None = None) -> None:
        """`valid_at` is the days that a question is about: companies that merged later count as two."""
        self._documents = documents
        self._valid_at = valid_at
        self._found: dict[tuple[str, ...], Company] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._lists: dict[str, list[tuple[int, Any]]] = {}

    def slugs(self) -> list[str]:
        """The slug of every identified company, merged ones too."""
        return list(buckets.read(self._documents, "slugs"))

    def find(self, name: str) -> list[Company]:
        """The companies that `name` may mean: one, or several if more than one claims it.

        A name that nobody claims is a company of its own, whether or not the ledger has ever seen it. A slug is no name.
        """
        alias = name_key(name)
        claimed = {slug for _, slug in self._list(_alias(alias))}
        if not claimed:
            return [Company("", (), (alias,), (), (), (), {}, ())]
        groups = {self._group(slug) for slug in claimed}
        return [self._company(slugs) for slugs in sorted(groups)]

    def of_slug(self, slug: str) -> Company | None:
        """The company that has this slug, or had it before a merger; None if no event gives this slug to a company."""
        if not self._documents.get(_slug(slug)) and not self._merges([slug]) and not self._perhaps([slug]):
            return None
        return self._company(self._group(slug))

    def merges(self, slugs: Iterable[str]) -> list[Merge]:
        """The mergers of these companies, on whatever day, by position."""
        places = [_merges(slug) for slug in slugs]
        self._fetch(places)
        found = {at: merge for place in places for at, merge in self._list(place)}
        return [(at, a, b, on) for at, (a, b, on) in sorted(found.items())]

    def claimed(self, names: Iterable[str]) -> list[str]:
        """The ones among the `names` (as keys) that an event gives to a company."""
        listed = list(names)
        self._documents.fetch(map(_alias, listed))
        return [name for name in listed if self._documents.get(_alias(name))]

    def groups(self, names: Iterable[str]) -> dict[str, Group]:
        """For each of the `names` (as keys), the group of names that are or may be the same company: if several companies claim
        one of the names, it may be any of theirs."""
        found: dict[str, Group] = {}
        listed = dict.fromkeys(names)
        self.read_ahead(list(listed))
        for alias in listed:
            if alias not in found:  # once for each group: finding it again for each of 400 names took 2 s
                group = self._group_of(alias, listed.keys())
                found |= dict.fromkeys(group.names, group)
        return found

    def _group_of(self, alias: str, listed: Set[str]) -> Group:
        """The group of a name: the companies that may claim it, with the names that no other company claims; and if they have any such
        name, also the `listed` names that others claim as well, each with its companies."""
        marks: dict[str, str] = {}
        slugs, disputed = set[str](), set[str]()
        names = [alias]
        while names:
            name = names.pop()
            marks[name] = name
            for claimant in self.find(name):
                if not slugs.isdisjoint(claimant.slugs):
                    continue
                leads_on = False
                companies = self._with_perhaps(claimant)
                for company in companies:
                    undisputed = [of for of in company.names if of not in company.disputed]
                    marks |= dict.fromkeys(undisputed, min(undisputed, default=""))
                    leads_on |= bool(undisputed)
                    slugs.update(company.slugs)
                    disputed.update(company.disputed)
                if leads_on:
                    names += [
                        of for each in companies for of in each.disputed if of in listed and of not in marks
                    ]
        return Group(frozenset(marks), frozenset(slugs), disputed, marks)

    def read_ahead(self, names: Sequence[str], of_slugs: Sequence[str] = ()) -> None:
        """Reads ahead, in a few round trips, what it takes to find companies by names (as keys) or slugs, except for companies that
        they were merged with."""
        documents = self._documents
        pages.fetch(documents, map(_alias, names))
        slugs = {*of_slugs, *(slug for name in names for _, slug in self._list(_alias(name)))}
        pages.fetch(documents, [place for slug in slugs for place in (_slug(slug), _merges(slug))])
        texts = {text for slug in slugs for _, of_event in self._list(_slug(slug)) for text in of_event}
        pages.fetch(documents, {_alias(name_key(text)) for text in texts})

    def _with_perhaps(self, company: Company) -> list[Company]:
        """The company, followed by those that it, or one of them, may have been merged with."""
        found, seen = [company], {*company.slugs}
        for each in found:
            for slug in each.perhaps:
                if slug not in seen:
                    found.append(self._company(self._group(slug)))
                    seen.update(found[-1].slugs)
        return found

    def _group(self, slug: str) -> tuple[str, ...]:
        if slug not in self._groups:  # asked for by each of its slugs and names
            group, new = {slug}, {slug}
            while new:
                new = {one for _, a, b, _ in self._merges(new) for one in (a, b)} - group
                group |= new
            self._groups |= dict.fromkeys(group, tuple(sorted(group)))
        return self._groups[slug]

    def _merges(self, slugs: Iterable[str]) -> list[Merge]:
        """The mergers of these companies that have certainly happened, by position."""
        return [merge for merge in self.merges(slugs) if self._surely(merge)]

    def _perhaps(self, slugs: Iterable[str]) -> list[Merge]:
        """The mergers of these companies that may have happened, but not certainly, by position."""
        return [
            merge
            for merge in self.merges(slugs)
            if not self._surely(merge) and perhaps(date_range(merge[3]), self._valid_at)
        ]

    def _list(self, name: str) -> list[tuple[int, Any]]:
        """A list of the documents, read once."""
        if name not in self._lists:
            self._lists[name] = list(pages.read(self._documents, name))
        return self._lists[name]

    def _fetch(self, lists: Iterable[str]) -> None:
        if missing := [name for name in lists if name not in self._lists]:
            self._documents.fetch(missing)

    def _surely(self, merge: Merge) -> bool:
        return surely(date_range(merge[3]), self._valid_at)

    def _company(self, slugs: tuple[str, ...]) -> Company:
        if slugs not in self._found:  # asked for by each of its names
            self._found[slugs] = self._identified(slugs)
        return self._found[slugs]

    def _identified(self, slugs: tuple[str, ...]) -> Company:
        claims = [(at, texts) for slug in slugs for at, texts in self._list(_slug(slug))]
        texts = tuple(dict.fromkeys(text for _, of_event in sorted(claims) for text in of_event))
        names = tuple(dict.fromkeys(map(name_key, texts)))
        merges = tuple(self._merges(slugs))
        disputed: dict[str, tuple[int, ...]] = {}
        self._fetch(map(_alias, names))
        for alias in names:
            claimants = self._list(_alias(alias))
            if any(slug not in slugs for _, slug in claimants):
                disputed[alias] = tuple(at for at, _ in claimants)
        return Company(
            slug=_last(slugs, merges),
            slugs=slugs,
            names=names,
            texts=texts,
            because=tuple(sorted({*(at for at, _ in claims), *(at for at, _, _, _ in merges)})),
            merges=merges,
            disputed=disputed,
            rings=_rings(merges),
            perhaps=self._may_be_merged_with(slugs),
        )

    def _may_be_merged_with(self, slugs: tuple[str, ...]) -> tuple[str, ...]:
        pairs = [(a, b) for _, a, b, _ in self._perhaps(slugs)]
        beside = {b if a in slugs else a for a, b in pairs if (a in slugs) != (b in slugs)}
        return tuple(sorted(beside))


class Marks:
    """Which names (as keys) are one company on a day, and which may be. Two companies are one from the day of their merger on; what
    was granted to them before that was granted to two companies."""

    def __init__(self, documents: Documents, names: Iterable[str]) -> None:
        """Covers the `names`, and all names that their companies ever have or may have."""
        unmerged = Identities(documents, _NEVER)
        self.groups = Identities(documents, WHENEVER).groups(names)
        groups = each_once(self.groups)
        every = sorted({name for group in groups for name in group.names})
        apart = unmerged.groups(every)
        self._may_be = {name: apart[name].mark for name in every}
        self._are = {name: apart[name].companies[name] for name in every}
        self._merges = [
            (date_range(on), self._name_of(unmerged.of_slug(a), a), self._name_of(unmerged.of_slug(b), b))
            for _, a, b, on in unmerged.merges({slug for of in groups for slug in of.slugs})
        ]
        self._ever = {name: group.mark for name, group in self.groups.items()}
        self.claimants = {
            name: len(unmerged.find(name)) for name, group in self.groups.items() if name in group.disputed
        }
        """How many companies claim a name, for the names that more than one claims."""

    def same_as(self, other: Marks) -> bool:
        """Whether the same names are one company, on whatever day."""
        return vars(self) == vars(other)

    def are_one(self, on: DateRange | None) -> dict[str, str]:
        """A mark for each name, the same for names that are certainly one company on each of these days."""
        if on is None:
            return self._are
        return joined(self._are, [(a, b) for days, a, b in self._merges if days.last <= on.first])

    def may_be_one(self, on: DateRange | None = None) -> dict[str, str]:
        """A mark for each name, the same for names that may be one company on one of these days, or if `on` is None, ever."""
        if on is None:
            return self._ever
        return joined(self._may_be, [(a, b) for days, a, b in self._merges if days.first <= on.last])

    def _name_of(self, company: Company | None, slug: str) -> str:
        """A name of the company that no other company claims; if there is none, its slug, with a prefix that no name has."""
        names = [] if company is None else [n for n in company.names if n not in company.disputed]
        return min((name for name in names if name in self._are), default=f"\U0010ffff{slug}")


_NEVER = DateRange(date.min, date.min)  # days before all mergers
WHENEVER = DateRange(date.min, date.max)  # all days, so that each merger may have happened


def joined(marks: dict[str, str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The marks as they are if the companies of each of these pairs of names are one as well."""
    above: dict[str, str] = {}

    def root(mark: str) -> str:
        while mark in above:
            mark = above[mark]
        return mark

    for a, b in pairs:
        one, other = root(marks.get(a, a)), root(marks.get(b, b))
        if one != other:
            above[max(one, other)] = min(one, other)
    return {name: root(mark) for name, mark in marks.items()} if above else marks


def _last(slugs: tuple[str, ...], merges: Iterable[tuple[int, str, str, str]]) -> str:
    """The slug that all were merged into; if these form a ring, or two are left, the alphabetically first."""
    gone = {a for _, a, _, _ in merges}
    return min((slug for slug in slugs if slug not in gone), default=min(slugs))


def _rings(merges: Iterable[tuple[int, str, str, str]]) -> tuple[tuple[int, ...], ...]:
    """The smallest sets of merges that lead from a slug back to itself."""
    steps = [(at, a, b) for at, a, b, _ in merges]
    following: dict[str, list[tuple[int, str]]] = {}
    for at, a, b in steps:
        following.setdefault(a, []).append((at, b))
    rings: set[tuple[int, ...]] = set()
    for at, start, first in steps:
        paths: list[tuple[str, tuple[int, ...]]] = [(first, (at,))]
        visited = {first}
        while paths:
            here, path = paths.pop(0)
            if here == start:
                rings.add(tuple(sorted(path)))
                break
            for step, b in following.get(here, ()):
                if b not in visited:
                    visited.add(b)
                    paths.append((b, (*path, step)))
    return tuple(sorted(rings))


def _merges(slug: str) -> str:
    return f"merges\t{slug}"


def _slug(slug: str) -> str:
    return f"slug\t{slug}"


def _alias(alias: str) -> str:
    return f"alias\t{alias}"
