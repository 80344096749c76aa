"""Seconds of each page of the dashboard, on the embedded node of a lake that has been served.

    .venv/bin/cloud-analytics run --lake LAKE
    .venv/bin/python benchmarks/dashboard.py LAKE [--times 50] [--conf DIR]

Measured is the time until all queries of a page are answered and its elements are ready for the browser (by Streamlit's
AppTest, in this process); the drawing in a browser is not measured. Organisations take turns, and the first answer of
each page does not count. Processor seconds are printed as well, since they hardly grow on a busy machine.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import time
from pathlib import Path
from statistics import median

import numpy as np
from streamlit.testing.v1 import AppTest

from cloud_analytics.config import load
from cloud_analytics.dashboard import app
from cloud_analytics.dashboard.source import Source


def _script(name: str) -> None:
    from cloud_analytics.dashboard import app

    app.show(name)


def _measure(name: str, orgs: list[str], times: int) -> list[tuple[float, float]]:
    """Of each answer the seconds that passed, and the processor seconds."""
    found, page = [], app.PAGES[name]

    def timed(source: Source) -> None:
        began, worked = time.perf_counter(), time.thread_time()
        page(source)
        found.append((time.perf_counter() - began, time.thread_time() - worked))

    app.PAGES[name] = timed
    for org in itertools.islice(itertools.cycle(orgs), times + 1):
        shown = AppTest.from_function(_script, kwargs={"name": name}, default_timeout=120)
        shown.query_params["org"] = org
        assert not shown.run().exception
    return found[1:]


def main() -> None:
    """Print the median and the 95th percentile of each page, one line a page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lake")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--conf", type=Path)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # Streamlit warns that there is no browser
    with Source(load(arguments.conf), arguments.lake, "embedded") as source:
        Source.current = source
        orgs = [str(row["org_id"]) for row in source.ask("top-organisations").rows]
        print(f"{'page':<22}{'median ms':>10}{'p95 ms':>8}{'processor ms':>14}")
        for name in app.PAGES:
            seconds, worked = zip(*_measure(name, orgs, arguments.times))
            p95 = np.percentile(seconds, 95)
            print(f"{name:<22}{1e3 * median(seconds):>10.0f}{1e3 * p95:>8.0f}{1e3 * median(worked):>14.0f}", flush=True)


if __name__ == "__main__":
    main()
