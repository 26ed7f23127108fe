"""Laws that every projection keeps, whatever the log; and that true reports never lead to a false figure."""

from __future__ import annotations

import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import (
    DecodedEvent,
    Event,
    EventData,
    RecordedEvent,
    canonical,
    date_range,
    decode,
    keys,
    name_key,
)
from events.catalog import (
    ApprovalGranted,
    ApprovalRevoked,
    BatchAnnounced,
    CompanyIdentified,
    CompanyMerged,
    EventReference,
    EventRetracted,
    EventSuperseded,
    Item,
    TermsEquated,
    TotalReported,
)
from projections import (
    PROJECTIONS,
    MemoryDocuments,
    Projection,
    advance,
    answers,
    buckets,
    companies,
    digest,
    fold,
    pages,
    terms,
    totals,
)
from projections import batches as batches_fold
from projections.answers import shown
from projections.bounds import NAMED, REVOKED, Constraint, contradict, resolve
from projections.evidence import Batch, Granted
from projections.figures import Figures
from projections.gathering import gather
from projections.mentions import unlisted_by_each
from projections.premises import Premises
from projections.projection import correction_key

from .given import (
    ASK,
    DESK,
    MODELS,
    SERVICES,
    Line,
    amended,
    ask,
    batch,
    called,
    equated,
    exactly,
    granted,
    identified,
    log,
    retracted,
    revoked,
    total,
    unknown,
    views,
)
from .long import examples, only_long
from .strategies import IDS, SOURCES, event_data

CORRECTIONS = (EventRetracted, EventSuperseded)
COUNTING = (ApprovalGranted, ApprovalRevoked, BatchAnnounced, TotalReported, TermsEquated, CompanyIdentified)
projections = pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS)


@st.composite
def logs(draw: st.DrawFn, *models: type[EventData], most: int = 14) -> list[RecordedEvent]:
    """A log of valid events of any of `models`, or of every type, that meet: the same companies, days and ids."""
    return _with_ids(draw, [draw(event_data(*models)) for _ in range(draw(st.integers(0, most)))])


@st.composite
def corrected_logs(draw: st.DrawFn) -> list[RecordedEvent]:
    """A log of which about a half corrects the other half, or itself."""
    kinds = draw(st.lists(st.booleans(), max_size=16))
    return _with_ids(draw, [draw(event_data(*CORRECTIONS) if is_one else event_data()) for is_one in kinds])


def _with_ids(draw: st.DrawFn, data: list[EventData]) -> list[RecordedEvent]:
    identities = draw(st.permutations(IDENTITIES))
    lines = [Event(name, source, each) for (source, name), each in zip(identities, data, strict=False)]
    return log(*(line for line in lines if getattr(line.data, "target", None) != reference_to(line)))


def reference_to(event: Event) -> EventReference:
    return EventReference(source=event.source, id=event.id)


IDENTITIES = [(source, name) for source in SOURCES for name in IDS]


# The same log gives the same bytes.


@projections
@settings(max_examples=examples(25))
@given(reports=corrected_logs())
def test_the_same_log_gives_the_same_documents_and_they_are_json(
    projection: Projection, reports: list[RecordedEvent]
) -> None:
    documents = fold(projection, reports)
    assert digest(fold(projection, reports)) == digest(documents)
    assert {name: json.loads(canonical(value)) for name, value in documents.items()} == documents


@projections
@settings(max_examples=examples(15))
@given(reports=corrected_logs())
def test_a_fold_may_stop_anywhere_and_go_on_from_its_documents_as_they_were_stored(
    projection: Projection, reports: list[RecordedEvent]
) -> None:
    decoded = [decode(recorded) for recorded in reports]
    whole = digest(fold(projection, reports))
    for stop in range(len(reports) + 1):
        stored = {name: canonical(value) for name, value in fold(projection, reports[:stop]).items()}
        documents = MemoryDocuments({name: json.loads(value) for name, value in stored.items()})
        for event in decoded[stop:]:
            known = {(e.source, e.id): e for e in decoded[: event.position]}
            advance(projection, documents, event, lambda *identity, known=known: known.get(identity))
        assert digest(documents) == whole


@projections
@settings(max_examples=examples(25))
@given(reports=corrected_logs(), data=st.data())
def test_a_type_that_is_not_known_is_ignored(
    projection: Projection, reports: list[RecordedEvent], data: st.DataObject
) -> None:
    places = data.draw(st.sets(st.integers(0, len(reports)), min_size=1))
    payloads: list[Line] = []
    for n in range(len(reports) + 1):
        payloads += [unknown(id=f"u{n}")] if n in places else []
        payloads += [reports[n].payload] if n < len(reports) else []
    newer = log(*payloads)
    understood = [recorded for recorded in newer if decode(recorded).data is not None]
    assert len(understood) == len(reports)
    assert digest(fold(projection, newer)) == digest(fold(projection, understood))


def test_the_documents_of_a_hundred_reports_in_one_place_come_and_go_in_any_order() -> None:
    reports = [called(f"r{n}", total(f">{n}", "2024-01-28")) for n in range(100)]
    for order in (range(100), range(99, -1, -1), [*range(1, 100, 2), *range(98, -1, -2)]):
        withdrawn = log(*reports, *(called(f"w{n}", retracted(f"r{n}")) for n in order))
        for name, documents in views(withdrawn).items():
            assert name == "sources" or all(key.startswith("correction\t") for key in documents)
        kept = log(*reports, *(called(f"w{n}", retracted(f"r{n}")) for n in order if n != 41))
        (answer,) = answers.totals_in(views(kept))
        assert answer["total"] == {"low": 42, "high": None}


# Corrections.


def standing(reports: Sequence[RecordedEvent]) -> list[DecodedEvent]:
    """The events that stand, by a model of its own: one does where no correction that stands is against it. Corrections
    that correct each other in a ring are left out; nothing else depends on them."""
    decoded = [decode(recorded) for recorded in reports]
    against: dict[tuple[str, str], list[DecodedEvent]] = {}
    for event in decoded:
        if isinstance(event.data, CORRECTIONS):
            against.setdefault((event.data.target.source, event.data.target.id), []).append(event)
    stands: dict[int, bool] = {}
    for _ in decoded:
        for event in decoded:
            verdicts = [stands.get(c.position) for c in against.get((event.source, event.id), [])]
            if True in verdicts:
                stands[event.position] = False
            elif None not in verdicts:
                stands[event.position] = True
    return [event for event in decoded if stands.get(event.position)]


