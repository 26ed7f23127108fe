"""`approvals up` and `approvals serve`: the server, workers and HTTP as processes, from the first line to Ctrl-C."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.context import SpawnProcess
from pathlib import Path

import httpx
import pytest
import redis
from structlog.testing import capture_logs

from approval_ledger import embedded, reviving, telemetry
from approval_ledger.api import serving
from approval_ledger.api.serving import Serving, bound
from approval_ledger.api.settings import Settings
from approval_ledger.config import Opened
from events import Log, LogDamaged, connect
from projections import PROJECTIONS, Store
from workers.alive import connection_name

from .api import Api
from .command import APPROVALS, Ledger, Running, approvals, data_directory, event, text
from .command import running as is_held
from .forks import NOWHERE
from .given import HISTORY, append_newer
from .long import only_long, some
from .servers import Server
from .waiting import until

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


@pytest.fixture
def ledger(server: Server) -> Ledger:
    return Ledger(server)


def address(up: Running) -> str:
    """The address that is printed, once it answers."""
    for _ in range(3):
        if found := re.match(
            r"(http://127\.0\.0\.1:\d+)/ledgers/\S+/status \(this machine alone reaches it; reading needs no token, appending none\)",
            up.line(),
        ):
            until(lambda: _answers(found[1]))
            return found[1]
    raise AssertionError("no address is printed")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_up_serves_the_real_history_and_an_event_is_projected_and_streamed(tmp_path: Path) -> None:
    with data_directory(tmp_path / "data") as data:
        with Running("up", "--data", data, "--port", "0", "--with-history", APPROVALS_URL="") as up:
            url = address(up)
            assert up.line() == f"the page: {url}/"
            assert httpx.get(f"{url}/ledgers/cac/totals").json()["position"] == 104
            with httpx.stream("GET", f"{url}/ledgers/cac/events/stream?after=104", timeout=60) as stream:
                lines = (line for line in stream.iter_lines() if line.startswith("data: "))
                httpx.post(
                    f"{url}/ledgers/cac/events", content=text(event()), headers=STRUCTURED
                ).raise_for_status()
                assert json.loads(next(lines).removeprefix("data: "))["id"] == "e1"
                until(
                    lambda: all(
                        (p["position"], p["lag"]) == (105, 0)
                        for p in httpx.get(f"{url}/ledgers/cac/status").json()["projections"]
                    )
                )
                assert httpx.get(f"{url}/readyz").json()["status"] == "ready"
                up.interrupt()
                assert list(lines) == []
            ended = up.end()
        assert (ended.code, "Traceback" in ended.err) == (0, False), ended


@only_long
@pytest.mark.parametrize("since", [[], [text(event())]])
def test_a_ledger_that_has_the_history_is_served_as_it_is(ledger: Ledger, since: list[bytes]) -> None:
    ledger.log.append(HISTORY)
    for line in since:
        ledger.run("publish", "-", stdin=line)
    with Running("up", "--port", "0", "--workers", "1", "--with-history", *ledger.where) as up:
        address(up)
        up.interrupt()
        assert up.end().code == 0
    assert ledger.log.head() == len(HISTORY) + len(since)


def test_the_history_goes_into_an_empty_ledger_only(ledger: Ledger) -> None:
    ledger.run("publish", "-", stdin=text(event()))
    refused = ledger.run("up", "--with-history", "--port", "0", code=1)
    assert refused.complaint.startswith(
        f"bad-question: ledger {ledger.name} holds 1 events, not this history"
    )
    assert "--ledger history" in refused.complaint
    assert ledger.log.head() == 1


def test_a_port_that_is_taken_is_an_error_before_anything_starts(ledger: Ledger, api: Api) -> None:
    port = str(api.port)
    for command in ("up", "serve"):
        refused = ledger.run(command, "--port", port, code=1)
        assert refused.complaint.startswith(f"cannot-listen: cannot listen on 127.0.0.1, port {port}")
        assert "--port" in refused.complaint
    assert ledger.keys() == []


@only_long
def test_given_a_ledger_when_it_is_served_then_the_address_that_is_printed_answers(ledger: Ledger) -> None:
    with Running("serve", "--port", "0", *ledger.where) as serve:
        printed = serve.line().partition(" ")[0]
        until(lambda: _answers(printed.partition("/ledgers/")[0]))
        assert httpx.get(printed).json()["ledger"] == ledger.name


@only_long
@pytest.mark.parametrize("number", some([signal.SIGINT, signal.SIGTERM], every=2))
def test_serve_ends_at_once_with_its_streams(ledger: Ledger, number: signal.Signals) -> None:
    with Running("serve", "--port", "0", *ledger.where) as serve:
        url = address(serve)
        with httpx.stream("GET", f"{url}/ledgers/{ledger.name}/events/stream", timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            serve.process.send_signal(number)
            assert [line for line in lines if line.startswith("data")] == []
        ended = serve.end()
    assert ended.code == (0 if number == signal.SIGINT else 128 + number), ended
    assert "Traceback" not in ended.err


COMPUTING = """
import threading
from approval_ledger.api import serving
from approval_ledger.cli import main
from projections import queries

