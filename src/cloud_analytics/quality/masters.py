"""Records of masters: Bronze's texts → normalised values → verdicts by conf/rules.yaml (contract 5).

The declared type of a Silver column decides how its text is parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from cloud_analytics.config import Config
from cloud_analytics.landing.text import boolean, decimal, each_trimmed, iso_date, iso_month, json_text
from cloud_analytics.quality.conditions import with_verdicts
from cloud_analytics.tables.spark_types import schema
from cloud_analytics.tables.zones import MASTER_METADATA, SILVER_MASTERS

_RATE_SCALE = 10  # exact for subtotal × rate: DECIMAL(18,6) × DECIMAL(18,10) fits 38 digits
_METADATA = {column.name: column.type for column in MASTER_METADATA}


def _amount(text: Column) -> Column:
    """The text as a number; blank is 0."""
    return F.when(text.isNotNull(), decimal(text)).otherwise(F.lit(0).cast("decimal(18,6)"))


# Name of a type → the parser of a trimmed text (null if blank). A parser returns null for an invalid text.
_BY_TYPE: dict[str, Callable[[Column], Column]] = {"date": iso_date, "boolean": boolean, "decimal": decimal}
# The columns for which the type alone does not decide the parser.
_SPECIAL: dict[str, dict[str, Callable[[Column], Column]]] = {
    "resources": {"tags_json": json_text},
    "billing_monthly": {
        "month": iso_month,
        "credits": _amount,
        "taxes": _amount,
        "exchange_rate_to_usd": partial(decimal, scale=_RATE_SCALE),
    },
}


def normalised_schema(source: str, config: Config) -> StructType:
    """The columns of a normalised record of a master. The conditions of its rules may use all of them."""
    types = _types(source, config)
    return schema(types | {f"{name}_text": "string" for name in types} | _METADATA)


def _types(source: str, config: Config) -> dict[str, str]:
    """Column of a master's contract → the name of its type in Silver; a column that Silver lacks is text."""
    types = {column.name: column.type for column in SILVER_MASTERS[source].columns}
    return {name: types.get(name, "string") for name in config.sources[source].required}


def normalised(bronze: DataFrame, source: str, config: Config) -> DataFrame:
    """A master's Bronze snapshot → typed columns, and the trimmed texts as `<column>_text`. One row per record."""
    contract, types = config.sources[source], _types(source, config)
    texts = {name: F.col("_texts")[index] for index, name in enumerate(contract.required)}
    typed = {}
    for name, text in texts.items():
        if name in contract.vocabularies:
            text = F.upper(text) if name == "currency" else F.lower(text)
        parse = _SPECIAL.get(source, {}).get(name) or _BY_TYPE.get(types[name].partition("(")[0])
        typed[name] = parse(text) if parse else text
    return bronze.withColumn("_texts", each_trimmed(F.array(*contract.required))).select(
        *[column.alias(name) for name, column in typed.items()],
        *[text.alias(f"{name}_text") for name, text in texts.items()],
        *_METADATA,
    )


def judged(bronze: DataFrame, source: str, config: Config) -> DataFrame:
    """A master's Bronze snapshot → typed rows with `errors` (empty: passed), `warnings` and metadata.

    One row per record, none dropped. If several valid records have one key, all but the last get `duplicate_key`.
    """
    contract = config.sources[source]
    kept = [*contract.required, *_METADATA]
    records = with_verdicts(normalised(bronze, source, config), config, source, kept)
    # `record_number` counts records over all files of a master: files by name, records in the order of the file.
    valid = F.size("errors") == 0
    latest = Window.partitionBy(*contract.key, valid).orderBy(F.desc("record_number"))
    repeated = valid & (F.row_number().over(latest) > 1)
    return (
        records.withColumn("_repeated", repeated)
        .withColumn("errors", F.when(F.col("_repeated"), F.array(F.lit("duplicate_key"))).otherwise(F.col("errors")))
        .withColumn("record_key", F.concat_ws("|", *contract.key))
        .drop("_repeated")
    )
