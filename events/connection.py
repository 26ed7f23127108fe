"""A client of the server, with its own retries off, and the server's refusals as our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .errors import BadQuestion, OutcomeUnknown, StorageUnavailable


def connect(url: str, *, timeout: float = 10.0) -> redis.Redis:
    """A client for `url` (`redis://`, `rediss://` or `unix://`); `timeout` in seconds for connecting and each reply.

    redis-py 8 sends a write again by itself, up to 10 times, when a reply is lost: one XADD was seen to store 4 events.
    So its retries are off, and a lost reply is the caller's to resolve (OutcomeUnknown).
    Raises BadQuestion where the URL is none.
    """
    try:
        return redis.Redis.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=timeout, socket_connect_timeout=timeout
        )
    except ValueError as error:
        raise BadQuestion(f"{masked(url)!r} is no server's URL: {error}") from None


def masked(url: str) -> str:
    """`url` without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))


@contextmanager
def storage(*, writing: bool = False) -> Iterator[None]:
    """Turns what redis-py raises into StorageUnavailable, or OutcomeUnknown for a write whose reply was lost."""
    try:
        yield
    except redis.exceptions.NoScriptError:
        raise
    except (
        redis.exceptions.BusyLoadingError,
        redis.exceptions.ReadOnlyError,
        redis.exceptions.OutOfMemoryError,
    ) as error:
        raise StorageUnavailable(f"the server refuses: {error}. Nothing was stored. Retry later.") from error
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
        if writing and not _never_sent(error):
            raise OutcomeUnknown(
                f"the server's answer was lost ({error}): the events may be stored or not. "
                "Send the same events again, with the same ids: each is stored once."
            ) from error
        raise StorageUnavailable(
            f"cannot reach the server: {error}. Nothing was stored. Is it running?"
        ) from error
    except redis.exceptions.ResponseError as error:
        if str(error).startswith(("WRONGTYPE", "ERR Error running script", "ERR The ID specified")):
            raise
        raise StorageUnavailable(f"the server refuses: {error}. Nothing was stored.") from error


def _never_sent(error: Exception) -> bool:
    return isinstance(
        error.__cause__ or error.__context__, ConnectionRefusedError | FileNotFoundError
    ) or str(error).startswith(("Error 111", "Error 2 "))
