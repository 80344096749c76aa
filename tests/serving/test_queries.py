"""The questions on a real node: each from one partition, exact, and with one line where there is no answer."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from cloud_analytics.cli import cli
from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.insight import answers
from cloud_analytics.serving import queries
from cloud_analytics.serving.connect import connected
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.queries import ask
from cloud_analytics.serving.tables import KEYSPACE, tables
from cloud_analytics.tables.cql import ServingTable

pytestmark = pytest.mark.cassandra

LAST = date(2025, 3, 31)  # the last date of the data
QUIET = date(2025, 3, 10)  # when org_quiet used something last: its summaries end 13 days later
D = Decimal


def day(n: int) -> date:
    return LAST - timedelta(n)


def _rows() -> Iterator[tuple[str, dict[str, Any]]]:
    for n in range(5):
        for service, cost in (("compute", D("10.5")), ("genai", D("1E+3"))):
            daily = {"org_id": "org_a", "usage_date": day(n), "service": service, "total_cost_usd": cost + n}
            yield "finops_daily_usage", daily | {"total_events": n + 1, "is_anomaly": n == 0, "anomaly_score": 1e-7}
        for rank, service in enumerate(("genai", "compute", "storage"), start=1):
            key = {"org_id": "org_a", "summary_date": day(n), "rank_14d": rank, "service": service}
            yield "org_service_cost_summary", key | {"cost_14d": D(100 - n - rank)}
        yield "genai_usage_daily", {"org_id": "org_a", "usage_date": day(n), "total_tokens": D(n)}
        yield "carbon_daily", {"org_id": "org_a", "usage_date": day(n), "coverage": D("0.5")}
    yield "finops_daily_usage", {"org_id": "org_quiet", "usage_date": QUIET, "service": "compute"}
    for n in range(14):
        key = {"org_id": "org_quiet", "summary_date": QUIET + timedelta(n), "rank_14d": 1, "service": "compute"}
        yield "org_service_cost_summary", key
    for severity in ("high", "low"):
        for n in (0, 40):
            ticket = {"org_id": "org_a", "ticket_date": day(n), "severity": severity, "total_tickets": 2}
            yield "support_tickets_summary", ticket
    for month in ("2024-12", "2025-01", "2025-02"):
        amount = D("1234567890123456789012.000001")
        yield "revenue_monthly", {"org_id": "org_a", "billing_month": month, "gross_revenue_usd": amount}
    yield "revenue_monthly", {"org_id": 'org_ñ,"b"', "billing_month": "2025-01", "invoice_count": 1}
    for n, service, impact in (
        (0, "compute", D("5")), (1, "genai", D("70")), (2, "genai", None), (3, "storage", D("5")),
        (3, "compute", D("5")), (4, "compute", D("-9")),
    ):  # fmt: skip
        yield "cost_anomalies", {"org_id": "org_a", "usage_date": day(n), "service": service, "impact_usd": impact}


_OF_TYPE = {
    "text": "org_a", "date": LAST, "decimal": D("1.5"), "double": 0.5, "bigint": 1, "int": 1, "boolean": True,
    "frozen<list<text>>": ["a", "b"],
}  # fmt: skip


def _one_row(table: ServingTable) -> dict[str, Any]:
    """A row of a table whose rows no test needs to know."""
    months = {name: f"{LAST:%Y-%m}" for name, column in table.declared.items() if column.is_month}
    return {name: _OF_TYPE[kind] for name, kind in table.columns.items()} | months


def _named(question: str) -> dict[str, Any]:
    """What a question has to be asked with."""
    table = next(table for table in tables().values() if table.question == question)
    return {"org" if name == "org_id" else name: "org_a" for name in table.chosen_by}


def _until(question: str) -> dict[str, Any]:
    table = next(table for table in tables().values() if table.question == question)
    return {"until": LAST} if table.date_column or table.range_column else {}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lake whose node holds no keyspace until `session` makes it."""
    lake = tmp_path_factory.mktemp("lake")
    node = EmbeddedNode(lake / "_cassandra")
    node.start()
    yield lake
    node.stop()


