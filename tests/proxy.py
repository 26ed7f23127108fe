"""A proxy between a client and a server that loses replies on purpose, as a network may."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from .servers import Server


class Proxy:
    """Listens on a unix socket and passes everything on, both ways, until told otherwise.

    Requests are recognised by a word in them, such as `b"XADD"`, because a client sends others of its own when it connects.
    """

    def __init__(self, server: Server) -> None:
        self._upstream = str(server.socket)
        self._directory = Path(tempfile.mkdtemp(prefix="ledger-proxy-"))
        self._lock = threading.Lock()
        self._word, self._to_lose = b"", 0
        self._word_to_cut, self._to_cut = b"", 0
        self._stalls = False
        self._answer = b""
        self.released = threading.Event()
        self.lost = 0
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._directory / "s"))
        self._listener.listen(64)
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"unix://{self._directory / 's'}"

    def lose_replies_to(self, word: bytes, times: int) -> None:
        """The next `times` requests with `word` reach the server, which answers; then the connection is closed."""
        with self._lock:
            self._word, self._to_lose, self._stalls = word, times, False

    def stall_replies_to(self, word: bytes, times: int) -> None:
        """The next `times` requests with `word` reach the server, which answers; the answer waits for `released`."""
        with self._lock:
            self._word, self._to_lose, self._stalls = word, times, True

    def lose_requests_with(self, word: bytes, times: int) -> None:
        """The next `times` requests with `word` never reach the server: the connection is closed."""
        with self._lock:
            self._word_to_cut, self._to_cut = word, times

    def answer_everything_with(self, answer: bytes) -> None:
        """Every request has this answer and never reaches the server."""
        self._answer = answer

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._upstream)
            except OSError:
                server.close()
                client.close()
                continue
            self._sockets += [client, server]
            doomed = threading.Event()
            self._start(self._requests, client, server, doomed)
            self._start(self._replies, client, server, doomed)

    def _requests(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        while data := _received(client):
            if self._answer:
                _sent(client, self._answer)
                break
            with self._lock:
                if self._to_cut and self._word_to_cut in data:
                    self._to_cut -= 1
                    break
                if self._to_lose and self._word in data:
                    self._to_lose -= 1
                    doomed.set()
            if not _sent(server, data):
                break
        _shut(client, server)

    def _replies(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        while data := _received(server):
            if doomed.is_set():
                self.lost += 1
                if not self._stalls:
                    break
                self.released.wait()
                doomed.clear()
            if not _sent(client, data):
                break
        _shut(client, server)

    def _start(self, what: Callable[..., object], *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        self.released.set()
        _shut(self._listener, *self._sockets)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65_536)
    except OSError:
        return b""


def _sent(end: socket.socket, data: bytes) -> bool:
    try:
        end.sendall(data)
    except OSError:
        return False
    return True


def _shut(*ends: socket.socket) -> None:
    # Wakes whoever waits in recv or accept; closing the descriptor alone would not.
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
