"""What a warm session takes: `python -m benchmarks.again LANDING WORK`, figures of each run of one session as JSON.

The same landing folder is run again and again into a new lake, as the micro-batches of a stream and the cells of a
notebook share a session. For each run: its seconds, the processor seconds of the JVM, and how many generated classes
Spark compiled.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from cloud_analytics import config as configuration
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.session import build_session


def main() -> None:
    """Print a list with the figures of each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path, help="For the lakes; it must not exist.")
    parser.add_argument("--times", type=int, default=6, metavar="N")
    parser.add_argument("--spark", action="append", default=[], metavar="KEY=VALUE", help="A setting; may be repeated.")
    arguments = parser.parse_args()
    config = configuration.load()
    conf = dict(setting.split("=", 1) for setting in arguments.spark)
    spark = build_session(config.pipeline.spark.model_copy(update={"conf": conf}))
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    process = jvm.java.lang.ProcessHandle.current()
    compiled = jvm.org.apache.spark.metrics.source.CodegenMetrics.METRIC_COMPILATION_TIME()

    def figures() -> tuple[float, float, int]:
        return time.monotonic(), process.info().totalCpuDuration().get().toMillis() / 1000, compiled.getCount()

    runs = []
    for number in range(arguments.times):
        before = figures()
        Pipeline(Lake(spark, str(arguments.work / f"lake_{number}")), str(arguments.landing), config).run()
        seconds, processor, classes = (now - then for now, then in zip(figures(), before, strict=True))
        runs.append({"seconds": round(seconds, 1), "jvm_cpu_seconds": round(processor, 1), "compiled": classes})
    print(json.dumps(runs))
    spark.stop()


if __name__ == "__main__":
    main()
