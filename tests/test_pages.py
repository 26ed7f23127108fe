"""Lists in pages: what is read is what was added and not taken out, in order, whatever the order it came in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from projections import MemoryDocuments, pages

NAME = "list"


class Touched(MemoryDocuments):
    """Documents that note which of them are asked for, and which are changed."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()
        self.changed: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def put(self, key: str, value: Any) -> None:
        self.changed.add(key)
        super().put(key, value)


class Lists(RuleBasedStateMachine):
    """A list in pages of three and groups of two beside a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(pages, "PAGE", 3)
        self.patch.setattr(pages, "GROUP", 2)
        self.patch.setattr(pages, "START", 1)
        self.patch.setattr(pages, "AHEAD", 2)
        self.documents = MemoryDocuments()
        self.model: dict[int, str] = {}

    def teardown(self) -> None:
        self.patch.undo()

    @rule(position=st.integers(1, 60))
    def add(self, position: int) -> None:
        if position not in self.model:
            self.model[position] = f"entry {position}"
            pages.insert(self.documents, NAME, position, f"entry {position}", about="what it is about")

    @rule(more=st.integers(1, 20))
    def add_after_all(self, more: int) -> None:
        for _ in range(more):
            self.add(max(self.model, default=0) + 1)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def take_out(self, data: st.DataObject) -> None:
        position = data.draw(st.sampled_from(sorted(self.model)))
        del self.model[position]
        pages.remove(self.documents, NAME, position)

    @rule(after=st.integers(0, 70))
    def read_after(self, after: int) -> None:
        expected = [(at, self.model[at]) for at in sorted(self.model) if at > after]
        assert list(pages.read(self.documents, NAME, after)) == expected

    @invariant()
    def all_of_it_is_there(self) -> None:
        assert list(pages.read(self.documents, NAME)) == sorted(self.model.items())
        assert pages.first(self.documents, NAME) == min(self.model, default=None)
        if self.model:
            assert pages.about(self.documents, NAME) == "what it is about"

    @invariant()
    def an_empty_list_leaves_nothing(self) -> None:
        assert self.model or not self.documents


TestLists = Lists.TestCase


def test_adding_to_a_long_list_asks_for_one_document_and_a_full_page_is_written_once() -> None:
    documents = Touched()
    written: list[set[str]] = []
    for position in range(1, 3 * pages.PAGE + 1):
        documents.asked.clear()
        documents.changed.clear()
        pages.insert(documents, NAME, position, "entry")
        assert documents.asked == {NAME}
        written.append(documents.changed - {NAME})
    assert [len(each) for each in written if each] == [1, 1]
    assert len(set.union(*written)) == 2
