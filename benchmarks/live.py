"""A day in live mode: files arrive one after the other, each is a micro-batch through Bronze, Silver and Gold.

    python -m benchmarks.live LANDING WORK [--stop-after N]

The next file arrives when Gold holds the one before, so a micro-batch is never larger than its file, and its time is
the least trigger interval that would keep up. JSON: for each micro-batch the lines of its file, the lines of the day so
far, seconds from arrival to Gold, and Bronze's part of them. The lake holds this one day.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from cloud_analytics import config as configuration
from cloud_analytics.pipeline import Outcome, Pipeline
from cloud_analytics.session import build_session
from cloud_analytics.storage.lake import Lake


class _Arrivals(Pipeline):
    """The pipeline in live mode, fed one file at a time, until there are no more."""

    def feed(self, source: Path, target: Path, stop_after: int | None) -> list[dict[str, Any]]:
        self._files, self._target = sorted((source / "usage_events_stream").iterdir())[:stop_after], target
        self._rows: list[dict[str, Any]] = []
        self._taken, self._done = 0, threading.Event()
        self._arrive()
        self.follow(timedelta(seconds=1), self._done)
        return self._rows

    def _arrive(self) -> None:
        file = self._files[len(self._rows)]
        aside = self._target / f".{file.name}"
        shutil.copyfile(file, aside)
        os.replace(aside, self._target / file.name)
        self._arrived = time.monotonic()

    def _onward(self, outcome: Outcome) -> None:
        super()._onward(outcome)
        if len(outcome.batches) == self._taken:
            return  # the masters, before the stream begins
        self._taken = len(outcome.batches)
        batch = outcome.batches[-1]
        before = self._rows[-1]["lines_so_far"] if self._rows else 0
        row = {"lines": batch.input_rows, "lines_so_far": before + batch.input_rows}
        row |= {"seconds": round(time.monotonic() - self._arrived, 3), "bronze": batch.duration_seconds}
        self._rows.append(row)
        if len(self._rows) < len(self._files):
            self._arrive()
        else:
            self._done.set()


def main() -> None:
    """Prints a JSON list, one entry a micro-batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--stop-after", type=int, metavar="N", help="Only the first N micro-batches.")
    arguments = parser.parse_args()
    config = configuration.load()
    landing, lake = arguments.work / "landing", arguments.work / "lake"
    (landing / "usage_events_stream").mkdir(parents=True)
    for master in arguments.landing.glob("*.csv"):
        shutil.copy2(master, landing)
    spark = build_session(config.pipeline.spark)
    try:
        day = _Arrivals(Lake(spark, str(lake)), str(landing), config)
        rows = day.feed(arguments.landing, landing / "usage_events_stream", arguments.stop_after)
    finally:
        spark.stop()
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
