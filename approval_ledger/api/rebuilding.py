"""Rebuilding a projection: asked for here, done by a worker, as nothing that takes minutes belongs into a request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from events import canonical
from workers import Rebuild, ask_for_rebuild, last_rebuild

from ..status import told_rebuild
from . import documents, parameters
from .access import ADMINISTERING, READING
from .ledgers import LogOf

router = APIRouter(prefix="/ledgers/{ledger}/projections/{projection}", tags=["operations"])

Name = Literal["totals", "batches", "companies", "shares", "sources"]


@router.get("/rebuild", responses=documents.rebuild(), dependencies=[READING])
def rebuild(log: LogOf, projection: Name, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001
    """The rebuild that was asked for last: whether it waits, runs, is done or failed, and what came of it."""
    return _told(log.ledger, projection, last_rebuild(log, projection))


@router.post("/rebuild", responses=documents.rebuilding(), status_code=202, dependencies=[ADMINISTERING])
def ask(log: LogOf, projection: Name, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001
    """Asks for a rebuild from the first event, beside the live generation, and for the switch to it.

    Where one waits or runs already, that is the one (200). A worker does it: where there is none, it waits for one.
    """
    asked, is_new = ask_for_rebuild(log, projection)
    return _told(log.ledger, projection, asked, 202 if is_new else 200)


def _told(ledger: str, projection: str, found: Rebuild | None, status: int = 200) -> Response:
    document: dict[str, Any] = {
        "ledger": ledger,
        "projection": projection,
        "rebuild": told_rebuild(found),
    }
    return Response(
        canonical(document) + b"\n",
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"} | ({"Location": "rebuild"} if status == 202 else {}),
    )
