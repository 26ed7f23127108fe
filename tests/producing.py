"""A producer that appends in every possible way, goes on whatever happens to the server, and records what it was told.

`python -m tests.producing URL LEDGER NAME SEED` runs one in a process of its own, which ends with its input and prints its record.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from events import (
    Event,
    IdConflict,
    LedgerError,
    Log,
    NotDurable,
    OutcomeUnknown,
    Receipt,
    StaleExpectation,
    StorageUnavailable,
    connect,
)
from events.append_call import Subject
from projections import PROJECTIONS
from workers import ring

from .given import DESK, batch, granted, identified, retracted, superseded, total, used
from .strategies import report

TIMEOUT = 2.0  # seconds


@dataclass
class Record:
    """What a producer was told, by the ids of its events: the positions of those acknowledged, those of which nothing was stored, and
    those for which no answer ever came. `wrong` is what it should not have been told."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Producer:
    """Appends events of its own until `stop`: the next ones once it knows what became of those before, or has given up on them."""

    def __init__(self, url: str, ledger: str, name: str, seed: int, stop: threading.Event) -> None:
        self.record = Record()
        self.events: dict[str, Event] = {}
        self._client = connect(url, timeout=TIMEOUT)
        self._log = Log(self._client, ledger)
        self._name, self._stop, self._random = name, stop, random.Random(seed)
        self._left = [1000]  # events of the one large batch

    def run(self) -> None:
        ways = [self._one, self._some, self._many, self._one_after_the_other, self._again, self._another]
        ways += [self._at_the_head, self._where_a_subject_is]
        try:
            while not self._stop.wait(self._random.choice([0, 0.02, 0.1])):
                self._random.choice(ways)()
        except Exception as error:
            self.record.wrong.append(repr(error))
            raise
        finally:
            self._client.close()

    def _next(self) -> Event:
        number, pick = len(self.events) + 1, self._random
        day = f"2024-0{pick.randint(1, 9)}-{pick.randint(10, 28)}"
        corrected = f"{self._name}-{number + pick.choice([2, -1, -pick.randint(1, 50)])}"
        data = pick.choice(
            [
                total(f">{pick.randint(1, 40)}", day),
                granted(f"c{pick.randint(1, 200)}", f"i{number}", day),
                batch(None, f">={pick.randint(1, 9)}", day, named=[f"c{pick.randint(1, 50)}"]),
                identified(f"s{pick.randint(1, 50)}", f"c{pick.randint(1, 200)}"),
                used(f"c{pick.randint(1, 50)}", "x", f">{pick.randint(1, 10**6)}", day),
                retracted(corrected),
                superseded(corrected, f"{self._name}-{number + 3}"),
            ]
        )
        subject = pick.choice([None, "acme", f"of-{self._name}"])
        event = Event(id=f"{self._name}-{number}", source=DESK, data=data, subject=subject)
        self.events[event.id] = event
        return event

    def _few(self, most: int) -> list[Event]:
        return [self._next() for _ in range(self._random.randint(2, most))]

    def _one(self) -> None:
        self._settle([self._next()])

    def _some(self) -> None:
        self._settle(self._few(10))

    def _many(self) -> None:
        if self._left:
            self._settle([self._next() for _ in range(self._left.pop())])

    def _one_after_the_other(self) -> None:
        left, unknown = [self._few(20) for _ in range(3)], False
        while left:
            try:
                for receipts in self._log.append_each(list(left)):
                    self._acknowledged(left.pop(0), receipts, sent_before=unknown)
                    unknown = False
            except LedgerError as error:
                unknown = self._is_unknown(error) or unknown
                if self._gives_up():
                    self._given_up(left.pop(0), unknown)
                    for events in left:
                        self._given_up(events, unknown=False)
                    return

    def _again(self) -> None:
        if known := self.record.acknowledged:
            chosen = {each: known[each] for each in self._random.sample([*known], min(5, len(known)))}
            self._settle([self.events[each] for each in chosen], sent_before=True)
            if any(known[each] != at for each, at in chosen.items()):
                self.record.wrong.append(f"{chosen} are elsewhere now")

    def _another(self) -> None:
        """Another event under an id that is taken, together with a new one: neither is stored, however often it is tried."""
        if not (known := self.record.acknowledged):
            return
        taken, new = self._random.choice([*known]), self._next()
        self.record.refused.append(new.id)
        while True:
            try:
                self._log.append([new, report(taken, 10**7)])
            except IdConflict as error:
                if error.position != known[taken]:
                    self.record.wrong.append(f"{taken} is in conflict at {error.position}")
                return
            except LedgerError as error:
                self._is_unknown(error)
                if self._gives_up():
                    return
            else:
                self.record.wrong.append(f"{taken} was taken twice")
                return

    def _at_the_head(self) -> None:
        try:
            head = self._log.head()
        except LedgerError as error:
            self._is_unknown(error)
        else:
            self._settle([self._next()], position=head)

    def _where_a_subject_is(self) -> None:
        state: Subject = self._random.choice(["none", "exists"])
        self._settle([self._next()], subject=("acme", state))

    def _settle(
        self,
        events: Sequence[Event],
        *,
        position: int | None = None,
        subject: tuple[str, Subject] | None = None,
        sent_before: bool = False,
    ) -> None:
        unknown = False
        while True:
            try:
                receipts = self._log.append(events, expected_position=position, expected_subject=subject)
            except StaleExpectation:
                self._given_up(
                    events, unknown
                )  # an earlier call may be on its way yet, and find what it expects
                return
            except LedgerError as error:
                unknown = self._is_unknown(error) or unknown
                if self._gives_up():
                    if not sent_before:
                        self._given_up(events, unknown)
                    return
            else:
                self._acknowledged(events, receipts, sent_before=sent_before or unknown)
                return

    def _acknowledged(
        self, events: Sequence[Event], receipts: Sequence[Receipt], *, sent_before: bool
    ) -> None:
        for event, receipt in zip(events, receipts, strict=True):
            if receipt.duplicate and not sent_before:
                self.record.wrong.append(f"{event.id} is said to have been there")
            self.record.acknowledged[event.id] = receipt.position
        try:
            ring(self._client, self._log.ledger, PROJECTIONS)
        except LedgerError as error:
            self._is_unknown(error)

    def _given_up(self, events: Sequence[Event], unknown: bool) -> None:
        (self.record.unknown if unknown else self.record.refused).extend(event.id for event in events)

    def _is_unknown(self, error: LedgerError) -> bool:
        if not isinstance(error, StorageUnavailable | NotDurable):
            self.record.wrong.append(repr(error))
        return isinstance(error, OutcomeUnknown)

    def _gives_up(self) -> bool:
        return self._stop.wait(0.02) or self._random.random() < 0.02


def _when_the_input_ends(then: Callable[[], object]) -> None:
    os.read(0, 1)
    then()


if __name__ == "__main__":
    stopped = threading.Event()
    threading.Thread(target=_when_the_input_ends, args=(stopped.set,), daemon=True).start()
    producer = Producer(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), stopped)
    producer.run()
    os.write(1, b"\n" + json.dumps(asdict(producer.record)).encode())
