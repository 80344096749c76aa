"""Commands of the pipeline as processes that are killed from outside, and what a lake and its tables then hold.

Nothing in the pipeline knows of this. A driver is a process in a session of its own; SIGKILL goes to its whole group,
Python and JVM. Where it is in its work is read off the lake's own files: `_staging` (a transaction is being written),
`_state/journal.json` (it is decided), `_state/last_transaction.json` (it is done).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cloud_analytics.serving.connect import connected
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.tables import KEYSPACE, tables
from tests.conftest import REPOSITORY
from tests.integration.agreement import SILVER_KEYS, rows_of
from tests.integration.lakes import METADATA, Tables, bag, silver_and_gold, unknown_files

# What may differ between two lakes of one landing folder: how files fell into micro-batches, and when.
INGEST = {*METADATA, "batch_id", "lateness_seconds", "ingest_date"}
_POLL = 0.002


def configure(folder: Path, patience: str = "5 seconds", tolerance: int = 24) -> Path:
    """The shipped configuration for small data: two files a micro-batch, two cores, little patience with the store."""
    shutil.copytree(REPOSITORY / "conf", folder, dirs_exist_ok=True)
    path = folder / "pipeline.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["spark"] |= {"master": "local[2]", "driver_memory": "1g", "shuffle_partitions": 2}
    settings["stream"]["max_files_per_trigger"] = 2
    settings["serving"]["patience"] = patience
    settings["compaction"] |= {"finished_after": "1 day", "min_files": 2}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    rules = (folder / "rules.yaml").read_text(encoding="utf-8")
    assert "INTERVAL 24 HOURS" in rules
    (folder / "rules.yaml").write_text(rules.replace("INTERVAL 24 HOURS", f"INTERVAL {tolerance} HOURS"), "utf-8")
    return folder


@dataclass(frozen=True)
class Moment:
    """When something is done to a driver: in the n-th transaction of its life, or after so many seconds.

    `begun`: it has staged something. `decided`: its journal is there. `done`: it is applied, its journal gone.
    `delay` seconds more pass before the blow.
    """

    phase: str
    number: float = 1
    delay: float = 0.0

    def __str__(self) -> str:
        if self.phase == "seconds":
            return f"after {self.number:.1f} s"
        return f"transaction {self.number:.0f} {self.phase}" + (f" + {self.delay:.2f} s" if self.delay else "")


class Watch:
    """Counts the transactions of a lake from outside. One that a dead driver had decided is not among them."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake
        self._last, self._inherited = self._number("last_transaction"), self._number("journal")
        self._waste = self._staged()
        self.done = 0

    def _number(self, document: str) -> int:
        """The number of the transaction that is in the journal, or that was the last to be applied; 0: none."""
        with contextlib.suppress(OSError, ValueError):
            content = json.loads((self.lake / f"_state/{document}.json").read_text(encoding="utf-8"))
            return int(content["number"] if isinstance(content, dict) else content)
        return 0

    def _staged(self) -> set[str]:
        with contextlib.suppress(OSError):
            return {path.name for path in (self.lake / "_staging").iterdir()}
        return set()

    def reached(self, moment: Moment) -> bool:
        journal, last = self._number("journal"), self._number("last_transaction")
        if last != self._last:
            self.done += last != self._inherited
            self._last = last
        number = int(moment.number)
        if moment.phase == "done":
            return self.done >= number and not journal
        if moment.phase == "decided":
            return self.done >= number or (self.done == number - 1 and journal not in (0, last, self._inherited))
        assert moment.phase == "begun"
        new = self._staged() - self._waste - {str(last), str(self._inherited)}
        return self.done >= number or (self.done == number - 1 and bool(new))

    def where(self) -> str:
        """What a death now leaves behind, in words."""
        with contextlib.suppress(OSError, ValueError):
            plan = json.loads((self.lake / "_state/journal.json").read_text(encoding="utf-8"))
            names = {name.removeprefix("_state/").partition("_micro_batches")[0] for name in plan["documents"]}
            return "a journal of " + "+".join(sorted(n for n in names if n != "last_transaction" and "/" not in n))
        return "a staged transaction" if self._staged() else "nothing open"


