"""An answer as a flat table: a row for each figure, a pair of columns for each interval. Pure; docs/exporting.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from events import canonical
from projections import Answer

Kind = Literal["text", "integer", "number", "boolean", "list of texts", "list of integers", "list of numbers"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. A missing value is None; a list is never None, but may be empty."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """What an answer says, as rows with one value for each column."""

    columns: Sequence[Column]
    rows: Sequence[Row]


def tabulated(answer: Answer) -> Table:
    """The answer to any of the five questions as a table."""
    columns, rows_of = TABLES[answer["projection"]]
    return Table(columns, [row for found in answer["answers"] for row in rows_of(found)])


def _pair(name: str, what: str, kind: Kind = "integer") -> tuple[Column, Column]:
    return (
        Column(f"{name}_low", kind, f"{what}: at least"),
        Column(f"{name}_high", kind, f"{what}: at most; null is no bound"),
    )


def _bounds(name: str, interval: Mapping[str, Any] | None) -> Row:
    low, high = (interval["low"], interval["high"]) if interval else (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


_TERMS = (
    Column("authority", "text", "who approves"),
    Column("instrument", "text", "the kind of act, such as approval, filing or registration"),
    Column("unit", "text", "what is counted: model, service"),
)
_PERHAPS = Column("perhaps", "boolean", "whether it may lie after the days that were asked about")
_CONTRADICTIONS = (
    Column("contradictions", "integer", "how many sets of reports cannot all be true"),
    Column(
        "contradicting",
        "list of integers",
        "the positions of the reports in them; of approvals and revocations that count together at most 12 of each set, unless the evidence is whole",
    ),
)
_SOURCES = (
    Column("positions", "list of integers", "the positions of the reports"),
    Column("publishers", "list of texts", "who published each of them, in the same order"),
)


def _terms(found: Row) -> Row:
    return {part: found[part] for part in ("authority", "instrument", "unit")}


def _contradictions(found: Row) -> Row:
    listed = found["contradictions"]
    events = sorted({position for contradiction in listed for position in contradiction["events"]})
    return {"contradictions": len(listed), "contradicting": events}


def _sources(found: Row) -> Row:
    return {
        "positions": [source["position"] for source in found["sources"]],
        "publishers": [source["publisher"] for source in found["sources"]],
    }


def _evidence_columns(prefix: str, what: str) -> tuple[Column, Column, Column]:
    return (
        Column(f"{prefix}evidence_low", "list of integers", f"positions of events that force {what} up"),
        Column(f"{prefix}evidence_high", "list of integers", f"positions of events that hold {what} down"),
        Column(
            f"{prefix}evidence_more",
            "integer",
            "how many further events of both sides are not listed; an approval counts once, however many report it",
        ),
    )


def _evidence(prefix: str, evidence: Row) -> Row:
    return {f"{prefix}evidence_{side}": evidence[side] for side in ("low", "high", "more")}


_TOTALS = (
    *_TERMS,
    Column("as_of_first", "text", "the first of the days that the figure is about (ISO 8601)"),
    Column("as_of_last", "text", "the last of them; with steps both are the day of the step"),
    *_pair("total", "how many were approved in all by then"),
    Column("named", "integer", "how many of them are known by name"),
    *_pair("undisclosed", "how many of them are not known by name"),
    *_pair("in_force", "how many of them are still in force; empty if none is known to have ended"),
    *_evidence_columns("", "the total"),
    Column(
        "equated", "list of texts", "other terms that count here too, because an event says that they are one"
    ),
    *_CONTRADICTIONS,
)


def _totals(total: Row) -> Iterator[Row]:
    first, _, last = total["as_of"].partition("/")
    days = [(step["on"], step["on"], step) for step in total.get("steps", [])]
    for since, until, figure in days if "steps" in total else [(first, last or first, total)]:
        yield {
            **_terms(total),
            "as_of_first": since,
            "as_of_last": until,
            **_bounds("total", figure["total"]),
            "named": figure["named"],
            **_bounds("undisclosed", figure["undisclosed"]),
            **_bounds("in_force", figure.get("in_force")),
            **_evidence("", figure["evidence"]),
            "equated": [equated["terms"] for equated in total.get("equated", [])],
            **_contradictions(total),
        }


_BATCHES = (
    *_TERMS,
    Column("ordinal", "integer", "which batch it is, if a report says so"),
    Column("label", "text", "what reports call it, if they do"),
    Column("announced_on", "list of texts", "the day, month or year, as each report has it"),
    _PERHAPS,
    *_pair("size", "how many are in the batch"),
    Column("named", "integer", "how many of them are known by name"),
    *_pair("undisclosed", "how many of them are not known by name"),
    *_pair("before", "the total just before the batch"),
    Column("companies", "list of texts", "whom the announcements name"),
    Column("items", "list of texts", "the items named with them, in the same order; null if none is named"),
    *_evidence_columns("size_", "the size"),
    *_evidence_columns("before_", "the total before"),
    *_SOURCES,
    *_CONTRADICTIONS,
)


def _batches(batch: Row) -> Iterator[Row]:
    yield {
        **_terms(batch),
        "ordinal": batch["ordinal"],
        "label": batch["label"],
        "announced_on": batch["announced_on"],
        "perhaps": batch.get("perhaps", False),
        **_bounds("size", batch["size"]),
        "named": batch["named"],
        **_bounds("undisclosed", batch["undisclosed"]),
        **_bounds("before", batch["before"]),
        "companies": [named["company"] for named in batch["names"]],
        "items": [named.get("item") for named in batch["names"]],
        **_evidence("size_", batch["evidence"]["size"]),
        **_evidence("before_", batch["evidence"]["before"]),
        **_sources(batch),
        **_contradictions(batch),
    }


_COMPANIES = (
    Column("company", "text", "its slug if an event identifies it, otherwise its name"),
    Column("names", "list of texts", "all its names, as sources write them"),
    Column("terms", "text", "AUTHORITY/INSTRUMENT/UNIT; null if no approval of it is known by name"),
    Column("named", "integer", "how many approvals of it are known by name"),
    *_pair("approvals", "how many approvals it has; an undisclosed one may be anyone's"),
    *_pair("share", "its share of the total, in percent", "number"),
    *_evidence_columns("", "the number of its approvals"),
    Column("perhaps", "list of texts", "the slugs of companies that it may have been merged with by then"),
    Column("names_evidence", "list of integers", "positions of some events that say which names it has"),
    Column("merged", "list of texts", "slugs of companies that were merged into others to become this one"),
    *_CONTRADICTIONS,
)


def _companies(company: Row) -> Iterator[Row]:
    nothing = {"low": [], "high": [], "more": 0}
    none = {"terms": None, "named": None, "approvals": None, "share": None, "evidence": nothing}
    for approvals in company["approvals"] or [none]:
        yield {
            "company": company["company"],
            "names": company["names"],
            "terms": approvals["terms"],
            "named": approvals["named"],
            **_bounds("approvals", approvals["approvals"]),
            **_bounds("share", approvals["share"]),
            **_evidence("", approvals["evidence"]),
            "perhaps": company.get("perhaps", []),
            "names_evidence": company["evidence"],
            "merged": list(dict.fromkeys(merge["from"] for merge in company["merges"])),
            **_contradictions(company),
        }


_SHARES = (
    Column("estimator", "text", "whose estimate it is"),
    Column("unit", "text", "what is counted"),
    Column("as_of", "text", "the day, month or year of the estimate"),
    _PERHAPS,
    Column("region", "text", "an ISO 3166 code, or `world`"),
    *_pair("count", "the stock in the region"),
    *_pair("share", "the region's share of the world's stock, in percent", "number"),
    Column("rounding", "list of numbers", "the points to which the shares of this region are rounded"),
    Column("count_evidence", "list of integers", "positions of events that bound the stock"),
    Column("share_evidence", "list of integers", "positions of events that bound the share"),
    Column("evidence_more", "integer", "how many further events of both are not listed"),
    *_SOURCES,
    *_CONTRADICTIONS,
)


def _shares(market: Row) -> Iterator[Row]:
    for region in market["regions"]:
        yield {
            "estimator": market["estimator"],
            "unit": market["unit"],
            "as_of": market["as_of"],
            "perhaps": market.get("perhaps", False),
            "region": region["region"],
            **_bounds("count", region["count"]),
            **_bounds("share", region["share"]),
            "rounding": region["rounding"],
            "count_evidence": region["evidence"]["count"],
            "share_evidence": region["evidence"]["share"],
            "evidence_more": region["evidence"]["more"],
            **_sources(market),
            **_contradictions(market),
        }


_REPORTS = (
    Column(
        "claim", "integer", "the position at which the claim was first made: the same for all who repeat it"
    ),
    Column("position", "integer", "the position of this report of the claim"),
    Column("type", "text", "the type of the event"),
    Column("says", "text", "what is claimed, as JSON"),
    Column("publisher", "text", "who published this report"),
    Column("url", "text", "where it was published"),
    Column("title", "text", "the title of the report"),
    Column("published_on", "text", "the day, month or year of publication"),
    Column("derived_from", "text", "the publisher whom this report repeats"),
    Column("derived_from_url", "text", "where that publisher reported it"),
    Column("origins", "integer", "how many independent origins the claim has"),
    Column("independent", "list of texts", "the independent origins, as keys of names"),
    _PERHAPS,
)


def _reports(claim: Row) -> Iterator[Row]:
    for report in claim["reports"]:
        origin = report.get("derived_from", {})
        yield {
            "claim": claim["reports"][0]["position"],
            "position": report["position"],
            "type": claim["type"],
            "says": canonical(claim["says"]).decode(),
            **{part: report.get(part) for part in ("publisher", "url", "title", "published_on")},
            "derived_from": origin.get("publisher"),
            "derived_from_url": origin.get("url"),
            "origins": claim["origins"],
            "independent": claim["independent"],
            "perhaps": claim.get("perhaps", False),
        }


TABLES: dict[str, tuple[Sequence[Column], Callable[[Row], Iterator[Row]]]] = {
    "totals": (_TOTALS, _totals),
    "batches": (_BATCHES, _batches),
    "companies": (_COMPANIES, _companies),
    "shares": (_SHARES, _shares),
    "sources": (_REPORTS, _reports),
}
"""For each projection, the columns, and the function that makes the rows of one of its answers."""
