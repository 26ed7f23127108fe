"""From an estimator's figures to intervals, against brute force over every world of whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations, count
from math import ceil
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import projections.stocks
from events import Count, Interval, Share
from projections.stocks import WORLD, Market, Percentage, Region, infer

from .given import ask, at_least, between, estimate, exactly, log
from .long import examples, only_long

Estimate = dict[str, Any]


def estimated(
    region: str, stock: str | None = None, *, share: float | None = None, rounding: float = 1
) -> Estimate:
    return estimate(region, stock, share=share, rounding=rounding).model_dump(mode="json", exclude_none=True)


def inferred(*estimates: Estimate) -> Market:
    """The market that the estimates leave; the first is at position 1."""
    return infer(enumerate(estimates, start=1))


def stocks(market: Market) -> dict[str, Interval]:
    return {name: region.stock for name, region in market.regions.items()}


@pytest.mark.parametrize(
    ("rounding", "world", "america"), [(1, (321, 329), (159, 166)), (5, (306, 346), (146, 181))]
)
def test_a_stock_and_a_share_give_the_world_as_wide_as_the_rounding_and_the_world_gives_the_others(
    rounding: float, world: tuple[int, int], america: tuple[int, int]
) -> None:
    china = estimated("CN", "=130", share=40, rounding=rounding)
    market = inferred(china, estimated("US", share=50, rounding=rounding))
    assert stocks(market) == {
        "CN": Interval(130, 130),
        "US": Interval(*america),
        WORLD: Interval(*world),
    }
    assert market.conflicts == ()


def test_the_answer_carries_the_rounding_through_to_every_region() -> None:
    reports = log(estimate("CN", "=130", share=40, rounding=1), estimate("US", share=50, rounding=1))
    (market,) = ask(reports, "shares")
    regions = {region["region"]: region for region in market["regions"]}
    assert regions["world"]["count"] == between(321, 329)
    assert regions["US"]["count"] == between(159, 166)
    assert regions["CN"]["count"] == exactly(130)
    assert regions["US"]["rounding"] == [1.0]
    assert regions["world"]["share"] == {"low": 100.0, "high": 100.0}
    # 130 of 329 is 39.51 %, and 40.5 % would be rounded to 41.
    assert regions["CN"]["share"] == {"low": 39.51, "high": 40.5}
    assert regions["US"]["evidence"]["count"] == [1, 2]
    assert regions["world"]["evidence"]["count"] == [1]


def test_an_estimate_of_another_date_or_another_unit_is_another_market() -> None:
    reports = log(
        estimate("CN", "=130", share=40),
        estimate("US", share=50, on="2024-01-01"),
        estimate("US", share=50, unit="service"),
        estimate("US", share=50, estimator="Ｃlsa"),
    )
    markets = {
        (m["as_of"], m["unit"]): {r["region"]: r["count"] for r in m["regions"]}
        for m in ask(reports, "shares")
    }
    assert markets == {
        ("2023-09-22", "model"): {"CN": exactly(130), "US": between(159, 166), "world": between(321, 329)},
        ("2024-01-01", "model"): {"US": at_least(0), "world": at_least(0)},
        ("2023-09-22", "service"): {"US": at_least(0), "world": at_least(0)},
    }


def test_shares_add_up_to_the_world_so_what_is_left_bounds_the_last_region() -> None:
    market = inferred(
        estimated("CN", share=40), estimated("US", share=50), estimated("FR", ">=1"), estimated(WORLD, "=200")
    )
    assert market.regions["FR"].share.high == Fraction(11, 100)  # 100 % less 39.5 and 49.5
    assert market.regions["FR"].stock == Interval(1, 22)


def test_the_world_has_the_stocks_of_its_countries_together() -> None:
    market = inferred(
        estimated("CN", "=130"), estimated("US", ">=165"), estimated("CN-BJ", "=90"), estimated("FR", "~5")
    )
    assert market.regions[WORLD].stock == Interval(295)
    assert market.regions[WORLD].stock_because.both == {1, 2}
    assert market.regions["CN"].share.high == Fraction(130, 295)


def test_stocks_of_countries_that_the_world_has_no_room_for_contradict_it() -> None:
    market = inferred(estimated("CN", "=6"), estimated("US", "=6"), estimated(WORLD, "<=11"))
    assert market.conflicts == (frozenset({1, 2, 3}),)


def test_a_province_is_part_of_its_country_and_takes_no_room_beside_it() -> None:
    market = inferred(estimated("CN", share=60), estimated("CN-BJ", share=50))
    assert market.conflicts == ()
    assert market.regions["CN-BJ"].share.low == Fraction(495, 1000)


def test_a_country_has_at_least_what_its_province_has_and_a_province_at_most_what_its_country_has() -> None:
    market = inferred(
        estimated("CN", "<=130", share=40), estimated("CN-BJ", ">=90"), estimated("CN-SH", share=5)
    )
    assert stocks(market) == {
        "CN": Interval(90, 130),
        "CN-BJ": Interval(90, 130),
        "CN-SH": Interval(11, 18),
        WORLD: Interval(223, 329),
    }
    assert market.regions["CN-BJ"].share.high == Fraction(405, 1000)
    assert market.regions["CN-BJ"].stock_because.both == {1, 2}
    market = inferred(estimated("CN-BJ", share=50), estimated("CN", ">=0"))
    assert market.regions["CN"].share.low == Fraction(495, 1000)


def test_a_province_that_has_more_than_its_country_contradicts_it() -> None:
    # Of a country that has none by itself, too.
    assert inferred(estimated("CN-BJ", share=60), estimated("US", share=50)).conflicts == (frozenset({1, 2}),)
    for more, fewer in ({"stock": ">90"}, {"stock": "<=90"}), ({"share": 41}, {"share": 40}):
        market = inferred(estimated("CN-BJ", **more), estimated("CN", **fewer), estimated("US", "=91"))
        assert market.conflicts == (frozenset({1, 2}),)


def test_a_union_is_of_countries_and_takes_no_room_beside_them() -> None:
    market = inferred(estimated("EU", share=40), estimated("DE", share=35), estimated("US", share=30))
    assert market.conflicts == ()
    assert market.regions["DE"].share.high == Fraction(355, 1000)


@pytest.mark.parametrize(("code", "as_province"), [("HK", "CN-HK"), ("MO", "CN-MO"), ("TW", "CN-TW")])
def test_given_two_codes_of_one_place_then_its_stock_is_that_of_either_and_counts_once(
    code: str, as_province: str
) -> None:
    market = inferred(estimated(as_province, "=20"), estimated(code, ">10"), estimated("US", "=50"))
    assert stocks(market) == {
        as_province: Interval(20, 20),
        code: Interval(20, 20),
        "US": Interval(50, 50),
        WORLD: Interval(70),
    }
    differ = inferred(estimated(as_province, "=20"), estimated(code, "=30"))
    assert differ.conflicts == (frozenset({1, 2}),)


def test_given_a_place_with_a_code_of_its_own_and_its_country_then_whether_the_country_has_it_is_left_open() -> (
    None
):
    within = inferred(estimated("CN", "=100"), estimated("HK", "=20"), estimated("US", "=50"))
    assert stocks(within)[WORLD] == Interval(150)
    beside = inferred(estimated("CN", "=10"), estimated("HK", "=20"), estimated(WORLD, "=30"))
    assert beside.conflicts == ()
    assert stocks(beside)["HK"] == Interval(20, 20)
    # As a province it is of the country.
    as_province = inferred(estimated("CN", "=10"), estimated("CN-HK", "=20"))
    assert as_province.conflicts == (frozenset({1, 2}),)


def test_a_region_without_models_has_no_share() -> None:
    market = inferred(estimated("CN", "=0"), estimated(WORLD, "=100"), estimated("US", share=50))
    assert market.regions["CN"].share == Percentage(Fraction(0), Fraction(0), open=False)
    assert stocks(market) == {"CN": Interval(0, 0), "US": Interval(50, 50), WORLD: Interval(100, 100)}


def test_a_share_of_a_world_without_models_says_nothing_of_it() -> None:
    market = inferred(estimated("CN", share=40), estimated(WORLD, "=0"))
    assert stocks(market) == {"CN": Interval(0, 0), WORLD: Interval(0, 0)}


def test_about_bounds_a_stock_only_where_the_source_says_how_far_off_it_may_be() -> None:
    assert stocks(inferred(estimated("CN", "~130"))) == {"CN": Interval(0), WORLD: Interval(0)}
    assert stocks(inferred(estimated("CN", "~130±5"))) == {"CN": Interval(125, 135), WORLD: Interval(125)}


def test_given_a_very_narrow_share_then_the_world_is_the_least_of_which_a_whole_number_is_that_share() -> (
    None
):
    """Counted up one by one that was 4,000 short of it when a thousand rounds were over."""
    market = inferred(estimated("CN", ">1", share=12.345678, rounding=1e-6), estimated("US", share=40))
    low, high = market.regions["CN"].share.low, market.regions["CN"].share.high
    # Without fractions, which take ten seconds: the stock is at least low x world, and less than high x world.
    (a, b), (c, d) = low.as_integer_ratio(), high.as_integer_ratio()
    whole = (world for world in count(17) if -(-a * world // b) * d < c * world)
    assert market.regions[WORLD].stock == Interval(next(whole))


def test_given_a_narrow_share_then_the_most_of_the_world_is_of_a_whole_number_too() -> None:
    market = inferred(
        estimated("CN", ">1", share=12.34, rounding=1e-4),
        estimated(WORLD, "<=4990"),
        estimated("US", share=40),
    )
    share = market.regions["CN"].share
    whole = [world for world in range(17, 4991) if ceil(share.low * world) < share.high * world]
    assert market.regions[WORLD].stock == Interval(whole[0], whole[-1])


def test_given_a_share_of_which_no_world_that_is_small_enough_has_a_whole_number_then_they_contradict() -> (
    None
):
    market = inferred(estimated("CN", ">1", share=12.345678, rounding=1e-6), estimated(WORLD, "<=800000"))
    assert market.conflicts == (frozenset({1, 2}),)


def test_given_narrow_shares_of_many_regions_then_each_is_visited_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visits = 0
    world_of = projections.stocks._world_of

    def visited(region: Region) -> Interval:
        nonlocal visits
        visits += 1
        return world_of(region)

    monkeypatch.setattr(projections.stocks, "_world_of", visited)
    regions = [a + b for a in "ABCDEFGH" for b in "ABCDEFGHIJ"]
    narrow = [estimated(each, share=0.5 + 0.0137 * n / 80, rounding=1e-9) for n, each in enumerate(regions)]
    market = inferred(*narrow, estimated(regions[0], ">1000"))
    assert market.conflicts == ()
    assert visits <= 50 * len(regions)  # 2,000 each, when what may creep did so a thousand rounds, twice


# Evidence.


def test_given_an_estimate_that_another_makes_narrower_then_it_is_no_evidence() -> None:
    one = estimated("CN", "=1", share=10, rounding=10)
    for market in inferred(one, estimated("CN", "<6")), inferred(one, estimated(WORLD, ">1")):
        for region in market.regions.values():
            assert region.stock_because.both == {1}
            assert region.share_because.both <= {1}
    market = inferred(estimated("CN", "=4", share=50, rounding=50), estimated(WORLD, ">1"))
    assert market.regions[WORLD].stock == Interval(6, 16)
    assert market.regions[WORLD].stock_because.both == {1}


def test_given_estimates_that_bound_a_region_from_one_side_each_then_each_bound_that_follows_rests_on_its_own() -> (
    None
):
    market = inferred(
        estimated("CN", ">=10"), estimated("CN", "<=20"), estimated("CN-BJ", ">=5"), estimated("CN-SH", ">=1")
    )
    assert market.regions["CN-BJ"].stock == Interval(5, 20)
    assert market.regions["CN-BJ"].stock_because.both == {2, 3}
    assert market.regions[WORLD].stock == Interval(10)
    assert market.regions[WORLD].stock_because.both == {1}
    market = inferred(estimated("CN", share=40), estimated("CN", share=40, rounding=5), estimated("US", "~5"))
    assert market.regions["US"].share == Percentage(Fraction(0), Fraction(605, 1000), open=False)
    assert market.regions["US"].share_because.both == {1}


def test_given_a_share_of_which_the_least_world_has_a_whole_number_then_the_lower_end_of_the_share_is_no_evidence() -> (
    None
):
    """3.04 to 3.2 of 8 is none, and 13 is the first of which one is; of 5 and more, 13 is the least anyway."""
    shares = estimated("CN", share=43, rounding=10), estimated("CN", share=35, rounding=10)  # 38 %, and 40 %
    for stock, because in (">=3", {1, 2, 3}), (">=5", {1, 3}):
        market = inferred(estimated("CN", stock), *shares)
        assert market.regions[WORLD].stock == Interval(13)
        assert market.regions[WORLD].stock_because.both == because


def test_given_a_bound_that_passes_from_one_code_of_a_place_to_the_other_then_the_use_of_the_other_is_evidence() -> (
    None
):
    market = inferred(estimated("CN", "<=3"), estimated("CN-HK", ">=1"), estimated("HK", ">=1"))
    assert market.regions["HK"].stock == Interval(1, 3)
    assert market.regions["HK"].stock_because.both == {1, 2, 3}


# Contradictions.


def test_estimates_that_cannot_all_be_true_are_named_and_the_figures_span_what_each_alone_gives() -> None:
    market = inferred(estimated("CN", "=130"), estimated(WORLD, "=100"), estimated("US", "=40"))
    assert market.conflicts == (frozenset({1, 2}),)
    assert stocks(market) == {"CN": Interval(0, 130), "US": Interval(40, 40), WORLD: Interval(100)}


def test_two_contradictions_of_one_date_are_told_apart() -> None:
    market = inferred(
        estimated("CN", "=130"), estimated("CN", "=131"), estimated("US", "=50"), estimated("US", ">60")
    )
    assert set(market.conflicts) == {frozenset({1, 2}), frozenset({3, 4})}
    assert market.regions["CN"].stock.low <= 130
    assert market.regions["US"].stock.low <= 50
    (answer,) = ask(
        log(estimate("CN", "=130"), estimate("CN", "=131"), estimate("US", "=50"), estimate("US", ">60")),
        "shares",
    )
    assert [c["events"] for c in answer["contradictions"]] == [[1, 2], [3, 4]]
    assert [r["region"] for r in answer["regions"]] == ["CN", "US", "world"]


def test_an_estimate_that_cannot_be_true_by_itself_bounds_nothing_and_hides_nothing() -> None:
    market = inferred(estimated(WORLD, share=40), estimated("CN", "=130"))
    assert market.conflicts == (frozenset({1}),)
    assert stocks(market) == {"CN": Interval(130, 130), WORLD: Interval(130)}


def test_shares_that_add_up_to_more_than_the_world_contradict_each_other() -> None:
    market = inferred(estimated("CN", share=60), estimated("US", share=50), estimated("FR", share=1))
    assert market.conflicts == (frozenset({1, 2}),)


def test_where_one_of_a_contradiction_contradicts_another_estimate_too_neither_is_dropped_for_it() -> None:
    """Were CN's 130 right, both others were wrong: the world may have no more than 100, or 130 and more."""
    market = inferred(estimated("CN", "=130"), estimated(WORLD, "<=100"), estimated("CN", "<=90"))
    assert set(market.conflicts) == {frozenset({1, 2}), frozenset({1, 3})}
    assert stocks(market) == {"CN": Interval(0, 130), WORLD: Interval(0)}


