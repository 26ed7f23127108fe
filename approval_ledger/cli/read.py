"""`approvals events`, `totals`, `batches`, `companies`, `shares`, `sources`: what the ledger holds, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from events import Event, InvalidEvent, Lagging, Log, RecordedEvent, as_json_line, loads
from projections import Answer, Asked, queries

from ..listing import listed
from . import show
from .fresh import fresh_answer
from .options import (
    AtLeast,
    Data,
    Json,
    KnownAs,
    KnownAt,
    Ledger,
    Url,
    ValidAt,
    WholeEvidence,
    as_utf8,
    asked_as_of,
    open_ledger,
)

if TYPE_CHECKING:
    from ..suspects import Suspect


SOME_NAMES = 2  # of a company in a list of them; one company is shown with all


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (events, totals, batches, companies, shares, sources):
        app.command()(command)


def events(
    *,
    after: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Only events after position N (backwards: before N; 0: all)."),
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most N events.", show_default=False)
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="S", help="Only events of this subject.", show_default=False, callback=as_utf8),
    ] = None,
    backwards: Annotated[bool, typer.Option("--backwards", help="Newest first.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for new events, until Ctrl-C.")] = False,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Print the events as they are stored; with --json one CloudEvent a line (NDJSON)."""
    if follow and (backwards or subject is not None):
        raise typer.BadParameter("--follow goes with neither --backwards nor --subject")
    with open_ledger(url, data, ledger) as opened:
        log = opened.log
        line = _as_json if json else _as_text
        if follow and after > (head := log.head()):
            raise Lagging(f"ledger {log.ledger} ends at position {head}: it has no position {after} yet")
        try:
            last = after
            for recorded in listed(log, after=after, limit=limit, subject=subject, backwards=backwards):
                line(recorded)
                last = recorded.position
                limit = None if limit is None else limit - 1
            if follow and limit != 0:
                _follow(log, last, limit, line)
        except KeyboardInterrupt:
            if not follow:
                raise


def _follow(log: Log, after: int, limit: int | None, line: Callable[[RecordedEvent], None]) -> None:
    for recorded in log.follow(after):
        if recorded is not None:
            line(recorded)
            limit = None if limit is None else limit - 1
            if limit == 0:
                return


def _as_json(recorded: RecordedEvent) -> None:
    show.raw(as_json_line(recorded))


def _as_text(recorded: RecordedEvent) -> None:
    time = recorded.recorded_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    show.plain(f"{recorded.position:>6}  {time}  {_described(recorded)}")


def _described(recorded: RecordedEvent) -> str:
    # Not decoded: an event of a version that this software does not know has its place in the list, too.
    try:
        event = loads(recorded.payload)
        return f"{event['type']:<22}  {event['id']}  ({event['source']})"
    except (InvalidEvent, KeyError, TypeError):
        return "(holds no event)"


def totals(
    *,
    authority: Annotated[
        str | None, typer.Option(help="Only of this authority.", show_default=False, callback=as_utf8)
    ] = None,
    instrument: Annotated[
        str | None, typer.Option(help="Only of this instrument.", show_default=False, callback=as_utf8)
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Only of this unit.", show_default=False, callback=as_utf8)
    ] = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="At every day on which the figure may change.")
    ] = False,
    whole_evidence: WholeEvidence = False,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """How many approvals there are, at the last day that the ledger speaks of, as bounds with their evidence."""

    ask = partial(
        queries.totals,
        authority=authority,
        instrument=instrument,
        unit=unit,
        steps=steps,
        whole_evidence=whole_evidence,
    )
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    shown = show_totals if authority is instrument is unit is None else _show_totals_of_terms
    _answer(ask, asked, shown, url, data, ledger, json)


