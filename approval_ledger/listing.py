"""The events that a reader of the log asks for: all or those of one subject, after a position, or backwards before one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from events import Log, RecordedEvent


def listed(
    log: Log, *, after: int, limit: int | None, subject: str | None, backwards: bool
) -> Iterator[RecordedEvent]:
    """At most `limit` events after the position `after`; `backwards`, those before it, or from the last on where it is 0."""
    if subject is not None and backwards and after:
        older = (event for event in log.read_subject(subject, backwards=True) if event.position < after)
        return islice(older, limit)
    if subject is not None:
        return log.read_subject(subject, after=after, limit=limit, backwards=backwards)
    if backwards:
        return log.read_backwards(before=after or None, limit=limit)
    return log.read(after=after, limit=limit)
