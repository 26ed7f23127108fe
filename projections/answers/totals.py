"""The answers of totals: the figure at a day, or at every day on which it may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from events import DateRange, name_key
from events.quantities import EARLIEST_YEAR

from .. import terms, totals
from ..bounds import Conflict, at
from ..evidence import Views
from ..figures import Figures
from ..premises import Premises, premises_of
from .shown import Shown


def totals_in(
    views: Views,
    *,
    valid_at: DateRange | None = None,
    authority: str | None = None,
    instrument: str | None = None,
    unit: str | None = None,
    steps: bool = False,
    whole_evidence: bool = False,
) -> list[dict[str, Any]]:
    """The answers of `totals`."""
    wanted = {"authority": authority, "instrument": instrument, "unit": unit}
    written = all_terms(views)
    chosen = [
        counted
        for counted, counts in written.items()
        if all(text is None or name_key(text) == name_key(counts[part]) for part, text in wanted.items())
    ]
    found = premises_of(views, chosen)
    # A diff asks for the same after each event, and most events change nothing of these terms.
    told = {
        premises: _told(premises, valid_at, steps, views)
        if whole_evidence
        else premises.kept(_told, valid_at, steps)
        for premises in dict.fromkeys(found.values())
    }
    equations = totals.equations(views["totals"])
    answers = []
    for counted, premises in found.items():
        one, (shown, conflicts, answer) = terms.equal_to(counted, equations), told[premises]
        contradictions = [
            shown.with_equations(of, conflict, one)
            for of, conflict in zip(answer["contradictions"], conflicts, strict=True)
        ]
        answers.append(
            {**written[counted], **_equated(one, written), **answer, "contradictions": contradictions}
        )
    return answers


def days_of(valid_at: DateRange | None) -> Sequence[date]:
    """The days on which a figure is wanted."""
    return () if valid_at is None else (valid_at.first, valid_at.last)


def all_terms(views: Views) -> dict[str, dict[str, str]]:
    """Everything that is counted: the key of its terms, and how they are written."""
    return terms.all_seen(views["totals"]) | terms.all_seen(views["batches"])


def _told(
    premises: Premises, valid_at: DateRange | None, steps: bool, views: Views | None = None
) -> tuple[Shown, Sequence[Conflict], dict[str, Any]]:
    """The answer for all terms that are one, without the equations that make them so, and what is needed to add these."""
    figures = Figures(premises, days_of(valid_at))
    shown = Shown(figures, views)
    days = valid_at or figures.last_day
    answer = {"as_of": as_text(days), **_figure(figures, shown, days)}
    answer["contradictions"] = [
        shown.contradiction(conflict, "total", at(days.first), at(days.last))
        for conflict in figures.resolution.conflicts
    ]
    if steps:
        answer["steps"] = [
            {"on": str(day), **_figure(figures, shown, DateRange(day, day))}
            for day in figures.days
            # If a period begins on the first day that a report may be about, the day before is among these, and cannot be asked about.
            if day <= days.last and day.year >= EARLIEST_YEAR
        ]
    return shown, figures.resolution.conflicts, answer


def as_text(days: DateRange) -> str:
    """A day, or the first and the last of several."""
    return str(days.first) if days.first == days.last else f"{days.first}/{days.last}"


def _equated(
    one: Mapping[str, frozenset[int]], written: Mapping[str, Mapping[str, str]]
) -> dict[str, list[dict[str, Any]]]:
    """The other terms that count here, if there are any, and the events that make them one with these."""
    _, *others = one
    equated = [
        {"terms": terms.written(written[other]), "evidence": sorted(one[other])}
        for other in others
        if other in written
    ]
    return {"equated": equated} if equated else {}


def _figure(figures: Figures, shown: Shown, days: DateRange) -> dict[str, Any]:
    total = figures.total_in(days)
    answer: dict[str, Any] = {
        "total": total.interval.to_json(),
        "named": figures.named(days.first),
        "undisclosed": figures.undisclosed(days).to_json(),
        "evidence": shown.evidence(total, days),
    }
    if figures.speaks_of_force():
        in_force = figures.in_force_in(days)
        answer["in_force"] = in_force.interval.to_json() | {"evidence": shown.evidence(in_force, days)}
    return answer
