"""The answers of sources: every claim with who makes it, and how many independent origins that leaves."""

from __future__ import annotations

from typing import Any

from .. import sources as fold
from ..evidence import Views
from .shown import SHOWN


def sources_in(views: Views, *, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
    """The answers of `sources`."""
    return [_claim(claim, reports) for claim, reports in fold.claims(views["sources"], after, limit)]


def _claim(claim: dict[str, Any], reports: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    origins = fold.independent([source for _, source in reports])
    return {
        **claim,
        "reports": [{"position": position, **source} for position, source in reports],
        "origins": len(origins),
        "independent": origins,
        "evidence": [position for position, _ in reports][:SHOWN],
    }
