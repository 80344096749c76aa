"""Wall time and peak memory of `cloud-analytics run`: first on an empty lake, then again where nothing is new.

    .venv/bin/python benchmarks/reference_run.py LANDING [--times 3]

Memory is the resident memory of all processes of a run together (Linux), sampled ten times a second.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def tree_rss(root: int) -> int:
    """Resident bytes of a process and all its descendants."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(stat[1])
            resident[int(folder.name)] = int(stat[21]) * 4096
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(resident.get(pid, 0) for pid in family)


def measure(landing: str, lake: str) -> tuple[float, float]:
    """Seconds and peak GiB of one run."""
    command = [
        sys.executable,
        "-m",
        "cloud_analytics",
        "run",
        "--serving",
        "none",
        "--landing",
        landing,
        "--lake",
        lake,
    ]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_rss(process.pid))
        time.sleep(0.1)
    if process.returncode:
        sys.exit(f"the run failed with exit status {process.returncode}")
    return time.monotonic() - started, peak / 2**30


def main() -> None:
    """Print one line a run, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("landing")
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    first, again = [], []
    for number in range(arguments.times):
        with tempfile.TemporaryDirectory() as lake:
            first.append(measure(arguments.landing, lake))
            again.append(measure(arguments.landing, lake))
        print(
            f"run {number + 1}: {first[-1][0]:.1f} s, peak {first[-1][1]:.2f} GiB;"
            f" nothing new: {again[-1][0]:.1f} s, peak {again[-1][1]:.2f} GiB"
        )
    print(
        f"median: {statistics.median(s for s, _ in first):.1f} s;"
        f" nothing new: {statistics.median(s for s, _ in again):.1f} s"
    )


if __name__ == "__main__":
    main()
