"""SIGKILL to commands that close and reopen a month, and to what takes in late data of one that is closed.

Each finds the month open or closed afterwards, with the figures that belong to it, and the next run finishes the rest.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from cloud_analytics.lake import periods
from cloud_analytics.lake.files import open_files
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading import focus
from cloud_analytics.reading.lake import LakeReader
from tests.conftest import MakePipeline
from tests.crash.harness import Driver, Moment, configure, leftovers
from tests.integration.lakes import audit_of, differing, silver_and_gold
from tests.test_periods import MAY, arrive, daily, month_files, restated, sums

pytestmark = pytest.mark.spark

STAGES = [Moment(phase, number) for number in (1, 2, 3) for phase in ("begun", "decided", "done")]


@dataclass(frozen=True)
class Month:
    """Lakes of one landing folder: May closed; closed, and what came late restated; and never closed."""

    landing: Path
    closed: Path
    restated: Path
    clean: Path


@pytest.fixture(scope="module")
def month(make_pipeline: MakePipeline, baseline: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Month:
    folder = tmp_path_factory.mktemp("month")
    found = Month(folder / "landing", folder / "closed", folder / "restated", folder / "clean")
    shutil.copytree(baseline[0], found.landing)
    shutil.copytree(baseline[1], found.closed)
    make_pipeline(found.landing, found.closed).close(MAY)
    shutil.copytree(found.closed, found.restated)
    arrive(found.landing)
    make_pipeline(found.landing, found.restated).run()
    make_pipeline(found.landing, found.clean).run()
    return found


def dies(lake: Path, moment: Moment, *command: str) -> bool:
    """Run a command and kill it at this moment; False: it came to its end before."""
    conf = configure(lake.parent / "conf")
    with Driver(lake, conf, *command) as driver:
        if driver.until(moment):
            driver.kill()
            return True
        driver.succeed()
        return False


def healed(pipeline: Pipeline) -> bool:
    """What the dead process had decided is done; returns whether May is closed then."""
    with pipeline.lake.writer():
        return MAY in pipeline.lake.load(periods.DOCUMENT).closed


@pytest.mark.parametrize(
    "moment",
    [pytest.param(moment, id=str(moment), marks=[] if str(moment) == "transaction 1 decided" else pytest.mark.slow)
     for moment in STAGES],
)  # fmt: skip
def test_a_close_that_dies_has_closed_the_month_or_not(
    moment: Moment, baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    """Closing changes no figure, whether it came to its end or not."""
    lake = Path(shutil.copytree(baseline[1], tmp_path / "lake"))
    frozen = month_files(lake, MAY)
    died = dies(lake, moment, "period", "close", MAY)
    pipeline = make_pipeline(baseline[0], lake)
    assert healed(pipeline) is (moment != Moment("begun", 1))
    assert died or moment.number > 1  # a settled lake is closed in one transaction
    assert not pipeline.run().gold.keys() - {"restatements"}
    assert month_files(lake, MAY) == frozen
    assert restated(lake) == []
    assert differing(silver_and_gold(lake), silver_and_gold(baseline[1])) == []
    assert leftovers(lake) == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", STAGES, ids=str)
def test_a_reopening_that_dies_has_reopened_the_month_or_not(
    moment: Moment, month: Month, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    lake = Path(shutil.copytree(month.restated, tmp_path / "lake"))
    dies(lake, moment, "period", "reopen", MAY)
    pipeline = make_pipeline(month.landing, lake)
    is_closed = healed(pipeline)
    assert is_closed is (moment == Moment("begun", 1))
    if is_closed:
        assert month_files(lake, MAY) == month_files(month.restated, MAY)
        assert not pipeline.run().changed
        assert restated(lake) == restated(month.restated)
    else:
        assert restated(lake) == []
        pipeline.run()
        assert differing(silver_and_gold(lake), silver_and_gold(month.clean)) == []
    assert leftovers(lake) == []


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["begun", "decided", "done"])
def test_what_comes_late_is_restated_after_any_number_of_deaths(
    phase: str, month: Month, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    """Late events, an invoice and other masters come; each start gets one transaction further than the one before."""
    lake = Path(shutil.copytree(month.closed, tmp_path / "lake"))
    frozen, before = month_files(lake, MAY), sums(daily(lake))
    deaths = 0
    while dies(lake, Moment(phase, 2 if phase == "begun" else 1), "run", "--landing", str(month.landing),
               "--serving", "none"):  # fmt: skip
        deaths += 1
        assert month_files(lake, MAY) == frozen
        assert deaths < 30
    assert deaths >= 4
    assert month_files(lake, MAY) == frozen
    clean = sums(daily(month.clean))
    difference = {
        key: [now - then for now, then in zip(clean.get(key, zeros), before.get(key, zeros))]
        for key in clean.keys() | before.keys()
        for zeros in [[Decimal(0)] * 6]
    }
    assert sums(restated(lake)) == {key: figures for key, figures in difference.items() if any(figures)} != {}
    pipeline = make_pipeline(month.landing, lake)
    assert not pipeline.run().changed
    exported = focus.export(LakeReader(open_files(str(lake))), pipeline.config, tmp_path / "focus.parquet")
    assert exported.billed_cost_usd == sum(row["total_cost_usd"] for row in daily(month.clean))
    assert audit_of(pipeline).balanced
    assert leftovers(lake) == []
