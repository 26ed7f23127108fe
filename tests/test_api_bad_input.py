"""Every kind of bad input, as it comes over HTTP: the status, the code, and that nothing is stored. Numbers are those of its table."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from approval_ledger import tokens
from approval_ledger.api import body as read_body
from approval_ledger.api import lingering, publishing
from approval_ledger.api.lingering import Lingering
from events import Log, RecordedEvent, canonical, connect
from events.log import PAGE
from projections import queries

from .api import BATCHED, STRUCTURED, Api, problem, running
from .command import SOURCE, TERMS, TOTAL, event, text
from .given import append, as_bytes, stored
from .long import some
from .proxy import Proxy
from .servers import Server


@pytest.fixture(autouse=True)
def nothing_stored(request: pytest.FixtureRequest, log: Log) -> Iterator[None]:
    before = stored(log)
    yield
    if request.node.get_closest_marker("stores") is None:
        assert stored(log) == before


def raw(api: Api, *pieces: bytes) -> bytes:
    """What a server answers to bytes that no client library would send, until it closes the connection or is silent."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
                if b"\r\n\r\n" in received and b"connection: close" not in received.lower():
                    break
        except ConnectionResetError:
            pass
        return received


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# 1-12: no JSON, or not one that is taken


def test_the_status_is_that_of_the_code_that_is_shown(api: Api, log: Log) -> None:
    twice = b'{"data":{"a":1,"a":1}}'
    for body, status in ((b"[{},%b]" % twice, 422), (b"[%b,{}]" % twice, 400)):
        answer = api.post(log, body, BATCHED)
        faults = problem(answer, status, answer.json()["code"])["faults"]
        assert answer.json()["code"] == faults[0]["code"]
        assert "duplicate-key" in {fault["code"] for fault in faults}


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ([("If-Match", "17")], "If-Match"),
        ([("If-Match", '"037"')], "If-Match"),
        ([("If-Match", '"1"'), ("If-Match", '"1"')], "If-Match"),
        ([("Expect-Subject", "some")], "Expect-Subject"),
        ([("Expect-Subject", "037")], "Expect-Subject"),
        ([("Expect-Subject", "none")], "Expect-Subject"),
    ],
)
def test_a_header_that_is_refused_is_named(
    api: Api, log: Log, given: list[tuple[str, str]], header: str
) -> None:
    sent = event()
    if given[0][1] == "none":
        sent.pop("subject", None)
    answer = api.client.post(
        f"/ledgers/{log.ledger}/events", content=text(sent), headers=[("Content-Type", STRUCTURED), *given]
    )
    (fault,) = problem(answer, 422, "bad-question")["faults"]
    assert (fault["in"], fault["parameter"], fault["code"]) == ("header", header, "bad-question")


def test_the_last_event_id_that_is_refused_is_named(api: Api, log: Log) -> None:
    answer = api.get(log, "events/stream", **{"Last-Event-ID": "x"})
    (fault,) = problem(answer, 422, "validation")["faults"]
    assert (fault["in"], fault["parameter"]) == ("header", "Last-Event-ID")


def test_attributes_that_are_not_taken_are_refused_in_words(api: Api, log: Log) -> None:
    answers = [
        api.post(log, text(event(foo="x"))),
        api.post(log, text(event(data_base64="eA=="))),
        api.client.post(
            f"/ledgers/{log.ledger}/events",
            content=text(TOTAL),
            headers={"Content-Type": "application/json", "ce-foo": "x"}
            | {f"ce-{name}": str(value) for name, value in event().items() if name != "data"},
        ),
    ]
    for answer in answers:
        (fault,) = problem(answer, 422, "unknown-field")["faults"]
        assert fault["detail"].startswith("is not an event attribute (specversion, id, source, type,")
        assert fault["detail"].endswith("extensions are refused")
    (fault,) = problem(api.post(log, text(total(foo="x"))), 422, "unknown-field")["faults"]
    assert (fault["pointer"], fault["detail"]) == ("/data/foo", "is not a member here")


def test_a_subject_without_an_event_is_said_to_have_none(api: Api, log: Log) -> None:
    answer = api.post(log, text(event(subject="s/2")), Expect_Subject="exists")
    says = problem(answer, 412, "stale-expectation")["detail"]
    assert says.startswith("subject 's/2' has no event yet, and it was expected to have one.")


