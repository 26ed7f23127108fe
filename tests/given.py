"""Logs that make tests readable: one short line for each report, folded in memory and asked without a server.

    reports = log(
        batch(4, "=14", on="2024-01-26", named=["Xiaomi", "4Paradigm", "01.AI"]),
        total(">40", on="2024-01-28"),
    )
    assert ask(reports, "totals")[0]["total"] == at_least(41)

The report at position n has the id `e<n>`, so that a correction later in the table can name it.

The last part is for tests of the store: a projection whose results are easy to check, and what a server has stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from redis.connection import AbstractConnection

from events import (
    Count,
    DecodedEvent,
    Event,
    EventData,
    Log,
    RecordedEvent,
    Share,
    canonical,
    encode,
    keys,
    load_function,
    valid_events,
)
from events.catalog import (
    ApprovalAmended,
    ApprovalGranted,
    ApprovalRevoked,
    BatchAnnounced,
    Changes,
    CompanyIdentified,
    CompanyMerged,
    CompanyName,
    EventReference,
    EventRetracted,
    EventSuperseded,
    Holder,
    Item,
    MarketEstimated,
    Named,
    Origin,
    Source,
    Terms,
    TermsEquated,
    TotalReported,
    UsageReported,
)
from projections import (
    PROJECTIONS,
    Documents,
    Generation,
    MemoryDocuments,
    Projection,
    answers,
    digest,
    fold,
    queries,
)

from .strategies import report

EXAMPLES = Path(__file__).parents[1] / "examples"
NEWS = EXAMPLES / "2024-01-news.ndjson"
HISTORY = valid_events((EXAMPLES / "history.ndjson").read_bytes())

DESK = "urn:desk"
MODELS = ("CAC", "approval", "model")
SERVICES = ("CAC", "filing", "service")
STARTED_MS = 1_706_500_000_000  # when the first event of every log was recorded

Line = EventData | Event | bytes

D = TypeVar("D", bound=EventData)


def log(*lines: Line) -> list[RecordedEvent]:
    """The lines as a log has them: with positions from 1 on, the ids `e1`, `e2`, ..., and recorded a second apart."""
    return [
        RecordedEvent(position, STARTED_MS + 1000 * position, _payload(line, f"e{position}"))
        for position, line in enumerate(lines, start=1)
    ]


def _payload(line: Line, id: str) -> bytes:
    if isinstance(line, bytes):
        return line
    return encode(line if isinstance(line, Event) else Event(id=id, source=DESK, data=line))


def called(id: str, data: EventData) -> Event:
    """`data` under a chosen id, for corrections that should not depend on positions."""
    return Event(id=id, source=DESK, data=data)


def unknown(type: str = "model.retired.v1", id: str = "u1", **data: object) -> bytes:
    """An event of a type that nobody here knows, as a newer producer may write it."""
    return canonical({"specversion": "1.0", "id": id, "source": DESK, "type": type, "data": data})


def count(text: str) -> Count:
    """`=14`, `>40`, `~100`, or `~100±10`."""
    match = re.fullmatch(r"(>=|<=|[=<>~])(\d+)(?:±(\d+))?", text)
    assert match, text
    return Count.model_validate(
        {"relation": match[1], "value": int(match[2])} | ({"within": int(match[3])} if match[3] else {})
    )


def by(publisher: str | Sequence[str]) -> Source:
    """A source: `Reuters`, or `("OODAloop", "Reuters")`, the first of which repeats the second."""
    if isinstance(publisher, str):
        return Source(publisher=publisher)
    repeats, origin = publisher
    return Source(publisher=repeats, derived_from=Origin(publisher=origin))


def granted(
    company: str,
    item: str,
    on: str,
    *,
    number: str | None = None,
    batch: int | str | None = None,
    terms: tuple[str, str, str] = MODELS,
    source: str | Sequence[str] = "CAC",
) -> ApprovalGranted:
    authority, instrument, unit = terms
    return ApprovalGranted(
        authority=authority,
        instrument=instrument,
        unit=unit,
        item=Item(name=item, registry_number=number),
        company=Holder(name=company),
        approved_on=on,
        batch=batch,
        source=by(source),
    )


def revoked(
    number: str | None = None,
    *,
    item: str | None = None,
    company: str | None = None,
    on: str,
    terms: tuple[str, str, str] = MODELS,
    source: str | Sequence[str] = "CAC",
) -> ApprovalRevoked:
    return ApprovalRevoked(
        authority=terms[0],
        instrument=terms[1],
        registry_number=number,
        item=Item(name=item) if item else None,
        company=Holder(name=company) if company else None,
        revoked_on=on,
        source=by(source),
    )


def amended(
    number: str, *, company: str | None = None, item: str | None = None, on: str | None = None
) -> ApprovalAmended:
    return ApprovalAmended(
        authority="CAC",
        instrument="approval",
        registry_number=number,
        changes=Changes(
            company=Holder(name=company) if company else None, item=Item(name=item) if item else None
        ),
        amended_on=on,
        source=by("CAC"),
    )


def batch(
    ordinal: int | None,
    size: str,
    on: str,
    *,
    named: Iterable[str | tuple[str, str]] = (),
    label: str | None = None,
    terms: tuple[str, str, str] = MODELS,
    source: str | Sequence[str] = "Reuters",
) -> BatchAnnounced:
    """A batch; `named` lists companies, or pairs of a company and its item."""
    authority, instrument, unit = terms
    pairs = [(entry, None) if isinstance(entry, str) else entry for entry in named]
    return BatchAnnounced(
        authority=authority,
        instrument=instrument,
        unit=unit,
        ordinal=ordinal,
        label=label,
        announced_on=on,
        size=count(size),
        named=[Named(company=company, item=item) for company, item in pairs],
        source=by(source),
    )


def total(
    figure: str,
    on: str | None = None,
    *,
    period: tuple[str, str] | None = None,
    in_force: bool = False,
    terms: tuple[str, str, str] = MODELS,
    source: str | Sequence[str] = "Reuters",
) -> TotalReported:
    """A figure for everything up to `on`, or for a `period`, which is its first and its last day."""
    authority, instrument, unit = terms
    since, to = period or (None, None)
    return TotalReported(
        authority=authority,
        instrument=instrument,
        unit=unit,
        count=count(figure),
        as_of=on,
        from_=since,
        to=to,
        basis="in_force" if in_force else "ever",
        source=by(source),
    )


def estimate(
    region: str,
    stock: str | None = None,
    *,
    share: float | None = None,
    rounding: float = 1,
    estimator: str = "CLSA",
    unit: str = "model",
    on: str = "2023-09-22",
    source: str | Sequence[str] = "Reuters",
) -> MarketEstimated:
    return MarketEstimated(
        estimator=estimator,
        region=region,
        unit=unit,
        count=count(stock) if stock else None,
        share=None if share is None else Share(percent=float(share), rounding=float(rounding)),
        as_of=on,
        source=by(source),
    )


def used(company: str, item: str, users: str, on: str) -> UsageReported:
    return UsageReported(company=company, item=item, users=count(users), as_of=on, source=by(company))


def identified(slug: str, *names: str, source: str = "registry") -> CompanyIdentified:
    return CompanyIdentified(company=slug, names=[CompanyName(text=n) for n in names], source=by(source))


def merged(slug: str, into: str, on: str = "2024-02-01") -> CompanyMerged:
    return CompanyMerged(from_=slug, into=into, on=on, source=by("registry"))


def equated(
    a: tuple[str, str, str] = MODELS, b: tuple[str, str, str] = SERVICES, actor: str = "editor"
) -> TermsEquated:
    assert a[0] == b[0]
    return TermsEquated(
        authority=a[0],
        a=Terms(instrument=a[1], unit=a[2]),
        b=Terms(instrument=b[1], unit=b[2]),
        reason="the press calls filings approvals",
        actor=actor,
        source=by(actor),
    )


def retracted(id: str, source: str = DESK) -> EventRetracted:
    return EventRetracted(target=reference(id, source), reason="a typing error", actor="editor")


def superseded(id: str, replacement: str) -> EventSuperseded:
    return EventSuperseded(
        target=reference(id), replacement=reference(replacement), reason="misread", actor="editor"
    )


def reference(id: str, source: str = DESK) -> EventReference:
    return EventReference(source=source, id=id)


# Asking.


def views(reports: Sequence[RecordedEvent]) -> dict[str, MemoryDocuments]:
    """The documents of every projection after `reports`."""
    return {name: fold(projection, reports) for name, projection in PROJECTIONS.items()}


ASK: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "totals": answers.totals_in,
    "batches": answers.batches_in,
    "companies": answers.companies_in,
    "shares": answers.shares_in,
    "share_of_stock": answers.share_of_stock_in,
    "sources": answers.sources_in,
}
QUESTIONS: dict[str, Callable[..., dict[str, Any]]] = {  # the same, asked of a log and its store
    "totals": queries.totals,
    "batches": queries.batches,
    "companies": queries.companies,
    "shares": queries.shares,
    "sources": queries.sources,
}


def ask(reports: Sequence[RecordedEvent], question: str, *args: Any, **asked: Any) -> list[dict[str, Any]]:
    """The answers to a question of `queries`, such as `totals`, after `reports`."""
    return ASK[question](views(reports), *args, **asked)


def total_of(
    reports: Sequence[RecordedEvent], terms: tuple[str, str, str] = MODELS, **asked: Any
) -> dict[str, Any]:
    """The only total with the given terms."""
    authority, instrument, unit = terms
    (answer,) = ask(reports, "totals", authority=authority, instrument=instrument, unit=unit, **asked)
    return answer


def total_on(
    reports: Sequence[RecordedEvent], day: str, terms: tuple[str, str, str] = MODELS
) -> dict[str, Any]:
    """The total at the end of `day`, which must be one on which the figure may change."""
    steps = total_of(reports, terms, steps=True)["steps"]
    (step,) = [step for step in steps if step["on"] == day]
    return dict(step)


def batch_of(reports: Sequence[RecordedEvent], ordinal: int) -> dict[str, Any]:
    """The batch with this ordinal."""
    (answer,) = [answer for answer in ask(reports, "batches") if answer["ordinal"] == ordinal]
    return answer


def company_of(reports: Sequence[RecordedEvent], name: str) -> dict[str, Any]:
    """The only company with this name, with its history."""
    (answer,) = ask(reports, "companies", name)
    return answer


def events_in_conflict(answer: dict[str, Any]) -> list[list[int]]:
    """The positions of each contradiction in an answer."""
    return [contradiction["events"] for contradiction in answer["contradictions"]]


def between(low: int, high: int | None) -> dict[str, int | None]:
    return {"low": low, "high": high}


def exactly(n: int) -> dict[str, int | None]:
    return between(n, n)


def at_least(n: int) -> dict[str, int | None]:
    return between(n, None)


# In the store.


def nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Tally:
    """Counts reports: all of them, and those of each figure. A report of 13 is refused after it was counted.

    The hooks are for what happens meanwhile: after a page was read and before any document, and before each event.
    """

    before_reading: Callable[..., object] = nothing
    before_counting: Callable[[DecodedEvent], object] = nothing
    name: str = "tally"
    version: int = 1
    handles: frozenset[str] = frozenset({TotalReported.TYPE})

    def needs(self, event: DecodedEvent) -> list[str]:
        self.before_reading(event)
        return ["all"]

    def lists(self, _: DecodedEvent) -> list[str]:
        return []

    def evolve(self, documents: Documents, event: DecodedEvent, stands: bool) -> None:
        self.before_counting(event)
        assert isinstance(event.data, TotalReported)
        figure = event.data.count.value
        for name in ("all", f"figure {figure}"):
            documents.put(name, (documents.get(name) or 0) + (1 if stands else -1) or None)
        if figure == 13:
            raise ValueError("thirteen is not counted here")


class Once(Tally):
    """Fails if a figure comes a second time, and so if it reads what another writer has counted already."""

    def evolve(self, documents: Documents, event: DecodedEvent, stands: bool) -> None:
        super().evolve(documents, event, stands)
        assert isinstance(event.data, TotalReported)
        if documents.get(f"figure {event.data.count.value}") > 1:
            raise ValueError("counted twice")


def append(log: Log, *figures: int) -> None:
    """One report for each of `figures`, with ids of their own."""
    head = log.head()
    log.append([report(f"r{head + n}", figure) for n, figure in enumerate(figures, start=1)])


def retract(id: str, by: str, source: str = DESK) -> Event:
    """The event `by` that takes back the event `id`."""
    return called(by, retracted(id, source))


def append_raw(log: Log, payload: bytes, *, id: str, source: str = DESK) -> int:
    """Appends bytes that this software would refuse, as a newer producer's software does; returns their position."""
    places = [keys.log(log.ledger), keys.ids(log.ledger), keys.subjects(log.ledger)]
    arguments: list[str | bytes] = ["", "", "", keys.identity(source, id), payload]
    reply: Any = log.client.register_script(load_function("append"))(keys=places, args=arguments)
    assert reply[0] == b"OK", reply
    return int(reply[1]) + 1


