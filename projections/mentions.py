"""The companies that announcements of batches name, and how many of their approvals nobody lists."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from .evidence import Granted
from .identities import Marks
from .placing import Placed


class Mention(NamedTuple):
    """What the announcements of a batch that was granted `by` a day name: how many approvals of each company, by the mark of
    those that ever may be one. It is `sure` that it is none of the others that are."""

    sure: bool
    by: date
    because: frozenset[int]
    companies: Mapping[str, int]


def mention_of(placed: Placed, marks: Marks) -> Mention | None:
    """What the announcements of a batch name; None where they name nobody, or nobody announced it."""
    batch = placed.batch
    if batch.on is None:
        return None
    naming = replace(batch, reports=tuple(r for r in batch.reports if r.named))
    if not naming.reports:
        return None
    because = placed.placed_by.union(*(naming.because(report) for report in naming.reports))
    whenever, companies = marks.may_be_one(), dict[str, int]()
    for mark, n in naming.mentioned(marks.may_be_one(batch.named_on)).items():
        companies[whenever[mark]] = companies.get(whenever[mark], 0) + n
    return Mention(placed.sure, placed.by, because, companies)


def unlisted_by_each(
    mentions: Iterable[Mention], granted_to: Granted, days: Iterable[date]
) -> Iterator[tuple[date, int, frozenset[int]]]:
    """For each of these days how many approvals, announced by then with a company's name, are beyond those granted to it; and who
    says so. The days are in their order, as the mentions are: each is counted once for all of them."""
    mentioned: dict[str, _Mentioned] = {}
    in_doubt = [mark for marks, _ in granted_to.either for mark in marks]
    unlisted, because = 0, set[int]()
    later = deque(mentions)
    for day in days:
        while later and later[0].by <= day:
            mention = later.popleft()
            for mark, n in mention.companies.items():
                before = mentioned.get(mark, _Mentioned(0, 0))
                after = mentioned[mark] = before.with_those_of(mention, n)
                unlisted += granted_to.beyond(mark, after.least) - granted_to.beyond(mark, before.least)
                # What adds to a sum is needed, whatever was more until then.
                if mention.sure or after.least > before.least:
                    because |= mention.because
        wanted = {mark: mentioned[mark].least for mark in in_doubt if mark in mentioned}
        yield day, unlisted - granted_to.of_either(wanted), frozenset(because)


class _Mentioned(NamedTuple):
    """How many approvals of a company the announcements name: those of batches that are surely different together, and the most of
    one that may be one of these."""

    different: int
    alone: int

    @property
    def least(self) -> int:
        return max(self)

    def with_those_of(self, mention: Mention, n: int) -> _Mentioned:
        if mention.sure:
            return _Mentioned(self.different + n, self.alone)
        return _Mentioned(self.different, max(self.alone, n))
