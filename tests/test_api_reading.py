"""Reading over HTTP: the same documents as the command, on both axes, in the form that is asked for, and not sent twice."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from approval_ledger import exporting, status
from approval_ledger.api import answering, health
from approval_ledger.api.problems import RequestRefused
from events import BadQuestion, EventData, Log, StorageUnavailable, as_json_line, canonical, connect
from projections import PROJECTIONS, Store, diff, queries
from projections.replay import adopt, rebuild
from workers import run_here

from .api import Api, problem, running
from .command import Ledger, event, text
from .conftest import new_ledger
from .given import HISTORY, MODELS, QUESTIONS, append_raw, called, equated, estimate, granted, total
from .servers import Server
from .strategies import report
from .waiting import PATIENCE, until


@pytest.fixture(scope="module")
def history(api: Api, module_log: Log) -> Log:
    """The real history, projected."""
    module_log.append(HISTORY)
    run_here(module_log.client, module_log.ledger)
    return module_log


# Figures


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_what_the_command_prints(api: Api, history: Log, name: str) -> None:
    answer = api.get(history, name)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == canonical(QUESTIONS[name](history)) + b"\n"


@pytest.mark.parametrize(
    ("asked", "parameters"),
    [
        ("valid_at=2023-12", {"valid_at": "2023-12"}),
        ("known_at=6", {"known_at": 6}),
        ("known_at=2024-02-01&known_as=published", {"known_at": "2024-02-01", "known_as": "published"}),
        (
            "known_at=2024&known_as=published&valid_at=2023-12-31",
            {"known_at": "2024", "known_as": "published", "valid_at": "2023-12-31"},
        ),
        (
            "steps=true&whole_evidence=true&instrument=filing",
            {"steps": True, "whole_evidence": True, "instrument": "filing"},
        ),
        ("at_least=104", {"at_least": 104}),
    ],
)
def test_both_axes_and_every_part_of_a_question_are_asked(
    api: Api, history: Log, asked: str, parameters: dict[str, object]
) -> None:
    answer = api.get(history, f"totals?{asked}")
    assert answer.json() == QUESTIONS["totals"](history, **parameters)


@pytest.mark.parametrize("path", ["companies/百度", "companies?name=百度", "companies/Baidu"])
def test_a_company_is_found_under_each_of_its_names(api: Api, history: Log, path: str) -> None:
    assert api.get(history, path).json()["answers"] == queries.companies(history, "Baidu")["answers"]


@pytest.mark.parametrize("name", ["true", "false"])
def test_what_a_switch_may_be_is_a_name_elsewhere(api: Api, log: Log, name: str) -> None:
    terms = (name, name, name)
    log.append([called("e1", granted(name, "Item", "2024-01-28", terms=terms))])
    found = api.get(log, f"companies?name={name}")
    assert found.json()["answers"] == queries.companies(log, name, at_least=1)["answers"]
    asked = {"authority": name, "instrument": name, "unit": name}
    (counted,) = api.get(log, f"totals?steps=true&{urlencode(asked)}").json()["answers"]
    assert [counted] == QUESTIONS["totals"](log, at_least=1, steps=True, **asked)["answers"]


@pytest.mark.parametrize(
    "name", ["Nobody", "a%2Fb", "..%2f..%2fetc%2fpasswd", "%00", "%ff", "%2e%2e", "x" * 200]
)
def test_a_company_that_is_not_there_is_404(api: Api, history: Log, name: str) -> None:
    problem(api.get(history, f"companies/{name}"), 404, "unknown-company")


@pytest.mark.parametrize("name", ["x" * 201, "百" * 201, "x/" * 4000, ""])
@pytest.mark.parametrize("place", ["path", "query"])
def test_given_a_name_that_no_company_can_have_when_it_is_asked_for_then_it_is_refused_wherever_it_stands(
    api: Api, history: Log, place: str, name: str
) -> None:
    answer = api.get(history, f"companies/{name}" if place == "path" else f"companies?name={name}")
    (fault,) = problem(answer, 422, "validation")["faults"]
    assert (fault["in"], fault["parameter"]) == (place, "name")
    assert "character" in fault["detail"]


def test_the_share_of_a_stock_is_refused_where_the_terms_differ(api: Api, history: Log) -> None:
    terms = "authority=CAC&instrument=approval&unit=model&estimator=CLSA&region=CN"
    problem(api.get(history, f"shares?{terms}"), 422, "terms-differ")
    problem(api.get(history, "shares?authority=CAC"), 422, "validation")


def test_a_diff_is_what_the_command_prints(api: Api, history: Log) -> None:
    answer = api.get(history, "diff?projection=totals&from=6&to=20&valid_at=2024")
    assert answer.json() == diff(history, "totals", since=6, upto=20, valid_at="2024")
    assert api.get(history, "diff?projection=totals&from=103").json()["to"] == 104
    problem(api.get(history, "diff?projection=totals&from=20&to=6"), 422, "bad-question")


def test_what_is_published_is_seen_by_the_next_reader(api: Api, log: Log) -> None:
    for n in range(1, 4):
        api.post(log, text(event(f"e{n}")))
        assert api.get(log, "totals").json()["position"] == n


def test_the_days_of_publication_are_those_between_which_what_was_published_changes(
    api: Api, history: Log
) -> None:
    document = api.get(history, "publication").json()
    first, last = document["first"], document["last"]
    assert document == {"ledger": history.ledger, "position": 104, "first": "2023-05-30", "last": last}

    def known(day: str) -> Any:
        return api.get(history, f"sources?known_as=published&known_at={day}").json()["answers"]

    assert known(last) == api.get(history, "sources").json()["answers"]
    assert known(first)
    assert not known("2023-05-29")


def test_the_days_of_publication_follow_the_log_and_the_one_that_takes_its_place(api: Api, log: Log) -> None:
    def days() -> Any:
        document = api.get(log, "publication").json()
        return document["first"], document["last"]

    assert days() == (None, None)
    log.append([called("t1", published("2023-09-04"))])
    assert days() == ("2023-09-04", "2023-09-04")
    log.append([called("t2", published("2023-09-01"))])
    assert days() == ("2023-09-01", "2023-09-04")
    append_raw(log, b"{\xffgarbage", id="garbage")
    recorded = log.at(3)
    assert recorded is not None
    assert days() == ("2023-09-01", str(recorded.recorded_at.date()))
    log.client.delete(*log.client.keys(f"{{{log.ledger}}}:*"))
    log.append([called(f"t{n}", published("2024-02")) for n in range(3)])
    assert days() == ("2024-02-29", "2024-02-29")


def published(on: str) -> EventData:
    report = total("=8", "2023-08-31")
    return report.model_copy(update={"source": report.source.model_copy(update={"published_on": on})})


def test_a_position_that_the_ledger_has_not_reached_is_409(api: Api, history: Log) -> None:
    answer = api.get(history, "totals?at_least=105")
    problem(answer, 409, "lagging")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["totals", "charts/totals"])
@pytest.mark.parametrize("at_least", [5, 105])
def test_a_position_after_the_one_that_is_asked_about_is_never_reached(
    api: Api, history: Log, path: str, at_least: int
) -> None:
    problem(api.get(history, f"{path}?at_least={at_least}&known_at=3"), 422, "bad-question")


# Forms


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_table_is_what_the_command_exports(api: Api, history: Log, name: str) -> None:
    expected = exporting.to_csv(exporting.tabulated(QUESTIONS[name](history)))
    by_format, by_accept = api.get(history, f"{name}?format=csv"), api.get(history, name, Accept="text/csv")
    assert by_format.content == by_accept.content == expected
    assert by_format.headers["content-type"] == "text/csv; charset=utf-8"
    assert by_format.headers["content-disposition"] == f'attachment; filename="{history.ledger}-{name}.csv"'
    assert by_format.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("totals", {}),
        ("totals?steps=false", {}),
        ("totals?steps=true", {"steps": True}),
        ("sources", {}),
        ("sources?limit=5", {"limit": 5}),
        ("companies?name=百度", {"name": "百度"}),
        ("companies/百度", {"name": "百度"}),
    ],
)
def test_parquet_is_what_the_command_exports(
    api: Api, history: Log, path: str, question: dict[str, Any]
) -> None:
    name = re.split("[/?]", path)[0]
    answer = QUESTIONS[name](history, **question)
    about = exporting.described(history, answer, "parquet", question)
    found = api.get(history, path, Accept="application/vnd.apache.parquet")
    assert found.content == exporting.to_parquet(exporting.tabulated(answer), about)


def test_where_the_library_for_parquet_is_missing_the_other_forms_are_offered(
    api: Api, history: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image: it was a failure of this software (500), also for who would have taken another form."""
    monkeypatch.setitem(sys.modules, "arro3.core", None)
    found = problem(api.get(history, "totals?format=parquet"), 422, "bad-question")
    assert "install approval-ledger[parquet]" in found["detail"]
    assert [(fault["in"], fault["parameter"]) for fault in found["faults"]] == [("query", "format")]
    none = problem(api.get(history, "totals", Accept="application/vnd.apache.parquet"), 406, "not-acceptable")
    assert none["detail"] == "this can be had as application/json, text/csv; charset=utf-8"
    other = api.get(history, "totals", Accept="text/csv;q=0.5, application/vnd.apache.parquet")
    assert (other.status_code, other.headers["content-type"]) == (200, "text/csv; charset=utf-8")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "application/json"),
        ("text/html, text/csv;q=0.9, */*;q=0.1", "text/csv"),
        ("text/*", "text/csv"),
        ("application/json;q=0.1, text/csv", "text/csv"),
        ("application/json;q=0, text/csv;q=0.5", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("*/*, application/*;q=0", "text/csv"),
        ("text/csv;q=0.2, text/*;q=0.9, application/json;q=0.5", "application/json"),
        ("*/*;q=0.9, application/json;q=0.1, text/csv;q=0.2", "application/vnd.apache.parquet"),
        ("text/csv, application/json", "text/csv"),
        ("application/json; charset=utf-8, text/csv;q=0.5", "application/json"),
        (", text/csv ;Q=1.000,", "text/csv"),
        ("", "application/json"),
    ],
)
def test_the_accept_header_is_weighed(api: Api, history: Log, accept: str, form: str) -> None:
    assert api.get(history, "totals", Accept=accept).headers["content-type"].partition(";")[0] == form


