"""Talking to the server: a client without redis-py's own retries, the server's refusals as our errors, and writes that are answered later."""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .errors import BadQuestion, LogDamaged, NotPermitted, OutcomeUnknown, StorageUnavailable


def connect(url: str, *, timeout: float = 10.0, name: str | None = None) -> redis.Redis:
    """A client for `url` (`redis://`, `rediss://` or `unix://`). `timeout` is in seconds, for connecting and for each reply.

    `name` is what the server's CLIENT LIST calls the client's connections.

    redis-py 8 sends a write again by itself, up to 10 times, when a reply is lost: one XADD was seen to store 4 events.
    So its retries are off, and a lost reply is the caller's to resolve (OutcomeUnknown).
    Raises BadQuestion if the URL, or a host or an option in it, is not valid.
    """
    try:
        _require_a_database(url)
        pool = _Pool.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            client_name=name,
        )
    except (AttributeError, ValueError):
        # The library's own words may quote a piece of the password, where that has a slash in it.
        raise BadQuestion(
            f"{masked(url)!r} is not the URL of a server: write redis://user:password@host:6379/0, rediss://... or "
            "unix:///path/of/the/socket, and escape special characters in a password (%2F for a slash)"
        ) from None
    _check_options(pool, url)
    return redis.Redis.from_pool(pool)


class _Pool(redis.ConnectionPool):
    """Keeps no connection on which the answer to an interrupted call may still arrive."""

    def release(self, connection: redis.Connection) -> None:  # type: ignore[override]  # so the pool of redis-py has it
        # Ctrl-C, or a signal handler that raises: the next call would get that answer, and each later one the answer of the call before.
        broken_off_by = sys.exception()
        if broken_off_by is not None and not isinstance(broken_off_by, redis.RedisError):
            connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py has no types here
        super().release(connection)


_TEXTS = frozenset({"host", "path", "username", "password", "client_name", "lib_name", "lib_version"})
_TIMEOUTS = frozenset({"socket_timeout", "socket_connect_timeout"})


def _check_options(pool: redis.ConnectionPool, url: str) -> None:
    # redis-py checks them only when it first connects, and raises errors that nobody expects there.
    for option in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        # A connection says that there is no such file, and not which.
        if (path := pool.connection_kwargs.get(option)) is not None:
            try:
                Path(path).open("rb").close()
            except OSError as error:
                raise BadQuestion(f"{masked(url)!r}: {option} cannot be read: {error}") from None
    _require_certificates(pool.connection_kwargs, url)
    try:
        # For a host that cannot be a name, the socket would raise an error that nobody expects.
        str(pool.connection_kwargs.get("host", "")).encode("idna")
        pool.connection_class(**pool.connection_kwargs)
    except (redis.RedisError, TypeError, ValueError) as error:
        raise BadQuestion(f"{masked(url)!r} has a host or an option that is not valid: {error}") from None
    for option in parse_qs(urlsplit(url).query):
        value: Any = pool.connection_kwargs.get(option)
        # Text is no retry, parser or provider of credentials; and in another encoding the server would not know its scripts.
        if isinstance(value, str) and option not in _TEXTS and not option.startswith("ssl_"):
            raise BadQuestion(f"{masked(url)!r}: {option} cannot be given in a URL")
        if option in _TIMEOUTS and not 0 < value <= TIMEOUT_MAX:
            raise BadQuestion(
                f"{masked(url)!r}: {option} is {value}, and must be a number of seconds above 0"
            )


def _require_certificates(options: dict[str, Any], url: str) -> None:
    """Raises BadQuestion if the files that `url` names hold no certificate or key: the error of a connection would not say which
    file, and ask whether the server is running."""
    authorities, certificate, key = (
        options.get(each) for each in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
    )
    if key is not None and certificate is None:
        raise BadQuestion(
            f"{masked(url)!r}: ssl_keyfile is the key of a certificate: name that with ssl_certfile"
        )
    if authorities is None and certificate is None:
        return
    # An empty context: the default one reads the system's authorities, which took a tenth of a second.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        read = "ssl_ca_certs"
        if authorities is not None:
            context.load_verify_locations(authorities)
        read = "ssl_certfile" if key is None else "ssl_certfile and ssl_keyfile"
        if certificate is not None:
            # Without a password, OpenSSL would ask for one at the terminal.
            context.load_cert_chain(certificate, key, options.get("ssl_password", ""))
    except ssl.SSLError as error:
        raise BadQuestion(
            f"{masked(url)!r}: {read}: holds no certificate in PEM, or no key that fits it and ssl_password ({error})"
        ) from None


