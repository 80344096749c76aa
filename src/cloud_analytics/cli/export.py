"""What other tools take in: export."""

from __future__ import annotations

from pathlib import Path

import click

from cloud_analytics.cli.manners import Group, as_json, command, emit
from cloud_analytics.cli.options import open_lake, options


@click.group(cls=Group, examples=("cloud-analytics export focus --out focus.parquet",))
def export() -> None:
    """Files for other tools."""


@command(
    "cloud-analytics export focus --out focus.parquet",
    "cloud-analytics export focus --out july.csv --month 2025-07",
    name="focus",
)
@click.option("--out", required=True, metavar="PATH", type=click.Path(path_type=Path), help="A .parquet or .csv file.")
@click.option("--month", metavar="YYYY-MM", help="Only what is billed in this month [default: all].")
@options("lake", "conf")
def _focus(out: Path, month: str | None, lake: str | None, conf: Path | None) -> None:
    """Costs and usage in the words of FOCUS 1.2, for tools that read the bills of several providers.

    What was restated of closed months is in it as corrections. Beside it lies a file that tells of each month whether
    it is complete, and when it changed last. docs/focus.md says how each column comes about.
    """
    from cloud_analytics.reading import focus

    focus.check(out, month)
    with open_lake(lake, conf) as (zones, _, config):
        written = focus.export(zones, config, out, month)
    line = f"{written.rows:,} charges, {written.billed_cost_usd:,.6f} USD: {out}"
    emit(
        lambda: click.echo(f"{line}\nWhen each month changed last: {written.recency}"),
        line,
        json=lambda: as_json(written.as_json()),
    )


export.add_command(_focus)
