"""A bare Redis stream and one consumer: no checks, no deduplication; counts and position are written in one MULTI; a blocking XREAD wakes the reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from benchmarks.peers import job


class Stream:
    """See `job.Peer`. A position is the stream's own id (milliseconds and a number) as one integer."""

    durable = "AOF always"

    def __init__(self, url: str) -> None:
        self.client: Any = redis.Redis.from_url(url)

    def append(self, events: Sequence[tuple[str, bytes]]) -> None:
        with self.client.pipeline(transaction=False) as pipeline:
            for _, payload in events:
                pipeline.xadd("peer:log", {"e": payload})
            pipeline.execute()

    def read(self, after: int, limit: int) -> Sequence[job.Stored]:
        entries = self.client.xrange("peer:log", min=f"({_id(after)}", count=limit)
        return [(_position(id_), fields[b"e"]) for id_, fields in entries]

    def load(self) -> tuple[int, job.Counts]:
        counts = {name.decode(): int(count) for name, count in self.client.hgetall("peer:counts").items()}
        return int(self.client.get("peer:position") or 0), counts

    def commit(self, position: int, changed: job.Counts) -> None:
        with self.client.pipeline(transaction=True) as pipeline:
            pipeline.hset("peer:counts", mapping=changed)
            pipeline.set("peer:position", position)
            pipeline.execute()

    def rebuild(self) -> job.Counts:
        return job.folded(self)

    def wait(self, after: int) -> None:
        self.client.xread({"peer:log": _id(after)}, count=1, block=1_000)


def _id(position: int) -> str:
    return f"{position >> 20}-{position & 0xFFFFF}"


def _position(id_: bytes) -> int:
    moment, _, number = id_.partition(b"-")
    return int(moment) << 20 | int(number)


if __name__ == "__main__":
    job.main(Stream)
