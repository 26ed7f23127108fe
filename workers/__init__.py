"""PROCESSES: thin RQ shells around the log and the projections, and deliveries (`webhooks`). May import `events` and
`projections`.

RQ carries wake-ups, never facts: whatever RQ loses or is told, what there is to do follows from the log and the checkpoints.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .alive import workers_alive
from .collector import collect_rarely
from .doorbell import ring
from .reconcile import behind, progress

if TYPE_CHECKING:
    from .deliver import deliver_here
    from .processes import (
        deaf_to_interrupts,
        queue_length,
        run_here,
        run_here_in,
        stop_with_parent,
        supervise,
    )
    from .rebuild import Rebuild, ask_for_rebuild, last_rebuild, last_rebuilds, rebuild_here

__all__ = [
    "Rebuild",
    "ask_for_rebuild",
    "behind",
    "collect_rarely",
    "deaf_to_interrupts",
    "deliver_here",
    "last_rebuild",
    "last_rebuilds",
    "progress",
    "queue_length",
    "rebuild_here",
    "ring",
    "run_here",
    "run_here_in",
    "stop_with_parent",
    "supervise",
    "workers_alive",
]

# Importing RQ takes longer than most answers do, so what needs it is imported only when it is asked for.
_WITH_RQ = {
    "deliver_here": "deliver",
    **dict.fromkeys(
        (
            "deaf_to_interrupts",
            "queue_length",
            "run_here",
            "run_here_in",
            "stop_with_parent",
            "supervise",
        ),
        "processes",
    ),
    **dict.fromkeys(
        ("Rebuild", "ask_for_rebuild", "last_rebuild", "last_rebuilds", "rebuild_here"), "rebuild"
    ),
}

if not TYPE_CHECKING:  # with this, a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _WITH_RQ:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_WITH_RQ[name]}", __name__), name)
