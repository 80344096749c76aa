"""Both file systems keep the same contract: a folder of this machine, and whatever Spark's own layer reaches."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.errors import UsageError
from cloud_analytics.lake.file_system import FileInfo, FileSystem, Kind
from cloud_analytics.lake.files import HadoopFileSystem, LocalFileSystem, file_system

Make = Callable[[str], FileSystem]


@pytest.fixture(params=["local", "hadoop"])
def make(request: pytest.FixtureRequest, spark: SparkSession) -> Make:
    return LocalFileSystem if request.param == "local" else lambda root: HadoopFileSystem(spark, root)


@pytest.fixture
def files(make: Make, tmp_path: Path) -> FileSystem:
    return make(str(tmp_path))


def test_a_text_is_replaced_and_its_folder_made(files: FileSystem, tmp_path: Path) -> None:
    assert files.read_text("a/b/state.json") is None
    files.write_text("a/b/state.json", "first")
    files.write_text("a/b/state.json", "zweiter Stand: größer\r\n")
    assert files.read_text("a/b/state.json") == "zweiter Stand: größer\r\n"
    assert files.read_bytes("a/b/state.json") == (tmp_path / "a/b/state.json").read_bytes()
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["state.json"]


@pytest.mark.parametrize("name", ["file:x.jsonl", "s3:x", "a b#?.csv"])
def test_a_name_that_looks_like_a_uri_is_one_below_the_root(files: FileSystem, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    assert files.exists(name)
    assert files.read_text(name) == "x"


def test_bytes_come_as_they_are(files: FileSystem, tmp_path: Path) -> None:
    every = bytes(range(256)) * 3
    (tmp_path / "every.csv").write_bytes(every)
    (tmp_path / "empty.csv").touch()
    assert (files.read_bytes("every.csv"), files.read_bytes("empty.csv")) == (every, b"")


def test_any_part_of_a_file_can_be_read(files: FileSystem, tmp_path: Path) -> None:
    (tmp_path / "numbers").write_bytes(bytes(range(256)) * 9000)  # more than is read at once
    with files.open("numbers") as stream:
        assert stream.read(3) == b"\0\1\2"
        assert stream.seek(2_000_000) == 2_000_000
        assert stream.read(2) == bytes([128, 129])
        assert (stream.tell(), stream.seek(5), stream.read(1)) == (2_000_002, 5, b"\5")
        assert len(stream.read()) == 256 * 9000 - 6
        assert stream.read(1) == b""


def test_what_is_no_file_is_no_data(files: FileSystem, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file.csv").touch()
    assert {entry.name: entry.kind for entry in files.entries("")} == {
        "folder.csv": Kind.FOLDER, "file.csv": Kind.FILE,
    }  # fmt: skip
    assert [info.name for info in files.files("")] == ["file.csv"]
    assert files.entry("absent") is None
    found = files.entry("file.csv")
    assert found is not None
    assert (found.kind, found.length, found.leaves_root) == (Kind.FILE, 0, False)
    assert files.entries("absent") == []


def test_data_files_are_listed_with_size_and_time(files: FileSystem, tmp_path: Path) -> None:
    for name in ("t/x=1/b.parquet", "t/x=1/.hidden", "t/_temporary/c.parquet", "t/x=2/y=ä é/a.parquet", "t/_note"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    os.utime(tmp_path / "t/x=1/b.parquet", ns=(0, 1_700_000_000_123_999_999))
    found = files.files("t")
    names = [info.path.removeprefix(f"file:{tmp_path}/") for info in found]
    assert names == ["t/x=1/b.parquet", "t/x=2/y=ä é/a.parquet"]
    assert found[0] == FileInfo(f"file:{tmp_path}/t/x=1/b.parquet", 15, 1_700_000_000_123)
    assert found[0].name == "b.parquet"
    assert files.files("t", recursive=False) == []
    assert files.folders("t") == ["_temporary", "x=1", "x=2"]
    assert files.files("absent") == files.folders("absent") == []


def test_what_was_listed_can_be_read_by_its_path(files: FileSystem, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id\n")
    (info,) = files.files("")
    assert files.read_bytes(info.path) == b"user_id\n"


def test_links_are_followed_and_one_to_nowhere_is_none(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.jsonl").write_text("{}")
    (tmp_path / "t").mkdir()
    (tmp_path / "t/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "t/lost.jsonl").symlink_to(tmp_path / "nowhere")
    found = LocalFileSystem(str(tmp_path)).files("t")
    assert [info.path for info in found] == [f"file:{tmp_path}/t/linked/a.jsonl"]


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN], ids=os.strerror)
def test_what_cannot_be_looked_at_is_not_taken_for_absent(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, **_: object) -> None:
        raise OSError(error, os.strerror(error), path)

    files = LocalFileSystem(str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", refuse)
        with pytest.raises(OSError, match=re.escape(os.strerror(error))):
            files.exists("a")
        (tmp_path / "a").touch()
        with pytest.raises(OSError, match=re.escape(os.strerror(error))):
            files.entry("a")
        patched.setattr(os, "lstat", refuse)
        with pytest.raises(OSError, match=re.escape(os.strerror(error))):
            files.entry("a")


def test_what_is_in_a_folder_that_may_be_listed_but_not_entered_is_not_taken_for_absent() -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "t")
        folder.mkdir()
        (folder / "a.jsonl").write_text("{}")
        Path(root, "away.jsonl").symlink_to("/root/a.jsonl" if os.geteuid() == 0 else f"{root}/../{'x' * 300}")
        Path(root).chmod(0o755)
        folder.chmod(0o644)
        files = LocalFileSystem(root)
        try:
            with as_a_plain_user():
                for look in (files.entries, files.files):
                    with pytest.raises(PermissionError):
                        look("t")
                for ask in (files.entry, files.exists, files.info, files.read_text):
                    with pytest.raises(PermissionError):
                        ask("t/a.jsonl")
                # A link of somebody else to what only others may read must not stop everybody.
                assert {entry.name: entry.kind for entry in files.entries("")} == {
                    "t": Kind.FOLDER,
                    "away.jsonl": Kind.OTHER,
                }
        finally:
            folder.chmod(0o755)


@contextmanager
def as_a_plain_user() -> Iterator[None]:
    """Root is denied nothing: meanwhile this process is a user without rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(4321)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_move_replaces_and_makes_the_folder(files: FileSystem, tmp_path: Path) -> None:
    for name, text in (("a", "new"), ("b", "old")):
        (tmp_path / name).write_text(text)
    files.move("a", "b")
    assert (tmp_path / "b").read_text() == "new"
    files.move("b", "deep/down/c")
    assert (tmp_path / "deep/down/c").read_text() == "new"
    with pytest.raises(Exception, match="absent"):
        files.move("absent", "d")


