"""One worker: RQ's loop with our jobs, and without the rest of RQ's bookkeeping.

A job is removed from Redis before it runs, because nothing in it is worth keeping: what there is to do follows from the log and
the checkpoints, and the reconciler asks for it again. So no registry grows, and a job takes 14 commands (RQ's own way takes 61).
"""

from __future__ import annotations

import logging
import signal
import time
from contextlib import suppress
from functools import cached_property
from types import FrameType
from typing import Self

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq.exceptions import StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.timeouts import UnixSignalDeathPenalty
from rq.utils import now
from rq.worker import SimpleWorker
from rq.worker_registration import REDIS_WORKER_KEYS, WORKERS_BY_QUEUE_KEY

from events import LedgerError, Unreadable, storage

from .alive import workers_alive
from .doorbell import ADVANCE
from .jobs import advance
from .queues import JOB_TIMEOUT, AllowedJob, DoorbellQueue, doorbell, take, take_out
from .sharing import cost_of, share_of

logger = structlog.get_logger("workers")

WORKER_TTL = (
    20  # seconds; RQ waits in the queue for 15 less than this, and wants a socket timeout of at least 5 less
)
SOCKET_TIMEOUT = 20.0
_HEARTBEAT = 2.0  # seconds between two at least
_ALONE = 60.0  # seconds after a job that timed out in which each job has one projection, so that none takes others down with it


class JobTimedOut(BaseException):
    """A job took too long. Not an Exception, so that a fold that parks events which raise one does not blame the event."""


