"""If-None-Match: whether a client has what it asks for already."""

from __future__ import annotations

import re

from fastapi import Request


def has(request: Request, tag: str) -> bool:
    """Whether the client names this tag, be it as a weak one, among those that it has."""
    return tag in re.findall(r'"[^"]*"', _given(request))


def has_any(request: Request) -> bool:
    """Whether the client asks for it only where it is not there at all."""
    return _given(request).strip() == "*"


def _given(request: Request) -> str:
    return ", ".join(request.headers.getlist("if-none-match"))
