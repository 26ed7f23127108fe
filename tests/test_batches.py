"""Batches: size, who is named, how many are not, and the total just before."""

from __future__ import annotations

from typing import Any

import pytest

from projections import MemoryDocuments, answers

from .given import (
    MODELS,
    SERVICES,
    Line,
    ask,
    at_least,
    batch,
    batch_of,
    between,
    called,
    company_of,
    equated,
    events_in_conflict,
    exactly,
    granted,
    identified,
    log,
    retracted,
    total,
    total_of,
    views,
)

FOURTH = batch(4, "=14", on="2024-01-26", named=["Xiaomi", "4Paradigm", "01.AI"])


def test_a_batch_is_answered_with_what_its_reports_say_each_by_its_source() -> None:
    reports = log(
        batch(
            4, "=14", "2024-01-26", named=["Xiaomi", ("01.AI", "Yi")], source=("OODAloop", "Securities Times")
        ),
        batch(4, ">=2", "2024-01", label="第四批", named=["Xiaomi"], source="Xinhua"),
    )
    answer = batch_of(reports, 4)
    assert (answer["authority"], answer["instrument"], answer["unit"]) == MODELS
    assert answer["label"] == "第四批"
    assert answer["announced_on"] == ["2024-01-26", "2024-01"]
    assert answer["size"] == exactly(14)
    assert answer["names"] == [{"company": "Xiaomi"}, {"company": "01.AI", "item": "Yi"}]
    assert answer["named"] == 2
    assert answer["undisclosed"] == exactly(12)
    assert [(source["position"], source["publisher"]) for source in answer["sources"]] == [
        (1, "OODAloop"),
        (2, "Xinhua"),
    ]
    assert answer["contradictions"] == []


# Sizes.


@pytest.mark.parametrize(
    ("size", "allowed"),
    [
        ("=14", exactly(14)),
        (">=3", at_least(3)),
        (">3", at_least(4)),
        ("<=14", between(1, 14)),
        ("<14", between(1, 13)),
        ("~14±2", between(12, 16)),
        ("~14", at_least(1)),
        ("<=1", exactly(1)),
    ],
)
def test_a_size_allows_what_its_relation_says(size: str, allowed: dict[str, int | None]) -> None:
    assert batch_of(log(batch(1, size, "2023-08-31")), 1)["size"] == allowed


def test_a_batch_of_none_contradicts_itself() -> None:
    answer = batch_of(log(batch(1, "=0", "2023-08-31"), batch(2, "=3", "2023-11-03")), 1)
    assert events_in_conflict(answer) == [[1]]


def test_a_batch_leaves_room_for_the_one_that_came_after_it() -> None:
    reports = log(batch(1, ">=1", "2023-08-31"), batch(3, ">=1", "2023-08-31"), total("=9", "2023-08-31"))
    assert batch_of(reports, 1)["size"] == between(1, 7)  # the second had one at least, and so had the third
    assert batch_of(reports, 3)["size"] == between(1, 7)


def test_a_batch_without_an_ordinal_may_be_any_of_those_before_a_later_one() -> None:
    reports = log(batch(None, "=1", "2023-06-19"), batch(3, "=1", "2023-06-28"), total("=3", "2023-06-28"))
    (unnumbered,) = [answer for answer in ask(reports, "batches") if answer["ordinal"] is None]
    assert unnumbered["before"] == between(0, 1)  # it is the first, or the second


def test_a_batch_has_as_many_approvals_as_it_names_however_few_it_is_said_to_have_at_least() -> None:
    answer = batch_of(log(batch(1, ">=1", "2023-08-31", named=["Baidu", "Alibaba", "ByteDance"])), 1)
    assert answer["size"] == at_least(3)
    assert answer["undisclosed"] == at_least(0)


def test_a_batch_has_no_more_approvals_than_the_total_leaves_room_for() -> None:
    reports = log(batch(1, "=8", "2023-08-31"), batch(2, ">=1", "2023-11-30"), total("=17", "2023-11-30"))
    answer = batch_of(reports, 2)
    assert answer["size"] == between(1, 9)
    assert answer["evidence"]["size"] == {"low": [2], "high": [1, 2, 3], "more": 0}


def test_reports_of_a_size_narrow_each_other() -> None:
    reports = log(batch(1, ">=3", "2023-08-31"), batch(1, "<=9", "2023-08-31", source="VON"))
    assert batch_of(reports, 1)["size"] == between(3, 9)


