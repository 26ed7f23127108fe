"""Whether this run may take longer than a few minutes: `make test-long`."""

import os
from collections.abc import Iterable
from typing import TypeVar

import pytest

T = TypeVar("T")

LONG = os.environ.get("LEDGER_TESTS") == "long"

only_long = pytest.mark.skipif(not LONG, reason="it takes long: `make test-long` runs it")

only_faults = pytest.mark.skipif(
    os.environ.get("LEDGER_TESTS") != "faults",
    reason="it takes a quarter of an hour: `make test-faults` runs it",
)


def some(cases: Iterable[T], every: int) -> list[T]:
    """One in `every` of the cases, beginning with the first; all of them if the run may take longer."""
    return list(cases)[:: 1 if LONG else every]


def examples(most: int) -> int:
    """How many examples of a property are tried: a tenth of `most`, but at least 5; `most` if the run may take longer."""
    return most if LONG else max(5, most // 10)
