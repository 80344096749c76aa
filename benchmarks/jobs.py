"""Spark's event log → the cost of each job: where it was called, its duration, tasks, shuffle and spill."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Job:
    """One Spark job. Times are seconds (`start` since 1970); `run` and `gc` are sums over its tasks.

    `read`, `shuffle` and `spill` are bytes, `shuffles` the number of its stages that write a shuffle.
    """

    number: int
    start: float
    call: str = ""
    end: float = 0.0
    stages: set[int] = field(default_factory=set)
    tasks: int = 0
    run: float = 0.0
    gc: float = 0.0
    read: int = 0
    shuffle: int = 0
    spill: int = 0
    shuffles: int = 0
    stage: str = ""

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.end - self.start

    def as_dict(self) -> dict[str, Any]:
        plain = {key: value for key, value in asdict(self).items() if key != "stages"}
        plain["seconds"] = self.seconds
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in plain.items()}


def options(folder: Path) -> list[str]:
    """The settings, each `key=value`, that make Spark write its event log into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return ["spark.eventLog.enabled=true", f"spark.eventLog.dir={folder.absolute().as_uri()}"]


def read(folder: Path) -> list[Job]:
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
                    job.stages.add(stage)
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
    sums: dict[str, dict[str, float]] = {}
    for (name, begin), (_, end) in zip(marks, marks[1:]):
        entry = sums.setdefault(
            name, dict.fromkeys(("seconds", "jobs", "shuffles", "shuffle_mib", "task_seconds"), 0.0)
        )
        entry["seconds"] = round(entry["seconds"] + end - begin, 2)
        for job in jobs:
            if begin <= job.start < end:
                job.stage = name
                entry["jobs"] += 1
                entry["shuffles"] += job.shuffles
                entry["shuffle_mib"] = round(entry["shuffle_mib"] + job.shuffle / 2**20, 2)
                entry["task_seconds"] = round(entry["task_seconds"] + job.run, 2)
    return sums
