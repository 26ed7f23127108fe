"""What became of an approval according to a remark (备注): it ended, has another holder or name, or its product changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from events import date_range

_DATE = (
    r"\d{4}\s?年(?:\s?\d{1,2}\s?月(?:\s?\d{1,2}\s?日)?)?(?:、\s?\d{1,2}\s?月)*|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}"
)
# Where a remark is matched, it has no two characters of white space in a row, and runs are matched without backtracking (`*+`):
# otherwise the time would grow with a power of the remark's length.
_QUOTED = r"[“”\"『「]\s*(?P<{0}>[^“”\"『』「」]{{1,200}}?)\s*[“”\"』」]"
_BARE_FROM = r"(?P<{0}>[^“”\"，,；;。:\n]{{1,100}}?)"
_BARE_TO = r"(?P<{0}>[^“”\"，,；;。、\n]{{1,100}})"
_INTO = r"\s*(?:变更为|更名为|更改为|改为|变更成)\s*"


def _change(what: str, lead: str = "") -> list[re.Pattern[str]]:
    """`原X“A”变更为“B”` and its relatives, the quoted form first: what is quoted may hold a comma."""
    head = rf"{lead}(?:原)?{what}\s*(?:由|原|从|:)*+\s*"
    quoted = head + _QUOTED.format("old") + _INTO + _QUOTED.format("new")
    bare = head + _BARE_FROM.format("old") + _INTO + _BARE_TO.format("new")
    return [re.compile(quoted), re.compile(bare)]


_HOLDER = r"(?:备案)?(?:主体|单位|公司)(?:名称)?(?:变更)?"
_ITEM = r"(?:算法|模型|大模型|应用|服务|功能)名称(?:变更)?"
_PRODUCT = r"(?:关联)?(?:应用)?产品(?:名称)?"

Kind = Literal["revoked", "holder", "item", "product"]

_PATTERNS: list[tuple[Kind, re.Pattern[str]]] = [
    *(("holder", pattern) for pattern in _change(_HOLDER)),
    *(("item", pattern) for pattern in _change(_ITEM)),
    *(("product", pattern) for pattern in _change(_PRODUCT)),
    ("holder", re.compile(rf"{_HOLDER}{_INTO}[“\"]?{_BARE_TO.format('new')}[”\"]?")),
    ("item", re.compile(rf"{_ITEM}{_INTO}[“\"]?{_BARE_TO.format('new')}[”\"]?")),
    ("holder", re.compile(r"(?:更新|变更)备案主体(?:名称)?|(?:备案)?主体(?:名称)?变更")),
    (
        "product",
        re.compile(
            r"(?:更新|变更)?(?:应用|关联)?产品(?:变更|更新)|(?:更新|变更)(?:应用|关联|使用)?产品(?:,\s*新增[^。;\n]*)?"
        ),
    ),
    ("product", re.compile(r"新增(?:关联|应用|算法使用)?产品[^。；;\n]*")),
    (
        "product",
        re.compile(r"新增[^，,。；;\n]{0,80}[(（](?:APP|网站|小程序|其他)[)）][^。；;\n]*", re.IGNORECASE),
    ),
]
_REVOKED = re.compile(
    rf"(?:该|本)?(?:算法|模型|大模型|服务|应用|备案|备案编号|备案号|登记)?(?:已经?)?(?:于)?(?:{_DATE})?\s?(?:起)?(?:已经?)?(?:予以|被)?"
    rf"(?:注销|撤销|取消)(?:备案|登记)?(?:[(](?:{_DATE})[)])?(?:(?:{_DATE}))?"
)
_IN_FORCE = re.compile(
    r"(?:正常|有效|存续|在用|生效|通过|备案|登记)(?:中|状态)?|已(?:通过|备案|登记|生效)|(?:备案|登记)(?:有效|通过|成功)"
)
_FILLER = re.compile(rf"变更内容|补登|补录|(?:{_DATE})|更新|新增|变更|已|于|[\s、，,；;。:\"“”()（）]")
_SEPARATORS = re.compile(r"[，,；;。\n]")
_STOPS = "；;。\n"
_WITHOUT_WIDTH = re.compile("[\u00ad\u200b\u2060\ufeff]")


# Each of these characters is replaced by exactly one, so that what is found in one text is at the same place in the other.
_HALF_WIDTH = {0xFEE0 + code: code for code in range(0x21, 0x7F)} | {
    ord("‘"): "“",
    ord("’"): "”",
    ord("\u3000"): " ",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a remark says. `said` is the words for it; `on` is a partial date, if they give one."""

    kind: Kind
    said: str
    old: str | None = None
    new: str | None = None
    on: str | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """What a remark says; `left` is the part that was not understood."""

    changes: tuple[Change, ...]
    left: str


