"""Server-sent events: every event once and in order, whoever reads how slowly, and from where a reader left off."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from approval_ledger import tokens
from approval_ledger.api import streaming
from events import Log, RecordedEvent, as_json_line, connect

from .api import Api, problem, running
from .command import event, text
from .conftest import new_ledger
from .given import append, append_raw
from .long import only_long
from .servers import Server
from .waiting import until


class Reader:
    """An open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def next(self) -> dict[str, str]:
        """The fields of the next event, comment or id."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        raise EOFError

    def positions(self, count: int) -> list[int]:
        return [int(self.next()["id"]) for _ in range(count)]


@contextmanager
def stream(api: Api, log: Log, query: str = "", **headers: str) -> Iterator[Reader]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with api.client.stream("GET", f"/ledgers/{log.ledger}/events/stream{query}", headers=given) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        reader = Reader(response)
        assert "retry" in (first := reader.next())
        assert "data" not in first
        yield reader


def test_an_event_comes_with_its_position_and_its_stored_bytes(api: Api, log: Log) -> None:
    with stream(api, log) as reader:
        api.post(log, text(event()))
        found = reader.next()
    (recorded,) = log.read()
    assert found == {"id": "1", "data": as_json_line(recorded).decode()}


def test_without_a_position_only_what_is_new_comes_and_the_place_is_told_at_once(api: Api, log: Log) -> None:
    append(log, 1, 2)
    with api.client.stream("GET", f"/ledgers/{log.ledger}/events/stream") as response:
        reader = Reader(response)
        assert reader.next()["id"] == "2"
        append(log, 3)
        assert reader.positions(1) == [3]


def test_a_stream_begins_where_it_is_asked_to_and_goes_on(api: Api, log: Log) -> None:
    append(log, *range(1, 8))
    with stream(api, log, "?after=0") as all_of_it, stream(api, log, "?after=5") as the_rest:
        assert all_of_it.positions(7) == [1, 2, 3, 4, 5, 6, 7]
        assert the_rest.positions(2) == [6, 7]
        append(log, 8)
        assert all_of_it.positions(1) == the_rest.positions(1) == [8]


def test_a_reader_that_comes_back_misses_nothing_and_the_last_id_goes_before_the_parameter(
    api: Api, log: Log
) -> None:
    append(log, 1, 2, 3)
    with stream(api, log, "?after=0") as reader:
        assert reader.positions(2) == [1, 2]
    append(log, 4, 5)
    with stream(api, log, "?after=0", Last_Event_ID="2") as again:
        assert again.positions(3) == [3, 4, 5]


def test_a_reader_far_behind_what_is_kept_reads_the_log(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "RECENT", 3)
    monkeypatch.setattr(streaming, "PAGE", 4)
    with stream(api, log):  # so that a follower is there from the first event on
        append(log, *range(1, 31))
        with stream(api, log, "?after=0") as reader:
            assert reader.positions(30) == list(range(1, 31))
            append(log, 31)
            assert reader.positions(1) == [31]


def test_all_readers_share_one_follower(api: Api, log: Log) -> None:
    def followers() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == f"follow-{log.ledger}"]

    with stream(api, log) as a, stream(api, log) as b, stream(api, log) as c:
        append(log, 1)
        assert a.positions(1) == b.positions(1) == c.positions(1) == [1]
        assert len(followers()) == 1
    until(lambda: not followers())


def test_a_quiet_stream_says_that_it_is_there(api: Api, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.01)
    with stream(api, log) as reader:
        assert reader.next() == {"": "nothing new"}


def test_stored_bytes_with_line_ends_are_still_one_event() -> None:
    frame = streaming.frame(RecordedEvent(1, 0, b'{"a":\n1,\r\n"b":2}'))
    assert frame.endswith(b"\n\n")
    data = [line.removeprefix("data: ") for line in frame.decode().splitlines()[1:-1]]
    assert json.loads("\n".join(data))["b"] == 2


@pytest.mark.parametrize("given", ["x", "-1", "1-1", "1.0", str(2**64), "$"])
def test_a_last_id_that_is_no_position_is_refused(api: Api, log: Log, given: str) -> None:
    answer = api.get(log, "events/stream", **{"Last-Event-ID": given})
    problem(answer, 422, "validation")


def test_a_position_that_is_not_there_is_refused_for_the_log_may_have_been_cut(api: Api, log: Log) -> None:
    append(log, 1)
    problem(api.get(log, "events/stream", **{"Last-Event-ID": "2"}), 409, "lagging")
    problem(api.get(log, "events/stream?after=2"), 409, "lagging")


def test_there_are_only_so_many_streams(server: Server, log: Log) -> None:
    with running(server, streams=2) as api:
        with stream(api, log), stream(api, log):
            answer = api.get(log, "events/stream")
            problem(answer, 503, "too-many-streams")
            assert "retry-after" in answer.headers
        until(lambda: api.get(log, "events/stream?after=9").status_code == 409)


def ledgers(server: Server, count: int) -> list[Log]:
    return [Log(server.client(), new_ledger()) for _ in range(count)]


def test_given_streams_of_more_ledgers_than_connections_are_allowed_when_anyone_asks_then_the_rest_goes_on(
    server: Server, log: Log
) -> None:
    client = connect(f"{server.url}?max_connections=2")
    followed = ledgers(server, 5)
    with running(server, client=client) as api, ExitStack() as streams:
        readers = [streams.enter_context(stream(api, each)) for each in followed]
        assert api.post(log, text(event())).status_code == 201
        for path in ("events/1", "totals", "status"):
            assert api.get(log, path).status_code == 200
        for each, reader in zip(followed, readers, strict=True):
            append(each, 1)
            assert reader.positions(1) == [1]
    client.close()


def test_given_as_many_ledgers_are_followed_as_may_be_when_another_is_asked_for_then_it_waits_for_one_to_end(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "FOLLOWED", 2)
    first, second = ledgers(server, 2)
    with running(server) as api, stream(api, first):
        with stream(api, second), stream(api, second):
            answer = api.get(log, "events/stream")
            assert "of 2 ledgers are open" in problem(answer, 503, "busy")["detail"]
            assert answer.headers["retry-after"] == "5"
        until(lambda: api.get(log, "events/stream?after=9").status_code == 409)
        with stream(api, log) as reader:
            append(log, 1)
            assert reader.positions(1) == [1]


def test_given_a_follower_that_still_waits_for_the_store_when_its_readers_are_gone_then_it_counts_as_one(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, (other,) = threading.Event(), ledgers(server, 1)

    def waiting(self: Log, after: int, **given: object) -> Iterator[RecordedEvent | None]:
        gate.wait()
        yield None

    monkeypatch.setattr(streaming, "FOLLOWED", 1)
    monkeypatch.setattr(Log, "follow", waiting)
    with running(server) as api:
        with stream(api, other):
            pass
        until(lambda: "approvals_http_streams 0.0" in api.client.get("/metrics").text)
        problem(api.get(log, "events/stream"), 503, "busy")
        gate.set()
        until(lambda: api.get(log, "events/stream?after=9").status_code == 409)


def test_streams_outlast_a_server_that_is_away(start_server: object) -> None:
    server = Server()
    with server, running(server) as api:
        log = Log(server.client(), "ledger-1")
        with stream(api, log) as reader:
            append(log, 1)
            assert reader.positions(1) == [1]
            server.restart()
            append(log, 2)
            assert reader.positions(1) == [2]


def test_streams_end_where_the_log_is_damaged(api: Api, log: Log) -> None:
    append(log, 1)
    with stream(api, log) as reader:
        append(log, 2)
        assert reader.positions(1) == [2]
        log.client.xadd(f"{{{log.ledger}}}:log", {"e": "{}"}, id="9-9")
        with pytest.raises(EOFError):
            reader.next()
    problem(api.get(log, "events/stream"), 500, "log-damaged")


def replaced(log: Log, length: int) -> None:
    """Another log of this length is where the log was."""
    log.client.delete(*log.client.keys(f"{{{log.ledger}}}:*"))
    if length:
        append(log, *range(11, 11 + length))


def told_of_another_log(reader: Reader) -> None:
    last = reader.next()
    assert (last["event"], last["id"]) == ("log-forked", "")
    told = json.loads(last["data"])
    assert told["code"] == "log-forked"
    assert "read up to position 3" in told["detail"]
    with pytest.raises(EOFError):
        reader.next()


@pytest.mark.parametrize("length", [0, 2, 5])
def test_streams_end_where_the_log_was_replaced_and_say_so_and_begin_anew(
    api: Api, log: Log, length: int
) -> None:
    append(log, 1, 2)
    with stream(api, log, "?after=0") as reader, stream(api, log) as other:
        assert reader.positions(2) == [1, 2]
        append(log, 3)
        assert reader.positions(1) == other.positions(1) == [3]
        replaced(log, length)
        told_of_another_log(reader)
        told_of_another_log(other)
    with stream(api, log, "?after=0", Last_Event_ID="") as again:
        assert again.positions(length) == list(range(1, length + 1))


def test_a_reader_far_behind_gets_no_page_of_another_log(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "RECENT", 1)
    monkeypatch.setattr(streaming, "PAGE", 3)
    monkeypatch.setattr(streaming, "_WAIT", 60.0)  # the follower looks later
    append(log, *range(1, 10))
    page = Log.page

    def replaced_before_the_second(self: Log, after: int, count: int, **given: str) -> list[RecordedEvent]:
        if after == 3:
            replaced(log, 9)
        return page(self, after, count, **given)

    monkeypatch.setattr(Log, "page", replaced_before_the_second)
    with stream(api, log, "?after=0") as reader:
        assert reader.positions(3) == [1, 2, 3]
        told_of_another_log(reader)


@only_long
@pytest.mark.parametrize("length", [2, 5])
def test_streams_that_outlast_a_server_notice_that_it_came_back_with_another_log(
    start_server: Callable[..., Server], length: int
) -> None:
    server = start_server()
    log = Log(server.client(), "ledger-1")
    append(log, 1, 2)
    with running(server) as api, stream(api, log) as reader:
        append(log, 3)
        assert reader.positions(1) == [3]
        server.kill()
        shutil.rmtree(server.directory / "appendonlydir")
        server.start()
        append(log, *range(11, 11 + length))
        told_of_another_log(reader)


def test_a_stored_event_that_is_no_json_comes_as_it_is(api: Api, log: Log) -> None:
    with stream(api, log) as reader:
        append_raw(log, b'{"half', id="h")
        assert reader.next()["data"].endswith('"half')


@pytest.mark.parametrize("public", [True, False])
def test_a_stream_ends_when_its_token_is_revoked_and_gets_no_further_event(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch, public: bool
) -> None:
    monkeypatch.setattr(streaming, "ASK_AGAIN", 0.0)
    kept, revoked = tokens.create(log, ["read"]), tokens.create(log, ["read"])
    with (
        running(server, public_reads=public) as api,
        stream(api, log, Authorization=f"Bearer {revoked[1]}") as reader,
        stream(api, log, Authorization=f"Bearer {kept[1]}") as other,
    ):
        append(log, 1)
        assert reader.positions(1) == other.positions(1) == [1]
        tokens.revoke(log, revoked[0].id)
        append(log, 2)
        assert other.positions(1) == [2]
        with pytest.raises(EOFError):
            reader.next()


@only_long
def test_a_quiet_stream_ends_when_its_token_is_revoked(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "ASK_AGAIN", 0.0)
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.01)
    made, text_ = tokens.create(log, ["read"])
    with (
        running(server, public_reads=False) as api,
        stream(api, log, Authorization=f"Bearer {text_}") as reader,
    ):
        assert reader.next() == {"": "nothing new"}
        tokens.revoke(log, made.id)
        with pytest.raises(EOFError):
            list(iter(reader.next, {}))


def test_all_streams_end_with_the_server(server: Server, log: Log) -> None:
    with running(server) as api, stream(api, log) as reader:
        api.stop()
        with pytest.raises(EOFError):
            reader.next()


def test_given_a_first_reader_on_its_way_when_the_server_is_told_to_end_then_it_is_refused_and_not_waited_for(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, told = threading.Event(), threading.Event()

    def head(of: Log) -> int:
        asked.set()
        assert told.wait(10)
        return of.end()[0]

    with running(server) as api, ThreadPoolExecutor() as others:
        monkeypatch.setattr(Log, "head", head)
        answer = others.submit(api.get, log, "events/stream")
        assert asked.wait(10)
        api.stop()
        told.set()
        document = problem(answer.result(), 503, "busy")
        assert document["detail"] == "the server was told to stop: ask again"


def test_a_reader_that_takes_nothing_is_let_go(api: Api, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def followed() -> bool:
        return f"follow-{log.ledger}" in [thread.name for thread in threading.enumerate()]

    monkeypatch.setattr(streaming, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(
        streaming, "frame", lambda event: b"id: %d\ndata: %b\n\n" % (event.position, b"x" * 1_000_000)
    )
    append(log, *range(1, 31))
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        path = f"/ledgers/{log.ledger}/events/stream?after=0"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        until(followed)
        until(lambda: not followed())


@pytest.mark.parametrize("sizes", [[1], [10, 20, 30], [70_000, 1, 1, 65_535, 1], [65_536, 65_536]])
def test_what_is_sent_at_once_is_bounded_and_nothing_is_left_out(sizes: list[int]) -> None:
    frames = [bytes([n]) * size for n, size in enumerate(sizes)]
    pieces = list(streaming._pieces(frames))
    assert b"".join(pieces) == b"".join(frames)
    assert all(0 < len(piece) <= max(streaming.PIECE, *sizes) for piece in pieces)
