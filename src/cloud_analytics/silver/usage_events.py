"""Turns judged events into rows of silver/usage_events and rejects: keeps one copy of each event and joins masters.

These are pure functions over DataFrames. The caller chooses the dates: the speed layer passes the touched dates,
`reconcile` passes all dates.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from cloud_analytics.landing.text import trimmed, without_blanks

COPIES = ("duplicate_event", "conflicting_duplicate")  # errors of a copy: with the text of the survivor, other text


def valid(judged: DataFrame) -> DataFrame:
    """Rows that passed every rule."""
    return judged.where(F.size("errors") == 0)


def smallest_files(judged: DataFrame) -> DataFrame:
    """Judged events → one row per event_id of valid records, with the smallest name of their files, trimmed."""
    return valid(judged).groupBy("event_id").agg(F.min(without_blanks(F.col("source_file"))).alias("smallest_file"))


def standing_copies(came: DataFrame, silver: DataFrame) -> DataFrame:
    """The events in Silver whose id is in `came` (from `smallest_files`): event_id, date, source_file, `displaced`.

    `displaced`: a new copy replaces the event, or may replace it. If both files have the same name, the text of the
    lines decides. This function does not compare texts, so `displaced` is true then.
    """
    standing = silver.select("event_id", "date", "source_file").join(came, "event_id")
    displaced = F.col("smallest_file") <= without_blanks(F.col("source_file"))
    return standing.withColumn("displaced", displaced).drop("smallest_file")


def lines_of_copies(judged: DataFrame, bronze: DataFrame, standing: DataFrame | None = None) -> DataFrame:
    """The Bronze rows whose event_id belongs to several valid records, or to a `standing` event in Silver."""
    counts = valid(judged).groupBy("event_id").count()
    repeated = counts.where("count > 1").select(F.col("event_id").alias("repeated_id"))
    if standing is not None:
        repeated = repeated.unionByName(standing.select(F.col("event_id").alias("repeated_id")))
    return bronze.join(F.broadcast(repeated), trimmed(F.col("event_id")) == F.col("repeated_id"), "left_semi")


def record_counts(judged: DataFrame) -> DataFrame:
    """Judged events → one row of counts.

    `rejected`: records that broke a rule. `ids`: distinct ids of valid records; each id becomes one row of Silver.
    `copies`: those of the ids that several valid records have.
    """
    passed = F.size("errors") == 0
    ids = judged.groupBy(F.when(passed, F.col("event_id")).alias("event_id"), passed.alias("passed")).count()
    return ids.agg(
        F.coalesce(F.sum(F.when(~F.col("passed"), F.col("count"))), F.lit(0)).alias("rejected"),
        F.count_if("passed").alias("ids"),
        F.coalesce(F.sum((F.col("passed") & (F.col("count") > 1)).cast("bigint")), F.lit(0)).alias("copies"),
    )


def split_copies(judged: DataFrame, copies: DataFrame | None) -> tuple[DataFrame, DataFrame]:
    """Judged events → (survivors, rejects with their `errors`). Survivors have no `raw`.

    Among the copies of one id, the record with the smallest (source file name, line text) survives; surrounding blanks
    do not count. `copies` holds the judged lines of the ids that have copies; with None (no copies) there is no join.
    """
    accepted = valid(judged).drop("raw")
    rejected = judged.where(F.size("errors") > 0)
    if copies is None:
        return accepted, rejected
    line, file = without_blanks(F.col("raw")), without_blanks(F.col("source_file"))
    order = Window.partitionBy("event_id").orderBy(file, line, "source_file", "is_late", "ingest_ts", "batch_id")
    ranks = {"_rank": F.row_number().over(order), "_first": F.first(line).over(order)}
    ranked = valid(copies).withColumns(ranks)
    survivors = ranked.where("_rank = 1").drop("_rank", "_first", "raw")
    kind = F.when(line == F.col("_first"), F.lit(COPIES[0])).otherwise(F.lit(COPIES[1]))
    losers = ranked.where("_rank > 1").withColumn("errors", F.array(kind)).drop("_rank", "_first")
    ids = F.broadcast(copies.select("event_id"))
    return accepted.join(ids, "event_id", "left_anti").unionByName(survivors), rejected.unionByName(losers)


def with_masters(events: DataFrame, orgs: DataFrame, resources: DataFrame, users: DataFrame) -> DataFrame:
    """Join the attributes of organisation, resource and user to events; without a match, an attribute is `unknown`.

    A row is one event, before and after. `user_matched` is null for an event without a user_id.
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
    matched = dict.fromkeys(("org_name", "industry", "plan_tier", "hq_region"), "org_matched")
    matched |= dict.fromkeys(("resource_type", "resource_state"), "resource_matched") | {"role": "user_matched"}
    unknown = {name: F.when(~F.col(found), F.lit("unknown")).otherwise(F.col(name)) for name, found in matched.items()}
    return joined.withColumns(unknown)
