"""Waiting for something that nobody announces."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0  # seconds until what hangs is given up, so that its test fails and the others run


def until(true: Callable[[], object]) -> None:
    """Waits for something that another process does without announcing it."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, true
        time.sleep(0.01)
