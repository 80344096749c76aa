"""What the report shows, read from the lake: aggregated by Spark, then small enough for pandas."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.config import MASTERS, Config
from cloud_analytics.errors import UsageError
from cloud_analytics.gold.build import DAILY, SCHEMAS, table
from cloud_analytics.insight import lateness
from cloud_analytics.insight.profile import SourceProfile, profile
from cloud_analytics.insight.report.causes import anomalies
from cloud_analytics.lake.files import file_system
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import SILVER_MASTERS
from cloud_analytics.reading.audit import Audit, audit
from cloud_analytics.reading.lake import LakeReader

WINDOWS = "org_service_cost_summary"
_BATCH_SIZES = (1, 5, 20, 100)  # files of a micro-batch, for which the losses of a watermark are counted
_KEYS = ("usage_date", "ticket_date", "billing_month", "month", "severity", "org_id", "service")
_USAGE = """
    SELECT usage_date, service, org_id,
           sum(total_cost_usd) AS total_cost_usd
    FROM {mart} GROUP BY GROUPING SETS ((usage_date, service), (org_id))
"""


@dataclass(frozen=True)
class Facts:
    """Frames hold sums under the marts' column names; amounts are Decimal; where there is nothing, a frame is empty."""

    lake: str
    made: datetime
    watermark: timedelta
    missing: list[str]  # masters that never arrived
    names: dict[str, str]  # org_id → org_name, where it is known
    usage: pd.DataFrame  # a row a (usage_date, service): total_cost_usd
    orgs: pd.DataFrame  # a row an org_id: total_cost_usd
    windows: pd.DataFrame  # a row an (org, service): cost_7d, cost_14d up to last_date
    last_date: date | None
    anomalies: pd.DataFrame  # cost_anomaly_mart, largest impact first, with a `reason` in words
    revenue: pd.DataFrame  # a row a billing_month
    tickets: pd.DataFrame  # a row a (ticket_date, severity)
    csat: pd.DataFrame  # a row a month: responses, tickets, score (the sum of all scores)
    nps: pd.DataFrame  # a row a month: surveys, score
    genai: pd.DataFrame  # a row a usage_date; counted_cost_usd: of the rows that have tokens
    carbon: pd.DataFrame  # a row a usage_date
    profile: dict[str, SourceProfile]  # source → its profile
    audit: Audit | None  # None: the landing folder is not there
    batches: pd.DataFrame  # a row a micro-batch
    losses: pd.DataFrame  # a row a size of micro-batches: files_per_batch, events, lost
    newest_event: datetime | None
    snapshots: dict[str, str]  # master → ingest date of its latest snapshot
    changed: datetime | None  # when the lake last changed


def read(lake: Lake, landing: str, config: Config, made: datetime | None = None) -> Facts:
    """Everything the report shows. UsageError when Gold holds nothing."""
    if not lake.files.files("gold"):
        raise UsageError(
            f"the lake {lake.root} holds no Gold yet; run `cloud-analytics run` first, or give another one with --lake"
        )
    last_date = _last_date(lake)
    with ThreadPoolExecutor(4) as pool:  # each query is small: together they fill the time that one alone waits
        pending = {name: pool.submit(frame.toPandas) for name, frame in _queries(lake, last_date).items()}
        ranked = pool.submit(anomalies, lake)
        profiles = pool.submit(profile, lake, config)
        losses = pool.submit(lateness.watermark_losses, lake, config.pipeline.stream.watermark, _BATCH_SIZES)
        files = file_system(lake.spark, landing)
        law = pool.submit(audit, LakeReader(lake.files), files, config) if files.exists("") else None
        found = {name: _sorted(future.result()) for name, future in pending.items()}
        usage = found.pop("usage")
        by_day = usage["usage_date"].notna()
        states = lake.state(bronze_masters.STATE, {})
        snapshots = {name: entry["ingest_date"] for name, entry in states.items() if entry["files"]}
        clock = lake.state(ledger.CLOCK, None)
        last_change = lake.state("_state/last_transaction", None)
        return Facts(
            lake=lake.root,
            made=made or datetime.now(timezone.utc),
            watermark=config.pipeline.stream.watermark,
            missing=[name for name in MASTERS if name not in snapshots],
            usage=usage[by_day].drop(columns="org_id").reset_index(drop=True),
            orgs=usage[~by_day].drop(columns=["usage_date", "service"]).reset_index(drop=True),
            last_date=last_date,
            anomalies=ranked.result(),
            profile=profiles.result(),
            audit=law.result() if law is not None else None,
            batches=lateness.micro_batches(lake),
            losses=losses.result(),
            newest_event=None if clock is None else datetime.fromtimestamp(clock // 1_000_000, timezone.utc),
            snapshots=snapshots,
            changed=None if last_change is None else datetime.fromtimestamp(last_change / 1e6, timezone.utc),
            names=dict(found.pop("names").itertuples(index=False, name=None)),
            **found,
        )


def _last_date(lake: Lake) -> date | None:
    folders = lake.files.folders(table(WINDOWS))
    dates = [name.partition("=")[2] for name in folders if name.startswith("summary_date=")]
    return date.fromisoformat(max(dates)) if dates else None


def _queries(lake: Lake, last_date: date | None) -> dict[str, DataFrame]:
    newest = [f"summary_date={last_date}"]
    return {
        "usage": lake.spark.sql(_USAGE, mart=_mart(lake, DAILY)),
        "windows": lake.read(table(WINDOWS), SCHEMAS[WINDOWS], newest).select(
            "org_id", "service", "cost_7d", "cost_14d"
        ),
        "revenue": _sums(
            _mart(lake, "revenue_by_org_month"),
            ["billing_month"],
            "gross_revenue_usd",
            "credits_applied_usd",
            "net_revenue_usd",
            "taxes_usd",
            "total_due_usd",
            "invoice_count",
        ),
        "tickets": _sums(
            _mart(lake, "tickets_by_org_date"),
            ["ticket_date", "severity"],
            "total_tickets",
            "open_tickets",
            "sla_breach_count",
        ),
        "csat": _sums(
            _mart(lake, "csat_trends").withColumn("score", F.col("avg_csat") * F.col("responses")),
            ["month"],
            "responses",
            "tickets",
            "score",
        ),
        "nps": _sums(
            _mart(lake, "nps_by_org_month").withColumn("score", F.col("avg_nps") * F.col("surveys")),
            ["month"],
            "surveys",
            "score",
        ),
        "genai": _sums(
            _mart(lake, "genai_tokens_by_org_date").withColumn(
                "counted_cost_usd", F.when(F.col("total_tokens").isNotNull(), F.col("total_cost_usd"))
            ),
            ["usage_date"],
            "total_tokens",
            "total_requests",
            "total_cost_usd",
            "counted_cost_usd",
        ),
        "carbon": _sums(
            _mart(lake, "carbon_impact"), ["usage_date"], "total_carbon_kg", "events", "events_with_carbon"
        ),
        "names": lake.read("silver/customers_orgs", SILVER_MASTERS["customers_orgs"])
        .select("org_id", "org_name")
        .where("org_name IS NOT NULL"),
    }


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    """By its keys, which come first; Spark would take two more jobs for a handful of rows."""
    keys = [name for name in _KEYS if name in frame]
    return frame.sort_values(keys, ignore_index=True) if keys else frame


def _mart(lake: Lake, mart: str) -> DataFrame:
    return lake.read(table(mart), SCHEMAS[mart])


def _sums(frame: DataFrame, by: list[str], *names: str) -> DataFrame:
    return frame.groupBy(*by).agg(*[F.sum(name).alias(name) for name in names])
