"""Webhooks over HTTP: the same subscriptions and dead letters as the command's, for who administers the ledger alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from approval_ledger import tokens
from events import Log, keys
from workers import deliver_here, webhooks
from workers.webhooks import Subscription, schedule, subscriptions

from .api import Api, problem, running
from .command import Ledger
from .given import append
from .receiver import Receiver, Reply
from .servers import Server
from .test_api_metrics import read

PUBLIC = "https://8.8.8.8/hook?key=secret-of-the-receiver"  # nothing is sent there: no worker runs


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def here(log: Log, receiver: Receiver) -> Subscription:
    """One whose receiver is on this machine, which is allowed by the command alone."""
    return subscriptions.add(log, receiver.url, private=True)


def call(api: Api, log: Log, method: str, path: str = "", body: Any = None, **headers: str) -> Any:
    sent = {"json": body} if body is not None else {}
    return api.client.request(method, f"/ledgers/{log.ledger}/webhooks{path}", headers=headers, **sent)


def deliver_all(log: Log, subscription: Subscription) -> None:
    clock = iter(range(0, 10**9, 10**5))
    while subscriptions.get(log, subscription.id).position < log.head():
        list(webhooks.deliveries(log, subscription.id, clock=lambda: float(next(clock))))


@pytest.fixture
def refused(log: Log, receiver: Receiver, here: Subscription) -> Subscription:
    """One that has a dead letter, at position 1 of 2."""
    append(log, 40, 41)
    receiver.replies = lambda request: Reply(400 if request.position == 1 else 200, body=b"not that one")
    deliver_all(log, here)
    return here


def test_a_subscription_is_made_listed_shown_and_removed_as_by_the_command(server: Server) -> None:
    ledger = Ledger(server)
    append(ledger.log, 40, 41)
    with running(server) as api:
        new = call(api, ledger.log, "POST", body={"url": PUBLIC, "types": ["total.reported.v1"], "after": 1})
        assert new.status_code == 201
        assert new.headers["cache-control"] == "no-store"
        report = new.json()
        secret = report.pop("secret")
        assert secret == subscriptions.get(ledger.log, report["id"]).secret
        listed = ledger.run("webhook", "list", "--json").document
        assert call(api, ledger.log, "GET").json() == listed
        assert listed["webhooks"] == [report]
        assert (report["position"], report["types"], report["private"]) == (1, ["total.reported.v1"], False)
        assert api.client.get(new.headers["location"]).json() == report
        gone = api.client.delete(new.headers["location"])
        assert (gone.status_code, gone.content) == (204, b"")
        problem(api.client.get(new.headers["location"]), 404, "not-found")
        problem(api.client.delete(new.headers["location"]), 404, "not-found")
    assert ledger.run("webhook", "list", "--json").document["webhooks"] == []


def test_the_secret_is_shown_once(api: Api, log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    new = call(api, log, "POST", body={"url": PUBLIC}).json()
    assert new["secret"].startswith("whsec_")
    for path in ("", f"/{new['id']}", f"/{new['id']}/dead-letters"):
        assert new["secret"] not in call(api, log, "GET", path).text
    assert new["secret"] not in api.client.get("/metrics").text
    assert new["secret"] not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:8765/", "127.0.0.1"),
        ("http://[::1]/", "::1"),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("http://10.0.0.1/", "10.0.0.1"),
        ("http://localhost/", "127.0.0.1"),
        ("ftp://8.8.8.8/", "must begin with"),
        ("https://user:password@8.8.8.8/", "a user or a password"),
    ],
)
def test_events_are_sent_to_the_public_internet_alone(api: Api, log: Log, url: str, says: str) -> None:
    refused = problem(call(api, log, "POST", body={"url": url}), 422, "address-refused")
    assert says in refused["detail"] or url.startswith("http://localhost")
    assert subscriptions.all_of(log) == []


def test_what_lets_events_into_a_private_network_is_not_taken_over_http(api: Api, log: Log) -> None:
    for name in ("private", "allow_private"):
        asked = {"url": "http://127.0.0.1/", name: True}
        fault = problem(call(api, log, "POST", body=asked), 422, "validation")["faults"][0]
        assert fault["pointer"] == f"/{name}"
    assert subscriptions.all_of(log) == []


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({}, 422, "validation", "/url"),
        ([], 422, "validation", ""),
        ({"url": 5}, 422, "validation", "/url"),
        ({"url": PUBLIC, "after": -1}, 422, "validation", "/after"),
        ({"url": PUBLIC, "after": "1"}, 422, "validation", "/after"),
        ({"url": PUBLIC, "after": True}, 422, "validation", "/after"),
        ({"url": PUBLIC, "after": 1.5}, 422, "validation", "/after"),
        ({"url": PUBLIC, "after": None}, 422, "validation", "/after"),
        ({"url": PUBLIC, "types": "total.reported.v1"}, 422, "validation", "/types"),
        ({"url": PUBLIC, "types": ["none.v1"]}, 422, "bad-question", None),
        ({"url": PUBLIC, "after": 99}, 422, "bad-question", None),
    ],
)
def test_what_is_no_subscription_is_refused_with_what_is_wrong(
    api: Api, log: Log, body: Any, status: int, code: str, pointer: str | None
) -> None:
    document = problem(call(api, log, "POST", body=body), status, code)
    if pointer is not None:
        assert [fault["pointer"] for fault in document["faults"]] == [pointer]
    assert not re.search("Subscribe|tuple", document["detail"])  # Python's words, not JSON's
    assert subscriptions.all_of(log) == []


def test_a_body_that_is_no_json_or_does_not_say_so_is_refused(api: Api, log: Log) -> None:
    address = f"/ledgers/{log.ledger}/webhooks"
    content = json.dumps({"url": PUBLIC}).encode()
    problem(api.client.post(address, content=content), 415, "unsupported-media-type")
    form = {"Content-Type": "text/plain"}  # what a form of another site can send
    problem(api.client.post(address, content=content, headers=form), 415, "unsupported-media-type")
    as_json = {"Content-Type": "application/json; charset=utf-8"}
    for wrong, code in ((b"{", "invalid-json"), (b'{"url": "x", "url": "y"}', "duplicate-key")):
        problem(api.client.post(address, content=wrong, headers=as_json), 400, code)
    problem(api.client.post(address, content=b" " * 70_000, headers=as_json), 413, "too-large")
    assert subscriptions.all_of(log) == []
    assert api.client.post(address, content=content, headers=as_json).status_code == 201


@pytest.mark.parametrize(
    "given",
    [
        [("Content-Type", "application/json; charset=utf-16")],
        [("Content-Type", "application/json"), ("Content-Type", "application/json")],
        [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
        [("Content-Type", "application/json"), ("Content-Encoding", "identity"), ("Content-Encoding", "br")],
    ],
)
def test_a_body_in_another_charset_or_coding_is_415_as_for_events(
    api: Api, log: Log, given: list[tuple[str, str]]
) -> None:
    content = json.dumps({"url": PUBLIC}).encode()
    answer = api.client.post(f"/ledgers/{log.ledger}/webhooks", content=content, headers=given)
    problem(answer, 415, "unsupported-media-type")
    assert subscriptions.all_of(log) == []


def test_the_parameters_that_there_are_are_those_of_the_method_that_is_asked_with(
    api: Api, log: Log, here: Subscription
) -> None:
    refused = call(api, log, "POST", f"/{here.id}/enable?foo=1")
    assert problem(refused, 422, "unknown-parameter")["detail"].endswith("; there are after")


CALLS = [
    ("GET", ""),
    ("POST", ""),
    ("GET", "/{id}"),
    ("DELETE", "/{id}"),
    ("POST", "/{id}/enable"),
    ("POST", "/{id}/disable"),
    ("GET", "/{id}/dead-letters"),
    ("POST", "/{id}/dead-letters/1/retry"),
    ("DELETE", "/{id}/dead-letters/1"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_all_of_it_is_for_who_administers_the_ledger(
    server: Server, log: Log, refused: Subscription, receiver: Receiver, method: str, path: str
) -> None:
    texts = {scope: tokens.create(log, [scope])[1] for scope in tokens.SCOPES}
    path = path.format(id=refused.id)
    before = len(receiver.requests)
    with running(server, public_reads=True) as api:
        body = {"url": PUBLIC} if (method, path) == ("POST", "") else None
        problem(call(api, log, method, path, body), 401, "unauthenticated")
        for scope in ("read", "append"):
            sends = {"Authorization": f"Bearer {texts[scope]}"}
            problem(call(api, log, method, path, body, **sends), 403, "insufficient-scope")
        if method != "GET":
            sends = {"Authorization": f"Bearer {texts['admin']}", "Origin": "https://evil.example"}
            problem(call(api, log, method, path, body, **sends), 403, "cross-site")
        assert [each.id for each in subscriptions.all_of(log)] == [refused.id]
        assert len(receiver.requests) == before
        sends = {"Authorization": f"Bearer {texts['admin']}"}
        assert call(api, log, method, path, body, **sends).status_code in (200, 201, 204)


def test_a_subscription_is_disabled_keeps_its_place_and_goes_on(
    api: Api, log: Log, here: Subscription
) -> None:
    append(log, 40)
    stopped = call(api, log, "POST", f"/{here.id}/disable").json()
    assert (stopped["enabled"], stopped["position"]) == (False, 0)
    append(log, 41)
    going = call(api, log, "POST", f"/{here.id}/enable?after=1").json()
    assert (going["enabled"], going["position"], going["lag"]) == (True, 1, 1)
    problem(call(api, log, "POST", f"/{here.id}/enable?after=9"), 422, "bad-question")


def test_dead_letters_are_listed_sent_again_and_forgotten(
    api: Api, log: Log, refused: Subscription, receiver: Receiver
) -> None:
    (letter,) = call(api, log, "GET", f"/{refused.id}/dead-letters").json()["dead_letters"]
    assert (letter["position"], letter["tries"], letter["status"]) == (1, schedule.REFUSALS, 400)
    assert "not that one" in letter["says"]
    again = call(api, log, "POST", f"/{refused.id}/dead-letters/1/retry").json()
    assert (again["delivered"], again["status"], again["position"]) == (False, 400, 1)
    receiver.replies = lambda _: Reply()
    again = call(api, log, "POST", f"/{refused.id}/dead-letters/1/retry").json()
    assert (again["delivered"], again["status"]) == (True, 200)
    receiver.requests[-1].verified_with(refused.secret)
    assert call(api, log, "GET", f"/{refused.id}/dead-letters").json()["dead_letters"] == []
    problem(call(api, log, "POST", f"/{refused.id}/dead-letters/1/retry"), 404, "not-found")
    problem(call(api, log, "DELETE", f"/{refused.id}/dead-letters/1"), 404, "not-found")


def test_a_dead_letter_is_dropped_and_its_event_stays(api: Api, log: Log, refused: Subscription) -> None:
    assert call(api, log, "DELETE", f"/{refused.id}/dead-letters/1").status_code == 204
    assert call(api, log, "GET", f"/{refused.id}/dead-letters").json()["dead_letters"] == []
    assert log.at(1) is not None


def test_a_dead_letter_that_is_unreadable_is_503_and_can_be_dropped(
    api: Api, log: Log, refused: Subscription
) -> None:
    log.client.hset(keys.dead_letters(log.ledger, refused.id), "1", "garbage")
    for method, path in (("GET", "dead-letters"), ("POST", "dead-letters/1/retry")):
        says = problem(call(api, log, method, f"/{refused.id}/{path}"), 503, "unreadable")["detail"]
        assert f"approvals webhook drop {refused.id} 1" in says
    assert call(api, log, "DELETE", f"/{refused.id}/dead-letters/1").status_code == 204
    assert call(api, log, "GET", f"/{refused.id}/dead-letters").json()["dead_letters"] == []


@pytest.mark.parametrize("name", ["000000000000", "nonsense", "%2e%2e"])
def test_what_is_no_subscription_is_not_found(api: Api, log: Log, name: str) -> None:
    for method, path in CALLS[2:]:
        problem(call(api, log, method, path.format(id=name)), 404, "not-found")


def test_metrics_tell_of_deliveries_dead_letters_and_lag_and_of_no_url(
    server: Server, log: Log, receiver: Receiver, refused: Subscription
) -> None:
    mine = ("ledger", log.ledger)
    stopped = subscriptions.add(log, PUBLIC, after=0)
    subscriptions.disable(log, stopped.id)
    append(log, 42, 43)
    with running(server, ledger=log.ledger) as api:
        found = read(api)
        text = api.client.get("/metrics").text

        def deliveries(outcome: str) -> float:
            return found["approvals_webhook_deliveries_total", (mine, ("outcome", outcome))]

        assert (deliveries("delivered"), deliveries("set_aside")) == (1, 1)
        assert (deliveries("failed"), deliveries("disabled")) == (schedule.REFUSALS - 1, 0)
        assert found["approvals_webhook_dead_letters", (mine,)] == 1
        assert found["approvals_webhook_lag_events", (mine,)] == 2
        by_state = {
            s: found["approvals_webhook_subscriptions", (mine, ("state", s))] for s in ("enabled", "disabled")
        }
        assert by_state == {"enabled": 1, "disabled": 1}
        for told in (receiver.url, "secret-of-the-receiver", "8.8.8.8", refused.id, stopped.id):
            assert told not in text
        deliver_here(log.client, log.ledger)
        call(api, log, "POST", f"/{refused.id}/dead-letters/1/retry")
        found = read(api)
    assert found["approvals_webhook_lag_events", (mine,)] == 0
    assert (deliveries("delivered"), deliveries("failed")) == (3, schedule.REFUSALS)


def test_a_number_of_tries_that_is_unreadable_hides_no_metric_of_anything_else(
    server: Server, log: Log, here: Subscription
) -> None:
    log.client.hset(keys.deliveries(log.ledger), "failed", "abc")
    with running(server, ledger=log.ledger) as api:
        found = read(api)
    assert found["approvals_ledger_readable", (("ledger", log.ledger),)] == 1
    assert ("approvals_ledger_head_position", (("ledger", log.ledger),)) in found


def test_a_subscription_that_is_unreadable_hides_no_other_metric_and_can_be_removed(
    server: Server, log: Log, here: Subscription
) -> None:
    log.client.hset(keys.webhook(log.ledger, here.id), "position", "nonsense")
    with running(server, ledger=log.ledger) as api:
        found = read(api)
        assert found["approvals_ledger_readable", (("ledger", log.ledger),)] == 1
        assert not [name for name, _ in found if name.startswith("approvals_webhook")]
        problem(call(api, log, "GET", f"/{here.id}"), 503, "unreadable")
        assert call(api, log, "DELETE", f"/{here.id}").status_code == 204
        log.client.set(keys.webhooks(log.ledger), "no set of names")
        assert read(api)["approvals_ledger_readable", (("ledger", log.ledger),)] == 1
