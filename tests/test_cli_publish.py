"""`approvals publish`: what becomes of each event of a file, in words, in JSON and in the exit code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from events import Log, canonical, parse, valid_events
from events.append_call import BATCH_LIMIT
from events.codec import EVENT_LIMIT

from .command import (
    APPROVALS,
    DANGEROUS,
    SOURCE,
    TERMS,
    TOTAL,
    Ledger,
    Running,
    event,
    lines,
    text,
    together,
    written,
)
from .conftest import new_ledger
from .forks import NOWHERE, clean_environment
from .long import only_long
from .proxy import Proxy
from .servers import Server
from .waiting import until

MERGER = {"from": "01-ai", "into": "01-ai", "on": "2024", "source": SOURCE}
SHARE = {
    "estimator": "CLSA",
    "region": "CN",
    "unit": "model",
    "share": {"percent": 101, "rounding": 1},
    "as_of": "2024",
    "source": SOURCE,
}


def grant(company: str, item: str = "Yi") -> dict[str, object]:
    """An event that `company` was granted an approval in."""
    data = TERMS | {
        "item": {"name": item},
        "company": {"name": company},
        "approved_on": "2024-01",
        "source": SOURCE,
    }
    return event(type="approval.granted.v1", data=data)


def count_of(literal: str) -> bytes:
    """The plain event with `literal` where the integer of its count stands."""
    return text(event()).replace(b'"value": 40', b'"value": ' + literal.encode())


@pytest.fixture
def ledger(server: Server) -> Ledger:
    return Ledger(server)


# What is taken


def test_an_object_an_array_lines_and_standard_input_are_published_alike(
    ledger: Ledger, tmp_path: Path
) -> None:
    first, second, third = event("urn:x:key:1"), event("零一 :cat: [bold]"), event("e3")
    as_lines = written(tmp_path / "lines", b"\r\n" + text(first) + b"\r\n\n" + text(second))
    as_object = written(tmp_path / "object.json", json.dumps(first, indent=2, sort_keys=True).encode())
    as_array = json.dumps([second, third], indent=2).encode()

    ran = ledger.run("publish", as_lines)
    assert ran.err == ""
    assert ran.out.splitlines() == [
        "line 2: appended at 1  urn:x:key:1",
        "line 4: appended at 2  零一 :cat: [bold]",
        "2 appended, 0 already there, 0 refused",
    ]
    in_words, in_json = together(
        ("publish", as_object, *ledger.where), ("publish", "-", "--json", *ledger.where), stdin=as_array
    )
    assert in_words.out == "line 1: already at 1  urn:x:key:1\n"
    assert in_json.err == ""
    assert in_json.document == {
        "ledger": ledger.name,
        "appended": 1,
        "already": 1,
        "refused": 0,
        "not-stored": 0,
        "events": [
            {
                "line": 2,
                "element": 1,
                "status": "already",
                "position": 2,
                "source": "urn:desk",
                "id": "零一 :cat: [bold]",
            },
            {"line": 21, "element": 2, "status": "appended", "position": 3, "source": "urn:desk", "id": "e3"},
        ],
    }
    assert in_json.out == canonical(in_json.document).decode() + "\n"
    assert ledger.log.head() == 3


# What is refused

BAD: dict[str, tuple[bytes, str]] = {
    "a trailing comma": (text(event())[:-1] + b",}", "invalid-json"),
    "something after it": (text(event()) + b"x", "invalid-json"),
    "half of it": (text(event())[:60], "invalid-json"),
    "half a surrogate pair, escaped": (text(event()).replace(b"e1", rb"\ud800"), "invalid-json"),
    "half a surrogate pair, in bytes": (text(event("\ud800")), "invalid-json"),
    "a key twice": (count_of('1, "value": 2'), "duplicate-key"),
    "a key twice, once escaped": (count_of(r'1, "v\u0061lue": 2'), "duplicate-key"),
    "a key twice, which is an escape sequence": (
        b'{"\\u001b[31m": 1, "\\u001b[31m": 2}',
        "duplicate-key",
    ),
    "NaN": (count_of("NaN"), "invalid-json"),
    "infinity": (count_of("-Infinity"), "invalid-json"),
    "a number that is too large": (count_of("1e400"), "out-of-range"),
    "a count past 2^53": (count_of("9007199254740992"), "out-of-range"),
    "a count as text": (count_of('"40"'), "validation"),
    "a count as truth": (count_of("true"), "validation"),
    "a count with a point": (count_of("1.0"), "validation"),
    "a count below nothing": (count_of("-1"), "validation"),
    "seventeen levels": (b'{"a":' * 17 + b"1" + b"}" * 17, "too-deep"),
    "null": (b"null", "validation"),
    "a list": (b"[]", "validation"),
    "a number": (b"42", "validation"),
    "no id": (text({k: v for k, v in event().items() if k != "id"}), "missing-field"),
    "a long id": (text(event("x" * 257)), "too-long"),
    "an unknown type": (text(event(type="model.retired.v1")), "unknown-type"),
    "an escape sequence in the type": (text(event(type="\x1b[31mretired.v1")), "control-character"),
    "an unknown version": (text(event(type="total.reported.v9")), "unknown-version"),
    "an unknown field": (text(event(data=TOTAL | {"\x1b]0;owned\x07": True})), "unknown-field"),
    "a field of the ledger": (text(event(sequence="1")), "unknown-field"),
    "a time without a zone": (text(event(time="2024-01-29T08:00:00")), "date"),
    "a day that is none": (text(event(data=TOTAL | {"as_of": "2024-02-30"})), "date"),
    "a day to come": (text(event(data=TOTAL | {"as_of": "9999"})), "timestamp-in-future"),
    "an empty name": (text(grant("")), "validation"),
    "an invisible name": (text(grant("\u200b")), "empty-name"),
    "a long name": (text(grant("x" * 201)), "validation"),
    "an escape sequence": (text(grant("\x1b[31mAcme")), "control-character"),
    "an escape sequence in one character": (text(grant("\x9b31mAcme")), "control-character"),
    "a bidirectional control": (text(grant("\u202eemcA")), "control-character"),
    "a line separator": (text(grant("Acme\u2028Inc")), "control-character"),
    "NUL": (text(grant("Acme\x00")), "control-character"),
    "an address that is none": (
        text(event(data=TOTAL | {"source": {"publisher": "x", "url": "javascript:alert(1)"}})),
        "url",
    ),
    "a share over 100": (text(event(type="market.estimated.v1", data=SHARE)), "validation"),
    "a company merged into itself": (text(event(type="company.merged.v1", data=MERGER)), "validation"),
    "a byte order mark": (b"\xef\xbb\xbf" + text(event()), "invalid-json"),
    "UTF-16": (json.dumps(event()).encode("utf-16-le"), "invalid-json"),
    "an event over the limit": (text(grant("x" * EVENT_LIMIT)), "too-large"),
}


def test_every_bad_event_is_refused_with_its_line_and_nothing_is_stored_unless_each_is_taken_by_itself(
    server: Server, tmp_path: Path
) -> None:
    bad = [line for line, _ in BAD.values()]
    file = written(tmp_path / "bad", b"\n".join([text(event("e1")), *bad, text(event("e2"))]))
    whole, each = Ledger(server), Ledger(server)
    in_json, in_words = together(
        ("publish", file, "--json", *whole.where), ("publish", file, "--each", *each.where), code=1
    )
    answer = in_json.document
    assert (answer["appended"], answer["already"], answer["refused"]) == (0, 0, len(BAD))
    assert in_json.err == ""
    assert answer["not-stored"] == 2
    assert [(o["line"], o["id"]) for o in answer["events"] if o["status"] == "not-stored"] == [
        (1, "e1"),
        (len(BAD) + 2, "e2"),
    ]
    refused = {o["line"]: o for o in answer["events"] if o["status"] == "refused"}
    for line, (name, (_, code)) in enumerate(BAD.items(), start=2):
        assert refused[line]["status"] == "refused", name
        assert code in {reason.partition(":")[0] for reason in refused[line]["reasons"]}, (
            name,
            refused[line],
        )
    assert whole.keys() == []

    assert in_words.out.splitlines() == [
        "line 1: appended at 1  e1",
        f"line {len(BAD) + 2}: appended at 2  e2",
        f"2 appended, 0 already there, {len(BAD)} refused",
    ]
    assert in_words.err.splitlines() == [
        f"line {line}: refused: {'; '.join(outcome['reasons'])}" for line, outcome in refused.items()
    ]
    assert each.log.head() == 2


def test_of_a_wrong_file_of_many_lines_some_are_told_and_how_many_more(server: Server) -> None:
    ledger = Ledger(server)
    in_words = ledger.run("publish", "-", stdin=b"{}\n" * 140, code=1)
    *lines, more, end = in_words.err.splitlines()
    assert [line.partition(": refused: ")[0] for line in lines] == [f"line {n}" for n in range(1, 101)]
    assert more == "40 more refused, which --json has"
    assert end == "nothing was stored: correct the file and publish it again"
    in_json = ledger.run("publish", "-", "--json", stdin=b"{}\n" * 140, code=1)
    assert len(in_json.document["events"]) == 140


def test_the_same_id_with_other_content_is_refused_with_its_line_and_where_the_other_is(
    server: Server, tmp_path: Path
) -> None:
    other = event("e1", data=TOTAL | {"as_of": "2024-01-27"})
    file = written(tmp_path / "other", b"\n" + lines(event("new")) + b"\n" + lines(other))
    whole, each, twice = Ledger(server), Ledger(server), Ledger(server)
    for ledger in (whole, each):
        ledger.log.append([parse(text(event("e0"))), parse(text(event("e1")))])
    refused, mixed, repeated = together(
        ("publish", file, *whole.where),
        ("publish", file, "--each", "--json", *each.where),
        ("publish", "-", *twice.where),
        code=1,
        stdin=b"\n" + lines(event("e1"), event("e2"), other),
    )
    assert refused.err.startswith(
        "line 4: refused: id-conflict: id 'e1' of source 'urn:desk' is already at position 2, with other bytes."
    )
    assert refused.out == ""
    assert whole.log.head() == 2
    assert [(o["line"], o["status"], o["id"], o.get("position")) for o in mixed.document["events"]] == [
        (2, "appended", "new", 3),
        (4, "refused", "e1", None),
    ]
    assert "othing was stored" not in mixed.out + mixed.err  # the other was
    assert repeated.err.startswith(
        "line 4: refused: duplicate-id: id: is the id of line 2 too, with the same source\n"
    )
    assert twice.keys() == []


def test_a_file_that_is_none_is_refused_before_the_server_is_asked(tmp_path: Path) -> None:
    blank = written(tmp_path / "blank", b" \r\n\n\t")
    array = written(tmp_path / "array", b" [ ]\n")
    missing = tmp_path / "\x1b[31mmissing"
    expected = {
        missing: rf"cannot read {tmp_path}/\x1b[31mmissing: No such file or directory",
        tmp_path: f"cannot read {tmp_path}: Is a directory",
        blank: f"{blank} holds no event",
        array: f"{array} holds no event",
    }
    ended = together(*(("publish", file, "--url", NOWHERE) for file in expected), code=1)
    assert [ran.err for ran in ended] == [f"bad-question: {words}\n" for words in expected.values()]
    assert {ran.out for ran in ended} == {""}


def test_given_no_standard_input_when_it_is_to_be_published_then_that_is_said() -> None:
    command = f"exec {APPROVALS} publish - --url {NOWHERE} <&-"
    ended = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env=clean_environment(), check=False
    )
    assert ended.stderr == "bad-question: cannot read -: there is no standard input\n"
    assert (ended.returncode, ended.stdout) == (1, "")


def test_bytes_that_are_no_text_and_a_name_of_ten_megabytes_are_refused_and_not_repeated(
    ledger: Ledger, tmp_path: Path
) -> None:
    large = written(tmp_path / "large", lines(event(), grant("A" * 10_000_000)))
    binary = written(tmp_path / "binary", b"\x7fELF\x00" + bytes(range(256)))
    array = written(tmp_path / "array", b"[" + text(event()) + b",\n\n{}}]")
    ended = ledger.together(*(("publish", file) for file in (large, binary, array)), code=1)
    for ran, words in zip(
        ended,
        (
            "line 2: refused: too-large: the event has over 65,536 bytes",
            "line 1: refused: invalid-json: not UTF-8: byte 133 is 0x80",
            "line 3: refused: invalid-json: expected a comma or the end of the array (column 3)",
        ),
        strict=True,
    ):
        assert ran.err == f"{words}\nnothing was stored: correct the file and publish it again\n"
        assert ran.out == ""
    assert ledger.keys() == []


@only_long
def test_what_is_too_much_for_one_batch_is_refused_and_taken_with_each(
    server: Server, tmp_path: Path
) -> None:
    many = written(tmp_path / "many", lines(*(event(f"m{n}") for n in range(BATCH_LIMIT + 1))))
    names = [{"company": f"{n}" + "零" * 198, "item": "一" * 200} for n in range(50)]
    announced = TERMS | {
        "announced_on": "2024",
        "size": {"relation": ">=", "value": 1},
        "named": names,
        "source": SOURCE,
    }
    fat = [event(f"f{n}", announced, type="batch.announced.v1") for n in range(145)]
    heavy = written(tmp_path / "heavy", lines(*fat))
    ledger, other = Ledger(server), Ledger(server)
    whole, each, heavy_whole, heavy_each = together(
        ("publish", many, *ledger.where),
        ("publish", many, "--each", "--json", *other.where),
        ("publish", heavy, *ledger.where),
        ("publish", heavy, "--each", "--json", *other.where),
        code=[1, 0, 1, 0],
    )
    assert whole.err == "too-large: a batch holds at most 10,000 events, not 10,001. Nothing was stored.\n"
    assert heavy_whole.err.startswith("too-large: the batch has ")
    assert whole.out == heavy_whole.out == ""
    assert ledger.keys() == []
    assert each.document["appended"] == BATCH_LIMIT + 1
    assert heavy_each.document["appended"] == len(fat)
    positions = {outcome["position"] for ran in (each, heavy_each) for outcome in ran.document["events"]}
    assert positions == set(range(1, other.log.head() + 1))
    assert other.log.head() == BATCH_LIMIT + 1 + len(fat)


def test_wrong_usage_is_exit_code_2_and_an_impossible_ledger_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "e.json", text(event()))
    no_file, both, no_name = together(
        ("publish",),
        ("publish", file, "--url", NOWHERE, "--data", tmp_path),
        ("publish", file, "--ledger", ""),
        code=[2, 2, 1],
    )
    assert "Missing argument" in no_file.complaint
    assert "--url and --data exclude each other" in both.complaint
    assert no_name.err.startswith("bad-question: '' cannot name a ledger: use 1 to 64 of a-z, 0-9, - and _")
    assert no_file.out == both.out == no_name.out == ""


# The server


def test_a_server_that_is_not_durable_or_away_is_refused_with_what_must_change(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    file = written(tmp_path / "e.json", lines(event(), event("e2")))
    ledger = Ledger(start_server(appendfsync="everysec", maxmemory_policy="allkeys-lru"))
    forgetful, away = together(
        ("publish", file, "--each", "--json", *ledger.where), ("publish", file, "--url", NOWHERE), code=1
    )
    assert forgetful.err == (
        "not-durable: this server could lose an acknowledged event, so nothing was stored. "
        "appendfsync is everysec, and must be always; maxmemory-policy is allkeys-lru, and must be noeviction\n"
    )
    assert ledger.keys() == []
    assert away.err.startswith("storage-unavailable: cannot reach the server: ")
    assert away.err.endswith(" Nothing was stored. Is it running?\n")
    assert forgetful.out == away.out == ""


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy to a server that knows the function of an append: so the first call of it is the only one."""
    load_function_into(server)
    with Proxy(server) as proxy:
        yield proxy


