"""CHARTS: answers as Vega-Lite specifications, and these as pictures. May import `events` and `projections`.

Each file has one chart, a pure function of an answer and of how the chart should look. The page and the pictures use the same
specification. Every figure of a chart is in its description as well, for those who cannot see the chart.
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
