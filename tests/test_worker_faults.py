"""Workers that are killed, stopped, cut off and interrupted: the projections get to the head, and count each event once."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial

import pytest

from approval_ledger import telemetry
from events import LedgerError, Log, keys
from projections import PROJECTIONS, Store
from workers import doorbell, progress, queue_length, ring, run_here, run_here_in, workers_alive
from workers.queues import doorbell as queue_of

from .conftest import new_ledger
from .given import HISTORY, append, folded, stored, url_of
from .long import only_long, some
from .servers import KINDS, Server, execute
from .strategies import report
from .worker_main import BELL_MS, ENDING, GATE, GATED, LINGER, PATIENCE, Gated, Supervised, eventually

ENVIRONMENT = {GATED: "1"}
FOR_EVER = "1000000"
UNGATED = Gated()
ALL = {**PROJECTIONS, UNGATED.name: UNGATED}

Supervise = Callable[..., Supervised]


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """Starts workers of a test's own."""
    with ExitStack() as started:
        yield lambda log, *count, **url: started.enter_context(
            Supervised(url.get("url") or url_of(log), log.ledger, *count, environment=ENVIRONMENT)
        )


@pytest.fixture(scope="module")
def shared_log(server: Server) -> Iterator[Log]:
    """The ledger of `pair`."""
    with closing(server.client()) as client:
        yield Log(client, new_ledger())


@pytest.fixture(scope="module")
def shared_pair(server: Server, shared_log: Log) -> Iterator[Supervised]:
    with Supervised(server.url, shared_log.ledger, 2, environment=ENVIRONMENT) as workers:
        yield workers


@pytest.fixture
def pair(shared_pair: Supervised) -> Supervised:
    """Two workers that several tests share, both waiting for a job."""
    shared_pair.when_alive(2)
    return shared_pair


@pytest.fixture(autouse=True)
def short_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the workers' processes."""
    monkeypatch.setattr(doorbell, "BELL_MS", BELL_MS)


def ring_for_all(log: Log) -> None:
    ring(log.client, log.ledger, ALL)


def position(log: Log, name: str) -> int:
    return Store(log, ALL[name]).open_live().checkpoint().position


def positions(log: Log) -> list[int]:
    return [position(log, name) for name in ALL]


def caught_up(log: Log, *names: str) -> None:
    """Waits until the projections are at the head; every digest is then the one of a plain fold."""
    head = log.head()

    def at_the_head(name: str) -> bool:
        return position(log, name) == head

    for name in names or ALL:
        eventually(partial(at_the_head, name), f"{name} is at the head")
        assert Store(log, ALL[name]).open_live().digest() == folded(log, ALL[name])


# While they run


def test_what_is_appended_flows_into_every_projection(shared_log: Log, pair: Supervised) -> None:
    log = shared_log
    for batch in (HISTORY[:20], HISTORY[20:40], HISTORY[40:]):
        log.append(batch)
        ring_for_all(log)
    caught_up(log)
    assert not pair.said("worker_died")
    assert not pair.said("job_failed")


def test_nobody_needs_to_ring(shared_log: Log, pair: Supervised) -> None:
    """The producer may have died after it appended."""
    append(shared_log, 40, 41)
    caught_up(shared_log)


def test_workers_that_run_here_share_the_jobs_with_those_elsewhere(shared_log: Log, pair: Supervised) -> None:
    append(shared_log, *range(20, 420))
    ring_for_all(shared_log)
    run_here(shared_log.client, shared_log.ledger)
    assert set(progress(shared_log)[1].values()) == {shared_log.head()}
    caught_up(shared_log)


def test_a_worker_that_is_killed_is_not_counted_any_more_and_another_takes_its_place(
    shared_log: Log, pair: Supervised
) -> None:
    log = shared_log
    assert workers_alive(log.client, log.ledger) == 2
    (killed, other), died = pair.when_alive(2), len(pair.said("worker_died"))
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: killed not in pair.workers(), "its connection closed with it")
    assert other in pair.workers()
    eventually(lambda: workers_alive(log.client, log.ledger) == 2)
    (line,) = pair.said("worker_died")[died:]
    assert (line["pid"], line["exit"]) == (killed, -signal.SIGKILL)
    append(log, 42)
    ring_for_all(log)
    caught_up(log)


