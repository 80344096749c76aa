"""The tags of each resource, one row per key."""

from __future__ import annotations

from cloud_analytics.gold.measures import or_unknown
from cloud_analytics.landing.text import listed, without_blanks
from cloud_analytics.spark import Column as SparkColumn
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Table, Whole

CONFLICTING = "(conflicting)"
LONGEST_TAG_KEY = 5_000  # bytes; together with the longest org_id it fits a partition key of Cassandra

TABLE = Table(
    "resource_tags",
    key=("resource_id", "tag_key"),
    columns=(
        Column("resource_id", "string", "the resource"),
        Column("tag_key", "string", "the tag, in lower case"),
        Column("tag_value", "string", "its value; `true` where it has none, `(conflicting)` where it has several"),
    ),
    reads=(Whole("silver/resources"),),
)


def build(resources: DataFrame) -> DataFrame:
    """silver/resources → one row per (resource_id, tag_key); a tag with several values is `(conflicting)`.

    `tags_json` is an object, or an array of texts `key:value` (without a colon, the value is `true`). Keys are trimmed
    and lower-cased, values are trimmed. Null values, blank keys, and objects or arrays in an array are left out.
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
    tags = named.groupBy("resource_id", or_unknown("tag_key", LONGEST_TAG_KEY)).agg(
        F.when(F.min(value) < F.max(value), CONFLICTING).otherwise(F.min(value)).alias("tag_value")
    )
    return TABLE.select(tags)


def _of_object(text: SparkColumn) -> SparkColumn:
    """`{"key": value}` → its (key, value) pairs. A value that is not a text is JSON; the last of equal keys counts."""
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


def _of_array(text: SparkColumn) -> SparkColumn:
    """`["key:value"]` → its (key, value) pairs."""
    elements = listed(text, "array<string>").getField("r").getItem(0)
    flat = F.filter(elements, lambda element: ~F.substring(element, 1, 1).isin("{", "["))
    return F.transform(
        flat,
        lambda element: F.struct(F.substring_index(element, ":", 1).alias("key"), _after_colon(element).alias("value")),
    )


def _after_colon(element: SparkColumn) -> SparkColumn:
    rest = element.substr(F.locate(":", element) + 1, F.length(element))
    return F.when(element.contains(":"), rest).otherwise("true")
