"""The reports that an answer's contradictions name, read from the log so that a chart can show each of them in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from events import DateRange, Interval, Log, catalog, date_range, decode
from projections import Answer


@dataclass(frozen=True, slots=True)
class Report:
    """A figure that somebody published: the day that it is about, and what it says about the total, None if it says nothing about it."""

    position: int
    publisher: str
    on: DateRange
    total: Interval | None


def in_conflict(log: Log, answer: Answer) -> dict[int, Report]:
    """The reports of totals and of batches that the contradictions of an answer name, by position."""
    positions = {
        position
        for found in answer["answers"]
        for contradiction in found["contradictions"]
        for position in contradiction["events"]
    }
    return {report.position: report for report in _reports(log, sorted(positions))}


def _reports(log: Log, positions: Sequence[int]) -> Iterable[Report]:
    for recorded in log.at_each(positions):
        data = decode(recorded).data
        if isinstance(data, catalog.TotalReported):
            about = data.as_of or data.to
            assert about is not None  # a report gives one of them
            total = data.count.interval() if data.as_of and data.basis == "ever" else None
            yield Report(recorded.position, data.source.publisher, date_range(about), total)
        elif isinstance(data, catalog.BatchAnnounced):
            yield Report(recorded.position, data.source.publisher, date_range(data.announced_on), None)
