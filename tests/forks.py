"""The approvals command without its start-up: one process has imported what all commands need, and forks for each of them.

A command takes 0.3 s for imports, and 0.02 s for what most tests want. A fork is a process of its own, with its own session,
directory, environment, streams and exit code; it imports the module of its command, and ends as any process does. This does not
test its start-up, nor different hash orders; `command.Running` starts a whole process.

`python forks.py SOCKET` is the process that forks, until its standard input ends.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

POSSIBLE = hasattr(os, "pidfd_open")  # which reports the end of a fork: only Linux has it
ROOT = Path(__file__).parents[1]
NOWHERE = "unix:///nowhere/s"


class Fork:
    """A command that runs in a fork."""

    def __init__(self, words: Sequence[str], cwd: str, environment: Mapping[str, str]) -> None:
        request = json.dumps([words, cwd, dict(environment)]).encode()
        stdin, stdout, stderr = os.pipe(), os.pipe(), os.pipe()
        theirs = (stdin[0], stdout[1], stderr[1])
        self._streams = (
            os.fdopen(stdin[1], "wb"),
            os.fdopen(stdout[0], "rb"),
            os.fdopen(stderr[0], "rb"),
        )
        self._told = socket.socket(socket.AF_UNIX)
        try:
            self._told.connect(_address())
            socket.send_fds(self._told, [_number(len(request))], theirs)
            self._told.sendall(request)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self.pid = _read_number(self._told)
        self._runs = True

    def communicate(self, stdin: bytes) -> tuple[bytes, bytes]:
        """Waits until it has ended, with every process that has its output open, and returns what it wrote."""
        entry, *outputs = self._streams
        with ThreadPoolExecutor(2) as threads:
            out, err = (threads.submit(output.read) for output in outputs)
            with suppress(BrokenPipeError), entry:
                entry.write(stdin)
        return out.result(), err.result()

    def wait(self) -> int:
        """Waits until it has ended, and returns its exit code."""
        code = _read_number(self._told)
        self._runs = False
        return code

    def kill(self) -> None:
        """Kills it, and every process that it started."""
        with suppress(ProcessLookupError):
            if self._runs:
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        for stream in (*self._streams, self._told):
            with suppress(BrokenPipeError):
                stream.close()


@cache
def _address() -> str:
    """The socket of the forking process that belongs to this one, which is started if there is none."""
    directory = tempfile.TemporaryDirectory(prefix="ledger-forks-")
    address = f"{directory.name}/s"
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, address],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,  # as those of the forks are: Python looks at what kind of stream it has when it starts
        stderr=subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    atexit.register(directory.cleanup)
    atexit.register(process.__exit__, None, None, None)
    assert process.stdout.readline() == b"listening\n", process.stdout.read()
    return address


def clean_environment() -> dict[str, str]:
    """The environment of somebody who has set nothing. If --url is forgotten, no server is found and no data directory made."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
    return kept | {"LANG": "C.UTF-8", "APPROVALS_URL": NOWHERE}


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big", signed=True)


def _read_number(connection: socket.socket) -> int:
    return int.from_bytes(_read(connection, 4), "big", signed=True)


def _read(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = connection.recv(size - len(read))
        assert part, "the process that forks has ended"
        read += part
    return read


# In the process that forks


def _fork_for_each(listening: socket.socket) -> None:
    """Returns in each fork, which then runs the command. The process itself ends when its standard input does."""
    with listening, selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    sys.exit()
                elif key.fileobj is not listening:
                    _tell_of_the_end(*key.data)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                elif pid := _fork(connection := listening.accept()[0]):
                    connection.sendall(_number(pid))
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))
                else:
                    for other in selector.get_map().values():
                        if other.data is not None:
                            os.close(other.fd)
                            other.data[1].close()
                    return


def _tell_of_the_end(pid: int, connection: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    with connection, suppress(OSError):  # nobody waits for a fork that a test has killed
        connection.sendall(_number(os.waitstatus_to_exitcode(status)))


def _fork(connection: socket.socket) -> int:
    """Forks, and gives the fork the arguments, directory, environment and streams that are asked for."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    words, cwd, environment = json.loads(_read(connection, int.from_bytes(size, "big")))
    if not (pid := os.fork()):
        connection.close()
        os.setsid()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.argv[:] = ["approvals", *words]
    for stream in streams:
        os.close(stream)
    return pid


def _main() -> None:
    # What takes long to import, but no module of a command.
    import typer.rich_utils  # noqa: F401

    import approval_ledger.cli.app
    import approval_ledger.cli.fresh
    import approval_ledger.cli.options
    import workers.deliver
    import workers.processes  # noqa: F401

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(sys.argv[1])
    listening.listen(100)
    print("listening", flush=True)  # noqa: T201
    gc.freeze()  # so that less is copied
    _fork_for_each(listening)
    approval_ledger.cli.main()


if __name__ == "__main__":
    _main()
