"""Events that were dated too far after their ingest, and whose time has come: a replay judges them by its own time."""

from __future__ import annotations

from datetime import datetime, timezone

from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.ledger import BronzeDate
from cloud_analytics.config import Config
from cloud_analytics.lake.lake import Lake, lies_below
from cloud_analytics.landing.events import parse_lines
from cloud_analytics.quality.events import judged
from cloud_analytics.tables.zones import BRONZE_EVENTS, QUARANTINED_EVENTS

_FUTURE = "future_timestamp"
_LINE = ["source_file", "raw"]


def take_in_again(lake: Lake, config: Config) -> None:
    """Set `ingest_ts` in Bronze to now for the events that are no `future_timestamp` any more, in one transaction.

    Silver then judges their dates again, like any dates that changed. Nothing is written where there is no such event.
    """
    quarantined = lake.rows(QUARANTINED_EVENTS)
    rejected = quarantined.where(F.array_contains("errors", _FUTURE))
    now = F.lit(datetime.now(timezone.utc))
    lines = parse_lines(rejected).withColumns({"ingest_ts": now, "is_late": F.lit(False)})
    due = judged(lines, config).where(~F.array_contains("errors", _FUTURE)).select("date", *_LINE).distinct()
    dates = {str(row.date) for row in due.select("date").distinct().collect()}
    if not dates:
        return
    folders = {f"date={date}" for date in dates}
    rows = lake.rows(BRONZE_EVENTS, sorted(folders))
    is_due = F.broadcast(due.select(*_LINE, F.lit(True).alias("is_due")))
    restamped = F.when(F.col("is_due"), now).otherwise(F.col("ingest_ts"))
    rows = rows.join(is_due, _LINE, "left").withColumn("ingest_ts", restamped).select(*BRONZE_EVENTS.schema.names)
    with lake.transaction() as transaction:
        gathered = lake.gathered(rows, ["date"], len(dates))
        transaction.replace(BRONZE_EVENTS.path, gathered, BRONZE_EVENTS.folders, lies_below(folders))
        known = lake.load(ledger.DATES)
        transaction.store(ledger.DATES, known | {date: BronzeDate(transaction.number) for date in sorted(dates)})
