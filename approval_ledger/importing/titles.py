"""When two column titles are the same, and what a cell says apart from its layout and its notes."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from events import name_key

TITLE_LIMIT = 100  # characters
NAME_LIMIT = 400  # characters: twice what a name may have

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−－﹣"), "-")

_BRACKETED = re.compile(r"[(（【\[〔][^()（）【】\[\]〔〕]*[)）】\]〕]")
_MARKS = "*＊※†‡:：#⁰¹²³⁴⁵⁶⁷⁸⁹①②③④⑤⑥⑦⑧⑨⑩"
_NOTE = re.compile(
    r"(?:[*＊※†‡⁰¹²³⁴⁵⁶⁷⁸⁹①②③④⑤⑥⑦⑧⑨⑩]|\[\d{1,2}\]|【\d{1,2}】"
    r"|[\[【（(](?:注\s*\d{0,2}|note\s*\d{1,2})[\]】）)]|[（(](?:注\s*\d{0,2}|note\s*\d{1,2})[:：][^（）()]*[）)])+\s*$",
    re.IGNORECASE,
)
_BETWEEN_WIDE = re.compile(
    r"(?<=[\u2e80-\u9fff\uff00-\uffef\u3000-\u303f])\s+(?=[\u2e80-\u9fff\uff00-\uffef\u3000-\u303f])"
)
_NOTHING = frozenset({"-", "--", "---", "—", "——", "/", "\\", "无", "暂无", "n/a"})


_NOTHING_LIMIT = 12  # characters, with white space


@lru_cache(maxsize=65_536)
def title_key(text: str) -> str:
    """The key by which column titles are compared: without white space, text in brackets, and marks of notes."""
    if len(text) > TITLE_LIMIT:  # not a title, and not worth a look: most cells come through here
        return ""
    written = "".join(name_key(text).split())
    bare = _BRACKETED.sub("", written).strip(_MARKS)
    return bare or written


def title(text: str) -> str:
    """A title in a form that an event may contain: on one line."""
    return _BETWEEN_WIDE.sub("", " ".join(text.split()))


def name(text: str) -> str:
    """The name in a cell: on one line, without the mark of a note at its end. Chinese text is joined at line breaks."""
    return _without_note(title(text)).strip()


def number(text: str) -> str:
    """The registry number in a cell, without white space, widths and the kind of its dashes: in one spelling, so that what ends an
    approval names the same number as what granted it. The published cells keep the original."""
    return visible_key(_without_note("".join(text.split())))


def _without_note(text: str) -> str:
    bare = unmarked(text)
    return bare if len(bare) != 1 else text  # `Q*` is a name


def unmarked(text: str) -> str:
    """A text on one line without the marks of notes at its end, even if they leave a single character."""
    # The pattern's time grows with the square of the text's length, and a longer text is not a name.
    return text if len(text) > NAME_LIMIT else _NOTE.sub("", text)


def number_key(text: str) -> str:
    """The key of a registry number: without white space, widths, case, and which of the dashes it has."""
    return "".join(name_key(text.translate(_DASHES)).split())


def visible_key(text: str) -> str:
    """The text as it looks, without white space, widths and the kind of its dashes; unlike in a number's key, case counts."""
    seen = (character for character in text.translate(_DASHES) if unicodedata.category(character) != "Cf")
    return "".join(unicodedata.normalize("NFKC", "".join(seen)).split())


def is_nothing(text: str) -> bool:
    """Whether a cell is empty, or says that it is."""
    if len(text) > _NOTHING_LIMIT:
        return not text.strip()
    key = name_key(text)
    return not key or key in _NOTHING


def emptiness(text: str) -> str:
    """What is wrong with a cell that says nothing, but has to."""
    said = text.strip()
    return f"is empty: {said!r} means that there is nothing" if said else "is empty"
