"""What figures cannot say, in sentences that stand beside them in the report and in the dashboard."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pandas as pd

from cloud_analytics.reading.checks import Check


def distrust(checks: Iterable[Check], ids: Collection[str]) -> list[str]:
    """A warning for each of the figures with these ids (F1 to F4) that says nothing."""
    return [check.warning for check in checks if check.id in ids and check.warning]


def uncovered_months(billing: pd.DataFrame) -> list[str]:
    """A sentence about the months of billing_reconciliation that usage does not cover; none where it covers all."""
    months = sorted(set(billing["month"][~billing["covers_month"].eq(True)]))
    if not months:
        return []
    return [
        f"The usage here does not cover the whole of {', '.join(months)}: whether those invoices are right cannot"
        " be told from these data."
    ]