def totals(*_, **__):
    print("asked", flush=True)
    threading.Event().wait()

queries.totals, serving.GRACE = totals, 0
main()
"""


class _Computing(Running):
    """The command, where it takes for ever to compute a total, and requests get no time to end in."""

    executable = (sys.executable, "-c", COMPUTING)


@only_long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_serve_ends_though_an_answer_is_still_computed_and_stops_the_embedded_server(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with data_directory(tmp_path / "data") as data:
        with _Computing("serve", "--port", "0", "--data", data, APPROVALS_URL="") as serve:
            url = address(serve)
            assert serve.line() == f"the page: {url}/"
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(httpx.get, f"{url}/ledgers/cac/totals", timeout=None)
                assert serve.line() == "asked"
                serve.process.send_signal(number)
                ended = serve.end()
                answer = asked.result()
                assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert not is_held(data)
    assert (ended.code, "Traceback" in ended.err) == (code, False), ended
    assert "answers_left" in ended.err


class _Hurried(Running):
    """The command, where requests get no time to end in."""

    executable = (
        sys.executable,
        "-c",
        COMPUTING.replace("queries.totals, serving.GRACE = totals, 0", "serving.GRACE = 0"),
    )


@only_long
def test_given_an_event_on_its_way_when_the_server_must_end_then_nobody_is_told_that_it_was_refused(
    ledger: Ledger,
) -> None:
    with _Hurried("serve", "--port", "0", *ledger.where) as serve:
        host, port = address(serve).removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as sender:
            head = f"POST /ledgers/{ledger.name}/events HTTP/1.1\r\nHost: {host}\r\n"
            sender.sendall(f"{head}Content-Type: application/cloudevents+json\r\n".encode())
            sender.sendall(b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
            answered = sender.makefile("rb")
            assert answered.readline() == b"HTTP/1.1 100 Continue\r\n"  # its body is waited for
            serve.process.send_signal(signal.SIGTERM)
            answer = answered.read()
        ended = serve.end()
    assert b"HTTP/1.1 504 " in answer
    assert b'"code":"outcome-unknown"' in answer
    assert "Traceback" not in ended.err
    assert "exc_type" not in ended.err


@only_long
def test_given_a_log_that_is_taken_slowly_when_the_server_must_end_then_it_says_that_it_broke_it_off(
    ledger: Ledger,
) -> None:
    for number in range(200):  # more than connections hold
        append_newer(ledger.log, id=f"e{number}", text="x" * 60_000)
    with _Hurried("serve", "--port", "0", *ledger.where) as serve:
        host, port = address(serve).removeprefix("http://").split(":")
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            reader.connect((host, int(port)))
            path = f"/ledgers/{ledger.name}/events?format=ndjson"
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
            serve.process.send_signal(signal.SIGTERM)
            ended = serve.end()
    assert "answer_broken_off" in ended.err
    assert "Traceback" not in ended.err
    assert "exc_type" not in ended.err


class _OfFewFiles(Running):
    executable = ("/bin/sh", "-c", 'ulimit -n 128; exec "$0" "$@"', APPROVALS)


class _OfFewFilesAtFirst(Running):
    executable = ("/bin/sh", "-c", 'ulimit -Sn 128; exec "$0" "$@"', APPROVALS)


@only_long
@pytest.mark.parametrize(
    ("kind", "room"),
    [(_OfFewFiles, 64), (_OfFewFilesAtFirst, None)],
    ids=["all it may have", "it may have more"],
)
def test_given_few_descriptors_when_streams_take_what_they_may_then_others_are_answered(
    ledger: Ledger, kind: type[Running], room: int | None
) -> None:
    with kind("serve", "--port", "0", "--rate", "0", *ledger.where) as serve, ExitStack() as streams:
        url = address(serve)
        readers = streams.enter_context(httpx.Client(limits=httpx.Limits(max_connections=None), timeout=60))
        path = f"{url}/ledgers/{ledger.name}/events/stream"
        found = Counter(streams.enter_context(readers.stream("GET", path)).status_code for _ in range(150))
        assert found == ({200: 150} if room is None else {200: room, 503: 150 - room})
        assert httpx.get(f"{url}/readyz").status_code == 200
        streams.close()
        serve.interrupt()
        assert serve.end().code == 0


class _ToFullDisk(Running):
    executable = ("/bin/sh", "-c", 'exec "$0" "$@" 2>/dev/full', APPROVALS)


@only_long
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no file that is always full")
@pytest.mark.parametrize(
    "kind",
    [_ToFullDisk, pytest.param(Running, marks=only_long)],
    ids=["its disk is full", "its reader is gone"],
)
def test_given_a_log_that_cannot_be_written_when_there_is_something_to_say_then_it_is_lost_and_all_goes_on(
    ledger: Ledger, server: Server, kind: type[Running]
) -> None:
    with kind("up", "--port", "0", *ledger.where) as up:
        url = address(up)
        assert up.process.stderr is not None
        if kind is Running:
            assert b"workers_started" in up.process.stderr.readline()
            up.process.stderr.close()
        until(lambda: _pid_of_worker(server, ledger))
        first = _pid_of_worker(server, ledger)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: _pid_of_worker(server, ledger) not in (None, first))
        published = httpx.post(
            f"{url}/ledgers/{ledger.name}/events", content=text(event()), headers=STRUCTURED
        )
        assert published.status_code == 201
        until(lambda: _projected(server, ledger) == 1)
        up.process.terminate()
        assert up.end().code == 0


def _pid_of_worker(server: Server, ledger: Ledger) -> int | None:
    for each in server.client().client_list(_type="normal"):
        name, *numbers = str(each["name"]).rsplit("-", 2)
        if name == connection_name(ledger.name):
            return int(numbers[0])
    return None


def _projected(server: Server, ledger: Ledger) -> int:
    return Store(Log(server.client(), ledger.name), PROJECTIONS["totals"]).open_live().checkpoint().position


@only_long
@pytest.mark.parametrize(
    ("names", "said"), some([((), True), (("--allow-host", "ledger.example.org"), False)], every=2)
)
def test_a_server_on_every_address_says_that_it_must_be_given_names(
    ledger: Ledger, names: tuple[str, ...], said: bool
) -> None:
    words = ("--host", "0.0.0.0", "--port", "0", "--public-reads", *names)
    with Running("serve", *words, *ledger.where) as serve:
        assert "other machines reach it" in serve.line()
        url = serve.line().removeprefix("the page: ").rstrip("/").replace("0.0.0.0", "127.0.0.1")
        if said:
            assert "--allow-host NAME" in serve.line()
        until(lambda: _answers(url))
        serve.interrupt()
        ended = serve.end()
    assert (ended.code, ended.out) == (0, ""), ended


@only_long
def test_an_http_server_that_dies_is_started_again_on_the_same_port(ledger: Ledger, server: Server) -> None:
    settings = Settings(ledger.name, port=0)
    with bound(settings) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Serving(server.url, settings, listening, telemetry.configure) as up:
            until(lambda: _answers(url))
            first = up.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            until(lambda: up.pid != first)
            until(lambda: _answers(url))
        assert not _answers(url)


@pytest.mark.parametrize("tries", [1, 3])
def test_given_an_http_server_that_died_when_no_process_can_be_started_then_it_is_tried_again(
    tries: int, ledger: Ledger, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_AGAIN", (0.01, 0.1))
    settings = Settings(ledger.name, port=0)
    with bound(settings) as listening, capture_logs() as said:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Serving(server.url, settings, listening, telemetry.configure) as up:
            until(lambda: _answers(url))
            first, real, missing = up.pid, SpawnProcess.start, list(range(tries))

            def start(process: SpawnProcess) -> None:
                if missing:
                    missing.pop()
                    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
                real(process)

            monkeypatch.setattr(SpawnProcess, "start", start)
            assert first is not None
            os.kill(first, signal.SIGKILL)
            until(lambda: up.pid != first)
            until(lambda: _answers(url))
    failed = [line["says"] for line in said if line["event"] == "http_failed"]
    assert failed == ["no process can be started: [Errno 11] Resource temporarily unavailable"] * tries


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, SystemExit])
def test_given_an_http_server_is_being_started_when_up_is_told_to_stop_then_it_ends_too(
    stopped: type[BaseException], ledger: Ledger, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, real = list[SpawnProcess](), SpawnProcess.start

    def start(process: SpawnProcess) -> None:
        real(process)
        started.append(process)
        raise stopped

    monkeypatch.setattr(SpawnProcess, "start", start)
    settings = Settings(ledger.name, port=0)
    with bound(settings) as listening, pytest.raises(stopped):
        Serving(server.url, settings, listening, telemetry.configure).__enter__()
    (process,) = started
    process.join(10)
    assert process.exitcode is not None


def test_given_an_http_server_that_is_started_again_when_that_is_told_to_end_then_it_is_not_waited_for(
    ledger: Ledger, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_AGAIN", (0.01, 0.1))
    settings = Settings(ledger.name, port=0)
    starting, told, real = threading.Event(), threading.Event(), SpawnProcess.start

    def start(process: SpawnProcess) -> None:
        starting.set()
        assert told.wait(10)
        real(process)

    with bound(settings) as listening, capture_logs() as said:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Serving(server.url, settings, listening, telemetry.configure) as up:
            until(lambda: _answers(url))
            monkeypatch.setattr(SpawnProcess, "start", start)
            assert up.pid is not None
            os.kill(up.pid, signal.SIGKILL)
            assert starting.wait(10)
            threading.Timer(0.2, told.set).start()
    assert [line["event"] for line in said] == ["http_died"]


@only_long
def test_given_an_http_server_that_is_stopped_when_it_is_told_to_end_then_it_is_killed_and_that_is_said(
    ledger: Ledger, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_ENDING", 0.1)
    settings = Settings(ledger.name, port=0)
    with bound(settings) as listening, capture_logs() as said:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Serving(server.url, settings, listening, telemetry.configure) as up:
            until(lambda: _answers(url))
            assert up.pid is not None
            os.kill(up.pid, signal.SIGSTOP)
    assert [(line["event"], line["pid"]) for line in said] == [("http_killed", up.pid)]


@only_long
def test_given_serve_on_the_embedded_server_when_that_dies_then_it_is_started_again_and_holds_what_it_held(
    tmp_path: Path,
) -> None:
    with data_directory(tmp_path / "data") as data:
        with Running("serve", "--port", "0", "--data", data) as serve:
            events = f"{address(serve)}/ledgers/cac/events"
            httpx.post(events, content=text(event()), headers=STRUCTURED).raise_for_status()
            with embedded.start(data) as server, connect(server.url) as client:
                os.kill(server.pid, signal.SIGKILL)
                until(lambda: _pid(client) not in (None, server.pid))
            until(lambda: httpx.get(events).status_code == 200)
            assert [each["id"] for each in httpx.get(events).json()["events"]] == ["e1"]
            serve.interrupt()
            ended = serve.end()
        assert (ended.code, "Traceback" in ended.err) == (0, False), ended
        assert "server_started_again" in ended.err
        assert not is_held(data)


def _pid(client: redis.Redis) -> int | None:
    try:
        return int(client.info("server")["process_id"])
    except redis.RedisError:
        return None


def test_given_a_server_that_cannot_be_started_again_when_it_is_tried_then_why_is_said_once(
    start_server: Callable[..., Server],
    logged: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reviving, "PERIOD", 0.0)
    tries: list[int] = []

    def revive() -> bool:
        tries.append(len(tries))
        raise LogDamaged("its log is gone")

    server = start_server()
    log = Log(server.client(), "cac")
    server.kill()
    with reviving.kept_running(Opened(log, server.url, "here", revive)):
        until(lambda: len(tries) > 2)
    (line,) = logged("server_lost")
    assert "its log is gone" in line


@only_long
def test_nothing_is_served_where_no_server_is() -> None:
    refused = approvals("serve", "--port", "0", "--url", NOWHERE, code=1)
    assert refused.complaint.startswith("storage-unavailable: cannot reach the server")
