"""Closes a connection on which no request arrives: uvicorn waits for ever for the first one, and for the rest of a head."""

from __future__ import annotations

from asyncio import TimerHandle, Transport

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 30.0  # for the whole head of a request: a client that trickles holds no descriptor for long


class Connection(H11Protocol):
    """A connection, which is closed where the head of the next request takes longer than SECONDS."""

    _late: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        self._expect_a_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_a_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_a_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._expect_nothing()

    def _expect_a_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._expect_nothing()
        elif self._late is None:  # each byte that comes gives no further time
            self._late = self.loop.call_later(SECONDS, self.timeout_keep_alive_handler)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
