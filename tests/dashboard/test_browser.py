"""The command as a person uses it, in a real browser: a file that lands changes a number on the page."""

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
from tests.dashboard.conftest import NAMES, Served
from tests.integration import hostile
from tests.test_follow import PATIENCE, drop, following, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.spark, pytest.mark.cassandra]

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Nothing but the page is loaded, and root may start it.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
COST = "[data-testid=stMetricValue]"


@contextmanager
def dashboard(lake: Path) -> Iterator[str]:
    """The command, and the address that it prints; Ctrl-C ends it, in peace."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "cloud_analytics", "dashboard", "--lake", str(lake), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--conf", str(REPOSITORY / "conf")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[0]
        wait_for(lambda: listens(port), "the server")
        yield address
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a browser that asks for nothing outside this machine, and meets no error."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        try:
            yield browser.new_page()
        finally:
            browser.close()


def amount(page: Page) -> float:
    """The first headline figure."""
    return float(page.locator(COST).first.inner_text().replace(",", ""))


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium")
def test_a_file_that_lands_changes_a_number_and_names_stay_text(served: Served, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(1000 * PATIENCE)
    with dashboard(served.lake) as address:
        page.goto(address)
        page.wait_for_selector(COST)
        before = amount(page)
        with following(served.pipeline):
            lines = [
                hostile.event(f"named_{n}", org_id=name, resource_id=name, cost_usd_increment=1000)
                for n, name in enumerate(NAMES)
            ]
            drop(served.landing, "named.jsonl", *lines)
            wait_for(lambda: amount(page) == before + 1000 * len(NAMES), "the number")  # nobody reloads the page
        page.goto(f"{address}/organisation?org=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
        page.wait_for_selector("canvas")
        assert page.get_by_role("combobox").first.input_value() == "<img src=x onerror=alert(1)>"
        page.get_by_role("combobox").first.click()
        options = page.get_by_role("option").all_inner_texts()
        assert set(NAMES) <= set(options)
        assert page.locator("img[src=x], [data-testid=stMain] a[href*='//b'], .katex").count() == 0
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
