"""Hostile masters: rows with the faults that the contract names, and layouts that are legal and unusual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud_analytics.generate.catalog import COLUMNS, MASTERS
from cloud_analytics.generate.masters import Row
from cloud_analytics.generate.truth import SILVER

KEYS: dict[str, tuple[str, ...]] = {source: (columns[0],) for source, columns in COLUMNS.items()} | {
    "nps_surveys": ("org_id", "survey_date")
}
KEY_PREFIXES = dict(zip(MASTERS, ("org", "user", "res", "inv", "tkt", "org", "mkt")))

QUOTED = 'commas, "quotes"\nand a second line'
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
NOT_READ = "users/_half.csv"
"""A half-written upload beside the parts of `users`."""


@dataclass(frozen=True)
class RowCase:
    """One way to change a good row; `same_key` keeps the key of the master's first row instead of a new one."""

    kind: str
    outcome: str
    changes: Mapping[str, str]
    same_key: bool = False


def _each(kind: str, outcome: str, column: str, values: Sequence[str]) -> list[RowCase]:
    return [RowCase(kind, outcome, {column: value}) for value in values]


def _blank_keys(*columns: str) -> list[RowCase]:
    return [case for column in columns for case in _each("blank_key", "missing_key", column, ["", "  "])]


def _dates(column: str, *, may_be_blank: bool = False) -> list[RowCase]:
    return _each("no_date", "invalid_date", column, NO_DATES if may_be_blank else (*NO_DATES, ""))


def _copies(column: str, value: str, spoilt: str, outcome: str = "invalid_date") -> list[RowCase]:
    """A second row of a key (one of the two is a duplicate), and one that is invalid (then there is no duplicate)."""
    return [
        RowCase("copy", "duplicate_key", {column: value}, same_key=True),
        RowCase("copy_that_is_invalid", outcome, {spoilt: "x"}, same_key=True),
    ]


CASES: dict[str, list[RowCase]] = {
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
        RowCase(
            "resolved_too_early",
            "resolved_before_created",
            {"created_at": "2025-07-10", "resolved_at": "2025-07-09"},
        ),
        RowCase("resolved_same_day", SILVER, {"created_at": "2025-07-10", "resolved_at": "2025-07-10"}),
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
        RowCase("copy", "duplicate_key", {"comment": "Second thoughts"}, same_key=True),
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


def soiled_rows(source: str, first_row: Row, times: int) -> list[tuple[RowCase, Row]]:
    """Every case of a master `times` times, each made from the master's first row.

    The new keys hold a second underscore, so they can never meet an ordinary one.
    """
    columns = COLUMNS[source]
    made: list[tuple[RowCase, Row]] = []
    for case in CASES[source] * times:
        row = dict(zip(columns, first_row))
        if source == "support_tickets":
            row["resolved_at"] = ""  # or another case's created_at would also lie after it
        if not case.same_key:
            row[KEYS[source][0]] = f"{KEY_PREFIXES[source]}_dirt_{len(made)}"
        row.update(case.changes)
        made.append((case, tuple(row[column] for column in columns)))
    return made
