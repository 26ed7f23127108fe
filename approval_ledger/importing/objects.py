"""JSON: an array of objects, or an object that has one such array, as a table with the keys for its titles."""

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
            (index, "holds an object or a list, and no text")
            for index, title in enumerate(titles)
            if isinstance(entry.get(title), dict | list)
        )
        rows.append(budget.row(number, cells, faults))
    return [Table(1, tuple(rows), name, about=f"JSON, {encoding}; row 0 is its keys")]


def _parsed(text: str) -> Any:
    try:
        loads(text)
    except InvalidEvent as error:
        raise BadTable(f"is no JSON that is taken: {error}") from None
    return json.loads(text, parse_int=str, parse_float=str)  # a number as it is written: 1.10 is not 1.1


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
            raise BadTable(f"row {number} is no object. Nothing was stored.")
    return entries, name


def _text(value: object) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return value if isinstance(value, str) else json.dumps(value)
