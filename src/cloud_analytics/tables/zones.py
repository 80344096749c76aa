"""The tables below Gold: events and masters in Bronze and Silver, and quarantine.

The packages bronze and silver and the module quality/quarantine.py build them.
"""

from __future__ import annotations

from cloud_analytics.tables.columns import CARBON_KG, COUNT, ORG_ID, SERVICE, SEVERITY, TOKENS, USD, Column, Unit
from cloud_analytics.tables.table import Table, Whole

RAW = Column("raw", "string", "the original text")
RAW_BYTES = Column("raw_bytes", "binary", "the original bytes, where they are no UTF-8")
BATCH_ID = Column("batch_id", "string", "the micro-batch or snapshot that took it in")
WARNINGS = Column("warnings", "array<string>", "what is odd about the row, which is kept")
INGEST_TS = Column("ingest_ts", "timestamp", "when Bronze took it in (UTC)")
SOURCE_FILE = Column("source_file", "string", "name of the landing file")

BRONZE_EVENTS = Table(
    "usage_events",
    zone="bronze",
    key=("event_id",),
    columns=(
        Column("event_id", "string", "identity of the event; copies are found by it"),
        Column("timestamp", "string", "when it happened, as it was written"),
        Column("event_ts", "timestamp", "when it happened (UTC)"),
        ORG_ID,
        Column("resource_id", "string", "a cloud resource"),
        Column("user_id", "string", "a person of an organisation"),
        SERVICE,
        Column("region", "string", "the region as it was written, trimmed"),
        Column("metric", "string", "what is measured"),
        Column("value", "string", "how much of it, as it was written"),
        Column("unit", "string", "unit of the value"),
        Column("cost_usd_increment", "string", "cost of the event (USD), as it was written"),
        Column("schema_version", "string", "1, or 2, which adds carbon_kg and genai_tokens"),
        Column("carbon_kg", "string", "kg CO2e; null where it is not told"),
        Column("genai_tokens", "string", "GenAI tokens; null where they are not told"),
        RAW,
        SOURCE_FILE,
        INGEST_TS,
        Column(
            "lateness_seconds",
            "bigint",
            "how far it lies behind the newest event seen up to its micro-batch, rounded up",
        ),
        Column("is_late", "boolean", "whether that is more than the watermark"),
        Column("date", "date", "UTC date of the event; of a reject without one, the date of ingest"),
        BATCH_ID,
    ),
    partition="date",
    below=("batch_id",),
)

