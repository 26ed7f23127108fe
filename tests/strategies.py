"""Valid events, at random (Hypothesis) or to order. Alphabets are small, so that events meet: same companies, days, ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from events import CATALOG, Count, Event, EventData, Share, name_key
from events.catalog import (
    ApprovalAmended,
    ApprovalGranted,
    ApprovalRevoked,
    BatchAnnounced,
    Changes,
    CompanyIdentified,
    CompanyMerged,
    CompanyName,
    EventReference,
    EventRetracted,
    EventSuperseded,
    Holder,
    Item,
    MarketEstimated,
    Named,
    Origin,
    Source,
    Terms,
    TermsEquated,
    TotalReported,
    UsageReported,
)
from events.quantities import MAX_COUNT

IDS = [f"e{number}" for number in range(1, 9)]
SOURCES = ["urn:desk", "https://news.example/feed"]
SUBJECTS = ["batch-4", "01-ai", "零一万物"]
COMPANIES = ["百度", "Baidu", "零一万物", "01.AI", "Xiaomi", "４Paradigm", "Straße"]
ITEMS = ["文心一言", "Ernie Bot", "Yi", "GLM-130B"]
PUBLISHERS = ["Reuters", "CLSA", "新华社"]
AUTHORITIES = ["CAC", "网信办"]
INSTRUMENTS = ["approval", "filing"]
UNITS = ["model", "service"]
NUMBERS = ["Beijing-2023-0001", "Beijing-2023-0002", "沪-2024-7"]
REGIONS = ["world", "CN", "US", "CN-BJ"]
SLUGS = ["baidu", "01-ai", "xiaomi", "4paradigm"]


def report(
    id: str, figure: int = 40, *, source: str = "urn:desk", subject: str | None = None, **more: Any
) -> Event:
    """One plain event: somebody reports that there are more than `figure`."""
    return Event(
        id=id,
        source=source,
        subject=subject,
        data=TotalReported(
            authority="CAC",
            instrument="approval",
            unit="model",
            count=Count(relation=">", value=figure),
            as_of="2024-01-28",
            source=Source(publisher="Reuters"),
        ),
        **more,
    )


def names(usual: Sequence[str] = COMPANIES) -> st.SearchStrategy[str]:
    """Mostly one of `usual`, sometimes anything that a name may be."""
    anything = st.text(
        st.characters(exclude_categories=("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")), min_size=1, max_size=12
    ).filter(name_key)
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), st.sampled_from(usual), anything)


def counts() -> st.SearchStrategy[Count]:
    values = st.one_of(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0, 130, 10**8, MAX_COUNT]))
    exact = st.builds(Count, relation=st.sampled_from(["=", ">=", ">", "<="]), value=values)
    below = st.builds(Count, relation=st.just("<"), value=values.filter(bool))
    about = st.builds(Count, relation=st.just("~"), value=values, within=st.none() | st.integers(0, 20))
    return st.one_of(exact, exact, below, about)


def shares() -> st.SearchStrategy[Share]:
    percents = st.one_of(st.integers(0, 100).map(float), st.integers(0, 1000).map(lambda tenths: tenths / 10))
    return st.builds(Share, percent=percents, rounding=st.sampled_from([0.01, 0.1, 0.5, 1.0, 5.0, 10.0]))


def partial_dates() -> st.SearchStrategy[str]:
    """Years, months and days from mid-2023 to early 2024, most of them few enough to meet."""
    months = st.sampled_from(["2023-08", "2023-11", "2023-12", "2024-01", "2024-02"])
    days = st.builds(
        "{}-{:02d}".format, months, st.one_of(st.sampled_from([1, 15, 28, 29]), st.integers(1, 29))
    )
    return st.one_of(days, days, days, months, st.sampled_from(["2023", "2024"])).map(
        lambda text: "2023-02-28" if text == "2023-02-29" else text
    )


def origins() -> st.SearchStrategy[Origin]:
    return st.builds(Origin, publisher=names(PUBLISHERS), url=st.none() | st.just("https://wire.example/1"))


def published_sources() -> st.SearchStrategy[Source]:
    return st.builds(
        Source,
        publisher=names(PUBLISHERS),
        url=st.none() | st.sampled_from(["https://news.example/a", "http://news.example/b?x=1"]),
        title=st.none() | names(["China approves more AI models", "第四批"]),
        published_on=st.none() | partial_dates(),
        derived_from=st.none() | st.none() | origins(),
    )


def rows() -> st.SearchStrategy[dict[str, str] | None]:
    """Mostly none; otherwise the cells of a row of a list, by column title."""
    cells = st.sampled_from(["", " 文心\n一言\t", "2024/1/2（补登）", "\u202eemcA"])
    titles = st.sampled_from(["模型名称", "备案号", "备注"])
    return st.one_of(st.none(), st.none(), st.dictionaries(titles, cells, max_size=3))


def items() -> st.SearchStrategy[Item]:
    return st.builds(Item, name=names(ITEMS), registry_number=st.none() | st.sampled_from(NUMBERS))


def holders() -> st.SearchStrategy[Holder]:
    return st.builds(Holder, name=names())


def references() -> st.SearchStrategy[EventReference]:
    return st.builds(EventReference, source=st.sampled_from(SOURCES), id=st.sampled_from(IDS))


def event_data(*models: type[EventData]) -> st.SearchStrategy[EventData]:
    """Valid data of any of `models`; if none is given, of every type in the catalog."""
    return st.one_of([_DATA[model] for model in models or CATALOG.values()])


def _grants() -> st.SearchStrategy[ApprovalGranted]:
    return st.builds(
        ApprovalGranted,
        **_figure(),
        item=items(),
        company=holders(),
        approved_on=partial_dates(),
        region=st.none() | st.sampled_from(REGIONS) | st.just("Guangdong"),
        batch=st.none() | st.integers(1, 5) | st.just("第四批"),
        source=published_sources(),
        published=rows(),
    )


def _amendments() -> st.SearchStrategy[ApprovalAmended]:
    changes = st.one_of(
        st.builds(Changes, company=holders()),
        st.builds(Changes, item=items()),
        st.builds(Changes, company=holders(), item=items()),
    )
    return st.builds(
        ApprovalAmended,
        authority=st.sampled_from(AUTHORITIES),
        instrument=st.sampled_from(INSTRUMENTS),
        registry_number=st.sampled_from(NUMBERS),
        changes=changes,
        amended_on=st.none() | partial_dates(),
        source=published_sources(),
        published=rows(),
    )


def _revocations() -> st.SearchStrategy[ApprovalRevoked]:
    about: dict[str, Any] = {
        "authority": st.sampled_from(AUTHORITIES),
        "instrument": st.sampled_from(INSTRUMENTS),
        "revoked_on": partial_dates(),
        "reason": st.none() | st.just("withdrawn"),
        "source": published_sources(),
        "published": rows(),
    }
    return st.one_of(
        st.builds(ApprovalRevoked, registry_number=st.sampled_from(NUMBERS), **about),
        st.builds(ApprovalRevoked, item=items(), company=holders(), **about),
    )


def _batches() -> st.SearchStrategy[BatchAnnounced]:
    named = st.builds(Named, company=names(), item=st.none() | st.sampled_from(ITEMS))
    return st.builds(
        BatchAnnounced,
        **_figure(),
        ordinal=st.none() | st.integers(1, 5),
        label=st.none() | st.just("第四批"),
        announced_on=partial_dates(),
        size=counts(),
        named=st.lists(named, max_size=4),
        source=published_sources(),
    )


def _totals() -> st.SearchStrategy[TotalReported]:
    about: dict[str, Any] = _figure() | {
        "count": counts(),
        "basis": st.sampled_from(["ever", "ever", "in_force"]),
        "source": published_sources(),
    }
    periods = st.tuples(partial_dates(), partial_dates()).map(sorted)
    return st.one_of(
        st.builds(TotalReported, as_of=partial_dates(), **about),
        periods.flatmap(
            lambda period: st.builds(TotalReported, from_=st.just(period[0]), to=st.just(period[1]), **about)
        ),
    )


def _estimates() -> st.SearchStrategy[MarketEstimated]:
    about: dict[str, Any] = {
        "estimator": names(PUBLISHERS),
        "region": st.sampled_from(REGIONS),
        "unit": st.sampled_from(UNITS),
        "as_of": partial_dates(),
        "source": published_sources(),
    }
    return st.one_of(
        st.builds(MarketEstimated, count=counts(), **about),
        st.builds(MarketEstimated, share=shares(), **about),
        st.builds(MarketEstimated, count=counts(), share=shares(), **about),
    )


def _usages() -> st.SearchStrategy[UsageReported]:
    return st.builds(
        UsageReported,
        company=names(),
        item=names(ITEMS),
        users=counts(),
        as_of=partial_dates(),
        source=published_sources(),
    )


def _identifications() -> st.SearchStrategy[CompanyIdentified]:
    spelled = st.builds(CompanyName, text=names(), lang=st.none() | st.sampled_from(["en", "zh-Hans"]))
    return st.builds(
        CompanyIdentified,
        company=st.sampled_from(SLUGS),
        names=st.lists(spelled, min_size=1, max_size=4),
        source=published_sources(),
    )


def _mergers() -> st.SearchStrategy[CompanyMerged]:
    pairs = st.lists(st.sampled_from(SLUGS), min_size=2, max_size=2, unique=True)
    return pairs.flatmap(
        lambda pair: st.builds(
            CompanyMerged,
            from_=st.just(pair[0]),
            into=st.just(pair[1]),
            on=partial_dates(),
            source=published_sources(),
        )
    )


def _equations() -> st.SearchStrategy[TermsEquated]:
    terms = st.builds(Terms, instrument=st.sampled_from(INSTRUMENTS), unit=st.sampled_from(UNITS))
    pairs = st.tuples(terms, terms).filter(lambda pair: pair[0] != pair[1])
    return pairs.flatmap(
        lambda pair: st.builds(
            TermsEquated,
            authority=st.sampled_from(AUTHORITIES),
            a=st.just(pair[0]),
            b=st.just(pair[1]),
            reason=st.just("the press calls filings approvals"),
            actor=st.just("editor"),
            source=published_sources(),
        )
    )


def _retractions() -> st.SearchStrategy[EventRetracted]:
    return st.builds(
        EventRetracted, target=references(), reason=st.just("a typing error"), actor=st.just("editor")
    )


def _replacements() -> st.SearchStrategy[EventSuperseded]:
    pairs = st.tuples(references(), references()).filter(lambda pair: pair[0] != pair[1])
    return pairs.flatmap(
        lambda pair: st.builds(
            EventSuperseded,
            target=st.just(pair[0]),
            replacement=st.just(pair[1]),
            reason=st.just("the figure was misread"),
            actor=st.just("editor"),
        )
    )


def _figure() -> dict[str, Any]:
    return {
        "authority": st.sampled_from(AUTHORITIES),
        "instrument": st.sampled_from(INSTRUMENTS),
        "unit": st.sampled_from(UNITS),
    }


_DATA: dict[type[EventData], st.SearchStrategy[Any]] = {
    ApprovalGranted: _grants(),
    ApprovalAmended: _amendments(),
    ApprovalRevoked: _revocations(),
    BatchAnnounced: _batches(),
    TotalReported: _totals(),
    MarketEstimated: _estimates(),
    UsageReported: _usages(),
    CompanyIdentified: _identifications(),
    CompanyMerged: _mergers(),
    TermsEquated: _equations(),
    EventRetracted: _retractions(),
    EventSuperseded: _replacements(),
}


def events(data: st.SearchStrategy[EventData] | None = None) -> st.SearchStrategy[Event]:
    """Whole events that `append` takes, of every type, or with the `data` given."""
    return st.builds(
        Event,
        id=st.sampled_from(IDS),
        source=st.sampled_from(SOURCES),
        data=event_data() if data is None else data,
        subject=st.none() | st.sampled_from(SUBJECTS),
        time=st.none() | st.sampled_from(["2024-01-29T08:00:00Z", "2024-01-29t16:00:00.123456+08:00"]),
        traceparent=st.none() | st.just("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        correlationid=st.none() | st.just("import-7"),
        causationid=st.none() | st.sampled_from(IDS),
    ).filter(corrects_another)


def corrects_another(event: Event) -> bool:
    """Whether it corrects no event or one other than itself; an event that corrects itself is refused."""
    target = getattr(event.data, "target", None)
    return target is None or (target.source, target.id) != (event.source, event.id)
