"""The yardsticks: what redis-py alone costs, with nothing checked and nothing folded."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import redis

from events import connect, encode

from .generate import Facts, build
from .measure import batched

CALL = 1_000  # events a pipeline, and entries an XRANGE


@contextmanager
def synced(client: redis.Redis, how: str) -> Iterator[None]:
    """The server's appendfsync while the block runs. The ledger refuses to append to any but `always`."""
    client.config_set("appendfsync", how)
    try:
        yield
    finally:
        client.config_set("appendfsync", "always")


def xadd(client: redis.Redis, payloads: Iterable[bytes], key: str) -> None:
    """Pipelined, CALL a pipeline."""
    for batch in batched(payloads, CALL):
        with client.pipeline(transaction=False) as pipeline:
            for payload in batch:
                pipeline.xadd(key, {"e": payload})
            pipeline.execute()


def xadd_built(client: redis.Redis, facts: Iterable[Facts], key: str) -> None:
    """The same, with each event built and encoded by the models on the way."""
    xadd(client, (encode(build(fact)) for fact in facts), key)


def xadd_singly(client: redis.Redis, facts: Iterable[Facts], key: str) -> None:
    """One a call, each built and encoded on the way."""
    for fact in facts:
        client.xadd(key, {"e": encode(build(fact))})


def xrange(url: str, key: str) -> float:
    """Seconds to read a whole stream, and do nothing with it."""
    client = connect(url)
    started = time.perf_counter()
    last = "-"
    while page := cast(Any, client.xrange(key, min=last, count=CALL)):
        last = f"({page[-1][0].decode()}"
    return time.perf_counter() - started
