"""The charts: each shows rows with column names of a table, in the colours of the report, on light or dark ground."""

from __future__ import annotations

from typing import TypeVar

import altair as alt
import pandas as pd
import streamlit as st

from cloud_analytics.dashboard.show import heading, say
from cloud_analytics.insight.pictures import ALERT, PALETTE, left_out, with_days
from cloud_analytics.tables import Column

_Channel = TypeVar("_Channel", alt.X, alt.Y)
_COLOURS = PALETTE[:6]  # the other colours are not visible on every ground
_REST = "all others"
_GREY = "#808080"  # texts and rings in a chart; visible on every ground
_HEIGHT, _BAR = 320, 26  # heights in pixels: of a chart over time, of a bar with a name
_NAMES = 150  # width in pixels of the names beside bars
_APART = 45  # most days that a phone shows with gaps between their bars
_FEWEST = 7  # least number of days on an axis, because fewer bars would be as wide as the page
_KINDS = {"used": PALETTE[0], "billed more": PALETTE[1], "billed less": ALERT, "invoiced": PALETTE[2]}


def over_time(rows: pd.DataFrame, time: Column, figure: Column, parts: Column | None = None) -> None:
    """Show a figure by day or month, stacked by its parts. The largest parts have their own colours."""
    if time.is_date:
        rows = _with_days(rows, time)
    if not rows[figure.name].fillna(0).any():
        say(f"Nothing to draw: {heading(figure)} is 0 throughout.")
        return
    bars = alt.Chart(rows).mark_bar(binSpacing=2 if rows[time.name].nunique() <= _APART else 0)
    kind, form = ("T", "%Y-%m-%d") if time.is_date else ("N", alt.Undefined)
    told = [alt.Tooltip(f"{time.name}:{kind}", title=heading(time), format=form)]
    if parts is None:
        bars = bars.encode(color=alt.value(_COLOURS[0]))
    else:
        sums = rows.groupby(parts.name)[figure.name].sum().sort_values(ascending=False)
        first = list(sums.index if len(sums) <= len(_COLOURS) else sums.index[: len(_COLOURS) - 1])
        bars.data = rows.assign(**{parts.name: rows[parts.name].where(rows[parts.name].isin(first), _REST)})
        bars = bars.encode(color=_colour(parts.name, [*sorted(first), *([_REST] if len(first) < len(sums) else [])]))
        told.append(_tip(parts))
    total = f"sum({figure.name}):Q"
    tips = [*told, _tip(figure, total)]
    _draw(bars.encode(x=_time(rows, time), y=_quantity(alt.Y, figure, total), tooltip=tips), _HEIGHT)


def points(rows: pd.DataFrame, time: Column, figure: Column, parts: Column) -> None:
    """Show one point per row, for figures that cannot be added."""
    rows = _with_days(rows, time)
    chart = alt.Chart(rows)
    points = chart.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X(f"{time.name}:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True)),
        y=_quantity(alt.Y, figure),
        color=_colour(parts.name, sorted(set(rows[parts.name]))),
        tooltip=[alt.Tooltip(f"{time.name}:T", format="%Y-%m-%d"), f"{parts.name}:N", _tip(figure)],
    )
    _draw(points, _HEIGHT)


def ranking(rows: pd.DataFrame, name: Column, figure: Column, signed: bool = False) -> None:
    """Show one bar per row, in the order of the rows; with `signed`, positive values have the alert colour."""
    usual = alt.value(_COLOURS[0])
    colour = alt.condition(alt.datum[figure.name] > 0, alt.value(ALERT), usual) if signed else usual
    bars, tips = alt.Chart(rows).mark_bar(), [_tip(name), _tip(figure)]
    _draw(bars.encode(x=_quantity(alt.X, figure), y=_names(name), color=colour, tooltip=tips))


def span(rows: pd.DataFrame, name: Column, start: Column, end: Column) -> None:
    """Show one line per row, from the figure `start` (hollow point) to the figure `end` (full point)."""
    chart = alt.Chart(rows).encode(y=_names(name), tooltip=[_tip(name), _tip(start), _tip(end)])
    first = _quantity(alt.X, start, title=f"○ {heading(start)}   ● {heading(end)}")
    lines = chart.mark_rule(color=ALERT, strokeWidth=2).encode(x=first, x2=end.name)
    hollow = chart.mark_point(color=_GREY, size=70, strokeWidth=2, opacity=1).encode(x=first)
    full = chart.mark_point(color=ALERT, size=70, filled=True, opacity=1).encode(x=f"{end.name}:Q")
    _draw(alt.layer(lines, hollow, full))


