"""The report of a real lake: its figures are Gold's, its watermark losses are those of the micro-batches, bad calls."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cloud_analytics.config import MASTERS, Config
from cloud_analytics.errors import UsageError
from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.insight.report import facts as report_facts
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.page import render
from cloud_analytics.lake.files import open_files
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading import lateness
from cloud_analytics.reading.lake import LakeReader
from tests.conftest import REPOSITORY, MakePipeline
from tests.insight.pages import Page
from tests.integration.lakes import audit_of, read_only

FILES_PER_BATCH = 5
NAME = '</b><script>alert("x")</script> $\\frac{1$ & Sons, "Ltd"'


@pytest.fixture(scope="module")
def pipeline(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """After a run in several micro-batches, over organisations with hostile names whose billing never arrived."""
    folder = tmp_path_factory.mktemp("report")
    landing = folder / "landing"
    generate(landing, GeneratorSettings(events=1_500, days=16, orgs=3, files=12))
    for number, path in enumerate(sorted((landing / "usage_events_stream").iterdir())):
        os.utime(path, (1_750_000_000 + number,) * 2)
    customers = landing / "customers_orgs.csv"
    with customers.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    with customers.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0].keys(), extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "org_name": NAME} for row in rows)
    (landing / "billing_monthly.csv").unlink()
    made = make_pipeline(landing, folder / "lake", FILES_PER_BATCH)
    made.run()
    return made


@pytest.fixture(scope="module")
def facts(pipeline: Pipeline) -> Facts:
    return report_facts.read(*read_only(pipeline))


@pytest.fixture(scope="module")
def page(facts: Facts) -> Page:
    return Page.read(render(facts))


@pytest.fixture(scope="module")
def gold(pipeline: Pipeline) -> Callable[[str], pd.DataFrame]:
    """Reads a mart without Spark and without the package; partition columns are text."""

    def read(mart: str) -> pd.DataFrame:
        frame = pq.read_table(Path(pipeline.lake.root) / "gold" / mart, partitioning="hive").to_pandas()
        return frame.assign(**{name: frame[name].astype(str) for name in frame if name.endswith("_date")})

    return read


def exact(page: Page, caption: str) -> dict[str, list[Decimal | None]]:
    """Row name → its exact numbers (cells that are words are left out)."""
    (rows,) = (rows for name, rows in page.tables.items() if caption in name)
    return {row[0][0]: [Decimal(value) if value else None for _, value in row[1:]] for row in rows}


def test_cost_is_golds(page: Page, gold: Callable[[str], pd.DataFrame]) -> None:
    daily = gold("org_daily_usage_by_service")
    services = daily.groupby("service", observed=True)["total_cost_usd"].sum()
    assert {name: row[0] for name, row in exact(page, "By service").items()} == dict(services.items())
    last = sorted(daily["usage_date"].unique())[-1]
    week = daily[daily["usage_date"] > str(pd.Timestamp(last).date() - timedelta(days=7))]
    recent = week.groupby("service", observed=True)["total_cost_usd"].sum()
    assert {name: row[2] for name, row in exact(page, "By service").items()} == dict(recent.items())
    assert f"{min(daily['usage_date'])} to {last}" in page.text
    month = daily[daily["usage_date"].str[:7] == last[:7]]
    assert Decimal(page.tiles[f"cost of {last[:7]} to date"]) == month["total_cost_usd"].sum()


def test_organisations_and_movers_are_golds(page: Page, gold: Callable[[str], pd.DataFrame]) -> None:
    costs = gold("org_daily_usage_by_service").groupby("org_id")["total_cost_usd"].sum().sort_values(ascending=False)
    (rows,) = (rows for name, rows in page.tables.items() if "costliest" in name)
    assert [Decimal(row[1][1]) for row in rows] == list(costs.head(10))
    windows = gold("org_service_cost_summary")
    newest = windows[windows["summary_date"] == windows["summary_date"].max()]
    changes = (2 * newest["cost_7d"] - newest["cost_14d"]).sort_values(key=abs, ascending=False)
    (rows,) = (rows for name, rows in page.tables.items() if "largest changes" in name)
    assert [abs(Decimal(row[3][1])) for row in rows] == [abs(change) for change in changes.head(10)]


def test_anomalies_are_golds(page: Page, gold: Callable[[str], pd.DataFrame]) -> None:
    mart = gold("cost_anomaly_mart")
    assert len(mart)
    daily = mart[mart["is_daily_anomaly"].eq(True)]
    assert (page.tiles["largest anomaly"] or None) == (str(daily["impact_usd"].max()) if len(daily) else None)
    found = exact(page, "What found them")
    assert found["a single event, by unit price (events)"] == [int(mart["unit_price_events"].sum())]
    (rows,) = (rows for name, rows in page.tables.items() if "largest impact" in name)
    first = mart.sort_values("impact_usd", ascending=False).iloc[0]
    assert Decimal(rows[0][1][1]) == first["actual_cost_usd"]
    assert rows[0][0][0].startswith(first["usage_date"])
    assert first["top_resource_id"] in rows[0][4][0]


def test_support_genai_and_carbon_are_golds(page: Page, gold: Callable[[str], pd.DataFrame]) -> None:
    tickets = (
        gold("tickets_by_org_date").groupby("severity")[["total_tickets", "open_tickets", "sla_breach_count"]].sum()
    )
    assert {name: row[:3] for name, row in exact(page, "By severity").items()} == {
        name: [int(count) for count in row] for name, row in tickets.iterrows()
    }
    csat = gold("csat_trends").groupby("month")[["tickets", "responses"]].sum()
    assert {name: row[0] for name, row in exact(page, "Satisfaction").items() if row[0]} == dict(
        csat["tickets"].items()
    )
    genai, carbon = gold("genai_tokens_by_org_date"), gold("carbon_impact")
    told = genai.dropna(subset=["total_tokens"])
    price = told["total_cost_usd"].sum() * 1_000_000 / told["total_tokens"].sum()
    said = page.sections["efficiency"].replace("\N{NO-BREAK SPACE}", " ")
    assert f"A million tokens cost {price:,.0f} USD" in said
    assert f"at least {carbon['total_carbon_kg'].dropna().sum():,.1f} kg CO₂e" in said
    coverage = Decimal(int(carbon["events_with_carbon"].sum())) / int(carbon["events"].sum())
    assert f"{coverage * 100:.1f}%" in said


def test_billing_backlog_and_shifts_are_golds(facts: Facts, page: Page, gold: Callable[[str], pd.DataFrame]) -> None:
    billing, backlog, shifts = gold("billing_reconciliation"), gold("support_backlog_daily"), gold("cost_shifts")
    assert len(facts.billing) == len(billing) > 0
    assert facts.billing["difference_usd"].sum() == billing["difference_usd"].sum()
    last = backlog[backlog["backlog_date"] == backlog["backlog_date"].max()]
    assert exact(page, "Backlog")["all"][:2] == [
        Decimal(int(last["open_tickets"].sum())), Decimal(int(last["open_over_7_days"].sum())),
    ]  # fmt: skip
    days = facts.shifts.groupby("signal")["days"].sum()
    assert days.get("level shift", 0) == shifts["is_level_shift"].eq(True).sum()
    assert days.get("drift", 0) == shifts["is_trend"].eq(True).sum()


def test_verdicts_that_contradict_the_days_are_silvers(facts: Facts, pipeline: Pipeline) -> None:
    tickets = pq.read_table(Path(pipeline.lake.root) / "silver" / "support_tickets").to_pandas()
    tickets = tickets[tickets["resolved_at"].notna() & tickets["sla_breached"].notna()]
    days = (pd.to_datetime(tickets["resolved_at"]) - pd.to_datetime(tickets["created_at"])).dt.days
    breached = tickets["sla_breached"].astype(bool)
    medians = tickets["severity"].map(days[breached].groupby(tickets["severity"]).median())
    assert facts.sla["resolved"].sum() == len(tickets) > 0
    assert facts.sla["breached_at_once"].sum() == (breached & (days == 0)).sum()
    assert facts.sla["kept_but_long"].sum() == (~breached & (days > medians)).sum()


def test_quality_is_the_audits(page: Page, pipeline: Pipeline) -> None:
    law = audit_of(pipeline)
    assert law.balanced
    shown = exact(page, "Audit")
    assert set(shown) == {"usage_events", *MASTERS}
    for name, source in law.sources.items():
        assert shown[name][:3] == [source.landing, source.silver, sum(source.quarantine.values())]
    rules = {(row[0][0], row[1][0]): int(row[2][1]) for row in page.tables["Rejected, by rule"]}
    assert rules == {(kind, name): n for name, source in law.sources.items() for kind, n in source.quarantine.items()}


def test_the_profile_is_silvers(page: Page, pipeline: Pipeline) -> None:
    silver = Path(pipeline.lake.root) / "silver"
    (shown,) = (rows for name, rows in page.tables.items() if "Profile of each source" in name)
    rows = {row[0][0]: int(row[1][1]) for row in shown}
    assert rows == {
        name: pq.read_table(silver / name).num_rows if (silver / name).exists() else 0
        for name in ("usage_events", *MASTERS)
    }
    assert rows["billing_monthly"] == 0
    (columns,) = (rows for name, rows in page.tables.items() if "users, column by column" in name)
    users = pq.read_table(silver / "users").to_pandas()
    nulls = {row[0][0]: int(row[2][1]) for row in columns}
    assert nulls == {name: int(users[name].isna().sum()) for name in nulls}
    assert set(nulls) == set(users) - {"warnings"}


def test_what_a_watermark_would_lose_is_what_the_micro_batches_say(pipeline: Pipeline, facts: Facts) -> None:
    batches = lateness.micro_batches(pipeline.lake)
    assert len(batches) > 2
    losses = lateness.watermark_losses(
        LakeReader(pipeline.lake.files), timedelta(hours=2), [1, FILES_PER_BATCH, 10_000]
    )
    lost = dict(zip(losses["files_per_batch"], losses["lost"]))
    assert lost[FILES_PER_BATCH] == batches["watermark_would_drop"].sum() > 0
    assert lost[1] > lost[FILES_PER_BATCH] > lost[10_000] == 0
    assert set(facts.losses["files_per_batch"]) >= {1, 5}


def test_a_lake_without_a_master_says_so(page: Page) -> None:
    assert "This lake has no billing_monthly" in page.text
    assert "The lake has no billing_monthly: put billing_monthly.csv" in page.sections["revenue"]


def test_hostile_names_stay_text(facts: Facts, page: Page) -> None:
    assert NAME in page.text
    assert "script" not in {tag for tag, _ in page.elements}


def test_gold_is_read_without_spark(pipeline: Pipeline, spark: SparkSession) -> None:
    scheduler: Any = spark.sparkContext._jsc.sc().dagScheduler()
    before = scheduler.nextJobId()
    report_facts.read(*read_only(pipeline))
    assert scheduler.nextJobId() == before


def test_a_lake_whose_landing_folder_is_gone(pipeline: Pipeline, tmp_path: Path) -> None:
    lake, _, config = read_only(pipeline)
    assert report_facts.read(lake, open_files(str(tmp_path / "gone")), config).audit is None


def test_an_empty_lake_says_what_to_do(config: Config, tmp_path: Path) -> None:
    files = open_files(str(tmp_path))
    with pytest.raises(UsageError, match="holds no Gold yet; run `cloud-analytics run` first") as raised:
        report_facts.read(LakeReader(files), files, config)
    assert len(str(raised.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def call(*arguments: str, without: str = "nothing") -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules[{without!r}] = None; from cloud_analytics.cli import main; main()"
    command = [sys.executable, "-c", code, "report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=300)


def test_the_command_writes_the_page_and_prints_where(pipeline: Pipeline, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("an older one", encoding="utf-8")
    done = call("--out", str(out), "--lake", pipeline.lake.root, "--landing", pipeline.landing)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{out}: ")
    assert "cost" in Page.read(out.read_text(encoding="utf-8")).sections
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("out", "without", "message"),
    [
        (".", "nothing", "it is a folder; give the file to write"),
        ("no/such/page.html", "nothing", "lies in no existing folder"),
        ("page.html", "matplotlib", "`report` needs matplotlib: pip install 'cloud-analytics[report]'"),
        ("page.html", "jinja2", "`report` needs jinja2"),
    ],
)
def test_a_bad_call_gets_one_line(out: str, without: str, message: str, tmp_path: Path) -> None:
    done = call("--out", str(tmp_path / out), without=without)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
