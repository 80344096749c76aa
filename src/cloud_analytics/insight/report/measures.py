"""What several sections compute from the facts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.numbers import total


def recent_cost(windows: pd.DataFrame) -> tuple[Any, Any]:
    """Cost of the last 7 days, and of the 7 before, of some rows of the windows; None without usage."""
    now, both = total(windows["cost_7d"]), total(windows["cost_14d"])
    return (now, both - now) if now is not None else (None, None)


def movers(windows: pd.DataFrame) -> pd.DataFrame:
    """With `before` and `change`: the last 7 days against the 7 before; what changed most stands first."""
    before = windows["cost_14d"] - windows["cost_7d"]
    found = windows.assign(before=before, change=windows["cost_7d"] - before)
    return found.loc[found["change"].abs().sort_values(ascending=False, kind="stable").index]


def org(facts: Facts, org_id: Any) -> str:
    """An organisation by its name, where it is known, and its id."""
    name = facts.names.get(org_id)
    return f"{name} ({org_id})" if name else str(org_id)


def with_names(facts: Facts, frame: pd.DataFrame) -> pd.DataFrame:
    """With `org_name`, as the plots take it."""
    return frame.assign(org_name=pd.Series([facts.names.get(i) for i in frame["org_id"]], frame.index, dtype=object))


def lacking(facts: Facts, master: str, otherwise: str) -> str:
    """What to do when a master never arrived; else what it means that there is nothing."""
    if master in facts.missing:
        return (
            f"The lake has no {master}: put {master}.csv into the landing folder and run `cloud-analytics run` again."
        )
    return otherwise
