"""The marts of billing, tickets, surveys and campaigns (contract 6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from .gold import group_by, known
from .masters import IMPLAUSIBLE_CREATION
from .params import Params
from .values import MONEY, month_of, quantize, ratio, total

Row = dict[str, Any]


def month_in(column: str) -> Callable[[Row], str]:
    """The month of a date column, as a grouping key."""
    return lambda row: month_of(row[column])


def or_unknown(column: str) -> Callable[[Row], str]:
    """A grouping key that must not be null."""
    return lambda row: row[column] or "unknown"


def average(numbers: list[Decimal]) -> Decimal | None:
    """The mean of what is there, with eight decimals."""
    return ratio(total(numbers), len(numbers)) if numbers else None


def tickets_by_org_date(tickets: list[Row]) -> list[Row]:
    mart = []
    for (org_id, day, severity), rows in group_by(tickets, "org_id", "created_at", or_unknown("severity")).items():
        breached = sum(row["sla_breached"] is True for row in rows)
        mart.append(
            {
                "org_id": org_id,
                "ticket_date": day,
                "severity": severity,
                "total_tickets": len(rows),
                "open_tickets": sum(row["resolved_at"] is None for row in rows),
                "sla_breach_count": breached,
                "sla_breach_rate": ratio(breached, len(rows)),
                "avg_csat": average(known(rows, "csat")),
            }
        )
    return mart


def sla_breach_summary(tickets: list[Row]) -> list[Row]:
    mart = []
    groups = group_by(tickets, "org_id", month_in("created_at"), or_unknown("severity"))
    for (org_id, month, severity), rows in groups.items():
        breached = sum(row["sla_breached"] is True for row in rows)
        resolved = [row for row in rows if row["resolved_at"] is not None]
        days = [Decimal((row["resolved_at"] - row["created_at"]).days) for row in resolved]
        mart.append(
            {
                "org_id": org_id,
                "month": month,
                "severity": severity,
                "total_tickets": len(rows),
                "sla_breach_count": breached,
                "sla_breach_rate": ratio(breached, len(rows)),
                "median_resolution_days": median(days) if days else None,
                "unresolved_tickets": len(rows) - len(resolved),
            }
        )
    return mart


def csat_trends(tickets: list[Row]) -> list[Row]:
    mart = []
    for (org_id, month), rows in group_by(tickets, "org_id", month_in("created_at")).items():
        scores = known(rows, "csat")
        mart.append(
            {
                "org_id": org_id,
                "month": month,
                "responses": len(scores),
                "avg_csat": average(scores),
                "tickets": len(rows),
                "response_rate": ratio(len(scores), len(rows)),
                "top_2_box_rate": ratio(sum(score >= 4 for score in scores), len(scores)),
                "responses_unresolved": len(known([row for row in rows if row["resolved_at"] is None], "csat")),
            }
        )
    return mart


def support_backlog_daily(tickets: list[Row]) -> list[Row]:
    """Each day is looked at by itself: which tickets were there at its end?"""
    mart = []
    tickets = [row for row in tickets if IMPLAUSIBLE_CREATION not in row["warnings"]]
    last = max((row["created_at"] for row in tickets), default=None)
    for (org_id, severity), rows in group_by(tickets, "org_id", or_unknown("severity")).items():
        day = min(row["created_at"] for row in rows)
        while last is not None and day <= last:
            waiting = [
                (day - row["created_at"]).days
                for row in rows
                if row["created_at"] <= day and (row["resolved_at"] is None or row["resolved_at"] > day)
            ]
            opened = sum(row["created_at"] == day for row in rows)
            resolved = sum(row["resolved_at"] == day for row in rows)
            if opened or resolved or waiting:
                mart.append(
                    {
                        "org_id": org_id,
                        "backlog_date": day,
                        "severity": severity,
                        "opened": opened,
                        "resolved": resolved,
                        "open_tickets": len(waiting),
                        "oldest_open_days": max(waiting, default=None),
                        "open_over_7_days": sum(age > 7 for age in waiting),
                    }
                )
            day += timedelta(days=1)
    return mart


def applied_rate(invoice: Row, params: Params) -> Decimal:
    """USD invoices use rate 1, unless the file's rate is asked for."""
    if invoice["currency"] == "USD" and params.usd_rate == "identity":
        return Decimal(1)
    rate: Decimal = invoice["exchange_rate_to_usd"]
    return rate


def revenue_by_org_month(invoices: list[Row], params: Params) -> list[Row]:
    mart = []
    for (org_id, month), rows in group_by(invoices, "org_id", month_in("month")).items():
        amounts: dict[str, Decimal] = {}
        for column in ("subtotal", "credits", "taxes"):
            amounts[column] = total([quantize(row[column] * applied_rate(row, params), MONEY) for row in rows])
        net = amounts["subtotal"] - amounts["credits"]
        currencies = {row["currency"] for row in rows}
        rates = {applied_rate(row, params) for row in rows}
        mart.append(
            {
                "org_id": org_id,
                "billing_month": month,
                "gross_revenue_usd": amounts["subtotal"],
                "credits_applied_usd": amounts["credits"],
                "taxes_usd": amounts["taxes"],
                "net_revenue_usd": net,
                "total_due_usd": net + amounts["taxes"],
                "currency_original": currencies.pop() if len(currencies) == 1 else "MIXED",
                "fx_rate": rates.pop() if len(rates) == 1 else None,
                "invoice_count": len(rows),
            }
        )
    return mart


def nps_by_org_month(surveys: list[Row]) -> list[Row]:
    mart = []
    for (org_id, month), rows in group_by(surveys, "org_id", month_in("survey_date")).items():
        score = average(known(rows, "nps_score"))
        mart.append({"org_id": org_id, "month": month, "surveys": len(rows), "avg_nps": score})
    return mart


def campaign_performance(touches: list[Row]) -> list[Row]:
    mart = []
    groups = group_by(touches, or_unknown("campaign"), or_unknown("channel"), month_in("timestamp"))
    for (campaign, channel, month), rows in groups.items():
        clicks = sum(row["clicked"] is True for row in rows)
        conversions = sum(row["converted"] is True for row in rows)
        mart.append(
            {
                "campaign": campaign,
                "channel": channel,
                "month": month,
                "touches": len(rows),
                "clicks": clicks,
                "conversions": conversions,
                "click_rate": ratio(clicks, len(rows)),
                "conversion_rate": ratio(conversions, len(rows)),
            }
        )
    return mart


def master_marts(masters: dict[str, list[Row]], params: Params) -> dict[str, list[Row]]:
    """Every mart of the masters."""
    tickets = masters["support_tickets"]
    return {
        "tickets_by_org_date": tickets_by_org_date(tickets),
        "sla_breach_summary": sla_breach_summary(tickets),
        "csat_trends": csat_trends(tickets),
        "support_backlog_daily": support_backlog_daily(tickets),
        "revenue_by_org_month": revenue_by_org_month(masters["billing_monthly"], params),
        "nps_by_org_month": nps_by_org_month(masters["nps_surveys"]),
        "campaign_performance": campaign_performance(masters["marketing_touches"]),
    }
