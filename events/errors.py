"""The errors that this software raises on purpose and that its packages share; each package derives a few of its own from these.

    LedgerError
    ├── Refused                    the request was wrong: nothing was stored
    │   ├── InvalidEvent           the input is not an event this ledger takes; carries every fault found
    │   ├── TooLarge               over a documented limit
    │   ├── IdConflict             the same source and id were recorded before, with other bytes
    │   ├── StaleExpectation       the ledger or the subject is not where the caller expected it
    │   ├── NotDurable             the server would lose acknowledged events; says what to change
    │   ├── AddressRefused         events are not sent to such a URL, or to where it points
    │   ├── BadQuestion            a reader asked for something that cannot be asked
    │   │   └── UnknownCompany         no company has the name that was asked for
    │   └── TermsDiffer            two figures count different things and must not be combined
    ├── StorageUnavailable         the server is unreachable, read-only, full or busy: no event was stored
    │   ├── NotPermitted           the server does not allow its user to ask for this, or to do it
    │   └── OutcomeUnknown         no reply came: append events again with the same ids; check before repeating anything else
    ├── LogDamaged                 the log has a gap, was shortened or was written to by something else
    │   └── LogForked              the log differs from what was read of it before, or is shorter
    ├── Unreadable                 what is kept beside the log is of another version, or something else wrote to it
    ├── ParkedEvents               a rebuild met events it cannot apply
    └── Lagging                    a projection did not reach the position asked for in time

`code` is stable: it is what the command prints and what an HTTP problem document names. The text says what
was wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


class LedgerError(Exception):
    """The root of every error raised on purpose. It can be pickled, as a pool of processes requires."""

    code = "error"

    def __reduce__(self) -> tuple[Callable[..., LedgerError], tuple[object, ...], dict[str, object]]:
        # By default an exception is rebuilt from its text alone, which fails for most of these; a `multiprocessing.Pool` then waits for ever.
        return type(self).__new__, (type(self), *self.args), self.__dict__


class Refused(LedgerError):
    """The request was refused; nothing was stored, anywhere."""

    code = "refused"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input.

    `index` counts events of a batch from 0, `line` lines of a text from 1; `field` is a dotted path such as
    `data.size.value`, empty where the whole event is at fault.
    """

    code: str
    message: str
    field: str = ""
    index: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line is not None else None
        if place is None and self.index is not None:
            place = f"event {self.index}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


class InvalidEvent(Refused):
    """The input is not one or more events that this ledger takes."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        self.code = self.faults[0].code
        shown = "; ".join(str(fault) for fault in self.faults[:10])
        more = f"; and {len(self.faults) - 10} more" if len(self.faults) > 10 else ""
        super().__init__(f"{shown}{more}. Nothing was stored.")


class TooLarge(Refused):
    code = "too-large"


class IdConflict(Refused):
    """`position` holds an event of the same source and id, with other bytes."""

    code = "id-conflict"

    def __init__(self, source: str, id: str, position: int, index: int) -> None:
        self.position, self.index = position, index
        super().__init__(
            f"event {index}: id {id!r} of source {source!r} is already at position {position}, with other bytes. "
            "Nothing was stored. Give the new report an id of its own, or correct the old one with "
            "event.superseded.v1 or event.retracted.v1."
        )


class StaleExpectation(Refused):
    """`current` is the position that the ledger, or the subject, has now."""

    code = "stale-expectation"

    def __init__(self, what: str, expected: object, current: int) -> None:
        self.current = current
        found = f"is at position {current}" if current else "has no event yet"
        expectations = {"none": "it was expected to have none", "exists": "it was expected to have one"}
        says = expectations.get(str(expected), f"position {expected} was expected")
        super().__init__(
            f"{what} {found}, and {says}. Nothing was stored. "
            "Read what was appended since, decide again, and retry with the current position."
        )


class NotDurable(Refused):
    """`findings` says, setting by setting, what must change before an append can be acknowledged."""

    code = "not-durable"

    def __init__(self, findings: Sequence[object]) -> None:
        self.findings = tuple(findings)
        super().__init__(
            "this server could lose an acknowledged event, so nothing was stored. "
            + "; ".join(map(str, findings))
        )


class AddressRefused(Refused):
    code = "address-refused"


class BadQuestion(Refused):
    """`parameter` names the one parameter that is wrong, as it is called in Python and over HTTP; empty if it is not just one."""

    code = "bad-question"

    def __init__(self, says: str, parameter: str = "") -> None:
        self.parameter = parameter
        super().__init__(says)


class UnknownCompany(BadQuestion):
    code = "unknown-company"


class TermsDiffer(Refused):
    code = "terms-differ"


class StorageUnavailable(LedgerError):
    code = "storage-unavailable"


class NotPermitted(StorageUnavailable):
    """The server answers, and nothing is wrong with it: its user lacks a right."""

    code = "not-permitted"


class OutcomeUnknown(StorageUnavailable):
    code = "outcome-unknown"


class LogDamaged(LedgerError):
    code = "log-damaged"


class LogForked(LogDamaged):
    code = "log-forked"


class Unreadable(LedgerError):
    """Something kept beside the log cannot be read. The log has all of it, so that it can be made anew."""

    code = "unreadable"


class ParkedEvents(LedgerError):
    """`faults` lists, by position, each event that could not be applied."""

    code = "parked-events"

    def __init__(self, projection: str, faults: Sequence[tuple[int, str]]) -> None:
        self.faults = tuple(faults)
        shown = "; ".join(f"position {position}: {reason}" for position, reason in self.faults[:10])
        more = f"; and {len(self.faults) - 10} more" if len(self.faults) > 10 else ""
        super().__init__(
            f"{projection}: {len(self.faults)} events cannot be applied ({shown}{more}). The live projection was not "
            "touched. If a newer version of this software wrote them, upgrade, then replay again. An entry that is not "
            "an event blocks every replay: restore a backup of the log from before it, and publish again what came since."
        )


class Lagging(LedgerError):
    code = "lagging"