def load_function_into(server: Server) -> None:
    Log(server.client(), new_ledger()).append([parse(text(event()))])


def test_a_server_that_is_lost_in_the_middle_leaves_a_doubt_that_publishing_again_ends(
    server: Server, proxy: Proxy, tmp_path: Path
) -> None:
    before, after = Ledger(server, proxy.url), Ledger(server, proxy.url)
    asked = written(tmp_path / "asked", lines(event("asked"), event("e2")))
    answered = written(tmp_path / "answered", lines(event("answered"), event("e2")))
    proxy.lose_requests_with(b'"asked"', 1)
    proxy.lose_replies_to(b'"answered"', 1)
    for ran in together(("publish", asked, *before.where), ("publish", answered, *after.where), code=1):
        assert ran.err.startswith("outcome-unknown: the server's answer was lost (")
        assert "Send the same events again, with the same ids: each is stored once." in ran.err
        assert ran.out == ""
    assert (before.log.head(), after.log.head()) == (0, 2)
    assert after.run("publish", answered).out.endswith("0 appended, 2 already there, 0 refused\n")
    assert after.log.head() == 2


def test_a_lost_bell_is_no_reason_to_say_that_the_events_were_not_stored(
    server: Server, proxy: Proxy, tmp_path: Path
) -> None:
    ledger = Ledger(server, proxy.url)
    proxy.lose_requests_with(b":bell:", 1)
    ran = ledger.run("publish", written(tmp_path / "e.json", text(event())))
    assert ran.out == "line 1: appended at 1  e1\n"
    assert ran.err == ""


