"""From a row of a list to the events that it reports: what was granted or revoked, and what became of it by its remark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from events import Event, InvalidEvent, LedgerError, canonical, date_range, encode, from_json, name_key, parse
from events.catalog import NAME_LIMIT, REFERENCE_LIMIT, TEXT_LIMIT

from . import dates, remarks, titles
from .mapping import FieldName, Mapping
from .rows import Line

OPTIONAL = frozenset({"region", "batch", "reason"})  # fields of the data that have the name of their column
_SMALL = 8_000  # characters of a row, below which the size of its event need not be checked

JSON = dict[str, Any]

_COLUMN_OF = {
    "data.item.name": "item",
    "data.item.registry_number": "number",
    "data.registry_number": "number",
    "data.company.name": "company",
    "data.approved_on": "date",
    "data.revoked_on": "date",
    "data.region": "region",
    "data.batch": "batch",
    "data.reason": "reason",
}


class BadRow(Exception):  # not an error of the ledger: `lists` always catches it
    """What is wrong with a row, and in which of its columns."""

    def __init__(self, reason: str, column: str = "") -> None:
        self.reason, self.column = reason, column
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is."""

    file: str
    table: int
    row: int

    def __str__(self) -> str:
        return f"{self.file}, table {self.table}, row {self.row}"


