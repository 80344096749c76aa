"""customer_signals (contract 6): the facts about one organisation after the other."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from .gold import known
from .gold_masters import average
from .values import ratio, total

Row = dict[str, Any]


def customer_signals(masters: dict[str, list[Row]], days: list[Row], reconciliation: list[Row]) -> list[Row]:
    """Each organisation that a master knows or that has usage."""
    organisations = {row["org_id"]: row for row in masters["customers_orgs"]}
    last = max((row["usage_date"] for row in days), default=None)
    covered = max((row["month"] for row in reconciliation if row["covers_month"]), default=None)
    return [
        {
            "org_id": org_id,
            "as_of_date": last,
            **_master(organisations.get(org_id), [row for row in days if row["org_id"] == org_id], last),
            **_usage([row for row in days if row["org_id"] == org_id], days, last),
            **_tickets([row for row in masters["support_tickets"] if row["org_id"] == org_id], last),
            **_survey([row for row in masters["nps_surveys"] if row["org_id"] == org_id]),
            **_invoiced([row for row in reconciliation if (row["org_id"], row["month"]) == (org_id, covered)]),
        }
        for org_id in sorted({*organisations, *(row["org_id"] for row in days)})
    ]


def _window(rows: list[Row], column: str, last: date | None, first_back: int, last_back: int) -> list[Row]:
    """The rows of the days that lie so many days before the last one."""
    if last is None:
        return []
    since, until = last - timedelta(days=last_back), last - timedelta(days=first_back)
    return [row for row in rows if since <= row[column] <= until]


def _master(organisation: Row | None, usage: list[Row], last: date | None) -> Row:
    if organisation is None:
        return {"plan_tier": None, "lifecycle_stage": None, "contradictions": []}
    stage, signup = organisation["lifecycle_stage"], organisation["signup_date"]
    found = []
    if stage == "churned" and _window(usage, "usage_date", last, 0, 27):
        found.append("churned_with_usage")
    if stage == "lead" and usage:
        found.append("lead_with_usage")
    if usage and signup is not None and min(row["usage_date"] for row in usage) < signup:
        found.append("usage_before_signup")
    if "enterprise_plan_mismatch" in organisation["warnings"]:
        found.append("enterprise_flag")
    return {"plan_tier": organisation["plan_tier"], "lifecycle_stage": stage, "contradictions": found}


def _usage(rows: list[Row], everything: list[Row], last: date | None) -> Row:
    recent, before = _window(rows, "usage_date", last, 0, 27), _window(rows, "usage_date", last, 28, 55)
    reaches = last is not None and min(row["usage_date"] for row in everything) <= last - timedelta(days=55)
    cost = total([row["total_cost_usd"] for row in recent])
    previous = total([row["total_cost_usd"] for row in before]) if reaches else None
    return {
        "cost_28d_usd": cost,
        "cost_previous_28d_usd": previous,
        "cost_ratio": ratio(cost, previous) if previous is not None else None,
        "active_days_28d": len({row["usage_date"] for row in recent}),
        "last_usage_date": max((row["usage_date"] for row in rows), default=None),
    }


def _tickets(rows: list[Row], last: date | None) -> Row:
    recent = _window(rows, "created_at", last, 0, 89)
    return {
        "open_tickets": sum(row["resolved_at"] is None for row in rows),
        "sla_breaches_90d": sum(row["sla_breached"] is True for row in recent),
        "avg_csat_90d": average(known(recent, "csat")),
    }


def _survey(rows: list[Row]) -> Row:
    scored = [row for row in rows if row["nps_score"] is not None]
    latest = max(scored, key=lambda row: row["survey_date"], default=None)
    return {
        "last_survey_date": latest and latest["survey_date"],
        "last_nps_score": latest and latest["nps_score"],
    }


def _invoiced(rows: list[Row]) -> Row:
    difference: Decimal | None = rows[0]["difference_usd"] if rows else None
    return {"reconciled_month": rows[0]["month"] if rows else None, "invoiced_minus_used_usd": difference}
