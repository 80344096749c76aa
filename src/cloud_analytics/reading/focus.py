"""Export the FOCUS 1.2 Cost and Usage dataset to a file, comparable with bills of other providers (docs/focus.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from cloud_analytics.config import Config
from cloud_analytics.days import check_month
from cloud_analytics.errors import UsageError
from cloud_analytics.lake import periods
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.runtime import output
from cloud_analytics.untrusted import spreadsheet_text

_QUERY = (files(__package__) / "focus.sql").read_text(encoding="utf-8")
_WRITERS: dict[str, Callable[[str, pa.Schema], Any]] = {
    ".parquet": pyarrow.parquet.ParquetWriter,
    ".csv": pyarrow.csv.CSVWriter,
}


@dataclass(frozen=True)
class Export:
    """A finished export: the file, the recency file beside it, the number of rows, and the sum of BilledCost (USD)."""

    path: Path
    recency: Path
    rows: int
    billed_cost_usd: Decimal

    def as_json(self) -> dict[str, object]:
        """The object that `export focus --format json` prints."""
        return {
            "path": str(self.path),
            "recency": str(self.recency),
            "rows": self.rows,
            "billed_cost_usd": str(self.billed_cost_usd),
        }


def expect_writable(out: Path, month: str | None, spreadsheet: bool = False) -> None:
    """Check the path and the month before the lake is read. Raises UsageError if one of them is wrong."""
    if out.suffix.lower() not in _WRITERS:
        raise UsageError(f"{out}: the ending says what is written: {' or '.join(_WRITERS)}")
    if spreadsheet and out.suffix.lower() != ".csv":
        raise UsageError(f"{out}: --spreadsheet is for a .csv file; a Parquet file keeps every byte")
    for path in (out, _recency_file(out)):
        output.expect_writable(path)
    if month is not None:
        check_month(month)


def export(lake: LakeReader, config: Config, out: Path, month: str | None = None, spreadsheet: bool = False) -> Export:
    """Write the charges of one billing month (None: all months) to `out`, one row per charge, and a recency file.

    The recency file lies beside `out` and says when each month last changed. With `spreadsheet`, an apostrophe
    marks what could be read as a formula. The new file replaces an older one when it is complete. UsageError if there
    are no charges to write, and where `expect_writable` raises it.
    """
    expect_writable(out, month, spreadsheet)
    recency = _recency(lake)
    services, units = config.focus.services, config.focus.units
    parameters = {
        "provider": config.focus.provider,
        "month": month,
        "services": list(services),
        "categories": [service.category for service in services.values()],
        "subcategories": [service.subcategory for service in services.values()],
        "metrics": list(units),
        "units": list(units.values()),
    }
    charges = lake.batches(_QUERY, parameters, lambda batches: _write(batches, out, spreadsheet))
    if not charges.rows:
        there = f"there is usage of {', '.join(recency)}" if recency else "the lake holds no usage"
        raise UsageError(f"nothing is billed{f' in {month}' if month else ''}: {there}")
    with output.replacing(charges.recency) as path:
        path.write_text(json.dumps({"months": list(recency.values())}, indent=2) + "\n", encoding="utf-8")
    return charges


def _recency(lake: LakeReader) -> dict[str, dict[str, object]]:
    """Billing month → whether it is complete (closed, so its rows never change), and when its files last changed."""
    closed = lake.load(periods.DOCUMENT).months
    booked = {row["month"] for row in lake.rows("SELECT DISTINCT booked_month AS month FROM gold.restatements")}
    changed = [
        (info.path.rpartition("/usage_date=")[2][:7], info.modified)
        for info in lake.files.files("gold/resource_daily_usage")
    ]
    changed += [(month, info.modified) for info in lake.files.files("gold/restatements") for month in booked]
    newest = {month: datetime.fromtimestamp(at // 1000, timezone.utc) for month, at in sorted(changed)}
    return {
        month: {"month": month, "complete": month in closed, "last_updated": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        for month, at in newest.items()
    }


def _write(batches: pa.RecordBatchReader, out: Path, spreadsheet: bool) -> Export:
    rows, cost = 0, Decimal(0)
    with output.replacing(out) as path:
        with _WRITERS[out.suffix.lower()](str(path), batches.schema) as writer:
            for batch in batches:
                writer.write_batch(_without_formulas(batch) if spreadsheet else batch)
                rows += batch.num_rows
                cost += pc.sum(batch["BilledCost"]).as_py() or 0
        if not rows:
            path.unlink()
    return Export(out, _recency_file(out), rows, cost)


def _recency_file(out: Path) -> Path:
    return out.with_name(f"{out.stem}.recency.json")


def _without_formulas(batch: pa.RecordBatch) -> pa.RecordBatch:
    def texts(column: pa.Array) -> pa.Array:
        return pa.array([text and spreadsheet_text(text) for text in column.to_pylist()], column.type)

    columns = [texts(column) if pa.types.is_string(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
