"""The demo: the seven questions, asked about one organisation, with the first rows of each answer."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from cloud_analytics.insight.answers import print_table
from cloud_analytics.serving.queries import Answer, ask
from cloud_analytics.serving.tables import tables

if TYPE_CHECKING:
    from cassandra.cluster import Session

_ROWS = 3
# question → the columns that fit a terminal
_COLUMNS = {
    "daily-costs": ("usage_date", "service", "total_cost_usd", "expected_cost_usd", "is_anomaly"),
    "top-services": ("summary_date", "rank_14d", "service", "cost_1d", "cost_7d", "cost_14d"),
    "tickets": ("ticket_date", "severity", "total_tickets", "open_tickets", "sla_breach_count", "avg_csat"),
    "revenue": ("billing_month", "gross_revenue_usd", "credits_applied_usd", "taxes_usd", "net_revenue_usd"),
    "genai": ("usage_date", "total_tokens", "total_cost_usd", "cost_per_million_tokens"),
    "anomalies": ("usage_date", "service", "actual_cost_usd", "expected_cost_usd", "impact_usd", "top_resource_id"),
    "carbon": ("usage_date", "total_carbon_kg", "coverage", "carbon_kg_per_usd"),
}


def demo(session: Session, org: str) -> list[Answer]:
    """Each question's first rows: the newest, the highest ranks, the largest impacts."""
    return [ask(session, question, org, top=_ROWS) for question in _COLUMNS]


def print_demo(answers: list[Answer], console: Console) -> None:
    """Question by question, with the command that gives the whole answer."""
    questions = {table.query: table.question for table in tables().values()}
    for answer in answers:
        name = answer.request.table.query
        command = f"cloud-analytics query {name} --org {shlex.quote(answer.request.org)}"
        console.print(f"\n[bold]{questions[name]}[/bold]\n  {escape(command)}", soft_wrap=True)
        print_table(answer, console, _COLUMNS[name])
