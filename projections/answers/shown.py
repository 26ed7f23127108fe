"""What answers have in common: evidence as positions, bounded in number, and contradictions in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from events import date_range, name_key

from .. import companies, totals
from ..bounds import NAMED, REVOKED, Bound, Conflict, Node
from ..evidence import Views
from ..figures import Figures

SHOWN = 12  # positions of evidence that an answer lists; the rest is a count

TOGETHER = {NAMED: "the approvals known by name", REVOKED: "the revocations"}


class Shown:
    """How the evidence of figures is listed: SHOWN positions a side and a count of the rest, or, from `views`, all of it."""

    def __init__(self, figures: Figures, views: Views | None = None) -> None:
        self._figures = figures
        self._views = views

    def evidence(self, bound: Bound, day: date | None) -> dict[str, Any]:
        """The positions on each side of the bound of a figure at `day`; `more` counts the others, on both sides together.

        What came until that day forces the lowest value, and what came after it the highest, beside the reports.
        """
        low, more_low = self.positions(bound.low, day)
        high, more_high = self.positions(bound.high, None)
        return {"low": low, "high": high, "more": more_low + more_high}

    def contradiction(self, conflict: Conflict, name: str, node: Node) -> dict[str, Any]:
        """The events in conflict, in words, and what `node` (`name` in the answer) would be on each origin's word alone."""
        known = self._figures.evidence
        reports = sorted(conflict.events - set(TOGETHER))
        says = [known.says[event] for event in reports]
        says += [words for together, words in TOGETHER.items() if together in conflict.events]
        equating = known.equating(known.terms_of[event] for event in reports)
        return {
            "events": self.positions(conflict.events | equating, None)[0],
            "says": f"these cannot all be true: {'; '.join(says)}",
            "alone": [
                {"origin": alone.origin, name: alone.solution.bound(node).interval.to_json()}
                for alone in self._figures.resolution.alone
                if alone.events & conflict.events
            ],
        }

    def positions(self, because: frozenset[int], day: date | None) -> tuple[list[int], int]:
        """The positions of these events, of what counts together those until `day`, and how many others there are."""
        upto = day or self._figures.days[-1]
        found, together = because - set(TOGETHER), because & set(TOGETHER)
        if self._views is not None:
            return sorted(found.union(*(self._all(self._views, counted, upto) for counted in together))), 0
        # Reports first: of what counts together there may be thousands, and which of them are listed tells little.
        reports, listed, more = sorted(found), found, 0
        for counted in together:
            sample, others = self._some(counted, upto)
            listed, more = listed.union(sample), more + others
        shown = [*reports, *sorted(listed - found)][:SHOWN]
        return sorted(shown), len(listed) - len(shown) + more

    def _some(self, together: int, upto: date) -> tuple[list[int], int]:
        known = self._figures.evidence
        counted = known.granted.values() if together == NAMED else known.revoked
        most = max(counted, key=lambda days: days.surely_by(upto))
        sample = most.sample(upto, SHOWN)
        # Under several names of one company an approval may be reported, and counted, once for each: more reports than approvals.
        return sample, max(0, most.surely_by(upto) - len(sample))

    def _all(self, views: Views, together: int, upto: date) -> Iterable[int]:
        granted = self._figures.evidence.granted
        if together == REVOKED:
            found = totals.revocations(views["totals"], next(iter(granted)))
            return [at for at, on in found if date_range(on).last <= upto]
        most = max(granted, key=lambda counted: granted[counted].surely_by(upto))
        return [at for at, last in _reports_of_grants(views, most) if last <= upto]


def _reports_of_grants(views: Views, counted: str) -> Iterator[tuple[int, date]]:
    """Every report of an approval in these terms, with the last day that all reports of that approval allow."""
    reports: dict[tuple[str, ...], list[tuple[int, date]]] = {}
    for name in companies.all_names(views["companies"]):
        for position, entry in companies.granted_at(views["companies"], name, counted):
            number = entry["item"].get("registry_number")
            approval = (name_key(number),) if number else (name_key(entry["item"]["name"]), name)
            reports.setdefault(approval, []).append((position, date_range(entry["approved_on"]).last))
    for of_approval in reports.values():
        last = max(last for _, last in of_approval)
        yield from ((position, last) for position, _ in of_approval)
