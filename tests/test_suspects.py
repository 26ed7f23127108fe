"""Suspects: names that look alike and that no event joins are proposed to a person, and nothing is merged."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approval_ledger.suspects import Name, Suspect, found, proposal, words
from events import Event, EventData, InvalidEvent, Log, encode, name_key, parse
from events.catalog import CompanyIdentified
from projections import answers, queries

from .command import Ledger
from .given import called, data_of, granted, identified, merged, retracted, total, views
from .given import log as recorded
from .long import examples, only_long
from .servers import Server
from .strategies import names

ALIKE = ["Baichuan", "Baichuan Inc.", "Beijing Baichuan Co., Ltd.", "Baichuan AI", "百川", "百川智能"]


def asked(*reports: Any) -> dict[str, Any]:
    """The names that an answer to `queries.company_names` would have."""
    return {"answers": answers.company_names_in(views(recorded(*reports)))}


def granted_to(*companies: str) -> list[EventData]:
    return [granted(name, f"item {n}", "2023-08-31") for n, name in enumerate(companies)]


def pairs(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(pair.names[0].text, pair.names[1].text) for pair in found(answer)]


def proposed(answer: dict[str, Any]) -> list[Event]:
    events = [proposal(pair, answer, "editor") for pair in found(answer)]
    return [event for event in events if event is not None]


def pair_of(answer: dict[str, Any]) -> Suspect:
    (pair,) = found(answer)
    return pair


# What looks alike


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("北京百度网讯科技有限公司", "百度网讯"),
        ("商汤科技开发（上海）股份有限公司", "商汤"),
        ("上海稀宇科技有限公司", "稀宇"),
        ("北京市商汤科技", "商汤"),
        ("Baidu Inc.", "baidu"),
        ("Beijing Zhipu Technology Co., Ltd.", "zhipu"),
        ("Ｂａｉｄｕ有限公司", "baidu"),
        ("Acme Technology有限公司", "acme"),
        ("北京科技有限公司", "北京科技有限公司"),
        ("Group Inc.", "groupinc"),
        ("01.AI", "01ai"),
    ],
)
def test_what_companies_have_in_common_is_left_out_of_the_comparison(name: str, own: str) -> None:
    assert "".join(words(name)) == own


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("百川智能", "北京百川智能科技有限公司", 100.0),
        ("Moonshot AI", "MoonshotAI Co., Ltd.", 100.0),
        ("稀宇", "稀宇（上海）", 100.0),
        ("Baichuan AI", "Baichuan", 88.9),
        ("Sensetime", "Sensetine", 88.9),
    ],
)
def test_names_that_look_alike_are_a_pair(one: str, other: str, score: float) -> None:
    pair = pair_of(asked(*granted_to(one, other)))
    assert [name.text for name in pair.names] == [one, other]
    assert [name.positions for name in pair.names] == [(1,), (2,)]
    assert pair.score == score


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("百度", "百川"),
        ("商汤", "云从"),
        ("Baidu", "Tencent"),
        ("Model One 3", "Model One 4"),
        ("Baidu", "BAIDU"),  # one name already
    ],
)
def test_names_that_differ_more_or_in_a_number_are_none(one: str, other: str) -> None:
    assert pairs(asked(*granted_to(one, other))) == []


# What an event says


def test_names_that_an_event_puts_in_one_company_are_none_until_it_is_retracted() -> None:
    reports = [*granted_to("Baichuan AI", "Baichuan"), identified("baichuan", "Baichuan AI", "Baichuan")]
    assert pairs(asked(*reports)) == []
    assert pairs(asked(*reports, retracted("e3"))) == [("Baichuan AI", "Baichuan")]


def test_companies_that_were_merged_are_none() -> None:
    reports = [identified("a", "Baichuan AI"), identified("b", "Baichuan")]
    assert pairs(asked(*reports)) == [("Baichuan AI", "Baichuan")]
    assert pairs(asked(*reports, merged("a", "b"))) == []


def test_a_name_that_only_a_retracted_report_has_is_none() -> None:
    assert pairs(asked(*granted_to("Baichuan AI", "Baichuan"), retracted("e2"))) == []


def test_two_identified_companies_with_a_name_that_looks_alike_are_a_pair_without_a_proposal() -> None:
    answer = asked(identified("a", "Alpha", "Baichuan AI"), identified("b", "Beta", "Baichuan"))
    pair = pair_of(answer)
    assert [(name.slug, name.text) for name in pair.names] == [("a", "Baichuan AI"), ("b", "Baichuan")]
    assert proposal(pair, answer, "editor") is None


def test_two_companies_that_claim_one_name_are_a_pair() -> None:
    answer = asked(identified("a", "Baichuan"), identified("b", "Baichuan"))
    assert pairs(answer) == [("Baichuan", "Baichuan")]


def test_a_pair_of_companies_is_listed_once_by_the_names_that_look_most_alike() -> None:
    answer = asked(identified("a", "百川智能", "Baichuan AI"), *granted_to("百川"), *granted_to("Baichuan"))
    assert pairs(answer) == [("百川智能", "百川"), ("Baichuan AI", "Baichuan")]
    joined = asked(identified("a", "百川智能", "Baichuan AI"), identified("b", "百川", "Baichuan"))
    assert pairs(joined) == [("百川智能", "百川")]


def test_many_equal_names_are_paired_with_the_first_and_accepting_all_pairs_joins_them() -> None:
    spellings = ["Zhipu", "Zhipu Inc.", "Zhipu Co., Ltd.", "Beijing Zhipu Technology"]
    reports = granted_to(*spellings)
    answer = asked(*reports)
    assert pairs(answer) == [("Zhipu", other) for other in spellings[1:]]
    accepted = [proposal(pair, answer, "editor") for pair in found(answer)]
    after = asked(*reports, *[event.data for event in accepted if event is not None])
    assert pairs(after) == []
    assert [company["company"] for company in after["answers"]] == ["zhipu"]


def reasons(answer: dict[str, Any]) -> dict[tuple[str, str], str | None]:
    """Why there is no proposal for a pair; None where there is one."""
    return {(pair.names[0].text, pair.names[1].text): pair.reason for pair in found(answer)}


def test_a_name_that_looks_like_two_identified_companies_is_proposed_for_neither_and_told_why() -> None:
    reports = [*granted_to("Foo Co"), identified("foo1", "Foo Ltd"), identified("foo2", "Foo Inc")]
    for order in (reports, reports[::-1], [reports[1], reports[0], reports[2]]):
        answer = asked(*order)
        assert reasons(answer) == {
            ("Foo Ltd", "Foo Co"): "may be foo1 or foo2",
            ("Foo Inc", "Foo Co"): "may be foo1 or foo2",
            tuple(name.text for name in _identified(answer)): "both are identified",
        }
        assert all(proposal(pair, answer, "editor") is None for pair in found(answer))


def _identified(answer: dict[str, Any]) -> tuple[Name, Name]:
    (names,) = [pair.names for pair in found(answer) if pair.names[1].slug is not None]
    return names


def test_a_name_that_looks_more_like_one_of_two_identified_companies_is_proposed_for_that_one() -> None:
    answer = asked(
        *granted_to("Baichuan Co", "Baichuan AI Inc."),
        identified("a", "Baichuan"),
        identified("b", "Baichuan AI"),
    )
    assert [event.data.model_dump()["company"] for event in proposed(answer)] == ["a", "b"]
    assert reasons(answer)["Baichuan", "Baichuan AI"] == "both are identified"


def _two(one: str, other: str) -> list[EventData]:
    return [identified("c1", one), identified("c2", other)]


def test_names_that_are_the_same_as_one_that_may_be_two_companies_are_left_to_a_person_too() -> None:
    answer = asked(*granted_to("Foo", "Foo Co"), identified("x", "Foo Ltd"), identified("y", "Foo Inc"))
    assert sorted(map(str, reasons(answer).values())) == ["both are identified", *["may be x or y"] * 4]
    near = asked(
        *granted_to("Sensetime", "Sensetime Co", "Sensetine"), *_two("Sensetime Ltd", "Sensetime Inc")
    )
    assert reasons(near)["Sensetime Ltd", "Sensetine"] == "may be c1 or c2"
    assert proposed(near) == []


@pytest.mark.parametrize("names", [["稀宇科技", "稀宇", "上海稀宇"], ["Sensetima", "Sensetime", "Sensetine"]])
def test_names_that_are_like_each_other_in_a_chain_are_proposed_under_one_slug(names: list[str]) -> None:
    answer = asked(*granted_to(*names))
    slugs = {
        data_of(event, CompanyIdentified).company
        for pair in found(answer)
        if (event := proposal(pair, answer, "editor")) is not None
    }
    assert len(slugs) == 1


def test_names_of_which_one_looks_like_an_identified_company_all_go_to_that_company() -> None:
    reports = [*granted_to("Foo", "Foo Co"), identified("foo1", "Foo Ltd")]
    answer = asked(*reports)
    after = asked(*reports, *(event.data for event in proposed(answer)))
    assert [company["slugs"] for company in after["answers"]] == [["foo1"]]


MANY = [
    "Foo",
    "Foo Co",
    "Foo Ltd",
    "Foo Inc",
    "Fooling",
    "Foolings",
    "Foolingss",
    *ALIKE,
    "Sensetime",
    "Sensetine",
]


@settings(max_examples=examples(150))
@given(
    st.lists(st.sampled_from(MANY), max_size=9, unique=True),
    st.sets(st.integers(0, 8), max_size=4),
    st.data(),
)
def test_accepting_all_proposals_joins_every_pair_of_them_and_gives_no_name_to_two_companies(
    names: list[str], known: set[int], data: st.DataObject
) -> None:
    reports = [
        identified(f"company-{n}", name) if n in known else granted(name, f"item {n}", "2023-08-31")
        for n, name in enumerate(names)
    ]
    answer = asked(*reports)
    accepted = data.draw(st.permutations(proposed(answer)))
    after = asked(*reports, *(event.data for event in accepted))
    companies = [{name_key(name["text"]) for name in company["names"]} for company in after["answers"]]
    assert sum(map(len, companies)) == len(set().union(*companies))
    assert all(len(company["slugs"]) == 1 for company in after["answers"] if len(company["names"]) > 1)
    for pair in found(answer):
        both = {name_key(name.text) for name in pair.names}
        if pair.reason is None:
            assert any(both <= company for company in companies)
    # What is left is for a person.
    assert all(pair.reason is not None for pair in found(after))


# What is proposed


def test_the_proposal_joins_the_names_under_the_slug_that_one_of_them_has() -> None:
    answer = asked(*granted_to("Baichuan"), identified("baichuan-ai", "Baichuan AI"))
    event = proposal(pair_of(answer), answer, "news desk")
    assert event is not None
    assert json.loads(encode(event))["data"] == {
        "company": "baichuan-ai",
        "names": [{"text": "Baichuan AI"}, {"text": "Baichuan"}],
        "source": {"publisher": "news desk"},
    }


@pytest.mark.parametrize(
    ("one", "other", "slug"),
    [
        ("Moonshot AI Inc.", "Moonshot AI", "moonshot-ai"),
        ("稀宇科技", "稀宇", r"company-[0-9a-f]{12}"),
        ("École", "ÉCOLE Ltd", r"company-[0-9a-f]{12}"),
    ],
)
def test_the_slug_of_a_new_company_is_its_latin_name_or_a_number(one: str, other: str, slug: str) -> None:
    answer = asked(*granted_to(one, other))
    event = proposal(pair_of(answer), answer, "editor")
    assert event is not None
    assert re.fullmatch(slug, data_of(event, CompanyIdentified).company)


def test_a_slug_that_another_company_has_is_not_given_to_these() -> None:
    answer = asked(identified("moonshot-ai", "Someone Else"), *granted_to("Moonshot AI Inc.", "Moonshot AI"))
    event = proposal(pair_of(answer), answer, "editor")
    assert event is not None
    assert re.fullmatch("moonshot-ai-[0-9a-f]{8}", data_of(event, CompanyIdentified).company)


def test_a_slug_that_only_a_merger_names_is_taken(server: Server) -> None:
    ledger = Ledger(server)
    reports = [merged("ernie-bot", "ernie-group"), *granted_to("Ernie Bot Inc.", "Ernie Bot")]
    ledger.log.append([called(f"e{n}", data) for n, data in enumerate(reports)])
    now, before = ledger.together(
        ("companies", "--suspects", "--json"),
        ("companies", "--suspects", "--json", "--valid-at", "2024-01-31"),  # the merger was a day later
    )
    for ran in (now, before):
        (suspect,) = ran.document["suspects"]
        assert re.fullmatch("ernie-bot-[0-9a-f]{8}", suspect["proposed"]["data"]["company"])


def test_the_id_is_that_of_the_pair_whatever_else_the_log_holds() -> None:
    def id_of(*names: str) -> set[str]:
        answer = asked(*granted_to(*names))
        return {event.id for pair in found(answer) if (event := proposal(pair, answer, "x")) is not None}

    assert id_of("Baichuan", "Baichuan AI") == id_of("Baidu", "Baichuan AI", "Baichuan")
    assert id_of("Baichuan", "Baichuan AI") != id_of("Baichuan", "Baichuan AL")


def test_an_actor_that_is_no_name_is_refused() -> None:
    answer = asked(*granted_to("Baichuan", "Baichuan AI"))
    with pytest.raises(InvalidEvent, match="publisher"):
        proposal(pair_of(answer), answer, " ")


@settings(max_examples=examples(40))
@given(st.lists(names(ALIKE), max_size=8), st.randoms())
def test_the_same_reports_give_the_same_pairs_and_every_proposal_can_be_published(
    companies: list[str], order: random.Random
) -> None:
    answer = asked(*granted_to(*companies))
    shuffled = {"answers": order.sample(answer["answers"], len(answer["answers"]))}
    assert pairs(answer) == pairs(shuffled)
    for pair in found(answer):
        event = proposal(pair, answer, "editor")
        assert event is not None
        assert parse(encode(event)) == event
        assert name_key(pair.names[0].text) != name_key(pair.names[1].text)


@only_long
def test_five_thousand_names_are_compared_and_the_planted_pairs_are_found() -> None:
    chance = random.Random(7)
    letters = [chr(0x4E00 + n) for n in range(500)]
    base = sorted({"".join(chance.choices(letters, k=chance.randint(3, 6))) for _ in range(4_950)})
    planted = {(name, f"北京{name}科技有限公司") for name in base[:50]}
    texts = [*base, *(other for _, other in planted)]
    answer = {
        "answers": [
            {"company": text, "slugs": [], "names": [{"text": text, "evidence": [n]}]}
            for n, text in enumerate(texts, start=1)
        ]
    }
    assert planted <= set(pairs(answer))


# The query and the command


def test_company_names_tell_where_each_name_is_used(log: Log) -> None:
    log.append(
        [
            called("a", granted("Baidu", "Ernie", "2023-08-31")),
            called("b", granted("Baidu", "Ernie 2", "2023-08-31")),
            called("c", identified("baidu", "百度", "Baidu")),
            called("d", total("=2", "2023-08-31")),
        ]
    )
    (company,) = queries.company_names(log, at_least=4)["answers"]
    assert company == {
        "company": "baidu",
        "slugs": ["baidu"],
        "names": [{"text": "百度", "evidence": [3]}, {"text": "Baidu", "evidence": [1, 2]}],
    }


def test_what_is_proposed_can_be_published_after_a_person_has_read_it_and_is_no_suspect_then(
    server: Server,
) -> None:
    ledger = Ledger(server)
    reports = granted_to("Baichuan", "Baichuan AI", "Tencent")
    ledger.log.append([called(f"e{n}", data) for n, data in enumerate(reports)])
    in_words, in_json = ledger.together(
        ("companies", "--suspects"), ("companies", "--suspects", "--json", "--actor", "news desk")
    )
    assert re.search(r"88\.9 % +Baichuan +1 +Baichuan AI +2 +baichuan\n", in_words.out)
    document = in_json.document
    assert (document["ledger"], document["position"]) == (ledger.name, 3)
    (suspect,) = document["suspects"]
    assert suspect["names"][0] == {"text": "Baichuan", "company": None, "positions": [1]}
    assert suspect["proposed"]["data"]["source"] == {"publisher": "news desk"}
    before = ledger.log.head()
    ledger.run("publish", "-", stdin=json.dumps(suspect["proposed"]).encode())
    assert ledger.log.head() == before + 1
    assert "no two names look alike" in ledger.run("companies", "--suspects").out
    # As of then they were.
    then = ledger.run("companies", "--suspects", "--known-at", "3", "--json").document
    assert len(then["suspects"]) == 1


def test_the_command_says_why_a_pair_has_no_proposal(server: Server) -> None:
    ledger = Ledger(server)
    reports = [*granted_to("Foo Co"), identified("foo1", "Foo Ltd"), identified("foo2", "Foo Inc")]
    ledger.log.append([called(f"e{n}", data) for n, data in enumerate(reports)])
    in_words, in_json = ledger.together(("companies", "--suspects"), ("companies", "--suspects", "--json"))
    assert (in_words.out.count("may be foo1 or foo2"), in_words.out.count("both are identified")) == (2, 1)
    told = [(pair["proposed"], pair["reason"]) for pair in in_json.document["suspects"]]
    assert sorted(told, key=str) == [
        (None, "both are identified"),
        (None, "may be foo1 or foo2"),
        (None, "may be foo1 or foo2"),
    ]


def test_wrong_usage_of_suspects_is_told(server: Server) -> None:
    ledger = Ledger(server)
    named, alone = ledger.together(
        ("companies", "Baidu", "--suspects"), ("companies", "--actor", "news desk"), code=2
    )
    assert "give no NAME" in named.complaint
    assert "--actor goes with --suspects" in alone.complaint
