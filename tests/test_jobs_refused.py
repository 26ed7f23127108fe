"""Whatever somebody puts into Redis for a worker to find: nothing foreign runs, the worker goes on, and it is told."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker
from structlog.testing import capture_logs

from events import Log
from projections import PROJECTIONS, Store
from workers import ring, run_here
from workers.doorbell import ADVANCE
from workers.queues import DELIVER, JOB_TTL, REBUILD, AllowedJob
from workers.queues import doorbell as queue_of
from workers.worker import BellWorker

from .conftest import new_ledger
from .given import append, folded
from .servers import Server
from .worker_main import LINGER, PERIOD, Supervised, eventually

SENTINEL = "LEDGER_TEST_SENTINEL"  # names the file that foreign code makes, where it runs

Fields = dict[Any, Any]


def foreign(*_: object, **__: object) -> None:
    """What nobody but us may have run."""
    Path(os.environ[SENTINEL]).touch()


class Pickled:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (os.system, (f"touch {os.environ[SENTINEL]}",))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that no other test has left jobs on."""
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("sentinel") / "ran"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SENTINEL, str(path))
        yield path


@pytest.fixture(scope="module")
def webhook(sentinel: Path) -> Iterator[str]:
    """An address that makes the sentinel when it is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            foreign()
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listener.server_port}/"
        listener.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def shared_log(server: Server) -> Iterator[Log]:
    with closing(server.client()) as client:
        yield Log(client, new_ledger())


@pytest.fixture(scope="module")
def shared_worker(server: Server, shared_log: Log, sentinel: Path) -> Iterator[Supervised]:
    # Nobody rings, and nobody lingers, so that what moves on was moved by a job that a test has put there.
    environment = {PERIOD: "1000000", LINGER: "0"}
    with Supervised(server.url, shared_log.ledger, environment=environment) as workers:
        yield workers


@pytest.fixture
def queue(shared_log: Log) -> Any:
    return queue_of(shared_log.client, shared_log.ledger)


@pytest.fixture
def worker(shared_worker: Supervised, shared_log: Log, queue: Any, sentinel: Path) -> Supervised:
    """One worker that every case here finds waiting, and that must be the same one afterwards."""
    shared_worker.when_alive()
    shared_log.client.delete(refused_key(queue))
    sentinel.unlink(missing_ok=True)
    return shared_worker


def refused_key(queue: Queue) -> str:
    return f"{queue.key}:refused"


def call(function: object, *arguments: object, **keywords: object) -> bytes:
    """The data of a job that calls `function`."""
    return json.dumps([function, None, arguments, keywords]).encode()


def shell(path: Path) -> str:
    return f"touch {path}"


def python(path: Path) -> str:
    return f"__import__('pathlib').Path({str(path)!r}).touch()"


@dataclass(frozen=True)
class Place:
    """What a case may need to know: the ledger, its queue, the sentinel and the address that makes it."""

    ledger: str
    queue: str
    sentinel: Path
    webhook: str

    def good(self, **fields: Any) -> Fields:
        """The hash of a job of ours, but for `fields`; None removes one."""
        job: Fields = {
            "created_at": "2026-01-01T00:00:00.000000Z",
            "origin": self.queue,
            "status": "queued",
            "timeout": "30",
            "result_ttl": "0",
            "failure_ttl": "60",
            "data": call(ADVANCE, self.ledger, "totals"),
        }
        return {name: value for name, value in (job | fields).items() if value is not None}

    def ours(self, *arguments: object, **keywords: object) -> Fields:
        return self.good(data=call(ADVANCE, *arguments, **keywords))


Case = Callable[[Place], Fields]

# Each of these runs foreign code in RQ's own worker, with its JSON serializer: see the control.
MALICIOUS: dict[str, Case] = {
    "os.system": lambda p: p.good(data=call("os.system", shell(p.sentinel))),
    "os.system, compressed": lambda p: p.good(data=zlib.compress(call("os.system", shell(p.sentinel)))),
    "subprocess": lambda p: p.good(data=call("subprocess.check_call", ["touch", str(p.sentinel)])),
    "exec": lambda p: p.good(data=call("builtins.exec", python(p.sentinel))),
    "eval": lambda p: p.good(data=call("builtins.eval", python(p.sentinel))),
    "a function of the tests": lambda p: p.good(data=call("tests.test_jobs_refused.foreign")),
}

# These too, by the side of a function that may be called: they run as any other job, and nothing else does.
BY_THE_SIDE: dict[str, Case] = {
    "success callback": lambda p: p.good(success_callback_name="tests.test_jobs_refused.foreign"),
    "webhook": lambda p: p.good(webhooks=json.dumps([{"url": p.webhook, "job_status": "finished"}])),
}

REFUSED: dict[str, Case] = {
    "pickled data": lambda p: p.good(data=pickle.dumps(Pickled())),
    "pickled and compressed": lambda p: p.good(data=zlib.compress(pickle.dumps(Pickled()))),
    "no data": lambda p: p.good(data=None),
    "nothing but a status": lambda _: {"status": "queued"},
    "empty data": lambda p: p.good(data=b""),
    "data that is no JSON": lambda p: p.good(data=b"\x80\x04"),
    "data that is no UTF-8": lambda p: p.good(data=b'\xff\xfe["x"]'),
    "data that is no list": lambda p: p.good(data=b'{"a": 1}'),
    "data that is too short": lambda p: p.good(data=b"[1]"),
    "no function": lambda p: p.good(data=b"[null, null, [], {}]"),
    "a number for a function": lambda p: p.good(data=b"[5, null, [], {}]"),
    "a list for a function": lambda p: p.good(data=b'[["a"], null, ["a", "b"], {}]'),
    "a method": lambda p: p.good(data=json.dumps([ADVANCE, "instance", [p.ledger, "totals"], {}])),
    "no list of arguments": lambda p: p.good(data=json.dumps([ADVANCE, None, 5, {}])),
    "no arguments": lambda p: p.ours(),
    "one argument": lambda p: p.ours(p.ledger),
    "three arguments": lambda p: p.ours(p.ledger, "totals", "totals"),
    "numbers for arguments": lambda p: p.ours(1, 2),
    "a list for an argument": lambda p: p.ours(p.ledger, ["totals"]),
    "a keyword": lambda p: p.ours(p.ledger, "totals", seconds=1),
    "no ledger's name": lambda p: p.ours("../x", "totals"),
    "another ledger": lambda p: p.ours("another", "totals"),
    "a webhook's job": lambda p: p.good(data=call(DELIVER, p.ledger, "0123456789ab")),
    "no webhook": lambda p: p.good(data=call(DELIVER, p.ledger, "totals")),
    "a rebuild's job": lambda p: p.good(data=call(REBUILD, p.ledger, "totals")),
    "no projection": lambda p: p.ours(p.ledger, "nonsense"),
    "a long argument": lambda p: p.ours(p.ledger, "x" * 1_000),
    "half of a surrogate pair": lambda p: p.good(data=call(ADVANCE, p.ledger, "\ud800")),
    "deep JSON": lambda p: p.good(data="[" * 2_000 + "]" * 2_000),
    "deeper JSON": lambda p: p.good(data="[" * 200_000 + "]" * 200_000),
    "a zip bomb": lambda p: p.good(data=zlib.compress(b"[" * 50_000_000)),
    "a small zip bomb": lambda p: p.good(data=zlib.compress(b"[" * 3_000_000)),
    "created_at": lambda p: p.good(created_at="yesterday"),
    "enqueued_at": lambda p: p.good(enqueued_at="9" * 400),
    "status": lambda p: p.good(status="nonsense"),
    "status that is no UTF-8": lambda p: p.good(status=b"\xff"),
    "another queue": lambda p: p.good(origin="another"),
    "no queue": lambda p: p.good(origin=None),
    "a queue that is no UTF-8": lambda p: p.good(origin=b"\xff"),
}

# Nothing of these is looked at, so that nothing of them can do harm: the job runs.
HARMLESS: dict[str, Case] = {
    "timeout that is no number": lambda p: p.good(timeout="abc"),
    "timeout beyond any": lambda p: p.good(timeout=str(10**30)),
    "timeout below zero": lambda p: p.good(timeout="-1"),
    "result_ttl that is no number": lambda p: p.good(result_ttl="x"),
    "result_ttl for ever": lambda p: p.good(result_ttl="-1"),
    "failure_ttl": lambda p: p.good(failure_ttl="x"),
    "ttl": lambda p: p.good(ttl="x"),
    "dependency_ids": lambda p: p.good(dependency_ids="x"),
    "dependency_ids of a job that there is not": lambda p: p.good(dependency_ids='["none"]'),
    "meta": lambda p: p.good(meta="x"),
    "pickled meta": lambda p: p.good(meta=pickle.dumps(Pickled())),
    "pickled result": lambda p: p.good(result=pickle.dumps(Pickled())),
    "exc_info": lambda p: p.good(exc_info=b"\xff"),
    "started_at": lambda p: p.good(started_at="x", ended_at="x", last_heartbeat="x"),
    "worker_name": lambda p: p.good(worker_name=b"\xff"),
    "failure callback": lambda p: p.good(failure_callback_name="tests.test_jobs_refused.foreign"),
    "stopped callback": lambda p: p.good(stopped_callback_name="tests.test_jobs_refused.foreign"),
    "callback timeout": lambda p: p.good(success_callback_timeout="x"),
    "webhooks": lambda p: p.good(webhooks="x"),
    "a group": lambda p: p.good(group_id="none"),
    "retries": lambda p: p.good(retries_left="3", retry_intervals="x", number_of_retries="x"),
    "repeats": lambda p: p.good(repeats_left="2", repeat_intervals="[0]"),
    "a rate limit": lambda p: p.good(rate_limit_key="k", rate_limit_concurrency="1"),
    "a field that is no UTF-8": lambda p: p.good() | {b"\xff": "1"},
    "no status": lambda p: p.good(status=None),
    "no created_at": lambda p: p.good(created_at=None),
} | BY_THE_SIDE


@pytest.fixture
def place(shared_log: Log, queue: Queue, sentinel: Path, webhook: str) -> Place:
    return Place(shared_log.ledger, queue.name, sentinel, webhook)


@dataclass(frozen=True)
class Bench:
    """A worker that waits, and a ledger with one event more than it has seen."""

    log: Log
    queue: Queue
    worker: Supervised

    def put(self, id: bytes, job: Fields | None = None) -> None:
        """Puts an entry into the queue by hand; a good job follows it, for another projection."""
        client: Any = self.log.client
        append(self.log, 40)
        ok = Place(self.log.ledger, self.queue.name, Path(), "").ours(self.log.ledger, "batches")
        with client.pipeline(transaction=True) as at_once:
            if job is not None:
                at_once.hset(b"rq:job:" + id, mapping=job)
            at_once.hset("rq:job:ok", mapping=ok)
            at_once.rpush(self.queue.key, id, "ok")
            at_once.execute()

    def position(self, name: str) -> int:
        return Store(self.log, PROJECTIONS[name]).open_live().checkpoint().position


@pytest.fixture
def bench(shared_log: Log, queue: Queue, worker: Supervised) -> Bench:
    return Bench(shared_log, queue, worker)


# One by one, in a worker


@pytest.mark.parametrize("case", REFUSED | MALICIOUS)
def test_a_job_that_is_not_ours_is_refused_and_the_next_one_runs(
    bench: Bench, place: Place, case: str
) -> None:
    job = (REFUSED | MALICIOUS)[case](place)
    before, refused = bench.worker.when_alive(), len(bench.worker.said("job_refused"))
    behind, failed = bench.position("totals"), bench.worker.said("job_failed")
    bench.put(b"poison", job)
    eventually(lambda: bench.position("batches") == bench.log.head())

    assert bench.worker.when_alive() == before
    assert not place.sentinel.exists()
    assert bench.position("totals") == behind
    said = bench.worker.said("job_refused")[refused:]
    assert [(line["queue"], line["job"]) for line in said] == [(place.queue, "b'poison'")]
    assert said[0]["why"]
    kept: Any = bench.log.client.hgetall(refused_key(bench.queue))
    assert kept == {encoded(name): encoded(value) for name, value in job.items()}
    assert 0 < bench.log.client.ttl(refused_key(bench.queue)) <= 86_400
    assert not bench.log.client.keys("rq:job:*")
    assert not bench.log.client.exists(bench.queue.key, bench.queue.intermediate_queue_key)
    assert bench.worker.said("job_failed") == failed


@pytest.mark.parametrize("case", HARMLESS)
def test_what_stands_beside_a_job_of_ours_does_nothing(bench: Bench, place: Place, case: str) -> None:
    before, refused = bench.worker.when_alive(), bench.worker.said("job_refused")
    failed = bench.worker.said("job_failed")
    bench.put(b"poison", HARMLESS[case](place))
    eventually(lambda: bench.position("batches") == bench.log.head())

    assert bench.position("totals") == bench.log.head()
    assert bench.worker.when_alive() == before
    assert not place.sentinel.exists()
    assert bench.worker.said("job_refused") == refused
    assert not bench.log.client.keys("rq:job:*")
    assert bench.worker.said("job_failed") == failed


@pytest.mark.parametrize(
    "id", [b"os.system x", b"\xff\xfe", b"", b"../x", b"a:b", b"a" * 65, b"a" * 100_000, "é".encode(), b"x\n"]
)
@pytest.mark.parametrize("job", ["with a job", "alone"])
def test_an_id_that_rq_does_not_give_is_refused(bench: Bench, place: Place, id: bytes, job: str) -> None:
    before, refused = bench.worker.when_alive(), len(bench.worker.said("job_refused"))
    behind = bench.position("totals")
    bench.put(id, place.good() if job == "with a job" else None)
    eventually(lambda: bench.position("batches") == bench.log.head())

    assert bench.worker.when_alive() == before
    assert bench.position("totals") == behind
    (said,) = bench.worker.said("job_refused")[refused:]
    assert len(said["job"]) <= 80
    assert bench.log.client.exists(refused_key(bench.queue)) == (job == "with a job")
    assert not bench.log.client.keys("rq:job:*")
    assert not bench.log.client.exists(bench.queue.key, bench.queue.intermediate_queue_key)


def test_an_id_whose_job_is_gone_is_passed_over_without_a_word(bench: Bench) -> None:
    before, said = bench.worker.when_alive(), bench.worker.said()
    bench.put(b"gone")
    eventually(lambda: bench.position("batches") == bench.log.head())
    assert bench.worker.when_alive() == before
    assert bench.worker.said() == said
    assert not bench.log.client.exists(bench.queue.key, bench.queue.intermediate_queue_key)


OTHER_TYPES: dict[str, Callable[[Any, str], object]] = {
    "string": lambda client, key: client.set(key, "x"),
    "list": lambda client, key: client.rpush(key, "x"),
    "set": lambda client, key: client.sadd(key, "x"),
    "stream": lambda client, key: client.xadd(key, {"x": "x"}),
}


@pytest.mark.parametrize("type", OTHER_TYPES)
def test_a_job_that_is_no_hash_is_refused(bench: Bench, type: str) -> None:
    before = bench.worker.when_alive()
    OTHER_TYPES[type](bench.log.client, "rq:job:poison")
    bench.put(b"poison")
    eventually(lambda: bench.position("batches") == bench.log.head())
    assert bench.worker.when_alive() == before
    assert "WRONGTYPE" in bench.worker.said("job_refused")[-1]["why"]
    assert bench.log.client.type(refused_key(bench.queue)) == type.encode()


@pytest.mark.parametrize("type", ["string", "set", "stream"])
@pytest.mark.parametrize("which", ["key", "intermediate_queue_key"])
def test_a_queue_that_is_no_list_is_put_away(bench: Bench, which: str, type: str) -> None:
    client: Any = bench.log.client
    before = bench.worker.when_alive()
    OTHER_TYPES[type](client, getattr(bench.queue, which))
    append(bench.log, 40)
    ring(client, bench.log.ledger, ["totals"])
    eventually(lambda: bench.position("totals") == bench.log.head())
    assert bench.worker.when_alive() == before
    assert client.type(refused_key(bench.queue)) == type.encode()

    OTHER_TYPES[type](client, getattr(bench.queue, which))
    append(bench.log, 40)
    run_here(client, bench.log.ledger)  # unless the worker was faster
    assert bench.position("shares") == bench.log.head()
    for job in client.scan_iter("rq:job:*"):  # of those that could not be put into the queue
        assert 0 < client.ttl(job) <= JOB_TTL
        client.delete(job)


# All at once, here


def test_nothing_that_lies_in_the_queue_keeps_a_reader_from_catching_up(
    log: Log, sentinel: Path, webhook: str
) -> None:
    queue = queue_of(log.client, log.ledger)
    place = Place(log.ledger, queue.name, sentinel, webhook)
    cases = REFUSED | MALICIOUS | HARMLESS
    for number, case in enumerate(cases.values()):
        log.client.hset(f"rq:job:poison-{number}", mapping=case(place))
        log.client.rpush(queue.key, f"poison-{number}")
    log.client.rpush(queue.key, b"\xff", b"gone", b"a" * 100_000)
    append(log, 40, 41)
    with capture_logs() as said:
        assert run_here(log.client, log.ledger) == len(HARMLESS) + len(PROJECTIONS)
    assert [line["event"] for line in said] == ["job_refused"] * (len(REFUSED | MALICIOUS) + 2)
    assert not sentinel.exists()
    assert not log.client.keys("rq:job:*")
    for name, projection in PROJECTIONS.items():
        assert Store(log, projection).open_live().digest() == folded(log, projection), name


# In the places where RQ keeps its own books


def in_wip(client: Any, queue: str, job: Fields) -> None:
    """As a job whose worker died long ago."""
    client.hset("rq:job:x", mapping=job | {"status": "started"})
    client.zadd(f"rq:wip:{queue}", {"x:execution": 1})


def in_ready(client: Any, queue: str, job: Fields) -> None:
    """As a job whose dependencies are done."""
    client.hset("rq:job:x", mapping=job | {"status": "ready_to_enqueue"})
    client.zadd(f"rq:ready:{queue}", {"x": 1})


def in_scheduled(client: Any, queue: str, job: Fields) -> None:
    client.hset("rq:job:x", mapping=job | {"status": "scheduled"})
    client.zadd(f"rq:scheduled:{queue}", {"x": 1})


def in_intermediate(client: Any, queue: str, job: Fields) -> None:
    """As a job that a worker took before it died."""
    client.hset("rq:job:x", mapping=job)
    client.rpush(f"rq:queue:{queue}:intermediate", "x", b"\xff")


def as_dependent(client: Any, queue: str, job: Fields) -> None:
    """As a job that waits for the good one."""
    client.hset("rq:job:x", mapping=job | {"status": "deferred", "dependency_ids": '["ok"]'})
    client.sadd("rq:job:ok:dependents", "x")
    client.zadd(f"rq:deferred:{queue}", {"x": 1})


def no_books(client: Any, queue: str, job: Fields) -> None:
    """Of other types than RQ's."""
    for key in ("wip", "ready", "scheduled", "failed", "finished", "deferred", "canceled"):
        client.set(f"rq:{key}:{queue}", "x")
    client.set("rq:groups", "x")


