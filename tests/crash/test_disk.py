"""A disk that is full or read-only: one line that says so, and once that is mended the next run heals the lake."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_analytics.errors import UsageError
from tests.conftest import MakePipeline
from tests.crash.harness import leftovers
from tests.integration.lakes import day_lines, differing, reject_counts, silver_and_gold, split, write_landing

pytestmark = pytest.mark.spark


class SmallDisk:
    """A file system of its own, so small that it fills; needs the right to mount."""

    def __init__(self, folder: Path, kilobytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))

    def again(self, options: str) -> None:
        self._mount("-o", f"remount,{options}", str(self.folder))

    def end(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def _mount(self, *arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        made = SmallDisk(tmp_path / "disk", 150)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system")
    yield made
    made.end()


def test_a_full_disk_is_told_and_the_next_run_heals(
    disk: SmallDisk, baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    landing, lake = write_landing(tmp_path / "landing", split(day_lines(), 4, 9)), disk.folder / "lake"
    for kilobytes in (150, 900):  # the second time it gets further
        disk.again(f"size={kilobytes}k")
        with pytest.raises(UsageError, match="No space left on device.*make room there, then run again") as told:
            make_pipeline(landing, lake, 2).run()
        assert "\n" not in str(told.value)
        assert "Exception" not in str(told.value)
    disk.again("size=100m")
    make_pipeline(landing, lake, 2).run()
    assert leftovers(lake) == []
    assert differing(silver_and_gold(lake), silver_and_gold(baseline[1])) == []
    assert reject_counts(lake) == reject_counts(baseline[1])


def test_a_read_only_disk_is_told(
    disk: SmallDisk, baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    disk.again("size=100m")
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": day_lines()}), disk.folder / "lake"
    make_pipeline(landing, lake).bronze()
    disk.again("ro")
    with pytest.raises(UsageError, match="Read-only file system.*mount it for writing"):
        make_pipeline(landing, lake).run()
    disk.again("rw")
    make_pipeline(landing, lake).run()
    assert differing(silver_and_gold(lake), silver_and_gold(baseline[1])) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_told(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": day_lines()}), tmp_path / "lake"
    lake.mkdir(0o555)
    with pytest.raises(UsageError, match="Permission denied"):
        make_pipeline(landing, lake).run()
