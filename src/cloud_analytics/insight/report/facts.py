"""Read the data of the report from the lake. DuckDB aggregates them, so that the results are small for pandas."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pandas as pd

from cloud_analytics.config import MASTERS, Config
from cloud_analytics.errors import UsageError
from cloud_analytics.insight import alerts
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.reading import lateness
from cloud_analytics.reading.audit import Audit, audit
from cloud_analytics.reading.checks import Check
from cloud_analytics.reading.figures import figures_to_distrust
from cloud_analytics.reading.flow import flow
from cloud_analytics.reading.forecasts import BudgetAlert, KeptForecast, budget_alerts, kept_forecasts
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.lateness import Freshness, freshness
from cloud_analytics.reading.periods import Month, closed_months
from cloud_analytics.reading.profile import SourceProfile, profile

_BATCH_SIZES = (1, 5, 20, 100)  # files per micro-batch, for the count of events that a watermark loses


def _query(text: str) -> Any:
    """A field of `Facts` that `read` fills with the frame of this query. The key columns of a row come first."""
    return field(metadata={"query": text})


@dataclass(frozen=True)
class Facts:
    """All data of the report. Frames have the column names of the marts; amounts are Decimal, in USD.

    A frame is empty if the lake has no data for it.
    """

    lake: str
    made: datetime
    watermark: timedelta
    missing: list[str]  # masters that never arrived
    names: dict[str, str]  # org_id → org_name; unknown names are missing
    last_date: date | None  # the last day of `windows`
    anomalies: pd.DataFrame  # cost_anomaly_mart, the largest impact first, with a `reason` in words
    shifts: pd.DataFrame  # one row per (org, service, signal), the largest rise first (insight.alerts)
    budget_alerts: list[BudgetAlert]
    kept_forecasts: list[KeptForecast]
    signals: list[Check]  # whether tokens, carbon, invoices and currencies are informative (F1 to F4)
    profile: dict[str, SourceProfile]  # source → its profile
    closed: list[Month]  # the months that finance has closed
    audit: Audit | None  # None: there is no landing folder
    flow: pd.DataFrame  # the rows of each zone (reading.flow); empty without a landing folder
    batches: pd.DataFrame  # one row per micro-batch (reading.lateness)
    losses: pd.DataFrame  # one row per micro-batch size: files_per_batch, events, lost
    fresh: Freshness
    # one row per (usage_date, service): total_cost_usd
    usage: pd.DataFrame = _query("""
        SELECT usage_date, service, sum(total_cost_usd) AS total_cost_usd
        FROM gold.org_daily_usage_by_service GROUP BY ALL ORDER BY ALL""")
    # one row per org_id: total_cost_usd
    orgs: pd.DataFrame = _query("""
        SELECT org_id, sum(total_cost_usd) AS total_cost_usd
        FROM gold.org_daily_usage_by_service GROUP BY ALL ORDER BY org_id""")
    # one row per tag_key: cost_usd, and its parts untagged_usd and conflicting_usd
    tags: pd.DataFrame = _query("""
        SELECT tag_key, sum(cost_usd) AS cost_usd,
            coalesce(sum(cost_usd) FILTER (tag_value = '(untagged)'), 0) AS untagged_usd,
            coalesce(sum(cost_usd) FILTER (tag_value = '(conflicting)'), 0) AS conflicting_usd
        FROM gold.tag_cost_daily GROUP BY ALL ORDER BY tag_key""")
    # one row per (org, service), the largest change first: cost of the last 7 days and of the 7 days before
    windows: pd.DataFrame = _query("""
        SELECT org_id, service, cost_7d, cost_14d, cost_14d - cost_7d AS cost_before,
            cost_7d - (cost_14d - cost_7d) AS change_usd
        FROM gold.org_service_cost_summary
        WHERE summary_date = (SELECT max(summary_date) FROM gold.org_service_cost_summary)
        ORDER BY abs(change_usd) DESC, org_id, service""")
    # one row per billing_month
    revenue: pd.DataFrame = _query("""
        SELECT billing_month, sum(COLUMNS(['gross_revenue_usd', 'credits_applied_usd', 'net_revenue_usd', 'taxes_usd',
            'total_due_usd']))
        FROM gold.revenue_by_org_month GROUP BY ALL ORDER BY billing_month""")
    # billing_reconciliation, the largest difference first
    billing: pd.DataFrame = _query("""
        SELECT * FROM gold.billing_reconciliation ORDER BY abs(difference_usd) DESC, org_id, month""")
    # one row per (ticket_date, severity)
    tickets: pd.DataFrame = _query("""
        SELECT ticket_date, severity, sum(COLUMNS(['total_tickets', 'open_tickets', 'sla_breach_count']))::BIGINT
        FROM gold.tickets_by_org_date GROUP BY ALL ORDER BY ticket_date, severity""")
    # one row per severity, at the end of the last day
    backlog: pd.DataFrame = _query("""
        SELECT backlog_date, severity, sum(open_tickets)::BIGINT AS open_tickets,
            max(oldest_open_days) AS oldest_open_days, sum(open_over_7_days)::BIGINT AS open_over_7_days
        FROM gold.support_backlog_daily
        WHERE backlog_date = (SELECT max(backlog_date) FROM gold.support_backlog_daily)
        GROUP BY ALL ORDER BY severity""")
    # one row per severity: resolved tickets, and how many SLA verdicts contradict the days to resolution
    sla: pd.DataFrame = _query("""
        WITH resolved AS (
            SELECT coalesce(severity, 'unknown') AS severity, sla_breached,
                date_diff('day', created_at, resolved_at) AS days
            FROM silver.support_tickets WHERE resolved_at IS NOT NULL AND sla_breached IS NOT NULL),
        compared AS (
            SELECT *, median(days) FILTER (sla_breached) OVER (PARTITION BY severity) AS breached_days FROM resolved)
        SELECT severity, count(*) AS resolved, any_value(breached_days) AS breached_days,
            count(*) FILTER (sla_breached AND days = 0) AS breached_at_once,
            count(*) FILTER (NOT sla_breached AND days > breached_days) AS kept_but_long
        FROM compared GROUP BY ALL ORDER BY severity""")
    # one row per month: responses, tickets, score (the sum of all scores), good (the number of scores of 4 and 5)
    csat: pd.DataFrame = _query("""
        SELECT month, sum(responses)::BIGINT AS responses, sum(tickets)::BIGINT AS tickets,
            coalesce(sum(round(top_2_box_rate * responses)), 0)::BIGINT AS good,
            sum((avg_csat::DECIMAL(20, 10) * responses::DECIMAL(18, 0))::DECIMAL(28, 6)) AS score
        FROM gold.csat_trends GROUP BY ALL ORDER BY month""")
    # one row per month: surveys, score (the sum of all scores)
    nps: pd.DataFrame = _query("""
        SELECT month, sum(surveys)::BIGINT AS surveys,
            sum((avg_nps::DECIMAL(20, 10) * surveys::DECIMAL(18, 0))::DECIMAL(28, 6)) AS score
        FROM gold.nps_by_org_month GROUP BY ALL ORDER BY month""")
    # one row per usage_date; counted_cost_usd is the cost of the rows that have tokens
    genai: pd.DataFrame = _query("""
        SELECT usage_date, sum(total_tokens) AS total_tokens, sum(total_cost_usd) AS total_cost_usd,
            sum(total_cost_usd) FILTER (total_tokens IS NOT NULL) AS counted_cost_usd
        FROM gold.genai_tokens_by_org_date GROUP BY ALL ORDER BY usage_date""")
    # one row per usage_date
    carbon: pd.DataFrame = _query("""
        SELECT usage_date, sum(total_carbon_kg) AS total_carbon_kg,
            sum(COLUMNS(['events', 'events_with_carbon']))::BIGINT
        FROM gold.carbon_impact GROUP BY ALL ORDER BY usage_date""")
    # one row per org_id of the newest forecasts, the largest expected_usd first
    forecasts: pd.DataFrame = _query("""
        SELECT * FROM gold.cost_forecast WHERE as_of_date = (SELECT max(as_of_date) FROM gold.cost_forecast)
        ORDER BY expected_usd DESC, org_id""")

    def org(self, org_id: Any) -> str:
        """An organisation as `name (id)`, or as its id if the name is unknown."""
        name = self.names.get(org_id)
        return f"{name} ({org_id})" if name else str(org_id)

    def with_names(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add the column `org_name`, which the plots use."""
        return frame.assign(org_name=frame["org_id"].map(self.names))

    def lacking(self, master: str, otherwise: str) -> str:
        """The remedy if the master never arrived; if it did, the sentence `otherwise`."""
        if master not in self.missing:
            return otherwise
        return (
            f"The lake has no {master}: put {master}.csv into the landing folder and run `cloud-analytics run` again."
        )

    def distrust(self, *ids: str) -> list[str]:
        """The warnings of these checks (F1 to F4), for figures that the data make uninformative."""
        return [check.warning for check in self.signals if check.id in ids and check.warning]


