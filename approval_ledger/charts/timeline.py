"""The chart of one company: the reports about it under all its names, in the order of the days that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from events import date_range
from projections import Answer

from . import rows
from .theme import Look, Specification, axis_of_days, ends_of_days, framed, nothing, with_data

MOST = 60  # rows, of the latest days
STEP = 40  # pixels a row

Row = dict[str, Any]


def timeline(answer: Answer, look: Look) -> Specification:
    """The chart of an answer about one company, or about all companies that have the name that was asked for."""
    entries = sorted(_entries(answer, look), key=lambda entry: (entry["from"], entry["position"]))
    words = look.words
    first = answer["answers"][0]
    company = (
        first["names"][0] if first["names"] else first["company"]
    )  # a record that only a merger mentions has no names
    others = [name for found in answer["answers"] for name in found["names"] if name != company]
    drawn, undated = entries[-MOST:], _undated(answer)
    told, notes = [entry["says"] for entry in drawn], [words.timeline_note]
    if others:
        notes.insert(0, words.also_called.format(names=words.listed(others)))
    if len(entries) > MOST:
        told.append(words.earliest.format(n=len(entries) - MOST))
        notes[-1] += words.list_separator + told[-1]
    if undated:
        told.append(words.undated.format(n=undated))
        notes.append(told[-1])
    return framed(
        look,
        answer,
        title=words.timeline_title.format(company=company),
        note=words.sentences(notes) if len(notes) > 1 else notes[0],
        description=words.sentences(told or [words.nothing]),
        body=_body(drawn, look) if drawn else nothing(look, *told),
    )


def _entries(answer: Answer, look: Look) -> Iterator[Row]:
    for found in answer["answers"]:
        for entry in found["history"]:
            yield from _of_entry(entry, look)
        for merge in found["merges"]:
            merged = look.words.merged.format(a=merge["from"], b=merge["into"])
            yield _row(merge, merge["on"], "merged", merged, look)


def _of_entry(entry: Row, look: Look) -> Iterator[Row]:
    words = look.words
    match entry["kind"]:
        case "used":
            users = words.users.format(item=entry["item"], figure=words.count(entry["users"]["reported"]))
            yield _row(entry, entry["as_of"], "used", users, look)
        case "named":
            batch = entry["batch"]
            yield _row(entry, batch["announced_on"], "named", look.words.batch_called(batch), look)
        case "granted":
            item = entry["item"]["name"]
            yield _row(entry, entry["approved_on"], "granted", item, look)
            yield from _changed(entry, item, look)
        case _:
            of = entry.get("registry_number") or entry.get("item", {}).get("name") or entry["instrument"]
            yield from _changed(entry, of, look)


def _changed(entry: Row, item: str, look: Look) -> Iterator[Row]:
    """A row for each change of an approval; one without a day has no place on the time axis."""
    for change in _changes(entry):
        if (on := _day(change)) is not None:
            yield _row(change, on, change["kind"], item, look)


def _changes(entry: Row) -> list[Row]:
    """The changes of an approval that an entry of a history is, or has."""
    itself = [] if entry["kind"] in ("used", "named", "granted") else [entry]
    return [*itself, *entry.get("later", [])]


def _day(change: Row) -> str | None:
    on: str | None = change.get("on") or change.get("amended_on")
    return on


def _undated(answer: Answer) -> int:
    """How many changes have no day."""
    histories = (entry for found in answer["answers"] for entry in found["history"])
    return sum(_day(change) is None for entry in histories for change in _changes(entry))


def _row(entry: Row, on: str, kind: str, what: str, look: Look) -> Row:
    words = look.words
    days = date_range(on)
    known = words.kinds[kind]
    publisher = entry["source"]["publisher"] if "source" in entry else ""
    doubt = words.perhaps if entry.get("perhaps") else ""
    return {
        "position": entry["position"],
        "from": str(days.first),
        "to": str(days.last),
        "exact": days.first == days.last,
        "what": what,
        "below": words.listed(text for text in (known, publisher, doubt) if text),
        "says": words.said(
            words.day(on), words.listed(text for text in (known, what, publisher, doubt) if text)
        ),
        "evidence": [entry["position"]],
    }


def _body(entries: list[Row], look: Look) -> Mapping[str, Any]:
    width = look.room - rows.side(look)
    values = [
        {**entry, "row": number, **rows.named(look, entry["what"], entry["below"])}
        for number, entry in enumerate(entries)
    ]
    days = min(entry["from"] for entry in entries), max(entry["to"] for entry in entries)
    ranged = {
        "data": {"values": [row for row in values if not row["exact"]]},
        "mark": {"type": "bar", "height": 10, "cursor": "pointer", "color": look.colours.undisclosed},
        "encoding": {"x": {"field": "from"}, "x2": {"field": "to"}},
    }
    exact = {
        "data": {"values": [row for row in values if row["exact"]]},
        "mark": {
            "type": "point",
            "filled": True,
            "size": 80,
            "opacity": 1,
            "cursor": "pointer",
            "color": look.colours.named,
        },
        "encoding": {"x": {"field": "from"}},
    }
    return {
        "width": width,
        "height": {"step": STEP},
        "data": {"values": values},
        "encoding": {
            "y": rows.by_row(len(values)),
            "x": axis_of_days(look, *days, width),
            "tooltip": {"field": "says", "type": "nominal"},
        },
        "layer": with_data(ends_of_days(*days), ranged, exact, *rows.names(look)),
    }
