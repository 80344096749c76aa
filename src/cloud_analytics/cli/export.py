"""What other tools take in: export."""

from __future__ import annotations

from pathlib import Path

import click

from cloud_analytics.cli.manners import Group, emit, say
from cloud_analytics.cli.options import Places, open_lake, options, spreadsheet_option


@click.group(cls=Group, examples=("cloud-analytics export focus --out focus.parquet",))
def export() -> None:
    """Files for other tools."""


@export.command(
    "focus",
    examples=(
        "cloud-analytics export focus --out focus.parquet",
        "cloud-analytics export focus --out july.csv --month 2025-07",
    ),
)
@click.option("--out", required=True, metavar="PATH", type=click.Path(path_type=Path), help="A .parquet or .csv file.")
@click.option("--month", metavar="YYYY-MM", help="Only what is billed in this month [default: all].")
@spreadsheet_option
@options("lake", "conf")
def _focus(places: Places, out: Path, month: str | None, spreadsheet: bool) -> None:
    """Costs and usage in the words of FOCUS 1.2, for tools that read the bills of several providers.

    What was restated of closed months is in it as corrections. Beside it lies a file that tells of each month whether
    it is complete, and when it changed last. docs/focus.md says how each column comes about.
    """
    from cloud_analytics.reading import focus

    focus.expect_writable(out, month, spreadsheet)
    with open_lake(places) as (zones, _):
        written = focus.export(zones, places.config, out, month, spreadsheet)
    line = f"{written.rows:,} charges, {written.billed_cost_usd:,.6f} USD: {out}"
    emit(line, written.as_json(), lambda: say(f"{line}\nWhen each month changed last: {written.recency}"))
