"""The README's examples run as they are written."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from events import Event, Log, parse
from events.catalog import CATALOG
from projections import queries

from .command import APPROVALS, ROOT, Running, data_directory, together
from .given import HISTORY, url_of
from .long import only_long

README = (ROOT / "README.md").read_text("utf-8")
FORMAT = (ROOT / "docs" / "format.md").read_text("utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("before", [[], HISTORY], ids=["in an empty ledger", "after the history"])
def test_the_python_examples_run_as_written_and_in_order(
    log: Log, before: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    if before:
        log.append(before)
    monkeypatch.setenv("APPROVALS_URL", url_of(log))
    namespace = executed([block.replace('"cac"', repr(log.ledger)) for block in blocks("python")])
    assert namespace["receipt"].position == namespace["rebuilt"].position == len(before) + 1
    assert namespace["rebuilt"].differs is False
    assert namespace["by_type"] == Counter(event.type for event in before) + Counter(["total.reported.v1"])
    if not before:
        assert namespace["answer"]["answers"][0]["total"] == {"low": 41, "high": None}


def executed(examples: list[str]) -> dict[str, Any]:
    assert len(examples) == 3
    namespace: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, "README.md", "exec"), namespace)
    return namespace


def run(line: str, log: Log) -> None:
    words = (*shlex.split(line, comments=True)[1:], "--ledger", log.ledger)
    (ran,) = together(words, cwd=ROOT, APPROVALS_URL=url_of(log))
    assert ran.out, line


@only_long
def test_the_commands_run_as_written_and_what_they_publish_or_import_is_stored_once(log: Log) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("approvals ")]
    assert len(lines) >= 9
    for line in lines:
        run(line, log)
    head = log.head()
    again = [line for line in lines if re.match("approvals (publish|import) ", line)]
    assert len(again) >= 4
    for line in again:
        run(line, log)
    assert log.head() == head


@only_long
def test_a_reader_who_runs_every_line_in_order_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first `approvals` to the last `curl`, on the default directory and ledger; then those of docs/http.md."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    with data_directory(tmp_path / "approvals-data"), ExitStack() as until_the_end:
        server = page = ""
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```", README + http, re.MULTILINE | re.DOTALL):
            for line in block.splitlines() if language == "sh" else []:
                words = shlex.split(line, comments=True)
                if words[:2] == ["make", "up"]:
                    options = shlex.split(words[2].removeprefix("UP="))
                    assert line.endswith(f"# or: approvals up {shlex.join(options)}")
                    up = Running("up", *options, "--port", "0", cwd=tmp_path, APPROVALS_URL="")
                    until_the_end.enter_context(up)
                    until_the_end.callback(up.end)
                    until_the_end.callback(up.interrupt)
                    server, page = addresses(up)
                elif words[0] == "approvals":
                    together(words[1:], cwd=tmp_path, APPROVALS_URL="")
                elif "curl" in words:
                    shell(line.replace("http://127.0.0.1:8765", page), tmp_path)
                else:
                    assert words[:2] in (["make", "demo"], ["make", "test"]), line
            if language == "python" and "import os" in block:
                monkeypatch.setenv("APPROVALS_URL", server)
                executed(blocks("python"))


def addresses(up: Running) -> tuple[str, str]:
    """Those of the server and of the page, as they are printed."""
    _, server, page = (up.line() for _ in range(3))
    assert page, up.end()
    return server.rpartition("--url ")[2], page.partition("/ledgers/")[0]


def shell(line: str, cwd: Path) -> None:
    done = subprocess.run(line, shell=True, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (line, done)
    assert done.stdout, line


def test_every_command_and_option_that_exists_is_in_the_readme_or_in_its_help() -> None:
    listed = subprocess.run([APPROVALS, "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^[│ ]*([a-z]+)  +[A-Z]", listed, re.MULTILINE)
    assert {"publish", "events", "totals", "replay", "status", "work", "up", "park", "demo"} <= set(commands)
    for command in commands:
        assert f"approvals {command}" in README or f"make {command}" in README, command


def test_every_type_of_event_is_documented_with_what_its_data_has_to_have_and_may_have() -> None:
    listed = re.findall(r"^\| `([a-z]+\.[a-z]+\.v1)` \| (.+?) \| .+ \|$", FORMAT, re.MULTILINE)
    assert [of for of, _ in listed] == list(CATALOG)
    for of, members in listed:
        fields = {
            field.serialization_alias or name: field for name, field in CATALOG[of].model_fields.items()
        }
        told = {name: not optional for name, optional in re.findall(r"`(\w+)`(\?)?", members)}
        assert told == {name: field.is_required() for name, field in fields.items()}, of


def test_the_corrections_that_are_documented_correct_what_they_say_and_leave_the_past_as_it_was(
    log: Log,
) -> None:
    (example,) = blocks("ndjson", FORMAT)
    log.append([parse(line) for line in example.splitlines()])
    assert queries.totals(log, at_least=5)["answers"][0]["total"] == {"low": 41, "high": 41}
    assert queries.totals(log, known_at=1)["answers"][0]["total"] == {"low": 410, "high": 410}


@only_long
def test_the_unit_for_systemd_runs_a_command_with_options_that_there_are() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (words,) = re.findall(r"^ExecStart=/\S+/approvals (.*)$", operations, re.MULTILINE)
    asked = subprocess.run([APPROVALS, *words.split(), "--help"], capture_output=True, check=False)
    assert asked.returncode == 0, asked


def test_every_error_code_is_documented() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    sources = "".join(
        path.read_text("utf-8")
        for folder in ("events", "projections", "workers", "approval_ledger")
        for path in (ROOT / folder).rglob("*.py")
    )
    codes = set(re.findall(r'\bcode = "([a-z-]+)"', sources)) | set(
        re.findall(r'(?:Fault|_fail)\(\s*"([a-z-]+)"', sources)
    )
    codes |= set(re.findall(r'PydanticCustomError\(\s*"([a-z-]+)"', sources))
    codes -= {"error", "refused"}  # of classes that are only caught
    assert len(codes) > 20
    assert {code for code in codes if f"`{code}`" not in operations} == set()


def test_every_log_line_is_documented() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    sources = "".join(
        path.read_text("utf-8")
        for part in ("workers", "approval_ledger")
        for path in (ROOT / part).glob("*.py")
    )
    lines = set(re.findall(r'logger\.(?:info|warning|error|exception)\(\s*"([a-z_]+)"', sources))
    assert len(lines) > 4
    assert {line for line in lines if f"`{line}`" not in operations} == set()


def test_every_key_is_in_the_legend_of_the_storage_page() -> None:
    storage = (ROOT / "docs" / "storage.md").read_text("utf-8")
    legend = (ROOT / "events" / "keys.py").read_text("utf-8")
    patterns = set(re.findall(r"^(\{name\}:\S+)", legend, re.MULTILINE))
    assert len(patterns) > 6
    assert {
        pattern.split("<sha")[0] for pattern in patterns if pattern.split("<sha")[0] not in storage
    } == set()


def test_every_metric_and_every_line_of_http_is_in_its_page() -> None:
    page = (ROOT / "docs" / "http.md").read_text("utf-8")
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "approval_ledger" / "api").glob("*.py"))
    metrics = set(re.findall(r'"(approvals_[a-z_]+)"', sources))
    lines = set(re.findall(r'logger\.(?:info|warning|error|exception)\(\s*"([a-z_]+)"', sources))
    codes = set(re.findall(r'(?:RequestRefused|written)\(\s*(?:request, )?\d{3},\s*"([a-z-]+)"', sources))
    assert (len(metrics), len(lines), len(codes)) >= (10, 5, 10)
    assert {name for name in metrics | lines | codes if f"`{name}" not in page} == set()