# Names.


def test_a_company_is_one_in_every_spelling_that_normalises_alike() -> None:
    reports = log(
        batch(1, "=8", "2023-08-31", named=["４Paradigm", "Baidu"]),
        batch(1, "=8", "2023-08-31", named=["4paradigm", "ＢＡＩＤＵ"], source="VON"),
    )
    assert batch_of(reports, 1)["named"] == 2


def test_two_names_in_two_reports_are_one_company_when_and_only_when_an_event_says_so() -> None:
    lines: list[Line] = [
        batch(4, "=14", "2024-01-26", named=["01.AI", "Xiaomi"]),
        batch(4, "=14", "2024-01-26", named=["零一万物", "Lingyi Wanwu"], source="Xinhua"),
        called("names", identified("01-ai", "01.AI", "零一万物", "Lingyi Wanwu")),
        retracted("names"),
    ]
    assert [batch_of(log(*lines[:n]), 4)["named"] for n in (1, 2, 3, 4)] == [2, 4, 2, 4]
    assert batch_of(log(*lines[:3]), 4)["undisclosed"] == exactly(12)


def test_two_items_of_one_company_are_two_approvals() -> None:
    reports = log(batch(4, "=14", "2024-01-26", named=[("Baidu", "Ernie"), ("Baidu", "Yiyan"), "Baidu"]))
    assert batch_of(reports, 4)["named"] == 2
    assert batch_of(reports, 4)["undisclosed"] == exactly(12)


def test_two_items_to_which_reports_give_one_number_may_be_one_approval() -> None:
    lines = [
        identified("baidu", "Baidu", "百度"),
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1", batch=1),
        granted("百度", "文心一言", "2023-08-31", number="CN-1"),
        batch(1, "=1", "2023-08-31", named=[("Baidu", "Ernie")]),
        batch(1, "=1", "2023-08-31", named=[("Baidu", "文心一言")], source="Xinhua"),
    ]
    reports = log(*lines, total("=1", "2023-12-31"))
    assert (batch_of(reports, 1)["named"], batch_of(reports, 1)["contradictions"]) == (1, [])
    assert (total_of(reports)["named"], total_of(reports)["contradictions"]) == (1, [])
    (of_company,) = company_of(reports, "Baidu")["approvals"]
    assert (of_company["named"], of_company["approvals"]) == (1, exactly(1))
    with_another = batch(
        1, ">=1", "2023-08-31", named=[("百度", "Ernie"), ("百度", "文心一言"), ("百度", "X1")]
    )
    assert batch_of(log(*lines[:3], with_another), 1)["named"] == 2
    assert batch_of(log(lines[0], with_another), 1)["named"] == 3


def test_approvals_that_say_their_batch_are_named_in_it_and_are_not_named_twice() -> None:
    reports = log(
        FOURTH,
        granted("Xiaomi", "MiLM", "2024-01-17", batch=4),
        granted("Kunlun", "Tiangong", "2024-01-17", batch=4),
    )
    answer = batch_of(reports, 4)
    assert answer["named"] == 4
    assert answer["undisclosed"] == exactly(10)


def test_an_item_that_a_report_names_may_be_none_of_the_listed_ones_so_the_undisclosed_are_a_range() -> None:
    reports = log(
        batch(4, "=14", "2024-01-26", named=[("Xiaomi", "Xiao AI")]),
        granted("Xiaomi", "MiLM", "2024-01-17", batch=4),
    )
    assert batch_of(reports, 4)["named"] == 1
    assert batch_of(reports, 4)["undisclosed"] == between(12, 13)


def test_a_batch_known_by_its_approvals_alone_has_their_number_and_the_ordinal_that_they_give() -> None:
    reports = log(
        granted("Xiaomi", "MiLM", "2024-01-17", batch=4), granted("Kunlun", "Tiangong", "2024-01-17", batch=4)
    )
    answer = batch_of(reports, 4)
    assert answer["size"] == at_least(2)
    assert answer["named"] == 2
    assert answer["before"] == at_least(3)
    assert answer["evidence"]["size"]["low"] == [1, 2]
    assert answer["announced_on"] == []


