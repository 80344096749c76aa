"""`period list` on a lake written by hand: what was closed, with what, and what was restated since."""

from __future__ import annotations

import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud_analytics.cli import cli
from cloud_analytics.cli.quality import audit_line
from cloud_analytics.config import Config
from cloud_analytics.lake.files import open_files
from cloud_analytics.reading.audit import Audit
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.periods import closed_months
from tests.reading.handmade import put

DAILY = {"org_id": "o", "service": "compute", "total_cost_usd": Decimal("2.500000")}
RESTATED = {"closed_month": "2025-07", "org_id": "o", "service": "compute", "total_cost_usd": Decimal("-0.500000")}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    put(tmp_path, "gold/org_daily_usage_by_service/usage_date=2025-07-31", DAILY, {**DAILY, "service": "genai"})
    put(tmp_path, "gold/org_daily_usage_by_service/usage_date=2025-08-01", DAILY)
    put(tmp_path, "gold/restatements/usage_date=2025-07-31", RESTATED)
    closing = {"closed_at": "2025-08-03T09:00:00Z", "rows": 2, "cost_usd": "5.000000"}
    log = [{"month": "2025-07", "action": "close", "at": "2025-08-03T09:00:00Z"}]
    for day, cost in (("2025-07-31", "4.500000"), ("2025-08-01", "3.000000")):
        event = {"org_id": "o", "cost_usd": Decimal(cost)}
        put(tmp_path, f"silver/usage_events/date={day}/service=compute", event)
    put(tmp_path, "gold/revenue_by_org_month", {"billing_month": "2025-07", "gross_revenue_usd": Decimal("7.500000")})
    july = {"month": date(2025, 7, 1), "exchange_rate_to_usd": Decimal("2.0000000000")}
    invoices = [{**july, "currency": currency, "subtotal": Decimal("5.000000")} for currency in ("EUR", "USD")]
    put(tmp_path, "silver/billing_monthly", *invoices, {**invoices[1], "invoice_id": "late"})
    (tmp_path / "_state").mkdir()
    (tmp_path / "_state" / "periods.json").write_text(json.dumps({"closed": {"2025-07": closing}, "log": log}))
    (tmp_path / "_state" / "last_transaction.json").write_text("1")
    return tmp_path


def test_each_month_is_told_with_what_was_restated(lake: Path) -> None:
    told = CliRunner().invoke(cli, ["period", "list", "--lake", str(lake), "--format", "json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["months"] == [
        {"month": "2025-07", "closed_at": "2025-08-03T09:00:00Z", "rows": 2, "cost_usd": "5.000000",
         "restated_rows": 1, "restated_usd": "-0.500000", "silver_usd": "4.500000", "invoiced_since_usd": "12.500000",
         "clean_usd": "4.500000", "agrees": True},
        {"month": "2025-08", "closed_at": None, "rows": 1, "cost_usd": "2.500000",
         "restated_rows": 0, "restated_usd": "0.000000", "silver_usd": "3.000000", "invoiced_since_usd": "0.000000",
         "clean_usd": "2.500000", "agrees": False},
    ]  # fmt: skip
    assert [entry["action"] for entry in found["log"]] == ["close"]
    table = CliRunner().invoke(cli, ["period", "list", "--lake", str(lake)]).stdout
    assert [line.split()[:2] for line in table.splitlines() if "2025-0" in line and "open" in line]


def test_a_month_that_is_none_is_told_before_anything_starts(lake: Path) -> None:
    for action in ("close", "reopen"):
        told = CliRunner().invoke(cli, ["period", action, "July", "--lake", str(lake)])
        assert told.exit_code != 0
        assert "expected a month, YYYY-MM" in str(told.exception)


def test_an_audit_says_how_figures_and_restatements_add_up(lake: Path) -> None:
    here = ["audit", "--landing", str(lake), "--lake", str(lake)]
    told = CliRunner().invoke(cli, here).stdout
    assert "2025-07: 5.000000 USD as closed -0.500000 restated = 4.500000 USD, as Silver has it" in told
    found = json.loads(CliRunner().invoke(cli, [*here, "--format", "json"]).stdout)
    assert [(month["month"], month["agrees"]) for month in found["closed_months"]] == [("2025-07", True)]


def test_an_audit_fails_where_they_do_not(lake: Path, config: Config) -> None:
    shutil.rmtree(lake / "gold" / "restatements")
    months = closed_months(LakeReader(open_files(str(lake))), config)
    assert Audit({}).holds
    assert Audit({}, closed=months).balanced
    assert not Audit({}, closed=months).holds
    assert audit_line(Audit({}, closed=months)) == (
        "Closed months do NOT add up: 2025-07: 5.000000 USD as closed +0.000000 restated = 5.000000 USD,"
        " but Silver has 4.500000 USD."
    )
