"""The date in a cell: year first, and partial if the cell is. What could be read in two ways is not read."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from events import date_range

_DAY = re.compile(
    r"(?P<year>\d{4})(?:"
    r"年(?:(?P<m1>\d{1,2})月(?:(?P<d1>\d{1,2})[日号]?)?)?"
    r"|(?P<sep>[-/.])(?P<m2>\d{1,2})(?:(?P=sep)(?P<d2>\d{1,2}))?"
    r"|(?P<m3>\d{2})(?P<d3>\d{2})"
    r")?",
    re.ASCII,
)
_TIME = re.compile(r"(?<=\d)(?:T|\s+)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?!\d)", re.ASCII)
_LAYOUT = re.compile(r"(?<!\d) | (?!\d)")  # not between digits: `3 1` is not 31
_NOTE = re.compile(r"[(\[【](?P<in>[^()\[\]【】]*)[)\]】]|(?P<bare>补登|补录|补备案|补充登记)")
_MARK = re.compile(r"[²³¹⁰⁴-⁹①-⑳]")  # of a note, which would become digits of the date
_MONTH = re.compile(r"(\d{4})\s*年\s*(\d{1,2})\s*月(?:\s*(\d{1,2})\s*日)?", re.ASCII)
_AND_MORE = re.compile(r"[月日]\s*[、,和及与至到~—–-]\s*\d{1,2}\s*[月日]", re.ASCII)  # `2022年10月、11月`
_WHOLE = re.compile(r"(?<!\d)\d{4}(?:年\d{1,2}月(?:\d{1,2}日)?|([-/.])\d{1,2}\1\d{1,2})", re.ASCII)
_RANGE = re.compile(r"\d{4}[年/.-]\d{1,2}[月/.-]?(?:\d{1,2}日?)?[至到~—–]", re.ASCII)
KNOWN_NOTES = frozenset({"补登", "补录", "补备案", "补充登记"})


@dataclass(frozen=True, slots=True)
class Dated:
    """A partial date, and the notes next to it in the cell."""

    on: str
    notes: tuple[str, ...] = ()


def read(text: str) -> Dated:
    """The date in a cell. Raises ValueError, which says what is wrong with it."""
    plain = _joined(_TIME.sub("", unicodedata.normalize("NFKC", _MARK.sub("*", text)).strip()))
    notes = tuple(found["in"] or found["bare"] or "" for found in _NOTE.finditer(plain))
    # What stood on both sides of a note is as far apart without it.
    match = _DAY.fullmatch(_joined(_NOTE.sub(" ", plain)).strip(",;，；"))
    if match is None:
        raise ValueError(_complaint(text, plain))
    if re.fullmatch(r"\d{4}\.1", plain, re.ASCII):
        raise ValueError(
            f"{plain!r} may be January, or October without its zero: write it as 2023-01 or 2023-10"
        )
    month = match["m1"] or match["m2"] or match["m3"]
    day = match["d1"] or match["d2"] or match["d3"]
    return Dated(_partial(match["year"], month, day), tuple(note for note in notes if note))


def _joined(text: str) -> str:
    return _LAYOUT.sub("", " ".join(text.split()))


def _partial(year: str, month: str | None, day: str | None) -> str:
    written = "-".join([year, *(f"{int(part):02d}" for part in (month, day) if part)])
    date_range(written)
    return written


def _complaint(text: str, plain: str) -> str:
    shown = repr(" ".join(text.split())[:60])
    if len(_WHOLE.findall(plain)) > 1 or _RANGE.match(plain):
        return f"{shown} has several dates: write only the day of the approval here, and the others in the remark"
    if (day := _WHOLE.match(plain)) and re.search(r"[^\W\d]", plain[day.end() :]):
        return f"{shown} has words next to the date: write them in brackets, such as 2024/1/2（补登）, or in the remark"
    if re.fullmatch(r"\d{5}(\.\d+)?", plain):
        return f"{shown} is a spreadsheet's number for a day, without the format: format the cell as a date"
    if re.search(r"(?<![-/.\d])\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}", plain):
        return (
            f"{shown} does not say which is the day and which the month: write the year first, as 2024/1/31"
        )
    return f"{shown} is not a date: write it as 2024/1/31, 2024年1月31日 or, if no more is known, 2024年1月"


def _months(text: str) -> set[tuple[str, ...]]:
    return {match.groups() for match in _MONTH.finditer(text)}


def is_heading(text: str) -> bool:
    """Whether a line is a heading with its month, and not a sentence that mentions a month."""
    plain = unicodedata.normalize("NFKC", text)
    in_brackets = any(_months(found["in"] or "") for found in _NOTE.finditer(plain))
    return in_brackets or re.search("[,。;]", plain) is None


def in_caption(text: str) -> str | None:
    """The one date in a heading such as `…清单（2022年10月）`, or None. A date in brackets takes precedence."""
    plain = unicodedata.normalize("NFKC", text)
    in_brackets = " ".join(found["in"] or "" for found in _NOTE.finditer(plain))
    dated = in_brackets if _months(in_brackets) else plain
    found = _months(dated)
    if len(found) != 1 or _AND_MORE.search(dated):
        return None
    try:
        return _partial(*found.pop())
    except ValueError:
        return None
