"""The command as a person uses it, and a real browser to look at it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY
from tests.test_follow import PATIENCE, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Root may start it, and it loads nothing of its own.
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def dashboard(lake: Path, folder: Path = REPOSITORY) -> Iterator[str]:
    """The command as started in a folder, and the link that it prints; Ctrl-C ends it, in peace."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "cloud_analytics", "dashboard", "--lake", str(lake), "--port", str(port)]
    command += ["--conf", str(REPOSITORY / "conf")]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        link = process.stdout.readline().split()[0]
        wait_for(lambda: _listens(port), "the server")
        yield link
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def opened() -> Iterator[Page]:
    """An empty page of a browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=_OPTIONS)
        try:
            page = browser.new_page()
            page.set_default_timeout(1000 * PATIENCE)
            yield page
        finally:
            browser.close()
