"""The benchmark suite: `python -m benchmarks reference|scale|live|follow|late|serving|forecasts|all`, then `… report`.

Each part stores its figures with machine, versions, commit, date and command as JSON in benchmarks/results/; `report`
writes the tables and the plot of docs/benchmarks.md from them. Without --events the parts have the sizes of the docs
(up to 10 million events, some hours in all); `--events 20000` runs everything in minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import measure
from benchmarks.parts import PARTS, Plan
from cloud_analytics.errors import CloudAnalyticsError


def main() -> int:
    """Run the parts that the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all", "report"], metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--events", type=int, nargs="+", default=[], metavar="N", help="Sizes instead of those of the docs."
    )
    parser.add_argument(
        "--landing", type=Path, metavar="DIR", help="reference, follow, forecasts: measure this folder."
    )
    parser.add_argument("--times", type=int, default=3, metavar="N", help="reference, serving: how many runs.")
    parser.add_argument("--batches", type=int, metavar="N", help="live: micro-batches of the day.")
    parser.add_argument("--samples", type=int, default=8, metavar="N", help="live: how many steps the day has.")
    parser.add_argument(
        "--work", type=Path, default=Path("build/benchmarks"), metavar="DIR", help="For data and lakes."
    )
    parser.add_argument("--results", type=Path, default=measure.RESULTS, metavar="DIR", help="For the JSON files.")
    arguments = parser.parse_args()
    work, landing = arguments.work.absolute(), arguments.landing and arguments.landing.absolute()
    plan = Plan(work, landing, arguments.events, arguments.times, arguments.batches, arguments.samples)
    about = measure.machine()
    try:
        for part in PARTS if "all" in arguments.parts else [part for part in arguments.parts if part in PARTS]:
            print(f"{part} …", flush=True)
            path = measure.store(part, PARTS[part](plan), about, arguments.results)
            print(f"{part}: {path}", flush=True)
        if "report" in arguments.parts:
            from benchmarks.report import write

            print("\n".join(map(str, write(arguments.results))))
    except CloudAnalyticsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
