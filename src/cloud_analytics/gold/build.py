"""The Gold step: which marts and dates are stale, their replacement, and the change log that serving follows.

A partition is replaced only when its content differs; each replacement is one record of `gold/_change_log/`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from cloud_analytics.config import Config
from cloud_analytics.gold import (
    campaign_performance,
    carbon_impact,
    cost_anomaly_mart,
    csat_trends,
    daily_cost_signals,
    genai_tokens_by_org_date,
    nps_by_org_month,
    org_daily_usage_by_service,
    org_service_cost_summary,
    revenue_by_org_month,
    sla_breach_summary,
    tickets_by_org_date,
)
from cloud_analytics.gold.measures import resource_days
from cloud_analytics.silver import build as silver
from cloud_analytics.storage.compare import row_hash
from cloud_analytics.storage.lake import Lake, Transaction
from cloud_analytics.storage.schemas import SILVER_EVENTS, SILVER_MASTERS

STATE = "_state/gold"
CHANGE_LOG = "gold/_change_log"
DAILY = "org_daily_usage_by_service"

# Marts of the masters: one partition each. mart → (schema, master, build)
_MASTER_MARTS: dict[str, tuple[StructType, str, Callable[[DataFrame, Config], DataFrame]]] = {
    "tickets_by_org_date": (
        tickets_by_org_date.SCHEMA, "support_tickets", lambda rows, _: tickets_by_org_date.build(rows)
    ),
    "sla_breach_summary": (
        sla_breach_summary.SCHEMA, "support_tickets", lambda rows, _: sla_breach_summary.build(rows)
    ),
    "csat_trends": (csat_trends.SCHEMA, "support_tickets", lambda rows, _: csat_trends.build(rows)),
    "revenue_by_org_month": (
        revenue_by_org_month.SCHEMA,
        "billing_monthly",
        lambda rows, config: revenue_by_org_month.build(rows, config.pipeline.fx.usd_rate),
    ),
    "nps_by_org_month": (nps_by_org_month.SCHEMA, "nps_surveys", lambda rows, _: nps_by_org_month.build(rows)),
    "campaign_performance": (
        campaign_performance.SCHEMA, "marketing_touches", lambda rows, _: campaign_performance.build(rows)
    ),
}  # fmt: skip
# Marts of the events: one partition a date. mart → schema
_EVENT_MARTS: dict[str, StructType] = {
    DAILY: org_daily_usage_by_service.SCHEMA,
    "org_service_cost_summary": org_service_cost_summary.SCHEMA,
    "genai_tokens_by_org_date": genai_tokens_by_org_date.SCHEMA,
    "carbon_impact": carbon_impact.SCHEMA,
    "cost_anomaly_mart": cost_anomaly_mart.SCHEMA,
    "daily_cost_signals": daily_cost_signals.SCHEMA,
}
SCHEMAS: dict[str, StructType] = {name: entry[0] for name, entry in _MASTER_MARTS.items()} | _EVENT_MARTS


@dataclass(frozen=True)
class _Change:
    """What became of one mart: content hash and rows of each partition now, and the partitions that differ."""

    mart: str
    hashes: dict[str, list[Any]]
    changed: list[str]


def table(mart: str) -> str:
    """Lake folder of a mart."""
    return f"gold/{mart}"


def partition_column(mart: str) -> str | None:
    """The date column by which a mart of the events is partitioned; None: the mart is one partition."""
    return _EVENT_MARTS[mart][-1].name if mart in _EVENT_MARTS else None


def build(lake: Lake, config: Config) -> dict[str, int]:
    """Rebuild what is stale; returns mart → number of partitions whose content changed."""
    state: dict[str, Any] = lake.state(STATE, {"inputs": {}, "dates": {}, "hashes": {}})
    versions = {n: entry["version"] for n, entry in lake.state(silver.MASTERS_STATE, {}).items()}
    rules = config.fingerprint()
    dates = {
        date: [entry["version"], rules]
        for date, entry in lake.state(silver.EVENTS_STATE, {"dates": {}})["dates"].items()
    }
    inputs = {mart: [versions.get(entry[1], 0), rules] for mart, entry in _MASTER_MARTS.items()}
    stale_marts = [mart for mart in _MASTER_MARTS if state["inputs"].get(mart) != inputs[mart]]
    stale_dates = sorted(date for date in {*dates, *state["dates"]} if dates.get(date) != state["dates"].get(date))
    if not stale_marts and not stale_dates:
        return {}
    with lake.transaction() as transaction:
        with ThreadPoolExecutor(4) as pool:
            pending = [
                pool.submit(_master_mart, lake, transaction, config, mart, state["hashes"].get(mart, {}))
                for mart in stale_marts
            ]
            changes = []
            if stale_dates:
                changes = _event_marts(lake, transaction, config, stale_dates, sorted(dates), state["hashes"], pool)
            changes += [future.result() for future in pending]
        hashes = {**state["hashes"], **{change.mart: change.hashes for change in changes}}
        transaction.put(STATE, {"inputs": inputs, "dates": dates, "hashes": hashes})
        log = [_record(transaction, change, partition) for change in changes for partition in change.changed]
        if log:
            transaction.put_lines(f"{CHANGE_LOG}/{transaction.number}.json", log)
    return {change.mart: len(change.changed) for change in changes if change.changed}


def _record(transaction: Transaction, change: _Change, partition: str) -> dict[str, Any]:
    rows = change.hashes.get(partition, [None, 0])[1]
    return {"version": transaction.number, "mart": change.mart, "partition": partition, "rows": rows}


def _master_mart(lake: Lake, transaction: Transaction, config: Config, mart: str, known: dict[str, Any]) -> _Change:
    _, source, make = _MASTER_MARTS[mart]
    frame = make(lake.read(f"silver/{source}", SILVER_MASTERS[source]), config)
    return _replace(transaction, mart, frame, known, since=None)


def _event_marts(
    lake: Lake,
    transaction: Transaction,
    config: Config,
    stale: list[str],
    dates: list[str],
    known: dict[str, Any],
    pool: ThreadPoolExecutor,
) -> list[_Change]:
    since = stale[0]  # windows and baselines look back: dates from the first stale one on may change
    fresh_dates = [date for date in stale if date in set(dates)]
    kept = [date for date in dates if date not in set(stale)]
    fresh = resource_days(_silver(lake, fresh_dates)).persist(StorageLevel.MEMORY_AND_DISK)
    totals = org_daily_usage_by_service.totals(fresh)
    if kept:
        mart = lake.read(table(DAILY), org_daily_usage_by_service.SCHEMA, [f"usage_date={date}" for date in kept])
        totals = totals.unionByName(org_daily_usage_by_service.without_scores(mart))
    totals = totals.persist(StorageLevel.MEMORY_AND_DISK)
    touched = F.col("usage_date") >= F.lit(since).cast("date")
    history = org_daily_usage_by_service.build(totals, config.anomalies.daily)
    daily = history.where(touched).persist(StorageLevel.MEMORY_AND_DISK)
    signals = daily_cost_signals.build(history, config.anomalies.signals).where(touched)
    fresh_totals = totals.where(F.col("usage_date").cast("string").isin(fresh_dates))
    try:
        first = _replace(transaction, DAILY, daily, known.get(DAILY, {}), since)
        # Dates whose daily verdicts may have changed need their resources again, also where no event is new.
        causes = fresh
        more = [partition for partition in first.changed if partition in first.hashes and partition not in set(stale)]
        if more:
            causes = fresh.unionByName(resource_days(_silver(lake, more)))
        considered = {*fresh_dates, *more}
        suspicious = daily.where(F.col("usage_date").cast("string").isin(sorted(considered)))
        last, windows_since = _summary_dates(totals, since, known.get("org_service_cost_summary", {}))
        marts = {
            "org_service_cost_summary": (org_service_cost_summary.build(totals, last, windows_since), None),
            "genai_tokens_by_org_date": (genai_tokens_by_org_date.build(fresh_totals), set(stale)),
            "carbon_impact": (carbon_impact.build(fresh), set(stale)),
            "cost_anomaly_mart": (cost_anomaly_mart.build(suspicious, causes), {*stale, *more}),
            "daily_cost_signals": (signals, None),
        }
        futures = [
            pool.submit(_replace, transaction, mart, frame, known.get(mart, {}), since, scope)
            for mart, (frame, scope) in marts.items()
        ]
        return [first, *[future.result() for future in futures]]
    finally:
        for frame in (fresh, totals, daily):
            frame.unpersist()


def _summary_dates(totals: DataFrame, since: str, known: dict[str, Any]) -> tuple[str, str]:
    """The last usage date (a date of nothing but rejects is none), and the first date whose windows may have changed.

    The summary goes on to the last usage date of the data: when that moves on, so do the days since the old one.
    """
    newest = totals.agg(F.max("usage_date").cast("string").alias("day")).first()
    last = newest["day"] if newest is not None and newest["day"] is not None else since
    if not known:
        return last, since
    return last, min(since, (date.fromisoformat(max(known)) + timedelta(days=1)).isoformat())


def _silver(lake: Lake, dates: list[str]) -> DataFrame:
    return lake.read(silver.EVENTS_TABLE, SILVER_EVENTS, [f"date={date}" for date in dates])


def _replace(
    transaction: Transaction,
    mart: str,
    frame: DataFrame,
    known: dict[str, Any],
    since: str | None,
    scope: set[str] | None = None,
) -> _Change:
    """Write the partitions of `frame` whose content differs from `known`; those that have no rows any more go.

    The frame covers the dates from `since` on, or just those of `scope`; `since` None: a mart that is one partition.
    """
    column = partition_column(mart)
    cached_by_caller = frame.is_cached
    if not cached_by_caller:
        frame = frame.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        key = F.col(column).cast("string") if column else F.lit("")
        digest = F.sum(row_hash(frame.columns).cast("decimal(20,0)")).cast("string")
        found = frame.groupBy(key.alias("key")).agg(digest.alias("hash"), F.count("*").alias("rows")).collect()
        now = {row.key: [row.hash, row.rows] for row in found}
        covered = {p for p in known if column is None or (p in scope if scope is not None else p >= (since or ""))}
        changed = sorted(p for p in {*now, *covered} if now.get(p) != known.get(p))
        if changed:
            written = frame.where(F.col(column).cast("string").isin(changed)) if column else frame
            present = any(partition in now for partition in changed)
            going = set(changed)
            transaction.replace(
                table(mart),
                written.coalesce(1) if present else None,
                [column] if column else [],
                lambda path: column is None or path.split("/")[0].partition("=")[2] in going,
            )
    finally:
        if not cached_by_caller:
            frame.unpersist()
    return _Change(mart, {**{p: v for p, v in known.items() if p not in covered}, **now}, changed)
