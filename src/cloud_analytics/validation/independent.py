"""Compute Gold again by an independent route: DuckDB over the landing files, without the code of the pipeline's steps.

Python splits event files into lines, because DuckDB takes only valid UTF-8. Parsing, rules, duplicates and sums are SQL
(independent.sql). The rows of both sides are compared exactly: without rounding and without tolerance.
"""

from __future__ import annotations

import csv
import glob
import gzip
import importlib.resources
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake import periods
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.validation.known_rules import KnownRules, known_rules

_FOLDER = "usage_events_stream"
_ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
_BLANKS = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
_MASTERS = ("billing_monthly", "support_tickets", "nps_surveys", "marketing_touches")
# mart → (its view in independent.sql, its source, its key, the columns that are compared)
MARTS: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "org_daily_usage_by_service": (
        "daily",
        EVENTS,
        ("org_id", "usage_date", "service"),
        ("total_events", "total_cost_usd", "total_requests", "total_cpu_hours", "total_storage_gb_hours",
         "total_carbon_kg", "total_genai_tokens"),
    ),
    "revenue_by_org_month": (
        "revenue",
        "billing_monthly",
        ("org_id", "billing_month"),
        ("gross_revenue_usd", "credits_applied_usd", "taxes_usd", "net_revenue_usd", "total_due_usd", "invoice_count"),
    ),
    "tickets_by_org_date": (
        "tickets",
        "support_tickets",
        ("org_id", "ticket_date", "severity"),
        ("total_tickets", "open_tickets", "sla_breach_count"),
    ),
    "nps_by_org_month": ("surveys", "nps_surveys", ("org_id", "month"), ("surveys",)),
    "campaign_performance": (
        "campaigns", "marketing_touches", ("campaign", "channel", "month"), ("touches", "clicks", "conversions")
    ),
}  # fmt: skip


@dataclass(frozen=True)
class MartComparison:
    """A mart on both routes: row counts, the number of differing rows, and per column its sums (Gold, landing)."""

    mart: str
    gold_rows: int
    landing_rows: int
    differing_rows: int
    sums: dict[str, tuple[Any, Any]]
    organisations: int | None = None

    @property
    def equal(self) -> bool:
        """Whether every row agrees in every compared column."""
        return not self.differing_rows and all(gold == landing for gold, landing in self.sums.values())


@dataclass(frozen=True)
class IndependentRoute:
    """The result of the independent route: the marts compared with Gold, and the rejected lines of both sides.

    `rejected` and `rejected_by_pipeline` map error_type → lines. Both leave out lines that a user's own rules rejected
    (`set_aside`: rule → records). `not_compared` maps a mart to the rules that make a comparison impossible. The counts
    per error_type are compared only if the rules are in the order of the contract (`same_order`). In `closed` months,
    figures plus restatements are compared. Invoices of these months are not compared, because nothing restates them.
    """

    marts: list[MartComparison]
    not_compared: dict[str, str]
    lines: int
    set_aside: dict[str, int]
    rejected: dict[str, int]
    rejected_by_pipeline: dict[str, int]
    same_order: bool
    closed: list[str]

    @property
    def equal(self) -> bool:
        """Whether both routes agree in all compared marts and in the rejected lines."""
        here, there = self.rejected, self.rejected_by_pipeline
        same = here == there if self.same_order else sum(here.values()) == sum(there.values())
        return same and all(mart.equal for mart in self.marts)


def compare(landing: Path, lake: LakeReader, config: Config) -> IndependentRoute:
    """Compute the marts from a local landing folder and compare them with the marts of the lake."""
    rules = known_rules(config)
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        unreadable = load(connection, landing, config)
        lines = _one(connection, "SELECT count(*) FROM lines")[0] + unreadable
        set_aside = _set_aside(connection, lake, rules.own_rejects)
        query = "SELECT source_file, max(ingest_ts) AT TIME ZONE 'UTC' AS ingest_ts FROM bronze.usage_events"
        connection.register("files", lake.arrow(f"{query} GROUP BY source_file"))
        connection.execute("CREATE TABLE ingested AS FROM files")
        compute(connection, config, rules)
        causes = connection.execute(
            "SELECT coalesce(error_type, duplicate) AS cause, count(*) FROM events"
            " WHERE cause IS NOT NULL GROUP BY cause ORDER BY cause"
        )
        rejected = dict(causes.fetchall())
        if unreadable:
            rejected["unreadable_file"] = unreadable
        there = lake.rows(
            "SELECT error_type, count(*) AS rows FROM quarantine.usage_events"
            " WHERE NOT list_has_any(errors, ?::VARCHAR[]) GROUP BY error_type ORDER BY error_type",
            [rules.own_rejects],
        )
        kept_out = {source: f"{', '.join(names)} of {source}" for source, names in rules.not_comparable.items()}
        not_compared = {mart: kept_out[source] for mart, (_, source, *_) in MARTS.items() if source in kept_out}
        closed = sorted(lake.load(periods.DOCUMENT).closed)
        return IndependentRoute(
            marts=[_compare(connection, lake, mart, closed) for mart in MARTS if mart not in not_compared],
            not_compared=not_compared,
            lines=lines,
            set_aside=set_aside,
            rejected=rejected,
            rejected_by_pipeline={row["error_type"]: row["rows"] for row in there},
            same_order=rules.same_order,
            closed=closed,
        )


