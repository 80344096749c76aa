"""Seconds from a file to its figures under `stream --follow`: `python -m benchmarks.follow LANDING WORK`, JSON out.

LANDING is copied, and `run` builds a lake from it. Then `stream --follow` runs in a process of its own, and files with
lines of the newest date and new ids arrive one after the other. For each file, the seconds are measured from its
arrival until the change log of Gold shows a new record and, with `--serving embedded`, until the lake's record of
loaded partitions shows that they are in Cassandra. The next file arrives after that.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import DATE, EVENT_ID, arrive

_WARM_UP = 3  # files that are not measured: the process starts with them
_PAUSE = 2.0  # seconds before the next file
_TIMEOUT = 300.0  # seconds


def lines_of_newest_date(stream: Path, most: int) -> list[str]:
    """At most so many lines of events of the newest date in the folder."""
    newest, found = "", []
    for file in sorted(stream.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            date = DATE.search(line)
            if date is None or date[2] < newest or not EVENT_ID.search(line):
                continue
            if date[2] > newest:
                newest, found = date[2], []
            if len(found) < most:
                found.append(line)
    return found


def with_new_ids(lines: Sequence[str], number: int, size: int) -> str:
    """The text of the file with this number: `size` of the lines, under ids that no other file has."""
    chosen = [lines[(number * size + place) % len(lines)] for place in range(size)]
    return "".join(EVENT_ID.sub(rf"\g<1>_{number}_{place}", line) + "\n" for place, line in enumerate(chosen))


def _seconds_until(
    is_true: Callable[[Path, Path], bool], lake: Path, log: Path, since: float, process: subprocess.Popen[bytes]
) -> float:
    """Wait until the condition holds for the lake and a record of its change log; returns the seconds since `since`."""
    while not is_true(lake, log):
        if process.poll() is not None:
            raise SystemExit("the stream ended")
        if time.time() > since + _TIMEOUT:
            raise SystemExit(f"nothing came within {_TIMEOUT:.0f} s")
        time.sleep(0.02)
    return time.time() - since


def _newest_log(lake: Path) -> Path:
    """The file of the newest record in the change log of Gold."""
    return max((lake / "gold" / "_change_log").glob("*.json"), key=lambda path: int(path.stem))


def _has_newer(lake: Path, log: Path) -> bool:
    """Whether the change log has a newer record than this one."""
    return _newest_log(lake) != log


def _is_served(lake: Path, log: Path) -> bool:
    """Whether every served partition in this record of the change log has been loaded, by the lake's own record."""
    changes = json.loads(log.read_text(encoding="utf-8"))
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in (lake / "_state").glob("serving_*.json")]
    loaded = documents[0]["partitions"] if documents else {}

    def is_loaded(change: dict[str, Any]) -> bool:
        content, at = loaded[change["mart"]].get(change["partition"], (None, 0))
        return content is not None and at >= change["version"]

    return bool(loaded) and all(map(is_loaded, (change for change in changes if change["mart"] in loaded)))


def main() -> None:
    """Print `{"lines": …, "files": …, "to_gold": {"median": …, "p95": …, "max": …}, "to_cassandra": …}`, in seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--files", type=int, default=20, metavar="N", help="How many files are measured.")
    parser.add_argument("--lines", type=int, default=1_000, metavar="N", help="How many lines a file has.")
    parser.add_argument("--serving", choices=("none", "embedded"), default="none")
    arguments = parser.parse_args()
    landing, lake = arguments.work / "landing", arguments.work / "lake"
    shutil.rmtree(arguments.work, ignore_errors=True)
    shutil.copytree(arguments.landing, landing)
    stream = landing / "usage_events_stream"
    command = [sys.executable, "-m", "cloud_analytics"]
    places = ["--landing", str(landing), "--lake", str(lake), "--serving", arguments.serving]
    subprocess.run([*command, "run", *places], check=True, stdout=subprocess.DEVNULL)
    lines = lines_of_newest_date(stream, most=50_000)
    gold: list[float] = []
    cassandra: list[float] = []
    process = subprocess.Popen([*command, "stream", "--follow", "--trigger", "1 second", *places])
    try:
        for number in range(arguments.files + _WARM_UP):
            before = _newest_log(lake)
            arrive(stream, f"arrival_{number:05}.jsonl", with_new_ids(lines, number, arguments.lines))
            arrived = time.time()
            gold.append(_seconds_until(_has_newer, lake, before, arrived, process))
            if arguments.serving != "none":
                cassandra.append(_seconds_until(_is_served, lake, _newest_log(lake), arrived, process))
            time.sleep(_PAUSE)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    figures: dict[str, Any] = {"lines": arguments.lines, "files": arguments.files}
    for name, seconds in (("to_gold", gold[_WARM_UP:]), ("to_cassandra", cassandra[_WARM_UP:])):
        if seconds:
            ranks = {"median": 50, "p95": 95, "max": 100}
            figures[name] = {key: round(float(np.percentile(seconds, rank)), 2) for key, rank in ranks.items()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