NO_FIGURES = {"evidence", "position", "sources", "reports", "contradictions", "equated", "merges", "version"}


def figures(answer: Any) -> Any:
    """An answer without the positions of what it rests on."""
    if isinstance(answer, dict):
        return {name: figures(value) for name, value in answer.items() if name not in NO_FIGURES}
    return [figures(value) for value in answer] if isinstance(answer, list) else answer


def conclusions(reports: Sequence[RecordedEvent]) -> dict[str, Any]:
    documents = views(reports)
    every = answers.companies_in(documents)
    names = sorted({name for company in every for name in company["names"]})
    return {
        "totals": figures(answers.totals_in(documents, steps=True)),
        "batches": figures(answers.batches_in(documents)),
        "companies": figures(every),
        "histories": [figures(answers.companies_in(documents, name)) for name in names],
        "shares": figures(answers.shares_in(documents)),
        "sources": [
            figures(claim)
            for claim in answers.sources_in(documents)
            if not claim["type"].startswith("event.")
        ],
    }


@settings(max_examples=examples(60))
@given(corrected_logs())
def test_corrections_leave_the_conclusions_of_the_events_that_stand_as_if_there_were_no_others(
    reports: list[RecordedEvent],
) -> None:
    kept = {event.position for event in standing(reports)}
    plain = [
        recorded.payload
        for recorded in reports
        if recorded.position in kept and not isinstance(decode(recorded).data, CORRECTIONS)
    ]
    assert conclusions(reports) == conclusions(log(*plain))


@settings(max_examples=examples(40))
@given(reports=corrected_logs(), data=st.data())
def test_a_correction_may_come_before_its_target_or_at_any_time_after_it(
    reports: list[RecordedEvent], data: st.DataObject
) -> None:
    decoded = [decode(recorded) for recorded in reports]
    corrects = [isinstance(event.data, CORRECTIONS) for event in decoded]
    others = iter([r.payload for r, is_one in zip(reports, corrects, strict=True) if not is_one])
    corrections = iter(
        data.draw(st.permutations([r.payload for r, is_one in zip(reports, corrects, strict=True) if is_one]))
    )
    places = data.draw(st.permutations(corrects))
    moved = log(*(next(corrections) if is_one else next(others) for is_one in places))
    assert conclusions(moved) == conclusions(reports)


def unordered(answer: Any) -> Any:
    """An answer whose lists are in an order that does not come from that of the events."""
    if isinstance(answer, dict):
        return {name: unordered(value) for name, value in answer.items()}
    return sorted(map(unordered, answer), key=canonical) if isinstance(answer, list) else answer


@settings(max_examples=examples(60))
@given(reports=corrected_logs(), data=st.data())
def test_the_conclusions_do_not_depend_on_the_order_in_which_events_arrive(
    reports: list[RecordedEvent], data: st.DataObject
) -> None:
    moved = log(*data.draw(st.permutations([recorded.payload for recorded in reports])))
    assert unordered(conclusions(moved)) == unordered(conclusions(reports))


@st.composite
def lines_of_one_number(draw: st.DrawFn) -> list[EventData]:
    """Reports that give a registry number to several companies, amendments of it, and announcements that name these."""
    of = st.sampled_from(["Baidu", "百度", "Zhipu", "Kunlun"])
    days = st.sampled_from(["2023-09-10", "2023-12-01", "2024-01"])
    grants = st.builds(granted, of, st.sampled_from("mn"), days, number=st.sampled_from([None, "N1", "N1"]))
    amendments = st.builds(amended, st.just("N1"), company=of)
    announced = st.builds(
        batch, st.sampled_from([1, 2]), st.just(">=1"), days, named=st.lists(of, min_size=1, max_size=2)
    )
    known = st.sampled_from([identified("baidu", "Baidu", "百度"), identified("other", "Kunlun", "百度")])
    return draw(st.lists(st.one_of(grants, grants, amendments, announced, known), min_size=3, max_size=7))


@settings(max_examples=examples(100))
@given(lines=lines_of_one_number(), data=st.data())
def test_whose_a_registry_number_is_does_not_depend_on_the_order_in_which_events_arrive(
    lines: list[EventData], data: st.DataObject
) -> None:
    moved = data.draw(st.permutations(lines))
    assert unordered(conclusions(log(*moved))) == unordered(conclusions(log(*lines)))


def test_what_became_of_an_approval_stands_with_the_same_amendment_in_whichever_order_they_arrive() -> None:
    lines = [
        *(amended("N1", company=name) for name in ("百度", "Baidu", "Zhipu")),
        identified("baidu", "Baidu", "百度"),
    ]
    told = {canonical(unordered(conclusions(log(*moved)))) for moved in permutations(lines)}
    assert len(told) == 1


@settings(max_examples=examples(40))
@given(logs())
def test_when_every_report_is_withdrawn_nothing_is_left_but_the_corrections(
    reports: list[RecordedEvent],
) -> None:
    withdrawals = [
        canonical(
            {
                "specversion": "1.0",
                "id": f"w{event.position}",
                "source": DESK,
                "type": EventRetracted.TYPE,
                "dataschema": "urn:approval-ledger:event.retracted.v1:1",
                "data": {
                    "target": {"source": event.source, "id": event.id},
                    "reason": "all wrong",
                    "actor": "editor",
                },
            }
        )
        for event in map(decode, reports)
        if not isinstance(event.data, CORRECTIONS)
    ]
    withdrawn = log(*(recorded.payload for recorded in reports), *withdrawals)
    assert all(not figures for figures in conclusions(withdrawn).values())
    documents = views(withdrawn)
    assert all(key == "waiting" or key.startswith("correction\t") for key in documents["totals"])
    for name in ("batches", "companies", "shares"):
        assert set(documents[name]) == set(documents["totals"])


@settings(max_examples=examples(40))
@given(corrected_logs())
def test_a_correction_waits_for_a_target_that_is_still_to_come_and_for_no_other(
    reports: list[RecordedEvent],
) -> None:
    there = {correction_key(event.source, event.id) for event in map(decode, reports)}
    for documents in views(reports).values():
        awaited = {key for key in documents if key.startswith("correction\t")} - there
        assert documents.get("waiting", 0) == len(awaited)


def test_a_retraction_of_a_retraction_restores_and_so_on_down_the_line() -> None:
    lines = [called("0", total("=40", "2024-01-28"))]
    lines += [called(str(n), retracted(str(n - 1))) for n in range(1, 6)]
    counts = [bool(answers.totals_in(views(log(*lines[:n])))) for n in range(1, 7)]
    assert counts == [True, False, True, False, True, False]


