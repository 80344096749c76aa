"""The oracle on lines, records and rules: examples worked by hand from the text of contract 3-5."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .compute import Result, compute
from .landing import ContractError

INGEST = datetime(2025, 9, 1, tzinfo=timezone.utc)
EVENT: dict[str, Any] = {
    "event_id": "e1",
    "timestamp": "2025-08-17T01:55:00Z",
    "org_id": "o1",
    "resource_id": "r1",
    "service": "compute",
    "region": "us-east",
    "metric": "requests",
    "value": 100,
    "unit": "count",
    "cost_usd_increment": 1.5,
    "schema_version": 2,
    "carbon_kg": 0.25,
}


def line(**changes: Any) -> str:
    return json.dumps(EVENT | changes)


def run(folder: Path, *lines: str | bytes, **masters: str) -> Result:
    """The oracle over one file of events and some CSV masters."""
    return run_files(folder, {"part.jsonl": lines}, **masters)


def run_files(folder: Path, files: dict[str, tuple[str | bytes, ...]], **masters: str) -> Result:
    stream = folder / "usage_events_stream"
    stream.mkdir()
    for name, lines in files.items():
        content = b"\n".join(text.encode() if isinstance(text, str) else text for text in lines)
        (stream / name).write_bytes(content)
    for source, text in masters.items():
        (folder / f"{source}.csv").write_text(text, encoding="utf-8")
    result = compute(folder, INGEST)
    assert result.audit["balanced"]
    return result


def outcome(result: Result, source: str = "usage_events") -> dict[str, int]:
    return dict(Counter(row["error_type"] for row in result.quarantine[source]))


def event_of(folder: Path, text: str) -> dict[str, Any]:
    """The Silver row of the one event."""
    (row,) = run(folder, text).silver["usage_events"]
    return row


def errors_of(folder: Path, text: str | bytes) -> list[str]:
    """All errors of the one event."""
    (row,) = run(folder, text).quarantine["usage_events"]
    assert row["error_type"] == row["errors"][0]
    assert row["raw"] == text
    return list(row["errors"])


@pytest.mark.parametrize(
    "text",
    [
        b'{"event_id": "\xff"}',
        "{}{}",
        "[{}]",
        "1",
        "{'event_id': 'x'}",
        '{"a": 1,}',
        '{"a": 1} // comment',
        '{"a": "tab\there"}',
        "\ufeff{}",
        "{",
    ],
)
def test_a_line_that_is_not_exactly_one_object_is_malformed(tmp_path: Path, text: str | bytes) -> None:
    (row,) = run(tmp_path, line(), text).quarantine["usage_events"]
    assert row["errors"] == ["malformed_json"]
    assert row["raw"] == text
    assert row["date"] == INGEST.date()


def test_blank_lines_and_the_bom_do_not_count_and_the_last_key_does(tmp_path: Path) -> None:
    good = line()[:-1] + ', "org_id": "o2"}'
    result = run(tmp_path, b"\xef\xbb\xbf" + good.encode() + b"\r", b"  \t\r", b"")
    assert result.audit["sources"]["usage_events"]["landing"] == 1
    assert result.silver["usage_events"][0]["org_id"] == "o2"


def test_files_plain_compressed_hidden_empty_and_truncated(tmp_path: Path) -> None:
    packed = gzip.compress(line(event_id="e2").encode())
    result = run_files(
        tmp_path,
        {
            "a.jsonl": (line(),),
            "b.json.gz": (packed,),
            "c.jsonl.gz": (packed[:-6],),
            "d.json": (),
            "e.txt": (line(event_id="e3"),),
            "_f.jsonl": (line(event_id="e4"),),
            ".g.jsonl": (line(event_id="e5"),),
        },
    )
    assert [row["event_id"] for row in result.silver["usage_events"]] == ["e1", "e2"]
    assert outcome(result) == {"unreadable_file": 1}
    assert result.audit["sources"]["usage_events"]["landing"] == 3


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"timestamp": "2025-08-17"}, ["invalid_timestamp"]),
        ({"timestamp": 1755395700, "service": "x"}, ["invalid_timestamp", "unknown_service"]),
        ({"event_id": "  "}, ["missing_key"]),
        ({"org_id": None, "resource_id": ""}, ["missing_key"]),
        ({"schema_version": 3}, ["unsupported_schema_version"]),
        ({"schema_version": 2.0}, ["unsupported_schema_version"]),
        ({"schema_version": " 2"}, ["unsupported_schema_version"]),
        ({"schema_version": True}, ["unsupported_schema_version"]),
        ({"service": "ec2"}, ["unknown_service"]),
        ({"metric": "gpu_hours", "unit": "hours"}, ["unknown_metric"]),
        ({"cost_usd_increment": None}, ["invalid_cost"]),
        ({"cost_usd_increment": "abc"}, ["invalid_cost"]),
        ({"cost_usd_increment": True}, ["invalid_cost"]),
        ({"cost_usd_increment": float("inf")}, ["invalid_cost"]),
        ({"cost_usd_increment": -0.0100006}, ["negative_cost"]),
        ({"value": float("nan")}, ["invalid_value"]),
        ({"value": "1e12"}, ["invalid_value"]),
        ({"value": ""}, ["invalid_value"]),
        ({"value": -1}, ["negative_quantity"]),
        ({"carbon_kg": -1, "genai_tokens": "-2"}, ["negative_quantity"]),
        ({"unit": "hours"}, ["unit_mismatch"]),
        ({"unit": "hours", "value": None}, ["unit_mismatch"]),
        ({"timestamp": "2025-09-02T00:00:01Z"}, ["future_timestamp"]),
        (
            {"unit": "x", "value": "y", "cost_usd_increment": -5, "org_id": ""},
            ["missing_key", "negative_cost", "invalid_value", "unit_mismatch"],
        ),
    ],
)
def test_rejected_events(tmp_path: Path, changes: dict[str, Any], errors: list[str]) -> None:
    assert errors_of(tmp_path, line(**changes)) == errors


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event_id": " e1 ", "org_id": 7}, {"event_id": "e1", "org_id": "7"}),
        ({"schema_version": "1"}, {"schema_version": 1, "carbon_kg": None}),
        ({"schema_version": 1, "carbon_kg": -1}, {"carbon_kg": None, "warnings": []}),
        ({"service": " GenAI ", "genai_tokens": "12"}, {"service": "genai", "genai_tokens": Decimal(12)}),
        ({"region": "EU-West-1 "}, {"region": "EU-West-1", "region_code": "eu-west-1"}),
        ({"region": "mars"}, {"region": "mars", "region_code": None, "warnings": ["unknown_region"]}),
        ({"value": " 1.5 "}, {"value": Decimal("1.5")}),
        ({"value": None}, {"value": None, "warnings": ["missing_value"], "unit": "count"}),
        ({"value": None, "unit": None}, {"unit": None, "unit_imputed": False}),
        ({"unit": None}, {"unit": "count", "unit_imputed": True}),
        ({"unit": " ", "metric": "cpu_hours"}, {"unit": "hours", "unit_imputed": True}),
        ({"carbon_kg": "n/a"}, {"carbon_kg": None, "warnings": ["invalid_carbon_kg"]}),
        ({"cost_usd_increment": -0.0100004}, {"cost_usd": Decimal("-0.01")}),
        ({"timestamp": "2025-09-02T00:00:00Z"}, {"date": date(2025, 9, 2), "is_late": False}),
        ({}, {"org_matched": False, "org_name": "unknown", "resource_type": "unknown", "role": None}),
        ({"user_id": "u9"}, {"role": "unknown", "active": None}),
    ],
)
def test_accepted_events(tmp_path: Path, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    row = event_of(tmp_path, line(**changes))
    assert {column: row[column] for column in expected} == expected


def test_lateness_is_measured_from_the_latest_event_that_is_not_in_the_future(tmp_path: Path) -> None:
    stamps = ["2025-08-31T12:00Z", "2025-08-31T10:00Z", "2025-08-31T09:59:59Z", "2025-09-01T06:00Z"]
    rows = run(tmp_path, *(line(event_id=str(i), timestamp=at) for i, at in enumerate(stamps))).silver["usage_events"]
    assert [row["is_late"] for row in rows] == [False, False, True, False]


def test_the_smallest_copy_survives_among_the_good_ones(tmp_path: Path) -> None:
    files: dict[str, tuple[str | bytes, ...]] = {
        "a.jsonl": (line(service="x"),),  # the smallest name, but rejected
        "b.jsonl": (line(value=2), "  " + line(value=1) + " "),
        "c.jsonl": (line(value=1, event_id="e1 "), line(value=1), line(value=0, timestamp="2025-08-01T00:00Z")),
    }
    result = run_files(tmp_path, files)
    (survivor,) = result.silver["usage_events"]
    assert (survivor["value"], survivor["source_file"]) == (1, "b.jsonl")
    assert outcome(result) == {"unknown_service": 1, "duplicate_event": 1, "conflicting_duplicate": 3}
    assert min(row["date"] for row in result.quarantine["usage_events"]) == date(2025, 8, 1)


def test_events_are_joined_with_the_masters(tmp_path: Path) -> None:
    orgs = (
        "org_id,org_name,industry,hq_region,plan_tier,is_enterprise,signup_date,sales_rep,lifecycle_stage,"
        "marketing_source,nps_score\no1, Acme ,Media,US-East,PRO,False,2025-01-01,rep,active,ads,\n"
    )
    resources = (
        "resource_id,org_id,service,region,created_at,state,tags_json\n"
        'r1,o1,compute,us-east,2025-01-01,running,"[""a"", ""b""]"\n'
    )
    row = run(tmp_path, line(), customers_orgs=orgs, resources=resources).silver["usage_events"][0]
    joined = ("org_matched", "org_name", "plan_tier", "hq_region", "resource_matched", "resource_type")
    assert [row[column] for column in joined] == [True, "Acme", "pro", "us-east", True, "compute"]


BILLING = "invoice_id,org_id,month,subtotal,credits,taxes,currency,exchange_rate_to_usd\n"
TICKETS = "ticket_id,org_id,category,severity,created_at,resolved_at,csat,sla_breached\n"


@pytest.mark.parametrize(
    ("record", "errors"),
    [
        (",o1,2025-06,1,,,EUR,1", ["missing_key"]),
        ("i1, ,2025-6,x,,,,0", ["missing_key", "invalid_date", "invalid_number", "invalid_rate"]),
        ("i1,o1,2025-06,,,,EUR,1", ["invalid_number"]),
        ("i1,o1,2025-06,1,,-999999999999,EUR,10001", ["invalid_number"]),
        ("i1,o1,2025-06,1,,,EUR,0.00000000001", ["invalid_rate"]),
        ("i1,o1,2025-06,1,,,USD,", ["invalid_rate"]),
        ("i1,o1,2025-06,1,,,EUR", ["malformed_csv"]),
    ],
)
def test_rejected_invoices(tmp_path: Path, record: str, errors: list[str]) -> None:
    (reject,) = run(tmp_path, billing_monthly=f"{BILLING}{record}\n").quarantine["billing_monthly"]
    assert (reject["errors"], reject["raw"], reject["date"]) == (errors, record, INGEST.date())


def test_tickets_are_cleaned_judged_and_deduplicated(tmp_path: Path) -> None:
    records = [
        "t1,o1,Billing, HIGH ,2025-06-02,2025-06-02,6,no",
        "t2,o1,odd,low,2025-06-02,2025-06-01,3,True",
        "t3,o1,billing,low,2025-06-02,soon,3,True",
        "t4,o1,odd,low,2025-06-02,,4.5,maybe",
        "t4,o1,billing,low,2025-06-03,,,False",
        "t4,o1,billing,low,,,,False",
    ]
    result = run(tmp_path, support_tickets=TICKETS + "\n".join(records))
    assert outcome(result, "support_tickets") == {"resolved_before_created": 1, "invalid_date": 2, "duplicate_key": 1}
    first, last = result.silver["support_tickets"]
    assert (first["severity"], first["csat"], first["warnings"]) == ("high", None, ["invalid_csat"])
    assert (last["created_at"], last["sla_breached"], last["warnings"]) == (date(2025, 6, 3), False, [])


@pytest.mark.parametrize("makes", [lambda n: [f"k{i}:v" for i in range(n)], lambda n: {f"k{i}": "v" for i in range(n)}])
def test_more_than_200_tags_are_read_as_null(tmp_path: Path, makes: Callable[[int], object]) -> None:
    header = "resource_id,org_id,service,region,created_at,state,tags_json\n"
    quoted = [json.dumps(makes(n)).replace('"', '""') for n in (200, 201)]
    rows = [f'r{place},o,storage,us-west,2025-01-01,running,"{text}"' for place, text in enumerate(quoted)]
    most, more = run(tmp_path, resources=header + "\n".join(rows)).silver["resources"]
    assert (most["tags_json"] is None, most["warnings"]) == (False, [])
    assert (more["tags_json"], more["warnings"]) == (None, ["too_many_tags"])


def test_a_ticket_of_the_far_past_or_future_has_a_warning_and_is_not_in_the_backlog(tmp_path: Path) -> None:
    tomorrow = INGEST.date() + timedelta(days=1)
    days = [date(1, 1, 1), date(1999, 12, 31), date(2000, 1, 1), tomorrow, tomorrow + timedelta(days=1), date.max]
    records = [f"t{place},o{place},billing,low,{day},{day},5,no" for place, day in enumerate(days)]
    result = run(tmp_path, support_tickets=TICKETS + "\n".join(records))
    warned = {row["ticket_id"] for row in result.silver["support_tickets"] if row["warnings"]}
    assert warned == {"t0", "t1", "t4", "t5"}
    backlog = result.gold["support_backlog_daily"]
    assert {(row["org_id"], row["backlog_date"]) for row in backlog} == {("o2", days[2]), ("o3", tomorrow)}
    assert len(result.gold["tickets_by_org_date"]) == len(days)


def test_the_last_row_of_the_last_file_by_name_survives(tmp_path: Path) -> None:
    (tmp_path / "nps_surveys").mkdir()
    header = "\ufeffcomment,survey_date,org_id,nps_score,extra\n"
    for name, comment in (("b.csv", "new"), ("a.csv", "old")):
        text = f"{header}{comment},2025-06-01,o1,101,\nno,2025-06-01,,1,\n"
        (tmp_path / "nps_surveys" / name).write_text(text, encoding="utf-8")
    result = run(tmp_path)
    (row,) = result.silver["nps_surveys"]
    assert (row["comment"], row["nps_score"], row["warnings"]) == ("new", None, ["invalid_nps_score"])
    assert outcome(result, "nps_surveys") == {"duplicate_key": 1, "missing_key": 2}


def test_contradictions_are_warnings(tmp_path: Path) -> None:
    users = "user_id,org_id,email,role,active,created_at,last_login\nu1,o1,a@b,Pilot,yes,2025-06-02,2025-06-01\n"
    billing = f"{BILLING}i1,o1,2025-06-01,-1,,,usd,0.9\n"
    result = run(tmp_path, users=users, billing_monthly=billing)
    assert result.silver["users"][0]["warnings"] == ["last_login_before_created", "unknown_role"]
    assert result.silver["users"][0]["role"] == "pilot"
    (invoice,) = result.silver["billing_monthly"]
    assert invoice["warnings"] == ["negative_subtotal", "usd_rate_not_one"]
    assert (invoice["currency"], invoice["credits"], invoice["month"]) == ("USD", 0, date(2025, 6, 1))


def test_a_missing_column_names_the_file_and_the_column(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"billing_monthly\.csv.*'taxes'"):
        run(tmp_path, billing_monthly=BILLING.replace("taxes,", ""))


def test_missing_and_empty_masters_are_empty_tables(tmp_path: Path) -> None:
    result = run(tmp_path, users="", billing_monthly=BILLING)
    assert all(result.silver[source] == [] for source in result.silver)
    assert len(result.gold) == 20
    assert all(rows == [] for rows in result.gold.values())


def test_the_future_begins_a_day_after_ingest(tmp_path: Path) -> None:
    at = (INGEST + timedelta(hours=24, microseconds=1)).isoformat()
    assert errors_of(tmp_path, line(timestamp=at)) == ["future_timestamp"]
