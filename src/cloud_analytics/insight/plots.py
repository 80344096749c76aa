"""The plots: each takes a small pandas DataFrame and returns a matplotlib Figure, one style for all.

Figures belong to nobody (`pyplot` forgets them): a notebook shows the one that ends a cell, a script saves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision; vermilion is kept for what needs attention.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#999999", "#000000", "#F0E442")
ALERT = "#D55E00"
_STYLE: Any = {
    "figure.figsize": (9.0, 4.0),
    "figure.constrained_layout.use": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
_LATENESS = {
    "≤ 1 hour": 1,
    "1–6 hours": 6,
    "6–24 hours": 24,
    "1–7 days": 7 * 24,
    "7–30 days": 30 * 24,
    "> 30 days": float("inf"),
}


def lateness(frame: pd.DataFrame) -> Figure:
    """How late events arrive: `lateness_hours` (rounded up), `is_late`, `events`."""
    with _figure("How late events arrive", "lateness against the newest event seen", "events") as (figure, axes):
        edges = [float("-inf"), *_LATENESS.values()]
        classes = pd.cut(frame["lateness_hours"].astype(float), edges, labels=list(_LATENESS))
        counts = frame["events"].groupby([classes, frame["is_late"].astype(bool)], observed=False).sum()
        table = counts.unstack(fill_value=0).reindex(columns=[False, True], fill_value=0)
        names = table.index.astype(str)
        axes.bar(names, table[False], label="in time")
        axes.bar(names, table[True], bottom=table[False], color=ALERT, label="late, processed as well")
        _finish(axes, frame)
        return figure


def events_by_day(frame: pd.DataFrame) -> Figure:
    """Events of each day, stacked by service: `date`, `service`, `events`."""
    with _figure("Events in Silver", "event date (UTC)", "events a day") as (figure, axes):
        table = frame.pivot_table(index="date", columns="service", values="events", aggfunc="sum", fill_value=0)
        below = pd.Series(0.0, index=table.index)
        for service in table.columns:
            axes.bar(pd.to_datetime(table.index), table[service], bottom=below, width=0.9, label=service)
            below += table[service]
        _dates(axes)
        _finish(axes, frame)
        return figure


def rejects(frame: pd.DataFrame) -> Figure:
    """Quarantined records of each rule, by source: `source`, `error_type`, `records`."""
    with _figure("Quarantined records", "records", "") as (figure, axes):
        table = frame.pivot_table(index="error_type", columns="source", values="records", aggfunc="sum", fill_value=0)
        table = table.loc[table.sum(axis=1).sort_values().index]
        left = pd.Series(0.0, index=table.index)
        for source in table.columns:
            axes.barh(table.index, table[source], left=left, label=source)
            left += table[source]
        figure.set_figheight(1.5 + 0.25 * max(6, len(table)))
        _finish(axes, frame)
        return figure


def daily_cost(frame: pd.DataFrame) -> Figure:
    """Cost of each day and service, one row each: `usage_date`, `service`, `total_cost_usd`, `is_anomaly` (marked)."""
    with _figure("Daily cost by service", "usage date (UTC)", "cost (USD a day)") as (figure, axes):
        days = frame.assign(
            usage_date=pd.to_datetime(frame["usage_date"]), total_cost_usd=frame["total_cost_usd"].astype(float)
        ).sort_values("usage_date")
        for service, rows in days.groupby("service"):
            axes.plot(rows["usage_date"], rows["total_cost_usd"], marker=".", linewidth=1.4, label=service)
        marked = days[days["is_anomaly"].eq(True)]
        if len(marked):
            place = marked["usage_date"], marked["total_cost_usd"]
            axes.plot(*place, "o", color=ALERT, fillstyle="none", markeredgewidth=1.6, zorder=3, label="anomalous")
        axes.set_ylim(bottom=0)
        _dates(axes)
        _finish(axes, frame)
        return figure


@contextmanager
def _figure(title: str, x: str, y: str) -> Iterator[tuple[Figure, Axes]]:
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots()
        plt.close(figure)
        axes.set(title=title, xlabel=x, ylabel=y)
        yield figure, axes


def _dates(axes: Axes) -> None:
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _finish(axes: Axes, frame: pd.DataFrame) -> None:
    if frame.empty:
        axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", color="gray")
    elif axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
