"""What the command and HTTP show of subscriptions and dead letters, which is the same. The secret is never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from events import Log
from workers.webhooks import Answer, Subscription, dead_letters

from .status import as_time


def reports(log: Log, chosen: Sequence[Subscription]) -> list[dict[str, Any]]:
    """Where each subscription is, and what is wrong."""
    dead, head = dead_letters.count(log, [each.id for each in chosen]), log.head()
    return [
        {
            "id": each.id,
            "url": each.url,
            "types": list(each.types),
            "private": each.private,
            "enabled": each.enabled,
            "position": each.position,
            "lag": max(0, head - each.position),
            "tries": each.tries,
            "next_try": as_time(each.due_ms) if each.enabled and each.due_ms else None,
            "says": each.says or None,
            "dead_letters": dead[each.id],
        }
        for each in chosen
    ]


def letters(log: Log, chosen: Sequence[Subscription]) -> list[dict[str, Any]]:
    """The dead letters of each."""
    return [
        {
            "webhook": each.id,
            "position": letter.position,
            "tries": letter.tries,
            "status": letter.status or None,
            "says": letter.says,
            "failed_at": as_time(letter.failed_ms),
        }
        for each in chosen
        for letter in dead_letters.all_of(log, each.id)
    ]


def retried(position: int, answer: Answer) -> dict[str, Any]:
    """What came of sending a dead letter once more."""
    return {
        "position": position,
        "delivered": answer.is_success,
        "status": answer.status or None,
        "says": answer.says,
    }
