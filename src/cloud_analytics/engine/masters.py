"""Keeps Silver's masters up to date from their snapshots in Bronze: the rows, rejects and counts of each master.

A master is validated again if its snapshot or a rule has changed. Its version is a hash of its rows without file name
and ingest time. So a file that arrives again with the same records makes no reading table stale.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.config import MASTERS, Config
from cloud_analytics.engine.versions import inputs
from cloud_analytics.lake import built
from cloud_analytics.lake.built import NEVER_BUILT, Partition
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.lake.rows import Changes, collected, computed_once, content_hash, is_little, row_changes, row_hash
from cloud_analytics.quality import masters, metrics, quarantine
from cloud_analytics.tables.zones import INGEST_TS, QUARANTINED_EVENTS, SILVER_MASTERS, SOURCE_FILE


def build(lake: Lake, config: Config, changes: Changes | None = None) -> list[str]:
    """Rebuild each master whose snapshot or rules changed. Returns their names; `changes` collects the row changes."""
    snapshots = lake.load(ledger.SNAPSHOTS)
    versions = {name: str(snapshots[name].version) if name in snapshots else "0" for name in MASTERS}
    bronze = {f"bronze/{name}": {"": version} for name, version in versions.items()}
    known = lake.load(built.TABLES)
    fresh = {name: inputs(table, bronze, config.fingerprint())[""] for name, table in SILVER_MASTERS.items()}
    stale = [
        name for name in MASTERS if known.get(SILVER_MASTERS[name].path, {}).get("", NEVER_BUILT).inputs != fresh[name]
    ]
    if not stale:
        return []
    with lake.transaction() as transaction:
        with ThreadPoolExecutor(4) as pool:
            pending = {name: pool.submit(_build, lake, transaction, config, name, changes) for name in stale}
            found = {name: future.result() for name, future in pending.items()}
        counted = {name: metrics.verdicts(each["silver"], each["quarantine"], each) for name, each in found.items()}
        metrics.record(transaction, config, counted)
        now = {
            SILVER_MASTERS[name].path: {"": Partition(fresh[name], counts["content"] or "", counts["silver"])}
            for name, counts in found.items()
        }
        transaction.store(built.TABLES, {**known, **now})
        transaction.store(built.RULES, built.Rules(config.fingerprint()))
    return stale


def _build(
    lake: Lake, transaction: Transaction, config: Config, source: str, changes: Changes | None
) -> dict[str, Any]:
    """Replace a master and its rejects. Returns the counts of both, and the `content` hash of the master's rows."""
    snapshot = lake.load(ledger.SNAPSHOTS).get(source)
    folder = f"bronze/{source}/ingest_date={snapshot.ingest_date if snapshot else None}"
    # One task is enough: a master fits into the driver's memory, and it becomes one file.
    bronze = lake.read(folder, bronze_masters.schema(config.sources[source])).coalesce(1)
    with ExitStack() as until:
        judged = masters.judged(bronze, source, config)
        if is_little([bronze]):
            judged = computed_once(until, judged, little=True)
        return _replaced(lake, transaction, config, source, judged, changes)


def _replaced(
    lake: Lake, transaction: Transaction, config: Config, source: str, judged: DataFrame, changes: Changes | None
) -> dict[str, Any]:
    """Replace a master and its rejects by `judged` records; see `_build`."""
    table, verdicts = SILVER_MASTERS[source], Observation()
    passed = F.size("errors") == 0
    hashed = [column.name for column in table.columns if column not in (INGEST_TS, SOURCE_FILE)]
    rows = table.select(
        judged.observe(
            verdicts,
            F.count_if(passed).alias("silver"),
            F.count_if(~passed).alias("quarantine"),
            content_hash(F.when(passed, row_hash(hashed))).alias("content"),
            *metrics.rule_counts(config, source, "errors"),
            *metrics.rule_counts(config, source, "warnings", "size(errors) = 0"),
        ).where(passed)
    )
    staged = transaction.replace(table.path, collected(rows))
    if changes is not None and staged is not None:
        before, now = (lake.read(path, table.schema) for path in (table.path, staged))
        changes[table.path] = row_changes(before, now, table.key)
    counts = verdicts.get
    rejects = None
    if counts["quarantine"]:  # a large master is validated again instead of cached: most have no rejects
        broken = judged.where(~passed).withColumn("date", F.to_date("ingest_ts"))
        rejects = collected(quarantine.rejects(broken, source, config.fingerprint()))
    transaction.replace(f"quarantine/{source}", rejects, QUARANTINED_EVENTS.folders)
    return counts
