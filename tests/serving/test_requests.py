"""What of a query needs no node: checks of the call, the CQL it stands for, units, and how values are written."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from cloud_analytics.cli import cli
from cloud_analytics.errors import UsageError
from cloud_analytics.insight import answers
from cloud_analytics.serving.queries import QUESTIONS, Answer, explain, request, rows_statement
from cloud_analytics.serving.tables import tables


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("carbon", "--org", "o", "--from", "2025-1-2"), "--from '2025-1-2': expected a date YYYY-MM-DD"),
        (("carbon", "--org", "o", "--from", "2025-01"), "--from '2025-01': expected a date YYYY-MM-DD"),
        (("tickets", "--org", "o", "--to", "2025-02-30"), "--to '2025-02-30': expected a date YYYY-MM-DD"),
        (("tickets", "--org", "o", "--to", ""), "--to '': expected a date YYYY-MM-DD"),
        (("revenue", "--org", "o", "--to", "2025-13"), "--to '2025-13': expected a month YYYY-MM or a date YYYY-MM-DD"),
        (("genai", "--org", "o", "--to", "2025-01-01", "--from", "2025-01-02"), "--from 2025-01-02 is after --to"),
        (("revenue", "--org", "o", "--to", "2025-01", "--from", "2025-02-01"), "--from 2025-02 is after --to 2025-01"),
        (("top-services", "--org", "o", "--from", "2025-01-01"), "give that date with --to"),
        (("genai", "--org", "o", "--top", "0"), "--top 0: expected a number of rows, 1 or more"),
        (("genai", "--org", "o", "--top", "many"), "'many' is not a valid integer"),
        (("genai", "--org", ""), "--org is empty"),
        (("genai", "--org", "o" * 70_000), "no organisation 'oooooooooooooooooooo'…: a key is not as long"),
        (("tags", "--org", "o" * 30_000, "--tag-key", "é" * 31_000), "no tag_key 'éééééééééééééééééééé'…"),
        (("genai", "--org", "o\udcff"), "--org 'o\\udcff' is no UTF-8"),
        (("genai",), "Missing option '--org'"),
        (("costs", "--org", "o"), "'costs' is not one of 'anomalies', "),
        (("genai", "--org", "o", "--format", "xml"), "'xml' is not one of"),
        (("genai", "--org", "o", "--lake", "s3://bucket"), "needs a local lake"),
    ],
)
def test_a_bad_call_gets_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(cli, ["query", *arguments])
    told = str(done.exception) if isinstance(done.exception, UsageError) else done.output
    assert getattr(done.exception, "exit_code", done.exit_code) == 2
    assert message in told
    if isinstance(done.exception, UsageError):
        assert "\n" not in told


@pytest.mark.parametrize(
    "arguments", [("genai", "--org", "o", "--top", "0"), ("costs", "--org", "o"), ("genai", "--org", "o", "--to", "x")]
)
def test_a_bad_call_ends_with_status_2(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "cloud_analytics", "query", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_no_question_needs_spark_or_a_connection_to_be_explained() -> None:
    code = (
        "import sys; from cloud_analytics.cli import cli;"
        "cli(['query', 'daily-costs', '--org', 'o', '--explain'], standalone_mode=False);"
        "import cloud_analytics.serving.target, cloud_analytics.insight.answers;"
        "print([name for name in sys.modules if name in ('pyspark', 'cassandra', 'pandas')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_question_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="no question 'costs': ask anomalies, "):
        request("costs", "o")


def test_the_statement_and_its_values() -> None:
    statement = rows_statement(request("tickets", "o'x", "2025-01-02", date(2025, 2, 3), 5))
    assert statement.text == (
        "SELECT org_id, ticket_date, severity, total_tickets, open_tickets, sla_breach_count, sla_breach_rate, avg_csat"
        " FROM support_tickets_summary WHERE org_id = ? AND ticket_date >= ? AND ticket_date <= ? LIMIT ?"
    )
    assert statement.values == ("o'x", date(2025, 1, 2), date(2025, 2, 3), 5)
    assert statement.typed("k").splitlines()[1:] == [
        "FROM k.support_tickets_summary",
        "WHERE org_id = 'o''x'",
        "  AND ticket_date >= '2025-01-02'",
        "  AND ticket_date <= '2025-02-03'",
        "LIMIT 5;",
    ]


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_explanation_names_table_key_and_question(question: str) -> None:
    table = next(table for table in tables().values() if table.question == question)
    named: dict[str, Any] = {"org" if name == "org_id" else name: "o" for name in table.chosen_by}
    text = explain(request(question, **named))
    assert table.asks in text
    assert f"-- table cloud_analytics.{table.name}\n" in text
    assert f"PRIMARY KEY {table.key_text()}" in text
    assert all(name in text for name in table.primary_key)
    assert "ALLOW FILTERING" not in text


@pytest.mark.parametrize("name", tables())
def test_every_number_has_a_unit_and_nothing_else_has(name: str) -> None:
    for column in tables()[name].declared.values():
        assert (column.unit is not None) == (column.cql_type in ("decimal", "bigint", "int", "double")), column


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("total_cost_usd", "USD"),
        ("cost_7d", "USD"),
        ("total_cost_usd_capped", "USD"),
        ("cost_per_million_tokens", "USD per million tokens"),
        ("total_storage_gb_hours", "GB h"),
        ("total_cpu_hours", "hours"),
        ("total_carbon_kg", "kg CO2e"),
        ("sla_breach_rate", "share 0-1"),
        ("impact_pct", "%"),
        ("events_with_carbon", "count"),
        ("total_tokens", "tokens"),
    ],
)
def test_units(column: str, name: str) -> None:
    units = {table.declared[column].unit for table in tables().values() if column in table.declared}
    assert [unit.name for unit in units if unit] == [name]


def test_values_that_formats_stumble_over() -> None:
    asked = request("carbon", "o")
    row = dict.fromkeys(asked.table.columns) | {
        "org_id": 'a,"b"\r\u2028',
        "usage_date": date(2025, 1, 1),
        "total_carbon_kg": Decimal("-1E+30"),
        "events": 0,
        "coverage": Decimal("0E-10"),
        "carbon_kg_per_usd": float("nan"),
    }
    answer = Answer(asked, [row], ())
    last = "-1" + "0" * 30
    assert answers.as_csv(answer).split("\n")[1] == f'"a,""b""\r\u2028",2025-01-01,{last},0,,0.0000000000,'
    text = answers.as_json(answer)
    assert f'"total_carbon_kg": {last}, "events": 0, "events_with_carbon": null, "coverage": 0.0000000000' in text
    assert json.loads(text, parse_constant=pytest.fail)["rows"][0]["org_id"] == row["org_id"]
