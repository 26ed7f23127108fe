"""Worker processes: several under one supervisor; or the same jobs run at once, until everything is caught up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from math import inf
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from types import FrameType

import structlog
from redis import Redis

from events import LedgerError, Log, LogDamaged, StorageUnavailable, Unreadable, connect, storage

from . import deliver, rebuild
from .alive import CONNECTION_NAME, connection_name, workers_alive
from .collector import collect_rarely
from .doorbell import free, not_held, ring
from .jobs import LINGER, advance
from .queues import JOB_TIMEOUT, DoorbellQueue, doorbell, take
from .reconcile import PERIOD, Reconciler, behind
from .sharing import share_of
from .watching import Complaints
from .webhooks import subscriptions
from .worker import SOCKET_TIMEOUT, BellWorker, take_over_logging

logger = structlog.get_logger("workers")

_BACKOFF = (0.5, 10.0)  # seconds before a worker that died is replaced: first, then twice as long, up to this
_SETTLED = 10.0  # seconds: a worker that lived longer did not die of the same cause as the one before
_TICK = 0.1
ENDING = JOB_TIMEOUT + 3.0  # seconds that a process has to end in once it is told to: a job has 30

Process = Callable[[str, str, Callable[[], None]], None]
"""What a process does, given the server's URL, the ledger and how to set up its log."""


def run_here(client: Redis, ledger: str, *, share: int | None = None, upto: float = inf) -> int:
    """Runs the jobs of `ledger` in this process until every projection is caught up, or has reached the position `upto` where
    events keep coming, and returns how many it ran.

    It uses no signal handler and no thread, so Ctrl-C works as usual. About a `share` (see `share_of`) is advanced together, by default
    all projections, so that other processes running jobs get theirs. If a worker elsewhere takes some, this waits for it, or
    advances without a job those whose bells that worker does not keep on, until nothing is left to do. A projection that cannot
    go on does not hold up the others; its error is raised when they are caught up.
    """
    log, queue, ran = Log(client, ledger), doorbell(client, ledger), 0
    errors: dict[str, Exception] = {}
    together = share or share_of(1)
    idle = False
    while names := [name for name, position in behind(log, errors).items() if position < upto]:
        free(client, ledger, names)
        alone = not_held(client, ledger, names)
        if idle and alone:  # whoever took the job is lost, or is of another version, and takes each
            took = _run(client, ledger, alone[:together], errors, upto)
        else:
            ring(client, ledger, alone)
            took = _drain_queue(client, ledger, errors, together, upto)
        if idle := not took:
            time.sleep(_TICK)
        ran += took
    if ran:
        with storage():
            client.srem(DoorbellQueue.redis_queues_keys, queue.key)  # where RQ's tools look for queues
    for error in errors.values():
        raise error
    return ran


def _drain_queue(
    client: Redis, ledger: str, errors: dict[str, Exception], share: int, upto: float = inf
) -> int:
    """Runs the waiting jobs, and returns how many there were. Adds to `errors` the projections that cannot go on."""
    queue, ran = doorbell(client, ledger), 0
    while True:
        names = take(queue, client, share)
        if not names:
            return ran
        ran += _run(client, ledger, names, errors, upto)


def _run(client: Redis, ledger: str, names: list[str], errors: dict[str, Exception], upto: float) -> int:
    """Advances these, as a job for each would, and returns how many they are. Adds to `errors` those that cannot go on."""
    try:
        advance(client, ledger, names, failed=errors.__setitem__, upto=upto)
    except StorageUnavailable:
        raise
    except LedgerError as error:
        errors.update(dict.fromkeys(names, error))
    return len(names)


def queue_length(client: Redis, ledger: str) -> int:
    """How many jobs are waiting. Raises Unreadable if something else replaced the queue."""
    queue = doorbell(client, ledger)
    try:
        with storage():
            return len(queue)
    except LogDamaged:
        raise Unreadable(
            f"{queue.key} is not a list: something else wrote to it. A worker will set it aside, or you can delete that key: the jobs "
            "in it are asked for again"
        ) from None


def supervise(
    url: str,
    ledger: str,
    count: int,
    *,
    configure: Callable[[], None],
    stop: threading.Event | None = None,
    revive: Callable[[], bool] | None = None,
) -> None:
    """Runs `count` workers in processes of their own until `stop` is set, or until SIGINT or SIGTERM: at the first, running jobs
    are finished; at a second, they are not.

    A worker that dies is replaced, and one that does not end is killed. `configure` is called in each process to set up its log,
    and must be importable. `revive` restarts the server if it has ended, and returns whether it had; it is called whenever the
    server does not answer. To be called from the main thread, the only one in which Python handles signals.
    """
    Supervisor(url, ledger, count, configure, stop or threading.Event(), revive).run()


