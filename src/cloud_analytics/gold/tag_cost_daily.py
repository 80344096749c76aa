"""Cost of each organisation and day by the tags of its resources, including the cost of untagged resources."""

from __future__ import annotations

from cloud_analytics.gold.measures import total_or_zero
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, SameDate, Serving, Table, Whole
from cloud_analytics.tables.columns import COUNT, MONEY, ORG_ID, USAGE_DATE, USD

UNTAGGED = "(untagged)"

TABLE = Table(
    "tag_cost_daily",
    key=("org_id", "usage_date", "tag_key", "tag_value"),
    columns=(
        ORG_ID,
        USAGE_DATE,
        Column("tag_key", "string", "the tag, in lower case: each that occurs on any resource"),
        Column("tag_value", "string", "its value; `(untagged)` without the tag, `(conflicting)` with several values"),
        Column("cost_usd", MONEY, "cost of the resources with this value; over the values, that of the day", USD),
        Column("resources", "bigint", "these resources, of those used that day", COUNT),
    ),
    reads=(SameDate("gold/resource_daily_usage"), Whole("gold/resource_tags")),
    partition="usage_date",
    serving=Serving(
        "tag_cost_daily",
        question="tags",
        asks="FinOps: what did an organisation spend by the value of a tag, and how much of it is not tagged?",
        key="((org_id, tag_key), usage_date DESC, tag_value)",
    ),
)


def build(resource_days: DataFrame, tags: DataFrame) -> DataFrame:
    """gold/resource_daily_usage and gold/resource_tags → one row per (org, day, tag_key, tag_value); USD.

    For each key that any resource has, the values divide the whole cost of each organisation and day. A resource
    without the key has the value `(untagged)`, a resource with several values of the key `(conflicting)`.
    """
    resources = resource_days.groupBy("org_id", "usage_date", "resource_id")
    costs = resources.agg(total_or_zero("cost_usd").alias("cost_usd"))
    used = costs.withColumn("resources", F.lit(1).cast("bigint"))
    tagged = _sums(used.join(tags, "resource_id"), *TABLE.key)
    # The untagged cost is the whole cost minus the tagged cost. A check of each resource for each key would multiply
    # the work by the number of keys.
    whole = _sums(used, "org_id", "usage_date").crossJoin(F.broadcast(tags.select("tag_key").distinct()))
    less = tagged.drop("tag_value").withColumns({name: -F.col(name) for name in ("cost_usd", "resources")})
    untagged = whole.unionByName(less).withColumn("tag_value", F.lit(UNTAGGED))
    return TABLE.select(_sums(tagged.unionByName(untagged), *TABLE.key).where("resources > 0"))


def _sums(rows: DataFrame, *key: str) -> DataFrame:
    return rows.groupBy(*key).agg(total_or_zero("cost_usd").alias("cost_usd"), F.sum("resources").alias("resources"))
