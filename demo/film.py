"""The film: pictures with the seconds that each is shown, written as one MP4 file.

Output is replayed without long waits: of the time that a command takes before its next line, a moment is shown.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from demo import pictures
from demo.terminal import ROWS, Output, Screen

if TYPE_CHECKING:
    from demo.browser import Browser

FPS = 10
_PROMPT = "\x1b[1;32m$\x1b[0m "
_LINE = 0.03  # seconds that a line of output takes at least
_WAIT = 0.8  # seconds that the film waits for a line at most; the rest is cut
_READ = 0.13  # seconds to read a line that stands still
_READ_MOST = 5.0  # seconds to read a screen
_LOOK = 3.0  # seconds for a part of a page
_STEPS = 6  # pictures of a page that is scrolled


class Film:
    """Pictures in their order, each with the seconds that it is shown."""

    def __init__(self) -> None:
        self.shots: list[tuple[bytes, float]] = []  # packed: a thousand plain pictures are gigabytes

    @property
    def seconds(self) -> float:
        """How long the film is."""
        return sum(seconds for _, seconds in self.shots)

    def show(self, picture: Image.Image, seconds: float) -> None:
        """Add a picture."""
        self.shots.append((zlib.compress(picture.tobytes(), 1), seconds))

    def play(self, screen: Screen, command: str, output: Output, caption: str) -> None:
        """Type a command and replay what it wrote; the caption says how much waiting is cut."""
        screen.write(_PROMPT)
        for end in range(1, len(command) + 1, 3):
            screen.write(command[end - 1 : end + 2])
            self.show(pictures.terminal(screen, caption), 1 / FPS)
        self.show(pictures.terminal(screen, caption), 0.5)
        screen.write("\r\n")
        caption = f"{caption}   ·   {told(output)}"
        waited, lines = 0.0, 0
        for seconds, text in paced(output):
            screen.write(text)
            waited += seconds
            lines += text.count("\n")
            if lines >= ROWS - 2:  # a screenful: time to read it before it is gone
                self.show(pictures.terminal(screen, caption), _READ_MOST)
                waited, lines = 0.0, 0
            elif waited >= 1 / FPS:
                self.show(pictures.terminal(screen, caption), waited)
                waited = 0.0
        self.show(pictures.terminal(screen, caption), waited + min(_READ_MOST, 1.5 + _READ * lines))

    def look(self, browser: Browser, caption: str, views: int) -> None:
        """Scroll down the page that is open, and stop for each of its parts: at most so many views."""
        for view in range(1, views + 1):
            seen = browser.settled()
            self.show(pictures.seen(seen, caption), _LOOK)
            if view == views:
                return
            for _ in range(_STEPS):
                browser.scroll(0.85 * pictures.ROOM[1] / _STEPS)
                self.show(pictures.seen(browser.picture(), caption), 1 / FPS)
            if browser.settled() == seen:  # the end of the page
                return

    def save(self, path: Path) -> None:
        """Write the film as H.264, which browsers and players know."""
        import imageio_ffmpeg

        writer = imageio_ffmpeg.write_frames(
            str(path),
            pictures.SIZE,
            fps=FPS,
            codec="libx264",
            macro_block_size=8,
            output_params=["-crf", "26", "-preset", "slow", "-tune", "animation", "-movflags", "+faststart"],
        )
        writer.send(None)
        due = 0.0
        for packed, seconds in self.shots:
            due += seconds * FPS
            frame = zlib.decompress(packed)
            for _ in range(round(due)):
                writer.send(frame)
            due -= round(due)
        writer.close()


def told(output: Output) -> str:
    """How long the command took, and how much of that is cut, in words."""
    cut = sum(wait - shown for wait, shown, _ in _waits(output))
    took = f"{output.seconds:.0f} s"
    return f"{took}, {cut:.0f} s of waiting cut" if cut >= 1 else took


def paced(output: Output) -> Iterator[tuple[float, str]]:
    """(seconds before it, text): waiting is cut, and what came at once comes line by line."""
    for _, shown, text in _waits(output):
        for line in text.splitlines(keepends=True):
            yield max(shown, _LINE if line.endswith("\n") else 0.0), line
            shown = 0.0


def _waits(output: Output) -> Iterator[tuple[float, float, str]]:
    """(seconds before it, seconds of these that are shown, text) for each text that a command wrote."""
    last, left = 0.0, _WAIT  # a spinner turns in many pieces until the next line
    for at, text in output.chunks:
        shown = min(at - last, left)
        yield at - last, shown, text
        last, left = at, _WAIT if "\n" in text else left - shown