@pytest.fixture(scope="module")
def session(lake: Path) -> Iterator[Any]:
    access = EmbeddedNode(lake / "_cassandra").start()
    with connected(access) as session:
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        session.execute(f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} WITH replication = {replication}")
        session.set_keyspace(KEYSPACE)
        for table in tables().values():
            session.execute(table.statement())
        told = list(_rows())
        further = [table for name, table in tables().items() if name not in dict(told)]
        for name, row in [*told, *((table.name, _one_row(table)) for table in further)]:
            insert = f"INSERT INTO {name} ({', '.join(row)}) VALUES ({', '.join('?' for _ in row)})"
            session.execute(session.prepare(insert), tuple(row.values()))
        yield session


def call(lake: Path, *arguments: str) -> str:
    done = CliRunner().invoke(cli, ["query", *arguments, "--lake", str(lake)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_lake_that_serves_nothing_is_told_in_one_line(lake: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, lake):  # without a node, and with a node without the keyspace: this test runs first
        with pytest.raises(queries.NothingServed, match="nothing was served yet") as failure:
            call(folder, "daily-costs", "--org", "org_a")
        assert "\n" not in str(failure.value)


def test_a_keyspace_without_the_tables_or_their_rows(session: Any, lake: Path) -> None:
    access = EmbeddedNode(lake / "_cassandra").start()
    with connected(access) as other:
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        other.execute(f"CREATE KEYSPACE IF NOT EXISTS bare WITH replication = {replication}")
        other.set_keyspace("bare")
        with pytest.raises(PipelineError, match="^table genai_usage_daily does not exist: run `cloud-analytics serve`"):
            ask(other, "genai", "org_a")
        for table in tables().values():
            other.execute(table.statement())
        with pytest.raises(queries.NothingServed):
            ask(other, "genai", "org_a")


def test_daily_costs_are_newest_first_within_the_range(session: Any) -> None:
    rows = ask(session, "daily-costs", "org_a").rows
    assert [(row["usage_date"], row["service"]) for row in rows] == [
        (day(n), service) for n in range(5) for service in ("compute", "genai")
    ]
    rows = ask(session, "daily-costs", "org_a", since=day(3).isoformat(), until=day(2)).rows
    assert [row["usage_date"] for row in rows] == [day(2), day(2), day(3), day(3)]
    rows = ask(session, "daily-costs", "org_a", until=day(1).isoformat(), top=3).rows
    assert [(row["usage_date"], row["service"]) for row in rows] == [
        (day(1), "compute"), (day(1), "genai"), (day(2), "compute")
    ]  # fmt: skip
    assert len(ask(session, "daily-costs", "org_a", top=2**40).rows) == 10


@pytest.mark.parametrize(("question", "column"), [("genai", "usage_date"), ("carbon", "usage_date")])
def test_genai_and_carbon(session: Any, question: str, column: str) -> None:
    assert [row[column] for row in ask(session, question, "org_a", top=2).rows] == [day(0), day(1)]
    assert [row[column] for row in ask(session, question, "org_a", until=day(3).isoformat()).rows] == [day(3), day(4)]


def test_tickets_by_day_and_severity(session: Any) -> None:
    rows = ask(session, "tickets", "org_a", since=day(30).isoformat()).rows
    assert [(row["ticket_date"], row["severity"], row["total_tickets"]) for row in rows] == [
        (day(0), "high", 2), (day(0), "low", 2)
    ]  # fmt: skip


def test_revenue_by_months_or_the_months_of_dates(session: Any) -> None:
    def months(**bounds: Any) -> list[str]:
        return [row["billing_month"] for row in ask(session, "revenue", "org_a", **bounds).rows]

    assert months() == ["2025-02", "2025-01", "2024-12"]
    assert months(since="2025-01") == months(since="2025-01-31", until="2025-02-01") == ["2025-02", "2025-01"]
    assert months(until="2024-12") == ["2024-12"]


def test_top_services_of_the_newest_summary_or_of_a_date(session: Any) -> None:
    found = ask(session, "top-services", "org_a")
    assert [(row["summary_date"], row["rank_14d"], row["service"]) for row in found.rows] == [
        (LAST, 1, "genai"), (LAST, 2, "compute"), (LAST, 3, "storage")
    ]  # fmt: skip
    rows = ask(session, "top-services", "org_a", until=day(4).isoformat(), top=2).rows
    assert [(row["summary_date"], row["rank_14d"]) for row in rows] == [(day(4), 1), (day(4), 2)]
    # It stopped using anything before the data ends: the windows that still hold its last day are 13 more.
    assert ask(session, "top-services", "org_quiet").rows[0]["summary_date"] == QUIET + timedelta(13)
    assert ask(session, "top-services", "org_a", until="2020-01-01").rows == []


def test_top_anomalies_are_those_of_the_largest_impact(session: Any) -> None:
    newest_first = ask(session, "anomalies", "org_a").rows
    assert [row["usage_date"] for row in newest_first] == [day(0), day(1), day(2), day(3), day(3), day(4)]
    ranked = ask(session, "anomalies", "org_a", top=6).rows
    assert [(row["usage_date"], row["service"]) for row in ranked] == [
        (day(1), "genai"), (day(0), "compute"), (day(3), "compute"), (day(3), "storage"), (day(4), "compute"),
        (day(2), "genai"),
    ]  # fmt: skip
    assert ask(session, "anomalies", "org_a", top=2).rows == ranked[:2]
    assert ask(session, "anomalies", "org_a", until=day(2), top=1).rows == [ranked[2]]


def test_an_unknown_organisation_gets_the_nearest_names(session: Any) -> None:
    with pytest.raises(UsageError) as failure:
        ask(session, "carbon", "ORG_QUIT")
    assert str(failure.value).startswith("no organisation 'ORG_QUIT'; nearest: org_quiet, org_")
    assert "\n" not in str(failure.value)
    with pytest.raises(UsageError, match="no organisation"):
        ask(session, "top-services", "org_z", until=LAST)


def test_a_known_organisation_without_rows_in_the_range(session: Any, lake: Path) -> None:
    assert ask(session, "revenue", "org_quiet").rows == []
    assert ask(session, "top-services", 'org_ñ,"b"').rows == []
    bounds = ("--from", "2020-01-01", "--to", "2020-02-01")
    assert call(lake, "genai", "--org", "org_a", *bounds) == "no rows for org_a between 2020-01-01 and 2020-02-01\n"
    assert json.loads(call(lake, "genai", "--org", "org_a", *bounds, "--format", "json"))["rows"] == []
    assert call(lake, "genai", "--org", "org_a", *bounds, "--format", "csv").count("\n") == 1


class Spy:
    """A session that notes what is asked."""

    def __init__(self, session: Any) -> None:
        self._session, self.prepared, self.other = session, [], []
        self.execute_async = self._execute_async

    def prepare(self, text: str) -> Any:
        self.prepared.append(text)
        return self._session.prepare(text)

    def _execute_async(self, statement: Any, *values: Any) -> Any:
        if isinstance(statement, str):
            self.other.append(statement)
        return self._session.execute_async(statement, *values)


@pytest.mark.parametrize("question", queries.QUESTIONS)
def test_every_read_is_of_one_partition(session: Any, question: str) -> None:
    spy = Spy(session)
    named = _named(question)
    found = ask(spy, question, **named, top=1)
    ask(spy, question, **named, **_until(question))
    assert len(found.rows) == 1
    unknown: dict[str, Any] = dict.fromkeys(named, "org_unknown")
    if unknown:
        with pytest.raises(UsageError):
            ask(spy, question, **unknown)
    assert spy.prepared
    for text in spy.prepared:
        assert "ALLOW FILTERING" not in text.upper()
        table = tables()[re.findall(r"FROM (\w+)", text)[0]]
        if text == f"SELECT DISTINCT {', '.join(table.partition_key)} FROM {table.name}":
            assert table.bucket_column or table.date_column  # which partitions there are: no row is read
        else:
            assert set(table.partition_key) <= set(re.findall(r"(\w+) = \?", text))
    # Only the nearest names need more: partition keys, and not too many.
    assert all(re.fullmatch(r"SELECT DISTINCT org_id FROM \w+ LIMIT 10000", text) for text in spy.other)


@pytest.mark.parametrize("question", queries.QUESTIONS)
@pytest.mark.parametrize("bounds", ["none", "until", "until and top"])
def test_an_explanation_is_cql_that_runs_and_gives_the_answer(session: Any, question: str, bounds: str) -> None:
    until = _until(question) if bounds != "none" else {}
    request = queries.request(question, **_named(question), **until, top=2 if "top" in bounds else None)
    explained = queries.explain(request)
    filled = explained.replace("<date>", LAST.isoformat()).replace("<month>", f"{LAST:%Y-%m}")
    statements = re.sub(r"--.*", "", filled).strip().split(";")[:-1]
    assert f"{question}: {request.table.asks}" in explained
    rows = [list(session.execute(statement)) for statement in statements][-1]
    found = queries.answer(session, request)
    if request.ranked:
        assert f"the 2 with the highest {request.table.top_by}" in explained
        assert all(row in rows for row in found.rows)
    else:
        assert rows == found.rows
    assert found.statements[-1].typed(KEYSPACE).split("WHERE")[0] in explained


def test_json_and_csv_keep_every_digit(session: Any, lake: Path) -> None:
    exact = "1234567890123456789012.000001"
    text = call(lake, "revenue", "--org", "org_a", "--format", "json")
    found = json.loads(text, parse_float=Decimal)
    assert (found["question"], found["table"], found["org_id"]) == ("revenue", "revenue_monthly", "org_a")
    assert found["columns"][2] == {"name": "gross_revenue_usd", "type": "decimal", "unit": "USD"}
    assert found["rows"][0]["gross_revenue_usd"] == Decimal(exact)
    assert found["rows"][0]["taxes_usd"] is None
    assert list(found["rows"][0]) == [column["name"] for column in found["columns"]] == found_columns("revenue")

    lines = list(csv.reader(io.StringIO(call(lake, "revenue", "--org", "org_a", "--format", "csv"), newline="")))
    assert lines[0] == found_columns("revenue")
    assert lines[1][:4] == ["org_a", "2025-02", exact, ""]

    text = call(lake, "daily-costs", "--org", "org_a", "--top", "10", "--format", "csv")
    records = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {line["anomaly_score"] for line in records} == {"0.0000001"}
    assert [line["total_cost_usd"] for line in records][:3] == ["10.5", "1000", "11.5"]
    assert [line["usage_date"] for line in records][0] == "2025-03-31"
    assert [line["is_anomaly"] for line in records][1:3] == ["true", "false"]
    assert "\r" not in text

    text = call(lake, "revenue", "--org", 'org_ñ,"b"', "--format", "csv")
    assert text.splitlines()[1].startswith('"org_ñ,""b""",2025-01,')


def found_columns(question: str) -> list[str]:
    return next(list(table.columns) for table in tables().values() if table.question == question)


def test_a_table_shows_units_and_names_what_it_has_no_room_for(session: Any, lake: Path) -> None:
    text = call(lake, "carbon", "--org", "org_a", "--top", "1")
    assert "kg CO2e" in text
    assert "0.5000" in text
    found = ask(session, "daily-costs", "org_a", top=1)
    narrow, wide = (Console(width=width, file=io.StringIO()) for width in (60, 10_000))
    answers.print_table(found, narrow)
    answers.print_table(found, wide)
    shown, whole = (console.file.getvalue() for console in (narrow, wide))  # type: ignore[attr-defined]
    assert "too narrow for" in shown
    assert "total_cost_usd_capped: see --format csv or json" in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 60
    assert "too narrow" not in whole
    assert "…" not in shown + whole


def test_a_node_that_ran_is_left_running(session: Any, lake: Path) -> None:
    call(lake, "carbon", "--org", "org_a")
    assert EmbeddedNode(lake / "_cassandra").status()["running"] is True
