"""The right to write to a lake on an object store, which has no locks: a lease, kept alive by a beat.

A lease is a small object of the process that took it, rewritten every few seconds. Who wants to write puts one *before*
looking for others: so of two that come at once at least one sees the other, whatever the order of the calls, as long as
the store lists what was put (S3 does since 2020, as do Google's and Azure's stores). No clock is compared: a lease is
dead when it did not change while somebody watched it for `patience`.

What it cannot do: a holder that stood still longer than `patience` (a suspended machine) may believe for the length of
one request that it still holds the lake. It looks again right before each commit, so the gap is that request alone.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from types import TracebackType

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.storage.files import FileSystem

FOLDER = "_state/writers"


class Lease:
    """`with Lease(files):` one writer at a time; UsageError at once when another one is alive.

    After a writer that was killed the next one waits `patience` seconds, and then takes over.
    """

    def __init__(self, files: FileSystem, beat: float = 5.0, patience: float = 20.0) -> None:
        self._files, self._every, self._patience = files, beat, patience
        self._name = ""
        self._beats = 0
        self._confirmed = 0.0
        self._lost = False
        self._end = threading.Event()
        self._heart = threading.Thread(target=self._keep_beating, name="lake-lease", daemon=True)

    def __enter__(self) -> Lease:
        self._announce()
        try:
            self._outlive_the_others()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._heart.join()
        self._files.delete(self._path(self._name))

    def check(self) -> None:
        """PipelineError when the lease is not ours any more: called right before something is decided for good."""
        silent = time.monotonic() - self._confirmed > self._patience * 0.75
        if self._lost or silent or not self._files.exists(self._path(self._name)):
            self._lost = True
            raise PipelineError(
                "this run lost its right to write to the lake (it stood still for too long, and another one may have"
                " taken over); nothing of its last step was written: run it again"
            )

    def _announce(self) -> None:
        self._name = f"{time.time_ns():020}-{uuid.uuid4().hex[:8]}.json"
        self._beat()
        self._heart.start()

    def _path(self, name: str) -> str:
        return f"{FOLDER}/{name}"

    def _beat(self) -> None:
        asked = time.monotonic()
        self._beats += 1
        holder = {"process": os.getpid(), "host": socket.gethostname(), "beat": self._beats}
        self._files.overwrite(self._path(self._name), json.dumps(holder))
        self._confirmed = asked  # the moment before the call: what others saw is at least as new

    def _keep_beating(self) -> None:
        while not self._end.wait(self._every):
            try:
                self.check()  # never bring back what another writer declared dead
                self._beat()
            except PipelineError:
                return
            except Exception:  # a request that failed is tried again, until `check` finds that it took too long
                continue

    def _others(self) -> dict[str, str]:
        names = [info.name for info in self._files.files(FOLDER, recursive=False) if info.name != self._name]
        texts = {name: self._files.read_text(self._path(name)) for name in names}
        return {name: text for name, text in texts.items() if text is not None}

    def _outlive_the_others(self) -> None:
        first = self._others()
        deadline = time.monotonic() + self._patience
        others = first
        while others:
            alive = {name: text for name, text in others.items() if first.setdefault(name, text) != text}
            over = time.monotonic() > deadline
            # Of two that wait for a dead one the earlier name stays.
            if any(over or name < self._name for name in alive):
                raise UsageError(
                    f"another run ({_holder(next(iter(alive.values())))}) is writing to the lake {self._files.root};"
                    " wait until it ends, or use another --lake"
                )
            if over:
                for name in others:
                    self._files.delete(self._path(name))
            else:
                time.sleep(min(1.0, self._every / 2))
            others = self._others()


def _holder(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:  # caught while it is written
        return "unknown"
    return f"process {found['process']} on {found['host']}"
