"""Seconds of each stage and Spark job of one `run`: `python -m benchmarks.staged LANDING LAKE`, JSON out.

It does what `cloud-analytics run --serving none` does. The steps that the pipeline logs are the stages. What a job cost
comes from Spark's event log: where it was called, its duration, tasks, shuffle and spill.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cloud_analytics import config as configuration
from cloud_analytics import pipeline
from cloud_analytics.lake.files import file_system
from cloud_analytics.lake.lake import Lake
from cloud_analytics.reading.audit import audit
from cloud_analytics.reading.flow import headline
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.session import build_session, holds_little


@dataclass
class Job:
    """One Spark job. Times are seconds (`start` since 1970); `run` and `gc` are sums over its tasks.

    `read`, `shuffle` and `spill` are bytes, `shuffles` the number of its stages that write a shuffle.
    """

    number: int
    start: float
    call: str = ""
    end: float = 0.0
    tasks: int = 0
    run: float = 0.0
    gc: float = 0.0
    read: int = 0
    shuffle: int = 0
    spill: int = 0
    shuffles: int = 0
    stage: str = ""

    def as_dict(self) -> dict[str, Any]:
        plain = {**asdict(self), "seconds": self.end - self.start}
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in plain.items()}


def log_options(folder: Path) -> list[str]:
    """The settings, each `key=value`, that make Spark write its event log into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return ["spark.eventLog.enabled=true", f"spark.eventLog.dir={folder.absolute().as_uri()}"]


def read_jobs(folder: Path) -> list[Job]:
    """The jobs of the newest log in `folder`, in the order in which they began."""
    log = max((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime)
    jobs: dict[int, Job] = {}
    owner: dict[int, Job] = {}
    writes: dict[int, int] = defaultdict(int)
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            kind = event["Event"]
            if kind == "SparkListenerJobStart":
                job = jobs[event["Job ID"]] = Job(event["Job ID"], event["Submission Time"] / 1000)
                # Folders above the package are cut off, so that results do not depend on where the code lies.
                call = str((event.get("Properties") or {}).get("callSite.short", ""))
                job.call = re.sub(r"/\S*/(?=cloud_analytics/|[^/\s]+$)", "", call)
                for stage in event["Stage IDs"]:
                    owner.setdefault(stage, job)
            elif kind == "SparkListenerJobEnd":
                jobs[event["Job ID"]].end = event["Completion Time"] / 1000
            elif kind == "SparkListenerTaskEnd" and event.get("Task Metrics"):
                job, metrics = owner[event["Stage ID"]], event["Task Metrics"]
                job.tasks += 1
                job.run += metrics["Executor Run Time"] / 1000
                job.gc += metrics["JVM GC Time"] / 1000
                job.read += metrics["Input Metrics"]["Bytes Read"]
                job.spill += metrics["Disk Bytes Spilled"]
                written = metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                job.shuffle += written
                writes[event["Stage ID"]] += written
    for stage, written in writes.items():
        owner[stage].shuffles += written > 0
    return sorted(jobs.values(), key=lambda job: job.start)


def by_stage(jobs: Iterable[Job], marks: list[tuple[str, float]]) -> dict[str, dict[str, float]]:
    """Sums of the jobs by the stage of the pipeline in which they began.

    `marks` holds the name and begin of each stage; its last entry is the end. Sets `stage` of each job.
    """
    columns = ("seconds", "jobs", "shuffles", "shuffle_mib", "task_seconds")
    sums: dict[str, dict[str, float]] = {}
    for (name, begin), (_, end) in zip(marks, marks[1:]):
        entry = sums.setdefault(name, dict.fromkeys(columns, 0.0))
        entry["seconds"] = round(entry["seconds"] + end - begin, 2)
        for job in jobs:
            if begin <= job.start < end:
                job.stage = name
                entry["jobs"] += 1
                entry["shuffles"] += job.shuffles
                entry["shuffle_mib"] = round(entry["shuffle_mib"] + job.shuffle / 2**20, 2)
                entry["task_seconds"] = round(entry["task_seconds"] + job.run, 2)
    return sums


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
            config.pipeline.spark.overridden(None, log_options(Path(logs))),
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
        found = read_jobs(Path(logs))
    sums = by_stage(found, marks)
    print(json.dumps({"stages": sums, "jobs": [job.as_dict() for job in found]}))


if __name__ == "__main__":
    main()
