"""Estimates of a stock or of a share, by estimator and date, and the approvals' share of a stock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from events import BadQuestion, RecordedEvent, TermsDiffer, date_range

from .given import (
    MODELS,
    SERVICES,
    ask,
    at_least,
    batch,
    between,
    equated,
    estimate,
    exactly,
    log,
    retracted,
    superseded,
    total,
)

STOCK = ("CAC", "stock", "model")


def share_of_stock(
    reports: Sequence[RecordedEvent],
    terms: tuple[str, str, str] = MODELS,
    *,
    region: str = "CN",
    estimator: str = "CLSA",
    valid_at: str | None = None,
) -> list[dict[str, Any]]:
    authority, instrument, unit = terms
    return ask(
        reports,
        "share_of_stock",
        authority=authority,
        instrument=instrument,
        unit=unit,
        estimator=estimator,
        region=region,
        valid_at=valid_at and date_range(valid_at),
    )


def counts(reports: Sequence[RecordedEvent]) -> list[dict[str, Any]]:
    return [{r["region"]: r["count"] for r in market["regions"]} for market in ask(reports, "shares")]


def test_estimates_are_answered_by_estimator_unit_and_date_with_their_sources() -> None:
    reports = log(
        estimate("CN", "=130", share=40, source=("OODAloop", "CLSA")),
        estimate("CN", ">=106", estimator="Economic Observer", on="2023-07-13", source="superpyq"),
    )
    clsa, observer = ask(reports, "shares")
    assert (clsa["estimator"], clsa["unit"], clsa["as_of"]) == ("CLSA", "model", "2023-09-22")
    assert clsa["sources"] == [
        {"position": 1, "publisher": "OODAloop", "derived_from": {"publisher": "CLSA"}}
    ]
    assert (observer["estimator"], observer["as_of"]) == ("Economic Observer", "2023-07-13")
    assert counts(reports)[1] == {"CN": at_least(106), "world": at_least(106)}


def test_a_share_alone_bounds_no_stock() -> None:
    assert counts(log(estimate("US", share=50))) == [{"US": at_least(0), "world": at_least(0)}]


def test_two_roundings_of_one_share_are_met_where_both_hold() -> None:
    reports = log(estimate("CN", "=130", share=40, rounding=5), estimate("CN", share=40, rounding=1))
    (market,) = ask(reports, "shares")
    (china,) = [region for region in market["regions"] if region["region"] == "CN"]
    assert china["rounding"] == [1.0, 5.0]
    assert counts(reports) == [{"CN": exactly(130), "world": between(321, 329)}]


def test_a_replaced_estimate_counts_no_longer_and_a_retracted_one_neither() -> None:
    lines = [
        estimate("CN", "=130", share=40, on="2022"),
        estimate("CN", "=130", share=40, on="2023-09-22"),
        superseded("e1", "e2"),
        retracted("e2"),
    ]
    dates = [[market["as_of"] for market in ask(log(*lines[:n]), "shares")] for n in (2, 3, 4)]
    assert dates == [["2022", "2023-09-22"], ["2023-09-22"], []]


def test_an_estimate_that_is_reported_twice_is_no_contradiction() -> None:
    reports = log(estimate("CN", "=130", share=40), estimate("CN", ">=130", source="VON"))
    assert [market["contradictions"] for market in ask(reports, "shares")] == [[]]


def test_given_a_stock_that_rests_on_many_estimates_then_those_that_are_not_listed_are_counted() -> None:
    countries = (f"A{letter}" for letter in "DEFGILMOQRSTUWXZ")
    reports = log(
        *(estimate(country, ">=5") for country in countries), total("=1", "2024"), equated(MODELS, STOCK)
    )
    (market,) = ask(reports, "shares")
    world = market["regions"][-1]
    assert (world["region"], world["count"]) == ("world", at_least(80))
    assert world["evidence"] == {"count": [*range(1, 13)], "share": [], "more": 4}
    (answer,) = share_of_stock(reports, region="world")
    assert (answer["evidence"]["stock"], answer["evidence"]["more"]) == ([*range(1, 13)], 4)


def test_each_contradiction_of_estimates_is_told_in_words_of_its_own() -> None:
    reports = log(
        estimate("CN", "=130", share=40),
        estimate("CN", ">160"),
        estimate("US", share=50.5, rounding=0.1),
        estimate("US", share=61, rounding=5),
    )
    (market,) = ask(reports, "shares")
    of = "as of 2023-09-22, by CLSA (Reuters)"
    china, america = (contradiction["says"] for contradiction in market["contradictions"])
    assert china == (
        "these cannot all be true: 130 models and 40 % (rounded to 1) of the world's models in CN "
        f"{of}; more than 160 models in CN {of}"
    )
    assert america == (
        f"these cannot all be true: 50.5 % (rounded to 0.1) of the world's models in US {of}; "
        f"61 % (rounded to 5) of the world's models in US {of}"
    )


# Approvals over a stock.

REPORTS = (total("=40", "2024-01-28"), estimate("CN", "=130", share=40))


def test_a_share_of_approvals_in_a_stock_is_refused_and_the_refusal_names_both_terms() -> None:
    with pytest.raises(TermsDiffer) as refusal:
        share_of_stock(log(*REPORTS))
    assert "CAC/approval/model and CAC/stock/model count different things" in str(refusal.value)
    assert refusal.value.code == "terms-differ"


def test_an_event_that_equates_the_terms_opens_the_question_and_its_retraction_closes_it() -> None:
    reports = log(*REPORTS, equated(MODELS, STOCK), retracted("e3"))
    (answer,) = share_of_stock(reports[:3])
    assert answer["terms"] == "CAC/approval/model"
    assert (answer["total"], answer["total_as_of"]) == (exactly(40), "2024-01-28")
    assert (answer["stock"], answer["as_of"]) == (exactly(130), "2023-09-22")
    assert answer["share"] == {"low": 30.76, "high": 30.77}
    assert answer["equated_by"] == [3]
    assert answer["evidence"] == {"total": {"low": [1], "high": [1], "more": 0}, "stock": [2], "more": 0}
    with pytest.raises(TermsDiffer):
        share_of_stock(reports)


def test_terms_may_be_equated_through_others_and_every_event_of_the_way_is_named() -> None:
    reports = log(*REPORTS, equated(MODELS, SERVICES), equated(SERVICES, STOCK))
    assert share_of_stock(reports)[0]["equated_by"] == [3, 4]
    assert share_of_stock(
        log(*REPORTS, total("=1", "2024", terms=SERVICES), equated(SERVICES, STOCK)), SERVICES
    )
    with pytest.raises(TermsDiffer):
        share_of_stock(log(*REPORTS, total("=1", "2024", terms=SERVICES), equated(SERVICES, STOCK)))


def test_an_estimate_of_another_unit_leaves_the_question_open() -> None:
    reports = log(*REPORTS, equated(MODELS, STOCK), estimate("CN", "=9000", unit="chip"))
    assert [answer["stock"] for answer in share_of_stock(reports)] == [exactly(130)]


def test_a_unit_that_differs_is_refused_even_where_another_unit_is_equated() -> None:
    reports = log(*REPORTS, equated(MODELS, ("CAC", "stock", "service")))
    with pytest.raises(TermsDiffer, match="CAC/stock/model"):
        share_of_stock(reports)


def test_a_share_is_as_wide_as_the_total_and_the_stock_together_and_never_over_one() -> None:
    wide = log(total(">40", "2024-01-28"), estimate("CN", "~130±10"), equated(MODELS, STOCK))
    assert share_of_stock(wide)[0]["share"] == {"low": 29.28, "high": 100.0}  # from 41 of 140 up
    world = log(*REPORTS, equated(MODELS, STOCK))
    assert share_of_stock(world, region="world")[0]["stock"] == between(321, 329)
    assert share_of_stock(world, region="world")[0]["share"] == {"low": 12.15, "high": 12.47}


def test_a_stock_without_a_highest_value_leaves_the_share_open_to_zero() -> None:
    reports = log(total("=40", "2024-01-28"), estimate("CN", ">=130"), equated(MODELS, STOCK))
    assert share_of_stock(reports)[0]["share"] == {"low": 0.0, "high": 30.77}


def test_a_stock_in_contradiction_is_answered_with_what_either_estimate_gives() -> None:
    reports = log(
        total("=40", "2024-01-28"),
        estimate("CN", "=130"),
        estimate("CN", "=160"),
        estimate("CN", share=40),
        estimate("CN", share=60),
        equated(MODELS, STOCK),
    )
    assert share_of_stock(reports)[0]["stock"]["low"] <= 130


def test_given_estimates_or_totals_in_conflict_then_the_share_of_the_stock_tells_their_contradictions() -> (
    None
):
    reports = log(
        total("=40", "2024-01-28", source="Reuters"),
        total("=60", "2024-01-28", source="Xinhua"),
        estimate("CN", "=130", source="Jiemian"),
        estimate("CN", "=160", source="Caixin"),
        equated(MODELS, STOCK),
    )
    (answer,) = share_of_stock(reports)
    assert answer["share"] == {"low": 25.0, "high": 46.16}  # 40 of 160, and 60 of 130
    of_total, of_stock = answer["contradictions"]
    assert of_total["says"] == (
        "these cannot all be true: 40 by 2024-01-28 (Reuters); 60 by 2024-01-28 (Xinhua)"
    )
    assert [alone["total"] for alone in of_total["alone"]] == [exactly(40), exactly(60)]
    (of_the_month,) = share_of_stock(reports, valid_at="2024-01")
    assert [alone["total"] for alone in of_the_month["contradictions"][0]["alone"]] == [
        at_least(0),
        at_least(0),
    ]
    assert of_stock == {
        "events": [3, 4],
        "says": "these cannot all be true: 130 models in CN as of 2023-09-22, by CLSA (Jiemian); "
        "160 models in CN as of 2023-09-22, by CLSA (Caixin)",
    }


@pytest.mark.parametrize("stock", ["=130", "=0"])
def test_given_a_total_that_is_more_than_the_stock_then_nothing_is_known_of_the_share_and_that_is_told(
    stock: str,
) -> None:
    reports = log(total(">=300", "2025-01-28"), estimate("CN", stock), equated(MODELS, STOCK))
    (answer,) = share_of_stock(reports)
    assert answer["share"] == {"low": 0, "high": 100}
    assert answer["contradictions"] == [
        {
            "events": [1, 2, 3],
            "says": "the total, 300 or more by 2025-01-28, is more than the stock that it is asked to be a share of, "
            f"{stock[1:]} as of 2023-09-22",
        }
    ]


def test_a_share_of_a_stock_or_of_approvals_that_nobody_reports_is_no_question() -> None:
    reports = log(*REPORTS, equated(MODELS, STOCK))
    with pytest.raises(BadQuestion, match="region 'US'"):
        share_of_stock(reports, region="US")
    with pytest.raises(BadQuestion, match="IDC"):
        share_of_stock(reports, estimator="IDC")
    with pytest.raises(BadQuestion, match="CAC/filing/service"):
        share_of_stock(reports, SERVICES)


def test_every_date_of_an_estimator_is_answered() -> None:
    reports = log(*REPORTS, estimate("CN", "=200", on="2024-06-30"), equated(MODELS, STOCK))
    assert [(a["as_of"], a["stock"]) for a in share_of_stock(reports, estimator="ｃｌｓａ")] == [
        ("2023-09-22", exactly(130)),
        ("2024-06-30", exactly(200)),
    ]


def test_batches_alone_are_a_total_as_well() -> None:
    reports = log(batch(4, "=14", "2024-01-26"), estimate("CN", "=130"), equated(MODELS, STOCK))
    assert share_of_stock(reports)[0]["total"] == at_least(17)
