"""Gold: one module per mart, with its declaration `TABLE` and its pure function `build`."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from cloud_analytics.tables import Mart


@cache
def marts() -> dict[str, Mart]:
    """Name → mart, for every module of this package that declares one. Marts are listed nowhere else."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        if hasattr(module, "TABLE"):
            about = (module.__doc__ or info.name).splitlines()[0]  # with -OO there are no docstrings
            found[module.TABLE.name] = Mart(module.TABLE, module.build, about)
    return found
