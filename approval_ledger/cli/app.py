"""The command's parts put together, and its exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted by Ctrl-C, 143
stopped by SIGTERM."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from events import LedgerError

from . import show
from .interrupts import leaving_when_interrupted

MODULES = {
    "publish": "publish",
    "import": "import_",
    **dict.fromkeys(("events", "totals", "batches", "companies", "shares", "sources"), "read"),
    "diff": "diff",
    "export": "export",
    "chart": "chart",
    "cite": "cite",
    **dict.fromkeys(("replay", "status", "work", "up"), "operate"),
    "serve": "serve",
    "demo": "demo",
    "park": "operate",
    "token": "token",
    "webhook": "webhook",
}
"""The module that adds each command, in the order of --help."""


class _Commands(Mapping[str, Any]):
    """The commands by name. A module is imported when a command of it is asked for: all together take longer than most commands."""

    def __getitem__(self, name: str) -> Any:
        return _commands_of(MODULES[name])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


@cache
def _commands_of(module: str) -> Mapping[str, Any]:
    part = typer.Typer()
    with leaving_when_interrupted():
        import_module(f".{module}", __package__).add_to(part)
    return get_group(part).commands


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"commands": _Commands()})

    def invoke(self, ctx: Any) -> Any:  # typer's own type of it is private
        """As in TyperGroup, without the first words that typer passes on from pydantic for an invalid choice, which say nothing."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


def _show_version(wanted: bool) -> None:
    if wanted:
        show.plain(f"approval-ledger {version('approval-ledger')}")
        raise typer.Exit


app = typer.Typer(
    name="approvals",
    cls=_Group,
    help="A ledger of AI model approvals: figures as bounds, with their evidence, that anyone can replay.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    *,
    show_version: Annotated[  # the callback below has done it
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Runs the command. An error that was raised on purpose, or a full disk, is one line on standard error."""
    # As Ctrl-C does, so that the embedded server is stopped by its last user however that ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    show.prepare()
    try:
        app()
    except LedgerError as error:
        show.fail(error)
        sys.exit(1)
    except OSError as error:
        show.forget_output()
        show.complain(f"error: {error}")
        sys.exit(1)
