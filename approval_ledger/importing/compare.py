"""A list's facts compared with a ledger: which are new, there already, or different, and what a cumulative list left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from typing import Any, Literal, NamedTuple

from events import (
    DecodedEvent,
    Event,
    Fault,
    InvalidEvent,
    Log,
    RecordedEvent,
    UnknownVersion,
    canonical,
    date_range,
    decode,
    name_key,
)
from events.catalog import (
    ApprovalAmended,
    ApprovalGranted,
    ApprovalRevoked,
    EventRetracted,
    EventSuperseded,
)

from . import mapping as mappings
from .facts import OPTIONAL, Fact, Place
from .titles import number_key, title_key, visible_key

Identity = tuple[str, str]
JSON = Mapping[str, Any]
Status = Literal["new", "already", "repeats", "differs"]

_CHANGES = frozenset({ApprovalAmended.TYPE, ApprovalRevoked.TYPE})
_APPROVALS = _CHANGES | {ApprovalGranted.TYPE}
_CORRECTIONS = frozenset({EventRetracted.TYPE, EventSuperseded.TYPE})
_LEFT_OUT = frozenset({"source", "published"})  # who reports it and in which words, but not what


@dataclass(frozen=True, slots=True)
class Held:
    """An event that the ledger has from a list: `data` is what counts now, `by` the event that says so, `before` what it said until
    somebody corrected it. `retracted` if that was also taken back, and nothing in the ledger replaces it."""

    position: int
    data: JSON
    by: Identity
    retracted: bool = False
    before: tuple[JSON, ...] = ()
    subject: str | None = None


class _Said(NamedTuple):
    """What is kept of every event, because any may replace another."""

    position: int
    data: JSON
    subject: str | None


@dataclass(slots=True)
class Holding:
    """What a ledger has from the lists that are being imported, and what anybody amended."""

    events: dict[Identity, Held] = field(default_factory=dict)
    amended: dict[tuple[str, str, str], list[JSON]] = field(default_factory=dict)
    revoked: set[tuple[str, str, str]] = field(default_factory=set)
    replacements: set[Identity] = field(default_factory=set)
    known: frozenset[Identity] = frozenset()
    """Every event that the ledger has, from whatever source."""
    left_out: list[int] = field(default_factory=list)
    """The positions of events that this software does not understand and that may concern approvals."""

    def note(self, data: JSON) -> None:
        """Notes what a standing amendment or revocation says about an approval, by its number."""
        if "registry_number" not in data:
            return
        approval = _approval(data, data["registry_number"])
        if "changes" in data:
            self.amended.setdefault(approval, []).append(data["changes"])
        else:
            self.revoked.add(approval)

    def changes_of(self, data: JSON) -> list[JSON]:
        """What amendments say about the approval that this data of a grant describes."""
        number = _number(data)
        return [] if number is None else self.amended.get(_approval(data, number), [])


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which a row differs from the ledger, or from another row of the same run."""

    field: str
    held: str | None
    listed: str | None

    def __str__(self) -> str:
        return f"{self.field}: {self.listed or 'nothing'}, not {self.held or 'nothing'}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a fact. `position` is where the ledger has it, and `held` what counts there; `place` is the row of this run that
    has it."""

    fact: Fact
    status: Status
    identity: Identity
    position: int | None = None
    place: Place | None = None
    differences: tuple[Difference, ...] = ()
    reworded: tuple[str, ...] = ()
    target: Identity | None = None
    held: JSON | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """An approval that the ledger has from a cumulative list, but that the list no longer has."""

    identity: Identity
    held: Held


def holding(log: Log, sources: set[str], seen: Callable[[int], None] = lambda _: None) -> Holding:
    """What a ledger has from these lists, after corrections. `seen` is called with every position that was read.

    What this software does not understand is left out, as it is from figures. Raises UnknownVersion if that is an approval from one
    of these lists, because its row would be taken for a new one.
    """
    events: dict[Identity, _Said] = {}
    corrections: dict[Identity, JSON] = {}
    changes: list[Identity] = []
    found = Holding()
    for recorded in log.read():
        seen(recorded.position)
        event = _understood(recorded, sources)
        if event is None:
            found.left_out.append(recorded.position)
            continue
        identity = event.source, event.id
        events[identity] = _Said(event.position, event.written, event.subject)
        if event.type in _CORRECTIONS:
            corrections[identity] = event.written
        elif event.type in _CHANGES:
            changes.append(identity)
    in_force = _in_force({one: _referred(data["target"]) for one, data in corrections.items()})
    out = {_referred(corrections[one]["target"]) for one in in_force}
    replaced = {
        _referred(data["target"]): _referred(data["replacement"])
        for one, data in corrections.items()
        if one in in_force and "replacement" in data
    }
    found.replacements.update(replaced.values())
    found.known = frozenset(events)
    for identity in changes:
        if identity not in out:
            found.note(events[identity].data)
    for identity, (position, _, subject) in events.items():
        if identity[0] in sources:
            *before, by = _chain(identity, replaced, events)
            earlier = tuple(events[one].data for one in before)
            found.events[identity] = Held(position, events[by].data, by, by in out, earlier, subject)
    return found


def _understood(recorded: RecordedEvent, sources: set[str]) -> DecodedEvent | None:
    """The event, or None if the entry is not an event, or is of a version that this software does not know and may concern approvals."""
    try:
        event = decode(recorded)
    except InvalidEvent:
        return None
    if event.newer is None:
        return event
    if event.source in sources and event.is_of(_APPROVALS):
        message = (
            f"position {event.position} has {event.id!r} of {event.source}, a list that is imported, as newer software wrote it "
            f"({'; '.join(map(str, event.newer.faults))}): rows cannot be compared with it. Update this software"
        )
        raise UnknownVersion([Fault("unknown-version", message)])
    return None if event.is_of(_APPROVALS | _CORRECTIONS) else event


def _in_force(targets: Mapping[Identity, Identity]) -> set[Identity]:
    """The corrections, given with their targets, that no correction in force is against. This is what `projections.projection` finds
    one by one, in whatever order they came. In a ring of corrections that correct each other none is in force: nothing but the
    ring depends on them.
    """
    undecided = Counter(targets.values())
    ready = [one for one in targets if one not in undecided]
    in_force: set[Identity] = set()
    undone: set[Identity] = set()
    while ready:
        one = ready.pop()
        target = targets[one]
        if one not in undone:
            in_force.add(one)
            undone.add(target)
        undecided[target] -= 1
        if target in targets and not undecided[target]:
            ready.append(target)
    return in_force


def _chain(
    identity: Identity, replaced: Mapping[Identity, Identity], events: Mapping[Identity, _Said]
) -> list[Identity]:
    """An event, its replacement, the replacement of that, and so on; the last one stands."""
    passed = [identity]
    while (
        (following := replaced.get(passed[-1])) is not None
        and following in events
        and following not in passed
    ):
        passed.append(following)
    return passed


def _referred(reference: JSON) -> Identity:
    return reference["source"], reference["id"]


def _approval(data: JSON, number: str) -> tuple[str, str, str]:
    return name_key(data["authority"]), name_key(data["instrument"]), number_key(number)


def verdicts(facts: Sequence[Fact], held: Holding) -> list[Verdict]:
    """A verdict on each fact, in the same order. Which of two differing rows counts does not depend on that order."""
    held = _with_amendments(held, facts)
    same = _misspelt(facts, held)
    same |= _numbered_since(facts, held, same)
    first: dict[Identity, Fact] = {}
    for fact in facts:
        known = first.get(same[fact.identity])
        if known is None or rank(fact) < rank(known):
            first[same[fact.identity]] = fact
    taken: set[Identity] = set()
    judged = []
    for fact in facts:
        identity = same[fact.identity]
        there = held.events.get(identity)
        if there is None:
            verdict = _in_this_run(fact, first[identity], held)
        else:
            verdict = _in_the_ledger(fact, identity, there, held, identity in taken)
        if verdict.status in ("new", "already"):
            taken.add(identity)
        judged.append(verdict)
    return judged


def _with_amendments(held: Holding, facts: Sequence[Fact]) -> Holding:
    """What the ledger holds, together with the amendments in the run itself."""
    amended = {approval: list(changes) for approval, changes in held.amended.items()}
    for fact in facts:
        if isinstance(fact.event.data, ApprovalAmended):
            data = _data(fact.event)
            amended.setdefault(_approval(data, data["registry_number"]), []).append(data["changes"])
    return replace(held, amended=amended)


def _misspelt(facts: Sequence[Fact], held: Holding) -> dict[Identity, Identity]:
    """For each identity the one that it counts as: another one, if their numbers differ only in their letters.

    Such a number, for the same item, company and day, was corrected or mistyped, and is not another approval: `Shinghai-…0020` is
    `Shanghai-…0020`. Likeness is transitive, so that the order of the rows does not matter.
    """
    groups: dict[Identity, Identity] = {fact.identity: fact.identity for fact in facts}
    alike: dict[tuple[str, ...], Identity] = {}
    said = ((identity, _likeness(identity[0], one.data)) for identity, one in held.events.items())
    rows = (
        (fact.identity, _likeness(fact.event.source, says(fact.event))) for fact in facts if fact.of_the_row
    )
    for identity, likeness in chain(said, rows):
        if likeness is not None:
            one, other = _root(groups, identity), _root(groups, alike.setdefault(likeness, identity))
            groups[max(one, other)] = min(one, other)
    stored: dict[Identity, Identity] = {}
    for identity in held.events:
        stored.setdefault(_root(groups, identity), identity)
    return {
        identity: identity if identity in held.events else stored.get(root, root)
        for identity in list(groups)
        for root in [_root(groups, identity)]
    }


def _numbered_since(
    facts: Sequence[Fact], held: Holding, same: dict[Identity, Identity]
) -> dict[Identity, Identity]:
    """For new identities of rows with a number, the identity of the event without one for the same item, company and day, unless two
    numbers would claim it."""
    numberless = {
        names: identity
        for identity, one in held.events.items()
        if (names := _names(identity[0], one.data)) and _number(one.data) is None
    }
    if not numberless:
        return {}
    claims: dict[Identity, set[Identity]] = {}
    for fact in facts:
        data = says(fact.event)
        there = numberless.get(_names(fact.identity[0], data) or ())
        is_new = fact.of_the_row and same[fact.identity] not in held.events
        if there is not None and is_new and _number(data) is not None:
            claims.setdefault(there, set()).add(fact.identity)
    return {one: there for there, ones in claims.items() if len(ones) == 1 for one in ones}


def _number(data: JSON) -> str | None:
    item = data.get("item")  # an object in an approval; only a name in a report of users
    return item.get("registry_number") if isinstance(item, dict) else None


def _names(source: str, data: JSON) -> tuple[str, ...] | None:
    """What tells a grant from others if numbers do not."""
    if "approved_on" not in data:
        return None
    names = (alike(name_key(data["item"]["name"])), alike(name_key(data["company"]["name"])))
    return source, *names, data["approved_on"]


def _root(groups: dict[Identity, Identity], identity: Identity) -> Identity:
    while (above := groups.setdefault(identity, identity)) != identity:
        groups[identity] = identity = groups[above]
    return identity


def _likeness(source: str, data: JSON) -> tuple[str, ...] | None:
    number, names = _number(data), _names(source, data)
    if number is None or names is None:
        return None
    return *names, "".join(filter(str.isdigit, number_key(number)))


def rank(fact: Fact) -> tuple[object, ...]:
    """A sort key: the row with the earliest date is the approval's own, and later ones repeat it."""
    data = says(fact.event)
    on = data.get("approved_on") or data.get("revoked_on") or data.get("amended_on")
    return ((0, date_range(on).first, date_range(on).last) if on else (1,)), canonical(
        [data, _data(fact.event)]
    )


