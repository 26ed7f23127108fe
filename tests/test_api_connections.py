"""Connections over which no request comes, and those that take long for another reason."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import pytest

from approval_ledger.api import connections
from approval_ledger.api.app import create_app
from approval_ledger.api.serving import server_of
from approval_ledger.api.settings import Settings
from events import Log, encode

from .api import Api
from .given import append
from .servers import Server
from .strategies import report
from .test_api_streaming import stream

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS", 0.2)


def opened(api: Api) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=60)


def answer_of(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received


@pytest.mark.parametrize("sent", [b"", b"GET /hea", HEAD])
def test_given_a_connection_when_no_whole_head_comes_then_it_is_closed(api: Api, sent: bytes) -> None:
    with opened(api) as connection:
        connection.sendall(sent)
        assert answer_of(connection) == b""


def test_given_a_head_that_comes_byte_by_byte_when_it_takes_too_long_then_the_connection_is_closed(
    api: Api,
) -> None:
    with opened(api) as connection:
        connection.sendall(HEAD + b"X: ")
        connection.settimeout(0.01)
        with suppress(ConnectionResetError, BrokenPipeError):
            answer = None
            while answer is None:
                connection.sendall(b"x")
                with suppress(TimeoutError):
                    answer = connection.recv(1)
            assert answer == b""


def test_given_a_request_that_was_answered_when_the_next_one_stays_away_then_the_connection_is_closed(
    api: Api,
) -> None:
    with opened(api) as connection:
        connection.sendall(HEAD + b"\r\n")
        connection.sendall(HEAD)
        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")


def test_given_a_stream_when_others_are_closed_then_it_goes_on(api: Api, log: Log) -> None:
    with stream(api, log) as reader:
        for _ in range(2):
            with opened(api) as connection:
                assert answer_of(connection) == b""
        append(log, 1)
        assert reader.positions(1) == [1]


def test_given_a_body_that_takes_its_time_when_its_head_came_then_it_is_taken(api: Api, log: Log) -> None:
    def slowly() -> Iterator[bytes]:
        body = encode(report("e1"))
        yield body[:10]
        with opened(api) as connection:
            assert answer_of(connection) == b""
        yield body[10:]

    assert api.post(log, slowly()).status_code == 201


def test_given_a_connection_that_is_taken_in_while_the_server_ends_then_it_is_told_to_end_too(
    server: Server,
) -> None:
    serving = server_of(create_app(server.client(), Settings("cac")))
    held = serving.server_state.connections

    class Late:
        def shutdown(self) -> None:
            held.discard(cast(Any, self))

    async def end() -> None:
        serving.config.load()
        serving.servers, serving.lifespan = [], serving.config.lifespan_class(serving.config)
        await serving.lifespan.startup()
        ending = asyncio.ensure_future(serving.shutdown())
        await asyncio.sleep(0)  # those that there were have been told by now
        held.add(cast(Any, Late()))
        await ending

    asyncio.run(end())
    assert not held
