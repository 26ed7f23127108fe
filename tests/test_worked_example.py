"""The news of January 2024, as in examples/2024-01-news.ndjson, and the list of April: what the ledger must conclude.

U01  2023-12-29  Ernie Bot has more than 100 million users
P09  2024-01-29  batches in August (of which Baidu, Alibaba, ByteDance), November and December 2023
P07  2024-01-29  the fourth batch, of 14: Xiaomi, 4Paradigm, 01.AI
P08  2024-01-29  more than 40 in all
S03  2024-01-29  CLSA: 130 models in China, 40 % of the world's; the United States 50 %
names            who is called what
"""

from __future__ import annotations

from typing import Any

import pytest

from approval_ledger.importing import lists, mapping
from events import (
    Event,
    EventData,
    RecordedEvent,
    TermsDiffer,
    date_range,
    decode,
    encode,
    parse,
    valid_events,
)
from events.catalog import EventReference, EventRetracted, MarketEstimated

from .given import (
    DESK,
    EXAMPLES,
    MODELS,
    NEWS,
    SERVICES,
    ask,
    at_least,
    batch_of,
    between,
    called,
    company_of,
    equated,
    exactly,
    granted,
    log,
    retracted,
    superseded,
    total,
    total_of,
    total_on,
)

STOCK = ("CAC", "stock", "model")


@pytest.fixture(scope="module")
def news() -> list[RecordedEvent]:
    return log(*(parse(line) for line in NEWS.read_bytes().splitlines()))


def position_of(reports: list[RecordedEvent], id: str) -> int:
    (position,) = [event.position for event in map(decode, reports) if event.id == id]
    return position


def regions(reports: list[RecordedEvent]) -> dict[str, dict[str, Any]]:
    (market,) = ask(reports, "shares")
    return {region["region"]: region for region in market["regions"]}


def test_more_than_forty_had_been_approved_on_the_word_of_one_report(news: list[RecordedEvent]) -> None:
    answer = total_of(news)
    assert answer["total"] == at_least(41)
    assert answer["as_of"] == "2024-01-28"
    assert answer["evidence"] == {"low": [position_of(news, "P08-2024-01-29-total")], "high": [], "more": 0}
    assert answer["contradictions"] == []


def test_at_least_twenty_seven_had_been_approved_before_the_fourth_batch(news: list[RecordedEvent]) -> None:
    answer = batch_of(news, 4)
    assert answer["before"] == at_least(27)
    assert answer["evidence"]["before"]["low"] == [
        position_of(news, "P07-2024-01-29-batch-4"),
        position_of(news, "P08-2024-01-29-total"),
    ]


def test_eleven_of_the_fourteen_of_the_fourth_batch_are_undisclosed(news: list[RecordedEvent]) -> None:
    answer = batch_of(news, 4)
    assert answer["size"] == exactly(14)
    assert answer["named"] == 3
    assert [named["company"] for named in answer["names"]] == ["Xiaomi", "4Paradigm", "01.AI"]
    assert answer["undisclosed"] == exactly(11)


def test_the_earlier_batches_have_as_many_as_their_reports_say_at_least(news: list[RecordedEvent]) -> None:
    assert {n: batch_of(news, n)["size"] for n in (1, 2, 3)} == {
        1: at_least(3),
        2: at_least(1),
        3: at_least(1),
    }
    assert {n: batch_of(news, n)["before"] for n in (1, 2, 3)} == {
        1: at_least(0),
        2: at_least(3),
        3: at_least(4),
    }


def test_six_companies_are_known_by_name(news: list[RecordedEvent]) -> None:
    assert total_of(news)["named"] == 6
    assert total_of(news)["undisclosed"] == at_least(35)
    listed = [c["company"] for c in ask(news, "companies") if c["approvals"]]
    assert listed == ["01-ai", "4paradigm", "alibaba", "baidu", "bytedance", "xiaomi"]
    for company in listed:
        (approvals,) = company_of(news, company)["approvals"]
        assert (approvals["named"], approvals["approvals"]) == (1, at_least(1))


