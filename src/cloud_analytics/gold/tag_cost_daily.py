"""Cost of each organisation and day by the tags of its resources, with what carries no tag beside it."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import or_unknown, total_or_zero
from cloud_analytics.lake.schemas import columns, conform
from cloud_analytics.landing.strict_json import listed
from cloud_analytics.landing.text import without_blanks

SCHEMA = columns(
    "org_id string, tag_key string, tag_value string, cost_usd decimal(28,6), resources bigint, usage_date date"
)
UNTAGGED = "(untagged)"
CONFLICTING = "(conflicting)"
LONGEST_TAG_KEY = 5_000  # bytes: with an org_id of the greatest length it still fits a partition key of Cassandra


def build(resource_days: DataFrame, resources: DataFrame) -> DataFrame:
    """resource_daily_usage and silver/resources → one row an (org, day, tag_key, tag_value); USD.

    Each key that occurs on any resource divides the whole cost of each organisation and day: a resource without it is
    `(untagged)`, one with several values of it `(conflicting)`.
    """
    tagged = tags(resources)
    cost = total_or_zero("cost_usd").alias("cost_usd")
    costs = resource_days.groupBy("org_id", "usage_date", "resource_id").agg(cost)
    keys = tagged.select("tag_key").distinct()
    divided = costs.crossJoin(F.broadcast(keys)).join(tagged, ["resource_id", "tag_key"], "left")
    value = F.coalesce("tag_value", F.lit(UNTAGGED)).alias("tag_value")
    sums = divided.groupBy("org_id", "usage_date", "tag_key", value).agg(cost, F.count("*").alias("resources"))
    return conform(sums, SCHEMA)


def tags(resources: DataFrame) -> DataFrame:
    """silver/resources → one row a (resource_id, tag_key) with its `tag_value`, `(conflicting)` if it has several.

    `tags_json` is an array of `key:value` (without a colon the value is `true`) or an object. Keys are trimmed and in
    lower case, values trimmed. Null, a blank key, and what is nested inside an array name no tag.
    """
    text = F.col("tags_json")
    pairs = F.when(text.startswith("{"), _of_object(text)).otherwise(_of_array(text))
    found = resources.select("resource_id", F.explode(pairs).alias("tag")).select(
        "resource_id",
        F.lower(without_blanks(F.col("tag.key"))).alias("tag_key"),
        without_blanks(F.col("tag.value")).alias("tag_value"),
    )
    named = found.where("tag_key <> '' AND tag_value IS NOT NULL")
    value = or_unknown("tag_value")
    return named.groupBy("resource_id", or_unknown("tag_key", LONGEST_TAG_KEY)).agg(
        F.when(F.min(value) < F.max(value), CONFLICTING).otherwise(F.min(value)).alias("tag_value")
    )


def _of_object(text: Column) -> Column:
    """`{"key": value}` → its (key, value); values that are no texts as JSON writes them, of a repeated key the last."""
    entries = F.map_entries(listed(text, "map<string,string>").getField("r").getItem(0))
    return F.filter(
        entries,
        lambda entry, place: (
            ~F.exists(
                F.slice(entries, place + 2, F.size(entries)),
                lambda later: later.getField("key") == entry.getField("key"),
            )
        ),
    )


def _of_array(text: Column) -> Column:
    """`["key:value"]` → its (key, value)."""
    elements = listed(text, "array<string>").getField("r").getItem(0)
    flat = F.filter(elements, lambda element: ~F.substring(element, 1, 1).isin("{", "["))
    return F.transform(
        flat,
        lambda element: F.struct(F.substring_index(element, ":", 1).alias("key"), _after_colon(element).alias("value")),
    )


def _after_colon(element: Column) -> Column:
    rest = element.substr(F.locate(":", element) + 1, F.length(element))
    return F.when(element.contains(":"), rest).otherwise("true")
