"""Where the ledger is: one frozen object, read once from the options and the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import ConnectionError as NoConnection

from events import BadQuestion, Log, StorageUnavailable, connect, masked

from . import embedded

DEFAULT_DATA = Path("approvals-data")
DEFAULT_LEDGER = "cac"


@dataclass(frozen=True, slots=True)
class Config:
    """`url` is that of a server, or None for the embedded one on the directory `data`."""

    url: str | None
    data: Path
    ledger: str

    @classmethod
    def read(
        cls, environment: Mapping[str, str], *, url: str | None, data: Path | None, ledger: str | None
    ) -> Config:
        """An option comes before the environment: `--url`, else APPROVALS_URL, else REDIS_URL, else the embedded server.

        `--data` asks for the embedded server whatever the environment says.
        """
        if url is None and data is None:
            url = environment.get("APPROVALS_URL") or environment.get("REDIS_URL") or None
        return cls(url, data or DEFAULT_DATA, DEFAULT_LEDGER if ledger is None else ledger)

    @property
    def is_missing(self) -> bool:
        """Whether nothing was ever stored there: it is for the embedded server, and its directory does not exist."""
        return self.url is None and not self.data.exists()

    @property
    def is_empty(self) -> bool:
        """Whether it is for the embedded server, whose directory is there and has nothing in it."""
        return self.url is None and self.data.is_dir() and not any(self.data.iterdir())


@dataclass(frozen=True, slots=True)
class Opened:
    """A ledger on a server that answers, and where that is. If the server is ours, `revive` restarts it when it has ended,
    and says whether it had."""

    log: Log
    url: str
    where: str
    revive: Callable[[], bool] | None = None


@contextmanager
def opened(config: Config, *, make: bool) -> Iterator[Opened]:
    """The ledger, for the duration of a command. The embedded server is started if none runs on its directory, and the last
    command that uses it stops it. Raises BadQuestion for an invalid name or address, and for a directory that does not exist unless
    the command may `make` it: whoever only reads has mistyped it, and would be told that nothing was ever approved.
    """
    if config.url is not None:
        with _closing(config.url, config.ledger) as log:
            yield Opened(log, config.url, masked(config.url))
        return
    if not make and config.is_missing:
        raise BadQuestion(
            f"there is no ledger in {config.data}: the directory does not exist. Publish or import something first, or name the "
            "directory with --data"
        )
    with embedded.start(config.data) as server, _closing(server.url, config.ledger) as log:
        try:
            yield Opened(log, server.url, f"the embedded server on {config.data}", server.revive)
        except StorageUnavailable as error:
            # Of our own server nobody else knows why it is gone: one whose disk is full ends.
            if isinstance(error.__cause__, NoConnection) and (why := server.last_words()):
                raise type(error)(f"{error}\n{why}") from error
            raise


@contextmanager
def _closing(url: str, ledger: str) -> Iterator[Log]:
    if "://" not in url:
        # What has no scheme cannot be masked: it may be a user and a password.
        raise BadQuestion(
            "a server's URL begins with redis://, rediss:// or unix://, and this one has no scheme"
        )
    if not _is_utf8(url):
        raise BadQuestion("the server's URL is not UTF-8")
    client = connect(url)
    try:
        yield Log(client, ledger)
    finally:
        client.close()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
