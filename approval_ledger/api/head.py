"""HEAD: what GET would answer, without its body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Handles it as GET, and passes on only the head of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def beginning(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        # In its place, so that what others note in the scope is seen further out. `head` is for what would not end by itself.
        scope["method"], scope["head"] = "GET", True
        try:
            await self._app(scope, receive, beginning)
        finally:
            scope["method"] = "HEAD"
