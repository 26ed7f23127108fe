"""Who is at work: the workers of a ledger, by the names of their connections."""

from __future__ import annotations

from redis import Redis

from events import storage

CONNECTION_NAME = "approvals-worker"


def connection_name(ledger: str) -> str:
    """What the connections of a ledger's workers are called, except for the ending that tells processes apart."""
    return f"{CONNECTION_NAME}-{ledger}"


def workers_alive(client: Redis, ledger: str) -> int:
    """How many workers are connected for `ledger`. One that was killed no longer counts: its connection closed with it."""
    with storage():
        clients = client.client_list(_type="normal")
    # Another database of the server has another ledger of that name.
    database = str(client.connection_pool.connection_kwargs.get("db") or 0)
    # One process may have several connections.
    names = {str(c["name"]) for c in clients if c["db"] == database}
    return sum(name.rsplit("-", 2)[0] == connection_name(ledger) for name in names)
