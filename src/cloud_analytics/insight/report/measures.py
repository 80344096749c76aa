"""What several sections compute from the facts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd

from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.view import ratio, total

_WEEK = timedelta(days=7)


def recent_cost(windows: pd.DataFrame) -> tuple[Any, Any]:
    """Cost of the last 7 days, and of the 7 before, of some rows of the windows; None without usage."""
    now, both = total(windows["cost_7d"]), total(windows["cost_14d"])
    return (now, both - now) if now is not None else (None, None)


def recent_days(facts: Facts, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the last 7 usage dates, and those of the 7 before."""
    days, end = pd.to_datetime(frame["usage_date"]), pd.to_datetime(str(facts.last_date))
    return frame[(days > end - _WEEK) & (days <= end)], frame[(days > end - 2 * _WEEK) & (days <= end - _WEEK)]


def periods(facts: Facts, frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The whole of it and the last two weeks, by name."""
    now, before = recent_days(facts, frame)
    return [("all days", frame), ("last 7 days", now), ("the 7 before", before)]


def token_price(genai: pd.DataFrame) -> Any:
    """USD per million tokens, of what tells its tokens; None where nothing does."""
    return ratio((total(genai["counted_cost_usd"]) or 0) * 1_000_000, total(genai["total_tokens"]))


def coverage(carbon: pd.DataFrame) -> Any:
    """The share of events that report carbon; None without events."""
    return ratio(total(carbon["events_with_carbon"]), total(carbon["events"]))


def grams_per_usd(facts: Facts, carbon: pd.DataFrame) -> Any:
    """g CO₂e per USD of usage, of the days that report any carbon."""
    days = set(carbon["usage_date"][carbon["events_with_carbon"] > 0])
    spent = total(facts.usage["total_cost_usd"][facts.usage["usage_date"].isin(days)])
    return ratio((total(carbon["total_carbon_kg"]) or 0) * 1000, spent)


def late_share(facts: Facts) -> Any:
    """The share of event lines that came late; None without events."""
    return ratio(total(facts.batches["late_rows"]), total(facts.batches["input_rows"]))


def org(facts: Facts, org_id: Any) -> str:
    """An organisation by its name, where it is known, and its id."""
    name = facts.names.get(org_id)
    return f"{name} ({org_id})" if name else str(org_id)


def with_names(facts: Facts, frame: pd.DataFrame) -> pd.DataFrame:
    """With `org_name`, as the plots take it."""
    return frame.assign(org_name=pd.Series([facts.names.get(i) for i in frame["org_id"]], frame.index, dtype=object))


def lacking(facts: Facts, master: str, otherwise: str) -> str:
    """What to do when a master never arrived; else what it means that there is nothing."""
    if master in facts.missing:
        return (
            f"The lake has no {master}: put {master}.csv into the landing folder and run `cloud-analytics run` again."
        )
    return otherwise
