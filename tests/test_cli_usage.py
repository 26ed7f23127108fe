"""Wrong usage is exit code 2: the words are on standard error, nothing is on standard output, and nothing is stored."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from typer.testing import CliRunner

from approval_ledger.cli.app import app
from events import parse

from .command import SECRET, Ledger, Words, approvals, data_directory, event, lines, text, together, written
from .given import EXAMPLES, stored
from .long import only_long
from .receiver import Receiver
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


def test_a_choice_that_is_none_is_wrong_usage_in_our_words(ledger: Ledger) -> None:
    choices = "'totals', 'batches', 'companies', 'shares', 'sources'"
    complains(
        ledger,
        {
            ("export", "nothing"): f"Invalid value for 'PROJECTION': 'nothing' is not one of {choices}",
            ("totals", "--known-as", "nothing"): "Invalid value for '--known-as': 'nothing' is not one of",
        },
    )


def test_given_an_option_that_does_nothing_without_another_or_beside_it_when_it_is_given_then_that_is_wrong_usage(
    ledger: Ledger, tmp_path: Path
) -> None:
    file = EXAMPLES / "lists" / "cac-2024-04-filed.csv"
    explained = "--explain goes with neither --skip-bad nor --proposals"
    complains(
        ledger,
        {
            ("import", file, "--actor", "me"): "--actor goes with --proposals",
            ("import", file, "--actor", ""): "--actor goes with --proposals",
            ("import", file, "--explain", "--skip-bad"): explained,
            ("import", file, "--explain", "--proposals", tmp_path / "p", "--actor", "me"): explained,
            ("companies", "--actor", "me"): "--actor goes with --suspects --json",
            ("companies", "--suspects", "--actor", "me"): "--actor goes with --suspects --json",
            ("export", "totals", "--force"): "--force goes with -o FILE",
            ("export", "totals", "-o", "-", "--force"): "--force goes with -o FILE",
            ("chart", "totals", "-o", tmp_path / "t.svg", "--scale", "2"): "--scale goes with -o FILE.png",
            ("chart", "totals", "-o", tmp_path / "t.json", "--scale", "3"): "--scale goes with -o FILE.png",
        },
    )
    assert list(tmp_path.iterdir()) == []


@only_long
def test_a_name_by_which_no_client_can_call_a_server_is_wrong_usage(ledger: Ledger) -> None:
    complains(
        ledger,
        {
            ("serve", "--allow-host", "https://ledger.example.org/"): "without http://",
            ("serve", "--allow-host", "ledger.example.org:8765"): "without a port",
            (
                "up",
                "--allow-host",
                "ledger.example.org",
                "--allow-host",
                "*",
            ): "clients cannot call a server '*'",
            ("up", "--allow-host", ""): "clients cannot call a server ''",
            ("serve", "--allow-host", "2001:db8::7"): "[2001:db8::7]",
            ("serve", "--host", ""): "'' is not an address",
            ("up", "--host", "[::1]"): "'[::1]' is not an address",
        },
    )


def test_a_file_that_may_not_be_read_is_no_wrong_usage(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_ = Path.open

    def refuse(path: Path, *how: Any, **further: Any) -> Any:
        if path == file:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_(path, *how, **further)

    # As it is for whoever is not root.
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(Path, "open", refuse)
    ran = CliRunner().invoke(app, ["import", str(file), "--explain"])
    assert ran.exit_code == 1
    assert "cannot be read: Permission denied" in ran.output


def test_wrong_usage_is_found_before_a_data_directory_is_made(tmp_path: Path, file: Path) -> None:
    commands: list[Words] = [
        ("publish", file, "--force"),
        ("totals", "--at-least", "-1"),
        ("up", "--workers", "0"),
        ("token", "create", "--scope", "write"),
    ]
    with data_directory(tmp_path / "approvals-data"):
        ended = together(*commands, code=2, cwd=tmp_path, APPROVALS_URL="")
        assert {ran.out for ran in ended} == {""}
        assert list(tmp_path.iterdir()) == [file]


def test_the_version_is_that_of_the_package() -> None:
    assert approvals("--version").out == f"approval-ledger {version('approval-ledger')}\n"


# Arguments whose bytes are no UTF-8


NO_TEXT = "\udcff"  # as Python has the byte FF of a command line


def test_a_text_that_is_not_utf_8_is_wrong_usage_of_every_command_that_takes_one(ledger: Ledger) -> None:
    texts: list[tuple[str | Path, ...]] = [
        ("companies", NO_TEXT),
        ("companies", "--suspects", "--actor", NO_TEXT, "--json"),
        ("totals", "--authority", NO_TEXT),
        ("totals", "--instrument", NO_TEXT),
        ("totals", "--unit", f"a{NO_TEXT}"),
        ("shares", "--approvals", f"a/b/{NO_TEXT}", "--stock", "a/b"),
        ("shares", "--approvals", "a/b/c", "--stock", f"a/{NO_TEXT}"),
        ("events", "--subject", NO_TEXT),
        ("cite", "companies", NO_TEXT),
        ("cite", "totals", "--unit", NO_TEXT),
        ("cite", "shares", "--region", NO_TEXT),
        ("cite", "--check", NO_TEXT),
        *(
            ("import", "list.csv", option, NO_TEXT)
            for option in ("--publisher", "--source-url", "--title", "--actor")
        ),
    ]
    complains(ledger, dict.fromkeys(texts, r"\udcff' is not UTF-8"))
    complains(
        ledger,
        {
            ("cite", NO_TEXT): "give a projection, one of",
            ("export", NO_TEXT): r"'\udcff' is not one of",
            ("diff", NO_TEXT, "--from", "0"): r"'\udcff' is not one of",
            ("totals", "--known-as", NO_TEXT): r"'\udcff' is not one of",
            ("park", "list", NO_TEXT): r"\udcff: no such projection",
            ("park", "retry", NO_TEXT): r"\udcff: no such projection",
            ("replay", NO_TEXT): r"\udcff: no such projection",
            ("park", "show", NO_TEXT): "Invalid value for 'POSITION'",
            ("diff", "totals", "--from", ""): "--from takes a position, or a file with an answer",
            (NO_TEXT,): r"No such command '\udcff'",
        },
    )


def test_what_is_not_utf_8_and_names_nothing_here_is_refused_in_a_line(
    ledger: Ledger, tmp_path: Path
) -> None:
    wrong: dict[tuple[str | Path, ...], str] = {
        ("publish", tmp_path / NO_TEXT): r"\udcff: No such file or directory",
        ("diff", "totals", "--from", tmp_path / NO_TEXT): r"\udcff: No such file or directory",
        ("diff", "totals", "--from", "0", "--valid-at", NO_TEXT): "valid_at is a date",
        ("totals", "--known-at", NO_TEXT): "known_at is a position",
        ("cite", "totals", "--valid-at", NO_TEXT): "valid_at is a date",
        ("import", tmp_path / NO_TEXT, "--mapping", NO_TEXT): r"\udcff: is neither a built-in mapping",
    }
    for ran, words in zip(ledger.together(*wrong, code=1), wrong.values(), strict=True):
        assert words in ran.complaint
        assert ran.err.count("\n") == 1
    unread = ledger.run("import", tmp_path / NO_TEXT, code=1)
    assert "cannot be read: No such file or directory" in unread.err
    elsewhere = together(
        ("totals", "--ledger", NO_TEXT, "--url", ledger.server.url),
        ("totals", "--data", tmp_path / NO_TEXT),
        ("totals", "--url", f"redis://{NO_TEXT}"),
        ("totals", "--url", f"redis://u:{NO_TEXT}@127.0.0.1:1"),
        code=1,
    )
    assert [ran.err.count("\n") for ran in elsewhere] == [1] * 4
    assert [ran.err for ran in elsewhere[2:]] == ["bad-question: the server's URL is not UTF-8\n"] * 2


def test_a_file_whose_name_is_not_utf_8_is_published_and_imported(ledger: Ledger, tmp_path: Path) -> None:
    events = written(tmp_path / f"{NO_TEXT}.ndjson", lines(event("named by bytes")))
    rows = written(tmp_path / f"{NO_TEXT}.csv", (EXAMPLES / "lists" / "cac-2024-04-filed.csv").read_bytes())
    ledger.run("publish", events)
    ran = ledger.run("import", rows, "--dry-run", "--json")
    assert len(ran.document["events"]) > 100


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_given_a_file_of_certificates_that_is_not_there_when_the_url_names_it_then_it_is_named(
    option: str, tmp_path: Path
) -> None:
    ran = approvals("totals", "--url", f"rediss://:{SECRET}@127.0.0.1:1/0?{option}={tmp_path}/ca.pem", code=1)
    assert f"{option} cannot be read: [Errno 2] No such file or directory: '{tmp_path}/ca.pem'" in ran.err
    assert (ran.err.count("\n"), SECRET in ran.err) == (1, False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("ssl_ca_certs={file}", "ssl_ca_certs: holds no certificate in PEM"),
        ("ssl_certfile={file}", "ssl_certfile: holds no certificate in PEM, or no key"),
        (
            "ssl_certfile={file}&ssl_keyfile={file}",
            "ssl_certfile and ssl_keyfile: holds no certificate in PEM, or no key",
        ),
        ("ssl_keyfile={file}", "ssl_keyfile is the key of a certificate: name that with ssl_certfile"),
    ],
)
def test_given_a_file_without_certificates_when_the_url_names_it_then_it_is_named_and_no_server_is_asked_for(
    options: str, says: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "garbage.pem", b"garbage")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"rediss://:{SECRET}@127.0.0.1:{server.getsockname()[1]}/0"
        ran = approvals("totals", "--url", f"{address}?{options.format(file=file)}", code=1)
    assert ran.err.startswith("bad-question: ")
    assert says in ran.err
    assert (ran.err.count("\n"), SECRET in ran.err) == (1, False)


@pytest.mark.parametrize("password", ["", f"&ssl_password=not-{SECRET}"])
def test_given_a_key_under_a_password_when_the_url_has_not_that_one_then_it_is_told_and_nobody_is_asked(
    password: str, tmp_path: Path
) -> None:
    made = trustme.CA().issue_cert("client")
    plain = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
    key = plain.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(SECRET.encode()),
    )
    files = written(tmp_path / "c.pem", made.cert_chain_pems[0].bytes()), written(tmp_path / "k.pem", key)
    url = "rediss://127.0.0.1:1/0?ssl_certfile={}&ssl_keyfile={}".format(*files)
    ran = approvals("totals", "--url", url + password, code=1)
    assert ran.err.startswith("bad-question: ")
    assert "no key that fits it and ssl_password" in ran.err
    assert (ran.err.count("\n"), SECRET in ran.err) == (1, False)


def test_given_a_server_that_breaks_the_connection_off_when_the_url_asks_for_no_tls_then_that_is_thought_of() -> (
    None
):
    def refuse(server: socket.socket) -> None:
        client, _ = server.accept()
        client.recv(1)  # with the rest unread, closing is a reset
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        pool.submit(refuse, server)
        ran = approvals("events", "--url", f"redis://127.0.0.1:{server.getsockname()[1]}/0", code=1)
    assert "reset by peer" in ran.err
    assert "it may take TLS alone (rediss://)" in ran.err


def test_given_a_certificate_of_a_private_authority_when_the_url_names_none_then_it_is_told_how_to() -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Receiver(context) as server:
        ran = approvals("totals", "--url", f"rediss://:{SECRET}@localhost:{server.port}/0", code=1)
    assert "CERTIFICATE_VERIFY_FAILED" in ran.err
    assert "ssl_ca_certs=FILE" in ran.err
    assert "Is it running?" not in ran.err


def test_given_an_empty_name_when_a_directory_is_asked_for_then_it_is_not_the_working_directory() -> None:
    ran = approvals("publish", EXAMPLES / "names.ndjson", "--data", "", code=2)
    assert "it is empty: name a directory" in ran.complaint


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_can_be_none_is_refused_in_a_line(host: str) -> None:
    ran = approvals("totals", "--url", f"redis://user:{SECRET}@{host}/0", code=1)
    assert ran.err.startswith("bad-question: 'redis://user:***@")
    assert "has a host or an option that is not valid" in ran.err
    assert ran.err.count("\n") == 1
