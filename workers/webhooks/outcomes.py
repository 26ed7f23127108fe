"""Counts of attempts by outcome, since the ledger has had webhooks: for monitoring only, no attempt depends on them."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal, cast, get_args

from events import LedgerError, Log, LogDamaged, Unreadable, keys, storage

Outcome = Literal["delivered", "failed", "set_aside", "disabled"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


def count(log: Log, outcome: Outcome) -> None:
    """Counts an attempt. If the server does not take the count, it is lost: the attempt has its outcome anyway."""
    with suppress(LedgerError), storage(writing=True):
        log.client.hincrby(keys.deliveries(log.ledger), outcome, 1)


def counts(log: Log) -> dict[Outcome, int]:
    """How many attempts had each outcome. Raises Unreadable if something else wrote to one of these numbers."""
    place = keys.deliveries(log.ledger)
    try:
        with storage():
            found = cast(list[bytes | None], log.client.hmget(place, list(OUTCOMES)))
        return {outcome: int(each or 0) for outcome, each in zip(OUTCOMES, found, strict=True)}
    except (ValueError, LogDamaged) as error:
        why = "not a hash" if isinstance(error, LogDamaged) else f"{error!r:.200}"
        raise Unreadable(
            f"the counts in {place} are not what this software writes ({why}): something else wrote to it. Delete that key: "
            "counting begins anew"
        ) from None
