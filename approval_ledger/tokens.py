"""Tokens: who may read, append and administer over HTTP, by ledger. Only a digest of a token is stored.

A token's secret is 256 random bits. Passwords are guessable because people choose them; here there is nothing to guess, so a slow
hash would protect nothing, and SHA-256 is enough. Each request is checked anew, so a revocation takes effect with the next one.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, cast

from events import BadQuestion, Log, LogDamaged, Unreadable, canonical, keys, storage, stored_json

Scope = Literal["read", "append", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "append", "admin")
NOTE_LIMIT = 200  # characters

_TOKEN = re.compile(r"alt\.(?P<id>[0-9a-f]{12})\.(?P<secret>[A-Za-z0-9_-]{43})", re.ASCII)
_NO_DIGEST = "0" * 64  # compared with where the id is unknown, so that both take the same time


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. `admin` may do whatever any scope may."""

    id: str
    scopes: tuple[Scope, ...]
    note: str
    created: str

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


def create(log: Log, scopes: Iterable[Scope], note: str = "") -> tuple[Token, str]:
    """A new token of this ledger, and its text, which is not kept anywhere. Raises BadQuestion."""
    chosen = tuple(scope for scope in SCOPES if scope in set(scopes))
    if not chosen:
        raise BadQuestion(f"a token is for at least one of {', '.join(SCOPES)}")
    if len(note) > NOTE_LIMIT or not (note == "" or note.isprintable()):
        raise BadQuestion(f"a note is one line of at most {NOTE_LIMIT} characters")
    token = Token(secrets.token_hex(6), chosen, note, datetime.now(UTC).isoformat(timespec="seconds"))
    text = f"alt.{token.id}.{secrets.token_urlsafe(32)}"
    record = {"scopes": chosen, "note": note, "created": token.created, "sha256": _digest(text)}
    with _stored(log, writing=True):
        log.client.hset(keys.tokens(log.ledger), token.id, cast(Any, canonical(record)))
    return token, text


def all_of(log: Log) -> list[Token]:
    """Every token of this ledger, the oldest first. Raises Unreadable where something else wrote to one of them, or to their key."""
    with _stored(log):
        found = cast(dict[bytes, bytes], log.client.hgetall(keys.tokens(log.ledger)))
    tokens = [_read(name.decode("utf-8", "replace"), stored) for name, stored in found.items()]
    return sorted((token for token, _ in tokens), key=lambda token: (token.created, token.id))


def revoke(log: Log, id: str) -> None:
    """Revokes a token, from the next request on. Raises BadQuestion if there is no such token."""
    with _stored(log, writing=True):
        gone = log.client.hdel(keys.tokens(log.ledger), id)
    if not gone:
        raise BadQuestion(f"ledger {log.ledger} has no token {id[:80]!r}: `approvals token list` lists all")


def any_of(log: Log) -> bool:
    """Whether this ledger has a token."""
    with _stored(log):
        return bool(log.client.hlen(keys.tokens(log.ledger)))


def known(log: Log, text: str) -> Token | None:
    """The token of this ledger with this `text`, or None, which takes just as long. Raises Unreadable as `all_of` does."""
    match = _TOKEN.fullmatch(text)
    name = match["id"] if match else "unknown"
    with _stored(log):
        found = cast(bytes | None, log.client.hget(keys.tokens(log.ledger), name))
    token, digest = (None, _NO_DIGEST) if found is None else _read(name, found)
    right = hmac.compare_digest(digest, _digest(text))
    return token if right and match else None


@contextmanager
def _stored(log: Log, *, writing: bool = False) -> Iterator[None]:
    """As `storage`. Raises Unreadable where the key of the tokens is no hash."""
    try:
        with storage(writing=writing):
            yield
    except LogDamaged:
        place = keys.tokens(log.ledger)
        raise Unreadable(
            f"{place} is not a hash: something else wrote to it. Delete that key, and create new tokens: the old ones are lost"
        ) from None


def _read(id: str, stored: bytes) -> tuple[Token, str]:
    """What is known of a token, and the digest of its text."""
    try:
        record = stored_json(stored)
        token = Token(id, tuple(record["scopes"]), record["note"], record["created"])
        scopes_are_known, digest = set(token.scopes) <= set(SCOPES), bytes.fromhex(record["sha256"]).hex()
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(id, repr(error)) from None
    if not scopes_are_known:
        raise _unreadable(id, "no such scope")
    return token, digest


def _unreadable(id: str, why: str) -> Unreadable:
    return Unreadable(
        f"token {id[:80]} is not what this software writes ({why}): something else wrote to it. "
        f"Run `approvals token revoke {id[:80]}` and create another"
    )


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
