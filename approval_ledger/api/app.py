"""The application: routes, middleware and state put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from opentelemetry.trace import NoOpTracerProvider, TracerProvider
from redis import Redis
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from events import LedgerError

from ..web import charts, page
from . import (
    documents,
    feeds,
    health,
    log,
    metrics,
    publication,
    publishing,
    reading,
    rebuilding,
    streaming,
    subscribing,
)
from .access import counting
from .answering import Answers
from .guard import Guard
from .head import Head
from .journal import Journal
from .ledgers import Ledgers
from .limits import Limits
from .lingering import Lingering
from .parameters import once_each
from .problems import of_http, of_validation, problem
from .settings import Settings
from .streaming import Streams
from .tracing import Tracing


def create_app(
    client: Redis,
    settings: Settings,
    *,
    traced: bool = False,
    tracer_provider: TracerProvider | None = None,
) -> FastAPI:
    """The ledgers on the server of `client`, over HTTP. `traced`: what traces go to is `tracer_provider`, or else
    what OTEL_* says."""
    ledgers, streams = Ledgers(client), Streams(settings.streams)
    counted = metrics.Metrics(ledgers.log(settings.ledger), streams)
    app = FastAPI(
        title="approval-ledger",
        version=version("approval-ledger"),
        summary="A ledger of AI model approvals: figures as bounds, with their evidence, that anyone can replay.",
        license_info={"name": "MIT", "identifier": "MIT"},
        # Their pages load scripts from another host.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # `documents` serves it, as a route like the others
        redirect_slashes=False,
        lifespan=_lifespan,
        dependencies=[Depends(once_each)],
        telemetry={
            "tracing": traced,
            "tracer_provider": tracer_provider,
            "auto_configure": traced and tracer_provider is None,
            "metrics": False,
            "logs": False,
        },
        middleware=[
            Middleware(Lingering),
            Middleware(Journal, metrics=counted),
            Middleware(Guard, settings=settings),
            Middleware(Head),
        ],
    )
    app.state.settings = settings
    app.state.ledgers = ledgers
    app.state.answers = Answers()
    app.state.statuses = health.Statuses()
    app.state.limits = Limits(settings.rate)
    app.state.streams = streams
    app.state.metrics = counted
    app.state.tracing = Tracing(tracer_provider) if traced else Tracing(NoOpTracerProvider())
    handlers: dict[Any, Any] = {
        LedgerError: problem,
        RequestValidationError: of_validation,
        HTTPException: of_http,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, counting(handler))
    parts = (
        publishing,
        streaming,
        log,
        reading,
        publication,
        charts,
        feeds,
        rebuilding,
        subscribing,
        health,
        metrics,
        documents,
        page,
    )  # a stream before the event at a position
    for part in parts:
        app.include_router(part.router)
    app.openapi = partial(documents.described, app)  # type: ignore[method-assign]  # as FastAPI's own documentation has it
    app.state.routes = [route for part in parts for route in part.router.routes]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    streams: Streams = app.state.streams
    streams.close()
