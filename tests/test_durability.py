"""What is acknowledged is on the disk: refused where a server would not keep it, and found again after a kill."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace

import pytest
import redis

from events import Log, NotDurable, OutcomeUnknown, StorageUnavailable, durability, keys, parse
from events.durability import Finding

from .servers import Server, free_port
from .strategies import report
from .waiting import until

StartServer = Callable[..., Server]


KINDS = ["valkey-9.1", "redis-8.2", "redis-7.0"]
SLOW = "100000"  # microseconds a key: the rewrite of 100 keys takes 10 seconds


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An append does not wait for a rewrite to end."""
    monkeypatch.setattr("events.log.REWRITE_PATIENCE", 0.0)


@pytest.fixture
def checked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of a server's settings holds for no time at all."""
    monkeypatch.setattr("events.log.DURABILITY_PERIOD", 0.0)


def assert_refused(log: Log, *findings: Finding) -> None:
    before = log.head()
    for batch in ([report("refused")], [report("refused", subject="s"), report("r2")]):
        with pytest.raises(NotDurable) as refused:
            log.append(batch)
        assert refused.value.findings == findings
        assert refused.value.code == "not-durable"
        for finding in findings:
            assert f"{finding.setting} is {finding.value}, and must be {finding.wanted}" in str(refused.value)
        assert "nothing was stored" in str(refused.value)
    assert log.head() == before
    assert log.position_of("urn:desk", "refused") is None
    assert log.client.exists(keys.subject(log.ledger, "s")) == 0


def wait_for_rewrite(client: redis.Redis) -> None:
    deadline = time.monotonic() + 30
    while any(client.info("persistence")[f"aof_rewrite_{state}"] for state in ("in_progress", "scheduled")):
        assert time.monotonic() < deadline


def rewrite(client: redis.Redis) -> None:
    client.bgrewriteaof()
    wait_for_rewrite(client)


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({"appendonly": "no"}, Finding("appendonly", "no", "yes")),
        ({"appendfsync": "everysec"}, Finding("appendfsync", "everysec", "always")),
        ({"appendfsync": "no"}, Finding("appendfsync", "no", "always")),
        ({"no_appendfsync_on_rewrite": "yes"}, Finding("no-appendfsync-on-rewrite", "yes", "no")),
        ({"maxmemory_policy": "allkeys-lru"}, Finding("maxmemory-policy", "allkeys-lru", "noeviction")),
        ({"maxmemory_policy": "volatile-ttl"}, Finding("maxmemory-policy", "volatile-ttl", "noeviction")),
    ],
    ids=lambda value: " ".join(map(" ".join, value.items())) if isinstance(value, dict) else "",
)
def test_a_server_that_could_lose_an_event_takes_none(
    start_server: StartServer, settings: dict[str, str], finding: Finding
) -> None:
    assert_refused(Log(start_server(**settings).client(), "a"), finding)


def test_every_setting_that_is_wrong_is_named_at_once(start_server: StartServer) -> None:
    server = start_server(appendonly="no", appendfsync="no", maxmemory_policy="allkeys-random")
    assert_refused(
        Log(server.client(), "a"),
        Finding("appendonly", "no", "yes"),
        Finding("appendfsync", "no", "always"),
        Finding("maxmemory-policy", "allkeys-random", "noeviction"),
    )


