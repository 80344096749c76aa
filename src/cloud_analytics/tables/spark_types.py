"""Makes Spark schemas from text."""

from __future__ import annotations

from pyspark.sql.types import ArrayType, DataType, IntegerType, LongType, StringType, StructType

# Type names that StructType.add does not know.
_TYPES: dict[str, DataType] = {"bigint": LongType(), "int": IntegerType(), "array<string>": ArrayType(StringType())}


def columns(text: str) -> StructType:
    """Make a schema of nullable columns from `name type, name type`, with Spark's names of the types."""
    schema = StructType()
    depth, start = 0, 0
    for position, char in enumerate(text + ","):
        depth += {"(": 1, "<": 1, ")": -1, ">": -1}.get(char, 0)
        if char == "," and depth == 0:
            name, kind = text[start:position].split(maxsplit=1)
            schema.add(name, _TYPES.get(kind.strip(), kind.strip()))
            start = position + 1
    return schema
