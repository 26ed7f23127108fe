"""The two axes: what the ledger knew, by position, time or publication; and the day that a question is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from events import BadQuestion, EventData, Lagging, Log, date_range, decode, encode, keys
from events.catalog import ApprovalGranted, TotalReported
from projections import PROJECTIONS, answers, fold, queries
from projections.asof import as_of, counting, published_on

from .given import (
    DESK,
    HISTORY,
    QUESTIONS,
    append_raw,
    ask,
    at_least,
    batch,
    between,
    called,
    exactly,
    granted,
    identified,
    merged,
    retracted,
    superseded,
    there,
    total,
    total_of,
    used,
)
from .given import log as recorded

R = TypeVar("R", ApprovalGranted, TotalReported)


def published(data: R, on: str) -> R:
    """The report, with the day on which its source published it."""
    source = data.source.model_copy(update={"published_on": on})
    return data.model_copy(update={"source": source})


def append(log: Log, *lines: EventData) -> None:
    head = log.head()
    log.append([called(f"e{head + n}", data) for n, data in enumerate(lines, start=1)])


def figure(log: Log, **asked: object) -> dict[str, object]:
    (answer,) = QUESTIONS["totals"](log, **asked)["answers"]
    return dict(answer["total"])


# The day that is asked about


def test_a_figure_is_that_of_the_day_which_is_asked_about() -> None:
    reports = recorded(total("=8", "2023-08-31"), total("=36", "2023-11-30"), total("=61", "2023-12-31"))
    assert total_of(reports, valid_at=date_range("2023-08-30"))["total"] == between(0, 8)
    assert total_of(reports, valid_at=date_range("2023-08-31"))["total"] == exactly(8)
    assert total_of(reports, valid_at=date_range("2023-10-15"))["total"] == between(8, 36)
    assert total_of(reports, valid_at=date_range("2023-12-31"))["total"] == exactly(61)
    assert total_of(reports, valid_at=date_range("2024-01-01"))["total"] == at_least(61)


def test_a_figure_of_a_month_is_whatever_it_may_have_been_on_a_day_of_it() -> None:
    reports = recorded(total("=8", "2023-08-31"), total("=36", "2023-11-15"), total("=61", "2023-12-31"))
    answer = total_of(reports, valid_at=date_range("2023-11"))
    assert answer["as_of"] == "2023-11-01/2023-11-30"
    assert answer["total"] == between(8, 61)
    assert answer["evidence"] == {"low": [1], "high": [3], "more": 0}


def test_given_a_contradiction_when_a_month_is_asked_about_then_each_origin_s_word_is_of_the_whole_month() -> (
    None
):
    reports = recorded(
        total("=5", "2023-10-31", source="A"),
        total("=9", "2023-11-30", source="A"),
        total("=20", "2023-11-30", source="B"),
    )
    answer = total_of(reports, valid_at=date_range("2023-11"))
    assert answer["total"] == between(5, 20)
    (contradiction,) = answer["contradictions"]
    assert [(alone["origin"], alone["total"]) for alone in contradiction["alone"]] == [
        ("a", between(5, 9)),
        ("b", between(5, 20)),
    ]


def test_what_each_origin_alone_says_of_a_month_is_whatever_it_may_have_been_on_a_day_of_it() -> None:
    reports = recorded(
        total("=8", "2023-08-31"),
        total("=36", "2023-11-15", source="Reuters"),
        total("=40", "2023-11-15", source="Jiemian"),
        total("=61", "2023-12-31"),
    )
    answer = total_of(reports, valid_at=date_range("2023-11"))
    assert answer["total"] == between(8, 61)
    (contradiction,) = answer["contradictions"]
    assert [alone["total"] for alone in contradiction["alone"]] == [between(8, 61), between(8, 61)]


def test_a_day_inside_the_month_of_an_approval_leaves_open_whether_it_was_granted() -> None:
    reports = recorded(granted("Baidu", "Ernie", "2023-08"), total("=1", "2023-12-31"))
    assert total_of(reports, valid_at=date_range("2023-08-15"))["total"] == between(0, 1)
    assert total_of(reports, valid_at=date_range("2023-08-15"))["named"] == 0
    assert total_of(reports, valid_at=date_range("2023-08-31"))["total"] == exactly(1)


def test_given_an_approval_of_some_day_of_a_month_when_a_day_of_it_is_asked_about_then_what_other_days_bound_is_undisclosed() -> (
    None
):
    """Whether the approval is among the named of the day is open, but what nobody names only becomes more."""
    at_most_one = recorded(granted("Baidu", "Ernie", "2023-08"), total("=1", "2023-12-31"))
    assert total_of(at_most_one, valid_at=date_range("2023-08-15"))["undisclosed"] == exactly(0)
    assert total_of(at_most_one, valid_at=date_range("2023-08"))["undisclosed"] == exactly(0)
    two_before = recorded(granted("Baidu", "Ernie", "2023-08"), total("=2", "2023-07-31"))
    assert total_of(two_before, valid_at=date_range("2023-08-15"))["undisclosed"] == at_least(2)
    assert total_of(two_before, valid_at=date_range("2023-08"))["undisclosed"] == at_least(2)


def test_steps_end_with_the_day_that_is_asked_about() -> None:
    reports = recorded(total("=8", "2023-08-31"), total("=36", "2023-11-30"), total("=61", "2023-12-31"))
    steps = total_of(reports, valid_at=date_range("2023-11-30"), steps=True)["steps"]
    assert [step["on"] for step in steps] == ["2023-08-31", "2023-11-30"]


def test_given_a_period_from_the_first_day_on_when_steps_are_asked_for_then_each_is_a_day_that_can_be_asked_about(
    log: Log,
) -> None:
    log.append(
        [called("e1", total("=10", period=("1900", "2023-12-31"))), called("e2", total("<=4", "2023"))]
    )
    (answer,) = queries.totals(log, steps=True, at_least=2)["answers"]
    asked = [queries.totals(log, valid_at=step["on"], at_least=2) for step in answer["steps"]]
    assert [found["answers"][0]["total"] for found in asked] == [step["total"] for step in answer["steps"]]
    assert answer["steps"][0]["on"] == "1900-12-30"


def test_batches_are_those_that_had_been_announced_and_those_that_may_have_been() -> None:
    reports = recorded(batch(1, "=8", "2023-08-31"), batch(2, "=3", "2023-11"), batch(3, "=2", "2023-12-20"))
    asked = ask(reports, "batches", valid_at=date_range("2023-11-15"))
    assert [(a["ordinal"], a.get("perhaps", False)) for a in asked] == [(1, False), (2, True)]


def test_a_company_has_the_approvals_and_the_history_that_it_had_by_then() -> None:
    reports = recorded(
        granted("Baidu", "Ernie", "2023-08-31"),
        used("Baidu", "Ernie", ">100000000", "2023-12-28"),
        granted("Baidu", "Ernie 4", "2024-01"),
        total("=9", "2024-03-31"),
    )
    (then,) = ask(reports, "companies", "Baidu", valid_at=date_range("2024-01-15"))
    assert then["approvals"][0]["named"] == 1
    assert then["approvals"][0]["approvals"] == between(1, 9)
    assert [(e["position"], e.get("perhaps", False)) for e in then["history"]] == [
        (1, False),
        (2, False),
        (3, True),
    ]
    (before,) = ask(reports, "companies", "Baidu", valid_at=date_range("2023-07-01"))
    assert (before["approvals"], before["history"]) == ([], [])


def test_given_the_first_approval_of_a_company_in_a_month_when_the_month_is_asked_about_then_the_company_may_have_it() -> (
    None
):
    listed = recorded(
        granted("Baidu", "X", "2024-01-10"), granted("Baidu", "Y", "2024-03-10"), total("=2", "2024-12-31")
    )
    for asked, most in (("2024", 2), ("2024-01", 1)):
        (baidu,) = ask(listed, "companies", "Baidu", valid_at=date_range(asked))
        (counted,) = baidu["approvals"]
        assert (counted["named"], counted["approvals"]) == (0, between(0, most))
        assert counted["share"] == {"low": 0.0, "high": 100.0}
    (before,) = ask(listed, "companies", "Baidu", valid_at=date_range("2023-12"))
    assert before["approvals"] == []
    announced = recorded(batch(1, "=2", "2024-01-20", named=["Zhipu"]))
    (zhipu,) = ask(announced, "companies", "Zhipu", valid_at=date_range("2024-01"))
    assert [(counted["named"], counted["approvals"]) for counted in zhipu["approvals"]] == [(0, at_least(0))]


def test_a_merger_makes_one_company_from_its_day_on_and_leaves_it_open_in_its_month() -> None:
    reports = recorded(
        identified("alpha", "Alpha"),
        identified("beta", "Beta"),
        merged("alpha", "beta", "2024-02"),
        granted("Alpha", "A-1", "2023-08-31"),
        granted("Beta", "B-1", "2023-09-30"),
        total("=2", "2024-03-31"),
    )
    before = {a["company"]: a for a in ask(reports, "companies", valid_at=date_range("2024-01-31"))}
    assert {slug: a["approvals"][0]["approvals"] for slug, a in before.items()} == {
        "alpha": exactly(1),
        "beta": exactly(1),
    }
    perhaps = {a["company"]: a for a in ask(reports, "companies", valid_at=date_range("2024-02-10"))}
    assert {slug: (a["approvals"][0]["approvals"], a["perhaps"]) for slug, a in perhaps.items()} == {
        "alpha": (between(1, 2), ["beta"]),
        "beta": (between(1, 2), ["alpha"]),
    }
    (after,) = ask(reports, "companies", valid_at=date_range("2024-03-01"))
    assert (after["company"], after["approvals"][0]["approvals"]) == ("beta", exactly(2))


def test_mergers_that_may_have_followed_each_other_leave_it_open_whose_all_of_it_is() -> None:
    reports = recorded(
        *(identified(name.casefold(), name) for name in ("Alpha", "Beta", "Gamma")),
        merged("gamma", "beta", "2024-02"),
        merged("beta", "alpha", "2024-02"),
        granted("Alpha", "A-1", "2023-08-31"),
        granted("Gamma", "C-1", "2023-09-30"),
        granted("Gamma", "C-2", "2023-09-30"),
        total("=3", "2024-03-31"),
    )
    perhaps = {a["company"]: a for a in ask(reports, "companies", valid_at=date_range("2024-02-10"))}
    assert {slug: (a["approvals"][0]["approvals"], a["perhaps"]) for slug, a in perhaps.items()} == {
        "alpha": (between(1, 3), ["beta", "gamma"]),
        "beta": (between(0, 3), ["alpha", "gamma"]),
        "gamma": (between(2, 3), ["alpha", "beta"]),
    }


@pytest.mark.parametrize(
    ("granted_on", "named"),
    [("2023-08-31", 2), ("2024-01-31", 2), ("2024-02-10", 1), ("2024-03-01", 1)],
)
@pytest.mark.parametrize("asked", ["2024-04-01", "2026-01-01", None])
def test_what_two_companies_were_granted_before_they_merged_is_two_approvals_on_every_day(
    granted_on: str, named: int, asked: str | None
) -> None:
    reports = recorded(
        identified("alpha", "Alpha"),
        identified("beta", "Beta"),
        merged("alpha", "beta", "2024-02"),
        granted("Alpha", "One", granted_on),
        granted("Beta", "One", granted_on),
        total("=2", "2024-03-31"),
    )
    valid_at = None if asked is None else date_range(asked)
    answer = total_of(reports, valid_at=valid_at)
    assert answer["named"] == named
    assert answer["undisclosed"]["low"] == (0 if granted_on < "2024-03" else 1)
    assert answer["contradictions"] == []
    (company,) = ask(reports, "companies", valid_at=valid_at)
    assert company["approvals"][0]["named"] == named


def test_companies_that_a_batch_named_before_they_merged_are_two_of_it() -> None:
    reports = recorded(
        identified("alpha", "Alpha"),
        identified("beta", "Beta"),
        batch(1, "=2", "2023-01-01", named=["Alpha", "Beta"]),
        merged("alpha", "beta", "2024-01-15"),
    )
    for valid_at in (None, date_range("2023-06-01"), date_range("2024-06-01")):
        (found,) = ask(reports, "batches", valid_at=valid_at)
        assert (found["named"], found["undisclosed"]) == (2, exactly(0))
    assert total_of(reports)["named"] == 2


def test_claims_are_those_about_days_up_to_the_one_that_is_asked_about() -> None:
    reports = recorded(
        total("=8", "2023-08-31"), total("=36", "2023-11"), total("=61", "2023-12-31"), identified("a", "A")
    )
    claims = ask(reports, "sources", valid_at=date_range("2023-11-15"))
    assert [(c["evidence"], c.get("perhaps", False)) for c in claims] == [
        ([1], False),
        ([2], True),
        ([4], False),
    ]


# What was known


def test_a_year_alone_is_a_position_and_the_words_say_what_to_write_for_it(log: Log) -> None:
    append(log, total("=40", "2024-01-28"))
    with pytest.raises(BadQuestion, match=r"for the end of the year 2024 write 2024-12$"):
        queries.totals(log, known_at=2024)
    with pytest.raises(BadQuestion, match=r"nothing was known at 17 yet$"):
        queries.totals(log, known_at=17)


def test_what_was_known_at_an_instant_is_what_had_been_recorded_by_then(log: Log) -> None:
    for n in range(8):
        append(log, total(f"={n}", f"2024-01-{n + 1:02d}"))
    every = list(log.read())
    for moment in {
        m + timedelta(milliseconds=off) for e in every for m in [e.recorded_at] for off in (-1, 0, 1)
    }:
        known = [e.position for e in every if e.recorded_at <= moment]
        text = moment.isoformat().replace("+00:00", "Z")
        assert queries.totals(log, known_at=text)["position"] == len(known), text
        zoned = moment.astimezone(datetime.now().astimezone().tzinfo).isoformat()
        assert queries.totals(log, known_at=zoned)["position"] == len(known), zoned


def test_what_was_known_by_a_day_is_what_had_been_recorded_by_its_end(log: Log) -> None:
    append(log, total("=8", "2023-08-31"))
    today = datetime.now(UTC).date()
    assert figure(log, known_at=str(today)) == exactly(8)
    assert figure(log, known_at=f"{today:%Y-%m}") == exactly(8)
    yesterday = queries.totals(log, known_at=str(today - timedelta(days=2)))
    assert (yesterday["position"], yesterday["answers"]) == (0, [])


def test_history_that_was_recorded_late_is_known_by_the_day_on_which_it_was_published(log: Log) -> None:
    append(
        log,
        published(total(">40", "2024-01-28"), "2024-01-29"),
        published(total("=117", "2024-03-28"), "2024-04-02"),
        published(total("=86", "2024-01-31"), "2024-04-02"),
    )
    asked = {"valid_at": "2024-01-31", "known_as": "published"}
    assert figure(log, known_at="2024-02-01", **asked) == at_least(41)
    assert figure(log, known_at="2024-04-02", **asked) == exactly(86)
    answer = QUESTIONS["totals"](log, known_at="2024-02-01", **asked)
    assert (answer["position"], answer["known_at"], answer["known_as"]) == (3, "2024-02-01", "published")
    assert queries.totals(log, known_at="2024-01-28", known_as="published")["answers"] == []


def test_what_gives_no_day_of_publication_is_known_since_it_was_recorded(log: Log) -> None:
    append(log, published(total("=40", "2024-01-28"), "2024-01-29"), retracted("e1"))
    today = str(datetime.now(UTC).date())
    assert figure(log, known_at="2024-02-01", known_as="published") == exactly(40)
    assert queries.totals(log, known_at=today, known_as="published")["answers"] == []


def test_a_replacement_is_known_as_published_no_sooner_than_that_it_replaces_another(log: Log) -> None:
    append(
        log,
        published(granted("Alpha", "typo", "2024-01-10"), "2024-01-15"),
        published(granted("Alpha", "right", "2024-01-10"), "2024-01-15"),
        superseded("e1", "e2"),
    )
    today = str(datetime.now(UTC).date())
    for known_at, at in (("2024-02-01", 1), (today, 2)):
        (answer,) = queries.totals(log, known_at=known_at, known_as="published", whole_evidence=True)[
            "answers"
        ]
        assert (answer["named"], answer["evidence"]["low"]) == (1, [at])


def test_given_an_entry_that_is_no_correction_though_it_says_so_when_asked_by_publication_then_it_is_left_out_as_by_position(
    log: Log,
) -> None:
    append(log, published(total("=41", "2024-01-28"), "2024-01-29"))
    nothing = append_raw(log, b'{"type":"event.retracted.v1"}', id="n1")
    by_publication = queries.totals(log, known_at="2024-02-01", known_as="published")
    by_position = queries.totals(log, known_at=nothing)
    assert by_publication["answers"] == by_position["answers"]
    assert by_publication["parked"] == by_position["parked"] == [nothing]


def test_a_replacement_of_two_is_known_as_published_once_one_is_known_to_be_replaced(log: Log) -> None:
    lines = (
        (published(total("=10", "2024-01-31", source="A"), "2024-02-01"), "2024-02-01"),
        (published(total("=11", "2024-01-31", source="B"), "2024-02-01"), "2024-02-01"),
        (published(total("=12", "2024-01-31", source="C"), "2024-02-02"), "2024-02-02"),
        (superseded("e1", "e3"), "2024-02-03"),
        (superseded("e2", "e3"), "2024-02-05"),
    )
    for position, (data, day) in enumerate(lines, start=1):
        recorded_ms = int(datetime.fromisoformat(f"{day}T12:00:00Z").timestamp() * 1000)
        entry: Any = {"e": encode(called(f"e{position}", data))}
        log.client.xadd(keys.log(log.ledger), entry, id=f"{position}-{recorded_ms}")
        log.client.hset(keys.ids(log.ledger), keys.identity(DESK, f"e{position}"), str(position))
    said = [
        figure(log, known_at=f"2024-02-0{day}", known_as="published", valid_at="2024-01-31")
        for day in (2, 3, 5)
    ]
    assert said == [between(10, 11), between(11, 12), exactly(12)]


def test_what_was_wrongly_said_to_be_a_replacement_is_known_as_published_once_that_is_taken_back(
    log: Log,
) -> None:
    append(
        log,
        published(total("=10", "2024-01-31", source="A"), "2024-02-01"),
        published(total("=11", "2024-01-31", source="B"), "2024-02-01"),
        superseded("e1", "e2"),
        retracted("e3"),
        retracted("e4"),
    )
    said = [
        figure(log, known_at="2024-02-01", known_as="published", recorded_until=until)
        for until in (2, 3, 4, 5)
    ]
    assert said == [between(10, 11), exactly(10), between(10, 11), exactly(10)]


def test_at_an_instant_of_a_day_is_known_what_had_been_published_by_the_day_before_or_recorded_by_then(
    log: Log,
) -> None:
    append(log, published(total("=40", "2024-01-28"), "2024-01-29"))
    known = {
        known_at: bool(queries.totals(log, known_at=known_at, known_as="published")["answers"])
        for known_at in ("2024-01-29T08:00:00Z", "2024-01-29T23:59:59Z", "2024-01-29", "2024-01-30T00:00:00Z")
    }
    assert [*known.values()] == [False, True, True, True]
    append(log, retracted("e1"))
    taken_back = there(log.at(2)).recorded_at
    before, then = (str(taken_back - timedelta(milliseconds=n)) for n in (1, 0))
    assert figure(log, known_at=before, known_as="published") == exactly(40)
    assert queries.totals(log, known_at=then, known_as="published")["answers"] == []


def test_a_report_of_a_month_is_surely_published_by_its_end(log: Log) -> None:
    append(log, published(total("=40", "2024-01-28"), "2024-02"))
    assert queries.totals(log, known_at="2024-02-28", known_as="published")["answers"] == []
    assert figure(log, known_at="2024-02-29", known_as="published") == exactly(40)


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize("day", ["2023-06", "2024-01-31", "2024-04-02", "2025"])
def test_what_was_known_as_published_is_a_fold_of_what_had_been_published(
    log: Log, name: str, day: str
) -> None:
    log.append(HISTORY)
    when = as_of(log, known_at=day, known_as="published")
    assert when.published_by is not None
    counts = counting(log, when, log.head())
    known = [event for event in log.read() if counts(decode(event))]
    assert [published_on(decode(event)) <= when.published_by for event in known] == [True] * len(known)
    answer = QUESTIONS[name](log, known_at=day, known_as="published")
    views = {each: fold(projection, known) for each, projection in PROJECTIONS.items()}
    assert answer["answers"] == getattr(answers, f"{name}_in")(views)


# Both, and neither


def test_an_answer_says_which_axes_were_asked_for_and_nothing_of_the_others(log: Log) -> None:
    append(log, total("=8", "2023-08-31"))
    plain = queries.totals(log)
    both = queries.totals(log, valid_at="2023-08", known_at=1)
    assert not {"valid_at", "known_at", "known_as"} & set(plain)
    assert (both["valid_at"], both["known_at"], both["position"]) == ("2023-08", 1, 1)
    assert both["digest"] != plain["digest"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"known_at": 2}, "ends at position 1"),
        ({"known_at": -1}, "a position is a whole number"),
        ({"known_at": True}, "a position is a whole number"),
        ({"known_at": "2024-13"}, "known_at is a date such as"),
        ({"known_at": "2023-02-29"}, "known_at is a date such as"),
        ({"known_at": "2024-02-01T08:00:00"}, "an instant with a zone"),
        ({"known_at": "\x1b[31myesterday"}, "an instant with a zone"),
        ({"known_at": ""}, "an instant with a zone"),
        ({"known_at": "0001-01-01T00:00:00+14:00"}, "an instant with a zone"),
        ({"known_at": "9999-12-31T23:59:59-14:00"}, "an instant with a zone"),
        ({"known_at": "2026-W01-1T00:00Z"}, "an instant with a zone"),
        ({"known_at": "2024-02-01T24:00:00Z"}, "an instant with a zone"),
        ({"known_at": "2024-02-01T08:00:00+08:60"}, "an instant with a zone"),
        ({"known_at": "9" * 5_000}, "an instant with a zone"),
        ({"valid_at": 2024}, "this is not text"),
        ({"valid_at": "0001"}, "is before 1900"),
        ({"known_at": 1, "known_as": "published"}, "give known_at a date"),
        ({"known_as": "published"}, "give known_at a date"),
        ({"known_as": "rumoured", "known_at": "2024"}, "`recorded` or `published`"),
        ({"valid_at": "2024-02-30"}, "valid_at is a date such as"),
        ({"valid_at": "31.01.2024"}, "valid_at is a date such as"),
        ({"valid_at": ""}, "valid_at is a date such as"),
        ({"at_least": -1}, "at_least is a position"),
        ({"at_least": True}, "at_least is a position"),
        ({"at_least": 1.0}, "at_least is a position"),
        ({"at_least": "1"}, "at_least is a position"),
    ],
)
def test_a_time_that_is_none_is_refused_in_words(log: Log, asked: dict[str, object], words: str) -> None:
    append(log, total("=8", "2023-08-31"))
    with pytest.raises(BadQuestion, match=words):
        figure(log, **asked)


@pytest.mark.parametrize("known_at", [0, "2024-02-01"])
def test_an_answer_as_of_a_position_that_comes_after_what_is_asked_about_is_never_there(
    log: Log, known_at: int | str
) -> None:
    append(log, total("=8", "2023-08-31"))
    with pytest.raises(BadQuestion, match="is before 2"):
        figure(log, at_least=2, known_at=1)
    with pytest.raises(BadQuestion, match="is before 1"):
        figure(log, at_least=1, known_at=known_at)


@pytest.mark.parametrize("asked", [{"known_at": "2999"}, {"known_at": "2999", "known_as": "published"}])
def test_an_answer_as_of_a_later_position_than_what_was_known_is_refused(
    log: Log, asked: dict[str, object]
) -> None:
    append(log, total("=8", "2023-08-31"))
    assert figure(log, at_least=1, **asked) == exactly(8)
    with pytest.raises(Lagging):
        figure(log, at_least=2, **asked)


@pytest.mark.parametrize(
    "asked", [{"after": -1}, {"limit": -1}, {"after": "1"}, {"limit": 1.5}, {"limit": True}]
)
def test_a_page_of_claims_begins_and_ends_somewhere(log: Log, asked: dict[str, object]) -> None:
    with pytest.raises(BadQuestion, match="after and limit are whole numbers from 0 on"):
        QUESTIONS["sources"](log, **asked)


@pytest.mark.parametrize("name", ["Nobody", "\udcff", "", "\x00"])
def test_a_company_that_there_is_not_is_not_found(log: Log, name: str) -> None:
    append(log, granted("Baidu", "Ernie", "2023-08-31"))
    with pytest.raises(BadQuestion, match="no company is named"):
        queries.companies(log, name, at_least=1)


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("companies", {"name": 360}),
        ("totals", {"authority": 7}),
        ("totals", {"unit": b"model"}),
        ("share_of_stock", {"region": 86}),
        ("share_of_stock", {"authority": None}),
    ],
)
def test_given_a_name_that_is_no_text_when_it_is_asked_for_then_it_is_refused_and_no_document_is_blamed(
    log: Log, question: str, asked: dict[str, object]
) -> None:
    append(log, granted("360", "Zhinao", "2023-08-31"))
    of_a_stock = dict.fromkeys(("authority", "instrument", "unit", "estimator", "region"), "CAC")
    with pytest.raises(BadQuestion, match=f"^{next(iter(asked))} is text, not"):
        getattr(queries, question)(log, **(of_a_stock if question == "share_of_stock" else {}) | asked)