def test_a_durable_server_has_no_findings_on_every_server(every_server: Server) -> None:
    assert durability.check(every_server.client()) == ()
    assert durability.settings(every_server.client()) == durability.REQUIRED


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("appendonly", "no"),
        ("appendfsync", "everysec"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
@pytest.mark.usefixtures("checked_each_time")
def test_a_setting_changed_while_the_server_runs_is_noticed_and_so_is_its_repair(
    start_server: StartServer, setting: str, wrong: str
) -> None:
    server = start_server()
    log, admin = Log(server.client(), "a"), server.client()
    log.append([report("e1")])
    admin.config_set(setting, wrong)
    assert_refused(log, Finding(setting, wrong, durability.REQUIRED[setting]))
    assert [event.position for event in log.read()] == [1]
    if setting == "appendonly":
        return  # turning it on again takes a rewrite: a test of its own
    admin.config_set(setting, durability.REQUIRED[setting])
    log.append([report("e2")])
    assert log.head() == 2


def test_a_check_holds_for_its_period_and_not_longer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_000.0
    # In place of the module, not in it: another thread's event loop would sleep for hours by that clock.
    monkeypatch.setattr("events.log.time", SimpleNamespace(monotonic=lambda: clock))
    checks: list[redis.Redis] = []

    def checked(client: redis.Redis, **_: object) -> tuple[()]:
        checks.append(client)
        return ()

    monkeypatch.setattr("events.log.durability.check", checked)
    log = Log(server.client(), "checked")
    for clock, expected in [(1_000.0, 1), (1_009.9, 1), (1_010.0, 2), (1_019.0, 2), (1_020.1, 3)]:
        log.append([report(f"e{clock}")])
        assert len(checks) == expected


def test_a_server_whose_last_write_to_its_file_failed_takes_no_event(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a full disk leaves behind where a server survives it; these servers exit instead, so the report is made up."""
    log = Log(server.client(), "unwritten")
    parsed = log.client.response_callbacks["INFO"]

    def failed(reply: bytes, **options: object) -> dict[str, object]:
        said: dict[str, object] = parsed(reply, **options)
        return said | {"aof_last_write_status": "err"}

    monkeypatch.setitem(log.client.response_callbacks, "INFO", failed)
    wanted = "ok (free disk space, or see the server's log)"
    assert_refused(log, Finding("aof_last_write_status", "err", wanted))


def test_a_refusal_is_not_remembered(start_server: StartServer) -> None:
    server = start_server(appendfsync="everysec")
    log = Log(server.client(), "a")
    assert_refused(log, Finding("appendfsync", "everysec", "always"))
    server.client().config_set("appendfsync", "always")
    log.append([report("e1")])
    assert log.head() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written_before", [False, True], ids=["never written before", "written before"])
@pytest.mark.usefixtures("impatient")
def test_a_file_that_is_being_turned_on_keeps_nothing_yet(
    start_server: StartServer, kind: str, written_before: bool
) -> None:
    """`CONFIG SET appendonly yes` answers at once; what comes before its first rewrite has ended is lost with the process.

    The control writes past the check and shows the loss: without it, this test could not fail.
    """
    server = start_server(kind, appendonly="yes" if written_before else "no")
    client, log = server.client(), Log(server.client(), "a")
    client.mset({f"slow{n}": n for n in range(100)})
    if written_before:
        log.append([report("e0")])
        rewrite(client)
        client.config_set("appendonly", "no")
    client.config_set("rdb-key-save-delay", SLOW)
    client.config_set("appendonly", "yes")
    log = Log(client, "a")
    assert_refused(log, durability.REWRITING)
    kept = log.head()
    log._durable_until = float("inf")
    log.append([report("e1")])
    server.restart(appendonly="yes", rdb_key_save_delay="0")
    assert log.head() == kept == int(written_before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("impatient")
def test_while_a_server_rewrites_a_file_that_has_grown_appends_go_on_and_are_kept(
    start_server: StartServer, kind: str
) -> None:
    server = start_server(kind, auto_aof_rewrite_min_size="1kb", auto_aof_rewrite_percentage="0")
    client, log = server.client(), Log(server.client(), "a")
    client.mset({f"slow{n}": n for n in range(100)})
    rewrite(client)  # no other is under way: the server begins none by itself yet
    client.config_set("rdb-key-save-delay", SLOW)
    client.config_set("auto-aof-rewrite-percentage", "100")
    number = count()
    while not client.info("persistence")["aof_rewrite_in_progress"]:
        client.set(f"grows{next(number)}", "x" * 1000)
    log.append([report("e1")])
    assert client.info("persistence")["aof_rewrite_in_progress"] == 1
    server.restart(rdb_key_save_delay="0")
    assert log.head() == 1


@pytest.mark.parametrize("kind", ["redis-8.2", "redis-7.0"])  # Valkey 9.1 makes what it was sent its base
@pytest.mark.usefixtures("impatient")
def test_a_replica_that_was_resynced_and_promoted_takes_no_event_before_its_file_is_whole(
    start_server: StartServer, kind: str
) -> None:
    primary = start_server(kind, port=free_port(), repl_diskless_sync_delay="0")
    replica = start_server(kind, port=free_port(), appendonly="no")
    client, of_primary = replica.client(), primary.client()
    Log(of_primary, "a").append([report("e1")])
    of_primary.mset({f"slow{n}": n for n in range(100)})
    client.config_set("appendonly", "yes")
    wait_for_rewrite(client)  # so that its file has a base
    client.config_set("rdb-key-save-delay", SLOW)
    client.replicaof("127.0.0.1", int(primary.settings["port"]))
    deadline = time.monotonic() + 30
    while client.info("replication")["master_link_status"] != "up":
        assert time.monotonic() < deadline
    primary.kill()
    client.replicaof("NO", "ONE")
    assert_refused(Log(client, "a"), durability.REWRITING)


def test_an_append_waits_for_a_rewrite_that_does_not_take_long(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.log.REWRITE_PATIENCE", 60.0)
    server = start_server(rdb_key_save_delay="10000")
    client, log = server.client(), Log(server.client(), "a")
    client.mset({f"slow{n}": n for n in range(30)})  # 0.3 seconds
    client.bgrewriteaof()
    assert durability.check(client) == (durability.REWRITING,)
    log.append([report("e1")])
    assert client.info("persistence")["aof_rewrite_in_progress"] == 0
    server.restart()
    assert log.head() == 1


def test_a_file_that_was_turned_on_and_written_once_keeps_everything(start_server: StartServer) -> None:
    server = start_server(appendonly="no")
    client = server.client()
    client.config_set("appendonly", "yes")
    wait_for_rewrite(client)
    log = Log(client, "a")
    log.append([report("e1")])
    server.restart(appendonly="yes")
    assert log.head() == 1


def test_a_replica_takes_no_event(start_server: StartServer) -> None:
    primary = start_server(port="0")
    # A replica of an address that nobody listens on is a replica none the less.
    replica = start_server(replicaof="127.0.0.1 1")
    assert_refused(Log(replica.client(), "a"), Finding("role", "slave", "master: connect to the primary"))
    log = Log(replica.client(), "a")
    log._durable_until = float("inf")  # it became a replica within the period of a check
    with pytest.raises(StorageUnavailable, match=r"Nothing was stored\. Connect to the primary") as refused:
        log.append([report("e1")])
    assert not isinstance(refused.value, OutcomeUnknown)
    assert log.head() == 0
    assert Log(primary.client(), "a").append([report("e1")])


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_server_refuses_reads_on_and_recovers_when_it_has_room(
    start_server: StartServer, kind: str
) -> None:
    server = start_server(kind)
    log, admin = Log(server.client(), "a"), server.client()
    log.append([report("e1", subject="s")])
    admin.config_set("maxmemory", admin.info("memory")["used_memory"] + 300_000)
    batches = ([report(f"e{number}-{n}") for n in range(100)] for number in count())
    with pytest.raises(
        StorageUnavailable, match=r"maxmemory.*Nothing was stored\. Raise maxmemory"
    ) as refused:
        deque(map(log.append, batches), maxlen=0)
    assert not isinstance(refused.value, OutcomeUnknown)
    stored = log.head()
    assert stored % 100 == 1
    assert [event.position for event in log.read_subject("s")] == [1]
    assert sum(1 for _ in log.read()) == stored
    admin.config_set("maxmemory", "0")
    (receipt,) = log.append([report("after")])
    assert (receipt.position, receipt.duplicate) == (stored + 1, False)


def test_a_server_that_is_loading_its_data_refuses_and_nothing_is_stored(start_server: StartServer) -> None:
    server = start_server(rdbcompression="no")
    log, admin = Log(server.client(), "a"), server.client()
    log.append([report("e1")])
    admin.mset({f"slow{n}": "x" * 2_000 for n in range(200)})
    admin.bgrewriteaof()
    wait_for_rewrite(admin)
    server.kill()
    server.settings |= {"key-load-delay": "50000", "loading-process-events-interval-bytes": "1024"}
    server.start(while_it_loads=True)
    log._durable_until = float("inf")
    for question, says in ((log.head, ""), (lambda: log.append([report("e2")]), r"Nothing was stored\. ")):
        with pytest.raises(
            StorageUnavailable, match=rf"loading the dataset in memory\. {says}Retry"
        ) as refused:
            question()
        assert not isinstance(refused.value, OutcomeUnknown)
    server.restart(key_load_delay="0")
    assert log.head() == 1
    (receipt,) = log.append([report("e2")])
    assert (receipt.position, receipt.duplicate) == (2, False)


def test_an_acknowledged_event_survives_every_kill_under_load(start_server: StartServer) -> None:
    """SIGKILL in the middle of appends, five times: each acknowledged event at its position, no id twice, no gap."""
    server = start_server()
    acknowledged: dict[str, int] = {}
    unknown = 0
    done = threading.Event()
    arrived = threading.Semaphore(0)

    def write(writer: int) -> None:
        nonlocal unknown
        log = Log(server.client(), "a")
        number = 0
        while not done.is_set():
            batch = [report(f"{writer}-{number}-{n}", subject=f"s{writer}") for n in range(3)]
            try:
                found = log.append(batch)
            except OutcomeUnknown:
                unknown += 1
                continue  # the same batch again: that is what the error says to do
            except StorageUnavailable:
                continue
            acknowledged.update({receipt.id: receipt.position for receipt in found})
            number += 1
            arrived.release()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            for _ in range(25):
                assert arrived.acquire(timeout=30)
            server.restart()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    log = Log(server.client(), "a")
    events = [parse(event.payload) for event in log.read()]
    at = {event.id: position for position, event in enumerate(events, start=1)}
    assert len(at) == len(events) == log.head()
    assert {known: at.get(known) for known in acknowledged} == acknowledged
    assert len(acknowledged) >= 5 * 25 * 3
    for writer in range(3):
        of_writer = [event.position for event in log.read_subject(f"s{writer}")]
        assert of_writer == [
            p for p, event in enumerate(events, start=1) if event.id.startswith(f"{writer}-")
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_replica_that_was_stopped_while_events_came_when_a_server_has_its_file_then_it_has_all_until_then(
    start_server: StartServer, kind: str
) -> None:
    """The backup of docs/storage.md that stops nothing but the replica."""
    primary = start_server(kind, port=free_port(), repl_diskless_sync_delay="0")
    log = Log(primary.client(), "a")
    log.append([report("e0")])
    replica = start_server(kind, replicaof=f"127.0.0.1 {primary.settings['port']}")
    client = replica.client()
    until(lambda: client.info("replication")["master_link_status"] == "up")
    wait_for_rewrite(client)
    stopped = threading.Event()

    def keep_appending() -> None:
        for number in count(1):
            if stopped.is_set():
                return
            log.append([report(f"e{number}")])

    with ThreadPoolExecutor(1) as producer:
        appended = producer.submit(keep_appending)
        try:
            until(lambda: Log(client, "a").head() > 10)
            replica.stop()
        finally:
            stopped.set()
        appended.result()
    copy = start_server(kind)
    copy.stop()
    shutil.rmtree(copy.directory / "appendonlydir")
    shutil.copytree(replica.directory / "appendonlydir", copy.directory / "appendonlydir")
    copy.start()
    restored = Log(copy.client(), "a")
    assert restored.head() > 10
    assert list(restored.read()) == list(log.read(limit=restored.head()))
    (receipt,) = restored.append([report("after")])
    assert receipt.position == restored.head()
