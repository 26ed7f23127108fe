"""PROCESSES: thin RQ shells around the log and the projections, and deliveries (`webhooks`). May import `events` and
`projections`.

RQ carries wake-ups, never facts: whatever it loses or is told, the log and the checkpoints say what is to be done.
"""

from .alive import workers_alive
from .deliver import deliver_here
from .doorbell import ring
from .processes import deaf_to_interrupts, queue_length, run_here, run_here_in, supervise
from .rebuild import Rebuild, ask_for_rebuild, last_rebuild, rebuild_here
from .reconcile import progress

__all__ = [
    "Rebuild",
    "ask_for_rebuild",
    "deaf_to_interrupts",
    "deliver_here",
    "last_rebuild",
    "progress",
    "queue_length",
    "rebuild_here",
    "ring",
    "run_here",
    "run_here_in",
    "supervise",
    "workers_alive",
]
