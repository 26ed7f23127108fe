"""Whatever is appended, advanced, rebuilt and switched, in whatever order and by whom: what is stored is a fold of the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from events import BadQuestion, Event, IdConflict, Log, RecordedEvent, encode
from projections import (
    PROJECTIONS,
    Documents,
    Fenced,
    Generation,
    Projection,
    Store,
    digest,
    fold,
    past,
)
from projections.replay import Rebuilt, adopt, discard, go_back, rebuild

from .conftest import new_ledger
from .given import QUESTIONS, append_newer, ask, drain, retract
from .long import examples
from .servers import Server
from .strategies import events

which_projection = st.sampled_from(sorted(PROJECTIONS))
any_number = st.integers(0, 99)  # of a handle, an event, a position: taken modulo how many there are
limits = st.sampled_from([1, 1, 2, 3, 5, 500])


@st.composite
def batches(draw: st.DrawFn) -> list[tuple[Event, bool]]:
    """Events to append at once, each under the id it has, which others may have too, or under a fresh one."""
    return draw(st.lists(st.tuples(events(), st.booleans()), min_size=1, max_size=6))


class Interrupted:
    """A projection in the middle of whose first event something else happens."""

    def __init__(self, projection: Projection, meanwhile: Callable[[], object]) -> None:
        self.name, self.version, self.handles = projection.name, projection.version, projection.handles
        self.needs, self.lists = projection.needs, projection.lists
        self._evolve, self._meanwhile = projection.evolve, [meanwhile]

    def evolve(self, documents: Documents, event: Any, stands: bool) -> None:
        while self._meanwhile:
            self._meanwhile.pop()()
        self._evolve(documents, event, stands)


class Ledger(RuleBasedStateMachine):
    """One ledger on a real server, beside a list of its events. Handles are kept and used when they are long out of date."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.log = Log(client, new_ledger())
        self.stores = {name: Store(self.log, projection) for name, projection in PROJECTIONS.items()}
        self.handles: dict[str, list[Generation]] = {name: [s.open_live()] for name, s in self.stores.items()}
        self.pending: dict[str, list[Rebuilt]] = {name: [] for name in self.stores}
        self.seen = dict.fromkeys(self.stores, 0)
        self.touched: set[str] = set()
        self.appended: list[Event] = []
        self.payloads: list[bytes] = []
        self._digests: dict[tuple[str, int], str] = {}
        self._recorded: list[RecordedEvent] = []

    # The model

    def recorded(self, upto: int) -> list[RecordedEvent]:
        if len(self._recorded) < len(self.payloads):
            self._recorded = list(self.log.read())
            assert [each.payload for each in self._recorded] == self.payloads
        return self._recorded[:upto]

    def folded(self, name: str, position: int) -> str:
        if (name, position) not in self._digests:
            self._digests[name, position] = digest(fold(PROJECTIONS[name], self.recorded(position)))
        return self._digests[name, position]

    # What happens

    @rule(batch=batches())
    def append(self, batch: list[tuple[Event, bool]]) -> None:
        chosen = {
            (event.source, event.id): event
            for event in (
                replace(event, id=f"n{len(self.appended)}-{n}") if fresh else event
                for n, (event, fresh) in enumerate(batch)
            )
        }
        known = {(event.source, event.id): event for event in self.appended}
        try:
            receipts = self.log.append(list(chosen.values()))
        except IdConflict:
            assert any(
                encode(known[each]) != encode(event) for each, event in chosen.items() if each in known
            )
            return
        new = [event for each, event in chosen.items() if each not in known]
        assert [receipt.duplicate for receipt in receipts] == [each in known for each in chosen]
        self.appended += new
        self.payloads += map(encode, new)

    @precondition(lambda self: self.appended)
    @rule(which=any_number, name=which_projection)
    def correct(self, which: int, name: str) -> None:
        """What one projection has counted is taken back: a report, or a correction."""
        drain(self.stores[name].open_live())
        self.touched.add(name)
        event = self.appended[which % len(self.appended)]
        self.append([(retract(event.id, f"c{len(self.payloads)}", event.source), False)])

    @precondition(lambda self: self.appended)
    @rule(which=any_number)
    def append_again(self, which: int) -> None:
        event = self.appended[which % len(self.appended)]
        (receipt,) = self.log.append([event])
        assert receipt.duplicate
        assert self.payloads[receipt.position - 1] == encode(event)

    @rule()
    def append_what_nobody_here_knows(self) -> None:
        position = append_newer(self.log, id=f"u{len(self.payloads)}", type="weather.observed.v1")
        recorded = self.log.at(position)
        assert recorded is not None
        self.payloads.append(recorded.payload)

    @rule(name=which_projection)
    def open_another_handle(self, name: str) -> None:
        self.handles[name].append(self.stores[name].open_live())

    @rule(batch=batches(), name=which_projection, which=any_number, limit=limits)
    def append_and_advance(self, batch: list[tuple[Event, bool]], name: str, which: int, limit: int) -> None:
        self.append(batch)
        self.advance(name, which, limit)

    @rule(name=which_projection, which=any_number, limit=limits)
    def advance(self, name: str, which: int, limit: int) -> None:
        self.touched.add(name)
        handle = self.handle(name, which)
        try:
            taken = handle.advance(limit)
        except Fenced:
            taken = handle.advance(limit)  # it has noticed where the others are
        assert taken <= limit

    @rule(name=which_projection, which=any_number, other=any_number, limit=limits, further=limits)
    def advance_while_another_does(self, name: str, which: int, other: int, limit: int, further: int) -> None:
        self.touched.add(name)
        handle, overtaking = self.handle(name, which), self.handle(name, other)

        def meanwhile() -> None:
            try:
                overtaking.advance(further)
            except Fenced:
                overtaking.advance(further)

        slow = Store(self.log, Interrupted(PROJECTIONS[name], meanwhile)).generation(handle.number)
        try:
            slow.advance(limit)
        except Fenced:
            return

    @rule(name=which_projection)
    def build_another_generation(self, name: str) -> None:
        self.touched.add(name)
        rebuilt = rebuild(self.stores[name])
        assert not rebuilt.differs
        assert rebuilt.digest == self.folded(name, rebuilt.position)
        self.pending[name].append(rebuilt)

    @precondition(lambda self: any(self.pending.values()))
    @rule(which=any_number, wanted=st.sampled_from([True, True, True, False]))
    def adopt_or_discard_what_was_built(self, which: int, wanted: bool) -> None:
        waiting = [(name, rebuilt) for name, of in self.pending.items() for rebuilt in of]
        name, rebuilt = waiting[which % len(waiting)]
        self.touched.add(name)
        store = self.stores[name]
        was_live = store.live()
        self.pending[name].remove(rebuilt)
        if not wanted:
            discard(store, rebuilt)
            assert store.live() == was_live
        elif rebuilt.live_generation == was_live and self.exists(name, rebuilt.generation):
            adopt(store, rebuilt)
            assert (store.live(), store.previous()) == (rebuilt.generation, was_live)
            assert store.open_live().checkpoint().position == len(self.payloads)
        else:
            self.expect_refusal(lambda: adopt(store, rebuilt))
            assert store.live() == was_live

    @rule(name=which_projection)
    def go_back(self, name: str) -> None:
        self.touched.add(name)
        store = self.stores[name]
        live, previous = store.live(), store.previous()
        if previous:
            assert go_back(store) == previous
            assert (store.live(), store.previous()) == (previous, live)
            self.seen[name] = 0
        else:
            self.expect_refusal(lambda: go_back(store))

    @rule(question=st.sampled_from(sorted(QUESTIONS)), at_least=any_number)
    def ask(self, question: str, at_least: int) -> None:
        at_least %= len(self.payloads) + 1
        answer = QUESTIONS[question](self.log, at_least=at_least)
        assert at_least <= answer["position"] <= len(self.payloads)
        assert answer["answers"] == ask(self.recorded(answer["position"]), question)

    @rule(question=st.sampled_from(sorted(QUESTIONS)), position=any_number)
    def ask_about_the_past(self, question: str, position: int) -> None:
        position %= len(self.payloads) + 1
        answer = QUESTIONS[question](self.log, known_at=position)
        assert answer["answers"] == ask(self.recorded(position), question)

    # What holds

    @invariant()
    def what_a_step_has_touched_is_a_fold_of_the_log_and_nothing_else_is_left(self) -> None:
        for name in sorted(self.touched):
            self.check(name)
        self.touched.clear()

    def check(self, name: str) -> None:
        store = self.stores[name]
        pointer: Any = self.log.client.hgetall(store.pointer)
        live, previous, newest = (int(pointer.get(field, 0)) for field in (b"live", b"previous", b"newest"))
        for number in {live, previous} - {0}:
            position, stored = store.generation(number).digest()
            assert position <= len(self.payloads), f"{name} is beyond the head"
            assert stored == self.folded(name, position), f"{name} at {position}"
            assert position == 0 or store.generation(number).keeps_past()
            if number == live:
                assert position >= self.seen[name], f"{name} went back"
                self.seen[name] = position
        kept = {live, previous, *(each.generation for each in self.pending[name])}
        left = {number for number in range(1, newest + 1) if self.exists(name, number)}
        assert left <= kept, name

    def teardown(self) -> None:
        for name, store in self.stores.items():
            self.check(name)
            live = store.open_live()
            drain(live)
            assert live.digest() == (len(self.payloads), self.folded(name, len(self.payloads)))
            assert live.parked() == {}
        for name, question in QUESTIONS.items():
            answer = question(self.log)
            assert answer["position"] == len(self.payloads)
            assert answer["answers"] == ask(self.recorded(len(self.payloads)), name)

    def handle(self, name: str, which: int) -> Generation:
        return self.handles[name][which % len(self.handles[name])]

    def exists(self, name: str, number: int) -> bool:
        generation = self.stores[name].generation(number)
        places = (generation.state_key, generation.documents_key, generation.parked_key)
        return bool(self.log.client.exists(*places, generation.past_key))

    def expect_refusal(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BadQuestion:
            return
        raise AssertionError("this should have been refused")


def test_whatever_happens_what_is_stored_is_a_fold_of_the_log(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "EVERY", 4)

    class OnThisServer(Ledger):
        def __init__(self) -> None:
            super().__init__(server.client())

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=examples(30),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
