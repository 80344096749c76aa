"""The plots: each takes a small pandas DataFrame with the column names of a mart and returns a matplotlib Figure.

A plot sums the rows of one bar or point, so a mart may be passed whole or aggregated. Amounts may be Decimal, float or
None. pyplot does not keep the figure: a notebook shows it as the last value of a cell, a script saves it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cloud_analytics.insight.pictures import ALERT, INK, PALETTE, left_out, with_days
from cloud_analytics.insight.style import dates, finish, label, names, panels, shortened, stack

_ZONES = ("landing", "bronze", "silver", "gold", "serving")
_GREY = PALETTE[5]
_LATENESS = {
    "≤ 1 hour": 1,
    "1–6 hours": 6,
    "6–24 hours": 24,
    "1–7 days": 7 * 24,
    "7–30 days": 30 * 24,
    "> 30 days": float("inf"),
}
_DAY = "usage date (UTC)"
SEVERITIES = ("low", "medium", "high", "critical")
"""The words of the data contract; a landing file may hold others."""
_NAME_LENGTH = 18


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
            colour = ALERT if "quarantine" in step else _GREY  # below bronze and silver, which reject records
            events, masters = rows["quarantine", "events"], rows["quarantine", "masters"]
            _box(axes, (0.5, -1, 1.8, 0.75), colour, f"{events + masters:,}", f"{events:,} events, {masters:,} masters")
            axes.text(2.4, -0.62, "quarantine", weight="bold", va="center")
            for place in (0.92, 1.92):
                _arrow(axes, (place, 1.325), (place, -0.25))
            sums = frame.groupby("zone")["rows"].sum()
            sign = "=" if sums["landing"] == sums["silver"] + sums["quarantine"] else "≠"
            kept, rejected = f"{sums['silver']:,} in silver", f"{sums['quarantine']:,} in quarantine"
            axes.text(0, -1.4, f"{sums['landing']:,} landed {sign} {kept} + {rejected}")
        return finish(figure, frame)


def _box(axes: Axes, place: tuple[float, float, float, float], colour: str, count: str, below: str) -> None:
    """Draw a box at (left, foot, width, height) with a count in bold and words below the count."""
    left, foot, width, height = place
    corners = "round,pad=0,rounding_size=0.08"
    axes.add_patch(
        FancyBboxPatch((left, foot), width, height, corners, edgecolor=colour, facecolor=to_rgba(colour, 0.12))
    )
    centre, middle = left + width / 2, foot + height / 2
    size = 10 * min(1, 8 / len(count))  # so that millions fit into the box, also on a phone
    axes.text(centre, middle, count, ha="center", va="bottom", weight="bold", size=size)
    axes.text(centre, middle - 0.05, below, ha="center", va="top", size="small")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0})


def lateness(frame: pd.DataFrame) -> Figure:
    """How late events arrive: `lateness_hours` (rounded up), `is_late`, `events`."""
    with panels("How late events arrive", "lateness against the newest event seen", "events") as (figure, (axes,)):
        edges = [float("-inf"), *_LATENESS.values()]
        classes = pd.cut(frame["lateness_hours"].astype(float), edges, labels=list(_LATENESS))
        counts = frame["events"].groupby([classes, frame["is_late"].astype(bool)], observed=False).sum()
        table = counts.unstack(fill_value=0).reindex(columns=[False, True], fill_value=0)
        table = table.set_axis(table.index.astype(str)).set_axis(["in time", "late, processed as well"], axis=1)
        stack(axes, table, 0.8, (PALETTE[0], ALERT))
        return finish(figure, frame)


def watermark_losses(frame: pd.DataFrame) -> Figure:
    """What a plain watermark would lose of each micro-batch, in order: `input_rows`, `watermark_would_drop`.

    Takes the frame of `lateness.micro_batches`. In the first micro-batch no event can be late.
    """
    title = "What a plain watermark would lose"
    with panels(title, "micro-batch, in the order of ingest", "events") as (figure, (axes,)):
        lost = frame["watermark_would_drop"].astype(float)
        kept = frame["input_rows"].astype(float) - lost
        table = pd.DataFrame({"kept by it": kept, "lost by it, processed here": lost})
        stack(axes, table.set_axis(range(1, len(frame) + 1)), 0.8, (PALETTE[0], ALERT))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return finish(figure, frame)


def events_by_day(frame: pd.DataFrame) -> Figure:
    """Events per day, stacked by service: `date`, `service`, `events`."""
    with panels("Events in Silver", "event date (UTC)", "events a day") as (figure, (axes,)):
        table = frame.pivot_table(index="date", columns="service", values="events", aggfunc="sum", fill_value=0)
        stack(axes, table.set_axis(pd.to_datetime(table.index)))
        dates(axes)
        return finish(figure, frame)


def rejects(frame: pd.DataFrame) -> Figure:
    """Quarantined records per rule, stacked by source: `source`, `error_type`, `records`."""
    with panels("Quarantined records", "records", "") as (figure, (axes,)):
        table = frame.pivot_table(index="error_type", columns="source", values="records", aggfunc="sum", fill_value=0)
        table = table.loc[table.sum(axis=1).sort_values(ascending=False).index]
        left = pd.Series(0.0, index=table.index)
        for source in table.columns:
            axes.barh(range(len(table)), table[source], left=left, label=label(source))
            left += table[source]
        names(axes, list(table.index))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        return finish(figure, frame)


def daily_cost(frame: pd.DataFrame) -> Figure:
    """Cost per day and service: `usage_date`, `service`, `total_cost_usd`; days with `is_anomaly` are marked."""
    with panels("Daily cost by service", _DAY, "cost (USD a day)") as (figure, (axes,)):
        flagged = frame.assign(is_anomaly=frame["is_anomaly"].eq(True))
        days = _days(flagged, ["total_cost_usd", "is_anomaly"], ["service"])
        for service, rows in days.groupby("service"):
            axes.plot(rows["usage_date"], rows["total_cost_usd"], marker=".", linewidth=1.4, label=label(service))
        marked = days[days["is_anomaly"] > 0]
        if len(marked):
            place = marked["usage_date"], marked["total_cost_usd"]
            axes.plot(*place, "o", color=ALERT, fillstyle="none", markeredgewidth=1.6, zorder=3, label="anomalous")
        axes.set_ylim(bottom=0)
        dates(axes)
        return finish(figure, frame)


def cost_by_org(frame: pd.DataFrame, top: int = 10) -> Figure:
    """The `top` organisations by cost: `org_id` (shown as `org_name` if the frame has it), `total_cost_usd`."""
    with panels("Cost by organisation", "cost (USD)", "") as (figure, (axes,)):
        sums = _named(frame).assign(total_cost_usd=frame["total_cost_usd"].astype(float))
        table = sums.groupby(["org_id", "name"])["total_cost_usd"].sum().sort_values(ascending=False).head(top)
        axes.barh(range(len(table)), table)
        names(axes, list(table.index.get_level_values("name")))
        return finish(figure, frame)


def top_movers(frame: pd.DataFrame, top: int = 10) -> Figure:
    """The `top` changes of cost: `org_id` (`org_name`), `service`, `cost_7d`, `cost_14d` of one summary_date.

    The change is the cost of the last 7 days minus that of the 7 days before: cost_7d − (cost_14d − cost_7d).
    """
    title = "Top movers: 7 days against the 7 before"
    with panels(title, "change of cost (USD)", "") as (figure, (axes,)):
        change = 2 * frame["cost_7d"].astype(float) - frame["cost_14d"].astype(float)
        rows = _named(frame).assign(change=change)
        rows = rows.reindex(rows["change"].abs().sort_values(ascending=False).index).head(top)
        rows = rows.sort_values("change", ascending=False)
        for word, chosen, colour in (("up", rows["change"] >= 0, ALERT), ("down", rows["change"] < 0, PALETTE[0])):
            place = [number for number, take in enumerate(chosen) if take]
            axes.barh(place, rows["change"][chosen], color=colour, label=word)
        axes.axvline(0, color=INK, linewidth=0.8)
        names(axes, [f"{name} · {service}" for name, service in zip(rows["name"], rows["service"])])
        return finish(figure, frame)


def anomalies(frame: pd.DataFrame, top: int = 12) -> Figure:
    """The `top` anomalies by impact: `org_id` (`org_name`), `service`, `usage_date`, `actual_`/`expected_cost_usd`."""
    with panels("Anomalous days: expected and actual cost", "cost (USD)", "") as (figure, (axes,)):
        rows = _named(frame).assign(
            actual=frame["actual_cost_usd"].astype(float), expected=frame["expected_cost_usd"].astype(float)
        )
        rows = rows.dropna(subset=["expected"]).assign(impact=rows["actual"] - rows["expected"])
        rows = rows.sort_values("impact", ascending=False).head(top)
        at = range(len(rows))
        axes.hlines(at, rows["expected"], rows["actual"], color=ALERT, linewidth=1.5)
        axes.plot(rows["expected"], at, "o", color=PALETTE[0], fillstyle="none", markeredgewidth=1.8, label="expected")
        axes.plot(rows["actual"], at, "o", color=ALERT, label="actual")
        days = pd.to_datetime(rows["usage_date"]).dt.strftime("%m-%d")
        names(axes, [f"{day} {name} · {service}" for name, service, day in zip(rows["name"], rows["service"], days)])
        axes.set_xlim(left=min(0.0, *axes.get_xlim()))
        return finish(figure, frame)


def revenue_bridge(frame: pd.DataFrame) -> Figure:
    """A bridge of sums over all rows: gross revenue − credits = net, + taxes = total due (USD columns of the mart)."""
    with panels("Revenue bridge", "", "USD") as (figure, (axes,)):
        columns = ["gross_revenue_usd", "credits_applied_usd", "net_revenue_usd", "taxes_usd", "total_due_usd"]
        gross, credits, net, taxes, due = (float(frame[name].astype(float).sum()) for name in columns)
        steps = [  # name, foot of the bar, height of the bar, text on the bar
            ("gross", 0.0, gross, f"{gross:,.0f}"),
            ("credits", net, credits, f"−{credits:,.0f}"),
            ("net", 0.0, net, f"{net:,.0f}"),
            ("taxes", net, taxes, f"+{taxes:,.0f}"),
            ("total due", 0.0, due, f"{due:,.0f}"),
        ]
        colours = [PALETTE[0], ALERT, PALETTE[0], PALETTE[1], PALETTE[5]]
        texts, feet, heights, written = (list(column) for column in zip(*steps))
        bars = axes.bar(texts, heights, bottom=feet, color=colours, width=0.7)
        if not frame.empty:
            axes.bar_label(bars, written, padding=2)
        axes.margins(y=0.1)
        months = sorted(frame["billing_month"].astype(str).unique()) or [""]
        axes.set_xlabel("billing month " + (months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"))
        return finish(figure, frame)


def tickets(frame: pd.DataFrame) -> Figure:
    """Tickets per week by severity, and the share of tickets that broke their SLA. Weeks begin on Mondays.

    Columns: `ticket_date`, `severity`, `total_tickets`, `sla_breach_count`.
    """
    title = "Support tickets and SLA breaches"
    frame, others = with_days(frame, "ticket_date")
    x = "; ".join(filter(None, ["week of creation", left_out(others)]))
    with panels(title, x, "tickets a week", "SLA breached") as (figure, (upper, lower)):
        days = frame["ticket_date"]
        weeks = days - pd.to_timedelta(days.dt.weekday, unit="D")
        table = frame.assign(week=weeks).pivot_table(
            index="week", columns="severity", values="total_tickets", aggfunc="sum", fill_value=0
        )
        known = [word for word in SEVERITIES if word in table.columns]
        stack(upper, table[[*known, *sorted(set(table.columns) - set(known))]], width=5.5)
        sums = frame[["total_tickets", "sla_breach_count"]].astype(float).groupby(weeks).sum()
        lower.plot(sums.index, sums["sla_breach_count"] / sums["total_tickets"], color=ALERT, marker=".")
        _shares(lower)
        return finish(figure, frame)


def tokens_and_cost(frame: pd.DataFrame) -> Figure:
    """GenAI tokens per day, above the cost per day: `usage_date`, `total_tokens`, `total_cost_usd`.

    Days without token counts (schema version 1 has none) have a cost and no bar.
    """
    with panels("GenAI: tokens and cost", _DAY, "tokens a day", "cost (USD a day)") as (figure, (upper, lower)):
        days = _days(frame, ["total_tokens", "total_cost_usd"])
        upper.bar(days["usage_date"], days["total_tokens"].fillna(0), width=0.9)
        lower.plot(days["usage_date"], days["total_cost_usd"], color=PALETTE[1], marker=".")
        lower.set_ylim(bottom=0)
        dates(lower)
        return finish(figure, frame)


def carbon(frame: pd.DataFrame) -> Figure:
    """Carbon per day and the share of events that report it. A day without coverage has no carbon figure.

    Columns of carbon_impact: `usage_date`, `total_carbon_kg`, `events`, `events_with_carbon`.
    """
    with panels("Carbon and its coverage", _DAY, "kg CO₂e a day", "coverage") as (figure, (upper, lower)):
        days = _days(frame, ["total_carbon_kg", "events", "events_with_carbon"])
        upper.bar(days["usage_date"], days["total_carbon_kg"].fillna(0), width=0.9, color=PALETTE[2])
        lower.plot(days["usage_date"], days["events_with_carbon"] / days["events"], color=PALETTE[5], marker=".")
        _shares(lower, top=1.05)
        return finish(figure, frame)


def _days(frame: pd.DataFrame, sums: list[str], by: Sequence[str] = ()) -> pd.DataFrame:
    """One row per day (and `by`) with these sums. A sum is null if all its values are null."""
    ready = frame.assign(
        usage_date=pd.to_datetime(frame["usage_date"]), **{name: frame[name].astype(float) for name in sums}
    )
    return ready.groupby(["usage_date", *by], observed=True, as_index=False)[sums].sum(min_count=1)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Add a `name` that is short enough for a bar: the organisation's name if it is known, else its id."""
    known = frame["org_name"] if "org_name" in frame else pd.Series(None, index=frame.index, dtype=object)
    whole = known.astype(object).where(known.notna(), frame["org_id"].astype(str))
    return frame.assign(name=[shortened(name, _NAME_LENGTH) for name in whole])


def _shares(axes: Axes, top: float | None = None) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(0, top)
    dates(axes)
