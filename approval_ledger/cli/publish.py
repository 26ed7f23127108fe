"""`approvals publish`: events from a file into the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from events import BadQuestion, Event, Fault, IdConflict, InvalidEvent, Log, Submission, TooLarge, read_events
from projections import PROJECTIONS
from workers import ring

from . import show
from .options import Data, Json, Ledger, Url, open_ledger

CHUNK = (
    500  # events of one append with --each; where one of them is refused, the rest of its chunk go one by one
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event of a file: `appended` or `already` at a position, or `refused` with the reasons."""

    line: int
    status: str
    position: int | None = None
    source: str | None = None
    id: str | None = None
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The outcome without what does not apply."""
        fields = {
            "line": self.line,
            "status": self.status,
            "position": self.position,
            "source": self.source,
            "id": self.id,
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
            "--each", help="Take every event by itself: the good ones are stored, whatever the others are."
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
    submissions = list(read_events(_content(file)))
    if not submissions:
        raise BadQuestion(f"{file} holds no event")
    with open_ledger(url, data, ledger) as opened:
        outcomes = list(_each(opened.log, submissions) if each else _whole(opened.log, submissions))
        if any(outcome.status == "appended" for outcome in outcomes):
            ring(opened.log.client, opened.log.ledger, PROJECTIONS)
        _show(outcomes, opened.log.ledger, json)
    if any(outcome.status == "refused" for outcome in outcomes):
        raise typer.Exit(1)


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise BadQuestion(f"cannot read {file}: {error.strerror}") from None


def _whole(log: Log, submissions: Sequence[Submission]) -> Iterator[Outcome]:
    events = [submission.event for submission in submissions if submission.event is not None]
    if len(events) < len(submissions):
        yield from (_refused(s, s.faults) for s in submissions if s.event is None)
        return
    try:
        receipts = log.append(events)
    except IdConflict as error:
        yield _refused(submissions[error.index], [Fault(error.code, str(error))])
    except InvalidEvent as error:
        for fault in error.faults:
            yield _refused(submissions[fault.index or 0], [fault])
    else:
        for submission, receipt in zip(submissions, receipts, strict=True):
            status = "already" if receipt.duplicate else "appended"
            yield Outcome(submission.line, status, receipt.position, receipt.source, receipt.id)


def _each(log: Log, submissions: Sequence[Submission]) -> Iterator[Outcome]:
    for start in range(0, len(submissions), CHUNK):
        chunk = submissions[start : start + CHUNK]
        good = [submission for submission in chunk if submission.event is not None]
        stored = iter(_together_or_one_by_one(log, good))
        for submission in chunk:
            yield _refused(submission, submission.faults) if submission.event is None else next(stored)


def _together_or_one_by_one(log: Log, good: Sequence[Submission]) -> list[Outcome]:
    try:
        outcomes = list(_whole(log, good)) if good else []
        if len(outcomes) == len(good) and all(outcome.status != "refused" for outcome in outcomes):
            return outcomes
    except TooLarge:
        pass  # too much for one append, maybe not for one each
    return [_one(log, submission) for submission in good]


def _one(log: Log, submission: Submission) -> Outcome:
    try:
        (outcome,) = _whole(log, [submission])
    except TooLarge as error:
        return _refused(submission, [Fault(error.code, str(error))])
    return outcome


def _refused(submission: Submission, faults: Sequence[Fault]) -> Outcome:
    event: Event | None = submission.event
    reasons = tuple(
        f"{fault.code}: {': '.join(filter(None, (fault.field, fault.message)))}" for fault in faults
    )
    return Outcome(
        submission.line,
        "refused",
        source=event.source if event else None,
        id=event.id if event else None,
        reasons=reasons,
    )


def _show(outcomes: Sequence[Outcome], ledger: str, json: bool) -> None:
    counts = {
        status: sum(outcome.status == status for outcome in outcomes)
        for status in ("appended", "already", "refused")
    }
    if json:
        show.json({"ledger": ledger, **counts, "events": [outcome.to_json() for outcome in outcomes]})
        return
    for outcome in outcomes:
        if outcome.status == "refused":
            show.complain(f"line {outcome.line}: refused: {'; '.join(outcome.reasons)}")
        else:
            where = "appended at" if outcome.status == "appended" else "already at"
            show.plain(f"line {outcome.line}: {where} {outcome.position}  {outcome.id}")
    if counts["refused"] and not counts["appended"] + counts["already"]:
        show.complain("nothing was stored: correct the file and publish it again")
    elif len(outcomes) > 1:
        show.plain(
            f"{counts['appended']} appended, {counts['already']} already there, {counts['refused']} refused"
        )
