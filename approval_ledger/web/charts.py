"""The charts over HTTP: the same Vega-Lite specifications that `approvals chart` draws."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, WithJsonSchema

from events import canonical
from projections import Answer

from .. import charts as drawing
from ..api import documents, parameters
from ..api.access import READING
from ..api.answering import PINNED_SECONDS, answered
from ..api.ledgers import LogOf

router = APIRouter(prefix="/ledgers/{ledger}/charts", tags=["charts"], dependencies=[READING])


class Chart(parameters.AsOf):
    """The two axes, and how the chart shall look."""

    language: drawing.Language = "en"
    theme: drawing.Theme = "light"
    width: Annotated[
        int,
        parameters.Digits,
        Field(ge=drawing.NARROWEST, le=drawing.WIDEST, description="In pixels."),
        WithJsonSchema({"type": "integer", "minimum": drawing.NARROWEST, "maximum": drawing.WIDEST}),
    ] = drawing.WIDTH


class Totals(Chart):
    authority: parameters.Term | None = None
    instrument: parameters.Term | None = None
    unit: parameters.Term | None = None


class Companies(Chart):
    name: Annotated[
        parameters.Text | None, Field(description="Any name of one company, for its timeline.")
    ] = None


@router.get("/totals", responses=documents.chart())
def totals(request: Request, log: LogOf, query: Annotated[Totals, Query()]) -> Response:
    """The figures that the reports allow from day to day."""
    return _chart(request, log, "totals", query)


@router.get("/batches", responses=documents.chart())
def batches(request: Request, log: LogOf, query: Annotated[Chart, Query()]) -> Response:
    """The sizes that the reports of each batch allow."""
    return _chart(request, log, "batches", query)


@router.get("/companies", responses=documents.chart())
def companies(request: Request, log: LogOf, query: Annotated[Companies, Query()]) -> Response:
    """The companies by approvals; or one of them by its days, under all its names."""
    return _chart(request, log, "companies", query)


@router.get("/shares", responses=documents.chart())
def shares(request: Request, log: LogOf, query: Annotated[Chart, Query()]) -> Response:
    """Each estimator's stocks and shares, as ranges."""
    return _chart(request, log, "shares", query)


@router.get("/sources", responses=documents.chart())
def sources(request: Request, log: LogOf, query: Annotated[Chart, Query()]) -> Response:
    """Who said it first, and who repeats it."""
    return _chart(request, log, "sources", query)


def _chart(request: Request, log: LogOf, name: str, query: Chart) -> Response:
    axes = set(parameters.AsOf.model_fields)
    appearance = {"language", "theme", "width"}
    question = query.model_dump(exclude=axes | appearance, exclude_none=True)
    look = query.model_dump(include=appearance)
    asked = query.asked()

    def drawn(answer: Answer) -> bytes:
        return canonical(drawing.chart(log, answer, drawing.Look.of(**look))) + b"\n"

    return answered(
        request,
        log,
        drawing.question(name, question),
        asked,
        projection=name,
        question=question,
        written=drawn,
        look=look,
        fresh_for=PINNED_SECONDS if isinstance(asked["known_at"], int) else None,
    )
