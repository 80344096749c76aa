"""The plots of the slides: the project's own, of a lake that has run."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from cloud_analytics.config import load
from cloud_analytics.insight import plots
from cloud_analytics.insight.colours import INK
from cloud_analytics.insight.report import facts
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.lake.files import open_files
from cloud_analytics.reading.lake import LakeReader

# The name that a slide calls a plot by → how it is drawn from the report's facts.
FIGURES: dict[str, Callable[[Facts], Figure]] = {
    "daily_cost": lambda found: plots.daily_cost(found.usage.assign(is_anomaly=False)),
    "anomalies": lambda found: plots.anomalies(found.anomalies.assign(org_name=_names(found)), 8),
    "revenue_bridge": lambda found: plots.revenue_bridge(found.revenue),
}
NAMES = {"lateness", *FIGURES}
_WIDTH = 7.5  # inches: texts stay readable with two plots beside each other


def draw(landing: Path, lake: Path) -> dict[str, str]:
    """Every plot of NAMES as an `<svg>` element."""
    opened = LakeReader(open_files(str(lake)))
    found = facts.read(opened, open_files(str(landing)), load())
    late = opened.sql(
        "SELECT ceil(lateness_seconds / 3600)::BIGINT AS lateness_hours, is_late, count(*) AS events"
        " FROM bronze.usage_events GROUP BY ALL"
    )
    drawn = {name: figure(found) for name, figure in FIGURES.items()} | {"lateness": plots.lateness(late)}
    return {name: svg(figure) for name, figure in drawn.items()}


def svg(figure: Figure) -> str:
    """A figure as an `<svg>` element for a slide (the report's are as narrow as a phone), in the page's ink."""
    figure.set_figwidth(_WIDTH)
    drawn = StringIO()
    # The ids that are referred to are no other figure's; without date and version the same lake gives the same page.
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": figure.get_suptitle()}):
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    text = drawn.getvalue().strip()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r' id="[\w.]+_\d+"', "", text)  # nothing refers to these, and they would repeat


def _names(found: Facts) -> pd.Series:
    return found.anomalies["org_id"].map(found.names)
