"""The cost of late data: `python -m benchmarks.late LANDING WORK`, JSON out.

After a full run, two files arrive one after the other: the events of the first all belong to the oldest date, those of
the second are spread over all dates. For each file, `stream` and then `run` are timed, and the dates that each rebuilt
are counted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.measure import arrive
from cloud_analytics import config as configuration
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.session import build_session, holds_little

LINES = 120


def late_text(name: str, events: list[dict[str, Any]], dates: list[str]) -> str:
    """The events as JSON Lines, under new ids and spread over the dates."""
    lines = []
    for number, event in enumerate(events):
        timestamp = dates[number % len(dates)] + event["timestamp"][10:]
        lines.append(json.dumps({**event, "event_id": f"evt_late_{name}_{number}", "timestamp": timestamp}) + "\n")
    return "".join(lines)


def _measure(pipeline: Pipeline) -> dict[str, Any]:
    """Seconds and rebuilt dates of `stream`, then of `run`."""
    started = time.monotonic()
    speed = pipeline.stream()
    middle = time.monotonic()
    batch = pipeline.run()
    return {
        "stream_seconds": round(middle - started, 2),
        "stream_dates": len(speed.silver_dates),
        "run_seconds": round(time.monotonic() - middle, 2),
        "run_dates": len(batch.silver_dates),
    }


def main() -> None:
    """Print `{"dates": …, "full_run_seconds": …, "one_date": {…}, "all_dates": {…}}`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    arguments = parser.parse_args()
    config = configuration.load()
    landing = arguments.work / "landing"
    shutil.copytree(arguments.landing, landing)
    spark = build_session(config.pipeline.spark, quick_start=holds_little(str(landing)))
    try:
        lake = Lake(spark, str(arguments.work / "lake"))
        started = time.monotonic()
        dates = Pipeline(lake, str(landing), config).run().silver_dates
        figures: dict[str, Any] = {"dates": len(dates), "full_run_seconds": round(time.monotonic() - started, 2)}
        stream = landing / "usage_events_stream"
        with min(stream.iterdir()).open(encoding="utf-8") as lines:
            sample = [json.loads(line) for line in islice(lines, LINES)]
        for name, touched in (("one_date", dates[:1]), ("all_dates", dates)):
            arrive(stream, f"late_{name}.jsonl", late_text(name, sample, touched))
            figures[name] = _measure(Pipeline(lake, str(landing), config))
    finally:
        spark.stop()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