@only_long
def test_jobs_that_are_lost_between_the_queue_and_their_start_are_asked_for_again(
    shared_log: Log, pair: Supervised
) -> None:
    """The server hands each job to a worker that is stopped, and never wakes; or somebody takes it off by hand."""
    log, queue = shared_log, queue_of(shared_log.client, shared_log.ledger)
    stopped, rung = pair.when_quiet(2), len(pair.said("rung_again"))
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    append(log, 43)
    ring_for_all(log)
    assert queue_length(log.client, log.ledger) >= len(ALL) - 2
    assert log.client.llen(queue.intermediate_queue_key) == 2
    assert log.client.lpop(queue.key)
    while log.client.lmove(queue.key, queue.intermediate_queue_key):
        pass
    for worker in stopped:
        os.kill(worker, signal.SIGKILL)
    caught_up(log)
    assert {name for line in pair.said("rung_again")[rung:] for name in line["projections"]} == set(ALL)
    eventually(lambda: not log.client.exists(queue.intermediate_queue_key), "what they took is cleared away")


@only_long
def test_workers_that_are_killed_in_the_middle_of_thousands_of_events_count_none_twice(
    server: Server, supervise: Supervise
) -> None:
    log = Log(server.client(), new_ledger())
    log.append(HISTORY)
    log.append([report(f"many-{number}", 20 + number % 70) for number in range(5_000)])
    workers = supervise(log, 2)
    killed: set[int] = set()
    for _ in range(2):
        busy = eventually(
            partial(in_the_middle, log, workers, killed, sum(positions(log))), "some are at work"
        )
        for pid in busy:
            os.kill(pid, signal.SIGKILL)
        killed.update(busy)
        assert min(positions(log)) < log.head()
    caught_up(log)
    died = workers.said("worker_died")
    assert {line["pid"] for line in died} == killed
    assert {line["exit"] for line in died} == {-signal.SIGKILL}
    assert not workers.said("job_failed")


def in_the_middle(log: Log, workers: Supervised, but_for: set[int], since: int) -> list[int]:
    """The workers that are at work, once the positions have moved on from a sum of `since`."""
    if sum(positions(log)) <= since:
        return []
    return [pid for pid, waits in workers.workers().items() if not waits and pid not in but_for]


@only_long
def test_a_worker_that_was_stopped_and_wakes_up_late_changes_nothing(
    server: Server, supervise: Supervise
) -> None:
    log = Log(server.client(), new_ledger())
    append(log, 40, GATE, 42)
    workers = supervise(log, 2)
    late = eventually(workers.waiting_at_the_gate)[0]
    os.kill(late, signal.SIGSTOP)
    workers.open_the_gate()
    caught_up(log)
    append(log, 43)
    caught_up(log)
    assert not workers.workers()[late]

    os.kill(late, signal.SIGCONT)
    eventually(lambda: workers.workers()[late], "it has done what it was about to do")
    caught_up(log)
    assert not workers.said("worker_died")
    assert not workers.said("job_failed")


def test_two_share_the_projections_and_what_one_had_that_is_killed_is_taken_over(log: Log) -> None:
    """Both linger until the test ends, and nobody rings but the reconciler."""
    with Supervised(url_of(log), log.ledger, 2, environment={LINGER: FOR_EVER}) as workers:
        workers.when_alive(2)
        append(log, 40)
        ring(log.client, log.ledger, PROJECTIONS)
        caught_up(log, *PROJECTIONS)
        holders = {log.client.get(keys.bell(log.ledger, name)) for name in PROJECTIONS}
        assert len(holders) == 2
        os.kill(next(iter(workers.workers())), signal.SIGKILL)
        append(log, 41)
        caught_up(log, *PROJECTIONS)
        assert len(workers.said("worker_died")) == 1


# Ends


@only_long
def test_a_worker_that_lingers_leaves_when_it_is_told_to_and_takes_its_bells_off(log: Log) -> None:
    append(log, 40)
    with Supervised(url_of(log), log.ledger, environment={LINGER: FOR_EVER}) as workers:
        caught_up(log, *PROJECTIONS)
        bells = [keys.bell(log.ledger, name) for name in PROJECTIONS]
        assert log.client.exists(*bells) == len(bells)
        workers.process.send_signal(signal.SIGTERM)
        assert workers.exit() == 0
        assert log.client.exists(*bells) == 0
        assert not workers.said("job_failed")  # as where its time would have been over
        assert not workers.said("asked_to_stop_again")


@only_long
@pytest.mark.parametrize("how", some(["Ctrl-C", "SIGTERM to the supervisor"], every=2))
def test_workers_that_wait_leave_at_once_and_leave_nothing_behind(
    log: Log, supervise: Supervise, how: str
) -> None:
    before = {*log.client.scan_iter("rq:*", 1000)}
    append(log, 40)
    workers = supervise(log)
    caught_up(log)
    workers.when_quiet()
    if how == "Ctrl-C":
        workers.interrupt()
    else:
        workers.process.send_signal(signal.SIGTERM)
    assert workers.exit() == 0
    assert workers_alive(log.client, log.ledger) == 0
    assert {*log.client.scan_iter("rq:*", 1000)} - before - {b"rq:queues"} == set()
    assert not workers.said("asked_to_stop_again")
    assert [line["event"] for line in workers.said() if line["event"] != "looked"][-1] == "workers_stopped"