def test_a_company_is_found_by_any_of_its_names(news: list[RecordedEvent]) -> None:
    assert {company_of(news, name)["company"] for name in ("01.AI", "零一万物", "01-ai")} == {"01-ai"}
    assert company_of(news, "小米通讯技术有限公司")["company"] == "xiaomi"


def test_the_world_has_as_many_models_as_the_rounding_of_the_shares_leaves_open(
    news: list[RecordedEvent],
) -> None:
    assert {name: region["count"] for name, region in regions(news).items()} == {
        "CN": exactly(130),
        "US": between(159, 166),
        "world": between(321, 329),
    }
    assert [regions(news)[name]["rounding"] for name in ("CN", "US")] == [[1.0], [1.0]]


def test_with_shares_rounded_to_five_points_the_world_is_wider(news: list[RecordedEvent]) -> None:
    """The same estimates, each replaced by one that says so."""
    rounded: list[Any] = []
    for event in map(decode, news):
        if isinstance(event.data, MarketEstimated) and event.data.share is not None:
            share = event.data.share.model_copy(update={"rounding": 5.0})
            wider = event.data.model_copy(update={"share": share})
            rounded += [Event(f"wider-{event.id}", DESK, wider), _replaced(event.source, event.id)]
    reports = log(*(recorded.payload for recorded in news), *rounded)
    assert regions(reports)["world"]["count"] == between(306, 346)
    assert regions(reports)["CN"]["rounding"] == [5.0]
    assert regions(reports)["CN"]["count"] == exactly(130)


def _replaced(source: str, id: str) -> Event:
    correction = superseded(id, f"wider-{id}")
    target = correction.target.model_copy(update={"source": source})
    return Event(f"correction-{id}", DESK, correction.model_copy(update={"target": target}))


def test_ernie_bot_has_more_than_a_hundred_million_users(news: list[RecordedEvent]) -> None:
    (used,) = [entry for entry in company_of(news, "百度")["history"] if entry["kind"] == "used"]
    assert used["item"] == "Ernie Bot"
    assert (used["users"]["low"], used["users"]["high"]) == (100_000_001, None)
    assert used["as_of"] == "2023-12-28"


def test_a_share_of_approvals_in_the_stock_is_refused_until_an_event_equates_the_terms(
    news: list[RecordedEvent],
) -> None:
    asked = dict(zip(("authority", "instrument", "unit"), MODELS, strict=True))
    question = {**asked, "estimator": "CLSA", "region": "CN"}
    with pytest.raises(TermsDiffer, match=r"CAC/approval/model and CAC/stock/model"):
        ask(news, "share_of_stock", **question)
    lines = [recorded.payload for recorded in news]
    opened = log(*lines, equated(MODELS, STOCK))
    (answer,) = ask(opened, "share_of_stock", **question)
    assert answer["share"] == {"low": 31.53, "high": 100.0}  # 41 of 130 and up
    assert answer["equated_by"] == [len(opened)]
    with pytest.raises(TermsDiffer):
        ask(log(*lines, equated(MODELS, STOCK), retracted(f"e{len(opened)}")), "share_of_stock", **question)


def test_before_the_reports_of_january_the_total_is_what_the_earlier_ones_allow(
    news: list[RecordedEvent],
) -> None:
    january = position_of(news, "P07-2024-01-29-batch-4")
    earlier = news[: january - 1]
    assert total_of(earlier)["total"] == at_least(5)  # three batches: 3, 1 and 1
    assert total_of(earlier)["as_of"] == "2023-12-31"
    assert total_on(earlier, "2023-08-31")["total"] == at_least(3)
    assert total_of(earlier)["named"] == 3
    assert total_of(news[:january])["total"] == at_least(19)
    assert ask(news[:1], "totals") == []


def test_the_total_at_every_date_rests_on_the_batches_until_the_day_of_the_report(
    news: list[RecordedEvent],
) -> None:
    steps = {step["on"]: step["total"] for step in total_of(news, steps=True)["steps"]}
    assert steps == {
        "2023-08-31": at_least(3),
        "2023-11-30": at_least(4),
        "2023-12-31": at_least(5),
        "2024-01-26": at_least(19),
        "2024-01-28": at_least(41),
    }


