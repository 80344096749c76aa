"""Rules as Spark columns: one projection evaluates every rule of a source once per record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import Config, SourceContract
from cloud_analytics.config.rules import Rule
from cloud_analytics.tables.columns import LONGEST_KEY


def _blank_key(contract: SourceContract) -> Column:
    """True if org_id or a part of the natural key is blank, or too long for a key in the serving store."""
    parts = [F.col(f"{name}_text") for name in dict.fromkeys([*contract.key, "org_id"])]
    return reduce(or_, [part.isNull() | (F.octet_length(part) > LONGEST_KEY) for part in parts])


def _outside_vocabulary(contract: SourceContract, column: str) -> Column:
    """True if the column holds a word that is not in its closed vocabulary."""
    words = contract.vocabularies[column]
    folded = [word.upper() if column == "currency" else word.lower() for word in words]
    return F.col(f"{column}_text").isNotNull() & ~F.col(column).isin(folded)


def condition(rule: Rule, config: Config, source: str) -> Column:
    """True if a normalised record breaks the rule. Null counts as not broken."""
    if rule.when is not None:
        return F.expr(rule.when)
    contract = config.sources[source]  # which a condition in YAML cannot read
    if rule.check == "blank_key":
        return _blank_key(contract)
    assert rule.column is not None  # outside_vocabulary is one rule per column with a vocabulary
    return _outside_vocabulary(contract, rule.column)


def with_verdicts(normalised: DataFrame, config: Config, source: str, keep: Sequence[str]) -> DataFrame:
    """Normalised records → the columns `keep`, `errors` (empty: passed), `warnings`. One row per record, none dropped.

    All conditions see the normalised record; `nullify` rules set their columns to null only in the result.
    """
    rules = [rule for rule in config.rules_of(source) if not rule.by_step]
    broken = {rule.id: condition(rule, config, source) for rule in rules}
    nulled: dict[str, list[Column]] = {}
    for rule in rules:
        if rule.severity == "nullify" and rule.column is not None:
            nulled.setdefault(rule.column, []).append(broken[rule.id])
    columns = [F.when(~_any(nulled[name]), F.col(name)).alias(name) if name in nulled else F.col(name) for name in keep]
    errors = {rule.id: broken[rule.id] for rule in rules if rule.severity == "reject"}
    warnings = {rule.id: broken[rule.id] for rule in rules if rule.severity != "reject"}
    return normalised.select(*columns, _names(errors).alias("errors"), _names(warnings).alias("warnings"))


def _any(conditions: list[Column]) -> Column:
    return reduce(or_, [F.coalesce(found, F.lit(False)) for found in conditions])


def _names(conditions: Mapping[str, Column]) -> Column:
    """The names of the true conditions, as an array in the given order."""
    none = F.array().cast("array<string>")
    if not conditions:
        return none
    names = F.array_compact(F.array(*[F.when(holds, F.lit(name)) for name, holds in conditions.items()]))
    # Spark interprets `array_compact` and its arguments. Most records break no rule, and `when` skips this for them.
    return F.when(reduce(or_, conditions.values()), names).otherwise(none)
