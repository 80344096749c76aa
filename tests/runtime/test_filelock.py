"""Locks: who may open one may lock it, so only those may who write there; and what is no lock file is named."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.lake import locks
from cloud_analytics.runtime import filelock
from cloud_analytics.runtime.filelock import FileLock, is_locked


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("folder", "lock"), [(0o700, 0o600), (0o755, 0o600), (0o775, 0o660), (0o2770, 0o660)])
@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
@pytest.mark.parametrize("older", [None, 0o644], ids=["new", "of an older version"])
def test_only_who_may_write_to_its_folder_can_open_it(
    tmp_path: Path, folder: int, lock: int, umask: int, older: int | None
) -> None:
    tmp_path.chmod(folder)
    path = tmp_path / "writer.lock"
    if older:
        path.write_text("4711")
        path.chmod(older)
    before = os.umask(umask)
    try:
        with FileLock(path):
            assert mode(path) == lock
    finally:
        os.umask(before)


def test_whoever_waits_is_told_for_what_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ports.lock"
    monkeypatch.setattr(filelock, "_SILENT", 0.0)
    with FileLock(path), pytest.raises(UsageError, match=f"held the lock file {re.escape(str(path))}"):
        FileLock(path, 0.2).__enter__()
    assert caplog.messages == [f"waiting for the lock file {path}, which another process holds"]
    assert not is_locked(path)


@pytest.mark.parametrize("kind", ["link", "link to nowhere", "folder", "pipe"])
def test_what_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    path, victim = tmp_path / "writer.lock", tmp_path / "victim"
    victim.write_text("kept")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(victim if kind == "link" else tmp_path / "new")
    for taken in (FileLock(path), locks.held(tmp_path, "writer", "-")):
        with pytest.raises(UsageError, match=rf"{re.escape(str(path))} is a link, a folder or a pipe"), taken:
            pass
    assert {entry.name for entry in tmp_path.iterdir()} == {"writer.lock", "victim"}
    assert victim.read_text() == "kept"


HOLDER = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"


def test_a_holder_that_is_gone_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    code = "import sys; from pathlib import Path; from cloud_analytics.lake.locks import held\n"
    code += "with held(Path(sys.argv[1]), 'writer', 'writing', by_turns=True): pass"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert re.fullmatch(r"\d+ by turns", path.read_text())
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UsageError, match=rf"somebody holds the lock file {re.escape(str(path))}; wait"):
            locks.held(tmp_path, "writer", "writing").__enter__()
        holder.communicate()
    with locks.held(tmp_path, "writer", "writing to it"):
        assert path.read_text() == str(os.getpid())
        with pytest.raises(UsageError, match=rf"another run \(process {os.getpid()}\) is writing to it"):
            locks.held(tmp_path, "writer", "writing to it").__enter__()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("theirs", ["lake/_state", "lake", "."])
def test_nobody_writes_to_a_lake_in_the_hands_of_another_user(theirs: str, tmp_path: Path) -> None:
    """That user could exchange a folder for a link during the write."""
    state = tmp_path / "lake" / "_state"
    state.mkdir(parents=True)
    os.chown(tmp_path / theirs, 4321, 4321)
    told = f"{tmp_path / theirs} belongs to another user, who could lead .* CLOUD_ANALYTICS_TRUST=4321"
    with pytest.raises(UsageError, match=told):
        locks.held(state, "writer", "writing").__enter__()
    assert list(state.iterdir()) == []
