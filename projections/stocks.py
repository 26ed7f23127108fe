"""From an estimator's figures to intervals: what stocks and shares imply for the world and for each region. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import accumulate
from math import ceil, floor
from operator import itemgetter
from typing import Any, NamedTuple

from events import Count, Interval, Share, canonical

from .bounds import set_apart

WORLD = "world"
UNIONS = frozenset({"EU", "EZ", "UN"})
"""Unions, for which ISO 3166 reserves codes, of countries that have codes of their own."""

AS_PROVINCES = {
    "HK": "CN-HK",
    "MO": "CN-MO",
    "TW": "CN-TW",
    "AS": "US-AS",
    "GU": "US-GU",
    "MP": "US-MP",
    "PR": "US-PR",
    "UM": "US-UM",
    "VI": "US-VI",
    "BL": "FR-BL",
    "MF": "FR-MF",
    "NC": "FR-NC",
    "PF": "FR-PF",
    "PM": "FR-PM",
    "TF": "FR-TF",
    "WF": "FR-WF",
    "AW": "NL-AW",
    "CW": "NL-CW",
    "SX": "NL-SX",
}
"""Places with both a code among the countries (ISO 3166-1) and one among the provinces of another country (3166-2), which is one
place. The first of these codes does not say whether a figure for the other country includes the place."""

VISITS = 2_000
FEW = 20
"""Each region is visited in turn until nothing changes, or until this many visits were made, but in at least FEW rounds. With very
narrow shares it may take millions of rounds to find that no whole numbers fit; every bound on the way there holds."""


@dataclass(frozen=True, slots=True)
class Percentage:
    """A share, from `low` (included) to `high` (excluded if `open`), as fractions of one."""

    low: Fraction
    high: Fraction
    open: bool

    def meet(self, other: Percentage) -> Percentage:
        """What both allow."""
        high, opened = min((self.high, not self.open), (other.high, not other.open))
        return Percentage(max(self.low, other.low), high, not opened)

    @property
    def empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and self.open)

    def to_json(self) -> dict[str, float]:
        """Percent, rounded outwards to 2 decimals."""
        return {"low": floor(self.low * 10_000) / 100, "high": ceil(self.high * 10_000) / 100}


ANY = Percentage(Fraction(0), Fraction(1), open=False)


class Because(NamedTuple):
    """The events (positions) that force the lowest and the highest value, and those that ever narrowed either: around these a
    contradiction is looked for. (Around fewer, another of several was found, and where many estimates are in conflict, figures differed.)"""

    low: frozenset[int] = frozenset()
    high: frozenset[int] = frozenset()
    ever: frozenset[int] = frozenset()

    @property
    def both(self) -> frozenset[int]:
        return self.low | self.high

    @property
    def turned(self) -> Because:
        """The same for a value of which the highest follows from the lowest, and the lowest from the highest."""
        return Because(self.high, self.low, self.ever)

    def union(self, *others: Because) -> Because:
        return Because(*(each[0].union(*each[1:]) for each in zip(self, *others, strict=True)))


_NOTHING = Because()


@dataclass
class Region:
    """What is known of one region, and the events that the bounds of its stock and of its share rest on."""

    stock: Interval
    share: Percentage
    stock_because: Because = _NOTHING
    share_because: Because = _NOTHING


@dataclass(frozen=True, slots=True)
class Market:
    """An estimator's view of one date. Each of `conflicts` is a minimal set of events that cannot all be true; the figures then span
    what each of those events would give if believed together with everything that nothing contradicts."""

    regions: dict[str, Region]
    conflicts: tuple[frozenset[int], ...]


class _Contradiction(Exception):
    def __init__(self, events: frozenset[int]) -> None:
        self.events = events


def infer(estimates: Iterable[tuple[int, dict[str, Any]]]) -> Market:
    """The stocks and shares of every region, from the estimates of one estimator, unit and date (position and data).

    A stock is a whole number, a share what its rounding allows; a region's stock is its share of the world's. Each
    narrows the others until nothing changes.
    """
    reported = {at: _Said.by(data) for at, data in sorted(estimates, key=_told_by)}
    regions = dict.fromkeys(said.region for said in reported.values())
    first_to_say: dict[_Said, int] = {}
    same = {at: first_to_say.setdefault(said, at) for at, said in reported.items()}

    def solved(events: frozenset[int], also: Iterable[str] = regions) -> dict[str, Region] | frozenset[int]:
        believed: dict[int, int] = {}  # without estimates that only repeat another
        for at in reported:
            if at in events:
                believed.setdefault(same[at], at)
        try:
            return _propagate(_as_reported({at: reported[at] for at in believed.values()}, also))
        except _Contradiction as contradiction:
            return contradiction.events

    def contradicted(events: frozenset[int]) -> bool:
        return isinstance(solved(events, ()), frozenset)

    # Each estimate counts as an origin of its own: all are by one estimator, whoever repeats them.
    conflicts, alone, _ = set_apart(solved, contradicted, {at: str(at) for at in reported})
    markets = [each.solution for each in alone]
    hull = {name: reduce(_wider, (market[name] for market in markets)) for name in {WORLD: None} | regions}
    return Market(hull, tuple(conflict.events for conflict in conflicts))


def _told_by(estimate: tuple[int, Mapping[str, Any]]) -> tuple[str, bytes, bytes, int]:
    """A sort key that does not depend on the order of the log: what an estimate says about which region, and who says it. Estimates
    with the same key stay in the order in which they were recorded."""
    position, data = estimate
    says = canonical({part: data[part] for part in ("count", "share") if part in data})
    return data["region"], says, canonical(data["source"]), position


class _Said(NamedTuple):
    """What an estimate says about a region, as far as it bounds anything."""

    region: str
    stock: Interval | None
    share: Percentage | None

    @classmethod
    def by(cls, data: Mapping[str, Any]) -> _Said:
        share = None
        if "share" in data:
            low, high = Share(**data["share"]).bounds()
            share = Percentage(low, high, open=high < 1)
        return cls(data["region"], Count(**data["count"]).interval() if "count" in data else None, share)


Reported = Mapping[int, _Said]


def _wider(a: Region, b: Region) -> Region:
    high = None if a.stock.high is None or b.stock.high is None else max(a.stock.high, b.stock.high)
    top, closed = max((a.share.high, not a.share.open), (b.share.high, not b.share.open))
    return Region(
        Interval(min(a.stock.low, b.stock.low), high),
        Percentage(min(a.share.low, b.share.low), top, not closed),
        a.stock_because.union(b.stock_because),
        a.share_because.union(b.share_because),
    )


def _as_reported(reported: Reported, regions: Iterable[str] = ()) -> dict[str, Region]:
    """What the estimates say about each region that they or `regions` name, and about the countries of these."""
    found = {WORLD: Region(Interval(0), Percentage(Fraction(1), Fraction(1), open=False))}
    for name in (*regions, *(said.region for said in reported.values())):
        for each in (name, _country_of(name)):
            found.setdefault(each, Region(Interval(0), ANY))
    for position, said in reported.items():
        region, event = found[said.region], frozenset({position})
        because = Because(event, event, event)
        if said.stock is not None:
            _narrow_stock(region, said.stock, because)
        if said.share is not None:
            _narrow_share(region, said.share, because)
    return found


def _propagate(regions: dict[str, Region]) -> dict[str, Region]:
    world = regions[WORLD]
    parts = [region for name, region in regions.items() if name != WORLD]
    # Without regions of countries, and countries of unions, which would be counted twice.
    countries = [region for name, region in regions.items() if _takes_room(name, regions)]
    provinces = [(region, regions[_country_of(name)]) for name, region in regions.items() if "-" in name]
    places = [
        (regions[name], regions[as_province])
        for name, as_province in AS_PROVINCES.items()
        if name in regions and as_province in regions
    ]
    for _ in range(max(FEW, VISITS // (len(parts) + 1))):
        # These come first, because they are the quickest to find that there is too much.
        changed = _leave_room(countries) | _add_up(world, countries)
        for region in parts:
            changed |= _narrow_world(world, region)
            changed |= _narrow_stock(
                region, _part_of(world.stock, region.share), region.share_because, world.stock_because
            )
            changed |= _narrow_share(
                region, _ratio(region.stock, world.stock), region.stock_because, world.stock_because.turned
            )
        for province, country in provinces:
            changed |= _contain(country, province)
        for one, other in places:
            changed |= _join(one, other)
        if not changed:
            break
    return regions


def _takes_room(name: str, regions: Collection[str]) -> bool:
    """Whether its stock certainly adds to those of all other regions for which this holds."""
    if name in AS_PROVINCES:
        return _country_of(AS_PROVINCES[name]) not in regions
    return name not in {WORLD, *UNIONS} and "-" not in name


def _country_of(name: str) -> str:
    """The country of a province; for a country, the country itself."""
    return name.partition("-")[0]


def _contain(country: Region, province: Region) -> bool:
    """A country has at least what each of its provinces has, and a province no more than its country. Returns whether that narrowed
    anything."""
    least = Percentage(province.share.low, Fraction(1), open=False)
    most = Percentage(Fraction(0), country.share.high, open=country.share.open)
    changed = _narrow_stock(country, Interval(province.stock.low), province.stock_because)
    changed |= _narrow_stock(province, Interval(0, country.stock.high), country.stock_because)
    changed |= _narrow_share(country, least, province.share_because)
    return changed | _narrow_share(province, most, country.share_because)


def _join(one: Region, other: Region) -> bool:
    """Two codes of one place: each has what the other has. It follows from a report with the one code only where there is another with
    the other code, so it rests on everything that is known of either. Returns whether that narrowed anything."""
    changed = False
    for here, there in ((one, other), (other, one)):
        stock = here.stock_because.ever | there.stock_because.ever
        share = here.share_because.ever | there.share_because.ever
        changed |= _narrow_stock(here, there.stock, Because(stock, stock, stock))
        changed |= _narrow_share(here, there.share, Because(share, share, share))
    return changed


def _add_up(world: Region, countries: Sequence[Region]) -> bool:
    """The world has at least the stocks of the countries together. Returns whether that narrowed anything."""
    least = sum(country.stock.low for country in countries)
    if least <= world.stock.low:
        return False
    if world.stock.high is not None and least > world.stock.high:
        stocks = [(country.stock.low, country.stock_because.ever) for country in countries]
        raise _Contradiction(world.stock_because.ever | _largest_of_more_than(world.stock.high, stocks))
    return _narrow_stock(
        world, Interval(least), *(country.stock_because for country in countries if country.stock.low)
    )


def _largest_of_more_than(
    most: int, parts: Iterable[tuple[Fraction | int, frozenset[int]]]
) -> frozenset[int]:
    """The events of the largest parts, just enough of them to exceed `most` together."""
    largest = sorted(parts, key=itemgetter(0), reverse=True)
    enough = 1 + sum(together <= most for together in accumulate(size for size, _ in largest))
    return frozenset[int]().union(*(because for _, because in largest[:enough]))


def _leave_room(countries: Sequence[Region]) -> bool:
    """The countries' shares add up to at most one. Returns whether that narrowed anything."""
    taken = sum((country.share.low for country in countries), Fraction(0))
    if taken > 1:
        shares = [(country.share.low, country.share_because.ever) for country in countries]
        raise _Contradiction(_largest_of_more_than(1, shares))
    rooms = [1 - (taken - country.share.low) for country in countries]
    if all(country.share.high <= room for country, room in zip(countries, rooms, strict=True)):
        return False
    changed = False
    before = _NOTHING
    each_because = [country.share_because.turned for country in reversed(countries)]
    after = [*accumulate(each_because, Because.union, initial=_NOTHING)][-2::-1]
    for country, room, later in zip(countries, rooms, after, strict=True):
        changed |= _narrow_share(country, Percentage(Fraction(0), room, open=False), before, later)
        before = before.union(country.share_because.turned)
    return changed


