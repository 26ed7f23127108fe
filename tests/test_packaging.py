"""The wheel and the lock files: what is in them, and that a machine with nothing of the checkout can run what they install."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from .command import ROOT, data_directory, running
from .forks import clean_environment
from .long import only_long

PACKAGES = ("approval_ledger", "events", "projections", "workers")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = {path.name: path for path in sorted((ROOT / "requirements").glob("*.txt"))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without a network."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory],
        cwd=ROOT,
        env=clean_environment(),
        check=True,
        capture_output=True,
    )
    (built,) = directory.iterdir()
    return built


@pytest.fixture(scope="module")
def files(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def read(wheel: Path, ending: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(ending)]
        return archive.read(name).decode()


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    return Parser().parsestr(read(wheel, ".dist-info/METADATA"))


# What is in the wheel


def test_the_wheel_holds_the_five_packages_the_examples_and_nothing_else(
    wheel: Path, files: list[str]
) -> None:
    assert wheel.name == f"approval_ledger-{PROJECT['project']['version']}-py3-none-any.whl"
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    examples = {
        f"approval_ledger/{path.relative_to(ROOT)}"
        for path in (ROOT / "examples").rglob("*")
        if path.is_file()
    }
    held = {name for name in files if ".dist-info/" not in name}
    assert held == sources | examples
    assert {name.partition("/")[0] for name in held} == set(PACKAGES)
    code, page = {".py", ".lua", ".toml", ".typed"}, {".html", ".css", ".js", ".svg"}
    assert {Path(name).suffix for name in sources} == code | page
    assert {
        "events/functions/append.lua",
        "projections/functions/commit.lua",
        "projections/functions/switch.lua",
        "workers/webhooks/functions/settle.lua",
    } <= held
    assert "approval_ledger/examples/2024-01-news.ndjson" in held
    assert "approval_ledger/web/static/index.html" in held
    assert "approval_ledger/importing/mappings/cac-genai-filings.toml" in held


def test_the_metadata_names_the_command_the_licence_and_what_is_needed(
    wheel: Path, metadata: Message
) -> None:
    project = PROJECT["project"]
    assert (metadata["Name"], metadata["Version"]) == (project["name"], project["version"])
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata["License-Expression"] == "MIT"
    assert "MIT License" in read(wheel, ".dist-info/licenses/LICENSE")
    assert metadata.get_payload() == (ROOT / project["readme"]).read_text("utf-8")
    listed = metadata.get_all("Requires-Dist", [])
    optional = {name_of(line) for line in listed if "extra ==" in line}
    extras = project["optional-dependencies"]
    assert optional == {name_of(line) for extra in extras.values() for line in extra}
    needed = {name_of(line) for line in listed if "extra ==" not in line}
    assert needed == {name_of(line) for line in project["dependencies"]}
    entry_points = ConfigParser()
    entry_points.read_string(read(wheel, ".dist-info/entry_points.txt"))
    assert dict(entry_points["console_scripts"]) == {"approvals": "approval_ledger.cli:main"}


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


# Installed


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that has the wheel; what it depends on is that of this environment."""
    directory = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(directory, symlinks=True)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        directory / "bin" / "python",
        "--disable-pip-version-check",
    ]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", wheel],
        env=clean_environment(),
        check=True,
        capture_output=True,
    )
    paths = sysconfig.get_paths(vars={"base": str(directory), "platbase": str(directory)})
    # Last on the path, and without the .pth file that shows our environment this checkout: those of a directory that is
    # named in a .pth file are not read.
    (Path(paths["purelib"]) / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", "utf-8")
    return directory / "bin"


@only_long
def test_the_installed_command_needs_nothing_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in clean_environment().items() if name != "APPROVALS_URL"}

    def run(*words: str | Path) -> str:
        ran = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, ""), ran
        return ran.stdout

    found = run(
        installed / "python",
        "-c",
        f"import json, sys, {', '.join(PACKAGES)}\n"
        f"print(json.dumps([sys.path, [module.__file__ for module in ({', '.join(PACKAGES)},)]]))",
    )
    path, modules = json.loads(found)
    assert str(ROOT) not in path
    assert all(Path(module).is_relative_to(installed.parent) for module in modules)
    assert "Usage: approvals" in run(installed / "approvals", "--help")
    with data_directory(tmp_path / "approvals-data") as data:
        demo = json.loads(run(installed / "approvals", "demo", "--json"))
        assert [ledger["events"] for ledger in demo["ledgers"]] == [138, 17, 17, 104]
        assert all(conclusion["reached"] for conclusion in demo["conclusions"])
        assert list(tmp_path.iterdir()) == [data]
        assert not running(data)


def test_another_distribution_s_package_of_the_same_name_is_named_as_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "__init__.py").write_text("class Events: ...\n", "utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", "from approval_ledger.cli import main; main()"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(
        "ImportError: the package `events` here is not approval-ledger's: another distribution (PyPI's `Events`"
    )


# The lock files


def pins(path: Path) -> dict[str, str]:
    """Each requirement of a lock file: its name, and the rest of its line without comments."""
    text = re.sub(r"\\\n", " ", path.read_text("utf-8"))
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()]
    return {name_of(line): " ".join(line.split()) for line in lines if line}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_by_hash_and_no_file_names_where_it_is_from(name: str) -> None:
    text = LOCKS[name].read_text("utf-8")
    for line in pins(LOCKS[name]).values():
        assert re.fullmatch(
            r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+( ; [^@#]+?)?( --hash=sha256:[0-9a-f]{64})+", line
        ), line
    assert not re.search(
        r"://|^\s*-|@|\b(index|find-links|trusted-host)\b", text.replace("    --hash", ""), re.MULTILINE
    )


def test_the_lock_files_agree_and_cover_what_the_project_declares() -> None:
    assert set(LOCKS) == {"bench.txt", "build.txt", "dev.txt", "run.txt"}
    run, dev, build = (pins(LOCKS[name]) for name in ("run.txt", "dev.txt", "build.txt"))
    assert {name_of(line) for line in PROJECT["project"]["dependencies"]} <= set(run)
    assert {name_of(line) for line in PROJECT["dependency-groups"]["dev"]} <= set(dev)
    extras = PROJECT["project"]["optional-dependencies"]
    charts = {name_of(line) for line in extras["charts"]}
    others = {name_of(line) for extra, lines in extras.items() if extra != "charts" for line in lines}
    assert charts | others <= set(dev)
    assert not others & set(run)
    assert charts <= set(run)  # the image serves the page, which draws with it
    assert {name_of(line) for line in PROJECT["build-system"]["requires"]} <= set(build)
    for smaller in (run, build):
        version = {name: line.split()[0] for name, line in smaller.items()}
        assert version.items() <= {name: line.split()[0] for name, line in dev.items()}.items()
