"""The event types: one frozen pydantic model a type. These names are the storage format and never change."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from .names import name_key
from .quantities import Count, PartialDate, Share, Strict, date_range

NAME_LIMIT = 200  # characters
REFERENCE_LIMIT = 256  # bytes of an event's id, and of its source
TEXT_LIMIT = 2_000  # characters of a title or a reason, and of a published cell
CELLS_LIMIT = 40  # cells of a published row
URL_LIMIT = 2_048

# A bidirectional control reorders what a reader sees, so that a name can be shown as another (CVE-2021-42574).
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _refuse_control_characters(text: str) -> None:
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp") or character in _BIDI:
            raise PydanticCustomError(
                "control-character",
                "holds the control character U+{code}, which no name or text may hold: remove it",
                {"code": f"{ord(character):04X}"},
            )
        # Unassigned code points (Cn) are accepted, except those that never will be assigned: a later Unicode, that is, a later
        # Python, may assign the others, and each Python must be able to read what another has stored.
        if category == "Cs" or _is_no_character(ord(character)):
            raise PydanticCustomError(
                "control-character",
                "holds U+{code}, which is no character",
                {"code": f"{ord(character):04X}"},
            )


def _is_no_character(code: int) -> bool:
    """Whether it is permanently a noncharacter (Unicode 15, section 23.7)."""
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def _readable(text: str) -> str:
    # Nearly every text is printable and needs no look at its characters: isprintable is one C call.
    # (It is False for every separator but the space, so full-width spaces take the slow way and pass.)
    if not text.isprintable():
        _refuse_control_characters(text)
    # Once control characters are refused, the only ASCII text without a name key is white space. Any text that begins with a
    # letter or a digit has a key: that covers most, and making the key of a new text takes 1.5 us.
    if text.isascii():
        visible = not text.isspace()
    else:
        visible = (text[0].isalnum() and text[0] not in _FILLERS) or bool(name_key(text))
    if not visible:
        raise PydanticCustomError("empty-name", "must have at least one visible character")
    return text


# The letters that show nothing (Hangul fillers).
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")

# White space that a cell is laid out with stays. So do bidirectional and format characters: a cell is evidence, not a
# name, and whoever shows it writes them out (the names that are read from it are checked as names). The other
# control characters are no text, and no document format could hold them.
_NOT_IN_A_CELL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _cell(text: str) -> str:
    if found := _NOT_IN_A_CELL.search(text):
        raise PydanticCustomError(
            "control-character",
            "holds U+{code}, which no cell may hold",
            {"code": f"{ord(found.group()):04X}"},
        )
    return text


def _reference(text: str) -> str:
    if len(text.encode()) > REFERENCE_LIMIT:
        raise PydanticCustomError("too-long", "must be at most {most} bytes", {"most": REFERENCE_LIMIT})
    return _readable(text)


@lru_cache(maxsize=4_096)  # events share their sources' addresses
def _web_address(text: str) -> str:
    if not text.isprintable():
        _refuse_control_characters(text)
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and text.split() == [text]
    except ValueError:
        fine = False
    if not fine:
        raise PydanticCustomError("url", "must be an http or https address")
    return text


def is_plain(text: object) -> bool:
    """Whether it is ASCII with a visible character, and so short that it is a valid Name, Text and Reference."""
    return (
        type(text) is str
        and len(text) <= NAME_LIMIT
        and text.isascii()
        and text.isprintable()
        and bool(text.strip())
    )


Name = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT), AfterValidator(_readable)]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT), AfterValidator(_readable)]
Reference = Annotated[str, Field(min_length=1), AfterValidator(_reference)]
Url = Annotated[str, Field(max_length=URL_LIMIT), AfterValidator(_web_address)]
Cell = Annotated[str, Field(max_length=TEXT_LIMIT), AfterValidator(_cell)]
Published = Annotated[dict[Name, Cell], Field(max_length=CELLS_LIMIT)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,78}[a-z0-9])?$")]
Region = Annotated[str, Field(pattern=r"^(?:world|[A-Z]{2}(?:-[A-Z0-9]{1,3})?)$")]
Ordinal = Annotated[int, Field(ge=1, le=100_000)]


class Origin(Strict):
    """Whom a report repeats."""

    publisher: Name
    url: Url | None = None


class Source(Strict):
    """Who published a report. Reports that derive from one origin are one voice, however many repeat it."""

    publisher: Name
    url: Url | None = None
    title: Text | None = None
    published_on: PartialDate | None = None
    derived_from: Origin | None = None


class Item(Strict):
    """What was approved: a model, a service or an application."""

    name: Name
    registry_number: Name | None = None


class Holder(Strict):
    """The company that an approval belongs to."""

    name: Name


class Named(Strict):
    """A company that a report names in a batch, with the product where the report gives it."""

    company: Name
    item: Name | None = None


class Terms(Strict):
    """What is counted: an instrument (approval, filing, ...; `stock` for a market estimate) of a unit (model, ...)."""

    instrument: Name
    unit: Name


class EventReference(Strict):
    """The event with this source and id, which need not be recorded yet."""

    source: Reference
    id: Reference


class EventData(Strict):
    """The `data` of one event type; `REVISION` counts the shapes it has had (see upcast)."""

    TYPE: ClassVar[str]
    REVISION: ClassVar[int] = 1

    @property
    def revision(self) -> int:
        """The revision that this data is written in."""
        return self.REVISION


class FromARow(EventData):
    """Data that may have been read from a row of a published table, whose cells it then keeps as they were.

    `published` is by column title. Revision 1 had no such field; what does not use it is still written in revision 1,
    so that an event sent again after an upgrade, with or without a schema, has the bytes it had before.
    """

    REVISION: ClassVar[int] = 2
    published: Published | None = None

    @property
    def revision(self) -> int:
        """1 where there is nothing in it that revision 1 could not hold."""
        return 1 if self.published is None else 2


class ApprovalGranted(FromARow):
    """One thing was approved. `batch` is the ordinal or the label of the batch it belongs to, where the source says so."""

    TYPE: ClassVar[str] = "approval.granted.v1"
    authority: Name
    instrument: Name
    unit: Name
    item: Item
    company: Holder
    approved_on: PartialDate
    region: Region | Name | None = None
    batch: Ordinal | Name | None = None
    source: Source


class Changes(Strict):
    """What an amendment changes: the new company, the new item, or both."""

    company: Holder | None = None
    item: Item | None = None

    @model_validator(mode="after")
    def _something(self) -> Changes:
        if self.company is None and self.item is None:
            raise PydanticCustomError("validation", "must change the company or the item")
        return self


class ApprovalAmended(FromARow):
    """The holder of an approval was renamed or replaced, or the product changed."""

    TYPE: ClassVar[str] = "approval.amended.v1"
    authority: Name
    instrument: Name
    registry_number: Name
    changes: Changes
    amended_on: PartialDate | None = None
    source: Source


class ApprovalRevoked(FromARow):
    """An approval ended; it is named by its registry number, or by its item and company."""

    TYPE: ClassVar[str] = "approval.revoked.v1"
    authority: Name
    instrument: Name
    registry_number: Name | None = None
    item: Item | None = None
    company: Holder | None = None
    revoked_on: PartialDate
    reason: Text | None = None
    source: Source

    @model_validator(mode="after")
    def _names_its_approval(self) -> ApprovalRevoked:
        if self.registry_number is None and (self.item is None or self.company is None):
            raise PydanticCustomError("validation", "must give a registry_number, or an item and a company")
        return self


class BatchAnnounced(EventData):
    """A batch of approvals, of which some, all or none are named.

    Revision 1 listed the companies as bare strings, which left no room for a product (see upcast).
    """

    TYPE: ClassVar[str] = "batch.announced.v1"
    REVISION: ClassVar[int] = 2
    authority: Name
    instrument: Name
    unit: Name
    ordinal: Ordinal | None = None
    label: Name | None = None
    announced_on: PartialDate
    size: Count
    named: list[Named] = Field(max_length=1_000)
    source: Source


class TotalReported(EventData):
    """Somebody's figure: of all up to a day (`as_of`), or of a period (`from` and `to`, both days included)."""

    TYPE: ClassVar[str] = "total.reported.v1"
    authority: Name
    instrument: Name
    unit: Name
    count: Count
    as_of: PartialDate | None = None
    from_: PartialDate | None = Field(default=None, validation_alias="from", serialization_alias="from")
    to: PartialDate | None = None
    basis: Literal["ever", "in_force"] = "ever"
    source: Source

    @model_validator(mode="after")
    def _one_time(self) -> TotalReported:
        if self.as_of is not None:
            if self.from_ is not None or self.to is not None:
                raise PydanticCustomError("validation", "must give either as_of, or from and to")
        elif self.from_ is None or self.to is None:
            raise PydanticCustomError("validation", "must give either as_of, or both from and to")
        elif date_range(self.to).last < date_range(self.from_).first:
            raise PydanticCustomError("validation", "`to` precedes `from`")
        return self


