"""Errors that users see. Each has a message of one line that says what to do, and an exit status."""

from __future__ import annotations


class CloudAnalyticsError(Exception):
    """Base of every expected failure. The command line prints its message in one line, without a traceback."""

    exit_code = 1


class PipelineError(CloudAnalyticsError):
    """The data, the lake or a store breaks a law or cannot be used (exit status 1)."""


class StoreUnavailable(PipelineError):
    """The serving store does not answer or is overloaded. The same call may succeed later."""


class StoreDamaged(StoreUnavailable):
    """The serving store cannot read its own files. No call succeeds until the store is cleared."""


class UsageError(CloudAnalyticsError):
    """Wrong usage or configuration, or an unsuitable machine. The caller has to change something (exit status 2)."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration is invalid. `problems` holds every problem found, not only the first."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("invalid configuration: " + "; ".join(problems))


def cause_line(error: BaseException) -> str:
    """An unexpected error in one line: the innermost cause if it comes from the JVM, else the error's first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    if causes:
        return causes[-1][:300]
    # py4j puts a line of its own before the JVM's exception.
    own = next((line.removeprefix(": ") for line in lines[1:2] if line.startswith(": ")), "")
    return (own or f"{type(error).__name__}: {lines[0] if lines else 'no message'}")[:300]