class BellWorker(SimpleWorker):
    """Runs in its own process, one job at a time, without a fork for each (which took 12 to 19 ms, where the job itself takes 4 to 6)."""

    queue_class = DoorbellQueue
    job_class = AllowedJob
    max_connection_wait_time = (
        2.0  # seconds between tries to reach a server that went away; RQ waits up to 60
    )
    rung_for = ADVANCE  # what the jobs of its queue call
    linger = 0.0  # seconds: see `advance`
    job_seconds = JOB_TIMEOUT
    _last_heartbeat = float("-inf")
    _alone_until = float("-inf")

    @cached_property
    def _unreadable(self) -> dict[str, str]:
        """What was said of each projection whose documents cannot be read, mostly because they are of another version."""
        return {}

    @classmethod
    def of(cls, client: Redis, ledger: str, name: str) -> Self:
        """A worker on the queue of one ledger. It must have `client` to itself, because RQ changes the client's time-out."""
        return cls(
            [doorbell(client, ledger, cls.rung_for)],
            name=name,
            connection=client,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            maintenance_interval=60,
        )

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Runs a job together with those that wait behind it, up to this worker's share, and lingers."""
        assert isinstance(queue, DoorbellQueue)
        ledger, first = job.args
        started = time.monotonic()
        try:
            with storage(writing=True):
                take_out(job, queue, self.connection)
                with self.connection.pipeline() as pipeline:
                    self.set_state(
                        "busy", pipeline=pipeline
                    )  # a first Ctrl-C looks at it, and lets the job finish
                    pipeline.expire(self.key, self.job_seconds + WORKER_TTL)
                    pipeline.execute()
            with UnixSignalDeathPenalty(self.job_seconds, JobTimedOut):  # type: ignore[no-untyped-call]  # RQ has none here
                self.run(ledger, first, queue)
        except LedgerError as error:
            _say_failed(job.description, error, started)
        except (Exception, JobTimedOut) as error:  # the worker's loop goes on, whatever becomes of one job
            if isinstance(error, JobTimedOut):
                # Maybe between a question and its answer, which the next question must not get.
                self.connection.connection_pool.disconnect()
                self._alone_until = time.monotonic() + _ALONE
            logger.exception("job_failed", job=job.description, seconds=_since(started))
        else:
            logger.debug("job_done", job=job.description, seconds=_since(started))
        self.set_state("idle")
        self._last_heartbeat = float("-inf")

    def run(self, ledger: str, first: str, queue: DoorbellQueue) -> None:
        """Does the job: here, advances the projection `first` and those that it takes along."""
        started = time.monotonic()
        unreadable: dict[str, str] = {}

        def failed(name: str, error: Exception) -> None:
            if isinstance(error, Unreadable):
                unreadable[name] = str(error)
                if self._unreadable.get(name) == str(error):
                    return  # as it was said before: it is so until somebody replays
            _say_failed(f"{ADVANCE}({ledger}, {name})", error, started)

        def taken(share: int) -> list[str]:
            names = take(queue, self.connection, share)
            advanced.extend(names)
            return names

        advanced = [first]
        if started < self._alone_until:
            advance(self.connection, ledger, [first], failed=failed)
        else:
            share = share_of(workers_alive(self.connection, ledger))
            advance(
                self.connection,
                ledger,
                [first, *taken(share - cost_of(first))],
                failed=failed,
                linger=self.linger,
                stopping=lambda: self._stop_requested,
                rung=lambda: taken(share_of(1)),
            )
        for name in advanced:
            self._unreadable.pop(name, None)
        self._unreadable |= unreadable

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ's loop calls this before it waits for a job, and before it runs one. Raises StopRequested."""
        if self._stop_requested:
            raise StopRequested
        if pipeline is not None:
            super().heartbeat(timeout or self.worker_ttl, pipeline=pipeline)
        elif time.monotonic() - self._last_heartbeat >= _HEARTBEAT:
            with suppress(RedisError), self.connection.pipeline(transaction=False) as batched:
                super().heartbeat(timeout or self.worker_ttl, pipeline=batched)
                batched.execute()
            self._last_heartbeat = time.monotonic()

    # What the server stores about a worker is only for RQ's tools. If it cannot be written, the worker does not end: the server may
    # have ended in the middle of a job, and the loop waits for it when it asks for the next one.

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Stores what the worker is doing, if that is possible."""
        with suppress(RedisError):
            super().set_state(state, pipeline)

    def _set_ip_address(self, connection: Redis) -> None:
        """Stores where the worker is, if the client can read that: it cannot where the path of a unix socket has a space or a `=`."""
        self.ip_address = "unknown"
        with suppress(ValueError):
            super()._set_ip_address(connection)

    def subscribe(self) -> None:
        """Not supported: it would take a second connection, and let anyone who can publish a message stop a worker."""

    def check_for_suspension(self, burst: bool) -> None:
        """Not supported: nobody who can set a key may suspend a worker."""

    def procline(self, message: str) -> None:
        """The process keeps its name."""

    def run_maintenance_tasks(self) -> None:
        """Removes what a worker took and never started because it died, and its name. Jobs leave nothing else to clean up."""
        for queue in self.queues:
            self.connection.delete(queue.intermediate_queue_key)
            self._forget_the_dead(WORKERS_BY_QUEUE_KEY % queue.name)
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ declares None

    def _forget_the_dead(self, registered: str) -> None:
        dead = [key for key in self.connection.smembers(registered) if not self.connection.exists(key)]
        if dead:
            self.connection.srem(registered, *dead)
            self.connection.srem(REDIS_WORKER_KEYS, *dead)

    def _install_signal_handlers(self) -> None:
        """Handles SIGTERM only: a terminal's Ctrl-C goes to the whole process group, and the supervisor passes it on, once."""
        signal.signal(signal.SIGTERM, self.request_stop)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """An idle worker leaves at once; a busy one when its job is done, or when it is asked a second time."""
        self._stop_requested = True  # for `heartbeat`: an exception gets lost where it comes in a finaliser
        self._shutdown_requested_date = now()
        signal.signal(signal.SIGTERM, self.request_force_stop)
        self._shutdown()  # type: ignore[no-untyped-call]  # RQ has no types here

    def set_shutdown_requested_date(self) -> None:
        """Does nothing: in a signal handler, which may interrupt anything, the server is asked nothing."""

    def register_death(self) -> None:
        super().register_death()  # type: ignore[no-untyped-call]  # RQ has no types here
        self.connection.delete(self.key)  # RQ leaves it for a minute


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logger.log(record.levelno, "rq", says=record.getMessage(), exc_info=record.exc_info or None)


def take_over_logging() -> None:
    """Sends RQ's errors to our log. Without a handler RQ prints to standard output, and it sets its own level at import."""
    logging.getLogger("rq").handlers[:] = [_ToStructlog()]
    logging.getLogger("rq").propagate = False
    for name in ("rq", "rq.worker", "rq.job"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _say_failed(job: str | None, error: Exception, started: float) -> None:
    if isinstance(error, LedgerError):
        says, code, seconds = str(error), error.code, _since(started)
        logger.error("job_failed", job=job, code=code, says=says, seconds=seconds)  # its text says all
    else:
        logger.error("job_failed", job=job, exc_info=error, seconds=_since(started))


def _since(started: float) -> float:
    return round(time.monotonic() - started, 4)