def test_several_lines_of_accept_are_one_list(api: Api, history: Log) -> None:
    lines = [("Accept", "application/json;q=0.5"), ("Accept", "text/csv")]
    answer = api.client.get(f"/ledgers/{history.ledger}/totals", headers=lines)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    "accept",
    ["*/*;q=0", "application/*;q=0, text/csv;q=0.000, */*", "application/json;q=0.0, text/html"],
)
def test_what_is_weighed_0_is_not_sent(api: Api, history: Log, accept: str) -> None:
    problem(api.get(history, "totals", Accept=accept), 406, "not-acceptable")


def test_a_form_that_it_has_not_is_406(api: Api, history: Log) -> None:
    problem(api.get(history, "totals", Accept="image/png"), 406, "not-acceptable")
    terms = "authority=CAC&instrument=approval&unit=model&estimator=CLSA&region=CN"
    problem(api.get(history, f"shares?{terms}&format=csv"), 406, "not-acceptable")


# Not twice


@pytest.mark.parametrize(
    "path", ["totals", "totals?format=csv", "events?limit=2", "events/1", "diff?projection=totals&from=1"]
)
def test_what_a_client_has_is_not_sent_again(api: Api, history: Log, path: str) -> None:
    first = api.get(history, path)
    again = api.get(history, path, **{"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


def test_tags_differ_by_question_by_form_and_by_position(api: Api, log: Log) -> None:
    paths = ["totals", "totals?valid_at=2024", "totals?format=csv", "batches"]
    tags = [api.get(log, path).headers["etag"] for path in paths]
    api.post(log, text(event()))
    tags += [api.get(log, path).headers["etag"] for path in paths]
    assert len(set(tags)) == len(tags)


def test_the_tag_of_what_was_known_at_a_position_stays_while_the_log_grows(api: Api, log: Log) -> None:
    api.post(log, text(event("e1")))
    paths = ["totals?known_at=1", "diff?projection=totals&from=0&to=1"]
    tags = [api.get(log, path).headers["etag"] for path in paths]
    api.post(log, text(event("e2")))
    assert [api.get(log, path).headers["etag"] for path in paths] == tags


@pytest.mark.parametrize("path", ["totals", "totals?known_at=2", "companies", "batches"])
def test_the_tag_is_another_once_a_worker_has_parked_an_event(api: Api, log: Log, path: str) -> None:
    for n in range(1, 4):
        api.post(log, text(event(f"e{n}")))
    run_here(log.client, log.ledger)
    before = api.get(log, path)
    live = Store(log, PROJECTIONS["totals"]).open_live()
    log.client.hset(live.parked_key, "2", "by a version that knew less")
    after = api.get(log, path, **{"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.json()["parked"], "parked" in before.json()) == (200, [2], False)


def test_the_tag_of_the_share_of_a_stock_is_another_after_a_rebuild_of_any_projection_that_it_is_made_of(
    api: Api, log: Log
) -> None:
    same = equated(MODELS, ("CAC", "stock", "model"))
    stock = estimate("world", "=100", on="2024-01-10")
    log.append([called("e1", total("=40", "2024-01-01")), called("e2", stock), called("e3", same)])
    run_here(log.client, log.ledger)
    path = "shares?authority=CAC&instrument=approval&unit=model&estimator=CLSA&region=world"
    tags = [api.get(log, path).headers["etag"]]
    for name in ("totals", "batches", "companies", "shares"):
        store = Store(log, PROJECTIONS[name])
        adopt(store, rebuild(store))
        tags.append(api.get(log, path).headers["etag"])
    assert len(set(tags)) == len(tags)


def test_what_cannot_change_while_the_log_goes_on_may_be_kept_for_an_hour(api: Api, history: Log) -> None:
    def kept(path: str) -> str:
        return api.get(history, path).headers["cache-control"]

    assert kept("events/1") == "public, no-cache"  # after a restore another event may be there
    assert kept("totals?known_at=6") == kept("diff?projection=totals&from=6&to=7") == "public, max-age=3600"
    assert kept("totals") == kept("events") == kept("diff?projection=totals&from=6") == "public, no-cache"
    assert kept("totals?known_at=2024-01-01") == "public, no-cache"
    assert kept("status") == "no-store"


# The log


def test_pages_lead_through_the_whole_log(api: Api, history: Log) -> None:
    found, address = [], f"/ledgers/{history.ledger}/events?limit=40"
    while address:
        page = api.client.get(address).json()
        found += page["events"]
        address = page["next"]
    assert found == [json.loads(as_json_line(recorded)) for recorded in history.read()]


def test_pages_go_backwards_and_by_subject(api: Api, history: Log) -> None:
    newest = api.get(history, "events?backwards=true&limit=2").json()
    assert [int(e["sequence"]) for e in newest["events"]] == [104, 103]
    older = api.client.get(newest["next"]).json()
    assert [int(e["sequence"]) for e in older["events"]] == [102, 101]
    of_subject = api.get(history, "events?subject=CAC/approval/model&limit=1000").json()["events"]
    assert {e["subject"] for e in of_subject} == {"CAC/approval/model"}


def test_given_a_long_subject_when_its_oldest_events_are_asked_for_then_the_newer_ones_are_not_read(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    ledger = Ledger(server)
    ledger.log.append([report(f"e{n}", subject="s") for n in range(1, 101)])
    with running(server) as api:
        before = entries_asked_for(ledger.log)  # of which a server that starts asks for some
        page = api.get(ledger.log, "events?subject=s&backwards=true&after=3").json()
        ran = ledger.run("events", "--subject", "s", "--backwards", "--after", "3", "--json")
        for found in (page["events"], ran.documents):
            assert [int(each["sequence"]) for each in found] == [2, 1]
        assert entries_asked_for(ledger.log) - before == 2 * 2


def entries_asked_for(log: Log) -> int:
    """How often the server was asked for entries of a log so far."""
    stats: Any = log.client.info("commandstats")
    return int(stats.get("cmdstat_xrange", {"calls": 0})["calls"])


@pytest.mark.parametrize(
    "asked", [{"path": "events?format=ndjson"}, {"path": "events", "Accept": "application/x-ndjson"}]
)
def test_ndjson_is_the_whole_log_as_it_is_stored(api: Api, history: Log, asked: dict[str, str]) -> None:
    answer = api.get(history, **asked)
    assert answer.content == b"".join(as_json_line(recorded) + b"\n" for recorded in history.read())
    assert answer.headers["content-type"] == "application/x-ndjson"


def test_an_event_is_the_bytes_that_are_stored(api: Api, history: Log) -> None:
    answer = api.get(history, "events/7")
    recorded = history.at(7)
    assert recorded is not None
    assert answer.content == as_json_line(recorded) + b"\n"
    assert answer.headers["content-type"] == "application/cloudevents+json"
    problem(api.get(history, "events/105"), 404, "not-found")


@pytest.mark.parametrize(
    "path", ["totals", "companies?name=Baidu", "diff?projection=totals&from=6&to=20", "events", "events/7"]
)
def test_whoever_wants_it_only_where_it_is_not_there_gets_304_where_it_is(
    api: Api, history: Log, path: str
) -> None:
    for _ in range(2):
        answer = api.get(history, path, **{"If-None-Match": "*"})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == api.get(history, path).headers["etag"]


def test_and_so_does_whoever_asks_for_what_has_no_tag(api: Api, history: Log) -> None:
    answer = api.get(history, "events?format=ndjson", **{"If-None-Match": "*"})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("path", ["companies?name=nobody", "events/105"])
def test_and_404_where_it_is_not(api: Api, history: Log, path: str) -> None:
    assert api.get(history, path, **{"If-None-Match": "*"}).status_code == 404


def test_several_tags_may_come_in_several_headers(api: Api, history: Log) -> None:
    tag = api.get(history, "totals").headers["etag"]
    given = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
    address = f"/ledgers/{history.ledger}/totals"
    assert api.client.get(address, headers=given).status_code == 304


# How it is


def test_the_status_is_that_of_the_command_without_the_address_of_the_server(api: Api, history: Log) -> None:
    found = api.get(history, "status").json()
    assert set(found["server"]) == {"software", "version", "durable", "settings"}
    assert (found["head"], found["server"]["durable"], found["says"]) == (104, True, [])
    assert {p["projection"]: (p["position"], p["lag"]) for p in found["projections"]} == dict.fromkeys(
        QUESTIONS, (104, 0)
    )


def test_given_a_checkpoint_that_is_no_number_when_the_status_is_asked_for_then_it_is_told_and_hides_nothing(
    api: Api, log: Log
) -> None:
    api.post(log, text(event()))
    run_here(log.client, log.ledger)
    log.client.hset(Store(log, PROJECTIONS["totals"]).open_live().state_key, "position", "one")
    answer = api.get(log, "status")
    assert answer.status_code == 200
    found = answer.json()
    assert [says.partition(" is not what")[0] for says in found["says"]] == [
        "unreadable: projection totals: the state of generation 1"
    ]
    assert {p["projection"]: (p["position"], p["lag"], p["readable"]) for p in found["projections"]} == (
        dict.fromkeys(QUESTIONS, (1, 0, True)) | {"totals": (0, None, False)}
    )


def test_of_many_documents_the_status_tells_all_but_the_digest(
    api: Api, history: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = api.get(history, "status").json()["projections"]
    sizes = [
        history.client.hlen(Store(history, PROJECTIONS[each["projection"]]).open_live().documents_key)
        for each in small
    ]
    monkeypatch.setattr(status, "DIGESTED", sorted(sizes)[2])
    large = api.get(history, "status").json()["projections"]
    assert [each["digest"] is None for each in large] == [size > sorted(sizes)[2] for size in sizes]
    assert [each | {"digest": ""} for each in large] == [each | {"digest": ""} for each in small]


def test_it_lives_and_is_ready(api: Api) -> None:
    assert api.client.get("/healthz").json() == {"status": "alive"}
    ready = api.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


def test_documents_of_another_version_are_no_fault_of_who_asks(api: Api, log: Log) -> None:
    log.append(HISTORY)
    run_here(log.client, log.ledger)
    generation = Store(log, PROJECTIONS["totals"]).generation(1)
    log.client.hset(generation.state_key, "version", "99")
    answer = api.get(log, "totals")
    assert "run `approvals replay totals`" in problem(answer, 503, "unreadable")["detail"]
    assert answer.headers["retry-after"] == "10"
    assert api.get(log, "shares").status_code == 200


def test_given_all_connections_that_are_allowed_are_in_use_when_one_is_needed_then_that_is_said_and_not_that_the_store_is_away(
    server: Server, log: Log
) -> None:
    client = connect(f"{server.url}?max_connections=1")
    with running(server, client=client) as api:
        client.connection_pool.get_connection()
        says = problem(api.get(log, "events/1"), 503, "storage-unavailable")["detail"]
    client.close()
    assert says == (
        "this program holds as many connections to the server as it may. Try again; if that does not help, allow more, "
        "with max_connections in the server's URL."
    )


def test_given_the_servers_user_is_gone_when_it_is_asked_then_it_is_said_what_the_server_refuses(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    with running(server, client=connect(f"unix://gone:secret@{server.socket}")) as api:
        says = problem(api.client.get("/ledgers/cac/totals"), 503, "storage-unavailable")["detail"]
    assert says.startswith("the server refuses: ")
    assert says.endswith("username-password pair or user is disabled. Check the user and its password.")


# What cannot be asked


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("totals?valid_at=yesterday", "valid_at"),
        ("charts/totals?valid_at=yesterday", "valid_at"),
        ("diff?projection=totals&from=1&valid_at=yesterday", "valid_at"),
        ("diff?projection=totals&from=999", "from"),
        ("diff?projection=totals&from=1&to=999", "to"),
        ("diff?projection=totals&from=20&to=6", "from"),
        ("shares?authority=CAC&instrument=approval&unit=model&estimator=CAICT", "region"),
        ("totals?known_at=yesterday", "known_at"),
        ("totals?known_at=9999999999999999", "known_at"),
        ("totals?known_at=99999999999999999", "known_at"),
        ("totals?known_as=published", "known_as"),
        ("totals?known_at=3&at_least=4", "at_least"),
        ("totals?unit=model&unit=filing", "unit"),
        ("totals?at_least=x", "at_least"),
        ("totals?surprise=1", "surprise"),
        ("diff?projection=totals&from=6&since=6", "since"),
    ],
)
def test_a_parameter_that_is_refused_is_named(api: Api, history: Log, path: str, parameter: str) -> None:
    answer = api.get(history, path)
    document = problem(answer, 422, answer.json()["code"])
    (fault,) = document["faults"]
    assert (fault["in"], fault["parameter"], fault["code"]) == ("query", parameter, document["code"])
    assert fault["detail"] in document["detail"] or fault["detail"] == "is missing"


def test_a_parameter_that_is_none_is_refused_with_those_that_there_are(api: Api, history: Log) -> None:
    says = problem(api.get(history, "sources?foo=1"), 422, "unknown-parameter")["detail"]
    assert "foo: is not a parameter here; there are valid_at, known_at, known_as, at_least, format," in says
    assert says.endswith(", after, limit")
    assert api.get(history, "companies/Baidu?foo=1").json()["detail"].endswith(", at_least, format")
    for nothing in (api.client.get("/healthz?foo=1"), api.client.get("/page/main.js?foo=1")):
        assert problem(nothing, 422, "unknown-parameter")["detail"].endswith("there are none")


def test_a_parameter_has_one_name(api: Api, history: Log) -> None:
    faults = problem(api.get(history, "diff?projection=totals&since=6"), 422, "validation")["faults"]
    assert {(fault["parameter"], fault["code"]) for fault in faults} == {
        ("from", "validation"),
        ("since", "unknown-parameter"),
    }


def test_a_number_that_is_too_large_is_told_so(api: Api, history: Log) -> None:
    for number in ("12345678901234567", "9" * 16):
        fault = problem(api.get(history, f"events?after={number}"), 422, "validation")["faults"][0]
        assert re.search("is too large|less than or equal to 9007199254740991", fault["detail"]), fault


def test_a_name_that_no_ledger_can_have_is_refused_in_words(api: Api) -> None:
    (fault,) = problem(api.client.get("/ledgers/CAC/totals"), 422, "validation")["faults"]
    assert (fault["in"], fault["parameter"]) == ("path", "ledger")
    assert fault["detail"].startswith("'CAC' cannot name a ledger: use 1 to 64 of a-z, 0-9, - and _")


def test_a_company_that_there_is_not_is_refused_with_where_they_are(api: Api, history: Log) -> None:
    says = problem(api.get(history, "feeds/company?name=nobody"), 404, "unknown-company")["detail"]
    assert "`companies` of the ledger over HTTP" in says


@pytest.mark.parametrize("path", ["totals?authority=", "charts/totals?unit="])
def test_an_empty_term_is_one_as_for_the_command(api: Api, history: Log, path: str) -> None:
    assert api.get(history, path).status_code == 200
    assert api.get(history, "totals?authority=").json() == queries.totals(history, authority="")


@pytest.mark.parametrize(
    "path",
    [
        *(
            f"events?limit={limit}"
            for limit in ("0", "-1", "1001", "1e9", "abc", "", "1.0", "%2B1", "1_0", "٣", "1&limit=2")
        ),
        *(f"events?after={after}" for after in ("0-0", "-1", str(2**64), "1-1", "+", "(1", "$", "*", "")),
        "events?surprise=1",
        "events/0",
        "events/-1",
        "events/1.0",
        "events/1-1",
        f"events/{2**64}",
        "totals?format=xml",
        "totals?steps=yes",
        "totals?valid_at=2024-02-30",
        "totals?valid_at=yesterday",
        "totals?known_at=12:00",
        "totals?known_at=105",
        "totals?known_as=rumoured",
        "totals?known_as=published",
        "diff?projection=totals",
        "diff?from=1",
        "diff?projection=nothing&from=1",
        "status?verbose=1",
    ],
)
def test_a_question_that_is_none_is_422(api: Api, history: Log, path: str) -> None:
    answer = api.get(history, path)
    assert answer.status_code == 422, answer.text
    problem(answer, 422, answer.json()["code"])


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_an_event_cannot_be_changed(api: Api, history: Log, method: str) -> None:
    answer = api.client.request(method, f"/ledgers/{history.ledger}/events/1")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"


def test_every_method_of_a_path_is_named(api: Api, history: Log) -> None:
    assert api.client.put(f"/ledgers/{history.ledger}/events").headers["allow"] == "GET, HEAD, POST"


def test_what_is_nowhere_is_404(api: Api) -> None:
    problem(api.client.get("/nowhere"), 404, "not-found")
    problem(api.client.get("/ledgers/cac/totals/"), 404, "not-found")
    for path in ("/docs", "/redoc"):
        problem(api.client.get(path), 404, "not-found")


@pytest.mark.parametrize(
    "path", ["totals", "events/1", "events?format=ndjson", "companies/Nobody", "events/stream"]
)
def test_head_is_get_without_the_body(api: Api, history: Log, path: str) -> None:
    head = api.client.head(f"/ledgers/{history.ledger}/{path}")
    with api.client.stream("GET", f"/ledgers/{history.ledger}/{path}") as get:
        changing = {"x-request-id", "date", "transfer-encoding", "connection"}
        assert head.status_code == get.status_code
        assert {n: v for n, v in head.headers.items() if n not in changing} == {
            n: v for n, v in get.headers.items() if n not in changing
        }
    assert head.content == b""


# Projections that are behind


def test_projections_that_are_far_behind_are_waited_for_and_then_said_to_be(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "NEAR", 1)
    monkeypatch.setattr(answering, "PATIENCE", 0.0)
    log.append(HISTORY[:3])
    answer = api.get(log, "totals")
    document = problem(answer, 503, "lagging")
    assert answer.headers["retry-after"] == "1"
    assert f"approvals work --ledger {log.ledger}" in document["detail"]
    run_here(log.client, log.ledger)
    assert api.get(log, "totals").json()["position"] == 3


def test_an_answer_of_an_earlier_position_says_so_and_is_not_kept(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "NEAR", 1)
    monkeypatch.setattr(answering, "PATIENCE", 0.0)
    log.append(HISTORY[:3])
    run_here(log.client, log.ledger)
    log.append(HISTORY[3:6])
    answer = api.get(log, "totals")
    assert (answer.json()["position"], "etag" in answer.headers) == (3, False)
    problem(api.get(log, "totals?at_least=6"), 503, "lagging")
    assert api.get(log, "totals?at_least=3").json()["position"] == 3
    assert api.get(log, "totals?known_at=6").json()["position"] == 6


def test_the_same_question_at_once_is_answered_once(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(HISTORY[:3])
    asked, gate, totals = [], threading.Event(), queries.totals

    def slowly(*args: Any, **given: Any) -> Any:
        asked.append(given)
        gate.wait()
        return totals(*args, **given)

    monkeypatch.setattr(queries, "totals", slowly)
    with ThreadPoolExecutor(8) as pool:
        waiting = [
            pool.submit(httpx.get, f"{api.url}/ledgers/{log.ledger}/totals", timeout=60) for _ in range(8)
        ]
        until(lambda: asked)
        gate.set()
        answers = [each.result() for each in waiting]
    assert len(asked) == 1
    assert len({answer.content for answer in answers}) == 1


@contextmanager
def opened(gate: threading.Event) -> Iterator[None]:
    """Opens a gate at the end of a block, so that nobody waits at it when its test has failed."""
    try:
        yield
    finally:
        gate.set()


def test_a_question_that_takes_long_leaves_the_server_to_others_however_many_ask_it(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "PATIENCE", PATIENCE)
    log.append(HISTORY[:3])
    gate, totals = threading.Event(), queries.totals

    def slowly(*args: Any, **given: Any) -> Any:
        gate.wait()
        return totals(*args, **given)

    monkeypatch.setattr(queries, "totals", slowly)
    many = 45
    with ThreadPoolExecutor(many) as pool, opened(gate):
        asked = [pool.submit(api.get, log, "totals") for _ in range(many)]
        until(lambda: sum(each.done() for each in asked) == many - 1 - answering.WAITING_FOR_ONE)
        refused = [each.result() for each in asked if each.done()]
        for path in ("events/1", "status", "sources"):
            assert api.get(log, path).status_code == 200
        assert api.client.get("/healthz").status_code == 200
        gate.set()
        answers = [answer for each in asked if (answer := each.result()) not in refused]
    for answer in refused:
        problem(answer, 503, "busy")
        assert answer.headers["retry-after"] == "5"
    assert [answer.status_code for answer in answers] == [200] * (1 + answering.WAITING_FOR_ONE)


def test_no_more_questions_are_computed_at_once_than_leave_the_server_to_others(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "PATIENCE", PATIENCE)
    log.append(HISTORY[:3])
    gate, totals, most = threading.Event(), queries.totals, answering.BUILT_AT_ONCE
    computed = []

    def slowly(*args: Any, **given: Any) -> Any:
        computed.append(given)
        gate.wait()
        return totals(*args, **given)

    monkeypatch.setattr(queries, "totals", slowly)
    days = [f"2024-{month:02d}-{day:02d}" for month in (1, 2) for day in range(1, 21)]
    with ThreadPoolExecutor(len(days)) as pool, opened(gate):
        asked = [pool.submit(api.get, log, f"totals?valid_at={day}") for day in days]
        until(lambda: sum(each.done() for each in asked) == len(days) - most - answering.WAITING)
        assert len(computed) == most
        assert api.get(log, "events/1").status_code == 200
        problem(api.get(log, "sources"), 503, "busy")
        gate.set()
        codes = Counter(each.result().status_code for each in asked)
    assert codes == {200: most + answering.WAITING, 503: len(days) - most - answering.WAITING}
    assert api.get(log, "sources").status_code == 200


@pytest.mark.parametrize("ledgers", [1, 5])
def test_given_projections_that_are_far_behind_however_many_wait_for_them_then_the_rest_goes_on(
    api: Api, server: Server, log: Log, monkeypatch: pytest.MonkeyPatch, ledgers: int
) -> None:
    monkeypatch.setattr(answering, "NEAR", 1)
    monkeypatch.setattr(answering, "PATIENCE", PATIENCE)
    behind = [Log(server.client(), new_ledger()) for _ in range(ledgers)]
    for each in behind:
        each.append(HISTORY[:3])
    log.append(HISTORY[:1])
    many, places = 45, min(answering.WAITING, answering.WAITING_FOR_ONE * ledgers)
    with ThreadPoolExecutor(many) as pool, come_on(behind):
        asked = [pool.submit(api.get, behind[n % ledgers], "totals?at_least=3") for n in range(many)]
        until(lambda: sum(each.done() for each in asked) == many - places)
        refused = [each.result() for each in asked if each.done()]
        for path in ("events/1", "status", "totals"):
            assert api.get(log, path).status_code == 200
        assert api.post(log, text(event())).status_code == 201
        assert sum(each.done() for each in asked) == len(refused)
    answers = [answer for each in asked if (answer := each.result()) not in refused]
    for answer in refused:
        says = problem(answer, 503, "busy")["detail"]
        assert "3 events behind its head, 3, and no more requests may wait for that" in says
        assert answer.headers["retry-after"] == "5"
    assert [answer.json()["position"] for answer in answers] == [3] * places


@contextmanager
def come_on(behind: list[Log]) -> Iterator[None]:
    """Moves projections on at the end of a block, so that nobody waits for them when its test has failed."""
    try:
        yield
    finally:
        for each in behind:
            run_here(each.client, each.ledger)


def test_given_a_status_that_takes_long_however_many_ask_for_it_then_they_share_the_next_and_the_rest_goes_on(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, came, made, of = threading.Event(), [], [], health.Statuses.of

    async def counted(self: health.Statuses, log: Log) -> dict[str, Any]:
        came.append(log)
        return await of(self, log)

    def slowly(log: Log) -> dict[str, Any]:
        made.append(log)
        gate.wait()
        return status.status_of(log)

    monkeypatch.setattr(health.Statuses, "of", counted)
    monkeypatch.setattr(health, "status_of", slowly)
    api.post(log, text(event("e1")))
    many = 45
    with ThreadPoolExecutor(many + 1) as pool, opened(gate):
        asked = [pool.submit(api.get, log, "status") for _ in range(many)]
        until(lambda: len(came) == many and made)
        assert api.post(log, text(event("e2"))).status_code == 201
        last = pool.submit(api.get, log, "status")
        until(lambda: len(came) == many + 1)
        for path in ("events/1", "totals"):
            assert api.get(log, path).status_code == 200
        assert not any(each.done() for each in [*asked, last])
        gate.set()
        answers = [each.result() for each in [*asked, last]]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].json()["head"] == 2
    assert len(made) <= health.MADE_AT_ONCE + 1


def test_given_a_status_that_fails_then_who_waited_for_it_is_told_and_the_next_is_made(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(log: Log) -> dict[str, Any]:
        raise StorageUnavailable("the server is away")

    with monkeypatch.context() as failing:
        failing.setattr(health, "status_of", away)
        problem(api.get(log, "status"), 503, "storage-unavailable")
    assert api.get(log, "status").status_code == 200


def test_who_waits_for_a_turn_waits_no_longer_than_some_seconds_and_what_fails_gives_its_turn_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answering, "PATIENCE", 0.0)
    monkeypatch.setattr(answering, "BUILT_AT_ONCE", 1)
    answers = answering.Answers()

    def built() -> tuple[bytes, bool]:
        return b"1", True

    def meanwhile() -> tuple[bytes, bool]:
        for tag in "ab":
            with pytest.raises(RequestRefused) as refused:
                answers.get_or_build(tag, built)
            assert (refused.value.status, refused.value.code) == (503, "busy")
        raise BadQuestion("it fails")

    with pytest.raises(BadQuestion, match="it fails"):
        answers.get_or_build("a", meanwhile)
    assert answers.get_or_build("a", built) == answers.get_or_build("b", built) == (b"1", True)


def kept(answers: answering.Answers, tag: str) -> bytes | None:
    """What is kept for a tag, where anything is."""
    return answers.get_or_build(tag, lambda: (b"", False))[0] or None


def test_what_is_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "KEPT_BYTES", 20)
    answers = answering.Answers()
    for tag in "abcde":
        answers.keep(tag, b"12345")
    kept(answers, "b")
    answers.keep("f", b"1")
    answers.keep("b", b"1234")
    assert [kept(answers, tag) for tag in "abcdef"] == [None, b"1234", None, b"12345", b"12345", b"1"]


def test_an_answer_that_would_take_much_of_what_is_kept_is_not_kept_and_the_others_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answering, "KEPT_BYTES", 20)
    answers = answering.Answers()
    for tag in "abc":
        answers.keep(tag, b"12345")
    answers.keep("d", b"123456")
    assert [kept(answers, tag) for tag in "abcd"] == [b"12345", b"12345", b"12345", None]
