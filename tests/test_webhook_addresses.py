"""Where events are not sent to: URLs that are none, addresses that are not public; and what a receiver cannot do to us."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from http.client import parse_headers
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from events import AddressRefused, Log
from workers.webhooks import addresses, sending, subscriptions
from workers.webhooks.addresses import Address, is_public, target
from workers.webhooks.sending import Answer, post

from .receiver import Receiver, Reply, Request


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def resolves_to(monkeypatch: pytest.MonkeyPatch, *answers: str | Sequence[str]) -> list[str]:
    """The resolver gives these, one a question, and the last one from then on. Returns what is asked."""
    asked: list[str] = []
    left = list(answers)

    def resolve(host: str, port: int) -> list[Address]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [
            Address(socket.AF_INET6 if ":" in ip else socket.AF_INET, (ip, port))
            for ip in ([found] if isinstance(found, str) else found)
        ]

    monkeypatch.setattr(addresses, "resolve", resolve)
    return asked


def sent(url: str, *, private: bool = False) -> Answer:
    return post(url, {}, b"{}", private=private)


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "",
        "receiver.example/hook",
        "ftp://receiver.example/",
        "file:///etc/passwd",
        "gopher://receiver.example/",
        "unix:///run/s",
        "http:///hook",
        "http://",
        "http://user@receiver.example/",
        "http://user:pass@receiver.example/",
        "http://receiver.example@169.254.169.254/",
        "http://receiver.example/#part",
        "http://receiver.example:0/",
        "http://receiver.example:99999/",
        "http://receiver.example:x/",
        "http://receiver.example\\@10.0.0.1/",
        "http://receiver.example/a b",
        "http://receiver.example/\r\nHost: other",
        "http://receiver.example/\x00",
        "http://例子.example/",
        "http://receiver.example/例",
        "http://[::1",
        "http://[v1.x]/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://.example/",
        "http://a..example/",
        "http://-a.example/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 127}example/",
        "http://receiver.example/" + "a" * 2_000,
    ],
)
def test_a_url_that_events_cannot_be_sent_to_is_refused(log: Log, url: str) -> None:
    with pytest.raises(AddressRefused, match="no event is sent to this URL"):
        subscriptions.add(log, url, private=True)
    assert subscriptions.all_of(log) == []
    assert sent(url, private=True).status == 0


def test_what_a_url_says() -> None:
    to = target("https://Receiver.example:8443/a/b?c=%20d&e")
    assert (to.secure, to.host, to.port) == (True, "receiver.example", 8443)
    assert (to.authority, to.path) == ("Receiver.example:8443", "/a/b?c=%20d&e")
    assert [target(url).port for url in ("http://a.example", "https://a.example")] == [80, 443]
    assert target("http://a.example?x").path == "/?x"
    assert target("http://[2606:4700::1111]:81/").host == "2606:4700::1111"
    assert target("http://xn--fsqu00a.example./").host == "xn--fsqu00a.example."


# Addresses

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.9.9.9",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::808:808",
    "100::1",
    "2001::7f00:1",
    "2001:2::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("ip", PRIVATE)
def test_an_address_that_is_not_public_is_refused_by_default(
    log: Log, monkeypatch: pytest.MonkeyPatch, ip: str
) -> None:
    assert not is_public(ipaddress.ip_address(ip))
    resolves_to(monkeypatch, ip)
    with pytest.raises(AddressRefused, match="--allow-private"):
        subscriptions.add(log, "https://receiver.example/")
    assert subscriptions.all_of(log) == []


@pytest.mark.parametrize("ip", PUBLIC)
def test_a_public_address_is_taken(log: Log, monkeypatch: pytest.MonkeyPatch, ip: str) -> None:
    resolves_to(monkeypatch, ip)
    assert not subscriptions.add(log, "https://receiver.example/").private


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_is_public_that_python_knows_as_not_global(ip: ipaddress.IPv4Address) -> None:
    if is_public(ip):
        assert ip.is_global
        assert not ip.is_multicast


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_within_an_ipv6_one_opens_no_way_around(ip: ipaddress.IPv4Address) -> None:
    number = int(ip)
    for wrapped in (number, 0xFFFF << 32 | number, 0x2002 << 112 | number << 80, 0x20010000 << 96 | number):
        assert not is_public(ipaddress.IPv6Address(wrapped))
    assert is_public(ipaddress.IPv6Address(0x64FF9B << 96 | number)) == is_public(ip)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1"]
)
def test_every_way_to_write_this_machine_is_refused_and_nothing_is_sent(
    log: Log, receiver: Receiver, host: str
) -> None:
    url = f"http://{host}:{receiver.port}/"
    with pytest.raises(AddressRefused):
        subscriptions.add(log, url)
    assert sent(url).status == 0
    assert receiver.requests == []


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    assert "10.0.0.1" in sent("http://receiver.example/").says


def test_a_name_that_became_private_after_it_was_subscribed_is_refused_when_an_event_is_sent(
    log: Log, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolves_to(monkeypatch, "8.8.8.8", "127.0.0.1")
    url = f"http://receiver.example:{receiver.port}/"
    subscriptions.add(log, url)
    assert "127.0.0.1, which is not an address of the public internet" in sent(url).says
    assert (len(asked), receiver.requests) == (2, [])


def test_a_name_is_resolved_once_a_try_and_the_connection_goes_to_that_very_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolves_to(monkeypatch, "127.0.0.1", "192.0.2.1")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("the name was resolved again"))
    assert sent(f"http://receiver.example:{receiver.port}/", private=True).is_success
    assert asked == ["receiver.example"]
    assert receiver.requests[0].headers["host"] == f"receiver.example:{receiver.port}"


def test_the_next_address_of_a_name_is_tried_where_one_does_not_answer(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves_to(monkeypatch, ["127.0.0.2", "127.0.0.1"])  # it listens on the second one only
    assert sent(f"http://receiver.example:{receiver.port}/", private=True).is_success


def test_a_name_that_does_not_resolve_is_taken_as_it_may_resolve_for_the_workers_and_is_no_answer(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int) -> list[Address]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(addresses, "resolve", resolve)
    assert subscriptions.add(log, "https://receiver.example/").enabled
    assert sent("https://receiver.example/").says == "gaierror: [Errno -2] Name or service not known"


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(addresses, "PATIENCE", 0.05)
    monkeypatch.setattr(addresses, "resolve", lambda *_: hangs.wait() and [])
    assert "not resolved within" in sent("https://receiver.example/").says
    hangs.set()


# What a receiver may do


def test_nobody_who_listens_is_no_answer(receiver: Receiver) -> None:
    receiver.close()
    assert sent(receiver.url, private=True) == Answer(
        0, "ConnectionRefusedError: [Errno 111] Connection refused"
    )


def raw(*parts: bytes, forever: bytes = b"", pause: float = 0.0) -> Iterator[str]:
    """A server that sends `parts`, and then `forever` again and again, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            try:
                # To the last byte: a connection that is closed before all was read is reset, not ended.
                with connection.makefile("rb") as request:
                    request.readline()
                    request.read(int(parse_headers(request)["Content-Length"]))
                for part in parts:
                    connection.sendall(part)
                while forever:
                    connection.sendall(forever)
                    time.sleep(pause)
            except OSError:
                pass
            finally:
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("sends", "forever", "says"),
    [
        ([], b"", "RemoteDisconnected"),
        ([b"nonsense\r\n\r\n"], b"", "BadStatusLine"),
        ([OK, b"A: " + b"a" * 70_000 + b"\r\n\r\n"], b"", "LineTooLong"),
        ([OK], b"A: b\r\n", "HTTPException: got more than 100 headers"),
        ([b"HTTP/1.1 999999 OK\r\n\r\n"], b"", "BadStatusLine"),
    ],
)
def test_what_is_no_answer_counts_as_none(sends: list[bytes], forever: bytes, says: str) -> None:
    for url in raw(*sends, forever=forever):
        answer = sent(url, private=True)
        assert (answer.status, answer.says[: len(says)]) == (0, says)


