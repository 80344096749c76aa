"""The profile of a lake whose every figure is known."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from cloud_analytics.insight.plain import plain
from cloud_analytics.insight.profile_words import describe, summary
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.profile import Gap, SourceProfile, gaps, profile
from tests.conftest import MakePipeline
from tests.integration.hostile import event

ORGS = (
    "org_id,org_name,industry,hq_region,plan_tier,is_enterprise,signup_date,sales_rep,lifecycle_stage,"
    "marketing_source,nps_score\n"
    "org_a,A,Retail,us-east,pro,False,2025-05-01,r,active,ads,10\n"
    "org_b,B,Retail,us-east,gold,False,2025-05-04,r,active,ads,\n"
)
BILLING = (
    "invoice_id,org_id,month,subtotal,credits,taxes,currency,exchange_rate_to_usd\n"
    "i1,org_a,2025-01,10.50,,1,USD,1\ni2,org_none,2025-04,20,1,1,EUR,1.1\ni3,org_a,2025-13,1,1,1,EUR,1.1\n"
)


def test_gaps_of_days_and_months() -> None:
    days = [date(2025, 1, 30), date(2025, 1, 31), date(2025, 2, 2), date(2025, 2, 6)]
    assert gaps(days, "day") == [
        Gap(date(2025, 2, 1), date(2025, 2, 1), 1),
        Gap(date(2025, 2, 3), date(2025, 2, 5), 3),
    ]
    months = [date(2024, 11, 1), date(2025, 2, 1), date(2025, 3, 1)]
    assert gaps(months, "month") == [Gap(date(2024, 12, 1), date(2025, 1, 1), 2)]
    assert gaps([], "day") == gaps([date(2025, 1, 1)], "month") == []


@pytest.fixture(scope="module")
def found(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SourceProfile]:
    folder = tmp_path_factory.mktemp("profile")
    stream = folder / "landing" / "usage_events_stream"
    stream.mkdir(parents=True)
    (folder / "landing" / "customers_orgs.csv").write_text(ORGS)
    (folder / "landing" / "billing_monthly.csv").write_text(BILLING)
    lines = [
        event("e1", value=5, timestamp="2025-06-10T10:00Z"),
        event("e2", value="7.5", unit=None, timestamp="2025-06-13T10:00Z", service="GenAI", user_id="user_x"),
        event("e3", value=None, org_id="org_none", region="mars", timestamp="2025-06-13T11:00Z"),
        event("e4", service="moon", timestamp="2025-06-13T11:00Z"),
    ]
    (stream / "part.jsonl").write_text("\n".join(lines))
    pipeline = make_pipeline(folder / "landing", folder / "lake")
    pipeline.run()
    return profile(LakeReader(pipeline.lake.files), pipeline.config)


@pytest.mark.spark
class TestProfile:
    def test_events(self, found: dict[str, SourceProfile]) -> None:
        events = found["usage_events"]
        assert (events.rows, events.quarantined) == (3, {"unknown_service": 1})
        assert events.warnings == {"missing_value": 1, "unknown_region": 1}
        assert events.columns["service"].vocabulary == {"compute": 2, "genai": 1}
        assert events.columns["region_code"].nulls == 1
        value = events.columns["value"]
        assert (value.nulls, value.distinct, value.lowest, value.highest, value.mean) == (
            1, 2, "5.000000", "7.500000", 6.25,
        )  # fmt: skip

    def test_matches(self, found: dict[str, SourceProfile]) -> None:
        assert plain(found["usage_events"].matches) == {
            "customers_orgs": {"matched": 2, "of": 3},
            "resources": {"matched": 0, "of": 3},
            "users": {"matched": 0, "of": 1},
        }
        assert found["billing_monthly"].matches["customers_orgs"].rate == 0.5
        assert found["users"].matches["customers_orgs"].rate is None
        assert found["customers_orgs"].matches == {}

    def test_dates(self, found: dict[str, SourceProfile]) -> None:
        assert found["usage_events"].dates.gaps == [Gap(date(2025, 6, 11), date(2025, 6, 12), 2)]
        assert found["billing_monthly"].dates.gaps == [Gap(date(2025, 2, 1), date(2025, 3, 1), 2)]
        assert (found["users"].dates.first, found["users"].dates.with_rows) == (None, 0)

    def test_what_was_written_includes_what_was_rejected(self, found: dict[str, SourceProfile]) -> None:
        written = found["usage_events"].as_written
        assert written["service"].vocabulary == {"compute": 2, "GenAI": 1, "moon": 1}
        assert (written["unit"].nulls, written["value"].nulls) == (1, 1)

    def test_masters(self, found: dict[str, SourceProfile]) -> None:
        orgs, billing = found["customers_orgs"], found["billing_monthly"]
        assert orgs.columns["plan_tier"].vocabulary == {"gold": 1, "pro": 1}
        assert orgs.columns["industry"].distinct == 1
        assert orgs.warnings == {"unknown_plan_tier": 1}
        assert (billing.rows, billing.quarantined) == (2, {"invalid_date": 1})

    def test_it_is_plain_data_and_words_for_people(self, found: dict[str, SourceProfile]) -> None:
        assert json.loads(json.dumps(plain(found)))["usage_events"]["dates"]["gaps"] == [
            {"first": "2025-06-11", "last": "2025-06-12", "length": 2}
        ]
        rows = {row[0]: row for row in describe(found["usage_events"])}
        assert rows["value"][2:] == ("1", "2", "5 to 7.5 (mean 6.25)")
        assert rows["service (as written)"][4] == "compute 2, GenAI 1, moon 1"
        assert "date: 2025-06-10 to 2025-06-13, 2 days with rows, 2 without (2025-06-11 to 2025-06-12)" in (
            summary(found["usage_events"])
        )


@pytest.mark.spark
def test_an_empty_lake_and_one_source(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    pipeline = make_pipeline(tmp_path / "landing", tmp_path / "lake")
    found = profile(LakeReader(pipeline.lake.files), pipeline.config, ["users"])
    assert list(found) == ["users"]
    assert (found["users"].rows, found["users"].columns["user_id"].nulls) == (0, 0)
    assert summary(found["users"]) == ["0 rows"]