class MarketEstimated(EventData):
    """An estimator's stock of models in a region, its share of the world's, or both."""

    TYPE: ClassVar[str] = "market.estimated.v1"
    estimator: Name
    region: Region
    unit: Name
    count: Count | None = None
    share: Share | None = None
    as_of: PartialDate
    source: Source

    @model_validator(mode="after")
    def _something(self) -> MarketEstimated:
        if self.count is None and self.share is None:
            raise PydanticCustomError("validation", "must give a count, a share, or both")
        return self


class UsageReported(EventData):
    """How many people use a service."""

    TYPE: ClassVar[str] = "usage.reported.v1"
    company: Name
    item: Name
    users: Count
    as_of: PartialDate
    source: Source


class CompanyName(Strict):
    """One of a company's names; `lang` is a BCP 47 language tag."""

    text: Name
    lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$", max_length=35)] | None = None


class CompanyIdentified(EventData):
    """These names are one company; `company` is a stable slug."""

    TYPE: ClassVar[str] = "company.identified.v1"
    company: Slug
    names: list[CompanyName] = Field(min_length=1, max_length=200)
    source: Source


class CompanyMerged(EventData):
    """Two records (slugs) are one company since `on`."""

    TYPE: ClassVar[str] = "company.merged.v1"
    from_: Slug = Field(validation_alias="from", serialization_alias="from")
    into: Slug
    on: PartialDate
    source: Source

    @model_validator(mode="after")
    def _two(self) -> CompanyMerged:
        if self.from_ == self.into:
            raise PydanticCustomError("validation", "a company cannot be merged into itself")
        return self


