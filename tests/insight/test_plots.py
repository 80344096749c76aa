"""Plots: what is drawn, labelled axes, nothing that breaks on empty frames, on Decimal or None, on hostile texts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from cloud_analytics.insight import pictures, plots, style

FRAMES: dict[str, dict[str, list[Any]]] = {
    "lateness": {"lateness_hours": [0, 2, 800, None], "is_late": [False, False, True, False], "events": [5, 1, 7, 1]},
    "watermark_losses": {"input_rows": [10, 20, 30], "watermark_would_drop": [0, 5, 30]},
    "events_by_day": {
        "date": [date(2025, 7, 1), date(2025, 7, 1), date(2025, 7, 3)],
        "service": ["compute", "genai", "compute"],
        "events": [2, 3, 4],
    },
    "flow": {
        "zone": [*["landing", "bronze", "silver", "quarantine"] * 2, "gold", "serving"],
        "part": [*["events"] * 4, *["masters"] * 4, "all", "all"],
        "tables": [*[1] * 4, *[7] * 4, 22, 15],
        "rows": [43_200, 43_199, 42_977, 223, 4_112, 4_112, 4_110, 2, 123_456, 89_975],
    },
    "rejects": {
        "source": ["users", "usage_events", "usage_events"],
        "error_type": ["missing_key", "missing_key", "invalid_cost"],
        "records": [1, 2, 9],
    },
    "daily_cost": {
        "usage_date": [date(2025, 7, 2), date(2025, 7, 1), date(2025, 7, 1), date(2025, 7, 2)],
        "service": ["compute", "compute", "genai", "compute"],
        "total_cost_usd": [Decimal("3"), Decimal("1"), Decimal("2"), Decimal("0.5")],
        "is_anomaly": [True, False, None, None],
    },
    "cost_by_org": {"org_id": ["o1", "o2", "o1"], "total_cost_usd": [Decimal(1), Decimal(5), Decimal(3)]},
    "top_movers": {
        "org_id": ["o1", "o2", "o3"],
        "service": ["compute", "genai", "storage"],
        "cost_7d": [Decimal(10), Decimal(1), Decimal(5)],
        "cost_14d": [Decimal(12), Decimal(9), Decimal(10)],
    },
    "anomalies": {
        "org_id": ["o1", "o2", "o3"],
        "service": ["compute", "genai", "storage"],
        "usage_date": [date(2025, 7, 2)] * 3,
        "actual_cost_usd": [Decimal(30), Decimal(90), Decimal(7)],
        "expected_cost_usd": [Decimal(10), Decimal(20), None],
    },
    "revenue_bridge": {
        "billing_month": ["2025-06", "2025-07"],
        "gross_revenue_usd": [Decimal(100), Decimal(50)],
        "credits_applied_usd": [Decimal(10), Decimal(0)],
        "net_revenue_usd": [Decimal(90), Decimal(50)],
        "taxes_usd": [Decimal(9), Decimal(5)],
        "total_due_usd": [Decimal(99), Decimal(55)],
    },
    "tickets": {
        "ticket_date": [date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 9)],
        "severity": ["low", "critical", "low"],
        "total_tickets": [3, 1, 2],
        "sla_breach_count": [1, 0, 2],
    },
    "tokens_and_cost": {
        "usage_date": [date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 2)],
        "total_tokens": [None, Decimal(4), Decimal(6)],
        "total_cost_usd": [Decimal(1), Decimal(2), Decimal(3)],
    },
    "carbon": {
        "usage_date": [date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 2)],
        "total_carbon_kg": [None, Decimal("1.5"), Decimal("2")],
        "events": [4, 3, 1],
        "events_with_carbon": [0, 2, 1],
    },
}
NAMED_BARS = {"rejects", "cost_by_org", "top_movers", "anomalies"}  # the names stand on the y axis
ONE_COLOUR = {"cost_by_org", "revenue_bridge"}  # the titles and the names on the axis say all; nothing for a legend
MAPS = {"flow"}  # boxes and arrows: no axes
# The characters that the font of matplotlib lacks are the browser's business.
pytestmark = pytest.mark.filterwarnings("ignore:Glyph")
HOSTILE = "$\\frac{1$ <script>alert(1)</script>\n& 'x' \x00 漢字 " + "long" * 50


def draw(name: str, first: int | None = None, **other: Any) -> Any:
    plot: Callable[[pd.DataFrame], Figure] = getattr(plots, name)
    return plot(pd.DataFrame(FRAMES[name] | other).iloc[:first])


def names(name: str) -> list[str]:
    (axes,) = draw(name).axes
    return [text.get_text() for text in axes.get_yticklabels()]


def test_each_plot_has_a_frame_here() -> None:
    defined = {name for name, found in vars(plots).items() if getattr(found, "__module__", "") == plots.__name__}
    assert set(FRAMES) == {name for name in defined if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(FRAMES.keys() - MAPS))
def test_axes_are_labelled_and_pyplot_keeps_no_figure(name: str) -> None:
    figure = draw(name)
    assert figure.get_suptitle()
    assert figure.axes[-1].get_xlabel()
    assert all(axes.get_ylabel() for axes in figure.axes) or name in NAMED_BARS
    assert bool(figure.legends) != (name in ONE_COLOUR or name in {"tokens_and_cost", "carbon"})
    assert plt.get_fignums() == []


@pytest.mark.parametrize("name", FRAMES)
def test_nothing_to_show_is_said(name: str) -> None:
    figure = draw(name, first=0)
    figure.canvas.draw()
    assert "nothing to show" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", FRAMES)
def test_a_plot_does_not_change_what_it_is_given(name: str) -> None:
    frame = pd.DataFrame(FRAMES[name])
    getattr(plots, name)(frame)
    pd.testing.assert_frame_equal(frame, pd.DataFrame(FRAMES[name]))


def test_anomalous_days_are_marked() -> None:
    (axes,) = draw("daily_cost").axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert list(lines["compute"].get_ydata()) == [1.0, 3.5]
    assert list(lines["anomalous"].get_ydata()) == [3.5]
    assert lines["anomalous"].get_color() == pictures.ALERT


def test_bars_hold_every_record() -> None:
    totals = {name: sum(bar.get_width() for bar in draw(name).axes[0].patches) for name in ("rejects", "cost_by_org")}
    assert totals == {"rejects": 12, "cost_by_org": 9}
    heights = ("events_by_day", "lateness", "tickets", "tokens_and_cost", "carbon", "watermark_losses")
    totals = {name: sum(bar.get_height() for bar in draw(name).axes[0].patches) for name in heights}
    expected = {"events_by_day": 9, "lateness": 13, "tickets": 6, "tokens_and_cost": 10, "carbon": 3.5}
    assert totals == {**expected, "watermark_losses": 60}


def test_the_map_of_the_flow_shows_every_count_and_the_law() -> None:
    figure = draw("flow")
    figure.canvas.draw()
    shown = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert {f"{rows:,}" for rows in FRAMES["flow"]["rows"]} - {"223", "2"} <= set(shown)
    assert {"225", "223 events, 2 masters", "rows of\n22 tables", "rows of\n15 tables"} <= set(shown)
    assert "47,312 landed = 47,087 in silver + 225 in quarantine" in shown
    assert {"landing", "bronze", "silver", "gold", "serving", "quarantine"} <= set(shown)
    assert plt.get_fignums() == []


def test_the_map_of_the_flow_does_not_call_equal_what_is_not() -> None:
    rows = [*FRAMES["flow"]["rows"][:2], 42_976, *FRAMES["flow"]["rows"][3:]]
    shown = [text.get_text() for text in draw("flow", rows=rows).axes[0].texts]
    assert "47,312 landed ≠ 47,086 in silver + 225 in quarantine" in shown


def test_what_a_watermark_loses_stands_on_what_it_keeps() -> None:
    (axes,) = draw("watermark_losses").axes
    kept, lost = axes.containers
    assert [bar.get_height() for bar in kept] == [10, 15, 0]
    assert [(bar.get_y(), bar.get_height()) for bar in lost] == [(10, 0), (15, 5), (0, 30)]
    assert {bar.get_facecolor()[:3] for bar in lost} == {to_rgb(pictures.ALERT)}


def test_the_largest_stand_first_and_the_rest_is_left_out() -> None:
    assert names("cost_by_org") == ["o2", "o1"]
    assert names("rejects") == ["invalid_cost", "missing_key"]
    assert names("anomalies") == ["07-02 o2 · genai", "07-02 o1 · compute"]  # no expectation, no impact
    axes: Any
    (axes,) = plots.cost_by_org(pd.DataFrame(FRAMES["cost_by_org"]), top=1).axes
    assert [bar.get_width() for bar in axes.patches] == [5]


def test_movers_are_the_last_7_days_against_the_7_before() -> None:
    (axes,) = draw("top_movers").axes
    assert names("top_movers") == ["o1 · compute", "o3 · storage", "o2 · genai"]
    changes = {bar.get_y() + bar.get_height() / 2: bar.get_width() for bar in axes.patches}
    assert changes == pytest.approx({0: 10 - 2, 1: 5 - 5, 2: 1 - 8})


def test_an_anomaly_goes_from_expected_to_actual() -> None:
    (axes,) = draw("anomalies").axes
    ends = {str(line.get_label()): list(line.get_xdata()) for line in axes.lines}
    assert ends == {"expected": [20.0, 10.0], "actual": [90.0, 30.0]}


def test_the_bridge_goes_from_gross_to_due() -> None:
    (axes,) = draw("revenue_bridge").axes
    bars = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches]
    assert bars == [(0, 150), (140, 150), (0, 140), (140, 154), (0, 154)]
    assert axes.get_xlabel() == "billing month 2025-06 to 2025-07"
    assert [text.get_text() for text in axes.texts] == ["150", "−10", "140", "+14", "154"]


def test_shares_are_those_of_the_sums() -> None:
    assert list(draw("tickets").axes[1].lines[0].get_ydata()) == [0.25, 1.0]
    assert list(draw("carbon").axes[1].lines[0].get_ydata()) == [0.0, 0.75]


def test_tickets_of_the_far_past_or_future_are_counted_and_not_drawn() -> None:
    days = [date(1, 1, 1), date(2025, 7, 2), date(9999, 12, 31)]
    figure = draw("tickets", ticket_date=days)
    figure.canvas.draw()
    assert [bar.get_height() for bar in figure.axes[0].patches] == [1]
    assert figure.axes[1].get_xlabel() == "week of creation; not shown: rows dated before 2000 or in the future (2)"


def test_names_of_organisations_are_shown_where_they_are_known() -> None:
    (axes,) = draw("cost_by_org", org_name=["Acme", None, "Acme"]).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["o2", "Acme"]


@pytest.mark.parametrize("name", ["cost_by_org", "top_movers", "anomalies"])
def test_hostile_names_are_drawn_as_text(name: str) -> None:
    figure = draw(name, org_name=[HOSTILE] * 3, service=["$x$", "<b>", "a\nb"])
    figure.savefig(drawn := StringIO(), format="svg")
    text = figure.axes[0].get_yticklabels()[0].get_text()
    assert r"\$\frac{1\$" in text  # matplotlib draws an escaped dollar as a dollar
    assert len(text.splitlines()) == 1
    assert "<script>" not in drawn.getvalue()


def test_hostile_groups_are_drawn_as_text() -> None:
    names: dict[str, dict[str, Any]] = {"daily_cost": {"service": [HOSTILE] * 4}, "rejects": {"source": [HOSTILE] * 3}}
    other: dict[str, Any]
    for name, other in (names | {"tickets": {"severity": [HOSTILE] * 3}}).items():
        figure = draw(name, **other)
        figure.canvas.draw()
        assert r"\$\frac{1\$" in figure.legends[0].get_texts()[0].get_text()


@pytest.mark.parametrize("name", ["daily_cost", "tokens_and_cost", "carbon", "tickets", "events_by_day"])
def test_a_single_day_has_no_hours(name: str) -> None:
    figure = draw(name, first=1)
    first, last = figure.axes[-1].get_xlim()
    assert last - first == pytest.approx(7)


def test_a_long_or_private_looking_name_is_shown_in_a_legend() -> None:
    assert style.label("_hidden  \n name") == "hidden name"
    assert len(style.label("x" * 100)) == 34


def test_the_colours_are_told_apart_with_any_colour_vision() -> None:
    okabe_ito = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999"}
    assert {*pictures.PALETTE, pictures.ALERT} - {pictures.INK} == okabe_ito


def test_the_pipeline_and_the_command_line_do_without_matplotlib() -> None:
    code = "import sys, cloud_analytics.cli, cloud_analytics.pipeline; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
