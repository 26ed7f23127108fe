"""A line between clients and a server that can be cut, held up and redirected to another server, as happens in a network."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from .servers import Server


class Line:
    """Listens on a unix socket and passes everything on, both ways, until told otherwise."""

    def __init__(self, server: Server) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="ledger-line-"))
        self._upstream = str(server.socket)
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._left: int | None = None  # bytes of answers until all is cut
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._directory / "s"))
        self._listener.listen(64)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        return f"unix://{self._directory / 's'}"

    def lead_to(self, server: Server) -> None:
        """Connections made from now on lead to that server; existing ones are cut."""
        self._upstream = str(server.socket)
        self.cut()

    def cut(self) -> None:
        """Ends every connection, even with data under way."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            _shut(*pair)

    def cut_after(self, size: int) -> None:
        """Ends the connection that brings the answer in which `size` more bytes have come, right after them."""
        with self._lock:
            self._left = size

    def hold(self) -> None:
        """Lets nothing pass until `release`, without closing anything."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

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
            pair = client, server
            with self._lock:
                self._pairs.add(pair)
            threading.Thread(target=self._serve, args=pair, daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        requests = threading.Thread(target=self._hand_on, args=(client, server, False), daemon=True)
        requests.start()
        self._hand_on(server, client, True)
        requests.join()
        with self._lock:
            self._pairs.discard((client, server))
        client.close()
        server.close()

    def _hand_on(self, source: socket.socket, to: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._open.wait()
                if answers:
                    data, last = self._cut_off(data)
                    to.sendall(data)
                    if last:
                        break
                else:
                    to.sendall(data)
        _shut(source, to)

    def _cut_off(self, data: bytes) -> tuple[bytes, bool]:
        with self._lock:
            if self._left is None:
                return data, False
            if len(data) < self._left:
                self._left -= len(data)
                return data, False
            size, self._left = self._left, None
            return data[:size], True

    def close(self) -> None:
        self.release()
        _shut(self._listener)
        self._acceptor.join()
        self._listener.close()
        self.cut()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
