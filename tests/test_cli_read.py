"""`approvals events`, `totals`, `batches`, `companies`, `shares`, `sources`: what they print, and when it is true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

import pytest
from typer.testing import CliRunner

from approval_ledger.cli import show
from approval_ledger.cli.app import MODULES, app
from events import Log, canonical, connect, keys, parse, valid_events
from projections import PROJECTIONS, Store, replay
from workers import queue_length, run_here, workers_alive
from workers.alive import connection_name

from .command import (
    APPROVALS,
    SECRET,
    Ledger,
    Ran,
    Running,
    approvals,
    data_directory,
    event,
    in_a_terminal,
    lines,
    put_by_hand,
    running,
    text,
    together,
)
from .forks import NOWHERE, clean_environment
from .given import (
    EXAMPLES,
    MODELS,
    NEWS,
    amended,
    batch,
    called,
    equated,
    estimate,
    granted,
    identified,
    merged,
    retracted,
    revoked,
    superseded,
    total,
    used,
)
from .long import only_long, some
from .servers import Server, execute
from .waiting import until

STOCK = ("CLSA/stock/model", "--approvals", "CAC/approval/model", "--stock", "CLSA/CN")[1:]
SHARED_KEYS = ["answers", "digest", "ledger", "position", "projection", "version"]


@pytest.fixture(scope="module")
def news(server: Server) -> Ledger:
    """The news of January 2024, which no test adds to, with every projection caught up."""
    ledger = Ledger(server)
    ledger.log.append(valid_events(NEWS.read_bytes()))
    run_here(ledger.log.client, ledger.name)
    return ledger


@pytest.fixture
def ledger(server: Server) -> Ledger:
    return Ledger(server)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    with data_directory(tmp_path / "data") as path:
        yield path


def stored(ledger: Ledger) -> list[bytes]:
    """What `approvals events --json` must print, from the stream itself."""
    entries = cast(list[Any], ledger.log.client.xrange(keys.log(ledger.name)))
    printed = []
    for entry, fields in entries:
        position, ms = map(int, entry.split(b"-"))
        time = (
            datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        head = f'{{"sequence":"{position:016}","recordedtime":"{time}",'
        printed.append(head.encode() + fields[b"e"][1:])
    return printed


def positions(ran: Ran) -> list[int]:
    return [int(document["sequence"]) for document in ran.documents]


# The events


def test_events_are_printed_as_they_are_stored_forwards_backwards_in_part_and_by_subject(
    news: Ledger,
) -> None:
    subject = "CAC/approval/model"
    everything, before, mine, mine_before, people = news.together(
        ("events", "--json"),
        ("events", "--json", "--backwards", "--after", "9", "--limit", "2"),
        ("events", "--json", "--subject", subject, "--after", "3", "--limit", "2"),
        ("events", "--json", "--subject", subject, "--backwards", "--after", "5", "--limit", "2"),
        ("events", "--after", "16"),
    )
    assert everything.out.encode().splitlines() == stored(news)
    assert positions(everything) == list(range(1, 18))
    assert [document["subject"] == subject for document in everything.documents[:7]] == [
        False,
        *[True] * 5,
        False,
    ]
    assert positions(before) == [8, 7]
    assert positions(mine) == [4, 5]
    assert positions(mine_before) == [4, 3]
    assert re.fullmatch(
        r" +17  20\S+Z  company\.identified\.v1 +names-xiaomi-by-name  \(urn:editor:example\)\n", people.out
    )


def test_follow_shows_new_events_as_they_come_until_it_is_interrupted(ledger: Ledger) -> None:
    ledger.log.append([parse(text(event("e1")))])
    with (
        Running("events", "--follow", "--json", *ledger.where) as in_json,
        Running("events", "--follow", "--after", "1", *ledger.where) as in_words,
        Running("events", "--follow", "--limit", "2", *ledger.where) as two,
    ):
        assert json.loads(in_json.line())["id"] == "e1"
        assert "e1" in two.line()
        for name in ("e2", "e3"):
            ledger.log.append([parse(text(event(name)))])
            assert json.loads(in_json.line())["id"] == name
            assert f"  {name}  " in in_words.line()
        in_json.interrupt()
        in_words.interrupt()
        assert in_json.end() == in_words.end() == Ran(0, "", "")
        ran = two.end()
        assert (ran.code, ran.out.count("\n"), ran.err) == (0, 1, "")


def test_given_a_position_beyond_the_end_when_it_is_followed_then_it_is_refused_for_that_is_another_log(
    ledger: Ledger,
) -> None:
    ledger.log.append([parse(text(event("e1")))])
    ran = ledger.run("events", "--follow", "--after", "2", code=1)
    assert ran.err == f"lagging: ledger {ledger.name} ends at position 1: it has no position 2 yet\n"


def test_follow_ends_with_the_words_of_the_error_where_the_server_dies(
    start_server: Callable[..., Server],
) -> None:
    ledger = Ledger(start_server())
    ledger.log.append([parse(text(event("e1")))])
    with Running("events", "--follow", *ledger.where) as following:
        assert "e1" in following.line()
        ledger.server.kill()
        ran = following.end()
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("storage-unavailable: ")
    assert ran.err.count("\n") == 1


@only_long
@pytest.mark.parametrize("length", some([1, 3], every=2))
def test_follow_ends_with_the_words_of_the_error_where_the_log_was_replaced(
    start_server: Callable[..., Server], length: int
) -> None:
    ledger = Ledger(start_server())
    ledger.log.append([parse(text(event("e1"))), parse(text(event("e2")))])
    with Running("events", "--follow", *ledger.where) as following:
        assert "e1" in following.line()
        assert "e2" in following.line()
        until(lambda: ledger.log.client.info("clients")["blocked_clients"])  # it has read, and waits
        ledger.log.client.flushall()
        ledger.log.append([parse(text(event(f"other{n}"))) for n in range(length)])
        ran = following.end()
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("log-forked: ")
    assert ran.err.count("\n") == 1


def test_events_of_versions_and_bytes_that_are_not_understood_are_listed_too(ledger: Ledger) -> None:
    put_by_hand(
        ledger, {"type": "batch.announced.v9", "id": "n\x1b[31m\x9b2J\nfake", "source": "urn:\u202edesk"}
    )
    put_by_hand(ledger, b"{\xff\x1b[31mgarbage")
    ledger.log.append([parse(text(event("e3")))])
    ran, raw = ledger.together(("events",), ("events", "--json"))
    assert [line.split()[0] for line in ran.out.splitlines()] == ["1", "2", "3"]
    assert r"batch.announced.v9      n\x1b[31m\x9b2J\nfake  (urn:\u202edesk)" in ran.out
    assert "holds no event" in ran.out
    assert raw.out.encode(errors="surrogateescape").split(b"\n") == [*stored(ledger), b""]


# The answers


def test_totals_have_one_shape_with_bounds_and_evidence_and_can_be_asked_for_by_terms(news: Ledger) -> None:
    steps, filtered, shown = news.together(
        ("totals", "--json", "--steps", "--at-least", "17"),
        ("totals", "--json", "--authority", "ｃａｃ", "--instrument", "Approval", "--unit", "model"),
        ("totals", "--steps"),
    )
    answer = filtered.document
    assert sorted(answer) == SHARED_KEYS
    assert (answer["ledger"], answer["projection"], answer["position"]) == (news.name, "totals", 17)
    (total,) = answer["answers"]
    figure = ["evidence", "named", "total", "undisclosed"]
    assert sorted(total) == sorted([*figure, "as_of", "authority", "contradictions", "instrument", "unit"])
    assert total["total"] == {"low": 41, "high": None}
    assert total["undisclosed"] == {"low": 35, "high": None}
    assert total["evidence"] == {"low": [6], "high": [], "more": 0}
    (with_steps,) = steps.document["answers"]
    days = with_steps.pop("steps")
    assert with_steps == total
    assert [day["total"]["low"] for day in days] == sorted(day["total"]["low"] for day in days)
    assert sorted(days[-1]) == sorted([*figure, "on"])
    for words in ("≥ 41", "≥ 35", "2024-01-28", f"ledger {news.name} at position 17, totals version "):
        assert words in shown.out
    assert shown.out.count("≥ 41") > 1


def test_totals_of_terms_that_nothing_counts_say_where_to_find_those_that_are_counted(news: Ledger) -> None:
    for wrong in (("--authority", "cca"), ("--instrument", "aproval"), ("--unit", "")):
        ran = news.run("totals", *wrong)
        assert ran.out.startswith("nothing is counted in these terms: `approvals totals` without --authority")
        assert news.run("totals", *wrong, "--json").document["answers"] == []


def test_totals_tell_what_is_in_force_where_anything_is_known_to_have_ended(ledger: Ledger) -> None:
    ledger.log.append(
        [
            called("e1", granted("Baidu", "Ernie", "2023-08-31", number="1")),
            called("e2", granted("Xiaomi", "MiLM", "2024-01-26", number="2")),
        ]
    )
    assert "in force" not in ledger.run("totals").out
    ledger.log.append([called("e3", revoked("1", on="2024-03-01"))])
    columns, row, *_ = ledger.run("totals", "--steps").out.splitlines()
    assert columns.split("  ")[-3:] == ["undisclosed", "in force", "evidence"]
    in_force = ledger.run("totals", "--json").document["answers"][0]["in_force"]
    assert re.split(r"\s{2,}", row)[-2] == show.bounds(in_force)


@pytest.mark.parametrize("command", ["totals", "batches"])
def test_given_more_names_than_there_surely_are_when_figures_are_shown_then_they_say_why(
    command: str, ledger: Ledger
) -> None:
    said = "more are known by name than there surely are, for reports contradict one another"
    ledger.log.append([called("e1", batch(1, "=2", "2023-08-31", named=["Baidu", "Xiaomi"]))])
    assert said not in ledger.run(command).out
    ledger.log.append([called("e2", batch(1, "=1", "2023-08-31", source="Xinhua"))])
    assert said in ledger.run(command).out


def test_given_a_contradiction_of_several_batches_when_they_are_shown_then_it_says_what_each_would_be(
    ledger: Ledger,
) -> None:
    ledger.log.append(
        [
            called("b1", batch(1, "=8", "2023-08-31", source="Paper A")),
            called("b2", batch(2, "=10", "2023-11-10", source="Paper B")),
            called("t", total("=15", "2023-11-12", source="Paper C")),
        ]
    )
    shown = ledger.run("batches").out.splitlines()
    assert sum(line.startswith("contradiction between positions 1, 2, 3") for line in shown) == 1
    others = "on the word of paper c alone: ≥ 0"
    for each in (
        f"  approval 1: on the word of paper a alone: 8; on the word of paper b alone: ≥ 0; {others}",
        f"  approval 2: on the word of paper a alone: ≥ 0; on the word of paper b alone: 10; {others}",
    ):
        assert each in shown


def test_given_a_company_of_many_names_when_companies_are_listed_then_they_say_how_many_are_left_out(
    ledger: Ledger,
) -> None:
    names = ("Baidu", "百度", "北京百度网讯科技有限公司")
    ledger.log.append(
        [called("e1", identified("baidu", *names)), called("e2", granted("百度", "Ernie", "2023-08-31"))]
    )
    assert "Baidu, 百度 and 1 more " in ledger.run("companies").out
    assert ", ".join(names) in ledger.run("companies", "百度").out


def test_batches_shares_sources_and_companies_have_the_shape_of_every_answer(news: Ledger) -> None:
    names = ("batches", "shares", "sources", "companies")
    ended = news.together(*((name, "--json") for name in names))
    answers = dict(zip(names, (ran.document for ran in ended), strict=True))
    for name, answer in answers.items():
        assert sorted(answer) == SHARED_KEYS
        assert (answer["projection"], answer["position"]) == (name, 17)
    fourth = answers["batches"]["answers"][-1]
    assert (fourth["ordinal"], fourth["size"]) == (4, {"low": 14, "high": 14})
    assert fourth["undisclosed"] == {"low": 11, "high": 11}
    assert fourth["before"] == {"low": 27, "high": None}
    assert fourth["evidence"]["before"]["low"] == [5, 6]
    (market,) = answers["shares"]["answers"]
    stocks = {region["region"]: region["count"] for region in market["regions"]}
    assert stocks == {
        "CN": {"low": 130, "high": 130},
        "US": {"low": 159, "high": 166},
        "world": {"low": 321, "high": 329},
    }
    assert {claim["type"] for claim in answers["sources"]["answers"]} >= {
        "total.reported.v1",
        "usage.reported.v1",
    }
    assert len(answers["companies"]["answers"]) == 6
    assert all(
        company["approvals"][0]["approvals"] == {"low": 1, "high": None}
        for company in answers["companies"]["answers"]
    )


def test_a_company_is_found_by_each_of_its_names_in_each_spelling(news: Ledger) -> None:
    spellings = (" ＢＡＩＤＵ\u200b", "百度", "北京百度网讯科技有限公司")
    *found, shown, baidu = news.together(
        *(("companies", name, "--json") for name in spellings), ("companies", "01.ai"), ("companies", "Baidu")
    )
    assert len({ran.out for ran in found}) == 1
    (company,) = found[0].document["answers"]
    assert (company["company"], company["names"][:2]) == ("baidu", ["Baidu", "百度"])
    users = next(entry["users"] for entry in company["history"] if entry["kind"] == "used")
    assert (users["low"], users["high"]) == (100_000_001, None)
    assert (
        "Ernie Bot: more than 100,000,000 users" in baidu.out
    )  # as its source put it, and as the page has it
    for words in ("零一万物", "named in batch 4", "OODAloop"):
        assert words in shown.out


def test_names_are_shown_as_their_source_wrote_them(ledger: Ledger) -> None:
    name = r"[bold]Acme:rocket:\[/] {0} %s"
    ledger.log.append([called("urn:x:cat:1", granted(name, ":smile:", "2024-01", source="[red]:key:\\"))])
    company, sources, events = ledger.together(("companies", name), ("sources",), ("events",))
    for words in (name, "approval of :smile:", "[red]:key:\\"):
        assert words in company.out
    # What a claim says of a company is its name, and not the object that carries it.
    assert f"approval.granted: CAC approval model {name} 2024-01" in sources.out
    assert "urn:x:cat:1" in events.out


def test_given_what_became_of_approvals_and_of_companies_when_a_history_is_shown_then_it_says_what_and_when(
    ledger: Ledger,
) -> None:
    history = [
        granted("A", "Bot", "2024-01-10", number="7"),
        granted("B", "Cat", "2024-01-11", number="8"),
        amended("7", company="C", item="Bot 2", on="2024-03"),
        revoked("8", on="2024-04-05"),
        identified("a", "A"),
        identified("b", "B"),
        merged("b", "a", on="2024-02-01"),
    ]
    ledger.log.append([called(f"e{number}", data) for number, data in enumerate(history)])
    of_both, of_the_new_holder = ledger.together(("companies", "A"), ("companies", "C"))
    for told in (
        "approval of Bot (7); amended: now Bot 2, C, 2024-03 (position 3)",
        "approval of Cat (8); revoked: 2024-04-05 (position 4)",
        "b merged into a",
    ):
        assert f"  {told}  " in of_both.out
    assert "  amended: 7, now Bot 2, C  " in of_the_new_holder.out
    assert of_the_new_holder.out.startswith(
        "no company that was asked about has an approval that is known by name\n"
    )


def test_given_claims_that_differ_in_a_period_a_basis_or_a_margin_when_the_sources_are_shown_then_no_two_rows_are_equal(
    ledger: Ledger,
) -> None:
    claims = {
        "CAC approval model = 40 2024-01 to 2024-06": total("=40", period=("2024-01", "2024-06")),
        "CAC approval model = 40 2024-02 to 2024-06": total("=40", period=("2024-02", "2024-06")),
        "CAC approval model = 40 2024-06": total("=40", "2024-06"),
        "CAC approval model = 40 2024-06, in force": total("=40", "2024-06", in_force=True),
        "CAC approval model ~ 40 (within 5) 2024-06": total("~40±5", "2024-06"),
        "CAC approval model = 8 2023-08-31, batch 1": batch(1, "=8", "2023-08-31"),
        "CAC approval model = 8 2023-08-31, batch “1”": batch(None, "=8", "2023-08-31", label="1"),
        "CAC approval model = 8 2023-08-31, batch 1, naming Baidu, Zhipu": batch(
            1, "=8", "2023-08-31", named=["Baidu", "Zhipu"]
        ),
        "CAC approval model A 2024-01, Bot": granted("A", "Bot", "2024-01"),
        "CAC approval model A 2024-01, Bot (7)": granted("A", "Bot", "2024-01", number="7"),
        "A > 9 2024-01, Bot": used("A", "Bot", ">9", "2024-01"),
        "CAC approval 2024-01, 7": revoked("7", on="2024-01"),
        "a-b into c-d 2024-02-01": merged("a-b", "c-d"),
        "CAC approval 2024-01, 7, now B": amended("7", company="B", on="2024-01"),
        "CAC approval 2024-01, 7, now Bot 2": amended("7", item="Bot 2", on="2024-01"),
        "a-b, one company: A, B": identified("a-b", "A", "B"),
        "CAC, approval (model) is filing (service), the press calls filings approvals": equated(),
        "x (urn:desk), a typing error": retracted("x"),
        "y (urn:desk) by z (urn:desk), misread": superseded("y", "z"),
    }
    ledger.log.append([called(f"e{number}", claim) for number, claim in enumerate(claims.values())])
    _, *shown, _ = ledger.run("sources").out.splitlines()
    assert [line.split("  ")[0].partition(": ")[2] for line in shown] == list(claims)


def test_given_a_label_that_is_a_number_when_batches_are_shown_then_it_is_told_from_the_ordinal(
    ledger: Ledger,
) -> None:
    told = batch(None, "=5", "2023-08-31", label="4", named=["Baidu"]), batch(4, "=9", "2024-01", named=["A"])
    ledger.log.append([called(f"e{number}", each) for number, each in enumerate(told)])
    listed, of_one = ledger.together(("batches",), ("companies", "Baidu"))
    assert re.findall(r"approval (\S+)", listed.out) == ["“4”", "4"]
    assert "named in batch “4”" in of_one.out


def test_a_question_across_terms_is_refused_until_an_event_equates_them(server: Server) -> None:
    apart, together_, apart_again = Ledger(server), Ledger(server), Ledger(server)
    same, retraction = (
        called("same", equated(MODELS, ("CAC", "stock", "model"))),
        called("r", retracted("same")),
    )
    for ledger, more in ((apart, []), (together_, [same]), (apart_again, [same, retraction])):
        ledger.log.append([*valid_events(NEWS.read_bytes()), *more])
    refused, answered, refused_again = together(
        *(("shares", *STOCK, "--json", *ledger.where) for ledger in (apart, together_, apart_again)),
        code=[1, 0, 1],
    )
    for ran in (refused, refused_again):
        assert ran.err.startswith(
            "terms-differ: CAC/approval/model and CAC/stock/model count different things"
        )
        assert "terms.equated.v1" in ran.err
        assert ran.out == ""
    (share,) = answered.document["answers"]
    assert share["equated_by"] == [18]
    assert share["stock"] == {"low": 130, "high": 130}
    assert share["share"] == {"low": 31.53, "high": 100}  # 41 of 130, rounded down


def test_given_several_contradictions_of_estimates_then_people_see_each_and_of_a_share_of_a_stock_too(
    server: Server,
) -> None:
    ledger = Ledger(server)
    reports = [
        estimate("CN", "=130"),
        estimate("CN", "=160"),
        estimate("CN", "=5", on="2024-01-31"),
        estimate("CN", "=6", on="2024-01-31"),
        total("=3", "2024-01-31"),
        equated(MODELS, ("CAC", "stock", "model")),
    ]
    ledger.log.append([called(f"e{number}", report) for number, report in enumerate(reports, 1)])
    for command in ("shares",), ("shares", *STOCK):
        shown = ledger.run(*command).out
        assert "contradiction between positions 1, 2: these cannot all be true: 130 models in CN" in shown
        assert "contradiction between positions 3, 4: these cannot all be true: 5 models in CN" in shown


def test_every_answer_can_be_asked_for_on_both_axes(news: Ledger) -> None:
    axes = ("--valid-at", "2023-12", "--known-at", "6")
    names = ("totals", "batches", "companies", "shares", "sources")
    *ended, shown, published, year, digits = news.together(
        *((name, "--json", *axes) for name in names),
        ("batches", *axes),
        ("totals", "--known-at", "2024-02-01", "--known-as", "published"),
        ("totals", "--known-at", "2024", "--known-as", "published", "--json"),
        ("totals", "--known-at", "9" * 30),
        code=[0] * 8 + [1],
    )
    for name, ran in zip(names, ended, strict=True):
        asked = {axis: ran.document[axis] for axis in ("projection", "position", "valid_at", "known_at")}
        assert asked == {"projection": name, "position": 6, "valid_at": "2023-12", "known_at": 6}
    assert "2023-12 ?" in shown.out
    assert "2024-01" not in shown.out
    assert f"ledger {news.name} at position 6, valid at 2023-12, known at 6, batches version" in shown.out
    assert "≥ 41" in published.out
    assert "known at 2024-02-01, as published, totals" in published.out
    assert year.document["known_at"] == "2024"
    assert digits.err.startswith("bad-question: known_at is a position, an instant with a zone such as")


def test_questions_that_cannot_be_asked_say_what_is_missing(news: Ledger) -> None:
    *refused, half, malformed, both = news.together(
        ("companies", "Nobody\x1b[31m"),
        ("shares", "--approvals", "CAC/\x1b[31mgrant/model", "--stock", "CLSA/CN"),
        ("shares", "--approvals", "CAC/approval/model", "--stock", "Nobody/CN"),
        ("totals", "--json", "--at-least", "18"),
        ("events", "--after", str(2**64)),
        ("shares", "--approvals", "CAC/approval/model"),
        ("shares", "--approvals", "CAC/approval", "--stock", "CLSA/CN"),
        ("events", "--follow", "--backwards"),
        code=[1, 1, 1, 1, 1, 2, 2, 2],
    )
    for ran, words in zip(
        refused,
        (
            r"unknown-company: no company is named 'Nobody\x1b[31m' here",
            "bad-question: nothing is counted as CAC/",
            "bad-question: there is no estimate by 'Nobody'",
            f"lagging: ledger {news.name} ends at position 17: it has no position 18 yet\n",
            "bad-question: a position is a whole number from 0 to ",
        ),
        strict=True,
    ):
        assert ran.err.startswith(words)
        assert ran.out == ""
    assert "give both --approvals and --stock" in half.complaint
    assert "--follow goes with neither --backwards nor --subject" in both.complaint
    assert "--approvals is AUTHORITY/INSTRUMENT/UNIT, not 'CAC/approval'" in malformed.complaint
    assert half.out == malformed.out == both.out == ""


def test_an_estimator_may_have_a_slash_and_so_may_terms_as_answers_write_them(ledger: Ledger) -> None:
    counted = total("=2", "2023-09-22", terms=("CAC/MIIT", "stock", "model"))
    ledger.log.append([called("a", counted), called("b", estimate("CN", "=8", estimator="CLSA/CITIC"))])
    asked = ("--approvals", "CAC／MIIT/stock/model", "--stock", "CLSA/CITIC/CN")
    (answer,) = ledger.run("shares", *asked, "--json").document["answers"]
    assert (answer["terms"], answer["estimator"], answer["share"]["low"]) == (asked[1], "CLSA/CITIC", 25.0)


def test_a_share_of_an_estimate_that_nobody_made_is_refused_with_where_to_find_those_that_were_made(
    news: Ledger,
) -> None:
    stocks = {"Nobody/CN": ("Nobody", "CN"), "CLSA/Atlantis": ("CLSA", "Atlantis")}
    ended = news.together(
        *(("shares", "--approvals", "CAC/approval/model", "--stock", stock, "--json") for stock in stocks),
        code=1,
    )
    for ran, (estimator, region) in zip(ended, stocks.values(), strict=True):
        assert ran.err == (
            f"bad-question: there is no estimate by '{estimator}' for region '{region}': "
            "`approvals shares` lists all\n"
        )
        assert ran.out == ""


def test_a_ledger_that_nobody_wrote_to_is_empty_and_looking_at_it_writes_nothing(ledger: Ledger) -> None:
    totals, status, parked = ledger.together(("totals", "--json"), ("status", "--json"), ("park", "list"))
    assert (totals.document["position"], totals.document["answers"]) == (0, [])
    assert status.document["head"] == 0
    assert parked.out == "no event is parked\n"
    assert ledger.keys() == []
    (ran,) = together(("totals", "--url", NOWHERE, "--ledger", "../etc"), code=1)
    assert ran.err.startswith("bad-question: '../etc' cannot name a ledger: use 1 to 64 of a-z, 0-9, - and _")


# Fresh, with and without workers


def test_a_read_sees_what_was_published_before_it_where_no_worker_is_alive(ledger: Ledger) -> None:
    ledger.run("publish", "-", stdin=lines(event("e1"), event("e2")))
    assert ledger.run("totals", "--json").document["position"] == 2
    assert queue_length(ledger.log.client, ledger.name) == 0


@only_long
def test_a_read_sees_what_was_published_before_it_where_workers_are_alive(data: Path) -> None:
    where = ("--data", data)
    with Running("up", "--port", "0", *where) as up:
        assert up.line().startswith(f"ledger cac on the embedded server on {data}, at position 0")
        url = up.line().rpartition(" ")[2]
        with connect(url) as client:
            until(lambda: workers_alive(client, "cac"))
            log = Log(client, "cac")
            log.append(valid_events(NEWS.read_bytes()))
            answer = approvals("totals", "--json", *where).document
            assert (answer["position"], answer["answers"][0]["total"]) == (17, {"low": 41, "high": None})

            # Reads while the workers have work: each is at least as far as the log was before it.
            stop = threading.Event()

            def publish() -> None:
                number = 0
                while not stop.wait(0.02):
                    number += 1
                    log.append([parse(text(event(f"more-{number}-{n}"))) for n in range(20)])

            publisher = threading.Thread(target=publish)
            publisher.start()
            try:
                floor = log.head()
                first, second = together(("totals", "--json", *where), ("sources", "--json", *where))
                assert min(first.document["position"], second.document["position"]) >= floor
                assert log.head() > floor
            finally:
                stop.set()
                publisher.join()
        up.interrupt()
        assert up.end().code == 0
    assert not running(data)


def test_a_projection_that_cannot_go_on_keeps_nobody_from_reading_the_others(ledger: Ledger) -> None:
    ledger.log.append([parse(text(event("e1")))])
    run_here(ledger.log.client, ledger.name)
    ledger.log.client.hset(keys.state(ledger.name, "shares", 1), "version", "99")
    ledger.log.append([parse(text(event("e2")))])
    fine, broken = ledger.together(("totals", "--json"), ("shares",), code=[0, 1])
    assert fine.document["position"] == 2
    assert broken.err.startswith("unreadable: projection shares was built by version 99 of it")


def test_a_server_that_takes_no_writes_is_read_all_the_same(start_server: Callable[..., Server]) -> None:
    server = start_server()
    ledger = Ledger(server)
    ledger.log.append([parse(text(event("e1")))])
    rights = ["on", ">secret", "~*", "+@read", "+@connection", "+info", "+config|get"]
    execute(server.client(), "ACL", "SETUSER", "reader", *rights)
    reader = Ledger(server, server.url.replace("unix://", "unix://reader:secret@"), ledger.name)
    assert reader.run("totals", "--json").document["position"] == 1
    server.client().config_set("maxmemory", 1)
    assert ledger.run("totals", "--json").document["position"] == 1


def test_given_a_worker_and_a_projection_of_another_version_when_the_others_are_read_then_they_answer(
    ledger: Ledger,
) -> None:
    ledger.log.append([parse(text(event("e1")))])
    run_here(ledger.log.client, ledger.name)
    ledger.log.client.hset(keys.state(ledger.name, "totals", 1), "version", "99")
    with connect(ledger.server.url, name=f"{connection_name(ledger.name)}-1-a") as worker:
        worker.ping()
        assert workers_alive(ledger.log.client, ledger.name) == 1
        fine, broken = ledger.together(("sources", "--json"), ("totals",), code=[0, 1])
    assert fine.document["position"] == 1
    assert broken.err.startswith("unreadable: projection totals was built by version 99 of it")


def test_given_generations_that_something_else_wrote_when_another_projection_is_read_then_it_answers(
    ledger: Ledger,
) -> None:
    ledger.log.append([parse(text(event("e1")))])
    ledger.log.client.hset(keys.projection(ledger.name, "totals"), "live", "first")
    assert ledger.run("sources", "--json").document["position"] == 1


def test_equal_answers_are_equal_bytes_also_after_a_replay(news: Ledger) -> None:
    question = ("totals", "--json", "--steps")
    # What is hashed is in another order in the second.
    first, second = news.run(*question), news.run(*question, PYTHONHASHSEED="1")
    store = Store(news.log, PROJECTIONS["totals"])
    replay.adopt(store, replay.rebuild(store))
    assert first.out == second.out == news.run(*question).out == canonical(first.document).decode() + "\n"


# Where the output goes


@only_long
def test_a_reader_that_has_enough_ends_the_command_quietly_and_a_full_disk_is_one_line(news: Ledger) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with Path("/dev/full").open("wb") as full, os.fdopen(writing, "wb") as closed:
        ended: list[tuple[object, ...]] = [
            (into, *process.communicate(), process.returncode)
            for into, process in [
                (into, started(*words, *news.where, into=into))
                for words, into in (
                    (("sources",), closed),
                    (("events", "--follow", "--json"), closed),
                    (("totals",), full),
                )
            ]
        ]
        assert ended == [
            (closed, None, b"", 0),
            (closed, None, b"", 0),
            (full, None, b"error: [Errno 28] No space left on device\n", 1),
        ]


def started(*words: str, into: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([APPROVALS, *words], stdout=into, stderr=subprocess.PIPE, env=clean_environment())


@only_long
def test_an_output_of_another_encoding_and_a_closed_one_are_no_reason_to_fail(news: Ledger) -> None:
    command = f"exec {APPROVALS} totals {' '.join(news.where)} >&-"
    with subprocess.Popen(
        ["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()
    ) as closed:
        assert r"\u2265 41" in news.run("totals", PYTHONIOENCODING="ascii").out
        assert (*closed.communicate(), closed.returncode) == (b"", b"", 0)


@only_long
def test_only_a_terminal_gets_colours_and_no_color_takes_them_away(news: Ledger) -> None:
    words = ("companies", "Nobody", *news.where)
    with ThreadPoolExecutor() as threads:
        colour, plain = threads.map(
            lambda environment: in_a_terminal(*words, **environment), ({}, {"NO_COLOR": "1"})
        )
    assert "\x1b[1;31m" in colour
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain)


@only_long
def test_a_terminal_shows_every_figure_whole_however_narrow_it_is(news: Ledger) -> None:
    file = str(EXAMPLES / "lists" / "cac-2024-04-filed.csv")
    asked = (("batches",), ("shares",), ("companies", "Baidu"), ("import", file, "--dry-run"))
    with ThreadPoolExecutor(4) as threads:
        shown = [
            [
                threads.submit(in_a_terminal, *words, *news.where, width=width, NO_COLOR="1")
                for width in (40, 80)
            ]
            for words in asked
        ]
        for words, in_terminals in zip(asked, shown, strict=True):
            cells = re.findall(r"\S*\d\S*", news.run(*words).out)
            assert len(cells) > 5
            for terminal in in_terminals:
                figures = re.findall(r"\S*\d\S*", terminal.result())
                assert not Counter(cells) - Counter(figures), words


def test_what_is_no_terminal_gets_each_row_on_one_line_however_long_it_is(ledger: Ledger) -> None:
    names = [f"{place}电信人工智能科技（北京）股份有限公司" * 3 for place in "中华"]
    ledger.log.append([called(name, granted(name, name, "2024-01-28")) for name in names])
    for name in names:
        (found,) = [line for line in ledger.run("companies").out.splitlines() if name in line]
        assert "CAC/approval/model" in found


COMMANDS = (
    *(
        ("publish",),
        ("import",),
        ("events",),
        ("totals",),
        ("batches",),
        ("companies",),
        ("shares",),
        ("sources",),
        ("diff",),
        ("export",),
        ("cite",),
        ("replay",),
    ),
    *(
        ("status",),
        ("work",),
        ("up",),
        ("serve",),
        ("chart",),
        ("demo",),
        ("park", "list"),
        ("park", "show"),
        ("park", "retry"),
    ),
)


def test_every_command_has_help_that_tells_its_defaults() -> None:
    (overall,) = together(("--help",))
    for command in COMMANDS:
        assert f" {command[0]} " in overall.out
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0
        assert "\x1b" not in shown.output
        assert "[default: approvals-data]" in shown.output
        assert ("[default: cac]" in shown.output) == (command != ("demo",))
        assert ("--json" in shown.output) == (command not in (("work",), ("up",), ("serve",)))
    assert {command[0] for command in COMMANDS} == set(MODULES) - {"token", "webhook"}


# Which server


@only_long
def test_an_option_comes_before_the_environment_and_our_variable_before_the_common_one(
    news: Ledger, tmp_path: Path
) -> None:
    url, name = news.where[1], ("--ledger", news.name, "--json")
    for directory in ("data", "approvals-data"):
        (tmp_path / directory).mkdir()
    # Every other test gives --url, where APPROVALS_URL names a server that is not there.
    with (
        data_directory(tmp_path / "data") as data,
        data_directory(tmp_path / "approvals-data") as default,
        Running("totals", *name, APPROVALS_URL=url, REDIS_URL=NOWHERE) as ours,
        Running("totals", *name, APPROVALS_URL="", REDIS_URL=url) as common,
        Running("totals", "--data", data, *name, APPROVALS_URL=url, REDIS_URL=url) as embedded,
        Running("totals", *name, cwd=tmp_path, APPROVALS_URL="", REDIS_URL="") as nothing,
    ):
        ended = [running.end() for running in (ours, common, embedded, nothing)]
        assert [ran.document["position"] for ran in ended] == [17, 17, 0, 0]
        assert (data / "appendonlydir").is_dir()
        assert (default / "appendonlydir").is_dir()


def test_who_only_asks_makes_no_ledger_in_a_directory_that_is_mistyped(tmp_path: Path) -> None:
    mistyped = tmp_path / "aprovals-data"
    asking = ("totals", "status", "events", "replay", "token list", "webhook list", "diff totals --from 0")
    said = together(*((*words.split(), "--data", str(mistyped)) for words in asking), code=1)
    (says,) = {ran.err for ran in said}
    assert says.startswith(f"bad-question: there is no ledger in {mistyped}: the directory does not exist.")
    assert not mistyped.exists()


@only_long
def test_a_password_is_never_shown(start_server: Callable[..., Server]) -> None:
    server = start_server()
    client = server.client()
    client.config_set("requirepass", SECRET)
    good = f"unix://:{SECRET}@{server.socket}"
    fine = together(("status", "--json"), APPROVALS_URL=good)
    assert fine[0].document["server"]["where"] == f"unix://:***@{server.socket}"
    bad = [
        f"unix://:{SECRET}x@{server.socket}",
        f"redis://user:{SECRET}@localhost:1/0",
        f"user:{SECRET}@localhost:6379",
        f"rediss://:{SECRET}@localhost:1/0?ssl_cert_reqs=never",
    ]
    refused = together(*(("totals", "--url", url) for url in bad), code=1)
    for ran in [*fine, *refused]:
        assert SECRET not in ran.out + ran.err
    for ran in refused:
        assert ran.err.count("\n") == 1
    with Running("up", "--port", "0", "--url", good) as up:
        assert "unix://:***@" in up.line()
        said = up.line()
        until(lambda: workers_alive(client, "cac"))
        up.interrupt()
        ran = up.end()
        assert ran.code == 0
    assert SECRET not in said + ran.out + ran.err
