"""The words of charts, in English and in Chinese, with figures, days and terms as they are written in that language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Language = Literal["en", "zh"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = re.compile(r"\d{4}(-\d{2}){0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Words:
    """Every text of the charts that does not come from an answer. Charts fill in the fields in braces."""

    language: Language
    month_axis: str
    day_axis: str
    at_least: str
    relations: Mapping[str, str]
    within: str
    range: str
    list_separator: str
    semicolon: str
    says: str
    sentence: str
    provenance: str
    valid_at: str
    known_at: str
    known_as_published: str
    at_position: str
    more: str
    more_companies: str
    earliest: str
    more_days: str
    undated: str
    nothing: str
    contradiction: str
    contradicted: str
    translated: Mapping[str, str]
    more_named: str
    alone: str
    origins: Mapping[str, str]
    perhaps: str

    totals_title: str
    totals_note: str
    total_by: str
    named: str
    undisclosed: str
    possible: str
    and_named: str
    equated: str
    steps: str

    batches_title: str
    batches_note: str
    batch: str
    batch_unnumbered: str
    batch_unnamed: str
    before: str
    no_date: str

    companies_title: str
    companies_note: str
    company_says: str
    share_of_all: str

    timeline_title: str
    also_called: str
    timeline_note: str
    kinds: Mapping[str, str]
    users: str
    merged: str

    shares_title: str
    shares_note: str
    stock: str
    share: str
    no_share: str

    sources_title: str
    sources_note: str
    origin: str
    publisher: str
    itself: str
    reports: str
    repeats: str
    own: str

    terms: Mapping[str, str]

    def day(self, text: str) -> str:
        """A day, a month, a year, or two of these with a slash between them, in words: `26 Jan 2024`, `2024年1月26日`."""
        if "/" in text:
            first, last = text.split("/")
            return self.range.format(low=self.day(first), high=self.day(last))
        year, *rest = text.split("-")
        if self.language == "zh":
            return f"{year}年" + "".join(f"{int(n)}{unit}" for n, unit in zip(rest, "月日", strict=False))
        parts = [str(int(rest[1]))] if len(rest) > 1 else []
        return " ".join([*parts, *([_MONTHS[int(rest[0]) - 1]] if rest else []), year])

    def known(self, asked: int | str) -> str:
        """The `known_at` that was asked for, in words: a position, a day, or an instant, which stays as it is."""
        if isinstance(asked, int):
            return self.at_position.format(position=asked)
        return self.day(asked) if _DAYS.fullmatch(asked) else asked

    def batch_called(self, batch: Mapping[str, Any]) -> str:
        """The name of a batch: its ordinal, or if it has none, its label. One with neither is told from others only by its day."""
        if batch.get("ordinal") is not None:
            return self.batch.format(ordinal=batch["ordinal"])
        label = batch.get("label")
        return self.batch_unnumbered.format(label=label) if label else self.batch_unnamed

    def figure(self, interval: Mapping[str, int | None]) -> str:
        """An interval as in labels: `≥ 41`, `86`, `321–329`."""
        low, high = interval["low"], interval["high"]
        if high is None:
            return f"≥ {low:,}"
        return f"{low:,}" if low == high else f"{low:,}–{high:,}"

    def bounds(self, interval: Mapping[str, int | None]) -> str:
        """An interval as in texts: `at least 41`, `86`, `321 to 329`."""
        low, high = interval["low"], interval["high"]
        if high is None:
            return self.at_least.format(low=f"{low:,}")
        return f"{low:,}" if low == high else self.range.format(low=f"{low:,}", high=f"{high:,}")

    def count(self, reported: Mapping[str, Any]) -> str:
        """A count as its source put it: `more than 40`."""
        said = self.relations[reported["relation"]].format(n=f"{reported['value']:,}")
        within = reported.get("within")
        return said if within is None else said + self.within.format(n=f"{within:,}")

    def percent(self, share: Mapping[str, float]) -> str:
        """`39.5–40.5 %`."""
        low, high = share["low"], share["high"]
        return f"{low:g} %" if low == high else f"{low:g}–{high:g} %"

    def counted(self, answer: Mapping[str, Any]) -> str:
        """What is counted, and by whom: `CAC, filing (service)`. Terms without a translation stay as they are written."""
        instrument, unit = self.term(answer["instrument"]), self.term(answer["unit"])
        return (
            f"{answer['authority']}{self.list_separator}{instrument}（{unit}）"
            if self.language == "zh"
            else f"{answer['authority']}, {instrument} ({unit})"
        )

    def term(self, text: str) -> str:
        return self.terms.get(text, text)

    def contradiction_of(self, contradiction: Mapping[str, Any]) -> str:
        """A contradiction of an answer. The ledger describes it in English; what `translated` matches is replaced."""
        says: str = contradiction["says"]
        for pattern, instead in self.translated.items():
            says = re.sub(pattern, instead, says)
        positions = self.listed(map(str, contradiction["events"]))
        return self.contradicted.format(positions=positions, says=says).rstrip("：")

    def on_the_word_of(self, origin: str, figure: Mapping[str, int | None]) -> str:
        """What an origin alone would give. An origin that is not a publisher is translated."""
        return self.alone.format(origin=self.origins.get(origin, origin), figure=self.bounds(figure))

    def said(self, of: str, what: str) -> str:
        """`CAC: 41`."""
        return self.says.format(of=of, what=what)

    def listed(self, texts: Iterable[str]) -> str:
        return self.list_separator.join(texts)

    def sentences(self, texts: Iterable[str]) -> str:
        """The texts as one, with each ended like a sentence of the language."""
        full_stop = self.sentence.strip()
        return self.sentence.join(text.rstrip(full_stop) for text in texts if text) + full_stop


EN = Words(
    language="en",
    month_axis="%b %Y",
    day_axis="%-d %b %Y",
    at_least="at least {low}",
    relations={
        "=": "{n}",
        ">=": "at least {n}",
        ">": "more than {n}",
        "<=": "at most {n}",
        "<": "fewer than {n}",
        "~": "about {n}",
    },
    within=" (within {n})",
    range="{low} to {high}",
    list_separator=", ",
    semicolon="; ",
    says="{of}: {what}",
    sentence=". ",
    provenance="Ledger {ledger} at position {position}",
    valid_at="valid at {day}",
    known_at="as known at {known}",
    known_as_published="as published by {known}",
    at_position="position {position}",
    more="and {n} more that are not drawn",
    more_companies="{n} more are not drawn",
    earliest="and {n} earlier ones that are not drawn",
    more_days="and {n} more days, which the chart shows",
    undated="reports without a day, which are not drawn: {n}",
    nothing="The ledger has nothing on this yet",
    contradiction="in contradiction",
    contradicted="Contradiction between positions {positions}: {says}",
    translated={},
    more_named="more than there are for certain, because reports contradict one another",
    alone="on the word of {origin} alone: {figure}",
    origins={},
    perhaps="possibly later",
    totals_title="How many have been approved",
    totals_note="Every figure that the reports allow. A dot is a day on which the figure is certain; where shading fades upwards, nothing bounds it",
    total_by="{figure} by {day}",
    named="known by name",
    undisclosed="undisclosed, at least",
    possible="possible",
    and_named="{named} known by name",
    equated="the same as {terms}",
    steps="Day by day",
    batches_title="How large each batch is",
    batches_note="Every size that the reports allow; where shading fades to the right, nothing bounds it",
    batch="batch {ordinal}",
    batch_unnumbered="batch “{label}”",
    batch_unnamed="batch without a number",
    before="{figure} before it",
    no_date="no date",
    companies_title="Who has approvals",
    companies_note="Approvals known by company. An undisclosed approval may be anyone’s, so each may have more",
    company_says="{company}: {figure} ({terms})",
    share_of_all="share of all",
    timeline_title="Reports about {company}",
    also_called="also {names}",
    timeline_note="A bar is a date that is known only to the month or the year",
    kinds={
        "granted": "approved",
        "named": "named in a batch",
        "used": "users",
        "amended": "amended",
        "revoked": "revoked",
        "merged": "merged",
    },
    users="{item}: {figure}",
    merged="{a} merged into {b}",
    shares_title="Models and shares, as ranges",
    shares_note="How many models each estimator counts, and what share of the world’s that is",
    stock="models",
    share="share of world total, in %",
    no_share="any share",
    sources_title="Where the reports come from",
    sources_note="Left: who said it first. Right: who repeats it. However many repeat it, one origin is one voice",
    origin="origin",
    publisher="repeated by",
    itself="itself",
    reports="{n}",
    repeats="{publisher} repeats {origin} ({n})",
    own="{publisher} reports {n} of its own",
    terms={},
)

ZH = Words(
    language="zh",
    month_axis="%Y年%-m月",
    day_axis="%Y年%-m月%-d日",
    at_least="至少 {low}",
    relations={
        "=": "{n}",
        ">=": "至少 {n}",
        ">": "超过 {n}",
        "<=": "至多 {n}",
        "<": "不足 {n}",
        "~": "约 {n}",
    },
    within="（误差 {n} 以内）",
    range="{low} 至 {high}",
    list_separator="，",
    semicolon="；",
    says="{of}：{what}",
    sentence="。",
    provenance="账本 {ledger}，位置 {position}",
    valid_at="截至{day}",
    known_at="截至{known}已知",
    known_as_published="截至{known}已发布",
    at_position="位置 {position} ",
    more="另有 {n} 项未画出",
    more_companies="另有 {n} 家未画出",
    earliest="另有最早的 {n} 项未画出",
    more_days="另有 {n} 天，见图表",
    undated="日期不明而未画出的报道：{n} 项",
    nothing="账本中尚无此类记录",
    contradiction="相互矛盾",
    contradicted="位置 {positions} 的报道相互矛盾：{says}",
    translated={
        # The reports themselves are named by their positions.
        r"^these cannot all be true: .*?((; the approvals known by name)?(; the revocations)?)$": r"\1",
        r"^(; the approvals known by name)": "另与已知名称的获批不符",
        r"(; the revocations)$": "另与撤销不符",
        r"^two companies claim the name (.*)$": r"两家公司都使用名称 \1",
        r"^these merges form a ring: (.*)$": r"这些合并形成循环（\1）",
    },
    more_named="多于确定的数量，因为报道相互矛盾",
    alone="仅按 {origin}：{figure}",
    origins={"the approvals by name": "已知名称的获批", "the revocations": "撤销"},
    perhaps="或更晚",
    totals_title="累计获批数量",
    totals_note="报道所允许的全部取值。圆点表示当日数字确定；阴影向上渐隐处没有已知上限",
    total_by="截至{day}：{figure}",
    named="已知名称",
    undisclosed="未披露（至少）",
    possible="可能范围",
    and_named="其中 {named} 项已知名称",
    equated="等同于 {terms}",
    steps="逐日",
    batches_title="每一批的规模",
    batches_note="报道所允许的全部取值；阴影向右渐隐处没有已知上限",
    batch="第 {ordinal} 批",
    batch_unnumbered="“{label}”批次",
    batch_unnamed="未编号批次",
    before="此前 {figure}",
    no_date="日期不明",
    companies_title="各公司获批数量",
    companies_note="已知归属公司的获批项。未披露的项目可能属于任何公司，因此每家都可能更多",
    company_says="{company}：{figure}（{terms}）",
    share_of_all="占全部",
    timeline_title="关于{company}的报道",
    also_called="又名 {names}",
    timeline_note="横条表示日期只精确到月或年",
    kinds={
        "granted": "获批",
        "named": "批次中被提及",
        "used": "用户数",
        "amended": "变更",
        "revoked": "撤销",
        "merged": "合并",
    },
    users="{item}：{figure}",
    merged="{a} 并入 {b}",
    shares_title="存量与占比（区间）",
    shares_note="各机构统计的模型数量，及其占全球的比例",
    stock="模型数量",
    share="占全球比例（%）",
    no_share="任何比例",
    sources_title="消息的来源",
    sources_note="左：最先发布者。右：转述者。无论多少家转述，同一来源只算一个声音",
    origin="来源",
    publisher="转述者",
    itself="自行发布",
    reports="{n}",
    repeats="{publisher} 转述 {origin}（{n}）",
    own="{publisher} 自行发布 {n} 条",
    terms={
        "approval": "批准",
        "filing": "备案",
        "algorithm filing": "算法备案",
        "registration": "登记",
        "model": "模型",
        "service": "服务",
        "application": "应用",
        "algorithm": "算法",
        "notable model": "知名模型",
        "world": "全球",
        "CN": "中国",
        "US": "美国",
        "KR": "韩国",
    },
)

WORDS: dict[Language, Words] = {"en": EN, "zh": ZH}
