"""Where the ledger is: one frozen object, read once from the options and the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from events import Log, connect, masked

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
        return cls(url, data or DEFAULT_DATA, ledger or DEFAULT_LEDGER)


@dataclass(frozen=True, slots=True)
class Opened:
    """A ledger on a server that answers, and where that is."""

    log: Log
    url: str
    where: str


@contextmanager
def opened(config: Config) -> Iterator[Opened]:
    """The ledger, for the time of a command. The embedded server is started where none runs on its directory, and the last
    command that uses it stops it. Raises BadQuestion for a name or address that is none, and what the server says.
    """
    if config.url is not None:
        with _closing(config.url, config.ledger) as log:
            yield Opened(log, config.url, masked(config.url))
        return
    with embedded.start(config.data) as server, _closing(server.url, config.ledger) as log:
        yield Opened(log, server.url, f"the embedded server on {config.data}")


@contextmanager
def _closing(url: str, ledger: str) -> Iterator[Log]:
    client = connect(url)
    try:
        yield Log(client, ledger)
    finally:
        client.close()
