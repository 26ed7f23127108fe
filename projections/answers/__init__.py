"""The answers to questions, computed from documents at one position, wherever these are stored. Pure; one file for each projection."""

from .batches import batches_in
from .companies import companies_in, company_names_in
from .shares import share_of_stock_in, shares_in
from .sources import sources_in
from .totals import totals_in

__all__ = [
    "batches_in",
    "companies_in",
    "company_names_in",
    "share_of_stock_in",
    "shares_in",
    "sources_in",
    "totals_in",
]
