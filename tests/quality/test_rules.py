"""conf/rules.yaml: what is wrong with it is told at once, and what people write there decides verdicts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.config import MASTERS, Config, load
from cloud_analytics.errors import ConfigError
from cloud_analytics.lake.lake import Lake
from cloud_analytics.quality import conditions, events, masters
from cloud_analytics.quality.verify import verify_rules
from cloud_analytics.tables.zones import BRONZE_EVENTS
from tests.conftest import REPOSITORY

Edit = Callable[[dict[str, list[dict[str, Any]]]], None]
WARN = {"severity": "warn", "message": "for this test"}
REJECT = {"severity": "reject", "message": "for this test"}


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Edit], Path]:
    """The shipped configuration, its rules edited."""
    conf = Path(shutil.copytree(REPOSITORY / "conf", tmp_path / "conf"))

    def edit(change: Edit) -> Path:
        path = conf / "rules.yaml"
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(rules)
        path.write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
        return conf

    return edit


def rule(rules: dict[str, list[dict[str, Any]]], group: str, name: str) -> dict[str, Any]:
    return next(item for item in rules[group] if item["id"] == name)


def test_every_problem_of_the_file_is_told_at_once(edited: Callable[[Edit], Path]) -> None:
    def spoil(rules: dict[str, list[dict[str, Any]]]) -> None:
        rules["toasters"] = []
        rules["users"].append({"id": "invalid_date", "when": "true", **REJECT})
        rules["users"].append({"id": "missing_key", "when": "true", **REJECT})  # the masters have one
        rules["users"].append({"id": "Odd Name", "when": "true", **WARN})
        rules["users"].append({"id": 300 * "x", "when": "true", **REJECT})
        rules["usage_events"].append({"id": "late", "check": "sundial", **WARN})
        rules["usage_events"].append({"id": "both", "check": "bronze", "when": "true", **WARN})
        rules["usage_events"].append({"id": "no_cost", "column": "cost_usd", "when": "true", "message": "m",
                                      "severity": "nullify"})  # fmt: skip
        rules["usage_events"].append({"id": "after_copies", "when": "true", **REJECT})
        rule(rules, "usage_events", "negative_cost")["severity"] = "shout"
        rule(rules, "usage_events", "unknown_service")["severity"] = "warn"
        rules["resources"].remove(rule(rules, "resources", "too_many_tags"))
        rules["support_tickets"].remove(rule(rules, "support_tickets", "implausible_created_at"))
        del rules["billing_monthly"]

    with pytest.raises(ConfigError) as caught:
        load(edited(spoil))
    text = "\n".join(caught.value.problems)
    for expected in (
        "rules.yaml: toasters: unknown source; allowed are usage_events, masters, customers_orgs",
        "rules.yaml: users.invalid_date.id: is declared 2 times",
        "rules.yaml: users.missing_key.id: is declared 2 times",
        "rules.yaml: users.Odd Name.id: string should match pattern",
        f"rules.yaml: users.{300 * 'x'}.id: string should have at most 100 characters",
        "rules.yaml: usage_events.late.check: unknown check 'sundial'; allowed are bronze, copies",
        "rules.yaml: usage_events.both: give either `when` (a condition) or `check`",
        "rules.yaml: usage_events.no_cost.column: 'cost_usd' must not be null",
        "rules.yaml: usage_events: the order of rejects is: check bronze, conditions, check copies",
        "rules.yaml: usage_events.negative_cost.severity: input should be 'reject', 'nullify' or 'warn'",
        "rules.yaml: usage_events.unknown_service: must be declared with severity reject",
        "rules.yaml: billing_monthly.invalid_rate: must be declared with severity reject",
        "rules.yaml: resources.too_many_tags: must be declared: a mart relies on it",
        "rules.yaml: support_tickets.implausible_created_at: must be declared: a mart relies on it",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("cost_usd <", "syntax error"),
        ("price > 1", "with name `price` cannot be resolved"),
        ("cost_usd", "must be true or false, and is decimal(18,6)"),
        ("rand() > 0.5", "must not depend on the clock or on chance"),
        ("event_ts > now()", "must not depend on the clock or on chance"),
        ("event_ts > `now`()", "must not depend on the clock or on chance"),
        ("event_ts > now /* that is */ ()", "must not depend on the clock or on chance"),
        ("hex(aes_encrypt(org_id, '0000111122223333')) > 'A'", "must not depend on the clock or on chance"),
        ("org_id = (SELECT 'org')", "must look at one record alone"),
        ("event_ts < date 'Yesterday'", "must not depend on the clock or on chance"),
        ("org_id = current_user", "must not depend on the clock or on chance"),
        ("org_id = version()", "must not depend on the clock or on chance"),
        ("current_timezone() = 'UTC' OR unix_timestamp() > 0", "must not depend on the clock or on chance"),
        ("event_ts > localtimestamp() OR org_id = current_database()", "must not depend on the clock or on chance"),
        ("date > curdate()", "must not depend on the clock or on chance"),
        ("count(*) OVER (PARTITION BY event_id) > 1", "must look at one record alone"),
        ("count(*) > 1", "GROUP BY"),
        ("raw RLIKE '('", "fails on a record: "),
        ("element_at(array(1), 0) = 1", "fails on a record: "),
        ("element_at(array(1), schema_version - 1) = 1", "fails on a record: "),
        ("raw IS NULL AND raise_error('x') IS NULL", "fails on a record: "),
    ],
)
def test_a_condition_that_spark_cannot_evaluate_is_told(
    when: str, problem: str, edited: Callable[[Edit], Path], spark: SparkSession, tmp_path: Path
) -> None:
    def spoil(rules: dict[str, list[dict[str, Any]]]) -> None:
        rules["usage_events"].insert(0, {"id": "odd", "when": when, **WARN})
        rules["nps_surveys"].append({"id": "lost", "when": "true", "column": "nothing", "message": "m",
                                     "severity": "nullify"})  # fmt: skip

    with pytest.raises(ConfigError) as caught:
        verify_rules(Lake(spark, str(tmp_path / "lake")), load(edited(spoil)))
    first, second = caught.value.problems
    assert first.startswith("rules.yaml: usage_events.odd.when: ")
    assert problem in first
    assert first.endswith(f"(found {when!r})")
    assert second.startswith("rules.yaml: nps_surveys.lost.column: unknown column; allowed are org_id, survey_date")


@pytest.mark.parametrize(
    "when",
    [
        "org_id LIKE '%now()%'",
        "unix_timestamp(event_ts) < 0",
        "event_ts < DATE '2020-01-01' /* current_date */",
        "org_id = 'of \n two lines'",
    ],
)
def test_a_condition_that_only_looks_like_a_wrong_one_is_allowed(
    when: str, edited: Callable[[Edit], Path], spark: SparkSession, tmp_path: Path
) -> None:
    path = edited(lambda rules: rules["usage_events"].insert(3, {"id": "odd", "when": when, **WARN}))
    verify_rules(Lake(spark, str(tmp_path / "lake")), load(path))


@pytest.mark.parametrize(("group", "column"), [("billing_monthly", "credits"), ("support_tickets", "created_at"),
                                               ("users", "user_id"), ("masters", "org_id")])  # fmt: skip
def test_no_rule_makes_a_key_or_an_amount_null(group: str, column: str, edited: Callable[[Edit], Path]) -> None:
    """Sums would be without it, and two records without a key would be copies of each other."""
    rule = {"id": "odd", "when": "true", "column": column, "message": "m", "severity": "nullify"}
    with pytest.raises(ConfigError) as caught:
        load(edited(lambda rules: rules[group].append(rule)))
    assert f"rules.yaml: {group}.odd.column: '{column}' must not be null" in caught.value.problems[0]


def test_the_columns_that_rules_are_checked_against_are_those_they_see(spark: SparkSession, config: Config) -> None:
    seen = events.normalised(spark.createDataFrame([], BRONZE_EVENTS.schema), config)
    assert seen.dtypes == spark.createDataFrame([], events.NORMALISED).dtypes
    for source in MASTERS:
        bronze = spark.createDataFrame([], bronze_masters.schema(config.sources[source]))
        seen = masters.normalised(bronze, source, config)
        assert seen.dtypes == spark.createDataFrame([], masters.normalised_schema(source, config)).dtypes


def test_wording_is_not_in_the_fingerprint_and_the_rest_of_a_rule_is(edited: Callable[[Edit], Path]) -> None:
    before = load(REPOSITORY / "conf").fingerprint()

    def reword(rules: dict[str, list[dict[str, Any]]]) -> None:
        rule(rules, "usage_events", "negative_cost")["message"] = "Too cheap."

    def reorder(rules: dict[str, list[dict[str, Any]]]) -> None:
        rules["usage_events"].insert(5, rules["usage_events"].pop(4))

    def loosen(rules: dict[str, list[dict[str, Any]]]) -> None:
        rule(rules, "usage_events", "negative_cost")["when"] = "cost_usd < -1"

    assert load(edited(reword)).fingerprint() == before
    prints = {before, load(edited(reorder)).fingerprint(), load(edited(loosen)).fingerprint()}
    assert len(prints) == 3


def test_nullify_takes_the_attribute_after_all_conditions_have_seen_it(
    edited: Callable[[Edit], Path], spark: SparkSession
) -> None:
    def add(rules: dict[str, list[dict[str, Any]]]) -> None:
        rules["usage_events"] += [
            {"id": "no_value", "severity": "nullify", "column": "value", "when": "value > 100", "message": "m"},
            {"id": "unknowable", "severity": "nullify", "column": "value", "when": "value > NULL", "message": "m"},
            {"id": "large", "when": "value > 99", **WARN},
        ]

    config = load(edited(add))
    rows = spark.createDataFrame([("a", 100), ("b", 101)], "event_id string, value int")
    for field in events.NORMALISED:
        if field.name not in rows.columns:
            rows = rows.withColumn(field.name, F.lit(None).cast(field.dataType))
    judged = conditions.with_verdicts(rows, config, "usage_events", ["event_id", "value"])
    found = {row.event_id: (row.value, row.warnings) for row in judged.collect()}
    usual = ["missing_value", "unknown_region"]
    assert found == {"a": (100, [*usual, "large"]), "b": (None, [*usual, "no_value", "large"])}
