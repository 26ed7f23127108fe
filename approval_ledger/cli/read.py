"""`approvals events`, `totals`, `batches`, `companies`, `shares`, `sources`: the questions that a reader can ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from events import InvalidEvent, Lagging, Log, RecordedEvent, as_json_line, loads
from projections import Answer, Asked, queries

from ..listing import listed
from . import show
from .answers import (
    show_batches,
    show_companies,
    show_company,
    show_share_of_stock,
    show_shares,
    show_sources,
    show_suspects,
    show_totals,
)
from .fresh import fresh_answer
from .options import (
    AtLeast,
    Data,
    Json,
    KnownAs,
    KnownAt,
    Ledger,
    Url,
    ValidAt,
    WholeEvidence,
    as_utf8,
    asked_as_of,
    open_ledger,
)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (events, totals, batches, companies, shares, sources):
        app.command()(command)


def events(
    *,
    after: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Only events after position N (backwards: before N; 0: all)."),
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most N events.", show_default=False)
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="S", help="Only events of this subject.", show_default=False, callback=as_utf8),
    ] = None,
    backwards: Annotated[bool, typer.Option("--backwards", help="Newest first.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for new events, until Ctrl-C.")] = False,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """List the events; with --json each as it is stored, one CloudEvent a line (NDJSON)."""
    if follow and (backwards or subject is not None):
        raise typer.BadParameter("--follow goes with neither --backwards nor --subject")
    with open_ledger(url, data, ledger) as opened:
        log = opened.log
        line = _as_json if json else _as_text
        if follow and after > (head := log.head()):
            raise Lagging(f"ledger {log.ledger} ends at position {head}: it has no position {after} yet")
        try:
            last = after
            for recorded in listed(log, after=after, limit=limit, subject=subject, backwards=backwards):
                line(recorded)
                last = recorded.position
                limit = None if limit is None else limit - 1
            if follow and limit != 0:
                _follow(log, last, limit, line)
        except KeyboardInterrupt:
            if not follow:
                raise


def _follow(log: Log, after: int, limit: int | None, line: Callable[[RecordedEvent], None]) -> None:
    for recorded in log.follow(after):
        if recorded is not None:
            line(recorded)
            limit = None if limit is None else limit - 1
            if limit == 0:
                return


def _as_json(recorded: RecordedEvent) -> None:
    show.raw(as_json_line(recorded))


def _as_text(recorded: RecordedEvent) -> None:
    time = recorded.recorded_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    show.plain(f"{recorded.position:>6}  {time}  {_described(recorded)}")


def _described(recorded: RecordedEvent) -> str:
    # Not decoded: an event of a version that this software does not know has its place in the list, too.
    try:
        event = loads(recorded.payload)
        return f"{event['type']:<22}  {event['id']}  ({event['source']})"
    except (InvalidEvent, KeyError, TypeError):
        return "(holds no event)"


def totals(
    *,
    authority: Annotated[
        str | None, typer.Option(help="Only of this authority.", show_default=False, callback=as_utf8)
    ] = None,
    instrument: Annotated[
        str | None, typer.Option(help="Only of this instrument.", show_default=False, callback=as_utf8)
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Only of this unit.", show_default=False, callback=as_utf8)
    ] = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="At every day on which the figure may change.")
    ] = False,
    whole_evidence: WholeEvidence = False,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """How many approvals there are, at the last day that the ledger speaks of, as bounds with their evidence."""

    ask = partial(
        queries.totals,
        authority=authority,
        instrument=instrument,
        unit=unit,
        steps=steps,
        whole_evidence=whole_evidence,
    )
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    shown = show_totals if authority is instrument is unit is None else _show_totals_of_terms
    _answer(ask, asked, shown, url, data, ledger, json)


def batches(
    *,
    whole_evidence: WholeEvidence = False,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """The batches: size, who is named, how many are not, and the total just before."""

    ask = partial(queries.batches, whole_evidence=whole_evidence)
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    _answer(ask, asked, show_batches, url, data, ledger, json)


def companies(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Any name of a company, for its history.", callback=as_utf8),
    ] = None,
    *,
    suspects: Annotated[
        bool,
        typer.Option(
            "--suspects",
            help="Pairs of names that look alike and that no event joins; with --json, the events that would.",
        ),
    ] = False,
    actor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For --suspects --json: on whose word the names would be joined. \\[default: editor]",
            show_default=False,
            callback=as_utf8,
        ),
    ] = None,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """The companies with their approvals; or one, by any of its names, with its history."""
    if suspects and name is not None:
        raise typer.BadParameter("--suspects compares all companies: give no NAME")
    if actor is not None and not (suspects and json):
        raise typer.BadParameter(
            "--actor goes with --suspects --json: it is named in the events that these propose"
        )
    shown = show_companies if name is None else show_company
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    if suspects:
        from ..suspects import found, proposal, slugs_of_mergers

        with open_ledger(url, data, ledger) as opened:
            answer = fresh_answer(opened.log, queries.company_names, asked)
            pairs = found(answer)
            # A merger may name a company that no event identifies, on whatever day it was.
            every_day: Asked = {**asked, "valid_at": None}
            taken = slugs_of_mergers(fresh_answer(opened.log, queries.sources, every_day)) if pairs else ()
        by = "editor" if actor is None else actor
        show_suspects(answer, [(pair, proposal(pair, answer, by, taken)) for pair in pairs], json)
    else:
        _answer(partial(queries.companies, name=name), asked, shown, url, data, ledger, json)


def shares(
    *,
    approvals: Annotated[
        str | None,
        typer.Option(
            metavar="AUTHORITY/INSTRUMENT/UNIT",
            help="Ask what share these approvals are of --stock.",
            show_default=False,
            callback=as_utf8,
        ),
    ] = None,
    stock: Annotated[
        str | None,
        typer.Option(
            metavar="ESTIMATOR/REGION",
            help="An estimator's stock of models.",
            show_default=False,
            callback=as_utf8,
        ),
    ] = None,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Each estimator's stocks and shares, as intervals, with what they imply for the world and for the other regions."""
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    if approvals is None and stock is None:
        _answer(queries.shares, asked, show_shares, url, data, ledger, json)
        return
    if approvals is None or stock is None:
        raise typer.BadParameter("give both --approvals and --stock")
    authority, instrument, unit = _parts("--approvals", "AUTHORITY/INSTRUMENT/UNIT", approvals.split("/"))
    estimator, region = _parts("--stock", "ESTIMATOR/REGION", stock.rsplit("/", 1))  # no region has a slash

    ask = partial(
        queries.share_of_stock,
        authority=authority,
        instrument=instrument,
        unit=unit,
        estimator=estimator,
        region=region,
    )
    _answer(ask, asked, show_share_of_stock, url, data, ledger, json)


