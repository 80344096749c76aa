"""Seconds of a micro-batch while a day fills up: `python -m benchmarks.live LANDING WORK [--samples N]`, JSON out.

LANDING holds the files of one day. The lake also holds the day before, a copy under another date and other ids; `run`
takes it in first. Then the day fills up in N steps of equal size. Each step ends with three files that are measured:
they arrive one after the other, and each goes through Bronze, Silver and Gold like a micro-batch. The median of their
seconds from arrival to Gold is the shortest trigger interval that would keep up at this time of the day. The other
files of a step go into Bronze one by one, and then into Silver and Gold together. All share one Spark session; `stream
--follow` would save about one second more, the start of its query.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import DATE, EVENT_ID, arrive
from benchmarks.staged import by_stage, log_options, read_jobs
from cloud_analytics import config as configuration
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.session import build_session

MEASURED_FILES = 3  # of each step


def steps(files: Sequence[Path], samples: int) -> Iterator[tuple[Sequence[Path], Sequence[Path]]]:
    """The files of the day, cut into steps: (files that only fill the day up, the last ones, which are measured)."""
    ends = sorted({round(len(files) * number / samples) for number in range(1, samples + 1)} - {0})
    for begin, end in zip([0, *ends], ends):
        cut = max(begin, end - MEASURED_FILES)
        yield files[begin:cut], files[cut:end]


def _arrive(files: Sequence[Path], stream: Path) -> None:
    for file in files:
        arrive(stream, file.name, file.read_text(encoding="utf-8"))


def _write_day_before(files: Sequence[Path], stream: Path) -> None:
    """Write the events of the files under the date before theirs, and with other ids, into one file."""

    def day_before(found: re.Match[str]) -> str:
        return f"{found[1]}{date.fromisoformat(found[2]) - timedelta(days=1)}"

    with (stream / "earlier.jsonl").open("w", encoding="utf-8") as target:
        for file in files:
            target.write(DATE.sub(day_before, EVENT_ID.sub(r"\g<1>_1", file.read_text(encoding="utf-8"))))


def day(
    pipeline: Pipeline, files: Sequence[Path], stream: Path, samples: int
) -> Iterator[tuple[dict[str, Any], list[tuple[str, float]]]]:
    """One row per step, with the times at which the zones of its last micro-batch began.

    A row holds the lines of a micro-batch and of the day so far, and the micro-batch's seconds, also by zone.
    """
    filled = 0
    for before, measured in steps(files, samples):
        _arrive(before, stream)
        filled += sum(batch.input_rows for batch in pipeline.bronze().batches)
        pipeline.silver()
        pipeline.gold()
        looks = []
        for file in measured:
            _arrive([file], stream)
            marks = [("bronze", time.time())]
            (batch,) = pipeline.bronze().batches
            for name, step in (("silver", pipeline.silver), ("gold", pipeline.gold)):
                marks.append((name, time.time()))
                step()
            marks.append(("end", time.time()))
            filled += batch.input_rows
            zones = {name: round(end - begin, 2) for (name, begin), (_, end) in zip(marks, marks[1:])}
            seconds = round(marks[-1][1] - marks[0][1], 2)
            looks.append({"lines": batch.input_rows, "seconds": seconds, **zones})
        row = {name: round(statistics.median(look[name] for look in looks), 2) for name in looks[0]}
        yield {**row, "lines_so_far": filled, "slowest": max(look["seconds"] for look in looks)}, marks


def main() -> None:
    """Print `{"batches": [one row per step], "last": what Spark did in the last micro-batch, by zone}`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--samples", type=int, default=8, metavar="N", help="How many steps the day has.")
    arguments = parser.parse_args()
    config = configuration.load().with_files_per_trigger(1)
    landing = arguments.work / "landing"
    stream = landing / "usage_events_stream"
    stream.mkdir(parents=True)
    for master in arguments.landing.glob("*.csv"):
        shutil.copy2(master, landing)
    files = sorted((arguments.landing / "usage_events_stream").iterdir())
    with tempfile.TemporaryDirectory() as logs:
        spark = build_session(config.pipeline.spark.overridden(None, log_options(Path(logs))))
        try:
            pipeline = Pipeline(Lake(spark, str(arguments.work / "lake")), str(landing), config)
            _write_day_before(files, stream)
            _arrive(files[:1], stream)
            pipeline.run()
            _arrive(files[1:2], stream)  # the first micro-batch warms everything up, and is no sample
            pipeline.stream()
            looks = list(day(pipeline, files[2:], stream, arguments.samples))
        finally:
            spark.stop()
        last = by_stage(read_jobs(Path(logs)), looks[-1][1])
    print(json.dumps({"batches": [row for row, _ in looks], "last": last}))


if __name__ == "__main__":
    main()