def batches(
    *,
    whole_evidence: WholeEvidence = False,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """The batches: size, who is named, how many are not, and the total just before."""

    ask = partial(queries.batches, whole_evidence=whole_evidence)
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    _answer(ask, asked, show_batches, url, data, ledger, json)


def companies(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Any name of a company, for its history.", callback=as_utf8),
    ] = None,
    *,
    suspects: Annotated[
        bool,
        typer.Option(
            "--suspects",
            help="Pairs of names that look alike and that no event joins; with --json, the events that would.",
        ),
    ] = False,
    actor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of --suspects: on whose word the names would be joined. \\[default: editor]",
            show_default=False,
            callback=as_utf8,
        ),
    ] = None,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """The companies with their approvals; or one, by any of its names, with its history."""
    if suspects and name is not None:
        raise typer.BadParameter("--suspects compares all companies: give no NAME")
    if actor is not None and not suspects:
        raise typer.BadParameter("--actor goes with --suspects")
    shown = show_companies if name is None else show_company
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    if suspects:
        from ..suspects import found, proposal, slugs_of_mergers

        with open_ledger(url, data, ledger) as opened:
            answer = fresh_answer(opened.log, queries.company_names, asked)
            pairs = found(answer)
            # A merger may name a company that no event identifies, on whatever day it was.
            every_day: Asked = {**asked, "valid_at": None}
            taken = slugs_of_mergers(fresh_answer(opened.log, queries.sources, every_day)) if pairs else ()
        by = "editor" if actor is None else actor
        show_suspects(answer, [(pair, proposal(pair, answer, by, taken)) for pair in pairs], json)
    else:
        _answer(partial(queries.companies, name=name), asked, shown, url, data, ledger, json)


