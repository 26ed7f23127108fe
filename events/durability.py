"""What must be true of a server before an append is acknowledged; each finding says what to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import redis

from .connection import OF_COMMANDS, Words, storage


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that could lose an acknowledged event."""

    setting: str
    value: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.setting} is {self.value}, and must be {self.wanted}"


REQUIRED = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}

# While a server turns its file on (`CONFIG SET appendonly yes`; a replica that was resynced, also once it is promoted), it
# writes to a temporary file until a rewrite of the whole has ended: killed before that, every server tried lost what it had
# acknowledged meanwhile. INFO shows that state as it shows any other rewrite (the server's own AOF_WAIT_REWRITE has no
# word there, and the sizes of the file are those of before): what tells the two apart would be a guess.
REWRITING = Finding(
    "the rewrite of the append-only file",
    "under way",
    "done: until then no server tells whether it keeps what it takes. Wait for it (INFO persistence: aof_rewrite_in_progress)",
)


def settings(client: redis.Redis) -> dict[str, str]:
    """The server's values of the settings that decide durability. Raises StorageUnavailable."""
    with storage():
        found = cast(dict[Any, Any], client.config_get(*REQUIRED))
    return _in_text(found)


def check(client: redis.Redis, *, words: Words = OF_COMMANDS) -> tuple[Finding, ...]:
    """What could lose an acknowledged event on this server; empty when it is durable. Raises StorageUnavailable, in `words`."""
    with storage(words=words):
        pipeline = client.pipeline(transaction=False)
        pipeline.config_get(*REQUIRED)
        pipeline.info("persistence")
        pipeline.info("replication")
        values, persistence, replication = pipeline.execute()
    now = _in_text(values)
    findings = [
        Finding(name, now.get(name, "unknown"), wanted)
        for name, wanted in REQUIRED.items()
        if now.get(name) != wanted
    ]
    if persistence.get("aof_rewrite_in_progress") or persistence.get("aof_rewrite_scheduled"):
        findings.append(REWRITING)
    status = str(persistence.get("aof_last_write_status", "ok"))
    if status != "ok":
        findings.append(
            Finding("aof_last_write_status", status, "ok (free disk space, or see the server's log)")
        )
    if replication.get("role") != "master":
        findings.append(Finding("role", str(replication.get("role")), "master: connect to the primary"))
    return tuple(findings)


def _in_text(found: dict[Any, Any]) -> dict[str, str]:
    return {_text(key): _text(value) for key, value in found.items()}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