def test_whoever_may_be_of_a_batch_under_another_name_leaves_room_among_its_undisclosed() -> None:
    listed = granted("Baidu", "Ernie", "2023-11-30", batch="second batch")
    assert batch_of(log(batch(2, "=1", "2023-11-30"), listed), 2)["undisclosed"] == between(0, 1)
    named = batch(None, "=3", "2023-08-31", named=[("Baidu", "Ernie"), ("Zhipu", "GLM")])
    answer = batch_of(log(named, batch(1, "=3", "2023-08-31", source="Xinhua")), 1)
    assert (answer["named"], answer["undisclosed"]) == (0, between(1, 3))
    # Another day is another batch.
    answer = batch_of(log(named, batch(1, "=3", "2023-09-30", source="Xinhua")), 1)
    assert answer["undisclosed"] == exactly(3)


def test_an_approval_that_gives_the_label_is_of_the_batch_whose_report_gives_the_label_an_ordinal() -> None:
    reports = log(
        batch(4, "=14", "2024-01-26", label="第四批"),
        granted("Xiaomi", "MiLM", "2024-01-17", batch="第四批"),
        granted("Kunlun", "Tiangong", "2024-01-17", batch=4),
        granted("Kunlun", "Tiangong", "2024-01-17", batch="第四批"),
    )
    (answer,) = ask(reports, "batches")
    assert answer["named"] == 2
    assert answer["undisclosed"] == between(11, 12)


def test_the_report_that_gives_a_label_its_ordinal_is_evidence_for_what_others_say_under_the_label() -> None:
    reports = log(
        batch(None, "=14", "2024-01-26", label="第四批"), batch(4, ">=1", "2024-01-26", label="第四批")
    )
    assert batch_of(reports, 4)["evidence"]["size"]["low"] == [1, 2]
    contradicted = log(
        batch(None, "=14", "2024-01-26", label="第四批"),
        batch(4, ">=1", "2024-01-26", label="第四批"),
        batch(4, "=15", "2024-01-26", source="VON"),
    )
    assert events_in_conflict(batch_of(contradicted, 4)) == [[1, 2, 3]]


def test_an_approval_that_two_reports_put_in_two_batches_counts_in_neither_for_the_other() -> None:
    lines = [
        granted("Xiaomi", "MiLM", "2024-01-17", number="CN-1", batch=4),
        granted("Xiaomi", "MiLM", "2024-01", number="CN-1", batch=3, source="VON"),
        retracted("e1"),
        retracted("e2"),
    ]
    members = [{a["ordinal"]: a["named"] for a in ask(log(*lines[:n]), "batches")} for n in (1, 2, 3, 4)]
    assert members == [{4: 1}, {3: 1, 4: 1}, {3: 1}, {}]


def test_given_a_batch_that_only_lists_label_then_its_label_is_shown_as_they_mostly_write_it() -> None:
    lines = [
        granted("Baidu", "Ernie", "2023-08-31", batch="ＢATCH four"),
        granted("Baidu", "Yi", "2023-08-31", batch="Batch Four"),
        granted("Baidu", "GLM", "2023-08-31", batch="Batch Four"),
    ]
    assert [found["label"] for found in ask(log(*lines), "batches")] == ["Batch Four"]
    left = log(*lines, retracted("e2"), retracted("e3"))
    assert [found["label"] for found in ask(left, "batches")] == ["ＢATCH four"]


# The total just before.


BARE = granted("百度", "Ernie", "2023-08-31", batch=1)  # a paper names the batch, and no number


