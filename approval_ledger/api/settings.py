"""How the HTTP server is set up: one frozen object."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765
DEFAULT_RATE = 200.0
NAME = r"\[[0-9a-f:.]+\]|[a-z0-9._-]+"  # what a Host header calls a server, before the port and in any case


@dataclass(frozen=True, slots=True)
class Settings:
    """`ledger` is the one whose tokens open what belongs to no ledger (`/metrics`), and whose readiness `/readyz` tells.

    `public_reads` is None for what the address says: on a loopback address anyone who reaches it may read. `hosts` are names
    beside the address itself by which clients may call this server. `rate` is in requests a second for each client, in the
    long run; None is no limit. `streams` and `lag` are the most that there may be of open event streams, and of events that
    a projection may be behind while the server still calls itself ready.
    """

    ledger: str
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    public_reads: bool | None = None
    hosts: tuple[str, ...] = ()
    rate: float | None = DEFAULT_RATE
    streams: int = 1_000
    lag: int = 1_000

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches the server, as far as can be told: other names mean that something passes
        requests on."""
        if self.hosts:
            return False
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_nameless(self) -> bool:
        """Whether it listens on every address of this machine, but has no name by which other machines may call it."""
        if self.hosts:
            return False
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def reads_are_public(self) -> bool:
        return self.loopback if self.public_reads is None else self.public_reads
