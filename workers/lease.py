"""A lease on something that only one worker at a time may do: it expires if that worker dies."""

from __future__ import annotations

from contextlib import suppress

from redis import Redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from events import LedgerError, storage

from .doorbell import outstays

_NONE = -2  # what PTTL says


def take(client: Redis, lease: str, bell: str, seconds: float) -> Lock | None:
    """Takes the `bell` off, and the `lease` for this many `seconds`; None if another has the lease."""
    lock: Lock = client.lock(lease, timeout=seconds, blocking=False, thread_local=False)
    with storage(writing=True):
        client.delete(bell)  # before reading what there is to do: whoever rings later gets a job of its own
        if lock.acquire():
            return lock
        if not _is_nobodys(client.pttl(lease), seconds):
            return None
        client.delete(lease)
        return lock if lock.acquire() else None


def is_held(client: Redis, lease: str, seconds: float) -> bool:
    """Whether somebody has the `lease`, which is given for at most this many `seconds`."""
    with storage():
        left = client.pttl(lease)
    return left != _NONE and not _is_nobodys(left, seconds)


def _is_nobodys(left: int, seconds: float) -> bool:
    """Whether a lease would last longer than any is given for: the server's clock was set back since, and waiting for it would take
    as long as that clock was wrong."""
    return outstays(left, int(seconds * 1000))


def release(lock: Lock) -> None:
    """Releases the lease if that is possible; if not, it expires."""
    with suppress(LockNotOwnedError, LedgerError), storage(writing=True):
        lock.release()
