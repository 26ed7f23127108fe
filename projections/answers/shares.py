"""The answers of shares: stocks and shares by estimator, date and region, and what approvals are of a stock."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from events import BadQuestion, Count, DateRange, Interval, date_range, name_key

from .. import shares as fold
from .. import stocks, terms, totals
from ..asof import perhaps, surely
from ..bounds import at
from ..evidence import Views
from ..figures import Figures
from ..premises import premises_of
from .shown import SHOWN, Shown
from .totals import all_terms, as_text, days_of


def shares_in(views: Views, *, valid_at: DateRange | None = None) -> list[dict[str, Any]]:
    """The answers of `shares`: the estimates for days that are not later than those of `valid_at`."""
    return [_market(reported) | _doubt(reported, valid_at) for reported in _all_estimates(views, valid_at)]


def share_of_stock_in(
    views: Views,
    *,
    valid_at: DateRange | None = None,
    authority: str,
    instrument: str,
    unit: str,
    estimator: str,
    region: str,
) -> list[dict[str, Any]]:
    """The answers of `share_of_stock`. Raises TermsDiffer and BadQuestion."""
    asked = {"authority": authority, "instrument": instrument, "unit": unit}
    counts = all_terms(views).get(terms.key_of(**asked))
    if counts is None:
        raise BadQuestion(
            f"nothing is counted as {terms.written(asked)} here: `approvals totals` lists what is"
        )
    counted = terms.key_of(**counts)
    figures = Figures.of(premises_of(views, [counted])[counted], days_of(valid_at))
    days = valid_at or figures.last_day
    found = _estimates_of(views, estimator, region, valid_at)
    equations = list(totals.equations(views["totals"]))
    one = terms.equal_to(counted, equations)
    # The same estimator may count other units too, which have nothing to do with these.
    of_these = [reported for reported in found if terms.key_of(**_held(counts, reported)) in one]
    if not of_these:
        terms.must_be_one(counts, _held(counts, found[0]), equations)
    return [
        _of_stock(views, counts, figures, days, reported, region) | _doubt(reported, valid_at)
        for reported in of_these
    ]


def _held(counts: Mapping[str, str], reported: list[tuple[int, dict[str, Any]]]) -> dict[str, str]:
    """The terms of the stock that an estimate is about."""
    return {"authority": counts["authority"], "instrument": "stock", "unit": reported[0][1]["unit"]}


def _all_estimates(views: Views, valid_at: DateRange | None) -> list[list[tuple[int, dict[str, Any]]]]:
    return [
        reported
        for estimates in fold.estimates(views["shares"]).values()
        for reported in _by_date(estimates)
        if perhaps(date_range(reported[0][1]["as_of"]), valid_at)
    ]


def _doubt(reported: list[tuple[int, dict[str, Any]]], valid_at: DateRange | None) -> dict[str, Any]:
    return {} if surely(date_range(reported[0][1]["as_of"]), valid_at) else {"perhaps": True}


def _by_date(
    estimates: list[tuple[int, dict[str, Any]]],
) -> list[list[tuple[int, dict[str, Any]]]]:
    dates = sorted({data["as_of"] for _, data in estimates})
    return [[(at, data) for at, data in estimates if data["as_of"] == day] for day in dates]


def _market(reported: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    market = stocks.infer(reported)
    first = reported[0][1]
    return {
        "estimator": first["estimator"],
        "unit": first["unit"],
        "as_of": first["as_of"],
        "regions": [
            {
                "region": name,
                "count": region.stock.to_json(),
                "share": region.share.to_json(),
                "rounding": sorted(
                    {d["share"]["rounding"] for _, d in reported if d["region"] == name and "share" in d}
                ),
                "evidence": _evidence(count=region.stock_because.both, share=region.share_because.both),
            }
            for name, region in sorted(market.regions.items())
        ],
        "sources": [{"position": at, **data["source"]} for at, data in reported],
        "contradictions": _contradictions(market, reported),
    }


def _evidence(**because: frozenset[int]) -> dict[str, Any]:
    """The positions that each figure rests on, SHOWN of each, and how many others there are."""
    listed = {name: sorted(events)[:SHOWN] for name, events in because.items()}
    every = frozenset[int]().union(*because.values())
    return {**listed, "more": len(every.difference(*listed.values()))}


def _contradictions(
    market: stocks.Market, reported: list[tuple[int, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The estimates in conflict. The words include estimator and date, so that readers who are shown each text once see all conflicts."""
    said = dict(reported)
    return [
        {
            "events": sorted(conflict),
            "says": f"these cannot all be true: {'; '.join(_says(said[at]) for at in sorted(conflict))}",
        }
        for conflict in market.conflicts
    ]


