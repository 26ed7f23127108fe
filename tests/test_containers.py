"""The container files: valid, durable, with nothing published and nobody root."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from events.durability import REQUIRED

ROOT = Path(__file__).parents[1]


COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")


def test_docker_compose_takes_the_file() -> None:
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not installed: docker-compose.yml is not checked")
    done = subprocess.run([command, "config", "-q"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_server_keeps_what_it_acknowledges() -> None:
    for setting, value in REQUIRED.items():
        assert f"- --{setting} {value}\n" in COMPOSE
    assert "- ledger:/data\n" in COMPOSE
    assert "healthcheck:" in COMPOSE


def test_http_alone_is_published_and_to_this_machine_alone() -> None:
    assert COMPOSE.count("ports:") == 1
    assert re.findall(r'^ +- "(.*:\d+)"$', COMPOSE, re.MULTILINE) == ["127.0.0.1:8765:8765"]


def test_the_image_runs_as_a_user_that_is_not_root_with_dependencies_checked_by_hash() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")
    installs = [line for line in lines if "pip install" in line and "/wheel" not in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)


def test_every_file_that_the_image_copies_is_there() -> None:
    copied = [
        word
        for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert len(copied) > 5
    assert [name for name in copied if not (ROOT / name).exists()] == []
