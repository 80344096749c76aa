"""A command, run for real in a pseudo terminal: what it wrote and when, and how the screen looked then."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyte

COLUMNS, ROWS = 104, 32


@dataclass(frozen=True)
class Output:
    """What a command wrote: (seconds since its start, text), how long it took, and its exit status."""

    chunks: tuple[tuple[float, str], ...]
    seconds: float
    status: int

    @property
    def text(self) -> str:
        """All of it, without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "".join(text for _, text in self.chunks)).replace("\r\n", "\n")


def run(command: str, folder: Path, environment: Mapping[str, str]) -> Output:
    """Run a shell command in `folder`, with a terminal of COLUMNS by ROWS that shows colours."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    began = time.monotonic()
    process = subprocess.Popen(
        command, shell=True, cwd=folder, env={**environment, **terminal}, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    chunks: list[tuple[float, str]] = []
    rest = b""
    for piece in _pieces(ours):
        rest += piece
        whole = rest.decode(errors="ignore").encode()  # a character may be cut in two
        chunks.append((time.monotonic() - began, whole.decode()))
        rest = rest[len(whole) :]
    status = process.wait()
    os.close(ours)
    return Output(tuple(chunks), time.monotonic() - began, status)


def _pieces(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # Linux says EIO where the other end is closed
            return
        if not piece:
            return
        yield piece


class Screen:
    """A terminal's screen that texts are written to, and the moments at which it changed."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)

    def write(self, text: str) -> None:
        """What a program writes; a line ends in \\r\\n, as a terminal has it."""
        self._stream.feed(text)

    def rows(self) -> tuple[tuple[pyte.screens.Char, ...], ...]:
        """The characters of each row, with their colours."""
        buffer = self._screen.buffer
        return tuple(tuple(buffer[row][column] for column in range(COLUMNS)) for row in range(ROWS))
