"""How a command ends when the system or a person asks it to."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_terminal = -1  # standard error as it was, after a stop was asked for


def end_well_on_sigterm() -> None:
    """SIGTERM ends a command as an error does: what it opened is closed, Spark and the embedded node included."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGALRM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    global _terminal
    if _terminal < 0:
        # What is cut off complains at length (threads, finalizers, py4j, warnings), of which nobody learns anything.
        _terminal = os.dup(2)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        sys.unraisablehook = _try_again
    sys.exit(128 + signal.SIGTERM)


def tell_stop() -> None:
    """The one line about a stop."""
    line = "stopped; what was done stays, and the next start goes on from there\n"
    os.write(_terminal if _terminal >= 0 else 2, line.encode())


def _try_again(dropped: sys.UnraisableHookArgs) -> None:
    """A signal may arrive while Python runs a finalizer, which drops what the handler raises: once more, then."""
    if isinstance(dropped.exc_value, SystemExit):
        signal.setitimer(signal.ITIMER_REAL, 0.01)


def stop_status(error: BaseException) -> int | None:
    """The exit status if `error` is what became of a stop that was asked for: 130 (Ctrl-C) or 143 (SIGTERM).

    What was cut off, and what was closed after it, may have failed in ways of its own: the stop is in its context.
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
    """An event that the first SIGINT or SIGTERM sets; a second one interrupts at once.

    What fails after the first is the stop: a service manager signals Java as well, and the step ends with it.
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
