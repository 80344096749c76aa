"""The jar cache: filled once, by one process, whole or not at all; afterwards it asks no network."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime import jars, lock
from cloud_analytics.runtime.jars import DownloadError
from cloud_analytics.runtime.lock import JarSet, LockedJar, write_lock

REPOSITORY = Path(__file__).resolve().parents[2]
CONTENTS = {"alpha-1.0.jar": b"first", "beta-2.0-native.jar": b"second"}
TOY = JarSet("toy", "two toys", ("org.toy:alpha:1.0",))


def toy_jars() -> list[LockedJar]:
    def jar(name: str, revision: str, classifier: str, content: bytes) -> LockedJar:
        return LockedJar("org.toy", name, revision, classifier, len(content), hashlib.sha256(content).hexdigest())

    return [jar("alpha", "1.0", "", b"first"), jar("beta", "2.0", "native", b"second")]


def fetch(_: JarSet, folder: Path) -> None:
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)


def must_not_fetch(_: JarSet, __: Path) -> None:
    raise AssertionError("the cache was complete")


def ensure(jar_set: JarSet, download: Callable[[JarSet, Path], None]) -> list[Path]:
    """`jars.ensure` with another download than that from Maven Central."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jars, "download", download)
        return jars.ensure(jar_set)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in a folder with a blank in its name, and a lock of two toy jars."""
    folder = tmp_path / "my cache"
    monkeypatch.setenv("CLOUD_ANALYTICS_CACHE", str(folder))
    monkeypatch.setattr(lock, "_FOLDER", tmp_path / "locks")
    write_lock(TOY, toy_jars())
    return folder


def names(cache: Path) -> set[str]:
    """What lies in the cache beside lock files."""
    return {path.name for path in (cache / "jars").iterdir() if not path.name.endswith(".lock")}


def test_the_first_call_fills_the_cache_and_the_second_only_looks(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cloud_analytics")
    first = ensure(TOY, fetch)
    monkeypatch.setattr(subprocess, "Popen", must_not_fetch)
    second = ensure(TOY, must_not_fetch)
    assert first == second
    assert {path.name: path.read_bytes() for path in first} == CONTENTS
    assert len(caplog.messages) == 1
    assert "2 jar(s)" in caplog.messages[0]
    assert names(cache) == {f"toy-{TOY.digest()}"}


@pytest.mark.parametrize("harm", ["truncate", "delete", "delete everything"])
def test_a_damaged_cache_is_filled_again(cache: Path, harm: str) -> None:
    found = ensure(TOY, fetch)
    if harm == "truncate":
        found[0].write_bytes(b"fir")
    elif harm == "delete":
        found[1].unlink()
    else:
        shutil.rmtree(cache)
    assert {path.name: path.read_bytes() for path in ensure(TOY, fetch)} == CONTENTS
    assert names(cache) == {f"toy-{TOY.digest()}"}


def test_what_a_killed_process_left_is_removed(cache: Path) -> None:
    (cache / "jars" / ".toy-abandoned.part").mkdir(parents=True)
    ensure(TOY, fetch)
    assert names(cache) == {f"toy-{TOY.digest()}"}


def test_a_jar_with_other_bytes_is_refused(cache: Path) -> None:
    def forged(_: JarSet, folder: Path) -> None:
        fetch(_, folder)
        (folder / "alpha-1.0.jar").write_bytes(b"forge")

    with pytest.raises(UsageError, match=r"alpha-1\.0\.jar .*SHA-256 differs"):
        ensure(TOY, forged)
    assert names(cache) == set()


def test_a_failed_download_is_one_line_and_leaves_nothing(cache: Path) -> None:
    def offline(_: JarSet, __: Path) -> None:
        raise DownloadError("no address for repo1.maven.org")

    with pytest.raises(UsageError) as failure:
        ensure(TOY, offline)
    message = str(failure.value)
    assert "\n" not in message
    assert "two toys" in message
    assert "no address for repo1.maven.org" in message
    assert "make setup" in message
    assert names(cache) == set()
    ensure(TOY, fetch)


def test_a_cache_that_cannot_be_written_says_which_variable_to_set(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CLOUD_ANALYTICS_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="set CLOUD_ANALYTICS_CACHE"):
        ensure(TOY, fetch)


def _ensure_slowly(locks: str, log: str) -> None:
    """One of several processes that need the same jars."""

    def slow(jar_set: JarSet, folder: Path) -> None:
        with open(log, "a", encoding="utf-8") as out:
            out.write("fetched\n")
        time.sleep(0.5)
        fetch(jar_set, folder)

    lock._FOLDER = Path(locks)
    assert len(ensure(TOY, slow)) == 2


def test_of_several_processes_one_downloads(cache: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [context.Process(target=_ensure_slowly, args=(str(tmp_path / "locks"), str(log))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text() == "fetched\n"
    assert names(cache) == {f"toy-{TOY.digest()}"}


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLOUD_ANALYTICS_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert jars.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("CLOUD_ANALYTICS_CACHE")
    assert jars.cache_folder() == tmp_path / "xdg" / "cloud-analytics"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert jars.cache_folder() == tmp_path / "home" / ".cache" / "cloud-analytics"


def test_behind_a_dead_proxy_a_download_fails_soon_and_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_ANALYTICS_CACHE", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(UsageError) as failure:
        jars.ensure(lock.CASSANDRA)
    assert "\n" not in str(failure.value)
    assert "refused" in str(failure.value)


@pytest.fixture
def central(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven Central of our own, as a folder that is served."""
    folder = tmp_path / "central"
    for jar in toy_jars():
        place = folder / "org" / "toy" / jar.name / jar.revision
        place.mkdir(parents=True)
        (place / jar.file_name).write_bytes(CONTENTS[jar.file_name])
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(jars, "_CENTRAL", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()


def test_jars_are_fetched_by_their_place_in_maven_central(cache: Path, central: Path) -> None:
    assert {path.name: path.read_bytes() for path in jars.ensure(TOY)} == CONTENTS


def test_a_name_server_that_is_busy_for_a_moment_is_asked_again(
    cache: Path, central: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def busy_at_first(host: str, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", busy_at_first)
    assert {path.name: path.read_bytes() for path in jars.ensure(TOY)} == CONTENTS
    assert len(asked) > 1


def test_a_jar_that_is_not_there_is_told_at_once(cache: Path, central: Path) -> None:
    next(central.rglob("alpha-1.0.jar")).unlink()
    with pytest.raises(UsageError, match=r"alpha-1\.0\.jar: .*Not Found|not found"):
        jars.ensure(TOY)


def test_a_jar_that_was_altered_is_never_put_on_a_class_path(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    (alpha, _) = ensure(TOY, fetch)
    before = alpha.stat()
    alpha.write_bytes(b"FIRST")  # the same size
    os.utime(alpha, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert jars.cached(TOY) is None
    assert {path.name: path.read_bytes() for path in ensure(TOY, fetch)} == CONTENTS
    assert "not the one that was locked" in caplog.text


def test_what_was_verified_is_not_read_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ensure(TOY, fetch)
    monkeypatch.setattr(LockedJar, "matches", must_not_fetch)
    assert jars.cached(TOY) == found


@pytest.mark.parametrize("umask", [0, 0o002, 0o077])
def test_the_cache_is_writable_by_its_owner_alone(cache: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        ensure(TOY, fetch)
        assert jars.cached(TOY) is not None
    finally:
        os.umask(before)
    made = [cache, *cache.rglob("*")]
    assert len(made) == 7
    assert [path for path in made if path.stat().st_mode & 0o022] == []


@pytest.mark.parametrize("loose", ["folder", "jar", "note"])
def test_what_others_altered_is_fetched_again(cache: Path, loose: str) -> None:
    """A cache of an older version: who altered a jar could write its size and times into the note as well."""
    (alpha, _) = ensure(TOY, fetch)
    note = alpha.with_name(".verified.json")
    {"folder": alpha.parent, "jar": alpha, "note": note}[loose].chmod(0o777)
    alpha.write_bytes(b"FIRST")
    status = alpha.stat()
    times = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    note.write_text(json.dumps({**json.loads(note.read_text()), alpha.name: times}))
    assert jars.cached(TOY) is None
    ensure(TOY, fetch)
    assert alpha.read_bytes() == b"first"
    assert not alpha.parent.stat().st_mode & 0o022


def test_a_cache_that_an_older_version_left_open_is_closed_and_not_fetched_again(cache: Path) -> None:
    (alpha, _) = ensure(TOY, fetch)
    made = [cache, *cache.rglob("*")]
    for path in made:
        path.chmod(0o777)
    opened = alpha.open("r+b")  # by somebody who may have done so while he could
    assert ensure(TOY, must_not_fetch)[0] == alpha
    with opened:
        opened.write(b"FIRST")
    assert alpha.read_bytes() == b"first"
    assert [path for path in (cache, *cache.rglob("*.jar"), alpha.parent) if path.stat().st_mode & 0o022] == []
    assert jars.cached(TOY) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("above", ["home", "home/cache", "home/cache/jars"])
@pytest.mark.parametrize("by_link", [False, True])
def test_a_cache_that_another_user_can_exchange_is_refused(
    above: str, by_link: bool, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Java opens a jar after it was verified: he had the time between to put another one in its place."""
    monkeypatch.setenv("CLOUD_ANALYTICS_CACHE", str(tmp_path / "home" / "cache"))
    ensure(TOY, fetch)
    if by_link:
        (tmp_path / "link").symlink_to("home")
        monkeypatch.setenv("CLOUD_ANALYTICS_CACHE", str(tmp_path / "link" / "cache"))
    os.chown(tmp_path / above, 12345, 12345)
    for look in (jars.cached, partial(ensure, download=must_not_fetch)):
        with pytest.raises(UsageError, match=f"{above} belongs to another user.*set CLOUD_ANALYTICS_CACHE") as told:
            look(TOY)
        assert "\n" not in str(told.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_jars_of_another_user_are_copied_before_they_are_verified(cache: Path) -> None:
    (alpha, beta) = ensure(TOY, fetch)
    for theirs in (alpha, alpha.parent):
        os.chown(theirs, 12345, 12345)
        assert ensure(TOY, must_not_fetch) == [alpha, beta]
        assert {path.stat().st_uid for path in (alpha, alpha.parent)} == {0}


@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o770, False)])
def test_a_cache_may_lie_in_a_folder_such_as_tmp_but_in_no_other_that_all_may_write_to(
    mode: int, refused: bool, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_ANALYTICS_CACHE", str(tmp_path / "shared" / "cache"))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    told = pytest.raises(UsageError, match="others can write to .*shared, .*`chmod go-w .*shared`, or set CLOUD_")
    with told if refused else nullcontext():
        ensure(TOY, fetch)


def test_where_others_can_write_nothing_is_written(cache: Path, tmp_path: Path) -> None:
    """They could have put a link where the note will be written."""
    (alpha, _) = ensure(TOY, fetch)
    alpha.parent.chmod(0o777)
    note, victim = alpha.with_name(".verified.json"), tmp_path / "victim"
    note.unlink()
    note.with_name(f"{note.name}.{os.getpid()}").symlink_to(victim)
    ensure(TOY, must_not_fetch)
    assert note.is_file()
    assert not victim.exists()


@pytest.mark.parametrize("jar_set", lock.JAR_SETS, ids=lambda jar_set: jar_set.name)
def test_a_lock_holds_the_pinned_packages_and_nothing_that_spark_ships(jar_set: JarSet) -> None:
    locked = jar_set.jars()
    coordinates = {jar.coordinate for jar in locked}
    assert set(jar_set.packages) <= coordinates
    assert len({jar.file_name for jar in locked}) == len(locked)
    if jar_set is lock.SPARK:
        assert not [jar for jar in locked if jar.organisation in ("org.scala-lang", "org.slf4j", "org.apache.spark")]


def test_pyspark_is_pinned_to_the_same_version_everywhere() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"pyspark=={lock.PYSPARK}"' in project
