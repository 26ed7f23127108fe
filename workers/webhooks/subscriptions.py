"""Who gets which events, where to, and how far each has got: one hash a subscription, changed by compare-and-set."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from redis.exceptions import ResponseError

from events import (
    CATALOG,
    AddressRefused,
    BadQuestion,
    Log,
    LogDamaged,
    Unreadable,
    keys,
    load_function,
    storage,
)

from . import addresses, dead_letters, signing
from .dead_letters import DeadLetter

Changes = dict[str, str | int]

_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription, as read.

    An empty `types` means all types. `position` is the last event of the log that it is done with (delivered, not wanted, or set
    aside), and `entry` the digest of that entry, "" at 0. For the event after it, `tries` have failed, in `refusals` of which the
    receiver was available and refused it; it is not tried again before `due_ms`. Times are in milliseconds since 1970 (UTC).
    `says` is why the last attempt failed, or why the subscription is disabled; empty if that was done by hand.
    """

    id: str
    url: str
    secret: str = field(repr=False)
    types: tuple[str, ...]
    private: bool
    created_ms: int
    enabled: bool
    position: int
    entry: str
    tries: int = 0
    refusals: int = 0
    due_ms: int = 0
    says: str = ""

    def wants(self, type: str) -> bool:
        return not self.types or type in self.types

    @property
    def host(self) -> str:
        """The part of the URL that anyone may see: many receivers use the path or the query as a password."""
        return addresses.target(self.url).authority


def add(
    log: Log, url: str, types: Iterable[str] = (), *, private: bool = False, after: int | None = None
) -> Subscription:
    """Subscribes `url` to the events after position `after` (default: those that are appended from now on).

    Raises AddressRefused for a URL to which events are not sent, including one whose host has a private address now, unless that
    is allowed; BadQuestion for an unknown type or a position that does not exist.
    """
    wanted = tuple(dict.fromkeys(types))
    if unknown := [each for each in wanted if each not in CATALOG]:
        raise BadQuestion(f"{unknown[0][:80]!r} is not an event type; the types are {', '.join(CATALOG)}")
    to = addresses.target(url)
    if not private:
        _require_public_now(to)
    position, entry = _cursor(log, after)
    ids(log)  # raises if these cannot be read, so that nothing is written then
    subscription = Subscription(
        id=secrets.token_hex(6),
        url=url,
        secret=signing.new_secret(),
        types=wanted,
        private=private,
        created_ms=time.time_ns() // 1_000_000,
        enabled=True,
        position=position,
        entry=entry,
    )
    with storage(writing=True):
        pipeline = log.client.pipeline(transaction=True)
        pipeline.hset(
            keys.webhook(log.ledger, subscription.id), mapping=cast(dict[Any, Any], _written(subscription))
        )
        pipeline.sadd(keys.webhooks(log.ledger), subscription.id)
        pipeline.execute()
    return subscription


def _require_public_now(to: addresses.Target) -> None:
    try:
        found = addresses.reachable(to, private=True)
    except OSError:
        return  # maybe it will resolve where the workers are; it is checked there, at every try
    addresses.require_public(found)


def is_id(text: str) -> bool:
    """Whether `text` has the form of a subscription's id."""
    return _ID.fullmatch(text) is not None


def ids(log: Log) -> list[str]:
    """The ids of all subscriptions, sorted. Raises Unreadable if something else wrote to the key that lists them."""
    place = keys.webhooks(log.ledger)
    try:
        with storage():
            stored = cast(set[bytes], log.client.smembers(place))
    except LogDamaged:
        raise Unreadable(
            f"the subscriptions cannot be listed: {place} is not a set, something else wrote to it. Delete that key, and add to it (SADD) "
            f"the id of every key {keys.webhook(log.ledger, 'ID')}, or add the subscriptions again"
        ) from None
    return sorted(each.decode("utf-8", "replace") for each in stored)


def each_of(log: Log) -> Iterator[Subscription | Unreadable]:
    """All subscriptions by their ids, or why one cannot be read, in two round trips. Raises Unreadable as `ids` does."""
    names = ids(log)
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        for each in names:
            pipeline.hgetall(keys.webhook(log.ledger, each))
        found = pipeline.execute(raise_on_error=False)
    for each, stored in zip(names, found, strict=True):
        if stored:
            try:
                yield _read(each, stored)
            except Unreadable as error:
                yield error


def all_of(log: Log) -> list[Subscription]:
    """All subscriptions, from the oldest. Raises Unreadable where something else wrote to one of them."""
    read: list[Subscription] = []
    for each in each_of(log):
        if isinstance(each, Unreadable):
            raise each
        read.append(each)
    return sorted(read, key=lambda subscription: (subscription.created_ms, subscription.id))


def find(log: Log, id: str) -> Subscription | None:
    """The subscription `id`, or None where there is none (any more). Raises Unreadable as `all_of` does."""
    if not is_id(id):
        return None
    stored: dict[bytes, bytes] | ResponseError
    with storage():
        try:
            stored = cast(dict[bytes, bytes], log.client.hgetall(keys.webhook(log.ledger, id)))
        except ResponseError as error:
            stored = error
    return _read(id, stored) if stored else None


