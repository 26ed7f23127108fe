"""From an estimator's figures to intervals: what stocks and shares imply for the world and for each region. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import ceil, floor
from typing import Any

from events import Count, Interval, Share

WORLD = "world"

ROUNDS = 1_000
"""A stock without a highest value may creep up by one a round where a share is very narrow. Every bound on the way holds."""


@dataclass(frozen=True, slots=True)
class Percentage:
    """A share, from `low` (included) to `high` (excluded where `open`), as fractions of one."""

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


@dataclass
class Region:
    """What is known of one region, and the events (positions) that the bounds of its stock and of its share rest on."""

    stock: Interval
    share: Percentage
    stock_because: frozenset[int] = frozenset()
    share_because: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Market:
    """An estimator's view of one date. Each of `conflicts` has the events of a smallest set that cannot all be true; the
    figures then span what each of those events, believed beside all that nobody contradicts, would give."""

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
    reported = dict(estimates)
    regions = dict.fromkeys(data["region"] for data in reported.values())
    conflicts: list[frozenset[int]] = []
    apart: set[int] = set()
    while (found := _further(reported, apart)) is not None:
        conflicts.append(found)
        apart |= found
    believed = {at: data for at, data in reported.items() if at not in apart}
    alone = [believed | {at: reported[at]} for at in sorted(apart)]
    markets = [
        _propagate(_as_reported(estimates, regions))
        for estimates in [each for each in alone if not _contradicted(each)] or [believed]
    ]
    hull = {name: reduce(_wider, (market[name] for market in markets)) for name in markets[0]}
    return Market(hull, tuple(conflicts))


Reported = Mapping[int, dict[str, Any]]


def _further(reported: Reported, apart: set[int]) -> frozenset[int] | None:
    """A smallest contradiction among the estimates that are not `apart`, or between one that is and those; None where
    there is none."""
    believed = {at: data for at, data in reported.items() if at not in apart}
    for estimates in (believed, *(believed | {at: reported[at]} for at in sorted(apart))):
        if (events := _contradicted(estimates)) and (found := _smallest(reported, events)) - apart:
            return found
    return None


def _smallest(reported: Reported, events: frozenset[int]) -> frozenset[int]:
    for event in sorted(events, reverse=True):
        if _contradicted({at: reported[at] for at in events - {event}}):
            events -= {event}
    return events


def _contradicted(reported: Reported) -> frozenset[int]:
    """Events that contradict each other, not yet a smallest set of them; empty where all can be true."""
    try:
        _propagate(_as_reported(reported))
    except _Contradiction as contradiction:
        return contradiction.events
    return frozenset()


def _wider(a: Region, b: Region) -> Region:
    high = None if a.stock.high is None or b.stock.high is None else max(a.stock.high, b.stock.high)
    top, closed = max((a.share.high, not a.share.open), (b.share.high, not b.share.open))
    return Region(
        Interval(min(a.stock.low, b.stock.low), high),
        Percentage(min(a.share.low, b.share.low), top, not closed),
        a.stock_because | b.stock_because,
        a.share_because | b.share_because,
    )


def _as_reported(reported: Reported, regions: Iterable[str] = ()) -> dict[str, Region]:
    """What the estimates say of each region that they, or `regions`, name."""
    found = {WORLD: Region(Interval(0), Percentage(Fraction(1), Fraction(1), open=False))}
    for name in regions:
        found.setdefault(name, Region(Interval(0), ANY))
    for position, data in reported.items():
        region = found.setdefault(data["region"], Region(Interval(0), ANY))
        because = frozenset({position})
        if "count" in data and (interval := Count(**data["count"]).interval()) is not None:
            _narrow_stock(region, interval, because)
        if "share" in data:
            low, high = Share(**data["share"]).bounds()
            _narrow_share(region, Percentage(low, high, open=high < 1), because)
    return found


def _propagate(regions: dict[str, Region]) -> dict[str, Region]:
    world = regions[WORLD]
    for _ in range(ROUNDS):
        changed = False
        for name, region in regions.items():
            if name == WORLD:
                continue
            share, stock = region.share, region.stock
            because = region.share_because | region.stock_because
            changed |= _narrow_stock(world, _world_of(stock, share), because)
            changed |= _narrow_stock(
                region, _part_of(world.stock, share), region.share_because | world.stock_because
            )
            changed |= _narrow_share(
                region, _ratio(region.stock, world.stock), region.stock_because | world.stock_because
            )
        changed |= _leave_room(regions)
        if not changed:
            break
    return regions


def _leave_room(regions: dict[str, Region]) -> bool:
    """The regions' shares add up to one at most (a region of a country would be counted twice, so it is left out)."""
    countries = {name: r for name, r in regions.items() if name != WORLD and "-" not in name}
    changed = False
    for name, region in countries.items():
        others = [other for other_name, other in countries.items() if other_name != name]
        room = 1 - sum((other.share.low for other in others), Fraction(0))
        because = frozenset[int]().union(*(other.share_because for other in others))
        changed |= _narrow_share(region, Percentage(Fraction(0), max(room, Fraction(0)), open=False), because)
        if room < 0:
            raise _Contradiction(because | region.share_because)
    return changed


def _world_of(stock: Interval, share: Percentage) -> Interval:
    """The world's stock where `stock` is `share` of it."""
    if share.high == 0:  # a share of nothing leaves the world open
        return Interval(0)
    low = stock.low / share.high
    least = floor(low) + 1 if share.open and stock.low > 0 else ceil(low)
    most = None if stock.high is None or share.low == 0 else floor(stock.high / share.low)
    return Interval(least, most)


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


def _narrow_stock(region: Region, to: Interval, because: frozenset[int]) -> bool:
    now = region.stock
    low = max(now.low, to.low)
    high = to.high if now.high is None else now.high if to.high is None else min(now.high, to.high)
    if (low, high) == (now.low, now.high):
        return False
    region.stock, region.stock_because = Interval(low, high), region.stock_because | because
    if region.stock.empty:
        raise _Contradiction(region.stock_because)
    return True


def _narrow_share(region: Region, to: Percentage, because: frozenset[int]) -> bool:
    narrowed = region.share.meet(to)
    if narrowed == region.share:
        return False
    region.share, region.share_because = narrowed, region.share_because | because
    if narrowed.empty:
        raise _Contradiction(region.share_because)
    return True
