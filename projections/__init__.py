"""DERIVED VIEWS: pure folds over the log, and where their state lives. May import `events`, and nothing else of ours.

Reading is `queries`, and `citations` to what was read; `Store` and `replay` are for those who run the folds.
"""

from . import answers, citations, queries, replay
from .asof import Asked, pinned
from .bounds import Conflict
from .differences import diff
from .digest import digest
from .lockstep import Lockstep, advance_together
from .projection import Documents, MemoryDocuments, Projection, advance, fold
from .queries import PROJECTIONS, Answer
from .store import Fenced, Generation, Store, live_generations

__all__ = [
    "PROJECTIONS",
    "Answer",
    "Asked",
    "Conflict",
    "Documents",
    "Fenced",
    "Generation",
    "Lockstep",
    "MemoryDocuments",
    "Projection",
    "Store",
    "advance",
    "advance_together",
    "answers",
    "citations",
    "diff",
    "digest",
    "fold",
    "live_generations",
    "pinned",
    "queries",
    "replay",
]
