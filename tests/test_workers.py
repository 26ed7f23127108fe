"""The bell, the jobs and the reconciler: no wake-up is lost, each event counts once, and the caller's process stays as it was."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import redis
import rq.job
import rq.queue
import rq.worker.base
from rq.job import Job
from structlog.testing import capture_logs

from approval_ledger import telemetry
from events import (
    DecodedEvent,
    LedgerError,
    Log,
    LogDamaged,
    LogForked,
    StorageUnavailable,
    Unreadable,
    connect,
    keys,
)
from projections import PROJECTIONS, Fenced, Store, replay
from projections.lockstep import Lockstep
from workers import (
    doorbell,
    jobs,
    processes,
    progress,
    queue_length,
    queues,
    ring,
    run_here,
    run_here_in,
    supervise,
    workers_alive,
)
from workers import worker as worker_module
from workers.doorbell import answer, hold
from workers.drain import Drain
from workers.queues import DoorbellQueue, take
from workers.queues import doorbell as queue_of
from workers.reconcile import Reconciler
from workers.sharing import cost_of, share_of
from workers.worker import BellWorker, JobTimedOut

from .conftest import new_ledger
from .given import HISTORY, Tally, append, folded, url_of
from .long import only_long
from .proxy import Proxy
from .servers import Server, execute, free_port
from .strategies import report
from .worker_main import PATIENCE, eventually

Hook = Callable[[DecodedEvent], object]


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hook], None]:
    """Makes `tally` one of the projections, with a hook that is called before each event is counted."""
    return lambda hook: monkeypatch.setitem(PROJECTIONS, "tally", Tally(before_counting=hook))


def once(action: Callable[[], object], position: int) -> Hook:
    """Does `action` when the event at `position` is counted, the first time only."""
    left = [action]

    def hook(event: DecodedEvent) -> None:
        if event.position == position and left:
            left.pop()()

    return hook


def digests(log: Log) -> dict[str, tuple[int, str]]:
    """Position and digest of every live projection."""
    return {name: Store(log, p).open_live().digest() for name, p in PROJECTIONS.items()}


def all_folded(log: Log) -> dict[str, tuple[int, str]]:
    """The same, by a plain fold of the whole log."""
    return {name: folded(log, projection) for name, projection in PROJECTIONS.items()}


def drain(log: Log, *names: str) -> None:
    """Moves projections to the log's head. Raises what keeps one from going on."""

    def failed(_: str, error: Exception) -> None:
        raise error

    moving = Drain(log, failed)
    moving.take(names)
    while moving.page():
        pass


def advance(log: Log, *names: str) -> None:
    """Runs one job for these."""
    errors: dict[str, Exception] = {}
    jobs.advance(log.client, log.ledger, list(names), failed=errors.__setitem__)
    assert not errors


def position(log: Log, name: str = "totals") -> int:
    return Store(log, PROJECTIONS[name]).open_live().checkpoint().position


def run_jobs(log: Log) -> int:
    """Runs the jobs that wait, and returns how many there were."""
    errors: dict[str, Exception] = {}
    ran = processes._drain_queue(log.client, log.ledger, errors, len(PROJECTIONS))
    assert not errors
    return ran


def lose_jobs(log: Log) -> int:
    """Takes every job off by hand, as a worker that dies does, and returns how many there were."""
    key = queue_of(log.client, log.ledger).key
    lost = 0
    while log.client.lpop(key):
        lost += 1
    return lost


def rq_keys(client: Any) -> set[bytes]:
    """Whatever RQ has in Redis: keys, and the names of its queues."""
    return {*client.scan_iter("*rq:*", 1000), *client.smembers("rq:queues")}


# The bell


def test_a_bell_that_was_rung_is_not_rung_again_until_it_is_answered(log: Log) -> None:
    assert ring(log.client, log.ledger, PROJECTIONS) == list(PROJECTIONS)
    assert ring(log.client, log.ledger, PROJECTIONS) == []
    assert queue_length(log.client, log.ledger) == len(PROJECTIONS)
    answer(log.client, log.ledger, ["shares"])
    assert ring(log.client, log.ledger, PROJECTIONS) == ["shares"]
    assert queue_length(log.client, log.ledger) == len(PROJECTIONS) + 1


def test_of_many_who_ring_at_once_one_puts_a_job_into_the_queue(log: Log) -> None:
    with ThreadPoolExecutor(8) as threads:
        rung = list(threads.map(lambda _: ring(log.client, log.ledger, PROJECTIONS), range(16)))
    assert sorted(name for names in rung for name in names) == sorted(PROJECTIONS)
    assert queue_length(log.client, log.ledger) == len(PROJECTIONS)


def test_the_bells_of_two_ledgers_are_two(log: Log) -> None:
    other = Log(log.client, new_ledger())
    assert ring(log.client, log.ledger, ["totals"]) == ring(other.client, other.ledger, ["totals"])
    append(other, 40)
    assert run_jobs(other) == 1
    assert (queue_length(log.client, log.ledger), position(other)) == (1, 1)


def test_a_bell_whose_job_is_lost_rings_again_after_a_few_seconds(log: Log) -> None:
    bell = keys.bell(log.ledger, "totals")
    ring(log.client, log.ledger, ["totals"])
    assert lose_jobs(log) == 1
    assert ring(log.client, log.ledger, ["totals"]) == []
    assert 0 < int(log.client.pttl(bell)) <= doorbell.BELL_MS
    log.client.pexpire(bell, 1)  # those seconds pass
    eventually(lambda: ring(log.client, log.ledger, ["totals"]))
    assert queue_length(log.client, log.ledger) == 1


