"""Which quarantined records a person means; checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.days import calendar_day
from cloud_analytics.errors import UsageError


@dataclass(frozen=True)
class Selection:
    """None does not narrow. Dates are those of the quarantine (of the event, else of the ingest), both included."""

    source: str | None = None
    error_type: str | None = None
    since: date | None = None
    until: date | None = None


def select(
    config: Config, source: str | None, error_type: str | None, since: str | None, until: str | None
) -> Selection:
    """A selection from what was typed; UsageError says what is allowed."""
    sources = check_source(source)
    rules = [rule for one in sources for rule in config.rules_of(one) if rule.severity == "reject"]
    allowed = list(dict.fromkeys(rule.id for rule in rules))
    if error_type is not None and error_type not in allowed:
        raise UsageError(f"--error-type {error_type!r}: choose one of {', '.join(allowed)}")
    first = calendar_day("--from", since) if since is not None else None
    last = calendar_day("--to", until) if until is not None else None
    if first is not None and last is not None and first > last:
        raise UsageError(f"--from {first} is after --to {last}")
    return Selection(source, error_type, first, last)


def check_source(source: str | None) -> tuple[str, ...]:
    """The sources that are meant: the one, or all of them."""
    known = (EVENTS, *MASTERS)
    if source is None:
        return known
    if source not in known:
        raise UsageError(f"--source {source!r}: choose one of {', '.join(known)}")
    return (source,)
