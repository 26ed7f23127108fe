"""Charts of rows, each with a name at its side and bars from the lowest to the highest figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .theme import Look, Specification, clipped, fading, isolated, legend, ticks_of_counts

Row = dict[str, Any]

SIDE = 230  # pixels, at most, for the names at the side
NARROW_SIDE = 150
FILLED = ("named", "undisclosed", "possible")
BESIDE = 12  # pixels from the end of a bar to its figure
ROOM = 1.2  # of the highest figure, so that there is room for the figure at the end of a bar


def side(look: Look) -> int:
    """How many pixels of the width are for the names at the side."""
    return min(SIDE, max(NARROW_SIDE, look.room * 2 // 5))


def names(look: Look) -> list[Specification]:
    """The `name` of each row, and what is `below` it. These are text marks, because an axis would merge rows with the same name."""
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
    """What `names` writes, clipped to the room there is."""
    width = side(look) - 12
    return {"name": isolated(clipped(name, width, 13)), "below": isolated(clipped(below, width, 11))}


def ranges(look: Look, low: str, high: str, names: Iterable[str] = FILLED) -> list[Specification]:
    """The bars from the lowest to the highest figure of each row; those of rows that are `open` fade out to the right."""
    closed = bar(low, high, 18, explained(look, "possible", names)) | {
        "transform": [{"filter": "!datum.open"}]
    }
    unbounded = bar(low, high, 18) | {"transform": [{"filter": "datum.open"}]}
    unbounded["mark"]["color"] = fading(look.colours.possible, to="right")
    return [closed, unbounded]


def bar(low: str, high: str, height: int, colour: Mapping[str, Any] | None = None) -> Specification:
    """A bar for each row, from the field `low` to the field `high`."""
    return {
        "mark": {"type": "bar", "height": height, "cursor": "pointer"},
        "encoding": {"x": {"field": low}, "x2": {"field": high}, **({"color": colour} if colour else {})},
    }


def explained(look: Look, colour: str, names: Iterable[str] = FILLED) -> dict[str, Any]:
    """The encoding of a colour, with a legend that explains all of `names`."""
    return {"type": "nominal", "datum": getattr(look.words, colour), **legend(look, names)}


def figures(at: str) -> Specification:
    """The `figure` of each row, as text at the end of its bar, the field `at`."""
    return {
        "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": BESIDE},
        "encoding": {"x": {"field": at}, "text": {"field": "figure", "type": "nominal"}},
    }


def by_row(number: int) -> dict[str, Any]:
    """The vertical axis for this many rows, in the order of their numbers from 0 on."""
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
