-- The contract implemented again, in DuckDB: landing lines and records → the figures of Gold (contract 3 to 6).
--
-- It shares no code with the pipeline. `validate` compares its figures with Gold, and the benchmarks use it as their
-- reference. independent.py creates its input:
--   lines(source_file, line)                  the non-blank lines of the event files, as UTF-8 text, without the lines
--                                             that a user's own rules rejected
--   ingested(source_file, ingest_ts)          the time of the ingest of each file, from the lake; events of a file that
--                                             is not in it are compared with the current time
--   one table of text columns per master      records in the order of the file names, then of the lines in the file
--   services(word, name)                      the words of services, aliases included
--   metrics(name, unit, most)                 the metrics, each with its unit and its largest plausible value
--   the variables blanks, applied (the event rules that are worded as in the contract), cost_floor, tolerance_hours,
--   usd_is_1

CREATE MACRO applies(rule) AS list_contains(getvariable('applied'), rule);
CREATE MACRO trimmed(word) AS nullif(trim(word, getvariable('blanks')), '');
CREATE MACRO a_key(word) AS CASE WHEN strlen(trimmed(word)) <= 60000 THEN trimmed(word) END;  -- bytes; null: not a key
-- The exact number as written. A number with an exponent of more than three digits is tiny (0) or too large to use.
CREATE MACRO is_number(word) AS regexp_full_match(word, '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?0*[0-9]{1,3})?');
CREATE MACRO is_tiny(word) AS
    regexp_full_match(word, '[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)[eE]-|(0+\.?0*|\.0+)[eE]\+?)[0-9]+');
CREATE MACRO amount(word) AS CASE
    WHEN is_number(trimmed(word)) THEN TRY_CAST(trimmed(word) AS DECIMAL(18, 6))  -- half-up; null from 10^12 on
    WHEN is_tiny(trimmed(word)) THEN 0::DECIMAL(18, 6)
END;
CREATE MACRO day(word) AS CASE  -- DuckDB accepts the year 0, which does not exist
    WHEN regexp_full_match(word, '[0-9]{4}-[0-9]{2}-[0-9]{2}') AND word >= '0001' THEN TRY_CAST(word AS DATE)
END;
CREATE MACRO month_or_day(word) AS
    day(CASE WHEN regexp_full_match(word, '[0-9]{4}-[0-9]{2}') THEN word || '-01' ELSE word END);
-- In Unicode, `İ` is the only letter with a lower case of two characters: i and a dot. `Σ` ends a word as `ς`.
CREATE MACRO lowered(word) AS
    lower(regexp_replace(replace(word, chr(304), 'i' || chr(775)), '(\p{L})Σ(\P{L}|$)', '\1ς\2', 'g'));
CREATE MACRO is_yes(word) AS coalesce(lower(word) IN ('true', 't', 'yes', 'y', '1'), false);

-- Lines → one JSON object each. DuckDB's parser accepts more than JSON: trailing commas, -NaN, and NaN in upper or
-- lower case.
CREATE TABLE objects AS
WITH judged AS (
    SELECT source_file, line, line AS text, regexp_replace(line, '"(\\.|[^"\\])*"', '""', 'g') AS bare FROM lines
),
valid AS (
    SELECT source_file, line,
        json_valid(text)
            AND NOT regexp_matches(bare, ',\s*[}\]]')
            AND NOT contains(bare, '-NaN')
            AND NOT regexp_matches(replace(replace(bare, 'Infinity', ''), 'NaN', ''), '(?i)nan|inf') AS is_json,
        -- A quoted number keeps its digits as written.
        regexp_replace(text, '("(?:value|cost_usd_increment|carbon_kg|genai_tokens|schema_version)"\s*:\s*)(-?[0-9][0-9.eE+-]*)',
                       '\1"\2"', 'g') AS text
    FROM judged
)
SELECT source_file, line, text, is_json AND json_type(CASE WHEN is_json THEN text END) = 'OBJECT' AS is_object
FROM valid;

-- The last value of a repeated key counts. DuckDB takes the first, so objects with repeated keys are rewritten.
UPDATE objects SET text = (
    SELECT '{' || string_agg(to_json(key)::VARCHAR || ':' || value::VARCHAR, ',') || '}' FROM (
        SELECT key, last(value ORDER BY id) AS value FROM json_each(objects.text) GROUP BY key
    )
)
WHERE is_object AND len(json_keys(text)) <> len(list_distinct(json_keys(text)));

