"""How charts look: one theme, light and dark, and the frame that every chart has."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from projections import Answer

from .words import WORDS, Language, Words

Specification = dict[str, Any]
"""A Vega-Lite specification that includes its data, as JSON."""

Theme = Literal["light", "dark"]

VEGA_LITE = "6.4"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

NARROWEST, WIDEST = 320, 2_000  # pixels
WIDTH = 760
PADDING = 16
LEGEND = 580  # pixels that a legend on one line takes

BY_DAY = 90  # days, up to which an axis shows days; a longer one shows months
TICK = 100  # pixels from one tick to the next, at least
_DAY_STEPS = (("day", 1, 1), ("day", 2, 2), ("week", 1, 7), ("week", 2, 14), ("month", 1, 31))
_MONTH_STEPS = (("month", 1, 31), ("month", 2, 61), ("month", 3, 92), ("month", 6, 183), ("year", 1, 366))

# Letters that are written from right to left, with the spaces, digits and marks between them. The page has the same pattern.
_LETTER = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_RIGHT_TO_LEFT = re.compile(f"[{_LETTER}](?:[ .'’&_+\\-\u200c\u200d]?[{_LETTER}0-9])*")

MARGIN = 0.015  # of the length of the time axis, on either side

SANS = (
    '"Noto Sans", "Liberation Sans", "Helvetica Neue", Arial, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", '
    '"WenQuanYi Micro Hei", sans-serif'
)
SERIF = 'Georgia, "Noto Serif", "Liberation Serif", "Songti SC", "Noto Serif CJK SC", "WenQuanYi Micro Hei", serif'


@dataclass(frozen=True, slots=True)
class Colours:
    """Colours that people who cannot see red or green can tell apart, with enough contrast (WCAG 2.2: text 4.5, marks 3)."""

    paper: str
    ink: str
    muted: str
    grid: str
    named: str
    undisclosed: str
    possible: str
    contradiction: str


COLOURS: dict[Theme, Colours] = {
    "light": Colours(
        paper="#fffdf9",
        ink="#1c1b1a",
        muted="#5f5b55",
        grid="#e4dfd6",
        named="#17486b",
        undisclosed="#6f9cbd",
        possible="#c9dbe8",
        contradiction="#b3261e",
    ),
    "dark": Colours(
        paper="#16181b",
        ink="#ece9e3",
        muted="#a9a59d",
        grid="#34373c",
        named="#8ec3ee",
        undisclosed="#4f83ac",
        possible="#2c4961",
        contradiction="#ff8f7d",
    ),
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a chart looks: its language, its colours, and its width in pixels."""

    words: Words
    colours: Colours
    width: int

    @classmethod
    def of(cls, language: Language = "en", theme: Theme = "light", width: int = WIDTH) -> Look:
        return cls(WORDS[language], COLOURS[theme], width)

    @property
    def room(self) -> int:
        """The width inside the padding."""
        return self.width - 2 * PADDING


def framed(
    look: Look,
    answer: Answer,
    *,
    title: str,
    note: str,
    description: str,
    body: Mapping[str, Any],
    beside: int = 0,
) -> Specification:
    """A whole chart: its title, a note on what it shows, the ledger and position, and a description in words. `beside` is how many
    pixels left of the plot its legend cannot use."""
    below = [*wrapped(note, look.room, 13), *wrapped(_provenance(answer, look.words), look.room, 13)]
    return {
        "$schema": SCHEMA,
        "description": description,
        "title": {"text": wrapped(title, look.room, 20), "subtitle": below},
        "background": look.colours.paper,
        "padding": PADDING,
        "config": _config(look, look.room - beside),
        **body,
    }


def nothing(look: Look, says: str = "") -> Mapping[str, Any]:
    """The body of a chart that has nothing to draw, which says so, or why."""
    return {
        "data": {"values": [{"says": says or look.words.nothing}]},
        "width": look.room,
        "height": 60,
        "mark": {"type": "text", "fontSize": 14},
        "encoding": {"text": {"field": "says"}},
    }


