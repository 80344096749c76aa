"""The page: sections and headline figures through one template, plots as SVG in the page's own ink."""

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
from cloud_analytics.insight.report import billing, customers, efficiency, outlook, spending, trust
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.measures import coverage, late_share, recent_cost, token_price
from cloud_analytics.insight.report.view import Tile, Value, change, number, percent, plural, ratio, total, usd

_SECTIONS = (
    spending.cost,
    spending.movers,
    spending.anomalies,
    outlook.outlook,
    customers.revenue,
    billing.billing,
    customers.support,
    efficiency.genai,
    efficiency.carbon,
    trust.quality,
    trust.late_data,
    trust.freshness,
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
        facts=facts, tiles=tiles(facts), sections=sections, period=_period(facts), version=__version__
    )


def tiles(facts: Facts) -> list[Tile]:
    """The headline figures."""
    moved = change(*recent_cost(facts.windows))
    tickets, breaches = total(facts.tickets["total_tickets"]), total(facts.tickets["sla_breach_count"])
    daily = facts.anomalies[facts.anomalies["is_daily_anomaly"].eq(True)]
    impact, share = total(daily["impact_usd"]), coverage(facts.carbon)
    months = list(facts.revenue["billing_month"])
    return [
        Tile(
            "cost of usage",
            usd(total(facts.usage["total_cost_usd"]), 0),
            "no 14 days to compare" if moved is None else f"last 7 days {percent(moved, signed=True)}",
        ),
        Tile(
            "net revenue",
            usd(total(facts.revenue["net_revenue_usd"]), 0),
            f"{months[0]} to {months[-1]}" if months else "no invoices",
        ),
        Tile(
            "anomalous days of a service",
            number(len(daily), alert=len(daily) > 0),
            "" if impact is None else f"{usd(impact, 0)} more than expected",
        ),
        Tile("cost per million GenAI tokens", usd(token_price(facts.genai), 0), "where tokens are told"),
        Tile(
            "SLA breaches",
            percent(ratio(breaches, tickets)),
            f"of {plural(tickets, 'ticket')}, {total(facts.tickets['open_tickets']):,} open"
            if tickets
            else "no tickets",
        ),
        Tile(
            "carbon",
            number(total(facts.carbon["total_carbon_kg"]), "kg CO₂e"),
            "" if share is None else f"{percent(share)} of the events report theirs",
        ),
        Tile(
            "late events", percent(late_share(facts)), f"by more than {trust.duration(facts.watermark)}; none is lost"
        ),
        _law(facts),
    ]


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


def _law(facts: Facts) -> Tile:
    if facts.audit is None:
        return Tile("lines accounted for", number(None), "the landing folder is not here")
    sources = facts.audit.sources.values()
    landed, rejected = sum(source.landing for source in sources), sum(sum(s.quarantine.values()) for s in sources)
    kept = sum(source.silver for source in sources) + rejected
    note = f"{landed:,} lines, {rejected:,} of them quarantined"
    return Tile("lines accounted for", percent(ratio(kept, landed), alert=not facts.audit.balanced), note)
