"""The library `eventsource-py` on SQLite: its store, with one stream for all events, because an append takes one stream.

Its own projections commit after each event. To give it the same pages as the others, the counts and the position are
committed together through Python's sqlite3, in the store's file. Each payload stays text, which is parsed once, as elsewhere.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from eventsource import DomainEvent, register_event
from eventsource.adapters._sql.positions import IntPositionCodec
from eventsource.adapters.sqlite.store import SQLiteEventStore
from eventsource.domain import StreamId
from eventsource.ports import ExpectedVersion, FeedReadOptions

from benchmarks.peers import job

STREAM = StreamId(aggregate_id=uuid5(NAMESPACE_URL, "approvals"), category="Approvals")
POLL = 0.001  # seconds
SCHEMA = """
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counted (one INTEGER PRIMARY KEY, position INTEGER NOT NULL);
"""


@register_event
class ApprovalReported(DomainEvent):
    """Any event of the job."""

    aggregate_type: str = "Approvals"
    payload: str


class Stored:
    """See `job.Peer`."""

    durable = "WAL, synchronous=FULL"

    def __init__(self, directory: str) -> None:
        file = str(Path(directory) / "eventsource.db")
        self.loop = asyncio.new_event_loop()
        self.store = SQLiteEventStore(file, busy_timeout=30_000)
        self.positions = IntPositionCodec(self.store.store_id)
        self.loop.run_until_complete(self.store.current_position())  # makes the file
        self.view = sqlite3.connect(file, isolation_level=None, timeout=30)
        self.view.executescript(SCHEMA)

    def append(self, events: Sequence[tuple[str, bytes]]) -> None:
        reported = [
            ApprovalReported(
                event_id=uuid5(NAMESPACE_URL, id_), aggregate_id=STREAM.aggregate_id, payload=payload.decode()
            )
            for id_, payload in events
        ]
        self.loop.run_until_complete(self.store.append(STREAM, reported, ExpectedVersion.any_()))

    def read(self, after: int, limit: int) -> Sequence[job.Stored]:
        return self.loop.run_until_complete(self._read(after, limit))

    async def _read(self, after: int, limit: int) -> list[job.Stored]:
        since = self.positions.encode(after) if after else None
        feed = self.store.read_all(since, FeedReadOptions(limit=limit))
        return [(self.positions.value_of(each.position), each.event.payload.encode()) async for each in feed]

    def load(self) -> tuple[int, job.Counts]:
        found = self.view.execute("SELECT position FROM counted").fetchone()
        return (found or [0])[0], dict(self.view.execute("SELECT name, count FROM counts"))

    def commit(self, position: int, changed: job.Counts) -> None:
        self.view.execute("BEGIN IMMEDIATE")
        self.view.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", changed.items())
        self.view.execute("INSERT OR REPLACE INTO counted VALUES (1, ?)", (position,))
        self.view.execute("COMMIT")

    def rebuild(self) -> job.Counts:
        return job.folded(self)

    def wait(self, after: int) -> None:  # noqa: ARG002
        time.sleep(POLL)


if __name__ == "__main__":
    job.main(Stored)
