"""What late data costs: `python -m benchmarks.late LANDING WORK`, JSON out.

After a full run two files arrive: one whose events all belong to the oldest date, and one with an event of each date.
For each: the speed layer (`stream`), then what the batch layer adds (`run`), with the dates that each rebuilt.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from cloud_analytics import config as configuration
from cloud_analytics.config import Config
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.session import build_session, holds_little

LINES = 120


def _sample(landing: Path) -> list[dict[str, Any]]:
    with sorted((landing / "usage_events_stream").iterdir())[0].open(encoding="utf-8") as lines:
        return [json.loads(line) for _, line in zip(range(LINES), lines)]


def _write(folder: Path, name: str, events: list[dict[str, Any]], dates: list[str]) -> None:
    """The events under new ids, spread over the dates."""
    lines = []
    for number, event in enumerate(events):
        late = {**event, "event_id": f"evt_late_{name}_{number}"}
        late["timestamp"] = dates[number % len(dates)] + event["timestamp"][10:]
        lines.append(json.dumps(late) + "\n")
    aside = folder / f".{name}"
    aside.write_text("".join(lines), encoding="utf-8")
    aside.rename(folder / f"late_{name}.jsonl")


def _timed(lake: Lake, landing: Path, config: Config) -> dict[str, Any]:
    pipeline = Pipeline(lake, str(landing), config)
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
    """Prints `{"full_run_seconds": …, "one_date": {…}, "all_dates": {…}}`."""
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
        sample = _sample(landing)
        for name, touched in (("one_date", dates[:1]), ("all_dates", dates)):
            _write(landing / "usage_events_stream", name, sample, touched)
            figures[name] = _timed(lake, landing, config)
    finally:
        spark.stop()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
