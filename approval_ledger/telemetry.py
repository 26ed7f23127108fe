"""The log of what the program does: one line for each thing, to standard error."""

from __future__ import annotations

import logging
import os
import sys

import structlog

# Without the variables: in those of redis-py stands the password that a server refused.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


class _ToStructlog(logging.Handler):
    """Libraries log by the standard library; their warnings are lines like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno, "library", of=record.name, says=record.getMessage(), exc_info=record.exc_info
        )


def configure() -> None:
    """Lines for people on a terminal, in colours unless NO_COLOR is set; JSON elsewhere. Called once in each process."""
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
