"""How the command prints: JSON for programs, tables for people, complaints on standard error."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NoReturn

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from events import LedgerError, canonical

if TYPE_CHECKING:
    from rich.progress import Progress

GAP = 2  # columns between two of a table, and before what follows of a line that is folded

BAR_WIDTH = 40  # columns, where there is room for them

# What a terminal obeys (control characters, C1 too), or what makes it show one text as another (bidirectional controls).
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class _Output(Console):
    def on_broken_pipe(self) -> NoReturn:
        _leave()


out = _Output(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def prepare() -> None:
    """Sets up the standard streams so that no text fails in them: a character that they cannot encode is written like \\u2265."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed by whoever started us
            # Taken, the number, which is the lowest that is free, is no other file's, here and in each process that we start.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            if name != "stdin":  # a command that reads it says that there is none
                setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115  # for as long as we run
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def forget_output() -> None:
    """Discards what is still to be written; otherwise Python would complain again when it flushes at exit."""
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
    """A line that separates what follows from what went before."""
    out.print(f"\n[bold]{escape(visible(text))}[/]", soft_wrap=True)


def complain(text: str) -> None:
    """One line or more on standard error."""
    err.print("\n".join(map(visible, text.split("\n"))), markup=False)


def fail(error: LedgerError) -> None:
    """An error that was raised on purpose, on standard error."""
    err.print(f"[bold red]{error.code}[/]: ", end="")
    complain(str(error))


def table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, empty: str = "nothing yet") -> None:
    """A table; or, without a row, the words for that."""
    listed = [[visible(str(cell)).strip() for cell in row] for row in rows]
    if not listed:
        plain(empty)
        return
    for line in tabulated(list(columns), listed, _room()):
        out.print(line, soft_wrap=True)


def _room() -> int | None:
    """The terminal's columns. Without a terminal there is room for any line, so that whoever searches a file or a pipe finds texts whole."""
    return out.width if sys.stdout.isatty() else None


def tabulated(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int | None) -> Iterator[Text]:
    """The lines of a table in so many columns. Nothing in it is ever cut, for a number without its last digit is another
    number: cells are folded between words, and where a column would be narrower than a word in it, each row is a block of
    lines of its own, of which a word that is wider than the terminal is folded by the terminal."""
    widths = _widths([columns, *rows], room)
    if widths is None:
        yield from _blocks(columns, rows, room or 0)
        return
    right = [all(map(_is_figure, cells)) for cells in zip(*rows, strict=True)]
    for number, row in enumerate([columns, *rows]):
        folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*folded, fillvalue=""):
            padded = map(_padded, parts, widths, right)
            yield Text((" " * GAP).join(padded).rstrip(), style="" if number else "bold")


def _widths(lines: Sequence[Sequence[str]], room: int | None) -> list[int] | None:
    """The width of each column: that of its widest cell, or less, but never less than its widest word; None if that is too wide."""
    columns = list(zip(*lines, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    if room is None:
        return widths
    least = [max(cell_len(word) for cell in column for word in _words(cell)) for column in columns]
    left = room - GAP * (len(columns) - 1)
    if sum(least) > left:
        return None
    while sum(widths) > left:
        _, widest = max((width, c) for c, width in enumerate(widths) if width > least[c])
        widths[widest] -= 1
    return widths


def _words(cell: str) -> list[str]:
    """The words of a cell, between which it may be folded: `≥ 41` is one word."""
    return [cell] if _is_figure(cell) else cell.split()


def _is_figure(cell: str) -> bool:
    """Whether it is read from its last digit on. A list of positions is not: it may be long, and begins with the first."""
    return ", " not in cell and not any(character.isalpha() for character in cell)


def _folded(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    return [line.plain.strip() for line in Text(text).wrap(out, width)]


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> Iterator[Text]:
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            if not (text := f"{column}: {cell}".strip() if column else cell):
                continue
            widest_word = max(map(cell_len, text.split()))
            first, *more = _folded(text, max(room - GAP, widest_word))
            yield Text(first)
            yield from (Text(" " * GAP + line) for line in more)
        yield Text()


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
    """Every contradiction of an answer, once; and what each origin alone would give, where that differs: of each batch, where
    several are in it."""
    found: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for answer in answers:
        for contradiction in answer.get("contradictions", []):
            found.setdefault(contradiction["says"], []).append((answer, contradiction))
    for says, told in found.items():
        out.print(
            f"[yellow]contradiction[/] between positions {positions(told[0][1]['events'])}: {escape(visible(says))}",
            soft_wrap=True,
        )
        several = len(told) > 1
        lines = (_alone(contradiction, of=answer if several else None) for answer, contradiction in told)
        for line in dict.fromkeys(line for line in lines if line):  # terms that are one have the same
            plain(f"  {line}")


def _alone(contradiction: Mapping[str, Any], *, of: Mapping[str, Any] | None) -> str:
    """What each origin alone would give, where that differs; with the batch that it is `of`."""
    alone = {a["origin"]: bounds(a.get("total") or a["size"]) for a in contradiction.get("alone", [])}
    if len(set(alone.values())) < 2:
        return ""
    batch = f"{batch_called(of)}: " if of is not None and "size" in of else ""
    return batch + "; ".join(f"on the word of {origin} alone: {figure}" for origin, figure in alone.items())


def batch_called(batch: Mapping[str, Any]) -> str:
    """`approval 4`, `approval “spring”`: what a batch is of, and its ordinal or its label."""
    which = batch["ordinal"] or batch["label"]
    return f"{batch['instrument']} {numbered(which)}" if which else str(batch["instrument"])


def numbered(batch: int | str) -> str:
    """The ordinal of a batch, or its label in quotes: the label “4” is another batch than the fourth."""
    return str(batch) if isinstance(batch, int) else f"“{batch}”"


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

    by_month = {step["on"][:7]: step for step in steps}.values()
    beside = [(step["on"], bounds(step["total"])) for step in by_month]
    most = max((step["total"]["low"] for step in by_month), default=0)
    room, words = _room(), max((cell_len(on + figure) for on, figure in beside), default=0)
    width = BAR_WIDTH if room is None else max(0, min(BAR_WIDTH, room - words - 2 * GAP))
    for step, (on, figure) in zip(by_month, beside, strict=True):
        bar = Bar(max(most, 1), 0, step["total"]["low"], width=width)
        drawn = "".join(segment.text for segment in out.render(bar)).rstrip("\n")
        plain((" " * GAP).join((on, drawn, figure)))
