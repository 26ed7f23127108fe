"""A PostgreSQL server that runs for the length of a block, if PostgreSQL is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotInstalled(Exception):
    """There is no PostgreSQL on this machine."""


@contextmanager
def postgresql() -> Iterator[str]:
    """Yields how to connect to it. Raises NotInstalled."""
    if not (shutil.which("initdb") and shutil.which("postgres")):
        raise NotInstalled("neither `initdb` nor `postgres` is on this machine")
    with tempfile.TemporaryDirectory() as directory:
        user = _not_root(directory)
        data = str(Path(directory) / "data")
        made = ["initdb", "-D", data, "-U", "peer", "-A", "trust", "--no-locale", "-E", "UTF8"]
        subprocess.run(made, user=user, cwd=directory, check=True, capture_output=True)
        server = subprocess.Popen(
            ["postgres", "-D", data, "-k", directory, "-c", "listen_addresses="],
            user=user,
            cwd=directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(Path(directory) / ".s.PGSQL.5432")
            yield f"host={directory} user=peer dbname=postgres"
        finally:
            server.terminate()
            server.wait()


def _not_root(directory: str) -> str | None:
    """PostgreSQL refuses to run as root: for root, the directory is given to the user `postgres`, if there is one."""
    if os.geteuid() != 0:
        return None
    try:
        shutil.chown(directory, "postgres")
    except LookupError:
        raise NotInstalled("it does not run as root, and there is no user `postgres`") from None
    return "postgres"


def _wait(socket: Path) -> None:
    until = time.monotonic() + 30
    while not socket.exists():
        if time.monotonic() > until:
            raise NotInstalled("it did not start")
        time.sleep(0.05)
    time.sleep(0.5)  # the socket exists shortly before the server answers
