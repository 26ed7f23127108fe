"""`approvals serve`: the HTTP API alone, and the options of HTTP that `approvals up` takes too."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from events import Log, masked

from .. import telemetry
from ..api.settings import DEFAULT_HOST, DEFAULT_PORT, Settings
from . import show
from .options import Data, Ledger, Url, open_ledger

Host = Annotated[str, typer.Option(metavar="ADDRESS", help="The address that HTTP listens on.")]
Port = Annotated[int, typer.Option(metavar="N", min=0, max=65_535, help="Its port; 0 is any that is free.")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A name by which clients may call this server (Host). May be repeated.",
        show_default=False,
    ),
]
PublicReads = Annotated[
    bool | None,
    typer.Option(
        "--public-reads/--private-reads",
        help="Whether reading needs no token. \\[default: none is needed on a loopback address]",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(serve)


def serve(
    *,
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    allow_host: AllowHost = None,
    public_reads: PublicReads = None,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
) -> None:
    """Serve the HTTP API in the foreground, without workers (`approvals work` and `approvals up` run some), until Ctrl-C."""
    from ..api import serving

    telemetry.configure()
    with open_ledger(url, data, ledger) as opened:
        opened.log.head()  # whoever starts this hears at once that nothing is there, and not the first reader
        settings = http_settings(opened.log, host, port, allow_host, public_reads)
        with serving.bound(settings) as listening:
            show_address(settings, listening)
            serving.serve(opened.url, settings, listening, masked(opened.url))


def http_settings(
    log: Log, host: str, port: int, allow_host: list[str] | None, public_reads: bool | None
) -> Settings:
    """What the options say."""
    return Settings(log.ledger, host, port, public_reads, tuple(allow_host or ()))


def show_address(settings: Settings, listening: socket.socket) -> None:
    """Where the API is, and who may use it."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    who = "this machine alone reaches it" if settings.loopback else "other machines reach it"
    show.plain(f"http://{host}:{listening.getsockname()[1]}/ledgers/{settings.ledger} ({who})")
