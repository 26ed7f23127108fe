"""`approvals replay`, `status`, `work`, `up` and `park`: running the projections, and finding out what is wrong."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from approval_ledger import embedded, telemetry
from approval_ledger.embedded import SETTINGS
from approval_ledger.status import status_of
from events import Log, StorageUnavailable, connect, keys, parse, valid_events
from projections import PROJECTIONS, Generation, Store, replay
from workers import ask_for_rebuild, queue_length, run_here, workers_alive
from workers.webhooks import subscriptions

from .command import (
    APPROVALS,
    ROOT,
    SECRET,
    Ledger,
    Ran,
    Running,
    approvals,
    data_directory,
    event,
    in_a_terminal,
    put_by_hand,
    running,
    text,
    together,
)
from .forks import clean_environment
from .given import NEWS, as_bytes
from .long import only_long
from .servers import BINARIES, KINDS, Server
from .strategies import report
from .waiting import until

LOST_ENTRY = "return redis.call('XDEL', KEYS[1], redis.call('XRANGE', KEYS[1], 5, 5)[1][1])"


@pytest.fixture
def ledger(server: Server) -> Ledger:
    """The news of January 2024, published, with no projection."""
    ledger = Ledger(server)
    ledger.log.append(valid_events(NEWS.read_bytes()))
    return ledger


@pytest.fixture
def projected(ledger: Ledger) -> Ledger:
    """The same, with every projection caught up."""
    run_here(ledger.log.client, ledger.name)
    return ledger


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    with data_directory(tmp_path / "data") as path:
        yield path


def generations(ledger: Ledger) -> dict[str, int]:
    """The live generation of each projection."""
    return {name: Store(ledger.log, projection).live() for name, projection in PROJECTIONS.items()}


def positions(ledger: Ledger) -> set[int]:
    """Where the projections are."""
    return {Store(ledger.log, p).open_live().checkpoint().position for p in PROJECTIONS.values()}


def every(number: int) -> dict[str, int]:
    return dict.fromkeys(PROJECTIONS, number)


def replayed(ran: Ran) -> dict[str, dict[str, Any]]:
    return {result["projection"]: result for result in ran.document["projections"]}


def replace_log(ledger: Ledger) -> None:
    """Another log than the projections have read: shorter, as after an old backup."""
    client = ledger.log.client
    client.delete(keys.log(ledger.name), keys.ids(ledger.name), keys.subjects(ledger.name))
    ledger.log.append(valid_events(NEWS.read_bytes())[:5])


# Replay


def test_a_replay_builds_the_same_again_and_switches_to_it(server: Server) -> None:
    everything, some = Ledger(server), Ledger(server)
    for ledger in (everything, some):
        ledger.log.append(valid_events(NEWS.read_bytes()))
    in_json, in_words = together(
        ("replay", "--json", *everything.where), ("replay", "totals", "totals", "shares", *some.where)
    )
    assert in_json.err == ""
    assert (in_json.document["ledger"], in_json.document["verify"]) == (everything.name, False)
    results = replayed(in_json)
    assert list(results) == list(PROJECTIONS)
    for name, result in results.items():
        assert sorted(result) == [
            "digest",
            "equal",
            "events_per_second",
            "live_digest",
            "position",
            "projection",
            "seconds",
            "switched_to",
            "version",
        ]
        assert result["equal"] is True
        assert result["digest"] == result["live_digest"]
        assert (result["position"], result["switched_to"]) == (17, generations(everything)[name])
    assert [line.split()[0] for line in in_words.out.splitlines()] == ["projection", "totals", "shares"]
    assert in_words.out.count("  equal  ") == 2
    assert generations(some) == every(1) | {"totals": 2, "shares": 2}


def test_a_document_that_was_changed_by_hand_is_found_by_verify_which_changes_nothing(
    projected: Ledger,
) -> None:
    before, client = generations(projected), projected.log.client
    documents = keys.documents(projected.name, "totals", before["totals"])
    field, value = next((f, v) for f, v in client.hgetall(documents).items() if b"40" in as_bytes(v))
    client.hset(documents, field, as_bytes(value).replace(b"40", b"90"))
    keys_before = projected.keys()

    verified = projected.run("replay", "--verify", "--json", code=1)
    results = replayed(verified)
    assert [name for name, result in results.items() if result["equal"] is not True] == ["totals"]
    assert results["totals"]["equal"] is False
    assert results["totals"]["digest"] != results["totals"]["live_digest"]
    assert {result["switched_to"] for result in results.values()} == {None}
    assert generations(projected) == before
    assert projected.keys() == keys_before

    shown = projected.run("replay", "totals")
    assert "  DIFFERENT  " in shown.out
    assert Store(projected.log, PROJECTIONS["totals"]).open_live().digest() == (
        17,
        results["totals"]["digest"],
    )


def test_given_documents_that_were_deleted_by_hand_when_they_are_replayed_then_nobody_is_advised_to_replay_them(
    projected: Ledger,
) -> None:
    client, documents = projected.log.client, keys.documents(projected.name, "totals", 1)
    client.hdel(documents, *list(client.hkeys(documents))[:1])
    assert "Run `approvals replay totals`" in projected.run("replay", "--verify", code=1).err
    ran = projected.run("replay")
    assert (ran.out.count("  DIFFERENT  "), ran.out.count("  equal  "), ran.err) == (1, 4, "")
    assert projected.run("totals").err == ""


def test_given_documents_that_were_deleted_by_hand_when_others_are_replayed_then_that_is_still_told(
    projected: Ledger,
) -> None:
    client = projected.log.client
    for name in ("batches", "companies"):
        documents = keys.documents(projected.name, name, 1)
        client.hdel(documents, *list(client.hkeys(documents))[:1])
    told = projected.run("replay", "totals", "batches").err
    assert "Run `approvals replay companies`" in told
    assert told.count("\n") == 1


def test_a_way_back_is_taken_by_all_that_are_named_or_by_none(server: Server) -> None:
    all_of_them, one = Ledger(server), Ledger(server)
    for ledger in (all_of_them, one):
        ledger.log.append(valid_events(NEWS.read_bytes()))
        run_here(ledger.log.client, ledger.name)
        store = Store(ledger.log, PROJECTIONS["totals"])
        replay.adopt(store, replay.rebuild(store))
    refused, went_back = together(
        ("replay", "--back", *all_of_them.where),
        ("replay", "totals", "--back", "--json", *one.where),
        code=[1, 0],
    )
    assert "batches, companies, shares, sources: there is no earlier generation" in refused.err
    assert refused.out == ""
    assert generations(all_of_them) == every(1) | {"totals": 2}
    assert went_back.document == {"ledger": one.name, "live": {"totals": 1}}
    assert generations(one) == every(1)


def test_given_a_generation_of_another_version_when_one_goes_back_to_it_then_that_it_cannot_be_read_is_said(
    projected: Ledger,
) -> None:
    projected.log.client.hset(keys.state(projected.name, "totals", 1), "version", "1")
    projected.run("replay")
    went_back = projected.run("replay", "totals", "sources", "--back")
    assert went_back.out.splitlines() == [
        "totals: generation 1 is live again",
        "sources: generation 1 is live again",
    ]
    assert went_back.err.startswith("unreadable: projection totals was built by version 1 of it")
    assert len(went_back.err.splitlines()) == 1


def test_wrong_usage_is_exit_code_2() -> None:
    unknown, both, zero = together(
        ("replay", "\x1b[31mtotal"), ("replay", "--verify", "--back"), ("park", "show", "0"), code=2
    )
    assert "no such projection; there are totals, batches, companies, shares, sources" in unknown.complaint
    assert "exclude each other" in both.complaint
    assert unknown.out == both.out == zero.out == ""


# Status


def test_status_tells_the_server_and_its_durability_and_where_each_projection_is(ledger: Ledger) -> None:
    run_here(ledger.log.client, ledger.name)
    ledger.log.append([parse(text(event("one more")))])
    in_json, in_words = ledger.together(("status", "--json"), ("status",))
    report = in_json.document
    assert {name: report[name] for name in ("ledger", "head", "workers", "queue", "says", "unseen")} == {
        "ledger": ledger.name,
        "head": 18,
        "workers": 0,
        "queue": 0,
        "says": [],
        "unseen": [],
    }
    settings = {
        "appendfsync": "always",
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
        "no-appendfsync-on-rewrite": "no",
    }
    version = report["server"].pop("version")
    assert report["server"] == {
        "where": ledger.server.url,
        "software": "valkey",
        "durable": True,
        "settings": settings,
    }
    assert version.startswith("9.")
    assert [projection["projection"] for projection in report["projections"]] == list(PROJECTIONS)
    for projection in report["projections"]:
        position, digest = Store(ledger.log, PROJECTIONS[projection["projection"]]).open_live().digest()
        assert projection == {
            "projection": projection["projection"],
            "version": PROJECTIONS[projection["projection"]].version,
            "position": position,
            "lag": 1,
            "generation": 1,
            "previous": None,
            "beside": None,
            "rebuild": None,
            "digest": digest,
            "parked": 0,
            "readable": True,
        }
    for words in (
        f"valkey {version}, durable",
        "appendfsync always",
        "head 18, 0 workers alive, 0 jobs waiting",
    ):
        assert words in in_words.out


def test_status_says_what_is_wrong_and_is_exit_code_1(
    server: Server, start_server: Callable[..., Server]
) -> None:
    news = valid_events(NEWS.read_bytes())
    damaged, forked = Ledger(server), Ledger(server)
    for each in (damaged, forked):
        each.log.append(news)
        run_here(each.log.client, each.name)
    damaged.log.client.eval(LOST_ENTRY, 1, keys.log(damaged.name))
    replace_log(forked)
    everyday = Ledger(start_server(appendfsync="everysec"))
    replica = Ledger(start_server())
    replica.server.client().replicaof("127.0.0.1", 1)  # of nobody: it is read-only from now on

    commands = [("status", "--json", *each.where) for each in (damaged, forked, everyday, replica)]
    *ended, shown = together(*commands, ("status", *damaged.where), code=1)
    reports = [ran.document for ran in ended]
    assert [report["head"] for report in reports] == [None, 5, 0, 0]
    assert [report["server"]["durable"] for report in reports] == [True, True, False, False]
    assert reports[0]["says"][0].startswith("log-damaged: ")
    assert "the log has 16 entries, 17 were ever added" in reports[0]["says"][0]
    assert [says.split(".")[0] for says in reports[1]["says"]] == [
        f"log-forked: ledger {forked.name}: projection {name} has read up to position 17, and the log ends before it"
        for name in PROJECTIONS
    ]
    assert {projection["readable"] for projection in reports[1]["projections"]} == {False}
    assert reports[2]["says"] == ["appendfsync is everysec, and must be always"]
    assert reports[3]["says"] == ["role is slave, and must be master: connect to the primary"]
    assert everyday.keys() == []
    assert "head unknown" in shown.out
    assert "None" not in shown.out
    assert shown.err == "\n".join(reports[0]["says"]) + "\n"


def test_given_a_server_without_room_when_the_status_is_asked_for_then_it_says_that_nothing_is_stored(
    start_server: Callable[..., Server],
) -> None:
    ledger = Ledger(start_server())
    ledger.log.append([parse(text(event("e1")))])
    ledger.server.client().config_set("maxmemory", 1)
    refused, status = ledger.together(("publish", str(NEWS)), ("status", "--json"), code=1)
    assert "maxmemory" in refused.err
    (says,) = status.document["says"]
    assert re.fullmatch(
        r"the memory that the server uses is [\d,]+ bytes, and must be at most maxmemory, 1: raise that, or free memory\. "
        r"Until then nothing is stored",
        says,
    )
    assert status.document["server"]["durable"] is True
    ledger.server.client().config_set("maxmemory", 0)
    assert ledger.run("status", "--json").document["says"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_server_that_waits_for_replicas_when_the_status_is_asked_for_then_it_says_that_nothing_is_stored(
    start_server: Callable[..., Server], kind: str
) -> None:
    ledger = Ledger(start_server(kind))
    ledger.log.append([parse(text(event("e1")))])
    ledger.server.client().config_set("min-replicas-to-write", 1)
    refused, status = ledger.together(("publish", str(NEWS)), ("status", "--json"), code=1)
    assert "NOREPLICAS" in refused.err
    (says,) = status.document["says"]
    assert says == (
        "the number of replicas that follow is 0, and must be at least min-replicas-to-write, 1: start them, or lower that. "
        "Until then nothing is stored"
    )
    assert status.document["server"]["durable"] is True
    ledger.server.client().config_set("min-replicas-to-write", 0)
    assert ledger.run("status", "--json").document["says"] == []


def test_given_a_leftover_rebuild_of_another_version_when_the_status_is_asked_for_then_it_tells_all_and_what_is_left(
    projected: Ledger,
) -> None:
    left = Store(projected.log, PROJECTIONS["totals"]).open_new()
    left.advance(5)
    projected.log.client.hset(left.state_key, "version", "99")
    in_json, in_words = projected.together(("status", "--json"), ("status",), code=1)
    report = in_json.document
    assert len(report["says"]) == 1
    assert report["says"][0].startswith(
        "unreadable: projection totals: generation 2, beside the live one: projection totals was built "
        "by version 99 of it"
    )
    assert {(p["position"], p["lag"], p["readable"]) for p in report["projections"]} == {(17, 0, True)}
    assert {p["beside"] for p in report["projections"]} == {None}
    assert "head 17, " in in_words.out
    assert in_words.err == report["says"][0] + "\n"


def test_given_documents_of_another_version_when_the_status_is_asked_for_then_theirs_is_told_beside_their_digest(
    projected: Ledger,
) -> None:
    projected.log.client.hset(keys.state(projected.name, "totals", 1), "version", "1")
    report = projected.run("status", "--json", code=1).document
    assert {p["projection"]: p["version"] for p in report["projections"]} == {
        name: 1 if name == "totals" else projection.version for name, projection in PROJECTIONS.items()
    }


@pytest.mark.parametrize(
    "broken", ["position", "pointer", "state", "documents", "parked", "past", "document", "asked"]
)
def test_given_a_projection_that_something_else_wrote_to_when_the_status_is_asked_for_then_the_others_are_told(
    projected: Ledger, broken: str
) -> None:
    client, totals = projected.log.client, Store(projected.log, PROJECTIONS["totals"]).open_live()
    whole = {
        "state": totals.state_key,
        "documents": totals.documents_key,
        "parked": totals.parked_key,
        "past": totals.past_key,
    }
    match broken:
        case "position":
            client.hset(totals.state_key, "position", "seventeen")
        case "pointer":
            client.hset(totals.store.pointer, "live", "first")
        case "document":
            client.hdel(totals.documents_key, next(client.hscan_iter(totals.documents_key))[0])
            client.hset(totals.documents_key, b"\xff", "?")
        case _:
            place = whole.get(broken) or keys.rebuild(projected.name, "totals")
            client.delete(place)
            client.set(place, "something else's")
    report = projected.run("status", "--json", code=1).document
    assert len(report["says"]) == 1
    assert report["head"] == 17
    assert report["webhooks"] == {"enabled": 0, "failing": 0, "disabled": 0, "dead_letters": 0}
    first, *others = report["projections"]
    assert first["readable"] is (broken in ("parked", "past", "document", "asked"))
    assert (first["position"], first["lag"]) == (
        (0, None) if broken in ("position", "pointer", "state") else (17, 0)
    )
    assert (first["digest"] is None) is (broken not in ("parked", "past", "asked"))
    assert {(p["position"], p["lag"], p["readable"]) for p in others} == {(17, 0, True)}
    assert None not in {p["digest"] for p in others}


@only_long
def test_given_a_queue_that_something_else_wrote_when_the_status_is_asked_for_then_all_else_is_told(
    projected: Ledger,
) -> None:
    queue = f"rq:queue:{{{projected.name}}}:doorbell"
    projected.log.client.set(queue, "something else's")
    told = projected.run("status", "--json", code=1).document
    (says,) = told["says"]
    assert says.startswith(f"unreadable: {queue} is not a list: something else wrote to it")
    assert (told["head"], told["queue"]) == (17, 0)
    assert {(p["position"], p["lag"], p["readable"]) for p in told["projections"]} == {(17, 0, True)}
    projected.log.append([report("another")])
    projected.run("work", "--burst")
    projected.run("status")


@pytest.mark.parametrize("place", [keys.ids, keys.subjects, keys.tokens, keys.webhooks, keys.deliveries])
def test_given_a_key_of_another_type_when_the_status_is_asked_for_then_it_is_told_with_all_else(
    projected: Ledger, place: Callable[[str], str]
) -> None:
    projected.log.client.delete(place(projected.name))
    projected.log.client.set(place(projected.name), "something else's")
    told = projected.run("status", "--json", code=1).document
    (says,) = told["says"]
    assert ("WRONGTYPE" if place is keys.ids else place(projected.name)) in says
    assert told["head"] == (None if place is keys.ids else 17)
    assert {p["position"] for p in told["projections"]} == {17}


def test_given_a_projection_that_moves_on_while_a_status_is_taken_then_it_is_not_beyond_the_head(
    projected: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = Generation.digest

    def slowly(generation: Generation) -> tuple[int, str]:
        projected.log.append([report("another")])  # once: what comes again is there
        run_here(projected.log.client, projected.name)
        return digest(generation)

    monkeypatch.setattr(Generation, "digest", slowly)
    told = status_of(projected.log)
    assert told["head"] == 18
    assert {(p["position"], p["lag"]) for p in told["projections"]} == {(18, 0)}


def test_a_damaged_log_stops_what_reads_it_and_a_forked_one_can_be_replayed(server: Server) -> None:
    damaged, forked = Ledger(server), Ledger(server)
    for each in (damaged, forked):
        each.log.append(valid_events(NEWS.read_bytes()))
        run_here(each.log.client, each.name)
    damaged.log.client.eval(LOST_ENTRY, 1, keys.log(damaged.name))
    replace_log(forked)

    ended = together(
        ("totals", "--json", *damaged.where),
        ("work", "--burst", *damaged.where),
        ("totals", "--json", *forked.where),
        ("replay", "--verify", "--json", *forked.where),
        code=1,
    )
    for ran, code in zip(ended, ("log-damaged", "log-damaged", "log-forked", "log-forked"), strict=True):
        assert ran.err.startswith(f"{code}: ")
    assert ended[0].out == ended[1].out == ended[2].out == ""
    assert {result["equal"] for result in replayed(ended[3]).values()} == {None}
    assert generations(forked) == every(1)

    told = forked.run("replay").err
    assert told.startswith(
        f"log-forked: ledger {forked.name}: the log is not the one that {', '.join(PROJECTIONS)} had read"
    )
    assert (told.count("\n"), "approvals replay" in told) == (1, False)
    assert forked.run("replay").err == ""
    run_here(forked.log.client, forked.name)  # raises where a projection cannot go on


def test_given_a_replaced_log_when_the_advice_of_one_projection_is_followed_then_all_can_be_read(
    projected: Ledger,
) -> None:
    replace_log(projected)
    said = projected.run("totals", code=1).err
    assert said.endswith("if this log is the right one, run `approvals replay`.\n")
    projected.run("replay")
    for ran in projected.together(*((name, "--json") for name in PROJECTIONS)):
        assert (ran.document["position"], ran.err) == (5, "")


# Workers


def test_work_burst_catches_everything_up_and_stops(server: Server) -> None:
    one, several = Ledger(server), Ledger(server)
    for each in (one, several):
        each.log.append(valid_events(NEWS.read_bytes()))
    ended = together(("work", "--burst", *one.where), ("work", "--burst", "--workers", "2", *several.where))
    assert [ran.out for ran in ended] == ["", ""]
    for each in (one, several):
        assert positions(each) == {17}
        assert workers_alive(each.log.client, each.name) == queue_length(each.log.client, each.name) == 0


@only_long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_given_a_projection_of_another_version_when_work_bursts_then_the_rebuild_that_was_asked_for_is_done(
    projected: Ledger, workers: str
) -> None:
    projected.log.client.hset(keys.state(projected.name, "totals", 1), "version", "99")
    ask_for_rebuild(projected.log, "totals")
    projected.log.append([parse(text(event("one more")))])
    ran = projected.run("work", "--burst", "--workers", workers, code=1)
    assert "projection totals was built by version 99 of it" in ran.err
    assert generations(projected) == every(1) | {"totals": 2}
    assert positions(projected) == {18}
    assert projected.run("work", "--burst", "--workers", workers).err == ""


def test_given_several_projections_of_another_version_when_work_bursts_then_each_is_told(
    projected: Ledger,
) -> None:
    for name in ("totals", "companies"):
        projected.log.client.hset(keys.state(projected.name, name, 1), "version", "1")
    ran = projected.run("work", "--burst", code=1)
    assert re.findall(
        r"^unreadable: projection (\w+) was built by version 1 of it", ran.err, re.MULTILINE
    ) == [
        "totals",
        "companies",
    ]


def test_given_a_webhook_that_cannot_be_read_too_when_work_bursts_then_both_are_told(
    projected: Ledger,
) -> None:
    client = projected.log.client
    client.hset(keys.state(projected.name, "totals", 1), "version", "99")
    added = subscriptions.add(projected.log, "https://localhost/", private=True)
    client.hset(keys.webhook(projected.name, added.id), "position", "first")
    ran = projected.run("work", "--burst", code=1)
    assert [line.partition(" ")[0] for line in ran.err.splitlines()] == ["unreadable:"] * 2
    assert "projection totals" in ran.err
    assert added.id in ran.err


@only_long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_given_no_standard_streams_when_work_bursts_then_everything_is_caught_up(
    server: Server, workers: str
) -> None:
    one = Ledger(server)
    one.log.append(valid_events(NEWS.read_bytes()))
    command = f"exec {APPROVALS} work --burst --workers {workers} {' '.join(one.where)} <&- >&- 2>&-"
    ended = subprocess.run(["sh", "-c", command], env=clean_environment(), check=False)
    assert (ended.returncode, positions(one)) == (0, {17})


def test_work_projects_what_is_there_and_stops_with_every_worker_when_told(server: Server) -> None:
    one, two = Ledger(server), Ledger(server)
    for each in (one, two):
        each.log.append(valid_events(NEWS.read_bytes()))
    with Running("work", *one.where) as first, Running("work", "--workers", "2", *two.where) as second:
        for each, workers in ((one, 1), (two, 2)):
            until(lambda: workers_alive(each.log.client, each.name) == workers)  # noqa: B023  # called at once
            until(lambda: positions(each) == {17})  # noqa: B023
        second.interrupt()
        first.process.send_signal(signal.SIGTERM)
        ended = [first.end(), second.end()]
    for ran in ended:
        assert (ran.code, ran.out) == (0, "")
        said = [json.loads(line)["event"] for line in ran.err.splitlines()]
        assert (said[0], said[-1]) == ("workers_started", "workers_stopped")


def test_given_an_address_with_options_when_up_tells_how_to_ask_elsewhere_then_a_shell_reads_it_as_it_is(
    ledger: Ledger,
) -> None:
    url = f"{ledger.where[1]}?db=0&socket_timeout=9"
    with Running("up", "--port", "0", "--url", url, "--ledger", ledger.name) as up:
        up.line()
        command = up.line().removeprefix("from another terminal: ")
    assert shlex.split(command) == ["approvals", "status", "--ledger", ledger.name, "--url", url]


@only_long
def test_up_serves_whoever_attaches_and_the_last_to_leave_stops_the_server(data: Path) -> None:
    where = ("--data", data)
    with Running("up", "--port", "0", *where) as first:
        assert first.line() == f"ledger cac on the embedded server on {data}, at position 0; Ctrl-C stops it"
        url = first.line().removeprefix("from another terminal: approvals status --ledger cac --url ")
        with connect(url) as client, Running("up", "--port", "0", *where) as second:
            second.line()
            assert second.line().endswith(f" --url {url}")
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/ledgers/cac/status .*", first.line())
            assert re.fullmatch(r"the page: http://127\.0\.0\.1:\d+/", first.line())
            until(lambda: workers_alive(client, "cac") == 2)
            status = approvals("status", "--json", *where).document
            assert status["workers"] == 2
            assert status["server"]["where"] == f"the embedded server on {data}"
            first.interrupt()
            ran = first.end()
            assert (ran.code, ran.out) == (0, "")
            assert "Traceback" not in ran.err
            assert running(data)
            log = Log(client, "cac")
            log.append([parse(text(event()))])
            until(lambda: Store(log, PROJECTIONS["totals"]).open_live().checkpoint().position == 1)
            second.interrupt()
            assert second.end().code == 0
    assert not running(data)


@only_long
def test_up_that_is_killed_takes_its_workers_along_and_leaves_a_server_that_the_next_command_stops(
    data: Path,
) -> None:
    with Running("up", "--port", "0", "--data", data) as up:
        up.line()
        url = up.line().rpartition(" ")[2]
        with connect(url) as client:
            until(lambda: workers_alive(client, "cac") == 1)
            pid = client.info("server")["process_id"]
            up.process.kill()
            up.end()  # returns when the worker, too, has ended
        assert running(data)
    with embedded.start(data) as server:
        assert server.pid == pid
    assert not running(data)


@only_long
def test_a_ctrl_c_while_processes_start_ends_quietly(data: Path) -> None:
    with Running("up", "--port", "0", "--workers", "3", "--data", data) as up:
        assert up.process.stderr is not None
        assert b"workers_started" in up.process.stderr.readline()
        up.interrupt()  # they have hardly begun
        ran = up.end()
    assert ran.code == 0
    assert "Traceback" not in ran.err
    assert not running(data)


@only_long
def test_up_starts_the_server_again_that_died_under_it(data: Path) -> None:
    with Running("up", "--port", "0", "--data", data) as up:
        up.line()
        url = up.line().rpartition(" ")[2]
        with connect(url) as client:
            until(lambda: workers_alive(client, "cac") == 1)
            log = Log(client, "cac")
            log.append([parse(text(event()))])
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        with connect(url) as client:
            log = Log(client, "cac")
            until(lambda: _answers(log))
            log.append([parse(text(event(id="after")))])
            until(lambda: Store(log, PROJECTIONS["totals"]).open_live().checkpoint().position == 2)
        up.interrupt()
        ran = up.end()
    assert ran.code == 0
    assert "server_started_again" in ran.err
    assert not running(data)


def _answers(log: Log) -> bool:
    try:
        return log.head() == 1
    except StorageUnavailable:
        return False


def test_a_data_directory_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file, shared, half, foreign = (tmp_path / name for name in ("file", "shared", "half", "foreign"))
    file.write_bytes(b"")
    shared.mkdir(0o755)
    (shared / "something").write_bytes(b"")
    (half / "appendonlydir").mkdir(0o700, parents=True)
    half.chmod(0o700)
    (half / "appendonlydir" / "appendonly.aof.1.incr.aof").write_bytes(b"")
    foreign.mkdir(0o700)
    with stranger(foreign) as pid:
        ended = together(
            ("status", "--data", file),
            ("publish", NEWS, "--data", shared),
            ("up", "--data", half),
            ("publish", NEWS, "--data", foreign),
            code=1,
        )
    for ran, words in zip(
        ended,
        (
            f"storage-unavailable: {file} is a file. Name a directory",
            f"storage-unavailable: users other than its owner may enter {shared}",
            f"log-damaged: {half}/appendonlydir has files of a log, but not the appendonly.aof.manifest",
            f"storage-unavailable: a server (pid {pid}) answers in {foreign} without the lock of that directory",
        ),
        strict=True,
    ):
        assert ran.err.startswith(words)
        assert ran.out == ""
    assert sorted(path.name for path in shared.iterdir()) == ["something"]


@contextmanager
def stranger(directory: Path) -> Iterator[int]:
    """A server in `directory` that the command did not start."""
    binary = BINARIES["valkey-9.1"]
    assert binary is not None
    settings = SETTINGS | {"daemonize": "no", "pidfile": ""}
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    with subprocess.Popen([binary, *arguments], cwd=directory) as process:
        try:
            until((directory / SETTINGS["unixsocket"]).exists)
            yield process.pid
        finally:
            process.kill()


# Parked events


def test_an_event_that_a_projection_does_not_understand_is_parked_listed_shown_and_tried_again(
    projected: Ledger,
) -> None:
    put_by_hand(
        projected,
        {"type": "batch.announced.v9", "id": "\x1b[31m\x9b2J", "data": {"\u202ekey": "\x1b]0;owned\x07"}},
    )
    put_by_hand(projected, b"{\xff\x1b[31mgarbage")
    run_here(projected.log.client, projected.name)
    listed, some, shown, exact, garbage, status, retried, missing = projected.together(
        ("park", "list"),
        ("park", "list", "batches", "--json"),
        ("park", "show", "18"),
        ("park", "show", "18", "--json"),
        ("park", "show", "19"),
        ("status", "--json"),
        ("park", "retry"),
        ("park", "show", "17"),
        code=[0, 0, 0, 0, 0, 1, 1, 1],
    )
    assert listed.out.count("batch.announced.v9") == 3
    assert status.document["says"] == [
        f"projection {name}: events parked: {number}. No figure of it counts them: `approvals park list` says why"
        for name, number in {"totals": 1, "batches": 2, "companies": 2, "shares": 1, "sources": 2}.items()
    ]
    parked = some.document["parked"]
    assert [(entry["projection"], entry["position"]) for entry in parked] == [
        ("batches", 18),
        ("batches", 19),
    ]
    assert "UnknownVersion" in parked[0]["reason"]
    assert '"id": "\\u001b[31m\\x9b2J"' in shown.out
    assert shown.out.count("UnknownVersion") == 3
    assert r"\xff\x1b[31mgarbage" in garbage.out
    recorded = projected.log.at(18)
    assert recorded is not None
    assert exact.document["event"].items() > json.loads(recorded.payload).items()
    assert list(exact.document["reasons"]) == ["batches", "companies", "sources"]
    parked_by = {p["projection"]: p["parked"] for p in status.document["projections"]}
    assert parked_by == {"totals": 1, "batches": 2, "companies": 2, "shares": 1, "sources": 2}
    assert retried.err.startswith("parked-events: totals: 1 events cannot be applied (position 19: ")
    assert (
        "An entry that is not an event blocks every replay: restore a backup of the log from before it"
        in retried.err
    )
    assert missing.err.startswith("bad-question: no projection has parked position 17: ")
    assert retried.out == missing.out == ""
    assert generations(projected) == every(1)


def test_a_retry_replays_what_has_parked_events_and_nothing_else(server: Server) -> None:
    some, none = Ledger(server), Ledger(server)
    for ledger in (some, none):
        ledger.log.append(valid_events(NEWS.read_bytes()))
        run_here(ledger.log.client, ledger.name)
    some.log.client.hset(keys.parked(some.name, "shares", 1), "3", "by a version that knew less")
    retried, nothing = together(("park", "retry", "--json", *some.where), ("park", "retry", *none.where))
    assert list(replayed(retried)) == ["shares"]
    assert generations(some) == every(1) | {"shares": 2}
    assert Store(some.log, PROJECTIONS["shares"]).open_live().parked() == {}
    assert nothing.out == "no event is parked\n"


def test_one_that_cannot_be_replayed_does_not_keep_it_from_the_others(projected: Ledger) -> None:
    """Whatever stops one projection (here: a list where its documents should be) does not hide the others."""
    documents = keys.documents(projected.name, "batches", 1)
    projected.log.client.delete(documents)
    projected.log.client.rpush(documents, "?")
    ran = projected.run("replay", "totals", "batches", "shares", code=1)
    assert ran.out.count("  equal  ") == 2
    assert ran.err.startswith("log-damaged: ")
    assert generations(projected) == every(1) | {"totals": 2, "shares": 2}


# The log of what the program does


def test_no_password_gets_into_the_log_with_an_error(server: Server) -> None:
    """redis-py holds it in a variable where the server refuses it, and a worker logs such an error with its stack."""
    script = f"""
