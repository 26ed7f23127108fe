"""The job: what a worker does when the bell rings."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from uuid import uuid4

from redis import Redis

from events import LedgerError, Log

from . import doorbell
from .doorbell import answer, hold, ring, still_held
from .drain import Drain

SLICE = 10.0  # seconds that one job takes at most before it rings for the rest, so that others have their turn, and their share
LINGER = 2.0  # seconds that a worker waits on the log for the next event, before it leaves
LOOK = (
    0.1  # seconds of one wait: so soon a worker that lingers sees that it is to stop, and that somebody rang
)


def advance(
    client: Redis,
    ledger: str,
    names: list[str],
    *,
    failed: Callable[[str, Exception], None],
    upto: float = inf,
    linger: float = 0.0,
    stopping: Callable[[], bool] = lambda: False,
    rung: Callable[[], list[str]] = list,
) -> None:
    """Advances projections of one ledger to the log's head, in lockstep, and takes new events until `linger` seconds bring none, or
    until all have reached the position `upto`.

    A blocking read of the stream wakes in 0.4 ms, while a job in the queue takes 3 ms: so while it lingers nobody needs to ring,
    and the bells stay on. Projections that `rung` returns are taken along. When its time is over, or it is `stopping`, it leaves,
    and rings again for what is left, and for what is to come if events still came when its time was over.

    `failed` is called with each projection that cannot go on, and the error. Raises KeyError for an unknown projection, and what
    keeps all of them from going on, after which the reconciler rings again.
    """
    log, holder = Log(client, ledger), uuid4().hex

    # The bell of a projection that cannot go on stays on until it expires: otherwise each append would ring for it, and each job
    # would fail and report it again.
    drain = Drain(log, failed)
    coming = False
    try:
        hold(client, ledger, names, holder)
        drain.take(names)
        quiet_since = looked = began = time.monotonic()
        while drain.names and not stopping():
            more, now = drain.page(), time.monotonic()
            if more:
                quiet_since = now
            if not more and now - quiet_since >= linger:
                break
            if now - began >= SLICE:
                coming = now - quiet_since < linger
                break
            if drain.reached >= upto:
                break
            if not more:
                drain.wait(LOOK)
            if now - looked > doorbell.BELL_MS / 5_000:
                looked = now
                drain.keep(still_held(client, ledger, drain.names, holder))
                drain.follow_switches()
                if not more and (waiting := rung()):
                    hold(client, ledger, waiting, holder)
                    drain.take(waiting)
    except BaseException:
        # So that nobody has to wait until they expire; the error to report is the job's own.
        with suppress(LedgerError):
            answer(client, ledger, [*names, *drain.names])
        raise
    answer(client, ledger, drain.names)
    # The next event may be appended by someone who does not ring. Whoever asked for no more takes no more either.
    if drain.reached < upto and (drain.page() or coming):
        ring(client, ledger, drain.names)
