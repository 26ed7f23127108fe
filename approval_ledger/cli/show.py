"""How the command prints: JSON for programs, tables for people, complaints on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.bar import Bar
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from events import canonical

WIDE = 140  # columns, where the output is no terminal: a file or a pager does not wrap

out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


BAR_WIDTH = 40  # columns


def json(value: Any) -> None:
    """One JSON document on one line, in canonical form: equal answers are equal bytes."""
    raw(canonical(value))


def raw(line: bytes) -> None:
    """Bytes as they are, and a newline."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def plain(text: str) -> None:
    """A line for people. What came from a source is text, never markup."""
    out.print(text, markup=False, soft_wrap=True)


def heading(text: str) -> None:
    """A line that parts what follows from what went before."""
    out.print(f"\n[bold]{escape(text)}[/]")


def complain(text: str) -> None:
    """A line on standard error."""
    err.print(text, markup=False)


def table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, empty: str = "nothing yet") -> None:
    """A table; or, without a row, the words for that."""
    listed = [[escape(str(cell)) for cell in row] for row in rows]
    if not listed:
        plain(empty)
        return
    drawn = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        cells = [row[index] for row in listed]
        figures = all(not any(character.isalpha() for character in cell) for cell in cells)
        drawn.add_column(column, justify="right" if figures else "left", no_wrap=figures, overflow="fold")
    for row in listed:
        drawn.add_row(*row)
    out.print(drawn)


def bounds(interval: Mapping[str, int | None]) -> str:
    """`≥ 41`, `86`, `321–329`."""
    low, high = interval["low"], interval["high"]
    if high is None:
        return f"≥ {low:,}"
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def percent(share: Mapping[str, float]) -> str:
    """`39.5–40.5 %`."""
    low, high = share["low"], share["high"]
    return f"{low:g} %" if low == high else f"{low:g}–{high:g} %"


def positions(found: Iterable[int]) -> str:
    """`5, 6`."""
    return ", ".join(map(str, found))


def contradictions(answers: Iterable[Mapping[str, Any]]) -> None:
    """Every contradiction of an answer, once; and what each origin alone would give, where that differs."""
    said: set[str] = set()
    for answer in answers:
        for contradiction in answer.get("contradictions", []):
            if contradiction["says"] in said:
                continue
            said.add(contradiction["says"])
            out.print(
                f"[yellow]contradiction[/] between positions {positions(contradiction['events'])}: "
                f"{escape(contradiction['says'])}",
                soft_wrap=True,
            )
            alone = {a["origin"]: bounds(a.get("total") or a["size"]) for a in contradiction.get("alone", [])}
            if len(set(alone.values())) > 1:
                plain(
                    "  "
                    + "; ".join(
                        f"on the word of {origin} alone: {figure}" for origin, figure in alone.items()
                    )
                )


def progress() -> Progress:
    """A bar with a rate, on standard error, where that is a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def chart(steps: Iterable[Mapping[str, Any]]) -> None:
    """A total over time: a bar up to its lowest value for each day (the last of a month), and both bounds in figures."""
    by_month = {step["on"][:7]: step for step in steps}
    most = max((step["total"]["low"] for step in by_month.values()), default=0)
    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for step in by_month.values():
        bar = Bar(max(most, 1), 0, step["total"]["low"], width=BAR_WIDTH)
        drawn.add_row(step["on"], bar, bounds(step["total"]))
    out.print(drawn)
