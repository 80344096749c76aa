"""bronze/<master> → judged rows: typed columns, `errors` (empty: the row is valid) and `warnings` (SPEC 5).

Each table is a function from the Bronze text columns to typed ones plus its own checks; `judge` adds what all share:
trimming, closed vocabularies, missing keys and the one survivor of a natural key. One record a row, none dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.landing.text import boolean, decimal, iso_date, iso_month, trimmed
from cloud_analytics.quality.events import messages

_RATE_SCALE = 10  # exact for subtotal × rate: DECIMAL(18,6) × DECIMAL(18,10) fits 38 digits


@dataclass
class Rules:
    """What one master adds: typed columns, checks that reject, conditions that warn (in order)."""

    typed: dict[str, Column] = field(default_factory=dict)
    rejects: dict[str, Column] = field(default_factory=dict)
    warnings: dict[str, Column] = field(default_factory=dict)


def _given(name: str) -> Column:
    return F.col(f"_{name}").isNotNull()


def _unusable(name: str, typed: Column) -> Column:
    return _given(name) & typed.isNull()


def _between(value: Column, low: int, high: int) -> Column:
    return F.when(value.between(low, high), value)


def customers_orgs() -> Rules:
    """Organisations. nps_score outside −100..100 is nulled; the enterprise flag should agree with the plan."""
    signup, nps = iso_date(F.col("_signup_date")), _between(decimal(F.col("_nps_score")), -100, 100)
    enterprise = boolean(F.col("_is_enterprise"))
    return Rules(
        {"signup_date": signup, "nps_score": nps, "is_enterprise": enterprise},
        {"invalid_date": signup.isNull()},
        {
            "invalid_nps_score": _unusable("nps_score", nps),
            "invalid_is_enterprise": _unusable("is_enterprise", enterprise),
            "enterprise_flag_contradicts_plan": enterprise != (F.lower("_plan_tier") == "enterprise"),
        },
    )


def users() -> Rules:
    """People of an organisation. last_login that is no date is nulled; before created_at it is a contradiction."""
    created, login, active = iso_date(F.col("_created_at")), iso_date(F.col("_last_login")), boolean(F.col("_active"))
    return Rules(
        {"created_at": created, "last_login": login, "active": active},
        {"invalid_date": created.isNull()},
        {
            "invalid_last_login": _unusable("last_login", login),
            "invalid_active": _unusable("active", active),
            "last_login_before_created": login < created,
        },
    )


def resources() -> Rules:
    """Cloud resources of an organisation."""
    created = iso_date(F.col("_created_at"))
    return Rules({"created_at": created}, {"invalid_date": created.isNull()})


def billing_monthly() -> Rules:
    """Invoices, in the currency of the invoice. Blank credits and taxes are 0; a rate must be a positive number."""
    month = iso_month(F.col("_month"))
    zero = F.lit(0).cast("decimal(18,6)")
    subtotal = decimal(F.col("_subtotal"))
    credits = F.when(_given("credits"), decimal(F.col("_credits"))).otherwise(zero)
    taxes = F.when(_given("taxes"), decimal(F.col("_taxes"))).otherwise(zero)
    rate = decimal(F.col("_exchange_rate_to_usd"), _RATE_SCALE)
    return Rules(
        {"month": month, "subtotal": subtotal, "credits": credits, "taxes": taxes, "exchange_rate_to_usd": rate},
        {
            "invalid_date": month.isNull(),
            "invalid_number": subtotal.isNull() | credits.isNull() | taxes.isNull(),
            "invalid_rate": ~_given("currency") | rate.isNull() | (rate <= 0),
        },
        {
            "negative_subtotal": subtotal < 0,
            "usd_rate_not_1": (F.upper("_currency") == "USD") & (rate != 1),
        },
    )


def support_tickets() -> Rules:
    """Tickets. csat outside 1–5 is nulled; a resolution before the creation is rejected."""
    created, resolved = iso_date(F.col("_created_at")), iso_date(F.col("_resolved_at"))
    csat, breached = _between(decimal(F.col("_csat")), 1, 5), boolean(F.col("_sla_breached"))
    return Rules(
        {"created_at": created, "resolved_at": resolved, "csat": csat, "sla_breached": breached},
        {
            "invalid_date": created.isNull() | _unusable("resolved_at", resolved),
            "resolved_before_created": resolved < created,
        },
        {"invalid_csat": _unusable("csat", csat), "invalid_sla_breached": _unusable("sla_breached", breached)},
    )


def nps_surveys() -> Rules:
    """Surveys, one a day and organisation. nps_score outside −100..100 is nulled."""
    day, nps = iso_date(F.col("_survey_date")), _between(decimal(F.col("_nps_score")), -100, 100)
    return Rules(
        {"survey_date": day, "nps_score": nps},
        {"invalid_date": day.isNull()},
        {"invalid_nps_score": _unusable("nps_score", nps)},
    )


def marketing_touches() -> Rules:
    """Contacts of a campaign with an organisation."""
    day = iso_date(F.col("_timestamp"))
    clicked, converted = boolean(F.col("_clicked")), boolean(F.col("_converted"))
    return Rules(
        {"timestamp": day, "clicked": clicked, "converted": converted},
        {"invalid_date": day.isNull()},
        {"invalid_clicked": _unusable("clicked", clicked), "invalid_converted": _unusable("converted", converted)},
    )


TABLES: dict[str, Callable[[], Rules]] = {
    "customers_orgs": customers_orgs,
    "users": users,
    "resources": resources,
    "billing_monthly": billing_monthly,
    "support_tickets": support_tickets,
    "nps_surveys": nps_surveys,
    "marketing_touches": marketing_touches,
}


def judge(bronze: DataFrame, source: str, config: Config) -> DataFrame:
    """A master's Bronze snapshot → typed rows with `errors`, `warnings` and the metadata. One record a row."""
    contract, rules = config.sources[source], TABLES[source]()
    texts = bronze.select(
        *[trimmed(F.col(name)).alias(f"_{name}") for name in contract.required],
        "raw", "raw_bytes", "fits_header", "record_number", "ingest_ts", "source_file", "batch_id",
    )  # fmt: skip
    words = {name: F.upper(f"_{name}") if name == "currency" else F.lower(f"_{name}") for name in contract.vocabularies}
    columns = {name: words.get(name, F.col(f"_{name}")) for name in contract.required} | rules.typed
    key = [F.col(f"_{name}") for name in dict.fromkeys([*contract.key, "org_id"])]
    missing = key[0].isNull()
    for column in key[1:]:
        missing = missing | column.isNull()
    checks = {"malformed_csv": ~F.col("fits_header"), "missing_key": missing, **rules.rejects}
    unknown = {
        f"unknown_{name}": _given(name)
        & ~words[name].isin([w.upper() if name == "currency" else w.lower() for w in allowed])
        for name, allowed in contract.vocabularies.items()
    }
    judged = texts.select(
        *[column.alias(name) for name, column in columns.items()],
        messages(checks).alias("errors"),
        messages({**unknown, **rules.warnings}).alias("warnings"),
        "raw", "raw_bytes", "record_number", "ingest_ts", "source_file", "batch_id",
    )  # fmt: skip
    # Among the valid rows of one key the last of the last file by name survives.
    valid = F.size("errors") == 0
    latest = Window.partitionBy(*contract.key, valid).orderBy(F.desc("record_number"))
    repeated = valid & (F.row_number().over(latest) > 1)
    return (
        judged.withColumn("_repeated", repeated)
        .withColumn("errors", F.when(F.col("_repeated"), F.array(F.lit("duplicate_key"))).otherwise(F.col("errors")))
        .withColumn("record_key", F.concat_ws("|", *contract.key))
        .drop("_repeated")
    )
