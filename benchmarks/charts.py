"""Draws growth.json, in benchmarks/results or where `--results` says, as PNG charts. Needs requirements/bench.txt, and nothing of the project."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # draws into files, and needs no screen

from matplotlib import pyplot as plt

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """One chart for each curve that the run with these options measured; none where it did not measure growth."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=RESULTS)
    options, _ = parser.parse_known_args()  # the others are for the run
    measured = options.results / "growth.json"
    for curve in json.loads(measured.read_text("utf-8")) if measured.exists() else []:
        draw(curve, options.results / f"growth-{curve['name']}.png")


def draw(curve: dict[str, Any], path: Path) -> None:
    """The cost against what grows, both from zero, with the line that the cost must not cross."""
    sizes, costs = zip(*curve["points"], strict=True)
    allowed = curve["target"] * costs[0]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(sizes, costs, marker="o", label="measured")
    axes.axhline(
        allowed, color="tab:red", linestyle="--", label=f"target: {curve['target']} x at {sizes[0]:,}"
    )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=30)
    axes.minorticks_off()
    axes.set_ylim(0, max(*costs, allowed) * 1.15)
    axes.set_xlabel(curve["grows"])
    axes.set_ylabel(curve["cost"])
    axes.set_title(curve["title"])
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
