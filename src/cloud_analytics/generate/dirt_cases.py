"""The kinds of hostile input: each changes a good event or row, and has an expected outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud_analytics.generate.truth import SILVER


class Raw(str):
    """JSON text that is put into the line unchanged."""


class Drop:
    """Marks a field that is left out."""


DROP = Drop()
ABSENT: Sequence[object] = (None, "", "   ", DROP)  # the ways in which a key can be missing
Changes = Mapping[str, object]

NOT_FINITE = (Raw("NaN"), "NaN", Raw("Infinity"), Raw("-Infinity"), Raw("true"))
TOO_LARGE = (Raw("1e12"), "1000000000000", Raw("1e400"), Raw("-1e15"), Raw("999999999999.9999999"))
FAR_FUTURE = "2999-01-01T00:00:00Z"


@dataclass(frozen=True)
class Case:
    """A change of a good event or row. `{date}` in an event's timestamp is replaced by a date of ordinary events."""

    kind: str
    outcome: str
    changes: Changes


def _cases(kind: str, outcome: str, *changes: Changes, **values: Sequence[object]) -> list[Case]:
    """A case for each of the changes, then one for each value of each named field."""
    single: list[Changes] = [{name: value} for name, several in values.items() for value in several]
    return [Case(kind, outcome, change) for change in (*changes, *single)]


# fmt: off
ACCEPTED = [
    *_cases("number_as_text", SILVER, value=["12.5", "120"], cost_usd_increment=["0.25"]),
    *_cases("number_as_text", SILVER, carbon_kg=["0.0024"], genai_tokens=["250"]),
    *_cases("number_spelling", SILVER, value=[Raw("1.2e2"), Raw("120"), Raw("120.123456789")]),
    *_cases("timestamp_with_offset", SILVER,
        timestamp=["{date}T10:15:30.123+05:30", "{date}T10:15:30-0300", "{date}T23:30:00-03:00", "{date} 10:15:00Z"]),
    *_cases("timestamp_without_zone", SILVER, timestamp=["{date}T10:15:30", "{date} 10:15:30", "{date}T10:15"]),
    *_cases("timestamp_fraction", SILVER, timestamp=["{date}T10:15:30.5Z", "{date}T10:15:30.123456Z"]),
    *_cases("schema_version_as_text", SILVER, {"schema_version": "2"}, {"schema_version": "1", "carbon_kg": DROP}),
    *_cases("v1_with_carbon", SILVER, {"schema_version": 1, "carbon_kg": 0.5, "genai_tokens": 7}),
    *_cases("service_spelling", SILVER, service=[" Compute ", "GENAI", "Storage"]),
    *_cases("region_spelling", SILVER, region=[" US-East ", "us-east-1"]),
    *_cases("unknown_region", SILVER, region=["mars-1", "", None, DROP]),
    *_cases("orphan_org", SILVER, org_id=["org_dirt_nowhere"]),
    *_cases("orphan_resource", SILVER, resource_id=["res_dirt_nowhere"]),
    *_cases(
        "extra_field",
        SILVER,
        {"trace": {"hops": [1, {"deep": None}]}},
        {"note": 'comma, "quote", \\ and {brace}'},
        {"note": Raw('"separators \u2028 \u2029 \x85 end"')},  # line ends for some readers, not in JSON Lines
        {"user_id": "user_dirt_nobody"},
    ),
    *_cases("long_line", SILVER, {"note": "x" * 65_536}),
    *_cases("missing_value", SILVER, {"value": None}, {"value": None, "unit": None}),
    *_cases("rounding_noise_cost", SILVER, cost_usd_increment=[-0.01, -0.0099, "-0.005", Raw("-0.0100004")]),
    *_cases("rounding_noise_value", SILVER, value=[Raw("-0.0000001")]),
    *_cases("largest_value", SILVER, value=[Raw("100000.0000004")]),  # of every metric, once rounded
    *_cases("carbon_or_tokens_no_number", SILVER, carbon_kg=["n/a"], genai_tokens=["many"]),
]
"""Events that are odd but valid."""

