"""A receiver of webhooks: a real HTTP server on this machine that keeps what it gets, and answers as it is told."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from events import loads


@dataclass(frozen=True)
class Request:
    """One request, as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        return loads(self.body)

    @property
    def position(self) -> int:
        return int(self.event["sequence"])

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified_with(self, secret: str) -> Any:
        """What the library of the convention makes of it. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, dict(self.headers))


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] | None = None
    body: bytes = b""


class Receiver:
    """Answers 200, unless `replies` is set: a function that returns the answer to a request, and may take any time."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.replies: Callable[[Request], Reply] = lambda _: Reply()
        self.answered = 0
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._answer(self, Request(self.path, headers, body))

            def log_message(self, *_: object) -> None:
                pass

        class Http(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that hangs up, which some of the tests are about."""

        self._server = Http(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=1"

    @property
    def positions(self) -> list[int]:
        return [request.position for request in self.requests]

    def when(self, count: int, *, answered: int = 0) -> list[Request]:
        """The requests, once there are `count` of them and `answered` of them have been answered."""
        with self._arrived:
            there = self._arrived.wait_for(
                lambda: len(self.requests) >= count and self.answered >= answered, 60
            )
            assert there, self.requests
            return list(self.requests)

    def reply(self, *statuses: int) -> None:
        """Answers with these, one for each request, and with the last one from then on."""
        left = list(statuses)
        self.replies = lambda _: Reply(left.pop(0) if len(left) > 1 else left[0])

    def _answer(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        reply = self.replies(request)
        handler.send_response(reply.status)
        for name, value in (reply.headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body)
        with self._arrived:
            self.answered += 1
            self._arrived.notify_all()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
