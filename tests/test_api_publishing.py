"""POST of events: what is taken, where it is, and what is refused. A refusal stores nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from events import Log
from workers import queue_length

from .api import BATCHED, STRUCTURED, Api, problem
from .command import TOTAL, event, text
from .given import stored

BINARY = "application/json"
ATTRIBUTES = {"ce_specversion": "1.0", "ce_id": "e1", "ce_source": "urn:desk", "ce_type": "total.reported.v1"}


@pytest.fixture
def nothing_stored(log: Log) -> Iterator[None]:
    before = stored(log)
    yield
    assert stored(log) == before


# What is taken


def test_an_event_is_stored_and_its_place_is_told(api: Api, log: Log) -> None:
    answer = api.post(log, text(event()))
    assert answer.status_code == 201
    assert api.leads(answer, answer.headers["location"]) == f"/ledgers/{log.ledger}/events/1"
    assert answer.json() == {
        "ledger": log.ledger,
        "position": 1,
        "appended": 1,
        "already": 0,
        "events": [{"status": "appended", "position": 1, "source": "urn:desk", "id": "e1"}],
    }
    assert api.client.get(api.leads(answer, answer.headers["location"])).json()["id"] == "e1"


def test_the_same_event_again_is_200_and_where_it_was(api: Api, log: Log) -> None:
    api.post(log, text(event()))
    again = api.post(log, text(event()))
    assert (again.status_code, again.json()["already"], log.head()) == (200, 1, 1)
    assert api.leads(again, again.headers["location"]) == f"/ledgers/{log.ledger}/events/1"


def test_all_three_modes_store_the_same_bytes(api: Api, log: Log) -> None:
    assert api.post(log, text(event())).status_code == 201
    assert api.post(log, text([event()]), BATCHED).status_code == 200
    assert api.post(log, text(TOTAL), BINARY, **ATTRIBUTES).status_code == 200
    assert log.head() == 1


def test_a_batch_is_stored_in_its_order(api: Api, log: Log) -> None:
    answer = api.post(log, text([event(f"e{n}") for n in range(5)]), BATCHED)
    assert [placed["position"] for placed in answer.json()["events"]] == [1, 2, 3, 4, 5]
    assert answer.json()["position"] == 5


def test_headers_are_percent_decoded_once_and_opened_where_they_are_quoted(api: Api, log: Log) -> None:
    given = ATTRIBUTES | {"ce_id": "%E7%99%BE%E5%BA%A6%2520", "ce_source": '"urn:a\\"b"', "ce_subject": "a b"}
    assert api.post(log, text(TOTAL), BINARY, **given).status_code == 201
    (recorded,) = log.read()
    assert '"id":"百度%20"' in recorded.payload.decode()
    assert '"source":"urn:a\\"b"' in recorded.payload.decode()


def test_the_bell_is_rung(api: Api, log: Log) -> None:
    api.post(log, text(event()))
    assert queue_length(log.client, log.ledger) == 5


# What is expected


def test_a_stale_position_is_412_with_the_current_one(api: Api, log: Log) -> None:
    assert api.post(log, text(event("e1")), If_Match='"0"').status_code == 201
    refused = api.post(log, text(event("e2")), If_Match='"0"')
    assert problem(refused, 412, "stale-expectation")["current"] == 1
    assert api.post(log, text(event("e2")), If_Match='"1"').status_code == 201
    assert log.head() == 2


def test_a_subject_is_expected_to_be_none_to_exist_or_to_be_at_a_position(api: Api, log: Log) -> None:
    def send(id: str, expected: str) -> int:
        return api.post(log, text(event(id, subject="s")), Expect_Subject=expected).status_code

    assert [send("e1", "exists"), send("e1", "none"), send("e2", "none"), send("e2", "exists")] == [
        412,
        201,
        412,
        201,
    ]
    assert [send("e3", "1"), send("e3", "2")] == [412, 201]


@pytest.mark.parametrize(
    "given", ["1", "abc", '"-1"', '"1.5"', f'"{2**64}"', '"1", "2"', 'W/"1"', "*", "", f'"{2**53}"']
)
@pytest.mark.usefixtures("nothing_stored")
def test_an_if_match_that_is_no_position_is_refused(api: Api, log: Log, given: str) -> None:
    problem(api.post(log, text(event()), If_Match=given), 422, "bad-question")


@pytest.mark.parametrize("given", ["some", "-1", "1.0", "", str(2**53)])
@pytest.mark.usefixtures("nothing_stored")
def test_an_expected_subject_that_is_no_state_is_refused(api: Api, log: Log, given: str) -> None:
    problem(api.post(log, text(event(subject="s")), Expect_Subject=given), 422, "bad-question")


@pytest.mark.usefixtures("nothing_stored")
def test_a_subject_is_expected_of_events_that_name_one(api: Api, log: Log) -> None:
    problem(api.post(log, text(event()), Expect_Subject="none"), 422, "bad-question")
    two = [event("e1", subject="a"), event("e2", subject="b")]
    problem(api.post(log, text(two), BATCHED, Expect_Subject="none"), 422, "bad-question")


# What is refused


def test_the_same_id_with_other_bytes_is_409_and_names_the_position(api: Api, log: Log) -> None:
    api.post(log, text([event("e0"), event("e1")]), BATCHED)
    other = event("e1", TOTAL | {"count": {"relation": ">", "value": 41}})
    document = problem(api.post(log, text([event("e5"), other]), BATCHED), 409, "id-conflict")
    assert (document["position"], document["index"]) == (2, 1)
    assert log.head() == 2


@pytest.mark.usefixtures("nothing_stored")
def test_one_bad_event_refuses_its_batch_and_is_named(api: Api, log: Log) -> None:
    bad = event("e3", TOTAL | {"count": {"relation": ">", "value": "many"}})
    batch = [event("e0"), event("e1"), event("e2"), bad, event("e4")]
    document = problem(api.post(log, text(batch), BATCHED), 422, "validation")
    assert [(fault["index"], fault["pointer"]) for fault in document["faults"]] == [(3, "/data/count/value")]


@pytest.mark.usefixtures("nothing_stored")
def test_an_id_twice_in_a_batch_is_refused_with_both_places(api: Api, log: Log) -> None:
    (fault,) = problem(
        api.post(log, text([event("e0"), event("e1"), event("e0")]), BATCHED), 422, "duplicate-id"
    )["faults"]
    assert fault["index"] == 2
    assert "event 0" in fault["detail"]


@pytest.mark.usefixtures("nothing_stored")
def test_a_batch_has_from_1_to_1000_events(api: Api, log: Log) -> None:
    problem(api.post(log, b"[]", BATCHED), 422, "validation")
    small = text(event())
    problem(api.post(log, b"[" + b",".join([small] * 1001) + b"]", BATCHED), 413, "too-large")


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/cloudevents",
        "",
    ],
)
@pytest.mark.usefixtures("nothing_stored")
def test_other_media_types_are_415_and_the_right_ones_are_named(api: Api, log: Log, media_type: str) -> None:
    answer = api.post(log, text(event()), media_type, **ATTRIBUTES)
    problem(answer, 415, "unsupported-media-type")
    assert "application/cloudevents+json" in answer.headers["accept-post"]


@pytest.mark.parametrize(
    "codings", [["gzip"], ["identity", "gzip"], ["identity, gzip"], ["GZIP", "identity"], ["br, identity"]]
)
@pytest.mark.usefixtures("nothing_stored")
def test_a_body_in_any_coding_is_415_however_many_headers_name_it(
    api: Api, log: Log, codings: list[str]
) -> None:
    given = [("Content-Type", STRUCTURED), *(("Content-Encoding", coding) for coding in codings)]
    answer = api.client.post(f"/ledgers/{log.ledger}/events", content=text(event()), headers=given)
    problem(answer, 415, "unsupported-media-type")
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("codings", [["identity"], ["Identity", "identity"], ["identity,, identity"]])
def test_a_body_that_says_it_is_as_it_is_is_taken(api: Api, log: Log, codings: list[str]) -> None:
    given = [("Content-Type", STRUCTURED), *(("Content-Encoding", coding) for coding in codings)]
    answer = api.client.post(f"/ledgers/{log.ledger}/events", content=text(event()), headers=given)
    assert answer.status_code == 201


@pytest.mark.usefixtures("nothing_stored")
def test_a_parameter_is_refused_for_there_are_none(api: Api, log: Log) -> None:
    answer = api.client.post(
        f"/ledgers/{log.ledger}/events?foo=1", content=text(event()), headers={"Content-Type": STRUCTURED}
    )
    document = problem(answer, 422, "unknown-parameter")
    assert document["detail"] == "foo: is no parameter here; there are none"


@pytest.mark.usefixtures("nothing_stored")
def test_json_without_attributes_in_headers_is_told_what_a_whole_event_is(api: Api, log: Log) -> None:
    document = problem(api.post(log, text(event()), BINARY), 415, "unsupported-media-type")
    assert "application/cloudevents+json" in document["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"ce_id": "100%"}, "/id"),
        ({"ce_id": "%FF"}, "/id"),
        ({"ce_datacontenttype": "application/json"}, "/datacontenttype"),
        ({"ce_data": "{}"}, "/data"),
        ({"ce_colour": "red"}, "/colour"),
        ({"ce_sequence": "1"}, "/sequence"),
    ],
)
@pytest.mark.usefixtures("nothing_stored")
def test_a_header_that_is_no_attribute_is_named(
    api: Api, log: Log, changes: dict[str, str], pointer: str
) -> None:
    answer = api.post(log, text(TOTAL), BINARY, **(ATTRIBUTES | changes))
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["faults"]] == [pointer]


@pytest.mark.usefixtures("nothing_stored")
def test_a_ledger_has_a_name_that_can_be_one(api: Api) -> None:
    answer = api.client.post(
        "/ledgers/UPPER/events", content=text(event()), headers={"Content-Type": BATCHED}
    )
    problem(answer, 422, "validation")
