"""Deliveries by RQ jobs: a process of their own, which dies and is replaced; a receiver that hangs holds up nobody."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from events import Log, LogForked, Unreadable, keys
from projections import PROJECTIONS, Store
from workers import deliver as delivering
from workers import deliver_here
from workers.deliver import Courier, deliver, due, ring
from workers.doorbell import ADVANCE
from workers.queues import DELIVER, doorbell
from workers.webhooks import Subscription, dead_letters, schedule, subscriptions

from .command import Ledger
from .given import append, counted_round_trips, url_of
from .long import only_long, some
from .receiver import Receiver, Reply, Request
from .servers import Server
from .worker_main import LEASE, Supervised, eventually

DAYS = [None, 86_400_000]
"""Milliseconds that a key stays for: for ever, or a day, which its TTL is where the server's clock is put back by a day."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def subscription(log: Log, receiver: Receiver) -> Subscription:
    return subscriptions.add(log, receiver.url, private=True)


@pytest.fixture
def supervised(log: Log) -> Iterator[Supervised]:
    with Supervised(url_of(log), log.ledger) as supervised:
        yield supervised


def cursor(log: Log, subscription: Subscription) -> int:
    return subscriptions.get(log, subscription.id).position


# Under the supervisor


def test_what_is_appended_arrives_also_where_the_subscription_is_newer_than_the_workers(
    log: Log, receiver: Receiver, supervised: Supervised
) -> None:
    supervised.when_alive()
    assert supervised.courier() is None
    append(log, 40)
    subscription = subscriptions.add(log, receiver.url, private=True)
    eventually(supervised.courier)
    append(log, 41)
    receiver.when(1)
    append(log, 42, 43)
    requests = receiver.when(3)
    assert [request.position for request in requests] == [2, 3, 4]
    for request in requests:
        request.verified_with(subscription.secret)
    eventually(lambda: cursor(log, subscription) == 4)


def test_what_fails_is_tried_again_and_told_without_the_path_of_the_url(
    log: Log, receiver: Receiver, subscription: Subscription, supervised: Supervised
) -> None:
    receiver.replies = lambda request: Reply(400 if request.position == 1 else 200)
    append(log, 40, 41)
    eventually(lambda: cursor(log, subscription) == 2)
    assert receiver.positions == [*[1] * schedule.REFUSALS, 2]
    assert len({request.id for request in receiver.requests[:-1]}) == 1
    (letter,) = dead_letters.all_of(log, subscription.id)
    assert letter.position == 1
    eventually(lambda: supervised.said("webhook_set_aside"))
    assert len(supervised.said("webhook_failed")) == schedule.REFUSALS - 1
    said = supervised.said("webhook_failed")[0]
    assert (said["webhook"], said["position"], said["says"]) == (subscription.id, 1, "400 Bad Request")
    assert said["host"] == f"127.0.0.1:{receiver.port}"
    assert "/hook" not in str(supervised.said())


@only_long
@pytest.mark.parametrize("answered", [False, True])
def test_a_worker_that_is_killed_before_the_cursor_moved_delivers_again_under_the_same_id(
    log: Log, receiver: Receiver, subscription: Subscription, supervised: Supervised, answered: bool
) -> None:
    pid = eventually(supervised.courier)
    assert pid is not None

    def stopped(_: Request) -> Reply:
        if len(receiver.requests) == 1:
            os.kill(pid, signal.SIGSTOP)  # so that it cannot read the answer
            if not answered:
                os.kill(pid, signal.SIGKILL)
        return Reply()

    receiver.replies = stopped
    append(log, 40, 41)
    if answered:
        receiver.when(1, answered=1)
        assert cursor(log, subscription) == 0
        os.kill(pid, signal.SIGKILL)
    requests = receiver.when(3)
    assert [request.position for request in requests] == [1, 1, 2]
    assert requests[0].id == requests[1].id
    assert requests[0].body == requests[1].body
    eventually(lambda: cursor(log, subscription) == 2)


