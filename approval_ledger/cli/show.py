"""How the command prints: JSON for programs, tables for people, complaints on standard error."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from events import LedgerError, canonical

if TYPE_CHECKING:
    from rich.progress import Progress

WIDE = 140  # columns, where the output is no terminal: a file or a pager does not wrap

BAR_WIDTH = 40  # columns

# What a terminal obeys (control characters, C1 too), or what makes it show one text as another (bidirectional controls).
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class _Output(Console):
    def on_broken_pipe(self) -> NoReturn:
        _leave()


_wide = None if sys.stdout is not None and sys.stdout.isatty() else WIDE
out = _Output(highlight=False, emoji=False, width=_wide)
err = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def prepare() -> None:
    """Makes the standard streams such that no text can fail in them: a character they cannot hold is written as \\u2265."""
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # open for as long as we run
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def forget_output() -> None:
    """What is still to be written is not; else Python would complain of it once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave() -> NoReturn:
    forget_output()
    raise SystemExit(0)  # whoever read our output has enough


def visible(text: str) -> str:
    """`text` on one line, with the control characters in it written out: an event or a name never does anything."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def json(value: Any) -> None:
    """One JSON document on one line, in canonical form: equal answers are equal bytes."""
    raw(canonical(value))


def raw(line: bytes) -> None:
    """Bytes as they are, and a newline."""
    content(line + b"\n")


def content(whole: bytes) -> None:
    """Bytes as they are: what a file would hold."""
    try:
        sys.stdout.buffer.write(whole)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _leave()


def plain(text: str) -> None:
    """A line for people. What came from a source is text, never markup."""
    out.print(visible(text), markup=False, soft_wrap=True)


def heading(text: str) -> None:
    """A line that parts what follows from what went before."""
    out.print(f"\n[bold]{escape(visible(text))}[/]")


def complain(text: str) -> None:
    """One line or more on standard error."""
    err.print("\n".join(map(visible, text.split("\n"))), markup=False)


def fail(error: LedgerError) -> None:
    """An error that was raised on purpose, on standard error."""
    err.print(f"[bold red]{error.code}[/]: ", end="")
    complain(str(error))


def table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, empty: str = "nothing yet") -> None:
    """A table; or, without a row, the words for that."""
    listed = [[escape(visible(str(cell))) for cell in row] for row in rows]
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
                f"{escape(visible(contradiction['says']))}",
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
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

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
    from rich.bar import Bar

    by_month = {step["on"][:7]: step for step in steps}
    most = max((step["total"]["low"] for step in by_month.values()), default=0)
    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for step in by_month.values():
        bar = Bar(max(most, 1), 0, step["total"]["low"], width=BAR_WIDTH)
        drawn.add_row(step["on"], bar, bounds(step["total"]))
    out.print(drawn)
