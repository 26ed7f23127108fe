"""One normaliser for names: when two spellings are the same name."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


# A name is asked for again soon or never, and 65,536 of them take 20 MB. Texts come here too: 4,096 of 2,000 Chinese characters take
# 41 MB. Checking the length first would make a hit take three quarters longer; whoever accepts a text from outside limits its length.
@lru_cache(maxsize=4_096)
def name_key(text: str) -> str:
    """The key under which a name is compared: NFKC, full case folding, NFKC again, runs of white space as one space.

    The same in every locale: `Straße` and `STRASSE` share `strasse`; `İstanbul` folds to `i̇stanbul` (with the
    dot kept), which is not `istanbul`. What a reader cannot see is dropped first: format characters (category Cf, such
    as the zero-width space) and the other characters that Unicode calls default-ignorable (a Hangul filler, a variation
    selector). The key of a key is itself. (Unicode 15, section 3.13, "caseless matching for compatibility".)
    """
    if text.isascii():  # there is nothing to drop or to compose, and only capitals to fold
        return " ".join(text.lower().split())
    visible = "".join(
        character for character in _IGNORABLE.sub("", text) if unicodedata.category(character) != "Cf"
    )
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    return " ".join(folded.split())


# Default_Ignorable_Code_Point less the category Cf.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
