"""Closes and reopens months (contract 6, periods).

A closing changes no figure. After it the partitions of the month are never replaced, and gold/restatements holds the
effects of data that arrives later. Closing and reopening are one transaction each.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.engine import marts
from cloud_analytics.errors import UsageError
from cloud_analytics.gold import org_daily_usage_by_service
from cloud_analytics.lake import built, periods
from cloud_analytics.lake.folder import Document
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.periods import Closing
from cloud_analytics.silver import state as silver_state

_DAILY = org_daily_usage_by_service.TABLE


def close(lake: Lake, config: Config, month: str) -> Closing:
    """Close a month of a settled lake.

    UsageError if the month is closed already or not over, or if an earlier month with usage is open.
    """
    now = lake.load(periods.DOCUMENT)
    state = lake.load(built.TABLES).get(_DAILY.path, {})
    dates = built.versions(state).keys()
    last = max(dates, default="")
    if month in now.closed:
        raise UsageError(f"{month} is closed already, since {now.closed[month].closed_at}")
    if last[:7] <= month:
        seen = f"the last usage is of {last}" if last else "the lake holds no usage"
        raise UsageError(f"{month} is not over: {seen}, and a month is closed when usage has gone past it")
    earlier = sorted({day[:7] for day in dates if day[:7] < month} - now.months)
    if earlier:
        raise UsageError(f"{earlier[0]} is still open: months are closed one after the other, so close that first")
    own = sorted(day for day in dates if day[:7] == month)
    rows = lake.rows(_DAILY, [f"usage_date={day}" for day in own])
    cost = rows.agg(F.coalesce(F.sum("total_cost_usd"), F.lit(0)).cast("decimal(28,6)")).collect()[0][0]
    closing = Closing(_now(), sum(state[day].rows for day in own), str(cost))
    marts.build(lake, config, documents={periods.DOCUMENT: now.with_closed(month, closing)})
    return closing


def reopen(lake: Lake, config: Config, month: str) -> dict[str, int]:
    """Reopen the last closed month: its marts are built again and its restatements are removed.

    Returns mart → number of partitions whose content changed. UsageError for any other month.
    """
    now = lake.load(periods.DOCUMENT)
    last = max(now.closed, default=None)
    if month != last:
        told = f"the last closed one is {last}, and only that can be reopened" if last else "no month is"
        raise UsageError(f"{month} cannot be reopened: {told if month in now.closed else f'it is not closed; {told}'}")
    silver = lake.load(silver_state.DOCUMENT)
    # The days of a closed month keep their scores. Without their settled state they are scored again.
    settled = {day: inputs for day, inputs in silver.settled.items() if day[:7] != month}
    reopened = now.with_reopened(month, _now())
    documents: dict[Document[Any], Any] = {
        periods.DOCUMENT: reopened,
        silver_state.DOCUMENT: replace(silver, settled=settled),
    }
    return marts.build(lake, config, documents=documents)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
