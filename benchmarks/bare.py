"""What Spark alone takes: `python -m benchmarks.bare LANDING FOLDER`, seconds of each stage as JSON.

A program without rules, quarantine, audit, transactions or state. It reads the same files as a `run`, and writes as
many tables as a lake has: the events twice (as they came, and without copies), the masters, and a sum of costs per
date for each mart of Gold. What a `run` takes beyond this is the pipeline's own; what this takes is the price of
Spark's start and of that many cold plans.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

from pyspark.sql import functions as F

from cloud_analytics import config as configuration
from cloud_analytics.gold import marts
from cloud_analytics.session import build_session, holds_little

_FIELDS = ("event_id", "timestamp", "org_id", "resource_id", "service", "region", "metric", "unit", "schema_version")
_COST = "cost_usd_increment"


def main() -> None:
    """Print the seconds from the start of each stage to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("landing", type=Path)
    parser.add_argument("folder", type=Path, help="For the tables; it must not exist.")
    arguments = parser.parse_args()
    landing, folder = str(arguments.landing), str(arguments.folder)
    seconds: dict[str, float] = {}
    began = time.monotonic()

    def end(stage: str) -> None:
        seconds[stage] = round(time.monotonic() - began - sum(seconds.values()), 2)

    settings = configuration.load().pipeline.spark
    spark = build_session(settings, folder, landing, quick_start=holds_little(landing, folder))
    end("start")
    lines = spark.read.schema(", ".join(f"{name} string" for name in (*_FIELDS, _COST)))
    events = lines.json(f"{landing}/usage_events_stream").withColumn("date", F.substring("timestamp", 1, 10))
    events.write.partitionBy("date").parquet(f"{folder}/events")
    end("events")
    for path in sorted(arguments.landing.glob("*.csv")):
        spark.read.option("header", True).csv(str(path)).write.parquet(f"{folder}/masters/{path.stem}")
    end("masters")
    unique = spark.read.parquet(f"{folder}/events").dropDuplicates(["event_id"])
    costs = unique.withColumn("cost", F.col(_COST).cast("decimal(28,9)")).repartition("date")
    costs.write.partitionBy("date").parquet(f"{folder}/unique")
    end("unique events")
    costs = spark.read.parquet(f"{folder}/unique")
    keys = [*itertools.combinations(_FIELDS[2:], 2), *((name,) for name in _FIELDS[2:])]
    for number, key in enumerate(keys[: len(marts())]):
        sums = costs.groupBy("date", *key).agg(F.sum("cost").alias("cost"), F.count("*").alias("events"))
        sums.write.partitionBy("date").parquet(f"{folder}/sums/{number}")
    end("sums")
    spark.stop()
    print(json.dumps(seconds | {"all": round(sum(seconds.values()), 2)}))


if __name__ == "__main__":
    main()
