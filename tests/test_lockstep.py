"""Several projections on one page of the log: read once, decoded once, committed at once, and each fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import (
    Event,
    EventData,
    Log,
    LogDamaged,
    LogForked,
    OutcomeUnknown,
    RecordedEvent,
    StorageUnavailable,
    Unreadable,
    connect,
    decode,
    encode,
    keys,
)
from projections import (
    PROJECTIONS,
    Fenced,
    Generation,
    MemoryDocuments,
    Store,
    advance,
    advance_together,
    lockstep,
    pages,
)
from projections.lockstep import Entry, Lookup
from projections.stored import StoredDocuments

from .conftest import new_ledger
from .given import (
    HISTORY,
    MODELS,
    SERVICES,
    Tally,
    amended,
    append,
    batch,
    called,
    counted_round_trips,
    equated,
    estimate,
    folded,
    granted,
    identified,
    merged,
    reads_of_the_log,
    retract,
    revoked,
    total,
    used,
)
from .proxy import Proxy
from .servers import KINDS, Server, execute
from .strategies import events

NAMES = ["first", "second", "third"]


def tallies(log: Log, **hooks: Any) -> list[Generation]:
    """The live generations of three projections that do the same under names of their own."""
    return [Store(log, Tally(name=name, **hooks.get(name, {}))).open_live() for name in NAMES]


def all_the_way(generations: list[Generation], limit: int = 500) -> None:
    while any(outcomes := advance_together(generations, limit)):
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]


def positions(generations: list[Generation]) -> list[int]:
    return [generation.checkpoint().position for generation in generations]


def are_folded(log: Log, generations: list[Generation]) -> bool:
    return all(each.digest() == folded(log, each.store.projection) for each in generations)


# One page


def test_a_page_is_read_and_decoded_once_for_all(
    start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(start_server().client(), "cac")
    append(log, 40, 41, 42)
    log.append([retract("r1", "x4")])
    generations = tallies(log)
    decoded: list[int] = []

    def decode_and_note(recorded: RecordedEvent) -> Any:
        decoded.append(recorded.position)
        return decode(recorded)

    monkeypatch.setattr(lockstep, "decode", decode_and_note)
    with counted_round_trips() as sent:
        assert advance_together(generations) == [4, 4, 4]
    assert reads_of_the_log(sent) == 2  # the page, and what the correction is against
    assert decoded == [1, 2, 3, 4, 1]
    assert are_folded(log, generations)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_what_a_correction_takes_back_is_asked_for_with_the_page(
    log: Log, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([called("r1", granted("Baidu", "Ernie", "2023-08-31"))])
    store = Store(log, PROJECTIONS[name])
    store.open_live().advance()
    log.append([retract("r1", "x2")])
    asked_alone: list[str] = []
    fetch = StoredDocuments.fetch

    def note(self: StoredDocuments, names: Iterable[str]) -> None:
        asked_alone.extend(self.missing(names := list(names)))
        fetch(self, names)

    monkeypatch.setattr(StoredDocuments, "fetch", note)
    generation = store.open_live()
    assert generation.advance() == 1
    target = log.at(1)
    assert target is not None
    assert not {*asked_alone} & {*store.projection.needs(decode(target))}
    assert are_folded(log, [generation])


@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_fold_waits_for_nothing_that_corrections_are_against_however_long_ago_it_was(
    log: Log, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their lists have pages by then, and groups of pages; and what corrects a correction brings back what that took."""
    monkeypatch.setattr(pages, "PAGE", 3)
    monkeypatch.setattr(pages, "GROUP", 2)
    grants = [called(f"g{n}", granted("Baidu", f"Ernie {n}", "2023-08-31", batch=1)) for n in range(40)]
    totals = [called(f"t{n}", total(f"={n}", "2024-01-28")) for n in range(20)]
    sizes = [called(f"s{n}", batch(1, f"={n}", "2023-08-31")) for n in range(1, 20)]
    log.append([*grants, *totals, *sizes, retract("g5", "r1")])
    store = Store(log, PROJECTIONS[name])
    store.open_live().advance()
    log.append([retract(each, f"x{each}") for each in ("g0", "g20", "t3", "s4", "r1")])
    generation = store.open_live()
    with asked_in_folds() as asked:
        assert generation.advance() == 5
    assert asked == []
    assert are_folded(log, [generation])