SILVER_EVENTS = Table(
    "usage_events",
    zone="silver",
    key=("event_id",),
    columns=(
        Column("event_id", "string", "identity of the event; copies are found by it"),
        Column("event_ts", "timestamp", "when it happened (UTC)"),
        ORG_ID,
        Column("resource_id", "string", "a cloud resource"),
        Column("region", "string", "the region as it was written, trimmed"),
        Column("region_code", "string", "the canonical region; null where it is not known"),
        Column("metric", "string", "what is measured"),
        Column("value", "decimal(18,6)", "how much of it; null where the event does not say"),
        Column("unit", "string", "unit of the value"),
        Column("unit_imputed", "boolean", "whether the unit was missing and taken from the metric"),
        Column("cost_usd", "decimal(18,6)", "cost of the event", USD),
        Column("schema_version", "int", "1, or 2, which adds carbon_kg and genai_tokens"),
        Column("carbon_kg", "decimal(18,6)", "kg CO2e; null where it is not told", CARBON_KG),
        Column("genai_tokens", "decimal(18,6)", "GenAI tokens; null where they are not told", TOKENS),
        Column("org_name", "string", "its name; in events of an organisation that is not known, `unknown`"),
        Column("industry", "string", "its industry, free text"),
        Column("plan_tier", "string", "its plan"),
        Column("hq_region", "string", "where its headquarters are"),
        Column("org_matched", "boolean", "whether customers_orgs has the organisation"),
        Column("resource_type", "string", "the service of the resource; `unknown` where it is not known"),
        Column("resource_state", "string", "the state of the resource; `unknown` where it is not known"),
        Column("resource_matched", "boolean", "whether resources has the resource"),
        Column("user_id", "string", "a person of an organisation"),
        Column("role", "string", "the person's role"),
        Column("active", "boolean", "whether the person's account is active"),
        WARNINGS,
        Column("is_late", "boolean", "whether that is more than the watermark"),
        Column(
            "cost_usd_capped",
            "decimal(18,6)",
            "cost without what is outlying, for totals that outliers do not move",
            USD,
        ),
        Column("cost_zscore", "double", "deviations of the cost from the mean of its organisation, service and metric"),
        Column("cost_mad_score", "double", "the same against the median, by median absolute deviations"),
        Column("unit_price_ratio", "double", "cost for one unit, against the median of its service and metric"),
        Column("flag_zscore", "boolean", "cost_zscore is beyond its threshold"),
        Column("flag_mad", "boolean", "cost_mad_score is beyond its threshold"),
        Column("flag_percentile", "boolean", "the cost is a multiple of its group's high percentile"),
        Column("flag_unit_price", "boolean", "unit_price_ratio is beyond its threshold"),
        Column("is_anomaly", "boolean", "flag_unit_price, or enough of the three other flags"),
        Column("anomaly_score", "double", "the event's cost_zscore"),
        Column("anomaly_reason", "string", "why it is an anomaly, in words"),
        INGEST_TS,
        SOURCE_FILE,
        Column("date", "date", "UTC date of the event; of a reject without one, the date of ingest"),
        SERVICE,
    ),
    partition="date",
    below=("service",),
)

COST_BASELINES = Table(
    "cost_baselines",
    zone="silver",
    key=("org_id", "service", "metric"),
    columns=(
        Column("org_id", "string", "the organisation; null in a row about all organisations"),
        SERVICE,
        Column("metric", "string", "what is measured"),
        Column("events", "bigint", "events of the group; without an org_id those with a value above 0", COUNT),
        Column("mean_usd", "double", "mean cost of an event", USD),
        Column("stddev_usd", "double", "sample standard deviation of the costs", USD),
        Column("median_usd", "double", "median cost of an event", USD),
        Column("mad_usd", "double", "median absolute deviation from the median; null where it is 0", USD),
        Column(
            "p95_usd",
            "decimal(28,14)",
            "high percentile of the costs (conf/anomalies.yaml: 0.95), linearly interpolated",
            USD,
        ),
        Column("median_price", "double", "median of cost / value, in a row without an org_id", Unit("USD per unit", 6)),
    ),
)

QUARANTINED_EVENTS = Table(
    "usage_events",
    zone="quarantine",
    key=("record_key", "raw"),
    columns=(
        Column("source", "string", "the landing source"),
        Column("errors", "array<string>", "every rule that rejects it, in their order"),
        RAW,
        RAW_BYTES,
        Column("record_key", "string", "the natural key of the record"),
        SOURCE_FILE,
        INGEST_TS,
        Column("rule_version", "string", "fingerprint of the configuration that judged it"),
        BATCH_ID,
        Column("date", "date", "UTC date of the event; of a reject without one, the date of ingest"),
        Column("error_type", "string", "the first of them"),
    ),
    partition="date",
    below=("error_type",),
)


def _master(name: str, *columns: Column, key: tuple[str, ...]) -> Table:
    """The table of a master in Silver: columns of its own, then those that every master has."""
    own_and_shared = (*columns, WARNINGS, INGEST_TS, SOURCE_FILE)
    return Table(name, zone="silver", key=key, columns=own_and_shared, reads=(Whole(f"bronze/{name}"),))


