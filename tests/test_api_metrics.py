"""/metrics: names with one prefix, base units, labels whose number is bounded, and the truth about the ledger."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from events import Log
from projections import PROJECTIONS, Store
from workers import run_here

from .api import Api, problem, running
from .command import event, text
from .servers import Server


def read(api: Api) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = api.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_method_pattern_and_status(server: Server, log: Log) -> None:
    with running(server, ledger=log.ledger) as api:
        api.post(log, text(event()))
        for name in ("one", "two", "three"):
            api.get(log, f"companies/{name}")
        api.client.request("BREW", "/pot")
        api.client.get("/openapi.json")
        found = read(api)

    def requests(method: str, route: str, status: str) -> float:
        labels = (("method", method), ("route", route), ("status", status))
        return found["approvals_http_requests_total", labels]

    assert requests("POST", "/ledgers/{ledger}/events", "201") == 1
    assert requests("GET", "/ledgers/{ledger}/companies/{name:path}", "404") == 3
    assert requests("other", "none", "404") == 1
    assert requests("GET", "/openapi.json", "200") == 1
    assert found["approvals_events_appended_total", ()] == 1
    labels = (("method", "POST"), ("route", "/ledgers/{ledger}/events"))
    assert found["approvals_http_request_duration_seconds_count", labels] == 1


def test_lag_is_measured_against_the_log_s_own_head(server: Server, log: Log) -> None:
    mine = ("ledger", log.ledger)
    with running(server, ledger=log.ledger) as api:
        api.post(log, text(event()))
        assert read(api)["approvals_projection_lag_events", (mine, ("projection", "totals"))] == 1
        run_here(log.client, log.ledger)
        found = read(api)
    assert found["approvals_projection_lag_events", (mine, ("projection", "totals"))] == 0
    assert found["approvals_projection_position", (mine, ("projection", "sources"))] == 1
    assert found["approvals_ledger_head_position", (mine,)] == 1
    assert found["approvals_ledger_durable", (mine,)] == 1
    assert found["approvals_projection_parked_events", (mine, ("projection", "shares"))] == 0


def test_every_name_has_the_prefix_and_no_label_names_what_is_in_the_log(api: Api, log: Log) -> None:
    api.post(log, text(event("a-secret-id")))
    api.get(log, "companies/A-Company")
    found = read(api)
    assert all(name.startswith("approvals_") for name, _ in found)
    assert {label for _, labels in found for label, _ in labels} <= {
        "method",
        "route",
        "status",
        "le",
        "ledger",
        "projection",
        "outcome",
        "state",
    }
    assert not re.search("a-secret-id|A-Company", str(found))
    assert not [name for name, _ in found if re.search("_ms|_milliseconds|_kb|_mb", name)]


def test_a_store_that_is_away_is_told_and_hides_nothing_else() -> None:
    with Server() as server, running(server) as api:
        server.kill()
        found = read(api)
    assert found["approvals_ledger_readable", (("ledger", "cac"),)] == 0
    assert ("approvals_http_streams", ()) in found


@pytest.mark.parametrize("broken", ["version", "position", "beyond", "pointer", "parked"])
def test_given_a_projection_that_cannot_be_read_when_it_is_watched_then_all_else_of_the_ledger_is_told(
    server: Server, log: Log, broken: str
) -> None:
    mine, totals = ("ledger", log.ledger), Store(log, PROJECTIONS["totals"]).open_live()
    with running(server, ledger=log.ledger) as api:
        api.post(log, text(event()))
        run_here(log.client, log.ledger)
        before = read(api)
        match broken:
            case "pointer":
                log.client.hset(totals.store.pointer, "live", "first")
            case "beyond":  # as where the log was restored, and it was not
                log.client.hset(totals.state_key, "position", "7")
            case "parked":
                log.client.set(totals.parked_key, "something else's")
            case _:
                log.client.hset(totals.state_key, broken, "99" if broken == "version" else "one")
        after = read(api)
    assert after["approvals_ledger_readable", (mine,)] == 1
    of_totals = {name.removeprefix("approvals_projection_") for name, _ in set(before) - set(after)}
    assert (
        of_totals
        == {
            "version": {"position", "lag_events"},
            "position": {"position", "lag_events"},
            "beyond": {"position", "lag_events"},
            "pointer": {"position", "lag_events", "parked_events"},
            "parked": {"parked_events"},
        }[broken]
    )
    assert {labels for _, labels in set(before) - set(after)} == {(mine, ("projection", "totals"))}


def test_given_a_queue_that_something_else_wrote_when_it_is_watched_then_all_else_is_told(
    server: Server, log: Log
) -> None:
    with running(server, ledger=log.ledger) as api:
        api.post(log, text(event()))
        run_here(log.client, log.ledger)
        before = read(api)
        log.client.set(f"rq:queue:{{{log.ledger}}}:doorbell", "something else's")
        after = read(api)
    assert {name for name, _ in set(before) - set(after)} == {"approvals_queue_jobs"}


def test_it_is_for_who_may_read(server: Server, log: Log) -> None:
    with running(server, ledger=log.ledger, public_reads=False) as api:
        problem(api.client.get("/metrics"), 401, "unauthenticated")


@pytest.mark.parametrize("path", ["/metrics?x=1", "/healthz?x=1", "/readyz?x=1"])
def test_it_takes_no_parameter(api: Api, path: str) -> None:
    problem(api.client.get(path), 422, "unknown-parameter")
