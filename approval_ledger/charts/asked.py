"""What a reader may ask a chart of: the question that each chart asks the ledger, and the chart of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from events import BadQuestion, Log
from projections import Answer, queries

from .batches import batches
from .companies import companies
from .reports import in_conflict
from .shares import shares
from .sources import sources
from .theme import Look, Specification
from .timeline import timeline
from .totals import totals

CHARTS: dict[str, tuple[str, ...]] = {
    "totals": ("authority", "instrument", "unit"),
    "batches": (),
    "companies": ("name",),
    "shares": (),
    "sources": (),
}
"""Every chart, and what may be asked of it beside the two axes; all of that is text."""


def question(name: str, parameters: Mapping[str, str]) -> partial[Answer]:
    """The question of a chart, which takes a log and the two axes (`Asked`). Raises BadQuestion where the chart does not
    take a parameter."""
    if surplus := parameters.keys() - set(CHARTS[name]):
        raise BadQuestion(f"the chart of {name} takes no {min(surplus)}")
    given: dict[str, Any] = dict(parameters)
    if name == "totals":
        given["steps"] = True
    return partial(getattr(queries, name), **given)


def chart(log: Log, answer: Answer, look: Look) -> Specification:
    """The chart of the answer to `question`, from this log."""
    match answer["projection"]:
        case "totals":
            return totals(answer, look, in_conflict(log, answer))
        case "companies" if any("history" in found for found in answer["answers"]):
            return timeline(answer, look)
        case "companies":
            return companies(answer, look)
        case "batches":
            return batches(answer, look)
        case "shares":
            return shares(answer, look)
        case "sources":
            return sources(answer, look)
        case other:
            raise AssertionError(f"there is no chart of {other}")
