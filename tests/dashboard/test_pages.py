"""Each page shows what the tables hold, in sentences and with units; names from the data are text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from streamlit.testing.v1 import AppTest

from cloud_analytics.config import Config
from cloud_analytics.dashboard.app import PAGES
from cloud_analytics.dashboard.source import Source
from cloud_analytics.reading.checks import Check, Verdict
from cloud_analytics.serving.tables import tables
from tests.dashboard.browser import BROWSER, dashboard, opened
from tests.dashboard.conftest import NAMES, TURNED, Served
from tests.integration import hostile as hostile_input
from tests.serving.conftest import writing_session
from tests.test_follow import drop, following, wait_for

pytestmark = [pytest.mark.spark, pytest.mark.cassandra]

DAY = date(2025, 5, 31)
of_an_org = [name for name in PAGES if name not in ("Provider", "Operations")]


def _script(name: str) -> None:
    from cloud_analytics.dashboard import app

    app.show(name)


def page(name: str, org: str | None = None) -> AppTest:
    """A page as it is shown first, about this organisation; it fails where a page does."""
    shown = AppTest.from_function(_script, kwargs={"name": name}, default_timeout=60)
    if org is not None:
        shown.query_params["org"] = org
    shown.run()
    assert not shown.exception
    return shown


def sentences(shown: AppTest) -> list[str]:
    """What is said as plain text."""
    return [html.unescape(re.sub(r"</?p[^>]*>", "", found.proto.body)) for found in shown.get("html")]


def asked(shown: AppTest) -> list[str]:
    return [found.value for found in shown.subheader]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_a_question_with_figures_and_tables(name: str, source: Source) -> None:
    shown = page(name)
    assert [title.value[-1] for title in shown.title] == ["?"]
    assert all(text.endswith("?") for text in asked(shown))
    assert shown.dataframe
    assert "every 5 seconds again" in shown.caption[-1].value


def test_the_provider_page_holds_the_figures_of_gold(source: Source) -> None:
    shown = page("Provider")
    month = shown.selectbox[0].value
    query = "SELECT sum(total_cost_usd) AS cost, sum(is_anomaly::INT)::INT AS days FROM gold.org_daily_usage_by_service"
    gold = source.lake().row(f"{query} WHERE strftime(usage_date, '%Y-%m') = ?", [month])
    ranks = source.ask("top-organisations").rows
    told = {metric.label: metric.value for metric in shown.metric}
    assert shown.selectbox[0].options == ["2025-06", "2025-05"]
    assert told[f"Cost of {month} (USD)"] == f"{gold['cost']:,.0f}"
    assert told[f"Anomalous days of {month}"] == f"{gold['days'] or 0:,}"
    assert told["Organisations"] == f"{len(ranks):,}"
    assert shown.dataframe[0].value["total_cost_usd"].sum() == pytest.approx(float(gold["cost"]))
    assert list(shown.dataframe[1].value["org_id"]) == [row["org_id"] for row in ranks]


def test_one_organisation_is_asked_everything_by_those_who_ask(source: Source) -> None:
    shown, found = page("Organisation", "org_b"), []
    for who in shown.button_group[0].options:
        shown.button_group[0].set_value(who).run()
        assert not shown.exception
        found += asked(shown)
    questions = [table.asks.partition(": ")[2] for table in tables().values() if table.chosen_by == ("org_id",)]
    assert sorted(found, key=str.casefold) == sorted((q[0].upper() + q[1:] for q in questions), key=str.casefold)


def test_an_organisation_is_picked_or_typed_and_pages_keep_the_choice(source: Source) -> None:
    shown = page("Support")
    known = [row["org_id"] for row in source.ask("top-organisations").rows]
    assert shown.selectbox[0].options == known
    shown.selectbox[0].set_value("org_b").run()
    assert (shown.selectbox[0].value, shown.query_params["org"]) == ("org_b", "org_b")
    typed = page("Support", "org_nobody")
    assert typed.selectbox[0].options == [*known, "org_nobody"]
    assert any("no organisation 'org_nobody'; nearest: org_" in text for text in sentences(typed))


@pytest.fixture
def hostile(source: Source) -> Iterator[str]:
    """An organisation whose names all look like markup; its rows lie in the tables beside those of Gold."""
    yield from organisation_of(source, NAMES)


@pytest.fixture
def turned(source: Source) -> Iterator[str]:
    """The same with names that turn the order of letters round."""
    yield from organisation_of(source, [TURNED] * len(NAMES))


def organisation_of(source: Source, names: Sequence[str]) -> Iterator[str]:
    org = names[0]
    rows: dict[str, dict[str, Any]] = {
        "finops_daily_usage": {"usage_date": DAY, "service": names[1], "total_cost_usd": Decimal(7)},
        "cost_anomalies": {
            "usage_date": DAY,
            "service": names[2],
            "actual_cost_usd": Decimal(9),
            "expected_cost_usd": Decimal(1),
            "impact_usd": Decimal(8),
            "is_daily_anomaly": True,
            "anomalous_events": 0,
            "top_resource_id": names[5],
            "top_resource_cost_usd": Decimal(9),
        },
        "cost_shifts": {
            "usage_date": DAY,
            "service": names[3],
            "is_level_shift": True,
            "previous_cost_usd": Decimal(1),
            "recent_cost_usd": Decimal(5),
        },
        "tag_cost_daily": {"tag_key": names[4], "usage_date": DAY, "tag_value": names[6], "cost_usd": Decimal(7)},
        "billing_reconciliation": {
            "month": "2025-05",
            "usage_cost_usd": Decimal(7),
            "invoiced_usd": Decimal(5),
            "difference_usd": Decimal(-2),
            "currency_original": names[3],
            "status": names[4],
        },
        "support_backlog_daily": {"backlog_date": DAY, "severity": names[1], "open_tickets": 1},
        "support_tickets_summary": {
            "ticket_date": DAY,
            "severity": names[6],
            "total_tickets": 1,
            "sla_breach_count": 1,
            "avg_csat": Decimal(4),
        },
        "customer_signals": {"plan_tier": names[2], "contradictions": [names[1]], "open_tickets": 1},
    }
    for table, row in rows.items():
        full = {"org_id": org, **row}
        marks = ", ".join(["%s"] * len(full))
        source.session.execute(f"INSERT INTO {table} ({', '.join(full)}) VALUES ({marks})", list(full.values()))
    yield org
    for table in rows:
        partition = " AND ".join(f"{name} = %s" for name in tables()[table].partition_key)
        source.session.execute(f"DELETE FROM {table} WHERE {partition}", [org, names[4]][: partition.count("%s")])


def marked_up(shown: AppTest) -> str:
    """All that a browser would read as Markdown or HTML."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success")
    texts = [found.value for kind in kinds for found in getattr(shown, kind)]
    texts += [text for metric in shown.metric for text in (metric.label, metric.value, metric.delta)]
    texts += [widget.label for kind in ("selectbox", "button_group") for widget in getattr(shown, kind)]
    return "\n".join([*texts, *(found.proto.body for found in shown.get("html"))])


