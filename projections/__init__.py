"""DERIVED VIEWS: pure folds over the log, and where their state lives. May import `events`, and nothing else of ours.

Reading is `queries`, and `citations` to what was read; `Store` and `replay` are for those who run the folds.
"""

from . import answers, citations, queries, replay
from .asof import Asked, pinned, published_on
from .bounds import Conflict
from .checkpoint import Checkpoint
from .differences import diff
from .digest import digest
from .lockstep import CONCERNS_ALL, Lockstep, advance_together
from .projection import Documents, MemoryDocuments, Projection, advance, fold
from .queries import PROJECTIONS, Answer
from .store import (
    FIRST,
    Fenced,
    Generation,
    Pointers,
    Store,
    has_moved,
    live_generations,
    live_of,
    pointers_of,
)

__all__ = [
    "CONCERNS_ALL",
    "FIRST",
    "PROJECTIONS",
    "Answer",
    "Asked",
    "Checkpoint",
    "Conflict",
    "Documents",
    "Fenced",
    "Generation",
    "Lockstep",
    "MemoryDocuments",
    "Pointers",
    "Projection",
    "Store",
    "advance",
    "advance_together",
    "answers",
    "citations",
    "diff",
    "digest",
    "fold",
    "has_moved",
    "live_generations",
    "live_of",
    "pinned",
    "pointers_of",
    "published_on",
    "queries",
    "replay",
]