@dataclass(frozen=True, slots=True)
class Edition:
    """What is true of every row of one table: who published it and when, and the month in its heading."""

    publisher: str | None = None
    url: str | None = None
    title: str | None = None
    published_on: str | None = None
    caption_date: str | None = None
    caption: str | None = None

    def source(self, mapping: Mapping) -> JSON:
        """The `source` of each event's data."""
        written = {
            "publisher": self.publisher or mapping.publisher.name,
            "url": self.url or mapping.publisher.url,
            "title": self.title or self.caption or mapping.publisher.title,
            "published_on": self.published_on,
        }
        return {key: value for key, value in written.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Fact:
    """An event that a row reports. `assumed` names the fields of its data that the row itself does not give. `of_the_heading`: its day is
    the month in the heading, which all rows of the list have."""

    event: Event
    place: Place
    mapping: Mapping
    of_the_row: bool = True
    assumed: frozenset[str] = field(default_factory=frozenset)
    of_the_heading: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        return self.event.source, self.event.id


@dataclass(frozen=True, slots=True)
class Reading:
    """The events of a row, its own first, and what in the row was not understood."""

    facts: tuple[Fact, ...]
    not_understood: tuple[str, ...] = ()


def read(line: Line, place: Place, edition: Edition) -> Reading:
    """What a row reports. Raises BadRow."""
    assert line.header is not None
    for title, cell in line.published().items():
        if len(cell) > TEXT_LIMIT:  # before anything is looked for in it
            raise BadRow(
                f"has {len(cell):,} characters; an event keeps at most {TEXT_LIMIT:,} of a cell", title
            )
    return _Row(line, place, edition, line.header.mapping).reading()


@dataclass(slots=True)
class _Row:
    line: Line
    place: Place
    edition: Edition
    mapping: Mapping
    notes: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)  # the names that it had, by its remark
    number: str = ""
    item: str = ""
    company: str = ""

    def __post_init__(self) -> None:
        self.number = titles.number(self._cell("number"))
        self.item = titles.name(self._cell("item"))
        self.company = titles.name(self._cell("company"))

    def reading(self) -> Reading:
        remark = self._with_its_end(self._remark())
        own = self._revoked_row() if self.mapping.event == "revoked" else self._granted(remark)
        later = [fact for change in remark.changes for fact in self._became(change)]
        self._doubt(own, later)
        if remark.left:
            self.notes.append(" ".join(self._cell("remark").split()))
        return Reading((own, *later), tuple(self.notes))

    def _cell(self, name: Any) -> str:
        text = self.line.cell(name)
        return "" if titles.is_nothing(text) else text

    def _title(self, name: str) -> str:
        return self.line.header.title_of(name) if self.line.header else ""

    def _remark(self) -> remarks.Remark:
        try:
            return remarks.read(self._cell("remark"))
        except ValueError as error:
            raise BadRow(str(error), self._title("remark")) from None

    def _with_its_end(self, remark: remarks.Remark) -> remarks.Remark:
        """A remark, with what separate columns say about the end of an approval: one end, however often it is mentioned."""
        ends = [
            *self._end_by_date(),
            *(c for c in remark.changes if c.kind == "revoked"),
            *self._end_by_status(),
        ]
        if not ends:
            return remark
        end = next((end for end in ends if end.on), ends[0])
        if others := sorted({other.on for other in ends if other.on} - {end.on}):
            self.notes.append(f"{', '.join(others)} (another day of the end than {end.on}, which is taken)")
        return replace(remark, changes=(*(c for c in remark.changes if c.kind != "revoked"), end))

    def _end_by_date(self) -> Iterator[remarks.Change]:
        if text := self._cell("ended"):
            try:
                dated = dates.read(text)
            except ValueError as error:
                raise BadRow(str(error), self._title("ended")) from None
            yield remarks.Change("revoked", titles.title(f"{self._title('ended')} {text}"), on=dated.on)

    def _end_by_status(self) -> Iterator[remarks.Change]:
        status = self._cell("status")
        try:
            found = remarks.read(status)
        except ValueError as error:
            raise BadRow(str(error), self._title("status")) from None
        ends = [change for change in found.changes if change.kind == "revoked"]
        if status and not ends and not remarks.is_in_force(status):
            self.notes.append(f"{self._title('status')}: {' '.join(status.split())}")
        yield from ends

    def _date(self) -> tuple[str, bool]:
        """The date, and whether it is not in the table."""
        if text := self._cell("date"):
            try:
                dated = dates.read(text)
            except ValueError as error:
                raise BadRow(str(error), self._title("date")) from None
            self.notes += [
                f"{note} ({' '.join(text.split())})" for note in dated.notes if note not in dates.KNOWN_NOTES
            ]
            return dated.on, False
        if self._has_column("date"):
            raise BadRow(titles.emptiness(self.line.cell("date")), self._title("date"))
        if self.edition.caption_date is not None:
            return self.edition.caption_date, False
        if self.edition.published_on is not None:
            return self.edition.published_on, True
        raise BadRow("has no date, and neither does the heading of the table: give --published-on")

    def _has_column(self, name: FieldName) -> bool:
        return self.line.header is not None and name in self.line.header.fields

    def _granted(self, remark: remarks.Remark) -> Fact:
        on, assumed = self._date()
        data = self._terms() | {
            "unit": self.mapping.unit,
            "item": self._named_item(self._before("item", self.item, remark)),
            "company": {"name": self._before("holder", self.company, remark)},
            "approved_on": on,
            "region": titles.name(self._cell("region")) or None,
            "batch": _batch(titles.name(self._cell("batch"))),
        }
        return self._fact("approval.granted.v1", data, "", {"approved_on"} if assumed else set())

    def _without_column(self) -> frozenset[str]:
        """The fields for which the edition has no column, which does not mean that they are empty."""
        has = self.line.header.fields if self.line.header else {}
        return OPTIONAL - frozenset(has)

    def _before(self, kind: str, now: str, remark: remarks.Remark) -> str:
        """The name at the time of the approval: lists show the present name, and the remark says what it was."""
        for change in reversed(remark.changes):
            if change.kind == kind and change.old and change.new and _same(change.new, now):
                now = titles.name(change.old)
                self.passed.append(now)
        return now

    def _named_item(self, name: str) -> JSON:
        return {"name": name} | ({"registry_number": self.number} if self.number else {})

    def _revoked_row(self) -> Fact:
        on, assumed = self._date()
        reason = titles.title(self._cell("reason")) or None
        return self._fact(
            "approval.revoked.v1",
            self._which() | {"revoked_on": on, "reason": reason},
            "",
            {"revoked_on"} if assumed else set(),
        )

    def _which(self) -> JSON:
        data = self._terms() | ({"registry_number": self.number} if self.number else {})
        if self.item:
            data["item"] = {"name": self.item}
        if self.company:
            data["company"] = {"name": self.company}
        return data

    def _became(self, change: remarks.Change) -> Iterator[Fact]:
        if change.kind == "revoked":
            yield self._ended(change)
        elif not self.number:
            self.notes.append(f"{change.said} (an amendment needs a registry number)")
        elif (changes := self._changes(change)) is None:
            self.notes.append(f"{change.said} (the row names another)")
        else:
            data = self._terms() | {
                "registry_number": self.number,
                "changes": changes,
                "amended_on": change.on,
            }
            what = remarks.undated(change.said) if change.kind == "product" else changes
            assumed = set() if change.on else {"amended_on"}
            # Its item has the name in the row, which may be a later one.
            if change.kind == "product":
                assumed.add("changes.item.name")
            yield self._fact("approval.amended.v1", data, f":amended:{_digest(what)}", assumed)

    def _ended(self, change: remarks.Change) -> Fact:
        on = change.on or self.edition.published_on
        if on is None:
            raise BadRow(
                f"says {change.said!r}, but not when: give --published-on, the day on which the list was published",
                self._title("remark") or self._title("status"),
            )
        if change.on is None and remarks.has_date(self._cell("remark")):
            self.notes.append(f"{change.said} (no date is beside it: --published-on is taken)")
        data = self._terms() | {"revoked_on": on, "reason": change.said}
        if self.number:
            data["registry_number"] = self.number
        else:
            data |= {"item": {"name": self.item}, "company": {"name": self.company}}
        return self._fact("approval.revoked.v1", data, ":revoked", set() if change.on else {"revoked_on"})

    def _doubt(self, own: Fact, later: list[Fact]) -> None:
        """Notes an end that is before the approval: one of the two dates must mean something else."""
        for fact in later:
            began, ended = (says.event.data.model_dump() for says in (own, fact))
            on, approved = ended.get("revoked_on"), began.get("approved_on")
            if on and approved and date_range(on).last < date_range(approved).first:
                said = ended.get("reason") or "it ended"
                self.notes.append(f"{said} (doubtful: it ended on {on}, before the approval on {approved})")

    def _changes(self, change: remarks.Change) -> JSON | None:
        """What an amendment changes, or None if a new name is given and neither it nor the old one is the name in the row, or one
        that it had, according to the remark."""
        now = self.company if change.kind == "holder" else self.item
        names = (change.new or "", change.old or "")
        if (
            change.kind != "product"
            and change.new
            and not any(_same(n, k) for n in names for k in (now, *self.passed))
        ):
            return None
        if change.kind == "holder":
            return {"company": {"name": titles.name(change.new or now)}}
        return {"item": self._named_item(titles.name(change.new or now) if change.kind == "item" else now)}

    def _terms(self) -> JSON:
        return {"authority": self.mapping.authority, "instrument": self.mapping.instrument}

    def _fact(self, type: str, data: JSON, ending: str, assumed: set[str]) -> Fact:
        document = {
            "specversion": "1.0",
            "id": reference(self._identity() + ending),
            "source": self.mapping.source,
            "type": type,
            "subject": subject("/".join(self.mapping.terms), self._identity()),
            "data": {key: value for key, value in data.items() if value is not None}
            | {"source": self.edition.source(self.mapping), "published": self.line.published()},
        }
        unsaid = frozenset() if ending else self._without_column()
        return Fact(
            self._event(document, of_the_row=not ending),
            self.place,
            self.mapping,
            not ending,
            frozenset(assumed) | unsaid,
            not ending and self.edition.caption_date is not None and not self._has_column("date"),
        )

    def _identity(self) -> str:
        if self.number:
            return titles.number_key(self.number)
        named = f"{name_key(self.item)} / {name_key(self.company)}"
        return named if self.mapping.event == "revoked" else f"{named} / {self._date()[0]}"

    def _event(self, document: JSON, *, of_the_row: bool) -> Event:
        try:
            event = from_json(document)
            if sum(map(len, self.line.row.cells)) > _SMALL:
                parse(encode(event))  # raises where it is over the limit of an event
        except InvalidEvent as error:
            fault = error.faults[0]
            published = fault.field.removeprefix("data.published.") if "published." in fault.field else ""
            field = _COLUMN_OF.get(fault.field, "")
            if not of_the_row and field != "number":  # a remark says it, or a column of ends
                field = "remark" if self._cell("remark") else "ended"
            message = fault.message
            if str(NAME_LIMIT) in message and not published:
                message = f"has over {NAME_LIMIT} characters, which no name has: move what is not part of the name to another column"
            raise BadRow(message, published or self._title(field) or fault.field) from None
        except LedgerError as error:
            raise BadRow(str(error).removesuffix(" Nothing was stored.")) from None
        return event


