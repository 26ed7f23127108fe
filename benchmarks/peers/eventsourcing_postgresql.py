"""The library `eventsourcing` on PostgreSQL: as on SQLite, but the library's own subscription (LISTEN) wakes the reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresTrackingRecorder
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL

from benchmarks.peers import job
from benchmarks.peers.eventsourcing_stored import NAME, stored

SAVE = SQL("INSERT INTO counts VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET count = excluded.count")


class Counting(PostgresTrackingRecorder):
    """A view: the counts, stored with the tracking."""

    def __init__(self, store: PostgresDatastore) -> None:
        super().__init__(store)
        create = SQL("CREATE TABLE IF NOT EXISTS counts (name text PRIMARY KEY, count bigint NOT NULL)")
        self.sql_create_statements.append(create)

    def save(self, changed: job.Counts, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            cursor.executemany(SAVE, sorted(changed.items()))
            self._insert_tracking(cursor, tracking)

    def all(self) -> job.Counts:
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT name, count FROM counts")
            return {row["name"]: row["count"] for row in cursor.fetchall()}


class Recorded:
    """See `job.Peer`."""

    durable = "fsync, synchronous_commit=on"

    def __init__(self, place: str) -> None:
        known: dict[str, Any] = conninfo_to_dict(place)
        store = PostgresDatastore(known["dbname"], known["host"], 5432, known["user"], "", max_overflow=5)
        self.recorder, self.view = PostgresApplicationRecorder(store), Counting(store)
        self.recorder.create_table()
        self.view.create_table()
        self.subscription: Any = None

    def append(self, events: Sequence[tuple[str, bytes]]) -> None:
        self.recorder.insert_events(stored(events))

    def read(self, after: int, limit: int) -> Sequence[job.Stored]:
        found = self.recorder.select_notifications(after + 1, limit)
        return [(each.id, bytes(each.state)) for each in found]

    def load(self) -> tuple[int, job.Counts]:
        return self.view.max_tracking_id(NAME) or 0, self.view.all()

    def commit(self, position: int, changed: job.Counts) -> None:
        self.view.save(changed, Tracking(NAME, position))

    def rebuild(self) -> job.Counts:
        return job.folded(self)

    def wait(self, after: int) -> None:
        if self.subscription is None:
            self.subscription = self.recorder.subscribe(gt=after)
            self.subscription.__enter__()
        while next(self.subscription).id <= after:
            pass


if __name__ == "__main__":
    job.main(Recorded)
