"""The description that is written beside a table: where it is from, what its columns mean, and on whose word it rests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from events import Log, RecordedEvent, decode
from projections import Answer, pinned, queries

from .tables import TABLES

_CSV = {
    "encoding": "UTF-8 with a byte order mark (utf-8-sig)",
    "dialect": "RFC 4180: commas, double quotes, CRLF",
    "null": "an empty cell; no text is empty",
    "lists": "JSON text",
    "neutralised": (
        "an apostrophe stands before a text that a spreadsheet might take for a formula, and before one that begins with an "
        "apostrophe; to restore, remove one leading apostrophe from the cells of text columns"
    ),
}


def described(
    log: Log, answer: Answer, format: str, question: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The description of a table: the answer it is from, its columns and its sources. It has no time of day, so that it is the same
    every time.

    `question` has the parameters besides the axes, because the answer does not contain them.
    """
    about = {name: value for name, value in answer.items() if name not in ("answers", "digest")}
    columns, _ = TABLES[answer["projection"]]
    listed = [{"name": c.name, "type": c.kind, "meaning": c.meaning} for c in columns]
    return {
        **about,
        **({"question": dict(question)} if question else {}),
        "answer_digest": answer["digest"],
        "format": format,
        **({"csv": _CSV} if format == "csv" else {}),
        **({} if format == "json" else {"columns": listed}),
        "sources": sources_of(log, answer),
    }


def sources_of(log: Log, answer: Answer) -> list[dict[str, Any]]:
    """Who published the reports that the answer lists as evidence: publisher, URL, positions."""
    found: dict[tuple[str, str | None], list[int]] = {}
    for position, publisher, url in sorted(set(_reports(log, answer))):
        found.setdefault((publisher, url), []).append(position)
    return [
        {"publisher": publisher, **({"url": url} if url else {}), "positions": positions}
        for (publisher, url), positions in found.items()
    ]


_BEHIND_COMPANIES = frozenset(
    {
        "approval.granted.v1",
        "approval.amended.v1",
        "approval.revoked.v1",
        "batch.announced.v1",
        "total.reported.v1",
        "company.identified.v1",
        "company.merged.v1",
        "terms.equated.v1",
        "usage.reported.v1",
    }
)
"""What the figures of companies follow from; their answers list only some of it."""


READ_AT_ONCE = 1_000  # events or claims: with all its evidence an answer may refer to most of the log

Report = tuple[int, str, str | None]  # the position, the publisher, the URL


def _reports(log: Log, answer: Answer) -> Iterator[Report]:
    match answer["projection"]:
        case "sources":
            yield from _of_claims(answer["answers"])
        case "companies":
            yield from _of_claims(
                claim for claim in _claims(log, answer) if claim["type"] in _BEHIND_COMPANIES
            )
        case _:
            positions = sorted(set(positions_in(answer["answers"])))
            for start in range(0, len(positions), READ_AT_ONCE):
                yield from map(_published, log.at_each(positions[start : start + READ_AT_ONCE]))


def _claims(log: Log, answer: Answer) -> Iterator[dict[str, Any]]:
    """All claims that were known then, of all days, because a later total bounds an earlier one."""
    published = answer["known_at"] if "known_as" in answer else None
    asked, after = pinned(answer["position"], None, published), 0
    if published is not None:  # for which each question reads the whole log
        yield from queries.sources(log, **asked)["answers"]
        return
    while claims := queries.sources(log, after=after, limit=READ_AT_ONCE, **asked)["answers"]:
        yield from claims
        after = claims[-1]["reports"][0]["position"]


def _of_claims(claims: Iterable[dict[str, Any]]) -> Iterator[Report]:
    for claim in claims:
        yield from ((r["position"], r["publisher"], r.get("url")) for r in claim["reports"])


def positions_in(value: Any) -> Iterator[int]:
    """The positions of all reports that an answer refers to, anywhere in it."""
    if isinstance(value, list):
        for item in value:
            yield from positions_in(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "position":
                yield item
            elif name in ("evidence", "events"):
                yield from _numbers(item)
            else:
                yield from positions_in(item)


def _numbers(evidence: Any) -> Iterator[int]:
    """The positions in evidence, which is a list, or several lists by what they force, with a count of those that are not listed."""
    if isinstance(evidence, dict):
        for name, item in evidence.items():
            if name != "more":
                yield from _numbers(item)
    else:
        yield from evidence


def _published(recorded: RecordedEvent) -> Report:
    data = decode(recorded).data
    source = getattr(data, "source", None)
    # A correction has an actor instead of a source.
    publisher, url = (source.publisher, source.url) if source else (str(getattr(data, "actor", "")), None)
    return recorded.position, publisher, url
