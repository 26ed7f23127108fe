"""How answers look to people: a table for each kind of answer, with the contradictions below it."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from events import Event
from events.quantities import Count
from projections import Answer

from . import show

if TYPE_CHECKING:
    from ..suspects import Suspect

SOME_NAMES = 2  # of a company in a list of them; one company is shown with all


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
        empty="no company that was asked about has an approval that is known by name",
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
            which = entry["batch"].get("ordinal") or entry["batch"].get("label")
            batch = show.numbered(which) if which else "without a number"
            items = f" for {', '.join(entry['items'])}" if entry["items"] else ""
            return f"named in batch {batch}{items}"
        case "used":
            return f"{entry['item']}: {Count(**entry['users']['reported'])} users"
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
                + _more(region["evidence"]["more"]),
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
    found += [
        f"batch {show.numbered(said[field])}" for field in ("ordinal", "label", "batch") if field in said
    ]
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