@only_long
def test_a_line_of_retractions_may_be_longer_than_the_interpreter_has_calls() -> None:
    lines = [called("0", total("=40", "2024-01-28"))]
    lines += [called(str(n), retracted(str(n - 1))) for n in range(1, 302)]
    depth = len(inspect.stack())
    with recursion_limit(depth + 250):
        assert answers.totals_in(views(log(*lines))) == []


@contextmanager
def recursion_limit(calls: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(calls)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_a_ring_of_retractions_ends_and_takes_nothing_else_with_it(size: int) -> None:
    ring = [called(f"r{n}", retracted(f"r{(n + 1) % size}")) for n in range(size)]
    tail = [called("figure", total("=40", "2024-01-28")), called("breaker", retracted("r0"))]
    for turn in range(size):
        documents = views(log(*ring[turn:], *ring[:turn], *tail))
        (answer,) = answers.totals_in(documents)
        assert answer["total"] == {"low": 40, "high": 40}


def test_a_replacement_counts_from_when_it_comes_and_what_it_supersedes_no_longer() -> None:
    old, new = called("old", total("=400", "2024-01-28")), called("new", total("=40", "2024-01-28"))
    swap = called(
        "swap",
        EventSuperseded.model_validate(
            {
                "target": {"source": DESK, "id": "old"},
                "replacement": {"source": DESK, "id": "new"},
                "reason": "misread",
                "actor": "editor",
            }
        ),
    )
    for order in ([old, new, swap], [swap, old, new], [new, swap, old]):
        (answer,) = answers.totals_in(views(log(*order)))
        assert answer["total"] == {"low": 40, "high": 40}
        assert answer["contradictions"] == []
    assert answers.totals_in(views(log(old, swap))) == []  # the replacement is still to come


# Statistics kept event by event are those of a recount.


def distinct(grants: Iterable[ApprovalGranted]) -> list[tuple[str, tuple[date, date]]]:
    """Distinct approvals among grants of one class of terms, by registry number, else by item and company: the company
    of the earliest report, and the days that all its reports allow."""
    by_number: dict[str, list[ApprovalGranted]] = {}
    by_item: dict[tuple[str, str], list[ApprovalGranted]] = {}
    for grant in grants:
        item = (name_key(grant.item.name), name_key(grant.company.name))
        if grant.item.registry_number is None:
            by_item.setdefault(item, []).append(grant)
        else:
            by_number.setdefault(name_key(grant.item.registry_number), []).append(grant)
    numbered = {(name_key(g.item.name), name_key(g.company.name)) for of in by_number.values() for g in of}
    groups = [*by_number.values(), *(of for item, of in by_item.items() if item not in numbered)]
    return [(name_key(of[0].company.name), spanned(g.approved_on for g in of)) for of in groups]


def spanned(days: Iterable[str]) -> tuple[date, date]:
    """The days that all of them allow, or, where there is none, that one of them does."""
    ranges = [date_range(day) for day in days]
    first, last = max(r.first for r in ranges), min(r.last for r in ranges)
    if first <= last:
        return first, last
    return min(r.first for r in ranges), max(r.last for r in ranges)


def by_days(days: Iterable[tuple[Any, int, list[int]]]) -> Counter[tuple[date, date]]:
    counted: Counter[tuple[date, date]] = Counter()
    for days_of, n, _ in days:
        counted[days_of.first, days_of.last] += n
    return counted


@settings(max_examples=examples(120))
@given(logs(ApprovalGranted, ApprovalGranted, ApprovalGranted, ApprovalRevoked, EventRetracted, most=16))
def test_approvals_revocations_and_members_are_counted_as_a_recount_from_scratch_counts_them(
    reports: list[RecordedEvent],
) -> None:
    data = [event.data for event in standing(reports)]
    grants: dict[str, list[ApprovalGranted]] = {}
    for grant in data:
        if isinstance(grant, ApprovalGranted):
            grants.setdefault(terms.key_for(grant), []).append(grant)
    documents = views(reports)
    assert set(terms.all_seen(documents["totals"])) == set(grants)
    for counted, of in grants.items():
        expected = distinct(of)
        assert by_days(totals.granted(documents["totals"], counted)) == Counter(days for _, days in expected)
        for company, n in Counter(company for company, _ in expected).items():
            record = companies.record(documents["companies"], company)
            assert record is not None
            assert record["granted"][counted] == n
        assert _members(documents["batches"], counted) == _expected_members(of)
    for authority, instrument in {tuple(counted.split("\t")[:2]) for counted in grants}:
        ended = [
            r
            for r in data
            if isinstance(r, ApprovalRevoked)
            and (name_key(r.authority), name_key(r.instrument)) == (authority, instrument)
        ]
        found = totals.revoked_days(documents["totals"], f"{authority}\t{instrument}\tany")
        assert [by_days(days) for days in found] == [
            _spans((name_key(r.registry_number), r) for r in ended if r.registry_number),
            _spans((name_key(r.item.name), r) for r in ended if not r.registry_number and r.item),
        ]


def _spans(revocations: Iterable[tuple[str, ApprovalRevoked]]) -> Counter[tuple[date, date]]:
    of: dict[str, list[str]] = {}
    for name, revocation in revocations:
        of.setdefault(name, []).append(revocation.revoked_on)
    return Counter(spanned(days) for days in of.values())


def _members(documents: MemoryDocuments, counted: str) -> dict[str, tuple[int, dict[str, int]]]:
    names = {name.rpartition("\t")[2] for name in documents if name.startswith(f"placed\t{counted}\t")}
    of_companies = batches_fold.members_of(documents, counted, names)
    members = batches_fold.members(documents, counted)
    return {of: (members[of][0], of_companies[of]) for of in members}


def _expected_members(grants: Iterable[ApprovalGranted]) -> dict[str, tuple[int, dict[str, int]]]:
    of: dict[str, list[ApprovalGranted]] = {}
    for grant in grants:
        if grant.batch is not None:
            of.setdefault(batches_fold.batch_key(grant.batch), []).append(grant)
    return {
        key: (len(distinct(members)), dict(Counter(company for company, _ in distinct(members))))
        for key, members in of.items()
    }


positions = st.lists(st.tuples(st.booleans(), st.integers(1, 120)), max_size=150)


@given(positions)
def test_a_list_in_pages_is_a_dictionary_by_position(changes: list[tuple[bool, int]]) -> None:
    documents, model = MemoryDocuments(), dict[int, str]()
    # A long list first, so that there is more than one page.
    for position in range(200, 300):
        pages.insert(documents, "list", position, f"entry {position}")
        model[position] = f"entry {position}"
    for add, position in [*changes, *((False, position) for position in range(299, 199, -1))]:
        if add and position not in model:
            model[position] = f"entry {position}"
            pages.insert(documents, "list", position, model[position])
        elif not add and position in model:
            del model[position]
            pages.remove(documents, "list", position)
    assert list(pages.read(documents, "list")) == sorted(model.items())
    assert pages.first(documents, "list") == min(model, default=None)
    for position in model:
        pages.remove(documents, "list", position)
    assert documents == {}


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=2))))
def test_a_set_in_buckets_is_a_set(changes: list[tuple[bool, str]]) -> None:
    documents, model = MemoryDocuments(), set[str]()
    for add, name in changes:
        (buckets.add if add else buckets.discard)(documents, "set", name)
        (model.add if add else model.discard)(name)
    found = list(buckets.read(documents, "set"))
    assert len(found) == len(model)
    assert set(found) == model
    for name in model:
        buckets.discard(documents, "set", name)
    assert documents == {}


