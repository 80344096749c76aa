"""From a file to its figures, as who follows sees it: `python -m benchmarks.follow LANDING WORK [--files N]`, JSON out.

LANDING is copied and settled by `run`. Then `stream --follow` runs as a process of its own, and files arrive one after
the other: lines of the newest date with new ids. Measured is, from the moment a file stands in landing, how long its
micro-batch takes to be in Gold (the change log names it) and, with `--serving embedded`, in Cassandra (the lake's
document of what was loaded names it). The next file comes when the one before it is through.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

_DATE = re.compile(r'"timestamp": ?"(\d{4}-\d\d-\d\d)')
_ID = re.compile(r'("event_id": ?"[^"]*)')
_ENOUGH = 50_000  # lines to make others of
_LONGEST = 300.0  # seconds for which a figure is waited for


def lines_of_newest_date(stream: Path) -> list[str]:
    """Lines of events of the date that is the newest one in the folder."""
    newest, found = "", []
    for file in sorted(stream.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            date = _DATE.search(line)
            if date is None or date[1] < newest or not _ID.search(line):
                continue
            if date[1] > newest:
                newest, found = date[1], []
            if len(found) < _ENOUGH:
                found.append(line)
    return found


def arrivals(lines: Sequence[str], each: int) -> Iterator[str]:
    """Texts of so many lines, of which no two share an id."""
    number = 0
    while True:
        number += 1
        chosen = [lines[(number * each + place) % len(lines)] for place in range(each)]
        yield "".join(_ID.sub(rf"\g<1>_{number}_{place}", line) + "\n" for place, line in enumerate(chosen))


def _waited(process: subprocess.Popen[bytes], since: float, is_there: Callable[[], bool]) -> float:
    """Seconds from `since` until something is there."""
    while time.time() < since + _LONGEST:
        if process.poll() is not None:
            raise SystemExit("the stream ended")
        if is_there():
            return time.time() - since
        time.sleep(0.02)
    raise SystemExit(f"nothing came within {_LONGEST:.0f} s")


def _has_changed(lake: Path, before: Path) -> bool:
    """Whether Gold has changed since that record."""
    return _newest_log(lake) != before


def _newest_log(lake: Path) -> Path:
    """The record of the newest change of Gold."""
    return max((lake / "gold" / "_change_log").glob("*.json"), key=lambda path: int(path.stem))


def _is_served(lake: Path, log: Path) -> bool:
    """Whether the lake remembers that each served partition of this change was loaded."""
    changes = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in (lake / "_state").glob("serving_*.json")]
    loaded = documents[0]["partitions"] if documents else {}
    return bool(loaded) and all(
        loaded[change["mart"]].get(change["partition"], [0])[0] >= change["version"]
        for change in changes
        if change["mart"] in loaded
    )


def _figures(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {"median": round(statistics.median(ordered), 2), "p95": round(p95, 2), "slowest": round(ordered[-1], 2)}


def main() -> None:
    """Prints `{"to_gold": {"median": …, "p95": …}, "to_cassandra": …}`, seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--files", type=int, default=20, metavar="N", help="How many files are measured.")
    parser.add_argument("--lines", type=int, default=1_000, metavar="N", help="How many lines a file has.")
    parser.add_argument("--pause", type=float, default=2.0, metavar="S", help="Seconds between two files.")
    parser.add_argument("--serving", choices=("none", "embedded"), default="none")
    arguments = parser.parse_args()
    landing, lake = arguments.work / "landing", arguments.work / "lake"
    shutil.rmtree(arguments.work, ignore_errors=True)
    shutil.copytree(arguments.landing, landing, copy_function=os.link)  # nothing writes into the files
    stream = landing / "usage_events_stream"
    command = [sys.executable, "-m", "cloud_analytics"]
    places = ["--landing", str(landing), "--lake", str(lake), "--serving", arguments.serving]
    subprocess.run([*command, "run", *places], check=True, stdout=subprocess.DEVNULL)
    texts = arrivals(lines_of_newest_date(stream), arguments.lines)
    gold: list[float] = []
    cassandra: list[float] = []
    process = subprocess.Popen([*command, "stream", "--follow", "--trigger", "1 second", *places])
    try:
        for number, text in enumerate(islice(texts, arguments.files + 3)):
            before = _newest_log(lake)
            aside = stream / f".arrival_{number:05}.jsonl"
            aside.write_text(text, encoding="utf-8")
            aside.rename(stream / f"arrival_{number:05}.jsonl")
            began = time.time()
            seconds = [_waited(process, began, partial(_has_changed, lake, before))]
            if arguments.serving != "none":
                seconds.append(_waited(process, began, partial(_is_served, lake, _newest_log(lake))))
            if number >= 3:  # the first ones start and warm the process
                gold.append(seconds[0])
                cassandra += seconds[1:]
            time.sleep(arguments.pause)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    served = {"to_cassandra": _figures(cassandra)} if cassandra else {}
    print(json.dumps({"lines": arguments.lines, "files": arguments.files, "to_gold": _figures(gold), **served}))


if __name__ == "__main__":
    main()
