"""Sources: every claim once, with everybody who makes it, and how many independent origins that leaves."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import pytest

from projections.sources import independent

from .given import (
    Line,
    ask,
    batch,
    called,
    granted,
    log,
    retracted,
    superseded,
    total,
)


def claims_of(*lines: Line) -> list[dict[str, Any]]:
    return ask(log(*lines), "sources")


def repeated(*pairs: str | tuple[str, str]) -> list[Line]:
    """One claim as each of these publishers makes it: by itself, or repeating another."""
    return [total(">40", "2024-01-28", source=source) for source in pairs]


def test_a_claim_is_what_an_event_says_without_who_says_it() -> None:
    first, second = claims_of(
        total(">40", "2024-01-28", source="Reuters"),
        batch(4, "=14", "2024-01-26", source="Xinhua"),
        total(">40", "2024-01-28", source="VON"),
    )
    assert first["type"] == "total.reported.v1"
    assert first["says"]["count"] == {"relation": ">", "value": 40}
    assert "source" not in first["says"]
    assert first["reports"] == [
        {"position": 1, "publisher": "Reuters"},
        {"position": 3, "publisher": "VON"},
    ]
    assert (first["origins"], first["independent"], first["evidence"]) == (2, ["reuters", "von"], [1, 3])
    assert (second["type"], second["origins"]) == ("batch.announced.v1", 1)


def test_two_lists_that_call_their_columns_differently_make_one_claim() -> None:
    grant = granted("百度", "文心一言", "2023-08-31")
    rows: list[dict[str, str]] = [{"模型名称": "文心一言"}, {"大模型名称": "文心一言", "序号": "1"}]
    (claim,) = claims_of(*(grant.model_copy(update={"published": row}) for row in rows))
    assert claim["evidence"] == [1, 2]
    assert "published" not in claim["says"]


def test_a_bare_about_is_a_claim_though_it_bounds_nothing() -> None:
    (claim,) = claims_of(total("~40", "2024-01-28"))
    assert claim["says"]["count"] == {"relation": "~", "value": 40}


def test_another_figure_is_another_claim() -> None:
    assert len(claims_of(total(">40", "2024-01-28"), total(">=41", "2024-01-28"))) == 2


def test_ten_articles_that_derive_from_one_story_are_one_origin() -> None:
    (claim,) = claims_of(*repeated(*((f"Paper {n}", "Securities Times") for n in range(10))))
    assert len(claim["reports"]) == 10
    assert claim["independent"] == ["securities times"]


def test_a_publisher_that_repeats_itself_is_one_origin_in_every_spelling() -> None:
    (claim,) = claims_of(*repeated("Reuters", ("ＲＥＵＴＥＲＳ", "reuters"), ("VON", "Ｒeuters")))
    assert claim["independent"] == ["reuters"]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_where_each_repeats_the_next_only_the_last_counts(order: tuple[int, ...]) -> None:
    chain = repeated(("A", "B"), ("B", "C"), ("C", "D"), "D")
    (claim,) = claims_of(*(chain[n] for n in order))
    assert claim["independent"] == ["d"]


def test_the_last_of_a_chain_counts_though_it_reported_nothing_itself() -> None:
    (claim,) = claims_of(*repeated(("A", "B"), ("B", "C"), "X"))
    assert claim["independent"] == ["c", "x"]


@pytest.mark.parametrize("tail", [["A"], ["Z"], ["A", "Z"], ["Z", "A"]])
@pytest.mark.parametrize("ring", [["M", "N"], ["P", "N", "M"]])
def test_a_ring_that_repeats_itself_is_one_origin_however_others_come_to_it(
    ring: list[str], tail: list[str]
) -> None:
    line = [*tail, *ring, ring[0]]
    (claim,) = claims_of(*repeated(*((a, b) for a, b in pairwise(line))))
    assert claim["independent"] == [min(ring).lower()]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_given_a_ring_of_which_one_repeats_another_as_well_then_only_that_one_counts_whichever_came_first(
    order: tuple[int, ...],
) -> None:
    ring = repeated(("A", "B"), ("B", "A"), ("A", "C"))
    (claim,) = claims_of(*(ring[n] for n in order))
    assert claim["independent"] == ["c"]


def test_one_who_repeats_two_has_both_for_origins() -> None:
    (claim,) = claims_of(*repeated(("Z", "A"), ("A", "C"), ("A", "B")))
    assert claim["independent"] == ["b", "c"]


def test_a_long_chain_takes_as_long_as_it_has_links() -> None:
    links = [{"publisher": f"P{n}", "derived_from": {"publisher": f"P{n + 1}"}} for n in range(20_000)]
    assert independent(links) == ["p20000"]


def test_what_two_publishers_share_with_a_third_in_another_claim_makes_them_no_less_independent_here() -> (
    None
):
    reports = claims_of(
        *repeated("A", "B"),
        total("=8", "2023-08-31", source=("A", "C")),
        total("=8", "2023-08-31", source=("B", "C")),
    )
    assert [claim["origins"] for claim in reports] == [2, 1]


def test_a_retracted_report_is_no_voice_and_a_claim_without_voices_is_gone() -> None:
    lines = [
        *repeated("Reuters", "VON"),
        called("first", retracted("e1")),
        called("second", retracted("e2")),
        retracted("second"),
    ]

    def voices(n: int) -> list[list[str]]:
        claims = claims_of(*lines[:n])
        return [claim["independent"] for claim in claims if claim["type"] == "total.reported.v1"]

    assert [voices(n) for n in (2, 3, 4, 5)] == [[["reuters", "von"]], [["von"]], [], [["von"]]]


def test_claims_stand_in_the_order_in_which_they_were_first_made() -> None:
    lines = [
        total("=1", "2024-01-28"),
        total("=2", "2024-01-28"),
        total("=1", "2024-01-28", source="VON"),
        retracted("e1"),
    ]
    values = [claim["says"].get("count", {}).get("value") for claim in claims_of(*lines)]
    assert values == [2, 1, None]  # the retraction is a claim, too


def test_a_correction_is_a_claim_of_its_actor() -> None:
    correction = claims_of(total("=4", "2024"), total("=5", "2024"), superseded("e1", "e2"))[-1]
    assert correction["type"] == "event.superseded.v1"
    assert correction["independent"] == ["editor"]
    assert correction["says"]["target"] == {"source": "urn:desk", "id": "e1"}


def test_many_claims_are_all_listed() -> None:
    reports = [granted("Baidu", f"Ernie {n}", "2023-08-31") for n in range(200)]
    assert [claim["says"]["item"]["name"] for claim in claims_of(*reports)] == [
        f"Ernie {n}" for n in range(200)
    ]


def test_claims_can_be_read_page_by_page_in_the_order_in_which_they_were_first_made() -> None:
    lines = [total(f"={n // 2}", "2024-01-28", source=f"Paper {n}") for n in range(200)]
    every = claims_of(*lines, retracted("e1"))
    read: list[dict[str, Any]] = []
    while page := ask(
        log(*lines, retracted("e1")), "sources", after=read[-1]["evidence"][0] if read else 0, limit=7
    ):
        assert len(page) <= 7
        read += page
    assert read == every
    assert len(every) == 101
