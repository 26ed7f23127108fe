"""The answers of sources: every claim with who makes it, and how many independent origins that leaves."""

from __future__ import annotations

from datetime import date
from itertools import islice
from typing import Any

from events import DateRange, date_range

from .. import sources as fold
from ..asof import perhaps, surely
from ..evidence import Views
from .shown import SHOWN


def sources_in(
    views: Views, *, valid_at: DateRange | None = None, after: int = 0, limit: int | None = None
) -> list[dict[str, Any]]:
    """The answers of `sources`: the claims about days that are not later than those of `valid_at`, or about no day."""
    about = (
        _claim(claim, reports) | ({} if surely(on, valid_at) else {"perhaps": True})
        for claim, reports in fold.claims(views["sources"], after)
        if perhaps(on := _about(claim), valid_at)
    )
    return list(islice(about, limit))


_DATED = ("as_of", "to", "approved_on", "amended_on", "revoked_on", "announced_on", "on")
_ALWAYS = DateRange(date.min, date.min)


def _about(claim: dict[str, Any]) -> DateRange:
    """The days that a claim may be about; a period is about its last day."""
    on = next((claim["says"][field] for field in _DATED if field in claim["says"]), None)
    return _ALWAYS if on is None else date_range(on)


def _claim(claim: dict[str, Any], reports: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    origins = fold.independent([source for _, source in reports])
    return {
        **claim,
        "reports": [{"position": position, **source} for position, source in reports],
        "origins": len(origins),
        "independent": origins,
        "evidence": [position for position, _ in reports][:SHOWN],
    }