def append_newer(log: Log, *, id: str, type: str = "total.reported.v9", **data: object) -> int:
    """Appends an event as a newer software would; returns its position."""
    schema = f"urn:approval-ledger:{type}:1"
    event = {
        "specversion": "1.0",
        "id": id,
        "source": DESK,
        "type": type,
        "dataschema": schema,
        "data": data,
    }
    return append_raw(log, canonical(event), id=id)


def drain(generation: Generation, limit: int = 500) -> None:
    while generation.advance(limit):
        pass


def documents(generation: Generation) -> dict[str, Any]:
    """What the server has stored of it, regardless of what the generation has in memory."""
    stored: Any = generation.store.client.hgetall(generation.documents_key)
    return {name.decode(): json.loads(value.partition(b" ")[2]) for name, value in stored.items()}


@contextmanager
def counted_round_trips() -> Iterator[list[object]]:
    """Everything that this process sends to servers during a block: an entry for each round trip."""
    sent: list[object] = []
    send: Callable[..., None] = AbstractConnection.send_packed_command

    def counting(self: Any, command: Any, *args: Any, **given: Any) -> None:
        sent.append(command)
        send(self, command, *args, **given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AbstractConnection, "send_packed_command", counting)
        yield sent


def reads_of_the_log(sent: Iterable[object]) -> int:
    """How often entries are asked for among what `counted_round_trips` gives."""
    return sum(b"".join(cast(list[bytes], each)).count(b"\r\nXRANGE\r\n") for each in sent)


