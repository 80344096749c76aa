"""`python -m tests.cluster.dying N …`: the command line, killed (SIGKILL) right before the Nth rename of a commit."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from cloud_analytics.cli import main
from cloud_analytics.lake.files import HadoopFileSystem

if __name__ == "__main__":
    last = int(sys.argv.pop(1))
    original, count, lock = HadoopFileSystem.move, 0, threading.Lock()

    def move(*args: Any) -> None:
        global count
        with lock:
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
        original(*args)

    HadoopFileSystem.move = move  # type: ignore[method-assign, assignment]
    main()
