"""What was made of documents counts again where these are the same, and nowhere else; and what was known is folded on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import EventData, Log, RecordedEvent, canonical, date_range, decode, keys
from projections import (
    PROJECTIONS,
    Documents,
    MemoryDocuments,
    Store,
    digest,
    fold,
    of_batches,
    past,
    queries,
)
from projections.checkpoint import Checkpoint
from projections.derived import KEYS, VARIANTS, DerivableViews, Derived
from projections.past import SnapshotLost
from projections.readings import DOCUMENTS, KEPT, PastReading, Readings
from projections.together import follow, known_at

from .conftest import new_ledger
from .given import (
    ASK,
    HISTORY,
    QUESTIONS,
    Tally,
    append,
    append_raw,
    ask,
    batch,
    called,
    drain,
    identified,
    log,
    retract,
    total,
    views,
)
from .long import LONG, examples
from .servers import Server
from .strategies import corrects_another, event_data

Views = Mapping[str, Documents]


def of(**documents: Any) -> dict[str, Documents]:
    return {"tally": MemoryDocuments(documents)}


class Sum:
    """Adds some documents up, and counts how often."""

    def __init__(self, *names: str) -> None:
        self.names, self.times = names, 0

    def __call__(self, views: Views, _key: str) -> int:
        self.times += 1
        return sum(views["tally"].get(name) or 0 for name in self.names)

    def ask(self, derived: Derived, views: Views, key: str = "sum") -> int:
        value: int = (derived.find(key, views) or derived.make(key, views, self)).value
        return value


# What was made of documents


def test_what_was_made_counts_whatever_becomes_of_other_documents() -> None:
    derived, both = Derived(), Sum("a", "b")
    assert [both.ask(derived, of(a=1, b=2, c=n)) for n in range(3)] == [3, 3, 3]
    assert both.times == 1


@pytest.mark.parametrize("changed", [of(a=1, b=3), of(a=1), of(a=1, b=2, absent=1)], ids=str)
def test_it_is_made_anew_where_a_document_is_another_is_gone_or_is_there_now(
    changed: dict[str, Documents],
) -> None:
    derived, some = Derived(), Sum("a", "b", "absent")
    assert some.ask(derived, of(a=1, b=2)) == 3
    assert some.ask(derived, changed) == some(changed, "")


def test_what_was_made_of_documents_as_they_were_before_counts_where_they_are_so_again() -> None:
    derived, one = Derived(), Sum("a")
    for _ in range(2):
        assert [one.ask(derived, of(a=n)) for n in range(VARIANTS)] == [*range(VARIANTS)]
    assert one.times == VARIANTS


def test_few_are_kept_those_that_were_asked_for_last() -> None:
    derived, one = Derived(), Sum("a")
    for n in range(VARIANTS):
        one.ask(derived, of(a=n), "key")
    one.ask(derived, of(a=0), "key")
    one.ask(derived, of(a=VARIANTS), "key")
    found = [derived.find("key", of(a=n)) for n in (0, 1, 2)]
    assert [made and made.value for made in found] == [0, None, 2]
    for n in range(KEYS):
        one.ask(derived, of(a=n), f"key {n}")
    assert derived.find("key", of(a=0)) is None
    assert derived.find("key 0", of(a=0)) is not None


def test_what_makes_something_of_documents_changes_none() -> None:
    with pytest.raises(TypeError, match="a: nothing that is derived from documents changes any"):
        Derived().make("key", of(), lambda views, _: views["tally"].put("a", 1))


events = st.lists(event_data(), min_size=1, max_size=20).map(
    lambda data: log(*filter(corrects_another, (called(f"e{n}", each) for n, each in enumerate(data))))
)


@settings(max_examples=examples(60))
@given(st.lists(events, min_size=1, max_size=3), st.data())
def test_answers_are_the_same_whatever_was_derived_before_of_whichever_log(
    logs: list[list[RecordedEvent]], data: st.DataObject
) -> None:
    derived = Derived()
    for _ in range(6):
        reports = data.draw(st.sampled_from(logs))
        documents = views(reports[: data.draw(st.integers(0, len(reports)))])
        day = data.draw(st.none() | st.sampled_from(["2023-10", "2024-01-10", "2024-02-20"]))
        asked = {"valid_at": day and date_range(day)}
        for question in ("totals", "batches", "companies"):
            known = DerivableViews(documents, derived, {}, 0)
            assert ASK[question](known, **asked) == ASK[question](documents, **asked)


BATCHES = [batch(n, ">=1", f"2023-{n:02d}-01", named=["Baidu", "百度"]) for n in range(1, 10)]


@pytest.mark.parametrize(
    ("event", "counted"),
    [(total(">=20", "2023-12-01"), 0), (batch(10, ">=3", "2023-10-01", named=["Baidu"]), 1)],
    ids=["a total", "another batch"],
)
def test_given_figures_of_batches_when_an_event_is_of_none_of_them_then_none_of_them_is_counted_anew(
    event: EventData, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    derived, anew = Derived(), list[str]()
    of_batch = of_batches._of_batch

    def noting(placed: Any, *others: Any) -> Any:
        anew.append(placed.batch.key)
        return of_batch(placed, *others)

    monkeypatch.setattr(of_batches, "_of_batch", noting)
    ASK["batches"](DerivableViews(views(log(*BATCHES)), derived, {}, 0))
    assert len(anew) == len(BATCHES)
    ASK["batches"](DerivableViews(views(log(*BATCHES, event)), derived, {}, 0))
    assert len(anew) == len(BATCHES) + counted


def test_given_figures_of_batches_when_two_of_their_names_become_one_then_all_are_counted_anew() -> None:
    derived, then = Derived(), log(*BATCHES)
    now = log(*BATCHES, identified("baidu", "Baidu", "百度"))
    for reports, named in ((then, 2), (now, 1), (then, 2)):
        answers = ASK["batches"](DerivableViews(views(reports), derived, {}, 0))
        assert {answer["named"] for answer in answers} == {named}
        assert answers == ASK["batches"](views(reports))


# What was known at a position


class Decoded:
    """The positions of the log that are read to be folded, from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.positions: list[int] = []
        original = Log.read

        def read(log: Log, after: int = 0, limit: int | None = None) -> Any:
            for event in original(log, after, limit):
                self.positions.append(event.position)
                yield event

        monkeypatch.setattr(Log, "read", read)

    def taken(self) -> list[int]:
        positions, self.positions = self.positions, []
        return positions


