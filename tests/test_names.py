"""When two spellings are one name."""

from __future__ import annotations

import sys
import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import name_key

from .long import only_long

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize(
    ("spelling", "same_as"),
    [
        ("Ａｃｍｅ", "acme"),
        ("ﬁrm", "firm"),
        ("E\u0301cole", "École"),
        ("a\u00a0b", "a b"),
        ("a\u3000b", "a b"),
        ("  Moonshot   AI ", "moonshot ai"),
        ("STRASSE", "Straße"),
        ("①", "1"),
        ("０１．ＡＩ", "01.ai"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("a\u200bb", "ab"),
        ("e\u200b\u0301", "é"),
        ("Bai\u00addu", "baidu"),
        ("Baidu\ufe0f", "baidu"),
        ("Ba\u034fidu", "baidu"),
        ("Baidu\u3164", "baidu"),
        ("Baidu\U000e0101", "baidu"),
    ],
)
def test_spellings_that_read_the_same_have_one_key(spelling: str, same_as: str) -> None:
    assert name_key(spelling) == name_key(same_as)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("零一万物", "零一萬物"),
        ("01.AI", "零一万物"),
        ("İstanbul", "istanbul"),
        ("Baidu", "Bаidu"),
        ("a b", "ab"),
        ("résumé", "resume"),
        ("01.AI", "01AI"),
    ],
)
def test_names_that_differ_to_a_reader_have_two_keys(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


def test_the_keys_of_the_documentation_are_the_keys() -> None:
    assert name_key("Straße") == name_key("STRASSE") == "strasse"
    assert name_key("İstanbul") == "i\u0307stanbul"


@pytest.mark.parametrize(
    "blank",
    [
        "",
        " ",
        "\u00a0",
        "\u3000",
        "\u200b",
        "\ufeff",
        "\u2060 \u200d",
        "\u3164",
        "\uffa0",
        "\u115f",
        "\ufe0f",
    ],
)
def test_what_nobody_can_see_has_no_key(blank: str) -> None:
    assert name_key(blank) == ""


@only_long
def test_the_key_of_a_key_is_itself_for_every_character_there_is() -> None:
    changed = []
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in ("Cs", "Cn", "Co"):
            continue
        for text in (character, f"a{character}\u0301b"):
            key = name_key.__wrapped__(text)
            if name_key.__wrapped__(key) != key:
                changed.append(f"U+{code:04X}")
    assert changed == []


@given(TEXTS)
def test_the_key_of_a_key_is_itself(text: str) -> None:
    assert name_key(name_key(text)) == name_key(text)


@given(TEXTS, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_every_unicode_normal_form_of_a_name_has_one_key(
    text: str, form: Literal["NFC", "NFD", "NFKC", "NFKD"]
) -> None:
    assert name_key(unicodedata.normalize(form, text)) == name_key(text)


@given(TEXTS)
def test_white_space_around_a_name_is_no_part_of_it(text: str) -> None:
    assert name_key(f"\u3000 {text} ") == name_key(text)