def _narrow_world(world: Region, region: Region) -> bool:
    """The region's stock is its share of the world's. Returns whether that narrowed the world. If it does, the bound is moved to the next
    stock of which some whole number is that share, for which both ends of the share count: with a very narrow share that may be
    millions further, and reaching it step by step took 1,000 rounds."""
    known, share = world.stock, region.share_because
    if not _narrow_stock(world, _world_of(region), region.stock_because, share.turned):
        return False
    of_whole = _of_whole_numbers(known, world.stock, region.share)
    _narrow_stock(world, of_whole, world.stock_because, share, share.turned)
    return True


def _world_of(region: Region) -> Interval:
    """The world's stocks of which the region's stock can be its share."""
    stock, share = region.stock, region.share
    if share.high == 0:  # a share of nothing leaves the world open
        return Interval(0)
    low = stock.low / share.high
    least = floor(low) + 1 if share.open and stock.low > 0 else ceil(low)
    return Interval(least, None if stock.high is None or share.low == 0 else floor(stock.high / share.low))


def _of_whole_numbers(known: Interval, now: Interval, share: Percentage) -> Interval:
    """Of the world's stocks `now`, those from the first to the last of which some whole number is the share. A bound that was `known`
    stays."""
    slopes = _Slopes(share.low, share.high, open_low=False, open_high=share.open)
    least = now.low if now.low == known.low else _first(slopes, now.low)
    most = now.high if now.high is None or now.high == known.high else _last(slopes, now.high)
    return Interval(least, most)