class Supervisor:
    """Starts workers, one more for webhooks if there are any, and one more for rebuilds once one is asked for; replaces those that die,
    and rings again for lost bells."""

    def __init__(
        self,
        url: str,
        ledger: str,
        count: int,
        configure: Callable[[], None],
        stop: threading.Event,
        revive: Callable[[], bool] | None = None,
    ) -> None:
        self._arguments = (url, ledger, configure)
        self._ledger = ledger
        self._wanted: Counter[Process] = Counter({_work: count})  # so many processes of each kind
        self._stop = stop
        self._revive = revive
        # Not an Event: a signal handler that sets one while it is being checked would wait for ever.
        self._stopped_by_signal = False
        self._client = connect(url)
        self._reconciler = Reconciler(self._client, ledger)
        self._workers: dict[
            SpawnProcess, tuple[Process, float]
        ] = {}  # what each does, and when it was started
        self._asked_to_stop: set[SpawnProcess] = set()
        self._wait = 0.0
        self._start_again_at: float | None = None
        self._complaints = Complaints("reconciler")
        self._seen_workers = False

    def run(self) -> None:
        """Runs until it is told to stop and every worker has ended or was killed."""
        before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            self._start()
            logger.info("workers_started", ledger=self._ledger, workers=self._wanted[_work])
            next_look = 0.0
            while not (self._stop.is_set() or self._stopped_by_signal):
                self._replace_the_dead()
                if time.monotonic() >= next_look:
                    self._look()
                    next_look = time.monotonic() + PERIOD
                self._stop.wait(_TICK)
        finally:
            for process in self._workers.keys() - self._asked_to_stop:
                self._ask_to_stop(process)
            _see_off(self._workers)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._client.close()
        logger.info("workers_stopped", ledger=self._ledger)

    def _start(self) -> None:
        # Spawned, so that no thread, socket or lock comes along.
        context = multiprocessing.get_context("spawn")
        missing = self._wanted.copy()
        missing.subtract(target for target, _ in self._workers.values())
        for target in missing.elements():
            process = context.Process(target=target, args=self._arguments, name=CONNECTION_NAME)
            try:
                with deaf_to_interrupts():
                    process.start()
            except OSError as error:  # as many processes or files are open as may be, or the memory is full
                again_in = self._put_off()
                logger.error(  # noqa: TRY400  # its text says all
                    "worker_failed",
                    code=LedgerError.code,
                    says=f"no process can be started: {error}",
                    again_in=again_in,
                )
                return
            self._workers[process] = target, time.monotonic()

    def _replace_the_dead(self) -> None:
        now = time.monotonic()
        for process in [process for process in self._workers if not process.is_alive()]:
            again_in = self._put_off(now - self._workers.pop(process)[1])
            logger.error("worker_died", pid=process.pid, exit=process.exitcode, again_in=again_in)
        if self._start_again_at is not None and now >= self._start_again_at:
            self._start_again_at = None
            self._start()

    def _put_off(self, lived: float = 0.0) -> float:
        """Schedules the start of missing workers, and returns in how many seconds that will be."""
        now, (first, longest) = time.monotonic(), _BACKOFF
        if self._start_again_at is None:
            self._wait = first if lived > _SETTLED else min(max(first, 2 * self._wait), longest)
            self._start_again_at = now + self._wait
        return round(max(0.0, self._start_again_at - now), 1)

    def _look(self) -> None:
        errors: list[Exception]
        try:
            rung, found = self._reconciler.look()
            errors = list(found.values())
            if self._has_seen_workers() and rung:
                logger.warning("rung_again", ledger=self._ledger, projections=rung)
            log = Log(self._client, self._ledger)
            try:
                if not self._wanted[_deliver] and subscriptions.ids(log):
                    self._wanted[_deliver] = 1
                    self._start()
            except Unreadable as error:  # what else was found wrong is told, and rebuilds are done
                errors.append(error)
            if not self._wanted[_rebuild] and rebuild.wanted(log):
                self._wanted[_rebuild] = 1
                self._start()
        except StorageUnavailable as error:
            errors = [error, *self._revived()]
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the log or the server, the workers must outlast it
            errors = [error]
        self._complaints.hear(errors)

    def _has_seen_workers(self) -> bool:
        """Whether there was a worker at an earlier look. Until then nobody could have answered a bell or taken a job."""
        seen = self._seen_workers
        self._seen_workers = seen or workers_alive(self._client, self._ledger) > 0
        return seen

    def _revived(self) -> list[Exception]:
        """Restarts the server if it is ours, and returns the errors that prevent it."""
        if self._revive is None:
            return []
        try:
            if self._revive():
                logger.warning("server_started_again")
        except LedgerError as error:
            return [error]
        return []

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._stopped_by_signal = True
        for process in list(self._workers):
            self._ask_to_stop(process)

    def _ask_to_stop(self, process: SpawnProcess) -> None:
        """Asks a worker to stop, once: one that is asked again does not finish its job."""
        self._asked_to_stop.add(process)
        if process.is_alive():
            process.terminate()


