"""Reads the zones of a lake as lists of rows, and compares them with the oracle's, row by row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timezone
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from tests.oracle import Result

Row = dict[str, Any]
Key = tuple[Any, ...]

EVENTS = "usage_events"
MASTER_KEYS: dict[str, tuple[str, ...]] = {
    "customers_orgs": ("org_id",),
    "users": ("user_id",),
    "resources": ("resource_id",),
    "billing_monthly": ("invoice_id",),
    "support_tickets": ("ticket_id",),
    "nps_surveys": ("org_id", "survey_date"),
    "marketing_touches": ("touch_id",),
}
SILVER_KEYS: dict[str, tuple[str, ...]] = {EVENTS: ("event_id",), **MASTER_KEYS}
GOLD_KEYS: dict[str, tuple[str, ...]] = {
    "org_daily_usage_by_service": ("org_id", "usage_date", "service"),
    "org_service_cost_summary": ("org_id", "summary_date", "service"),
    "provider_daily_usage": ("usage_date", "service"),
    "top_organisations": ("summary_date", "org_id"),
    "tickets_by_org_date": ("org_id", "ticket_date", "severity"),
    "customer_signals": ("org_id",),
    "support_backlog_daily": ("org_id", "backlog_date", "severity"),
    "sla_breach_summary": ("org_id", "month", "severity"),
    "csat_trends": ("org_id", "month"),
    "revenue_by_org_month": ("org_id", "billing_month"),
    "genai_tokens_by_org_date": ("org_id", "usage_date"),
    "carbon_impact": ("org_id", "usage_date"),
    "cost_anomaly_mart": ("org_id", "usage_date", "service"),
    "nps_by_org_month": ("org_id", "month"),
    "campaign_performance": ("campaign", "channel", "month"),
    "rejected_cost_daily": ("org_id", "usage_date", "error_type"),
    "billing_reconciliation": ("org_id", "month"),
    "tag_cost_daily": ("org_id", "usage_date", "tag_key", "tag_value"),
}
# Only compared after one clean run: how a stream leaves the first, and what was said on the way, differ by nature.
CLEAN_KEYS = {
    "resource_daily_usage": ("org_id", "usage_date", "resource_id", "service", "region_code", "metric"),
    "cost_forecast": ("org_id", "as_of_date"),
}

# Free wording, and metadata of the ingest (its own tests check those).
IGNORED = {"anomaly_reason", "ingest_ts", "is_late"}
# The contract names no warning of a contradiction: the oracle's word for each, and the pipeline's.
WARNING_NAMES = {
    "enterprise_plan_mismatch": "enterprise_flag_contradicts_plan",
    "usd_rate_not_one": "usd_rate_not_1",
}
_WIDE = Context(prec=80)
_EIGHT = Decimal("1e-8")
_HALF_OF_THE_EIGHTH = Decimal("5.1e-9")  # and half of the tenth: both sides are rounded
_DATES = ("date", "usage_date", "summary_date", "as_of_date")


def rows_of(lake: Path, table: str) -> list[Row]:
    """A table of the lake, as any reader of Parquet finds it; partition columns that are dates as dates."""
    folder = lake / table
    if not folder.is_dir() or not any(folder.rglob("*.parquet")):
        return []
    rows: list[Row] = ds.dataset(folder, format="parquet", partitioning="hive").to_table().to_pylist()
    for row in rows:
        for column in _DATES:
            if isinstance(row.get(column), str):
                row[column] = date.fromisoformat(row[column])
    return rows


def comparable(value: Any) -> Any:
    """A value in the one form in which both sides are compared: Decimals to 8 decimals, instants in UTC."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, Decimal)):
        return Decimal(value).quantize(_EIGHT, context=_WIDE)
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    return value


def same(one: Any, other: Any) -> bool:
    """Equal; floats to a relative 1e-9, ratios (more than 8 decimals on one side) when they round to the same 8.

    The oracle's floats are estimates; where the pipeline rounds them to 6 decimals, the last one may differ by 1.
    """
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, Decimal) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1.1e-6)
    if isinstance(one, Decimal) and isinstance(other, Decimal) and one.as_tuple().exponent != other.as_tuple().exponent:
        return abs(_WIDE.subtract(one, other)) <= _HALF_OF_THE_EIGHTH
    return bool(comparable(one) == comparable(other))