def _in_this_run(fact: Fact, first: Fact, held: Holding) -> Verdict:
    if fact is first:
        return Verdict(fact, "new", fact.identity)
    before = says(first.event)
    differences = _differences(
        before, says(fact.event), fact.assumed | first.assumed, held.changes_of(before)
    )
    status: Status = "differs" if differences else "repeats"
    return Verdict(
        fact, status, first.identity, place=first.place, differences=differences, target=first.identity
    )


def _in_the_ledger(fact: Fact, identity: Identity, there: Held, held: Holding, taken: bool) -> Verdict:
    listed, changes = says(fact.event), held.changes_of(there.data)
    unsaid = fact.assumed | _unsaid(there.data, fact.mapping)
    differences = _differences(_without(there.data), listed, unsaid, changes)
    # A list that repeats what was corrected says nothing new: whoever corrected it had read it.
    corrected = (
        bool(differences)
        and any(not _differences(_without(before), listed, unsaid, ()) for before in there.before)
        and not _came_back(fact, identity, there)
    )
    if differences and not corrected:
        held_data = _without(there.data)
        return Verdict(
            fact, "differs", identity, there.position, None, differences, target=there.by, held=held_data
        )
    reworded = tuple(_reworded(there.data.get("published") or {}, _data(fact.event).get("published") or {}))
    status: Status = "repeats" if taken else "already"
    settled = corrected or there.retracted
    return Verdict(
        fact, status, identity, there.position, reworded=() if settled else reworded, settled=settled
    )


