"""Deliveries: every event after the cursor, in order, at least once, signed; what fails is tried again, or set aside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import pytest
from standardwebhooks import WebhookVerificationError

from events import BadQuestion, EventData, Log, LogForked, RecordedEvent, Unreadable, as_json_line, keys
from projections import PROJECTIONS, Store, replay
from workers import webhooks
from workers.webhooks import (
    Attempt,
    Subscription,
    dead_letters,
    outcomes,
    schedule,
    sending,
    subscriptions,
)
from workers.webhooks.schedule import DELAYS, REFUSALS, Next
from workers.webhooks.sending import Answer

from .given import append, append_newer, append_raw, drain, granted, stored, total
from .receiver import Receiver, Reply, Request

DAY = 86_400.0


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_706_500_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def subscription(log: Log, receiver: Receiver) -> Subscription:
    """The receiver is subscribed to all that comes."""
    return subscriptions.add(log, receiver.url, private=True)


def deliver(log: Log, to: Subscription, clock: Clock | None = None) -> list[Attempt]:
    """All that is due."""
    attempts = webhooks.deliveries(log, to.id, **({"clock": clock} if clock else {}))
    return [attempt for attempt in attempts if attempt is not None]


def until_settled(log: Log, to: Subscription, clock: Clock) -> list[Attempt]:
    """All tries of all events, each as soon as it is due."""
    attempts: list[Attempt] = []
    while (now := subscriptions.get(log, to.id)).enabled and now.position < log.head():
        clock.now = max(clock.now, now.due_ms / 1000)
        attempts += deliver(log, to, clock)
    return attempts


def test_what_is_appended_after_the_subscription_is_delivered_once_and_in_order(
    log: Log, receiver: Receiver
) -> None:
    append(log, 40, 41)
    subscription = subscriptions.add(log, receiver.url, private=True)
    append(log, 42, 43, 44)
    assert [attempt.then for attempt in deliver(log, subscription)] == ["delivered"] * 3
    assert receiver.positions == [3, 4, 5]
    assert deliver(log, subscription) == []
    append(log, 45)
    deliver(log, subscription)
    assert receiver.positions == [3, 4, 5, 6]


def test_the_body_is_the_event_as_the_log_shows_it_and_the_path_is_that_of_the_url(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)
    deliver(log, subscription)
    (request,) = receiver.requests
    (recorded,) = log.read()
    assert request.body == as_json_line(recorded)
    assert request.path == "/hook?key=1"
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


def test_every_delivery_is_signed_as_standard_webhooks_has_it(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)
    deliver(log, subscription)
    (request,) = receiver.requests
    assert request.verified_with(subscription.secret) == request.event
    other = subscriptions.add(log, receiver.url, private=True).secret
    with pytest.raises(WebhookVerificationError):
        request.verified_with(other)
    with pytest.raises(WebhookVerificationError):
        replace(request, body=request.body.replace(b"40", b"41")).verified_with(subscription.secret)


def test_the_secret_is_shown_in_no_text_of_the_subscription(subscription: Subscription) -> None:
    assert subscription.secret.startswith("whsec_")
    assert subscription.secret not in repr(subscription)


def test_a_subscription_may_begin_at_any_position(log: Log, receiver: Receiver) -> None:
    append(log, 40, 41, 42)
    deliver(log, subscriptions.add(log, receiver.url, private=True, after=0))
    deliver(log, subscriptions.add(log, receiver.url, private=True, after=2))
    assert receiver.positions == [1, 2, 3, 3]
    for position in (4, -1):
        with pytest.raises(BadQuestion, match="the log ends at position 3"):
            subscriptions.add(log, receiver.url, private=True, after=position)


def test_given_the_log_is_replaced_while_somebody_subscribes_when_it_is_shorter_then_that_is_told(
    log: Log, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 40, 41)
    original = Log.head

    def head(self: Log) -> int:
        last = original(self)
        log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
        return last

    monkeypatch.setattr(Log, "head", head)
    with pytest.raises(LogForked, match="had position 2 a moment ago"):
        subscriptions.add(log, receiver.url, private=True)
    assert subscriptions.all_of(log) == []


def test_a_subscription_gets_the_types_that_it_asked_for(log: Log, receiver: Receiver) -> None:
    subscription = subscriptions.add(log, receiver.url, ["approval.granted.v1"], private=True)
    grant = granted("Baidu", "Ernie", "2023-08-31")
    reports = [total(">40", "2024-01-28")] * 150
    for n, data in enumerate([*reports, grant, *reports]):
        append_one(log, f"e{n}", data)
    (attempt,) = deliver(log, subscription)
    assert (attempt.position, attempt.then) == (151, "delivered")
    assert receiver.positions == [151]
    assert subscriptions.get(log, subscription.id).position == 301
    with pytest.raises(BadQuestion, match="is not an event type"):
        subscriptions.add(log, receiver.url, ["approval.granted"], private=True)


def append_one(log: Log, id: str, data: EventData) -> None:
    from events import Event

    log.append([Event(id=id, source="urn:desk", data=data)])


def test_an_event_of_a_newer_version_is_delivered_too(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append_newer(log, id="n1", figure=40)
    deliver(log, subscription)
    assert receiver.requests[0].event["type"] == "total.reported.v9"


def test_each_subscription_has_a_cursor_of_its_own(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    with Receiver() as other:
        away = subscriptions.add(log, other.url, private=True)
        other.reply(503)
        append(log, 40, 41)
        deliver(log, subscription)
        deliver(log, away)
        assert receiver.positions == [1, 2]
        assert other.positions == [1]
        assert [each.position for each in subscriptions.all_of(log)] == [2, 0]


# What fails


def test_a_failed_delivery_is_tried_again_when_it_is_due_with_the_same_id_and_the_rest_waits(
    log: Log, receiver: Receiver, subscription: Subscription, clock: Clock
) -> None:
    append(log, 40, 41)
    receiver.reply(503, 200)
    (attempt,) = deliver(log, subscription, clock)
    assert (attempt.position, attempt.then, attempt.answer.status) == (1, "again", 503)
    assert DELAYS[0] <= attempt.seconds <= DELAYS[0] * 1.1
    clock.now += DELAYS[0] - 1
    assert deliver(log, subscription, clock) == []
    clock.now += 2
    assert [attempt.then for attempt in deliver(log, subscription, clock)] == ["delivered"] * 2
    assert receiver.positions == [1, 1, 2]
    first, again, next_one = receiver.requests
    assert first.id == again.id != next_one.id
    assert int(again.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])


def test_given_a_try_that_failed_by_a_clock_a_year_ahead_when_that_is_put_right_then_the_event_is_tried_at_once(
    log: Log, receiver: Receiver, subscription: Subscription, clock: Clock
) -> None:
    append(log, 40)
    right = clock.now
    receiver.reply(503, 503, 200)
    clock.now += 365 * DAY
    deliver(log, subscription, clock)
    clock.now = right
    assert webhooks.is_due(subscriptions.get(log, subscription.id), log.head(), clock.now)
    (again,) = deliver(log, subscription, clock)
    assert again.then == "again"
    assert deliver(log, subscription, clock) == []  # the second wait is one by the right clock
    clock.now += again.seconds
    assert [attempt.then for attempt in deliver(log, subscription, clock)] == ["delivered"]


def test_two_subscriptions_never_share_an_id(log: Log, receiver: Receiver) -> None:
    append(log, 40)
    for _ in range(2):
        deliver(log, subscriptions.add(log, receiver.url, private=True, after=0))
    assert len({request.id for request in receiver.requests}) == 2


def test_a_receiver_that_is_away_is_waited_for_in_order_and_then_the_subscription_stops_and_loses_nothing(
    log: Log, receiver: Receiver, subscription: Subscription, clock: Clock
) -> None:
    append(log, 40, 41)
    receiver.reply(502)
    began = clock.now
    attempts = until_settled(log, subscription, clock)
    assert [attempt.then for attempt in attempts] == ["again"] * len(DELAYS) + ["disable"]
    assert set(receiver.positions) == {1}
    assert 3 * DAY < clock.now - began < 4 * DAY
    stopped = subscriptions.get(log, subscription.id)
    assert (stopped.enabled, stopped.position, stopped.says) == (False, 0, "502 Bad Gateway")
    assert dead_letters.all_of(log, subscription.id) == []

    receiver.reply(200)
    assert deliver(log, subscription, clock) == []
    subscriptions.enable(log, subscription.id)
    deliver(log, subscription, clock)
    assert receiver.positions[-2:] == [1, 2]


def test_an_event_that_the_receiver_refuses_is_set_aside_and_the_rest_goes_on(
    log: Log, receiver: Receiver, subscription: Subscription, clock: Clock
) -> None:
    append(log, 40, 41, 42)
    receiver.replies = lambda request: (
        Reply(500, body=b"cannot parse\n\x1b[31m") if request.position == 2 else Reply()
    )
    attempts = until_settled(log, subscription, clock)
    assert [attempt.then for attempt in attempts if attempt.position == 2] == [
        *["again"] * (REFUSALS - 1),
        "set-aside",
    ]
    assert receiver.positions == [1, *[2] * REFUSALS, 3]
    (letter,) = dead_letters.all_of(log, subscription.id)
    assert (letter.position, letter.tries, letter.status) == (2, REFUSALS, 500)
    assert letter.says == "500 Internal Server Error: cannot parse  [31m"


def test_tries_that_found_nobody_do_not_count_as_refusals() -> None:
    away, refused = Answer(0, "no connection"), Answer(500, "no")
    assert schedule.after(refused, tries=8, refusals=1).what == "again"
    assert schedule.after(refused, tries=REFUSALS, refusals=REFUSALS).what == "set-aside"
    assert schedule.after(away, tries=len(DELAYS), refusals=0).what == "again"
    assert schedule.after(away, tries=len(DELAYS) + 1, refusals=0).what == "disable"
    assert [
        status for status in range(300, 600) if not schedule.is_refusal(Answer(status, "")) and status
    ] == [408, 425, 429, 502, 503, 504]


def test_a_receiver_that_is_gone_is_not_asked_again(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)
    receiver.reply(410)
    (attempt,) = deliver(log, subscription)
    assert attempt.then == "disable"
    assert deliver(log, subscription) == []
    assert subscriptions.get(log, subscription.id).says == "410 Gone"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("30", 30),
        ("7", 7),
        ("1", DELAYS[0]),
        ("99999999", DAY),
        ("9" * 10, DAY),
        ("9" * 400, DAY),
        ("soon", DELAYS[0]),
    ],
)
def test_a_receiver_may_ask_for_time_up_to_a_day(
    log: Log, receiver: Receiver, subscription: Subscription, asked: str, seconds: float
) -> None:
    append(log, 40)
    receiver.replies = lambda _: Reply(429, {"Retry-After": asked})
    (attempt,) = deliver(log, subscription)
    assert seconds <= attempt.seconds <= max(seconds, DELAYS[0] * 1.1)


def test_a_date_in_retry_after_is_a_time_to_wait_until() -> None:
    assert sending._seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert (sending._seconds("Fri, 21 Oct 2250 07:28:00 GMT") or 0) > DAY
    assert sending._seconds("Fri, 99 Oct 2250 07:28:00 GMT") is None


def test_a_redirect_is_a_failure_and_is_not_followed(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)
    with Receiver() as elsewhere:
        receiver.replies = lambda _: Reply(307, {"Location": elsewhere.url})
        (attempt,) = deliver(log, subscription)
        assert (attempt.then, attempt.answer.status) == ("again", 307)
        assert elsewhere.requests == []


def test_a_proxy_in_the_environment_is_not_used(
    log: Log, receiver: Receiver, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 40)
    with Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        deliver(log, subscription)
        assert (receiver.positions, proxy.requests) == ([1], [])


def test_what_is_no_event_is_set_aside_without_being_sent(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append_raw(log, b"{torn", id="t1")
    append(log, 40)
    assert [attempt.then for attempt in deliver(log, subscription)] == ["set-aside", "delivered"]
    assert receiver.positions == [2]
    (letter,) = dead_letters.all_of(log, subscription.id)
    assert letter.position == 1
    assert "restore a backup" in letter.says


# Dead letters


@pytest.fixture
def with_dead_letter(log: Log, receiver: Receiver, subscription: Subscription, clock: Clock) -> Subscription:
    """The receiver did not take the event at position 1."""
    append(log, 40, 41)
    receiver.replies = lambda request: Reply(400 if request.position == 1 else 200)
    until_settled(log, subscription, clock)
    return subscription


def test_a_dead_letter_is_sent_again_on_demand_and_forgotten_when_it_is_taken(
    log: Log, receiver: Receiver, with_dead_letter: Subscription
) -> None:
    name = with_dead_letter.id
    assert webhooks.send_again(log, name, 1).status == 400
    assert [letter.tries for letter in dead_letters.all_of(log, name)] == [REFUSALS + 1]
    receiver.reply(200)
    assert webhooks.send_again(log, name, 1).is_success
    assert dead_letters.all_of(log, name) == []
    assert {request.id for request in receiver.requests if request.position == 1} == {receiver.requests[0].id}
    assert subscriptions.get(log, name).position == 2
    with pytest.raises(BadQuestion, match="no dead letter at position 1"):
        webhooks.send_again(log, name, 1)


def test_a_dead_letter_of_another_log_is_not_sent(
    log: Log, receiver: Receiver, with_dead_letter: Subscription
) -> None:
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
    for figure in (None, 50):
        if figure:
            append(log, figure)
        with pytest.raises(LogForked, match="webhook drop"):
            webhooks.send_again(log, with_dead_letter.id, 1)
    assert len(receiver.requests) == REFUSALS + 1


def test_a_dead_letter_can_be_dropped(log: Log, with_dead_letter: Subscription) -> None:
    assert dead_letters.count(log, [with_dead_letter.id]) == {with_dead_letter.id: 1}
    assert dead_letters.drop(log, with_dead_letter.id, 1)
    assert not dead_letters.drop(log, with_dead_letter.id, 1)
    assert dead_letters.count(log, [with_dead_letter.id]) == {with_dead_letter.id: 0}


def test_whoever_is_removed_leaves_nothing_behind(log: Log, with_dead_letter: Subscription) -> None:
    subscriptions.remove(log, with_dead_letter.id)
    assert not list(log.client.scan_iter(f"{{{log.ledger}}}:webhook*"))
    with pytest.raises(BadQuestion, match="no subscription"):
        subscriptions.remove(log, with_dead_letter.id)


@pytest.mark.parametrize("meanwhile", ["removed", "dropped", "tried"])
def test_a_dead_letter_that_changes_while_it_is_sent_again_stays_as_it_was_changed(
    log: Log, receiver: Receiver, with_dead_letter: Subscription, meanwhile: str
) -> None:
    name, place = with_dead_letter.id, keys.dead_letters(log.ledger, with_dead_letter.id)

    def reply(_: Request) -> Reply:
        match meanwhile:
            case "removed":
                subscriptions.remove(log, name)
            case "dropped":
                dead_letters.drop(log, name, 1)
            case _:
                (letter,) = dead_letters.all_of(log, name)
                log.client.hset(place, "1", replace(letter, tries=20).to_bytes())
        return Reply(500)

    receiver.replies = reply
    assert webhooks.send_again(log, name, 1).status == 500
    left = dead_letters.all_of(log, name)
    assert [letter.tries for letter in left] == ([20] if meanwhile == "tried" else [])
    assert bool(log.client.exists(place)) == (meanwhile == "tried")


# What happens meanwhile


def test_who_is_disabled_gets_nothing_and_keeps_its_place(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)
    assert not subscriptions.disable(log, subscription.id).enabled
    assert deliver(log, subscription) == []
    append(log, 41)
    subscriptions.enable(log, subscription.id)
    deliver(log, subscription)
    assert receiver.positions == [1, 2]
    subscriptions.enable(log, subscription.id, after=0)
    deliver(log, subscription)
    assert receiver.positions == [1, 2, 1, 2]


def changed_in_between(log: Log, id: str, what: str) -> None:
    changes: dict[str, Callable[[], object]] = {
        "disabled": partial(subscriptions.disable, log, id),
        "removed": partial(subscriptions.remove, log, id),
        "moved": partial(subscriptions.enable, log, id, after=3),
    }
    changes[what]()


@pytest.mark.parametrize("what", ["disabled", "removed", "moved"])
@pytest.mark.parametrize("status", [200, 500])
def test_a_subscription_that_changes_while_an_event_is_on_its_way_stays_as_it_was_changed(
    log: Log, receiver: Receiver, subscription: Subscription, what: str, status: int
) -> None:
    append(log, 40, 41, 42)

    def reply(_: Request) -> Reply:
        if len(receiver.requests) == 1:
            changed_in_between(log, subscription.id, what)
        return Reply(status)

    receiver.replies = reply
    deliver(log, subscription)
    assert receiver.positions == [1]
    now = subscriptions.find(log, subscription.id)
    if what == "removed":
        assert now is None
        assert not list(log.client.scan_iter(f"{{{log.ledger}}}:webhook*"))
    elif what == "moved":
        assert now is not None
        assert (now.position, now.tries, now.enabled) == (3, 0, True)
    else:
        assert now is not None
        assert (now.position, now.enabled) == (int(status == 200), False)


def test_a_worker_that_was_paused_changes_nothing_when_it_wakes_up(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40, 41, 42)

    def reply(_: Request) -> Reply:
        if len(receiver.requests) == 1:  # while the first try waits, another worker delivers everything
            deliver(log, subscription)
        return Reply()

    receiver.replies = reply
    assert deliver(log, subscription) == []
    assert receiver.positions == [1, 1, 2, 3]
    assert subscriptions.get(log, subscription.id).position == 3


def test_two_workers_that_fail_at_the_same_time_count_as_one_try(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40)

    def reply(_: Request) -> Reply:
        if len(receiver.requests) == 1:
            assert [attempt.then for attempt in deliver(log, subscription)] == ["again"]
        return Reply(503)

    receiver.replies = reply
    assert deliver(log, subscription) == []
    assert subscriptions.get(log, subscription.id).tries == 1


def test_a_replay_sends_nothing_again(log: Log, receiver: Receiver, subscription: Subscription) -> None:
    append(log, 40, 41)
    deliver(log, subscription)
    for projection in PROJECTIONS.values():
        store = Store(log, projection)
        drain(store.open_live())
        replay.adopt(store, replay.rebuild(store))
    assert deliver(log, subscription) == []
    assert receiver.positions == [1, 2]


@pytest.mark.parametrize("left", [0, 1, 2])
def test_another_log_than_the_one_that_was_read_is_noticed_and_nothing_is_sent(
    log: Log, receiver: Receiver, subscription: Subscription, left: int
) -> None:
    append(log, 40, 41)
    deliver(log, subscription)
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
    for figure in range(50, 50 + left):
        append(log, figure)
    assert webhooks.is_due(subscriptions.get(log, subscription.id), log.head(), 0) == (left != 2)
    with pytest.raises(LogForked, match=r"webhook enable \w+ --after POSITION"):
        deliver(log, subscription)
    assert receiver.positions == [1, 2]
    assert "rolled back" in subscriptions.get(log, subscription.id).says
    assert deliver(log, subscription) == []
    subscriptions.enable(log, subscription.id, after=0)
    append(log, 60)
    deliver(log, subscription)
    assert receiver.positions == [1, 2, *range(1, left + 2)]


@pytest.mark.parametrize("what", ["removed", "moved"])
def test_given_another_log_is_noticed_when_the_subscription_was_changed_meanwhile_then_it_stays_as_it_was_changed(
    log: Log, subscription: Subscription, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 40, 41)
    deliver(log, subscription)
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
    append(log, 50, 51, 52)
    real = Log.page

    def page(of: Log, *asked: int) -> list[RecordedEvent]:
        changed_in_between(log, subscription.id, what)
        return real(of, *asked)

    monkeypatch.setattr(Log, "page", page)
    with pytest.raises(LogForked):
        deliver(log, subscription)
    now = subscriptions.find(log, subscription.id)
    if what == "removed":
        assert now is None
    else:
        assert now is not None
        assert (now.position, now.enabled, now.says) == (3, True, "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("position", "x"),
        ("url", "ftp://a.example"),
        ("secret", "whsec_?"),
        ("says", b"\xff"),
        ("types", None),
    ],
)
def test_a_subscription_that_something_else_wrote_to_says_so(
    log: Log, subscription: Subscription, field: str, value: str | bytes | None
) -> None:
    key = keys.webhook(log.ledger, subscription.id)
    if value is None:
        log.client.hdel(key, field)
    else:
        log.client.hset(key, field, value)
    with pytest.raises(Unreadable, match="something else wrote to it"):
        subscriptions.get(log, subscription.id)


def test_a_subscription_that_is_no_hash_says_that_alone(log: Log, subscription: Subscription) -> None:
    """What a key of the wrong type would otherwise advise, such as to restore a backup, is not the way out here."""
    log.client.delete(keys.webhook(log.ledger, subscription.id))
    log.client.set(keys.webhook(log.ledger, subscription.id), "no hash")
    with pytest.raises(
        Unreadable, match=r"\(not a hash\): something else wrote to it\. Run `approvals webhook remove"
    ):
        subscriptions.get(log, subscription.id)


@pytest.mark.parametrize(
    ("position", "value", "way_out"),
    [
        ("1", "garbage", "webhook drop {} 1"),
        ("1", "[]", "webhook drop {} 1"),
        ("1", "{}", "webhook drop {} 1"),
        (
            "1",
            '{"entry":"","tries":"x","status":0,"says":"","failed_ms":0}',
            "webhook drop {} 1",
        ),
        ("nowhere", "{}", "webhook remove {}"),
    ],
)
def test_a_dead_letter_that_something_else_wrote_says_so(
    log: Log, with_dead_letter: Subscription, position: str, value: str, way_out: str
) -> None:
    name = with_dead_letter.id
    log.client.hset(keys.dead_letters(log.ledger, name), position, value)
    with pytest.raises(
        Unreadable, match=f"something else wrote to it. Run `approvals {way_out.format(name)}`"
    ):
        dead_letters.all_of(log, name)
    if position == "1":
        with pytest.raises(Unreadable, match="something else wrote to it"):
            webhooks.send_again(log, name, 1)
        assert dead_letters.drop(log, name, 1)
        assert dead_letters.all_of(log, name) == []


def test_given_dead_letters_of_another_type_when_they_are_read_then_that_is_told_and_other_subscriptions_have_theirs(
    log: Log, with_dead_letter: Subscription, receiver: Receiver
) -> None:
    other, name = subscriptions.add(log, receiver.url, private=True), with_dead_letter.id
    log.client.set(place := keys.dead_letters(log.ledger, name), "x")
    for read in (
        lambda: dead_letters.all_of(log, name),
        lambda: dead_letters.count(log, [other.id, name]),
        lambda: dead_letters.drop(log, name, 1),
        lambda: webhooks.send_again(log, name, 1),
    ):
        with pytest.raises(Unreadable, match=rf"webhook {name} are not a hash: .* {place}\. Delete that key"):
            read()
    assert dead_letters.count(log, [other.id]) == {other.id: 0}


def test_given_dead_letters_of_another_type_when_an_event_is_to_be_set_aside_then_it_is_offered_no_more(
    log: Log, receiver: Receiver, subscription: Subscription, clock: Clock
) -> None:
    append(log, 40)
    log.client.set(place := keys.dead_letters(log.ledger, subscription.id), "x")
    receiver.reply(400)
    with pytest.raises(Unreadable, match="are not a hash"):
        until_settled(log, subscription, clock)
    assert receiver.positions == [1] * REFUSALS
    stopped = subscriptions.get(log, subscription.id)
    assert (stopped.enabled, stopped.position, place in stopped.says) == (False, 0, True)
    log.client.delete(place)
    subscriptions.enable(log, subscription.id)
    until_settled(log, subscription, clock)
    (letter,) = dead_letters.all_of(log, subscription.id)
    assert letter.position == 1


def test_given_something_else_wrote_who_is_subscribed_when_it_is_read_then_that_is_told_and_nothing_is_added(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    place = keys.webhooks(log.ledger)
    log.client.set(place, "x")
    before = stored(log, "webhook:")
    for read in (
        lambda: subscriptions.all_of(log),
        lambda: subscriptions.add(log, receiver.url, private=True),
        lambda: subscriptions.remove(log, subscription.id),
    ):
        with pytest.raises(Unreadable, match=rf"{place} is not a set, something else wrote to it\. Delete"):
            read()
    assert stored(log, "webhook:") == before
    log.client.delete(place)
    log.client.sadd(place, subscription.id)
    assert subscriptions.all_of(log) == [subscription]


def test_a_number_of_tries_that_something_else_wrote_says_so(
    log: Log, with_dead_letter: Subscription
) -> None:
    place = keys.deliveries(log.ledger)
    log.client.set(place, "no hash")
    with pytest.raises(Unreadable, match=r"\(not a hash\): something else wrote to it\. Delete"):
        outcomes.counts(log)
    log.client.delete(place)
    log.client.hset(place, "failed", "abc")
    with pytest.raises(Unreadable, match=r"something else wrote to it\. Delete"):
        outcomes.counts(log)
    assert webhooks.send_again(log, with_dead_letter.id, 1).status == 400  # which depends on no number
    log.client.delete(keys.deliveries(log.ledger))
    assert outcomes.counts(log) == dict.fromkeys(outcomes.OUTCOMES, 0)


def test_a_test_is_sent_at_once_and_is_no_event_of_the_log(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    subscriptions.disable(log, subscription.id)
    assert webhooks.send_test(log, subscription.id).is_success
    (request,) = receiver.requests
    assert request.verified_with(subscription.secret)["type"] == "webhook.test.v1"
    assert log.head() == 0
    assert json.loads(request.body)["source"] == f"urn:approval-ledger:{log.ledger}"


def test_only_the_next_event_is_tried_where_nobody_asks_for_more(
    log: Log, receiver: Receiver, subscription: Subscription
) -> None:
    append(log, 40, 41, 42)
    assert len(list(islice(webhooks.deliveries(log, subscription.id), 1))) == 1
    assert receiver.positions == [1]


def test_what_is_due_is_told_from_the_cursor_and_the_clock(subscription: Subscription) -> None:
    waits = replace(subscription, due_ms=5_000)
    assert [webhooks.is_due(subscription, head, 0) for head in (0, 1)] == [False, True]
    assert [webhooks.is_due(waits, 1, now) for now in (4.9, 5.0)] == [False, True]
    assert not webhooks.is_due(replace(subscription, enabled=False), 1, 9)
    assert Next("again").seconds == 0
