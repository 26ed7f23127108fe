"""What is stored, read by a program that has no more than docs/storage.md and docs/format.md: of ours it asks nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha1, sha256
from typing import Any, cast

import pytest

from events import Log, canonical
from projections import PROJECTIONS, Projection, Store, digest, fold, queries

from .conftest import new_ledger
from .given import HISTORY, called, drain, granted, retracted
from .servers import Server

each_projection = pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=list(PROJECTIONS))


@pytest.fixture(scope="module")
def log(server: Server) -> Log:
    """Real history, then approvals that others repeat and corrections take back; every projection is caught up."""
    log = Log(server.client(), new_ledger())
    approvals = [
        replace(
            called(f"g{n}", granted(f"company {n % 90}", f"item \U0001f600 {n % 1_500}", "2024-03")),
            subject=f"s{n % 7}",
        )
        for n in range(1_900)
    ]
    corrections = [called(f"r{n}", retracted(f"g{n}")) for n in range(0, 900, 9)]
    log.append([*HISTORY, *approvals, *corrections])
    assert log.head() > 2_000
    for projection in PROJECTIONS.values():
        drain(Store(log, projection).open_live())
    return log


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def held(log: Log, key: str) -> dict[bytes, bytes]:
    return cast("dict[bytes, bytes]", log.client.hgetall(f"{{{log.ledger}}}:{key}"))


def entries(log: Log) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return cast("list[tuple[bytes, dict[bytes, bytes]]]", log.client.xrange(f"{{{log.ledger}}}:log"))


def digest_of(documents: Mapping[bytes, bytes]) -> str:
    each = [sha256(text(key.decode()) + b":" + value).digest() for key, value in documents.items()]
    return sha256(b"".join(sorted(each))).hexdigest()


def test_the_log_and_its_indexes_are_what_the_documents_say(log: Log) -> None:
    ids: dict[bytes, bytes] = {}
    subjects: dict[str, list[bytes]] = defaultdict(list)
    for number, (entry, fields) in enumerate(entries(log), start=1):
        event = json.loads(fields[b"e"])
        position = entry.partition(b"-")[0]
        assert (position, fields) == (b"%d" % number, {b"e": text(event)})
        ids[sha256(f"{event['source']}\n{event['id']}".encode()).digest()[:16]] = position
        if "subject" in event:
            subjects[event["subject"]].append(position)
    assert held(log, "ids") == ids
    assert held(log, "subjects") == {name.encode(): listed[-1] for name, listed in subjects.items()}
    for name, listed in subjects.items():
        key = f"{{{log.ledger}}}:subject:{sha256(name.encode()).hexdigest()[:32]}"
        assert log.client.lrange(key, 0, -1) == listed


@each_projection
def test_a_generation_its_checkpoint_and_its_digest_are_what_the_documents_say(
    log: Log, projection: Projection
) -> None:
    live = held(log, f"projection:{projection.name}")[b"live"].decode()
    place = f"projection:{projection.name}:{live}"
    state, documents = held(log, f"{place}:state"), held(log, f"{place}:documents")
    entry, fields = entries(log)[int(state[b"position"]) - 1]
    assert state[b"entry"].decode() == sha256(entry + b"\n" + fields[b"e"]).hexdigest()
    assert int(state[b"version"]) == projection.version
    assert int(state[b"documents"]) == len(documents)
    assert int(state[b"past"]) == len(held(log, f"{place}:past"))
    stored = {key: value.partition(b" ")[2] for key, value in documents.items()}
    assert all(value == text(json.loads(value)) for value in stored.values())
    assert digest_of(stored) == digest(fold(projection, log.read()))


@each_projection
@pytest.mark.parametrize("snapshot", [1_000, 2_000])
def test_a_snapshot_is_what_the_documents_say(log: Log, projection: Projection, snapshot: int) -> None:
    place = f"projection:{projection.name}:1"
    found: dict[bytes, bytes] = {}
    for key, value in held(log, f"{place}:documents").items():
        since, _, now = value.partition(b" ")
        if int(since) <= snapshot:
            found[key] = now
    past: dict[bytes, bytes] = {}
    for field, value in held(log, f"{place}:past").items():
        assert value[:16].decode() == sha1(field + b"\n" + value[16:]).hexdigest()[:16]
        past[field] = value[16:]
    for field, value in past.items():
        if field.startswith(b"#"):
            volume, _, key = field[1:].partition(b"\t")
            assert volume in past[b"=" + key].split()
            for span in value.split():
                since, _, until = span.partition(b"-")
                assert int(until) // 50_000 == int(volume)
                if int(since) <= snapshot < int(until):
                    found[key] = past[b"@" + since + b"\t" + key]
    assert digest_of(found) == digest(fold(projection, log.read(limit=snapshot)))


def test_the_digest_of_an_answer_is_that_of_the_rest_of_it(log: Log) -> None:
    answer = queries.totals(log)
    assert answer.pop("digest") == sha256(text(answer)).hexdigest()


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (40, "40"),
        (40.0, "40.0"),
        (0.1, "0.1"),
        (1e-5, "0.00001"),
        (1e-6, "1e-6"),
        (1e15, "1000000000000000.0"),
        (1.2e16, "1.2e16"),
    ],
)
def test_a_number_is_written_as_the_documents_say(number: float, written: str) -> None:
    assert canonical(number).decode() == written


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("\x01\x1f\x7f", '"\\u0001\\u001f\x7f"'),
        ("\b\t\n\f\r", '"\\b\\t\\n\\f\\r"'),
        ('/"\\\u2028é', '"/\\"\\\\\u2028é"'),
    ],
)
def test_a_text_is_written_as_the_documents_say(said: str, written: str) -> None:
    assert canonical(said).decode() == written


def test_keys_are_in_the_order_of_their_code_points() -> None:
    unsorted: dict[str, Any] = {"\U0001f600": 1, "\uffff": 2, "é": 3, "z": 4}
    assert list(json.loads(canonical(unsorted))) == ["z", "é", "\uffff", "\U0001f600"]
