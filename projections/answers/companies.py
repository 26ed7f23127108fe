"""The answers of companies: one company under all its names, its approvals, its share of them, its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Any

from events import Count, DateRange, UnknownCompany, canonical, date_range, name_key

from .. import companies as fold
from .. import terms, totals
from ..asof import perhaps, surely
from ..evidence import Views
from ..figures import Figures
from ..identities import Company, Identities
from ..premises import premises_of
from .counting import GRANTS, Counting
from .shown import SHOWN
from .totals import all_terms, days_of


def companies_in(
    views: Views, name: str | None = None, *, valid_at: DateRange | None = None
) -> list[dict[str, Any]]:
    """The answers of `companies`. Raises UnknownCompany where none has that `name`."""
    known = Identities(views["companies"], valid_at)
    found = _all_companies(views, known) if name is None else _asked_for(views, known, name)
    names = [name for company in found for name in company.names]
    fold.fetch_histories(views["companies"], names, most=GRANTS if valid_at is None else None)
    counts = all_terms(views)
    equations = totals.equations(views["totals"])
    counting = [
        Counting(
            terms.written(counts[counted]),
            terms.equal_to(counted, equations),
            Figures.in_brief(premises, days_of(valid_at)),
            views,
            valid_at,
        )
        for counted, premises in premises_of(views, counts).items()
    ]
    return [
        _company(views, known, company, counting, valid_at, history=name is not None) for company in found
    ]


def company_names_in(views: Views, *, valid_at: DateRange | None = None) -> list[dict[str, Any]]:
    """The answers of `company_names`."""
    found = _all_companies(views, Identities(views["companies"], valid_at))
    fold.fetch_starts(views["companies"], [name for company in found for name in company.names])
    return [
        {"company": company.slug or names[0]["text"], "slugs": list(company.slugs), "names": names}
        for company in found
        if (names := [_name(views, company, name) for name in company.names])
    ]


def _name(views: Views, company: Company, name: str) -> dict[str, Any]:
    """One of the company's names, with some reports that use it, and those that say whose it is."""
    record = fold.record(views["companies"], name)
    written = next((text for text in company.texts if name_key(text) == name), name)
    used = islice(fold.positions(views["companies"], name), SHOWN) if record else ()
    return {
        "text": terms.usual_spelling(record["spelled"]) if record else written,
        "evidence": list(used) or list(company.because)[:SHOWN],
    }


def _all_companies(views: Views, known: Identities) -> list[Company]:
    """Every company that the ledger has a name of, once, by its slug or name."""
    names, slugs = fold.all_names(views["companies"]), known.slugs()
    known.read_ahead(names, slugs)
    named = [c for name in names for c in known.find(name)]
    seen = {slug for company in named for slug in company.slugs}
    identified = [known.of_slug(slug) for slug in slugs if slug not in seen]
    found = {(c.slug or c.names[0], bool(c.slug)): c for c in (*named, *identified) if c is not None}
    return [found[name] for name in sorted(found)]


def _asked_for(views: Views, known: Identities, name: str) -> list[Company]:
    """The companies that a reader may mean by a name or a slug. Raises UnknownCompany where there is none."""
    # Half of a surrogate pair, which no name holds and no server takes, finds nothing.
    name = name.encode("utf-8", "replace").decode()
    found = [company for company in known.find(name) if _known(views, company)]
    of_slug = known.of_slug(name)
    if of_slug is not None and all(company.slugs != of_slug.slugs for company in found):
        found.append(of_slug)
    if not found:
        raise UnknownCompany(
            f"no company is named {name[:80]!r} here: `approvals companies` lists all, and so does "
            "`companies` of the ledger over HTTP"
        )
    return found


def _known(views: Views, company: Company) -> bool:
    return bool(company.slug) or any(fold.record(views["companies"], name) for name in company.names)


