"""`approvals cite`: a reference to an answer, and whether one still holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from events import BadQuestion
from projections import Asked, citations

from . import show
from .options import (
    AtLeast,
    Data,
    Json,
    KnownAs,
    KnownAt,
    Ledger,
    Url,
    ValidAt,
    as_utf8,
    asked_as_of,
    open_ledger,
)


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(cite)


def cite(
    projection: Annotated[
        str | None, typer.Argument(metavar="PROJECTION", help=f"One of {', '.join(citations.PARAMETERS)}.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Any name of a company, for its history.", callback=as_utf8),
    ] = None,
    *,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="Ask again what REF asked, and compare.", show_default=False, callback=as_utf8
        ),
    ] = None,
    authority: Annotated[
        str | None,
        typer.Option(help="For totals and shares, like the next two.", show_default=False, callback=as_utf8),
    ] = None,
    instrument: Annotated[str | None, typer.Option(show_default=False, callback=as_utf8)] = None,
    unit: Annotated[str | None, typer.Option(show_default=False, callback=as_utf8)] = None,
    estimator: Annotated[
        str | None,
        typer.Option(help="For shares: whose stock it is a share of.", show_default=False, callback=as_utf8),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="For shares: the region of the stock.", show_default=False, callback=as_utf8),
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
    """Print a reference: one line that says what was asked, of which log, and with what result. It pins the position, and stays true.

    --check asks again: exit code 0 if the log gives the same bytes, 1 with the reason if it does not.
    """
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    parts = {
        "name": name,
        "authority": authority,
        "instrument": instrument,
        "unit": unit,
        "estimator": estimator,
        "region": region,
    }
    question = {part: value for part, value in parts.items() if value is not None}
    if check is not None:
        if projection is not None or question or asked != asked_as_of(None, None, "recorded", 0):
            raise typer.BadParameter("--check REF asks what REF asked: give nothing else with it")
        _check(check, url, data, ledger, json)
    else:
        _cite(_known(projection), question, asked, url, data, ledger, json)


def _known(projection: str | None) -> str:
    if projection not in citations.PARAMETERS:
        raise typer.BadParameter(
            f"give a projection, one of {', '.join(citations.PARAMETERS)}; or --check REF"
        )
    return projection


def _cite(
    projection: str,
    question: Mapping[str, citations.Value],
    asked: Asked,
    url: str | None,
    data: Path | None,
    ledger: str | None,
    json: bool,
) -> None:
    if surplus := question.keys() - citations.PARAMETERS[projection].keys():
        raise typer.BadParameter(f"{projection} takes no {min(surplus)}")
    with open_ledger(url, data, ledger) as opened:
        cited = citations.cite(opened.log, projection, question, **asked)
    if json:
        show.json(cited.to_json())
    else:
        show.raw(str(cited).encode())


def _check(reference: str, url: str | None, data: Path | None, ledger: str | None, json: bool) -> None:
    try:
        cited = citations.parse(reference)
    except BadQuestion as error:
        raise typer.BadParameter(show.visible(str(error))) from None
    if ledger is not None and ledger != cited.ledger:
        raise typer.BadParameter(f"the reference is to ledger {cited.ledger}: leave --ledger out")
    with open_ledger(url, data, cited.ledger) as opened:
        checked = citations.check(opened.log, cited)
    if json:
        show.json(checked.to_json())
    elif checked.same:
        show.plain(checked.says)
    if not checked.same:
        show.complain(f"{checked.reason}: {checked.says}")
        raise typer.Exit(1)
