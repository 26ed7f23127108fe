"""A table as Parquet. The library is an optional extra of this distribution, because it is larger than the rest of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from events import BadQuestion, canonical

from .tables import Column, Kind, Table

if TYPE_CHECKING:
    from arro3.core import Array, DataType

METADATA_KEY = "approval-ledger"
"""The key under which the file's own metadata has the description that is also written beside it, as JSON."""


def require_parquet() -> None:
    """Raises BadQuestion, which says what to install, if the library is not installed."""
    try:
        import arro3.core
        import arro3.io  # noqa: F401  # only to find out whether it is installed
    except ImportError:
        raise BadQuestion(
            "Parquet needs a library that is not installed here: install approval-ledger[parquet], or export csv or json"
        ) from None


def to_parquet(table: Table, metadata: Mapping[str, Any]) -> bytes:
    """A table as a Parquet file. The same table always gives equal content; the bytes may differ between versions of the library.

    Raises BadQuestion if a number is too large for the format.
    """
    from arro3.core import Field, Schema
    from arro3.core import Table as Arrow
    from arro3.io import write_parquet

    arrays = [_array(column, [row[column.name] for row in table.rows]) for column in table.columns]
    fields = [
        Field(
            column.name,
            array.type,
            nullable=not column.kind.startswith("list"),
            metadata={"meaning": column.meaning},
        )
        for column, array in zip(table.columns, arrays, strict=True)
    ]
    content = io.BytesIO()
    held = {METADATA_KEY: canonical(metadata).decode()}
    write_parquet(
        Arrow.from_arrays(arrays, schema=Schema(fields)),
        content,
        compression="snappy",
        key_value_metadata=held,
    )
    return content.getvalue()


def _array(column: Column, values: Sequence[Any]) -> Array:
    from arro3.core import Array, DataType, list_array

    kind = column.kind
    if kind == "integer" and max((value for value in values if value is not None), default=0) >= 2**63:
        raise BadQuestion(
            f"{column.name} has a number above 2^63 - 1, the largest of Parquet: ask for csv or json"
        )
    if not kind.startswith("list"):
        return Array(values, type=_type(kind))
    offsets = Array([0, *accumulate(map(len, values))], type=DataType.int32())
    return list_array(offsets, Array(list(chain.from_iterable(values)), type=_type(kind)))


def _type(kind: Kind) -> DataType:
    from arro3.core import DataType

    if kind in ("text", "list of texts"):
        return DataType.string()
    if kind in ("number", "list of numbers"):
        return DataType.float64()
    return DataType.bool() if kind == "boolean" else DataType.int64()
