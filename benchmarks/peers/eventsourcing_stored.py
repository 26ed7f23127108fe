"""How the job's events become events of the library `eventsourcing`."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

from eventsourcing.persistence import StoredEvent

NAME = "approvals"


def stored(events: Sequence[tuple[str, bytes]]) -> list[StoredEvent]:
    """Each event is the first one of its own aggregate, so an id that is known already is refused.

    The library's documentation makes the id of an aggregate from a name in this way.
    """
    return [StoredEvent(uuid5(NAMESPACE_URL, id_), 1, "approval", payload) for id_, payload in events]
