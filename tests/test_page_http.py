"""The page without a browser: its files, what they are allowed to do, and the charts that it asks for."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from approval_ledger.charts import Look, chart, question
from approval_ledger.web import page
from events import Log, canonical
from projections import PROJECTIONS, Store
from projections.replay import adopt, rebuild
from workers import run_here

from .api import Api, problem, running
from .command import ROOT
from .given import HISTORY, called, merged
from .long import some
from .servers import Server
from .waiting import until

STATIC = ROOT / "approval_ledger" / "web" / "static"
SCRIPTS = {path.name: path.read_text("utf-8") for path in sorted(STATIC.glob("*.js"))}
HTML = (STATIC / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[Api]:
    with running(server) as started:
        yield started


@pytest.fixture
def history(log: Log) -> Log:
    log.append(HISTORY)
    run_here(log.client, log.ledger)
    return log


# The files


def test_the_page_may_run_its_own_scripts_and_ask_its_own_server_and_nothing_else(api: Api) -> None:
    answer = api.client.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert 'data-ledger="cac"' in answer.text


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.iterdir() if path.name != "index.html"))
def test_each_file_is_had_with_its_kind_and_again_only_where_it_changed(api: Api, name: str) -> None:
    answer = api.client.get(f"/page/{name}")
    assert answer.content == (STATIC / name).read_bytes()
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert answer.headers["content-type"].partition(";")[0] == kinds[Path(name).suffix]
    assert answer.headers["cache-control"] == "no-cache"
    anything = api.client.get(f"/page/{name}", headers={"If-None-Match": "*"})
    assert anything.status_code == 304
    again = api.client.get(f"/page/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/page/index.html", "/page/none.js", "/page/..%2fpage.py", "/page/", "/index.html"]
)
def test_there_is_no_other_file(api: Api, path: str) -> None:
    problem(api.client.get(path), 404, "not-found")


def vega(api: Api, address: str = "/") -> str:
    """The address of the scripts of others, as the page has it."""
    found = re.search(r'data-vega="([^"]*)"', api.client.get(address).text)
    assert found is not None
    return found[1]


def test_the_scripts_of_others_come_out_of_the_installed_library_and_are_kept_for_a_year(api: Api) -> None:
    answer = api.client.get(vega(api))
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text.rstrip().endswith("as embed};")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = api.client.get(vega(api), headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br", True),
        ("*", True),
        ("x-gzip", True),
        ("br;q=1, gzip;q=0.1", True),
        ("br", False),
        ("identity", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("", False),
    ],
)
def test_they_are_compressed_for_those_who_take_that(api: Api, accepted: str, packed: bool) -> None:
    asked = {"Accept-Encoding": accepted}
    answer = api.client.get(vega(api), headers=asked)
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.text.rstrip().endswith("as embed};")
    again = api.client.get(vega(api), headers=asked | {"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.headers["vary"]) == (304, "Accept-Encoding")
    other = api.client.get(vega(api), headers={"Accept-Encoding": "identity" if packed else "gzip"})
    assert other.headers["etag"] != answer.headers["etag"]


def test_a_page_that_was_opened_before_an_upgrade_gets_those_of_now_and_does_not_keep_them(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = vega(api)
    monkeypatch.setattr(page, "version", lambda _: "another version")
    page._version_of_vega.cache_clear()
    try:
        assert vega(api) != now
        answer = api.client.get(now)
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.content == api.client.get(vega(api)).content
    finally:
        page._version_of_vega.cache_clear()


@pytest.mark.parametrize(
    ("address", "ahead"),
    [("/", True), ("/?view=shares", True), ("/?view=log", False), ("/?view=projections", False)],
)
def test_they_are_asked_for_ahead_where_there_are_charts(api: Api, address: str, ahead: bool) -> None:
    link = f'<link rel="modulepreload" href="{vega(api)}" fetchpriority="low">'
    assert (link in api.client.get(address).text) is ahead


def test_without_that_library_there_are_none_and_the_page_knows_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = vega(api)
    monkeypatch.setattr(page, "_can_draw", lambda: False)
    detail = problem(api.client.get(address), 404, "not-found")["detail"]
    assert "approval-ledger[charts]" in detail
    assert 'data-charts="no" data-vega=""' in (html := api.client.get("/").text)
    assert "vega-" not in html
    page.prepare()  # makes nothing, and fails at nothing


def test_given_that_it_is_being_made_when_many_open_the_page_then_no_thread_waits_for_each(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, waiting = threading.Event(), list[threading.Thread]()

    def made(*_: object, **__: object) -> None:
        assert done.wait(20)
        raise subprocess.CalledProcessError(1, "python")

    real = page.prepare

    def prepare() -> None:
        waiting.append(threading.current_thread())
        real()

    page._made.cache_clear()
    monkeypatch.setattr(subprocess, "run", made)
    monkeypatch.setattr(page, "prepare", prepare)
    api.client.get("/")
    until(page._making.locked)
    for _ in range(5):
        api.client.get("/")
    done.set()
    for thread in waiting:
        thread.join()
    assert len(waiting) == 1


@pytest.mark.parametrize(
    "error", [subprocess.CalledProcessError(1, "python"), BlockingIOError(errno.EAGAIN, "no process")]
)
def test_a_library_that_is_broken_stops_no_server(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    page._made.cache_clear()
    monkeypatch.setattr(subprocess, "run", broken)
    page.prepare()
    page._made.cache_clear()


# What stands in them


def test_no_file_names_another_host() -> None:
    for path in STATIC.iterdir():
        found = re.findall(r"https?://[^\s\"'`)]*", path.read_text("utf-8"))
        assert set(found) <= {"http://www.w3.org/2000/svg"}, path


def test_nothing_in_them_makes_markup_or_code_of_a_text() -> None:
    for name, script in SCRIPTS.items():
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script
        ), name
        assert not re.search(r"\bsetTimeout\(\s*[\"'`]|style\.cssText|setAttribute\(\s*[\"']style", script), (
            name
        )
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", HTML)


def test_each_script_is_asked_for_and_each_that_is_asked_for_is_there() -> None:
    asked = {"main.js", *re.findall(r'"\./([\w-]+\.js)"', "".join(SCRIPTS.values()))}
    views = re.search(r"VIEWS = \[(.*?)\]", SCRIPTS["address.js"])
    assert views is not None
    asked |= {f"view-{name}.js" for name in re.findall(r'"(\w+)"', views[1])}
    assert asked == set(SCRIPTS)
    assert set() < set(re.findall(r'"page/([\w.-]+\.js)"', HTML)) <= set(SCRIPTS)


def test_each_script_says_what_it_is_for_in_its_first_line() -> None:
    for name, script in SCRIPTS.items():
        assert re.match(r"// [A-Z].+\.\n", script), name


def words_of(language: str) -> list[str]:
    block = re.search(rf"^const {language} = {{\n(.*?)^}};", SCRIPTS["words.js"], re.MULTILINE | re.DOTALL)
    assert block is not None
    return re.findall(r"^  (\w+):", block[1], re.MULTILINE)


def test_every_word_is_there_in_both_languages_and_is_used() -> None:
    assert words_of("en") == words_of("zh")
    others = "".join(script for name, script in SCRIPTS.items() if name != "words.js")
    assert [word for word in words_of("en") if not re.search(rf"\b(?:words|w)\.{word}\b", others)] == []


# The charts


@pytest.mark.parametrize(
    ("path", "name", "asked", "look"),
    some(
        [
            (
                "totals?instrument=filing&theme=dark",
                "totals",
                {"instrument": "filing"},
                Look.of(theme="dark"),
            ),
            ("batches?language=zh&width=375", "batches", {}, Look.of(language="zh", width=375)),
            ("companies", "companies", {}, Look.of()),
            ("companies?name=%E7%99%BE%E5%BA%A6", "companies", {"name": "百度"}, Look.of()),
            ("shares", "shares", {}, Look.of()),
            ("sources", "sources", {}, Look.of()),
        ],
        every=2,
    ),
)
def test_a_chart_over_http_is_the_specification_that_the_command_draws(
    api: Api, history: Log, path: str, name: str, asked: dict[str, str], look: Look
) -> None:
    answer = api.get(history, f"charts/{path}")
    drawn = chart(history, question(name, asked)(history), look)
    assert answer.content == canonical(drawn) + b"\n"
    assert answer.headers["content-type"] == "application/json"
    again = api.get(history, f"charts/{path}", **{"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["shares", "sources"])
def test_a_chart_stays_where_a_projection_is_rebuilt_that_it_is_not_made_of(
    api: Api, history: Log, name: str
) -> None:
    before = api.get(history, f"charts/{name}")
    store = Store(history, PROJECTIONS["totals"])
    adopt(store, rebuild(store))
    again = api.get(history, f"charts/{name}", **{"If-None-Match": before.headers["etag"]})
    assert again.status_code == 304


def test_a_chart_that_looks_otherwise_is_another(api: Api, history: Log) -> None:
    looks = ("", "?theme=dark", "?language=zh", "?width=400", "?theme=light&language=en")
    tags = [api.get(history, f"charts/shares{look}").headers["etag"] for look in looks]
    assert (len(set(tags)), tags[0]) == (4, tags[-1])


def test_a_chart_follows_both_axes_and_may_be_kept_where_it_is_pinned(api: Api, history: Log) -> None:
    answer = api.get(history, "charts/totals?valid_at=2024-01-31&known_at=13")
    assert "as known at position 13" in json.dumps(answer.json()["title"])
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert api.get(history, "charts/totals").headers["cache-control"] == "public, no-cache"


def test_the_days_of_a_company_of_which_no_name_is_known_are_drawn_under_that_of_its_record(
    api: Api, log: Log
) -> None:
    log.append([called("m1", merged("moon", "sun"))])
    assert "Reports about sun" in api.get(log, "charts/companies?name=moon").text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("charts/totals?width=319", 422, "validation"),
        ("charts/totals?width=2001", 422, "validation"),
        ("charts/totals?width=1e3", 422, "validation"),
        ("charts/totals?theme=sepia", 422, "validation"),
        ("charts/totals?language=de", 422, "validation"),
        ("charts/batches?name=Baidu", 422, "unknown-parameter"),
        ("charts/companies?name=Nobody", 404, "unknown-company"),
        ("charts/none", 404, "not-found"),
        ("charts/totals?at_least=99999", 409, "lagging"),
    ],
)
def test_what_is_no_chart_is_refused(api: Api, history: Log, path: str, status: int, code: str) -> None:
    problem(api.get(history, path), status, code)


def test_where_reading_needs_a_token_charts_need_it_too_and_the_page_is_there_to_say_so(
    server: Server, history: Log
) -> None:
    with running(server, public_reads=False) as private:
        problem(private.get(history, "charts/totals"), 401, "unauthenticated")
        assert private.client.get("/").status_code == 200
