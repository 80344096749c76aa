"""The yardstick's masters and their marts: the rules of silver/masters.py as SQL."""

from __future__ import annotations

from pathlib import Path

import duckdb

from cloud_analytics.config import Config

_NPS = "CASE WHEN dec6(_nps_score) BETWEEN -100 AND 100 THEN dec6(_nps_score) END"
_INVALID_NPS = "_nps_score IS NOT NULL AND NOT coalesce(dec6(_nps_score) BETWEEN -100 AND 100, false)"
# source → (typed columns, checks that reject in order, warnings in order). Texts are trimmed before, as `_<column>`.
_RULES: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {
    "customers_orgs": (
        {
            "signup_date": "day(_signup_date)",
            "nps_score": _NPS,
            "is_enterprise": "truth(_is_enterprise)",
        },
        {"invalid_date": "day(_signup_date) IS NULL"},
        {
            "invalid_nps_score": _INVALID_NPS,
            "invalid_is_enterprise": "_is_enterprise IS NOT NULL AND truth(_is_enterprise) IS NULL",
            "enterprise_flag_contradicts_plan": "truth(_is_enterprise) <> (lower(_plan_tier) = 'enterprise')",
        },
    ),
    "users": (
        {"created_at": "day(_created_at)", "last_login": "day(_last_login)", "active": "truth(_active)"},
        {"invalid_date": "day(_created_at) IS NULL"},
        {
            "invalid_last_login": "_last_login IS NOT NULL AND day(_last_login) IS NULL",
            "invalid_active": "_active IS NOT NULL AND truth(_active) IS NULL",
            "last_login_before_created": "day(_last_login) < day(_created_at)",
        },
    ),
    "resources": ({"created_at": "day(_created_at)"}, {"invalid_date": "day(_created_at) IS NULL"}, {}),
    "billing_monthly": (
        {
            "month": "month_of(_month)",
            "subtotal": "dec6(_subtotal)",
            "credits": "CASE WHEN _credits IS NULL THEN 0 ELSE dec6(_credits) END::DECIMAL(18, 6)",
            "taxes": "CASE WHEN _taxes IS NULL THEN 0 ELSE dec6(_taxes) END::DECIMAL(18, 6)",
            "exchange_rate_to_usd": "rate(_exchange_rate_to_usd)",
        },
        {
            "invalid_date": "month_of(_month) IS NULL",
            "invalid_number": "dec6(_subtotal) IS NULL OR (_credits IS NOT NULL AND dec6(_credits) IS NULL)"
            " OR (_taxes IS NOT NULL AND dec6(_taxes) IS NULL)",
            "invalid_rate": "_currency IS NULL OR NOT coalesce(rate(_exchange_rate_to_usd) > 0, false)",
        },
        {
            "negative_subtotal": "dec6(_subtotal) < 0",
            "negative_credits": "dec6(_credits) < 0",
            "usd_rate_not_1": "upper(_currency) = 'USD' AND rate(_exchange_rate_to_usd) <> 1",
        },
    ),
    "support_tickets": (
        {
            "created_at": "day(_created_at)",
            "resolved_at": "day(_resolved_at)",
            "csat": "CASE WHEN dec6(_csat) BETWEEN 1 AND 5 THEN dec6(_csat) END",
            "sla_breached": "truth(_sla_breached)",
        },
        {
            "invalid_date": "day(_created_at) IS NULL OR (_resolved_at IS NOT NULL AND day(_resolved_at) IS NULL)",
            "resolved_before_created": "day(_resolved_at) < day(_created_at)",
        },
        {
            "invalid_csat": "_csat IS NOT NULL AND NOT coalesce(dec6(_csat) BETWEEN 1 AND 5, false)",
            "invalid_sla_breached": "_sla_breached IS NOT NULL AND truth(_sla_breached) IS NULL",
        },
    ),
    "nps_surveys": (
        {
            "survey_date": "day(_survey_date)",
            "nps_score": _NPS,
        },
        {"invalid_date": "day(_survey_date) IS NULL"},
        {"invalid_nps_score": _INVALID_NPS},
    ),
    "marketing_touches": (
        {"timestamp": "day(_timestamp)", "clicked": "truth(_clicked)", "converted": "truth(_converted)"},
        {"invalid_date": "day(_timestamp) IS NULL"},
        {
            "invalid_clicked": "_clicked IS NOT NULL AND truth(_clicked) IS NULL",
            "invalid_converted": "_converted IS NOT NULL AND truth(_converted) IS NULL",
        },
    ),
}
_MACROS = """
    CREATE OR REPLACE MACRO truth(x) AS CASE WHEN lower(x) IN ('true', 't', 'yes', 'y', '1') THEN true
        WHEN lower(x) IN ('false', 'f', 'no', 'n', '0') THEN false END;
    CREATE OR REPLACE MACRO month_of(x) AS
        coalesce(day(x), CASE WHEN regexp_full_match(x, '[0-9]{4}-[0-9]{2}') THEN day(concat(x, '-01')) END);
"""


