"""How a ledger is: its server and durability, its head, and each projection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from events import (
    LedgerError,
    Log,
    LogDamaged,
    NotPermitted,
    RecordedEvent,
    StorageUnavailable,
    Unreadable,
    durability,
    keys,
    storage,
)
from projections import (
    FIRST,
    PROJECTIONS,
    Checkpoint,
    Generation,
    Pointers,
    Projection,
    Store,
    has_moved,
    pointers_of,
)
from workers import workers_alive
from workers.webhooks import outcomes, subscriptions

from . import tokens

if TYPE_CHECKING:
    from workers import Rebuild

T = TypeVar("T")

DIGESTED = 50_000
"""Documents of a projection of which a status tells the digest, which takes 0.2 s: of more, `approvals replay --verify` does."""


def status_of(log: Log, where: str | None = None) -> dict[str, Any]:
    """What `approvals status --json` prints. `says` is what is wrong, and empty where nothing is; `unseen` is what the user may
    not see, which is None or left out, and why. `where` is the server's address, which is left out where it is not given."""
    from workers import queue_length

    of_log, says, unseen = list[str](), list[str](), list[str]()
    seen = partial(_or_unseen, unseen)
    findings, settings = seen("whether appends are durable", lambda: _durability(log)) or (None, None)
    refusing = seen("whether the server has room, and replicas", lambda: durability.refusing(log.client))
    software, version = seen("the server's version", lambda: _server(log)) or (None, None)
    projections = seen("the projections", lambda: _projections(log, says, seen)) or []
    # After the projections: before them, it could be behind one that a worker has moved on meanwhile.
    head = seen("the head", lambda: _or_say(log.head, of_log))
    # These two are looked at for their type alone: of another one, nothing is appended, and nobody let in.
    seen("the index of subjects", lambda: _or_say(lambda: _look_at_subjects(log), of_log))
    seen("the tokens", lambda: _or_say(lambda: tokens.any_of(log), says))
    webhooks = seen("the webhooks", lambda: _or_say(lambda: _webhooks(log, says), says))
    # What is no queue holds no job.
    queue = seen("the queue", lambda: _or_say(lambda: queue_length(log.client, log.ledger), says) or 0)
    return {
        "ledger": log.ledger,
        "server": {
            **({} if where is None else {"where": where}),
            "software": software,
            "version": version,
            "durable": None if findings is None else not findings,
            "settings": settings,
        },
        "head": head,
        "projections": [_with_lag(told, head) for told in projections],
        "webhooks": webhooks,
        "workers": seen("the workers", lambda: workers_alive(log.client, log.ledger)),
        "queue": queue,
        "says": list(dict.fromkeys([*of_log, *map(str, (*(findings or ()), *(refusing or ()))), *says])),
        "unseen": unseen,
    }


def _durability(log: Log) -> tuple[tuple[durability.Finding, ...], dict[str, str]]:
    return durability.check(log.client), durability.settings(log.client)


def _look_at_subjects(log: Log) -> None:
    place = keys.subjects(log.ledger)
    with _naming(place), storage():
        log.client.hlen(place)


def _server(log: Log) -> tuple[str, str]:
    with storage():
        found: dict[str, Any] = log.client.info("server")
    return found.get("server_name", "redis"), found.get("valkey_version") or found["redis_version"]


def _with_lag(told: dict[str, Any], head: int | None) -> dict[str, Any]:
    """What is told of a projection, with how far it is behind the head. One whose position is no number is told as at 0, and has no
    lag; nor has one beyond the head, which is of another log, and not ahead of this one."""
    position = told["position"]
    lag = None if head is None or position is None or head < position else head - position
    return {**told, "position": position or 0, "lag": lag}


def _webhooks(log: Log, says: list[str]) -> dict[str, int]:
    there = subscriptions.all_of(log)
    _or_say(lambda: outcomes.counts(log), says)  # which /metrics has
    # What the receiver answered is not repeated: whoever reads this need not know it.
    says += [
        f"webhook {each.id} was disabled: `approvals webhook list` says why, and `enable` goes on where it was"
        for each in there
        if not each.enabled and each.says
    ]
    return subscriptions.counts(log, there)


def _projections(log: Log, says: list[str], seen: Callable[..., Any]) -> list[dict[str, Any]]:
    """How each is, of what was asked of all of them at once: a round trip for each thing of each took most of the time."""
    from workers import last_rebuilds

    pointers = _pointers(log, says)
    live = {
        name: Store(log, PROJECTIONS[name]).generation(each.live or FIRST) for name, each in pointers.items()
    }
    states = _states(log, live)
    rebuilds = last_rebuilds(log, PROJECTIONS)
    entry_at = cache(log.at)  # mostly, all are at one position
    return [
        {
            "projection": name,
            "version": _version(projection, states.get(name)),
            "rebuild": told_rebuild(
                seen("which rebuilds were asked for", partial(_or_say, rebuilds[name], says))
            ),
            **(_told(live[name], pointers[name], states[name], entry_at, says) if name in live else _NOTHING),
        }
        for name, projection in PROJECTIONS.items()
    ]


def _version(projection: Projection, replies: list[Any] | None) -> int:
    """The version that made what is live, of which the digest is told; that of this software where nothing is live, or it cannot
    be read at all."""
    state = replies[0] if replies else None
    made = _number(state.get(b"version", b"")) if isinstance(state, dict) else None
    return projection.version if made is None else made


