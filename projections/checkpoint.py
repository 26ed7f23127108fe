"""How far a projection has read: a position, and the digest of the entry there, so that another log is noticed."""

from __future__ import annotations

from dataclasses import dataclass

from events import RecordedEvent


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The position of the last event that was read, and the digest of its entry; 0 and an empty digest if nothing was read yet."""

    position: int = 0
    entry: str = ""

    @classmethod
    def at(cls, event: RecordedEvent) -> Checkpoint:
        """The checkpoint of a projection whose last event is this one."""
        return cls(event.position, event.digest)
