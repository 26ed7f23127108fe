"""/openapi.json tells the truth, as far as requests that are made from it can find out."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from approval_ledger.api.parameters import DAY
from events import Log, date_range
from workers import run_here

from .api import Api, problem, running
from .command import ROOT, SOURCE, TERMS, TOTAL, event, text
from .forks import clean_environment
from .given import HISTORY
from .long import only_long
from .servers import Server

HERE = Path(__file__).parent
REFERENCES = ("id", "source", "correlationid", "causationid")


@only_long
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with Server() as server, running(server) as api:
        log = Log(server.client(), "cac")
        log.append(HISTORY[:20])  # of more, each of a thousand questions takes longer, and finds no more
        run_here(log.client, log.ledger)
        found = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                *("--config-file", HERE / "schemathesis.toml"),
                *("run", f"{api.url}/openapi.json"),
                *("--checks", "all"),
                *("--phases", "examples,coverage,fuzzing"),
                *("--max-examples", "3"),
                *("--exclude-path-regex", "/stream$"),  # it does not end
                *("--generation-deterministic", "--no-color"),
            ],
            env=clean_environment()
            | {"SCHEMATHESIS_HOOKS": "tests.schemathesis_checks", "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert api.client.get("/healthz").status_code == 200
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_pattern_of_a_date_has_every_date_that_is_taken_and_no_other() -> None:
    months = [f"{year}-{month:02d}" for year in (1899, 1900, 2023, 2024, 9999) for month in range(14)]
    days = [f"{month}-{day:02d}" for month in months for day in range(33)]
    years = [f"{year:04d}" for year in range(10_000)]
    for date in (*years, *(f"{year}-02-29" for year in years), *months, *days):
        assert bool(re.search(f"^{DAY}$", date)) == is_date(date), date


def is_date(date: str) -> bool:
    try:
        return bool(date_range(date))
    except ValueError:
        return False


def test_it_is_openapi_3_1_and_every_path_describes_its_problems(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            statuses = operation["responses"]
            assert {"400", "405", "422", "500", "503"} <= set(statuses), (method, path)
            for status, response in statuses.items():
                if status >= "400" and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
    assert "HTTPValidationError" not in str(document)


GRANTED = TERMS | {
    "item": {"name": "x"},
    "company": {"name": "y"},
    "approved_on": "2024-01-01",
    "source": SOURCE,
}
ROW = GRANTED | {"published": {"No.": "1"}}
BATCH = TERMS | {"announced_on": "2024-01-01", "size": {"relation": "=", "value": 2}, "source": SOURCE}


def of_type(type: str, revision: int, data: object) -> dict[str, object]:
    return event(type=type, data=data, dataschema=f"urn:approval-ledger:{type}:{revision}")


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        *((event(**{name: "x" * 256}), True) for name in REFERENCES),
        *((event(**{name: "x" * 257}), False) for name in REFERENCES),
        (event(subject="x" * 201), False),
        (of_type("approval.granted.v1", 2, ROW), True),
        (of_type("approval.granted.v1", 1, GRANTED), True),
        (of_type("approval.granted.v1", 1, ROW), False),
        (of_type("approval.granted.v1", 3, GRANTED), False),
        (of_type("batch.announced.v1", 2, BATCH | {"named": [{"company": "y"}]}), True),
        (of_type("batch.announced.v1", 1, BATCH | {"named": ["y", {"company": "z"}]}), True),
        (of_type("batch.announced.v1", 2, BATCH | {"named": ["y"]}), False),
        (event(type="batch.announced.v1", data=BATCH | {"named": ["y"]}), False),
        (of_type("total.reported.v1", 1, TOTAL), True),
        (of_type("total.reported.v1", 2, TOTAL), False),
    ],
)
def test_what_it_says_of_an_event_is_what_is_taken(
    api: Api, log: Log, sent: dict[str, object], taken: bool
) -> None:
    document = api.client.get("/openapi.json").json()
    described = {"$ref": "#/components/schemas/Event", "components": document["components"]}
    assert jsonschema_rs.is_valid(described, sent) is taken
    assert (api.post(log, text(sent)).status_code == 201) is taken


def test_each_position_that_may_be_left_out_says_what_counts_then(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    said = {
        path.rpartition("/")[2]: parameter["description"]
        for path, operations in paths.items()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "after" and "default" not in parameter["schema"]
    }
    assert said == {
        "stream": "By default the head: what comes from now on.",
        "enable": "By default where it was.",
    }


def test_events_alone_are_to_be_sent_again_where_the_answer_was_lost(api: Api) -> None:
    """Sent twice, a subscription would be two."""
    paths = api.client.get("/openapi.json").json()["paths"]
    said = {
        path: operation["responses"]["504"]["description"]
        for path, operations in paths.items()
        for operation in operations.values()
        if "504" in operation["responses"]
    }
    assert [path for path, says in said.items() if "send the same events again" in says] == [
        "/ledgers/{ledger}/events"
    ]
    assert len(said) > 5


def test_each_operation_has_a_name_for_people(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    names = [operation["summary"] for operations in paths.values() for operation in operations.values()]
    assert [name for name in names if name != name.strip()] == []


def test_an_answer_that_is_never_json_is_not_said_to_be_some(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    said = {
        path: list(each["get"]["responses"]["200"]["content"])
        for path, each in paths.items()
        if "get" in each
    }
    assert said["/metrics"] == ["application/openmetrics-text", "text/plain"]
    assert said["/ledgers/{ledger}/events/stream"] == ["text/event-stream"]
    assert said["/ledgers/{ledger}/events/{position}"] == ["application/cloudevents+json"]
    assert [said[path] for path in said if "/feeds/" in path] == [["application/atom+xml"]] * 3
    assert "application/json" in said["/ledgers/{ledger}/totals"]
    assert "application/json" in said["/ledgers/{ledger}/events"]


def test_the_name_of_a_company_is_as_long_in_the_path_as_in_the_query(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]

    def limits(path: str) -> list[str]:
        given = paths[f"/ledgers/{{ledger}}/{path}"]["get"]["parameters"]
        return [str(each["schema"]) for each in given if each["name"] == "name"]

    assert "'maxLength': 200" in limits("companies")[0]
    assert "'maxLength': 200" in limits("companies/{name}")[0]


def test_headers_are_named_where_they_count(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]

    def headers(path: str, method: str) -> set[str]:
        parameters = paths[f"/ledgers/{{ledger}}/{path}"][method].get("parameters", ())
        return {each["name"] for each in parameters if each["in"] == "header"}

    assert headers("events/stream", "get") == {"Last-Event-ID"}
    for path in ("events", "events/{position}", "totals", "diff", "charts/shares", "feeds/approvals"):
        assert headers(path, "get") == {"If-None-Match"}
    for path in ("status", "webhooks", "projections/{projection}/rebuild"):
        assert headers(path, "get") == set()
    assert {"If-Match", "Expect-Subject", "ce-id", "ce-dataschema"} <= headers("events", "post")
    assert "If-None-Match" not in headers("events", "post")


def test_a_position_that_is_expected_has_up_to_16_digits(api: Api, log: Log) -> None:
    parameters = api.client.get("/openapi.json").json()["paths"]["/ledgers/{ledger}/events"]["post"][
        "parameters"
    ]
    (pattern,) = (each["schema"]["pattern"] for each in parameters if each["name"] == "If-Match")
    most = f'"{2**53 - 1}"'
    assert re.search(pattern, most)
    problem(api.post(log, text(event()), If_Match=most), 412, "stale-expectation")


def test_whatever_writes_may_not_know_what_came_of_it(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    writing = [each for path in paths.values() for method, each in path.items() if method != "get"]
    assert writing
    assert all("504" in each["responses"] for each in writing)


def test_the_description_itself_is_asked_for_like_everything_else(api: Api) -> None:
    assert api.client.get("/openapi.json").headers["cache-control"] == "no-store"
    refused = problem(api.client.delete("/openapi.json"), 405, "method-not-allowed")
    assert "GET, HEAD" in refused["detail"]


def test_no_page_of_it_is_served_that_would_load_anything_from_elsewhere(api: Api) -> None:
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        assert api.client.get(path).status_code == 404


def test_no_default_is_one_that_its_own_schema_refuses(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    defaults = list(with_defaults(document))
    assert len(defaults) > 10
    refused = [
        schema
        for schema in defaults
        if not jsonschema_rs.is_valid(schema | {"components": document["components"]}, schema["default"])
    ]
    assert refused == []


def with_defaults(part: object) -> Iterator[dict[str, Any]]:
    """Every schema in a document that has a default."""
    if isinstance(part, dict):
        if "default" in part and not isinstance(part["default"], dict):
            yield part
        for inner in part.values():
            yield from with_defaults(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from with_defaults(inner)
