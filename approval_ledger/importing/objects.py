"""JSON: an array of objects, or an object with one such array, as a table whose titles are the keys."""

from __future__ import annotations

import json
from typing import Any

from events import InvalidEvent, loads

from .tables import BadTable, Budget, Table


def read(text: str, encoding: str) -> list[Table]:
    """The one table of a JSON text. Raises BadTable."""
    objects, name = _objects(_parsed(text))
    titles = list(dict.fromkeys(key for entry in objects for key in entry))
    budget = Budget()
    rows = [budget.row(0, titles)]
    for number, entry in enumerate(objects, start=1):
        cells = [_text(entry.get(title)) for title in titles]
        faults = tuple(
            (index, "holds an object or a list, not text")
            for index, title in enumerate(titles)
            if isinstance(entry.get(title), dict | list)
        )
        rows.append(budget.row(number, cells, faults))
    return [Table(1, tuple(rows), name, about=f"JSON, {encoding}; row 0 is its keys")]


def _parsed(text: str) -> Any:
    try:
        loads(text)
    except InvalidEvent as error:
        if "Extra data" in str(error) and text.lstrip().startswith("{"):
            raise BadTable(
                "is one JSON object after another (NDJSON): write an array, with [ before the first, a comma between two, "
                "and ] after the last. Nothing was stored."
            ) from None
        raise BadTable(f"cannot be read as JSON: {_where(text)}{error}") from None
    return _as_written(text)


def _as_written(text: str) -> Any:
    return json.loads(text, parse_int=_Number, parse_float=_Number)


class _Number(str):
    """A number as it is written: 1.10 is not 1.1."""

    __slots__ = ()


def _where(text: str) -> str:
    """Where a number is that cannot be stored: `row 2, 'key': `; empty if something else is wrong."""
    try:
        entries, _ = _objects(_as_written(text))
    except (ValueError, RecursionError, BadTable):
        return ""
    for row, entry in enumerate(entries, start=1):
        for key, value in entry.items():
            if isinstance(value, _Number) and not _is_taken(value):
                return f"row {row}, {key[:40]!r}: "
    return ""


def _is_taken(number: str) -> bool:
    try:
        loads(number)
    except InvalidEvent:
        return False
    return True


def _objects(document: Any) -> tuple[list[dict[str, Any]], str]:
    found = {"": document} if isinstance(document, list) else {}
    if isinstance(document, dict):
        found = {key: value for key, value in document.items() if isinstance(value, list)}
    if len(found) != 1:
        raise BadTable(
            f"holds {len(found)} lists: write an array of objects, or an object with one such array. Nothing was stored."
        )
    ((name, entries),) = found.items()
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise BadTable(f"row {number} is not an object. Nothing was stored.")
    return entries, name


def _text(value: object) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return value if isinstance(value, str) else json.dumps(value)
