"""PROCESSES: thin RQ shells around the log and the projections, and deliveries (`webhooks`). May import `events` and
`projections`.

RQ carries wake-ups, never facts: whatever it loses or is told, the log and the checkpoints say what is to be done.
"""

from .alive import workers_alive
from .deliver import deliver_here
from .doorbell import ring
from .processes import deaf_to_interrupts, queue_length, run_here, run_here_in, supervise
from .reconcile import progress

__all__ = [
    "deaf_to_interrupts",
    "deliver_here",
    "progress",
    "queue_length",
    "ring",
    "run_here",
    "run_here_in",
    "supervise",
    "workers_alive",
]