def _see_off(processes: Collection[SpawnProcess]) -> None:
    """Waits for processes that were told to end, and kills those that do not react (SIGSTOP, a disk that hangs). Nothing is lost by
    that: whatever counts is either stored or not, and another worker goes on from there."""
    until = time.monotonic() + ENDING
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            logger.error("worker_killed", pid=process.pid, waited=ENDING)
            process.kill()
            process.join()


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes started in this block ignore Ctrl-C, which a terminal sends to all of them: the process that started them passes it
    on."""
    resource_tracker.ensure_running()  # else the first process starts it, and that would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(url: str, ledger: str, configure: Callable[[], None]) -> None:
    with _begun(configure):
        worker = _worker(BellWorker, connection_name(ledger), url, ledger)
        worker.linger = LINGER
        worker.work(logging_level="ERROR")


def _deliver(url: str, ledger: str, configure: Callable[[], None]) -> None:
    with _begun(configure):
        _beside(deliver.watch, url, ledger)
        courier = _worker(deliver.Courier, f"{deliver.CONNECTION_NAME}-{ledger}", url, ledger)
        courier.work(logging_level="ERROR")


def _rebuild(url: str, ledger: str, configure: Callable[[], None]) -> None:
    with _begun(configure):
        _beside(rebuild.watch, url, ledger)
        rebuilder = _worker(rebuild.Rebuilder, f"{rebuild.CONNECTION_NAME}-{ledger}", url, ledger)
        rebuilder.work(logging_level="ERROR")


@contextmanager
def _begun(configure: Callable[[], None]) -> Iterator[None]:
    """Sets up one of our processes, which ends with the process that started it, and logs why it cannot go on."""
    configure()
    collect_rarely()
    take_over_logging()
    stop_with_parent()
    with _last_words(), storage():
        yield


def _beside(watch: Callable[[Log], None], url: str, ledger: str) -> None:
    watched = Log(connect(url, timeout=SOCKET_TIMEOUT), ledger)
    threading.Thread(target=watch, args=(watched,), daemon=True).start()


def _worker(kind: type[BellWorker], prefix: str, url: str, ledger: str) -> BellWorker:
    name = f"{prefix}-{os.getpid()}-{time.time_ns():x}"
    return kind.of(connect(url, timeout=SOCKET_TIMEOUT, name=name), ledger, name)


def stop_with_parent() -> None:
    """Tells this process to stop (SIGTERM) as soon as the one that started it is gone."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # returns when it is gone, by SIGKILL too
        os.kill(os.getpid(), signal.SIGTERM)


def run_here_in(count: int, url: str, ledger: str, configure: Callable[[], None]) -> None:
    """`run_here` in `count` processes at once, each with its share of the projections."""
    context = multiprocessing.get_context("spawn")
    arguments = (url, ledger, configure, share_of(count))
    processes = [context.Process(target=_burst, args=arguments) for _ in range(count)]
    try:
        with deaf_to_interrupts():
            for process in processes:
                process.start()
        for process in processes:
            process.join()
    finally:  # Ctrl-C, of which they know nothing
        left = [process for process in processes if process.is_alive()]
        for process in left:
            process.terminate()
        _see_off(left)
    if any(process.exitcode for process in processes):
        raise LedgerError(f"a worker ended with exit codes {[process.exitcode for process in processes]}")


def _burst(url: str, ledger: str, configure: Callable[[], None], share: int) -> None:
    configure()
    collect_rarely()
    with _last_words():
        run_here(connect(url), ledger, share=share)


@contextmanager
def _last_words() -> Iterator[None]:
    """If the block cannot go on, ends the process with a line in the log."""
    try:
        yield
    except LedgerError as error:
        logger.error("worker_failed", code=error.code, says=str(error))  # noqa: TRY400  # its text says all
        sys.exit(1)