def test_given_estimates_that_are_in_conflict_and_agree_then_what_they_contradict_together_is_in_conflict_too() -> (
    None
):
    """DE's 5 and BJ's 1 may both be true: then BJ has no quarter of a world of 6 or more."""
    market = inferred(
        estimated("DE", "=0", share=30, rounding=10),
        estimated("DE", ">=5"),
        estimated("CN-BJ", "=1"),
        estimated("CN-BJ", share=25, rounding=5),
    )
    assert frozenset({1, 2}) in market.conflicts
    assert frozenset({2, 3, 4}) in market.conflicts
    assert market.regions["CN-BJ"].share.low < Fraction(1, 6)


@only_long
def test_given_a_world_with_room_for_few_of_many_countries_then_their_contradictions_are_found_in_few_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solved = 0
    propagate = projections.stocks._propagate

    def counted(regions: dict[str, Region]) -> dict[str, Region]:
        nonlocal solved
        solved += 1
        return propagate(regions)

    monkeypatch.setattr(projections.stocks, "_propagate", counted)
    regions = [a + b for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJ"]
    market = inferred(
        estimated(WORLD, "<=500"), *(estimated(each, f"={100 + n}") for n, each in enumerate(regions))
    )
    assert len(market.conflicts) > 10
    assert solved <= 10 * len(regions)  # 15 of each, when every conflict was sought among all


# Against brute force.

MOST = 12
REGIONS = ("CN", "CN-BJ", "US")
World = Mapping[str, int]

counts = st.builds("{}{}".format, st.sampled_from(["=", ">=", ">", "<=", "~"]), st.integers(0, MOST))
rounded = st.tuples(st.integers(0, 20).map(lambda n: n * 5.0), st.sampled_from([1.0, 5.0, 10.0]))


@st.composite
def estimates(draw: st.DrawFn) -> list[Estimate]:
    drawn = draw(
        st.lists(
            st.tuples(st.sampled_from([*REGIONS, WORLD]), st.none() | counts, st.none() | rounded).filter(
                lambda e: (e[1] or e[2]) and not (e[0] == WORLD and e[2])
            ),
            min_size=1,
            max_size=5,
        )
    )
    return [
        estimated(region, stock, **({"share": share[0], "rounding": share[1]} if share else {}))
        for region, stock, share in drawn
    ]


WORLDS: list[World] = [
    {WORLD: everything, "CN": china, "CN-BJ": beijing, "US": america}
    for everything in range(MOST + 1)
    for china in range(everything + 1)
    for beijing in range(china + 1)
    for america in range(everything - china + 1)
]


def agrees(world: World, estimate: Estimate) -> bool:
    here = world[estimate["region"]]
    stock = Count(**estimate["count"]).interval() if "count" in estimate else None
    if stock is not None and not (stock.low <= here and (stock.high is None or here <= stock.high)):
        return False
    if "share" not in estimate:
        return True
    low, high = Share(**estimate["share"]).bounds()
    # Nothing has a share of a world without models.
    return world[WORLD] > 0 and low * world[WORLD] <= here and (here < high * world[WORLD] or high == 1)


def worlds(reported: Sequence[Estimate]) -> list[World]:
    """Every world of at most MOST models that agrees with all that is reported."""
    found = WORLDS
    for report in reported:
        found = [world for world in found if agrees(world, report)]
    return found


def holds(market: Market, world: World) -> bool:
    for name, region in market.regions.items():
        if not region.stock.low <= world[name] or not (
            region.stock.high is None or world[name] <= region.stock.high
        ):
            return False
        if world[WORLD]:
            share = Fraction(world[name], world[WORLD])
            top = share < region.share.high if region.share.open else share <= region.share.high
            if not (region.share.low <= share and top):
                return False
    return True


@settings(max_examples=examples(150))
@given(estimates())
def test_every_world_that_agrees_with_the_estimates_lies_in_the_answer(reported: list[Estimate]) -> None:
    market = inferred(*reported)
    for world in worlds(reported):
        assert market.conflicts == ()
        assert holds(market, world), world


@settings(max_examples=examples(150))
@given(estimates())
def test_no_estimate_of_a_contradiction_can_be_missed_and_whichever_is_true_lies_in_the_answer(
    reported: list[Estimate],
) -> None:
    market = inferred(*reported)
    for conflict in market.conflicts:
        assert inferred(*(e for at, e in enumerate(reported, 1) if at in conflict)).conflicts
        for missed in conflict:
            rest = [e for at, e in enumerate(reported, 1) if at in conflict - {missed}]
            assert inferred(*rest).conflicts == ()
    disputed = frozenset[int]().union(*market.conflicts)
    believed = [e for at, e in enumerate(reported, 1) if at not in disputed]
    for at in disputed:
        for world in worlds([*believed, reported[at - 1]]):
            assert holds(market, world), world


@settings(max_examples=examples(150))
@given(estimates(), st.randoms(use_true_random=False))
def test_what_estimates_say_and_which_contradict_each_other_does_not_depend_on_the_order_in_which_they_arrive(
    reported: list[Estimate], random: Random
) -> None:
    def found(estimates: Sequence[Estimate]) -> tuple[object, ...]:
        market = inferred(*estimates)
        figures = {name: (region.stock, region.share) for name, region in market.regions.items()}
        return figures, sorted(sorted(str(estimates[at - 1]) for at in events) for events in market.conflicts)

    assert found(reported) == found(random.sample(reported, len(reported)))


@settings(max_examples=examples(150))
@given(estimates())
def test_estimates_in_conflict_that_agree_with_each_other_agree_with_all_that_are_in_none(
    reported: list[Estimate],
) -> None:
    disputed = frozenset[int]().union(*inferred(*reported).conflicts)
    believed = [estimate for at, estimate in enumerate(reported, 1) if at not in disputed]
    for size in range(1, len(disputed) + 1):
        for some in combinations([reported[at - 1] for at in sorted(disputed)], size):
            assert inferred(*some).conflicts or not inferred(*some, *believed).conflicts


@settings(max_examples=examples(400))
@given(estimates())
def test_the_events_that_are_listed_as_evidence_force_a_figure_without_any_other(
    reported: list[Estimate],
) -> None:
    market = inferred(*reported)
    assume(not market.conflicts)
    named = [(len(reported) + n, estimated(name, "~1")) for n, name in enumerate(market.regions, 1)]

    def alone(events: frozenset[int]) -> dict[str, Region]:
        return infer([*((at, each) for at, each in enumerate(reported, 1) if at in events), *named]).regions

    for name, region in market.regions.items():
        assert alone(region.stock_because.low)[name].stock.low == region.stock.low
        assert alone(region.stock_because.high)[name].stock.high == region.stock.high
        assert alone(region.share_because.low)[name].share.low == region.share.low
        assert alone(region.share_because.high)[name].share.high == region.share.high


@settings(max_examples=examples(150))
@given(
    stock=st.integers(30, 130),
    share=st.integers(20, 60),
    other=st.integers(10, 39),
    rounding=st.sampled_from([2, 5]),
)
def test_from_one_stock_and_two_shares_every_bound_is_the_stock_of_some_world(
    stock: int, share: int, other: int, rounding: int
) -> None:
    china = Share(percent=float(share), rounding=float(rounding))
    america = Share(percent=float(other), rounding=float(rounding))
    market = inferred(
        estimated("CN", f"={stock}", share=share, rounding=rounding),
        estimated("US", share=other, rounding=rounding),
    )
    (china_low, china_high), (low, high) = china.bounds(), america.bounds()
    allowed = [
        (everything, here)
        for everything in range(stock, 6 * stock)
        if china_low <= Fraction(stock, everything) < china_high
        for here in range(int(low * everything), int(high * everything) + 1)
        if low <= Fraction(here, everything) < high and here + stock <= everything
    ]
    assume(allowed)
    assert market.regions[WORLD].stock == Interval(min(w for w, _ in allowed), max(w for w, _ in allowed))
    assert market.regions["US"].stock == Interval(min(us for _, us in allowed), max(us for _, us in allowed))
