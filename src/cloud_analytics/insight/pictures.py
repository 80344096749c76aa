"""Shared by the plots and the dashboard charts: colours, and the range of dates that a time axis shows."""

from __future__ import annotations

import pandas as pd

# Colours that people with any colour vision can tell apart. INK is only for texts and axis lines, because a page may
# replace it by its own text colour.
INK = "#1b1f24"
# The colours of Okabe and Ito, with INK for their black. Their vermilion is ALERT, for values that need attention.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#999999", INK, "#F0E442")
ALERT = "#D55E00"
_FIRST = pd.Timestamp("2000-01-01")  # also the oldest date of usage events


def with_days(frame: pd.DataFrame, column: str) -> tuple[pd.DataFrame, int]:
    """The rows dated from 2000 to tomorrow, with their dates as pandas timestamps, and the number of the other rows.

    A master may hold any date from the year 1 to 9999. One far date would leave no room on the axis for all the others,
    and is beyond the range of timestamps in nanoseconds.
    """
    days = pd.to_datetime(frame[column], errors="coerce")  # null outside the range of nanoseconds
    shown = days.between(_FIRST, pd.Timestamp.now() + pd.Timedelta(days=1))
    return frame.assign(**{column: days})[shown], int((~shown).sum())


def left_out(rows: int) -> str:
    """The note of a chart on the number of rows that it does not show; empty if it shows all rows."""
    return f"not shown: rows dated before 2000 or in the future ({rows:,})" if rows else ""
