"""Signatures by the convention of Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`."""

from __future__ import annotations

import base64
import hmac
import secrets

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """A new secret in the form that receivers use: `whsec_` and the base64 of random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key(secret: str) -> bytes:
    """The random bytes of a secret. Raises ValueError if it is not one."""
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def headers(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that sign `body`. `id` is the same for every attempt, `timestamp` (Unix seconds) is that of this one."""
    signature = hmac.digest(key(secret), f"{id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
