"""The two time axes of a question: what the ledger knew, and the day the question is about. Either may be given without the other."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Literal, TypedDict, cast

from events import BadQuestion, DateRange, DecodedEvent, InvalidEvent, Lagging, Log, date_range, decode
from events.catalog import EventRetracted, EventSuperseded

from .projection import in_force

KnownAs = Literal["recorded", "published"]


class Asked(TypedDict, total=False):
    """What a reader may ask of the two axes, in addition to the question itself.

    `at_least`: the answer counts every event up to this position, or fails; without it, only those that workers have counted,
    and none if no worker ever ran. `known_at`: what was known at a position, at an instant (RFC 3339), or by the end of a day, a
    month or a year (UTC). `known_as`: an event was known when the ledger `recorded` it (the default), or when its source
    `published` it. `valid_at`: the day, month or year that the answer is about; without it, the last day about which the ledger
    says anything. `recorded_until`: of what counts as published, only what the ledger had recorded by this position, so that
    the answer never changes.
    """

    at_least: int
    known_at: int | str | None
    known_as: KnownAs
    valid_at: str | None
    recorded_until: int


@dataclass(frozen=True, slots=True)
class AsOf:
    """The two axes, parsed. `position` is None for everything that the log holds now. In a question by publication, a report counts
    if it was published no later than the day `published_by`, however late the ledger recorded it, or if it gives no such day,
    if it was recorded by the moment `recorded_by`. `shown` is what an answer repeats of the axes."""

    at_least: int
    position: int | None
    published_by: date | None
    recorded_by: datetime | None
    valid_at: DateRange | None
    shown: dict[str, Any]

    def counts(self, event: DecodedEvent) -> bool:
        """Whether an event that the log holds was known."""
        if self.published_by is None or self.recorded_by is None:
            return True
        on = _published(event)
        return _recorded(event) <= self.recorded_by if on is None else on <= self.published_by


def as_of(
    log: Log,
    *,
    at_least: int = 0,
    known_at: int | str | None = None,
    known_as: KnownAs = "recorded",
    valid_at: str | None = None,
    recorded_until: int | None = None,
) -> AsOf:
    """Parses what a reader asked for. Raises BadQuestion, or Lagging if the log does not have the position `at_least` yet."""
    if type(at_least) is not int or at_least < 0:
        raise BadQuestion(f"at_least is a position, a whole number from 0 on, not {at_least!r}", "at_least")
    if known_as not in ("recorded", "published"):
        raise BadQuestion(f"known_as is `recorded` or `published`, not {known_as!r}", "known_as")
    if known_as == "published" and not isinstance(known_at, str):
        raise BadQuestion(
            "a question about what was known as published needs a day: give known_at a date, such as 2024-02-01",
            "known_as",
        )
    if known_as == "recorded" and recorded_until is not None:
        raise BadQuestion(
            "recorded_until goes with known_as `published`; without it, known_at is the position"
        )
    shown: dict[str, Any] = {}
    if valid_at is not None:
        shown["valid_at"] = valid_at
    if known_at is not None:
        shown["known_at"] = known_at
    if known_as == "published":
        shown["known_as"] = known_as
    by_publication = known_as == "published"
    if by_publication and recorded_until is None and at_least > (head := log.head()):
        raise Lagging(f"ledger {log.ledger} ends at position {head}: it has no position {at_least} yet")
    until, of_what = (recorded_until, "recorded_until") if by_publication else (known_at, "known_at")
    moment = instant(cast(str, known_at)) if by_publication else None
    return AsOf(
        at_least,
        None if until is None else _position(log, until, at_least, of_what),
        None if moment is None else _over_at(moment),
        moment,
        None if valid_at is None else days(valid_at, "valid_at"),
        shown,
    )


def counting(log: Log, when: AsOf, upto: int) -> Callable[[DecodedEvent], bool]:
    """Which of the events up to the position `upto` were known. A replacement was not known before the event that makes it one:
    otherwise both it and its target would count. If that event was taken back since, both do."""
    # Filtered by bytes, so that few are decoded.
    maybe = (
        recorded for recorded in log.read(limit=upto) if any(t in recorded.payload for t in _CORRECTIONS)
    )
    corrections: list[DecodedEvent] = []
    for recorded in maybe:
        with suppress(InvalidEvent):  # no event, which every answer leaves out and lists as parked
            event = decode(recorded)
            if event.newer is None:
                corrections.append(event)
    stand = in_force(corrections)
    known, later = set[tuple[str, str]](), set[tuple[str, str]]()
    for event in corrections:
        if isinstance(event.data, EventSuperseded):
            replacement = event.data.replacement.source, event.data.replacement.id
            if when.counts(event):
                known.add(replacement)
            elif event.position in stand:
                later.add(replacement)
    ahead = later - known
    return lambda event: when.counts(event) and (event.source, event.id) not in ahead


_CORRECTIONS = (EventRetracted.TYPE.encode(), EventSuperseded.TYPE.encode())


def pinned(position: int, valid_at: str | None, published: int | str | None) -> Asked:
    """Axes with which the answer stays the same however long the log grows: what was known at `position`, or of that, what was
    `published` by a day."""
    if published is None:
        return {"valid_at": valid_at, "known_at": position}
    return {
        "valid_at": valid_at,
        "known_at": published,
        "known_as": "published",
        "recorded_until": position,
    }


def published_on(event: DecodedEvent) -> date:
    """The day by which the source of an event had certainly published it; for an event that gives no such day (a correction, a
    table of names), the day on which the ledger recorded it (UTC)."""
    return _published(event) or _recorded(event).date()


def _published(event: DecodedEvent) -> date | None:
    source = getattr(event.data, "source", None)
    return date_range(source.published_on).last if source is not None and source.published_on else None


def _recorded(event: DecodedEvent) -> datetime:
    return datetime.fromtimestamp(event.recorded_ms / 1000, UTC)


def _over_at(moment: datetime) -> date:
    """The last day that is over at a moment. A day counts as over from its last second on."""
    is_over = moment.time() >= time(23, 59, 59)
    return moment.date() if is_over else date.fromordinal(max(1, moment.toordinal() - 1))


def surely(on: DateRange, valid_at: DateRange | None) -> bool:
    """Whether what happened on one of the days `on` had certainly happened by the first day of `valid_at`."""
    return valid_at is None or on.last <= valid_at.first


def perhaps(on: DateRange, valid_at: DateRange | None) -> bool:
    """Whether what happened on one of the days `on` may have happened by the last day of `valid_at`."""
    return valid_at is None or on.first <= valid_at.last


def _position(log: Log, known_at: int | str, at_least: int, what: str) -> int:
    head = log.head()
    if isinstance(known_at, str):
        position = _last_by(log, head, instant(known_at))
    else:
        position = require_known(log, head, known_at, what)
    if at_least > position:
        says = f"what was known at {known_at} is as of position {position}, which is before {at_least}"
        # A position of the past stays where it is, and so does an instant after which anything was recorded.
        raise BadQuestion(says, "at_least") if position == known_at or position < head else Lagging(says)
    return position


def require_known(log: Log, head: int, position: int, what: str) -> int:
    """`position`, if the log, which ends at `head`, has it. Raises BadQuestion about the parameter `what` if not."""
    if type(position) is not int or position < 0:
        raise BadQuestion(f"a position is a whole number from 0 on, not {position!r}", what)
    if position > head:
        perhaps_a_year = what == "known_at" and len(str(position)) == len("2024")
        hint = f"; for the end of the year {position} write {position}-12" if perhaps_a_year else ""
        raise BadQuestion(
            f"ledger {log.ledger} ends at position {head}: nothing was known at {position:,} yet{hint}", what
        )
    return position


def _last_by(log: Log, head: int, moment: datetime) -> int:
    """The last position that was recorded by `moment`: the times of a log never go back."""

    def recorded(position: int) -> datetime:
        return log.still_at(position).recorded_at

    return bisect_right(range(1, head + 1), moment, key=recorded)


def instant(text: str) -> datetime:
    """An instant with a zone, or the end of a date (UTC). Raises BadQuestion."""
    if re.fullmatch(r"\d{4}(-\d{2}){0,2}", text, re.ASCII):
        end = days(text, "known_at").last
        return datetime.combine(end, time.max, UTC)
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC) if _INSTANT.fullmatch(text) else None
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise BadQuestion(
            f"known_at is a position, an instant with a zone such as 2024-02-01T08:00:00Z, or a date such as 2024-02-01, not {text[:40]!r}",
            "known_at",
        )
    return moment


# RFC 3339; the standard library also reads week dates, times without a zone, and, depending on its version, zones of 60 minutes or an
# hour of 24.
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ](?!24)\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:[Zz]|[+-]\d{2}:[0-5]\d)", re.ASCII
)


def days(text: str, what: str) -> DateRange:
    """The days that `text` may mean. Raises BadQuestion about the parameter `what` if it is not a date."""
    try:
        return date_range(text)
    except TypeError:
        reason = "this is not text"
    except ValueError as error:
        reason = str(error)
    raise BadQuestion(f"{what} is a date such as 2024-01-31, 2024-01 or 2024: {reason}", what)
