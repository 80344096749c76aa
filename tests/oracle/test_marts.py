"""The oracle's scores and marts: figures worked by hand from the formulas of contract 6 and 7."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from .compute import compute
from .forecasts import Foreseen, foresee
from .gold import cost_anomaly_mart, usage_marts
from .gold_finance import billing_reconciliation, tag_cost_daily, tags_of
from .params import Params
from .scores import percentile, score_days, score_events
from .test_oracle import BILLING, INGEST, TICKETS, line, run

DAY = date(2025, 8, 1)


def event(cost: str, value: str | None = "1", **changes: Any) -> dict[str, Any]:
    """A Silver event, as far as scores and marts look at it."""
    row = {
        "org_id": "o1",
        "service": "compute",
        "metric": "requests",
        "date": DAY,
        "resource_id": "r1",
        "region_code": None,
        "cost_usd": Decimal(cost),
        "value": None if value is None else Decimal(value),
        "carbon_kg": None,
        "genai_tokens": None,
    }
    return row | changes


def scored(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    score_events(list(rows), Params())
    return list(rows)


def approx(number: float) -> Any:
    return pytest.approx(number, rel=1e-12)


def test_percentiles_are_interpolated() -> None:
    numbers = [Fraction(number) for number in range(1, 12)]
    assert percentile(numbers, Decimal("0.95")) == Fraction(21, 2)  # position 9.5: half-way from 10 to 11
    assert percentile([Fraction(7)], Decimal("0.95")) == 7


def test_cost_level_scores_of_one_group() -> None:
    # 1 … 9 and 100: mean 14.5, median 5.5, MAD 2.5, p95 at 8.55 = 9 + 0.55 × 91 = 59.05
    rows = scored(*(event(str(cost), None) for cost in [*range(1, 10), 100]))
    spike = rows[-1]
    deviation = math.sqrt((sum(cost**2 for cost in range(1, 10)) + 100**2 - 10 * 14.5**2) / 9)
    assert spike["cost_zscore"] == approx((100 - 14.5) / deviation)
    assert spike["anomaly_score"] == spike["cost_zscore"]
    assert spike["cost_mad_score"] == approx(0.6745 * 94.5 / 2.5)
    assert [spike["flag_zscore"], spike["flag_mad"], spike["flag_percentile"]] == [False, True, False]
    assert (spike["is_anomaly"], spike["anomaly_reason"], spike["cost_usd_capped"]) == (False, None, 100)


def test_two_flags_of_three_make_an_anomaly_and_cap_its_cost() -> None:
    # nineteen 1, 2, 1, 2 … and 100: p95 at position 18.05 = 2 + 0.05 × 98 = 6.9, so costs end at 13.8
    rows = scored(*(event("1" if i % 2 else "2", None) for i in range(19)), event("100", None))
    spike = rows[-1]
    assert [spike["flag_zscore"], spike["flag_mad"], spike["flag_percentile"]] == [True, True, True]
    assert (spike["is_anomaly"], spike["cost_usd_capped"]) == (True, Decimal("13.8"))
    assert spike["unit_price_ratio"] is None
    assert not any(row["is_anomaly"] for row in rows[:-1])


@pytest.mark.parametrize("costs", [["1"] * 10, ["1"] * 8 + ["50"]])
def test_no_scores_for_few_events_or_no_spread(costs: list[str]) -> None:
    for row in scored(*(event(cost, None) for cost in costs)):
        assert row["cost_zscore"] is row["cost_mad_score"] is row["anomaly_score"] is None
        assert not any(row[flag] for flag in ("flag_zscore", "flag_mad", "flag_percentile", "is_anomaly"))
        assert row["cost_usd_capped"] == row["cost_usd"]


def test_no_mad_score_where_mad_is_zero_and_no_cap_where_p95_is_zero() -> None:
    rows = scored(*(event("0", None) for _ in range(39)), event("5", None))
    spike = rows[-1]
    assert (spike["cost_mad_score"], spike["flag_mad"]) == (None, False)
    assert (spike["flag_zscore"], spike["flag_percentile"], spike["cost_usd_capped"]) == (True, True, 5)


def test_unit_price_is_compared_across_organisations() -> None:
    orgs = [event("1", "10", org_id=f"o{i}") for i in range(9)]  # 0.1 each
    low, high = event("4", "10", org_id="x"), event("4.1", "10", org_id="y")
    rows = scored(*orgs, low, high, event("9", "0", org_id="z"))
    assert [row["unit_price_ratio"] for row in rows[-3:]] == [4.0, approx(4.1), None]
    assert [row["flag_unit_price"] for row in rows[-3:]] == [False, True, False]
    assert "unit price 4" in rows[-2]["anomaly_reason"]
    assert scored(*orgs)[0]["unit_price_ratio"] is None  # nine are too few


def days_of(*costs: str) -> list[dict[str, Any]]:
    """A daily mart of one organisation and service, one row a day."""
    rows: list[dict[str, Any]] = [
        {"org_id": "o1", "service": "compute", "usage_date": DAY + timedelta(days=i), "total_cost_usd": Decimal(cost)}
        for i, cost in enumerate(costs)
    ]
    score_days(rows, Params())
    return rows


def verdict(*costs: str) -> tuple[Decimal | None, float | None, bool | None]:
    last = days_of(*costs)[-1]
    return last["expected_cost_usd"], last["anomaly_score"], last["is_anomaly"]


def test_a_day_is_judged_by_the_days_before_it() -> None:
    base = ["1", "2"] * 5  # median 1.5, MAD 0.5
    assert verdict(*base[:9], "99") == (None, None, False)
    assert verdict(*base, "11.5") == (Decimal("1.5"), approx(0.6745 * 10 / 0.5), True)
    assert verdict(*base, "11.499999") == (Decimal("1.5"), approx(0.6745 * 9.999999 / 0.5), False)  # below 10 USD
    assert verdict(*["5"] * 10, "99") == (Decimal(5), None, False)  # MAD = 0
    assert verdict(*["1000"] * 10, *["1"] * 30, "1")[0] == 1  # thirty days, no more


def test_usage_marts() -> None:
    rows = scored(
        event("1.00", "2.5", carbon_kg=Decimal("0.5")),
        event("0.50", "1", resource_id="r0"),
        event("2.00", None, metric="cpu_hours", resource_id="r0"),
        event("3.00", "4", service="genai", genai_tokens=Decimal(10)),
        event("1.00", "3", date=DAY + timedelta(days=14)),
        event("9.00", "7", date=DAY + timedelta(days=1), org_id="o2", metric="storage_gb_hours"),
    )
    marts = usage_marts(rows, Params())
    first = marts["org_daily_usage_by_service"][0]
    expected = {
        "total_events": 3,
        "total_cost_usd": Decimal("3.5"),
        "total_requests": 4,  # 3.5, rounded half-up
        "total_cpu_hours": 0,
        "total_storage_gb_hours": 0,
        "total_carbon_kg": Decimal("0.5"),
        "total_genai_tokens": None,
        "avg_cost_per_request": Decimal("0.875"),
        "total_cost_usd_capped": Decimal("3.5"),
    }
    assert {column: first[column] for column in expected} == expected
    assert marts["org_daily_usage_by_service"][-1]["avg_cost_per_request"] is None
    assert marts["org_daily_usage_by_service"][-1]["total_storage_gb_hours"] == 7

    (genai,) = marts["genai_tokens_by_org_date"]
    assert (genai["total_tokens"], genai["avg_tokens_per_request"]) == (10, Decimal("2.5"))
    assert genai["cost_per_million_tokens"] == 300_000

    carbon = marts["carbon_impact"][0]
    assert (carbon["events"], carbon["events_with_carbon"], carbon["coverage"]) == (4, 1, Decimal("0.25"))
    assert carbon["carbon_kg_per_usd"] == Decimal("0.07692308")  # 0.5 / 6.5

    summary = {(row["org_id"], row["summary_date"], row["service"]): row for row in marts["org_service_cost_summary"]}
    figures = ("cost_1d", "cost_7d", "cost_14d", "rank_14d")
    at = {day: DAY + timedelta(days=day) for day in (0, 6, 7, 13, 14)}
    assert [summary["o1", at[0], "compute"][name] for name in figures] == [Decimal("3.5"), Decimal("3.5"), 3.5, 1]
    assert [summary["o1", at[6], "genai"][name] for name in figures] == [0, 3, 3, 2]
    assert [summary["o1", at[7], "genai"][name] for name in figures] == [0, 0, 3, 2]
    assert [summary["o1", at[14], "compute"][name] for name in figures] == [1, 1, 1, 1]
    assert ("o1", at[14], "genai") not in summary
    assert ("o2", at[0], "compute") not in summary
    assert ("o2", at[14], "compute") in summary
    assert len(summary) == 15 + 14 + 14


def test_ranks_break_ties_by_service() -> None:
    marts = usage_marts(scored(event("1", service="storage"), event("1", service="compute")), Params())
    assert [row["service"] for row in marts["org_service_cost_summary"]] == ["compute", "storage"]
    assert [row["rank_14d"] for row in marts["org_service_cost_summary"]] == [1, 2]


def test_cost_anomaly_mart() -> None:
    rows = scored(event("6", None, resource_id="r2"), event("6", None), event("3", None, service="storage"))
    rows[1] |= {"is_anomaly": True, "flag_zscore": True, "flag_mad": True}
    day = {"org_id": "o1", "usage_date": DAY, "total_cost_usd": Decimal(12), "anomaly_score": None, "is_anomaly": False}
    days = [day | {"service": "compute", "expected_cost_usd": Decimal("9")}]
    days.append(day | {"service": "storage", "expected_cost_usd": Decimal(0)})
    (row,) = cost_anomaly_mart(rows, days)
    assert (row["impact_usd"], row["impact_pct"]) == (3, Decimal("33.33333333"))
    assert (row["top_resource_id"], row["top_resource_cost_usd"]) == ("r1", 6)
    counts = ("zscore_events", "mad_events", "percentile_events", "unit_price_events", "anomalous_events")
    assert [row[name] for name in counts] == [1, 1, 0, 0, 1]
    assert row["anomalous_cost_usd"] == 6
    days[1]["is_anomaly"] = True
    assert cost_anomaly_mart(rows, days)[1]["impact_pct"] is None


def test_revenue(tmp_path: Path) -> None:
    invoices = [
        "i1,o1,2025-06-01,100,,21,USD,0.9",
        "i2,o1,2025-06,10.000001,1,0,EUR,1.1",  # 11.0000011 → 11.000001
        "i3,o2,2025-06,5,0.5,,ARS,0.0015",
    ]
    result = run(tmp_path, billing_monthly=BILLING + "\n".join(invoices))
    mixed, single = result.gold["revenue_by_org_month"]
    money = ("gross_revenue_usd", "credits_applied_usd", "taxes_usd", "net_revenue_usd", "total_due_usd")
    assert [str(mixed[name]) for name in money] == ["111.000001", "1.100000", "21.000000", "109.900001", "130.900001"]
    assert (mixed["currency_original"], mixed["fx_rate"], mixed["invoice_count"]) == ("MIXED", None, 2)
    assert (single["currency_original"], single["fx_rate"]) == ("ARS", Decimal("0.0015"))
    assert single["net_revenue_usd"] == Decimal("0.00675")
    as_billed = compute(tmp_path, INGEST, Params(usd_rate="as_billed")).gold["revenue_by_org_month"][0]
    assert as_billed["gross_revenue_usd"] == Decimal("101.000001")


def test_ticket_marts(tmp_path: Path) -> None:
    tickets = [
        "t1,o1,billing,low,2025-06-02,2025-06-04,4,True",
        "t2,o1,billing,low,2025-06-02,2025-06-07,3,False",
        "t3,o1,billing,low,2025-06-02,,,",
        "t4,o1,billing,,2025-06-30,,9,True",
    ]
    gold = run(tmp_path, support_tickets=TICKETS + "\n".join(tickets)).gold
    low, other = gold["tickets_by_org_date"]
    assert (low["total_tickets"], low["open_tickets"], low["sla_breach_count"]) == (3, 1, 1)
    assert (low["sla_breach_rate"], low["avg_csat"]) == (Decimal("0.33333333"), Decimal("3.5"))
    assert (other["severity"], other["avg_csat"]) == ("unknown", None)
    assert [row["median_resolution_days"] for row in gold["sla_breach_summary"]] == [Decimal("3.5"), None]
    (trend,) = gold["csat_trends"]
    assert (trend["month"], trend["responses"], trend["tickets"], trend["response_rate"]) == ("2025-06", 2, 4, 0.5)


def test_survey_and_campaign_marts(tmp_path: Path) -> None:
    surveys = "org_id,survey_date,nps_score,comment\no1,2025-06-01,10,\no1,2025-06-02,,x\no1,2025-06-03,-5,y\n"
    touches = (
        "touch_id,org_id,campaign,channel,timestamp,clicked,converted\n"
        "m1,o1,launch,Email,2025-06-01,True,False\nm2,o2,launch,email,2025-06-30,True,True\n"
        "m3,o2,launch,email,2025-06-30,,False\n"
    )
    gold = run(tmp_path, nps_surveys=surveys, marketing_touches=touches).gold
    assert gold["nps_by_org_month"] == [{"org_id": "o1", "month": "2025-06", "surveys": 3, "avg_nps": Decimal("2.5")}]
    (campaign,) = gold["campaign_performance"]
    assert (campaign["touches"], campaign["clicks"], campaign["conversions"]) == (3, 2, 1)
    assert (campaign["click_rate"], campaign["conversion_rate"]) == (Decimal("0.66666667"), Decimal("0.33333333"))


def test_gold_holds_what_quarantine_does_not(tmp_path: Path) -> None:
    result = run(tmp_path, line(), line(), line(event_id="e2", cost_usd_increment=-1))
    (day,) = result.gold["org_daily_usage_by_service"]
    assert (day["total_cost_usd"], day["total_requests"]) == (Decimal("1.5"), 100)
    assert result.audit["sources"]["usage_events"] == {
        "landing": 3,
        "silver": 1,
        "quarantine": {"duplicate_event": 1, "negative_cost": 1},
        "balanced": True,
    }


def test_usage_against_invoices_by_hand() -> None:
    events = [event("60", region_code=None), event("41.5", None, region_code="r", date=date(2025, 8, 31))]
    revenue = [{"org_id": "o1", "billing_month": "2025-08", "gross_revenue_usd": Decimal(110), "invoice_count": 1,
                "currency_original": "EUR"}]  # fmt: skip
    invoices = [{"org_id": "o1", "month": DAY, "subtotal": Decimal(100), "currency": "EUR"}]
    rejected = [{"org_id": "o1", "usage_date": DAY, "error_type": "negative_cost", "cost_usd": Decimal(-2)}]
    (row,) = billing_reconciliation(events, invoices, revenue, rejected)
    assert (row["usage_cost_usd"], row["usage_days"], row["charge_rows"]) == (Decimal("101.5"), 2, 2)
    assert (row["difference_usd"], row["status"], row["tolerance_usd"]) == (Decimal("8.5"), "overbilled", 1)
    assert row["difference_pct"] == Decimal("8.37438424")  # 850 / 101.5
    assert (row["covers_month"], row["currency_suspect"], row["rejected_negative_usd"]) == (True, True, -2)
    assert row["cost_without_quantity_usd"] == Decimal("41.5")


def test_tags_by_hand() -> None:
    resource = {"resource_id": "r1", "tags_json": '["Team: core", "team:core", "pii", "env:a:b", {"x": 1}, null]'}
    assert tags_of(resource) == {"team": "core", "pii": "true", "env": "a:b"}
    assert tags_of({"tags_json": '{"A": 1.50, "a": [1, 2], "b": null}'}) == {"a": "(conflicting)"}
    rows = tag_cost_daily([event("2"), event("3", resource_id="r2")], [resource])
    assert {(row["tag_key"], row["tag_value"]): row["cost_usd"] for row in rows if row["tag_key"] == "team"} == {
        ("team", "core"): 2,
        ("team", "(untagged)"): 3,
    }


def test_forecasts_by_hand() -> None:
    weekly = [Decimal(7) if day % 7 == 0 else Decimal(0) for day in range(28)]
    # The mean of the weekday and the week before never err, and the first of them is chosen. Day 28 is a seventh one.
    assert foresee(weekly, 4) == Foreseen("mean_weekday", 7.0, 0.0, 0.0, 0.0)
    assert foresee(weekly[:27], 4) == Foreseen("mean_all_days", 4 * 28 / 27)
    # Nothing for 27 days, then 8: every candidate said 0, so all errors of sums are 0 or 8.
    late = foresee([*[Decimal(0)] * 27, Decimal(8)], 1)
    assert (late.method, late.expected, late.wape) == ("mean_all_days", 8 / 28, 1.0)
    assert late.half_width == 0.0  # of one day the error was 8 once in 21 times


def test_the_grain_by_hand() -> None:
    rows = scored(event("2", "3", region_code="r"), event("1", None, region_code="r", carbon_kg=Decimal(4)), event("9"))
    there, elsewhere = sorted(usage_marts(rows, Params())["resource_daily_usage"], key=lambda row: row["region_code"])
    assert (there["events"], there["cost_usd"], there["quantity"], there["unit"]) == (2, 3, 3, "count")
    assert (there["cost_without_quantity_usd"], there["total_carbon_kg"]) == (1, 4)
    assert (there["events_with_carbon"], there["total_genai_tokens"]) == (1, None)
    assert (elsewhere["region_code"], elsewhere["cost_usd"], elsewhere["anomalous_events"]) == ("unknown", 9, 0)