def _warnings(names: Iterable[str]) -> set[str]:
    return {WARNING_NAMES.get(name, name) for name in names}


def _by_key(name: str, rows: Iterable[Row], key: Sequence[str], found: list[str]) -> dict[Key, Row]:
    result: dict[Key, Row] = {}
    for row in rows:
        identity = tuple(row[column] for column in key)
        if identity in result:
            found.append(f"{name}: two rows {identity}")
        result[identity] = row
    return result


def table_differences(name: str, actual: list[Row], expected: list[Row], key: Sequence[str]) -> list[str]:
    """What differs between the pipeline's rows of a table and the oracle's, one line a difference."""
    found: list[str] = []
    ours, theirs = _by_key(name, actual, key, found), _by_key(f"oracle {name}", expected, key, found)
    found += [f"{name}: missing {key}" for key in theirs.keys() - ours.keys()]
    found += [f"{name}: not expected {key}" for key in ours.keys() - theirs.keys()]
    for identity in ours.keys() & theirs.keys():
        for column, value in theirs[identity].items():
            if column in IGNORED:
                continue
            if column not in ours[identity]:
                found.append(f"{name}: no column {column}")
                continue
            mine = ours[identity][column]
            if column == "warnings":
                mine, value = _warnings(mine), _warnings(value)
            if not same(mine, value):
                found.append(f"{name} {identity}: {column} is {mine!r}, expected {value!r}")
    return found


def silver_differences(lake: Path, expected: Result) -> list[str]:
    return [
        line
        for source, key in SILVER_KEYS.items()
        for line in table_differences(source, rows_of(lake, f"silver/{source}"), expected.silver[source], key)
    ]


def gold_differences(lake: Path, expected: Result, forecast: Collection[date] = ()) -> list[str]:
    """What differs in Gold. `forecast`: dates whose forecast was written while the landing folder held less.

    A forecast is written once. So the rows of these dates are not those that the oracle reads in the folder now.
    """

    def compared(mart: str, rows: list[Row]) -> list[Row]:
        return [row for row in rows if mart != "cost_forecast" or row["as_of_date"] not in forecast]

    return [
        line
        for mart, key in {**GOLD_KEYS, **CLEAN_KEYS}.items()
        for line in table_differences(
            mart, compared(mart, rows_of(lake, f"gold/{mart}")), compared(mart, expected.gold[mart]), key
        )
    ]


def forecast_dates(lake: Path) -> set[date]:
    """The dates as of which the lake holds a forecast."""
    return {row["as_of_date"] for row in rows_of(lake, "gold/cost_forecast")}


def reject(row: Row) -> Key:
    """A quarantined record's identity: what it was rejected for, and its original text (bytes where it is no text)."""
    raw = row.get("raw_bytes") or row["raw"]
    if row["error_type"] == "unreadable_file":
        raw = row["source_file"]  # the text of a file that cannot be read is the file
    # The fields of a record that does not fit its header are misaligned: what else is wrong with them says nothing.
    errors = [row["error_type"]] if row["error_type"] == "malformed_csv" else row["errors"]
    return row["source"], row["error_type"], tuple(errors), raw, row["source_file"], row["date"]


def quarantine_differences(lake: Path, expected: Result) -> list[str]:
    found: list[str] = []
    for source in SILVER_KEYS:
        ours = Counter(map(reject, rows_of(lake, f"quarantine/{source}")))
        theirs = Counter(map(reject, expected.quarantine[source]))
        found += [f"quarantine: missing {key}" for key in (theirs - ours).elements()]
        found += [f"quarantine: not expected {key}" for key in (ours - theirs).elements()]
    return found


def assert_none(differences: list[str]) -> None:
    """No difference; else a message that shows the first ones."""
    shown = "\n".join(text[:600] for text in sorted(differences)[:60])
    assert not differences, f"{len(differences)} differences\n{shown}"