def _came_back(fact: Fact, identity: Identity, there: Held) -> bool:
    """Whether the list says again what it said first and then corrected itself, in an edition that is certainly later than all editions
    that what is held, and was held before, are from. What another source corrected, later editions may go on repeating."""
    listed = _data(fact.event)["source"].get("published_on")
    editions = [said.get("source", {}).get("published_on") for said in (*there.before, there.data)]
    if there.by[0] != identity[0] or listed is None or None in editions:
        return False
    return date_range(listed).first > max(date_range(edition).last for edition in editions)


def _unsaid(data: JSON, mapping: mappings.Mapping) -> frozenset[str]:
    """The fields that an event lacks because its edition had no column for them."""
    if "published" not in data:
        return frozenset()
    had = {mapping.meanings.get(title_key(title)) for title in data["published"]}
    return frozenset(name for name in OPTIONAL if name not in had and name not in data)


def _data(event: Event) -> JSON:
    return event.data.model_dump(mode="json", by_alias=True, exclude_none=True)


def says(event: Event) -> JSON:
    """What an event reports, without its `source` and the cells in `published`."""
    return _without(_data(event))


def _without(data: JSON) -> JSON:
    return {key: value for key, value in data.items() if key not in _LEFT_OUT}


def _differences(
    held: JSON, listed: JSON, assumed: frozenset[str], changes: Sequence[JSON]
) -> tuple[Difference, ...]:
    before, after = dict(_flat(held)), dict(_flat(listed))
    since: dict[str, set[str]] = {}
    for change in changes:
        for path, value in _flat(change):
            since.setdefault(path, set()).add(alike(value))
    return tuple(
        Difference(path, before.get(path), after.get(path))
        for path in sorted({*before, *after})
        if path not in assumed
        and alike(before.get(path)) != alike(after.get(path))
        and alike(after.get(path)) not in since.get(path, ())
    )


