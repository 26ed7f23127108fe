"""`approvals webhook`: subscriptions and dead letters, as an operator sees them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from events import keys
from workers import webhooks
from workers.webhooks import schedule, subscriptions

from .command import Ledger, Ran
from .given import append
from .receiver import Receiver, Reply
from .servers import Server


@pytest.fixture
def ledger(server: Server) -> Ledger:
    return Ledger(server)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def webhook(ledger: Ledger, *words: str, code: int = 0) -> Ran:
    return ledger.run("webhook", *words, code=code)


def added(ledger: Ledger, receiver: Receiver, *words: str) -> dict[str, str]:
    document: dict[str, str] = webhook(
        ledger, "add", receiver.url, "--allow-private", *words, "--json"
    ).document
    return document


def with_dead_letters(ledger: Ledger, receiver: Receiver, count: int) -> str:
    """A subscription whose receiver refused the first `count` events of three."""
    name = added(ledger, receiver)["id"]
    append(ledger.log, 40, 41, 42)
    receiver.replies = lambda request: Reply(400 if request.position <= count else 200)
    clock = iter(range(0, 10**9, 10**5))
    while subscriptions.get(ledger.log, name).position < 3:
        list(webhooks.deliveries(ledger.log, name, clock=lambda: float(next(clock))))
    return name


def test_the_secret_is_shown_once_and_verifies_what_is_sent(ledger: Ledger, receiver: Receiver) -> None:
    new = added(ledger, receiver)
    assert new["secret"].startswith("whsec_")
    assert "sent" not in webhook(ledger, "test", new["id"]).out
    receiver.requests[0].verified_with(new["secret"])
    for words in (["list"], ["list", "--json"], ["enable", new["id"], "--json"], ["failures"]):
        assert new["secret"] not in webhook(ledger, *words).out
    in_words = webhook(ledger, "add", receiver.url, "--allow-private").out
    assert "secret whsec_" in in_words
    assert "not shown again" in in_words


def test_a_list_says_where_each_subscription_is(ledger: Ledger, receiver: Receiver) -> None:
    assert webhook(ledger, "list").out == "nobody is subscribed\n"
    append(ledger.log, 40, 41)
    first = added(ledger, receiver, "--after", "0", "--type", "total.reported.v1")
    second = added(ledger, receiver)
    document = webhook(ledger, "list", "--json").document
    assert document == {
        "ledger": ledger.name,
        "webhooks": [
            {
                "id": new["id"],
                "url": receiver.url,
                "types": types,
                "private": True,
                "enabled": True,
                "position": position,
                "lag": 2 - position,
                "tries": 0,
                "next_try": None,
                "says": None,
                "dead_letters": 0,
            }
            for new, types, position in ((first, ["total.reported.v1"], 0), (second, [], 2))
        ],
    }
    assert first["id"] in webhook(ledger, "list").out


def test_a_failed_try_is_told_in_the_list_and_in_the_status(ledger: Ledger, receiver: Receiver) -> None:
    name = added(ledger, receiver)["id"]
    append(ledger.log, 40)
    receiver.replies = lambda _: Reply(503, body=b"later\x1b[2J")
    list(webhooks.deliveries(ledger.log, name))
    (report,) = webhook(ledger, "list", "--json").document["webhooks"]
    assert (report["tries"], report["says"]) == (1, "503 Service Unavailable: later [2J")
    assert report["next_try"]
    assert "1 failed, the next try is at" in " ".join(webhook(ledger, "list").out.split())
    status = ledger.run("status", "--json").document["webhooks"]
    assert status == {"enabled": 1, "disabled": 0, "failing": 1, "dead_letters": 0}
    assert "webhooks: 1 enabled (1 failing), 0 disabled, 0 dead letters" in ledger.run("status").out


def test_a_receiver_that_is_gone_is_something_wrong_until_somebody_looks(
    ledger: Ledger, receiver: Receiver
) -> None:
    name = added(ledger, receiver)["id"]
    append(ledger.log, 40)
    receiver.replies = lambda _: Reply(410, body=b"secret")
    list(webhooks.deliveries(ledger.log, name))
    ran = ledger.run("status", "--json", code=1)
    (says,) = ran.document["says"]
    assert says.startswith(f"webhook {name} was disabled: `approvals webhook list` says why")
    assert "secret" not in ran.out
    assert "secret" in webhook(ledger, "list").out
    webhook(ledger, "disable", name)
    assert ledger.run("status", "--json").document["says"] == []


def test_a_private_address_is_refused_unless_it_is_allowed(ledger: Ledger, receiver: Receiver) -> None:
    ran = webhook(ledger, "add", receiver.url, code=1)
    assert "address-refused" in ran.err
    assert "--allow-private" in ran.complaint
    assert webhook(ledger, "list", "--json").document["webhooks"] == []


def test_what_cannot_be_asked_is_refused(ledger: Ledger, receiver: Receiver) -> None:
    webhook(ledger, "add", "nowhere", code=1)
    webhook(ledger, "add", receiver.url, "--allow-private", "--type", "x.v1", code=1)
    webhook(ledger, "add", receiver.url, "--allow-private", "--after", "1", code=1)
    webhook(ledger, "add", receiver.url, "--allow-private", "--after", "-1", code=2)
    named = [("remove", "../x"), ("enable", "x" * 500)] + [
        (command, "0123456789ab")
        for command in ("remove", "enable", "disable", "failures", "retry", "drop", "test")
    ]
    for ran in ledger.together(*(("webhook", *words) for words in named), code=1):
        assert "bad-question: there is no subscription" in ran.err
    assert not any(b":webhook" in key for key in ledger.keys())  # noqa: SIM118  # it is no dictionary


def test_disabling_and_enabling_keep_the_place_unless_one_is_named(
    ledger: Ledger, receiver: Receiver
) -> None:
    append(ledger.log, 40, 41)
    name = added(ledger, receiver)["id"]
    assert webhook(ledger, "disable", name).out.endswith("disabled: by hand\n")
    status = ledger.run("status", "--json").document
    assert (status["webhooks"]["disabled"], status["says"]) == (1, [])
    assert webhook(ledger, "enable", name).out == f"subscription {name}, after position 2: enabled\n"
    assert webhook(ledger, "enable", name, "--after", "1", "--json").document["position"] == 1
    webhook(ledger, "remove", name)
    assert webhook(ledger, "list").out == "nobody is subscribed\n"


def test_dead_letters_are_listed_sent_again_and_dropped(ledger: Ledger, receiver: Receiver) -> None:
    name = with_dead_letters(ledger, receiver, 2)
    document = webhook(ledger, "failures", "--json").document
    assert [letter["position"] for letter in document["dead_letters"]] == [1, 2]
    first = document["dead_letters"][0]
    assert (first["webhook"], first["tries"], first["status"]) == (name, schedule.REFUSALS, 400)
    assert webhook(ledger, "failures", name, "--json").document == document
    assert "400 Bad Request" in webhook(ledger, "failures").out
    assert ledger.run("status", "--json").document["webhooks"]["dead_letters"] == 2

    receiver.replies = lambda request: Reply(400 if request.position == 1 else 200)
    ran = webhook(ledger, "retry", name, "--json", code=1)
    assert [(each["position"], each["delivered"]) for each in ran.document["retried"]] == [
        (1, False),
        (2, True),
    ]
    assert "NOT delivered" in webhook(ledger, "retry", name, "1", code=1).out
    webhook(ledger, "retry", name, "2", code=1)
    assert webhook(ledger, "drop", name, "1", "--json").document == {"webhook": name, "dropped": [1]}
    assert webhook(ledger, "failures").out == "there are no dead letters\n"
    assert webhook(ledger, "retry", name).out == "there are no dead letters\n"
    assert webhook(ledger, "drop", name).out == "dropped: nothing\n"


def test_a_dead_letter_that_is_unreadable_is_dropped_as_the_error_says(
    ledger: Ledger, receiver: Receiver
) -> None:
    name = with_dead_letters(ledger, receiver, 2)
    ledger.log.client.hset(keys.dead_letters(ledger.log.ledger, name), "1", "garbage")
    for words in (("failures",), ("retry", name), ("retry", name, "1"), ("drop", name)):
        assert f"approvals webhook drop {name} 1" in webhook(ledger, *words, code=1).err
    assert webhook(ledger, "drop", name, "1").out == "dropped: 1\n"
    assert webhook(ledger, "drop", name).out == "dropped: 2\n"


def test_where_nobody_answers_the_other_dead_letters_are_not_tried(
    ledger: Ledger, receiver: Receiver
) -> None:
    name = with_dead_letters(ledger, receiver, 2)
    receiver.close()
    ran = webhook(ledger, "retry", name, "--json", code=1)
    assert [each["position"] for each in ran.document["retried"]] == [1]
    assert ran.err == "no answer came, so 1 more were not tried\n"


def test_a_test_that_is_not_taken_says_so(ledger: Ledger, receiver: Receiver) -> None:
    name = added(ledger, receiver)["id"]
    receiver.reply(404)
    assert webhook(ledger, "test", name, code=1).out == "NOT delivered: 404 Not Found\n"
    assert webhook(ledger, "test", name, "--json", code=1).document["status"] == 404