def test_the_report_of_the_batch_and_that_of_the_total_have_one_origin(news: list[RecordedEvent]) -> None:
    claims = [claim for claim in ask(news, "sources") if claim["type"].startswith(("batch", "total"))]
    assert {claim["says"].get("ordinal"): claim["independent"] for claim in claims} == {
        1: ["reuters"],
        2: ["reuters"],
        3: ["reuters"],
        4: ["securities times"],
        None: ["securities times"],
    }


def test_the_bytes_of_the_example_are_what_the_log_keeps(news: list[RecordedEvent]) -> None:
    lines = NEWS.read_bytes().splitlines()
    assert [recorded.payload for recorded in news] == [encode(parse(line)) for line in lines]
    assert len({(event.source, event.id) for event in map(decode, news)}) == len(lines) == 17


# Then the regulator publishes its list. This one is made up, but for the days, their counts, and who is on it when.

LIST = [
    ("2023-08-31", 8, ["百度", "抖音"]),
    ("2023-11-03", 28, ["通义"]),
    ("2023-12-22", 25, []),
    ("2024-01-05", 4, []),
    ("2024-01-17", 14, ["小米", "第四范式", "零一万物"]),
    ("2024-01-31", 7, []),
    ("2024-03-28", 31, []),
]


def listed() -> list[EventData]:
    rows = [
        (day, companies[n] if n < len(companies) else f"Company {day} {n}")
        for day, count, companies in LIST
        for n in range(count)
    ]
    return [
        total("=117", "2024-03-28", terms=SERVICES, source="CAC"),
        *(
            granted(
                company, "a service", day, number=f"{n}", terms=SERVICES, batch=4 if "01-17" in day else None
            )
            for n, (day, company) in enumerate(rows)
        ),
    ]


@pytest.fixture(scope="module")
def known(news: list[RecordedEvent]) -> list[RecordedEvent]:
    """The news, then the list, then that the press's approvals of models are the regulator's filings of services."""
    return log(*(recorded.payload for recorded in news), *listed(), equated())


def test_with_the_list_the_same_question_has_another_answer_and_each_has_its_evidence(
    known: list[RecordedEvent],
) -> None:
    before, after = known[:17], total_on(known, "2024-01-31")
    assert total_of(before)["total"] == at_least(41)
    assert total_of(before)["evidence"]["low"] == [position_of(known, "P08-2024-01-29-total")]
    assert after["total"] == exactly(86)
    assert after["named"] == 86
    assert after["undisclosed"] == exactly(0)
    assert after["evidence"]["low"][0] > len(before)
    assert after["evidence"]["high"][0] == len(before) + 1


def test_the_list_closes_the_past(known: list[RecordedEvent]) -> None:
    steps = {step["on"]: step["total"] for step in total_of(known, steps=True)["steps"]}
    assert [
        steps[day]
        for day in ("2023-08-31", "2023-11-30", "2023-12-31", "2024-01-17", "2024-01-31", "2024-03-28")
    ] == [exactly(n) for n in (8, 36, 61, 79, 86, 117)]
    assert steps["2024-01-28"] == exactly(79)  # "more than 40" was true, and by far too low
    assert total_of(known)["contradictions"] == []


def test_with_the_list_all_of_the_fourth_batch_are_named(known: list[RecordedEvent]) -> None:
    answers = [answer for answer in ask(known, "batches") if answer["ordinal"] == 4]
    assert len(answers) == 2  # in the terms of the press, and in those of the regulator
    for answer in answers:
        assert (answer["size"], answer["named"], answer["undisclosed"]) == (exactly(14), 14, exactly(0))
        assert answer["before"] == between(65, 65)


def test_without_the_event_that_equates_them_the_news_and_the_list_stay_apart(
    known: list[RecordedEvent],
) -> None:
    apart = log(*(recorded.payload for recorded in known), retracted(f"e{len(known)}"))
    assert total_of(apart)["total"] == at_least(41)
    assert total_of(apart, SERVICES)["total"] == exactly(117)


def test_with_the_list_a_company_has_exactly_its_share(known: list[RecordedEvent]) -> None:
    (press, regulator) = company_of(known, "Baidu")["approvals"]
    assert press["approvals"] == regulator["approvals"] == exactly(1)
    assert regulator["share"] == {"low": 0.85, "high": 0.86}


