"""The answers of totals: the figure at a day, or at every day on which it may change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from events import name_key

from .. import terms
from ..evidence import Views, gather
from ..figures import Figures
from .shown import Shown


def totals_in(
    views: Views,
    *,
    authority: str | None = None,
    instrument: str | None = None,
    unit: str | None = None,
    steps: bool = False,
    whole_evidence: bool = False,
) -> list[dict[str, Any]]:
    """The answers of `totals`."""
    wanted = {"authority": authority, "instrument": instrument, "unit": unit}
    written = all_terms(views)
    return [
        _total(Figures(gather(views, counted)), written, counted, steps, views if whole_evidence else None)
        for counted, counts in written.items()
        if all(text is None or name_key(text) == name_key(counts[part]) for part, text in wanted.items())
    ]


def all_terms(views: Views) -> dict[str, dict[str, str]]:
    """Everything that is counted: the key of its terms, and how they are written."""
    return terms.all_seen(views["totals"]) | terms.all_seen(views["batches"])


def _total(
    figures: Figures,
    written: Mapping[str, Mapping[str, str]],
    counted: str,
    steps: bool,
    listed_from: Views | None,
) -> dict[str, Any]:
    if not figures.days:
        raise AssertionError(f"{counted!r} is counted, and nothing is known of it")
    last, shown = figures.days[-1], Shown(figures, listed_from)
    answer = {**written[counted], "as_of": str(last), **_figure(figures, shown, last)}
    if equated := _equated(figures, written):
        answer["equated"] = equated
    answer["contradictions"] = [
        shown.contradiction(conflict, "total", ("total", last)) for conflict in figures.resolution.conflicts
    ]
    if steps:
        answer["steps"] = [{"on": str(day), **_figure(figures, shown, day)} for day in figures.days]
    return answer


def _equated(figures: Figures, written: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """The other terms that count here, and the events that make them one with these."""
    _, *others = figures.evidence.terms
    return [
        {"terms": terms.written(written[other]), "evidence": sorted(figures.evidence.terms[other])}
        for other in others
        if other in written
    ]


def _figure(figures: Figures, shown: Shown, day: date) -> dict[str, Any]:
    total = figures.total(day)
    answer: dict[str, Any] = {
        "total": total.interval.to_json(),
        "named": figures.named(day),
        "undisclosed": figures.undisclosed(day).to_json(),
        "evidence": shown.evidence(total, day),
    }
    if figures.speaks_of_force():
        in_force = figures.in_force(day)
        answer["in_force"] = in_force.interval.to_json() | {"evidence": shown.evidence(in_force, day)}
    return answer
