"""Reading several projections at one position, while each of them moves on by itself; and the past."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from queue import SimpleQueue
from threading import Event
from typing import Any
from weakref import ref

import pytest

from events import (
    BadQuestion,
    DecodedEvent,
    Lagging,
    Log,
    LogDamaged,
    LogForked,
    Unreadable,
    connect,
    date_range,
    keys,
)
from projections import (
    PROJECTIONS,
    Asked,
    Documents,
    Fenced,
    MemoryDocuments,
    Projection,
    Store,
    citations,
    diff,
    fold,
    past,
    queries,
)
from projections.checkpoint import Checkpoint
from projections.derived import DerivableViews
from projections.readings import DOCUMENTS, KEPT, Reading, Readings
from projections.replay import adopt, rebuild
from projections.together import TRIES, fold_all, known_at, read_together

from .conftest import new_ledger
from .given import (
    HISTORY,
    QUESTIONS,
    Once,
    Tally,
    append,
    append_newer,
    ask,
    called,
    counted_round_trips,
    drain,
    folded,
    granted,
    retract,
    stored,
    url_of,
)
from .long import only_long
from .servers import KINDS, Server, execute
from .strategies import report

FIGURES = range(20, 26)
THREE = [Tally(name=name) for name in ("one", "two", "three")]

Views = Mapping[str, Documents]


def counts(documents: Documents) -> list[int]:
    """What a reader makes of one tally."""
    return [documents.get(name) or 0 for name in ("all", *(f"figure {figure}" for figure in FIGURES))]


def all_counts(views: Views) -> dict[str, list[int]]:
    return {name: counts(documents) for name, documents in views.items()}


def folded_counts(log: Log, position: int) -> list[int]:
    return counts(fold(Tally(), log.read(limit=position)))


@contextmanager
def working(log: Log, projections: Iterable[Projection]) -> Iterator[Callable[[], None]]:
    """Workers, each for a projection, that commit a single event when they are told to, in their own time."""
    bells = [(projection, SimpleQueue[bool]()) for projection in projections]

    def work(projection: Projection, bell: SimpleQueue[bool]) -> None:
        live = Store(log, projection).open_live()
        while bell.get():
            live.advance(limit=1)

    def ring(again: bool = True) -> None:
        for _, bell in bells:
            bell.put(again)

    with ThreadPoolExecutor(len(bells)) as threads:
        jobs = [threads.submit(work, *each) for each in bells]
        try:
            yield ring
        finally:
            ring(False)
        for job in jobs:
            job.result()


# All at one position


def test_readers_see_every_projection_at_the_position_they_are_told_while_each_moves_by_itself(
    server: Server,
) -> None:
    log = Log(server.client(), new_ledger())
    seen: list[tuple[int, dict[str, list[int]]]] = []
    with working(log, THREE) as ring:
        for n in range(60):
            append(log, FIGURES[n % len(FIGURES)])
            ring()
            seen.append(read_together(log, THREE, all_counts, at_least=n if n % 10 == 9 else 0))
    for position, found in seen:
        assert found == dict.fromkeys(found, folded_counts(log, position))
    positions = [position for position, _ in seen]
    assert len(set(positions)) >= 6


def test_the_answers_to_questions_are_those_of_a_fold_in_memory_at_their_position(server: Server) -> None:
    log = Log(server.client(), new_ledger())
    questions = cycle(QUESTIONS.items())
    answers: list[tuple[str, dict[str, Any]]] = []
    with working(log, PROJECTIONS.values()) as ring:
        for n, event in enumerate(HISTORY):
            log.append([event])
            ring()
            if n % 10 == 9:
                log.append([retract(HISTORY[n // 2].id, f"x{n}")])
            if n % 4 == 3:
                name, question = next(questions)
                answers.append((name, question(log, at_least=n if n % 20 == 19 else 0)))
    for name, answer in answers:
        assert answer["answers"] == ask(list(log.read(limit=answer["position"])), name)
    assert len({answer["position"] for _, answer in answers}) >= 5


def test_control_documents_that_are_read_one_projection_after_another_do_not_belong_together(
    log: Log,
) -> None:
    append(log, 20)
    one, two = (Store(log, projection).open_live() for projection in THREE[:2])
    one.advance()
    first = log.client.hget(one.documents_key, "all")
    append(log, 21)
    one.advance()
    two.advance()
    assert first != log.client.hget(two.documents_key, "all")


def test_projections_that_are_behind_are_folded_on_in_memory_to_where_the_foremost_is(log: Log) -> None:
    append(log, *range(20, 26))
    for projection, position in zip(THREE, (1, 4, 2), strict=True):
        Store(log, projection).open_live().advance(upto=position)
    before = stored(log)
    position, found = read_together(log, THREE, all_counts)
    assert position == 4
    assert found == dict.fromkeys(found, folded_counts(log, 4))
    assert stored(log) == before


def test_a_reader_sees_its_own_writes_at_once_and_commits_nothing(log: Log) -> None:
    append(log, 20, 21)
    Store(log, THREE[0]).open_live().advance()
    append(log, 22, 23)
    log.append([retract("r1", "x1")])
    before = stored(log)
    for at_least in (0, 1, 2, 3, 4, 5):
        position, found = read_together(log, THREE, all_counts, at_least=at_least)
        assert position == max(at_least, 2)
        assert found == dict.fromkeys(found, folded_counts(log, position))
    assert stored(log) == before


def test_a_position_beyond_the_head_is_refused(log: Log) -> None:
    append(log, 20, 21)
    with pytest.raises(Lagging, match=r"ends at position 2.*no position 3 yet"):
        read_together(log, THREE, all_counts, at_least=3)
    with pytest.raises(Lagging):
        queries.totals(log, at_least=3)
    append(log, 22)
    assert read_together(log, THREE, all_counts, at_least=3)[0] == 3


# Another moves on in the middle of a read


def test_what_was_read_on_both_sides_of_a_commit_is_read_again(log: Log) -> None:
    append(log, 20, 20)
    worker = Store(log, Tally()).open_live()
    worker.advance(limit=1)
    runs: list[tuple[int, int]] = []

    def build(views: Views) -> tuple[int, int]:
        before = views["tally"].get("all")
        worker.advance()
        runs.append((before, views["tally"].get("figure 20")))
        return runs[-1]

    assert read_together(log, [Tally()], build) == (2, (2, 2))
    assert runs == [(1, 2), (2, 2)]


def test_who_asks_for_the_same_again_is_answered_however_fast_the_worker_is(log: Log) -> None:
    append(log, *[20] * 10)
    worker = Store(log, Tally()).open_live()
    worker.advance(limit=1)
    runs: list[tuple[int, int]] = []

    def build(views: Views) -> tuple[int, int]:
        before = views["tally"].get("all")
        worker.advance(limit=1)
        runs.append((before, views["tally"].get("figure 20")))
        return runs[-1]

    assert read_together(log, [Tally()], build) == (2, (2, 2))
    assert runs == [(1, 2), (2, 2)]


def test_an_answer_that_fails_on_what_does_not_belong_together_is_built_again(log: Log) -> None:
    """A document that another one promises is not there yet, or no longer: no reader is to hear of it."""
    append(log, 20, 21)
    worker = Store(log, Tally()).open_live()
    worker.advance(limit=1)

    def build(views: Views) -> int:
        total = views["tally"].get("all")
        worker.advance()
        if total == 1:
            assert views["tally"].get("figure 21") is None
        return int(total)

    assert read_together(log, [Tally()], build) == (2, 2)


def test_an_answer_that_fails_on_what_belongs_together_fails(log: Log) -> None:
    append(log, 20)
    Store(log, Tally()).open_live().advance()

    def build(views: Views) -> int:
        raise BadQuestion(f"nobody counts {views['tally'].get('figure 1')}")

    with pytest.raises(BadQuestion, match="nobody counts None"):
        read_together(log, [Tally()], build)


def test_folding_on_from_what_does_not_belong_together_is_done_again(log: Log) -> None:
    append(log, 20, 21, 22)
    worker = Store(log, Once()).open_live()
    worker.advance(limit=1)
    reader = Once(before_counting=lambda event: event.position == 2 and worker.advance())
    assert read_together(log, [reader], all_counts, at_least=3) == (3, {"tally": [3, 1, 1, 1, 0, 0, 0]})


@pytest.mark.parametrize("every", [1_000, 2], ids=["before a snapshot", "after one"])
@pytest.mark.parametrize(("at_least", "expected"), [(0, 1 + TRIES), (9, 9)])
def test_a_read_that_is_overtaken_every_time_is_of_where_they_are_then_or_of_what_was_asked_for(
    log: Log, monkeypatch: pytest.MonkeyPatch, every: int, at_least: int, expected: int
) -> None:
    monkeypatch.setattr(past, "EVERY", every)
    append(log, *range(20, 30))
    worker = Store(log, Tally()).open_live()
    worker.advance(limit=1)
    asked = iter(range(100))

    def build(views: Views) -> list[int]:
        views["tally"].get(f"document {next(asked)}")
        worker.advance(limit=1)
        return counts(views["tally"])

    found = read_together(log, [Tally()], build, at_least=at_least)
    assert found == (expected, folded_counts(log, expected))
    assert next(asked) == TRIES + 1


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_switch_of_generations_in_the_middle_of_a_read_shows_in_whole_or_not_at_all(
    log: Log, times: int
) -> None:
    """The live documents were corrupted, so that a mixture would be seen. After two switches they are gone."""
    append(log, 20, 21)
    store = Store(log, Tally())
    live = store.open_live()
    drain(live)
    log.client.hset(
        live.documents_key, mapping={"all": b"1000 1000", "figure 20": b"1000 500", "figure 21": b"1000 500"}
    )
    runs: list[list[int]] = []

    def build(views: Views) -> list[int]:
        found = [views["tally"].get("all")]
        if not runs:
            for _ in range(times):
                adopt(store, rebuild(store))
        found += [views["tally"].get(f"figure {figure}") or 0 for figure in (20, 21)]
        runs.append(found)
        return found

    assert read_together(log, [Tally()], build) == (2, [2, 1, 1])
    assert len(runs) == 2


def test_a_generation_that_is_gone_before_its_documents_are_read_is_no_empty_one(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, 20, 21)
    store = Store(log, Tally())
    drain(store.open_live())
    numbers = iter([1])  # what the reader was told, before two switches

    def live(self: Store) -> int:
        for number in numbers:
            for _ in range(2):
                adopt(store, rebuild(store))
            return number
        return original(self)

    original = Store.live
    monkeypatch.setattr(Store, "live", live)
    assert read_together(log, [Tally()], all_counts) == (2, {"tally": folded_counts(log, 2)})


def test_a_switch_between_two_reads_takes_no_reader_back_in_time(log: Log) -> None:
    append(log, 20, 21, 22)
    store = Store(log, Tally())
    drain(store.open_live())
    first, _ = read_together(log, [Tally()], all_counts)
    adopt(store, rebuild(store))
    second, _ = read_together(log, [Tally()], all_counts)
    assert (first, second) == (3, 3)


# What was read is kept for the next question


def documents_read(server: Server) -> int:
    """How often several fields of a hash were asked for, as documents are."""
    found: dict[str, Any] = server.client().info("commandstats")
    return int(found.get("cmdstat_hmget", {"calls": 0})["calls"])


def test_a_further_question_at_the_same_position_reads_no_document_again(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    log = Log(server.client(), "ledger")
    log.append(HISTORY)
    for projection in PROJECTIONS.values():
        drain(Store(log, projection).open_live())
    days = ("2023-12-31", "2024-01-28", "2024-03", "2025")
    expected = {day: ask(list(log.read()), "totals", valid_at=date_range(day)) for day in days}
    found, read = {}, []
    for day in days:
        found[day] = queries.totals(log, valid_at=day)["answers"]
        read.append(documents_read(server))
    assert found == expected
    assert read[0] > 0
    assert read == [read[0]] * len(days)


def test_after_an_event_the_documents_that_were_asked_for_last_are_read_at_once(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    log = Log(server.client(), "ledger")
    log.append(HISTORY)
    live = [Store(log, projection).open_live() for projection in PROJECTIONS.values()]
    for generation in live:
        drain(generation)
    queries.totals(log)
    log.append([report("r1", 41)])
    for generation in live:
        drain(generation)
    before = documents_read(server)
    assert queries.totals(log)["answers"] == ask(list(log.read()), "totals")
    # Of each projection which generation is live, and its documents.
    assert documents_read(server) - before == 2 * len(queries.COUNTING)


def test_what_was_read_on_both_sides_of_a_commit_is_not_kept(log: Log) -> None:
    append(log, 20, 21)
    worker = Store(log, Tally()).open_live()
    worker.advance(limit=1)
    asked: list[int] = []

    def build(views: Views) -> list[int]:
        found = [views["tally"].get("all")]
        if not asked:
            worker.advance()
        asked.append(views["tally"].get("figure 21"))
        return [*found, asked[-1]]

    assert read_together(log, [Tally()], build) == (2, [2, 1])
    assert asked == [1, 1]
    assert read_together(log, [Tally()], all_counts) == (2, {"tally": folded_counts(log, 2)})
    append(log, 21)
    assert read_together(log, [Tally()], all_counts) == (2, {"tally": folded_counts(log, 2)})
    assert read_together(log, [Tally()], all_counts, at_least=3) == (3, {"tally": folded_counts(log, 3)})
    worker.advance()
    assert read_together(log, [Tally()], all_counts) == (3, {"tally": folded_counts(log, 3)})


def test_what_another_generation_holds_is_read_though_it_is_at_the_same_position(log: Log) -> None:
    append(log, 20, 21)
    store = Store(log, Tally())
    live = store.open_live()
    drain(live)
    log.client.hset(live.documents_key, mapping={"all": b"1000 1000"})
    assert read_together(log, [Tally()], all_counts)[1]["tally"][0] == 1000
    adopt(store, rebuild(store))
    assert read_together(log, [Tally()], all_counts) == (2, {"tally": folded_counts(log, 2)})


def test_readers_on_many_threads_are_answered_from_one_position_each_while_workers_move_on(
    server: Server,
) -> None:
    log = Log(server.client(), new_ledger())
    moved_on = Event()

    def read() -> list[tuple[int, list[dict[str, Any]]]]:
        found: list[tuple[int, list[dict[str, Any]]]] = []
        while not (last := moved_on.is_set()) or not found:
            answer = queries.totals(log, steps=True)
            found.append((answer["position"], answer["answers"]))
            if last:
                break
        return found

    with ThreadPoolExecutor(4) as threads, working(log, queries.COUNTING) as ring:
        readers = [threads.submit(read) for _ in range(4)]
        for event in HISTORY[:40]:
            log.append([event])
            ring()
        moved_on.set()
        answers = [answer for reader in readers for answer in reader.result()]
    expected = {
        position: ask(list(log.read(limit=position)), "totals", steps=True) for position, _ in answers
    }
    assert all(found == expected[position] for position, found in answers)


def test_what_was_read_over_a_client_is_dropped_with_it(server: Server) -> None:
    log = Log(connect(server.url), new_ledger())
    append(log, *FIGURES)
    for projection in PROJECTIONS:
        diff(log, projection, since=1)
    queries.totals(log, known_at=5)
    client = ref(log.client)
    log.client.close()
    del log
    gc.collect()
    assert client() is None


def test_a_few_readings_of_few_documents_are_kept() -> None:
    readings = Readings()

    def reading(documents: int) -> Reading:
        held = dict.fromkeys(map(str, range(documents)), (b"0 1", 1))
        return Reading({"tally": 1}, {"tally": Checkpoint(1, "")}, {"tally": held})

    for n in range(2 * KEPT):
        readings.keep(f"ledger-{n}", reading(1))
    assert [n for n in range(2 * KEPT) if readings.last(f"ledger-{n}", ["tally"])] == [*range(KEPT, 2 * KEPT)]
    readings.keep("large", reading(DOCUMENTS + 1))
    assert readings.last("large", ["tally"]) is None


# What a reader needs, and what it leaves


def test_a_ledger_that_nobody_projects_can_be_read_and_the_reader_leaves_nothing(log: Log) -> None:
    log.append(HISTORY)
    before = stored(log)
    for name, question in QUESTIONS.items():
        assert question(log, at_least=log.head())["answers"] == ask(list(log.read()), name)
        assert question(log)["position"] == 0
    assert stored(log) == before


def test_an_empty_ledger_can_be_read_and_the_reader_leaves_nothing(log: Log) -> None:
    for question in QUESTIONS.values():
        answer = question(log)
        assert (answer["position"], answer["answers"]) == (0, [])
    assert stored(log) == {}


@only_long
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_server_can_still_be_read(start_server: Callable[..., Server], kind: str) -> None:
    server = start_server(kind)
    log = Log(server.client(), "ledger")
    log.append(HISTORY)
    append(log, *[20] * past.EVERY)
    for projection in PROJECTIONS.values():
        drain(Store(log, projection).open_live())
    append(log, *range(21, 31))
    head, known_at = log.head(), past.EVERY + 20
    server.client().config_set("maxmemory", 1)
    for name, question in QUESTIONS.items():
        assert question(log, at_least=head)["answers"] == ask(list(log.read()), name)
        assert question(log, known_at=known_at)["answers"] == ask(list(log.read(limit=known_at)), name)
        assert Store(log, PROJECTIONS[name]).open_live().digest()[0] == head - 10


def test_a_user_who_may_only_read_can_ask(start_server: Callable[..., Server]) -> None:
    server = start_server()
    log = Log(server.client(), "ledger")
    log.append(HISTORY)
    drain(Store(log, PROJECTIONS["totals"]).open_live())
    rights = ["on", ">secret", "~*", "+@read", "+@connection", "+info", "+config|get"]
    execute(server.client(), "ACL", "SETUSER", "reader", *rights)
    reader = Log(server.client(user="reader", password="secret"), "ledger")
    for name, question in QUESTIONS.items():
        assert question(reader, at_least=100)["position"] in (100, 104), name


@pytest.mark.parametrize("asked_before", [False, True])
def test_what_names_no_generation_is_told_and_gives_way_where_the_projection_is_deleted(
    log: Log, asked_before: bool
) -> None:
    log.append(HISTORY)
    drain(Store(log, PROJECTIONS["sources"]).open_live())
    answer = queries.sources(log) if asked_before else None
    pointer = keys.projection(log.ledger, "sources")
    log.client.hset(pointer, "live", "first")
    with pytest.raises(Unreadable, match=r"b'first': something else wrote to it\. .* delete the keys"):
        queries.sources(log)
    log.client.delete(pointer, *log.client.scan_iter(f"{pointer}:*"))
    store = Store(log, PROJECTIONS["sources"])
    adopt(store, rebuild(store))
    assert store.open_live().checkpoint().position == log.head()
    assert answer in (None, queries.sources(log))


@pytest.mark.parametrize("kind", ["documents", "state", "parked"])
def test_given_a_key_of_a_projection_of_another_type_when_it_is_read_then_it_is_made_anew_as_is_told(
    log: Log, kind: str
) -> None:
    log.append(HISTORY)
    drain(Store(log, PROJECTIONS["sources"]).open_live())
    pointer = keys.projection(log.ledger, "sources")
    log.client.set(f"{pointer}:1:{kind}", "x")
    with pytest.raises(LogDamaged, match="if it belongs to a projection, delete the keys"):
        queries.sources(log)
    log.client.delete(pointer, *log.client.scan_iter(f"{pointer}:*"))
    store = Store(log, PROJECTIONS["sources"])
    adopt(store, rebuild(store))
    assert queries.sources(log)["answers"] == ask(list(log.read()), "sources")


def test_a_projection_that_lost_its_checkpoint_is_not_counted_on_top_of_what_it_left(log: Log) -> None:
    append(log, 20, 21)
    live = Store(log, Tally()).open_live()
    drain(live)
    log.client.delete(live.state_key)
    assert read_together(log, [Tally()], all_counts, at_least=2) == (2, {"tally": folded_counts(log, 2)})


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_reader_is_told_that_documents_are_gone(log: Log, asked_before: bool) -> None:
    append(log, 20, 21)
    live = Store(log, Tally()).open_live()
    drain(live)
    if asked_before:
        read_together(log, [Tally()], all_counts)
    log.client.delete(live.documents_key)
    with pytest.raises(Unreadable, match=r"was left with 3 documents and has 0 now.*approvals replay"):
        read_together(log, [Tally()], all_counts)


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("figures", [[], [50], [50, 51, 52]], ids=["gone", "shorter", "longer"])
def test_a_reader_is_told_that_the_log_is_another_one(
    log: Log, figures: list[int], asked_before: bool
) -> None:
    append(log, 20, 21)
    drain(Store(log, Tally()).open_live())
    if asked_before:
        read_together(log, [Tally()], all_counts)
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
    if figures:
        append(log, *figures)
    with pytest.raises(LogForked, match="has read up to position 2"):
        read_together(log, [Tally()], all_counts)


@pytest.mark.parametrize(
    "asked",
    [
        {"known_at": "2024-02-01"},
        {"known_at": 100},
        {"known_at": "2024-02-01", "known_as": "published", "recorded_until": 100},
    ],
    ids=str,
)
def test_given_the_log_is_replaced_while_a_question_is_answered_when_it_is_shorter_then_that_is_told(
    log: Log, monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    log.append(HISTORY)
    original = Log.head

    def head(self: Log) -> int:
        last = original(self)
        log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))
        return last

    monkeypatch.setattr(Log, "head", head)
    with pytest.raises(LogForked, match=rf"ledger {log.ledger}: the log had position \d+ a moment ago"):
        queries.totals(log, **asked)


def test_given_the_log_is_replaced_while_the_past_is_folded_when_it_is_asked_again_then_the_answer_is_of_the_log_that_is_there(
    log: Log,
) -> None:
    append(log, 20, 21)
    places, once = [keys.log(log.ledger), keys.ids(log.ledger)], iter([True])

    def replaced(_: DecodedEvent) -> None:
        if next(once, False):
            log.client.delete(*places)
            append(log, 22, 23)

    known_at(log, [Tally(before_counting=replaced)], 2)
    assert all_counts(known_at(log, [Tally()], 2)) == all_counts(fold_all(log, [Tally()], 2))


def test_a_reader_is_told_that_the_documents_are_of_another_version(log: Log) -> None:
    append(log, 20)
    drain(Store(log, Tally()).open_live())
    with pytest.raises(Unreadable, match=r"built by version 1.*run `approvals replay tally`"):
        read_together(log, [Tally(version=2)], all_counts)


def test_a_reader_ahead_of_the_worker_leaves_out_what_cannot_be_applied_and_says_so_as_the_worker_will(
    log: Log,
) -> None:
    """A figure that the fold refuses when it has changed a document, an event of a later version, and what corrects that."""
    append(log, 20, 13, 21)
    append_newer(log, id="n4")
    log.append([retract("n4", "x5")])
    append(log, 22)
    worker = Store(log, Tally()).open_live()
    worker.advance(limit=1)

    def counted(views: DerivableViews) -> tuple[dict[str, list[int]], list[int]]:
        return all_counts(views), sorted(views.left_out)

    found = {"tally": [3, 1, 1, 1, 0, 0, 0]}, [2, 4]
    assert read_together(log, [Tally()], counted, at_least=6) == (6, found)
    assert counted(known_at(log, [Tally()], 6)) == counted(fold_all(log, [Tally()], 6)) == found
    drain(worker)
    assert read_together(log, [Tally()], counted) == (6, found)
    assert counted(known_at(log, [Tally()], 6)) == found


# The past


@pytest.mark.parametrize("known_at", [0, 1, 2, 17, 40, 64, 90, 104, 106])
def test_what_was_known_at_a_position_is_what_a_fold_of_the_log_up_to_it_gives(
    log: Log, known_at: int
) -> None:
    log.append(HISTORY)
    log.append([retract(HISTORY[0].id, "x1"), retract(HISTORY[60].id, "x2")])
    prefix = list(log.read(limit=known_at))
    for name, question in QUESTIONS.items():
        answer = question(log, known_at=known_at)
        assert (answer["position"], answer["known_at"]) == (known_at, known_at)
        assert answer["answers"] == ask(prefix, name)


def test_the_past_is_folded_without_a_look_at_what_came_later(log: Log) -> None:
    """A correction waits for its target, though the log holds that by now, and nobody can read it."""
    log.append([retract("n2", "x1")])
    append_newer(log, id="n2")
    then = fold_all(log, [Tally()], 1)["tally"]
    assert isinstance(then, MemoryDocuments)
    assert then == fold(Tally(), log.read(limit=1))
    read_together(log, [Tally()], all_counts, at_least=1)


def test_of_a_past_with_events_that_cannot_be_applied_the_reader_is_told(log: Log) -> None:
    append(log, 20)
    append_newer(log, id="n2")
    append(log, 21)
    assert "parked" not in queries.totals(log, known_at=1)
    for asked in ({"known_at": 3}, {"at_least": 3}, {"known_at": "2999", "known_as": "published"}):
        assert queries.totals(log, **asked)["parked"] == [2]


def test_what_cannot_be_applied_and_was_not_known_as_published_is_none_of_the_answer_before_and_after_a_worker_met_it(
    log: Log,
) -> None:
    append(log, 20)
    append_newer(log, id="n2")
    asked: Asked = {"known_at": "2024-02-01", "known_as": "published"}
    before, cited = queries.totals(log, **asked), citations.cite(log, "totals", **asked)
    assert "parked" not in before
    for projection in PROJECTIONS.values():
        drain(Store(log, projection).open_live())
    assert queries.totals(log)["parked"] == [2]
    assert queries.totals(log, **asked) == before
    assert citations.check(log, cited).same


def test_nothing_was_known_beyond_the_head(log: Log) -> None:
    append(log, 20)
    with pytest.raises(BadQuestion, match="nothing was known at 2 yet"):
        queries.totals(log, known_at=2)


def test_workers_that_are_fenced_by_each_other_leave_readers_in_peace(log: Log) -> None:
    append(log, *range(20, 26))
    one, other = Store(log, Tally()).open_live(), Store(log, Tally()).open_live()
    one.advance(limit=1)
    other.advance(limit=2)
    with pytest.raises(Fenced):
        one.advance()
    position, found = read_together(log, [Tally()], all_counts)
    assert (position, found["tally"]) == (3, folded_counts(log, 3))
    assert folded(log, Tally(), 3) == other.digest()


@pytest.mark.parametrize("question", [queries.companies, queries.company_names])
def test_given_many_companies_of_many_approvals_when_all_are_asked_for_then_the_server_is_asked_no_more_often(
    server: Server, question: Callable[[Log], Any]
) -> None:
    asked = []
    for companies in (3, 30):
        log = Log(server.client(), new_ledger())
        reports = (
            granted(f"company {n % companies}", f"item {n}", "2024-01-31", number=f"no {n}")
            for n in range(60 * companies)
        )
        log.append([called(f"e{n}", report) for n, report in enumerate(reports)])
        for projection in PROJECTIONS.values():
            drain(Store(log, projection).open_live())
        with connect(url_of(log)) as new, counted_round_trips() as trips:
            assert len(question(Log(new, log.ledger))["answers"]) == companies
        asked.append(len(trips))
    assert asked[0] == asked[1]
