"""`approvals demo`: publishes the real history, lets RQ workers project it, reads it, and replays it from zero."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Unpack

import typer

from events import Count, Event, LedgerError, Log, Share, TermsDiffer, catalog, valid_events
from projections import PROJECTIONS, Asked, Store, queries, replay

from ..examples_at import example
from ..importing import lists, mapping
from . import answers, show
from .options import Data, Json, Url, open_ledger

WORKERS = 2
NEWS = 17  # the position of the last event of the news

ON_THE_LIST = {
    "2023-08-31": "8",
    "2023-11-30": "36",
    "2023-12-31": "61",
    "2024-01-17": "79",
    "2024-01-31": "86",
}
"""How many approvals there were by a day, by the list."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What must follow from the reports, and what the ledger says."""

    question: str
    expected: str
    answer: str

    @property
    def reached(self) -> bool:
        return self.expected == self.answer


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(*, url: Url = None, data: Data = None, json: Json = False) -> None:
    """Publish the real history into new ledgers, let RQ workers project it, read it, and replay it from zero."""
    from .. import telemetry

    telemetry.configure()
    run = f"demo-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{time.time_ns() % 1_000_000:06d}"
    with open_ledger(url, data, run, make=True) as opened:
        client, at = opened.log.client, opened.url
        listed = Log(client, f"{run}-list")
        news = Log(client, f"{run}-news")
        coarse = Log(client, f"{run}-news-5-points")
        history = Log(client, f"{run}-history")
        say = _Say(quiet=json)
        events = valid_events(example("2024-01-news.ndjson").read_bytes())
        say.heading(
            "The approvals by the end of January 2024: as the news had it, and as the regulator's list of April has it"
        )
        _publish(listed, events, at, say)
        total, equation, *later = valid_events(example("2024-04-list.ndjson").read_bytes())
        _publish(listed, [*_list_of_april(), total, equation], at, say)
        conclusions = list(_then_and_now(listed))
        if not json:
            _show_then_and_now(listed)
        say.heading("What was new in 2024: a figure that contradicts the totals")
        _publish(listed, later, at, say)
        conclusions += _new_in_2024(listed)
        if not json:
            show.contradictions(_filings(listed, valid_at="2023-12-31"))
        say.heading("The news of January 2024: four batches of approvals, a few names, and an estimate")
        _publish(news, events, at, say)
        _publish(coarse, [_rounded_to(event, 5.0) for event in events], at, say)
        conclusions += _conclusions(news, coarse)
        if not json:
            _show_ledger(news)
            _show_conclusions(conclusions)
        say.heading("The whole history, from many sources, that do not agree")
        _publish(history, valid_events(example("history.ndjson").read_bytes()), at, say)
        if not json:
            _show_ledger(history)
            _show_chart(history)
        say.heading("Replayed from zero")
        ledgers = [_document(log) for log in (listed, news, coarse, history)]
    digests = [digest for ledger in ledgers for digest in ledger["digests"].values()]
    if json:
        show.json({"ledgers": ledgers, "conclusions": [_conclusion(c) for c in conclusions]})
    else:
        _show_digests(ledgers)
        show.heading(
            "To look at it, and to publish to it over HTTP: approvals up --with-history --ledger history"
        )
    if not all(digest["equal"] for digest in digests) or not all(c.reached for c in conclusions):
        raise LedgerError(
            "a replay differs from the live projections, or a conclusion was not reached: see above"
        )


class _Say:
    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def heading(self, text: str) -> None:
        if not self._quiet:
            show.heading(text)

    def line(self, text: str) -> None:
        if not self._quiet:
            show.plain(text)


def _list_of_april() -> list[Event]:
    """The events of the CAC's list of 2 April 2024: all 117 services filed by 28 March, each with its date."""
    path = example("lists/cac-2024-04-filed.csv")
    tables, _ = lists.read(path, mapping.named([]), lists.Options(published_on="2024-04-02"))
    return [fact.event for table in tables for fact in table.facts]