def fading(colour: str, *, to: Literal["top", "right"]) -> dict[str, Any]:
    """A fill that fades out, for figures without an upper bound."""
    ends = {"x1": 0, "y1": 1, "x2": 0, "y2": 0} if to == "top" else {"x1": 0, "y1": 0, "x2": 1, "y2": 0}
    return {
        "gradient": "linear",
        **ends,
        "stops": [{"offset": 0, "color": colour}, {"offset": 1, "color": f"{colour}00"}],
    }


def legend(look: Look, names: Iterable[str]) -> dict[str, Any]:
    """The scale and the legend of the fills that are drawn; `names` are fields of both Colours and Words."""
    drawn = list(names)
    return {
        "scale": {
            "domain": [getattr(look.words, name) for name in drawn],
            "range": [getattr(look.colours, name) for name in drawn],
        },
        "legend": {"symbolType": "square", "symbolStrokeWidth": 0, "title": None},
    }


def with_data(*layers: Specification) -> list[Specification]:
    """The layers that have something to draw: for layers without data, Vega warns the reader."""
    return [layer for layer in layers if "data" not in layer or layer["data"]["values"]]


def axis_of_days(look: Look, first: str, last: str, width: int) -> dict[str, Any]:
    """The time axis. It is in UTC, so that a day is the same day wherever the chart is read."""
    days = (date.fromisoformat(last) - date.fromisoformat(first)).days
    by_day = days <= BY_DAY
    return {
        "type": "temporal",
        "scale": {"type": "utc", "nice": False, "padding": 0},  # the same for panels with and without bars
        "axis": {
            "title": None,
            "format": look.words.day_axis if by_day else look.words.month_axis,
            "labelOverlap": True,
            "tickCount": _ticks(days, max(2, width // TICK), by_day=by_day),
        },
    }


def ticks_of_counts(top: float, most: int) -> dict[str, Any]:
    """About `most` ticks for an axis of counts from 0 to `top`, each at a whole number. If `top` is smaller than `most`, Vega would add
    ticks at halves and fifths, which would be labelled as whole numbers."""
    return {"values": list(range(int(top) + 1))} if top < most else {"tickCount": most}


def _ticks(days: int, most: int, *, by_day: bool) -> dict[str, Any]:
    """The step for an axis of this many `days` with about `most` ticks at most. Vega's own choice may be shorter than what labels show,
    so that two ticks would have the same label."""
    steps = _DAY_STEPS if by_day else _MONTH_STEPS
    fitting = (step for step in steps if days / step[2] <= most)
    interval, step, length = next(fitting, steps[-1])
    if interval == "year":
        step *= max(1, -(-days // (length * most)))
    return {"interval": interval, "step": step}


def ends_of_days(first: str, last: str) -> Specification:
    """Makes that axis reach from a little before the first day to a little after the last, so that marks on these days are not cut
    off: by two invisible marks, because Vega-Lite warns if a domain is given for x and x2."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    margin = max(timedelta(1), (end - start) * MARGIN)
    before, after = max(start, date.min + margin) - margin, min(end, date.max - margin) + margin
    return {
        "data": {"values": [{"end": str(before)}, {"end": str(after)}]},
        "mark": {"type": "point", "opacity": 0},
        "encoding": {"x": {"field": "end"}, "y": {"value": 0}, "tooltip": {"value": None}},
    }


def diamond() -> dict[str, Any]:
    """The mark of a report that contradicts others."""
    return {
        "type": "point",
        "shape": "diamond",
        "filled": False,
        "size": 130,
        "strokeWidth": 2.2,
        "opacity": 1,
        "cursor": "pointer",
    }


def contradicting(look: Look, *, shown: bool) -> dict[str, Any]:
    """The stroke of that mark, with a legend if any is `shown`."""
    return {
        "datum": look.words.contradiction,
        "type": "nominal",
        "scale": {"domain": [look.words.contradiction], "range": [look.colours.contradiction]},
        "legend": {
            "title": None,
            "symbolType": "diamond",
            "symbolFillColor": "transparent",
            "symbolStrokeWidth": 2,
        }
        if shown
        else None,
    }


def told_contradictions(found: Mapping[str, Any], look: Look) -> Iterator[str]:
    """Each contradiction of an entry (`found`) of an answer, in words."""
    for contradiction in found["contradictions"]:
        yield look.words.contradiction_of(contradiction)


def isolated(text: str) -> str:
    """A text as it is drawn, in which a name that is written from right to left does not take the figure beside it to its other side."""
    return _RIGHT_TO_LEFT.sub("\u2068\\g<0>\u2069", text)


def wrapped(text: str, width: float, size: int) -> list[str]:
    """The lines of a text in a font of `size` pixels, none of them much wider than `width` pixels."""
    lines, line, used = [], "", 0.0
    for word in _words(text):
        wide = extent(word, size)
        if line and used + wide > width:
            lines.append(line.rstrip())
            line, used = "", 0.0
        line, used = line + word, used + wide
    return [isolated(line) for line in [*lines, line.rstrip()]]


def _words(text: str) -> list[str]:
    """The parts of a text after which a line may end: after a space, and after each character that is as wide as it is high."""
    words = [""]
    for character in text:
        words[-1] += character
        if character == " " or _wide(character):
            words.append("")
    return [word for word in words if word]


def extent(text: str, size: int) -> float:
    """About how many pixels wide a text is in a font of `size` pixels."""
    return sum(size if _wide(character) else size * 0.52 for character in text)


def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def clipped(text: str, width: float, size: int) -> str:
    """As much of a text as fits into `width` pixels, with an ellipsis if that is not all of it."""
    if extent(text, size) <= width:
        return text
    kept, used = "", float(size)
    for character in text:
        used += extent(character, size)
        if used > width:
            break
        kept += character
    return kept.rstrip() + "…"


def _provenance(answer: Answer, words: Words) -> str:
    known = answer.get("known_at")
    by_publication = answer.get("known_as") == "published"
    parts = [words.provenance.format(ledger=answer["ledger"], position=answer["position"])]
    if "valid_at" in answer:
        parts.append(words.valid_at.format(day=words.day(answer["valid_at"])))
    if known is not None:
        said = words.known_as_published if by_publication else words.known_at
        parts.append(said.format(known=words.known(known)))
    return words.listed(parts)


def _config(look: Look, room: int) -> dict[str, Any]:
    colours, narrow = look.colours, room < LEGEND
    return {
        "font": SANS,
        "view": {"stroke": None},
        "concat": {"spacing": 28},
        "title": {
            "anchor": "start",
            "frame": "bounds",
            "font": SERIF,
            "fontSize": 20,
            "fontWeight": "bold",
            "color": colours.ink,
            "lineHeight": 25,
            "subtitleFont": SANS,
            "subtitleFontSize": 13,
            "subtitleColor": colours.muted,
            "subtitleLineHeight": 18,
            "subtitlePadding": 6,
            "offset": 14,
        },
        "axis": {
            "labelColor": colours.muted,
            "labelFontSize": 12,
            "titleColor": colours.muted,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "gridColor": colours.grid,
            "domainColor": colours.muted,
            "tickColor": colours.muted,
        },
        "axisX": {"grid": False, "labelFlush": True},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 8},
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "labelColor": colours.ink,
            "labelFontSize": 12,
            "labelLimit": 400,
            "columnPadding": 14,
            "columns": 1 if narrow else 0,
            "layout": {"top": {"direction": "vertical" if narrow else "horizontal"}},
        },
        "text": {"color": colours.ink, "fontSize": 12},
        "rule": {"color": colours.muted},
    }
