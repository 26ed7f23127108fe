"""Reading and publishing over HTTP on the real history: what a client on this machine waits for, one request at a time."""

from __future__ import annotations

import http.client
import json
import logging
import time
from collections.abc import Iterable
from itertools import cycle, islice
from typing import Any

import structlog

from approval_ledger import telemetry
from approval_ledger.api.serving import Serving, bound
from approval_ledger.api.settings import Settings
from approval_ledger.examples_at import example
from events import valid_events
from workers import run_here

from .figures import Figure
from .measure import Bench, percentile

PART = "http"
READS = ("totals", "batches", "companies", "companies?name=Baidu", "shares", "sources", "events", "status")
QUESTIONS = {
    "totals": "totals?valid_at={day}",
    "totals, day by day": "totals?steps=true&valid_at={day}",
    "batches": "batches?valid_at={day}",
    "companies": "companies?valid_at={day}",
    "one company": "companies/Baidu?valid_at={day}",
    "shares": "shares?valid_at={day}",
    "sources": "sources?valid_at={day}",
    "what was known then": "totals?known_at=60&valid_at={day}",
    "what was known one event later": "totals?known_at={position}",
    "what changed in the last 4 events": "diff?projection=totals&from=100&valid_at={day}",
    "status": "status",  # which is made anew each time
}
"""What is asked of one day, or of one position, after the other, each for the first time."""
REQUESTS = 200
OF_EACH = 60
MOST = 5  # ms


def _quietly() -> None:
    """Warnings alone: a line for each request would bury the figures."""
    telemetry.configure()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def measure(bench: Bench) -> list[Figure]:
    """Answers that are asked for the first time since an event came, those that were asked for before, and publishing."""
    log = bench.log("http")
    log.append(valid_events(example("history.ndjson").read_bytes()))
    run_here(log.client, log.ledger)
    settings = Settings(log.ledger, port=0, rate=None)
    with bound(settings) as listening:
        port = listening.getsockname()[1]
        with Serving(bench.url, settings, listening, _quietly):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            path = f"/ledgers/{log.ledger}"
            again = [f"{path}/{read}" for read in islice(cycle(READS), REQUESTS)]
            _waits(connection, again)  # so that nothing is imported, and everything was asked before
            kept = _waits(connection, again)
            new = {
                read: _waits(
                    connection,
                    (
                        f"{path}/{asked.format(day=day, position=position)}"
                        for position, day in enumerate(_days(), start=log.head() - OF_EACH)
                    ),
                )
                for read, asked in QUESTIONS.items()
            }
            published = [_publish(connection, f"{path}/events", n) for n in range(REQUESTS)]
            connection.close()
    return [
        Figure(PART, "a read over HTTP of what was asked before, p50", *_half(kept), None, "", MOST, True),
        Figure(
            PART,
            "a read over HTTP of what was not, p50 of all the kinds below",
            *_half([wait for waits in new.values() for wait in waits]),
            None,
            "",
            MOST,
            True,
        ),
        *(
            Figure(
                PART, f"a read over HTTP of what was not, p50: {read}", *_half(waits), None, "", MOST, True
            )
            for read, waits in new.items()
        ),
        Figure(PART, "an event published over HTTP, one a request, p50", *_half(published)),
    ]


def _days() -> list[str]:
    return [f"2024-{1 + n % 12:02d}-{1 + n // 12:02d}" for n in range(OF_EACH)]


def _half(seconds: list[float]) -> tuple[float, str]:
    return percentile(seconds, 0.5) * 1000, "ms"


def _waits(connection: http.client.HTTPConnection, paths: Iterable[str]) -> list[float]:
    return [_wait(connection, "GET", path) for path in paths]


def _wait(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> float:
    headers = {} if body is None else {"Content-Type": "application/cloudevents+json"}
    started = time.perf_counter()
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    response.read()
    took = time.perf_counter() - started
    if response.status not in (200, 201):
        raise AssertionError(f"{method} {path}: {response.status}")
    return took


def _publish(connection: http.client.HTTPConnection, path: str, n: int) -> float:
    data: dict[str, Any] = {
        "company": "Baidu",
        "item": "Ernie Bot",
        "users": {"relation": ">", "value": n},
        "as_of": "2024",
        "source": {"publisher": "bench"},
    }
    event = {
        "specversion": "1.0",
        "id": f"b{n}",
        "source": "urn:bench",
        "type": "usage.reported.v1",
        "data": data,
    }
    return _wait(connection, "POST", path, json.dumps(event).encode())
