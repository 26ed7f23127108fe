"""Generated approvals for benchmarks: the same events for the same count, on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from events import Event
from events.catalog import ApprovalGranted, EventReference, EventRetracted, Holder, Item, Source

COMPANIES = 300
BATCHES = 40
CORRECTED = 0.03  # of the events are retractions
FIRST_DAY = date(2023, 8, 31)
DAYS = 1_000
PRODUCER = "urn:benchmark:generator"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a producer knows before it builds an event: plain values. `retracts` is the number of an earlier event."""

    number: int
    company: int
    approved_on: str
    batch: int
    retracts: int | None


def facts(count: int, companies: int = COMPANIES) -> Iterator[Facts]:
    """What `count` events say: approvals in 40 batches, one after another, over 1,000 days, and 3 % retractions of earlier events."""
    chance = random.Random(count)  # nothing secret
    for number in range(count):
        retracts = chance.randrange(number) if number and chance.random() < CORRECTED else None
        day = chance.randrange(DAYS)
        batch = 1 + day * BATCHES // DAYS  # they follow each other
        approved_on = str(FIRST_DAY + timedelta(days=day))
        yield Facts(number, chance.randrange(companies), approved_on, batch, retracts)


def build(fact: Facts) -> Event:
    """The event, validated by the models of the catalog, as a producer builds it."""
    if fact.retracts is None:
        return Event(id=f"e{fact.number}", source=PRODUCER, data=_grant(fact))
    target = EventReference(source=PRODUCER, id=f"e{fact.retracts}")
    retracted = EventRetracted(target=target, reason="entered twice", actor="editor")
    return Event(id=f"e{fact.number}", source=PRODUCER, data=retracted)


def values(fact: Facts) -> dict[str, object]:
    """The same event as plain values that have not been checked yet."""
    if fact.retracts is None:
        type_, data = ApprovalGranted.TYPE, _granted(fact)
    else:
        target = {"source": PRODUCER, "id": f"e{fact.retracts}"}
        type_, data = EventRetracted.TYPE, {"target": target, "reason": "entered twice", "actor": "editor"}
    return {"specversion": "1.0", "id": f"e{fact.number}", "source": PRODUCER, "type": type_, "data": data}


def approvals(count: int, companies: int = COMPANIES) -> Iterator[Event]:
    """`count` events."""
    return map(build, facts(count, companies))


def company_name(number: int) -> str:
    """The name of company `number`."""
    return f"北京智能科技{number}有限公司"


def _grant(fact: Facts) -> ApprovalGranted:
    return ApprovalGranted(
        authority="CAC",
        instrument="filing",
        unit="service",
        item=Item(name=f"模型 {fact.number}", registry_number=f"Beijing-Model{fact.number}-2024"),
        company=Holder(name=company_name(fact.company)),
        approved_on=fact.approved_on,
        batch=fact.batch,
        source=Source(publisher="CAC", url="https://www.cac.gov.cn/", published_on="2024-04-02"),
    )


def _granted(fact: Facts) -> dict[str, object]:
    return {
        "authority": "CAC",
        "instrument": "filing",
        "unit": "service",
        "item": {"name": f"模型 {fact.number}", "registry_number": f"Beijing-Model{fact.number}-2024"},
        "company": {"name": company_name(fact.company)},
        "approved_on": fact.approved_on,
        "batch": fact.batch,
        "source": {"publisher": "CAC", "url": "https://www.cac.gov.cn/", "published_on": "2024-04-02"},
    }