def test_a_job_that_waited_too_long_is_gone_without_a_word(log: Log) -> None:
    ring(log.client, log.ledger, ["totals"])
    for key in log.client.scan_iter("rq:job:*"):
        log.client.pexpire(key, 1)
    eventually(lambda: not list(log.client.scan_iter("rq:job:*")))
    with capture_logs() as said:
        assert run_jobs(log) == 0
    assert said == []
    assert queue_length(log.client, log.ledger) == 0


def test_given_nobody_who_takes_jobs_when_bells_ring_on_and_on_then_the_oldest_jobs_go(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "WAITING", 7)
    append(log, 40)
    for _ in range(4):
        answer(log.client, log.ledger, PROJECTIONS)  # as they go off by themselves
        assert ring(log.client, log.ledger, PROJECTIONS) == list(PROJECTIONS)
    assert queue_length(log.client, log.ledger) == 7
    assert run_jobs(log) == 7
    assert digests(log) == all_folded(log)


def test_given_a_node_of_a_cluster_when_somebody_rings_then_they_hear_that_a_cluster_will_not_do(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(cluster_enabled="yes", cluster_port=free_port())
    log = Log(server.client(), "a")
    with pytest.raises(
        StorageUnavailable, match=r"Nothing was stored\. Use a server without cluster-enabled"
    ):
        log.append([report("e1")])  # the node has no slots
    execute(server.client(), "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    eventually(lambda: server.client().cluster("INFO")["cluster_state"] == "ok")
    assert log.append([report("e1")])
    with pytest.raises(StorageUnavailable, match=r"same slot\. Use a server without cluster-enabled"):
        ring(log.client, log.ledger, PROJECTIONS)


def test_who_cannot_ring_hears_why(start_server: Callable[..., Server]) -> None:
    server = start_server()
    client = server.client()
    server.kill()
    with pytest.raises(StorageUnavailable, match="cannot reach the server"):
        ring(client, "cac", PROJECTIONS)
    with pytest.raises(StorageUnavailable):
        run_here(client, "cac")
    with pytest.raises(StorageUnavailable):
        workers_alive(client, "cac")


# No wake-up is lost


@pytest.mark.parametrize("look", [1, 2])
def test_what_comes_while_a_job_is_about_to_leave_has_a_job_of_its_own(
    log: Log, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    """An event is appended, and the bell rung for it, after a job's last look but one at the log, or after its last."""
    looks = []
    really = Drain.page

    def page_and_then_append(self: Drain) -> bool:
        if not (more := really(self)):
            looks.append(more)
            if len(looks) == look:
                append(log, 41)
                ring(log.client, log.ledger, ["totals"])
        return more

    monkeypatch.setattr(Drain, "page", page_and_then_append)
    append(log, 40)
    ring(log.client, log.ledger, ["totals"])
    assert run_jobs(log) == 2
    assert (position(log), log.head()) == (2, 2)


def test_a_job_that_answers_the_bell_last_would_lose_a_wake_up(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above: what its order is good for."""

    def careless(client: redis.Redis, ledger: str, names: list[str], **_: Any) -> None:
        hold(client, ledger, names, "careless")
        drain(log, *names)
        if log.head() == 1:
            append(log, 41)
            ring(client, ledger, names)
        answer(client, ledger, names)

    monkeypatch.setattr(processes, "advance", careless)
    append(log, 40)
    ring(log.client, log.ledger, ["totals"])
    assert run_jobs(log) == 1
    assert (position(log), log.head()) == (1, 2)


def test_at_every_quiet_point_everything_is_seen_though_nobody_looks_for_lost_bells(
    server: Server, log: Log
) -> None:
    """Threads append and ring while others run the jobs; then they stop, and nothing may be left to do."""
    stop = threading.Event()

    def work() -> None:
        with connect(server.url) as client:
            while not stop.is_set():
                run_jobs(Log(client, log.ledger))

    def produce(producer: int, spell: int) -> None:
        with connect(server.url) as client:
            mine = Log(client, log.ledger)
            for number in range(4):
                mine.append([report(f"{spell}-{producer}-{number}")])
                ring(client, mine.ledger, ["totals"])

    def seen(head: int) -> bool:
        return position(log) == head

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(work) for _ in range(2)]
        try:
            for spell in range(12):
                list(threads.map(partial(produce, spell=spell), range(2)))
                head = log.head()
                assert head == 8 * (spell + 1)
                eventually(partial(seen, head), "everything is seen")
        finally:
            stop.set()
        for each in working:
            each.result()
    assert digests(log)["totals"] == folded(log, PROJECTIONS["totals"])


# Draining


def test_several_who_drain_one_projection_count_each_event_once(
    server: Server, log: Log, tally: Callable[[Hook], None]
) -> None:
    tally(lambda _: None)
    append(log, *range(20, 1_220))
    together = threading.Barrier(4)

    def drain_too(_: int) -> None:
        with connect(server.url) as client:
            together.wait()
            drain(Log(client, log.ledger), "tally")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(drain_too, range(4)))
    assert Store(log, Tally()).open_live().digest() == folded(log, Tally())


def test_several_processes_catch_up_together_and_count_each_event_once(server: Server, log: Log) -> None:
    log.append(HISTORY)
    append(log, *range(20, 420))
    run_here_in(3, server.url, log.ledger, telemetry.configure)
    assert digests(log) == all_folded(log)
    assert queue_length(log.client, log.ledger) == 0


def test_draining_follows_a_switch_to_another_generation(log: Log, tally: Callable[[Hook], None]) -> None:
    append(log, 40, 41, 42)
    plain = Store(log, Tally())

    def switch() -> None:
        replay.adopt(plain, replay.rebuild(plain))
        append(log, 43)

    tally(once(switch, 2))
    drain(log, "tally", "totals")
    assert plain.live() == 2
    assert plain.open_live().digest() == folded(log, Tally())
    assert position(log) == 4


def test_a_job_ends_in_time_also_where_others_are_always_first(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 40)
    monkeypatch.setattr(jobs, "SLICE", 0.0)
    monkeypatch.setattr(Lockstep, "advance", lambda *_: [Fenced()])
    advance(log, "totals")
    assert queue_length(log.client, log.ledger) == 1  # for the rest


def test_a_job_that_has_used_up_its_time_rings_for_the_rest(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SLICE", 0.0)
    append(log, *range(20, 1_620))
    ring(log.client, log.ledger, ["totals", "shares"])
    queue = queue_of(log.client, log.ledger)
    seen = []
    while names := take(queue, log.client, 1):
        advance(log, *names)
        seen.append((names[0], position(log, names[0])))
    # Each has its turn, of a page and a last look, and then the next.
    assert seen == [(name, at) for at in (1_000, 1_600, 1_600) for name in ("totals", "shares")]


def test_given_events_that_keep_coming_when_a_job_that_lingers_has_used_up_its_time_then_it_rings_for_the_next_ones(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever appends from Python does not ring, and would wait for the reconciler."""
    monkeypatch.setattr(jobs, "SLICE", 0.0)
    append(log, 40)
    jobs.advance(log.client, log.ledger, ["totals"], failed=lambda *_: None, linger=jobs.LINGER)
    assert position(log, "totals") == log.head()
    assert queue_length(log.client, log.ledger) == 1


# In lockstep


def test_jobs_that_wait_are_run_together_up_to_a_share(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    together = []
    really = jobs.advance

    def noting(client: redis.Redis, ledger: str, names: list[str], **how: Any) -> None:
        together.append(names)
        really(client, ledger, names, **how)

    monkeypatch.setattr(processes, "advance", noting)
    log.append(HISTORY)
    run_here(log.client, log.ledger, share=share_of(2))
    assert together == [["companies", "totals"], ["batches", "shares", "sources"]]
    together.clear()
    append(log, 40)
    run_here(log.client, log.ledger)
    assert together == [["companies", "totals", "batches", "shares", "sources"]]
    assert digests(log) == all_folded(log)


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 4, 5, 6, 13, 64])
def test_the_shares_of_so_many_workers_are_all_projections(log: Log, workers: int) -> None:
    ring(log.client, log.ledger, PROJECTIONS)
    queue = queue_of(log.client, log.ledger)
    share = share_of(workers)
    taken = [take(queue, log.client, share) for _ in range(max(1, workers))]
    assert sorted(name for names in taken for name in names) == sorted(PROJECTIONS)
    assert all(sum(map(cost_of, names)) <= share or len(names) == 1 for names in taken)


# Lingering


def test_while_a_job_lingers_nobody_need_ring_and_nothing_is_put_into_the_queue(log: Log) -> None:
    with lingering(log) as worker:
        for figure in range(40, 50):
            append(log, figure)
            assert ring(log.client, log.ledger, PROJECTIONS) == []
            eventually(lambda: set(progress(log)[1].values()) == {log.head()})
        assert queue_length(log.client, log.ledger) == 0
        worker.stops.set()
    assert digests(log) == all_folded(log)
    assert ring(log.client, log.ledger, PROJECTIONS) == list(PROJECTIONS)  # it has left


def test_a_job_that_lingers_keeps_the_bells_on_and_takes_along_what_is_rung_for(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "BELL_MS", 1_000)
    with lingering(log, "totals") as worker:
        held = log.client.get(keys.bell(log.ledger, "totals"))
        waits_for_renewals(log, "totals", 3)
        assert log.client.get(keys.bell(log.ledger, "totals")) == held
        assert position(log, "shares") == 0
        append(log, 41)
        assert ring(log.client, log.ledger, PROJECTIONS) == [name for name in PROJECTIONS if name != "totals"]
        eventually(lambda: set(progress(log)[1].values()) == {2})
        assert log.client.get(keys.bell(log.ledger, "shares")) == held
        worker.stops.set()
    assert queue_length(log.client, log.ledger) == 0


def test_a_job_lets_go_of_what_another_has_taken(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was stopped for longer than its bells are on, say, and wakes up."""
    monkeypatch.setattr(doorbell, "BELL_MS", 1_000)
    with lingering(log, "totals", "shares") as worker:
        log.client.set(keys.bell(log.ledger, "totals"), "another")
        waits_for_renewals(log, "shares", 2)
        append(log, 41)
        eventually(lambda: position(log, "shares") == 2)
        waits_for_renewals(log, "shares", 2)
        assert position(log, "totals") == 1
        worker.stops.set()
    assert log.client.get(keys.bell(log.ledger, "totals")) == b"another"


def test_a_generation_that_something_else_named_keeps_a_job_from_that_projection_alone(log: Log) -> None:
    errors: dict[str, Exception] = {}
    moving = Drain(log, errors.__setitem__)
    moving.take(PROJECTIONS)
    append(log, 20)
    while moving.page():
        pass
    log.client.hset(keys.projection(log.ledger, "totals"), "live", "first")
    append(log, 21)
    while moving.page():
        pass
    assert [*errors] == ["totals"]
    assert isinstance(errors["totals"], Unreadable)
    assert position(log, "sources") == 2


def test_a_job_that_lingers_follows_a_switch_to_another_generation(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "BELL_MS", 1_000)
    store = Store(log, PROJECTIONS["totals"])
    with lingering(log) as worker:
        replay.adopt(store, replay.rebuild(store))
        append(log, 41)
        eventually(lambda: position(log, "totals") == 2)
        worker.stops.set()
    assert store.live() == 2


@only_long
def test_one_that_cannot_go_on_leaves_the_others_to_linger(log: Log) -> None:
    with lingering(log) as worker:
        log.client.hset(keys.state(log.ledger, "totals", 1), "documents", "99")
        append(log, 41)
        eventually(lambda: worker.failed)
        eventually(lambda: {position(log, name) for name in PROJECTIONS if name != "totals"} == {2})
        eventually(
            lambda: ring(log.client, log.ledger, PROJECTIONS) == ["totals"]
        )  # its bell is off, and only its
        worker.stops.set()
    assert list(worker.failed) == ["totals"]


def test_one_whose_generations_something_else_wrote_does_not_keep_it_from_the_others(log: Log) -> None:
    errors: dict[str, Exception] = {}
    log.client.set(keys.projection(log.ledger, "totals"), "something else's")
    append(log, 40)
    jobs.advance(log.client, log.ledger, list(PROJECTIONS), failed=errors.__setitem__)
    assert {position(log, name) for name in PROJECTIONS if name != "totals"} == {1}
    assert [(name, type(error)) for name, error in errors.items()] == [("totals", LogDamaged)]


def test_one_whose_generations_something_else_writes_meanwhile_stops_alone(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "BELL_MS", 1_000)
    with lingering(log) as worker:
        log.client.delete(pointer := keys.projection(log.ledger, "totals"))
        log.client.set(pointer, "something else's")
        eventually(lambda: worker.failed)
        append(log, 41)
        eventually(lambda: {position(log, name) for name in PROJECTIONS if name != "totals"} == {2})
        worker.stops.set()
    assert [(name, type(error)) for name, error in worker.failed.items()] == [("totals", LogDamaged)]


class Lingering:
    """A job that lingers in a thread of its own until it `stops`."""

    def __init__(self) -> None:
        self.stops = threading.Event()
        self.failed: dict[str, Exception] = {}


@contextmanager
def lingering(log: Log, *names: str) -> Iterator[Lingering]:
    """One that has taken the first event, and waits for the next."""
    append(log, 40)
    worker, names = Lingering(), names or tuple(PROJECTIONS)

    def work() -> None:
        with connect_like(log) as client:
            jobs.advance(
                client,
                log.ledger,
                list(names),
                failed=worker.failed.__setitem__,
                linger=PATIENCE,
                stopping=worker.stops.is_set,
                rung=lambda: take(queue_of(client, log.ledger), client, len(PROJECTIONS)),
            )

    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(work)
        try:
            eventually(lambda: {position(log, name) for name in names} == {1} or working.done())
            yield worker
        finally:
            worker.stops.set()
            working.result()


def waits_for_renewals(log: Log, name: str, times: int) -> None:
    """Until a bell was kept on so often: what is left of its time grows."""
    left = log.client.pttl(keys.bell(log.ledger, name))
    while times:
        before, left = left, log.client.pttl(keys.bell(log.ledger, name))
        times -= left > before


# A job in a worker


def test_a_job_that_takes_too_long_is_broken_off_and_its_event_is_not_at_fault(
    log: Log, tally: Callable[[Hook], None], signals: None
) -> None:
    """Those that were in one job are broken off together; from then on each has a job of its own."""
    append(log, 40, 41, 42)

    def time_is_over() -> None:  # in the middle of an event
        answer(log.client, log.ledger, ["tally", "totals"])  # as when their time is over, too
        ring(log.client, log.ledger, ["tally", "totals"])
        signal.raise_signal(signal.SIGALRM)

    tally(once(time_is_over, 2))
    ring(log.client, log.ledger, ["tally", "totals"])
    with capture_logs() as said:
        work_off(log)
    ends = [("job_failed", "tally", "error"), ("job_done", "tally", "debug"), ("job_done", "totals", "debug")]
    assert [(line["event"], line["job"], line["log_level"]) for line in said] == [
        (event, f"workers.jobs.advance({log.ledger}, {name})", level) for event, name, level in ends
    ]
    live = Store(log, PROJECTIONS["tally"]).open_live()
    assert live.parked() == {}
    assert live.digest() == folded(log, Tally())
    assert position(log) == 3


def test_given_a_projection_that_cannot_go_on_when_events_come_then_it_is_not_rung_for_with_each(
    log: Log, monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    monkeypatch.setattr(doorbell, "BELL_MS", 600_000)  # however slow this machine is
    append(log, 40)
    drain(log, "totals")
    log.client.hset(Store(log, PROJECTIONS["totals"]).open_live().state_key, "version", "99")
    append(log, 41)
    ring(log.client, log.ledger, ["totals", "shares"])
    with capture_logs() as said:
        work_off(log)
        append(log, 42)
        assert ring(log.client, log.ledger, ["totals", "shares"]) == ["shares"]
    assert [line["code"] for line in said if line["event"] == "job_failed"] == ["unreadable"]


def test_given_a_projection_that_still_cannot_go_on_when_it_is_rung_for_then_that_is_said_once_until_it_can(
    log: Log, monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    append(log, 40)
    drain(log, "totals")
    state = Store(log, PROJECTIONS["totals"]).open_live().state_key
    version = log.client.hget(state, "version")
    with capture_logs() as said, connect_like(log) as client:
        worker = BellWorker.of(client, log.ledger, "worker")
        for stored in (b"99", b"99", b"98", b"98", version, b"98"):
            log.client.hset(state, "version", stored)
            answer(log.client, log.ledger, ["totals"])
            ring(log.client, log.ledger, ["totals"])
            worker.work(burst=True, logging_level="ERROR")
    assert [line["event"] for line in said].count("job_failed") == 3


def test_an_error_of_the_fold_itself_in_the_same_place_is_parked(
    log: Log, tally: Callable[[Hook], None], signals: None
) -> None:
    """The control of the test above."""
    tally(lambda _: None)
    append(log, 40, 13, 42)
    drain(log, "tally")
    assert list(Store(log, Tally()).open_live().parked()) == [2]


def work_off(log: Log) -> None:
    """Runs the jobs that wait in RQ's own worker."""
    with connect_like(log) as client:
        BellWorker.of(client, log.ledger, "worker").work(burst=True, logging_level="ERROR")


def connect_like(log: Log) -> redis.Redis:
    return connect(url_of(log), timeout=20)


@pytest.mark.parametrize(("error", "kept"), [(JobTimedOut, False), (ValueError, True)])
def test_a_job_that_is_broken_off_leaves_no_connection_to_the_next(
    log: Log, monkeypatch: pytest.MonkeyPatch, signals: None, error: type[BaseException], kept: bool
) -> None:
    """It may have asked the server something, and the next job would read the answer. An error of its own breaks nothing off."""
    connections = []

    def broken_off(client: redis.Redis, ledger: str, names: list[str], **_: Any) -> None:
        connections.append(client.client_id())
        raise error

    monkeypatch.setattr(worker_module, "advance", broken_off)
    monkeypatch.setattr(worker_module, "share_of", lambda _: 1)
    ring(log.client, log.ledger, ["totals", "shares"])
    with capture_logs() as said:
        work_off(log)
    assert [line["event"] for line in said] == ["job_failed", "job_failed"]
    assert (connections[0] == connections[1]) is kept


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_put_forward_or_back_stops_no_worker(
    log: Log,
    tally: Callable[[Hook], None],
    monkeypatch: pytest.MonkeyPatch,
    signals: None,
    days: int,
) -> None:
    """Of the worker: nothing depends on it. (Of the server: see the bell that stays on too long.)"""
    ahead = [0]

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(days=ahead[0])

    for module in (rq.worker.base, rq.job, rq.queue, worker_module):
        monkeypatch.setattr(module, "now", clock)
    tally(once(lambda: ahead.append(ahead.pop() + days), 1))
    append(log, 40)
    ring(log.client, log.ledger, [*PROJECTIONS])
    with capture_logs() as said:
        work_off(log)
        append(log, 41)
        ring(log.client, log.ledger, [*PROJECTIONS])
        work_off(log)
    assert ahead == [days]
    assert {line["event"] for line in said} == {"job_done"}
    assert digests(log) == all_folded(log)


def while_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    really = Job.restore

    def restore(job: Job, raw: dict[bytes, bytes]) -> None:
        signal.raise_signal(signal.SIGTERM)
        really(job, raw)

    monkeypatch.setattr(Job, "restore", restore)


def where_an_exception_gets_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    really = DoorbellQueue.lmove

    def lmove(*arguments: Any) -> Any:
        with suppress(Exception):  # as in a finaliser
            signal.raise_signal(signal.SIGTERM)
        return really(*arguments)

    monkeypatch.setattr(DoorbellQueue, "lmove", lmove)


@pytest.mark.parametrize("signalled", [while_it_is_taken, where_an_exception_gets_lost])
def test_a_worker_that_is_asked_to_stop_before_a_job_has_begun_leaves_without_it(
    log: Log, monkeypatch: pytest.MonkeyPatch, signals: None, signalled: Callable[[pytest.MonkeyPatch], None]
) -> None:
    append(log, 40)
    ring(log.client, log.ledger, ["totals", "shares"])
    signalled(monkeypatch)
    with capture_logs() as said:
        work_off(log)
    assert said == []
    assert (position(log, "totals"), position(log, "shares"), queue_length(log.client, log.ledger)) == (
        0,
        0,
        1,
    )


def test_a_worker_leaves_nothing_behind_but_the_name_of_its_queue(log: Log, signals: None) -> None:
    before = rq_keys(log.client)
    append(log, 40)
    ring(log.client, log.ledger, PROJECTIONS)
    work_off(log)
    assert rq_keys(log.client) - before == {queue_of(log.client, log.ledger).key.encode()}


def test_given_a_socket_whose_path_has_a_space_then_a_worker_does_its_jobs(
    start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    with tempfile.TemporaryDirectory(prefix="a b") as directory:
        monkeypatch.setattr(tempfile, "tempdir", directory)  # where the server has its socket
        log = Log(start_server().client(), new_ledger())
        append(log, 40)
        ring(log.client, log.ledger, PROJECTIONS)
        work_off(log)
        assert digests(log) == all_folded(log)


def test_what_a_killed_worker_was_registered_as_goes_with_the_next_worker(log: Log, signals: None) -> None:
    with connect_like(log) as client:
        killed = BellWorker.of(client, log.ledger, "killed")
        killed.register_birth()  # type: ignore[no-untyped-call]  # RQ has no types here
        log.client.delete(killed.key)  # its time to live passes
    registers = ["rq:workers", f"rq:workers:{killed.queues[0].name}"]
    log.client.sadd(registers[1], b"\xff not a name")
    work_off(log)
    assert [key.encode() in log.client.smembers(at) for key in [killed.key] for at in registers] == [
        False
    ] * 2


# Here and now


def test_the_same_jobs_run_here_and_leave_nothing_of_rq_behind(log: Log) -> None:
    before = rq_keys(log.client)
    log.append(HISTORY)
    assert run_here(log.client, log.ledger) == len(PROJECTIONS)
    assert run_here(log.client, log.ledger) == 0
    assert digests(log) == all_folded(log)
    assert rq_keys(log.client) - before == set()
    assert workers_alive(log.client, log.ledger) == 0


def test_running_here_works_on_every_server(every_server: Server) -> None:
    log = Log(every_server.client(), new_ledger())
    append(log, 40, 41)
    assert run_here(log.client, log.ledger) == len(PROJECTIONS)
    assert digests(log) == all_folded(log)


def test_what_somebody_rang_for_is_done_once(log: Log) -> None:
    append(log, 40, 41)
    ring(log.client, log.ledger, PROJECTIONS)
    assert run_here(log.client, log.ledger) == len(PROJECTIONS)
    assert digests(log) == all_folded(log)


def test_an_empty_ledger_is_caught_up(log: Log) -> None:
    assert run_here(log.client, log.ledger) == 0
    assert progress(log) == (0, dict.fromkeys(PROJECTIONS, 0))


def test_running_here_takes_no_signal_and_starts_no_thread(
    log: Log, tally: Callable[[Hook], None], signals: None
) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)

    def process() -> object:
        return [signal.getsignal(number) for number in numbers], signal.alarm(0), threading.enumerate()

    during: list[object] = []
    tally(lambda _: during.append(process()))
    append(log, 40)
    before = process()
    run_here(log.client, log.ledger)
    assert during == [before]
    assert process() == before


def test_a_worker_of_rq_would_take_the_signals(log: Log, signals: None) -> None:
    """The control of the test above."""
    before = signal.getsignal(signal.SIGTERM)
    work_off(log)
    assert signal.getsignal(signal.SIGTERM) != before


def test_ctrl_c_passes_through_and_what_was_left_is_done_the_next_time(
    log: Log, tally: Callable[[Hook], None]
) -> None:
    tally(once(lambda: signal.raise_signal(signal.SIGINT), 2))
    append(log, 40, 41, 42)
    with pytest.raises(KeyboardInterrupt):
        run_here(log.client, log.ledger)
    run_here(log.client, log.ledger)
    assert digests(log) == all_folded(log)
    assert Store(log, Tally()).open_live().parked() == {}


def test_two_may_catch_up_at_once(server: Server, log: Log) -> None:
    log.append(HISTORY)
    append(log, *range(20, 520))
    together = threading.Barrier(2)

    def catch_up(_: int) -> int:
        with connect(server.url) as client:
            together.wait()
            return run_here(client, log.ledger)

    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(catch_up, range(2))) >= len(PROJECTIONS)
    assert digests(log) == all_folded(log)
    assert queue_length(log.client, log.ledger) == 0


@pytest.mark.parametrize("share", [1, None])
def test_given_others_who_take_each_job_and_run_none_when_one_catches_up_then_it_does_without_jobs(
    log: Log, monkeypatch: pytest.MonkeyPatch, share: int | None
) -> None:
    """As workers of another version of the software do, which cannot read the documents."""
    really = processes._drain_queue

    def after_others(client: redis.Redis, ledger: str, *others: Any) -> int:
        answer(client, ledger, PROJECTIONS)
        lose_jobs(log)
        return really(client, ledger, *others)

    monkeypatch.setattr(processes, "_drain_queue", after_others)
    append(log, 40, 41)
    assert run_here(log.client, log.ledger, share=share) == len(PROJECTIONS)
    assert digests(log) == all_folded(log)


def test_who_catches_up_leaves_to_others_what_they_look_after_as_long_as_they_do(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 40)
    hold(log.client, log.ledger, ["totals"], "another")
    others = [name for name in PROJECTIONS if name != "totals"]
    seen = []

    def pause(_: float) -> None:
        seen.append((position(log, "totals"), [position(log, name) for name in others]))
        if len(seen) == 2:
            answer(log.client, log.ledger, ["totals"])  # its time is over

    monkeypatch.setattr(time, "sleep", pause)
    assert run_here(log.client, log.ledger) == len(PROJECTIONS)
    assert seen == [(0, [1] * len(others))] * 2
    assert digests(log) == all_folded(log)


@pytest.mark.parametrize("share", [1, None])
def test_given_events_that_keep_coming_when_projections_are_caught_up_to_a_position_then_that_ends(
    log: Log, monkeypatch: pytest.MonkeyPatch, share: int | None
) -> None:
    """A reader without workers waited as long as somebody appended: 47 s were seen."""
    append(log, 40, 41, 42)
    page, more = Drain.page, iter(range(43, 100))

    def page_while_another_appends(drain: Drain) -> bool:
        append(log, next(more))
        return page(drain)

    monkeypatch.setattr(Drain, "page", page_while_another_appends)
    run_here(log.client, log.ledger, share=share, upto=3)
    assert all(position(log, name) >= 3 for name in PROJECTIONS)
    assert queue_length(log.client, log.ledger) == 0
    monkeypatch.undo()
    run_here(log.client, log.ledger)
    assert digests(log) == all_folded(log)


@pytest.mark.parametrize("on", [None, 86_400_000])
def test_given_a_bell_that_stays_on_too_long_when_one_catches_up_then_it_does_not_wait_for_it(
    log: Log, on: int | None
) -> None:
    """The holder is gone, and the server's clock was put back meanwhile."""
    append(log, 40)
    log.client.set(keys.bell(log.ledger, "totals"), "another", px=on)
    assert run_here(log.client, log.ledger) == len(PROJECTIONS)
    assert digests(log) == all_folded(log)


def test_what_cannot_go_on_is_raised_when_the_others_have_gone_on(log: Log) -> None:
    append(log, 40, 41)
    run_here(log.client, log.ledger)
    append(log, 42)
    state = keys.state(log.ledger, "totals", 1)
    log.client.hset(state, "entry", "0" * 64)  # as if another event had been read
    with pytest.raises(LogForked, match="projection totals"):
        run_here(log.client, log.ledger)
    assert progress(log)[1] == dict.fromkeys(PROJECTIONS, 3) | {"totals": 2}

    log.client.hset(state, "version", "99")
    append(log, 43)
    with pytest.raises(Unreadable, match="approvals replay totals"):
        run_here(log.client, log.ledger)
    assert [position(log, name) for name in PROJECTIONS if name != "totals"] == [4] * (len(PROJECTIONS) - 1)


# Who is alive


def test_workers_are_counted_by_their_ledger(server: Server) -> None:
    """One ledger's name may begin with another's, and every process counts once, however many connections it has."""
    ledger = new_ledger()
    client = server.client()
    names = [
        f"approvals-worker-{name}" for name in (f"{ledger}-1-aa", f"{ledger}-2-bb", f"{ledger}-news-3-cc")
    ]
    named = [connect(server.url, name=name) for name in [*names, names[0]]]
    for each in named:
        each.ping()
    assert workers_alive(client, ledger) == 2
    assert workers_alive(client, f"{ledger}-news") == 1
    assert workers_alive(client, ledger.removesuffix(ledger[-1])) == 0
    for each in named:
        each.close()
    eventually(lambda: workers_alive(client, ledger) == 0)


def test_given_two_databases_of_a_server_when_workers_are_counted_then_those_of_the_other_are_not(
    server: Server,
) -> None:
    ledger = new_ledger()
    with connect(f"{server.url}?db=1", name=f"approvals-worker-{ledger}-1-aa") as worker:
        worker.ping()
        assert workers_alive(worker, ledger) == 1
        assert workers_alive(server.client(), ledger) == 0


# The reconciler


def test_it_rings_for_what_is_behind_and_did_not_move_since_the_last_look(log: Log) -> None:
    look = Reconciler(log.client, log.ledger).look
    everything = list(PROJECTIONS)
    append(log, 40)
    assert [look(), look()] == [([], {}), (everything, {})]
    assert look() == ([], {})  # it is asked for already
    run_jobs(log)
    assert [look(), look()] == [([], {})] * 2

    append(log, 41)
    assert look() == ([], {})  # whoever appended it is about to ring
    drain(log, "totals")
    append(log, 42)
    assert look() == (everything[1:], {})  # somebody moves the first one on
    assert look() == (everything[:1], {})
    run_jobs(log)
    assert digests(log) == all_folded(log)


@pytest.mark.parametrize("on", [None, 86_400_000])
def test_a_bell_that_stays_on_too_long_is_taken_off(log: Log, on: int | None) -> None:
    """For ever, or for a day: that is what a bell becomes where the server's clock is put back by a day."""
    look = Reconciler(log.client, log.ledger).look
    append(log, 40)
    log.client.set(keys.bell(log.ledger, "totals"), "1", px=on)
    assert [look(), look()] == [([], {}), (list(PROJECTIONS), {})]
    run_jobs(log)
    assert position(log) == 1


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("version", "99", Unreadable),
        ("entry", "0" * 64, LogForked),
        ("position", "9", LogForked),
        ("position", "x", (LedgerError, ValueError)),
    ],
)
def test_one_projection_that_cannot_go_on_does_not_keep_it_from_the_others(
    log: Log, field: str, value: str, error: type[LedgerError]
) -> None:
    append(log, 40)
    run_here(log.client, log.ledger)
    log.client.hset(keys.state(log.ledger, "totals", 1), field, value)
    look = Reconciler(log.client, log.ledger).look
    append(log, 41)
    others = [name for name in PROJECTIONS if name != "totals"]
    for expected in ([], others, []):
        rung, errors = look()
        assert rung == expected
        assert list(errors) == ["totals"]
        assert isinstance(errors["totals"], error)
    run_jobs(log)
    assert [position(log, name) for name in others] == [2] * len(others)


def test_given_a_projection_that_cannot_be_read_when_somebody_asks_how_far_they_are_then_the_others_are_told(
    log: Log,
) -> None:
    append(log, 40)
    run_here(log.client, log.ledger)
    others = {name: 1 for name in PROJECTIONS if name != "totals"}
    log.client.hset(keys.state(log.ledger, "totals", 1), "version", "99")
    assert progress(log) == (1, others)
    log.client.delete(pointer := keys.projection(log.ledger, "totals"))
    log.client.set(pointer, "something else's")
    assert progress(log) == (1, others)


def test_a_log_that_was_cut_off_before_a_checkpoint_is_told(log: Log) -> None:
    append(log, 40, 41, 42)
    run_here(log.client, log.ledger)
    look = Reconciler(log.client, log.ledger).look
    assert look() == ([], {})
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger), keys.subjects(log.ledger))
    append(log, 40)
    rung, errors = look()
    assert (rung, list(errors)) == ([], list(PROJECTIONS))
    assert all(isinstance(e, LogForked) and "the log ends before it" in str(e) for e in errors.values())


