"""Looking again and again, for what was lost and what is due: whatever a look finds, it outlasts, and tells of it once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NoReturn

import structlog

from events import LedgerError

logger = structlog.get_logger("workers")


class Complaints:
    """What is wrong, each told as `event` once as long as it lasts."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._said: set[str] = set()

    def hear(self, errors: Iterable[Exception]) -> None:
        """Tells those that were not among the last ones."""
        found = {str(error): error for error in errors}
        for says, error in found.items():
            if says in self._said:
                continue
            if isinstance(error, LedgerError):
                logger.error(self._event, code=error.code, says=says)  # its text says all
            else:
                logger.error(self._event, code=type(error).__name__, says=says, exc_info=error)
        self._said = set(found)


def watching(event: str, look: Callable[[], Iterable[Exception]], period: float) -> NoReturn:
    """Looks, for ever. A look returns what it finds wrong, once the next one is due; what it raises is wrong, too, and the next
    one comes `period` seconds later."""
    complaints = Complaints(event)
    while True:
        try:
            complaints.hear(look())
        except Exception as error:  # noqa: BLE001  # whatever it is: who looks no more is not missed by anyone
            complaints.hear([error])
            time.sleep(period)
