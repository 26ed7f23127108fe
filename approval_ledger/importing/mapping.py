"""What a list's columns mean: a small TOML file for each kind of list. Mappings for the known lists are built in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from events import Refused
from events.catalog import Name, Text, Url

from .titles import TITLE_LIMIT, title_key

Word = Annotated[str, Field(min_length=1, max_length=200)]
Titles = Annotated[list[Word], Field(max_length=50)]
FieldName = Literal[
    "item", "company", "number", "date", "region", "batch", "reason", "remark", "ended", "status", "ordinal"
]
FILE_LIMIT = 64 * 1024  # bytes


class BadMapping(Refused):
    """A file that is not a valid mapping."""

    code = "bad-mapping"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Publisher(_Strict):
    """Who publishes the list: the `source` in each event's data."""

    name: Name
    url: Url | None = None
    title: Text | None = None


class Columns(_Strict):
    """For each field, the titles that its column goes by in one edition or another."""

    item: Titles = []
    company: Titles = []
    number: Titles = []
    date: Titles = []
    region: Titles = []
    batch: Titles = []
    reason: Titles = []
    remark: Titles = []
    ended: Titles = []
    status: Titles = []
    ordinal: Titles = []

    def each(self) -> Iterator[tuple[FieldName, str]]:
        """Every field with every title of it, as a key."""
        for field in FIELDS:
            yield from ((field, title_key(title)) for title in getattr(self, field))


FIELDS: tuple[FieldName, ...] = tuple(Columns.model_fields)  # type: ignore[arg-type]  # the names are those of the Literal


class Mapping(_Strict):
    """One kind of list. docs/importing.md says what each key means."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    source: Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[!-~]+$")]
    event: Literal["granted", "revoked"] = "granted"
    authority: Name
    instrument: Name
    unit: Name
    publisher: Publisher
    columns: Columns
    required: list[FieldName] = ["item", "company", "number"]
    unless: Titles = []
    captions: Titles = []
    cumulative: bool = False

    @model_validator(mode="after")
    def _makes_sense(self) -> Mapping:
        listed = {f"columns.{field}": getattr(self.columns, field) for field in FIELDS} | {
            "unless": self.unless
        }
        for place, titles in listed.items():
            for title in titles:
                if not title_key(title):
                    raise ValueError(
                        f"{place}: {title[:40]!r} cannot be the title of a column: it is blank, or has over {TITLE_LIMIT} characters"
                    )
        meant: dict[str, str] = {}
        for field, title in self.columns.each():
            if meant.setdefault(title, field) != field:
                raise ValueError(f"columns: the title {title!r} stands for both {meant[title]} and {field}")
        for field in self.required:
            if not getattr(self.columns, field):
                raise ValueError(f"required: {field} has no titles in columns")
        identifies = set(self.required)
        if "number" not in identifies and not {"item", "company"} <= identifies:
            raise ValueError(
                "required: must name number, or item and company, or nothing tells two rows apart"
            )
        if self.event == "granted" and not {"item", "company"} <= identifies:
            raise ValueError("required: an approval has an item and a company")
        return self

    @cached_property
    def meanings(self) -> dict[str, FieldName]:
        """Which field a column is, by the key of its title."""
        return {title: field for field, title in self.columns.each()}

    @property
    def terms(self) -> tuple[str, str, str]:
        return self.authority, self.instrument, self.unit


def load(content: bytes, where: str) -> Mapping:
    """The mapping in a TOML text. Raises BadMapping, which names the key."""
    if len(content) > FILE_LIMIT:
        raise BadMapping(f"{where}: is not a mapping: it has over {FILE_LIMIT // 1024} KiB")
    try:
        return Mapping.model_validate(tomllib.loads(content.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise BadMapping(f"{where}: is not UTF-8 (byte {error.start})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadMapping(f"{where}: is not TOML: {error}") from None
    except ValidationError as error:
        faults = (
            ": ".join(
                filter(None, (".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")))
            )
            for fault in error.errors(include_url=False)
        )
        raise BadMapping(f"{where}: {'; '.join(faults)}. docs/importing.md has every key.") from None


@cache
def shipped() -> tuple[Mapping, ...]:
    """The built-in mappings."""
    folder = files(__package__) / "mappings"
    found = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name
    )
    return tuple(load(entry.read_bytes(), entry.name) for entry in found)


def named(words: list[str]) -> tuple[Mapping, ...]:
    """The mappings that `--mapping` asks for, each by the name of a built-in one or by its file; without any, all built-in ones."""
    if not words:
        return shipped()
    return tuple(_named(word) for word in dict.fromkeys(words))


def _named(word: str) -> Mapping:
    known = {mapping.name: mapping for mapping in shipped()}
    if word in known:
        return known[word]
    try:
        if Path(word).exists() and not Path(word).is_file():  # reading a pipe would wait
            raise BadMapping(f"{word} is not a regular file")
        with Path(word).open("rb") as file:
            content = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise BadMapping(
            f"{word}: is neither a built-in mapping ({', '.join(known)}) nor a file: {error.strerror}"
        ) from None
    return load(content, word)
