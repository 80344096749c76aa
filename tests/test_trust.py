"""Who can exchange what this process reads or writes: a path is used only if nobody but trusted users can."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.trust import TRUST, expect_trusted, trusted_users

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")

STRANGER = 54321


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """`above/link/file`, where `link` leads to `beside/folder`; all of it belongs to this user."""
    for folder in ("above", "beside/folder"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "beside" / "folder" / "file").touch()
    (tmp_path / "above" / "link").symlink_to("../beside/folder")
    return tmp_path / "above" / "link" / "file"


@pytest.mark.parametrize("theirs", ["beside/folder/file", "beside/folder", "beside", "above/link", "above"])
def test_no_part_of_a_path_may_belong_to_a_stranger(
    theirs: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_trusted(path, "so")
    os.chown(tmp_path / theirs, STRANGER, -1, follow_symlinks=False)
    told = f"belongs to another user, so: do, or, if you trust that user, set {TRUST}={STRANGER}$"
    with pytest.raises(UsageError, match=told):
        expect_trusted(path, "so: do")
    monkeypatch.setenv(TRUST, f" {STRANGER + 1} ,{STRANGER}")
    expect_trusted(path, "so: do")


def test_a_link_counts_before_its_file_is_there(tmp_path: Path) -> None:
    (link := tmp_path / "link").symlink_to("nothing")
    os.lchown(link, STRANGER, -1)
    with pytest.raises(UsageError, match=f"^{link} belongs"):
        expect_trusted(link, "so")


def test_what_is_not_there_yet_is_judged_by_the_folders_above(path: Path, tmp_path: Path) -> None:
    expect_trusted(path.parent / "new" / "newer", "so")
    os.chown(tmp_path / "beside", STRANGER, -1)
    with pytest.raises(UsageError, match=f"^{tmp_path / 'beside'} belongs"):
        expect_trusted(path.parent / "new" / "newer", "so")


def test_who_called_sudo_is_trusted_and_users_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.delenv(TRUST, raising=False)
    assert STRANGER not in trusted_users()
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert STRANGER in trusted_users()
    daemon = pwd.getpwnam("daemon")
    assert daemon.pw_uid not in trusted_users()
    monkeypatch.setenv(TRUST, "daemon")
    assert daemon.pw_uid in trusted_users()
    monkeypatch.setenv(TRUST, "daemon,no such user")
    with pytest.raises(UsageError, match=f"^{TRUST}: this machine knows no user 'no such user'; give names or numbers"):
        trusted_users()
