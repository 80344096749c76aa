"""The locks of a lake: for writing, and for ingesting landing files. One process holds each of them at a time.

A local lake uses locks of the operating system (`held`), which are released when their process is killed. An object
store has no locks. There a holder has a `Lease`: a small object that it rewrites every few seconds as a heartbeat.
A process that wants to write puts its own lease *before* it lists the other leases. So of two processes that start at
the same time at least one sees the other, in whatever order they make their calls. This holds if the store lists an
object as soon as it was put (S3 does since 2020; Google's and Azure's stores do). Clocks are not compared: a lease is
dead if it did not change while another process watched it for `patience` seconds.

The limit: a holder that stood still longer than `patience` (a suspended machine) may believe for a while that it still
has the lock. It checks its lease right before each commit and each step of the commit, so only the requests of one step
are at risk.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from py4j.protocol import Py4JJavaError

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.lake.file_system import FileSystem
from cloud_analytics.runtime.filelock import FileLock
from cloud_analytics.trust import expect_trusted
from cloud_analytics.untrusted import json_value

LEASES = "_state/leases"
_BY_TURNS = "by turns"  # follows the process id in the lock file of a holder that takes turns
_POLL = 0.05
_LOOKS = 10  # attempts if no living holder is noted: a test whether the lock is held takes it for a moment


@contextmanager
def held(folder: Path, name: str, doing: str, by_turns: bool = False) -> Iterator[None]:
    """Hold the lock `name` in the folder. UsageError, with the text `doing`, if another process holds it, or if
    another user could exchange the folder.

    A holder `by_turns` releases the lock after each micro-batch. It waits for every other holder, and every other
    process waits for it.
    """
    expect_trusted(folder, "who could lead what is written there elsewhere: use a --lake of your own")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lock"
    lock = FileLock(path)
    looks = _LOOKS
    try:
        while not lock.take():
            process, _, kind = lock.noted().partition(" ")
            lives = _lives(process)
            looks -= not lives
            is_waited_for = kind == _BY_TURNS if lives else looks >= 0
            if not (by_turns or is_waited_for):
                who = f"another run (process {process}) is {doing}" if lives else f"somebody holds the lock file {path}"
                raise UsageError(f"{who}; wait until it ends, or use another --lake")
            time.sleep(_POLL)
        lock.note(f"{os.getpid()} {_BY_TURNS if by_turns else ''}".rstrip())
        yield
    finally:
        lock.release()


def _lives(process: str) -> bool:
    """Whether the process named in the lock file lives. The file names its last holder even after the release."""
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True  # the process of another user
    except (ValueError, OverflowError, OSError):
        return False
    return True


class Lease:
    """`with Lease(files, "writer", "writing to the lake"):` one holder per name at a time, like `held`.

    `beat`: seconds between two heartbeats. If a holder was killed, the next process takes over after it has watched the
    dead lease for `patience` seconds.
    """

    def __init__(
        self,
        files: FileSystem,
        name: str,
        doing: str,
        by_turns: bool = False,
        beat: float = 5.0,
        patience: float = 20.0,
    ) -> None:
        self._files, self._doing, self._by_turns = files, doing, by_turns
        self._folder, self._every, self._patience = f"{LEASES}/{name}", beat, patience
        self._name = ""
        self._confirmed = 0.0
        self._lost = False

    def __enter__(self) -> Lease:
        self._announce()
        try:
            self._outlive_the_others()
        except BaseException:
            self._withdraw()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._withdraw()

    def check(self, decided: bool = False) -> None:
        """PipelineError if this process has lost its lease.

        Called right before a commit, and again before each step after the commit (`decided`). The next holder finishes
        such steps.
        """
        silent = time.monotonic() - self._confirmed > self._patience * 0.75
        if self._lost or silent or not self._files.exists(self._path(self._name)):
            self._lost = True
            raise PipelineError(
                "this run lost its right to write to the lake (it stood still for too long, and another one may have"
                f" taken over); {'who did ends its last step' if decided else 'nothing of its last step was written'}:"
                " run it again"
            )

    def _announce(self) -> None:
        self._name = f"{time.time_ns():020}-{uuid.uuid4().hex[:8]}.json"
        self._beats = 0
        self._beat()
        self._end = threading.Event()
        self._heart = threading.Thread(target=self._keep_beating, name="lake-lease", daemon=True)
        self._heart.start()

    def _withdraw(self) -> None:
        self._end.set()
        self._heart.join()
        self._files.delete(self._path(self._name))

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _beat(self) -> None:
        asked = time.monotonic()
        self._beats += 1
        holder = dict(process=os.getpid(), host=socket.gethostname(), beat=self._beats, by_turns=self._by_turns)
        self._files.write(self._path(self._name), json.dumps(holder).encode())
        self._confirmed = asked  # the time before the call: the lease that others see is at least as new

    def _keep_beating(self) -> None:
        while not self._end.wait(self._every):
            try:
                self.check()  # a heartbeat would restore a lease that another writer has deleted as dead
                self._beat()
            except PipelineError:
                return
            except Exception:  # retry a failed request until `check` finds the lease too old
                continue

    def _others(self) -> dict[str, str]:
        texts = {}
        for name in {info.name for info in self._files.files(self._folder, recursive=False)} - {self._name}:
            try:
                texts[name] = self._files.read_text(self._path(name))
            except Py4JJavaError:  # S3A fails if the object was overwritten since it was opened: its holder lives
                texts[name] = f"changed at {time.monotonic_ns()}"
        return {name: text for name, text in texts.items() if text is not None}

    def _outlive_the_others(self) -> None:
        started = time.monotonic()
        seen: dict[str, tuple[str, float]] = {}  # name → (last text, since when)
        alive: set[str] = set()
        while others := self._others():
            now = time.monotonic()
            for name, text in others.items():
                if name in seen and seen[name][0] != text:
                    alive.add(name)
                if seen.get(name, ("", 0.0))[0] != text:
                    seen[name] = (text, now)
                elif now - seen[name][1] > self._patience:
                    self._files.delete(self._path(name))  # the lease of a killed process
            earlier = [name for name in others if name in alive and name < self._name]
            late = [name for name in others if name in alive and now - started > self._patience]
            # If two processes wait for each other, the one with the earlier name goes first.
            stubborn = [name for name in {*earlier, *late} if not (self._by_turns or _read(others[name])["by_turns"])]
            if stubborn:
                found = _read(others[stubborn[0]])
                raise UsageError(
                    f"another run (process {found['process']} on {found['host']}) is {self._doing};"
                    " wait until it ends, or use another --lake"
                )
            time.sleep(min(1.0, self._every / 2))
            if earlier:
                self._withdraw()
                self._announce()


def _read(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json_value(text)
    except ValueError:  # read while it was being written: the next read succeeds
        return {"process": "unknown", "host": "an unknown host", "by_turns": True}
    return found