def _company(
    views: Views,
    known: Identities,
    company: Company,
    counting: Iterable[Counting],
    valid_at: DateRange | None,
    *,
    history: bool,
) -> dict[str, Any]:
    perhaps = _perhaps_merged(known, company)
    may_be = {name for other in perhaps.values() for name in other.names}
    records = {
        name: record
        for name in {*company.names, *may_be}
        if (record := fold.record(views["companies"], name)) is not None
    }
    written = (records[name]["spelled"] for name in company.names if name in records)
    texts = [*company.texts, *map(terms.usual_spelling, written)]
    answer: dict[str, Any] = {
        "company": company.slug or texts[0],
        "names": list(dict.fromkeys(texts)),
        "approvals": [
            approvals
            for counted in counting
            if (approvals := counted.approvals(company, may_be, records)) is not None
        ],
        "evidence": list(company.because)[:SHOWN],
        "merges": [{"position": at, "from": a, "into": b, "on": on} for at, a, b, on in company.merges],
        "contradictions": [
            *_identity_contradictions(company),
            *_each_once(each for counted in counting for each in counted.contradictions(company, may_be)),
        ],
    }
    if perhaps:
        answer["perhaps"] = sorted(perhaps)
    if history:
        answer["history"] = _history(views, company, valid_at)
    return answer


def _perhaps_merged(known: Identities, company: Company) -> dict[str, Company]:
    """The companies that it may have been merged with, by their slugs, including those that may only be merged with one of these."""
    found: dict[str, Company] = {}
    slugs = [*company.perhaps]
    for slug in slugs:  # which grows
        other = known.of_slug(slug)
        if other is not None and slug not in found and other.slugs != company.slugs:
            found[slug] = other
            slugs += other.perhaps
    return found


def _each_once(contradictions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The contradictions, each once: terms that are one have the same."""
    return list({(each["says"], *each["events"]): each for each in contradictions}.values())


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


def _history(views: Views, company: Company, valid_at: DateRange | None) -> list[dict[str, Any]]:
    entries = []
    for name in company.names:
        for position, entry in fold.history(views["companies"], name, company.names):
            on = _happened_on(entry)
            if perhaps(on, valid_at):
                doubt = {} if surely(on, valid_at) else {"perhaps": True}
                entries.append({"position": position, **_until(entry, valid_at), **doubt})
    entries.sort(key=lambda entry: int(entry["position"]))
    # Changes of an approval are listed with its grant, or if that is not listed, with the first amendment that gave it to the company.
    told = {
        change["position"] for entry in entries if entry["kind"] == "granted" for change in entry["later"]
    }
    for entry in sorted((entry for entry in entries if entry["kind"] == "amended"), key=_by_day_and_words):
        entry["later"] = [change for change in entry["later"] if change["position"] not in told]
        told.update(change["position"] for change in entry["later"])
    return [entry for entry in entries if entry["kind"] != "revoked" or entry["position"] not in told]


def _by_day_and_words(entry: dict[str, Any]) -> tuple[date, date, bytes]:
    """A sort key for entries that does not depend on the order of the log."""
    said = {part: value for part, value in entry.items() if part not in ("position", "later")}
    on = _happened_on(entry)
    return on.first, on.last, canonical(said)


def _happened_on(entry: dict[str, Any]) -> DateRange:
    """The days on which what an entry reports may have happened; a day before all others if it gives none."""
    on = next(
        (entry[field] for field in ("approved_on", "as_of", "amended_on", "on") if field in entry), None
    )
    on = on or entry.get("batch", {}).get("announced_on")
    return DateRange(date.min, date.min) if on is None else date_range(on)


def _until(entry: dict[str, Any], valid_at: DateRange | None) -> dict[str, Any]:
    """The entry as it was by `valid_at`: without what became of an approval later."""
    if entry["kind"] == "used":
        interval = Count(**entry["users"]).interval()
        bounds = interval.to_json() if interval else {"low": 0, "high": None}
        return entry | {"users": {"reported": entry["users"], **bounds}}
    if "later" not in entry:
        return entry
    later = [change for change in entry["later"] if entry["kind"] == "granted" or _may_follow(change, entry)]
    return entry | {"later": list(_changes_until(later, valid_at))}


def _may_follow(change: dict[str, Any], amendment: dict[str, Any]) -> bool:
    """Whether a change of an approval may be later than the `amendment` that gave it to a company, and does not say the same."""
    if change.get("changes") == amendment["changes"]:
        return False
    written, since = change.get("on") or change.get("amended_on"), amendment.get("amended_on")
    return written is None or since is None or date_range(written).last >= date_range(since).first


def _changes_until(changes: list[dict[str, Any]], valid_at: DateRange | None) -> Iterator[dict[str, Any]]:
    for change in changes:
        written = change.get("on") or change.get("amended_on")
        on = DateRange(date.min, date.min) if written is None else date_range(written)
        if perhaps(on, valid_at):
            yield change if surely(on, valid_at) else change | {"perhaps": True}
