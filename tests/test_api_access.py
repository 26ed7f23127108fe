"""Who may ask: tokens, names of the server, pages of other sites, and how many requests. A refusal stores nothing."""

from __future__ import annotations

import hmac
import json
import socket
from collections.abc import Callable, Iterator

import pytest

from approval_ledger import tokens
from approval_ledger.api.limits import Limits
from approval_ledger.api.problems import RequestRefused
from events import Log, keys

from .api import STRUCTURED, Api, problem, running
from .command import Ledger, event, text
from .given import append, stored
from .long import some
from .servers import Server


@pytest.fixture
def ledger(server: Server) -> Ledger:
    return Ledger(server)


@pytest.fixture(scope="module")
def closed(server: Server) -> Iterator[Api]:
    """An API whose reads are not public."""
    with running(server, public_reads=False) as api:
        yield api


def token(log: Log, *scopes: tokens.Scope) -> dict[str, str]:
    """The header of a new token."""
    return {"Authorization": f"Bearer {tokens.create(log, scopes)[1]}"}


# Tokens


def test_a_token_is_printed_once_and_only_its_digest_is_kept(ledger: Ledger) -> None:
    made = ledger.run("token", "create", "--scope", "append", "--scope", "read", "--note", "the news desk")
    text_, said = made.out.strip(), made.err
    assert text_.startswith("alt.")
    assert text_.split(".")[2] not in said
    listed = ledger.run("token", "list", "--json").document
    (held,) = listed["tokens"]
    assert (held["scopes"], held["note"]) == (["read", "append"], "the news desk")
    kept = ledger.log.client.hgetall(keys.tokens(ledger.name))
    assert text_.split(".")[2] not in str(kept)
    assert "the news desk" in ledger.run("token", "list").out


def test_a_revoked_token_is_not_known_from_the_next_request_on(api: Api, ledger: Ledger) -> None:
    made = ledger.run("token", "create", "--scope", "append", "--json").document
    given = {"Authorization": f"Bearer {made['token']}"}
    assert api.post(ledger.log, text(event("e1")), **given).status_code == 201
    ledger.run("token", "create", "--scope", "append")  # so that the ledger is not without any
    ledger.run("token", "revoke", made["id"])
    problem(api.post(ledger.log, text(event("e2")), **given), 401, "unauthenticated")
    assert ledger.log.head() == 1
    assert ledger.run("token", "revoke", made["id"], code=1).complaint.startswith("bad-question")


@pytest.mark.parametrize("words", [(), ("--scope", "root"), ("--scope", "read", "--note", "x" * 201)])
def test_a_token_that_cannot_be_is_not_made(ledger: Ledger, words: tuple[str, ...]) -> None:
    ledger.run("token", "create", *words, code=1 if "--note" in words else 2)
    assert ledger.keys() == []


def test_on_this_machine_no_token_is_needed_until_there_is_one(api: Api, log: Log) -> None:
    assert api.post(log, text(event("e1"))).status_code == 201
    given = token(log, "append")
    problem(api.post(log, text(event("e2"))), 401, "unauthenticated")
    assert api.post(log, text(event("e2")), **given).status_code == 201
    assert api.get(log, "totals").status_code == 200


@pytest.mark.parametrize(
    ("scope", "reads", "appends"),
    [("read", 200, 403), ("append", 403, 201), ("admin", 200, 201)],
)
def test_a_token_does_what_it_is_for(
    closed: Api, log: Log, scope: tokens.Scope, reads: int, appends: int
) -> None:
    given = token(log, scope)
    for path in ("totals", "events", "events/stream?after=99", "status", "diff?projection=totals&from=0"):
        answer = closed.get(log, path, **given)
        assert answer.status_code == (reads if reads == 403 or "stream" not in path else 409), path
    answer = closed.post(log, text(event()), **given)
    assert answer.status_code == appends
    if appends == 403:
        problem(answer, 403, "insufficient-scope")
        assert 'error="insufficient_scope", scope="append"' in answer.headers["www-authenticate"]
        assert log.head() == 0


def test_a_token_opens_its_own_ledger_only(closed: Api, log: Log, ledger: Ledger) -> None:
    problem(closed.get(log, "totals", **token(ledger.log, "admin")), 401, "unauthenticated")


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Basic YTpi", "Bearer x", "Bearer alt.000000000000." + "A" * 43, "Bearer \xe9"],
)
def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(closed: Api, log: Log, given: str) -> None:
    made = token(log, "append")
    before = stored(log)
    wrong_secret = made["Authorization"][:-4] + (
        "AAAA" if not made["Authorization"].endswith("AAAA") else "BBBB"
    )
    answers = [
        closed.client.post(
            f"/ledgers/{log.ledger}/events",
            content=text(event()),
            headers={
                b"Content-Type": b"application/cloudevents+json",
                b"Authorization": each.encode("latin-1"),
            },
        )
        for each in (given, wrong_secret)
    ]
    documents = [problem(answer, 401, "unauthenticated") for answer in answers]
    assert documents[0] | {"request_id": ""} == documents[1] | {"request_id": ""}
    assert answers[0].headers["www-authenticate"] == answers[1].headers["www-authenticate"]
    assert stored(log) == before


