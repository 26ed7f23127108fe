"""The digest of a projection's documents: the same log gives the same digest, on any machine, after any replay."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from events import canonical


def digest(documents: Mapping[str, Any]) -> str:
    """SHA-256 of the documents as one canonical JSON object, in hex."""
    return digest_of_stored({name: canonical(value) for name, value in documents.items()})


def digest_of_stored(documents: Mapping[str, bytes]) -> str:
    """The same, from documents that are canonical JSON already."""
    running = sha256(b"{")
    for index, name in enumerate(sorted(documents)):
        running.update(b"," if index else b"")
        running.update(canonical(name) + b":" + documents[name])
    running.update(b"}")
    return running.hexdigest()


def digest_of_answer(answer: Any) -> str:
    """SHA-256 of an answer as canonical JSON, in hex."""
    return sha256(canonical(answer)).hexdigest()
