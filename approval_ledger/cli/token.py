"""`approvals token`: who may read and append over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import tokens
from . import show
from .options import Data, Json, Ledger, Url, as_utf8, open_ledger


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    token = typer.Typer(help="Tokens for the HTTP API of a ledger.", no_args_is_help=True)
    token.command("create")(create)
    token.command("list")(list_)
    token.command("revoke")(revoke)
    app.add_typer(token, name="token")


def create(
    *,
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="read|append|admin", help="What it is for; admin is for everything. May be repeated."
        ),
    ],
    note: Annotated[
        str, typer.Option(metavar="TEXT", help="Whose it is, for the list.", callback=as_utf8)
    ] = "",
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Make a token and print it, only this once: it is not stored."""
    scopes = _scopes(scope)
    with open_ledger(url, data, ledger, make=True) as opened:
        token, text = tokens.create(opened.log, scopes, note)
    if json:
        show.json({"ledger": opened.log.ledger, "id": token.id, "scopes": list(token.scopes), "token": text})
        return
    show.plain(text)
    show.complain(
        f"token {token.id} of ledger {opened.log.ledger}, for: {', '.join(token.scopes)}. It is not shown again. "
        "Send it as `Authorization: Bearer ...`"
    )


def _scopes(given: list[str]) -> list[tokens.Scope]:
    chosen = [scope for scope in tokens.SCOPES if scope in given]
    if unknown := set(given) - set(chosen):
        raise typer.BadParameter(f"{min(unknown)!r} is not a scope: give {', '.join(tokens.SCOPES)}")
    return chosen


def list_(*, url: Url = None, data: Data = None, ledger: Ledger = None, json: Json = False) -> None:
    """List the tokens: id, scopes, note, and when each was made."""
    with open_ledger(url, data, ledger) as opened:
        found = tokens.all_of(opened.log)
    if json:
        listed = [{"id": t.id, "scopes": list(t.scopes), "note": t.note, "created": t.created} for t in found]
        show.json({"ledger": opened.log.ledger, "tokens": listed})
        return
    show.table(
        ["id", "for", "created", "note"],
        ([t.id, ", ".join(t.scopes), t.created, t.note] for t in found),
        empty="no token yet",
    )


def revoke(
    id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            callback=as_utf8,
            help="As `list` shows it; in a token, what is between its two dots.",
        ),
    ],
    *,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Revoke a token, from the next request on."""
    with open_ledger(url, data, ledger) as opened:
        tokens.revoke(opened.log, id)
    if json:
        show.json({"ledger": opened.log.ledger, "revoked": id})
    else:
        show.plain(f"token {id} is revoked")
