"""Rules as columns: every rule of a source is evaluated once for each record, in one projection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import EVENTS, Config, SourceContract
from cloud_analytics.config.rules import CHECKS, SHARED, Rule
from cloud_analytics.tables.columns import LONGEST_KEY

# What Spark takes for constants of a query. A verdict must not depend on when, where and for whom it is given.
_CLOCK = re.compile(
    r"\b(current_(date|timestamp|timezone|user|database|schema|catalog)|localtimestamp|session_user)\b"
    r"|\b((curdate|now|unix_timestamp|user|version)\s*\(\s*\))"
    r"|\b(date|timestamp(_ltz|_ntz)?)\s*(['\"])\s*(today|tomorrow|yesterday|now)\b",
    re.IGNORECASE,
)
# Texts, quoted names and comments, in which none of these words means anything; but for texts that are a date.
_QUOTED = re.compile(
    r"(?i:\b(?:date|timestamp(?:_ltz|_ntz)?)\s*(?:'[^']*'|\"[^\"]*\"))"
    r"|(?P<quoted>'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`|--[^\n]*|/\*.*?\*/)",
    re.DOTALL,
)


def blank_key(contract: SourceContract, _column: str | None) -> Column:
    """True where a part of the natural key or org_id is blank, or too long to be a key in the store."""
    parts = [F.col(f"{name}_text") for name in dict.fromkeys([*contract.key, "org_id"])]
    return reduce(or_, [part.isNull() | (F.octet_length(part) > LONGEST_KEY) for part in parts])


def outside_vocabulary(contract: SourceContract, column: str | None) -> Column:
    """True where the column holds a word that its closed vocabulary does not have."""
    assert column is not None  # one rule for each column with a vocabulary
    words = contract.vocabularies[column]
    folded = [word.upper() if column == "currency" else word.lower() for word in words]
    return F.col(f"{column}_text").isNotNull() & ~F.col(column).isin(folded)


# Checks that read a source's contract, which a condition in YAML cannot do. `config.rules.CHECKS` names them as well.
_CHECKS: dict[str, Callable[[SourceContract, str | None], Column]] = {
    check.__name__: check for check in (blank_key, outside_vocabulary)
}
assert _CHECKS.keys() == CHECKS.keys()


def condition(rule: Rule, config: Config, source: str) -> Column:
    """True where a normalised record breaks the rule; null counts as unbroken."""
    if rule.when is not None:
        return F.expr(rule.when)
    return _CHECKS[rule.check or ""](config.sources[source], rule.column)


def with_verdicts(normalised: DataFrame, config: Config, source: str, keep: Sequence[str]) -> DataFrame:
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


def _names(conditions: Mapping[str, Column]) -> Column:
    """The names of the conditions that are true, as an array in the given order."""
    if not conditions:
        return F.array().cast("array<string>")
    none = F.array().cast("array<string>")
    names = F.array_compact(F.array(*[F.when(holds, F.lit(name)) for name, holds in conditions.items()]))
    # Spark interprets `array_compact` and all that is inside. Most records break no rule: of these it sees nothing.
    return F.when(reduce(or_, conditions.values()), names).otherwise(none)


def problems(records: DataFrame, config: Config, source: str) -> dict[str, str]:
    """Rules of a source that Spark cannot evaluate on one record alone: key of conf/rules.yaml → what is wrong.

    Conditions are only parsed and analysed, against the columns of `records`: no job runs.
    """
    rules = [rule for rule in config.rules_of(source) if not rule.by_step]
    if _problem(records, config, source, rules) is None:  # nearly always: then one analysis is enough
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
    """What is wrong with one of these rules: its key, and the problem; None where nothing is."""
    if any(rule.column is not None and rule.column not in records.columns for rule in rules):
        return "column", f"unknown column; allowed are {', '.join(records.columns)}"
    try:
        judged = records.select("*", *[condition(rule, config, source).alias(f"_{rule.id}") for rule in rules])
    except (ParseException, AnalysisException) as error:
        return "when", _in_short(error)
    kinds = {judged.schema[f"_{rule.id}"].dataType.simpleString() for rule in rules} - {"boolean"}
    if kinds:
        return "when", f"must be true or false, and is {', '.join(kinds)}"
    if any(_depends_on_the_clock(rule.when or "") for rule in rules) or not _plan(judged).deterministic():
        return "when", "must not depend on the clock or on chance; ingest_ts is the time of the ingest"
    if _height(judged) != _height(records) + 1:
        return "when", "must look at one record alone"
    return None


def _depends_on_the_clock(condition: str) -> bool:
    return bool(_CLOCK.search(_QUOTED.sub(lambda found: "''" if found["quoted"] else found[0], condition)))


def _plan(frame: DataFrame) -> Any:
    return frame._jdf.queryExecution().analyzed()


def _height(frame: DataFrame) -> int:
    """Nodes of the analysed plan. A condition on one record adds one projection, a window or a subquery adds more."""
    return len(str(_plan(frame).numberedTreeString()).splitlines())


def _in_short(error: AnalysisException | ParseException) -> str:
    """Spark's own words, without error class, position and plan."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    text = re.sub(r"^\[[A-Z_.]+\] ", "", text)
    text = re.sub(r"[.;]* *(;|\(line \d|SQLSTATE|line \d).*$", "", text).strip()
    return text[:1].lower() + text[1:]
