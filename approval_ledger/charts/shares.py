"""The chart of shares: each estimator's stocks, and what share of the world's stock they are, as ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from events.quantities import MAX_COUNT
from projections import Answer

from . import rows
from .theme import SANS, Look, Specification, fading, framed, nothing, told_contradictions

MOST = 40  # rows, of the latest days
STEP = 40  # pixels a row
THINNEST = 3  # pixels, so that a range of a single figure can be seen
SPACING = 40
NARROW = 600  # pixels of room, below which two panels do not fit side by side
ROOM = 1.5  # of the highest figure, so that there is room for a range in words beside it
WHOLE = 100.0  # percent
FARTHEST = 10**300
WORLD = "world"

Row = dict[str, Any]


def shares(answer: Answer, look: Look) -> Specification:
    """One row for each estimator, date and region: how many it counts, and next to that what share this is."""
    found = [
        (market, region)
        for market in sorted(answer["answers"], key=lambda market: (market["as_of"], market["estimator"]))
        for region in sorted(
            market["regions"], key=lambda region: (region["region"] != WORLD, region["region"])
        )
    ]
    note = look.words.shares_note
    if len(found) > MOST:
        note += look.words.list_separator + look.words.earliest.format(n=len(found) - MOST)
    return framed(
        look,
        answer,
        title=look.words.shares_title,
        note=note,
        description=look.words.sentences(_told(found, look)),
        body=_body(found[-MOST:], look) if found else nothing(look),
    )


def _body(found: list[tuple[Row, Row]], look: Look) -> Mapping[str, Any]:
    """The two panels side by side, with the names once; or, if there is no room for that, one below the other."""
    narrow = look.room < NARROW
    panels = 1 if narrow else 2
    width = (look.room - rows.side(look) - (panels - 1) * SPACING) // panels
    counts = [_place(bound) for _, region in found for bound in region["count"].values() if bound is not None]
    top = max(1, *counts) * ROOM
    values = [_row(number, market, region, look, top) for number, (market, region) in enumerate(found)]
    names = rows.names(look)
    stocks = [*_ranges(look, "low", "high", "open"), rows.figures("end"), *names]
    shares = [
        *_ranges(look, "least", "most", "unknown")[:1],
        _written("told", "most"),
        _written("any", "least", look.colours.muted),
        *(names if narrow else []),
    ]
    return {
        "data": {"values": values},
        "vconcat" if narrow else "hconcat": [
            _panel(look.words.stock, rows.counts(top, width), width, len(values), stocks),
            _panel(look.words.share, _percent(width), width, len(values), shares),
        ],
        "spacing": SPACING,
    }


def _place(figure: int) -> float:
    """Where a figure is drawn. If a share is rounded to nearly nothing, the world's stock may have more digits than the renderer can
    read as a whole number, or as any number."""
    return figure if figure <= MAX_COUNT else float(min(figure, FARTHEST))


def _percent(width: int) -> dict[str, Any]:
    x = rows.counts(WHOLE * ROOM, width)
    x["axis"]["values"] = [0, 50, 100] if width < 250 else [0, 25, 50, 75, 100]
    return x


def _written(which: str, at: str, colour: str | None = None) -> Specification:
    """The share in words, in the rows whose field `which` is true."""
    drawn = rows.figures(at) | {"transform": [{"filter": f"datum.{which}"}]}
    drawn["encoding"]["text"]["field"] = "share"
    if colour is not None:
        drawn["mark"]["color"] = colour
    return drawn


def _panel(
    title: str, x: Mapping[str, Any], width: int, number: int, drawn: list[Specification]
) -> Specification:
    return {
        "title": {
            "text": title,
            "font": SANS,
            "fontSize": 13,
            "fontWeight": "normal",
            "frame": "group",
            "offset": 6,
        },
        "width": width,
        "height": {"step": STEP},
        "encoding": {"y": rows.by_row(number), "x": x, "tooltip": {"field": "says", "type": "nominal"}},
        "layer": drawn,
    }


def _ranges(look: Look, low: str, high: str, open: str) -> list[Specification]:
    """Bars from the lowest to the highest figure, visible even if the two are the same. Those without an upper bound fade out."""
    closed = {"transform": [{"filter": f"!datum.{open}"}], **rows.bar(low, high, 14)}
    closed["mark"] |= {"color": look.colours.named, "stroke": look.colours.named, "strokeWidth": THINNEST}
    fades = {"transform": [{"filter": f"datum.{open}"}], **rows.bar(low, high, 14)}
    fades["mark"] |= {"color": fading(look.colours.possible, to="right")}
    return [closed, fades]


def _row(number: int, market: Row, region: Row, look: Look, top: float) -> Row:
    words = look.words
    count, share = region["count"], region["share"]
    anything = share["low"] == 0 and share["high"] == WHOLE
    world = region["region"] == WORLD
    below = [words.term(region["region"]), words.term(market["unit"]), words.day(market["as_of"])]
    return {
        "row": number,
        **rows.named(look, market["estimator"], words.listed(below)),
        "low": _place(count["low"]),
        "high": top if count["high"] is None else _place(count["high"]),
        "open": count["high"] is None,
        "end": _place(count["low"] if count["high"] is None else count["high"]),
        "figure": words.figure(count),
        "least": share["low"],
        "most": share["high"],
        "unknown": anything or world,
        "told": not anything and not world,
        "any": anything and not world,
        "share": words.no_share if anything else words.percent(share),
        "says": _said(market, region, look),
        "evidence": sorted({*region["evidence"]["count"], *region["evidence"]["share"]}),
        **({"more": region["evidence"]["more"]} if region["evidence"]["more"] else {}),
    }


def _said(market: Row, region: Row, look: Look) -> str:
    words = look.words
    share = region["share"]
    parts = [words.said(words.term(market["unit"]), words.bounds(region["count"]))]
    if region["region"] != WORLD:
        parts.append(
            words.no_share
            if share["low"] == 0 and share["high"] == WHOLE
            else words.said(words.share, words.percent(share))
        )
    if market.get("perhaps"):
        parts.append(words.perhaps)
    of = words.listed([market["estimator"], words.day(market["as_of"]), words.term(region["region"])])
    return words.said(of, words.listed(parts))


def _told(found: list[tuple[Row, Row]], look: Look) -> Iterator[str]:
    if not found:
        yield look.words.nothing
    for market, region in found[-MOST:]:
        yield _said(market, region, look)
    if len(found) > MOST:
        yield look.words.earliest.format(n=len(found) - MOST)
    told: list[str] = []
    for market, _ in found:
        told += [text for text in told_contradictions(market, look) if text not in told]
    yield from told
