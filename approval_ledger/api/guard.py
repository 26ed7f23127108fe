"""Who may ask at all: by which name the server is called, and which page asks.

A browser lets any page send requests to 127.0.0.1, and by DNS rebinding even read the answers. So the server answers only to
names that it has (Host), but for what reveals nothing or needs a token, which is asked for by whatever address there is
(probes, Prometheus); and it takes nothing that changes anything from a page of another site (Origin, Sec-Fetch-Site). No
answer carries a CORS header, and every body that is taken has a media type, or headers, for which a browser asks first.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .access import counting
from .problems import RequestRefused, problem
from .settings import NAME, Settings

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PROBES = frozenset({"/healthz", "/readyz"})
_ABSOLUTE = re.compile(rb"https?://([^/]*)(/.*)?", re.IGNORECASE)
# Only a company's name may have an encoded slash in it.
_DIVIDED = re.compile(rb"(?!/ledgers/[^/]+/companies/).*%2f", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(rf"(?P<name>{NAME})(?::\d{{1,5}})?", re.ASCII | re.IGNORECASE)


class Guard:
    """Refuses what is addressed to another host, or comes from another site's page."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        own = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._hosts = frozenset(name.lower() for name in (*_LOCAL, own, *settings.hosts))
        self._by_any_name = _PROBES if settings.reads_are_public else _PROBES | {"/metrics"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _understand(scope)
        try:
            self._check(scope, Headers(scope=scope))
        except RequestRefused as error:
            await counting(problem)(Request(scope), error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if _DIVIDED.match(scope["raw_path"]):
            raise RequestRefused(
                404, "not-found", "an encoded slash (%2F) does not divide a path: write it as /"
            )
        called = ", ".join(headers.getlist("host"))  # two are no name
        match = _HOST.fullmatch(called)
        known = match is not None and match["name"].lower() in self._hosts
        if not known and scope["path"] not in self._by_any_name:
            raise RequestRefused(
                400,
                "foreign-host",
                f"this server does not answer to the name in the Host header, {called[:80]!r}: if that is its name, start "
                "`approvals serve` or `approvals up` with --allow-host and the name, without a port",
            )
        if "content-length" in headers and "transfer-encoding" in headers:
            raise RequestRefused(
                400,
                "bad-request",
                "give either a Content-Length or a Transfer-Encoding: with both, a body has two lengths",
            )
        if scope["method"] in ("GET", "HEAD"):
            return
        origin = headers.get("origin")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
            origin is not None and origin.partition("://")[2].lower() != called.lower()
        ):
            raise RequestRefused(
                403, "cross-site", "a page of another site asks, and only this server's own may"
            )


def _understand(scope: Scope) -> None:
    """Makes of a target that is a whole address (RFC 9112, 3.2.2) what it would be with a Host header: the name in it is the one
    that counts, whatever that header says."""
    match = _ABSOLUTE.fullmatch(scope["raw_path"])
    if match is not None:
        # In their place, so that the log has the path as ever.
        scope["raw_path"] = match[2] or b"/"
        scope["path"] = unquote(scope["raw_path"].decode("ascii"))
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [(b"host", match[1]), *others]