def _publish(log: Log, events: list[Event], url: str, say: _Say) -> None:
    from workers import run_here_in

    from .. import telemetry

    receipts = log.append(events)
    started = time.monotonic()
    run_here_in(WORKERS, url, log.ledger, telemetry.configure)
    say.line(
        f"ledger {log.ledger}: {len(receipts)} events at positions {receipts[0].position} to {receipts[-1].position}, "
        f"projected by {WORKERS} RQ workers in {time.monotonic() - started:.1f} s"
    )


def _rounded_to(event: Event, points: float) -> Event:
    """The same event, where its share is taken to be rounded to `points`: its rounding is a reading of the report."""
    estimate = event.data
    if not isinstance(estimate, catalog.MarketEstimated) or estimate.share is None:
        return event
    share = Share(percent=estimate.share.percent, rounding=points)
    return replace(event, data=estimate.model_copy(update={"share": share}))


def _then_and_now(listed: Log) -> Iterator[Conclusion]:
    """What follows about the past, once all that were filed by a day are known by name and date."""
    for day, expected in ON_THE_LIST.items():
        answer = show.bounds(_approvals(listed, valid_at=day)["total"])
        yield Conclusion(f"approvals by {day}, by the list", expected, answer)
    before = show.bounds(_approvals(listed, valid_at="2024-01-31", known_at=NEWS)["total"])
    yield Conclusion("approvals by 2024-01-31, as known before the list", "≥ 41", before)
    fourth = next(b for b in queries.batches(listed)["answers"] if b["ordinal"] == 4)
    yield Conclusion("undisclosed in the fourth batch, by the list", "0", show.bounds(fourth["undisclosed"]))


def _new_in_2024(listed: Log) -> list[Conclusion]:
    """By the totals at its two ends, and as the regulator says."""
    (figure,) = _filings(listed, valid_at="2024-12-31", known_at=listed.head() - 1)
    (start,) = _filings(listed, valid_at="2023-12-31", known_at=listed.head() - 1)
    new = figure["total"]["low"] - start["total"]["low"]
    (with_it,) = _filings(listed, valid_at="2023-12-31")
    contradicted = [c for c in with_it["contradictions"] if "238 from 2024-01-01" in c["says"]]
    return [
        Conclusion("new in 2024, by the totals (302 less 61)", "241", show.bounds({"low": new, "high": new})),
        Conclusion(
            "238 new in 2024, as reported", "contradicted", "contradicted" if contradicted else "agrees"
        ),
    ]