def get(log: Log, id: str) -> Subscription:
    """The subscription `id`. Raises BadQuestion where there is none."""
    if (subscription := find(log, id)) is None:
        raise _missing(id)
    return subscription


def _missing(id: str) -> BadQuestion:
    return BadQuestion(f"there is no subscription {id[:40]!r}: `approvals webhook list` shows them")


def counts(log: Log, there: Sequence[Subscription]) -> dict[str, int]:
    """How many of the subscriptions in `there` are enabled, how many of those are failing, and how many are disabled; and how many dead
    letters they have."""
    return {
        "enabled": sum(each.enabled for each in there),
        "failing": sum(each.enabled and each.tries > 0 for each in there),
        "disabled": sum(not each.enabled for each in there),
        "dead_letters": sum(dead_letters.count(log, [each.id for each in there]).values()),
    }


def remove(log: Log, id: str) -> None:
    """Ends a subscription, and forgets its dead letters. Raises BadQuestion where there is none."""
    if id not in ids(log):  # it need not be readable
        raise _missing(id)
    with storage(writing=True):
        pipeline = log.client.pipeline(transaction=True)
        pipeline.srem(keys.webhooks(log.ledger), id)
        pipeline.delete(keys.webhook(log.ledger, id), keys.dead_letters(log.ledger, id))
        pipeline.execute()


def enable(log: Log, id: str, *, after: int | None = None) -> Subscription:
    """Goes on at once where the subscription stands, or after position `after`. Raises BadQuestion."""
    while True:
        subscription = get(log, id)
        changes: Changes = {"enabled": 1, "tries": 0, "refusals": 0, "due_ms": 0, "says": ""}
        if after is not None:
            changes["position"], changes["entry"] = _cursor(log, after)
        if settle(log, subscription, changes):
            return get(log, id)


def disable(log: Log, id: str) -> Subscription:
    """Stops sending until the subscription is enabled again; it keeps its place. Raises BadQuestion."""
    while not settle(log, get(log, id), {"enabled": 0, "says": ""}):
        pass
    return get(log, id)


def settle(
    log: Log,
    seen: Subscription,
    changes: Changes,
    *,
    dead: DeadLetter | None = None,
    whatever_failed: bool = False,
) -> bool:
    """Writes `changes` to its hash, and the dead letter of an event that is given up. Writes nothing and returns False if the
    subscription is no longer as it was `seen`; with `whatever_failed`, further failed attempts for the same event are no obstacle.
    Raises Unreadable, and writes nothing, if something else replaced the key of its dead letters.
    """
    names = [keys.webhook(log.ledger, seen.id), keys.dead_letters(log.ledger, seen.id)]
    position, letter = ("", b"") if dead is None else (dead.position, dead.to_bytes())
    pairs = [part for pair in changes.items() for part in pair]
    script = log.client.register_script(load_function("settle", f"{__package__}.functions"))
    with storage(writing=True) if dead is None else dead_letters.kept(log, seen.id, writing=True):
        reply = script(
            keys=names,
            args=[seen.position, "" if whatever_failed else seen.tries, position, letter, *pairs],
        )
    return bool(reply)


def _cursor(log: Log, after: int | None) -> tuple[int, str]:
    """A position of the log, and the digest of the entry there. Raises BadQuestion; LogForked where the log is replaced meanwhile."""
    head = log.head()
    position = head if after is None else after
    if not 0 <= position <= head:
        raise BadQuestion(f"the log ends at position {head}: there is nothing after {position} yet")
    if not position:
        return 0, ""
    return position, log.still_at(position).digest


def _written(subscription: Subscription) -> Changes:
    return {
        "url": subscription.url,
        "secret": subscription.secret,
        "types": " ".join(subscription.types),
        "private": int(subscription.private),
        "created_ms": subscription.created_ms,
        "enabled": int(subscription.enabled),
        "position": subscription.position,
        "entry": subscription.entry,
        "tries": subscription.tries,
        "refusals": subscription.refusals,
        "due_ms": subscription.due_ms,
        "says": subscription.says,
    }


def _read(id: str, stored: dict[bytes, bytes] | Exception) -> Subscription:
    try:
        if isinstance(stored, Exception):
            with storage():
                raise stored
        text = {name.decode(): value.decode() for name, value in stored.items()}
        addresses.target(text["url"])
        signing.key(text["secret"])
        return Subscription(
            id=id,
            url=text["url"],
            secret=text["secret"],
            types=tuple(text["types"].split()),
            private=text["private"] == "1",
            created_ms=int(text["created_ms"]),
            enabled=text["enabled"] == "1",
            position=int(text["position"]),
            entry=text["entry"],
            tries=int(text["tries"]),
            refusals=int(text["refusals"]),
            due_ms=int(text["due_ms"]),
            says=text["says"],
        )
    except (KeyError, ValueError, AddressRefused, LogDamaged) as error:
        why = "not a hash" if isinstance(error, LogDamaged) else repr(error)
        raise Unreadable(
            f"webhook {id} is not what this software writes ({why}): something else wrote to it. "
            f"Run `approvals webhook remove {id}` and add it again"
        ) from None
