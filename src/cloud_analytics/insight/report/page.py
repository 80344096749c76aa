"""Render all sections with one template. Plots are SVG elements in the text colour of the page."""

from __future__ import annotations

import re

import jinja2
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from cloud_analytics import __version__
from cloud_analytics.insight.numbers import Value
from cloud_analytics.insight.report import attention, finance, spending, support, trust
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.style import own_settings, svg
from cloud_analytics.untrusted import on_a_page

_SECTIONS = (
    attention.attention,
    spending.cost,
    spending.movers,
    spending.anomalies,
    finance.outlook,
    finance.billing,
    finance.revenue,
    support.support,
    spending.efficiency,
    trust.quality,
    trust.timeliness,
)
_WIDTH, _HEIGHT = 4.6, 0.85  # width in inches, that of a phone, so that texts stay readable; factor for the height


def render(facts: Facts) -> str:
    """The whole page as HTML, without scripts and without external resources. Every text from the data is escaped.

    Escaping covers markup, and characters that hide text or reverse its order. Settings of the machine change no plot.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cloud_analytics.insight.report", ""),
        autoescape=True,
        # Values that are HTML already, such as a plot, are not escaped.
        finalize=lambda value: value if hasattr(value, "__html__") else on_a_page(str(value)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"narrow": narrow, "code": code}
    environment.tests["value"] = lambda cell: isinstance(cell, Value)
    days = pd.to_datetime(facts.usage["usage_date"])
    period = "no usage yet" if days.empty else f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
    with own_settings():
        sections = [section(facts) for section in _SECTIONS]
        return environment.get_template("page.html.j2").render(
            facts=facts, sections=sections, period=period, version=__version__
        )


def narrow(figure: Figure) -> Markup:
    """Convert a figure to an `<svg>` element that fits a phone."""
    figure.set_size_inches(_WIDTH, figure.get_figheight() * _HEIGHT)
    return svg(figure)


def code(text: str) -> Markup:
    """Convert a text to HTML, with `backticks` as code elements."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(on_a_page(text)))))
