"""DELIVERIES: events of the log, sent to those who subscribed. May import `events`; knows neither
projections nor RQ nor the terminal.

A subscription has its own cursor in the log. So a replay of projections, which this package does not know, sends nothing again.
"""

from . import dead_letters, outcomes, subscriptions
from .delivering import Attempt, deliveries, is_due, send_again, send_test
from .sending import Answer
from .subscriptions import Subscription

__all__ = [
    "Answer",
    "Attempt",
    "Subscription",
    "dead_letters",
    "deliveries",
    "is_due",
    "outcomes",
    "send_again",
    "send_test",
    "subscriptions",
]
