"""PROCESSES: thin RQ shells around the log and the projections. May import `events` and `projections`.

RQ carries wake-ups, never facts: whatever it loses or is told, the log and the checkpoints say what is to be done.
"""

from .alive import workers_alive
from .doorbell import ring
from .processes import queue_length, run_here, run_here_in, supervise
from .reconcile import progress

__all__ = [
    "progress",
    "queue_length",
    "ring",
    "run_here",
    "run_here_in",
    "supervise",
    "workers_alive",
]
