"""Ctrl-C while the command is imported."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def leaving_when_interrupted() -> Iterator[None]:
    """Ctrl-C ends the process at once meanwhile: nothing is begun yet that would have to be ended.

    A KeyboardInterrupt among imports gets lost, with its traceback printed, where it meets a callback of the import system.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, where a script runs us in the background
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
