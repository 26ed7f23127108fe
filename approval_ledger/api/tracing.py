"""OpenTelemetry: one trace from a request through its append to each projection that shows what it appended.

FastAPI makes the span of the request, and exports what OTEL_* says. Here are the spans below it. When a projection has an
event is seen from here, as a reader would see it: workers need know nothing of traces, and what lies between is the wait.
The `traceparent` that an event carries is its producer's, and part of its bytes; the append links to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from events import Event, LedgerError, Log
from projections import PROJECTIONS, live_generations

logger = structlog.get_logger("http")

LOOK = 0.02  # seconds between two looks at the projections
PATIENCE = 30.0  # seconds after which a projection is said not to have come
PENDING = 1_000  # appends that are waited for; of any more the trace ends with the append


def asked_for(environment: Mapping[str, str]) -> bool:
    """Whether traces are wanted, by OTEL_*, and can be made."""
    wanted = any(name.startswith("OTEL_") for name in environment)
    if not wanted or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if find_spec("opentelemetry.sdk") is None:
        logger.warning("tracing_missing", says="OTEL_* is set: install approval-ledger[tracing] for traces")
        return False
    return True


@dataclass(slots=True)
class _Awaited:
    log: Log
    position: int
    context: Context
    appended_ns: int
    deadline: float
    missing: set[str] = field(default_factory=lambda: set(PROJECTIONS))


class Tracing:
    """The spans of one server. Where nobody asked for traces they are none, and cost next to nothing."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("approval-ledger", tracer_provider=provider)
        self._awaited: list[_Awaited] = []
        self._lock = threading.Lock()
        self._watching = False

    @contextmanager
    def appending(self, log: Log, events: Sequence[Event]) -> Iterator[Span]:
        """The span of an append, with links to the traces that its events were made in."""
        links = [Link(context) for event in events if (context := _given(event)) is not None]
        attributes: dict[str, str | int] = {"approvals.ledger": log.ledger, "approvals.events": len(events)}
        with self._tracer.start_as_current_span("append", links=links, attributes=attributes) as span:
            yield span

    def appended(self, span: Span, log: Log, position: int) -> None:
        """Has a span made for each projection when it has reached `position`."""
        if not span.is_recording():
            return
        span.set_attribute("approvals.position", position)
        awaited = _Awaited(
            log, position, trace.set_span_in_context(span), time.time_ns(), time.monotonic() + PATIENCE
        )
        with self._lock:
            if len(self._awaited) >= PENDING:
                return
            self._awaited.append(awaited)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="trace-projections", daemon=True).start()

    def _watch(self) -> None:
        while True:
            with self._lock:
                self._awaited = [each for each in self._awaited if each.missing]
                if not self._awaited:
                    self._watching = False
                    return
                awaited = list(self._awaited)
            for each in awaited:
                self._look(each)
            time.sleep(LOOK)

    def _look(self, awaited: _Awaited) -> None:
        late = time.monotonic() > awaited.deadline
        for name in sorted(awaited.missing):
            if late or _has_reached(awaited.log, name, awaited.position):
                awaited.missing.discard(name)
                span = self._tracer.start_span(
                    f"project {name}",
                    awaited.context,
                    attributes={"approvals.projection": name, "approvals.position": awaited.position},
                    start_time=awaited.appended_ns,
                )
                if late:
                    span.set_status(Status(StatusCode.ERROR, f"not there after {PATIENCE:.0f} seconds"))
                span.end()


def _has_reached(log: Log, name: str, position: int) -> bool:
    try:
        (live,) = live_generations(log, [PROJECTIONS[name]])
        return live.checkpoint().position >= position
    except LedgerError:
        return False


def _given(event: Event) -> SpanContext | None:
    if event.traceparent is None:
        return None
    found = TraceContextTextMapPropagator().extract({"traceparent": event.traceparent}, Context())
    context = trace.get_current_span(found).get_span_context()
    return context if context.is_valid else None
