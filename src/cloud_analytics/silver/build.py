"""The Silver step: which tables and dates are stale, and their replacement (what they hold is computed elsewhere)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyspark.sql import Observation
from pyspark.sql import functions as F

from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.lake.compare import RowChanges, row_changes
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.lake.schemas import SILVER_MASTERS, conform
from cloud_analytics.quality import metrics, quarantine
from cloud_analytics.silver import masters

EVENTS_TABLE = f"silver/{EVENTS}"
BASELINES_TABLE = "silver/cost_baselines"
MASTERS_STATE = "_state/silver_masters"
# `dates`: of each date its `inputs` (versions of what it was built from), the number of the transaction that built it
# anew or joined its files (`base`), those that added rows since (`parts`), and the last that changed rows (`version`).
# `whole`: the inputs of all dates where they were built together. `events`: how many there are. `baselines`: their
# rules, and of how many events they were made.
EVENTS_STATE = "_state/silver_usage_events"
Changes = dict[str, RowChanges]  # table → what its replacement changed


def judged_by(lake: Lake) -> set[str]:
    """Fingerprints of the configurations that judged the masters of Silver as they are."""
    return {entry["inputs"][1] for entry in lake.state(MASTERS_STATE, {}).values()}


def build_masters(lake: Lake, config: Config, changes: Changes | None = None) -> list[str]:
    """Rebuild each master whose snapshot or rules changed; returns their names. `changes` collects what it changed."""
    snapshots: dict[str, Any] = lake.state(bronze_masters.STATE, {})
    built: dict[str, Any] = lake.state(MASTERS_STATE, {})
    rules = config.fingerprint()
    inputs = {name: [snapshots.get(name, {}).get("version", 0), rules] for name in MASTERS}
    stale = [name for name in MASTERS if built.get(name, {}).get("inputs") != inputs[name]]
    if not stale:
        return []
    with lake.transaction() as transaction:
        with ThreadPoolExecutor(4) as pool:
            pending = {name: pool.submit(_build_master, lake, transaction, config, name, changes) for name in stale}
            metrics.record(transaction, config, {name: future.result() for name, future in pending.items()})
        version = transaction.number
        transaction.put(
            MASTERS_STATE, {**built, **{name: {"inputs": inputs[name], "version": version} for name in stale}}
        )
    return stale


def _build_master(
    lake: Lake, transaction: Transaction, config: Config, source: str, changes: Changes | None
) -> dict[str, Any]:
    day = lake.state(bronze_masters.STATE, {}).get(source, {}).get("ingest_date")
    folder = f"bronze/{source}/ingest_date={day}"
    # One task: a master came through the driver's memory, and becomes one file.
    bronze = lake.read(folder, bronze_masters.schema(config.sources[source])).coalesce(1)
    judged = masters.judge(bronze, source, config)
    verdicts = Observation()
    passed = F.size("errors") == 0
    rows = conform(
        judged.observe(
            verdicts,
            F.count_if(passed).alias("silver"),
            F.count_if(~passed).alias("quarantine"),
            *metrics.tally("errors", metrics.rejecting(config, source)),
            *metrics.tally("warnings", metrics.warning(config, source), "size(errors) = 0"),
        ).where(passed),
        SILVER_MASTERS[source],
    )
    staged = transaction.replace(f"silver/{source}", rows)
    if changes is not None and staged is not None:
        before, now = (lake.read(table, SILVER_MASTERS[source]) for table in (f"silver/{source}", staged))
        changes[f"silver/{source}"] = row_changes(before, now, config.sources[source].key)
    counts = verdicts.get
    rejects = None
    if counts["quarantine"]:  # judged again, since most masters have none and holding them all costs a pass, too
        broken = judged.where(~passed).withColumn("date", F.to_date("ingest_ts"))
        rejects = quarantine.rejects(broken, source, config.fingerprint())
    transaction.replace(quarantine.table(source), rejects, quarantine.PARTITIONS)
    return metrics.verdicts(counts["silver"], counts["quarantine"], counts)
