"""What is refused at the door: each case with its code and its field, and nothing stored, anywhere.

The cases are numbered after the table of bad input that the HTTP interface is tested against, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count as numbers
from typing import Any

import pytest

from events import (
    BadQuestion,
    Event,
    IdConflict,
    InvalidEvent,
    LedgerError,
    Log,
    Refused,
    StaleExpectation,
    TooLarge,
    encode,
    name_key,
    parse,
    read_events,
    valid_events,
)
from events.append_call import BATCH_BYTES_LIMIT, BATCH_LIMIT
from events.catalog import (
    CATALOG,
    ApprovalGranted,
    EventData,
    MarketEstimated,
    Source,
    TotalReported,
    UsageReported,
)
from events.envelope import CONTENT_TYPE
from events.quantities import Count, Share

from .conftest import new_ledger
from .given import data_of, event_at
from .servers import Server
from .strategies import report

SOURCE = {"publisher": "Reuters"}
FIGURE = {"authority": "CAC", "instrument": "approval", "unit": "model"}
TOTAL = FIGURE | {"count": {"relation": ">", "value": 40}, "as_of": "2024-01-28", "source": SOURCE}
GRANT = FIGURE | {
    "item": {"name": "Yi"},
    "company": {"name": "01.AI"},
    "approved_on": "2024-01",
    "source": SOURCE,
}
BATCH = FIGURE | {
    "ordinal": 4,
    "announced_on": "2024-01-29",
    "size": {"relation": "=", "value": 14},
    "named": [{"company": "Xiaomi"}],
    "source": SOURCE,
}
ESTIMATE = {
    "estimator": "CLSA",
    "region": "CN",
    "unit": "model",
    "share": {"percent": 40, "rounding": 1},
    "as_of": "2024",
    "source": SOURCE,
}
USAGE = {
    "company": "Baidu",
    "item": "Ernie Bot",
    "users": {"relation": ">", "value": 100_000_000},
    "as_of": "2023-12-28",
    "source": SOURCE,
}
MERGER = {"from": "01-ai", "into": "baidu", "on": "2024", "source": SOURCE}
IDENTITY = {"company": "01-ai", "names": [{"text": "零一万物"}], "source": SOURCE}
AMENDMENT = {
    "authority": "CAC",
    "instrument": "filing",
    "registry_number": "n1",
    "changes": {"company": {"name": "Baidu"}},
    "source": SOURCE,
}
REVOCATION = {
    "authority": "CAC",
    "instrument": "filing",
    "registry_number": "n1",
    "revoked_on": "2024",
    "source": SOURCE,
}
TERMS = {
    "authority": "CAC",
    "a": {"instrument": "approval", "unit": "model"},
    "b": {"instrument": "filing", "unit": "service"},
    "reason": "one and the same",
    "actor": "editor",
    "source": SOURCE,
}
REFERENCE = {"source": "urn:desk", "id": "e0"}
RETRACTION = {"target": REFERENCE, "reason": "a typing error", "actor": "editor"}
REPLACEMENT = RETRACTION | {"replacement": {"source": "urn:desk", "id": "e2"}}


def envelope(
    data: object = TOTAL, type: object = "total.reported.v1", **changes: object
) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": "e1",
        "source": "urn:desk",
        "type": type,
        "data": data,
    } | changes


def text(data: object = TOTAL, type: object = "total.reported.v1", **changes: object) -> bytes:
    return json.dumps(envelope(data, type, **changes), ensure_ascii=False).encode()


def without(document: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in document.items() if name not in names}


def value(literal: str) -> bytes:
    """The plain event with `literal` for the integer of its count, as it would come over the wire."""
    return text().replace(b'"value": 40', f'"value": {literal}'.encode())


def percent(literal: str) -> bytes:
    return text(ESTIMATE, "market.estimated.v1").replace(b'"percent": 40', f'"percent": {literal}'.encode())


def company(name: str) -> bytes:
    """A grant to a company of this name, with every character beyond ASCII escaped."""
    return json.dumps(envelope(GRANT | {"company": {"name": name}}, "approval.granted.v1")).encode()


def total(**changes: object) -> bytes:
    return text(TOTAL | changes)


def url(address: str) -> bytes:
    return total(source={"publisher": "Reuters", "url": address})


def now(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat(timespec="seconds")


@pytest.fixture
def nothing_stored(server: Server) -> Callable[[Log], None]:
    """Asserts that a ledger with one event is as it was, and that the server has no key that it did not have."""
    client = server.client()
    before = set(client.keys())

    def check(log: Log) -> None:
        assert log.head() == 1
        assert [event.payload for event in log.read()] == [encode(report("first"))]
        # By name, for what others left may expire meanwhile: the log and the ids of this one ledger.
        assert set(client.keys()) - before == {
            b"{%b}:log" % log.ledger.encode(),
            b"{%b}:ids" % log.ledger.encode(),
        }

    return check


@pytest.fixture
def held(server: Server, nothing_stored: Callable[[Log], None]) -> Log:
    """A ledger that holds one event."""
    log = Log(server.client(), new_ledger())
    log.append([report("first")])
    return log


BODIES = {
    # the body
    "1 an empty body": (b"", "invalid-json", ""),
    "1 only white space": (b" \n", "invalid-json", ""),
    "2 null": (b"null", "validation", ""),
    "2 an empty array": (b"[]", "validation", ""),
    "2 an array around the event": (b"[" + text() + b"]", "validation", ""),
    "2 a string": (b'"x"', "validation", ""),
    "2 a number": (b"42", "validation", ""),
    "2 true": (b"true", "validation", ""),
    "3 a trailing comma": (text()[:-1] + b",}", "invalid-json", ""),
    "4 text after the end": (text() + b"x", "invalid-json", ""),
    "4 a second event after the end": (text() + text(), "invalid-json", ""),
    "5 cut off": (text()[:-1], "invalid-json", ""),
    "5 cut off in a string": (text()[:30], "invalid-json", ""),
    "6 a byte order mark": (b"\xef\xbb\xbf" + text(), "invalid-json", ""),
    "7 UTF-16": (text().decode().encode("utf-16"), "invalid-json", ""),
    "7 UTF-16 without a mark": (text().decode().encode("utf-16-le"), "invalid-json", ""),
    "7 UTF-32": (text().decode().encode("utf-32"), "invalid-json", ""),
    "8 a surrogate as bytes": (text(id="@").replace(b"@", b"\xed\xa0\x80"), "invalid-json", ""),
    "8 an overlong encoding": (text(id="@").replace(b"@", b"\xc0\xaf"), "invalid-json", ""),
    "8 beyond Unicode": (text(id="@").replace(b"@", b"\xf4\x90\x80\x80"), "invalid-json", ""),
    "9 half a surrogate pair": (text(id="@").replace(b"@", b"\\ud800"), "invalid-json", ""),
    "9 the wrong half first": (text(id="@").replace(b"@", b"\\udc00\\ud800"), "invalid-json", ""),
    "9 half a pair in a key": (text(x=1).replace(b'"x"', b'"\\udfff"'), "invalid-json", ""),
    "10 a key twice": (text()[:-1] + b',"id":"e2"}', "duplicate-key", ""),
    "10 a key twice, deep": (
        text().replace(b'"value": 40', b'"value": 1, "value": 999'),
        "duplicate-key",
        "",
    ),
    "10 a key twice, hidden by an escape": (
        text().replace(b'"value": 40', b'"value": 1, "\\u0076alue": 999'),
        "duplicate-key",
        "",
    ),
    "11 a field nobody knows": (total(admin=True), "unknown-field", "data.admin"),
    "11 a field nobody knows, deep": (
        total(source=SOURCE | {"admin": True}),
        "unknown-field",
        "data.source.admin",
    ),
    "11 a field of another type": (total(ordinal=4), "unknown-field", "data.ordinal"),
    "11 the name that Python has for a field": (
        text(without(MERGER, "from") | {"from_": "01-ai"}, "company.merged.v1"),
        "missing-field",
        "data.from",
    ),
    "12 too deep": (b"[" * 17, "too-deep", ""),
    "12 far too deep": (b'{"a":' * 10_000, "too-deep", ""),
    "12 too deep in a field": (total(extra=json.loads("[" * 15 + "]" * 15)), "too-deep", ""),
    # the integer of a count
    "17 NaN": (value("NaN"), "invalid-json", ""),
    "17 Infinity": (value("Infinity"), "invalid-json", ""),
    "17 -Infinity": (value("-Infinity"), "invalid-json", ""),
    "18 1e400": (value("1e400"), "out-of-range", ""),
    "18 -1e400": (value("-1e400"), "out-of-range", ""),
    "19 1.0": (value("1.0"), "validation", "data.count.value"),
    "19 1.5": (value("1.5"), "validation", "data.count.value"),
    "19 1e2": (value("1e2"), "validation", "data.count.value"),
    "20 a string": (value('"100"'), "validation", "data.count.value"),
    "21 true": (value("true"), "validation", "data.count.value"),
    "21 true for an ordinal": (
        text(BATCH | {"ordinal": True}, "batch.announced.v1"),
        "validation",
        "data.ordinal",
    ),
    "21 true for a percentage": (percent("true"), "validation", "data.share.percent"),
    "22 null": (value("null"), "validation", "data.count.value"),
    "22 missing": (total(count={"relation": ">"}), "missing-field", "data.count.value"),
    "22 an object": (value("{}"), "validation", "data.count.value"),
    "23 2^53": (value("9007199254740992"), "out-of-range", "data.count.value"),
    "24 2^63": (value("9223372036854775808"), "out-of-range", "data.count.value"),
    "24 -2^63-1": (value("-9223372036854775809"), "validation", "data.count.value"),
    "24 a thousand digits": (value("9" * 1_000), "out-of-range", ""),
    "24 five thousand digits": (value("9" * 5_000), "out-of-range", ""),
    "25 negative": (value("-1"), "validation", "data.count.value"),
    "25 fewer than none": (
        total(count={"relation": "<", "value": 0}),
        "out-of-range",
        "data.count",
    ),
    "25 an ordinal of 0": (text(BATCH | {"ordinal": 0}, "batch.announced.v1"), "validation", "data.ordinal"),
    "25 a batch of 0": (text(GRANT | {"batch": 0}, "approval.granted.v1"), "validation", "data.batch"),
    "25 an ordinal beyond any": (
        text(BATCH | {"ordinal": 100_001}, "batch.announced.v1"),
        "validation",
        "data.ordinal",
    ),
    "26 -0.0": (value("-0.0"), "validation", "data.count.value"),
    "a leading zero": (value("040"), "invalid-json", ""),
    "hexadecimal": (value("0x28"), "invalid-json", ""),
    "a plus sign": (value("+40"), "invalid-json", ""),
    # the name of a company
    "27 an empty name": (company(""), "validation", "data.company.name"),
    "27 only spaces": (company("   "), "empty-name", "data.company.name"),
    "27 only full-width spaces": (company("\u3000"), "empty-name", "data.company.name"),
    "27 only zero-width spaces": (company("\u200b"), "empty-name", "data.company.name"),
    "27 only a Hangul filler": (company("\u3164"), "empty-name", "data.company.name"),
    "27 only a variation selector": (company("\ufe0f"), "empty-name", "data.company.name"),
    "28 201 characters": (company("a" * 201), "validation", "data.company.name"),
    "28 201 characters of Chinese": (company("零" * 201), "validation", "data.company.name"),
    "29 NUL": (company("a\0b"), "control-character", "data.company.name"),
    "30 a line feed": (company("a\nb"), "control-character", "data.company.name"),
    "30 a line feed at the end": (company("ab\n"), "control-character", "data.company.name"),
    "30 a carriage return": (company("a\rb"), "control-character", "data.company.name"),
    "30 a tab": (company("a\tb"), "control-character", "data.company.name"),
    "30 an escape": (company("\x1b[31mred"), "control-character", "data.company.name"),
    "30 delete": (company("a\x7fb"), "control-character", "data.company.name"),
    "30 next line": (company("a\u0085b"), "control-character", "data.company.name"),
    "31 right to left": (company("a\u202eb"), "control-character", "data.company.name"),
    "31 an isolate": (company("a\u2066b"), "control-character", "data.company.name"),
    "31 a mark": (company("a\u200fb"), "control-character", "data.company.name"),
    "32 a line separator": (company("a\u2028b"), "control-character", "data.company.name"),
    "32 a paragraph separator": (company("a\u2029b"), "control-character", "data.company.name"),
    "no character at all": (company("a\uffffb"), "control-character", "data.company.name"),
    "no character, among others": (company("a\ufdd0b"), "control-character", "data.company.name"),
    "no character, the last of a plane": (company("a\U0010fffeb"), "control-character", "data.company.name"),
    "a number for a name": (
        text(GRANT | {"company": {"name": 1}}, "approval.granted.v1"),
        "validation",
        "data.company.name",
    ),
    "a control character in a title": (
        total(source=SOURCE | {"title": "a\u0007b"}),
        "control-character",
        "data.source.title",
    ),
    "a control character in a list": (
        text(BATCH | {"named": [{"company": "ok"}, {"company": "a\u0000b"}]}, "batch.announced.v1"),
        "control-character",
        "data.named.1.company",
    ),
    "a title of 2,001 characters": (
        total(source=SOURCE | {"title": "a" * 2_001}),
        "validation",
        "data.source.title",
    ),
    # the type
    "39 an unknown type": (text(type="model.renamed.v1"), "unknown-type", "type"),
    "39 an unknown version": (text(type="total.reported.v2"), "unknown-version", "type"),
    "39 no version": (text(type="total.reported"), "unknown-type", "type"),
    "39 in capitals": (text(type="Total.Reported.v1"), "unknown-type", "type"),
    "39 an empty type": (text(type=""), "validation", "type"),
    "39 a type of 60 KB": (text(type="x" * 60_000), "validation", "type"),
    "39 a type with a line break": (text(type="total.reported.v1\n"), "control-character", "type"),
    "39 no type": (json.dumps(without(envelope(), "type")).encode(), "missing-field", "type"),
    "39 a number for a type": (text(type=1), "validation", "type"),
    "an unknown schema": (text(dataschema="urn:x"), "unknown-version", "dataschema"),
    # times and dates
    "40 the 13th month": (text(time="2024-13-01T00:00:00Z"), "date", "time"),
    "40 the 30th of February": (text(time="2024-02-30T00:00:00Z"), "date", "time"),
    "40 the 25th hour": (text(time="2024-01-01T25:00:00Z"), "date", "time"),
    "40 an empty time": (text(time=""), "date", "time"),
    "40 the 13th month of a date": (total(as_of="2024-13"), "date", "data.as_of"),
    "40 the 30th of February of a date": (total(as_of="2024-02-30"), "date", "data.as_of"),
    "40 an empty date": (total(as_of=""), "date", "data.as_of"),
    "40 a time for a date": (total(as_of="2024-01-28T00:00:00Z"), "date", "data.as_of"),
    "40 full-width digits": (total(as_of="２０２４"), "date", "data.as_of"),
    "41 no time zone": (text(time="2024-01-29T08:00:00"), "date", "time"),
    "40 the 24th hour": (text(time="2024-01-01T24:00:00Z"), "date", "time"),
    "40 a leap second": (text(time="2016-12-31T23:59:60Z"), "date", "time"),
    "41 a zone of 60 minutes": (text(time="2024-01-29T08:00:00+08:60"), "date", "time"),
    "41 a zone of 25 hours": (text(time="2024-01-29T08:00:00+25:00"), "date", "time"),
    "41 a space for the T": (text(time="2024-01-29 08:00:00Z"), "date", "time"),
    "42 an hour ahead": (text(time=now(hours=-1)), "timestamp-in-future", "time"),
    "42 the year 9999": (text(time="9999-12-31T23:59:59-23:59"), "timestamp-in-future", "time"),
    "42 the year 10000": (text(time="10000-01-01T00:00:00Z"), "date", "time"),
    "42 a date two days ahead": (
        total(as_of=now(days=-2)[:10]),
        "timestamp-in-future",
        "data.as_of",
    ),
    "42 a date of the year 9999": (total(as_of="9999"), "timestamp-in-future", "data.as_of"),
    "42 a date of the year 10000": (total(as_of="10000"), "date", "data.as_of"),
    "42 a period that ends in the future": (
        text(without(TOTAL, "as_of") | {"from": "2024", "to": "2999"}),
        "timestamp-in-future",
        "data.to",
    ),
    "42 a merger in the future": (
        text(MERGER | {"on": "2999-01"}, "company.merged.v1"),
        "timestamp-in-future",
        "data.on",
    ),
    "42 published in the future": (
        total(source=SOURCE | {"published_on": "2999"}),
        "timestamp-in-future",
        "data.source.published_on",
    ),
    "43 before 1900": (text(time="1899-12-31T23:59:59Z"), "date", "time"),
    "43 the year 0": (text(time="0000-01-01T00:00:00Z"), "date", "time"),
    "43 a date before 1900": (total(as_of="1899-12-31"), "date", "data.as_of"),
    "43 a date of the year 0": (total(as_of="0000"), "date", "data.as_of"),
    "43 a negative date": (total(as_of="-2024"), "date", "data.as_of"),
    "44 a number for a time": (text(time=1_706_515_200), "validation", "time"),
    "44 a number for a date": (total(as_of=2024), "validation", "data.as_of"),
    "44 nanoseconds": (text(time="2024-01-29T08:00:00.123456789Z"), "date", "time"),
    # addresses
    "45 javascript": (url("javascript:alert(1)"), "url", "data.source.url"),
    "45 data": (url("data:text/html,x"), "url", "data.source.url"),
    "45 file": (url("file:///etc/passwd"), "url", "data.source.url"),
    "45 ftp": (url("ftp://example.com/"), "url", "data.source.url"),
    "45 no scheme": (url("example.com"), "url", "data.source.url"),
    "45 no host": (url("https:///x"), "url", "data.source.url"),
    "45 a broken address": (url("http://[::1"), "url", "data.source.url"),
    "45 a space": (url("https://example.com/a b"), "url", "data.source.url"),
    "45 a line break that parsers drop": (
        url("java\nscript:alert(1)"),
        "control-character",
        "data.source.url",
    ),
    "45 a tab before a scheme": (url("\thttps://x.example"), "control-character", "data.source.url"),
    "45 an address of 3,000 characters": (
        url("https://example.com/" + "a" * 3_000),
        "validation",
        "data.source.url",
    ),
    "45 in the origin": (
        total(source=SOURCE | {"derived_from": {"publisher": "x", "url": "javascript:1"}}),
        "url",
        "data.source.derived_from.url",
    ),
    # id and source
    "47 no id": (json.dumps(without(envelope(), "id")).encode(), "missing-field", "id"),
    "47 no source": (json.dumps(without(envelope(), "source")).encode(), "missing-field", "source"),
    "47 an empty id": (text(id=""), "validation", "id"),
    "47 an empty source": (text(source=""), "validation", "source"),
    "47 a blank id": (text(id=" "), "empty-name", "id"),
    "47 an id of 257 bytes": (text(id="x" * 257), "too-long", "id"),
    "47 an id of 257 bytes in 86 characters": (text(id="零" * 85 + "xx"), "too-long", "id"),
    "47 a source of 257 bytes": (text(source="x" * 257), "too-long", "source"),
    "47 an id with a line break": (text(id="a\nb"), "control-character", "id"),
    "47 a number for an id": (text(id=7), "validation", "id"),
    "47 null for an id": (text(id=None), "validation", "id"),
    # the envelope
    "no specversion": (
        json.dumps(without(envelope(), "specversion")).encode(),
        "missing-field",
        "specversion",
    ),
    "another specversion": (text(specversion="0.3"), "validation", "specversion"),
    "another content type": (text(datacontenttype="text/xml"), "validation", "datacontenttype"),
    "no data": (json.dumps(without(envelope(), "data")).encode(), "missing-field", "data.authority"),
    "null data": (text(None), "validation", "data"),
    "a list for data": (text([]), "validation", "data"),
    "data in base64": (text(data_base64="e30="), "unknown-field", "data_base64"),
    "an empty subject": (text(subject=""), "validation", "subject"),
    "a subject of 201 characters": (text(subject="s" * 201), "validation", "subject"),
    "a subject with a line break": (text(subject="a\nb"), "control-character", "subject"),
    "a position from outside": (text(sequence="0000000000000001"), "unknown-field", "sequence"),
    "a recorded time from outside": (
        text(recordedtime="2024-01-29T08:00:00Z"),
        "unknown-field",
        "recordedtime",
    ),
    "70 an extension": (text(colour="red"), "unknown-field", "colour"),
    "70 a hundred extensions": (
        text(**{f"x{number}": 1 for number in range(100)}),
        "unknown-field",
        "x0",
    ),
    "70 an extension with a name that no terminal should see": (
        text(**{"a\nb\x1b[31m": 1}),
        "unknown-field",
        "'a\\nb\\x1b[31m'",
    ),
    "70 an extension with a name of 50 KB": (text(**{"x" * 50_000: 1}), "unknown-field", "x" * 200),
    # shares
    "a share over 100": (percent("100.5"), "validation", "data.share.percent"),
    "a share under 0": (percent("-1"), "validation", "data.share.percent"),
    "a share that is a string": (percent('"40"'), "validation", "data.share.percent"),
    "a share of 1e400": (percent("1e400"), "out-of-range", ""),
    "a rounding of 0": (
        text(ESTIMATE | {"share": {"percent": 40, "rounding": 0}}, "market.estimated.v1"),
        "validation",
        "data.share.rounding",
    ),
    "a rounding over 100": (
        text(ESTIMATE | {"share": {"percent": 40, "rounding": 101}}, "market.estimated.v1"),
        "validation",
        "data.share.rounding",
    ),
    "a share without its rounding": (
        text(ESTIMATE | {"share": {"percent": 40}}, "market.estimated.v1"),
        "missing-field",
        "data.share.rounding",
    ),
    "neither count nor share": (
        text(without(ESTIMATE, "share"), "market.estimated.v1"),
        "validation",
        "data",
    ),
    "a region that is none": (
        text(ESTIMATE | {"region": "China"}, "market.estimated.v1"),
        "validation",
        "data.region",
    ),
    "a region with a line break": (
        text(ESTIMATE | {"region": "CN\n"}, "market.estimated.v1"),
        "validation",
        "data.region",
    ),
    # counts
    "about, within less than nothing": (
        total(count={"relation": "~", "value": 130, "within": -1}),
        "validation",
        "data.count.within",
    ),
    "exactly, within": (
        total(count={"relation": "=", "value": 130, "within": 1}),
        "validation",
        "data.count",
    ),
    "a relation that is none": (
        total(count={"relation": "≥", "value": 130}),
        "validation",
        "data.count.relation",
    ),
    # what belongs together
    "a period that runs backwards": (
        text(without(TOTAL, "as_of") | {"from": "2024-02", "to": "2024-01"}),
        "validation",
        "data",
    ),
    "a period without an end": (
        text(without(TOTAL, "as_of") | {"from": "2024-02"}),
        "validation",
        "data",
    ),
    "a day and a period": (total(**{"from": "2023", "to": "2024"}), "validation", "data"),
    "no time at all": (text(without(TOTAL, "as_of")), "validation", "data"),
    "a basis that is none": (total(basis="now"), "validation", "data.basis"),
    "a company merged into itself": (
        text(MERGER | {"into": "01-ai"}, "company.merged.v1"),
        "validation",
        "data",
    ),
    "a company that is no slug": (
        text(IDENTITY | {"company": "01.AI"}, "company.identified.v1"),
        "validation",
        "data.company",
    ),
    "a slug with a line break": (
        text(IDENTITY | {"company": "01-ai\n"}, "company.identified.v1"),
        "validation",
        "data.company",
    ),
    "a company without names": (
        text(IDENTITY | {"names": []}, "company.identified.v1"),
        "validation",
        "data.names",
    ),
    "a language that is none": (
        text(IDENTITY | {"names": [{"text": "x", "lang": "中文"}]}, "company.identified.v1"),
        "validation",
        "data.names.0.lang",
    ),
    "201 names": (
        text(IDENTITY | {"names": [{"text": f"n{n}"} for n in range(201)]}, "company.identified.v1"),
        "validation",
        "data.names",
    ),
    "1,001 named in a batch": (
        text(BATCH | {"named": [{"company": f"c{n}"} for n in range(1_001)]}, "batch.announced.v1"),
        "validation",
        "data.named",
    ),
    "an amendment of nothing": (
        text(AMENDMENT | {"changes": {}}, "approval.amended.v1"),
        "validation",
        "data.changes",
    ),
    "a revocation of nothing": (
        text(without(REVOCATION, "registry_number"), "approval.revoked.v1"),
        "validation",
        "data",
    ),
    "a revocation of an item of nobody": (
        text(without(REVOCATION, "registry_number") | {"item": {"name": "Yi"}}, "approval.revoked.v1"),
        "validation",
        "data",
    ),
    "terms equated with themselves": (
        text(TERMS | {"b": TERMS["a"]}, "terms.equated.v1"),
        "validation",
        "data",
    ),
    "an event that replaces itself": (
        text(REPLACEMENT | {"replacement": REFERENCE}, "event.superseded.v1"),
        "validation",
        "data",
    ),
    "an event that retracts itself": (
        text(RETRACTION, "event.retracted.v1", id="e0"),
        "validation",
        "data.target",
    ),
    "a correction by nobody": (
        text(without(RETRACTION, "actor"), "event.retracted.v1"),
        "missing-field",
        "data.actor",
    ),
    "a batch that is an object": (
        text(GRANT | {"batch": {}}, "approval.granted.v1"),
        "validation",
        "data.batch",
    ),
    "a batch that is a list": (
        text(GRANT | {"batch": [1]}, "approval.granted.v1"),
        "validation",
        "data.batch",
    ),
    "a batch that is half": (text(GRANT | {"batch": 1.5}, "approval.granted.v1"), "validation", "data.batch"),
}


@pytest.mark.parametrize(("body", "code", "field"), BODIES.values(), ids=BODIES.keys())
def test_a_bad_event_is_refused_with_its_code_and_its_field(
    held: Log, nothing_stored: Callable[[Log], None], body: bytes, code: str, field: str
) -> None:
    with pytest.raises(InvalidEvent) as refused:
        held.append([parse(body)])
    fault = refused.value.faults[0]
    assert (refused.value.code, fault.code, fault.field) == (code, code, field)
    says_what_was_wrong_in_few_words(refused.value)
    nothing_stored(held)
    # A file of events says the same of it, with a line.
    in_a_file = [
        fault for each in read_events(text() + b"\n" + body.replace(b"\n", b" ")) for fault in each.faults
    ]
    assert len(body.strip()) == 0 or in_a_file[0].line == 2


def says_what_was_wrong_in_few_words(error: LedgerError) -> None:
    words = str(error)
    assert "Nothing was stored." in words
    assert len(words) < 2_000, "an error must not repeat its input at length"
    assert words.isprintable(), "an error must not carry a line break or a terminal's escape to a log"
    for of_the_library in ("pydantic", "constrained", "function-after", "https://errors"):
        assert of_the_library not in words


def test_an_event_over_64_kib_is_too_large_whatever_is_in_it(
    held: Log, nothing_stored: Callable[[Log], None]
) -> None:
    for body in (text() + b" " * 65_536, b"[" * 10_000_000, company("a" * 100_000)):
        with pytest.raises(TooLarge, match=r"at most 65,536 are taken") as refused:
            held.append([parse(body)])
        says_what_was_wrong_in_few_words(refused.value)
    nothing_stored(held)


def test_every_fault_of_an_event_is_named_and_at_most_ten_are_spelled_out() -> None:
    with pytest.raises(InvalidEvent) as refused:
        parse(text(TOTAL | {f"x{number}": 1 for number in range(25)}))
    assert len(refused.value.faults) == 25
    assert str(refused.value).endswith("; and 15 more. Nothing was stored.")


# What looks dangerous and is only text

NAMES = {
    "33 full-width": "Ａcme",
    "33 a ligature": "ﬁrm",
    "33 decomposed": "E\u0301cole",
    "33 a hard space": "a\u00a0b",
    "33 a joiner inside": "نامه\u200cای",
    "34 a dotted capital I": "İstanbul",
    "34 a sharp s": "Straße",
    "35 a path": "../../etc/passwd",
    "35 a slash": "a/b",
    "35 escapes of an address": "%2e%2e",
    "36 a formula": '=HYPERLINK("http://x","y")',
    "36 a plus": "+1",
    "36 a minus": "-1+1",
    "36 an at sign": "@SUM",
    "36 a full-width formula": "＝1",
    "37 a script": "<script>",
    "37 an image": '"><img onerror=alert(1)>',
    "37 a scheme": "javascript:",
    "38 a template": "{{7*7}}",
    "38 a lookup": "${jndi:ldap://x}",
    "38 a format": "%s%n",
    "38 a named format": "%(x)s {reason} {0}",
    "38 a backslash": "a\\n\\u0000",
    "200 characters of 4 bytes": "😀" * 200,
    "a single quote": "O'Reilly; DROP TABLE events",
    "a word of the server": "FLUSHALL",
    "a key of the ledger": "{ledger}:log",
    "what has no meaning yet in Unicode 15": "a\U0002ebf0 \u0378",
    "nothing but that": "\u0378",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_that_looks_like_code_is_stored_as_it_is_and_read_back(log: Log, name: str) -> None:
    event = replace(parse(company(name)), subject=name)
    log.append([event])
    (stored,) = log.read_subject(name)
    assert parse(stored.payload) == event
    assert data_of(event, ApprovalGranted).company.name == name
    assert name_key(name) == name_key(name_key(name))


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://2130706433/",
        "https://user:password@example.com:99999/?q=1#x",
        "HTTPS://EXAMPLE.COM",
        "https://例え.jp/第四批",
    ],
)
def test_an_address_is_text_that_nobody_fetches(
    log: Log, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*arguments: object) -> None:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr("socket.getaddrinfo", no_network)
    log.append([parse(url(address))])
    assert data_of(parse(event_at(log, 1).payload), TotalReported).source.url == address


@pytest.mark.parametrize(
    "body",
    [
        value("0"),
        value("-0"),
        value("9007199254740991"),
        percent("0"),
        percent("100"),
        percent("-0.0"),
        percent("1e-400"),
        text(id="x" * 256),
        text(time=now(minutes=-4)),
        text(time="1900-01-01T00:00:00Z"),
        total(as_of=now()[:10]),
        text(BATCH | {"size": {"relation": "=", "value": 0}}, "batch.announced.v1"),
        text(BATCH | {"ordinal": None, "named": []}, "batch.announced.v1"),
        text(GRANT | {"batch": "4"}, "approval.granted.v1"),
        text(MERGER, "company.merged.v1"),
        text(IDENTITY, "company.identified.v1"),
        text(AMENDMENT, "approval.amended.v1"),
        text(REVOCATION, "approval.revoked.v1"),
        text(TERMS, "terms.equated.v1"),
        text(RETRACTION, "event.retracted.v1"),
        text(REPLACEMENT, "event.superseded.v1"),
        text(USAGE, "usage.reported.v1"),
    ],
)
def test_what_lies_just_inside_a_limit_is_taken(log: Log, body: bytes) -> None:
    (receipt,) = log.append([parse(body)])
    assert (receipt.position, receipt.duplicate) == (1, False)
    assert b":-0" not in event_at(log, 1).payload


# Ids


def test_the_same_event_again_is_no_second_one(held: Log, nothing_stored: Callable[[Log], None]) -> None:
    (receipt,) = held.append([report("first")])
    assert (receipt.position, receipt.duplicate) == (1, True)
    nothing_stored(held)


def test_the_same_id_with_another_figure_is_a_conflict_that_names_the_position(
    held: Log, nothing_stored: Callable[[Log], None]
) -> None:
    with pytest.raises(IdConflict, match="'first' of source 'urn:desk' is already at position 1") as refused:
        held.append([report("new"), report("first", 41)])
    assert (refused.value.code, refused.value.position, refused.value.index) == ("id-conflict", 1, 1)
    says_what_was_wrong_in_few_words(refused.value)
    nothing_stored(held)


def test_the_same_id_of_another_source_is_another_event(held: Log) -> None:
    (receipt,) = held.append([report("first", source="urn:other")])
    assert (receipt.position, receipt.duplicate) == (2, False)


def test_ids_and_sources_that_only_together_read_the_same_are_apart(log: Log) -> None:
    log.append([report("bc", source="a"), report("c", source="ab"), report("a", source="bc")])
    assert log.head() == 3
    assert [log.position_of(*pair) for pair in [("a", "bc"), ("ab", "c"), ("bc", "a")]] == [1, 2, 3]


def test_ids_are_compared_byte_by_byte(log: Log) -> None:
    spellings = ["é", "e\u0301", "É", "ｅ", "e", "e "]
    log.append([report(spelling) for spelling in spellings])
    assert log.head() == len(spellings)


# Batches


def test_a_batch_with_one_bad_event_stores_nothing_and_says_which(
    held: Log, nothing_stored: Callable[[Log], None]
) -> None:
    bad = replace(report("e3"), id="")
    with pytest.raises(InvalidEvent, match=r"^event 3: id: ") as refused:
        held.append([report("e0"), report("e1"), report("e2"), bad, report("e4")])
    assert {fault.index for fault in refused.value.faults} == {3}
    nothing_stored(held)


def test_every_bad_event_of_a_batch_is_named(held: Log, nothing_stored: Callable[[Log], None]) -> None:
    bad = replace(report("e"), time="yesterday")
    with pytest.raises(InvalidEvent) as refused:
        held.append([replace(bad, id=f"e{number}") for number in range(12)])
    assert [fault.index for fault in refused.value.faults] == list(range(12))
    says_what_was_wrong_in_few_words(refused.value)
    nothing_stored(held)


def test_an_id_twice_in_one_batch_is_refused_with_both_indexes(
    held: Log, nothing_stored: Callable[[Log], None]
) -> None:
    for twin in (report("e1"), report("e1", 41)):
        with pytest.raises(InvalidEvent, match=r"^event 2: id: has the source and id of event 1 ") as refused:
            held.append([report("e0"), report("e1"), twin])
        assert refused.value.code == "duplicate-id"
        nothing_stored(held)


@pytest.mark.parametrize("other", [{"id": "e1"}, b"{}", None, report("e1").data])
def test_what_is_no_event_at_all_is_refused_with_what_makes_one(
    held: Log, nothing_stored: Callable[[Log], None], other: Any
) -> None:
    with pytest.raises(InvalidEvent, match=rf"^event 1: is no Event but a {type(other).__name__}: `parse`"):
        held.append([report("e0"), other])
    nothing_stored(held)


def test_a_batch_of_none_is_refused(held: Log, nothing_stored: Callable[[Log], None]) -> None:
    with pytest.raises(InvalidEvent, match="a batch needs at least one event"):
        held.append([])
    with pytest.raises(InvalidEvent, match="a batch needs at least one event"):
        held.append(valid_events(b"[]"))
    nothing_stored(held)


def test_a_batch_of_too_many_is_refused_before_any_is_looked_at(
    held: Log, nothing_stored: Callable[[Log], None]
) -> None:
    with pytest.raises(TooLarge, match="at most 10,000 events, not 10,001") as refused:
        held.append([report("e")] * (BATCH_LIMIT + 1))
    says_what_was_wrong_in_few_words(refused.value)
    nothing_stored(held)


def test_of_events_without_end_none_is_asked_for_after_the_first_that_is_too_many(
    held: Log, nothing_stored: Callable[[Log], None]
) -> None:
    with pytest.raises(TooLarge, match="at most 10,000 events, not 10,001"):
        held.append(report(f"e{number}") for number in numbers())
    nothing_stored(held)


def test_an_event_that_grew_over_the_limit_and_a_batch_of_too_many_bytes_are_refused(
    held: Log, nothing_stored: Callable[[Log], None]
) -> None:
    title = "😀" * 2_000
    names = [{"text": "零" * 200, "lang": "zh"} for _ in range(200)]
    large = parse(text(IDENTITY | {"names": names[:90]}, "company.identified.v1"))
    too_large = replace(
        large,
        data=CATALOG["company.identified.v1"](
            **IDENTITY | {"names": names, "source": {"publisher": title[:200]}}
        ),
    )
    with pytest.raises(TooLarge, match="event 1 has 125,841 bytes; at most 65,536 are taken"):
        held.append([report("e0"), too_large])
    count = BATCH_BYTES_LIMIT // len(encode(large)) + 1
    with pytest.raises(TooLarge, match=r"the batch has 8,\d\d\d,\d\d\d bytes; at most 8,388,608 are taken"):
        held.append([replace(large, id=f"e{number}") for number in range(count)])
    nothing_stored(held)


# Events made in Python, past the checks of their models


class Homemade(EventData):
    TYPE = "homemade.v1"


class Disguised(EventData):
    TYPE = "total.reported.v1"


def changed(**changes: object) -> EventData:
    return report("e1").data.model_copy(update=changes)


def untyped(**changes: Any) -> Event:
    """An event of somebody who has no type checker."""
    return replace(report("e1"), **changes)


MADE = {
    "a date that is none": (Event("e1", "urn:desk", changed(as_of="2024-99")), "date", "data.as_of"),
    "a name with a line break": (
        Event("e1", "urn:desk", changed(authority="a\nb")),
        "control-character",
        "data.authority",
    ),
    "nothing where a name must be": (
        Event("e1", "urn:desk", changed(authority=None)),
        "missing-field",
        "data.authority",
    ),
    "no number for a name": (
        Event("e1", "urn:desk", changed(authority=float("nan"))),
        "validation",
        "data.authority",
    ),
    "bytes that are no text for a name": (
        Event("e1", "urn:desk", changed(authority=b"\xff")),
        "validation",
        "data",
    ),
    "what is no JSON for a name": (
        Event("e1", "urn:desk", changed(authority=object())),
        "validation",
        "data",
    ),
    "a share that is no number": (
        Event(
            "e1",
            "urn:desk",
            MarketEstimated(
                estimator="CLSA",
                region="CN",
                unit="model",
                count=Count(relation="=", value=1),
                as_of="2024",
                source=Source(publisher="CLSA"),
            ).model_copy(
                update={"share": Share(percent=40, rounding=1).model_copy(update={"percent": float("nan")})}
            ),
        ),
        "validation",
        "data.share.percent",
    ),
    "2^53 for a count": (
        Event("e1", "urn:desk", changed(count=Count.model_construct(relation="=", value=2**53))),
        "out-of-range",
        "data.count.value",
    ),
    "a model that was never checked": (
        Event("e1", "urn:desk", UsageReported.model_construct(company="Baidu")),
        "missing-field",
        "data.item",
    ),
    "a dict for data": (untyped(data=TOTAL), "unknown-type", "data"),
    "None for data": (untyped(data=None), "unknown-type", "data"),
    "a type of one's own": (Event("e1", "urn:desk", Homemade()), "unknown-type", "data"),
    "a model of one's own under a known type": (
        Event("e1", "urn:desk", Disguised()),
        "unknown-type",
        "data",
    ),
    "None for a source": (untyped(source=None), "missing-field", "source"),
    "a number for an id": (untyped(id=7), "validation", "id"),
    "half a surrogate pair for an id": (replace(report("e1"), id="\ud800"), "validation", "id"),
    "an id of 257 bytes": (replace(report("e1"), id="零" * 86), "too-long", "id"),
    "an empty subject": (replace(report("e1"), subject=""), "validation", "subject"),
    "a number for a time": (untyped(time=1_706_515_200), "validation", "time"),
    "a time without a zone": (replace(report("e1"), time="2024-01-29T08:00:00"), "date", "time"),
    "a time in the future": (
        replace(report("e1"), time="2999-01-01T00:00:00Z"),
        "timestamp-in-future",
        "time",
    ),
    "a date in the future": (
        replace(report("e1"), data=changed(as_of="2999-01")),
        "timestamp-in-future",
        "data.as_of",
    ),
    "a trace that is none": (replace(report("e1"), traceparent="a\nb"), "control-character", "traceparent"),
    "a correlation of 257 bytes": (
        replace(report("e1"), correlationid="x" * 257),
        "too-long",
        "correlationid",
    ),
}


@pytest.mark.parametrize(("event", "code", "field"), MADE.values(), ids=MADE.keys())
def test_an_event_made_in_python_is_checked_as_one_that_was_sent(
    held: Log, nothing_stored: Callable[[Log], None], event: Event, code: str, field: str
) -> None:
    with pytest.raises(InvalidEvent) as refused:
        held.append([report("e0"), event])
    fault = refused.value.faults[0]
    assert (fault.code, fault.field, fault.index) == (code, field, 1)
    says_what_was_wrong_in_few_words(refused.value)
    nothing_stored(held)


def test_what_python_adds_to_an_event_is_what_the_catalog_knows() -> None:
    assert CONTENT_TYPE == "application/json"
    assert json.loads(encode(report("e1"))).keys() == {
        "specversion",
        "id",
        "source",
        "type",
        "datacontenttype",
        "dataschema",
        "data",
    }


# Positions and expectations

NO_POSITIONS = [-1, 1.5, 2**53, 2**64, "1", "abc", "$", "+", "-", "1-1", "(1", "*", True, b"1", float("nan")]


@pytest.mark.parametrize("position", NO_POSITIONS, ids=repr)
def test_what_is_no_position_never_reaches_the_server(
    held: Log, nothing_stored: Callable[[Log], None], position: Any
) -> None:
    questions: list[Callable[[], object]] = [
        lambda: held.append([report("e1")], expected_position=position),
        lambda: next(held.read(position)),
        lambda: next(held.read_backwards(position)),
        lambda: next(held.read_subject("s", position)),
        lambda: next(held.read_subject("s", before=position)),
        lambda: next(held.follow(position)),
        lambda: held.at(position),
        lambda: held.page(position, 1),
    ]
    for question in questions:
        with pytest.raises(BadQuestion, match=r"a position is a whole number from 0 to 2\^53 - 1, not"):
            question()
    nothing_stored(held)


@pytest.mark.parametrize(
    ("subject", "state", "words"),
    [
        ("", "none", "must name the subject"),
        ("\ud800", "none", "must name the subject"),
        *(
            ("s", state, "'none', 'exists' or a position")
            for state in ("any", "NONE", "", "1", True, 1.5, None)
        ),
        *(("s", state, "a position is a whole number") for state in (-1, 2**53)),
    ],
)
def test_an_expectation_that_means_nothing_is_refused(
    held: Log, nothing_stored: Callable[[Log], None], subject: str, state: Any, words: str
) -> None:
    with pytest.raises(BadQuestion, match=words):
        held.append([report("e1", subject="s")], expected_subject=(subject, state))
    nothing_stored(held)


@pytest.mark.parametrize("expected", [0, 2, 2**53 - 1])
def test_a_stale_expectation_says_where_the_ledger_is_now(
    held: Log, nothing_stored: Callable[[Log], None], expected: int
) -> None:
    with pytest.raises(
        StaleExpectation, match=f"is at position 1, and position {expected} was expected"
    ) as refused:
        held.append([report("e1")], expected_position=expected)
    assert (refused.value.code, refused.value.current) == ("stale-expectation", 1)
    says_what_was_wrong_in_few_words(refused.value)
    nothing_stored(held)


# Names of ledgers and what is asked of them


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "A",
        "ä",
        "a/b",
        "../a",
        "a:b",
        "{a}",
        "a}",
        "a\n",
        "-a",
        "a-",
        "_a",
        "*",
        "a" * 65,
        "\ud800",
        "１",
    ],
)
def test_what_cannot_name_a_ledger_makes_no_key(server: Server, name: str) -> None:
    with pytest.raises(
        BadQuestion, match="cannot name a ledger: use 1 to 64 of a-z, 0-9, - and _"
    ) as refused:
        Log(server.client(), name)
    assert isinstance(refused.value, Refused)


@pytest.mark.parametrize("name", ["a", "0", "a-b_c", "a" * 64])
def test_what_can_name_a_ledger_is_one(server: Server, name: str) -> None:
    assert Log(server.client(), name).ledger == name


def test_a_reader_may_ask_for_anything_and_finds_nothing(
    held: Log, nothing_stored: Callable[[Log], None]
) -> None:
    for odd in ("", "\ud800", "a\nb", "x" * 100_000, "*", "\0"):
        assert list(held.read_subject(odd)) == []
        assert held.position_of(odd, "first") is None
        assert held.position_of("urn:desk", odd) is None
    assert list(held.read(2**53 - 1)) == []
    assert held.at(2**53 - 1) is None
    assert held.at(0) is None
    assert list(held.read_backwards(0)) == []
    assert list(held.read(limit=0)) == list(held.read(limit=-1)) == held.page(0, 0) == held.page(0, -1) == []
    nothing_stored(held)
