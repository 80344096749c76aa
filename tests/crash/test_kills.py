"""Law 3 with real deaths: SIGKILL to drivers and to the Cassandra node, and the same state as after one clean run.

The short form is one lake on which every command dies once. The long one goes through every stage of every command;
`python -m tests.crash.soak` is longer still.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash.harness import (
    Driver,
    Moment,
    configure,
    contents,
    kill_node,
    leftovers,
    node_ended,
    served_differences,
)
from tests.integration.lakes import day_lines, differing, reject_counts, silver_and_gold, split, write_landing

pytestmark = [pytest.mark.spark, pytest.mark.cassandra]

NOWHERE = ("--serving", "none")


def landing_of(folder: Path, parts: int = 3) -> Path:
    return write_landing(folder / "landing", split(day_lines(), parts, 7))


def assert_as_clean(lake: Path, baseline: tuple[Path, Path]) -> None:
    assert leftovers(lake) == []
    assert differing(silver_and_gold(lake), silver_and_gold(baseline[1])) == []
    assert reject_counts(lake) == reject_counts(baseline[1])
    assert contents(lake)["bronze/usage_events"].total() == contents(baseline[1])["bronze/usage_events"].total()


def die(lake: Path, conf: Path, command: Sequence[str], moment: Moment) -> str:
    """Run a command, kill it at this moment, and return what it left behind."""
    with Driver(lake, conf, *command) as driver:
        assert driver.until(moment), f"{command} ended before {moment}:\n{driver.output}"
        return driver.kill()


def test_each_command_dies_and_the_next_run_ends_as_a_clean_one(baseline: tuple[Path, Path], tmp_path: Path) -> None:
    landing, lake, conf = landing_of(tmp_path), tmp_path / "lake", configure(tmp_path / "conf", "2 seconds")
    there = ("--landing", str(landing))
    with node_ended(lake):
        die(lake, conf, ("stream", *there, *NOWHERE), Moment("decided", 2))
        die(lake, conf, ("stream", *there, *NOWHERE), Moment("begun", 3))
        die(lake, conf, ("reconcile", *there), Moment("decided", 1))
        with Driver(lake, conf, "run", *there, *NOWHERE) as run:  # Spark's JVM dies, and nothing else
            assert run.until(Moment("begun", 1)), run.output
            run.kill_jvm()
            assert run.end() == 2
            assert run.output.splitlines()[-1].startswith("error: Spark's Java has ended"), run.output
            assert "Traceback" not in run.output
        # Bronze, Silver, Gold; the fourth transaction of this run says that the load begins.
        die(lake, conf, ("run", *there), Moment("done", 4, delay=0.3))

        with Driver(lake, conf, "serve") as serve:  # now the node dies, not the driver
            assert serve.until(Moment("done", 1)), serve.output
            assert kill_node(lake)
            assert serve.end() == 1
            assert [line for line in serve.output.splitlines() if line.startswith("error: ")] == [
                serve.output.splitlines()[-1]
            ]
            assert "Cassandra" in serve.output
            assert "Traceback" not in serve.output

        with Driver(lake, conf, "run", *there) as first:
            assert first.until(Moment("begun", 1)), first.output
            first.signal(signal.SIGSTOP)
            with Driver(lake, conf, "reconcile", *there) as second:
                assert second.end() == 2
                (line,) = second.output.strip().splitlines()
                assert f"another run (process {first.process.pid}) is writing to the lake" in line
            first.signal(signal.SIGCONT)
            first.succeed()
        assert_as_clean(lake, baseline)
        assert served_differences(lake) == []


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["begun", "decided", "done"])
@pytest.mark.parametrize("command", ["stream", "run"])
def test_killed_in_every_transaction_on_the_way(
    command: str, phase: str, baseline: tuple[Path, Path], tmp_path: Path
) -> None:
    """Each start gets one transaction further than the one before, until one has nothing left to die in."""
    landing, lake, conf = landing_of(tmp_path, 5), tmp_path / "lake", configure(tmp_path / "conf")
    words = (command, "--landing", str(landing), *NOWHERE)
    kills = 0
    while True:
        # Killed while it begins its second one, a driver has ended its first.
        with Driver(lake, conf, *words) as driver:
            if not driver.until(Moment(phase, 2 if phase == "begun" else 1)):
                driver.succeed()
                break
            driver.kill()
            kills += 1
        assert kills < 30
    assert kills >= {"stream": 8, "run": 5}[command]  # a run has one Silver and one Gold for all micro-batches
    with node_ended(lake):
        with Driver(lake, conf, "run", "--landing", str(landing)) as last:
            last.succeed()
        assert_as_clean(lake, baseline)
        assert served_differences(lake) == []


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["decided", "done"])
def test_killed_in_a_load_further_each_time(phase: str, baseline: tuple[Path, Path], tmp_path: Path) -> None:
    """A load notes that it begins, then each table that is done; one that died begins anew, less what was done."""
    landing, lake, conf = landing_of(tmp_path), tmp_path / "lake", configure(tmp_path / "conf")
    with Driver(lake, conf, "run", "--landing", str(landing), *NOWHERE) as first:
        first.succeed()
    with node_ended(lake):
        kills = 0
        while True:
            with Driver(lake, conf, "serve") as driver:
                if not driver.until(Moment(phase, kills + 1)):
                    driver.succeed()
                    break
                driver.kill()
                kills += 1
        assert kills >= 3
        assert_as_clean(lake, baseline)
        assert served_differences(lake) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments(seed: int, baseline: tuple[Path, Path], tmp_path: Path) -> None:
    landing, lake, conf = landing_of(tmp_path, 5), tmp_path / "lake", configure(tmp_path / "conf")
    dice, there = random.Random(seed), ("--landing", str(landing))
    commands = [("run", *there), ("stream", *there), ("reconcile", *there), ("serve",)]
    with node_ended(lake):
        for _ in range(8):
            with Driver(lake, conf, *dice.choice(commands)) as driver:
                if driver.until(Moment("seconds", dice.uniform(1, 12))):
                    driver.kill()
                    if dice.random() < 0.25:
                        kill_node(lake)
        with Driver(lake, conf, "run", *there) as last:
            last.succeed()
        assert_as_clean(lake, baseline)
        assert served_differences(lake) == []