@pytest.mark.parametrize("media_type", [STRUCTURED, BATCHED])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid-json"),
        (b"   ", "invalid-json"),
        (b'{"a":1,}', "invalid-json"),
        (b'[{"a":1},]', "invalid-json"),
        (text(event()) + b"x", "invalid-json"),
        (b"[" + text(event()) + b"]x", "invalid-json"),
        (text(event())[:-1], "invalid-json"),
        (b"\xef\xbb\xbf" + text(event()), "invalid-json"),
        (b"\xef\xbb\xbf[" + text(event()) + b"]", "invalid-json"),
        (json.dumps(event()).encode("utf-16"), "invalid-json"),
        (json.dumps(event()).encode("utf-16-le"), "invalid-json"),
        (json.dumps([event()]).encode("utf-32"), "invalid-json"),
        (b'{"id":"\xed\xa0\x80"}', "invalid-json"),
        (b'["\xff"]', "invalid-json"),
        (b'{"a":1,"\\u0061":2}', "duplicate-key"),
        (b"[" * 18 + b"]" * 18, "too-deep"),
        (b"[" * 60_000, "too-deep"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "too-deep"),
        (b'{"id":NaN}', "invalid-json"),
        (b'[{"id":-Infinity}]', "invalid-json"),
    ],
)
def test_what_is_no_json_is_400(api: Api, log: Log, body: bytes, media_type: str, code: str) -> None:
    problem(api.post(log, body, media_type), 400, code)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"42", b"true", b"[1]", b"[[]]", b"[null]"])
@pytest.mark.parametrize("media_type", [STRUCTURED, BATCHED])
def test_json_that_is_no_event_is_422(api: Api, log: Log, body: bytes, media_type: str) -> None:
    problem(api.post(log, body, media_type), 422, "validation")


def test_half_of_a_surrogate_pair_is_refused(api: Api, log: Log) -> None:
    assert api.post(log, b'{"id":"\\ud800"}').status_code == 400
    body = text(event()).replace(b'"e1"', b'"\\ud800"')
    assert api.post(log, body).status_code in (400, 422)


# 13, 14: too much


def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_sent(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "SECONDS", 0.1)
    head = (
        f"POST /ledgers/{log.ledger}/events HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: {STRUCTURED}\r\nContent-Length: {64 * 1024 + 1}\r\n\r\n"
    )
    assert status_of(raw(api, head.encode())) == 413


