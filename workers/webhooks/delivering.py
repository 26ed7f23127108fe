"""Deliveries of one subscription: each event after its cursor, in order, at least once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from events import (
    DecodedEvent,
    InvalidEvent,
    Log,
    LogForked,
    RecordedEvent,
    Unreadable,
    as_json_line,
    canonical,
    decode,
    keys,
)

from . import dead_letters, outcomes, schedule, signing, subscriptions
from .dead_letters import DeadLetter
from .schedule import Next
from .sending import Answer, post
from .subscriptions import Changes, Subscription, settle

CONTENT_TYPE = "application/cloudevents+json"
TEST_TYPE = "webhook.test.v1"
_NO_EVENT = Answer(0, "the log holds no event there: restore a backup")
_OUTCOMES: dict[str, outcomes.Outcome] = {
    "delivered": "delivered",
    "again": "failed",
    "set-aside": "set_aside",
    "disable": "disabled",
}
_PAGE = 100  # entries that are read at once where most may be of types that nobody asked for


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, and what followed: the event was delivered, will be tried again in `seconds`, or was set aside; or the subscription
    was disabled."""

    subscription: Subscription
    position: int
    answer: Answer
    then: Literal["delivered", "again", "set-aside", "disable"]
    seconds: float = 0.0


def is_due(subscription: Subscription, head: int, now: float) -> bool:
    """Whether there is something to send, or to pass over, `now` (in Unix seconds), in a log that ends at `head`."""
    # A cursor beyond the head belongs to another log, which trying to deliver reveals.
    return subscription.enabled and not _waits(subscription, now) and subscription.position != head


def _waits(subscription: Subscription, now: float) -> bool:
    """Whether its next attempt is still to come. If that is further off than any delay, the clock was set back since: waiting would
    take as long as that clock was wrong, so it counts as due."""
    return 0 < subscription.due_ms - now * 1000 <= schedule.LONGEST * 1000


def deliveries(log: Log, id: str, *, clock: Callable[[], float] = time.time) -> Iterator[Attempt | None]:
    """Delivers what is due now. Yields each attempt once its outcome is stored, and None after skipping a page of events that the
    subscription does not want: skipping all of a long log takes minutes, and others may need a turn. Ends when nothing is due.

    If the process dies after an answer and before that is stored, the same event is sent again, with the same `webhook-id`. The
    subscription is read again for each event, because it may have been disabled, removed or moved meanwhile.
    Raises LogForked if the log is not the one that was read before, and Unreadable if the event should be set aside and cannot be;
    both disable the subscription. Raises LogDamaged, StorageUnavailable.
    """
    while (subscription := subscriptions.find(log, id)) is not None:
        if not subscription.enabled or _waits(subscription, clock()):
            return
        try:
            page = _page(log, subscription)
        except LogForked as error:
            _disable(log, subscription, error)
            raise
        if not page:
            return
        found = _next(subscription, page)
        if found is None:
            if not settle(log, subscription, {"position": page[-1].position, "entry": page[-1].digest}):
                return  # somebody else came first
            yield None
            continue
        try:
            attempt = _try(log, subscription, *found, clock)
        except (
            Unreadable
        ) as error:  # no dead letter can be kept, and the same event would be offered for ever
            _disable(log, subscription, error)
            raise
        if attempt is None:
            return  # somebody else came first
        outcomes.count(log, _OUTCOMES[attempt.then])
        yield attempt


def _disable(log: Log, seen: Subscription, why: Exception) -> None:
    """Unless somebody has moved it on, or removed it, since it was `seen`: what was wrong with that one need not be wrong with it now."""
    settle(log, seen, {"enabled": 0, "says": str(why)})


def _next(
    subscription: Subscription, page: list[RecordedEvent]
) -> tuple[RecordedEvent, DecodedEvent | None] | None:
    """The first event of a page that the subscription wants, or entry that is not an event; None if there is none."""
    for event in page:
        decoded = _decoded(event)
        if decoded is None or subscription.wants(decoded.type):
            return event, decoded
    return None