CREATE TABLE fields AS
SELECT source_file, line, is_object,
    CASE WHEN is_object THEN text END AS j,
    json_extract_string(j, '$.timestamp') AS moment,
    trimmed(json_extract_string(j, '$.event_id')) AS event_id,
    a_key(json_extract_string(j, '$.org_id')) AS org_id,
    a_key(json_extract_string(j, '$.resource_id')) AS resource_id,
    trimmed(lowered(json_extract_string(j, '$.service'))) AS service_word,
    trimmed(lowered(json_extract_string(j, '$.metric'))) AS metric,
    trimmed(lowered(json_extract_string(j, '$.unit'))) AS unit,
    json_extract_string(j, '$.schema_version') AS schema_version,
    json_extract_string(j, '$.value') AS value_text,
    json_extract_string(j, '$.cost_usd_increment') AS cost_text,
    CASE WHEN schema_version IS DISTINCT FROM '1' THEN json_extract_string(j, '$.carbon_kg') END AS carbon_text,
    CASE WHEN schema_version IS DISTINCT FROM '1' THEN json_extract_string(j, '$.genai_tokens') END AS tokens_text
FROM objects;

CREATE TABLE events AS
WITH timed AS (
    SELECT *,
        regexp_extract(moment, '^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]+))?)?(?:Z|([+-])([01][0-9]):?([0-5][0-9]))?$',
            ['day', 'minute', 'second', 'fraction', 'sign', 'hours', 'minutes']) AS t
    FROM fields
),
instants AS (
    SELECT *,
        CASE WHEN t.day >= '2000' AND t.hours || t.minutes <= '1800' THEN
            TRY_CAST(t.day || ' ' || t.minute || ':' || coalesce(nullif(t.second, ''), '00')
                     || '.' || rpad(left(coalesce(t.fraction, ''), 6), 6, '0') AS TIMESTAMP)
            - CASE t.sign WHEN '-' THEN -1 ELSE 1 END
              * (coalesce(TRY_CAST(t.hours AS INT), 0) * 60 + coalesce(TRY_CAST(t.minutes AS INT), 0)) * INTERVAL 1 MINUTE
        END AS event_ts
    FROM timed
),
typed AS (
    SELECT i.*, s.name AS service, m.unit AS metric_unit, m.most AS metric_max, ingested.ingest_ts,
        amount(value_text) AS value, amount(cost_text) AS cost, amount(carbon_text) AS carbon, amount(tokens_text) AS tokens
    FROM instants i
    LEFT JOIN services s ON s.word = i.service_word
    LEFT JOIN metrics m ON m.name = i.metric
    LEFT JOIN ingested ON ingested.source_file = i.source_file
)
SELECT *, event_ts::DATE AS usage_date, CASE
    WHEN NOT is_object OR is_object IS NULL THEN 'malformed_json'
    WHEN event_ts IS NULL OR year(event_ts) > 9999 THEN 'invalid_timestamp'
    WHEN applies('missing_key') AND (event_id IS NULL OR org_id IS NULL OR resource_id IS NULL) THEN 'missing_key'
    WHEN applies('unsupported_schema_version') AND coalesce(schema_version NOT IN ('1', '2'), true)
        THEN 'unsupported_schema_version'
    WHEN applies('unknown_service') AND service IS NULL THEN 'unknown_service'
    WHEN applies('unknown_metric') AND metric_unit IS NULL THEN 'unknown_metric'
    WHEN applies('invalid_cost') AND cost IS NULL THEN 'invalid_cost'
    WHEN applies('negative_cost') AND cost < getvariable('cost_floor') THEN 'negative_cost'
    WHEN applies('invalid_value') AND value_text IS NOT NULL AND value IS NULL THEN 'invalid_value'
    WHEN applies('implausible_value') AND value > metric_max THEN 'implausible_value'
    WHEN applies('negative_quantity') AND (value < 0 OR carbon < 0 OR tokens < 0) THEN 'negative_quantity'
    WHEN applies('unit_mismatch') AND unit <> metric_unit THEN 'unit_mismatch'
    WHEN applies('future_timestamp')
            AND event_ts > coalesce(ingest_ts, now()::TIMESTAMP) + getvariable('tolerance_hours') * INTERVAL 1 HOUR
        THEN 'future_timestamp'
END AS error_type,
-- Of several copies of an event, the one with the smallest file name, then the smallest line, is kept.
CASE WHEN error_type IS NULL THEN row_number() OVER copies END AS copy,
CASE WHEN copy > 1 THEN
    CASE WHEN trimmed(line) = first_value(trimmed(line)) OVER copies THEN 'duplicate_event' ELSE 'conflicting_duplicate' END
END AS duplicate
FROM typed
WINDOW copies AS (PARTITION BY event_id, error_type IS NULL ORDER BY trimmed(source_file), trimmed(line));

CREATE VIEW accepted AS SELECT * FROM events WHERE error_type IS NULL AND copy = 1;

CREATE VIEW daily AS
SELECT org_id, usage_date, service,
    count(*) AS total_events,
    sum(cost) AS total_cost_usd,
    round(coalesce(sum(value) FILTER (metric = 'requests'), 0), 0)::BIGINT AS total_requests,
    coalesce(sum(value) FILTER (metric = 'cpu_hours'), 0) AS total_cpu_hours,
    coalesce(sum(value) FILTER (metric = 'storage_gb_hours'), 0) AS total_storage_gb_hours,
    sum(carbon) AS total_carbon_kg,
    sum(tokens) AS total_genai_tokens
