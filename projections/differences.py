"""What changed between two positions: every figure that differs, and the events that changed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from events import BadQuestion, DecodedEvent, Log, canonical, name_key
from events.catalog import EventRetracted, EventSuperseded

from . import answers
from .answers.shown import SHOWN
from .asof import days, require_known
from .derived import DerivableViews
from .digest import with_digest
from .evidence import Views
from .lockstep import named_by
from .past import SnapshotLost
from .projection import Projection
from .queries import COUNTING, PROJECTIONS, Answer
from .together import SENSELESS, fold_all, follow, known_at

STEPS = 100
"""How many steps there are at most between two positions. If there are more events, a change is put down to several events together,
the first of which are listed."""

NEW_EVENT, CORRECTION, NEW_VERSION = "new event", "correction", "new projection version"

Of = tuple[str, ...]
"""What a figure is about, in parts. A part may contain the character with which parts are joined for display."""

Figure = tuple[Of, str]
Figures = dict[Figure, Any]
"""What is compared: values by what they are about and what they are, such as `("CAC", "approval", "model")` and `total`."""

BUILDS: Mapping[str, Callable[..., list[Any]]] = {
    "totals": answers.totals_in,
    "batches": answers.batches_in,
    "companies": answers.companies_in,
    "shares": answers.shares_in,
    "sources": answers.sources_in,
}


def diff(
    log: Log,
    name: str,
    *,
    since: int | Answer,
    upto: int | None = None,
    valid_at: str | None = None,
) -> Answer:
    """Every figure of the projection `name` that differs between the positions `since` and `upto` (default: the head).

    `since` may be a kept answer to the question without other parameters than `valid_at`. If this software gives a different one
    for the same position, that is a cause of its own, a new version of the projection. `changes` are in the order of the figures'
    names, each with its value before and after, and `because`: what changed it on the way, and how.

    Raises BadQuestion if the positions do not exist or lead backwards, or a kept answer is from another ledger or to another question.
    """
    if name not in PROJECTIONS:
        raise BadQuestion(f"{name[:80]!r} is no projection; there are {', '.join(PROJECTIONS)}")
    kept = since if isinstance(since, dict) else None
    if not isinstance(since, int | dict):
        raise BadQuestion(f"a diff begins at a position or at a kept answer, not at {since!r:.80}")
    first = since if isinstance(since, int) else _position_of(log, name, since, valid_at)
    on = None if valid_at is None else days(valid_at, "valid_at")
    head = log.head()
    require_known(log, head, first, "from")
    last = head if upto is None else require_known(log, head, upto, "to")
    if first > last:
        raise BadQuestion(f"from position {first} to {last} leads backwards: exchange the two", "from")
    needed = COUNTING if name in ("totals", "batches", "companies") else [PROJECTIONS[name]]
    build = partial(BUILDS[name], valid_at=on)
    begin = partial(Changes, name) if kept is None else partial(_since, kept, name)
    changes = _changes(log, needed, first, last, lambda views: figures_of(name, build(views)), begin)
    answer = {
        "ledger": log.ledger,
        "projection": name,
        "version": PROJECTIONS[name].version,
        "from": first,
        "to": last,
        **({} if valid_at is None else {"valid_at": valid_at}),
        "changes": changes.listed(),
    }
    return with_digest(answer)


@dataclass(frozen=True, slots=True)
class State:
    """The figures after some events, the last of which are `events`; `named` has the positions of what corrections among these
    name."""

    figures: Figures
    events: tuple[DecodedEvent, ...] = ()
    named: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Changes:
    """The figures of a projection that changed, and what changed them."""

    def __init__(self, name: str, figures: Figures) -> None:
        self._name, self._last = name, figures
        self._because: dict[Figure, list[dict[str, Any]]] = {}
        self._written: dict[Figure, Figure] = {}

    def note(self, state: State) -> None:
        """Takes the figures after further events."""
        causes = _causes(state)
        self._take(state.figures, *causes)

    def note_version(self, figures: Figures, before: int, now: int) -> None:
        """Takes the figures that another version of the projection gives for the same events."""
        self._take(figures, {"cause": NEW_VERSION, "versions": [before, now]})

    def _take(self, figures: Figures, *causes: dict[str, Any]) -> None:
        for figure, before, after in _differing(self._name, self._last, figures):
            key = _key(self._name, figure)
            self._written[key] = figure
            self._because.setdefault(key, []).extend(
                cause | {"from": before, "to": after} for cause in causes
            )
        self._last = figures

    def listed(self) -> list[dict[str, Any]]:
        """Each figure that differs from what it was at first, named as it is written now, or as it was when it last existed."""
        now = ((_key(self._name, figure), figure) for figure in self._last)
        written = self._written | {key: figure for key, figure in now if key in self._written}
        return [
            {"of": "/".join(of), "figure": what, "from": before, "to": after, "because": because}
            for key, (of, what) in sorted(written.items(), key=lambda each: each[1])
            for because in [self._because[key]]
            for before, after in [(because[0]["from"], because[-1]["to"])]
            if before != after
        ]


def _differing(name: str, before: Figures, after: Figures) -> Iterator[tuple[Figure, Any, Any]]:
    """The figures that differ, named as they are written last. One whose name is only written differently is not among them."""
    gone = {_key(name, figure): figure for figure in before.keys() - after.keys()}
    for figure, now in after.items():
        then = before.get(figure if figure in before else gone.pop(_key(name, figure), figure))
        if then != now:
            yield figure, then, now
    for figure in gone.values():
        yield figure, before[figure], None


def _key(name: str, figure: Figure) -> Figure:
    """A key that is the same for every spelling of the names in a figure. Claims are compared to the letter."""
    of, what = figure
    return figure if name == "sources" else (tuple(map(name_key, of)), name_key(what))


def _since(kept: Answer, name: str, now: Figures) -> Changes:
    """Changes since a kept answer. Raises BadQuestion if it cannot be one that this ledger gave."""
    figures, version = _figures_kept(name, kept), PROJECTIONS[name].version
    changes = Changes(name, figures)
    if figures != now:
        if kept["version"] == version:
            raise BadQuestion(
                f"the kept answer is not what this ledger gives for position {kept['position']} (digest {kept['digest'][:16]}), "
                "though the version of the projection is the same: it is of another log, to a narrower question, or was changed",
                "from",
            )
        if with_digest({part: kept[part] for part in kept.keys() - {"digest"}})["digest"] != kept["digest"]:
            raise BadQuestion(
                "the kept answer is not the one that its digest is of: it was changed, and not by another version of the projection",
                "from",
            )
        changes.note_version(now, kept["version"], version)
    return changes


def _position_of(log: Log, name: str, kept: Answer, valid_at: str | None) -> int:
    """The position of a kept answer. Raises BadQuestion if it is no complete answer, or one to another question."""
    asked = {"ledger": log.ledger, "projection": name, "valid_at": valid_at}
    if not isinstance(kept.get("version"), int) or not isinstance(kept.get("digest"), str):
        raise BadQuestion(
            "the kept answer has no version or no digest: give one as `--json` printed it", "from"
        )
    for part, wanted in asked.items():
        if kept.get(part) != wanted:
            has, asks = (
                f"no {part}" if value is None else f"{part} {value!r}" for value in (kept.get(part), wanted)
            )
            raise BadQuestion(
                f"the kept answer has {has}, and {asks} is asked for: give one to the same question", "from"
            )
    if "known_as" in kept:
        raise BadQuestion(
            "the kept answer is of what was known as published, which is no position of the log", "from"
        )
    if not isinstance(kept.get("answers"), list) or not isinstance(kept.get("position"), int):
        raise BadQuestion(
            "the kept answer has no position or no answers: give one as `--json` printed it", "from"
        )
    return int(kept["position"])


def _figures_kept(name: str, kept: Answer) -> Figures:
    figures: Figures | None = None
    with suppress(LookupError, TypeError, AttributeError):
        figures = figures_of(name, kept["answers"])
    if figures is None or not all(map(_is_figure, figures.values())):
        raise BadQuestion(
            f"the kept answer has not the shape of {name}: give one as `--json` printed it", "from"
        )
    return figures


def _is_figure(value: object) -> bool:
    match value:
        case {"low": int() | float(), "high": int() | float() | None} | int() | None:
            return True
        case [*conflicts]:
            return all(
                isinstance(events, list) and all(isinstance(at, int) for at in events) for events in conflicts
            )
    return False


def _changes(
    log: Log,
    needed: Sequence[Projection],
    first: int,
    last: int,
    read: Callable[[Views], Figures],
    begin: Callable[[Figures], Changes],
) -> Changes:
    # If documents were deleted while we read, or written by something else, the log still has everything.
    with suppress(SnapshotLost, *SENSELESS):
        return _noted(_walk(log, needed, known_at(log, needed, first), last, read), begin)
    return _noted(_walk(log, needed, fold_all(log, needed, first), last, read), begin)


def _noted(states: Iterator[State], begin: Callable[[Figures], Changes]) -> Changes:
    """The changes from state to state. At most two states are kept: all of them took 300 MB for 10,000 claims."""
    changes = begin(next(states).figures)
    for state in states:
        changes.note(state)
    return changes


def _walk(
    log: Log,
    needed: Sequence[Projection],
    views: DerivableViews,
    last: int,
    read: Callable[[Views], Figures],
) -> Iterator[State]:
    first = views.position
    step = max(1, -(-(last - first) // STEPS))
    stops = [*range(first + step, last, step), *([last] if first < last else [])]
    yield State(read(views))
    for events, named in follow(log, needed, views, stops):
        yield State(read(views), tuple(events), named)


def _causes(state: State) -> list[dict[str, Any]]:
    """One cause for the events that are corrections, with what they correct, and one for all others."""
    corrections = [
        event for event in state.events if isinstance(event.data, EventRetracted | EventSuperseded)
    ]
    corrected = {event.position for event in corrections}
    others = [event.position for event in state.events if event.position not in corrected]
    upto = max((event.position for event in state.events), default=0)
    named = {state.named[each] for event in corrections for each in named_by(event) if each in state.named}
    # A target that is recorded later has not changed anything yet.
    concerned = {*corrected, *(at for at in named if at <= upto)}
    return [
        {"cause": cause, "events": sorted(positions)[:SHOWN], "more": max(0, len(positions) - SHOWN)}
        for cause, positions in ((NEW_EVENT, others), (CORRECTION, concerned))
        if positions
    ]


def figures_of(name: str, found: Iterable[dict[str, Any]]) -> Figures:
    """The figures of some answers of a projection."""
    figures: Figures = {}
    listed = [*found]
    labels = Counter(_labelled(batch) for batch in listed) if name == "batches" else Counter()
    for answer in listed:
        of = _of(name, answer, labels)
        for what, value in _FIGURES[name](answer):
            figures[of, what] = value
        if conflicts := [contradiction["events"] for contradiction in answer.get("contradictions", [])]:
            figures[of, "contradictions"] = conflicts
    return figures


def _of(name: str, answer: dict[str, Any], labels: Mapping[Of, int]) -> Of:
    match name:
        case "companies":
            # A slug, or if no event gives one, a name, in quotes because it may look like another company's slug.
            identified = answer["evidence"] or answer["merges"]
            return (str(answer["company"]) if identified else repr(str(answer["company"])),)
        case "shares":
            return tuple(str(answer[part]) for part in ("estimator", "unit", "as_of"))
        case "sources":
            return (f"{answer['type']} {canonical(answer['says']).decode()}",)
    authority, instrument, unit = (str(answer[part]) for part in ("authority", "instrument", "unit"))
    return authority, instrument, unit if name == "totals" else f"{unit} batch {_which(answer, labels)}"


def _which(batch: dict[str, Any], labels: Mapping[Of, int]) -> str:
    if batch["ordinal"] is not None:
        return str(batch["ordinal"])
    # A label that others have as well is given to two ordinals, and so does not identify a batch. But what only lists put in batches of
    # that label is one batch, to which no announcement gives a day.
    alone = labels[_labelled(batch)] == 1 or not batch["announced_on"]
    if batch["label"] is not None and alone:
        return repr(batch["label"])
    on = batch["announced_on"][0]
    # All reports of one day are about one batch; each report of a month or a year is about a batch of its own.
    return (
        f"of {on}" if len(on) == len("2024-01-31") else f"of {on}, position {batch['sources'][0]['position']}"
    )


def _labelled(batch: dict[str, Any]) -> Of:
    """The terms and the label of a batch, as keys; empty if it has no label."""
    if batch["label"] is None:
        return ()
    return tuple(name_key(batch[part]) for part in ("authority", "instrument", "unit", "label"))


def _of_totals(answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from _plain(answer, "total", "named", "undisclosed")
    if "in_force" in answer:
        yield "in force", {side: answer["in_force"][side] for side in ("low", "high")}


def _of_companies(answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for counted in answer["approvals"]:
        for what in ("named", "approvals", "share"):
            yield f"{what} of {counted['terms']}", counted[what]


def _of_shares(answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for region in answer["regions"]:
        for what in ("count", "share"):
            yield f"{what} of {region['region']}", region[what]


def _of_sources(answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "reports", len(answer["reports"])
    yield "origins", answer["origins"]


def _plain(answer: dict[str, Any], *names: str) -> Iterator[tuple[str, Any]]:
    return ((what, answer[what]) for what in names)


_FIGURES: Mapping[str, Callable[[dict[str, Any]], Iterable[tuple[str, Any]]]] = {
    "totals": _of_totals,
    "batches": lambda answer: _plain(answer, "size", "named", "undisclosed", "before"),
    "companies": _of_companies,
    "shares": _of_shares,
    "sources": _of_sources,
}
