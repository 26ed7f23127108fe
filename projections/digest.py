"""The digest of a projection's documents: the same log gives the same digest, on any machine, after any replay."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from hashlib import sha256
from heapq import merge
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

import msgspec

from events import canonical

RUN = 16_384
"""How many digests are sorted in memory at once, which takes 2 MB. If there are more, all runs but the last wait in one temporary file."""

MARK = 16
"""The size in bytes of the mark of a digest."""

_EACH = sha256().digest_size + MARK
_BLOCK = 170 * _EACH  # bytes of a run that are read at once, about 8 KB


def digest(documents: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the sorted SHA-256 of each document: of its key and value as a member of a canonical JSON object."""
    plain, _ = digests_of_documents((name, canonical(value), b"") for name, value in documents.items())
    return plain


def digests_of_documents(documents: Iterable[tuple[str, bytes, bytes]]) -> tuple[str, str]:
    """The same, from keys, values that are canonical JSON already, and a mark for each; and a second digest that also covers the marks.

    The documents may come in any order, and some of them twice.
    """
    return digests_of_set(
        (sha256(canonical(name) + b":" + json).digest(), mark) for name, json, mark in documents
    )


def digests_of_set(marked: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """SHA-256, in hex, of the sorted digests, each taken once; and of the sorted digests with their marks. Takes little memory,
    however many there are."""
    plain, whole, last = sha256(), sha256(), b""
    with ExitStack() as files:
        for each in merge(*_sorted_runs((digest + mark.rjust(MARK) for digest, mark in marked), files)):
            if each != last:
                plain.update(each[:-MARK])
                whole.update(each)
            last = each
    return plain.hexdigest(), whole.hexdigest()


def _sorted_runs(digests: Iterator[bytes], files: ExitStack) -> Iterator[Iterable[bytes]]:
    run, file = sorted(islice(digests, RUN)), None
    while len(run) == RUN:
        if file is None:  # most digests need no file, and some machines have no place for one
            file = files.enter_context(TemporaryFile())  # noqa: SIM115  # it is closed with `files`
        start = file.tell()
        file.write(b"".join(run))
        file.flush()  # which writes all of it, or says why not: unbuffered, a full disk took a part in silence
        yield _read_run(file.fileno(), start, file.tell())
        run = sorted(islice(digests, RUN))
    yield run


def _read_run(file: int, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _BLOCK):
        block = os.pread(file, min(_BLOCK, end - at), at)
        yield from (block[each : each + _EACH] for each in range(0, len(block), _EACH))


def with_digest(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer with its `digest`, the SHA-256 of the answer as canonical JSON, in hex. It is a deep copy, because what it was made
    from is kept for the next question: the caller may change it."""
    answer = {**answer, "digest": sha256(canonical(answer)).hexdigest()}
    alone: dict[str, Any] = msgspec.to_builtins(answer)
    return alone
