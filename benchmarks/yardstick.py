"""The yardstick: landing → the marts that `validate` compares, by its DuckDB program, on the same machine.

    python -m benchmarks.yardstick LANDING                  seconds by stage, as one line of JSON
    python -m benchmarks.yardstick LANDING --check LAKE     and compares the marts with those of a lake, row by row

It says what the hardware can do when nothing has to survive: one process, no zones, no ledger, no transaction. Sources,
rules and marts are those of `cloud_analytics/validation/independent.sql`.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from cloud_analytics import config as configuration
from cloud_analytics.config import Config
from cloud_analytics.lake.files import open_files
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.validation.independent import MARTS, compare, compute, load
from cloud_analytics.validation.known_rules import known_rules


def run(landing: Path, config: Config) -> dict[str, Any]:
    """Seconds of the whole and by stage, and the peak of this process's resident memory in GiB."""
    times = [time.monotonic()]
    with tempfile.TemporaryDirectory() as spill, duckdb.connect(config={"temp_directory": spill}) as connection:
        load(connection, landing, config)
        times.append(time.monotonic())
        compute(connection, config, known_rules(config))
        times.append(time.monotonic())
        for view, *_ in MARTS.values():
            connection.execute(f"CREATE TABLE mart_{view} AS FROM {view}")
        times.append(time.monotonic())
    stages = zip(("load", "rules", "marts"), times, times[1:])
    return {
        "seconds": round(times[-1] - times[0], 3),
        "stages": {stage: round(end - begin, 3) for stage, begin, end in stages},
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30, 3),
    }


def main() -> None:
    """The yardstick as a command, in a process of its own so that its memory can be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landing", type=Path)
    parser.add_argument("--check", metavar="LAKE")
    arguments = parser.parse_args()
    config = configuration.load()
    print(json.dumps(run(arguments.landing, config)))
    if arguments.check:
        found = compare(arguments.landing, LakeReader(open_files(arguments.check)), config)
        for mart in found.marts:
            print(f"{mart.mart}: {mart.differing_rows:,} of {mart.gold_rows:,} rows differ")
        print("equal, row for row" if found.equal else "DIFFERENT")
        sys.exit(not found.equal)


if __name__ == "__main__":
    main()