@only_long
def test_a_receiver_that_hangs_holds_up_neither_projections_nor_the_end(
    log: Log, receiver: Receiver, subscription: Subscription, supervised: Supervised
) -> None:
    over = threading.Event()
    receiver.replies = lambda _: Reply(200 if over.wait(60) else 500)
    append(log, 40)
    receiver.when(1)
    append(log, 41, 42)
    stores = [Store(log, projection) for projection in PROJECTIONS.values()]
    eventually(lambda: all(store.open_live().checkpoint().position == 3 for store in stores))
    assert receiver.positions == [1]
    assert cursor(log, subscription) == 0
    courier = supervised.courier()
    supervised.interrupt()
    eventually(lambda: courier in [line["process"] for line in supervised.said("asked_to_stop")])
    over.set()
    assert supervised.exit() == 0
    assert cursor(log, subscription) == 1  # the try that was under way is finished, and no other begun


@only_long
def test_two_processes_deliver_each_event_once_and_in_order(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    never_over = {LEASE: "600"}
    with (
        Supervised(url_of(log), log.ledger, environment=never_over) as supervised,
        Supervised(url_of(log), log.ledger, environment=never_over),
    ):
        eventually(lambda: len(supervised.couriers()) == 2)
        for figure in range(40, 60):
            append(log, figure, figure)
        eventually(lambda: cursor(log, subscription) == 40)
    assert receiver.positions == list(range(1, 41))


@only_long
def test_a_job_that_is_none_of_a_webhook_is_refused_and_the_next_one_runs(
    log: Log, receiver: Receiver, subscription: Subscription, supervised: Supervised
) -> None:
    eventually(supervised.courier)
    queue = doorbell(log.client, log.ledger, DELIVER)
    foreign = [("os.system", "touch x"), (ADVANCE, "totals"), (DELIVER, "totals")]
    for number, (function, of) in enumerate(foreign):
        job = {
            "created_at": "2026-01-01T00:00:00.000000Z",
            "origin": queue.name,
            "status": "queued",
            "data": json.dumps([function, None, [log.ledger, of], {}]),
        }
        log.client.hset(f"rq:job:poison-{number}", mapping=cast(dict[Any, Any], job))
        log.client.rpush(queue.key, f"poison-{number}")
    eventually(lambda: len(supervised.said("job_refused")) == len(foreign))
    append(log, 40)
    receiver.when(1)
    assert supervised.said("worker_died") == []


# One job


def test_a_job_leaves_a_subscription_alone_that_another_worker_has(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)
    log.client.set(keys.webhook_lease(log.ledger, subscription.id), "another", px=30_000)
    assert not deliver(log.client, log.ledger, subscription.id)
    assert receiver.requests == []
    log.client.delete(keys.webhook_lease(log.ledger, subscription.id))
    assert not deliver(log.client, log.ledger, subscription.id)
    assert receiver.positions == [1]
    assert not log.client.exists(keys.webhook_lease(log.ledger, subscription.id))


@only_long
@pytest.mark.parametrize("left", some(DAYS, every=2))
def test_given_the_servers_clock_was_put_back_when_a_lease_and_a_bell_stay_for_a_day_then_the_event_is_delivered(
    log: Log, receiver: Receiver, subscription: Subscription, supervised: Supervised, left: int | None
) -> None:
    log.client.set(keys.webhook_lease(log.ledger, subscription.id), "gone", px=left)
    log.client.set(keys.webhook_bell(log.ledger, subscription.id), "rung", px=left)
    append(log, 40)
    receiver.when(1)
    assert receiver.positions == [1]


def test_a_job_whose_lease_is_over_does_not_take_away_that_of_another(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)
    lease = keys.webhook_lease(log.ledger, subscription.id)

    def reply(_: Request) -> Reply:
        log.client.set(lease, "another")
        return Reply()

    receiver.replies = reply
    deliver(log.client, log.ledger, subscription.id)
    assert log.client.get(lease) == b"another"


def test_a_job_has_its_time_and_rings_for_the_rest(
    log: Log, receiver: Receiver, subscription: Subscription, monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    monkeypatch.setattr(delivering, "SLICE", 0.0)
    append(log, 40, 41, 42)
    assert deliver(log.client, log.ledger, subscription.id)
    assert receiver.positions == [1]
    ring(log.client, log.ledger, [subscription.id])
    Courier.of(log.client, log.ledger, f"courier-{log.ledger}").work(burst=True, logging_level="ERROR")
    assert receiver.positions == [1, 2, 3]


def test_a_job_that_passes_over_what_nobody_asked_for_has_its_time_as_well(
    log: Log, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.webhooks.delivering._PAGE", 2)
    other = subscriptions.add(log, receiver.url, types=["company.merged.v1"], private=True)
    append(log, 40, 41, 42, 43, 44)
    assert deliver(log.client, log.ledger, other.id, stopping=lambda: True)
    assert cursor(log, other) == 2
    monkeypatch.setattr(delivering, "SLICE", 0.0)
    assert deliver(log.client, log.ledger, other.id)
    assert cursor(log, other) == 4
    deliver_here(log.client, log.ledger)
    assert cursor(log, other) == 5
    assert receiver.requests == []


def test_the_bell_is_rung_once_until_a_job_takes_it_off(log: Log, subscription: Subscription) -> None:
    queue = doorbell(log.client, log.ledger, DELIVER)
    append(log, 40)
    for _ in range(3):
        ring(log.client, log.ledger, due(log, log.head(), []))
    assert len(queue) == 1
    deliver(log.client, log.ledger, subscription.id)
    assert due(log, log.head(), []) == []
    append(log, 41)
    ring(log.client, log.ledger, due(log, log.head(), []))
    assert len(queue) == 2


def test_given_many_subscriptions_when_what_is_due_is_looked_for_then_they_are_read_together(
    log: Log, receiver: Receiver
) -> None:
    """This is done for every event that is appended."""
    for _ in range(8):
        subscriptions.add(log, receiver.url, private=True)
    append(log, 40)
    with counted_round_trips() as sent:
        assert len(due(log, 1, [])) == 8
    assert len(sent) == 2


def broken_beside(log: Log, receiver: Receiver, *, whole: bool = False) -> Subscription:
    """One that something else wrote to, or wrote in place of the `whole`."""
    broken = subscriptions.add(log, receiver.url, private=True)
    if whole:
        log.client.set(keys.webhook(log.ledger, broken.id), "x")
    else:
        log.client.hset(keys.webhook(log.ledger, broken.id), "tries", "x")
    return broken


@pytest.mark.parametrize("whole", [False, True])
def test_a_subscription_that_is_unreadable_is_told_of_and_keeps_no_other_waiting(
    log: Log, receiver: Receiver, subscription: Subscription, whole: bool
) -> None:
    broken = broken_beside(log, receiver, whole=whole)
    with pytest.raises(Unreadable, match=f"webhook remove {broken.id}"):
        subscriptions.all_of(log)
    append(log, 40)
    with pytest.raises(Unreadable, match=f"webhook remove {broken.id}"):
        deliver_here(log.client, log.ledger)
    assert receiver.positions == [1]
    subscriptions.remove(log, broken.id)
    deliver_here(log.client, log.ledger)
    assert subscriptions.ids(log) == [subscription.id]


@only_long
def test_what_is_unreadable_is_told_once_as_long_as_it_lasts(
    log: Log, receiver: Receiver, subscription: Subscription, supervised: Supervised
) -> None:
    broken = broken_beside(log, receiver)
    for figure in (40, 41):
        append(log, figure)
        receiver.when(figure - 39)
    eventually(lambda: supervised.said("webhooks"))
    append(log, 42)
    receiver.when(3)
    (said,) = supervised.said("webhooks")
    assert (said["code"], broken.id in said["says"]) == ("unreadable", True)


def test_another_log_ends_the_job_and_disables_the_subscription(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)
    deliver(log.client, log.ledger, subscription.id)
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
    with pytest.raises(LogForked):
        deliver(log.client, log.ledger, subscription.id)
    assert not log.client.exists(keys.webhook_lease(log.ledger, subscription.id))
    assert due(log, log.head(), []) == []


def test_a_burst_delivers_what_is_due_and_ends(
    log: Log, receiver: Receiver, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "SLICE", 0.0)
    append(log, 40, 41)
    deliver_here(log.client, log.ledger)
    assert receiver.positions == [1, 2]
    receiver.reply(503)
    append(log, 42)
    deliver_here(log.client, log.ledger)
    deliver_here(log.client, log.ledger)
    assert receiver.positions == [1, 2, 3]


def test_the_command_delivers_in_a_burst_and_readers_do_not(server: Server, receiver: Receiver) -> None:
    ledger = Ledger(server)
    subscriptions.add(ledger.log, receiver.url, private=True)
    append(ledger.log, 40)
    ledger.run("totals")
    assert receiver.requests == []
    ledger.run("work", "--burst")
    assert receiver.positions == [1]
