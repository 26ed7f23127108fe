"""References to answers: one line that says what was asked, of which log, and with what result, so that anyone can ask again.

    approvals:cac/totals@2?instrument=filing&valid_at=2024-01-31&position=104#sha256=<64 hex digits>

It has the ledger, the projection and its version; then what was asked, the axes, and the position, always in this order and each
at most once; then the digest of the answer. Values are percent-encoded UTF-8 (RFC 3986: only A-Z a-z 0-9 - . _ ~ stay as they
are). Two references are the same if and only if their characters are.

A reference pins the position: its digest is that of the answer with `known_at` = position, so it stays true while the log
grows. A question by publication keeps its day, and is pinned by `recorded_until`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack
from urllib.parse import quote, unquote_to_bytes

from events import BadQuestion, Lagging, Log, LogForked, Refused, Unreadable, keys

from . import queries
from .asof import Asked, as_of, days, instant, pinned
from .queries import PROJECTIONS, Answer
from .store import live_generations

Value = str | int | bool

_TERMS: dict[str, type[Value]] = {"authority": str, "instrument": str, "unit": str}
PARAMETERS: dict[str, dict[str, type[Value]]] = {
    "totals": _TERMS | {"steps": bool, "whole_evidence": bool},
    "batches": {"whole_evidence": bool},
    "companies": {"name": str},
    "shares": _TERMS | {"estimator": str, "region": str},
    "sources": {"after": int, "limit": int},
}
"""What can be asked of each projection, in the order in which a reference has it. For shares, all of the parameters together ask
for a share of a stock."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A reference, parsed. `known_at` is set only in a question by publication, and is the day asked about."""

    ledger: str
    projection: str
    version: int
    position: int
    digest: str
    question: Mapping[str, Value] = field(default_factory=dict)
    valid_at: str | None = None
    known_at: str | None = None

    def __str__(self) -> str:
        pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in self._pairs())
        return f"approvals:{self.ledger}/{self.projection}@{self.version}?{pairs}#sha256={self.digest}"

    def to_json(self) -> dict[str, Any]:
        """The reference, and its parts."""
        axes = {"valid_at": self.valid_at, "known_at": self.known_at}
        parts = {
            "reference": str(self),
            "ledger": self.ledger,
            "projection": self.projection,
            "version": self.version,
            "question": dict(self.question),
            "position": self.position,
            "digest": self.digest,
        }
        return parts | {name: value for name, value in axes.items() if value is not None}

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for name in PARAMETERS[self.projection]:
            if name in self.question:
                value = self.question[name]
                yield name, "true" if value is True else str(value)
        if self.valid_at is not None:
            yield "valid_at", self.valid_at
        if self.known_at is not None:
            yield "known_at", self.known_at
            yield "known_as", "published"
        yield "position", str(self.position)


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of checking a reference. Without a `reason` the log still gives the same bytes; `digest` is what it gives now.

    Reasons: `digest-differs`, `log-forked` (it differs, and a projection remembers another log), `other-version`,
    `ledger-shorter`, `no-answer`.
    """

    citation: Citation
    says: str
    reason: str | None = None
    digest: str | None = None

    @property
    def same(self) -> bool:
        return self.reason is None

    def to_json(self) -> dict[str, Any]:
        """The outcome without what does not apply."""
        found = {"reason": self.reason, "digest": self.digest}
        told = {"reference": str(self.citation), "same": self.same, "says": self.says}
        return told | {name: value for name, value in found.items() if value is not None}


def cite(
    log: Log, projection: str, question: Mapping[str, Value | None] | None = None, **asked: Unpack[Asked]
) -> Citation:
    """The reference to the answer to a question, as of the log's last position, or of what was known as `asked` says.

    `question` has the parameters that the query of this name takes, such as `instrument` for totals; those that are None or False
    are not asked. Raises what the query raises, and BadQuestion if a reference cannot express the question.
    """
    posed = _posed(projection, question or {})
    asked_now = _asked_now(log, asked)
    answer = _ask(log, projection, posed, asked_now)
    return Citation(
        log.ledger,
        projection,
        answer["version"],
        answer["position"],
        answer["digest"],
        posed,
        answer.get("valid_at"),
        answer["known_at"] if "known_as" in answer else None,
    )


def check(log: Log, reference: str | Citation) -> Checked:
    """Asks again what a reference asked, and compares. Raises BadQuestion if it is not a reference, or is to another ledger."""
    cited = parse(reference) if isinstance(reference, str) else reference
    if cited.ledger != log.ledger:
        raise BadQuestion(f"the reference is to ledger {cited.ledger}, and this is {log.ledger}")
    ours = PROJECTIONS[cited.projection].version
    if cited.version != ours:
        return Checked(
            cited,
            f"the reference is to version {cited.version} of {cited.projection}, and this software has version {ours}: "
            f"check it with software that has version {cited.version}, or cite anew",
            "other-version",
        )
    if (head := log.head()) < cited.position:
        return Checked(
            cited,
            f"ledger {log.ledger} ends at position {head}, before position {cited.position} of the reference: "
            "it is another log, or an older copy; restore the log that was cited",
            "ledger-shorter",
        )
    return _compare(log, cited)


def parse(text: str) -> Citation:
    """The reference that `text` is. Raises BadQuestion, which says what is wrong with it."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise BadQuestion(
            f"{text[:80]!r} is not a reference: one looks like "
            "approvals:LEDGER/PROJECTION@VERSION?...&position=N#sha256=DIGEST, as `approvals cite` prints it"
        )
    projection = form["projection"]
    if projection not in PROJECTIONS:
        raise BadQuestion(f"a reference names one of {', '.join(PROJECTIONS)}, not {projection[:40]!r}")
    given = dict(map(_pair, form["pairs"].split("&")))
    cited = Citation(
        keys.checked_ledger(form["ledger"]),
        projection,
        int(form["version"]),
        _whole("position", given.pop("position", "")),
        form["digest"],
        valid_at=_day(given.pop("valid_at", None)),
        known_at=_published(given.pop("known_at", None), given.pop("known_as", None)),
        question=_posed(projection, {name: _value(projection, name, given[name]) for name in given}),
    )
    # This leaves the order, repeated parameters, and the encoding of values, for each of which only one way is right.
    if str(cited) != text:
        raise BadQuestion(f"a reference is written in one way only, and this one would be {cited}")
    return cited