class _Slopes(NamedTuple):
    """For each x, the numbers between low * x and high * x (None: no upper limit), including these unless they are open."""

    low: Fraction
    high: Fraction | None
    open_low: bool
    open_high: bool

    def least(self, of: int) -> int:
        """The least whole number in the range for x = `of`."""
        return floor(self.low * of) + 1 if self.open_low else ceil(self.low * of)

    def most(self, of: int) -> int:
        """The highest whole number in the range for x = `of`; there must be an upper limit."""
        assert self.high is not None
        return ceil(self.high * of) - 1 if self.open_high else floor(self.high * of)

    def any(self, of: int) -> bool:
        """Whether there is a whole number in the range for x = `of`."""
        return self.high is None or self.least(of) <= self.most(of)

    def part(self) -> _Slopes:
        """The slopes less the whole part of `low`, which leaves as many whole numbers in each range."""
        whole = floor(self.low)
        return self._replace(low=self.low - whole, high=None if self.high is None else self.high - whole)

    def turned(self) -> _Slopes:
        """The inverse slopes: if y is in the range for x by these, x is in the range for y by those."""
        assert self.high is not None
        return _Slopes(1 / self.high, 1 / self.low if self.low else None, self.open_high, self.open_low)


def _first(slopes: _Slopes, start: int) -> int:
    """The first x from `start` (1 or more) on for which there is a whole number in the range of `slopes`.

    If there is none for `start`, the problem is turned around: the first y from there on that has a whole number in its range by
    the inverse slopes. As in Euclid's algorithm, each turn leaves smaller numbers, so it takes as many steps as there are digits.
    """
    turns = []
    while not (slopes := slopes.part()).any(start):
        start = slopes.least(start)
        turns.append(slopes := slopes.turned())
    for slopes in reversed(turns):
        start = slopes.least(start)
    return start


