"""Distinct things counted by the days they may be of, in a document for each month: how many, and some of their positions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from events import DateRange, date_range

from . import approvals
from .projection import Documents

SAMPLE = 4  # positions kept for each day, as evidence: the rest is a count


def needs(place: str, on: str) -> list[str]:
    """The documents that `count` will ask for."""
    return [_days(place, _month(on)), _months(place)]


def count(documents: Documents, place: str, on: str, position: int, sign: int) -> None:
    """Counts what is reported at `position`, for the days `on`, in (`sign` +1) or out (-1) at `place`."""
    month = _month(on)
    held: dict[str, Any] = documents.get(_days(place, month)) or {}
    if not held:
        months = documents.get(_months(place)) or []
        documents.put(_months(place), sorted({*months, month}))
    number, sample = held.get(on) or (0, [])
    changed = {**held, on: [number + sign, approvals.sampled(sample, position, sign, SAMPLE)]}
    if not number + sign:
        del changed[on]
    documents.put(_days(place, month), changed or None)
    if not changed:
        left = [other for other in documents.get(_months(place)) if other != month]
        documents.put(_months(place), left or None)


def fetch(documents: Documents, places: Iterable[str]) -> None:
    """Reads ahead what `read` will ask for, of many places in two round trips."""
    listed = list(places)
    documents.fetch(map(_months, listed))
    documents.fetch(_days(place, month) for place in listed for month in documents.get(_months(place)) or [])


def read(documents: Documents, place: str) -> list[tuple[DateRange, int, list[int]]]:
    """What is counted at `place`, by the days it may be from: the range of days, how many, and some positions."""
    return [
        (day_range(on), number, sample)
        for held in as_told(documents, place)
        for on, (number, sample) in sorted(held.items())
    ]


def as_told(documents: Documents, place: str) -> list[dict[str, Any]]:
    """The same in the form in which it is kept, month by month: the days as text, how many, some positions. Parsing a thousand days
    into ranges takes longer than answering most questions."""
    months: list[str] = documents.get(_months(place)) or []
    documents.fetch([_days(place, month) for month in months])
    return [documents.get(_days(place, month)) for month in months]


def last_day(on: str) -> date:
    """The last of the days `on`."""
    return date.fromisoformat(on) if len(on) == len("2024-01-31") else day_range(on).last


def day_range(on: str) -> DateRange:
    """The days of a partial date, or of `first/last`."""
    first, _, last = on.partition("/")
    return DateRange(date_range(first).first, date_range(last or first).last)


def _month(on: str) -> str:
    return on[:7]


def _months(place: str) -> str:
    return f"months\t{place}"


def _days(place: str, month: str) -> str:
    return f"days\t{place}\t{month}"
