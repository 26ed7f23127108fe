"""Charts as pictures, and the JavaScript that draws them in a browser. Both come from one library, an optional extra."""

from __future__ import annotations

from functools import lru_cache
from xml.sax.saxutils import quoteattr

from events import BadQuestion

from .theme import VEGA_LITE, Specification

_GLYPH = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><text y="24" font-size="24" '
    'font-family="sans-serif">{}</text></svg>'
)
_SNIPPET = "export { vegaEmbed as embed };"


def require_rendering() -> None:
    """Raises BadQuestion, which says what to install, if the library is not installed."""
    try:
        import vl_convert  # noqa: F401  # only to find out whether it is installed
    except ImportError:
        raise BadQuestion(
            "pictures need a library that is not installed here: install approval-ledger[charts], or ask for .json"
        ) from None


def to_svg(specification: Specification) -> bytes:
    """An SVG that contains the description, for those who cannot see it. Nothing is fetched from anywhere."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(specification, vl_version=VEGA_LITE, allowed_base_urls=[])
    opening, rest = drawn.split(">", 1)
    return f'{opening} role="img" aria-label={quoteattr(specification["description"])}>{rest}'.encode()


def to_png(specification: Specification, scale: float) -> bytes:
    """A PNG with `scale` pixels for each pixel of the specification."""
    import vl_convert

    drawn: bytes = vl_convert.vegalite_to_png(
        specification, vl_version=VEGA_LITE, scale=scale, allowed_base_urls=[]
    )
    return drawn


def can_draw(characters: str) -> bool:
    """Whether a font of this machine has these characters, of which there must be at least two: without a font all look the same."""
    import vl_convert

    pictures = {vl_convert.svg_to_png(_GLYPH.format(character)) for character in characters}
    return len(pictures) == len(characters)


@lru_cache(maxsize=1)
def javascript() -> bytes:
    """Vega, Vega-Lite and Vega-Embed as one JavaScript module that exports `embed`. Made once in a process, in about a second."""
    import vl_convert

    return vl_convert.javascript_bundle(_SNIPPET, VEGA_LITE).encode()
