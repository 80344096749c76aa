"""A file that is written for somebody takes the place of a file, and of nothing else."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime import output
from cloud_analytics.trust import TRUST


def test_a_pipe_a_device_and_a_folder_stay_what_they_are(tmp_path: Path) -> None:
    """Root once lost /dev/full to a report: a file that is renamed takes the place of whatever is there."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    before = {path: os.lstat(path) for path in tmp_path.iterdir()}
    for name, problem in (
        ("pipe", "is a device or a pipe"),
        ("link", "is a device or a pipe"),
        ("folder", "is a folder"),
        ("no/such/file", "lies in no existing folder"),
    ):
        with pytest.raises(UsageError, match=f"cannot be written: it {problem}"), output.replacing(tmp_path / name):
            raise AssertionError
    assert {path: os.lstat(path) for path in tmp_path.iterdir()} == before


def test_a_link_stays_one_and_its_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file, link = tmp_path / "there" / "file", tmp_path / "link"
    file.write_text("old")
    link.symlink_to(file)
    with contextlib.suppress(ZeroDivisionError), output.replacing(link) as path:
        path.write_text("half")
        raise ZeroDivisionError
    assert file.read_text() == "old"
    with output.replacing(link) as path:
        path.write_text("new")
        assert file.read_text() == "old"
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
@pytest.mark.parametrize(
    ("mode", "owner", "counts"),
    [(0o1777, 12345, False), (0o1777, 0, True), (0o1777, 54321, False), (0o0755, 54321, False)],
)
def test_a_link_of_another_user_is_not_followed(mode: int, owner: int, counts: bool, tmp_path: Path) -> None:
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    victim.write_text("old")
    shared.mkdir()
    shared.chmod(mode)
    link, own = shared / "report.html", tmp_path / "link to it"
    link.symlink_to("../victim")
    os.lchown(link, owner, owner)
    own.symlink_to(link)
    for out in (link, own):
        refused = pytest.raises(UsageError, match=rf"report\.html belongs to another user, .*{TRUST}={owner}$")
        with contextlib.nullcontext() if counts else refused:
            output.expect_writable(out)
        with contextlib.nullcontext() if counts else refused, output.replacing(out) as path:
            path.write_text("new")
    assert victim.read_text() == ("new" if counts else "old")
    assert link.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_nothing_is_written_into_a_folder_of_another_user(tmp_path: Path) -> None:
    """That user could exchange the folder in which the file is made, and so lead it to another one of this name."""
    (shared := tmp_path / "shared").mkdir()
    (link := tmp_path / "report.html").symlink_to(shared / "report.html")
    os.chown(shared, 54321, 54321)
    for out in (shared / "report.html", link):
        with pytest.raises(UsageError, match=f"{shared} belongs to another user"), output.replacing(out):
            raise AssertionError


def test_links_in_a_circle_are_told_in_one_line(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("link")
    with pytest.raises(UsageError, match="it is a link in a circle"), output.replacing(link):
        raise AssertionError


def test_nobody_can_guess_the_name_under_which_a_file_is_written(tmp_path: Path) -> None:
    """Whoever may write to the folder could put a link there, and the file that it leads to was overwritten."""
    names = set()
    for _ in range(2):
        with output.replacing(tmp_path / "file") as path:
            path.write_text("new")
            names.add(path.parent)
            assert path.parent.stat().st_mode & 0o077 == 0
    assert len(names) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
