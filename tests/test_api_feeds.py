"""Atom feeds: well-formed whatever is in the log, each entry with an id that stays."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import httpx
import pytest

from events import Log

from .api import Api, problem
from .command import TOTAL
from .given import HISTORY, append_newer, append_raw, called, granted

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


def test_a_company_has_a_feed_under_each_of_its_names(api: Api, history: Log) -> None:
    ids = [
        [e["id"] for e in entries(api.get(history, f"feeds/company?name={name}"))]
        for name in ("百度", "Baidu")
    ]
    assert ids[0] == ids[1] != []
    problem(api.get(history, "feeds/company?name=Nobody"), 404, "unknown-company")


def test_contradictions_are_told_in_words_and_keep_their_ids_while_the_log_grows(api: Api, log: Log) -> None:
    log.append(HISTORY[:40])
    before = entries(api.get(log, "feeds/contradictions"))
    assert any("these cannot all be true" in entry["summary"] for entry in before)
    log.append(HISTORY[40:41])
    after = {entry["id"] for entry in entries(api.get(log, "feeds/contradictions"))}
    assert {entry["id"] for entry in before} <= after


@pytest.mark.parametrize("path", FEEDS)
def test_a_feed_that_did_not_change_is_not_sent_again(api: Api, history: Log, path: str) -> None:
    tag = api.get(history, path).headers["etag"]
    assert api.get(history, path, **{"If-None-Match": tag}).status_code == 304
    assert api.get(history, path, Host="localhost").headers["etag"] != tag  # its addresses are others


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