def _last(slopes: _Slopes, start: int) -> int:
    """The last x up to `start` for which there is a whole number in the range of `slopes`, found in the same way; 0 if there is none."""
    turns = []
    while not (slopes := slopes.part()).any(start):
        if (start := slopes.most(start)) <= 0:
            return 0
        turns.append(slopes := slopes.turned())
    for slopes in reversed(turns):
        start = slopes.most(start)
    return start


def _part_of(world: Interval, share: Percentage) -> Interval:
    least = ceil(world.low * share.low)
    if world.high is None:
        return Interval(least)
    high = world.high * share.high
    return Interval(least, ceil(high) - 1 if share.open and world.high > 0 else floor(high))


def _ratio(stock: Interval, world: Interval) -> Percentage:
    low = Fraction(0) if not world.high else Fraction(stock.low, world.high)
    high = (
        Fraction(1)
        if stock.high is None or world.low == 0
        else min(Fraction(1), Fraction(stock.high, world.low))
    )
    return Percentage(low, high, open=False)


def _narrow_stock(region: Region, to: Interval, *because: Because) -> bool:
    """Returns whether that narrowed anything. A bound that moves is forced by what forces that of `to`, and no longer by anything else."""
    now = region.stock
    low = max(now.low, to.low)
    high = to.high if now.high is None else now.high if to.high is None else min(now.high, to.high)
    if (low, high) == (now.low, now.high):
        return False
    region.stock = Interval(low, high)
    region.stock_because = _moved(region.stock_because, because, low=low != now.low, high=high != now.high)
    if region.stock.empty:
        raise _Contradiction(region.stock_because.ever)
    return True


def _narrow_share(region: Region, to: Percentage, *because: Because) -> bool:
    """As `_narrow_stock`."""
    now, narrowed = region.share, region.share.meet(to)
    if narrowed == now:
        return False
    falls = (narrowed.high, narrowed.open) != (now.high, now.open)
    region.share = narrowed
    region.share_because = _moved(region.share_because, because, low=narrowed.low != now.low, high=falls)
    if narrowed.empty:
        raise _Contradiction(region.share_because.ever)
    return True


def _moved(now: Because, to: Sequence[Because], *, low: bool, high: bool) -> Because:
    """The reasons of the bounds, after the `low` one, the `high` one, or both have moved for the reasons `to`."""
    lows, highs, ever = zip(*to, strict=True)
    return Because(
        frozenset.union(*lows) if low else now.low,
        frozenset.union(*highs) if high else now.high,
        now.ever.union(*ever),
    )