def read(text: str) -> Remark:
    """What a remark says. Raises ValueError if a change has an impossible date."""
    text = laid_out(text)
    if not text:
        return Remark((), "")
    plain = text.translate(_HALF_WIDTH)
    revoked = list(_revocations(plain))
    rest = plain
    for change in revoked:
        rest = rest.replace(change.said, "\0" * len(change.said), 1)
    found: list[tuple[int, Change]] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(rest):
            old, new = (_part(text, match, group) for group in ("old", "new"))
            on = _date_before(plain, match.start())
            said = text[match.start() : match.end()].strip()
            found.append((match.start(), Change(kind, said, old, new, on)))
        rest = pattern.sub(lambda match: "\0" * len(match.group()), rest)
    others = [change for _, change in sorted(found, key=lambda pair: pair[0])]
    left = _FILLER.sub("", rest.replace("\0", ""))
    return Remark((*others, *revoked), left)


def is_in_force(status: str) -> bool:
    """Whether a status only says that the approval is in force."""
    return _IN_FORCE.fullmatch("".join(status.split())) is not None


def laid_out(text: str) -> str:
    """The text without characters that have no width and join nothing, which a web page leaves in what is copied from it; and with
    each run of white space replaced by one of its characters: by a line break, if it contains one."""
    seen = _WITHOUT_WIDTH.sub("", text).strip()
    return re.sub(r"\s+", lambda run: "\n" if "\n" in run[0] else " ", seen)


def _part(text: str, match: re.Match[str], group: str) -> str | None:
    """A name as the remark writes it, which is possible because the text that was searched has the same length."""
    if match.groupdict().get(group) is None:
        return None
    start, end = match.span(group)
    return text[start:end]


def _revocations(plain: str) -> Iterator[Change]:
    if "恢复" in plain:  # it ended and began again, and no event says that
        return
    clauses = [clause.strip() for clause in _SEPARATORS.split(plain) if clause.strip()]
    for before, clause, after in zip(["", *clauses], clauses, [*clauses[1:], ""], strict=False):
        if _REVOKED.fullmatch(clause):
            yield Change("revoked", clause, on=_last_date(clause) or _alone(before) or _alone(after))


def _last_date(text: str) -> str | None:
    dates = re.findall(_DATE, text)
    return _partial(dates[-1]) if dates else None


def _alone(clause: str) -> str | None:
    """The date of a clause that is nothing but a date; with other words, the date would be of something else."""
    return _partial(clause) if re.fullmatch(_DATE, clause) else None


def _date_before(text: str, end: int) -> str | None:
    start = max(text.rfind(stop, 0, end) for stop in _STOPS) + 1
    return _last_date(text[start:end])


def _partial(text: str) -> str:
    """Only the year if there are two dates, as in `2023年4月、12月`, because nothing says which of them is meant."""
    parts = re.findall(r"\d+", text)
    written = parts[0] if "、" in text else "-".join([parts[0], *(f"{int(part):02d}" for part in parts[1:])])
    date_range(written)
    return written


def has_date(text: str) -> bool:
    """Whether a remark gives any date."""
    return re.search(_DATE, text.translate(_HALF_WIDTH)) is not None


def undated(said: str) -> str:
    """The words for a change without their date: an edition may add one, and the change is still the same."""
    return re.sub(rf"(?:{_DATE})[,\s]*", "", said)