@pytest.mark.parametrize("how", some(["SIGTERM to the supervisor", "Ctrl-C"], every=2))
def test_a_job_that_runs_is_finished_first_and_nobody_is_asked_twice(
    log: Log, supervise: Supervise, how: str
) -> None:
    append(log, 40, GATE, 42)
    workers = supervise(log)
    eventually(workers.waiting_at_the_gate)
    if how == "Ctrl-C":
        workers.interrupt()
    else:
        workers.process.send_signal(signal.SIGTERM)
    eventually(lambda: workers.said("asked_to_stop"))
    assert (workers.ended(), position(log, "gated")) == (None, 0)
    workers.open_the_gate()
    assert workers.exit() == 0
    assert Store(log, UNGATED).open_live().digest() == folded(log, UNGATED)
    assert not workers.said("asked_to_stop_again")


@only_long
def test_a_second_ctrl_c_ends_a_job_that_runs(log: Log, supervise: Supervise) -> None:
    append(log, 40, GATE, 42)
    workers = supervise(log)
    eventually(workers.waiting_at_the_gate)
    workers.interrupt()
    eventually(lambda: workers.said("asked_to_stop"))
    pressed = time.monotonic()
    eventually(lambda: time.monotonic() > pressed + 1)  # two within a second count as one
    workers.interrupt()
    assert workers.exit() == 0  # though the gate is closed
    assert len(workers.said("asked_to_stop_again")) == 1
    assert (position(log, "gated"), workers_alive(log.client, log.ledger)) == (0, 0)


@only_long
def test_given_a_worker_that_is_stopped_when_its_supervisor_is_told_to_end_then_it_is_killed_and_that_is_said(
    log: Log,
) -> None:
    with Supervised(url_of(log), log.ledger, environment={ENDING: "0.1"}) as workers:
        (pid,) = workers.when_alive()
        os.kill(pid, signal.SIGSTOP)
        workers.process.send_signal(signal.SIGTERM)
        assert workers.exit() == 0
        assert [line["pid"] for line in workers.said("worker_killed")] == [pid]
        assert len(workers.said("workers_stopped")) == 1


def test_a_signal_in_the_middle_of_a_look_at_the_event_that_stops_it_does_not_hang_it(log: Log) -> None:
    """Whoever sets an Event in a signal handler waits for ever where the same thread is about to wait for it."""
    program = """if True:
        import signal, sys, threading
        from workers import supervise

        class Interrupted(threading.Event):
            def wait(self, timeout=None):
                with self._cond:
                    signal.raise_signal(signal.SIGTERM)
                return super().wait(timeout)

        supervise(*sys.argv[1:], 0, configure=print, stop=Interrupted())
    """
    arguments = [sys.executable, "-c", program, url_of(log), log.ledger]
    assert subprocess.run(arguments, timeout=PATIENCE, stdout=subprocess.DEVNULL).returncode == 0


@only_long
def test_workers_whose_supervisor_was_killed_finish_their_jobs_and_leave(
    log: Log, supervise: Supervise
) -> None:
    append(log, 40, GATE, 42)
    workers = supervise(log)
    eventually(workers.waiting_at_the_gate)
    workers.process.kill()
    eventually(lambda: workers.said("asked_to_stop"))
    assert workers_alive(log.client, log.ledger) == 1
    workers.open_the_gate()
    eventually(lambda: not workers.workers(), "they leave")
    assert Store(log, UNGATED).open_live().digest() == folded(log, UNGATED)
    assert not workers.said("asked_to_stop_again")


# The server goes away


def test_workers_outlast_a_server_that_is_killed_and_catch_up(
    start_server: Callable[..., Server], supervise: Supervise
) -> None:
    server = start_server()
    log = Log(server.client(), "cac")
    workers = supervise(log, 2)
    before = workers.when_alive(2)
    append(log, 40, GATE, 42)
    eventually(workers.waiting_at_the_gate)
    server.kill()
    workers.open_the_gate()
    eventually(lambda: workers.said("job_failed"))
    server.start()
    with closing(server.client()) as client:
        log = Log(client, "cac")
        append(log, 43)
        caught_up(log)
    assert sorted(workers.when_quiet(2)) == sorted(before)
    assert not workers.said("worker_died")
    assert {line["code"] for line in workers.said("job_failed")} <= {"storage-unavailable", "outcome-unknown"}
    complaints = [line["says"] for line in workers.said("reconciler")]
    assert all("server" in says for says in complaints)
    assert len(complaints) == len({*complaints})


FULL = ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0")
READ_ONLY = ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")


