"""The kinds of hostile usage events, as data: what is changed on a good event, and what must become of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud_analytics.generate.truth import SILVER


class Raw(str):
    """JSON text that goes into the line as it stands."""


class Drop:
    """The field is left out."""


DROP = Drop()
ABSENT: Sequence[object] = (None, "", "   ", DROP)  # the ways a key can be missing
Changes = Mapping[str, object]

NOT_FINITE = (Raw("NaN"), "NaN", Raw("Infinity"), Raw("-Infinity"), Raw("true"))
TOO_LARGE = (Raw("1e12"), "1000000000000", Raw("1e400"), Raw("-1e15"), Raw("999999999999.9999999"))
FAR_FUTURE = "2999-01-01T00:00:00Z"


@dataclass(frozen=True)
class FieldCase:
    """One way to change the fields of a good event; `{date}` in a timestamp is a date with ordinary events."""

    kind: str
    outcome: str
    changes: Changes


def _each(kind: str, outcome: str, field: str, values: Sequence[object]) -> list[FieldCase]:
    return [FieldCase(kind, outcome, {field: value}) for value in values]


def _many(kind: str, outcome: str, *changes: Changes) -> list[FieldCase]:
    return [FieldCase(kind, outcome, change) for change in changes]


ACCEPTED = [
    *_each("number_as_text", SILVER, "value", ["12.5", "120"]),
    *_each("number_as_text", SILVER, "cost_usd_increment", ["0.25"]),
    *_many("number_as_text", SILVER, {"carbon_kg": "0.0024"}, {"genai_tokens": "250"}),
    *_each("number_spelling", SILVER, "value", [Raw("1.2e2"), Raw("120"), Raw("120.123456789")]),
    *_each(
        "timestamp_with_offset",
        SILVER,
        "timestamp",
        ["{date}T10:15:30.123+05:30", "{date}T10:15:30-0300", "{date}T23:30:00-03:00", "{date} 10:15:00Z"],
    ),
    *_each("timestamp_without_zone", SILVER, "timestamp", ["{date}T10:15:30", "{date} 10:15:30", "{date}T10:15"]),
    *_each("timestamp_fraction", SILVER, "timestamp", ["{date}T10:15:30.5Z", "{date}T10:15:30.123456Z"]),
    *_many("schema_version_as_text", SILVER, {"schema_version": "2"}, {"schema_version": "1", "carbon_kg": DROP}),
    *_many("v1_with_carbon", SILVER, {"schema_version": 1, "carbon_kg": 0.5, "genai_tokens": 7}),
    *_each("service_spelling", SILVER, "service", [" Compute ", "GENAI", "Storage"]),
    *_each("region_spelling", SILVER, "region", [" US-East ", "us-east-1"]),
    *_each("unknown_region", SILVER, "region", ["mars-1", "", None, DROP]),
    *_each("orphan_org", SILVER, "org_id", ["org_dirt_nowhere"]),
    *_each("orphan_resource", SILVER, "resource_id", ["res_dirt_nowhere"]),
    *_many(
        "extra_field",
        SILVER,
        {"trace": {"hops": [1, {"deep": None}]}},
        {"note": 'comma, "quote", \\ and {brace}'},
        {"note": Raw('"separators \u2028 \u2029 \x85 end"')},  # line ends for some readers, not for JSON Lines
        {"user_id": "user_dirt_nobody"},
    ),
    *_many("long_line", SILVER, {"note": "x" * 65_536}),
    *_many("missing_value", SILVER, {"value": None}, {"value": None, "unit": None}),
    *_each("rounding_noise_cost", SILVER, "cost_usd_increment", [-0.01, -0.0099, "-0.005", Raw("-0.0100004")]),
    *_each("rounding_noise_value", SILVER, "value", [Raw("-0.0000001")]),
    *_each("largest_value", SILVER, "value", [Raw("999999999999.499999")]),
    *_many("carbon_or_tokens_no_number", SILVER, {"carbon_kg": "n/a"}, {"genai_tokens": "many"}),
]
"""Odd, and still good events."""

REJECTED = [
    *_each("timestamp_date_only", "invalid_timestamp", "timestamp", ["{date}"]),
    *_each("timestamp_missing", "invalid_timestamp", "timestamp", [None, "", DROP]),
    *_each(
        "timestamp_nonsense", "invalid_timestamp", "timestamp", ["yesterday", "03/07/2025 10:00", Raw("1752500000")]
    ),
    *_each(
        "timestamp_unreal",
        "invalid_timestamp",
        "timestamp",
        ["2025-02-30T10:00:00Z", "2025-13-01T10:00:00Z", "{date}T25:00:00Z", "{date}T10:61:00Z"],
    ),
    *_each(
        "timestamp_incomplete",
        "invalid_timestamp",
        "timestamp",
        ["T10:15:00Z", "10:15:00", "{date}T10Z", "{date}T10:15:00+05", "{date}T10:15:00 CET"],
    ),
    *_each(
        "timestamp_before_2000",
        "invalid_timestamp",
        "timestamp",
        ["1999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    ),
    *_each("far_future", "future_timestamp", "timestamp", [FAR_FUTURE, "9998-06-30T12:00:00Z"]),
    *_each("missing_event_id", "missing_key", "event_id", ABSENT),
    *_each("missing_org_id", "missing_key", "org_id", ABSENT),
    *_each("missing_resource_id", "missing_key", "resource_id", ABSENT),
    *_each(
        "unknown_schema_version",
        "unsupported_schema_version",
        "schema_version",
        [3, "3", 0, Raw("2.0"), 1.5, "v2", Raw("true"), None, DROP],
    ),
    *_each("unknown_service", "unknown_service", "service", ["quantum", *ABSENT]),
    *_each("unknown_metric", "unknown_metric", "metric", ["gpu_hours", *ABSENT]),
    *_each("missing_cost", "invalid_cost", "cost_usd_increment", [None, "", DROP]),
    *_each("cost_no_number", "invalid_cost", "cost_usd_increment", ["free", *NOT_FINITE]),
    *_each("huge_cost", "invalid_cost", "cost_usd_increment", TOO_LARGE),
    *_each("negative_cost", "negative_cost", "cost_usd_increment", [-5.25, "-5.25", Raw("-0.010001")]),
    *_each("value_no_number", "invalid_value", "value", ["lots", *NOT_FINITE]),
    *_each("huge_value", "invalid_value", "value", TOO_LARGE),
    *_each("negative_value", "negative_quantity", "value", [-5, "-5", -0.5]),
    *_many("negative_carbon_or_tokens", "negative_quantity", {"carbon_kg": -0.1}, {"genai_tokens": -3}),
    *_many(
        "unit_mismatch",
        "unit_mismatch",
        {"unit": "seconds"},
        {"metric": "requests", "unit": "hours"},
        {"metric": "storage_gb_hours", "unit": "count"},
    ),
    *_many("several_errors", "missing_key", {"org_id": None, "service": "quantum", "cost_usd_increment": None}),
    *_many("several_errors", "invalid_timestamp", {"timestamp": "yesterday", "org_id": None}),
    *_many("several_errors", "unsupported_schema_version", {"schema_version": 9, "metric": "x", "value": "lots"}),
    *_many("several_errors", "negative_cost", {"cost_usd_increment": -5, "value": -5}),
    *_many("several_errors", "unit_mismatch", {"unit": "seconds", "timestamp": FAR_FUTURE}),
]
"""Events that one rule (or several: the first counts) rejects."""

REPEATED_KEYS: Sequence[tuple[str, object, object, str]] = (
    ("value", "lots", 120.0, SILVER),
    ("event_id", None, ..., SILVER),
    ("service", ..., "quantum", "unknown_service"),
    ("cost_usd_increment", ..., None, "invalid_cost"),
)
"""Key, first value, last value (`...`: the good one), outcome: the last value counts."""