# Evidence.


def only(reports: Sequence[RecordedEvent], events: frozenset[int]) -> list[RecordedEvent]:
    """The log with no other figures than those of `events`; who is who, and which terms are one, stays known."""

    def stays(recorded: RecordedEvent) -> bool:
        match decode(recorded).data:
            case ApprovalGranted():
                return NAMED in events
            case ApprovalRevoked():
                return REVOKED in events
            case BatchAnnounced() | TotalReported():
                return recorded.position in events
        return True

    return [recorded for recorded in reports if stays(recorded)]


def figures_of(reports: Sequence[RecordedEvent], counted: str, asked: Sequence[date] = ()) -> Figures:
    return Figures(Premises(gather(views(reports), counted)), asked)


@settings(max_examples=examples(60))
@given(st.data())
def test_the_events_that_force_a_total_force_it_without_any_other(data: st.DataObject) -> None:
    reports = log(*(told.line for told in data.draw(tellings(data.draw(histories())))))
    counted = terms.key_of(*MODELS)
    whole = figures_of(reports, counted)
    for day in whole.days:
        bound = whole.total(day)
        low = figures_of(only(reports, bound.low), counted, [day]).total(day).interval.low
        high = figures_of(only(reports, bound.high), counted, [day]).total(day).interval.high
        assert low >= bound.interval.low
        assert bound.interval.high is None or (high is not None and high <= bound.interval.high)


@settings(max_examples=examples(400))
@given(
    logs(*COUNTING, ApprovalGranted, ApprovalGranted, most=10),
    st.sampled_from(["2023-10", "2024-01-10", "2024"]),
)
def test_the_events_that_are_listed_as_all_the_evidence_force_a_figure_without_any_other(
    reports: list[RecordedEvent], day: str
) -> None:
    asked: dict[str, dict[str, Any]] = {
        "totals": {"valid_at": date_range(day), "whole_evidence": True},
        "batches": {"whole_evidence": True},
    }

    def alone(question: str, answer: dict[str, Any], evidence: list[int]) -> dict[str, Any]:
        """The same answer, of these events; who is who, and which terms are one, stays known."""
        terms_of = answer["authority"], answer["instrument"], answer["unit"]
        counted = called("counted", total(">=0", "2023-01-01", terms=terms_of))
        kept = [each for each in reports if each.position in evidence or _says_what_is_one(each)]
        # A batch is listed where it was announced, by whichever of the terms that are one.
        same: tuple[str, ...] = ("authority", "instrument", "unit")
        if question == "batches":
            same = ("ordinal",) if answer["ordinal"] else ("label",)
        found = [
            each
            for each in ASK[question](
                views([*kept, *log(*[b"{}"] * len(reports), counted)[-1:]]), **asked[question]
            )
            if all(name_key(str(each[of])) == name_key(str(answer[of])) for of in same)
        ]
        # Several batches may have one label.
        return min(found, key=lambda each: each.get("ordinal") != answer.get("ordinal"))

    for question, figures in (("totals", ("total", "in_force")), ("batches", ("size", "before"))):
        for answer in ASK[question](views(reports), **asked[question]):
            if answer["contradictions"] or (
                question == "batches" and not (answer["ordinal"] or answer["label"])
            ):
                continue
            for figure in figures:
                interval = answer.get(figure, {"low": 0, "high": None})
                listed = interval.get("evidence") or answer["evidence"]
                listed = listed.get(figure, listed)
                if interval["low"] > 0:
                    assert alone(question, answer, listed["low"])[figure]["low"] >= interval["low"]
                if interval["high"] is not None:
                    found = alone(question, answer, listed["high"])
                    assert found[figure if figure in found else "total"]["high"] <= interval["high"]


@st.composite
def lines_of_batches(draw: st.DrawFn) -> list[EventData]:
    """Batches and their members, on few days: many a figure rests on approvals by their days and on members of batches."""
    days = st.sampled_from(["2024-01-10", "2024-01-12", "2024-01-20", "2024-02-01", "2024-01", "2024-02"])
    figures = st.sampled_from([">=1", ">=2", ">=3", ">=4", "<=9"])
    of_terms = st.sampled_from([MODELS, MODELS, SERVICES])
    grants = st.builds(
        granted,
        st.sampled_from(["Baidu", "百度", "Zhipu"]),
        st.sampled_from("mnopq"),
        days,
        number=st.none() | st.sampled_from(["CN-1", "CN-2", "CN-3"]),
        batch=st.none() | st.sampled_from([1, 2, 2, 3, 3, "third"]),
        terms=of_terms,
    )
    announced = st.builds(
        batch,
        st.integers(1, 3),
        figures,
        days,
        named=st.sampled_from([(), ("Zhipu",)]),
        label=st.none() | st.just("third"),
        terms=of_terms,
    )
    by_a_day = st.builds(total, figures, days, in_force=st.booleans(), terms=of_terms)
    periods = st.tuples(days, days).map(lambda period: (min(period), max(period)))
    of_a_period = st.builds(total, figures, period=periods, terms=of_terms)
    ended = st.builds(revoked, st.sampled_from(["CN-1", "CN-2"]), on=days)
    lines = st.one_of(grants, grants, grants, announced, announced, by_a_day, of_a_period, ended)
    known = st.sampled_from([equated(), identified("baidu", "Baidu", "百度")])
    return [*draw(st.lists(lines, min_size=4, max_size=12)), *draw(st.lists(known, max_size=2))]


