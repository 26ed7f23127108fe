"""The query parameters: each is given once, none is unknown, and a number is digits and nothing else."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from projections import Asked

from .problems import RequestRefused, wrong_in

MOST_POSITION = 2**53 - 1
PAGE_LIMIT = 1_000
_IN_A_URL = frozenset({"token", "access_token", "api_key", "apikey", "key", "authorization"})

DAY = (
    r"((19|[2-9]\d)\d\d(-(0[1-9]|1[0-2])|-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])"
    r"|-(0[13-9]|1[0-2])-(29|30)|-(0[13578]|1[02])-31)?"
    r"|((19|[2-9]\d)(0[48]|[2468][048]|[13579][26])|([2468][048]|[3579][26])00)-02-29)"
)


async def once_each(request: Request) -> None:  # asks nobody, and need not wait for a thread
    """Refuses a parameter that is given twice, of which one would count, and a token in the address, where logs keep it. (The page
    at / takes the first of two, and says so itself.)"""
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name.lower() in _IN_A_URL:
            raise RequestRefused(
                400,
                "token-in-url",
                "a token must not be in an address: send it as `Authorization: Bearer ...`",
            )
        if given.count(name) > 1 and request.url.path != "/":
            raise wrong_in(
                "query", name, "validation", f"the parameter {name[:80]!r} is given more than once"
            )


def _digits(value: Any) -> Any:
    # pydantic would take "1.0", "+1", "1_000" and Arabic digits for a number, too.
    if isinstance(value, str):
        if re.fullmatch(r"\d+", value, re.ASCII) is None:
            raise ValueError("must be a whole number, in digits")
        if len(value) > 16:
            raise ValueError("is too large: a number here has at most 16 digits")
        return int(value)
    return value


Digits = BeforeValidator(_digits)
Position = Annotated[
    int,
    Digits,
    Field(ge=0, le=MOST_POSITION),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MOST_POSITION}),
]
Place = Annotated[
    int,
    Digits,
    Field(ge=1, le=MOST_POSITION),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_POSITION}),
]
PageLimit = Annotated[
    int,
    Digits,
    Field(ge=1, le=PAGE_LIMIT),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": PAGE_LIMIT}),
]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Term = Annotated[str, Field(max_length=200)]  # as the command takes it: nothing is counted as an empty one
Switch = Annotated[Literal["true", "false"], Field()]
Date = Annotated[
    str,
    Field(max_length=10),
    WithJsonSchema({"type": "string", "pattern": f"^{DAY}$", "examples": ["2024-01-31", "2024-01", "2024"]}),
]
Moment = Annotated[
    str,
    Field(max_length=40),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MOST_POSITION},
                {"type": "string", "pattern": f"^{DAY}$"},
                {"type": "string", "format": "date-time"},
            ],
            "examples": ["17", "2024-02-01T08:00:00Z", "2024-02-01"],
        }
    ),
]


class Parameters(BaseModel):
    """What every query refuses: names that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AsOf(Parameters):
    """The two axes."""

    valid_at: Annotated[
        Date | None,
        Field(
            description="The day, month or year that is asked about; by default the last day about which the ledger says anything."
        ),
    ] = None
    known_at: Annotated[
        Moment | None,
        Field(
            description="What was known at a position, at an instant with a zone, or by the end of a day, month or year (UTC). "
            "Digits alone are a position, and a year only with `known_as=published`."
        ),
    ] = None
    known_as: Annotated[
        Literal["recorded", "published"],
        Field(description="Known when the ledger recorded it, or when its source published it."),
    ] = "recorded"
    at_least: Annotated[Position, Field(description="Answer as of this position or a later one.")] = 0

    def asked(self) -> Asked:
        """The two axes, as `projections` takes them. Raises RequestRefused where a position can be none."""
        known_at: int | str | None = self.known_at
        if self.known_as == "recorded" and re.fullmatch(r"\d+", self.known_at or "", re.ASCII):
            known_at = int(self.known_at or "")
            if known_at > MOST_POSITION:
                says = f"known_at is too large: a position is at most {MOST_POSITION:,}"
                raise wrong_in("query", "known_at", "bad-question", says)
        return {
            "valid_at": self.valid_at,
            "known_at": known_at,
            "known_as": self.known_as,
            "at_least": self.at_least,
        }


class Tabular(AsOf):
    """What can be had as a table, too."""

    format: Annotated[
        Literal["json", "csv", "parquet"] | None,
        Field(description="Takes precedence over the Accept header."),
    ] = None


class Totals(Tabular):
    authority: Term | None = None
    instrument: Term | None = None
    unit: Term | None = None
    steps: Annotated[Switch, Field(description="At every day on which the figure may change.")] = "false"
    whole_evidence: Annotated[Switch, Field(description="Every event of the evidence.")] = "false"


class Batches(Tabular):
    whole_evidence: Annotated[Switch, Field(description="Every event of the evidence.")] = "false"


class Companies(Tabular):
    name: Annotated[Text | None, Field(description="Any name of one company, for its history.")] = None


class Shares(Tabular):
    """All of the five terms, for the share that approvals are of a stock; or none."""

    authority: Term | None = None
    instrument: Term | None = None
    unit: Term | None = None
    estimator: Term | None = None
    region: Term | None = None


class Sources(Tabular):
    after: Annotated[Position, Field(description="Claims first made after this position.")] = 0
    limit: PageLimit | None = None


class Diff(Parameters):
    projection: Literal["totals", "batches", "companies", "shares", "sources"]
    since: Annotated[Position, Field(alias="from")]
    to: Annotated[Position | None, Field(description="By default the head.")] = None
    valid_at: Date | None = None


class Page(Parameters):
    after: Annotated[
        Position, Field(description="Events after this position; backwards: before it, 0 for all.")
    ] = 0
    limit: PageLimit = 100
    subject: Annotated[Text | None, Field(description="Events of this subject.")] = None
    backwards: Annotated[Switch, Field(description="Newest first.")] = "false"
    format: Annotated[
        Literal["json", "ndjson"] | None, Field(description="Takes precedence over the Accept header.")
    ] = None


class Following(Parameters):
    after: Annotated[Position | None, Field(description="By default the head: what comes from now on.")] = (
        None
    )


class Enabling(Parameters):
    after: Annotated[Position | None, Field(description="By default where it was.")] = None


class CompanyFeed(Parameters):
    name: Annotated[Text, Field(description="Any name of the company.")]


class Nothing(Parameters):
    """No parameter at all."""