BOOKS = [in_wip, in_ready, in_scheduled, in_intermediate, as_dependent, no_books]


@pytest.mark.parametrize("put", BOOKS)
@pytest.mark.parametrize("what", ["os.system", "failure callback"])
def test_what_lies_in_the_books_of_rq_is_not_looked_at(
    server: Server,
    sentinel: Path,
    signals: None,
    put: Callable[[Any, str, Fields], None],
    what: str,
) -> None:
    with clean(server) as client:
        log = Log(client, new_ledger())
        queue = queue_of(client, log.ledger)
        place = Place(log.ledger, queue.name, sentinel, "")
        put(client, queue.name, (MALICIOUS | HARMLESS)[what](place))
        append(log, 40)
        client.hset("rq:job:ok", mapping=place.good())
        client.rpush(queue.key, "ok")
        with capture_logs() as said:
            for name in ("first", "second"):
                BellWorker.of(client, log.ledger, name).work(burst=True, logging_level="ERROR")
        assert [line["event"] for line in said] == ["job_done"]
        assert Store(log, PROJECTIONS["totals"]).open_live().checkpoint().position == 1
        assert not sentinel.exists()
        assert not client.exists(queue.intermediate_queue_key)


def test_nobody_suspends_a_worker_or_shuts_it_down_by_a_message(bench: Bench) -> None:
    client: Any = bench.log.client
    (name,) = [
        each["name"] for each in client.client_list(_type="normal") if "approvals-worker" in each["name"]
    ]
    before = bench.worker.when_alive()
    client.set("rq:suspended", 1)
    try:
        assert client.publish(f"rq:pubsub:{name}", json.dumps({"command": "shutdown"})) == 0
        bench.put(b"gone")
        eventually(lambda: bench.position("batches") == bench.log.head())
    finally:
        client.delete("rq:suspended")
    assert bench.worker.when_alive() == before


