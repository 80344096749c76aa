"""Check, before any data are read, that Spark can evaluate the rules and that masters have the columns of Silver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DateType, StructType, TimestampType

from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.config.rules import SHARED, Rule
from cloud_analytics.errors import ConfigError, cause_line
from cloud_analytics.lake import built
from cloud_analytics.lake.lake import Lake
from cloud_analytics.quality import events, masters
from cloud_analytics.quality.conditions import condition
from cloud_analytics.tables.zones import SILVER_MASTERS

_OURS = ("warnings", "ingest_ts", "source_file")  # columns that Silver adds to those of a file
# Spark marks what depends on the clock, the user or the session in its plans, but not these: literals such as
# DATE 'today', which the parser replaces by a value, and two functions that count as deterministic.
_UNMARKED = re.compile(
    r"\b(aes_encrypt\b|version`?\s*\(|(date|timestamp(_ltz|_ntz)?)\s*['\"]\s*(today|tomorrow|yesterday|now)\b)",
    re.IGNORECASE,
)
_verified: set[str] = set()  # fingerprints of configurations that this process has verified


def verify_rules(lake: Lake, config: Config) -> None:
    """Parse, analyse and try each condition without a Spark job. ConfigError lists every problem with its file and key.

    A configuration is not checked again if the lake was last judged by it, or this process has checked it before.
    """
    if config.fingerprint() in _verified | {lake.load(built.RULES).judged_by}:
        return
    lacking = [
        f"sources.yaml: {source}.required: lacks {name}"
        for source in MASTERS
        for name in SILVER_MASTERS[source].schema.names
        if name not in (*config.sources[source].required, *_OURS)
    ]
    if lacking:
        raise ConfigError(lacking)
    schemas = {EVENTS: events.NORMALISED, **{source: masters.normalised_schema(source, config) for source in MASTERS}}
    shared = {rule.id for rule in config.rules.of(SHARED)}
    problems: dict[str, str] = {}
    for source, schema in schemas.items():
        records = _two_records(lake.spark, schema)
        rules = [rule for rule in config.rules_of(source) if not rule.by_step]
        if _problem(records, config, source, rules) is None:  # nearly always, and then one analysis is enough
            continue
        for rule in rules:
            if found := _problem(records, config, source, [rule]):
                group = SHARED if source != EVENTS and rule.id in shared else source
                key, problem = found
                # A wrong rule that all masters share is reported once.
                problems.setdefault(f"{group}.{rule.id}.{key}", f"{problem} (found {getattr(rule, key)!r})")
    if problems:
        raise ConfigError([f"rules.yaml: {key}: {problem}" for key, problem in problems.items()])
    _verified.add(config.fingerprint())


def _two_records(spark: SparkSession, schema: StructType) -> DataFrame:
    """One record with values and one with nulls. Spark evaluates such literal rows in the optimiser, without a job."""
    rows: list[list[str]] = [[], []]
    for field in schema:
        value = "2025-06-01" if isinstance(field.dataType, DateType | TimestampType) else "1"
        for row, written in zip(rows, (f"'{value}'", "NULL")):
            row.append(f"CAST({written} AS {field.dataType.simpleString()})")
    values = ", ".join(f"({', '.join(row)})" for row in rows)
    return spark.sql(f"SELECT * FROM VALUES {values} AS record({', '.join(f'`{name}`' for name in schema.names)})")


def _problem(records: DataFrame, config: Config, source: str, rules: Sequence[Rule]) -> tuple[str, str] | None:
    """The first problem with these rules, as (key of the rule in YAML, message); None if there is no problem."""
    if any(rule.column is not None and rule.column not in records.columns for rule in rules):
        return "column", f"unknown column; allowed are {', '.join(records.columns)}"
    try:
        judged = records.select("*", *[condition(rule, config, source).alias(f"_{rule.id}") for rule in rules])
    except (ParseException, AnalysisException) as error:
        return "when", _in_short(error)
    kinds = {judged.schema[f"_{rule.id}"].dataType.simpleString() for rule in rules} - {"boolean"}
    if kinds:
        return "when", f"must be true or false, and is {', '.join(kinds)}"
    if _depends_on_the_moment(judged, rules):
        return "when", "must not depend on the clock or on chance; ingest_ts is the time of the ingest"
    # A condition on one record adds one projection. A window, a generator or a subquery adds more.
    if _nodes(_plan(judged)) != _nodes(_plan(records)) + 1 or not _plan(judged).subqueriesAll().isEmpty():
        return "when", "must look at one record alone"
    try:
        judged._jdf.queryExecution().optimizedPlan()
    except (PySparkException, Py4JJavaError) as error:  # an error that Spark finds only on a record
        why = _in_short(error) if isinstance(error, PySparkException) else cause_line(error)
        return "when", f"fails on a record: {why}"
    return None


def _depends_on_the_moment(judged: DataFrame, rules: Sequence[Rule]) -> bool:
    """Whether a verdict may depend on when, where or for whom it is computed, or on chance."""
    if any(_UNMARKED.search(rule.when or "") for rule in rules):
        return True
    patterns: Any = judged.sparkSession._jvm.org.apache.spark.sql.catalyst.trees.TreePattern  # type: ignore[union-attr]
    return bool(_plan(judged).containsPattern(patterns.CURRENT_LIKE())) or not _plan(judged).deterministic()


def _plan(frame: DataFrame) -> Any:
    return frame._jdf.queryExecution().analyzed()


def _nodes(plan: Any) -> int:
    """The number of operators of a logical plan, without those of subqueries."""
    children = plan.children()
    return 1 + sum(_nodes(children.apply(place)) for place in range(children.length()))


def _in_short(error: PySparkException) -> str:
    """Spark's message without error class, position and plan."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    text = re.sub(r"^\[[A-Z_.]+\] ", "", text)
    text = re.sub(r"[.;]* *(;|\(line \d|SQLSTATE|line \d).*$", "", text).strip()
    return text[:1].lower() + text[1:]
