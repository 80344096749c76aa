"""Events that were dated too far after their ingest, and whose time has come: a replay judges them by its own time."""

from __future__ import annotations

from datetime import datetime, timezone

from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake.lake import Lake, partition_folder, partition_values
from cloud_analytics.lake.schemas import BRONZE_EVENTS, QUARANTINE
from cloud_analytics.landing.events import parse_lines
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.events import judge

_FUTURE = "future_timestamp"
_LINE = ["source_file", "raw"]


def take_in_again(lake: Lake, config: Config) -> None:
    """Set `ingest_ts` in Bronze to now for the events that are no `future_timestamp` any more, in one transaction.

    So their dates are judged again like any that changed. Nothing is written where no such event is in quarantine.
    """
    rejected = lake.read(quarantine.table(EVENTS), QUARANTINE).where(F.array_contains("errors", _FUTURE))
    now = F.lit(datetime.now(timezone.utc))
    lines = parse_lines(rejected).withColumns({"ingest_ts": now, "is_late": F.lit(False)})
    due = judge(lines, config).where(~F.array_contains("errors", _FUTURE)).select("date", *_LINE).distinct()
    dates = {str(row.date) for row in due.select("date").distinct().collect()}
    if not dates:
        return
    found = {partition_folder(path) for path in lake.relative_files(ledger.TABLE)}
    folders = {folder for folder in found if partition_values(folder)["date"] in dates}
    rows = lake.read(ledger.TABLE, BRONZE_EVENTS, sorted(folders))
    is_due = F.broadcast(due.select(*_LINE, F.lit(True).alias("is_due")))
    restamped = F.when(F.col("is_due"), now).otherwise(F.col("ingest_ts"))
    rows = rows.join(is_due, _LINE, "left").withColumn("ingest_ts", restamped).select(*BRONZE_EVENTS.names)
    with lake.transaction() as transaction:
        together = lake.together(rows, ["date"], len(dates))
        transaction.replace(ledger.TABLE, together, ledger.PARTITIONS, lambda path: partition_folder(path) in folders)
        pending = {date: entry for date, entry in ledger.pending(lake).items() if date not in dates}
        transaction.put(ledger.PENDING, pending)  # their rows did not only grow in number
        versions = lake.state(ledger.DATES, {})
        transaction.put(ledger.DATES, {**versions, **dict.fromkeys(sorted(dates), transaction.number)})
