"""A command, run for real in a pseudo terminal: what it wrote and when, and how the screen looked then."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

    @property
    def address(self) -> str:
        """Where it serves pages."""
        return str(re.findall(r"http://\S+", self.text)[0])


def run(command: str, folder: Path, environment: Mapping[str, str]) -> Output:
    """Run a shell command in `folder`, with a terminal of COLUMNS by ROWS that shows colours."""
    began = time.monotonic()
    with _started(command, folder, environment) as (process, written):
        chunks = tuple(written)
        status = process.wait()
    return Output(chunks, time.monotonic() - began, status)


@contextmanager
def serving(command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Output]:
    """A command that goes on: what it wrote until it told its address. It is interrupted in the end."""
    # `exec`: the interrupt is for the command, not for a shell around it.
    with _started(f"exec {command}", folder, environment) as (process, written):
        chunks: list[tuple[float, str]] = []
        for chunk in written:
            chunks.append(chunk)
            if "http://" in chunk[1]:
                status = 0
                break
        else:
            status = process.wait()
        try:
            yield Output(tuple(chunks), chunks[-1][0] if chunks else 0.0, status)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


@contextmanager
def _started(
    command: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Iterator[tuple[float, str]]]]:
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    process = subprocess.Popen(
        command, shell=True, cwd=folder, env={**environment, **terminal}, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    try:
        yield process, _chunks(ours)
    finally:
        os.close(ours)


def _chunks(descriptor: int) -> Iterator[tuple[float, str]]:
    began, rest = time.monotonic(), b""
    for piece in _pieces(descriptor):
        rest += piece
        whole = rest.decode(errors="ignore").encode()  # a character may be cut in two
        yield time.monotonic() - began, whole.decode()
        rest = rest[len(whole) :]


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
