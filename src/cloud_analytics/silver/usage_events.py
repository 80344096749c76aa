"""bronze/usage_events → silver/usage_events and its rejects: judge, keep one copy of each event, join, score.

Pure functions over DataFrames; which dates they see decides the layer: the speed layer gives them the touched dates,
reconcile all of them.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cloud_analytics.landing.text import without_blanks


def valid(judged: DataFrame) -> DataFrame:
    """Rows that passed every rule."""
    return judged.where(F.size("errors") == 0)


def repeated_ids(judged: DataFrame) -> DataFrame:
    """event_ids that more than one valid record carries (one row an id). Reads narrow columns only."""
    counts = valid(judged).groupBy("event_id").count()
    return counts.where("count > 1").select("event_id")


def census(judged: DataFrame) -> DataFrame:
    """One row: `rejected`, how many records broke a rule, and of the ids of valid records, `ids`, `copies`.

    `ids` is how many there are (each becomes one row of Silver), `copies` how many of them several records carry.
    """
    passed = F.size("errors") == 0
    ids = judged.groupBy(F.when(passed, F.col("event_id")).alias("event_id"), passed.alias("passed")).count()
    return ids.agg(
        F.coalesce(F.sum(F.when(~F.col("passed"), F.col("count"))), F.lit(0)).alias("rejected"),
        F.count_if("passed").alias("ids"),
        F.coalesce(F.sum((F.col("passed") & (F.col("count") > 1)).cast("bigint")), F.lit(0)).alias("copies"),
    )


def split_copies(judged: DataFrame, repeated: DataFrame | None) -> tuple[DataFrame, DataFrame]:
    """Judged events → (survivors, rejects with their `errors`).

    Among copies of one id the survivor has the smallest (source file name, line text). `repeated` holds the ids with
    copies; None says that there are none, which saves the join.
    """
    accepted = valid(judged)
    rejected = judged.where(F.size("errors") > 0)
    if repeated is None:
        return accepted, rejected
    ids = F.broadcast(repeated)
    line = without_blanks(F.col("raw"))
    order = Window.partitionBy("event_id").orderBy("source_file", line, "is_late", "ingest_ts", "batch_id")
    copies = accepted.join(ids, "event_id", "left_semi")
    ranked = copies.withColumn("_rank", F.row_number().over(order)).withColumn("_first", F.first(line).over(order))
    survivors = ranked.where("_rank = 1").drop("_rank", "_first")
    kind = F.when(line == F.col("_first"), "duplicate_event").otherwise("conflicting_duplicate")
    losers = ranked.where("_rank > 1").withColumn("errors", F.array(kind)).drop("_rank", "_first")
    return (
        accepted.join(ids, "event_id", "left_anti").unionByName(survivors),
        rejected.unionByName(losers),
    )


def enrich(events: DataFrame, orgs: DataFrame, resources: DataFrame, users: DataFrame) -> DataFrame:
    """Events with the attributes of their organisation, resource and user; unmatched ones read `unknown`.

    `user_matched` is null for an event without a user_id.
    """
    org = orgs.select("org_id", "org_name", "industry", "plan_tier", "hq_region", F.lit(True).alias("_org"))
    resource = resources.select(
        "resource_id",
        F.col("service").alias("resource_type"),
        F.col("state").alias("resource_state"),
        F.lit(True).alias("_resource"),
    )
    user = users.select("user_id", "role", "active", F.lit(True).alias("_user"))
    joined = (
        events.join(F.broadcast(org), "org_id", "left")
        .join(F.broadcast(resource), "resource_id", "left")
        .join(F.broadcast(user), "user_id", "left")
        .withColumn("org_matched", F.col("_org").isNotNull())
        .withColumn("resource_matched", F.col("_resource").isNotNull())
        .withColumn("user_matched", F.when(F.col("user_id").isNotNull(), F.col("_user").isNotNull()))
    )
    unknown = {name: _or_unknown(name, "org_matched") for name in ("org_name", "industry", "plan_tier", "hq_region")}
    unknown |= {name: _or_unknown(name, "resource_matched") for name in ("resource_type", "resource_state")}
    unknown["role"] = F.when(F.col("user_id").isNotNull(), F.coalesce(F.col("role"), F.lit("unknown"))).otherwise(
        F.col("role")
    )
    return joined.withColumns(unknown)


def _or_unknown(name: str, matched: str) -> Column:
    return F.when(F.col(matched), F.col(name)).otherwise(F.lit("unknown"))