# The controls: what RQ's own worker, with its JSON serializer, makes of the same


@contextlib.contextmanager
def clean(server: Server) -> Iterator[Any]:
    """A database of the shared server, empty before and after."""
    with redis.Redis(unix_socket_path=str(server.socket), db=9, socket_timeout=30) as client:
        client.flushdb()
        yield client
        client.flushdb()


def plain(client: Any) -> SimpleWorker:
    """RQ's own worker, on a queue of the name that the cases are given here."""
    queue = Queue("plain", connection=client, serializer=JSONSerializer)
    return SimpleWorker([queue], connection=client, serializer=JSONSerializer)


@pytest.fixture
def plain_place(sentinel: Path, webhook: str) -> Place:
    sentinel.unlink(missing_ok=True)
    return Place("ledger", "plain", sentinel, webhook)


@pytest.mark.parametrize("case", MALICIOUS | BY_THE_SIDE)
def test_the_worker_of_rq_runs_what_is_foreign(
    server: Server, plain_place: Place, signals: None, case: str
) -> None:
    job = (MALICIOUS | BY_THE_SIDE)[case](plain_place)
    if case in BY_THE_SIDE:
        job["data"] = call("builtins.len", "x")
    with clean(server) as client:
        client.hset("rq:job:x", mapping=job)
        client.rpush("rq:queue:plain", "x")
        plain(client).work(burst=True, logging_level="ERROR")
    assert plain_place.sentinel.exists()