@pytest.mark.parametrize(
    ("others", "named"),
    [
        # A list has numbers, and no batches: what the paper says stands.
        ([granted("百度", "Ernie", "2023-08-31", number="CN-1")], 1),
        # Somebody else has the number, under another name of the company, and says that it is of the batch.
        (
            [
                granted("百度", "Ernie", "2023-08-31", number="CN-1"),
                granted("Baidu", "Ernie", "2023-08-31", number="CN-1", batch=1),
            ],
            1,
        ),
        # Two papers without the number, under two names, and the list has it under both.
        (
            [
                granted("百度", "Ernie", "2023-08-31", number="CN-1"),
                granted("Baidu", "Ernie", "2023-08-31", batch=1),
                granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
            ],
            1,
        ),
        # One item with two numbers, of which one is in the batch: the paper may mean that one.
        (
            [
                granted("百度", "Ernie", "2023-08-31", number="CN-1"),
                granted("百度", "Ernie", "2023-08-31", number="CN-2"),
                granted("Baidu", "Ernie", "2023-08-31", number="CN-2", batch=1),
            ],
            1,
        ),
        # The number is in another batch: two reports may put one approval in two batches.
        (
            [
                granted("百度", "Ernie", "2023-08-31", number="CN-1"),
                granted("Baidu", "Ernie", "2023-08-31", number="CN-1", batch=2),
            ],
            1,
        ),
        # Another item is another approval.
        (
            [
                granted("百度", "Yiyan", "2023-08-31", number="CN-1"),
                granted("Baidu", "Yiyan", "2023-08-31", number="CN-1", batch=1),
            ],
            2,
        ),
    ],
)
def test_an_approval_of_a_batch_without_a_number_is_the_one_that_others_give_a_number(
    others: list[Any], named: int
) -> None:
    for reports in (log(BARE, *others), log(*others, BARE)):
        answer = batch_of(reports, 1)
        assert (answer["named"], answer["size"]) == (named, at_least(named))
        (approvals,) = ask(reports, "totals")
        assert approvals["contradictions"] == []
    back = log(called("bare", BARE), *others, retracted("bare"))
    assert [a["named"] for a in ask(back, "batches") if a["ordinal"] == 1] == [
        a["named"] for a in ask(log(*others), "batches") if a["ordinal"] == 1
    ]


@pytest.mark.parametrize(
    "others",
    [
        # The number of the other name's report, which is of the batch as well, under another item.
        [
            granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
            granted("Baidu", "Ernie Bot", "2023-08-31", number="CN-1", batch=1),
        ],
        # Two numbers of one item under the two names, of which one is in the batch.
        [
            granted("Baidu", "Ernie", "2023-08-31", number="CN-1", batch=1),
            granted("百度", "Ernie", "2023-08-31", number="CN-2"),
        ],
        # The number is in no batch, and the company has another approval without a number.
        [
            granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
            granted("百度", "Other", "2023-08-31"),
        ],
        # All of it under a third company, to which the number was granted first.
        [
            granted("Third", "Ernie", "2023-08-31", number="CN-1", batch=1),
            granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        ],
    ],
)
def test_an_approval_without_a_number_is_the_one_that_has_it_under_another_name_of_the_company(
    others: list[Any],
) -> None:
    one = identified("baidu", "Baidu", "百度")
    for reports in (log(one, BARE, *others), log(*others, BARE, one)):
        answer = batch_of(reports, 1)
        assert (answer["named"], answer["size"]) == (1, at_least(1))
    all_true = log(one, BARE, *others, batch(1, "=1", "2023-08-31"))
    assert [answer["contradictions"] for answer in ask(all_true, "batches")] == [[]]


def test_an_approval_that_stands_in_a_batch_twice_leaves_room_for_one_without_a_batch() -> None:
    reports = log(
        BARE,
        granted("百度", "Ernie", "2023-08-31", number="CN-1"),
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1", batch=1),
        granted("Zhipu", "GLM", "2023-08-31"),
        total("=3", "2023-08-31"),
        batch(1, "=2", "2023-08-31"),
    )
    # GLM is listed, and nobody says of which batch it is: it may be the one of this batch that nobody names.
    assert batch_of(reports, 1)["undisclosed"] == between(0, 1)


def test_the_total_just_before_a_batch_is_a_total_soon_after_it_less_the_batch() -> None:
    answer = batch_of(log(FOURTH, total(">40", "2024-01-28")), 4)
    assert answer["before"] == at_least(27)
    assert answer["evidence"]["before"]["low"] == [1, 2]


def test_before_a_batch_there_were_all_that_were_surely_granted_before_it() -> None:
    reports = log(batch(1, "=8", "2023-08-31"), batch(2, "=9", "2023-11-30"), FOURTH)
    assert batch_of(reports, 1)["before"] == at_least(0)
    assert batch_of(reports, 2)["before"] == at_least(8)
    # That the first came before the second rests on the report of the second, too.
    assert batch_of(reports, 2)["evidence"]["before"]["low"] == [1, 2]
    assert batch_of(reports, 4)["before"] == at_least(18)  # the third had one at least
    assert batch_of(reports, 4)["evidence"]["before"]["low"] == [1, 2, 3]


def test_before_a_batch_there_were_no_more_than_the_total_of_its_day_less_the_batch() -> None:
    answer = batch_of(log(batch(2, "=9", "2023-11-30"), total("=36", "2023-11-30")), 2)
    assert answer["before"] == exactly(27)


