"""If-None-Match: whether a client already has what it asks for."""

from __future__ import annotations

import re

from fastapi import Request


def has(request: Request, tag: str) -> bool:
    """Whether this tag is among those that the client says it has, even as a weak one."""
    return tag in re.findall(r'"[^"]*"', _given(request))


def has_any(request: Request) -> bool:
    """Whether the client wants it only if it does not exist (`*`)."""
    return _given(request).strip() == "*"


def _given(request: Request) -> str:
    return ", ".join(request.headers.getlist("if-none-match"))