class TermsEquated(EventData):
    """Two ways of counting are one."""

    TYPE: ClassVar[str] = "terms.equated.v1"
    authority: Name
    a: Terms
    b: Terms
    reason: Text
    actor: Name
    source: Source

    @model_validator(mode="after")
    def _two(self) -> TermsEquated:
        if self.a == self.b:
            raise PydanticCustomError("validation", "`a` and `b` are the same terms already")
        return self


class EventRetracted(EventData):
    """The target no longer counts; its bytes stay."""

    TYPE: ClassVar[str] = "event.retracted.v1"
    target: EventReference
    reason: Text
    actor: Name


class EventSuperseded(EventData):
    """The replacement counts instead of the target."""

    TYPE: ClassVar[str] = "event.superseded.v1"
    target: EventReference
    replacement: EventReference
    reason: Text
    actor: Name

    @model_validator(mode="after")
    def _two(self) -> EventSuperseded:
        if self.target == self.replacement:
            raise PydanticCustomError("validation", "an event cannot replace itself")
        return self


CATALOG: dict[str, type[EventData]] = {
    model.TYPE: model
    for model in (
        ApprovalGranted,
        ApprovalAmended,
        ApprovalRevoked,
        BatchAnnounced,
        TotalReported,
        MarketEstimated,
        UsageReported,
        CompanyIdentified,
        CompanyMerged,
        TermsEquated,
        EventRetracted,
        EventSuperseded,
    )
}
