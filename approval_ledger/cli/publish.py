"""`approvals publish`: events from a file into the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from events import (
    BadQuestion,
    Fault,
    IdConflict,
    InvalidEvent,
    LedgerError,
    Log,
    Submission,
    TooLarge,
    read_events,
)
from projections import PROJECTIONS
from workers import ring

from . import show
from .options import Data, Json, Ledger, Url, open_ledger

SHOWN = 100  # refused events, in words, as --json has all: a wrong file of 30,000 lines was 11 MB of them
CHUNK = (
    500  # events of one append with --each; where one of them is refused, the rest of its chunk go one by one
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event of a file: `appended` or `already` at a position, `refused` with the reasons, or `not-stored`
    because another one of the file was refused."""

    of: Submission
    status: str
    position: int | None = None
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The outcome without what does not apply."""
        event = self.of.event
        fields = {
            "line": self.of.line,
            "element": self.of.element,
            "status": self.status,
            "position": self.position,
            "source": event and event.source,
            "id": event and event.id,
        }
        return {k: v for k, v in fields.items() if v is not None} | (
            {"reasons": list(self.reasons)} if self.reasons else {}
        )


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(publish)


def publish(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="One event, an array of events, or one a line (NDJSON).")
    ],
    *,
    each: Annotated[
        bool,
        typer.Option(
            "--each", help="Take every event by itself: the good ones are stored even if others are bad."
        ),
    ] = False,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Publish CloudEvents. The whole file is stored, or nothing of it, unless --each is given.

    Publishing a file again stores nothing twice.
    """
    content = _content(file)
    submissions = list(read_events(content)) if content.strip() else []
    if not submissions:
        raise BadQuestion(f"{file} holds no event")
    with open_ledger(url, data, ledger, make=True) as opened:
        outcomes, error = _until_an_error((_each if each else _whole)(opened.log, submissions))
        if isinstance(error, LedgerError) and not outcomes:
            raise error
        if any(outcome.status == "appended" for outcome in outcomes):
            with suppress(LedgerError):  # a lost bell costs time and nothing else, and the events are stored
                ring(opened.log.client, opened.log.ledger, PROJECTIONS)
        try:
            if outcomes:
                _show(outcomes, opened.log.ledger, json)
            if isinstance(error, KeyboardInterrupt):
                show.complain(
                    "interrupted: events that are not listed may or may not have been stored; publish the file again, and each is stored once"
                )
            elif error is not None:
                show.complain(
                    "what is listed was done before what follows; publish the file again for the rest, "
                    f"from {submissions[len(outcomes)].place} on"
                )
        finally:  # also where nobody reads what is shown
            if error is not None:
                raise error
            if any(outcome.status == "refused" for outcome in outcomes):
                raise typer.Exit(1)


def _until_an_error(
    outcomes: Iterator[Outcome],
) -> tuple[list[Outcome], LedgerError | KeyboardInterrupt | None]:
    done: list[Outcome] = []
    try:
        done.extend(outcomes)
    except (LedgerError, KeyboardInterrupt) as error:
        return done, error
    return done, None


def _content(file: str) -> bytes:
    if file == "-":
        if sys.stdin is None:  # `<&-`, or a service manager that gives none
            raise BadQuestion("cannot read -: there is no standard input")
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise BadQuestion(f"cannot read {file}: {error.strerror}") from None


def _whole(log: Log, submissions: Sequence[Submission]) -> Iterator[Outcome]:
    events = [submission.event for submission in submissions if submission.event is not None]
    if len(events) < len(submissions):
        yield from _nothing_of(submissions, {n: s.faults for n, s in enumerate(submissions) if s.faults})
        return
    try:
        receipts = log.append(events)
    except IdConflict as error:
        # A file is counted in lines, and the outcome has its own.
        message = _of_one(error).removeprefix(f"event {error.index}: ")
        yield from _nothing_of(submissions, {error.index: [Fault(error.code, message)]})
    except InvalidEvent as error:
        yield from _nothing_of(submissions, _by_event(error, submissions))
    else:
        for submission, receipt in zip(submissions, receipts, strict=True):
            status = "already" if receipt.duplicate else "appended"
            yield Outcome(submission, status, receipt.position)


