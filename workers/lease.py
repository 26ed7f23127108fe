"""A lease on what one worker at a time does: it expires where that one dies."""

from __future__ import annotations

from contextlib import suppress

from redis import Redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from events import LedgerError, storage


def take(client: Redis, lease: str, bell: str, seconds: float) -> Lock | None:
    """Takes the `bell` off, and the `lease` for so many `seconds`; None where another has it."""
    lock = client.lock(lease, timeout=seconds, blocking=False, thread_local=False)
    with storage(writing=True):
        client.delete(bell)  # before what is to be done is read: who rings later has a job
        return lock if lock.acquire() else None


def release(lock: Lock) -> None:
    """As far as that can be: else it expires."""
    with suppress(LockNotOwnedError, LedgerError), storage(writing=True):
        lock.release()
