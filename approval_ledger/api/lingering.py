"""The rest of a body that nobody reads: taken and thrown away for a while, so that its sender gets to the answer.

A server that closes a connection on which something is still coming resets it, and whoever sends first and reads then never
sees why it was refused (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BYTES = 8 * 1024 * 1024
SAID = 64 * 1024 * 1024  # so much of a body that said how long it is
SECONDS = 5.0
_CLOSE = (b"connection", b"close")


class Lingering:
    """Ends the connection after an answer to a request that was not read to its end, but not at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _length(scope) == 0:
            await self._app(scope, receive, send)
            return
        left, asked, lingers = True, False, True

        async def receiving() -> Message:
            nonlocal left, asked
            asked = True
            message = await receive()
            left = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            nonlocal lingers
            if left and message["type"] == "http.response.start":
                lingers = _CLOSE not in message["headers"] and (asked or not _waits(scope))
                headers = [each for each in message["headers"] if each != _CLOSE]
                message = {**message, "headers": [*headers, _CLOSE]}
            ends = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not (left and ends and lingers):
                await send(message)
                return
            await send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(SECONDS):
                    await _throw_away(receive, _length(scope))
            await send({"type": "http.response.body", "body": b""})

        await self._app(scope, receiving, sending)


async def _throw_away(receive: Receive, length: int | None) -> None:
    left, more = BYTES if length is None or length > SAID else length, True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)  # who has left has none


def _length(scope: Scope) -> int | None:
    """How many bytes the body has, 0 where there is none; None where it does not say so."""
    headers = dict(scope["headers"])
    return None if b"transfer-encoding" in headers else int(headers.get(b"content-length", b"0"))


def _waits(scope: Scope) -> bool:
    """Whether the client sends the body only once it is asked to."""
    return any(name == b"expect" for name, _ in scope["headers"])
