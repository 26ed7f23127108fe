"""Looking again and again for what was lost and what is due: it survives whatever a look finds wrong, and reports it once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NoReturn

import structlog

from events import LedgerError

logger = structlog.get_logger("workers")


class Complaints:
    """Reports of what is wrong, as log lines named `event`: each error once for as long as it lasts."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._said: set[str] = set()

    def hear(self, errors: Iterable[Exception]) -> None:
        """Reports the errors that were not there the last time."""
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
    """Looks, for ever. `look` returns the errors it found, when the next look is due; if it raises an error, that is reported too,
    and the next look comes `period` seconds later."""
    complaints = Complaints(event)
    while True:
        try:
            complaints.hear(look())
        except Exception as error:  # noqa: BLE001  # whatever it is: nobody would notice that the looking has stopped
            complaints.hear([error])
            time.sleep(period)
