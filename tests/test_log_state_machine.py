"""Any history of appends, on a real server, beside a model of a list and a dict: equal after every step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from events import Event, IdConflict, InvalidEvent, Log, RecordedEvent, StaleExpectation, encode
from events.append_call import Subject

from .conftest import new_ledger
from .long import examples
from .servers import Server
from .strategies import IDS, SOURCES, report

EVENTS = st.builds(
    report,
    id=st.sampled_from(IDS),
    source=st.sampled_from(SOURCES),
    figure=st.integers(40, 41),
    subject=st.sampled_from([None, "a", "b"]),
)
BATCHES = st.lists(EVENTS, min_size=1, max_size=4)
SUBJECT_STATES = st.one_of(st.sampled_from(["none", "exists"]), st.integers(0, 12))


@dataclass
class Model:
    """What a ledger is, in words that leave nothing to get wrong."""

    events: list[Event] = field(default_factory=list)
    found: dict[tuple[str, str], int] = field(default_factory=dict)
    subjects: dict[str, list[int]] = field(default_factory=dict)

    def append(
        self, batch: list[Event], position: int | None = None, subject: tuple[str, str | int] | None = None
    ) -> object:
        """The positions, each with whether the event was there before; or the kind of error."""
        if len({(event.source, event.id) for event in batch}) < len(batch):
            return InvalidEvent
        known = [self.found.get((event.source, event.id)) for event in batch]
        for at, event in zip(known, batch, strict=True):
            if at is not None and self.events[at - 1] != event:
                return IdConflict
        if None in known and not self._as_expected(position, subject):
            return StaleExpectation
        return [
            (at, True) if at else (self._add(event), False) for at, event in zip(known, batch, strict=True)
        ]

    def _as_expected(self, position: int | None, subject: tuple[str, str | int] | None) -> bool:
        if position is not None and position != len(self.events):
            return False
        if subject is None:
            return True
        now = self.subjects.get(subject[0], [0])[-1]
        return {"none": now == 0, "exists": now > 0}.get(str(subject[1]), now == subject[1])

    def _add(self, event: Event) -> int:
        self.events.append(event)
        position = len(self.events)
        self.found[event.source, event.id] = position
        if event.subject is not None:
            self.subjects.setdefault(event.subject, []).append(position)
        return position


class LogBesideModel(RuleBasedStateMachine):
    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.log = Log(self.server.client(), new_ledger())
        self.model = Model()
        self.times: list[int] = []

    def _both(
        self, batch: list[Event], position: int | None = None, subject: tuple[str, Subject] | None = None
    ) -> None:
        wanted = self.model.append(batch, position, subject)
        got: object
        try:
            receipts = self.log.append(batch, expected_position=position, expected_subject=subject)
            got = [(receipt.position, receipt.duplicate) for receipt in receipts]
        except (InvalidEvent, IdConflict, StaleExpectation) as error:
            got = type(error)
        assert got == wanted

    @rule(batch=BATCHES)
    def append(self, batch: list[Event]) -> None:
        self._both(batch)

    @rule(batches=st.lists(BATCHES, max_size=3))
    def append_one_after_the_other(self, batches: list[list[Event]]) -> None:
        got: list[object] = []
        try:
            got.extend(
                [(receipt.position, receipt.duplicate) for receipt in receipts]
                for receipts in self.log.append_each(batches)
            )
        except (InvalidEvent, IdConflict) as error:
            got.append(type(error))
        wanted: list[object] = []
        for batch in batches:
            wanted.append(self.model.append(batch))
            if isinstance(wanted[-1], type):
                break
        assert got == wanted

    @rule(batch=BATCHES, off=st.integers(-1, 1))
    def append_at_a_position(self, batch: list[Event], off: int) -> None:
        self._both(batch, position=max(0, len(self.model.events) + off))

    @rule(batch=BATCHES, subject=st.sampled_from(["a", "b"]), state=SUBJECT_STATES)
    def append_where_a_subject_is(self, batch: list[Event], subject: str, state: Subject) -> None:
        self._both(batch, subject=(subject, state))

    @rule(batch=BATCHES, subject=st.sampled_from(["a", "b"]), right=st.booleans())
    def append_with_both_expectations(self, batch: list[Event], subject: str, right: bool) -> None:
        now = self.model.subjects.get(subject, [0])[-1]
        self._both(
            batch,
            position=len(self.model.events),
            subject=(subject, now if right else now + 1),
        )

    @precondition(lambda self: self.model.events)
    @rule(data=st.data())
    def append_again_what_is_there(self, data: st.DataObject) -> None:
        self._both([data.draw(st.sampled_from(self.model.events))])

    @rule(id=st.sampled_from(IDS), source=st.sampled_from(SOURCES))
    def look_up(self, id: str, source: str) -> None:
        assert self.log.position_of(source, id) == self.model.found.get((source, id))

    @rule(after=st.integers(0, 18), limit=st.none() | st.integers(0, 5))
    def read_a_part(self, after: int, limit: int | None) -> None:
        numbered = list(enumerate(map(encode, self.model.events), start=1))
        assert _read(self.log.read(after, limit)) == numbered[after:][:limit]
        assert _read(self.log.read_backwards(after, limit)) == numbered[: max(0, after - 1)][::-1][:limit]

    @invariant()
    def the_log_is_the_model(self) -> None:
        assert self.log.head() == len(self.model.events)
        recorded = list(self.log.read())
        assert [event.payload for event in recorded] == list(map(encode, self.model.events))
        assert [event.position for event in recorded] == list(range(1, len(recorded) + 1))
        for subject in ("a", "b"):
            held = self.model.subjects.get(subject, [])
            assert [event.position for event in self.log.read_subject(subject)] == held
        times = [event.recorded_ms for event in recorded]
        assert times == sorted(times)
        assert times[: len(self.times)] == self.times
        self.times = times


def _read(events: Iterable[RecordedEvent]) -> list[tuple[int, bytes]]:
    return [(event.position, event.payload) for event in events]


def test_no_history_of_appends_makes_the_log_differ_from_the_model(server: Server) -> None:
    class OnThisServer(LogBesideModel):
        pass

    OnThisServer.server = server
    OnThisServer.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=25)
    OnThisServer.TestCase("runTest").runTest()