@pytest.mark.parametrize("trickles", [b"A", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_an_answer_that_trickles_in_for_ever_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, trickles: bytes
) -> None:
    monkeypatch.setattr(sending, "WHOLE", 0.3)
    for url in raw(forever=trickles, pause=0.01):
        assert sent(url, private=True) == Answer(0, "TimeoutError: no whole answer within 0.3 s")


def test_a_receiver_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    monkeypatch.setattr(sending, "READ", 0.05)
    over = threading.Event()

    def late(_: Request) -> Reply:
        over.wait()
        return Reply()

    receiver.replies = late
    assert sent(receiver.url, private=True).says == "TimeoutError: timed out"
    over.set()


def test_a_body_without_an_end_is_not_read_to_its_end() -> None:
    for url in raw(OK + b"\r\n", forever=b"a" * 10_000):
        assert sent(url, private=True) == Answer(200, "200 OK")
    for url in raw(b"HTTP/1.1 500 No\r\n\r\n", forever=b"a" * 10_000):
        answer = sent(url, private=True)
        assert answer.status == 500
        assert len(answer.says) == 200


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Receiver]:
    """A receiver with a certificate for receiver.example."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("receiver.example").configure_cert(context)
    with Receiver(context) as receiver:
        yield receiver


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The authority is one of those that this machine trusts."""
    file = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    sending._trusting.cache_clear()
    yield
    sending._trusting.cache_clear()


def test_over_tls_the_certificate_is_checked_against_the_name_and_not_the_address(
    secure: Receiver, trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves_to(monkeypatch, "127.0.0.1")
    assert sent(f"https://receiver.example:{secure.port}/", private=True).is_success
    for host in ("other.example", "127.0.0.1"):
        says = sent(f"https://{host}:{secure.port}/", private=True).says
        assert "CERTIFICATE_VERIFY_FAILED" in says, says
    assert len(secure.requests) == 1


def test_a_certificate_of_an_unknown_authority_is_not_trusted(
    secure: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending._trusting.cache_clear()
    resolves_to(monkeypatch, "127.0.0.1")
    says = sent(f"https://receiver.example:{secure.port}/", private=True).says
    assert "CERTIFICATE_VERIFY_FAILED" in says
    assert secure.requests == []