DAYS_ASKED = st.none() | st.sampled_from(["2024-01-10", "2024-01-20", "2024-01", "2024"])


@settings(max_examples=examples(400))
@given(lines_of_batches(), DAYS_ASKED, st.integers(0, 3))
def test_evidence_lists_and_counts_no_more_than_there_is(
    lines: list[EventData], day: str | None, most: int
) -> None:
    for told, all_of_it in _evidence(log(*lines), day, most):
        for side in ("low", "high"):
            assert {*told[side]} <= {*all_of_it[side]}
        assert _how_much(told) <= _how_much(all_of_it)


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("most", [1, 2, 12])
def test_all_the_evidence_has_what_some_lists_where_an_approval_is_dated_otherwise(
    batch: int | None, most: int
) -> None:
    lines = [
        granted("Baidu", "Yi", "2023-08-29", number="CN-1", batch=batch),
        granted("Baidu", "Wenxin", "2023-11-01", number="CN-2"),
        granted("Baidu", "Ernie", "2023-08", number="CN-3", batch=batch),
        granted("Baidu", "Ernie", "2024-02-28"),
    ]
    for day in ("2023-11-15", "2024-03"):
        for told, all_of_it in _evidence(log(*lines), day, most):
            assert {*told["low"]} <= {*all_of_it["low"]}
            assert _how_much(told) <= _how_much(all_of_it)


@settings(max_examples=examples(400))
@given(lines_of_batches(), DAYS_ASKED, st.integers(0, 3))
def test_where_no_two_reports_are_of_one_approval_evidence_lists_and_counts_all_there_is(
    lines: list[EventData], day: str | None, most: int
) -> None:
    different = [
        line.model_copy(update={"item": Item(name=f"m{n}", registry_number=f"CN-{n}")})
        if isinstance(line, ApprovalGranted)
        else line
        for n, line in enumerate(lines)
        if not isinstance(line, ApprovalRevoked)
    ]
    for told, all_of_it in _evidence(log(*different), day, most):
        assert _how_much(told) == _how_much(all_of_it)


def _evidence(
    reports: list[RecordedEvent], day: str | None, most: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each evidence of the totals and batches with at most so many positions a side, and the same with all."""
    known, valid_at = views(reports), None if day is None else date_range(day)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shown, "SHOWN", most)
        for ask in (answers.totals_in, answers.batches_in):
            some, whole = (ask(known, valid_at=valid_at, whole_evidence=every) for every in (False, True))
            yield from zip(_evidence_in(some), _evidence_in(whole), strict=True)


def _evidence_in(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each `evidence` of some answers: by the sides of a bound, or by figures first."""
    for answer in found:
        for held in (answer["evidence"], answer.get("in_force", {}).get("evidence", {})):
            yield from [held] if "more" in held else held.values()


def _how_much(evidence: dict[str, Any]) -> int:
    """How much is listed on the two sides of a bound, and counted beside that."""
    return len(evidence["low"]) + len(evidence["high"]) + int(evidence["more"])


@settings(max_examples=examples(60))
@given(logs(*COUNTING, BatchAnnounced, TotalReported, most=10), DAYS_ASKED)
def test_a_step_is_what_is_answered_about_its_day(reports: list[RecordedEvent], day: str | None) -> None:
    known, valid_at = views(reports), None if day is None else date_range(day)
    for answer in answers.totals_in(known, valid_at=valid_at, steps=True, whole_evidence=True):
        for step in answer["steps"]:
            (about_it,) = answers.totals_in(
                known,
                valid_at=date_range(step["on"]),
                whole_evidence=True,
                **{part: answer[part] for part in ("authority", "instrument", "unit")},
            )
            assert {**about_it, "on": about_it["as_of"]}.items() >= step.items()


def _says_what_is_one(recorded: RecordedEvent) -> bool:
    return isinstance(decode(recorded).data, CompanyIdentified | CompanyMerged | TermsEquated)


@settings(max_examples=examples(60))
@given(logs(*COUNTING, BatchAnnounced, TotalReported, TotalReported, most=10))
def test_the_events_of_a_contradiction_cannot_all_be_true_and_none_of_them_can_be_missed(
    reports: list[RecordedEvent],
) -> None:
    for counted in terms.all_seen(views(reports)["totals"]):
        for conflict in figures_of(reports, counted).resolution.conflicts:
            assert figures_of(only(reports, conflict.events), counted).resolution.conflicts
            for event in conflict.events:
                rest = only(reports, conflict.events - {event})
                assert figures_of(rest, counted).resolution.conflicts == ()


@settings(max_examples=examples(60))
@given(logs(*COUNTING, BatchAnnounced, BatchAnnounced, BatchAnnounced, most=12))
def test_batches_and_whom_they_name_are_placed_as_a_look_at_each_two_of_them_places_them(
    reports: list[RecordedEvent],
) -> None:
    for counted in terms.all_seen(views(reports)["totals"]):
        premises = Premises(gather(views(reports), counted))
        order = premises.order
        assert [placed.by for placed in order] == sorted(placed.by for placed in order)
        for place, placed in enumerate(order):
            before = [other.surely_before(placed) for other in order[:place]]
            assert placed.surely_after == [*before, False].index(False)
            others = [other.batch for other in order if other.sure and other is not placed]
            if placed.batch.ordinal is None:
                assert placed.sure == all(_are_two(placed.batch, other) for other in others)
        for one in (placed.batch for placed in order):
            others = [other.batch for other in order if other.batch is not one]
            perhaps = {other.key for other in others if not _are_two(one, other)}
            assert {other.key for other in premises.may_be_the_same(one)} == perhaps
        for day in {placed.by for placed in order}:
            mentions = [mention for mention in premises.mentions if mention.by <= day]
            named = sum((Counter(mention.companies) for mention in mentions if mention.sure), Counter[str]())
            for mention in (
                mentions
            ):  # as a union of what is counted: one that may be another names no more than that, or its own
                named |= Counter(mention.companies)
            ((_, unlisted, because),) = unlisted_by_each(premises.mentions, Granted({}), [day])
            assert unlisted == named.total()
            assert because <= frozenset[int]().union(*(mention.because for mention in mentions))


def _are_two(a: Batch, b: Batch) -> bool:
    if (a.key.startswith("label") and b.key.startswith("label")) or None not in (a.ordinal, b.ordinal):
        return True
    return a.on is not None and b.on is not None and (a.on.last < b.on.first or b.on.last < a.on.first)


def sixty_batches_and_a_wrong_total() -> Premises:
    """Ten in each, one batch a day; and half of these in all, by another paper."""
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(61)]
    announced = [batch(n, "=10", str(day), named=["Baidu"]) for n, day in enumerate(days[:-1], start=1)]
    documents = views(log(*announced, total("=300", str(days[-1]), source="another paper")))
    (counted,) = terms.all_seen(documents["totals"])
    return Premises(gather(documents, counted))


