"""Runs the approvals command as a user would, and waits for what it does. It is the real command, in a process of its own.

If a test is about what a command says and stores, that process is a fork of one that has imported most modules already (`forks`)."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from approval_ledger import embedded
from events import Log

from . import forks
from .conftest import new_ledger
from .forks import clean_environment
from .given import append_raw, as_bytes
from .long import LONG
from .servers import Server
from .waiting import PATIENCE

ROOT = Path(__file__).parents[1]
APPROVALS = Path(sys.executable).with_name("approvals")
START_PROCESSES = ("demo", "serve", "up", "work")
SECRET = "s3cret-pass"
# What could make a terminal do something, or show one thing as another: none of it may reach the terminal from an event or a name.
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

Words = Sequence[str | Path]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        assert self.out.count("\n") == 1, self
        return json.loads(self.out)

    @property
    def documents(self) -> list[Any]:
        """A JSON document from each line of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """Standard error as running text, without the frame in which wrong usage is shown."""
        return " ".join(re.sub("[│╭╮╰╯─]", " ", self.err).split())


class Running:
    """A command that was started, in a process group of its own, which ends with the block."""

    executable: Sequence[str | Path] = (APPROVALS,)

    def __init__(self, *words: str | Path, cwd: Path | None = None, **environment: str) -> None:
        self.process = subprocess.Popen(
            [*self.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # so that `line` reads no more than a line, and `end` finds the rest
            start_new_session=True,
            cwd=cwd or tempfile.gettempdir(),
            env=clean_environment() | environment,
        )
        self._watchdog = threading.Timer(PATIENCE, self.kill)
        self._watchdog.start()

    def line(self) -> str:
        """Waits for the next line of standard output, and returns it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().removesuffix("\n")

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it: to the command and to every process that it started."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self, stdin: bytes | None = None) -> Ran:
        """Waits until it has ended, with every process that it started, because each of these holds its output open."""
        out, err = self.process.communicate(stdin)
        return Ran(self.process.returncode, out.decode(errors="surrogateescape"), err.decode())

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class Forked(forks.Fork):
    """A command that runs in a fork, which ends with the block."""

    def __init__(self, *words: str | Path, cwd: Path | None = None, **environment: str) -> None:
        super().__init__(
            [str(word) for word in words],
            str(cwd or tempfile.gettempdir()),
            clean_environment() | environment,
        )
        self._watchdog = threading.Timer(PATIENCE, self.kill)
        self._watchdog.start()

    def end(self, stdin: bytes) -> Ran:
        out, err = self.communicate(stdin)
        return Ran(self.wait(), out.decode(errors="surrogateescape"), err.decode())

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self.kill()
        self.close()


def approvals(
    *words: str | Path, code: int = 0, stdin: bytes = b"", cwd: Path | None = None, **environment: str
) -> Ran:
    """Runs the command to its end."""
    (ran,) = together(words, code=code, stdin=stdin, cwd=cwd, **environment)
    return ran


def together(
    *commands: Words,
    code: int | Sequence[int] = 0,
    stdin: bytes = b"",
    cwd: Path | None = None,
    **environment: str,
) -> list[Ran]:
    """Runs several commands at once, and expects `code` from each, and that none writes anything that a terminal would obey.

    Each is a fork, except commands that start processes, and those for which Python itself gets options; in `make test-long` none is.
    """
    codes = [code] * len(commands) if isinstance(code, int) else code
    starts = LONG or not forks.POSSIBLE or any(name.startswith("PYTHON") for name in environment)

    def start(words: Words) -> Running | Forked:
        kind: type[Running | Forked] = Running if starts or words[0] in START_PROCESSES else Forked
        command = kind(*words, cwd=cwd, **environment)
        stack.enter_context(command)
        return command

    with ExitStack() as stack:
        started = [start(words) for words in commands]
        ended = [command.end(stdin) for command in started]
    for words, ran, expected in zip(commands, ended, codes, strict=True):
        assert ran.code == expected, ran
        assert "Traceback" not in ran.err, ran.err
        # JSON is for programs, and contains what is stored; so does an export.
        shown = ran.err if "--json" in words or words[0] == "export" else ran.out + ran.err
        assert not DANGEROUS.search(shown), ran
    return ended


def in_a_terminal(
    *words: str | Path, width: int = 80, executable: Sequence[str | Path] = (APPROVALS,), **environment: str
) -> str:
    """What the command shows in a terminal with this many columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, width))
    try:
        with subprocess.Popen(
            [*executable, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=clean_environment() | {"TERM": "xterm"} | environment,
        ):
            os.close(theirs)
            shown = b""
            while True:
                try:
                    part = os.read(ours, 65_536)
                except OSError:  # how Linux says that the other end is closed
                    part = b""
                if not part:
                    return shown.decode()
                shown += part
    finally:
        os.close(ours)


class Ledger:
    """A ledger on a server, a new one unless a name is given, for the command and for the test."""

    def __init__(self, server: Server, url: str | None = None, name: str | None = None) -> None:
        self.server = server
        self.name = name or new_ledger()
        self.log = Log(server.client(), self.name)
        self.where = ("--url", url or server.url, "--ledger", self.name)

    def run(
        self,
        *words: str | Path,
        code: int = 0,
        stdin: bytes = b"",
        cwd: Path | None = None,
        **environment: str,
    ) -> Ran:
        return approvals(*words, *self.where, code=code, stdin=stdin, cwd=cwd, **environment)

    def together(
        self,
        *commands: Words,
        code: int | Sequence[int] = 0,
        stdin: bytes = b"",
        cwd: Path | None = None,
        **environment: str,
    ) -> list[Ran]:
        return together(
            *((*words, *self.where) for words in commands), code=code, stdin=stdin, cwd=cwd, **environment
        )

    def keys(self) -> list[bytes]:
        """Everything that the server has stored of it."""
        return sorted(map(as_bytes, self.server.client().keys(f"*{{{self.name}}}*")))


def running(directory: Path) -> bool:
    """Whether a server is using the directory, according to the kernel."""
    if not directory.is_dir():
        return False
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def data_directory(path: Path) -> Iterator[Path]:
    """A directory for an embedded server, which must have ended when the block does."""
    try:
        yield path
    finally:
        if left := running(path):
            embedded.start(path).close()
    assert not left


# What is published

SOURCE = {"publisher": "Reuters"}
TERMS = {"authority": "CAC", "instrument": "approval", "unit": "model"}
TOTAL = TERMS | {"count": {"relation": ">", "value": 40}, "as_of": "2024-01-28", "source": SOURCE}


def event(id: str = "e1", data: object = TOTAL, **changes: object) -> dict[str, object]:
    """An event in which somebody reports more than 40 approvals."""
    envelope = {
        "specversion": "1.0",
        "id": id,
        "source": "urn:desk",
        "type": "total.reported.v1",
        "data": data,
    }
    return envelope | changes


def lines(*events: object) -> bytes:
    """The events as NDJSON."""
    return b"".join(text(event) + b"\n" for event in events)


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def put_by_hand(ledger: Ledger, payload: bytes | dict[str, object]) -> None:
    """Writes what a newer version, or a broken one, might write, bypassing every check of the client."""
    if isinstance(payload, dict):
        payload = text(event() | payload)
    append_raw(ledger.log, payload, id=payload.hex(), source="by hand")
