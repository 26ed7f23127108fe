"""Producers, workers, rebuilds and readers at once, and one fault after the other, in an order that a seed gives.

Whatever happens: what was acknowledged is in the log, where it was said to be, once; what was refused is not; and every projection
is, byte for byte, a plain fold of the log.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from approval_ledger.status import status_of
from events import (
    BadQuestion,
    LedgerError,
    Log,
    RecordedEvent,
    StorageUnavailable,
    connect,
    durability,
    encode,
    keys,
)
from projections import PROJECTIONS, Store, digest, replay
from workers import ask_for_rebuild, queue_length, rebuild_here, run_here

from .given import ASK, QUESTIONS, views
from .line import Line
from .long import only_faults
from .producing import TIMEOUT, Producer, Record
from .servers import BINARIES, Server, execute, free_port
from .worker_main import PATIENCE, Supervised, eventually

ROOT = Path(__file__).parents[1]
LEDGER, NEIGHBOUR = "cac", "cac-2"
FAULTS = 60  # in one run
PAUSES = (0.05, 0.2, 0.5)  # seconds between two of them
REPLAY = """
import sys
from events import Log, connect
from projections import PROJECTIONS, Store, replay
store = Store(Log(connect(sys.argv[1]), sys.argv[2]), PROJECTIONS[sys.argv[3]])
print(flush=True)
replay.adopt(store, replay.rebuild(store))
"""


class Reader:
    """Asks one question after the other until `stop`; each answer knows at least what the one before knew."""

    def __init__(self, url: str, seed: int, stop: threading.Event) -> None:
        self.wrong: list[str] = []
        self.answers: list[tuple[str, int, Any]] = []
        self._client = connect(url, timeout=TIMEOUT)
        self._random, self._stop = random.Random(seed), stop

    def run(self) -> None:
        log, seen = Log(self._client, LEDGER), 0
        while not self._stop.wait(0.1):
            name, known_at = self._random.choice([*QUESTIONS]), self._random.choice([None, None, None, seen])
            try:
                answer = QUESTIONS[name](log, at_least=0 if known_at else seen, known_at=known_at)
            except StorageUnavailable:
                continue
            except Exception as error:  # noqa: BLE001  # whatever it is
                self.wrong.append(f"{name}: {error!r}")
                continue
            if answer["position"] < (known_at or seen) or "parked" in answer:
                self.wrong.append(f"{name}, after {seen}, known at {known_at}: {answer}")
            seen = max(seen, answer["position"])
            self.answers.append((name, answer["position"], answer["answers"]))
        self._client.close()


class World:
    """A server at the end of a line, and who uses it; each public method is a fault, and what puts it right where that is not the
    others' part."""

    def __init__(self, kind: str, seed: int) -> None:
        self._kind, self._random = kind, random.Random(seed)
        self._open = ExitStack()
        self._servers = [
            self._open.enter_context(Server(kind, port=free_port(), repl_diskless_sync_delay="0"))
        ]
        self.line = self._open.enter_context(Line(self._server))
        self.workers = self._open.enter_context(Supervised(self.line.url, LEDGER, 2))
        self.workers.when_alive(2)
        self._replays: list[threading.Thread] = []
        self.wrong: list[str] = []
        self.happened: list[str] = []

    @property
    def _server(self) -> Server:
        return self._servers[-1]

    @property
    def client(self) -> redis.Redis:
        return self._server.client()

    @property
    def log(self) -> Log:
        return Log(self.client, LEDGER)

    def something_happens(self) -> None:
        name = self._random.choice([name for name in vars(World) if name.startswith("fault_")])
        self.happened.append(name)
        with suppress(LedgerError, redis.RedisError):  # the fault before may last
            getattr(self, name)()
        time.sleep(self._random.choice(PAUSES))

    def calm(self) -> None:
        """The last fault is over, and so is what was begun."""
        eventually(self._is_right_again)
        for thread in self._replays:
            thread.join()

    def _is_right_again(self) -> bool:
        with suppress(LedgerError, redis.RedisError):
            self.client.client_unpause()
            self.client.config_set("maxmemory", 0)
            self.client.config_set("appendfsync", "always")
            return not durability.check(self.client)
        return False

    def close(self) -> None:
        self._open.close()

    def _name(self) -> str:
        return self._random.choice([*PROJECTIONS])

    # Processes

    def _signal(self, *signals: signal.Signals, named: str = f"approvals-worker-{LEDGER}") -> None:
        """To one of the processes whose connections are called so, with some time between two."""
        names = [str(each["name"]) for each in self.client.client_list(_type="normal")]
        found = [int(name.rsplit("-", 2)[1]) for name in names if name.startswith(f"{named}-")]
        with suppress(ProcessLookupError):
            for number in signals if found else ():
                os.kill(found[0], number)
                if len(signals) > 1:
                    time.sleep(self._random.choice([0.1, 2.5]))

    def fault_a_worker_is_killed(self) -> None:
        self._signal(signal.SIGKILL)

    def fault_a_worker_is_told_to_end(self) -> None:
        self._signal(signal.SIGTERM)

    def fault_a_worker_stands_still_for_longer_than_its_bells(self) -> None:
        self._signal(signal.SIGSTOP, signal.SIGCONT)

    def fault_a_rebuild_is_asked_for_twice_and_its_worker_killed(self) -> None:
        name = self._name()
        assert ask_for_rebuild(self.log, name)[0].is_open
        ask_for_rebuild(self.log, name)
        self._signal(signal.SIGKILL, named=f"approvals-rebuilder-{LEDGER}")

    def fault_a_replay_is_killed(self) -> None:
        command = [sys.executable, "-c", REPLAY, self.line.url, LEDGER, self._name()]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(self._random.random())
            process.kill()

    # The server

    def fault_the_server_is_killed(self) -> None:
        self._server.restart()

    def fault_the_server_ends(self) -> None:
        self._server.stop()
        self._server.start()

    def fault_the_server_stands_still(self) -> None:
        assert self._server.process is not None
        os.kill(self._server.process.pid, signal.SIGSTOP)
        time.sleep(self._random.choice([0.2, TIMEOUT + 0.5]))
        os.kill(self._server.process.pid, signal.SIGCONT)

    def fault_the_server_forgets_its_functions(self) -> None:
        self.client.script_flush()

    def fault_the_server_ends_all_connections(self) -> None:
        execute(self.client, *b"CLIENT KILL TYPE normal SKIPME yes".split())

    def fault_the_server_pauses(self) -> None:
        self.client.client_pause(self._random.choice([100, 2500]), all=self._random.random() < 0.5)

    def fault_the_server_is_full(self) -> None:
        self.client.config_set("maxmemory", 1)
        time.sleep(0.5)
        self.client.config_set("maxmemory", 0)

    def fault_the_server_is_not_durable(self) -> None:
        self.client.config_set("appendfsync", "everysec")
        time.sleep(0.2)
        self.client.config_set("appendfsync", "always")

    def fault_the_server_rewrites_its_file(self) -> None:
        self.client.bgrewriteaof()

    def fault_a_replica_takes_over(self) -> None:
        """It has all that was acknowledged: with less, it would be an older copy."""
        old = self._server
        source = f"127.0.0.1 {old.settings['port']}"
        new = Server(self._kind, port=free_port(), repl_diskless_sync_delay="0", replicaof=source)
        self._open.enter_context(new)
        eventually(lambda: new.client().info("replication")["master_link_status"] == "up")
        self.line.hold()
        try:
            old.client().client_pause(60_000, all=False)
            written = old.client().info("replication")["master_repl_offset"]
            eventually(lambda: new.client().info("replication")["slave_repl_offset"] == written)
            new.client().replicaof("NO", "ONE")
            del new.settings["replicaof"]
            self._servers.append(new)
            self.line.lead_to(new)
            old.kill()
        finally:
            self.line.release()

    # The line

    def fault_the_line_is_cut(self) -> None:
        self.line.cut()

    def fault_the_line_is_cut_in_the_middle_of_an_answer(self) -> None:
        for size in (0, 1, 10, 1000):
            self.line.cut_after(size)
            time.sleep(0.05)

    def fault_nothing_passes_the_line(self) -> None:
        self.line.hold()
        time.sleep(self._random.choice([0.3, TIMEOUT + 0.5]))
        self.line.release()

    def fault_nothing_passes_the_line_and_it_is_cut(self) -> None:
        self.line.hold()
        time.sleep(0.2)
        self.line.cut()
        self.line.release()

    # Jobs, and generations

    def fault_what_rq_keeps_is_gone(self) -> None:
        self.client.delete(*self.client.scan_iter("rq:*", 1000))

    def fault_the_queue_is_flooded(self) -> None:
        self.client.rpush(f"rq:queue:{{{LEDGER}}}:doorbell", *[f"junk-{n}" for n in range(500)], b"\xff")

    def fault_the_queue_is_no_queue(self) -> None:
        queue = f"rq:queue:{{{LEDGER}}}:doorbell"
        self.client.delete(queue)
        self.client.set(queue, "something else's")

    def fault_bells_are_on_and_jobs_are_lost(self) -> None:
        for name in PROJECTIONS:
            self.client.set(keys.bell(LEDGER, name), "rung", px=1500)

    def fault_one_goes_back_to_the_generation_before(self) -> None:
        with suppress(BadQuestion):
            replay.go_back(Store(self.log, PROJECTIONS[self._name()]))

    def fault_old_generations_are_dropped(self) -> None:
        Store(self.log, PROJECTIONS[self._name()]).drop_old()

    def fault_two_replay_at_once(self) -> None:
        for projection in [PROJECTIONS[self._name()]] * 2:
            thread = threading.Thread(target=self._replay, args=(projection,))
            thread.start()
            self._replays.append(thread)

    def _replay(self, projection: Any) -> None:
        with connect(self.line.url, timeout=TIMEOUT) as client:
            store = Store(Log(client, LEDGER), projection)
            try:
                rebuilt = replay.rebuild(store)
                if rebuilt.differs:
                    self.wrong.append(f"what is live differs: {rebuilt}")
                replay.adopt(store, rebuilt)
            except (StorageUnavailable, BadQuestion):
                pass
            except Exception as error:  # noqa: BLE001  # whatever it is
                self.wrong.append(f"a replay: {error!r}")


