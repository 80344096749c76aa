"""Silver's masters, kept up to date from their snapshots in Bronze: rows, rejects and counts of each.

A master is judged anew when its snapshot or a rule has changed. Its version is the content of its rows without where
they come from: a file that came again with the same records makes nothing stale that reads them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyspark.sql import Observation
from pyspark.sql import functions as F

from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.config import MASTERS, Config
from cloud_analytics.engine.versions import inputs
from cloud_analytics.lake import built
from cloud_analytics.lake.built import Partition
from cloud_analytics.lake.compare import Changes, row_changes, row_hash
from cloud_analytics.lake.few_rows import collected
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.quality import metrics, quarantine
from cloud_analytics.silver import masters
from cloud_analytics.tables.zones import INGEST_TS, SILVER_MASTERS, SOURCE_FILE


def build(lake: Lake, config: Config, changes: Changes | None = None) -> list[str]:
    """Rebuild each master whose snapshot or rules changed; returns their names. `changes` collects what it changed."""
    snapshots: dict[str, Any] = lake.state(bronze_masters.STATE, {})
    bronze = {f"bronze/{name}": {"": str(snapshots.get(name, {}).get("version", 0))} for name in MASTERS}
    known = built.load(lake)
    fresh = {name: inputs(table, bronze, config.fingerprint())[""] for name, table in SILVER_MASTERS.items()}
    stale = [name for name in MASTERS if _inputs(known.get(SILVER_MASTERS[name].path)) != fresh[name]]
    if not stale:
        return []
    with lake.transaction() as transaction:
        with ThreadPoolExecutor(4) as pool:
            pending = {name: pool.submit(_build, lake, transaction, config, name, changes) for name in stale}
            found = {name: future.result() for name, future in pending.items()}
        metrics.record(
            transaction,
            config,
            {name: metrics.verdicts(counts["silver"], counts["quarantine"], counts) for name, counts in found.items()},
        )
        now = {
            SILVER_MASTERS[name].path: {"": Partition(fresh[name], str(counts["content"] or ""), counts["silver"])}
            for name, counts in found.items()
        }
        built.store(transaction, {**known, **now})
        transaction.put(built.RULES, {"judged_by": config.fingerprint()})
    return stale


def _inputs(partitions: dict[str, Partition] | None) -> str | None:
    return partitions[""].inputs if partitions else None


def _build(
    lake: Lake, transaction: Transaction, config: Config, source: str, changes: Changes | None
) -> dict[str, Any]:
    """Replace a master and its rejects; returns what was counted of them, and the `content` of its rows."""
    table = SILVER_MASTERS[source]
    day = lake.state(bronze_masters.STATE, {}).get(source, {}).get("ingest_date")
    folder = f"bronze/{source}/ingest_date={day}"
    # One task: a master came through the driver's memory, and becomes one file.
    bronze = lake.read(folder, bronze_masters.schema(config.sources[source])).coalesce(1)
    judged = masters.judge(bronze, source, config)
    verdicts = Observation()
    passed = F.size("errors") == 0
    told = [column.name for column in table.columns if column not in (INGEST_TS, SOURCE_FILE)]
    content = F.sum(F.when(passed, row_hash(told).cast("decimal(20,0)")))
    rows = table.select(
        judged.observe(
            verdicts,
            F.count_if(passed).alias("silver"),
            F.count_if(~passed).alias("quarantine"),
            content.alias("content"),
            *metrics.tally("errors", metrics.rejecting(config, source)),
            *metrics.tally("warnings", metrics.warning(config, source), "size(errors) = 0"),
        ).where(passed)
    )
    staged = transaction.replace(table.path, collected(rows))
    if changes is not None and staged is not None:
        before, now = (lake.read(path, table.schema) for path in (table.path, staged))
        changes[table.path] = row_changes(before, now, table.key)
    counts = verdicts.get
    rejects = None
    if counts["quarantine"]:  # judged again, since most masters have none and holding them all costs a pass, too
        broken = judged.where(~passed).withColumn("date", F.to_date("ingest_ts"))
        rejects = collected(quarantine.rejects(broken, source, config.fingerprint()))
    transaction.replace(quarantine.table(source), rejects, quarantine.PARTITIONS)
    return counts
