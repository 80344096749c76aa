"""`F`, `Window`, `Column` and `DataFrame` of Spark, imported at their first use.

A mart's module holds both its declaration and its build. A command that only reads declarations (`query`, `--help`)
should not wait a second for the import of Spark, so such modules import these names from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Column", "DataFrame", "F", "Window"]


class _Deferred:
    """Stands for a module or class, and imports it when an attribute is first used."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(getattr(import_module(self._module), self._name), attribute)


if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Window
    from pyspark.sql import functions as F
else:
    Column, DataFrame, Window = (_Deferred("pyspark.sql", name) for name in ("Column", "DataFrame", "Window"))
    F = _Deferred("pyspark.sql", "functions")
