"""Bodies that are no events: JSON objects with members that are known, and no others."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from events import CATALOG, loads

from .parameters import MOST_POSITION
from .problems import RequestRefused

MEDIA_TYPE = "application/json"
Body = TypeVar("Body", bound=BaseModel)


def _whole(value: Any) -> Any:
    # pydantic would take "1" and true for a number, too.
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole:
        raise ValueError("must be a whole number")
    return int(value)


class Subscribe(BaseModel):
    """Who is to get which events, and from where on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[
        str,
        Field(description="It gets a POST for each event."),
        WithJsonSchema({"type": "string", "pattern": "^https?://[^ ]+$", "maxLength": 2_000}),
    ]
    types: Annotated[
        tuple[str, ...],
        Field(description="Only these; all, where none is named."),
        WithJsonSchema({"type": "array", "items": {"enum": list(CATALOG)}}),
    ] = ()
    after: Annotated[
        int | None,
        BeforeValidator(_whole),
        Field(
            ge=0,
            le=MOST_POSITION,
            description="Events after this position; by default those that come from now on.",
        ),
        WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MOST_POSITION}),
    ] = None


def read(request: Request, shape: type[Body], content: bytes) -> Body:
    """The body as `shape`. Raises RequestRefused, and InvalidEvent where it is no JSON."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != MEDIA_TYPE:
        raise RequestRefused(
            415, "unsupported-media-type", f"the body is {MEDIA_TYPE}", {"Accept-Post": MEDIA_TYPE}
        )
    document = loads(content)
    if not isinstance(document, dict):
        says = "the body must be a JSON object"
        faults = [{"code": "validation", "detail": says, "index": 0, "pointer": ""}]
        raise RequestRefused(422, "validation", says, faults=faults)
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        faults = [
            {
                "code": "validation",
                "detail": str(each["msg"]).removeprefix("Value error, "),
                "index": 0,
                "pointer": "".join(f"/{part}" for part in each["loc"])[:200],
            }
            for each in error.errors()[:10]
        ]
        says = "; ".join(f"{each['pointer'] or 'the body'}: {each['detail']}" for each in faults)
        raise RequestRefused(422, "validation", says, faults=faults) from None
