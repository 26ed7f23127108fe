"""`approvals webhook`: who gets the events as they come, and what they did not take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from events import Log
from workers import webhooks
from workers.webhooks import Answer, Subscription, dead_letters, subscriptions

from .. import subscribed
from . import show
from .options import Data, Json, Ledger, Url, as_utf8, open_ledger

Id = Annotated[
    str, typer.Argument(metavar="ID", callback=as_utf8, help="The id of a subscription, as `list` shows it.")
]
Positions = Annotated[
    list[int] | None,
    typer.Argument(metavar="POSITION", min=1, help="Which dead letters; all if none is named."),
]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    webhook = typer.Typer(
        help="Subscriptions: events are sent to URLs as they come, by the workers.", no_args_is_help=True
    )
    webhook.command("list")(list_)
    webhook.command("test")(send_test)
    for command in (add, remove, enable, disable, failures, retry, drop):
        webhook.command()(command)
    app.add_typer(webhook, name="webhook")


def add(
    address: Annotated[
        str,
        typer.Argument(
            metavar="URL", callback=as_utf8, help="https:// or http://; it gets a POST for each event."
        ),
    ],
    *,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only this type; may be given several times."),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Even if its host is not on the public internet.")
    ] = False,
    after: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Begin after position N of the log. \\[default: with the events from now on]",
        ),
    ] = None,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Subscribe a URL. Shows, only this once, the secret with which deliveries are signed."""
    with open_ledger(url, data, ledger, make=True) as opened:
        added = subscriptions.add(opened.log, address, types or (), private=allow_private, after=after)
        (report,) = subscribed.reports(opened.log, [added])
    if json:
        show.json(report | {"secret": added.secret})
        return
    show.plain(f"subscription {added.id}, after position {added.position}")
    show.plain(f"secret {added.secret}")
    show.plain("it is not shown again; the receiver checks the signatures with it")


def list_(*, url: Url = None, data: Data = None, ledger: Ledger = None, json: Json = False) -> None:
    """List the subscriptions: where each is, and what is wrong."""
    with open_ledger(url, data, ledger) as opened:
        name = opened.log.ledger
        reports = subscribed.reports(opened.log, subscriptions.all_of(opened.log))
    if json:
        show.json({"ledger": name, "webhooks": reports})
        return
    show.table(
        ["id", "url", "types", "position", "lag", "dead letters", "state"],
        (
            [
                report["id"],
                report["url"],
                ", ".join(report["types"]) or "all",
                report["position"],
                report["lag"],
                report["dead_letters"],
                _state(report),
            ]
            for report in reports
        ),
        empty="nobody is subscribed",
    )


def remove(id: Id, *, url: Url = None, data: Data = None, ledger: Ledger = None, json: Json = False) -> None:
    """End a subscription, and forget its dead letters."""
    with open_ledger(url, data, ledger) as opened:
        subscriptions.remove(opened.log, id)
    if json:
        show.json({"removed": id})
    else:
        show.plain(f"subscription {id} is removed")


def enable(
    id: Id,
    *,
    after: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Go on after position N instead of where it stopped."),
    ] = None,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Resume delivery at once, after it was disabled or without waiting for the next attempt."""
    with open_ledger(url, data, ledger) as opened:
        _show_one(opened.log, subscriptions.enable(opened.log, id, after=after), json)


def disable(id: Id, *, url: Url = None, data: Data = None, ledger: Ledger = None, json: Json = False) -> None:
    """Stop sending until the subscription is enabled again; it keeps its place."""
    with open_ledger(url, data, ledger) as opened:
        _show_one(opened.log, subscriptions.disable(opened.log, id), json)


def failures(
    id: Annotated[
        str | None, typer.Argument(metavar="ID", callback=as_utf8, help="One subscription; without it, all.")
    ] = None,
    *,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """List the dead letters: the events that a receiver did not take, however often they were offered."""
    with open_ledger(url, data, ledger) as opened:
        log = opened.log
        chosen = subscriptions.all_of(log) if id is None else [subscriptions.get(log, id)]
        letters = subscribed.letters(log, chosen)
    if json:
        show.json({"ledger": log.ledger, "dead_letters": letters})
    else:
        show.table(
            ["webhook", "position", "tries", "status", "says", "last try"],
            (["" if cell is None else cell for cell in letter.values()] for letter in letters),
            empty="there are no dead letters",
        )


def retry(
    id: Id,
    positions: Positions = None,
    *,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Send dead letters again, now; those that are taken are removed from the list. Exit 1 if one is not taken."""
    with open_ledger(url, data, ledger) as opened:
        chosen = _chosen(opened.log, id, positions)
        answers = _send_again(opened.log, id, chosen)
    results = [subscribed.retried(position, answer) for position, answer in answers.items()]
    if json:
        show.json({"webhook": id, "retried": results})
    else:
        show.table(
            ["position", "", "says"],
            (
                [each["position"], "delivered" if each["delivered"] else "NOT delivered", each["says"]]
                for each in results
            ),
            empty="there are no dead letters",
        )
    if left := len(chosen) - len(answers):
        show.complain(f"no answer came, so {left} more were not tried")
    if not all(answer.is_success for answer in answers.values()):
        raise typer.Exit(1)


def drop(
    id: Id,
    positions: Positions = None,
    *,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Forget dead letters: the events stay in the log, and are not sent."""
    with open_ledger(url, data, ledger) as opened:
        dropped = _chosen(opened.log, id, positions)
        for position in dropped:
            dead_letters.drop(opened.log, id, position)
    if json:
        show.json({"webhook": id, "dropped": dropped})
    else:
        show.plain(f"dropped: {show.positions(dropped) or 'nothing'}")


def send_test(
    id: Id, *, url: Url = None, data: Data = None, ledger: Ledger = None, json: Json = False
) -> None:
    """Send one signed test event (webhook.test.v1), which is not in the log. Exit 1 if it is not taken."""
    with open_ledger(url, data, ledger) as opened:
        answer = webhooks.send_test(opened.log, id)
    if json:
        show.json(
            {
                "webhook": id,
                "delivered": answer.is_success,
                "status": answer.status or None,
                "says": answer.says,
            }
        )
    else:
        show.plain(f"{'delivered' if answer.is_success else 'NOT delivered'}: {answer.says}")
    if not answer.is_success:
        raise typer.Exit(1)


def _chosen(log: Log, id: str, positions: Iterable[int] | None) -> list[int]:
    """The dead letters that are named, or all of them. Raises BadQuestion, before anything is done, if one does not exist."""
    subscriptions.get(log, id)
    named = positions or [letter.position for letter in dead_letters.all_of(log, id)]
    chosen = list(dict.fromkeys(named))
    for position in chosen:
        dead_letters.require(log, id, position)
    return chosen


def _send_again(log: Log, id: str, chosen: list[int]) -> dict[int, Answer]:
    """One after the other, up to the first that nobody answers: the next one would wait as long for nothing."""
    answers: dict[int, Answer] = {}
    for position in chosen:
        answers[position] = webhooks.send_again(log, id, position)
        if not answers[position].status:
            break
    return answers


def _show_one(log: Log, changed: Subscription, json: bool) -> None:
    (report,) = subscribed.reports(log, [changed])
    if json:
        show.json(report)
    else:
        show.plain(f"subscription {changed.id}, after position {changed.position}: {_state(report)}")


def _state(report: dict[str, Any]) -> str:
    if not report["enabled"]:
        return f"disabled: {report['says'] or 'by hand'}"
    if report["tries"]:
        return f"{report['tries']} failed, the next try is at {report['next_try']}: {report['says']}"
    return "enabled"
