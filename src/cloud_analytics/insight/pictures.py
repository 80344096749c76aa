"""What plots and the charts of the dashboard share: colours, and which dates a time axis has room for."""

from __future__ import annotations

import pandas as pd

# Colours that people with any colour vision can tell apart. The ink is for texts and the lines of axes alone: a page
# may replace it by its own.
INK = "#1b1f24"
# Okabe and Ito's colours (their black is the ink), without vermilion, which is for what needs attention.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#999999", INK, "#F0E442")
ALERT = "#D55E00"
_FIRST = pd.Timestamp("2000-01-01")  # as for events: no usage is older


def with_days(frame: pd.DataFrame, column: str) -> tuple[pd.DataFrame, int]:
    """The rows whose date lies between the year 2000 and tomorrow, as pandas' own type, and the number of the others.

    A master may hold any date from the year 1 to 9999. One of these would leave no room on the axis for all the others,
    and is more than an axis of nanoseconds can count.
    """
    days = pd.to_datetime(frame[column], errors="coerce")  # null for what cannot be counted
    shown = days.between(_FIRST, pd.Timestamp.now() + pd.Timedelta(days=1))
    return frame.assign(**{column: days})[shown], int((~shown).sum())


def left_out(rows: int) -> str:
    """What a chart says of rows that it does not show; empty where it shows all."""
    return f"not shown: rows dated before 2000 or in the future ({rows:,})" if rows else ""
