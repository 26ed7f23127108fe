"""Older shapes of an event's data brought to the current one, from revision n to n+1, by pure functions. Stored bytes never change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .errors import Fault, InvalidEvent

JSON = dict[str, object]


def _named_as_objects(data: JSON) -> JSON:
    """batch.announced 1 to 2: `named` was a list of companies' names, and could not say which product."""
    named = data.get("named")
    if not isinstance(named, list):
        return data
    return data | {"named": [{"company": entry} if isinstance(entry, str) else entry for entry in named]}


def _without_cells(data: JSON) -> JSON:
    """approval.* 1 to 2: nothing changes. Raises InvalidEvent for what revision 1 did not have."""
    if "published" in data:
        message = "came with revision 2: leave dataschema out, or name that revision"
        raise InvalidEvent([Fault("unknown-field", message, "data.published")])
    return data


UPCASTS: Mapping[tuple[str, int], Callable[[JSON], JSON]] = {
    ("batch.announced.v1", 1): _named_as_objects,
    ("approval.granted.v1", 1): _without_cells,
    ("approval.amended.v1", 1): _without_cells,
    ("approval.revoked.v1", 1): _without_cells,
}


def upcast(type: str, revision: int, current: int, data: JSON) -> JSON:
    """`data`, which is in `revision`, brought to the `current` revision. Raises InvalidEvent."""
    for step in range(revision, current):
        data = UPCASTS[type, step](data)
    return data