def load(connection: duckdb.DuckDBPyConnection, landing: Path, config: Config) -> int:
    """Fill `lines` and one table per master. Returns the number of event files that cannot be read to their end."""
    unreadable = _load_lines(connection, landing)
    for source in _MASTERS:
        _load_master(connection, landing, source, config.sources[source].required)
    return unreadable


def compute(connection: duckdb.DuckDBPyConnection, config: Config, rules: KnownRules) -> None:
    """From the tables that `load` filled, create the events with verdicts and one view per mart (independent.sql)."""
    taxonomy = config.taxonomy
    words = {**{name: name for name in taxonomy.services}, **taxonomy.service_aliases}
    connection.execute("SET TimeZone = 'UTC'; CREATE TABLE services (word VARCHAR, name VARCHAR)")
    connection.executemany("INSERT INTO services VALUES (?, ?)", [[w.strip().lower(), n] for w, n in words.items()])
    connection.execute("CREATE TABLE metrics (name VARCHAR, unit VARCHAR, most DECIMAL(18, 6))")
    connection.executemany(
        "INSERT INTO metrics VALUES (?, ?, ?)",
        [[n.strip().lower(), (m.unit or "count").strip().lower(), m.max] for n, m in taxonomy.metrics.items()],
    )
    for name, value in (
        ("blanks", _BLANKS),
        ("applied", rules.applied),
        ("cost_floor", Decimal(rules.numbers.get("negative_cost", "0"))),
        ("tolerance_hours", int(rules.numbers.get("future_timestamp", "0"))),
        ("usd_is_1", config.pipeline.fx.usd_rate == "identity"),
    ):
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    connection.execute("CREATE TABLE IF NOT EXISTS ingested (source_file VARCHAR, ingest_ts TIMESTAMP)")
    connection.execute((importlib.resources.files(__package__) / "independent.sql").read_text(encoding="utf-8"))


def _set_aside(connection: duckdb.DuckDBPyConnection, lake: LakeReader, own: Sequence[str]) -> dict[str, int]:
    """Delete the lines that a user's `own` rules rejected. Returns rule → the number of records that it rejected."""
    if not own:
        return {}
    query = "SELECT source_file, raw AS line, errors FROM quarantine.usage_events"
    connection.register("set_aside", lake.arrow(f"{query} WHERE list_has_any(errors, ?::VARCHAR[])", [own]))
    connection.execute("DELETE FROM lines WHERE (source_file, line) IN (SELECT (source_file, line) FROM set_aside)")
    errors = connection.execute(
        "SELECT error, count(*) FROM (SELECT unnest(errors) AS error FROM set_aside) GROUP BY error"
    )
    return {name: 0 for name in own} | {name: count for name, count in errors.fetchall() if name in own}


def _visible(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.endswith(endings) and path.name[0] not in "_.")


def _load_lines(connection: duckdb.DuckDBPyConnection, landing: Path) -> int:
    """Create and fill the table `lines`. Returns the number of files that cannot be read to their end."""
    connection.execute("CREATE TABLE lines (source_file VARCHAR, line VARCHAR)")
    unreadable = 0
    for path in _visible(landing / _FOLDER, _ENDINGS):
        try:
            content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
        except (OSError, EOFError, zlib.error):
            unreadable += 1
            continue
        texts = pa.array(_texts(content), pa.string())
        batch = pa.table({"source_file": pa.repeat(pa.scalar(path.name), len(texts)), "line": texts})
        connection.register("batch", batch)
        connection.execute("INSERT INTO lines SELECT source_file, line FROM batch")
        connection.unregister("batch")
    return unreadable


