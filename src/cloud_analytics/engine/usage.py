"""Keeps gold/resource_daily_usage up to date from Silver's events. All marts of the events are built from this table.

If a micro-batch added events to a date, the date gets one more file, a part: the sums of the new events alone. Readers
of the table add the parts (`Table.added`). So the cost of a micro-batch depends on its new events, not on the size of
the day. A date whose events were rebuilt is rebuilt here, too. The parts of a date with many parts are merged into one
file.
"""

from __future__ import annotations

from cloud_analytics.config import Config
from cloud_analytics.engine import staging
from cloud_analytics.gold import resource_daily_usage
from cloud_analytics.lake import built, periods
from cloud_analytics.lake.built import NEVER_BUILT, Partition
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.rows import is_little
from cloud_analytics.silver import state as silver_state
from cloud_analytics.silver.state import SilverDate
from cloud_analytics.tables.zones import SILVER_EVENTS

TABLE = resource_daily_usage.TABLE


def build(lake: Lake, config: Config) -> dict[str, int]:
    """Update the dates whose events changed. Returns the table's name → number of changed dates, or an empty dict.

    Dates of closed months stay as they are.
    """
    events = lake.load(silver_state.DOCUMENT).dates
    versions = silver_state.versions(lake)
    states = lake.load(built.TABLES)
    known = states.get(TABLE.path, {})
    closed = lake.load(periods.DOCUMENT).months
    open_dates = {date for date in {*versions, *known} if not TABLE.is_held(date, closed)}
    stale = {date for date in open_dates if versions.get(date) != known.get(date, NEVER_BUILT).inputs}
    if not stale:
        return {}
    added = {date: _added_files(lake, date, events[date], known.get(date)) for date in stale & versions.keys()}
    anew = {date for date, files in added.items() if files is None}
    growing = {date: files for date, files in added.items() if files}
    with lake.transaction() as transaction:
        now = {date: Partition(versions[date], known[date].content, known[date].rows) for date in added.keys() - anew}
        now |= {date: Partition(versions[date], versions[date], known[date].rows + 1) for date in growing}
        coming, going = set(growing), stale - versions.keys()
        folder = None
        if growing or anew:
            fresh = lake.rows(
                SILVER_EVENTS,
                [f"date={date}" for date in anew] + [path for files in growing.values() for path in files],
            )
            files = {date: lake.data_files(f"{TABLE.path}/usage_date={date}") for date in growing}
            crowded = {date for date, found in files.items() if len(found) >= config.pipeline.stream.max_parts}
            parts = lake.rows(TABLE, [f"usage_date={date}" for date in sorted(crowded)])
            little = is_little([fresh, parts])
            rows = resource_daily_usage.build(fresh.coalesce(1) if little else fresh, config.taxonomy.metric_units())
            if crowded:  # the merged file replaces the parts
                rows = TABLE.added(rows.unionByName(parts))
            staged = staging.stage(transaction, TABLE, rows, growing.keys() | anew, little)
            folder = staged.folder
            contents = staging.contents(lake, [staged])[TABLE.path] if anew else {}
            built_anew = {date: Partition(versions[date], *contents.get(date, ("", 0))) for date in anew}
            differing = {date for date in anew if built_anew[date].content != known.get(date, NEVER_BUILT).content}
            now |= built_anew
            coming |= {date for date in differing if built_anew[date].content}
            going |= crowded | differing
        staging.place(transaction, TABLE, folder, coming, going)
        left = {date: entry for date, entry in known.items() if date not in stale}
        transaction.store(built.TABLES, {**states, TABLE.path: {**left, **now}})
    changed = len(coming | going)
    return {TABLE.name: changed} if changed else {}


def _added_files(lake: Lake, date: str, events: SilverDate, known: Partition | None) -> list[str] | None:
    """Silver's files with the events that were added to a date after its usage was summed.

    None if the whole date has to be summed: Silver rebuilt it, or its usage was never summed.
    """
    versions = [str(number) for number in (events.base, *events.parts)]
    if known is None or known.inputs not in versions:
        return None
    since = {*versions[versions.index(known.inputs) + 1 :]}
    folder = f"date={date}"
    files = lake.data_files(f"{SILVER_EVENTS.path}/{folder}")
    return [f"{folder}/{path}" for path in files if path.rpartition("/")[2].partition("-")[0] in since]
