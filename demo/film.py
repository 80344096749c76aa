"""The film: pictures with the time each is shown, written as one MP4 file; and the pace at which output is replayed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from demo import pictures
from demo.terminal import ROWS, Output, Screen

FPS = 10
_PROMPT = "\x1b[1;32m$\x1b[0m "
_LINE = 0.1  # seconds a line of output takes at least
_WAIT = 9.0  # seconds that a command takes at most, without its lines; a longer one is shown faster
_READ = 0.13  # seconds to read a line that stands still
_READ_MOST = 5.0


class Film:
    """Pictures in their order, each with its seconds."""

    def __init__(self) -> None:
        self.shots: list[tuple[bytes, float]] = []  # packed: a thousand plain pictures are gigabytes

    @property
    def seconds(self) -> float:
        """How long it is."""
        return sum(seconds for _, seconds in self.shots)

    def show(self, picture: Image.Image, seconds: float) -> None:
        """Hold a picture."""
        self.shots.append((zlib.compress(picture.tobytes(), 1), seconds))

    def play(self, screen: Screen, command: str, output: Output, caption: str) -> None:
        """Type a command and replay what it wrote; where that is shown faster, the caption says so."""
        screen.write(_PROMPT)
        for end in range(1, len(command) + 1, 3):
            screen.write(command[end - 1 : end + 2])
            self.show(pictures.terminal(screen, caption), 1 / FPS)
        self.show(pictures.terminal(screen, caption), 0.5)
        screen.write("\r\n")
        faster = max(1.0, output.seconds / _WAIT)
        took = f"{output.seconds:.0f} s" + (f", shown {faster:.0f} × as fast" if faster >= 1.5 else "")
        caption = f"{caption}   ·   {took}"
        waited, lines = 0.0, 0
        for seconds, text in _lines(output, faster):
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

    def pan(self, picture: Image.Image, caption: str, views: int, step: float = 0.85) -> None:
        """A page from its top downwards, as one who scrolls and stops to read."""
        width, height = pictures.ROOM
        page = pictures.scaled(picture, width / picture.width)
        last = max(0, page.height - height)
        place = 0
        for view in range(views):
            self.show(pictures.shown(page.crop((0, place, width, place + height)), caption), 3.0)
            goal = min(last, place + round(height * step))
            if goal == place or view == views - 1:
                return
            for part in range(1, 6):
                at = place + (goal - place) * part // 6
                self.show(pictures.shown(page.crop((0, at, width, at + height)), caption), 1 / FPS)
            place = goal

    def save(self, path: Path) -> None:
        """H.264, which browsers and players know."""
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


def _lines(output: Output, faster: float) -> Iterator[tuple[float, str]]:
    """(seconds before it, text): what came at once comes line by line."""
    last = 0.0
    for at, text in output.chunks:
        wait, last = (at - last) / faster, at
        for line in text.splitlines(keepends=True):
            yield max(wait, _LINE if line.endswith("\n") else 0.0), line
            wait = 0.0
