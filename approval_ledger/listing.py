"""The events that a reader of the log asks for: all or those of one subject, after a position, or backwards before one."""

from __future__ import annotations

from collections.abc import Iterator

from events import Log, RecordedEvent


def listed(
    log: Log, *, after: int, limit: int | None, subject: str | None, backwards: bool
) -> Iterator[RecordedEvent]:
    """At most `limit` events after the position `after`; if `backwards`, those before it, newest first, or from the last if it is 0."""
    if backwards:
        before = after or None
        if subject is None:
            return log.read_backwards(before=before, limit=limit)
        return log.read_subject(subject, before=before, limit=limit, backwards=True)
    if subject is None:
        return log.read(after=after, limit=limit)
    return log.read_subject(subject, after=after, limit=limit)
