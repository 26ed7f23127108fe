"""Charts of rows: a name at the side of each, and bars that say at least and at most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .theme import Look, Specification, clipped, fading, legend, ticks_of_counts

Row = dict[str, Any]

SIDE = 230  # pixels, at most, of the names at the side
NARROW_SIDE = 150
FILLED = ("named", "undisclosed", "possible")
BESIDE = 12  # pixels from the end of a bar to its figure
ROOM = 1.2  # of the highest figure: what stands at the end of a bar has room


def side(look: Look) -> int:
    """How many pixels of the width the names at the side have."""
    return min(SIDE, max(NARROW_SIDE, look.room * 2 // 5))


def names(look: Look) -> list[Specification]:
    """The `name` of each row, and its `below`. Text marks, for an axis would make one row of two of the same name."""
    mark = {"type": "text", "align": "right", "baseline": "middle"}
    return [
        {
            "mark": {**mark, "dy": -7, "fontSize": 13},
            "encoding": {"x": {"value": -12}, "text": {"field": "name", "type": "nominal"}},
        },
        {
            "mark": {**mark, "dy": 8, "fontSize": 11, "color": look.colours.muted},
            "encoding": {"x": {"value": -12}, "text": {"field": "below", "type": "nominal"}},
        },
    ]


def named(look: Look, name: str, below: str) -> Row:
    """What `names` writes, as much of it as has room."""
    width = side(look) - 12
    return {"name": clipped(name, width, 13), "below": clipped(below, width, 11)}


def ranges(look: Look, low: str, high: str, names: Iterable[str] = FILLED) -> list[Specification]:
    """The bar from the lowest to the highest figure of rows; those that are `open` fade out to the right."""
    closed = bar(low, high, 18, explained(look, "possible", names)) | {
        "transform": [{"filter": "!datum.open"}]
    }
    unbounded = bar(low, high, 18) | {"transform": [{"filter": "datum.open"}]}
    unbounded["mark"]["color"] = fading(look.colours.possible, to="right")
    return [closed, unbounded]


def bar(low: str, high: str, height: int, colour: Mapping[str, Any] | None = None) -> Specification:
    """A bar of each row, from one field to the other."""
    return {
        "mark": {"type": "bar", "height": height, "cursor": "pointer"},
        "encoding": {"x": {"field": low}, "x2": {"field": high}, **({"color": colour} if colour else {})},
    }


def explained(look: Look, colour: str, names: Iterable[str] = FILLED) -> dict[str, Any]:
    """The encoding of a colour that the legend explains, which has all of `names`."""
    return {"type": "nominal", "datum": getattr(look.words, colour), **legend(look, names)}


def figures(at: str) -> Specification:
    """The `figure` of each row in words, where its bar ends."""
    return {
        "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": BESIDE},
        "encoding": {"x": {"field": at}, "text": {"field": "figure", "type": "nominal"}},
    }


def by_row(number: int) -> dict[str, Any]:
    """So many rows stand as they are numbered, from 0 on."""
    return {"field": "row", "type": "ordinal", "axis": None, "scale": {"domain": list(range(number))}}


def counts(top: float, width: int) -> dict[str, Any]:
    """The axis of counts from 0 to `top`."""
    return {
        "type": "quantitative",
        "scale": {"domain": [0, top], "nice": False},
        "axis": {
            "title": None,
            "grid": True,
            "domain": False,
            "ticks": False,
            "format": ",d",
            **ticks_of_counts(top, max(2, width // 100)),
        },
    }
