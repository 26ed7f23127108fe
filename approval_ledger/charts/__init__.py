"""CHARTS: answers as Vega-Lite specifications, and those as pictures. May import `events` and `projections`.

One chart a file, each a pure function of an answer and of how the chart shall look: the page and the pictures have the same
specification. Every figure of a chart is in its description too, for whoever cannot see it.
"""

from .asked import CHARTS, chart, question
from .rendering import can_draw, javascript, require_rendering, to_png, to_svg
from .theme import NARROWEST, WIDEST, WIDTH, Look, Specification, Theme
from .words import Language

__all__ = [
    "CHARTS",
    "NARROWEST",
    "WIDEST",
    "WIDTH",
    "Language",
    "Look",
    "Specification",
    "Theme",
    "can_draw",
    "chart",
    "javascript",
    "question",
    "require_rendering",
    "to_png",
    "to_svg",
]
