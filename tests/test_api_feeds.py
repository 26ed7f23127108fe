"""Atom feeds: well-formed whatever is in the log, each entry with an id that stays."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import httpx
import pytest

from approval_ledger.api import feeds
from events import Log
from events.catalog import Source

from .api import Api, problem, running
from .command import TOTAL
from .given import HISTORY, amended, append, append_newer, append_raw, called, estimate, granted, revoked
from .servers import Server

ATOM = "{http://www.w3.org/2005/Atom}"
FEEDS = ("feeds/approvals", "feeds/company?name=百度", "feeds/contradictions")


@pytest.fixture(scope="module")
def history(module_log: Log) -> Log:
    module_log.append(HISTORY)
    return module_log


def entries(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = ET.fromstring(answer.content)  # of our own making
    assert feed.tag == f"{ATOM}feed"
    for name in ("id", "title", "updated"):
        assert feed.findtext(ATOM + name)
    return [
        {name: entry.findtext(ATOM + name) or "" for name in ("id", "title", "updated", "summary")}
        | {link.get("rel", ""): link.get("href", "") for link in entry.findall(f"{ATOM}link")}
        for entry in feed.findall(f"{ATOM}entry")
    ]


def test_approvals_are_reported_newest_first_with_their_sources(api: Api, history: Log) -> None:
    found = entries(api.get(history, "feeds/approvals"))
    positions = [int(entry["id"].rpartition(":")[2]) for entry in found]
    assert positions == sorted(positions, reverse=True)
    assert found[0]["title"] == "35: CAC: a batch of 11, announced on 2023-08"
    assert found[0]["via"].startswith("https://")
    assert api.client.get(found[0]["alternate"]).json()["sequence"].endswith("35")


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://例子.cn/路径?a=%20b&c=[1]#x", "https://例子.cn/路径?a=%20b&c=%5B1%5D#x"),
        ('https://x.cn/a"<b>{c}|d\\^`?100%#y#z', "https://x.cn/a%22%3Cb%3E%7Bc%7D%7Cd%5C%5E%60?100%25#y%23z"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("http://x.cn:99999/", None),
        ("http://x.cn:abc/", None),
        ('http://"x.cn/', None),
    ],
)
def test_given_a_source_with_any_address_then_its_link_is_an_iri_or_there_is_none(
    api: Api, log: Log, url: str, link: str | None
) -> None:
    grant = granted("Baidu", "x", "2024-01-01")
    log.append([called("e1", grant.model_copy(update={"source": Source(publisher="CAC", url=url)}))])
    (entry,) = entries(api.get(log, "feeds/approvals"))
    assert entry.get("via") == link


def test_a_company_has_a_feed_under_each_of_its_names(api: Api, history: Log) -> None:
    ids = [
        [e["id"] for e in entries(api.get(history, f"feeds/company?name={name}"))]
        for name in ("百度", "Baidu")
    ]
    assert ids[0] == ids[1] != []
    problem(api.get(history, "feeds/company?name=Nobody"), 404, "unknown-company")


@pytest.mark.parametrize("name", ["Approvals", "Contradictions"])
def test_given_a_company_called_as_a_feed_is_then_its_feed_has_an_id_of_its_own(
    api: Api, log: Log, name: str
) -> None:
    log.append([called("e1", granted(name, "x", "2024-01-01"))])
    paths = ("feeds/approvals", "feeds/contradictions", f"feeds/company?name={name}", "feeds/approvals")
    ids = [ET.fromstring(api.get(log, path).content).findtext(f"{ATOM}id") for path in paths]
    assert len(set(ids)) == 3
    assert ids[0] == ids[-1]


def test_the_feed_of_a_company_has_what_became_of_its_approvals(api: Api, log: Log) -> None:
    log.append(
        [
            called("e1", granted("Baidu", "Ernie", "2023-08-31", number="N1")),
            called("e2", amended("N1", company="Kunlun", on="2024-02-01")),
            called("e3", revoked("N1", on="2024-03-01")),
        ]
    )
    for name, events in ("Baidu", ["3", "2", "1"]), ("Kunlun", ["3", "2"]):
        found = entries(api.get(log, f"feeds/company?name={name}"))
        assert [entry["id"].rpartition(":")[2] for entry in found] == events


def test_contradictions_are_told_in_words_and_keep_their_ids_while_the_log_grows(api: Api, log: Log) -> None:
    log.append(HISTORY[:40])
    before = entries(api.get(log, "feeds/contradictions"))
    assert any("these cannot all be true" in entry["summary"] for entry in before)
    log.append(HISTORY[40:41])
    after = {entry["id"] for entry in entries(api.get(log, "feeds/contradictions"))}
    assert {entry["id"] for entry in before} <= after


def test_contradictions_of_estimates_are_told_too(api: Api, log: Log) -> None:
    log.append([called("e1", estimate("CN", "=130")), called("e2", estimate("CN", "=160"))])
    (entry,) = entries(api.get(log, "feeds/contradictions"))
    assert entry["title"] == "Positions 1, 2 contradict each other"
    assert "160 models in CN" in entry["summary"]


@pytest.mark.parametrize("path", FEEDS)
def test_a_feed_that_did_not_change_is_not_sent_again(api: Api, history: Log, path: str) -> None:
    tag = api.get(history, path).headers["etag"]
    assert api.get(history, path, **{"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("path", FEEDS)
def test_its_addresses_hold_by_whatever_name_it_is_asked_for(api: Api, history: Log, path: str) -> None:
    answer = api.get(history, path)
    links = [link for entry in entries(answer) for rel, link in entry.items() if rel == "alternate"]
    (own,) = (link.get("href", "") for link in ET.fromstring(answer.content).findall(f"{ATOM}link"))
    assert links
    assert all(link.startswith(f"/ledgers/{history.ledger}/") for link in (own, *links))
    assert api.client.get(own).content == answer.content
    assert api.get(history, path, Host="localhost").content == answer.content


def test_contradictions_that_are_equally_new_have_an_order(
    server: Server, history: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [((1, 6), "b"), ((2, 6), "a"), ((1, 6), "a"), ((1, 5, 6), "c")]
    answers = []
    for order in (found, found[::-1]):  # as it is with another hash of texts
        monkeypatch.setattr(feeds, "_contradictions", lambda _, order=order: order)
        with running(server) as api:
            answers.append(api.get(history, "feeds/contradictions"))
    assert answers[0].headers["etag"] == answers[1].headers["etag"]
    assert answers[0].content == answers[1].content


def test_an_approval_is_found_behind_many_other_events(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([called("a1", granted("Baidu", "x", "2024-01-01"))])
    append(log, *range(2_500))
    assert [entry["title"][:8] for entry in entries(api.get(log, "feeds/approvals"))] == ["1: Baidu"]
    monkeypatch.setattr(feeds, "LOOKED_AT", 2_501)
    append(log, 3_000)
    assert entries(api.get(log, "feeds/approvals")) == []


def test_what_cannot_be_read_is_passed_over(api: Api, log: Log) -> None:
    log.append([called("a1", granted("Baidu", "x", "2024-01-01"))])
    append_raw(log, b'"approval.granted.v1', id="x1")
    append_raw(log, b'{"type":"approval.granted.v1","data":{}}', id="x2")
    assert [entry["title"][:8] for entry in entries(api.get(log, "feeds/approvals"))] == ["1: Baidu"]


def test_markup_and_what_no_xml_may_hold_are_text(api: Api, log: Log) -> None:
    log.append([called("e1", granted('<script>"&', "]]>", "2024-01-01"))])
    (entry,) = entries(api.get(log, "feeds/approvals"))
    assert entry["title"].startswith('1: <script>"&: ]]>, approval by CAC')


def test_an_event_of_a_newer_version_has_its_place(api: Api, log: Log) -> None:
    append_newer(log, id="n1", type="approval.granted.v9", **TOTAL)
    append_raw(log, b'{"approval.granted.v1":1,"id":"x","source":"y","type":"other.v1","data":{}}', id="x")
    found = [entry["title"] for entry in entries(api.get(log, "feeds/approvals"))]
    assert found in ([], ["1: approval.granted.v9"])


def test_an_empty_ledger_has_empty_feeds(api: Api, log: Log) -> None:
    assert entries(api.get(log, "feeds/approvals")) == entries(api.get(log, "feeds/contradictions")) == []
