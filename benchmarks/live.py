"""A day in live mode, looked at now and then: `python -m benchmarks.live LANDING WORK [--samples N]`, JSON out.

LANDING holds the files of one day. The lake also holds earlier days (`--history`), each with as many events: the day's
own, with other dates and ids. A run settles them first. Then the day fills up in N steps of equal size. What lies
between two looks is taken into Bronze, a micro-batch a file, and then into Silver and Gold at once. At each look some
files arrive one after the other, and each goes through Bronze, Silver and Gold as a micro-batch does: its seconds, from
arrival to Gold, are the least trigger interval that would keep up at this time of the day (the median of the look
counts). The session stays; a stream that is followed saves the start of its query, too (about a second).
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

from benchmarks import jobs
from cloud_analytics import config as configuration
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.session import build_session

_DAY = re.compile(r'("timestamp": ?")(\d{4}-\d\d-\d\d)')
_ID = re.compile(r'("event_id": ?"[^"]*)')


def steps(files: Sequence[Path], samples: int, each: int) -> Iterator[tuple[Sequence[Path], Sequence[Path]]]:
    """The files of the day in order, cut into (those that only fill the day up, the `each` that are measured)."""
    ends = sorted({round(len(files) * number / samples) for number in range(1, samples + 1)} - {0})
    for begin, end in zip([0, *ends], ends):
        cut = max(begin, end - each)
        yield files[begin:cut], files[cut:end]


def _arrive(files: Sequence[Path], stream: Path) -> None:
    for file in files:
        aside = stream / f".{file.name}"
        shutil.copyfile(file, aside)
        aside.rename(stream / file.name)


def _earlier(files: Sequence[Path], stream: Path, days: int) -> None:
    """As many earlier days as these files hold of one, a file each."""
    for number in range(1, days + 1):

        def earlier(found: re.Match[str], back: timedelta = timedelta(days=number)) -> str:
            return f"{found[1]}{date.fromisoformat(found[2]) - back}"

        with (stream / f"earlier_{number:03}.jsonl").open("w", encoding="utf-8") as target:
            for file in files:
                text = _ID.sub(rf"\g<1>_{number}", file.read_text(encoding="utf-8"))
                target.write(_DAY.sub(earlier, text))


def day(
    pipeline: Pipeline, files: Sequence[Path], stream: Path, samples: int, each: int
) -> Iterator[tuple[dict[str, Any], list[tuple[str, float]]]]:
    """A row a look: lines of a micro-batch, of the day so far, and its seconds, by zone; and when each zone began."""
    filled = 0
    for before, measured in steps(files, samples, each):
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
    """Prints `{"batches": [one entry a look], "last": what Spark did in the last one, zone by zone}`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--samples", type=int, default=8, metavar="N", help="How often the day is looked at.")
    parser.add_argument("--each", type=int, default=3, metavar="N", help="Micro-batches that are measured at a look.")
    parser.add_argument("--history", type=int, default=1, metavar="DAYS", help="Earlier days in the lake.")
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
            _earlier(files, stream, arguments.history)
            _arrive(files[:1], stream)
            pipeline.run()
            _arrive(files[1:2], stream)  # the first micro-batch warms everything up, and is no sample
            pipeline.stream()
            looks = list(day(pipeline, files[2:], stream, arguments.samples, arguments.each))
        finally:
            spark.stop()
        last = jobs.by_stage(jobs.read(Path(logs)), looks[-1][1])
    print(json.dumps({"batches": [row for row, _ in looks], "last": last}))


if __name__ == "__main__":
    main()
