"""Server-side functions, one a file: `load` hands out the source that the server runs."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load(name: str, package: str = __name__, *, frees: bool = False) -> str:
    """The Lua source of `name`, a file of `package`. Because of its shebang the server refuses to run it at all when memory is
    full, unless it `frees` memory."""
    shebang = "#!lua flags=allow-oom\n" if frees else "#!lua\n"
    return shebang + files(package).joinpath(f"{name}.lua").read_text("utf-8")
