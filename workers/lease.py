"""A lease on what one worker at a time does: it expires where that one dies."""

from __future__ import annotations

from contextlib import suppress

from redis import Redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from events import LedgerError, storage

from .doorbell import outstays

_NONE = -2  # what PTTL says


def take(client: Redis, lease: str, bell: str, seconds: float) -> Lock | None:
    """Takes the `bell` off, and the `lease` for so many `seconds`; None where another has it."""
    lock: Lock = client.lock(lease, timeout=seconds, blocking=False, thread_local=False)
    with storage(writing=True):
        client.delete(bell)  # before what is to be done is read: who rings later has a job
        if lock.acquire():
            return lock
        if not _is_nobodys(client.pttl(lease), seconds):
            return None
        client.delete(lease)
        return lock if lock.acquire() else None


def is_held(client: Redis, lease: str, seconds: float) -> bool:
    """Whether somebody has the `lease`, which is for so many `seconds` at most."""
    with storage():
        left = client.pttl(lease)
    return left != _NONE and not _is_nobodys(left, seconds)


def _is_nobodys(left: int, seconds: float) -> bool:
    """Whether a lease stays for longer than any: the server's clock was put back since, and it would be waited for as long as that
    clock was wrong."""
    return outstays(left, int(seconds * 1000))


def release(lock: Lock) -> None:
    """As far as that can be: else it expires."""
    with suppress(LockNotOwnedError, LedgerError), storage(writing=True):
        lock.release()
