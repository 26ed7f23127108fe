"""Names that look alike and that no event joins: each pair with the event that would join them, for a person to judge.

Nothing is merged here. Names are compared without what companies have in common (the form of the firm, its city, words such
as 科技), and only for the comparison.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby, product
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
    """Two names of two companies that look alike: `score` is 100 where they are the same but for what is common.

    `joined` are the names that this pair and others would make one company of; `candidates` the slugs of the identified
    companies that it may be: of more than one nobody but a person knows which.
    """

    names: tuple[Name, Name]
    score: float
    joined: tuple[Name, ...] = ()
    candidates: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why there is no proposal for the pair, where there is none."""
        if all(name.slug is not None for name in self.names):
            return "both are identified"
        return f"may be {' or '.join(self.candidates)}" if len(self.candidates) > 1 else None

    def to_json(self, proposed: Event | None) -> dict[str, Any]:
        """The pair, with the event that would join it as a CloudEvent that `publish` takes."""
        names = [{"text": n.text, "company": n.slug, "positions": list(n.positions)} for n in self.names]
        event = None if proposed is None else loads(encode(proposed))
        reason = {} if self.reason is None else {"reason": self.reason}
        return {"names": names, "score": self.score, "proposed": event, **reason}


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
    all of them beside other names; where some are of identified companies, one of each of these does that. Accepting what is
    proposed for all pairs joins them all, and gives no name to two companies.
    """
    alike: dict[str, list[Name]] = {}
    for name in sorted(_names(answer), key=lambda name: name.order):
        alike.setdefault("".join(words(name.text)), []).append(name)
    heads = {core: _heads(names) for core, names in alike.items()}
    pairs = [*_equal(alike, heads), *_near(heads)]
    best: dict[frozenset[int], Suspect] = {}
    for suspect in sorted(pairs, key=_rank):
        best.setdefault(frozenset(name.company for name in suspect.names), suspect)
    return list(_decided(list(best.values())))


def proposal(suspect: Suspect, answer: Answer, actor: str, taken: Collection[str] = ()) -> Event | None:
    """The `company.identified.v1` that would join the pair, on the word of `actor`; the same id for the same pair always.

    A new slug is none that a company of the answer has, and none of `taken`. None where the pair has a `reason`: two identified
    companies are joined by a `company.merged.v1`, whose day only a person knows. Raises InvalidEvent where `actor` is no name.
    """
    if suspect.reason is not None:
        return None
    had = {*taken, *(slug for company in answer["answers"] for slug in company["slugs"])}
    data = {
        "company": suspect.candidates[0] if suspect.candidates else _new_slug(suspect.joined, had),
        "names": [{"text": name.text} for name in suspect.names],
        "source": {"publisher": actor},
    }
    event = {"specversion": "1.0", "id": f"same-company-{_digest(suspect.names)[:16]}", "source": SOURCE}
    return from_json(event | {"type": "company.identified.v1", "data": data})


def slugs_of_mergers(answer: Answer) -> set[str]:
    """Every slug that a `company.merged.v1` names, in an answer of `queries.sources`."""
    mergers = [claim["says"] for claim in answer["answers"] if claim["type"] == "company.merged.v1"]
    return {said[which] for said in mergers for which in ("from", "into")}


def _names(answer: Answer) -> Iterator[Name]:
    for number, company in enumerate(answer["answers"]):
        slug = company["company"] if company["slugs"] else None
        for name in company["names"]:
            yield Name(name["text"], number, slug, tuple(name["evidence"]))


def _heads(names: Sequence[Name]) -> list[Name]:
    """Those of the equal names that stand for all: one of each identified company, or else the first."""
    identified = {name.company: name for name in reversed(names) if name.slug is not None}
    return list(reversed(identified.values())) or [names[0]]


def _equal(alike: Mapping[str, Sequence[Name]], heads: Mapping[str, Sequence[Name]]) -> Iterator[Suspect]:
    for core, names in alike.items():
        for head, other in product(heads[core], names):
            if other.company != head.company:
                yield _suspect(head, other, 100.0)


def _near(heads: Mapping[str, Sequence[Name]]) -> Iterator[Suspect]:
    cores = sorted(heads, key=lambda core: (len(core), core))
    longest = (200 - LOOKS_ALIKE) / LOOKS_ALIKE  # times as long: a longer name shares too few characters
    for index, core in enumerate(cores):
        end = bisect_right(cores, len(core) * longest, key=len)
        following = cores[index + 1 : end]
        for other, score, _ in process.extract(
            core, following, scorer=fuzz.ratio, score_cutoff=LOOKS_ALIKE, limit=None
        ):
            # GPT-3 and GPT-4 look alike, and are not.
            if _digits(core) == _digits(other):
                for a, b in product(heads[core], heads[other]):
                    if a.company != b.company:
                        yield _suspect(a, b, round(score, 1))


class _Joined:
    """Which companies would be one, and which identified companies that may be."""

    def __init__(self, pairs: Iterable[Suspect]) -> None:
        names = [name for pair in pairs for name in pair.names]
        self._into = {name.company: name.company for name in names}
        self._slugs = {name.company: {name.slug} - {None} for name in names}

    def find(self, company: int) -> int:
        while company != self._into[company]:
            self._into[company] = company = self._into[self._into[company]]
        return company

    def candidates(self, company: int) -> set[str]:
        return {slug for slug in self._slugs[self.find(company)] if slug is not None}

    def take(self, alike: Sequence[Suspect]) -> None:
        """Joins the pairs of one score: whom nothing identifies first, and then with the one company that they may be."""
        beside: list[tuple[int, int]] = []  # one that nothing identifies, and one that may be identified
        for a, b in (sorted((x.company, y.company), key=self._is_known) for x, y in (p.names for p in alike)):
            if not self._is_known(b):
                self._into[self.find(a)] = self.find(b)
            elif not self._is_known(a):
                beside.append((a, b))
        known: dict[int, set[int]] = {}
        for a, b in beside:
            known.setdefault(self.find(a), set()).add(self.find(b))
        for unknown, companies in known.items():
            self._slugs[unknown] = {slug for company in companies for slug in self._slugs[company]}
            if len(self._slugs[unknown]) == 1:
                self._into[unknown] = companies.pop()

    def _is_known(self, company: int) -> bool:
        return bool(self._slugs[self.find(company)])


def _decided(pairs: Sequence[Suspect]) -> Iterator[Suspect]:
    """The pairs, with what each would be part of: those that look most alike decide first."""
    joined = _Joined(pairs)
    for _, alike in groupby(pairs, key=lambda pair: pair.score):
        joined.take(list(alike))
    together: dict[int, set[Name]] = {}
    for pair in pairs:
        for name in pair.names:
            together.setdefault(joined.find(name.company), set()).add(name)
    for pair in pairs:
        candidates = {slug for name in pair.names for slug in joined.candidates(name.company)}
        names = sorted(together[joined.find(pair.names[0].company)], key=lambda name: name.order)
        yield replace(pair, joined=tuple(names), candidates=tuple(sorted(candidates)))


def _digits(core: str) -> list[str]:
    return re.findall(r"\d+", core)


def _suspect(a: Name, b: Name, score: float) -> Suspect:
    known_first = sorted((a, b), key=lambda name: (name.slug is None, name.order))
    return Suspect((known_first[0], known_first[1]), score)


def _rank(suspect: Suspect) -> tuple[float, tuple[int, str, int], tuple[int, str, int]]:
    a, b = suspect.names
    return (-suspect.score, a.order, b.order)


def _new_slug(names: Sequence[Name], taken: Collection[str]) -> str:
    """A slug from the first Latin name, where there is one, that no other company has."""
    readable = ["-".join(words(name.text)) for name in names]
    fitting = [slug for slug in readable if re.fullmatch(r"[a-z0-9-]{2,60}", slug, re.ASCII)]
    digest = _digest(names)
    if not fitting:
        return f"company-{digest[:12]}"
    return f"{fitting[0]}-{digest[:8]}" if fitting[0] in taken else fitting[0]


def _digest(names: Iterable[Name]) -> str:
    return sha256(canonical(sorted({name_key(name.text) for name in names}))).hexdigest()
