"""What a report says of a number or a day, and the interval that it allows."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MAX_COUNT = 2**53 - 1  # what every JSON reader holds exactly (RFC 8259, section 6)

EARLIEST_YEAR = 1900


class Strict(BaseModel):
    """A model that never converts a type, refuses fields it does not know, and does not change.

    A field called by a word that Python keeps for itself has two names: `from_` in Python, `from` in JSON. (Of an `alias` type
    checkers would take the latter alone, which nobody can write.)

    `unchecked` says whether this process ever made one past its checks, by one of the ways that pydantic has for it (0076).
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        # A subclass may have other rules, and need not be frozen.
        revalidate_instances="subclass-instances",
    )
    unchecked: ClassVar[bool] = False

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        Strict.unchecked = True
        return super().model_construct(_fields_set, **values)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        Strict.unchecked = Strict.unchecked or bool(update)
        return super().model_copy(update=update, deep=deep)

    def copy(self, **options: Any) -> Self:
        Strict.unchecked = True
        return super().copy(**options)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        Strict.unchecked = True  # another process, perhaps of an older version, has pickled it
        super().__setstate__(state)


@dataclass(frozen=True, slots=True)
class Interval:
    """The whole numbers from `low` to `high`, both included; `high` None is "no bound"."""

    low: int
    high: int | None = None

    def to_json(self) -> dict[str, int | None]:
        """`{"low": 41, "high": null}`, the shape of a count everywhere."""
        return {"low": self.low, "high": self.high}

    @property
    def empty(self) -> bool:
        return self.high is not None and self.high < self.low

    def __str__(self) -> str:
        if self.high is None:
            return f"{self.low:,} or more"
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


def _whole(value: int) -> int:
    if value > MAX_COUNT:
        raise PydanticCustomError("out-of-range", "must be at most {most}", {"most": MAX_COUNT})
    return value


Whole = Annotated[int, Field(ge=0), AfterValidator(_whole)]


class Count(Strict):
    """A number as its source put it: "more than 40" is `{"relation": ">", "value": 40}`, the interval [41, inf).

    "~" is "about": it bounds something only with `within`, the largest error that the source admits.
    """

    relation: Literal["=", ">=", ">", "<=", "<", "~"]
    value: Whole
    within: Whole | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Count:
        if self.within is not None and self.relation != "~":
            raise PydanticCustomError("validation", "`within` goes with the relation ~ only")
        if self.relation == "<" and self.value == 0:
            raise PydanticCustomError("out-of-range", "no count is below 0")
        return self

    def interval(self) -> Interval | None:
        """The counts that this report allows; None where it constrains nothing (a bare "~")."""
        match self.relation:
            case "=":
                return Interval(self.value, self.value)
            case ">=":
                return Interval(self.value)
            case ">":
                return Interval(self.value + 1)
            case "<=":
                return Interval(0, self.value)
            case "<":
                return Interval(0, self.value - 1)
            case "~":
                if self.within is None:
                    return None
                return Interval(max(0, self.value - self.within), self.value + self.within)

    def __str__(self) -> str:
        words = {
            "=": "",
            ">=": "at least ",
            ">": "more than ",
            "<=": "at most ",
            "<": "fewer than ",
            "~": "about ",
        }
        within = f" (within {self.within:,})" if self.within is not None else ""
        return f"{words[self.relation]}{self.value:,}{within}"


def _unsigned(value: float) -> float:
    return value + 0.0  # turns -0.0 into 0.0, which must not be stored as a different value


Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), AfterValidator(_unsigned)]


class Share(Strict):
    """A percentage and the width, in points, to which it was rounded: `{"percent": 40, "rounding": 1}`.

    Half is rounded up, so 40 rounded to 1 point is any share in [39.5, 40.5). The rounding decides what follows
    from the share, so it is never assumed.
    """

    percent: Percent
    rounding: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]

    def bounds(self) -> tuple[Fraction, Fraction]:
        """The lowest share, included, and the highest, excluded unless it is 1, as exact fractions of one."""
        percent, half = Fraction(str(self.percent)), Fraction(str(self.rounding)) / 2
        return max(Fraction(0), (percent - half) / 100), min(Fraction(1), (percent + half) / 100)


@dataclass(frozen=True, slots=True, order=True)
class DateRange:
    """The days from `first` to `last`, both included: what a partial date may stand for."""

    first: date
    last: date


_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)


@lru_cache(maxsize=65_536)
def date_range(text: str) -> DateRange:
    """The days that `2024`, `2023-11` or `2023-11-03` may mean.

    Raises ValueError where the text is no such date, or lies before 1900.
    """
    match = _PARTIAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a date: write 2024, 2024-01 or 2024-01-31")
    year, month, day = (int(part) if part else None for part in match.groups())
    assert year is not None
    if year < EARLIEST_YEAR:
        raise ValueError(f"{text!r} is before {EARLIEST_YEAR}")
    if month is None:
        return DateRange(date(year, 1, 1), date(year, 12, 31))
    if not 1 <= month <= 12:
        raise ValueError(f"{text!r} has no such month")
    last = calendar.monthrange(year, month)[1]
    if day is None:
        return DateRange(date(year, month, 1), date(year, month, last))
    if not 1 <= day <= last:
        raise ValueError(f"{text!r} has no such day: the last is {year}-{month:02d}-{last}")
    return DateRange(date(year, month, day), date(year, month, day))


# A second cache: a validator that is itself a cache is called without a Python frame, which halves the time for a known day.
@lru_cache(maxsize=65_536)
def _partial_date(text: str) -> str:
    try:
        date_range(text)
    except ValueError as error:
        raise PydanticCustomError("date", "{reason}", {"reason": str(error)}) from None
    return text


PartialDate = Annotated[str, AfterValidator(_partial_date)]
