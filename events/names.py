"""One normaliser for names: when two spellings are the same name."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=65_536)
def name_key(text: str) -> str:
    """The key under which a name is compared: NFKC, full case folding, NFKC again, runs of white space as one space.

    The same in every locale: `Straße` and `STRASSE` share `strasse`; `İstanbul` folds to `i̇stanbul` (with the
    dot kept), which is not `istanbul`. Format characters (category Cf, such as the zero-width space) are dropped, for a
    reader cannot see them. (Unicode 15, section 3.13, "caseless matching for compatibility".)
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    visible = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    return " ".join(visible.split())
