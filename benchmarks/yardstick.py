"""The yardstick: landing → quarantine, Silver and every mart as Parquet, in DuckDB, on the same machine, same rules.

    python -m benchmarks.yardstick LANDING OUT          seconds by stage, as one line of JSON
    python -m benchmarks.yardstick LANDING OUT --check LAKE    and compares OUT with a lake of the pipeline, row by row

It says what the hardware can do when nothing has to survive: one process, no Bronze, no ledger, no transaction, no
increment, one micro-batch. Thresholds and vocabularies come from `conf/`. Known differences: see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import shutil
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import yardstick_masters as masters
from cloud_analytics import config as configuration
from cloud_analytics.config import MASTERS, Config
from cloud_analytics.landing import text
from cloud_analytics.landing.events import FIELDS
from cloud_analytics.landing.folder import BLANKS

EVENT_MARTS = {
    "org_daily_usage_by_service": "usage_date",
    "org_service_cost_summary": "summary_date",
    "genai_tokens_by_org_date": "usage_date",
    "carbon_impact": "usage_date",
    "cost_anomaly_mart": "usage_date",
}
MASTER_MARTS = (
    "tickets_by_org_date",
    "sla_breach_summary",
    "csat_trends",
    "revenue_by_org_month",
    "nps_by_org_month",
    "campaign_performance",
)


def quoted(word: str) -> str:
    """A SQL literal."""
    return "'" + word.replace("'", "''") + "'"


def _map(words: dict[str, str]) -> str:
    pairs = ", ".join(f"{quoted(key)}: {quoted(value)}" for key, value in sorted(words.items()))
    return f"MAP {{{pairs}}}"


def prepare(db: duckdb.DuckDBPyConnection, config: Config) -> None:
    """The rules that are expressions: texts, numbers, instants, ratios, and the vocabularies."""
    taxonomy = config.taxonomy
    blanks = quoted(BLANKS)
    limits = {name: str(most) for name, most in taxonomy.metric_limits().items()}
    db.execute("SET TimeZone = 'UTC'")
    for macro in (
        f"txt(x) AS nullif(trim(x, {blanks}), '')",
        f"""number_text(x) AS CASE
            WHEN regexp_full_match(trim(x, {blanks}), {quoted(text._NUMBER)}) THEN trim(x, {blanks})
            WHEN regexp_full_match(trim(x, {blanks}), {quoted(text._TINY)}) THEN '0' END""",
        """exact(x, n) AS CASE WHEN abs(x) < n THEN x END""",
        "dec6(x) AS exact(try_cast(number_text(x) AS DECIMAL(38, 6)), 1000000000000)::DECIMAL(18, 6)",
        "rate(x) AS exact(try_cast(number_text(x) AS DECIMAL(38, 10)), 100000000)::DECIMAL(18, 10)",
        rf"""instant(x) AS CASE
            WHEN regexp_full_match(x, {quoted(text._TIMESTAMP.replace(chr(92) + "z", "$"))}) AND x[:4] >= '2000'
            THEN try_cast(try_cast(regexp_replace(regexp_replace(x, '^(.{{16}})([Z+-])', '\1:00\2'),
                '([+-][0-9]{{2}})([0-9]{{2}})$', '\1:\2') AS TIMESTAMPTZ) AS TIMESTAMP) END""",
        """day(x) AS CASE WHEN regexp_full_match(txt(x), '[0-9]{4}-[0-9]{2}-[0-9]{2}') AND txt(x) >= '0001'
            THEN try_cast(txt(x) AS DATE) END""",
        "ratio(a, b) AS CASE WHEN b <> 0 THEN (a / b)::DECIMAL(38, 10) END",
        "named(names) AS list_filter(names, lambda x: x IS NOT NULL)",
        "median2(xs) AS xs[(len(xs) - 1) // 2 + 1] + xs[len(xs) // 2 + 1]",
        f"service_of(x) AS element_at({_map(taxonomy.service_words())}, x)[1]",
        f"region_of(x) AS element_at({_map(taxonomy.region_words())}, x)[1]",
        f"unit_of(x) AS element_at({_map(taxonomy.metric_units())}, x)[1]",
        f"limit_of(x) AS element_at({_map(limits)}, x)[1]::DECIMAL(18, 6)",
    ):
        db.execute(f"CREATE MACRO {macro}")


def landing_lines(db: duckdb.DuckDBPyConnection, landing: Path) -> None:
    """Lines of text with the name of their file; each is parsed once."""
    folder = landing / "usage_events_stream"
    names = (
        [p for p in sorted(folder.iterdir()) if p.name[0] not in "_." and p.stat().st_size] if folder.is_dir() else []
    )
    files = [str(p) for p in names if p.name.endswith((".jsonl", ".json", ".jsonl.gz", ".json.gz"))]
    broken = [name for name in files if name.endswith(".gz") and not _readable(name)]
    files = [name for name in files if name not in broken]
    db.execute("CREATE TABLE unreadable (raw VARCHAR, source_file VARCHAR)")
    for name in broken:
        db.execute("INSERT INTO unreadable VALUES (?, ?)", [f"usage_events_stream/{Path(name).name}", Path(name).name])
    shape = json.dumps(dict.fromkeys(FIELDS, "VARCHAR"))
    fields = ", ".join(f'f."{name}" AS "{name}"' for name in FIELDS)
    source = (
        f"""read_csv({files!r}, columns = {{'raw': 'VARCHAR'}}, header = false, auto_detect = false, delim = '\x1f',
            quote = '', escape = '', new_line = '\\n', filename = true, max_line_size = 10000000, strict_mode = false,
            ignore_errors = true)"""
        if files
        else "(SELECT NULL::VARCHAR AS raw, NULL::VARCHAR AS filename WHERE false)"
    )
    db.execute(f"""
        CREATE TABLE lines AS
        WITH texts AS (
            SELECT regexp_replace(raw, '\r$', '') AS raw, parse_filename(filename) AS source_file FROM {source}
            WHERE txt(raw) IS NOT NULL
        ), parsed AS (
            SELECT *, json_valid(raw) AND json_type(CASE WHEN json_valid(raw) THEN raw END) = 'OBJECT' AS is_json
            FROM texts
        ), fielded AS (
            SELECT *, CASE WHEN is_json THEN json_transform(raw, '{shape}') END AS f FROM parsed
        )
        SELECT raw, source_file, coalesce(is_json, false) AS is_json, {fields}, instant(f."timestamp") AS event_ts
        FROM fielded""")


def _readable(name: str) -> bool:
    try:
        with gzip.open(name) as file:
            while file.read(1 << 20):
                pass
    except (EOFError, OSError, zlib.error):
        return False
    return True


def judged_events(db: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Every rule once a row, then one copy of each event."""
    late = int(config.pipeline.stream.watermark.total_seconds())
    db.execute(f"""
        CREATE TABLE judged AS
        WITH clock AS (SELECT max(event_ts) AS newest FROM lines WHERE event_ts <= now()::TIMESTAMP),
        typed AS (
            SELECT raw, source_file, is_json, event_ts, event_ts::DATE AS date, txt(event_id) AS event_id,
                txt(org_id) AS org_id, txt(resource_id) AS resource_id, txt(user_id) AS user_id,
                service_of(txt(lower(service))) AS service, txt(region) AS region,
                region_of(txt(lower(region))) AS region_code, txt(lower(metric)) AS metric,
                unit_of(txt(lower(metric))) AS metric_unit, value AS value_text, dec6(value) AS value,
                txt(lower(unit)) AS unit_word, dec6(cost_usd_increment) AS cost_usd,
                CASE WHEN schema_version IN ('1', '2') THEN schema_version::INT END AS schema_version,
                CASE WHEN schema_version IS DISTINCT FROM '1' THEN carbon_kg END AS carbon_text,
                CASE WHEN schema_version IS DISTINCT FROM '1' THEN genai_tokens END AS tokens_text
            FROM lines
        ), normal AS (
            SELECT *, dec6(carbon_text) AS carbon_kg, dec6(tokens_text) AS genai_tokens,
                unit_word IS NULL AND value_text IS NOT NULL AS unit_imputed,
                CASE WHEN unit_word IS NULL AND value_text IS NOT NULL THEN metric_unit ELSE unit_word END AS unit
            FROM typed
        )
        SELECT * EXCLUDE (metric_unit, value_text, unit_word, carbon_text, tokens_text, is_json),
            coalesce(epoch(newest) - epoch(event_ts) > {late}, false) AS is_late,
            CASE WHEN NOT is_json THEN ['malformed_json'] ELSE named([
                CASE WHEN event_ts IS NULL THEN 'invalid_timestamp' END,
                CASE WHEN event_id IS NULL OR org_id IS NULL OR resource_id IS NULL THEN 'missing_key' END,
                CASE WHEN schema_version IS NULL THEN 'unsupported_schema_version' END,
                CASE WHEN service IS NULL THEN 'unknown_service' END,
                CASE WHEN metric_unit IS NULL THEN 'unknown_metric' END,
                CASE WHEN cost_usd IS NULL THEN 'invalid_cost' END,
                CASE WHEN cost_usd < -0.01 THEN 'negative_cost' END,
                CASE WHEN value_text IS NOT NULL AND value IS NULL THEN 'invalid_value' END,
                CASE WHEN value > limit_of(metric) THEN 'implausible_value' END,
                CASE WHEN value < 0 OR carbon_kg < 0 OR genai_tokens < 0 THEN 'negative_quantity' END,
                CASE WHEN unit <> metric_unit THEN 'unit_mismatch' END,
                CASE WHEN event_ts > now()::TIMESTAMP + INTERVAL 24 HOUR
                    THEN 'future_timestamp' END]) END AS errors,
            named([CASE WHEN value_text IS NULL THEN 'missing_value' END,
                CASE WHEN region_code IS NULL THEN 'unknown_region' END,
                CASE WHEN carbon_text IS NOT NULL AND carbon_kg IS NULL THEN 'invalid_carbon_kg' END,
                CASE WHEN tokens_text IS NOT NULL AND genai_tokens IS NULL THEN 'invalid_genai_tokens' END]) AS warnings
        FROM normal, clock""")
    db.execute("DROP TABLE lines")
    db.execute("""
        CREATE TABLE repeated AS
        SELECT event_id FROM judged WHERE len(errors) = 0 GROUP BY event_id HAVING count(*) > 1""")
    db.execute("""
        CREATE TABLE copies AS
        SELECT *, row_number() OVER w AS rank, first_value(txt(raw)) OVER w AS first_text
        FROM judged SEMI JOIN repeated USING (event_id) WHERE len(errors) = 0
        WINDOW w AS (PARTITION BY event_id ORDER BY source_file, txt(raw))""")
    db.execute("""
        CREATE VIEW survivors AS
        SELECT * FROM judged ANTI JOIN repeated USING (event_id) WHERE len(errors) = 0
        UNION ALL BY NAME SELECT * EXCLUDE (rank, first_text) FROM copies WHERE rank = 1""")
    db.execute("""
        CREATE VIEW rejected AS
        SELECT * FROM judged WHERE len(errors) > 0
        UNION ALL BY NAME SELECT *, ['unreadable_file'] AS errors FROM unreadable
        UNION ALL BY NAME
        SELECT * EXCLUDE (rank, first_text) REPLACE (
            [CASE WHEN txt(raw) = first_text THEN 'duplicate_event' ELSE 'conflicting_duplicate' END] AS errors)
        FROM copies WHERE rank > 1""")


