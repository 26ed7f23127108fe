"""The answers of companies: one company under all its names, its approvals, its share of them, its history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from events import BadQuestion, Count, Interval

from .. import companies as fold
from .. import terms
from ..evidence import Views, gather
from ..figures import Figures
from ..identities import Company, Identities
from ..stocks import Percentage
from .shown import SHOWN
from .totals import all_terms


def companies_in(views: Views, name: str | None = None) -> list[dict[str, Any]]:
    """The answers of `companies`. Raises BadQuestion where no company has that `name`."""
    known = Identities(views["companies"])
    found = _all_companies(views, known) if name is None else _asked_for(views, known, name)
    counting = [
        (terms.written(written), Figures(gather(views, counted)))
        for counted, written in all_terms(views).items()
    ]
    return [_company(views, company, counting, history=name is not None) for company in found]


def _all_companies(views: Views, known: Identities) -> list[Company]:
    """Every company that the ledger has a name of, once, by its slug or name."""
    named = [c for name in fold.all_names(views["companies"]) for c in known.find(name)]
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
    return bool(company.slug) or any(fold.record(views["companies"], name) for name in company.names)


def _company(
    views: Views, company: Company, counting: Iterable[tuple[str, Figures]], *, history: bool
) -> dict[str, Any]:
    records = {name: fold.record(views["companies"], name) for name in company.names}
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
    return Percentage(low, high, open=False).to_json()


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
        for position, entry in fold.history(views["companies"], name)
    ]
    for entry in entries:
        if entry["kind"] == "used":
            interval = Count(**entry["users"]).interval()
            entry["users"] = {
                "reported": entry["users"],
                **(interval.to_json() if interval else {"low": 0, "high": None}),
            }
    return sorted(entries, key=lambda entry: int(entry["position"]))