def count_at(log: Log, position: int) -> int:
    found: int = known_at(log, [Tally()], position)["tally"].get("all") or 0
    return found


def test_of_what_was_known_at_a_position_a_second_question_reads_nothing_of_the_log(
    module_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(module_log.client, new_ledger())
    log.append(HISTORY)
    decoded = Decoded(monkeypatch)
    for day in ("2023-12-31", "2024-01-28"):
        for name in ("totals", "batches", "companies"):
            asked = ask(list(log.read(limit=90)), name, valid_at=date_range(day))
            decoded.taken()
            assert QUESTIONS[name](log, known_at=90, valid_at=day)["answers"] == asked
            assert decoded.taken() == ([*range(1, 91)] if (day, name) == ("2023-12-31", "totals") else [])


def test_what_was_known_later_is_folded_on_from_there(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    append(log, *range(20, 40))
    decoded = Decoded(monkeypatch)
    assert count_at(log, 10) == 10
    decoded.taken()
    for position, folded in ((14, [11, 12, 13, 14]), (12, [11, 12]), (14, []), (15, [15])):
        assert count_at(log, position) == position
        assert decoded.taken() == folded


def edited(value: Any) -> None:
    """Empties every list and dict in it, from the innermost on."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            edited(each)
        value.clear()


@pytest.mark.parametrize("asked", [{}, {"known_at": 90}], ids=["now", "then"])
def test_who_changes_an_answer_changes_none_that_is_given_later(
    module_log: Log, asked: dict[str, Any]
) -> None:
    log = Log(module_log.client, new_ledger())
    log.append(HISTORY)
    for projection in PROJECTIONS.values():
        drain(Store(log, projection).open_live())
    questions: list[Callable[..., dict[str, Any]]] = [
        *QUESTIONS.values(),
        partial(queries.companies, name="Baidu"),
        queries.company_names,
    ]
    before = [canonical(question(log, **asked)) for question in questions]
    for question in questions:
        edited(question(log, **asked)["answers"])
    assert [canonical(question(log, **asked)) for question in questions] == before


def test_who_folds_on_what_was_known_changes_nothing_of_what_is_kept(log: Log) -> None:
    append(log, *range(20, 40))
    views = known_at(log, [Tally()], 5)
    assert [len(events) for events, _ in follow(log, [Tally()], views, [6, 9])] == [1, 3]
    assert (views["tally"].get("all"), count_at(log, 5), count_at(log, 9)) == (9, 5, 9)


def test_what_was_made_of_documents_is_made_anew_where_one_of_them_was_folded_on(log: Log) -> None:
    append(log, *range(20, 40))
    park_an_event(log)
    views, some = known_at(log, [Tally()], 2), Sum("all")

    def made() -> int:
        found: int | None = views.find("sum")
        return views.make("sum", some) if found is None else found

    counted = [(made(), made(), views.left_out) for _ in follow(log, [Tally()], views, [2, 3, 4])]
    assert counted == [(2, 2, frozenset()), (2, 2, frozenset({3})), (3, 3, frozenset({3}))]
    assert some.times == 2  # the third event changed nothing


@settings(max_examples=60 if LONG else 10)
@given(events, st.data())
def test_answers_while_events_are_folded_on_are_those_of_each_position(
    server: Server, reports: list[RecordedEvent], data: st.DataObject
) -> None:
    log = Log(server.client(), new_ledger())
    for each in reports:
        append_raw(log, each.payload, id=decode(each).id)
    first = data.draw(st.integers(0, len(reports)))
    stops = sorted(data.draw(st.sets(st.integers(first, len(reports)), min_size=1)))
    day = data.draw(st.none() | st.sampled_from(["2023-10", "2024-01-10", "2024-02-20"]))
    asked = {"valid_at": day and date_range(day)}
    known = known_at(log, [*PROJECTIONS.values()], first)
    for stop, _ in zip(stops, follow(log, [*PROJECTIONS.values()], known, stops), strict=True):
        plain = views(reports[:stop])
        for question in ("totals", "batches", "companies"):
            assert ASK[question](known, **asked) == ASK[question](plain, **asked)


def replace_the_log(log: Log) -> None:
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
    append(log, *range(50, 70))
    log.append([retract("r1", "x1")])


def park_an_event(log: Log) -> None:
    live = Store(log, Tally()).generation(1)
    log.client.hset(live.parked_key, "3", "by a version that knew less")


def rebuild_without_an_event(log: Log) -> None:
    store = Store(log, Tally())
    log.client.hset(store.generation(2).parked_key, "2", "as if it could not be applied")
    log.client.hset(store.pointer, "live", "2")


@pytest.mark.parametrize(
    ("meanwhile", "left_out"),
    [
        (replace_the_log, frozenset[int]()),
        (park_an_event, frozenset({3})),
        (rebuild_without_an_event, frozenset({2})),
    ],
    ids=["another log", "an event is parked", "another generation"],
)
def test_what_was_known_is_not_kept_where_the_log_or_what_is_left_out_of_it_is_another(
    log: Log, meanwhile: Callable[[Log], None], left_out: frozenset[int]
) -> None:
    append(log, *range(20, 40))
    assert (count_at(log, 10), count_at(log, 1)) == (10, 1)
    meanwhile(log)
    views = known_at(log, [Tally()], 10)
    assert (views["tally"].get("all"), views.left_out) == (10 - len(left_out), left_out)
    figures = {f"figure {figure}" for figure in range(20, 30)}
    assert all(views["tally"].get(name) is None for name in figures) == (meanwhile is replace_the_log)


def test_what_was_known_from_a_snapshot_on_is_kept_until_another_snapshot_is_nearer(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "EVERY", 7)
    append(log, *range(20, 60))
    drain(Store(log, Tally()).open_live())
    decoded = Decoded(monkeypatch)
    for position, folded in ((9, [8, 9]), (13, [10, 11, 12, 13]), (9, []), (16, [15, 16]), (14, [])):
        views = known_at(log, [Tally()], position)
        assert decoded.taken() == folded
        assert digest(every(views)) == digest(fold(Tally(), log.read(limit=position)))
        decoded.taken()


def every(views: Views) -> MemoryDocuments:
    names = ["all", *(f"figure {figure}" for figure in range(20, 60))]
    documents = MemoryDocuments()
    for name in names:
        documents.put(name, views["tally"].get(name))
    return documents


def test_a_snapshot_that_is_lost_after_it_was_read_is_still_noticed(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "EVERY", 7)
    append(log, *range(20, 60))
    live = Store(log, Tally()).open_live()
    drain(live)
    assert count_at(log, 9) == 9
    log.client.delete(live.past_key)
    views = known_at(log, [Tally()], 9)
    assert views["tally"].get("all") == 9
    with pytest.raises(SnapshotLost):
        views["tally"].get("figure 20")


def test_readers_of_many_threads_are_told_what_was_known(module_log: Log) -> None:
    log = Log(module_log.client, new_ledger())
    log.append(HISTORY)
    positions = [90, 40, 91, 104, 41, 90, 60, 104]
    expected = {at: ask(list(log.read(limit=at)), "totals") for at in positions}
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda at: (at, queries.totals(log, known_at=at)["answers"]), positions * 3))
    assert all(answers == expected[at] for at, answers in found)


def test_a_few_readings_of_the_past_of_few_documents_are_kept() -> None:
    readings = Readings()

    def reading(position: int, documents: int) -> PastReading:
        changed = dict.fromkeys(map(str, range(documents)), 1)
        return PastReading(Checkpoint(position, ""), {}, {"tally": 0}, {"tally": {}}, {"tally": changed})

    for position in range(2 * KEPT):
        readings.keep_past("ledger", reading(position, 1))
    assert readings.past("ledger", ["tally"], KEPT - 1) is None
    for position in (KEPT, KEPT + 1, 2 * KEPT - 1):
        assert readings.past("ledger", ["tally"], position) == reading(position, 1)
    assert readings.past("ledger", ["tally"], 10 * KEPT) == reading(2 * KEPT - 1, 1)
    assert readings.past("another", ["tally"], KEPT) is None
    assert readings.past("ledger", ["tally", "totals"], KEPT) is None
    grows = reading(1, DOCUMENTS)
    readings.keep_past("grows", grows)
    assert readings.past("grows", ["tally"], 1) is grows
    grows.read["tally"]["one more"] = 1
    assert readings.past("grows", ["tally"], 1) is None
    readings.keep_past("large", reading(1, DOCUMENTS + 1))
    assert readings.past("large", ["tally"], 1) is None
