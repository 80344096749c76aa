"""A command, run for real in a pseudo terminal: what it wrote and when, and how the screen looked then."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyte
from ptyprocess import PtyProcessUnicode

COLUMNS, ROWS = 104, 32
_PATIENCE = 60  # seconds for a command to end that was interrupted


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

    @property
    def address(self) -> str:
        """The address at which it serves pages, as it printed it."""
        return str(re.findall(r"http://\S+", self.text)[0])


def run(command: str, folder: Path, environment: Mapping[str, str]) -> Output:
    """Run a shell command in `folder`, with a terminal of COLUMNS by ROWS that shows colours."""
    began = time.monotonic()
    process = _start(command, folder, environment)
    chunks = tuple(_chunks(process))
    return Output(chunks, time.monotonic() - began, _status(process))


@contextmanager
def serving(command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Output]:
    """Run a command that serves pages: what it wrote until it told its address. In the end it is interrupted."""
    process = _start(f"exec {command}", folder, environment)  # `exec`: the interrupt is for the command, not its shell
    chunks, status = [], 0
    for chunk in _chunks(process):
        chunks.append(chunk)
        if "http://" in chunk[1]:
            break
    else:
        status = _status(process)
    try:
        yield Output(tuple(chunks), chunks[-1][0] if chunks else 0.0, status)
    finally:
        process.kill(signal.SIGINT)
        patience = time.monotonic() + _PATIENCE
        while process.isalive() and time.monotonic() < patience:
            time.sleep(0.1)
        process.close()  # kills a command that does not end


def _start(command: str, folder: Path, environment: Mapping[str, str]) -> PtyProcessUnicode:
    told = {**environment, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    return PtyProcessUnicode.spawn(["/bin/sh", "-c", command], str(folder), told, dimensions=(ROWS, COLUMNS))


def _status(process: PtyProcessUnicode) -> int:
    """The exit status, when the command has ended; that of a command that was killed is its signal."""
    return int(process.wait() or process.signalstatus or 0)


def _chunks(process: PtyProcessUnicode) -> Iterator[tuple[float, str]]:
    began = time.monotonic()
    while True:
        try:
            text = process.read(65536)
        except EOFError:
            return
        yield time.monotonic() - began, text


class Screen:
    """The screen of a terminal, to which texts are written."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)

    def write(self, text: str) -> None:
        """Write what a program would; a line ends in \\r\\n, as a terminal has it."""
        self._stream.feed(text)

    def rows(self) -> tuple[tuple[pyte.screens.Char, ...], ...]:
        """The characters of each row, with their colours."""
        buffer = self._screen.buffer
        return tuple(tuple(buffer[row][column] for column in range(COLUMNS)) for row in range(ROWS))
