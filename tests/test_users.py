"""The users of the server that SECURITY.md advises: each can do its own work, on every server, and is refused what is not part of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from events import Log, LogDamaged, StorageUnavailable, keys
from workers import run_here, webhooks
from workers.webhooks import subscriptions

from .api import running
from .command import Running, approvals, event, text, together
from .conftest import new_ledger
from .long import only_long
from .receiver import Receiver, Reply
from .servers import Server, execute
from .strategies import report
from .waiting import until

SECURITY = (Path(__file__).parents[1] / "SECURITY.md").read_text("utf-8")
LINES = dict(re.findall(r"^user (\w+) on >PASSWORD (.+)$", SECURITY, re.MULTILINE))

DESTRUCTION = [
    "FLUSHALL",
    "FLUSHDB",
    "XDEL {log} 1-1",
    "XTRIM {log} MAXLEN 0",
    "XSETID {log} 9-9",
    "DEL {log}",
    "UNLINK {log}",
    "EXPIRE {log} 1",
    "SET {log} x",
    "RENAME {log} {log}2",
    "RENAME {bell} {log}",
    "HDEL {ids} x",
    "DEL {ids}",
    "CONFIG SET appendfsync no",
    "ACL SETUSER x",
    "SHUTDOWN",
]


class Users:
    """The users that are advised, for a ledger of a test's own."""

    def __init__(self, server: Server) -> None:
        self.server, self.ledger = server, new_ledger()
        self._admin = server.client()
        self._admin.acl_log_reset()
        for name, line in LINES.items():
            rules = re.findall(r"\([^)]*\)|\S+", line.replace("{cac}", f"{{{self.ledger}}}"))
            execute(self._admin, "ACL", "SETUSER", self.named(name), "on", ">secret", *rules)

    def named(self, name: str) -> str:
        return f"{name}-{self.ledger}"

    def url(self, name: str) -> str:
        return f"unix://{self.named(name)}:secret@{self.server.socket}"

    def client(self, name: str) -> redis.Redis:
        return self.server.client(user=self.named(name), password="secret")

    def log(self, name: str) -> Log:
        return Log(self.client(name), self.ledger)

    def refused(self) -> set[str]:
        """What the server has refused to them. What a client tells of itself is not advised: not every server knows that."""
        entries = [entry for entry in self._admin.acl_log() if str(entry["username"]).endswith(self.ledger)]
        return {str(entry["object"]) for entry in entries} - {"client|setinfo"}

    def delete(self) -> None:
        for name in LINES:
            self.client(name).connection_pool.disconnect()
            self._admin.acl_deluser(self.named(name))


@pytest.fixture
def users(every_server: Server) -> Iterator[Users]:
    users = Users(every_server)
    yield users
    users.delete()


def test_three_users_are_advised() -> None:
    assert list(LINES) == ["producer", "reader", "workers"]


def test_a_producer_appends_and_reads(users: Users) -> None:
    log = users.log("producer")
    log.append([report("e1", subject="s")], expected_position=0, expected_subject=("s", "none"))
    assert len(list(log.append_each([[report("e2")], [report("e1", subject="s")]]))) == 2
    read(log)
    approvals(
        "publish", "-", "--url", users.url("producer"), "--ledger", users.ledger, stdin=text(event("e3"))
    )
    assert log.head() == 3
    assert users.refused() <= {"set"}  # it rings no bell: the workers look by themselves