def merged(held: JSON, listed: JSON, differing: Collection[str], path: str = "") -> dict[str, Any]:
    """The data that is held, with the listed values in the `differing` fields."""
    found = {}
    for key in {**held, **listed}:
        one, other = held.get(key), listed.get(key)
        if isinstance(one, dict) or isinstance(other, dict):
            value: Any = merged(one or {}, other or {}, differing, f"{path}{key}.") or None
        else:
            value = other if f"{path}{key}" in differing else one
        if value is not None:
            found[key] = value
    return found


def _flat(data: JSON, path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", str(value)


@lru_cache(maxsize=65_536)
def alike(text: str | None) -> str:
    """The text without white space, widths, invisible characters and the kind of its dashes. Two texts that are equal in this form say
    the same, and an edition that writes one for the other has changed nothing."""
    return "" if text is None else visible_key(text)


def _reworded(held: JSON, listed: JSON) -> Iterator[str]:
    """The columns that both editions have and whose cells differ although the facts do not. Numbers are left out, because row numbers
    always differ."""
    for title, text in listed.items():
        if title in held and alike(held[title]) != alike(text) and not text.strip().isdigit():
            yield title


def missing(judged: Iterable[Verdict], held: Holding, *, all_lists: bool = False) -> list[Missing]:
    """The approvals that the ledger has from cumulative lists and these rows do not have, in the order of the log."""
    listed: dict[str, set[str]] = {}
    for verdict in judged:
        if all_lists or verdict.fact.mapping.cumulative:
            listed.setdefault(verdict.identity[0], set()).add(verdict.identity[1])
    gone = [
        Missing(identity, event)
        for identity, event in held.events.items()
        if identity[0] in listed
        and identity[1] not in listed[identity[0]]
        and _should_be_listed(identity, event, held)
    ]
    return sorted(gone, key=lambda one: one.held.position)


def _should_be_listed(identity: Identity, event: Held, held: Holding) -> bool:
    """Whether it is a grant for which a list had a row, and which still counts: an approval that ended may disappear from its list."""
    if event.retracted or identity in held.replacements or "approved_on" not in event.data:
        return False
    number = event.data["item"].get("registry_number")
    return number is None or _approval(event.data, number) not in held.revoked
