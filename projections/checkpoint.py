"""How far a projection has read: a position, and the digest of the entry there, so that another log is noticed."""

from __future__ import annotations

from dataclasses import dataclass

from events import RecordedEvent


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`position` 0 and an empty digest: nothing was read yet."""

    position: int = 0
    entry: str = ""

    @classmethod
    def at(cls, event: RecordedEvent) -> Checkpoint:
        """The checkpoint of a projection whose last event is this one."""
        return cls(event.position, event.digest)