@pytest.mark.parametrize("name", of_an_org)
def test_names_from_the_data_are_text(name: str, source: Source, hostile: str) -> None:
    shown = page(name, hostile)
    assert shown.selectbox[0].value == hostile
    assert shown.dataframe
    found = marked_up(shown)
    assert [text for text in NAMES if text in found] == []


def sent(node: Any) -> bytes:
    """All that a browser gets of an element and those within it."""
    found = getattr(node, "proto", None)
    within = b"".join(map(sent, getattr(node, "children", {}).values()))
    return within + (bytes(found.SerializeToString()) if found is not None else b"")


@pytest.mark.parametrize("name", of_an_org)
def test_what_turns_letters_round_is_shown_as_on_a_terminal(name: str, source: Source, turned: str) -> None:
    shown = page(name, turned)
    assert shown.selectbox[0].value == turned
    pages = [sent(shown.main)]
    for who in shown.button_group[0].options if name == "Organisation" else ():
        shown.button_group[0].set_value(who).run()
        pages.append(sent(shown.main))
    assert not shown.exception
    for found in pages:
        assert rb"a\u001b[31m\u202egnp\u2066b" in found.replace(rb"\\u", rb"\u")  # as JSON in a chart's description
        assert not [mark for mark in ("\u202e", "\u2066", "\x1b[") if mark.encode() in found]


