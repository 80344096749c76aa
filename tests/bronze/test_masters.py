"""Masters that leave landing, shrink to nothing or cannot be taken in keep their latest snapshot."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from cloud_analytics.bronze import masters
from cloud_analytics.config.pipeline import LandingSettings
from cloud_analytics.errors import UsageError
from cloud_analytics.landing.csv_files import read_masters
from cloud_analytics.landing.folder import Contents, look
from cloud_analytics.pipeline import Outcome, Pipeline
from cloud_analytics.reading import audit
from tests.conftest import MakePipeline
from tests.integration.agreement import MASTER_KEYS, rows_of
from tests.integration.lakes import audit_of, files_of

pytestmark = pytest.mark.spark


@pytest.fixture
def pipeline(baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path) -> Pipeline:
    """Over copies of the folders of a clean run."""
    for folder in baseline:
        shutil.copytree(folder, tmp_path / folder.name, dirs_exist_ok=True)
    return make_pipeline(tmp_path / baseline[0].name, tmp_path / baseline[1].name)


def again(pipeline: Pipeline, **settings: Any) -> Pipeline:
    """Another command over the same folders."""
    chosen = LandingSettings(**settings)
    config = pipeline.config.model_copy(
        update={"pipeline": pipeline.config.pipeline.model_copy(update={"landing": chosen})}
    )
    return Pipeline(type(pipeline.lake)(pipeline.lake.spark, pipeline.lake.root), pipeline.landing, config)


def assert_nothing_changed(outcome: Outcome) -> None:
    assert (outcome.changed, outcome.missing) == (False, [])


def test_what_left_landing_or_cannot_be_taken_in_keeps_its_snapshot(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    landing, lake = Path(pipeline.landing), Path(pipeline.lake.root)
    before, law = files_of(lake), audit_of(pipeline)
    assert all(rows_of(lake, f"silver/{source}") for source in MASTER_KEYS)

    (landing / "billing_monthly.csv").unlink()
    shutil.rmtree(landing / "resources")
    with caplog.at_level(logging.INFO):
        assert_nothing_changed(again(pipeline).stream())
    (line,) = [text for text in caplog.messages if "any more" in text]
    assert "resources, billing_monthly; the latest snapshot, of 20" in line
    assert audit_of(pipeline).sources == law.sources

    users = (landing / "users.csv").read_bytes()
    for content in (b"", b"\n", b"\xef\xbb\xbf"):  # an upload that has just begun
        (landing / "users.csv").write_bytes(content)
        caplog.clear()
        assert_nothing_changed(again(pipeline).reconcile())
        assert "users: users.csv is empty, as an upload that has just begun: its latest snapshot stays" in caplog.text
        assert audit_of(pipeline).sources == law.sources

    (landing / "users.csv").write_bytes(users + b"x" * 5000 + b"\n")
    caplog.clear()
    longest = again(pipeline, max_line_bytes=4096)
    assert_nothing_changed(longest.stream())
    assert "users.csv holds a record of more than 4,096 bytes (landing.max_line_bytes, max_master_bytes)" in caplog.text
    assert audit_of(longest).sources == law.sources
    assert files_of(lake) == before

    (landing / "users.csv").write_bytes(users.splitlines(keepends=True)[0])  # a header alone empties the table
    assert again(pipeline).stream().silver_masters == ["users"]
    assert rows_of(lake, "silver/users") == []
    assert audit_of(pipeline).balanced


def test_a_master_that_goes_between_listing_and_reading_waits_for_the_next_run(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, aside = Path(pipeline.landing) / "users.csv", Path(pipeline.landing).with_name("users.csv")
    users.write_bytes(b"".join(users.read_bytes().splitlines(keepends=True)[:-1]))
    before = len(rows_of(Path(pipeline.lake.root), "silver/users"))

    def look_before_it_goes(*args: Any) -> Contents:
        found = look(*args)
        if users.exists():
            users.rename(aside)
        return found

    for module, call in ((masters, lambda: again(pipeline).stream()), (audit, lambda: audit_of(pipeline))):
        with monkeypatch.context() as patch:
            patch.setattr(module, "look", look_before_it_goes)
            result = call()
        aside.rename(users)
        if isinstance(result, Outcome):
            assert_nothing_changed(result)
        else:
            assert result.balanced
    assert "users: users.csv went before it was read: its latest snapshot stays" in caplog.text
    assert again(pipeline).stream().silver_masters == ["users"]
    assert len(rows_of(Path(pipeline.lake.root), "silver/users")) == before - 1


def test_a_master_that_is_exchanged_while_it_is_read_and_put_back_is_read_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, aside = Path(pipeline.landing) / "users.csv", Path(pipeline.landing).with_name("aside")
    lines = users.read_bytes().splitlines(keepends=True)
    users.write_bytes(b"".join(lines[:-1]))
    (other := aside.with_name("other")).write_bytes(lines[0])

    def read(*args: Any) -> Any:
        users.rename(aside)
        other.rename(users)
        contents = read_masters(*args)
        users.rename(other)
        aside.rename(users)
        return contents

    with monkeypatch.context() as patch:
        patch.setattr(masters, "read_masters", read)
        assert again(pipeline).bronze().snapshots == ["users"]
    assert again(pipeline).bronze().snapshots == ["users"]
    assert again(pipeline).bronze().snapshots == []
    assert len(rows_of(Path(pipeline.lake.root), "bronze/users")) == len(lines) - 2


def test_a_landing_folder_without_anything_that_is_known_changes_nothing(pipeline: Pipeline) -> None:
    landing, lake = Path(pipeline.landing), Path(pipeline.lake.root)
    before = files_of(lake)
    landing.rename(landing.with_name("unmounted"))
    (landing / "usage_events_stream").mkdir(parents=True)
    for name in (None, "usage_events_stream/of_another_lake.jsonl"):
        if name is not None:
            (landing / name).write_text("{}\n")
        for command in ("run", "stream", "bronze"):
            with pytest.raises(UsageError, match=r"landing holds none of the \d+ files that this lake took in"):
                getattr(again(pipeline), command)()
    assert_nothing_changed(again(pipeline).reconcile())
    assert files_of(lake) == before
    shutil.copy(landing.with_name("unmounted") / "users.csv", landing / "users.csv")
    shutil.copystat(landing.with_name("unmounted") / "users.csv", landing / "users.csv")
    (batch,) = again(pipeline).bronze().batches
    assert batch.files == 1


def test_a_part_of_a_master_that_leaves_takes_its_records_with_it(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    landing, lake = Path(pipeline.landing), Path(pipeline.lake.root)
    (landing / "resources/part_b.csv").unlink()
    assert again(pipeline).bronze().snapshots == ["resources"]
    assert "resources/part_b.csv left" in caplog.text
    assert "its records leave resources" in caplog.text
    assert {row["source_file"] for row in rows_of(lake, "bronze/resources")} == {"part_a.csv"}
