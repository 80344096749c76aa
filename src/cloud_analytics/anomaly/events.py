"""Event-level anomaly scores (SPEC 7): how unusual a cost is for its group, and a unit price for its metric.

Statistics come from sorted whole-number micro-dollars, so that they are exact and do not depend on the order of rows.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import EventAnomalySettings

COST_GROUP = ["org_id", "service", "metric"]
PRICE_GROUP = ["service", "metric"]
_MAD_SCALE = 0.6745


def _at(values: Column, index: Column) -> Column:
    return F.element_at(values, index.cast("int") + 1)


def median(values: Column) -> Column:
    """Median of a sorted array (double)."""
    size = F.size(values)
    return (_at(values, F.floor((size - 1) / 2)) + _at(values, F.floor(size / 2))) / F.lit(2.0)


def cost_baselines(events: DataFrame, settings: EventAnomalySettings) -> DataFrame:
    """Events (org_id, service, metric, cost_usd) → one row a group with its statistics, in USD.

    Groups with fewer than `min_events` events or without spread are left out: they give no verdict. `p95_usd` is exact
    (linear interpolation in decimals), `mad_usd` is null when it is 0.
    """
    sorted_micros = F.sort_array(F.collect_list((F.col("cost_usd") * 1_000_000).cast("bigint")))
    groups = events.groupBy(*COST_GROUP).agg(sorted_micros.alias("xs"))
    size = F.size("xs")
    groups = groups.where((size >= settings.min_events) & (F.col("xs")[0] != _at(F.col("xs"), size - 1)))
    total = F.aggregate("xs", F.lit(0.0), lambda acc, x: acc + x)
    groups = groups.withColumn("n", size).withColumn("mean", total / size).withColumn("median", median(F.col("xs")))
    squares = F.aggregate(F.col("xs"), F.lit(0.0), lambda acc, x: acc + (x - F.col("mean")) * (x - F.col("mean")))
    spread = F.sort_array(F.transform("xs", lambda x: F.abs(x - F.col("median"))))
    position = F.lit(settings.percentile) * (F.col("n") - 1)
    low = F.floor(position)
    lower = _at(F.col("xs"), low).cast("decimal(20,0)")
    upper = _at(F.col("xs"), F.least(low + 1, F.col("n") - 1)).cast("decimal(20,0)")
    p95 = (lower + (upper - lower) * (position - low).cast("decimal(9,8)")) / F.lit(1_000_000).cast("decimal(7,0)")
    mad = median(spread) / 1_000_000
    return groups.select(
        *COST_GROUP,
        (F.col("mean") / 1_000_000).alias("mean_usd"),
        (F.sqrt(squares / (F.col("n") - 1)) / 1_000_000).alias("stddev_usd"),
        (F.col("median") / 1_000_000).alias("median_usd"),
        F.when(mad > 0, mad).alias("mad_usd"),
        p95.cast("decimal(28,14)").alias("p95_usd"),
    )


def price_baselines(events: DataFrame, settings: EventAnomalySettings) -> DataFrame:
    """Events (service, metric, cost_usd, value) → one row a (service, metric): the median unit price in USD."""
    prices = events.where(F.col("value") > 0).select(*PRICE_GROUP, _unit_price().alias("price"))
    groups = prices.groupBy(*PRICE_GROUP).agg(F.sort_array(F.collect_list("price")).alias("prices"))
    groups = groups.select(*PRICE_GROUP, F.size("prices").alias("n"), median(F.col("prices")).alias("median_price"))
    return groups.where((F.col("n") >= settings.min_events) & (F.col("median_price") > 0)).drop("n")


def _unit_price() -> Column:
    return F.col("cost_usd").cast("double") / F.col("value").cast("double")


def score(events: DataFrame, costs: DataFrame, prices: DataFrame, settings: EventAnomalySettings) -> DataFrame:
    """Events with the two baselines → the same events with scores, flags, verdict, reason and capped cost."""
    joined = events.join(F.broadcast(costs), COST_GROUP, "left").join(F.broadcast(prices), PRICE_GROUP, "left")
    x = F.col("cost_usd").cast("double")
    scored = (
        joined.withColumn("cost_zscore", (x - F.col("mean_usd")) / F.col("stddev_usd"))
        .withColumn("cost_mad_score", F.lit(_MAD_SCALE) * (x - F.col("median_usd")) / F.col("mad_usd"))
        .withColumn("unit_price_ratio", F.when(F.col("value") > 0, _unit_price() / F.col("median_price")))
        .withColumn("_cap", F.lit(settings.percentile_factor) * F.col("p95_usd"))
        .withColumn("flag_zscore", _flag(F.col("cost_zscore") > settings.zscore_threshold))
        .withColumn("flag_mad", _flag(F.col("cost_mad_score") > settings.mad_threshold))
        .withColumn("flag_percentile", _flag(F.col("cost_usd") > F.col("_cap")))
        .withColumn("flag_unit_price", _flag(F.col("unit_price_ratio") > settings.unit_price_threshold))
    )
    votes = sum((F.col(name).cast("int") for name in ("flag_zscore", "flag_mad", "flag_percentile")), F.lit(0))
    capped = F.when(F.col("p95_usd") > 0, F.least(F.col("cost_usd"), F.col("_cap").cast("decimal(28,6)")))
    return (
        scored.withColumn("_consensus", votes >= settings.consensus)
        .withColumn("is_anomaly", F.col("flag_unit_price") | F.col("_consensus"))
        .withColumn("anomaly_score", F.col("cost_zscore"))
        .withColumn("anomaly_reason", F.when(F.col("is_anomaly"), _reason()))
        .withColumn("cost_usd_capped", F.coalesce(capped, F.col("cost_usd")).cast("decimal(18,6)"))
    )


def _flag(condition: Column) -> Column:
    return F.coalesce(condition, F.lit(False))


def _reason() -> Column:
    return F.concat_ws(
        "; ",
        F.when(F.col("flag_unit_price"), F.format_string("unit price %.1f × normal", "unit_price_ratio")),
        F.when(F.col("flag_zscore"), F.format_string("cost %.1f standard deviations above the mean", "cost_zscore")),
        F.when(F.col("flag_mad"), F.format_string("cost %.1f MADs above the median", "cost_mad_score")),
        F.when(
            F.col("flag_percentile"),
            F.format_string("cost %.1f × the 95th percentile", (F.col("cost_usd") / F.col("p95_usd")).cast("double")),
        ),
    )
