"""The answers of batches: size, who is named, how many are not, and the total just before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from events import DateRange

from .. import terms, totals
from ..asof import perhaps, surely
from ..evidence import Batch, BatchReport, Evidence, Views
from ..figures import Figures
from ..premises import premises_of
from .shown import Shown
from .totals import all_terms


def batches_in(
    views: Views, *, valid_at: DateRange | None = None, whole_evidence: bool = False
) -> list[dict[str, Any]]:
    """The answers of `batches`: those that may have been announced by a day of `valid_at`."""
    found = []
    counts = all_terms(views)
    premises_for = premises_of(views, counts)
    equations = totals.equations(views["totals"])
    shown_of = {
        premises: Shown(Figures.of(premises), views if whole_evidence else None)
        for premises in dict.fromkeys(premises_for.values())
    }
    for counted, premises in premises_for.items():
        written, figures, shown = counts[counted], Figures.of(premises), shown_of[premises]
        one = terms.equal_to(counted, equations)
        # Equated terms share their batches: each is listed under the terms in which it was announced.
        found += [
            _batch(figures, shown, placed.batch, written, one) | _doubt(placed.on, valid_at)
            for placed in figures.order
            if _of_terms(placed.batch, counted, figures.evidence)
            and (placed.on is None or perhaps(placed.on, valid_at))
        ]
    return found


def _doubt(on: DateRange | None, valid_at: DateRange | None) -> dict[str, Any]:
    """Marks the answer if it is not certain that the batch had been announced by then."""
    return {} if valid_at is None or (on is not None and surely(on, valid_at)) else {"perhaps": True}


def _of_terms(batch: Batch, counted: str, evidence: Evidence) -> bool:
    return len(evidence.terms) == 1 or counted in batch.terms


def _batch(
    figures: Figures,
    shown: Shown,
    batch: Batch,
    written: Mapping[str, str],
    one: Mapping[str, frozenset[int]],
) -> dict[str, Any]:
    size, before = figures.size(batch), figures.before(batch)
    reports = sorted(batch.reports, key=lambda report: report.position)
    node = ("size", batch.key)
    last = DateRange(batch.on.last, batch.on.last) if batch.on is not None else None
    conflicts = [
        conflict
        for conflict in figures.resolution.conflicts
        if any(report.position in conflict.events for report in batch.reports)
    ]
    return {
        **written,
        "ordinal": batch.ordinal,
        "label": batch.label,
        "announced_on": list(dict.fromkeys(report.announced_on for report in reports)),
        "size": size.interval.to_json(),
        "named": figures.named_of(batch),
        "names": _names(reports),
        "undisclosed": figures.undisclosed_of(batch).to_json(),
        "before": before.interval.to_json(),
        "evidence": {
            "size": shown.evidence(size, last),
            "before": shown.evidence(before, last),
        },
        "sources": [{"position": report.position, **report.source} for report in reports],
        "contradictions": [
            shown.with_equations(shown.contradiction(conflict, "size", node, node), conflict, one)
            for conflict in conflicts
        ],
    }


def _names(reports: Iterable[BatchReport]) -> list[dict[str, str]]:
    """The companies, with items, that the announcements name, each once."""
    named = [entry for report in reports for entry in report.names]
    return [dict(pairs) for pairs in dict.fromkeys(tuple(sorted(entry.items())) for entry in named)]