def test_two_authorizations_are_none(closed: Api, log: Log) -> None:
    made = token(log, "read")["Authorization"]
    answer = closed.client.get(
        f"/ledgers/{log.ledger}/totals", headers=[("Authorization", made), ("Authorization", made)]
    )
    problem(answer, 401, "unauthenticated")
    problem(closed.get(log, "totals"), 401, "unauthenticated")


@pytest.mark.parametrize(
    "record",
    [
        b"nonsense",
        b"[]",
        b"{}",
        b'{"scopes":["all"],"note":"","created":"","sha256":"00"}',
        b'{"scopes":["read"],"note":"","created":"","sha256":5}',
        b'{"scopes":["read"],"note":"","created":"","sha256":"\xe4\xb8\xad"}',
    ],
)
def test_a_token_that_something_else_wrote_to_opens_nothing_and_says_so(
    closed: Api, ledger: Ledger, record: bytes
) -> None:
    log = ledger.log
    damaged, other = token(log, "read"), token(log, "read")
    (name,) = [each.id for each in tokens.all_of(log) if each.id in damaged["Authorization"]]
    log.client.hset(keys.tokens(log.ledger), name, record)
    said = problem(closed.get(log, "totals", **damaged), 503, "unreadable")
    assert f"token {name} is not what this software writes" in said["detail"]
    assert closed.get(log, "totals", **other).status_code == 200
    assert f"approvals token revoke {name}" in ledger.run("token", "list", code=1).err
    assert ledger.run("token", "revoke", name).code == 0
    assert [each.id in other["Authorization"] for each in tokens.all_of(log)] == [True]


def test_given_something_else_wrote_the_key_of_the_tokens_when_they_are_asked_for_then_it_says_how_to_go_on(
    closed: Api, ledger: Ledger
) -> None:
    log = ledger.log
    place, before = keys.tokens(log.ledger), token(log, "read")
    log.client.set(place, "x")
    says = f"{place} is not a hash: something else wrote to it. Delete that key, and create new tokens"
    assert says in problem(closed.get(log, "totals", **before), 503, "unreadable")["detail"]
    for words in (("list",), ("create", "--scope", "read"), ("revoke", "0" * 12)):
        assert ledger.run("token", *words, code=1).err.startswith(f"unreadable: {says}")
    log.client.delete(place)
    assert closed.get(log, "totals", **token(log, "read")).status_code == 200


def test_an_unknown_id_takes_the_same_work_as_a_wrong_secret(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, right = tokens.create(log, ["read"])
    steps: list[str] = []
    compare, digest = hmac.compare_digest, tokens._digest

    def compared(a: bytes, b: bytes) -> bool:
        steps.append("compare")
        return compare(a, b)

    def digested(text: str) -> str:
        steps.append("digest")
        return digest(text)

    monkeypatch.setattr(hmac, "compare_digest", compared)
    monkeypatch.setattr(tokens, "_digest", digested)
    seen = []
    for wrong in (right[:-1] + "~", f"alt.000000000000.{right[17:]}", "nothing", right[:-2] + "AA"):
        steps.clear()
        assert tokens.known(log, wrong) is None
        seen.append(tuple(steps))
    assert set(seen) == {("digest", "compare")}


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "Authorization"])
def test_a_token_in_an_address_is_refused_and_not_written_down(
    api: Api, log: Log, name: str, logged: Callable[[str], list[str]]
) -> None:
    answer = api.get(log, f"totals?{name}=alt.secret")
    problem(answer, 400, "token-in-url")
    (line,) = logged("/totals")
    assert "alt.secret" not in line + answer.text


def test_the_token_that_appended_is_in_the_log_of_requests(
    api: Api, log: Log, logged: Callable[[str], list[str]]
) -> None:
    made, text_ = tokens.create(log, ["append"])
    api.post(log, text(event()), Authorization=f"Bearer {text_}")
    (line,) = logged(f'"{made.id}"')
    assert json.loads(line)["appended"] == "1"
    assert text_.split(".")[2] not in line


def test_others_are_served_only_where_they_could_do_anything(ledger: Ledger) -> None:
    for words in (("--host", "0.0.0.0"), ("--allow-host", "ledger.example.org")):
        refused = ledger.run("serve", "--port", "0", *words, code=1)
        assert "approvals token create" in refused.complaint
        assert "--public-reads" in refused.complaint


