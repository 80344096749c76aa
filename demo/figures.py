"""The plots of the slides: the project's own, of a lake that has run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from cloud_analytics.config import load
from cloud_analytics.insight import plots
from cloud_analytics.insight.report import facts
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.style import svg
from cloud_analytics.lake.files import open_files
from cloud_analytics.reading.lake import LakeReader

# The name by which a slide calls a plot → how it is drawn from the report's facts.
FIGURES: dict[str, Callable[[Facts], Figure]] = {
    "daily_cost": lambda found: plots.daily_cost(found.usage.assign(is_anomaly=False)),
    "anomalies": lambda found: plots.anomalies(found.with_names(found.anomalies), 8),
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
    for figure in drawn.values():
        figure.set_figwidth(_WIDTH)
    return {name: svg(figure) for name, figure in drawn.items()}
