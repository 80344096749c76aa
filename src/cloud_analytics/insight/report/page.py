"""The page: its sections through one template, plots as SVG in the page's own ink."""

from __future__ import annotations

import re
import warnings
from io import StringIO
from typing import Any

import jinja2
import matplotlib as mpl
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from cloud_analytics import __version__
from cloud_analytics.insight.colours import INK
from cloud_analytics.insight.report import attention, efficiency, finance, spending, support, trust
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.numbers import Value

_SECTIONS = (
    attention.attention,
    spending.cost,
    spending.movers,
    spending.anomalies,
    finance.outlook,
    finance.billing,
    finance.revenue,
    support.support,
    efficiency.efficiency,
    trust.quality,
    trust.timeliness,
)
_WIDTH = 4.6  # inches: as wide as a phone, so that texts stay readable there
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def render(facts: Facts) -> str:
    """The whole page as HTML: no script, nothing loaded from anywhere; every text from the data is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cloud_analytics.insight.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"svg": svg, "code": code}
    environment.tests["value"] = lambda cell: isinstance(cell, Value)
    sections = [section(facts) for section in _SECTIONS]
    return environment.get_template("page.html.j2").render(
        facts=facts, sections=sections, period=_period(facts), version=__version__
    )


def svg(figure: Figure) -> Markup:
    """A figure as an `<svg>` element whose texts and axes take the colour of the page around them."""
    figure.set_size_inches(_WIDTH, figure.get_figheight() * 0.85)
    drawn = StringIO()
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": figure.get_suptitle()}  # ids that no other figure has
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the browser's fonts draw what matplotlib's lack
        figure.savefig(drawn, format="svg", transparent=True, metadata=_NO_METADATA)
    text = drawn.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r' (xmlns(:xlink)?="[^"]*"|id="[\w.]+_\d+")', "", text)  # not needed in HTML; these ids would repeat
    return Markup(text)  # matplotlib escapes texts


def code(text: str) -> Markup:
    """What stands between `backticks` as code, the rest as it is."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _period(facts: Facts) -> str:
    if facts.usage.empty:
        return "no usage yet"
    days = pd.to_datetime(facts.usage["usage_date"])
    return f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
