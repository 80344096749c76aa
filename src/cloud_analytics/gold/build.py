"""The Gold step: which marts and dates are stale, their replacement, and the change log that serving follows.

A partition is replaced only when its content differs; each replacement is one record of `gold/_change_log/`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from cloud_analytics.config import Config
from cloud_analytics.gold import (
    carbon_impact,
    cost_anomaly_mart,
    daily_cost_signals,
    genai_tokens_by_org_date,
    marts,
    org_daily_usage_by_service,
    org_service_cost_summary,
)
from cloud_analytics.gold.measures import resource_days
from cloud_analytics.lake.compare import row_hash
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.lake.schemas import SILVER_EVENTS, SILVER_MASTERS
from cloud_analytics.silver import build as silver

STATE = "_state/gold"
CHANGE_LOG = "gold/_change_log"
DAILY = "org_daily_usage_by_service"

SCHEMAS: dict[str, StructType] = {name: mart.table.schema for name, mart in marts().items()}
# Marts of whole masters. (Marts of anything else are built below, by name.)
_MASTER_MARTS = {
    name: mart
    for name, mart in marts().items()
    if mart.table.partition is None and all(read.table.startswith("silver/") for read in mart.table.reads)
}


@dataclass(frozen=True)
class _Change:
    """What became of one mart: content hash and rows of each partition now, and the partitions that differ."""

    mart: str
    hashes: dict[str, list[Any]]
    changed: list[str]


@dataclass(frozen=True)
class _Fresh:
    """A mart newly computed: every row of the partitions that it covers."""

    frame: DataFrame
    covers: Callable[[str], bool]


def _everything(_partition: str) -> bool:
    return True


def table(mart: str) -> str:
    """Lake folder of a mart."""
    return f"gold/{mart}"


def partition_column(mart: str) -> str | None:
    """The date column by which a mart of the events is partitioned; None: the mart is one partition."""
    return marts()[mart].table.partition


def build(lake: Lake, config: Config) -> dict[str, int]:
    """Rebuild what is stale; returns mart → number of partitions whose content changed."""
    state: dict[str, Any] = lake.state(STATE, {"inputs": {}, "dates": {}, "hashes": {}})
    versions = {n: entry["version"] for n, entry in lake.state(silver.MASTERS_STATE, {}).items()}
    rules = config.fingerprint()
    dates = {
        date: [entry["version"], rules]
        for date, entry in lake.state(silver.EVENTS_STATE, {"dates": {}})["dates"].items()
    }
    inputs = {mart: [*(versions.get(source, 0) for source in _sources(mart)), rules] for mart in _MASTER_MARTS}
    stale_marts = [mart for mart in _MASTER_MARTS if state["inputs"].get(mart) != inputs[mart]]
    stale_dates = sorted(date for date in {*dates, *state["dates"]} if dates.get(date) != state["dates"].get(date))
    if not stale_marts and not stale_dates:
        return {}
    with lake.transaction() as transaction:
        with ThreadPoolExecutor(1) as pool:
            pending = pool.submit(_master_marts, lake, transaction, config, stale_marts, state["hashes"])
            changes = []
            if stale_dates:
                changes = _event_marts(lake, transaction, config, stale_dates, sorted(dates), state["hashes"])
            changes += pending.result()
        hashes = {**state["hashes"], **{change.mart: change.hashes for change in changes}}
        transaction.put(STATE, {"inputs": inputs, "dates": dates, "hashes": hashes})
        _log(transaction, changes)
    return {change.mart: len(change.changed) for change in changes if change.changed}


def settle(lake: Lake, config: Config) -> dict[str, int]:
    """Rebuild what is stale, and add what is written once (`Table.write_once`); returns what `build` returns."""
    changed = build(lake, config)
    hashes: dict[str, Any] = lake.state(STATE, {"hashes": {}})["hashes"]
    newest = max(hashes.get(DAILY, {}), default=None)
    for name, mart in marts().items():
        if mart.table.write_once and newest is not None and newest not in hashes.get(name, {}):
            rows = [lake.read(read.table, _schema(read.table)) for read in mart.table.reads]
            settings = [mart.table.settings(config)] if mart.table.settings else []
            with lake.transaction() as transaction:
                fresh = _Fresh(mart.build(*rows, *settings), newest.__eq__)
                (change,) = _replace(transaction, {name: fresh}, hashes)
                hashes = {**hashes, name: change.hashes}
                transaction.put(STATE, {**lake.state(STATE, {}), "hashes": hashes})
                _log(transaction, [change])
            changed[name] = len(change.changed)
    return changed


def _schema(path: str) -> StructType:
    zone, name = path.split("/")
    return SCHEMAS[name] if zone == "gold" else SILVER_MASTERS[name]


def _log(transaction: Transaction, changes: list[_Change]) -> None:
    log = [_record(transaction, change, partition) for change in changes for partition in change.changed]
    if log:
        transaction.put_lines(f"{CHANGE_LOG}/{transaction.number}.json", log)


def _record(transaction: Transaction, change: _Change, partition: str) -> dict[str, Any]:
    rows = change.hashes.get(partition, [None, 0])[1]
    return {"version": transaction.number, "mart": change.mart, "partition": partition, "rows": rows}


def _master_marts(
    lake: Lake, transaction: Transaction, config: Config, stale: list[str], known: dict[str, Any]
) -> list[_Change]:
    fresh = {}
    for name in stale:
        mart = _MASTER_MARTS[name]
        # Each is one file: nothing to shuffle.
        rows = [lake.read(f"silver/{source}", SILVER_MASTERS[source]).coalesce(1) for source in _sources(name)]
        settings = [mart.table.settings(config)] if mart.table.settings else []
        fresh[name] = _Fresh(mart.build(*rows, *settings), _everything)
    return _replace(transaction, fresh, known) if fresh else []


def _sources(mart: str) -> list[str]:
    return [read.table.removeprefix("silver/") for read in _MASTER_MARTS[mart].table.reads]


def _event_marts(
    lake: Lake,
    transaction: Transaction,
    config: Config,
    stale: list[str],
    dates: list[str],
    known: dict[str, Any],
) -> list[_Change]:
    def since_then(date: str) -> bool:
        return date >= since

    since = stale[0]  # windows and baselines look back: dates from the first stale one on may change
    fresh_dates = [date for date in stale if date in set(dates)]
    kept = [date for date in dates if date not in set(stale)]
    fresh = resource_days(_silver(lake, fresh_dates)).persist(StorageLevel.MEMORY_AND_DISK)
    totals = org_daily_usage_by_service.totals(fresh)
    if kept:
        mart = lake.read(table(DAILY), SCHEMAS[DAILY], [f"usage_date={date}" for date in kept])
        totals = totals.unionByName(org_daily_usage_by_service.without_scores(mart))
    totals = totals.persist(StorageLevel.MEMORY_AND_DISK)
    touched = F.col("usage_date") >= F.lit(since).cast("date")
    history = org_daily_usage_by_service.build(totals, config.anomalies.daily)
    daily = history.where(touched).persist(StorageLevel.MEMORY_AND_DISK)
    signals = daily_cost_signals.build(history, config.anomalies.signals).where(touched)
    fresh_totals = totals.where(F.col("usage_date").cast("string").isin(fresh_dates))
    try:
        (first,) = _replace(transaction, {DAILY: _Fresh(daily, since_then)}, known)
        # Dates whose daily verdicts may have changed need their resources again, also where no event is new.
        causes = fresh
        more = [partition for partition in first.changed if partition in first.hashes and partition not in set(stale)]
        if more:
            causes = fresh.unionByName(resource_days(_silver(lake, more)))
        considered = {*fresh_dates, *more}
        suspicious = daily.where(F.col("usage_date").cast("string").isin(sorted(considered)))
        last, windows_since = _summary_dates(totals, since, known.get("org_service_cost_summary", {}))
        rest = {
            "org_service_cost_summary": _Fresh(
                org_service_cost_summary.build(totals, last, windows_since), lambda date: date >= windows_since
            ),
            "genai_tokens_by_org_date": _Fresh(genai_tokens_by_org_date.build(fresh_totals), set(stale).__contains__),
            "carbon_impact": _Fresh(carbon_impact.build(fresh), set(stale).__contains__),
            "cost_anomaly_mart": _Fresh(cost_anomaly_mart.build(suspicious, causes), {*stale, *more}.__contains__),
            "daily_cost_signals": _Fresh(signals, since_then),
        }
        return [first, *_replace(transaction, rest, known)]
    finally:
        for frame in (fresh, totals, daily):
            frame.unpersist()


def _summary_dates(totals: DataFrame, since: str, known: dict[str, Any]) -> tuple[str, str]:
    """The last usage date (a date of nothing but rejects is none), and the first date whose windows may have changed.

    The summary goes on to the last usage date of the data: when that moves, days without usage after the earlier of
    the old and the new one come or go.
    """
    newest = totals.agg(F.max("usage_date").cast("string").alias("day")).first()
    last = newest["day"] if newest is not None and newest["day"] is not None else since
    steady = min(last, max(known, default=last))
    return last, min(since, (date.fromisoformat(steady) + timedelta(days=1)).isoformat())


def _silver(lake: Lake, dates: list[str]) -> DataFrame:
    return lake.read(silver.EVENTS_TABLE, SILVER_EVENTS, [f"date={date}" for date in dates])


def _replace(transaction: Transaction, marts: dict[str, _Fresh], known: dict[str, Any]) -> list[_Change]:
    """Write the partitions whose content differs from what is `known` of it; those that have no rows any more go."""
    own = [fresh.frame.persist(StorageLevel.MEMORY_AND_DISK) for fresh in marts.values() if not fresh.frame.is_cached]
    try:
        # One query looks at all of them: each is small, and to plan a query costs more than to run it.
        rows = reduce(DataFrame.unionByName, [_hashed(mart, fresh.frame) for mart, fresh in marts.items()])
        digest = F.sum(F.col("hash").cast("decimal(20,0)")).cast("string")
        found = rows.groupBy("mart", "key").agg(digest.alias("hash"), F.count("*").alias("rows")).collect()
        now: dict[str, dict[str, Any]] = {mart: {} for mart in marts}
        for row in found:
            now[row.mart][row.key] = [row.hash, row.rows]
        with ThreadPoolExecutor(4) as pool:
            changes = [
                pool.submit(_write, transaction, mart, fresh, known.get(mart, {}), now[mart])
                for mart, fresh in marts.items()
            ]
            return [change.result() for change in changes]
    finally:
        for frame in own:
            frame.unpersist()


def _hashed(mart: str, frame: DataFrame) -> DataFrame:
    column = partition_column(mart)
    key = F.col(column).cast("string") if column else F.lit("")
    return frame.select(F.lit(mart).alias("mart"), key.alias("key"), row_hash(frame.columns).alias("hash"))


def _write(
    transaction: Transaction, mart: str, fresh: _Fresh, known: dict[str, Any], now: dict[str, list[Any]]
) -> _Change:
    column = partition_column(mart)
    covered = {partition for partition in known if fresh.covers(partition)}
    changed = sorted(partition for partition in {*now, *covered} if now.get(partition) != known.get(partition))
    if changed:
        going = set(changed)
        written = fresh.frame
        if column and not going >= now.keys():
            written = written.where(F.col(column).cast("string").isin(changed))
        transaction.replace(
            table(mart),
            written.coalesce(1) if going & now.keys() else None,
            [column] if column else [],
            lambda path: column is None or path.split("/")[0].partition("=")[2] in going,
        )
    return _Change(mart, {**{p: v for p, v in known.items() if p not in covered}, **now}, changed)