def _states(log: Log, live: Mapping[str, Generation]) -> dict[str, list[Any]]:
    """The state of each generation, and how many documents, parked events and parts of snapshots it has, or what the server says
    instead."""
    found: dict[str, list[Any]] = {}
    while asked := [name for name in live if name not in found]:
        with storage():
            pipeline = log.client.pipeline(transaction=False)
            for name in asked:
                live[name].ask_state(pipeline)
                pipeline.hlen(live[name].parked_key)
                pipeline.hlen(live[name].past_key)
                live[name].ask_position(pipeline)
            replies = iter(pipeline.execute(raise_on_error=False))
        for name in asked:
            *told, position = islice(replies, 5)
            if not isinstance(told[0], dict) or not has_moved(told[0], position):
                found[name] = told
    return found


_NOTHING = {
    "position": None,
    "lag": None,
    "generation": 0,
    "previous": None,
    "beside": None,
    "digest": None,
    "parked": 0,
    "readable": False,
}
"""What is told of a projection where not even its generations are what this software writes."""


def _pointers(log: Log, says: list[str]) -> dict[str, Pointers]:
    """Those of all projections, in one question; where those of one cannot be read, of the others."""
    try:
        return pointers_of(log, PROJECTIONS.values())
    except StorageUnavailable:
        raise
    except LedgerError:
        alone = [(name, partial(_pointers_alone, log, name)) for name in PROJECTIONS]
        return {name: found for name, ask in alone if (found := _or_say(ask, says)) is not None}


def _pointers_alone(log: Log, name: str) -> Pointers:
    with _naming(f"projection {name}: what names its live generation"):
        return pointers_of(log, [PROJECTIONS[name]])[name]


def _told(
    generation: Generation,
    pointers: Pointers,
    replies: list[Any],
    entry_at: Callable[[int], RecordedEvent | None],
    says: list[str],
) -> dict[str, Any]:
    """What is told of the live generation of a projection. `replies` are its state, and how many documents, parked events and
    parts of snapshots it has, or what the server says instead."""
    state, held, parked, _ = (_or_say(partial(_answered, generation, reply), says) for reply in replies)
    checkpoint = position = digest = None
    if state is not None and held is not None:
        checkpoint = _or_say(partial(_verified, generation, state, held, entry_at), says)
    if state is not None:
        position = _number(state.get(b"position", b"0"))
    if parked:
        says.append(
            f"projection {generation.name}: events parked: {parked}. No figure of it counts them: `approvals park list` says why"
        )
    if position is not None and held is not None and held <= DIGESTED:
        position, digest = _or_say(partial(_digested, generation), says) or (position, None)
    return {
        "position": position,
        "lag": None,  # until the head is read
        "generation": generation.number,
        "previous": pointers.previous or None,
        "beside": _or_say(partial(_beside, generation.store, pointers), says),
        "digest": digest,
        "parked": parked or 0,
        "readable": checkpoint is not None,
    }


def _answered(generation: Generation, reply: Any) -> Any:
    with _naming(f"projection {generation.name}: generation {generation.number}"), storage():
        if isinstance(reply, Exception):
            raise reply
    return reply


def _verified(
    generation: Generation,
    state: dict[bytes, bytes],
    held: int,
    entry_at: Callable[[int], RecordedEvent | None],
) -> Checkpoint:
    checkpoint = generation.read_state(state, held)
    if checkpoint.position:
        generation.require_same_log(checkpoint, entry_at(checkpoint.position))
    return checkpoint


def _number(stored: bytes) -> int | None:
    with suppress(ValueError):
        return int(stored)
    return None


def _digested(generation: Generation) -> tuple[int, str]:
    with _naming(f"projection {generation.name}: what generation {generation.number} holds"):
        return generation.digest()


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Says of an error what it is that something else wrote to."""
    try:
        yield
    except (Unreadable, LogDamaged) as error:
        raise type(error)(f"{what}: {error}") from None
    except ValueError:
        raise Unreadable(f"{what} is not what this software writes: something else wrote to it") from None


def told_rebuild(rebuild: Rebuild | None) -> dict[str, Any] | None:
    """What is told of the rebuild that was asked for last."""
    if rebuild is None:
        return None
    done = rebuild.state == "done"
    return {
        "state": rebuild.state,
        "asked_at": as_time(rebuild.asked_ms),
        "began_at": as_time(rebuild.began_ms) if rebuild.began_ms else None,
        "ended_at": as_time(rebuild.ended_ms) if rebuild.ended_ms else None,
        "generation": rebuild.generation if done else None,
        "position": rebuild.position if done else None,
        "digest": rebuild.digest if done else None,
        "live_digest": rebuild.live_digest or None,
        "equal": not rebuild.differs if done and rebuild.live_digest else None,
        "says": rebuild.says or None,
    }


def as_time(ms: int) -> str:
    """An instant to the second, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _beside(store: Store, pointers: Pointers) -> dict[str, int] | None:
    """The generation that a rebuild is building beside the live one, and how far it is; None where there is none."""
    newest = pointers.newest
    if newest in (0, pointers.live or FIRST, pointers.previous):
        return None
    with _naming(f"projection {store.projection.name}: generation {newest}, beside the live one"):
        position = store.generation(newest).checkpoint().position
    return {"generation": newest, "position": position} if position else None


def _or_say(ask: Callable[[], T], says: list[str]) -> T | None:
    """What is asked for; or None, and why, once, in `says`. Raises NotPermitted."""
    try:
        return ask()
    except NotPermitted:
        raise
    except LedgerError as error:
        if (why := f"{error.code}: {error}") not in says:
            says.append(why)
        return None


def _or_unseen(unseen: list[str], what: str, ask: Callable[[], T]) -> T | None:
    """What is asked for; or None, and once in `unseen`, that the user may not see it."""
    try:
        return ask()
    except NotPermitted as error:
        if (why := f"{what}: {error}") not in unseen:
            unseen.append(why)
        return None
