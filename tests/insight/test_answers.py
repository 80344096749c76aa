"""Tables of answers for people: headings break between words only, numbers have separators, a unit stands once."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from cloud_analytics.insight.answers import heading, print_table
from cloud_analytics.serving.queries import Answer, request
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables.columns import CARBON_KG, COUNT, GB_HOURS, HOURS, NPS, PERCENT, TOKENS, USD, Unit

ROW: dict[str, Any] = {
    "org_id": "org_a",
    "month": "2025-07",
    "usage_cost_usd": Decimal("1234567.891"),
    "usage_days": 31,
    "charge_rows": 20_480,
    "invoiced_usd": Decimal("-9876.5"),
    "invoice_count": 1,
    "currency_original": "EUR",
    "difference_usd": Decimal("-1244444.391"),
    "difference_pct": Decimal("-100.8"),
    "tolerance_usd": Decimal(1),
    "status": "under\x1b[2Jbilled [red]",
    "covers_month": True,
    "rejected_negative_usd": Decimal(0),
    "cost_without_quantity_usd": None,
    "currency_suspect": False,
}


def printed(width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    print_table(Answer(request("reconciliation", "org_a"), [ROW], ()), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("usage_cost_usd", USD, ("usage cost", "USD")),
        ("total_cost_usd_capped", USD, ("total cost capped", "USD")),
        ("difference_pct", PERCENT, ("difference", "%")),
        ("carbon_kg_per_usd", Unit("kg CO2e per USD", 6), ("carbon", "kg CO2e per USD")),
        ("total_carbon_kg", CARBON_KG, ("total carbon", "kg CO2e")),
        ("total_storage_gb_hours", GB_HOURS, ("total storage", "GB h")),
        ("total_cpu_hours", HOURS, ("total cpu hours",)),
        ("total_tokens", TOKENS, ("total tokens",)),
        ("invoice_count", COUNT, ("invoice count",)),
        ("last_nps_score", NPS, ("last nps", "score -100-100")),
        ("service", None, ("service",)),
    ],
)
def test_a_heading_is_words_with_the_unit_said_once(name: str, unit: Unit | None, expected: tuple[str, ...]) -> None:
    assert heading(name, unit) == expected


def test_every_column_that_is_served_has_a_heading() -> None:
    for table in tables().values():
        for name, column in table.declared.items():
            assert all(heading(name, column.unit)), f"{table.name}.{name}"


@pytest.mark.parametrize("width", [80, 10_000])
def test_headings_break_between_words_and_numbers_have_separators(width: int) -> None:
    shown = printed(width)
    above, below = shown.split("─", 1)
    words = {word for name in ROW for word in name.split("_")} | {"USD", "%", "reconciliation", "of", "org"}
    assert set(above.split()) <= words | {"org_a"}
    assert "usd" not in above
    assert "1,234,567.89" in below
    assert "-1,244,444.39" in below


def test_a_narrow_console_names_the_columns_it_leaves_out_as_the_formats_have_them() -> None:
    shown, whole = printed(60), printed(10_000)
    assert max(map(len, shown.splitlines()[:-1])) <= 60
    assert "cost_without_quantity_usd, currency_suspect: see --format csv or json" in shown
    assert "9,876.50" in shown, "what the tour of the answers shows is left out last"
    assert "too narrow" not in whole
    assert "20,480" in whole


def test_texts_from_the_data_are_text() -> None:
    assert "under\\u001b[2Jbilled [red]" in printed(10_000)
