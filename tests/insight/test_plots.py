"""Plots: what is drawn, labelled axes, nothing that breaks on empty frames or on Decimal and None."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cloud_analytics.insight import plots

FRAMES: dict[str, dict[str, list[Any]]] = {
    "lateness": {"lateness_hours": [0, 2, 800, None], "is_late": [False, False, True, False], "events": [5, 1, 7, 1]},
    "events_by_day": {
        "date": [date(2025, 7, 1), date(2025, 7, 1), date(2025, 7, 3)],
        "service": ["compute", "genai", "compute"],
        "events": [2, 3, 4],
    },
    "rejects": {
        "source": ["users", "usage_events", "usage_events"],
        "error_type": ["missing_key", "missing_key", "invalid_cost"],
        "records": [1, 2, 9],
    },
    "daily_cost": {
        "usage_date": [date(2025, 7, 2), date(2025, 7, 1), date(2025, 7, 1)],
        "service": ["compute", "compute", "genai"],
        "total_cost_usd": [Decimal("3.5"), Decimal("1"), Decimal("2")],
        "is_anomaly": [True, False, None],
    },
}


def draw(name: str, rows: int | None = None) -> Figure:
    plot: Callable[[pd.DataFrame], Figure] = getattr(plots, name)
    return plot(pd.DataFrame(FRAMES[name]).iloc[:rows])


@pytest.mark.parametrize("name", FRAMES)
def test_axes_are_labelled_and_pyplot_keeps_no_figure(name: str) -> None:
    (axes,) = draw(name).axes
    assert axes.get_title(loc="left")
    assert axes.get_xlabel()
    assert axes.get_ylabel() or name == "rejects"  # whose bars are named
    assert axes.get_legend() is not None
    assert plt.get_fignums() == []


@pytest.mark.parametrize("name", FRAMES)
def test_nothing_to_show_is_said(name: str) -> None:
    figure = draw(name, rows=0)
    figure.canvas.draw()
    assert [text.get_text() for text in figure.axes[0].texts] == ["nothing to show"]


def test_anomalous_days_are_marked() -> None:
    (axes,) = draw("daily_cost").axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert list(lines["compute"].get_ydata()) == [1.0, 3.5]
    assert list(lines["anomalous"].get_ydata()) == [3.5]
    assert lines["anomalous"].get_color() == plots.ALERT


def test_bars_hold_every_record() -> None:
    totals = {name: sum(bar.get_width() for bar in draw(name).axes[0].patches) for name in ("rejects",)}
    assert totals == {"rejects": 12}
    assert sum(bar.get_height() for bar in draw("events_by_day").axes[0].patches) == 9
    assert sum(bar.get_height() for bar in draw("lateness").axes[0].patches) == 13


def test_the_pipeline_and_the_command_line_do_without_matplotlib() -> None:
    code = "import sys, cloud_analytics.cli, cloud_analytics.pipeline; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