def _require_a_database(url: str) -> None:
    """Raises ValueError if the path of `url` is not the number of a database: redis-py would silently use the first one."""
    of = urlsplit(url)
    if of.scheme in ("redis", "rediss") and re.fullmatch(r"/?[0-9]*/?", of.path, re.ASCII) is None:
        raise ValueError("no database")


def alongside(client: redis.Redis) -> redis.Redis:
    """A client of the same server with its own connections: a caller that holds one while it waits takes none from the others."""
    pool = client.connection_pool
    return redis.Redis.from_pool(_Pool(pool.connection_class, **pool.connection_kwargs))


def masked(url: str) -> str:
    """`url` without its password, even if it is not a URL, or one that has lost its scheme."""
    before = "//" if "://" in url else "^"
    without = re.sub(rf"(?s)({before}[^/@:?]*:).*(?=@)", r"\1***", url)
    return re.sub(r"([?&](?:ssl_)?password=)[^&#]*", r"\1***", without)


@dataclass(frozen=True, slots=True)
class Words:
    """What to say about commands that failed, in addition to the server's own words: what became of them, and what to do."""

    untouched: str
    unknown: str
    broken_off: str


OF_COMMANDS = Words(
    untouched="",  # of several commands, some may have been done
    unknown="what was asked for may or may not have been done. Check before asking again.",
    broken_off="Check what was done before asking again; if it fails again, report it.",
)
OF_EVENTS = Words(
    untouched=" Nothing was stored.",
    unknown="the events may or may not have been stored. Send the same events again, with the same ids: each is stored once.",
    broken_off="Send the same events again, with the same ids; if it fails again, report it.",
)


@contextmanager
def storage(*, writing: bool = False, words: Words = OF_COMMANDS) -> Iterator[None]:
    """Turns what redis-py raises into StorageUnavailable, or OutcomeUnknown for a write whose reply was lost.

    `words` are OF_EVENTS for appends only: of nothing else is it true that a repeated call stores nothing twice.
    Raises LogDamaged if a key holds something that this software never puts there.
    """
    try:
        yield
    except (
        redis.exceptions.MaxConnectionsError
    ) as error:  # a ConnectionError to redis-py, but the server was never asked
        raise StorageUnavailable(
            f"this program holds as many connections to the server as it may.{words.untouched} Try again; if that does "
            "not help, allow more, with max_connections in the server's URL."
        ) from error
    except _REFUSALS as error:
        raise _refusal(error, writing, words) from error
    except (
        redis.exceptions.ConnectionError,
        redis.exceptions.TimeoutError,
        redis.exceptions.InvalidResponse,
    ) as error:
        reason = str(error).rstrip(".")
        if reason == _TOO_MANY:  # a ConnectionError to redis-py as well
            raise _refusal(error, writing, words) from error
        if writing and " connecting to " not in reason:
            raise OutcomeUnknown(f"the server's answer was lost ({reason}): {words.unknown}") from error
        if isinstance(error, redis.exceptions.InvalidResponse):
            raise StorageUnavailable(
                f"what answers is not a Redis server: {reason}.{words.untouched} Is the address right?"
            ) from error
        raise StorageUnavailable(
            f"cannot reach the server: {reason}.{words.untouched} {_question(reason)}"
        ) from error


