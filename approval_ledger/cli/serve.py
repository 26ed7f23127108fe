"""`approvals serve`: the HTTP API alone, and the options of HTTP that `approvals up` takes too."""

from __future__ import annotations

import re
import socket
from typing import Annotated

import typer

from events import BadQuestion, Log

from .. import tokens
from ..api.settings import DEFAULT_HOST, DEFAULT_PORT, DEFAULT_RATE, NAME, Settings
from . import show
from .options import Data, Ledger, Url, open_ledger


def _as_address(value: str) -> str:
    if not value or set(value) & set("[]/"):
        raise typer.BadParameter(
            f"{value!r} is not an address: write 127.0.0.1, ::1, a name, or 0.0.0.0 for every address of this machine"
        )
    return value


def _as_names(values: list[str] | None) -> list[str] | None:
    for value in values or ():
        if re.fullmatch(NAME, value, re.ASCII | re.IGNORECASE) is None:
            raise typer.BadParameter(
                f"clients cannot call a server {value!r}: write a name or an address, without http:// and without a port, such as "
                "ledger.example.org, 192.0.2.7 or [2001:db8::7]"
            )
    return values


Host = Annotated[
    str,
    typer.Option(metavar="ADDRESS", help="The address that HTTP listens on.", callback=_as_address),
]
Port = Annotated[int, typer.Option(metavar="N", min=0, max=65_535, help="Its port; 0 picks a free one.")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A name by which clients may call this server (Host). May be repeated.",
        show_default=False,
        callback=_as_names,
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

Rate = Annotated[
    float,
    typer.Option(metavar="N", min=0, help="Requests a second that each client may make; 0 is no limit."),
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
    rate: Rate = DEFAULT_RATE,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
) -> None:
    """Serve the HTTP API in the foreground, without workers (`approvals work` and `approvals up` run some), until Ctrl-C."""
    from .. import telemetry
    from ..api import serving
    from ..reviving import kept_running

    telemetry.configure()
    with serving.leaving_threads(), open_ledger(url, data, ledger, make=True) as opened:
        opened.log.head()  # whoever starts this hears at once that nothing is there, and not the first reader
        settings = http_settings(opened.log, host, port, allow_host, public_reads, rate)
        with serving.bound(settings) as listening, kept_running(opened):
            show_address(settings, listening, opened.log)
            serving.serve(opened.url, settings, listening)


def http_settings(
    log: Log, host: str, port: int, allow_host: list[str] | None, public_reads: bool | None, rate: float
) -> Settings:
    """What the options say. Raises BadQuestion where others reach the server, and nobody could do anything there."""
    settings = Settings(log.ledger, host, port, public_reads, tuple(allow_host or ()), rate or None)
    if not settings.loopback and not settings.reads_are_public and not tokens.any_of(log):
        raise BadQuestion(
            f"other machines reach {' and '.join(settings.hosts or (host,))}, and ledger {log.ledger} has no token: make one with "
            "`approvals token create`, or let everybody read with --public-reads"
        )
    return settings


def show_address(settings: Settings, listening: socket.socket, log: Log) -> None:
    """Where the API and the page are, and who may use them."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    where = "this machine alone reaches it" if settings.loopback else "other machines reach it"
    reading = "no token" if settings.reads_are_public else "a token"
    appending = "none" if settings.loopback and not tokens.any_of(log) else "a token"
    port = listening.getsockname()[1]
    show.plain(
        f"http://{host}:{port}/ledgers/{settings.ledger}/status ({where}; reading needs {reading}, appending {appending})"
    )
    show.plain(f"the page: http://{host}:{port}/")
    if settings.is_nameless:
        show.plain(
            f"{host} is no address that clients can use: give each name or address that they do use with --allow-host NAME, or they "
            "are refused, except on this machine"
        )
