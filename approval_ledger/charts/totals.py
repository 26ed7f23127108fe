"""The chart of totals: for each that is counted, a staircase of the figures that the reports allow from day to day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise
from math import inf
from typing import Any

from projections import Answer, terms

from .reports import Report
from .theme import (
    SANS,
    Look,
    Specification,
    axis_of_days,
    clipped,
    contradicting,
    diamond,
    ends_of_days,
    fading,
    framed,
    legend,
    nothing,
    ticks_of_counts,
    told_contradictions,
    with_data,
    wrapped,
)

PANELS = 8
HIGH = 170  # pixels: the panel of what has the most steps
LOW = 110
ROOM = 1.12  # of the highest figure
AXIS = 56  # pixels left of the panels, for
EXTENT = 38  # labels
ALONE = 9  # pixels of a figure that is of one day
TEXT_STEPS = 24  # steps that the text alternative tells

Row = dict[str, Any]


def totals(answer: Answer, look: Look, reports: Mapping[int, Report]) -> Specification:
    """Of an answer with steps. `reports` are those of `in_conflict`."""
    counted = sorted(_once(answer["answers"]), key=lambda found: -len(found["steps"]))
    drawn = [found for found in counted if found["steps"]][:PANELS]
    note = look.words.totals_note
    if more := len(counted) - len(drawn):
        note += look.words.list_separator + look.words.more.format(n=more)
    body: Mapping[str, Any] = nothing(look)
    if drawn:
        days = [day for found in drawn for day in (*_days(found), found["as_of"].split("/")[-1])]
        # A mark beyond the axis would stretch it, by decades where somebody asks for a day long ago, with a tick for every day.
        within = {
            position: report for position, report in reports.items() if str(report.on.last) <= max(days)
        }
        marked = any(_marked(found, look, within) for found in drawn)
        panels = [
            _panel(found, look, within, (min(days), max(days)), height=LOW if index else HIGH, marked=marked)
            for index, found in enumerate(drawn)
        ]
        body = {"vconcat": panels, "resolve": {"scale": {"color": "shared"}}}
    return framed(
        look,
        answer,
        title=look.words.totals_title,
        note=note,
        description=look.words.sentences(_told(answer, look)),
        body=body,
    )


def _once(answers: list[Row]) -> Iterator[Row]:
    """Terms that are one have one figure, and one panel."""
    drawn: set[str] = set()
    for found in answers:
        if terms.written(found) not in drawn:
            yield found
        drawn.update(other["terms"] for other in found.get("equated", []))


def _days(found: Row) -> list[str]:
    return [step["on"] for step in found["steps"]]


def _panel(
    found: Row,
    look: Look,
    reports: Mapping[int, Report],
    days: tuple[str, str],
    *,
    height: int,
    marked: bool,
) -> Specification:
    top = _top(found, reports)
    apart = _apart(days, look.room - AXIS)
    spans = list(_spans(found, _told_apart(found["steps"], apart), days[1], top, look))
    line = _to_the_end(spans, found)
    return {
        "title": _panel_title(found, look),
        "width": look.room - AXIS,
        "height": height,
        "encoding": {
            "x": axis_of_days(look, *days, look.room - AXIS),
            "y": {
                "type": "quantitative",
                "scale": {"domain": [0, top], "nice": False},
                "axis": {
                    "title": None,
                    "format": ",d",
                    **ticks_of_counts(top, 4),
                    "minExtent": EXTENT,
                    "maxExtent": EXTENT,
                },
            },
            "tooltip": {"field": "says", "type": "nominal"},
        },
        "layer": with_data(
            ends_of_days(*days),
            _possible([span for span in spans if not span["open"]], look),
            _unbounded(_joined([span for span in spans if span["open"]]), look),
            _known(line, look, "named", "low", "undisclosed"),
            _known(line, look, "zero", "named", "named"),
            *([_alone(found, top, look, days)] if found["steps"][-1]["on"] == days[1] else []),
            _floor(line, look),
            _columns(spans, top),
            _certain(found, look, apart, top / height),
            _contradictions(_marked(found, look, reports), look, marked=marked),
        ),
    }


def _filled(look: Look, colour: str) -> Row:
    names = ("named", "undisclosed", "possible")
    return {"type": "nominal", "datum": getattr(look.words, colour)} | legend(look, names)


def _possible(spans: list[Row], look: Look) -> Specification:
    """What a figure may be between two days: a box, which the staircase enters low and leaves high."""
    return {
        "data": {"values": spans},
        "mark": {"type": "rect"},
        "encoding": {
            "x": {"field": "from"},
            "x2": {"field": "to"},
            "y": {"field": "low"},
            "y2": {"field": "high"},
            "color": _filled(look, "possible"),
        },
    }


def _unbounded(spans: list[Row], look: Look) -> Specification:
    return {
        "data": {"values": spans},
        "mark": {"type": "rect", "color": fading(look.colours.possible, to="top")},
        "encoding": {
            "x": {"field": "from"},
            "x2": {"field": "to"},
            "y": {"field": "low"},
            "y2": {"field": "high"},
        },
    }


def _joined(spans: list[Row]) -> list[Row]:
    """Boxes side by side of one height as one, for they show seams."""
    found: list[Row] = []
    for span in spans:
        if found and found[-1]["low"] == span["low"] and found[-1]["to"] == span["from"]:
            found[-1] = {**found[-1], "to": span["to"]}
        else:
            found.append(span)
    return found


def _known(line: list[Row], look: Look, low: str, high: str, colour: str) -> Specification:
    """What there is at least: one area, for boxes side by side show seams."""
    return {
        "data": {"values": line},
        "mark": {"type": "area", "interpolate": "step-after"},
        "encoding": {
            "x": {"field": "from"},
            "y": {"field": low},
            "y2": {"field": high},
            "color": _filled(look, colour),
        },
    }


def _to_the_end(spans: list[Row], found: Row) -> list[Row]:
    """The spans, and where the last of them ends: no lower than the last figure, which may be of that very day."""
    last = found["steps"][-1]
    low = last["total"]["low"]
    end = {"low": low, "named": min(last["named"], low)}
    return [*spans, *({**span, "from": span["to"], **end} for span in spans[-1:])]


def _alone(found: Row, top: float, look: Look, days: tuple[str, str]) -> Specification:
    """The figure of the last day, where it is not certain: no box has it. It ends where the boxes do, if there are other days."""
    step = found["steps"][-1]
    total = step["total"]
    unbounded = total["high"] is None
    colour = {} if unbounded else {"color": _filled(look, "possible")}
    fades = {"color": fading(look.colours.possible, to="top")} if unbounded else {}
    before = {"xOffset": -ALONE / 2} if days[0] < days[1] else {}
    row = {
        "on": step["on"],
        "low": total["low"],
        "high": top if unbounded else total["high"],
        "says": look.words.said(look.words.day(step["on"]), look.words.bounds(total)),
        **_because(found, step),
    }
    return {
        "data": {"values": [row] if total["low"] != total["high"] else []},
        "mark": {"type": "bar", "width": ALONE, "cursor": "pointer", **fades, **before},
        "encoding": {"x": {"field": "on"}, "y": {"field": "low"}, "y2": {"field": "high"}, **colour},
    }


def _columns(spans: list[Row], top: float) -> Specification:
    """A column for each span, which nobody sees: what is pointed at."""
    return {
        "data": {"values": [{**span, "top": top} for span in spans]},
        "mark": {"type": "rect", "opacity": 0, "cursor": "pointer"},
        "encoding": {
            "x": {"field": "from"},
            "x2": {"field": "to"},
            "y": {"field": "zero"},
            "y2": {"field": "top"},
        },
    }


def _top(found: Row, reports: Mapping[int, Report]) -> float:
    """Where the panel ends: a little above the highest figure that is bounded."""
    figures: list[int | None] = [1]
    for step in found["steps"]:
        figures += [*step["total"].values(), step["named"]]
    for contradiction in found["contradictions"]:
        for position in contradiction["events"]:
            if position in reports and (total := reports[position].total) is not None:
                figures += [total.low, total.high]
    return ROOM * max(figure for figure in figures if figure is not None)


def _apart(days: tuple[str, str], width: int) -> float:
    """How many days are half a pixel, on an axis from the first of these to the last."""
    first, last = map(_ordinal, days)
    return (last - first) / (2 * width)


def _ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def _told_apart(steps: list[Row], apart: float) -> list[Row]:
    """The steps without those that lie `apart` from none: of some within half a pixel the first and the last, and what is not
    between these two. 10,000 of them took 14 s to draw."""
    kept = steps[:1]
    for step, then in pairwise(steps[1:]):
        if _ordinal(then["on"]) - _ordinal(kept[-1]["on"]) >= apart or not _rises(kept[-1], step, then):
            kept.append(step)
    return kept + steps[1:][-1:]


def _rises(*steps: Row) -> bool:
    """Whether no figure of these is lower than before: then what is in the middle is between the others."""
    lows = [step["total"]["low"] for step in steps]
    highs = [inf if step["total"]["high"] is None else step["total"]["high"] for step in steps]
    named = [step["named"] for step in steps]
    return all(figures == sorted(figures) for figures in (lows, highs, named))


def _spans(found: Row, steps: list[Row], end: str, top: float, look: Look) -> Iterator[Row]:
    """The figures from each of these steps to the next: no lower than at the one, no higher than at the other."""
    last = steps[-1]
    nobody_knows: Row = {"on": end, "total": {"low": last["total"]["low"], "high": None}}
    for step, then in pairwise([*steps, nobody_knows] if last["on"] < end else steps):
        low, high = step["total"]["low"], then["total"]["high"]
        days = look.words.range.format(low=look.words.day(step["on"]), high=look.words.day(then["on"]))
        yield {
            "from": step["on"],
            "to": then["on"],
            "zero": 0,
            "low": low,
            "high": top if high is None else high,
            "open": high is None,
            "named": min(step["named"], low),  # reports in conflict may name more than there surely are
            "says": look.words.said(days, look.words.bounds({"low": low, "high": high})),
            **_because(found, step),
        }


def _because(found: Row, step: Row) -> Row:
    """The evidence of a figure; where not all of it is listed, how much `more` there is, and what it is `of`, so that a reader
    can ask for all."""
    evidence = step["evidence"]
    listed: Row = {"evidence": sorted({*evidence["low"], *evidence["high"]})}
    if not evidence["more"]:
        return listed
    return listed | {
        "more": evidence["more"],
        "of": ["totals", found["authority"], found["instrument"], found["unit"], step["on"]],
    }


def _floor(line: list[Row], look: Look) -> Specification:
    """The step line along the lowest figure."""
    return {
        "data": {"values": line},
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5, "color": look.colours.ink},
        "encoding": {"x": {"field": "from"}, "y": {"field": "low"}},
    }


def _certain(found: Row, look: Look, apart: float, step_of_pixel: float) -> Specification:
    """A dot on each day on which the figure is certain; one for those that are less than half a pixel from each other, both ways."""
    certain = (step for step in found["steps"] if step["total"]["low"] == step["total"]["high"])
    dots: dict[tuple[float, float], Row] = {}
    for step in certain:
        x, y = _ordinal(step["on"]) // max(1, apart), step["total"]["low"] // (step_of_pixel / 2)
        dots.setdefault((x, y), step)
    rows = [
        {
            "on": step["on"],
            "total": step["total"]["low"],
            "says": look.words.said(look.words.day(step["on"]), look.words.bounds(step["total"])),
            **_because(found, step),
        }
        for step in dots.values()
    ]
    return {
        "data": {"values": rows},
        "mark": {
            "type": "point",
            "filled": True,
            "size": 46,
            "opacity": 1,
            "color": look.colours.ink,
            "cursor": "pointer",
        },
        "encoding": {"x": {"field": "on"}, "y": {"field": "total"}},
    }


def _marked(found: Row, look: Look, reports: Mapping[int, Report]) -> list[Row]:
    """Each report in a contradiction, at the figure that it gives, or, where it gives none of the total, on the staircase."""
    return [
        {
            "on": str(report.on.last),
            "total": _low_at(found, str(report.on.last)) if report.total is None else report.total.low,
            "says": look.words.contradiction_of(contradiction),
            "evidence": contradiction["events"],
        }
        for contradiction in found["contradictions"]
        for position in contradiction["events"]
        if (report := reports.get(position)) is not None
    ]


def _contradictions(rows: list[Row], look: Look, *, marked: bool) -> Specification:
    """`marked` says whether any panel has one, for they share their legend."""
    return {
        "data": {"values": rows},
        "mark": diamond(),
        "encoding": {
            "x": {"field": "on"},
            "y": {"field": "total"},
            "stroke": contradicting(look, shown=marked),
        },
    }


def _low_at(found: Row, day: str) -> int:
    before = [step["total"]["low"] for step in found["steps"] if step["on"] <= day]
    return before[-1] if before else 0


def _panel_title(found: Row, look: Look) -> Row:
    words = look.words
    figure = words.total_by.format(figure=words.bounds(found["total"]), day=words.day(found["as_of"]))
    also = [words.equated.format(terms=other["terms"]) for other in found.get("equated", [])]
    text = words.said(words.listed([words.counted(found), *also]), figure)
    return {
        "text": wrapped(clipped(text, 2 * look.room, 13), look.room, 13),
        "font": SANS,
        "fontSize": 13,
        "lineHeight": 18,
        "frame": "group",
        "dx": -AXIS,
        "offset": 8,
    }


def _changes(steps: list[Row]) -> list[Row]:
    """The days on which the figure is another than on the day before: 24 of 75 days had said `0 to 346`, and none what came then."""
    return [*steps[:1], *(step for before, step in pairwise(steps) if step["total"] != before["total"])]


def _told(answer: Answer, look: Look) -> Iterator[str]:
    words = look.words
    if not answer["answers"]:
        yield words.nothing
    for found in answer["answers"]:
        figure = words.total_by.format(figure=words.bounds(found["total"]), day=words.day(found["as_of"]))
        named = words.and_named.format(named=f"{found['named']:,}")
        doubt = [words.more_named] if found["named"] > found["total"]["low"] else []
        yield words.said(words.counted(found), words.listed([figure, named, *doubt]))
        changes = _changes(found["steps"])
        steps = [
            words.said(words.day(step["on"]), words.bounds(step["total"])) for step in changes[:TEXT_STEPS]
        ]
        if len(changes) > TEXT_STEPS:
            steps.append(words.more_days.format(n=len(changes) - TEXT_STEPS))
        yield words.said(words.steps, words.semicolon.join(steps))
        yield from told_contradictions(found, look)
