"""How a command starts: it imports what it needs, and no more, and a Ctrl-C meanwhile ends it without a word."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.main import get_group

from approval_ledger.cli.app import MODULES
from events import valid_events
from workers import run_here

from .command import APPROVALS, Ledger, Ran
from .forks import clean_environment
from .given import NEWS
from .long import some
from .servers import Server

# Each takes longer to import than a reader takes to answer.
LARGE = {"arro3", "docx", "fastapi", "openpyxl", "rapidfuzz", "rq", "structlog", "uvicorn", "vl_convert"}


@pytest.fixture
def ledger(server: Server) -> Ledger:
    """The news of January 2024, with every projection caught up."""
    ledger = Ledger(server)
    ledger.log.append(valid_events(NEWS.read_bytes()))
    run_here(ledger.log.client, ledger.name)
    return ledger


def imported(words: Sequence[str]) -> list[str]:
    """The modules that are there when a command has ended."""
    script = """
import sys
from approval_ledger.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end
print(*sys.modules)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    return ran.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    "words",
    some(
        [
            ("totals",),
            ("events",),
            ("companies", "Baidu"),
            ("cite", "totals"),
            ("diff", "totals", "--from", "6"),
        ],
        every=2,
    ),
)
def test_given_a_projected_ledger_when_it_is_read_then_no_other_command_and_no_large_library_is_imported(
    ledger: Ledger, words: tuple[str, ...]
) -> None:
    found = imported((*words, *ledger.where))
    assert LARGE.isdisjoint(name.partition(".")[0] for name in found)
    commands = {f"approval_ledger.cli.{module}" for module in MODULES.values()}
    assert commands.intersection(found) == {f"approval_ledger.cli.{MODULES[words[0]]}"}


@pytest.mark.parametrize("words", some([("token", "list"), ("webhook", "list"), ("park", "list")], every=2))
def test_given_a_ledger_when_somebody_looks_after_it_then_no_large_library_is_imported(
    ledger: Ledger, words: tuple[str, ...]
) -> None:
    assert LARGE.isdisjoint(name.partition(".")[0] for name in imported((*words, *ledger.where)))


@pytest.mark.parametrize("module", dict.fromkeys(MODULES.values()))
def test_given_a_module_when_its_commands_are_added_then_they_are_those_that_are_looked_for_in_it(
    module: str,
) -> None:
    part = typer.Typer()
    import_module(f"approval_ledger.cli.{module}").add_to(part)
    assert set(get_group(part).commands) == {name for name, its in MODULES.items() if its == module}


def test_given_the_command_when_a_process_that_it_spawned_imports_it_then_nothing_else_is_imported() -> None:
    script = "import sys; import approval_ledger.cli; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"typer", "events", "redis"} & set(ran.stdout.split())


# Ctrl-C meanwhile


@pytest.fixture
def interrupted_by(tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command that gets a SIGINT, as from a terminal, where it first imports a module."""

    def run(module: str, *words: str, ignored: bool = False) -> Ran:
        path = tmp_path / f"{module}.py"
        path.write_text(INTERRUPTING.format(module=module, here=str(tmp_path)), "utf-8")
        environment = clean_environment() | {"PYTHONPATH": str(tmp_path)}
        how = signal.SIG_IGN if ignored else signal.default_int_handler
        ran = subprocess.run(
            [APPROVALS, *words],
            capture_output=True,
            text=True,
            env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, how),
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run


# Stands for a module, sends the signal, and is then that module: whoever is deaf to the signal goes on.
INTERRUPTING = """
import os, signal, sys
os.kill(os.getpid(), signal.SIGINT)
sys.path.remove({here!r})
del sys.modules[{module!r}]
import {module}
"""


@pytest.mark.parametrize("module", some(["typer", "redis", "pydantic", "rich", "rapidfuzz", "rq"], every=2))
def test_given_a_command_that_imports_when_it_is_interrupted_then_it_leaves_without_a_word(
    ledger: Ledger, interrupted_by: Callable[..., Ran], module: str
) -> None:
    words = ("companies", "--suspects") if module == "rapidfuzz" else ("status",)
    assert interrupted_by(module, *words, *ledger.where) == Ran(128 + signal.SIGINT, "", "")


def test_given_a_script_that_runs_it_in_the_background_when_that_is_interrupted_then_it_goes_on(
    ledger: Ledger, interrupted_by: Callable[..., Ran]
) -> None:
    ran = interrupted_by("typer", "totals", "--json", *ledger.where, ignored=True)
    assert (ran.code, ran.err) == (0, "")
    assert ran.document["position"] == 17