@only_long
def test_what_a_wrong_total_contradicts_is_found_in_some_hundreds_of_systems_and_smallest() -> None:
    premises = sixty_batches_and_a_wrong_total()
    constraints = premises.on(premises.days).constraints
    systems = []

    def build(counted: frozenset[int]) -> Sequence[Constraint]:
        systems.append(counted)
        return constraints(counted)

    resolution = resolve(build, premises.origins)
    assert len(systems) < 500
    for conflict in resolution.conflicts:
        assert 20 < len(conflict.events) < 40
        assert contradict(constraints(conflict.events))
        assert not any(contradict(constraints(conflict.events - {event})) for event in conflict.events)


def test_to_leave_out_one_event_makes_the_constraints_of_a_few_batches_and_no_more() -> None:
    premises = sixty_batches_and_a_wrong_total()
    every = frozenset(premises.origins)
    before = {id(constraint): constraint for constraint in premises.batches(every)}
    after = premises.batches(every - {30})
    assert len([constraint for constraint in after if id(constraint) not in before]) < len(after) / 20


@settings(max_examples=examples(40))
@given(corrected_logs())
def test_no_answer_rests_on_an_event_that_does_not_stand(reports: list[RecordedEvent]) -> None:
    stands = {event.position for event in standing(reports)}
    documents = views(reports)
    named = {
        position
        for found in (
            answers.totals_in(documents, steps=True),
            answers.batches_in(documents),
            answers.companies_in(documents),
            answers.shares_in(documents),
        )
        for answer in found
        for position in _positions(answer)
    }
    assert named <= stands


def _positions(answer: Any, *, evidence: bool = False) -> Iterable[int]:
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name == "position":
                yield value
            elif name != "more":
                yield from _positions(value, evidence=evidence or name in ("evidence", "events"))
    elif isinstance(answer, list):
        for value in answer:
            yield from _positions(value, evidence=evidence)
    elif evidence and isinstance(answer, int):
        yield answer


# Soundness: reports of a hidden history that are all true never lead to a figure that is not.

START = date(2023, 6, 1)
SPAN = 300  # days
ALIASES = {"a": ("Baidu", "百度", "Yi"), "b": ("Zhipu", "智谱", "Yi"), "c": ("Xiaomi", "小米")}
NAMES = [
    identified("a", "Baidu", "百度", "Yi"),
    identified("b", "Zhipu", "智谱", "Yi"),  # Yi is disputed
    identified("c", "Xiaomi", "小米"),
]


@dataclass(frozen=True)
class Approval:
    company: str
    item: str
    number: str | None
    on: date
    batch: int | None
    ended: date | None


@dataclass(frozen=True)
class History:
    """What really happened: the approvals, and the day on which each batch was announced, the first at 1."""

    approvals: tuple[Approval, ...]
    announced: dict[int, date]

    def total(self, day: date) -> int:
        return sum(approval.on <= day for approval in self.approvals)

    def in_force(self, day: date) -> int:
        return sum(a.on <= day and not (a.ended and a.ended <= day) for a in self.approvals)

    def of_batch(self, ordinal: int) -> list[Approval]:
        return [approval for approval in self.approvals if approval.batch == ordinal]


@dataclass(frozen=True)
class Told:
    """A report of the history, with the batch it is of and the approvals it names, in the batch or at all."""

    line: Line
    batch: int | None = None
    names: frozenset[Approval] = frozenset()
    names_in_batch: frozenset[Approval] = frozenset()


@st.composite
def histories(draw: st.DrawFn, *, all_in_batches: bool = False) -> History:
    days = st.integers(0, SPAN)
    # Whoever reads a total as having the latest batch must be given a week without another.
    gaps = draw(st.lists(st.integers(9 if all_in_batches else 1, 60), max_size=4))
    granted_on: list[date] = []
    announced: dict[int, date] = {}
    for ordinal, gap in enumerate(gaps, start=1):
        granted_on.append((granted_on[-1] if granted_on else START) + timedelta(gap))
        room = gaps[ordinal] - 1 if ordinal < len(gaps) else 6
        delay = 0 if all_in_batches else draw(st.integers(0, min(room, 6)))
        announced[ordinal] = granted_on[-1] + timedelta(delay)
    places: list[tuple[date, int | None]] = []
    for ordinal, day in enumerate(granted_on, start=1):
        places += [(day, ordinal)] * draw(st.integers(1, 4))
    if not all_in_batches:
        places += [(START + timedelta(d), None) for d in draw(st.lists(days, max_size=4))]
    approvals: list[Approval] = []
    for n, (day, of) in enumerate(places):
        company = draw(st.sampled_from("abc"))
        item = f"m{sum(a.company == company for a in approvals)}"  # companies may call their products alike
        number = draw(st.none() | st.just(f"CN-{n}"))
        ended = draw(st.none() | st.none() | days.map(timedelta).map(day.__add__))
        approvals.append(Approval(company, item, number, day, of, ended))
    return History(tuple(approvals), announced)


@st.composite
def tellings(draw: st.DrawFn, history: History, *, in_one: bool = False) -> list[Told]:
    """True reports of the history, in any order, and false ones that are retracted; `in_one` class of terms, or in two."""
    several = not in_one and draw(st.booleans())
    kinds = ["total", "in force", "period"]
    kinds += ["batch"] * 3 if history.announced else []
    kinds += ["grant"] * 3 if history.approvals else []
    kinds += ["revoked"] if any(a.ended for a in history.approvals) else []
    terms = st.sampled_from([MODELS, SERVICES] if several else [MODELS])
    told = [draw(_TELL[draw(st.sampled_from(kinds))](history, draw(terms))) for _ in range(draw(_how_many))]
    told += [Told(equated())] if several else []
    for n in range(draw(st.integers(0, 2))):
        false = draw(
            st.sampled_from(
                [total("=1", "2023-12"), total(">900", "2023-07-01"), batch(1, "=99", "2023-06-02")]
            )
        )
        told += [Told(called(f"false{n}", false)), Told(retracted(f"false{n}"))]
    return draw(st.permutations([*told, *map(Told, NAMES)]))


