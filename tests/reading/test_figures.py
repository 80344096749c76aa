"""Figures to distrust: the verdicts flip where the generator plants the signal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.reading.checks import Check, Verdict
from cloud_analytics.reading.figures import figures_to_distrust
from cloud_analytics.reading.lake import LakeReader

# The few columns that are looked at, as the pipeline makes them of clean data.
TABLES = {
    "silver/usage_events": """
        SELECT service, TRY_CAST(value AS DECIMAL(18,6)) AS value, cost_usd_increment AS cost_usd,
               TRY_CAST(carbon_kg AS DECIMAL(18,6)) AS carbon_kg,
               TRY_CAST(genai_tokens AS DECIMAL(18,6)) AS genai_tokens
        FROM events""",
    "silver/billing_monthly": """
        SELECT currency, CAST(subtotal AS DECIMAL(18,6)) AS subtotal,
               CAST(exchange_rate_to_usd AS DECIMAL(18,10)) AS exchange_rate_to_usd FROM invoices""",
    "gold/org_daily_usage_by_service": """
        SELECT org_id, CAST(timestamp[:10] AS DATE) AS usage_date, sum(cost_usd_increment) AS total_cost_usd
        FROM events GROUP BY ALL""",
    "gold/revenue_by_org_month": """
        SELECT org_id, month[:7] AS billing_month, CAST(sum(CAST(subtotal AS DECIMAL(18,6)) * IF(currency = 'USD', 1,
               CAST(exchange_rate_to_usd AS DECIMAL(18,10)))) AS DECIMAL(28,6)) AS gross_revenue_usd
        FROM invoices GROUP BY ALL""",
}


def signals(folder: Path, **settings: Any) -> dict[str, Check]:
    generate(folder / "landing", GeneratorSettings(**{"events": 12_000, "days": 50, "orgs": 80, **settings}))
    connection = duckdb.connect()
    fields = (
        "timestamp VARCHAR, org_id VARCHAR, service VARCHAR, value VARCHAR, carbon_kg VARCHAR, genai_tokens VARCHAR"
    )
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in (field.split() for field in fields.split(", ")))
    connection.execute(
        f"CREATE VIEW events AS FROM read_json('{folder}/landing/usage_events_stream/*.jsonl', format='nd',"
        f" columns={{{columns}, cost_usd_increment: 'DECIMAL(18,6)'}}) WHERE cost_usd_increment >= -0.01"
    )
    connection.execute(
        f"CREATE VIEW invoices AS FROM read_csv('{folder}/landing/billing_monthly.csv', all_varchar=true)"
    )
    for table, query in TABLES.items():
        (folder / "lake" / table).mkdir(parents=True)
        connection.execute(f"COPY ({query}) TO '{folder}/lake/{table}/part.parquet'")
    return {signal.id: signal for signal in figures_to_distrust(LakeReader(LocalFileSystem(str(folder / "lake"))))}


def test_what_has_no_signal_is_not_informative(tmp_path: Path) -> None:
    found = signals(tmp_path)
    assert {check.verdict for check in found.values()} == {Verdict.NOT_INFORMATIVE}
    assert abs(found["F1"].figures["rank_correlation"]) < 0.2
    assert found["F2"].figures["unexplained_variance"] == pytest.approx(0, abs=1e-6)
    assert all(signal.evidence and signal.consequence for signal in found.values())


def test_a_planted_signal_is_found(tmp_path: Path) -> None:
    found = signals(tmp_path, informative=True)
    assert {check.verdict for check in found.values()} == {Verdict.INFORMATIVE}
    assert found["F1"].figures["rank_correlation"] > 0.9
    assert found["F3"].figures["rank_correlation"] > 0.7  # but for the leaks
    assert found["F4"].figures["share_of_expected_change"] == pytest.approx(1, abs=0.2)


def test_matched_invoices_alone_tell_nothing_of_tokens_and_carbon(tmp_path: Path) -> None:
    found = signals(tmp_path, billing="matched")
    assert [name for name, check in found.items() if check.verdict is Verdict.INFORMATIVE] == ["F3", "F4"]


def test_too_few_observations_have_no_verdict(tmp_path: Path) -> None:
    found = signals(tmp_path, events=60, days=2, orgs=1)
    assert {found[name].verdict for name in ("F1", "F3", "F4")} == {Verdict.NOT_CHECKED}
    (tmp_path / "empty").mkdir()
    nothing = figures_to_distrust(LakeReader(LocalFileSystem(str(tmp_path / "empty"))))
    assert {check.verdict for check in nothing} == {Verdict.NOT_CHECKED}
