"""What follows from a try that failed: when the next one is, or that there is none.

A receiver that is away is waited for, in the order of the log, and then the subscription is stopped: it loses nothing. A
receiver that is there and refuses one event would never get the next: that event is set aside as a dead letter.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from .sending import Answer

DELAYS: tuple[float, ...] = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each further try, as Standard Webhooks suggests: 10 tries in three days."""
REFUSALS = 5
"""So often an event is offered to a receiver that refuses it: for 2 h 35 min."""
RETRY_AFTER_LIMIT = 86_400  # seconds that a receiver may ask for
_JITTER = (
    0.1  # of a delay, at most, on top of it: so that those who failed together do not come again together
)
LONGEST = max(*DELAYS, RETRY_AFTER_LIMIT) * (1 + _JITTER)
"""Seconds until a further try, at most."""

_GONE = 410
_NOT_NOW = frozenset(
    {408, 425, 429, 502, 503, 504}
)  # of a receiver that is busy, or of what stands before it


@dataclass(frozen=True, slots=True)
class Next:
    """`what` is to be done; the next try is in `seconds` where it is to try "again"."""

    what: Literal["again", "set-aside", "disable"]
    seconds: float = 0.0


def is_refusal(answer: Answer) -> bool:
    """Whether the receiver is there, and says no to this very event, as far as can be told."""
    return answer.status != 0 and answer.status not in _NOT_NOW


def after(answer: Answer, tries: int, refusals: int) -> Next:
    """What follows from `answer`, when `tries` of this event have failed with it, `refusals` of them by being refused."""
    if answer.status == _GONE:
        return Next("disable")
    if refusals >= REFUSALS:
        return Next("set-aside")
    if tries > len(DELAYS):
        return Next("disable")
    delay = DELAYS[tries - 1] * (1 + _JITTER * secrets.randbelow(1_000) / 1_000)
    return Next("again", max(delay, min(answer.retry_after or 0.0, RETRY_AFTER_LIMIT)))
