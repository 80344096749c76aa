"""Pictures of the recording: a terminal's screen, a page in a browser, a caption below either."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from demo.terminal import COLUMNS, ROWS, Screen

if TYPE_CHECKING:
    from pyte.screens import Char

SIZE = (1280, 800)
_CAPTION = 56
ROOM = SIZE[0], SIZE[1] - _CAPTION
_FONT_SIZE = 19
_BACK, _INK, _CAPTION_BACK, _CAPTION_INK = "#10151c", "#d8dee6", "#0072B2", "#ffffff"
_COLOURS = {
    "default": _INK,
    "black": "#4c566a",
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#e3b341",  # pyte's name of yellow
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
    "white": "#ffffff",
}


@cache
def _font(bold: bool, size: int = _FONT_SIZE, mono: bool = True) -> ImageFont.FreeTypeFont:
    # matplotlib brings DejaVu, so that the recording looks the same everywhere.
    name = f"DejaVuSans{'Mono' if mono else ''}{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def terminal(screen: Screen, caption: str) -> Image.Image:
    """A picture of the terminal, with the caption below it."""
    picture = _canvas(caption)
    draw = ImageDraw.Draw(picture)
    width = _font(False).getlength("M")
    height = (ROOM[1] - 20) / ROWS
    left = (SIZE[0] - width * COLUMNS) / 2
    for number, row in enumerate(screen.rows()):
        for column, char in enumerate(row):
            if char.data.strip():
                place = left + column * width, 10 + number * height
                spinner = "\u2800" <= char.data < "\u2900"  # Braille, which the mono font lacks
                draw.text(place, char.data, font=_font(char.bold, mono=not spinner), fill=_colour(char))
    return picture


def _colour(char: Char) -> str:
    name = char.fg.removeprefix("bright")
    return _COLOURS.get(name, f"#{name}")


def seen(picture: Image.Image, caption: str) -> Image.Image:
    """A picture of a browser's window (of ROOM's size), with the caption below it."""
    frame = _canvas(caption)
    frame.paste(picture, (0, 0))
    return frame


def _canvas(caption: str) -> Image.Image:
    picture = Image.new("RGB", SIZE, _BACK)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, ROOM[1], *SIZE), fill=_CAPTION_BACK)
    font = _font(True, 22, mono=False)
    draw.text((24, SIZE[1] - _CAPTION / 2), caption, font=font, fill=_CAPTION_INK, anchor="lm")
    return picture