_how_many = st.integers(1, 9)


@st.composite
def _total(draw: st.DrawFn, history: History, terms: tuple[str, str, str]) -> Told:
    day = draw(_days)
    return Told(total(draw(_figure(history.total(day))), draw(_dated(day)), terms=terms))


@st.composite
def _in_force(draw: st.DrawFn, history: History, terms: tuple[str, str, str]) -> Told:
    day = draw(_days)
    figure = draw(_figure(history.in_force(day)))
    return Told(total(figure, draw(_dated(day)), in_force=True, terms=terms))


@st.composite
def _period(draw: st.DrawFn, history: History, terms: tuple[str, str, str]) -> Told:
    first, last = sorted([draw(_days), draw(_days)])
    inside = [a for a in history.approvals if first <= a.on <= last]
    in_force = draw(st.booleans())
    if in_force:
        inside = [a for a in inside if not (a.ended and a.ended <= last)]
    period = (draw(_dated(first)), draw(_dated(last)))
    return Told(total(draw(_figure(len(inside))), period=period, in_force=in_force, terms=terms))


@st.composite
def _batch(draw: st.DrawFn, history: History, terms: tuple[str, str, str]) -> Told:
    ordinal = draw(st.sampled_from(sorted(history.announced)))
    members = history.of_batch(ordinal)
    names = draw(st.lists(st.sampled_from(members), unique=True))
    entries: list[str | tuple[str, str]] = []
    for approval in names:
        alias = draw(st.sampled_from(ALIASES[approval.company]))
        only = sum(other.company == approval.company for other in members) == 1
        # A company named alone stands for its approval in the batch: one of two would have to be told apart.
        entries.append(alias if only and draw(st.booleans()) else (alias, approval.item))
    line = batch(
        ordinal if draw(st.booleans()) else None,
        draw(_figure(len(members))),
        draw(_dated(history.announced[ordinal])),
        named=entries,
        label=f"batch no. {ordinal}" if draw(st.booleans()) else None,
        terms=terms,
    )
    return Told(line, ordinal, frozenset(names), frozenset(names))


@st.composite
def _grant(draw: st.DrawFn, history: History, terms: tuple[str, str, str]) -> Told:
    approval = draw(st.sampled_from(history.approvals))
    of = approval.batch
    line = granted(
        draw(st.sampled_from(ALIASES[approval.company])),
        approval.item,
        draw(_dated(approval.on)),
        number=approval.number if draw(st.booleans()) else None,
        batch=of and draw(st.sampled_from([None, of, f"batch no. {of}"])),
        terms=terms,
    )
    named = frozenset({approval})
    return Told(line, of if line.batch else None, named, named if line.batch else frozenset())


@st.composite
def _revocation(draw: st.DrawFn, history: History, terms: tuple[str, str, str]) -> Told:
    approval = draw(st.sampled_from([a for a in history.approvals if a.ended]))
    assert approval.ended is not None
    on = draw(_dated(approval.ended))
    if approval.number and draw(st.booleans()):
        return Told(revoked(approval.number, on=on, terms=terms))
    alias = draw(st.sampled_from(ALIASES[approval.company]))
    return Told(revoked(item=approval.item, company=alias, on=on, terms=terms))


_TELL: dict[str, Callable[..., st.SearchStrategy[Told]]] = {
    "total": _total,
    "in force": _in_force,
    "period": _period,
    "batch": _batch,
    "grant": _grant,
    "revoked": _revocation,
}

_days = st.integers(-10, SPAN + 60).map(lambda d: START + timedelta(d))


def _dated(day: date) -> st.SearchStrategy[str]:
    return st.sampled_from([str(day), str(day), f"{day:%Y-%m}", f"{day:%Y}"])


@st.composite
def _figure(draw: st.DrawFn, value: int) -> str:
    """A count that is true of `value`."""
    off = draw(st.integers(0, 4))
    low = max(0, value - off)
    figures = [f"={value}", f"={value}", f">={low}", f"<={value + off}", f"<{value + off + 1}"]
    figures += [f"~{low}±{off}", f"~{value + 40}", *([f">{max(0, low - 1)}"] if value else [])]
    return draw(st.sampled_from(figures))


def inside(value: int, interval: dict[str, Any]) -> bool:
    return bool(interval["low"] <= value) and (interval["high"] is None or value <= interval["high"])


def check_totals(history: History, told: list[Told], documents: dict[str, MemoryDocuments]) -> None:
    named = frozenset[Approval]().union(*(report.names for report in told))
    for answer in answers.totals_in(documents, steps=True):
        assert answer["contradictions"] == []
        for step in answer["steps"]:
            day = date.fromisoformat(step["on"])
            assert inside(history.total(day), step["total"]), step
            assert step["named"] <= sum(a.on <= day for a in named), step
            unnamed = sum(a.on <= day and a not in named for a in history.approvals)
            assert inside(unnamed, step["undisclosed"]), step
            if "in_force" in step:
                assert inside(history.in_force(day), step["in_force"]), step


def check_batches(
    history: History, told: list[Told], documents: dict[str, MemoryDocuments], *, before: bool
) -> None:
    by_ordinal: dict[int, list[dict[str, Any]]] = {}
    for answer in answers.batches_in(documents):
        of = {told[source["position"] - 1].batch for source in answer["sources"]}
        # One that no report announces is known by its approvals alone.
        (ordinal,) = of or {answer["ordinal"] or int(answer["label"].rpartition(" ")[2])}
        assert ordinal is not None
        by_ordinal.setdefault(ordinal, []).append(answer)
    for ordinal, of_batch in by_ordinal.items():
        members = history.of_batch(ordinal)
        named = frozenset[Approval]().union(*(r.names_in_batch for r in told if r.batch == ordinal))
        anywhere = frozenset[Approval]().union(*(report.names for report in told))
        earlier = sum(a.on < history.announced[ordinal] for a in history.approvals)
        for answer in of_batch:
            assert answer["contradictions"] == []
            assert inside(len(members), answer["size"]), answer
            assert answer["named"] <= len(named), answer
            # What is said of a batch that may be another is answered apart: who is named there is not named here.
            whole = len({(a["ordinal"], a["label"], str(a["sources"])) for a in of_batch}) == 1
            unnamed = len(set(members) - anywhere)
            assert answer["undisclosed"]["high"] is None or unnamed <= answer["undisclosed"]["high"], answer
            assert not whole or answer["undisclosed"]["low"] <= unnamed, answer
            assert answer["before"]["high"] is None or answer["before"]["low"] <= answer["before"]["high"]
            assert not before or inside(earlier, answer["before"]), answer


