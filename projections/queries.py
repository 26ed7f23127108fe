"""What a reader may ask: each answer is bounds with their evidence, at a position of the log, with a digest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from events import BadQuestion, Count, Interval, Log, name_key

from . import batches as batches_fold
from . import companies as companies_fold
from . import shares as shares_fold
from . import sources as sources_fold
from . import stocks, terms
from . import totals as totals_fold
from .bounds import NAMED, REVOKED, Bound, Conflict, Node
from .digest import digest_of_answer
from .evidence import Batch, Evidence, Views, gather
from .figures import Figures
from .identities import Company, Identities
from .projection import Projection
from .snapshot import fold_to, read_together

Answer = dict[str, Any]
"""One shape for the command, for HTTP and for Python; JSON throughout, see docs/format.md."""

PROJECTIONS: dict[str, Projection] = {
    p.name: p for p in (totals_fold, batches_fold, companies_fold, shares_fold, sources_fold)
}
"""Every projection, by its name."""

SHOWN = 12  # positions of evidence that an answer lists; the rest is a count

TOGETHER = {NAMED: "the approvals known by name", REVOKED: "the revocations"}


def totals(
    log: Log,
    *,
    at_least: int = 0,
    known_at: int | None = None,
    authority: str | None = None,
    instrument: str | None = None,
    unit: str | None = None,
    steps: bool = False,
) -> Answer:
    """How many approvals, for each (authority, instrument, unit) or for those named: at the last day that the ledger
    speaks of, and, with `steps`, at every day on which the figure may change.
    """

    def build(views: Views) -> list[Any]:
        return totals_in(views, authority=authority, instrument=instrument, unit=unit, steps=steps)

    return _answer(log, totals_fold, _COUNTING, build, at_least, known_at)


def batches(log: Log, *, at_least: int = 0, known_at: int | None = None) -> Answer:
    """Every batch: its size, who is named, how many are not, and the total just before it."""
    return _answer(log, batches_fold, _COUNTING, batches_in, at_least, known_at)


def companies(log: Log, name: str | None = None, *, at_least: int = 0, known_at: int | None = None) -> Answer:
    """Every company with its approvals and its share of them; or, by any of its `name`s, one company with its history.

    Raises BadQuestion where the ledger knows no company of that name.
    """

    def build(views: Views) -> list[Any]:
        return companies_in(views, name)

    return _answer(log, companies_fold, _COUNTING, build, at_least, known_at)


def shares(log: Log, *, at_least: int = 0, known_at: int | None = None) -> Answer:
    """Each estimator's stocks and shares by region and date, as intervals, with what they imply for the others."""
    return _answer(log, shares_fold, [shares_fold], shares_in, at_least, known_at)


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
        return share_of_stock_in(
            views,
            authority=authority,
            instrument=instrument,
            unit=unit,
            estimator=estimator,
            region=region,
        )

    return _answer(log, shares_fold, [*_COUNTING, shares_fold], build, at_least, known_at)


def sources(log: Log, *, at_least: int = 0, known_at: int | None = None) -> Answer:
    """Every claim with all who report it, whom they derive from, and how many independent origins that leaves."""
    return _answer(log, sources_fold, [sources_fold], sources_in, at_least, known_at)


# The same, from documents at one position, wherever they are: pure.


def totals_in(
    views: Views,
    *,
    authority: str | None = None,
    instrument: str | None = None,
    unit: str | None = None,
    steps: bool = False,
) -> list[dict[str, Any]]:
    """The answers of `totals`."""
    wanted = {"authority": authority, "instrument": instrument, "unit": unit}
    written = _all_terms(views)
    return [
        _total(gather(views, counted), written, counted, steps)
        for counted, counts in written.items()
        if all(text is None or name_key(text) == name_key(counts[part]) for part, text in wanted.items())
    ]


def batches_in(views: Views) -> list[dict[str, Any]]:
    """The answers of `batches`."""
    return [
        batch
        for counted, written in _all_terms(views).items()
        for batch in _batches(gather(views, counted), written, counted)
    ]


def companies_in(views: Views, name: str | None = None) -> list[dict[str, Any]]:
    """The answers of `companies`. Raises BadQuestion where no company has that `name`."""
    known = Identities(views["companies"])
    found = _all_companies(views, known) if name is None else _asked_for(views, known, name)
    counting = [
        (terms.written(written), Figures(gather(views, counted)))
        for counted, written in _all_terms(views).items()
    ]
    return [_company(views, company, counting, history=name is not None) for company in found]


def shares_in(views: Views) -> list[dict[str, Any]]:
    """The answers of `shares`."""
    return [
        _market(reported)
        for estimates in shares_fold.estimates(views["shares"]).values()
        for reported in _by_date(estimates)
    ]