@pytest.mark.parametrize(
    "case", ["created_at", "status", "no such", "dependency_ids", "result_ttl that is no number"]
)
def test_the_worker_of_rq_ends_at_a_field_it_cannot_read(
    server: Server, plain_place: Place, signals: None, case: str
) -> None:
    poison = (REFUSED | HARMLESS | {"no such": lambda p: p.good()})[case](plain_place)
    with clean(server) as client:
        client.hset("rq:job:x", mapping=poison | {"data": call("builtins.len", "x")})
        client.hset("rq:job:ok", mapping=plain_place.good(data=call("tests.test_jobs_refused.foreign")))
        client.rpush("rq:queue:plain", "x", "ok")
        plain(client).work(burst=True, logging_level="CRITICAL")
    assert plain_place.sentinel.exists() == (case == "no such")


@pytest.mark.parametrize(("put", "what"), [(in_wip, "failure callback"), (in_ready, "os.system")])
def test_the_worker_of_rq_looks_into_its_books(
    server: Server, plain_place: Place, signals: None, put: Callable[[Any, str, Fields], None], what: str
) -> None:
    with clean(server) as client:
        put(client, "plain", (MALICIOUS | HARMLESS)[what](plain_place))
        plain(client).work(burst=True, logging_level="CRITICAL")
    assert plain_place.sentinel.exists()


