"""What a worker may take from a queue: only our own jobs, with string arguments, whatever else somebody put into Redis.

RQ's JSON serializer does not stop a job hash from naming `os.system`, a callback or a webhook, and one bad field in a hash
ends a worker's loop (RQ 3.0, `Worker.work`). So only fields on an allow-list are read from a job, and a refused job counts as
missing, which RQ handles everywhere.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from typing import Any, NoReturn, cast

import structlog
from redis import Redis, exceptions
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from rq import Queue
from rq.exceptions import DequeueTimeout, NoSuchJobError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty

from events import storage
from projections import PROJECTIONS

from .doorbell import ADVANCE
from .sharing import cost_of
from .webhooks import subscriptions

logger = structlog.get_logger("workers")

DELIVER = "workers.deliver.deliver"
REBUILD = "workers.rebuild.rebuild"
QUEUES = {ADVANCE: "doorbell", DELIVER: "webhooks", REBUILD: "rebuilds"}
"""The functions that a job may name, and the queue that each comes by. Each takes a ledger, and a projection or a webhook."""

JOB_TIMEOUT = 30  # seconds, whatever the hash says
JOB_TTL = 300  # seconds that a job may wait in the queue
WAITING = 1_000
"""How many jobs a queue holds, unless more are put into it at once. If nobody takes any, the oldest are dropped, because their
hashes expire, but their entries in the queue do not. A year of appends without a worker would leave 30 million of them, and
skipping each takes two synced writes."""
_DATA_LIMIT = 4096  # bytes of a job's data, before and after decompression
_ARGUMENT_LIMIT = 200  # characters
_KEPT = frozenset({b"created_at", b"enqueued_at", b"status"})
_JOB_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_REFUSED_KEPT_MS = 86_400_000  # a day: long enough to look at, and it cannot pile up


class RefusedJob(NoSuchJobError):
    """A job that is not ours. RQ treats it as a missing job: it is never run, and the worker goes on."""


class AllowedJob(Job):
    """One of our jobs. Nothing that could run code, and no limit, is read from its hash."""

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        try:
            function, arguments = _call(raw_data[b"data"])
            super().restore(
                {key: value for key, value in raw_data.items() if key in _KEPT} | {b"data": raw_data[b"data"]}
            )
            self.origin = raw_data[b"origin"].decode()
        except (RefusedJob, StopRequested):
            raise
        except (
            Exception
        ) as error:  # a bad date, status, number, encoding: whatever the hash holds, it is no job of ours
            raise RefusedJob(f"{type(error).__name__}: {error}"[:200]) from error
        self.timeout, self.result_ttl, self.failure_ttl, self.ttl = JOB_TIMEOUT, 0, 0, None
        self.description = f"{function}({', '.join(arguments)})"

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Job:  # noqa: ARG003  # ours, always
        try:
            return super().fetch(id, connection=connection, serializer=JSONSerializer)
        except ValueError as error:
            raise RefusedJob(str(error)[:200]) from error
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                raise RefusedJob(str(error)) from error
            raise

    @classmethod
    def fetch_many(
        cls, job_ids: Iterable[str], connection: Redis, serializer: Any = None
    ) -> list[Job | None]:
        """One by one, so that a refused job does not hide the others."""
        jobs: list[Job | None] = []
        for job_id in job_ids:
            try:
                jobs.append(cls.fetch(job_id, connection, serializer))
            except NoSuchJobError:
                jobs.append(None)
        return jobs

    @property
    def func(self) -> NoReturn:
        """RQ would import what the hash names; a worker of ours looks the function up instead."""
        raise RefusedJob("jobs are run by workers.worker only")

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        """Sends none, whatever the hash says."""


class DoorbellQueue(Queue):
    """A queue from which entries that are not our jobs are set aside when they are taken."""

    job_class = AllowedJob

    @classmethod
    def dequeue_any(
        cls,
        queues: Iterable[Queue],
        timeout: int | None,
        connection: Redis,
        job_class: type[Job] | None = None,  # noqa: ARG003  # ours, always
        serializer: Any = None,  # noqa: ARG003
        death_penalty_class: type[BaseDeathPenalty] | None = None,  # noqa: ARG003  # BLMOVE keeps the time itself
    ) -> tuple[Job, Queue] | None:
        (queue,) = queues  # one queue a worker: with several, RQ pops without a trace (BLPOP)
        try:
            popped = cls.lmove(connection, queue.key, timeout)
        except (OutOfMemoryError, ReadOnlyError) as error:
            if timeout is None:
                raise
            raise exceptions.ConnectionError(str(error)) from error  # for which the worker's loop waits
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            _put_away_what_is_no_list(connection, queue)
            raise DequeueTimeout(timeout, queue.key) from error
        if popped is None:
            return None
        raw_id = cast(bytes, popped[1])
        try:
            if _JOB_ID.fullmatch(raw_id) is None:
                raise RefusedJob("its id is none that RQ gives")
            job = AllowedJob.fetch(raw_id.decode(), connection=connection)
            if job.origin != queue.name or name(job.args[0], str(job.func_name)) != queue.name:
                raise RefusedJob(f"it is of the queue {job.origin[:80]!r}, for the ledger {job.args[0]!r}")
        except NoSuchJobError as error:
            _put_away(connection, queue, raw_id, error)
            raise DequeueTimeout(
                timeout, queue.key
            ) from error  # the worker's loop shows its heartbeat, and asks again
        return job, queue


def name(ledger: str, function: str = ADVANCE) -> str:
    """The name of a ledger's queue; it carries the ledger's hash tag."""
    return f"{{{ledger}}}:{QUEUES[function]}"


def doorbell(client: Redis, ledger: str, function: str = ADVANCE) -> DoorbellQueue:
    """The queue of one ledger."""
    return DoorbellQueue(name(ledger, function), connection=client, serializer=JSONSerializer)


def enqueue(queue: DoorbellQueue, ledger: str, chosen: Iterable[str], function: str) -> None:
    """Puts a job for each projection (or webhook) into the queue, in one round trip."""
    names = list(chosen)
    try:
        _enqueue(queue, ledger, names, function)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        _put_away_what_is_no_list(queue.connection, queue)
        _enqueue(queue, ledger, names, function)


def _enqueue(queue: DoorbellQueue, ledger: str, names: list[str], function: str) -> None:
    with queue.connection.pipeline() as pipeline:
        for each in names:
            queue.enqueue_call(
                function,
                args=(ledger, each),
                timeout=JOB_TIMEOUT,
                result_ttl=0,
                ttl=JOB_TTL,
                pipeline=pipeline,
            )
        pipeline.ltrim(queue.key, -max(WAITING, len(names)), -1)
        pipeline.execute()


def take(queue: DoorbellQueue, connection: Redis, share: int) -> list[str]:
    """Takes waiting jobs, to be run together, until they make up a `share` or more, and returns the projection of each. Raises
    StorageUnavailable."""
    names: list[str] = []
    with storage():
        while sum(map(cost_of, names)) < share:
            try:
                popped = DoorbellQueue.dequeue_any([queue], None, connection)
            except DequeueTimeout:
                continue  # it was refused and put away
            if popped is None:
                break
            job, _ = popped
            take_out(job, queue, connection)
            names.append(job.args[1])
    return names


def take_out(job: Job, queue: Queue, connection: Redis) -> None:
    """Removes a job that is about to run: nothing of it stays in Redis, and the reconciler is its retry."""
    with connection.pipeline() as pipeline:
        pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
        pipeline.delete(job.key)
        pipeline.execute()


def _call(data: bytes) -> tuple[str, list[str]]:
    function, instance, arguments, keywords = json.loads(_decompressed(data))
    if function not in QUEUES:
        raise RefusedJob(f"{function!r:.80} is no job of ours")
    if instance is not None or keywords != {} or not isinstance(arguments, list):
        raise RefusedJob("its arguments are not those of our jobs")
    if not all(isinstance(argument, str) and len(argument) <= _ARGUMENT_LIMIT for argument in arguments):
        raise RefusedJob("its arguments are not short strings")
    _, of = arguments
    if function in (ADVANCE, REBUILD) and of not in PROJECTIONS:
        raise RefusedJob(f"there is no projection {of[:80]!r}")
    if function == DELIVER and not subscriptions.is_id(of):
        raise RefusedJob(f"{of[:80]!r} names no webhook")
    return function, arguments


def _decompressed(data: bytes) -> bytes:
    if len(data) > _DATA_LIMIT:
        raise RefusedJob("its data is too long")
    decompressor = zlib.decompressobj()
    try:
        plain = decompressor.decompress(data, _DATA_LIMIT)
    except zlib.error:
        return data  # RQ reads data that is not compressed, too
    if decompressor.unconsumed_tail:
        raise RefusedJob("its data is too long")
    return plain


def _put_away(connection: Redis, queue: Queue, raw_id: bytes, why: NoSuchJobError) -> None:
    """Takes a refused entry off the queue, and keeps its hash (the last one) for a day under `<queue>:refused`."""
    connection.lrem(queue.intermediate_queue_key, 0, cast(str, raw_id))
    if not isinstance(why, RefusedJob):
        return  # its hash expired: the bell was rung long ago
    logger.error("job_refused", queue=queue.name, job=repr(raw_id)[:80], why=str(why))
    _keep_aside(connection, queue, AllowedJob.redis_job_namespace_prefix.encode() + raw_id)


def _put_away_what_is_no_list(connection: Redis, queue: Queue) -> None:
    """The same for the queue's own keys, where somebody made something else of them."""
    for key in (queue.key, queue.intermediate_queue_key):
        kind = cast(bytes, connection.type(key)).decode()
        if kind not in ("none", "list"):
            logger.error("queue_refused", queue=queue.name, key=key, type=kind)
            _keep_aside(connection, queue, key.encode())


def _keep_aside(connection: Redis, queue: Queue, key: bytes) -> None:
    refused = f"{queue.key}:refused"
    try:
        connection.rename(cast(str, key), refused)
        connection.pexpire(refused, _REFUSED_KEPT_MS)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
