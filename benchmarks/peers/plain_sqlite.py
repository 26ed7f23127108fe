"""A plain SQLite table: WAL, each commit synced; the rebuild is GROUP BY; a reader polls, because SQLite wakes nobody."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import job

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS log (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, payload TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY, position INTEGER NOT NULL);
"""
ANEW = """
SELECT 'company ' || (payload ->> '$.data.company.name') AS name, count(*) FROM log
 WHERE payload ->> '$.data.company.name' IS NOT NULL GROUP BY 1
UNION ALL
SELECT 'batch ' || (payload ->> '$.data.batch'), count(*) FROM log
 WHERE payload ->> '$.data.company.name' IS NOT NULL GROUP BY 1
UNION ALL
SELECT 'retractions', count(*) FROM log WHERE payload ->> '$.data.company.name' IS NULL HAVING count(*) > 0
"""
POLL = 0.001  # seconds


class Table:
    """See `job.Peer`."""

    durable = "WAL, synchronous=FULL"

    def __init__(self, directory: str) -> None:
        self.database = sqlite3.connect(Path(directory) / "plain.db", isolation_level=None, timeout=30)
        self.database.executescript(SCHEMA)

    def append(self, events: Sequence[tuple[str, bytes]]) -> None:
        rows = [(id_, payload.decode()) for id_, payload in events]
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("INSERT INTO log (id, payload) VALUES (?, ?)", rows)
        self.database.execute("COMMIT")

    def read(self, after: int, limit: int) -> Sequence[job.Stored]:
        query = "SELECT position, payload FROM log WHERE position > ? ORDER BY position LIMIT ?"
        return self.database.execute(query, (after, limit)).fetchall()

    def load(self) -> tuple[int, job.Counts]:
        found = self.database.execute("SELECT position FROM checkpoint").fetchone()
        return (found or [0])[0], dict(self.database.execute("SELECT name, count FROM counts"))

    def commit(self, position: int, changed: job.Counts) -> None:
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", changed.items())
        self.database.execute("INSERT OR REPLACE INTO checkpoint VALUES (1, ?)", (position,))
        self.database.execute("COMMIT")

    def rebuild(self) -> job.Counts:
        return dict(self.database.execute(ANEW))

    def wait(self, after: int) -> None:  # noqa: ARG002
        time.sleep(POLL)


if __name__ == "__main__":
    job.main(Table)