def check_companies(history: History, documents: dict[str, MemoryDocuments]) -> None:
    as_of = {
        f"{a['authority']}/{a['instrument']}/{a['unit']}": date.fromisoformat(a["as_of"])
        for a in answers.totals_in(documents)
    }
    for answer in answers.companies_in(documents):
        for counted in answer["approvals"]:
            approved = [a for a in history.approvals if a.on <= as_of[counted["terms"]]]
            of_company = sum(a.company == answer["company"] for a in approved)
            assert inside(of_company, counted["approvals"]), answer
            if approved:
                percent = 100 * of_company / len(approved)
                assert counted["share"]["low"] <= percent <= counted["share"]["high"], answer


@settings(max_examples=examples(120))
@given(st.data())
def test_true_reports_never_lead_to_a_false_figure(data: st.DataObject) -> None:
    history = data.draw(histories())
    told = data.draw(tellings(history))
    documents = views(log(*(report.line for report in told)))
    check_totals(history, told, documents)
    check_batches(history, told, documents, before=False)
    check_companies(history, documents)


@settings(max_examples=examples(120))
@given(st.data())
def test_where_all_approvals_lie_in_batches_the_total_just_before_each_is_true(data: st.DataObject) -> None:
    history = data.draw(histories(all_in_batches=True))
    told = data.draw(tellings(history))
    documents = views(log(*(report.line for report in told)))
    check_totals(history, told, documents)
    check_batches(history, told, documents, before=True)


@settings(max_examples=examples(120))
@given(st.data())
def test_true_reports_never_lead_to_a_false_figure_on_any_day_that_is_asked_about(
    data: st.DataObject,
) -> None:
    history = data.draw(histories())
    told = data.draw(tellings(history))
    documents = views(log(*(report.line for report in told)))
    valid_at = date_range(data.draw(_days.flatmap(_dated)))
    named = frozenset[Approval]().union(*(report.names for report in told))
    asked = answers.totals_in(documents, valid_at=valid_at)
    of_companies = answers.companies_in(documents, valid_at=valid_at)
    for day in {valid_at.first, data.draw(st.dates(valid_at.first, valid_at.last)), valid_at.last}:
        approved = [a for a in history.approvals if a.on <= day]
        for answer in asked:
            assert answer["contradictions"] == []
            assert inside(len(approved), answer["total"]), answer
            assert answer["named"] <= sum(a in named for a in approved), answer
            assert inside(sum(a not in named for a in approved), answer["undisclosed"]), answer
            assert "in_force" not in answer or inside(history.in_force(day), answer["in_force"]), answer
        for answer in of_companies:
            of_company = sum(a.company == answer["company"] for a in approved)
            for counted in answer["approvals"]:
                assert inside(of_company, counted["approvals"]), answer
                if approved:
                    percent = 100 * of_company / len(approved)
                    assert counted["share"]["low"] <= percent <= counted["share"]["high"], answer


@settings(max_examples=examples(120))
@given(st.data())
def test_a_registry_number_that_reports_give_to_several_companies_is_either_s(data: st.DataObject) -> None:
    history = data.draw(histories())
    told = data.draw(tellings(history, in_one=True))
    for approval in history.approvals:
        if approval.number is not None and data.draw(st.booleans()):
            another = data.draw(st.sampled_from("abc".replace(approval.company, "")))
            told += [
                Told(
                    granted(
                        data.draw(st.sampled_from(ALIASES[company])),
                        approval.item,
                        str(approval.on),
                        number=approval.number,
                        batch=of,
                    ),
                    of,
                    frozenset({approval}),
                    frozenset({approval} if of else ()),
                )
                for company in (approval.company, another)
                for of in [approval.batch and data.draw(st.sampled_from([None, approval.batch]))]
            ]
    told = data.draw(st.permutations(told))
    documents = views(log(*(report.line for report in told)))
    check_totals(history, told, documents)
    check_batches(history, told, documents, before=False)


@given(st.data())
def test_members_of_batches_count_once_whatever_days_lists_give_them(data: st.DataObject) -> None:
    lines: list[EventData] = []
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    for ordinal, size in enumerate(sizes, start=1):
        if data.draw(st.booleans()):
            lines.append(batch(ordinal, f"={size}", f"2024-0{ordinal}-15"))
        days = st.sampled_from(["2024-01-10", "2024-02-20", "2024-03-15", "2024-05-01", "2024-03", "2024"])
        for member in range(data.draw(st.integers(0, size))):
            name = f"{ordinal} {member}"
            lines.append(granted(f"Company {name}", f"Item {name}", data.draw(days), batch=ordinal))
    reports = log(*data.draw(st.permutations(lines)))
    for answer in ask(reports, "totals"):
        assert answer["total"]["low"] <= sum(sizes)
    (answer,) = ask(log(*lines, total(f"={sum(sizes)}", "2024-12-31")), "totals")
    assert (answer["total"], answer["contradictions"]) == (exactly(sum(sizes)), [])


@settings(max_examples=examples(60))
@given(st.data())
def test_what_was_valid_at_the_end_of_time_is_all_that_is_known(data: st.DataObject) -> None:
    """It is counted from the histories, where the answer without a day is counted by the fold."""
    reports = data.draw(corrected_logs())
    documents, end = views(reports), date_range("9999-12-31")
    for question in (answers.batches_in, answers.shares_in, answers.sources_in):
        assert [without_doubt(a) for a in question(documents, valid_at=end)] == question(documents)
    for then, now in zip(
        answers.companies_in(documents, valid_at=end), answers.companies_in(documents), strict=True
    ):
        assert [a["named"] for a in then["approvals"]] == [a["named"] for a in now["approvals"]]
        assert then["merges"] == now["merges"]


def without_doubt(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "perhaps"}


def test_given_a_chain_of_corrections_when_it_is_folded_then_the_key_of_each_is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = log(total("=5", "2024-01-28"), *(retracted(f"e{n}") for n in range(1, 40)))
    made, identity = list[str](), keys.identity

    def noting(source: str, id: str) -> bytes:
        made.append(id)
        return identity(source, id)

    monkeypatch.setattr(keys, "identity", noting)
    correction_key.cache_clear()
    fold(PROJECTIONS["totals"], chain)
    assert sorted(made) == sorted(f"e{n}" for n in range(1, 40))
