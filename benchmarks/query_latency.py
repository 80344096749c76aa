"""Latency of each question on the embedded Cassandra node of a lake that has been served.

    .venv/bin/cloud-analytics run --lake LAKE
    .venv/bin/python benchmarks/query_latency.py LAKE [--times 300] [--conf DIR]

One session asks each question about one organisation after the other. Measured is `ask`: sending prepared statements,
receiving all rows and decoding them. The start of a command and the first connection are not measured.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np

from cloud_analytics.config import load
from cloud_analytics.serving.queries import ask
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import open_session


def main() -> None:
    """Print the median and the 99th percentile of the latency, and the median number of rows, by question."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lake")
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--conf", type=Path)
    arguments = parser.parse_args()
    with open_session(load(arguments.conf), arguments.lake, "embedded") as session:
        found = session.execute("SELECT DISTINCT org_id FROM finops_daily_usage LIMIT 1000")
        orgs = sorted(row["org_id"] for row in found)
        print(f"{len(orgs)} organisations, {arguments.times} answers a question")
        print(f"{'question':<14}{'p50 ms':>9}{'p99 ms':>9}{'rows':>7}")
        of_an_org = [table.question for table in tables().values() if table.chosen_by == ("org_id",)]
        for question in of_an_org:
            seconds, rows = [], []
            for number, org in enumerate(itertools.islice(itertools.cycle(orgs), arguments.times + 20)):
                began = time.perf_counter()
                answer = ask(session, question, org)
                if number >= 20:  # statements are prepared and caches filled
                    seconds.append(time.perf_counter() - began)
                    rows.append(len(answer.rows))
            p50, p99 = 1e3 * np.percentile(seconds, [50, 99])
            print(f"{question:<14}{p50:>9.1f}{p99:>9.1f}{sorted(rows)[len(rows) // 2]:>7}", flush=True)


if __name__ == "__main__":
    main()