@contextmanager
def running(*targets: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Each in a thread of its own, until the end of the block."""
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def running_apart(url: str, seed: int, records: list[Record]) -> Iterator[None]:
    """A producer in a process of its own, whose record is added to `records` at the end."""
    command = [sys.executable, "-m", "tests.producing", url, LEDGER, "apart", str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield
        finally:
            said, _ = process.communicate()
        records.append(Record(**json.loads(said.splitlines()[-1])))


def what_is_wrong_with_the_log(recorded: list[RecordedEvent], records: list[Record]) -> Iterator[str]:
    positions: dict[str, list[int]] = {}
    for position, event in enumerate(recorded, start=1):
        assert event.position == position
        positions.setdefault(json.loads(event.payload)["id"], []).append(position)
    for record in records:
        yield from record.wrong
        acknowledged, unknown = record.acknowledged, {*record.unknown}
        yield from (
            f"{each}: {positions.get(each)}, not {at}"
            for each, at in acknowledged.items()
            if positions.get(each) != [at]
        )
        yield from (f"{each} was refused" for each in record.refused if each in positions)
        numbered = sorted((int(each.rpartition("-")[2]), at) for each, at in acknowledged.items())
        in_order = [at for _, at in numbered]
        yield from ["not in order"] if in_order != sorted(in_order) else []
        for each in (*acknowledged, *unknown):
            positions.pop(each, None)
    yield from (f"nobody was told of {each}" for each in positions)


def _rebuilt(store: Store) -> replay.Rebuilt:
    """Where a replay that was begun before is adopted meanwhile, this one is refused, with the word to replay again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return replay.rebuild(store)
        except BadQuestion:
            assert time.monotonic() < deadline


def what_is_wrong_with_the_projections(log: Log, recorded: list[RecordedEvent]) -> Iterator[str]:
    for name, documents in views(recorded).items():
        store = Store(log, PROJECTIONS[name])
        live = store.open_live()
        if live.digest() != (len(recorded), digest(documents)) or live.parked() or not live.keeps_past():
            yield f"{name} is no fold of the log"
        rebuilt = _rebuilt(store)
        if rebuilt.differs or rebuilt.digest != digest(documents):
            yield f"{name} replayed: {rebuilt}"
        replay.adopt(store, rebuilt)
        kept = {str(store.live()), str(store.previous())}
        for key in log.client.scan_iter(f"{store.pointer}:*", 1000):
            if key.decode().removeprefix(f"{store.pointer}:").partition(":")[0] not in kept:
                yield f"{key!r} is left behind"


def what_is_wrong_with_the_answers(reader: Reader, recorded: list[RecordedEvent]) -> Iterator[str]:
    yield from reader.wrong
    for name, position, answers in random.Random(0).sample(reader.answers, min(6, len(reader.answers))):
        if ASK[name](views(recorded[:position])) != answers:
            yield f"{name} at {position} was answered with {answers}"


def what_the_workers_should_not_say(workers: Supervised) -> Iterator[str]:
    away = {"storage-unavailable", "outcome-unknown", "bad-question"}
    for line in workers.said():
        if line["event"] in ("job_failed", "rebuild_failed") and line.get("code") not in away:
            yield str(line)


@only_faults
@pytest.mark.parametrize("kind", BINARIES)
@pytest.mark.parametrize("seed", range(3))
def test_given_many_at_work_when_faults_come_at_random_then_nothing_is_lost_doubled_or_mixed(
    kind: str, seed: int
) -> None:
    world, stop = World(kind, seed), threading.Event()
    url = world.line.url
    producers = [Producer(url, LEDGER, name, seed, stop) for name in ("first", "second")]
    neighbour, reader = Producer(url, NEIGHBOUR, "third", seed, stop), Reader(url, seed, stop)
    everyone = [*(producer.run for producer in producers), neighbour.run, reader.run]
    records: list[Record] = []
    try:
        with running_apart(url, seed, records), running(*everyone, stop=stop):
            for _ in range(FAULTS):
                world.something_happens()
        world.calm()
        records += [producer.record for producer in producers]
        log = world.log
        rebuild_here(log.client, LEDGER)
        run_here(log.client, LEDGER)
        recorded = list(log.read())
        wrong = [
            *world.wrong,
            *what_is_wrong_with_the_log(recorded, records),
            *what_is_wrong_with_the_log([*Log(log.client, NEIGHBOUR).read()], [neighbour.record]),
            *what_is_wrong_with_the_answers(reader, recorded),
            *what_is_wrong_with_the_projections(log, recorded),
            *status_of(log)["says"],
            *what_the_workers_should_not_say(world.workers),
        ]
        for producer in producers:
            known = {event.payload for event in recorded}
            wrong += [
                each for each in producer.record.acknowledged if encode(producer.events[each]) not in known
            ]
        assert wrong == [], world.happened
        eventually(lambda: queue_length(log.client, LEDGER) == 0)
        world.workers.process.terminate()
        assert world.workers.exit() == 0
    finally:
        world.close()
