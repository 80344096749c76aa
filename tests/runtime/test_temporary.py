"""One private folder for temporary files, which goes with its process, and after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

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
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True, env=environment
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
