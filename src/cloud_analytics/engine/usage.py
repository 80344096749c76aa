"""gold/resource_daily_usage, kept up to date from Silver's events: the grain that every mart of the events is made of.

A date to which micro-batches added events gets one more file, its part: the sums of the new events alone. Whoever
reads the table adds the parts (`Table.added`). So a micro-batch costs what it brings, whatever the day
holds. A date whose events were built anew is built anew; the parts of one that has many become one file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.gold import resource_daily_usage
from cloud_analytics.lake import built, periods
from cloud_analytics.lake.built import Partition
from cloud_analytics.lake.compare import row_hash
from cloud_analytics.lake.few_rows import collected_with_contents, is_little
from cloud_analytics.lake.lake import Lake
from cloud_analytics.silver.build_events import EVENTS_STATE, EVENTS_TABLE
from cloud_analytics.tables.zones import SILVER_EVENTS

TABLE = resource_daily_usage.TABLE


def build(lake: Lake, config: Config) -> dict[str, int]:
    """Bring the dates up to date whose events changed; returns the table with the number of dates that did.

    Dates of months that finance has closed stay as they are.
    """
    events: dict[str, Any] = lake.state(EVENTS_STATE, {"dates": {}})["dates"]
    states = built.load(lake)
    known = states.get(TABLE.path, {})
    versions = {date: str(entry["version"]) for date, entry in events.items()}
    closed = periods.load(lake).months
    open_dates = {date for date in {*versions, *known} if not TABLE.is_held(date, closed)}
    stale = {date for date in open_dates if versions.get(date) != _inputs(known.get(date))}
    if not stale:
        return {}
    parts = {date: _added(lake, date, events[date], known[date]) for date in stale & versions.keys() & known.keys()}
    anew = {date for date in stale & versions.keys() if parts.get(date) is None}
    growing = {date: files for date, files in parts.items() if files}
    with lake.transaction() as transaction:
        now = {date: Partition(versions[date], known[date].content, known[date].rows) for date in parts.keys() - anew}
        now |= {date: Partition(versions[date], versions[date], known[date].rows + 1) for date in growing}
        coming, going = set(growing), stale - versions.keys()
        staged = None
        if growing or anew:
            folders = [f"date={date}" for date in anew] + [path for files in growing.values() for path in files]
            fresh = lake.read(EVENTS_TABLE, SILVER_EVENTS.schema, folders)
            crowded = {date for date in growing if _is_crowded(lake, date, config.pipeline.stream.max_parts)}
            parts_of_crowded = _partitions(lake, TABLE.path, crowded)
            little = is_little([fresh, parts_of_crowded])
            if little:
                fresh = fresh.coalesce(1)
            rows = resource_daily_usage.build(fresh, config.taxonomy.metric_units())
            if crowded:
                rows = TABLE.added(rows.unionByName(parts_of_crowded))
            dates = len(growing) + len(anew)
            if little:
                held, contents = collected_with_contents(rows, "usage_date")
                staged = transaction.stage(held, ["usage_date"])
            else:
                staged = transaction.stage(lake.together(rows, ["usage_date"], dates), ["usage_date"])
                contents = _contents(lake, staged, anew)
            built_anew = {date: Partition(versions[date], *contents.get(date, ("", 0))) for date in anew}
            differing = {date for date in anew if built_anew[date].content != _content(known.get(date))}
            now |= built_anew
            coming |= {date for date in differing if built_anew[date].content}
            going |= crowded | differing
        transaction.place(TABLE.path, staged, _of(going) if going else None, _of(coming))
        left = {date: entry for date, entry in known.items() if date not in stale}
        built.store(transaction, {**states, TABLE.path: {**left, **now}})
    changed = len(coming | going)
    return {TABLE.name: changed} if changed else {}


def _added(lake: Lake, date: str, events: Mapping[str, Any], known: Partition) -> list[str] | None:
    """Silver's files with what was added to a date since its usage was summed; None where it was built anew."""
    versions = [str(number) for number in (events["base"], *events["parts"])] if "parts" in events else []
    if known.inputs not in versions:
        return None
    since = {*versions[versions.index(known.inputs) + 1 :]}
    folder = f"date={date}"
    files = lake.relative_files(f"{EVENTS_TABLE}/{folder}")
    return [f"{folder}/{path}" for path in files if path.rpartition("/")[2].partition("-")[0] in since]


def _is_crowded(lake: Lake, date: str, most: int) -> bool:
    return len(lake.relative_files(f"{TABLE.path}/usage_date={date}")) >= most


def _contents(lake: Lake, staged: str, dates: Collection[str]) -> dict[str, tuple[str, int]]:
    """Hash and number of the rows of dates that were built anew."""
    if not dates:
        return {}
    digest = F.sum(row_hash(TABLE.schema.names).cast("decimal(20,0)")).cast("string")
    day = F.col("usage_date").cast("string").alias("day")
    rows = _partitions(lake, staged, dates).groupBy(day).agg(digest.alias("hash"), F.count("*").alias("rows"))
    return {row.day: (row.hash, row.rows) for row in rows.collect()}


def _partitions(lake: Lake, folder: str, dates: Collection[str]) -> DataFrame:
    return lake.read(folder, TABLE.schema, [f"usage_date={date}" for date in sorted(dates)])


def _of(dates: Collection[str]) -> Callable[[str], bool]:
    folders = {f"usage_date={date}" for date in dates}
    return lambda path: path.split("/")[0] in folders


def _inputs(partition: Partition | None) -> str | None:
    return partition.inputs if partition else None


def _content(partition: Partition | None) -> str:
    return partition.content if partition else ""
