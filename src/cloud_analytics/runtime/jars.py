"""The jars that the project needs: fetched once from Maven Central by the hashes in `locks/`, without a resolver.

A set is in `<cache>/jars/<set>-<digest of its lock>/`. It is downloaded into another folder, checked against the
SHA-256 hashes of its lock, and renamed. So a folder with the final name is complete, even if a process was killed at
any moment. At each use the hash of every jar is checked again, unless its size and times equal those of the last check.

Java opens a jar some time after the check, so no other user may be able to replace it meanwhile. New files and folders
are writable by their owner alone, whatever the umask is. A set that others can write to is copied before it is checked.
A cache in a folder that another user can replace is refused.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import shutil
import socket
import ssl
import stat
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime.filelock import FileLock
from cloud_analytics.runtime.lock import S3A, JarSet, LockedJar
from cloud_analytics.trust import expect_trusted, trusted_users

logger = logging.getLogger(__name__)

_CENTRAL = "https://repo1.maven.org/maven2"
_AT_ONCE, _TIMEOUT = 8, 30.0
_VERIFIED = ".verified.json"
# pip and curl read trusted root certificates from here, too. A Python with its own OpenSSL may have none.
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class DownloadError(UsageError):
    """Maven Central could not be reached, or does not have the requested file."""


def cache_folder() -> Path:
    """The folder CLOUD_ANALYTICS_CACHE, else `cloud-analytics` below XDG_CACHE_HOME or `~/.cache`.

    UsageError if none of them is known.
    """
    own = os.environ.get("CLOUD_ANALYTICS_CACHE")
    if own:
        return Path(own).absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "cloud-analytics"
    except RuntimeError:
        raise UsageError("HOME is not set, and this user has none: set CLOUD_ANALYTICS_CACHE to a folder") from None


def object_store_jars(uris: Iterable[str]) -> list[Path]:
    """The jars of S3A (7 MB, downloaded at first use) if one of the paths needs them, else an empty list."""
    return ensure(S3A) if any(uri.startswith("s3a://") for uri in uris) else []


def folder_of(jar_set: JarSet) -> Path:
    """The folder of a set, existing or not. Its links are resolved, so that nobody can redirect them later."""
    return Path(os.path.realpath(cache_folder() / "jars"), f"{jar_set.name}-{jar_set.digest()}")


def cached(jar_set: JarSet) -> list[Path] | None:
    """The paths of a set if all its files exist, have the locked hashes and are writable by no other user, else None.

    UsageError if another user can replace the folder.
    """
    folder, known, found = folder_of(jar_set), {}, {}
    _expect_closed(folder.parent)
    if not _is_closed(folder):
        return None
    with suppress(OSError, ValueError):
        if _is_closed(folder / _VERIFIED):
            known = json.loads((folder / _VERIFIED).read_text(encoding="utf-8"))
    for jar in jar_set.jars():
        path = folder / jar.file_name
        if not _is_closed(path):
            return None
        status = path.stat()
        # The kernel sets ctime, so no user can set it back.
        found[jar.file_name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        if known.get(jar.file_name) != found[jar.file_name] and not jar.matches(path):
            return None
    if found != known:
        with suppress(OSError):  # a read-only cache is verified at each use
            _remember(folder, found)
    return [folder / jar.file_name for jar in jar_set.jars()]


def _is_closed(path: Path) -> bool:
    """Whether a file or folder exists, is no link, and is writable by no other user."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return status.st_uid in trusted_users() and not status.st_mode & 0o022  # a link has all mode bits


def _is_open(folder: Path, bits: int) -> bool:
    """Whether others (by `bits`) can replace files in a folder. In a folder with the sticky bit (/tmp) they cannot."""
    mode = folder.stat().st_mode
    return bool(mode & bits) and not mode & stat.S_ISVTX


def _expect_closed(jars: Path) -> None:
    """UsageError if another user can replace the folder of all sets, or a folder above it.

    If an older version left this user's cache open to others, its mode is corrected first. Above the cache a folder
    counts as open only if all users may write to it: a home folder often has a group with its user as only member.
    """
    cache = (jars, Path(os.path.realpath(cache_folder())))
    for folder in cache:
        with suppress(OSError):
            if folder.stat().st_uid == os.geteuid() and _is_open(folder, 0o022):
                folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~0o022)
    so = "and jars in it run as you"
    remedy = "set CLOUD_ANALYTICS_CACHE to a folder of your own"
    expect_trusted(jars, f"{so}: {remedy}")
    for folder in (jars, *jars.parents):
        with suppress(OSError):  # the folder does not exist yet, or cannot be reached
            if _is_open(folder, 0o022 if folder in cache else 0o002):
                raise UsageError(f"others can write to {folder}, {so}: `chmod go-w {folder}`, or {remedy}")


def _remember(folder: Path, found: dict[str, list[int]]) -> None:
    aside = folder / f"{_VERIFIED}.{os.getpid()}"
    aside.unlink(missing_ok=True)
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
        json.dump(found, file)
    aside.replace(folder / _VERIFIED)


