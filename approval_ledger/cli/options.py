"""The options that every command takes, and how a command gets at its ledger."""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Literal

import typer

from projections import Asked

from ..config import Config, Opened, opened


def as_utf8(value: str | None) -> str | None:
    """Refuses an argument that is not UTF-8: no text in a ledger is like that, and no answer can hold it."""
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(f"{value!r} is not UTF-8") from None
    return value


ProjectionName = Literal["totals", "batches", "companies", "shares", "sources"]
Projection = Annotated[
    ProjectionName,
    typer.Argument(metavar="PROJECTION", help="totals, batches, companies, shares or sources."),
]
Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The server: redis://, rediss:// or unix://. Else APPROVALS_URL, else REDIS_URL, else the embedded server.",
        show_default=False,
    ),
]


def _directory(value: str) -> Path:
    """Refuses an empty name, such as that of a variable that is not set: as a path it would be the working directory."""
    if not value:
        raise typer.BadParameter("it is empty: name a directory")
    return Path(value)


Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        parser=_directory,
        help="The embedded server's directory; selects that server whatever the environment says. \\[default: approvals-data]",
        show_default=False,
    ),
]
Ledger = Annotated[
    str | None, typer.Option(metavar="NAME", help="The ledger. \\[default: cac]", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
AtLeast = Annotated[
    int,
    typer.Option(metavar="N", min=0, help="Answer as of position N or later, or fail.", show_default=False),
]

ValidAt = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="The day, month or year that is asked about. \\[default: the last day that the ledger speaks of]",
        show_default=False,
    ),
]
KnownAt = Annotated[
    str | None,
    typer.Option(
        metavar="N|TIME",
        help="What was known at position N, at an instant (2024-02-01T08:00:00Z), or by the end of a day or a month.",
        show_default=False,
    ),
]
KnownAs = Annotated[
    Literal["recorded", "published"],
    typer.Option(help="Known when the ledger recorded it, or when its source published it."),
]
WholeEvidence = Annotated[
    bool,
    typer.Option("--whole-evidence", help="List every event of the evidence, not just some and a count."),
]


def open_ledger(
    url: str | None, data: Path | None, ledger: str | None, *, make: bool = False
) -> AbstractContextManager[Opened]:
    """The ledger that the options and the environment name; see `opened`."""
    return opened(config_of(url, data, ledger), make=make)


def config_of(url: str | None, data: Path | None, ledger: str | None) -> Config:
    """Where that ledger is."""
    if url is not None and data is not None:
        raise typer.BadParameter("--url and --data exclude each other")
    return Config.read(os.environ, url=url, data=data, ledger=ledger)


def position(text: str) -> int | None:
    """The position that a text of digits alone stands for; None for any other text."""
    return int(text) if re.fullmatch(r"\d{1,16}", text, re.ASCII) else None


def asked_as_of(
    valid_at: str | None, known_at: str | None, known_as: Literal["recorded", "published"], at_least: int
) -> Asked:
    """The two axes, as the options give them."""
    # Digits alone are a position, but a year where it is publication that counts: positions have nothing to do with it.
    recorded_at = position(known_at) if known_at is not None and known_as == "recorded" else None
    return {
        "valid_at": valid_at,
        "known_at": known_at if recorded_at is None else recorded_at,
        "known_as": known_as,
        "at_least": at_least,
    }
