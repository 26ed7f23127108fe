"""Whether the server lives, whether it is ready, and how a ledger is."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from events import LedgerError, Log, canonical, durability
from projections import PROJECTIONS, live_generations

from ..status import status_of
from . import documents, parameters
from .access import COUNTED, READING
from .ledgers import Ledgers, LogOf
from .problems import told
from .settings import Settings

router = APIRouter(tags=["operations"])
_NEVER_KEPT = {"Cache-Control": "no-store"}
MADE_AT_ONCE = 2  # statuses: to make that of 8,000 approvals takes half a second


class Statuses:
    """The statuses that are asked for. Who asks waits on the event loop, without a thread, for the next one of its ledger that is
    begun, and all who wait get the same: one that is begun already may miss what they know."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MADE_AT_ONCE)
        self._next: dict[str, asyncio.Task[dict[str, Any]]] = {}

    async def of(self, log: Log) -> dict[str, Any]:
        """Raises what `status_of` raises."""
        if log.ledger not in self._next:
            self._next[log.ledger] = asyncio.create_task(self._make(log))
        return await asyncio.shield(self._next[log.ledger])  # whoever leaves takes it from nobody

    async def _make(self, log: Log) -> dict[str, Any]:
        async with self._turns:
            del self._next[log.ledger]
            # Where the server is, is nobody's business who reads over HTTP.
            return await run_in_threadpool(status_of, log)


@router.get("/healthz", responses=documents.health())
async def healthz(query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001  # it refuses every parameter
    """The process answers. It says nothing about the store."""
    return _json({"status": "alive"})


@router.get("/readyz", responses=documents.ready(), dependencies=[COUNTED])
def readyz(request: Request, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001
    """Whether appends would be durable, and no projection is further behind the log's head than the limit. 503 where not.

    It tells no figure of the ledger: whoever asks needs no token.
    """
    settings: Settings = request.app.state.settings
    report = _readiness(request.app.state.ledgers, settings)
    return _json(report, 503 if report["says"] else 200)


def _readiness(ledgers: Ledgers, settings: Settings) -> dict[str, Any]:
    says: list[str] = []
    try:
        log = ledgers.log(settings.ledger)
        says += [str(finding) for finding in durability.check(log.client)]
        reached = {
            generation.name: generation.verified_checkpoint().position
            for generation in live_generations(log, PROJECTIONS.values())
        }
        head = log.head()
        says += [
            f"{name} is more than {settings.lag:,} events behind the head"
            for name, position in reached.items()
            if head - position > settings.lag
        ]
    except LedgerError as error:
        says.append(f"{error.code}: {told(error)}")
    return {"status": "not ready" if says else "ready", "ledger": settings.ledger, "says": says}


@router.get("/ledgers/{ledger}/status", responses=documents.status(), dependencies=[READING])
async def status(request: Request, log: LogOf, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001
    """The server's durability, the head, and each projection's position, lag, generation, digest and parked events."""
    statuses: Statuses = request.app.state.statuses
    return _json(await statuses.of(log))


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(canonical(document) + b"\n", status, media_type="application/json", headers=_NEVER_KEPT)