def test_a_body_without_a_length_is_read_no_further_than_the_limit(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts what the server takes: what is sent is more, by what the kernel holds of it."""
    taken, take = 0, Lingering.__call__

    async def counting(self: Lingering, scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            return message

        await take(self, scope, received, send)

    monkeypatch.setattr(Lingering, "__call__", counting)

    def endless() -> Iterator[bytes]:
        for _ in range(256 * 64):
            yield b" " * 16 * 1024

    try:
        answer = api.post(log, endless())
        problem(answer, 413, "too-large")
    except httpx.TransportError:
        pass  # it was closed while we were still sending
    last = 1024 * 1024  # at most, of what comes at once
    assert 8 * 1024 * 1024 < taken <= 8 * 1024 * 1024 + lingering.BYTES + last


def test_an_event_of_a_batch_has_its_own_limit(api: Api, log: Log) -> None:
    big = event("e2", TOTAL | {"source": {"publisher": "x" * 70_000}})
    document = problem(api.post(log, text([event("e1"), big]), BATCHED), 413, "too-large")
    assert document["detail"].startswith("event 1:")


@pytest.mark.parametrize("end", some([b"{}]", b"x]", b"", b"{}]x"], every=3))
def test_millions_of_nothing_are_refused_before_any_is_read(
    api: Api, log: Log, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "read_events", None)
    body = b"[" + b"{}," * 2_000_000 + end
    answer = api.post(log, body, BATCHED)
    problem(answer, *((413, "too-large") if end == b"{}]" else (400, "invalid-json")))


@pytest.mark.parametrize(
    ("media_type", "size", "chunked"),
    [
        *((media_type, 40_000_000, False) for media_type in (STRUCTURED, BATCHED, "text/plain")),
        # Of what does not say how long it is 8 MiB are taken beside what was read.
        (STRUCTURED, 8_000_000, True),
        (BATCHED, 8_500_000, True),
        ("text/plain", 8_000_000, True),
    ],
)
def test_who_sends_a_long_body_before_it_reads_gets_to_the_refusal(
    api: Api, log: Log, media_type: str, size: int, *, chunked: bool
) -> None:
    content = b"x" * size  # more than all buffers on the way hold
    path, headers = f"/ledgers/{log.ledger}/events", {"Content-Type": media_type}
    with closing(http.client.HTTPConnection("127.0.0.1", api.port, timeout=20)) as connection:
        connection.request("POST", path, [content] if chunked else content, headers, encode_chunked=chunked)
        answer = connection.getresponse()
        assert answer.status == (415 if media_type == "text/plain" else 413)
        # None where all had come when it was found to be too long.
        assert answer.headers.get_all("connection") in (["close"], None)
        assert json.loads(answer.read())["status"] == answer.status


def test_who_waits_to_be_asked_for_a_body_gets_the_refusal_at_once(api: Api, log: Log) -> None:
    head = f"POST /ledgers/{log.ledger}/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
    answer = raw(api, f"{head}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode())
    assert status_of(answer) == 415
    assert answer.lower().count(b"\r\nconnection: close\r\n") == 1


def test_a_refused_body_that_does_not_end_is_not_waited_for_for_ever(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "SECONDS", 0.1)
    head = f"POST /ledgers/{log.ledger}/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
    answer = raw(api, f"{head}Content-Length: 5\r\n\r\nx".encode())
    assert status_of(answer) == 415
    assert b'"status":415' in answer


def test_a_body_that_does_not_come_in_time_is_refused_and_the_connection_ends(
    api: Api, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_body, "SECONDS", 0.1)
    head = f"POST /ledgers/{log.ledger}/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STRUCTURED}\r\n"
    answer = raw(api, f"{head}Content-Length: 5\r\n\r\nx".encode())
    assert status_of(answer) == 408
    assert answer.lower().count(b"\r\nconnection: close\r\n") == 1


def test_millions_of_brackets_are_too_deep(api: Api, log: Log) -> None:
    problem(api.post(log, b"[" * 4_000_000, BATCHED), 400, "too-deep")


# 16: a body whose length is told twice, or wrongly


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 5x\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Transfer-Encoding: gzip\r\n\r\n",
        "X: a\r\n b\x00c\r\n\r\n",
        "Bad Header: x\r\n\r\n",
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_refused(api: Api, log: Log, headers: str) -> None:
    head = f"POST /ledgers/{log.ledger}/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STRUCTURED}\r\n"
    answer = raw(api, (head + headers).encode())
    assert 400 <= status_of(answer) < 502
    assert status_of(answer) != 500
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET /ledgers/\xe7\x99\xbe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_plain_text(api: Api, head: bytes) -> None:
    answer = raw(api, head)
    assert status_of(answer) == 400
    assert b"content-type: text/plain" in answer.lower()
    assert b"connection: close" in answer.lower()


def test_a_body_shorter_than_it_says_stores_nothing(api: Api, log: Log) -> None:
    body = text(event())
    head = (
        f"POST /ledgers/{log.ledger}/events HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: {STRUCTURED}\r\nContent-Length: {len(body) + 1}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall(head.encode() + body)
    assert api.client.get("/healthz").status_code == 200


# 17-47, 70: what is in an event


def count(value: object) -> dict[str, object]:
    return event(data=TOTAL | {"count": {"relation": ">", "value": value}})


def named(name: object) -> dict[str, object]:
    data = {
        "company": name,
        "item": "x",
        "users": {"relation": ">", "value": 1},
        "as_of": "2024",
        "source": SOURCE,
    }
    return event(type="usage.reported.v1", data=data)


def total(**changes: object) -> dict[str, object]:
    return event(data=TOTAL | changes)


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        *(
            (count(value), "/data/count/value")
            for value in (1.0, 1.5, "100", True, None, -1, 2**53, 2**63, -(2**63) - 1)
        ),
        *(
            (named(name), "/data/company")
            for name in ("", "   ", "\u200b", "x" * 201, "a\x00b", "a\nb", "\x1b[31m", "\x85")
        ),
        *(
            (named(name), "/data/company")
            for name in (
                "a\u202eb",
                "a\u2066b",
                "a\u2028b",
                "a\u2029b",
                None,
                1,
                list[str](),
                dict[str, str](),
            )
        ),
        *(
            (event(time=time), "/time")
            for time in ("2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2024-01-01T25:00:00Z", "")
        ),
        *(
            (event(time=time), "/time")
            for time in ("2024-01-01T00:00:00", "9999-01-01T00:00:00Z", "10000-01-01T00:00:00Z")
        ),
        *(
            (event(time=time), "/time")
            for time in ("0000-01-01T00:00:00Z", "1899-12-31T00:00:00Z", 5, "2024-01-01T00:00:00.1234567Z")
        ),
        *(
            (total(as_of=day), "/data/as_of")
            for day in ("2026-13-01", "2024-02-30", "", "1899", "9999", 2024, "2024-1-1")
        ),
        *(
            (total(source={"publisher": "x", "url": url}), "/data/source/url")
            for url in (
                "javascript:alert(1)",
                "data:text/html,x",
                "file:///etc/passwd",
                "ftp://x/y",
                "http://",
            )
        ),
        (event(admin=True), "/admin"),
        (total(admin=True), "/data/admin"),
        (event(type="model.retired.v1"), "/type"),
        (event(type="total.reported.v9"), "/type"),
        (event(type="x" * 5_000), "/type"),
        (event(id=""), "/id"),
        (event(id="x" * 257), "/id"),
        (event(source="x" * 257), "/source"),
        (event(specversion="0.3"), "/specversion"),
        (event(extension="x"), "/extension"),
        (event(sequence="1"), "/sequence"),
        (event(recordedtime="2024-01-01T00:00:00Z"), "/recordedtime"),
    ],
)
def test_an_event_that_cannot_be_is_422_with_the_place_of_the_fault(
    api: Api, log: Log, sent: dict[str, Any], pointer: str
) -> None:
    for body, media_type, index in ((sent, STRUCTURED, 0), ([event("e0"), sent], BATCHED, 1)):
        answer = api.post(log, text(body), media_type)
        assert answer.status_code == 422, answer.text
        faults = problem(answer, 422, answer.json()["code"])["faults"]
        assert {fault["index"] for fault in faults} == {index}
        assert pointer in [fault["pointer"] for fault in faults]


@pytest.mark.parametrize(
    "number", [b"1e400", b"1.0", b"1e2", b"NaN", b"Infinity", b"-Infinity", b"-1", b"1" * 5_000]
)
def test_a_number_that_is_no_count_is_refused(api: Api, log: Log, number: bytes) -> None:
    body = text(count(7)).replace(b'"value": 7', b'"value": ' + number)
    assert number in body
    assert api.post(log, body).status_code in (400, 422)


@pytest.mark.stores
def test_minus_zero_is_zero(api: Api, log: Log) -> None:
    body = text(count(7)).replace(b'"value": 7', b'"value": -0').replace(b'">"', b'"="')
    assert api.post(log, body).status_code == 201
    assert '"value":0' in api.get(log, "events").text


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion", "data"])
def test_what_an_event_must_have(api: Api, log: Log, missing: str) -> None:
    sent = event()
    del sent[missing]
    assert api.post(log, text(sent)).status_code == 422


@pytest.mark.parametrize("count_", [1, 65])
def test_other_attributes_are_refused_however_many(api: Api, log: Log, count_: int) -> None:
    sent = event(**{f"ext{n}": "x" * 5_000 if count_ == 1 else "x" for n in range(count_)})
    assert api.post(log, text(sent)).status_code == 422


# 33-38: names that are taken, and mean nothing to anything


@pytest.mark.stores
@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a/b",
        "%2e%2e",
        "=HYPERLINK(1)",
        "+1",
        "@SUM",
        "<script>alert(1)</script>",
        '"><img onerror=x>',
        "javascript:x",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "%s%n",
        "%(x)s",
        "?x=1#y",
        "Ａcme",
    ],
)
def test_a_name_is_text_and_is_found_in_the_query(api: Api, log: Log, name: str) -> None:
    granted = TERMS | {
        "item": {"name": "x"},
        "company": {"name": name},
        "approved_on": "2024-01-01",
        "source": SOURCE,
    }
    sent = event(type="approval.granted.v1", data=granted)
    assert api.post(log, text(sent)).status_code == 201
    found = api.client.get(f"/ledgers/{log.ledger}/companies", params={"name": name})
    assert found.content == canonical(queries.companies(log, name, at_least=1)) + b"\n"
    assert found.headers["content-type"] == "application/json"
    table = api.client.get(f"/ledgers/{log.ledger}/companies", params={"format": "csv"}).text
    assert not any(line.lstrip("\ufeff").startswith(("=", "+", "@", '"=')) for line in table.splitlines())


@pytest.mark.stores
@pytest.mark.parametrize(
    ("one", "other"),
    [("Ａcme", "acme"), ("ﬁrm", "firm"), ("É", "E\u0301"), ("a\u00a0b", "a b"), ("STRASSE", "straße")],
)
def test_names_that_are_one_are_one_company(api: Api, log: Log, one: str, other: str) -> None:
    api.post(log, text(named(one)))
    answers = [
        api.client.get(f"/ledgers/{log.ledger}/companies", params={"name": name}).json()["answers"]
        for name in (one, other)
    ]
    assert answers[0] == answers[1] != []


@pytest.mark.stores
def test_an_address_in_an_event_is_never_fetched(api: Api, log: Log) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert api.post(log, text(total(source={"publisher": "x", "url": url}))).status_code == 201
        for path in ("sources", "sources?format=csv", "feeds/approvals", "events"):
            assert api.get(log, path).status_code == 200
        with pytest.raises(TimeoutError):
            listener.accept()


# 48-53: ids


@pytest.mark.stores
def test_fifty_at_once_of_the_same_event_are_one(api: Api, log: Log) -> None:
    gate = threading.Barrier(50)

    def send(_: int) -> tuple[int, int]:
        gate.wait()
        answer = httpx.post(
            f"{api.url}/ledgers/{log.ledger}/events",
            content=text(event()),
            headers={"Content-Type": STRUCTURED},
            timeout=60,
        )
        return answer.status_code, answer.json()["position"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))
    assert sorted(answers) == [(200, 1)] * 49 + [(201, 1)]
    assert log.head() == 1


@pytest.mark.stores
def test_the_same_id_of_another_source_is_another_event(api: Api, log: Log) -> None:
    assert [api.post(log, text(event(source=source))).status_code for source in ("urn:a", "urn:b")] == [
        201,
        201,
    ]


# 59, 68: paths and headers


@pytest.mark.parametrize(
    "path",
    [
        "/ledgers/%00/totals",
        "/ledgers/..%2f/totals",
        "/ledgers/a%2fb/totals",
        "/%ff",
        "/" + "x" * 8_000,
        "/ledgers//totals",
        "//",
    ],
)
def test_a_path_that_leads_nowhere_is_no_failure(api: Api, path: str) -> None:
    answer = raw(api, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert status_of(answer) in (400, 404, 414, 422)


@pytest.mark.parametrize(
    "path", ["ledgers/{}%2ftotals", "ledgers%2F{}/totals", "ledgers/{}/feeds%2fapprovals"]
)
def test_an_encoded_slash_divides_no_path(api: Api, log: Log, path: str) -> None:
    assert api.client.get("/" + path.format(log.ledger)).status_code == 404


def test_more_headers_than_anyone_needs_are_refused(api: Api) -> None:
    headers = "".join(f"X-{n}: {'x' * 8_000}\r\n" for n in range(100))
    answer = raw(api, f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
    assert status_of(answer) in (400, 431)


def test_what_a_client_says_of_its_address_is_not_believed(
    api: Api, log: Log, logged: Callable[[str], list[str]]
) -> None:
    api.get(log, "totals", **{"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"})
    (line,) = logged("/totals")
    assert "6.6.6.6" not in line
    assert json.loads(line)["client"] == "127.0.0.1"


def test_no_path_breaks_a_line_of_the_log(api: Api, log: Log, logged: Callable[[str], list[str]]) -> None:
    api.get(log, "companies/a%0Ab%0D%1b[31m%E2%80%A8c?name=%0Ax")
    (line,) = logged("companies")
    assert json.loads(line)["event"] == "request"
    assert "%0Ab%0D" in line
    assert "name=" not in line


# 69: whose correction it is


@pytest.mark.stores
def test_who_appended_a_correction_is_written_down_apart_from_its_actor(
    api: Api, log: Log, logged: Callable[[str], list[str]]
) -> None:
    token, secret = tokens.create(log, ["append"])
    data = {"target": {"source": "urn:desk", "id": "e1"}, "reason": "wrong", "actor": "somebody else"}
    sent = event("r1", data, type="event.retracted.v1")
    assert api.post(log, text(sent), Authorization=f"Bearer {secret}").status_code == 201
    (line,) = logged('"appended"')
    assert (json.loads(line)["token"], json.loads(line)["appended"]) == (token.id, "1")


# 74: a store that cannot keep what it acknowledges


@pytest.mark.stores
@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"appendfsync": "everysec"}, "not-durable"),
        ({"appendonly": "no"}, "not-durable"),
        ({"maxmemory-policy": "allkeys-lru"}, "not-durable"),
        ({"maxmemory": "1"}, "storage-unavailable"),
        ({"min-replicas-to-write": "1"}, "storage-unavailable"),
    ],
)
def test_a_store_that_would_lose_it_is_503_with_a_time_to_come_back(
    start_server: Any, settings: dict[str, str], code: str
) -> None:
    server: Server = start_server()
    log = Log(server.client(), "cac")
    with running(server) as api:
        for name, value in settings.items():
            server.client().config_set(name, value)
        answer = api.post(log, text(event()))
        problem(answer, 503, code)
        assert int(answer.headers["retry-after"]) > 0
        ready = api.client.get("/readyz")
        assert (ready.status_code == 503) == (code == "not-durable"), ready.text
        assert log.head() == 0


@pytest.mark.stores
def test_a_store_that_is_away_is_503_and_the_server_stays(start_server: Any) -> None:
    server: Server = start_server()
    log = Log(server.client(), "cac")
    with running(server) as api:
        server.kill()
        for answer in (
            api.post(log, text(event())),
            api.get(log, "totals"),
            api.get(log, "events"),
            api.get(log, "events/1"),
        ):
            says = problem(answer, 503, "storage-unavailable")["detail"]
            assert says.startswith("cannot reach the server: it does not answer.")
            assert str(server.socket) not in answer.text
        assert api.client.get("/healthz").status_code == 200
        ready = api.client.get("/readyz")
        assert ready.status_code == 503
        assert str(server.socket) not in ready.text
        server.start()
        assert api.post(log, text(event())).status_code == 201


@pytest.mark.stores
def test_a_damaged_log_is_said_and_nothing_is_appended(api: Api, log: Log) -> None:
    api.post(log, text([event("e1"), event("e2")]), BATCHED)
    entries = log.client.xrange(f"{{{log.ledger}}}:log")
    assert entries
    log.client.xdel(f"{{{log.ledger}}}:log", as_bytes(entries[0][0]))
    problem(api.post(log, text(event("e3"))), 500, "log-damaged")
    problem(api.get(log, "totals"), 500, "log-damaged")
    problem(api.get(log, "events?format=ndjson"), 500, "log-damaged")


@pytest.mark.stores
def test_after_a_lost_answer_the_same_event_is_sent_again_and_is_there_once(server: Server, log: Log) -> None:
    with Proxy(server) as proxy:
        client = connect(proxy.url)
        with running(server, client=client) as api:
            api.post(log, text(event("e1")))
            proxy.lose_replies_to(b"EVALSHA", 1)
            lost = api.post(log, text(event("e2")))
            document = problem(lost, 504, "outcome-unknown")
            assert "Send the same events again" in document["detail"]
            assert "retry-after" in lost.headers
            again = api.post(log, text(event("e2")))
            assert (again.status_code, again.json()["position"]) == (200, 2)
        client.close()
    assert log.head() == 2


@pytest.mark.stores
def test_what_nobody_foresaw_is_a_problem_with_the_id_under_which_the_log_has_the_reason(
    api: Api, log: Log, logged: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(Log, "append", fail)
    answer = api.post(log, text(event()), X_Request_ID="mine")
    document = problem(answer, 500, "internal")
    assert document["request_id"] == "mine"
    assert "ZeroDivisionError" not in answer.text
    assert "secret" not in answer.text
    (line,) = logged('"request_failed"')
    assert json.loads(line)["request_id"] == "mine"
    assert "ZeroDivisionError" in line


@pytest.mark.stores
def test_a_store_that_dies_in_the_middle_of_a_long_answer_breaks_it_off_and_is_told_in_one_line(
    start_server: Any, logged: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Server = start_server()
    log = Log(server.client(), "cac")
    append(log, *range(2 * PAGE))
    with running(server) as api:
        read = Log.read

        def dying(*asked: Any, **how: Any) -> Iterator[RecordedEvent]:
            for event in read(*asked, **how):
                if event.position == PAGE:
                    server.kill()
                yield event

        monkeypatch.setattr(Log, "read", dying)
        with pytest.raises(httpx.RemoteProtocolError):
            api.get(log, "events?format=ndjson")
        (line,) = logged('"answer_broken_off"')
        (request,) = logged('"request"')
    found = json.loads(line)
    assert (found["level"], found["code"], found["ledger"]) == ("warning", "storage-unavailable", "cac")
    assert found["request_id"] == json.loads(request)["request_id"]
    assert not any("request_failed" in said or "Traceback" in said for said in logged("{"))