def _names(checks: dict[str, str]) -> str:
    return "named([" + ", ".join(f"CASE WHEN {check} THEN '{name}' END" for name, check in checks.items()) + "])"


def build(db: duckdb.DuckDBPyConnection, landing: Path, name: str, config: Config) -> None:
    """`silver_<name>` and `rejected_<name>` from the master's CSV files. A rejected record's text is not kept."""
    db.execute(_MACROS)
    contract = config.sources[name]
    typed, rejects, warnings = _RULES[name]
    files = [landing / f"{name}.csv", *(path for path in (landing / name).glob("*.csv") if path.name[0] not in "_.")]
    found = sorted((str(p) for p in files if p.is_file() and p.stat().st_size), key=lambda p: Path(p).name)
    texts = [f'txt("{column}") AS "_{column}"' for column in contract.required]
    if found:
        source = (
            f"read_csv({found!r}, header = true, all_varchar = true, filename = true, union_by_name = true,"
            " delim = ',', quote = '\"', escape = '\"', strict_mode = false, null_padding = true, parallel = false)"
        )
    else:
        empty = ", ".join(f'NULL::VARCHAR AS "{column}"' for column in [*contract.required, "filename"])
        source = f"(SELECT {empty} WHERE false)"
    words = {c: ("upper" if c == "currency" else "lower") for c in contract.vocabularies}
    columns = {c: f'{words[c]}("_{c}")' if c in words else f'"_{c}"' for c in contract.required} | typed
    unknown = {
        f"unknown_{c}": f'"_{c}" IS NOT NULL AND {words[c]}("_{c}") NOT IN ('
        + ", ".join(f"'{w.upper() if c == 'currency' else w.lower()}'" for w in allowed)
        + ")"
        for c, allowed in contract.vocabularies.items()
    }
    missing = " OR ".join(f'"_{c}" IS NULL' for c in dict.fromkeys([*contract.key, "org_id"]))
    key = ", ".join(f'"{c}"' for c in contract.key)
    db.execute(f"""
        CREATE TABLE judged_{name} AS
        WITH records AS (
            SELECT {", ".join(texts)}, parse_filename(filename) AS source_file, row_number() OVER () AS number
            FROM {source}
        ), judged AS (
            SELECT {", ".join(f'{column} AS "{c}"' for c, column in columns.items())}, source_file, number,
                {_names({"missing_key": missing, **rejects})} AS errors,
                {_names({**unknown, **warnings})} AS warnings
            FROM records
        )
        SELECT * EXCLUDE (errors), CASE WHEN len(errors) = 0 AND row_number() OVER (
            PARTITION BY {key}, len(errors) = 0 ORDER BY number DESC) > 1
            THEN ['duplicate_key'] ELSE errors END AS errors
        FROM judged""")
    kept = ", ".join(f'"{c}"' for c in contract.required)
    db.execute(f"""
        CREATE TABLE silver_{name} AS
        SELECT {kept}, warnings, now()::TIMESTAMP AS ingest_ts, source_file FROM judged_{name} WHERE len(errors) = 0""")
    db.execute(f"""
        CREATE TABLE rejected_{name} AS
        SELECT errors, NULL::VARCHAR AS raw, source_file, NULL::DATE AS date
        FROM judged_{name} WHERE len(errors) > 0""")