_MASTERS = (
    _master(
        "customers_orgs",
        ORG_ID,
        Column("org_name", "string", "its name; in events of an organisation that is not known, `unknown`"),
        Column("industry", "string", "its industry, free text"),
        Column("hq_region", "string", "where its headquarters are"),
        Column("plan_tier", "string", "its plan"),
        Column("is_enterprise", "boolean", "whether it is sold to as an enterprise"),
        Column("signup_date", "date", "when it signed up"),
        Column("sales_rep", "string", "who sells to it"),
        Column("lifecycle_stage", "string", "where it stands as a customer"),
        Column("marketing_source", "string", "what brought it"),
        Column("nps_score", "decimal(18,6)", "how likely it is to recommend us, −100 to 100"),
        key=("org_id",),
    ),
    _master(
        "users",
        Column("user_id", "string", "a person of an organisation"),
        ORG_ID,
        Column("email", "string", "the person's address"),
        Column("role", "string", "the person's role"),
        Column("active", "boolean", "whether the person's account is active"),
        Column("created_at", "date", "when it was created"),
        Column("last_login", "date", "when the person last logged in"),
        key=("user_id",),
    ),
    _master(
        "resources",
        Column("resource_id", "string", "a cloud resource"),
        ORG_ID,
        SERVICE,
        Column("region", "string", "the region as it was written, trimmed"),
        Column("created_at", "date", "when it was created"),
        Column("state", "string", "the resource's state"),
        Column("tags_json", "string", "the resource's tags, JSON as it came; in Silver null where it is none"),
        key=("resource_id",),
    ),
    _master(
        "billing_monthly",
        Column("invoice_id", "string", "the invoice"),
        ORG_ID,
        Column("month", "date", "the month billed"),
        Column("subtotal", "decimal(18,6)", "amount before credits and taxes, in the invoice's currency"),
        Column("credits", "decimal(18,6)", "what is taken off, in the invoice's currency; blank is 0"),
        Column("taxes", "decimal(18,6)", "taxes, in the invoice's currency; blank is 0"),
        Column("currency", "string", "ISO code of the invoice's currency"),
        Column("exchange_rate_to_usd", "decimal(18,10)", "USD for one unit of the currency"),
        key=("invoice_id",),
    ),
    _master(
        "support_tickets",
        Column("ticket_id", "string", "the ticket"),
        ORG_ID,
        Column("category", "string", "what the ticket is about"),
        SEVERITY,
        Column("created_at", "date", "when it was created"),
        Column("resolved_at", "date", "when it was resolved; null while it is open"),
        Column("csat", "decimal(18,6)", "how satisfied the customer was with it, 1–5"),
        Column("sla_breached", "boolean", "whether it broke its service level agreement"),
        key=("ticket_id",),
    ),
    _master(
        "nps_surveys",
        ORG_ID,
        Column("survey_date", "date", "when the organisation answered"),
        Column("nps_score", "decimal(18,6)", "how likely it is to recommend us, −100 to 100"),
        Column("comment", "string", "what it wrote"),
        key=("org_id", "survey_date"),
    ),
    _master(
        "marketing_touches",
        Column("touch_id", "string", "one contact of a campaign"),
        ORG_ID,
        Column("campaign", "string", "the campaign"),
        Column("channel", "string", "where it reached the organisation"),
        Column("timestamp", "date", "the day of the contact"),
        Column("clicked", "boolean", "whether it was clicked"),
        Column("converted", "boolean", "whether it led to a sale"),
        key=("touch_id",),
    ),
)
SILVER_MASTERS = {table.name: table for table in _MASTERS}

MASTER_METADATA = (
    RAW,
    RAW_BYTES,
    Column(
        "fits_header", "boolean", "whether it is valid UTF-8, has as many fields as the header and closes every quote"
    ),
    Column("record_number", "bigint", "its place among the records of all files, from 0"),
    INGEST_TS,
    SOURCE_FILE,
    BATCH_ID,
)
"""What Bronze adds to the columns of a master's files, which are all text."""
BRONZE_MASTERS = {
    name: Table(
        name,
        zone="bronze",
        key=("ingest_date", "record_number"),
        columns=(*MASTER_METADATA, Column("ingest_date", "date", "the day of the snapshot")),
        partition="ingest_date",
        more_columns=True,
    )
    for name in SILVER_MASTERS
}
