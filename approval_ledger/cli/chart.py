"""`approvals chart`: an answer as a picture, or as the specification of one."""

from __future__ import annotations

import json as json_text
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from .. import charts, exporting
from . import show
from .fresh import fresh_answer
from .options import (
    AtLeast,
    Data,
    Json,
    KnownAs,
    KnownAt,
    Ledger,
    ProjectionName,
    Url,
    ValidAt,
    as_utf8,
    asked_as_of,
    open_ledger,
)
from .saving import as_json, save

SCALE = 2.0
_HAN = re.compile("[\u3400-\u9fff]")


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(chart)


def chart(
    of: Annotated[
        ProjectionName, typer.Argument(metavar="CHART", help="totals, batches, companies, shares or sources.")
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="For companies: any name of one, for its timeline.", callback=as_utf8
        ),
    ] = None,
    *,
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Where to write it: FILE.png or FILE.svg, or FILE.json for the Vega-Lite specification.",
            show_default=False,
            callback=as_utf8,
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    authority: Annotated[
        str | None,
        typer.Option(help="For totals, like the next two.", show_default=False, callback=as_utf8),
    ] = None,
    instrument: Annotated[str | None, typer.Option(show_default=False, callback=as_utf8)] = None,
    unit: Annotated[str | None, typer.Option(show_default=False, callback=as_utf8)] = None,
    language: Annotated[
        charts.Language, typer.Option(help="The language of labels: English or Chinese.")
    ] = "en",
    theme: Annotated[charts.Theme, typer.Option(help="Light or dark paper.")] = "light",
    width: Annotated[
        int, typer.Option(metavar="PIXELS", min=charts.NARROWEST, max=charts.WIDEST)
    ] = charts.WIDTH,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0.5,
            max=8.0,
            help="For PNG: how many pixels to draw for each pixel of --width. \\[default: 2.0]",
            show_default=False,
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
    """Draw an answer, and print the same in words for those who cannot see it. FILE is written whole or not at all; FILE.meta.json,
    beside it, says what it shows and on whose word.
    """
    file, rendered = _rendering(out, scale)
    parts = {"name": name, "authority": authority, "instrument": instrument, "unit": unit}
    given = {part: value for part, value in parts.items() if value is not None}
    if surplus := given.keys() - set(charts.CHARTS[of]):
        raise typer.BadParameter(f"the chart of {of} takes no {min(surplus)}")
    exporting.require_free(file, force)
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    with open_ledger(url, data, ledger) as opened:
        question = charts.question(of, given)
        answer = fresh_answer(opened.log, question, asked)
        specification = charts.chart(opened.log, answer, charts.Look.of(language, theme, width))
        about = exporting.described(opened.log, answer, "json", question.keywords)
    about |= {"format": file.suffix[1:].lower(), "description": specification["description"]}
    content = rendered(specification)
    if file.suffix.lower() == ".png":
        _warn_of_missing_characters(specification)
    save(file, content, about, force=force)
    if json:
        show.json({"file": str(file), "metadata": str(exporting.saved_beside(file)), **about})
    else:
        show.plain(
            f"{file}, as of position {answer['position']}; {exporting.saved_beside(file)} describes it"
        )
        show.plain(specification["description"])


def _rendering(out: str, scale: float | None) -> tuple[Path, Callable[[charts.Specification], bytes]]:
    file = Path(out)
    if scale is not None and file.suffix.lower() in (".json", ".svg"):
        raise typer.BadParameter("--scale goes with -o FILE.png: only a PNG has pixels")
    match file.suffix.lower():
        case ".json":
            return file, as_json
        case ".svg":
            charts.require_rendering()
            return file, charts.to_svg
        case ".png":
            charts.require_rendering()
            return file, lambda specification: charts.to_png(specification, SCALE if scale is None else scale)
        case _:
            raise typer.BadParameter(f"-o takes a name that ends with .png, .svg or .json, not {out!r}")


def _warn_of_missing_characters(specification: charts.Specification) -> None:
    if _HAN.search(json_text.dumps(specification, ensure_ascii=False)) and not charts.can_draw("中文"):
        show.complain(
            "no font here has Chinese characters, so they are drawn as boxes: install one, such as Noto Sans CJK, "
            "or write an .svg, which is drawn with the fonts of whoever opens it"
        )