def share_of_stock_in(
    views: Views, *, authority: str, instrument: str, unit: str, estimator: str, region: str
) -> list[dict[str, Any]]:
    """The answers of `share_of_stock`. Raises TermsDiffer and BadQuestion."""
    asked = {"authority": authority, "instrument": instrument, "unit": unit}
    counts = _all_terms(views).get(terms.key_of(**asked))
    if counts is None:
        raise BadQuestion(f"nothing is counted as {terms.written(asked)} here")
    return [_of_stock(views, counts, found, region) for found in _estimates_of(views, estimator, region)]


def sources_in(views: Views) -> list[dict[str, Any]]:
    """The answers of `sources`."""
    return [_claim(claim, reports) for claim, reports in sources_fold.claims(views["sources"])]


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


def _all_terms(views: Views) -> dict[str, dict[str, str]]:
    return terms.all_seen(views["totals"]) | terms.all_seen(views["batches"])


def _total(
    evidence: Evidence, written: Mapping[str, Mapping[str, str]], counted: str, steps: bool
) -> dict[str, Any]:
    figures = Figures(evidence)
    if not figures.days:
        raise AssertionError(f"{counted!r} is counted, and nothing is known of it")
    answer = {**written[counted], "as_of": str(figures.days[-1]), **_figure(figures, figures.days[-1])}
    if len(evidence.terms) > 1:
        _, *others = evidence.terms
        answer["equated"] = [
            {"terms": terms.written(written[other]), "evidence": sorted(evidence.terms[other])}
            for other in others
            if other in written
        ]
    answer["contradictions"] = [
        _contradiction(figures, conflict, "total", ("total", figures.days[-1]))
        for conflict in figures.resolution.conflicts
    ]
    if steps:
        answer["steps"] = [{"on": str(day), **_figure(figures, day)} for day in figures.days]
    return answer


def _figure(figures: Figures, day: date) -> dict[str, Any]:
    total = figures.total(day)
    answer: dict[str, Any] = {
        "total": total.interval.to_json(),
        "named": figures.named(day),
        "undisclosed": figures.undisclosed(day).to_json(),
        "evidence": _evidence(figures, total, day),
    }
    if figures.speaks_of_force():
        in_force = figures.in_force(day)
        answer["in_force"] = in_force.interval.to_json() | {"evidence": _evidence(figures, in_force, day)}
    return answer


def _evidence(figures: Figures, bound: Bound, day: date | None) -> dict[str, Any]:
    """At most SHOWN positions a side; `more` counts the others, on both sides together."""
    low, more_low = _positions(figures, bound.low, day)
    high, more_high = _positions(figures, bound.high, day)
    return {"low": low, "high": high, "more": more_low + more_high}


def _positions(figures: Figures, because: Iterable[int], day: date | None) -> tuple[list[int], int]:
    upto = day or figures.days[-1]
    evidence = figures.evidence
    positions, more = set(because) - set(TOGETHER), 0
    for together, counted in ((NAMED, evidence.granted.values()), (REVOKED, evidence.revoked)):
        if together in because:
            most = max(counted, key=lambda days: days.surely_by(upto))
            sample = most.sample(upto, SHOWN)
            positions |= set(sample)
            more += most.surely_by(upto) - len(sample)
    return sorted(positions)[:SHOWN], max(0, len(positions) - SHOWN) + more


def _contradiction(figures: Figures, conflict: Conflict, name: str, node: Node) -> dict[str, Any]:
    """The events in conflict, in words, and what `node` (`name` in the answer) would be on each origin's word alone."""
    reports = sorted(conflict.events - set(TOGETHER))
    says = [figures.evidence.says[event] for event in reports]
    says += [words for together, words in TOGETHER.items() if together in conflict.events]
    equating = figures.evidence.equating(figures.evidence.terms_of[event] for event in reports)
    return {
        "events": _positions(figures, conflict.events | equating, figures.days[-1])[0],
        "says": f"these cannot all be true: {'; '.join(says)}",
        "alone": [
            {"origin": alone.origin, name: alone.solution.bound(node).interval.to_json()}
            for alone in figures.resolution.alone
            if alone.events & conflict.events
        ],
    }


def _batches(evidence: Evidence, written: Mapping[str, str], counted: str) -> list[dict[str, Any]]:
    figures = Figures(evidence)
    return [
        _batch(figures, placed.batch, written)
        for placed in figures.order
        # Equated terms share their batches: each is listed where it was announced.
        if _of_terms(placed.batch, counted, evidence)
    ]


def _of_terms(batch: Batch, counted: str, evidence: Evidence) -> bool:
    return len(evidence.terms) == 1 or counted in batch.terms