def test_a_reader_reads_and_asks_and_appends_nothing(users: Users) -> None:
    users.log("producer").append([report("e1", subject="s"), report("e2")])
    read(users.log("reader"))
    run_here(users.client("workers"), users.ledger)
    where = ("--url", users.url("reader"), "--ledger", users.ledger)
    assert approvals("events", *where).out.count("\n") == 2
    asked = (("totals",), ("companies",), ("diff", "totals", "--from", "0"), ("totals", "--known-at", "1"))
    together(*((*words, *where) for words in (*asked, ("cite", "totals"), ("export", "totals"))))
    assert users.refused() == set()
    for kept in (keys.tokens(users.ledger), keys.webhook(users.ledger, "x")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            users.client("reader").hgetall(kept)
    with pytest.raises(StorageUnavailable, match="no permissions"):
        users.log("reader").append([report("e3")])
    assert users.log("reader").head() == 2


def test_given_a_reader_when_the_status_is_asked_for_then_what_it_may_not_see_is_told_apart_from_what_is_wrong(
    users: Users,
) -> None:
    users.log("producer").append([report("e1")])
    run_here(users.client("workers"), users.ledger)
    where = ("--url", users.url("reader"), "--ledger", users.ledger)
    in_json, in_words = together(("status", "--json", *where), ("status", *where))
    told = in_json.document
    with running(users.server, client=users.client("reader")) as api:
        over_http = api.get(users.log("reader"), "status").json()
    del told["server"]["where"]
    assert over_http == told
    assert (told["head"], told["says"]) == (1, [])
    assert {(each["position"], each["lag"], each["readable"]) for each in told["projections"]} == {
        (1, 0, True)
    }
    assert set(told["server"].values()) == {None}
    assert (told["webhooks"], told["queue"]) == (None, None)
    assert [each.partition(": the server refuses: ")[0] for each in told["unseen"]] == [
        "whether appends are durable",
        "whether the server has room, and replicas",
        "the server's version",
        "which rebuilds were asked for",
        "the tokens",
        "the webhooks",
        "the queue",
    ]
    assert "config|get" in told["unseen"][0]
    assert "a server, durability unknown" in in_words.out
    assert "head 1, 0 workers alive, unknown jobs waiting" in in_words.out
    assert in_words.out.count("not seen: ") == len(told["unseen"])


def test_given_a_producer_when_the_status_is_asked_for_then_it_tells_the_server_and_the_head(
    users: Users,
) -> None:
    users.log("producer").append([report("e1")])
    where = ("--url", users.url("producer"), "--ledger", users.ledger)
    in_json, in_words = together(("status", "--json", *where), ("status", *where))
    told = in_json.document
    assert (told["head"], told["server"]["durable"], told["projections"]) == (1, True, [])
    assert "the projections" in [each.partition(":")[0] for each in told["unseen"]]
    assert "no projection can be seen" in in_words.out


def test_given_a_user_who_may_not_even_see_the_head_when_the_status_is_asked_for_then_it_is_exit_code_1(
    users: Users,
) -> None:
    users.log("producer").append([report("e1")])
    rules = ("on", ">secret", "resetchannels", "-@all", "+info", "+config|get")
    execute(users.server.client(), "ACL", "SETUSER", users.named("reader"), "reset", *rules)
    where = ("--url", users.url("reader"), "--ledger", users.ledger)
    told = approvals("status", "--json", *where, code=1).document
    assert (told["head"], told["says"], told["server"]["durable"]) == (None, [], True)


def read(log: Log) -> None:
    assert [each.position for each in log.read()] == [1, 2]
    assert [each.position for each in log.read_backwards()] == [2, 1]
    assert [each.position for each in log.read_subject("s")] == [1]
    assert log.position_of("urn:desk", "e2") == 2
    assert log.positions_of([("urn:desk", "e2")]) == {("urn:desk", "e2"): 2}
    assert log.at(1) == log.at_each([1])[0]
    followed = next(log.follow(1))
    assert followed is not None
    assert log.head() == followed.position == 2
    assert next(log.follow(2, wait=0.01)) is None


def test_workers_project_what_a_producer_appended_and_the_api_answers(users: Users) -> None:
    users.log("producer").append([report("e1"), report("e2")])
    client = users.client("workers")
    assert run_here(client, users.ledger)
    approvals(
        "publish", "-", "--url", users.url("workers"), "--ledger", users.ledger, stdin=text(event("e3"))
    )
    approvals("work", "--burst", "--url", users.url("workers"), "--ledger", users.ledger)
    with running(users.server, client=client) as api:
        log = users.log("workers")
        assert api.post(log, text(event("e4"))).status_code == 201
        for path in ("totals", "companies", "status", "events", "events/1", "diff?projection=totals&from=0"):
            assert api.get(log, path).status_code == 200
        assert api.get(log, "totals").json()["position"] == 4
    for words in (
        ("replay",),
        ("token", "create", "--scope", "read"),
        ("token", "list"),
        ("webhook", "list"),
    ):
        approvals(*words, "--url", users.url("workers"), "--ledger", users.ledger)
    assert users.refused() == set()


def test_given_a_dead_letter_when_the_workers_user_sends_it_again_and_drops_it_then_the_server_lets_it(
    users: Users,
) -> None:
    log = users.log("workers")
    with Receiver() as receiver:
        receiver.replies = lambda _: Reply(400)
        made = subscriptions.add(log, receiver.url, private=True, after=0)
        log.append([report("e1")])
        clock = iter(range(0, 10**9, 10**5))
        while subscriptions.get(log, made.id).position < 1:
            list(webhooks.deliveries(log, made.id, clock=lambda: float(next(clock))))
        where = ("--url", users.url("workers"), "--ledger", users.ledger)
        approvals("webhook", "retry", made.id, "1", *where, code=1)
        approvals("webhook", "drop", made.id, "1", *where)
        approvals("webhook", "remove", made.id, *where)
    assert users.refused() == set()


@only_long
def test_workers_and_what_they_supervise_need_nothing_more(users: Users) -> None:
    log = users.log("producer")
    log.append([report("e1")])
    with Running(
        "work", "--workers", "2", "--url", users.url("workers"), "--ledger", users.ledger
    ) as working:
        state = keys.state(users.ledger, "totals", 1)
        until(lambda: users.client("workers").hget(state, "position") == b"1")
        log.append([report("e2")])
        until(lambda: users.client("workers").hget(state, "position") == b"2")
        working.interrupt()
        assert working.end().code == 0
    assert users.refused() == set()


@pytest.mark.parametrize("name", LINES)
def test_none_of_them_is_let_through_with_what_takes_from_the_log(users: Users, name: str) -> None:
    log = users.log("producer")
    log.append([report("e1"), report("e2")])
    places = {"log": keys.log(users.ledger), "ids": keys.ids(users.ledger)}
    places["bell"] = keys.bell(users.ledger, "totals")
    for command in DESTRUCTION:
        with pytest.raises(redis.exceptions.NoPermissionError):
            execute(users.client(name), *(word.format(**places) for word in command.split()))
    assert log.head() == 2


def test_who_may_append_can_still_trim_the_log_by_an_append_of_their_own_and_that_is_noticed(
    users: Users,
) -> None:
    """No rule can forbid an argument: SECURITY.md says so."""
    log = users.log("producer")
    log.append([report("e1"), report("e2")])
    users.client("producer").xadd(
        keys.log(users.ledger), {"e": "{}"}, id="3-9999999999999", maxlen=1, approximate=False
    )
    with pytest.raises(LogDamaged):
        log.append([report("e3")])
