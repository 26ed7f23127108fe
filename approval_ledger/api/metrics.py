"""/metrics for Prometheus. No company, event id or token is a label: their number has no bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.types import Scope

from events import LedgerError, Log, LogDamaged, StorageUnavailable, Unreadable, durability
from projections import PROJECTIONS, Generation, live_generations
from workers import queue_length, workers_alive
from workers.webhooks import outcomes, subscriptions

from . import documents, parameters
from .access import WATCHING
from .streaming import Streams

router = APIRouter(tags=["operations"])

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """What is counted in this process, and, when it is asked for, how the ledger is."""

    def __init__(self, log: Log, streams: Streams) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "approvals_http_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "approvals_http_request_duration_seconds",
            "How long requests took, without streams.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._appended = Counter(
            "approvals_events_appended", "Events that this process appended.", registry=self.registry
        )
        Gauge("approvals_http_streams", "Open event streams.", registry=self.registry).set_function(
            lambda: streams.open
        )
        self.registry.register(OfLedger(log))

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Counts a request that has ended."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "none")  # the pattern, and not what stood in its place
        self._requests.labels(method, route, str(status)).inc()
        if not route.endswith("/stream"):
            self._seconds.labels(method, route).observe(seconds)
        self._appended.inc(len(scope.get("appended", ())))


class OfLedger(Collector):
    """How a ledger is at the moment it is asked."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def collect(self) -> Iterator[Metric]:
        """The store's state, and, where that can be read, the ledger's."""
        try:
            found = list(self._collect())
        except LedgerError:
            found = []
        yield self._gauge("approvals_ledger_readable", "1 if the ledger can be read, else 0.", bool(found))
        yield from found

    def describe(self) -> list[Metric]:
        return []  # to register it is not to ask the store

    def _collect(self) -> Iterator[Metric]:
        log = self._log
        durable = not durability.check(log.client)
        # One that was read from another log is none: beyond the head, it seemed to be ahead of it.
        reached = self._of_each(lambda generation: generation.verified_checkpoint().position)
        parked = self._of_each(lambda generation: len(generation.parked()))
        head = log.head()
        yield self._gauge("approvals_ledger_durable", "1 if appends are acknowledged, else 0.", durable)
        yield self._gauge("approvals_ledger_head_position", "The last position of the log.", head)
        yield self._gauge(
            "approvals_workers", "Workers that are connected.", workers_alive(log.client, log.ledger)
        )
        with suppress(Unreadable):
            yield self._gauge("approvals_queue_jobs", "Jobs that wait.", queue_length(log.client, log.ledger))
        lag = {name: head - position for name, position in reached.items()}
        yield self._by_projection("approvals_projection_position", "The position it has reached.", reached)
        yield self._by_projection("approvals_projection_lag_events", "Events it is behind the head.", lag)
        yield self._by_projection("approvals_projection_parked_events", "Events it could not apply.", parked)
        with suppress(Unreadable, LogDamaged):  # what something else wrote to hides nothing of the ledger
            yield from self._of_webhooks(head)

    def _of_each(self, ask: Callable[[Generation], int]) -> dict[str, int]:
        """What is asked of each projection; one where that cannot be told is left out, and hides nothing of the others."""
        found = {}
        for name, projection in PROJECTIONS.items():
            try:
                (live,) = live_generations(self._log, [projection])
                found[name] = ask(live)
            except StorageUnavailable:
                raise
            except LedgerError:
                pass
        return found

    def _of_webhooks(self, head: int) -> list[Metric]:
        """By ledger alone: a subscription's URL is a password to many a receiver, and its id says nothing to who reads this."""
        log = self._log
        there = subscriptions.all_of(log)
        counts = subscriptions.counts(log, there)
        states = {
            "enabled": counts["enabled"] - counts["failing"],
            "failing": counts["failing"],
            "disabled": counts["disabled"],
        }
        by_state = GaugeMetricFamily(
            "approvals_webhook_subscriptions", "Subscriptions, by state.", labels=("ledger", "state")
        )
        for state, number in states.items():
            by_state.add_metric((log.ledger, state), number)
        ended = CounterMetricFamily(
            "approvals_webhook_deliveries",
            "Attempts to deliver an event, by outcome.",
            labels=("ledger", "outcome"),
        )
        for outcome, number in outcomes.counts(log).items():
            ended.add_metric((log.ledger, outcome), number)
        lag = max((head - each.position for each in there if each.enabled), default=0)
        return [
            by_state,
            ended,
            self._gauge(
                "approvals_webhook_dead_letters", "Events that were set aside.", counts["dead_letters"]
            ),
            self._gauge(
                "approvals_webhook_lag_events",
                "How many events the slowest enabled subscription is behind the head.",
                max(0, lag),
            ),
        ]

    def _gauge(self, name: str, help: str, value: float) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(name, help, labels=("ledger",))
        gauge.add_metric((self._log.ledger,), value)
        return gauge

    def _by_projection(self, name: str, help: str, values: dict[str, int]) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(name, help, labels=("ledger", "projection"))
        for projection, value in values.items():
            gauge.add_metric((self._log.ledger, projection), value)
        return gauge


@router.get("/metrics", responses=documents.metrics(), dependencies=[WATCHING])
def metrics(request: Request, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001  # it refuses every parameter
    """Counters of this process and gauges of the first ledger, for Prometheus."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    found: Metrics = request.app.state.metrics
    return Response(encode(found.registry), headers={"Content-Type": media_type, "Cache-Control": "no-store"})
