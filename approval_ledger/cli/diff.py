"""`approvals diff`: every figure that changed between two positions, and what changed it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from events import BadQuestion, InvalidEvent, loads
from projections import Answer
from projections import diff as between

from . import show
from .options import Data, Json, Ledger, Projection, Url, ValidAt, open_ledger, position

OF_SHOWN = 80  # characters of a claim, which is as long as what it says
CHANGES_SHOWN = 200
EVENTS_SHOWN = 12  # of a cause


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("diff")(diff)


def diff(
    projection: Projection,
    *,
    since: Annotated[
        str,
        typer.Option(
            "--from", metavar="N|FILE", help="A position, or a file with an answer that --json printed."
        ),
    ],
    upto: Annotated[
        int | None,
        typer.Option(
            "--to", metavar="N", min=0, help="A position. \\[default: the head]", show_default=False
        ),
    ] = None,
    valid_at: ValidAt = None,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Every figure that changed, and why: a new event, a correction, or a new version of the projection."""
    if not since:
        raise typer.BadParameter("--from takes a position, or a file with an answer, not ''")
    at = position(since)
    start = _kept(since) if at is None else at
    with open_ledger(url, data, ledger) as opened:
        try:
            answer = between(opened.log, projection, since=start, upto=upto, valid_at=valid_at)
        except BadQuestion as error:
            if at is not None or error.parameter != "from":
                raise
            raise BadQuestion(f"{since}: {error}") from None
    if json:
        show.json(answer)
        return
    show.table(
        ["of", "figure", "from", "to", "because"],
        (
            [
                _short(change["of"]) if projection == "sources" else change["of"],
                change["figure"],
                _value(change["from"]),
                _value(change["to"]),
                _because(change),
            ]
            for change in answer["changes"][:CHANGES_SHOWN]
        ),
        empty="no figure changed",
    )
    if (more := len(answer["changes"]) - CHANGES_SHOWN) > 0:
        show.plain(f"{more:,} more {'change' if more == 1 else 'changes'}, which --json has")
    show.plain(
        f"ledger {answer['ledger']} from position {answer['from']} to {answer['to']}, {projection} "
        f"version {answer['version']}, digest {answer['digest'][:16]}"
    )


def _kept(file: str) -> Answer:
    try:
        kept = loads(Path(file).read_bytes())
    except OSError as error:
        raise BadQuestion(f"cannot read {file}: {error.strerror}") from None
    except InvalidEvent as error:
        reasons = "; ".join(map(str, error.faults))
        raise BadQuestion(f"{file} holds no answer as --json prints it: {reasons}") from None
    if not isinstance(kept, dict):
        raise BadQuestion(f"{file} holds no answer as --json prints it")
    return kept


def _short(of: str) -> str:
    return of if len(of) <= OF_SHOWN else f"{of[: OF_SHOWN - 1]}…"


def _value(value: Any) -> str:
    match value:
        case None:
            return "-"
        case {"low": float() | int(), "high": float()}:
            return show.percent(value)
        case {"low": _, "high": _}:
            return show.bounds(value)
        case list():
            return "; ".join(show.positions(events) for events in value)
    return str(value)


def _because(change: dict[str, Any]) -> str:
    """`correction 2, 3; new event 4, 5 and 7 more`: the first events of each cause, whatever the number of steps."""
    found: dict[str, set[int]] = {}
    versions = ""
    more = 0
    for cause in change["because"]:
        found.setdefault(cause["cause"], set()).update(cause.get("events", []))
        more += cause.get("more", 0)
        if "versions" in cause:
            versions = " {} to {}".format(*cause["versions"])
    more += sum(max(0, len(events) - EVENTS_SHOWN) for events in found.values())
    words = [
        f"{cause}{versions if not events else ' ' + show.positions(sorted(events)[:EVENTS_SHOWN])}"
        for cause, events in found.items()
    ]
    return "; ".join(words) + (f" and {more:,} more" if more else "")
