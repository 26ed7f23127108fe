"""The questions that a reader may ask. Each answer has bounds with their evidence, as of a position of the log, and a digest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

from events import BadQuestion, Log

from . import answers
from . import batches as batches_fold
from . import companies as companies_fold
from . import shares as shares_fold
from . import sources as sources_fold
from . import totals as totals_fold
from .asof import Asked, as_of, counting
from .derived import DerivableViews
from .digest import with_digest
from .projection import Projection
from .together import fold_all, read_at, read_together

Answer = dict[str, Any]
"""One shape for the command, for HTTP and for Python; JSON throughout, see docs/format.md."""

PROJECTIONS: dict[str, Projection] = {
    p.name: p for p in (totals_fold, batches_fold, companies_fold, shares_fold, sources_fold)
}
"""Every projection, by its name."""


def totals(
    log: Log,
    *,
    authority: str | None = None,
    instrument: str | None = None,
    unit: str | None = None,
    steps: bool = False,
    whole_evidence: bool = False,
    **asked: Unpack[Asked],
) -> Answer:
    """How many approvals, for each (authority, instrument, unit) or for those named, at one day, and, with `steps`, at every
    day until then on which the figure may change. See `Asked` for when.

    Evidence is some positions and a count of the others; with `whole_evidence`, every position.
    """
    _require(str | None, authority=authority, instrument=instrument, unit=unit)
    build = partial(
        answers.totals_in,
        authority=authority,
        instrument=instrument,
        unit=unit,
        steps=steps,
        whole_evidence=whole_evidence,
    )
    return _answer(log, totals_fold, COUNTING, build, asked)


def batches(log: Log, *, whole_evidence: bool = False, **asked: Unpack[Asked]) -> Answer:
    """Every batch: its size, who is named, how many are not, and the total just before it.

    Evidence is some positions and a count of the others; with `whole_evidence`, every position.
    """
    build = partial(answers.batches_in, whole_evidence=whole_evidence)
    return _answer(log, batches_fold, COUNTING, build, asked)


def companies(log: Log, name: str | None = None, **asked: Unpack[Asked]) -> Answer:
    """Every company with its approvals and its share of them; or, by any of its `name`s, one company with its history.

    Raises UnknownCompany where the ledger knows no company of that name.
    """
    _require(str | None, name=name)
    return _answer(log, companies_fold, COUNTING, partial(answers.companies_in, name=name), asked)


def company_names(log: Log, **asked: Unpack[Asked]) -> Answer:
    """Every company with each of its names, as they are most often written, and some positions of reports that use it: what
    is needed to compare names, and no figure."""
    return _answer(log, companies_fold, [companies_fold], answers.company_names_in, asked)


def shares(log: Log, **asked: Unpack[Asked]) -> Answer:
    """Each estimator's stocks and shares by region and date, as intervals, with what they imply for the others."""
    return _answer(log, shares_fold, [shares_fold], answers.shares_in, asked)


def share_of_stock(
    log: Log,
    *,
    authority: str,
    instrument: str,
    unit: str,
    estimator: str,
    region: str,
    **asked: Unpack[Asked],
) -> Answer:
    """What share the approvals are of an estimator's stock in a region, for each day for which there is an estimate.

    The total is that of `valid_at`, or of the last day that the ledger speaks of (`total_as_of`), whatever day the stock is of.
    Raises TermsDiffer unless the ledger holds a `terms.equated.v1` that makes the approvals' terms and the stock's one: a
    stock's instrument is `stock`. Raises BadQuestion where either figure is not there.
    """
    _require(str, authority=authority, instrument=instrument, unit=unit, estimator=estimator, region=region)
    build = partial(
        answers.share_of_stock_in,
        authority=authority,
        instrument=instrument,
        unit=unit,
        estimator=estimator,
        region=region,
    )
    return _answer(log, shares_fold, [*COUNTING, shares_fold], build, asked)


def sources(log: Log, *, after: int = 0, limit: int | None = None, **asked: Unpack[Asked]) -> Answer:
    """Every claim with all who report it, whom they derive from, and how many independent origins that leaves.

    Claims stand in the order in which they were first made: those made `after` a position, and at most `limit` of them.
    Raises BadQuestion where either is no whole number, or below 0.
    """
    if any(type(number) is not int or number < 0 for number in (after, 0 if limit is None else limit)):
        raise BadQuestion(f"after and limit are whole numbers from 0 on, not {after!r} and {limit!r}")
    build = partial(answers.sources_in, after=after, limit=limit)
    return _answer(log, sources_fold, [sources_fold], build, asked)


def _require(kind: Any, **given: object) -> None:
    # A number, such as that of the company 360, would look like a damaged document where it is compared.
    for parameter, value in given.items():
        if not isinstance(value, kind):
            raise BadQuestion(f"{parameter} is text, not {value!r:.80}", parameter)


COUNTING: list[Projection] = [totals_fold, batches_fold, companies_fold]
"""The projections that figures of approvals are made of."""


def _answer(
    log: Log, projection: Projection, needed: list[Projection], build: Callable[..., list[Any]], asked: Asked
) -> Answer:
    when = as_of(log, **asked)

    def built(views: DerivableViews) -> tuple[list[Any], frozenset[int]]:
        return build(views, valid_at=when.valid_at), views.left_out

    if when.published_by is not None:
        position = log.head() if when.position is None else when.position
        found, left_out = built(fold_all(log, needed, position, counting(log, when, position)))
    elif when.position is not None:
        position, (found, left_out) = when.position, read_at(log, needed, when.position, built)
    else:
        position, (found, left_out) = read_together(log, needed, built, at_least=when.at_least)
    answer = {
        "ledger": log.ledger,
        "projection": projection.name,
        "version": projection.version,
        "position": position,
        **when.shown,
        "answers": found,
    }
    if left_out:
        answer["parked"] = sorted(left_out)
    return with_digest(answer)
