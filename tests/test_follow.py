"""A stream that is followed: within a trigger, beside other commands, without the store, until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_analytics.errors import PipelineError, StoreUnavailable, UsageError
from cloud_analytics.pipeline import Outcome, Pipeline
from cloud_analytics.serving import load
from cloud_analytics.serving.backoff import Deferred
from cloud_analytics.serving.connect import Direct
from cloud_analytics.serving.target import Target
from tests.conftest import REPOSITORY, MakePipeline
from tests.integration import hostile
from tests.integration.agreement import rows_of
from tests.integration.lakes import differing, silver_and_gold, write_landing

PATIENCE = 90.0
INTERVAL = timedelta(seconds=1)


def event(event_id: str) -> str:
    return hostile.event(event_id, timestamp=f"2025-06-0{int(event_id[-1]) or 9}T10:00:00Z")


def drop(landing: Path, name: str, *lines: str, age_days: int = 0) -> None:
    """A file arrives in one step, as an upload that is renamed does."""
    stream = landing / "usage_events_stream"
    (stream / f"_{name}").write_text("".join(f"{line}\n" for line in lines))
    moment = time.time() - 86_400 * age_days
    os.utime(stream / f"_{name}", (moment, moment))
    (stream / f"_{name}").rename(stream / name)


def ids(lake: Path) -> set[str]:
    if not (lake / "silver/usage_events").is_dir():
        return set()
    try:
        return {row["event_id"] for row in rows_of(lake, "silver/usage_events")}
    except (OSError, ValueError):  # while files are replaced a reader may find one gone
        return set()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.2)  # what is looked at costs time, too


@contextmanager
def following(pipeline: Pipeline) -> Iterator[Outcome]:
    """`follow` in a thread; its outcome is filled at the end."""
    stop, outcome, failures = threading.Event(), Outcome(), []

    def work() -> None:
        try:
            outcome.__dict__.update(vars(pipeline.follow(INTERVAL, stop)))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield outcome
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


@pytest.mark.spark
def test_files_are_taken_in_as_they_come_and_other_commands_have_their_turn(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": [event("e1")]}), tmp_path / "lake"
    with following(make_pipeline(landing, lake)) as outcome:
        wait_for(lambda: ids(lake) == {"e1"}, "the first file")
        drop(landing, "old.jsonl", event("e2"), age_days=400)
        wait_for(lambda: ids(lake) == {"e1", "e2"}, "a file with an old modification time")
        with pytest.raises(UsageError, match=r"another run \(process \d+\) is taking in event files"):
            make_pipeline(landing, lake).run()
        reconciled = make_pipeline(landing, lake).reconcile()
        assert set(reconciled.row_changes) == {"silver/usage_events"}
        assert not reconciled.row_changes["silver/usage_events"]
        drop(landing, "c.jsonl", event("e3"))
        wait_for(lambda: ids(lake) == {"e1", "e2", "e3"}, "a file after reconcile")
    assert sum(batch.files for batch in outcome.batches) == 3
    assert not make_pipeline(landing, lake).lake.spark.streams.active
    drop(landing, "d.jsonl", event("e4"))  # and it goes on where it ended
    with following(make_pipeline(landing, lake)):
        wait_for(lambda: ids(lake) == {"e1", "e2", "e3", "e4"}, "a file after a restart")
    make_pipeline(landing, lake).run()
    make_pipeline(landing, tmp_path / "clean").run()
    assert differing(silver_and_gold(lake), silver_and_gold(tmp_path / "clean")) == []


@pytest.mark.spark
def test_it_does_not_undo_a_correction(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    """Begun before the rules were corrected, it would judge the whole lake by the old ones at its next file."""
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": [event("e1")]}), tmp_path / "lake"
    other = make_pipeline(landing, lake)
    taxonomy = other.config.taxonomy.model_copy(update={"service_aliases": {"moon": "compute"}})
    other.config = other.config.model_copy(update={"taxonomy": taxonomy})

    def correct_meanwhile() -> None:
        with following(make_pipeline(landing, lake)):
            wait_for(lambda: ids(lake) == {"e1"}, "the first file")
            other.reconcile()
            drop(landing, "b.jsonl", hostile.event("e2", service="moon", timestamp="2025-06-02T10:00:00Z"))
            wait_for(lambda: len(list((lake / "_metrics/micro_batches").glob("*.json"))) == 2, "the second file")

    with pytest.raises(UsageError, match="start it again"):
        correct_meanwhile()
    other.run()
    assert ids(lake) == {"e1", "e2"}


@pytest.mark.spark
def test_it_waits_for_the_first_file(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    landing, lake = write_landing(tmp_path / "landing", {}), tmp_path / "lake"
    (landing / "usage_events_stream").rmdir()
    with following(make_pipeline(landing, lake)):
        wait_for(lambda: (lake / "silver/users").is_dir(), "the masters")
        (landing / "usage_events_stream").mkdir()
        drop(landing, "a.jsonl", event("e1"))
        wait_for(lambda: ids(lake) == {"e1"}, "the first file")


@pytest.mark.spark
def test_the_lake_moves_on_while_the_store_is_away_and_serving_catches_up(
    make_pipeline: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "cloud_analytics")
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": [event("e1")]}), tmp_path / "lake"
    away, served = threading.Event(), []

    def store(lake_: object, *_: object) -> dict[str, int]:
        if away.is_set():
            raise StoreUnavailable("cannot reach Cassandra")
        served.append(ids(lake))
        return {"finops_daily_usage": 1}

    monkeypatch.setattr(load, "serve", store)
    monkeypatch.setattr("cloud_analytics.serving.backoff._FIRST_PAUSE", 0.5)
    pipeline = make_pipeline(landing, lake)
    pipeline.target = Target(Direct(("127.0.0.1",), 1))
    with following(pipeline) as outcome:
        wait_for(lambda: {"e1"} in served, "the first load")
        away.set()
        drop(landing, "b.jsonl", event("e2"))
        wait_for(lambda: ids(lake) == {"e1", "e2"}, "the lake without its store")
        wait_for(lambda: any("serving is behind since" in line for line in caplog.messages), "the standing")
        away.clear()
        wait_for(lambda: {"e1", "e2"} in served, "the load after the store is back")
    assert outcome.served["finops_daily_usage"] >= 2
    assert any("the lake moves on" in line for line in caplog.messages)
    assert "the serving store is back and has caught up" in caplog.messages


def test_a_store_that_stays_away_is_asked_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, attempts = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def fail() -> dict[str, int]:
        attempts.append(clock[0])
        raise StoreUnavailable("away")

    server = Deferred(fail)
    for second in range(400):
        clock[0] = float(second)
        assert server() == {}
    assert attempts == [0, 2, 6, 14, 30, 62, 126, 246, 366]
    with pytest.raises(PipelineError, match="broken"):  # only a store that is away is waited for
        Deferred(lambda: _broken())()


def _broken() -> dict[str, int]:
    raise PipelineError("broken")


def _following(landing: Path, lake: Path) -> subprocess.Popen[str]:
    """A stream that is followed, in a process group of its own."""
    command = ["stream", "--follow", "--trigger", "1 second", "--serving", "none", "--conf", str(REPOSITORY / "conf")]
    return subprocess.Popen(
        [sys.executable, "-m", "cloud_analytics", *command, "--landing", str(landing), "--lake", str(lake)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.spark
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(sign: signal.Signals, tmp_path: Path) -> None:
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": [event("e1")]}), tmp_path / "lake"
    process = _following(landing, lake)
    try:
        wait_for(lambda: ids(lake) == {"e1"}, "the first file")
        process.send_signal(sign)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert out.startswith("Done: 7 master snapshots; 1 event lines of 1 files;")
    assert "micro-batch" in err
    assert "Traceback" not in out + err
    assert not (lake / "_state/journal.json").exists()


@pytest.mark.spark
def test_a_service_manager_that_signals_java_as_well_gets_one_line(tmp_path: Path) -> None:
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": [event("e1")]}), tmp_path / "lake"
    process = _following(landing, lake)
    try:
        wait_for((lake / "_state/masters.json").exists, "the masters of Bronze")  # Silver's are being judged
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 143, err
    assert out + err == "stopped; what was complete stays, and the same command does the rest\n"
