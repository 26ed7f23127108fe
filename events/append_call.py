"""An append as one call of append.lua, and the answer to it as receipts."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

from . import keys
from .codec import EVENT_LIMIT, check
from .envelope import Event, Receipt
from .errors import BadQuestion, Fault, IdConflict, InvalidEvent, LogDamaged, StaleExpectation, TooLarge

BATCH_LIMIT = 10_000  # events of one append; keeps the server's function under the time it may take
BATCH_BYTES_LIMIT = 8 * 1024 * 1024

Subject = Literal["none", "exists"] | int


@dataclass(frozen=True, slots=True)
class AppendCall:
    """Events, checked and encoded, as the KEYS and ARGV that append them. The events themselves are not kept."""

    ledger: str
    identities: list[tuple[str, str]]
    keys: list[str]
    arguments: list[bytes | str]
    expected_position: int | None
    expected_subject: tuple[str, Subject] | None

    def receipts(self, reply: list[bytes]) -> list[Receipt]:
        """The receipt of each event, from the answer of append.lua. Raises IdConflict, StaleExpectation, LogDamaged."""
        match reply:
            case [b"OK", last, *known]:
                return self._placed(int(last), list(map(int, known)))
            case [b"CONFLICT", number, position]:
                index = int(number) - 1
                raise IdConflict(*self.identities[index], int(position), index)
            case [b"STALE", b"ledger", now]:
                raise StaleExpectation(f"ledger {self.ledger}", self.expected_position, int(now))
            case [b"STALE", _, now]:
                assert self.expected_subject is not None
                name, state = self.expected_subject
                raise StaleExpectation(f"subject {name!r}", state, int(now))
            case [b"DAMAGED", length, added, ids, newest, given]:
                raise LogDamaged(damage(self.ledger, int(length), int(added), int(ids), newest, given))
            case _:
                raise AssertionError(f"append.lua answered {reply!r}")

    def _placed(self, last: int, known: list[int]) -> list[Receipt]:
        there = dict(zip(known[::2], known[1::2], strict=True))
        new = count(last + 1)
        return [
            Receipt(there[number] if number in there else next(new), number in there, source, name)
            for number, (source, name) in enumerate(self.identities, start=1)
        ]


def append_call(
    ledger: str,
    events: Iterable[Event],
    expected_position: int | None = None,
    expected_subject: tuple[str, Subject] | None = None,
) -> AppendCall:
    """The call that appends `events`, each of which is checked. Raises InvalidEvent, TooLarge, BadQuestion."""
    expectation = _expectation(expected_position, expected_subject)
    if isinstance(events, Sized):
        _require_few(len(events))
    seen: dict[tuple[str, str], int] = {}
    payloads: list[bytes] = []
    subjects: dict[str, bytes] = {}
    of_subjects: list[bytes] = []
    faults: list[Fault] = []
    for index, event in enumerate(events):
        _require_few(index + 1)
        try:
            payload = check(event)
        except InvalidEvent as error:
            faults += [replace(fault, index=index) for fault in error.faults]
            continue
        # The plain text, even of a member of a str enum, whose hash is that of its name.
        first = seen.setdefault((str.__str__(event.source), str.__str__(event.id)), index)
        if first != index:
            message = f"has the source and id of event {first} of the same batch"
            faults.append(Fault("duplicate-id", message, "id", index))
            continue
        if len(payload) > EVENT_LIMIT:
            raise TooLarge(
                f"event {index} has {len(payload):,} bytes; at most {EVENT_LIMIT:,} are taken. Nothing was stored."
            )
        payloads.append(payload)
        if event.subject is not None:
            # As bytes: hiredis, which packs them, crashes if a Ctrl-C comes while it turns a number into text, which with
            # thousands of numbers takes half of its time.
            of_subjects += (
                b"%d" % len(payloads),
                subjects.setdefault(str.__str__(event.subject), b"%d" % (len(subjects) + 4)),
            )
    if faults:
        raise InvalidEvent(faults)
    if not payloads:
        raise InvalidEvent([Fault("validation", "a batch needs at least one event")])
    if (size := sum(map(len, payloads))) > BATCH_BYTES_LIMIT:
        raise TooLarge(
            f"the batch has {size:,} bytes; at most {BATCH_BYTES_LIMIT:,} are taken. Nothing was stored."
        )
    return AppendCall(
        ledger,
        list(seen),
        [
            keys.log(ledger),
            keys.ids(ledger),
            keys.subjects(ledger),
            *(keys.subject(ledger, name) for name in subjects),
        ],
        # The identities are one argument: with one argument each, sending and reading a call took twice as long.
        [
            *expectation,
            b"".join([keys.identity(*each) for each in seen]),
            *payloads,
            *subjects,
            *of_subjects,
        ],
        expected_position,
        expected_subject,
    )


def damage(ledger: str, length: int, added: int, known: int, newest: bytes, given: bytes) -> str:
    """What to say about a log whose numbers, as append.lua or `Log.read_end` found them, do not agree."""
    return (
        f"ledger {ledger}: the log has {length} entries, {added} were ever added, {known} ids are known, its newest "
        f"entry is {newest.decode()} and the last it was given is {given.decode()} (position-time); these must agree. "
        "Something was deleted, or something else wrote to it. Nothing was stored: restore a backup."
    )


def require_position(position: int) -> None:
    """Raises BadQuestion unless it is a position: a whole number from 0 to 2^53 - 1."""
    if type(position) is not int or not 0 <= position < 2**53:
        raise BadQuestion(f"a position is a whole number from 0 to 2^53 - 1, not {position!r}")


def _require_few(count: int) -> None:
    if count > BATCH_LIMIT:
        raise TooLarge(f"a batch holds at most {BATCH_LIMIT:,} events, not {count:,}. Nothing was stored.")


def _expectation(position: int | None, subject: tuple[str, Subject] | None) -> tuple[str, str, str]:
    if position is not None:
        require_position(position)
    if subject is None:
        return "" if position is None else str(position), "", ""
    given: object = subject  # a caller whose types nobody checks may give anything
    match given:
        case (str(), _):
            name, state = subject
        case _:
            raise BadQuestion(
                f"an expectation on a subject is a name and a state, such as ('acme', 'none'), not {given!r:.80}"
            )
    if state not in ("none", "exists"):
        if type(state) is not int:
            raise BadQuestion(
                f"the expected state of a subject is 'none', 'exists' or a position, not {state!r}"
            )
        require_position(state)
    if not name or name != name.encode("utf-8", "replace").decode():
        raise BadQuestion(
            f"an expectation on a subject must name the subject, and {name[:80]!r} is not a name"
        )
    return "" if position is None else str(position), name, str(state)
