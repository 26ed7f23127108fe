"""`approvals replay`, `status`, `work`, `up` and `park`: running the projections, and looking after them."""

from __future__ import annotations

import shlex
import time
from functools import partial
from typing import Annotated, Any

import typer

from events import (
    BadQuestion,
    IdConflict,
    InvalidEvent,
    LedgerError,
    Log,
    LogForked,
    RecordedEvent,
    StaleExpectation,
    StorageUnavailable,
    Unreadable,
    as_json_line,
    loads,
    masked,
    valid_events,
)
from projections import PROJECTIONS, Projection, Store, live_generations, replay
from workers import behind, collect_rarely, workers_alive

from ..api.settings import DEFAULT_HOST, DEFAULT_PORT, DEFAULT_RATE
from ..config import Opened
from ..examples_at import example
from ..status import status_of
from . import show
from .options import Data, Json, Ledger, Url, open_ledger
from .serve import AllowHost, Host, Port, PublicReads, Rate, http_settings, show_address

Names = Annotated[
    list[str] | None, typer.Argument(metavar="PROJECTION", help="Which projections; all if none is named.")
]
Workers = Annotated[int, typer.Option(metavar="N", min=1, max=64, help="Worker processes.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("replay")(replay_)
    for command in (status, work, up):
        app.command()(command)
    park = typer.Typer(help="The events that a projection could not apply.", no_args_is_help=True)
    park.command("list")(park_list)
    park.command("show")(park_show)
    park.command("retry")(park_retry)
    app.add_typer(park, name="park")


def replay_(
    names: Names = None,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare and switch nothing; exit 1 if a digest differs.")
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="Make the generation before the live one live again.")
    ] = False,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Rebuild projections from the first event, beside the live ones; compare digests; switch."""
    if verify and back:
        raise typer.BadParameter("--verify and --back exclude each other")
    chosen = _chosen(names)
    collect_rarely()
    with open_ledger(url, data, ledger) as opened:
        if back:
            _show_back(opened.log.ledger, _go_back(opened.log, chosen), json)
            _tell_what_cannot_be_read(opened.log, chosen)
            return
        if verify or not workers_alive(opened.log.client, opened.log.ledger):
            _catch_up_what_can_be(opened.log, tell=verify)
        if not verify:
            _tell_what_a_replay_leaves(opened.log, chosen)
        results = _rebuild_and_show(opened.log, chosen, json, verify=verify)
    if verify and any(result["equal"] is not True and result["position"] for result in results):
        raise typer.Exit(1)


def _chosen(names: list[str] | None) -> list[Projection]:
    unknown = [name for name in names or [] if name not in PROJECTIONS]
    if unknown:
        raise typer.BadParameter(
            f"{show.visible(', '.join(unknown))}: no such projection; there are {', '.join(PROJECTIONS)}"
        )
    return [PROJECTIONS[name] for name in dict.fromkeys(names or PROJECTIONS)]


def _rebuild_and_show(
    log: Log, chosen: list[Projection], json: bool, *, verify: bool = False
) -> list[dict[str, Any]]:
    """Shows those that can be rebuilt. If another cannot be, raises its error when the rest is done."""
    results, errors = _rebuild(log, chosen, switch=not verify)
    if json and results:
        show.json({"ledger": log.ledger, "verify": verify, "projections": results})
    elif results:
        _show_replay(results)
    _raise_all(errors)
    return results


def _go_back(log: Log, chosen: list[Projection]) -> dict[str, int]:
    """All of them or none, as far as can be seen before."""
    stores = [Store(log, projection) for projection in chosen]
    if missing := [store.projection.name for store in stores if not store.previous()]:
        raise BadQuestion(
            f"{', '.join(missing)}: there is no earlier generation to go back to, so nothing was switched. "
            "Name the projections that have one: `approvals status --json` shows it as `previous`"
        )
    return {store.projection.name: replay.go_back(store) for store in stores}


def _tell_what_cannot_be_read(log: Log, chosen: list[Projection]) -> None:
    """What is live again may be of another version: whoever went back so far needs the software that made it."""
    for generation in live_generations(log, chosen):
        try:
            generation.checkpoint()
        except Unreadable as error:
            show.fail(error)


def _catch_up_what_can_be(log: Log, *, tell: bool) -> None:
    """A replay is the way out of a fork or an old version, so whatever stops the live projections must not stop it. To whoever
    replays, `_tell_what_a_replay_leaves` tells it."""
    from workers import run_here

    try:
        run_here(log.client, log.ledger)
    except LedgerError as error:
        if tell:
            show.fail(error)


def _tell_what_a_replay_leaves(log: Log, chosen: list[Projection]) -> None:
    """What stops other projections than those `chosen`; and that the log is another one, because after a replay nothing remembers the
    one that was read before, and that events may be lost. What else stops those chosen the replay mends, as its own advice would be."""
    stopped: dict[str, Exception] = {}
    behind(log, stopped)
    forked = [name for name, error in stopped.items() if isinstance(error, LogForked)]
    replayed = {projection.name for projection in chosen}
    for name, error in stopped.items():
        if name not in replayed and name not in forked and isinstance(error, LedgerError):
            show.fail(error)
    if forked:
        show.fail(
            LogForked(
                f"ledger {log.ledger}: the log is not the one that {', '.join(forked)} had read: it was rolled back or replaced (an "
                "old backup, a promoted replica). If it is the wrong one, restore the right one, and replay again"
            )
        )


def _rebuild(
    log: Log, chosen: list[Projection], *, switch: bool
) -> tuple[list[dict[str, Any]], list[LedgerError]]:
    head, stores = log.head(), [Store(log, projection) for projection in chosen]
    started = time.monotonic()
    with show.progress() as bar:
        task = bar.add_task(f"replaying {', '.join(projection.name for projection in chosen)}", total=head)
        rebuilt = replay.rebuild_together(stores, lambda position: bar.update(task, completed=position))
    seconds = time.monotonic() - started
    results, errors = [], []
    for store, outcome in zip(stores, rebuilt, strict=True):
        try:
            results.append(_finished(store, outcome, seconds, switch=switch))
        except LedgerError as error:
            errors.append(error)
    return results, errors


def _finished(
    store: Store, outcome: replay.Rebuilt | Exception, seconds: float, *, switch: bool
) -> dict[str, Any]:
    """What to show of a projection that was rebuilt in a pass of this many `seconds`, once it is live or discarded."""
    if isinstance(outcome, Exception):
        raise outcome
    if switch:
        replay.adopt(store, outcome)
    else:
        replay.discard(store, outcome)
    return {
        "projection": store.projection.name,
        "version": store.projection.version,
        "position": outcome.position,
        "seconds": round(seconds, 3),
        "events_per_second": round(outcome.position / seconds) if seconds else None,
        "live_digest": outcome.live_digest,
        "digest": outcome.digest,
        "equal": None if outcome.live_digest is None else not outcome.differs,
        "switched_to": outcome.generation if switch else None,
    }


def _show_replay(results: list[dict[str, Any]]) -> None:
    words = {True: "equal", False: "DIFFERENT", None: "not comparable"}
    show.table(
        ["projection", "events", "seconds", "events/s", "live digest", "replayed", "", "live generation"],
        (
            [
                result["projection"],
                result["position"],
                f"{result['seconds']:.2f}",
                f"{result['events_per_second'] or 0:,}",
                (result["live_digest"] or "")[:16],
                result["digest"][:16],
                words[result["equal"]],
                result["switched_to"] or "as before",
            ]
            for result in results
        ),
    )


def _show_back(ledger: str, numbers: dict[str, int], json: bool) -> None:
    if json:
        show.json({"ledger": ledger, "live": numbers})
        return
    for name, number in numbers.items():
        show.plain(f"{name}: generation {number} is live again")


def status(*, url: Url = None, data: Data = None, ledger: Ledger = None, json: Json = False) -> None:
    """The server and its durability, the head, and each projection's position, lag, generation, digest and parked events."""
    with open_ledger(url, data, ledger) as opened:
        report = status_of(opened.log, opened.where)
    if json:
        show.json(report)
    else:
        _show_status(report)
    # Of a ledger of which not even the head is seen nobody knows that nothing is wrong.
    if report["says"] or report["head"] is None:
        raise typer.Exit(1)


def _show_status(report: dict[str, Any]) -> None:
    server = report["server"]
    durable = {True: "durable", False: "NOT DURABLE: appends are refused", None: "durability unknown"}
    software = f"{server['software']} {server['version']}" if server["software"] else "a server"
    show.plain(f"ledger {report['ledger']} on {server['where']}: {software}, {durable[server['durable']]}")
    if server["settings"]:
        show.plain(
            ", ".join(f"{setting} {value or '-'}" for setting, value in sorted(server["settings"].items()))
        )
    head, workers, queue = (
        "unknown" if report[name] is None else report[name] for name in ("head", "workers", "queue")
    )
    show.plain(f"head {head}, {workers} workers alive, {queue} jobs waiting")
    show.table(
        ["projection", "version", "position", "lag", "generation", "digest", "parked"],
        (
            [
                p["projection"],
                p["version"],
                p["position"],
                "" if p["lag"] is None else p["lag"],
                p["generation"],
                (p["digest"] or "")[:16],
                p["parked"],
            ]
            for p in report["projections"]
        ),
        empty="no projection can be seen",
    )
    if (webhooks := report["webhooks"]) and any(webhooks.values()):
        show.plain(
            f"webhooks: {webhooks['enabled']} enabled ({webhooks['failing']} failing), {webhooks['disabled']} disabled, "
            f"{webhooks['dead_letters']} dead letters"
        )
    for line in report["unseen"]:
        show.plain(f"not seen: {line}")
    for line in report["says"]:
        show.complain(line)


def work(
    *,
    workers: Workers = 1,
    burst: Annotated[
        bool,
        typer.Option(
            "--burst",
            help="Stop when every projection is caught up, requested rebuilds are done, and what is due is sent to webhooks.",
        ),
    ] = False,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
) -> None:
    """Run RQ workers for a ledger, until Ctrl-C (a second one does not wait for running jobs)."""
    from workers import supervise

    from .. import telemetry

    telemetry.configure()
    with open_ledger(url, data, ledger, make=True) as opened:
        if burst:
            _burst(opened, workers)
        else:
            supervise(
                opened.url,
                opened.log.ledger,
                workers,
                configure=telemetry.configure,
                revive=opened.revive,
            )


def _burst(opened: Opened, workers: int) -> None:
    """Catches up, rebuilds and delivers, each whatever becomes of the others: the rebuild that was asked for may be the way out
    for what cannot be caught up. Raises what went wrong, when all is done."""
    from workers import deliver_here, rebuild_here, run_here, run_here_in

    from .. import telemetry

    client, ledger = opened.log.client, opened.log.ledger
    catch_up = (
        partial(run_here, client, ledger)
        if workers == 1
        else partial(run_here_in, workers, opened.url, ledger, telemetry.configure)
    )
    errors: dict[str, LedgerError] = {}

    def look() -> None:
        """Of several projections that cannot go on, a catch-up raises why one cannot."""
        stopped: dict[str, Exception] = {}
        behind(opened.log, stopped)
        errors.update({str(error): error for error in stopped.values() if isinstance(error, LedgerError)})

    for do in (catch_up, look, partial(rebuild_here, client, ledger), partial(deliver_here, client, ledger)):
        try:
            do()
        except StorageUnavailable:
            raise
        except LedgerError as error:
            errors.setdefault(str(error), error)  # a damaged log stops each of them
    _raise_all(list(errors.values()))


def _raise_all(errors: list[LedgerError]) -> None:
    """Shows each, and raises the last one, where there are any."""
    for error in errors[:-1]:
        show.fail(error)
    for error in errors[-1:]:
        raise error


def up(
    *,
    workers: Workers = 1,
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    allow_host: AllowHost = None,
    public_reads: PublicReads = None,
    rate: Rate = DEFAULT_RATE,
    with_history: Annotated[
        bool,
        typer.Option(
            "--with-history",
            help="Publish the example history first, into a ledger that is empty or already holds it.",
        ),
    ] = False,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
) -> None:
    """Run workers and the HTTP API in the foreground, and the embedded server with them unless a URL names another, until
    Ctrl-C."""
    from workers import supervise

    from .. import telemetry
    from ..api.serving import Serving, bound

    telemetry.configure()
    with open_ledger(url, data, ledger, make=True) as opened:
        log = opened.log
        settings = http_settings(log, host, port, allow_host, public_reads, rate)
        with bound(settings) as listening:
            if with_history:
                _publish_history(log)
            show.plain(f"ledger {log.ledger} on {opened.where}, at position {log.head()}; Ctrl-C stops it")
            elsewhere = shlex.join(
                ["approvals", "status", "--ledger", log.ledger, "--url", masked(opened.url)]
            )
            show.plain(f"from another terminal: {elsewhere}")
            show_address(settings, listening, log)
            with Serving(opened.url, settings, listening, telemetry.configure):
                supervise(
                    opened.url, log.ledger, workers, configure=telemetry.configure, revive=opened.revive
                )


def _publish_history(log: Log) -> None:
    """Publishes it, unless it is there. Raises BadQuestion where the ledger holds anything else: what is real there must not be
    mixed with examples."""
    try:
        log.append(valid_events(example("history.ndjson").read_bytes()), expected_position=0)
    except (StaleExpectation, IdConflict):
        raise BadQuestion(
            f"ledger {log.ledger} holds {log.head():,} events, not this history: --with-history is for an empty ledger. Name "
            "one, for example with --ledger history, or leave --with-history out to look at what is there"
        ) from None


def park_list(
    names: Names = None, *, url: Url = None, data: Data = None, ledger: Ledger = None, json: Json = False
) -> None:
    """List the parked events: projection, position, reason."""
    chosen = _chosen(names)
    with open_ledger(url, data, ledger) as opened:
        parked = [
            {"projection": generation.name, "position": position, "reason": reason}
            for generation in live_generations(opened.log, chosen)
            for position, reason in generation.parked().items()
        ]
    if json:
        show.json({"ledger": opened.log.ledger, "parked": parked})
    else:
        show.table(
            ["projection", "position", "reason"], (p.values() for p in parked), empty="no event is parked"
        )


def park_show(
    position: Annotated[int, typer.Argument(metavar="POSITION", min=1, help="As `list` shows it.")],
    *,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Show one parked event as it is stored, and why each projection parked it."""
    with open_ledger(url, data, ledger) as opened:
        reasons = {
            generation.name: parked[position]
            for generation in live_generations(opened.log, PROJECTIONS.values())
            if position in (parked := generation.parked())
        }
        recorded = opened.log.at(position)
    if not reasons or recorded is None:
        raise BadQuestion(
            f"no projection has parked position {position}: `approvals park list` lists what is parked"
        )
    if json:
        show.json(
            {
                "ledger": opened.log.ledger,
                "position": position,
                "reasons": reasons,
                "event": _as_json(recorded),
            }
        )
    else:
        show.plain(as_json_line(recorded).decode(errors="backslashreplace"))
        show.table(["projection", "reason"], reasons.items())


def _as_json(recorded: RecordedEvent) -> Any:
    """The stored event, or, where it is no JSON, its bytes as text."""
    line = as_json_line(recorded)
    try:
        return loads(line)
    except InvalidEvent:
        return line.decode(errors="backslashreplace")


def park_retry(
    names: Names = None, *, url: Url = None, data: Data = None, ledger: Ledger = None, json: Json = False
) -> None:
    """Try again after an upgrade: replays each projection with parked events, so that every event counts in its turn."""
    chosen = _chosen(names)
    with open_ledger(url, data, ledger) as opened:
        live = live_generations(opened.log, chosen)
        having = [generation.store.projection for generation in live if generation.parked()]
        if having:
            _rebuild_and_show(opened.log, having, json)
        elif json:
            show.json({"ledger": opened.log.ledger, "verify": False, "projections": []})
        else:
            show.plain("no event is parked")
