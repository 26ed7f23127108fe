"""Events that would settle what a list and the ledger disagree on. A person reads and publishes them; nothing here does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from events import Event, canonical, date_range, encode, from_json
from events.catalog import TEXT_LIMIT

from .compare import Difference, Identity, Missing, Verdict, merged, rank, says
from .facts import reference
from .titles import number_key

JSON = dict[str, Any]

_NAMES = frozenset({"company.name", "item.name"})
_DATES = frozenset({"approved_on", "revoked_on"})
_NUMBER = "item.registry_number"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Events that belong together, and why."""

    why: str
    events: tuple[Event, ...]

    @property
    def settles(self) -> Identity:
        """The event that takes effect: the only one, or the correction that puts the one before it in another's place."""
        return self.events[-1].source, self.events[-1].id

    def lines(self) -> Iterator[bytes]:
        """The events as `approvals publish` takes them."""
        return (encode(event) for event in self.events)


def propose(
    verdicts: Iterable[Verdict], gone: Iterable[Missing], actor: str, known: Collection[Identity]
) -> list[Proposal]:
    """A proposal for everything that disappeared, or that differs from the ledger in more than being in a later list as well; one for
    each identity, however many rows have it. What the ledger knows already was proposed before, published, and taken back."""
    found = [
        _settle(verdict, actor) for verdict in map(_of_its_own, _that_count(verdicts)) if verdict.differences
    ]
    found += [_retract(missing, actor) for missing in gone]
    return [proposal for proposal in found if proposal.settles not in known]


def _that_count(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """For each identity, the row that counts, if it differs from the ledger.

    It is the one with the earliest date, and among several of these one that agrees with the ledger. Rows that differ only from
    another row are for their publisher to settle: a later date is mostly that of a later list.
    """
    best: dict[tuple[str, str], tuple[Any, Verdict]] = {}
    for verdict in verdicts:
        on, rest = rank(verdict.fact)
        key = (on, verdict.status == "differs", rest)
        if verdict.identity not in best or key < best[verdict.identity][0]:
            best[verdict.identity] = key, verdict
    return (v for _, v in best.values() if v.status == "differs" and v.position is not None)


def _of_its_own(verdict: Verdict) -> Verdict:
    """The verdict without a later month that only the heading of the list gives: an approval in two lists belongs to the first, in
    whatever order they are imported."""
    if not verdict.fact.of_the_heading:
        return verdict
    return replace(verdict, differences=tuple(one for one in verdict.differences if not _is_later(one)))


def _is_later(one: Difference) -> bool:
    if one.field not in _DATES or one.held is None or one.listed is None:
        return False
    return date_range(one.listed).first > date_range(one.held).last


def _settle(verdict: Verdict, actor: str) -> Proposal:
    why = f"{verdict.fact.place} differs from position {verdict.position} in {'; '.join(map(str, verdict.differences))}"
    more_than_case = {one.field for one in verdict.differences if not _is_case_of_number(one)}
    if more_than_case and more_than_case <= _NAMES and "approved_on" in says(verdict.fact.event):
        amendment = _amendment(verdict)
        if amendment is not None:
            return Proposal(why, (amendment,))
    return Proposal(why, tuple(_replacement(verdict, actor, why)))


def _is_case_of_number(one: Difference) -> bool:
    """Whether it is the same number in other letter case, which a new name must not turn into a replacement of the grant."""
    return one.field == _NUMBER and number_key(one.held or "") == number_key(one.listed or "")


def _amendment(verdict: Verdict) -> Event | None:
    """The same number and day under another name: the list reflects a change, without saying when it was."""
    data = says(verdict.fact.event)
    number = data["item"].get("registry_number")
    if number is None:
        return None
    fields = {difference.field for difference in verdict.differences}
    changes = {name: data[name] for name in ("company", "item") if f"{name}.name" in fields}
    full = verdict.fact.event.data.model_dump(mode="json", by_alias=True, exclude_none=True)
    return from_json(
        _envelope(verdict, "approval.amended.v1", f":amended:{_digest(changes)}")
        | {
            "data": {
                "authority": data["authority"],
                "instrument": data["instrument"],
                "registry_number": number,
                "changes": changes,
                "source": full["source"],
                "published": full.get("published", {}),
            }
        }
    )


def _replacement(verdict: Verdict, actor: str, why: str) -> Iterator[Event]:
    """What the ledger has, except for what differs: an edition without a column of batches or dates does not remove them."""
    assert verdict.target is not None
    assert verdict.held is not None
    full = verdict.fact.event.data.model_dump(mode="json", by_alias=True, exclude_none=True)
    said = merged(verdict.held, says(verdict.fact.event), {each.field for each in verdict.differences})
    data = said | {part: full[part] for part in ("source", "published") if part in full}
    ending = f":replaced:{_digest([said, verdict.target])}"
    replacement = from_json(_envelope(verdict, verdict.fact.event.type, ending) | {"data": data})
    yield replacement
    yield _correction(
        "event.superseded.v1",
        replacement.source,
        verdict.target,
        replacement.subject,
        why,
        actor,
        {"source": replacement.source, "id": replacement.id},
    )


def _retract(missing: Missing, actor: str) -> Proposal:
    data = missing.held.data
    why = f"{data['item']['name']} of {data['company']['name']} is no longer in a list that says it has all"
    event = _correction(
        "event.retracted.v1", missing.identity[0], missing.held.by, missing.held.subject, why, actor
    )
    return Proposal(f"position {missing.held.position}: {why}", (event,))


def _envelope(verdict: Verdict, type: str, ending: str) -> JSON:
    event = verdict.fact.event
    return {
        "specversion": "1.0",
        "id": reference(event.id + ending),
        "source": event.source,
        "type": type,
        "subject": event.subject,
    }


def _correction(
    type: str,
    source: str,
    target: tuple[str, str],
    subject: str | None,
    why: str,
    actor: str,
    replacement: JSON | None = None,
) -> Event:
    data = {"target": {"source": target[0], "id": target[1]}, "reason": _plain(why), "actor": actor}
    if replacement is not None:
        data["replacement"] = replacement
    document = {
        "specversion": "1.0",
        "id": f"correction:{_digest([type, data['target'], replacement])}",
        "source": f"{source}:corrections",
        "type": type,
        "subject": subject,
        "data": data,
    }
    return from_json({key: value for key, value in document.items() if value is not None})


def _plain(text: str) -> str:
    """Words from cells in a form that a reason may contain."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= TEXT_LIMIT else shown[: TEXT_LIMIT - 1] + "…"


def _digest(value: Any) -> str:
    return sha256(canonical(value)).hexdigest()[:16]
