"""Makes Spark schemas from the names of types."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql.types import ArrayType, DataType, IntegerType, LongType, StringType, StructType

# Type names that StructType.add does not know.
_TYPES: dict[str, DataType] = {"bigint": LongType(), "int": IntegerType(), "array<string>": ArrayType(StringType())}


def schema(types: Mapping[str, str]) -> StructType:
    """A schema of nullable columns; `types` maps the name of a column to Spark's name of its type."""
    made = StructType()
    for name, kind in types.items():
        made.add(name, _TYPES.get(kind, kind))
    return made