def test_where_others_reach_the_server_appending_always_needs_a_token(server: Server, log: Log) -> None:
    with running(server, hosts=("ledger.example.org",), public_reads=True) as api:
        assert api.get(log, "totals").status_code == 200
        problem(api.post(log, text(event())), 401, "unauthenticated")
        assert api.post(log, text(event()), **token(log, "append")).status_code == 201


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_what_a_proxy_passes_on_is_not_of_this_machine(
    api: Api, server: Server, log: Log, header: str
) -> None:
    passed_on = {header: "6.6.6.6"}
    problem(api.post(log, text(event()), **passed_on), 401, "unauthenticated")
    problem(api.get(log, "totals", **passed_on), 401, "unauthenticated")
    reads = token(log, "read")
    for path in ("totals", "totals?known_at=0", "events", "diff?projection=totals&from=0&to=0"):
        answer = api.get(log, path, **passed_on, **reads)
        assert answer.status_code == 200
        # Else the proxy would give it to those who have none.
        assert answer.headers["cache-control"].startswith("private, ")
    with running(server, public_reads=True) as public:
        answer = public.get(log, "totals", **passed_on)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, no-cache")


# By which name, and from where


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "a b", "127.0.0.1:x"]
)
def test_another_name_than_the_server_s_is_refused(api: Api, log: Log, host: str) -> None:
    answer = api.get(log, "totals", Host=host)
    if host:
        problem(answer, 400, "foreign-host")
    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8765"])