def _page(log: Log, subscription: Subscription) -> list[RecordedEvent]:
    count = _PAGE if subscription.types else 1
    at = subscription.position
    if not at:
        return log.page(0, count)
    page = log.page(at - 1, count + 1)  # with the entry at the cursor, so that another log is noticed
    if not page or page[0].digest != subscription.entry:
        what = "another event is there now" if page else "the log ends before it"
        raise LogForked(
            f"ledger {log.ledger}: webhook {subscription.id} has got up to position {at}, and {what}. The log was rolled back or "
            "replaced. Nothing was sent. Restore the log; or, if this log is the right one, "
            f"run `approvals webhook enable {subscription.id} --after POSITION`."
        )
    return page[1:]


def _decoded(event: RecordedEvent) -> DecodedEvent | None:
    try:
        return decode(event)
    except InvalidEvent:
        return None


def _try(
    log: Log,
    seen: Subscription,
    event: RecordedEvent,
    decoded: DecodedEvent | None,
    clock: Callable[[], float],
) -> Attempt | None:
    """One try, with its outcome stored; None where somebody else moved the subscription on meanwhile."""
    answer = _NO_EVENT if decoded is None else _send(seen, event, decoded, clock)
    if answer.is_success:
        done = settle(log, seen, _past(event), whatever_failed=True)
        return Attempt(seen, event.position, answer, "delivered") if done else None
    now_ms = int(clock() * 1000)
    tries, refusals = seen.tries + 1, seen.refusals + schedule.is_refusal(answer)
    following = Next("set-aside") if decoded is None else schedule.after(answer, tries, refusals)
    failed: Changes = {"tries": tries, "refusals": refusals, "says": answer.says}
    if following.what == "set-aside":
        letter = DeadLetter(event.position, event.digest, tries, answer.status, answer.says, now_ms)
        done = settle(log, seen, _past(event), dead=letter)
    elif following.what == "disable":
        done = settle(log, seen, failed | {"enabled": 0})
    else:
        done = settle(log, seen, failed | {"due_ms": now_ms + int(following.seconds * 1000)})
    return Attempt(seen, event.position, answer, following.what, following.seconds) if done else None


def _past(event: RecordedEvent) -> Changes:
    """The changes that put the cursor on `event`, with no attempt for the next one yet."""
    return {
        "position": event.position,
        "entry": event.digest,
        "tries": 0,
        "refusals": 0,
        "due_ms": 0,
        "says": "",
    }


def _send(
    subscription: Subscription, event: RecordedEvent, decoded: DecodedEvent, clock: Callable[[], float]
) -> Answer:
    # From the event's identity, not its position: in a log that was restored and written to again, another event may be there.
    identity = keys.identity(decoded.source, decoded.id).hex()
    return _post(subscription, f"{subscription.id}-{identity}", as_json_line(event), clock)


def _post(subscription: Subscription, id: str, body: bytes, clock: Callable[[], float]) -> Answer:
    headers = signing.headers(subscription.secret, id, int(clock()), body)
    return post(
        subscription.url, headers | {"Content-Type": CONTENT_TYPE}, body, private=subscription.private
    )


def send_again(log: Log, id: str, position: int) -> Answer:
    """Sends a dead letter again, now, and forgets it if it is taken.

    Raises BadQuestion if there is none, Unreadable if something else wrote to it, LogForked if the log is another one.
    """
    letter = dead_letters.get(log, id, position)
    subscription, event = subscriptions.get(log, id), log.at(position)
    if event is None or event.digest != letter.entry:
        raise LogForked(
            f"ledger {log.ledger}: position {position} does not hold the event that webhook {id} did not take: the log was rolled "
            f"back or replaced. Nothing was sent. Restore the log, or run `approvals webhook drop {id} {position}`"
        )
    if (decoded := _decoded(event)) is None:
        return _NO_EVENT
    answer = _send(subscription, event, decoded, time.time)
    if answer.is_success:
        dead_letters.drop(log, id, position)
    else:
        dead_letters.settle(log, id, letter, letter.after(answer, int(time.time() * 1000)))
    outcomes.count(log, "delivered" if answer.is_success else "failed")
    return answer


def send_test(log: Log, id: str) -> Answer:
    """Sends, once and now, a test event that is not in the log, even if the subscription is disabled. Raises BadQuestion."""
    subscription = subscriptions.get(log, id)
    name = f"test-{secrets.token_hex(8)}"
    body = canonical(
        {
            "specversion": "1.0",
            "id": name,
            "source": f"urn:approval-ledger:{log.ledger}",
            "type": TEST_TYPE,
            "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
    )
    return _post(subscription, f"{id}-{name}", body, time.time)