class Conversation:
    """Writes that are sent at once and answered later, while the same thread prepares the next ones.

    (Not in a second thread: one that sends 500 KB and reads the answer waits about four times for the interpreter, 5 ms each
    while this one computes. Two threads with half of the calls each took as long as one.)
    """

    def __init__(self, connection: Any, words: Words) -> None:
        self._connection, self._words = connection, words
        self.unanswered = 0

    def send(self, *commands: Sequence[Any]) -> None:
        """Sends commands at once. Raises OutcomeUnknown, as `answers` does, or StorageUnavailable."""
        self.unanswered += len(commands)
        with storage(writing=True, words=self._words):
            self._connection.send_packed_command(self._connection.pack_commands(commands))

    def answers(self) -> list[Any]:
        """Waits for the answers to everything that was sent, in order. A refusal of the server is among them, as redis-py's error.
        Raises OutcomeUnknown or StorageUnavailable."""
        found: list[Any] = []
        with storage(writing=True, words=self._words):
            for _ in range(self.unanswered):
                try:
                    found.append(self._connection.read_response())
                except redis.exceptions.ResponseError as refusal:
                    found.append(refusal)
        self.unanswered = 0
        return found


@contextmanager
def conversation(client: redis.Redis, *, words: Words = OF_COMMANDS) -> Iterator[Conversation]:
    """A conversation on a connection of the client's pool, which is closed if not everything was answered. Raises
    OutcomeUnknown or StorageUnavailable."""
    with storage(writing=True, words=words):
        connection: Any = client.connection_pool.get_connection()
    held = Conversation(connection, words)
    try:
        yield held
    finally:
        if held.unanswered:
            connection.disconnect()  # an answer that is still to come would be taken for that of another call
        client.connection_pool.release(connection)


_ABOUT_TLS = (
    "Does it take TLS? If its certificate is of an authority of your own, or it asks for one of yours, the URL names the "
    "files: rediss://...?ssl_ca_certs=FILE&ssl_certfile=FILE&ssl_keyfile=FILE"
)

_TOO_MANY = "max number of clients reached"


def _question(reason: str) -> str:
    """What to look for where a server cannot be reached, for this reason."""
    if "_ssl.c" in reason:
        return _ABOUT_TLS
    # It closed the connection before it was asked anything.
    if "Broken pipe" in reason or "reset by peer" in reason:
        return "Is it running? If it is, it may take TLS alone (rediss://), or have as many clients as it takes (maxclients)."
    return "Is it running?"


# To redis-py some of these are ConnectionErrors, but the server did answer.
_REFUSALS = (
    redis.exceptions.ResponseError,
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthorizationError,
    redis.exceptions.BusyLoadingError,
)

_WHAT_TO_DO = {
    "NOAUTH": "Check the user and its password",
    "WRONGPASS": "Check the user and its password",
    "NOPERM": "Grant the user what it lacks",
    "READONLY": "Connect to the primary",
    "OOM": "Raise maxmemory or free memory, and try again",
    "MISCONF": "Free disk space, or see the server's log",
    _TOO_MANY: "Raise its maxclients or close connections, and try again",
    "DB index is out of range": "Name a database that it has: its setting `databases` says how many there are",
    # What a node of a cluster says: the jobs of RQ do not lie in the slot of their queue.
    **dict.fromkeys(
        ("ASK", "CLUSTERDOWN", "CROSSSLOT", "MOVED", "TRYAGAIN"),
        "Use a server without cluster-enabled: workers cannot work on a cluster",
    ),
}


def _refusal(error: redis.exceptions.RedisError, writing: bool, words: Words) -> Exception:
    reason = str(error).rpartition(" of pipeline caused error: ")[2].rstrip(".")
    code = error.status_code or reason.partition(" ")[0]
    if code == "WRONGTYPE":
        return LogDamaged(
            f"a key of the ledger has the wrong type ({reason}): something else wrote to it. "
            "Restore a backup; or, if it belongs to a projection, delete the keys {LEDGER}:projection:PROJECTION and "
            "{LEDGER}:projection:PROJECTION:*, and run `approvals replay`."
        )
    if writing and "user_script:" in reason:
        return OutcomeUnknown(
            f"the server broke off in the middle of a function ({reason}); what it had written by then stays. {words.broken_off}"
        )
    advice = _WHAT_TO_DO.get(reason) or _WHAT_TO_DO.get(code, "Retry later")
    kind = NotPermitted if code == "NOPERM" else StorageUnavailable
    return kind(f"the server refuses: {reason}.{words.untouched} {advice}.")
