"""Usage events: one line, one outcome (contract 3-5)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .landing import Literal, Number, parse_object
from .params import LONGEST_KEY, Params
from .values import blank_to_none, parse_decimal, parse_timestamp

Row = dict[str, Any]

ORDER = [
    "malformed_json", "invalid_timestamp", "missing_key", "unsupported_schema_version", "unknown_service",
    "unknown_metric", "invalid_cost", "negative_cost", "invalid_value", "implausible_value", "negative_quantity",
    "unit_mismatch", "future_timestamp",
]  # fmt: skip


@dataclass
class Event:
    """A line with what was read from it."""

    raw: str | bytes
    source_file: str
    event_ts: datetime | None = None
    errors: list[str] = field(default_factory=list)
    row: Row = field(default_factory=dict)

    @property
    def line_text(self) -> str:
        return self.raw.strip() if isinstance(self.raw, str) else ""


def text_of(value: Any) -> str | None:
    """A JSON scalar as text; arrays and objects have none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Number, Literal)):
        return value.text
    return value if isinstance(value, str) else None


def word_of(value: Any) -> str | None:
    """A word of a closed vocabulary: trimmed and lower-cased, None where blank."""
    word = blank_to_none(text_of(value))
    return word.lower() if word else None


def number_of(value: Any) -> Decimal | None:
    """A number or a quoted number as DECIMAL(18,6), else None."""
    if isinstance(value, Number):
        return parse_decimal(value.text)
    return parse_decimal(value) if isinstance(value, str) else None


def schema_version_of(value: Any) -> int | None:
    """1 or 2, as a JSON integer or exactly so in quotes."""
    if isinstance(value, Number):
        value = value.text if value.is_integer else None
    return {"1": 1, "2": 2}.get(value) if isinstance(value, str) else None


def judge(raw: str | bytes, source_file: str, ingest_ts: datetime, params: Params) -> Event:
    """Every rule but duplicates, on one line."""
    event = Event(raw, source_file)
    record = parse_object(raw)
    if record is None:
        event.errors = ["malformed_json"]
        return event

    errors: set[str] = set()
    warnings: list[str] = []
    row: Row = {}

    event_ts = parse_timestamp(text_of(record.get("timestamp")))
    event.event_ts = event_ts
    if event_ts is None:
        errors.add("invalid_timestamp")
    elif event_ts > ingest_ts + params.future_tolerance:
        errors.add("future_timestamp")
    row["event_ts"] = event_ts
    row["date"] = event_ts.date() if event_ts else None

    for key in ("event_id", "org_id", "resource_id"):
        row[key] = blank_to_none(text_of(record.get(key)))
        if row[key] is None or (key != "event_id" and len(row[key].encode("utf-8", "replace")) > LONGEST_KEY):
            errors.add("missing_key")
    row["user_id"] = blank_to_none(text_of(record.get("user_id")))

    row["schema_version"] = schema_version_of(record.get("schema_version"))
    if row["schema_version"] is None:
        errors.add("unsupported_schema_version")

    row["service"] = params.canonical_service(word_of(record.get("service")))
    if row["service"] is None:
        errors.add("unknown_service")

    row["region"] = blank_to_none(text_of(record.get("region")))  # as written
    row["region_code"] = params.region_code(word_of(record.get("region")))
    if row["region_code"] is None:
        warnings.append("unknown_region")

    row["cost_usd"] = number_of(record.get("cost_usd_increment"))
    if row["cost_usd"] is None:
        errors.add("invalid_cost")
    elif row["cost_usd"] < params.lowest_cost:
        errors.add("negative_cost")

    row["value"] = number_of(record.get("value"))
    if record.get("value") is None:
        warnings.append("missing_value")
    elif row["value"] is None:
        errors.add("invalid_value")
    elif row["value"] < 0:
        errors.add("negative_quantity")

    for column in ("carbon_kg", "genai_tokens"):
        row[column] = None
        if row["schema_version"] == 1 or record.get(column) is None:
            continue
        row[column] = number_of(record[column])
        if row[column] is None:
            warnings.append(f"invalid_{column}")
        elif row[column] < 0:
            errors.add("negative_quantity")

    judge_unit(record, row, errors, params)

    row["warnings"] = sorted(warnings)
    row["source_file"] = source_file
    row["ingest_ts"] = ingest_ts
    event.row = row
    event.errors = [name for name in ORDER if name in errors]
    return event


def judge_unit(record: Row, row: Row, errors: set[str], params: Params) -> None:
    """Metric and unit, and the unit that a null one stands for."""
    row["metric"] = word_of(record.get("metric"))
    row["unit"] = word_of(record.get("unit"))
    row["unit_imputed"] = False
    largest = params.largest_values.get(row["metric"] or "")
    if largest is not None and row["value"] is not None and row["value"] > largest:
        errors.add("implausible_value")
    if isinstance(record.get("unit"), (list, dict)):
        row["unit"] = "no text"  # given, and no metric's unit
    if row["metric"] not in params.metrics:
        errors.add("unknown_metric")
        return
    unit = params.metrics[row["metric"]] or "count"
    if row["unit"] is None:
        if row["value"] is not None:
            row["unit"] = unit
            row["unit_imputed"] = True
    elif row["unit"] != unit:
        errors.add("unit_mismatch")


def mark_late(events: list[Event], ingest_ts: datetime, params: Params) -> None:
    """Lateness against the latest event that does not lie in the future, all files being one micro-batch."""
    seen = [event.event_ts for event in events if event.event_ts is not None and event.event_ts <= ingest_ts]
    latest = max(seen, default=None)
    for event in events:
        if event.event_ts is not None:
            event.row["is_late"] = latest is not None and latest - event.event_ts > params.watermark


def mark_duplicates(events: list[Event]) -> None:
    """Among the good copies of one event_id the smallest (file name, line text) survives."""
    copies: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if not event.errors:
            copies[event.row["event_id"]].append(event)
    for group in copies.values():
        group.sort(key=lambda event: (event.source_file.strip(), event.line_text))
        survivor = group[0]
        for other in group[1:]:
            same = other.line_text == survivor.line_text
            other.errors = ["duplicate_event" if same else "conflicting_duplicate"]


def join_masters(rows: list[Row], masters: dict[str, list[Row]]) -> None:
    """LEFT JOIN of organisations, resources and, where an event names one, users."""
    orgs = {row["org_id"]: row for row in masters["customers_orgs"]}
    resources = {row["resource_id"]: row for row in masters["resources"]}
    users = {row["user_id"]: row for row in masters["users"]}
    for row in rows:
        org = orgs.get(row["org_id"])
        row["org_matched"] = org is not None
        for column in ("org_name", "industry", "plan_tier", "hq_region"):
            row[column] = org[column] if org else "unknown"
        resource = resources.get(row["resource_id"])
        row["resource_matched"] = resource is not None
        row["resource_type"] = resource["service"] if resource else "unknown"
        row["resource_state"] = resource["state"] if resource else "unknown"
        user = users.get(row["user_id"])
        row["role"] = user["role"] if user else "unknown" if row["user_id"] else None
        row["active"] = user["active"] if user else None
