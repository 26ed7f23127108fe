"""The digest of documents: what it is, that order does not matter, and that it takes little memory; also while a worker writes."""

from __future__ import annotations

import json
import resource
import tempfile
import tracemalloc
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import Log, canonical
from projections import PROJECTIONS, Store, digest, past
from projections import store as store_module
from projections.digest import digests_of_documents, digests_of_set

from .given import HISTORY, drain, folded
from .long import only_long

digest_module = import_module("projections.digest")  # the package gives its name to the function
Marked = tuple[str, bytes, bytes]
documents = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=12)


@pytest.mark.parametrize(
    "held",
    [
        {},
        {"a": 1},
        {"b": [2, None], "a": 1},
        {"零一万物": {"z": 1, "a": "\t"}, "a\tb": 1.5, 'a"b': "\u2028", "\U0001f600": 0},
    ],
)
def test_anyone_can_compute_it_from_the_documents(held: dict[str, Any]) -> None:
    def text(value: object) -> bytes:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    each = [sha256(text(name) + b":" + text(value)).digest() for name, value in held.items()]
    assert digest(held) == sha256(b"".join(sorted(each))).hexdigest()


@given(documents, documents, st.data())
def test_it_is_the_same_in_any_order_with_some_documents_given_twice_and_for_no_other_documents(
    some: dict[str, Any], others: dict[str, Any], data: st.DataObject
) -> None:
    stored = [(name, canonical(value), b"4000") for name, value in some.items()]
    twice = data.draw(st.lists(st.sampled_from(stored))) if stored else []
    plain, marked = digests_of_documents(data.draw(st.permutations([*stored, *twice])))
    assert plain == digest(some)
    assert marked == digests_of_documents(stored)[1]
    assert (digest(others) == digest(some)) == (canonical(others) == canonical(some))


def test_the_second_one_binds_the_marks_too_and_the_first_does_not() -> None:
    (first, one), (second, other) = (
        digests_of_documents([("a", b"1", b"2000"), ("b", b"2", mark)]) for mark in (b"2000", b"4000")
    )
    assert first == second == digest({"a": 1, "b": 2})
    assert one != other


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 50])
def test_it_is_the_same_where_most_of_it_was_sorted_in_files(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"name {number}": number for number in range(count)}
    whole = digest(many)
    monkeypatch.setattr(digest_module, "RUN", 4)
    assert digest(many) == whole


def test_it_needs_no_more_open_files_for_many_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"name {number}": number for number in range(2_000)}
    whole = digest(many)
    monkeypatch.setattr(digest_module, "RUN", 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
    try:
        assert digest(many) == whole
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_given_a_disk_that_takes_only_a_part_of_a_run_when_digests_are_sorted_in_files_then_that_is_said() -> (
    None
):
    size = digest_module.RUN * (sha256().digest_size + digest_module.MARK)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            digests_of_set((sha256(b"%d" % n).digest(), b"") for n in range(digest_module.RUN + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@only_long
def test_it_takes_no_more_memory_for_many_documents_than_for_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_module, "RUN", 5_000)
    few, many = (_peak(count) for count in (6_000, 40_000))
    assert many < 1.5 * few


def _peak(count: int) -> int:
    tracemalloc.start()
    try:
        digests_of_documents((f"name {number}", b"1" * 500, b"2000") for number in range(count))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_given_a_machine_without_room_for_temporary_files_when_documents_are_few_then_their_digest_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few, many = [(sha256(b"%d" % n).digest(), b"") for n in range(7)], digest_module.RUN + 1
    found = digests_of_set(few)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert digests_of_set(few) == found
    with pytest.raises(FileNotFoundError, match="nowhere"):
        digests_of_set((sha256(b"%d" % n).digest(), b"") for n in range(many))


def test_the_documents_of_one_position_are_read_some_at_a_time(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SCANNED", 7)
    log.append(HISTORY)
    for projection in PROJECTIONS.values():
        live = Store(log, projection).open_live()
        drain(live)
        assert live.digest() == folded(log, projection)


@pytest.mark.parametrize("commits", [1, 2, 3, 10])
def test_a_digest_is_of_one_position_while_a_worker_moves_on(
    log: Log, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    """A worker commits between two reads of the same digest, some times or every time."""
    monkeypatch.setattr(store_module, "SCANNED", 7)
    monkeypatch.setattr(past, "EVERY", 50)
    log.append(HISTORY)
    projection = PROJECTIONS["sources"]
    worker = Store(log, projection).open_live()
    while worker.checkpoint().position < 100:
        worker.advance()
    left = [worker] * commits

    def overtaken(stored: Iterable[Marked]) -> tuple[str, str]:
        return digests_of_documents(_with_commit_after_the_first(stored))

    def _with_commit_after_the_first(stored: Iterable[Marked]) -> Iterator[Marked]:
        for index, document in enumerate(stored):
            yield document
            if index == 0 and left:
                left.pop().advance(limit=1)

    monkeypatch.setattr(store_module, "digests_of_documents", overtaken)
    found = Store(log, projection).open_live().digests()
    assert found.position >= 100 + min(commits, store_module.DIGEST_TRIES)
    assert (found.position, found.documents) == folded(log, projection, found.position)
    other = Store(log, projection).open_new()
    while other.advance(upto=found.position):
        pass
    assert found == other.digests()
