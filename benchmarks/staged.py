"""Seconds of each stage and Spark job of one `run`: `python -m benchmarks.staged LANDING LAKE`, JSON out.

It does what `cloud-analytics run --serving none` does. The steps that the pipeline logs are the stages.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path

from benchmarks import jobs
from cloud_analytics import config as configuration
from cloud_analytics import pipeline
from cloud_analytics.lake.files import file_system
from cloud_analytics.lake.lake import Lake
from cloud_analytics.reading.audit import audit
from cloud_analytics.reading.headline import headline
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.session import build_session, holds_little


def main() -> None:
    """Print `{"stages": …, "jobs": […]}`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("landing")
    parser.add_argument("lake")
    arguments = parser.parse_args()
    config = configuration.load()
    marks: list[tuple[str, float]] = []

    def mark(line: str) -> None:
        marks.append((line, time.time()))

    class Steps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno == logging.DEBUG:
                mark(record.getMessage())

    logging.getLogger(pipeline.__name__).addHandler(Steps())
    logging.getLogger(pipeline.__name__).setLevel(logging.DEBUG)

    with tempfile.TemporaryDirectory() as logs:
        mark("start Spark")
        spark = build_session(
            config.pipeline.spark.overridden(None, jobs.options(Path(logs))),
            quick_start=holds_little(arguments.landing, f"{arguments.lake}/bronze"),
        )
        lake = Lake(spark, arguments.lake)
        mark("open")
        pipeline.Pipeline(lake, arguments.landing, config).run()
        mark("audit")
        zones = LakeReader(lake.files)
        audit(zones, file_system(spark, arguments.landing), config)
        mark("headline")
        headline(zones)
        mark("stop Spark")
        spark.stop()
        mark("end")
        found = jobs.read(Path(logs))
    sums = jobs.by_stage(found, marks)
    print(json.dumps({"stages": sums, "jobs": [job.as_dict() for job in found]}))


if __name__ == "__main__":
    main()
