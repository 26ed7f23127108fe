"""Bodies: in which form they may be sent; and those that are not events, which are JSON objects with known members and no others."""

from __future__ import annotations

from collections.abc import Sequence
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


def _array(value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError("must be an array of event types")  # noqa: TRY004  # of which pydantic makes a fault
    return value


class Subscribe(BaseModel):
    """Who is to get which events, and from where on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[
        str,
        Field(description="It gets a POST for each event."),
        WithJsonSchema({"type": "string", "pattern": "^https?://[^ ]+$", "maxLength": 2_000}),
    ]
    types: Annotated[
        list[str],
        BeforeValidator(_array),
        Field(description="Only these; all, where none is named."),
        WithJsonSchema({"type": "array", "items": {"enum": list(CATALOG)}}),
    ] = []
    after: Annotated[
        int | None,
        BeforeValidator(_whole),
        Field(
            default_factory=lambda: None,  # else the schema would say null, which is refused
            ge=0,
            le=MOST_POSITION,
            description="Events after this position; by default those that come from now on.",
        ),
        WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MOST_POSITION}),
    ]


def sent_as(request: Request, taken: Sequence[str], says: str, unsaid: str = "") -> str:
    """Which of the media types in `taken` the body has; `unsaid` is that of one that does not tell it. Raises RequestRefused
    (415), which `says` what is taken, where it is none of them, in another charset than UTF-8, or compressed."""
    given = request.headers.getlist("content-type") or [unsaid]
    kind, *parameters = (part.strip().lower() for part in (given[0] if len(given) == 1 else "").split(";"))
    charsets = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
    if kind not in taken or any(charset not in ("utf-8", "us-ascii") for charset in charsets):
        raise RequestRefused(415, "unsupported-media-type", says, {"Accept-Post": ", ".join(taken)})
    # Several headers are one list (RFC 9110, 5.3).
    codings = ",".join(request.headers.getlist("content-encoding")).split(",")
    if any(coding.strip().lower() not in ("", "identity") for coding in codings):
        says = "send it without a Content-Encoding"
        raise RequestRefused(415, "unsupported-media-type", says, {"Accept-Encoding": "identity"})
    return kind


def read(request: Request, shape: type[Body], content: bytes) -> Body:
    """The body as `shape`. Raises RequestRefused, and InvalidEvent where it is no JSON."""
    sent_as(request, [MEDIA_TYPE], f"the body is {MEDIA_TYPE}, in UTF-8")
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