def read(lake: LakeReader, landing: ReadableFiles, config: Config, made: datetime | None = None) -> Facts:
    """Read all data of the report. `made` is the time of the report (None: now). UsageError if Gold has no files."""
    if not lake.files.files("gold"):
        raise UsageError(
            f"the lake {lake.root} holds no Gold yet; run `cloud-analytics run` first, or give another one with --lake"
        )
    fresh = freshness(lake)
    law = audit(lake, landing, config) if landing.exists("") else None
    names = lake.rows("SELECT org_id, org_name FROM silver.customers_orgs WHERE org_name IS NOT NULL")
    queries = [(fact.name, fact.metadata["query"]) for fact in fields(Facts) if fact.metadata]
    return Facts(
        lake=lake.root,
        made=made or datetime.now(timezone.utc),
        watermark=config.pipeline.stream.watermark,
        missing=[name for name in MASTERS if name not in fresh.snapshots],
        names={row["org_id"]: row["org_name"] for row in names},
        last_date=lake.row("SELECT max(summary_date) AS last FROM gold.org_service_cost_summary")["last"],
        anomalies=alerts.anomalies(lake),
        shifts=alerts.shifts(lake.frame("SELECT * FROM gold.cost_shifts WHERE is_level_shift OR is_trend")),
        budget_alerts=budget_alerts(lake),
        kept_forecasts=kept_forecasts(lake),
        signals=figures_to_distrust(lake),
        profile=profile(lake, config),
        closed=closed_months(lake, config),
        audit=law,
        flow=pd.DataFrame() if law is None else flow(lake, law),
        batches=lateness.micro_batches(lake),
        losses=lateness.watermark_losses(lake, config.pipeline.stream.watermark, _BATCH_SIZES),
        fresh=fresh,
        **{name: lake.frame(query) for name, query in queries},
    )