def silver_events(db: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Joins and event-level anomaly scores; statistics from whole micro-dollars, as the pipeline computes them."""
    s = config.anomalies.events
    percent = int(s.percentile * 100)
    db.execute(f"""
        CREATE TABLE costs AS
        WITH lists AS (
            SELECT org_id, service, metric, list_sort(list((cost_usd * 1000000)::BIGINT)) AS xs
            FROM survivors GROUP BY ALL
        ), moments AS (
            SELECT *, len(xs) AS n, list_sum(xs)::DOUBLE / len(xs) AS mean, median2(xs) / 2.0::DOUBLE AS middle,
                ({percent} * (len(xs) - 1)) // 100 AS low, ({percent} * (len(xs) - 1)) % 100 AS part
            FROM lists WHERE len(xs) >= {s.min_events} AND xs[1] <> xs[-1]
        ), spread AS (
            SELECT *, median2(list_sort(list_transform(xs, lambda x: abs(x - middle)))) / 2.0::DOUBLE / 1000000 AS mad,
                sqrt(list_sum(list_transform(xs, lambda x: (x - mean) * (x - mean))) / (n - 1)) AS deviation,
                xs[low + 1] * 100 + (xs[least(low + 1, n - 1) + 1] - xs[low + 1]) * part AS p95_hundredths
            FROM moments
        )
        SELECT org_id, service, metric, mean / 1000000 AS mean_usd, deviation / 1000000 AS stddev_usd,
            middle / 1000000 AS median_usd, CASE WHEN mad > 0 THEN mad END AS mad_usd,
            p95_hundredths / 100000000::DOUBLE AS p95_usd,
            round({s.percentile_factor} * p95_hundredths / 100)::BIGINT::DECIMAL(18, 0) * 0.000001::DECIMAL(7, 6)
                AS cap,
            {s.percentile_factor}::DECIMAL(9, 2) * p95_hundredths AS cap_hundredths
        FROM spread""")
    db.execute(f"""
        CREATE TABLE prices AS
        SELECT service, metric, median(cost_usd::DOUBLE / value::DOUBLE) AS median_price FROM survivors WHERE value > 0
        GROUP BY ALL HAVING count(*) >= {s.min_events} AND median_price > 0""")
    joined = ("org_name", "industry", "plan_tier", "hq_region")
    db.execute(f"""
        CREATE TABLE silver AS
        WITH joined AS (
            SELECT e.*, {", ".join(f"CASE WHEN o.org_id IS NULL THEN 'unknown' ELSE o.{c} END AS {c}" for c in joined)},
                o.org_id IS NOT NULL AS org_matched, r.resource_id IS NOT NULL AS resource_matched,
                CASE WHEN r.resource_id IS NULL THEN 'unknown' ELSE r.service END AS resource_type,
                CASE WHEN r.resource_id IS NULL THEN 'unknown' ELSE r.state END AS resource_state,
                CASE WHEN e.user_id IS NULL THEN u.role ELSE coalesce(u.role, 'unknown') END AS role, u.active,
                (cost_usd::DOUBLE - mean_usd) / stddev_usd AS cost_zscore,
                0.6745 * (cost_usd::DOUBLE - median_usd) / mad_usd AS cost_mad_score,
                CASE WHEN value > 0 THEN cost_usd::DOUBLE / value::DOUBLE / median_price END AS unit_price_ratio,
                p95_usd, cap, cap_hundredths
            FROM survivors e LEFT JOIN silver_customers_orgs o USING (org_id)
            LEFT JOIN silver_resources r USING (resource_id) LEFT JOIN silver_users u USING (user_id)
            LEFT JOIN costs c ON c.org_id = e.org_id AND c.service = e.service AND c.metric = e.metric
            LEFT JOIN prices p ON p.service = e.service AND p.metric = e.metric
        ), flagged AS (
            SELECT *, coalesce(cost_zscore > {s.zscore_threshold}, false) AS flag_zscore,
                coalesce(cost_mad_score > {s.mad_threshold}, false) AS flag_mad,
                coalesce(cost_usd * 100000000 > cap_hundredths, false) AS flag_percentile,
                coalesce(unit_price_ratio > {s.unit_price_threshold}, false) AS flag_unit_price
            FROM joined
        ), judged AS (
            SELECT *, flag_unit_price OR flag_zscore::INT + flag_mad::INT + flag_percentile::INT >= {s.consensus}
                AS is_anomaly FROM flagged
        )
        SELECT event_id, event_ts, org_id, resource_id, region, region_code, metric, value, unit, unit_imputed,
            cost_usd, schema_version, carbon_kg, genai_tokens, org_name, industry, plan_tier, hq_region, org_matched,
            resource_type, resource_state, resource_matched, user_id, role, active, warnings, is_late,
            CASE WHEN p95_usd <> 0 THEN least(cost_usd, cap)::DECIMAL(18, 6) ELSE cost_usd END AS cost_usd_capped,
            cost_zscore, cost_mad_score, unit_price_ratio, flag_zscore, flag_mad, flag_percentile, flag_unit_price,
            is_anomaly, cost_zscore AS anomaly_score,
            CASE WHEN is_anomaly THEN concat_ws('; ',
                CASE WHEN flag_unit_price THEN printf('unit price %.1f × normal', unit_price_ratio) END,
                CASE WHEN flag_zscore THEN printf('cost %.1f standard deviations above the mean', cost_zscore) END,
                CASE WHEN flag_mad THEN printf('cost %.1f MADs above the median', cost_mad_score) END,
                CASE WHEN flag_percentile THEN printf('cost %.1f × the 95th percentile', cost_usd / p95_usd) END)
            END AS anomaly_reason, now()::TIMESTAMP AS ingest_ts, source_file, date, service
        FROM judged""")


def gold_of_events(db: duckdb.DuckDBPyConnection, config: Config) -> None:
    """The five marts of the events, from one pass over Silver."""
    d = config.anomalies.daily
    metrics = ("requests", "cpu_hours", "storage_gb_hours")
    total = "sum({0})::DECIMAL(28, 6) AS {0}".format
    flags = ("flag_zscore", "flag_mad", "flag_percentile", "flag_unit_price", "is_anomaly")
    counts = ("zscore_events", "mad_events", "percentile_events", "unit_price_events", "anomalous_events")
    db.execute(f"""
        CREATE TABLE resource_days AS
        SELECT org_id, date AS usage_date, service, resource_id, count(*) AS events, {total("cost_usd")},
            {total("cost_usd_capped")}, {total("carbon_kg")}, {total("genai_tokens")},
            {", ".join(f"sum(value) FILTER (metric = '{m}')::DECIMAL(28, 6) AS {m}" for m in metrics)},
            count(carbon_kg) AS events_with_carbon,
            {", ".join(f"count(*) FILTER ({flag}) AS {name}" for flag, name in zip(flags, counts))},
            coalesce(sum(cost_usd) FILTER (is_anomaly), 0)::DECIMAL(28, 6) AS anomalous_cost_usd
        FROM silver GROUP BY ALL""")
    db.execute("""
        CREATE TABLE totals AS
        SELECT org_id, usage_date, service, sum(events)::BIGINT AS total_events,
            coalesce(sum(cost_usd), 0)::DECIMAL(28, 6) AS total_cost_usd,
            round(coalesce(sum(requests), 0), 0)::BIGINT AS total_requests,
            coalesce(sum(cpu_hours), 0)::DECIMAL(28, 6) AS total_cpu_hours,
            coalesce(sum(storage_gb_hours), 0)::DECIMAL(28, 6) AS total_storage_gb_hours,
            sum(carbon_kg)::DECIMAL(28, 6) AS total_carbon_kg, sum(genai_tokens)::DECIMAL(28, 6) AS total_genai_tokens,
            coalesce(sum(cost_usd_capped), 0)::DECIMAL(28, 6) AS total_cost_usd_capped,
            ratio(coalesce(sum(cost_usd), 0), round(coalesce(sum(requests), 0), 0)) AS avg_cost_per_request
        FROM resource_days GROUP BY ALL""")
    db.execute(f"""
        CREATE TABLE org_daily_usage_by_service AS
        WITH history AS (
            SELECT *, list_sort(list(total_cost_usd) OVER (PARTITION BY org_id, service ORDER BY usage_date
                ROWS BETWEEN {d.history_days} PRECEDING AND 1 PRECEDING)) AS xs FROM totals
        ), expected AS (
            SELECT *, CASE WHEN len(xs) >= {d.min_days}
                THEN (median2(xs) * 0.5::DECIMAL(2, 1))::DECIMAL(28, 8) END AS expected_cost_usd FROM history
        ), spread AS (
            SELECT *, (median2(list_sort(list_transform(xs, lambda x: abs(x - expected_cost_usd))))
                * 0.5::DECIMAL(2, 1))::DECIMAL(28, 8)::DOUBLE AS mad FROM expected
        ), scored AS (
            SELECT *, CASE WHEN mad > 0 THEN 0.6745 * (total_cost_usd - expected_cost_usd)::DOUBLE / mad END
                AS anomaly_score FROM spread
        )
        SELECT org_id, service, total_events, total_cost_usd, total_requests, total_cpu_hours, total_storage_gb_hours,
            total_carbon_kg, total_genai_tokens, avg_cost_per_request,
            coalesce(anomaly_score > {d.score_threshold}
                AND total_cost_usd - expected_cost_usd >= {d.min_impact_usd}, false) AS is_anomaly,
            anomaly_score, expected_cost_usd, total_cost_usd_capped, usage_date
        FROM scored""")
    db.execute("""
        CREATE TABLE org_service_cost_summary AS
        WITH spread AS (
            SELECT org_id, service, total_cost_usd AS cost, age, usage_date + age::INT AS summary_date
            FROM totals, range(14) AS ages(age)
            WHERE usage_date + age::INT <= (SELECT max(usage_date) FROM totals)
        ), sums AS (
            SELECT org_id, service, coalesce(sum(cost) FILTER (age < 1), 0)::DECIMAL(28, 6) AS cost_1d,
                coalesce(sum(cost) FILTER (age < 7), 0)::DECIMAL(28, 6) AS cost_7d,
                coalesce(sum(cost), 0)::DECIMAL(28, 6) AS cost_14d, summary_date
            FROM spread GROUP BY ALL
        )
        SELECT org_id, service, cost_1d, cost_7d, cost_14d,
            row_number() OVER (PARTITION BY org_id, summary_date ORDER BY cost_14d DESC, service)::INT AS rank_14d,
            summary_date FROM sums""")
    db.execute("""
        CREATE TABLE genai_tokens_by_org_date AS
        SELECT org_id, total_genai_tokens AS total_tokens, total_requests, total_cost_usd,
            ratio(total_genai_tokens, total_requests) AS avg_tokens_per_request,
            ratio(total_cost_usd * 1000000, total_genai_tokens) AS cost_per_million_tokens, usage_date
        FROM totals WHERE service = 'genai'""")
    db.execute("""
        CREATE TABLE carbon_impact AS
        SELECT org_id, sum(carbon_kg)::DECIMAL(28, 6) AS total_carbon_kg, sum(events)::BIGINT AS events,
            sum(events_with_carbon)::BIGINT AS events_with_carbon,
            ratio(sum(events_with_carbon), sum(events)) AS coverage,
            ratio(sum(carbon_kg), coalesce(sum(cost_usd), 0)) AS carbon_kg_per_usd, usage_date
        FROM resource_days GROUP BY org_id, usage_date""")
    db.execute(f"""
        CREATE TABLE cost_anomaly_mart AS
        WITH causes AS (
            SELECT org_id, usage_date, service, {", ".join(f"sum({name})::BIGINT AS {name}" for name in counts)},
                sum(anomalous_cost_usd)::DECIMAL(28, 6) AS anomalous_cost_usd,
                first(resource_id ORDER BY cost_usd DESC, resource_id) AS top_resource_id,
                max(cost_usd) AS top_resource_cost_usd
            FROM resource_days GROUP BY ALL
        )
        SELECT org_id, service, total_cost_usd AS actual_cost_usd, expected_cost_usd,
            (total_cost_usd - expected_cost_usd)::DECIMAL(28, 8) AS impact_usd,
            ratio((total_cost_usd - expected_cost_usd) * 100, expected_cost_usd) AS impact_pct, anomaly_score,
            is_anomaly AS is_daily_anomaly, {", ".join(counts)}, anomalous_cost_usd, top_resource_id,
            top_resource_cost_usd, usage_date
        FROM org_daily_usage_by_service JOIN causes USING (org_id, usage_date, service)
        WHERE is_anomaly OR anomalous_events > 0""")


def write(db: duckdb.DuckDBPyConnection, out: Path, source: str, table: str, partitions: str = "") -> None:
    """A table as Parquet, in the pipeline's layout."""
    folder = out / table
    folder.mkdir(parents=True)
    by = f", PARTITION_BY ({partitions})" if partitions else ""
    target = folder if partitions else folder / "part-0.parquet"
    empty = db.execute(f"SELECT count(*) FROM {source}").fetchone() == (0,)
    if not (empty and partitions):
        db.execute(f"COPY (FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION snappy{by}, OVERWRITE_OR_IGNORE)")


def stages(landing: Path, out: Path, config: Config) -> Iterator[str]:
    """Does the work; yields the name of each stage when it is done."""
    db = duckdb.connect()
    prepare(db, config)
    for name in MASTERS:
        masters.build(db, landing, name, config)
    yield "masters"
    landing_lines(db, landing)
    yield "parse"
    judged_events(db, config)
    yield "judge"
    silver_events(db, config)
    yield "silver"
    gold_of_events(db, config)
    masters.gold(db, config)
    yield "gold"
    quarantine = """(SELECT '{0}' AS source, errors, raw, source_file, now()::TIMESTAMP AS ingest_ts,
        coalesce(date, current_date) AS date, errors[1] AS error_type FROM {1})""".format
    write(db, out, quarantine("usage_events", "rejected"), "quarantine/usage_events", "date, error_type")
    write(db, out, "silver", "silver/usage_events", "date, service")
    for name in MASTERS:
        write(db, out, f"silver_{name}", f"silver/{name}")
        write(db, out, quarantine(name, f"rejected_{name}"), f"quarantine/{name}", "date, error_type")
    for mart, column in EVENT_MARTS.items():
        write(db, out, mart, f"gold/{mart}", column)
    for mart in MASTER_MARTS:
        write(db, out, mart, f"gold/{mart}")
    db.close()
    yield "write"


def run(landing: Path, out: Path, config: Config) -> dict[str, Any]:
    """Seconds of the whole and by stage, and the peak of this process's resident memory in GiB."""
    shutil.rmtree(out, ignore_errors=True)
    started = before = time.monotonic()
    seconds = {}
    for stage in stages(landing, out, config):
        now = time.monotonic()
        seconds[stage], before = round(now - before, 3), now
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30
    return {"seconds": round(before - started, 3), "stages": seconds, "peak_gib": round(peak, 3)}


def main() -> None:
    """The yardstick as a command, in a process of its own so that its memory can be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--check", type=Path, metavar="LAKE")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.landing, arguments.out, configuration.load())))
    if arguments.check:
        from benchmarks.agreement import compare

        found = compare(arguments.check, arguments.out)
        print("\n".join(found) or "equal, row for row")
        sys.exit(bool(found))


if __name__ == "__main__":
    main()