def test_files_and_folders_go_and_what_is_absent_is_no_error(files: FileSystem, tmp_path: Path) -> None:
    files.write("a/b/c", b"text")
    assert files.exists("a/b/c")
    files.delete("a/b/c")
    files.write("a/b/c", b"text")
    files.delete("a")
    files.delete("a")
    assert not files.exists("a")


def test_an_action_for_each(files: FileSystem) -> None:
    seen: list[int] = []
    files.each(seen.append, [3, 1, 2])
    assert seen == [3, 1, 2]


def test_a_root_as_uri(make: Make, tmp_path: Path) -> None:
    files = make(f"file://{tmp_path}")
    files.write_text("state.json", "{}")
    assert (tmp_path / "state.json").read_text() == "{}"
    assert [info.path for info in files.files("")] == [f"file:{tmp_path}/state.json"]
    assert files.full("silver") == f"file://{tmp_path}/silver"


def test_a_name_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/d\xeda.jsonl", "wb"):
        pass
    with pytest.raises(UsageError, match=r"d\\xeda.jsonl: the name of this file is no UTF-8"):
        LocalFileSystem(str(tmp_path)).files("")


def test_the_scheme_chooses(spark: SparkSession, tmp_path: Path) -> None:
    assert isinstance(file_system(spark, str(tmp_path)), LocalFileSystem)
    assert isinstance(file_system(spark, f"file://{tmp_path}"), LocalFileSystem)
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    default = conf.get("fs.defaultFS")
    conf.set("fs.defaultFS", "hdfs://127.0.0.1:1")  # nothing is asked there: a client connects when it must
    try:
        assert isinstance(file_system(spark, str(tmp_path)), HadoopFileSystem)
    finally:
        conf.set("fs.defaultFS", default)