@only_long
@pytest.mark.parametrize(("begins", "ends"), [FULL, READ_ONLY], ids=["full", "read-only"])
@pytest.mark.parametrize("kind", KINDS)
def test_given_a_server_that_takes_no_writes_when_it_takes_them_again_then_the_same_workers_go_on(
    start_server: Callable[..., Server], supervise: Supervise, kind: str, begins: str, ends: str
) -> None:
    server = start_server(kind)
    log = Log(server.client(), "cac")
    workers = supervise(log, 2)
    before = workers.when_alive(2)
    append(log, 40, GATE, 42)
    eventually(workers.waiting_at_the_gate)
    execute(server.client(), *begins.split())
    workers.open_the_gate()
    eventually(lambda: workers.said("job_failed"))
    eventually(lambda: len({line["says"].split(":")[0] for line in workers.said("rq")}) == 2)
    execute(server.client(), *ends.split())
    append(log, 43)
    caught_up(log)
    assert sorted(workers.when_quiet(2)) == sorted(before)
    assert not workers.said("worker_died")
    assert not workers.said("job_refused")


@only_long
def test_workers_that_cannot_start_are_tried_again_later_and_later_and_the_supervisor_stays(
    start_server: Callable[..., Server], supervise: Supervise
) -> None:
    server = start_server()
    log = Log(server.client(), "cac")
    append(log, 40)
    server.stop()
    workers = supervise(log, url=server.url)
    tried = eventually(lambda: (died := workers.said("worker_died"))[1:] and died)
    assert [line["again_in"] for line in tried[:2]] == [0.1, 0.2]
    assert [line["code"] for line in workers.said("reconciler")] == ["storage-unavailable"]
    server.start()
    with closing(server.client()) as client:
        caught_up(Log(client, "cac"))
    assert workers.ended() is None


@only_long
def test_given_a_supervisor_that_can_start_no_process_when_it_can_again_then_a_worker_takes_the_place_of_the_dead(
    log: Log, supervise: Supervise
) -> None:
    workers = supervise(log)
    (pid,) = workers.when_alive()
    supervisor = workers.process.pid
    before = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (3, before[1]))  # all that are open stay so
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: workers.said("worker_failed"))
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, before)
    assert workers.when_alive() != [pid]
    assert {line["code"] for line in workers.said("worker_failed")} == {"error"}
    assert workers.ended() is None


# The log is another


@only_long
def test_a_log_that_was_replaced_is_told_once_and_nothing_is_changed(log: Log, supervise: Supervise) -> None:
    append(log, 40, 41)
    workers = supervise(log)
    workers.when_quiet()
    caught_up(log)
    another = Log(log.client, new_ledger())
    append(another, 50, 51, 52)
    with log.client.pipeline(transaction=True) as at_once:
        for key in (keys.log, keys.ids):
            at_once.rename(key(another.ledger), key(log.ledger))
        at_once.execute()
    before = stored(log, "projection:")

    def more_said(event: str, least: int) -> bool:
        return len(workers.said(event)) >= least

    for _ in range(3):
        failed, looked = len(workers.said("job_failed")), len(workers.said("looked"))
        doorbell.answer(log.client, log.ledger, ALL)
        ring_for_all(log)
        eventually(partial(more_said, "job_failed", failed + len(ALL)))
        eventually(partial(more_said, "looked", looked + 3))
    said = workers.said("reconciler")
    assert [line["code"] for line in said] == ["log-forked"] * len(ALL)
    assert {name for name in ALL for line in said if f"projection {name} " in line["says"]} == {*ALL}
    assert stored(log, "projection:") == before
    assert not workers.said("worker_died")
    assert workers.ended() is None


# Here and now, in several processes


@only_long
def test_several_processes_say_what_cannot_go_on_when_the_rest_is_caught_up(
    log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    append(log, 40)
    run_here(log.client, log.ledger)
    log.client.hset(keys.state(log.ledger, "totals", 1), "entry", "0" * 64)
    append(log, 41)
    with pytest.raises(LedgerError, match="exit codes"):
        run_here_in(2, url_of(log), log.ledger, telemetry.configure)
    assert progress(log) == (2, dict.fromkeys(PROJECTIONS, 2) | {"totals": 1})
    said = capfd.readouterr().err
    assert "log-forked" in said
    assert "Traceback" not in said


@only_long
def test_several_processes_of_which_one_is_killed_do_not_pass_for_done(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 40)
    with pytest.raises(LedgerError, match=r"exit codes \[-9\]"):
        run_here_in(1, url_of(log), log.ledger, end_at_once)
    run_here(log.client, log.ledger)
    assert progress(log) == (1, dict.fromkeys(PROJECTIONS, 1))


def end_at_once() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
