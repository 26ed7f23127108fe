"""One request to an address that was checked, within limits of time and size that hold whatever the other side does.

`http.client` speaks over a socket that is connected here, so that nothing below resolves the name again, follows a redirect, or
reads a proxy from the environment.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache

from events import AddressRefused

from .addresses import Address, Target, reachable, target

CONNECT = 5.0  # seconds for one address
READ = 10.0  # seconds of silence
WHOLE = 15.0  # seconds from the first address to the last byte
_ADDRESSES = 4  # how many addresses of a name are tried
_BODY_LIMIT = 2_048  # bytes of an answer that are read
_SAYS_LIMIT = 200  # characters of it that are kept


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a request. If no answer came, `status` is 0 and `says` is the reason; `retry_after` is in seconds."""

    status: int
    says: str
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status <= 299


def post(url: str, headers: Mapping[str, str], body: bytes, *, private: bool) -> Answer:
    """Sends `body` by POST. `private`: even to an address that is not on the public internet. Never raises for what the other side
    does: see `Answer`."""
    try:
        to = target(url)
        with _connected(to, reachable(to, private=private)) as sock:
            return _exchange(sock, to, headers, body)
    except AddressRefused as error:
        return Answer(0, str(error))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, _one_line(f"{type(error).__name__}: {error}"))


def _exchange(sock: socket.socket, to: Target, headers: Mapping[str, str], body: bytes) -> Answer:
    connection = _Connection(sock, to)
    always = {"Host": to.authority, "User-Agent": "approval-ledger", "Connection": "close"}
    connection.request("POST", to.path, body, {**headers, **always})
    response = connection.getresponse()
    says = f"{response.status} {response.reason}"
    answer = Answer(response.status, _one_line(says), _seconds(response.headers.get("Retry-After")))
    if answer.is_success:
        return answer
    with suppress(OSError, http.client.HTTPException):  # the status is what counts
        words = response.read(_BODY_LIMIT).decode("utf-8", "replace")
        return Answer(answer.status, _one_line(f"{says}: {words}" if words else says), answer.retry_after)
    return answer


class _Connection(http.client.HTTPConnection):
    """Speaks over a socket that is connected already, and never opens another."""

    def __init__(self, sock: socket.socket, to: Target) -> None:
        super().__init__(to.host, to.port)
        self.sock = sock

    def connect(self) -> None:
        raise ConnectionError("the connection was lost")


@contextmanager
def _connected(to: Target, addresses: Sequence[Address]) -> Iterator[socket.socket]:
    """A connection for the duration of the block, which is ended after WHOLE seconds at the latest."""
    until = time.monotonic() + WHOLE
    sock = _connect(addresses[:_ADDRESSES], until)
    try:
        sock.settimeout(READ)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if to.secure:
            sock = _trusting().wrap_socket(sock, server_hostname=to.host, do_handshake_on_connect=False)
        with _ended_at(until, sock):
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            yield sock
    finally:
        sock.close()


def _connect(addresses: Sequence[Address], until: float) -> socket.socket:
    failed: OSError = OSError("its host has no address")
    for address in addresses:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(0.1, min(CONNECT, until - time.monotonic())))
            sock.connect(address.sockaddr)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed


@contextmanager
def _ended_at(until: float, sock: socket.socket) -> Iterator[None]:
    """Ends the connection when the time is over: the socket's own time-out starts again with every byte that trickles in."""
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # past TLS, which would not wait for its turn

    timer = threading.Timer(until - time.monotonic(), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if over.is_set():
            raise TimeoutError(f"no whole answer within {WHOLE:g} s") from error
        raise
    finally:
        timer.cancel()


@cache
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context()


def _seconds(retry_after: str | None) -> float | None:
    """A number of seconds, or the time until a date; None for anything else."""
    text = (retry_after or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(text)
    with suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None


def _one_line(text: str) -> str:
    """What the other side said, shortened, and harmless to a log or a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)[:_SAYS_LIMIT].strip()
