"""Wrong usage is exit code 2: the words are on standard error, nothing is on standard output, and nothing is stored."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from events import parse

from .command import Ledger, approvals, data_directory, event, lines, text, together, written
from .given import stored
from .servers import Server


@pytest.fixture
def ledger(server: Server) -> Ledger:
    """Of one event, which no projection has read: so a command that does anything stores something."""
    ledger = Ledger(server)
    ledger.log.append([parse(text(event("e1")))])
    return ledger


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two events that could be published."""
    return written(tmp_path / "events", lines(event("e2"), event("e3")))


def complains(ledger: Ledger, wrong: dict[tuple[str | Path, ...], str]) -> None:
    """Each of the commands is told what is wrong with it, and does nothing."""
    before = stored(ledger.log)
    for ran, words in zip(ledger.together(*wrong, code=2), wrong.values(), strict=True):
        assert words in ran.complaint
        assert ran.out == ""
    assert stored(ledger.log) == before


def test_an_argument_that_is_missing_or_one_too_many_is_wrong_usage(ledger: Ledger, file: Path) -> None:
    complains(
        ledger,
        {
            ("publish",): "Missing argument 'FILE|-'",
            ("park", "show"): "Missing argument 'POSITION'",
            ("publish", file, file): "unexpected extra argument",
            ("work", "--burst", "totals"): "unexpected extra argument",
        },
    )


def test_an_unknown_option_or_command_is_wrong_usage(ledger: Ledger, file: Path) -> None:
    complains(
        ledger,
        {
            ("publish", file, "--force"): "No such option: --force",
            ("work", "--burst", "--json"): "No such option: --json",
            ("total",): "No such command 'total'",
            ("park", "drop"): "No such command 'drop'",
            ("\x1b[31mpublish", file): r"No such command '\x1b[31mpublish'",
        },
    )


def test_a_number_that_is_out_of_range_or_none_is_wrong_usage(ledger: Ledger) -> None:
    complains(
        ledger,
        {
            ("events", "--after", "-1"): "Invalid value for '--after'",
            ("events", "--limit", "0"): "Invalid value for '--limit'",
            ("work", "--burst", "--workers", "0"): "Invalid value for '--workers'",
            ("totals", "--at-least", "-1"): "Invalid value for '--at-least'",
            ("park", "show", "0"): "Invalid value for 'POSITION'",
            ("park", "show", "一"): "Invalid value for 'POSITION'",
        },
    )


def test_wrong_usage_is_found_before_a_data_directory_is_made(tmp_path: Path, file: Path) -> None:
    commands = [("publish", file, "--force"), ("totals", "--at-least", "-1"), ("up", "--workers", "0")]
    with data_directory(tmp_path / "approvals-data"):
        ended = together(*commands, code=2, cwd=tmp_path, APPROVALS_URL="")
        assert {ran.out for ran in ended} == {""}
        assert list(tmp_path.iterdir()) == [file]


def test_the_version_is_that_of_the_package() -> None:
    assert approvals("--version").out == f"approval-ledger {version('approval-ledger')}\n"
