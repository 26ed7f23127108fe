"""`approvals export`: an answer as a table in a file, with a description beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from projections import Answer, queries

from .. import exporting
from . import show
from .fresh import fresh_answer
from .options import (
    AtLeast,
    Data,
    Json,
    KnownAs,
    KnownAt,
    Ledger,
    Projection,
    Url,
    ValidAt,
    WholeEvidence,
    as_utf8,
    asked_as_of,
    open_ledger,
)
from .saving import save

Format = Literal["csv", "json", "parquet"]


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(export)


def export(
    projection: Projection,
    *,
    format: Annotated[
        Format | None,
        typer.Option(help="\\[default: what FILE ends with, else csv]", show_default=False),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE|-",
            help="Where to write it; FILE.meta.json, beside it, describes it. \\[default: standard output]",
            show_default=False,
            callback=as_utf8,
        ),
    ] = "-",
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    steps: Annotated[
        bool, typer.Option("--steps", help="For totals: a row for every day on which the figure may change.")
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
    """Write an answer as a table (csv, parquet), or as it is (json); docs/exporting.md has the columns.

    FILE is written whole or not at all. --json says what was written.
    """
    file = _named(out)
    chosen = format or _format_of(file)
    _check(projection, chosen, file, force, json, steps, whole_evidence)
    if chosen == "parquet":
        exporting.require_parquet()
    if file is not None:
        exporting.require_free(file, force)
    options = {"steps": steps, "whole_evidence": whole_evidence}
    question = {name: given for name, given in options.items() if given}
    ask = partial(getattr(queries, projection), **question)
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    with open_ledger(url, data, ledger) as opened:
        answer = fresh_answer(opened.log, ask, asked)
        if file is None:
            show.content(_content(answer, chosen, {}))
            return
        about = exporting.described(opened.log, answer, chosen, question)
    _save(file, answer, chosen, about, force, json)


def _named(out: str) -> Path | None:
    if not out or out.endswith("/"):
        raise typer.BadParameter(f"-o takes the name of a file, or -, not {out!r}")
    return None if out == "-" else Path(out)


def _format_of(file: Path | None) -> Format:
    match "" if file is None else file.suffix.lower():
        case "" | ".csv":
            return "csv"
        case ".json":
            return "json"
        case ".parquet":
            return "parquet"
        case ending:
            raise typer.BadParameter(
                f"{ending} is not a format: give --format csv, json or parquet, or another name with -o"
            )


def _check(
    projection: str,
    format: str,
    file: Path | None,
    force: bool,
    json: bool,
    steps: bool,
    whole_evidence: bool,
) -> None:
    if file is None and format == "parquet":
        raise typer.BadParameter("parquet goes into a file: give -o FILE")
    if file is None and force:
        raise typer.BadParameter("--force goes with -o FILE, which it replaces")
    if file is None and json:
        raise typer.BadParameter(
            "--json says what was written to -o FILE; for the answer itself give --format json"
        )
    if steps and projection != "totals":
        raise typer.BadParameter(f"--steps is for totals, not for {projection}")
    if whole_evidence and projection not in ("totals", "batches"):
        raise typer.BadParameter(f"--whole-evidence is for totals and batches, not for {projection}")


def _content(answer: Answer, format: Format, about: dict[str, Any]) -> bytes:
    if format == "json":
        return exporting.to_json(answer)
    table = exporting.tabulated(answer)
    return exporting.to_csv(table) if format == "csv" else exporting.to_parquet(table, about)


def _save(file: Path, answer: Answer, format: Format, about: dict[str, Any], force: bool, json: bool) -> None:
    content = _content(answer, format, about)
    rows = len(answer["answers"] if format == "json" else exporting.tabulated(answer).rows)
    written = save(file, content, about, force=force, rows=rows)
    if json:
        show.json(
            {"file": str(file), "metadata": str(exporting.saved_beside(file))}
            | {k: written[k] for k in ("rows", "sha256")}
        )
    else:
        show.plain(
            f"{file}: {rows} rows, as of position {answer['position']}; {exporting.saved_beside(file)} describes it"
        )
