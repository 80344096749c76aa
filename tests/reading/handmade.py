"""Tables of a lake written by hand, for who only reads it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MONEY = pa.decimal128(28, 6)


def put(lake: Path, folder: str, *rows: dict[str, Any]) -> None:
    """A file of a table; amounts are DECIMAL(28,6)."""
    (lake / folder).mkdir(parents=True, exist_ok=True)
    columns = {
        name: pa.array([row.get(name) for row in rows], MONEY if isinstance(value, Decimal) else None)
        for name, value in rows[0].items()
    }
    pq.write_table(pa.table(columns), lake / folder / "part-0.parquet")
