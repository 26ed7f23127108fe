"""Traces: one from the request through the append to the projections; none where nobody asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from approval_ledger.api import tracing
from events import Log
from projections import PROJECTIONS
from workers import run_here

from .api import Api, running
from .command import event, text
from .servers import Server
from .waiting import until

TRACE, PRODUCER = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(scope="module")
def traced(server: Server, spans: InMemorySpanExporter) -> Iterator[Api]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with running(server, provider) as api:
        yield api


def of_trace(spans: InMemorySpanExporter, trace: str) -> dict[str, ReadableSpan]:
    return {
        span.name: span
        for span in spans.get_finished_spans()
        if span.context is not None and span.context.trace_id == int(trace, 16)
    }


def test_one_trace_leads_from_the_request_to_every_projection(
    traced: Api, log: Log, spans: InMemorySpanExporter
) -> None:
    made = event(traceparent=f"00-{PRODUCER}-b7ad6b7169203331-01")
    traced.post(log, text(made), traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    run_here(log.client, log.ledger)
    projected = {f"project {name}" for name in PROJECTIONS}
    until(lambda: projected <= of_trace(spans, TRACE).keys())
    found = of_trace(spans, TRACE)
    append = found["append"]
    assert append.context is not None
    request = found["POST /ledgers/{ledger}/events"]
    assert request.parent is not None
    assert request.parent.span_id == int("00f067aa0ba902b7", 16)
    assert [link.context.trace_id for link in append.links] == [int(PRODUCER, 16)]
    for name in projected:
        parent = found[name].parent
        assert parent is not None
        assert parent.span_id == append.context.span_id
        attributes = found[name].attributes
        assert attributes is not None
        assert attributes["approvals.position"] == 1
    assert '"traceparent":"00-0af7' in traced.get(log, "events").text


def test_a_projection_that_does_not_come_is_an_error(
    traced: Api, log: Log, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "PATIENCE", 0.0)
    trace = TRACE.replace("4", "5")
    traced.post(log, text(event()), traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    until(lambda: "project totals" in of_trace(spans, trace))
    assert not of_trace(spans, trace)["project totals"].status.is_ok


def test_a_token_in_an_address_is_in_no_trace(traced: Api, log: Log, spans: InMemorySpanExporter) -> None:
    trace = TRACE.replace("4", "6")
    traced.get(log, "totals?api_key=alt.secret", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    until(lambda: of_trace(spans, trace))
    assert "alt.secret" not in str([dict(span.attributes or {}) for span in of_trace(spans, trace).values()])


def test_without_otel_nothing_is_made(api: Api, log: Log, spans: InMemorySpanExporter) -> None:
    trace = TRACE.replace("4", "7")
    api.post(log, text(event()), traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    assert of_trace(spans, trace) == {}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_environment_asks_for_traces(environment: dict[str, str], wanted: bool) -> None:
    assert tracing.asked_for(environment) == wanted
