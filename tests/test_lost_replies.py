"""A reply that is lost leaves the outcome unknown; the same call again settles it, and stores nothing twice."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
import redis
from redis.connection import AbstractConnection

from approval_ledger import tokens
from events import (
    BadQuestion,
    InvalidEvent,
    LedgerError,
    Log,
    OutcomeUnknown,
    StorageUnavailable,
    connect,
    masked,
)

from .conftest import new_ledger
from .given import there
from .proxy import Proxy
from .servers import Server
from .strategies import report

APPEND = b"EVALSHA"

T = TypeVar("T")


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server) as proxy:
        yield proxy


@pytest.fixture
def log(server: Server, proxy: Proxy) -> Iterator[Log]:
    """A ledger with one event, written to through the proxy."""
    client = connect(proxy.url)
    log = Log(client, new_ledger())
    log.append([report("first")])
    yield log
    client.close()


@pytest.fixture
def direct(server: Server, log: Log) -> Log:
    """The same ledger, past the proxy."""
    return Log(server.client(), log.ledger)


def until_answered(call: Callable[[], T], lost: int) -> T:
    """What `call` returns after it was made again for each reply that was lost."""
    for _ in range(lost):
        with pytest.raises(OutcomeUnknown):
            call()
    return call()


@pytest.mark.parametrize("lost", [1, 3])
def test_a_batch_whose_reply_was_lost_is_there_once_when_it_is_sent_again(
    proxy: Proxy, log: Log, direct: Log, lost: int
) -> None:
    batch = [report("e1", subject="s"), report("e2")]
    proxy.lose_replies_to(APPEND, lost)
    receipts = until_answered(lambda: log.append(batch), lost)
    assert proxy.lost == lost
    assert [(receipt.position, receipt.duplicate) for receipt in receipts] == [(2, True), (3, True)]
    assert direct.head() == 3
    assert [event.position for event in direct.read_subject("s")] == [2]


def test_a_conditional_append_whose_reply_was_lost_is_settled_by_the_same_call(
    proxy: Proxy, log: Log, direct: Log
) -> None:
    proxy.lose_replies_to(APPEND, 1)
    receipts = until_answered(
        lambda: log.append([report("e1", subject="s")], expected_position=1, expected_subject=("s", "none")),
        1,
    )
    assert [(receipt.position, receipt.duplicate) for receipt in receipts] == [(2, True)]
    assert direct.head() == 2


def test_a_plain_client_with_its_own_retries_stores_one_event_several_times(
    proxy: Proxy, server: Server
) -> None:
    """The control: the same proxy, redis-py as it comes, a bare XADD. If this fails, the tests above prove nothing."""
    key = f"{new_ledger()}-plain"
    proxy.lose_replies_to(b"XADD", 3)
    with redis.Redis(unix_socket_path=proxy.url.removeprefix("unix://")) as plain:
        plain.xadd(key, {"e": "once"})
    assert proxy.lost == 3
    assert server.client().xlen(key) == 4


def test_a_client_of_ours_never_sends_a_write_again_by_itself(proxy: Proxy, server: Server) -> None:
    key = f"{new_ledger()}-plain"
    proxy.lose_replies_to(b"XADD", 1)
    with connect(proxy.url) as client, pytest.raises(redis.exceptions.ConnectionError):
        client.xadd(key, {"e": "once"})
    assert server.client().xlen(key) == 1


def test_a_request_that_was_lost_is_as_unknown_as_a_reply_and_stored_by_the_same_call(
    proxy: Proxy, log: Log, direct: Log
) -> None:
    proxy.lose_requests_with(APPEND, 1)
    with pytest.raises(OutcomeUnknown):
        log.append([report("e1")])
    assert direct.head() == 1
    (receipt,) = log.append([report("e1")])
    assert (receipt.position, receipt.duplicate) == (2, False)


def test_the_words_for_a_lost_reply_say_what_to_do(proxy: Proxy, log: Log) -> None:
    proxy.lose_replies_to(APPEND, 1)
    with pytest.raises(
        OutcomeUnknown,
        match=r"the server's answer was lost \(.+\): the events may or may not have been stored\. "
        r"Send the same events again, with the same ids: each is stored once\.",
    ) as unknown:
        log.append([report("e1")])
    assert unknown.value.code == "outcome-unknown"
    assert "Nothing was stored" not in str(unknown.value)
    assert isinstance(unknown.value, StorageUnavailable)
    assert isinstance(unknown.value.__cause__, redis.exceptions.RedisError)


def test_what_is_no_append_is_not_told_in_words_about_events(proxy: Proxy, log: Log, direct: Log) -> None:
    """Whoever sent the same again would make a second token: the words about events were said here, too."""
    proxy.lose_replies_to(b"HSET", 1)
    with pytest.raises(
        OutcomeUnknown,
        match=r"the server's answer was lost \(.+\): what was asked for may or may not have been done\. "
        r"Check before asking again\.$",
    ):
        tokens.create(log, ["read"])
    assert len(tokens.all_of(direct)) == 1


def test_an_append_tells_of_its_events_whichever_of_its_commands_failed(proxy: Proxy, log: Log) -> None:
    unchecked = Log(log.client, log.ledger)
    proxy.lose_replies_to(b"CONFIG", 1)
    with pytest.raises(StorageUnavailable, match=r"cannot reach .+\. Nothing was stored\. Is it running\?$"):
        unchecked.append([report("e1")])
    unchecked = Log(log.client, log.ledger)
    proxy.lose_replies_to(b"CONFIG", 1)
    with pytest.raises(StorageUnavailable, match=r"cannot reach .+\. Nothing was stored\. Is it running\?$"):
        next(unchecked.append_each([[report("e1")]]))
    proxy.lose_replies_to(APPEND, 1)
    with pytest.raises(OutcomeUnknown, match="Send the same events again, with the same ids"):
        next(unchecked.append_each([[report("e1")]]))


def test_an_answer_that_comes_too_late_is_unknown_and_belongs_to_no_later_question(
    proxy: Proxy, server: Server, log: Log, direct: Log
) -> None:
    impatient = Log(connect(proxy.url, timeout=0.3), log.ledger)
    impatient.append([report("warm")])
    proxy.stall_replies_to(APPEND, 1)
    with pytest.raises(OutcomeUnknown, match="Timeout"):
        impatient.append([report("e1")])
    proxy.released.set()
    (receipt,) = impatient.append([report("e2")])
    assert (receipt.id, receipt.position, receipt.duplicate) == ("e2", 4, False)
    (receipt,) = impatient.append([report("e1")])
    assert (receipt.id, receipt.position, receipt.duplicate) == ("e1", 3, True)
    assert direct.head() == 4
    impatient.client.close()


@pytest.mark.parametrize("word", [b"CONFIG", b"INFO"])
def test_a_reply_lost_before_anything_was_sent_to_be_stored_is_no_unknown_outcome(
    proxy: Proxy, log: Log, direct: Log, word: bytes
) -> None:
    unchecked = Log(log.client, log.ledger)
    proxy.lose_replies_to(word, 1)
    with pytest.raises(StorageUnavailable, match="Nothing was stored") as refused:
        unchecked.append([report("e1")])
    assert not isinstance(refused.value, OutcomeUnknown)
    assert direct.head() == 1


@pytest.mark.parametrize(
    ("word", "question"),
    [
        (b"XINFO", lambda log: log.head()),
        (b"XRANGE", lambda log: list(log.read())),
        (b"XRANGE", lambda log: log.at(1)),
        (b"XREVRANGE", lambda log: list(log.read_backwards())),
        (b"LRANGE", lambda log: list(log.read_subject("s"))),
        (b"HGET", lambda log: log.position_of("urn:desk", "first")),
        (b"XREAD", lambda log: next(log.follow(0))),
    ],
    ids=["head", "read", "at", "read_backwards", "read_subject", "position_of", "follow"],
)
def test_a_question_whose_answer_was_lost_can_be_asked_again(
    proxy: Proxy, log: Log, word: bytes, question: Callable[[Log], object]
) -> None:
    proxy.lose_replies_to(word, 1)
    with pytest.raises(StorageUnavailable, match=r"cannot reach the server: .+\. Is it running\?") as refused:
        question(log)
    assert not isinstance(refused.value, OutcomeUnknown)
    assert "stored" not in str(refused.value)
    assert proxy.lost == 1
    question(log)


def test_a_server_that_goes_away_and_comes_back_is_used_again(start_server: Callable[..., Server]) -> None:
    server = start_server()
    log = Log(server.client(), "a")
    log.append([report("e1")])
    server.kill()
    for call, stores in (
        (log.head, False),
        (lambda: list(log.read()), False),
        (lambda: log.append([report("e2")]), True),
    ):
        with pytest.raises(StorageUnavailable, match=r"\. Is it running\?$") as refused:
            call()
        assert not isinstance(refused.value, OutcomeUnknown)
        assert ("Nothing was stored." in str(refused.value)) == stores
        assert str(server.socket) in str(refused.value)
    server.start()
    (receipt,) = log.append([report("e2")])
    assert (receipt.position, receipt.duplicate) == (2, False)
    assert [event.position for event in log.read()] == [1, 2]


def test_a_server_killed_with_the_answer_on_its_way_is_settled_after_its_restart(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    with Proxy(server) as proxy:
        log = Log(connect(proxy.url), "a")
        log.append([report("e1")])
        proxy.lose_replies_to(APPEND, 1)
        with pytest.raises(OutcomeUnknown):
            log.append([report("e2")])
        server.restart()
        (receipt,) = log.append([report("e2")])
        assert (receipt.position, receipt.duplicate) == (2, True)
        log.client.close()


@pytest.mark.parametrize(
    "url",
    [
        "unix:///tmp/no/such/socket",
        "redis://127.0.0.1:1",
        "redis://no-such-host.invalid",
    ],
)
@pytest.mark.parametrize("checked_before", [False, True])
def test_a_server_that_was_never_reached_stored_nothing(
    url: str, checked_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_knows_it(*arguments: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if "invalid" in url:
        monkeypatch.setattr("socket.getaddrinfo", nobody_knows_it)
    with connect(url, timeout=5.0) as client:
        log = Log(client, "a")
        if checked_before:
            log._durable_until = float("inf")
        for call, stores in ((log.head, False), (lambda: log.append([report("e1")]), True)):
            with pytest.raises(StorageUnavailable, match="cannot reach the server: ") as refused:
                call()
            assert not isinstance(refused.value, OutcomeUnknown)
            assert ("Nothing was stored." in str(refused.value)) == stores


def test_a_server_of_another_kind_is_no_traceback(server: Server, proxy: Proxy) -> None:
    """Something else listens on the address: what it answers is not the server's language."""
    proxy.answer_everything_with(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with connect(proxy.url) as client:
        log = Log(client, "a")
        for call in (log.head, lambda: log.append([report("e1")])):
            with pytest.raises(
                StorageUnavailable, match="what answers is not a Redis server: Protocol error"
            ):
                call()


# Addresses


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://user:secret@host:6379/0", "redis://user:***@host:6379/0"),
        ("rediss://:secret@host", "rediss://:***@host"),
        ("redis://:sec/ret@host:6379/0", "redis://:***@host:6379/0"),
        ("redis://user:se@c:ret@host/0", "redis://user:***@host/0"),
        ("redis://user:sec?ret#@host/0", "redis://user:***@host/0"),
        ("unix://user:secret@/tmp/s", "unix://user:***@/tmp/s"),
        ("unix:///tmp/s?db=1&password=secret", "unix:///tmp/s?db=1&password=***"),
        ("unix:///tmp/s?password=secret&db=1", "unix:///tmp/s?password=***&db=1"),
        ("rediss://host/0?ssl_password=secret&db=1", "rediss://host/0?ssl_password=***&db=1"),
        ("redis://[::1", "redis://[::1"),
        ("redis://:secret@[::1", "redis://:***@[::1"),
        ("unix:///tmp/a@b:c/s", "unix:///tmp/a@b:c/s"),
        ("user:secret@host:6379", "user:***@host:6379"),
        (":se:c@r/secret@host", ":***@host"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "http://host",
        "redis://[::1",
        "redis://:secret/x@host",
        "redis://:secret@host:port/0",
        "user:secret@host",
        "redis://:secret@host/cac",
        "rediss://:secret@host/0/1",
        "redis://host/0x1",
    ],
)
def test_what_is_no_address_is_refused_and_no_password_is_shown(url: str) -> None:
    with pytest.raises(BadQuestion, match="is not the URL of a server: write redis://") as refused:
        connect(url)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_given_a_call_that_was_broken_off_before_its_answer_when_another_is_made_then_it_gets_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(connect(server.url), new_ledger())
    log.append([report("e1"), report("e2")])
    last = there(log.at(2))

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    following = log.follow(2, wait=5.0, entry=last.digest)  # which the server answers after 5 seconds
    with monkeypatch.context() as patch:
        patch.setattr(AbstractConnection, "read_response", interrupt)
        with pytest.raises(KeyboardInterrupt):
            next(following)
    assert there(log.at(1)).position == 1
    assert log.head() == 2


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@host/0?foo=bar",
        "redis://:secret@host/0?protocol=9",
        "rediss://:secret@host/0?foo=bar",
        "redis://:secret@a..b/0",
        "unix://:secret@/run/socket?foo=bar",
    ],
)
def test_given_an_address_with_an_option_that_is_none_when_a_client_is_made_then_it_is_refused(
    url: str,
) -> None:
    with pytest.raises(BadQuestion, match="has a host or an option that is not valid") as refused:
        connect(url)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "option", ["retry=3", "encoding=utf-16", "event_dispatcher=x", "decode_responses=no"]
)
def test_given_an_address_with_an_option_that_no_text_can_be_when_a_client_is_made_then_it_is_refused(
    option: str,
) -> None:
    with pytest.raises(BadQuestion, match=r"host/0\?.* cannot be given in a URL"):
        connect(f"redis://:secret@host/0?{option}")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_given_an_address_with_a_time_out_that_is_none_when_a_client_is_made_then_it_is_refused(
    seconds: str,
) -> None:
    with pytest.raises(BadQuestion, match=f"socket_timeout is {float(seconds)}, and must be"):
        connect(f"unix:///run/socket?socket_timeout={seconds}")


def test_every_error_raised_on_purpose_has_a_code_of_its_own() -> None:
    def below(error: type[LedgerError]) -> list[type[LedgerError]]:
        return [error, *(inner for each in error.__subclasses__() for inner in below(each))]

    # An InvalidEvent, of whatever version, has the code of its first fault.
    errors = [error for error in below(LedgerError) if not issubclass(error, InvalidEvent)]
    codes = [error.code for error in errors if error.__module__.startswith("events")]
    assert len(set(codes)) == len(codes) > 10
