"""Gold: one module a mart, its declaration `TABLE` beside its pure `build`."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from cloud_analytics.tables import Mart

_NOT_DECLARED = {"forecasting"}  # it imports NumPy


@cache
def marts() -> dict[str, Mart]:
    """Every mart by name: what the modules of this package declare. Nothing else names them."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name in _NOT_DECLARED:
            continue
        module = import_module(f"{__name__}.{info.name}")
        if hasattr(module, "TABLE"):  # others hold what several marts share
            about = (module.__doc__ or info.name).splitlines()[0]  # Python leaves docstrings out under -OO
            found[module.TABLE.name] = Mart(module.TABLE, module.build, about)
    return found
