"""The FOCUS export of a lake written by hand: what each column says, corrections, and the files it leaves."""

from __future__ import annotations

import csv
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cloud_analytics.cli import cli
from cloud_analytics.config import Config
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.files import open_files
from cloud_analytics.reading import focus
from cloud_analytics.reading.lake import LakeReader
from tests.conftest import REPOSITORY
from tests.focus.check import main, python312
from tests.reading.handmade import put

USAGE: dict[str, Any] = {
    "org_id": "o1", "resource_id": "r1", "service": "compute", "region_code": "us-east-1", "metric": "cpu_hours",
    "unit": "hours", "events": 2, "cost_usd": Decimal("1.500000"), "quantity": Decimal("4.000000"),
}  # fmt: skip
RESTATED: dict[str, Any] = {
    "closed_month": "2025-07", "org_id": "o1", "service": "compute", "total_cost_usd": Decimal("-0.250000"),
    "total_carbon_kg": Decimal("0.500000"), "booked_month": "2025-08", "reason": "late_events",
}  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    usage = "gold/resource_daily_usage/usage_date="
    put(folder, f"{usage}2025-07-31", USAGE, {**USAGE, "resource_id": "r2", "region_code": "unknown", "org_id": "o2"})
    unmeasured = {**USAGE, "quantity": None, "metric": "requests", "unit": "count", "cost_usd": Decimal("0.070000")}
    put(folder, f"{usage}2025-08-01", USAGE, unmeasured, {**USAGE, "metric": "gpus", "unit": "cards", "service": "ml"})
    put(folder, "silver/customers_orgs", {"org_id": "o1", "org_name": 'Acme, "The" Best'})
    put(folder, "silver/resources", {"resource_id": "r1", "service": "compute"})
    put(folder, "gold/resource_tags", *({"resource_id": "r1", "tag_key": key, "tag_value": value}
                                       for key, value in (("team", 'a"b'), ("pii", "true"))))  # fmt: skip
    put(folder, "gold/restatements/usage_date=2025-07-31", RESTATED)
    (folder / "_state").mkdir()
    (folder / "_state" / "last_transaction.json").write_text("1")
    (folder / "_state" / "periods.json").write_text(
        json.dumps({"closed": {"2025-07": {"closed_at": "2025-08-02T00:00:00Z", "rows": 1, "cost_usd": "1"}}})
    )
    return folder


def exported(lake: Path, config: Config, name: str = "focus.parquet", month: str | None = None) -> list[dict[str, Any]]:
    written = focus.export(LakeReader(open_files(str(lake))), config, lake.parent / name, month)
    if name.endswith(".csv"):
        with written.path.open(encoding="utf-8", newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
    else:
        rows = pq.read_table(written.path).to_pylist()
    assert written.rows == len(rows)
    assert written.billed_cost_usd == sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0))
    return rows


def test_a_charge_is_a_resource_on_a_day(lake: Path, config: Config) -> None:
    charge = exported(lake, config)[0]
    assert charge == {
        "BilledCost": Decimal("1.5"), "BillingAccountId": "o1", "BillingAccountName": 'Acme, "The" Best',
        "BillingCurrency": "USD", "BillingPeriodEnd": "2025-08-01T00:00:00Z",
        "BillingPeriodStart": "2025-07-01T00:00:00Z", "ChargeCategory": "Usage", "ChargeClass": None,
        "ChargeDescription": "cpu_hours of compute", "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": "2025-08-01T00:00:00Z", "ChargePeriodStart": "2025-07-31T00:00:00Z",
        "CommitmentDiscountStatus": None, "ConsumedQuantity": Decimal(4), "ConsumedUnit": "Hours",
        "ContractedCost": Decimal("1.5"), "EffectiveCost": Decimal("1.5"), "InvoiceId": None,
        "InvoiceIssuerName": "Cloud Provider Analytics", "ListCost": Decimal("1.5"), "PricingCategory": "Standard",
        "PricingQuantity": Decimal(4), "PricingUnit": "Hours", "ProviderName": "Cloud Provider Analytics",
        "PublisherName": "Cloud Provider Analytics", "RegionId": "us-east-1", "RegionName": "us-east-1",
        "ResourceId": "r1", "ResourceName": None, "ResourceType": "compute", "ServiceCategory": "Compute",
        "ServiceName": "compute", "ServiceSubcategory": "Other (Compute)", "Tags": '{"pii":true,"team":"a\\"b"}',
        "x_CarbonKilograms": None, "x_CorrectedMonth": None, "x_EventCount": 2, "x_GenAiTokens": None,
        "x_Metric": "cpu_hours",
    }  # fmt: skip


