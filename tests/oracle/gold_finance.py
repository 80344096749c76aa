"""What finance closes on (contract 6): rejected costs, usage against invoices, and costs by tag."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from .events import number_of, text_of
from .gold import group_by, known, total_or_none
from .gold_masters import month_in
from .landing import Literal, Number, parse_json, parse_object
from .params import LONGEST_KEY
from .values import CONTEXT, MONEY, blank_to_none, month_of, parse_timestamp, quantize, ratio, total

Row = dict[str, Any]
LONGEST_TAG_KEY = 5_000


def key_text(text: str | None, longest: int = LONGEST_KEY) -> str:
    """A text that is part of a key; `unknown` where a store would not take it."""
    return text if text is not None and len(text.encode("utf-8", "replace")) <= longest else "unknown"


def rejected_cost_daily(rejects: list[Row]) -> list[Row]:
    lines = []
    for reject in rejects:
        record = parse_object(reject["raw"])
        event_ts = parse_timestamp(text_of(record.get("timestamp"))) if record is not None else None
        if record is None or event_ts is None or reject["error_type"] == "unreadable_file":
            continue
        lines.append(
            {
                "org_id": key_text(blank_to_none(text_of(record.get("org_id")))),
                "usage_date": event_ts.date(),
                "error_type": reject["error_type"],
                "cost_usd": number_of(record.get("cost_usd_increment")),
            }
        )
    return [
        dict(zip(("org_id", "usage_date", "error_type"), key))
        | {"events": len(rows), "cost_usd": total_or_none(rows, "cost_usd")}
        for key, rows in group_by(lines, "org_id", "usage_date", "error_type").items()
    ]


def billing_reconciliation(
    events: list[Row], invoices: list[Row], revenue: list[Row], rejected: list[Row]
) -> list[Row]:
    usage = group_by(events, "org_id", month_in("date"))
    billed = {(row["org_id"], row["billing_month"]): row for row in revenue}
    as_written = group_by(invoices, "org_id", month_in("month"))
    negative = group_by(
        (row for row in rejected if row["error_type"] == "negative_cost"), "org_id", month_in("usage_date")
    )
    days = {row["date"] for row in events}
    mart = []
    for pair in sorted(usage.keys() | billed.keys()):
        rows, invoice = usage.get(pair, []), billed.get(pair)
        used = total(known(rows, "cost_usd"))
        invoiced = invoice["gross_revenue_usd"] if invoice else total([])
        difference = invoiced - used
        charges = {
            (row["date"], row["resource_id"], row["service"], row["region_code"] or "unknown", row["metric"])
            for row in rows
        }
        tolerance = max(Decimal(1), CONTEXT.multiply(Decimal("0.005"), CONTEXT.sqrt(Decimal(len(charges)))))
        mart.append(
            {
                "org_id": pair[0],
                "month": pair[1],
                "usage_cost_usd": used,
                "usage_days": len({row["date"] for row in rows}),
                "charge_rows": len(charges),
                "invoiced_usd": invoiced,
                "invoice_count": invoice["invoice_count"] if invoice else 0,
                "currency_original": invoice["currency_original"] if invoice else None,
                "difference_usd": difference,
                "difference_pct": ratio(100 * difference, used),
                "tolerance_usd": quantize(tolerance, MONEY),
                "status": status(bool(rows), invoice is not None, difference, tolerance),
                "covers_month": bool(days) and covers(min(days), max(days), pair[1]),
                "rejected_negative_usd": total(known(negative.get(pair, []), "cost_usd")),
                "cost_without_quantity_usd": total([row["cost_usd"] for row in rows if row["value"] is None]),
                "currency_suspect": suspect(as_written.get(pair, []), used, invoiced),
            }
        )
    return mart


def status(has_usage: bool, has_invoice: bool, difference: Decimal, tolerance: Decimal) -> str:
    if not has_invoice:
        return "not_invoiced"
    if not has_usage:
        return "no_usage"
    if abs(difference) <= tolerance:
        return "matched"
    return "underbilled" if difference < 0 else "overbilled"


def covers(first: date, last: date, month: str) -> bool:
    """Whether usage reaches from the first to the last day of the month."""
    begin = date.fromisoformat(f"{month}-01")
    return first <= begin and month_of(last + timedelta(days=1)) > month


def suspect(invoices: list[Row], used: Decimal, invoiced: Decimal) -> bool:
    """One currency, not USD, whose amounts as written are nearer to the usage."""
    if len({row["currency"] for row in invoices} - {"USD"}) != 1 or any(row["currency"] == "USD" for row in invoices):
        return False
    return abs(total([row["subtotal"] for row in invoices]) - used) < abs(invoiced - used)


def as_json(value: Any) -> str:
    """A JSON value without blanks; numbers as they were written."""
    if isinstance(value, (Number, Literal)):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def pairs_of(tags: Any) -> Iterable[tuple[str, str]]:
    """The (key, value) pairs of a resource's tags, as written."""
    if isinstance(tags, dict):
        for key, value in tags.items():
            if value is not None:
                yield key, as_json(value) if isinstance(value, (dict, list)) else text_of(value) or ""
    elif isinstance(tags, list):
        for element in tags:
            text = text_of(element)
            if text is not None and not text.startswith(("{", "[")):
                key, colon, value = text.partition(":")
                yield key, value if colon else "true"


def tags_of(resource: Row) -> dict[str, str]:
    """Tag key → its value."""
    values: dict[str, set[str]] = defaultdict(set)
    for key, value in pairs_of(parse_json(resource["tags_json"]) if resource["tags_json"] else None):
        if key.strip():
            values[key_text(key.strip().lower(), LONGEST_TAG_KEY)].add(key_text(value.strip()))
    return {key: found.pop() if len(found) == 1 else "(conflicting)" for key, found in values.items()}


def tag_cost_daily(events: list[Row], resources: list[Row]) -> list[Row]:
    tags = {row["resource_id"]: tags_of(row) for row in resources}
    keys = sorted({key for of_resource in tags.values() for key in of_resource})

    def value_of(key: str) -> Callable[[Row], str]:
        return lambda row: tags.get(row["resource_id"], {}).get(key, "(untagged)")

    return [
        {
            "org_id": org_id,
            "usage_date": day,
            "tag_key": key,
            "tag_value": value,
            "cost_usd": total(known(rows, "cost_usd")),
            "resources": len({row["resource_id"] for row in rows}),
        }
        for key in keys
        for (org_id, day, value), rows in group_by(events, "org_id", "date", value_of(key)).items()
    ]


def finance_marts(
    events: list[Row], masters: dict[str, list[Row]], revenue: list[Row], rejects: list[Row]
) -> dict[str, list[Row]]:
    """Every mart that finance closes on."""
    rejected = rejected_cost_daily(rejects)
    return {
        "rejected_cost_daily": rejected,
        "billing_reconciliation": billing_reconciliation(events, masters["billing_monthly"], revenue, rejected),
        "tag_cost_daily": tag_cost_daily(events, masters["resources"]),
    }
