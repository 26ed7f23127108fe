"""The fold of shares: every estimate of a stock of models or of a share of the world's, by estimator and unit."""

from __future__ import annotations

from typing import Any

from events import DecodedEvent, name_key
from events.catalog import MarketEstimated

from . import buckets, pages
from .projection import Documents

name = "shares"
version = 11
handles = frozenset({MarketEstimated.TYPE})


def needs(event: DecodedEvent) -> list[str]:
    match event.data:
        case MarketEstimated() as estimate:
            return [*lists(event), *buckets.needs("estimators", _kind(estimate))]
        case _:
            return []


def lists(event: DecodedEvent) -> list[str]:
    match event.data:
        case MarketEstimated() as estimate:
            return [_estimates(_kind(estimate))]
        case _:
            return []


def evolve(documents: Documents, event: DecodedEvent, stands: bool) -> None:
    estimate = event.data
    assert isinstance(estimate, MarketEstimated)
    of = _kind(estimate)
    pages.keep(
        documents, _estimates(of), event.position, estimate.model_dump(mode="json", exclude_none=True), stands
    )
    if documents.get(_estimates(of)):
        buckets.add(documents, "estimators", of)
    else:
        buckets.discard(documents, "estimators", of)


def estimates(documents: Documents) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """The estimates of each estimator and unit, by position."""
    return {
        of: list(pages.read(documents, _estimates(of)))
        for of in sorted(buckets.read(documents, "estimators"))
    }


def _kind(estimate: MarketEstimated) -> str:
    """Whose estimate it is, and of what unit."""
    return f"{name_key(estimate.estimator)}\t{name_key(estimate.unit)}"


def _estimates(of: str) -> str:
    return f"estimates\t{of}"
