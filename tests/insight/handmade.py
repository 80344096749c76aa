"""A small set of facts by hand, for the tests of the report that need no lake."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pandas as pd

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.reading.audit import Audit, SourceAudit
from cloud_analytics.reading.checks import Check, Verdict
from cloud_analytics.reading.forecasts import BudgetAlert, KeptForecast
from cloud_analytics.reading.lateness import Freshness
from cloud_analytics.reading.periods import Month
from cloud_analytics.reading.profile import ColumnProfile, DateProfile, Gap, Match, SourceProfile

MADE = datetime(2025, 9, 2, 12, tzinfo=timezone.utc)
CLOSED = Month(
    month="2025-07",
    closed_at="2025-08-05T08:00:00Z",
    rows=10,
    cost_usd=Decimal(90),
    restated_rows=2,
    restated_usd=Decimal("-1.5"),
    silver_usd=Decimal("88.5"),
    invoiced_since_usd=Decimal(0),
)


def facts() -> Facts:
    """Two organisations, two services, three weeks of days that cost 10 and 2 USD; the last week genai costs 4."""
    days = [date(2025, 8, 10) + timedelta(days=day) for day in range(21)]
    usage = [
        (day, service, Decimal(cost if day < date(2025, 8, 24) or service == "compute" else 4))
        for day in days
        for service, cost in (("compute", 10), ("genai", 2))
    ]
    return Facts(
        lake="/data/lake",
        made=MADE,
        watermark=timedelta(hours=2),
        missing=[],
        names={"o1": "Acme"},
        usage=pd.DataFrame(usage, columns=["usage_date", "service", "total_cost_usd"]),
        orgs=pd.DataFrame({"org_id": ["o2", "o1"], "total_cost_usd": [Decimal(56), Decimal(210)]}),
        tags=pd.DataFrame(
            {
                "tag_key": ["env", "team"],
                "cost_usd": [Decimal(266)] * 2,
                "untagged_usd": [Decimal(133), Decimal(0)],
                "conflicting_usd": [Decimal(0), Decimal("26.6")],
            }
        ),
        windows=pd.DataFrame(
            {
                "org_id": ["o2", "o1"],
                "service": ["genai", "compute"],
                "cost_7d": [Decimal(28), Decimal(70)],
                "cost_14d": [Decimal(42), Decimal(140)],
                "cost_before": [Decimal(14), Decimal(70)],
                "change_usd": [Decimal(14), Decimal(0)],
            }
        ),
        last_date=days[-1],
        anomalies=pd.DataFrame(
            {
                "org_id": ["o1", "o2"],
                "usage_date": [days[-1], days[-2]],
                "service": ["compute", "genai"],
                "actual_cost_usd": [Decimal("75.25"), Decimal(4)],
                "expected_cost_usd": [Decimal("25.25"), None],
                "impact_usd": [Decimal(50), None],
                "is_daily_anomaly": [True, None],
                "zscore_events": [1, 1],
                "mad_events": [1, 1],
                "percentile_events": [1, 0],
                "unit_price_events": [1, 0],
                "anomalous_events": [1, 1],
                "reason": ["one event did it", "another one did it"],
            }
        ),
        shifts=pd.DataFrame(
            {
                "org_id": ["o1", "o2"],
                "service": ["compute", "genai"],
                "signal": ["level shift", "drift"],
                "first_day": [days[-3], days[-1]],
                "last_day": [days[-1]] * 2,
                "days": [3, 1],
                "from_usd": [Decimal(10), Decimal(2)],
                "to_usd": [Decimal(30), Decimal(4)],
                "rise": [Decimal(20), Decimal(2)],
            }
        ),
        revenue=pd.DataFrame(
            {
                "billing_month": ["2025-07", "2025-08"],
                "gross_revenue_usd": [Decimal(1000), Decimal(500)],
                "credits_applied_usd": [Decimal(100), Decimal(50)],
                "net_revenue_usd": [Decimal(900), Decimal(450)],
                "taxes_usd": [Decimal(90), Decimal(45)],
                "total_due_usd": [Decimal(990), Decimal(495)],
            }
        ),
        billing=pd.DataFrame(
            {
                "org_id": ["o2", "o1", "o1"],
                "month": ["2025-07", "2025-08", "2025-07"],
                "status": ["no_usage", "underbilled", "matched"],
                "usage_cost_usd": [Decimal(0), Decimal(210), Decimal(500)],
                "invoiced_usd": [Decimal(300), Decimal(200), Decimal(500)],
                "invoice_count": [1, 1, 1],
                "difference_usd": [Decimal(300), Decimal(-10), Decimal(0)],
                "difference_pct": [None, Decimal("-4.76"), Decimal(0)],
                "covers_month": [True, False, True],
                "rejected_negative_usd": [Decimal(0), Decimal(-7), Decimal(0)],
                "cost_without_quantity_usd": [Decimal(0), Decimal(3), Decimal(2)],
                "currency_suspect": [False, True, False],
            }
        ),
        tickets=pd.DataFrame(
            {
                "ticket_date": [days[0], days[8]],
                "severity": ["low", "critical"],
                "total_tickets": [6, 2],
                "open_tickets": [1, 1],
                "sla_breach_count": [1, 1],
            }
        ),
        backlog=pd.DataFrame(
            {
                "backlog_date": [days[8]] * 2,
                "severity": ["low", "critical"],
                "open_tickets": [1, 1],
                "oldest_open_days": [8, 0],
                "open_over_7_days": [1, 0],
            }
        ),
        sla=pd.DataFrame(
            {
                "severity": ["low", "critical"],
                "resolved": [5, 1],
                "breached_days": [2.5, None],
                "breached_at_once": [0, 1],
                "kept_but_long": [3, 0],
            }
        ),
        csat=pd.DataFrame(
            {"month": ["2025-08"], "responses": [4], "tickets": [8], "score": [Decimal(14)], "good": [3]}
        ),
        nps=pd.DataFrame({"month": ["2025-07"], "surveys": [2], "score": [Decimal(-30)]}),
        genai=pd.DataFrame(
            {
                "usage_date": days,
                "total_tokens": [None, *[Decimal(1000)] * 20],
                "total_cost_usd": [Decimal(2)] * 21,
                "counted_cost_usd": [None, *[Decimal(2)] * 20],
            }
        ),
        carbon=pd.DataFrame(
            {
                "usage_date": days,
                "total_carbon_kg": [None, *[Decimal("0.5")] * 20],
                "events": [10] * 21,
                "events_with_carbon": [0, *[10] * 20],
            }
        ),
        forecasts=pd.DataFrame(
            {
                "org_id": ["o1", "o2"],
                "as_of_date": [days[-1]] * 2,
                "forecast_month": ["2025-08"] * 2,
                "actual_to_date_usd": [Decimal(210), Decimal(56)],
                "expected_usd": [Decimal(220), Decimal(60)],
                "low_usd": [Decimal(215), None],
                "high_usd": [Decimal(225), None],
                "method": ["mean_weekday", "mean_all_days"],
                "backtest_wape": [Decimal("0.25"), None],
                "budget_usd": [Decimal(200), None],
            }
        ),
        budget_alerts=[
            BudgetAlert("o1", "2025-08", days[-1], Decimal(200), Decimal(210), Decimal(220), Decimal(105)),
        ],
        kept_forecasts=[KeptForecast(date(2025, 7, 9), "2025-07", 2, Decimal(90), Decimal(100), 0.15, 0.5)],
        signals=[
            Check(
                "F1",
                "GenAI cost follows tokens",
                Verdict.NOT_INFORMATIVE,
                "rank correlation 0.04",
                {},
                "prices say nothing",
            ),
            Check(
                "F2",
                "Carbon is more than a multiple of the quantity",
                Verdict.INFORMATIVE,
                "12 % unexplained",
                {},
                "nothing",
            ),
        ],
        profile=profiles(),
        closed=[CLOSED],
        audit=Audit({"usage_events": SourceAudit(212, 210, {"negative_cost": 2}), "users": SourceAudit(5, 5, {})}),
        flow=pd.DataFrame(
            {
                "zone": [*["landing", "bronze", "silver", "quarantine"] * 2, "gold", "serving"],
                "part": [*["events"] * 4, *["masters"] * 4, "all", "all"],
                "tables": [*[1] * 4, *[7] * 4, 22, 15],
                "rows": [212, 212, 210, 2, 5, 5, 5, 0, 90, 80],
            }
        ),
        batches=pd.DataFrame(
            {
                "ingest_ts": ["2025-09-01T10:00:00+00:00", "2025-09-01T11:00:00+00:00"],
                "files": [2, 1],
                "input_rows": [150, 62],
                "late_rows": [53, 53],
                "late_share": [53 / 150, 53 / 62],
                "p95_lateness_seconds": [86_400.0, 43_200.0],
                "max_lateness_seconds": [172_800, 86_400],
                "watermark_would_drop": [0, 50],
            }
        ),
        losses=pd.DataFrame({"files_per_batch": [1, 5], "events": [212, 212], "lost": [106, 0]}),
        fresh=Freshness(
            newest_event=datetime(2025, 8, 30, 12, tzinfo=timezone.utc),
            changed=datetime(2025, 9, 1, 11, tzinfo=timezone.utc),
            snapshots={name: "2025-09-01" for name in MASTERS},
        ),
    )


def profiles() -> dict[str, SourceProfile]:
    """Events with a gap of two days, half of them without a resource, and users; one spelling was rejected."""
    services = {"compute": 105, "genai": 105}
    return {
        EVENTS: SourceProfile(
            rows=210,
            quarantined={"negative_cost": 2},
            warnings={"missing_value": 7},
            columns={
                "service": ColumnProfile("string", 0, 2, vocabulary=services),
                "value": ColumnProfile("decimal(18,6)", 7, 190, "0.500000", "12.000000", 6.25),
            },
            matches={"customers_orgs": Match(210, 210), "resources": Match(105, 210), "users": Match(0, 0)},
            dates=DateProfile(
                "date",
                "day",
                date(2025, 8, 10),
                date(2025, 8, 30),
                19,
                [Gap(date(2025, 8, 12), date(2025, 8, 13), 2)],
            ),
            as_written={"service": ColumnProfile("string", 0, 3, vocabulary={**services, "GenAI": 2})},
        ),
        "users": SourceProfile(
            rows=5,
            quarantined={},
            warnings={},
            columns={"user_id": ColumnProfile("string", 0, 5)},
            matches={"customers_orgs": Match(5, 5)},
            dates=DateProfile("created_at", "day", date(2025, 1, 1), date(2025, 1, 5), 5, []),
        ),
    }


def without_rows(found: SourceProfile) -> SourceProfile:
    """The same source in a lake that holds nothing."""
    matches = {name: Match(0, 0) for name in found.matches}
    dates = replace(found.dates, first=None, last=None, with_rows=0, gaps=[])
    return replace(found, rows=0, quarantined={}, warnings={}, matches=matches, dates=dates, as_written={})


def nothing() -> Facts:
    """What a lake without rows gives: every frame empty, nothing ever arrived."""
    known = facts()
    empty = {
        field.name: frame.iloc[:0]
        for field in fields(Facts)
        if isinstance(frame := getattr(known, field.name), pd.DataFrame)
    }
    lacking: dict[str, Any] = {"names": {}, "last_date": None, "fresh": Freshness(None, None, {})}
    lacking |= {"budget_alerts": [], "kept_forecasts": [], "signals": []}
    lacking["audit"] = None
    lacking["profile"] = {name: without_rows(found) for name, found in known.profile.items()}
    return replace(known, missing=list(MASTERS), **empty, **lacking)  # type: ignore[arg-type]
