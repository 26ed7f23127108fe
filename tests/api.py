"""The HTTP API for the tests: the real application on a real HTTP server, in a thread, and a client for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import redis
from opentelemetry.trace import TracerProvider

from approval_ledger.api.app import create_app
from approval_ledger.api.serving import bound, server_of
from approval_ledger.api.settings import Settings
from events import Log

from .servers import Server

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"


class Api:
    """A running API, and a client for it."""

    def __init__(self, listening: socket.socket, stop: Callable[[], None]) -> None:
        self.stop = stop
        host, self.port = listening.getsockname()[:2]
        self.url = f"http://{host}:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def get(self, log: Log, path: str, **headers: str) -> httpx.Response:
        return self.client.get(f"/ledgers/{log.ledger}/{path}", headers=headers)

    def post(
        self, log: Log, content: bytes | Iterable[bytes], media_type: str = STRUCTURED, **headers: str
    ) -> httpx.Response:
        """Posts to the events of a ledger; an underscore in the name of a header stands for a dash."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(
            f"/ledgers/{log.ledger}/events", content=content, headers={"Content-Type": media_type} | given
        )


def problem(response: httpx.Response, status: int, code: str) -> Any:
    """The problem document of an answer, which must have this status and code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    document = response.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"urn:approval-ledger:error:{code}"
    assert document["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return document


@contextmanager
def running(
    server: Server,
    tracer_provider: TracerProvider | None = None,
    client: redis.Redis | None = None,
    **changes: Any,
) -> Iterator[Api]:
    """An API for the ledgers on `server`, as long as the block runs."""
    settings = replace(Settings("cac", port=0, rate=None), **changes)
    listening = bound(settings)
    app = create_app(
        client or server.client(),
        settings,
        traced=tracer_provider is not None,
        tracer_provider=tracer_provider,
    )
    serving = server_of(app)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
    thread.start()
    api = Api(listening, lambda: serving.handle_exit(0, None))
    try:
        yield api
    finally:
        api.stop()
        thread.join()
        api.client.close()
