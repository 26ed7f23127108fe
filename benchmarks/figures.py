"""One figure of a run: its value, the yardstick with which it is compared, and the target that it meets or misses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`ratio` is the ratio to `beside`. The target is for the ratio if there is one, otherwise for the value. `at_most`: less is
    better. The `aim` lies beyond the target, and decides nothing."""

    part: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    beside: str = ""
    target: float | None = None
    at_most: bool = False
    aim: float | None = None

    @property
    def judged(self) -> float:
        """The number that the target is for."""
        return self.value if self.ratio is None else self.ratio

    @property
    def met(self) -> bool | None:
        """Whether the target is; None where there is none."""
        if self.target is None:
            return None
        return self.judged <= self.target if self.at_most else self.judged >= self.target

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


def of_json(line: dict[str, Any]) -> Figure:
    """A figure from a results file."""
    return Figure(**{name: value for name, value in line.items() if name != "met"})


def beside(yardstick: Figure, figure: Figure, **judged: Any) -> Figure:
    """`figure` with its ratio to `yardstick`, which has the same unit."""
    ratio = figure.value / yardstick.value
    return Figure(figure.part, figure.what, figure.value, figure.unit, ratio, yardstick.what, **judged)


def row(figure: Figure) -> list[str]:
    """What was measured, its value, ratio and target, and whether that is met, for a terminal and for the README."""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.{3 if figure.ratio < 0.1 else 2}f} x"
    sign = "≤" if figure.at_most else "≥"
    unit = "" if figure.ratio is None else " x"
    target = "" if figure.target is None else f"{sign} {figure.target:g}{unit}"
    if figure.aim is not None:
        target += f", aim {figure.aim:g}{unit}"
    verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
    return [figure.what, f"{_number(figure.value)} {figure.unit}", ratio, figure.beside, target, verdict]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