def test_this_machine_goes_by_several_names(api: Api, log: Log, host: str) -> None:
    assert api.get(log, "totals", Host=host).status_code == 200


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost/healthz", "localhost", 200),
        ("HTTP://127.0.0.1:8765/ledgers/x/totals?known_as=recorded", "elsewhere.example", 200),
        ("https://[::1]/ledgers/x/companies/a%2Fb", "localhost", 404),
        ("http://localhost?view=log", "localhost", 200),
        ("http://localhost/ledgers/x/totals?surprise=1", "localhost", 422),
        ("http://evil.example/ledgers/x/totals", "localhost", 400),
        ("http://evil.example/healthz", "localhost", 200),
        ("http://localhost@evil.example/ledgers/x/totals", "localhost", 400),
        ("http://evil@localhost/ledgers/x/totals", "localhost", 400),
        ("http:///ledgers/x/totals", "localhost", 400),
        ("http:localhost/ledgers/x/totals", "localhost", 404),
        ("ftp://localhost/ledgers/x/totals", "localhost", 404),
    ],
)
def test_a_target_that_names_the_server_is_understood_and_its_name_counts(
    api: Api, target: str, host: str, status: int
) -> None:
    assert as_sent(api, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n") == status


def test_a_page_is_of_this_server_where_the_target_names_the_same(api: Api, log: Log) -> None:
    body = text(event()).decode()
    head = f"POST http://localhost/ledgers/{log.ledger}/events HTTP/1.1\r\nHost: evil.example\r\n"
    rest = f"Content-Type: {STRUCTURED}\r\nContent-Length: {len(body)}\r\n"
    assert as_sent(api, head + "Origin: http://evil.example\r\n" + rest, body) == 403
    assert as_sent(api, head + "Origin: http://localhost\r\n" + rest, body) == 201


def as_sent(api: Api, head: str, body: str = "") -> int:
    """The status of the answer to what no client library would send so."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n{body}".encode())
        return int(connection.makefile("rb").readline().split(b" ")[1])


def test_a_name_that_was_given_is_one(server: Server, log: Log) -> None:
    with running(server, hosts=("ledger.example.org",), public_reads=True) as api:
        assert api.get(log, "totals", Host="ledger.example.org").status_code == 200
        problem(api.get(log, "totals", Host="example.org"), 400, "foreign-host")


def test_a_refused_name_is_told_with_the_option_that_gives_it(api: Api, log: Log) -> None:
    says = problem(api.get(log, "totals", Host="10.0.0.7:8765"), 400, "foreign-host")["detail"]
    assert "'10.0.0.7:8765'" in says
    assert all(words in says for words in ("--allow-host", "approvals serve", "approvals up"))


@pytest.mark.parametrize("public", [True, False])
def test_probes_come_by_any_name_and_metrics_where_a_token_protects_them(
    server: Server, log: Log, public: bool
) -> None:
    given = token(log, "read")
    with running(server, ledger=log.ledger, public_reads=public) as api:
        for path in ("/healthz", "/readyz"):
            assert api.client.get(path, headers={"Host": "10.0.0.7"}).status_code == 200
            problem(api.client.post(path, headers={"Host": "10.0.0.7"}), 405, "method-not-allowed")
        answer = api.client.get("/metrics", headers={"Host": "10.0.0.7"} | given)
        assert answer.status_code == (400 if public else 200)
        problem(api.client.get("/healthz/", headers={"Host": "10.0.0.7"}), 400, "foreign-host")


def test_a_probe_is_told_no_figure_of_the_ledger(server: Server, log: Log) -> None:
    append(log, 1, 2, 3)
    with running(server, ledger=log.ledger, public_reads=False, lag=2) as api:
        ready = api.client.get("/readyz")
    assert ready.status_code == 503
    assert set(ready.json()) == {"status", "ledger", "says"}
    assert "totals is more than 2 events behind the head" in ready.json()["says"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_appends_nothing_and_reads_nothing(
    api: Api, log: Log, headers: dict[str, str]
) -> None:
    problem(api.post(log, text(event()), **headers), 403, "cross-site")
    assert log.head() == 0
    answer = api.get(log, "totals", **headers)
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_server_s_own_page_may_append(api: Api, log: Log) -> None:
    own = {"Origin": api.url, "Sec-Fetch-Site": "same-origin"}
    assert api.post(log, text(event()), **own).status_code == 201


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_a_preflight_gets_no_permission(api: Api, log: Log, method: str) -> None:
    answer = api.client.options(
        f"/ledgers/{log.ledger}/events",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": method},
    )
    assert answer.status_code in (403, 405)
    assert not any(name.startswith("access-control") for name in answer.headers)


# How many


def test_who_asks_too_often_waits_and_stores_nothing(server: Server, log: Log) -> None:
    with running(server, rate=0.2) as api:
        assert api.post(log, text(event("e1"))).status_code == 201
        answer = api.post(log, text(event("e2")))
        problem(answer, 429, "rate-limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
        assert log.head() == 1
        given = token(log, "append")
        assert api.post(log, text(event("e2")), **given).status_code == 201  # a client of its own


@pytest.mark.parametrize(
    ("path", "headers"),
    some(
        [
            ("/nope", {}),
            ("/ledgers/x/nope", {}),
            ("/ledgers/X/totals", {}),
            ("/ledgers/x/totals?at_least=x", {}),
            ("/ledgers/x/totals?unit=a&unit=b", {}),
            ("/ledgers/x/totals?token=x", {}),
            ("/page/nope", {}),
            ("/healthz?x=1", {}),
            ("/readyz", {}),
            ("/metrics", {}),
            ("/healthz", {"Host": "evil.example", "Content-Length": "0", "Transfer-Encoding": "chunked"}),
            ("/ledgers/x/totals", {"Host": "evil.example"}),
        ],
        every=3,
    ),
)
def test_whatever_asks_the_store_or_is_refused_counts_once(
    server: Server, path: str, headers: dict[str, str]
) -> None:
    with running(server, rate=0.4) as api:  # two at once
        for _ in range(2):
            assert api.client.get(path, headers=headers).status_code != 429
        problem(api.client.get(path, headers=headers), 429, "rate-limited")


@pytest.mark.parametrize("path", some(["/healthz", "/openapi.json", "/", "/page/main.js"], every=3))
def test_what_is_the_same_for_everybody_does_not_count(server: Server, path: str) -> None:
    with running(server, rate=0.2) as api:
        for _ in range(3):
            assert api.client.get(path).status_code == 200
        assert api.client.get("/readyz").status_code == 200


def test_a_method_that_is_not_possible_counts(server: Server) -> None:
    with running(server, rate=0.2) as api:
        problem(api.client.delete("/healthz"), 405, "method-not-allowed")
        problem(api.client.delete("/healthz"), 429, "rate-limited")


def test_a_bucket_fills_again_and_never_over(log: Log) -> None:
    now = 0.0
    limits = Limits(2.0, lambda: now)
    for _ in range(10):
        limits.take("a")
    with pytest.raises(RequestRefused) as refused:
        limits.take("a")
    assert refused.value.headers == {"Retry-After": "1"}
    limits.take("b")
    now = 0.5
    limits.take("a")
    with pytest.raises(RequestRefused):
        limits.take("a")
    now = 1_000.0
    for _ in range(10):
        limits.take("a")
    with pytest.raises(RequestRefused):
        limits.take("a")


def test_wrong_tokens_count_too(server: Server, log: Log) -> None:
    with running(server, rate=0.2) as api:
        given = {"Authorization": "Bearer wrong"}
        problem(api.get(log, "totals", **given), 401, "unauthenticated")
        problem(api.get(log, "totals", **given), 429, "rate-limited")


# Request ids


@pytest.mark.parametrize("given", ["abc-1.2_3", "x" * 64])
def test_a_request_id_is_taken_over(api: Api, given: str) -> None:
    assert api.client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["x" * 65, "a b", "<script>", "\xe9", ""])
def test_one_that_is_none_is_replaced(api: Api, given: str) -> None:
    answer = api.client.get("/healthz", headers={b"X-Request-ID": given.encode("latin-1")})
    assert len(answer.headers["x-request-id"]) == 32
