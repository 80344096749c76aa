"""What finance closes on, on inline frames: reconciliation, costs by tag, and costs that were rejected."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.gold import (
    billing_reconciliation,
    rejected_cost_daily,
    resource_tags,
    restatements,
    tag_cost_daily,
)

pytestmark = pytest.mark.spark

JULY = date(2025, 7, 1)
USAGE = (
    "org_id string, usage_date date, resource_id string, service string, region_code string, metric string,"
    " cost_usd decimal(28,6), cost_without_quantity_usd decimal(28,6)"
)
REVENUE = (
    "org_id string, billing_month string, gross_revenue_usd decimal(28,6), invoice_count bigint,"
    " currency_original string"
)
INVOICES = "org_id string, month date, subtotal decimal(18,6), currency string"
REJECTED = "org_id string, usage_date date, error_type string, events bigint, cost_usd decimal(28,6)"


def used(org: str, day: date, cost: str, resource: str = "r", without_quantity: str = "0") -> tuple[Any, ...]:
    return (org, day, resource, "compute", "us-east-1", "requests", Decimal(cost), Decimal(without_quantity))


def billed(org: str, usd: str, currency: str = "USD", count: int = 1) -> tuple[Any, ...]:
    return (org, "2025-07", Decimal(usd), count, currency)


def invoice(org: str, subtotal: str, currency: str = "USD") -> tuple[Any, ...]:
    return (org, JULY, Decimal(subtotal), currency)


def reconciled(
    spark: SparkSession,
    usage: list[tuple[Any, ...]],
    revenue: list[tuple[Any, ...]],
    invoices: list[tuple[Any, ...]],
    rejected: list[tuple[Any, ...]],
) -> dict[tuple[str, str], Row]:
    mart = billing_reconciliation.build(
        spark.createDataFrame(usage, USAGE),
        spark.createDataFrame(revenue, REVENUE),
        spark.createDataFrame(invoices, INVOICES),
        spark.createDataFrame(rejected, REJECTED),
    )
    rows = mart.collect()
    found = {(row.org_id, row.month): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_every_pair_with_usage_or_an_invoice_gets_its_status(spark: SparkSession) -> None:
    usage = [
        *(used(org, JULY, "60", "r1") for org in ("exact", "edge", "under", "over", "unbilled")),
        *(used(org, date(2025, 7, 31), "40", "r2", "40") for org in ("exact", "edge", "under", "over", "unbilled")),
        used("free", JULY, "0"),
        used("exact", date(2025, 8, 1), "5"),
    ]
    revenue = [
        billed("exact", "100", count=2),
        billed("edge", "101"),
        billed("under", "98.999999"),
        billed("over", "101.000001"),
        billed("idle", "0"),
        billed("free", "0.5"),
    ]
    rejected = [
        ("exact", JULY, "negative_cost", 2, Decimal("-3.5")),
        ("exact", date(2025, 7, 9), "negative_cost", 1, Decimal("-1.25")),
        ("exact", JULY, "unit_mismatch", 1, Decimal("-7")),
        ("exact", date(2025, 8, 1), "negative_cost", 1, None),
        ("idle", date(2025, 6, 30), "negative_cost", 1, Decimal("-9")),
        ("nobody", JULY, "negative_cost", 1, Decimal("-9")),
    ]
    found = reconciled(spark, usage, revenue, [], rejected)
    july = {org: row for (org, month), row in found.items() if month == "2025-07"}
    assert {org: row.status for org, row in july.items()} == {
        "exact": "matched",
        "edge": "matched",  # a difference as large as the tolerance is one
        "under": "underbilled",
        "over": "overbilled",
        "unbilled": "not_invoiced",
        "idle": "no_usage",  # also where the invoice is over 0
        "free": "matched",
    }
    assert set(found) - {(org, "2025-07") for org in july} == {("exact", "2025-08")}
    exact = july["exact"]
    assert (exact.usage_cost_usd, exact.usage_days, exact.charge_rows, exact.cost_without_quantity_usd) == (
        100,
        2,
        2,
        40,
    )
    assert (exact.invoiced_usd, exact.invoice_count, exact.currency_original) == (100, 2, "USD")
    assert (exact.difference_usd, exact.difference_pct, exact.tolerance_usd) == (0, 0, 1)
    assert exact.rejected_negative_usd == Decimal("-4.75")
    assert found["exact", "2025-08"].rejected_negative_usd == 0
    assert found["exact", "2025-08"].status == "not_invoiced"
    assert (july["over"].difference_usd, july["over"].difference_pct) == (Decimal("1.000001"), Decimal("1.000001"))
    idle = july["idle"]
    assert (idle.usage_cost_usd, idle.usage_days, idle.charge_rows, idle.difference_pct) == (0, 0, 0, None)
    assert (idle.tolerance_usd, idle.rejected_negative_usd, idle.cost_without_quantity_usd) == (1, 0, 0)
    unbilled = july["unbilled"]
    assert (unbilled.invoiced_usd, unbilled.invoice_count, unbilled.currency_original) == (0, 0, None)
    assert unbilled.difference_usd == -100


@pytest.mark.parametrize(
    ("first", "last", "covered"),
    [(1, 31, True), (2, 31, False), (1, 30, False)],
)
def test_a_month_is_covered_when_the_lake_reaches_from_end_to_end(
    spark: SparkSession, first: int, last: int, covered: bool
) -> None:
    usage = [used("one", date(2025, 7, first), "1"), used("other", date(2025, 7, last), "1")]
    found = reconciled(spark, usage, [billed("third", "1")], [], [])
    assert {row.covers_month for row in found.values()} == {covered}


def test_without_any_usage_no_month_is_covered(spark: SparkSession) -> None:
    (row,) = reconciled(spark, [], [billed("o", "5")], [invoice("o", "5")], []).values()
    assert (row.covers_month, row.currency_suspect, row.status) == (False, False, "no_usage")


def test_a_currency_is_suspect_where_the_subtotals_fit_the_usage_better_as_they_stand(spark: SparkSession) -> None:
    usage = [used(org, JULY, "100") for org in ("ars", "eur", "mixed", "usd", "tie")]
    revenue = [
        billed("ars", "0.15", "ARS"),
        billed("eur", "108", "EUR"),
        billed("mixed", "0.20", "MIXED", 2),
        billed("usd", "50", "USD"),  # `as_billed` multiplies dollars, too
        billed("tie", "110", "EUR"),
        billed("idle", "11", "EUR"),
    ]
    invoices = [
        invoice("ars", "60", "ARS"),
        invoice("ars", "39", "ARS"),
        invoice("eur", "90", "EUR"),
        invoice("mixed", "99", "ARS"),
        invoice("mixed", "1", "EUR"),
        invoice("usd", "100", "USD"),
        invoice("tie", "90", "EUR"),
        invoice("idle", "10", "EUR"),
    ]
    found = reconciled(spark, usage, revenue, invoices, [])
    assert {org for (org, _), row in found.items() if row.currency_suspect} == {"ars", "idle"}


def test_the_tolerance_grows_with_the_root_of_the_charges(spark: SparkSession) -> None:
    counts = [0, 1, 2, 39_999, 40_000, 40_001, 50_000, 123_457, 999_999, 24_999_999]
    frame = spark.createDataFrame([(count,) for count in counts], "n bigint")
    rows = frame.select("n", billing_reconciliation.tolerance(F.col("n")).alias("usd")).collect()
    with localcontext() as context:
        context.prec = 60
        for row in rows:
            exact = max(Decimal(1), Decimal("0.005") * Decimal(row.n).sqrt())
            assert row.usd == exact.quantize(Decimal("1e-6"), rounding=ROUND_HALF_UP), row.n
    assert math.isclose(float(rows[-1].usd), 0.005 * math.sqrt(24_999_999), abs_tol=1e-6)


RESOURCES = "resource_id string, tags_json string"


def tagged(spark: SparkSession, *texts: Any) -> list[dict[str, str]]:
    """The tags of one resource a text, in that order; what is no string is written as JSON."""
    written = [text if isinstance(text, str) or text is None else json.dumps(text) for text in texts]
    resources = spark.createDataFrame([(f"r{n:02d}", text) for n, text in enumerate(written)], RESOURCES)
    found: list[dict[str, str]] = [{} for _ in texts]
    for row in resource_tags.build(resources).collect():
        assert row.tag_key not in found[int(row.resource_id[1:])]
        found[int(row.resource_id[1:])][row.tag_key] = row.tag_value
    return found


def test_tags_of_an_array_are_split_at_the_first_colon(spark: SparkSession) -> None:
    assert tagged(
        spark,
        ["env:prod", " Team : Core ", "pii", "url:http://x:80"],
        ["team:core", "TEAM:core", "team: core"],
        ["team:core", "Team:Core"],
        ["team:core", "team"],
        ["env:", "", " ", ":x", " : y"],
        [None, 5, True, {"team": "core"}, ["team:core"]],
        [],
        None,
    ) == [
        {"env": "prod", "team": "Core", "pii": "true", "url": "http://x:80"},
        {"team": "core"},  # said three times, and the same
        {"team": "(conflicting)"},  # values keep their case
        {"team": "(conflicting)"},
        {"env": ""},  # an empty value is one, a tag without a name is none
        {"5": "true", "true": "true"},
        {},
        {},
    ]


def test_tags_of_an_object_are_its_members(spark: SparkSession) -> None:
    assert tagged(
        spark,
        {" Team ": " core ", "pii": True, "tier": 1, "note": "a:b", "": "x", " ": "y"},
        {"team": "core", "TEAM": "ml"},
        '{"team": "ml", "team": "core"}',
        '{"team": "ml", "Team": "core", "team": "core"}',
        {"team": None, "env": ""},
        '{"a": [1, 2], "b": {"c": null}}',
        {},
        '"team:core"',
        "5",
        "null",
    ) == [
        {"team": "core", "pii": "true", "tier": "1", "note": "a:b"},
        {"team": "(conflicting)"},
        {"team": "core"},  # a repeated key's last value counts
        {"team": "core"},
        {"env": ""},
        {"a": "[1,2]", "b": '{"c":null}'},
        {},
        {},
        {},
        {},
    ]


def test_texts_that_no_store_takes_as_a_key_read_unknown(spark: SparkSession) -> None:
    longest = "k" * resource_tags.LONGEST_TAG_KEY
    found = tagged(spark, {longest: "x", longest + "k": "y", "big": "v" * 60_001})
    assert found == [{longest: "x", "unknown": "y", "big": "unknown"}]


def test_each_key_divides_the_whole_cost_of_the_day(spark: SparkSession) -> None:
    usage = [
        used("o", JULY, "1.5", "r1"),
        used("o", JULY, "2", "r1"),  # another metric of the same resource
        used("o", JULY, "4", "r2"),
        used("o", JULY, "8", "gone"),
        used("o", date(2025, 7, 2), "16", "r1"),
        used("p", JULY, "32", "r1"),
        used("p", JULY, "0", "r3"),
    ]
    resources = [
        ("r1", '["team:core"]'),
        ("r2", '["team:core", "team:ml"]'),
        ("r3", None),
        ("unused", '{"env": "prod"}'),
    ]
    tags = resource_tags.build(spark.createDataFrame(resources, RESOURCES))
    mart: DataFrame = tag_cost_daily.build(spark.createDataFrame(usage, USAGE), tags)
    rows = {(row.org_id, row.usage_date.day, row.tag_key, row.tag_value): (row.cost_usd, row.resources)
            for row in mart.collect()}  # fmt: skip
    assert rows == {
        ("o", 1, "team", "core"): (Decimal("3.5"), 1),
        ("o", 1, "team", "(conflicting)"): (4, 1),
        ("o", 1, "team", "(untagged)"): (8, 1),
        ("o", 1, "env", "(untagged)"): (Decimal("15.5"), 3),
        ("o", 2, "team", "core"): (16, 1),
        ("o", 2, "env", "(untagged)"): (16, 1),
        ("p", 1, "team", "core"): (32, 1),
        ("p", 1, "team", "(untagged)"): (0, 1),
        ("p", 1, "env", "(untagged)"): (32, 2),
    }


def test_rejected_costs_are_read_from_the_original_text(spark: SparkSession) -> None:
    def line(error_type: str, cost: Any, **changes: Any) -> tuple[Any, ...]:
        event = {"org_id": "o", "timestamp": "2025-07-01T23:30:00-02:00", "cost_usd_increment": cost, **changes}
        return (json.dumps({name: value for name, value in event.items() if value != "absent"}), None, error_type)

    rejects = spark.createDataFrame(
        [
            line("negative_cost", -1.25),
            line("negative_cost", "-3", timestamp="2025-07-02 00:00"),
            line("negative_cost", "-1e13"),
            line("invalid_cost", None),
            line("invalid_cost", "x"),
            line("invalid_cost", 1e12),
            line("missing_key", "999999999999.9999994", org_id=" "),
            line("missing_key", 1, org_id="absent"),
            line("missing_key", 2, org_id="o" * 60_001),
            line("missing_key", 3, org_id=" o "),
            line("invalid_timestamp", 5, timestamp="2025-07-01"),
            ("not json", None, "malformed_json"),
            ("usage_events_stream/a.jsonl.gz", None, "unreadable_file"),
        ],
        "raw string, raw_bytes binary, error_type string",
    )
    rows = {(row.org_id, row.usage_date, row.error_type): (row.events, row.cost_usd)
            for row in rejected_cost_daily.build(rejects).collect()}  # fmt: skip
    second = date(2025, 7, 2)
    assert rows == {
        ("o", second, "negative_cost"): (3, Decimal("-4.25")),
        ("o", second, "invalid_cost"): (3, None),
        ("o", second, "missing_key"): (1, Decimal(3)),
        ("unknown", second, "missing_key"): (3, Decimal("1000000000002.999999")),
    }


SILVER = (
    "org_id string, date date, resource_id string, service string, region_code string, metric string,"
    " value decimal(18,6), cost_usd decimal(18,6), cost_usd_capped decimal(18,6), carbon_kg decimal(18,6),"
    " genai_tokens decimal(18,6), flag_zscore boolean, flag_mad boolean, flag_percentile boolean,"
    " flag_unit_price boolean, is_anomaly boolean"
)
FROZEN = (
    "org_id string, usage_date date, service string, total_events bigint, total_cost_usd decimal(28,6),"
    " total_requests bigint, total_cpu_hours decimal(28,6), total_storage_gb_hours decimal(28,6),"
    " total_carbon_kg decimal(28,6), total_genai_tokens decimal(28,6)"
)


def restatements_of(
    spark: SparkSession,
    events: list[tuple[Any, ...]],
    frozen: list[tuple[Any, ...]],
    before: list[tuple[Any, ...]],
    open_month: str = "2025-08",
) -> list[tuple[Any, ...]]:
    """Rows (org, service, cost, requests, carbon, booked_month, reason)."""
    silver = [(org, JULY, "r", service, None, "requests", Decimal(requests), Decimal(cost), Decimal(cost),
               None if carbon is None else Decimal(carbon), None, False, False, False, False, False)
              for org, service, cost, requests, carbon in events]  # fmt: skip
    stored = [(org, JULY, service, events, Decimal(cost), requests, Decimal(0), Decimal(0),
               None if carbon is None else Decimal(carbon), None)
              for org, service, events, cost, requests, carbon in frozen]  # fmt: skip
    known = [("2025-07", org, service, Decimal(cost), requests, Decimal(0), Decimal(0), None, None, month, reason, JULY)
             for org, service, cost, requests, month, reason in before]  # fmt: skip
    rows = restatements.build(
        spark.createDataFrame(silver, SILVER),
        spark.createDataFrame(stored, FROZEN),
        spark.createDataFrame(known, restatements.TABLE.schema),
        {"requests": "count"},
        open_month,
    ).collect()
    assert {(row.closed_month, row.usage_date) for row in rows} <= {("2025-07", JULY)}
    return sorted(
        (
            row.org_id,
            row.service,
            row.total_cost_usd,
            row.total_requests,
            row.total_carbon_kg,
            row.booked_month,
            row.reason,
        )
        for row in rows
    )


def test_a_restatement_is_clean_minus_frozen_where_they_differ(spark: SparkSession) -> None:
    events = [
        ("same", "compute", "5", "10", "0.5"),
        ("more", "compute", "5", "10", "0.5"),
        ("more", "compute", "1.25", "2", "0.1"),
        ("new", "genai", "3", "4", None),
        ("other", "compute", "5", "10", None),
        ("free", "compute", "0", "0", None),
    ]
    frozen = [
        ("same", "compute", 1, "5", 10, "0.5"),
        ("more", "compute", 1, "5", 10, "0.5"),
        ("gone", "compute", 2, "8", 6, None),
        ("other", "compute", 1, "7", 10, "0.25"),
        ("free", "compute", 1, "0", 0, "0"),  # null and 0 are no difference
    ]
    assert restatements_of(spark, events, frozen, []) == [
        ("gone", "compute", -8, -6, None, "2025-08", "fewer_events"),
        ("more", "compute", Decimal("1.25"), 2, Decimal("0.1"), "2025-08", "late_events"),
        ("new", "genai", 3, 4, None, "2025-08", "late_events"),
        ("other", "compute", -2, 0, Decimal("-0.25"), "2025-08", "other_figures"),
    ]


def test_what_is_booked_in_a_closed_month_stays_and_the_rest_is_booked_in_an_open_one(spark: SparkSession) -> None:
    events = [(org, "compute", "5", "10", None) for org in ("settled", "more", "back", "moved", "still", "both")]
    frozen = [(org, "compute", 1, "1", 10, None) for org in ("settled", "more", "moved", "still", "both")]
    frozen.append(("back", "compute", 1, "5", 10, None))
    before = [
        ("settled", "compute", "4", 0, "2025-07", "late_events"),
        ("more", "compute", "3", 0, "2025-07", "late_events"),
        ("back", "compute", "2", 0, "2025-07", "late_events"),
        ("moved", "compute", "1", 0, "2025-08", "late_events"),  # booked in an open month: it is made anew
        ("still", "compute", "4", 0, "2025-09", "late_events"),
        ("gone", "compute", "4", 0, "2025-08", "late_events"),
        ("both", "compute", "1", 0, "2025-08", "late_events"),  # August was closed meanwhile, and opened again
        ("both", "compute", "2", 0, "2025-09", "late_events"),
    ]
    rows = restatements_of(spark, events, frozen, before)
    assert [(row[0], row[2], row[5]) for row in rows] == [
        ("back", -2, "2025-08"),
        ("back", 2, "2025-07"),
        ("both", 4, "2025-08"),
        ("more", 1, "2025-08"),
        ("more", 3, "2025-07"),
        ("moved", 4, "2025-08"),
        ("settled", 4, "2025-07"),
        ("still", 4, "2025-09"),  # where it was first seen, as long as that month is open
    ]


@pytest.mark.parametrize("actions", ["ccrcrc", "cccrrc"])
def test_however_months_are_closed_and_reopened_each_difference_is_booked_once(
    spark: SparkSession, actions: str
) -> None:
    """July, August, September are closed (c) and reopened (r), and after each step some organisations get an event."""
    spent = {f"org_{number}": 1 for number in range(2 ** len(actions))}
    frozen, closed = dict(spent), 0
    before: list[tuple[Any, ...]] = []
    for step, action in enumerate(actions):
        closed += 1 if action == "c" else -1
        open_month = f"2025-{7 + closed:02}"
        for number, org in enumerate(spent):
            spent[org] += number >> step & 1
        rows = restatements_of(
            spark,
            [(org, "compute", str(cost), "1", None) for org, cost in spent.items()],
            [(org, "compute", 1, str(cost), 1, None) for org, cost in frozen.items()],
            before,
            open_month,
        )
        booked: dict[str, Decimal] = defaultdict(Decimal)
        for row in rows:
            booked[row[0]] += row[2]
        assert {org: frozen[org] + booked[org] for org in spent} == spent
        settled = {(row[0], row[4], Decimal(row[2])) for row in before if row[4] < open_month}
        assert settled == {(row[0], row[5], row[2]) for row in rows if row[5] < open_month}
        before = [(org, service, str(cost), requests, month, reason)
                  for org, service, cost, requests, _, month, reason in rows]  # fmt: skip