def _filings(log: Log, **asked: Unpack[Asked]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = queries.totals(
        log, authority="CAC", instrument="filing", unit="service", **asked
    )["answers"]
    return found


def _conclusions(news: Log, coarse: Log) -> Iterator[Conclusion]:
    """What anyone may conclude from the news of January 2024, and no more."""
    totals = _approvals(news)
    yield Conclusion("approvals in all", "≥ 41", show.bounds(totals["total"]))
    named = sum(1 for company in queries.companies(news)["answers"] if company["approvals"])
    yield Conclusion("companies named", "≥ 6", f"≥ {named}")
    fourth = next(b for b in queries.batches(news)["answers"] if b["ordinal"] == 4)
    yield Conclusion("approved before the fourth batch", "≥ 27", show.bounds(fourth["before"]))
    yield Conclusion("undisclosed in the fourth batch", "11", show.bounds(fourth["undisclosed"]))
    for log, rounding, world, states in (
        (news, "1 point", "321–329", "159–166"),
        (coarse, "5 points", "306–346", None),
    ):
        stock = {r["region"]: show.bounds(r["count"]) for r in queries.shares(log)["answers"][0]["regions"]}
        yield Conclusion(f"the world's models, shares rounded to {rounding}", world, stock["world"])
        if states:
            yield Conclusion(f"the United States' models, rounded to {rounding}", states, stock["US"])
    (baidu,) = queries.companies(news, "百度")["answers"]
    users = next(entry["users"] for entry in baidu["history"] if entry["kind"] == "used")
    yield Conclusion("users of Ernie Bot", "more than 100,000,000", str(Count(**users["reported"])))
    yield Conclusion("the approvals' share of CLSA's models", "refused", _share_of_stock(news))
    before = next(e for e in totals["evidence"]["low"]) - 1
    earlier = _approvals(news, known_at=before)["total"]
    yield Conclusion("approvals, as known before the report of more than 40", "≥ 19", show.bounds(earlier))


def _approvals(log: Log, **asked: Unpack[Asked]) -> dict[str, Any]:
    answer = queries.totals(log, authority="CAC", instrument="approval", unit="model", **asked)
    total: dict[str, Any] = answer["answers"][0]
    return total


def _share_of_stock(log: Log) -> str:
    try:
        answer = queries.share_of_stock(
            log, authority="CAC", instrument="approval", unit="model", estimator="CLSA", region="CN"
        )
    except TermsDiffer:
        return "refused"
    return show.percent(answer["answers"][0]["share"])


def _document(log: Log) -> dict[str, Any]:
    digests = {}
    for projection in PROJECTIONS.values():
        store = Store(log, projection)
        rebuilt = replay.rebuild(store)
        replay.adopt(store, rebuilt)
        digests[projection.name] = {
            "position": rebuilt.position,
            "live": rebuilt.live_digest,
            "replayed": rebuilt.digest,
            "equal": rebuilt.live_digest == rebuilt.digest,
        }
    return {
        "ledger": log.ledger,
        "events": log.head(),
        "totals": queries.totals(log, steps=True),
        "batches": queries.batches(log),
        "companies": queries.companies(log),
        "shares": queries.shares(log),
        "sources": queries.sources(log),
        "digests": digests,
    }


def _show_then_and_now(log: Log) -> None:
    """One question, asked of what was known at two positions."""
    axes = [("before the list", NEWS), ("after it", log.head())]
    told = [(known, at, _approvals(log, valid_at="2024-01-31", known_at=at)) for known, at in axes]
    show.table(
        ["approvals by 2024-01-31", "known at", "total", "named", "undisclosed", "evidence"],
        (
            [
                known,
                at,
                show.bounds(a["total"]),
                a["named"],
                show.bounds(a["undisclosed"]),
                answers.evidence(a["evidence"]),
            ]
            for known, at, a in told
        ),
    )


def _show_ledger(log: Log) -> None:
    show.heading("Totals")
    answers.show_totals(queries.totals(log))
    show.heading("Batches")
    answers.show_batches(queries.batches(log))
    show.heading("Companies")
    answers.show_companies(queries.companies(log))
    show.heading("Shares")
    answers.show_shares(queries.shares(log))


def _show_chart(log: Log) -> None:
    steps = queries.totals(log, authority="CAC", instrument="filing", unit="service", steps=True)["answers"][
        0
    ]["steps"]
    show.heading("Services filed with the CAC: at least so many by the end of a day")
    show.chart(steps)


def _show_conclusions(conclusions: list[Conclusion]) -> None:
    show.heading("What follows from the list, and from the news of January 2024")
    show.table(
        ["question", "the ledger says", ""],
        (
            (c.question, c.answer, "as expected" if c.reached else f"EXPECTED {c.expected}")
            for c in conclusions
        ),
    )


def _conclusion(conclusion: Conclusion) -> dict[str, Any]:
    return {
        "question": conclusion.question,
        "expected": conclusion.expected,
        "answer": conclusion.answer,
        "reached": conclusion.reached,
    }


def _show_digests(ledgers: list[dict[str, Any]]) -> None:
    show.table(
        ["ledger", "projection", "position", "live", "replayed", ""],
        (
            [
                ledger["ledger"],
                name,
                digest["position"],
                digest["live"][:16],
                digest["replayed"][:16],
                "equal" if digest["equal"] else "DIFFERENT",
            ]
            for ledger in ledgers
            for name, digest in ledger["digests"].items()
        ),
    )