def folded(log: Log, projection: Projection, upto: int | None = None) -> tuple[int, str]:
    """The position and the digest of a plain fold in memory of the log's first `upto` events."""
    recorded = list(log.read(limit=upto))
    return len(recorded), digest(fold(projection, recorded))


def stored(log: Log, kind: str = "") -> dict[str, Any]:
    """Everything that the server has stored of a ledger, for comparison, or only what is of one kind, such as `projection:`."""
    client: Any = log.client
    read = {
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"stream": client.xrange,
        b"list": lambda key: client.lrange(key, 0, -1),
    }
    return {
        key.decode(): read[client.type(key)](key)
        for key in client.scan_iter(f"{{{log.ledger}}}:{kind}*", 1000)
    }


def there(recorded: RecordedEvent | None) -> RecordedEvent:
    """The event, which must exist."""
    assert recorded is not None
    return recorded


def event_at(log: Log, position: int) -> RecordedEvent:
    """The event at a position that the log has."""
    return there(log.at(position))


def data_of(event: Event | DecodedEvent, kind: type[D]) -> D:
    """Its data, which must be of this type."""
    assert isinstance(event.data, kind)
    return event.data


def as_bytes(reply: object) -> bytes:
    """What a server answers, as bytes, which it is for a client that does not decode."""
    assert isinstance(reply, bytes)
    return reply


def url_of(log: Log) -> str:
    """The address of its server."""
    return f"unix://{log.client.connection_pool.connection_kwargs['path']}"
