"""A day in live mode, looked at now and then: `python -m benchmarks.live LANDING WORK [--samples N]`, JSON out.

LANDING holds the files of one day. It fills up in N steps of equal size: what lies between two looks is only taken into
Bronze; then one more file arrives and goes through Bronze, its date of Silver and the Gold of it, as each micro-batch
does. Its seconds, from arrival to Gold, are the least trigger interval that would keep up at this time of the day. The
session stays; a stream that is followed saves the start of its query, too (about a second).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cloud_analytics import config as configuration
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.session import build_session
from cloud_analytics.storage.lake import Lake


def steps(files: Sequence[Path], samples: int) -> Iterator[tuple[Sequence[Path], Path]]:
    """The files of the day in order, cut into (those that only fill the day up, the one that is measured)."""
    ends = sorted({round(len(files) * number / samples) for number in range(1, samples + 1)} - {0})
    for begin, end in zip([0, *ends], ends):
        yield files[begin : end - 1], files[end - 1]


def _arrive(files: Sequence[Path], stream: Path) -> None:
    for file in files:
        aside = stream / f".{file.name}"
        shutil.copyfile(file, aside)
        aside.rename(stream / file.name)


def day(pipeline: Pipeline, files: Sequence[Path], stream: Path, samples: int) -> Iterator[dict[str, Any]]:
    """One row a look: the lines of the micro-batch, of the day so far, its seconds, and Bronze's part of them."""
    filled = 0
    for before, measured in steps(files, samples):
        _arrive(before, stream)
        filled += sum(batch.input_rows for batch in pipeline.bronze().batches)
        _arrive([measured], stream)
        started = time.monotonic()
        (batch,) = pipeline.bronze().batches
        pipeline.silver()
        pipeline.gold()
        seconds = time.monotonic() - started
        filled += batch.input_rows
        bronze = batch.duration_seconds
        yield {"lines": batch.input_rows, "lines_so_far": filled, "seconds": round(seconds, 2), "bronze": bronze}


def main() -> None:
    """Prints a JSON list, one entry a look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--samples", type=int, default=8, metavar="N")
    arguments = parser.parse_args()
    config = configuration.load()
    landing = arguments.work / "landing"
    stream = landing / "usage_events_stream"
    stream.mkdir(parents=True)
    for master in arguments.landing.glob("*.csv"):
        shutil.copy2(master, landing)
    files = sorted((arguments.landing / "usage_events_stream").iterdir())
    spark = build_session(config.pipeline.spark)
    try:
        pipeline = Pipeline(Lake(spark, str(arguments.work / "lake")), str(landing), config)
        _arrive(files[:1], stream)  # the first micro-batch warms everything up, and is no sample
        pipeline.stream()
        rows = list(day(pipeline, files[1:], stream, arguments.samples))
    finally:
        spark.stop()
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
