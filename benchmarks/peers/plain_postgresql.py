"""A plain PostgreSQL table: COPY for a batch, GROUP BY for the rebuild, LISTEN and NOTIFY to wake the reader."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from benchmarks.peers import job

SCHEMA = """
CREATE TABLE IF NOT EXISTS log (position bigserial PRIMARY KEY, id text NOT NULL UNIQUE, payload jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS counts (name text PRIMARY KEY, count bigint NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoint (one int PRIMARY KEY, position bigint NOT NULL);
"""
ANEW = """
SELECT 'company ' || (payload #>> '{data,company,name}'), count(*) FROM log
 WHERE payload #>> '{data,company,name}' IS NOT NULL GROUP BY 1
UNION ALL
SELECT 'batch ' || (payload #>> '{data,batch}'), count(*) FROM log
 WHERE payload #>> '{data,company,name}' IS NOT NULL GROUP BY 1
UNION ALL
SELECT 'retractions', count(*) FROM log WHERE payload #>> '{data,company,name}' IS NULL HAVING count(*) > 0
"""
COUNT = "INSERT INTO counts VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET count = excluded.count"
CHECKPOINT = (
    "INSERT INTO checkpoint VALUES (1, %s) ON CONFLICT (one) DO UPDATE SET position = excluded.position"
)


class Table:
    """See `job.Peer`."""

    durable = "fsync, synchronous_commit=on"

    def __init__(self, place: str) -> None:
        self.database = psycopg.connect(place, autocommit=True)
        self.database.execute(SCHEMA)
        self.database.execute("LISTEN log")

    def append(self, events: Sequence[tuple[str, bytes]]) -> None:
        with self.database.transaction(), self.database.cursor() as cursor:
            with cursor.copy("COPY log (id, payload) FROM STDIN") as copy:
                for id_, payload in events:
                    copy.write_row((id_, payload.decode()))
            cursor.execute("NOTIFY log")

    def read(self, after: int, limit: int) -> Sequence[job.Stored]:
        query = "SELECT position, payload::text FROM log WHERE position > %s ORDER BY position LIMIT %s"
        return list(self.database.execute(query, (after, limit)).fetchall())

    def load(self) -> tuple[int, job.Counts]:
        found = self.database.execute("SELECT position FROM checkpoint").fetchone()
        return (found or [0])[0], dict(self.database.execute("SELECT name, count FROM counts").fetchall())

    def commit(self, position: int, changed: job.Counts) -> None:
        with self.database.transaction(), self.database.cursor() as cursor:
            cursor.executemany(COUNT, sorted(changed.items()))
            cursor.execute(CHECKPOINT, (position,))

    def rebuild(self) -> job.Counts:
        return dict(self.database.execute(ANEW).fetchall())

    def wait(self, after: int) -> None:  # noqa: ARG002
        for _ in self.database.notifies(timeout=1, stop_after=1):
            pass


if __name__ == "__main__":
    job.main(Table)
