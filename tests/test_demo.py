"""`approvals demo`: every conclusion of the worked example, computed from what it prints, and the same after a replay."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from events import BadQuestion, Count, Log, TermsDiffer
from projections import PROJECTIONS, Store, queries

from .command import Ran, Running, approvals
from .given import as_bytes
from .long import only_long
from .servers import Server
from .test_readme import README

Document = dict[str, Any]


@pytest.fixture(scope="module")
def demo_server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def run(demo_server: Server) -> Ran:
    return approvals("demo", "--json", "--url", demo_server.url)


@pytest.fixture(scope="module")
def shown(demo_server: Server) -> str:
    """What another run on the same server shows to people."""
    return approvals("demo", "--url", demo_server.url).out


@pytest.fixture(scope="module")
def demo(run: Ran) -> Document:
    document: Document = run.document
    return document


@pytest.fixture(scope="module")
def news(demo: Document) -> Document:
    return named(demo, "-news")


def named(demo: Document, ending: str) -> Document:
    """The ledger whose name ends so."""
    (ledger,) = [ledger for ledger in demo["ledgers"] if ledger["ledger"].endswith(ending)]
    return dict(ledger)


def stocks(ledger: Document) -> dict[str, tuple[int, int | None]]:
    """How many models there are in each region by CLSA's estimate."""
    (market,) = ledger["shares"]["answers"]
    return {
        region["region"]: (region["count"]["low"], region["count"]["high"]) for region in market["regions"]
    }


def batch(ledger: Document, ordinal: int) -> Document:
    return next(dict(batch) for batch in ledger["batches"]["answers"] if batch["ordinal"] == ordinal)


def test_it_is_one_document_with_the_answers_and_digests_of_every_ledger_it_used(
    demo: Document, run: Ran
) -> None:
    assert run.err == ""
    assert sorted(demo) == ["conclusions", "ledgers"]
    assert len(demo["ledgers"]) == 4
    for ledger in demo["ledgers"]:
        assert sorted(ledger) == sorted([*PROJECTIONS, "digests", "events", "ledger"])
        assert {ledger[name]["ledger"] for name in PROJECTIONS} == {ledger["ledger"]}
        assert {ledger[name]["position"] for name in PROJECTIONS} == {ledger["events"]}
    assert [ledger["events"] for ledger in demo["ledgers"]] == [138, 17, 17, 104]


def test_the_live_and_the_replayed_digests_are_equal_and_those_of_what_is_stored(
    demo: Document, demo_server: Server
) -> None:
    for ledger in demo["ledgers"]:
        assert list(ledger["digests"]) == sorted(PROJECTIONS)
        for name, digest in ledger["digests"].items():
            store = Store(Log(demo_server.client(), ledger["ledger"]), PROJECTIONS[name])
            live, replayed = store.generation(store.previous()), store.open_live()
            assert live.number != replayed.number
            assert live.digest() == (digest["position"], digest["live"])
            assert replayed.digest() == (digest["position"], digest["replayed"])
            assert digest["live"] == digest["replayed"]
            assert digest["equal"] is True
            assert digest["position"] == ledger["events"]


# The regulator's list


def test_the_same_question_has_one_answer_before_the_list_and_another_after_it(
    demo_server: Server, demo: Document
) -> None:
    log = Log(demo_server.client(), named(demo, "-list")["ledger"])
    question = partial(
        queries.totals, log, authority="CAC", instrument="approval", unit="model", valid_at="2024-01-31"
    )
    (before,) = question(known_at=17)["answers"]
    (after,) = question(known_at=136)["answers"]
    assert (before["total"], after["total"]) == ({"low": 41, "high": None}, {"low": 86, "high": 86})
    assert (before["evidence"]["low"], before["named"]) == ([6], 6)
    assert (after["undisclosed"], after["named"]) == ({"low": 0, "high": 0}, 86)


def test_238_new_in_2024_contradict_61_before_and_302_after_and_all_three_are_shown(demo: Document) -> None:
    totals = named(demo, "-list")["totals"]["answers"]
    (filings,) = [total for total in totals if total["instrument"] == "filing"]
    (contradiction,) = filings["contradictions"]
    for report in ("117 by 2024-03-28", "302 by 2024-12-31", "238 from 2024-01-01 to 2024-12-31"):
        assert report in contradiction["says"]
    assert {135, 137, 138} <= set(contradiction["events"])


@only_long
def test_people_see_the_pair_of_answers_first_and_the_contradiction(shown: str) -> None:
    assert re.search(r"^before the list +17 +≥ 41 +6 +≥ 35 +6 *$", shown, re.MULTILINE)
    assert re.search(r"^after it +136 +86 +86 +0 ", shown, re.MULTILINE)
    assert shown.index("before the list") < shown.index("contradiction between") < shown.index("Totals")


