"""Rules → columns: every rule of a source evaluated once a record, in one projection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.config.rules import SHARED, Rule
from cloud_analytics.quality.checks import REGISTERED

# Spark takes these for constants of a query; a verdict must not depend on when it is given.
_CLOCK = re.compile(r"\b(current_date|current_timestamp|curdate|localtimestamp|now|unix_timestamp)\b", re.IGNORECASE)


def condition(rule: Rule, config: Config, source: str) -> Column:
    """True where a normalised record breaks the rule; null counts as unbroken."""
    if rule.when is not None:
        return F.expr(rule.when)
    return REGISTERED[rule.check or ""](config.sources[source], rule.column)


def apply(normalised: DataFrame, config: Config, source: str, keep: Sequence[str]) -> DataFrame:
    """Normalised records → the columns `keep`, `errors` (empty: passed) and `warnings`. One record a row, none dropped.

    All conditions see the record as it was normalised; only then `nullify` rules set their columns null.
    """
    rules = [rule for rule in config.rules_of(source) if not rule.by_step]
    broken = {rule.id: condition(rule, config, source) for rule in rules}
    nulled: dict[str, list[Column]] = {}
    for rule in rules:
        if rule.severity == "nullify" and rule.column is not None:
            nulled.setdefault(rule.column, []).append(broken[rule.id])
    columns = [_unless(nulled[name], name) if name in nulled else F.col(name) for name in keep]
    errors = {rule.id: broken[rule.id] for rule in rules if rule.severity == "reject"}
    warnings = {rule.id: broken[rule.id] for rule in rules if rule.severity != "reject"}
    return normalised.select(*columns, _names(errors).alias("errors"), _names(warnings).alias("warnings"))


def _unless(conditions: list[Column], name: str) -> Column:
    broken = reduce(or_, [F.coalesce(found, F.lit(False)) for found in conditions])
    return F.when(~broken, F.col(name)).alias(name)


def _names(found: Mapping[str, Column]) -> Column:
    """The names whose condition is true, as an array in the given order."""
    if not found:
        return F.array().cast("array<string>")
    return F.array_compact(F.array(*[F.when(holds, F.lit(name)) for name, holds in found.items()]))


def problems(records: DataFrame, config: Config, source: str) -> dict[str, str]:
    """Key of conf/rules.yaml → what is wrong, for each rule of a source that Spark cannot evaluate on one record alone.

    Conditions are only parsed and analysed, against the columns of `records`: no job runs.
    """
    rules = [rule for rule in config.rules_of(source) if not rule.by_step]
    if _problem(records, config, source, rules) is None:  # nearly always all is well, and one look tells
        return {}
    shared = {rule.id for rule in config.rules.of(SHARED)} if source != EVENTS else set()
    found = {}
    for rule in rules:
        problem = _problem(records, config, source, [rule])
        if problem is not None:
            group = SHARED if rule.id in shared else source
            found[f"{group}.{rule.id}.{problem[0]}"] = f"{problem[1]} (found {getattr(rule, problem[0])!r})"
    return found


def _problem(records: DataFrame, config: Config, source: str, rules: Sequence[Rule]) -> tuple[str, str] | None:
    """What is wrong with one of these rules: the key, and what it is."""
    if any(rule.column is not None and rule.column not in records.columns for rule in rules):
        return "column", f"unknown column; allowed are {', '.join(records.columns)}"
    try:
        judged = records.select("*", *[condition(rule, config, source).alias(f"_{rule.id}") for rule in rules])
    except (ParseException, AnalysisException) as error:
        return "when", _in_short(error)
    kinds = {judged.schema[f"_{rule.id}"].dataType.simpleString() for rule in rules} - {"boolean"}
    if kinds:
        return "when", f"must be true or false, and is {', '.join(kinds)}"
    if any(_CLOCK.search(rule.when or "") for rule in rules) or not _plan(judged).deterministic():
        return "when", "must not depend on the clock or on chance; ingest_ts is the time of the ingest"
    if _height(judged) != _height(records) + 1:
        return "when", "must look at one record alone"
    return None


def _plan(frame: DataFrame) -> Any:
    return frame._jdf.queryExecution().analyzed()


def _height(frame: DataFrame) -> int:
    """Nodes of the analysed plan: a condition on one record adds one projection; a window or a subquery adds more."""
    return len(str(_plan(frame).numberedTreeString()).splitlines())


def _in_short(error: AnalysisException | ParseException) -> str:
    """Spark's own words, without error class, position and plan."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    text = re.sub(r"^\[[A-Z_.]+\] ", "", text)
    text = re.sub(r"[.;]* *(;|\(line \d|SQLSTATE|line \d).*$", "", text).strip()
    return text[:1].lower() + text[1:]
