"""approval-ledger at the same job: its append, and its generations with a projection that counts what the peers count.

Beyond the job, each event is validated and deduplicated, and a retraction counts its target out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from benchmarks.peers import job
from events import DecodedEvent, Log, connect, parse
from events.catalog import ApprovalGranted, EventRetracted
from projections import Documents, Generation, Store, fold
from projections.stored import value_of


class Counting:
    """See `projections.Projection`."""

    name = "counting"
    version = 1
    handles = frozenset({ApprovalGranted.TYPE, EventRetracted.TYPE})

    def needs(self, event: DecodedEvent, /) -> list[str]:
        data = event.data
        if not isinstance(data, ApprovalGranted):
            return ["retractions"]
        return [f"company {data.company.name}", f"batch {data.batch}"]

    def lists(self, _: DecodedEvent, /) -> list[str]:
        return []

    def evolve(self, documents: Documents, event: DecodedEvent, stands: bool, /) -> None:
        for name in self.needs(event):
            documents.put(name, (documents.get(name) or 0) + (1 if stands else -1) or None)


class Ledger:
    """See `job.Peer`."""

    durable = "AOF always"

    def __init__(self, url: str) -> None:
        self.log = Log(connect(url, timeout=60), "peers")
        self.store = Store(self.log, Counting())

    def append(self, events: Sequence[tuple[str, bytes]]) -> None:
        self.log.append(parse(payload) for _, payload in events)

    def read(self, after: int, limit: int) -> Sequence[job.Stored]:
        return [(event.position, event.payload) for event in self.log.page(after, limit)]

    def load(self) -> tuple[int, job.Counts]:
        live = self.store.open_live()
        documents = cast(dict[bytes, bytes], self.log.client.hgetall(live.documents_key))
        values = {name.decode(): value_of(stored) for name, stored in documents.items()}
        counts = {name: value for name, value in values.items() if isinstance(value, int)}
        return live.checkpoint().position, _counts(counts)

    def commit(self, position: int, changed: job.Counts) -> None:
        raise NotImplementedError("a generation commits what it folds: see Advance")

    def rebuild(self) -> job.Counts:
        return _counts(fold(self.store.projection, self.log.read()))

    def wait(self, after: int) -> None:
        next(self.log.follow(after, wait=1.0))


class Advance:
    """See `job.Steps`."""

    def __init__(self, peer: Ledger) -> None:
        self.generation: Generation = peer.store.open_live()
        self.position = self.generation.checkpoint().position

    def step(self) -> int:
        taken = self.generation.advance(job.PAGE)
        self.position += taken
        return taken


def _counts(documents: dict[str, int]) -> job.Counts:
    """Without what the projections keep about corrections."""
    return {
        name: count
        for name, count in documents.items()
        if name.startswith(("company ", "batch ", "retractions"))
    }


if __name__ == "__main__":
    job.main(Ledger, Advance)
