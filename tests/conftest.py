"""Servers for the tests, undoing what a worker changes in our own process, and how Hypothesis runs here."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import StringIO
from itertools import count

import pytest
import structlog
from hypothesis import HealthCheck, settings

from approval_ledger import telemetry
from events import Log

from .api import Api, running
from .long import examples
from .servers import KINDS, Server
from .waiting import until

# No test is judged by a clock: a slow machine is only slow.
# `make test-long` tries more examples, which takes minutes.
settings.register_profile(
    "ledger",
    deadline=None,
    max_examples=examples(60),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("ledger")

# Whoever serves on a thread of ours says something at any moment: where descriptor 1 leads then, and not into what pytest put
# before it as `sys.stdout` and has closed since.
_OUT = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # to the end of the tests
structlog.configure(logger_factory=structlog.WriteLoggerFactory(_OUT))

# If a script runs us in the background, SIGINT is ignored, and it would be by every command to which we send one.
signal.signal(signal.SIGINT, signal.default_int_handler)

_NUMBERS = count(1)


def new_ledger() -> str:
    """The name of a ledger that no other test uses."""
    return f"ledger-{next(_NUMBERS)}"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The Valkey that most tests share: each writes to a ledger of its own."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session", params=KINDS)
def every_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each server on which the ledger runs, in turn."""
    with Server(request.param) as server:
        yield server


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Starts servers for a single test, which it may kill, fill and configure as it likes."""
    with ExitStack() as servers:
        yield lambda *kind, **settings: servers.enter_context(Server(*kind, **settings))


@pytest.fixture(scope="session")
def api(server: Server) -> Iterator[Api]:
    """The HTTP API for all ledgers on the shared server, open to everyone on this machine."""
    with running(server) as api:
        yield api


@pytest.fixture
def logged() -> Iterator[Callable[[str], list[str]]]:
    """Waits for lines in the program's own log that contain a text, and returns them."""
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    said = StringIO()
    telemetry.configure()
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(said))

    def lines(words: str) -> list[str]:
        until(lambda: words in said.getvalue())
        return [line for line in said.getvalue().split("\n") if words in line]

    yield lines
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def log(server: Server) -> Log:
    """An empty ledger."""
    return Log(server.client(), new_ledger())


@pytest.fixture(scope="module")
def module_log(server: Server) -> Log:
    """An empty ledger for the tests of one module together."""
    return Log(server.client(), new_ledger())


@pytest.fixture
def signals() -> Iterator[None]:
    """Puts the handlers back that RQ's worker replaces."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