# The news of January 2024


def test_there_are_at_least_41_approvals_and_the_report_of_more_than_40_says_so(news: Document) -> None:
    (total,) = news["totals"]["answers"]
    assert (total["authority"], total["instrument"], total["unit"]) == ("CAC", "approval", "model")
    assert total["total"] == {"low": 41, "high": None}
    (report,) = total["evidence"]["low"]
    (claim,) = [claim for claim in news["sources"]["answers"] if report in claim["evidence"]]
    assert claim["says"]["count"] == {"relation": ">", "value": 40}
    assert total["contradictions"] == []


def test_at_least_27_were_approved_before_the_fourth_batch(news: Document) -> None:
    fourth = batch(news, 4)
    assert fourth["size"] == {"low": 14, "high": 14}
    assert fourth["before"] == {"low": 27, "high": None}
    assert fourth["before"]["low"] == 41 - fourth["size"]["high"]


def test_eleven_of_the_fourth_batch_are_undisclosed(news: Document) -> None:
    fourth = batch(news, 4)
    assert {entry["company"] for entry in fourth["names"]} == {"Xiaomi", "4Paradigm", "01.AI"}
    assert (fourth["named"], fourth["undisclosed"]) == (3, {"low": 11, "high": 11})


def test_baidu_alibaba_and_bytedance_are_in_the_first_of_four_batches(news: Document) -> None:
    assert [batch["ordinal"] for batch in news["batches"]["answers"]] == [1, 2, 3, 4]
    assert [batch["announced_on"][0][:7] for batch in news["batches"]["answers"]] == [
        "2023-08",
        "2023-11",
        "2023-12",
        "2024-01",
    ]
    assert {entry["company"] for entry in batch(news, 1)["names"]} == {"Baidu", "Alibaba", "ByteDance"}


def test_six_companies_are_named_each_under_all_its_names(news: Document) -> None:
    companies = [company for company in news["companies"]["answers"] if company["approvals"]]
    assert len(companies) == 6
    names = {name for company in companies for name in company["names"]}
    assert names >= {
        "Baidu",
        "百度",
        "Alibaba",
        "ByteDance",
        "Xiaomi",
        "小米",
        "4Paradigm",
        "01.AI",
        "零一万物",
    }
    assert all(company["approvals"][0]["approvals"]["low"] == 1 for company in companies)


def test_the_world_has_321_to_329_models_where_shares_are_rounded_to_a_point(news: Document) -> None:
    assert stocks(news) == {"CN": (130, 130), "US": (159, 166), "world": (321, 329)}


def test_the_world_has_306_to_346_models_where_shares_are_rounded_to_five(demo: Document) -> None:
    assert stocks(named(demo, "-news-5-points"))["world"] == (306, 346)


def test_ernie_bot_has_more_than_100_million_users(news: Document) -> None:
    (claim,) = [claim for claim in news["sources"]["answers"] if claim["type"] == "usage.reported.v1"]
    assert claim["says"]["item"] == "Ernie Bot"
    interval = Count(**claim["says"]["users"]).interval()
    assert interval is not None
    assert interval.to_json() == {"low": 100_000_001, "high": None}


def test_a_share_of_approvals_in_the_stock_is_refused(demo_server: Server, news: Document) -> None:
    log = Log(demo_server.client(), news["ledger"])
    with pytest.raises(TermsDiffer, match=r"CAC/approval/model and CAC/stock/model"):
        queries.share_of_stock(
            log, authority="CAC", instrument="approval", unit="model", estimator="CLSA", region="CN"
        )


def test_before_the_report_of_more_than_40_the_total_was_what_the_earlier_reports_allow(
    demo_server: Server, news: Document
) -> None:
    """The sizes of the four batches: 3, 1, 1 and 14."""
    log = Log(demo_server.client(), news["ledger"])
    (report,) = news["totals"]["answers"][0]["evidence"]["low"]
    (total,) = queries.totals(log, known_at=report - 1)["answers"]
    assert total["total"] == {"low": 3 + 1 + 1 + 14, "high": None}
    assert total["evidence"]["low"] == [2, 3, 4, 5]
    with pytest.raises(BadQuestion):
        queries.totals(log, known_at=news["events"] + 1)


