"""The chart of companies: how many approvals of each kind are known by name for each company."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from projections import Answer

from . import rows
from .theme import SANS, Look, Specification, clipped, framed, nothing, wrapped

MOST = 30  # rows of a panel
STEP = 24  # pixels a row
FILLED = ("named", "possible")
TOLD = 60  # rows that the description lists

Row = dict[str, Any]


def companies(answer: Answer, look: Look) -> Specification:
    """A panel for each thing that is counted, with one row for each company, those with the most approvals first."""
    counted = _by_terms(answer)
    note = look.words.companies_note
    if more := sum(max(0, len(found) - MOST) for found in counted.values()):
        note = look.words.sentences([note, look.words.more_companies.format(n=more)])
    return framed(
        look,
        answer,
        title=look.words.companies_title,
        note=note,
        description=look.words.sentences(_told(counted, look)),
        body=_body(counted, look) if counted else nothing(look),
        beside=rows.side(look),
    )


def _by_terms(answer: Answer) -> dict[str, list[Row]]:
    """The companies that have approvals, by terms. Equated terms have the same figures, so only the first of them is kept."""
    found: dict[str, list[Row]] = {}
    for company in answer["answers"]:
        for approvals in company["approvals"]:
            found.setdefault(approvals["terms"], []).append({"company": company["names"][0], **approvals})
    for held in found.values():
        held.sort(key=lambda row: (-row["named"], row["company"]))
    seen: list[list[Row]] = []
    once: dict[str, list[Row]] = {}
    for terms, held in found.items():
        figures = [{**row, "terms": None} for row in held]
        if figures not in seen:
            once[terms] = held
            seen.append(figures)
    return once


def _body(counted: Mapping[str, list[Row]], look: Look) -> Mapping[str, Any]:
    return {
        "vconcat": [_panel(terms, held[:MOST], look) for terms, held in counted.items()],
        "resolve": {"scale": {"color": "shared"}},
    }


def _panel(terms: str, held: list[Row], look: Look) -> Specification:
    width = look.room - rows.side(look)
    top = max(1, *(bound for row in held for bound in row["approvals"].values() if bound is not None))
    top = top * rows.ROOM
    values = [_row(number, row, look, top) for number, row in enumerate(held)]
    names, _ = rows.names(look)
    names["mark"]["dy"] = 0
    return {
        "title": {
            "text": wrapped(clipped(_terms(terms, look), 2 * look.room, 13), look.room, 13),
            "font": SANS,
            "fontSize": 13,
            "lineHeight": 18,
            "frame": "group",
            "dx": -rows.side(look),
        },
        "width": width,
        "height": {"step": STEP},
        "data": {"values": values},
        "encoding": {
            "y": rows.by_row(len(values)),
            "x": rows.counts(top, width),
            "tooltip": {"field": "says", "type": "nominal"},
        },
        "layer": [
            *rows.ranges(look, "named", "high", FILLED),
            rows.bar("zero", "named", 18, rows.explained(look, "named", FILLED)),
            names,
            rows.figures("named"),
        ],
    }


def _row(number: int, row: Row, look: Look, top: float) -> Row:
    approvals, evidence = row["approvals"], row["evidence"]
    return {
        "row": number,
        **rows.named(look, row["company"], ""),
        "company": row["company"],
        "zero": 0,
        "named": row["named"],
        "high": top if approvals["high"] is None else approvals["high"],
        "open": approvals["high"] is None,
        "figure": look.words.figure(approvals),
        "says": _said(row, look),
        "evidence": sorted({*evidence["low"], *evidence["high"]}),
        **({"more": evidence["more"]} if evidence["more"] else {}),
    }


def _said(row: Row, look: Look) -> str:
    words = look.words
    share = words.said(words.share_of_all, words.percent(row["share"]))
    figure = words.listed([words.bounds(row["approvals"]), share])
    return words.company_says.format(company=row["company"], figure=figure, terms=_terms(row["terms"], look))


def _terms(written: str, look: Look) -> str:
    """`CAC/filing/service` in words."""
    authority, instrument, unit = written.split("/")
    return look.words.counted({"authority": authority, "instrument": instrument, "unit": unit})


def _told(counted: Mapping[str, list[Row]], look: Look) -> Iterator[str]:
    if not counted:
        yield look.words.nothing
    held = [row for of_terms in counted.values() for row in of_terms]
    yield from (_said(row, look) for row in held[:TOLD])
    if len(held) > TOLD:
        yield look.words.more.format(n=len(held) - TOLD)
