"""Requested rebuilds as jobs, in a process of their own, because one may take minutes and live projections must not pause.

Unlike a bell, a request is a fact: a hash for each projection records it, and how the last rebuild ended. So if a worker dies in
the middle of a rebuild, another begins it anew; what the first had built is removed by the next switch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NoReturn, cast, get_args

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import LockNotOwnedError, ResponseError
from redis.lock import Lock

from events import LedgerError, Log, LogDamaged, StorageUnavailable, Unreadable, keys, storage
from projections import PROJECTIONS, Store, replay

from . import doorbell, lease
from .queues import REBUILD, DoorbellQueue
from .queues import doorbell as queue_of
from .watching import watching
from .worker import BellWorker

logger = structlog.get_logger("workers")

CONNECTION_NAME = "approvals-rebuilder"
PERIOD = 2.0  # seconds between two looks for what is asked for, and bells that were lost
JOB_SECONDS = 6 * 3600  # a log of 70 million events, by what the costliest projection takes: see `sharing`
LEASE = 60.0  # seconds for which a worker has a rebuild to itself, unless it renews the lease
KEEP = 15.0  # seconds between two renewals

State = Literal["waiting", "running", "done", "failed"]
_STATES: dict[str, State] = {state: state for state in get_args(State)}


@dataclass(frozen=True, slots=True)
class Rebuild:
    """The last rebuild of `projection` that was asked for, as read. Times are in milliseconds since 1970 (UTC), 0 if not yet.
    `live_digest` is empty if there was nothing to compare with; `says` is why it failed."""

    projection: str
    state: State
    asked_ms: int
    began_ms: int = 0
    ended_ms: int = 0
    generation: int = 0
    position: int = 0
    digest: str = ""
    live_digest: str = ""
    differs: bool = False
    says: str = ""

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "running")


class _Stopped(Exception):
    """The worker is told to end."""


def ask_for_rebuild(log: Log, name: str) -> tuple[Rebuild, bool]:
    """Asks for a rebuild of the projection `name`, and rings. Returns the new rebuild and True, or if one is waiting or running
    already, that one and False.

    Raises KeyError for an unknown projection.
    """
    place, asked = keys.rebuild(log.ledger, PROJECTIONS[name].name), Rebuild(name, "waiting", _now_ms())

    found: list[Rebuild] = []

    def write(pipeline: Pipeline) -> None:
        found.clear()
        stored: dict[bytes, bytes] | ResponseError
        try:
            stored = cast(dict[bytes, bytes], pipeline.hgetall(place))
        except ResponseError as error:
            stored = error
        with suppress(Unreadable):  # what something else wrote gives way
            if (there := _read(name, stored)) is not None and there.is_open:
                found.append(there)
        pipeline.multi()
        if not found:
            pipeline.delete(place)
            pipeline.hset(place, mapping=cast(Any, _written(asked)))

    with storage(writing=True):
        log.client.transaction(write, place)
    ring(log.client, log.ledger, [name])
    return (found[0], False) if found else (asked, True)


def last_rebuild(log: Log, name: str) -> Rebuild | None:
    """The rebuild of the projection `name` that was asked for last, or None if none ever was. Raises Unreadable if something else
    wrote to its record."""
    (found,) = last_rebuilds(log, [name]).values()
    return found()


def last_rebuilds(log: Log, names: Iterable[str]) -> dict[str, Callable[[], Rebuild | None]]:
    """The last rebuilds of several projections, read in one round trip: by name, a function that returns what `last_rebuild` does, or
    raises what that raises."""
    listed = list(names)
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        for name in listed:
            pipeline.hgetall(keys.rebuild(log.ledger, name))
        replies = pipeline.execute(raise_on_error=False)
    return {name: partial(_read, name, found) for name, found in zip(listed, replies, strict=True)}


def wanted(log: Log) -> list[str]:
    """The projections whose rebuild was asked for and has not ended. A record that something else wrote counts as no request."""
    found = []
    for name, tell in last_rebuilds(log, PROJECTIONS).items():
        with suppress(Unreadable):
            if (rebuild := tell()) is not None and rebuild.is_open:
                found.append(name)
    return found


def ring(client: Redis, ledger: str, names: list[str]) -> None:
    """Puts a job for each into the queue, unless there is one already."""
    doorbell.ring(client, ledger, names, bell=keys.rebuild_bell, function=REBUILD)


class Rebuilder(BellWorker):
    """Runs the jobs that rebuild."""

    rung_for = REBUILD
    job_seconds = JOB_SECONDS

    def run(self, ledger: str, first: str, queue: DoorbellQueue) -> None:  # noqa: ARG002
        """Rebuilds the projection `first`, where that is asked for."""
        rebuild(self.connection, ledger, first, stopping=lambda: self._stop_requested)


def rebuild(
    client: Redis, ledger: str, name: str, *, stopping: Callable[[], bool] = lambda: False
) -> Rebuild | None:
    """Does the rebuild that was asked for, switches to it, and records how it ended. Returns None if nobody asked, if another worker
    has it (possibly only since the lease expired: then that one records the outcome), or if this one is `stopping`: then it will
    be begun anew.

    Raises StorageUnavailable, after which it will be begun anew too. Any other error is recorded as its outcome.
    """
    log = Log(client, ledger)
    held = lease.take(client, keys.rebuild_lease(ledger, name), keys.rebuild_bell(ledger, name), LEASE)
    if held is None:
        return None
    try:
        asked = last_rebuild(log, name)
        if asked is None or not asked.is_open:
            return None
        running = replace(asked, state="running", began_ms=_now_ms())
        _note(log, running, held)
        ended = _outcome(log, running, held, stopping)
        _note(log, ended, held)
    except (_Stopped, LockNotOwnedError):
        return None
    else:
        return ended
    finally:
        lease.release(held)


def _outcome(log: Log, running: Rebuild, held: Lock, stopping: Callable[[], bool]) -> Rebuild:
    store, since = Store(log, PROJECTIONS[running.projection]), [time.monotonic()]

    def keep(_: int) -> None:
        if stopping():
            raise _Stopped
        if time.monotonic() - since[0] > KEEP:
            since[0] = time.monotonic()
            with storage(writing=True):
                held.reacquire()

    try:
        rebuilt = replay.rebuild(store, keep)
        replay.adopt(store, rebuilt, keep)
    except (_Stopped, LockNotOwnedError, StorageUnavailable):
        raise
    except Exception as error:
        code = error.code if isinstance(error, LedgerError) else "internal"
        logger.exception("rebuild_failed", projection=running.projection, code=code, says=str(error))
        return replace(running, state="failed", ended_ms=_now_ms(), says=f"{code}: {error}"[:500])
    logger.info(
        "rebuilt",
        projection=running.projection,
        generation=rebuilt.generation,
        position=rebuilt.position,
        differs=rebuilt.differs,
    )
    return replace(
        running,
        state="done",
        ended_ms=_now_ms(),
        generation=rebuilt.generation,
        position=rebuilt.position,
        digest=rebuilt.digest,
        live_digest=rebuilt.live_digest or "",
        differs=rebuilt.differs,
    )


def rebuild_here(client: Redis, ledger: str) -> None:
    """Does, in this process, what was asked for."""
    for name in wanted(Log(client, ledger)):
        rebuild(client, ledger, name)


def watch(log: Log) -> NoReturn:
    """Rings, for ever, for rebuilds that were asked for and that nobody is doing."""

    def look() -> list[Exception]:
        with storage():
            waits = len(queue_of(log.client, log.ledger, REBUILD))
        if not waits:
            names = [name for name in wanted(log) if not _is_held(log, name)]
            doorbell.free(log.client, log.ledger, names, bell=keys.rebuild_bell)
            ring(log.client, log.ledger, names)
        time.sleep(PERIOD)
        return []

    watching("rebuilds", look, PERIOD)


def _is_held(log: Log, name: str) -> bool:
    return lease.is_held(log.client, keys.rebuild_lease(log.ledger, name), LEASE)


def _note(log: Log, rebuild: Rebuild, held: Lock) -> None:
    """Writes the record of a rebuild. Raises LockNotOwnedError, and writes nothing, if another worker has the lease by now."""
    place = keys.rebuild(log.ledger, rebuild.projection)

    def write(pipeline: Pipeline) -> None:
        if not held.owned():
            raise LockNotOwnedError(f"{held.name} is another worker's")
        pipeline.multi()
        pipeline.hset(place, mapping=cast(Any, _written(rebuild)))

    with storage(writing=True):
        log.client.transaction(write, held.name)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _written(rebuild: Rebuild) -> dict[str, str | int]:
    return {
        "state": rebuild.state,
        "asked_ms": rebuild.asked_ms,
        "began_ms": rebuild.began_ms,
        "ended_ms": rebuild.ended_ms,
        "generation": rebuild.generation,
        "position": rebuild.position,
        "digest": rebuild.digest,
        "live_digest": rebuild.live_digest,
        "differs": int(rebuild.differs),
        "says": rebuild.says,
    }


def _read(name: str, stored: dict[bytes, bytes] | Exception) -> Rebuild | None:
    if isinstance(stored, Exception):
        try:
            with storage():
                raise stored
        except LogDamaged:
            raise _unreadable(name, "not a hash") from None
    if not stored:
        return None
    try:
        text = {field.decode(): value.decode() for field, value in stored.items()}
        numbers = {
            field: int(text[field])
            for field in ("asked_ms", "began_ms", "ended_ms", "generation", "position")
        }
        return Rebuild(
            name,
            _STATES[text["state"]],
            digest=text["digest"],
            live_digest=text["live_digest"],
            differs=text["differs"] == "1",
            says=text["says"],
            **numbers,
        )
    except (KeyError, ValueError) as error:
        raise _unreadable(name, repr(error)) from None


def _unreadable(name: str, why: str) -> Unreadable:
    return Unreadable(
        f"the record of the rebuild of {name} is not what this software writes ({why}): something else wrote to it. "
        "Ask for a new rebuild"
    )
