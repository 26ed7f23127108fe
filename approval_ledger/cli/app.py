"""The command's parts put together, and its way out: 0 done, 1 refused or failed, 2 wrong usage."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from events import LedgerError

from . import chart, cite, demo, diff, export, import_, operate, publish, read, serve, show, token, webhook


def _show_version(wanted: bool) -> None:
    if wanted:
        show.plain(f"approval-ledger {version('approval-ledger')}")
        raise typer.Exit


app = typer.Typer(
    name="approvals",
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


for part in (publish, import_, read, diff, export, chart, cite, operate, serve, token, webhook, demo):
    part.add_to(app)


def main() -> None:
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


if __name__ == "__main__":
    main()
