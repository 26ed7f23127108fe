"""What a question reads of the documents: what it needs, however much else there is, and nothing else would change its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import DateRange, RecordedEvent, date_range
from events.catalog import (
    ApprovalGranted,
    ApprovalRevoked,
    BatchAnnounced,
    CompanyIdentified,
    CompanyMerged,
    TotalReported,
)
from projections import MemoryDocuments, answers, companies, figures, gathering, pages, terms
from projections.bounds import NAMED, REVOKED, at, contradict
from projections.figures import Figures
from projections.gathering import gather
from projections.mentions import unlisted_by_each
from projections.premises import Premises

from .given import (
    MODELS,
    SERVICES,
    Line,
    batch,
    called,
    equated,
    granted,
    identified,
    log,
    merged,
    total,
    views,
)
from .long import examples
from .strategies import event_data

DAYS = ("2023-08-31", "2023-11-30", "2023-12-31", "2024-01-20")


class Watched(MemoryDocuments):
    """Documents that note which of them were asked for."""

    def __init__(self, documents: MemoryDocuments) -> None:
        super().__init__(documents)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def fetch(self, names: Iterable[str]) -> None:
        self.asked.update(names)


def read(reports: list[RecordedEvent], question: Callable[..., Any], *args: Any, **asked: Any) -> int:
    """How many documents a question reads."""
    return read_of(views(reports), question, *args, **asked)


def read_of(
    views: Mapping[str, MemoryDocuments], question: Callable[..., Any], *args: Any, **asked: Any
) -> int:
    watched = {name: Watched(documents) for name, documents in views.items()}
    question(watched, *args, **asked)
    return sum(len(documents.asked) for documents in watched.values())


def of_companies(count: int) -> list[RecordedEvent]:
    """A log in which each of `count` companies has two approvals, two names, and was merged with another."""
    lines: list[Line] = [batch(4, "=3", "2024-01-20", named=["company 0", ("company 1", "item 1")])]
    for n in range(count):
        lines += [
            granted(f"company {n}", f"item {n}", DAYS[n % 4], number=f"no {n}", batch=n % 4 + 1),
            granted(f"alias {n}", f"other {n}", DAYS[n % 4], number=f"other {n}"),
            identified(f"slug-{n}", f"company {n}", f"alias {n}"),
            identified(f"old-{n}", f"old {n}"),
            merged(f"old-{n}", f"slug-{n}"),
        ]
    return log(*lines)


@pytest.mark.parametrize("asked", [{}, {"valid_at": date_range("2024-01-10")}], ids=["ever", "by a day"])
def test_one_company_takes_as_many_documents_however_many_companies_there_are(asked: dict[str, Any]) -> None:
    few, many = (read(of_companies(count), answers.companies_in, "alias 7", **asked) for count in (8, 80))
    assert few == many


def test_totals_and_batches_take_as_many_documents_however_many_companies_there_are() -> None:
    few, many = (views(of_companies(count)) for count in (8, 80))
    for question in (answers.totals_in, answers.batches_in):
        assert read_of(few, question) == read_of(many, question)


def test_some_sources_take_as_many_documents_however_many_claims_come_before_and_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "GROUP", 8)

    def claims(count: int) -> list[RecordedEvent]:
        return log(*(called(f"e{n}", total(f">{n}", "2024-01-28")) for n in range(count)))

    documents = views(claims(400))
    few = read_of(documents, answers.sources_in, after=130, limit=5)
    assert few == read(claims(1_200), answers.sources_in, after=802, limit=5)
    assert [
        answer["says"]["count"]["value"] for answer in answers.sources_in(documents, after=130, limit=5)
    ] == [*range(130, 135)]


equal = st.one_of(
    st.builds(
        granted,
        st.sampled_from(["Baidu", "Zhipu", "Xiaomi"]),
        st.sampled_from(["one", "two", "three", "four"]),
        st.sampled_from(["2023-12-31", "2024-01-01", "2024-01-02", "2024-01-03", "2024-01"]),
        terms=st.sampled_from([MODELS, SERVICES]),
    ),
    st.builds(
        total,
        st.builds("{}{}".format, st.sampled_from(["=", "<=", ">"]), st.integers(0, 6)),
        st.sampled_from(["2024-01-01", "2024-01-02", "2024-01-31"]),
        terms=st.sampled_from([MODELS, SERVICES]),
        source=st.sampled_from(["CAC", "Xinhua", "AP"]),
    ),
)
"""Approvals in two terms, which of several days each may be of, and totals of both."""

NEAR = ["2024-01-10", "2024-01-17", "2024-01-20", "2024-01-26", "2024-01"]
SIZES = st.builds("{}{}".format, st.sampled_from(["=", "<=", ">="]), st.integers(1, 4))

placed = st.one_of(
    st.builds(
        granted,
        st.sampled_from(["Baidu", "Zhipu"]),
        st.sampled_from(["one", "two", "three", "four"]),
        st.sampled_from(NEAR),
        batch=st.sampled_from([None, 1, 2, 4, "first"]),
    ),
    st.builds(
        batch,
        st.sampled_from([None, 1, 2, 4]),
        SIZES,
        st.sampled_from(NEAR),
        label=st.sampled_from([None, None, "first"]),
        named=st.sampled_from([[], ["Baidu"], ["Baidu", "Zhipu"]]),
        source=st.sampled_from(["CAC", "Xinhua"]),
    ),
    st.builds(total, SIZES, st.sampled_from([*NEAR, "2024-03-01"]), source=st.sampled_from(["AP", "Xinhua"])),
)
"""Batches with members that lists date otherwise, and totals near them."""

meeting = st.one_of(
    st.lists(equal, max_size=12).map(lambda lines: log(equated(MODELS, SERVICES), *lines)),
    st.lists(placed, max_size=8).map(lambda lines: log(*lines)),
    st.lists(
        event_data(
            ApprovalGranted,
            ApprovalGranted,
            ApprovalRevoked,
            BatchAnnounced,
            BatchAnnounced,
            CompanyIdentified,
            CompanyIdentified,
            CompanyMerged,
            TotalReported,
        ),
        max_size=20,
    ).map(lambda data: log(*(called(f"e{n}", each) for n, each in enumerate(data)))),
)


@settings(max_examples=examples(60))
@given(meeting)
def test_the_names_that_no_announcement_is_about_decide_nothing(reports: list[RecordedEvent]) -> None:
    documents = views(reports)
    told = answers.totals_in(documents, steps=True), answers.batches_in(documents)
    every = sorted({*companies.all_names(documents["companies"]), *_claimed(documents["companies"])})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "_named", lambda *_: every)
        assert (answers.totals_in(documents, steps=True), answers.batches_in(documents)) == told


def _claimed(documents: MemoryDocuments) -> list[str]:
    return [name.removeprefix("alias\t") for name in documents if name.startswith("alias\t")]


@settings(max_examples=examples(60))
@given(meeting, st.dates(date(2023, 8, 1), date(2024, 2, 29)))
def test_figures_in_brief_are_those_of_every_day(reports: list[RecordedEvent], asked: date) -> None:
    documents = views(reports)
    for counted in answers.totals.all_terms(documents):
        gathered = Premises(gather(documents, counted))
        brief, whole = Figures.in_brief(gathered, [asked]), Figures(gathered, [asked])
        assert brief.last_day == whole.last_day
        for days in (date_range(str(asked)), whole.last_day):
            assert brief.total_in(days).interval == whole.total_in(days).interval
            assert brief.in_force_in(days).interval == whole.in_force_in(days).interval
            assert brief.undisclosed(days) == whole.undisclosed(days)
            assert brief.named(days.first) == whole.named(days.first)


@settings(max_examples=examples(40))
@given(meeting, st.sampled_from(["2023-08", "2023-11", "2024-01", "2023"]))
def test_what_is_undisclosed_in_a_month_or_a_year_is_what_may_be_on_one_of_its_days(
    reports: list[RecordedEvent], asked: str
) -> None:
    documents, days = views(reports), date_range(asked)
    every_day = [days.first + timedelta(days=n) for n in range((days.last - days.first).days + 1)]
    for counted in answers.totals.all_terms(documents):
        premises = Premises(gather(documents, counted))
        each = Figures(premises, every_day)
        on_days = [each.undisclosed(DateRange(day, day)) for day in every_day]
        told = Figures(premises, [days.first, days.last]).undisclosed(days)
        assert told.low == min(on.low for on in on_days)
        assert (told.high is None) == any(on.high is None for on in on_days)
        assert told.high is None or told.high == max(on.high or 0 for on in on_days)


@settings(max_examples=examples(60))
@given(meeting, st.lists(st.dates(date(2023, 8, 1), date(2024, 2, 29)), max_size=3))
def test_days_asked_about_have_the_bounds_that_they_have_where_all_days_are_solved_together(
    reports: list[RecordedEvent], asked: list[date]
) -> None:
    documents = views(reports)
    for counted in answers.totals.all_terms(documents):
        premises = Premises(gather(documents, counted))
        beside = Figures(premises, asked)
        together = premises.resolved(tuple(beside.days))
        for day in beside.days:
            assert beside.total(day).interval == together.bound(at(day)).interval
            assert beside.in_force(day).interval == together.bound(("in force", day)).interval
        for placed in beside.order:
            after = ("after", placed.batch.key)
            assert beside.resolution.bound(after).interval == together.bound(after).interval


@settings(max_examples=examples(200))
@given(
    meeting, st.lists(st.dates(date(2023, 8, 1), date(2024, 2, 29)), max_size=3), st.sets(st.integers(-1, 20))
)
def test_whether_events_contradict_each_other_does_not_depend_on_the_days_asked_about(
    reports: list[RecordedEvent], asked: list[date], some: set[int]
) -> None:
    documents = views(reports)
    for counted in answers.totals.all_terms(documents):
        premises = Premises(gather(documents, counted))
        brief, every_day = premises.on(premises.days), premises.on(Figures(premises, asked).days)
        every = frozenset({*premises.evidence.origins, NAMED, REVOKED})
        for events in (every, every & some, every - some):
            assert contradict(brief.constraints(events)) == contradict(every_day.constraints(events))


def test_given_batches_of_many_days_when_each_day_is_asked_about_then_whom_they_name_is_counted_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports = log(*(batch(n, "=3", f"2024-01-{n:02d}", named=[f"company {n}"]) for n in range(1, 21)))
    documents, times = views(reports), list[int]()
    count = unlisted_by_each

    def counting(mentions: Any, granted_to: Any, days: Any) -> Any:
        times.append(len(days))
        return count(mentions, granted_to, days)

    monkeypatch.setattr(figures, "unlisted_by_each", counting)
    (answer,) = answers.totals_in(documents, steps=True)
    assert [step["named"] for step in answer["steps"]] == [*range(1, 21)]
    assert len(times) == 1


def test_given_no_revocation_when_the_evidence_of_terms_is_gathered_then_no_others_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports = log(*(total("=3", "2024-01-01", terms=(f"authority {n}", "filing", "model")) for n in range(3)))
    documents = views(reports)
    counted = terms.all_seen(documents["totals"])
    monkeypatch.setattr(terms, "keys_seen", None)
    assert [len(gather(documents, each).totals) for each in counted] == [1, 1, 1]
