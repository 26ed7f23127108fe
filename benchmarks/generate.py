"""Generated approvals for benchmarks: the same events for the same count, on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

from events import Event
from events.catalog import ApprovalGranted, EventReference, EventRetracted, Holder, Item, Source

COMPANIES = 300
BATCHES = 40
CORRECTED = 0.03  # of the events are retractions
FIRST_DAY = date(2023, 8, 31)
DAYS = 1_000
PRODUCER = "urn:benchmark:generator"


def approvals(count: int) -> Iterator[Event]:
    """`count` events: approvals of 300 companies in 40 batches over 1,000 days, and 3 % retractions of earlier ones."""
    chance = random.Random(count)  # nothing secret
    source = Source(publisher="CAC", url="https://www.cac.gov.cn/", published_on="2024-04-02")
    for number in range(count):
        if number and chance.random() < CORRECTED:
            target = EventReference(source=PRODUCER, id=f"e{chance.randrange(number)}")
            data: ApprovalGranted | EventRetracted = EventRetracted(
                target=target, reason="entered twice", actor="editor"
            )
        else:
            data = _grant(number, chance, source)
        yield Event(id=f"e{number}", source=PRODUCER, data=data)


def _grant(number: int, chance: random.Random, source: Source) -> ApprovalGranted:
    company = chance.randrange(COMPANIES)
    return ApprovalGranted(
        authority="CAC",
        instrument="filing",
        unit="service",
        item=Item(name=f"模型 {number}", registry_number=f"Beijing-Model{number}-2024"),
        company=Holder(name=f"北京智能科技{company}有限公司"),
        approved_on=str(FIRST_DAY + timedelta(days=chance.randrange(DAYS))),
        batch=chance.randrange(1, BATCHES + 1),
        source=source,
    )
