"""A day in live mode, looked at now and then: `python -m benchmarks.live LANDING WORK [--samples N]`, JSON out.

LANDING holds the files of one day. It fills up in N steps of equal size: what lies between two looks is only taken into
Bronze, a micro-batch a file, so that the date has as many files there as it would have. Then one more file arrives and
goes through Bronze, its date of Silver and the Gold of it, as each micro-batch does. Its seconds, from arrival to Gold,
are the least trigger interval that would keep up at this time of the day. The session stays; a stream that is followed
saves the start of its query, too (about a second).
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import jobs
from cloud_analytics import config as configuration
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.session import build_session


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


def day(
    pipeline: Pipeline, files: Sequence[Path], stream: Path, samples: int
) -> Iterator[tuple[dict[str, Any], list[tuple[str, float]]]]:
    """A row a look: lines of the micro-batch, of the day so far, and its seconds, by zone; and when each zone began."""
    filled = 0
    for before, measured in steps(files, samples):
        _arrive(before, stream)
        filled += sum(batch.input_rows for batch in pipeline.bronze().batches)
        _arrive([measured], stream)
        marks = [("bronze", time.time())]
        (batch,) = pipeline.bronze().batches
        marks.append(("silver", time.time()))
        pipeline.silver()
        marks.append(("gold", time.time()))
        pipeline.gold()
        marks.append(("end", time.time()))
        filled += batch.input_rows
        zones = {name: round(end - begin, 2) for (name, begin), (_, end) in zip(marks, marks[1:])}
        seconds = round(marks[-1][1] - marks[0][1], 2)
        yield {"lines": batch.input_rows, "lines_so_far": filled, "seconds": seconds, **zones}, marks


def main() -> None:
    """Prints `{"batches": [one entry a look], "last": what Spark did in the last one, zone by zone}`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--samples", type=int, default=8, metavar="N")
    arguments = parser.parse_args()
    config = configuration.load().with_files_per_trigger(1)
    landing = arguments.work / "landing"
    stream = landing / "usage_events_stream"
    stream.mkdir(parents=True)
    for master in arguments.landing.glob("*.csv"):
        shutil.copy2(master, landing)
    files = sorted((arguments.landing / "usage_events_stream").iterdir())
    with tempfile.TemporaryDirectory() as logs:
        spark = build_session(config.pipeline.spark.overridden(None, jobs.options(Path(logs))))
        try:
            pipeline = Pipeline(Lake(spark, str(arguments.work / "lake")), str(landing), config)
            _arrive(files[:1], stream)  # the first micro-batch warms everything up, and is no sample
            pipeline.stream()
            looks = list(day(pipeline, files[1:], stream, arguments.samples))
        finally:
            spark.stop()
        last = jobs.by_stage(jobs.read(Path(logs)), looks[-1][1])
    print(json.dumps({"batches": [row for row, _ in looks], "last": last}))


if __name__ == "__main__":
    main()
