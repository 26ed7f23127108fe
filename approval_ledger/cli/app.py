"""The command's parts put together, and its way out: 0 done, 1 refused or failed, 2 wrong usage."""

from __future__ import annotations

import os
import signal
import sys

import typer
from rich.console import Console
from rich.markup import escape

from events import LedgerError

from . import demo, operate, publish, read

app = typer.Typer(
    name="approvals",
    help="A ledger of AI model approvals: figures as bounds, with their evidence, that anyone can replay.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (publish, read, operate, demo):
    part.add_to(app)


def main() -> None:
    """Runs the command. An error that was raised on purpose is one line on standard error."""
    # As Ctrl-C does, so that the embedded server is stopped by its last user however that ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except LedgerError as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]{error.code}[/]: {escape(str(error))}", highlight=False
        )
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