def test_a_total_of_a_week_later_or_more_does_not_have_the_batch_as_its_latest() -> None:
    assert batch_of(log(FOURTH, total(">40", "2024-02-02")), 4)["before"] == at_least(27)
    assert batch_of(log(FOURTH, total(">40", "2024-02-03")), 4)["before"] == at_least(3)


def test_of_a_total_after_the_next_batch_that_one_came_after_as_well() -> None:
    reports = log(FOURTH, batch(5, "=10", "2024-01-28"), total(">60", "2024-01-30"))
    assert batch_of(reports, 5)["before"] == at_least(51)
    assert batch_of(reports, 4)["before"] == at_least(61 - 10 - 14)


def test_given_a_batch_between_two_that_nobody_tells_of_then_none_of_it_counts_as_before_the_first() -> None:
    """The first was of nothing: what is neither of it nor of the third may all be the second."""
    reports = log(batch(1, "=4", "2024-01-10"), batch(3, "=3", "2024-01-12"), total("=10", "2024-01-13"))
    assert batch_of(reports, 1)["before"] == between(0, 2)
    assert batch_of(reports, 3)["before"] == exactly(7)
    without_total = log(batch(1, "=4", "2024-01-10"), batch(3, "=3", "2024-01-12"))
    assert batch_of(without_total, 1)["before"] == at_least(0)
    of_its_week = log(batch(1, "=4", "2024-01-10"), total("=10", "2024-01-12"), batch(4, "=3", "2024-01-16"))
    assert batch_of(of_its_week, 1)["before"] == between(0, 6)
    # It is the first or the second, and the other one may have come after it.
    unnumbered = log(
        batch(None, "=4", "2024-01-10"), batch(3, "=3", "2024-01-12"), total("=10", "2024-01-13")
    )
    assert ask(unnumbered, "batches")[0]["before"]["low"] == 0


def test_given_a_batch_that_was_announced_after_a_later_one_then_a_total_after_that_is_not_of_its_week() -> (
    None
):
    reports = log(batch(2, "=3", "2023-08-31"), total("=11", "2023-12-31"), batch(1, "=4", "2024-01-10"))
    first, second = batch_of(reports, 1), batch_of(reports, 2)
    assert first["before"] == between(0, 4)  # five may have come since August, outside of batches
    assert second["before"] == between(4, 8)
    early = log(batch(2, "=3", "2023-08-31"), total("=11", "2023-09-02"), batch(1, "=4", "2024-01-10"))
    assert batch_of(early, 1)["before"] == exactly(4)
    assert batch_of(early, 1)["evidence"]["before"]["low"] == [1, 2, 3]


def test_of_a_month_with_two_batches_neither_is_surely_the_latest() -> None:
    """The total of the end of August has both; that of August may be of its first day or of its last."""
    reports = log(batch(1, "=5", "2023-08"), batch(2, "=8", "2023-08-20"), total("=13", "2023-08-31"))
    assert batch_of(reports, 1)["before"]["low"] == 0
    assert batch_of(reports, 2)["before"] == exactly(5)
    unknown_second = log(batch(1, "=5", "2023-08"), total("=13", "2023-08-31"))
    assert batch_of(unknown_second, 1)["before"] == between(0, 8)


def test_what_is_known_to_have_come_after_the_announcement_did_not_come_before_it() -> None:
    reports = log(FOURTH, granted("Baidu", "Ernie 4", "2024-01-27"), total(">40", "2024-01-28"))
    assert batch_of(reports, 4)["before"] == at_least(26)


def test_what_came_after_the_batch_and_nobody_names_is_never_read_as_before_it_against_the_reports() -> None:
    """40 on the day of the batch, 41 two days later: 26 before, whatever the later total would suggest."""
    reports = log(FOURTH, total("=40", "2024-01-26"), total(">40", "2024-01-28"))
    assert batch_of(reports, 4)["before"] == exactly(26)


# Contradictions.


def test_sizes_that_differ_contradict_each_other_and_each_origin_is_shown_alone() -> None:
    reports = log(
        batch(1, "=8", "2023-08-31", source=("gqsoso", "Beijing Daily")),
        batch(1, "=8", "2023-08-31", source=("another", "Beijing Daily")),
        batch(1, "=11", "2023-08-31", source=("TMTPost", "Jiemian")),
    )
    answer = batch_of(reports, 1)
    assert answer["size"] == between(8, 11)
    assert events_in_conflict(answer) == [[1, 3], [2, 3]]
    for contradiction in answer["contradictions"]:
        assert contradiction["alone"] == [
            {"origin": "beijing daily", "size": exactly(8)},
            {"origin": "jiemian", "size": exactly(11)},
        ]
    assert "8 in batch 1 of 2023-08-31" in answer["contradictions"][0]["says"]


