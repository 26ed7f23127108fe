"""Worker processes: N of them under one supervisor; or the same jobs here and now, until everything is caught up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from types import FrameType

import structlog
from redis import Redis
from rq.exceptions import DequeueTimeout

from events import LedgerError, Log, connect, storage

from .jobs import JOBS
from .queues import ADVANCE, DoorbellQueue, doorbell, enqueue, take_out
from .reconcile import PERIOD, Reconciler, behind
from .worker import SOCKET_TIMEOUT, take_over_logging, worker

logger = structlog.get_logger("workers")

CONNECTION_NAME = "approvals-worker"
_BACKOFF = (0.5, 10.0)  # seconds before a worker that died is replaced: at first, and at most
_TICK = 0.1


def run_here(client: Redis, ledger: str) -> int:
    """Runs the jobs of `ledger` in this process until every projection is caught up, and returns how many it ran.

    No signal handler, no thread: Ctrl-C is Ctrl-C. A worker elsewhere may take some of the jobs; then this one rings again,
    until nothing is left to do. Raises what a projection raises that cannot go on.
    """
    log, queue, ran = Log(client, ledger), doorbell(client, ledger), 0
    while names := behind(log):
        with storage():
            for name in names:
                enqueue(queue, ADVANCE, ledger, name)
        ran += _drain_queue(client, queue)
    return ran


def _drain_queue(client: Redis, queue: DoorbellQueue) -> int:
    ran = 0
    while True:
        with storage():
            try:
                popped = DoorbellQueue.dequeue_any([queue], None, client)
            except DequeueTimeout:
                continue  # it was refused and put away
            if popped is None:
                return ran
            job, _ = popped
            take_out(job, queue, client)
        JOBS[str(job.func_name)](client, *job.args)
        ran += 1


def workers_alive(client: Redis, ledger: str) -> int:
    """How many workers are connected for `ledger`. One that was killed is gone at once: its connection closed with it."""
    with storage():
        clients = client.client_list(_type="normal")
    return len({c["name"] for c in clients if str(c["name"]).startswith(f"{_connection_name(ledger)}-")})


def queue_length(client: Redis, ledger: str) -> int:
    """How many jobs wait."""
    with storage():
        return len(doorbell(client, ledger))


def supervise(
    url: str,
    ledger: str,
    count: int,
    *,
    configure: Callable[[], None],
    stop: threading.Event | None = None,
) -> None:
    """Runs `count` workers in processes of their own until SIGINT or SIGTERM (a job that runs is finished; again: not), or
    until `stop` is set.

    A worker that dies is replaced. `configure` is called in each process, to set up its log; it must be importable.
    """
    Supervisor(url, ledger, count, configure, stop or threading.Event()).run()


class Supervisor:
    """Starts workers, replaces those that die, and looks after lost bells."""

    def __init__(
        self, url: str, ledger: str, count: int, configure: Callable[[], None], stop: threading.Event
    ) -> None:
        self._arguments = (url, ledger, configure)
        self._ledger = ledger
        self._count = count
        self._stop = stop
        self._client = connect(url)
        self._reconciler = Reconciler(self._client, ledger)
        self._workers: list[SpawnProcess] = []
        self._born: dict[int, float] = {}
        self._complaint = ""

    def run(self) -> None:
        """Until it is told to stop, and every worker has ended."""
        before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            self._start(self._count)
            logger.info("workers_started", ledger=self._ledger, workers=self._count)
            next_look = 0.0
            while not self._stop.is_set():
                self._replace_the_dead()
                if time.monotonic() >= next_look:
                    self._look()
                    next_look = time.monotonic() + PERIOD
                self._stop.wait(_TICK)
            for process in self._workers:
                _ask_to_stop(process)
            for process in self._workers:
                process.join()
            logger.info("workers_stopped", ledger=self._ledger)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, count: int) -> None:
        # Spawned, so that no thread, socket or lock comes along.
        context = multiprocessing.get_context("spawn")
        for _ in range(count):
            process = context.Process(target=_work, args=self._arguments, name=CONNECTION_NAME)
            process.start()
            self._workers.append(process)
            self._born[process.pid or 0] = time.monotonic()

    def _replace_the_dead(self) -> None:
        dead = [process for process in self._workers if not process.is_alive()]
        if not dead:
            return
        soon = min(time.monotonic() - self._born.pop(process.pid or 0, 0.0) for process in dead)
        wait = _BACKOFF[1] if soon < 1 else _BACKOFF[0]
        for process in dead:
            logger.error("worker_died", pid=process.pid, exit=process.exitcode, again_in=wait)
        self._workers = [process for process in self._workers if process not in dead]
        if not self._stop.wait(wait):
            self._start(self._count - len(self._workers))

    def _look(self) -> None:
        try:
            if rung := self._reconciler.look():
                logger.warning("rung_again", ledger=self._ledger, projections=rung)
            self._complaint = ""
        except (
            LedgerError
        ) as error:  # whatever is wrong with the log or the server, the workers must outlast it
            if str(error) != self._complaint:
                logger.error("reconciler", code=error.code, says=str(error))  # noqa: TRY400  # its text says all
            self._complaint = str(error)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._stop.set()
        for process in self._workers:
            _ask_to_stop(process)


def _ask_to_stop(process: SpawnProcess) -> None:
    # RQ counts a second signal within a second of the first as one: a terminal's Ctrl-C reached the worker, too.
    if process.is_alive():
        process.terminate()


def _work(url: str, ledger: str, configure: Callable[[], None]) -> None:
    configure()
    take_over_logging()
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    name = f"{_connection_name(ledger)}-{os.getpid()}-{time.time_ns():x}"
    client = connect(url, timeout=SOCKET_TIMEOUT, name=name)
    worker(client, ledger, name).work(logging_level="ERROR")


def _stop_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # returns when it is gone, by SIGKILL too
        os.kill(os.getpid(), signal.SIGTERM)


def _connection_name(ledger: str) -> str:
    return f"{CONNECTION_NAME}-{ledger}"


def run_here_in(count: int, url: str, ledger: str, configure: Callable[[], None]) -> None:
    """`run_here` in `count` processes at once."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_burst, args=(url, ledger, configure)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise LedgerError(f"a worker ended with exit codes {[process.exitcode for process in processes]}")


def _burst(url: str, ledger: str, configure: Callable[[], None]) -> None:
    configure()
    run_here(connect(url), ledger)
