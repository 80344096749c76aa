"""Event-level anomaly scores (contract 7): how unusual a cost is for its group, and a unit price for its metric.

Statistics are computed from sorted integer micro-dollars, so they are exact and do not depend on the order of rows.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.anomaly import detectors
from cloud_analytics.anomaly.detectors import UNIT_PRICE, Detector, at, deviations, median, with_verdicts
from cloud_analytics.config.anomalies import EventAnomalySettings
from cloud_analytics.tables.zones import COST_BASELINES

COST_GROUP = ["org_id", "service", "metric"]
PRICE_GROUP = ["service", "metric"]


def baselines(events: DataFrame, settings: EventAnomalySettings) -> DataFrame:
    """Events (org_id, service, metric, cost_usd, value) → `silver/cost_baselines`, with which `score` compares events.

    There is one row per cost group. For each (service, metric), a row without an org_id has the usual unit price.
    """
    costs, prices = cost_baselines(events, settings), price_baselines(events, settings)
    return COST_BASELINES.select(costs.unionByName(prices, allowMissingColumns=True))


def cost_baselines(events: DataFrame, settings: EventAnomalySettings) -> DataFrame:
    """Events (org_id, service, metric, cost_usd) → one row per group with its statistics, in USD.

    Groups with fewer than `min_events` events or without spread are left out: they give no verdict. `p95_usd` is exact
    (linear interpolation in decimals). `mad_usd` is null if it is 0.
    """
    sorted_micros = F.sort_array(F.collect_list((F.col("cost_usd") * 1_000_000).cast("bigint")))
    groups = events.groupBy(*COST_GROUP).agg(sorted_micros.alias("xs"))
    size = F.size("xs")
    groups = groups.where((size >= settings.min_events) & (F.col("xs")[0] != at(F.col("xs"), size - 1)))
    total = F.aggregate("xs", F.lit(0.0), lambda acc, x: acc + x)
    groups = groups.withColumn("n", size).withColumn("mean", total / size).withColumn("median", median(F.col("xs")))
    squares = F.aggregate(F.col("xs"), F.lit(0.0), lambda acc, x: acc + (x - F.col("mean")) * (x - F.col("mean")))
    position = F.lit(settings.percentile) * (F.col("n") - 1)
    low = F.floor(position)
    lower = at(F.col("xs"), low).cast("decimal(20,0)")
    upper = at(F.col("xs"), F.least(low + 1, F.col("n") - 1)).cast("decimal(20,0)")
    p95 = (lower + (upper - lower) * (position - low).cast("decimal(9,8)")) / F.lit(1_000_000).cast("decimal(7,0)")
    mad = median(deviations(F.col("xs"), F.col("median"))) / 1_000_000
    return groups.select(
        *COST_GROUP,
        F.col("n").alias("events"),
        (F.col("mean") / 1_000_000).alias("mean_usd"),
        (F.sqrt(squares / (F.col("n") - 1)) / 1_000_000).alias("stddev_usd"),
        (F.col("median") / 1_000_000).alias("median_usd"),
        F.when(mad > 0, mad).alias("mad_usd"),
        p95.cast("decimal(28,14)").alias("p95_usd"),
    )


def price_baselines(events: DataFrame, settings: EventAnomalySettings) -> DataFrame:
    """Events (service, metric, cost_usd, value) → one row per (service, metric) with the median unit price in USD."""
    prices = events.where(F.col("value") > 0).select(*PRICE_GROUP, F.expr(UNIT_PRICE).alias("price"))
    groups = prices.groupBy(*PRICE_GROUP).agg(F.sort_array(F.collect_list("price")).alias("prices"))
    price = median(F.col("prices")).alias("median_price")
    groups = groups.select(*PRICE_GROUP, F.size("prices").alias("events"), price)
    return groups.where((F.col("events") >= settings.min_events) & (F.col("median_price") > 0))


def configured(settings: EventAnomalySettings) -> tuple[Detector, list[Detector], Detector]:
    """The configured detectors: the unit price, the detectors of the cost level, and the consensus of the latter."""
    levels = [
        detectors.zscore(settings.zscore_threshold),
        detectors.mad(settings.mad_threshold),
        detectors.percentile(settings.percentile, settings.percentile_factor),
    ]
    price = detectors.price_ratio(settings.unit_price_threshold)
    return price, levels, detectors.consensus(levels, settings.consensus)


def score(events: DataFrame, baselines: DataFrame, settings: EventAnomalySettings) -> DataFrame:
    """Events and the baselines of their groups → the same events with scores, flags, verdict, reason and capped cost.

    A detector does not flag an event without its baseline. Without a cost baseline, the cost is not capped.
    """
    price, levels, consensus = configured(settings)
    of_costs, of_prices = baselines.where("org_id IS NOT NULL"), baselines.where("org_id IS NULL")
    costs = of_costs.select(*COST_GROUP, "mean_usd", "stddev_usd", "median_usd", "mad_usd", "p95_usd")
    prices = of_prices.select(*PRICE_GROUP, "median_price")
    joined = events.join(F.broadcast(costs), COST_GROUP, "left").join(F.broadcast(prices), PRICE_GROUP, "left")
    judged = with_verdicts(with_verdicts(joined, price, *levels), consensus)
    limit = F.expr(detectors.highest_usual_cost(settings.percentile_factor)).cast("decimal(28,6)")
    capped = F.when(F.col("p95_usd") != 0, F.least(F.col("cost_usd"), limit))
    return (
        judged.withColumn("is_anomaly", F.col(price.flag_column) | F.col(consensus.flag_column))
        .withColumn("anomaly_score", F.col("cost_zscore"))
        .withColumn("anomaly_reason", F.when(F.col("is_anomaly"), detectors.reasons(price, *levels)))
        .withColumn("cost_usd_capped", F.coalesce(capped, F.col("cost_usd")).cast("decimal(18,6)"))
    )
