"""The kinds of hostile input, as data: what is changed on a good event or row, and what must become of it."""

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
class Case:
    """One way to change a good event or row; `{date}` in an event's timestamp is a date with ordinary events."""

    kind: str
    outcome: str
    changes: Changes


def _each(kind: str, outcome: str, name: str, values: Sequence[object]) -> list[Case]:
    return [Case(kind, outcome, {name: value}) for value in values]


def _many(kind: str, outcome: str, *changes: Changes) -> list[Case]:
    return [Case(kind, outcome, change) for change in changes]


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
    *_each("largest_value", SILVER, "value", [Raw("100000.0000004")]),  # of every metric, once rounded
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
    *_each("implausible_value", "implausible_value", "value", [Raw("100000000.1e1"), "999999999999.499999"]),
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

# Masters

QUOTED = 'commas, "quotes"\nand a second line'
RIVAL = ("copy", "copy_that_is_invalid")
"""Kinds whose rows keep the key of the master's first row; all others get a new one."""
NO_DATES = ("2025-02-30", "soon", "2025-13-01", "03/07/2025")


@dataclass(frozen=True)
class Layout:
    """How a master's files are written; every layout means the same rows."""

    bom: bool = False
    crlf: bool = False
    reverse_columns: bool = False
    extra_column: str | None = None
    """An additional column, with quoted text in every tenth row."""
    parts: int = 0
    """0: one `<source>.csv`; else that many `<source>/part_*.csv`, the even ones with reversed columns."""
    blank_lines: int = 0
    """Blank lines in the middle: no records."""
    last_newline: bool = True


LAYOUTS: dict[str, Layout] = {
    "customers_orgs": Layout(bom=True, extra_column="account_notes"),
    "users": Layout(parts=2),
    "resources": Layout(crlf=True),
    "billing_monthly": Layout(reverse_columns=True),
    "support_tickets": Layout(blank_lines=3, last_newline=False),
    "nps_surveys": Layout(bom=True, crlf=True),
    "marketing_touches": Layout(parts=3, extra_column="utm, source"),
}


def _blank_keys(*columns: str) -> list[Case]:
    return [case for column in columns for case in _each("blank_key", "missing_key", column, ["", "  "])]


def _dates(column: str, *, may_be_blank: bool = False) -> list[Case]:
    return _each("no_date", "invalid_date", column, NO_DATES if may_be_blank else (*NO_DATES, ""))


def _copies(column: str, value: str, spoilt: str, outcome: str = "invalid_date") -> list[Case]:
    """A second row of a key (one of the two is a duplicate), and one that is invalid (then there is no duplicate)."""
    return [
        Case("copy", "duplicate_key", {column: value}),
        Case("copy_that_is_invalid", outcome, {spoilt: "x"}),
    ]


MASTER_CASES: dict[str, list[Case]] = {
    "customers_orgs": [
        *_blank_keys("org_id"),
        *_dates("signup_date"),
        *_each("unknown_word", SILVER, "plan_tier", ["platinum"]),
        *_each("unknown_word", SILVER, "hq_region", ["moon"]),
        *_each("word_spelling", SILVER, "plan_tier", [" PRO "]),
        *_each("quoted_text", SILVER, "org_name", [QUOTED, 'Acme, "Inc."']),
        *_each("attribute_unusable", SILVER, "nps_score", ["250", "great"]),
        *_copies("org_name", "Renamed, later", "signup_date"),
    ],
    "users": [
        *_blank_keys("user_id", "org_id"),
        *_dates("created_at"),
        *_each("unknown_word", SILVER, "role", ["wizard"]),
        *_each("word_spelling", SILVER, "role", [" ADMIN "]),
        *_each("attribute_unusable", SILVER, "last_login", ["never", "2025-02-30"]),
        *_copies("email", "moved@example.com", "created_at"),
    ],
    "resources": [
        *_blank_keys("resource_id", "org_id"),
        *_dates("created_at"),
        *_each("unknown_word", SILVER, "service", ["quantum"]),
        *_each("unknown_word", SILVER, "state", ["melted"]),
        *_each("quoted_text", SILVER, "tags_json", ['["a,b",\n "c"]']),
        *_copies("state", "terminated", "created_at"),
    ],
    "billing_monthly": [
        *_blank_keys("invoice_id", "org_id"),
        *_dates("month"),
        *_each("month_only", SILVER, "month", ["2025-07"]),
        *_each("no_number", "invalid_number", "subtotal", ["", "abc", "1,234.56"]),
        *_each("no_number", "invalid_number", "credits", ["some"]),
        *_each("no_number", "invalid_number", "taxes", ["x"]),
        *_each("no_rate", "invalid_rate", "exchange_rate_to_usd", ["", "0", "-1.1", "par"]),
        *_each("no_currency", "invalid_rate", "currency", ["", " "]),
        *_each("word_spelling", SILVER, "currency", ["usd"]),
        *_each("unknown_word", SILVER, "currency", ["GBP"]),
        *_each("blank_amount", SILVER, "credits", [""]),
        *_each("blank_amount", SILVER, "taxes", [""]),
        *_copies("subtotal", "1000.01", "subtotal", "invalid_number"),
    ],
    "support_tickets": [
        *_blank_keys("ticket_id", "org_id"),
        *_dates("created_at"),
        *_dates("resolved_at", may_be_blank=True),
        Case(
            "resolved_too_early",
            "resolved_before_created",
            {"created_at": "2025-07-10", "resolved_at": "2025-07-09"},
        ),
        Case("resolved_same_day", SILVER, {"created_at": "2025-07-10", "resolved_at": "2025-07-10"}),
        *_each("attribute_unusable", SILVER, "csat", ["99", "great", "-1"]),
        *_each("unknown_word", SILVER, "category", ["weather"]),
        *_each("unknown_word", SILVER, "severity", ["urgent"]),
        *_each("word_spelling", SILVER, "severity", [" HIGH "]),
        *_copies("sla_breached", "True", "created_at"),
    ],
    "nps_surveys": [
        *_blank_keys("org_id", "survey_date"),
        *_each("no_date", "invalid_date", "survey_date", NO_DATES),
        *_each("quoted_text", SILVER, "comment", [QUOTED]),
        *_each("attribute_unusable", SILVER, "nps_score", ["150", "good"]),
        Case("copy", "duplicate_key", {"comment": "Second thoughts"}),
    ],
    "marketing_touches": [
        *_blank_keys("touch_id", "org_id"),
        *_dates("timestamp"),
        *_each("unknown_word", SILVER, "channel", ["pigeon"]),
        *_each("word_spelling", SILVER, "channel", [" EMAIL"]),
        *_each("quoted_text", SILVER, "campaign", ["spring, again"]),
        *_copies("converted", "True", "timestamp"),
    ],
}