def sources(
    *,
    after: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only claims that were first made after position N.")
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most N claims.", show_default=False)
    ] = None,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Every claim, who makes it, and how many independent origins that leaves."""

    ask = partial(queries.sources, after=after, limit=limit)
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    _answer(ask, asked, show_sources, url, data, ledger, json)


def _parts(option: str, form: str, parts: list[str]) -> list[str]:
    if len(parts) != len(form.split("/")) or not all(parts):
        raise typer.BadParameter(f"{option} is {form}, not {'/'.join(parts)!r}")
    return parts


def _answer(
    ask: Callable[..., Answer],
    asked: Asked,
    shown: Callable[[Answer], None],
    url: str | None,
    data: Any,
    ledger: str | None,
    json: bool,
) -> None:
    with open_ledger(url, data, ledger) as opened:
        answer = fresh_answer(opened.log, ask, asked)
    if json:
        show.json(answer)
    else:
        shown(answer)
        if "parked" in answer:
            left_out = show.positions(answer["parked"])
            show.plain(
                f"not counting events that could not be applied, at positions {left_out}: `approvals park list` says why"
            )
        show.plain(_footer(answer))


def _footer(answer: Answer) -> str:
    axes = [
        *([f"valid at {answer['valid_at']}"] if "valid_at" in answer else []),
        *([f"known at {answer['known_at']}"] if "known_at" in answer else []),
        *(["as published"] if "known_as" in answer else []),
    ]
    return ", ".join(
        [
            f"ledger {answer['ledger']} at position {answer['position']}",
            *axes,
            f"{answer['projection']} version {answer['version']}",
            f"digest {answer['digest'][:16]}",
        ]
    )


def _show_totals_of_terms(answer: Answer) -> None:
    show_totals(
        answer,
        empty="nothing is counted in these terms: `approvals totals` without --authority, --instrument and --unit lists what is counted",
    )
