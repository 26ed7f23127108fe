"""The CloudEvents SDK for Python publishes in all three modes, and reads what it published."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from events import Log, loads

from .api import BATCHED, Api
from .command import TOTAL


def made(id: str, source: str = "urn:desk") -> CloudEvent:
    return CloudEvent(
        attributes={
            "id": id,
            "source": source,
            "type": "total.reported.v1",
            "specversion": "1.0",
            "subject": "CAC/approval/model",
            "time": datetime(2024, 1, 29, 8, 0, tzinfo=UTC),
            "datacontenttype": "application/json",
        },
        data=TOTAL,
    )


def without_type(event: CloudEvent) -> dict[str, object]:
    """The attributes of an event but that which says what its data is."""
    return {name: value for name, value in event.get_attributes().items() if name != "datacontenttype"}


def send(api: Api, log: Log, message: HTTPMessage) -> int:
    answer = api.client.post(
        f"/ledgers/{log.ledger}/events", content=message.body, headers=dict(message.headers)
    )
    assert answer.status_code in (200, 201), answer.text
    return answer.status_code


@pytest.mark.parametrize("id", ["plain", "a b", "百度", "100%", 'quo"ted', "a%20b"])
def test_an_event_is_the_same_in_every_mode(api: Api, log: Log, id: str) -> None:
    event = made(id)
    assert send(api, log, to_binary_event(event)) == 201
    assert send(api, log, to_structured_event(event)) == 200
    batch = b"[" + to_structured_event(event).body + b"]"
    assert send(api, log, HTTPMessage({"content-type": BATCHED}, batch)) == 200
    (recorded,) = log.read()
    stored = loads(recorded.payload)
    assert (stored["id"], stored["data"]["count"], stored["time"]) == (
        id,
        TOTAL["count"],
        "2024-01-29T08:00:00Z",
    )


def test_an_event_that_does_not_name_the_type_of_its_data_is_taken_for_json(api: Api, log: Log) -> None:
    event = made("e1")
    message = to_binary_event(CloudEvent(attributes=without_type(event), data=TOTAL))
    assert "content-type" not in {name.lower() for name in message.headers}
    assert send(api, log, message) == 201
    assert send(api, log, to_binary_event(event)) == 200


def test_what_is_read_is_an_event_of_the_sdk(api: Api, log: Log) -> None:
    send(api, log, to_binary_event(made("e1")))
    answer = api.get(log, "events/1")
    read = from_http_event(HTTPMessage(dict(answer.headers), answer.content))
    assert (read.get_id(), read.get_source(), read.get_type()) == ("e1", "urn:desk", "total.reported.v1")
    assert read.get_extension("sequence") == f"{1:016d}"