# When a reply is lost


@pytest.mark.parametrize("word", [b"SET", b"RPUSH", b"LMOVE", b"LREM", b"EVALSHA", b"XRANGE", b"DEL"])
def test_a_lost_reply_costs_one_job_and_counts_nothing_twice(server: Server, log: Log, word: bytes) -> None:
    append(log, 40, 41, 42)
    run_here(log.client, log.ledger)  # so that the server knows the function, which is EVALSHA from now on
    append(log, 43)
    with Proxy(server) as proxy, connect(proxy.url) as client:
        proxy.lose_replies_to(word, 1)

        def ring_and_run() -> None:
            ring(client, log.ledger, ["totals"])
            run_jobs(Log(client, log.ledger))

        with pytest.raises(StorageUnavailable):
            ring_and_run()
        assert proxy.lost == 1
        run_here(client, log.ledger)
    assert digests(log) == all_folded(log)


@pytest.mark.parametrize(
    "word", [b"HSET", b"LREM", b"LMOVE", b"CLIENT", b"SET", b"EVALSHA", b"last_heartbeat"]
)
def test_given_a_worker_when_a_reply_is_lost_then_it_goes_on_with_the_next_job(
    server: Server, log: Log, signals: None, word: bytes
) -> None:
    append(log, 40)
    run_here(log.client, log.ledger)  # as above
    append(log, 41)
    ring(log.client, log.ledger, [*PROJECTIONS])
    with Proxy(server) as proxy, connect(proxy.url, timeout=20) as client, capture_logs() as said:
        worker = BellWorker.of(client, log.ledger, "worker")
        worker.register_birth = lambda: proxy.lose_replies_to(word, 1)  # type: ignore[method-assign]  # as it begins
        worker.work(burst=True, logging_level="ERROR")
        assert proxy.lost == 1
    assert not [line for line in said if line.get("exc_info")]
    assert queue_length(log.client, log.ledger) == 0
    run_here(log.client, log.ledger)
    assert digests(log) == all_folded(log)