def _texts(content: bytes) -> Iterator[str]:
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        try:
            text = line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError:
            text = "not UTF-8"  # this is not JSON, so it is rejected as malformed_json
        if text.strip(_BLANKS):
            yield text


def _load_master(connection: duckdb.DuckDBPyConnection, landing: Path, source: str, columns: Sequence[str]) -> None:
    typed = ", ".join(f'"{column}" VARCHAR' for column in columns)
    connection.execute(f"CREATE TABLE {source} ({typed})")
    single = landing / f"{source}.csv"
    files = [*([single] if single.is_file() else []), *_visible(landing / source, (".csv",))]
    for path in sorted(files, key=lambda path: path.name):
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = next((fields for fields in csv.reader(file) if fields), [])
            header = [name.strip(_BLANKS).casefold() for name in first]
        if header:
            # Columns are declared by position, so DuckDB need not detect the format, which fails on broken files.
            place = {name: number for number, name in enumerate(header)}
            names = ", ".join(f"c{place[column]}" for column in columns)
            given = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(header)))
            # DuckDB skips a record that does not fit the header, because the contract rejects it.
            connection.execute(
                f"INSERT INTO {source} SELECT {names} FROM read_csv(?, header = true, delim = ',', quote = '\"',"
                f" escape = '\"', auto_detect = false, columns = {{{given}}}, ignore_errors = true,"
                " strict_mode = true, null_padding = false, parallel = false)",
                [glob.escape(str(path))],
            )


def _restate(connection: duckdb.DuckDBPyConnection, lake: LakeReader, closed: Sequence[str]) -> None:
    """Make gold_daily and landing_daily comparable in closed months: add the restatements to gold_daily.

    Rows whose figures are all 0 are removed from both. total_events is not restated, so it is set to 0 in both.
    """
    _, _, key, (_, *measures) = MARTS["org_daily_usage_by_service"]
    names = ", ".join(key)
    connection.register("restated", lake.arrow(f"SELECT {names}, {', '.join(measures)} FROM gold.restatements"))
    sums = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in measures)
    nothing = " AND ".join(f"{name} = 0" for name in measures)
    is_closed = f"strftime(usage_date, '%Y-%m') IN ({', '.join(repr(month) for month in closed)})"
    for table, added in (("gold_daily", "UNION ALL BY NAME FROM restated"), ("landing_daily", "")):
        connection.execute(
            f"CREATE TABLE closed_{table} AS SELECT {names}, 0 AS total_events, {sums}"
            f" FROM (FROM {table} {added}) WHERE {is_closed} GROUP BY {names}"
        )
        connection.execute(f"DELETE FROM {table} WHERE {is_closed}")
        connection.execute(f"INSERT INTO {table} BY NAME FROM closed_{table} WHERE NOT ({nothing})")


def _compare(
    connection: duckdb.DuckDBPyConnection, lake: LakeReader, mart: str, closed: Sequence[str]
) -> MartComparison:
    view, _, key, columns = MARTS[mart]
    names = ", ".join((*key, *columns))
    connection.register("stored", lake.arrow(f"SELECT {names} FROM gold.{mart}"))
    connection.execute(f"CREATE TABLE gold_{view} AS FROM stored")
    connection.execute(f"CREATE TABLE landing_{view} AS SELECT {names} FROM {view}")
    if closed and view == "daily":
        _restate(connection, lake, closed)
    if closed and view == "revenue":
        for side in ("gold", "landing"):
            connection.execute(f"DELETE FROM {side}_{view} WHERE list_contains(?, billing_month)", [list(closed)])
    sums = ", ".join(f"sum({column})" for column in columns)
    gold, landed = (_one(connection, f"SELECT count(*), {sums} FROM {side}_{view}") for side in ("gold", "landing"))
    match = " AND ".join(f"g.{name} IS NOT DISTINCT FROM l.{name}" for name in key)
    differ = " OR ".join(f"g.{name} IS DISTINCT FROM l.{name}" for name in columns)
    (differing,) = _one(
        connection,
        f"SELECT count(*) FROM gold_{view} g FULL JOIN landing_{view} l ON {match}"
        f" WHERE g.{key[0]} IS NULL OR l.{key[0]} IS NULL OR {differ}",
    )
    orgs = _one(connection, f"SELECT count(DISTINCT org_id) FROM gold_{view}")[0] if "org_id" in key else None
    return MartComparison(mart, gold[0], landed[0], differing, dict(zip(columns, zip(gold[1:], landed[1:]))), orgs)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    (row,) = connection.execute(query).fetchall()  # an aggregate without groups has one row
    found: tuple[Any, ...] = row
    return found