def test_what_is_not_known_is_said_or_null(lake: Path, config: Config) -> None:
    rows = exported(lake, config)
    (orphan,) = (row for row in rows if row["BillingAccountId"] == "o2")
    assert (orphan["BillingAccountName"], orphan["ResourceType"], orphan["Tags"]) == ("o2", "unknown", None)
    assert (orphan["RegionId"], orphan["RegionName"]) == (None, None)
    (unmeasured,) = (row for row in rows if row["x_Metric"] == "requests")
    assert unmeasured["ChargeCategory"] == "Adjustment"
    quantities = ("ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "PricingCategory")
    assert {unmeasured[name] for name in quantities} == {None}
    (new,) = (row for row in rows if row["x_Metric"] == "gpus")  # neither service nor metric is in conf/focus.yaml
    assert (new["ServiceCategory"], new["ServiceSubcategory"], new["ConsumedUnit"]) == (
        "Other",
        "Other (Other)",
        "cards",
    )


def test_a_restatement_is_a_correction_that_is_booked_later(lake: Path, config: Config) -> None:
    (row,) = (row for row in exported(lake, config) if row["ChargeClass"])
    assert (row["ChargeClass"], row["ChargeCategory"], row["x_CorrectedMonth"]) == (
        "Correction",
        "Adjustment",
        "2025-07",
    )
    assert (row["ChargePeriodStart"], row["BillingPeriodStart"]) == ("2025-07-31T00:00:00Z", "2025-08-01T00:00:00Z")
    assert (row["BilledCost"], row["x_CarbonKilograms"], row["ResourceId"]) == (Decimal("-0.25"), Decimal("0.5"), None)


def test_a_month_holds_what_is_billed_in_it(lake: Path, config: Config) -> None:
    july, august = (exported(lake, config, month=month) for month in ("2025-07", "2025-08"))
    assert {row["BillingPeriodStart"] for row in july} == {"2025-07-01T00:00:00Z"}
    assert sorted(july + august, key=str) == sorted(exported(lake, config), key=str)
    assert any(row["ChargeClass"] for row in august)


def test_csv_says_the_same_and_null_is_empty(lake: Path, config: Config) -> None:
    plain = [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in exported(lake, config)
    ]
    assert exported(lake, config, "focus.csv") == plain


def test_a_spreadsheet_computes_no_text_and_its_numbers_stay(lake: Path, config: Config) -> None:
    formulas = {"org_id": '=HYPERLINK("http://x")', "resource_id": "@SUM(1)", "service": "+ml"}
    put(lake, "gold/resource_daily_usage/usage_date=2025-09-01", {**USAGE, **formulas, "cost_usd": Decimal("-0.5")})
    (as_it_is,) = exported(lake, config, "focus.csv", "2025-09")
    out = lake.parent / "sheet.csv"
    call = ["export", "focus", "--out", str(out), "--month", "2025-09", "--lake", str(lake), "--spreadsheet"]
    assert CliRunner().invoke(cli, call).exit_code == 0
    with out.open(encoding="utf-8", newline="") as file:
        (for_a_sheet,) = csv.DictReader(file)
    names = {"BillingAccountId": "org_id", "BillingAccountName": "org_id", "ResourceId": "resource_id",
             "ServiceName": "service"}  # fmt: skip
    assert {name: as_it_is[name] for name in names} == {name: formulas[key] for name, key in names.items()}
    assert for_a_sheet == {**as_it_is, **{name: f"'{formulas[key]}" for name, key in names.items()}}
    assert for_a_sheet["BilledCost"] == "-0.500000"


def test_the_recency_file_tells_what_is_complete(lake: Path, config: Config) -> None:
    exported(lake, config)
    found = json.loads((lake.parent / "focus.recency.json").read_text())["months"]
    assert [(row["month"], row["complete"]) for row in found] == [("2025-07", True), ("2025-08", False)]
    assert all(row["last_updated"].endswith("Z") for row in found)


def test_what_could_not_be_written_is_told_and_leaves_nothing(lake: Path, config: Config) -> None:
    reader = LakeReader(open_files(str(lake)))
    folder = lake.parent
    for out, month, told in (
        (folder / "focus.xlsx", None, "the ending says"),
        (folder / "nowhere" / "focus.csv", None, "cannot be written"),
        (folder / "focus.csv", "2025-13", "2025-13: expected a month, YYYY-MM"),
        (folder / "focus.csv", "2025-05", "nothing is billed in 2025-05: there is usage of 2025-07, 2025-08"),
    ):
        with pytest.raises(UsageError, match=told):
            focus.export(reader, config, out, month)
    with pytest.raises(UsageError, match="--spreadsheet is for a .csv file"):
        focus.export(reader, config, folder / "focus.parquet", spreadsheet=True)
    assert sorted(path.name for path in folder.iterdir()) == ["lake"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
def test_a_link_of_another_user_beside_the_file_is_told_before_anything_is_written(lake: Path, config: Config) -> None:
    link = lake.parent / "focus.recency.json"
    link.symlink_to(lake.parent / "victim")
    os.lchown(link, 54321, 54321)
    with pytest.raises(UsageError, match=r"focus\.recency\.json belongs to another user"):
        exported(lake, config, "focus.csv")
    assert not (lake.parent / "focus.csv").exists()


def test_the_command_prints_what_it_wrote(lake: Path) -> None:
    out = lake.parent / "focus.parquet"
    told = CliRunner().invoke(cli, ["export", "focus", "--out", str(out), "--lake", str(lake), "--format", "json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == {
        "path": str(out), "recency": str(out.with_name("focus.recency.json")), "rows": 6,
        "billed_cost_usd": "5.820000",
    }  # fmt: skip


@pytest.mark.slow
def test_the_official_validator_finds_nothing_but_its_false_positive(lake: Path) -> None:
    environment = REPOSITORY / ".venv-focus"
    if not environment.is_dir() and python312() is None:
        pytest.skip("the validator needs Python 3.12")
    assert main(str(lake), environment) == 0
