"""The page of the report: nothing from outside, every section, hostile texts as text, what is missing is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

from cloud_analytics.config import MASTERS
from cloud_analytics.insight.numbers import UNKNOWN, Value, change, number, percent, plural, ratio, total, usd
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.page import code, render
from cloud_analytics.insight.report.view import Table
from cloud_analytics.reading.audit import Audit, SourceAudit
from cloud_analytics.reading.checks import Check, Verdict
from cloud_analytics.reading.profile import ColumnProfile, SourceProfile
from cloud_analytics.untrusted import printable
from tests.insight.handmade import facts, nothing
from tests.insight.pages import Page

SECTIONS = [
    *("attention", "cost", "movers", "anomalies", "outlook", "billing", "revenue", "support"),
    *("efficiency", "quality", "timeliness"),
]
HOSTILE = "</svg></style><script>alert(1)</script> $\\frac{1$ &lt; \"' onload='x' <img src=x onerror=alert(1)> `a<b>`"
UNSEEN = "a\x1b[31m\u202egnp.exe \u2066b\u200f"  # colours a terminal, turns the order of letters round


@pytest.fixture(scope="module")
def html() -> str:
    return render(facts())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page.read(html)


def table(page: Page, caption: str) -> list[list[tuple[str, str]]]:
    (found,) = (rows for name, rows in page.tables.items() if caption in name)
    return found


class TestThePage:
    def test_it_loads_and_runs_nothing(self, html: str, page: Page) -> None:
        assert "://" not in html
        assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {
            t for t, _ in page.elements
        }
        assert "@import" not in html
        assert set(re.findall(r"url\((.)", html)) <= {"#"}
        for _, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("href", "xlink:href", "src"):
                assert attributes.get(name, "#").startswith("#")
        policy = {a["http-equiv"]: a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a}
        assert policy["Content-Security-Policy"].startswith("default-src 'none'")

    def test_every_reference_has_one_target(self, html: str, page: Page) -> None:
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'(?:href="|url\()#([\w-]+)', html)) <= set(ids)

    def test_it_has_every_section_each_with_a_sentence(self, page: Page) -> None:
        assert list(page.sections) == SECTIONS
        leads = [attributes for tag, attributes in page.elements if attributes.get("class") == "lead"]
        assert len(leads) == len(page.sections)

    def test_it_tells_its_data_the_lake_and_when_it_was_made(self, page: Page) -> None:
        for text in ("2025-08-10 to 2025-08-30", "/data/lake", "2025-09-02 12:00 UTC"):
            assert text in page.text

    def test_it_is_for_light_and_dark_phones_and_printers(self, html: str) -> None:
        for text in ("prefers-color-scheme: dark", "@media print", "width=device-width", "max-width: 48rem"):
            assert text in html
        plots = html.split("<svg")[1:]
        assert len(plots) == 11
        assert all("currentColor" in plot and "#1b1f24" not in plot.split("</svg>")[0] for plot in plots)

    def test_the_same_facts_give_the_same_page(self, html: str) -> None:
        assert render(facts()) == html


class TestFigures:
    def test_headline(self, page: Page) -> None:
        assert page.tiles == {
            "cost of 2025-08 to date": "266",
            "forecast of 2025-08": "280",
            "largest anomaly": "50",
            "costs that shifted": "2",
            "used and not invoiced": "0",
            "tickets that wait": "2",
            "SLA breaches": "0.25",
            "lines accounted for": "1.0",
        }
        first = page.sections["attention"].replace("\N{NO-BREAK SPACE}", " ")
        assert "The last 7 days cost 98 USD, +16.7% against the 7 before; genai of o2 moved most: +14 USD." in first
        assert "30 of 31 days" in first
        assert "220 USD against budgets of 200 USD; 1 of 1 will not do" in first
        assert "of 1 anomalous day of a service, 50 USD beyond the usual" in first
        assert "1 level shift, 1 drift, the largest by 20 USD a day" in first
        assert "1 for more than 7 days, the oldest for 8 days" in first

    def test_what_needs_a_decision_is_said_with_its_reason(self, page: Page) -> None:
        rows = [[cell[0].replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in table(page, "To decide")]
        assert rows == [
            ["Acme (o1)", "budget of 2025-08", "+20.00", "220 USD expected, 210 USD spent, of a budget of 200 USD"],
            ["Acme (o1)", "anomaly of compute on 2025-08-30", "+50.00", "one event did it"],
            ["Acme (o1)", "level shift of compute", "+20.00", "from 10.00 USD to 30.00 USD a day, as of 2025-08-30"],
            ["o2", "drift of genai", "+2.00", "from 2.00 USD to 4.00 USD a day, as of 2025-08-30"],
            ["Support", "1 low ticket over 7 days", UNKNOWN, "1 wait, the oldest for 8 days"],
        ]

    def test_leaks_are_of_covered_months_and_doubted_where_invoices_do_not_follow_usage(self) -> None:
        known = facts()
        doubt = Check(
            "F3",
            "Invoices follow usage",
            Verdict.NOT_INFORMATIVE,
            "rank correlation 0.10",
            {},
            "differences say nothing",
        )
        covered = replace(known, billing=known.billing.assign(covers_month=True), signals=[doubt])
        page = Page.read(render(covered))
        assert page.tiles["used and not invoiced"] == "10"
        first = page.sections["attention"].replace("\N{NO-BREAK SPACE}", " ")
        assert "1 month of organisations, of 3 that are covered whole; invoices do not follow usage here (F3)" in first
        assert "F3, Invoices follow usage: not so in these data (rank correlation 0.10)." in first
        (leak,) = [row for row in table(page, "To decide") if "underbilled" in row[1][0]]
        assert [cell[1] for cell in leak][2] == "-10"

    def test_a_month_is_held_against_the_same_days_of_a_month_before_that_is_whole(self) -> None:
        known = facts()
        earlier = known.usage.assign(usage_date=[day - timedelta(days=31) for day in known.usage["usage_date"]])
        first = pd.DataFrame([(date(2025, 7, 1), "compute", Decimal(4))], columns=list(known.usage))
        page = Page.read(render(replace(known, usage=pd.concat([first, earlier, known.usage]))))
        # The same days of July: 4 of the 1st, and what August cost up to its 30th.
        assert "−1.5% against the same days of 2025-07" in page.sections["attention"]

    def test_tags_say_which_cost_has_an_owner(self, page: Page) -> None:
        shares = [[cell[0] for cell in row] for row in table(page, "what the tags")]
        assert shares == [["env", "50.0%", "50.0%", "0.0%"], ["team", "90.0%", "0.0%", "10.0%"]]

    def test_the_flow_is_drawn_where_quality_is_told(self, page: Page) -> None:
        assert "217 landed = 215 in silver + 2 in quarantine" in page.sections["quality"]

    def test_cost_by_service_and_organisation_largest_first(self, page: Page) -> None:
        services = [[cell[1] or cell[0] for cell in row] for row in table(page, "By service")]
        assert [row[:2] for row in services] == [["compute", "210"], ["genai", "56"]]
        assert [row[3:] for row in services] == [["70", "0"], ["28", "1"]]
        assert [row[0][0] for row in table(page, "costliest of 2")] == ["Acme (o1)", "o2"]

    def test_a_closed_month_says_what_was_restated(self, html: str) -> None:
        assert "2025-07 is closed: its figures here are those of 2025-08-05" in html
        restated = "−1.50\N{NO-BREAK SPACE}USD in 2\N{NO-BREAK SPACE}rows of <code>gold/restatements</code>"
        assert f"{restated} was restated since." in html

    def test_movers_are_against_the_7_days_before(self, page: Page) -> None:
        rows = [[cell[1] or cell[0] for cell in row] for row in table(page, "largest changes")]
        assert rows == [["o2 · genai", "14", "28", "14", "1"], ["Acme (o1) · compute", "70", "70", "0", "0"]]
        assert "From 2025-08-24 to 2025-08-30, against 2025-08-17 to 2025-08-23." in page.sections["movers"]

    def test_an_anomaly_has_its_expectation_its_impact_and_its_cause(self, page: Page) -> None:
        first, second = table(page, "largest impact")
        assert [cell[0] for cell in first] == [
            "2025-08-30 · Acme (o1) · compute", "75.25", "25.25", "+50.00", "one event did it",
        ]  # fmt: skip
        assert [cell[0] for cell in second][2:4] == [UNKNOWN, UNKNOWN]
        assert "1\N{NO-BREAK SPACE}day of a service" in page.sections["anomalies"]

    def test_the_outlook_shows_budgets_the_forecast_and_what_became_of_earlier_ones(self, page: Page) -> None:
        lead = page.sections["outlook"]
        assert "2025-08 is expected to cost" in lead
        assert "1\N{NO-BREAK SPACE}budget will not do" in lead
        budget, forecast = table(page, "used up")[0], table(page, "costliest of 2\N{NO-BREAK SPACE}organisations")
        assert [cell[1] or cell[0] for cell in budget] == ["Acme (o1)", "200", "1.05", "220"]
        rows = [[cell[1] or cell[0] for cell in row] for row in forecast]
        assert ["o2", "56", "60", UNKNOWN, UNKNOWN, "mean all days", UNKNOWN] in rows
        (kept,) = table(page, "what came")
        assert [cell[1] or cell[0] for cell in kept] == ["2025-07-09", "2025-07", "2", "90", "100", "0.15", "0.5"]

    def test_a_figure_without_a_signal_is_doubted_where_it_stands(self, page: Page) -> None:
        assert "F1, GenAI cost follows tokens: not so in these data (rank correlation 0.04)." in page.text
        assert "F2" not in page.text

    def test_revenue_ends_with_the_sum(self, page: Page) -> None:
        assert [cell[1] for cell in table(page, "By month (USD)")[-1]] == ["", "1500", "150", "1350", "135", "1485"]
        assert "2025-08 is −50.0% against 2025-07" in page.sections["revenue"]

    def test_support_puts_the_severest_first_and_weighs_means_by_answers(self, page: Page) -> None:
        assert [row[0][0] for row in table(page, "By severity")] == ["critical", "low"]
        assert "3.50 of 5" in page.sections["support"]
        assert "−15.0" in page.sections["support"]
        months = [[cell[0] for cell in row] for row in table(page, "Satisfaction")]
        assert months == [
            ["2025-07", *[UNKNOWN] * 4, "2", "−15.0"],
            ["2025-08", "8", "50.0%", "3.50", "75.0%", *[UNKNOWN] * 2],
        ]

    def test_support_shows_what_waits_and_verdicts_that_contradict_the_days(self, page: Page) -> None:
        backlog = [[cell[0] for cell in row] for row in table(page, "Backlog at the end of 2025-08-18")]
        assert backlog == [["critical", "1", "0", "0"], ["low", "1", "1", "8"], ["all", "2", "1", "8"]]
        verdicts = [[cell[0] for cell in row] for row in table(page, "SLA verdicts")]
        assert verdicts == [["critical", "1", "1", "0", UNKNOWN], ["low", "5", "0", "3", "2.5"]]

    def test_billing_says_what_does_not_match_and_what_the_data_cannot_tell(self, page: Page) -> None:
        lead = page.sections["billing"]
        assert "1 of 3 months of an organisation match" in lead
        assert "does not cover the whole of 2025-08:" in lead
        statuses = {row[0][0]: [cell[1] for cell in row[1:]] for row in table(page, "by status")}
        assert statuses["underbilled"] == ["1", "210", "200", "-10"]
        assert statuses["not invoiced"] == ["0"] * 4
        assert statuses["all"] == ["3", "710", "1000", "290"]
        bridge = [[cell[1] for cell in row[1:]] for row in table(page, "From usage to invoices")]
        assert bridge == [["2", "710"], ["1", "-7"], ["2", "5"], ["1", "-10"], ["1", "-10"], ["3", "1000"]]
        first = [cell[0] for cell in table(page, "largest differences")[0]]
        assert first == ["o2 · 2025-07", "no usage", "0.00", "300.00", "300.00", UNKNOWN]

    def test_anomalies_show_shifts_and_drifts(self, page: Page) -> None:
        first, second = [[cell[0] for cell in row] for row in table(page, "Level shifts and drifts")]
        assert first == ["Acme (o1) · compute", "level shift", "2025-08-28 to 2025-08-30", "3", "10.00", "30.00"]
        assert second[1] == "drift"

    def test_quality_late_data_and_freshness(self, page: Page) -> None:
        assert [cell[0] for cell in table(page, "Audit")[0]] == ["usage_events", "212", "210", "2", "yes"]
        assert [cell[0] for cell in table(page, "Rejected, by rule")[0]] == [
            "negative_cost",
            "usage_events",
            "2",
            "0.9%",
        ]
        assert "50.0% a resource" in page.sections["quality"]

    def test_profile_of_each_source_with_its_columns_folded_away(self, html: str, page: Page) -> None:
        events, users = table(page, "Profile of each source")
        found = "customers_orgs 100.0%, resources 50.0%, users –"
        dates = "2025-08-10 to 2025-08-30, 2\N{NO-BREAK SPACE}days without a row"
        assert [cell[1] or cell[0] for cell in events] == ["usage_events", "210", "7", dates, found]
        assert users[3][0].endswith(", 0\N{NO-BREAK SPACE}days without a row")
        columns = {row[0][0]: [cell[0] for cell in row[1:]] for row in table(page, "usage_events, column by column")}
        assert columns == {
            "service": ["string", "0", "2", "compute 105, genai 105"],
            "value": ["decimal(18,6)", "7", "190", "0.5 to 12 (mean 6.25)"],
            "service (as written)": ["string", "0", "3", "compute 105, genai 105, GenAI 2"],
        }
        assert [tag for tag, _ in page.elements].count("details") == 2
        assert not [attributes for tag, attributes in page.elements if tag == "details" and "open" in attributes]
        assert "19 days with rows, 2 without (2025-08-12 to 2025-08-13)" in page.sections["quality"]
        assert "warnings: missing_value 7" in page.sections["quality"]

    def test_late_data_and_freshness(self, page: Page) -> None:
        lead = page.sections["timeliness"].replace("\N{NO-BREAK SPACE}", " ")
        assert "The newest event is 3.0 days older than this report." in lead
        assert "50.0% of 212 event lines came more than 2 hours late, and all were processed." in lead
        assert "lost 50.0% of the events with 1 file a micro-batch, and 0.0% with 5." in lead
        assert ["newest event", "2025-08-30 12:00", "3.0"] in [[c[0] for c in row] for row in table(page, "As of this")]

    def test_unit_costs(self, page: Page) -> None:
        lead = page.sections["efficiency"].replace("\N{NO-BREAK SPACE}", " ")
        assert "A million tokens cost 2,000 USD: 20,000 tokens for 40 USD of the 42 USD that GenAI cost." in lead
        assert "at least 10.0 kg CO₂e: 95.2% of the events report theirs." in lead


class TestWhatIsNotThere:
    def test_a_lake_without_masters_says_so_and_shows_the_rest(self) -> None:
        known, empty = facts(), nothing()
        masters = ("revenue", "tickets", "csat", "nps", "names")
        page = Page.read(
            render(replace(known, missing=list(MASTERS), **{name: getattr(empty, name) for name in masters}))
        )
        assert list(page.sections) == SECTIONS
        assert "This lake has no customers_orgs, users" in page.text
        assert "put billing_monthly.csv into the landing folder" in page.sections["revenue"]
        assert "put support_tickets.csv into the landing folder" in page.sections["support"]
        assert page.tiles["SLA breaches"] == ""
        assert page.tiles["cost of 2025-08 to date"] == "266"

    def test_a_lake_without_events_shows_what_the_masters_give(self) -> None:
        known = facts()
        masters = {name: getattr(known, name) for name in ("revenue", "tickets", "csat", "nps", "names", "audit")}
        page = Page.read(render(replace(nothing(), missing=[], **masters)))
        assert page.tiles["SLA breaches"] == "0.25"
        assert page.tiles["cost of the month"] == ""
        assert "There is no usage yet." in page.sections["attention"]

    def test_nothing_at_all_is_a_page_too(self) -> None:
        page = Page.read(render(nothing()))
        assert list(page.sections) == SECTIONS
        assert not page.tables.get("By service")
        assert [row[1][1] for row in table(page, "Profile of each source")] == ["0", "0"]
        assert "details" not in {tag for tag, _ in page.elements}

    def test_a_landing_folder_that_is_not_here_is_not_called_balanced(self) -> None:
        page = Page.read(render(replace(facts(), audit=None)))
        assert page.tiles["lines accounted for"] == ""
        assert "The landing folder is not here" in page.sections["quality"]
        assert len(table(page, "Profile of each source")) == 2

    def test_a_broken_law_cannot_be_overlooked(self) -> None:
        page = Page.read(render(replace(facts(), audit=Audit({"users": SourceAudit(4, 2, {"missing_key": 1})}))))
        assert "LANDING LINES ARE UNACCOUNTED FOR" in page.sections["quality"]
        assert table(page, "Audit")[0][-1][0] == "NO"
        assert page.tiles["lines accounted for"] == "0.75"

    def test_one_day_of_usage_has_no_week_before(self) -> None:
        known = facts()
        cost = known.windows["cost_7d"]
        windows = known.windows.assign(cost_14d=cost, cost_before=cost - cost, change_usd=cost)
        first = known.usage.iloc[-2:]
        page = Page.read(render(replace(known, usage=first, windows=windows, batches=known.batches.iloc[:1])))
        assert "The last 7 days cost 98\N{NO-BREAK SPACE}USD." in page.sections["attention"]
        assert "The data begins on 2025-08-30" in page.sections["movers"]


def with_words(found: SourceProfile, word: str) -> SourceProfile:
    columns = {"column": ColumnProfile("string", 0, 1, vocabulary={word: 1})}
    return replace(found, columns=columns, as_written=columns, quarantined={word: 1}, warnings={word: 1})


@pytest.fixture(scope="module")
def hostile() -> Facts:
    return named(HOSTILE)


def named(name: str) -> Facts:
    """Facts in which everything that the data name has this name."""
    known = facts()
    return replace(
        known,
        lake=name,
        missing=[name],
        names={"o1": name, name: name},
        usage=known.usage.assign(service=name),
        orgs=pd.DataFrame({"org_id": [name, "o1"], "total_cost_usd": [Decimal(2), Decimal(1)]}),
        windows=known.windows.assign(org_id=name, service=name),
        anomalies=known.anomalies.assign(org_id=name, service=name, reason=name),
        shifts=known.shifts.assign(org_id=name, service=name),
        tags=known.tags.assign(tag_key=name),
        billing=known.billing.assign(org_id=name, covers_month=True),
        tickets=known.tickets.assign(severity=name),
        backlog=known.backlog.assign(severity=name),
        audit=Audit({name: SourceAudit(2, 1, {name: 1})}),
        profile={source: with_words(found, name) for source, found in known.profile.items()},
    )


def test_hostile_texts_are_shown_and_do_nothing(hostile: Facts, page: Page) -> None:
    html = render(hostile)
    found = Page.read(html)  # every element is closed where it was opened: nothing broke out
    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in page.elements} | {"code"}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert found.text.count("<script>alert(1)</script>") > 10
    assert "<script" not in html


def test_what_hides_text_or_turns_it_round_is_shown_as_on_a_terminal() -> None:
    html = render(named(UNSEEN))
    assert printable(html, keep="\n\N{NO-BREAK SPACE}") == html
    plots = "<svg.*?</svg>"
    drawn, written = "".join(re.findall(plots, html, re.DOTALL)), re.sub(plots, "", html, flags=re.DOTALL)
    assert drawn.count(r"a\u001b[31m\u202e") > 3
    assert written.count(r"a\u001b[31m\u202egnp.exe \u2066b\u200f") > 10


def test_no_setting_of_the_machine_changes_a_plot(html: str) -> None:
    strange: dict[Any, Any] = {
        "text.usetex": True,
        "text.color": "white",
        "font.size": 1,
        "axes.xmargin": 0.4,
        "path.sketch": (50, 100, 50),
        "timezone": "Pacific/Auckland",
    }
    with mpl.rc_context(strange):
        assert render(facts()) == html


@pytest.mark.parametrize(
    ("value", "text", "exact"),
    [
        (number(None), UNKNOWN, ""),
        (number(float("nan")), UNKNOWN, ""),
        (number(Decimal("1234567.895"), decimals=2), "1,234,567.90", "1234567.895"),
        (number(-0.004, decimals=1, signed=True), "0.0", "-0.004"),
        (usd(Decimal("-1500"), 0, signed=True), "−1,500\N{NO-BREAK SPACE}USD", "-1500"),
        (usd(Decimal("1E+3")), "1,000.00\N{NO-BREAK SPACE}USD", "1000"),
        (percent(Decimal("0.1234567890")), "12.3%", "0.1234567890"),
        (percent(0.5, signed=True), "+50.0%", "0.5"),
        (percent(None), UNKNOWN, ""),
    ],
)
def test_numbers_are_rounded_for_people_and_keep_their_value(value: Value, text: str, exact: str) -> None:
    assert (str(value), value.exact) == (text, exact)


def test_sums_and_ratios_of_what_is_not_known() -> None:
    assert total(pd.Series([None, Decimal(2), float("nan"), Decimal(3)], dtype=object)) == 5
    assert total(pd.Series([None, None], dtype=object)) is None
    assert ratio(1, 0) is None
    assert ratio(None, 1) is None
    assert change(3, 2) == 0.5
    assert change(3, 0) is None
    assert [plural(1, "day"), plural(2, "micro-batch")] == [
        "1\N{NO-BREAK SPACE}day",
        "2\N{NO-BREAK SPACE}micro-batches",
    ]


def test_tables_know_what_a_phone_has_room_for() -> None:
    short = Table("", ("name", "figure"), [["a", number(1)]])
    assert (short.stacked, short.full, short.figures, short.kind(1)) == (False, False, 1, "number")
    long = Table("", ("name", "figure", "why"), [["a" * 50, number(1), "because " * 10]])
    assert (long.stacked, long.full, long.figures, long.kind(2)) == (True, True, 1, "long")


def test_backticks_are_code_and_nothing_else() -> None:
    assert code("run `a <b>` & c") == "run <code>a &lt;b&gt;</code> &amp; c"


def test_watermarks_read_well() -> None:
    short = replace(facts(), watermark=timedelta(minutes=90))
    assert "more than 90\N{NO-BREAK SPACE}minutes late" in Page.read(render(short)).sections["timeliness"]


def test_a_matplotlibrc_of_the_folder_is_not_even_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "matplotlibrc")  # who opens it waits for ever
    command = [sys.executable, "-m", "cloud_analytics", "report", "--lake", "nothing"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the lake nothing holds nothing")