REJECTED = [
    *_cases("timestamp_date_only", "invalid_timestamp", timestamp=["{date}"]),
    *_cases("timestamp_missing", "invalid_timestamp", timestamp=[None, "", DROP]),
    *_cases("timestamp_nonsense", "invalid_timestamp", timestamp=["yesterday", "03/07/2025 10:00", Raw("1752500000")]),
    *_cases("timestamp_unreal", "invalid_timestamp",
        timestamp=["2025-02-30T10:00:00Z", "2025-13-01T10:00:00Z", "{date}T25:00:00Z", "{date}T10:61:00Z"]),
    *_cases("timestamp_incomplete", "invalid_timestamp",
        timestamp=["T10:15:00Z", "10:15:00", "{date}T10Z", "{date}T10:15:00+05", "{date}T10:15:00 CET"]),
    *_cases("timestamp_before_2000", "invalid_timestamp",
        timestamp=["1999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]),
    *_cases("far_future", "future_timestamp", timestamp=[FAR_FUTURE, "9998-06-30T12:00:00Z"]),
    *_cases("missing_event_id", "missing_key", event_id=ABSENT),
    *_cases("missing_org_id", "missing_key", org_id=ABSENT),
    *_cases("missing_resource_id", "missing_key", resource_id=ABSENT),
    *_cases("unknown_schema_version", "unsupported_schema_version",
        schema_version=[3, "3", 0, Raw("2.0"), 1.5, "v2", Raw("true"), None, DROP]),
    *_cases("unknown_service", "unknown_service", service=["quantum", *ABSENT]),
    *_cases("unknown_metric", "unknown_metric", metric=["gpu_hours", *ABSENT]),
    *_cases("missing_cost", "invalid_cost", cost_usd_increment=[None, "", DROP]),
    *_cases("cost_no_number", "invalid_cost", cost_usd_increment=["free", *NOT_FINITE]),
    *_cases("huge_cost", "invalid_cost", cost_usd_increment=TOO_LARGE),
    *_cases("negative_cost", "negative_cost", cost_usd_increment=[-5.25, "-5.25", Raw("-0.010001")]),
    *_cases("value_no_number", "invalid_value", value=["lots", *NOT_FINITE]),
    *_cases("huge_value", "invalid_value", value=TOO_LARGE),
    *_cases("implausible_value", "implausible_value", value=[Raw("100000000.1e1"), "999999999999.499999"]),
    *_cases("negative_value", "negative_quantity", value=[-5, "-5", -0.5]),
    *_cases("negative_carbon_or_tokens", "negative_quantity", carbon_kg=[-0.1], genai_tokens=[-3]),
    *_cases("unit_mismatch", "unit_mismatch", {"unit": "seconds"}, {"metric": "requests", "unit": "hours"},
        {"metric": "storage_gb_hours", "unit": "count"}),
    *_cases("several_errors", "missing_key", {"org_id": None, "service": "quantum", "cost_usd_increment": None}),
    *_cases("several_errors", "invalid_timestamp", {"timestamp": "yesterday", "org_id": None}),
    *_cases("several_errors", "unsupported_schema_version", {"schema_version": 9, "metric": "x", "value": "lots"}),
    *_cases("several_errors", "negative_cost", {"cost_usd_increment": -5, "value": -5}),
    *_cases("several_errors", "unit_mismatch", {"unit": "seconds", "timestamp": FAR_FUTURE}),
]
"""Events that rules reject. If several rules reject an event, its outcome is the first of them."""

REPEATED_KEYS: Sequence[tuple[str, object, object, str]] = (
    ("value", "lots", 120.0, SILVER),
    ("event_id", None, ..., SILVER),
    ("service", ..., "quantum", "unknown_service"),
    ("cost_usd_increment", ..., None, "invalid_cost"),
)
"""(key, first value, last value, outcome); `...` stands for the good value. The last value counts."""

# fmt: on

# Masters

QUOTED = 'commas, "quotes"\nand a second line'
RIVAL = ("copy", "copy_that_is_invalid")
"""Kinds whose rows have the key of the master's first row; rows of other kinds get a new key."""
BLANK = ("", "  ")
NO_DATES = ("2025-02-30", "soon", "2025-13-01", "03/07/2025")
NO_OR_BLANK_DATES = (*NO_DATES, "")


@dataclass(frozen=True)
class Layout:
    """How the files of a master are written. The layout does not change what the rows mean."""

    bom: bool = False
    crlf: bool = False
    reverse_columns: bool = False
    extra_column: str | None = None  # the name of an additional column, which has quoted text in every tenth row
    parts: int = 0  # 0: one file `<source>.csv`; n: n files `<source>/part_*.csv`; even parts have reversed columns
    blank_lines: int = 0  # number of blank lines in the middle; they are not records
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


def _copies(column: str, value: str, spoilt: str, outcome: str = "invalid_date") -> list[Case]:
    """Two more rows with one key: a valid row, so that one of two is a duplicate, and an invalid row, which is none."""
    return [
        Case("copy", "duplicate_key", {column: value}),
        Case("copy_that_is_invalid", outcome, {spoilt: "x"}),
    ]


# fmt: off
MASTER_CASES: dict[str, list[Case]] = {
    "customers_orgs": [
        *_cases("blank_key", "missing_key", org_id=BLANK),
        *_cases("no_date", "invalid_date", signup_date=NO_OR_BLANK_DATES),
        *_cases("unknown_word", SILVER, plan_tier=["platinum"], hq_region=["moon"]),
        *_cases("word_spelling", SILVER, plan_tier=[" PRO "]),
        *_cases("quoted_text", SILVER, org_name=[QUOTED, 'Acme, "Inc."']),
        *_cases("attribute_unusable", SILVER, nps_score=["250", "great"]),
        *_copies("org_name", "Renamed, later", "signup_date"),
    ],
    "users": [
        *_cases("blank_key", "missing_key", user_id=BLANK, org_id=BLANK),
        *_cases("no_date", "invalid_date", created_at=NO_OR_BLANK_DATES),
        *_cases("unknown_word", SILVER, role=["wizard"]),
        *_cases("word_spelling", SILVER, role=[" ADMIN "]),
        *_cases("attribute_unusable", SILVER, last_login=["never", "2025-02-30"]),
        *_copies("email", "moved@example.com", "created_at"),
    ],
    "resources": [
        *_cases("blank_key", "missing_key", resource_id=BLANK, org_id=BLANK),
        *_cases("no_date", "invalid_date", created_at=NO_OR_BLANK_DATES),
        *_cases("unknown_word", SILVER, service=["quantum"], state=["melted"]),
        *_cases("quoted_text", SILVER, tags_json=['["a,b",\n "c"]']),
        *_copies("state", "terminated", "created_at"),
    ],
    "billing_monthly": [
        *_cases("blank_key", "missing_key", invoice_id=BLANK, org_id=BLANK),
        *_cases("no_date", "invalid_date", month=NO_OR_BLANK_DATES),
        *_cases("month_only", SILVER, month=["2025-07"]),
        *_cases("no_number", "invalid_number", subtotal=["", "abc", "1,234.56"], credits=["some"], taxes=["x"]),
        *_cases("no_rate", "invalid_rate", exchange_rate_to_usd=["", "0", "-1.1", "par"]),
        *_cases("no_currency", "invalid_rate", currency=["", " "]),
        *_cases("word_spelling", SILVER, currency=["usd"]),
        *_cases("unknown_word", SILVER, currency=["GBP"]),
        *_cases("blank_amount", SILVER, credits=[""], taxes=[""]),
        *_copies("subtotal", "1000.01", "subtotal", "invalid_number"),
    ],
    "support_tickets": [
        *_cases("blank_key", "missing_key", ticket_id=BLANK, org_id=BLANK),
        *_cases("no_date", "invalid_date", created_at=NO_OR_BLANK_DATES),
        *_cases("no_date", "invalid_date", resolved_at=NO_DATES),
        Case("resolved_too_early", "resolved_before_created", {"created_at": "2025-07-10",
            "resolved_at": "2025-07-09"}),
        Case("resolved_same_day", SILVER, {"created_at": "2025-07-10", "resolved_at": "2025-07-10"}),
        *_cases("attribute_unusable", SILVER, csat=["99", "great", "-1"]),
        *_cases("unknown_word", SILVER, category=["weather"], severity=["urgent"]),
        *_cases("word_spelling", SILVER, severity=[" HIGH "]),
        *_copies("sla_breached", "True", "created_at"),
    ],
    "nps_surveys": [
        *_cases("blank_key", "missing_key", org_id=BLANK, survey_date=BLANK),
        *_cases("no_date", "invalid_date", survey_date=NO_DATES),
        *_cases("quoted_text", SILVER, comment=[QUOTED]),
        *_cases("attribute_unusable", SILVER, nps_score=["150", "good"]),
        Case("copy", "duplicate_key", {"comment": "Second thoughts"}),
    ],
    "marketing_touches": [
        *_cases("blank_key", "missing_key", touch_id=BLANK, org_id=BLANK),
        *_cases("no_date", "invalid_date", timestamp=NO_OR_BLANK_DATES),
        *_cases("unknown_word", SILVER, channel=["pigeon"]),
        *_cases("word_spelling", SILVER, channel=[" EMAIL"]),
        *_cases("quoted_text", SILVER, campaign=["spring, again"]),
        *_copies("converted", "True", "timestamp"),
    ],
}
# fmt: on