import structlog
from approval_ledger import telemetry
from events import connect
telemetry.configure()
with connect("unix://somebody:{SECRET}@{server.socket}") as client:
    try:
        client.ping()
    except Exception:
        structlog.get_logger("workers").exception("job_failed")
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, env=clean_environment(), check=True
    )
    line = json.loads(ran.stderr)
    assert (line["event"], line["level"]) == ("job_failed", "error")
    assert "AuthenticationError" in str(line["exception"])
    assert SECRET.encode() not in ran.stderr


def test_on_a_terminal_a_line_is_for_people_without_colours_where_nobody_wants_them() -> None:
    script = """
import structlog
from approval_ledger import telemetry
telemetry.configure()
structlog.get_logger("workers").warning("rung_again", ledger="cac")
"""
    python = (sys.executable, "-c")
    coloured = in_a_terminal(script, executable=python)
    plain = in_a_terminal(script, executable=python, NO_COLOR="1")
    assert "\x1b[" in coloured
    assert re.fullmatch(r"\S+ \[warning +\] rung_again +ledger=cac\s*", plain)


def test_given_a_library_that_says_the_same_again_and_again_then_it_is_one_line_and_later_one_with_a_count(
    logged: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = logging.getLogger("asyncio")
    for number in (24, 24, 24, 23):
        library.error("socket.accept() out of system resource", exc_info=OSError(number, "no"))
    assert [json.loads(line).get("times") for line in logged("out of system")] == [None, None]
    monkeypatch.setattr(telemetry, "QUIET", 0.0)
    library.error("socket.accept() out of system resource", exc_info=OSError(24, "no"))
    assert json.loads(logged("out of system")[-1])["times"] == 3