def _nothing_of(
    submissions: Sequence[Submission], faults: Mapping[int, Sequence[Fault]]
) -> Iterator[Outcome]:
    for index, submission in enumerate(submissions):
        if index in faults:
            yield _refused(submission, faults[index])
        elif submission.event is not None:
            yield Outcome(submission, "not-stored")


def _by_event(error: InvalidEvent, submissions: Sequence[Submission]) -> dict[int, list[Fault]]:
    """The faults of each event, by its place in the file."""
    identities = [(s.event.source, s.event.id) for s in submissions if s.event is not None]
    places = dict(zip(reversed(identities), (s.place for s in reversed(submissions)), strict=True))
    found: dict[int, list[Fault]] = {}
    for fault in error.faults:
        index = fault.index or 0
        if fault.code == "duplicate-id":
            place = places[identities[index]]
            fault = replace(fault, message=f"is the id of {place} too, with the same source")  # noqa: PLW2901
        found.setdefault(index, []).append(fault)
    return found


def _each(log: Log, submissions: Sequence[Submission]) -> Iterator[Outcome]:
    for start in range(0, len(submissions), CHUNK):
        chunk = submissions[start : start + CHUNK]
        good = [submission for submission in chunk if submission.event is not None]
        stored = _together_or_one_by_one(log, good)
        for submission in chunk:
            yield _refused(submission, submission.faults) if submission.event is None else next(stored)


def _together_or_one_by_one(log: Log, good: Sequence[Submission]) -> Iterator[Outcome]:
    try:
        outcomes = list(_whole(log, good)) if good else []
    except TooLarge:
        outcomes = []  # too much for one append, maybe not for one each
    if len(outcomes) == len(good) and all(outcome.status != "refused" for outcome in outcomes):
        yield from outcomes
    else:
        yield from (_one(log, submission) for submission in good)


def _one(log: Log, submission: Submission) -> Outcome:
    try:
        (outcome,) = _whole(log, [submission])
    except TooLarge as error:
        return _refused(submission, [Fault(error.code, _of_one(error))])
    return outcome


def _of_one(error: LedgerError) -> str:
    """What is wrong with one event, without what became of it: of a file others may be stored, and that is told of all."""
    return "".join(str(error).rsplit(" Nothing was stored.", 1))


def _refused(submission: Submission, faults: Sequence[Fault]) -> Outcome:
    reasons = tuple(
        f"{fault.code}: {': '.join(filter(None, (fault.field, fault.message)))}" for fault in faults
    )
    # In an array, or an object of several lines, a fault may know a line further down.
    return Outcome(replace(submission, line=faults[0].line or submission.line), "refused", reasons=reasons)


def _show(outcomes: Sequence[Outcome], ledger: str, json: bool) -> None:
    counts = {
        status: sum(outcome.status == status for outcome in outcomes)
        for status in ("appended", "already", "refused", "not-stored")
    }
    if json:
        show.json({"ledger": ledger, **counts, "events": [outcome.to_json() for outcome in outcomes]})
        return
    told = 0
    for outcome in outcomes:
        if outcome.status == "refused":
            told += 1
            if told <= SHOWN:
                show.complain(f"{outcome.of.place}: refused: {'; '.join(outcome.reasons)}")
        elif outcome.position is not None and (event := outcome.of.event) is not None:
            where = "appended at" if outcome.status == "appended" else "already at"
            show.plain(f"{outcome.of.place}: {where} {outcome.position}  {event.id}")
    if told > SHOWN:
        show.complain(f"{told - SHOWN:,} more refused, which --json has")
    if counts["refused"] and not counts["appended"] + counts["already"]:
        show.complain("nothing was stored: correct the file and publish it again")
    elif len(outcomes) > 1:
        show.plain(
            f"{counts['appended']} appended, {counts['already']} already there, {counts['refused']} refused"
        )
