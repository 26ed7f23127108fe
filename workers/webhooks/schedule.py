"""What follows from a failed attempt: when the next one is, or that there is none.

Delivery waits for a receiver that is unavailable, so that the order of the log is kept, and in the end the subscription is disabled:
nothing is lost. A receiver that answers but refuses one event would never get the next: that event is set aside as a dead letter.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from .sending import Answer

DELAYS: tuple[float, ...] = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each further attempt, as Standard Webhooks suggests: 10 attempts in three days."""
REFUSALS = 5
"""How often an event is offered to a receiver that refuses it, over 2 h 35 min."""
RETRY_AFTER_LIMIT = 86_400  # seconds that a receiver may ask for
_JITTER = (
    0.1  # of a delay, at most, on top of it: so that those who failed together do not come again together
)
LONGEST = max(*DELAYS, RETRY_AFTER_LIMIT) * (1 + _JITTER)
"""The longest delay before an attempt, in seconds."""

_GONE = 410
_NOT_NOW = frozenset(
    {408, 425, 429, 502, 503, 504}
)  # of a receiver that is busy, or of what stands before it


@dataclass(frozen=True, slots=True)
class Next:
    """`what` is to be done next; for "again", the next attempt is in `seconds`."""

    what: Literal["again", "set-aside", "disable"]
    seconds: float = 0.0


def is_refusal(answer: Answer) -> bool:
    """Whether the receiver is available and refuses this particular event, as far as one can tell."""
    return answer.status != 0 and answer.status not in _NOT_NOW


def after(answer: Answer, tries: int, refusals: int) -> Next:
    """What follows from `answer`, the last of `tries` failed attempts for this event, `refusals` of which were refused."""
    if answer.status == _GONE:
        return Next("disable")
    if refusals >= REFUSALS:
        return Next("set-aside")
    if tries > len(DELAYS):
        return Next("disable")
    delay = DELAYS[tries - 1] * (1 + _JITTER * secrets.randbelow(1_000) / 1_000)
    return Next("again", max(delay, min(answer.retry_after or 0.0, RETRY_AFTER_LIMIT)))
