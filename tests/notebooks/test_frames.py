"""Frames as notebooks show them: words, units once, numbers with separators, no index; texts stay text."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from cloud_analytics.notebook import table


def cells(frame: pd.DataFrame) -> list[list[str]]:
    return [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table(frame).split("<tr>")[1:]]


@pytest.mark.parametrize(
    ("name", "value", "head", "cell"),
    [
        ("total_cost_usd", Decimal("1234567.891"), "total cost<br>USD", "1,234,567.89"),
        ("difference_pct", Decimal("-4.76"), "difference<br>%", "-4.8"),
        ("tagged_usd", Decimal("1000"), "tagged<br>USD", "1,000.00"),
        ("rows", 43_200, "rows", "43,200"),
        ("share", 0.98765, "share", "0.99"),
        ("usage_date", date(2025, 7, 3), "usage date", "2025-07-03"),
        ("event_ts", pd.Timestamp("2025-07-03T05:24:30Z"), "event ts", "2025-07-03 05:24"),
        ("equal", True, "equal", "yes"),
        ("impact_usd", None, "impact<br>USD", "–"),
        ("lost", float("nan"), "lost", "–"),
        ("service", "<b>x</b>&\x1b[2J", "service", "&lt;b&gt;x&lt;/b&gt;&amp;\\u001b[2J"),
        ("<script>", "x", "&lt;script&gt;", "x"),
        ("a\u202eb\x1b[2J", "x", "a\\u202eb\\u001b[2J", "x"),
    ],
)
def test_a_cell_and_its_heading(name: str, value: Any, head: str, cell: str) -> None:
    assert cells(pd.DataFrame({name: [value]}, index=[17])) == [[head], [cell]]


def test_an_empty_frame_has_its_headings() -> None:
    assert cells(pd.DataFrame({"org_id": [], "cost_usd": []})) == [["org id", "cost<br>USD"]]


def test_a_name_is_not_typeset() -> None:
    """Jupyter's MathJax leaves tables of these classes alone. In TeX, a name could draw over the figures of others."""
    shown = table(pd.DataFrame({"org_id": [r"$\rlap{\bbox[white]{0.01}}$"]}))
    assert shown.startswith('<table class="tex2jax_ignore mathjax_ignore">')
    assert r"$\rlap{\bbox[white]{0.01}}$" in shown
