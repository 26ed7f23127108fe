"""The chart of batches: the sizes that the reports of each allow, and how many of it are known by name."""

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
MARK = 8  # pixels from the middle of a mark of a contradiction to where text may be

Row = dict[str, Any]


def batches(answer: Answer, look: Look) -> Specification:
    """A row a batch, by the day on which it was announced."""
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
    """`pixels` are those of one approval."""
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
    """Where the figure is written: where the bar ends, or else after marks of contradictions that are in its way."""
    size = batch["size"]
    end: int = size["low"] if size["high"] is None else size["high"]
    for mark in sorted(alone["size"]["low"] for each in batch["contradictions"] for alone in each["alone"]):
        if end < mark < end + (rows.BESIDE + extent(written, 12) + MARK) / pixels:
            end = mark
    return end


def _because(batch: Row) -> Row:
    """The evidence of its size; where not all of it is listed, how much `more` there is, and what it is `of`."""
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
    """The size on the word of each origin alone, where they contradict one another."""
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
