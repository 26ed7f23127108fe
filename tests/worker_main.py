"""Workers under their supervisor in a process of its own, as `approvals work` runs them, and what tests ask about them.

`python -m tests.worker_main URL LEDGER COUNT` is that process. Every worker imports this module again, so it must be light.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

import structlog

from approval_ledger import telemetry
from events import DecodedEvent, catalog, connect, keys
from projections import PROJECTIONS, Documents
from workers import deliver, doorbell, jobs, processes, supervise
from workers.reconcile import Reconciler
from workers.webhooks import schedule
from workers.worker import BellWorker

T = TypeVar("T")

PATIENCE = 60.0  # seconds until a test gives up: no test is judged by a clock
DIRECTORY = "LEDGER_TEST_DIRECTORY"
GATED = "LEDGER_TEST_GATED"  # set if `Gated` is to be one of the projections
PERIOD = "LEDGER_TEST_PERIOD"  # seconds between two looks of the reconciler
LINGER = "LEDGER_TEST_LINGER"  # seconds that a worker waits for the next event
ENDING = "LEDGER_TEST_ENDING"  # seconds within which a process has to end
BELL_MS = 500
LEASE = "LEDGER_TEST_LEASE"  # seconds for which a worker has a webhook to itself
GATE = 4_000_000  # a report of this many is not counted by `Gated` until its gate is open


def eventually(condition: Callable[[], T], why: str = "") -> T:
    """Waits until `condition` returns something true, and returns that."""
    until = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < until, f"never came true: {why or condition}"
        time.sleep(0.005)
    return value


@dataclass(frozen=True)
class Gated:
    """Counts reports. At a report of `GATE` it writes down which process waits, and waits until a file `open` is in its directory."""

    gate: Path | None = None
    name: str = "gated"
    version: int = 1
    handles: frozenset[str] = frozenset({catalog.TotalReported.TYPE})

    def needs(self, _: DecodedEvent) -> list[str]:
        return ["all"]

    def lists(self, _: DecodedEvent) -> list[str]:
        return []

    def evolve(self, documents: Documents, event: DecodedEvent, stands: bool) -> None:
        assert isinstance(event.data, catalog.TotalReported)
        if self.gate is not None and event.data.count.value == GATE:
            (self.gate / f"waits-{os.getpid()}").touch()
            while not (self.gate / "open").exists():
                time.sleep(0.005)
        documents.put("all", (documents.get("all") or 0) + (1 if stands else -1) or None)


class Supervised:
    """`supervise` with `count` workers. Ends with all its processes when it is closed, or when the tests' process ends."""

    def __init__(
        self, url: str, ledger: str, count: int = 1, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="ledger-workers-"))
        self._client = connect(url)
        self._queue = f"rq:queue:{{{ledger}}}:doorbell"
        self._prefix = f"approvals-worker-{ledger}"
        self._bells = keys.bell(ledger, "*")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.worker_main", url, ledger, str(count)],
                cwd=Path(__file__).parent.parent,
                env=os.environ | {DIRECTORY: str(self._directory)} | dict(environment or {}),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a process group of its own, as a terminal gives to a command
            )

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def workers(self) -> dict[int, bool]:
        """The workers that are connected: the process id of each, and whether it waits for a job."""
        return {
            int(each["name"].rsplit("-", 2)[1]): "b" in each["flags"]
            for each in self._client.client_list(_type="normal")
            if each["name"].rsplit("-", 2)[0] == self._prefix
        }

    def courier(self) -> int | None:
        """The process that delivers to webhooks, if one is connected."""
        return next(iter(self.couriers()), None)

    def couriers(self) -> list[int]:
        """The processes that deliver to webhooks, including those of other supervisors."""
        prefix = self._prefix.replace("worker", "courier", 1)
        names = [str(each["name"]) for each in self._client.client_list(_type="normal")]
        return [int(name.rsplit("-", 2)[1]) for name in names if name.rsplit("-", 2)[0] == prefix]

    def when_alive(self, count: int = 1) -> list[int]:
        """The process ids, once exactly `count` workers wait for a job."""
        waiting = eventually(
            lambda: (found := self.workers()) and list(found.values()) == [True] * count and found,
            f"{count} workers wait for a job",
        )
        return list(waiting or ())

    def when_quiet(self, count: int = 1) -> list[int]:
        """The same, once the supervisor has looked and found nothing left to do, and no worker lingers."""
        looks = len(self.said("looked"))
        eventually(lambda: len(self.said("looked")) > looks + 1)
        eventually(lambda: not self._client.llen(self._queue))
        eventually(lambda: not list(self._client.scan_iter(self._bells, 1000)))
        return self.when_alive(count)

    def said(self, event: str | None = None) -> list[dict[str, Any]]:
        """The lines of its log about `event`, or if none is given, all lines."""
        text = self._log.read_text("utf-8", "replace")
        return [line for line in _lines(text) if event in (None, line["event"])]

    def waiting_at_the_gate(self) -> list[int]:
        """The processes that came to the gate."""
        return [int(path.name.partition("-")[2]) for path in self._directory.glob("waits-*")]

    def open_the_gate(self) -> None:
        (self._directory / "open").touch()

    def interrupt(self) -> None:
        """Ctrl-C: SIGINT to every process of the group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    def exit(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._client.close()
        for line in self.said():
            if line["event"] != "looked":
                print(line)  # noqa: T201  # pytest shows it where a test fails
        shutil.rmtree(self._directory)

    def __enter__(self) -> Supervised:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lines(text: str) -> Iterator[dict[str, Any]]:
    scan = json.JSONDecoder().raw_decode
    while text := text.lstrip():
        try:
            line, end = scan(text)  # two processes may write into one line
        except ValueError:
            line, end = None, text.find("\n") % (len(text) + 1)
        yield line if isinstance(line, dict) else {"event": text[:end]}
        text = text[end:]


def configure() -> None:
    """As the command does it; and quicker, so that tests need not wait, with a log of what they look for."""
    telemetry.configure()
    if os.environ.get(GATED):
        PROJECTIONS["gated"] = Gated(Path(os.environ[DIRECTORY]))
    processes.PERIOD = float(os.environ.get(PERIOD, "0.1"))  # type: ignore[attr-defined]  # it imports it
    processes._BACKOFF = (0.1, 0.4)
    processes._SETTLED = float("inf")
    processes.ENDING = float(os.environ.get(ENDING, PATIENCE))
    doorbell.BELL_MS = BELL_MS
    deliver.PERIOD, deliver.LEASE = 0.1, float(os.environ.get(LEASE, "2"))
    schedule.DELAYS = (0.01,) * len(schedule.DELAYS)
    processes.LINGER = linger = float(os.environ.get(LINGER, "0.2"))  # type: ignore[attr-defined]  # it imports it
    jobs.SLICE = max(jobs.SLICE, linger)
    _log_calls_of(Reconciler, "look", "looked")
    _log_calls_of(BellWorker, "request_stop", "asked_to_stop")
    _log_calls_of(BellWorker, "request_force_stop", "asked_to_stop_again")


def _log_calls_of(kind: type, name: str, event: str) -> None:
    call = getattr(kind, name)

    def logged(self: object, *arguments: int | FrameType | None) -> object:
        try:
            return call(self, *arguments)
        finally:
            structlog.get_logger().info(event, process=os.getpid())

    setattr(kind, name, logged)


def _end_with_the_tests() -> None:
    os.read(0, 1)  # returns when they close their end of the pipe, or die
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    configure()
    supervise(sys.argv[1], sys.argv[2], int(sys.argv[3]), configure=configure)