@pytest.mark.parametrize("name", ["Support", "Organisation"])
def test_days_that_an_axis_has_no_room_for_are_told(name: str, source: Source) -> None:
    columns = "org_id, ticket_date, severity, total_tickets, sla_breach_count, avg_csat"
    insert = source.session.prepare(f"INSERT INTO support_tickets_summary ({columns}) VALUES (?, ?, ?, ?, ?, ?)")
    for day in (DAY, date.min, date.max):
        source.session.execute(insert, ["org_wild", day, "low", 1, 1, Decimal(4)])
    shown = page(name, "org_wild")
    if name == "Organisation":
        shown.button_group[0].set_value("Support").run()
    source.session.execute("DELETE FROM support_tickets_summary WHERE org_id = 'org_wild'")
    assert not shown.exception
    assert "Not shown: rows dated before 2000 or in the future (2)." in sentences(shown)


def test_an_error_shows_a_name_as_text(source: Source) -> None:
    shown = page("Billing", NAMES[5])
    assert NAMES[5] not in marked_up(shown)
    assert any(NAMES[5] in text for text in sentences(shown))


def test_what_the_data_do_not_carry_is_marked(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    signal = Check(
        "F3", "Invoices follow usage", Verdict.NOT_INFORMATIVE, "r = 0", {}, "single differences say nothing"
    )
    monkeypatch.setattr(source, "signals", lambda: [signal])
    warning = f"⚠ {signal.warning}"
    assert warning in sentences(page("Billing", "org_a"))
    assert warning not in sentences(page("Support", "org_a"))


@pytest.mark.parametrize("name", PAGES)
def test_a_lake_that_was_never_served_says_what_to_do(name: str, config: Config, tmp_path: Path) -> None:
    with Source(config, str(tmp_path), "embedded") as nothing:
        Source.current = nothing
        shown = page(name)
    assert any("`cloud-analytics run`" in text for text in sentences(shown))
    assert not shown.metric or name == "Operations"


@pytest.mark.parametrize("name", [name for name in PAGES if name != "Operations"])
def test_empty_tables_say_what_to_do(
    name: str, served: Served, source: Source, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served.pipeline.target is not None
    empty = served.pipeline.target.__class__(
        served.pipeline.target.access, "empty", {"class": "SimpleStrategy", "replication_factor": "1"}
    )
    with writing_session(empty) as session, Source(config, str(served.lake)) as nothing:
        monkeypatch.setattr(nothing, "_session", session)
        Source.current = nothing
        shown = page(name)
    assert any("nothing was served yet: run `cloud-analytics run`" in text for text in sentences(shown))


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium")
def test_a_file_that_lands_changes_a_number_in_a_browser_and_names_stay_text(served: Served) -> None:
    """The last one: it adds to the lake."""
    urls: list[str] = []
    cost = "[data-testid=stMetricValue]"

    def amount() -> float:
        return float(shown.locator(cost).first.inner_text().replace(",", ""))

    with dashboard(served.lake) as link, opened() as shown:
        address = link.partition("?")[0]
        shown.on("request", lambda request: urls.append(request.url))
        shown.goto(link)
        shown.wait_for_selector(cost)
        before = amount()
        with following(served.pipeline):
            lines = [
                hostile_input.event(f"named_{n}", org_id=name, resource_id=name, cost_usd_increment=1000)
                for n, name in enumerate(NAMES)
            ]
            drop(served.landing, "named.jsonl", *lines)
            wait_for(lambda: amount() == before + 1000 * len(NAMES), "the number")  # nobody reloads the page
        shown.get_by_role("link", name="Support", exact=True).click()
        shown.get_by_role("heading", name="Are customers helped").wait_for()
        shown.reload()  # with the token, which the address keeps
        shown.get_by_role("heading", name="Are customers helped").wait_for()
        shown.goto(f"{link.replace('/?', '/organisation?')}&org={quote(NAMES[5])}")
        shown.wait_for_selector("canvas")
        choice = shown.get_by_role("combobox").first
        assert choice.input_value() == NAMES[5]
        choice.click()
        assert set(NAMES) <= set(shown.get_by_role("option").all_inner_texts())
        assert shown.locator("img[src=x], [data-testid=stMain] a[href*='//b'], .katex").count() == 0
    assert [url for url in urls if not url.startswith((address, "data:", "blob:"))] == []