def _batch(figures: Figures, batch: Batch, written: Mapping[str, str]) -> dict[str, Any]:
    size, before = figures.size(batch), figures.before(batch)
    named = batch.named(figures.evidence.marks)
    perhaps_named = batch.perhaps_named(figures.evidence.companies)
    low, high = size.interval.low, size.interval.high
    last = batch.on.last if batch.on is not None else None
    conflicts = [
        conflict
        for conflict in figures.resolution.conflicts
        if any(report.position in conflict.events for report in batch.reports)
    ]
    return {
        **written,
        "ordinal": batch.ordinal,
        "label": batch.label,
        "announced_on": list(dict.fromkeys(report.announced_on for report in batch.reports)),
        "size": size.interval.to_json(),
        "named": named,
        "names": _names(batch),
        "undisclosed": Interval(
            max(0, low - perhaps_named), None if high is None else max(0, high - named)
        ).to_json(),
        "before": before.interval.to_json(),
        "evidence": {
            "size": _evidence(figures, size, last),
            "before": _evidence(figures, before, last),
        },
        "sources": [{"position": report.position, **report.source} for report in batch.reports],
        "contradictions": [
            _contradiction(figures, conflict, "size", ("size", batch.key)) for conflict in conflicts
        ],
    }


def _names(batch: Batch) -> list[dict[str, str]]:
    """Whom the announcements name, each once."""
    named = [entry for report in batch.reports for entry in report.names]
    return [dict(pairs) for pairs in dict.fromkeys(tuple(sorted(entry.items())) for entry in named)]


def _all_companies(views: Views, known: Identities) -> list[Company]:
    """Every company that the ledger has a name of, once, by its slug or name."""
    named = [c for name in companies_fold.all_names(views["companies"]) for c in known.find(name)]
    identified = [known.of_slug(slug) for slug in known.slugs()]
    found = {(c.slug or c.names[0], bool(c.slug)): c for c in (*named, *identified) if c is not None}
    return [found[name] for name in sorted(found)]


def _asked_for(views: Views, known: Identities, name: str) -> list[Company]:
    """The companies that a reader may mean by a name or a slug. Raises BadQuestion where there is none."""
    found = [company for company in known.find(name) if _known(views, company)]
    of_slug = known.of_slug(name)
    if of_slug is not None and all(company.slugs != of_slug.slugs for company in found):
        found.append(of_slug)
    if not found:
        raise BadQuestion(f"no company is named {name[:80]!r} here: `approvals companies` lists all")
    return found


def _known(views: Views, company: Company) -> bool:
    return bool(company.slug) or any(
        companies_fold.record(views["companies"], name) for name in company.names
    )


def _company(
    views: Views, company: Company, counting: Iterable[tuple[str, Figures]], *, history: bool
) -> dict[str, Any]:
    records = {name: companies_fold.record(views["companies"], name) for name in company.names}
    texts = [
        *company.texts,
        *(terms.usual_spelling(record["spelled"]) for record in records.values() if record),
    ]
    answer: dict[str, Any] = {
        "company": company.slug or texts[0],
        "names": list(dict.fromkeys(texts)),
        "approvals": [
            approvals
            for written, figures in counting
            if (approvals := _approvals(company, records, written, figures)) is not None
        ],
        "evidence": list(company.because)[:SHOWN],
        "merges": [{"position": at, "from": a, "into": b, "on": on} for at, a, b, on in company.merges],
        "contradictions": _identity_contradictions(company),
    }
    if history:
        answer["history"] = _history(views, company)
    return answer


def _approvals(
    company: Company, records: Mapping[str, dict[str, Any] | None], written: str, figures: Figures
) -> dict[str, Any] | None:
    """The company's approvals in these terms: those known by name, and bounds, for an undisclosed one may be anyone's."""
    undisputed = [name for name in company.names if name not in company.disputed]
    named = _known_of(undisputed, records, figures)
    disputed = sum(_known_of([name], records, figures) for name in company.disputed)
    if not named and not disputed:
        return None
    day = figures.days[-1]
    total, undisclosed = figures.total(day).interval, figures.undisclosed(day)
    high = None if undisclosed.high is None else named + disputed + undisclosed.high
    others = max(0, figures.named(day) - named - disputed)
    return {
        "terms": written,
        "named": named,
        "approvals": Interval(named, high).to_json(),
        "share": _share(named, others, total),
    }


