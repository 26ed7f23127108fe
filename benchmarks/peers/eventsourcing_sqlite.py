"""The library `eventsourcing` on SQLite: its recorders, used as an application's repository uses them, with a list of events in each call.

Its tracking is committed with the counts in one transaction of its data store, as its documentation shows for a view. Its
SQLite recorder has no subscription, so a reader polls.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from eventsourcing.persistence import Tracking
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore, SQLiteTrackingRecorder

from benchmarks.peers import job
from benchmarks.peers.eventsourcing_stored import NAME, stored

POLL = 0.001  # seconds


class Counting(SQLiteTrackingRecorder):
    """A view: the counts, stored with the tracking."""

    def construct_create_table_statements(self) -> list[str]:
        counts = "CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER) WITHOUT ROWID"
        return [*super().construct_create_table_statements(), counts]

    def save(self, changed: job.Counts, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            cursor.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", list(changed.items()))
            self._insert_tracking(cursor, tracking)

    def all(self) -> job.Counts:
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT name, count FROM counts")
            return {row["name"]: row["count"] for row in cursor.fetchall()}


class Recorded:
    """See `job.Peer`."""

    durable = "WAL, synchronous=FULL"

    def __init__(self, directory: str) -> None:
        store = SQLiteDatastore(str(Path(directory) / "eventsourcing.db"), lock_timeout=30)
        self.recorder, self.view = SQLiteApplicationRecorder(store), Counting(store)
        self.recorder.create_table()
        self.view.create_table()

    def append(self, events: Sequence[tuple[str, bytes]]) -> None:
        self.recorder.insert_events(stored(events))

    def read(self, after: int, limit: int) -> Sequence[job.Stored]:
        return [(found.id, found.state) for found in self.recorder.select_notifications(after + 1, limit)]

    def load(self) -> tuple[int, job.Counts]:
        return self.view.max_tracking_id(NAME) or 0, self.view.all()

    def commit(self, position: int, changed: job.Counts) -> None:
        self.view.save(changed, Tracking(NAME, position))

    def rebuild(self) -> job.Counts:
        return job.folded(self)

    def wait(self, after: int) -> None:  # noqa: ARG002
        time.sleep(POLL)


if __name__ == "__main__":
    job.main(Recorded)