def shares(
    *,
    approvals: Annotated[
        str | None,
        typer.Option(
            metavar="AUTHORITY/INSTRUMENT/UNIT",
            help="Ask what share these approvals are of --stock.",
            show_default=False,
            callback=as_utf8,
        ),
    ] = None,
    stock: Annotated[
        str | None,
        typer.Option(
            metavar="ESTIMATOR/REGION",
            help="An estimator's stock of models.",
            show_default=False,
            callback=as_utf8,
        ),
    ] = None,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Each estimator's stocks and shares, as intervals, with what they imply for the world and for the other regions."""
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    if approvals is None and stock is None:
        _answer(queries.shares, asked, show_shares, url, data, ledger, json)
        return
    authority, instrument, unit = _parts(approvals, 3, "--approvals AUTHORITY/INSTRUMENT/UNIT")
    estimator, region = _parts(stock, 2, "--stock ESTIMATOR/REGION")

    ask = partial(
        queries.share_of_stock,
        authority=authority,
        instrument=instrument,
        unit=unit,
        estimator=estimator,
        region=region,
    )
    _answer(ask, asked, show_share_of_stock, url, data, ledger, json)


def sources(
    *,
    after: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only claims that were first made after position N.")
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most N claims.", show_default=False)
    ] = None,
    valid_at: ValidAt = None,
    known_at: KnownAt = None,
    known_as: KnownAs = "recorded",
    at_least: AtLeast = 0,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Every claim, who makes it, and how many independent origins that leaves."""

    ask = partial(queries.sources, after=after, limit=limit)
    asked = asked_as_of(valid_at, known_at, known_as, at_least)
    _answer(ask, asked, show_sources, url, data, ledger, json)


def _parts(text: str | None, count: int, form: str) -> list[str]:
    parts = (text or "").split("/")
    if len(parts) != count or not all(parts):
        raise typer.BadParameter(f"give both --approvals and --stock: {form}")
    return parts


def _answer(
    ask: Callable[..., Answer],
    asked: Asked,
    shown: Callable[[Answer], None],
    url: str | None,
    data: Any,
    ledger: str | None,
    json: bool,
) -> None:
    with open_ledger(url, data, ledger) as opened:
        answer = fresh_answer(opened.log, ask, asked)
    if json:
        show.json(answer)
    else:
        shown(answer)
        if "parked" in answer:
            left_out = show.positions(answer["parked"])
            show.plain(
                f"without what could not be applied, at positions {left_out}: `approvals park list` says why"
            )
        show.plain(_footer(answer))


def _footer(answer: Answer) -> str:
    axes = [
        *([f"valid at {answer['valid_at']}"] if "valid_at" in answer else []),
        *([f"known at {answer['known_at']}"] if "known_at" in answer else []),
        *(["as published"] if "known_as" in answer else []),
    ]
    return ", ".join(
        [
            f"ledger {answer['ledger']} at position {answer['position']}",
            *axes,
            f"{answer['projection']} version {answer['version']}",
            f"digest {answer['digest'][:16]}",
        ]
    )


def _doubt(answer: dict[str, Any]) -> str:
    """Marks what may lie after the days that were asked about."""
    return " ?" if answer.get("perhaps") is True else ""


def show_totals(answer: Answer, *, empty: str = "nothing yet") -> None:
    """A row for each figure; with steps, one for each day."""
    found = answer["answers"]
    show.table(
        ["authority", "counted", "as of", *_figure_columns(found)],
        (
            [
                total["authority"],
                f"{total['instrument']} ({total['unit']})",
                total["as_of"],
                *_figures(total, found),
            ]
            for total in found
        ),
        empty=empty,
    )
    for total in found:
        if steps := total.get("steps"):
            show.heading(f"{total['authority']}, {total['instrument']} ({total['unit']}), by day")
            show.table(
                ["on", *_figure_columns(steps)], ([step["on"], *_figures(step, steps)] for step in steps)
            )
    show.contradictions(found)
    figures = [figure for total in found for figure in (total, *total.get("steps", ()))]
    _more_named(figure["named"] > figure["total"]["low"] for figure in figures)


def _show_totals_of_terms(answer: Answer) -> None:
    show_totals(
        answer,
        empty="nothing of these terms: `approvals totals` without --authority, --instrument and --unit lists what is counted",
    )


def _figure_columns(figures: list[dict[str, Any]]) -> list[str]:
    ended = any("in_force" in figure for figure in figures)
    return ["total", "named", "undisclosed", *(["in force"] if ended else []), "evidence"]


def _figures(figure: dict[str, Any], beside: list[dict[str, Any]]) -> list[object]:
    ended = any("in_force" in each for each in beside)
    in_force = show.bounds(figure["in_force"]) if "in_force" in figure else ""
    return [
        show.bounds(figure["total"]),
        figure["named"],
        show.bounds(figure["undisclosed"]),
        *([in_force] if ended else []),
        evidence(figure["evidence"]),
    ]


def _more_named(found: Iterable[bool]) -> None:
    if any(found):
        show.plain("more are known by name than there surely are, for reports contradict one another")


def evidence(found: dict[str, Any]) -> str:
    """`5, 6 and 3 more`."""
    listed = sorted({*found["low"], *found["high"]})
    return show.positions(listed) + _more(found["more"])


def _more(n: int) -> str:
    return f" and {n} more" if n > 0 else ""


def show_batches(answer: Answer) -> None:
    """A row for each batch."""
    show.table(
        ["authority", "batch", "announced", "size", "named", "undisclosed", "before", "evidence"],
        (
            [
                batch["authority"],
                show.batch_called(batch),
                " ".join(batch["announced_on"]) + _doubt(batch),
                show.bounds(batch["size"]),
                batch["named"],
                show.bounds(batch["undisclosed"]),
                show.bounds(batch["before"]),
                evidence(
                    {
                        "low": batch["evidence"]["size"]["low"] + batch["evidence"]["before"]["low"],
                        "high": batch["evidence"]["size"]["high"],
                        "more": batch["evidence"]["size"]["more"],
                    }
                ),
            ]
            for batch in answer["answers"]
        ),
    )
    show.contradictions(answer["answers"])
    _more_named(batch["named"] > batch["size"]["low"] for batch in answer["answers"])


def show_companies(answer: Answer) -> None:
    """A row for each company and for each of what it has approvals in."""
    show.table(
        ["company", "also", "approvals of", "named", "at most", "share", "evidence"],
        (
            [
                company["company"],
                ", ".join(company["names"][:SOME_NAMES]) + _more(len(company["names"]) - SOME_NAMES),
                approvals["terms"],
                approvals["named"],
                "" if approvals["approvals"]["high"] is None else approvals["approvals"]["high"],
                show.percent(approvals["share"]),
                evidence(approvals["evidence"]),
            ]
            for company in answer["answers"]
            for approvals in company["approvals"]
        ),
        empty="no company has an approval that is known by name",
    )
    if others := [company["company"] for company in answer["answers"] if not company["approvals"]]:
        show.plain(f"with no approval known by name: {', '.join(others)}")
    show.contradictions(answer["answers"])


def show_company(answer: Answer) -> None:
    """One company: its names, its approvals, its history and mergers."""
    show_companies(answer)
    for company in answer["answers"]:
        show.heading(f"{company['company']}: {', '.join(company['names'])}")
        merges = ({"kind": "merged", "source": {"publisher": ""}, **merge} for merge in company["merges"])
        show.table(
            ["position", "what", "when", "source"],
            (
                [
                    entry["position"],
                    _happened(entry),
                    _when(entry) + _doubt(entry),
                    entry["source"]["publisher"],
                ]
                for entry in sorted([*company["history"], *merges], key=itemgetter("position"))
            ),
        )


def show_suspects(answer: Answer, pairs: list[tuple[Suspect, Event | None]], json: bool) -> None:
    """A row for each pair, the most alike first."""
    if json:
        about = {
            name: value for name, value in answer.items() if name not in ("answers", "digest", "version")
        }
        show.json(about | {"suspects": [pair.to_json(proposed) for pair, proposed in pairs]})
        return
    show.table(
        ["alike", "name", "at", "other name", "at", "would be"],
        (
            [
                f"{pair.score:g} %",
                pair.names[0].text,
                show.positions(pair.names[0].positions),
                pair.names[1].text,
                show.positions(pair.names[1].positions),
                pair.reason if proposed is None else proposed.data.model_dump()["company"],
            ]
            for pair, proposed in pairs
        ),
        empty="no two names look alike that no event joins",
    )
    if pairs:
        show.plain("To join a pair, read its reports, and publish what --json proposes.")


def _happened(entry: dict[str, Any]) -> str:
    later = "".join(f"; {_became(change)}" for change in entry.get("later", []))
    match entry["kind"]:
        case "granted":
            number = entry["item"].get("registry_number")
            return (
                f"{entry['instrument']} of {entry['item']['name']}{f' ({number})' if number else ''}{later}"
            )
        case "named":
            batch = entry["batch"].get("ordinal") or entry["batch"].get("label") or "without a number"
            items = f" for {', '.join(entry['items'])}" if entry["items"] else ""
            return f"named in batch {batch}{items}"
        case "used":
            return f"{entry['item']}: {show.bounds(entry['users'])} users"
        case "merged":
            return f"{entry['from']} merged into {entry['into']}"
        case _:
            of = entry.get("registry_number") or entry.get("item", {}).get("name") or entry["instrument"]
            return f"{entry['kind']}: {', '.join([of, *_changed(entry)])}{later}"


def _became(change: dict[str, Any]) -> str:
    """What became of an approval later, and when."""
    told = [*_changed(change), *filter(None, [_when(change)])]
    kind = f"{change['kind']}: {', '.join(told)}" if told else change["kind"]
    return f"{kind}{_doubt(change)} (position {change['position']})"


def _changed(said: dict[str, Any]) -> list[str]:
    """What an amendment makes of an approval."""
    changes = said.get("changes", {})
    now = [_name(changes[field]) for field in ("item", "company") if field in changes]
    return [f"now {', '.join(now)}"] if now else []


def _when(entry: dict[str, Any]) -> str:
    for field in ("approved_on", "as_of", "amended_on", "on"):
        if field in entry:
            return str(entry[field])
    return str(entry.get("batch", {}).get("announced_on", ""))


def show_shares(answer: Answer) -> None:
    """A row for each region of each estimate."""
    show.table(
        ["estimator", "of", "as of", "region", "stock", "share", "rounding", "evidence"],
        (
            [
                market["estimator"],
                f"{market['unit']}s",
                market["as_of"] + _doubt(market),
                region["region"],
                show.bounds(region["count"]),
                show.percent(region["share"]),
                ", ".join(f"{points:g}" for points in region["rounding"]),
                show.positions(sorted({*region["evidence"]["count"], *region["evidence"]["share"]}))
                + (f" and {region['evidence']['more']} more" if region["evidence"]["more"] else ""),
            ]
            for market in answer["answers"]
            for region in market["regions"]
        ),
    )
    show.contradictions(answer["answers"])


def show_share_of_stock(answer: Answer) -> None:
    """A row for each date of the estimate."""
    show.table(
        ["approvals", "total", "on", "stock of", "as of", "stock", "share", "equated by"],
        (
            [
                share["terms"],
                show.bounds(share["total"]),
                share["total_as_of"],
                f"{share['estimator']}, {share['region']}",
                share["as_of"] + _doubt(share),
                show.bounds(share["stock"]),
                show.percent(share["share"]),
                show.positions(share["equated_by"]),
            ]
            for share in answer["answers"]
        ),
    )
    show.contradictions(answer["answers"])


def show_sources(answer: Answer) -> None:
    """A row for each claim."""
    show.table(
        ["claim", "reported by", "at", "independent origins"],
        (
            [
                _claimed(claim) + _doubt(claim),
                ", ".join(dict.fromkeys(report["publisher"] for report in claim["reports"])),
                show.positions(claim["evidence"]),
                claim["origins"],
            ]
            for claim in answer["answers"]
        ),
    )


def _claimed(claim: dict[str, Any]) -> str:
    """What is claimed, in words that tell it from what others claim."""
    said = claim["says"]
    named = [
        _name(said[field])
        for field in ("authority", "estimator", "instrument", "unit", "company", "region")
        if field in said
    ]
    named += [_figure(said[field]) for field in ("count", "size", "users") if field in said]
    if "share" in said:
        named.append(f"{said['share']['percent']:g} %")
    named += [f"{said['from']} {word} {said[word]}" for word in ("to", "into") if word in said]
    named += [str(said[field]) for field in _DAYS if field in said]
    if "target" in said:
        named += [
            " by ".join(_reference(said[field]) for field in ("target", "replacement") if field in said)
        ]
    return ", ".join([f"{claim['type'].removesuffix('.v1')}: {' '.join(named)}", *_particulars(said)])


_DAYS = ("as_of", "announced_on", "approved_on", "amended_on", "revoked_on", "on")
_NAMED = 8  # companies of a batch, or names of one company, that a claim names


def _particulars(said: dict[str, Any]) -> list[str]:
    found = ["in force"] if said.get("basis") == "in_force" else []
    found += [f"batch {said[field]}" for field in ("ordinal", "label", "batch") if field in said]
    found += [_item(said["item"])] if "item" in said else []
    found += [said["registry_number"]] if "registry_number" in said else []
    found += _changed(said)
    found += [f"naming {_some(entry['company'] for entry in said['named'])}"] if said.get("named") else []
    found += [f"one company: {_some(name['text'] for name in said['names'])}"] if "names" in said else []
    if "a" in said:
        found.append(" is ".join(f"{said[side]['instrument']} ({said[side]['unit']})" for side in ("a", "b")))
    return [*found, *([said["reason"]] if "reason" in said else [])]


def _some(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are."""
    listed = list(names)
    return ", ".join(listed[:_NAMED]) + _more(len(listed) - _NAMED)


def _reference(event: dict[str, str]) -> str:
    return f"{event['id']} ({event['source']})"


def _figure(count: dict[str, Any]) -> str:
    within = f" (within {count['within']:,})" if "within" in count else ""
    return f"{count['relation']} {count['value']:,}{within}"


def _item(item: str | dict[str, str]) -> str:
    number = "" if isinstance(item, str) else item.get("registry_number")
    return f"{_name(item)} ({number})" if number else _name(item)


def _name(value: str | dict[str, str]) -> str:
    return value if isinstance(value, str) else value["name"]
