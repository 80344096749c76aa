"""End a command after SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_terminal = -1  # after a stop, a copy of the file descriptor of standard error, which is then redirected to /dev/null
_status = 128 + signal.SIGTERM  # of a command that was stopped


def end_well_when_stopped() -> None:
    """Let SIGTERM and Ctrl-C end a command like an error, so that it closes Spark, the embedded node and all else."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a shell without job control
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    global _terminal, _status
    if _terminal < 0:
        if number == signal.SIGINT:
            _status = 128 + number
        # Interrupted threads, finalizers and py4j calls print long error messages, which help nobody.
        _terminal = os.dup(2)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        sys.unraisablehook = _try_again
    sys.exit(_status)


def print_stop() -> None:
    """Print the one line about a stop on standard error."""
    line = "stopped; what was complete stays, and the same command does the rest\n"
    os.write(_terminal if _terminal >= 0 else 2, line.encode())


def _try_again(dropped: sys.UnraisableHookArgs) -> None:
    """Send a signal again if the first arrived while a finalizer ran: Python drops the handler's exception there."""
    if isinstance(dropped.exc_value, SystemExit):
        signal.setitimer(signal.ITIMER_REAL, 0.01)


def stop_status(error: BaseException) -> int | None:
    """Return 130 if Ctrl-C is the cause of `error`, 143 if SIGTERM is, else None.

    Interrupted work may fail with another error, and so may the cleanup after it. So the function also searches the
    causes and contexts of the error for the stop.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        found = pending.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, KeyboardInterrupt):
            return 128 + signal.SIGINT
        if isinstance(found, SystemExit) and found.code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            return int(found.code)
        pending += [found.__cause__, found.__context__]
    return None


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets, so that the current step can end; a second signal interrupts it.

    Any error after the first signal counts as the stop: a service manager also signals Java, so the step may fail.
    """
    asked = threading.Event()
    number_asked = signal.SIGTERM
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal number_asked
        number_asked = signal.Signals(number)
        asked.set()
        restore()

    for number in signals:
        signal.signal(number, ask)
    try:
        yield asked
    except Exception as error:
        if not asked.is_set():
            raise
        raise SystemExit(128 + number_asked) from error
    finally:
        restore()