def test_names_that_outnumber_the_size_contradict_it_and_only_the_reports_that_are_needed_are_named() -> None:
    reports = log(
        batch(1, "=2", "2023-08-31"),
        batch(1, ">=1", "2023-08-31", named=["Baidu", "Zhipu"], source="VON"),
        batch(1, ">=1", "2023-08-31", named=["Baichuan"], source="Xinhua"),
        batch(1, "<=9", "2023-08-31", source="Jiemian"),
    )
    answer = batch_of(reports, 1)
    assert events_in_conflict(answer) == [[1, 2, 3]]
    assert answer["named"] == 3
    assert answer["undisclosed"]["low"] == 0


def test_a_report_that_names_more_than_its_own_size_contradicts_itself() -> None:
    answer = batch_of(log(batch(1, "=2", "2023-08-31", named=["Baidu", "Zhipu", "Baichuan"])), 1)
    assert events_in_conflict(answer) == [[1]]


def test_more_approvals_of_a_batch_than_its_report_allows_contradict_it() -> None:
    reports = log(
        batch(1, "=1", "2023-08-31"),
        granted("Baidu", "Ernie", "2023-08-31", batch=1),
        granted("Zhipu", "GLM", "2023-08-31", batch=1),
    )
    assert events_in_conflict(batch_of(reports, 1)) == [[1, 2, 3]]


def test_a_contradiction_of_one_batch_is_not_shown_with_another() -> None:
    reports = log(
        batch(1, "=8", "2023-08-31"),
        batch(1, "=11", "2023-08-31", source="VON"),
        batch(2, "=9", "2023-11-30"),
    )
    assert batch_of(reports, 2)["contradictions"] == []
    assert batch_of(reports, 2)["before"] == at_least(8)


# Terms.


def test_batches_of_different_terms_are_different_batches_until_an_event_equates_the_terms() -> None:
    lines = [
        batch(1, "=8", "2023-08-31"),
        batch(1, "=11", "2023-08", terms=SERVICES, source="Xinhua"),
        equated(),
    ]
    apart: dict[Any, Any] = {a["instrument"]: a["size"] for a in ask(log(*lines[:2]), "batches")}
    assert apart == {"approval": exactly(8), "filing": exactly(11)}
    for answer in ask(log(*lines), "batches"):
        assert answer["size"] == between(8, 11)
        assert events_in_conflict(answer) == [[1, 2, 3]]


def test_a_retracted_announcement_is_no_batch() -> None:
    assert ask(log(FOURTH, retracted("e1")), "batches") == []
    assert ask(log(retracted("e2"), FOURTH), "batches") == []


@pytest.mark.parametrize("day", ["9999-12-31", "9999-12-25", "9999-12"])
def test_a_batch_of_the_last_days_that_there_are_is_answered(day: str) -> None:
    reports = log(batch(1, "=3", day), total("=5", "9999-12-31"))
    assert batch_of(reports, 1)["size"] == exactly(3)


def test_a_member_that_names_the_label_of_a_batch_comes_with_the_report_that_links_it_to_the_ordinal() -> (
    None
):
    reports = log(
        batch(3, ">=1", "2024-01-10"),
        batch(3, ">=1", "2024-02-10", label="L"),
        granted("X", "m1", "2024-03-01", batch="L"),
        granted("Y", "m2", "2024-03-01", batch="L"),
    )
    (answer,) = ask(reports, "batches", whole_evidence=True)
    assert (answer["size"], answer["evidence"]["size"]["low"]) == (at_least(2), [2, 3, 4])


def test_a_batch_is_held_down_by_what_was_granted_after_the_day_of_another_that_it_came_before() -> None:
    """Batch 1 came before batch 2, which was announced in January; of the five by March one is of February."""
    reports = log(
        batch(1, ">=3", "2024-02"),
        total("=5", "2024-03"),
        granted("Baidu", "Ernie", "2024-02-10", number="CN-3"),
        batch(2, "<=2", "2024-01-28", named=[("Baidu", "Ernie")]),
    )
    for whole_evidence in (False, True):
        first, _ = ask(reports, "batches", whole_evidence=whole_evidence)
        assert (first["size"], first["before"]) == (exactly(3), exactly(0))
        assert first["evidence"]["size"]["high"] == first["evidence"]["before"]["high"] == [1, 2, 3, 4]