def reference(text: str) -> str:
    """An event's id: the text itself, or its digest if the text is too long for an id."""
    return text if len(text.encode()) <= REFERENCE_LIMIT else f"sha256:{sha256(text.encode()).hexdigest()}"


def subject(terms: str, text: str) -> str:
    """`CAC/filing/service/<number>`: all events of one approval have one subject."""
    written = f"{terms}/{text}"
    if len(written) <= NAME_LIMIT:
        return written
    shorter = f"{terms}/sha256:{sha256(text.encode()).hexdigest()}"
    # Cut off, the digest would be the same for several, or not be there.
    return shorter if len(shorter) <= NAME_LIMIT else f"sha256:{sha256(written.encode()).hexdigest()}"


def _batch(text: str) -> int | str | None:
    """The ordinal in a cell, or else the label: a number of more than three digits is a year or a day, which would say that as many
    batches came before."""
    plain = titles.visible_key(titles.unmarked(text))
    if re.fullmatch(r"\d{1,3}", plain, re.ASCII) and int(plain):
        return int(plain)
    return text or None


@lru_cache(maxsize=4_096)
def _key(text: str) -> str:
    return "".join(name_key(text).split())


def _same(one: str, other: str) -> bool:
    return _key(titles.name(one)) == _key(titles.name(other))


def _digest(value: Any) -> str:
    return sha256(name_key(canonical(value).decode()).encode()).hexdigest()[:16]
