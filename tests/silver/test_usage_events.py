"""One copy of each event survives, and unmatched keys read `unknown`."""

from __future__ import annotations

from pyspark.sql import SparkSession

from cloud_analytics.silver.usage_events import lines_of_copies, record_counts, split_copies, with_masters

_JUDGED = (
    "event_id string, source_file string, raw string, is_late boolean, ingest_ts string, batch_id string,"
    " errors array<string>"
)


def test_the_survivor_has_the_smallest_file_name_and_line(spark: SparkSession) -> None:
    rows = [
        ("a", "f2", "line 1", False, "t", "b", []),
        ("a", "f1", "line 9", False, "t", "b", []),
        ("a", "f1", " line 9 ", False, "t", "b", []),
        ("a", "f0", "line 0", False, "t", "b", ["negative_cost"]),  # a rejected copy does not count
        ("b", "f1", "line 5", False, "t", "b", []),
    ]
    judged = spark.createDataFrame(rows, _JUDGED)
    facts = record_counts(judged).first()
    assert facts is not None
    assert (facts["rejected"], facts["copies"]) == (1, 1)
    survivors, rejects = split_copies(judged, lines_of_copies(judged, judged))
    assert sorted((row.event_id, row.source_file) for row in survivors.collect()) == [("a", "f1"), ("b", "f1")]
    assert sorted((row.source_file, row.errors[0]) for row in rejects.collect()) == [
        ("f0", "negative_cost"),
        ("f1", "duplicate_event"),
        ("f2", "conflicting_duplicate"),
    ]


def test_unmatched_keys_read_unknown_and_matched_nulls_stay_null(spark: SparkSession) -> None:
    events = spark.createDataFrame(
        [("e1", "o1", "r1", None), ("e2", "o2", "r9", "u9"), ("e3", "o1", "r1", "u2")],
        "event_id string, org_id string, resource_id string, user_id string",
    )
    orgs = spark.createDataFrame(
        [("o1", "Org", None, "pro", "us-east")],
        "org_id string, org_name string, industry string, plan_tier string, hq_region string",
    )
    resources = spark.createDataFrame(
        [("r1", "compute", "running")], "resource_id string, service string, state string"
    )
    users = spark.createDataFrame(
        [("u1", "admin", True), ("u2", None, False)], "user_id string, role string, active boolean"
    )
    rows = {row.event_id: row for row in with_masters(events, orgs, resources, users).collect()}
    assert (rows["e1"].org_name, rows["e1"].industry, rows["e1"].org_matched) == ("Org", None, True)
    assert (rows["e1"].resource_type, rows["e1"].resource_state, rows["e1"].role) == ("compute", "running", None)
    assert (rows["e2"].org_name, rows["e2"].plan_tier, rows["e2"].org_matched) == ("unknown", "unknown", False)
    assert (rows["e2"].resource_type, rows["e2"].resource_matched, rows["e2"].role) == ("unknown", False, "unknown")
    assert (rows["e3"].role, rows["e3"].active) == (None, False)
