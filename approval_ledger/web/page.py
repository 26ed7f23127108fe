"""The page itself: its files, and the JavaScript that draws charts, out of the library that has it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from threading import Lock, Thread
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from ..api import parameters
from ..api.answering import weights
from ..api.conditional import has, has_any
from ..api.problems import RequestRefused
from ..api.settings import Settings

router = APIRouter(include_in_schema=False)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from another host, nothing inline, and no text ever run as a script."""

_YEAR = 31_536_000  # seconds
_WITHOUT_CHARTS = ("log", "projections")

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_STATIC = {file.name: file for file in (files(__package__) / "static").iterdir()}


@router.get("/")
def page(request: Request) -> Response:
    """The page. What it shows is all in its query, which the page itself reads: so any query is taken."""
    settings: Settings = request.app.state.settings
    # A ledger's name is letters, digits, - and _: nothing that HTML would take for more.
    filled = _read("index.html").replace(b"{ledger}", settings.ledger.encode())
    draws = _can_draw()
    ahead = draws and request.query_params.get("view") not in _WITHOUT_CHARTS
    for name, value in {
        b"{charts}": "yes" if draws else "no",
        b"{vega}": _vega_at() if draws else "",
        # Asked for at once, but after what the figures need; with rel=preload a browser complains where it is not used soon.
        b"{ahead}": f'<link rel="modulepreload" href="{_vega_at()}" fetchpriority="low">\n' if ahead else "",
    }.items():
        filled = filled.replace(name, value.encode())
    if not (_made.cache_info().currsize or _making.locked()):  # no thread for each reader who comes meanwhile
        Thread(target=prepare, daemon=True).start()  # while the reader's browser reads the rest
    return _file(request, "index.html", filled)


@router.get("/page/vega-{made_of}.js")
def vega(request: Request, made_of: str, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001  # it refuses every parameter
    """Vega, Vega-Lite and Vega-Embed as one module. A page that was opened before an upgrade gets the new one, and asks again."""
    if not _can_draw():
        raise RequestRefused(
            404, "not-found", "charts need approval-ledger[charts], which is not installed here"
        )
    packed = _takes_gzip(request)
    content = _vega() if packed else gzip.decompress(_vega())
    fixed = made_of == _version_of_vega()
    varying = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    return _file(request, "vega.js", content, varying, fixed=fixed)


def _takes_gzip(request: Request) -> bool:
    """Whoever says nothing of it is sent what is sure to be understood."""
    weight = dict(weights(request, "accept-encoding"))
    return weight.get("gzip", weight.get("x-gzip", weight.get("*", 0.0))) > 0


@router.get("/page/{name}")
def file(request: Request, name: str, query: Annotated[parameters.Nothing, Query()]) -> Response:  # noqa: ARG001
    """One of the page's files."""
    if name not in _STATIC or name == "index.html":
        raise RequestRefused(404, "not-found", "the page has no such file")
    return _file(request, name, _read(name))


@cache
def _read(name: str) -> bytes:
    return _STATIC[name].read_bytes()


@cache
def _version_of_vega() -> str:
    """Told from what it is made of, for it takes a second to make."""
    made_of = version("vl-convert-python"), version("approval-ledger")
    return sha256(" ".join(made_of).encode()).hexdigest()[:16]


def _vega_at() -> str:
    return f"page/vega-{_version_of_vega()}.js"  # seen from the page, wherever a proxy puts that


def _vega() -> bytes:
    """The module, compressed; made once, whoever asks for it first."""
    with _making:
        return _made()


_making = Lock()


@cache
def _made() -> bytes:
    """In a process of its own, which takes 90 MB of memory with it when it ends, and lets the figures go first."""
    made = "import os, sys; os.nice(10); from approval_ledger import charts; sys.stdout.buffer.write(charts.javascript())"
    done = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", made],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # it may be interrupted with the server, and has nothing to say of that
        check=True,
    )
    return gzip.compress(done.stdout, mtime=0)


def prepare() -> None:
    """Makes what takes a second or more to make, before a reader waits for it."""
    if _can_draw():
        with suppress(subprocess.CalledProcessError, OSError):  # whoever asks for it hears of it
            _vega()


@cache
def _can_draw() -> bool:
    return find_spec("vl_convert") is not None


def _file(
    request: Request,
    name: str,
    content: bytes,
    varying: Mapping[str, str] | None = None,
    *,
    fixed: bool = False,
) -> Response:
    """`varying`: the headers of what is not the same for everybody. `fixed`: what is at this address never changes."""
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    keep = f"public, max-age={_YEAR}, immutable" if fixed else "no-cache"
    headers = {"ETag": tag, "Cache-Control": keep, "Content-Security-Policy": POLICY, **(varying or {})}
    if has(request, tag) or has_any(request):
        headers.pop("Content-Encoding", None)  # there is nothing in it that could be coded
        return Response(status_code=304, headers=headers)
    kind = _TYPES["." + name.rpartition(".")[2]]
    return Response(content, media_type=kind, headers=headers)
