"""`make bench-readme`: keeps the last run as results/summary.json, and writes the README's performance section from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .figures import of_json, row

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SUMMARY = RESULTS / "summary.json"
RUNS = {
    "bench": RESULTS / "bench.json",
    "million": RESULTS / "million" / "bench.json",
    "long": RESULTS / "long" / "bench.json",
}
KEPT = RUNS | {"peers": RESULTS / "peers.json"}
BEGIN = "<!-- what follows is written by `make bench-readme` -->"
END = "<!-- end of what `make bench-readme` writes -->"


def main() -> None:
    """Keeps what was not run again as it was."""
    summary = json.loads(SUMMARY.read_text("utf-8")) if SUMMARY.exists() else {}
    for name, path in KEPT.items():
        if path.exists():
            summary[name] = json.loads(path.read_text("utf-8"))
    SUMMARY.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8")
    readme = ROOT / "README.md"
    readme.write_text(replaced(readme.read_text("utf-8"), section(summary)), "utf-8")


def replaced(readme: str, section: str) -> str:
    """The README with `section` between the two markers."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{section}{END}{after}"


def section(summary: dict[str, Any]) -> str:
    """The figures with a target, each with its verdict, of the last run and of runs with many events; and the peers."""
    runs = [part for name in RUNS if name in summary for part in (*run(summary[name]), "")]
    return "\n".join([*runs[:-1], *peers(summary.get("peers")), ""])


def run(summary: dict[str, Any]) -> list[str]:
    """What it was measured on, and the figures that have a target."""
    figures = [of_json(line) for line in summary["figures"]]
    judged = [figure for figure in figures if figure.met is not None]
    met = sum(figure.met is True for figure in judged)
    return [
        f"{conditions(summary['about'])} {met} of {len(judged)} targets are met.",
        "",
        *table(["what", "measured", "ratio", "to", "target", ""], [row(figure) for figure in judged]),
    ]


def conditions(about: dict[str, Any]) -> str:
    """On what it was measured, and what else ran there."""
    return (
        f"{about['events']:,} events; Python {about['python']}, redis-py {about['redis']}, RQ {about['rq']}, "
        f"{about['server']}; {about['cores']} shared cores, with a load of {about['load at the start']} at the start and "
        f"{about['load at the end']} at the end."
    )


def peers(summary: dict[str, Any] | None) -> list[str]:
    """The same job on other software; the best of each column is bold."""
    if summary is None:
        return []
    heading = (
        f"The same job on other software (`make bench-peers`), with the same {summary['events']:,} events; the best of each "
        "column in bold:"
    )
    return [
        "",
        heading,
        "",
        *table(["", *COLUMNS.values(), "each write is durable by"], peer_rows(summary["peers"])),
        "",
        *(f"Not in the table: {name}; {why}." for name, why in summary["missing"].items()),
    ]


COLUMNS = {
    "append": "append, events/s",
    "projection": "durable projection, events/s",
    "rebuild": "rebuild, events/s",
    "p50": "latency p50, ms",
    "p99": "p99, ms",
}


def peer_rows(measured: list[dict[str, Any]]) -> list[list[str]]:
    """A line for each, as text."""
    best = {
        column: (min if column.startswith("p") and column != "projection" else max)(
            peer[column] for peer in measured
        )
        for column in COLUMNS
    }
    return [
        [
            peer["name"],
            *(_bold(peer[column], peer[column] == best[column]) for column in COLUMNS),
            peer["durable"],
        ]
        for peer in measured
    ]


def _bold(value: float, best: bool) -> str:
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"**{text}**" if best else text


def table(heading: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown."""
    rule = ["---"] * len(heading)
    return [f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in (heading, rule, *rows)]


if __name__ == "__main__":
    main()
