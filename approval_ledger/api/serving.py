"""The HTTP server as a process of its own, which is started again where it dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from multiprocessing.context import SpawnProcess
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from events import LedgerError, connect
from workers import collect_rarely, deaf_to_interrupts, stop_with_parent

from ..web import page
from .app import create_app
from .connections import Connection
from .settings import Settings
from .tracing import asked_for

logger = structlog.get_logger("http")

GRACE = 10  # seconds that requests have to end in, once the server is told to
LAST = 0.5  # seconds after those, in which threads may end that compute nothing
_LATE = 0.05  # seconds between two looks for connections that came while it ends
_ENDING = GRACE + 2.0  # seconds after which it is killed: it hears nothing (SIGSTOP)
UNTAKEN_MS = 60_000
_BACKLOG = 2_048
_DESCRIPTORS = 10_240  # as many as macOS lets a process have, whatever its hard limit says
_BESIDE_STREAMS = 256  # descriptors: 40 threads with a connection to the store each, and those who ask
_AGAIN = (
    0.25,
    10.0,
)  # seconds before a server that died is started again: twice as long each time, up to this


class CannotListen(LedgerError):
    """The address or the port is not available."""

    code = "cannot-listen"


def bound(settings: Settings) -> socket.socket:
    """The socket to listen on; port 0 picks a free one. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With its protocol: else asyncio does not turn Nagle's delay off, and every answer takes 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Connections inherit it: what a client does not take is not kept for ever.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MS)
        listening.bind((settings.host, settings.port))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise CannotListen(
            f"cannot listen on {settings.host}, port {settings.port}: {getattr(error, 'strerror', None) or error}. "
            "Give another with --port (0 picks a free one)."
        ) from None
    return listening


class Serving:
    """Serves on `listening` in a process of its own, for the time of a `with` block."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        listening: socket.socket,
        configure: Callable[[], None],
    ) -> None:
        self._arguments = (url, settings, listening, configure)
        self._stop = threading.Event()
        self._process: SpawnProcess | None = None

    @property
    def pid(self) -> int | None:
        """That of the process that serves now."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Serving:
        self._watch = threading.Thread(target=self._start_again, daemon=True)
        try:
            self._start()
            self._watch.start()
        except BaseException:
            # Ctrl-C: at its end Python would wait for the process, and that for the end of this one.
            self._stop.set()
            self._tell_to_end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._tell_to_end()
        self._watch.join(_ENDING)
        if self._watch.is_alive() and self._process is not None:
            logger.error("http_killed", pid=self._process.pid, waited=_ENDING)
            self._process.kill()
            self._watch.join()

    def _start(self) -> None:
        # Spawned, so that no thread, socket or lock comes along but the one that it listens on.
        context = multiprocessing.get_context("spawn")
        dead = self._process
        self._process = context.Process(target=_serve, args=self._arguments, name="approvals-http")
        try:
            with deaf_to_interrupts():
                self._process.start()
        except OSError:
            self._process = dead
            raise
        if self._stop.is_set():  # meanwhile: then the one before was told to end
            self._tell_to_end()

    def _tell_to_end(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()

    def _start_again(self) -> None:
        assert self._process is not None
        first, longest = _AGAIN
        wait = first
        while True:
            started = time.monotonic()
            self._process.join()
            if self._stop.is_set() or self._process.exitcode == 0:
                return
            wait = first if time.monotonic() - started > longest else min(2 * wait, longest)
            logger.error("http_died", pid=self._process.pid, exit=self._process.exitcode, again_in=wait)
            if self._stop.wait(wait):
                return
            try:
                self._start()
            except OSError as error:  # as many processes or files are open as may be, or the memory is full
                # The one before is still dead, so that this is tried again.
                logger.error("http_failed", says=f"no process can be started: {error}")  # noqa: TRY400  # its text says all


class _Server(uvicorn.Server):
    """Ends the streams, which would not end by themselves, as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._on_stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does. A connection that is taken in meanwhile, as a browser opens them ahead, is told to end, too: it was waited
        for, for all of GRACE."""
        told = set(self.server_state.connections)

        async def tell_the_late() -> None:
            while True:
                for connection in self.server_state.connections - told:
                    told.add(connection)
                    connection.shutdown()
                await asyncio.sleep(_LATE)

        telling = asyncio.create_task(tell_the_late())
        try:
            await super().shutdown(sockets)
        finally:
            telling.cancel()


def server_of(app: FastAPI) -> uvicorn.Server:
    """The server that the application is made for; one that is told to stop ends requests first, streams at once."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing that a client says of its address is believed
        ws="none",
        lifespan="on",
        http=Connection,  # h11: strict, in Python alone, with a limit for headers
        loop="asyncio",
        timeout_graceful_shutdown=GRACE,
    )
    return _Server(config, app.state.streams.close)


def serve(url: str, settings: Settings, listening: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM."""
    collect_rarely()
    settings = replace(settings, streams=min(settings.streams, _room_for_streams()))
    client = connect(url, name="approvals-http")
    with closing(client), suppress(KeyboardInterrupt):  # uvicorn raises it again when all has ended
        app = create_app(client, settings, traced=asked_for(os.environ))
        threading.Thread(target=page.prepare, daemon=True).start()
        server_of(app).run(sockets=[listening])


def _room_for_streams() -> int:
    """How many streams leave descriptors for everybody else, once this process may have as many as it can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    limit = most if soft == resource.RLIM_INFINITY else max(soft, most)
    return limit - min(_BESIDE_STREAMS, limit // 2)


def _serve(url: str, settings: Settings, listening: socket.socket, configure: Callable[[], None]) -> None:
    configure()
    stop_with_parent()
    serve(url, settings, listening)


@contextmanager
def leaving_threads() -> Iterator[None]:
    """Ends the process with a block in which it served, though a thread still computes an answer: that holds nothing, and Python
    would wait for it, minutes where it takes minutes."""
    try:
        yield
    except SystemExit as ending:
        _end_without_threads(ending.code)
        raise
    _end_without_threads(0)


def _end_without_threads(code: object) -> None:
    deadline = time.monotonic() + LAST
    others = [
        each for each in threading.enumerate() if each is not threading.main_thread() and not each.daemon
    ]
    for thread in others:
        thread.join(max(0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        logger.warning("answers_left", threads=sum(thread.is_alive() for thread in others))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)