def test_the_worker_of_rq_can_be_suspended_and_shut_down_by_anyone(server: Server, signals: None) -> None:
    with clean(server) as client:
        worker = plain(client)
        worker.subscribe()  # type: ignore[no-untyped-call]  # RQ has no types here
        try:
            assert client.publish(worker.pubsub_channel_name, json.dumps({"command": "none"})) == 1
        finally:
            worker.unsubscribe()  # type: ignore[no-untyped-call]  # RQ has no types here
        client.set("rq:suspended", 1)
        client.rpush("rq:queue:plain", "x")
        worker.work(burst=True, logging_level="CRITICAL")
        assert client.llen("rq:queue:plain") == 1


@pytest.mark.parametrize("field", ["meta", "result"])
def test_a_job_of_ours_is_never_unpickled_by_whoever_looks_at_it(
    server: Server, plain_place: Place, field: str
) -> None:
    with clean(server) as client:
        client.hset("rq:job:x", mapping=plain_place.good(**{field: pickle.dumps(Pickled())}))
        job = AllowedJob.fetch("x", connection=client)
        assert (job.func_name, job.args, job.meta) == (ADVANCE, ["ledger", "totals"], {})
        assert AllowedJob.fetch_many(["x", "none"], connection=client)[1] is None
        assert not plain_place.sentinel.exists()
        Job.fetch("x", connection=client)  # the control
        assert plain_place.sentinel.exists()


def encoded(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
