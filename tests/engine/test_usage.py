"""gold/resource_daily_usage in parts: what micro-batches add, what replaces them, and what readers make of them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.engine import usage
from cloud_analytics.lake.lake import Lake
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.silver import state as silver_state
from cloud_analytics.silver.state import Inputs, SilverDate, SilverEvents
from cloud_analytics.tables.zones import SILVER_EVENTS
from tests.integration.agreement import rows_of

pytestmark = pytest.mark.spark

DAY = "2025-06-01"


def put_events(lake: Lake, costs: list[str], anew: bool) -> None:
    """Events of one resource that cost so much, added to the day, or in place of what it had."""
    rows = lake.spark.createDataFrame([(cost,) for cost in costs], "cost string")
    told = {
        "event_id": F.col("cost"), "org_id": F.lit("org"), "resource_id": F.lit("res"), "service": F.lit("genai"),
        "metric": F.lit("requests"), "cost_usd": F.col("cost"), "date": F.lit(DAY), "is_anomaly": F.lit(False),
        "value": F.when(F.col("cost") != "0.5", 1),
    }  # fmt: skip
    frame = rows.select(
        *[told.get(field.name, F.lit(None)).cast(field.dataType).alias(field.name) for field in SILVER_EVENTS.schema]
    )
    with lake.transaction() as transaction:
        transaction.replace(
            SILVER_EVENTS.path, frame.coalesce(1), ["date", "service"], (lambda _: True) if anew else None
        )
        number = transaction.number
        known = lake.load(silver_state.DOCUMENT).dates.get(DAY)
        inputs = Inputs(1, "", "", "", "")
        if anew or known is None:
            entry = SilverDate(inputs, number, base=number)
        else:
            entry = SilverDate(inputs, number, known.base, (*known.parts, number))
        transaction.store(silver_state.DOCUMENT, SilverEvents({DAY: entry}))


def test_parts_are_added_and_a_settling_replaces_them(spark: SparkSession, config: Config, tmp_path: Path) -> None:
    stream = config.pipeline.stream.model_copy(update={"max_parts": 3})
    config = config.model_copy(update={"pipeline": config.pipeline.model_copy(update={"stream": stream})})
    lake = Lake(spark, str(tmp_path))

    def events() -> list[int]:
        return sorted(row["events"] for row in rows_of(tmp_path, usage.TABLE.path))

    put_events(lake, ["1", "2"], anew=True)
    assert usage.build(lake, config) == {"resource_daily_usage": 1}
    put_events(lake, ["0.5"], anew=False)
    put_events(lake, ["4"], anew=False)  # two micro-batches before Gold looks
    assert usage.build(lake, config) == {"resource_daily_usage": 1}
    assert events() == [2, 2]
    assert usage.build(lake, config) == {}

    # Whoever asks the lake gets one row.
    (row,) = LakeReader(lake.files).rows("SELECT * FROM gold.resource_daily_usage")
    assert (row["events"], row["cost_usd"], row["quantity"]) == (4, Decimal("7.5"), 3)
    assert (row["cost_without_quantity_usd"], row["total_carbon_kg"]) == (Decimal("0.5"), None)

    put_events(lake, ["8"], anew=False)
    usage.build(lake, config)
    put_events(lake, ["16"], anew=False)  # the fourth part: three are there, and become one
    usage.build(lake, config)
    assert events() == [6]

    put_events(lake, ["32"], anew=False)
    usage.build(lake, config)
    put_events(lake, ["1", "2", "0.5", "4", "8", "16", "32"], anew=True)
    assert usage.build(lake, config) == {"resource_daily_usage": 1}
    assert events() == [7]
    (file,) = tmp_path.glob(f"{usage.TABLE.path}/*/*.parquet")
    written = file.stat().st_mtime_ns
    put_events(lake, ["32", "1", "2", "0.5", "4", "8", "16"], anew=True)
    assert usage.build(lake, config) == {}  # the same content: nothing is replaced
    assert file.stat().st_mtime_ns == written