def test_with_each_what_was_stored_before_the_server_died_is_told_and_still_there(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    ids = [f"event-{number}-" for number in range(1_200)]
    file = written(tmp_path / "many", lines(*map(event, ids)))
    with Proxy(server) as proxy:
        load_function_into(server)
        ledger = Ledger(server, proxy.url)
        proxy.lose_requests_with(ids[1_100].encode(), 1)
        ran = ledger.run("publish", file, "--each", "--json", code=1)
        assert [(o["id"], o["status"], o["position"]) for o in ran.document["events"]] == [
            (name, "appended", position) for position, name in enumerate(ids[:1_000], start=1)
        ]
        told, error = ran.err.splitlines()
        assert told.endswith("before what follows; publish the file again for the rest, from line 1001 on")
        assert error.startswith("outcome-unknown: ")
    server.restart()
    ledger = Ledger(server, name=ledger.name)
    assert ledger.log.head() == 1_000
    ran = ledger.run("publish", file, "--each")
    assert ran.out.splitlines()[-1] == "200 appended, 1000 already there, 0 refused"
    assert [recorded.position for recorded in ledger.log.read()] == list(range(1, 1_201))


@pytest.mark.parametrize(("options", "listed"), [(("--each",), 1_000), ((), 0)], ids=["each", "whole"])
def test_who_interrupts_it_hears_what_was_stored_until_then(
    server: Server, proxy: Proxy, tmp_path: Path, options: tuple[str, ...], listed: int
) -> None:
    ids = [f"e{number}" for number in range(1_200)]
    file = written(tmp_path / "many", lines(*map(event, ids)))
    load_function_into(server)
    ledger = Ledger(server, proxy.url)
    proxy.stall_replies_to(ids[-1].encode(), 1)
    with Running("publish", file, *options, *ledger.where) as publishing:
        until(lambda: ledger.log.head() == 1_200)
        publishing.interrupt()
        ran = publishing.end()
    assert ran.code == 130
    assert ran.out.count(": appended at ") == listed
    assert ran.err.startswith(
        "interrupted: events that are not listed may or may not have been stored; publish the file again"
    )


def test_a_server_that_is_killed_while_it_appends_keeps_the_whole_file_or_nothing_of_it(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    ledger = Ledger(server)
    file = written(tmp_path / "many", lines(*(event(f"e{number}") for number in range(2_000))))
    client = server.client()
    with Running("publish", file, *ledger.where) as publishing:
        until(
            lambda: (
                client.info("commandstats").get("cmdstat_evalsha") or publishing.process.poll() is not None
            )
        )
        server.kill()
        ran = publishing.end()
    assert "Traceback" not in ran.err
    server.start()
    ledger = Ledger(server, name=ledger.name)
    stored = ledger.log.head()
    assert stored in (0, 2_000)
    assert ran.code == 0 or ran.out == ""
    assert ran.code == 1 or stored == 2_000
    ledger.log.append(valid_events(file.read_bytes()))
    assert [recorded.position for recorded in ledger.log.read()] == list(range(1, 2_001))


def test_nothing_else_is_left_in_a_terminal_than_what_was_meant() -> None:
    """Control: the check that every test here makes finds what it looks for."""
    found: Iterable[str] = ("\x1b[31m", "\x9b31m", "\u202e", "\u2066", "\x07", "\x00")
    assert all(DANGEROUS.search(text) for text in found)
    assert not DANGEROUS.search("line 1: ≥ 41, 零一万物\n\t│─")


def test_an_array_on_one_line_says_which_of_its_elements_is_bad(ledger: Ledger) -> None:
    refused = ledger.run("publish", "-", stdin=text([event("a"), {}, event("a")]), code=1)
    assert refused.err.startswith("line 1, element 2: refused: missing-field: ")
    twice = ledger.run(
        "publish", "-", stdin=text([event("a"), event("b"), event("a", TOTAL | {"as_of": "2024"})]), code=1
    )
    assert (
        "line 1, element 3: refused: duplicate-id: id: is the id of line 1, element 1 too, with the same source"
        in twice.err
    )
    stored = ledger.run("publish", "-", stdin=text([event("a"), event("b")]))
    assert stored.out.splitlines()[:2] == [
        "line 1, element 1: appended at 1  a",
        "line 1, element 2: appended at 2  b",
    ]
