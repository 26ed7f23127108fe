"""EXPORTS: answers as flat tables, in files that describe themselves. May import `events` and `projections`."""

from .describing import described, sources_of
from .files import require_free, save, saved_beside
from .forms import neutralised, restored, to_csv, to_json
from .parquet import require_parquet, to_parquet
from .tables import TABLES, Column, Table, tabulated

__all__ = [
    "TABLES",
    "Column",
    "Table",
    "described",
    "neutralised",
    "require_free",
    "require_parquet",
    "restored",
    "save",
    "saved_beside",
    "sources_of",
    "tabulated",
    "to_csv",
    "to_json",
    "to_parquet",
]
