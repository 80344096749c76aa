"""The map of the flow: a picture of the zones from landing to serving, with the rows that each of them holds."""

from __future__ import annotations

from collections.abc import Container

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from cloud_analytics.insight.colours import ALERT, INK, PALETTE
from cloud_analytics.insight.style import finish, panels

_ZONES = ("landing", "bronze", "silver", "gold", "serving")
_GREY = PALETTE[5]


def flow(frame: pd.DataFrame, step: Container[str] = (*_ZONES, "quarantine")) -> Figure:
    """The map of a lake with its counts, from the frame of `reading.flow`: `zone`, `part`, `tables`, `rows`.

    The zones in `step` are coloured, the others are grey.
    """
    with panels("What became of every line", "", "") as (figure, (axes,)):
        axes.set_axis_off()
        axes.set_xlim(-0.03, 4.87)
        axes.set_ylim(-1.45, 2.15)
        if len(frame):
            rows = {(zone, part): count for zone, part, count in zip(frame["zone"], frame["part"], frame["rows"])}
            tables = dict(zip(frame["zone"], frame["tables"]))
            for left, zone in enumerate(_ZONES):
                colour = PALETTE[left] if zone in step else _GREY
                axes.text(left + 0.42, 1.95, zone, ha="center", weight="bold")
                boxes = [("events", 0.95, 0.75, "events"), ("masters", 0, 0.75, "masters")]
                if (zone, "all") in rows:
                    boxes = [("all", 0, 1.7, f"rows of\n{tables[zone]} tables")]
                for part, foot, height, below in boxes:
                    _box(axes, (left, foot, 0.84, height), colour, f"{rows[zone, part]:,}", below)
                    if left:
                        _arrow(axes, (left - 0.16, foot + height / 2), (left, foot + height / 2))
            _quarantine(axes, ALERT if "quarantine" in step else _GREY, rows)
            sums = frame.groupby("zone")["rows"].sum()
            sign = "=" if sums["landing"] == sums["silver"] + sums["quarantine"] else "≠"
            kept, rejected = f"{sums['silver']:,} in silver", f"{sums['quarantine']:,} in quarantine"
            axes.text(0, -1.4, f"{sums['landing']:,} landed {sign} {kept} + {rejected}")
        return finish(figure, frame)


def _quarantine(axes: Axes, colour: str, rows: dict[tuple[str, str], int]) -> None:
    """Quarantine, below the two zones that reject."""
    events, masters = rows["quarantine", "events"], rows["quarantine", "masters"]
    _box(axes, (0.5, -1, 1.8, 0.75), colour, f"{events + masters:,}", f"{events:,} events, {masters:,} masters")
    axes.text(2.4, -0.62, "quarantine", weight="bold", va="center")
    for place in (0.92, 1.92):
        _arrow(axes, (place, 1.325), (place, -0.25))


def _box(axes: Axes, place: tuple[float, float, float, float], colour: str, count: str, below: str) -> None:
    """A box at (left, foot, width, height) with a count in bold and words below it."""
    left, foot, width, height = place
    corners = "round,pad=0,rounding_size=0.08"
    axes.add_patch(
        FancyBboxPatch((left, foot), width, height, corners, edgecolor=colour, facecolor=to_rgba(colour, 0.12))
    )
    centre, middle = left + width / 2, foot + height / 2
    size = 10 * min(1, 8 / len(count))  # millions are as wide as the box, also on a phone
    axes.text(centre, middle, count, ha="center", va="bottom", weight="bold", size=size)
    axes.text(centre, middle - 0.05, below, ha="center", va="top", size="small")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0})
