"""What schemathesis cannot know of this API: loaded by it, and by no test."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, CheckContext, GenerationMode, Response

# What no schema can say: how parameters go together, what the log holds, what day it is.
SENSE = {
    "bad-question",
    "terms-differ",
    "unknown-company",
    "control-character",
    "empty-name",
    "too-long",
    "date",
    "timestamp-in-future",
    "out-of-range",
    "url",
    "address-refused",
    "duplicate-id",
}
TOGETHER = ("for a share of a stock give all of",)
OF_EVENTS = ("validation",)  # `as_of`, or `from` and `to`; a count of about, with `within`


@schemathesis.hook
def map_case(context: object, case: Case[Any]) -> Case[Any]:
    """JSON that is not a CloudEvent is the data of one, and needs its attributes as headers."""
    if case.media_type == "application/json" and case.method == "POST":
        attributes = {
            "ce-specversion": "1.0",
            "ce-id": "1",
            "ce-source": "urn:schemathesis",
            "ce-type": "total.reported.v1",
        }
        case.headers = CaseInsensitiveDict(attributes | dict(case.headers or {}))
    return case


@schemathesis.hook
def filter_case(context: object, case: Case[Any]) -> bool:
    """An unknown header is not a mistake: HTTP requires that it is ignored."""
    return "x-schemathesis-unknown-property" not in (case.headers or {})


@schemathesis.check
def a_request_as_described_is_refused_for_its_sense_alone(
    ctx: CheckContext, response: Response, case: Case[Any]
) -> None:
    """A parameter of the right shape is never refused for its shape."""
    if (
        case.meta is None
        or case.meta.generation.mode != GenerationMode.POSITIVE
        or response.status_code != 422
    ):
        return
    problem = json.loads(response.content)
    together = problem["detail"].startswith(TOGETHER)
    # In binary mode the type stands in a header, and the body may be the data of any other.
    of_another_type = case.media_type == "application/json"
    of_an_event = case.method == "POST" and (problem["code"] in OF_EVENTS or of_another_type)
    assert problem["code"] in SENSE or together or of_an_event, problem