# The supervisor, in this process


def test_a_supervisor_ends_when_it_is_told_to_and_puts_the_signals_back(server: Server, log: Log) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:

        def stop_when_it_is_there() -> int:
            try:
                return eventually(lambda: workers_alive(log.client, log.ledger))
            finally:
                stop.set()

        alive = threads.submit(stop_when_it_is_there)
        with capture_logs() as said:
            supervise(server.url, log.ledger, 1, configure=telemetry.configure, stop=stop)
        assert alive.result() == 1
    assert [line["event"] for line in said] == ["workers_started", "workers_stopped"]
    assert workers_alive(log.client, log.ledger) == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_given_a_log_that_is_behind_when_a_supervisor_begins_then_a_bell_that_nobody_could_answer_yet_is_no_warning(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PERIOD", 0.0)  # it looks several times before its worker has come up
    append(log, 40)
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:

        def stop_when_all_is_projected() -> None:
            try:
                eventually(lambda: all(position(log, name) == 1 for name in PROJECTIONS))
            finally:
                stop.set()

        projected = threads.submit(stop_when_all_is_projected)
        with capture_logs() as said:
            supervise(server.url, log.ledger, 1, configure=telemetry.configure, stop=stop)
        projected.result()
    assert [line["event"] for line in said] == ["workers_started", "workers_stopped"]


def test_a_supervisor_that_breaks_down_leaves_no_worker_behind(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_: object) -> None:
        if workers_alive(log.client, log.ledger):
            raise MemoryError

    monkeypatch.setattr(processes, "PERIOD", 0.0)
    monkeypatch.setattr(processes.Supervisor, "_look", break_down)
    try:
        with capture_logs(), pytest.raises(MemoryError):
            supervise(server.url, log.ledger, 1, configure=telemetry.configure)
        assert workers_alive(log.client, log.ledger) == 0
        assert multiprocessing.active_children() == []
    finally:
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