@pytest.mark.parametrize("name", PROJECTIONS)
def test_given_events_of_every_type_when_they_are_folded_or_taken_back_then_the_fold_waits_for_no_document(
    log: Log, name: str
) -> None:
    def reports(n: int) -> list[EventData]:
        return [
            granted("Baidu", f"Ernie {n}", "2023-08-31", batch=n, number=f"no {n}"),
            amended(f"no {n}", company="Baidu", item=f"Ernie {n}.0"),
            revoked(f"no {n}", on="2024-03-01"),
            revoked(item=f"Ernie {n}", company="Baidu", on="2024-03-01"),
            batch(n, f"={n}", "2023-08-31", named=["Baidu", ("Zhipu", f"GLM {n}")]),
            total(f"={n}", "2024-01-28"),
            used("Baidu", f"Ernie {n}", f">{n}", "2024"),
            identified(f"slug-{n}", "Baidu", "Zhipu"),
            merged(f"slug-{n}", f"slug-{n + 1}"),
            equated(SERVICES, MODELS),
            estimate("CN", f"={n}"),
        ]

    store = Store(log, PROJECTIONS[name])
    for n in (1, 2, 3):
        log.append([called(f"{n} {at}", each) for at, each in enumerate(reports(n))])
        store.open_live().advance()
    kinds = len(reports(4))
    log.append([called(f"4 {at}", each) for at, each in enumerate(reports(4))])
    log.append([retract(f"2 {at}", f"x{at}") for at in range(kinds)])
    generation = store.open_live()
    with asked_in_folds() as asked:
        assert generation.advance(kinds) == kinds
        assert generation.advance() == kinds
    assert asked == []
    assert are_folded(log, [generation])


@contextmanager
def asked_in_folds() -> Iterator[list[str]]:
    """The names of all documents for which a fold waits during a block, because they were not read ahead."""
    asked: list[str] = []
    fold, fetch = Generation.fold, StoredDocuments.fetch

    def note(self: StoredDocuments, names: Iterable[str]) -> None:
        asked.extend(self.missing(names := list(names)))
        fetch(self, names)

    def fold_and_note(self: Generation, entries: Sequence[Entry], lookup: Lookup, seconds: float) -> Any:
        with pytest.MonkeyPatch.context() as noting:
            noting.setattr(StoredDocuments, "fetch", note)
            return fold(self, entries, lookup, seconds)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Generation, "fold", fold_and_note)
        yield asked


def test_a_chain_of_corrections_that_comes_before_its_end_costs_a_page_a_few_questions(
    start_server: Callable[..., Server],
) -> None:
    """Each names the next one, to the end of the log: a page that followed them all would read the log by single entries."""
    log = Log(start_server().client(), "cac")
    log.append(
        [*(retract(f"c{n + 1}", f"c{n}") for n in range(60)), called("c60", total("=40", "2024-01-28"))]
    )
    generations = tallies(log)
    with counted_round_trips() as sent:
        all_the_way(generations, 5)
    # Each as a target; and a page, its first links and its end.
    assert reads_of_the_log(sent) <= 61 + 3 * 13
    assert are_folded(log, generations)