def gold(db: duckdb.DuckDBPyConnection, config: Config) -> None:
    """The six marts of the masters."""
    identity = config.pipeline.fx.usd_rate == "identity"
    applied = "CASE WHEN currency = 'USD' THEN 1 ELSE exchange_rate_to_usd END" if identity else "exchange_rate_to_usd"
    converted = "sum(({0}::DECIMAL(28, 6) * fx)::DECIMAL(28, 6))::DECIMAL(28, 6)".format
    for statement in (
        """tickets_by_org_date AS
            SELECT org_id, created_at AS ticket_date, coalesce(severity, 'unknown') AS severity,
                count(*) AS total_tickets, count(*) FILTER (resolved_at IS NULL) AS open_tickets,
                count(*) FILTER (sla_breached) AS sla_breach_count,
                ratio(count(*) FILTER (sla_breached), count(*)) AS sla_breach_rate,
                ratio(sum(csat), count(csat)) AS avg_csat
            FROM silver_support_tickets GROUP BY ALL""",
        """sla_breach_summary AS
            SELECT org_id, strftime(created_at, '%Y-%m') AS month, coalesce(severity, 'unknown') AS severity,
                count(*) AS total_tickets, count(*) FILTER (sla_breached) AS sla_breach_count,
                ratio(count(*) FILTER (sla_breached), count(*)) AS sla_breach_rate,
                median(resolved_at - created_at)::DECIMAL(38, 10) AS median_resolution_days
            FROM silver_support_tickets GROUP BY ALL""",
        """csat_trends AS
            SELECT org_id, strftime(created_at, '%Y-%m') AS month, count(csat) AS responses,
                ratio(sum(csat), count(csat)) AS avg_csat, count(*) AS tickets,
                ratio(count(csat), count(*)) AS response_rate
            FROM silver_support_tickets GROUP BY ALL""",
        f"""revenue_by_org_month AS
            WITH invoices AS (
                SELECT *, ({applied})::DECIMAL(18, 10) AS fx FROM silver_billing_monthly
            ), sums AS (
                SELECT org_id, strftime(month, '%Y-%m') AS billing_month, {converted("subtotal")} AS gross_revenue_usd,
                    {converted("credits")} AS credits_applied_usd, {converted("taxes")} AS taxes_usd,
                    CASE WHEN min(currency) = max(currency) THEN min(currency) ELSE 'MIXED' END AS currency_original,
                    CASE WHEN min(fx) = max(fx) THEN min(fx) END AS fx_rate, count(*) AS invoice_count
                FROM invoices GROUP BY ALL
            )
            SELECT org_id, billing_month, gross_revenue_usd, credits_applied_usd, taxes_usd,
                (gross_revenue_usd - credits_applied_usd)::DECIMAL(28, 6) AS net_revenue_usd,
                (gross_revenue_usd - credits_applied_usd + taxes_usd)::DECIMAL(28, 6) AS total_due_usd,
                currency_original, fx_rate, invoice_count FROM sums""",
        """nps_by_org_month AS
            SELECT org_id, strftime(survey_date, '%Y-%m') AS month, count(*) AS surveys,
                ratio(sum(nps_score), count(nps_score)) AS avg_nps
            FROM silver_nps_surveys GROUP BY ALL""",
        """campaign_performance AS
            SELECT coalesce(campaign, 'unknown') AS campaign, coalesce(channel, 'unknown') AS channel,
                strftime("timestamp", '%Y-%m') AS month, count(*) AS touches, count(*) FILTER (clicked) AS clicks,
                count(*) FILTER (converted) AS conversions, ratio(count(*) FILTER (clicked), count(*)) AS click_rate,
                ratio(count(*) FILTER (converted), count(*)) AS conversion_rate
            FROM silver_marketing_touches GROUP BY ALL""",
    ):
        db.execute(f"CREATE TABLE {statement}")
