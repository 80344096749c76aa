"""The jars of Maven Central that the project runs on: fetched once, by the hashes of `locks/`, without a resolver.

A set lies in `<cache>/jars/<set>-<digest of its lock>/`. It is downloaded into another folder, checked against the
SHA-256 of its lock and renamed. So a folder with the final name is complete, whichever process was killed at whatever
moment. At each use the hash of every jar is checked again, unless its size and times are those of the last check, and
nobody else can write to it: what was made is writable by its owner alone, whatever the umask says.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import shutil
import socket
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime.filelock import FileLock
from cloud_analytics.runtime.lockfile import S3A, JarSet, LockedJar

logger = logging.getLogger(__name__)

Fetch = Callable[[JarSet, Path], None]

_CENTRAL = "https://repo1.maven.org/maven2"
_AT_ONCE, _TIMEOUT = 8, 30.0
_VERIFIED = ".verified.json"
# pip and curl look for trusted roots here, too; a Python that brings its own OpenSSL may know none.
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class DownloadError(UsageError):
    """Maven Central could not be reached, or did not have what was asked for."""


def cache_folder() -> Path:
    """The folder CLOUD_ANALYTICS_CACHE, else `cloud-analytics` below XDG_CACHE_HOME or `~/.cache`."""
    own = os.environ.get("CLOUD_ANALYTICS_CACHE")
    if own:
        return Path(own).absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "cloud-analytics"
    except RuntimeError:
        raise UsageError("HOME is not set, and this user has none: set CLOUD_ANALYTICS_CACHE to a folder") from None


def object_store_jars(uris: Iterable[str]) -> list[Path]:
    """The jars of S3A (7 MB, downloaded at first use) if one of the paths needs them, else none."""
    return ensure(S3A) if any(uri.startswith("s3a://") for uri in uris) else []


def folder_of(jar_set: JarSet) -> Path:
    """The folder of a set, whether it is there or not."""
    return cache_folder() / "jars" / f"{jar_set.name}-{jar_set.digest()}"


def cached(jar_set: JarSet) -> list[Path] | None:
    """The paths of a set if all its files are there and hold the locked bytes, else None."""
    folder, known, found = folder_of(jar_set), {}, {}
    with suppress(OSError, ValueError):
        if _is_safe(folder.stat()) and _is_safe((folder / _VERIFIED).stat()):
            known = json.loads((folder / _VERIFIED).read_text(encoding="utf-8"))
    for jar in jar_set.jars():
        path = folder / jar.file_name
        try:
            status = path.stat()
        except OSError:
            return None
        # The time of the last change of the file's entry is the kernel's: nobody sets it back.
        now = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        if _is_safe(status):
            found[jar.file_name] = now
        if not (_is_safe(status) and known.get(jar.file_name) == now) and not jar.matches(path):
            return None
    if found != known:
        with suppress(OSError):  # a cache that is read-only is verified each time
            _remember(folder, found)
    return [folder / jar.file_name for jar in jar_set.jars()]


def _is_safe(status: os.stat_result) -> bool:
    """Whether nobody else can have changed a file or folder since it was verified."""
    return status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022


def _remember(folder: Path, found: dict[str, list[int]]) -> None:
    """Note what was verified, in a folder that others cannot write to: they could put a link in its place."""
    if _is_safe(folder.stat()):
        aside = folder / f"{_VERIFIED}.{os.getpid()}"
        aside.unlink(missing_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
            json.dump(found, file)
        aside.replace(folder / _VERIFIED)


def ensure(jar_set: JarSet, fetch: Fetch | None = None) -> list[Path]:
    """The paths of a set, which is downloaded if the cache lacks it. Of several processes one downloads.

    UsageError without network, or where the cache cannot be written.
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
                _fill(jar_set, folder, fetch or download)
                found = cached(jar_set)
    except OSError as error:
        raise UsageError(
            f"the jar cache {folder.parent} cannot be written ({error.strerror or error}):"
            " set CLOUD_ANALYTICS_CACHE to a folder that can"
        ) from error
    assert found is not None
    return found


def _make(folder: Path) -> None:
    """Make a folder and those above it, writable by this user alone, whatever the umask says."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(0o755, exist_ok=True)


def _fill(jar_set: JarSet, folder: Path, fetch: Fetch) -> None:
    """Download, check and rename. It runs under the lock, so a half-filled folder is that of a dead process."""
    for abandoned in folder.parent.glob(f".{jar_set.name}-*.part"):
        shutil.rmtree(abandoned, ignore_errors=True)
    if folder.exists():
        logger.warning("a jar in %s is missing or not the one that was locked: all are fetched again", folder)
    jars = jar_set.jars()
    megabytes = sum(jar.size for jar in jars) / 1e6
    logger.info("fetching %s from Maven Central: %d jar(s), %.1f MB, this once", jar_set.title, len(jars), megabytes)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{jar_set.name}-", suffix=".part"))
    try:
        try:
            fetch(jar_set, aside)
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
        if folder.exists():  # damaged: put aside under a name that the next run cleans up
            os.replace(folder, aside.with_name(f".{jar_set.name}-damaged-{os.getpid()}.part"))
        os.replace(aside, folder)
    finally:
        for left in folder.parent.glob(f".{jar_set.name}-*.part"):
            shutil.rmtree(left, ignore_errors=True)


def download(jar_set: JarSet, folder: Path) -> None:
    """Put the jars of a lock into `folder` under their file names; DownloadError says in one line why it failed."""
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
        pool.shutdown(cancel_futures=True)  # after a failure nobody waits for the others


def _download(opener: urllib.request.OpenerDirector, jar: LockedJar, target: Path) -> None:
    url = "/".join((_CENTRAL, jar.organisation.replace(".", "/"), jar.name, jar.revision, jar.file_name))
    for pause in (1.0, 2.0, None):
        try:
            with opener.open(url, timeout=_TIMEOUT) as answer, target.open("wb") as out:
                shutil.copyfileobj(answer, out)
            return
        except (OSError, http.client.HTTPException) as error:
            # A server that cannot be reached at all, or that has no such file, gives the same answer again.
            reason = getattr(error, "reason", None) or error
            is_busy = isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_AGAIN  # the name server is
            final = isinstance(error, urllib.error.URLError) and getattr(error, "code", 0) < 500 and not is_busy
            if pause is None or final:
                raise DownloadError(f"{jar.file_name}: {reason}") from error
            time.sleep(pause)