def test_a_fold_waits_for_no_link_of_chains_of_corrections_that_earlier_pages_have(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each correction of a correction changes all of its chain: what was read link by link, for each chain, took most of a replay."""
    chains = range(3)
    log.append([called(f"c{chain}-0", total("=40", "2024-01-28")) for chain in chains])
    log.append([retract(f"c{chain}-{n}", f"c{chain}-{n + 1}") for n in range(20) for chain in chains])
    read_alone: list[int] = []
    monkeypatch.setattr(Log, "at", lambda _, position: read_alone.append(position))
    generations = tallies(log)
    all_the_way(generations, 15)
    assert read_alone == []
    monkeypatch.undo()
    assert are_folded(log, generations)


def test_a_page_ends_where_its_events_have_taken_long_enough_but_not_before_the_first(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a page of events each of which changes all of a long line of corrections takes no longer than a job may."""
    monkeypatch.setattr(lockstep, "FOLDING", 0.0)
    append(log, *range(40, 50))
    generations = tallies(log)
    for _ in range(10):
        assert advance_together(generations) == [1] * 3
    assert advance_together(generations) == [0] * 3
    assert are_folded(log, generations)


def test_the_commits_are_sent_at_once_and_are_one_call_each(server: Server) -> None:
    """The first reply is held back: the other commits have come all the same."""
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        append(log, 40, 41)
        generations = tallies(log)
        all_the_way(generations)
        append(log, 42)
        proxy.lose_replies_to(b"EVALSHA", 1)
        with pytest.raises(OutcomeUnknown):
            advance_together(generations)
        assert positions(generations) == [3, 3, 3]


@given(data=st.data())
def test_wherever_each_begins_and_however_long_a_page_is_all_get_to_the_head(
    server: Server, data: st.DataObject
) -> None:
    log = Log(server.client(), new_ledger())
    append(log, *range(20, 32))
    generations = tallies(log)
    for generation in generations:
        generation.advance(data.draw(st.integers(1, 12)))
    known = generations if data.draw(st.booleans()) else tallies(log)
    all_the_way(known, data.draw(st.integers(1, 13)))
    assert positions(known) == [12, 12, 12]
    assert are_folded(log, known)


def test_one_that_is_ahead_of_the_page_waits_for_the_others(log: Log) -> None:
    append(log, *range(20, 30))
    ahead, near, _ = generations = tallies(log)
    ahead.advance(8)
    near.advance(2)
    assert advance_together(generations, 4) == [0, 2, 4]
    assert advance_together(generations, 4) == [0, 4, 4]
    assert advance_together(generations, 4) == [2, 2, 2]
    assert advance_together(generations, 4) == [0, 0, 0]
    assert are_folded(log, generations)


def test_nobody_passes_the_position_that_is_asked_for(log: Log) -> None:
    append(log, *range(20, 30))
    generations = tallies(log)
    generations[0].advance(7)
    assert advance_together(generations, upto=4) == [0, 4, 4]
    assert advance_together(generations, upto=4) == [0, 0, 0]


@pytest.mark.parametrize("length", [0, 3])
def test_of_no_projection_and_of_no_event_nothing_comes(log: Log, length: int) -> None:
    for figure in range(20, 20 + length):
        append(log, figure)
    assert advance_together([]) == []
    generations = tallies(log)
    assert advance_together(generations) == [length] * 3
    assert advance_together(generations) == [0, 0, 0]


def test_the_five_projections_in_lockstep_are_what_each_is_alone(log: Log) -> None:
    log.append(HISTORY)
    generations = [Store(log, projection).open_live() for projection in PROJECTIONS.values()]
    all_the_way(generations, 7)
    assert are_folded(log, generations)


@given(some=st.lists(events(), min_size=1, max_size=8))
def test_no_fold_changes_an_event_that_the_next_one_is_given(some: list[Event]) -> None:
    shared = [decode(RecordedEvent(at, 0, encode(event))) for at, event in enumerate(some, start=1)]
    before = deepcopy(shared)
    known = {(event.source, event.id): event for event in shared}
    for projection in PROJECTIONS.values():
        documents = MemoryDocuments()
        for event in shared:
            advance(projection, documents, event, lambda *identity: known.get(identity))
    assert shared == before


# Each fails alone


def going_on(log: Log, generations: list[Generation], error: type[Exception]) -> Exception:
    """What the second one says, while the others take all that there is."""
    first, second, third = advance_together(generations)
    assert (first, third) == (1, 1)
    assert isinstance(second, error)
    assert are_folded(log, [generations[0], generations[2]])
    return second


def test_one_whose_event_cannot_be_applied_parks_it_alone(log: Log) -> None:
    def fail(event: Any) -> None:
        if event.position == 2:
            raise ValueError("not here")

    append(log, 40, 41, 42)
    generations = tallies(log, second={"before_counting": fail})
    assert advance_together(generations) == [3, 2, 3]
    assert advance_together(generations) == [0, 1, 0]
    assert [list(each.parked()) for each in generations] == [[], [2], []]
    assert are_folded(log, [generations[0], generations[2]])


def test_one_that_another_writer_overtook_is_fenced_alone_and_then_goes_on(log: Log) -> None:
    append(log, 40)
    other = Store(log, Tally(name="second")).open_live()
    generations = tallies(log, second={"before_counting": lambda _: other.advance()})
    going_on(log, generations, Fenced)
    assert advance_together(generations) == [0, 0, 0]
    assert are_folded(log, generations)


@pytest.fixture
def generations(log: Log) -> list[Generation]:
    """At the first of two events."""
    append(log, 40)
    generations = tallies(log)
    all_the_way(generations)
    append(log, 41)
    return generations


def test_one_whose_documents_were_lost_stops_alone(log: Log, generations: list[Generation]) -> None:
    log.client.delete(generations[1].documents_key)
    error = going_on(log, generations, Unreadable)
    assert "was left with 2 documents and has 0 now" in str(error)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("which", ["documents_key", "state_key", "parked_key"])
def test_one_whose_key_something_else_wrote_stops_alone(
    log: Log, generations: list[Generation], which: str, cached: bool
) -> None:
    log.client.delete(key := getattr(generations[1], which))
    log.client.set(key, "something else's")
    error = going_on(log, generations if cached else tallies(log), LogDamaged)
    assert "has the wrong type" in str(error)


@pytest.mark.parametrize("field", ["entry", "version"])
def test_one_that_cannot_be_read_on_stops_alone(log: Log, field: str) -> None:
    append(log, 40)
    all_the_way(tallies(log))
    append(log, 41)
    log.client.hset(keys.state(log.ledger, "second", 1), field, "9" * 64)
    going_on(log, tallies(log), LogForked if field == "entry" else Unreadable)


def test_one_that_has_read_what_the_log_does_not_hold_stops_alone(log: Log) -> None:
    append(log, 40, 41, 42)
    generations = tallies(log)
    all_the_way(generations)
    for generation in (generations[0], generations[2]):
        log.client.delete(generation.state_key)
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger), keys.subjects(log.ledger))
    append(log, 50)
    error = going_on(log, tallies(log), LogForked)
    assert "has read up to position 3, and the log ends before it" in str(error)