def test_its_own_conclusions_are_these_and_all_are_reached(demo: Document) -> None:
    assert {conclusion["question"]: conclusion["answer"] for conclusion in demo["conclusions"]} == {
        "approvals by 2023-08-31, by the list": "8",
        "approvals by 2023-11-30, by the list": "36",
        "approvals by 2023-12-31, by the list": "61",
        "approvals by 2024-01-17, by the list": "79",
        "approvals by 2024-01-31, by the list": "86",
        "approvals by 2024-01-31, as known before the list": "≥ 41",
        "undisclosed in the fourth batch, by the list": "0",
        "new in 2024, by the totals (302 less 61)": "241",
        "238 new in 2024, as reported": "contradicted",
        "approvals in all": "≥ 41",
        "companies named": "≥ 6",
        "approved before the fourth batch": "≥ 27",
        "undisclosed in the fourth batch": "11",
        "the world's models, shares rounded to 1 point": "321–329",
        "the United States' models, rounded to 1 point": "159–166",
        "the world's models, shares rounded to 5 points": "306–346",
        "users of Ernie Bot": "more than 100,000,000",
        "the approvals' share of CLSA's models": "refused",
        "approvals, as known before the report of more than 40": "≥ 19",
    }
    assert all(conclusion["reached"] is True for conclusion in demo["conclusions"])
    assert all(conclusion["answer"] == conclusion["expected"] for conclusion in demo["conclusions"])


# The whole history


def test_the_history_shows_its_contradictions_and_grows_over_time(demo: Document) -> None:
    history = named(demo, "-history")
    total = next(
        total
        for total in history["totals"]["answers"]
        if (total["authority"], total["instrument"], total["unit"]) == ("CAC", "filing", "service")
    )
    lows = [step["total"]["low"] for step in total["steps"]]
    assert lows == sorted(lows)
    assert next(step["total"] for step in total["steps"] if step["on"] == "2024-03-28") == {
        "low": 117,
        "high": 117,
    }
    assert any(answer["contradictions"] for answer in history["totals"]["answers"])


@only_long
def test_people_see_the_figures_a_chart_and_that_the_digests_agree(shown: str) -> None:
    for figure in (
        "≥ 41",
        "≥ 27",
        "11",
        "≥ 6",
        "321–329",
        "306–346",
        "159–166",
        "more than 100,000,000",
        "refused",
    ):
        assert re.search(rf"^.*{re.escape(figure)} +as expected$", shown, re.MULTILINE), figure
    assert "EXPECTED" not in shown
    assert len(re.findall(r"^demo-\S+ .* equal *$", shown, re.MULTILINE)) == 20
    assert "DIFFERENT" not in shown
    assert re.search(r"^2024-03-28 +█+\S* +117 *$", shown, re.MULTILINE)
    assert "projected by 2 RQ workers" in shown


@only_long
def test_each_run_uses_ledgers_of_its_own(shown: str, demo: Document, demo_server: Server) -> None:
    stored = {as_bytes(key).decode()[1:-5] for key in demo_server.client().keys("*}:log")}
    first = {ledger["ledger"] for ledger in demo["ledgers"]}
    second = set(re.findall(r"^ledger (\S+): \d+ events at positions 1 to", shown, re.MULTILINE))
    assert len(first) == len(second) == 4
    assert first.isdisjoint(second)
    assert stored == first | second


def test_a_server_that_forgets_is_refused(start_server: Callable[..., Server]) -> None:
    refused = approvals("demo", "--json", "--url", start_server(appendonly="no").url, code=1)
    assert refused.err.startswith("not-durable: ")
    assert refused.out == ""


@only_long
def test_the_readme_shows_what_it_prints_shortened_where_it_says_so(shown: str) -> None:
    (sample,) = re.findall(r"^```text\n(The approvals.*?)^```", README, re.MULTILINE | re.DOTALL)
    at = 0
    for line in sample.splitlines():
        pattern = r"\s+".join(re.escape(word).replace(re.escape("..."), ".*") for word in line.split())
        found = re.compile(pattern).search(shown, at)
        assert found, line
        at = found.end()


# Ctrl-C


# Runs in each process of Python; the first that `multiprocessing` spawns presses Ctrl-C, as a terminal would: for all.
INTERRUPTING = """
import os, signal, sys
if "--multiprocessing-fork" in sys.orig_argv:
    try:
        os.close(os.open({once!r}, os.O_CREAT | os.O_EXCL))
        os.killpg(0, signal.SIGINT)
    except FileExistsError:
        pass
"""


@only_long
def test_given_workers_that_start_when_it_is_interrupted_then_it_leaves_without_a_traceback(
    server: Server, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING.format(once=str(once)), "utf-8")
    with Running("demo", "--url", server.url, PYTHONPATH=str(tmp_path)) as demo:
        ended = demo.end()
    assert once.exists()
    assert (ended.code, ended.err) == (128 + signal.SIGINT, "")