def interval(rows: pd.DataFrame, name: Column, figure: Column, low: Column, high: Column) -> None:
    """Show one bar per row, and a line from low to high if both are known."""
    chart = alt.Chart(rows).encode(y=_names(name), tooltip=[f"{name.name}:N", *map(_tip, (figure, low, high))])
    length = _quantity(alt.X, figure, title=f"{heading(figure)}; the line is the interval")
    bars = chart.mark_bar(color=_COLOURS[0]).encode(x=length)
    lines = chart.mark_rule(color=_COLOURS[1], strokeWidth=5).encode(x=f"{low.name}:Q", x2=high.name)
    _draw(alt.layer(bars, lines))


def bridge(rows: pd.DataFrame, name: Column, figure: Column) -> None:
    """Show one bar per row, from its `foot` to its `top`, in the colour of its `kind`: steps up and down."""
    kinds = list(dict.fromkeys(rows["kind"]))
    chart = alt.Chart(rows).encode(x=alt.X(f"{name.name}:N", title=None, sort=None, axis=alt.Axis(labelAngle=0)))
    bars = chart.mark_bar().encode(
        y=_quantity(alt.Y, figure, "foot:Q"),
        y2="top",
        color=_colour("kind", kinds, [_KINDS[kind] for kind in kinds]),
        tooltip=[f"{name.name}:N", "kind:N", _tip(figure)],
    )
    written = alt.Text(f"{figure.name}:Q", format=",.0f")
    texts = chart.transform_calculate(above="max(datum.foot, datum.top)").mark_text(dy=-8, fontSize=12, color=_GREY)
    _draw(alt.layer(bars, texts.encode(y="above:Q", text=written)), _HEIGHT)


def _colour(name: str, domain: list[str], colours: list[str] | None = None) -> alt.Color:
    legend = alt.Legend(orient="top", columns=3, labelLimit=_NAMES, offset=8)
    return alt.Color(
        f"{name}:N", title=None, scale=alt.Scale(domain=domain, range=colours or list(_COLOURS)), legend=legend
    )


def _with_days(rows: pd.DataFrame, time: Column) -> pd.DataFrame:
    """The rows within the date range of the axis; a sentence on the page counts the other rows."""
    rows, others = with_days(rows, time.name)
    if others:
        say(f"{left_out(others).capitalize()}.", small=True)
    return rows


def _time(rows: pd.DataFrame, time: Column) -> alt.X:
    """A time axis: months side by side, or all days from first to last. Few days do not fill the whole width."""
    found = rows[time.name]
    if not time.is_date:
        scale = alt.Scale(paddingInner=0.5, paddingOuter=1)
        return alt.X(f"{time.name}:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True), scale=scale)
    first, last = found.min(), found.max() + pd.Timedelta(days=1)
    spare = max(pd.Timedelta(0), (pd.Timedelta(days=_FEWEST) - (last - first)) / 2)
    ends = [alt.DateTime(year=end.year, month=end.month, date=end.day) for end in (first - spare, last + spare)]
    axis = alt.Axis(format="%d %b", labelOverlap=True)
    return alt.X(f"yearmonthdate({time.name}):T", title=None, axis=axis, scale=alt.Scale(domain=ends))


def _names(name: Column) -> alt.Y:
    return alt.Y(f"{name.name}:N", title=None, sort=None, axis=alt.Axis(labelLimit=_NAMES, labelOverlap=False))


def _quantity(channel: type[_Channel], figure: Column, field: str | None = None, title: str | None = None) -> _Channel:
    """The axis of a figure. A figure in whole numbers has ticks only at whole numbers."""
    whole = figure.unit is not None and not figure.unit.decimals
    axis = alt.Axis(format=",.10~g", labelOverlap=True, tickCount=5, tickMinStep=1 if whole else alt.Undefined)
    return channel(field or f"{figure.name}:Q", title=title or heading(figure), axis=axis)


def _tip(column: Column, field: str | None = None) -> alt.Tooltip:
    if column.unit is None:
        return alt.Tooltip(f"{column.name}:N", title=heading(column))
    return alt.Tooltip(field or f"{column.name}:Q", title=heading(column), format=f",.{column.unit.decimals}f")


def _draw(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int | None = None) -> None:
    """Show a chart over the full width. Without `height`, the height depends on the number of bars."""
    st.altair_chart(chart.properties(height=height or alt.Step(_BAR)))