def test_one_that_was_removed_takes_nothing_and_the_others_go_on(log: Log) -> None:
    append(log, 40)
    generations = tallies(log)
    generations[1] = generations[1].store.open_new()
    generations[1].store.drop(generations[1].number)
    assert advance_together(generations) == [1, 0, 1]
    assert are_folded(log, [generations[0], generations[2]])


# The server


def test_a_server_that_has_forgotten_the_function_is_given_it_again(
    log: Log, generations: list[Generation]
) -> None:
    log.client.script_flush()
    assert advance_together(generations) == [1, 1, 1]
    assert are_folded(log, generations)


@pytest.mark.parametrize("lost", ["replies", "requests"])
def test_where_no_answer_comes_the_checkpoints_tell_and_nothing_counts_twice(
    server: Server, lost: str
) -> None:
    with Proxy(server) as proxy, connect(proxy.url) as client:
        log = Log(client, new_ledger())
        append(log, 40, 41)
        generations = tallies(log)
        all_the_way(generations)
        append(log, 42)
        (proxy.lose_replies_to if lost == "replies" else proxy.lose_requests_with)(b"EVALSHA", 1)
        with pytest.raises(OutcomeUnknown):
            advance_together(generations)
        all_the_way(generations)
        assert are_folded(log, generations)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_full_server_refuses_is_committed_when_there_is_room(
    start_server: Callable[..., Server], kind: str
) -> None:
    """Some servers take nothing into a transaction then (Redis 7.0), and some refuse the first write in it."""
    log = Log(start_server(kind).client(), "cac")
    append(log, 40, 41)
    generations = tallies(log)
    assert advance_together(generations, 1) == [1, 1, 1]
    log.client.config_set("maxmemory", 1)
    for outcome in advance_together(generations, 1):
        assert isinstance(outcome, Exception)
        with pytest.raises(StorageUnavailable, match="Raise maxmemory or free memory"):
            raise outcome
    log.client.config_set("maxmemory", 0)
    assert positions(generations) == [1, 1, 1]
    all_the_way(generations)
    assert are_folded(log, generations)


def test_a_user_who_may_not_write_one_projection_writes_the_others(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    log = Log(server.client(), "cac")
    append(log, 40)
    tallies(log)
    rights = ["%R~*", *(f"~*:projection:{name}*" for name in ("first", "third")), "+@all"]
    execute(server.client(), "ACL", "SETUSER", "clerk", "on", ">secret", *rights)
    clerk = Log(server.client(user="clerk", password="secret"), "cac")
    first, second, third = advance_together([Store(clerk, Tally(name=name)).generation(1) for name in NAMES])
    assert (first, third) == (1, 1)
    assert "No permissions" in str(second)
    assert positions(tallies(log)) == [1, 0, 1]