FROM accepted GROUP BY ALL;

-- Masters: the last valid record of a key is kept.
CREATE VIEW invoices AS
WITH typed AS (
    SELECT rowid AS position, a_key(invoice_id) AS invoice_id, a_key(org_id) AS org_id,
        month_or_day(trimmed(month)) AS month, amount(subtotal) AS subtotal,
        CASE WHEN trimmed(credits) IS NULL THEN 0 ELSE amount(credits) END::DECIMAL(18, 6) AS credits,
        CASE WHEN trimmed(taxes) IS NULL THEN 0 ELSE amount(taxes) END::DECIMAL(18, 6) AS taxes,
        upper(trimmed(currency)) AS currency,
        CASE WHEN is_number(trimmed(exchange_rate_to_usd))
            THEN TRY_CAST(trimmed(exchange_rate_to_usd) AS DECIMAL(18, 10)) END AS rate
    FROM billing_monthly
),
valid AS (
    SELECT *, CASE WHEN currency = 'USD' AND getvariable('usd_is_1') THEN 1 ELSE rate END::DECIMAL(38, 10) AS applied
    FROM typed
    WHERE invoice_id IS NOT NULL AND org_id IS NOT NULL AND month IS NOT NULL AND subtotal IS NOT NULL
        AND credits IS NOT NULL AND taxes IS NOT NULL AND currency IS NOT NULL AND rate > 0
        AND greatest(abs(subtotal), abs(credits), abs(taxes))::DECIMAL(38, 6) * rate < 10000000000000000
    QUALIFY row_number() OVER (PARTITION BY invoice_id ORDER BY position DESC) = 1
)
SELECT org_id, strftime(month, '%Y-%m') AS billing_month,
    round(subtotal * applied, 6) AS gross, round(credits * applied, 6) AS credit, round(taxes * applied, 6) AS tax
FROM valid;

CREATE VIEW revenue AS
SELECT org_id, billing_month, sum(gross) AS gross_revenue_usd, sum(credit) AS credits_applied_usd, sum(tax) AS taxes_usd,
    sum(gross) - sum(credit) AS net_revenue_usd, sum(gross) - sum(credit) + sum(tax) AS total_due_usd,
    count(*) AS invoice_count
FROM invoices GROUP BY ALL;

CREATE VIEW tickets AS
WITH typed AS (
    SELECT rowid AS position, a_key(ticket_id) AS ticket_id, a_key(org_id) AS org_id,
        coalesce(lowered(a_key(severity)), 'unknown') AS severity, day(trimmed(created_at)) AS created,
        trimmed(resolved_at) AS resolved_text, day(resolved_text) AS resolved, is_yes(trimmed(sla_breached)) AS breached
    FROM support_tickets
),
valid AS (
    SELECT * FROM typed
    WHERE ticket_id IS NOT NULL AND org_id IS NOT NULL AND created IS NOT NULL
        AND (resolved_text IS NULL OR resolved >= created)
    QUALIFY row_number() OVER (PARTITION BY ticket_id ORDER BY position DESC) = 1
)
SELECT org_id, created AS ticket_date, severity, count(*) AS total_tickets,
    count(*) FILTER (resolved IS NULL) AS open_tickets, count(*) FILTER (breached) AS sla_breach_count
FROM valid GROUP BY ALL;

CREATE VIEW surveys AS
WITH valid AS (
    SELECT rowid AS position, a_key(org_id) AS org_id, day(trimmed(survey_date)) AS survey_date
    FROM nps_surveys
    WHERE a_key(org_id) IS NOT NULL AND day(trimmed(survey_date)) IS NOT NULL
)
SELECT org_id, strftime(survey_date, '%Y-%m') AS month, count(DISTINCT survey_date) AS surveys FROM valid GROUP BY ALL;

CREATE VIEW campaigns AS
WITH valid AS (
    SELECT rowid AS position, a_key(touch_id) AS touch_id, coalesce(a_key(campaign), 'unknown') AS campaign,
        coalesce(lowered(a_key(channel)), 'unknown') AS channel, day(trimmed(timestamp)) AS touched,
        is_yes(trimmed(clicked)) AS clicked, is_yes(trimmed(converted)) AS converted
    FROM marketing_touches
    WHERE a_key(touch_id) IS NOT NULL AND a_key(org_id) IS NOT NULL AND touched IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY a_key(touch_id) ORDER BY position DESC) = 1
)
SELECT campaign, channel, strftime(touched, '%Y-%m') AS month, count(*) AS touches,
    count(*) FILTER (clicked) AS clicks, count(*) FILTER (converted) AS conversions
FROM valid GROUP BY ALL;
