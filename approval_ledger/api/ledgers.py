"""The ledgers that requests ask for, on one server."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator, WithJsonSchema
from redis import Redis

from events import BadQuestion, Log, keys

KEPT = 256  # whoever asks for ever new names fills no memory


class Ledgers:
    """A log for each name, kept: it remembers when its server was last found durable."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self._logs: OrderedDict[str, Log] = OrderedDict()
        self._lock = Lock()

    def log(self, name: str) -> Log:
        """Raises BadQuestion where `name` can name no ledger."""
        with self._lock:
            if name not in self._logs:
                self._logs[name] = Log(self.client, name)
            self._logs.move_to_end(name)
            while len(self._logs) > KEPT:
                self._logs.popitem(last=False)
            return self._logs[name]


def _can_name(name: str) -> str:
    try:
        return keys.checked_ledger(name)
    except BadQuestion as error:
        raise ValueError(str(error)) from None


async def _asked_for(  # asks nobody, and need not wait for a thread
    request: Request,
    ledger: Annotated[
        str,
        AfterValidator(_can_name),
        Path(description="The ledger's name.", examples=["cac"]),
        WithJsonSchema({"type": "string", "pattern": r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$"}),
    ],
) -> Log:
    ledgers: Ledgers = request.app.state.ledgers
    return ledgers.log(ledger)


LogOf = Annotated[Log, Depends(_asked_for)]
"""The log of the ledger in the path."""