def _known_of(names: list[str], records: Mapping[str, dict[str, Any] | None], figures: Figures) -> int:
    """How many approvals these names of a company have at least: those granted to it, or those with which announcements
    name it, if they are more."""
    held: list[dict[str, int]] = [r["granted"] for name in names if (r := records[name]) is not None]
    granted = max(
        sum(of.get(t, 0) for of in held) - sum(n for of, n in twice.items() if of & set(names))
        for t, twice in figures.evidence.twice.items()
    )
    it = dict.fromkeys(names, "it")
    return max(granted, sum(p.batch.mentioned(it).get("it", 0) for p in figures.order if p.sure))


def _share(named: int, others: int, total: Interval) -> dict[str, float]:
    """The company's share of the total, in percent, rounded outwards to 2 decimals.

    Lowest where the total is highest and none of the undisclosed is the company's, highest where all are: named / total, and
    1 - others / total.
    """
    low = Fraction(0) if total.high is None else Fraction(named, max(total.high, named, 1))
    high = Fraction(1) if total.high is None else 1 - Fraction(others, max(total.high, named + others, 1))
    return stocks.Percentage(low, high, open=False).to_json()


def _identity_contradictions(company: Company) -> list[dict[str, Any]]:
    claims = [
        {"events": list(positions), "says": f"two companies claim the name {name!r}"}
        for name, positions in company.disputed.items()
    ]
    rings = [
        {
            "events": list(ring),
            "says": "these merges form a ring: "
            + ", ".join(f"{a} into {b}" for at, a, b, _ in company.merges if at in ring),
        }
        for ring in company.rings
    ]
    return [*claims, *rings]


def _history(views: Views, company: Company) -> list[dict[str, Any]]:
    entries = [
        {"position": position, **entry}
        for name in company.names
        for position, entry in companies_fold.history(views["companies"], name)
    ]
    for entry in entries:
        if entry["kind"] == "used":
            interval = Count(**entry["users"]).interval()
            entry["users"] = {
                "reported": entry["users"],
                **(interval.to_json() if interval else {"low": 0, "high": None}),
            }
    return sorted(entries, key=lambda entry: int(entry["position"]))


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
                "evidence": {
                    "count": sorted(region.stock_because)[:SHOWN],
                    "share": sorted(region.share_because)[:SHOWN],
                },
            }
            for name, region in sorted(market.regions.items())
        ],
        "sources": [{"position": at, **data["source"]} for at, data in reported],
        "contradictions": [
            {"events": sorted(conflict), "says": "these stocks and shares cannot all be true"}
            for conflict in market.conflicts
        ],
    }


def _estimates_of(views: Views, estimator: str, region: str) -> list[list[tuple[int, dict[str, Any]]]]:
    found = [
        reported
        for estimates in shares_fold.estimates(views["shares"]).values()
        for reported in _by_date(estimates)
        if name_key(reported[0][1]["estimator"]) == name_key(estimator)
        # What is reported of any region says something of the world.
        and (region == stocks.WORLD or any(data["region"] == region for _, data in reported))
    ]
    if not found:
        raise BadQuestion(
            f"there is no estimate by {estimator!r} for region {region!r}: `approvals shares` lists all"
        )
    return found


def _of_stock(
    views: Views, counts: Mapping[str, str], reported: list[tuple[int, dict[str, Any]]], region: str
) -> dict[str, Any]:
    first = reported[0][1]
    held = {"authority": counts["authority"], "instrument": "stock", "unit": first["unit"]}
    equated = terms.must_be_one(counts, held, totals_fold.equations(views["totals"]))
    figures = Figures(gather(views, terms.key_of(**counts)))
    total = figures.total(figures.days[-1])
    stock = stocks.infer(reported).regions[region]
    share = _ratio(total.interval, stock.stock)
    return {
        "terms": terms.written(counts),
        "total": total.interval.to_json(),
        "estimator": first["estimator"],
        "region": region,
        "as_of": first["as_of"],
        "stock": stock.stock.to_json(),
        "share": share.to_json(),
        "equated_by": sorted(equated),
        "evidence": {
            "total": _evidence(figures, total, None),
            "stock": sorted(stock.stock_because)[:SHOWN],
        },
    }


def _ratio(part: Interval, whole: Interval) -> stocks.Percentage:
    """The part's share of the whole, of which it is a part: never over one."""
    low = Fraction(0) if whole.high is None else Fraction(part.low, max(whole.high, 1))
    high = Fraction(1) if part.high is None or not whole.low else Fraction(part.high, whole.low)
    return stocks.Percentage(min(low, Fraction(1)), min(high, Fraction(1)), open=False)


def _claim(claim: dict[str, Any], reports: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    origins = sources_fold.independent([source for _, source in reports])
    return {
        **claim,
        "reports": [{"position": position, **source} for position, source in reports],
        "origins": len(origins),
        "independent": origins,
        "evidence": [position for position, _ in reports][:SHOWN],
    }