def test_what_dates_a_batch_is_evidence_of_the_total_before_it() -> None:
    """It is only with the second report that the total of January is one that has the batch as its latest."""
    reports = log(
        batch(1, "<=4", "2024-02"), batch(1, "~4", "2024-01-29", named=["Zhipu"]), total(">4", "2024-01-20")
    )
    before = batch_of(reports, 1)
    assert (before["before"]["low"], before["evidence"]["before"]["low"]) == (1, [1, 2, 3])


def test_a_batch_is_the_same_whichever_of_the_terms_that_are_one_it_is_asked_of() -> None:
    reports = log(
        equated(),
        batch(1, "<=9", "2024-01-10", named=["A", "B", "C"]),
        granted("A", "m", "2024-01-05", number="1", batch=1),
        granted("B", "n", "2024-01-05", number="2", batch=1),
        granted("A", "m", "2024-01-05", number="1", batch=1, terms=SERVICES),
        granted("Z", "q", "2024-01-05", number="3", batch=1, terms=SERVICES),
    )
    one, other = ask(reports, "batches")
    assert (one["size"], one["named"]) == (other["size"], other["named"])
    assert one["evidence"]["size"]["low"] == [2, 3, 4, 5, 6]


def test_whether_two_companies_are_one_that_claim_a_name_both_is_left_open_also_where_nothing_else_has_it() -> (
    None
):
    reports = log(
        identified("baidu", "百度", "01.AI"),
        identified("01-ai", "百度", "Baidu"),
        batch(None, "=1", "2023-08-31", named=["Baidu", "01.AI"]),
    )
    (answer,) = ask(reports, "batches")
    assert (answer["size"], answer["named"], answer["contradictions"]) == (exactly(1), 1, [])


class _Asked(MemoryDocuments):
    """Documents that count how often a history is asked for."""

    histories = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.histories += key.startswith("history\t")
        return super().get(key, default)


def test_all_the_evidence_of_however_many_batches_goes_through_the_histories_once() -> None:
    def asked(batches: int) -> int:
        lines = [batch(n, ">=1", f"2024-01-{10 + n}") for n in range(1, batches + 1)]
        grants = [granted("Baidu", f"Ernie {n}", "2024-01-10", batch=1 + n % batches) for n in range(8)]
        known = views(log(*lines, *grants))
        known["companies"] = documents = _Asked(known["companies"])
        found = answers.batches_in(known, whole_evidence=True)
        assert len(found[-1]["evidence"]["before"]["low"]) > batches
        return documents.histories

    assert asked(7) == asked(2)


def test_a_member_is_evidence_of_its_batch_also_where_its_number_is_given_elsewhere() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2024-01-10", batch=1),
        granted("Baidu", "Ernie", "2024-01-10", number="CN-1"),
        granted("Zhipu", "GLM", "2024-01-10", number="CN-2", batch=1),
        granted("Zhipu", "GLM", "2024-01-10", batch=1),
    )
    (answer,) = ask(reports, "batches", whole_evidence=True)
    assert (answer["size"], answer["evidence"]["size"]["low"]) == (at_least(2), [1, 3])


def test_the_members_of_a_batch_that_nobody_announced_are_not_all_of_it_whatever_the_total_of_a_later_day() -> (
    None
):
    lines = [
        granted("Baidu", "Ernie", "2023-12-15", batch=1),
        granted("Zhipu", "GLM", "2023-12-17"),
        total("=2", "2023-12-31"),
    ]
    assert batch_of(log(*lines), 1)["size"] == at_least(1)
    assert batch_of(log(*lines, batch(1, "=2", "2023-12-18")), 1)["size"] == exactly(2)
    assert total_of(log(granted("Baidu", "Ernie", "2023-12-15", batch=3)))["total"] == at_least(3)


def test_any_of_the_first_members_is_evidence_of_the_batches_before() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-12-10", batch=3), granted("Zhipu", "GLM", "2024-01-20", batch=3)
    )
    answer = batch_of(reports, 3)
    assert (answer["before"], answer["evidence"]["before"]["low"]) == (at_least(2), [1])
