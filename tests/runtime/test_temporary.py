"""One private folder for temporary files, which goes with its process, and after it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_analytics.runtime import temporary

PROGRAM = """
import sys, time
from cloud_analytics.runtime.temporary import temporary_folder
folder = temporary_folder()
assert temporary_folder() is folder
(folder / "blockmgr").mkdir()
print(folder, oct(folder.stat().st_mode & 0o777), flush=True)
if sys.argv[1:]:
    time.sleep(60)
"""


def start(place: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(place)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def told(process: subprocess.Popen[str]) -> tuple[Path, str]:
    assert process.stdout is not None
    name, _, mode = process.stdout.readline().strip().rpartition(" ")
    return Path(name), mode


def test_the_folder_is_private_and_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    place = tmp_path / "with blank"
    place.mkdir()
    (place / "cloud-analytics-of-somebody-else").mkdir()
    killed, alive = start(place, "wait"), start(place, "wait")
    left, mode = told(killed)
    kept, _ = told(alive)
    assert (left.parent, mode) == (place, "0o700")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert left.exists()
    ended = start(place)
    assert ended.wait(60) == 0
    assert not left.exists()
    assert kept.exists()
    alive.kill()
    alive.wait()
    assert {path.name for path in place.iterdir()} == {"cloud-analytics-of-somebody-else", kept.name}


def test_folders_of_others_under_its_name_are_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that this user may not enter would end every command."""

    def refuse(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    theirs = tmp_path / f"{temporary._PREFIX}theirs"
    theirs.mkdir()
    monkeypatch.setattr(Path, "is_file", refuse)
    monkeypatch.setattr(os, "getuid", lambda: theirs.stat().st_uid + 1)
    temporary._sweep(tmp_path)
    assert theirs.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_place_of_another_user_is_refused(tmp_path: Path) -> None:
    """That user could exchange the private folder for another one, and Java takes libraries from it."""
    os.chown(tmp_path, 54321, 54321)
    process = start(tmp_path)
    assert process.wait(60) == 1
    assert process.stderr is not None
    assert "UsageError: " + str(tmp_path) + " belongs to another user, who could exchange" in process.stderr.read()
    assert list(tmp_path.iterdir()) == []
