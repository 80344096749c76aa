"""Commands of the documents that take long, run as printed in a small size (`make test-all`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_analytics.generate import GeneratorSettings, generate
from tests.conftest import REPOSITORY, MakePipeline

SMALL = [
    "-m tests.crash.soak --kills 1 --seed 7",
    "-m tests.crash.soak --kills 1 --seed 7 --follow",
    "-m benchmarks reference --landing LANDING --times 1 --work WORK --results RESULTS",
    "-m benchmarks forecasts --events 2000 --work WORK --results RESULTS",
    "-m benchmarks.yardstick LANDING --check LAKE",
    "-m benchmarks.staged LANDING STAGED",
    "benchmarks/serving_load.py --rows 300 --orgs 20 --times 1",
    "-m cloud_analytics serve --lake LAKE",
    "benchmarks/query_latency.py LAKE --times 5",
    "benchmarks/dashboard.py LAKE --times 2",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_pipeline: MakePipeline) -> Path:
    """LANDING and LAKE of one run."""
    folder = tmp_path_factory.mktemp("long")
    generate(folder / "LANDING", GeneratorSettings(events=600, days=12, orgs=3))
    make_pipeline(folder / "LANDING", folder / "LAKE").run()
    return folder


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.cassandra
@pytest.mark.parametrize("arguments", SMALL, ids=lambda text: text.split()[text.startswith("-m")])
def test_it_runs_in_a_small_size(arguments: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"}
    words = [str(folder / word) if word.isupper() else word for word in arguments.split()]
    done = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