class Driver:
    """One command of the pipeline, running."""

    def __init__(self, lake: Path, conf: Path, *command: str) -> None:
        self.lake, self.command = lake, command
        self.watch = Watch(lake)
        lake.mkdir(parents=True, exist_ok=True)
        self._output = lake.parent / f"driver-{time.monotonic_ns()}.log"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cloud_analytics", *command, "--lake", str(lake), "--conf", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its own group: Python and the JVM, but not the Cassandra node
                env=environment,
                cwd=REPOSITORY,
            )

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def until(self, moment: Moment, patience: float = 900.0) -> bool:
        """Wait for the moment; False when the driver ended before."""
        began = time.monotonic()
        while self.process.poll() is None:
            if moment.phase == "seconds":
                if time.monotonic() - began >= moment.number:
                    return True
            elif self.watch.reached(moment):
                time.sleep(moment.delay)
                return self.process.poll() is None
            assert time.monotonic() - began < patience, f"{self.command} hangs:\n{self.output}"
            time.sleep(_POLL)
        return False

    def kill_jvm(self) -> None:
        """SIGKILL to the JVM alone."""
        (child,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to Python and the JVM at once."""
        os.killpg(self.process.pid, number)

    def kill(self) -> str:
        """SIGKILL to the whole tree; returns what it left behind."""
        self.signal(signal.SIGKILL)
        self.process.wait()
        while _group_lives(self.process.pid):
            time.sleep(0.005)
        return self.watch.where()

    def end(self, patience: float = 900.0) -> int:
        """Wait for the end; returns the exit status."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command} hangs:\n{self.output}") from None

    def succeed(self) -> str:
        """Wait for the end, which must be a good one; returns what was printed."""
        assert self.end() == 0, self.output
        return self.output

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None or _group_lives(self.process.pid):
            self.kill()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS: only zombies are left
        return False
    return not _only_zombies(group)


def _only_zombies(group: int) -> bool:
    """An orphan of the group that nobody has reaped yet is dead all the same."""
    if not Path("/proc/self/stat").exists():
        return False
    states = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group:
                    states.append(fields[0])
    return all(state in "ZX" for state in states)


def node_of(lake: Path) -> EmbeddedNode:
    return EmbeddedNode(lake / "_cassandra")


def kill_node(lake: Path) -> bool:
    """SIGKILL to the lake's Cassandra node; False when none runs."""
    pid = node_of(lake).status()["pid"]
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while node_of(lake).status()["pid"] is not None:
        time.sleep(0.01)
    return True


@contextlib.contextmanager
def node_ended(lake: Path) -> Iterator[None]:
    """At the end no Cassandra node of this lake is left."""
    try:
        yield
    finally:
        node_of(lake).stop()


def contents(lake: Path) -> Tables:
    """All zones as multisets of rows: Silver, Gold, quarantine, and Bronze's events."""
    zones = silver_and_gold(lake)
    for source in SILVER_KEYS:
        rejects = rows_of(lake, f"quarantine/{source}")
        for row in rejects:
            if row["date"] == row["ingest_ts"].date():
                row["date"] = "of the ingest"  # the other lake may have taken the record in after midnight
        zones[f"quarantine/{source}"] = bag(rejects, INGEST)
    return zones | {"bronze/usage_events": bag(rows_of(lake, "bronze/usage_events"), INGEST)}


def leftovers(lake: Path) -> list[str]:
    """What a finished command must not leave: a journal, waste, half-written state, empty partitions, unknown files."""
    found = [str(path) for path in (lake / "_staging").glob("*")]
    found += ["_state/journal.json"] if (lake / "_state/journal.json").exists() else []
    found += [str(path) for path in (lake / "_state").glob(".*.tmp")]
    for zone in ("bronze", "silver", "gold", "quarantine"):
        found += [str(path) for path in (lake / zone).rglob("*=*") if path.is_dir() and not any(path.iterdir())]
    return [*found, *unknown_files(lake)]


def served_differences(lake: Path) -> list[str]:
    """Law 6 from outside: where a Cassandra table does not hold exactly the rows of its Gold mart."""
    found: list[str] = []
    with node_of(lake).in_use() as access, connected(access) as session:
        session.set_keyspace(KEYSPACE)
        for table in tables().values():
            columns = list(table.columns)
            expected = Counter(_values(row, columns) for row in rows_of(lake, f"gold/{table.mart}"))
            rows = session.execute(f"SELECT {', '.join(columns)} FROM {table.name}")
            served = Counter(_values(row, columns) for row in rows)
            if served != expected:
                found.append(
                    f"{table.name}: {(served - expected).total()} only served, {(expected - served).total()} only Gold;"
                    f" such as {next(iter(served - expected), None)} and {next(iter(expected - served), None)}"
                )
    return found


def _values(row: dict[str, Any], columns: list[str]) -> tuple[Any, ...]:
    values = (row[column] for column in columns)
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)
