"""The seven CSV masters (contract 3 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any

from .landing import MASTER_COLUMNS, parse_json
from .params import LONGEST_KEY, Params
from .values import RATE, blank_to_none, parse_bool, parse_date, parse_decimal, parse_month, quantize

Row = dict[str, Any]

MOST_TAGS = 200
IMPLAUSIBLE_CREATION = "implausible_created_at"
ORDER = ["missing_key", "invalid_date", "invalid_number", "invalid_rate", "resolved_before_created"]

NATURAL_KEYS: dict[str, tuple[str, ...]] = {
    "customers_orgs": ("org_id",),
    "users": ("user_id",),
    "resources": ("resource_id",),
    "billing_monthly": ("invoice_id",),
    "support_tickets": ("ticket_id",),
    "nps_surveys": ("org_id", "survey_date"),
    "marketing_touches": ("touch_id",),
}


class Reader:
    """Reads the columns of one record, and gathers what is wrong with them."""

    def __init__(self, fields: dict[str, str], ingest_ts: datetime, params: Params) -> None:
        self.fields = {name: blank_to_none(text) for name, text in fields.items()}
        self.ingest_ts = ingest_ts
        self.params = params
        self.row: Row = {}
        self.errors: set[str] = set()
        self.warnings: set[str] = set()

    def key(self, column: str) -> None:
        self.text(column)
        if self.row[column] is None or len(self.row[column].encode("utf-8", "replace")) > LONGEST_KEY:
            self.errors.add("missing_key")

    def text(self, column: str) -> None:
        self.row[column] = self.fields[column]

    def word(self, column: str) -> None:
        text = self.fields[column]
        if text is not None:
            text = text.upper() if column == "currency" else text.lower()
            if text not in self.params.words(column):
                self.warnings.add(f"unknown_{column}")
        self.row[column] = text

    def needed_date(self, column: str, parse: Callable[[str | None], date | None] = parse_date) -> None:
        self.row[column] = parse(self.fields[column])
        if self.row[column] is None:
            self.errors.add("invalid_date")

    def attribute(self, column: str, parse: Callable[[str], Any]) -> None:
        """Null where blank; null with a warning where it cannot be parsed."""
        text = self.fields[column]
        self.row[column] = parse(text) if text is not None else None
        if text is not None and self.row[column] is None:
            self.warnings.add(f"invalid_{column}")

    def boolean(self, column: str) -> None:
        self.attribute(column, parse_bool)

    def score(self, column: str, low: int, high: int) -> None:
        def parse(text: str) -> Decimal | None:
            number = parse_decimal(text)
            return number if number is not None and low <= number <= high else None

        self.attribute(column, parse)

    def amount(self, column: str, blank: Decimal | None) -> None:
        text = self.fields[column]
        self.row[column] = blank if text is None else parse_decimal(text)
        if self.row[column] is None:
            self.errors.add("invalid_number")


def customers_orgs(reader: Reader) -> None:
    reader.key("org_id")
    for column in ("org_name", "industry", "sales_rep"):
        reader.text(column)
    for column in ("hq_region", "plan_tier", "lifecycle_stage", "marketing_source"):
        reader.word(column)
    reader.boolean("is_enterprise")
    reader.needed_date("signup_date")
    reader.score("nps_score", -100, 100)
    flag, plan = reader.row["is_enterprise"], reader.row["plan_tier"]
    if flag is not None and plan is not None and flag != (plan == "enterprise"):
        reader.warnings.add("enterprise_plan_mismatch")


def users(reader: Reader) -> None:
    reader.key("user_id")
    reader.key("org_id")
    reader.text("email")
    reader.word("role")
    reader.boolean("active")
    reader.needed_date("created_at")
    reader.attribute("last_login", parse_date)
    created, login = reader.row["created_at"], reader.row["last_login"]
    if created is not None and login is not None and login < created:
        reader.warnings.add("last_login_before_created")


def resources(reader: Reader) -> None:
    reader.key("resource_id")
    reader.key("org_id")
    for column in ("service", "region", "state"):
        reader.word(column)
    reader.needed_date("created_at")

    def parse_tags(text: str) -> str | None:
        try:
            parse_json(text)
        except ValueError:
            return None
        return text

    reader.attribute("tags_json", parse_tags)
    tags = parse_json(reader.row["tags_json"]) if reader.row["tags_json"] is not None else None
    if isinstance(tags, (list, dict)) and len(tags) > MOST_TAGS:
        reader.row["tags_json"] = None
        reader.warnings.add("too_many_tags")


def billing_monthly(reader: Reader) -> None:
    reader.key("invoice_id")
    reader.key("org_id")
    reader.needed_date("month", parse_month)
    zero = quantize(Decimal(0), 6)
    reader.amount("subtotal", blank=None)
    reader.amount("credits", blank=zero)
    reader.amount("taxes", blank=zero)
    reader.word("currency")
    rate = parse_decimal(reader.fields["exchange_rate_to_usd"] or "", RATE)
    reader.row["exchange_rate_to_usd"] = rate
    currency, subtotal = reader.row["currency"], reader.row["subtotal"]
    amounts = [reader.row[column] for column in ("subtotal", "credits", "taxes")]
    if rate is not None and None not in amounts and max(map(abs, amounts)) * abs(rate) >= 10**16:
        reader.errors.add("invalid_number")
    if currency is None or rate is None or rate <= 0:
        reader.errors.add("invalid_rate")
    if currency == "USD" and rate is not None and rate != 1:
        reader.warnings.add("usd_rate_not_one")
    if subtotal is not None and subtotal < 0:
        reader.warnings.add("negative_subtotal")
    credits = reader.row["credits"]
    if credits is not None and credits < 0:
        reader.warnings.add("negative_credits")


def support_tickets(reader: Reader) -> None:
    reader.key("ticket_id")
    reader.key("org_id")
    reader.word("category")
    reader.word("severity")
    reader.needed_date("created_at")
    reader.row["resolved_at"] = None
    if reader.fields["resolved_at"] is not None:
        reader.needed_date("resolved_at")
    reader.score("csat", 1, 5)
    reader.boolean("sla_breached")
    created, resolved = reader.row["created_at"], reader.row["resolved_at"]
    if created is not None and resolved is not None and resolved < created:
        reader.errors.add("resolved_before_created")
    if created is not None:
        begins = datetime.combine(created, time(), timezone.utc)
        if created < date(2000, 1, 1) or begins > reader.ingest_ts + reader.params.future_tolerance:
            reader.warnings.add(IMPLAUSIBLE_CREATION)


def nps_surveys(reader: Reader) -> None:
    reader.key("org_id")
    reader.key("survey_date")
    reader.needed_date("survey_date")
    reader.score("nps_score", -100, 100)
    reader.text("comment")


def marketing_touches(reader: Reader) -> None:
    reader.key("touch_id")
    reader.key("org_id")
    reader.text("campaign")
    reader.word("channel")
    reader.needed_date("timestamp")
    reader.boolean("clicked")
    reader.boolean("converted")


JUDGES: dict[str, Callable[[Reader], None]] = {
    "customers_orgs": customers_orgs,
    "users": users,
    "resources": resources,
    "billing_monthly": billing_monthly,
    "support_tickets": support_tickets,
    "nps_surveys": nps_surveys,
    "marketing_touches": marketing_touches,
}


def judge(
    source: str, fields: dict[str, str], source_file: str, ingest_ts: datetime, params: Params
) -> tuple[Row, list[str]]:
    """A record's Silver row and its errors, in their order."""
    reader = Reader(fields, ingest_ts, params)
    JUDGES[source](reader)
    row: Row = {column: reader.row[column] for column in MASTER_COLUMNS[source]}
    row["warnings"] = sorted(reader.warnings)
    row["source_file"] = source_file
    return row, [name for name in ORDER if name in reader.errors]


def key_of(source: str, row: Row) -> tuple[Any, ...]:
    """A row's natural key."""
    return tuple(row[column] for column in NATURAL_KEYS[source])