# The regulator's list of April 2024: all 117 services filed by 28 March, each with its date


@pytest.fixture(scope="module")
def with_list() -> list[RecordedEvent]:
    """The news, then the list, the total that was published with it, and an editor's word that both count the same."""
    path = EXAMPLES / "lists" / "cac-2024-04-filed.csv"
    tables, refused = lists.read(path, mapping.named([]), lists.Options(published_on="2024-04-02"))
    assert not refused
    rows = [fact.event for table in tables for fact in table.facts]
    reported, equation, *_ = valid_events((EXAMPLES / "2024-04-list.ndjson").read_bytes())
    return log(*(parse(line) for line in NEWS.read_bytes().splitlines()), *rows, reported, equation)


@pytest.mark.parametrize(
    ("day", "count"),
    [
        ("2023-08-30", 0),
        ("2023-08-31", 8),
        ("2023-11-30", 36),
        ("2023-12-31", 61),
        ("2024-01-16", 65),
        ("2024-01-17", 79),
        ("2024-01-31", 86),
        ("2024-03-28", 117),
    ],
)
def test_a_complete_list_closes_the_past(with_list: list[RecordedEvent], day: str, count: int) -> None:
    answer = total_of(with_list, valid_at=date_range(day))
    assert answer["total"] == exactly(count)
    assert (answer["named"], answer["undisclosed"]) == (count, exactly(0))
    assert answer["contradictions"] == []


def test_the_fourth_batch_is_what_was_granted_on_17_january_and_nobody_of_it_is_undisclosed_now(
    with_list: list[RecordedEvent],
) -> None:
    fourth = batch_of(with_list, 4)
    assert (fourth["before"], fourth["size"], fourth["undisclosed"]) == (exactly(65), exactly(14), exactly(0))


def known_upto(reports: list[RecordedEvent], id: str) -> list[RecordedEvent]:
    """What the ledger knew when this event had just been recorded."""
    return reports[: position_of(reports, id)]


DECEMBER, FOURTH, TOTAL = "P09-2024-01-29-batch-3", "P07-2024-01-29-batch-4", "P08-2024-01-29-total"
EQUATED = "terms-2024-04-approvals-are-filings"


@pytest.mark.parametrize(
    ("upto", "day", "figure"),
    [
        (DECEMBER, "2023-08-31", at_least(3)),
        (DECEMBER, "2023-11-30", at_least(4)),
        (DECEMBER, "2023-12-31", at_least(5)),
        (DECEMBER, "2024-01-31", at_least(5)),
        (FOURTH, "2023-12-31", at_least(5)),
        (FOURTH, "2024-01-31", at_least(19)),
        (TOTAL, "2023-12-31", at_least(5)),
        (TOTAL, "2024-01-31", at_least(41)),
        (EQUATED, "2023-11-30", exactly(36)),
        (EQUATED, "2023-12-31", exactly(61)),
        (EQUATED, "2024-01-31", exactly(86)),
    ],
)
def test_an_answer_is_that_of_the_day_by_what_was_known(
    with_list: list[RecordedEvent], upto: str, day: str, figure: dict[str, int | None]
) -> None:
    assert total_of(known_upto(with_list, upto), valid_at=date_range(day))["total"] == figure


def test_before_the_terms_are_equated_the_list_says_nothing_of_approvals_and_so_when_that_is_retracted(
    with_list: list[RecordedEvent],
) -> None:
    separate = with_list[: position_of(with_list, EQUATED) - 1]
    assert total_of(separate, valid_at=date_range("2024-01-31"))["total"] == at_least(41)
    assert total_of(separate, SERVICES, valid_at=date_range("2024-01-31"))["total"] == exactly(86)
    taken_back = EventRetracted(
        target=EventReference(source="urn:editor:example", id=EQUATED), reason="a reading", actor="editor"
    )
    lines = [parse(event.payload) for event in with_list]
    parted = log(*lines, called("parted", taken_back))
    assert total_of(parted, valid_at=date_range("2024-01-31"))["total"] == at_least(41)
