"""The five projections, and what changed between two positions: the same documents as the command's `--json`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from events import BadQuestion, Log
from projections import diff, queries

from .. import exporting
from . import documents, parameters
from .access import READING
from .answering import MEDIA_TYPES, PINNED_SECONDS, Standing, answered, form_of, needed_by, sent
from .ledgers import LogOf
from .problems import RequestRefused, fault_in, wrong_in

router = APIRouter(prefix="/ledgers/{ledger}", tags=["figures"], dependencies=[READING])
_JSON = {"json": MEDIA_TYPES["json"]}
_WITHOUT_PARQUET = {form: media_type for form, media_type in MEDIA_TYPES.items() if form != "parquet"}
OF_A_STOCK = ("authority", "instrument", "unit", "estimator", "region")
_AXES = {"valid_at", "known_at", "known_as", "at_least", "format"}
_SWITCHES = {"steps", "whole_evidence"}


def _question(query: parameters.AsOf) -> dict[str, Any]:
    """What was asked beside the axes, as `queries` takes it; what is asked anyway is not named."""
    asked = query.model_dump(exclude=_AXES, exclude_none=True, exclude_defaults=True)
    # Not by its value: `true` is a name as well.
    return {name: value == "true" if name in _SWITCHES else value for name, value in asked.items()}


@router.get("/totals", responses=documents.answers("totals"))
def totals(request: Request, log: LogOf, query: Annotated[parameters.Totals, Query()]) -> Response:
    """How many approvals there are, at one day, as bounds with their evidence."""
    return _tabular(request, log, "totals", queries.totals, query)


@router.get("/batches", responses=documents.answers("batches"))
def batches(request: Request, log: LogOf, query: Annotated[parameters.Batches, Query()]) -> Response:
    """Every batch: its size, who is named, how many are not, and the total just before it."""
    return _tabular(request, log, "batches", queries.batches, query)


@router.get("/companies", responses=documents.answers("companies"))
def companies(request: Request, log: LogOf, query: Annotated[parameters.Companies, Query()]) -> Response:
    """Every company with its approvals; or, by any of its names, one company with its history."""
    return _tabular(request, log, "companies", queries.companies, query)


@router.get("/companies/{name:path}", responses=documents.answers("companies"))
def company(
    request: Request,
    log: LogOf,
    name: Annotated[parameters.Text, Path(description="Any name of the company.")],
    query: Annotated[parameters.Tabular, Query()],
) -> Response:
    """One company with its history, by any of its names. (A name such as `..` is none in a path: ask `companies?name=`.)"""
    return _tabular(request, log, "companies", queries.companies, query, name=name)


@router.get("/shares", responses=documents.answers("shares"))
def shares(request: Request, log: LogOf, query: Annotated[parameters.Shares, Query()]) -> Response:
    """Each estimator's stocks and shares; or, with all of the five terms, what share the approvals are of a stock."""
    question = _question(query)
    if not question:
        return _tabular(request, log, "shares", queries.shares, query)
    if missing := [name for name in OF_A_STOCK if name not in question]:
        says = f"for a share of a stock give all of {', '.join(OF_A_STOCK)}"
        faults = [fault_in("query", name, "validation", "is missing") for name in missing]
        raise RequestRefused(422, "validation", says, faults=faults)
    form = form_of(request, query.format, _JSON)
    ask = partial(queries.share_of_stock, **question)
    return _of(request, log, "shares", ask, query, question, form)


@router.get("/sources", responses=documents.answers("sources"))
def sources(request: Request, log: LogOf, query: Annotated[parameters.Sources, Query()]) -> Response:
    """Every claim, who makes it, and how many independent origins that leaves."""
    return _tabular(request, log, "sources", queries.sources, query)


@router.get("/diff", responses=documents.diff())
def difference(request: Request, log: LogOf, query: Annotated[parameters.Diff, Query()]) -> Response:
    """Every figure that is another at one position than at an earlier one, and the events that changed it."""
    form_of(request, None, _JSON)
    now = Standing.of(log, needed_by(query.projection), position=query.to)
    words = [query.since, now.head, query.projection, query.valid_at]

    def build() -> tuple[bytes, bool]:
        answer = diff(log, query.projection, since=query.since, upto=now.head, valid_at=query.valid_at)
        return exporting.to_json(answer), True

    fresh_for = None if query.to is None else PINNED_SECONDS
    return sent(request, now, words, build, media_type=MEDIA_TYPES["json"], headers={}, fresh_for=fresh_for)


def _tabular(
    request: Request, log: Log, projection: str, ask: Any, query: parameters.Tabular, **in_path: Any
) -> Response:
    question = _question(query) | in_path
    form = _form_of_a_table(request, query.format)
    return _of(request, log, projection, partial(ask, **question), query, question, form)


def _form_of_a_table(request: Request, asked_for: str | None) -> str:
    """Parquet only where its library is installed, which is looked for when Parquet is wanted. Raises RequestRefused."""
    form = form_of(request, asked_for, MEDIA_TYPES)
    if form == "parquet":
        try:
            exporting.require_parquet()
        except BadQuestion as error:
            if asked_for is not None:
                raise wrong_in("query", "format", error.code, str(error)) from None
            return form_of(request, None, _WITHOUT_PARQUET)
    return form


def _of(
    request: Request,
    log: Log,
    projection: str,
    ask: Any,
    query: parameters.AsOf,
    question: dict[str, Any],
    form: str,
) -> Response:
    asked = query.asked()
    fresh_for = PINNED_SECONDS if isinstance(asked["known_at"], int) else None
    return answered(
        request, log, ask, asked, projection=projection, question=question, form=form, fresh_for=fresh_for
    )
