"""Keeps the embedded server running while a command serves from it. With workers, their supervisor does that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from events import LedgerError, Log, StorageUnavailable

from .config import Opened

PERIOD = 2.0  # seconds between two looks, as the supervisor of workers has it

logger = structlog.get_logger("server")


@contextmanager
def kept_running(opened: Opened) -> Iterator[None]:
    """For the duration of a block, restarts the server from a thread if it has ended. Does nothing if the server is not ours."""
    if opened.revive is None:
        yield
        return
    stop = threading.Event()
    watch = threading.Thread(target=_watch, args=(opened.log, opened.revive, stop))
    watch.start()
    try:
        yield
    finally:
        stop.set()
        watch.join()  # before the server is left: a start that goes on would leave one behind


def _watch(log: Log, revive: Callable[[], bool], stop: threading.Event) -> None:
    complaint = None
    while not stop.wait(PERIOD):
        error = _look(log, revive)
        if error is not None and str(error) != complaint:  # each once
            logger.error("server_lost", code=error.code, says=str(error))
        complaint = None if error is None else str(error)


def _look(log: Log, revive: Callable[[], bool]) -> LedgerError | None:
    """Restarts the server if it does not answer. Returns the error that prevents it, or None."""
    try:
        log.head()
    except StorageUnavailable:
        try:
            if revive():
                logger.warning("server_started_again")
        except LedgerError as error:
            return error
    except LedgerError:
        pass  # there is a server, and whoever reads the log hears of what is wrong with it
    return None
