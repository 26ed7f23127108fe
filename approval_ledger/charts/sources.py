"""The chart of sources: who said it first, and who repeats it. A line is a report that derives from another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import sqrt
from statistics import mean
from typing import Any

from events import name_key
from projections import Answer
from projections import sources as fold

from .theme import Look, Specification, clipped, framed, isolated, nothing

MOST = 60  # lines
STEP = 24  # pixels between two names
LINES = 50  # pixels that the lines are long, at least
EVIDENCE = 12  # positions of a line
BOLD = 15  # pixels: bold letters of 13 pixels are as wide as others of so many

Row = dict[str, Any]


def sources(answer: Answer, look: Look) -> Specification:
    """Origins on the left, those that most repeat first; whoever repeats them on the right; lines as thick as there
    are reports. An origin that nobody repeats stands alone, with the number of its own."""
    cited = _cited(answer)
    drawn = dict(list(cited.items())[:MOST])
    note = look.words.sources_note
    if more := len(cited) - len(drawn):
        note += look.words.list_separator + look.words.more.format(n=more)
    return framed(
        look,
        answer,
        title=look.words.sources_title,
        note=note,
        description=look.words.sentences(_told(cited, look)),
        body=_body(drawn, look) if drawn else nothing(look),
    )


Cited = dict[tuple[str, str | None], list[int]]
"""The positions of the reports by whom they are from, and by whom they are repeated (None: the origin itself reports)."""


def _cited(answer: Answer) -> Cited:
    found: Cited = {}
    spelled: dict[str, str] = {}  # by what names are compared by, so that one voice is one
    for claim in answer["answers"]:
        for report in claim["reports"]:
            for name in (report.get("derived_from", report)["publisher"], report["publisher"]):
                spelled.setdefault(name_key(name), name)
    for claim in answer["answers"]:
        first = _who_said_first(claim)
        for report in claim["reports"]:
            publisher = name_key(report["publisher"])
            for origin in first[fold.origin(report)]:
                repeated_by = None if origin == publisher else spelled[publisher]
                found.setdefault((spelled[origin], repeated_by), []).append(report["position"])
    voices = Counter(origin for origin, repeated_by in found if repeated_by is not None)
    order = sorted(
        found, key=lambda pair: (-voices[pair[0]], pair[0], pair[1] is not None, -len(found[pair]), pair[1])
    )
    return {pair: found[pair] for pair in order}


def _who_said_first(claim: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """By whom a report derives from (as a key), whom that repeats in the end: the independent origins of the claim."""
    repeated_by: dict[str, set[str]] = {}
    for report in claim["reports"]:
        repeated_by.setdefault(fold.origin(report), set()).add(name_key(report["publisher"]))
    found: dict[str, list[str]] = {}
    for origin in claim["independent"]:
        reached, ahead = {origin}, [origin]
        while ahead:
            name = ahead.pop()
            found.setdefault(name, []).append(origin)
            further = repeated_by.get(name, set()) - reached
            reached |= further
            ahead += further
    return found


def _body(cited: Cited, look: Look) -> Mapping[str, Any]:
    width = max(LINES, look.room // 5)
    side = (look.room - width) // 2
    lines = [
        _line(number, pair, positions, look, side) for number, (pair, positions) in enumerate(cited.items())
    ]
    stands = {
        origin: mean(line["to"] for line in lines if line["origin"] == origin)
        for origin in dict.fromkeys(line["origin"] for line in lines)
    }
    origins = [
        {"from": at, "name": isolated(clipped(origin, side - 14, BOLD)), "says": origin}
        for origin, at in stands.items()
    ]
    text = {"type": "text", "baseline": "middle", "fontSize": 13}
    heading = {"type": "text", "baseline": "middle", "fontSize": 12, "color": look.colours.muted}
    return {
        "width": width,
        "height": STEP * (len(lines) + 1),
        "view": {"stroke": None},
        "encoding": {
            "y": {"type": "quantitative", "axis": None, "scale": {"domain": [len(lines) - 0.5, -1.5]}},
            "tooltip": {"field": "says", "type": "nominal"},
        },
        "layer": [
            {
                "data": {"values": [line | {"from": stands[line["origin"]]} for line in lines]},
                "mark": {
                    "type": "rule",
                    "cursor": "pointer",
                    "color": look.colours.undisclosed,
                    "strokeCap": "round",
                },
                "encoding": {
                    "x": {"value": 0},
                    "x2": {"value": width},
                    "y": {"field": "from"},
                    "y2": {"field": "to"},
                    "strokeWidth": {"field": "thick", "type": "quantitative", "scale": None},
                },
            },
            {
                "data": {"values": origins},
                "mark": {**text, "align": "right", "dx": -10, "fontWeight": "bold"},
                "encoding": {
                    "x": {"value": 0},
                    "y": {"field": "from"},
                    "text": {"field": "name", "type": "nominal"},
                },
            },
            {
                "data": {"values": lines},
                "mark": {**text, "align": "left", "dx": 10, "cursor": "pointer"},
                "encoding": {
                    "x": {"value": width},
                    "y": {"field": "to"},
                    "text": {"field": "name", "type": "nominal"},
                },
            },
            {
                "data": {"values": [{"at": -1, "name": look.words.origin}]},
                "mark": {**heading, "align": "right", "dx": -10, "description": look.words.origin},
                "encoding": {
                    "x": {"value": 0},
                    "y": {"field": "at"},
                    "text": {"field": "name", "type": "nominal"},
                    "tooltip": {"value": None},
                },
            },
            {
                "data": {"values": [{"at": -1, "name": look.words.publisher}]},
                "mark": {**heading, "align": "left", "dx": 10, "description": look.words.publisher},
                "encoding": {
                    "x": {"value": width},
                    "y": {"field": "at"},
                    "text": {"field": "name", "type": "nominal"},
                    "tooltip": {"value": None},
                },
            },
        ],
    }


def _line(number: int, pair: tuple[str, str | None], positions: list[int], look: Look, side: int) -> Row:
    origin, repeated_by = pair
    name = look.words.itself if repeated_by is None else repeated_by
    count = look.words.reports.format(n=len(positions))
    return {
        "to": number,
        "origin": origin,
        "name": isolated(clipped(name, side - 60, 13)) + f" ({count})",
        "thick": min(1 + sqrt(len(positions)), 6),
        "says": _said(pair, positions, look),
        "evidence": sorted(positions)[:EVIDENCE],
    }


def _said(pair: tuple[str, str | None], positions: list[int], look: Look) -> str:
    origin, repeated_by = pair
    if repeated_by is None:
        return look.words.own.format(publisher=origin, n=len(positions))
    return look.words.repeats.format(publisher=repeated_by, origin=origin, n=len(positions))


def _told(cited: Cited, look: Look) -> Iterator[str]:
    if not cited:
        yield look.words.nothing
    for pair, positions in list(cited.items())[:MOST]:
        yield _said(pair, positions, look)
    if len(cited) > MOST:
        yield look.words.more.format(n=len(cited) - MOST)
