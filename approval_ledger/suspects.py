"""Names that look alike and that no event joins: each pair with the event that would join them, for a person to judge.

Nothing is merged here. Names are compared without what companies have in common (the form of the firm, its city, words such
as 科技), and only for the comparison.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from rapidfuzz import fuzz, process

from events import Event, canonical, encode, from_json, loads, name_key
from projections import Answer

LOOKS_ALIKE = 85.0  # percent: of seven characters one may differ; names of up to six must be equal
SOURCE = "urn:approval-ledger:suspects"

_CITIES = "北京|上海|深圳|杭州|广州|廣州|南京|苏州|成都|武汉|天津|重庆|合肥|西安|香港|中国"
_FORMS = "股份有限公司|有限责任公司|有限公司|公司|集团|集團|控股|科技|技术|技術|网络|網絡|信息|資訊|人工智能|智能|发展|开发"
_IN_FRONT = re.compile(f"^(?:{_CITIES})市?")
_BEHIND = re.compile(f"(?:{_FORMS})$")
_WORDS = frozenset(
    [
        "co",
        "company",
        "ltd",
        "limited",
        "inc",
        "incorporated",
        "corp",
        "corporation",
        "llc",
        "plc",
        "gmbh",
        "group",
        "holdings",
        "holding",
        "technology",
        "technologies",
        "tech",
        "the",
        "beijing",
        "shanghai",
        "shenzhen",
        "hangzhou",
        "guangzhou",
        "nanjing",
        "suzhou",
        "chengdu",
        "wuhan",
        "tianjin",
        "hefei",
        "hongkong",
        "china",
    ]
)


@dataclass(frozen=True, slots=True)
class Name:
    """A name of a company. `company` counts the companies of an answer; `slug` is None where no event identifies it."""

    text: str
    company: int
    slug: str | None
    positions: tuple[int, ...]

    @property
    def order(self) -> tuple[int, str, int]:
        """Which of several names comes first: the one that was reported first."""
        return (min(self.positions, default=0), name_key(self.text), self.company)


@dataclass(frozen=True, slots=True)
class Suspect:
    """Two names of two companies that look alike: `score` is 100 where they are the same but for what is common."""

    names: tuple[Name, Name]
    score: float

    def to_json(self, proposed: Event | None) -> dict[str, Any]:
        """The pair, with the event that would join it as a CloudEvent that `publish` takes."""
        names = [{"text": n.text, "company": n.slug, "positions": list(n.positions)} for n in self.names]
        event = None if proposed is None else loads(encode(proposed))
        return {"names": names, "score": self.score, "proposed": event}


def words(text: str) -> list[str]:
    """The words of a name, without what companies have in common; all of them where nothing else is left."""
    found = re.findall(r"[^\W_]+", name_key(text))
    return [own for word in found if (own := _own(word))] or found or [name_key(text)]


def _own(word: str) -> str:
    own = _IN_FRONT.sub("", word)
    while (shorter := _BEHIND.sub("", own)) != own:
        own = shorter
    return "" if own in _WORDS else own


def found(answer: Answer) -> list[Suspect]:
    """The pairs in an answer of `queries.company_names`, those that look most alike first: each pair of companies once.

    Of several names that are the same but for what is common, the first is paired with each of the others, and stands for
    all of them beside other names: accepting the pairs joins them all.
    """
    alike: dict[str, list[Name]] = {}
    for name in sorted(_names(answer), key=lambda name: name.order):
        alike.setdefault("".join(words(name.text)), []).append(name)
    pairs = [*_equal(alike.values()), *_near({core: names[0] for core, names in alike.items()})]
    best: dict[frozenset[int], Suspect] = {}
    for suspect in sorted(pairs, key=_rank):
        best.setdefault(frozenset(name.company for name in suspect.names), suspect)
    return list(best.values())


def proposal(suspect: Suspect, answer: Answer, actor: str) -> Event | None:
    """The `company.identified.v1` that would join the pair, on the word of `actor`; the same id for the same pair always.

    None where both are identified already: they are joined by a `company.merged.v1`, whose day only a person knows. Raises
    InvalidEvent where `actor` is no name.
    """
    slugs = [name.slug for name in suspect.names if name.slug is not None]
    if len(slugs) == 2:
        return None
    digest = sha256(canonical(sorted(name_key(name.text) for name in suspect.names))).hexdigest()
    taken = {slug for company in answer["answers"] for slug in company["slugs"]}
    data = {
        "company": slugs[0] if slugs else _new_slug(suspect, digest, taken),
        "names": [{"text": name.text} for name in suspect.names],
        "source": {"publisher": actor},
    }
    event = {"specversion": "1.0", "id": f"same-company-{digest[:16]}", "source": SOURCE}
    return from_json(event | {"type": "company.identified.v1", "data": data})


def _names(answer: Answer) -> Iterator[Name]:
    for number, company in enumerate(answer["answers"]):
        slug = company["company"] if company["slugs"] else None
        for name in company["names"]:
            yield Name(name["text"], number, slug, tuple(name["evidence"]))


def _equal(alike: Iterable[list[Name]]) -> Iterator[Suspect]:
    for first, *others in alike:
        for other in others:
            if other.company != first.company:
                yield _suspect(first, other, 100.0)


def _near(first: dict[str, Name]) -> Iterator[Suspect]:
    cores = sorted(first, key=lambda core: (len(core), core))
    longest = (200 - LOOKS_ALIKE) / LOOKS_ALIKE  # times as long: a longer name shares too few characters
    for index, core in enumerate(cores):
        end = bisect_right(cores, len(core) * longest, key=len)
        following = cores[index + 1 : end]
        for other, score, _ in process.extract(
            core, following, scorer=fuzz.ratio, score_cutoff=LOOKS_ALIKE, limit=None
        ):
            # GPT-3 and GPT-4 look alike, and are not.
            if _digits(core) == _digits(other) and first[core].company != first[other].company:
                yield _suspect(first[core], first[other], round(score, 1))


def _digits(core: str) -> list[str]:
    return re.findall(r"\d+", core)


def _suspect(a: Name, b: Name, score: float) -> Suspect:
    known_first = sorted((a, b), key=lambda name: (name.slug is None, name.order))
    return Suspect((known_first[0], known_first[1]), score)


def _rank(suspect: Suspect) -> tuple[float, tuple[int, str, int], tuple[int, str, int]]:
    a, b = suspect.names
    return (-suspect.score, a.order, b.order)


def _new_slug(suspect: Suspect, digest: str, taken: set[str]) -> str:
    """A slug from the Latin name of the two, where there is one, that no other company has."""
    readable = ["-".join(words(name.text)) for name in suspect.names]
    fitting = [slug for slug in readable if re.fullmatch(r"[a-z0-9-]{2,60}", slug, re.ASCII)]
    if not fitting:
        return f"company-{digest[:12]}"
    return f"{fitting[0]}-{digest[:8]}" if fitting[0] in taken else fitting[0]
