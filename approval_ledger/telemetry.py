"""The log of what the program does: one line for each thing, to standard error."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from contextlib import suppress
from typing import Any, TextIO

import structlog

# Without the variables: in those of redis-py stands the password that a server refused.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

QUIET = 60.0
REMEMBERED = 1_000  # lines of libraries; a forgotten one is said again


class _ToStructlog(logging.Handler):
    """Libraries log by the standard library; their warnings are lines like ours, equal ones once in QUIET seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[
            tuple[str, ...], tuple[float, int]
        ] = {}  # when, and how often it was to be said since

    def emit(self, record: logging.LogRecord) -> None:
        says, now = record.getMessage(), time.monotonic()
        # Out of descriptors, asyncio says so with a traceback for each connection that waits, each second: 2,000 lines.
        equal = (record.name, says, repr(record.exc_info[1]) if record.exc_info else "")
        then, unsaid = self._said.get(equal, (float("-inf"), 0))
        if now - then < QUIET:
            self._said[equal] = then, unsaid + 1
            return
        if len(self._said) >= REMEMBERED:
            self._said.clear()
        self._said[equal] = now, 0
        more = {"times": unsaid + 1} if unsaid else {}
        structlog.get_logger(record.name).log(
            record.levelno, "library", of=record.name, says=says, exc_info=record.exc_info, **more
        )


class _Lossy(io.FileIO):
    """A file that silently drops what cannot be written."""

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        length = len(rest)
        # A full disk (ENOSPC), or a reader that is gone (EPIPE), may come and go, and there is no other place to tell of it:
        # raised, it ended whatever had something to say, a supervisor with all of its workers.
        with suppress(OSError):
            while rest:
                rest = rest[super().write(rest) or len(rest) :]
        return length


def _lossy(stream: TextIO) -> TextIO:
    # Without a buffer: what stays in one is tried again by whoever flushes, as each start of a process does.
    file = _Lossy(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(file, stream.encoding, "backslashreplace", write_through=True)


def configure() -> None:
    """Lines for people on a terminal, in colours unless NO_COLOR is set; JSON elsewhere. Called once in each process."""
    if sys.__stderr__ is not None and sys.stderr is sys.__stderr__:  # not where a test looks at what is said
        sys.stderr = _lossy(sys.__stderr__)
    terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        # The rich traceback takes seconds to draw, in which a worker that should leave does not.
        structlog.dev.ConsoleRenderer(
            colors=not os.environ.get("NO_COLOR"), exception_formatter=structlog.dev.plain_traceback
        )
        if terminal
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [_TRACEBACKS]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # A line with its end in one write: PrintLogger writes twice, and the lines of two processes ran together.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=logging.WARNING, force=True)
