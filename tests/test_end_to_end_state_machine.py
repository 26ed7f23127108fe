"""Any history of appends, kills and rebuilds, through the log and real workers, beside a list of events in memory: equal."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from events import Event, IdConflict, InvalidEvent, Log, RecordedEvent, encode
from projections import PROJECTIONS, Store, answers, digest, fold, queries, replay
from workers import ring, run_here

from .conftest import new_ledger
from .long import LONG, only_long
from .servers import Server
from .strategies import SUBJECTS, events
from .worker_main import Supervised, eventually

ASK: dict[str, tuple[Callable[..., dict[str, Any]], Callable[..., list[dict[str, Any]]]]] = {
    "totals": (queries.totals, answers.totals_in),
    "batches": (queries.batches, answers.batches_in),
    "companies": (queries.companies, answers.companies_in),
    "shares": (queries.shares, answers.shares_in),
    "sources": (queries.sources, answers.sources_in),
}
MANY = st.integers(30, 150)


class LedgerBesideModel(RuleBasedStateMachine):
    server: Server

    @initialize()
    def start(self) -> None:
        self.log = Log(self.server.client(), new_ledger())
        self.events: list[Event] = []
        self.recorded: list[RecordedEvent] = []
        self.found: dict[tuple[str, str], int] = {}
        self.digests: dict[tuple[str, int], str] = {}
        self.workers = Supervised(self.server.url, self.log.ledger, 2)
        self.workers.when_alive(2)

    def _model_append(self, batch: list[Event]) -> object:
        """The positions, each with whether the event was there before; or the kind of error."""
        identities = [(event.source, event.id) for event in batch]
        if len({*identities}) < len(batch):
            return InvalidEvent
        known = [self.found.get(identity) for identity in identities]
        if any(at and self.events[at - 1] != event for at, event in zip(known, batch, strict=True)):
            return IdConflict
        receipts = []
        for identity, at, event in zip(identities, known, batch, strict=True):
            if at is None:
                self.events.append(event)
                self.recorded.append(RecordedEvent(len(self.events), 0, encode(event)))
                self.found[identity] = len(self.events)
            receipts.append((self.found[identity], at is not None))
        return receipts

    def _append(self, batch: list[Event], *, rings: bool) -> None:
        wanted = self._model_append(batch)
        got: object
        try:
            got = [(receipt.position, receipt.duplicate) for receipt in self.log.append(batch)]
        except (InvalidEvent, IdConflict) as error:
            got = type(error)
        assert got == wanted
        if rings:
            ring(self.log.client, self.log.ledger, PROJECTIONS)

    def _model_digest(self, name: str, position: int) -> str:
        if (name, position) not in self.digests:
            documents = fold(PROJECTIONS[name], self.recorded[:position])
            self.digests[name, position] = digest(documents)
        return self.digests[name, position]

    # Drawn inside the rules: the strategy's own name takes 43 kB.
    @rule(data=st.data(), rings=st.booleans())
    def append(self, data: st.DataObject, rings: bool) -> None:
        self._append(data.draw(st.lists(events(), min_size=1, max_size=5)), rings=rings)

    @rule(data=st.data(), how_many=MANY)
    def append_many(self, data: st.DataObject, how_many: int) -> None:
        """So many that the workers are at work for a while, at events that correct and contradict each other."""
        some = data.draw(st.lists(events(), min_size=3, max_size=6))
        batch = [
            Event(
                id=f"{len(self.events)}-{number}",
                source=(one := some[number % len(some)]).source,
                data=one.data,
                subject=SUBJECTS[number % len(SUBJECTS)],
            )
            for number in range(how_many)
        ]
        self._append(batch, rings=True)

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def append_again_what_is_there(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.integers(0, len(self.events) - 1), min_size=1, max_size=3))
        self._append([self.events[index] for index in chosen], rings=True)

    @precondition(lambda self: self.events)
    @rule(at_work=st.booleans())
    def kill_a_worker(self, at_work: bool) -> None:
        workers = eventually(self.workers.workers)
        chosen = [pid for pid, waits in workers.items() if waits != at_work] or [*workers]
        os.kill(chosen[0], signal.SIGKILL)
        eventually(lambda: chosen[0] not in self.workers.workers())

    @rule(name=st.sampled_from(sorted(PROJECTIONS)))
    def rebuild(self, name: str) -> None:
        store = Store(self.log, PROJECTIONS[name])
        rebuilt = replay.rebuild(store)
        assert not rebuilt.differs
        replay.adopt(store, rebuilt)
        assert store.live() == rebuilt.generation

    @rule()
    def catch_up_here_too(self) -> None:
        run_here(self.log.client, self.log.ledger)
        for name, projection in PROJECTIONS.items():
            assert Store(self.log, projection).open_live().checkpoint().position == len(self.events), name

    @invariant()
    def whatever_is_stored_is_a_plain_fold_up_to_its_position(self) -> None:
        for name, projection in PROJECTIONS.items():
            position, stored = Store(self.log, projection).open_live().digest()
            assert position <= len(self.events)
            assert stored == self._model_digest(name, position), name

    def teardown(self) -> None:
        if not hasattr(self, "workers"):
            return
        with self.workers:
            run_here(self.log.client, self.log.ledger)
            self._is_the_model()
        self.log.client.close()

    def _is_the_model(self) -> None:
        head = len(self.events)
        assert [event.payload for event in self.log.read()] == [event.payload for event in self.recorded]
        views = {name: fold(projection, self.recorded) for name, projection in PROJECTIONS.items()}
        for name, projection in PROJECTIONS.items():
            live = Store(self.log, projection).open_live()
            assert live.digest() == (head, digest(views[name])), name
            assert live.parked() == {}, name
            ask, from_views = ASK[name]
            answer = ask(self.log, at_least=head)
            assert answer["position"] == head
            assert answer["answers"] == from_views(views), name
        assert not self.workers.said("job_failed")
        assert not self.workers.said("job_refused")
        assert self.workers.ended() is None


@only_long
def test_no_history_of_appends_kills_and_rebuilds_makes_the_projections_differ_from_the_model(
    server: Server,
) -> None:
    class OnThisServer(LedgerBesideModel):
        pass

    OnThisServer.server = server
    # Not shrunk: a second or two each, and what the workers do meanwhile is never twice the same.
    OnThisServer.TestCase.settings = settings(
        max_examples=25 if LONG else 2,
        stateful_step_count=20 if LONG else 12,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    OnThisServer.TestCase("runTest").runTest()
