"""What a reader may ask: each answer is bounds with their evidence, at a position of the log, with a digest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from events import BadQuestion, Log

from . import answers
from . import batches as batches_fold
from . import companies as companies_fold
from . import shares as shares_fold
from . import sources as sources_fold
from . import totals as totals_fold
from .digest import digest_of_answer
from .evidence import Views
from .projection import Projection
from .snapshot import fold_to, read_together

Answer = dict[str, Any]
"""One shape for the command, for HTTP and for Python; JSON throughout, see docs/format.md."""

PROJECTIONS: dict[str, Projection] = {
    p.name: p for p in (totals_fold, batches_fold, companies_fold, shares_fold, sources_fold)
}
"""Every projection, by its name."""


def totals(
    log: Log,
    *,
    at_least: int = 0,
    known_at: int | None = None,
    authority: str | None = None,
    instrument: str | None = None,
    unit: str | None = None,
    steps: bool = False,
    whole_evidence: bool = False,
) -> Answer:
    """How many approvals, for each (authority, instrument, unit) or for those named: at the last day that the ledger
    speaks of, and, with `steps`, at every day on which the figure may change.

    Evidence is some positions and a count of the others; with `whole_evidence`, every position.
    """

    def build(views: Views) -> list[Any]:
        return answers.totals_in(
            views,
            authority=authority,
            instrument=instrument,
            unit=unit,
            steps=steps,
            whole_evidence=whole_evidence,
        )

    return _answer(log, totals_fold, _COUNTING, build, at_least, known_at)


def batches(
    log: Log, *, at_least: int = 0, known_at: int | None = None, whole_evidence: bool = False
) -> Answer:
    """Every batch: its size, who is named, how many are not, and the total just before it.

    Evidence is some positions and a count of the others; with `whole_evidence`, every position.
    """

    def build(views: Views) -> list[Any]:
        return answers.batches_in(views, whole_evidence=whole_evidence)

    return _answer(log, batches_fold, _COUNTING, build, at_least, known_at)


def companies(log: Log, name: str | None = None, *, at_least: int = 0, known_at: int | None = None) -> Answer:
    """Every company with its approvals and its share of them; or, by any of its `name`s, one company with its history.

    Raises BadQuestion where the ledger knows no company of that name.
    """

    def build(views: Views) -> list[Any]:
        return answers.companies_in(views, name)

    return _answer(log, companies_fold, _COUNTING, build, at_least, known_at)


def shares(log: Log, *, at_least: int = 0, known_at: int | None = None) -> Answer:
    """Each estimator's stocks and shares by region and date, as intervals, with what they imply for the others."""
    return _answer(log, shares_fold, [shares_fold], answers.shares_in, at_least, known_at)


def share_of_stock(
    log: Log,
    *,
    authority: str,
    instrument: str,
    unit: str,
    estimator: str,
    region: str,
    at_least: int = 0,
    known_at: int | None = None,
) -> Answer:
    """What share the approvals are of an estimator's stock in a region.

    Raises TermsDiffer unless the ledger holds a `terms.equated.v1` that makes the approvals' terms and the stock's one: a
    stock's instrument is `stock`. Raises BadQuestion where either figure is not there.
    """

    def build(views: Views) -> list[Any]:
        return answers.share_of_stock_in(
            views,
            authority=authority,
            instrument=instrument,
            unit=unit,
            estimator=estimator,
            region=region,
        )

    return _answer(log, shares_fold, [*_COUNTING, shares_fold], build, at_least, known_at)


def sources(
    log: Log,
    *,
    after: int = 0,
    limit: int | None = None,
    at_least: int = 0,
    known_at: int | None = None,
) -> Answer:
    """Every claim with all who report it, whom they derive from, and how many independent origins that leaves.

    Claims stand in the order in which they were first made: those made `after` a position, and at most `limit` of them.
    """

    def build(views: Views) -> list[Any]:
        return answers.sources_in(views, after=after, limit=limit)

    return _answer(log, sources_fold, [sources_fold], build, at_least, known_at)


_COUNTING: list[Projection] = [totals_fold, batches_fold, companies_fold]


def _answer(
    log: Log,
    projection: Projection,
    needed: list[Projection],
    build: Callable[[Views], list[Any]],
    at_least: int,
    known_at: int | None,
) -> Answer:
    if known_at is None:
        position, answers = read_together(log, needed, build, at_least=at_least)
    else:
        if known_at > (head := log.head()):
            raise BadQuestion(
                f"ledger {log.ledger} ends at position {head}: nothing was known at {known_at} yet"
            )
        position, answers = known_at, build(fold_to(log, needed, known_at))
    answer = {
        "ledger": log.ledger,
        "projection": projection.name,
        "version": projection.version,
        "position": position,
        **({} if known_at is None else {"known_at": known_at}),
        "answers": answers,
    }
    return answer | {"digest": digest_of_answer(answer)}