def ensure(jar_set: JarSet) -> list[Path]:
    """The paths of a set, which is downloaded if the cache lacks it. If several processes need it, one downloads it.

    UsageError if there is no network, or if the cache is not writable or is writable by others.
    """
    found = cached(jar_set)
    if found is not None:
        return found
    folder = folder_of(jar_set)
    try:
        _make(folder.parent)
        with FileLock(folder.parent / f".{jar_set.name}.lock"):
            found = cached(jar_set)
            if found is None:
                _fill(jar_set, folder)
                found = cached(jar_set)
    except OSError as error:
        raise UsageError(
            f"the jar cache {folder.parent} cannot be written ({error.strerror or error}):"
            " set CLOUD_ANALYTICS_CACHE to a folder that can"
        ) from error
    if found is None:
        raise UsageError(
            f"others can write to all that is made in {folder.parent}: set CLOUD_ANALYTICS_CACHE to another folder"
        )
    return found


def _make(folder: Path) -> None:
    """Create a folder and its parents, writable by this user alone, whatever the umask is."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(0o755, exist_ok=True)


def _fill(jar_set: JarSet, folder: Path) -> None:
    """Copy or download a set, check it and rename it. The lock is held, so any `.part` folder is of a dead process."""
    for abandoned in folder.parent.glob(f".{jar_set.name}-*.part"):
        shutil.rmtree(abandoned, ignore_errors=True)
    jars = jar_set.jars()
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{jar_set.name}-", suffix=".part"))
    try:
        try:
            if not _copied(jars, folder, aside):
                _tell(jar_set, folder)
                download(jar_set, aside)
        except DownloadError as error:
            raise UsageError(
                f"cannot download {jar_set.title} from Maven Central ({error}): run `make setup` where there is a"
                f" network (HTTPS_PROXY and SSL_CERT_FILE are honoured), or copy {folder} from a machine that has it"
            ) from error
        for jar in jars:
            if not jar.matches(aside / jar.file_name):
                raise UsageError(
                    f"{jar.file_name} from Maven Central is not the file that was locked (SHA-256 differs):"
                    " look for a proxy that alters downloads, then run `make setup` again"
                )
            (aside / jar.file_name).chmod(0o644)
        aside.chmod(0o755)
        if folder.exists():  # damaged: renamed so that it is deleted below or by the next run
            os.replace(folder, aside.with_name(f".{jar_set.name}-damaged-{os.getpid()}.part"))
        os.replace(aside, folder)
    finally:
        for left in folder.parent.glob(f".{jar_set.name}-*.part"):
            shutil.rmtree(left, ignore_errors=True)


def _copied(jars: Sequence[LockedJar], folder: Path, aside: Path) -> bool:
    """Copy the jars of a folder that others can write to into `aside`. Returns whether the copies match the lock."""
    with suppress(OSError):
        for jar in jars:
            if (folder / jar.file_name).stat().st_size != jar.size:
                return False
            shutil.copyfile(folder / jar.file_name, aside / jar.file_name)
        return all(jar.matches(aside / jar.file_name) for jar in jars)
    return False


def _tell(jar_set: JarSet, folder: Path) -> None:
    if folder.exists():
        logger.warning("a jar in %s is missing or not the one that was locked: all are fetched again", folder)
    jars = jar_set.jars()
    megabytes = sum(jar.size for jar in jars) / 1e6
    logger.info("fetching %s from Maven Central: %d jar(s), %.1f MB, this once", jar_set.title, len(jars), megabytes)


def download(jar_set: JarSet, folder: Path) -> None:
    """Download the jars of a lock into `folder`. DownloadError says in one line why a download failed."""
    trusted = ssl.create_default_context()
    for bundle in (*(os.environ.get(name, "") for name in _BUNDLE_VARIABLES), *_SYSTEM_BUNDLES):
        if os.path.isfile(bundle):
            trusted.load_verify_locations(bundle)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted))
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        for _ in pool.map(lambda jar: _download(opener, jar, folder / jar.file_name), jar_set.jars()):
            pass
    finally:
        pool.shutdown(cancel_futures=True)  # after a failure the other downloads are not started


def _download(opener: urllib.request.OpenerDirector, jar: LockedJar, target: Path) -> None:
    url = "/".join((_CENTRAL, jar.organisation.replace(".", "/"), jar.name, jar.revision, jar.file_name))
    for pause in (1.0, 2.0, None):
        try:
            with opener.open(url, timeout=_TIMEOUT) as answer, target.open("wb") as out:
                shutil.copyfileobj(answer, out)
            return
        except (OSError, http.client.HTTPException) as error:
            # A retry is useless if the server cannot be reached at all or does not have the file.
            reason = getattr(error, "reason", None) or error
            is_busy = isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_AGAIN  # name server is busy
            final = isinstance(error, urllib.error.URLError) and getattr(error, "code", 0) < 500 and not is_busy
            if pause is None or final:
                raise DownloadError(f"{jar.file_name}: {reason}") from error
            time.sleep(pause)
