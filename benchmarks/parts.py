"""The parts of the suite. Each returns the figures that its JSON file holds; sizes are events."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import forecast
from benchmarks.measure import Measured, measured, pipeline_run
from cloud_analytics.generate import GeneratorSettings, generate

DAYS = 60
FULL_SIZES = (400_000, 2_000_000, 10_000_000)
LIVE = ((10_000_000, 288), (2_000_000, 1440))  # a day in 5-minute and in 1-minute micro-batches


@dataclass(frozen=True)
class Plan:
    """The options of the suite. `events` replaces each part's own sizes; generated data and lakes lie in `work`."""

    work: Path
    landing: Path | None
    events: list[int]
    times: int
    batches: int | None
    samples: int

    def generated(self, events: int, **settings: Any) -> Path:
        """A landing folder with that many events; it is generated once and kept."""
        name = "-".join([f"{events}", *[f"{key}{value}" for key, value in sorted(settings.items())]])
        folder = self.work / "landing" / name
        if not (folder / "_truth.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            generate(folder, GeneratorSettings(events=events, **{"days": DAYS, **settings}))
        return folder

    def reference(self) -> Path:
        """The landing folder of the option, else one of the reference's size."""
        return self.landing or self.generated(self.events[0] if self.events else 43_200)

    def empty(self, name: str) -> Path:
        """The path of a folder in `work` that does not exist yet, or no more."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder


def _medians(found: Sequence[Measured]) -> dict[str, float]:
    runs = [one.as_dict() for one in found]
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def _yardstick(landing: Path) -> dict[str, Any]:
    """Seconds that it measured itself, without the start of Python, and its peak memory."""
    return measured("-m", "benchmarks.yardstick", str(landing)).printed()


def reference(plan: Plan) -> dict[str, Any]:
    """The reference run, a second one with nothing new, one by stage with its Spark jobs, and the yardstick."""
    landing = plan.reference()
    first, again = [], []
    # All lakes are deleted before the first run: for some seconds after a large deletion, ext4 is slow to create files.
    *lakes, last = [plan.empty(f"lake-{number}") for number in range(plan.times + 1)]
    for lake in lakes:
        first.append(pipeline_run(landing, lake))
        again.append(pipeline_run(landing, lake))
    staged = measured("-m", "benchmarks.staged", str(landing), str(last))
    return {
        "landing": landing.name,
        "run": _medians(first),
        "nothing_new": _medians(again),
        **json.loads(staged.output.splitlines()[-1]),
        "yardstick": _yardstick(landing),
    }


def scale(plan: Plan) -> list[dict[str, Any]]:
    """Throughput and peak memory of the pipeline and of the yardstick, by size."""
    rows = []
    for events in plan.events or FULL_SIZES:
        landing = plan.generated(events)
        size = sum(path.stat().st_size for path in (landing / "usage_events_stream").iterdir())
        run = pipeline_run(landing, plan.empty("lake"))
        yardstick = _yardstick(landing)
        rows.append(
            {
                "events": events,
                "json_mib": round(size / 2**20, 1),
                "run": run.as_dict(),
                "events_per_second": round(events / run.seconds),
                "yardstick": yardstick,
                "times_the_yardstick": round(run.seconds / yardstick["seconds"], 2),
            }
        )
    return rows


def live(plan: Plan) -> list[dict[str, Any]]:
    """Seconds of a micro-batch from its file to Gold, while a day fills up."""
    rows = []
    for events, batches in [(events, plan.batches or min(288, events)) for events in plan.events] or LIVE:
        landing = plan.generated(events, days=1, files=batches)
        places = str(landing), str(plan.empty("live"))
        run = measured("-m", "benchmarks.live", *places, "--samples", str(plan.samples))
        about = {"events": events, "micro_batches": batches, "trigger_seconds": 86_400 / batches}
        rows.append({**about, **run.printed()})
    return rows


def late(plan: Plan) -> list[dict[str, Any]]:
    """Seconds for a late file with events of one old date, and for one with events of all dates, by size of lake."""
    rows = []
    for events in plan.events or FULL_SIZES[:2]:
        landing = plan.generated(events)
        run = measured("-m", "benchmarks.late", str(landing), str(plan.empty("late")))
        rows.append({"events": events, **run.printed()})
    return rows


def serving(plan: Plan) -> dict[str, Any]:
    """Rows per second into the embedded Cassandra node, by the connector's defaults and by a load (medians)."""
    rows = plan.events[0] if plan.events else 30_000
    run = measured("-m", "benchmarks.serving_load", "--rows", str(rows), "--times", str(plan.times))
    medians = re.findall(r"(\w+) ([\d,]+) rows/s", run.output.splitlines()[-1])
    rates = {f"{name}, rows per second": int(rate.replace(",", "")) for name, rate in medians}
    return {"rows": rows, **rates, **run.surroundings()}


def follow(plan: Plan) -> dict[str, Any]:
    """Seconds from a file to Gold and to Cassandra under `stream --follow`."""
    landing = plan.reference()
    run = measured("-m", "benchmarks.follow", str(landing), str(plan.empty("follow")), "--serving", "embedded")
    return {"landing": landing.name, **run.printed()}


def forecasts(plan: Plan) -> list[dict[str, Any]]:
    """Errors of the forecasts and of the week before as a forecast, and the coverage of the 80 % interval."""
    events = plan.events[0] if plan.events else 43_200
    data = {
        **({plan.landing.name: plan.landing} if plan.landing else {}),
        "generated": plan.generated(events),
        "weekly rhythm": plan.generated(events, weekly=True),
        "growth of 10 % a month": plan.generated(events, growth=0.1),
        "both, 120 days": plan.generated(2 * events, days=2 * DAYS, weekly=True, growth=0.1),
    }
    return [row for name, landing in data.items() for row in forecast.accuracy(name, forecast.daily_costs(landing))]


PARTS: dict[str, Callable[[Plan], Any]] = {
    "reference": reference,
    "scale": scale,
    "live": live,
    "follow": follow,
    "late": late,
    "serving": serving,
    "forecasts": forecasts,
}
