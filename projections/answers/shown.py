"""What answers have in common: evidence as positions, bounded in number, and contradictions in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from events import date_range, name_key

from .. import approvals, companies, totals
from ..bounds import BY_DAY, NAMED, REVOKED, Bound, Conflict, Node
from ..evidence import Batch, Days, Views
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
        found = frozenset(event for event in because if event > NAMED)
        members = frozenset(event for event in because if event < BY_DAY)
        of_batches = [
            placed.batch
            for placed in (self._figures.order if members else ())
            if not placed.batch.membership.isdisjoint(members)
        ]
        by_day = BY_DAY in because or (NAMED in because and not of_batches)
        if self._views is not None:
            listed = set(found)
            if by_day or of_batches:
                listed |= self._grants(self._views, of_batches, upto if by_day else None)
            if REVOKED in because:
                listed |= self._revocations(self._views, upto)
            return sorted(listed), 0
        # Reports first: of what counts together there may be thousands, and which of them are listed tells little.
        counted = self._counted(by_day=by_day, revoked=REVOKED in because, upto=upto)
        sample = {position for days in counted for position in days.sample(upto, SHOWN)}
        sample = sample.union(*(batch.sample for batch in of_batches))
        shown = [*sorted(found), *sorted(sample - found)][:SHOWN]
        # Under several names of one company an approval may be reported, and counted, once for each: more reports than approvals.
        together = sum(days.surely_by(upto) for days in counted) + sum(
            batch.members_at_most for batch in of_batches
        )
        return sorted(shown), max(0, len(found) + max(together, len(sample)) - len(shown))

    def _counted(self, *, by_day: bool, revoked: bool, upto: date) -> list[Days]:
        known = self._figures.evidence
        # Of the revocations those that are most: they may be reported by number, and the same ones by item.
        most = [max(known.revoked, key=lambda days: days.surely_by(upto))] if revoked else []
        return [*(known.granted.values() if by_day else ()), *most]

    def _grants(self, views: Views, of_batches: Sequence[Batch], upto: date | None) -> set[int]:
        """The reports of the approvals that are surely of a day until `upto`, and of the members of some batches."""
        found = set[int]()
        for counted in self._figures.evidence.granted:
            for reports in _reports_of_grants(views, counted).values():
                days = totals.day_range(approvals.span([entry["approved_on"] for _, entry in reports]))
                if upto is not None and days.last <= upto:
                    found.update(position for position, _ in reports)
                    continue
                found.update(
                    position
                    for position, entry in reports
                    if "batch" in entry and any(batch.puts(entry["batch"]) for batch in of_batches)
                )
        return found

    def _revocations(self, views: Views, upto: date) -> set[int]:
        return {
            at
            for counted in self._figures.evidence.granted
            for at, on in totals.revocations(views["totals"], counted)
            if date_range(on).first
            <= upto  # of one that others date more exactly, the fold takes the days that all allow
        }


Reports = list[tuple[int, dict[str, Any]]]  # what some say of one approval, by position


def _reports_of_grants(views: Views, counted: str) -> dict[tuple[str, ...], Reports]:
    """Every report of an approval in these terms, by what they are of."""
    reports: dict[tuple[str, ...], Reports] = {}
    for name in companies.all_names(views["companies"]):
        for position, entry in companies.granted_at(views["companies"], name, counted):
            number = entry["item"].get("registry_number")
            approval = (name_key(number),) if number else (name_key(entry["item"]["name"]), name)
            reports.setdefault(approval, []).append((position, entry))
    return reports
