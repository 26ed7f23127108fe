"""Answers that count every event published before they were asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from events import LedgerError, Log
from projections import Answer, Asked
from workers import behind, progress, workers_alive

FAR = 2_000  # events: a reader folds fewer in memory itself, in less time than a worker takes to commit more
_LOOK = 0.05  # seconds between two looks at how far the workers are
_PATIENCE = 5.0  # seconds without any progress, after which the reader does the work itself


def fresh_answer(log: Log, ask: Callable[..., Answer], asked: Asked) -> Answer:
    """The answer to what is asked: with every event published before, unless it is about what was known earlier."""
    if asked["known_at"] is None:
        asked = {**asked, "at_least": position_to_ask(log, asked["at_least"])}
    return ask(log, **asked)


def position_to_ask(log: Log, at_least: int) -> int:
    """The position to ask for: the log's head now, or `at_least` where that is later (the answer will say that it is not there).

    Where no worker is alive, the projections are caught up here, by the jobs that a worker would run. Asking an empty ledger
    writes nothing: its name may be a typing error.
    """
    if (head := log.head()) == 0:
        return at_least
    if not workers_alive(log.client, log.ledger):
        _catch_up(log, head)
    else:
        _let_the_workers_come_near(log, head)
    return max(head, at_least)


def _catch_up(log: Log, head: int) -> None:
    if not behind(log, {}):
        return
    from workers import run_here

    # It only makes reading quicker. Of a projection that cannot go on hears whoever reads it; and where nothing can be written,
    # on a full server or by who may only read, the reader folds what is missing in memory.
    with suppress(LedgerError):
        run_here(log.client, log.ledger, upto=head)


def _let_the_workers_come_near(log: Log, head: int) -> None:
    _, positions = progress(log)
    last_progress = time.monotonic()
    while any(head - position > FAR for position in positions.values()):
        time.sleep(_LOOK)
        _, now = progress(log)
        if now != positions:
            positions, last_progress = now, time.monotonic()
        elif time.monotonic() - last_progress > _PATIENCE:
            _catch_up(log, head)
            return
