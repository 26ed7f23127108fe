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

_REPLICAS = "min-replicas-to-write"
_GROWTH = ("auto-aof-rewrite-percentage", "auto-aof-rewrite-min-size")

# While a server turns its file on (`CONFIG SET appendonly yes`; a replica that was resynced, also once it is promoted), it
# writes to a temporary file until a rewrite of the whole has ended: killed before that, every server tried lost what it had
# acknowledged meanwhile. INFO does not show that state (AOF_WAIT_REWRITE in the servers' sources). But a server starts a
# rewrite by itself only when the file has outgrown its base, while a file that is being turned on still has its old sizes.
REWRITING = Finding(
    "the rewrite of the append-only file",
    "under way",
    "over, because the server did not start it for the size of the file: the server may be turning the file on, and keep nothing "
    "until the rewrite ends. Wait for it (INFO persistence: aof_rewrite_in_progress)",
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
        pipeline.config_get(*REQUIRED, *_GROWTH)
        pipeline.info("persistence")
        pipeline.info("replication")
        values, persistence, replication = pipeline.execute()
    now = _in_text(values)
    findings = [
        Finding(name, now.get(name, "unknown"), wanted)
        for name, wanted in REQUIRED.items()
        if now.get(name) != wanted
    ]
    rewriting = persistence.get("aof_rewrite_in_progress") or persistence.get("aof_rewrite_scheduled")
    if rewriting and not _has_outgrown_its_base(persistence, *(now.get(name, "0") for name in _GROWTH)):
        findings.append(REWRITING)
    status = str(persistence.get("aof_last_write_status", "ok"))
    if status != "ok":
        findings.append(
            Finding("aof_last_write_status", status, "ok (free disk space, or see the server's log)")
        )
    if replication.get("role") != "master":
        findings.append(Finding("role", str(replication.get("role")), "master: connect to the primary"))
    return tuple(findings)


def refusing(client: redis.Redis) -> tuple[Finding, ...]:
    """What to change if the server stores nothing more because it lacks memory or replicas. (An append needs no such check: the
    server refuses it and says why.) Raises StorageUnavailable."""
    with storage():
        pipeline = client.pipeline(transaction=False)
        pipeline.info("memory")
        pipeline.info("replication")
        pipeline.config_get(_REPLICAS)
        memory, replication, values = pipeline.execute()
    findings = []
    most = int(memory.get("maxmemory", 0))
    used = int(memory.get("used_memory", 0)) - int(memory.get("mem_not_counted_for_evict", 0))
    if 0 < most < used:
        wanted = f"at most maxmemory, {most:,}: raise that, or free memory. Until then nothing is stored"
        findings.append(Finding("the memory that the server uses", f"{used:,} bytes", wanted))
    # The server counts them where it asks for some.
    there, least = replication.get("min_slaves_good_slaves"), int(_in_text(values).get(_REPLICAS, "0"))
    if there is not None and there < least and replication.get("role") == "master":
        wanted = f"at least {_REPLICAS}, {least}: start them, or lower that. Until then nothing is stored"
        findings.append(Finding("the number of replicas that follow", str(there), wanted))
    return tuple(findings)


def _has_outgrown_its_base(persistence: dict[str, Any], percentage: str, least: str) -> bool:
    """Whether the file has grown so much that the server rewrites it by itself."""
    base, now = int(persistence.get("aof_base_size", 0)), int(persistence.get("aof_current_size", 0))
    grown = now * 100 >= base * (100 + int(percentage))
    return base > 0 and int(percentage) > 0 and now >= int(least) and grown


def _in_text(found: dict[Any, Any]) -> dict[str, str]:
    return {_text(key): _text(value) for key, value in found.items()}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
