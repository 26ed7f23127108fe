"""/openapi.json tells the truth, as far as requests that are made from it can find out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from workers import run_here

from .api import Api, problem, running
from .command import ROOT, clean_environment
from .given import HISTORY
from .long import LONG
from .servers import Server

HERE = Path(__file__).parent


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    from events import Log

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
                *("--phases", "examples,coverage,fuzzing" if LONG else "examples,fuzzing"),
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


def test_the_description_itself_is_asked_for_like_everything_else(api: Api) -> None:
    assert api.client.get("/openapi.json").headers["cache-control"] == "no-store"
    refused = problem(api.client.delete("/openapi.json"), 405, "method-not-allowed")
    assert "GET, HEAD" in refused["detail"]


def test_no_page_of_it_is_served_that_would_load_anything_from_elsewhere(api: Api) -> None:
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        assert api.client.get(path).status_code == 404
