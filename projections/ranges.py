"""Several ranges of days as one: the days that all of them share, or from the first day of any to the last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from events import DateRange

DAY = timedelta(days=1)


def spanning(ranges: Sequence[DateRange]) -> DateRange:
    """From the first day of any of these ranges to the last day of any. There must be at least one."""
    return DateRange(min(each.first for each in ranges), max(each.last for each in ranges))


def agreeing(ranges: Sequence[DateRange]) -> DateRange:
    """The days that all of these ranges share; where they share none, the days that they span."""
    first, last = max(each.first for each in ranges), min(each.last for each in ranges)
    return DateRange(first, last) if first <= last else spanning(ranges)
