"""Server-side functions, one a file: `load` hands out the source that the server runs."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load(name: str) -> str:
    """The Lua source of `name`. The shebang makes the server refuse it up front when memory is full."""
    return "#!lua\n" + files(__name__).joinpath(f"{name}.lua").read_text("utf-8")
