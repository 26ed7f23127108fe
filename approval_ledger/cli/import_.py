"""`approvals import`: the rows of official lists into the ledger, and what a list and the ledger disagree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from events import BadQuestion, Event, LedgerError, Log, date_range, encode, keys
from events.catalog import Source
from projections import PROJECTIONS
from workers import ring

from ..config import opened
from ..importing import compare, lists, proposals
from ..importing import mapping as mappings
from ..importing.compare import Holding, Missing, Verdict
from ..importing.lists import Options, Refusal, Understood
from ..importing.mapping import Mapping
from ..importing.proposals import Proposal
from ..importing.rows import Header
from . import show
from .options import Data, Json, Ledger, Url, as_utf8, config_of

CHUNK = 1_000  # events of one append
CHUNK_BYTES = 6 * 1024 * 1024  # of one append, under the log's limit
SHOWN = 20  # of a kind, in words; --json has all
FEW = 10  # events that are listed one by one


@dataclass(slots=True)
class Run:
    """One import: what was read, what was found, what was done."""

    tables: list[Understood]
    refusals: list[Refusal]
    verdicts: list[Verdict] = field(default_factory=list)
    gone: list[Missing] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)  # positions of the ledger that could not be understood
    proposals: list[Proposal] = field(default_factory=list)
    positions: dict[tuple[str, str], int] = field(default_factory=dict)
    found: set[tuple[str, str]] = field(default_factory=set)  # what somebody stored since the ledger was read
    dry: bool = False

    @property
    def appended(self) -> int:
        """How many events this run stored."""
        return len(self.positions) - len(self.found)

    def new(self) -> list[Event]:
        """The events that the ledger has not."""
        return [verdict.fact.event for verdict in self.verdicts if verdict.status == "new"]


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("import")(import_)


def import_(
    files: Annotated[
        list[Path],  # which reading finds out of, as of a file that is not there: it is no wrong usage
        typer.Argument(metavar="FILE...", help="CSV, XLSX, DOCX or JSON.", readable=False),
    ],
    *,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Only print how each table, column and row was understood."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare with the ledger, and append nothing.")
    ] = False,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad", help="Import the good rows even if others are bad, and list the bad ones."
        ),
    ] = False,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="What the columns mean: a TOML file, or the name of a built-in mapping. May be given several times.",
            show_default=False,
        ),
    ] = None,
    cumulative: Annotated[
        bool,
        typer.Option(
            "--cumulative", help="The files together are the whole list: report what is not in them."
        ),
    ] = False,
    proposals: Annotated[  # noqa: A002, RUF100  # the option's name
        Path | None,
        typer.Option(
            "--proposals",
            metavar="FILE",
            help="Write corrections for what differs or disappeared, for `approvals publish`, once somebody has read them.",
            show_default=False,
        ),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who makes the proposals, for --proposals.",
            show_default=False,
            callback=as_utf8,
        ),
    ] = None,
    publisher: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who published the list.", show_default=False, callback=as_utf8),
    ] = None,
    source_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where it was published.", show_default=False, callback=as_utf8),
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Its title.", show_default=False, callback=as_utf8)
    ] = None,
    published_on: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="When it was published: 2024, 2024-04 or 2024-04-02.", show_default=False
        ),
    ] = None,
    url: Url = None,
    data: Data = None,
    ledger: Ledger = None,
    json: Json = False,
) -> None:
    """Import official lists. One bad row of any file refuses all, before anything is stored, unless --skip-bad is given.

    Importing a file again appends nothing; a later edition appends what is new, and what differs is reported.

    If it breaks off midway, what was appended stays, and running the same command again appends the rest.
    """
    if explain and (skip_bad or proposals is not None):
        raise typer.BadParameter(
            "--explain goes with neither --skip-bad nor --proposals: it only prints how the files are understood"
        )
    _check_proposals(proposals, actor)
    options = _options(publisher, source_url, title, published_on)
    run = _read(files, mappings.named(mapping or []), options, cumulative)
    run.dry = dry_run
    if explain:
        _explain(run, json)
        raise typer.Exit(1 if run.refusals else 0)
    if run.refusals and not skip_bad:
        _refuse(run, json)
    config, error = config_of(url, data, ledger), None
    if dry_run and (config.is_missing or config.is_empty):
        keys.checked_ledger(config.ledger)
        state = "does not exist" if config.is_missing else "is empty"
        show.complain(
            f"there is no ledger in {config.data}: the directory {state}. An import would make it, and find nothing there"
        )
        _compare(run, None, cumulative, actor)
    else:
        with opened(config, make=not dry_run) as found:
            _compare(run, found.log, cumulative, actor)
            with _written(proposals, run):
                error = None if dry_run else _append(run, found.log)
                if isinstance(error, LedgerError) and not run.positions:
                    raise error
    try:
        _show(run, config.ledger, proposals, json)
        if error is not None:
            _say_how_far(run, error, proposals)
    finally:  # also where nobody reads what is shown
        if isinstance(error, KeyboardInterrupt):
            raise error
        if error is not None or run.refusals:
            raise typer.Exit(1)


def _say_how_far(run: Run, error: LedgerError | KeyboardInterrupt, target: Path | None) -> None:
    stored = f"{len(run.positions):,} of {len(run.new()):,} new events"
    if isinstance(error, KeyboardInterrupt):
        how_far = f"interrupted: {stored} are known to be stored, and more may be"
    else:
        show.fail(error)
        how_far = f"{stored} were stored before that"
    written = run.proposals and target is not None
    show.complain(
        f"{how_far}: run the same command again for the rest"
        + (f", with another file for --proposals than {target}" if written else "")
    )


def _check_proposals(target: Path | None, actor: str | None) -> None:
    if target is None and actor is not None:
        raise typer.BadParameter("--actor goes with --proposals: it says who makes them")
    if target is not None and not actor:
        raise typer.BadParameter("--proposals needs --actor: a correction says who makes it")
    if target is not None and target.exists():
        raise BadQuestion(f"{target} exists already: name another file for --proposals")


def _options(publisher: str | None, url: str | None, title: str | None, published_on: str | None) -> Options:
    """What is given for every row, if an event can hold it: else each row would be refused for it."""
    given = {
        "publisher": "any" if publisher is None else publisher,
        "url": url,
        "title": title,
        "published_on": published_on,
    }
    try:
        Source.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        option = {"url": "source-url"}.get(name := str(fault["loc"][0]), name.replace("_", "-"))
        raise typer.BadParameter(f"--{option}: {fault['msg'].removeprefix('Value error, ')}") from None
    begun = datetime.now(UTC) + timedelta(hours=14)  # somewhere on Earth
    if published_on is not None and date_range(published_on).first > begun.date():
        raise typer.BadParameter(f"--published-on: {published_on} lies in the future")
    return Options(publisher, url, title, published_on)


def _read(files: Sequence[Path], known: tuple[Mapping, ...], options: Options, cumulative: bool) -> Run:
    run = Run([], [])
    for path in dict.fromkeys(files):
        with _bar(f"reading {path.name}", None) as seen:
            tables, refusals = lists.read(path, known, options, seen)
        run.tables += tables
        run.refusals += refusals or _without_rows(tables, cumulative)
    run.refusals += [refusal for table in run.tables for refusal in table.refusals]
    return run


def _without_rows(tables: Sequence[Understood], cumulative: bool) -> list[Refusal]:
    """A file with headers and no rows is no whole list."""
    if any(table.data or table.refusals for table in tables):
        return []
    whole = cumulative or any(header.mapping.cumulative for table in tables for header in table.headers)
    reason = "has a header and no row below it: a cumulative list has all rows"
    return [Refusal(tables[0].file, reason)] if whole else []


def _refuse(run: Run, json: bool) -> None:
    if json:
        show.json({"refused": [refusal.to_json() for refusal in run.refusals], "appended": 0})
    else:
        _list("read as", _assumed(run), show.complain)
        for refusal in run.refusals[:SHOWN]:
            show.complain(str(refusal))
        if len(run.refusals) > SHOWN:
            show.complain(f"{len(run.refusals) - SHOWN:,} more, which --json has")
        many = f"{len(run.refusals):,} refused" if len(run.refusals) > 1 else "refused"
        rows = any(refusal.table is not None for refusal in run.refusals)
        hint = ": correct the file, or import the others with --skip-bad" if rows else ""
        show.complain(f"{many}, nothing was stored{hint}")
    raise typer.Exit(1)


def _compare(run: Run, log: Log | None, cumulative: bool, actor: str | None) -> None:
    facts = [fact for table in run.tables for fact in table.facts]
    if log is None:
        held = Holding()
    else:
        with _bar("reading the ledger", log.head()) as seen:
            held = compare.holding(log, {fact.event.source for fact in facts}, seen)
    run.verdicts, run.left_out = compare.verdicts(facts, held), held.left_out
    if not run.refusals and not held.left_out and not any(table.doubtful for table in run.tables):
        # a row that could not be read has not disappeared, and what was left out may have ended it
        run.gone = compare.missing(run.verdicts, held, all_lists=cumulative)
    run.proposals = proposals.propose(run.verdicts, run.gone, actor or "the editor", held.known)


@contextmanager
def _bar(words: str, total: int | None) -> Iterator[Callable[[int], None]]:
    with show.progress() as bar:
        task = bar.add_task(escape(show.visible(words)), total=total)
        yield lambda done: bar.update(task, completed=done)


def _append(run: Run, log: Log) -> LedgerError | KeyboardInterrupt | None:
    """Appends what is new, and rings for it. An error or Ctrl-C ends it; what was stored before is in `positions`."""
    error = _append_chunks(run, log)
    if run.positions:
        with suppress(LedgerError):  # a lost bell costs time and nothing else, and the events are stored
            ring(log.client, log.ledger, PROJECTIONS)
    return error


def _append_chunks(run: Run, log: Log) -> LedgerError | KeyboardInterrupt | None:
    events = run.new()
    with _bar("appending", len(events)) as seen:
        try:
            for receipts in log.append_each(_chunks(events)):
                run.positions |= {(receipt.source, receipt.id): receipt.position for receipt in receipts}
                run.found |= {(receipt.source, receipt.id) for receipt in receipts if receipt.duplicate}
                seen(len(run.positions))
        except (LedgerError, KeyboardInterrupt) as error:
            return error
    return None


def _chunks(events: Sequence[Event]) -> Iterator[list[Event]]:
    chunk: list[Event] = []
    size = 0
    for event in events:
        bytes_ = len(encode(event))
        if chunk and (len(chunk) == CHUNK or size + bytes_ > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += bytes_
    if chunk:
        yield chunk


@contextmanager
def _written(target: Path | None, run: Run) -> Iterator[None]:
    """The proposals are in their file before anything is appended, and not there where nothing came of it."""
    if target is None or not run.proposals:
        yield
        return
    _write(target, run.proposals)
    try:
        yield
    except BaseException:
        if not run.positions:
            target.unlink(missing_ok=True)
        raise


def _write(target: Path, found: Sequence[Proposal]) -> None:
    try:
        file = target.open("xb")
    except OSError as error:
        raise BadQuestion(_no_file(target, error)) from None
    try:
        with file:
            file.writelines(line + b"\n" for proposal in found for line in proposal.lines())
    except OSError as error:
        target.unlink(missing_ok=True)
        raise BadQuestion(_no_file(target, error)) from None


def _no_file(target: Path, error: OSError) -> str:
    return (
        f"{target} cannot be written ({error.strerror}): name a new file for --proposals, in a folder that exists and is yours. "
        "Nothing was stored"
    )


# What is shown


def counts(table: Understood, verdicts: Sequence[Verdict] | None = None) -> dict[str, int]:
    """The rows of a table by what became of them: all but `rows` and `imported` add up to `rows`."""
    by_status: Counter[str] = Counter(v.status for v in verdicts or () if v.fact.of_the_row)
    result = {
        "rows": len(table.table.rows),
        "header": table.header,
        "empty": table.empty,
        "notes": len(table.notes),
        "imported": table.data,
        "refused": table.refused,
    }
    if verdicts is None:
        return result
    return result | {status: by_status[status] for status in ("new", "already", "repeats", "differs")}


def _by_table(run: Run) -> Iterator[tuple[Understood, list[Verdict]]]:
    place = {id(fact): table for table in run.tables for fact in table.facts}
    found: dict[int, list[Verdict]] = {id(table): [] for table in run.tables}
    for verdict in run.verdicts:
        found[id(place[id(verdict.fact)])].append(verdict)
    return ((table, found[id(table)]) for table in run.tables)


def _show(run: Run, ledger: str, target: Path | None, json: bool) -> None:
    if json:
        show.json(_document(run, ledger))
        return
    _table(run)
    _list("read as", _assumed(run))
    _list("refused", map(str, run.refusals), show.complain)
    _list("note", _notes(run))
    _list("no rows", _empty(run))
    _list("differs", map(_difference, _unsettled(run)))
    _list("disappeared", (f"position {m.held.position}: {m.identity[1]}" for m in run.gone))
    _list("proposed", (_proposed(proposal) for proposal in run.proposals))
    _list("corrected or retracted before, and left so", map(_there, (v for v in run.verdicts if v.settled)))
    _list("reworded", (f"{v.fact.place}: {', '.join(v.reworded)}" for v in run.verdicts if v.reworded))
    _list("left out of the ledger, because newer software wrote it or it is not an event", _left_out(run))
    _list("columns kept as published, and not read", _unread(run))
    _list("not understood, and kept as published", _left(run))
    if run.appended <= FEW:
        for identity, position in run.positions.items():
            if identity not in run.found:
                show.plain(f"appended at {position}  {identity[1]}")
    elsewhere = Counter(verdict.status for verdict in run.verdicts)
    done = f"{len(run.new()):,} to append" if run.dry else f"{run.appended:,} appended"
    repeats = f"{elsewhere['repeats']:,} repeated in the run, " if elsewhere["repeats"] else ""
    show.plain(
        f"{done}, {elsewhere['already'] + len(run.found):,} already there, {repeats}{elsewhere['differs']:,} differ, "
        f"{len(run.gone):,} disappeared, {sum(table.refused for table in run.tables):,} refused"
    )
    if run.proposals:
        events = sum(len(proposal.events) for proposal in run.proposals)
        where = (
            f"written to {target}: read them, then publish them" if target else "--proposals FILE writes them"
        )
        show.plain(f"{events} corrections proposed, none published; {where}")
    elif target:
        show.plain(f"no corrections to propose: {target} was not written")


def _table(run: Run) -> None:
    columns = ("rows", "header", "empty", "notes", "new", "already", "repeats", "differs", "refused")
    listed = []
    for table, verdicts in _by_table(run):
        counted = counts(table, verdicts)
        remarks = sum(not verdict.fact.of_the_row for verdict in verdicts)
        listed.append([_name(table, run), table.table.number, *(counted[c] for c in columns), remarks])
    show.table(("file", "table", *columns, "by remarks"), listed, empty="no table")


def _name(table: Understood, run: Run) -> str:
    """The file without its folders, where that tells it from the others."""
    name = Path(table.file).name
    return table.file if any(Path(t.file).name == name and t.file != table.file for t in run.tables) else name


def _list(what: str, lines: Any, say: Callable[[str], None] = show.plain) -> None:
    listed = list(lines)
    for line in listed[:SHOWN]:
        say(f"{what}: {line}")
    if len(listed) > SHOWN:
        say(f"{what}: {len(listed) - SHOWN:,} more, which --json has")


def _assumed(run: Run) -> Iterator[str]:
    """Nearly any bytes are some text in GB18030: whoever sees characters that nobody wrote is to know why."""
    files = dict.fromkeys(table.file for table in run.tables if "GB18030" in table.table.about)
    return (f"GB18030: {file}, which is not UTF-8" for file in files)


def _notes(run: Run) -> Iterator[str]:
    return (
        f"{t.file}, table {t.table.number}, row {row}: {text[:120]}"
        for t in run.tables
        for row, text in t.notes
    )


def _empty(run: Run) -> Iterator[str]:
    return (
        f"{t.file}, table {t.table.number}: a header, and no row of the list below it"
        for t in run.tables
        if t.headers and not t.data and not t.refusals
    )


def _unread(run: Run) -> Iterator[str]:
    for table in run.tables:
        kept: dict[str, None] = {}
        for header in table.headers:
            meant = header.untitled | set(header.fields.values())
            kept |= dict.fromkeys(title for index, title in header.titles.items() if index not in meant)
        if kept:
            yield f"{table.file}, table {table.table.number}: {', '.join(kept)}"


def _left_out(run: Run) -> Iterator[str]:
    return (f"position {position}" for position in run.left_out)


def _left(run: Run) -> Iterator[str]:
    return (
        f"{t.file}, table {t.table.number}, row {row}: {text[:120]}"
        for t in run.tables
        for row, text in t.not_understood
    )


def _unsettled(run: Run) -> Iterator[Verdict]:
    return (verdict for verdict in run.verdicts if verdict.status == "differs")


def _there(verdict: Verdict) -> str:
    return f"position {verdict.position}: {verdict.fact.place}"


def _proposed(proposal: Proposal) -> str:
    return " and ".join(f"{event.type} {event.id}" for event in proposal.events)


def _difference(verdict: Verdict) -> str:
    there = f"position {verdict.position}" if verdict.position is not None else str(verdict.place)
    return f"{verdict.fact.place} from {there}: {'; '.join(map(str, verdict.differences))}"


def _document(run: Run, ledger: str) -> dict[str, Any]:
    return {
        "ledger": ledger,
        "dry_run": run.dry,
        "appended": run.appended,
        "tables": [_described(table, counts(table, verdicts)) for table, verdicts in _by_table(run)],
        "refused": [refusal.to_json() for refusal in run.refusals],
        "left_out": run.left_out,
        "events": [_outcome(verdict, run) for verdict in run.verdicts],
        "disappeared": [
            {"position": missing.held.position, "source": missing.identity[0], "id": missing.identity[1]}
            for missing in run.gone
        ],
        "proposals": [
            {
                "why": proposal.why,
                "events": [{"type": e.type, "source": e.source, "id": e.id} for e in proposal.events],
            }
            for proposal in run.proposals
        ],
    }


def _outcome(verdict: Verdict, run: Run) -> dict[str, Any]:
    place = verdict.fact.place
    status = verdict.status
    found = verdict.fact.identity in run.found
    stored = run.positions.get(verdict.fact.identity) if status == "new" else verdict.position
    fields = {
        "file": place.file,
        "table": place.table,
        "row": place.row,
        "type": verdict.fact.event.type,
        "source": verdict.fact.event.source,
        "id": verdict.fact.event.id,
        "status": status if status != "new" or stored is None else "already" if found else "appended",
        "position": stored,
        "differences": [{"field": d.field, "held": d.held, "listed": d.listed} for d in verdict.differences]
        or None,
        "reworded": list(verdict.reworded) or None,
        "settled": verdict.settled or None,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _described(table: Understood, counted: dict[str, int]) -> dict[str, Any]:
    return {
        "file": table.file,
        "table": table.table.number,
        "name": table.table.name,
        "read_as": table.table.about,
        "headers": [_header(header) for header in table.headers],
        "notes": [{"row": row, "text": text} for row, text in table.notes],
        "not_understood": [{"row": row, "text": text} for row, text in table.not_understood],
        **counted,
    }


def _header(header: Header) -> dict[str, Any]:
    meant = {index: name for name, index in header.fields.items()}
    return {
        "row": header.row,
        "mapping": header.mapping.name,
        "columns": [{"title": title, "field": meant.get(index)} for index, title in header.titles.items()],
    }


def _explain(run: Run, json: bool) -> None:
    if json:
        document = {
            "tables": [_described(table, counts(table)) for table in run.tables],
            "refused": [refusal.to_json() for refusal in run.refusals],
        }
        show.json(document)
        return
    for table in run.tables:
        _explain_table(table)
    for refusal in run.refusals:
        show.complain(f"refused: {refusal}")


def _explain_table(table: Understood) -> None:
    name = f" {table.table.name!r}" if table.table.name else ""
    show.heading(f"{table.file}, table {table.table.number}{name}: {table.table.about}")
    said: list[dict[int, str]] = []
    for header in table.headers:
        if header.titles in said:
            continue
        said.append(header.titles)
        meant = {index: field for field, index in header.fields.items()}
        show.plain(
            f"row {header.row} is a header of {header.mapping.name} ({'/'.join(header.mapping.terms)})"
        )
        show.table(
            ("column", "title", "understood as"),
            (
                (index + 1, title, meant.get(index, "kept as published"))
                for index, title in header.titles.items()
            ),
        )
    counted = counts(table)
    parts = ", ".join(
        f"{counted[word]:,} {word}" for word in ("header", "empty", "notes", "imported", "refused")
    )
    show.plain(f"{counted['rows']:,} rows = {parts}")
    events = Counter(fact.event.type for fact in table.facts)
    show.plain(
        "events: " + (", ".join(f"{times:,} {type_}" for type_, times in sorted(events.items())) or "none")
    )
    for row, text in table.notes:
        show.plain(f"row {row} is a note: {text[:120]}")
    for row, text in table.not_understood:
        show.plain(f"row {row}: not understood, and kept as published: {text[:120]}")