def _says(estimate: dict[str, Any]) -> str:
    figures = []
    if "count" in estimate:
        figures.append(f"{Count(**estimate['count'])} {estimate['unit']}s")
    if "share" in estimate:
        percent, rounding = (f"{estimate['share'][part]:.15g}" for part in ("percent", "rounding"))
        figures.append(f"{percent} % (rounded to {rounding}) of the world's {estimate['unit']}s")
    whose = f"as of {estimate['as_of']}, by {estimate['estimator']} ({estimate['source']['publisher']})"
    return f"{' and '.join(figures)} in {estimate['region']} {whose}"


def _estimates_of(
    views: Views, estimator: str, region: str, valid_at: DateRange | None
) -> list[list[tuple[int, dict[str, Any]]]]:
    found = [
        reported
        for reported in _all_estimates(views, valid_at)
        if name_key(reported[0][1]["estimator"]) == name_key(estimator)
        # A report about any region says something about the world.
        and (region == stocks.WORLD or any(data["region"] == region for _, data in reported))
    ]
    if not found:
        raise BadQuestion(
            f"there is no estimate by {estimator!r} for region {region!r}: `approvals shares` lists all"
        )
    return found


def _of_stock(
    views: Views,
    counts: Mapping[str, str],
    figures: Figures,
    days: DateRange,
    reported: list[tuple[int, dict[str, Any]]],
    region: str,
) -> dict[str, Any]:
    first = reported[0][1]
    equations = totals.equations(views["totals"])
    equated = terms.must_be_one(counts, _held(counts, reported), equations)
    total, market, shown = figures.total_in(days), stocks.infer(reported), Shown(figures)
    stock, evidence = market.regions[region], shown.evidence(total, days)
    share, contradictions = _ratio(total.interval, stock.stock), _contradictions(market, reported)
    if stock.stock.high is not None and total.interval.low > stock.stock.high:
        # Either may be wrong, or the stock may be of another day: no more is known about the share than if one were not reported.
        share = stocks.ANY
        contradictions.append(
            {
                "events": sorted({*evidence["low"], *stock.stock_because.both, *equated}),
                "says": f"the total, {total.interval} by {as_text(days)}, is more than the stock that it is asked to be a share of, "
                f"{stock.stock} as of {first['as_of']}",
            }
        )
    one = terms.equal_to(terms.key_of(**counts), equations)
    of_total = [
        shown.with_equations(
            shown.contradiction(conflict, "total", at(days.first), at(days.last)), conflict, one
        )
        for conflict in figures.resolution.conflicts
    ]
    return {
        "terms": terms.written(counts),
        "total": total.interval.to_json(),
        "total_as_of": as_text(days),
        "estimator": first["estimator"],
        "region": region,
        "as_of": first["as_of"],
        "stock": stock.stock.to_json(),
        "share": share.to_json(),
        "equated_by": sorted(equated),
        "evidence": {"total": evidence, **_evidence(stock=stock.stock_because.both)},
        "contradictions": [*of_total, *contradictions],
    }


def _ratio(part: Interval, whole: Interval) -> stocks.Percentage:
    """The share of the whole that the part is. It is never over one, because the part belongs to the whole."""
    low = Fraction(0) if whole.high is None else Fraction(part.low, max(whole.high, 1))
    high = Fraction(1) if part.high is None or not whole.low else Fraction(part.high, whole.low)
    return stocks.Percentage(min(low, Fraction(1)), min(high, Fraction(1)), open=False)
