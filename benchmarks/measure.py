"""Shared by the parts of the suite: measuring a process, describing the machine, files that arrive, results as JSON."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results")
_PACKAGES = ("pyspark", "duckdb", "pyarrow", "pandas", "cassandra-driver")

# What the lines of event files are recognised by.
DATE = re.compile(r'("timestamp": ?")(\d{4}-\d\d-\d\d)')
EVENT_ID = re.compile(r'("event_id": ?"[^"]*)')


@dataclass(frozen=True)
class Measured:
    """A process that ended with status 0: wall seconds, output, and peak resident memory with all its descendants.

    `spin` is the mean of `spin()` before and after it.
    """

    seconds: float
    peak_gib: float
    spin: float
    output: str

    def as_dict(self) -> dict[str, float]:
        return {"seconds": round(self.seconds, 2), **self.surroundings()}

    def printed(self) -> dict[str, Any]:
        """The JSON object in the last line of the output, with memory and spin: for a process that measures itself."""
        return {**json.loads(self.output.splitlines()[-1]), **self.surroundings()}

    def surroundings(self) -> dict[str, float]:
        """Memory and spin."""
        return {"peak_gib": round(self.peak_gib, 2), "spin": round(self.spin, 2)}


def spin() -> float:
    """Seconds of a fixed loop on one core: other guests of a shared host slow it down, and do not show in the load."""
    started, total = time.perf_counter(), 0
    for number in range(5_000_000):
        total += number
    return time.perf_counter() - started


def tree_rss(root: int) -> int:
    """Resident bytes of a process and all its descendants (Linux)."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    page = os.sysconf("SC_PAGE_SIZE")
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # the process has ended
                continue
            parents[int(folder.name)] = int(stat[1])
            resident[int(folder.name)] = int(stat[21]) * page
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(resident.get(pid, 0) for pid in family)


def measured(*command: str) -> Measured:
    """Run this interpreter with these arguments and sample its memory ten times a second; exits when it fails."""
    before = spin()
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_rss(process.pid))
        time.sleep(0.1)
    seconds = time.monotonic() - started
    output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        sys.exit(f"failed with exit status {process.returncode}: {shlex.join(command)}")
    return Measured(seconds, peak / 2**30, (before + spin()) / 2, output)


def pipeline_run(landing: Path, lake: Path) -> Measured:
    """Measure `cloud-analytics run --serving none`."""
    places = ("--landing", str(landing), "--lake", str(lake))
    return measured("-m", "cloud_analytics", "run", "--serving", "none", *places)


def arrive(folder: Path, name: str, text: str) -> None:
    """Write a file under a name that the pipeline ignores, then rename it: so it is complete when it is seen."""
    upload = folder / f".{name}"
    upload.write_text(text, encoding="utf-8")
    upload.rename(folder / name)


def machine() -> dict[str, Any]:
    """Hardware and versions. `load` is the load before the suite begins: figures are noise when it is well above 0."""
    memory = next((line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line), "0 0")
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        **{name: version(name) for name in _PACKAGES},
    }


def store(part: str, figures: Any, about: dict[str, Any], folder: Path) -> Path:
    """Write a part's figures with machine, versions, commit, date and command to a JSON file; returns its path.

    Behind the commit stands `+` where there are uncommitted changes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"]
    commit = subprocess.run(asked, capture_output=True, text=True, cwd=REPOSITORY).stdout.strip() or "unknown"
    path = folder / f"{part}.json"
    document = {
        "part": part,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks {shlex.join(sys.argv[1:])}",
        "commit": commit,
        "machine": about,
        "figures": figures,
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path
