"""The body of a request, read as it comes, and never beyond the limit, whatever its Content-Length says."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from events import TooLarge

from .problems import RequestRefused

EVENT_LIMIT = 64 * 1024  # bytes
BATCH_LIMIT = 8 * 1024 * 1024
SECONDS = 30.0  # for all of it: a client that trickles holds nothing up


async def body_of(request: Request, limit: int) -> bytes:
    """The body. Raises TooLarge, before reading anything if Content-Length already says so; RequestRefused if it does not arrive."""
    said = request.headers.get("content-length")
    if said is not None and int(said) > limit:  # the server has seen that it is a number
        raise _too_large(limit)
    content = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for piece in request.stream():
                content += piece
                if len(content) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise RequestRefused(
            408,
            "request-timeout",
            f"the body did not come within {SECONDS:.0f} seconds",
            {"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise RequestRefused(
            400, "bad-request", "the client left before it had sent the whole body"
        ) from None
    return bytes(content)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body has over {limit:,} bytes, which is the limit here. Nothing was stored.")