_FORM = re.compile(
    r"approvals:(?P<ledger>[a-z0-9_-]{1,64})/(?P<projection>[a-z]{1,40})@(?P<version>[1-9]\d{0,8})"
    r"\?(?P<pairs>[^#]+)#sha256=(?P<digest>[0-9a-f]{64})",
    re.ASCII,
)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    try:
        return name, unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise BadQuestion(f"the value of {name[:40]!r} in the reference is not UTF-8") from None


def _value(projection: str, name: str, text: str) -> Value:
    kind = PARAMETERS[projection].get(name)
    if kind is bool and text == "true":
        return True
    return _whole(name, text) if kind is int else text


def _whole(name: str, text: str) -> int:
    if re.fullmatch(r"0|[1-9]\d{0,15}", text, re.ASCII) is None:
        raise BadQuestion(f"`{name}` of a reference is a whole number, not {text[:40]!r}")
    return int(text)


def _day(valid_at: str | None) -> str | None:
    if valid_at is not None:
        days(valid_at, "valid_at")
    return valid_at


def _published(known_at: str | None, known_as: str | None) -> str | None:
    if known_at is not None:
        instant(known_at)
    if (None if known_at is None else "published") != known_as:
        raise BadQuestion(
            "known_at and known_as=published of a reference go together: without them, position is enough"
        )
    return known_at


def _posed(projection: str, question: Mapping[str, Value | None]) -> dict[str, Value]:
    """The question as references have it: in order, and without what it does not ask."""
    if projection not in PROJECTIONS:
        raise BadQuestion(f"there is no projection {projection[:40]!r}; there are {', '.join(PROJECTIONS)}")
    takes = PARAMETERS[projection]
    if unknown := question.keys() - takes.keys():
        raise BadQuestion(f"{projection} takes no {min(unknown)[:40]!r}; it takes {', '.join(takes)}")
    # An empty text and 0 are asked: the query has an answer to them, or refuses them.
    given = {name: question.get(name) for name in takes}
    posed = {name: value for name, value in given.items() if value is not None and value is not False}
    for name, value in posed.items():
        if type(value) is not takes[name]:
            raise BadQuestion(
                f"`{name}` of {projection} must be of type {takes[name].__name__}, not {value!r:.40}"
            )
        _require_writable(name, value)
    if projection == "shares" and posed and len(posed) < len(takes):
        raise BadQuestion(f"a share of a stock is asked for with all of {', '.join(takes)}")
    return posed


def _require_writable(name: str, value: Value) -> None:
    if type(value) is int:
        _whole(name, str(value))
    elif type(value) is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadQuestion(f"`{name}` of a reference is UTF-8, not {value[:40]!r}") from None


def _asked_now(log: Log, asked: Asked) -> Asked:
    """What was asked, such that it is answered alike however long the log grows."""
    head = log.head()
    if (least := asked.get("at_least", 0)) > head:
        raise Lagging(f"ledger {log.ledger} ends at position {head}: it has no position {least} yet")
    when = as_of(log, **asked)
    published = asked.get("known_at") if when.published_by is not None else None
    return pinned(head if when.position is None else when.position, asked.get("valid_at"), published)


def _ask(log: Log, projection: str, question: Mapping[str, Value], asked: Asked) -> Answer:
    of_stock = projection == "shares" and question
    ask: Callable[..., Answer] = getattr(queries, "share_of_stock" if of_stock else projection)
    return ask(log, **question, **asked)


def _compare(log: Log, cited: Citation) -> Checked:
    try:
        asked = pinned(cited.position, cited.valid_at, cited.known_at)
        digest = _ask(log, cited.projection, cited.question, asked)["digest"]
    except Refused as error:
        return _other(log, cited, "no-answer", str(error), None)
    if digest == cited.digest:
        return Checked(cited, f"the same bytes at position {cited.position}", digest=digest)
    says = f"the log gives digest {digest} at position {cited.position}, and the reference has {cited.digest}"
    return _other(log, cited, "digest-differs", says, digest)


def _other(log: Log, cited: Citation, reason: str, says: str, digest: str | None) -> Checked:
    if forked := _forked(log):
        return Checked(cited, forked, "log-forked", digest)
    return Checked(cited, says, reason, digest)


def _forked(log: Log) -> str | None:
    """The message of a projection that has read another log than this one, or None if there is no such projection."""
    for projection in PROJECTIONS.values():
        try:
            (generation,) = live_generations(log, [projection])
            generation.verified_checkpoint()
        except LogForked as error:
            return str(error)
        except Unreadable:
            continue  # of another version, or damaged: it does not tell
    return None
