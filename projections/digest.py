"""The digest of a projection's documents: the same log gives the same digest, on any machine, after any replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from heapq import merge
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

from events import canonical

RUN = 65_536
"""Digests that are sorted in memory at once, which takes 6 MB; of more, each run but the last waits in a temporary file."""


def digest(documents: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the sorted SHA-256 of each document: of its key and value as a member of a canonical JSON object."""
    return digest_of_stored((name, canonical(value)) for name, value in documents.items())


def digest_of_stored(documents: Iterable[tuple[str, bytes]]) -> str:
    """The same, from keys and values that are canonical JSON already, in any order, and some of them twice, maybe."""
    return digest_of_set(sha256(canonical(name) + b":" + value).digest() for name, value in documents)


def digest_of_set(digests: Iterable[bytes]) -> str:
    """SHA-256, in hex, of digests in their order, each once; in little memory, however many there are."""
    running, last = sha256(), b""
    with ExitStack() as files:
        for each in merge(*_sorted_runs(iter(digests), files)):
            if each != last:
                running.update(each)
            last = each
    return running.hexdigest()


def _sorted_runs(digests: Iterator[bytes], files: ExitStack) -> Iterator[Iterable[bytes]]:
    run = sorted(islice(digests, RUN))
    while len(run) == RUN:
        file = files.enter_context(TemporaryFile())  # noqa: SIM115  # the stack closes it
        file.write(b"".join(run))
        file.seek(0)
        yield iter(partial(file.read, sha256().digest_size), b"")
        run = sorted(islice(digests, RUN))
    yield run


def digest_of_answer(answer: Any) -> str:
    """SHA-256 of an answer as canonical JSON, in hex."""
    return sha256(canonical(answer)).hexdigest()
