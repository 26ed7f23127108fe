"""The chart of batches: for each, the sizes that its reports allow, and how many of its approvals are known by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from projections import Answer

from . import rows
from .theme import (
    Look,
    Specification,
    contradicting,
    diamond,
    extent,
    framed,
    nothing,
    told_contradictions,
    with_data,
)

MOST = 40  # rows, of the latest days
STEP = 44  # pixels a row
MARK = 8  # pixels from the middle of a contradiction's mark to where text may begin

Row = dict[str, Any]


def batches(answer: Answer, look: Look) -> Specification:
    """One row for each batch, in the order of the days on which they were announced."""
    listed = sorted(answer["answers"], key=_announced)
    note = look.words.batches_note
    if len(listed) > MOST:
        note += look.words.list_separator + look.words.earliest.format(n=len(listed) - MOST)
    return framed(
        look,
        answer,
        title=look.words.batches_title,
        note=note,
        description=look.words.sentences(_told(listed, look)),
        body=_body(listed[-MOST:], look) if listed else nothing(look),
        beside=rows.side(look),
    )


def _announced(batch: Row) -> tuple[str, str, int]:
    return min(batch["announced_on"], default="9999"), batch["authority"], batch["ordinal"] or 0


def _body(batches: list[Row], look: Look) -> Mapping[str, Any]:
    width = look.room - rows.side(look)
    drawn = [bound for batch in batches for bound in _figures(batch) if bound is not None]
    top = max(1, *drawn) * rows.ROOM
    return {
        "width": width,
        "height": {"step": STEP},
        "data": {
            "values": [_row(number, batch, look, top, width / top) for number, batch in enumerate(batches)]
        },
        "encoding": {
            "y": rows.by_row(len(batches)),
            "x": rows.counts(top, width),
            "tooltip": {"field": "says", "type": "nominal"},
        },
        "layer": with_data(
            *rows.ranges(look, "low", "high"),
            rows.bar("zero", "low", 18, rows.explained(look, "undisclosed")),
            rows.bar("zero", "named", 8, rows.explained(look, "named")),
            *rows.names(look),
            rows.figures("end"),
            _alone(batches, look),
        ),
    }


def _figures(batch: Row) -> Iterator[int | None]:
    yield from (batch["size"]["low"], batch["size"]["high"])
    for contradiction in batch["contradictions"]:
        for alone in contradiction["alone"]:
            yield from (alone["size"]["low"], alone["size"]["high"])


def _row(number: int, batch: Row, look: Look, top: float, pixels: float) -> Row:
    """`pixels` is the width of one approval."""
    words = look.words
    size = batch["size"]
    return {
        "row": number,
        **rows.named(look, _called(batch, look), words.counted(batch)),
        "zero": 0,
        "low": size["low"],
        "high": top if size["high"] is None else size["high"],
        "open": size["high"] is None,
        "named": min(batch["named"], size["low"]),  # reports in conflict may name more than there surely are
        "end": _end(batch, words.figure(size), pixels),
        "figure": words.figure(size),
        "says": _said(batch, look),
        **_because(batch),
    }


def _end(batch: Row, written: str, pixels: float) -> int:
    """Where the figure is written: at the end of the bar, or after the marks of contradictions that would be in its way."""
    size = batch["size"]
    end: int = size["low"] if size["high"] is None else size["high"]
    for mark in sorted(alone["size"]["low"] for each in batch["contradictions"] for alone in each["alone"]):
        if end < mark < end + (rows.BESIDE + extent(written, 12) + MARK) / pixels:
            end = mark
    return end


def _because(batch: Row) -> Row:
    """The evidence for its size. If not all of it is listed, also how much `more` there is, and which figure it is `of`."""
    evidence = batch["evidence"]["size"]
    listed: Row = {"evidence": sorted({*evidence["low"], *evidence["high"]})}
    if not evidence["more"]:
        return listed
    told = ("authority", "instrument", "unit", "ordinal", "label")
    return listed | {"more": evidence["more"], "of": ["batches", *(batch.get(part) for part in told)]}


def _called(batch: Row, look: Look) -> str:
    words = look.words
    days = [words.day(day) for day in batch["announced_on"][:1]] or [words.no_date]
    return words.listed([words.batch_called(batch), *days])


def _said(batch: Row, look: Look) -> str:
    words = look.words
    parts = [words.bounds(batch["size"]), words.and_named.format(named=f"{batch['named']:,}")]
    if batch["named"] > batch["size"]["low"]:
        parts.append(words.more_named)
    parts.append(words.before.format(figure=words.bounds(batch["before"])))
    if batch.get("perhaps"):
        parts.append(words.perhaps)
    return words.said(words.listed([words.counted(batch), _called(batch, look)]), words.listed(parts))


def _alone(batches: list[Row], look: Look) -> Specification:
    """Marks for the size on the word of each origin alone, if they contradict one another."""
    words = look.words
    found = [
        {
            "row": number,
            "size": alone["size"]["low"],
            "says": words.said(
                words.contradiction,
                words.on_the_word_of(alone["origin"], alone["size"]),
            ),
            "evidence": contradiction["events"],
        }
        for number, batch in enumerate(batches)
        for contradiction in batch["contradictions"]
        for alone in contradiction["alone"]
    ]
    return {
        "data": {"values": found},
        "mark": diamond(),
        "encoding": {"x": {"field": "size"}, "stroke": contradicting(look, shown=bool(found))},
    }


def _told(batches: list[Row], look: Look) -> Iterator[str]:
    words = look.words
    if not batches:
        yield words.nothing
    for batch in batches[-MOST:]:
        yield _said(batch, look)
        yield from told_contradictions(batch, look)
    if len(batches) > MOST:
        yield words.earliest.format(n=len(batches) - MOST)
