"""The charts that a reader may ask for: the question that each chart asks the ledger, and the chart of the answer."""

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
"""Every chart, and its parameters besides the two axes. All of them are text."""


def question(name: str, parameters: Mapping[str, str]) -> partial[Answer]:
    """The question of a chart, a function that takes a log and the two axes (`Asked`). Raises BadQuestion if the chart does not
    take one of the parameters."""
    if surplus := parameters.keys() - set(CHARTS[name]):
        raise BadQuestion(f"the chart of {name} takes no {min(surplus)}")
    given: dict[str, Any] = dict(parameters)
    if name == "totals":
        given["steps"] = True
    return partial(getattr(queries, name), **given)


def chart(log: Log, answer: Answer, look: Look) -> Specification:
    """The chart of the answer to `question`. `log` is the one that the answer is from."""
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
