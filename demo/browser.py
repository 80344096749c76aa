"""A browser without a screen: it opens pages, follows links, scrolls, and takes pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from cloud_analytics.errors import UsageError
from demo.pictures import ROOM

if TYPE_CHECKING:
    from playwright.sync_api import Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PROGRAM = next(filter(None, map(shutil.which, _NAMES)), None)
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_PATIENCE = 60  # pictures, half a second apart, of a page that still changes


class Browser:
    """A window as large as the film's pictures."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def go(self, address: str) -> None:
        """Open a page."""
        self._page.goto(address)
        self._point_aside()

    def follow(self, link: str) -> None:
        """Click a link."""
        self._page.get_by_role("link", name=link, exact=True).click()
        self._page.get_by_role("heading", level=1).wait_for()
        self._point_aside()

    def _point_aside(self) -> None:
        """Move the pointer to the right edge: the wheel scrolls the page there, and no chart shows a tip."""
        self._page.mouse.move(ROOM[0] - 30, ROOM[1] / 2)

    def scroll(self, pixels: float) -> None:
        """Turn the wheel."""
        self._page.mouse.wheel(0, pixels)

    def picture(self) -> Image.Image:
        """The window as it looks now."""
        return Image.open(BytesIO(self._page.screenshot())).convert("RGB")

    def settled(self) -> Image.Image:
        """The window once nothing moves any more, or after half a minute."""
        before = self.picture()
        for _ in range(_PATIENCE):
            self._page.wait_for_timeout(500)
            now = self.picture()
            if now == before:
                break
            before = now
        return before


@contextmanager
def opened() -> Iterator[Browser]:
    """A new window. UsageError where there is no browser."""
    from playwright.sync_api import sync_playwright

    if PROGRAM is None:
        raise UsageError(f"the recording shows pages in a browser: install one of {', '.join(_NAMES)}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=PROGRAM, args=_OPTIONS)
        try:
            page = browser.new_page(viewport={"width": ROOM[0], "height": ROOM[1]})
            page.set_default_timeout(180_000)  # ms
            yield Browser(page)
        finally:
            browser.close()
